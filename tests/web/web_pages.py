"""Every page of the console: the table's GET routes that answer with a whole page, and an address of each."""

from tillbridge.web.table import ROUTES

# Answers that are no page of their own, and why.
ASIDE = {
    "/healthz": "for those who watch",
    "/readyz": "for those who watch",
    "/metrics": "for those who watch",
    "/assets/{edition}/{name:path}": "files",
    "/enter/{secret}": "good once, and gone",
    "/login": "seen before anybody has signed in",
    "/login/oidc": "leads to the identity provider",
    "/login/oidc/back": "comes from the identity provider",
    "/": "leads to the overview",
    "/c/{connection}/customers/sent/{run}": "a part of the list of customers",
    "/c/{connection}/sent/{place}/{number}/{run}": "a part of a receipt's or product's page",
    "/c/{connection}/problems/left": "a part of the page of problems",
    "/c/{connection}/events": "a stream",
    "/c/{connection}/settings": "leads to the first of the settings",
    "/settings": "leads to the first of the settings",
    "/connected/lightspeed": "comes from Lightspeed",
    "/connected/salesforce": "comes from Salesforce",
    "/set-up/{name}": "leads to the step that is next",
    "/set-up/{name}/salesforce/certificate": "a file",
}
PAGES = tuple(
    route.path for route in ROUTES if route.method == "GET" and not route.is_api and route.path not in ASIDE
)


def title_of(path):
    """Name a page after its address, for a file."""
    words = path.replace("/c/{connection}", "").replace("{", "").replace("}", "").strip("/")
    return words.replace("/name", "").replace("/", "-") or "overview"


def address_of(path, known):
    """Fill in an address. What is not known stays 1, and its page says that there is nothing."""
    of = path.replace("/c/{connection}", "").strip("/").partition("/")[0]
    values = {
        "connection": "default",
        "name": "default",
        "number": known.get(of, 1),
        "day": "2026-11-20",
        **known,
    }
    filled = path
    for name in ("connection", "who", "sale", "number", "store", "day", "name"):
        filled = filled.replace("{" + name + "}", str(values.get(name, 1)))
    return (
        f"{filled}?cause={known['cause']}" if path.endswith("/problems/of") and "cause" in known else filled
    )


def rows_in(answer):
    return answer if isinstance(answer, list) else answer["rows"]


def known_of(ask):
    """Look up what there is to be shown: `ask` returns what the API answers at an address, as JSON."""
    here = "/api/v1/c/default"
    first = {
        name: rows_in(ask(f"{here}/{name}"))[:1]
        for name in ("sales", "problems", "runs", "products", "plans")
    }
    known = {name: rows[0]["id"] for name, rows in first.items() if rows}
    if "sales" in known:
        buyers = [row["customer_id"] for row in ask(f"{here}/sales")["rows"] if row["customer_id"]]
        # Rather somebody whose fields are compared than whose record takes no values.
        whole = (each for each in buyers if ask(f"{here}/customers/{each}")["fields"])
        known |= {"sale": known["sales"], **({"who": next(whole, buyers[0])} if buyers else {})}
    if first["problems"]:
        known["cause"] = first["problems"][0]["cause"]
    calendar = ask(f"{here}/certificates")
    if calendar["newest"]:
        known["certificates"] = calendar["newest"][0]["id"]
    marked = [
        (store["store_id"], day["day"])
        for store in calendar["stores"]
        for day in store["days"]
        if day["certificate"]
    ]
    if marked:
        known["store"], known["day"] = marked[-1]
    return known

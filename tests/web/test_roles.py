"""Every route of the table with every role: let in, or refused, exactly as the table says."""

import pytest
from web_console import Plant

from tillbridge.web.assets import edition
from tillbridge.web.security.roles import Role
from tillbridge.web.table import ROUTES

# What stands in an address where the table has a name.
FILLED = {
    "{connection}": "default",
    "{edition}": edition(),
    "{name:path}": "console.css",
    "{secret}": "no-such-link",
    "{number}": "99",
}
REFUSED = 403
WHO = ("anonymous", "viewer", "viewer of some stores", "operator", "admin")


def address_of(route):
    path = route.path
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return path.replace("{", "no-such-").replace("}", "")


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    made = Plant(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


def browser_of(plant, who):
    match who:
        case "anonymous":
            return plant.browser()
        case "viewer of some stores":
            return plant.signed_in("viewer", {"default": ["001"]})
    return plant.signed_in(who)


def is_let_in(route, who):
    """Say what the table promises."""
    if who == "anonymous":
        return route.role == Role.ANONYMOUS
    if who == "viewer of some stores":
        return route.role <= Role.VIEWER and (route.limited or route.role == Role.ANONYMOUS)
    return Role[who.upper()] >= route.role


def what_came_of(browser, route, csrf):
    """Ask for a route as its own page would, and say in one word what came of it."""
    headers = {"sec-fetch-site": "same-origin", "x-csrf-token": csrf}
    answer = browser.request(route.method, address_of(route), headers=headers)
    if answer.status_code == 503:
        return "let in"  # What it does needs the remotes, and there are none here.
    if answer.status_code >= 500:
        return f"broken: {answer.status_code} {answer.text[:300]}"
    if answer.status_code == REFUSED:
        return "refused"
    asks = answer.headers.get("location", "").startswith("/login")
    return "to sign in" if asks or (answer.status_code == 401 and route.path != "/login") else "let in"


def expected_of(route, who):
    if is_let_in(route, who):
        return "let in"
    return "to sign in" if who == "anonymous" else "refused"


@pytest.mark.parametrize("who", WHO)
def test_every_route_lets_in_whom_the_table_says(plant, who):
    found = {}
    browser = browser_of(plant, who)
    csrf = "" if who == "anonymous" else browser.csrf
    for route in ROUTES:
        if route.path == "/logout" and who != "anonymous":
            continue  # It would end the walk; it has a test of its own.
        came = what_came_of(browser, route, csrf)
        if came != expected_of(route, who):
            found[f"{route.method} {route.path}"] = came

    assert {} == found


def test_nothing_but_the_table_adds_a_route(plant):
    found = {(method, route.path) for route in plant.app.routes for method in route.methods}

    assert {(route.method, route.path) for route in ROUTES} == found


def test_no_route_is_in_the_table_twice():
    listed = [(route.method, route.path) for route in ROUTES]

    assert sorted(set(listed)) == sorted(listed)


@pytest.mark.parametrize("token", ["", "0" * 64], ids=["none", "a wrong one"])
def test_what_changes_something_wants_the_sessions_token(plant, token):
    browser = plant.signed_in("admin")
    changing = [route for route in ROUTES if route.method != "GET"]

    came = {route.path: what_came_of(browser, route, token) for route in changing}

    assert 10 < len(came)
    assert {"refused"} == set(came.values()), came


def test_a_viewer_limited_to_stores_is_shown_no_other_connection(plant):
    person = plant.person("Vic", "viewer", {"elsewhere": ["001"]})
    browser = plant.signed_in_as(person)

    assert REFUSED == browser.get("/c/default").status_code


def test_nobody_learns_from_outside_which_connections_there_are(plant):
    browser = plant.browser()

    there, nowhere = (browser.get(f"/c/{name}") for name in ("default", "nowhere"))

    assert there.status_code == nowhere.status_code == 303

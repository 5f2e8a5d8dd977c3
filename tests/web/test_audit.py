"""Whatever changes something in the console is written down: each route of the table that can."""

from contextlib import ExitStack

import pytest
from web_console import PASSWORD
from web_shop import Hook, Shop

from tillbridge.web.security.roles import Role
from tillbridge.web.table import ROUTES

# What a route is sent so that it does something; everything else is sent nothing.
FORMS = {
    "/account/password": {"password": f"{PASSWORD}!", "again": f"{PASSWORD}!", "present": PASSWORD},
    "/account/tokens": {"name": "report", "scope": "read", "days": "30"},
    "/account/tokens/end": {"number": "{own token}"},
    "/settings/people": {"name": "Vic", "role": "viewer"},
    "/settings/people/{number}": {"role": "viewer", "active": "yes"},
    "/settings/tokens/end": {"number": "{token}"},
    "/c/{connection}/settings/schedule": {"schedule.sales_seconds": "33"},
    "/c/{connection}/settings/schedule/steer": {"verb": "resume"},
    "/c/{connection}/settings/alerts": {"alerts.slack_webhook_url": "{hook}"},
    "/c/{connection}/settings/authorities": {"customers.mode": "fill_blanks"},
    "/c/{connection}/settings/budget": {"budget.salesforce_percent": "33"},
    "/c/{connection}/settings/safety": {"safety.changed_from": "33"},
    "/c/{connection}/settings/matching": {"place.external_id": "1", "place.email": "2"},
    "/c/{connection}/runs/steer": {"verb": "resume"},
    "/c/{connection}/customers/sync": {"ids": ["{ada}"]},
}
BODIES = {
    "/api/v1/c/{connection}/customers/sync": {"ids": ["{ada}"]},
    "/api/v1/c/{connection}/sales/sync": {"ids": ["1"]},
    "/api/v1/c/{connection}/products/sync": {"ids": ["1"]},
    "/api/v1/c/{connection}/problems/ignore": {"ids": [1]},
    "/api/v1/c/{connection}/settings/{section}": {"settings": {"schedule.sales_seconds": 34}},
    "/api/v1/users": {"name": "Viv", "role": "viewer"},
    "/api/v1/users/{number}": {"role": "viewer"},
}

# What shows something that has to be asked for, and changes nothing of ours or of anybody else's.
QUIET = {
    "POST /api/v1/c/{connection}/sales/{sale}/preview",
    "POST /api/v1/c/{connection}/plans/preview",
    "POST /c/{connection}/plans/preview",
}

# So many routes of mine at least are really pressed, or the walk proves nothing.
PRESSED_MIN = 25


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with ExitStack() as stack:
        made = Shop(tmp_path_factory.mktemp("shop"), stack)
        made.hook = Hook()
        stack.callback(made.hook.close)
        yield made


def filled(value, names):
    """Put what there is in the place of names in braces."""
    if isinstance(value, dict):
        return {name: filled(each, names) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, names) for each in value]
    return names.get(value, value)


def test_whatever_changes_something_is_written_down_once(shop):
    admin, person = shop.signed_in("admin"), shop.access.named("admin")[0]
    now = shop.now()
    for name in ("own", "other", "third"):
        shop.access.make_token(person.id, name, ["read"], now, now + 600)
    own, other, third = (each.id for each in shop.access.tokens(person.id))
    vera = shop.person("Vera", "viewer")
    names = {"{own token}": str(own), "{token}": str(other), "{hook}": shop.hook.url, "{ada}": str(shop.ada)}
    filled_in = {"connection": "default", "number": str(vera.id), "section": "schedule", "secret": "none"}
    silent, pressed, twice = [], [], []
    last_ones = ("/account/password", "/account/sessions/end", "/logout")

    for route in sorted(ROUTES, key=lambda each: each.path in last_ones):
        if route.method == "GET" or route.role == Role.ANONYMOUS:
            continue  # What nobody has to be known for has tests of its own.
        path = route.path.replace("/tokens/{number}", f"/tokens/{third}")
        for name in {part[1:-1] for part in path.split("/") if part.startswith("{")}:
            path = path.replace(f"{{{name}}}", filled_in.get(name, "1"))
        before = shop.access.entries(limit=1)[0].number if shop.access.entries(limit=1) else 0
        headers = {"x-csrf-token": admin.csrf, "sec-fetch-site": "same-origin"}
        sent = (
            {"json": filled(BODIES.get(route.path, {}), names)}
            if route.is_api
            else {"data": filled(FORMS.get(route.path, {}), names)}
        )
        if route.method == "DELETE":
            sent = {}
        answer = admin.request(route.method, path, headers=headers, **sent)
        lines = [each for each in shop.access.entries(limit=9) if each.number > before]
        title = f"{route.method} {route.path}"
        if answer.status_code < 400:
            pressed.append(title)
            if not lines and title not in QUIET:
                silent.append(title)
            if len(lines) > 1:
                twice.append((title, [each.what for each in lines]))
        if admin.get("/account").status_code != 200:
            admin = shop.signed_in_as(person)

    print(f"{len(pressed)} routes pressed of {sum(route.method != 'GET' for route in ROUTES)}")
    assert [] == silent
    assert [] == twice
    assert PRESSED_MIN < len(pressed)
    assert shop.access.verify()[2] is None


def test_no_line_says_a_secret_or_a_name(shop):
    text = str(shop.access.entries(limit=500))

    assert shop.hook.url not in text
    assert PASSWORD not in text
    assert "Vermeulen" not in text

"""Settings in the console: shown, changed in the file and written down; secrets go in and never come out."""

import re
from contextlib import ExitStack

import pytest
from web_console import CONFIG, Plant
from web_shop import Hook, Shop

from tillbridge.config import load
from tillbridge.connectors.http import Http
from tillbridge.metrics import Meters, Watched
from tillbridge.settings import SECTIONS, settings_of
from tillbridge.web.security.addresses import refusal

HERE = "/c/default/settings"
API = "/api/v1/c/default"


def file_of(plant):
    return (plant.folder / "tillbridge.toml").read_text()


def write(plant, more):
    (plant.folder / "tillbridge.toml").write_text(CONFIG + more)


def last(plant):
    return plant.access.entries(limit=1)[0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = Plant(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.fixture
def plant(shared):
    shared.begin_again()
    for each in ("secrets.json", "settings.lock"):
        (shared.folder / each).unlink(missing_ok=True)
    return shared


@pytest.fixture
def admin(plant):
    return plant.signed_in("admin")


# --- pages and their forms -----------------------------------------------------------------------


def test_the_settings_begin_with_the_connection(plant, admin):
    assert f"{HERE}" == admin.get("/settings").headers["location"]
    assert f"{HERE}/connection" == admin.get(HERE).headers["location"]


@pytest.mark.parametrize("page", ["connection", "mapping", "matching", *SECTIONS])
def test_a_page_names_every_setting_and_no_secret(plant, admin, page):
    write(plant, '\n[alerts]\nslack_webhook_url = "https://hooks.slack.example/T0/secret-part"\n')
    text = admin.get(f"{HERE}/{page}").text

    for each in settings_of(page).values() if page in SECTIONS and page != "matching" else ():
        assert each.kind == "table" or each.title in text, each
    assert "secret-part" not in text
    assert not re.search(r'value="(secret|token)"', text)


def test_what_is_saved_stands_in_the_file_and_nothing_else_moves(plant, admin):
    write(plant, "# ours\n\n[schedule]  # polls\nsales_seconds = 60 # often\n")
    page = admin.get(f"{HERE}/schedule").text
    fields = dict(re.findall(r'name="(schedule\.\w+)" value="([^"]*)"', page))

    answer = admin.press(f"{HERE}/schedule", **fields | {"schedule.sales_seconds": "30"})

    assert f"{HERE}/schedule?said=settings" == answer.headers["location"]
    assert CONFIG + "# ours\n\n[schedule]  # polls\nsales_seconds = 30 # often\n" == file_of(plant)
    assert ("settings changed", "default") == (last(plant).what, last(plant).subject)
    assert {"section": "schedule", "changed": {"schedule.sales_seconds": [60, 30]}} == last(plant).detail


def test_opening_hours_are_a_line_each_and_empty_is_the_default(plant, admin):
    admin.press(
        f"{HERE}/schedule", **{"schedule.opening_hours": "Mon-Sat 09:00-19:00\r\n\r\nSun 11:00-17:00"}
    )
    assert ("Mon-Sat 09:00-19:00", "Sun 11:00-17:00") == load(plant.folder, {}).schedule.opening_hours
    assert "Mon-Sat 09:00-19:00\nSun 11:00-17:00</textarea>" in admin.get(f"{HERE}/schedule").text

    admin.press(f"{HERE}/schedule", **{"schedule.opening_hours": "", "schedule.stock_seconds": ""})

    assert () == load(plant.folder, {}).schedule.opening_hours
    assert "opening_hours" not in file_of(plant)


MISTAKES = {
    "no number": ("schedule", {"schedule.sales_seconds": "often"}, "Must be a number"),
    "not a number": ("schedule", {"schedule.sales_seconds": "nan"}, "Must be a number"),
    "too small a number": ("schedule", {"schedule.sales_seconds": "0"}, "Must be between 1 and"),
    "hours that are none": ("schedule", {"schedule.opening_hours": "always"}, "Mon-Sat 09:00-19:00"),
    "no address": ("alerts", {"alerts.email_to": "somebody"}, "bare e-mail address"),
    "half a mail server": ("alerts", {"alerts.email_to": "a@b.example"}, "also needs"),
    "a choice that is none": ("safety", {"safety.first_till_write": "never"}, "must be"),
    "a share of more than all": ("safety", {"safety.changed_share_max": "2"}, "at most 1."),
    "more than all calls": ("budget", {"budget.salesforce_percent": "101"}, "and at most 100."),
    "a winner that is none": (
        "authorities",
        {"customers.authority.shown": "x", "customers.authority:Phone": "me"},
        "till",
    ),
}


@pytest.mark.parametrize(("section", "fields", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_shown_beside_what_was_typed_and_nothing_is_saved(
    plant, admin, section, fields, sentence
):
    answer = admin.press(f"{HERE}/{section}", **fields)

    assert 422 == answer.status_code
    assert sentence.lower() in answer.text.lower()
    assert CONFIG == file_of(plant)
    assert [] == [each for each in plant.access.entries(limit=9) if each.what == "settings changed"]


NUMBERS = {
    "larger than any": ("9" * 25, "Must be"),
    "longer than a line": ("9" * 5_000, "Must be a number"),
    "one too many": ("1000000001", "Must be"),
    "below nothing": ("-1", "Must be"),
    "not a number": ("NaN", "Must be a number"),
    "without end": ("1e999", "Must be a number"),
    "digits of another script": ("٣٠", "Must be a number"),
    "with a blank inside": ("1 000", "Must be a number"),
    "as programmers write it": ("0x1F", "Must be a number"),
}
NUMBER_SECTIONS = ("schedule", "alerts", "safety", "budget")


@pytest.mark.parametrize(("typed", "sentence"), NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("section", NUMBER_SECTIONS)
def test_no_number_is_too_odd_to_be_refused_beside_its_field(plant, admin, section, typed, sentence):
    fields = [path for path, each in settings_of(section).items() if each.kind == "number"]

    answer = admin.press(f"{HERE}/{section}", **dict.fromkeys(fields, typed))

    assert 422 == answer.status_code
    assert len(fields) == answer.text.count(f'<strong class="bad">{sentence}')
    assert CONFIG == file_of(plant)


@pytest.mark.parametrize("section", NUMBER_SECTIONS)
def test_a_page_says_how_large_a_number_may_be(plant, admin, section):
    text = admin.get(f"{HERE}/{section}").text

    for path, each in settings_of(section).items():
        if each.kind == "number":
            field = re.search(rf'<input [^>]*name="{path}"[^>]*>', text)[0]
            assert f'min="{each.bounds.least}" max="{each.bounds.most}"' in field, path


@pytest.mark.parametrize(
    "text", ["1e999", "-1e999", "NaN", "9" * 400, "9" * 5_000, '"12"', "[]", "{}", "true", "1.5e300"]
)
def test_no_number_of_a_program_breaks_anything(plant, text):
    body = f'{{"settings": {{"budget.salesforce_calls_a_day": {text}}}}}'
    headers = {"content-type": "application/json"}

    answer = program(plant, "admin", "admin").put(f"{API}/settings/budget", content=body, headers=headers)

    assert answer.status_code in {400, 422}
    assert CONFIG == file_of(plant)


def test_which_addresses_stay_is_said_by_numbers_that_there_are(plant, admin):
    given = {"alerts.apprise_urls.shown": "yes", "alerts.apprise_urls.keep": ["9" * 5_000, "٣", "-1", "7"]}

    assert 303 == admin.press(f"{HERE}/alerts", **given).status_code


def test_what_was_typed_stays_on_the_page(plant, admin):
    text = admin.press(
        f"{HERE}/schedule", **{"schedule.sales_seconds": '"><script>', "schedule.stock_seconds": "7"}
    ).text

    assert 'value="&#34;&gt;&lt;script&gt;"' in text
    assert re.search(r'name="schedule.stock_seconds" value="7"', text)
    assert 'aria-invalid="true"' in text


def test_two_administrators_do_not_undo_each_other(plant, admin):
    seen = re.search(r'name="seen" value="(\w+)"', admin.get(f"{HERE}/budget").text)[1]
    admin.press(f"{HERE}/budget", seen=seen, **{"budget.salesforce_percent": "30"})

    answer = admin.press(f"{HERE}/budget", seen=seen, **{"budget.salesforce_percent": "50"})

    assert 409 == answer.status_code
    assert "Somebody else has changed the settings" in answer.text
    assert 30 == load(plant.folder, {}).budget.salesforce_percent


def test_a_setting_from_the_environment_is_changed_there(plant):
    plant.env["PERCENT"] = "20"
    write(plant, '\n[budget]\nsalesforce_percent = { env = "PERCENT" }\n')
    text = plant.signed_in("admin").get(f"{HERE}/budget").text

    assert "From the environment variable PERCENT" in text
    assert re.search(r'name="budget.salesforce_percent" value="20"[^>]* disabled', text)


def test_a_file_that_cannot_be_written_is_told_of(plant, admin):
    (plant.folder / "settings.lock").mkdir()
    answer = admin.press(f"{HERE}/budget", **{"budget.salesforce_percent": "30"})
    (plant.folder / "settings.lock").rmdir()

    assert 409 == answer.status_code
    assert "cannot be written" in answer.text


def test_authorities_are_set_and_taken_back(plant, admin):
    shown = {"customers.authority.shown": "yes"}
    admin.press(
        f"{HERE}/authorities", **shown, **{"customers.authority:Phone": "till", "customers.authority:Fax": ""}
    )
    set_ = load(plant.folder, {}).customers.authority
    admin.press(
        f"{HERE}/authorities", **shown, **{"customers.authority:Phone": "", "customers.mode": "fill_blanks"}
    )

    assert {"Phone": "till"} == set_
    assert {} == load(plant.folder, {}).customers.authority
    assert "fill_blanks" == load(plant.folder, {}).customers.mode


# --- secrets -------------------------------------------------------------------------------------


HOOK = "https://8.8.8.8/services/T0/B0/very-secret"


def test_a_secret_is_sealed_named_in_the_file_and_never_shown(plant, admin):
    answer = admin.press(f"{HERE}/alerts", **{"alerts.slack_webhook_url": HOOK})

    assert 303 == answer.status_code
    assert 'slack_webhook_url = { secret = "alerts.slack_webhook_url" }' in file_of(plant)
    assert HOOK == load(plant.folder, {}).alerts.slack_webhook_url.get_secret_value()
    everywhere = [path.read_bytes() for path in plant.folder.iterdir() if path.is_file()]
    assert not any(b"very-secret" in each for each in everywhere)
    assert "very-secret" not in admin.get(f"{HERE}/alerts").text + admin.get(f"{HERE}/connection").text
    assert "very-secret" not in str(plant.access.entries(limit=9))


def test_a_secret_stays_until_it_is_replaced_or_taken_away(plant, admin):
    admin.press(f"{HERE}/alerts", **{"alerts.slack_webhook_url": HOOK})
    admin.press(f"{HERE}/alerts", **{"alerts.slack_webhook_url": "", "alerts.digest_hours": "2"})
    kept = load(plant.folder, {}).alerts.slack_webhook_url
    admin.press(f"{HERE}/alerts", **{"alerts.slack_webhook_url": f"{HOOK}2"})
    replaced = load(plant.folder, {}).alerts.slack_webhook_url
    admin.press(f"{HERE}/alerts", **{"alerts.slack_webhook_url.drop": "yes"})

    assert (HOOK, f"{HOOK}2") == (kept.get_secret_value(), replaced.get_secret_value())
    assert load(plant.folder, {}).alerts.slack_webhook_url is None


def test_a_secret_that_is_refused_leaves_the_one_before(plant, admin):
    admin.press(f"{HERE}/alerts", **{"alerts.slack_webhook_url": HOOK})
    answer = admin.press(f"{HERE}/alerts", **{"alerts.slack_webhook_url": "not an address very-secret"})

    assert 422 == answer.status_code
    assert "very-secret" not in answer.text
    assert HOOK == load(plant.folder, {}).alerts.slack_webhook_url.get_secret_value()


def test_apprise_addresses_come_and_go_one_by_one(plant, admin):
    form = {"alerts.apprise_urls.shown": "yes"}
    admin.press(f"{HERE}/alerts", **form, **{"alerts.apprise_urls": "ntfy://one\nntfy://two"})
    admin.press(
        f"{HERE}/alerts", **form, **{"alerts.apprise_urls.keep": ["1"], "alerts.apprise_urls": "ntfy://three"}
    )
    kept = [each.get_secret_value() for each in load(plant.folder, {}).alerts.apprise_urls]
    admin.press(f"{HERE}/alerts", **form)

    assert ["ntfy://two", "ntfy://three"] == kept
    assert () == load(plant.folder, {}).alerts.apprise_urls
    assert "ntfy" not in file_of(plant)


# --- addresses that lead inside ------------------------------------------------------------------

INSIDE = {
    "this machine": "https://127.0.0.1/x",
    "this machine by name": "https://localhost/x",
    "this machine as a number": "https://2130706433/x",
    "this machine in IPv6": "https://[::1]/x",
    "this machine, mapped": "https://[::ffff:127.0.0.1]/x",
    "this machine, as IPv6 once wrote it": "https://[::127.0.0.1]/x",
    "this machine, behind NAT64": "https://[64:ff9b::7f00:1]/x",
    "our own network, behind its own NAT64": "https://[64:ff9b:1::a00:1]/x",
    "a cloud's metadata": "https://169.254.169.254/latest/meta-data",
    "our own network": "https://10.0.0.5/x",
    "nowhere": "https://0.0.0.0/x",
    "everybody": "https://224.0.0.1/x",
}


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("field", ["alerts.slack_webhook_url", "alerts.apprise_urls"])
def test_an_address_that_leads_inside_is_refused(plant, admin, address, field):
    given = {
        field: address.replace("https", "json") if "apprise" in field else address,
        f"{field}.shown": "yes",
    }
    answer = admin.press(f"{HERE}/alerts", **given)

    assert 422 == answer.status_code
    assert "console.own_network" in answer.text
    assert CONFIG == file_of(plant)


def test_a_mail_server_inside_is_set_by_whoever_owns_the_machine(plant, admin):
    given = {
        "alerts.smtp_host": "10.0.0.5",
        "alerts.email_from": "a@b.example",
        "alerts.email_to": "a@b.example",
    }
    refused = admin.press(f"{HERE}/alerts", **given)
    write(plant, "\n[console]\nown_network = true\n")

    assert (422, 303) == (refused.status_code, admin.press(f"{HERE}/alerts", **given).status_code)
    assert "a@b.example" not in str(last(plant).detail)


def test_a_mail_password_goes_to_the_server_that_it_was_entered_for(plant, admin):
    mail = {"alerts.email_from": "a@b.example", "alerts.email_to": "a@b.example", "alerts.smtp_user": "a"}
    first = {**mail, "alerts.smtp_host": "smtp.b.example", "alerts.smtp_password": "hidden"}
    assert 303 == admin.press(f"{HERE}/alerts", **first).status_code
    other = {**mail, "alerts.smtp_host": "smtp.c.example"}

    same = admin.press(f"{HERE}/alerts", **{**first, "alerts.smtp_password": ""})
    moved = admin.press(f"{HERE}/alerts", **other)
    anew = admin.press(f"{HERE}/alerts", **other, **{"alerts.smtp_password": "of the other"})

    assert (303, 422, 303) == (same.status_code, moved.status_code, anew.status_code)
    assert "elongs to the mail server that it was entered for: enter it again" in moved.text


def test_a_name_that_leads_inside_is_refused_wherever_it_points():
    assert refusal("https://rebound.example/x", lambda _: ["93.184.215.14", "10.0.0.1"])
    assert refusal("https://fine.example/x", lambda _: ["93.184.215.14"]) is None
    assert refusal("ntfy://topic", lambda _: []) is None


@pytest.mark.parametrize(
    ("sentence", "address", "refused"),
    [
        ("somebody else's NAT64 leads outside", "https://[64:ff9b::5db8:d70e]/x", False),
        ("so does an address of IPv6", "https://[2606:2800:220:1::1]/x", False),
        ("a mail server that is bare", "::1", True),
        ("one in brackets, with its port", "[::1]:25", True),
        ("Apprise's mail server", "mailto://u:p@mail.example?smtp=10.0.0.1", True),
        ("however it is written", "mailto://u:p@mail.example/?to=a;SMTP=10%252E0.0.1", True),
        ("behind a fragment", "mailto://u:p@mail.example/#?smtp=10.0.0.1", True),
        ("one that anybody reaches", "mailto://u:p@mail.example?smtp=smtp.mail.example", False),
        ("a second address in the same text", "json://fine.example/x,json://10.0.0.1/x", True),
        ("two that anybody reaches", "json://fine.example/x, json://well.example/x", False),
        ("what is no address", "https://[x/y", True),
    ],
)
def test_whatever_is_called_for_an_address_is_looked_at(sentence, address, refused):
    assert refused is (refusal(address, lambda _: []) is not None), sentence


# --- API -----------------------------------------------------------------------------------------


def program(plant, role, *scopes):
    person = (plant.access.named(f"program {role}") or [None])[0] or plant.person(f"program {role}", role)
    secret = plant.access.make_token(person.id, "test", list(scopes), plant.now(), plant.now() + 60)
    browser = plant.browser()
    browser.headers["authorization"] = f"Bearer {secret}"
    return browser


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_is_read_and_written_by_programs(plant, section):
    api = program(plant, "admin", "admin")
    found = api.get(f"{API}/settings/{section}").json()
    same = {
        each["path"]: each["value"] for each in found["settings"] if not each["kind"].startswith("secret")
    }

    assert list(settings_of(section)) == [each["path"] for each in found["settings"]]
    assert {"changed": {}} == api.put(
        f"{API}/settings/{section}", json={"settings": same, "seen": found["seen"]}
    ).json()
    assert CONFIG == file_of(plant)


def test_programs_change_settings_and_read_what_was_there(plant):
    api = program(plant, "admin", "admin")

    told = api.put(f"{API}/settings/schedule", json={"settings": {"schedule.sales_seconds": 15}}).json()
    back = api.put(f"{API}/settings/schedule", json={"settings": {"schedule.sales_seconds": None}}).json()

    assert {"changed": {"schedule.sales_seconds": [None, 15]}} == told
    assert {"changed": {"schedule.sales_seconds": [15, None]}} == back
    assert "program admin (token test)" == last(plant).who


BAD = {
    "a setting of another section": ("schedule", {"alerts.digest_hours": 1}, "no setting of this section"),
    "a setting that is none": ("schedule", {"service.host": "0.0.0.0"}, "no setting of this section"),
    "a list for a number": ("schedule", {"schedule.sales_seconds": [1]}, "must be a number"),
    "a truth for a number": ("schedule", {"schedule.sales_seconds": True}, "must be a number"),
    "a text of two lines": ("alerts", {"alerts.email_from": "a@b.example\nx"}, "one line"),
    "a table of numbers": ("authorities", {"customers.authority": {"Phone": 1}}, "name a value"),
    "a rule that is none": ("matching", {"customers.match": ["shoe size"]}, "must be"),
    "a secret that leads inside": (
        "alerts",
        {"alerts.slack_webhook_url": "https://127.0.0.1/x"},
        "own network",
    ),
}


@pytest.mark.parametrize(("section", "wished", "sentence"), BAD.values(), ids=BAD)
def test_programs_are_told_what_is_wrong(plant, section, wished, sentence):
    answer = program(plant, "admin", "admin").put(f"{API}/settings/{section}", json={"settings": wished})

    assert 422 == answer.status_code
    assert sentence in answer.json()["detail"]
    assert CONFIG == file_of(plant)


def test_users_are_let_in_and_changed_by_programs(plant):
    api = program(plant, "admin", "admin")
    made = api.post(
        "/api/v1/users", json={"name": "Vic", "role": "viewer", "limits": {"default": ["001"]}}
    ).json()
    number = made["user"]["id"]
    shut = api.put(f"/api/v1/users/{number}", json={"role": "viewer", "active": False}).json()
    twice = api.post("/api/v1/users", json={"name": "vic", "role": "viewer"})
    limited = api.put(f"/api/v1/users/{number}", json={"role": "admin", "limits": {"default": ["001"]}})
    link = api.post(f"/api/v1/users/{number}/link", json={})

    assert made["link"].startswith("http://localhost/enter/")
    assert {"default": ["001"]} == made["user"]["limits"]
    assert (False, None) == (shut["active"], shut["limits"])
    assert [422, 422, 422] == [each.status_code for each in (twice, limited, link)]
    assert {"Vic", "program admin"} == {each["name"] for each in api.get("/api/v1/users").json()}


def test_the_last_administrator_cannot_leave(plant):
    api = program(plant, "admin", "admin")
    (only,) = api.get("/api/v1/users").json()

    for wish in ({"role": "viewer"}, {"role": "admin", "active": False}):
        assert 422 == api.put(f"/api/v1/users/{only['id']}", json=wish).status_code


def test_the_audit_log_is_read_page_by_page_and_verified(plant):
    for n in range(5):
        plant.access.note("ana", "pressed", str(n), plant.now())
    api = program(plant, "admin", "admin")
    first = api.get("/api/v1/audit", params={"limit": 3}).json()
    rest = api.get("/api/v1/audit", params={"limit": 3, "before": first["older"]}).json()

    assert ([5, 4, 3], [2, 1], None) == (
        [each["number"] for each in first["entries"]],
        [each["number"] for each in rest["entries"]],
        rest["older"],
    )
    assert {"lines": 5, "broken_at": None} == {
        name: value
        for name, value in api.post("/api/v1/audit/verify", json={}).json().items()
        if name in {"lines", "broken_at"}
    }


def test_a_token_is_ended_by_programs(plant):
    api = program(plant, "admin", "admin")
    plant.access.make_token(plant.person("Ana", "viewer").id, "old", ["read"], plant.now(), None)
    old = next(each for each in api.get("/api/v1/tokens").json() if each["name"] == "old")

    assert [1, 0] == [api.delete(f"/api/v1/tokens/{old['id']}").json()["count"] for _ in range(2)]


# --- tokens --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "scopes", "may"),
    [
        pytest.param("admin", ["read"], "looks", id="a reading token of an administrator"),
        pytest.param("admin", ["write"], "presses", id="a writing one"),
        pytest.param("admin", ["admin"], "sets up", id="one for everything"),
        pytest.param("viewer", ["admin"], "looks", id="a wide one of a viewer"),
        pytest.param("admin", ["metrics"], "nothing", id="a watcher's"),
        pytest.param("admin", ["admin", "on:elsewhere"], "nothing here", id="one for another connection"),
        pytest.param("admin", ["admin", "on:default"], "sets up here", id="one for this connection alone"),
    ],
)
def test_a_token_may_what_its_scope_says_and_its_owner_may(plant, role, scopes, may):
    api = program(plant, role, *scopes)
    came = (
        api.get(f"{API}/customers").status_code,
        api.post(f"{API}/resume", json={}).status_code,
        api.get(f"{API}/settings/budget").status_code,
        api.get("/api/v1/users").status_code,
    )

    assert {
        "looks": (200, 403, 403, 403),
        "presses": (200, 200, 403, 403),
        "sets up": (200, 200, 200, 200),
        "nothing": (401, 401, 401, 401),
        "nothing here": (403, 403, 403, 403),
        "sets up here": (200, 200, 200, 403),
    }[may] == came


def test_a_token_is_no_way_into_a_page(plant):
    assert 303 == program(plant, "admin", "admin").get(f"{HERE}/budget").status_code


# --- figures for watchers ------------------------------------------------------------------------


def watcher(plant, address, host="localhost", token=""):
    browser = plant.browser(f"http://{host}", client=(address, 50_000))
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return browser.get("/metrics", headers=headers).status_code


@pytest.mark.parametrize(
    ("address", "host", "expected"),
    [
        pytest.param("127.0.0.1", "localhost", 200, id="this machine"),
        pytest.param("::1", "[::1]", 200, id="this machine in IPv6"),
        pytest.param("::ffff:127.0.0.1", "127.0.0.1", 200, id="this machine, mapped"),
        pytest.param("10.1.2.3", "localhost", 401, id="the network"),
        pytest.param("127.0.0.1", "till.example.com", 401, id="somebody behind a proxy that tells nothing"),
        pytest.param("testclient", "localhost", 401, id="nobody known"),
    ],
)
def test_figures_are_for_this_machine(plant, address, host, expected):
    assert expected == watcher(plant, address, host)


def test_figures_are_for_networks_that_are_named(plant):
    write(plant, '\n[console]\nmetrics_from = ["10.0.0.0/8"]\n')

    assert [200, 401, 401] == [watcher(plant, each) for each in ("10.1.2.3", "11.1.2.3", "127.0.0.1")]


@pytest.mark.parametrize(
    ("role", "scope", "limits", "expected"),
    [
        ("viewer", "metrics", None, 200),
        ("admin", "admin", None, 200),
        ("admin", "write", None, 401),
        ("viewer", "metrics", {"default": ["001"]}, 401),
    ],
)
def test_figures_are_for_tokens_that_say_so(plant, role, scope, limits, expected):
    plant.person("Root", "admin")
    person = plant.person("Ana", role, limits)
    secret = plant.access.make_token(person.id, "x", [scope], plant.now(), plant.now() + 60)

    assert expected == watcher(plant, "10.1.2.3", token=secret)
    plant.access.change(person.id, role=role, limits=limits, active=False)
    assert 401 == watcher(plant, "10.1.2.3", token=secret)


def test_an_administrator_sees_the_figures_in_a_browser(plant):
    assert 200 == plant.signed_in("admin").get("/metrics").status_code


@pytest.mark.parametrize(("may", "status"), [(True, 200), (False, 401)])
def test_a_workers_figures_have_the_same_door(plant, may, status):
    asked = []
    meters = Meters(plant.service, plant.console.jobs, plant.now, dead_after=30.0)
    watched = Watched(
        "127.0.0.1",
        0,
        meters,
        healthy=lambda: None,
        ready=lambda: None,
        may_watch=lambda *who: asked.append(who) or may,
    )
    watched.start()
    here = f"http://127.0.0.1:{watched.port}"
    found = Http().request("GET", f"{here}/metrics", headers={"authorization": "Bearer x"}).status
    well = Http().request("GET", f"{here}/healthz").status
    watched.close()

    assert (status, 200) == (found, well)
    assert [("127.0.0.1", here.removeprefix("http://"), "Bearer x")] == asked


# --- over two sides ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_shop(tmp_path_factory):
    with ExitStack() as stack:
        yield Shop(tmp_path_factory.mktemp("shop"), stack)


@pytest.fixture
def shop(shared_shop):
    """The same shop for all, set as it was: some tests change its file."""
    before = file_of(shared_shop)
    yield shared_shop
    (shared_shop.folder / "tillbridge.toml").write_text(before)


def test_a_test_says_of_both_sides_that_they_answer(shop):
    text = shop.signed_in("admin").press(f"{HERE}/connection/test").text

    assert "Both sides answer" in text or "It works" in text
    assert "demo-secret" not in text
    assert {"checks", "failed"} == set(last(shop).detail)
    checks = program(shop, "admin", "admin").post(f"{API}/check", json={}).json()
    assert {"ok"} == {each["level"] for each in checks if each["what"] == "login"}


def test_the_map_is_held_against_the_org(shop):
    admin = shop.signed_in("admin")
    text = admin.get(f"{HERE}/mapping").text
    found = program(shop, "admin", "admin").get(f"{API}/field-map").json()
    customer = next(each for each in found["tables"] if each["name"] == "customer")

    assert "Every line fits" in text
    assert "/set-up/default/fields" in text
    assert 0 == found["mistakes"]
    assert "LastName" in {each["field"] for each in customer["lines"] if each["both_ways"]}


def test_who_wins_is_asked_of_every_field_that_goes_both_ways(shop):
    text = shop.signed_in("admin").get(f"{HERE}/authorities").text

    assert 'name="customers.authority:PersonEmail"' in text
    assert 'name="customers.authority:LastName"' in text


def test_other_rules_are_tried_on_everybody_and_nothing_is_written(shop):
    admin = shop.signed_in("admin")
    before = file_of(shop)
    same = {"place.external_id": "1", "place.email": "2", "place.phone": "3", "place.address": "4"}
    without = same | {"place.email": ""}

    as_it_is, other = (admin.get(f"{HERE}/matching", params=each).text for each in (same, without))
    (lost,) = [
        each
        for each in program(shop, "admin", "admin")
        .get(f"{API}/what-if/match-rules", params={"match": "external_id,phone,address"})
        .json()["differences"]
        if each["kind"] == "lost"
    ]

    assert "These rules are in force" in as_it_is
    assert "Links lost: 1" in other
    assert "Ada Vermeulen" in other
    assert "Use these rules" in other
    assert (1, [str(shop.ada)]) == (lost["total"], [each["till_id"] for each in lost["examples"]])
    assert before == file_of(shop)


def test_a_rule_that_only_suggests_sends_people_into_review(shop):
    given = {"match": "external_id,email,phone,address", "review": "email"}
    found = program(shop, "admin", "admin").get(f"{API}/what-if/match-rules", params=given).json()

    assert (True, 1, 0) == (found["done"], found["now"]["linked"], found["then"]["linked"])
    assert 1 == found["then"]["in_review"]


@pytest.mark.parametrize(
    "given",
    [
        {"match": "shoes"},
        {"match": "phone", "review": "email"},
        {"match": "external_id", "review": "external_id"},
    ],
)
def test_rules_that_are_none_are_refused(shop, given):
    assert 422 == program(shop, "admin", "admin").get(f"{API}/what-if/match-rules", params=given).status_code


def test_rules_that_were_tried_are_put_in_force(shop):
    admin = shop.signed_in("admin")
    admin.press(
        f"{HERE}/matching",
        **{"place.external_id": "1", "place.phone": "2", "place.email": "3", "suggests.email": "yes"},
    )

    customers = load(shop.folder, {}).customers
    assert (("external_id", "phone", "email"), ("email",)) == (customers.match, customers.review)
    assert {"customers.match", "customers.review"} == set(last(shop).detail["changed"])


def test_a_stream_rests_and_goes_on(shop):
    admin = shop.signed_in("admin")
    admin.press(f"{HERE}/schedule/steer", verb="pause")
    rests = admin.get(f"{HERE}/schedule").text
    admin.press(f"{HERE}/schedule/steer", verb="resume")

    assert "Everything rests" in rests
    assert "Everything rests" not in admin.get(f"{HERE}/schedule").text
    assert 422 == admin.press(f"{HERE}/schedule/steer", verb="stop").status_code


def test_a_test_message_is_sent_and_what_came_of_it_is_said(shop):
    admin, hook = shop.signed_in("admin"), Hook()
    nobody = admin.press(f"{HERE}/alerts/test")
    saved = admin.press(f"{HERE}/alerts", **{"alerts.slack_webhook_url": hook.url})
    taken = admin.press(f"{HERE}/alerts/test").text
    hook.status = 403
    refused = program(shop, "admin", "admin").post(f"{API}/alerts/test", json={}).json()
    hook.close()

    assert (422, 303) == (nobody.status_code, saved.status_code)
    assert "Slack: the test message was taken." in taken
    assert 2 == len(hook.bodies)
    assert ["Slack"] == [each["label"] for each in refused]
    assert "invalid_token" in refused[0]["mistake"]
    assert hook.url not in str(refused)
    assert {"channels": 1, "failed": 1} == last(shop).detail

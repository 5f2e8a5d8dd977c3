"""The set-up by API: what the wizard's pages do, a program does with an administrator's token."""

import json
from threading import Event
from urllib.parse import parse_qs, urlsplit

import pytest
from job_plant import until
from setup_served import APP, APP_SECRET, TILL, EmptyServed
from test_setup import ALLOWED, BASE, Wizard

from tillbridge.connectors.http import Http
from tillbridge.model.errors import Busy, Halted
from tillbridge.setup import checkup, load, steps
from tillbridge.setup.errands import Errand
from tillbridge.store.access import Access
from tillbridge.store.service import open_service, service_url

UPS = "/api/v1/set-ups"
HERE = f"{UPS}/default"
SECRETS = (TILL["client_secret"], APP_SECRET)


def answer_of(address):
    """Allow it on the other side; return the state and the code that it sends a browser back with."""
    with Http() as http:
        back = http.request("GET", address).headers["location"]
    found = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    return {"state": found["state"], "code": found["code"]}


class Walk:
    """A program's way through a set-up. `ask(method, path, body)` returns the status and the document."""

    def __init__(self, ask, world):
        self.ask, self.world = ask, world
        self.seen = []

    def done(self, method, path, body=None):
        status, document = self.ask(method, f"{HERE}{path}", body)
        assert 200 == status, document
        self.seen.append(json.dumps(document))
        return document

    def begin(self):
        assert 200 == self.ask("POST", UPS, {"name": "default"})[0]

    def ask_till(self, **other):
        url = self.world.till_server.url
        return self.done("POST", "/lightspeed", {**TILL, "api_url": url, "auth_url": url, **other})

    def connect(self):
        answer = answer_of(self.ask_till()["address"])
        assert "190001" == self.done("POST", "/lightspeed/answer", answer)["account"]
        assert self.done("POST", "/salesforce", self.credentials())["org"].startswith("org 00D")

    def credentials(self, auth="client_credentials"):
        where = {"login": "own", "domain": self.world.crm_server.url}
        return {"auth": auth, "client_id": APP, "client_secret": APP_SECRET, **where}

    def run(self, step):
        """Begin what takes a while, and ask until it has ended."""
        self.done("POST", f"/{step}", {})
        until(lambda: self.done("GET", f"/{step}")["under_way"]["state"] != "running", f"{step} has ended")
        found = self.done("GET", f"/{step}")
        assert ("done", "") == (found["under_way"]["state"], found["under_way"]["why"])
        return found

    def choose(self):
        """Say what customers become, which stores take part, and that the map is right."""
        assert "person_account" == self.done("GET", "/customers")["model"]
        self.done("PUT", "/customers", {"model": "person_account", "mode": "two_way"})
        offered = self.done("GET", "/stores")["stores"]
        ticked = {
            "stores": [store["id"] for store in offered],
            "registers": [desk["id"] for store in offered for desk in store["registers"]],
        }
        self.done("PUT", "/stores", ticked)
        lines = {each["target"]: each["line"] for each in self.done("GET", "/fields/customer")["lines"]}
        louder = {"lines": {**lines, "LastName": "last_name | upper"}}
        tried = self.done("POST", "/fields/customer/try", louder)
        (line,) = [each for each in tried["lines"] if each["target"] == "LastName"]
        assert ("LINDQVIST", False) in [(cell["writes"], tried["is_saved"]) for cell in line["cells"]]
        assert self.done("PUT", "/fields/customer", louder)["is_saved"]
        self.done("POST", "/fields", {})

    def go_live(self):
        assert self.run("package")["is_installed"]
        assert [] == [each for each in self.run("check")["checks"] if each["check"]["level"] == "fail"]
        self.choose()
        assert 3 == self.run("forecast")["found"]["counts"]["customers"]
        assert 3 == self.run("load")["examples"]
        assert self.done("POST", "/load/approve", {})["is_approved"]
        assert self.done("POST", "/live", {})["is_live"]


class Office(Wizard):
    """The wizard's installation, with programs of its administrator and of others."""

    def program(self, role="admin", *scopes, name="program"):
        person = (self.access.named(f"{name} {role}") or [None])[0] or self.person(f"{name} {role}", role)
        secret = self.access.make_token(
            person.id, "test", list(scopes or ("admin",)), self.now(), self.now() + 86_400
        )
        browser = self.browser()
        browser.headers["authorization"] = f"Bearer {secret}"
        return browser

    def walk(self, program=None):
        program = program or self.program()

        def ask(method, path, body=None):
            answer = program.request(method, path, json=body)
            return answer.status_code, answer.json()

        return Walk(ask, self.world)


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def connected(tmp_path_factory):
    """Both sides connected and nothing else; tests that share it leave it so."""
    made = Office(tmp_path_factory.mktemp("office"))
    walk = made.walk()
    walk.begin()
    walk.connect()
    yield made
    made.close()


# --- the story -----------------------------------------------------------------------------------


def test_a_program_goes_from_an_empty_folder_to_the_first_receipt(tmp_path):
    served = EmptyServed(tmp_path)
    service = open_service(service_url(served.home, None))
    access, now = Access(service), served.world.clock.now().timestamp()
    person = access.add("Ops", "admin", now, password="nobody signs in by it")
    token = access.make_token(person.id, "set-up", ["admin"], now, now + 3_600)

    with Http() as http:

        def ask(method, path, body=None):
            answer = http.request(
                method,
                f"{served.url}{path}",
                headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
                content=None if body is None else json.dumps(body).encode(),
            )
            return answer.status, json.loads(answer.body)

        walk = Walk(ask, served.world)
        walk.begin()
        walk.connect()
        walk.go_live()
        until(
            lambda: [row for row in ask("GET", "/api/v1/c/default/sales")[1]["rows"] if row["crm_id"]],
            "a receipt is in Salesforce",
            seconds=60,
        )
        audited = {each["what"] for each in ask("GET", "/api/v1/audit")[1]["entries"]}
    service.close()
    served.close()

    assert [] == [secret for secret in SECRETS if any(secret in each for each in walk.seen)]
    assert {"set-up begun", "till connected", "org connected", "package installed", "went live"} <= audited


# --- consent -------------------------------------------------------------------------------------


def test_what_a_program_asked_for_its_owners_browser_may_answer(office):
    walk = office.walk()
    walk.begin()
    asked = walk.ask_till()
    owner = office.signed_in_as(office.access.named("program admin")[0])

    back = office.follow(asked["address"])

    assert f"{BASE}/connected/lightspeed" == asked["redirect"]
    assert 303 == owner.get(back).status_code
    assert "190001" == walk.done("GET", "/lightspeed")["account"]


def test_what_a_program_asked_for_nobody_else_answers(office):
    walk = office.walk()
    walk.begin()
    address = walk.ask_till()["address"]

    other = office.program(name="another").post(f"{HERE}/lightspeed/answer", json=answer_of(address))
    gone = office.program().post(f"{HERE}/lightspeed/answer", json=answer_of(address))

    assert (409, 409) == (other.status_code, gone.status_code)
    assert "Another browser has asked for that. Begin again in this one." == other.json()["detail"]
    assert None is walk.done("GET", "/lightspeed")["account"]


def test_what_a_browser_asked_for_no_program_answers(office):
    office.begin()
    office.ask_till()
    person = office.access.named("admin")[0]
    secret = office.access.make_token(person.id, "x", ["admin"], office.now(), office.now() + 60)
    program = office.browser(headers={"authorization": f"Bearer {secret}"})

    answer = program.post(f"{HERE}/lightspeed/answer", json=answer_of(office.consent("lightspeed")))

    assert 409 == answer.status_code


def test_salesforce_is_connected_by_consent_and_by_a_key_made_here(office):
    walk = office.walk()
    walk.begin()
    asked = walk.done("POST", "/salesforce", walk.credentials("refresh_token"))
    assert None is asked["org"]

    joined = walk.done("POST", "/salesforce/answer", answer_of(asked["waits_for"]["address"]))
    made = walk.done("POST", "/salesforce/key", {})

    assert joined["org"].startswith("org 00D")
    assert made == walk.done("GET", "/salesforce/certificate")
    assert made["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in "".join(walk.seen)


def test_one_of_several_accounts_is_chosen(office):
    office.world.till_app.world.switches.set({"accounts_listed": 2, "token_names_account": False})
    walk = office.walk()
    walk.begin()

    offered = walk.done("POST", "/lightspeed/answer", answer_of(walk.ask_till()["address"]))
    chosen = walk.done("POST", "/lightspeed/account", {"account": "190001"})

    assert (None, ["190001", "190002"]) == (offered["account"], [each["id"] for each in offered["accounts"]])
    assert "190001" == chosen["account"]


def test_no_account_is_chosen_from_an_earlier_consent(office):
    walk = office.walk()
    walk.begin()
    walk.connect()
    before = office.setups.settings("default"), office.setups.unsealed("default", "lightspeed_client_secret")

    walk.ask_till(client_id="another", client_secret="of another")
    answer = office.program().post(f"{HERE}/lightspeed/account", json={"account": "190001"})

    assert 422 == answer.status_code
    assert "Allow it in Lightspeed first" in answer.text
    assert before == (
        office.setups.settings("default"),
        office.setups.unsealed("default", "lightspeed_client_secret"),
    )


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        pytest.param("admin", ("write",), id="a token that may press and not set up"),
        pytest.param("operator", ("admin",), id="a wide token of an operator"),
        pytest.param("admin", ("admin", "on:default"), id="a token for one connection"),
    ],
)
def test_only_an_administrators_token_sets_up(connected, role, scopes):
    program = connected.program(role, *scopes)

    found = {
        program.get(UPS).status_code,
        program.post(UPS, json={"name": "north"}).status_code,
        program.delete(HERE).status_code,
        program.post(f"{HERE}/lightspeed", json=TILL).status_code,
    }

    assert {403} == found


EVERYTHING = {"stores": ["1", "2", "3"], "registers": ["1", "2", "3"]}
REFUSED = {
    "a name that is taken": ("POST", "", {"name": "default"}, 422, "a connection called default already"),
    "a set-up that is not there": ("GET", "/../nowhere", None, 404, "nothing at this address"),
    "no client id": ("POST", "/lightspeed", {"client_id": ""}, 422, "client_id: Enter the client id"),
    "an address of somebody else": (
        "POST",
        "/lightspeed",
        {**TILL, "api_url": "http://169.254.169.254"},
        422,
        "api_url: http://169.254.169.254 is none of Lightspeed's own hosts",
    ),
    "an answer that nobody asked for": (
        "POST",
        "/lightspeed/answer",
        {"state": "default.x", "code": "y"},
        409,
        "nobody asked for it",
    ),
    "an account of nobody": ("POST", "/lightspeed/account", {"account": "4711"}, 422, "account: Choose one"),
    "a login at somebody else's": (
        "POST",
        "/salesforce",
        {"auth": "jwt", "login": "own", "domain": "https://example.com", "client_id": "x"},
        422,
        "domain: example.com is no login address of Salesforce",
    ),
    "a wrong consumer secret": ("POST", "/salesforce", {"client_secret": "another"}, 409, "invalid_client"),
    "a step before others": ("POST", "/live", {}, 409, "Not yet: “Install the package”"),
    "fields before the package": ("GET", "/fields/customer", None, 409, "Not yet: “Install the package”"),
    "a store of nobody": ("PUT", "/stores", {**EVERYTHING, "stores": ["77"]}, 422, "no store or register"),
    "no store": ("PUT", "/stores", {**EVERYTHING, "stores": []}, 422, "stores"),
    "a day before all tills": ("PUT", "/stores", {**EVERYTHING, "since": "1066-10-14"}, 422, "since"),
    "a model that there is not": ("PUT", "/customers", {"model": "x", "mode": "two_way"}, 422, "model"),
}


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), REFUSED.values(), ids=REFUSED)
def test_what_will_not_do_is_said_in_one_sentence(connected, method, path, body, status, words):
    address = {"": UPS, "/../nowhere": f"{UPS}/nowhere"}.get(path, f"{HERE}{path}")
    if path == "/salesforce" and "auth" not in body:
        body = {**connected.walk().credentials(), **body}
    before = connected.setups.settings("default")

    answer = connected.program().request(method, address, json=body)

    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    assert words in answer.json()["detail"]
    assert before == connected.setups.settings("default")


def test_a_field_is_named_with_its_mistake(connected):
    answer = connected.program().post(f"{HERE}/lightspeed", json={"client_id": "", "api_url": "ftp://x"})

    assert ["client_id", "client_secret", "api_url"] == [each["field"] for each in answer.json()["mistakes"]]


def test_without_leave_no_program_is_led_to_this_machine(tmp_path):
    strict = Office(tmp_path, config=ALLOWED.replace("true", "false"))
    try:
        walk = strict.walk()
        walk.begin()
        url = strict.world.till_server.url
        answer = strict.program().post(f"{HERE}/lightspeed", json={**TILL, "api_url": url})
        assert 422 == answer.status_code
    finally:
        strict.close()


def test_what_was_refused_is_written_down_as_refused(connected):
    connected.program().post(f"{HERE}/lightspeed/account", json={"account": "4711"})

    (entry,) = connected.access.entries(limit=1)

    assert ("till connected", "default", "program admin (token test)") == (
        entry.what,
        entry.subject,
        entry.who,
    )
    assert "Choose one of the accounts" in entry.detail["refused"]


def test_how_an_errand_has_ended_is_written_down(connected):
    walk = connected.walk()
    walk.run("check")

    (entry,) = [each for each in connected.access.entries(limit=5) if each.what == "set-up checked"]

    assert entry.detail["failed"] > 0, "the package is not installed yet"


def test_a_map_that_will_not_do_is_not_kept(office):
    walk = office.walk()
    walk.begin()
    walk.connect()
    walk.run("package")
    lines = {each["target"]: each["line"] for each in walk.done("GET", "/fields/customer")["lines"]}

    answer = office.program().put(
        f"{HERE}/fields/customer", json={"lines": {**lines, "LastName": "lats_name"}}
    )

    assert (422, ["LastName"]) == (
        answer.status_code,
        [each["field"] for each in answer.json()["mistakes"]],
    )
    assert {} == office.setups.settings("default").get("map", {})
    assert {"customer", "sale"} <= set(walk.done("GET", "/fields")["tables"])
    assert 404 == office.program().get(f"{HERE}/fields/weather").status_code


# --- before it is live ---------------------------------------------------------------------------

NOT_YET = (
    "default is still being set up: nothing is written to either side before an administrator lets it go "
    "live at the end of its set-up in the console."
)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("customers/sync", {"ids": ["1"]}, id="customers are sent"),
        pytest.param("sales/sync", {"ids": ["1"]}, id="receipts are sent"),
        pytest.param("duplicates/merge", {}, id="duplicates are merged"),
        pytest.param("resume", {}, id="it is let go on beside its set-up"),
    ],
)
def test_nothing_is_written_before_it_is_live(connected, path, body):
    answer = connected.program("admin", "write", "admin", name=path).post(
        f"/api/v1/c/default/{path}", json=body
    )

    assert (409, NOT_YET) == (answer.status_code, answer.json().get("detail"))
    assert "default" in connected.service.stopped()


def test_a_load_is_not_approved_while_it_is_looked_at_again(office):
    office.connect()
    office.setups.keep("default", load.FOUND, {"counts": {}, "plan": None})
    ready, go = Event(), Event()
    office.setups.errand("default", steps.LOAD, lambda _: (ready.set(), go.wait(10)))
    ready.wait(10)

    try:
        with pytest.raises(Busy, match="is being looked at again"):
            load.approve(office.setups, office.console.actions, "default", "admin")
    finally:
        go.set()


def test_a_check_of_what_was_connected_before_does_not_count(office):
    office.connect()
    office.run("package")
    work = checkup.look(office.setups, "default", "admin")

    class Reconnecting(Errand):
        def bar(self, title, total=None):
            office.setups.done("default", steps.LIGHTSPEED, "another admin")
            return super().bar(title, total)

    with pytest.raises(Halted, match="connected anew meanwhile"):
        work(Reconnecting(steps.CHECK))
    assert steps.CHECK not in office.setups.standing("default").done


# --- dropped -------------------------------------------------------------------------------------


def test_a_draft_is_dropped_with_its_secrets(office):
    walk = office.walk()
    walk.begin()
    walk.ask_till()

    dropped = office.program().delete(HERE)

    assert ({"count": 1}, []) == (dropped.json(), office.program().get(UPS).json())
    assert frozenset() == office.sealed()
    assert ALLOWED == (office.home / "tillbridge.toml").read_text()
    assert "set-up dropped" == office.access.entries(limit=1)[0].what
    assert 404 == office.program().delete(HERE).status_code


def test_a_step_that_ends_after_the_drop_does_not_begin_it_anew(office):
    office.walk().begin()
    office.program().delete(HERE)
    for ends in (
        lambda: office.setups.keep("default", "forecast", {"counts": {}}),
        lambda: office.setups.done("default", "check", "Kim"),
        lambda: office.setups.undone("default", "fields"),
    ):
        with pytest.raises(Halted, match="dropped meanwhile"):
            ends()

    assert [] == office.program().get(UPS).json()


def test_what_stood_still_is_dropped_and_the_installation_stays(office):
    kept = "[console]\nown_network = true\n"
    (office.home / "tillbridge.toml").write_text(ALLOWED + kept)
    office.setups.seal("default", {"console.oidc.client_secret": "of the console"})
    office.setups.seal("default", {"alerts.slack_webhook_url": "https://hooks.example.com/1"})
    office.connect()
    office.run("package")
    assert 200 == office.admin.get("/api/v1/c/default/overview").status_code
    office.begin("north")
    office.connect_till("north")

    asked = office.admin.get("/set-up/default/drop")
    answer = office.admin.press("/set-up/default/drop")

    assert "The package stays in the org" in asked.text
    assert "/set-up?said=set-up-dropped" == answer.headers["location"]
    assert ["north"] == [each.name for each in office.setups.all()]
    assert ({}, {}) == (office.console.connections(), office.service.stopped())
    text = (office.home / "tillbridge.toml").read_text()
    assert ("simulators = true" in text, kept in text, "lightspeed" in text) == (True, True, False)
    assert {"console.oidc.client_secret"} == office.sealed()
    assert "lightspeed_refresh_token" in office.sealed("north")
    assert not list(office.home.glob("tillbridge.sqlite*"))


def test_a_set_up_that_was_dropped_can_begin_anew(office):
    office.begin("north")
    office.connect_till("north")
    office.connect_crm("north")
    home = office.setups.home("north")

    office.admin.press("/set-up/north/drop")
    assert not home.exists()
    office.begin("north")
    office.connect_till("north")
    office.connect_crm("north")

    assert "package" == office.setups.standing("north").next


def test_what_is_live_is_erased_at_the_command_line_only(office):
    walk = office.walk()
    walk.begin()
    walk.connect()
    walk.go_live()
    before = office.setups.settings("default")

    by_program, by_page = office.program().delete(HERE), office.admin.press("/set-up/default/drop")

    assert (409, 409) == (by_program.status_code, by_page.status_code)
    assert "tillbridge connection remove default" in by_program.json()["detail"]
    assert (before, True) == (
        office.setups.settings("default"),
        office.setups.standing("default").is_live,
    )
    assert "refused" in office.access.entries(limit=1)[0].detail


def test_what_is_live_does_not_go_live_again(office):
    walk = office.walk()
    walk.begin()
    walk.connect()
    walk.go_live()
    office.service.stop("default", "stock-taking", office.now())

    answer = office.program().post(f"{HERE}/live", json={})

    assert (409, "default is live already; what rests there goes on under Runs.") == (
        answer.status_code,
        answer.json()["detail"],
    )
    assert "stock-taking" == office.service.stopped()["default"][0], "a pause stays a pause"


def test_nothing_is_dropped_while_a_step_is_at_work(office):
    office.connect()
    ready, go = Event(), Event()
    office.setups.errand("default", steps.PACKAGE, lambda _: (ready.set(), go.wait(10)))
    ready.wait(10)

    answer = office.program().delete(HERE)
    go.set()

    assert 503 == answer.status_code
    assert "“Install the package” is still at work" in answer.json()["detail"]
    assert office.setups.is_known("default")

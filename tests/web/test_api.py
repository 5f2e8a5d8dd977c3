"""The JSON API over a small world: what it shows, does and refuses; and whatever its OpenAPI allows."""

from contextlib import ExitStack

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from world import World

from tillbridge.engine.jobs import Jobs
from tillbridge.store.access import Access
from tillbridge.store.service import open_service, service_url
from tillbridge.views.books import Library
from tillbridge.web.api.openapi import document
from tillbridge.web.app import create_app
from tillbridge.web.console import Console
from tillbridge.web.table import ROUTES

HERE = "/api/v1/c/default"


class Office:
    """A shop with a console, and a client for each kind of token."""

    def __init__(self, folder, stack):
        world = self.world = World(folder)
        stack.callback(world.close)
        world.install()
        self.ring = world.item("Gold ring", "100")
        self.ada = world.customer("Ada", "Vermeulen", email="ada@mail.example")
        self.dora = world.customer("Dora", "Novák", email="dora@mail.example")
        world.refuse("Account", "LastName", "Novák", "no such family")
        self.sale = world.ring(self.ring, customer=self.ada)
        world.backfill()
        service = open_service(service_url(folder, None))
        jobs = Jobs(service)
        self.access = Access(service)
        self.library = Library(folder, service, jobs, world.clock, {})
        console = Console(
            folder=folder,
            service=service,
            jobs=jobs,
            clock=world.clock,
            env={},
            access=self.access,
            library=self.library,
            healthy=lambda: None,
            ready=lambda: None,
            metrics=lambda: ("text/plain", b""),
        )
        self.service = service
        self.app = create_app(console)
        for close in (service.close, lambda: jobs.stop(0), self.library.close, console.actions.close):
            stack.callback(close)

    def client(self, scope="write", role="operator", limits=None):
        now = self.world.clock.now().timestamp()
        name = f"{role} {scope} {limits}"
        known = self.access.named(name)
        person = (
            known[0] if known else self.access.add(name, role, now, password="no password", limits=limits)
        )
        secret = self.access.make_token(person.id, "test", [scope], now, now + 86_400)
        client = TestClient(self.app, base_url="http://localhost")
        client.headers["authorization"] = f"Bearer {secret}"
        return client


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with ExitStack() as stack:
        yield Office(tmp_path_factory.mktemp("office"), stack)


@pytest.fixture
def api(office):
    return office.client()


SHOWN = [route.path for route in ROUTES if route.is_api and route.method == "GET"]


@pytest.mark.parametrize("path", SHOWN)
def test_every_question_is_answered(office, path):
    api = office.client("admin", "admin")
    known = {
        "connection": "default",
        "who": office.ada,
        "sale": office.sale,
        "which": office.ring,
        "store": 1,
        "day": "2026-11-20",
        "number": 1,
        "section": "schedule",
        "name": "default",
        "table": "customer",
    }
    answer = api.get(path.format(**known), params={"match": "email"} if "what-if" in path else {})

    assert answer.status_code in {200, 404}, answer.text
    if answer.status_code == 404:
        named = path.rpartition("/")[2]
        assert named in {"{number}", "certificate", "look"}, "only what is made first may be missing"


def test_a_customer_is_found_and_shown(office, api):
    (row,) = api.get(f"{HERE}/customers", params={"q": "verm"}).json()["rows"]

    assert str(office.ada) == row["id"]
    assert "Ada Vermeulen" == api.get(f"{HERE}/customers/{row['id']}").json()["name"]


def test_three_rows_are_sent_and_each_has_its_answer(office, api):
    office.world.edit_customer(office.ada, title="Dr")
    sent = api.post(f"{HERE}/customers/sync", json={"ids": [str(office.ada), str(office.dora), "99"]}).json()

    assert {str(office.ada): "sent", str(office.dora): "refused", "99": "not in the till"} == {
        each["id"]: each["outcome"] for each in sent["records"]
    }
    (done,) = api.post(f"{HERE}/sales/sync", json={"ids": [str(office.sale)]}).json()["records"]
    assert "sent" == done["outcome"]


def test_a_receipt_is_compared_before_it_is_sent_again(office, api):
    found = api.post(f"{HERE}/sales/{office.sale}/preview", json={}).json()

    assert [] == [row for row in found["fields"] if row["differs"]]
    assert found["in_crm"]


def test_a_cause_is_fixed_and_drains(tmp_path_factory):
    with ExitStack() as stack:
        office = Office(tmp_path_factory.mktemp("fixed"), stack)
        api = office.client()
        (card,) = api.get(f"{HERE}/causes").json()["causes"]
        wish = {"cause": card["cause"], "action": "replace", "values": {"Novák": "Novak"}}
        done = api.post(f"{HERE}/causes/fix", json=wish).json()

        assert (1, 1, []) == (done["asked"], done["accepted"], done["refused"])
        assert [] == api.get(f"{HERE}/causes").json()["causes"]
        assert api.post(f"{HERE}/causes/fix", json={**wish, "action": "undo"}).status_code == 200


def test_a_problem_is_retried_ignored_and_edited(tmp_path_factory):
    with ExitStack() as stack:
        office = Office(tmp_path_factory.mktemp("edited"), stack)
        api = office.client()
        (line,) = api.get(f"{HERE}/problems").json()["rows"]
        again = api.post(f"{HERE}/problems/retry", json={"ids": [line["id"]]}).json()
        assert (1, 0) == (again["asked"], again["accepted"])
        assert {"count": 1} == api.post(
            f"{HERE}/problems/ignore", json={"ids": [line["id"]], "note": "later"}
        ).json()
        assert [] == api.get(f"{HERE}/problems").json()["rows"]
        edited = api.post(f"{HERE}/problems/{line['id']}/edit", json={"fields": {"LastName": "Novak"}}).json()
        assert 1 == edited["accepted"]


def test_a_preview_is_applied_as_it_was_shown(tmp_path_factory):
    with ExitStack() as stack:
        office = Office(tmp_path_factory.mktemp("applied"), stack)
        api = office.client()
        office.world.pass_time(minutes=2)
        office.world.edit_customer(office.ada, firstName="Adelheid")
        made = api.post(f"{HERE}/plans/preview", json={}).json()
        (entry,) = api.get(f"{HERE}/plans/{made['plan']}").json()["entries"]
        assert ["Ada", "Adelheid"] == entry["fields"]["FirstName"]

        wrong = api.post(f"{HERE}/plans/{made['plan']}/apply", json={"checksum": "0" * 64})
        assert 409 == wrong.status_code
        done = api.post(f"{HERE}/plans/{made['plan']}/apply", json={"checksum": made["checksum"]}).json()
        assert {"updated": 1} == {k: v for k, v in done["counts"].items() if k == "updated"}
        back = api.post(f"{HERE}/runs/{done['run']}/undo", json={"dry": False}).json()
        assert "Ada" in [value["to"] for value in back["values"] if value["why_not"] is None]


def test_a_connection_rests_and_goes_on(office, api):
    assert {"count": 1} == api.post(f"{HERE}/pause", json={"why": "stock-taking"}).json()
    assert "stock-taking" == api.get(f"{HERE}/work").json()["paused"]
    assert {"count": 1} == api.post(f"{HERE}/resume", json={}).json()
    assert api.get(f"{HERE}/work").json()["paused"] is None
    assert 404 == api.post(f"{HERE}/pause", json={"stream": "weather"}).status_code


@pytest.mark.parametrize(
    ("sentence", "path", "body", "status", "words"),
    [
        ("an id is no sentence", "customers/sync", {"ids": ["a b"]}, 422, "ids.0"),
        ("a customer of the till has a number", "customers/sync", {"ids": ["1", "abc"]}, 422, "ids.1"),
        ("nobody is sent by nobody", "customers/sync", {"ids": []}, 422, "ids"),
        ("a body has no other fields", "customers/sync", {"ids": ["1"], "force": True}, 422, "force"),
        ("a problem has to be there", "problems/retry", {"ids": [999]}, 404, "no problem 999"),
        ("a cause has to be there", "causes/fix", {"cause": "x", "action": "leave_out"}, 404, "no cause"),
        (
            "a conflict has to be there",
            "conflicts/keep",
            {"ids": [9], "winner": "till"},
            409,
            "no conflict 9",
        ),
        ("a plan has to be there", "plans/9/approve", {"checksum": "0" * 16}, 409, "no plan 9"),
        (
            "nobody has to decide about Ada",
            "reviews/1/choose",
            {"choice": "new"},
            422,
            "Nobody has to decide",
        ),
        ("nothing was decided", "causes/fix", {"cause": "x", "action": "undo"}, 422, "nothing to undo"),
        ("a run has to have changed something", "runs/999/undo", {}, 409, "has changed no customer"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(api, sentence, path, body, status, words):
    answer = api.post(f"{HERE}/{path}", json=body)

    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"]), (
        sentence
    )
    assert status == answer.json()["status"]
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("store", "limits"),
    [
        pytest.param("1", {"default": ["2"]}, id="of a store that a viewer does not see"),
        pytest.param("999", None, id="of no store"),
    ],
)
def test_there_are_no_figures(office, store, limits):
    asks = office.client("read", "viewer", limits)

    assert 404 == asks.get(f"{HERE}/figures", params={"store": store}).status_code


def test_what_somebody_sends_is_a_run_that_can_be_looked_up_even_if_nothing_was_new(office, api):
    run = [api.post(f"{HERE}/customers/sync", json={"ids": [str(office.ada)]}).json()["run"] for _ in "12"]

    assert [200, 200] == [api.get(f"{HERE}/runs/{number}").status_code for number in run]
    assert run[0] != run[1]


def test_a_list_counts_to_its_end_from_beyond_it_too(office, api):
    for name in ("customers", "sales", "products"):
        whole = len(api.get(f"{HERE}/{name}").json()["rows"])
        assert whole == api.get(f"{HERE}/{name}", params={"offset": 5_000}).json()["slice"]["total"], name


def test_no_amount_is_too_large_to_look_for(office, api):
    assert [] == api.get(f"{HERE}/sales", params={"q": f"{10**22}.00"}).json()["rows"]
    assert [str(office.sale)] == [row["id"] for row in api.get(f"{HERE}/sales").json()["rows"]]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/c/nowhere/customers", 404),
        (f"{HERE}/customers/99999", 404),
        (f"{HERE}/sales/99999", 404),
        (f"{HERE}/sales?first=2026-11-20&last=yesterday", 422),
        (f"{HERE}/figures?first=2026-11-20&last=2026-11-01", 422),
        (f"{HERE}/customers?limit=100000", 422),
        (f"{HERE}/budget?what_if=colour%3Dblue", 422),
        (f"{HERE}/problems/99999999999999999999", 422),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(api, path, status):
    answer = api.get(path)

    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])


def test_a_reader_may_not_press(office):
    reader = office.client("read")

    assert 200 == reader.get(f"{HERE}/overview").status_code
    assert 403 == reader.post(f"{HERE}/problems/retry", json={}).status_code
    assert 401 == TestClient(office.app, base_url="http://localhost").get(f"{HERE}/overview").status_code


def test_whoever_sees_another_store_sees_neither_ada_nor_her_receipt(office):
    elsewhere = office.client("read", "viewer", {"default": ["9"]})

    assert [] == elsewhere.get(f"{HERE}/customers").json()["rows"]
    assert [] == elsewhere.get(f"{HERE}/sales").json()["rows"]
    assert 404 == elsewhere.get(f"{HERE}/customers/{office.ada}").status_code
    assert 404 == elsewhere.get(f"{HERE}/sales/{office.sale}").status_code
    assert 403 == elsewhere.get(f"{HERE}/runs").status_code


def test_openapi_names_every_route_and_what_it_answers(office):
    described = document(office.app)
    named = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}

    assert {(route.path, route.method) for route in ROUTES if route.is_api} == named
    for path, methods in described["paths"].items():
        for operation in methods.values():
            shown = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert shown or path.endswith("openapi.json")


@pytest.fixture(scope="module")
def schema(office):
    found = schemathesis.openapi.from_dict(document(office.app))
    found.app = office.app
    return found


ASKED = [(route.method, route.path) for route in ROUTES if route.is_api]


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_whatever_the_openapi_allows_makes_no_server_error(office, schema, method, path):
    client = office.client()
    headers = {"authorization": client.headers["authorization"]}

    @given(case=schema[path][method].as_strategy())
    @settings(
        max_examples=5,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        case.path_parameters["connection"] = "default"
        answer = case.call(headers=headers, base_url="http://localhost")
        assert answer.status_code < 500, answer.text

    ask()

"""The loop around Lightspeed: against a till whose answers are written down, and against the simulator."""

import base64
import json
import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tillbridge.connectors.http import Http
from tillbridge.connectors.lightspeed_r import LightspeedR, MemoryTokenStore
from tillbridge.engine.ports import Till
from tillbridge.model.errors import (
    BadRequest,
    ConfigurationInvalid,
    CredentialsRefused,
    LimitReached,
    NotFound,
    PermissionMissing,
    Transient,
)
from tillbridge.model.quota import NoTillQuota
from tillbridge.model.reading import Query, TillAccount
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Fault, Response, Server
from tillbridge.simulators.lightspeed import build
from tillbridge.simulators.retailer import Plan

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
CLOUDFLARE = b"<html><head><title>502 Bad Gateway</title></head></html>"
SINCE = Query(since=NOW - timedelta(minutes=10))


class SharedClock:
    """The simulator's clock, waited on by jumping it ahead."""

    def __init__(self, clock):
        self._clock = clock
        self.waited = []

    def now(self):
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def monotonic(self):
        return self._clock.now()

    def sleep(self, seconds):
        self.waited.append(seconds)
        self._clock.advance(seconds)


def token(account="190001"):
    pieces = [json.dumps(piece).encode() for piece in ({"alg": "RS256"}, {"acct": account})]
    return ".".join([*(base64.urlsafe_b64encode(piece).decode().rstrip("=") for piece in pieces), "sig"])


class ScriptedTill:
    """Answers each API request with the next line of a script, however often tokens are asked for."""

    def __init__(self, *script, access=None):
        self.clock = SimClock(NOW.timestamp(), running=False)
        self.script = list(script)
        self.access = access
        self.refreshes = 0
        self.requests = []

    def handle(self, request):
        if request.path == "/auth/oauth/token":
            self.refreshes += 1
            access = f"{self.access or token()}{self.refreshes}"
            return Response.of({"access_token": access, "refresh_token": "next", "expires_in": 3600})
        self.requests.append(request)
        return self.script.pop(0) if self.script else page()

    def control(self, request):
        raise AssertionError(request.path)

    @property
    def asked(self):
        return [dict(request.query) for request in self.requests]


def page(*ids, following="", name="Sale", **headers):
    rows = [
        {
            "saleID": number,
            "completed": "true",
            "voided": "false",
            "archived": "false",
            "shopID": "1",
            "timeStamp": "2026-03-02T17:00:00+00:00",
            "updatetime": f"2026-03-02T17:00:{int(number):02}+00:00",
            "saleVoidID": number,
        }
        for number in ids
    ]
    body = {"@attributes": {"next": following, "previous": ""}}
    if rows:
        body[name] = rows[0] if len(rows) == 1 else rows
    return Response(200, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


def after(place, **more):
    query = "".join(f"&{name}={value}" for name, value in more.items())
    return f"https://api.lightspeedapp.com/API/V3/Account/190001/Sale.json?limit=100&after={place}{query}"


def refusal(status, message="no", **headers):
    body = {"httpCode": str(status), "message": message, "errorClass": "Exception"}
    return Response(
        status, json.dumps(body).encode(), {"Content-Type": "text/html; charset=UTF-8", **headers}
    )


def connect(url, clock, http, **more):
    return LightspeedR(
        **{
            "client_id": "demo-client",
            "client_secret": "demo-secret",
            "refresh_token": "demo-refresh",
            "store": MemoryTokenStore(),
            "clock": clock,
            "rng": random.Random(1),
            "http": http,
            "api_url": url,
            "auth_url": url,
            "account_id": "190001",
        }
        | more
    )


@contextmanager
def scripted(*script, access=None, faults=(), **more):
    app = ScriptedTill(*script, access=access)
    server = Server(app).start()
    server.faults.extend(faults)
    clock = SharedClock(app.clock)
    try:
        with Http() as http:
            yield connect(server.url, clock, http, **more), app, clock
    finally:
        server.close()


def ids(pages):
    return [[row.id for row in page.rows] for page in pages]


# --- pages


def test_pages_follow_next_and_keep_what_was_asked():
    script = [page("1", "2", following=after("a%3D")), page("3", following=after("b")), page()]
    with scripted(*script) as (till, app, _):
        pages = list(till.sales(SINCE))
    assert [["1", "2"], ["3"], []] == ids(pages)
    assert [None, "a=", "b"] == [query.get("after") for query in app.asked]
    for query in app.asked:
        assert (">=,2026-03-02T17:50:00+00:00", "updatetime", "true") == (
            query["updatetime"],
            query["sort"],
            query["archived"],
        )
        assert "SaleLines.Note" in query["load_relations"]
    assert {"application/json"} == {request.headers["accept"] for request in app.requests}
    assert [datetime(2026, 3, 2, 17, 0, 2, tzinfo=UTC), datetime(2026, 3, 2, 17, 0, 3, tzinfo=UTC), None] == [
        page.high for page in pages
    ]
    assert {NOW} == {page.server_time for page in pages}
    assert (3, {"Sale": 3}) == (till.calls, dict(till.calls_by_endpoint))


class Urgent(NoTillQuota):
    """A quota of somebody who waits."""

    urgent = True


@pytest.mark.parametrize(
    ("quota", "waits"),
    [
        pytest.param(NoTillQuota(), True, id="a poll lets the bucket leak"),
        pytest.param(Urgent(), False, id="a person does not wait for that"),
    ],
)
def test_who_waits_goes_into_the_room_at_the_top_of_the_bucket(quota, waits):
    full = {"X-LS-API-Bucket-Level": "80/90", "X-LS-API-Drip-Rate": "1"}
    with scripted(page("1", **full), quota=quota) as (till, _, clock):
        list(till.sales(SINCE))
        clock.sleep(2)
        clock.waited.clear()
        list(till.sales(SINCE))
    assert waits == (sum(clock.waited) > 10)


def test_the_token_goes_to_nobody_else():
    """A next page on another host is read from our own."""
    with scripted(
        page("1", following="http://evil.example/API/V3/Account/190001/Sale.json?after=x"), page("2")
    ) as (
        till,
        app,
        _,
    ):
        assert [["1"], ["2"]] == ids(till.sales(SINCE))
    assert 2 == len(app.requests)


def test_a_read_resumes_behind_any_page():
    with scripted(page("1", following=after("x")), page("2"), page("2")) as (till, app, _):
        first, second = till.sales(SINCE)
        (again,) = till.sales(Query(since=SINCE.since, resume=first.next))
    assert second == again
    assert app.asked[1] == app.asked[2]


def test_ids_are_read_by_the_hundred_and_resume_too():
    wanted = tuple(str(number) for number in range(1, 151))
    with scripted(page("1"), page("2"), page("2")) as (till, app, _):
        first, second = till.sales(Query(ids=wanted))
        (again,) = till.sales(Query(ids=wanted, resume=first.next))
    assert (None, second) == (second.next, again)
    assert [99, 49, 49] == [query["saleID"].count(",") - 1 for query in app.asked]


def test_no_ids_cost_nothing():
    with scripted() as (till, _, _):
        assert [] == list(till.sales(Query(ids=())))
        assert 0 == till.calls


@pytest.mark.parametrize(
    ("after_id", "script", "expected", "calls"),
    [
        pytest.param(None, [page("9", "8", name="SaleVoid")], [["9", "8"]], 1, id="all"),
        pytest.param("7", [page("9", "8", name="SaleVoid")], [["9", "8"]], 1, id="newer ones"),
        pytest.param(
            "8",
            [page("10", "9", "8", "7", name="SaleVoid", following=after("x").replace("Sale.", "SaleVoid."))],
            [["10", "9"]],
            1,
            id="a server that does not filter is not read to its beginning",
        ),
    ],
)
def test_voids(after_id, script, expected, calls):
    with scripted(*script) as (till, app, _):
        assert expected == ids(till.voids(after_id))
        assert calls == till.calls
    assert "-saleVoidID" == app.asked[0]["sort"]


# --- an account that refuses updatetime


@pytest.mark.parametrize(
    "message", ["updatetime is not filterable", "Invalid sort; allowed: saleID, timeStamp"]
)
def test_without_updatetime_sales_are_read_by_time_stamp(message):
    with scripted(refusal(400, message), page("1"), page("2")) as (till, app, _):
        (first,) = till.sales(SINCE)
        list(till.sales(SINCE))
        assert till.reads_by_time_stamp
    assert datetime(2026, 3, 2, 17, 0, tzinfo=UTC) == first.high
    assert ["updatetime", "timeStamp", "timeStamp"] == [query["sort"] for query in app.asked]


def test_a_read_by_time_stamp_is_resumed_by_time_stamp():
    script = [refusal(400, "updatetime is not sortable"), page("1", following=after("x")), page("2")]
    with scripted(*script) as (till, _, _):
        first, second = till.sales(SINCE)
    with scripted(page("2")) as (till, app, _):
        assert [second] == list(till.sales(Query(since=SINCE.since, resume=first.next)))
    assert [("timeStamp", "x")] == [(query["sort"], query["after"]) for query in app.asked]


def test_a_place_in_an_order_that_is_now_refused_is_given_up():
    with scripted(page("1", following=after("x")), refusal(400, "updatetime"), page("1")) as (till, app, _):
        first = next(till.sales(SINCE))
        assert [["1"]] == ids(till.sales(Query(since=SINCE.since, resume=first.next)))
    assert ("timeStamp", None) == (app.asked[-1]["sort"], app.asked[-1].get("after"))


def test_another_refusal_does_not_end_reading_by_updatetime():
    with scripted(refusal(400, "No such relation")) as (till, _, _):
        with pytest.raises(BadRequest, match="No such relation"):
            list(till.sales(SINCE))
        assert not till.reads_by_time_stamp


# --- failures


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([Response(502, CLOUDFLARE, {"Content-Type": "text/html"})], id="an HTML page"),
        pytest.param([refusal(503)] * 4, id="four times down"),
        pytest.param([refusal(400, "Please try again later")], id="a passing 400"),
        pytest.param([refusal(409)], id="a conflict"),
        pytest.param([refusal(500)], id="an inner error"),
        pytest.param([refusal(429, **{"Retry-After": "3"})], id="too fast"),
    ],
)
def test_passing_failures_are_waited_out(failures):
    with scripted(*failures, page("1")) as (till, _, clock):
        assert [["1"]] == ids(till.sales(Query()))
    assert len(failures) == len([wait for wait in clock.waited if wait >= 0.5])


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "half_body"])
def test_a_broken_answer_is_asked_for_again(kind):
    with scripted(page("1"), page("1"), faults=[Fault(kind, match="Sale.json")]) as (till, _, _):
        assert [["1"]] == ids(till.sales(Query()))
        assert 2 == till.calls


def test_failures_that_do_not_pass_are_given_back_in_bounded_time():
    down = [refusal(503, "maintenance")] * 99
    with scripted(*down) as (till, _, clock), pytest.raises(Transient, match="503 to Sale: maintenance"):
        list(till.sales(Query()))
    assert sum(clock.waited) <= 120
    assert 6 <= till.calls <= 30


def test_a_wish_beyond_our_patience_is_handed_on():
    with scripted(refusal(503, **{"Retry-After": "900"})) as (till, _, _), pytest.raises(Transient) as caught:
        list(till.sales(Query()))
    assert 900 == caught.value.retry_after_seconds


def test_a_long_429_is_a_used_up_limit():
    with (
        scripted(refusal(429, **{"Retry-After": "3600"})) as (till, _, _),
        pytest.raises(LimitReached) as caught,
    ):
        list(till.sales(Query()))
    assert pytest.approx(3600) == caught.value.resume_after_seconds


def test_endless_429s_end():
    with scripted(*[refusal(429, **{"Retry-After": "60"})] * 99) as (till, _, _), pytest.raises(LimitReached):
        list(till.sales(Query()))
    assert till.calls <= 7


def test_a_page_too_heavy_for_them_is_asked_for_in_smaller_pieces():
    heavy = [refusal(500, "Allowed memory size exhausted")] * 3
    small = [page(str(n), following=after(str(n))) for n in range(1, 9)]
    with scripted(*heavy, *small, page("9")) as (till, app, _):
        assert 9 == len(list(till.sales(Query())))
    assert ["100", "100", "50", "25"] == [query["limit"] for query in app.asked[:4]]
    assert ["25", "100"] == [query["limit"] for query in app.asked[-2:]], (
        "after a while full pages are tried again"
    )


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        pytest.param(refusal(403, "Denied"), PermissionMissing, "lacks a scope for Sale", id="403"),
        pytest.param(
            refusal(404, "Nothing"), NotFound, r"404 to Sale: Nothing \(till account 190001\)", id="404"
        ),
        pytest.param(refusal(400, "limit is wrong"), BadRequest, "limit is wrong", id="400"),
        pytest.param(refusal(422, "no"), BadRequest, "422", id="422"),
        pytest.param(Response(200, CLOUDFLARE), Transient, "no JSON", id="a page under status 200"),
        pytest.param(
            Response(200, b'{"message":"oops"}'), Transient, "no JSON", id="an error under status 200"
        ),
        pytest.param(
            Response(200, b'{"@attributes":{},"Sale":{"saleID":"7"}}'),
            BadRequest,
            "cannot read",
            id="another JSON",
        ),
    ],
)
def test_refusals(answer, kind, words):
    with scripted(answer) as (till, app, _), pytest.raises(kind, match=words):
        list(till.sales(Query()))
    assert 1 == len(app.requests)


def test_a_refused_token_is_replaced_once():
    dead = Response(401, b'{"error":"access_denied","hint":"Access token has been revoked"}')
    with scripted(dead, page("1")) as (till, app, _):
        assert [["1"]] == ids(till.sales(Query()))
    assert 2 == app.refreshes
    assert 2 == len({request.headers["authorization"] for request in app.requests})


def test_a_fresh_token_that_is_refused_ends_it():
    dead = [Response(401, b"{}")] * 9
    with (
        scripted(*dead) as (till, app, _),
        pytest.raises(CredentialsRefused, match="that it has just issued"),
    ):
        list(till.sales(Query()))
    assert (2, 2) == (app.refreshes, len(app.requests))


# --- who we are


@pytest.mark.parametrize(
    ("access", "configured", "words"),
    [
        pytest.param(
            token("2"), "190001", "belongs to account 2, but account 190001", id="the token names another"
        ),
        pytest.param("opaque", "5", "belongs to account 190001, but account 5", id="the list names another"),
    ],
)
def test_somebody_elses_account_is_refused(access, configured, words):
    listed = Response(200, b'{"@attributes":{"count":"1"},"Account":{"accountID":"190001","name":"F"}}')
    with (
        scripted(listed, access=access, account_id=configured) as (till, _, _),
        pytest.raises(CredentialsRefused, match=words),
    ):
        till.account()


@pytest.mark.parametrize("access", [token(), "opaque"], ids=["from the token", "from the list"])
def test_the_account_is_found_out(access):
    listed = Response(200, b'{"@attributes":{"count":"1"},"Account":{"accountID":"190001","name":"F"}}')
    flat = Response(200, b'{"name":"F","defaultCurrency":{"code":"USD"}}', {"X-LS-Api-Bucket-Level": "2/110"})
    script = [flat] if access != "opaque" else [listed, flat]
    with scripted(*script, access=access, account_id=None) as (till, _, _):
        assert TillAccount("190001", "F", "USD", 3) == till.account()


@pytest.mark.parametrize("which", ["api_url", "auth_url"])
def test_secrets_do_not_travel_in_the_clear(which):
    with pytest.raises(ConfigurationInvalid), Http() as http:
        connect("https://api.example.com", None, http, **{which: "http://api.example.com"})


# --- against the simulator


@pytest.fixture(scope="module")
def history():
    clock = SimClock(NOW.timestamp(), running=False)
    app = build(Plan(seed=3, shops=2, customers=150, sales=1200, end=NOW), clock=clock)
    clock.set(NOW.timestamp())
    server = Server(app).start()
    with Http() as http:
        yield connect(server.url, SharedClock(clock), http), server
    server.close()


def test_it_is_a_till(history):
    till: Till = history[0]
    assert till.account().id == "190001"


def test_the_whole_history_comes_over_in_the_fewest_pages(history):
    till, server = history
    before = till.calls
    sales = [sale for page in till.sales(Query()) for sale in page.rows]
    assert 12 == till.calls - before
    rows = {str(row["saleID"]): row for row in server.app.world["Sale"]}
    assert set(rows) == {sale.id for sale in sales}
    assert sum(Decimal(row["total"]) for row in rows.values() if row.get("total")) == sum(
        sale.total for sale in sales
    )
    newest = [sale.id for page in till.sales(Query(newest_first=True)) for sale in page.rows]
    assert [sale.id for sale in sales] == newest[::-1]


def test_hours_of_reading_never_provoke_a_429(history):
    till, _ = history
    for _ in range(4):
        for page in till.sales(Query()):
            assert page.rows
    assert 0 == till.refused_429


def test_every_kind_is_read(history):
    till, server = history
    tables = server.app.world
    assert len(list(tables["Shop"])) == len(till.stores())
    assert len(list(tables["Register"])) == len(till.registers())
    assert len(list(tables["Employee"])) == len(till.employees())
    assert len(list(tables["Category"])) == len(till.categories())
    assert len(list(tables["Customer"])) == len([c for page in till.customers(Query()) for c in page.rows])
    products = [product for page in till.products(Query()) for product in page.rows]
    assert len(list(tables["Item"])) == len(products)
    assert {"1", "2"} == {row.store_id for _, stock in products for row in stock}
    stock = [row for page in till.stock(Query()) for row in page.rows]
    assert sum(len(held) for _, held in products) == len(stock)
    assert len(list(tables["SaleVoid"])) == len([void for page in till.voids(None) for void in page.rows])


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"updatetime_key_spelling": "updateTime"},
        {"drop_relations_from_next": True},
        {"empty_collections": "blank"},
        {"random_try_again_every": 3},
    ],
    ids=lambda switches: " ".join(switches) or "defaults",
)
def test_open_questions_of_the_documentation_are_survived(history, switches):
    till, server = history
    expected = list(till.sales(Query(since=NOW - timedelta(days=400))))
    defaults = server.app.world.switches.read()
    server.app.world.switches.set(switches)
    try:
        found = list(till.sales(Query(since=NOW - timedelta(days=400))))
    finally:
        server.app.world.switches.set(defaults)
    assert [page.rows for page in expected] == [page.rows for page in found]

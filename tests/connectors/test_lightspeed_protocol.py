"""What we ask of Lightspeed and what its answers mean, without a network."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import pytest

from tillbridge.connectors.http import HttpAnswer
from tillbridge.connectors.lightspeed_r import protocol
from tillbridge.connectors.lightspeed_r.protocol import (
    CUSTOMERS,
    ITEM_SHOPS,
    ITEMS,
    SALES,
    SHOPS,
    VOIDS,
    Fine,
    GrantDenied,
    Granted,
    Refused,
    Request,
    TokenDead,
    TooFast,
    TryAgain,
)
from tillbridge.model.errors import BadRequest, Halted, NotFound, PermissionMissing
from tillbridge.model.reading import Query

API = "https://api.lightspeedapp.com"
BASE = f"{API}/API/V3/Account/190001"
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = datetime(2026, 3, 2, 12, 30, 15, tzinfo=UTC)


def asked(resource, query, **more):
    (request,) = protocol.query_requests("190001", resource, query, **more)
    return request


def params(request):
    return dict(parse_qsl(urlsplit(request.url(API)).query))


# --- asking


def test_an_incremental_read_of_sales():
    request = asked(SALES, Query(since=SINCE))
    address = request.url(API)
    assert address.startswith(f"{BASE}/Sale.json?")
    assert "updatetime=%3E%3D%2C2026-03-01T00%3A00%3A00%2B00%3A00" in address
    relations = [
        "SaleLines",
        "SaleLines.Item",
        "SaleLines.Note",
        "SalePayments",
        "SalePayments.PaymentType",
        "SaleNotes",
    ]
    assert relations == json.loads(params(request)["load_relations"])
    rest = {name: value for name, value in params(request).items() if name != "load_relations"}
    assert {
        "archived": "true",
        "sort": "updatetime",
        "limit": "100",
        "updatetime": ">=,2026-03-01T00:00:00+00:00",
    } == rest


@pytest.mark.parametrize(
    ("resource", "query", "expected"),
    [
        pytest.param(SALES, Query(), {"sort": "saleID"}, id="all sales, by id"),
        pytest.param(SALES, Query(newest_first=True), {"sort": "-saleID"}, id="all sales, newest first"),
        pytest.param(
            SALES,
            Query(since=SINCE, until=UNTIL),
            {"sort": "updatetime", "updatetime": "><,2026-03-01T00:00:00+00:00,2026-03-02T12:30:15+00:00"},
            id="changed between",
        ),
        pytest.param(
            SALES,
            Query(until=UNTIL),
            {"sort": "updatetime", "updatetime": "<=,2026-03-02T12:30:15+00:00"},
            id="changed until",
        ),
        pytest.param(
            SALES,
            Query(since=SINCE, newest_first=True),
            {"sort": "-saleID", "updatetime": ">=,2026-03-01T00:00:00+00:00"},
            id="changed since, newest first: by id, so that an edit meanwhile hides nothing",
        ),
        pytest.param(
            SALES,
            Query(since=SINCE, until=UNTIL, by="completed"),
            {"sort": "saleID", "completeTime": "><,2026-03-01T00:00:00+00:00,2026-03-02T12:30:15+00:00"},
            id="completed between",
        ),
        pytest.param(
            SALES,
            Query(since=SINCE.astimezone(timezone(timedelta(hours=9))) + timedelta(microseconds=9)),
            {"sort": "updatetime", "updatetime": ">=,2026-03-01T00:00:00+00:00"},
            id="other zones and split seconds",
        ),
        pytest.param(SALES, Query(ids=("1", "2")), {"sort": "saleID", "saleID": "IN,[1,2]"}, id="by id"),
        pytest.param(
            CUSTOMERS,
            Query(since=SINCE),
            {"sort": "timeStamp", "timeStamp": ">=,2026-03-01T00:00:00+00:00"},
            id="customers",
        ),
        pytest.param(
            ITEM_SHOPS,
            Query(since=SINCE),
            {"sort": "timeStamp", "timeStamp": ">=,2026-03-01T00:00:00+00:00", "shopID": "!=,0"},
            id="stock, without the total of all shops",
        ),
    ],
)
def test_filters_and_order(resource, query, expected):
    found = params(asked(resource, query))
    common = {"limit": "100"} | ({"archived": "true"} if resource is not ITEM_SHOPS else {})
    assert expected | common == {name: value for name, value in found.items() if name != "load_relations"}


def test_ids_travel_by_the_hundred():
    ids = tuple(str(number) for number in range(250))
    requests = protocol.query_requests("190001", SALES, Query(ids=ids))
    assert [100, 100, 50] == [request.get("saleID").count(",") for request in requests]
    assert [] == protocol.query_requests("190001", SALES, Query(ids=()))


def test_stock_is_asked_by_product():
    assert "IN,[88]" == asked(ITEM_SHOPS, Query(ids=("88",)), id_filter="itemID").get("itemID")


def test_archived_rows_are_always_asked_for():
    assert all(("archived", "true") in resource.fixed for resource in (SALES, CUSTOMERS, ITEMS, SHOPS))


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        pytest.param(SALES, 1 + 0.4 + 0.2 + 0.2 + 0.4 + 0.2 + 0.2, id="sales"),
        pytest.param(ITEMS, 1 + 0.2 + 0.2 + 0.4, id="items"),
        pytest.param(ITEM_SHOPS, 1, id="nothing loaded along"),
    ],
)
def test_the_price_of_a_page(resource, expected):
    assert pytest.approx(expected) == asked(resource, Query()).cost


def test_counters_name_the_endpoint_without_ids():
    assert ["Sale", "Account", "Account"] == [
        asked(SALES, Query()).label,
        protocol.account_request("190001").label,
        protocol.accounts_request().label,
    ]


# --- from page to page

FIRST = asked(SALES, Query(since=SINCE))
LOADED = FIRST.get("load_relations")


def next_address(**query):
    return protocol.Request("Account/190001/Sale.json", tuple(query.items())).url(API)


@pytest.mark.parametrize("address", ["", None])
def test_an_empty_next_ends_the_list(address):
    assert protocol.following(FIRST, address) is None


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(next_address(**dict(FIRST.params), after="WzEwMF0="), id="everything repeated"),
        pytest.param(
            next_address(limit="100", sort="updatetime", after="WzEwMF0="), id="filters and relations lost"
        ),
        pytest.param(
            f"{BASE}/Sale.json?updatetime=>=,2026-03-01T00:00:00+00:00&archived=false&after=WzEwMF0=",
            id="filters respelt: the bare + is a space now",
        ),
        pytest.param(
            "http://evil.example/API/V3/Account/190001/Sale.json?after=WzEwMF0%3D",
            id="another host: only the query counts",
        ),
        pytest.param("/API/V3/Account/190001/Sale?after=WzEwMF0%3D", id="a bare path"),
        pytest.param(
            "https:\\/\\/".replace("\\", "") + "x/API/Account/190001/Sale.json?after=WzEwMF0%3D",
            id="no version",
        ),
    ],
)
def test_the_next_page_keeps_what_was_asked(address):
    found = protocol.following(FIRST, address)
    assert dict(FIRST.params) | {"after": "WzEwMF0="} == dict(found.params)
    assert found.url(API).startswith(f"{BASE}/Sale.json?")


def test_a_plus_sign_within_the_cursor_survives():
    found = protocol.following(FIRST, f"{BASE}/Sale.json?after=Wz+4/A==")
    assert "Wz+4/A==" == found.get("after")


def test_unknown_parameters_of_the_server_stay():
    assert "7" == protocol.following(FIRST, next_address(after="x", shard="7")).get("shard")


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(f"{BASE}/Customer.json?after=x", id="another resource"),
        pytest.param(f"{API}/API/V3/Account/2/Sale.json?after=x", id="another account"),
        pytest.param(f"{BASE}/../../Session.json?after=x", id="a way out"),
        pytest.param(f"{BASE}/Sale.json?limit=100", id="no place to go on from"),
    ],
)
def test_a_next_page_that_leads_elsewhere_is_not_followed(address):
    with pytest.raises(Halted):
        protocol.following(FIRST, address)


def test_a_next_page_that_stands_still_is_not_followed():
    second = protocol.following(FIRST, next_address(after="x"))
    with pytest.raises(Halted):
        protocol.following(second, next_address(after="x"))


def test_a_read_goes_on_after_a_restart():
    second = protocol.following(FIRST, next_address(after="Wz+4/A=="))
    token = protocol.resume_token(0, second)
    assert API not in token
    batch, found = protocol.resumed(token, [FIRST])
    assert (0, dict(second.params)) == (batch, dict(found.params))


def test_a_read_by_ids_goes_on_with_its_next_batch():
    batches = protocol.query_requests("190001", SALES, Query(ids=tuple(map(str, range(150)))))
    assert (1, batches[1]) == protocol.resumed(protocol.resume_token(1, None), batches)
    assert (2, None) == protocol.resumed("2:", batches)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("nonsense", id="unreadable"),
        pytest.param("x:y", id="no number"),
        pytest.param("0:Account/2/Sale.json?after=x", id="another account"),
        pytest.param("0:Account/190001/Item.json?after=x", id="another resource"),
        pytest.param("0:Account/190001/Sale.json?after=x&sort=saleID", id="another order"),
        pytest.param("0:https://evil.example/Account/190001/Sale.json?after=x", id="an address"),
    ],
)
def test_a_foreign_place_is_refused(token):
    with pytest.raises(Halted):
        protocol.resumed(token, [FIRST])


def test_a_stored_place_cannot_change_what_is_asked():
    _, found = protocol.resumed(
        "0:Account/190001/Sale.json?after=x&sort=updatetime&archived=only&evil=1", [FIRST]
    )
    assert dict(FIRST.params) | {"after": "x"} == dict(found.params)


def test_a_page_is_halved_down_to_a_dozen():
    limits, request = [], FIRST
    for _ in range(5):
        request = protocol.halved(request)
        limits.append(request.get("limit"))
    assert ["50", "25", "12", "12", "12"] == limits
    assert protocol.is_halved(request)
    assert "100" == protocol.full(request).get("limit")


# --- answers


def envelope(status, message):
    return json.dumps(
        {"httpCode": str(status), "httpMessage": "x", "message": message, "errorClass": "Exception"}
    ).encode()


def answer(status, body=b"", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, {"content-type": "text/html; charset=UTF-8"} | named, body)


CLOUDFLARE = b"<html><head><title>502 Bad Gateway</title></head></html>"
DEAD = json.dumps({"error": "access_denied", "hint": "Access token could not be verified"}).encode()
LEGACY_DEAD = envelope(401, "Invalid username/password or API key.")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(answer(200, b"{}"), Fine, id="200, even as text/html"),
        pytest.param(answer(401, DEAD), TokenDead, id="401 in the new shape"),
        pytest.param(answer(401, LEGACY_DEAD), TokenDead, id="401 in the old shape"),
        pytest.param(answer(401, b""), TokenDead, id="401 without a word"),
        pytest.param(answer(429), TooFast, id="429"),
        pytest.param(answer(400, envelope(400, "Please try again later.")), TryAgain, id="a passing 400"),
        pytest.param(
            answer(400, envelope(400, "Try again in a minute")), TryAgain, id="a passing 400, other words"
        ),
        pytest.param(answer(409, envelope(409, "Edit conflict")), TryAgain, id="409"),
        pytest.param(answer(500, envelope(500, "Out of memory")), TryAgain, id="500"),
        pytest.param(answer(502, CLOUDFLARE), TryAgain, id="502 as an HTML page"),
        pytest.param(answer(400, CLOUDFLARE), TryAgain, id="400 as an HTML page"),
        pytest.param(answer(503, b""), TryAgain, id="503 without a body"),
        pytest.param(answer(504, CLOUDFLARE), TryAgain, id="504"),
        pytest.param(answer(524, CLOUDFLARE), TryAgain, id="Cloudflare's own"),
        pytest.param(answer(302), Refused, id="a redirect"),
        pytest.param(answer(405), Refused, id="405"),
        pytest.param(answer(422, envelope(422, "No.")), Refused, id="422"),
    ],
)
def test_what_can_be_done_about_an_answer(given, expected):
    assert expected is type(protocol.sort_answer(FIRST, given))


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        pytest.param(
            answer(403, envelope(403, "Denied")), PermissionMissing, "lacks a scope for Sale", id="403"
        ),
        pytest.param(answer(404, envelope(404, "Not found")), NotFound, "404 to Sale: Not found", id="404"),
        pytest.param(
            answer(400, envelope(400, "name cannot be blank.")), BadRequest, "name cannot be blank.", id="400"
        ),
        pytest.param(
            answer(400, b"[1]"), BadRequest, "Lightspeed answered 400 to Sale", id="400 as another JSON"
        ),
    ],
)
def test_refusals_say_what_they_know(given, kind, words):
    outcome = protocol.sort_answer(FIRST, given)
    assert kind is type(outcome.error)
    assert words in str(outcome.error)
    assert "html" not in str(outcome.error)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"retry_after": "3"}, TooFast(3.0, burst=False), id="seconds"),
        pytest.param(
            {"retry_after": "Mon, 02 Mar 2026 18:00:05 GMT", "date": "Mon, 02 Mar 2026 18:00:00 GMT"},
            TooFast(5.0, burst=False),
            id="a date, by the server's clock",
        ),
        pytest.param({}, TooFast(None, burst=False), id="nothing"),
        pytest.param(
            {"x_ls_api_ratelimit_type": "api-burst-limiter"},
            TooFast(None, burst=True),
            id="the burst limiter",
        ),
    ],
)
def test_a_429_is_read_by_its_headers(headers, expected):
    assert expected == protocol.sort_answer(FIRST, answer(429, b"anything", **headers))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Unknown field updatetime", True),
        ("Invalid sort. Sortable fields: saleID, timeStamp, completeTime", True),
        ("You may not sort by this field", True),
        ("Something is wrong", False),
        ("No such shop", False),
    ],
)
def test_which_refusals_mean_updatetime(message, expected):
    outcome = protocol.sort_answer(FIRST, answer(400, envelope(400, message)))
    assert expected == protocol.refuses_updatetime(outcome.error)


# --- tokens


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            answer(200, b'{"token_type":"Bearer","expires_in":1800,"access_token":"a","refresh_token":"r"}'),
            Granted("a", "r", 1800.0),
            id="a pair",
        ),
        pytest.param(
            answer(200, b'{"access_token":"a","refresh_token":"r"}'),
            Granted("a", "r", 3600.0),
            id="no lifetime: an hour",
        ),
        pytest.param(
            answer(200, b'{"expires_in":"60","access_token":"a","refresh_token":"r"}'),
            Granted("a", "r", 60.0),
            id="a lifetime as text",
        ),
        pytest.param(
            answer(400, b'{"error":"invalid_grant","error_description":"x","hint":"Token has been revoked"}'),
            GrantDenied(
                "invalid_grant", "Lightspeed's token server says invalid_grant (Token has been revoked)"
            ),
            id="denied",
        ),
        pytest.param(
            answer(401, b'{"error":"invalid_client"}'),
            GrantDenied("invalid_client", "Lightspeed's token server says invalid_client"),
            id="not our client",
        ),
        pytest.param(answer(429, b"", retry_after="9"), TooFast(9.0, burst=False), id="too often"),
        pytest.param(answer(503, CLOUDFLARE), TryAgain("Lightspeed's token server answered 503"), id="down"),
        pytest.param(
            answer(200, CLOUDFLARE),
            TryAgain("Lightspeed's token server answered without a pair of tokens"),
            id="a page instead of tokens",
        ),
        pytest.param(
            answer(200, b'{"access_token":"a"}'),
            TryAgain("Lightspeed's token server answered without a pair of tokens"),
            id="half a pair",
        ),
    ],
)
def test_answers_of_the_token_server(given, expected):
    assert expected == protocol.sort_token_answer(given)


def test_the_token_request_is_a_form_without_a_scope():
    body = protocol.token_body("client", "se&cret", "r+/=")
    assert [
        ("grant_type", "refresh_token"),
        ("refresh_token", "r+/="),
        ("client_id", "client"),
        ("client_secret", "se&cret"),
    ] == parse_qsl(body.decode())


def jwt(claims):
    pieces = [
        base64.urlsafe_b64encode(json.dumps(piece).encode()).decode().rstrip("=") for piece in ({}, claims)
    ]
    return ".".join([*pieces, "signature"])


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param(jwt({"acct": "190001", "exp": 1772474400.5}), "190001", id="named"),
        pytest.param(jwt({"acct": 190001}), "190001", id="as a number"),
        pytest.param(jwt({"sub": "5"}), None, id="not named"),
        pytest.param(jwt({"acct": "../2"}), None, id="no id"),
        pytest.param("0123456789abcdef", None, id="an opaque token"),
        pytest.param("a.b.c", None, id="three pieces of nothing"),
        pytest.param("ä.ö.ü", None, id="not even ASCII"),
    ],
)
def test_a_token_names_its_account(token, expected):
    assert expected == protocol.token_account(token)


def test_a_request_for_voids_names_no_stamp():
    with pytest.raises(ValueError, match="no change stamp"):
        protocol.query_requests("190001", VOIDS, Query(since=SINCE))


def test_parameters_are_encoded_whole():
    address = Request("Account/1/Customer.json", (("Contact.email", "~,%a+b@example.com"),)).url(API)
    assert address.endswith("?Contact.email=~%2C%25a%2Bb%40example.com")

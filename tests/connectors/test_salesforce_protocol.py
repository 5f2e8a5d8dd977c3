"""What Salesforce's answers mean, in every shape that is known of them."""

import json

import pytest

from tillbridge.connectors.http import HttpAnswer
from tillbridge.connectors.salesforce import protocol
from tillbridge.connectors.salesforce.protocol import Part, SessionExpired
from tillbridge.model.acks import Refused, Written
from tillbridge.model.errors import (
    BadRequest,
    Halted,
    LimitReached,
    NotFound,
    PermissionMissing,
    Transient,
)
from tillbridge.model.writing import KeyRef, Slot


def answer(status, body="", **headers):
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return HttpAnswer(status, {k.lower().replace("_", "-"): v for k, v in headers.items()}, raw)


def array(code, message="it says so", **more):
    return [{"message": message, "errorCode": code, **more}]


SALE, PERSON, PRICE, CONTACT = (
    "a01000000000001AAA",
    "001000000000001AAA",
    "01u000000000001AAA",
    "003000000000001AAA",
)
HTML = "<html><body><h1>Service Unavailable</h1></body></html>"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            answer(401, array("INVALID_SESSION_ID", "Session expired or invalid")),
            SessionExpired,
            id="an expired session",
        ),
        pytest.param(answer(401), SessionExpired, id="a 401 without a body"),
        pytest.param(answer(401, HTML), SessionExpired, id="a 401 page"),
        pytest.param(
            answer(403, array("InvalidSessionId")),
            SessionExpired,
            id="a bulk door's spelling of an expired session",
        ),
        pytest.param(
            answer(401, array("INVALID_SESSION_ID", "This session is not valid for use with the REST API")),
            PermissionMissing,
            id="a session without the api scope, which no login cures",
        ),
        pytest.param(
            answer(401, array("INVALID_SESSION_ID", "Connected app is not attached to Agent")),
            PermissionMissing,
            id="an app that is not attached to its agent",
        ),
        pytest.param(
            answer(403, array("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")),
            LimitReached,
            id="the day's calls are used up",
        ),
        pytest.param(
            answer(403, array("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.")),
            Transient,
            id="too many long calls at once",
        ),
        pytest.param(
            answer(403, array("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.")),
            Transient,
            id="too many calls at once",
        ),
        pytest.param(
            answer(403, array("API_DISABLED_FOR_ORG")), PermissionMissing, id="an edition without API"
        ),
        pytest.param(
            answer(403, array("API_CURRENTLY_DISABLED")), PermissionMissing, id="an API that is switched off"
        ),
        pytest.param(
            answer(403, array("INSUFFICIENT_ACCESS_OR_READONLY")),
            PermissionMissing,
            id="an object the user may not touch",
        ),
        pytest.param(
            answer(403, array("TXN_SECURITY_NO_ACCESS")),
            PermissionMissing,
            id="a transaction security policy",
        ),
        pytest.param(answer(403, HTML), Transient, id="a 403 page of a firewall"),
        pytest.param(
            answer(400, array("FeatureNotEnabled")), PermissionMissing, id="an edition without bulk"
        ),
        pytest.param(answer(400, array("ExceededQuota")), LimitReached, id="the bulk allocation is used up"),
        pytest.param(answer(400, array("STORAGE_LIMIT_EXCEEDED")), Halted, id="the org's storage is full"),
        pytest.param(answer(404, array("NOT_FOUND")), NotFound, id="no such record"),
        pytest.param(answer(404, array("ENTITY_IS_DELETED")), NotFound, id="a deleted record"),
        pytest.param(answer(404, HTML), Transient, id="a 404 page of something else"),
        pytest.param(
            answer(404, array("INVALID_QUERY_LOCATOR")), BadRequest, id="a dead query locator (404)"
        ),
        pytest.param(
            answer(400, array("INVALID_QUERY_LOCATOR")), BadRequest, id="a dead query locator (400)"
        ),
        pytest.param(answer(410, array("UNSUPPORTED_API_VERSION")), BadRequest, id="a retired version"),
        pytest.param(answer(414), BadRequest, id="too long an address"),
        pytest.param(answer(431), BadRequest, id="too long headers"),
        pytest.param(answer(302), BadRequest, id="a redirect"),
        pytest.param(answer(400, array("QUERY_TIMEOUT")), Transient, id="a query that took too long"),
        pytest.param(answer(400, array("UNABLE_TO_LOCK_ROW")), Transient, id="a locked row"),
        pytest.param(answer(400, array("TooManyLockFailure")), Transient, id="too many lock failures"),
        pytest.param(answer(500, array("UNKNOWN_EXCEPTION")), Transient, id="an unexpected error of theirs"),
        pytest.param(answer(503, array("SERVER_UNAVAILABLE")), Transient, id="server unavailable, as JSON"),
        pytest.param(answer(503, HTML), Transient, id="server unavailable, as a page"),
        pytest.param(answer(502), Transient, id="an edge that does not reach the org"),
        pytest.param(answer(504), Transient, id="an edge that waited too long"),
        pytest.param(answer(420), Transient, id="an edge without a route"),
        pytest.param(answer(429), Transient, id="a gateway's limit"),
        pytest.param(
            answer(400, {"errorCode": "INVALID_FIELD", "message": "m"}),
            BadRequest,
            id="a single object (Connect style)",
        ),
        pytest.param(answer(400, {"error": "invalid_grant"}), BadRequest, id="an OAuth object"),
        pytest.param(answer(400, "plain words"), BadRequest, id="a 400 of plain words"),
        pytest.param(answer(400, "[]"), BadRequest, id="an empty array"),
        pytest.param(answer(400, "[null]"), BadRequest, id="an array of nothing"),
    ],
)
def test_a_failure_is_sorted_by_what_can_be_done(given, expected):
    found = protocol.failure(given)

    assert expected is type(found)
    assert str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(500, True), (502, True), (503, True), (504, True), (420, False), (429, False)],
)
def test_a_server_error_leaves_the_outcome_unknown_and_a_limit_does_not(status, expected):
    assert expected is protocol.failure(answer(status, HTML)).outcome_unknown


def test_a_wish_to_wait_is_kept():
    assert 7.0 == protocol.failure(answer(429, HTML, Retry_After="7")).retry_after_seconds
    assert (
        9.0 == protocol.failure(answer(503, array("SERVER_UNAVAILABLE"), Retry_After="9")).retry_after_seconds
    )


def test_the_daily_limit_is_named_and_gives_a_time_to_come_back():
    found = protocol.failure(answer(403, array("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")))

    assert "salesforce day" == found.quota
    assert 900.0 == found.resume_after_seconds


def test_a_refused_query_is_not_quoted():
    """The remote repeats the query, whose literals may be people's mail addresses."""
    message = (
        "\nSELECT Id FROM Contact WHERE Email = 'ana@example.com'\n       ^\n"
        "ERROR at Row:1:Column:12\nNo such column 'Foo__c' on entity 'Contact'. If you are attempting…"
    )

    found = protocol.failure(answer(400, array("INVALID_FIELD", message)))

    assert "ana@example.com" not in str(found)
    assert "No such column 'Foo__c'" in str(found)
    assert ("Foo__c",) == found.fields
    assert "tillbridge schema deploy" in str(found)


def test_a_long_message_is_cut():
    assert 700 > len(
        str(protocol.failure(answer(400, array("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "x" * 9_000))))
    )


def test_several_records_with_one_key_are_named():
    """A 300 answers with the addresses of all of them."""
    body = [f"/services/data/v67.0/sobjects/Contact/{id_}" for id_ in (CONTACT, PERSON)]

    [error] = protocol.remote_errors(answer(300, body))

    assert "MULTIPLE_CHOICES" == error.code
    assert (CONTACT, PERSON) == error.matches


def test_a_duplicate_rule_names_the_records_it_means():
    [error] = protocol.remote_errors(
        answer(400, array("DUPLICATES_DETECTED", "Use one?", duplicateResult=SAME_PERSON))
    )

    assert (CONTACT,) == error.matches


def test_a_duplicate_value_names_who_holds_it():
    text = "duplicate value found: Key__c duplicates value on record with id: a01000000000001"

    [error] = protocol.remote_errors(answer(400, array("DUPLICATE_VALUE", text)))

    assert ("a01000000000001",) == error.matches


# -- paths --------------------------------------------------------------------


def test_a_query_is_escaped_so_that_a_plus_stays_a_plus():
    path = protocol.query_path("67.0", "SELECT Id FROM A WHERE B > 2026-11-21T00:00:00+01:00 AND C = 'x&y'")

    assert (
        "/services/data/v67.0/query?q=SELECT+Id+FROM+A+WHERE+B+%3E+2026-11-21T00:00:00%2B01:00+AND+C+%3D+%27x%26y%27"
        == path
    )


def test_deleted_rows_are_asked_of_query_all():
    assert protocol.query_path("67.0", "SELECT Id FROM A", deleted=True).startswith(
        "/services/data/v67.0/queryAll?q="
    )


def test_a_key_is_escaped_whole():
    assert "/services/data/v67.0/sobjects/A/Key__c/a%2Fb%20c" == protocol.data_path(
        "67.0", "sobjects", "A", "Key__c", "a/b c"
    )


# -- writing ------------------------------------------------------------------

UPSERT = Slot(
    "upsert",
    "Sales_Transaction__c",
    [
        {
            "Transaction_Key__c": "1-S1",
            "Store__c": KeyRef("Store__r", "Store_Key__c", "1-H1"),
            "Note__c": None,
        },
        {"Transaction_Key__c": "1-S2"},
    ],
    "Transaction_Key__c",
)
UPDATE = Slot("update", "Account", [{"Id": PERSON, "Phone": "1"}])
CREATE = Slot("create", "PricebookEntry", [{"Product2Id": "01t000000000001AAA"}])


def sent(slots, headers=None):
    return json.loads(protocol.composite_body("67.0", protocol.parts_of(slots), headers or {}))


def test_slots_travel_as_collections_in_their_order():
    expected = {
        "allOrNone": False,
        "collateSubrequests": False,
        "compositeRequest": [
            {
                "method": "PATCH",
                "url": "/services/data/v67.0/composite/sobjects/Sales_Transaction__c/Transaction_Key__c",
                "referenceId": "slot0",
                "body": {
                    "allOrNone": False,
                    "records": [
                        {
                            "attributes": {"type": "Sales_Transaction__c"},
                            "Transaction_Key__c": "1-S1",
                            "Store__r": {"Store_Key__c": "1-H1"},
                            "Note__c": None,
                        },
                        {"attributes": {"type": "Sales_Transaction__c"}, "Transaction_Key__c": "1-S2"},
                    ],
                },
            },
            {
                "method": "PATCH",
                "url": "/services/data/v67.0/composite/sobjects",
                "referenceId": "slot1",
                "body": {
                    "allOrNone": False,
                    "records": [{"attributes": {"type": "Account"}, "Id": PERSON, "Phone": "1"}],
                },
            },
            {
                "method": "POST",
                "url": "/services/data/v67.0/composite/sobjects",
                "referenceId": "slot2",
                "body": {
                    "allOrNone": False,
                    "records": [
                        {"attributes": {"type": "PricebookEntry"}, "Product2Id": "01t000000000001AAA"}
                    ],
                },
            },
        ],
    }

    assert expected == sent([UPSERT, UPDATE, CREATE])


def test_headers_ride_with_every_subrequest():
    [request] = sent([UPDATE], {"Sforce-Auto-Assign": "FALSE"})["compositeRequest"]

    assert {"Sforce-Auto-Assign": "FALSE"} == request["httpHeaders"]


def test_beyond_five_slots_single_rows_travel_alone():
    store = Slot("upsert", "Retail_Store__c", [{"Store_Key__c": "1-H 1", "Name": "Main"}], "Store_Key__c")

    requests = sent([store, UPDATE, CREATE, UPSERT, UPSERT, UPSERT])["compositeRequest"]

    assert [
        ("PATCH", "/services/data/v67.0/sobjects/Retail_Store__c/Store_Key__c/1-H%201", {"Name": "Main"}),
        ("PATCH", "/services/data/v67.0/sobjects/Account/001000000000001AAA", {"Phone": "1"}),
        ("POST", "/services/data/v67.0/sobjects/PricebookEntry", {"Product2Id": "01t000000000001AAA"}),
    ] == [(r["method"], r["url"], r["body"]) for r in requests[:3]]
    assert 3 == sum("/composite/sobjects/" in r["url"] for r in requests)


@pytest.mark.parametrize(
    "slots",
    [
        pytest.param([UPSERT] * 6, id="six collections"),
        pytest.param([UPDATE] * 26, id="26 slots"),
        pytest.param([Slot("create", "A", [])], id="a slot without rows"),
        pytest.param([Slot("create", "A", [{}] * 201)], id="201 rows"),
        pytest.param([Slot("upsert", "A", [{"K": "1"}])], id="an upsert without key field"),
        pytest.param([Slot("upsert", "A", [{"K": "1"}, {}], "K")], id="a row without its key"),
        pytest.param([Slot("update", "A", [{"B": "1"}])], id="an update without id"),
    ],
)
def test_what_one_call_cannot_carry_is_our_bug(slots):
    with pytest.raises(ValueError, match=r"slot|row"):
        protocol.parts_of(slots)


def results(part, status, body):
    found = protocol.composite_results(
        [part],
        {
            "compositeResponse": [
                {"referenceId": "r", "httpStatusCode": status, "httpHeaders": {}, "body": body}
            ]
        },
    )
    return found["r"]


def told(id_, **more):
    return {"id": id_, "success": True, "errors": [], **more}


def untold(*errors):
    return {"id": None, "success": False, "errors": list(errors)}


SAME_PERSON = {"matchResults": [{"matchRecords": [{"record": {"Id": CONTACT}}, {"record": {}}]}]}
DUPLICATE = {"statusCode": "DUPLICATE_VALUE", "message": "duplicate value found", "fields": ["Key__c"]}


@pytest.mark.parametrize(
    ("slot", "row", "expected"),
    [
        pytest.param(UPSERT, told(SALE, created=True), Written(SALE, True), id="created"),
        pytest.param(UPSERT, told(SALE, created=False), Written(SALE, False), id="updated"),
        pytest.param(UPSERT, told(SALE), Written(SALE), id="an upsert that does not say whether it created"),
        pytest.param(
            UPSERT, {"id": "a0100000000000A", "success": True}, Written("a0100000000000AAAQ"), id="a short id"
        ),
        pytest.param(UPDATE, told(PERSON), Written(PERSON, False), id="an update creates nothing"),
        pytest.param(CREATE, told(PRICE), Written(PRICE, True), id="a create creates"),
        pytest.param(
            UPSERT,
            untold(DUPLICATE),
            Refused("DUPLICATE_VALUE", "duplicate value found", ("Key__c",)),
            id="refused, under statusCode",
        ),
        pytest.param(
            UPSERT,
            untold({"errorCode": "X", "message": "m"}),
            Refused("X", "m"),
            id="refused, under errorCode",
        ),
        pytest.param(
            UPSERT,
            untold(
                {"statusCode": "A", "message": "m", "fields": ["F"]},
                {"statusCode": "B", "message": "n", "fields": ["G", "F"]},
            ),
            Refused("A", "m; n", ("F", "G")),
            id="refused for two reasons",
        ),
        pytest.param(
            UPSERT,
            untold(),
            Refused("UNKNOWN_EXCEPTION", "Salesforce refused this row without a reason"),
            id="refused for none",
        ),
        pytest.param(
            UPSERT,
            untold({"statusCode": "DUPLICATES_DETECTED", "message": "m", "duplicateResult": SAME_PERSON}),
            Refused("DUPLICATES_DETECTED", "m", (), (CONTACT,)),
            id="refused by a duplicate rule",
        ),
    ],
)
def test_every_row_of_a_collection_has_its_own_ack(slot, row, expected):
    one = Slot(slot.operation, slot.object, slot.rows[:1], slot.key_field)

    assert [expected] == results(Part("r", one), 200, [row])


@pytest.mark.parametrize(
    ("slot", "status", "body", "expected"),
    [
        pytest.param("upsert", 201, told(SALE, created=True), Written(SALE, True), id="upsert 201"),
        pytest.param("upsert", 200, told(SALE, created=False), Written(SALE, False), id="upsert 200"),
        pytest.param("upsert", 204, None, Written(""), id="upsert 204, which names no id"),
        pytest.param("update", 204, None, Written(PERSON, False), id="update 204"),
        pytest.param("update", 204, "", Written(PERSON, False), id="update 204 with an empty text"),
        pytest.param("create", 201, told(PRICE), Written(PRICE, True), id="create 201"),
        pytest.param(
            "upsert",
            300,
            [f"/services/data/v67.0/sobjects/A/{SALE}"],
            Refused("MULTIPLE_CHOICES", "1 records share this key", (), (SALE,)),
            id="upsert 300",
        ),
        pytest.param(
            "upsert",
            400,
            array("REQUIRED_FIELD_MISSING", "m", fields=["Name"]),
            Refused("REQUIRED_FIELD_MISSING", "m", ("Name",)),
            id="refused",
        ),
        pytest.param(
            "update",
            404,
            array("ENTITY_IS_DELETED", "entity is deleted"),
            Refused("ENTITY_IS_DELETED", "entity is deleted"),
            id="deleted meanwhile",
        ),
    ],
)
def test_a_row_that_travels_alone_has_its_ack(slot, status, body, expected):
    given = {
        "upsert": Slot("upsert", "A", [{"K": "1"}], "K"),
        "update": UPDATE,
        "create": CREATE,
    }[slot]

    assert [expected] == results(Part("r", given, alone=True), status, body)


def test_a_slot_refused_as_a_whole_refuses_each_of_its_rows():
    refusal = array("INVALID_FIELD", "No such column 'Foo__c' on sobject of type A")

    assert [Refused("INVALID_FIELD", refusal[0]["message"], ("Foo__c",))] * 2 == results(
        Part("r", UPSERT), 400, refusal
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(503, array("SERVER_UNAVAILABLE"), id="server unavailable"),
        pytest.param(500, array("UNKNOWN_EXCEPTION"), id="an unexpected error"),
        pytest.param(401, array("INVALID_SESSION_ID"), id="a session that ended in the middle"),
        pytest.param(200, [{"id": SALE, "success": True}], id="one answer for two rows"),
        pytest.param(200, {"odd": True}, id="an answer of another shape"),
        pytest.param(None, None, id="no status"),
    ],
)
def test_a_slot_that_failed_for_now_may_be_sent_again(status, body):
    assert Transient is type(results(Part("r", UPSERT), status, body))


def test_answers_are_found_by_reference_not_by_place():
    parts = protocol.parts_of([UPDATE, CREATE])
    rows = {
        "slot0": [{"id": PERSON, "success": True}],
        "slot1": [{"id": PRICE, "success": True}],
    }
    answers = [{"referenceId": ref, "httpStatusCode": 200, "body": rows[ref]} for ref in ("slot1", "slot0")]

    assert {
        "slot0": [Written(PERSON, False)],
        "slot1": [Written(PRICE, True)],
    } == protocol.composite_results(parts, {"compositeResponse": answers})


def test_a_slot_without_an_answer_may_be_sent_again():
    found = protocol.composite_results(protocol.parts_of([UPDATE]), {"compositeResponse": []})["slot0"]

    assert Transient is type(found)
    assert found.outcome_unknown


@pytest.mark.parametrize("body", [None, [], {}, {"compositeResponse": None}, "x"])
def test_an_answer_without_a_composite_response_is_unreadable(body):
    with pytest.raises(Transient, match="could not be read"):
        protocol.composite_results(protocol.parts_of([UPDATE]), body)


def test_versions_are_ordered_by_number():
    given = [
        {"label": "x", "url": "/services/data/v9.0", "version": "9.0"},
        {"label": "y", "url": "/services/data/v60.0", "version": "60.0"},
        {"label": "Latest Release", "url": "/services/data/latest", "version": "68.0"},
        {"label": "z", "url": "/services/data/v68.0", "version": "68.0"},
    ]

    assert ["9.0", "60.0", "68.0"] == protocol.read_versions(given)

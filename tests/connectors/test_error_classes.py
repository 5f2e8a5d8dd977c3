"""Every error that both vendors are known to give, and what is done about it: one row each.

transient: tried again. limit: parked until the window opens. waiting: its parent first. review, problem:
a person. halted: nothing more is written. refused: login or rights, a person. config: the request itself.
session: log in again, once.
"""

import json

import pytest

from tillbridge.connectors.http import HttpAnswer
from tillbridge.connectors.lightspeed_r import protocol as till
from tillbridge.connectors.salesforce import auth, bulk
from tillbridge.connectors.salesforce import protocol as crm
from tillbridge.model.acks import Refused
from tillbridge.model.errors import (
    BadRequest,
    CredentialsRefused,
    Halted,
    LimitReached,
    NotFound,
    PermissionMissing,
    Transient,
)
from tillbridge.model.writing import Slot
from tillbridge.sync.problems import class_of

CLASSES = [
    (crm.SessionExpired, "session"),
    (NotFound, "absent"),
    (BadRequest, "config"),
    (Transient, "transient"),
    (LimitReached, "limit"),
    (PermissionMissing, "refused"),
    (CredentialsRefused, "refused"),
    (Halted, "halted"),
]


def named(error):
    return next(name for kind, name in CLASSES if isinstance(error, kind))


def answer(status, body="", headers=None):
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return HttpAnswer(status, headers or {}, raw)


# --- Lightspeed: answers of the API (fact sheet A2, A3, A11) -----------------------------------------


def envelope(status, message, kind="Exception"):
    return {"httpCode": str(status), "httpMessage": "", "message": message, "errorClass": kind}


DEAD = "The resource owner or authorization server denied the request."
LEAKY = {"retry-after": "3", "x-ls-api-ratelimit-type": "api-leaky-bucket"}
BURST = {"retry-after": "1", "x-ls-api-ratelimit-type": "api-burst-limiter"}
HTML = "<html><head><title>502 Bad Gateway</title></head></html>"

TILL = [
    ("a token that has expired", 401, {"error": "access_denied", "error_description": DEAD}, {}, "token"),
    ("a token of the old kind", 401, envelope(401, "Invalid username", "BadAuthentication"), {}, "token"),
    ("the bucket is full", 429, envelope(429, "Rate Limit Exceeded"), LEAKY, "wait"),
    ("a burst", 429, "burst rate limit exceeded", BURST, "burst"),
    ("a limit without words or headers", 429, "", {}, "wait"),
    ("a description is missing", 400, envelope(400, "An Item must have a description."), {}, "config"),
    ("a name is blank", 400, envelope(400, "name cannot be blank."), {}, "config"),
    ("a name exists", 400, envelope(400, "The name already exists"), {}, "config"),
    ("a 400 that passes", 400, envelope(400, "Please try again later."), {}, "transient"),
    ("another 400 that passes", 400, envelope(400, "Busy. Try later"), {}, "transient"),
    ("a scope is missing", 403, envelope(403, "Forbidden"), {}, "refused"),
    ("nothing of that id", 404, envelope(404, "Object of type 'Employee' not found"), {}, "absent"),
    ("a method that is not allowed", 405, envelope(405, "Method Not Allowed"), {}, "config"),
    ("two edits at once", 409, envelope(409, "Conflict"), {}, "transient"),
    ("values that make no sense", 422, envelope(422, "Unprocessable"), {}, "config"),
    ("a proxy's page", 404, HTML, {}, "transient"),
    ("a firewall's page", 403, f"<!doctype html>{HTML}", {}, "transient"),
    ("a login page of the network", 400, HTML, {}, "transient"),
    ("out of memory", 500, envelope(500, "Allowed memory size exhausted"), {}, "heavy"),
    ("an edge's page", 502, HTML, {}, "transient"),
    ("unavailable", 503, HTML, {"retry-after": "9"}, "transient"),
    ("the edge gave up waiting", 504, "", {}, "transient"),
    ("the edge cannot reach the shop", 522, HTML, {}, "transient"),
]


def sorted_till(outcome):
    match outcome:
        case till.TokenDead():
            return "token"
        case till.TooFast(burst=burst):
            return "burst" if burst else "wait"
        case till.TryAgain(heavy=heavy):
            return "heavy" if heavy else "transient"
        case till.Refused(error=error):
            return named(error)
        case till.GrantDenied():
            return "refused"
    return "fine"


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"), [pytest.param(*rest, id=text) for text, *rest in TILL]
)
def test_an_answer_of_lightspeed(status, body, headers, expected):
    request = till.list_request("190001", till.SALES)
    assert expected == sorted_till(till.sort_answer(request, answer(status, body, headers)))


GRANTS = [
    ("not a POST", 405, {"error": "invalid_request"}, "refused"),
    ("a field is missing", 400, {"error": "invalid_request", "hint": "Check client_id"}, "refused"),
    ("a wrong secret", 401, {"error": "invalid_client"}, "refused"),
    ("a refresh token that is used up", 400, {"error": "invalid_grant"}, "refused"),
    ("a scope nobody knows", 400, {"error": "invalid_scope"}, "refused"),
    ("too many refreshes", 429, "", "wait"),
    ("an edge's page", 502, HTML, "transient"),
    ("a success without tokens", 200, "{}", "transient"),
    ("half a success", 200, '{"access_token":"ey', "transient"),
]


@pytest.mark.parametrize(
    ("status", "body", "expected"), [pytest.param(*rest, id=text) for text, *rest in GRANTS]
)
def test_an_answer_of_lightspeeds_token_server(status, body, expected):
    assert expected == sorted_till(till.sort_token_answer(answer(status, body)))


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_page_of_somebody_in_between_is_not_taken_for_the_remotes_word(status):
    till_said = till.sort_answer(till.list_request("190001", till.SALES), answer(status, HTML))
    assert "Something between us and Lightspeed answered" in till_said.sentence
    assert "Something between us and Salesforce answered" in str(crm.failure(answer(status, HTML)))


# --- Salesforce: logins (fact sheet 1.1) ---------------------------------------------------------------

LOGINS = [
    ("invalid_grant", "user hasn't approved this consumer", "pre-authorise"),
    ("invalid_grant", "expired access/refresh token", "authorise the app again"),
    ("invalid_grant", "audience is invalid", "salesforce.audience"),
    ("invalid_grant", "expired authorization code", "set the clock"),
    ("invalid_grant", "authentication failure", "salesforce.username"),
    ("invalid_grant", "user is locked", "unlock"),
    ("invalid_client_id", "client identifier invalid", "client_id"),
    ("invalid_client", "invalid client credentials", "client_secret"),
    ("unsupported_grant_type", "grant type not supported", "enable this flow"),
    ("invalid_request", "missing required parameter: grant_type", "check the app"),
    ("something_new", None, "check the app"),
]
CREDENTIALS = auth.Credentials("client_credentials", "https://shop.my.salesforce.com", "id", "secret")


@pytest.mark.parametrize(("code", "description", "cure"), LOGINS)
def test_a_refused_login_names_its_cure(code, description, cure):
    body = {"error": code} | ({"error_description": description} if description else {})
    error = auth.refusal(answer(400, body), CREDENTIALS)
    assert ("refused", True) == (named(error), cure in str(error))


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": "invalid_grant", "error_description": "login rate exceeded"}, "limit"),
        (503, HTML, "transient"),
        (404, HTML, "refused"),
    ],
)
def test_a_login_that_failed_otherwise(status, body, expected):
    assert expected == named(auth.refusal(answer(status, body), CREDENTIALS))


# --- Salesforce: whole requests (fact sheet 1.3, 2.x, 3, 4, 6.2) ------------------------------------------


def errors(code, message="", **more):
    return [{"errorCode": code, "message": message, **more}]


WHOLE = [
    ("a session that ended", 401, errors("INVALID_SESSION_ID", "Session expired or invalid"), "session"),
    ("a session that ended, in bulk", 400, errors("INVALIDSESSIONID", "expired"), "session"),
    ("a session, and no words", 401, "", "session"),
    (
        "no REST for this session",
        401,
        errors("INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
        "refused",
    ),
    (
        "an app without its agent",
        401,
        errors("INVALID_SESSION_ID", "Connected app is not attached to Agent"),
        "refused",
    ),
    ("a bad token", 403, errors("BAD_OAUTH_TOKEN", "bad_id"), "session"),
    ("the day is used up", 403, errors("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), "limit"),
    (
        "too many long ones",
        403,
        errors("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded."),
        "transient",
    ),
    (
        "too many at once",
        403,
        errors("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded."),
        "transient",
    ),
    ("no more bulk today", 400, errors("EXCEEDEDQUOTA", "ExceededQuota"), "limit"),
    ("an edition without API", 403, errors("API_DISABLED_FOR_ORG", "API is not enabled"), "refused"),
    ("a user without API", 403, errors("API_CURRENTLY_DISABLED", "API is disabled"), "refused"),
    ("bulk is not enabled", 400, errors("FEATURENOTENABLED", "FeatureNotEnabled"), "refused"),
    ("no rights", 403, errors("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights"), "refused"),
    ("a policy of the org", 403, errors("TXN_SECURITY_NO_ACCESS", "blocked"), "refused"),
    ("storage is full", 400, errors("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded"), "halted"),
    ("no such record", 404, errors("NOT_FOUND", "The requested resource does not exist"), "absent"),
    ("a deleted record", 404, errors("ENTITY_IS_DELETED", "entity is deleted"), "absent"),
    ("a parent that is gone", 404, errors("INVALID_CROSS_REFERENCE_KEY", "invalid id"), "absent"),
    ("an address that is none", 404, "", "config"),
    ("a proxy's page", 404, HTML, "transient"),
    ("a firewall's page", 403, HTML, "transient"),
    ("a login page of the network", 400, f"<!DOCTYPE html>\n{HTML}", "transient"),
    ("a proxy that wants a login", 407, HTML, "transient"),
    ("no such column", 400, errors("INVALID_FIELD", "No such column 'Foo__c' on entity 'Bar'"), "config"),
    ("no such object", 400, errors("INVALID_TYPE", "sObject type 'X' is not supported"), "config"),
    ("a query nobody understands", 400, errors("MALFORMED_QUERY", "unexpected token: FORM"), "config"),
    ("a query of too much", 400, errors("QUERY_TOO_COMPLICATED", "too complicated"), "config"),
    ("an offset too far", 400, errors("NUMBER_OUTSIDE_VALID_RANGE", "OFFSET"), "config"),
    ("a query that took too long", 400, errors("QUERY_TIMEOUT", "running for too long."), "transient"),
    # Asking for the same page again would never help.
    ("a page that has died", 404, errors("INVALID_QUERY_LOCATOR", "invalid query locator"), "config"),
    ("another page that has died", 400, errors("INVALID_QUERY_LOCATOR", "invalid query locator"), "config"),
    ("a call that took too long", 500, errors("REQUEST_RUNNING_TOO_LONG", "too long"), "transient"),
    ("a locked row", 400, errors("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access"), "transient"),
    ("locks without end", 400, errors("TOOMANYLOCKFAILURE", "TooManyLockFailure"), "transient"),
    ("a bulk timeout", 400, errors("TIMEOUT", "Timeout"), "transient"),
    ("bytes that are no JSON", 400, errors("JSON_PARSER_ERROR", "Unexpected character"), "config"),
    ("an id that is none", 400, errors("MALFORMED_ID", "malformed id abc123"), "config"),
    ("a method that is not allowed", 405, errors("METHOD_NOT_ALLOWED", "HTTP Method 'DELETE'"), "config"),
    ("a wrong content type", 415, errors("UNSUPPORTED_MEDIA_TYPE", "text/plain"), "config"),
    ("a job of another state", 400, errors("INVALIDJOBSTATE", "InvalidJobState"), "config"),
    ("a batch that is none", 400, errors("INVALIDBATCH", "InvalidBatch"), "config"),
    ("a file that is none", 400, errors("CLIENTINPUTERROR", "ClientInputError"), "config"),
    ("a result of another version", 409, errors("VERSION", "same API version"), "config"),
    ("several records of a key", 300, ["/services/data/v67.0/sobjects/Contact/003000000000001"], "config"),
    ("an address that moved", 302, "", "config"),
    ("a version that is retired", 410, errors("UNSUPPORTED_API_VERSION", "gone"), "config"),
    ("an address too long", 414, "", "config"),
    ("headers too long", 431, "", "config"),
    ("an edge that wants a pause", 429, "", "transient"),
    ("a failure inside", 500, errors("UNKNOWN_EXCEPTION", "An unexpected error occurred."), "transient"),
    ("the org's code failed", 500, errors("APEX_ERROR", "System.NullPointerException"), "transient"),
    ("an edge's page", 502, HTML, "transient"),
    ("unavailable", 503, errors("SERVER_UNAVAILABLE", "Server Unavailable"), "transient"),
    ("unavailable, as a page", 503, HTML, "transient"),
]


@pytest.mark.parametrize(
    ("status", "body", "expected"), [pytest.param(*rest, id=text) for text, *rest in WHOLE]
)
def test_a_request_that_salesforce_refused(status, body, expected):
    assert expected == named(crm.failure(answer(status, body)))


# --- Salesforce: rows (fact sheet 2.5, 2.6, 2.7, 2.8, 3, 6.2, 7) ------------------------------------------

APEX = "Guard: execution of BeforeInsert\n\ncaused by: System."
ROWS = [
    ("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", "problem"),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Rings need a size.", "problem"),
    ("STRING_TOO_LONG", "Name: data value too large: Wolf (max length=80)", "problem"),
    ("INVALID_EMAIL_ADDRESS", "Email: invalid email address: x", "problem"),
    (
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "Status__c: bad value for restricted picklist field: X",
        "problem",
    ),
    (
        "NUMBER_OUTSIDE_VALID_RANGE",
        "Score__c: value outside of valid range on numeric field: 1000",
        "problem",
    ),
    ("JSON_PARSER_ERROR", "Cannot deserialize instance of date from VALUE_STRING value x", "problem"),
    ("INVALID_FIELD", "No such column 'Foo__c' on sobject of type Bar__c", "problem"),
    ("INVALID_FIELD", "Foreign key external ID: 0116 not found for field K__c in entity X__c", "waiting"),
    ("INVALID_FIELD", "Cannot reference a foreign key field Pricebook2.", "problem"),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: X.", "problem"),
    ("DUPLICATE_VALUE", "duplicate value found: Ext__c duplicates value on record with id: a01", "problem"),
    (
        "DUPLICATE_VALUE",
        "duplicate value found: Transaction_Key__c duplicates value on record with id: a01",
        "transient",
    ),
    ("DUPLICATE_VALUE", "Duplicate external id specified: 190001-S7", "transient"),
    ("DUPLICATE_VALUE", "duplicate id in list", "transient"),
    ("DUPLICATES_DETECTED", "Use one of these records?", "review"),
    ("MALFORMED_ID", "malformed id abc123", "problem"),
    ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", "waiting"),
    ("ENTITY_IS_DELETED", "entity is deleted", "waiting"),
    ("NOT_FOUND", "The requested resource does not exist", "waiting"),
    ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", "problem"),
    ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on cross-reference id", "problem"),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "insufficient access rights", "problem"),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"{APEX}NullPointerException", "problem"),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"{APEX}DmlException: UNABLE_TO_LOCK_ROW", "transient"),
    (
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        f"{APEX}LimitException: Too many SOQL queries: 101",
        "transient",
    ),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", 'We can\'t save this record because the "X" process failed.', "problem"),
    ("TXN_SECURITY_NO_ACCESS", "blocked", "problem"),
    ("TXN_SECURITY_RUNTIME_EXCEPTION", "failed", "problem"),
    ("TXN_SECURITY_METERING_ERROR", "too long", "problem"),
    ("TXN_SECURITY_APEX_ERROR", "failed", "problem"),
    ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records: 001", "transient"),
    ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", "halted"),
    ("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", "transient"),
    ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", "halted"),
    ("API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner", "halted"),
    ("API_CURRENTLY_DISABLED", "API is disabled for this user", "halted"),
    ("INVALID_SESSION_ID", "Session expired or invalid", "halted"),
    ("METHOD_NOT_ALLOWED", "HTTP Method 'DELETE' not allowed.", "problem"),
    ("UNSUPPORTED_MEDIA_TYPE", "text/plain", "problem"),
    ("QUERY_TIMEOUT", "Your query request was running for too long.", "transient"),
    ("REQUEST_RUNNING_TOO_LONG", "too long", "transient"),
    ("STANDARD_PRICE_NOT_DEFINED", "Before creating a custom price, create a standard price.", "waiting"),
    ("FIELD_INTEGRITY_EXCEPTION", "There's a problem with this state", "problem"),
    ("UNKNOWN_EXCEPTION", "An unexpected error occurred.", "transient"),
    ("APEX_ERROR", "System.NullPointerException", "transient"),
    ("SERVER_UNAVAILABLE", "Server Unavailable", "transient"),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back", "transient"),
    ("PROCESSING_HALTED", "The transaction was rolled back", "transient"),
    ("BATCH_PROCESSING_HALTED", "halted", "transient"),
    ("TOO_MANY_LOCK_FAILURE", "Too many lock failure", "transient"),
    ("INACTIVE_OWNER_OR_USER", "operation performed with inactive user", "problem"),
    ("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", "problem"),
    ("NEVER_HEARD_OF", "what is this", "problem"),
]


@pytest.mark.parametrize(("code", "message", "expected"), ROWS)
def test_a_row_of_a_collection(code, message, expected):
    slot = Slot("update", "Bar__c", [{"Id": "a01000000000001AAA"}])
    result = {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}
    assert expected == class_of(crm.row_ack(slot, slot.rows[0], result))


@pytest.mark.parametrize(("code", "message", "expected"), ROWS)
def test_a_row_of_a_bulk_job(code, message, expected):
    assert expected == class_of(Refused(*bulk.parse_row_error(f"{code}:{message}:Foo__c --")))


def whole_part(status, body):
    slot = Slot("update", "Bar__c", [{"Id": "a01000000000001AAA"}, {"Id": "a01000000000002AAA"}])
    part = crm.Part("slot0", slot)
    sub = {"referenceId": "slot0", "httpStatusCode": status, "httpHeaders": {}, "body": body}
    found = crm.composite_results([part], {"compositeResponse": [sub]})["slot0"]
    return [class_of(ack) for ack in found] if isinstance(found, list) else named(found)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(400, errors("JSON_PARSER_ERROR", "x"), ["problem"] * 2, id="bytes that are no JSON"),
        pytest.param(400, errors("STORAGE_LIMIT_EXCEEDED", "x"), ["halted"] * 2, id="storage is full"),
        pytest.param(404, errors("NOT_FOUND", "x"), ["waiting"] * 2, id="an object that went away"),
        pytest.param(403, errors("REQUEST_LIMIT_EXCEEDED", "Total"), "limit", id="the day is used up"),
        pytest.param(400, errors("UNABLE_TO_LOCK_ROW", "x"), "transient", id="a lock"),
        pytest.param(401, errors("INVALID_SESSION_ID", "x"), "transient", id="a session that ended"),
        pytest.param(503, "", "transient", id="unavailable"),
        pytest.param(200, [{"success": True}], "transient", id="fewer answers than rows"),
        pytest.param(
            300, ["/services/data/v67.0/sobjects/Contact/003000000000001"], ["problem"] * 2, id="several hits"
        ),
    ],
)
def test_a_part_of_a_composite_call(status, body, expected):
    assert expected == whole_part(status, body)

"""The order of calls to Salesforce, against an org whose every answer is written down in the test."""

import gzip
import json
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tillbridge.connectors.http import Http
from tillbridge.connectors.salesforce import Credentials, SalesforceClient
from tillbridge.model.acks import Refused, Written
from tillbridge.model.errors import (
    BadRequest,
    ConfigurationInvalid,
    CredentialsRefused,
    LimitReached,
    PermissionMissing,
    Transient,
)
from tillbridge.model.writing import BulkAck, BulkJob, CrmUsage, Slot
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Fault, Response, Server

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DATA = "/services/data/v67.0"
SALE, ACCOUNT, PRICE = "a01000000000001AAA", "001000000000001AAA", "01u000000000001AAA"
HTML = "<html><body>Service Unavailable</body></html>"
UPSERT = Slot("upsert", "Sale__c", [{"Key__c": "1"}], "Key__c")
UPDATE = Slot("update", "Account", [{"Id": ACCOUNT, "Phone": "1"}])
CREATE = Slot("create", "PricebookEntry", [{"Product2Id": "01t000000000001AAA"}])


class JumpingClock:
    """Time that passes only when somebody waits."""

    def __init__(self):
        self._now = NOW
        self.waited = []

    def now(self):
        return self._now

    def monotonic(self):
        return self._now.timestamp()

    def sleep(self, seconds):
        self.waited.append(seconds)
        self._now += timedelta(seconds=seconds)


class Org:
    """Answers each data call with the next line of a script; logs anybody in."""

    def __init__(self, *script):
        self.clock = SimClock(NOW.timestamp())
        self.script = list(script)
        self.asked = []
        self.requests = []
        self.logins = 0

    def handle(self, request):
        if request.path == "/services/oauth2/token":
            self.logins += 1
            identity = "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA"
            return Response.of(
                {"access_token": f"token-{self.logins}", "instance_url": request.origin, "id": identity}
            )
        assert f"Bearer token-{self.logins}" == request.headers["authorization"] or not self.script
        assert "client=tillbridge" == request.headers["sforce-call-options"]
        self.asked.append(f"{request.method} {request.path.removeprefix(DATA)}")
        self.requests.append(request)
        return self.script.pop(0)

    def control(self, request):
        raise AssertionError(request.path)


@contextmanager
def connected(org, *faults, **settings):
    server, http = Server(org).start(), Http()
    server.faults.extend(faults)
    credentials = Credentials("client_credentials", server.url, "key", client_secret="secret")
    try:
        yield SalesforceClient(http, credentials, clock=JumpingClock(), rng=Random(1), **settings)
    finally:
        http.close()
        server.close()


class Told:
    """A quota that writes down what it is told of the day."""

    def __init__(self):
        self.heard = []

    def take(self, org):
        """Let everything pass."""

    def told(self, used, allowed):
        self.heard.append((used, allowed))


def ok(value, **headers):
    return Response.of(value, 200, **headers)


def error(code, status=400, message="m", **headers):
    return Response.of([{"errorCode": code, "message": message}], status, **headers)


def composite(**parts):
    return ok(
        {
            "compositeResponse": [
                {"referenceId": ref, "httpStatusCode": status, "httpHeaders": {}, "body": body}
                for ref, (status, body) in parts.items()
            ]
        }
    )


def told(id_, **more):
    return {"id": id_, "success": True, "errors": [], **more}


def csv_answer(text, **headers):
    return Response(200, text.encode(), {"Content-Type": "text/csv", **headers})


# -- sessions -------------------------------------------------------------------


def test_org_is_known_without_an_api_call():
    with connected(Org()) as crm:
        assert "00D000000000001EAA" == crm.org().id
        assert "005000000000001AAA" == crm.org().user_id
        assert 0 == crm.calls


def test_an_expired_session_is_renewed_once_and_the_call_repeated():
    org = Org(error("INVALID_SESSION_ID", 401), ok({"records": [], "done": True}))

    with connected(org) as crm:
        assert [[]] == list(crm.query("SELECT Id FROM A"))
        assert 2 == crm.logins
        assert 2 == crm.calls
        assert {"query": 2} == crm.calls_by_endpoint


def test_a_session_that_is_refused_at_once_ends_it():
    org = Org(error("INVALID_SESSION_ID", 401), error("INVALID_SESSION_ID", 401))

    with connected(org) as crm, pytest.raises(CredentialsRefused, match="session policies"):
        crm.describe("A")

    assert 2 == org.logins


def test_a_session_that_no_login_cures_is_not_renewed():
    org = Org(error("INVALID_SESSION_ID", 401, "This session is not valid for use with the REST API"))

    with connected(org) as crm, pytest.raises(PermissionMissing, match="scope api"):
        crm.describe("A")

    assert 1 == org.logins


def test_an_expired_session_inside_a_download_is_renewed():
    org = Org(
        error("INVALID_SESSION_ID", 401), csv_answer('"sf__Id","sf__Created","Key__c"\n"a","true","1"\n')
    )

    with connected(org) as crm:
        crm._uploaded["750"] = 1
        acks = list(crm.bulk_results(BulkJob(id="750", state="complete", processed=1), "Key__c"))

    assert [BulkAck("1", id="a", created=True)] == acks


# -- patience -------------------------------------------------------------------


def test_a_busy_org_is_asked_again_and_its_wish_is_kept():
    org = Org(Response(503, HTML.encode()), error("SERVER_UNAVAILABLE", 503, **{"Retry-After": "9"}), ok([]))

    with connected(org) as crm:
        crm.versions()

        assert 9.0 == crm._clock.waited[1]


def test_patience_ends():
    with connected(Org(*[Response(503, HTML.encode())] * 5)) as crm, pytest.raises(Transient):
        crm.describe("A")

    assert 4 == len(crm._clock.waited)


def test_the_daily_limit_is_not_asked_again():
    org = Org(error("REQUEST_LIMIT_EXCEEDED", 403, "TotalRequests Limit exceeded."))

    with connected(org) as crm, pytest.raises(LimitReached):
        crm.describe("A")

    assert 1 == crm.calls


def test_too_many_long_requests_at_once_is_asked_again():
    limit = error("REQUEST_LIMIT_EXCEEDED", 403, "ConcurrentPerOrgLongTxn Limit exceeded.")

    with connected(Org(limit, ok([]))) as crm:
        crm.versions()


def test_a_half_answer_is_asked_for_again():
    org = Org(ok({"records": [], "done": True}), ok({"records": [{"Id": "x"}], "done": True}))

    with connected(org, Fault("half_body", "/query")) as crm:
        assert [[{"Id": "x"}]] == list(crm.query("SELECT Id FROM A"))


def test_a_page_instead_of_json_is_asked_for_again():
    with connected(Org(Response(200, HTML.encode()), ok([{"version": "67.0"}]))) as crm:
        assert ["67.0"] == crm.versions()


def test_the_org_use_is_read_from_every_answer():
    org = Org(
        ok([], **{"Sforce-Limit-Info": "api-usage=18/5000"}),
        ok([], **{"SFORCE-LIMIT-INFO": "api-usage=19/5000"}),
        ok([]),
    )

    with connected(org) as crm:
        assert crm.usage() is None
        crm.versions()
        assert CrmUsage(18, 5000) == crm.usage()
        crm.versions()
        crm.versions()
        assert CrmUsage(19, 5000) == crm.usage()


# -- reading ----------------------------------------------------------------------


def test_a_query_is_read_page_by_page_by_the_path_it_names():
    nowhere = "/services/data/v67.0/query/01g-2000"
    org = Org(
        ok(
            {
                "totalSize": 2,
                "done": False,
                "nextRecordsUrl": nowhere,
                "records": [{"attributes": {}, "Id": "a", "B__r": None}],
            }
        ),
        ok(
            {
                "totalSize": 2,
                "done": True,
                "records": [{"attributes": {}, "Id": "b", "B__r": {"attributes": {}, "C": 1}}],
            }
        ),
    )

    with connected(org) as crm:
        pages = list(crm.query("SELECT Id, B__r.C FROM A WHERE D > 2026-01-01T00:00:00+00:00"))

    assert [[{"Id": "a", "B__r": None, "B__r.C": None}], [{"Id": "b", "B__r.C": 1}]] == pages
    assert ["GET /query", "GET /query/01g-2000"] == org.asked
    assert "2026-01-01T00:00:00+00:00" in org.requests[0].param("q")


def test_a_count_is_a_row():
    with connected(Org(ok({"totalSize": 7, "done": True, "records": []}))) as crm:
        assert [[{"expr0": 7}]] == list(crm.query("SELECT COUNT() FROM A"))


def test_a_next_page_never_leaves_the_org():
    org = Org(
        ok({"done": False, "nextRecordsUrl": f"https://example.com{DATA}/query/01g-2000", "records": []}),
        ok({"done": True, "records": []}),
    )

    with connected(org) as crm:
        list(crm.query("SELECT Id FROM A"))

    assert "GET /query/01g-2000" == org.asked[1]


def test_a_query_longer_than_an_address_is_refused_before_it_is_sent():
    with connected(Org()) as crm:
        with pytest.raises(ValueError, match="address"):
            crm.query("SELECT Id FROM A WHERE Id IN ('" + "x" * 16_000 + "')")
        assert 0 == crm.calls


def test_a_dead_locator_is_a_bad_request():
    org = Org(
        ok({"done": False, "nextRecordsUrl": f"{DATA}/query/01g-2000", "records": []}),
        error("INVALID_QUERY_LOCATOR", 404),
    )

    with connected(org) as crm, pytest.raises(BadRequest) as found:
        list(crm.query("SELECT Id FROM A"))

    assert "INVALID_QUERY_LOCATOR" == found.value.code


@pytest.mark.parametrize("answer", [error("NOT_FOUND", 404), error("INVALID_TYPE", 400)])
def test_an_object_that_is_not_there_is_none(answer):
    with connected(Org(answer)) as crm:
        assert crm.describe("Nothing__c") is None


def test_a_bulk_query_is_polled_and_read_by_locator():
    org = Org(
        ok({"id": "750", "state": "UploadComplete"}),
        ok({"id": "750", "state": "InProgress"}),
        ok({"id": "750", "state": "JobComplete"}),
        csv_answer('"Id","Name"\n"a","x"\n', **{"Sforce-Locator": "MTAw"}),
        csv_answer('"Id","Name"\n"b",""\n', **{"sforce-locator": "null"}),
    )

    with connected(org) as crm:
        chunks = list(crm.bulk_query("SELECT Id, Name FROM A"))

        assert [2.0] == crm._clock.waited
    assert [[{"Id": "a", "Name": "x"}], [{"Id": "b", "Name": ""}]] == chunks
    assert "MTAw" == org.requests[4].param("locator")


def test_a_bulk_query_that_fails_says_why():
    org = Org(
        ok({"id": "750", "state": "UploadComplete"}),
        ok({"id": "750", "state": "Failed", "errorMessage": "too odd"}),
    )

    with connected(org) as crm, pytest.raises(BadRequest, match="too odd"):
        list(crm.bulk_query("SELECT Id FROM A"))


# -- writing ------------------------------------------------------------------------


def test_all_slots_go_in_one_call():
    org = Org(composite(slot0=(200, [told(SALE, created=True)]), slot1=(200, [told(ACCOUNT)])))

    with connected(org) as crm:
        acks = crm.write([UPSERT, UPDATE])

        assert 1 == crm.calls
    assert [[Written(SALE, True)], [Written(ACCOUNT, False)]] == acks


def test_nothing_to_write_costs_nothing():
    with connected(Org()) as crm:
        assert [] == crm.write([])
        assert 0 == crm.calls


def test_history_asks_for_no_assignment_rules():
    org = Org(composite(slot0=(200, [told(SALE)])))

    with connected(org, history=True, allow_duplicates=True) as crm:
        crm.write([UPSERT])

    wanted = {"Sforce-Auto-Assign": "FALSE", "Sforce-Duplicate-Rule-Header": "allowSave=true"}
    assert wanted == org.requests[0].json()["compositeRequest"][0]["httpHeaders"]
    assert "FALSE" == org.requests[0].headers["sforce-auto-assign"]


@pytest.mark.parametrize("kind", ["reset_after", "half_body", "reset_before"])
def test_a_lost_answer_to_an_upsert_is_asked_for_again(kind):
    answer = composite(slot0=(200, [told(SALE, created=False)]))

    with connected(Org(answer, answer), Fault(kind, "/composite")) as crm:
        assert [[Written(SALE, False)]] == crm.write([UPSERT])


@pytest.mark.parametrize("kind", ["reset_after", "half_body"])
def test_a_lost_answer_to_a_create_is_handed_up(kind):
    answer = composite(slot0=(200, [told(PRICE)]))
    org = Org(answer, answer)

    with connected(org, Fault(kind, "/composite")) as crm, pytest.raises(Transient) as found:
        crm.write([CREATE])

    assert found.value.outcome_unknown
    assert ["POST /composite"] == org.asked


def test_a_page_instead_of_the_answer_to_a_create_is_handed_up():
    org = Org(Response(200, HTML.encode()))

    with connected(org) as crm, pytest.raises(Transient) as found:
        crm.write([CREATE])

    assert found.value.outcome_unknown
    assert 1 == crm.calls


def test_a_create_that_was_turned_away_is_sent_again():
    with connected(Org(Response(429, b""), composite(slot0=(201, [told(PRICE)])))) as crm:
        assert [[Written(PRICE, True)]] == crm.write([CREATE])


def test_only_the_slot_that_failed_for_now_is_sent_again():
    org = Org(
        composite(
            slot0=(503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "m"}]), slot1=(200, [told(PRICE)])
        ),
        composite(slot0=(200, [told(SALE)])),
    )

    with connected(org) as crm:
        assert [[Written(SALE)], [Written(PRICE, True)]] == crm.write([UPSERT, CREATE])

    assert ["slot0"] == [part["referenceId"] for part in org.requests[1].json()["compositeRequest"]]


def test_a_slot_that_keeps_failing_takes_no_other_acks_with_it():
    busy = (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "m"}])
    org = Org(composite(slot0=(200, [told(ACCOUNT)]), slot1=busy), *[composite(slot1=busy)] * 4)

    with connected(org) as crm:
        updated, upserted = crm.write([UPDATE, UPSERT])

    assert [Written(ACCOUNT, False)] == updated
    assert ["SERVER_UNAVAILABLE"] == [ack.code for ack in upserted]


def test_a_call_that_fails_after_some_acks_takes_none_of_them_with_it():
    busy = (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "m"}])
    org = Org(
        composite(slot0=(200, [told(PRICE)]), slot1=busy),
        error("REQUEST_LIMIT_EXCEEDED", 403, "TotalRequests"),
    )

    with connected(org) as crm:
        created, upserted = crm.write([CREATE, UPSERT])

    assert [Written(PRICE, True)] == created
    assert ["REQUEST_LIMIT_EXCEEDED"] == [ack.code for ack in upserted]


def test_when_no_slot_got_through_the_error_is_raised():
    busy = (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "m"}])

    with connected(Org(*[composite(slot0=busy)] * 5)) as crm, pytest.raises(Transient):
        crm.write([UPSERT])


def test_a_create_whose_slot_failed_unknown_is_handed_up():
    lost = (500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": "m"}])
    org = Org(composite(slot0=(200, [told(ACCOUNT)]), slot1=lost))

    with connected(org) as crm, pytest.raises(Transient) as found:
        crm.write([UPDATE, CREATE])

    assert found.value.outcome_unknown


def test_a_slot_refused_as_a_whole_refuses_its_rows_and_no_others():
    refusal = (400, [{"errorCode": "INVALID_FIELD", "message": "No such column 'X__c'"}])

    with connected(Org(composite(slot0=refusal, slot1=(200, [told(ACCOUNT)])))) as crm:
        acks = crm.write([UPSERT, UPDATE])

    assert [[Refused("INVALID_FIELD", "No such column 'X__c'", ("X__c",))], [Written(ACCOUNT, False)]] == acks


def test_a_locked_row_is_the_engines_to_decide():
    row = {"success": False, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "m", "fields": []}]}

    with connected(Org(composite(slot0=(200, [row])))) as crm:
        assert [[Refused("UNABLE_TO_LOCK_ROW", "m")]] == crm.write([UPSERT])


def test_an_upsert_whose_answer_names_no_id_is_looked_up():
    slots = [UPSERT, *[UPDATE] * 5]
    updates = {f"slot{n}": (204, None) for n in range(1, 6)}
    org = Org(composite(slot0=(204, None), **updates), ok({"Id": SALE}))

    with connected(org) as crm:
        assert [Written(SALE)] == crm.write(slots)[0]

    assert "GET /sobjects/Sale__c/Key__c/1" == org.asked[1]


# -- bulk jobs ------------------------------------------------------------------------


def test_a_job_from_opening_to_closing():
    org = Org(
        ok({"id": "750", "state": "Open"}),
        Response(201),
        ok({"id": "750", "state": "UploadComplete"}),
        ok({"id": "750", "state": "InProgress"}),
    )

    with connected(org, history=True) as crm:
        job = crm.bulk_open("Sale__c", "upsert", "Key__c")
        assert 2 == crm.bulk_upload(job, ["Key__c"], iter([{"Key__c": "1"}, {"Key__c": "2"}]))
        crm.bulk_close(job)
        assert BulkJob(id="750", state="working") == crm.bulk_status(job)

    assert [
        "POST /jobs/ingest",
        "PUT /jobs/ingest/750/batches",
        "PATCH /jobs/ingest/750",
        "GET /jobs/ingest/750",
    ] == org.asked
    upload = org.requests[1]
    assert b"Key__c\n1\n2\n" == upload.body
    assert "11" == upload.headers["content-length"]
    assert upload.headers["content-type"].startswith("text/csv")
    assert {"state": "UploadComplete"} == json.loads(org.requests[2].body)


def test_an_upload_is_repeated_whole_after_a_new_login():
    org = Org(error("INVALID_SESSION_ID", 401), Response(201))

    with connected(org) as crm:
        crm.bulk_upload("750", ["Key__c"], iter([{"Key__c": "1"}]))

    assert [b"Key__c\n1\n"] * 2 == [request.body for request in org.requests]


def test_an_upload_whose_answer_is_lost_is_handed_up():
    """A second upload into the same job might count every row twice."""
    org = Org(Response(201), Response(201))

    with connected(org, Fault("reset_after", "/batches")) as crm, pytest.raises(Transient) as found:
        crm.bulk_upload("750", ["Key__c"], iter([{"Key__c": "1"}]))

    assert found.value.outcome_unknown
    assert 1 == len(org.asked)


@pytest.mark.parametrize("state", ["UploadComplete", "InProgress", "JobComplete"])
def test_a_job_that_is_closed_already_is_closed(state):
    with connected(Org(error("INVALIDJOBSTATE"), ok({"id": "750", "state": state}))) as crm:
        crm.bulk_close("750")


def test_a_job_that_cannot_be_closed_is_refused():
    org = Org(error("InvalidJobState"), ok({"id": "750", "state": "Aborted"}))

    with connected(org) as crm, pytest.raises(BadRequest):
        crm.bulk_close("750")


@pytest.mark.parametrize("answer", [ok({"id": "750"}), error("NOT_FOUND", 404), error("INVALIDJOBSTATE")])
def test_a_job_that_is_gone_is_given_up_already(answer):
    with connected(Org(answer)) as crm:
        crm.bulk_abort("750")


def test_a_job_that_nobody_knows_is_none():
    with connected(Org(error("NOT_FOUND", 404))) as crm:
        assert crm.bulk_status("750") is None


WRITTEN = csv_answer('"sf__Id","sf__Created","Key__c"\n"a","true","1"\n')
REFUSED = csv_answer('"sf__Id","sf__Error","Key__c"\n"","CODE:m:F --","2"\n')
NOTHING = csv_answer('"Key__c"\n')
UNPROCESSED = csv_answer('"Key__c"\n"3"\n')
ACKS = [
    BulkAck("1", id="a", created=True),
    BulkAck("2", code="CODE", message="m", fields=("F",), row={"Key__c": "2"}),
    BulkAck("3", unprocessed=True, row={"Key__c": "3"}),
]


def done(processed, failed=0):
    return BulkJob(id="7", state="complete", processed=processed, failed=failed)


@pytest.mark.parametrize(
    ("job", "uploaded", "files", "expected"),
    [
        pytest.param(done(1), 1, [WRITTEN], ACKS[:1], id="all written"),
        pytest.param(done(2, failed=1), 2, [WRITTEN, REFUSED], ACKS[:2], id="some refused"),
        pytest.param(done(2), 2, [WRITTEN, REFUSED], ACKS[:2], id="some refused, which the count hides"),
        pytest.param(done(2, failed=1), 3, [WRITTEN, REFUSED, UNPROCESSED], ACKS, id="some never looked at"),
        pytest.param(done(1), None, [WRITTEN, NOTHING], ACKS[:1], id="how many were sent is forgotten"),
        pytest.param(
            BulkJob(id="7", state="failed"), 3, [WRITTEN, REFUSED, UNPROCESSED], ACKS, id="a failed job"
        ),
        pytest.param(
            BulkJob(id="7", state="aborted"), 3, [WRITTEN, REFUSED, UNPROCESSED], ACKS, id="an aborted job"
        ),
    ],
)
def test_only_files_that_may_hold_rows_are_fetched(job, uploaded, files, expected):
    org = Org(*files)

    with connected(org) as crm:
        if uploaded is not None:
            crm._uploaded["7"] = uploaded
        assert expected == list(crm.bulk_results(job, "Key__c"))

    assert [] == org.script
    assert [r.path.rstrip("/") for r in org.requests] == [
        f"{DATA}/jobs/ingest/7/{name}"
        for name in ("successfulResults", "failedResults", "unprocessedrecords")
        if any(name in r.path for r in org.requests)
    ]


def test_a_result_file_that_breaks_off_is_fetched_again_and_no_row_is_told_twice():
    whole = csv_answer('"sf__Id","sf__Created","Key__c"\n' + '"a","true","1"\n' * 500)

    with connected(Org(whole, whole), Fault("half_body", "successfulResults")) as crm:
        crm._uploaded["7"] = 500
        assert 500 == len(list(crm.bulk_results(BulkJob(id="7", state="complete", processed=500), "Key__c")))


def test_a_packed_result_file_is_unpacked():
    body = gzip.compress(b'"sf__Id","sf__Created","Key__c"\n"a","true","1"\n')

    with connected(Org(Response(200, body, {"Content-Type": "text/csv", "Content-Encoding": "gzip"}))) as crm:
        crm._uploaded["7"] = 1
        assert ACKS[:1] == list(crm.bulk_results(BulkJob(id="7", state="complete", processed=1), "Key__c"))


# -- set-up -------------------------------------------------------------------------------


def test_a_deployment_is_started_and_followed():
    pending = {"id": "0Af", "deployResult": {"status": "Pending"}}
    done = {"id": "0Af", "deployResult": {"status": "Succeeded", "done": True, "success": True}}
    org = Org(Response.of(pending, 201), ok(done))

    with connected(org) as crm:
        assert "0Af" == crm.deploy(b"PK", check_only=True)
        assert crm.deploy_status("0Af").success

    assert ["POST /metadata/deployRequest", "GET /metadata/deployRequest/0Af"] == org.asked
    assert re.search(rb'"checkOnly":\s*true', org.requests[0].body)


FOUND, ABSENT = ok({"records": [{"Id": "0PS"}]}), ok({"records": []})


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param([FOUND, ABSENT, Response.of(told("0Pa"), 201)], True, id="assigned"),
        pytest.param([FOUND, FOUND], False, id="held already"),
        pytest.param([FOUND, ABSENT, error("DUPLICATE_VALUE")], False, id="assigned meanwhile"),
    ],
)
def test_a_permission_set_is_assigned_once(script, expected):
    with connected(Org(*script)) as crm:
        assert expected is crm.assign_permission_set("Tillbridge_Integration")


def test_a_permission_set_that_is_missing_is_named():
    with connected(Org(ok({"records": []}))) as crm, pytest.raises(BadRequest, match="schema deploy"):
        crm.assign_permission_set("It's")


def test_a_version_that_is_none_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigurationInvalid, match="api_version"), connected(Org(), api_version="latest"):
        pass


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"sforce-limit-info": "api-usage=90/100"}, [(90, 100)]),
        ({}, [(40, 100)]),
    ],
    ids=["its header is newer than what it says", "a proxy has taken the header off"],
)
def test_asked_what_is_used_of_the_day_the_quota_hears_of_it(header, expected):
    quota = Told()
    answer = Response.of({"DailyApiRequests": {"Max": 100, "Remaining": 60}}, 200, **header)

    with connected(Org(answer), quota=quota) as crm:
        crm.look()

    assert expected == quota.heard

"""How values are spelt for Salesforce, and how its answers, files and headers are read."""

import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from random import Random

import pytest

from tillbridge.connectors.salesforce import bulk, wire
from tillbridge.connectors.salesforce.limits import parse_limits, parse_usage
from tillbridge.connectors.salesforce.retry import RetryPolicy, wait_before_retry
from tillbridge.model.errors import BadRequest, CredentialsRefused, LimitReached, Transient
from tillbridge.model.writing import BulkAck, BulkJob, CrmUsage, KeyRef

NOON = datetime(2026, 11, 21, 12, 0, 0, 123_999, UTC)
EASTERN = timezone(timedelta(hours=-5))


# -- JSON ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(Decimal("0.10"), b"0.10", id="money, digit for digit"),
        pytest.param(Decimal("12345678901234.99"), b"12345678901234.99", id="money beyond a float"),
        pytest.param(True, b"true", id="a flag"),
        pytest.param(None, b"null", id="an emptied field"),
        pytest.param("Zoë", '"Zoë"'.encode(), id="a text"),
        pytest.param(NOON, b'"2026-11-21T12:00:00.123Z"', id="a time, to the millisecond"),
        pytest.param(NOON.astimezone(EASTERN), b'"2026-11-21T12:00:00.123Z"', id="a time of another zone"),
        pytest.param(date(2026, 11, 21), b'"2026-11-21"', id="a date"),
    ],
)
def test_a_value_as_json(value, expected):
    assert expected == wire.encode(wire.record("A", {"F": value})["F"])


def test_a_time_without_zone_is_our_bug():
    with pytest.raises(ValueError, match="zone"):
        wire.record("A", {"F": datetime(2026, 1, 1)})  # noqa: DTZ001  That is the point.


def test_numbers_come_back_exact():
    assert {"a": Decimal("0.10"), "b": 3, "c": Decimal("1.0E+7")} == wire.decode(
        b'{"a":0.10,"b":3,"c":1.0E7}'
    )


def test_query_rows_become_flat():
    rows = [
        {
            "attributes": {"type": "Sale__c", "url": "/x"},
            "Id": "a01",
            "Total__c": Decimal("1.50"),
            "Store__r": {
                "attributes": {"type": "Store__c"},
                "Name": "Main",
                "Owner": {"attributes": {}, "Name": "O"},
            },
            "Account__r": None,
            "Till__r": {"Name": "a parent without attributes"},
            "MailingAddress": {"city": "Paris", "street": None},
            "Lines__r": {"totalSize": 1, "done": True, "records": [{"attributes": {}, "Id": "a02"}]},
        }
    ]

    assert [
        {
            "Id": "a01",
            "Total__c": Decimal("1.50"),
            "Store__r.Name": "Main",
            "Store__r.Owner.Name": "O",
            "Account__r": None,
            "Account__r.Name": None,
            "Till__r.Name": "a parent without attributes",
            "MailingAddress": {"city": "Paris", "street": None},
            "Lines__r": [{"Id": "a02"}],
        }
    ] == wire.flatten(rows, ["Store__r.Name", "Account__r.Name", "Till__r.Name"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "SELECT Id, Store__r.Name , Account.Owner.Name FROM Sale__c",
            ("Store__r.Name", "Account.Owner.Name"),
        ),
        ("select Id,(SELECT Product__r.Name FROM Lines__r), A__r.B FROM Sale__c", ("A__r.B",)),
        ("SELECT COUNT(Id) n, SUM(Total__c) FROM Sale__c", ()),
        ("FIND {x}", ()),
    ],
)
def test_the_parents_fields_of_a_query(text, expected):
    assert expected == wire.parent_fields(text)


def test_describe_becomes_facts():
    answer = {
        "name": "Account",
        "label": "Account",
        "createable": True,
        "updateable": True,
        "fields": [
            {
                "name": "Id",
                "type": "id",
                "length": 18,
                "nillable": False,
                "defaultedOnCreate": True,
                "createable": False,
            },
            {
                "name": "LastName",
                "type": "string",
                "length": 80,
                "nillable": False,
                "createable": True,
                "updateable": True,
                "custom": False,
            },
            {
                "name": "Active__c",
                "type": "boolean",
                "nillable": False,
                "defaultedOnCreate": True,
                "createable": True,
            },
            {
                "name": "Status__c",
                "type": "picklist",
                "nillable": True,
                "createable": True,
                "restrictedPicklist": True,
                "picklistValues": [{"active": True, "value": "A"}, {"active": False, "value": "B"}],
            },
            {
                "name": "Owner",
                "type": "reference",
                "referenceTo": ["Group", "User"],
                "relationshipName": "Owner",
            },
            {"name": "IsPersonAccount", "type": "boolean"},
        ],
        "recordTypeInfos": [
            {
                "developerName": "Master",
                "name": "Master",
                "recordTypeId": "012000000000000AAA",
                "available": True,
                "master": True,
            },
            {
                "developerName": "PersonAccount",
                "name": "Person",
                "recordTypeId": "012000000000001AAA",
                "available": True,
            },
            {
                "developerName": "Hidden",
                "name": "Hidden",
                "recordTypeId": "012000000000002AAA",
                "available": False,
            },
        ],
    }

    facts = wire.object_facts(answer)

    assert {"LastName"} == {f.name for f in facts.fields.values() if f.required}
    assert 80 == facts.fields["LastName"].length
    assert ("A",) == facts.fields["Status__c"].values
    assert facts.fields["Status__c"].restricted
    assert ("Group", "User") == facts.fields["Owner"].references
    assert "IsPersonAccount" in facts.fields
    assert {"PersonAccount": "012000000000001AAA"} == facts.record_types


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("001A0000006Vm9r", "001A0000006Vm9rIAC"),
        ("001A0000006Vm9rIAC", "001A0000006Vm9rIAC"),
        ("", ""),
    ],
)
def test_an_id_gets_its_18_characters(given, expected):
    assert expected == wire.id18(given)


# -- CSV ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, "#N/A", id="nothing empties the field"),
        pytest.param("", "#N/A", id="an empty text empties the field"),
        pytest.param("#N/A", "#N/A ", id="a text that reads like the mark does not"),
        pytest.param("a\0b", "ab", id="a NUL is dropped"),
        pytest.param("a\r\nb\rc", "a\nb\nc", id="line ends become the declared one"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param(Decimal("1E+3"), "1000", id="a number without exponent"),
        pytest.param(Decimal("-0.10"), "-0.10", id="a negative number"),
        pytest.param(7, "7", id="an integer"),
        pytest.param(NOON, "2026-11-21T12:00:00.123Z", id="a time"),
        pytest.param(date(2026, 11, 21), "2026-11-21", id="a date"),
    ],
)
def test_a_value_as_a_cell(value, expected):
    assert expected == wire.csv_cell(value)


def test_a_value_without_a_spelling_is_our_bug():
    with pytest.raises(TypeError):
        wire.csv_cell(1.5)


def csv_of(columns, rows, **more):
    file = io.BytesIO()
    count = bulk.write_csv(file, columns, rows, **more)
    return count, file.getvalue()


def test_rows_are_laid_out_under_their_columns():
    columns = ["Key__c", "Note__c", "Store__r.Store_Key__c"]
    rows = [
        {"Key__c": "1", "Store__c": KeyRef("Store__r", "Store_Key__c", "1-H1")},
        {"Note__c": 'two\nlines, "quoted"', "Key__c": "2"},
        {"Key__c": "3", "Note__c": None},
    ]

    assert (
        3,
        b'Key__c,Note__c,Store__r.Store_Key__c\n1,,1-H1\n2,"two\nlines, ""quoted""",\n3,#N/A,\n',
    ) == csv_of(columns, rows)


def test_a_field_without_a_column_is_our_bug():
    with pytest.raises(ValueError, match="Note__c"):
        csv_of(["Key__c"], [{"Key__c": "1", "Note__c": "x"}])


def test_a_job_that_grows_too_large_is_stopped_early():
    rows = ({"Key__c": "x" * 100} for _ in range(1_000_000))

    with pytest.raises(BadRequest, match="fewer rows") as refused:
        csv_of(["Key__c"], rows, bytes_max=300_000)

    assert "UPLOAD_TOO_LARGE" == refused.value.code
    assert 900_000 < sum(1 for _ in rows)


def test_written_rows_are_read():
    file = io.BytesIO(
        b'"sf__Id","sf__Created","Key__c","Note__c"\n"a01","true","1","two\nlines"\n"a02","false","2",""\n'
    )

    assert [BulkAck("1", id="a01", created=True), BulkAck("2", id="a02", created=False)] == list(
        bulk.read_written(file, "Key__c")
    )


def test_refused_rows_are_read():
    file = io.BytesIO(
        b'"sf__Id","sf__Error","Key__c"\r\n'
        b'"","REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --","1"\r\n'
    )

    assert [
        BulkAck(
            "1",
            code="REQUIRED_FIELD_MISSING",
            message="Required fields are missing: [Name]",
            fields=("Name",),
            row={"Key__c": "1"},
        )
    ] == list(bulk.read_refused(file, "Key__c"))


def test_what_was_sent_is_read_from_a_refused_row():
    file = io.BytesIO(
        b'"sf__Id","sf__Error","Key__c","Note__c","Total__c","Day__c"\n'
        b'"","CODE:m --","1","two\nlines","","#N/A"\n'
    )

    assert [{"Key__c": "1", "Note__c": "two\nlines", "Day__c": None}] == [
        ack.row for ack in bulk.read_refused(file, "Key__c")
    ]


def test_unprocessed_rows_are_read():
    assert [BulkAck("1", unprocessed=True, row={"Key__c": "1"})] == list(
        bulk.read_unprocessed(io.BytesIO(b'"Key__c"\n"1"\n'), "Key__c")
    )


def test_column_names_may_come_in_any_case_and_order():
    file = io.BytesIO(b'"key__c","SF__ID","sf__created"\n"1","a01","TRUE"\n')

    assert [BulkAck("1", id="a01", created=True)] == list(bulk.read_written(file, "Key__c"))


@pytest.mark.parametrize("read", [bulk.read_written, bulk.read_refused, bulk.read_unprocessed])
def test_a_file_without_rows_is_read(read):
    assert [] == list(read(io.BytesIO(b""), "Key__c"))


def test_nul_bytes_and_a_byte_order_mark_are_dropped():
    assert [{"Id": "a01", "Name": "ab"}] == list(
        bulk.read_records(io.BytesIO(b'\xef\xbb\xbf"Id","Name"\n"a01","a\0b"\n'))
    )


def test_a_cell_longer_than_the_librarys_limit_is_read():
    [row] = bulk.read_records(io.BytesIO(b'"A"\n"' + b"x" * 200_000 + b'"\n'))

    assert 200_000 == len(row["A"])


def test_a_torn_row_is_not_taken_for_a_row():
    with pytest.raises(Transient, match="could not be read"):
        list(bulk.read_written(io.BytesIO(b'"sf__Id","sf__Created","Key__c"\n"a01","tr'), "Key__c"))


def test_a_result_without_the_key_column_is_refused():
    with pytest.raises(BadRequest, match="Key__c"):
        list(bulk.read_written(io.BytesIO(b'"sf__Id","sf__Created"\n"a01","true"\n'), "Key__c"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --",
            ("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ("Name",)),
        ),
        ("LONG:long (max length=80):A__c B__c --", ("LONG", "long (max length=80)", ("A__c", "B__c"))),
        ("DUPLICATE_VALUE:record with id: a01:--", ("DUPLICATE_VALUE", "record with id: a01", ())),
        ("CANNOT_EXECUTE_FLOW_TRIGGER:a\nb: c --", ("CANNOT_EXECUTE_FLOW_TRIGGER", "a b: c", ())),
        ("UNABLE_TO_LOCK_ROW:busy", ("UNABLE_TO_LOCK_ROW", "busy", ())),
        ("something else", ("UNKNOWN_EXCEPTION", "something else", ())),
        ("", ("UNKNOWN_EXCEPTION", "no reason given", ())),
    ],
)  # fmt: skip
def test_a_rows_error_is_taken_apart(text, expected):
    code, message, fields = bulk.parse_row_error(text)

    assert expected == (code, message, fields)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("Open", "open"),
        ("UploadComplete", "working"),
        ("InProgress", "working"),
        ("Queued", "working"),
        ("JobComplete", "complete"),
        ("Failed", "failed"),
        ("Aborted", "aborted"),
    ],
)
def test_a_jobs_state(state, expected):
    given = {
        "id": "750",
        "state": state,
        "numberRecordsProcessed": 5,
        "numberRecordsFailed": 2,
        "errorMessage": "m",
    }

    assert BulkJob(id="750", state=expected, processed=5, failed=2, message="m") == bulk.read_job(given)


def test_a_jobs_body_names_line_ending_and_key():
    assert {
        "object": "A",
        "operation": "upsert",
        "externalIdFieldName": "K__c",
        "contentType": "CSV",
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
    } == json.loads(bulk.ingest_body("A", "upsert", "K__c"))


# -- limits and patience --------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("api-usage=18/5000", CrmUsage(18, 5000)),
        ("api-usage=25/5000;per-app-api-usage=17/250(appName=x)", CrmUsage(25, 5000)),
        ("per-app-api-usage=17/250(appName=x); api-usage=25/5000", CrmUsage(25, 5000)),
        ("api-usage=10018/100000; api-bursts=1/750", CrmUsage(10018, 100000)),
        ("API-Usage = 1/2", CrmUsage(1, 2)),
        ("api-bursts=1/750", None),
        ("api-usage=?", None),
        ("", None),
        (None, None),
    ],
)
def test_the_limit_header(header, expected):
    assert expected == parse_usage(header)


def test_limits_are_read_by_name():
    answer = {
        "DailyApiRequests": {"Max": 5000, "Remaining": 4937, "My App": {"Max": 0, "Remaining": 0}},
        "Odd": 1,
    }

    assert {"DailyApiRequests": (4937, 5000)} == parse_limits(answer)


PATIENCE = RetryPolicy(attempts_max=4, first_wait_seconds=1.0, wait_seconds_max=3.0, wish_seconds_max=60.0)


@pytest.mark.parametrize(
    ("error", "attempt", "replayable", "expected"),
    [
        pytest.param(Transient("x"), 1, True, (0.5, 1.0), id="first failure: up to a second"),
        pytest.param(Transient("x"), 3, True, (1.5, 3.0), id="later: up to the ceiling"),
        pytest.param(Transient("x"), 4, True, None, id="patience is spent"),
        pytest.param(Transient("x", retry_after_seconds=9.0), 1, True, (9.0, 9.0), id="their wish"),
        pytest.param(Transient("x", retry_after_seconds=61.0), 1, True, None, id="a wish beyond patience"),
        pytest.param(
            Transient("x", outcome_unknown=True), 1, True, (0.5, 1.0), id="unknown outcome of an upsert"
        ),
        pytest.param(Transient("x", outcome_unknown=True), 1, False, None, id="unknown outcome of a create"),
        pytest.param(Transient("x"), 1, False, (0.5, 1.0), id="a create that surely was not carried out"),
        pytest.param(LimitReached("x", quota="q"), 1, True, None, id="a limit"),
        pytest.param(CredentialsRefused("x"), 1, True, None, id="a refusal"),
    ],
)
def test_how_long_to_wait(error, attempt, replayable, expected):
    found = wait_before_retry(error, attempt=attempt, replayable=replayable, policy=PATIENCE, rng=Random(1))

    if expected is None:
        assert found is None
    else:
        assert expected[0] <= found <= expected[1]

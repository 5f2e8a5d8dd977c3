"""Bulk API 2.0 in the simulator: jobs, their states, their files, their limits (fact sheet part 3)."""

import csv
import io
import json

import pytest
from salesforce_doors import DATA, ask, meta, multipart, new_org, package, zipped

from tillbridge.simulators.salesforce import bulk, deploy

INGEST, QUERY = f"{DATA}/jobs/ingest", f"{DATA}/jobs/query"


def plain(name, kind, **more):
    extra = "".join(f"<{k}>{v}</{k}>" for k, v in more.items())
    return f"<fields><fullName>{name}</fullName><label>{name[:-3]}</label><type>{kind}</type>{extra}</fields>"


KEY = {"length": 40, "externalId": "true", "unique": "true", "caseSensitive": "true"}
SHELL = """
<label>{0}</label><pluralLabel>{0}s</pluralLabel><sharingModel>ReadWrite</sharingModel>
<deploymentStatus>Deployed</deploymentStatus><nameField><label>Name</label><type>Text</type></nameField>
"""
STORE = (
    SHELL.format("Store")
    + plain("Store_Key__c", "Text", **KEY)
    + plain("Loose_Key__c", "Text", length=40, externalId="true")
)
SALE = SHELL.format("Sale") + "".join(
    [
        plain("Key__c", "Text", **KEY),
        plain("Folded_Key__c", "Text", **(KEY | {"caseSensitive": "false"})),
        plain("Total__c", "Currency", precision=18, scale=2),
        plain("Paid__c", "Checkbox", defaultValue="false"),
        plain("Day__c", "Date"),
        plain("At__c", "DateTime"),
        plain("Note__c", "LongTextArea", length=131072, visibleLines=3),
        plain("Status__c", "Text", length=9, required="true"),
        plain("Store__c", "Lookup", referenceTo="Store__c", relationshipName="Sales"),
    ]
)


@pytest.fixture(scope="module")
def package_zip():
    files = {
        "objects/Store__c.object": meta("CustomObject", STORE),
        "objects/Sale__c.object": meta("CustomObject", SALE),
    }
    return zipped({"package.xml": package(CustomObject=["*"]), **files})


@pytest.fixture
def org(package_zip):
    made = new_org()
    assert [] == deploy.install(made, package_zip)
    return made


def call(org, method, target, body=b"", **headers):
    return bulk.handle(org, org.staff, ask(method, target, body, **headers))


def told(response):
    return json.loads(response.body)


def open_job(org, operation="upsert", **more):
    wish = {"object": "Sale__c", "operation": operation, "contentType": "CSV", "lineEnding": "LF"} | more
    if operation == "upsert":
        wish.setdefault("externalIdFieldName", "Key__c")
    response = call(org, "POST", INGEST, wish)
    assert 200 == response.status, response.body
    return told(response)


def upload(org, job, content):
    if isinstance(content, str):
        content = content.encode()
    return call(org, "PUT", f"/{job['contentUrl']}", content, content_type="text/csv; charset=UTF-8")


def close(org, job):
    return call(org, "PATCH", f"{INGEST}/{job['id']}", {"state": "UploadComplete"})


def poll(org, job):
    return told(call(org, "GET", f"{INGEST}/{job['id']}"))


def finish(org, job):
    for _ in range(20):
        info = poll(org, job)
        if info["state"] in {"JobComplete", "Failed", "Aborted"}:
            return info
    raise AssertionError(info)


def run(org, content, operation="upsert", **more):
    """Create, fill, close and poll a job to its end."""
    job = open_job(org, operation, **more)
    assert 201 == upload(org, job, content).status
    assert 200 == close(org, job).status
    return finish(org, job)


def file(org, job, name):
    response = call(org, "GET", f"{INGEST}/{job['id']}/{name}")
    assert 200 == response.status, response.body
    return list(csv.DictReader(io.StringIO(response.body.decode())))


def rows(org, name="Sale__c"):
    return list(org.rows(name).values())


HEAD = "Key__c,Status__c"


def lines(*cells, head=HEAD):
    return "\n".join([head, *cells]) + "\n"


def many(count, start=0):
    return lines(*(f"S{i},Done" for i in range(start, start + count)))


# --- §3.1 the life of a job ---


def test_a_created_job_says_where_to_upload(org):
    job = open_job(org)
    assert job["id"].startswith("750")
    assert f"services/data/v67.0/jobs/ingest/{job['id']}/batches" == job.pop("contentUrl")
    expected = {
        "operation": "upsert",
        "object": "Sale__c",
        "createdById": org.staff.id,
        "createdDate": "2026-11-21T12:00:00.000+0000",
        "state": "Open",
        "externalIdFieldName": "Key__c",
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": 67.0,
        "lineEnding": "LF",
        "columnDelimiter": "COMMA",
    }
    assert expected == {name: job[name] for name in expected}
    assert "jobType" not in job


def test_upload_answers_201_and_nothing_more(org):
    response = upload(org, open_job(org), many(1))
    assert (201, b"") == (response.status, response.body)


def test_an_upload_is_not_processed_before_the_job_is_closed(org):
    job = open_job(org)
    upload(org, job, many(1))
    org.clock.advance(3_600)
    assert "Open" == poll(org, job)["state"]
    assert [] == rows(org)


def test_closing_answers_the_job_without_its_format(org):
    job = open_job(org)
    upload(org, job, many(1))
    closed = told(close(org, job))
    assert "UploadComplete" == closed["state"]
    assert not {"jobType", "lineEnding", "columnDelimiter"} & set(closed)


def test_polls_move_a_job_where_the_clock_stands_still(org):
    job = open_job(org)
    upload(org, job, many(400))
    close(org, job)
    seen = [(info["state"], info["numberRecordsProcessed"]) for info in (poll(org, job), poll(org, job))]
    assert [("InProgress", 200), ("JobComplete", 400)] == seen


def test_the_clock_moves_a_job_without_polls(org):
    org.switches["bulk_seconds_per_10k_rows"] = 20.0
    job = open_job(org)
    upload(org, job, many(1_000))
    close(org, job)
    org.clock.advance(1.0)
    bulk.advance(org)
    assert 600 == len(rows(org))
    org.clock.advance(1.0)
    bulk.advance(org)
    assert 1_000 == len(rows(org))


def test_a_poll_counts_rows(org):
    info = run(org, lines("S1,Done", "S2,", "S3,Done"))
    assert ("JobComplete", "V2Ingest") == (info["state"], info["jobType"])
    assert (3, 1) == (info["numberRecordsProcessed"], info["numberRecordsFailed"])


def test_job_complete_says_nothing_about_rows(org):
    info = run(org, lines("S1,", "S2,"))
    assert ("JobComplete", 2) == (info["state"], info["numberRecordsFailed"])


def test_multipart_creation_goes_straight_to_work(org):
    wish = json.dumps({"object": "Sale__c", "operation": "insert", "contentType": "CSV"}).encode()
    body = multipart(
        "BOUNDARY",
        job=("application/json", "", wish),
        content=("text/csv", "content", lines("S1,Done").encode()),
    )
    response = call(org, "POST", INGEST, body, content_type="multipart/form-data; boundary=BOUNDARY")
    assert "UploadComplete" == told(response)["state"]
    finish(org, told(response))
    assert ["S1"] == [row["Key__c"] for row in rows(org)]


def test_multipart_creation_takes_100000_characters(org):
    wish = json.dumps({"object": "Sale__c", "operation": "insert"}).encode()
    body = multipart("B", job=("application/json", "", wish), content=("text/csv", "c", b"x" * 100_001))
    assert 400 == call(org, "POST", INGEST, body, content_type="multipart/form-data; boundary=B").status


def test_a_second_upload_is_refused(org):
    job = open_job(org)
    upload(org, job, many(1))
    response = upload(org, job, many(1, start=1))
    assert 400 == response.status
    assert "Found multiple contents for job" in told(response)[0]["message"]


def test_an_aborted_job_keeps_what_it_wrote(org):
    job = open_job(org)
    upload(org, job, many(400))
    close(org, job)
    poll(org, job)
    assert "Aborted" == told(call(org, "PATCH", f"{INGEST}/{job['id']}", {"state": "Aborted"}))["state"]
    counts = [
        len(file(org, job, name)) for name in ("successfulResults", "failedResults", "unprocessedRecords")
    ]
    assert [200, 0, 200] == counts
    assert 200 == len(rows(org))


@pytest.mark.parametrize(
    "spelling", ["unprocessedrecords", "unprocessedRecords", "unprocessedrecords/", "unprocessedRecords/"]
)
def test_result_files_go_by_several_names(org, spelling):
    assert [] == file(org, run(org, many(1)), spelling)


def test_a_job_stays_open_for_a_day(org):
    job = open_job(org)
    org.clock.advance(86_400)
    assert "Open" == poll(org, job)["state"]
    org.clock.advance(1)
    assert "Aborted" == poll(org, job)["state"]


def test_results_are_kept_for_seven_days(org):
    info = run(org, many(1))
    org.clock.advance(7 * 86_400)
    assert 1 == len(file(org, info, "successfulResults"))
    org.clock.advance(1)
    assert 404 == call(org, "GET", f"{INGEST}/{info['id']}/successfulResults").status


def test_a_deleted_job_is_gone(org):
    info = run(org, many(1))
    assert 204 == call(org, "DELETE", f"{INGEST}/{info['id']}").status
    response = call(org, "GET", f"{INGEST}/{info['id']}")
    assert 404 == response.status
    assert [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}] == told(response)


def act_delete(org, job):
    return call(org, "DELETE", f"{INGEST}/{job['id']}")


def act_results(org, job):
    return call(org, "GET", f"{INGEST}/{job['id']}/failedResults")


def act_close_twice(org, job):
    close(org, job)
    return close(org, job)


def act_abort_finished(org, job):
    close(org, job)
    finish(org, job)
    return call(org, "PATCH", f"{INGEST}/{job['id']}", {"state": "Aborted"})


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(act_delete, id="deleting an open job"),
        pytest.param(act_results, id="results of an open job"),
        pytest.param(act_close_twice, id="closing twice"),
        pytest.param(act_abort_finished, id="aborting a finished job"),
    ],
)
def test_wrong_moments(org, act):
    job = open_job(org)
    upload(org, job, many(1))
    response = act(org, job)
    assert (400, "INVALIDJOBSTATE") == (response.status, told(response)[0]["errorCode"])


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        pytest.param(
            {"object": "Gone__c", "operation": "insert"},
            "Unable to find object: Gone__c",
            id="no such object",
        ),
        pytest.param(
            {"object": "Sale__c", "operation": "merge"},
            "Unable to parse operation: merge",
            id="no such operation",
        ),
        pytest.param(
            {"object": "Sale__c", "operation": "upsert"},
            "External ID Field name is missing",
            id="upsert without key",
        ),
        pytest.param(
            {"object": "Sale__c", "operation": "upsert", "externalIdFieldName": "Total__c"},
            "does not match an External ID: Total__c",
            id="upsert by what is no external id",
        ),
        pytest.param(
            {"object": "Sale__c", "operation": "insert", "contentType": "JSON"},
            "content type: JSON",
            id="not CSV",
        ),
        pytest.param(
            {"object": "Sale__c", "operation": "insert", "lineEnding": "CR"},
            "line ending: CR",
            id="line ending",
        ),
        pytest.param(
            {"object": "Sale__c", "operation": "insert", "columnDelimiter": "DOT"},
            "delimiter: DOT",
            id="delimiter",
        ),
    ],
)
def test_jobs_refused_at_creation(org, wish, expected):
    response = call(org, "POST", INGEST, wish)
    assert (400, "INVALIDJOB") == (response.status, told(response)[0]["errorCode"])
    assert expected in told(response)[0]["message"]


def test_hard_delete_needs_a_permission_of_its_own(org):
    user = org.add_user("api@shop.example", "Api User")
    request = ask("POST", INGEST, {"object": "Account", "operation": "hardDelete"})
    assert "FEATURENOTENABLED" == told(bulk.handle(org, user, request))[0]["errorCode"]


def test_jobs_are_listed_in_pages(org):
    org.switches["bulk_list_page"] = 2
    made = {open_job(org)["id"] for _ in range(3)}
    first = told(call(org, "GET", f"{INGEST}?jobType=V2Ingest"))
    second = told(call(org, "GET", first["nextRecordsUrl"]))
    assert (False, 2, True, 1) == (
        first["done"],
        len(first["records"]),
        second["done"],
        len(second["records"]),
    )
    assert made == {job["id"] for job in first["records"] + second["records"]}


# --- §3.2 what a cell means ---


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        pytest.param("Total__c", "12.5", 12.5, id="a number"),
        pytest.param("Total__c", "1.25E3", 1250.0, id="a number with exponent"),
        pytest.param("Paid__c", "true", True, id="true"),
        pytest.param("Paid__c", "FALSE", False, id="false in capitals"),
        pytest.param("Day__c", "2026-11-21", "2026-11-21", id="a date"),
        pytest.param(
            "At__c",
            "2026-11-21T19:02:52.000+01:00",
            "2026-11-21T18:02:52.000+0000",
            id="a moment with offset",
        ),
        pytest.param(
            "At__c", "2026-11-21T19:02:52.000Z", "2026-11-21T19:02:52.000+0000", id="a moment in UTC"
        ),
        pytest.param(
            "Note__c", '"two\nlines, ""quoted"""', 'two\nlines, "quoted"', id="quotes, commas and line ends"
        ),
    ],
)
def test_a_cell_becomes(org, column, cell, expected):
    run(org, lines(f"S1,Done,{cell}", head=f"{HEAD},{column}"))
    assert expected == rows(org)[0][column]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        pytest.param("Total__c", "twelve", id="no number"),
        pytest.param("Paid__c", "maybe", id="no boolean"),
        pytest.param("Day__c", "21.11.2026", id="no date"),
        pytest.param("Day__c", "2026-02-30", id="no day of the calendar"),
        pytest.param("At__c", "2026-11-21 10:00", id="no moment"),
    ],
)
def test_a_cell_of_the_wrong_type_fails_its_row_alone(org, column, cell):
    info = run(org, lines(f"S1,Done,{cell}", "S2,Done,", head=f"{HEAD},{column}"))
    error = file(org, info, "failedResults")[0]["sf__Error"]
    assert error.startswith("INVALID_TYPE_ON_FIELD_IN_RECORD:"), error
    assert ["S2"] == [row["Key__c"] for row in rows(org)]


def test_an_empty_cell_leaves_a_field_and_na_clears_it(org):
    head = f"{HEAD},Total__c,Day__c"
    run(org, lines("S1,Done,10,2026-11-21", head=head))
    run(org, lines("S1,,,#N/A", head=head))
    row = rows(org)[0]
    assert ("Done", 10.0, None) == (row["Status__c"], row["Total__c"], row.get("Day__c"))


def test_a_parent_is_found_by_its_key(org):
    run(org, "Store_Key__c\nH1\n", object="Store__c", externalIdFieldName="Store_Key__c")
    head = f"{HEAD},Store__r.Store_Key__c"
    info = run(org, lines("S1,Done,H1", "S2,Done,H9", "S3,Done,", head=head))
    store = rows(org, "Store__c")[0]["Id"]
    assert {"S1": store, "S3": None} == {row["Key__c"]: row.get("Store__c") for row in rows(org)}
    assert file(org, info, "failedResults")[0]["sf__Error"].startswith(
        "INVALID_FIELD:Foreign key external ID: H9 not found"
    )
    run(org, lines("S1,,#N/A", head=head))
    assert rows(org)[0].get("Store__c") is None


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        pytest.param(
            "Key__c,Foo__c\nS1,x\n", {}, "InvalidBatch : Field name not found : Foo__c", id="unknown column"
        ),
        pytest.param(
            "Key__c,Gone__r.Key__c\nS1,x\n",
            {},
            "InvalidBatch : Field name not found : Gone__r.Key__c",
            id="unknown relation",
        ),
        pytest.param("Key__c,Store__r.Name\nS1,x\n", {}, None, id="Name is a lookup key"),
        pytest.param(
            "Key__c,Store__c:Store__r.Store_Key__c\nS1,x\n",
            {},
            "InvalidBatch : Field name not found : Store__c:Store__r.Store_Key__c",
            id="a type prefix where there is one type",
        ),
        pytest.param(
            "Key__c,Status__c\r\nS1,Done\r\n",
            {},
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
            id="CRLF declared as LF",
        ),
        pytest.param(
            "Key__c,Status__c\nS1,Done\n",
            {"lineEnding": "CRLF"},
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF",
            id="LF declared as CRLF",
        ),
        pytest.param(
            "Key__c,Status__c\nS1\n",
            {},
            "ClientInputError : Record 1 has 1 fields where the header has 2",
            id="a short record",
        ),
        pytest.param(
            'Key__c,Status__c\n"S1" ,Done\n',
            {},
            "ClientInputError : Failed to parse CSV",
            id="a blank outside a quote",
        ),
        pytest.param(
            b"Key__c,Status__c\nS1,\xff\n", {}, "ClientInputError : Failed to read the file", id="not UTF-8"
        ),
        pytest.param(
            "Key__c,Note__c\nS1," + "x" * 131_073 + "\n",
            {},
            "ClientInputError : Record 1 has a field of more",
            id="a field too long",
        ),
        pytest.param("Key__c;Status__c\nS1;Done\n", {"columnDelimiter": "SEMICOLON"}, None, id="semicolons"),
        pytest.param("Key__c\tStatus__c\nS1\tDone\n", {"columnDelimiter": "TAB"}, None, id="tabs"),
        pytest.param("Key__c|Status__c\nS1|Done\n", {"columnDelimiter": "PIPE"}, None, id="pipes"),
        pytest.param("Key__c,Status__c\r\nS1,Done\r\n", {"lineEnding": "CRLF"}, None, id="CRLF as declared"),
        pytest.param("key__C,STATUS__c\nS1,Done\n", {}, None, id="column names know no case"),
    ],
)
def test_files(org, content, more, expected):
    info = run(org, content, **more)
    if expected is None:
        assert ("JobComplete", None) == (info["state"], info.get("errorMessage"))
        return
    assert "Failed" == info["state"]
    assert info["errorMessage"].startswith(expected)
    assert [] == rows(org)


def test_results_echo_the_sent_columns_all_quoted(org):
    info = run(org, lines("S1,Done,12345678.9", head=f"{HEAD},Total__c"))
    row_id = rows(org)[0]["Id"]
    response = call(org, "GET", f"{INGEST}/{info['id']}/successfulResults/")
    assert "text/csv" == response.headers["Content-Type"]
    assert [
        '"sf__Id","sf__Created","Key__c","Status__c","Total__c"',
        f'"{row_id}","true","S1","Done","1.23456789E7"',
    ] == response.body.decode().splitlines()


def test_a_failed_row_names_its_reason(org):
    info = run(org, lines("S1,"))
    row = file(org, info, "failedResults")[0]
    assert {
        "sf__Id": "",
        "sf__Error": "REQUIRED_FIELD_MISSING:Required fields are missing: [Status__c]:Status__c --",
        "Key__c": "S1",
        "Status__c": "",
    } == row


def test_upsert_tells_created_from_updated(org):
    run(org, lines("S1,Done"))
    info = run(org, lines("S1,Done", "S2,Done"))
    assert {"S1": "false", "S2": "true"} == {
        r["Key__c"]: r["sf__Created"] for r in file(org, info, "successfulResults")
    }


def test_results_come_in_no_order(org):
    info = run(org, many(200))
    found = [row["Key__c"] for row in file(org, info, "successfulResults")]
    sent = [f"S{i}" for i in range(200)]
    assert sent != found
    assert sorted(sent) == sorted(found)


@pytest.mark.parametrize(
    ("operation", "left"),
    [pytest.param("update", {"S1": "New"}, id="update"), pytest.param("delete", {}, id="delete")],
)
def test_rows_by_id(org, operation, left):
    run(org, lines("S1,Done"))
    row_id = rows(org)[0]["Id"]
    content = f"Id,Status__c\n{row_id},New\n" if operation == "update" else f"Id\n{row_id}\n"
    assert 0 == run(org, content, operation)["numberRecordsFailed"]
    assert left == {row["Key__c"]: row["Status__c"] for row in rows(org)}


# --- §2.6 and trap 8: the same key twice ---


def test_one_key_twice_in_a_chunk_fails_both(org):
    info = run(org, lines("S1,Done", "S2,Done", "S1,Void"))
    errors = [row["sf__Error"] for row in file(org, info, "failedResults")]
    assert ["DUPLICATE_VALUE:Duplicate external id specified: S1:Key__c --"] * 2 == errors
    assert ["S2"] == [row["Key__c"] for row in rows(org)]


def test_of_one_key_in_two_chunks_the_later_wins(org):
    content = many(200) + "S0,Void\n"
    assert 0 == run(org, content)["numberRecordsFailed"]
    assert "Void" == next(row["Status__c"] for row in rows(org) if row["Key__c"] == "S0")


def test_the_whole_job_can_be_the_window(org):
    org.switches["bulk_duplicate_window"] = 0
    assert 2 == run(org, many(200) + "S0,Void\n")["numberRecordsFailed"]


@pytest.mark.parametrize(
    ("field", "failed"),
    [
        pytest.param("Key__c", 0, id="case-sensitive keys differ"),
        pytest.param("Folded_Key__c", 2, id="other keys are one (trap 6)"),
    ],
)
def test_case_of_keys(org, field, failed):
    content = lines("abc,Done", "ABC,Done", head=f"{field},Status__c")
    assert failed == run(org, content, externalIdFieldName=field)["numberRecordsFailed"]


def test_a_key_that_several_rows_hold_matches_none(org):
    for _ in range(2):
        assert org.write(org.system, "Store__c", "insert", {"Loose_Key__c": "H1"}).success
    info = run(org, "Loose_Key__c,Name\nH1,x\n", object="Store__c", externalIdFieldName="Loose_Key__c")
    assert file(org, info, "failedResults")[0]["sf__Error"].startswith(
        "DUPLICATE_EXTERNAL_ID:more than one record found"
    )


# --- §3.3 limits, and what goes wrong on the way ---


def test_each_ten_thousand_rows_cost_a_batch(org):
    before = bulk.batches_left(org)[1]
    run(org, many(201))
    assert 1 == before - bulk.batches_left(org)[1]
    org.clock.advance(86_401)
    assert before == bulk.batches_left(org)[1]


def test_without_batches_nothing_is_done_nor_recorded(org):
    org.switches["bulk_batches_a_day"] = 1
    run(org, many(1))
    info = run(org, many(2, start=1))
    assert "Failed" == info["state"]
    assert info["errorMessage"].startswith("ExceededQuota")
    assert [] == file(org, info, "unprocessedRecords")
    assert 1 == len(rows(org))


def test_over_the_days_rows_the_rest_is_unprocessed(org):
    org.switches["bulk_rows_a_day"] = 3
    info = run(org, many(5))
    assert ("Failed", 3) == (info["state"], info["numberRecordsProcessed"])
    assert (3, 2) == (len(file(org, info, "successfulResults")), len(file(org, info, "unprocessedRecords")))


def test_an_upload_over_150_mb_of_base64_is_refused(org):
    assert 117_964_800 == bulk.UPLOAD_BYTES_MAX
    org.switches["bulk_upload_bytes_max"] = 10
    assert 400 == upload(org, open_job(org), many(1)).status


def test_a_failed_job_takes_nothing_back(org):
    org.switches["bulk_fail_after_rows"] = 3
    info = run(org, many(5))
    assert "Failed" == info["state"]
    counts = [
        len(file(org, info, name)) for name in ("successfulResults", "failedResults", "unprocessedRecords")
    ]
    assert [3, 0, 2] == counts
    assert 3 == len(rows(org))


def test_locked_rows_fail_alone(org):
    org.switches["bulk_lock_percent"] = 30
    info = run(org, many(200))
    errors = {row["sf__Error"].partition(":")[0] for row in file(org, info, "failedResults")}
    assert {"UNABLE_TO_LOCK_ROW"} == errors
    assert 20 < info["numberRecordsFailed"] < 100


def test_a_session_can_end_in_the_middle_of_a_job(org):
    job = open_job(org)
    org.switches["bulk_invalid_sessions"] = 1
    assert [401, 201] == [upload(org, job, many(1)).status for _ in range(2)]


def test_a_poll_does_no_more_than_its_share(org):
    org.switches["bulk_rows_per_request"] = 400
    job = open_job(org)
    upload(org, job, many(1_000))
    close(org, job)
    counts = [poll(org, job)["numberRecordsProcessed"] for _ in range(4)]
    assert [400, 800, 1_000] == counts[:3]


def test_an_empty_job_is_complete_and_costs_no_batch(org):
    before = bulk.batches_left(org)
    job = open_job(org)
    close(org, job)
    assert "JobComplete" == finish(org, job)["state"]
    assert before == bulk.batches_left(org)


@pytest.mark.parametrize(
    ("fate", "closing", "state"),
    [("complete", 200, "JobComplete"), ("failed", 200, "Failed"), ("refused", 400, "Open")],
)
def test_what_an_empty_job_comes_to_is_a_switch(org, fate, closing, state):
    """[inferred]: no documentation says it."""
    org.switches["bulk_empty_job"] = fate
    job = open_job(org)
    assert closing == close(org, job).status
    org.clock.advance(60)
    assert state == poll(org, job)["state"]


# --- §3.4 query jobs ---


def open_query(org, soql, **more):
    return call(org, "POST", QUERY, {"operation": "query", "query": soql} | more)


def finished_query(org, soql, **more):
    job = told(open_query(org, soql, **more))
    while (info := told(call(org, "GET", f"{QUERY}/{job['id']}")))["state"] != "JobComplete":
        pass
    return info


def test_a_query_job_shows_its_state_but_not_its_query(org):
    job = told(open_query(org, "SELECT Key__c FROM Sale__c"))
    assert ("UploadComplete", "Sale__c") == (job["state"], job["object"])
    assert "query" not in job
    info = finished_query(org, "SELECT Key__c FROM Sale__c")
    assert ("V2Query", True) == (info["jobType"], info["isPkChunkingSupported"])
    assert finished_query(org, "SELECT Key__c FROM Sale__c LIMIT 1")["isPkChunkingSupported"] is False


def test_results_come_in_pages_by_locator(org):
    run(org, many(5))
    job = finished_query(org, "SELECT Key__c FROM Sale__c ORDER BY Key__c")
    seen, locators, locator = [], [], ""
    while locator != "null":
        target = f"{QUERY}/{job['id']}/results?maxRecords=2" + (f"&locator={locator}" if locator else "")
        response = call(org, "GET", target)
        locator = response.headers["Sforce-Locator"]
        locators.append(int(response.headers["Sforce-NumberOfRecords"]))
        seen += [row["Key__c"] for row in csv.DictReader(io.StringIO(response.body.decode()))]
    assert ([f"S{i}" for i in range(5)], [2, 2, 1]) == (seen, locators)


def test_queried_values_are_written_as_csv(org):
    run(org, "Store_Key__c,Name\nH1,Harbour\n", object="Store__c", externalIdFieldName="Store_Key__c")
    head = f"{HEAD},Total__c,Paid__c,Day__c,At__c,Store__r.Store_Key__c"
    run(org, lines("S1,Done,12.5,true,2026-11-21,2026-11-21T10:00:00Z,H1", "S2,Done,,,,,", head=head))
    soql = "SELECT Key__c, Total__c, Paid__c, Day__c, At__c, Store__r.Name FROM Sale__c ORDER BY Key__c"
    job = finished_query(org, soql)
    text = call(org, "GET", f"{QUERY}/{job['id']}/results").body.decode()
    assert [
        '"Key__c","Total__c","Paid__c","Day__c","At__c","Store__r.Name"',
        '"S1","12.5","true","2026-11-21","2026-11-21T10:00:00.000Z","Harbour"',
        '"S2","","false","","",""',
    ] == text.splitlines()


def test_result_pages_can_be_fetched_side_by_side(org):
    run(org, many(12))
    job = finished_query(org, "SELECT Key__c FROM Sale__c")
    first = told(call(org, "GET", f"{QUERY}/{job['id']}/resultPages?maxRecords=2"))
    second = told(call(org, "GET", first["nextRecordsUrl"]))
    links = [page["resultLink"] for page in first["resultPages"] + second["resultPages"]]
    assert (5, False, 1, True) == (
        len(first["resultPages"]),
        first["done"],
        len(second["resultPages"]),
        second["done"],
    )
    found = {
        r["Key__c"]
        for link in links
        for r in csv.DictReader(io.StringIO(call(org, "GET", link).body.decode()))
    }
    assert {f"S{i}" for i in range(12)} == found


def test_query_all_shows_deleted_rows(org):
    run(org, many(2))
    run(org, f"Id\n{rows(org)[0]['Id']}\n", "delete")
    counts = [
        finished_query(org, "SELECT Id FROM Sale__c", operation=operation)["numberRecordsProcessed"]
        for operation in ("query", "queryAll")
    ]
    assert [1, 2] == counts


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        pytest.param("SELECT COUNT(Id) FROM Sale__c", "API_ERROR", id="aggregates"),
        pytest.param("SELECT Status__c FROM Sale__c GROUP BY Status__c", "API_ERROR", id="GROUP BY"),
        pytest.param("SELECT Id FROM Sale__c LIMIT 1 OFFSET 5", "API_ERROR", id="OFFSET"),
        pytest.param("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "API_ERROR", id="children"),
        pytest.param("SELECT Id, BillingAddress FROM Account", "API_ERROR", id="compound fields"),
        pytest.param("SELECT Gone__c FROM Sale__c", "INVALID_FIELD", id="unknown field"),
        pytest.param("SELECT Id FROM Gone__c", "INVALID_TYPE", id="unknown object"),
        pytest.param("UPDATE Sale__c", "MALFORMED_QUERY", id="no query"),
    ],
)
def test_queries_refused(org, soql, code):
    response = open_query(org, soql)
    assert (400, code) == (response.status, told(response)[0]["errorCode"])


def test_words_in_a_literal_are_not_clauses(org):
    assert 200 == open_query(org, "SELECT Id FROM Sale__c WHERE Status__c = 'OFFSET 5 GROUP BY'").status


def test_results_are_for_the_version_of_the_job(org):
    job = finished_query(org, "SELECT Id FROM Sale__c")
    target = f"{QUERY}/{job['id']}/results".replace("v67.0", "v66.0")
    assert 409 == call(org, "GET", target).status


@pytest.mark.parametrize("locator", ["bogus", "null"])
def test_a_locator_of_nothing_is_refused(org, locator):
    job = finished_query(org, "SELECT Id FROM Sale__c")
    assert 400 == call(org, "GET", f"{QUERY}/{job['id']}/results?locator={locator}").status


def test_the_wrong_method_is_named(org):
    response = call(org, "DELETE", INGEST)
    assert (405, "METHOD_NOT_ALLOWED") == (response.status, told(response)[0]["errorCode"])

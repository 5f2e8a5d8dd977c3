"""Bulk API 2.0: jobs that are opened, filled, closed, and then done in their own time.

A job moves with the simulated clock, or with the number of polls where the clock
stands still, whichever is ahead. JobComplete says nothing about rows, and Failed
takes nothing back. Fact sheet part 3;
https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/bulk_api_2_0.htm

Switches: bulk_seconds_per_10k_rows, bulk_polls, bulk_rows_per_request (work done in one request, so that a
poll answers in time), bulk_fail_after_rows, bulk_lock_percent, bulk_invalid_sessions (so many job requests
get a 401), bulk_batches_a_day, bulk_rows_a_day, bulk_query_jobs_a_day, bulk_upload_bytes_max, bulk_list_page,
bulk_duplicate_window (rows; 0: the whole job), bulk_rewrite_numbers, bulk_query_page_rows,
bulk_create_status, bulk_second_put_status and bulk_empty_job (what becomes of a job that is closed without an
upload, which the facts leave open: "complete", "failed" or "refused").
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.salesforce import bulk_csv, multipart, values
from tillbridge.simulators.salesforce.bulk_ingest import IngestWork
from tillbridge.simulators.salesforce.bulk_query import QueryWork
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import User

SECONDS_PER_10K_ROWS = 2.0
POLLS = 2
ROWS_PER_REQUEST = 100_000
BATCH_ROWS = 10_000
BATCHES_A_DAY = 15_000
ROWS_A_DAY = 150_000_000
QUERY_JOBS_A_DAY = 10_000
# 150 MB once the upload is written in base64, which makes four bytes of three.
UPLOAD_BYTES_MAX = 150 * 1024 * 1024 * 3 // 4
MULTIPART_CHARS_MAX = 100_000
OPEN_SECONDS_MAX = 86_400
RESULT_SECONDS = 7 * 86_400
LIST_PAGE = 1_000
OPERATIONS = {"insert", "update", "upsert", "delete", "hardDelete"}
FINAL = {"JobComplete", "Failed", "Aborted"}
RESULTS = {"successfulresults", "failedresults", "unprocessedrecords"}


@dataclass(slots=True)
class Job:
    """One job; `work` is what it does once it is closed."""

    id: str
    kind: str  # ingest, query
    operation: str
    object: str
    user: User
    version: str
    created_at: float
    line_ending: str
    delimiter: str
    external_id: str = ""
    assigns: bool = False  # the job named an assignment rule; without one Bulk runs none
    state: str = "Open"
    stamp_at: float = 0.0
    closed_at: float = 0.0
    polls: int = 0
    content: bytes | None = None
    work: IngestWork | QueryWork | None = None
    error_message: str = ""


@dataclass(slots=True)
class Bulk:
    """The org's jobs and what of the day's allowance is spent: (when, how much), oldest first."""

    jobs: dict[str, Job] = field(default_factory=dict)
    batches: deque[tuple[float, int]] = field(default_factory=deque)
    rows: deque[tuple[float, int]] = field(default_factory=deque)
    query_jobs: deque[tuple[float, int]] = field(default_factory=deque)


class Refused(Exception):
    """A request that the Bulk API turns away."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def state(org: Org) -> Bulk:
    """Return the org's jobs, made at first use."""
    found = org.extras.get("bulk")
    if not isinstance(found, Bulk):
        found = org.extras["bulk"] = Bulk()
    return found


def batches_left(org: Org) -> tuple[int, int]:
    """Return (allowance, what is left) of DailyBulkApiBatches."""
    top = int(org.switches.get("bulk_batches_a_day", BATCHES_A_DAY))
    return top, max(0, top - _spent(state(org).batches, org.clock.now()))


def query_jobs_left(org: Org) -> tuple[int, int]:
    """Return (allowance, what is left) of DailyBulkV2QueryJobs."""
    top = int(org.switches.get("bulk_query_jobs_a_day", QUERY_JOBS_A_DAY))
    return top, max(0, top - _spent(state(org).query_jobs, org.clock.now()))


def advance(org: Org, polled: str = "") -> None:
    """Let the jobs catch up with the clock, and one with being asked for; cheap when none is at work."""
    now = org.clock.now()
    jobs = state(org).jobs
    for job in list(jobs.values()):
        if job.state in {"UploadComplete", "InProgress"}:
            job.polls += bool(polled) and job.id[:15] == polled[:15]
            _move(org, job)
        elif job.state == "Open" and now - job.created_at > OPEN_SECONDS_MAX:
            _settle(org, job, "Aborted")
        elif now - job.stamp_at > RESULT_SECONDS:
            del jobs[job.id]


def handle(org: Org, user: User, request: Request) -> Response:
    """Answer /services/data/vXX.X/jobs/ingest/** and /jobs/query/**."""
    if org.switches.get("bulk_invalid_sessions", 0) > 0:
        org.switches["bulk_invalid_sessions"] -= 1
        body = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
        return Response.of(body, 401, **{"WWW-Authenticate": "Token"})
    found = re.fullmatch(
        r"/services/data/v(\d+\.\d)/jobs/(ingest|query)(?:/(\w+))?(?:/(\w+))?/?", request.path
    )
    try:
        if found is None:
            raise _missing()
        version, kind, job_id, what = found[1], found[2], found[3] or "", (found[4] or "").lower()
        advance(org, polled=job_id if request.method == "GET" and not what else "")
        if not job_id:
            return _collection(org, user, request, kind, version)
        job = _find(org, kind, job_id)
        return (
            _ingest(org, job, request, what) if kind == "ingest" else _query(org, job, request, what, version)
        )
    except Refused as no:
        return Response.of([{"errorCode": no.code, "message": no.message}], no.status)


# --- ingest ------------------------------------------------------------------------------------------


def _collection(org: Org, user: User, request: Request, kind: str, version: str) -> Response:
    if request.method == "GET":
        return _list(org, request, kind, version)
    if request.method != "POST":
        raise _method(request, "GET, HEAD, POST")
    make = _create_ingest if kind == "ingest" else _create_query
    return make(org, user, request, version)


def _create_ingest(org: Org, user: User, request: Request, version: str) -> Response:
    content_type = request.headers.get("content-type", "")
    content: bytes | None = None
    body = request.body
    if multipart.is_multipart(content_type):
        try:
            parts = multipart.parse(content_type, body)
            body, content = parts["job"].body, parts["content"].body
        except (multipart.MultipartError, KeyError) as wrong:
            raise Refused(
                400, "CLIENTINPUTERROR", "Multipart message needs the parts job and content"
            ) from wrong
        if len(content.decode("utf-8", "replace")) > MULTIPART_CHARS_MAX:
            raise Refused(
                400,
                "CLIENTINPUTERROR",
                f"Data in a multipart request exceeds {MULTIPART_CHARS_MAX} characters",
            )
    wish = _object(body)
    operation = str(wish.get("operation", ""))
    if operation not in OPERATIONS:
        raise Refused(400, "INVALIDJOB", f"InvalidJob : Unable to parse operation: {operation}")
    if wish.get("contentType", "CSV") != "CSV":
        raise Refused(400, "INVALIDJOB", f"InvalidJob : Unsupported content type: {wish['contentType']}")
    sobject = org.find(str(wish.get("object", "")))
    right = {"insert": "create", "update": "edit", "upsert": "edit"}.get(operation, "delete")
    if sobject is None or not org.can(user, sobject, "read"):
        raise Refused(400, "INVALIDJOB", f"InvalidJob : Unable to find object: {wish.get('object')}")
    if not org.can(user, sobject, right):
        raise Refused(
            400, "INVALIDJOB", f"InvalidJob : User has no permission to {operation} object: {sobject.name}"
        )
    if operation == "hardDelete" and not _may_hard_delete(org, user):
        text = "FeatureNotEnabled : hardDelete operation requires special user profile permission"
        raise Refused(400, "FEATURENOTENABLED", text)
    external_id = _external_id(sobject.find, operation, str(wish.get("externalIdFieldName") or ""))
    job = _new_job(org, user, "ingest", operation, sobject.name, version, wish)
    job.external_id, job.assigns = external_id, bool(wish.get("assignmentRuleId"))
    if content is not None:
        job.content = content
        _close(org, job)
    return Response.of(_ingest_view(job, fresh=True), int(org.switches.get("bulk_create_status", 200)))


def _may_hard_delete(org: Org, user: User) -> bool:
    held = {p for s in org.permission_sets_of(user) for p in s.user_permissions}
    return user.sees_everything or "BulkApiHardDelete" in held


def _external_id(find: Callable[[str], Any], operation: str, name: str) -> str:
    if operation != "upsert":
        if name:
            raise Refused(400, "INVALIDJOB", "InvalidJob : External ID Field name is only allowed for upsert")
        return ""
    if not name:
        raise Refused(400, "INVALIDJOB", "InvalidJob : External ID Field name is missing for upsert")
    known = find(name)
    if known is None or not (known.external_id or known.id_lookup or known.name == "Id"):
        raise Refused(
            400, "INVALIDJOB", f"InvalidJob : Field name provided does not match an External ID: {name}"
        )
    return str(known.name)


def _ingest(org: Org, job: Job, request: Request, what: str) -> Response:
    match request.method, what:
        case "PUT", "batches":
            return _upload(org, job, request)
        case "GET", "":
            return Response.of(_ingest_view(job))
        case "GET", name if name in RESULTS:
            return _ingest_results(org, job, name)
        case "PATCH", "":
            return _patch(org, job, request, _ingest_view)
        case "DELETE", "":
            return _delete(org, job, {"UploadComplete", *FINAL})
    raise _method(request, "GET, PATCH, DELETE" if not what else "GET, PUT")


def _upload(org: Org, job: Job, request: Request) -> Response:
    if job.content is not None:
        text = (
            f"Found multiple contents for job: <{job.id[:15]}>, please 'Close' / 'Abort' / 'Delete' the "
            "current Job then create a new Job and make sure you only do 'PUT' once on a given Job."
        )
        raise Refused(int(org.switches.get("bulk_second_put_status", 400)), "CLIENTINPUTERROR", text)
    if job.state != "Open":
        raise _wrong_state(job, "Open", "upload data to")
    if not request.headers.get("content-type", "").lower().startswith("text/csv"):
        raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type must be text/csv")
    if len(request.body) > org.switches.get("bulk_upload_bytes_max", UPLOAD_BYTES_MAX):
        raise Refused(
            400, "CLIENTINPUTERROR", "ClientInputError : Job data exceeds the maximum of 150 MB in base64"
        )
    job.content = request.body
    return Response(201)


def _close(org: Org, job: Job) -> None:
    job.state = "UploadComplete"
    job.closed_at = job.stamp_at = org.clock.now()
    job.work = IngestWork(
        org, job.user, job.id, job.object, job.operation, job.external_id, assigns=job.assigns
    )
    job.work.take(job.content or b"", job.line_ending, job.delimiter)
    # A row that parses badly makes the job Failed, but only when the job is looked at: see _move.
    job.content = b""


def _close_empty(org: Org, job: Job) -> None:
    fate = org.switches.get("bulk_empty_job", "complete")
    if fate == "refused":
        raise Refused(400, "INVALIDJOBSTATE", f"InvalidJobState : Job {job.id} has no data to process")
    _close(org, job)
    if fate == "failed" and isinstance(job.work, IngestWork):
        job.work.trouble = "InvalidBatch : The job holds no data"


def _ingest_results(org: Org, job: Job, name: str) -> Response:
    if job.state not in FINAL:
        raise _wrong_state(job, "JobComplete, Failed or Aborted", "get results of")
    rewrite = bool(org.switches.get("bulk_rewrite_numbers", True))
    body = job.work.results(name, rewrite_numbers=rewrite) if isinstance(job.work, IngestWork) else b""
    return Response(200, body, {"Content-Type": "text/csv"})


def _ingest_view(job: Job, *, fresh: bool = False) -> dict[str, Any]:
    """Show a job as create and close answer it (`fresh`), or as a poll does."""
    view = _view(job)
    if job.external_id:
        view["externalIdFieldName"] = job.external_id
    view["contentUrl"] = f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"
    if fresh:
        return view
    work = job.work
    done = work if isinstance(work, IngestWork) else None
    view |= {
        "jobType": "V2Ingest",
        "retries": 0,
        "totalProcessingTime": done.milliseconds if done else 0,
        "apiActiveProcessingTime": done.milliseconds if done else 0,
        "apexProcessingTime": 0,
        "numberRecordsProcessed": done.processed if done else 0,
        "numberRecordsFailed": done.failed if done else 0,
    }
    if job.error_message:
        view["errorMessage"] = job.error_message
    return view


# --- query -------------------------------------------------------------------------------------------


def _create_query(org: Org, user: User, request: Request, version: str) -> Response:
    wish = _object(request.body)
    operation, soql = str(wish.get("operation", "")), str(wish.get("query") or "")
    if operation not in {"query", "queryAll"}:
        raise Refused(400, "INVALIDJOB", f"InvalidJob : Unable to parse operation: {operation}")
    if not soql:
        raise Refused(400, "INVALIDJOB", "InvalidJob : Query is missing")
    top, left = query_jobs_left(org)
    if left == 0:
        raise Refused(400, "EXCEEDEDQUOTA", f"ExceededQuota : {top} query jobs in 24 hours are used up")
    try:
        columns = bulk_csv.selected(soql)
        work = QueryWork(org, user, soql, columns, all_rows=operation == "queryAll")
    except bulk_csv.BatchRefused as wrong:
        code = "MALFORMED_QUERY" if "unexpected token" in str(wrong) else "API_ERROR"
        raise Refused(400, code, str(wrong)) from wrong
    except values.Refused as wrong:
        raise Refused(400, wrong.error.code, wrong.error.message) from wrong
    state(org).query_jobs.append((org.clock.now(), 1))
    job = _new_job(org, user, "query", operation, work.object, version, wish)
    job.state, job.closed_at, job.work = "UploadComplete", org.clock.now(), work
    return Response.of(_view(job))


def _query(org: Org, job: Job, request: Request, what: str, version: str) -> Response:
    match request.method, what:
        case "GET", "":
            return Response.of(_query_view(job))
        case "GET", "results" | "resultpages":
            return _query_results(org, job, request, what, version)
        case "PATCH", "":
            return _patch(org, job, request, _query_view)
        case "DELETE", "":
            return _delete(org, job, FINAL)
    raise _method(request, "GET, PATCH, DELETE")


def _query_results(org: Org, job: Job, request: Request, what: str, version: str) -> Response:
    if job.version != version:
        text = f"The job was created with API version {job.version}: get its results with the same version"
        raise Refused(409, "CONFLICT", text)
    if job.state != "JobComplete" or not isinstance(job.work, QueryWork):
        raise _wrong_state(job, "JobComplete", "get results of")
    page = int(org.switches.get("bulk_query_page_rows", 50_000))
    wanted = request.param("maxRecords")
    if wanted and not (wanted.isdigit() and int(wanted) > 0):
        raise Refused(400, "INVALIDJOB", f"maxRecords is not a positive number: {wanted}")
    size = min(page, int(wanted)) if wanted else page
    locator = request.param("locator")
    start = job.work.start_of(job.id, locator)
    if start is None:
        raise Refused(400, "INVALID_QUERY_LOCATOR", f"invalid query locator: {locator}")
    if what == "resultpages":
        path = f"/services/data/v{job.version}/jobs/query/{job.id}"
        return Response.of(job.work.pages(job.id, path, start, size))
    body, count, following = job.work.page(job.id, start, size, job.delimiter, job.line_ending)
    headers = {"Content-Type": "text/csv", "Sforce-Locator": following, "Sforce-NumberOfRecords": str(count)}
    return Response(200, body, headers)


def _query_view(job: Job) -> dict[str, Any]:
    work = job.work
    assert isinstance(work, QueryWork)
    view = _view(job) | {
        "jobType": "V2Query",
        "retries": 0,
        "totalProcessingTime": work.milliseconds,
        "numberRecordsProcessed": work.processed,
        "isPkChunkingSupported": not re.search(r"\b(ORDER\s+BY|LIMIT)\b", work.soql, re.IGNORECASE),
    }
    if job.error_message:
        view["errorMessage"] = job.error_message
    return view


# --- what both kinds share ---------------------------------------------------------------------------


def _new_job(
    org: Org, user: User, kind: str, operation: str, object_name: str, version: str, wish: dict[str, Any]
) -> Job:
    line_ending, delimiter = wish.get("lineEnding") or "LF", wish.get("columnDelimiter") or "COMMA"
    if line_ending not in bulk_csv.LINE_ENDINGS:
        raise Refused(400, "INVALIDJOB", f"InvalidJob : Unsupported line ending: {line_ending}")
    if delimiter not in bulk_csv.DELIMITERS:
        raise Refused(400, "INVALIDJOB", f"InvalidJob : Unsupported column delimiter: {delimiter}")
    now = org.clock.now()
    job = Job(
        org.new_id("750"),
        kind,
        operation,
        object_name,
        user,
        version,
        now,
        line_ending,
        delimiter,
        stamp_at=now,
    )
    state(org).jobs[job.id] = job
    return job


def _view(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "operation": job.operation,
        "object": job.object,
        "createdById": job.user.id,
        "createdDate": _moment(job.created_at),
        "systemModstamp": _moment(job.stamp_at),
        "state": job.state,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.version),
        "lineEnding": job.line_ending,
        "columnDelimiter": job.delimiter,
    }


def _patch(org: Org, job: Job, request: Request, show: Callable[..., dict[str, Any]]) -> Response:
    wish = _object(request.body).get("state")
    if wish == "UploadComplete" and job.kind == "ingest":
        if job.state != "Open":
            raise _wrong_state(job, "Open", "close")
        _close_empty(org, job) if job.content is None else _close(org, job)
        view = show(job, fresh=True)
        return Response.of({k: v for k, v in view.items() if k not in {"lineEnding", "columnDelimiter"}})
    if wish == "Aborted":
        if job.state in FINAL:
            raise _wrong_state(job, "Open, UploadComplete or InProgress", "abort")
        _settle(org, job, "Aborted")
        return Response.of(show(job))
    raise Refused(400, "INVALIDJOB", f"InvalidJob : Unsupported state: {wish}")


def _delete(org: Org, job: Job, allowed: set[str]) -> Response:
    if job.state not in allowed:
        raise _wrong_state(job, ", ".join(sorted(allowed)), "delete")
    del state(org).jobs[job.id]
    return Response(204)


def _list(org: Org, request: Request, kind: str, version: str) -> Response:
    size = int(org.switches.get("bulk_list_page", LIST_PAGE))
    mine = [job for job in state(org).jobs.values() if job.kind == kind]
    start = int(request.param("queryLocator", "0") or 0)
    show = _ingest_view if kind == "ingest" else _query_view
    body: dict[str, Any] = {
        "done": start + size >= len(mine),
        "records": [show(j) for j in mine[start : start + size]],
    }
    body["nextRecordsUrl"] = (
        None if body["done"] else f"/services/data/v{version}/jobs/{kind}?queryLocator={start + size}"
    )
    return Response.of(body)


def _find(org: Org, kind: str, job_id: str) -> Job:
    for job in state(org).jobs.values():
        if job.id[:15] == job_id[:15] and job.kind == kind:
            return job
    raise _missing()


def _move(org: Org, job: Job) -> None:
    """Do as much of a job as its clock or its polls have come to."""
    work = job.work
    assert work is not None
    if job.state == "UploadComplete":
        job.state, job.stamp_at = "InProgress", org.clock.now()
        if isinstance(work, IngestWork):
            _allot(org, work)
    seconds = (
        float(org.switches.get("bulk_seconds_per_10k_rows", SECONDS_PER_10K_ROWS))
        * max(1, work.total)
        / 10_000
    )
    by_time = (org.clock.now() - job.closed_at) / seconds if seconds > 0 else 1.0
    by_polls = job.polls / max(1, int(org.switches.get("bulk_polls", POLLS)))
    share = min(1.0, max(by_time, by_polls))
    work.proceed(share, int(org.switches.get("bulk_rows_per_request", ROWS_PER_REQUEST)))
    if work.trouble:
        job.error_message = work.trouble
        _settle(org, job, "Failed")
    elif work.done and share >= 1.0:
        _settle(org, job, "JobComplete")


def _settle(org: Org, job: Job, final: str) -> None:
    job.state, job.stamp_at = final, org.clock.now()
    if job.work is not None:
        job.work.finish()


def _allot(org: Org, work: IngestWork) -> None:
    """Take a job's batches and rows out of the day's allowance; what is not there is not done."""
    memory, now = state(org), org.clock.now()
    batches = -(-work.total // BATCH_ROWS)
    granted = min(batches, batches_left(org)[1])
    rows = int(org.switches.get("bulk_rows_a_day", ROWS_A_DAY)) - _spent(memory.rows, now)
    work.allow(rows=max(0, rows), recorded=granted * BATCH_ROWS)
    memory.batches.append((now, granted))
    org.usage.bulk_batches += granted
    memory.rows.append((now, min(work.total, max(0, rows))))


def _spent(ledger: deque[tuple[float, int]], now: float) -> int:
    while ledger and ledger[0][0] <= now - 86_400:
        ledger.popleft()
    return sum(amount for _, amount in ledger)


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _object(body: bytes) -> dict[str, Any]:
    try:
        wish = json.loads(body)
    except ValueError as wrong:
        raise Refused(400, "JSON_PARSER_ERROR", f"The HTTP entity body is not valid JSON: {wrong}") from wrong
    if not isinstance(wish, dict):
        raise Refused(400, "JSON_PARSER_ERROR", "The HTTP entity body must be an object")
    return wish


def _missing() -> Refused:
    return Refused(404, "NOT_FOUND", "The requested resource does not exist")


def _method(request: Request, allowed: str) -> Refused:
    return Refused(
        405, "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed. Allowed are {allowed}"
    )


def _wrong_state(job: Job, wanted: str, act: str) -> Refused:
    text = f"InvalidJobState : Cannot {act} job {job.id} in state {job.state}; it must be in {wanted}"
    return Refused(400, "INVALIDJOBSTATE", text)

"""Decide the order of calls to one Salesforce org: log in, ask, wait, ask again, never write twice.

The loop around `protocol`, `bulk`, `auth` and `retry`. Every request is
counted as it leaves, since a refused one is charged too. A lost answer to an
upsert or update is asked for again by sending it again; one to a plain create
is handed up as unknown.
Satisfies `engine.ports.Crm`; its other verbs serve set-up and the doctor.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from random import Random
from typing import IO, Any, Literal, TypeVar
from urllib.parse import quote

import msgspec

from tillbridge.connectors.http import Content, Http, HttpAnswer
from tillbridge.connectors.salesforce import automation, bulk, metadata, picklists, protocol, soap, wire
from tillbridge.connectors.salesforce.auth import Credentials, Session, Token, TokenStore
from tillbridge.connectors.salesforce.limits import DAY_LIMIT, LIMIT_HEADER, parse_limits, parse_usage
from tillbridge.connectors.salesforce.protocol import Part, SessionExpired
from tillbridge.connectors.salesforce.retry import Attempts, RetryPolicy
from tillbridge.connectors.salesforce.soql import escaped
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.batches import batched
from tillbridge.model.clock import Clock, SystemClock
from tillbridge.model.errors import (
    BadRequest,
    ConfigurationInvalid,
    CredentialsRefused,
    LimitReached,
    NotFound,
    PermissionMissing,
    SyncError,
    Transient,
)
from tillbridge.model.quota import CrmQuota, NoCrmQuota
from tillbridge.model.writing import (
    Automation,
    AutomationKind,
    BulkAck,
    BulkJob,
    CrmOrg,
    CrmUsage,
    Merge,
    ObjectFacts,
    Slot,
)

API_VERSION = "67.0"
# Salesforce gives a call ten minutes; a composite of a thousand rows with automation may need some of them.
CALL_SECONDS_MAX = 600.0
# A hundred megabytes at a slow shop's upstream of 1 Mbit/s take a quarter of an hour.
TRANSFER_SECONDS_MAX = 1_800.0
# Query jobs: first look soon, then less and less often (fact sheet, bulk limits).
POLL_FIRST_SECONDS = 2.0
POLL_SECONDS_MAX = 30.0
POLL_TOTAL_SECONDS_MAX = 7_200.0
CHUNK_ROWS = 2_000

_JSON = {"Content-Type": "application/json"}
_COUNT = re.compile(r"^\s*SELECT\s+COUNT\(\s*\)\s", re.IGNORECASE)
_PERSON_TYPES = (
    "SELECT DeveloperName FROM RecordType "
    "WHERE SobjectType = 'Account' AND IsPersonType = true AND IsActive = true"
)
_SETS = "SELECT Id FROM PermissionSet WHERE Name = '{name}'"
_ASSIGNMENTS = (
    "SELECT Id FROM PermissionSetAssignment WHERE AssigneeId = '{user}' AND PermissionSetId = '{set}'"
)
_GONE = {"INVALIDJOBSTATE", "NOTFOUND"}

Answer = TypeVar("Answer")


class SalesforceClient:
    """One org, as one user. Safe to share between threads.

    `calls` counts API requests, `calls_by_endpoint` the same by resource;
    token requests are in neither. `history` turns off what an org does for new
    business (assignment rules); `allow_duplicates` overrides duplicate rules
    that only alert.
    """

    rows_max = protocol.ROWS_MAX
    slots_max = protocol.COLLECTIONS_MAX
    merges_max = soap.MERGES_MAX

    def __init__(
        self,
        http: Http,
        credentials: Credentials,
        *,
        api_version: str = API_VERSION,
        clock: Clock | None = None,
        rng: Random | None = None,
        token_store: TokenStore | None = None,
        retry: RetryPolicy | None = None,
        history: bool = False,
        allow_duplicates: bool = False,
        quota: CrmQuota | None = None,
    ) -> None:
        if not re.fullmatch(r"\d{2,3}\.0", api_version):
            raise ConfigurationInvalid([("salesforce.api_version", "must look like 67.0")])
        self.api_version = api_version
        self.calls = 0
        self.calls_by_endpoint: Counter[str] = Counter()
        self._http = http
        self._quota = quota or NoCrmQuota()
        self._clock = clock or SystemClock()
        self._attempts = Attempts(retry or RetryPolicy(), self._clock, rng or Random())
        self._session = Session(
            http, credentials, clock=self._clock, attempts=self._attempts, store=token_store
        )
        self.history = history
        self._allow_duplicates = allow_duplicates
        self._lock = threading.Lock()
        self._usage: CrmUsage | None = None
        self._uploaded: dict[str, int] = {}

    # -- who and how much --------------------------------------------------

    @property
    def logins(self) -> int:
        """Return how many token requests were sent."""
        return self._session.logins

    def org(self) -> CrmOrg:
        """Say which org this is; logs in where needed, costs no API call."""
        return self._session.token().org

    def usage(self) -> CrmUsage | None:
        """Return the org's API use as the last answer told it; None before the first answer."""
        return self._usage

    def limits(self) -> dict[str, tuple[int, int]]:
        """Return the org's limits as name -> (remaining, allowed). One call, and minutes old."""
        answer = self._json("GET", self._path("limits"), "limits")
        return parse_limits(answer if isinstance(answer, dict) else {})

    def look(self) -> None:
        """Have the org say what is used of its day, for the quota to know. One call."""
        before, self._usage = self._usage, None
        left, allowed = self.limits().get(DAY_LIMIT, (0, 0))
        if self._usage is None:  # A header that was taken off on its way: what the answer itself says.
            self._usage = before
            if allowed:
                self._quota.told(allowed - left, allowed)

    def versions(self) -> list[str]:
        """Return the API versions that the org speaks, oldest first. One call."""
        return protocol.read_versions(self._json("GET", "/services/data", "versions"))

    # -- reading -----------------------------------------------------------

    def describe(self, name: str) -> ObjectFacts | None:
        """Describe one object as the connected user sees it; None when there is no such object. One call."""
        try:
            answer = self._json("GET", self._path("sobjects", name, "describe"), "describe")
        except NotFound:
            return None
        except BadRequest as error:
            if protocol.kind_of(error.code) == "INVALIDTYPE":
                return None
            raise
        return wire.object_facts(answer)

    def query(self, text: str, *, deleted: bool = False) -> Iterator[list[dict[str, object]]]:
        """Run a query page by page. Rows are flat dicts; a parent's field is keyed "Parent__r.Field".

        Numbers are int or exact Decimal, times and dates text. `deleted` brings
        deleted and merged rows too. ValueError, before anything is sent, for a
        query longer than an address may be. `SELECT COUNT()` gives one row
        with the count under "expr0", as `COUNT(Id)` does.
        """
        path = protocol.query_path(self.api_version, text, deleted=deleted)
        if len(path) > protocol.URL_BYTES_MAX:
            raise ValueError(
                f"the query needs an address of {len(path)} bytes, {protocol.URL_BYTES_MAX} at most"
            )
        return self._pages(path, text)

    def query_many(self, texts: Sequence[str], *, deleted: bool = False) -> list[list[dict[str, object]]]:
        """Run up to five queries in ONE call; further pages of a long answer cost a call each.

        `deleted` brings deleted and merged rows too.
        """
        answer = self._json(
            "POST",
            self._path("composite"),
            "composite queries",
            protocol.queries_body(self.api_version, texts, deleted=deleted),
            replayable=True,
        )
        found = []
        for text, page in zip(texts, protocol.queries_results(answer, len(texts)), strict=True):
            rows = wire.flatten(page.get("records") or (), wire.parent_fields(text))
            more = protocol.next_path(page)
            found.append([*rows, *(row for rest in self._pages(more, text) for row in rest)])
        return found

    def _pages(self, path: str | None, text: str) -> Iterator[list[dict[str, object]]]:
        parents = wire.parent_fields(text)
        while path is not None:
            page = self._json("GET", path, "query")
            if not isinstance(page, dict):
                raise protocol.unreadable("a query")
            if _COUNT.match(text):
                yield [{"expr0": page.get("totalSize", 0)}]
                return
            yield wire.flatten(page.get("records") or (), parents)
            path = protocol.next_path(page)

    def bulk_query(self, text: str) -> Iterator[list[dict[str, str]]]:
        """Run a large query as a bulk job, in chunks of rows; every value is text, "" is empty."""
        # Repeating the start after a lost answer leaves a job that nobody reads: harmless.
        answer = self._json("POST", self._path("jobs", "query"), "bulk query", bulk.query_body(text))
        job = self._finished_query(bulk.job_id(answer))
        if job.state != "complete":
            raise BadRequest(
                f"Salesforce gave up a bulk query: {job.message or job.state}",
                code="BULK_QUERY_FAILED",
                status=200,
            )
        locator: str | None = None
        while True:
            with closing(bulk.scratch_file()) as file:
                locator = self._query_page(job.id, locator, file)
                yield from batched(bulk.read_records(file), CHUNK_ROWS)
            if locator is None:
                return

    def _finished_query(self, job_id: str) -> BulkJob:
        """Ask after a query job until it ends."""
        path = self._path("jobs", "query", job_id)
        started, wait = self._clock.monotonic(), POLL_FIRST_SECONDS
        while True:
            job = bulk.read_job(self._json("GET", path, "bulk query"))
            if job.state in {"complete", "failed", "aborted"}:
                return job
            if self._clock.monotonic() - started > POLL_TOTAL_SECONDS_MAX:
                raise Transient("Salesforce did not finish a bulk query within two hours")
            self._clock.sleep(wait)
            wait = min(POLL_SECONDS_MAX, wait * 1.5)

    def _query_page(self, job_id: str, locator: str | None, file: IO[bytes]) -> str | None:
        """Fetch one page into a file and return the locator of the next."""
        path = self._path("jobs", "query", job_id, "results")
        if locator is not None:
            path += f"?locator={quote(locator, safe='')}"
        headers = self._download(path, "bulk query", file)
        following = headers.get("sforce-locator")
        return None if following in {None, "", "null"} else following

    # -- writing -----------------------------------------------------------

    def write(self, slots: Sequence[Slot]) -> list[list[Ack]]:
        """Write up to five slots in their order in ONE call; one list of acks a slot, in row order.

        More slots, up to 25, go along as long as at most five of them have several
        rows. A slot that failed for now is sent again without the others; if that
        does not help either, its rows read Refused ("SERVER_UNAVAILABLE", or
        "REQUEST_LIMIT_EXCEEDED"), so that no other slot's acks are lost. When no
        slot got through at all, its error is raised. After a lost answer, upserts
        and updates are sent again; with a create among the slots,
        `Transient(outcome_unknown=True)` is raised.
        """
        parts = protocol.parts_of(slots)
        acks: dict[str, list[Ack]] = {}
        failed: dict[str, SyncError] = {}
        left, attempt = parts, 1
        while left:
            results = self._composite(left, keep_failure=bool(acks))
            acks |= {ref: found for ref, found in results.items() if not isinstance(found, SyncError)}
            failed = {ref: found for ref, found in results.items() if isinstance(found, SyncError)}
            left = [part for part in left if part.reference in failed]
            self._raise_lost_creates(left, failed)
            if not left or not self._attempts.wait_after(
                failed[left[0].reference], attempt=attempt, replayable=True
            ):
                break
            attempt += 1
        if left and not acks:
            raise failed[left[0].reference]
        acks |= {part.reference: _unwritten(part, failed[part.reference]) for part in left}
        return [self._identified(part, acks[part.reference]) for part in parts]

    def delete(self, object_name: str, record_id: str) -> Refused | None:
        """Move one record into the recycle bin; return why not, or None. One that is gone is deleted."""
        try:
            self._request("DELETE", self._path("sobjects", object_name, record_id), "delete")
        except NotFound:
            return None
        except BadRequest as error:
            if error.code == "ENTITY_IS_DELETED":
                return None
            return Refused(error.code, str(error), error.fields)
        except PermissionMissing as error:
            return Refused("INSUFFICIENT_ACCESS_OR_READONLY", str(error))
        return None

    def _composite(self, parts: Sequence[Part], *, keep_failure: bool) -> dict[str, list[Ack] | SyncError]:
        """Make the one call. `keep_failure` hands a failed call back as every slot's failure."""
        body = protocol.composite_body(self.api_version, parts, self._write_headers())
        replayable = all(part.replayable for part in parts)
        try:
            answer = self._json(
                "POST",
                self._path("composite"),
                "composite",
                body,
                replayable=replayable,
                headers=self._write_headers(),
            )
            return protocol.composite_results(parts, answer)
        except SyncError as error:
            if not keep_failure:
                raise
            return {part.reference: error for part in parts}

    def _raise_lost_creates(self, left: Sequence[Part], failed: Mapping[str, SyncError]) -> None:
        """Hand up a create of which nobody knows whether it happened; other slots can be written again."""
        for part in left:
            error = failed[part.reference]
            if not part.replayable and isinstance(error, Transient) and error.outcome_unknown:
                raise error

    def _write_headers(self) -> dict[str, str]:
        headers = {}
        if self.history:
            headers["Sforce-Auto-Assign"] = "FALSE"
        if self._allow_duplicates:
            headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
        return headers

    def _identified(self, part: Part, acks: list[Ack]) -> list[Ack]:
        """Look up the id of a row that was upserted without an answer naming it (versions up to 45)."""
        found: list[Ack] = []
        for row, ack in zip(part.slot.rows, acks, strict=True):
            if isinstance(ack, Written) and not ack.id and part.slot.key_field:
                key = str(row[part.slot.key_field])
                where = self._path("sobjects", part.slot.object, part.slot.key_field, key)
                answer = self._json("GET", f"{where}?fields=Id", "upserted row")
                found.append(Written(wire.id18(str(answer["Id"])), ack.created))
            else:
                found.append(ack)
        return found

    def merge(self, merges: Sequence[Merge]) -> list[Ack]:
        """Merge records, up to `merges_max` in ONE call; one ack a merge. What hangs on a loser moves over.

        Never repeated: `Transient(outcome_unknown=True)` after a lost answer. ValueError, before
        anything is sent, for more than two losers or an object that cannot be merged.
        """

        def ask(token: Token) -> tuple[HttpAnswer, list[Ack]]:
            body = soap.merge_body(token.access, merges)
            where = soap.path(self.api_version)
            answer = self._send(token, "POST", where, "merge", content=body, headers=soap.HEADERS)
            if answer.status >= 300:
                raise soap.failure(answer)
            return answer, soap.merge_acks(answer, merges)

        return self._asked(ask, replayable=False)[1]

    # -- bulk jobs -----------------------------------------------------------

    def bulk_open(
        self, object_name: str, operation: Literal["upsert", "update", "insert"], key_field: str | None
    ) -> str:
        """Open a bulk job and return its id."""
        # Repeating after a lost answer leaves an empty job open. It does nothing and costs nothing, and
        # Salesforce drops it after a day; a search for it could find somebody else's.
        body = bulk.ingest_body(object_name, operation, key_field)
        answer = self._json(
            "POST", self._path("jobs", "ingest"), "bulk open", body, headers=self._write_headers()
        )
        return bulk.job_id(answer)

    def bulk_upload(self, job_id: str, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> int:
        """Send the rows of a job (once), streaming; return how many.

        KeyRef values need a column "Parent__r.Key". BadRequest "UPLOAD_TOO_LARGE" beyond 100 MB.
        `Transient(outcome_unknown=True)` when the answer was lost: close the job and see
        which rows it has, since a second upload into it may count its rows twice.
        """
        with closing(bulk.scratch_file()) as file:
            count = bulk.write_csv(file, columns, rows)
            length = str(file.tell())
            self._quota.take_batches(self.org().id, -(-count // bulk.BATCH_ROWS))
            self._request(
                "PUT",
                self._path("jobs", "ingest", job_id, "batches"),
                "bulk upload",
                content=lambda: _rewound(file),
                headers={"Content-Type": "text/csv; charset=UTF-8", "Content-Length": length},
                replayable=False,
                seconds=TRANSFER_SECONDS_MAX,
            )
        with self._lock:
            self._uploaded[job_id] = count
        return count

    def bulk_close(self, job_id: str) -> None:
        """Say that all rows are there: the job may start."""
        try:
            self._move_job(job_id, "UploadComplete", "bulk close")
        except BadRequest as error:
            if protocol.kind_of(error.code) != "INVALIDJOBSTATE":
                raise
            # Closed already, maybe by the attempt whose answer was lost.
            job = self.bulk_status(job_id)
            if job is None or job.state in {"open", "aborted"}:
                raise

    def bulk_abort(self, job_id: str) -> None:
        """Give a job up; a job that is gone, or at its end, is given up already."""
        try:
            self._move_job(job_id, "Aborted", "bulk abort")
        except BadRequest as error:
            if protocol.kind_of(error.code) not in _GONE:
                raise
        with self._lock:
            self._uploaded.pop(job_id, None)

    def _move_job(self, job_id: str, state: Literal["UploadComplete", "Aborted"], endpoint: str) -> None:
        path = self._path("jobs", "ingest", job_id)
        self._request("PATCH", path, endpoint, content=bulk.state_body(state), headers=_JSON)

    def bulk_status(self, job_id: str) -> BulkJob | None:
        """Ask where a job stands; None when the CRM does not know it."""
        try:
            return bulk.read_job(self._json("GET", self._path("jobs", "ingest", job_id), "bulk status"))
        except NotFound:
            return None

    def bulk_results(self, job: BulkJob, key_column: str) -> Iterator[BulkAck]:
        """Read what became of every row, streaming: written, refused, and never looked at.

        Files that can only be empty are not asked for, as long as the job's
        own numbers agree with what the other files hold.
        """
        whole = job.state == "complete"
        written = refused = 0
        for ack in self._result_file(job.id, "successfulResults", bulk.read_written, key_column):
            written += 1
            yield ack
        if not whole or job.failed or written < job.processed:
            for ack in self._result_file(job.id, "failedResults", bulk.read_refused, key_column):
                refused += 1
                yield ack
        # After a restart we no longer know how many were sent, and ask rather than guess.
        if not whole or written + refused < self._uploaded.get(job.id, written + refused + 1):
            yield from self._result_file(job.id, "unprocessedrecords", bulk.read_unprocessed, key_column)
        with self._lock:
            self._uploaded.pop(job.id, None)

    def _result_file(
        self, job_id: str, name: str, read: Callable[[IO[bytes], str], Iterator[BulkAck]], key_column: str
    ) -> Iterator[BulkAck]:
        """Fetch one result file whole, then read it: a transfer that breaks off is simply made again."""
        with closing(bulk.scratch_file()) as file:
            self._download(f"{self._path('jobs', 'ingest', job_id)}/{name}/", "bulk results", file)
            yield from read(file, key_column)

    # -- set-up --------------------------------------------------------------

    def deploy(self, package: bytes, *, check_only: bool) -> str:
        """Start installing a metadata package and return the deployment's id."""
        body, content_type = metadata.build_deploy_request(package, check_only=check_only)
        # Deploying the same package twice leaves the same org, so a lost answer is asked for again.
        answer = self._request(
            "POST",
            metadata.deploy_path(self.api_version),
            "deploy",
            content=body,
            headers={"Content-Type": content_type},
        )
        return self._deployment(answer).id

    def deploy_status(self, deploy_id: str) -> metadata.DeployStatus:
        """Ask where a deployment stands, with what was refused and why."""
        path = metadata.deploy_status_path(deploy_id, self.api_version)
        return self._deployment(self._request("GET", path, "deploy status"))

    def _deployment(self, answer: HttpAnswer) -> metadata.DeployStatus:
        try:
            return metadata.parse_deploy_status(answer.body)
        except msgspec.DecodeError:
            raise protocol.unreadable("a deployment") from None

    def add_picklist_values(self, object_name: str, field: str, values: Sequence[str]) -> None:
        """Add values to a custom field's picklist, or to the global value set behind it.

        Up to five calls. Raises PermissionMissing or BadRequest with what to click instead.
        """
        try:
            self._add_picklist_values(*picklists.place_of(object_name, field), values)
        except (BadRequest, PermissionMissing) as error:
            raise picklists.refused(error, object_name, field, values) from error

    def _add_picklist_values(self, object_name: str, field: str, values: Sequence[str]) -> None:
        if not picklists.is_custom(field):
            raise BadRequest(
                f"{field} is Salesforce's own field", code="STANDARD_FIELD", status=400, fields=(field,)
            )
        kind = picklists.FIELD
        found = picklists.field_id(self._definitions(picklists.field_query(object_name, field)))
        definition = self._definition(kind, found)
        if shared := picklists.shared_name(definition):
            kind = picklists.VALUE_SET
            found = picklists.value_set_id(self._definitions(picklists.value_set_query(shared)))
            definition = self._definition(kind, found)
        body = picklists.with_values(definition, values)
        if body is not None and found is not None:
            # The whole definition goes back, so a second time changes nothing.
            self._request(
                "PATCH",
                picklists.definition_path(self.api_version, kind, found),
                "picklist",
                content=wire.encode(body),
                headers=_JSON,
            )

    def automations(self, names: Collection[str]) -> tuple[list[Automation], list[AutomationKind]]:
        """Return what the org does by itself on these objects, and which kinds our user may not see.

        Five calls.
        """
        entities = [row for page in self.query(automation.ENTITIES.format(names=automation.quoted(names)))
                    for row in page]  # fmt: skip
        known = automation.names_by_id(entities)
        found: list[Automation] = []
        hidden: list[AutomationKind] = []
        for listing in automation.LISTINGS:
            try:
                found += automation.of_objects(listing, self._listed(listing), known)
            except SyncError as error:
                if not automation.is_hidden(error):
                    raise
                hidden.append(listing.kind)
        return found, hidden

    def _listed(self, listing: automation.Listing) -> list[Mapping[str, Any]]:
        if not listing.tooling:
            return [row for page in self.query(listing.text) for row in page]
        answer = self._definitions(listing.text)
        return picklists.records(answer)

    def _definitions(self, text: str) -> Any:
        return self._json("GET", picklists.query_path(self.api_version, text), "picklist")

    def _definition(self, kind: str, record_id: str | None) -> Any:
        if record_id is None:
            raise NotFound(f"Salesforce shows no {kind} here", code="NOT_FOUND", status=404)
        return self._json("GET", picklists.definition_path(self.api_version, kind, record_id), "picklist")

    def person_record_types(self) -> list[str]:
        """Return the names of the org's record types for people, which not every org calls PersonAccount."""
        return [str(row["DeveloperName"]) for page in self.query(_PERSON_TYPES) for row in page]

    def assign_permission_set(self, name: str) -> bool:
        """Give the connected user a permission set; False when they had it already. Up to three calls."""
        user = self.org().user_id
        sets = self._ids(_SETS.format(name=escaped(name)))
        if not sets:
            raise BadRequest(
                f"The org has no permission set {name}: run `tillbridge schema deploy` first",
                code="NOT_FOUND",
                status=404,
            )
        held = self._ids(_ASSIGNMENTS.format(user=escaped(user), set=escaped(sets[0])))
        if held:
            return False
        body = wire.encode({"AssigneeId": user, "PermissionSetId": sets[0]})
        try:
            # Replay-safe: the org itself refuses the second assignment of the same two.
            self._json("POST", self._path("sobjects", "PermissionSetAssignment"), "permission set", body)
        except BadRequest as error:
            if protocol.kind_of(error.code) != "DUPLICATEVALUE":
                raise
            return False
        return True

    def has_permission_set(self, name: str) -> bool:
        """Say whether the connected user holds a permission set that the org has. Two calls."""
        sets = self._ids(_SETS.format(name=escaped(name)))
        user = escaped(self.org().user_id)
        return bool(sets and self._ids(_ASSIGNMENTS.format(user=user, set=escaped(sets[0]))))

    def _ids(self, text: str) -> list[str]:
        return [str(row["Id"]) for page in self.query(text) for row in page]

    # -- the loop ------------------------------------------------------------

    def _path(self, *parts: str) -> str:
        return protocol.data_path(self.api_version, *parts)

    def _json(
        self,
        method: str,
        path: str,
        endpoint: str,
        body: bytes | None = None,
        *,
        replayable: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Ask for JSON. An answer that is none was cut off or replaced on its way, and is asked for again."""
        sent = {**(_JSON if body is not None else {}), **(headers or {})}

        def ask(token: Token) -> tuple[HttpAnswer, Any]:
            answer = self._send(token, method, path, endpoint, content=body, headers=sent)
            if answer.status >= 300:
                return answer, None
            return answer, protocol.json_of(answer, f"{method} {endpoint}")

        return self._asked(ask, replayable=replayable)[1]

    def _request(
        self,
        method: str,
        path: str,
        endpoint: str,
        *,
        content: Content | Callable[[], Content] | None = None,
        headers: Mapping[str, str] | None = None,
        replayable: bool = True,
        seconds: float = CALL_SECONDS_MAX,
    ) -> HttpAnswer:
        """Send a request whose answer's body does not matter, or is read elsewhere."""

        def ask(token: Token) -> tuple[HttpAnswer, None]:
            sent = content() if callable(content) else content
            return self._send(
                token, method, path, endpoint, content=sent, headers=headers, seconds=seconds
            ), None

        return self._asked(ask, replayable=replayable)[0]

    def _download(self, path: str, endpoint: str, file: IO[bytes]) -> Mapping[str, str]:
        """Fetch a CSV answer of any size into a file and return its headers."""

        def ask(token: Token) -> tuple[HttpAnswer, None]:
            file.seek(0)
            file.truncate()
            self._count(token, endpoint)
            headers = self._headers(token, {"Accept": "text/csv"})
            with self._http.stream(
                "GET", token.org.instance_url + path, headers=headers, timeout_total=TRANSFER_SECONDS_MAX
            ) as stream:
                self._note(stream.headers)
                if stream.status >= 300:
                    return HttpAnswer(stream.status, stream.headers, stream.read()), None
                for chunk in stream.chunks():
                    file.write(chunk)
                return HttpAnswer(stream.status, stream.headers, b""), None

        return self._asked(ask, replayable=True)[0].headers

    def _asked(
        self, ask: Callable[[Token], tuple[HttpAnswer, Answer]], *, replayable: bool
    ) -> tuple[HttpAnswer, Answer]:
        """Ask with the session at hand; if it is refused, log in again and ask once more, never thrice."""
        token = self._session.token()
        try:
            return self._attempts.run(lambda: self._good(ask(token)), replayable=replayable)
        except SessionExpired:
            renewed = self._session.token(refused=token)
        try:
            return self._attempts.run(lambda: self._good(ask(renewed)), replayable=replayable)
        except SessionExpired:
            raise CredentialsRefused(
                "Salesforce refuses a session that it has just opened: check the app's session policies, "
                "IP restrictions and the user's API permission"
            ) from None

    def _send(
        self,
        token: Token,
        method: str,
        path: str,
        endpoint: str,
        *,
        content: Content | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = CALL_SECONDS_MAX,
    ) -> HttpAnswer:
        if len(path) + len(token.access) > protocol.URL_AND_TOKEN_BYTES_MAX:
            raise ValueError("the address and the access token together are longer than Salesforce takes")
        self._count(token, endpoint)
        answer = self._http.request(
            method,
            token.org.instance_url + path,
            headers=self._headers(token, headers or {}),
            content=content,
            timeout_total=seconds,
        )
        self._note(answer.headers)
        return answer

    def _headers(self, token: Token, extra: Mapping[str, str]) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "Authorization": f"Bearer {token.access}",
            # Names us in the org's change events, so that others can tell our writes from people's.
            "Sforce-Call-Options": "client=tillbridge",
            **extra,
        }

    def _good(self, result: tuple[HttpAnswer, Answer]) -> tuple[HttpAnswer, Answer]:
        """Pass a success on and raise anything else; of a quota that is used up everybody hears."""
        if result[0].status >= 300:
            error = protocol.failure(result[0])
            if isinstance(error, LimitReached) and error.quota == protocol.DAY_QUOTA:
                self._quota.refused(error.resume_after_seconds)
            raise error
        return result

    def _count(self, token: Token, endpoint: str) -> None:
        """Ask whether a call may go, and count it."""
        self._quota.take(token.org.id)
        with self._lock:
            self.calls += 1
            self.calls_by_endpoint[endpoint] += 1

    def _note(self, headers: Mapping[str, str]) -> None:
        """Remember the org's use. Threads may overwrite one another: each value was true a moment ago."""
        found = parse_usage(headers.get(LIMIT_HEADER))
        if found is not None:
            self._usage = found
            self._quota.told(found.used, found.allowed)


def _unwritten(part: Part, error: SyncError) -> list[Ack]:
    """Say of every row of a slot that it failed for now, under a code that reads as such."""
    code = "REQUEST_LIMIT_EXCEEDED" if isinstance(error, LimitReached) else "SERVER_UNAVAILABLE"
    return [Refused(code, str(error))] * len(part.slot.rows)


def _rewound(file: IO[bytes]) -> IO[bytes]:
    file.seek(0)
    return file

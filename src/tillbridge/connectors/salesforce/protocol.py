"""Decide what is asked of Salesforce's REST API and what its answers mean, without any I/O.

A status says little: a composite call answers 200 although every row was
refused, so the truth is read per row. Errors come as arrays with `errorCode`,
rows with `statusCode`, OAuth-like objects, and pages of HTML from the edge in
front of an org: none of these shapes may surprise us.
Shapes and codes are those of the fact sheet's parts 2 and 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import msgspec

from tillbridge.connectors.http import HttpAnswer
from tillbridge.connectors.salesforce import wire
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.errors import (
    BadRequest,
    Halted,
    LimitReached,
    NotFound,
    PermissionMissing,
    SyncError,
    Transient,
)
from tillbridge.model.writing import Slot

# One collections request takes 200 rows and refuses the 201st as a whole.
# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections.htm
ROWS_MAX = 200
# A composite request takes 25 subrequests, and of these 5 collections (fact sheet, composite).
SLOTS_MAX = 25
COLLECTIONS_MAX = 5
# Address and headers together may have 16,384 bytes (fact sheet, headers). Ours have some 300 beside the
# token, which has some 110 itself but may be longer; the address alone must be judged before a login.
URL_BYTES_MAX = 15_500
URL_AND_TOKEN_BYTES_MAX = 15_984

DAY_QUOTA = "salesforce day"
BULK_QUOTA = "salesforce bulk day"
# The day is a rolling one: calls come free minute by minute, so asking four times an hour is enough.
PARK_SECONDS = 900.0

_MESSAGE_CHARS_MAX = 300
_DUPLICATE_HOLDER = re.compile(r"record with id: ([A-Za-z0-9]{15,18})")
_NO_COLUMN = re.compile(r"No such column '([^']+)'")
# A refused query is quoted back with its literals, maybe people's names: only the verdict behind it is kept.
_QUERY_ECHO = re.compile(r"^.*ERROR at Row:\d+:Column:\d+\s*", re.DOTALL)
_RECORD_URL_ID = re.compile(r"/([A-Za-z0-9]{15,18})$")

_SESSION_CODES = {"INVALIDSESSIONID", "BADOAUTHTOKEN", "MISSINGOAUTHTOKEN"}
_DISABLED_CODES = {"APIDISABLEDFORORG", "APICURRENTLYDISABLED", "FEATURENOTENABLED"}
_TRANSIENT_CODES = {
    "SERVERUNAVAILABLE",
    "UNABLETOLOCKROW",
    "QUERYTIMEOUT",
    "REQUESTRUNNINGTOOLONG",
    "TOOMANYLOCKFAILURE",
    "TIMEOUT",
}
_TRANSIENT_STATUSES = {408, 420, 425, 429}
# Salesforce answers these as JSON; only 5xx pages are its own.
_PAGES_OF_OTHERS = {400, 403, 404, 405, 407}
_PAGE = re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE)
_ABSENT_CODES = {"NOTFOUND", "INVALIDCROSSREFERENCEKEY", "ENTITYISDELETED"}


class SessionExpired(SyncError):
    """The access token is no longer taken. Never leaves this package: the client logs in again, once."""


@dataclass(frozen=True, slots=True)
class RemoteError:
    """One error as Salesforce worded it; `matches` are ids of records that it named."""

    code: str
    message: str
    fields: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Return the code without its spelling: InvalidJobState and INVALID_JOB_STATE are one."""
        return kind_of(self.code)

    def refused(self) -> Refused:
        """Say the same as an ack of one row."""
        return Refused(self.code, self.message, self.fields, self.matches)


# -- paths ----------------------------------------------------------------


def data_path(version: str, *parts: str) -> str:
    """Return the path of a resource of one API version; each part is escaped whole."""
    return "/".join((f"/services/data/v{version}", *(quote(part, safe="") for part in parts)))


def query_path(version: str, text: str, *, deleted: bool = False) -> str:
    """Return the path that runs a query. A + in a date must not arrive as a blank, so it is escaped."""
    resource = "queryAll" if deleted else "query"
    return f"{data_path(version, resource)}?q={quote_plus(text, safe='(),:*')}"


def next_path(page: Mapping[str, Any]) -> str | None:
    """Return the path of a query's next page as the page names it, or None behind the last one.

    Page sizes vary at will, so only the page itself tells the end. Were it an
    address, its host is left out: the token goes to the org alone.
    """
    following = page.get("nextRecordsUrl")
    if page.get("done") or not following:
        return None
    parts = urlsplit(str(following))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


# -- errors ---------------------------------------------------------------


def remote_errors(answer: HttpAnswer) -> list[RemoteError]:
    """Read the errors in a body of any shape; an HTML page or an empty body holds none."""
    try:
        body = wire.decode(answer.body)
    except msgspec.DecodeError:
        return []
    return list(_errors_in(body))


def _errors_in(body: Any) -> Iterator[RemoteError]:
    if isinstance(body, list):
        urls = [item for item in body if isinstance(item, str)]
        if urls:
            yield _multiple_matches(urls)
        for item in body:
            if isinstance(item, dict):
                yield from _errors_in(item)
    elif isinstance(body, dict):
        if isinstance(body.get("errors"), list) and body["errors"]:
            yield from _errors_in(body["errors"])
        elif "errorCode" in body or "statusCode" in body or "message" in body:
            yield _error_of(body)
        elif isinstance(body.get("error"), str):
            description = body.get("error_description")
            yield RemoteError(body["error"], _clean(description or body["error"]))


def _error_of(body: Mapping[str, Any]) -> RemoteError:
    code = body.get("errorCode") or body.get("statusCode") or "UNKNOWN_EXCEPTION"
    message = str(body.get("message") or code)
    fields = tuple(str(field) for field in body.get("fields") or ()) or tuple(_NO_COLUMN.findall(message))
    matches = (*_DUPLICATE_HOLDER.findall(message), *_duplicate_ids(body.get("duplicateResult")))
    return RemoteError(str(code), _clean(message), fields, tuple(dict.fromkeys(matches)))


def _duplicate_ids(result: Any) -> Iterator[str]:
    """Find the records that a duplicate rule thinks are the same."""
    if not isinstance(result, dict):
        return
    for found in result.get("matchResults") or ():
        for match in found.get("matchRecords") or ():
            id_ = (match.get("record") or {}).get("Id")
            if id_:
                yield str(id_)


def _multiple_matches(urls: Sequence[str]) -> RemoteError:
    """Read the body of a 300: addresses of all records that share the key."""
    ids = tuple(match[1] for match in map(_RECORD_URL_ID.search, urls) if match)
    return RemoteError("MULTIPLE_CHOICES", f"{len(urls)} records share this key", (), ids)


def _clean(message: str) -> str:
    """Make a remote's text fit one line of ours, without the query that it quotes."""
    verdict = _QUERY_ECHO.sub("", message, count=1) or message
    return " ".join(verdict.split())[:_MESSAGE_CHARS_MAX]


def kind_of(code: str) -> str:
    """Return a code without its spelling."""
    return re.sub(r"[^A-Z]", "", code.upper())


def is_page_of_others(answer: HttpAnswer) -> bool:
    """Say whether an answer is a web page where Salesforce itself would have answered in JSON."""
    return answer.status in _PAGES_OF_OTHERS and _PAGE.match(answer.body) is not None


def failure(answer: HttpAnswer) -> SyncError:
    """Sort an answer that is no success by what can be done about it."""
    if is_page_of_others(answer):
        # A filter may stand on the way back too: whether it was carried out is not known.
        return Transient(
            f"Something between us and Salesforce answered HTTP {answer.status} with a web page: a proxy or "
            "firewall, perhaps, or salesforce.login_url leads to another server",
            outcome_unknown=True,
        )
    errors = remote_errors(answer)
    first = errors[0] if errors else RemoteError(f"HTTP {answer.status}", "")
    for error in errors:
        found = _by_code(error, answer)
        if found is not None:
            return found
    return _by_status(first, answer)


def _by_code(error: RemoteError, answer: HttpAnswer) -> SyncError | None:
    """Sort by the remote's code, where that says more than the status."""
    kind, text = error.kind, error.message
    if kind in _SESSION_CODES or answer.status == 401:
        return _session_failure(text)
    if kind == "REQUESTLIMITEXCEEDED":
        # One code for two things: only the text tells the day's quota from too many long calls at once.
        if "concurrent" in text.lower():
            return Transient(
                "Salesforce is handling too many long requests of this org at once",
                retry_after_seconds=answer.retry_after_seconds,
            )
        return LimitReached(
            "The Salesforce org has used up its API calls of the last 24 hours",
            quota=DAY_QUOTA,
            resume_after_seconds=answer.retry_after_seconds or PARK_SECONDS,
        )
    if kind == "EXCEEDEDQUOTA":
        return LimitReached(
            "The Salesforce org has used up its bulk allocation of the last 24 hours",
            quota=BULK_QUOTA,
            resume_after_seconds=answer.retry_after_seconds or PARK_SECONDS,
        )
    if kind in _DISABLED_CODES:
        return PermissionMissing(
            f"Salesforce says that its API is not enabled here ({error.code}): use an edition with API "
            "access, and give the integration user the permission API Enabled"
        )
    if kind == "STORAGELIMITEXCEEDED":
        return Halted(
            "The Salesforce org's data storage is full: delete records there or buy storage, then go on"
        )
    if kind in _TRANSIENT_CODES:
        return Transient(
            f"Salesforce is busy for now ({error.code})",
            retry_after_seconds=answer.retry_after_seconds,
            outcome_unknown=answer.status >= 500,
        )
    return None


def _session_failure(text: str) -> SyncError:
    """Tell a session that ended from one that no new login can cure."""
    lowered = text.lower()
    if "not valid for use with the rest api" in lowered:
        return PermissionMissing(
            "Salesforce's app does not let this session use the REST API: add the OAuth scope api to the app"
        )
    if "not attached to agent" in lowered:
        return PermissionMissing(
            "Salesforce's app is bound to an agent that it is not attached to: attach it, or use another app"
        )
    return SessionExpired("The Salesforce session has ended")


def _by_status(error: RemoteError, answer: HttpAnswer) -> SyncError:
    """Sort by status; `error` is the first one in the body."""
    status, said = answer.status, f" ({error.code}: {error.message})" if error.message else ""
    if status == 401:
        return SessionExpired("The Salesforce session has ended")
    if status == 403:
        return PermissionMissing(
            f"Salesforce does not let the integration user do this{said or ' (HTTP 403)'}: "
            "check its permission sets and the org's policies"
        )
    if status == 404 and error.kind in _ABSENT_CODES:
        return NotFound(f"Salesforce has no such record or resource{said}", code=error.code, status=404)
    if status == 410:
        return BadRequest(
            "Salesforce has retired this API version: set salesforce.api_version to a newer one",
            code=error.code,
            status=410,
        )
    if status in _TRANSIENT_STATUSES or status >= 500:
        return Transient(
            f"Salesforce could not be served for now (HTTP {status})",
            retry_after_seconds=answer.retry_after_seconds,
            outcome_unknown=status >= 500,
        )
    return BadRequest(_refusal(error, status, said), code=error.code, status=status, fields=error.fields)


def _refusal(error: RemoteError, status: int, said: str) -> str:
    """Word a refused request; the commonest cause gets its cure."""
    # A field without field-level security looks exactly like one that is not there (fact sheet, query).
    if error.kind in {"INVALIDFIELD", "INVALIDTYPE"} and "foreign key" not in error.message.lower():
        return (
            "Salesforce does not know a field or object that we use, or hides it from the integration user"
            f"{said}: run `tillbridge schema deploy` and check its permission set"
        )
    if status in {301, 302, 303, 307, 308}:
        return (
            f"Salesforce moved this address (HTTP {status}): set salesforce.login_url to the org's My Domain"
        )
    if status in {414, 431}:
        return f"Salesforce found the request's address or headers too long (HTTP {status})"
    return f"Salesforce refused the request{said or f' (HTTP {status})'}"


def unreadable(what: str) -> Transient:
    """Say that an answer counted as success could not be read: cut off, or a page from in between."""
    return Transient(f"Salesforce's answer to {what} could not be read", outcome_unknown=True)


def json_of(answer: HttpAnswer, what: str) -> Any:
    """Parse the body of a success."""
    try:
        return wire.decode(answer.body)
    except msgspec.DecodeError:
        raise unreadable(what) from None


# -- writing --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One subrequest of a composite call: a slot under its `reference`, sent alone or as a collection."""

    reference: str
    slot: Slot
    alone: bool = False

    @property
    def replayable(self) -> bool:
        """Say whether sending it twice leaves the same rows as sending it once."""
        return self.slot.operation != "create"


def parts_of(slots: Sequence[Slot]) -> list[Part]:
    """Decide how slots travel: as collections, and where there are more than five, single rows alone.

    Raises ValueError for what one call cannot carry.
    """
    if len(slots) > SLOTS_MAX:
        raise ValueError(f"one call takes {SLOTS_MAX} slots, not {len(slots)}")
    for slot in slots:
        _check(slot)
    crowded = len(slots) > COLLECTIONS_MAX
    parts = [
        Part(f"slot{place}", slot, alone=crowded and len(slot.rows) == 1) for place, slot in enumerate(slots)
    ]
    if sum(not part.alone for part in parts) > COLLECTIONS_MAX:
        raise ValueError(f"one call takes {COLLECTIONS_MAX} slots of several rows")
    return parts


def _check(slot: Slot) -> None:
    if not 1 <= len(slot.rows) <= ROWS_MAX:
        raise ValueError(f"a slot of {slot.object} takes 1 to {ROWS_MAX} rows, not {len(slot.rows)}")
    if (slot.operation == "upsert") != (slot.key_field is not None):
        raise ValueError(f"a slot of {slot.object} names a key field if and only if it upserts")
    needed = slot.key_field if slot.operation == "upsert" else "Id" if slot.operation == "update" else None
    if needed is not None and not all(row.get(needed) for row in slot.rows):
        raise ValueError(f"a row of {slot.object} holds no {needed}")


def composite_body(version: str, parts: Sequence[Part], headers: Mapping[str, str]) -> bytes:
    """Spell the one call that carries all parts, in their order, none depending on another's success."""
    return wire.encode(
        {
            "allOrNone": False,
            # Collating would reorder subrequests: parents must go before their children.
            "collateSubrequests": False,
            "compositeRequest": [_subrequest(version, part, headers) for part in parts],
        }
    )


def _subrequest(version: str, part: Part, headers: Mapping[str, str]) -> dict[str, object]:
    method, url, body = (_alone if part.alone else _collection)(version, part.slot)
    request: dict[str, object] = {"method": method, "url": url, "referenceId": part.reference, "body": body}
    return request | {"httpHeaders": dict(headers)} if headers else request


def _collection(version: str, slot: Slot) -> tuple[str, str, dict[str, object]]:
    """Address up to 200 rows at once."""
    where = (slot.object, slot.key_field) if slot.key_field else ()
    records = [wire.record(slot.object, row) for row in slot.rows]
    method = "POST" if slot.operation == "create" else "PATCH"
    return (
        method,
        data_path(version, "composite", "sobjects", *where),
        {"allOrNone": False, "records": records},
    )


def _alone(version: str, slot: Slot) -> tuple[str, str, dict[str, object]]:
    """Address one row by its own path, which does not count as a collection."""
    named = {"upsert": slot.key_field, "update": "Id", "create": None}[slot.operation]
    body = wire.record(slot.object, slot.rows[0], without=named)
    body.pop("attributes")
    if named is None:
        return "POST", data_path(version, "sobjects", slot.object), body
    value = str(slot.rows[0][named])
    where = (slot.object, value) if named == "Id" else (slot.object, named, value)
    return "PATCH", data_path(version, "sobjects", *where), body


def queries_body(version: str, texts: Sequence[str], *, deleted: bool = False) -> bytes:
    """Put queries into one composite request, which takes five of them (fact sheet 2.7).

    `deleted`: each as queryAll, which shows deleted and merged rows too.
    """
    if len(texts) > COLLECTIONS_MAX:
        raise ValueError(f"{len(texts)} queries do not go into one call")
    requests = [
        {"method": "GET", "url": query_path(version, text, deleted=deleted), "referenceId": f"q{number}"}
        for number, text in enumerate(texts)
    ]
    return msgspec.json.encode(
        {"allOrNone": False, "collateSubrequests": False, "compositeRequest": requests}
    )


def queries_results(body: Any, count: int) -> list[Mapping[str, Any]]:
    """Read the first page of each query, in the order asked. Raises the error of one that failed."""
    answers = body.get("compositeResponse") if isinstance(body, dict) else None
    named = {a.get("referenceId"): a for a in answers or () if isinstance(a, dict)}
    pages: list[Mapping[str, Any]] = []
    for number in range(count):
        answer = named.get(f"q{number}")
        page = answer.get("body") if answer else None
        status = _status_of(answer)
        if status is not None and status >= 400:
            raise failure(HttpAnswer(status, {}, msgspec.json.encode(page)))
        if not isinstance(page, dict):
            raise unreadable("a query")
        pages.append(page)
    return pages


def composite_results(parts: Sequence[Part], body: Any) -> dict[str, list[Ack] | SyncError]:
    """Read what became of each part: acks in row order, or why the part as a whole may be tried again.

    A part that was refused as a whole for good is acks too: every row is
    refused for that reason. Answers are found by reference, never by place.
    """
    answers = body.get("compositeResponse") if isinstance(body, dict) else None
    if not isinstance(answers, list):
        raise unreadable("a composite request")
    by_reference = {answer.get("referenceId"): answer for answer in answers if isinstance(answer, dict)}
    return {part.reference: _part_result(part, by_reference.get(part.reference)) for part in parts}


def _part_result(part: Part, answer: Mapping[str, Any] | None) -> list[Ack] | SyncError:
    status = _status_of(answer)
    if answer is None or status is None:
        return unreadable(f"a write of {part.slot.object}")
    body = answer.get("body")
    if status in {200, 201, 204}:
        return _alone_result(part, body) if part.alone else _collection_result(part, body)
    plain = HttpAnswer(status, _lower_names(answer.get("httpHeaders")), wire.encode(body) if body else b"")
    error = failure(plain)
    if isinstance(error, SessionExpired):
        return Transient(str(error), retry_after_seconds=0.0)  # The next call logs in again.
    if isinstance(error, Transient | LimitReached):
        return error
    refusals = remote_errors(plain) or [RemoteError(f"HTTP {status}", str(error))]
    return [_joined(refusals)] * len(part.slot.rows)


def _status_of(answer: Mapping[str, Any] | None) -> int | None:
    status = str(answer.get("httpStatusCode")) if answer is not None else ""
    return int(status) if status.isdigit() else None


def _lower_names(headers: Any) -> dict[str, str]:
    return {str(k).lower(): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}


def _collection_result(part: Part, body: Any) -> list[Ack] | SyncError:
    if not isinstance(body, list) or len(body) != len(part.slot.rows):
        return unreadable(f"a write of {part.slot.object}")
    return [
        row_ack(part.slot, row, result if isinstance(result, dict) else {})
        for row, result in zip(part.slot.rows, body, strict=True)
    ]


def _alone_result(part: Part, body: Any) -> list[Ack] | SyncError:
    # An update answers 204 without a body; so did upserts up to version 45 (fact sheet, single-record calls).
    result = body if isinstance(body, dict) else {"success": True}
    return [row_ack(part.slot, part.slot.rows[0], {"success": True} | result)]


def row_ack(slot: Slot, row: Mapping[str, object], result: Mapping[str, Any]) -> Ack:
    """Read the word on one row. A written row whose id the answer leaves out has the id ""."""
    if not result.get("success"):
        return _joined(list(_errors_in(result.get("errors") or [])) or [NO_REASON])
    id_ = result.get("id") or (row.get("Id") if slot.operation == "update" else None) or ""
    created = {"create": True, "update": False}.get(slot.operation, result.get("created"))
    return Written(wire.id18(str(id_)), created if isinstance(created, bool) else None)


NO_REASON = RemoteError("UNKNOWN_EXCEPTION", "Salesforce refused this row without a reason")


def _joined(errors: Sequence[RemoteError]) -> Refused:
    """Make several errors of one row into one ack, under the first one's code."""
    return Refused(
        errors[0].code,
        "; ".join(dict.fromkeys(error.message for error in errors)),
        tuple(dict.fromkeys(field for error in errors for field in error.fields)),
        tuple(dict.fromkeys(match for error in errors for match in error.matches)),
    )


# -- versions -------------------------------------------------------------


def read_versions(body: Any) -> list[str]:
    """Return the API versions an org speaks, oldest first, by number ("9.0" is older than "60.0")."""
    found = {str(entry["version"]) for entry in body if isinstance(entry, dict) and "version" in entry}
    return sorted(found, key=lambda version: tuple(int(n) for n in re.findall(r"\d+", version)))

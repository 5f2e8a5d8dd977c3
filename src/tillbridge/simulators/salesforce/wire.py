"""Answers as the REST API shapes them, and the context a request runs in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from tillbridge.simulators.httpd import Response
from tillbridge.simulators.salesforce.schema import RowError, RowResult, User
from tillbridge.simulators.salesforce.values import Refused

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

_STATUS = {
    "NOT_FOUND": 404,
    "INVALID_SESSION_ID": 401,
    "REQUEST_LIMIT_EXCEEDED": 403,
    "API_DISABLED_FOR_ORG": 403,
    "INSUFFICIENT_ACCESS_OR_READONLY": 403,
    "METHOD_NOT_ALLOWED": 405,
    "PRECONDITION_FAILED": 412,
    "UNKNOWN_EXCEPTION": 500,
}
_DECODE = msgspec.json.Decoder().decode
_ENCODE = msgspec.json.Encoder().encode
MISSING = "The requested resource does not exist"


@dataclass(slots=True)
class Context:
    """Who asks, of which org, in which version, with which options."""

    org: Org
    user: User
    version: str  # "67.0"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """Return the path all resources of this version are below."""
        return f"/services/data/v{self.version}"

    @property
    def auto_assign(self) -> bool:
        """Say whether assignment rules run (Sforce-Auto-Assign)."""
        return self.headers.get("sforce-auto-assign", "true").strip().lower() != "false"

    @property
    def allow_duplicates(self) -> bool:
        """Say whether the caller saves in spite of an alert (Sforce-Duplicate-Rule-Header)."""
        header = self.headers.get("sforce-duplicate-rule-header", "")
        pairs = dict(part.strip().partition("=")[::2] for part in header.lower().split(";"))
        return pairs.get("allowsave", "").strip() == "true"

    def write(
        self, object_name: str, op: str, fields: dict[str, Any], ext_field: str | None = None
    ) -> RowResult:
        """Write one row with the options of this request."""
        return self.org.write(
            self.user, object_name, op, fields,
            ext_field=ext_field, auto_assign=self.auto_assign, allow_duplicates=self.allow_duplicates,
        )  # fmt: skip


@dataclass(slots=True)
class Reply:
    """An answer before it is bytes: a subrequest's answer becomes part of another."""

    status: int = 200
    value: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return the answer as HTTP."""
        if self.value is None:
            return Response(self.status, b"", self.headers)
        headers = {"Content-Type": "application/json;charset=UTF-8", **self.headers}
        return Response(self.status, _ENCODE(self.value), headers)


def parse_json(body: bytes) -> Any:
    """Parse a body; an empty one is None."""
    if not body.strip():
        return None
    try:
        return _DECODE(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("JSON_PARSER_ERROR", f"Unexpected character at [line:1, column:1]: {error}") from error


def status_of(org: Org, code: str) -> int:
    """Return the HTTP status that goes with an error code."""
    if code == "ENTITY_IS_DELETED":
        return int(org.switches["entity_is_deleted_status"])
    if code == "INVALID_QUERY_LOCATOR":
        return int(org.switches["invalid_locator_status"])
    return _STATUS.get(code, 400)


def error_json(error: RowError) -> dict[str, Any]:
    """Show an error the way single calls do: errorCode (fact sheet §6.1)."""
    shown: dict[str, Any] = {"message": error.message, "errorCode": error.code}
    if error.code != "DUPLICATES_DETECTED":
        shown["fields"] = error.fields
    if not shown.get("fields"):
        shown.pop("fields", None)
    return {**shown, **{k: v for k, v in error.extra.items() if k == "duplicateResult"}}


def row_error_json(error: RowError) -> dict[str, Any]:
    """Show an error the way rows of collections and trees do: statusCode (fact sheet §2.6)."""
    return {"statusCode": error.code, "message": error.message, "fields": error.fields}


def refusal(org: Org, error: RowError) -> Reply:
    """Return the answer to a single call that was refused."""
    return Reply(status_of(org, error.code), [error_json(error)])


def not_found(message: str = MISSING) -> Reply:
    """Return 404."""
    return Reply(404, [{"errorCode": "NOT_FOUND", "message": message}])


def not_allowed(method: str, allowed: str) -> Reply:
    """Return 405 with the methods that would do."""
    message = f"HTTP Method '{method}' not allowed. Allowed are {allowed}"
    return Reply(405, [{"errorCode": "METHOD_NOT_ALLOWED", "message": message}], {"Allow": allowed})

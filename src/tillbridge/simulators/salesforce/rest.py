"""The REST resources of one version: which path does what. Bulk, metadata and login live elsewhere.

`dispatch` works on values, not bytes, so that a subrequest of a composite goes
through the very same code as a call of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tillbridge.simulators.salesforce import (
    composite,
    describe,
    limits,
    querying,
    records,
    sobject_collections,
    tooling,
)
from tillbridge.simulators.salesforce.schema import SObject
from tillbridge.simulators.salesforce.values import Refused
from tillbridge.simulators.salesforce.wire import Context, Reply, not_allowed, not_found, refusal

_RESOURCES = ("composite", "jobs", "limits", "metadata", "query", "queryAll", "sobjects", "tooling")


@dataclass(slots=True)
class Call:
    """One call or subrequest: the segments below the version, decoded one by one."""

    method: str
    parts: list[str]
    query: dict[str, str]
    body: Any = None

    @classmethod
    def of(cls, method: str, target: str, body: Any) -> Call:
        """Cut up a target such as `/sobjects/X/Key__c/a%2Fb?fields=Id`."""
        split = urlsplit(target)
        parts = [unquote(part) for part in split.path.split("/") if part]
        return cls(method.upper(), parts, dict(parse_qsl(split.query, keep_blank_values=True)), body)

    def listed(self, name: str) -> list[str]:
        """Return a comma-separated parameter as a list."""
        return [part.strip() for part in self.query.get(name, "").split(",") if part.strip()]


def dispatch(context: Context, call: Call) -> Reply:
    """Answer one call; what the org refuses comes back as an error answer."""
    try:
        return _route(context, call)
    except Refused as refused:
        return refusal(context.org, refused.error)


def _route(context: Context, call: Call) -> Reply:
    match call.parts:
        case []:
            return Reply(200, {name: f"{context.base}/{name}" for name in _RESOURCES})
        case ["limits"]:
            return _only(call, "GET", lambda: Reply(200, limits.report(context.org)))
        case ["query"]:
            return _only(call, "GET", lambda: querying.query(context, call.query.get("q"), all_rows=False))
        case ["queryAll"]:
            return _only(call, "GET", lambda: querying.query(context, call.query.get("q"), all_rows=True))
        case ["query" | "queryAll", locator]:
            return _only(call, "GET", lambda: querying.next_page(context, locator))
        case ["sobjects"]:
            return _only(call, "GET", lambda: Reply(200, describe.describe_global(context)))
        case ["sobjects", name, *rest]:
            return _sobject(context, call, name, rest)
        case ["composite", *rest]:
            return _composite(context, call, rest)
        case ["tooling", *rest]:
            return tooling.handle(context, call.method, rest, call.query, call.body)
    return not_found()


def _only(call: Call, method: str, answer: Any) -> Reply:
    if call.method not in {method, "HEAD"}:
        return not_allowed(call.method, f"{method},HEAD" if method == "GET" else method)
    reply: Reply = answer()
    return reply


def _sobject(context: Context, call: Call, name: str, rest: list[str]) -> Reply:
    sobject = context.org.find(name)
    if sobject is None or not context.org.rights(context.user, sobject):
        return not_found()
    match call.method, rest:
        case "GET", []:
            return Reply(200, {"objectDescribe": describe.summary(context, sobject), "recentItems": []})
        case "POST", []:
            return records.create(context, sobject, call.body)
        case _, []:
            return not_allowed(call.method, "GET,HEAD,POST")
        case "GET", ["describe"]:
            return records.described(context, sobject)
        case "GET", ["updated" | "deleted" as what]:
            return records.replicated(context, sobject, what, call.query)
        case "GET" | "HEAD", [row_id]:
            return records.retrieve(context, sobject, row_id, call.listed("fields"))
        case "PATCH", [row_id]:
            return records.update(context, sobject, row_id, call.body)
        case "DELETE", [row_id]:
            return records.delete(context, sobject, row_id)
        case "POST", [ext_field] if sobject.find(ext_field):
            # POST /sobjects/X/Id upserts without an id: it creates.
            return records.create(context, sobject, call.body)
        case _, [_]:
            return not_allowed(call.method, "DELETE,GET,HEAD,PATCH")
        case "GET" | "HEAD", [ext_field, value]:
            return records.retrieve_by_key(context, sobject, ext_field, value, call.listed("fields"))
        case "PATCH", [ext_field, value]:
            update_only = call.query.get("updateOnly", "").lower() == "true"
            return records.upsert(context, sobject, ext_field, value, call.body, update_only=update_only)
        case "DELETE", [ext_field, value]:
            return records.delete_by_key(context, sobject, ext_field, value)
        case _, [_, _]:
            return not_allowed(call.method, "DELETE,GET,HEAD,PATCH")
    return not_found()


def _composite(context: Context, call: Call, rest: list[str]) -> Reply:
    match call.method, rest:
        case "GET", []:
            names = ("batch", "graph", "sobjects", "tree")
            return Reply(200, {name: f"{context.base}/composite/{name}" for name in names})
        case "POST", []:
            return composite.run(context, call.body, subrequest)
        case "POST", ["batch"]:
            return composite.batch(context, call.body, subrequest)
        case "POST", ["graph"]:
            return composite.graph(context, call.body, subrequest)
        case "POST", ["tree", name]:
            return composite.tree(context, _object(context, name), call.body)
        case "POST", ["sobjects"]:
            return sobject_collections.write(context, "insert", call.body)
        case "PATCH", ["sobjects"]:
            return sobject_collections.write(context, "update", call.body)
        case "DELETE", ["sobjects"]:
            all_or_none = call.query.get("allOrNone", "").lower() == "true"
            return sobject_collections.delete(context, call.query.get("ids", ""), all_or_none=all_or_none)
        case "PATCH", ["sobjects", name, ext_field]:
            return sobject_collections.write(
                context, "upsert", call.body, object_name=_object(context, name).name, ext_field=ext_field
            )
        case "GET", ["sobjects", name]:
            return sobject_collections.retrieve(
                context, _object(context, name), call.listed("ids"), call.listed("fields")
            )
        case "POST", ["sobjects", name]:
            body = call.body if isinstance(call.body, dict) else {}
            return sobject_collections.retrieve(
                context, _object(context, name), body.get("ids") or [], body.get("fields") or []
            )
        case _, [] | ["batch"] | ["graph"] | ["tree", _]:
            return not_allowed(call.method, "POST")
        case _, ["sobjects"]:
            return not_allowed(call.method, "DELETE,PATCH,POST")
    return not_found()


def _object(context: Context, name: str) -> SObject:
    sobject = context.org.find(name)
    if sobject is None or not context.org.rights(context.user, sobject):
        raise Refused("NOT_FOUND", "The requested resource does not exist")
    return sobject


def subrequest(context: Context, method: str, target: str, body: Any, headers: dict[str, str]) -> Reply:
    """Answer a subrequest; its target starts below the version, its own headers win over the outer ones."""
    lowered = {name.lower(): value for name, value in headers.items()}
    inner = Context(context.org, context.user, context.version, {**context.headers, **lowered})
    return dispatch(inner, Call.of(method, target, body))

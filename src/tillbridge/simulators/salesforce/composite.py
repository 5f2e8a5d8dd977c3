"""Several calls in one: composite, batch, tree and graph (fact sheet §2.7).

`run_one` answers a subrequest; it is handed in, because the resources that
subrequests reach are the same ones that hold these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tillbridge.simulators.salesforce import writing
from tillbridge.simulators.salesforce.schema import Field, RowResult, SObject
from tillbridge.simulators.salesforce.values import Refused
from tillbridge.simulators.salesforce.wire import MISSING, Context, Reply, row_error_json

RunOne = Callable[[Context, str, str, Any, dict[str, str]], Reply]
SUBREQUESTS_MAX, MANY_ROWS_MAX = 25, 5
TREE_ROWS_MAX, TREE_LEVELS_MAX, TREE_TYPES_MAX = 200, 5, 5
GRAPHS_MAX, NODES_MAX, DEPTH_MAX, KINDS_MAX, FAILED_GRAPHS_MAX = 75, 500, 15, 15, 14
_REFERENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*\Z")
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\[\d+\]|\.[A-Za-z0-9_]+)*)\}")
_STEP = re.compile(r"\[(\d+)\]|\.([A-Za-z0-9_]+)")
_URL = re.compile(r"/services/data/v(\d+\.\d)(/.*)\Z")
_FORBIDDEN_HEADERS = {"accept", "authorization", "content-type"}
_ROLLED_BACK = "The transaction was rolled back since another operation in the same transaction failed."


def run(context: Context, body: Any, run_one: RunOne) -> Reply:
    """Answer POST /composite."""
    if not isinstance(body, dict) or not isinstance(body.get("compositeRequest"), list):
        raise Refused("JSON_PARSER_ERROR", "The request body must have a compositeRequest")
    parts = body["compositeRequest"]
    _check(parts)
    if body.get("collateSubrequests", True):
        parts = _collated(parts)
    answers, _ = _together(context, parts, run_one, all_or_none=bool(body.get("allOrNone")))
    return Reply(200, {"compositeResponse": answers})


def _check(parts: list[dict[str, Any]]) -> None:
    if len(parts) > SUBREQUESTS_MAX:
        raise Refused("LIMIT_EXCEEDED", f"The number of subrequests exceeds the limit of {SUBREQUESTS_MAX}")
    many = [part for part in parts if re.search(r"/composite/sobjects|/query", str(part.get("url")))]
    if len(many) > MANY_ROWS_MAX:
        message = (
            f"The number of sObject Collections and Query subrequests exceeds the limit of {MANY_ROWS_MAX}"
        )
        raise Refused("LIMIT_EXCEEDED", message)
    _check_references(parts)


def _check_references(parts: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for part in parts:
        reference = str(part.get("referenceId", ""))
        if not _REFERENCE_ID.match(reference):
            raise Refused("INVALID_INPUT", f"Invalid referenceId: {reference}")
        if reference in seen:
            raise Refused("INVALID_INPUT", f"Duplicate referenceId: {reference}")
        seen.add(reference)
        for name in part.get("httpHeaders") or {}:
            if name.lower() in _FORBIDDEN_HEADERS:
                raise Refused("INVALID_INPUT", f"Header {name} is not allowed in a subrequest")


def _collated(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bring like subrequests together as the platform may; those that refer to others keep their place."""
    ordered: list[dict[str, Any]] = []
    for part in parts:
        kind = (
            part.get("method"),
            str(part.get("url")).partition("?")[0].rpartition("/sobjects/")[2].partition("/")[0],
        )
        free = not _REFERENCE.search(f"{part.get('url')}{part.get('body')}")
        last = (
            max((i for i, (_, k) in enumerate(_kinds(ordered)) if k == kind), default=None) if free else None
        )
        if last is None:
            ordered.append(part)
        else:
            ordered.insert(last + 1, part)
    return ordered


def _kinds(parts: list[dict[str, Any]]) -> list[tuple[dict[str, Any], tuple[Any, str]]]:
    return [
        (
            p,
            (
                p.get("method"),
                str(p.get("url")).partition("?")[0].rpartition("/sobjects/")[2].partition("/")[0],
            ),
        )
        for p in parts
    ]


def _together(
    context: Context, parts: list[dict[str, Any]], run_one: RunOne, *, all_or_none: bool
) -> tuple[list[dict[str, Any]], bool]:
    """Run subrequests one after the other; returns their answers and whether all went well."""
    answers: list[dict[str, Any]] = []
    known: dict[str, Any] = {}
    with writing.transaction(context.org) as transaction:
        for part in parts:
            reply = _one(context, part, known, run_one)
            answers.append(_answer(part, reply))
            if reply.status < 300:
                known[str(part["referenceId"])] = reply.value
        good = [
            a["httpStatusCode"] < 300 and not (all_or_none and _has_failed_rows(a["body"])) for a in answers
        ]
        if all_or_none and not all(good):
            transaction.rollback()
            halted = Reply(400, [{"errorCode": "PROCESSING_HALTED", "message": _ROLLED_BACK}])
            answers = [
                _answer({"referenceId": a["referenceId"]}, halted) if ok else a
                for a, ok in zip(answers, good, strict=True)
            ]
    return answers, all(good)


def _has_failed_rows(body: Any) -> bool:
    return isinstance(body, list) and any(
        isinstance(row, dict) and row.get("success") is False for row in body
    )


def _one(context: Context, part: dict[str, Any], known: dict[str, Any], run_one: RunOne) -> Reply:
    try:
        url = _filled(str(part.get("url", "")), known)
        body = _filled(part.get("body"), known)
    except Refused as refused:
        return Reply(400, [{"errorCode": refused.error.code, "message": refused.error.message}])
    match = _URL.match(url)
    if match is None or re.match(
        r"/(composite/?(?:\?|$)|composite/(?:batch|tree|graph)|jobs|metadata)", match[2]
    ):
        return Reply(404, [{"errorCode": "NOT_FOUND", "message": MISSING}])
    inner = Context(context.org, context.user, match[1], context.headers)
    return run_one(inner, str(part.get("method", "GET")), match[2], body, part.get("httpHeaders") or {})


def _answer(part: dict[str, Any], reply: Reply) -> dict[str, Any]:
    return {
        "body": reply.value,
        "httpHeaders": reply.headers,
        "httpStatusCode": reply.status,
        "referenceId": part.get("referenceId"),
    }


def _filled(value: Any, known: dict[str, Any]) -> Any:
    """Put answers in for `@{ref.id}`, in texts at any depth."""
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        if whole:
            return _looked_up(whole, known)
        return _REFERENCE.sub(lambda match: str(_looked_up(match, known)), value)
    if isinstance(value, dict):
        return {key: _filled(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, known) for inner in value]
    return value


def _looked_up(match: re.Match[str], known: dict[str, Any]) -> Any:
    reference, path = match[1], match[2]
    value: Any = known.get(reference)
    for step in _STEP.finditer(path):
        if step[1] is not None and isinstance(value, list) and int(step[1]) < len(value):
            value = value[int(step[1])]
        elif step[2] is not None and isinstance(value, dict):
            value = value.get(step[2])  # Names are case-sensitive: `id` of a create, `Id` of a read.
        else:
            value = None
    if value is None:
        message = f"Invalid reference specified. No value for {reference}{path} found in {reference}"
        raise Refused("PROCESSING_HALTED", message)
    return value


def batch(context: Context, body: Any, run_one: RunOne) -> Reply:
    """Answer POST /composite/batch: independent calls, one after the other."""
    if not isinstance(body, dict) or not isinstance(body.get("batchRequests"), list):
        raise Refused("JSON_PARSER_ERROR", "The request body must have batchRequests")
    parts = body["batchRequests"]
    if len(parts) > SUBREQUESTS_MAX:
        raise Refused("LIMIT_EXCEEDED", f"The number of subrequests exceeds the limit of {SUBREQUESTS_MAX}")
    results: list[dict[str, Any]] = []
    for part in parts:
        failed = any(result["statusCode"] >= 400 for result in results)
        if failed and body.get("haltOnError"):
            halted = [
                {"errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted per request"}
            ]
            results.append({"statusCode": 412, "result": halted})
            continue
        match = re.match(r"/?v(\d+\.\d)(/.*)\Z", str(part.get("url", "")))
        if match is None:
            results.append({"statusCode": 404, "result": [{"errorCode": "NOT_FOUND", "message": MISSING}]})
            continue
        inner = Context(context.org, context.user, match[1], context.headers)
        reply = run_one(inner, str(part.get("method", "GET")), match[2], part.get("richInput"), {})
        results.append({"statusCode": reply.status, "result": reply.value})
    return Reply(200, {"hasErrors": any(r["statusCode"] >= 400 for r in results), "results": results})


# -- tree ----------------------------------------------------------------------------


def tree(context: Context, sobject: SObject, body: Any) -> Reply:
    """Answer POST /composite/tree/X: nested rows, all or none."""
    if not isinstance(body, dict) or not isinstance(body.get("records"), list):
        raise Refused("JSON_PARSER_ERROR", "The request body must have records")
    written: list[tuple[str, RowResult]] = []
    types: set[str] = set()
    with writing.transaction(context.org) as transaction:
        for record in body["records"]:
            _plant(context, sobject, record, None, 1, written, types)
        failed = [(ref, result) for ref, result in written if not result.success]
        if failed:
            transaction.rollback()
    if failed:
        results = [
            {"referenceId": ref, "errors": [row_error_json(e) for e in result.errors]}
            for ref, result in failed
        ]
        return Reply(400, {"hasErrors": True, "results": results})
    return Reply(
        201,
        {"hasErrors": False, "results": [{"referenceId": ref, "id": result.id} for ref, result in written]},
    )


def _plant(
    context: Context,
    sobject: SObject,
    record: dict[str, Any],
    parent: tuple[Field, str] | None,
    level: int,
    written: list[tuple[str, RowResult]],
    types: set[str],
) -> None:
    types.add(sobject.name)
    if level > TREE_LEVELS_MAX or len(types) > TREE_TYPES_MAX or len(written) >= TREE_ROWS_MAX:
        raise Refused("LIMIT_EXCEEDED", "The tree exceeds 200 records, 5 levels or 5 types")
    reference = str((record.get("attributes") or {}).get("referenceId") or "")
    if not reference:
        raise Refused("INVALID_INPUT", "Each record of a tree must have a referenceId")
    nested = {
        k: v["records"]
        for k, v in record.items()
        if isinstance(v, dict) and isinstance(v.get("records"), list)
    }
    fields = {k: v for k, v in record.items() if k not in nested}
    if parent is not None:
        fields[parent[0].name] = parent[1]
    result = context.write(sobject.name, "insert", fields)
    written.append((reference, result))
    for name, children in nested.items():
        child, lookup = _child_of(context, sobject, name)
        for inner in children if result.success else ():
            _plant(context, child, inner, (lookup, result.id), level + 1, written, types)


def _child_of(context: Context, sobject: SObject, name: str) -> tuple[SObject, Field]:
    for child in context.org.schema.values():
        for field in child.fields.values():
            if sobject.name in field.reference_to and field.child_relationship and not field.person_of:
                shown = (
                    f"{field.child_relationship.removesuffix('__r')}__r"
                    if field.custom
                    else field.child_relationship
                )
                if shown.lower() == name.lower():
                    return child, field
    raise Refused("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}")


# -- graph ---------------------------------------------------------------------------


def graph(context: Context, body: Any, run_one: RunOne) -> Reply:
    """Answer POST /composite/graph: each graph is a transaction of its own."""
    graphs = body.get("graphs") if isinstance(body, dict) else None
    if not isinstance(graphs, list):
        raise Refused("JSON_PARSER_ERROR", "The request body must have graphs")
    _check_graphs(graphs)
    shown: list[dict[str, Any]] = []
    failed = 0
    for one in graphs:
        parts = one.get("compositeRequest") or []
        if failed > FAILED_GRAPHS_MAX:
            halted = Reply(400, [{"errorCode": "PROCESSING_HALTED", "message": "Too many graphs failed"}])
            answers, good = [_answer(part, halted) for part in parts], False
        else:
            answers, good = _together(context, parts, run_one, all_or_none=True)
            failed += not good
        shown.append(
            {
                "graphId": one.get("graphId"),
                "graphResponse": {"compositeResponse": answers},
                "isSuccessful": good,
            }
        )
    return Reply(200, {"graphs": shown})


def _check_graphs(graphs: list[dict[str, Any]]) -> None:
    nodes = sum(len(one.get("compositeRequest") or []) for one in graphs)
    if len(graphs) > GRAPHS_MAX or nodes > NODES_MAX:
        raise Refused(
            "LIMIT_EXCEEDED", f"Composite graphs are limited to {GRAPHS_MAX} graphs and {NODES_MAX} nodes"
        )
    for one in graphs:
        parts = one.get("compositeRequest") or []
        _check_references(parts)
        kinds = set()
        for part in parts:
            match = re.match(r"/services/data/v(\d+\.\d)/sobjects/(\w+)(?:/.*)?\Z", str(part.get("url", "")))
            if match is None:
                raise Refused("INVALID_INPUT", "A composite graph takes only /sobjects/ resources")
            kinds.add((match[1], match[2]))
        if len(kinds) > KINDS_MAX or _depth(parts) > DEPTH_MAX:
            raise Refused(
                "LIMIT_EXCEEDED",
                f"A graph is limited to {KINDS_MAX} kinds of nodes and a depth of {DEPTH_MAX}",
            )


def _depth(parts: list[dict[str, Any]]) -> int:
    depth: dict[str, int] = {}
    for part in parts:
        parents = [match[1] for match in _REFERENCE.finditer(f"{part.get('url')}{part.get('body')}")]
        depth[str(part.get("referenceId"))] = 1 + max((depth.get(name, 0) for name in parents), default=0)
    return max(depth.values(), default=0)

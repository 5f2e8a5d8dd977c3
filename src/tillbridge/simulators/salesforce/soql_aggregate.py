"""COUNT, SUM, MIN, MAX, AVG and GROUP BY, with the limits REST sets them (fact sheet §2.4)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from tillbridge.simulators.salesforce.schema import Field
from tillbridge.simulators.salesforce.soql_names import Getter, Resolved, Scope
from tillbridge.simulators.salesforce.soql_syntax import (
    AGGREGATES,
    Call,
    Compare,
    Condition,
    Literal,
    Logic,
    Path,
    Query,
    problem,
)
from tillbridge.simulators.salesforce.soql_where import date_function, test
from tillbridge.simulators.salesforce.table import Row
from tillbridge.simulators.salesforce.values import Refused

# Grouped answers cannot be paged: more rows than this are an error, not a second page.
GROUPED_ROWS_MAX = 2_000
_ATTRIBUTES = {"type": "AggregateResult"}

Fold = Callable[[list[Row]], Any]


def aggregates(query: Query) -> bool:
    """Say whether a query answers with AggregateResults."""
    return bool(query.group) or any(
        isinstance(item, Call) and item.name in AGGREGATES for item in query.items
    )


def run(scope: Scope, query: Query, rows: list[Row]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the records, each already as the API shows it, and their column names."""
    keys = [_group_key(scope, item) for item in query.group]
    columns = _columns(scope, query)
    groups = _grouped(rows, [read for _, read in keys]) if query.group else [((), rows)]
    having = _having(scope, query.having) if query.having is not None else None
    orders = [(_operand(scope, order.by, keys), order) for order in query.order]
    kept = [
        (key, bucket)
        for key, bucket in groups
        if having is None or having(key, bucket, [name for name, _ in keys])
    ]
    for read, order in reversed(orders):
        kept = _sorted(kept, read, descending=order.descending, nulls_last=order.nulls_last)
    stop = None if query.limit is None else query.offset + query.limit
    kept = kept[query.offset : stop]
    if len(kept) > GROUPED_ROWS_MAX:
        advice = "use LIMIT to restrict the results to a single batch"
        raise Refused("EXCEEDED_ID_LIMIT", f"Aggregate query does not support queryMore(), {advice}")
    shown = [(name, _operand(scope, item, keys)) for name, item in columns]
    records = [
        {"attributes": _ATTRIBUTES, **{name: read(key, bucket) for name, read in shown}}
        for key, bucket in kept
    ]
    return records, [name for name, _ in columns]


def _columns(scope: Scope, query: Query) -> list[tuple[str, Path | Call]]:
    numbers = count()
    found: list[tuple[str, Path | Call]] = []
    for item in query.items:
        if isinstance(item, Query):
            raise problem(query.text, item.source_at, "MALFORMED_QUERY", "subqueries cannot be grouped")
        if item.alias:
            name = item.alias
        elif isinstance(item, Call):
            name = f"expr{next(numbers)}"
        else:
            name = scope.resolve(item).field.name
        found.append((name, item))
    return found


def _group_key(scope: Scope, item: Path | Call) -> tuple[str, Getter]:
    if isinstance(item, Call):
        made = date_function(scope, item)
        if made is None or item.path is None:
            raise scope.unsupported(item)
        return _spelling(scope, item), made[0]
    resolved = scope.resolve(item)
    field = resolved.field
    # Numbers, long texts and moments cannot be grouped by.
    if field.type in {"currency", "double", "percent", "textarea", "datetime", "address"}:
        message = f"field '{field.name}' can not be grouped in a query call"
        raise problem(scope.query.text, item.at, "INVALID_FIELD", message)
    return _spelling(scope, item), resolved.read


def _spelling(scope: Scope, item: Path | Call) -> str:
    """Return one spelling for an expression, whatever case and alias it was written in."""
    if isinstance(item, Path):
        return ".".join(scope.resolve(item).names)
    return f"{item.name}({_spelling(scope, item.path) if item.path else ''})"


def _grouped(rows: list[Row], keys: list[Getter]) -> list[tuple[tuple[Any, ...], list[Row]]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    if len(keys) == 1:
        only = keys[0]
        for row in rows:
            groups.setdefault((only(row),), []).append(row)
    elif len(keys) == 2:
        first, second = keys
        for row in rows:
            groups.setdefault((first(row), second(row)), []).append(row)
    else:
        for row in rows:
            groups.setdefault(tuple([read(row) for read in keys]), []).append(row)
    return list(groups.items())


def _operand(
    scope: Scope, item: Path | Call, keys: list[tuple[str, Getter]]
) -> Callable[[Any, list[Row]], Any]:
    """Return how to read an expression off a group: a part of its key, or a fold over its rows."""
    if isinstance(item, Call) and item.name in AGGREGATES:
        fold = _fold(scope, item)
        return lambda _, bucket: fold(bucket)
    spelling = _spelling(scope, item)
    place = next((i for i, (name, _) in enumerate(keys) if name == spelling), None)
    if place is None:
        message = f"Field must be grouped or aggregated: {spelling}"
        raise problem(scope.query.text, item.at, "MALFORMED_QUERY", message)
    return lambda key, _: key[place]


def _fold(scope: Scope, call: Call) -> Fold:
    if call.path is None:
        return len
    resolved = scope.resolve(call.path)
    field, values = resolved.field, _values(resolved)
    match call.name:
        case "COUNT":
            return (len) if field.name == "Id" and not resolved.hops else lambda rows: len(values(rows))
        case "COUNT_DISTINCT":
            return lambda rows: len(set(values(rows)))
        case "MIN":
            return lambda rows: min(found) if (found := values(rows)) else None
        case "MAX":
            return lambda rows: max(found) if (found := values(rows)) else None
    if field.type not in {"int", "double", "currency", "percent"}:
        message = f"field {field.name} does not support aggregate operator {call.name}"
        raise problem(scope.query.text, call.at, "INVALID_FIELD", message)
    if call.name == "SUM":
        return _sum(field, values)
    return lambda rows: sum(found) / len(found) if (found := values(rows)) else None


def _sum(field: Field, values: Callable[[list[Row]], list[Any]]) -> Fold:
    scale = field.scale

    def fold(rows: list[Row]) -> float | None:
        found = values(rows)
        # Two decimals survive the addition of millions of doubles once the result is rounded.
        return round(sum(found), scale) if found else None

    return fold


def _values(resolved: Resolved) -> Callable[[list[Row]], list[Any]]:
    name, read = resolved.field.name, resolved.read
    if resolved.hops or resolved.field.type == "boolean" or resolved.field.summary:
        return lambda rows: [value for row in rows if (value := read(row)) is not None]
    return lambda rows: [row[name] for row in rows if name in row]


def _having(scope: Scope, node: Condition) -> Callable[[Any, list[Row], list[str]], bool]:
    if isinstance(node, Logic):
        parts = [_having(scope, part) for part in node.parts]
        if node.op == "NOT":
            return lambda key, rows, names: not parts[0](key, rows, names)
        together = all if node.op == "AND" else any
        return lambda key, rows, names: together(part(key, rows, names) for part in parts)
    return _having_one(scope, node)


def _having_one(scope: Scope, node: Compare) -> Callable[[Any, list[Row], list[str]], bool]:
    if not isinstance(node.right, Literal):
        raise problem(
            scope.query.text, node.left.at, "MALFORMED_QUERY", "a semi join is not allowed in HAVING"
        )
    literal = node.right
    value = [part.value for part in literal.value] if literal.kind == "list" else literal.value
    left = node.left
    check = test(lambda row: row["value"], node.op, value, fold=literal.kind == "string")
    if isinstance(left, Call) and left.name in AGGREGATES:
        fold = _fold(scope, left)
        return lambda _, rows, __: check({"value": fold(rows)})
    spelling = _spelling(scope, left)
    return lambda key, _, names: check({"value": dict(zip(names, key, strict=True)).get(spelling)})


def _sorted(
    groups: list[tuple[Any, list[Row]]],
    read: Callable[[Any, list[Row]], Any],
    *,
    descending: bool,
    nulls_last: bool,
) -> list[tuple[Any, list[Row]]]:
    valued = [(read(key, rows), (key, rows)) for key, rows in groups]
    nulls = [group for value, group in valued if value is None]
    others = sorted(
        ((value, group) for value, group in valued if value is not None),
        key=lambda v: v[0],
        reverse=descending,
    )
    ordered = [group for _, group in others]
    return ordered + nulls if nulls_last else nulls + ordered

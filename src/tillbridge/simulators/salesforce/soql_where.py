"""Turn a WHERE into a predicate over rows, and into a short list of candidates where an index helps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tillbridge.simulators.salesforce.ids import with_checksum
from tillbridge.simulators.salesforce.schema import Field
from tillbridge.simulators.salesforce.soql_names import Getter, Resolved, Scope
from tillbridge.simulators.salesforce.soql_syntax import (
    Call,
    Compare,
    Condition,
    Literal,
    Logic,
    Path,
    Query,
    problem,
)
from tillbridge.simulators.salesforce.table import Row, folds
from tillbridge.simulators.salesforce.values import NUMBER_TYPES, Refused, parse_moment

Predicate = Callable[[Row], bool]
LONG_TEXT_CHARS = 255
SEMI_JOINS_MAX = 2
_INDEXED_NAMES = frozenset(
    {"Name", "LastName", "ProductCode", "StockKeepingUnit", "Username", "DeveloperName", "AccountNumber"}
)
_TEXT_WANT = "must be of type {} and should be enclosed in quotes"
_BARE_WANT = "must be of type {} and should not be enclosed in quotes"


class Where:
    """The conditions of one query. `subquery` runs a semi-join and returns the values of its column."""

    def __init__(self, scope: Scope, subquery: Callable[[Query], set[Any]]) -> None:
        self.scope = scope
        self._subquery = subquery
        self._joins: dict[int, set[Any]] = {}

    def predicate(self, node: Condition) -> Predicate:
        """Return the test that a row passes."""
        if isinstance(node, Logic):
            return _combine(node.op, [self.predicate(part) for part in node.parts])
        read, field = self._operand(node.left)
        if isinstance(node.right, Query):
            joined = self._join(node.right)
            return _among(read, joined, fold=False, wanted=node.op == "IN")
        if node.right.kind == "date word":
            return _within(
                read,
                node.op,
                _days(node.right.value, self.scope.org.clock.today().date(), moment=field.type == "datetime"),
            )
        value = self._value(node, field, node.right)
        return test(read, node.op, value, fold=folds(field))

    def candidates(self, node: Condition) -> Iterable[Row] | None:
        """Return rows among which all hits are, or None if only a scan can tell."""
        if isinstance(node, Logic):
            return self._candidates_of_logic(node)
        if not isinstance(node.left, Path):
            return None
        resolved = self.scope.resolve(node.left)
        if resolved.hops:
            return self._candidates_through_parent(node, resolved)
        return self._candidates_of_compare(node, resolved)

    def _candidates_through_parent(self, node: Compare, resolved: Resolved) -> list[Row] | None:
        """Find the parents by their index, then their children by theirs."""
        if len(resolved.hops) > 1 or node.op not in {"=", "IN"} or not isinstance(node.right, Literal):
            return None
        (lookup, parent), field = resolved.hops[0], resolved.field
        parents = self.scope.org.tables[parent.name]
        value = self._value(node, field, node.right) if node.right.kind != "date word" else None
        values = value if isinstance(value, list) else [value]
        if None in values or len(lookup.reference_to) > 1 or field.name not in parents.indexes:
            return None
        table = self.scope.table
        found = parents.indexes[field.name]
        ids = dict.fromkeys(parent_id for value in values for parent_id in found.ids(value))
        index = table.index(lookup)
        return [table.rows[row_id] for parent_id in ids for row_id in index.ids(parent_id)]

    def _candidates_of_logic(self, node: Logic) -> Iterable[Row] | None:
        if node.op == "NOT":
            return None
        if node.op == "AND":
            span = self._stamp_span(node.parts)
            found = [rows for part in node.parts if (rows := self.candidates(part)) is not None]
            lists = [rows for rows in found if isinstance(rows, list)]
            if lists:
                return min(lists, key=len)
            return span if span is not None else next(iter(found), None)
        merged: dict[str, Row] = {}
        for part in node.parts:
            rows = self.candidates(part)
            if rows is None:
                return None
            merged.update((row["Id"], row) for row in rows)
        return list(merged.values())

    def _stamp_span(self, parts: list[Condition]) -> Iterable[Row] | None:
        """Both ends of a SystemModstamp window, where they stand side by side."""
        low = high = None
        for part in parts:
            if (bound := _stamp_bound(part)) is not None:
                op, value = bound
                low = value if op in {">", ">=", "="} else low
                high = value if op in {"<", "<=", "="} else high
        return None if low is None and high is None else self.scope.table.since(low, high)

    def _candidates_of_compare(self, node: Compare, resolved: Resolved) -> Iterable[Row] | None:
        table, field = self.scope.table, resolved.field
        if isinstance(node.right, Query):
            values: Iterable[Any] = self._join(node.right)
        elif node.right.kind in {"null", "date word"}:
            return None
        elif node.op in {"=", "IN"}:
            value = self._value(node, field, node.right)
            values = value if isinstance(value, list) else [value]
        elif field.name == "SystemModstamp" and node.op in {"<", "<=", ">", ">="}:
            return self._stamp_span([node])
        elif field.type == "date" and node.op in {"<", "<=", ">", ">="}:
            return self._date_range(node, field)
        else:
            return None
        if node.op not in {"=", "IN"} or None in values:
            return None
        if field.name == "Id":
            return [table.rows[i] for i in dict.fromkeys(values) if i in table.rows]
        if not (field.name in table.indexes or _worth_an_index(field)):
            return None
        index = table.index(field)
        ids = dict.fromkeys(row_id for value in values for row_id in index.ids(value))
        return [table.rows[i] for i in ids]

    def _date_range(self, node: Compare, field: Field) -> list[Row] | None:
        assert isinstance(node.right, Literal)
        table, bound = self.scope.table, self._value(node, field, node.right)
        index = table.index(field)
        inside = test(lambda row: row["value"], node.op, bound, fold=False)
        days = [day for day in index.entries if inside({"value": day})]
        return [table.rows[i] for day in sorted(days) for i in index.ids(day)]

    def _operand(self, left: Path | Call) -> tuple[Getter, Field]:
        if isinstance(left, Call):
            return self._function(left)
        resolved = self.scope.resolve(left)
        field = resolved.field
        if field.type in {"address", "location"} or (
            field.type == "textarea" and field.length > LONG_TEXT_CHARS
        ):
            message = f"field '{field.name}' can not be filtered in a query call"
            raise problem(self.scope.query.text, left.at, "INVALID_FIELD", message)
        return resolved.read, field

    def _function(self, call: Call) -> tuple[Getter, Field]:
        made = date_function(self.scope, call)
        if made is None:
            raise self.scope.unsupported(call)
        return made

    def _join(self, query: Query) -> set[Any]:
        if id(query) not in self._joins:
            if len(self._joins) >= SEMI_JOINS_MAX:
                raise Refused(
                    "MALFORMED_QUERY", f"maximum {SEMI_JOINS_MAX} semi join sub-selects are allowed"
                )
            self._joins[id(query)] = self._subquery(query)
        return self._joins[id(query)]

    def _value(self, node: Compare, field: Field, literal: Literal) -> Any:
        if literal.kind == "list":
            return [self._value(node, field, part) for part in literal.value]
        if literal.kind == "null":
            return None
        return _checked(self.scope.query.text, node.left.at, field, literal)


def _stamp_bound(part: Condition) -> tuple[str, str | None] | None:
    """Return operator and moment of a condition on the row's own SystemModstamp."""
    if not (isinstance(part, Compare) and isinstance(part.left, Path) and isinstance(part.right, Literal)):
        return None
    names = [name.lower() for name in part.left.names]
    if names[-1] != "systemmodstamp" or len(names) > 1 or part.right.kind != "datetime":
        return None
    return part.op, parse_moment(part.right.value.upper())


def _worth_an_index(field: Field) -> bool:
    """Say whether an org has an index there, or people are looked up by it (fact sheet §9)."""
    return field.type in {"reference", "email", "phone", "date"} or field.name in _INDEXED_NAMES


def _checked(text: str, at: int, field: Field, literal: Literal) -> Any:
    """Return the literal in stored form; refuses the wrong type the way the API words it."""

    def wrong(want: str) -> Refused:
        return problem(
            text, at, "INVALID_FIELD", f"value of filter criterion for field '{field.name}' {want}"
        )

    kind, value = literal.kind, literal.value
    if field.type in {"int", *NUMBER_TYPES}:
        if kind != "number":
            raise wrong(_BARE_WANT.format("double"))
        return value
    if field.type == "boolean":
        if kind != "boolean":
            raise wrong(_BARE_WANT.format("boolean"))
        return value
    if field.type == "date":
        if kind != "date":
            raise wrong(_BARE_WANT.format("date"))
        return value
    if field.type == "datetime":
        moment = parse_moment(value.upper()) if kind == "datetime" else None
        if moment is None:
            raise wrong(_BARE_WANT.format("dateTime"))
        return moment
    if kind != "string":
        raise wrong(_TEXT_WANT.format("string"))
    if field.type in {"id", "reference"}:
        if len(value) not in {15, 18}:
            raise problem(text, at, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value}")
        return with_checksum(value[:15])
    return value


def _combine(op: str, parts: list[Predicate]) -> Predicate:
    if op == "NOT":
        inner = parts[0]
        return lambda row: not inner(row)
    if len(parts) == 2:
        first, second = parts
        if op == "AND":
            return lambda row: first(row) and second(row)
        return lambda row: first(row) or second(row)
    if op == "AND":
        return lambda row: all(part(row) for part in parts)
    return lambda row: any(part(row) for part in parts)


def test(read: Getter, op: str, value: Any, *, fold: bool) -> Predicate:
    """Return the test of one condition; null is equal to null only, and less than nothing."""
    if op == "LIKE":
        return _like(read, value)
    if op in {"INCLUDES", "EXCLUDES"}:
        return _includes(read, value, wanted=op == "INCLUDES")
    if op in {"IN", "NOT IN"}:
        return _among(read, value, fold=fold, wanted=op == "IN")
    if value is None:
        return (lambda row: read(row) is None) if op == "=" else (lambda row: read(row) is not None)
    if fold:
        value = value.lower()
        plain = read
        read = lambda row: None if (v := plain(row)) is None else v.lower()  # noqa: E731
    match op:
        case "=":
            return lambda row: read(row) == value
        case "!=":
            return lambda row: read(row) != value
        case "<":
            return lambda row: (v := read(row)) is not None and v < value
        case ">":
            return lambda row: (v := read(row)) is not None and v > value
        case "<=":
            return lambda row: (v := read(row)) is not None and v <= value
        case _:
            return lambda row: (v := read(row)) is not None and v >= value


def _among(read: Getter, values: Iterable[Any], *, fold: bool, wanted: bool) -> Predicate:
    held = {v.lower() if fold and v is not None else v for v in values}
    if fold:
        return lambda row: ((v.lower() if (v := read(row)) is not None else v) in held) is wanted
    return lambda row: (read(row) in held) is wanted


def _like(read: Getter, pattern: Any) -> Predicate:
    if not isinstance(pattern, str):
        raise Refused("MALFORMED_QUERY", "invalid operator: LIKE needs a string")
    parts = re.split(r"(\\[_%]|[_%])", pattern)
    regex = "".join(
        ".*" if p == "%" else "." if p == "_" else re.escape(p[1:] if p in {"\\_", "\\%"} else p)
        for p in parts
    )
    matches = re.compile(regex, re.IGNORECASE | re.DOTALL).fullmatch
    return lambda row: (v := read(row)) is not None and matches(str(v)) is not None


def _includes(read: Getter, wishes: list[str], *, wanted: bool) -> Predicate:
    groups = [set(wish.split(";")) for wish in wishes]

    def check(row: Row) -> bool:
        held = set(str(read(row) or "").split(";"))
        return any(group <= held for group in groups) is wanted

    return check


def date_function(scope: Scope, call: Call) -> tuple[Getter, Field] | None:
    """Return how to read CALENDAR_YEAR(x) and its like, with the field it stands for."""
    if call.path is None or call.name in {"FIELDS", "COUNT", "SUM", "MIN", "MAX", "AVG", "COUNT_DISTINCT"}:
        return None
    resolved = scope.resolve(call.path)
    if resolved.field.type not in {"date", "datetime"}:
        raise problem(
            scope.query.text,
            call.at,
            "INVALID_FIELD",
            f"field '{resolved.field.name}' does not support {call.name}",
        )
    cut = {
        "CALENDAR_YEAR": (0, 4),
        "CALENDAR_MONTH": (5, 7),
        "DAY_IN_MONTH": (8, 10),
        "HOUR_IN_DAY": (11, 13),
        "DAY_ONLY": (0, 10),
    }
    start, stop = cut[call.name]
    read = resolved.read
    if call.name == "DAY_ONLY":
        return (lambda row: None if (v := read(row)) is None else v[:10]), Field(call.name, "date")
    return (lambda row: None if (v := read(row)) is None else int(v[start:stop])), Field(call.name, "int")


def _days(word: tuple[str, int], today: date, *, moment: bool) -> tuple[str, str]:
    """Return first and last of a relative date, days counted in UTC."""
    name, count = word
    match name:
        case "YESTERDAY":
            first = last = today - timedelta(days=1)
        case "TOMORROW":
            first = last = today + timedelta(days=1)
        case "LAST_N_DAYS":
            first, last = today - timedelta(days=count), today
        case "NEXT_N_DAYS":
            first, last = today + timedelta(days=1), today + timedelta(days=count)
        case "THIS_YEAR" | "LAST_YEAR":
            year = today.year - (name == "LAST_YEAR")
            first, last = date(year, 1, 1), date(year, 12, 31)
        case _:
            first = last = today
    if not moment:
        return first.isoformat(), last.isoformat()
    end = datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=UTC)
    return f"{first.isoformat()}T00:00:00.000+0000", end.strftime("%Y-%m-%dT%H:%M:%S.999+0000")


def _within(read: Getter, op: str, span: tuple[str, str]) -> Predicate:
    first, last = span
    match op:
        case "=":
            return lambda row: (v := read(row)) is not None and first <= v <= last
        case "!=":
            return lambda row: (v := read(row)) is None or not first <= v <= last
        case "<":
            return lambda row: (v := read(row)) is not None and v < first
        case ">":
            return lambda row: (v := read(row)) is not None and v > last
        case "<=":
            return lambda row: (v := read(row)) is not None and v <= last
        case _:
            return lambda row: (v := read(row)) is not None and v >= first

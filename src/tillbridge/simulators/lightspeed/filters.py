"""Read the filters of a list request and decide for one row whether it passes.

Source: fact sheet A5. A condition is `field=value` or `field=op,value`; the web
server has already decoded one layer of percent signs. Several conditions on a
field all hold; `or=` holds when one of its operands does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.relations import Tree
from tillbridge.simulators.lightspeed.schema import ENTITIES, Field, Row
from tillbridge.simulators.lightspeed.switches import Switches
from tillbridge.simulators.lightspeed.wire import read_value, scalar

OPERATORS = ("><", ">=", "<=", "!=", "!~", "IN", "~", ">", "<", "=")
RANGE_OPERATORS = frozenset({">", ">=", "<", "<=", "><"})
IN_VALUES_MAX = 100
# These steer the list and filter nothing.
NO_FILTERS = frozenset(
    {
        "load_relations",
        "limit",
        "sort",
        "after",
        "before",
        "count",
        "archived",
        "or",
        "pretty_print",
        "archive",
    }
)
Read = Callable[[Row], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Condition:
    """One operand: what to read of a row, and what it must be."""

    name: str
    operator: str
    values: tuple[Any, ...]
    read: Read
    like: re.Pattern[str] | None = None

    def holds(self, row: Row) -> bool:
        """Say whether a row passes. A field with several values passes when one of them does."""
        found = self.read(row)
        if self.operator in {"!=", "!~"}:
            return not any(self._positive(value) for value in found)
        return any(self._positive(value) for value in found)

    def _positive(self, value: Any) -> bool:
        match self.operator:
            case "=" | "IN" | "!=":
                return _folded(value) in self.values
            case "~" | "!~":
                assert self.like is not None
                return bool(self.like.fullmatch(_shown(value)))
        if value is None:
            return False
        value, first = _folded(value), self.values[0]
        match self.operator:
            case ">":
                return bool(value > first)
            case ">=":
                return bool(value >= first)
            case "<":
                return bool(value < first)
            case "<=":
                return bool(value <= first)
        return bool(first <= value <= self.values[1])


@dataclass(frozen=True, slots=True)
class Query:
    """All filters of a list request."""

    conditions: tuple[Condition, ...]
    either: tuple[tuple[Condition, ...], ...]
    archived: str

    def passes(self, row: Row) -> bool:
        """Say whether a row belongs into the list."""
        if self.archived != "true" and bool(row.get("archived", False)) != (self.archived == "only"):
            return False
        return all(c.holds(row) for c in self.conditions) and all(
            any(c.holds(row) for c in group) for group in self.either
        )


def read_query(entity: str, params: list[tuple[str, str]], tree: Tree, switches: Switches) -> Query:
    """Read all filter parameters. Raises Refused (400) for what the vendor would not understand."""
    archived = dict(params).get("archived", "false")
    archived = {"1": "true", "0": "false"}.get(archived, archived)
    if archived not in {"true", "false", "only"}:
        raise Refused(400, f"archived must be true, false or only, not {archived}.")
    conditions = [
        _condition(entity, name, raw, tree, switches) for name, raw in params if name not in NO_FILTERS
    ]
    either = [_either(entity, raw, tree, switches) for name, raw in params if name == "or"]
    return Query(tuple(conditions), tuple(either), archived)


def or_operands(raw: str) -> list[tuple[str, str, str]]:
    """Split `email%3D…|phone%3D…` into (field, operator, value); inner parts may be encoded once more."""
    operands = []
    for part in raw.split("|"):
        name, equals, value = part.partition("=")
        if not equals:
            name, equals, value = unquote(part).partition("=")
        if not equals:
            raise Refused(400, f"or: {part} is no condition.")
        operands.append((name.strip(), *split_operator(unquote(value))))
    return operands


def split_operator(raw: str) -> tuple[str, str]:
    """Split `op,value`; no operator means equals."""
    head, comma, rest = raw.partition(",")
    if comma and head in OPERATORS:
        return head, rest
    return "=", raw


def _either(entity: str, raw: str, tree: Tree, switches: Switches) -> tuple[Condition, ...]:
    return tuple(
        _condition(entity, name, f"{operator},{value}", tree, switches)
        for name, operator, value in or_operands(raw)
    )


def _condition(entity: str, name: str, raw: str, tree: Tree, switches: Switches) -> Condition:
    operator, value = split_operator(raw)
    _check_restrictions(entity, name, operator)
    field, read = _target(entity, name, tree)
    if operator in {"~", "!~"}:
        return Condition(name, operator, (), read, _pattern(value, switches.like_without_wildcard))
    try:
        values = tuple(_folded(read_value(field.kind, v)) for v in _values(name, operator, value))
    except ValueError as error:
        raise Refused(400, f"{name}: {value} is not a {field.kind} value.") from error
    if operator in RANGE_OPERATORS and None in values:
        raise Refused(400, f"{name}: {operator} needs a value.")
    return Condition(field.name, operator, values, read)


def _values(name: str, operator: str, value: str) -> list[str]:
    if operator == "IN":
        values = value.removeprefix("[").removesuffix("]").split(",")
        if len(values) > IN_VALUES_MAX:
            raise Refused(400, f"{name}: IN takes at most {IN_VALUES_MAX} values.")
        return [v.strip().strip('"') for v in values]
    if operator == "><":
        values = value.split(",")
        if len(values) != 2:
            raise Refused(400, f"{name}: >< takes two values.")
        return values
    return [value]


def _check_restrictions(entity: str, name: str, operator: str) -> None:
    if entity == "CreditAccount" and operator != "=":
        raise Refused(400, "CreditAccount accepts only the equals operator.")
    if (entity, name) == ("Item", "itemCode") and operator not in {"=", "IN"}:
        raise Refused(400, "itemCode accepts only =, or and IN.")


def _target(entity: str, name: str, tree: Tree) -> tuple[Field, Read]:
    known = ENTITIES[entity].fields
    name = "updatetime" if name == "updateTime" else name
    if name in known:
        field = known[name]

        def read(row: Row) -> Iterable[Any]:
            value = row.get(name)
            return (field.default if value is None else value,)

        return field, read
    if entity == "Item" and name == "itemCode":
        return Field("itemCode", "text"), lambda row: (
            str(row["itemID"]),
            row.get("upc") or None,
            row.get("ean") or None,
        )
    if entity == "SalePayment" and name == "timeStamp":
        return Field(name, "time"), lambda row: (row.get("timeStamp"),)
    relation, dot, below = name.partition(".")
    if not dot:
        raise Refused(400, f"{name} is not a field of {entity}.")
    if relation not in tree:
        raise Refused(400, f"{name}: load the relation {relation} to filter on it.")
    return _related_target(relation, below, name)


_CONTACT_ALIASES = {
    "phoneHome": "Home",
    "phoneWork": "Work",
    "mobile": "Mobile",
    "pager": "Pager",
    "fax": "Fax",
}


_COLLECTIONS = {"ItemShops": "ItemShop", "SaleLines": "SaleLine", "SalePayments": "SalePayment"}


def _related_target(relation: str, below: str, name: str) -> tuple[Field, Read]:
    """Filter one level deep on rows kept inside their parent."""
    if relation == "Contact":
        return Field(name, "text"), _contact_read(below, name)
    if relation in _COLLECTIONS and below in (known := ENTITIES[_COLLECTIONS[relation]].fields):
        field = known[below]
        return field, lambda row: [child.get(below, field.default) for child in row.get(relation, ())]
    raise Refused(400, f"{name} cannot be filtered on.")


def _contact_read(below: str, name: str) -> Read:
    """Read a contact by the alias names, which never occur in the output (A5)."""
    if below == "email":
        return lambda row: [e["address"] for e in _contact(row).get("Emails") or ()] or [""]
    if below in _CONTACT_ALIASES:
        use = _CONTACT_ALIASES[below]
        return lambda row: (
            [p["number"] for p in _contact(row).get("Phones") or () if p["useType"] == use] or [""]
        )
    if below in {"address1", "address2", "city", "state", "stateCode", "zip", "country", "countryCode"}:
        return lambda row: [a.get(below, "") for a in _contact(row).get("Addresses") or ()] or [""]
    raise Refused(400, f"{name} cannot be filtered on.")


def _contact(row: Row) -> Row:
    contact: Row = row.get("Contact") or {}
    return contact


@lru_cache(maxsize=256)
def _pattern(value: str, bare: str) -> re.Pattern[str]:
    if "%" not in value and bare == "prefix" and value:
        value += "%"
    parts = [re.escape(part) for part in value.split("%")]
    return re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)


def _folded(value: Any) -> Any:
    # The vendor's database compares text without case. [inferred]
    return value.casefold() if isinstance(value, str) else value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else scalar(value).strip('"')

"""What a field's value is, so that people read it as such: yes or no, a moment, an amount, another record.

The field map says it: each line names an attribute, and that has a type. A
field that no line writes is text. What a value means is not guessed from its
letters: "true" may be somebody's name.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args, get_type_hints

from tillbridge import config as configuration
from tillbridge.config import Config
from tillbridge.model.sale import Ref
from tillbridge.sync.alike import Alike, comparison
from tillbridge.sync.fieldmap import SOURCES, FieldMap, FieldMaps, compile_maps, steps_of
from tillbridge.sync.presets import preset_table
from tillbridge.sync.pullback import OPT_OUTS, slot_of

Kind = Literal["flag", "moment", "day", "amount", "number", "reference", "id", "text"]
Kinds = Mapping[str, Kind]

# What a function makes of a value, where that is something else than it was.
_MADE: Mapping[str, Kind] = {
    "money": "amount",
    "cents": "number",
    "number": "number",
    "integer": "number",
    "bool": "flag",
    "not": "flag",
    "date": "day",
    "ref": "reference",
    "key": "id",
    "text": "text",
    "join": "text",
    "choose": "text",
}

# Decimals that count something else than money.
_COUNTED = frozenset(
    {"quantity", "units", "on_hand", "sellable", "reorder_point", "reorder_level", "reporting_rate"}
)

# By the names that a describe gives these types: how their values are compared.
_TYPES: Mapping[Kind, str] = {
    "flag": "boolean",
    "moment": "datetime",
    "day": "date",
    "amount": "double",
    "number": "double",
}


def maps_of(config: Config) -> FieldMaps:
    """Return a connection's field maps, as its configuration has them."""
    return compile_maps(
        config.map,
        account=config.lightspeed.account_id,
        model=config.customers.model,
        functions=configuration.functions(config),
    )


def kinds_of(table: FieldMap, config: Config) -> dict[str, Kind]:
    """Return what the values of each field are that a table writes."""
    shipped = preset_table(config.customers.model if table.name == "customer" else table.name)
    hints = get_type_hints(SOURCES[shipped["source"]])
    found: dict[str, Kind] = {name: _kind(line, hints) for name, line in table.lines.items()}
    if table.key_field is not None:
        found[table.key_field] = "id"
    return found


def kinds_by_object(config: Config) -> dict[str, dict[str, Kind]]:
    """Return what the values of every object's fields are."""
    found: dict[str, dict[str, Kind]] = {}
    for table in maps_of(config).all():
        found.setdefault(table.object, {}).update(kinds_of(table, config))
    return found


def tables_of_people(config: Config) -> list[FieldMap]:
    """Return the field maps of customers, that of new ones first. Compiling takes its time: ask once."""
    maps = maps_of(config)
    return [table for table in (maps.customer, maps.contact, maps.person_account) if table is not None]


def kinds_of_people(tables: Iterable[FieldMap], config: Config) -> dict[str, Kind]:
    """Return what the values of customers' fields are, whatever object they live in."""
    found: dict[str, Kind] = {}
    for table in tables:
        found = {**kinds_of(table, config), **found}
    return found


def comparisons(tables: Iterable[FieldMap], config: Config, region: str | None) -> dict[str, Alike]:
    """Return how values of customers' fields are compared, by field: as the sync itself compares them.

    `region`: where numbers are dialled that do not say so.
    """
    found: dict[str, Alike] = {}
    for table in tables:
        kinds = kinds_of(table, config)
        for name, line in table.lines.items():
            kind = _TYPES.get(kinds[name], "")
            found.setdefault(name, comparison(kind, slot_of(line), region))
    return found


def opt_outs(tables: Iterable[FieldMap]) -> frozenset[str]:
    """Return the fields by which somebody says that they do not want to be called, written or mailed to."""
    lines = (line for table in tables for line in table.lines.items())
    return frozenset(name for name, line in lines if slot_of(line) in OPT_OUTS)


def ways_back(tables: Iterable[FieldMap]) -> frozenset[str]:
    """Return the fields whose edits in the CRM may go back to the till: of several of one slot, the first."""
    found: set[str] = set()
    for table in tables:
        taken: set[str | None] = {None}
        for name in table.targets:
            slot = slot_of(table.lines[name])
            found.update([name] if slot not in taken else [])
            taken.add(slot)
    return frozenset(found)


def _kind(line: str, hints: Mapping[str, Any]) -> Kind:
    source, functions = steps_of(line)
    for name in reversed(functions):
        if name in _MADE:
            return _MADE[name]
    attribute = source.partition(",")[0].strip()
    if attribute == "id":
        return "id"
    return _kind_of_type(attribute, hints.get(attribute))


def _kind_of_type(attribute: str, hint: Any) -> Kind:
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for kind in kinds:
        if kind is bool:
            return "flag"
        if kind is datetime:
            return "moment"
        if kind is date:
            return "day"
        if kind is Ref:
            return "reference"
        if kind is int:
            return "number"
        if kind is Decimal:
            return "number" if attribute in _COUNTED else "amount"
    return "text"

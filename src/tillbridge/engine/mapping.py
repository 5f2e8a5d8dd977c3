"""Map facts to the fields of one CRM object, made to fit what this org says of them and what people decided.

A replaced value is as good as a mapped one. A default never overwrites: where
the CRM's own people write too, only a record that is not there yet gets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.rows import Given, Mapped
from tillbridge.model.catalog import StockFacts
from tillbridge.model.sale import BuyerStanding, Ref
from tillbridge.model.writing import ObjectFacts
from tillbridge.sync.fieldmap import FieldMap
from tillbridge.sync.fit import fit
from tillbridge.sync.pullback import Way, writable
from tillbridge.sync.remedies import Edit, Remedy, read, replaced

# Records that carry money of their own; their details inherit the currency.
_MONEYED = frozenset({"sale", "price"})
_CURRENCY = "CurrencyIsoCode"

# The ending of objects that nobody fills but us.
_OURS = "__c"

# What a person should know of; that a standard field is not there is the org's choice.
_TOLD = frozenset({"cut", "dropped", "moved"})


def person_map(connection: Connection, object_name: str) -> FieldMap | None:
    """Return the table by which customers are written to this object; None: values do not flow there."""
    table = connection.maps["customer"]
    return table if object_name == table.object else connection.converted.get(object_name)


def ways_of(connection: Connection, object_name: str | None = None) -> Mapping[str, Way]:
    """Return the fields of the CRM that go back to the till, of customers or of whom a Lead became."""
    name = object_name or connection.maps["customer"].object
    if name not in connection.ways:
        table = person_map(connection, name)
        connection.ways[name] = writable(table, connection.objects[name]) if table else {}
    return connection.ways[name]


def mapped(
    connection: Connection,
    kind: str,
    facts: msgspec.Struct,
    *,
    creating: bool = False,
    table: FieldMap | None = None,
) -> tuple[dict[str, Mapped], str | None]:
    """Return the payload of a thing and what had to be done to make it fit, in words."""
    table = table or connection.maps[kind]
    held, decided = connection.objects[table.object], connection.journal.decided()
    plain = table(facts)
    remedies = decided.remedies.get(table.object)
    if remedies:
        plain = {
            name: replaced(value, held.fields.get(name), _of(name, remedies)) for name, value in plain.items()
        }
    payload, notes = fit(plain, held, creating=creating)
    if kind in _MONEYED and _CURRENCY in connection.objects[table.object].fields:
        # An org with several currencies wants to know which one these amounts are in.
        payload[_CURRENCY] = connection.account.currency
    if remedies:
        _put_defaults(payload, remedies, table, held)
    if edit := decided.edits and decided.edits.get((kind, _id_of(facts))):
        _put_edits(payload, edit, held)
    told = [f"{note.field}: {note.text}" for note in notes if note.what in _TOLD]
    return payload, "; ".join(told) or None


def _of(name: str, remedies: Iterable[Remedy]) -> list[Remedy]:
    return [remedy for remedy in remedies if remedy.field == name]


def _id_of(facts: Any) -> str:
    """Return by which id the till's records are known to us."""
    return f"{facts.product_id}-{facts.store_id}" if isinstance(facts, StockFacts) else facts.id


def _put_defaults(
    payload: dict[str, Mapped], remedies: Iterable[Remedy], table: FieldMap, held: ObjectFacts
) -> None:
    for remedy in remedies:
        field, before = held.fields.get(remedy.field), payload.get(remedy.field)
        if remedy.action != "default" or field is None or (before is not None and before != ""):
            continue
        value = read(remedy.given, field)
        if remedy.field in table.targets and table.object.endswith(_OURS):
            payload[remedy.field] = value
        else:
            payload[remedy.field] = Given(value, once=True, extra=remedy.field not in payload)


def _put_edits(payload: dict[str, Mapped], edit: Edit, held: ObjectFacts) -> None:
    for name, text in edit.fields.items():
        before = payload.get(name)
        if name not in held.fields or isinstance(before, Ref):
            continue
        mapped_value = before.mapped if isinstance(before, Given) else before
        if not isinstance(mapped_value, BuyerStanding) and not edit.holds(name, mapped_value):
            continue
        extra = before.extra if isinstance(before, Given) else name not in payload
        payload[name] = Given(read(text, held.fields[name]), mapped_value, extra=extra)

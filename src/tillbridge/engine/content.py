"""What a receipt should look like in the CRM, and what it looks like there: the same rows, spelled alike.

The till's side is made by the very functions that make what is sent, lookups
resolved, so a difference is never one of two ways to compute. How a receipt
came (`Loaded_As_History__c`) is left out: that is told of us, not of the sale.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.resolve import Resolver
from tillbridge.engine.sales import PARTS, Part, plan_sales
from tillbridge.model.records import Sale
from tillbridge.model.sale import BuyerStanding, Ref
from tillbridge.model.writing import FieldFacts, Value
from tillbridge.sync.certify import plain
from tillbridge.sync.fieldmap import KEY_LETTERS

SALE_KEY = "Sales_Transaction__r.Transaction_Key__c"
_OF_US = "history"  # the source of what is told of us
_CURRENCY = "CurrencyIsoCode"
_WRITER = "LastModifiedById"


class Shape(msgspec.Struct, frozen=True):
    """How one part of a receipt is written: its object, its key, and the fields that are compared."""

    part: Part
    object: str
    key_field: str
    starts: str  # what keys of this part begin with
    fields: Mapping[str, FieldFacts]

    @property
    def key_path(self) -> str:
        """Return where a row says which sale it belongs to."""
        return self.key_field if self.part == "sale" else SALE_KEY

    def spelled(self, row: Mapping[str, Value]) -> dict[str, str]:
        """Bring a row of either side into the one spelling."""
        return {name: plain(row.get(name), field) for name, field in self.fields.items()}


class Wanted(msgspec.Struct, frozen=True):
    """One row as we would have it. `digest` is what its ack would settle."""

    part: Part
    till_id: str
    sale: str
    key: str
    fields: dict[str, str]
    digest: bytes
    lookups: frozenset[str]


class Held(msgspec.Struct, frozen=True):
    """One row as the CRM shows it, or what is left of it."""

    part: Part
    key: str
    sale: str  # key of the sale
    fields: dict[str, str]
    raw: Mapping[str, str | None]
    deleted: bool
    writer: str | None  # the user who wrote it last


def shapes(connection: Connection) -> dict[Part, Shape]:
    """Return the shape of each part, as this connection's map and this org have it."""
    found: dict[Part, Shape] = {}
    for part in PARTS:
        table = connection.maps[part]
        held = connection.objects[table.object].fields
        names = [name for name, text in table.lines.items() if text != _OF_US and name in held]
        if part == "sale" and _CURRENCY in held:
            names.append(_CURRENCY)
        assert table.key_field is not None
        starts = f"{connection.account.id}-{KEY_LETTERS[part]}"
        found[part] = Shape(part, table.object, table.key_field, starts, {name: held[name] for name in names})
    return found


def wanted(
    connection: Connection, sales: Collection[Sale], looks: Mapping[Part, Shape]
) -> dict[str, list[Wanted]]:
    """Return the rows that these sales become today, by sale id; a sale that sends nothing is absent."""
    plan = plan_sales(connection, sales, history=False, seen_at=connection.clock.now())
    resolver = Resolver(connection.state, connection.maps, connection.account.id)
    resolver.look_up(plan.rows)
    found: dict[str, list[Wanted]] = {}
    for row in plan.rows:
        standing = resolver.resolve(row)
        part: Part = row.kind  # type: ignore[assignment]  # plan_sales makes these three
        shape = looks[part]
        sale = row.sale or row.till_id
        found.setdefault(sale, []).append(
            Wanted(
                part=part,
                till_id=row.till_id,
                sale=sale,
                key=str(row.payload[shape.key_field]),
                fields=shape.spelled(standing.payload),
                digest=standing.digest,
                lookups=frozenset(
                    name for name, value in row.payload.items() if type(value) in {Ref, BuyerStanding}
                ),
            )
        )
    return found


def held_on(
    connection: Connection, shape: Shape, more: Collection[str], first: date, last: date
) -> Iterator[Held]:
    """Read what the CRM holds of one part on these business days."""
    fields = [*shape.fields, *more, shape.key_path]
    rows = connection.questions.rows_of_days(shape.object, shape.key_field, shape.starts, fields, first, last)
    return _held(shape, rows)


def held_of(
    connection: Connection,
    looks: Mapping[Part, Shape],
    keys: Collection[str],
    more: Mapping[str, Collection[str]],
) -> dict[str, list[Held]]:
    """Read all that the CRM holds, or has left, of these sales, by sale key; `more` fields by part."""
    found: dict[str, list[Held]] = {}
    for shape in looks.values():
        names = [*shape.fields, shape.key_field, _WRITER, *more.get(shape.part, ())]
        rows = connection.questions.rows_or_remains(shape.object, shape.key_path, keys, names)
        for row in _held(shape, rows):
            found.setdefault(row.sale, []).append(row)
    return found


def _held(shape: Shape, rows: Iterable[Mapping[str, str | None]]) -> Iterator[Held]:
    for row in rows:
        yield Held(
            part=shape.part,
            key=row.get(shape.key_field) or "",
            sale=row.get(shape.key_path) or "",
            fields=shape.spelled(row),
            raw=row,
            deleted=row.get("IsDeleted") == "true",
            writer=row.get(_WRITER),
        )

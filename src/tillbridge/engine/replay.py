"""Show what a receipt would become from the payload that was kept, and what Salesforce holds; or send it.

Looking uses the kept payload, of now or of a moment in the past, and the field
map of now or of when the receipt was last sent. What a reader would get wrong:
sending does not. It reads the till again and goes through the one pipeline, so
that nothing stale is ever written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from tillbridge.engine import mapbook
from tillbridge.engine.connection import Connection
from tillbridge.engine.content import Held, Shape, Wanted, held_of, shapes, wanted
from tillbridge.engine.sales import Part, why_left_out
from tillbridge.engine.sync import force
from tillbridge.engine.writer import Delivery
from tillbridge.model.errors import SyncError
from tillbridge.model.records import Kind, Sale
from tillbridge.sync.fieldmap import key

When = Literal["then", "now"]


class NothingKept(SyncError):
    """There is no payload, or no map, of that receipt and moment."""


class FieldRow(msgspec.Struct, frozen=True):
    """One field of one row of a receipt. None: that side has no such row."""

    row: str  # our key of the row
    object: str
    field: str
    would_send: str | None
    holds: str | None
    differs: bool


class Preview(msgspec.Struct, frozen=True):
    """What would be sent, beside what Salesforce holds, field by field."""

    sale: str
    key: str
    seen_at: datetime  # since when the till showed the payload that is used, our clock
    mapping: When
    same_map: bool  # the map that is used is the one in force now
    left_out: str | None  # why it would not be sent at all
    in_crm: bool
    fields: list[FieldRow]

    @property
    def differences(self) -> list[FieldRow]:
        """Return only what differs."""
        return [row for row in self.fields if row.differs]


def preview(
    connection: Connection,
    sale_id: str,
    *,
    mapping: When = "now",
    at: datetime | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Preview:
    """Compare the kept payload of a sale, as mapped now or then, with what Salesforce holds. Writes nothing.

    `at` takes the payload that was the newest at that moment and, with mapping
    "then", the map that was in force; without it, "then" is when the receipt was
    last written. `functions` are a person's own, which the map may name. Raises
    NothingKept.
    """
    kept = connection.raw.sales([sale_id], at.timestamp() if at else None).get(sale_id)
    if kept is None:
        raise NothingKept(_nothing(connection, sale_id, at))
    sale, seen_at = kept
    used = connection if mapping == "now" else _then(connection, sale_id, at, functions or {})
    looks = shapes(used)
    whole = key(connection.account.id, Kind.SALE, sale_id)
    held = held_of(used, looks, [whole], {}).get(whole, [])
    live = {row.key: row for row in held if not row.deleted}
    left_out = why_left_out(used, sale)
    return Preview(
        sale=sale_id,
        key=whole,
        seen_at=datetime.fromtimestamp(seen_at, UTC),
        mapping=mapping,
        same_map=mapbook.fingerprint(mapbook.rules_of(used))
        == mapbook.fingerprint(mapbook.rules_of(connection)),
        left_out=left_out[1] if left_out else None,
        in_crm=whole in live,
        fields=_fields(looks, _rows(used, sale, looks), live),
    )


def replay(connection: Connection, sale_id: str) -> Delivery:
    """Read a sale from the till again and send it, changed or not; return what became of its rows."""
    return force(connection, sales=[sale_id])


def _nothing(connection: Connection, sale_id: str, at: datetime | None) -> str:
    moments = connection.raw.moments("sale", sale_id)
    if at is not None and moments:
        first = datetime.fromtimestamp(moments[0], UTC)
        return f"Nothing is kept of sale {sale_id} from before {first:%Y-%m-%d %H:%M} UTC."
    if not connection.raw.days:
        return "No payloads are kept: keep.raw_days is 0."
    return (
        f"Nothing is kept of sale {sale_id}: it was never read, or more than {connection.raw.days} days ago. "
        f"`tillbridge replay sale {sale_id}` reads it from the till and sends it."
    )


def _then(
    connection: Connection, sale_id: str, at: datetime | None, functions: Mapping[str, Callable[..., Any]]
) -> Connection:
    moment = at.timestamp() if at else connection.state.moved_at("sale", [sale_id]).get(sale_id)
    then = None if moment is None else mapbook.connection_at(connection, moment, functions)
    if then is None:
        raise NothingKept(f"It is not known any more which field map sale {sale_id} was sent with.")
    return then


def _rows(connection: Connection, sale: Sale, looks: Mapping[Part, Shape]) -> list[Wanted]:
    return wanted(connection, [sale], looks).get(sale.id, [])


def _fields(looks: Mapping[Part, Shape], want: list[Wanted], live: Mapping[str, Held]) -> list[FieldRow]:
    """Lay both sides beside each other, row by row; rows that only Salesforce holds come last."""
    found: list[FieldRow] = []
    for row in want:
        there = live.get(row.key)
        found += _row(looks[row.part].object, row.key, row.fields, there.fields if there else None)
    expected = {row.key for row in want}
    for held in live.values():
        if held.key not in expected:
            found += _row(looks[held.part].object, held.key, None, held.fields)
    return found


def _row(
    name: str, row: str, ours: Mapping[str, str] | None, theirs: Mapping[str, str] | None
) -> list[FieldRow]:
    return [
        FieldRow(
            row=row,
            object=name,
            field=field,
            would_send=None if ours is None else ours[field],
            holds=None if theirs is None else theirs[field],
            differs=ours is None or theirs is None or ours[field] != theirs[field],
        )
        for field in (ours if ours is not None else theirs or {})
    ]

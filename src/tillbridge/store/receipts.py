"""A line for every receipt that was read, to be searched and added up; it names nobody.

Tallies move with the lines in one transaction, by what each receipt added
before and adds now, so reading a sale again changes nothing. What a reader
would get wrong: only completed sales count in a tally; open, cancelled and
voided ones are lines to be found, with the figures that the till shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.state import State
from tillbridge.store.writing import add_new, add_up, parts, write

_receipt = schema.receipt
_line = schema.receipt_line
_SUMS = ("receipts", "refunds", "units", "total", "net", "refunded")
_COUNTED = "completed"

Key = tuple[str, str, str, str]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line: goods, who sold them, the line of another sale that they come back from."""

    till_id: str
    position: int
    product: str | None
    seller: str | None
    original: str | None
    units: int  # thousandths
    total: int  # hundredths, with tax
    net: int


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One sale. Money in hundredths, units in thousandths; `at` is epoch seconds."""

    till_id: str
    ticket: str
    store: str
    day: str
    at: float
    status: str
    type: str
    channel: str
    register: str | None
    customer: str | None
    seller: str | None
    units: int
    total: int
    tax: int
    net: int
    lines: tuple[Line, ...] = ()


_HEADER = [name for name in Receipt.__struct_fields__ if name != "lines"]


class Receipts:
    """The receipts of one connection."""

    def __init__(self, state: State) -> None:
        self._state = state

    def take_in(self, connection: sa.Connection, receipts: Iterable[Receipt]) -> None:
        """Keep receipts as they were just read, in the place of what was kept of them."""
        newest = {receipt.till_id: receipt for receipt in receipts}
        before = self.read(connection, newest)
        changed = [each for i, each in newest.items() if before.get(i) != each]
        if not changed:
            return
        now = self._state.now()
        self._drop_lines(connection, [each.till_id for each in changed if each.till_id in before])
        headers = [{name: getattr(r, name) for name in _HEADER} | {"read_at": now} for r in changed]
        write(connection, _receipt, headers)
        lines = [{"sale": r.till_id, **msgspec.structs.asdict(line)} for r in changed for line in r.lines]
        add_new(connection, _line, lines)
        buyers = {(r.customer, r.store) for r in changed if r.customer is not None}
        add_new(
            connection,
            schema.bought,
            [{"customer": customer, "store": store, "noted_at": now} for customer, store in sorted(buyers)],
        )
        self._move_tallies(connection, [before[r.till_id] for r in changed if r.till_id in before], changed)

    def read(self, connection: sa.Connection, ids: Collection[str]) -> dict[str, Receipt]:
        """Return what is kept of these sales."""
        lines: dict[str, list[Line]] = {}
        found: dict[str, Receipt] = {}
        columns = [_line.c[name] for name in Line.__struct_fields__]
        header = [_receipt.c[name] for name in _HEADER]
        for part in parts(ids):
            for row in connection.execute(sa.select(*header).where(_receipt.c.till_id.in_(part))):
                found[row.till_id] = Receipt(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name.
            held = sa.select(_line.c.sale, *columns).where(_line.c.sale.in_(part)).order_by(_line.c.position)
            for sale, *values in connection.execute(held):
                named = dict(zip(Line.__struct_fields__, values, strict=True))
                lines.setdefault(sale, []).append(Line(**named))
        return {
            i: msgspec.structs.replace(each, lines=tuple(lines[i])) if i in lines else each
            for i, each in found.items()
        }

    def _drop_lines(self, connection: sa.Connection, sales: Collection[str]) -> None:
        for part in parts(sales):
            connection.execute(sa.delete(_line).where(_line.c.sale.in_(part)))

    def _move_tallies(
        self, connection: sa.Connection, before: Collection[Receipt], now: Collection[Receipt]
    ) -> None:
        moved: dict[Key, list[int]] = {}
        for sign, receipts in ((-1, before), (1, now)):
            for receipt in receipts:
                for key, figures in figures_of(receipt):
                    held = moved.setdefault(key, [0] * len(_SUMS))
                    for at, figure in enumerate(figures):
                        held[at] += sign * figure
        rows: list[dict[str, Any]] = [
            {
                **dict(zip(("scope", "store", "period", "name"), key, strict=True)),
                **dict(zip(_SUMS, sums, strict=True)),
            }
            for key, sums in sorted(moved.items())
            if any(sums)
        ]
        add_up(connection, schema.tally, rows, _SUMS)


def figures_of(receipt: Receipt) -> Iterator[tuple[Key, tuple[int, ...]]]:
    """Yield what a receipt adds to which tally, in the order of the tally's columns."""
    if receipt.status != _COUNTED:
        return
    store, day, month = receipt.store, receipt.day, receipt.day[:7]
    is_refund = int(receipt.type == "Refund")
    back = sum(_back(line) for line in receipt.lines)
    yield (
        ("store", store, day, ""),
        (1, is_refund, receipt.units, receipt.total, receipt.net, back),
    )
    if receipt.seller is not None:
        for key in _of_seller(store, day, month, receipt.seller):
            yield key, (1, is_refund, 0, 0, 0, 0)
    for line in receipt.lines:
        sums = (line.units, line.total, line.net, _back(line))
        if seller := line.seller or receipt.seller:
            for key in _of_seller(store, day, month, seller):
                yield key, (0, 0, *sums)
        if line.product is not None:
            for key in _of_product(store, day, month, line.product):
                yield key, (1, is_refund, *sums)


def _of_seller(store: str, day: str, month: str, seller: str) -> tuple[Key, ...]:
    return ("seller", store, day, seller), ("seller month", store, month, seller)


def _of_product(store: str, day: str, month: str, product: str) -> tuple[Key, ...]:
    return (
        ("product day", store, day, product),
        ("product", store, month, product),
        ("product", "", month, product),
    )


def _back(line: Line) -> int:
    """Return what of a line's money went back to the buyer."""
    return -line.total if line.units < 0 and line.total < 0 else 0

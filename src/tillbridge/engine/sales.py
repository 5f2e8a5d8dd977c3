"""Sales: which take part, and the rows that each becomes.

A sale is sent whole: header, lines and payments. Rows that the till no longer
shows (a payment taken back, a line deleted) stay in the CRM at 0, because a
complete read of a sale is the one place where absence tells something.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.mapping import mapped
from tillbridge.engine.rows import Row
from tillbridge.model.money import ZERO
from tillbridge.model.records import Payment, Sale, SaleLine, SaleState
from tillbridge.model.sale import (
    LineFacts,
    PaymentFacts,
    SaleFacts,
    channel,
    lands,
    line_facts,
    payment_facts,
    sale_facts,
)
from tillbridge.model.times import business_date
from tillbridge.store.state import Known, Settled

# A sale that the poll meets for the first time so long after its completion is history, not news:
# nobody wants a thank-you mail for it.
HISTORY_AFTER = timedelta(days=7)

# What a sale is made of, parents first.
Part = Literal["sale", "line", "payment"]
PARTS: tuple[Part, ...] = ("sale", "line", "payment")

_NOT_LANDING = {
    SaleState.OPEN: ("open", "it is not completed in the till yet"),
    SaleState.CANCELLED: ("left_out", "it was cancelled in the till before it was completed"),
}


class SalePlan(msgspec.Struct):
    """What a page of sales becomes: rows to send, and standings of those that send nothing."""

    rows: list[Row]
    settled: list[Settled]


def plan_sales(
    connection: Connection,
    sales: Collection[Sale],
    *,
    history: bool,
    seen_at: datetime,
    parts: Collection[Part] = PARTS,
) -> SalePlan:
    """Make the rows of these sales, or only some `parts` of them.

    `history`: they come with a historic load; `seen_at`: the till's time.
    """
    known = connection.state.known("sale", [sale.id for sale in sales])
    children = _by_sale(connection.state.children(known).values()) if known else {}
    plan = SalePlan([], [])
    for sale in sales:
        why = why_left_out(connection, sale)
        before = known.get(sale.id)
        if why is not None and (before is None or before.crm_id is None):
            state, reason = why
            plan.settled.append(
                Settled(kind="sale", till_id=sale.id, state=state, reason=reason, till_stamp=stamp(sale))
            )
        elif lands(sale):
            whole = _with_retired(sale, children[sale.id]) if sale.id in children else sale
            is_history = _is_history(sale, before, history=history, seen_at=seen_at)
            plan.rows += _rows(connection, whole, parts, history=is_history)
    return plan


def _by_sale(children: Iterable[Known]) -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = {}
    for child in children:
        assert child.parent is not None
        found.setdefault(child.parent, []).append(child)
    return found


def why_left_out(connection: Connection, sale: Sale) -> tuple[str, str] | None:
    """Return (state, reason) of a sale that does not enter the CRM; None when it does."""
    if not lands(sale):
        return _NOT_LANDING[sale.state]
    settings = connection.settings
    store = connection.around.stores.get(sale.store_id)
    if settings.stores and sale.store_id not in settings.stores:
        return "left_out", "its store does not take part (sales.stores)"
    if settings.registers and sale.register_id not in settings.registers:
        return "left_out", "its register does not take part (sales.registers)"
    if settings.channels:
        register = connection.around.registers.get(sale.register_id or "")
        if channel(sale, register) not in settings.channels:
            return "left_out", "its channel does not take part (sales.channels)"
    if settings.since:
        zone = store.time_zone if store else "UTC"
        day = business_date(sale.completed_at or sale.created_at, zone, settings.day_starts_at)
        if day < settings.since:
            return "left_out", f"it is older than {settings.since} (sales.since)"
    return None


def stamp(sale: Sale) -> float:
    """Return the till's own change stamp of a sale as epoch seconds."""
    return sale.changed_at.timestamp()


def _is_history(sale: Sale, before: Known | None, *, history: bool, seen_at: datetime) -> bool:
    """Say whether nobody is to be thanked for this sale; said once, it stays."""
    if before is not None and before.history is not None:
        return before.history
    return history or seen_at - (sale.completed_at or sale.created_at) > HISTORY_AFTER


def _rows(connection: Connection, sale: Sale, parts: Collection[Part], *, history: bool) -> list[Row]:
    """Map a sale's facts to its rows: the header first."""
    around = connection.around
    rows = []
    if "sale" in parts:
        header = _row(connection, "sale", sale_facts(sale, around, history=history, alone=True))
        header.till_stamp, header.history = stamp(sale), history
        rows.append(header)
    if "line" in parts:
        rows += [_row(connection, "line", line, sale.id) for line in line_facts(sale, around)]
    if "payment" in parts:
        rows += [_row(connection, "payment", payment, sale.id) for payment in payment_facts(sale, around)]
    return rows


def _row(
    connection: Connection, part: Part, facts: SaleFacts | LineFacts | PaymentFacts, sale: str | None = None
) -> Row:
    table = connection.maps[part]
    return Row(
        kind=part,
        till_id=facts.id,
        object=table.object,
        payload=mapped(connection, part, facts)[0],
        key_field=table.key_field,
        sale=sale,
    )


def _with_retired(sale: Sale, children: Collection[Known]) -> Sale:
    """Put back, at 0, what the CRM holds of a sale and the till no longer counts."""
    lines = _gone(children, "line", (line.id for line in sale.lines))
    shown = [payment.id for payment in sale.payments if not payment.archived]
    gone = set(_gone(children, "payment", shown)) if sale.state is SaleState.COMPLETED else set()
    if not lines and not gone:
        return sale
    kept = tuple(p for p in sale.payments if p.id not in gone)
    named = {p.id: p for p in sale.payments}
    return msgspec.structs.replace(
        sale,
        lines=(*sale.lines, *map(_retired_line, lines)),
        payments=(*kept, *(_retired_payment(i, named.get(i)) for i in sorted(gone))),
    )


def _gone(children: Collection[Known], part: Part, shown: Iterable[str]) -> list[str]:
    return sorted({child.till_id for child in children if child.kind == part}.difference(shown))


def _retired_line(line_id: str) -> SaleLine:
    return SaleLine(
        id=line_id,
        description="Removed in the till",
        quantity=ZERO,
        unit_price=ZERO,
        subtotal=ZERO,
        discount=ZERO,
        tax1=ZERO,
        tax2=ZERO,
        total=ZERO,
    )


def _retired_payment(payment_id: str, last_seen: Payment | None) -> Payment:
    if last_seen is not None:
        return msgspec.structs.replace(last_seen, amount=ZERO, tip=ZERO, archived=False)
    return Payment(id=payment_id, amount=ZERO, tip=ZERO, tender="Removed in the till", tender_type="other")

"""Sales: which take part, and the rows that each becomes.

A sale is sent whole: header, lines and payments. Rows that the till no longer
shows (a payment taken back, a line deleted) stay in the CRM at 0, because a
complete read of a sale is the one place where absence tells something.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.mapping import mapped
from tillbridge.engine.rows import Row
from tillbridge.model.money import ZERO
from tillbridge.model.records import Payment, Sale, SaleLine, SaleState
from tillbridge.model.sale import SaleFacts, channel, lands, sale_facts
from tillbridge.model.times import business_date
from tillbridge.store.state import Known, Settled

# A sale that the poll meets for the first time so long after its completion is history, not news:
# nobody wants a thank-you mail for it.
HISTORY_AFTER = timedelta(days=7)

_NOT_LANDING = {
    SaleState.OPEN: ("open", "it is not completed in the till yet"),
    SaleState.CANCELLED: ("left_out", "it was cancelled in the till before it was completed"),
}


class SalePlan(msgspec.Struct):
    """What a page of sales becomes: rows to send, and standings of those that send nothing."""

    rows: list[Row]
    settled: list[Settled]


def plan_sales(
    connection: Connection, sales: Collection[Sale], *, history: bool, seen_at: datetime
) -> SalePlan:
    """Make the rows of these sales. `history`: they come with a historic load; `seen_at`: the till's time."""
    known = connection.state.known("sale", [sale.id for sale in sales])
    children = connection.state.children(known) if known else {}
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
            plan.rows += _rows(connection, sale, before, children, history=history, seen_at=seen_at)
    return plan


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


def _rows(
    connection: Connection,
    sale: Sale,
    before: Known | None,
    children: Mapping[tuple[str, str], Known],
    *,
    history: bool,
    seen_at: datetime,
) -> list[Row]:
    if before is not None and before.history is not None:
        history = before.history
    elif not history:
        history = seen_at - (sale.completed_at or sale.created_at) > HISTORY_AFTER
    whole = _with_retired(sale, children) if children else sale
    return fact_rows(connection, sale_facts(whole, connection.around, history=history), stamp(sale))


def fact_rows(connection: Connection, facts: SaleFacts, till_stamp: float | None = None) -> list[Row]:
    """Map a sale's facts to its rows: the header first."""
    maps = connection.maps
    sale_map, line_map, payment_map = maps["sale"], maps["line"], maps["payment"]
    rows = [
        Row(
            kind="sale",
            till_id=facts.id,
            object=sale_map.object,
            payload=mapped(connection, "sale", facts)[0],
            key_field=sale_map.key_field,
            till_stamp=till_stamp,
            history=facts.history,
        )
    ]
    rows += [
        Row(
            kind="line",
            till_id=line.id,
            object=line_map.object,
            payload=mapped(connection, "line", line)[0],
            key_field=line_map.key_field,
            sale=facts.id,
        )
        for line in facts.lines
    ]
    rows += [
        Row(
            kind="payment",
            till_id=payment.id,
            object=payment_map.object,
            payload=mapped(connection, "payment", payment)[0],
            key_field=payment_map.key_field,
            sale=facts.id,
        )
        for payment in facts.payments
    ]
    return rows


def _with_retired(sale: Sale, children: Mapping[tuple[str, str], Known]) -> Sale:
    """Put back, at 0, what the CRM holds of a sale and the till no longer counts."""
    lines = _gone(children, "line", sale.id, (line.id for line in sale.lines))
    shown = [payment.id for payment in sale.payments if not payment.archived]
    gone = set(_gone(children, "payment", sale.id, shown)) if sale.state is SaleState.COMPLETED else set()
    if not lines and not gone:
        return sale
    kept = tuple(p for p in sale.payments if p.id not in gone)
    named = {p.id: p for p in sale.payments}
    return msgspec.structs.replace(
        sale,
        lines=(*sale.lines, *map(_retired_line, lines)),
        payments=(*kept, *(_retired_payment(i, named.get(i)) for i in sorted(gone))),
    )


def _gone(
    children: Mapping[tuple[str, str], Known], kind: str, sale_id: str, shown: Iterable[str]
) -> list[str]:
    held = {i for (k, i), known in children.items() if k == kind and known.parent == sale_id}
    return sorted(held.difference(shown))


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

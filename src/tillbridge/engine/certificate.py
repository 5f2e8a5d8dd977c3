"""Prove that both systems agree: the till is read again, the CRM adds up by itself, our memory is not asked.

Only where a figure of a store and day differs are single receipts compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.sales import why_left_out
from tillbridge.model.answers import CrmTotals
from tillbridge.model.reading import Query
from tillbridge.model.sale import SaleFacts, sale_facts
from tillbridge.sync.certify import (
    Cell,
    Difference,
    Receipt,
    ReceiptDifference,
    Totals,
    add_up,
    compare,
    explain,
    receipt_of,
)

# An aggregate query answers at most 2,000 groups. A store's day has seldom more than eight (by type and
# status, or by tender), so half of them leave room to spare; where they do not, the range is halved.
_GROUPS_MAX = 1_000
_GROUPS_A_DAY = 8

# A store's business day may begin and end on other UTC days: zones reach from -12 to +14 hours.
_ZONES = timedelta(hours=38)

_FIELDS = (
    "Currency_Code__c",
    "Type__c",
    "Status__c",
    "Total__c",
    "Tax__c",
    "Discount__c",
    "Net_Sales__c",
    "Business_Date__c",
    "Store_Code__c",
)


class Certificate(msgspec.Struct, frozen=True):
    """What was compared, and what differs. No differences: both systems agree to the cent."""

    first: date | None
    last: date | None
    till: dict[Cell, Totals]
    crm: dict[Cell, Totals]
    differences: list[Difference]
    receipts: list[ReceiptDifference]

    @property
    def agrees(self) -> bool:
        """Say whether both systems show the same."""
        return not self.differences


def certify(connection: Connection, first: date | None = None, last: date | None = None) -> Certificate:
    """Compare each store, business day and currency, `first` and `last` included; None: all there is."""
    ours: dict[Cell, Totals] = {}
    bar = connection.progress.bar("Sales read again from the till")
    for facts in _till_sales(connection, first, last, bar.advance):
        receipt = receipt_of(facts, connection.maps["sale"].key_of(facts))
        before = ours.get(receipt.cell)
        ours[receipt.cell] = receipt.totals if before is None else before + receipt.totals
    bar.close()
    theirs = _crm_totals(connection, first, last)
    differences = compare(ours, theirs)
    receipts = _receipts(connection, differences) if differences else []
    days = sorted({cell.business_date for cell in ours.keys() | theirs.keys()})
    return Certificate(
        first or (days[0] if days else None),
        last or (days[-1] if days else None),
        ours,
        theirs,
        differences,
        receipts,
    )


def _till_sales(
    connection: Connection,
    first: date | None,
    last: date | None,
    seen: Callable[[int], None] = lambda _: None,
) -> Iterator[SaleFacts]:
    """Read the till's completed and voided sales of these business days again."""
    if connection.settings.since is not None:
        first = max(first or connection.settings.since, connection.settings.since)
    query = Query(
        since=_midnight(first) - _ZONES if first else None,
        until=_midnight(last) + timedelta(days=1) + _ZONES if last else None,
        by="completed",
    )
    for page in connection.till.sales(query if first or last else Query()):
        seen(len(page.rows))
        for sale in page.rows:
            if why_left_out(connection, sale) is not None:
                continue
            facts = sale_facts(sale, connection.around)
            day = facts.business_date
            if (first is None or day >= first) and (last is None or day <= last):
                yield facts


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _crm_totals(connection: Connection, first: date | None, last: date | None) -> dict[Cell, Totals]:
    prefix = connection.account.id
    span = connection.questions.days(prefix)
    if span is None:
        return {}
    start, end = max(span[0], first or span[0]), min(span[1], last or span[1])
    # A day has no more groups than sales; twice the average leaves room for Saturdays.
    days = (span[1] - span[0]).days + 1
    groups_a_day = min(_GROUPS_A_DAY * len(connection.around.stores), 2 * span[2] // days + 1)
    step = max(1, _GROUPS_MAX // groups_a_day)
    cells: list[tuple[Cell, Totals]] = []
    while start <= end:
        until = min(end, start + timedelta(days=step - 1))
        cells += _cells(connection.questions.totals(start, until, prefix))
        start = until + timedelta(days=1)
    return add_up(cells)


def _cells(totals: CrmTotals) -> Iterator[tuple[Cell, Totals]]:
    for row in totals.sales:
        figures = Totals(
            sales=row.count,
            voided=row.count if row.status == "Voided" else 0,
            total=row.total,
            tax=row.tax,
            discount=row.discount,
            net_sales=row.net,
            refunds=row.total if row.type == "Refund" else Decimal(0),
        )
        yield Cell(row.store, row.day, row.currency), figures
    for tender in totals.tenders:
        cell = Cell(tender.store, tender.day, tender.currency)
        yield cell, Totals(payments={tender.tender: tender.amount})


def _receipts(connection: Connection, differences: Sequence[Difference]) -> list[ReceiptDifference]:
    """Compare single receipts where totals differ."""
    cells = {difference.cell for difference in differences}
    days = sorted({cell.business_date for cell in cells})
    spots = {(cell.store_code, cell.business_date) for cell in cells}
    ours = [
        receipt_of(facts, connection.maps["sale"].key_of(facts))
        for first, last in _runs(days)
        for facts in _till_sales(connection, first, last)
        if (facts.store_code, facts.business_date) in spots
    ]
    theirs = [receipt for store, day in sorted(spots) for receipt in _crm_receipts(connection, store, day)]
    return explain(ours, theirs)


def _runs(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Join neighbouring days into ranges, so that the till is asked once for each."""
    start = before = days[0]
    for day in days[1:]:
        if day - before > timedelta(days=3):
            yield start, before
            start = day
        before = day
    yield start, before


def _crm_receipts(connection: Connection, store: str, day: date) -> Iterator[Receipt]:
    prefix = connection.account.id
    payments = connection.questions.payments_of_day(store, day, prefix)
    for key, row in connection.questions.sales_of_day(store, day, prefix, _FIELDS).items():
        total = Decimal(str(row["Total__c"] or 0))
        yield Receipt(
            key,
            Cell(store, day, str(row["Currency_Code__c"])),
            Totals(
                sales=1,
                voided=int(row["Status__c"] == "Voided"),
                total=total,
                tax=Decimal(str(row["Tax__c"] or 0)),
                discount=Decimal(str(row["Discount__c"] or 0)),
                net_sales=Decimal(str(row["Net_Sales__c"] or 0)),
                refunds=total if row["Type__c"] == "Refund" else Decimal(0),
                payments=payments.get(key, {}),
            ),
        )

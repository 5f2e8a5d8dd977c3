"""The figures of both sides: what the till shows is added up here, the CRM adds up by itself.

Sums come per store, business day and currency; content as hashes of every mapped
field, some weeks' worth at a time, so that a long range needs no more memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.content import Held, Shape, held_on, wanted
from tillbridge.engine.mapping import mapped
from tillbridge.engine.rows import Given
from tillbridge.engine.sales import Part, why_left_out
from tillbridge.model.answers import CrmTotals
from tillbridge.model.reading import Query
from tillbridge.model.records import Sale
from tillbridge.model.sale import PaymentFacts, SaleFacts, sale_facts
from tillbridge.sync.certify import (
    Cell,
    Receipt,
    Totals,
    add_up,
    alike,
    content_hash,
    receipt_of,
)

# An aggregate query answers at most 2,000 groups. A store's day has seldom more than eight (by type and
# status, or by tender), so half of them leave room to spare; where they do not, the range is halved.
_GROUPS_MAX = 1_000

_GROUPS_A_DAY = 8

# A store's business day may begin and end on other UTC days: zones reach from -12 to +14 hours.
_ZONES = timedelta(hours=38)

ONE_DAY = timedelta(days=1)

# Content is compared so many sales at a time: some 30 MB of figures and hashes.
_WINDOW_SALES = 25_000

# What SOQL takes for "always": its dates reach from 1700 to 4000 (SOQL reference, date formats).
_FIRST_DAY, _LAST_DAY = date(1700, 1, 1), date(3999, 12, 31)

FIELDS = (
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

PAID = ("Tender__c", "Amount__c")

Looks = Mapping[Part, Shape]

Span = tuple[date, date, int]  # first and last day that the CRM holds, and how many sales


def till_pages(
    connection: Connection,
    first: date | None,
    last: date | None,
    seen: Callable[[int], None],
) -> Iterator[list[tuple[Sale, SaleFacts]]]:
    """Read the till's completed and voided sales of these business days again, page by page."""
    if connection.settings.since is not None:
        first = max(first or connection.settings.since, connection.settings.since)
    query = Query(
        since=_midnight(first) - _ZONES if first else None,
        until=_midnight(last) + ONE_DAY + _ZONES if last else None,
        by="completed",
    )
    for page in connection.till.sales(query if first or last else Query()):
        seen(len(page.rows))
        rows = []
        for sale in page.rows:
            if why_left_out(connection, sale) is None:
                facts = sale_facts(sale, connection.around)
                day = facts.business_date
                if (first is None or day >= first) and (last is None or day <= last):
                    rows.append((sale, facts))
        yield rows


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def as_receipt(connection: Connection, facts: SaleFacts) -> Receipt:
    """Bring a sale of the till into figures, under the names that the map and people's decisions give them.

    Sums are the till's own: a map that alters money is a difference.
    """
    store = _named_as(connection, "sale", "Store_Code__c", facts, facts.store_code)
    paid = [(_named_as(connection, "payment", "Tender__c", p, p.tender), p.amount) for p in facts.payments]
    return receipt_of(facts, connection.maps["sale"].key_of(facts), store_code=store, payments=paid)


def take_in(
    connection: Connection,
    page: Sequence[tuple[Sale, SaleFacts]],
    cells: dict[Cell, Totals],
    called: dict[str, str],
) -> dict[str, Receipt]:
    """Add a page's sales up and return them by id; note in `called` which store is meant by each code."""
    receipts = {}
    for sale, facts in page:
        receipt = receipts[sale.id] = as_receipt(connection, facts)
        _add(cells, receipt.cell, msgspec.structs.replace(receipt.totals, payments={}))
        called[receipt.cell.store_code] = facts.store_code
        for payment in facts.payments:
            # A payment says by itself where it belongs, and Salesforce adds up by that.
            store = _named_as(connection, "payment", "Store_Code__c", payment, payment.store_code)
            tender = _named_as(connection, "payment", "Tender__c", payment, payment.tender)
            cell = msgspec.structs.replace(receipt.cell, store_code=store)
            _add(cells, cell, Totals(payments={tender: payment.amount}))
            called[store] = facts.store_code
    return receipts


def _named_as(
    connection: Connection, part: Part, field: str, facts: SaleFacts | PaymentFacts, plain: str
) -> str:
    """Return what a store or tender is called where the CRM adds up by it."""
    table, decided = connection.maps[part], connection.journal.decided()
    if (
        field not in table.overridden
        and table.object not in decided.remedies
        and (part, facts.id) not in decided.edits
    ):
        return plain
    payload, _ = mapped(connection, part, facts)
    if field not in payload:
        return plain
    value = payload[field]
    return str((value.value if isinstance(value, Given) else value) or "")


def _add(cells: dict[Cell, Totals], cell: Cell, totals: Totals) -> None:
    before = cells.get(cell)
    cells[cell] = totals if before is None else before + totals


def span_of(connection: Connection, first: date | None, last: date | None) -> Span | None:
    """Return which days the CRM holds; a single day need not be asked for."""
    if first is not None and first == last:
        return first, first, 0
    return connection.questions.days(connection.account.id)


def crm_totals(
    connection: Connection, span: Span | None, first: date | None, last: date | None
) -> dict[Cell, Totals]:
    """Let the CRM add up its receipts by itself."""
    prefix = connection.account.id
    if span is None:
        return {}
    start, end = max(span[0], first or span[0]), min(span[1], last or span[1])
    # A day has no more groups than sales; twice the average leaves room for Saturdays.
    days = (span[1] - span[0]).days + 1
    groups_a_day = min(_GROUPS_A_DAY * len(connection.around.stores), 2 * span[2] // days + 1)
    step = max(1, _GROUPS_MAX // groups_a_day)
    cells: list[tuple[Cell, Totals]] = []
    bar = connection.progress.bar("Days added up by Salesforce", max(0, (end - start).days + 1))
    while start <= end:
        until = min(end, start + timedelta(days=step - 1))
        bar.advance((until - start).days + 1)
        cells += _cells(connection.questions.totals(start, until, prefix))
        start = until + ONE_DAY
    bar.close()
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


Window = tuple[date | None, date | None]


def windows_of(first: date | None, last: date | None, span: Span | None) -> Iterator[Window]:
    """Cut a range into windows of about so many sales; what lies outside the CRM's days goes along."""
    if span is None:
        yield first, last
        return
    days = (span[1] - span[0]).days + 1
    step = timedelta(days=max(1, _WINDOW_SALES * days // max(1, span[2])))
    start = first or span[0]
    if first is None:
        yield None, start - ONE_DAY
    while last is None or start <= last:
        until = start + step - ONE_DAY
        if last is None and until >= span[1]:
            yield start, None
            return
        yield start, until if last is None else min(until, last)
        start = until + ONE_DAY


def runs_of(days: Sequence[date]) -> Iterator[Window]:
    """Join neighbouring days into ranges, so that the till is asked once for each."""
    start = before = days[0]
    for day in days[1:]:
        if day - before > timedelta(days=3):
            yield start, before
            start = day
        before = day
    yield start, before


def compare_content(
    connection: Connection,
    looks: Looks,
    window: Window,
    cells: dict[Cell, Totals],
    called: dict[str, str],
    seen: Callable[[int], None],
) -> list[str]:
    """Compare every receipt of some days by its hash; add the till's sums to `cells`; return who differs."""
    ours: dict[str, Receipt] = {}
    content: Counter[str] = Counter()
    for page in till_pages(connection, *window, seen):
        receipts = take_in(connection, page, cells, called)
        ours.update((receipt.key, receipt) for receipt in receipts.values())
        for sale, rows in wanted(connection, [sale for sale, _ in page], looks).items():
            content[receipts[sale].key] += sum(content_hash(row.key, row.fields) for row in rows)
    theirs, shown = _crm_content(connection, looks, window)
    return [
        key
        for key in ours.keys() | theirs.keys()
        if key not in ours
        or key not in theirs
        or content[key] != shown[key]
        or not alike(ours[key], theirs[key])
    ]


def _crm_content(
    connection: Connection, looks: Looks, window: Window
) -> tuple[dict[str, Receipt], Counter[str]]:
    """Return the CRM's receipts of some days in figures, and the hash of their content, by key."""
    first, last = window[0] or _FIRST_DAY, window[1] or _LAST_DAY
    content: Counter[str] = Counter()
    headers: list[Held] = []
    payments: dict[str, list[Held]] = {}
    for part, shape in looks.items():
        more = {"sale": FIELDS, "line": (), "payment": PAID}[part]
        for row in held_on(connection, shape, more, first, last):
            content[row.sale] += content_hash(row.key, row.fields)
            if part == "sale":
                headers.append(row)
            elif part == "payment":
                payments.setdefault(row.sale, []).append(row)
    return {row.key: shown_by_crm(row, payments.get(row.key, ())) for row in headers}, content


def shown_by_crm(header: Held, payments: Collection[Held]) -> Receipt:
    """Bring a receipt of the CRM into figures."""
    row = header.raw
    total = _decimal(row["Total__c"])
    paid: dict[str, Decimal] = {}
    for payment in payments:
        tender = payment.raw["Tender__c"] or ""
        paid[tender] = paid.get(tender, Decimal(0)) + _decimal(payment.raw["Amount__c"])
    day = date.fromisoformat((row["Business_Date__c"] or "0001-01-01")[:10])
    return Receipt(
        header.key,
        Cell(row["Store_Code__c"] or "", day, row["Currency_Code__c"] or ""),
        Totals(
            sales=1,
            voided=int(row["Status__c"] == "Voided"),
            total=total,
            tax=_decimal(row["Tax__c"]),
            discount=_decimal(row["Discount__c"]),
            net_sales=_decimal(row["Net_Sales__c"]),
            refunds=total if row["Type__c"] == "Refund" else Decimal(0),
            payments=paid,
        ),
    )


def _decimal(text: str | None) -> Decimal:
    return Decimal(text or 0)

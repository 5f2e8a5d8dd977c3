"""Prove that both systems agree, name the receipts that differ, and say why each does.

The till is read again and the CRM adds up by itself; our memory is asked only
what lookups should point to and, once a receipt differs, why. Two passes:

- Sums, per store, business day and currency, by aggregate queries: two calls for
  some hundred store days. Where a figure differs, that day's content is read.
- Content: every mapped field of every header, line and payment, for each day
  asked for. Three queries, a call for each 2,000 rows; above 8 pages a bulk
  query, about six calls however many rows. So a day (`daily`, `--day`) always
  has both passes for about eight calls, and a long range has sums unless its
  content is asked for.

Receipts that differ are read once more from both sides before they are named,
by key and with what is left of deleted rows: what was only on its way is gone
from the list by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from tillbridge.engine import mapbook
from tillbridge.engine.connection import Connection
from tillbridge.engine.content import Held, Shape, Wanted, held_of, held_on, shapes, wanted
from tillbridge.engine.mapping import mapped
from tillbridge.engine.rows import Given
from tillbridge.engine.sales import Part, stamp, why_left_out
from tillbridge.engine.streams import SALES, parse
from tillbridge.engine.sync import force
from tillbridge.model.answers import CrmTotals
from tillbridge.model.reading import Query
from tillbridge.model.records import Kind, Sale, SaleState
from tillbridge.model.sale import PaymentFacts, SaleFacts, sale_facts
from tillbridge.model.times import business_date
from tillbridge.store.certificates import Certificates
from tillbridge.store.days import Days, StoreDay
from tillbridge.store.state import Known
from tillbridge.store.verified import Missed, Verified
from tillbridge.sync.certify import (
    Cell,
    Difference,
    Evidence,
    FieldDifference,
    Receipt,
    ReceiptDifference,
    Totals,
    add_up,
    alike,
    compare,
    content_hash,
    explain,
    plain,
    reason_of,
    receipt_of,
    unlike,
)
from tillbridge.sync.remedies import read

# An aggregate query answers at most 2,000 groups. A store's day has seldom more than eight (by type and
# status, or by tender), so half of them leave room to spare; where they do not, the range is halved.
_GROUPS_MAX = 1_000
_GROUPS_A_DAY = 8

# A store's business day may begin and end on other UTC days: zones reach from -12 to +14 hours.
_ZONES = timedelta(hours=38)
_ONE_DAY = timedelta(days=1)

# A business day is proven so long after its end: registers that were offline send late.
_SETTLED_AFTER = timedelta(hours=1)

# A machine that was off catches up with so many days before yesterday.
_CAUGHT_UP = timedelta(days=6)

# Content is compared so many sales at a time: some 30 MB of figures and hashes.
_WINDOW_SALES = 25_000

# So many differing receipts are read again at once.
_EXPLAINED_AT_ONCE = 400

# What SOQL takes for "always": its dates reach from 1700 to 4000 (SOQL reference, date formats).
_FIRST_DAY, _LAST_DAY = date(1700, 1, 1), date(3999, 12, 31)

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
_PAID = ("Tender__c", "Amount__c")

# These are only listed: we delete nothing, what takes no part is not written, and people have the last word.
_LEFT_ALONE = frozenset({"extra", "left out", "edited"})

Looks = Mapping[Part, Shape]
Span = tuple[date, date, int]  # first and last day that the CRM holds, and how many sales


class Certificate(msgspec.Struct, frozen=True):
    """What was compared, and what differs. No differences: both systems agree to the cent.

    `content` says whether all content was compared, not only sums.
    """

    first: date | None
    last: date | None
    till: dict[Cell, Totals]
    crm: dict[Cell, Totals]
    differences: list[Difference]
    receipts: list[ReceiptDifference]
    content: bool = False
    id: int | None = None  # under which it is kept

    @property
    def agrees(self) -> bool:
        """Say whether both systems show the same."""
        return not self.differences and not self.receipts


def daily(connection: Connection, day: date, stores: Collection[str] | None = None) -> Certificate:
    """Certify one business day, sums and content, of these stores (by code) or of all."""
    return certify(connection, day, day, stores=stores)


def due(connection: Connection) -> dict[date, list[str]]:
    """Return which business days are over and not yet proven: by day, oldest first, the codes of stores."""
    if connection.state.cursor("backfill sales") not in {None, "done"}:
        return {}  # While history is being loaded, what is not there yet is no difference.
    around, proven = connection.around, Days(connection.state).proven()
    now = connection.clock.now() - _SETTLED_AFTER
    days: dict[date, list[str]] = {}
    for store in around.stores.values():
        code = around.store_code(store.id)
        last = business_date(now, store.time_zone, connection.settings.day_starts_at) - _ONE_DAY
        first = max(proven.get(code, last - _ONE_DAY) + _ONE_DAY, last - _CAUGHT_UP)
        for number in range((last - first).days + 1):
            days.setdefault(first + timedelta(days=number), []).append(code)
    return {day: sorted(days[day]) for day in sorted(days)}


def prove(connection: Connection, day: date, stores: Collection[str]) -> Certificate:
    """Certify a day that is due, and remember that it was."""
    certificate = daily(connection, day, stores)
    Days(connection.state).note_proof(stores, day, _store_days(connection, certificate))
    return certificate


def _store_days(connection: Connection, certificate: Certificate) -> dict[str, StoreDay]:
    """Return what of a day's certificate differs, by store."""
    figures = Counter(d.cell.store_code for d in certificate.differences)
    reasons: dict[str, Counter[str]] = {}
    for receipt in certificate.receipts:
        reasons.setdefault(receipt.cell.store_code, Counter())[receipt.reason or receipt.what] += 1
    return {
        store: StoreDay(
            store=store,
            day=str(certificate.first),
            certificate=certificate.id or 0,
            figures=figures[store],
            reasons=dict(reasons.get(store, {})),
            found_at=connection.state.now(),
        )
        for store in figures.keys() | reasons.keys()
    }


def certify(
    connection: Connection,
    first: date | None = None,
    last: date | None = None,
    *,
    content: bool | None = None,
    stores: Collection[str] | None = None,
) -> Certificate:
    """Compare the business days from `first` to `last`, both included; None: all there is. Keep the result.

    `stores`: only those, by code; None: all.
    `content` None: of a single day everything is compared, of more than one day sums.
    """
    if content is None:
        content = first is not None and first == last
    looks = shapes(connection)
    span = _span(connection, first, last)
    bar = connection.progress.bar("Sales read again from the till")
    ours: dict[Cell, Totals] = {}
    called: dict[str, str] = {}
    suspects: list[str] = []
    if content:
        for window in _windows(first, last, span):
            suspects += _compare_content(connection, looks, window, ours, called, bar.advance)
    else:
        for page in _till_pages(connection, first, last, bar.advance):
            _take_in(connection, page, ours, called)
    bar.close()
    theirs = _crm_totals(connection, span, first, last)
    # What a store's receipts are called in the CRM may be another code, or several.
    names = None if stores is None else {*stores, *(name for name, code in called.items() if code in stores)}
    if names is not None:
        ours, theirs = ({c: t for c, t in side.items() if c.store_code in names} for side in (ours, theirs))
    differences = compare(ours, theirs)
    if differences and not content:
        days = sorted({difference.cell.business_date for difference in differences})
        for run in _runs(days):
            suspects += _compare_content(connection, looks, run, {}, called, lambda _: None)
    receipts = list(_explained(connection, looks, list(dict.fromkeys(suspects))))
    days = sorted({cell.business_date for cell in ours.keys() | theirs.keys()})
    certificate = Certificate(
        first or (days[0] if days else None),
        last or (days[-1] if days else None),
        ours,
        theirs,
        differences,
        sorted(
            (r for r in receipts if names is None or r.cell.store_code in names),
            key=lambda receipt: (receipt.cell, len(receipt.key), receipt.key),
        ),
        content,
    )
    return _keep(connection, certificate, stores)


def repair(connection: Connection, certificate: Certificate) -> Counter[str]:
    """Send the receipts that differ once more, as the till has them now; return counts of rows.

    Rows that only Salesforce holds stay: they are for a person to judge.
    """
    prefix = shapes(connection)["sale"].starts
    ids = [r.key.removeprefix(prefix) for r in certificate.receipts if r.reason not in _LEFT_ALONE]
    _log_missed(connection, [r for r in certificate.receipts if r.missed], prefix)
    counts: Counter[str] = Counter()
    for start in range(0, len(ids), _EXPLAINED_AT_ONCE):
        counts.update(force(connection, sales=ids[start : start + _EXPLAINED_AT_ONCE]).counts)
    return counts


def _log_missed(connection: Connection, receipts: Collection[ReceiptDifference], prefix: str) -> None:
    """Enter into the diary what the feed had not told."""
    missed = [
        Missed(
            kind=Kind.SALE,
            till_id=r.key.removeprefix(prefix),
            found_by="certificate",
            what=", ".join(r.fields) or r.what,
        )
        for r in receipts
    ]
    with connection.state.begin() as c:
        Verified(connection.state).log(c, missed)


# --- as a document -------------------------------------------------------------------------------


def document(certificate: Certificate) -> dict[str, Any]:
    """Put a certificate into a document: every cell, both sides, and the receipts with their reasons."""
    cells = sorted(certificate.till.keys() | certificate.crm.keys())
    return {
        "id": certificate.id,
        "first": certificate.first,
        "last": certificate.last,
        "content": certificate.content,
        "agrees": certificate.agrees,
        "cells": [
            {
                **_named(cell),
                "till": _figures(certificate.till.get(cell)),
                "crm": _figures(certificate.crm.get(cell)),
            }
            for cell in cells
        ],
        "differences": [
            {**_named(d.cell), "measure": d.measure, "till": _told(d.till), "crm": _told(d.crm)}
            for d in certificate.differences
        ],
        "receipts": [
            {
                "key": r.key,
                **_named(r.cell),
                "what": r.what,
                "measures": list(r.measures),
                "reason": r.reason,
                "note": r.note,
                "fields": list(r.fields),
                "missed": r.missed,
            }
            for r in certificate.receipts
        ],
    }


def _named(cell: Cell) -> dict[str, Any]:
    return {"store": cell.store_code, "day": cell.business_date, "currency": cell.currency}


def _figures(totals: Totals | None) -> dict[str, Any] | None:
    if totals is None:
        return None
    figures = msgspec.structs.asdict(totals)
    payments: dict[str, Decimal] = figures.pop("payments")
    return {
        **{name: _told(figure) for name, figure in figures.items()},
        "payments": {tender: _told(amount) for tender, amount in sorted(payments.items())},
    }


def _told(figure: Decimal | int) -> str | int:
    return figure if isinstance(figure, int) else f"{figure:.2f}"


def from_document(body: Mapping[str, Any]) -> Certificate:
    """Read a certificate back from its document."""
    sides: dict[str, dict[Cell, Totals]] = {"till": {}, "crm": {}}
    for row in body["cells"]:
        for side, cells in sides.items():
            if row[side] is not None:
                cells[_cell(row)] = msgspec.convert(row[side], Totals)
    differences = [
        Difference(
            _cell(d), d["measure"], *(f if isinstance(f, int) else Decimal(f) for f in (d["till"], d["crm"]))
        )
        for d in body["differences"]
    ]
    receipts = [
        msgspec.convert({**r, "cell": _cell(r)}, ReceiptDifference, from_attributes=True)
        for r in body["receipts"]
    ]
    first, last = (date.fromisoformat(body[n]) if body[n] else None for n in ("first", "last"))
    return Certificate(
        first, last, sides["till"], sides["crm"], differences, receipts, body["content"], body["id"]
    )


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(row["store"], date.fromisoformat(row["day"]), row["currency"])


def _keep(connection: Connection, certificate: Certificate, stores: Collection[str] | None) -> Certificate:
    body = document(certificate)
    count = len(certificate.differences) + len(certificate.receipts)
    number = Certificates(connection.state).add(certificate.first, certificate.last, count, body)
    made = msgspec.structs.replace(certificate, id=number)
    if made.first is not None and made.first == made.last and made.content:
        around = connection.around
        codes = stores or {around.store_code(store.id) for store in around.stores.values()}
        Days(connection.state).note_again(codes, made.first, _store_days(connection, made))
    return made


# --- the till ------------------------------------------------------------------------------------


def _till_pages(
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
        until=_midnight(last) + _ONE_DAY + _ZONES if last else None,
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


def _receipt(connection: Connection, facts: SaleFacts) -> Receipt:
    """Bring a sale of the till into figures, under the names that the map and people's decisions give them.

    Sums are the till's own: a map that alters money is a difference.
    """
    store = _named_as(connection, "sale", "Store_Code__c", facts, facts.store_code)
    paid = [(_named_as(connection, "payment", "Tender__c", p, p.tender), p.amount) for p in facts.payments]
    return receipt_of(facts, connection.maps["sale"].key_of(facts), store_code=store, payments=paid)


def _take_in(
    connection: Connection,
    page: Sequence[tuple[Sale, SaleFacts]],
    cells: dict[Cell, Totals],
    called: dict[str, str],
) -> dict[str, Receipt]:
    """Add a page's sales up and return them by id; note in `called` which store is meant by each code."""
    receipts = {}
    for sale, facts in page:
        receipt = receipts[sale.id] = _receipt(connection, facts)
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


# --- sums in the CRM -----------------------------------------------------------------------------


def _span(connection: Connection, first: date | None, last: date | None) -> Span | None:
    """Return which days the CRM holds; a single day need not be asked for."""
    if first is not None and first == last:
        return first, first, 0
    return connection.questions.days(connection.account.id)


def _crm_totals(
    connection: Connection, span: Span | None, first: date | None, last: date | None
) -> dict[Cell, Totals]:
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
        start = until + _ONE_DAY
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


# --- content -------------------------------------------------------------------------------------

Window = tuple[date | None, date | None]


def _windows(first: date | None, last: date | None, span: Span | None) -> Iterator[Window]:
    """Cut a range into windows of about so many sales; what lies outside the CRM's days goes along."""
    if span is None:
        yield first, last
        return
    days = (span[1] - span[0]).days + 1
    step = timedelta(days=max(1, _WINDOW_SALES * days // max(1, span[2])))
    start = first or span[0]
    if first is None:
        yield None, start - _ONE_DAY
    while last is None or start <= last:
        until = start + step - _ONE_DAY
        if last is None and until >= span[1]:
            yield start, None
            return
        yield start, until if last is None else min(until, last)
        start = until + _ONE_DAY


def _runs(days: Sequence[date]) -> Iterator[Window]:
    """Join neighbouring days into ranges, so that the till is asked once for each."""
    start = before = days[0]
    for day in days[1:]:
        if day - before > timedelta(days=3):
            yield start, before
            start = day
        before = day
    yield start, before


def _compare_content(
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
    for page in _till_pages(connection, *window, seen):
        receipts = _take_in(connection, page, cells, called)
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
        more = {"sale": _FIELDS, "line": (), "payment": _PAID}[part]
        for row in held_on(connection, shape, more, first, last):
            content[row.sale] += content_hash(row.key, row.fields)
            if part == "sale":
                headers.append(row)
            elif part == "payment":
                payments.setdefault(row.sale, []).append(row)
    return {row.key: _shown(row, payments.get(row.key, ())) for row in headers}, content


def _shown(header: Held, payments: Collection[Held]) -> Receipt:
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


# --- why -----------------------------------------------------------------------------------------


class _Known(msgspec.Struct):
    """All that is known of some receipts that differ, on either side and by us, by sale id or key."""

    sales: dict[str, Sale]
    wanted: dict[str, list[Wanted]]
    held: dict[str, list[Held]]
    memory: dict[tuple[str, str], Known]
    kept: dict[str, tuple[Sale, float]]
    moved_at: dict[str, float]
    feed: datetime | None
    rules: str
    us: str


def _explained(connection: Connection, looks: Looks, keys: Sequence[str]) -> Iterator[ReceiptDifference]:
    """Read these receipts once more and say why each differs; those that do not any more are left out."""
    for start in range(0, len(keys), _EXPLAINED_AT_ONCE):
        some = keys[start : start + _EXPLAINED_AT_ONCE]
        known = _look_again(connection, looks, some)
        for key in some:
            found = _judged(connection, looks, key, known)
            if found is not None:
                yield found


def _look_again(connection: Connection, looks: Looks, keys: Sequence[str]) -> _Known:
    state, prefix = connection.state, looks["sale"].starts
    # A key that a person has made up leads to no number of the till.
    ids = [till_id for key in keys if (till_id := key.removeprefix(prefix)).isdecimal()]
    held = held_of(connection, looks, keys, {"sale": _FIELDS, "payment": _PAID})
    query = Query(ids=tuple(ids))
    sales = {sale.id: sale for page in connection.till.sales(query) for sale in page.rows} if ids else {}
    memory = {("sale", i): known for i, known in state.known("sale", ids).items()} | state.children(ids)
    return _Known(
        sales=sales,
        wanted=wanted(connection, list(sales.values()), looks),
        held=held,
        memory=memory,
        kept=connection.raw.sales(ids),
        moved_at=state.moved_at("sale", ids),
        feed=parse(state.cursor(SALES)).since,
        rules=mapbook.fingerprint(mapbook.rules_of(connection)),
        us=connection.crm.org().user_id,
    )


def _judged(connection: Connection, looks: Looks, key: str, known: _Known) -> ReceiptDifference | None:
    till_id = key.removeprefix(looks["sale"].starts)
    sale = known.sales.get(till_id)
    left_out = why_left_out(connection, sale) if sale is not None else None
    rows = known.held.get(key, [])
    live = {row.key: row for row in rows if not row.deleted}
    header = live.get(key)
    mine = _receipt(connection, sale_facts(sale, connection.around)) if sale and left_out is None else None
    yours = _shown(header, [row for row in live.values() if row.part == "payment"]) if header else None
    want = known.wanted.get(till_id, [])
    every = _unlike(looks, want, live) if mine and yours else []
    found = explain([mine] if mine else [], [yours] if yours else [])
    by_hand = _by_hand(connection, looks, want) if yours and (every or found) else {}
    fields = [f for f in every if f.crm is None or f.crm != by_hand.get((f.row, f.name))]
    if not found and (not fields or mine is None):
        return None
    shown = found[0] if found else ReceiptDifference(key, mine.cell, "content differs")  # type: ignore[union-attr]  # there is none only when fields differ
    before = [known.memory.get((row.part, row.till_id)) for row in want]
    remains = {row.key for row in rows if row.deleted}
    lookups = frozenset(name for row in want for name in row.lookups)
    own = known.memory.get(("sale", till_id))
    evidence = Evidence(
        in_till=sale is not None,
        in_crm=header is not None,
        left_out=left_out[1] if left_out else None,
        problem=_problem(connection, till_id),
        voided_in_till=sale is not None and sale.state is SaleState.VOIDED,
        voided_in_crm=header is not None and header.raw["Status__c"] == "Voided",
        seen_before=own is not None,
        feed_passed=bool(sale and known.feed and sale.changed_at <= known.feed),
        sent_same=_sent_same(want, before),
        changed=_changed(sale, own, known.kept.get(till_id)) if sale else None,
        gone=any(
            row.key not in live and (row.key in remains or (at is not None and at.crm_id is not None))
            for row, at in zip(want, before, strict=True)
        ),
        map_moved=_map_moved(connection, known, till_id),
        by_hand=bool(by_hand) and not fields,
        by_others=any(_by_others(live.get(field.row), known.us) for field in fields),
        lookups=lookups,
        lines=len(sale.lines) if sale else 0,
        fields=tuple(fields),
    )
    reason, note = reason_of(evidence)
    told = (
        fields
        or every
        or [FieldDifference(row, name, "", None, value) for (row, name), value in by_hand.items()]
    )
    names = tuple(_name(field, key) for field in told)
    missed = reason == "late" and evidence.feed_passed
    return msgspec.structs.replace(shown, reason=reason, note=note, fields=names, missed=missed)


def _unlike(looks: Looks, want: Sequence[Wanted], live: Mapping[str, Held]) -> list[FieldDifference]:
    """Compare the rows of one receipt field by field."""
    types = {part: {name: f.type for name, f in shape.fields.items()} for part, shape in looks.items()}
    found = []
    for row in want:
        there = live.get(row.key)
        found += unlike(row.key, row.fields, there.fields if there else None, types[row.part])
    expected = {row.key for row in want}
    for held in live.values():
        # A row that the till has given up stays at 0, and may be unknown to us since.
        if held.key not in expected and not _at_zero(held, types[held.part]):
            found += unlike(held.key, None, held.fields, types[held.part])
    return found


def _by_hand(connection: Connection, looks: Looks, want: Sequence[Wanted]) -> dict[tuple[str, str], str]:
    """Return what people have set for the rows of a receipt, spelled alike, by row and field."""
    found: dict[tuple[str, str], str] = {}
    for part, shape in looks.items():
        rows = {row.till_id: row for row in want if row.part == part}
        for till_id, fields in connection.journal.set_by_hand(part, rows).items():
            for name in sorted(fields.keys() & shape.fields.keys()):
                facts = shape.fields[name]
                value = plain(read(fields[name], facts), facts)
                if value == rows[till_id].fields[name]:  # Else the till has said something else since.
                    found[rows[till_id].key, name] = value
    return found


def _at_zero(row: Held, types: Mapping[str, str]) -> bool:
    return all(value in {"", "0"} for name, value in row.fields.items() if types[name] == "currency")


def _sent_same(want: Sequence[Wanted], before: Sequence[Known | None]) -> bool | None:
    """Say whether we would send what the CRM last confirmed; None where no digest tells."""
    same: list[bool | None] = []
    for row, known in zip(want, before, strict=True):
        if known is None or known.crm_id is None:
            same.append(False)
        else:
            same.append(None if known.digest is None else known.digest == row.digest)
    if False in same:
        return False
    return None if None in same or not same else True


def _changed(sale: Sale, own: Known | None, kept: tuple[Sale, float] | None) -> bool | None:
    """Say whether the till shows something else than when we sent it; None where nothing tells."""
    if own is not None and own.till_stamp is not None and stamp(sale) > own.till_stamp:
        return True
    if kept is None:
        return None
    # The stamp itself may move without anything else.
    return kept[0] != msgspec.structs.replace(sale, changed_at=kept[0].changed_at)


def _map_moved(connection: Connection, known: _Known, till_id: str) -> bool | None:
    moved_at = known.moved_at.get(till_id)
    then = None if moved_at is None else mapbook.name_at(connection.state, moved_at)
    return None if then is None else then != known.rules


def _problem(connection: Connection, till_id: str) -> str | None:
    """Return what the CRM refused of a sale, if it still does."""
    for problem in connection.journal.problems_of("sale", till_id):
        if problem.state != "resolved":
            return f"Salesforce refused its {problem.kind}: {problem.message}"
    return None


def _by_others(row: Held | None, us: str) -> bool:
    return row is not None and row.writer is not None and row.writer[:15] != us[:15]


def _name(field: FieldDifference, key: str) -> str:
    name = field.name or ("the whole row" if field.crm is None else "a row that the till does not have")
    return name if field.row == key else f"{field.row} {name}"

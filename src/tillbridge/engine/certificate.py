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
from collections.abc import Collection
from datetime import date, timedelta

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.content import shapes
from tillbridge.engine.figures import (
    ONE_DAY,
    compare_content,
    crm_totals,
    runs_of,
    span_of,
    take_in,
    till_pages,
    windows_of,
)
from tillbridge.engine.proofs import Certificate, document, from_document
from tillbridge.engine.reasons import EXPLAINED_AT_ONCE, explain_all
from tillbridge.engine.sync import force
from tillbridge.model.records import Kind
from tillbridge.model.times import business_date
from tillbridge.store.certificates import Certificates
from tillbridge.store.days import Days, StoreDay
from tillbridge.store.verified import Missed, Verified
from tillbridge.sync.certify import (
    Cell,
    ReceiptDifference,
    Totals,
    compare,
)

__all__ = ["Certificate", "certify", "daily", "document", "due", "from_document", "prove", "repair"]

# A business day is proven so long after its end: registers that were offline send late.
_SETTLED_AFTER = timedelta(hours=1)

# A machine that was off catches up with so many days before yesterday.
_CAUGHT_UP = timedelta(days=6)

# These are only listed: we delete nothing, what takes no part is not written, and people have the last word.
_LEFT_ALONE = frozenset({"extra", "left out", "edited"})


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
        last = business_date(now, store.time_zone, connection.settings.day_starts_at) - ONE_DAY
        first = max(proven.get(code, last - ONE_DAY) + ONE_DAY, last - _CAUGHT_UP)
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
    span = span_of(connection, first, last)
    bar = connection.progress.bar("Sales read again from the till")
    ours: dict[Cell, Totals] = {}
    called: dict[str, str] = {}
    suspects: list[str] = []
    if content:
        for window in windows_of(first, last, span):
            suspects += compare_content(connection, looks, window, ours, called, bar.advance)
    else:
        for page in till_pages(connection, first, last, bar.advance):
            take_in(connection, page, ours, called)
    bar.close()
    theirs = crm_totals(connection, span, first, last)
    # What a store's receipts are called in the CRM may be another code, or several.
    names = None if stores is None else {*stores, *(name for name, code in called.items() if code in stores)}
    if names is not None:
        ours, theirs = ({c: t for c, t in side.items() if c.store_code in names} for side in (ours, theirs))
    differences = compare(ours, theirs)
    if differences and not content:
        days = sorted({difference.cell.business_date for difference in differences})
        for run in runs_of(days):
            suspects += compare_content(connection, looks, run, {}, called, lambda _: None)
    receipts = list(explain_all(connection, looks, list(dict.fromkeys(suspects))))
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
    for start in range(0, len(ids), EXPLAINED_AT_ONCE):
        counts.update(force(connection, sales=ids[start : start + EXPLAINED_AT_ONCE]).counts)
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

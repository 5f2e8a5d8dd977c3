"""Look at both accounts, read-only and once: how large they are, what a day brings, what they allow.

A survey is made before go-live, when nothing has been loaded, so it asks the
accounts themselves: about a hundred drips of the till's bucket and six calls of
the CRM's day. It takes no lock and writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tillbridge.engine.connection import Progress, Settings
from tillbridge.engine.ports import Crm, Till
from tillbridge.engine.sync import LISTENS
from tillbridge.model.clock import Clock
from tillbridge.model.errors import BadRequest
from tillbridge.model.reading import Query
from tillbridge.model.records import Sale
from tillbridge.model.sale import lands
from tillbridge.sync.forecast import Survey
from tillbridge.sync.schedule import (
    CLOSES_AFTER_MINUTES,
    OPENS_BEFORE_MINUTES,
    open_hours_a_week,
    parse_hours,
)

# What a day brings is taken from so many days: whole weeks, since no day of a week is like another.
RECENT_DAYS = 28

# Hours, lines and payments are taken from the last days' sales: a whole week, and what is not a whole day
# of it, at either end. A week that does not fit into so many pages gives a few of them, and of each day the
# first and the last page.
SAMPLE_DAYS = 8
SAMPLE_PAGES_MAX = 8
_FEW_PAGES = 2
_PAGE = 100
_WEEK = 7

# An account is young when nearly all of its sales are of late.
_YOUNG_SHARE = 0.9

# A shop of which too few sales were seen is taken for an ordinary one.
_SALES_MIN = 5
_OPEN_HOURS = 12.0
_LINES = 2.0
_PAYMENTS = 1.1

# Who may be a customer, whatever the model (design of matching).
_PEOPLE = (
    "SELECT COUNT() FROM Account",
    "SELECT COUNT() FROM Contact",
    "SELECT COUNT() FROM Lead",
)

_STEPS = 9


def survey(
    settings: Settings,
    till: Till,
    crm: Crm,
    clock: Clock,
    progress: Progress,
    opening_hours: Sequence[str] = (),
) -> Survey:
    """Ask both sides; hours that are written down are not looked for. Raises what the ports raise."""
    bar = progress.bar("Looking at both accounts", _STEPS)
    now = clock.now()
    account, stores, registers = till.account(), till.stores(), till.registers()
    bar.advance()
    lately = now - timedelta(days=RECENT_DAYS)
    since = None if settings.since is None else _begin_of(settings.since)
    counts = {}
    for name, kind, start in (
        ("sales", "sales", since),
        ("sales lately", "sales", max(filter(None, (lately, since)))),
        ("customers", "customers", None),
        ("customers lately", "customers", lately),
        ("products", "products", None),
        ("products lately", "products", lately),
    ):
        counts[name] = till.count(kind, start)  # type: ignore[arg-type]  # the names are Countable
        bar.advance()
    zone = ZoneInfo(stores[0].time_zone) if stores else ZoneInfo("UTC")
    days = _days(till, now, max(filter(None, (lately, since))), counts, zone)
    sales_a_day = counts["sales lately"] / days
    is_busy = sales_a_day * SAMPLE_DAYS > SAMPLE_PAGES_MAX * _PAGE
    sample = _sample(till, now, _FEW_PAGES if is_busy else SAMPLE_PAGES_MAX)
    edges = _edges(till, now, zone) if is_busy else _of_whole_days(sample, now, zone) or sample
    polled, selling = hours_a_day(edges, zone)
    if opening_hours:
        polled = selling = open_hours_a_week(parse_hours(opening_hours, "UTC")) / 7
    bar.advance()
    limits = crm.limits()
    people = sum(_count(crm, query) for query in _PEOPLE)
    bar.advance()
    bar.close()
    calls, storage = limits.get("DailyApiRequests"), limits.get("DataStorageMB")
    batches = limits.get("DailyBulkApiBatches")
    lines, payments = _parts(sample)
    return Survey(
        stores=sum(not store.archived for store in stores) or len(stores),
        # The subscription's registers set the pace; the listed ones may be more.
        registers=max(1, min(account.registers, len(registers) or 1)),
        customers=counts["customers"],
        products=counts["products"],
        sales=counts["sales"],
        sales_a_day=sales_a_day,
        # A first import creates all customers at once: a young account is no day like another.
        customers_a_day=min(counts["customers lately"], counts["sales lately"]) / days,
        products_a_day=min(counts["products lately"] / days, counts["products"] / _OPEN_HOURS),
        lines_a_sale=lines,
        payments_a_sale=payments,
        open_hours=polled,
        selling_hours=selling,
        people=people,
        model=settings.model,
        listens=settings.mode in LISTENS,
        crm_calls_allowed=calls[1] if calls else None,
        crm_calls_used=max(0, calls[1] - calls[0]) if calls else 0,
        crm_batches_allowed=batches[1] if batches else None,
        crm_megabytes=storage[1] if storage else None,
        crm_megabytes_free=storage[0] if storage else None,
    )


def _days(till: Till, now: datetime, lately: datetime, counts: Mapping[str, int], zone: ZoneInfo) -> float:
    """Return over how many days the sales of late were rung up: an account may be younger than that.

    Its first day counts from midnight: the night before its first sale belongs to it as to any other.
    """
    first = lately
    if counts["sales lately"] and counts["sales lately"] >= counts["sales"] * _YOUNG_SHARE:
        oldest = next(iter(till.sales(Query())), None)
        stamps = [sale.completed_at for sale in oldest.rows if sale.completed_at] if oldest else []
        begun = min(stamps, default=first).astimezone(zone)
        first = max(first, datetime.combine(begun.date(), time.min, zone))
    return max(1.0, (now - first) / timedelta(days=1))


def _begin_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _sample(till: Till, now: datetime, pages_max: int) -> list[Sale]:
    """Read some sales of the last days, oldest first; of a till that has none, its newest."""
    found: list[Sale] = []
    lately = Query(since=now - timedelta(days=SAMPLE_DAYS), until=now, by="completed")
    for query, most in ((lately, pages_max), (Query(newest_first=True), 1)):
        for number, page in enumerate(till.sales(query), 1):
            found += [sale for sale in page.rows if lands(sale)]
            if number >= most:
                break
        if len(found) >= _SALES_MIN:
            break
    return found


def _of_whole_days(sales: Sequence[Sale], now: datetime, zone: ZoneInfo) -> list[Sale]:
    """Leave out the day that is not over, and the one that the sample begins in."""
    today = now.astimezone(zone).date()
    first = (now - timedelta(days=SAMPLE_DAYS)).astimezone(zone).date()
    return [s for s in sales if s.completed_at and first < s.completed_at.astimezone(zone).date() < today]


def _edges(till: Till, now: datetime, zone: ZoneInfo) -> list[Sale]:
    """Read the first and the last sales of each day of the last week: two pages a day."""
    today, found = now.astimezone(zone).date(), list[Sale]()
    for back in range(1, _WEEK + 1):
        begin, end = (
            datetime.combine(today - timedelta(days=days), time.min, zone).astimezone(UTC)
            for days in (back, back - 1)
        )
        for newest_first in (False, True):
            query = Query(since=begin, until=end, by="completed", newest_first=newest_first)
            page = next(iter(till.sales(query)), None)
            found += [sale for sale in page.rows if lands(sale)] if page else []
    return found


def _parts(sales: Sequence[Sale]) -> tuple[float, float]:
    if len(sales) < _SALES_MIN:
        return _LINES, _PAYMENTS
    lines = sum(len(sale.lines) for sale in sales) / len(sales)
    return lines, sum(len(sale.payments) for sale in sales) / len(sales)


def hours_a_day(sales: Sequence[Sale], zone: ZoneInfo) -> tuple[float, float]:
    """Return for how many hours of a day the feed counts any shop as open, and for how many one sells.

    From the first to the last sale of each day, by the clock of the first store: where shops lie oceans
    apart, their hours add up. A day without sales between two others is one on which they are closed.
    """
    hours: defaultdict[date, set[int]] = defaultdict(set)
    for sale in sales:
        if sale.completed_at is not None:
            local = sale.completed_at.astimezone(zone)
            hours[local.date()].add(local.hour)
    if len(sales) < _SALES_MIN or not hours:
        return _OPEN_HOURS, _OPEN_HOURS
    around = (OPENS_BEFORE_MINUTES + CLOSES_AFTER_MINUTES) / 60
    spans = [max(found) - min(found) + 1 for found in hours.values()]
    days = (max(hours) - min(hours)).days + 1
    return min(24.0, sum(span + around for span in spans) / days), min(24.0, sum(spans) / days)


def _count(crm: Crm, query: str) -> int:
    """Count the rows of an object; one that the org does not have, or does not show us, has none."""
    try:
        rows = next(iter(crm.query(query)), [])
    except BadRequest:
        return 0
    found = rows[0]["expr0"] if rows else 0
    return found if isinstance(found, int) else 0

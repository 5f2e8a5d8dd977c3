"""Decide when each stream is read next: often while a shop is open and calls are there, seldom otherwise.

A due time is computed from the last start and from now, never from the due time
before it: whatever was missed while nobody ran becomes one tick. A shop is open
when it is said to be, or when it has sold at that hour of the week lately; who
knows nothing takes it for open, since calls are cheaper than receipts that wait.

No I/O and no clock: moments are arguments, in seconds of a clock that may be set back.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from tillbridge.sync.quota import DAY, HOUR, Lane

Stream = Literal["sales", "customers", "products", "stock", "check", "sweep"]
STREAMS: tuple[Stream, ...] = get_args(Stream)

_MINUTES_A_DAY = 24 * 60
_MINUTES_A_WEEK = 7 * _MINUTES_A_DAY

# Sales are looked at over so many weeks: enough for a shop that opens on one Saturday a month.
LEARNT_WEEKS = 5

# A shop that has sold for fewer days than this has not shown yet when it is open.
LEARNT_DAYS_MIN = 7

# One sale at three in the morning opens no shop, once so many of its weekdays have been seen.
_DAYS_TO_BE_UNUSUAL = 3

# The till is opened before the first sale of a day and closed after the last one.
OPENS_BEFORE_MINUTES = 30
CLOSES_AFTER_MINUTES = 60

# After a sale at an unusual hour the shop counts as open for so long.
NEWS_SECONDS = 1_800.0

# A stream that fails is tried again after its interval, then after twice that, and so on up to this.
FAILED_SECONDS_MAX = 3_600.0
_DOUBLINGS_MAX = 10


# --- when shops are open -------------------------------------------------------------------------


class Hours(msgspec.Struct, frozen=True):
    """When one shop is open: spans in minutes of its local week, which begins on Monday at 0:00.

    No spans: never open. Nothing known is no Hours at all.
    """

    zone: str
    spans: tuple[tuple[int, int], ...]

    def at(self, now: float) -> bool:
        """Say whether the shop is open at a moment."""
        minute = self._minute(now)
        return any(start <= minute < end for start, end in self.spans)

    def next_change(self, now: float) -> float | None:
        """Return when the shop opens or closes next; None when it never does.

        By its clocks on the wall: on the night they are changed, it is the wall that counts.
        """
        zone = ZoneInfo(self.zone)
        local = datetime.fromtimestamp(now, zone)
        monday = local.date() - timedelta(days=local.weekday())
        edges = sorted({edge % _MINUTES_A_WEEK for span in self.spans for edge in span})
        for week in (0, 1):
            for edge in edges:
                day, minute = divmod(edge, _MINUTES_A_DAY)
                at = monday + timedelta(days=day + 7 * week)
                moment = datetime(at.year, at.month, at.day, minute // 60, minute % 60, tzinfo=zone)
                if (found := moment.timestamp()) > now:
                    return found
        return None

    def _minute(self, now: float) -> int:
        return _minute_of_week(datetime.fromtimestamp(now, ZoneInfo(self.zone)))


def _minute_of_week(local: datetime) -> int:
    return (local.weekday() * 24 + local.hour) * 60 + local.minute


def learnt(completed: Iterable[datetime], zone: str, now: datetime) -> Hours | None:
    """Learn when a shop is open from when it has sold; None while there is too little to go by.

    Of each weekday, from the first to the last hour that has seen a sale: an hour
    in the middle without one is a quiet hour of an open shop.
    """
    place = ZoneInfo(zone)
    since = now - timedelta(weeks=LEARNT_WEEKS)
    sold: defaultdict[int, defaultdict[int, set[date]]] = defaultdict(lambda: defaultdict(set))
    first = now
    for moment in completed:
        if since <= moment <= now:
            first = min(first, moment)
            local = moment.astimezone(place)
            sold[local.weekday()][local.hour].add(local.date())
    if now - first < timedelta(days=LEARNT_DAYS_MIN):
        return None
    spans = []
    for weekday, dates_of in sold.items():
        hours = _usual(dates_of)
        opens = max(0, min(hours) * 60 - OPENS_BEFORE_MINUTES)
        closes = min(_MINUTES_A_DAY, (max(hours) + 1) * 60 + CLOSES_AFTER_MINUTES)
        spans.append((weekday * _MINUTES_A_DAY + opens, weekday * _MINUTES_A_DAY + closes))
    return Hours(zone, tuple(sorted(spans)))


def _usual(dates_of: Mapping[int, set[date]]) -> set[int]:
    """Leave out the hours that have sold on one day only, where we have seen several of that weekday."""
    days = set().union(*dates_of.values())
    again = {hour for hour, dates in dates_of.items() if len(dates) > 1}
    return again if again and len(days) >= _DAYS_TO_BE_UNUSUAL else set(dates_of)


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([a-z]{3})(?:\s*-\s*([a-z]{3}))?\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


def parse_hours(lines: Sequence[str], zone: str) -> Hours:
    """Read opening hours as people write them: "Mon-Sat 09:00-19:00". Raises ValueError with a sentence."""
    return Hours(zone, tuple(sorted(span for line in lines for span in _spans(line))))


def _spans(line: str) -> list[tuple[int, int]]:
    found = _SPAN.fullmatch(line.strip().lower())
    if found is None or found[1] not in _DAYS or (found[2] or found[1]) not in _DAYS:
        raise ValueError(f'opening hours are written as "Mon-Sat 09:00-19:00", not {line!r}')
    start, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (3, 5))
    if not (0 <= start < _MINUTES_A_DAY and 0 < end <= _MINUTES_A_DAY) or start == end:
        raise ValueError(f"there is no such time of day in {line!r}")
    first, last = _DAYS.index(found[1]), _DAYS.index(found[2] or found[1])
    days = [(first + number) % 7 for number in range((last - first) % 7 + 1)]
    spans: list[tuple[int, int]] = []
    for day in days:
        opens, closes = day * _MINUTES_A_DAY + start, day * _MINUTES_A_DAY + end
        if end > start:
            spans.append((opens, closes))
            continue
        # Open past midnight: the rest belongs to the next day, and Sunday's to Monday.
        spans.append((opens, (day + 1) * _MINUTES_A_DAY))
        following = (day + 1) % 7 * _MINUTES_A_DAY
        spans.append((following, following + end))
    return spans


class Shops(msgspec.Struct, frozen=True):
    """Whether any shop of a connection is open, and when that may change. Unknown hours are open hours."""

    open: bool
    changes_at: float | None = None


def shops_at(hours: Sequence[Hours | None], now: float) -> Shops:
    """Look at all shops of a connection at a moment."""
    known = [each for each in hours if each is not None]
    if len(known) < len(hours) or not hours:
        return Shops(open=True)
    changes = [change for each in known if (change := each.next_change(now)) is not None]
    return Shops(any(each.at(now) for each in known), min(changes, default=None))


def open_hours_a_week(hours: Hours) -> float:
    """Return how many hours of a week a shop is open."""
    minutes = {minute for start, end in hours.spans for minute in range(start, end)}
    return len(minutes) / 60


# --- how often -----------------------------------------------------------------------------------


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often a stream is read: while a shop is open, while none is, and at worst when calls are short."""

    lane: Lane
    open_seconds: float
    closed_seconds: float
    worst_seconds: float


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of [schedule]."""

    sales_seconds: float = 60.0
    customers_seconds: float = 120.0
    products_seconds: float = HOUR
    stock_seconds: float = HOUR
    closed_seconds: float = 600.0
    check_seconds: float = 900.0
    sweeps_a_day: float = 10.0


# Short of calls, a stream may slow down to this: beyond it, receipts would be no news any more, and people
# who changed in the CRM would be written over with what they were.
_WORST: Mapping[Stream, float] = {
    "sales": 600.0,
    "customers": HOUR,
    "products": 6 * HOUR,
    "stock": 6 * HOUR,
    "check": HOUR,
    "sweep": DAY,
}


def paces(wishes: Wishes) -> dict[Stream, Pace]:
    """Return the pace of every stream. A wish that is slower than our own worst is the worst."""
    sweep = DAY / wishes.sweeps_a_day
    seconds: dict[Stream, tuple[Lane, float, float]] = {
        "sales": ("sales", wishes.sales_seconds, wishes.closed_seconds),
        "customers": ("customers", wishes.customers_seconds, wishes.closed_seconds),
        "products": ("catalog", wishes.products_seconds, wishes.products_seconds),
        "stock": ("catalog", wishes.stock_seconds, wishes.stock_seconds),
        "check": ("sales", wishes.check_seconds, wishes.check_seconds),
        "sweep": ("sweep", sweep, sweep),
    }
    return {
        stream: Pace(
            lane=lane,
            open_seconds=open_seconds,
            closed_seconds=max(open_seconds, closed_seconds),
            worst_seconds=max(_WORST[stream], open_seconds, closed_seconds),
        )
        for stream, (lane, open_seconds, closed_seconds) in seconds.items()
    }


def polls_a_day(pace: Pace, open_hours: float, *, at_least: float = 0.0) -> float:
    """Return how many polls a day a pace makes, with shops open so many hours and no interval below."""
    open_seconds = max(pace.open_seconds, at_least)
    closed_seconds = max(pace.closed_seconds, at_least)
    return open_hours * HOUR / open_seconds + (24 - open_hours) * HOUR / closed_seconds


def calls_with_news(polls: float, news: float) -> float:
    """Return how many of so many polls bring any of so many news, which come at random: those cost a call."""
    return polls * -math.expm1(-news / polls) if polls > 0 else 0.0


def stretched(pace: Pace, calls_a_day: float, cost: Callable[[float], float]) -> float:
    """Return the shortest interval, no shorter than the pace's own, whose day costs no more than there is.

    `cost` says what a day costs at an interval; the longer, the less. At worst the
    pace's worst: then the budget itself makes the stream pause.
    """
    low, high = pace.open_seconds, pace.worst_seconds
    if cost(low) <= calls_a_day:
        return low
    if cost(high) > calls_a_day:
        return high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if cost(middle) <= calls_a_day else (middle, high)
    return high


# --- when next -----------------------------------------------------------------------------------


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one connection's stream: a row."""

    ran_at: float | None = None  # when its last slice began
    more: bool = False  # that slice has left something to read
    wanted: bool = False  # somebody has asked for it now
    paused: bool = False  # somebody has stopped it
    news_at: float | None = None  # when it last brought something
    failures: int = 0  # in a row
    not_before: float | None = None  # what the budget, or the remote, has said


def next_due(
    pace: Pace, standing: Standing, shops: Shops, now: float, *, at_least: float = 0.0
) -> float | None:
    """Return when a stream is due, now or later; None while it is paused.

    `at_least` is the interval that the budget allows (`stretched`). Whoever asks for
    a stream gets it once, paused or not, but no sooner than the remote lets us.
    """
    earliest = _earliest(standing, now)
    if standing.wanted:
        return earliest
    if standing.paused:
        return None
    if standing.ran_at is None or (standing.more and not standing.failures):
        return earliest
    # A clock that was set back has left a start in the future; it counts as now.
    ran_at = min(standing.ran_at, now)
    seconds = interval(pace, standing, shops, now, at_least=at_least)
    due = ran_at + seconds
    if not shops.open and not standing.failures and shops.changes_at is not None:
        opened = max(shops.changes_at, ran_at + max(pace.open_seconds, at_least))
        due = min(due, opened)
    return max(due, earliest)


def interval(pace: Pace, standing: Standing, shops: Shops, now: float, *, at_least: float = 0.0) -> float:
    """Return the seconds between two starts of a stream as things are."""
    lately = standing.news_at is not None and 0 <= now - standing.news_at < NEWS_SECONDS
    seconds = pace.open_seconds if shops.open or lately else pace.closed_seconds
    seconds = max(seconds, min(at_least, pace.worst_seconds))
    if standing.failures:
        doubled = seconds * 2.0 ** min(standing.failures, _DOUBLINGS_MAX)
        seconds = max(seconds, min(doubled, FAILED_SECONDS_MAX))
    return seconds


# No pause that a budget or remote has asked for is longer: what is later is of a clock that was set back.
_NOT_BEFORE_SECONDS_MAX = 2 * DAY


def _earliest(standing: Standing, now: float) -> float:
    until = standing.not_before
    return until if until is not None and now < until <= now + _NOT_BEFORE_SECONDS_MAX else now


def began(standing: Standing, now: float) -> Standing:
    """Note that a slice begins: whoever wanted it has it, and every tick before this one is done."""
    return msgspec.structs.replace(standing, ran_at=now, wanted=False, more=False)


def finished(standing: Standing, now: float, *, news: bool = False, more: bool = False) -> Standing:
    """Note that a slice went well."""
    return msgspec.structs.replace(
        standing,
        more=more,
        failures=0,
        not_before=None,
        news_at=now if news else standing.news_at,
    )


def failed(standing: Standing) -> Standing:
    """Note that a slice went wrong; the next one waits longer."""
    return msgspec.structs.replace(standing, failures=standing.failures + 1)


def put_off(standing: Standing, until: float) -> Standing:
    """Note that a slice has to wait: for the budget, or because the remote says so. That is no failure."""
    return msgspec.structs.replace(standing, not_before=until, more=True)


def pause(standing: Standing) -> Standing:
    """Stop a stream until it is resumed; a slice that runs is not stopped."""
    return msgspec.structs.replace(standing, paused=True)


def resume(standing: Standing) -> Standing:
    """Let a stream go on; what it has missed is one tick, and its failures are forgotten."""
    return msgspec.structs.replace(standing, paused=False, failures=0)


def run_now(standing: Standing) -> Standing:
    """Ask for one slice at once."""
    return msgspec.structs.replace(standing, wanted=True)


# --- sweeps --------------------------------------------------------------------------------------


def sweep_pages(pages: int, turn_days: float, sweeps_a_day: float, calls_left: float) -> int:
    """Return how many pages one sweep reads, so that a whole turn of all pages fits its days.

    Each costs a call on both sides; short of calls it reads what there is, and the turn takes longer.
    """
    wanted = math.ceil(pages / max(1.0, turn_days * sweeps_a_day))
    return max(0, min(wanted, math.floor(min(calls_left, wanted))))

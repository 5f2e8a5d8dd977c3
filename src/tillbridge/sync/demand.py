"""Decide what a running connection wants of the CRM's day, and how slow a stream gets when there is less.

`forecast` asks the accounts themselves, before go-live; this looks at what has
been carried across already, and asks nobody. What is wanted is kept free for
the higher lanes, so it is taken from the busiest day of late: what a quiet day
leaves over lapses, and a receipt that waits does not come back in time.

No I/O and no clock: equal inputs give equal answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from tillbridge.sync.forecast import PEOPLE_CRM, PRODUCT_NEWS_CRM, WRITE_ROWS, Plan, Survey, daily
from tillbridge.sync.quota import DAY, HOUR, Lane
from tillbridge.sync.schedule import (
    LEARNT_DAYS_MIN,
    Hours,
    Pace,
    Stream,
    calls_with_news,
    open_hours_a_week,
    polls_a_day,
    stretched,
)

# Who has sold for fewer days than it takes to learn is taken for a busy shop.
_SALES_UNTIL_KNOWN = 300.0
_OPEN_HOURS = 12.0

# One forced run every hour, day and night: nobody else may take those.
_URGENT_A_DAY = 24.0

# Sales are kept so much more than the busiest day has taken: the next one may be busier.
_SALES_MARGIN = 1.5

# A first load takes whatever it is given.
ENDLESS = float("inf")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection has carried across: how many records, and when sales were moved of late."""

    stores: int
    customers: int
    products: int
    sales: int
    stamps: Sequence[float] = ()  # of the last weeks' sales
    listens: bool = True


def survey_of(seen: Seen, hours: Collection[Hours | None], now: float) -> Survey:
    """Return what is known of a connection as `forecast` takes it."""
    known = [each for each in hours if each is not None]
    opened = max((open_hours_a_week(each) / 7 for each in known), default=_OPEN_HOURS)
    return Survey(
        stores=max(1, seen.stores),
        registers=1,
        customers=seen.customers,
        products=seen.products,
        sales=seen.sales,
        sales_a_day=busiest_day(seen.stamps, now),
        customers_a_day=0.0,
        products_a_day=10.0 if seen.products else 0.0,
        open_hours=max(1.0, opened),
        listens=seen.listens,
    )


def busiest_day(stamps: Collection[float], now: float) -> float:
    """Return the most sales of any day of late; where too few days are known, those of a busy shop."""
    days = Counter(int((now - stamp) // DAY) for stamp in stamps if stamp <= now)
    if not days or max(days) + 1 < LEARNT_DAYS_MIN:
        return max(_SALES_UNTIL_KNOWN, max(days.values(), default=0))
    return float(max(days.values()))


def of_late(survey: Survey, stamps: Collection[float], now: float) -> Survey:
    """Return the same with the sales of the last day only: by those it is decided who slows down."""
    return msgspec.structs.replace(survey, sales_a_day=float(sum(now - stamp < DAY for stamp in stamps)))


def wants(survey: Survey, plan: Plan, *, loading: bool = False) -> dict[Lane, float]:
    """Return what a connection wants of the CRM's calls of a day, by lane."""
    wanted: dict[Lane, float] = {"urgent": _URGENT_A_DAY}
    for line in daily(survey, plan):
        wanted[line.lane] = wanted.get(line.lane, 0.0) + line.crm
    wanted["sales"] *= _SALES_MARGIN
    if loading:
        wanted["backfill"] = ENDLESS
    return wanted


def least_interval(stream: Stream, pace: Pace, survey: Survey, calls_a_day: float) -> float:
    """Return the shortest interval at which a stream's day costs no more CRM calls than there are."""
    costs: Mapping[Stream, Callable[[float], float]] = {
        "sales": lambda seconds: max(
            calls_with_news(survey.open_hours * HOUR / seconds, survey.sales_a_day),
            survey.sales_a_day * (1 + survey.lines_a_sale + survey.payments_a_sale) / WRITE_ROWS,
        ),
        "customers": lambda seconds: (
            polls_a_day(pace, survey.open_hours, at_least=seconds) * PEOPLE_CRM if survey.listens else 0.0
        ),
        "products": lambda seconds: calls_with_news(DAY / seconds, survey.products_a_day) * PRODUCT_NEWS_CRM,
        "stock": lambda seconds: calls_with_news(survey.open_hours * HOUR / seconds, survey.sales_a_day),
    }
    cost = costs.get(stream)
    return pace.open_seconds if cost is None else stretched(pace, calls_a_day, cost)

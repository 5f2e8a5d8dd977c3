"""What is left of the remotes' quotas, who spends it, and what running will cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.spending import Kept
from tillbridge.store import schema
from tillbridge.sync import budget as sync_budget
from tillbridge.sync.demand import Seen, survey_of
from tillbridge.sync.forecast import Forecast, Plan, Survey, forecast, what_if
from tillbridge.sync.ledger import State
from tillbridge.sync.quota import LANES, Quota
from tillbridge.views.books import Books
from tillbridge.views.figures import moment, share
from tillbridge.wiring import plan_of

_WEEKS_SECONDS = 28 * 86_400.0


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    """One window of a quota. `ours` is what we may spend, `reserve` what is left to others in any case."""

    quota: str
    title: str
    side: str  # till, crm
    window: str
    seconds: float | None
    ours: float
    spent: float
    left: float
    allowed: float
    used_by_all: float | None
    reserve: float
    by_lane: dict[str, float]
    closed_until: datetime | None


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one thing costs a day."""

    lane: str
    what: str
    till: float
    crm: float


class LimitAhead(msgspec.Struct, frozen=True, kw_only=True):
    """A limit, what is wanted of it, and when it is hit."""

    name: str
    wanted: float
    there: float
    share: float
    in_days: float | None


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """What running costs, with the settings as they are or as somebody tries them out."""

    what_if: str
    till_a_day: float
    crm_a_day: float
    costs: list[Cost]
    given: dict[str, float]
    load_hours: float
    load_till: float
    load_crm: float
    load_held_by: str
    megabytes_a_year: float
    limits: list[LimitAhead]


class Lever(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to try out: its name in what-if, where it stands now, and how far it can be moved."""

    name: str
    title: str
    unit: str
    now: float
    least: float
    most: float
    step: float


class BudgetPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page of budgets."""

    gauges: list[Gauge]
    levers: list[Lever]
    now: Predicted
    then: Predicted | None


def budget(books: Books, text: str = "") -> BudgetPage:
    """Return gauges and the forecast. `text`: what if, as `forecast --what-if` has it. Raises ValueError."""
    survey, plan = _as_it_is(books)
    return BudgetPage(
        gauges=gauges(books),
        levers=_levers(survey, plan),
        now=_predicted(survey, plan, ""),
        then=_predicted(survey, plan, text) if text else None,
    )


def gauges(books: Books) -> list[Gauge]:
    """Return every window of every quota that this connection draws on."""
    now = books.now()
    found: list[Gauge] = []
    for name, row in sorted(books.service.budgets().items()):
        if not _is_ours(books, name):
            continue
        kept = msgspec.json.decode(row, type=Kept)
        for window, ours, spent in sync_budget.standing(kept.state, kept.quota, now):
            found.append(_gauge(name, kept.quota, kept.state, window, ours, spent))
    return found


def _is_ours(books: Books, name: str) -> bool:
    """Say whether a quota is of this connection's org or account; others are others' business."""
    kind, _, rest = name.partition(" ")
    account, org = books.config.lightspeed.account_id, books.state.fact("crm_org")
    return rest.startswith(f"{account}/") if kind == "till" else bool(org) and rest.startswith(f"{org} ")


def _gauge(name: str, quota: Quota, state: State, window: str, ours: float, spent: float) -> Gauge:
    held = next((each for each in quota.windows if each.name == window), None)
    usage = state.usage if held is not None and held.told else None
    allowed = usage.allowed if usage else held.allowed if held else ours
    lanes = [0.0] * len(LANES)
    for slot in state.spent.get(window, ()):
        for line in slot.spent.values():
            for at, cost in enumerate(line):
                lanes[at] += cost
    return Gauge(
        quota=name,
        title=quota.title,
        side=name.partition(" ")[0],
        window=window,
        seconds=held.seconds if held else None,
        ours=round(ours, 1),
        spent=round(spent, 1),
        left=round(max(0.0, ours - spent), 1),
        allowed=allowed,
        used_by_all=usage.used if usage else None,
        reserve=round(allowed * held.spare, 1) if held else 0.0,
        by_lane={lane: round(cost, 1) for lane, cost in zip(LANES, lanes, strict=True) if cost},
        closed_until=moment(state.closed_until),
    )


def _as_it_is(books: Books) -> tuple[Survey, Plan]:
    survey, plan = survey_of(_seen(books), [], books.now()), plan_of(books.config)
    if usage := books.state.fact("crm_usage"):
        survey = msgspec.structs.replace(
            survey, crm_calls_allowed=float(usage["allowed"]), crm_calls_used=float(usage["used"])
        )
    return survey, plan


def _levers(survey: Survey, plan: Plan) -> list[Lever]:
    """Return what people try out most: how often, how much is sold, and our share of the org's calls."""
    wishes, sold = plan.wishes, round(survey.sales_a_day)
    rows = (
        ("interval", "Sales are read every", "s", wishes.sales_seconds, 15.0, 900.0, 15.0),
        (
            "customers_interval",
            "Customers are read every",
            "s",
            wishes.customers_seconds,
            30.0,
            3_600.0,
            30.0,
        ),
        ("stores", "Stores", "", float(survey.stores), 1.0, max(50.0, 4.0 * survey.stores), 1.0),
        ("sales_per_day", "Receipts a day", "", float(sold), 10.0, max(5_000.0, 10.0 * sold), 10.0),
        ("sweep_days", "Everything is read again within", "d", plan.sweep_days, 1.0, 60.0, 1.0),
        ("share", "Our share of Salesforce's calls", "%", 100 * plan.caps.crm_share, 5.0, 100.0, 5.0),
    )
    return [
        Lever(
            name=name,
            title=title,
            unit=unit,
            now=now,
            least=min(least, now),
            most=max(most, now),
            step=step,
        )
        for name, title, unit, now, least, most, step in rows
    ]


def _predicted(survey: Survey, plan: Plan, text: str) -> Predicted:
    if text:
        survey, plan = what_if(survey, plan, text)
    found = forecast(survey, plan)
    return Predicted(
        what_if=text,
        till_a_day=round(found.till, 1),
        crm_a_day=round(found.crm, 1),
        costs=[
            Cost(lane=line.lane, what=line.what, till=round(line.till, 1), crm=round(line.crm, 1))
            for line in found.lines
        ],
        given={lane: round(calls, 1) for lane, calls in found.given.items()},
        load_hours=round(found.load.hours, 2),
        load_till=round(found.load.till),
        load_crm=round(found.load.crm),
        load_held_by=found.load.held_by,
        megabytes_a_year=round(found.megabytes_a_year, 1),
        limits=_limits(found),
    )


def _limits(found: Forecast) -> list[LimitAhead]:
    return [
        LimitAhead(
            name=limit.name,
            wanted=round(limit.wanted, 1),
            there=round(limit.there, 1),
            share=share(round(limit.wanted), round(limit.there)),
            in_days=limit.in_days,
        )
        for limit in found.limits
    ]


def _seen(books: Books) -> Seen:
    """Count what has been carried across: from tallies, which are short, not from the records."""
    now = books.now()
    tally, article = schema.tally, schema.article
    with books.look() as c:
        sums = sa.select(sa.func.sum(tally.c.receipts)).where(tally.c.scope == "store")
        sales = int(c.execute(sums).scalar() or 0)
        products = c.execute(sa.select(sa.func.count()).select_from(article)).scalar() or 0
        lately = _days_lately(c, now)
    return Seen(
        stores=len(books.names().stores),
        customers=sum(books.roll.counts().values()),
        products=products,
        sales=sales,
        stamps=_stamps(lately, now),
    )


def _days_lately(c: sa.Connection, now: float) -> Sequence[Any]:
    tally = schema.tally
    first = moment(now - _WEEKS_SECONDS)
    assert first is not None
    where = (tally.c.scope == "store", tally.c.period >= first.date().isoformat())
    summed = sa.select(tally.c.period, sa.func.sum(tally.c.receipts)).where(*where)
    return c.execute(summed.group_by(tally.c.period)).all()


def _stamps(days: Sequence[Any], now: float) -> list[float]:
    """Return a stamp for each sale of late, at noon of its day: the busiest day is looked for among them."""
    stamps: list[float] = []
    for day, count in days:
        noon = datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()
        stamps += [min(noon, now)] * int(count)
    return stamps

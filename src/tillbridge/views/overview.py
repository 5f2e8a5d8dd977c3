"""The first page: is everything fresh, do both systems agree, what waits for a person, what runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import msgspec
import sqlalchemy as sa

from tillbridge.model.times import business_date
from tillbridge.store import schema
from tillbridge.store.hours import HOUR, Hour
from tillbridge.store.lists import among
from tillbridge.views.books import Books
from tillbridge.views.budget import Gauge, gauges
from tillbridge.views.certificates import marks_of
from tillbridge.views.figures import Stores, moment, moment_of, money
from tillbridge.views.problems import CauseCard, problems
from tillbridge.views.roll import Filter
from tillbridge.views.runs import Work, work

_receipt, _record, _certificate = schema.receipt, schema.record, schema.certificate
_DAY = 86_400.0
_CAUSES = 5

Tick = Literal["agrees", "differs", "open"]
Arrived = Literal["confirmed", "on the way", "late", "nothing sold"]


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How old what we know of a stream is. `worst` is the longest gap of the last day, by hour."""

    stream: str
    read_at: datetime | None
    age_seconds: float | None
    every_seconds: float
    is_late: bool
    polls: list[int]  # of the last 24 hours, oldest first
    worst: list[float]


class StoreToday(msgspec.Struct, frozen=True, kw_only=True):
    """A store's takings of a day as the till shows them, and how much of them the CRM has confirmed.

    `crm` adds up the till's own amounts of the receipts that the CRM has taken. Whether it still shows the
    same is what a certificate says.
    """

    store_id: str
    store: str
    day: str
    receipts: int
    till: Decimal
    crm_receipts: int
    crm: Decimal
    on_the_way: list[str]  # receipts that the CRM has not confirmed, at most a few of them
    tick: Tick
    certificate: int | None
    certified_day: str | None
    differing: int


class CallsOfHour(msgspec.Struct, frozen=True, kw_only=True):
    """What an hour has spent."""

    at: datetime
    till: int
    crm: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first page. `arrived`: whether the CRM has confirmed all of today, as far as we have looked."""

    now: datetime
    account: str | None
    org: str | None
    currency: str
    freshness: list[Freshness]
    stores: list[StoreToday]
    till_total: Decimal
    crm_total: Decimal
    arrived: Arrived
    gauges: list[Gauge]
    work: Work
    backlog: dict[str, dict[str, int]]  # by kind, by unsettled state
    causes: list[CauseCard]
    open_problems: int
    people: dict[Filter, int]
    people_complete: bool  # False while everybody is still being read after a start: there may be more
    conflicts: int
    plans: int
    products: int  # that wait for a person
    calls: list[CallsOfHour]


def overview(books: Books, *, stores: Stores = None, dead_after_seconds: float = 30.0) -> Overview:
    """Return the first page.

    Whoever sees some stores only sees neither plans nor others' records, nor what all stores together
    move and spend.
    """
    now = books.now()
    hours = books.hours.since(now - _DAY)
    today = _stores_today(books, stores)
    open_causes = problems(books, stores=stores)
    freshness = _freshness(books, hours, now)
    backlog = _backlog(books) if stores is None else {}
    books.roll.refresh()
    # Looked at before they are counted: what is read in between makes them more, never wrongly all.
    people_complete, people = books.roll.complete, books.roll.counts(stores)
    return Overview(
        now=moment_of(now),
        account=books.state.fact("till_account"),
        org=books.state.fact("crm_org"),
        currency=books.names().currency,
        freshness=freshness,
        stores=today,
        till_total=sum((each.till for each in today), Decimal(0)),
        crm_total=sum((each.crm for each in today), Decimal(0)),
        arrived=arrived(freshness, today),
        gauges=gauges(books) if stores is None else [],
        work=work(books, dead_after_seconds) if stores is None else _quiet(work(books, dead_after_seconds)),
        backlog=backlog,
        causes=open_causes.causes[:_CAUSES],
        open_problems=sum(card.count for card in open_causes.causes),
        people=people,
        people_complete=people_complete,
        conflicts=people.get("conflict", 0),
        plans=len(books.plans.in_state("open")) if stores is None else 0,
        products=backlog.get("product", {}).get("review", 0),
        calls=_calls(hours, now) if stores is None else [],
    )


def _quiet(found: Work) -> Work:
    """Leave out of what runs how much it moves, and what it says of single records."""
    streams = [msgspec.structs.replace(each, counts={}, why=None) for each in found.streams]
    return msgspec.structs.replace(found, streams=streams, steps=[], said=[], lanes=[])


# --- freshness -------------------------------------------------------------------------------------


def _freshness(books: Books, hours: list[Hour], now: float) -> list[Freshness]:
    streams = {each.name: each for each in books.service.streams(books.name) if each.kind == "poll"}
    pulses = {each.stream: each for each in books.notices.pulses()}
    found = []
    for name in _ORDER:
        pulse, stream = pulses.get(name), streams.get(name)
        every = stream.every if stream else pulse.interval_seconds if pulse else 0.0
        if pulse is None and stream is None:
            continue
        read_at = pulse.polled_at if pulse else None
        age = None if read_at is None else max(0.0, now - read_at)
        # What was never read is late once it should have been.
        due = stream.next_due if stream else None
        waited = age if age is not None else 0.0 if due is None else now - due
        found.append(
            Freshness(
                stream=name,
                read_at=moment(read_at),
                age_seconds=None if age is None else round(age, 1),
                every_seconds=every,
                is_late=waited > max(3 * every, 300.0),
                polls=[n for n, _ in _by_hour(hours, f"poll {name}", now)],
                worst=[round(worst, 1) for _, worst in _by_hour(hours, f"poll {name}", now)],
            )
        )
    return found


_ORDER = ("sales", "customers", "products", "stock", "voids")


def _by_hour(hours: list[Hour], what: str, now: float) -> list[tuple[int, float]]:
    held = {each.hour: (each.count, each.worst) for each in hours if each.what == what}
    return [held.get(hour, (0, 0.0)) for hour in _last_hours(now)]


def _last_hours(now: float) -> list[int]:
    this = int(now) - int(now) % HOUR
    return [this - n * HOUR for n in reversed(range(24))]


def _calls(hours: list[Hour], now: float) -> list[CallsOfHour]:
    till, crm = (_by_hour(hours, f"{side} calls", now) for side in ("till", "crm"))
    return [
        CallsOfHour(at=moment_of(hour), till=own, crm=other)
        for hour, (own, _), (other, _) in zip(_last_hours(now), till, crm, strict=True)
    ]


# --- today ------------------------------------------------------------------------------------------


def _stores_today(books: Books, stores: Stores) -> list[StoreToday]:
    names, around = books.names(), books.around()
    if around is None:
        return []
    now = moment_of(books.now())
    seen = [i for i in names.stores if stores is None or i in stores]
    days = {i: business_date(now, names.zones[i], around.day_starts_at).isoformat() for i in seen}
    sums, waiting = _confirmed(books, days)
    ticks = _ticks(books, seen)
    found = []
    for store_id in sorted(seen, key=names.store):
        receipts, till, crm_receipts, crm = sums.get(store_id, (0, 0, 0, 0))
        tick, certificate, day, differing = ticks[store_id]
        found.append(
            StoreToday(
                store_id=store_id,
                store=names.store(store_id),
                day=days[store_id],
                receipts=receipts,
                till=money(till),
                crm_receipts=crm_receipts,
                crm=money(crm),
                on_the_way=waiting.get(store_id, [])[:10],
                tick=tick,
                certificate=certificate,
                certified_day=day,
                differing=differing,
            )
        )
    return found


def arrived(freshness: list[Freshness], today: list[StoreToday]) -> Arrived:
    """Say whether the CRM has all of today. Receipts are counted: amounts of several may cancel out."""
    sales = next((each for each in freshness if each.stream == "sales"), None)
    if sales is None or sales.is_late:
        return "late"
    if any(each.crm_receipts < each.receipts for each in today):
        return "on the way"
    return "confirmed" if any(each.receipts for each in today) else "nothing sold"


def _confirmed(
    books: Books, days: Mapping[str, str]
) -> tuple[dict[str, tuple[int, int, int, int]], dict[str, list[str]]]:
    """Add up a day's receipts by store: all, and those that the CRM has confirmed; name those it has not."""
    sums: dict[str, tuple[int, int, int, int]] = {}
    waiting: dict[str, list[str]] = {}
    columns = (_receipt.c.store, _receipt.c.day, _receipt.c.till_id, _receipt.c.total)
    statement = sa.select(*columns, _record.c.crm_id, _record.c.state).outerjoin(
        _record, sa.and_(_record.c.kind == "sale", _record.c.till_id == _receipt.c.till_id)
    )
    where = (among(_receipt.c.day, set(days.values())), _receipt.c.status == "completed")
    with books.look() as c:
        for store, day, till_id, total, crm_id, state in c.execute(statement.where(*where)):
            if days.get(store) != day or state == "left_out":
                continue
            receipts, till, crm_receipts, crm = sums.get(store, (0, 0, 0, 0))
            is_there = crm_id is not None and state != "problem"
            if not is_there:
                waiting.setdefault(store, []).append(till_id)
            sums[store] = (
                receipts + 1,
                till + total,
                crm_receipts + is_there,
                crm + (total if is_there else 0),
            )
    return sums, waiting


def _ticks(books: Books, stores: list[str]) -> dict[str, tuple[Tick, int | None, str | None, int]]:
    """Say of each store's last certified day whether both systems agree on it."""
    names, proven = books.names(), books.days.proven()
    differs = {each.store: each for each in books.days.disagreeing()}
    found: dict[str, tuple[Tick, int | None, str | None, int]] = {}
    numbers = _certificates_of(books, set(proven.values()))
    for store_id in stores:
        code = names.code(store_id)
        day = proven.get(code)
        wrong = differs.get(code)
        if wrong is not None:
            found[store_id] = ("differs", wrong.certificate, wrong.day, wrong.receipts)
        elif day is not None:
            found[store_id] = ("agrees", numbers.get((code, day.isoformat())), day.isoformat(), 0)
        else:
            found[store_id] = ("open", None, None, 0)
    return found


def _certificates_of(books: Books, days: set[date]) -> dict[tuple[str, str], int]:
    """Return which certificate last looked at each store of these days."""
    texts = {day.isoformat() for day in days}
    if not texts:
        return {}
    where = (_certificate.c.first == _certificate.c.last, among(_certificate.c.first, texts))
    statement = sa.select(_certificate.c.id, _certificate.c.body).where(*where).order_by(_certificate.c.id)
    with books.look() as c:
        rows = c.execute(statement).all()
    return {
        (code, mark.day): row.id
        for row in rows
        for code, mark in marks_of(msgspec.json.decode(row.body), row.id)
    }


# --- what waits -------------------------------------------------------------------------------------


def _backlog(books: Books) -> dict[str, dict[str, int]]:
    """Count what is not settled, by kind and state. Settled ones are millions, and nobody waits for them."""
    # As words of the statement: a bound value would keep SQLite from the index over what is not settled.
    unsettled = _record.c.state != sa.literal_column("'settled'")
    statement = sa.select(_record.c.kind, _record.c.state, sa.func.count()).where(unsettled)
    counts: dict[str, dict[str, int]] = {}
    with books.look() as c:
        for kind, state, count in c.execute(statement.group_by(_record.c.state, _record.c.kind)):
            counts.setdefault(kind, {})[state] = count
    return counts

"""Runs, what runs now and next, and plans that wait for a person."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.alerts import why_stopped
from tillbridge.engine.underway import Step, told
from tillbridge.store import schema
from tillbridge.store.lists import among
from tillbridge.store.plans import Plan
from tillbridge.store.service import Stream
from tillbridge.sync.safety import Entry
from tillbridge.views.books import Books
from tillbridge.views.customers import name_of
from tillbridge.views.figures import PAGE, PAGE_MAX, Slice, Stores, moment, moment_of
from tillbridge.views.kinds import Kind, kinds_of_people, tables_of_people

_run, _bought = schema.run, schema.bought
_ENTRIES = 500

# Of those whom a run has created so many are shown by name: a first load creates everybody.
_NAMED = 200


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `outcome` None: it is under way, or its process was killed."""

    id: int
    job: str
    started_at: datetime
    ended_at: datetime | None
    seconds: float | None
    outcome: str | None
    counts: dict[str, int]
    till_calls: int
    crm_calls: int


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """A page of runs, newest first."""

    rows: list[RunLine]
    slice: Slice


class RunChange(msgspec.Struct, frozen=True, kw_only=True):
    """One field that a run has written."""

    id: int
    customer: str
    crm_id: str
    field: str
    kind: Kind
    side: str
    why: str
    before: str | None
    after: str | None
    undone_by: int | None


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """One run, and what it changed of customers: what `undo` takes back. `names`: what those are called."""

    run: RunLine
    changes: list[RunChange]
    created_in_crm: list[str]
    created_in_till: list[str]
    names: dict[str, str]
    why: str | None
    may_undo: bool


class StreamLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is done again and again. `state`: paused, at work, queued, waits or on request."""

    kind: str
    name: str
    title: str
    every: float
    state: str
    due_at: datetime | None
    late_seconds: float
    why: str | None
    fails: int
    began_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    counts: dict[str, int]


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs wait and run in a lane."""

    name: str
    waiting: int
    running: int


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What runs now and how far it is, and what comes next."""

    streams: list[StreamLine]
    steps: list[Step]
    said: list[str]
    lanes: list[Lane]
    paused: str | None
    paused_since: datetime | None
    is_served: bool


class PlanEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One record that a plan would write. `kinds`: what the values of its fields are."""

    action: str
    till_id: str | None
    crm_id: str | None
    object: str
    name: str
    fields: dict[str, tuple[str | None, str | None]]
    kinds: dict[str, Kind]


class PlanLine(msgspec.Struct, frozen=True, kw_only=True):
    """One plan. `why`: preview or held."""

    id: int
    state: str
    why: str
    reasons: list[str]
    checksum: str
    made_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    run: int | None
    customers: int
    actions: dict[str, int]


class PlanPage(msgspec.Struct, frozen=True, kw_only=True):
    """One plan with what it would write, before and after."""

    plan: PlanLine
    entries: list[PlanEntry]
    more: int


def runs(books: Books, job: str | None = None, *, offset: int = 0, limit: int = PAGE) -> Runs:
    """Return a page of runs."""
    limit = min(limit, PAGE_MAX)
    statement = sa.select(_run).order_by(_run.c.id.desc()).offset(offset).limit(limit + 1)
    if job is not None:
        # A poll is noted with its stream: all of a kind are asked for by the kind.
        statement = statement.where(
            sa.or_(_run.c.job == job, _run.c.job.startswith(f"{job} ", autoescape=True))
        )
    with books.look() as c:
        rows = c.execute(statement).all()
    more = len(rows) > limit
    total = None if more else offset + len(rows)
    return Runs(
        rows=[run_line(row) for row in rows[:limit]],
        slice=Slice(offset=offset, limit=limit, total=total, more=more),
    )


def run_line(row: sa.Row[Any]) -> RunLine:
    """Bring a run into a line."""
    counts = json.loads(row.counts) if row.counts else {}
    return RunLine(
        id=row.id,
        job=row.job,
        started_at=moment_of(row.started_at),
        ended_at=moment(row.ended_at),
        seconds=None if row.ended_at is None else round(row.ended_at - row.started_at, 1),
        outcome=row.outcome,
        counts={name: n for name, n in counts.items() if n},
        till_calls=row.till_calls,
        crm_calls=row.crm_calls,
    )


def run(books: Books, number: int, *, stores: Stores = None) -> RunPage | None:
    """Return one run; None when there is none of that number."""
    with books.look() as c:
        row = c.execute(sa.select(_run).where(_run.c.id == number)).first()
        if row is None:
            return None
    changes = books.changes.of_run(number, _ENTRIES)
    theirs = _seen(books, {each.till_id for each in changes}, stores)
    found = [each for each in changes if each.till_id in theirs]
    # A first load creates everybody; whoever sees some stores only is shown theirs among all of them.
    some = _ENTRIES if stores is None else None
    in_crm = sorted(_seen(books, books.people.created_in(number, some), stores))
    in_till = sorted(_seen(books, books.arrivals.created_in(number), stores))
    kinds = kinds_of_people(tables_of_people(books.config), books.config)
    return RunPage(
        run=run_line(row),
        changes=[
            RunChange(
                id=each.id,
                customer=each.till_id,
                crm_id=each.crm_id,
                field=each.field,
                kind=kinds.get(each.field, "text"),
                side=each.side,
                why=each.why,
                before=each.before,
                after=each.after,
                undone_by=each.undone_by,
            )
            for each in found
        ],
        created_in_crm=in_crm[:_ENTRIES],
        created_in_till=in_till[:_ENTRIES],
        names=_named(books, {*(each.till_id for each in found), *in_crm[:_NAMED], *in_till[:_NAMED]}),
        why=why_stopped(books.state, number),
        may_undo=row.ended_at is not None
        and bool(in_crm or in_till or any(each.undone_by is None for each in found)),
    )


def _named(books: Books, customers: Collection[str]) -> dict[str, str]:
    people = books.arrivals.people(customers)
    return {i: name for i, person in people.items() if (name := name_of(person)) is not None}


def _seen(books: Books, customers: Collection[str], stores: Stores) -> set[str]:
    if stores is None:
        return set(customers)
    where = (among(_bought.c.customer, customers), _bought.c.store.in_(sorted(stores)))
    with books.look() as c:
        return set(c.execute(sa.select(_bought.c.customer).where(*where)).scalars())


# --- now and next ---------------------------------------------------------------------------------


def work(books: Books, dead_after_seconds: float = 30.0) -> Work:
    """Return what runs now and what comes next."""
    now = books.now()
    service = books.service
    stopped = service.stopped()
    streams = service.streams(books.name)
    why, since = stopped.get(books.name, (None, None))
    order = {"at work": 0, "queued": 1}
    far = told(service, books.name, now)
    lines = [_stream_line(each, now, paused=why is not None) for each in streams]
    lines.sort(key=lambda line: (order.get(line.state, 2), line.due_at is None, line.due_at, line.title))
    return Work(
        streams=lines,
        steps=far.steps if far else [],
        said=far.said if far else [],
        lanes=_lanes(books, streams),
        paused=why,
        paused_since=moment(since),
        is_served=bool(service.living(dead_after_seconds)),
    )


def _stream_line(each: Stream, now: float, *, paused: bool) -> StreamLine:
    state = "waits" if each.next_due is not None else "on request"
    if each.queued:
        state = "at work" if (each.began_at or 0) > (each.ended_at or 0) else "queued"
    if paused or each.paused:
        state = "paused"
    late = 0.0 if each.next_due is None or each.queued else max(0.0, now - each.next_due)
    return StreamLine(
        kind=each.kind,
        name=each.name,
        title=each.name or each.kind,
        every=each.every,
        state=state,
        due_at=moment(each.next_due),
        late_seconds=round(late, 1),
        why=each.why,
        fails=each.fails,
        began_at=moment(each.began_at),
        ended_at=moment(each.ended_at),
        outcome=each.outcome,
        counts={k: v for k, v in json.loads(each.counts or "{}").items() if v},
    )


def _lanes(books: Books, streams: Sequence[Stream]) -> list[Lane]:
    """Count jobs by lane. An installation that was never served has no queue to look into."""
    counts: dict[str, list[int]] = {"urgent": [0, 0], "sync": [0, 0], "backfill": [0, 0]}
    if streams:
        for job in books.jobs.jobs(connection=books.name):
            place = counts.setdefault(job.queue or "sync", [0, 0])
            place[job.state == "running"] += 1
    return [Lane(name=name, waiting=waiting, running=running) for name, (waiting, running) in counts.items()]


# --- plans -----------------------------------------------------------------------------------------


def plans(books: Books, state: str = "open") -> list[PlanLine]:
    """Return the plans in a state, oldest first."""
    return [_plan_line(plan) for plan in books.plans.in_state(state)]


def plan(books: Books, number: int) -> PlanPage | None:
    """Return one plan; None when there is none of that number."""
    found = books.plans.get(number)
    if found is None:
        return None
    kinds = kinds_of_people(tables_of_people(books.config), books.config)
    return PlanPage(
        plan=_plan_line(found),
        entries=[_entry(entry, kinds) for entry in found.entries[:_ENTRIES]],
        more=max(0, len(found.entries) - _ENTRIES),
    )


def _plan_line(found: Plan) -> PlanLine:
    actions: dict[str, int] = {}
    for entry in found.entries:
        actions[entry.action] = actions.get(entry.action, 0) + 1
    return PlanLine(
        id=found.id,
        state=found.state,
        why=found.why,
        reasons=list(found.reasons),
        checksum=found.checksum,
        made_at=moment_of(found.made_at),
        decided_by=found.decided_by,
        decided_at=moment(found.decided_at),
        run=found.run,
        customers=len({entry.till_id or entry.crm_id for entry in found.entries}),
        actions=actions,
    )


def _entry(entry: Entry, kinds: Mapping[str, Kind]) -> PlanEntry:
    fields: Mapping[str, tuple[Any, Any]] = entry.fields
    return PlanEntry(
        action=entry.action,
        till_id=entry.till_id,
        crm_id=entry.crm_id,
        object=entry.object,
        name=entry.name,
        fields={name: (_told(old), _told(new)) for name, (old, new) in fields.items()},
        kinds={name: kinds[name] for name in fields if name in kinds},
    )


def _told(value: object) -> str | None:
    return None if value is None else str(value)

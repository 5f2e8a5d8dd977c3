"""What a worker does with a job: wait for the connection's turn, do one slice, say when the next is due.

Connections are kept open between slices with their logins, and opened anew when
their configuration has changed: a setting that a person changes holds from the
next slice on.
"""

from __future__ import annotations

import os
import random
import threading
import time
import traceback
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from structlog.contextvars import bound_contextvars

from tillbridge import alerts, installation, logs
from tillbridge.config import FILE_NAME, Config
from tillbridge.connectors.http import Http
from tillbridge.engine import certificate, crosscheck
from tillbridge.engine.backfill import STEPS
from tillbridge.engine.connection import Connection
from tillbridge.engine.fates import fate
from tillbridge.engine.jobs import Job
from tillbridge.engine.schedule import back_off, interval_after
from tillbridge.engine.streams import CUSTOMERS, PRODUCTS, SALES, STOCK, VOIDS
from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import AGAIN, LISTENS, force, sync_slice
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Busy, Fenced, GiveWay, LimitReached, SyncError, Transient, outcome_of
from tillbridge.spending import PATIENCE_SECONDS_OF_SLICE, SharedBooks
from tillbridge.store.days import Days
from tillbridge.store.hours import note_calls
from tillbridge.store.service import LIMIT, Ended, Service, Stream
from tillbridge.sync.budget import Lane
from tillbridge.sync.demand import Seen, least_interval, of_late, survey_of, wants
from tillbridge.sync.forecast import Survey
from tillbridge.sync.freshness import Landed
from tillbridge.sync.schedule import (
    LEARNT_WEEKS,
    Hours,
    Standing,
    interval,
    learnt,
    paces,
    parse_hours,
    shops_at,
)
from tillbridge.sync.schedule import Stream as Polled
from tillbridge.turns import Door, Pauses, Turn, Turns
from tillbridge.wiring import Parts, open_home, plan_of, wishes_of

# Behind another job of the same connection, or a run at the command line.
_PUT_OFF_SECONDS = 2.0

# What a person has to put right is looked at again so often.
_HALTED_SECONDS = 300.0

# So many connections stay open with their logins; those beyond are opened again for every slice.
_OPEN_MAX = 600

_POLLED: tuple[Polled, ...] = ("sales", "customers", "products", "stock")

# What each kind of work spends its calls as; polls by what they read, checks by how often they are due.
_LANES: Mapping[str, Lane] = {
    "force": "urgent",
    "replay": "sales",
    "cross-check": "sales",
    "certify": "sweep",
    "sweep": "sweep",
    "notify": "sweep",
    "backfill": "backfill",
}
_POLL_LANES: Mapping[str, Lane] = {
    SALES: "sales",
    VOIDS: "sales",
    CUSTOMERS: "customers",
    PRODUCTS: "catalog",
    STOCK: "catalog",
}

# These look into our own tables, and call nobody when there is nothing to do.
_REPLAY_SECONDS = 300.0
_NOTIFY_SECONDS = 300.0
_CERTIFY_SECONDS = 3_600.0

# What a run is called that a person has asked for.
_RUNS = {"force": "sync", "replay": "replay"}

# What may end a long slice of its own connection rather than wait for it.
_OVERTAKING = frozenset(("poll", "replay"))

_CHECKS_THAT_WAIT = timedelta(hours=1)

# When the shops are open is learnt anew so often.
_LEARNT_SECONDS = 3_600.0
_WEEK_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Done:
    """What one slice has done. `more`: there is more at once."""

    counts: Mapping[str, int]
    more: bool = False


def wanted_streams(config: Config) -> dict[tuple[str, str], float]:
    """Return what is done again and again for a connection: (kind, name) and seconds; 0: only when wished.

    The seconds are those of opening hours; engine.schedule lengthens them.
    """
    wished = paces(wishes_of(config))
    polls = {("poll", str(name)): wished[name].open_seconds for name in _POLLED}
    return {
        **polls,
        # A void need not move its sale's stamp, so voids have a list of their own: one GET each time.
        ("poll", VOIDS): wished["check"].open_seconds,
        ("replay", ""): _REPLAY_SECONDS,
        ("cross-check", ""): wished["check"].open_seconds,
        ("sweep", ""): wished["sweep"].open_seconds,
        ("certify", ""): _CERTIFY_SECONDS,
        ("notify", ""): _NOTIFY_SECONDS,
        ("backfill", ""): 0.0,
    }


def lane_of(job: Job) -> Lane:
    """Return what a job spends its calls as."""
    return _POLL_LANES[job.name] if job.kind == "poll" else _LANES[job.kind]


def wanted_kinds() -> frozenset[str]:
    """Return the kinds of what is done again and again."""
    return frozenset(_KINDS)


class Watcher(Protocol):
    """Who takes note of what a worker does (see metrics.Meters)."""

    def began(self, job: Job, delay_seconds: float) -> None:
        """Note how late a slice began."""

    def ended(self, job: Job, ended: Ended, seconds: float) -> None:
        """Note what came of a slice."""

    def landed(self, connection: str, landed: Sequence[Landed]) -> None:
        """Note how fresh what has just landed is."""

    def called(self, remote: str, calls: Mapping[str, int]) -> None:
        """Count calls by endpoint."""

    def spent(self, connection: str, spent: Mapping[tuple[str, Lane], float]) -> None:
        """Count what was drawn from quotas, by lane."""

    def problems(self, connection: str, causes: Mapping[str, int]) -> None:
        """Note the open problems of a connection by cause."""


class Nobody:
    """Takes note of nothing."""

    def began(self, job: Job, delay_seconds: float) -> None:
        """Look away."""

    def ended(self, job: Job, ended: Ended, seconds: float) -> None:
        """Look away."""

    def landed(self, connection: str, landed: Sequence[Landed]) -> None:
        """Look away."""

    def called(self, remote: str, calls: Mapping[str, int]) -> None:
        """Look away."""

    def spent(self, connection: str, spent: Mapping[tuple[str, Lane], float]) -> None:
        """Look away."""

    def problems(self, connection: str, causes: Mapping[str, int]) -> None:
        """Look away."""


class Workshop:
    """All connections of an installation as one worker process has them open."""

    def __init__(
        self,
        folder: Path,
        service: Service,
        turns: Turns,
        clock: Clock,
        env: Mapping[str, str] = os.environ,
        watcher: Watcher | None = None,
    ) -> None:
        self._folder = folder
        self._service = service
        self._turns = turns
        self._clock = clock
        self._env = env
        self._http = Http()
        self._books = SharedBooks(lambda: service)
        self._open: OrderedDict[str, _Opened] = OrderedDict()
        self._lock = threading.Lock()
        self._rng = random.Random()
        self._watcher = watcher or Nobody()
        self._log = logs.logger()

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            opened = list(self._open.values())
            self._open.clear()
        for each in opened:
            each.parts.close()
        self._http.close()

    def forget(self, name: str) -> None:
        """Close a connection that is there no more."""
        with self._lock:
            opened = self._open.pop(name, None)
        if opened is not None:
            opened.parts.close()

    # --- one job -------------------------------------------------------------------------------

    def work(self, job: Job) -> dict[str, Any]:
        """Do one slice and note what came of it; return what whoever asked for it is to know."""
        begun = time.monotonic()
        if job.wanted or job.kind == "force":
            return self._forced(job, begun)
        at = (job.connection, job.kind, job.name, int(job.gen))
        if not self._service.began(at, self._now()):
            return {"outcome": "skipped"}
        with bound_contextvars(connection=job.connection, job=job.id):
            ended = self._slice(job)
        if ended is None:
            return {"outcome": "fenced"}
        self._service.ended(at, ended, self._now())
        self._note(job, ended, begun)
        return {"outcome": ended.outcome}

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _slice(self, job: Job) -> Ended | None:
        """Do a stream's slice; None when another worker has taken it over."""
        stream = self._stream(job)
        self._watcher.began(job, self._now() - (stream.next_due or self._now()))
        home = installation.connections(self._folder).get(job.connection)
        if home is None:
            return Ended(outcome="gone", next_in=None, why="there is no such connection any more")
        try:
            with self._turns.take(job.connection, self._locked(home), hurry=False) as turn:
                done = self._at_work(home, job, turn)
        except GiveWay as pause:
            return Ended(outcome="gave way", next_in=0.0, why=str(pause))
        except Fenced:
            self._log.info("slice fenced", connection=job.connection, job=job.id)
            return None
        except Busy as error:
            return Ended(outcome="put off", next_in=_PUT_OFF_SECONDS, why=str(error))
        except (SyncError, OSError) as error:
            return self._failed(stream, error)
        except Exception as error:  # noqa: BLE001  Our own bug: loud in log and status, and others go on.
            self._log.error(
                "slice broken",
                connection=job.connection,
                job=job.id,
                error=type(error).__name__,
                at=_places(error),
            )
            waits = back_off(stream.fails + 4, self._rng)
            why = f"Tillbridge made a mistake ({type(error).__name__}); the log says where. Please report it."
            return Ended(outcome="broken", next_in=waits, why=why, failed=True)
        return Ended(outcome="done", next_in=self._next_in(stream, done), counts=done.counts)

    def _next_in(self, stream: Stream, done: Done) -> float | None:
        if done.more or not stream.every:
            return 0.0 if done.more else None
        opened = self._open.get(stream.connection)
        if opened is None:
            return stream.every
        shops = shops_at(opened.hours, self._now())
        news = any(n for name, n in done.counts.items() if name != "unchanged")
        named = {str(name): pace for name, pace in paces(wishes_of(opened.parts.config)).items()}
        return interval_after(
            stream, named, shops, self._now(), news=news, at_least=opened.at_least.get(stream.name, 0.0)
        )

    def _failed(self, stream: Stream, error: SyncError | OSError) -> Ended:
        match error:
            case LimitReached(resume_after_seconds=seconds):
                waits = seconds if seconds is not None else back_off(stream.fails, self._rng)
                return Ended(outcome=LIMIT, next_in=waits, why=str(error))
            case Transient(retry_after_seconds=seconds):
                waits = back_off(stream.fails, self._rng, seconds)
                return Ended(outcome="remote down", next_in=waits, why=str(error), failed=True)
        waits = max(_HALTED_SECONDS, stream.every)
        return Ended(outcome="halted", next_in=waits, why=str(error), failed=True)

    def _locked(self, home: Path) -> Path | None:
        """Return where those at the command line lock a connection; on PostgreSQL they take the lease too."""
        return home if self._service.is_sqlite else None

    def _stream(self, job: Job) -> Stream:
        for each in self._service.streams(job.connection):
            if (each.kind, each.name) == (job.kind, job.name):
                return each
        raise AssertionError(job.id)

    def _at_work(self, home: Path, job: Job, turn: Turn) -> Done:
        with self._opened(job.connection, home, turn) as parts, _noted(parts, job.kind) as counts:
            opened = self._open[job.connection]
            self._spend_as(opened, lane_of(job), loading=job.kind == "backfill")
            connection = parts.connect()
            connection.give_way = turn.may_go_on
            self._learn(opened, connection)
            expected = opened.expected(self._now())
            connection.settings = replace(connection.settings, poll_seconds=expected)
            with self._watched(job, opened, connection):
                done = _KINDS[job.kind](parts, connection, job)
            counts.update(done.counts)
            opened.stretch(job)
            return Done(dict(counts), done.more)

    @contextmanager
    def _watched(self, job: Job, opened: _Opened, connection: Connection) -> Iterator[None]:
        """Let whoever watches know what a slice has brought and spent, however it ends."""
        parts, watcher = opened.parts, self._watcher
        try:
            yield
        finally:
            watcher.landed(job.connection, connection.landed)
            for remote, client in (("till", parts.till), ("crm", parts.crm)):
                seen = opened.called.get(remote, Counter[str]())
                now = Counter(client.calls_by_endpoint)
                watcher.called(remote, now - seen)
                opened.called[remote] = now
            watcher.spent(job.connection, parts.spending.spent)
            parts.spending.spent = {}
            if job.kind == "notify":
                watcher.problems(job.connection, parts.journal.count_by_cause())

    def _spend_as(self, opened: _Opened, lane: Lane, *, loading: bool = False) -> None:
        """Say what the slice's calls are for; a load goes slower while the shops are known to be open."""
        now = self._now()
        known = bool(opened.hours) and None not in opened.hours
        spending = opened.parts.spending
        spending.begin(lane, busy=known and shops_at(opened.hours, now).open)
        if opened.survey is not None:
            spending.want(wants(opened.survey, plan_of(opened.parts.config), loading=loading))

    def _note(self, job: Job, ended: Ended, begun: float) -> None:
        seconds = time.monotonic() - begun
        self._watcher.ended(job, ended, seconds)
        moved = {name: count for name, count in ended.counts.items() if count and name != "unchanged"}
        if moved or ended.outcome not in {"done", "gave way", "put off"}:
            self._log.info(
                "slice ended",
                connection=job.connection,
                job=job.id,
                outcome=ended.outcome,
                seconds=round(seconds, 3),
                counts=moved,
                why=ended.why,
            )

    # --- what a person wants now ---------------------------------------------------------------

    def _forced(self, job: Job, begun: float) -> dict[str, Any]:
        home = installation.connections(self._folder).get(job.connection)
        if home is None:
            return {"outcome": "halted", "why": f"There is no connection {job.connection}."}
        try:
            with self._turns.take(job.connection, self._locked(home), hurry=True) as turn:
                fates, run = self._force(home, job, turn)
        except (SyncError, OSError) as error:
            self._note(job, Ended(outcome="halted", next_in=None, why=str(error), failed=True), begun)
            return {"outcome": _outcome(error), "why": str(error), "retry_after": _retry_after(error)}
        self._note(job, Ended(outcome="done", next_in=None, counts={"forced": len(fates)}), begun)
        return {"outcome": "done", "records": fates, "run": run}

    def _force(self, home: Path, job: Job, turn: Turn) -> tuple[list[dict[str, Any]], int | None]:
        with self._opened(job.connection, home, turn) as parts, _noted(parts, _RUNS[job.kind]) as counts:
            parts.spending.begin("urgent")
            connection = parts.connect()
            with self._watched(job, self._open[job.connection], connection):
                delivery = force(
                    connection,
                    customers=job.wanted.get("customer", ()),
                    sales=job.wanted.get("sale", ()),
                    products=job.wanted.get("product", ()),
                )
            counts.update(delivery.counts)
            fates = [fate(parts.state, delivery, kind, i) for kind, ids in job.wanted.items() for i in ids]
            return fates, parts.state.run_id

    # --- open connections ----------------------------------------------------------------------

    @contextmanager
    def _opened(self, name: str, home: Path, turn: Turn) -> Iterator[Parts]:
        """Hand out a connection's parts to the one slice whose turn it is."""
        opened = self._get(name, home)
        opened.door.turn = opened.clock.turn = turn
        opened.parts.state.fence = turn.fence
        try:
            yield opened.parts
        finally:
            opened.parts.spending.settle()
            opened.door.turn = opened.clock.turn = None
            opened.parts.state.fence = None
            opened.parts.state.rest()  # Hundreds of open files would use up the handles.

    def _learn(self, opened: _Opened, connection: Connection) -> None:
        """Learn how much is sold, and when the shops are open unless a person has said so."""
        now = self._now()
        if now - opened.learnt_at < _LEARNT_SECONDS:
            return
        opened.learnt_at = now
        state, zones = connection.state, connection.zones or ("UTC",)
        stamps = state.stamps("sale", now - LEARNT_WEEKS * _WEEK_SECONDS)
        if lines := opened.parts.config.schedule.opening_hours:
            opened.hours = [parse_hours(lines, zone) for zone in zones]
        else:
            # All shops together: whenever one of them sells, the streams that they share are worth reading.
            moments = [datetime.fromtimestamp(stamp, UTC) for stamp in stamps]
            opened.hours = [learnt(moments, zones[0], datetime.fromtimestamp(now, UTC))]
        seen = Seen(
            stores=len(connection.around.stores),
            customers=state.count_linked("customer"),
            products=state.count_linked("product"),
            sales=state.count_linked("sale"),
            stamps=stamps,
            listens=connection.settings.mode in LISTENS,
        )
        opened.survey = survey_of(seen, opened.hours, now)
        opened.lately = of_late(opened.survey, stamps, now)

    def _get(self, name: str, home: Path) -> _Opened:
        changed_at = (home / FILE_NAME).stat().st_mtime_ns
        with self._lock:
            opened = self._open.get(name)
            if opened is not None and opened.changed_at == changed_at:
                self._open.move_to_end(name)
                return opened
        door, clock = Door(self._http), Pauses(self._clock)
        parts = open_home(
            home,
            clock=clock,
            http=door,
            env=self._env,
            books=self._books,
            patience_seconds=PATIENCE_SECONDS_OF_SLICE,
        )
        made = _Opened(parts, door, clock, changed_at)
        with self._lock:
            self._open[name] = made
            if len(self._open) > _OPEN_MAX:
                # Nobody works with it: whoever does has moved it to the end.
                _, rested = self._open.popitem(last=False)
                rested.parts.state.close()
        return made


@dataclass(slots=True)
class _Opened:
    parts: Parts
    door: Door
    clock: Pauses
    changed_at: int
    hours: list[Hours | None] = field(default_factory=list)
    learnt_at: float = float("-inf")
    survey: Survey | None = None  # what is wanted of a day
    lately: Survey | None = None  # what the last day was like
    called: dict[str, Counter[str]] = field(default_factory=dict)
    at_least: dict[str, float] = field(default_factory=dict)  # polls that go slower for want of calls

    def expected(self, now: float) -> dict[str, float]:
        """Return how often each stream is read as things are: read seldom on purpose is not silent."""
        shops, every = shops_at(self.hours, now), paces(wishes_of(self.parts.config))
        return {
            str(name): interval(
                every[name], Standing(), shops, now, at_least=self.at_least.get(str(name), 0.0)
            )
            for name in _POLLED
        }

    def stretch(self, job: Job) -> None:
        """Let a poll go as slowly as the calls of its lane make it: they are to last for a day."""
        pace = {str(name): pace for name, pace in paces(wishes_of(self.parts.config)).items()}.get(job.name)
        left = self.parts.spending.left_a_day()
        if job.kind != "poll" or pace is None or self.lately is None or left is None:
            return
        name = next(each for each in _POLLED if each == job.name)
        self.at_least[job.name] = least_interval(name, pace, self.lately, left)


def _places(error: BaseException) -> str:
    """Say where an error happened, without what it says: that may name people."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))


@contextmanager
def _noted(parts: Parts, job: str) -> Iterator[Counter[str]]:
    """Write a run down, unless nothing came of it: a quiet poll each minute is no story."""
    run = parts.journal.start(job)
    till, crm = parts.till.calls, parts.crm.calls
    counts: Counter[str] = Counter()
    outcome = "broken"
    try:
        with bound_contextvars(run=run):
            yield counts
        outcome = "done"
    except BaseException as error:
        outcome = _outcome(error)
        raise
    finally:
        if outcome == "fenced":
            pass  # It is the other one's run by now.
        elif outcome in {"done", "gave way"} and not any(
            n for name, n in counts.items() if name != "unchanged"
        ):
            parts.journal.drop(run)
        else:
            parts.journal.end(run, outcome, counts, parts.till.calls - till, parts.crm.calls - crm)
        if outcome != "fenced":
            note_calls(parts.state, parts.till.calls - till, parts.crm.calls - crm)


def _outcome(error: BaseException) -> str:
    match error:
        case GiveWay():
            return "gave way"
        case Fenced():
            return "fenced"
    return outcome_of(error)


def _retry_after(error: BaseException) -> float | None:
    match error:
        case LimitReached(resume_after_seconds=seconds):
            return seconds
        case Transient(retry_after_seconds=seconds):
            return seconds
    return None


# --- what each kind does -------------------------------------------------------------------------


def _poll(_parts: Parts, connection: Connection, job: Job) -> Done:
    return Done(*sync_slice(connection, {job.name}))


def _replay(_parts: Parts, connection: Connection, _job: Job) -> Done:
    return Done(*sync_slice(connection, {AGAIN}))


def _cross_check(parts: Parts, connection: Connection, _job: Job) -> Done:
    """Run the checks that are due, behind a poll: what that tells was not missed."""
    due = crosscheck.due(connection)
    if not due:
        return Done({})
    # Voids are read as often as lines are checked: only what looks far back could take one for missed.
    far = any(check.every > _CHECKS_THAT_WAIT for check in due)
    counts, more = sync_slice(connection, {SALES, VOIDS} if far else {SALES})
    if more:
        return Done(counts, more=True)
    for number, check in enumerate(due):
        if number:
            connection.give_way()
        # What looks far back can wait longer than what makes up for a late line.
        parts.spending.begin("sales" if check.every < _CHECKS_THAT_WAIT else "sweep")
        counts.update(crosscheck.run_check(connection, check).counts)
    return Done(counts)


def _sweep(_parts: Parts, connection: Connection, _job: Job) -> Done:
    return Done(sweep(connection).counts)


def _certify(_parts: Parts, connection: Connection, _job: Job) -> Done:
    """Prove the oldest business day that is over and not yet proven."""
    days = certificate.due(connection)
    if not days:
        return Done({})
    counts: Counter[str] = Counter()
    try:
        polled, more = sync_slice(connection, {SALES, VOIDS, AGAIN})
        counts.update(polled)
        if more:
            return Done(counts, more=True)
        day, stores = next(iter(days.items()))
        proven = certificate.prove(connection, day, stores)
    except (GiveWay, Fenced):
        raise
    except SyncError as error:
        Days(connection.state).note_held_up(str(error))
        raise
    counts["receipts"] += sum(totals.sales for totals in proven.till.values())
    counts["differences"] += len(proven.differences) + len(proven.receipts)
    return Done(counts, more=len(days) > 1)


def _notify(parts: Parts, _connection: Connection, _job: Job) -> Done:
    told = alerts.tell(parts, parts.clock.now())
    if told.failed:
        logs.logger().info("alerts not sent", failed=len(told.failed))
    return Done({"told": told.sent, "not told": len(told.failed)})


def _backfill(parts: Parts, connection: Connection, _job: Job) -> Done:
    """Load the history as far as one turn goes; it goes on where it was left."""
    counts: Counter[str] = Counter()
    parts.crm.history = True
    try:
        for load in STEPS.values():
            counts.update(load(connection))
            connection.give_way()
    finally:
        parts.crm.history = False
    return Done(counts)


_KINDS: Mapping[str, Callable[[Parts, Connection, Job], Done]] = {
    "poll": _poll,
    "replay": _replay,
    "cross-check": _cross_check,
    "sweep": _sweep,
    "certify": _certify,
    "notify": _notify,
    "backfill": _backfill,
}

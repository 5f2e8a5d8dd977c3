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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tillbridge import alerts, installation, logs
from tillbridge.config import FILE_NAME, Config
from tillbridge.connectors.http import Http
from tillbridge.engine import certificate, crosscheck
from tillbridge.engine.backfill import STEPS
from tillbridge.engine.connection import Connection
from tillbridge.engine.fates import fate
from tillbridge.engine.jobs import Job
from tillbridge.engine.schedule import back_off, interval_after
from tillbridge.engine.streams import SALES, VOIDS
from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import AGAIN, force, sync_slice
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Busy, Fenced, GiveWay, LimitReached, SyncError, Transient
from tillbridge.store.days import Days
from tillbridge.store.service import Ended, Service, Stream
from tillbridge.sync.schedule import LEARNT_WEEKS, Hours, learnt, paces, parse_hours, shops_at
from tillbridge.sync.schedule import Stream as Polled
from tillbridge.turns import Door, Pauses, Turn, Turns
from tillbridge.wiring import Parts, open_home, wishes_of

# Behind another job of the same connection, or a run at the command line.
_PUT_OFF_SECONDS = 2.0

# What a person has to put right is looked at again so often.
_HALTED_SECONDS = 300.0

# So many connections stay open with their logins; those beyond are opened again for every slice.
_OPEN_MAX = 200

_POLLED: tuple[Polled, ...] = ("sales", "customers", "products", "stock")

# A void need not move its sale's stamp, so voids have a list of their own: one GET each time.
_VOIDS_SECONDS = 300.0

# These look into our own tables, and call nobody when there is nothing to do.
_REPLAY_SECONDS = 300.0
_NOTIFY_SECONDS = 300.0
_CERTIFY_SECONDS = 3_600.0

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
        ("poll", VOIDS): max(_VOIDS_SECONDS, config.schedule.sales_seconds),
        ("replay", ""): _REPLAY_SECONDS,
        ("cross-check", ""): wished["check"].open_seconds,
        ("sweep", ""): wished["sweep"].open_seconds,
        ("certify", ""): _CERTIFY_SECONDS,
        ("notify", ""): _NOTIFY_SECONDS,
        ("backfill", ""): 0.0,
    }


def wanted_kinds() -> frozenset[str]:
    """Return the kinds of what is done again and again."""
    return frozenset(_KINDS)


class Workshop:
    """All connections of an installation as one worker process has them open."""

    def __init__(
        self,
        folder: Path,
        service: Service,
        turns: Turns,
        clock: Clock,
        env: Mapping[str, str] = os.environ,
        on_end: Callable[[Job, Ended, float], None] | None = None,
    ) -> None:
        self._folder = folder
        self._service = service
        self._turns = turns
        self._clock = clock
        self._env = env
        self._http = Http()
        self._open: OrderedDict[str, _Opened] = OrderedDict()
        self._lock = threading.Lock()
        self._rng = random.Random()
        self._on_end = on_end or _nobody_listens
        self._log = logs.logger()

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            opened = list(self._open.values())
            self._open.clear()
        for each in opened:
            each.parts.close()
        self._http.close()

    # --- one job -------------------------------------------------------------------------------

    def work(self, job: Job) -> dict[str, Any]:
        """Do one slice and note what came of it; return what whoever asked for it is to know."""
        begun = time.monotonic()
        if job.kind == "force":
            return self._forced(job, begun)
        at = (job.connection, job.kind, job.name, int(job.gen))
        if not self._service.began(at, self._now()):
            return {"outcome": "skipped"}
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
        home = installation.connections(self._folder).get(job.connection)
        if home is None:
            return Ended(outcome="gone", next_in=None, why="there is no such connection any more")
        try:
            with self._turns.take(job.connection, home, hurry=False) as turn:
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
        return interval_after(stream, named, shops, self._now(), news=news)

    def _failed(self, stream: Stream, error: SyncError | OSError) -> Ended:
        match error:
            case LimitReached(resume_after_seconds=seconds):
                waits = seconds if seconds is not None else back_off(stream.fails, self._rng)
                return Ended(outcome="limit", next_in=waits, why=str(error))
            case Transient(retry_after_seconds=seconds):
                waits = back_off(stream.fails, self._rng, seconds)
                return Ended(outcome="remote down", next_in=waits, why=str(error), failed=True)
        waits = max(_HALTED_SECONDS, stream.every)
        return Ended(outcome="halted", next_in=waits, why=str(error), failed=True)

    def _stream(self, job: Job) -> Stream:
        for each in self._service.streams(job.connection):
            if (each.kind, each.name) == (job.kind, job.name):
                return each
        raise AssertionError(job.id)

    def _at_work(self, home: Path, job: Job, turn: Turn) -> Done:
        with self._opened(job.connection, home, turn) as parts, _noted(parts, job.kind) as counts:
            connection = parts.connect()
            connection.give_way = turn.may_go_on
            self._learn_hours(job.connection, connection)
            done = _KINDS[job.kind](parts, connection, job)
            counts.update(done.counts)
            return Done(dict(counts), done.more)

    def _note(self, job: Job, ended: Ended, begun: float) -> None:
        seconds = time.monotonic() - begun
        self._on_end(job, ended, seconds)
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
            with self._turns.take(job.connection, home, hurry=True) as turn:
                fates, run = self._force(home, job, turn)
        except (SyncError, OSError) as error:
            self._note(job, Ended(outcome="halted", next_in=None, why=str(error), failed=True), begun)
            return {"outcome": _outcome(error), "why": str(error), "retry_after": _retry_after(error)}
        self._note(job, Ended(outcome="done", next_in=None, counts={"forced": len(fates)}), begun)
        return {"outcome": "done", "records": fates, "run": run}

    def _force(self, home: Path, job: Job, turn: Turn) -> tuple[list[dict[str, Any]], int | None]:
        with self._opened(job.connection, home, turn) as parts, _noted(parts, "sync") as counts:
            connection = parts.connect()
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
            opened.door.turn = opened.clock.turn = None
            opened.parts.state.fence = None
            opened.parts.state.close()  # The file only: hundreds of them would use up the handles.

    def _learn_hours(self, name: str, connection: Connection) -> None:
        """Learn when the shops are open from when they have sold, unless a person has said so."""
        opened, now = self._open.get(name), self._now()
        if opened is None or now - opened.learnt_at < _LEARNT_SECONDS:
            return
        opened.learnt_at = now
        zones = connection.zones or ("UTC",)
        if lines := opened.parts.config.schedule.opening_hours:
            opened.hours = [parse_hours(lines, zone) for zone in zones]
            return
        # All shops together: whenever one of them sells, the streams that they share are worth reading.
        stamps = connection.state.stamps("sale", now - LEARNT_WEEKS * _WEEK_SECONDS)
        moments = [datetime.fromtimestamp(stamp, UTC) for stamp in stamps]
        opened.hours = [learnt(moments, zones[0], datetime.fromtimestamp(now, UTC))]

    def _get(self, name: str, home: Path) -> _Opened:
        changed_at = (home / FILE_NAME).stat().st_mtime_ns
        with self._lock:
            opened = self._open.get(name)
            if opened is not None and opened.changed_at == changed_at:
                self._open.move_to_end(name)
                return opened
        door, clock = Door(self._http), Pauses(self._clock)
        parts = open_home(home, clock=clock, http=door, env=self._env)
        made = _Opened(parts, door, clock, changed_at)
        with self._lock:
            self._open[name] = made
            if len(self._open) > _OPEN_MAX:
                # Nobody works with it: whoever does has moved it to the end.
                self._open.popitem(last=False)
        return made


@dataclass(slots=True)
class _Opened:
    parts: Parts
    door: Door
    clock: Pauses
    changed_at: int
    hours: list[Hours | None] = field(default_factory=list)
    learnt_at: float = float("-inf")


def _nobody_listens(_job: Job, _ended: Ended, _seconds: float) -> None:
    """Take note of nothing."""


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


def _outcome(error: BaseException) -> str:
    match error:
        case GiveWay():
            return "gave way"
        case Fenced():
            return "fenced"
        case LimitReached():
            return "limit"
        case Transient():
            return "remote_down"
        case SyncError():
            return "halted"
    return "broken"


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


def _cross_check(_parts: Parts, connection: Connection, _job: Job) -> Done:
    """Run the first check that is due, behind a poll: what that tells was not missed."""
    due = crosscheck.due(connection)
    if not due:
        return Done({})
    counts, more = sync_slice(connection, {SALES, VOIDS})
    if more:
        return Done(counts, more=True)
    counts.update(crosscheck.run_check(connection, due[0]).counts)
    return Done(counts, more=len(due) > 1)


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

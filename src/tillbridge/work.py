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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from structlog.contextvars import bound_contextvars

from tillbridge import alerts, installation, logs
from tillbridge.config import FILE_NAME, Config, located
from tillbridge.connectors.http import Http
from tillbridge.engine.connection import Connection
from tillbridge.engine.fates import fate
from tillbridge.engine.jobs import Job
from tillbridge.engine.room import check_room_of
from tillbridge.engine.schedule import back_off, interval_after
from tillbridge.engine.streams import CUSTOMERS, PRODUCTS, SALES, STOCK, VOIDS
from tillbridge.engine.sync import LISTENS, force
from tillbridge.engine.underway import Underway
from tillbridge.kinds import KINDS, Done
from tillbridge.model.clock import Clock
from tillbridge.model.errors import (
    Busy,
    ConfigurationInvalid,
    Fenced,
    GiveWay,
    LimitReached,
    SyncError,
    Transient,
)
from tillbridge.noted import noted, word_of
from tillbridge.spending import GOES_ON, PATIENCE_SECONDS_OF_SLICE, SharedBooks, goes_on
from tillbridge.store.service import DOWN, LIMIT, Ended, Service, Stream
from tillbridge.sync.demand import Seen, least_interval, of_late, survey_of, wants
from tillbridge.sync.forecast import Survey
from tillbridge.sync.freshness import Landed
from tillbridge.sync.quota import Lane
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

# Behind another job of the same connection, or a run at the command line: twice as long each time.
_PUT_OFF_SECONDS = 2.0
_PUT_OFF_SECONDS_MAX = 8.0
_PUT_OFF = "put off"

# A remote that is down is asked again so often at least: when it is back, receipts are to go on soon.
_DOWN_SECONDS_MAX = 600.0
_GONE_SECONDS_MAX = 60.0

# While polls find a remote down, what can wait looks for itself this often only, counted in its own turns.
_LOOKS_ITSELF = 4

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

# These ask no remote: they work also where nobody can log in.
_AT_HOME = frozenset(("notify",))

# What finds out whether a remote is back; everything else waits for it.
_PROBES = frozenset(("poll",))

# These could bring the history in: the room for it is looked at before they do.
_BRINGS_HISTORY = frozenset(("poll", "cross-check", "sweep", "certify"))

# What takes long stands in the journal from its beginning, for people to see.
_LONG = frozenset(("backfill", "sweep"))

# What may end a long slice of its own connection rather than wait for it.
_OVERTAKING = frozenset(("poll", "replay"))

# What stands still for whoever is in a hurry, rather than be ended and begin its wave again.
_LENDING = frozenset(("backfill",))

# A connection whose load stands still is opened once more, beside what the load has in hand.
_ASIDE = " aside"

# When the shops are open is learnt anew so often.
_LEARNT_SECONDS = 3_600.0
_WEEK_SECONDS = 7 * 86_400.0


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
    return _AT_HOME | KINDS.keys()


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
        self._homes: dict[str, Path] = {}
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
            found = [self._open.pop(slot, None) for slot in (name, name + _ASIDE)]
        for opened in filter(None, found):
            opened.parts.close()

    # --- one job -------------------------------------------------------------------------------

    def work(self, job: Job) -> dict[str, Any]:
        """Do one slice and note what came of it; return what whoever asked for it is to know."""
        begun = time.monotonic()
        if job.wanted or job.kind == "force":
            return self._forced(job, begun)
        at = (job.connection, job.kind, job.name, int(job.gen))
        stream = self._service.began(at, self._now())
        if stream is None:
            return {"outcome": "skipped"}
        with bound_contextvars(connection=job.connection, job=job.id):
            ended = self._slice(job, stream)
        if ended is None:
            return {"outcome": "fenced"}
        self._service.ended(at, ended, self._now())
        self._note(job, ended, begun)
        return {"outcome": ended.outcome}

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _slice(self, job: Job, stream: Stream) -> Ended | None:
        """Do a stream's slice; None when another worker has taken it over."""
        self._watcher.began(job, self._now() - (stream.next_due or self._now()))
        try:
            home = self._home(job.connection)
            if home is None:
                waits = back_off(stream.fails, self._rng, at_most=_GONE_SECONDS_MAX)
                return Ended(outcome="gone", next_in=waits, why="its folder is not there", failed=True)
            if (held := self._held_back(stream)) is not None:
                return held
            with self._turns.take(
                job.connection,
                self._locked(home),
                hurry=False,
                overtakes=job.kind in _OVERTAKING,
                lends=job.kind in _LENDING,
            ) as turn:
                done = self._at_work(home, job, turn)
        except GiveWay as pause:
            return Ended(outcome="gave way", next_in=0.0, why=str(pause))
        except Fenced:
            self._log.info("slice fenced", connection=job.connection, job=job.id)
            return None
        except Busy as error:
            before = (stream.waits or 0.0) if stream.outcome == _PUT_OFF else 0.0
            waits = min(_PUT_OFF_SECONDS_MAX, max(_PUT_OFF_SECONDS, 2 * before))
            return Ended(outcome=_PUT_OFF, next_in=waits, why=str(error))
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
        if stream.outcome == DOWN:
            self._service.resume_all(stream.connection, DOWN, self._now())
        return Ended(outcome="done", next_in=self._next_in(stream, done), counts=done.counts)

    def _home(self, name: str) -> Path | None:
        """Return a connection's home; while the installation's file cannot be read, where it was."""
        try:
            home = installation.home_of(self._folder, name)
        except ConfigurationInvalid:
            home = self._homes.get(name)
            if home is None:
                raise
            return home if (home / FILE_NAME).is_file() else None
        if home is not None:
            self._homes[name] = home
        return home

    def _held_back(self, stream: Stream) -> Ended | None:
        """Let what can wait do so while polls find the remote down: it would hang beside them."""
        if stream.kind in _PROBES | _AT_HOME or stream.fails % _LOOKS_ITSELF == _LOOKS_ITSELF - 1:
            return None
        for each in self._service.streams(stream.connection):
            if each.kind in _PROBES and each.outcome == DOWN and each.fails and not each.paused:
                waits = back_off(stream.fails, self._rng, at_most=_DOWN_SECONDS_MAX)
                return Ended(outcome=DOWN, next_in=waits, why=each.why, failed=True)
        return None

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
                waits = back_off(stream.fails, self._rng, seconds, at_most=_DOWN_SECONDS_MAX)
                return Ended(outcome=DOWN, next_in=waits, why=str(error), failed=True)
        waits = max(_HALTED_SECONDS, stream.every)
        return Ended(outcome="halted", next_in=waits, why=str(error), failed=True)

    def _locked(self, home: Path) -> Path | None:
        """Return where those at the command line lock a connection; on PostgreSQL they take the lease too."""
        return home if self._service.is_sqlite else None

    def _at_work(self, home: Path, job: Job, turn: Turn) -> Done:
        with (
            self._opened(job.connection, home, turn) as opened,
            noted(opened.parts, _noted_as(job), at_once=job.kind in _LONG) as counts,
            _stop_noted(opened.parts),
        ):
            parts = opened.parts
            if job.kind in _AT_HOME:
                return self._tell_people(parts, job)
            self._spend_as(opened, lane_of(job), loading=job.kind == "backfill")
            connection = parts.connect()
            if job.kind in _BRINGS_HISTORY:
                check_room_of(connection, job.name)
            connection.give_way = turn.may_go_on
            if turn.lend is not None:
                connection.let_pass = partial(_let_pass, turn, parts, len(parts.tombstones.witnessed()))
            self._learn(opened, connection)
            expected = opened.expected(self._now())
            connection.settings = replace(connection.settings, poll_seconds=expected)
            with self._watched(job, opened, connection):
                done = KINDS[job.kind](parts, connection, job)
            counts.update(done.counts)
            opened.stretch(job)
            return Done(dict(counts), done.more)

    def _tell_people(self, parts: Parts, job: Job) -> Done:
        """Send what people are to hear of, and ask neither side: it may be that nobody can log in."""
        told = alerts.tell(parts, parts.clock.now())
        if told.failed:
            self._log.info("alerts not sent", failed=len(told.failed))
        self._watcher.problems(job.connection, parts.journal.count_by_cause())
        return Done({"told": told.sent, "not told": len(told.failed)})

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
        if moved or ended.outcome not in {"done", "gave way", _PUT_OFF} or job.wanted:
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
        try:
            home = self._home(job.connection)
            if home is None:
                return {"outcome": "halted", "why": f"There is no connection {job.connection}."}
            with self._turns.take(job.connection, self._locked(home), hurry=True) as turn:
                fates, run = self._force(home, job, turn)
        except (SyncError, OSError) as error:
            return self._not_forced(job, error, begun)
        self._note(job, Ended(outcome="done", next_in=None, counts={"forced": len(fates)}), begun)
        return {"outcome": "done", "records": fates, "run": run}

    def _not_forced(self, job: Job, error: SyncError | OSError, begun: float) -> dict[str, Any]:
        """Say why a wish was not carried out: what has to wait is no failure, and says until when."""
        seconds, why = _retry_after(error), str(error)
        answer = {"outcome": word_of(error), "why": why, "retry_after": seconds}
        match error:
            case LimitReached():
                if seconds is not None:
                    at = datetime.fromtimestamp(self._now() + seconds, UTC)
                    answer["until"] = at.isoformat(timespec="seconds")
                    answer["why"] = why = why if GOES_ON in why else f"{why}; {goes_on(at, seconds)}"
                ended = Ended(outcome=LIMIT, next_in=None, why=why)
            case Transient():
                ended = Ended(outcome=DOWN, next_in=None, why=why, failed=True)
            case Busy() | GiveWay():
                ended = Ended(outcome=_PUT_OFF, next_in=None, why=why)
            case _:
                ended = Ended(outcome="halted", next_in=None, why=why, failed=True)
        self._note(job, ended, begun)
        return answer

    def _force(self, home: Path, job: Job, turn: Turn) -> tuple[list[dict[str, Any]], int | None]:
        with (
            self._opened(job.connection, home, turn) as opened,
            noted(opened.parts, _RUNS[job.kind], for_person=True) as counts,
        ):
            parts = opened.parts
            parts.spending.begin("urgent")
            connection = parts.connect()
            with self._watched(job, opened, connection):
                delivery = force(
                    connection,
                    customers=job.wanted.get("customer", ()),
                    sales=job.wanted.get("sale", ()),
                    products=job.wanted.get("product", ()),
                    people=job.wanted.get("person", ()),
                )
            counts.update(delivery.counts)
            if parts.spending.has_looked:
                # The org takes calls again before the time that was reckoned with: everybody goes on.
                self._service.resume_limited(job.connection, self._now())
            fates = [fate(parts.state, delivery, kind, i) for kind, ids in job.wanted.items() for i in ids]
            return fates, parts.state.run_id

    # --- open connections ----------------------------------------------------------------------

    @contextmanager
    def _opened(self, name: str, home: Path, turn: Turn) -> Iterator[_Opened]:
        """Hand out a connection's parts to the one slice whose turn it is."""
        opened = self._get(name, home)
        opened.door.turn = opened.clock.turn = turn
        opened.parts.state.fence = turn.fence
        try:
            yield opened
        finally:
            opened.parts.spending.settle()
            opened.underway.rest()
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
            slot, opened = name, self._open.get(name)
            if opened is not None and opened.door.turn is not None:
                slot, opened = name + _ASIDE, self._open.get(name + _ASIDE)
            if opened is not None and opened.changed_at == changed_at:
                self._open.move_to_end(slot)
                return opened
        door, clock = Door(self._http), Pauses(self._clock)
        underway = Underway(self._service, name, self._now)
        opens = partial(
            open_home,
            home,
            clock=clock,
            progress=underway,
            http=door,
            env=self._env,
            books=self._books,
            patience_seconds=PATIENCE_SECONDS_OF_SLICE,
            service=self._service,
        )
        try:
            parts = opens()
        except ConfigurationInvalid as error:
            # What was good stays in force until what it was changed to is, too: also for whoever works
            # beside a load that stands still.
            good = opened or self._open.get(name)
            if good is None:
                raise located(home, error) from error
            if good.unreadable_at != changed_at:
                good.unreadable_at = changed_at
                self._log.error("configuration not taken", connection=name, error=str(located(home, error)))
            if opened is not None:
                return opened
            parts = opens(config=good.parts.config)
        made = _Opened(parts, door, clock, underway, changed_at)
        with self._lock:
            self._open[slot] = made
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
    underway: Underway
    changed_at: int
    unreadable_at: int | None = None  # a later change that could not be read
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


def _noted_as(job: Job) -> str:
    """Return under which word a run stands in the journal: a poll with its stream."""
    return f"poll {job.name}" if job.kind == "poll" else job.kind


@contextmanager
def _stop_noted(parts: Parts) -> Iterator[None]:
    """Remember why a slice stopped, for whoever is told of the silence."""
    try:
        yield
    except (GiveWay, Fenced):
        raise
    except SyncError as error:
        if (run := parts.state.run_id) is not None:
            alerts.note_stop(parts, run, str(error))
        raise


def _let_pass(turn: Turn, parts: Parts, erasures: int) -> None:
    """Let others work while a load stands still. Raises GiveWay when somebody was erased meanwhile.

    Of those who were, it may have rows in hand.
    """
    if turn.let_pass() and len(parts.tombstones.witnessed()) != erasures:
        raise GiveWay("Somebody was erased; what was prepared is prepared again without them.")


def _places(error: BaseException) -> str:
    """Say where an error happened, without what it says: that may name people."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))


def _retry_after(error: BaseException) -> float | None:
    match error:
        case LimitReached(resume_after_seconds=seconds):
            return seconds
        case Transient(retry_after_seconds=seconds):
            return seconds
    return None

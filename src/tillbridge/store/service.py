"""What all workers of an installation share: due times, workers, leases, budgets, stop marks, settings.

One file `service.sqlite` beside the connections' homes, or the schema `tillbridge`
of a PostgreSQL database; the same statements on both. The jobs themselves stand
in the job engine's own tables in the same database, so that a due time and its
job are committed together.

No Alembic history here, other than for a connection's state: everything in it
but budgets and pauses can be made anew from the configuration and the
connections' own cursors, so tables are created as they are and a version row
says which step of `_STEPS` was the last.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tillbridge.model.errors import ConfigurationInvalid, Halted, SyncError
from tillbridge.store.database import plain_words

FILE_NAME = "service.sqlite"
SCHEMA = "tillbridge"

# Every job takes a connection for some milliseconds at its beginning and end; forty run at once.
_POOL = 16

# What a slice ends with that may not spend any more for now: its stream waits until then.
LIMIT = "limit"

# What a slice ends with whose remote does not answer, or answers that it cannot.
DOWN = "remote down"

# Workers' clocks differ by seconds: a due time is too far ahead only beyond that.
_CLOCKS_DIFFER_SECONDS = 30.0

T = TypeVar("T")

_meta = sa.MetaData()

# One row for everything that is done again and again: what is due when, and what came of it.
stream = sa.Table(
    "stream",
    _meta,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),  # "" where a kind has one stream only
    sa.Column("every", sa.Float, nullable=False),  # seconds; 0: only when somebody wishes it
    sa.Column("next_due", sa.Float),  # None: not by itself
    sa.Column("gen", sa.Integer, nullable=False, default=0),  # the number of the newest job
    sa.Column("queued", sa.Boolean, nullable=False, default=False),  # that job has not ended yet
    sa.Column("dirty", sa.Boolean, nullable=False, default=False),  # something came while it was at it
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    sa.Column("why", sa.Text),  # why next_due is what it is, where that is not the interval
    sa.Column("fails", sa.Integer, nullable=False, default=0),  # in a row
    sa.Column("began_at", sa.Float),
    sa.Column("ended_at", sa.Float),
    sa.Column("outcome", sa.Text),
    sa.Column("counts", sa.Text),
    sa.Column("waits", sa.Float),  # seconds from its end to next_due, as planned
    sa.Index("stream_due", "next_due"),
)

# Connections whose folder is not there for now. All that is kept of them stays, and nothing of it is due.
away = sa.Table(
    "away",
    _meta,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("since", sa.Float, nullable=False),
)

worker = sa.Table(
    "worker",
    _meta,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("reaped", sa.Boolean, nullable=False, default=False),
)

# Who may write with a connection. `token` grows with every holder: an old one is known by its number.
lease = sa.Table(
    "lease",
    _meta,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("token", sa.Integer, nullable=False, default=0),
    sa.Column("holder", sa.Text),
    sa.Column("until", sa.Float),
    sa.Column("wanted_until", sa.Float),  # somebody in a hurry waits for it
    sa.Column("person_until", sa.Float),  # and that is a person
)

# What is left of a remote quota, as sync.budget keeps it; `version` counts changes, 0: nothing known yet.
budget = sa.Table(
    "budget",
    _meta,
    sa.Column("quota", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

# What is to stand still: a whole connection, or one running job by its id.
stop = sa.Table(
    "stop",
    _meta,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
)

setting = sa.Table(
    "setting",
    _meta,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

_version = sa.Table("service_version", _meta, sa.Column("version", sa.Integer, primary_key=True))

# What brings older tables up to date: statements by the version that they lead to.
_STEPS: Mapping[int, tuple[str, ...]] = {
    2: ("ALTER TABLE stream ADD COLUMN waits FLOAT",),
    3: ("ALTER TABLE lease ADD COLUMN person_until FLOAT",),
}
VERSION = 3


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is done again and again, and where it stands."""

    connection: str
    kind: str
    name: str
    every: float
    next_due: float | None
    gen: int
    queued: bool
    dirty: bool
    paused: bool
    why: str | None
    fails: int
    began_at: float | None
    ended_at: float | None
    outcome: str | None
    counts: str | None
    waits: float | None = None

    @property
    def job(self) -> str:
        """Return the id of its newest job."""
        return job_id(self.connection, self.kind, self.name, self.gen)

    def limited(self, now: float) -> bool:
        """Say whether it waits for API calls: it goes on by itself at its next due time."""
        waits = self.next_due is not None and self.next_due > now
        return waits and self.outcome == LIMIT and not self.queued


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a slice. `next_in`: seconds until the next one; None: not by itself."""

    outcome: str
    next_in: float | None
    why: str | None = None
    counts: Mapping[str, int] = {}
    failed: bool = False


class Rested(msgspec.Struct, frozen=True):
    """Which of a connection's polls people let rest, and when they last let any of it go on."""

    paused: frozenset[str] = frozenset()
    resumed_at: float = 0.0


class Worker(msgspec.Struct, frozen=True):
    """A process that works, and when it was last seen."""

    id: str
    seen: float
    since: float
    reaped: bool


# --- what every slice asks: worded once ------------------------------------------------------------

_JOB = ("of_connection", "of_kind", "of_name", "of_gen")
_of_job = (
    *(stream.c[name.removeprefix("of_")] == sa.bindparam(name) for name in _JOB),
    stream.c.queued,
)
_stopped = sa.exists().where(stop.c.scope == sa.bindparam("of_connection"))
_BEGAN = (
    sa.update(stream)
    .where(*_of_job)
    .values(began_at=sa.bindparam("now"))
    .returning(*(stream.c[name] for name in Stream.__struct_fields__), _stopped.label("stopped"))
)
_PASSED_OVER = sa.update(stream).where(*_of_job).values(queued=False)
_ENDED = (
    sa.update(stream)
    .where(*_of_job)
    .values(
        queued=False,
        # What came while it was at it wants another look at once.
        next_due=sa.case(
            (stream.c.dirty, sa.bindparam("now", type_=sa.Float)), else_=sa.bindparam("due", type_=sa.Float)
        ),
        why=sa.bindparam("told", type_=sa.Text),
        fails=sa.case((sa.bindparam("failed", type_=sa.Boolean), stream.c.fails + 1), else_=0),
        ended_at=sa.bindparam("now", type_=sa.Float),
        outcome=sa.bindparam("word"),
        counts=sa.bindparam("counted"),
        waits=sa.bindparam("seconds", type_=sa.Float),
    )
)

_is_free = sa.or_(lease.c.until.is_(None), lease.c.until <= sa.bindparam("now"))
_is_unwanted = sa.or_(lease.c.wanted_until.is_(None), lease.c.wanted_until <= sa.bindparam("now"))
_take = (
    sa.update(lease)
    .where(lease.c.name == sa.bindparam("of"), _is_free)
    .values(holder=sa.bindparam("by"), until=sa.bindparam("then"), token=lease.c.token + 1)
    .returning(lease.c.token)
)
_no_person_waits = sa.or_(lease.c.person_until.is_(None), lease.c.person_until <= sa.bindparam("now"))
_TAKE = _take.where(_is_unwanted)
_TAKE_OVERTAKING = _take.where(_no_person_waits).values(wanted_until=None)
_TAKE_FOR_A_PERSON = _take.values(wanted_until=None, person_until=None)
_GIVE_BACK = (
    sa.update(lease)
    .where(lease.c.name == sa.bindparam("of"), lease.c.token == sa.bindparam("number"))
    .values(holder=None, until=None)
)


def job_id(connection: str, kind: str, name: str, gen: int | str) -> str:
    """Return a job's id: it begins with its connection, so that jobs can be listed by that."""
    return f"{connection}/{kind}/{name or '-'}/{gen}"


def service_url(folder: Path, database_url: str | None) -> sa.URL:
    """Return where an installation's shared tables are."""
    if database_url is None:
        return sa.make_url(f"sqlite:///{folder / FILE_NAME}")
    shape = "must be an address such as postgresql://user:password@host/database"
    try:
        url = sa.make_url(database_url)
    except (sa.exc.ArgumentError, ValueError) as error:  # The latter: a port that is no number.
        raise ConfigurationInvalid([("service.database_url", shape)]) from error
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationInvalid([("service.database_url", shape)])
    if any(sign in (url.database or "") for sign in "@/"):
        # What follows such a sign in a password is read as the host and the database, and would be shown.
        reason = f"{shape}; an @, / or : in the password is written as %40, %2F or %3A"
        raise ConfigurationInvalid([("service.database_url", reason)])
    return url.set(drivername="postgresql+psycopg")


def open_service(url: sa.URL, *, pooled: bool = True) -> Service:
    """Open the shared tables and bring them up to date. Raises ConfigurationInvalid, Halted.

    Not `pooled`: every transaction has a connection of its own; for whoever only counts calls.
    """
    turn = threading.Lock()
    engine = _engine(url, turn, pooled=pooled)
    quick = _engine(url, turn, pooled=pooled, synchronous="NORMAL") if _is_file(url) else engine
    service = Service(engine, url, quick)
    if not _is_up_to_date(service):
        with service.begin() as c:
            _bring_up_to_date(c, url)
    return service


def _is_up_to_date(service: Service) -> bool:
    """Look without locking anybody out: most of those who open the tables find them as they are to be."""
    try:
        with service.begin() as c:
            return c.execute(sa.select(_version.c.version)).scalar() == VERSION
    except (SyncError, sa.exc.ProgrammingError):  # The latter: there are no tables yet.
        return False


def _is_file(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: sa.URL, turn: threading.Lock, *, pooled: bool, synchronous: str = "FULL") -> sa.Engine:
    pool: dict[str, Any] = {"pool_size": _POOL} if pooled else {"poolclass": sa.pool.NullPool}
    if _is_file(url):
        path = Path(url.database or "")
        if not path.exists():
            try:
                # EXCL: closing one that is there would drop the locks of this process on it.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                pass  # Another process was faster.
            except OSError as error:
                raise ConfigurationInvalid([(str(path), f"cannot be made: {error.strerror}")]) from error
        if pooled:
            pool["max_overflow"] = 2 * _POOL
        engine = sa.create_engine(url, **pool)
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, synchronous))
        _queue_writers(engine, turn)
        return engine
    path_of_schemas = {"options": f"-csearch_path={SCHEMA}"}
    return sa.create_engine(url, **pool, pool_pre_ping=True, connect_args=path_of_schemas)


def _prepare_sqlite(synchronous: str, connection: sqlite3.Connection, _record: Any) -> None:
    """Set up a connection of the file that the job engine shares with us.

    The job engine asks SQLite for times in ways that fail or are a second coarse, depending on the
    versions of Python and SQLite: they are answered here. No statement of ours may use these functions.
    """
    connection.isolation_level = "IMMEDIATE"
    for pragma in (
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "busy_timeout=30000",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    if sys.version_info < (3, 12):
        connection.create_function("strftime", 2, _seconds_now)
    elif sqlite3.sqlite_version_info < (3, 42):
        connection.create_function("unixepoch", 1, lambda _modifier: time.time())


_WRITES = frozenset(("INSERT", "UPDATE", "DELETE", "BEGIN "))
_HAS_TURN = "has the turn to write"
_WAIT_SECONDS = 30.0


def _queue_writers(engine: sa.Engine, turn: threading.Lock) -> None:
    """Let the threads of this process write one after the other.

    SQLite has whoever finds the file locked look again after a while, and lets in whoever looks at the
    right moment: of dozens that write, one may wait for ever, and all of them burn what they wait.
    """

    def wait(connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if not connection.info.get(_HAS_TURN) and statement.lstrip()[:6].upper() in _WRITES:
            # Whoever waits in vain is told by SQLite what there is to tell.
            connection.info[_HAS_TURN] = turn.acquire(timeout=_WAIT_SECONDS)

    def leave(_connection: Any, record: Any) -> None:
        if record.info.pop(_HAS_TURN, False):
            turn.release()

    sa.event.listen(engine, "before_cursor_execute", wait)
    sa.event.listen(engine, "checkin", leave)


def _seconds_now(template: str, moment: str) -> float | None:
    return time.time() if (template, moment) == ("%s", "now") else None


def _bring_up_to_date(connection: sa.Connection, url: sa.URL) -> None:
    if _is_file(url):
        # The driver begins a transaction only before it writes: two that start at once would both create.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('tillbridge'))"))
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    held = 0
    if sa.inspect(connection).has_table("service_version", schema=_schema(url)):
        held = connection.execute(sa.select(_version.c.version)).scalar() or 0
    if held > VERSION:
        raise Halted(
            f"The service's tables were written by a newer Tillbridge (version {held}). "
            "Install that version again."
        )
    _meta.create_all(connection)
    for number in range(held + 1, VERSION + 1):
        for statement in _STEPS.get(number, ()) if held else ():
            connection.execute(sa.text(statement))
    if held != VERSION:
        connection.execute(sa.delete(_version))
        connection.execute(sa.insert(_version), {"version": VERSION})


def _schema(url: sa.URL) -> str | None:
    return None if _is_file(url) else SCHEMA


class Changes:
    """Tells for next to nothing whether a file has changed, so that nobody looks into it for nothing.

    One instance for each who looks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._seen: int | None = None

    def is_new(self) -> bool:
        """Say whether anybody has committed anything since this was last asked."""
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, check_same_thread=False)
        try:
            # It never writes, so that all others' commits count, those of this process too.
            found = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return True  # Whoever looks then says better what is wrong.
        before, self._seen = self._seen, int(found[0])
        return before != self._seen

    def close(self) -> None:
        """Let the file go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Service:
    """The shared tables. Every method is one short transaction, unless it is handed one."""

    def __init__(self, engine: sa.Engine, url: sa.URL, quick: sa.Engine) -> None:
        """Take the engines: `quick` is the same, but for what it writes surviving a power cut."""
        self.engine = engine
        self.quick = quick
        self.url = url

    @property
    def is_sqlite(self) -> bool:
        """Say whether this installation lives in one file on one machine."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self, *, lasting: bool = True) -> Iterator[sa.Connection]:
        """Open one short transaction; it commits at the end of the block.

        What a person has paused or asked for must survive a power cut. What is not `lasting` need not: whose
        turn it is, which job runs, what was due, the last calls that were counted. A cut ends all who hold
        it, the newest of it is lost together, and what is due is found due again. A killed process loses
        nothing. Hundreds of slices a minute would wait for the disk ten times each.
        """
        where = Path(self.url.database or "") if self.is_sqlite else self.url
        with plain_words(where), (self.engine if lasting else self.quick).begin() as connection:
            yield connection

    def close(self) -> None:
        """Let the database go."""
        self.engine.dispose()
        self.quick.dispose()

    def watch(self) -> Changes | None:
        """Return what tells whether anything has changed; None where that would be a question, too."""
        return Changes(Path(self.url.database or "")) if self.is_sqlite else None

    def now(self, connection: sa.Connection) -> float:
        """Return the database's clock: workers' own may differ, and dead ones are known by their age."""
        if self.is_sqlite:
            return time.time()
        return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    # --- streams -------------------------------------------------------------------------------

    def plan_streams(self, connection: str, wanted: Mapping[tuple[str, str], float], now: float) -> None:
        """Let a connection have just these streams, given as (kind, name) with their seconds.

        One that was away goes on at once, behind its last numbers and with its pauses.
        """
        with self.begin() as c:
            mine = stream.c.connection == connection
            is_back = bool(c.execute(sa.delete(away).where(away.c.connection == connection)).rowcount)
            number = int(_setting(c, _NUMBERS + connection) or 0)
            held = {(r.kind, r.name): r for r in c.execute(sa.select(stream).where(mine))}
            for (kind, name), every in wanted.items():
                row = held.get((kind, name))
                due = now if every else None
                if row is None:
                    values = {"connection": connection, "kind": kind, "name": name, "every": every}
                    # A number that was used stands in the job engine for a while: such a job would not run.
                    c.execute(sa.insert(stream), {**values, "next_due": due, "gen": number})
                elif is_back:
                    due = now if every or row.next_due is not None else None
                    changes: dict[str, Any] = {"every": every, "next_due": due, "why": None}
                    c.execute(sa.update(stream).where(*_is(row)).values(**changes))
                elif row.every != every:
                    changes = {"every": every}
                    if row.why is None:
                        changes["next_due"] = due if not every else min(row.next_due or now, now + every)
                    c.execute(sa.update(stream).where(*_is(row)).values(**changes))
            if gone := [row for key, row in held.items() if key not in wanted]:
                _note_number(c, connection)
                for row in gone:
                    c.execute(sa.delete(stream).where(*_is(row)))

    def forget_streams(self, connection: str) -> None:
        """Forget the streams of a connection that was removed; its numbers are never used again."""
        with self.begin() as c:
            _note_number(c, connection)
            c.execute(sa.delete(stream).where(stream.c.connection == connection))
            c.execute(sa.delete(away).where(away.c.connection == connection))

    def note_away(self, connection: str, now: float) -> bool:
        """Let a connection rest whose folder is not there; False when nothing is kept of it."""
        with self.begin() as c:
            mine = stream.c.connection == connection
            if not c.execute(sa.update(stream).where(mine).values(why=_AWAY)).rowcount:
                return False
            _insert_new(c, away, {"connection": connection, "since": now})
            return True

    def away(self) -> dict[str, float]:
        """Return the connections whose folder is not there, and since when."""
        with self.begin() as c:
            return {row.connection: row.since for row in c.execute(sa.select(away))}

    def served(self) -> set[str]:
        """Return the connections that have streams."""
        with self.begin() as c:
            return set(c.execute(sa.select(stream.c.connection).distinct()).scalars())

    def known(self) -> set[str]:
        """Return all connections of which something is kept, whether their folders are there or not."""
        return self.served() | self.away().keys()

    def pull_back(self, now: float) -> int:
        """Let nothing be due later than it was planned from now: a clock that was ahead was set back."""
        waits = sa.func.coalesce(stream.c.waits, stream.c.every)
        late = (stream.c.next_due > now + waits + _CLOCKS_DIFFER_SECONDS, ~stream.c.queued)
        with self.begin() as c:
            return c.execute(sa.update(stream).where(*late).values(next_due=now + waits)).rowcount

    def streams(self, connection: str | None = None) -> list[Stream]:
        """Return all streams, or a connection's."""
        statement = sa.select(stream).order_by(stream.c.connection, stream.c.kind, stream.c.name)
        if connection is not None:
            statement = statement.where(stream.c.connection == connection)
        with self.begin() as c:
            return [Stream(**row._mapping) for row in c.execute(statement)]  # noqa: SLF001  SQLAlchemy's public name.

    def claim_due(self, connection: sa.Connection, now: float, limit: int) -> list[Stream]:
        """Take the streams that are due: each gets its next number, and nobody else takes it."""
        stopped = sa.union_all(sa.select(stop.c.scope), sa.select(away.c.connection))
        due = (
            sa.select(stream.c.connection, stream.c.kind, stream.c.name)
            .where(
                stream.c.next_due <= now,
                ~stream.c.queued,
                ~stream.c.paused,
                stream.c.connection.not_in(stopped),
            )
            .order_by(stream.c.next_due)
            .limit(limit)
        )
        if not self.is_sqlite:
            due = due.with_for_update(skip_locked=True)
        found = sa.tuple_(stream.c.connection, stream.c.kind, stream.c.name).in_(due)
        statement = (
            sa.update(stream)
            .where(found)
            .values(
                queued=True,
                dirty=False,
                # Why it fails is worth knowing also while it is tried again.
                why=sa.case((stream.c.fails > 0, stream.c.why), else_=None),
                gen=stream.c.gen + 1,
            )
            .returning(*stream.c)
        )
        return [Stream(**row._mapping) for row in connection.execute(statement)]  # noqa: SLF001  As above.

    def next_due(self) -> float | None:
        """Return when the next stream is due that nobody has claimed; None: not by itself."""
        stopped = sa.union_all(sa.select(stop.c.scope), sa.select(away.c.connection))
        waits = (~stream.c.queued, ~stream.c.paused, stream.c.connection.not_in(stopped))
        with self.begin(lasting=False) as c:
            return c.execute(sa.select(sa.func.min(stream.c.next_due)).where(*waits)).scalar()

    def began(self, job: Stream | tuple[str, str, str, int], now: float) -> Stream | None:
        """Note that a stream's job begins; None when a newer one has taken its place, or it is paused."""
        with self.begin(lasting=False) as c:
            row = c.execute(_BEGAN, {**_which(job), "now": now}).first()
            if row is None:
                return None
            *fields, stopped = row
            found = Stream(**dict(zip(Stream.__struct_fields__, fields, strict=True)))
            if not found.paused and not stopped:
                return found
            c.execute(_PASSED_OVER, _which(job))
            return None

    def ended(self, job: Stream | tuple[str, str, str, int], ended: Ended, now: float) -> None:
        """Note what came of a stream's job and when the next is due; a stale job changes nothing."""
        values = {
            "now": now,
            "due": None if ended.next_in is None else now + ended.next_in,
            "told": ended.why,
            "failed": ended.failed,
            "word": ended.outcome,
            "counted": msgspec.json.encode(dict(ended.counts)).decode(),
            "seconds": ended.next_in,
        }
        with self.begin(lasting=False) as c:
            c.execute(_ENDED, {**_which(job), **values})

    def wish(self, connection: str, kind: str | None, name: str | None, now: float) -> int:
        """Let streams be due now, or once more behind the job that runs; return how many there are."""
        where = [stream.c.connection == connection]
        where += [stream.c.kind == kind] if kind else []
        where += [stream.c.name == name] if name else []
        with self.begin() as c:
            done = c.execute(sa.update(stream).where(*where).values(next_due=now, dirty=True, why=None))
            return done.rowcount

    def pause_streams(
        self,
        connection: str,
        kind: str,
        name: str | None,
        *,
        paused: bool,
        why: str = "",
        now: float | None = None,
    ) -> int:
        """Let streams rest, or go on; return how many there are. Without `now` the database's clock holds."""
        where = [stream.c.connection == connection, stream.c.kind == kind]
        where += [stream.c.name == name] if name else []
        with self.begin() as c:
            if not paused:
                _note_resumed(c, connection, self.now(c) if now is None else now)
            told = {"paused": paused, "why": why if paused else None}
            return c.execute(sa.update(stream).where(*where).values(**told)).rowcount

    def rested(self, connection: str) -> Rested:
        """Return what people let rest of a connection: silence on their wish is nobody's worry."""
        mine = (stream.c.connection == connection, stream.c.kind == "poll", stream.c.paused)
        with self.begin() as c:
            paused = frozenset(c.execute(sa.select(stream.c.name).where(*mine)).scalars())
            return Rested(paused, float(_setting(c, _RESUMED + connection) or 0.0))

    def release(self, job: Stream, now: float, *, why: str) -> None:
        """Let a stream whose job has vanished be due again."""
        with self.begin(lasting=False) as c:
            mine = (*_at(job.connection, job.kind, job.name), stream.c.gen == job.gen, stream.c.queued)
            c.execute(sa.update(stream).where(*mine).values(queued=False, next_due=now, why=why))

    # --- stop marks ----------------------------------------------------------------------------

    def stop(self, scope: str, why: str, now: float) -> None:
        """Let a connection, or one running job, come to a halt."""
        with self.begin() as c:
            c.execute(sa.delete(stop).where(stop.c.scope == scope))
            c.execute(sa.insert(stop), {"scope": scope, "why": why, "since": now})

    def go_on(self, scope: str, now: float | None = None) -> bool:
        """Take a stop mark away; False when there was none."""
        with self.begin() as c:
            was_stopped = bool(c.execute(sa.delete(stop).where(stop.c.scope == scope)).rowcount)
            if was_stopped:
                _note_resumed(c, scope, self.now(c) if now is None else now)
            return was_stopped

    def stopped(self) -> dict[str, tuple[str, float]]:
        """Return what is to stand still, why, and since when."""
        with self.begin(lasting=False) as c:
            return {row.scope: (row.why, row.since) for row in c.execute(sa.select(stop))}

    # --- workers -------------------------------------------------------------------------------

    def beat(self, worker_id: str, dead_after: float) -> list[str]:
        """Say that a worker lives; return those that no longer do, each told to one asker only."""
        with self.begin(lasting=False) as c:
            now = self.now(c)
            mine = worker.c.id == worker_id
            if not c.execute(sa.update(worker).where(mine).values(seen=now, reaped=False)).rowcount:
                c.execute(sa.insert(worker), {"id": worker_id, "seen": now, "since": now, "reaped": False})
            silent = (worker.c.seen < now - dead_after, ~worker.c.reaped)
            gone = c.execute(sa.update(worker).where(*silent).values(reaped=True).returning(worker.c.id))
            return [row.id for row in gone]

    def leave(self, worker_id: str) -> None:
        """Take a worker that ends in order off the list, with the leases that it still holds."""
        with self.begin() as c:
            c.execute(sa.delete(worker).where(worker.c.id == worker_id))
            c.execute(sa.update(lease).where(lease.c.holder == worker_id).values(holder=None, until=None))

    def workers(self) -> list[Worker]:
        """Return all workers, also those that were found dead."""
        with self.begin() as c:
            rows = c.execute(sa.select(worker).order_by(worker.c.since))
            return [Worker(row.id, row.seen, row.since, row.reaped) for row in rows]

    def living(self, dead_after: float) -> list[Worker]:
        """Return the workers that were seen lately."""
        with self.begin() as c:
            now = self.now(c)
        return [each for each in self.workers() if not each.reaped and each.seen >= now - dead_after]

    def forget_workers(self, silent_seconds: float) -> None:
        """Forget workers that were found dead long ago."""
        with self.begin() as c:
            old = worker.c.seen < self.now(c) - silent_seconds
            c.execute(sa.delete(worker).where(worker.c.reaped, old))

    # --- leases --------------------------------------------------------------------------------

    def take_lease(
        self, name: str, holder: str, seconds: float, *, hurry: bool, for_person: bool = True
    ) -> int | None:
        """Take a lease; return its token, or None while another holds it or one in a hurry waits for it.

        `for_person`: whoever hurries does so for a person who waits, who is ahead of all others.
        """
        take = _TAKE if not hurry else _TAKE_FOR_A_PERSON if for_person else _TAKE_OVERTAKING
        with self.begin(lasting=False) as c:
            now = self.now(c)
            values = {"of": name, "by": holder, "now": now, "then": now + seconds}
            taken = c.execute(take, values).first()
            if taken is None and _insert_new(c, lease, {"name": name, "token": 0}):
                taken = c.execute(take, values).first()
            if taken is None and hurry:
                columns = ("wanted_until", "person_until") if for_person else ("wanted_until",)
                wish = dict.fromkeys(columns, now + _WANTED)
                c.execute(sa.update(lease).where(lease.c.name == name).values(wish))
            return None if taken is None else int(taken.token)

    def keep_lease(self, name: str, token: int, seconds: float) -> tuple[bool, bool]:
        """Hold a lease for longer; return whether it is still ours, and whether one in a hurry waits."""
        with self.begin(lasting=False) as c:
            now = self.now(c)
            mine = (lease.c.name == name, lease.c.token == token, lease.c.holder.isnot(None))
            kept = c.execute(
                sa.update(lease).where(*mine).values(until=now + seconds).returning(lease.c.wanted_until)
            ).first()
            return kept is not None, kept is not None and (kept.wanted_until or 0) > now

    def wanted_leases(self) -> dict[str, bool]:
        """Return the leases that somebody in a hurry waits for, and whether that is a person."""
        with self.begin(lasting=False) as c:
            now = self.now(c)
            wanted = sa.select(lease.c.name, lease.c.person_until).where(lease.c.wanted_until > now)
            return {name: (person or 0) > now for name, person in c.execute(wanted)}

    def check_lease(self, connection: sa.Connection, name: str, token: int) -> bool:
        """Say within a transaction whether a lease is still ours, and let nobody take it before it ends."""
        statement = sa.select(lease.c.token).where(lease.c.name == name)
        if self.is_sqlite:
            return connection.execute(statement).scalar() == token
        # It may be a transaction of a connection's own schema: leases are in ours.
        ours = {"schema_translate_map": {None: SCHEMA}}
        held = connection.execute(statement.with_for_update(read=True), execution_options=ours)
        return held.scalar() == token

    def give_back(self, name: str, token: int) -> None:
        """Give a lease back; one that was lost stays with its new holder."""
        with self.begin(lasting=False) as c:
            c.execute(_GIVE_BACK, {"of": name, "number": token})

    # --- budgets and settings ------------------------------------------------------------------

    def change_budget(self, quota: str, change: Callable[[str | None], tuple[str, T]]) -> T:
        """Replace what is known of a quota while nobody else does; return what `change` answers beside it."""
        own = budget.c.quota == quota
        with self.begin(lasting=False) as c:
            asked = sa.select(budget.c.value, budget.c.version).where(own)
            if self.is_sqlite:
                # The driver would begin its transaction only at the first change, behind our reading.
                c.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                _insert_new(c, budget, {"quota": quota, "value": "", "version": 0})
                asked = asked.with_for_update()
            row = c.execute(asked).first()
            value, answer = change(row.value if row is not None and row.version else None)
            if row is None:
                c.execute(sa.insert(budget), {"quota": quota, "value": value, "version": 1})
            else:
                c.execute(sa.update(budget).where(own).values(value=value, version=row.version + 1))
            return answer

    def budgets(self) -> dict[str, str]:
        """Return what is known of every quota."""
        with self.begin() as c:
            rows = c.execute(sa.select(budget.c.quota, budget.c.value).where(budget.c.version > 0))
            return {row.quota: row.value for row in rows}

    def resume_limited(self, connection: str, now: float) -> int:
        """Let streams be due that wait for calls: what they may spend has been set anew."""
        return self.resume_all(connection, LIMIT, now)

    def resume_all(self, connection: str, outcome: str, now: float) -> int:
        """Let a connection's streams be due that wait since they ended with this."""
        with self.begin() as c:
            waits = (stream.c.connection == connection, stream.c.outcome == outcome, ~stream.c.queued)
            later = stream.c.next_due > now
            return c.execute(sa.update(stream).where(*waits, later).values(next_due=now, why=None)).rowcount

    def setting(self, name: str) -> Any:
        """Return a setting of the installation, or None."""
        with self.begin() as c:
            return _setting(c, name)

    def set(self, name: str, value: Any) -> None:
        """Keep a setting of the installation."""
        with self.begin() as c:
            _set(c, name, value)


# Whoever waits in a hurry says so again well before that.
_WANTED = 2.0


# When people let a connection, or a stream of it, go on.
_RESUMED = "resumed "

# The highest job number of a connection's streams that were deleted.
_NUMBERS = "number "

_AWAY = "The connection's folder is not there; this goes on by itself when it is back."


def _note_number(connection: sa.Connection, name: str) -> None:
    """Keep the highest number of a connection's jobs: theirs are not to be used by its streams to come."""
    newest = sa.select(sa.func.max(stream.c.gen)).where(stream.c.connection == name)
    used = connection.execute(newest).scalar() or 0
    _set(connection, _NUMBERS + name, max(used, int(_setting(connection, _NUMBERS + name) or 0)))


def _note_resumed(connection: sa.Connection, name: str, now: float) -> None:
    _set(connection, _RESUMED + name, now)


def _setting(connection: sa.Connection, name: str) -> Any:
    text = connection.execute(sa.select(setting.c.value).where(setting.c.name == name)).scalar()
    return None if text is None else msgspec.json.decode(text)


def _set(connection: sa.Connection, name: str, value: Any) -> None:
    connection.execute(sa.delete(setting).where(setting.c.name == name))
    connection.execute(sa.insert(setting), {"name": name, "value": msgspec.json.encode(value).decode()})


def _insert_new(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless another worker was faster; say whether it was us."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    done = connection.execute(insert(table).values(**values).on_conflict_do_nothing())
    return bool(done.rowcount)


def _at(connection: str, kind: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return stream.c.connection == connection, stream.c.kind == kind, stream.c.name == name


def _is(row: Any) -> tuple[sa.ColumnElement[bool], ...]:
    return _at(row.connection, row.kind, row.name)


def _which(job: Stream | tuple[str, str, str, int]) -> dict[str, str | int]:
    named = (job.connection, job.kind, job.name, job.gen) if isinstance(job, Stream) else job
    return dict(zip(_JOB, named, strict=True))

"""Open a connection's state: a file in its home, or a schema of a PostgreSQL database. And say what can fail.

The tables and the statements are the same on both. So is what a transaction may
rely on: from its beginning to its end nobody else changes this connection's
state. SQLite gives that by BEGIN IMMEDIATE, PostgreSQL by an advisory lock that
every transaction of ours begins with. Without it, what looks first and writes
then (a problem that is refused again, the number of a page) would race.

What a reader would get wrong: on PostgreSQL all connections of a process share
one pool, since a server has a hundred places and an installation may have
hundreds of connections. Which schema is meant is said at each transaction's
beginning, and forgotten at its end.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tillbridge.model.errors import Busy, ConfigurationInvalid, Halted, SyncError
from tillbridge.store import schema

FILE_NAME = "tillbridge.sqlite"
HEAD = "0007"  # the newest migration; a test keeps it true

DATABASE_SETTING = "service.database_url"

# Forty jobs run at once in a process, each with a transaction of some milliseconds now and then.
_POOL = 4
_POOL_MAX = 16

# Pages of a console are looked at by a few people at once.
_READERS = 8

# Whoever waits for another transaction waits so long; one whose process stands still is ended after so long.
_WAIT_SECONDS = 30
_STILL_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Place:
    """Where the state of a connection is: in a file of its home, or with a `url` in a database's schema."""

    home: Path
    url: sa.URL | None = None
    connection: str = "default"

    @property
    def file(self) -> Path:
        """Return the file, where it is one."""
        return self.home / FILE_NAME

    @property
    def schema(self) -> str:
        """Return the schema's name, which is to be quoted: a connection's name may hold a hyphen."""
        return f"c_{self.connection}"

    def __str__(self) -> str:
        """Name the place for people, without the password."""
        return str(self.file) if self.url is None else f"schema {self.schema} of {shown(self.url)}"


def shown(url: sa.URL) -> str:
    """Return a database's address without its password."""
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


def open_database(place: Place | Path) -> sa.Engine:
    """Open the state of a connection and bring it up to date. Raises ConfigurationInvalid, Busy, Halted."""
    place = place if isinstance(place, Place) else Place(place)
    engine = _open_file(place.file) if place.url is None else _open_schema(place.url, place.schema)
    try:
        with plain_words(place), engine.begin() as connection:
            _make_schema(connection, place)
            version = _version(connection)
            if version != HEAD:
                _migrate(connection, version, place)
    except BaseException:
        close_database(engine)
        raise
    return engine


def close_database(engine: sa.Engine) -> None:
    """Let a state go."""
    if engine.dialect.name == "sqlite":
        engine.dispose()
    else:
        _pools.leave(engine.url)


def is_there(place: Place) -> bool:
    """Say whether a place holds a state already."""
    if place.url is None:
        return place.file.exists()
    engine = _pools.join(place.url)
    try:
        with plain_words(place), engine.connect() as connection:
            return _has_schema(connection, place.schema)
    finally:
        _pools.leave(place.url)


def drop_schema(place: Place) -> bool:
    """Erase a connection's schema with all in it; False where its state is a file, or there is none."""
    if place.url is None or not is_there(place):
        return False
    engine = _open_schema(place.url, place.schema)
    try:
        with plain_words(place), engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(place.schema, cascade=True))
    finally:
        close_database(engine)
    return True


# --- a file --------------------------------------------------------------------------------------

# The wording of statements is worked out once for all files of a process: hundreds may be open.
_STATEMENTS: sa.util.LRUCache[Any, Any] = sa.util.LRUCache(1_000)


def _open_file(path: Path) -> sa.Engine:
    _make(path)
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=sa.pool.SingletonThreadPool,
        execution_options={"compiled_cache": _STATEMENTS},
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _make(path: Path) -> None:
    """Make a file that is not there yet for its owner's eyes; SQLite gives its -wal and -shm the same mode.

    One that is there keeps its mode: an administrator may have let a group read it.
    """
    if path.exists():
        return
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return  # Another process was faster, and made it likewise.
    except OSError as error:
        raise ConfigurationInvalid([(str(path), f"cannot be made: {error.strerror}")]) from error


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; see _begin
    # WAL lets readers in while we write; FULL because intents and tokens must survive a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # IMMEDIATE: two processes that both read and then write would otherwise fail instead of wait.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def open_reader(place: Place) -> sa.Engine:
    """Open a state that is there, to be looked into: a transaction sees one moment and locks nobody out."""
    if place.url is None:
        engine = sa.create_engine(
            f"sqlite:///{place.file}", pool_size=_READERS, max_overflow=4 * _READERS, pool_timeout=30
        )
        sa.event.listen(engine, "connect", _prepare_reader)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    engine = _pools.join(place.url).execution_options(tillbridge_schema=place.schema)
    path = {"path": f'"{place.schema}"'}

    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.exec_driver_sql("SELECT set_config('search_path', %(path)s, true)", path)

    sa.event.listen(engine, "begin", begin)
    return engine


def _prepare_reader(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("busy_timeout=30000", "query_only=ON", "cache_size=-32000", "mmap_size=268435456"):
        connection.execute(f"PRAGMA {pragma}")


# --- a schema ------------------------------------------------------------------------------------

# What every transaction begins with, in one question. All of it ends with the transaction, so that it also
# works behind a pooler; intents and tokens must survive a power cut, whatever the server is set to.
_BEGIN = """\
SELECT set_config('search_path', %(path)s, true),
  set_config('lock_timeout', %(wait)s, true),
  set_config('idle_in_transaction_session_timeout', %(still)s, true),
  CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END,
  pg_advisory_xact_lock(%(key)s)"""


def lock_key(name: str) -> int:
    """Return the number that PostgreSQL knows a lock of ours by."""
    return int.from_bytes(hashlib.blake2b(f"tillbridge {name}".encode(), digest_size=8).digest(), signed=True)


def _open_schema(url: sa.URL, name: str) -> sa.Engine:
    values = {
        "path": f'"{name}"',
        "wait": f"{_WAIT_SECONDS}s",
        "still": f"{_STILL_SECONDS}s",
        "key": lock_key(f"state {name}"),
    }
    # Of one's own, over the pool that all share: what is heard here is heard of this connection only.
    engine = _pools.join(url).execution_options(tillbridge_schema=name)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(_BEGIN, values))
    return engine


class _Pools:
    """One pool of connections for each database that this process has open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[sa.URL, tuple[sa.Engine, int]] = {}

    def join(self, url: sa.URL) -> sa.Engine:
        with self._lock:
            engine, users = self._open.get(url) or (_pooled(url), 0)
            self._open[url] = engine, users + 1
            return engine

    def leave(self, url: sa.URL) -> None:
        with self._lock:
            engine, users = self._open.pop(url)
            if users > 1:
                self._open[url] = engine, users - 1
            else:
                engine.dispose()


_pools = _Pools()

# A server or a network that is gone is noticed within half a minute, not after the system's two hours.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def _pooled(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url, pool_size=_POOL, max_overflow=_POOL_MAX - _POOL, pool_pre_ping=True, connect_args=_PATIENCE
    )
    sa.event.listen(engine, "connect", _take_any_text)
    return engine


def _take_any_text(connection: Any, _record: Any) -> None:
    """Let a text with the character 0 through without it: PostgreSQL has no place for one, and SQLite has."""
    from psycopg.types.string import StrDumper

    class WithoutZeros(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", ""))

    connection.adapters.register_dumper(str, WithoutZeros)


@contextmanager
def held(place: Place, name: str) -> Iterator[None]:
    """Wait for a lock that all machines respect, and hold it; freed when its holder dies. Raises Busy.

    For what lasts longer than a transaction: a connection of its own holds it.
    """
    assert place.url is not None
    engine = sa.create_engine(
        place.url, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT", connect_args=_PATIENCE
    )
    with plain_words(place):
        connection = engine.connect()
    with connection:
        with plain_words(place):
            connection.exec_driver_sql(
                "SELECT set_config('lock_timeout', %(wait)s, false),"
                " set_config('tcp_keepalives_idle', '10', false),"
                " set_config('tcp_keepalives_interval', '5', false),"
                " set_config('tcp_keepalives_count', '3', false)",
                {"wait": f"{_STILL_SECONDS}s"},
            )
            key = lock_key(f"{name} {place.schema}")
            connection.exec_driver_sql("SELECT pg_advisory_lock(%(key)s)", {"key": key})
        yield


# --- tables --------------------------------------------------------------------------------------


def _has_schema(connection: sa.Connection, name: str) -> bool:
    found = connection.execute(
        sa.text("SELECT count(*) FROM pg_namespace WHERE nspname = :name"), {"name": name}
    )
    return bool(found.scalar())


def _make_schema(connection: sa.Connection, place: Place) -> None:
    # Looked for first: an administrator may have made it for a user who may make none.
    if place.url is not None and not _has_schema(connection, place.schema):
        connection.execute(sa.schema.CreateSchema(place.schema))


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


# Alembic keeps what it is at in its module: two threads at once would make one's tables in the other's state.
_migrating = threading.Lock()


def _migrate(connection: sa.Connection, version: str | None, place: Place) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise Halted(
            f"{place} was written by a newer Tillbridge (schema {version}). Install that version again."
        )
    config.attributes["connection"] = connection
    with _migrating:
        command.upgrade(config, "head")


# --- what was deleted ----------------------------------------------------------------------------


def overwrite_deleted(connection: sa.Connection) -> None:
    """Let what this transaction deletes be overwritten where it lay, as far as the database can do that.

    PostgreSQL cannot: `rewrite` leaves nothing of it in our tables.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


def rewrite(engine: sa.Engine) -> None:
    """Write all tables anew: no free page keeps what was deleted.

    What PostgreSQL keeps beside our tables stays its administrator's: its log (WAL) until it is
    recycled and overwritten, its archives, replicas and backups.
    """
    if engine.dialect.name == "sqlite":
        _rewrite_file(engine)
        return
    name = engine.get_execution_options()["tillbridge_schema"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        quote = connection.dialect.identifier_preparer.quote
        for table in schema.metadata.sorted_tables:
            connection.exec_driver_sql(f"VACUUM (FULL) {quote(name)}.{quote(table.name)}")


def _rewrite_file(engine: sa.Engine) -> None:
    with engine.raw_connection() as held_connection:
        cursor = held_connection.cursor()
        try:
            for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                cursor.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            raise sa.exc.OperationalError("VACUUM", {}, error) from error
        finally:
            cursor.close()


# --- in plain words ------------------------------------------------------------------------------


@contextmanager
def plain_words(where: Place | Path | sa.URL) -> Iterator[None]:
    """Turn what a database says of a disk, a lock or a way that fails into a sentence."""
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        url = where if isinstance(where, sa.URL) else where.url if isinstance(where, Place) else None
        if url is not None:
            told = _of_postgres(url, error)
        elif isinstance(error, sa.exc.DatabaseError):
            path = where.file if isinstance(where, Place) else where
            assert isinstance(path, Path)
            told = _of_sqlite(path, error)
        else:
            told = None
        if told is None:
            raise
        raise told from error


def _of_sqlite(path: Path, error: sa.exc.DatabaseError) -> SyncError:
    text = str(error.orig)
    if not isinstance(error, sa.exc.OperationalError):
        return ConfigurationInvalid([(str(path), f"is not a Tillbridge state file: {text}")])
    if "readonly" in text:
        return ConfigurationInvalid([(str(path), "is read-only; make it writable for this user")])
    if "full" in text:
        return Busy(f"The disk that holds {path} is full. Nothing was lost; make room and start again.")
    if "disk I/O error" in text:
        return Busy(
            f"The disk that holds {path} takes no more, or a limit on file sizes is reached ({text}). "
            "Nothing was lost; make room, or see to the disk, and start again."
        )
    if "locked" in text:
        return Busy(f"{path} is in use by another program for too long. Stop it and start again.")
    return ConfigurationInvalid([(str(path), why_not_opened(path, text))])


def why_not_opened(path: Path, text: str) -> str:
    """Word what SQLite cannot say: it opens nothing beside the file where it may not write."""
    folder = path.parent
    if "unable to open" in text and _is_read_only(folder):
        return (
            "is on a read-only file system, and Tillbridge writes beside it even to read: mount it writable, "
            "or copy the home directory and name the copy with --home"
        )
    if "unable to open" in text and folder.is_dir() and not os.access(folder, os.W_OK):
        return "cannot be opened: its directory is read-only for this user; make it writable"
    return f"cannot be opened: {text}"


def _is_read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


# By SQLSTATE, whole or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING: dict[str, str] = {
    "55P03": "is kept busy by another transaction of ours for too long",
    "53100": "has no room left on its disk",
    "53": "has nothing left to serve us with",
    "25P03": "has ended a transaction of ours that stood still",
    "40": "had to end a transaction of ours for another's sake",
    "57": "is being stopped or started, or ended our call",
    "58": "has trouble with its own disk",
    "08": "was cut off",
}
_REFUSED = {
    "28": "lets us not in",
    "3D": "is not there",
    "42501": "does not let this user make or use the tables; grant CREATE on the database",
    "25006": "is read-only, as a standby is; name the one that can be written",
}
# Before there is a session there is no SQLSTATE, only a text.
_REFUSED_TEXTS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "not permitted")


def _of_postgres(url: sa.URL, error: sa.exc.DBAPIError | sa.exc.TimeoutError) -> SyncError | None:
    """Word what can fail without a mistake of ours; None for our own mistakes."""
    if isinstance(error, sa.exc.TimeoutError):
        return Busy(f"All our connections to {shown(url)} are in use. Nothing was lost; try again.")
    state = getattr(error.orig, "sqlstate", None) or ""
    text = _first_line(str(error.orig))
    for words, told in ((_PASSING, _passing), (_REFUSED, _refused)):
        for key in (state, state[:2]):
            if key and key in words:
                return told(url, words[key], text)
    if not state and any(each in text for each in _REFUSED_TEXTS):
        return _refused(url, "lets us not in", text)
    if not state and isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError)):
        return _passing(url, "cannot be reached", text)
    return None


def _passing(url: sa.URL, what: str, text: str) -> Busy:
    return Busy(f"The database {shown(url)} {what} ({text}). Nothing was lost; start again when it is up.")


def _refused(url: sa.URL, what: str, text: str) -> ConfigurationInvalid:
    return ConfigurationInvalid([(DATABASE_SETTING, f"the database {shown(url)} {what} ({text})")])


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0].rstrip(".")

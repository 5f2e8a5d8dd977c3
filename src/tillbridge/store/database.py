"""Open the state file: pragmas, migrations, and sentences for what a disk can do to us."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tillbridge.model.errors import Busy, ConfigurationInvalid, Halted

FILE_NAME = "tillbridge.sqlite"
HEAD = "0003"  # the newest migration; a test keeps it true


def open_database(home: Path) -> sa.Engine:
    """Open the state of a home directory and bring it up to date. Raises ConfigurationInvalid."""
    path = home / FILE_NAME
    _make(path)
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.pool.SingletonThreadPool)
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    with plain_words(path), engine.begin() as connection:
        version = _version(connection)
        if version != HEAD:
            _migrate(connection, version, path)
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


@contextmanager
def plain_words(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a broken, full, locked or read-only disk into a sentence."""
    try:
        yield
    except sa.exc.OperationalError as error:
        text = str(error.orig)
        if "readonly" in text:
            raise ConfigurationInvalid(
                [(str(path), "is read-only; make it writable for this user")]
            ) from error
        if "full" in text:
            raise Busy(
                f"The disk that holds {path} is full. Nothing was lost; make room and start again."
            ) from error
        if "disk I/O error" in text:
            raise Busy(
                f"The disk that holds {path} takes no more, or a limit on file sizes is reached ({text}). "
                "Nothing was lost; make room, or see to the disk, and start again."
            ) from error
        if "locked" in text:
            raise Busy(
                f"{path} is in use by another program for too long. Stop it and start again."
            ) from error
        raise ConfigurationInvalid([(str(path), why_not_opened(path, text))]) from error
    except sa.exc.DatabaseError as error:
        raise ConfigurationInvalid([(str(path), f"is not a Tillbridge state file: {error.orig}")]) from error


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


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; see _begin
    # WAL lets readers in while we write; FULL because intents and tokens must survive a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # IMMEDIATE: two processes that both read and then write would otherwise fail instead of wait.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(connection: sa.Connection, version: str | None, path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise Halted(
            f"{path} was written by a newer Tillbridge (schema {version}). Install that version again."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

"""What the bytes of files hold of somebody, read by a process of its own.

A process that closes a file drops every lock that it has on it, whoever in it
took them (https://www.sqlite.org/howtocorrupt.html, 2.2). A service has the
state open while somebody is erased in its console; another process would then
take the log of the state (WAL) away beneath it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tillbridge.store.sought import Sought

# A file is searched in pieces of this size, each with the end of the one before.
_PIECE_BYTES = 4_000_000
_OVERLAP_BYTES = 4_096

_CHILD = "from tillbridge.store.on_disk import answer; answer()"


class _Asked(msgspec.Struct, frozen=True):
    paths: list[str]
    sought: Sought


class _Told(msgspec.Struct, frozen=True):
    """What each file holds; or of one that cannot be read, the error's number, words and file."""

    held: dict[str, list[str]] = {}
    error: tuple[int | None, str | None, str | None] | None = None


def held_by_files(paths: Iterable[Path], sought: Sought) -> dict[Path, list[str]]:
    """Say what each file's bytes hold, as they lie there: log lines, and the state's free pages.

    One that is gone by now is left out. Raises OSError for one that cannot be read.
    """
    asked = msgspec.json.encode(_Asked([str(path) for path in paths], sought))
    # Who is sought goes through a pipe: the command line of a process is for everybody to see.
    command = [sys.executable, "-c", _CHILD]
    done = subprocess.run(command, input=asked, capture_output=True, check=False)  # noqa: S603  Nothing is given.
    if done.returncode:
        raise OSError(None, "the files could not be searched: the process that reads them has failed")
    told = msgspec.json.decode(done.stdout, type=_Told)
    if told.error is not None:
        raise OSError(*told.error)
    return {Path(path): what for path, what in told.held.items()}


def answer() -> None:
    """Be the process that reads: take who is sought and where from stdin, and tell what was found."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=_Asked)
    try:
        found = {path: _held(Path(path), asked.sought) for path in asked.paths}
        told = _Told({path: sorted(what) for path, what in found.items() if what is not None})
    except OSError as error:
        told = _Told(error=(error.errno, error.strerror, error.filename))
    sys.stdout.buffer.write(msgspec.json.encode(told))


def _held(path: Path, sought: Sought) -> set[str] | None:
    found: set[str] = set()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        rest = b""
        while piece := file.read(_PIECE_BYTES):
            text = (rest + piece).decode("utf-8", "replace")
            for line in text.split("\n"):
                found.update(sought.found_in(line))
            rest = piece[-_OVERLAP_BYTES:]
    return found

"""What is remembered of a set-up that is under way: what is done, what was found, what is still unsaid.

It stands in a file beside the configuration, so that a set-up goes on after a
restart and on another day. Nothing secret is in it: secrets are sealed as soon as
they come (tillbridge.secrets), and what is needed to finish a consent is sealed too.
Settings stay here until both sides are connected; then they are the configuration.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tillbridge.model.errors import ConfigurationInvalid, Halted
from tillbridge.secrets import replace_file

FILE_NAME = "setup.json"
_LOCK = "setup.lock"
_HERE = threading.Lock()


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A step that somebody has done, and what it came to."""

    at: float
    by: str
    note: str = ""


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent that was asked for: by whom, until when, and what its answer must prove."""

    mark: str  # of the state: a hash
    session: str  # the browser session that asked
    verifier: str  # sealed
    until: float
    url: str  # where the person goes
    redirect_uri: str = ""


class Draft(msgspec.Struct, kw_only=True):
    """One set-up."""

    begun_at: float = 0.0
    settings: dict[str, dict[str, Any]] = {}
    done: dict[str, Done] = {}
    consents: dict[str, Consent] = {}
    found: dict[str, Any] = {}
    live_at: float | None = None

    @property
    def is_unfinished(self) -> bool:
        """Say whether somebody has begun it here and not let it go live."""
        return self.begun_at > 0.0 and self.live_at is None


def read(home: Path) -> Draft | None:
    """Return what is remembered; None when no set-up was begun here."""
    try:
        return msgspec.json.decode((home / FILE_NAME).read_bytes(), type=Draft)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationInvalid([(str(home / FILE_NAME), f"cannot be read: {error}")]) from error


def check_live(home: Path, name: str) -> None:
    """Raise Halted while a connection is being set up: nothing is written with it yet."""
    kept = read(home)
    if kept is not None and kept.is_unfinished:
        raise Halted(
            f"{name} is still being set up: nothing is written to either side before an administrator lets "
            "it go live at the end of its set-up in the console."
        )


@contextmanager
def changing(home: Path) -> Iterator[Draft]:
    """Hand out what is remembered, alone, and keep it as it is afterwards; nothing is kept after an error."""
    with _HERE:
        handle = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            draft = read(home) or Draft()
            yield draft
            replace_file(home / FILE_NAME, msgspec.json.format(msgspec.json.encode(draft)).decode() + "\n")
        finally:
            os.close(handle)

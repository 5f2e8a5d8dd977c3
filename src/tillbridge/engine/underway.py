"""How far a long slice is, for whoever looks on from another process.

Kept beside the streams and not in the connection's state: a bar moves while that
is written. Most slices are over before anybody could read them, so nothing is
written of a bar's first second, nor more often than once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from tillbridge.engine.connection import Bar
from tillbridge.store.service import Service

_EVERY_SECONDS = 1.0

# What a slice says last; more of it stands in its run and in the log.
_SAID_MAX = 3

# A slice that has told nothing for so long was killed, or is at something that nobody counts.
_STALE_SECONDS = 120.0


class Step(msgspec.Struct, frozen=True):
    """One thing that is under way. `total` None: nobody knows how much it will be."""

    title: str
    done: int
    total: int | None


class Told(msgspec.Struct, frozen=True):
    """What a slice has told last, and when (epoch seconds of our clock)."""

    at: float
    steps: list[Step] = []
    said: list[str] = []


class Underway:
    """The progress of one connection's slices, as the engine tells it."""

    def __init__(
        self,
        service: Service,
        connection: str,
        now: Callable[[], float],
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service, self._name = service, _name(connection)
        self._now, self._tick = now, tick
        self._lock = threading.Lock()
        self._bars: list[_Bar] = []
        self._said: list[str] = []
        self._written_at = float("-inf")
        self._is_written = False

    def bar(self, title: str, total: int | None = None) -> Bar:
        """Begin a bar."""
        made = _Bar(self, title, total)
        with self._lock:
            if not self._bars:
                self._written_at = self._tick()
            self._bars.append(made)
        return made

    def say(self, text: str) -> None:
        """Tell one thing; it is read with the next step."""
        with self._lock:
            self._said = [*self._said, text][-_SAID_MAX:]

    def rest(self) -> None:
        """Take back what was told: the slice is over."""
        with self._lock:
            self._bars, self._said = [], []
            was_written, self._is_written = self._is_written, False
        if was_written:
            self._service.set(self._name, None)

    def moved(self, bar: _Bar, count: int) -> None:
        """Move a bar on, and tell of it when its time has come."""
        with self._lock:
            bar.done += count
            if self._tick() - self._written_at < _EVERY_SECONDS:
                return
            self._written_at, self._is_written = self._tick(), True
            told = Told(
                at=self._now(),
                steps=[Step(each.title, each.done, each.total) for each in self._bars],
                said=list(self._said),
            )
        self._service.set(self._name, msgspec.to_builtins(told))

    def closed(self, bar: _Bar) -> None:
        """Let a bar go."""
        with self._lock:
            self._bars = [each for each in self._bars if each is not bar]


class _Bar:
    def __init__(self, of: Underway, title: str, total: int | None) -> None:
        self._of = of
        self.title, self.total, self.done = title, total, 0

    def advance(self, count: int = 1) -> None:
        """Move on."""
        self._of.moved(self, count)

    def close(self) -> None:
        """End it."""
        self._of.closed(self)


def told(service: Service, connection: str, now: float) -> Told | None:
    """Return how far a connection's slice is; None when nothing long is under way."""
    kept = service.setting(_name(connection))
    if kept is None:
        return None
    found = msgspec.convert(kept, Told)
    return found if now - found.at < _STALE_SECONDS else None


def _name(connection: str) -> str:
    return f"under way {connection}"

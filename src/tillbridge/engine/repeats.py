"""Decide when what goes wrong again and again is said: at once, each minute with a count, at its end.

While a database is away a service meets the same trouble every second, in several
threads; a log that is full of it hides what else happens. It says nothing itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

SAY_AGAIN_SECONDS = 60.0

# So many different words of one trouble are told apart; what else it says counts as one of them.
_TEXTS_MAX = 8


@dataclass(slots=True)
class _Lasting:
    since: float
    said_at: float
    texts: set[str] = field(default_factory=set)
    unsaid: int = 0  # times since it was last said
    times: int = 0


@dataclass(frozen=True, slots=True)
class Over:
    """A trouble that has ended."""

    times: int
    seconds: float


class Repeats:
    """Troubles by where they are met. Many threads meet them."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lasting: dict[str, _Lasting] = {}
        self._lock = threading.Lock()

    def met(self, where: str, what: str) -> int | None:
        """Count a trouble; return how often it was met since it was last said, or None to say nothing now."""
        with self._lock:
            now = self._monotonic()
            found = self._lasting.setdefault(where, _Lasting(now, now))
            found.times += 1
            found.unsaid += 1
            is_new = what not in found.texts and len(found.texts) < _TEXTS_MAX
            if not is_new and now - found.said_at < SAY_AGAIN_SECONDS:
                return None
            found.texts.add(what)
            found.said_at, times, found.unsaid = now, found.unsaid, 0
            return times

    def over(self, where: str) -> Over | None:
        """Note that it works there; return what had lasted until now, if anything had."""
        if where not in self._lasting:
            return None
        with self._lock:
            found = self._lasting.pop(where, None)
            return None if found is None else Over(found.times, self._monotonic() - found.since)

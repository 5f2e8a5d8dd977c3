"""The simulators' own clock: it may stand still, run, jump, and be set to any day.

Buckets, tokens, stamps and quotas read this clock only, so a test waits out a
day's quota by one control call.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class SimClock:
    """Epoch seconds that a control call can move. Starts at `start`, running or frozen."""

    def __init__(self, start: float, *, running: bool = True) -> None:
        self._lock = threading.Lock()
        self._base = start
        self._running = running
        self._anchor = time.monotonic()

    def now(self) -> float:
        """Return simulated epoch seconds."""
        with self._lock:
            return self._now()

    def today(self) -> datetime:
        """Return the simulated moment as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def advance(self, seconds: float) -> None:
        """Jump ahead. Going back is allowed: real clocks do it too."""
        with self._lock:
            self._base += seconds

    def set(self, epoch: float) -> None:
        """Jump to a moment."""
        with self._lock:
            self._base, self._anchor = epoch, time.monotonic()

    def run(self, running: bool) -> None:
        """Let the clock run with real time, or stand still."""
        with self._lock:
            self._base, self._anchor, self._running = self._now(), time.monotonic(), running

    def _now(self) -> float:
        elapsed = time.monotonic() - self._anchor if self._running else 0.0
        return self._base + elapsed

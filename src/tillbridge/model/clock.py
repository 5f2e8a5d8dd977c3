"""Time as an argument: everything that waits or stamps is handed one of these."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time comes from. Tests, demo and bench hand in one that jumps instead of sleeping."""

    def now(self) -> datetime:
        """Return the aware UTC moment."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for waits and time-outs."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the aware UTC moment."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for real."""
        time.sleep(seconds)


class AheadClock(SystemClock):
    """The machine's clock, so many seconds ahead: what a demo's home is looked at by."""

    def __init__(self, seconds: float) -> None:
        self._ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        """Return the aware UTC moment."""
        return super().now() + self._ahead

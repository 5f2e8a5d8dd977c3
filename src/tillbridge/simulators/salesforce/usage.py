"""Count what API use costs: calls in a rolling day, by route, rows written, bulk batches (fact sheet §4)."""

from __future__ import annotations

from collections import Counter, deque

from tillbridge.simulators.clock import SimClock

DAY_SECONDS = 86_400
# Enterprise Edition with five licences: 100,000 + 5 x 1,000.
DAILY_CALLS = 105_000


class Usage:
    """A rolling day of calls in buckets of a minute, and counters that never roll."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.daily_max = DAILY_CALLS
        self.used_by_others = 0
        self.by_route: Counter[str] = Counter()
        self.rows_written: Counter[str] = Counter()
        self.bulk_batches = 0
        self.refused = 0
        self._minutes: deque[list[int]] = deque()
        self._sum = 0

    def count(self, route: str, calls: int = 1) -> None:
        """Count a call; a refused one counts too (fact sheet §6.2)."""
        self.by_route[route] += calls
        minute = int(self._clock.now() // 60)
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append([minute, 0])
        self._minutes[-1][1] += calls
        self._sum += calls

    def used(self) -> int:
        """Return the calls of the last 24 hours, other people's included."""
        horizon = (self._clock.now() - DAY_SECONDS) // 60
        while self._minutes and self._minutes[0][0] < horizon:
            self._sum -= self._minutes.popleft()[1]
        return self._sum + self.used_by_others

    def exhausted(self) -> bool:
        """Say whether the day's allocation is spent."""
        return self.used() > self.daily_max

    def report(self) -> dict[str, object]:
        """Return everything counted."""
        return {
            "calls": self.by_route.total(),
            "used_in_rolling_day": self.used(),
            "daily_max": self.daily_max,
            "refused": self.refused,
            "by_route": dict(self.by_route),
            "rows_written": dict(self.rows_written),
            "rows_written_total": self.rows_written.total(),
            "bulk_batches": self.bulk_batches,
        }

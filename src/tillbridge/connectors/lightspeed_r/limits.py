"""How long to wait before the next request, so that Lightspeed never has to say 429.

Two limiters stand in front of an account and client: a leaky bucket (a request
is served while the level is below the size, whatever it costs) and a burst
limit in fixed one-second windows. Every answer tells both levels; between two
answers we predict. What the prediction missed was drawn by somebody else on the
same bucket, and the more of that we see, the more room we leave.
No I/O and no clock: moments arrive as arguments, in seconds of one clock.
https://developers.lightspeedhq.com/retail/introduction/ratelimits/
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

# One register, until a header tells otherwise.
BUCKET_SIZE = 90.0
DRIPS_PER_SECOND = 1.0
BURST_SIZE = 20.0

# Full throughput needs the bucket never empty, not full: room at the top costs nothing in the long run,
# and takes what a neighbour draws unseen between two of our requests. A short piece of work may fill the
# bucket further, as long as every answer is fresh.
FILL_SHARE = 0.7
FILL_SHARE_AT_FIRST = 0.9
FILL_SHARE_IN_COMPANY = 0.4
FRESH_SECONDS = 1.0

# What a person waits for goes into the room at the top: it is a few requests, and the rest is refilled after.
FILL_SHARE_URGENT = 0.95

# Below this, the next piece of work counts as a new one.
RESTED_SHARE = 0.25

BURST_ROOM_SHARE = 0.1

# The server's fixed windows and the network's jitter can press requests together: look back a little longer.
BURST_WINDOW_SECONDS = 1.25

# A difference this small is rounding and travel time, not another consumer.
NOISE_DRIPS = 0.75
NOISE_SECONDS = 0.5

# As long as a pause between two pages at the slowest drip.
JUMP_SECONDS = 10.0

# How long a neighbour is expected to act as greedily as we have seen it act.
NEIGHBOUR_MEMORY_SECONDS = 120.0

# However greedy the neighbour: below this share of the bucket we still take our turn.
TURN_SHARE = 0.1


@dataclass(slots=True)
class Limits:
    """What we know of one bucket. `wait_seconds`, then `take`, then `observe` or `refused`."""

    size: float = BUCKET_SIZE
    drips_per_second: float = DRIPS_PER_SECOND
    burst_size: float = BURST_SIZE
    level: float = 0.0
    at: float | None = None  # when `level` was true; None: nothing known yet
    unanswered: float = 0.0  # drips of requests whose answers are still out
    waiting_for: int = 0  # how many such requests
    neighbour_jump: float = 0.0  # most that others drew between two answers, lately
    neighbour_burst: float = 0.0  # most that others put in one second, lately
    neighbour_at: float = 0.0
    closed_until: float = 0.0
    filled: bool = False  # this piece of work has used up its first, generous filling
    sent: deque[float] = field(default_factory=deque)

    def wait_seconds(self, now: float, *, urgent: bool = False) -> float:
        """Return how long to wait before sending; 0 is now. Ask again after waiting.

        `urgent`: a person waits for it.
        """
        if now < self.closed_until:
            return self.closed_until - now
        if self.at is None:
            return 0.0
        bucket = self._urgent_wait(now) if urgent else self._bucket_wait(now)
        return max(bucket, self._burst_wait(now))

    def take(self, cost: float, now: float) -> None:
        """Note that a request goes out."""
        self.unanswered += cost
        self.waiting_for += 1
        self.sent.append(now)

    def observe(self, headers: Mapping[str, str], cost: float, now: float) -> None:
        """Correct everything by the headers of an answer to a request that was predicted to cost `cost`."""
        self._settle(cost)
        self.drips_per_second = _number(headers.get("x-ls-api-drip-rate")) or self.drips_per_second
        charged = _number(headers.get("x-ls-api-request-cost"))
        charged = cost if charged is None else charged
        told = _fraction(headers.get("x-ls-api-bucket-level"))
        if told is None:
            self.level = self._predicted(now) + charged
        else:
            level, self.size = told
            self._watch_neighbours(level - self._predicted(now) - charged, now)
            self.level = level
        self.at = now
        burst = _fraction(headers.get("x-ls-api-burst-level"))
        if burst is not None:
            count, self.burst_size = burst
            self._watch_burst(count, now)

    def lost(self, cost: float, now: float) -> None:
        """Note that no answer came: it may have cost all the same."""
        self._settle(cost)
        self.level = self._predicted(now) + cost
        self.at = now if self.at is not None else None

    def refused(
        self, retry_after_seconds: float | None, headers: Mapping[str, str], cost: float, now: float
    ) -> float:
        """Note a 429 and return how long everybody must now wait. The refused request cost nothing."""
        self._settle(cost)
        told = _fraction(headers.get("x-ls-api-bucket-level"))
        if told is not None:
            self.level, self.size = told
            self.at = now
        # Somebody else filled the bucket: from now on leave more room.
        self._note_neighbour(now, jump=self.size * (1 - FILL_SHARE))
        wait = max(1.0, retry_after_seconds if retry_after_seconds is not None else 1.0)
        self.closed_until = max(self.closed_until, now + wait)
        return wait

    def crowded(self, now: float) -> bool:
        """Tell whether others draw on the bucket and have left no room: what can wait should."""
        if now < self.closed_until:
            return True
        jump = self.neighbour_jump * self._fade(now)
        return jump > NOISE_DRIPS and self._predicted(now) + self.unanswered > self._ceiling_in_company(jump)

    @property
    def blind(self) -> bool:
        """Tell whether the first request is still out: let it find out how full the bucket is."""
        return self.at is None and self.waiting_for > 0

    @property
    def registers(self) -> int:
        """Return how many registers the subscription has: each beyond the first adds 10 to the bucket."""
        return max(1, 1 + round((self.size - BUCKET_SIZE) / 10))

    def _settle(self, cost: float) -> None:
        self.unanswered = max(0.0, self.unanswered - cost)
        self.waiting_for = max(0, self.waiting_for - 1)

    def _predicted(self, now: float) -> float:
        """Return the level that we and the leak alone would have made."""
        elapsed = 0.0 if self.at is None else max(0.0, now - self.at)
        return max(0.0, self.level - elapsed * self.drips_per_second)

    def _bucket_wait(self, now: float) -> float:
        fade = self._fade(now)
        elapsed = 0.0 if self.at is None else max(0.0, now - self.at)
        predicted = self._predicted(now)
        if predicted <= self.size * RESTED_SHARE:
            self.filled = False
        likely = predicted + self.unanswered
        generous = not self.filled and elapsed < FRESH_SECONDS
        ceiling = self.size * (FILL_SHARE_AT_FIRST if generous else FILL_SHARE)
        jump = self.neighbour_jump * fade
        if jump > NOISE_DRIPS:
            ceiling = self._ceiling_in_company(jump)
        if likely <= ceiling:
            return 0.0
        self.filled = True
        return max(0.01, (likely - min(ceiling, self.size * FILL_SHARE)) / self.drips_per_second)

    def _urgent_wait(self, now: float) -> float:
        jump = self.neighbour_jump * self._fade(now)
        # What others draw at once still has to find room; however greedy they are, a person has their turn.
        ceiling = max(min(self.size * FILL_SHARE_URGENT, self.size - jump), self.size * FILL_SHARE)
        over = self._predicted(now) + self.unanswered - ceiling
        return max(0.01, over / self.drips_per_second) if over > 0 else 0.0

    def _ceiling_in_company(self, jump: float) -> float:
        # We are not alone: what one jump was, a cluster of them during one long wait can be thrice.
        return max(min(self.size * FILL_SHARE_IN_COMPANY, self.size - 3 * jump), self.size * TURN_SHARE)

    def _burst_wait(self, now: float) -> float:
        while self.sent and self.sent[0] <= now - BURST_WINDOW_SECONDS:
            self.sent.popleft()
        room = max(1.0, self.burst_size * BURST_ROOM_SHARE) + 2 * self.neighbour_burst * self._fade(now)
        allowed = max(1, math.floor(self.burst_size - room))
        if len(self.sent) < allowed:
            return 0.0
        return max(0.001, self.sent[len(self.sent) - allowed] + BURST_WINDOW_SECONDS - now)

    def _watch_neighbours(self, unexplained: float, now: float) -> None:
        # Our own unanswered requests may be in the level already: they are no neighbours.
        drawn = unexplained - self.unanswered
        # Who filled the bucket before our very first request may be our former self: no cause to crawl.
        if self.at is None or drawn <= max(NOISE_DRIPS, NOISE_SECONDS * self.drips_per_second):
            return
        # What was drawn during a long idle time says little about the moments between two requests.
        self._note_neighbour(now, jump=drawn * min(1.0, JUMP_SECONDS / max(now - self.at, JUMP_SECONDS)))

    def _watch_burst(self, count: float, now: float) -> None:
        own = sum(1 for moment in self.sent if moment > now - BURST_WINDOW_SECONDS)
        if count > own:
            self._note_neighbour(now, burst=count - own)

    def _note_neighbour(self, now: float, *, jump: float = 0.0, burst: float = 0.0) -> None:
        fade = self._fade(now)
        self.neighbour_jump = max(self.neighbour_jump * fade, jump)
        self.neighbour_burst = max(self.neighbour_burst * fade, burst)
        self.neighbour_at = now

    def _fade(self, now: float) -> float:
        return math.pow(0.5, max(0.0, now - self.neighbour_at) / NEIGHBOUR_MEMORY_SECONDS)


def _number(value: str | None) -> float | None:
    try:
        found = float(value) if value else None
    except ValueError:
        return None
    return found if found is not None and math.isfinite(found) and found > 0 else None


def _fraction(value: str | None) -> tuple[float, float] | None:
    """Read "75.898/90"."""
    left, _, right = (value or "").partition("/")
    try:
        level, size = float(left), float(right)
    except ValueError:
        return None
    return (level, size) if math.isfinite(level) and math.isfinite(size) and size > 0 else None

"""Meter the account: a leaky bucket, a burst window, and the headers that tell of both.

Source: fact sheet A3. The first request that overflows is served; later ones get
429 until the level has dripped below the size. What a 429 costs is not
documented; here it costs nothing. [inferred]
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import floor
from typing import Any

from tillbridge.simulators.httpd import Response
from tillbridge.simulators.lightspeed.errors import Refused, refusal

BUCKET_SIZE = 90
BUCKET_SIZE_PER_EXTRA_REGISTER = 10
DRIP_PER_SECOND = 1.0
DRIP_PER_EXTRA_REGISTER = 0.5
# "A fraction of the bucket": the documented sample shows 20 for 90.
BURST_SHARE = 20 / 90


@dataclass(slots=True)
class Usage:
    """What was asked of us, for the control API."""

    requests: Counter[str] = field(default_factory=Counter)
    drips: Counter[str] = field(default_factory=Counter)
    limited: Counter[str] = field(default_factory=Counter)


class Meter:
    """The limits of one account and client."""

    def __init__(self, account_id: int, registers: int) -> None:
        extra = max(0, registers - 1)
        self.account_id = account_id
        self.size = BUCKET_SIZE + BUCKET_SIZE_PER_EXTRA_REGISTER * extra
        self.drip = DRIP_PER_SECOND + DRIP_PER_EXTRA_REGISTER * extra
        self.burst_limit = floor(self.size * BURST_SHARE)
        self.level = 0.0
        self.usage = Usage()
        self._at = 0.0
        self._window = 0
        self._burst = 0

    def leak(self, now: float) -> None:
        """Let the bucket drip up to now. A clock set back drips nothing."""
        self.level = max(0.0, self.level - max(0.0, now - self._at) * self.drip)
        self._at = now

    def charge(
        self, now: float, what: str, cost: float, *, bucket: bool = True, burst: bool = True
    ) -> Response | None:
        """Count a request; return a 429 if it may not pass."""
        self.leak(now)
        self._count_burst(now)
        if burst and self._burst > self.burst_limit:
            return self._limited("api-burst-limiter", "burst rate limit exceeded", 1, what)
        if bucket and self.level >= self.size:
            wait = floor((self.level - self.size) / self.drip) + 1
            return self._limited("api-leaky-bucket", "Rate Limit Exceeded", wait, what)
        if bucket:
            self.level += cost
        self.usage.requests[what] += 1
        self.usage.drips[what] += cost  # type: ignore[assignment]  # Counters count fractions too.
        return None

    def headers(self, cost: float, client_id: str) -> dict[str, str]:
        """Return the headers of every answer."""
        return {
            "X-LS-Acct-Id": str(self.account_id),
            "X-LS-Oauth-Client-Id": client_id,
            "X-LS-Api-Bucket-Level": f"{_number(self.level)}/{self.size}",
            "X-LS-API-Burst-Level": f"{self._burst}/{self.burst_limit}",
            "X-LS-Api-Drip-Rate": _number(self.drip),
            "X-LS-Api-Request-Cost": _number(cost),
            "Cf-Ray": "3afe6bf03de43fdd-YUL",
        }

    def report(self, now: float) -> dict[str, Any]:
        """Say how full we are and who filled us."""
        self.leak(now)
        return {
            "bucket": {"level": round(self.level, 4), "size": self.size, "drip_per_second": self.drip},
            "limited": {
                "total": self.usage.limited.total(),
                "by_limit_and_resource": dict(self.usage.limited),
            },
            "requests": {"total": self.usage.requests.total(), "by_resource": dict(self.usage.requests)},
            "drips": {
                "total": round(sum(self.usage.drips.values()), 4),
                "by_resource": {name: round(drips, 4) for name, drips in self.usage.drips.items()},
            },
        }

    def _count_burst(self, now: float) -> None:
        if int(now) != self._window:
            self._window, self._burst = int(now), 0
        self._burst += 1

    def _limited(self, kind: str, message: str, wait: int, what: str) -> Response:
        self.usage.limited[f"{kind} {what}"] += 1
        response = refusal(Refused(429, message))
        response.headers |= {"X-LS-API-RateLimit-Type": kind, "Retry-After": str(wait)}
        return response


def _number(value: float) -> str:
    return f"{round(value, 12):.12f}".rstrip("0").rstrip(".")

"""What a connector asks before it calls, and tells after: ports behind which somebody counts for everybody.

A connector knows how much a request costs and what an answer says of the
remote's limits; whether there is anything left to spend it does not know.
"""

from __future__ import annotations

from typing import Protocol


class CrmQuota(Protocol):
    """Stands before an org's calls and bulk batches."""

    def take(self, org: str) -> None:
        """Let one call go out. Raises LimitReached when it has to wait for longer than a moment."""

    def take_batches(self, org: str, batches: int) -> None:
        """Let rows go out that take so many bulk batches. Raises LimitReached."""

    def told(self, used: int, allowed: int) -> None:
        """Note what an answer says of everybody's calls of the rolling day."""

    def refused(self, seconds: float | None) -> None:
        """Note that the org takes no more calls, for so many seconds if it named them."""


class TillQuota(Protocol):
    """Stands before a till account's rate limit."""

    @property
    def urgent(self) -> bool:
        """Whether a person waits for what the next requests are for."""

    def take(self, cost: float) -> None:
        """Let a request of this cost go out. Raises LimitReached when it has to wait for longer."""

    def told(self, cost: float, level: float, size: float, drips_per_second: float) -> None:
        """Note how full the bucket is by an answer to a request that was taken at `cost`."""

    def refused(self, seconds: float | None) -> None:
        """Note that a request was refused for coming too fast."""


class NoCrmQuota:
    """Lets everything pass."""

    def take(self, org: str) -> None:
        """Let it pass."""

    def take_batches(self, org: str, batches: int) -> None:
        """Let them pass."""

    def told(self, used: int, allowed: int) -> None:
        """Nobody counts."""

    def refused(self, seconds: float | None) -> None:
        """Nobody counts."""


class NoTillQuota:
    """Lets everything pass."""

    urgent = False

    def take(self, cost: float) -> None:
        """Let it pass."""

    def told(self, cost: float, level: float, size: float, drips_per_second: float) -> None:
        """Nobody counts."""

    def refused(self, seconds: float | None) -> None:
        """Nobody counts."""

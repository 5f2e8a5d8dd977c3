"""Decide whether a failed request is sent again, and after how long.

A decision is a number of seconds or None. Limits, refusals and missing rights
are never repeated; a request whose repetition could write twice only when the
remote surely did not carry it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from tillbridge.model.clock import Clock
from tillbridge.model.errors import GiveWay, SyncError, Transient

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are within one request; the engine parks what takes longer."""

    attempts_max: int = 5
    first_wait_seconds: float = 1.0
    wait_seconds_max: float = 30.0
    # A remote that wants more than this is better waited for by the schedule than by a busy thread.
    wish_seconds_max: float = 120.0


def wait_before_retry(
    error: SyncError, *, attempt: int, replayable: bool, policy: RetryPolicy, rng: Random
) -> float | None:
    """Return the seconds to wait before attempt number `attempt` + 1, or None to give up."""
    if not isinstance(error, Transient) or attempt >= policy.attempts_max:
        return None
    if error.outcome_unknown and not replayable:
        return None
    if error.retry_after_seconds is not None:
        return error.retry_after_seconds if error.retry_after_seconds <= policy.wish_seconds_max else None
    ceiling = min(policy.wait_seconds_max, policy.first_wait_seconds * 2.0 ** (attempt - 1))
    return ceiling * (0.5 + rng.random() / 2)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Repeats a request as far as `wait_before_retry` allows, waiting on a clock that is handed in."""

    policy: RetryPolicy
    clock: Clock
    rng: Random

    def run(self, send: Callable[[], Answer], *, replayable: bool) -> Answer:
        """Return the first good answer; raise the last error when patience is spent."""
        attempt = 1
        while True:
            try:
                return send()
            except SyncError as error:
                if not self.wait_after(error, attempt=attempt, replayable=replayable):
                    raise
            attempt += 1

    def wait_after(self, error: SyncError, *, attempt: int, replayable: bool) -> bool:
        """Wait as long as this error asks for; False when it is time to give up, or others have the turn."""
        seconds = wait_before_retry(
            error, attempt=attempt, replayable=replayable, policy=self.policy, rng=self.rng
        )
        if seconds is None:
            return False
        try:
            self.clock.sleep(seconds)
        except GiveWay:
            return False  # What was met is no less true for it: the caller raises that.
        return True

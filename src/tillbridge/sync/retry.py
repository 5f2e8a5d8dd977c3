"""Whether to try a failed request again, and when: a decision made from the error and the attempt.

Waiting itself is the shell's. Jitter comes in as an argument, so that equal
inputs give equal decisions. What must not be repeated is named, not guessed: a
creation whose outcome is unknown is looked up, never sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from tillbridge.model.errors import LimitReached, SyncError, Transient


@dataclass(frozen=True, slots=True)
class Retry:
    """Wait so long, then send the same again."""

    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Park:
    """Stop for now: nothing is wrong, and it makes no sense to try before that."""

    resume_after_seconds: float | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Do not repeat it."""

    reason: Literal["look it up first", "not curable by waiting", "tried often enough"]


Decision = Retry | Park | Stop


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How patient we are. The whole of it fits into a slice: about two minutes."""

    attempts_max: int = 6
    first_wait_seconds: float = 1.0
    wait_seconds_max: float = 60.0


PATIENT = RetryRules()


def decide(
    error: SyncError, attempt: int, rng: Random, *, replay_safe: bool = True, rules: RetryRules = PATIENT
) -> Decision:
    """Decide after the `attempt`-th try (the first is 1) failed with `error`."""
    match error:
        case LimitReached():
            return Park(error.resume_after_seconds)
        case Transient(outcome_unknown=True) if not replay_safe:
            return Stop("look it up first")
        case Transient() if attempt >= rules.attempts_max:
            return Stop("tried often enough")
        case Transient():
            return Retry(wait_seconds(attempt, rng, rules, error.retry_after_seconds))
        case _:
            return Stop("not curable by waiting")


def wait_seconds(attempt: int, rng: Random, rules: RetryRules = PATIENT, wish: float | None = None) -> float:
    """Return the pause: doubling, half of it by chance so that many do not come back at once."""
    ceiling: float = min(rules.first_wait_seconds * 2.0 ** (attempt - 1), rules.wait_seconds_max)
    pause = ceiling / 2 + rng.random() * ceiling / 2
    return max(pause, wish or 0.0)

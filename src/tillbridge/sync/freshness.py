"""Decide how fresh receipts and customers were, stage by stage, and when too many come late.

An objective says: so many of a hundred within so many seconds. What may be late
is a budget that is burnt; how fast, in the last hour and in the last six, says
whether somebody has to look. One late receipt of three is no trend, so a few
have to be late before anybody is told.

No I/O and no clock: moments are arguments, in seconds of one clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec

Stage = Literal["seen", "decided", "sent", "confirmed"]
STAGES: tuple[Stage, ...] = get_args(Stage)

HOUR = 3_600.0

# Burn rates: 1 spends just what may be late. Half of an hour's receipts late is ten times that at 95 %; a
# seventh of six hours' is three times.
FAST_SECONDS, FAST_RATE = HOUR, 10.0
SLOW_SECONDS, SLOW_RATE = 6 * HOUR, 3.0

# As long as the newest ones are in time again, what was late before needs nobody.
LATELY_SECONDS = HOUR / 2

# Shares are never exact.
_DUST = 1e-6

# So many have to be late, or it is chance.
_LATE_MIN = 3


class Landed(msgspec.Struct, frozen=True, kw_only=True):
    """One record's way: when it was rung up or changed in the till, seen, decided about, sent and confirmed.

    All by our clock; `began_at` is the till's own stamp, moved by how far its clock was off when it was read.
    """

    kind: str
    till_id: str
    began_at: float
    seen_at: float
    decided_at: float
    sent_at: float
    confirmed_at: float

    @property
    def seconds(self) -> float:
        """Return how long the whole way took."""
        return max(0.0, self.confirmed_at - self.began_at)

    def stages(self) -> dict[Stage, float]:
        """Return how long each stage took."""
        marks = (self.began_at, self.seen_at, self.decided_at, self.sent_at, self.confirmed_at)
        return {
            stage: max(0.0, end - start) for stage, start, end in zip(STAGES, marks, marks[1:], strict=False)
        }


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What is promised of one kind: this share of its records within so many seconds."""

    kind: str
    seconds: float
    share: float = 0.95

    @property
    def may_be_late(self) -> float:
        """Return the share that may be late."""
        return max(1e-6, 1 - self.share)


class Burning(msgspec.Struct, frozen=True, kw_only=True):
    """Too many records of a kind come late."""

    kind: str
    late: int
    of: int
    hours: float
    seconds: float  # the objective's
    share: float
    stage: Stage  # where most of the time goes


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh one kind was: of how many, which share in time, percentiles of the whole way and by stage."""

    kind: str
    count: int
    in_time: float
    percentiles: Mapping[str, float]
    stages: Mapping[str, float]  # the 95th percentile of each


def summary(landed: Sequence[Landed], objective: Objective) -> Summary | None:
    """Sum up the records of one kind; None without any."""
    mine = [each for each in landed if each.kind == objective.kind]
    if not mine:
        return None
    ways = sorted(each.seconds for each in mine)
    return Summary(
        kind=objective.kind,
        count=len(mine),
        in_time=sum(way <= objective.seconds for way in ways) / len(ways),
        percentiles={name: percentile(ways, share) for name, share in _PERCENTILES.items()},
        stages={
            stage: percentile(sorted(each.stages()[stage] for each in mine), _PERCENTILES["p95"])
            for stage in STAGES
        },
    )


_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that so great a share does not exceed; the values come in order."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def rate(landed: Iterable[Landed], objective: Objective, now: float, seconds: float) -> float:
    """Return how fast what may be late was burnt within the last seconds; 1: just as fast as it may."""
    mine = _within(landed, objective, now, seconds)
    late = sum(each.seconds > objective.seconds for each in mine)
    return late / len(mine) / objective.may_be_late if mine else 0.0


def burning(landed: Sequence[Landed], objective: Objective, now: float) -> Burning | None:
    """Say whether so many come late that somebody has to look; None when all is well, or well again."""
    lately = _within(landed, objective, now, LATELY_SECONDS)
    if lately and rate(lately, objective, now, LATELY_SECONDS) <= 1:
        return None
    for seconds, limit in ((FAST_SECONDS, FAST_RATE), (SLOW_SECONDS, SLOW_RATE)):
        mine = _within(landed, objective, now, seconds)
        late = [each for each in mine if each.seconds > objective.seconds]
        if len(late) >= _LATE_MIN and rate(mine, objective, now, seconds) >= limit - _DUST:
            return Burning(
                kind=objective.kind,
                late=len(late),
                of=len(mine),
                hours=seconds / HOUR,
                seconds=objective.seconds,
                share=objective.share,
                stage=_slowest(late),
            )
    return None


def _within(landed: Iterable[Landed], objective: Objective, now: float, seconds: float) -> list[Landed]:
    return [each for each in landed if each.kind == objective.kind and now - each.confirmed_at <= seconds]


def _slowest(late: Sequence[Landed]) -> Stage:
    spent = {stage: sum(each.stages()[stage] for each in late) for stage in STAGES}
    return max(STAGES, key=lambda stage: spent[stage])

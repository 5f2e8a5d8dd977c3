"""What a quota is, who draws on it, and which ones the two remotes are known to have.

All of it is configuration and no part of the state: a raised limit counts at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import msgspec

Lane = Literal["urgent", "sales", "customers", "catalog", "sweep", "backfill"]
LANES: tuple[Lane, ...] = get_args(Lane)
PLACE: Mapping[str, int] = {lane: at for at, lane in enumerate(LANES)}

SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3_600.0, 86_400.0
MONTH = 30 * DAY  # both vendors count months as 30 days, if at all

# What is spent is remembered in so many slots a window. More make the row larger (a slot and connection take
# some 40 bytes), fewer make a spent slot linger for longer: 48 of a day are half-hours.
_SLOTS_OF_LONG = 48
_SLOTS_OF_SHORT = 10

# From this length on a window is planned with what everybody wants. A shorter one opens again at once: there
# it is enough that the lower lanes leave the last part of it alone.
_PLANNED_FROM_SECONDS = HOUR

# How full a bucket, a short window or the requests under way may be for a lane to add to them. A forced
# customer always finds room that no backfill can take.
CEILINGS: Mapping[Lane, float] = {
    "urgent": 0.95,
    "sales": 0.9,
    "customers": 0.85,
    "catalog": 0.8,
    "sweep": 0.7,
    "backfill": 0.6,
}

# While a shop is busy, its backfill leaves half of the flow alone, and most of the bucket.
BUSY_FLOW_SHARE = 0.5
BUSY_CEILING = 0.3


# --- what a quota is: configuration --------------------------------------------------------------


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """So much in so many seconds, counted over any such span.

    `allowed` is what the remote allows everybody together; with `told`, what its
    answers say counts instead. `share` of it is ours at most, `most` an absolute
    cap beside that, and the last `spare` of what is allowed is left to others.
    """

    name: str
    seconds: float
    allowed: float
    share: float = 1.0
    most: float | None = None
    spare: float = 0.0
    told: bool = False

    @property
    def slot_seconds(self) -> float:
        """Return how long a slot of it is."""
        return self.seconds / (_SLOTS_OF_LONG if self.seconds >= _PLANNED_FROM_SECONDS else _SLOTS_OF_SHORT)

    @property
    def planned(self) -> bool:
        """Say whether it is long enough for wants to count."""
        return self.seconds >= _PLANNED_FROM_SECONDS


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """A leaky bucket, until an answer tells otherwise."""

    size: float
    drips_per_second: float


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What a remote allows, as configured. It is no part of the state: a raised limit counts at once."""

    title: str  # for people: "Salesforce calls"
    windows: tuple[Window, ...] = ()
    leak: Leak | None = None
    at_once: int | None = None  # requests under way at the same time


# --- who asks, and what is answered --------------------------------------------------------------

Cause = Literal["ours", "others", "lanes", "rate", "busy", "refused", "at once"]


class Granted(msgspec.Struct, frozen=True):
    """Go ahead. `left` is what this lane could spend now beyond it, as far as windows say."""

    left: float


class Paused(msgspec.Struct, frozen=True):
    """Not now: `until` is the earliest sensible moment, `why` a sentence for people."""

    until: float
    why: str
    cause: Cause


class Asker(msgspec.Struct, frozen=True):
    """Who wants to spend: a connection, in a lane; `busy` while its shops have customers at the till."""

    connection: str
    lane: Lane
    busy: bool = False


def ceiling(asker: Asker) -> float:
    """Return how full something may be for an asker to add to it."""
    if asker.busy and asker.lane == "backfill":
        return BUSY_CEILING
    return CEILINGS[asker.lane]


# --- the two remotes, as they are known ----------------------------------------------------------

# The smallest allowance of any edition (fact sheet Salesforce 4), until an answer tells the org's own.
CRM_CALLS_A_DAY = 15_000.0

# Shared by both bulk APIs, of the whole org (fact sheet Salesforce 3.3).
CRM_BULK_BATCHES_A_DAY = 15_000.0

# Long requests that may run at the same time; trial and developer orgs allow 5 (fact sheet Salesforce 4).
CRM_AT_ONCE = 5

# One register; the first answer tells the true ones (fact sheet Lightspeed A3).
TILL_BUCKET = Leak(size=90.0, drips_per_second=1.0)


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of [budget]. None: no cap of one's own."""

    crm_share: float = 0.4
    crm_spare: float = 0.05
    crm_calls_a_day: float | None = None
    crm_calls_a_month: float | None = None
    crm_bulk_batches_a_day: float | None = None
    crm_at_once: int = CRM_AT_ONCE
    till_calls_a_second: float | None = None
    till_calls_a_minute: float | None = None
    till_calls_an_hour: float | None = None
    till_calls_a_day: float | None = None
    till_calls_a_month: float | None = None


def crm_calls(caps: Caps, title: str = "Salesforce calls") -> Quota:
    """Return the quota of a CRM org's calls."""
    day = _crm_day(caps, CRM_CALLS_A_DAY, caps.crm_calls_a_day)
    month = _capped("month", MONTH, caps.crm_calls_a_month)
    return Quota(title=title, windows=(day, *month), at_once=caps.crm_at_once)


def crm_batches(caps: Caps, title: str = "Salesforce bulk batches") -> Quota:
    """Return the quota of a CRM org's bulk batches; 10,000 rows, or a part of them, take one."""
    day = _crm_day(caps, CRM_BULK_BATCHES_A_DAY, caps.crm_bulk_batches_a_day)
    return Quota(title=title, windows=(day,))


def _crm_day(caps: Caps, allowed: float, most: float | None) -> Window:
    """Return the rolling day of an org, of which its other apps have a share."""
    return Window(
        name="day",
        seconds=DAY,
        allowed=allowed,
        share=caps.crm_share,
        most=most,
        spare=caps.crm_spare,
        told=True,
    )


def till_drips(title: str = "Lightspeed's rate limit") -> Quota:
    """Return the quota of a till account and client, in the units its bucket counts."""
    return Quota(title=title, leak=TILL_BUCKET)


def till_calls(caps: Caps, title: str = "Lightspeed calls") -> Quota:
    """Return the caps on a till's calls that people have set; without any it lets everything pass."""
    windows = (
        *_capped("second", SECOND, caps.till_calls_a_second),
        *_capped("minute", MINUTE, caps.till_calls_a_minute),
        *_capped("hour", HOUR, caps.till_calls_an_hour),
        *_capped("day", DAY, caps.till_calls_a_day),
        *_capped("month", MONTH, caps.till_calls_a_month),
    )
    return Quota(title=title, windows=windows)


def _capped(name: str, seconds: float, most: float | None) -> Iterable[Window]:
    return () if most is None else (Window(name=name, seconds=seconds, allowed=most),)

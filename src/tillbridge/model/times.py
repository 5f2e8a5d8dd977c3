"""Which calendar day a moment belongs to: a shop's business day, and a birthday.

The till speaks UTC everywhere; days exist only in a zone. The one thing a
reader would get wrong: a birthday is an instant too, the local midnight of the
shop in UTC, so that the UTC date of it is a day early east of Greenwich
(fact sheet A6).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MIDNIGHT = time(0)
_HALF_DAY = timedelta(hours=12)
_ONE_DAY = timedelta(days=1)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the zone of that IANA name, legacy ones (US/Eastern) included; ValueError when unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        # OSError: a name such as "Europe" is a directory of the database.
        raise ValueError(f"there is no time zone {name!r}") from error


def business_date(moment: datetime, zone_name: str, day_starts_at: time = MIDNIGHT) -> date:
    """Return the store's business day: before `day_starts_at` by the wall clock, yesterday goes on."""
    local = moment.astimezone(zone(zone_name))
    if day_starts_at is not MIDNIGHT and local.time() < day_starts_at:
        return local.date() - _ONE_DAY
    return local.date()


def birth_date(midnight_utc: datetime, zones: Sequence[str]) -> date:
    """Return the day whose local midnight in one of the shops' zones is that instant.

    Where it is midnight in none of them (a zone that is gone, a clock change
    at midnight), the midnight nearest to it in the first zone is meant.
    """
    for name in zones:
        local = midnight_utc.astimezone(zone(name))
        if local.time() == MIDNIGHT:
            return local.date()
    local = midnight_utc.astimezone(zone(zones[0])) if zones else midnight_utc.astimezone(UTC)
    return (local.replace(tzinfo=None) + _HALF_DAY).date()


def birth_midnight(day: date, zone_name: str) -> datetime:
    """Return the instant, in UTC, by which a till in that zone says this birthday: `birth_date` turned round.

    A day that a zone never had (it moved across the date line) is told by the
    last second before it, whose nearest midnight it is.
    """
    midnight = datetime.combine(day, MIDNIGHT, zone(zone_name)).astimezone(UTC)
    if birth_date(midnight, (zone_name,)) == day:
        return midnight
    return midnight - timedelta(seconds=1)

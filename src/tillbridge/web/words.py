"""How the console writes numbers, sums, moments and states: the same on every page."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

# Where a name such as PersonMobilePhone goes on with another word.
_BETWEEN_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400

# What stands where there is nothing to show.
_NOTHING = "\N{EN DASH}"


def number(value: float | None) -> str:
    """Write a count as people read it: 12,345."""
    return _NOTHING if value is None else f"{value:,.0f}" if isinstance(value, float) else f"{value:,}"


def money(value: Decimal | str | float | None, currency: str = "") -> str:
    """Write a sum with its currency: 1,234.50 EUR."""
    if value is None or value == "":
        return _NOTHING
    written = f"{Decimal(str(value)):,.2f}"
    return f"{written} {currency}".rstrip()


def percent(share: float | None) -> str:
    """Write a share: 12.5 %."""
    return _NOTHING if share is None else f"{share * 100:.1f}".removesuffix(".0") + " %"


def seconds(value: float | None) -> str:
    """Write a span of time: 48 s, 3 min, 2 h, 5 d."""
    if value is None:
        return _NOTHING
    value = max(0.0, value)
    if value < 2 * _MINUTE:
        return f"{value:.0f} s"
    if value < 2 * _HOUR:
        return f"{value / _MINUTE:.0f} min"
    if value < 2 * _DAY:
        return f"{value / _HOUR:.0f} h"
    return f"{value / _DAY:.0f} d"


def moment(value: datetime | float | str | None) -> datetime | None:
    """Return a moment however it was kept."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str):
        read = datetime.fromisoformat(value)
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC)


def clock(value: datetime | float | str | None) -> str:
    """Write a moment in full; a script of the page turns it into the reader's own time."""
    at = moment(value)
    return _NOTHING if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(value: date | None) -> str:
    """Write a day: Sat 21 Nov 2026."""
    return _NOTHING if value is None else f"{value:%a} {value.day} {value:%b %Y}"


def ago(value: datetime | float | str | None, now: float) -> str:
    """Write how long ago a moment was, or how soon it comes."""
    at = moment(value)
    if at is None:
        return "never"
    span = now - at.timestamp()
    return f"{seconds(span)} ago" if span >= 0 else f"in {seconds(-span)}"


def initials(name: str) -> str:
    """Return two letters that stand for somebody."""
    parts = [part for part in name.split() if part[:1].isalnum()]
    return "".join(part[0] for part in (parts[:1] + parts[1:][-1:])).upper() or "?"


# How a record's state is said, and how urgent it looks. The tone is never the only sign.
_STATES = {
    "settled": ("In Salesforce", "good"),
    "waiting": ("There, waits for a lookup", "note"),
    "staged": ("On its way", "note"),
    "review": ("In review", "warn"),
    "conflict": ("Conflict", "warn"),
    "problem": ("Problem", "bad"),
    "unsynced": ("Not synced", "neutral"),
    "new": ("Not synced", "neutral"),
    "seen": ("Not synced", "neutral"),
    "open": ("Not completed", "neutral"),
    "left_out": ("Left out", "neutral"),
    "gone": ("Gone", "neutral"),
    "retrying": ("Is tried again", "warn"),
    "gave_up": ("Given up", "bad"),
    "ignored": ("Ignored", "neutral"),
    "resolved": ("Solved", "good"),
    "sent": ("In Salesforce", "good"),
    "unchanged": ("Nothing new", "good"),
    "refused": ("Refused", "bad"),
    "not in the till": ("Not in the till", "bad"),
    "completed": ("Completed", "good"),
    "voided": ("Voided", "neutral"),
    "cancelled": ("Cancelled", "neutral"),
}


def state(word: str | None) -> tuple[str, str]:
    """Return how a state is said, and its tone."""
    word = word or "unsynced"
    return _STATES.get(word, (word.replace("_", " ").capitalize(), "neutral"))


def plain(word: str) -> str:
    """Write a name of ours, or a field's, as people do: Person Mobile Phone."""
    return _BETWEEN_WORDS.sub(" ", word.removesuffix("__c").replace("_", " "))

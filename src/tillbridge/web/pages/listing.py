"""What all lists share: which part of one is shown, and where its other parts are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from urllib.parse import urlencode

from tillbridge.views.figures import OFFSET_MAX, PAGE, Slice
from tillbridge.web.errors import Unfit

# What the API takes as well; before and after it calendars themselves come to an end.
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)


def begins(start: int) -> int:
    """Return where a list begins, within its bounds."""
    return min(max(0, start), OFFSET_MAX)


def day_in(text: str) -> date | None:
    """Read a day from an address or a form; nothing: none. Raises Unfit."""
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Unfit("A day is written as 2026-11-20.") from None
    if not _FIRST_DAY <= found <= _LAST_DAY:
        raise Unfit(f"Days from {_FIRST_DAY} to {_LAST_DAY} can be shown.")
    return found


def marks_in(seen: Collection[str], ids: Collection[int]) -> dict[int, str]:
    """Return by which marks a page has shown what is to be decided; an empty one of what it has not shown."""
    given = dict(each.partition("-")[::2] for each in seen)
    return {number: given.get(str(number), "") for number in ids}


def pages(path: str, asked: Mapping[str, object], shown: Slice, count: int) -> dict[str, object]:
    """Return what the pager needs: the part that is shown, and the addresses before and behind it."""

    def at(start: int) -> str:
        query = {name: value for name, value in asked.items() if value not in {None, ""}}
        return f"{path}?{urlencode({**query, 'start': start})}"

    # Back from beyond the end leads to the last page.
    total = shown.offset if shown.total is None else shown.total
    behind = -(-total // PAGE) * PAGE
    return {
        "first": shown.offset + 1 if count else 0,
        "last": shown.offset + count if count else 0,
        "total": shown.total,
        "before": at(max(0, min(shown.offset, behind) - PAGE)) if shown.offset else "",
        "after": at(shown.offset + PAGE) if shown.more and count else "",
    }

"""What all lists share: which part of one is shown, and where its other parts are."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from tillbridge.views.figures import PAGE, Slice

# Beyond that nobody leafs; a filter leads there.
OFFSET_MAX = 100_000


def begins(start: int) -> int:
    """Return where a list begins, within its bounds."""
    return min(max(0, start), OFFSET_MAX)


def pages(path: str, asked: Mapping[str, object], shown: Slice, count: int) -> dict[str, object]:
    """Return what the pager needs: the part that is shown, and the addresses before and behind it."""

    def at(start: int) -> str:
        query = {name: value for name, value in asked.items() if value not in {None, ""}}
        return f"{path}?{urlencode({**query, 'start': start})}"

    return {
        "first": shown.offset + 1 if count else 0,
        "last": shown.offset + count,
        "total": shown.total,
        "before": at(max(0, shown.offset - PAGE)) if shown.offset else "",
        "after": at(shown.offset + PAGE) if shown.more and count else "",
    }

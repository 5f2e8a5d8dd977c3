"""Incremental reads: where each stream stands, and how it moves.

A position is the till's own newest stamp, never our clock, and never later than
the till's own time of the answer: one row stamped in the future would hide all
that comes before it. Each read goes back by an overlap, because stamps are set
before rows become visible; what comes twice is known by its digest and costs
nothing. A catch-up of many pages keeps
its place in the middle of a listing and becomes a stamp only behind its last page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from tillbridge.model.reading import Page, Query
from tillbridge.store.state import State

SALES = "sales"
CUSTOMERS = "customers"
PRODUCTS = "products"
STOCK = "stock"
VOIDS = "voids"

# Children of a sale may carry stamps a second newer, and a register's clock may lag by minutes.
OVERLAP = timedelta(minutes=10)

# When the till's clock was set back, we read again what it has stamped since our last look, by the time
# that has passed on our own. A clock of ours that was itself set right would have us read for years.
_READ_BACK_MAX = timedelta(days=31)

# One slice: ten pages of a hundred sales are one full write's worth of calls.
SLICE_PAGES_MAX = 10

Row = TypeVar("Row")


class Position(msgspec.Struct, frozen=True):
    """Where a stream stands: `since`, None before anything was read; `resume` in the middle of a listing."""

    since: datetime | None = None
    high: datetime | None = None
    resume: str | None = None

    def query(self) -> Query:
        """Return the next read."""
        since = None if self.since is None else self.since - OVERLAP
        return Query(since=since, resume=self.resume)


class Taken(msgspec.Struct, Generic[Row], frozen=True):
    """One slice of a stream: its rows, and the position behind them once they are settled."""

    rows: list[Row]
    then: str
    more: bool
    server_time: datetime | None


def take(
    state: State, stream: str, read: Callable[[Query], Iterator[Page[Row]]], pages_max: int = SLICE_PAGES_MAX
) -> Taken[Row]:
    """Read a stream's next slice. The caller moves the cursor to `then` when every row stands somewhere."""
    position = parse(state.cursor(stream))
    taken = _take(position, read, pages_max)
    back = _clock_set_back(state, stream, position, taken.server_time)
    return taken if back is None else _take(Position(since=back), read, pages_max)


def _take(position: Position, read: Callable[[Query], Iterator[Page[Row]]], pages_max: int) -> Taken[Row]:
    rows: list[Row] = []
    high, resume, seen_at = position.high, None, None
    for number, page in enumerate(read(position.query()), 1):
        rows += page.rows
        seen_at = page.server_time
        high = max(filter(None, (high, page.high)), default=None)
        resume = page.next
        if resume is not None and number >= pages_max:
            break
    if resume is not None:
        return Taken(rows, dump(Position(position.since, high, resume)), more=True, server_time=seen_at)
    newest = max(filter(None, (position.since, high)), default=seen_at)
    # Rows stamped later than that are taken all the same, and again until the till's clock has passed them.
    since = min(filter(None, (newest, seen_at)), default=None)
    return Taken(rows, dump(Position(since=since)), more=False, server_time=seen_at)


def _clock_set_back(
    state: State, stream: str, position: Position, server_time: datetime | None
) -> datetime | None:
    """Return from when to read again because the till's clock was set back since the last look; or None.

    Our clock says only how long ago that was: what it shows is not compared with theirs.
    """
    moved_at = state.cursor_moved_at(stream)
    if position.since is None or position.resume is not None or moved_at is None or server_time is None:
        return None
    passed = min(max(timedelta(seconds=state.now() - moved_at), timedelta(0)), _READ_BACK_MAX)
    looked_at = server_time - passed
    return looked_at if looked_at < position.since - OVERLAP / 2 else None


def parse(text: str | None) -> Position:
    """Read a position as it is stored: a plain stamp, or a place in the middle of a listing."""
    if text is None:
        return Position()
    if not text.startswith("{"):
        return Position(since=datetime.fromisoformat(text))
    return msgspec.json.decode(text, type=Position)


def dump(position: Position) -> str:
    """Write a position for the store."""
    if position.resume is None and position.since is not None:
        return position.since.astimezone(UTC).isoformat()
    return msgspec.json.encode(position).decode()

"""Whether both sides are connected, as far as our own tables know: no remote is asked.

A poll that ended at a remote's door says so until it has come through; what is
done seldom says so only as long as no poll came through since.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from tillbridge.alerts import INSTANCE, side_of
from tillbridge.store.service import DOWN, Stream
from tillbridge.views.books import Books
from tillbridge.views.figures import moment

System = Literal["Lightspeed", "Salesforce"]
_KNOWN_BY: dict[System, str] = {"Lightspeed": "till_account", "Salesforce": "crm_org"}
_FAILED = frozenset({DOWN, "halted"})


class SideNow(msgspec.Struct, frozen=True, kw_only=True):
    """One side. `why`: what stands in the way."""

    system: System
    connected: bool
    why: str | None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """When a stream was last read, and when it is read next. `rests`: a person has paused it."""

    read_at: datetime | None
    next_at: datetime | None
    rests: bool


def sides(books: Books) -> list[SideNow]:
    """Return how both sides do."""
    streams = books.service.streams(books.name)
    instance = books.state.fact(INSTANCE)
    read_at = max(
        (s.ended_at or 0.0 for s in streams if s.kind == "poll" and s.outcome == "done"), default=0.0
    )
    why: dict[str, str] = {}
    for stream in sorted(streams, key=lambda s: s.ended_at or 0.0):
        if _is_stopped(stream, read_at) and (side := side_of(stream.why or "", books.config, instance)):
            why[side] = stream.why or ""
    return [
        SideNow(
            system=system,
            connected=system not in why and books.state.fact(known_by) is not None,
            why=why.get(system) or (None if books.state.fact(known_by) else "Not connected yet."),
        )
        for system, known_by in _KNOWN_BY.items()
    ]


def _is_stopped(stream: Stream, read_at: float) -> bool:
    if stream.outcome not in _FAILED or not stream.why:
        return False
    return stream.kind == "poll" or (stream.ended_at or 0.0) > read_at


def reading(books: Books, name: str) -> Reading:
    """Return when a stream was last read with success, and when its next look is due."""
    stream = next((s for s in books.service.streams(books.name) if (s.kind, s.name) == ("poll", name)), None)
    pulse = next((each for each in books.notices.pulses() if each.stream == name), None)
    rests = stream is not None and (stream.paused or books.name in books.service.stopped())
    return Reading(
        read_at=moment(pulse.polled_at) if pulse else None,
        next_at=moment(stream.next_due) if stream and not rests else None,
        rests=rests,
    )

"""A preparation that was made before, for a process that works with a connection again and again.

What it rests on is read each time, in one question; while all of that reads as it
did, nothing is checked, parsed or put together anew. Whoever else changes any of
it (another worker, somebody at the command line) is noticed by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

from tillbridge.engine import directory, mapbook
from tillbridge.engine.connection import Connection
from tillbridge.engine.directory import Directory, kept_directory
from tillbridge.engine.preflight import OBJECTS_FACT, Described, objects_of
from tillbridge.model.clock import Clock
from tillbridge.model.writing import ObjectFacts
from tillbridge.store.state import BOUND_FACTS, State

# All that a preparation reads: when one of these has changed, it is made again.
_RESTS_ON = (*BOUND_FACTS, directory.FACT, mapbook.LOG_FACT, OBJECTS_FACT)


class Kept:
    """What is kept of a connection now, as text."""

    def __init__(self, state: State) -> None:
        self._texts = state.texts(_RESTS_ON)
        self.mark = {name: _digest(text) for name, text in self._texts.items()}

    def described(self) -> Described | None:
        """Return what the org shows of our objects, and when it was asked."""
        return objects_of(self._texts.get(OBJECTS_FACT))


@dataclass(frozen=True, slots=True)
class Before:
    """A preparation as it was made, without what is large: some kilobytes a connection."""

    mark: Mapping[str, bytes]
    org: tuple[str, str]  # its id and address
    directory: Directory
    objects_read_at: float
    connection: Connection

    def again(self, kept: Kept, org: tuple[str, str], clock: Clock, *, as_kept: bool) -> Connection | None:
        """Return it as fresh as it was made then; None when it has to be made anew."""
        is_fresh = as_kept or self.directory.is_fresh(clock)
        if kept.mark != self.mark or org != self.org or not is_fresh:
            return None
        if not Described.is_fresh_at(self.objects_read_at, clock):
            return None
        return _bare(self.connection, _Objects(kept))


def remember(connection: Connection, kept: Kept, org: tuple[str, str]) -> Before | None:
    """Return what a preparation can be made of again, if it rests on what is kept now."""
    known, described = kept_directory(connection.people), kept.described()
    if known is None or described is None:
        return None
    return Before(kept.mark, org, known, described.read_at, _bare(connection, {}))


def _bare(connection: Connection, objects: Mapping[str, ObjectFacts]) -> Connection:
    """Return a copy in which nothing has happened yet."""
    return replace(
        connection,
        objects=objects,
        moved=set(),
        put_right=set(),
        ways={},
        alikes={},
        unlisted=set(),
        landed=[],
    )


class _Objects(Mapping[str, ObjectFacts]):
    """What the org shows of our objects, parsed when somebody asks: a quiet poll does not."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    @cached_property
    def _all(self) -> Mapping[str, ObjectFacts]:
        described = self._kept.described()
        assert described is not None
        return described.objects

    def __getitem__(self, name: str) -> ObjectFacts:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()

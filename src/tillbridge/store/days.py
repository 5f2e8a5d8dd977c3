"""How the daily proof stands: which day of each store is proven, which disagree, what holds it up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import msgspec

from tillbridge.store.state import State

_FACT = "daily certificates"

# A store day that disagrees is remembered so long, unless a later certificate finds that it agrees.
_REMEMBERED_SECONDS = 30 * 86_400.0


class StoreDay(msgspec.Struct, frozen=True):
    """A store's business day on which both systems disagree; `reasons` count its receipts."""

    store: str
    day: str
    certificate: int
    figures: int
    reasons: dict[str, int]
    found_at: float

    @property
    def receipts(self) -> int:
        """Return how many receipts differ."""
        return sum(self.reasons.values())


class HeldUp(msgspec.Struct, frozen=True):
    """Why no certificate could be made, and since when (our clock)."""

    since: float
    why: str


class _Standing(msgspec.Struct):
    proven: dict[str, str] = {}  # by store: the last business day that was compared
    disagreeing: dict[str, StoreDay] = {}
    held_up: HeldUp | None = None


class Days:
    """The daily proof of one connection."""

    def __init__(self, state: State) -> None:
        self._state = state

    def proven(self) -> dict[str, date]:
        """Return the last business day of each store that was compared."""
        return {store: date.fromisoformat(day) for store, day in self._read().proven.items()}

    def disagreeing(self) -> list[StoreDay]:
        """Return the store days that differ, the oldest first."""
        return sorted(self._read().disagreeing.values(), key=lambda each: (each.day, each.store))

    def held_up(self) -> HeldUp | None:
        """Return what keeps the daily proof from being made, if anything does."""
        return self._read().held_up

    def note_proof(self, stores: Collection[str], day: date, found: Mapping[str, StoreDay]) -> None:
        """Note that this day of these stores was compared, and which of them differ; by store."""
        standing = self._read()
        for store in stores:
            standing.proven[store] = max(standing.proven.get(store, ""), day.isoformat())
        self._note(standing, stores, day, found)
        standing.held_up = None
        self._keep(standing)

    def note_again(self, stores: Collection[str], day: date, found: Mapping[str, StoreDay]) -> None:
        """Note what another certificate says of a day that had differed; other days stay untold."""
        standing = self._read()
        known = [store for store in stores if _place(store, day) in standing.disagreeing]
        if known:
            self._note(standing, known, day, found)
            self._keep(standing)

    def note_held_up(self, why: str) -> None:
        """Note that the proof could not be made; the first time counts."""
        standing = self._read()
        since = standing.held_up.since if standing.held_up is not None else self._state.now()
        standing.held_up = HeldUp(since, why)
        self._keep(standing)

    def _note(
        self, standing: _Standing, stores: Collection[str], day: date, found: Mapping[str, StoreDay]
    ) -> None:
        for store in stores:
            standing.disagreeing.pop(_place(store, day), None)
            if store in found:
                standing.disagreeing[_place(store, day)] = found[store]
        before = self._state.now() - _REMEMBERED_SECONDS
        for place, each in list(standing.disagreeing.items()):
            if each.found_at < before:
                del standing.disagreeing[place]

    def _read(self) -> _Standing:
        return msgspec.convert(self._state.fact(_FACT) or {}, _Standing)

    def _keep(self, standing: _Standing) -> None:
        with self._state.begin() as c:
            self._state.keep(c, _FACT, msgspec.to_builtins(standing))


def _place(store: str, day: date) -> str:
    return f"{store} {day.isoformat()}"

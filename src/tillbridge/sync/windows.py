"""What of a window somebody may spend: floors by lane, shares by connection, others' use, trickles.

A lane's floor is no pot of money. Every (connection, lane) is kept free what it
*wants* in a window, the higher lanes first; whoever is lower or has had its own
may not touch that. What nobody wants is anybody's. A little is kept for
everybody, so that no lane waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tillbridge.sync.ledger import DUST, WANTS_SECONDS, Slot, State, Usage, live
from tillbridge.sync.quota import DAY, LANES, PLACE, SECOND, Asker, Cause, Paused, Quota, Window, ceiling

# Of a planned window, each lane is kept at least this much, whatever the higher ones want.
TRICKLE_SHARE = 0.01

# What other apps use is only known from answers. While it is their use that stops us, one call in so many
# seconds may go out to see: some 300 a day at most. Where a person waits, the remote is asked sooner, and
# by a call that does nothing else (`budget.look`): a forced run is not to be left half done.
PROBE_SECONDS = 300.0
LOOK_SECONDS = 60.0


class Books:
    """One window's books at a moment, as they look to one asker."""

    def __init__(self, state: State, window: Window, asker: Asker, now: float) -> None:
        self._window = window
        self._asker = asker
        self._wants = {name: want for name, want in state.wants.items() if now - want.at < WANTS_SECONDS}
        self.slots, _ = live(state, window, now)
        self.cap = cap_of(state, window)
        self._spent: dict[str, list[float]] = {}
        for slot in self.slots:
            self._add(slot, 1.0)
        for name in (*self._wants, asker.connection):
            self._spent.setdefault(name, [0.0] * len(LANES))
        self._trickle = self._trickle_of_each()
        self._kept = self._guarantees() if window.planned else {}

    @property
    def own(self) -> float:
        """Return what the asker has spent."""
        return self._spent[self._asker.connection][PLACE[self._asker.lane]]

    @property
    def total(self) -> float:
        """Return what all of us have spent."""
        return sum(map(sum, self._spent.values()))

    def room(self) -> float:
        """Return what the asker may spend now."""
        if not self._window.planned:
            # Whatever the ceiling, one call may go, and what is larger when nothing is before it.
            total = self.total
            most = self.cap if total <= DUST else max(min(1.0, self.cap), self.cap * ceiling(self._asker))
            return most - total
        room = self.cap - self.own - sum(self._held(self._kept))
        # Its trickle is everybody's own, whatever others want; only what is spent, and theirs, goes before.
        bare = self.cap - self.own - sum(self._held({}))
        return max(room, min(self._trickle - self.own, bare))

    def drop(self, slot: Slot) -> None:
        """Let a slot leave the window."""
        self._add(slot, -1.0)

    def _add(self, slot: Slot, sign: float) -> None:
        for name, line in slot.spent.items():
            sums = self._spent.setdefault(name, [0.0] * len(LANES))
            for at, cost in enumerate(line):
                sums[at] += sign * cost

    def _held(self, kept: Mapping[str, list[float]]) -> Iterator[float]:
        """Yield what every other party has spent, or is kept against this asker, whichever is more."""
        mine = PLACE[self._asker.lane]
        for name, line in self._spent.items():
            for at, cost in enumerate(line):
                if (name, at) == (self._asker.connection, mine):
                    continue
                if at <= mine and name in kept:
                    yield max(cost, kept[name][at])
                else:
                    yield max(cost, self._trickle)

    def _trickle_of_each(self) -> float:
        """Return what every party is kept in any case: at least one call, where that is not too much."""
        parties = len(LANES) * len(self._spent)
        cap = max(0.0, self.cap)
        share = cap * TRICKLE_SHARE * len(LANES) / parties
        return share if share >= 1 or cap < 4 * parties else 1.0

    def _guarantees(self) -> dict[str, list[float]]:
        """Deal the cap out to what is wanted: lane by lane, and among connections by their weights."""
        trickle = self._trickle
        scale = self._window.seconds / DAY
        kept = {name: [trickle] * len(LANES) for name in self._spent}
        rest = max(0.0, self.cap - trickle * len(LANES) * len(kept))
        for at in range(len(LANES)):
            asked = {
                name: (max(0.0, want.a_day[at] * scale - trickle), want.weight)
                for name, want in self._wants.items()
            }
            for name, part in shares(asked, rest).items():
                kept[name][at] += part
                rest -= part
            rest = max(0.0, rest)
        return kept


def shares(asked: Mapping[str, tuple[float, float]], total: float) -> dict[str, float]:
    """Share a total among (wish, weight) of parties: by weight, nobody gets more than they wish."""
    dealt = dict.fromkeys(asked, 0.0)
    open_ones = {name for name, (wish, _) in asked.items() if wish > 0}
    while open_ones and total > DUST:
        weights = sum(asked[name][1] for name in open_ones)
        unit = total / weights
        content = {name for name in open_ones if asked[name][0] <= unit * asked[name][1]}
        if not content:
            dealt |= {name: unit * asked[name][1] for name in open_ones}
            break
        for name in content:
            dealt[name] = asked[name][0]
            total -= asked[name][0]
        open_ones -= content
    return dealt


def room_of(state: State, window: Window, asker: Asker, now: float) -> float:
    """Return what somebody may spend of a window now."""
    return Books(state, window, asker, now).room()


def cap_of(state: State, window: Window) -> float:
    """Return what all of us together may spend in a window, others' use as last told."""
    own = own_cap_of(state, window)
    if not window.told or state.usage is None:
        return own
    others = max(0.0, state.usage.used - state.usage.ours)
    return min(own, state.usage.allowed * (1 - window.spare) - others)


def own_cap_of(state: State, window: Window) -> float:
    """Return what all of us together may spend in a window, whatever others use."""
    allowed = state.usage.allowed if window.told and state.usage is not None else window.allowed
    return min(allowed * window.share, float("inf") if window.most is None else window.most)


def is_probe(state: State, window: Window, asker: Asker, cost: float, now: float) -> bool:
    """Say whether a single call may go out to see if others still use as much as they did."""
    if cost > 1 or asker.lane == LANES[0] or now < next_probe_at(state, asker, now):
        return False
    return others_stop(state, window, asker, now)


def others_stop(state: State, window: Window, asker: Asker, now: float) -> bool:
    """Say whether it is others' use alone, as last told, that keeps somebody from one more call."""
    if not window.told or state.usage is None or cap_of(state, window) >= own_cap_of(state, window):
        return False
    return ours_allow(state, window, asker, now)


def ours_allow(state: State, window: Window, asker: Asker, now: float) -> bool:
    """Say whether what we may spend at most, whatever others use, allows one more call."""
    return Books(state, window, asker, now).total + 1 <= own_cap_of(state, window)


def next_probe_at(state: State, asker: Asker, now: float) -> float:
    """Return from when on a single call may go out to see."""
    known = [] if state.probed_at is None else [state.probed_at]
    if state.usage is not None:
        known.append(state.usage.at)
    if not known:
        return now
    return min(now, max(known)) + (LOOK_SECONDS if asker.lane == LANES[0] else PROBE_SECONDS)


def pause_of(state: State, quota: Quota, window: Window, asker: Asker, cost: float, now: float) -> Paused:
    """Find when enough of a window will have opened, and say who has the rest of it."""
    books = Books(state, window, asker, now)
    until, cause = now + window.seconds, _cause(state, window, books, cost)
    for slot in books.slots:
        books.drop(slot)
        if books.room() + DUST >= cost:
            until = (slot.at + 1) * window.slot_seconds + window.seconds
            break
    if cause == "others" and state.usage is not None:
        until = min(until, max(now, next_probe_at(state, asker, now)))
    # A full slot of patience at most beyond what could be: never at once, or everybody would turn in a loop.
    until = min(max(until, now + min(SECOND, window.slot_seconds)), now + window.seconds * 2)
    return Paused(until, _why(quota, window, books.cap, asker, cause, state.usage), cause)


def _cause(state: State, window: Window, books: Books, cost: float) -> Cause:
    if books.total + cost <= books.cap:
        return "lanes"
    if books.total + cost <= own_cap_of(state, window):
        return "others"
    return "ours"


def _why(quota: Quota, window: Window, cap: float, asker: Asker, cause: Cause, usage: Usage | None) -> str:
    head = f"{quota.title} of a {window.name}"
    match cause:
        case "lanes":
            return f"{head}: what is left of {cap:,.0f} is kept for what goes before {asker.lane}"
        case "others" if usage is not None:
            used = f"{usage.used:,.0f} of {usage.allowed:,.0f}"
            return f"{head}: {used} are used, most of them by other apps, and the rest is left to them"
        case _:
            return f"{head}: the {max(0.0, cap):,.0f} that are ours are spent"

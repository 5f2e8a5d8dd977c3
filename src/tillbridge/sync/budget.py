"""Decide who may spend scarce API calls now, and until when everybody else has to wait.

One budget stands before each remote quota and is shared by every connection and
worker that draws on it: its state is a value, kept in one row and changed by
compare-and-set. A request asks `may_spend`, or `take`, which also notes it;
answers correct the state (`told_usage`, `told_level`, `told_to_wait`), since a
remote knows its own limits better than we do.

What a reader would get wrong:

- A window rolls. What is spent is kept in slots of time, and a slot counts until
  all of it has left the window: never above a cap, at the price of one slot's patience.
- A lane's floor is no pot of money. Every (connection, lane) is kept free what it
  *wants* in a window, the higher lanes first; whoever is lower or has had its
  own may not touch that. What nobody wants is anybody's.
- A little is kept for everybody, so that no lane waits for ever.

No I/O and no clock: moments are arguments, in seconds of one clock that may be set back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_args

import msgspec

Lane = Literal["urgent", "sales", "customers", "catalog", "sweep", "backfill"]
LANES: tuple[Lane, ...] = get_args(Lane)
_PLACE: Mapping[str, int] = {lane: at for at, lane in enumerate(LANES)}

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

# Of a planned window, each lane is kept at least this much, whatever the higher ones want.
TRICKLE_SHARE = 0.01

# A connection that has had its share of a bucket may use no more than this part of what its lane may fill:
# another one's request finds room.
BORROWED_SHARE = 0.5

# What a connection wanted so long ago is nobody's wish any more: it was removed, or stands still.
WANTS_SECONDS = 2 * DAY

# What other apps use is only known from answers. While it is their use that stops us, one call in so many
# seconds may go out to see; an org that has nothing left at all is asked less often.
PROBE_SECONDS = 900.0
PROBE_SECONDS_EMPTY = 3_600.0

# A worker that died under way gives its place free after this: a call is given up after ten minutes.
LEASE_SECONDS_MAX = 900.0

# No answer is waited for longer than a day, whatever a header says.
_WAIT_SECONDS_MAX = DAY

# Sums of fractional costs are never exact.
_DUST = 1e-9


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


# --- what has been spent: state ------------------------------------------------------------------


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """What was spent in one slot of a window: for each connection, by lane."""

    at: int
    spent: dict[str, tuple[float, ...]]


class Usage(msgspec.Struct, frozen=True):
    """What the remote said of everybody's use of its told window, and how much of that was surely ours."""

    used: float
    allowed: float
    at: float
    ours: float


class Level(msgspec.Struct, frozen=True):
    """How full the bucket was. `unanswered` was granted, and is in nobody's answer yet."""

    level: float
    size: float
    drips_per_second: float
    at: float
    unanswered: float = 0.0


class Drawn(msgspec.Struct, frozen=True, array_like=True):
    """What one party has drawn from a bucket lately, leaking at the party's own share of the drip."""

    level: float
    at: float


class Want(msgspec.Struct, frozen=True):
    """What a connection wants of a day, by lane, and its weight among the others."""

    at: float
    a_day: tuple[float, ...]
    weight: float = 1.0


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """One request, or chain of requests, under way."""

    id: str
    connection: str
    lane: Lane
    until: float


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of a quota. A value: functions return a new one."""

    spent: dict[str, tuple[Slot, ...]] = {}  # by window
    usage: Usage | None = None
    level: Level | None = None
    drawn: dict[str, Drawn] = {}
    wants: dict[str, Want] = {}
    under_way: tuple[Lease, ...] = ()
    closed_until: float | None = None
    probed_at: float | None = None


EMPTY = State()


def encode(state: State) -> bytes:
    """Write a state for its row."""
    return msgspec.json.encode(state)


def decode(text: bytes | str) -> State:
    """Read a state back."""
    return msgspec.json.decode(text, type=State)


# --- asking --------------------------------------------------------------------------------------

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


def may_spend(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> Granted | Paused:
    """Decide whether `cost` may be spent now. Changes nothing: `spent` notes what was."""
    if (until := _closed_until(state, now)) is not None:
        return Paused(until, f"{quota.title}: the remote asked us to wait", "refused")
    if paused := _bucket_pause(state, quota, asker, cost, now):
        return paused
    left = float("inf")
    for window in quota.windows:
        room = _room(state, window, asker, now)
        if cost > room + _DUST and not _is_probe(state, window, asker, cost, now):
            return _window_pause(state, quota, window, asker, cost, now)
        left = min(left, room - cost)
    return Granted(max(0.0, left))


def take(
    state: State, quota: Quota, asker: Asker, cost: float, now: float
) -> tuple[State, Granted] | tuple[State, Paused]:
    """Ask and note in one step: what a worker does within one compare-and-set.

    The state is to be kept in either case: after a clock was set back, a pause changes it too.
    """
    if _is_ahead(state, quota, now):
        state = _settled(state, quota, now)
    answer = may_spend(state, quota, asker, cost, now)
    if isinstance(answer, Paused):
        return state, answer
    return spent(state, quota, asker, cost, now), answer


def left(state: State, quota: Quota, asker: Asker, now: float) -> float:
    """Return what this asker could spend now of all windows; what a schedule stretches itself by."""
    return max(0.0, min((_room(state, window, asker, now) for window in quota.windows), default=float("inf")))


def left_a_day(state: State, quota: Quota, asker: Asker, now: float) -> float:
    """Return what this asker may count on in a day: what it is kept, and what nobody wants, spent or not."""
    rooms = []
    for window in quota.windows:
        if window.planned:
            books = _Books(state, window, asker, now)
            rooms.append((books.room() + books.own) * DAY / window.seconds)
    return max(0.0, min(rooms, default=float("inf")))


def standing(state: State, quota: Quota, now: float) -> list[tuple[str, float, float]]:
    """Return (window, what is ours of it, what we have spent) for people to look at; a bucket is "bucket"."""
    found = [
        (window.name, max(0.0, _cap(state, window)), sum(map(_total, _live(state, window, now)[0])))
        for window in quota.windows
    ]
    if quota.leak is not None:
        bucket = _level(state, quota.leak, now)
        found.append(("bucket", bucket.size, min(bucket.size, bucket.level + bucket.unanswered)))
    return found


def spent(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> State:
    """Note a cost that is being spent, before the request goes out."""
    state = _settled(state, quota, now)
    ledgers = dict(state.spent)
    probed_at = state.probed_at
    for window in quota.windows:
        if _room(state, window, asker, now) + _DUST < cost:
            probed_at = now
        ledgers[window.name] = _added(
            ledgers.get(window.name, ()), int(now // window.slot_seconds), asker, cost
        )
    state = msgspec.structs.replace(state, spent=ledgers, probed_at=probed_at)
    if quota.leak is None:
        return state
    level = _level(state, quota.leak, now)
    return msgspec.structs.replace(
        state,
        level=msgspec.structs.replace(level, unanswered=level.unanswered + cost),
        drawn=_drawing(state, quota.leak, asker, cost, now),
    )


def returned(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> State:
    """Give back what was noted and never spent: the newest first, never more than was noted."""
    state = _settled(state, quota, now)
    ledgers = {
        window.name: _taken_back(state.spent.get(window.name, ()), asker, cost) for window in quota.windows
    }
    state = msgspec.structs.replace(state, spent=ledgers)
    if quota.leak is None:
        return state
    level = _level(state, quota.leak, now)
    return msgspec.structs.replace(
        state,
        level=msgspec.structs.replace(level, unanswered=max(0.0, level.unanswered - cost)),
        drawn=_drawing(state, quota.leak, asker, -cost, now),
    )


def wanting(
    state: State, connection: str, a_day: Mapping[Lane, float], now: float, *, weight: float = 1.0
) -> State:
    """Note what a connection wants of a day, by lane. Said again at least daily; all zero: nothing any more.

    A lane that would take whatever it gets (a backfill) says infinity: equals share what is left.
    """
    wants = {name: want for name, want in state.wants.items() if now - want.at < WANTS_SECONDS}
    wants.pop(connection, None)
    if any(a_day.values()):
        line = tuple(max(0.0, a_day.get(lane, 0.0)) for lane in LANES)
        wants[connection] = Want(now, _json_safe(line), max(weight, _DUST))
    return msgspec.structs.replace(state, wants=wants)


# JSON knows no infinity; nobody is allowed so many calls a day.
_ENDLESS = 1e15


def _json_safe(line: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(min(each, _ENDLESS) for each in line)


# --- what the remote tells -----------------------------------------------------------------------


def told_usage(state: State, quota: Quota, used: float, allowed: float, now: float) -> State:
    """Note what an answer says of everybody's use of the told window; what is not ours is others'."""
    state = _settled(state, quota, now)
    window = next((window for window in quota.windows if window.told), None)
    if window is None or allowed <= 0:
        return state
    # Counted against us: slots that are only partly within the window may be out of their count already.
    ours = sum(_total(slot) for slot in _live(state, window, now)[0] if _starts_within(slot, window, now))
    usage = Usage(used=max(0.0, used), allowed=allowed, at=now, ours=ours)
    return msgspec.structs.replace(state, usage=usage, probed_at=None)


def told_level(
    state: State, quota: Quota, level: float, size: float, drips_per_second: float, now: float, *, cost: float
) -> State:
    """Note how full an answer says the bucket is. `cost` was noted for the request that it answers."""
    state = _settled(state, quota, now)
    if quota.leak is None or size <= 0 or drips_per_second <= 0:
        return state
    before = _level(state, quota.leak, now)
    unanswered = max(0.0, before.unanswered - cost)
    told = Level(max(0.0, level), size, drips_per_second, now, unanswered)
    return msgspec.structs.replace(state, level=told)


def told_to_wait(state: State, seconds: float | None, now: float) -> State:
    """Note that the remote refused for now: everybody waits. It named the seconds, or we take a minute."""
    until = now + min(_WAIT_SECONDS_MAX, max(1.0, MINUTE if seconds is None else seconds))
    return msgspec.structs.replace(state, closed_until=max(until, _closed_until(state, now) or until))


def _closed_until(state: State, now: float) -> float | None:
    """Return until when everybody waits; further off than any wait it is of a clock that was set back."""
    until = state.closed_until
    return until if until is not None and now < until <= now + _WAIT_SECONDS_MAX else None


# --- requests under way --------------------------------------------------------------------------


def started(
    state: State, quota: Quota, asker: Asker, lease: str, now: float, *, seconds: float = LEASE_SECONDS_MAX
) -> tuple[State, Granted] | tuple[State, Paused]:
    """Take one of the places of requests under way, for at most so many seconds."""
    if quota.at_once is None:
        return state, Granted(float("inf"))
    # Who has a place already keeps it, also when it died with it and comes back.
    running = tuple(each for each in _running(state, now) if each.id != lease)
    places = quota.at_once
    if asker.lane != LANES[0]:
        # One place is always there for what is urgent, if there are two.
        places = max(1, min(places - 1, int(places * _ceiling(asker))))
    if len(running) >= places:
        until = min((each.until for each in running), default=now + SECOND)
        why = f"{quota.title}: {len(running)} requests are under way, {quota.at_once} may be"
        return state, Paused(min(until, now + SECOND), why, "at once")
    until = now + min(seconds, LEASE_SECONDS_MAX)
    running = (*running, Lease(lease, asker.connection, asker.lane, until))
    return msgspec.structs.replace(state, under_way=running), Granted(float(places - len(running)))


def ended(state: State, lease: str) -> State:
    """Give a place free."""
    kept = tuple(each for each in state.under_way if each.id != lease)
    return msgspec.structs.replace(state, under_way=kept)


def _running(state: State, now: float) -> tuple[Lease, ...]:
    return tuple(each for each in state.under_way if now < each.until <= now + 2 * LEASE_SECONDS_MAX)


# --- windows -------------------------------------------------------------------------------------


class _Books:
    """One window's books at a moment, as they look to one asker."""

    def __init__(self, state: State, window: Window, asker: Asker, now: float) -> None:
        self._window = window
        self._asker = asker
        self._wants = {name: want for name, want in state.wants.items() if now - want.at < WANTS_SECONDS}
        self.slots, _ = _live(state, window, now)
        self.cap = _cap(state, window)
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
        return self._spent[self._asker.connection][_PLACE[self._asker.lane]]

    @property
    def total(self) -> float:
        """Return what all of us have spent."""
        return sum(map(sum, self._spent.values()))

    def room(self) -> float:
        """Return what the asker may spend now."""
        if not self._window.planned:
            # Whatever the ceiling, one call may go, and what is larger when nothing is before it.
            total = self.total
            most = self.cap if total <= _DUST else max(min(1.0, self.cap), self.cap * _ceiling(self._asker))
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
        mine = _PLACE[self._asker.lane]
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
    while open_ones and total > _DUST:
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


def _room(state: State, window: Window, asker: Asker, now: float) -> float:
    return _Books(state, window, asker, now).room()


def _cap(state: State, window: Window) -> float:
    """Return what all of us together may spend in a window, others' use as last told."""
    own = _own_cap(state, window)
    if not window.told or state.usage is None:
        return own
    others = max(0.0, state.usage.used - state.usage.ours)
    return min(own, state.usage.allowed * (1 - window.spare) - others)


def _own_cap(state: State, window: Window) -> float:
    allowed = state.usage.allowed if window.told and state.usage is not None else window.allowed
    return min(allowed * window.share, float("inf") if window.most is None else window.most)


def _is_probe(state: State, window: Window, asker: Asker, cost: float, now: float) -> bool:
    """Say whether a single call may go out to see if others still use as much as they did."""
    usage = state.usage
    if cost > 1 or not window.told or usage is None or _cap(state, window) >= _own_cap(state, window):
        return False
    asked_at = max(usage.at, state.probed_at or usage.at)
    if 0 <= now - asked_at < _probe_seconds(usage):
        return False
    books = _Books(state, window, asker, now)
    return books.total + cost <= _own_cap(state, window)


def _probe_seconds(usage: Usage) -> float:
    return PROBE_SECONDS if usage.used < usage.allowed else PROBE_SECONDS_EMPTY


def _window_pause(
    state: State, quota: Quota, window: Window, asker: Asker, cost: float, now: float
) -> Paused:
    """Find when enough of a window will have opened, and say who has the rest of it."""
    books = _Books(state, window, asker, now)
    until, cause = now + window.seconds, _cause(state, window, books, cost)
    for slot in books.slots:
        books.drop(slot)
        if books.room() + _DUST >= cost:
            until = (slot.at + 1) * window.slot_seconds + window.seconds
            break
    if cause == "others" and state.usage is not None:
        asked_at = min(now, max(state.usage.at, state.probed_at or state.usage.at))
        until = min(until, max(now, asked_at + _probe_seconds(state.usage)))
    # A full slot of patience at most beyond what could be: never at once, or everybody would turn in a loop.
    until = min(max(until, now + min(SECOND, window.slot_seconds)), now + window.seconds * 2)
    return Paused(until, _why(quota, window, books.cap, asker, cause, state.usage), cause)


def _cause(state: State, window: Window, books: _Books, cost: float) -> Cause:
    if books.total + cost <= books.cap:
        return "lanes"
    if books.total + cost <= _own_cap(state, window):
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


# --- slots ---------------------------------------------------------------------------------------


def _live(state: State, window: Window, now: float) -> tuple[tuple[Slot, ...], int]:
    """Return the slots that count at a moment, oldest first, and the number of the current one."""
    width, current = window.slot_seconds, int(now // window.slot_seconds)
    slots = _pulled_back(state.spent.get(window.name, ()), current)
    return tuple(slot for slot in slots if (slot.at + 1) * width + window.seconds > now), current


def _pulled_back(slots: tuple[Slot, ...], current: int) -> tuple[Slot, ...]:
    """Bring slots of the future back to the next one: after a clock was set back they would stay for ever.

    The next one and not this: of two workers a little apart, the later one is not wrong.
    """
    if not slots or slots[-1].at <= current + 1:
        return slots
    merged: dict[int, Slot] = {}
    for slot in slots:
        at = min(slot.at, current + 1)
        before = merged.get(at)
        merged[at] = Slot(at, slot.spent if before is None else _merged(before.spent, slot.spent))
    return tuple(merged[at] for at in sorted(merged))


def _starts_within(slot: Slot, window: Window, now: float) -> bool:
    return slot.at * window.slot_seconds + window.seconds >= now


def _total(slot: Slot) -> float:
    return sum(map(sum, slot.spent.values()))


def _merged(
    left_ones: Mapping[str, tuple[float, ...]], right_ones: Mapping[str, tuple[float, ...]]
) -> dict[str, tuple[float, ...]]:
    merged = dict(left_ones)
    for name, line in right_ones.items():
        before = merged.get(name)
        merged[name] = line if before is None else tuple(a + b for a, b in zip(before, line, strict=True))
    return merged


def _line(lane: Lane, cost: float) -> tuple[float, ...]:
    return tuple(cost if each == lane else 0.0 for each in LANES)


def _added(slots: tuple[Slot, ...], current: int, asker: Asker, cost: float) -> tuple[Slot, ...]:
    mine = {asker.connection: _line(asker.lane, cost)}
    found = {slot.at: slot for slot in slots}
    before = found.get(current)
    found[current] = Slot(current, mine if before is None else _merged(before.spent, mine))
    return tuple(found[at] for at in sorted(found))


def _taken_back(slots: tuple[Slot, ...], asker: Asker, cost: float) -> tuple[Slot, ...]:
    kept: list[Slot] = []
    place = _PLACE[asker.lane]
    for slot in reversed(slots):
        line = slot.spent.get(asker.connection)
        part = 0.0 if line is None else min(cost, line[place])
        if part > 0:
            cost -= part
            mine = {asker.connection: _line(asker.lane, -part)}
            kept.append(Slot(slot.at, _merged(slot.spent, mine)))
        else:
            kept.append(slot)
    return tuple(reversed(kept))


def _is_ahead(state: State, quota: Quota, now: float) -> bool:
    """Say whether something is stamped later than now: a clock was set back."""
    moments = [each.at for each in state.drawn.values()]
    if state.level is not None:
        moments.append(state.level.at)
    return any(at > now for at in moments) or any(
        slots[-1].at > now // window.slot_seconds + 1
        for window in quota.windows
        if (slots := state.spent.get(window.name))
    )


def _settled(state: State, quota: Quota, now: float) -> State:
    """Drop what has left every window, and what a clock that was set back has left in the future."""
    ledgers = {window.name: _live(state, window, now)[0] for window in quota.windows}
    usage, level = state.usage, state.level
    if usage is not None and usage.at > now:
        usage = msgspec.structs.replace(usage, at=now)
    if level is not None and level.at > now:
        level = msgspec.structs.replace(level, at=now)
    return msgspec.structs.replace(
        state,
        spent={name: slots for name, slots in ledgers.items() if slots},
        usage=usage,
        level=level,
        under_way=_running(state, now),
        drawn={
            name: Drawn(each.level, min(each.at, now))
            for name, each in state.drawn.items()
            if now - each.at < HOUR
        },
        probed_at=None if state.probed_at is None else min(state.probed_at, now),
    )


# --- buckets -------------------------------------------------------------------------------------

_BACKFILLS = "backfill"  # the party of all backfills together, beside the connections


def _level(state: State, leak: Leak, now: float) -> Level:
    """Return the bucket as it stands now."""
    found = state.level
    if found is None:
        return Level(0.0, leak.size, leak.drips_per_second, now)
    leaked = max(0.0, now - found.at) * found.drips_per_second
    level = max(0.0, found.level - leaked)
    unanswered = max(0.0, found.unanswered - max(0.0, leaked - found.level))
    return Level(level, found.size, found.drips_per_second, max(now, found.at), unanswered)


def _bucket_pause(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> Paused | None:
    """Return a pause when a bucket is too full for this lane, or this connection has had its share of it."""
    if quota.leak is None:
        return None
    bucket = _level(state, quota.leak, now)
    full = bucket.level + bucket.unanswered
    ceiling = bucket.size * CEILINGS[asker.lane]
    waits = [(_over(full, cost, ceiling) / bucket.drips_per_second, f"{quota.title}: the rate limit is near")]
    share = _share_of(state, asker, now)
    if share < 1:
        mine = _party(state, _name_of(asker), share * bucket.drips_per_second, now)
        over = _over(mine, cost, ceiling * share)
        over = min(over / (share * bucket.drips_per_second), _over(full, cost, ceiling * BORROWED_SHARE))
        waits.append((over, f"{quota.title}: other connections have their turn"))
    cause: Cause = "rate"
    if asker.busy and asker.lane == "backfill":
        flow = bucket.drips_per_second * BUSY_FLOW_SHARE
        drawn = _party(state, _BACKFILLS, flow, now)
        slow = _over(drawn, cost, bucket.size * BUSY_CEILING) / flow
        if slow > max(waits)[0]:
            waits, cause = [(slow, f"{quota.title}: the shop is busy, so the backfill goes slower")], "busy"
    seconds, why = max(waits)
    return None if seconds <= _DUST else Paused(now + max(seconds, 0.01), why, cause)


def _over(full: float, cost: float, ceiling: float) -> float:
    """Return how much must leak first. What is larger than the ceiling goes when nothing is before it."""
    return max(0.0, full - max(0.0, ceiling - cost))


def _share_of(state: State, asker: Asker, now: float) -> float:
    weights = {name: want.weight for name, want in state.wants.items() if now - want.at < WANTS_SECONDS}
    mine = weights.setdefault(asker.connection, 1.0)
    return mine / sum(weights.values())


def _name_of(asker: Asker) -> str:
    return f"={asker.connection}"


def _party(state: State, name: str, leak: float, now: float) -> float:
    found = state.drawn.get(name)
    return 0.0 if found is None else max(0.0, found.level - max(0.0, now - found.at) * leak)


def _drawing(state: State, leak: Leak, asker: Asker, cost: float, now: float) -> dict[str, Drawn]:
    """Note what a party has drawn, where somebody might ask for it: several connections, or a backfill."""
    drips = _level(state, leak, now).drips_per_second
    drawn = dict(state.drawn)
    parties: list[tuple[str, float]] = []
    if (share := _share_of(state, asker, now)) < 1:
        parties.append((_name_of(asker), share * drips))
    if asker.lane == "backfill":
        parties.append((_BACKFILLS, BUSY_FLOW_SHARE * drips))
    for name, flow in parties:
        drawn[name] = Drawn(max(0.0, _party(state, name, flow, now) + cost), now)
    return drawn


def _ceiling(asker: Asker) -> float:
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
    day = Window(
        name="day",
        seconds=DAY,
        allowed=CRM_CALLS_A_DAY,
        share=caps.crm_share,
        most=caps.crm_calls_a_day,
        spare=caps.crm_spare,
        told=True,
    )
    month = _capped("month", MONTH, caps.crm_calls_a_month)
    return Quota(title=title, windows=(day, *month), at_once=caps.crm_at_once)


def crm_batches(caps: Caps, title: str = "Salesforce bulk batches") -> Quota:
    """Return the quota of a CRM org's bulk batches; 10,000 rows, or a part of them, take one."""
    day = Window(
        name="day",
        seconds=DAY,
        allowed=CRM_BULK_BATCHES_A_DAY,
        share=caps.crm_share,
        most=caps.crm_bulk_batches_a_day,
        spare=caps.crm_spare,
        told=True,
    )
    return Quota(title=title, windows=(day,))


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

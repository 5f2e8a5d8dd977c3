"""What has been spent of a quota: a value, kept in one row, that functions replace by a new one.

A window rolls. What is spent is kept in slots of time, and a slot counts until
all of it has left the window: never above a cap, at the price of one slot's
patience. Moments are of one clock that may be set back.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tillbridge.sync.quota import DAY, HOUR, LANES, PLACE, Asker, Lane, Quota, Window

# What a connection wanted so long ago is nobody's wish any more: it was removed, or stands still.
WANTS_SECONDS = 2 * DAY

# A worker that died under way gives its place free after this: a call is given up after ten minutes.
LEASE_SECONDS_MAX = 900.0

# Sums of fractional costs are never exact.
DUST = 1e-9


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


def running(state: State, now: float) -> tuple[Lease, ...]:
    """Return the requests that are under way."""
    return tuple(each for each in state.under_way if now < each.until <= now + 2 * LEASE_SECONDS_MAX)


# --- slots ---------------------------------------------------------------------------------------


def live(state: State, window: Window, now: float) -> tuple[tuple[Slot, ...], int]:
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


def starts_within(slot: Slot, window: Window, now: float) -> bool:
    """Say whether a slot is in its window with all that it has, so that the remote counts it, too."""
    return slot.at * window.slot_seconds + window.seconds >= now


def total_of(slot: Slot) -> float:
    """Return what was spent in a slot, by everybody."""
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


def added(slots: tuple[Slot, ...], current: int, asker: Asker, cost: float) -> tuple[Slot, ...]:
    """Note a cost in the current slot."""
    mine = {asker.connection: _line(asker.lane, cost)}
    found = {slot.at: slot for slot in slots}
    before = found.get(current)
    found[current] = Slot(current, mine if before is None else _merged(before.spent, mine))
    return tuple(found[at] for at in sorted(found))


def taken_back(slots: tuple[Slot, ...], asker: Asker, cost: float) -> tuple[Slot, ...]:
    """Take a cost out again, from the newest slots first."""
    kept: list[Slot] = []
    place = PLACE[asker.lane]
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


def is_ahead(state: State, quota: Quota, now: float) -> bool:
    """Say whether something is stamped later than now: a clock was set back."""
    moments = [each.at for each in state.drawn.values()]
    if state.level is not None:
        moments.append(state.level.at)
    return any(at > now for at in moments) or any(
        slots[-1].at > now // window.slot_seconds + 1
        for window in quota.windows
        if (slots := state.spent.get(window.name))
    )


def settled(state: State, quota: Quota, now: float) -> State:
    """Drop what has left every window, and what a clock that was set back has left in the future."""
    ledgers = {window.name: live(state, window, now)[0] for window in quota.windows}
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
        under_way=running(state, now),
        drawn={
            name: Drawn(each.level, min(each.at, now))
            for name, each in state.drawn.items()
            if now - each.at < HOUR
        },
        probed_at=None if state.probed_at is None else min(state.probed_at, now),
    )

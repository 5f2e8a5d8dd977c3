"""Decide who may spend scarce API calls now, and until when everybody else has to wait.

One budget stands before each remote quota and is shared by every connection and
worker that draws on it: its state is a value (`sync.ledger`), kept in one row
and changed by compare-and-set. A request asks `may_spend`, or `take`, which also
notes it; answers correct the state (`told_usage`, `told_level`, `told_to_wait`),
since a remote knows its own limits better than we do. What of a window or bucket
is whose is decided by `sync.windows` and `sync.buckets`.

No I/O and no clock: moments are arguments, in seconds of one clock that may be set back.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tillbridge.sync.buckets import bucket_pause, drawing, level_of
from tillbridge.sync.ledger import (
    DUST,
    LEASE_SECONDS_MAX,
    WANTS_SECONDS,
    Lease,
    Level,
    State,
    Usage,
    Want,
    added,
    is_ahead,
    live,
    running,
    settled,
    starts_within,
    taken_back,
    total_of,
)
from tillbridge.sync.quota import (
    DAY,
    LANES,
    MINUTE,
    SECOND,
    Asker,
    Granted,
    Lane,
    Paused,
    Quota,
    Window,
    ceiling,
)
from tillbridge.sync.windows import (
    Books,
    cap_of,
    is_probe,
    next_probe_at,
    others_stop,
    ours_allow,
    pause_of,
    room_of,
)

# No answer is waited for longer than a day, whatever a header says.
_WAIT_SECONDS_MAX = DAY


# --- asking --------------------------------------------------------------------------------------


def may_spend(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> Granted | Paused:
    """Decide whether `cost` may be spent now. Changes nothing: `spent` notes what was."""
    if (until := _closed_until(state, now)) is not None and not _looks_in(state, quota, asker, cost, now):
        until = min(until, next_probe_at(state, asker, now)) if _told_window(quota) else until
        return Paused(max(until, now + SECOND), f"{quota.title}: the remote asked us to wait", "refused")
    if paused := bucket_pause(state, quota, asker, cost, now):
        return paused
    left = float("inf")
    for window in quota.windows:
        room = room_of(state, window, asker, now)
        if cost > room + DUST and not is_probe(state, window, asker, cost, now):
            return pause_of(state, quota, window, asker, cost, now)
        left = min(left, room - cost)
    return Granted(max(0.0, left))


def take(
    state: State, quota: Quota, asker: Asker, cost: float, now: float
) -> tuple[State, Granted] | tuple[State, Paused]:
    """Ask and note in one step: what a worker does within one compare-and-set.

    The state is to be kept in either case: after a clock was set back, a pause changes it too.
    """
    if is_ahead(state, quota, now):
        state = settled(state, quota, now)
    answer = may_spend(state, quota, asker, cost, now)
    if isinstance(answer, Paused):
        return state, answer
    return spent(state, quota, asker, cost, now), answer


def look(state: State, quota: Quota, asker: Asker, now: float) -> tuple[State, bool]:
    """Let one call go out that asks what is used, and note it; whoever is urgent may, once a minute.

    For whoever would have to wait by what was last told: others may have ended, and a person waits.
    """
    window = _told_window(quota)
    if window is None or asker.lane != LANES[0] or now < next_probe_at(state, asker, now):
        return state, False
    is_closed = _closed_until(state, now) is not None and ours_allow(state, window, asker, now)
    if not is_closed and not others_stop(state, window, asker, now):
        return state, False
    return msgspec.structs.replace(spent(state, quota, asker, 1.0, now), probed_at=now), True


def left(state: State, quota: Quota, asker: Asker, now: float) -> float:
    """Return what this asker could spend now of all windows; what a schedule stretches itself by."""
    return max(
        0.0, min((room_of(state, window, asker, now) for window in quota.windows), default=float("inf"))
    )


def left_a_day(state: State, quota: Quota, asker: Asker, now: float) -> float:
    """Return what this asker may count on in a day: what it is kept, and what nobody wants, spent or not."""
    rooms = []
    for window in quota.windows:
        if window.planned:
            books = Books(state, window, asker, now)
            rooms.append((books.room() + books.own) * DAY / window.seconds)
    return max(0.0, min(rooms, default=float("inf")))


def standing(state: State, quota: Quota, now: float) -> list[tuple[str, float, float]]:
    """Return (window, what is ours of it, what we have spent) for people to look at; a bucket is "bucket"."""
    found = [
        (window.name, max(0.0, cap_of(state, window)), sum(map(total_of, live(state, window, now)[0])))
        for window in quota.windows
    ]
    if quota.leak is not None:
        bucket = level_of(state, quota.leak, now)
        found.append(("bucket", bucket.size, min(bucket.size, bucket.level + bucket.unanswered)))
    return found


def spent(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> State:
    """Note a cost that is being spent, before the request goes out."""
    state = settled(state, quota, now)
    ledgers = dict(state.spent)
    # Whoever is let through a closed door, or spends what is not there, goes to see.
    probed_at = state.probed_at if _closed_until(state, now) is None else now
    for window in quota.windows:
        if room_of(state, window, asker, now) + DUST < cost:
            probed_at = now
        ledgers[window.name] = added(
            ledgers.get(window.name, ()), int(now // window.slot_seconds), asker, cost
        )
    state = msgspec.structs.replace(state, spent=ledgers, probed_at=probed_at)
    if quota.leak is None:
        return state
    level = level_of(state, quota.leak, now)
    return msgspec.structs.replace(
        state,
        level=msgspec.structs.replace(level, unanswered=level.unanswered + cost),
        drawn=drawing(state, quota.leak, asker, cost, now),
    )


def returned(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> State:
    """Give back what was noted and never spent: the newest first, never more than was noted."""
    state = settled(state, quota, now)
    ledgers = {
        window.name: taken_back(state.spent.get(window.name, ()), asker, cost) for window in quota.windows
    }
    state = msgspec.structs.replace(state, spent=ledgers)
    if quota.leak is None:
        return state
    level = level_of(state, quota.leak, now)
    return msgspec.structs.replace(
        state,
        level=msgspec.structs.replace(level, unanswered=max(0.0, level.unanswered - cost)),
        drawn=drawing(state, quota.leak, asker, -cost, now),
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
        wants[connection] = Want(now, _json_safe(line), max(weight, DUST))
    return msgspec.structs.replace(state, wants=wants)


# JSON knows no infinity; nobody is allowed so many calls a day.
_ENDLESS = 1e15


def _json_safe(line: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(min(each, _ENDLESS) for each in line)


# --- what the remote tells -----------------------------------------------------------------------


def told_usage(state: State, quota: Quota, used: float, allowed: float, now: float) -> State:
    """Note what an answer says of everybody's use of the told window; what is not ours is others'."""
    probed_at = state.probed_at
    state = settled(state, quota, now)
    window = _told_window(quota)
    if window is None or allowed <= 0:
        return state
    # Counted against us: slots that are only partly within the window may be out of their count already.
    ours = sum(total_of(slot) for slot in live(state, window, now)[0] if starts_within(slot, window, now))
    usage = Usage(used=max(0.0, used), allowed=allowed, at=now, ours=ours)
    # An answer from behind a refusal that names calls that are left takes the refusal back.
    is_open = used < allowed and now >= (probed_at or now)
    closed_until = None if is_open else state.closed_until
    return msgspec.structs.replace(state, usage=usage, probed_at=None, closed_until=closed_until)


def told_level(
    state: State, quota: Quota, level: float, size: float, drips_per_second: float, now: float, *, cost: float
) -> State:
    """Note how full an answer says the bucket is. `cost` was noted for the request that it answers."""
    state = settled(state, quota, now)
    if quota.leak is None or size <= 0 or drips_per_second <= 0:
        return state
    before = level_of(state, quota.leak, now)
    unanswered = max(0.0, before.unanswered - cost)
    told = Level(max(0.0, level), size, drips_per_second, now, unanswered)
    return msgspec.structs.replace(state, level=told)


def told_to_wait(state: State, seconds: float | None, now: float) -> State:
    """Note that the remote refused for now: everybody waits. It named the seconds, or we take a minute."""
    until = now + min(_WAIT_SECONDS_MAX, max(1.0, MINUTE if seconds is None else seconds))
    closed_until = max(until, _closed_until(state, now) or until)
    return msgspec.structs.replace(state, closed_until=closed_until, probed_at=now)


def _closed_until(state: State, now: float) -> float | None:
    """Return until when everybody waits; further off than any wait it is of a clock that was set back."""
    until = state.closed_until
    return until if until is not None and now < until <= now + _WAIT_SECONDS_MAX else None


def _looks_in(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> bool:
    """Say whether a single call may see if a remote still refuses that tells what is used."""
    window = _told_window(quota)
    if window is None or cost > 1 or asker.lane == LANES[0] or now < next_probe_at(state, asker, now):
        return False
    return ours_allow(state, window, asker, now)


def _told_window(quota: Quota) -> Window | None:
    return next((window for window in quota.windows if window.told), None)


# --- requests under way --------------------------------------------------------------------------


def started(
    state: State, quota: Quota, asker: Asker, lease: str, now: float, *, seconds: float = LEASE_SECONDS_MAX
) -> tuple[State, Granted] | tuple[State, Paused]:
    """Take one of the places of requests under way, for at most so many seconds."""
    if quota.at_once is None:
        return state, Granted(float("inf"))
    # Who has a place already keeps it, also when it died with it and comes back.
    others = tuple(each for each in running(state, now) if each.id != lease)
    places = quota.at_once
    if asker.lane != LANES[0]:
        # One place is always there for what is urgent, if there are two.
        places = max(1, min(places - 1, int(places * ceiling(asker))))
    if len(others) >= places:
        until = min((each.until for each in others), default=now + SECOND)
        why = f"{quota.title}: {len(others)} requests are under way, {quota.at_once} may be"
        return state, Paused(min(until, now + SECOND), why, "at once")
    until = now + min(seconds, LEASE_SECONDS_MAX)
    others = (*others, Lease(lease, asker.connection, asker.lane, until))
    return msgspec.structs.replace(state, under_way=others), Granted(float(places - len(others)))


def ended(state: State, lease: str) -> State:
    """Give a place free."""
    kept = tuple(each for each in state.under_way if each.id != lease)
    return msgspec.structs.replace(state, under_way=kept)

"""What of a leaky bucket somebody may draw: lanes by its level, connections by their shares of the drip."""

from __future__ import annotations

from tillbridge.sync.ledger import DUST, WANTS_SECONDS, Drawn, Level, State
from tillbridge.sync.quota import (
    BUSY_CEILING,
    BUSY_FLOW_SHARE,
    CEILINGS,
    Asker,
    Cause,
    Leak,
    Paused,
    Quota,
)

# A connection that has had its share of a bucket may use no more than this part of what its lane may fill:
# another one's request finds room.
BORROWED_SHARE = 0.5

_BACKFILLS = "backfill"  # the party of all backfills together, beside the connections


def level_of(state: State, leak: Leak, now: float) -> Level:
    """Return the bucket as it stands now."""
    found = state.level
    if found is None:
        return Level(0.0, leak.size, leak.drips_per_second, now)
    leaked = max(0.0, now - found.at) * found.drips_per_second
    level = max(0.0, found.level - leaked)
    unanswered = max(0.0, found.unanswered - max(0.0, leaked - found.level))
    return Level(level, found.size, found.drips_per_second, max(now, found.at), unanswered)


def bucket_pause(state: State, quota: Quota, asker: Asker, cost: float, now: float) -> Paused | None:
    """Return a pause when a bucket is too full for this lane, or this connection has had its share of it."""
    if quota.leak is None:
        return None
    bucket = level_of(state, quota.leak, now)
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
    return None if seconds <= DUST else Paused(now + max(seconds, 0.01), why, cause)


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


def drawing(state: State, leak: Leak, asker: Asker, cost: float, now: float) -> dict[str, Drawn]:
    """Note what a party has drawn, where somebody might ask for it: several connections, or a backfill."""
    drips = level_of(state, leak, now).drips_per_second
    drawn = dict(state.drawn)
    parties: list[tuple[str, float]] = []
    if (share := _share_of(state, asker, now)) < 1:
        parties.append((_name_of(asker), share * drips))
    if asker.lane == "backfill":
        parties.append((_BACKFILLS, BUSY_FLOW_SHARE * drips))
    for name, flow in parties:
        drawn[name] = Drawn(max(0.0, _party(state, name, flow, now) + cost), now)
    return drawn

"""What one slice of each kind of work does, once it is a connection's turn: the engine's own verbs, in order.

Whose turn it is, what it may spend and when the next one is due, `work` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from tillbridge.engine import certificate, crosscheck
from tillbridge.engine.backfill import STEPS
from tillbridge.engine.connection import Connection
from tillbridge.engine.jobs import Job
from tillbridge.engine.streams import SALES, VOIDS
from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import AGAIN, sync_slice
from tillbridge.model.errors import Fenced, GiveWay, SyncError
from tillbridge.store.days import Days
from tillbridge.wiring import Parts

_CHECKS_THAT_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Done:
    """What one slice has done. `more`: there is more at once."""

    counts: Mapping[str, int]
    more: bool = False


def _poll(_parts: Parts, connection: Connection, job: Job) -> Done:
    return Done(*sync_slice(connection, {job.name}))


def _replay(_parts: Parts, connection: Connection, _job: Job) -> Done:
    return Done(*sync_slice(connection, {AGAIN}))


def _cross_check(parts: Parts, connection: Connection, _job: Job) -> Done:
    """Run the checks that are due, behind a poll: what that tells was not missed."""
    due = crosscheck.due(connection)
    if not due:
        return Done({})
    # Voids are read as often as lines are checked: only what looks far back could take one for missed.
    far = any(check.every > _CHECKS_THAT_WAIT for check in due)
    counts, more = sync_slice(connection, {SALES, VOIDS} if far else {SALES})
    if more:
        return Done(counts, more=True)
    for number, check in enumerate(due):
        if number:
            connection.give_way()
        # What looks far back can wait longer than what makes up for a late line.
        parts.spending.begin("sales" if check.every < _CHECKS_THAT_WAIT else "sweep")
        counts.update(crosscheck.run_check(connection, check).counts)
    return Done(counts)


def _sweep(_parts: Parts, connection: Connection, _job: Job) -> Done:
    return Done(sweep(connection).counts)


def _certify(_parts: Parts, connection: Connection, _job: Job) -> Done:
    """Prove the oldest business day that is over and not yet proven."""
    days = certificate.due(connection)
    if not days:
        return Done({})
    counts: Counter[str] = Counter()
    try:
        polled, more = sync_slice(connection, {SALES, VOIDS, AGAIN})
        counts.update(polled)
        if more:
            return Done(counts, more=True)
        day, stores = next(iter(days.items()))
        proven = certificate.prove(connection, day, stores)
    except (GiveWay, Fenced):
        raise
    except SyncError as error:
        Days(connection.state).note_held_up(str(error))
        raise
    counts["receipts"] += sum(totals.sales for totals in proven.till.values())
    counts["differences"] += len(proven.differences) + len(proven.receipts)
    return Done(counts, more=len(days) > 1)


def _backfill(parts: Parts, connection: Connection, _job: Job) -> Done:
    """Load the history as far as one turn goes; it goes on where it was left."""
    counts: Counter[str] = Counter()
    parts.crm.history = True
    try:
        for load in STEPS.values():
            counts.update(load(connection))
            connection.give_way()
    finally:
        parts.crm.history = False
    return Done(counts)


KINDS: Mapping[str, Callable[[Parts, Connection, Job], Done]] = {
    "poll": _poll,
    "replay": _replay,
    "cross-check": _cross_check,
    "sweep": _sweep,
    "certify": _certify,
    "backfill": _backfill,
}

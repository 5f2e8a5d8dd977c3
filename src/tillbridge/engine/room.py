"""Decide before a first load whether what it brings will fit into the CRM's free storage.

A load that runs into a full org stops in its middle, and takes everybody's room
with it: so it is halted before it writes anything. A person may say that it is
to go on all the same.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from tillbridge.engine.connection import Connection, Settings
from tillbridge.engine.ports import Till
from tillbridge.engine.streams import SALES
from tillbridge.model.errors import Halted
from tillbridge.sync.forecast import Survey, storage

# What a person has said: the load may go on although it does not fit.
DESPITE = "load_despite_storage"

# What was found: there is room, or why there is not, and when that was looked at.
ROOM = "room_for_history"
_BEGUN = "backfill_began"

# Who is served while the room is lacking asks again so seldom: four calls each time.
_LOOK_AGAIN_SECONDS = 3_600.0

_STORAGE = "DataStorageMB"

# An ordinary sale, before any has been seen.
_LINES = 2.0
_PAYMENTS = 1.1


def check_room(connection: Connection) -> Counter[str]:
    """Look once, before the first page is read. Raises Halted when the load would not fit.

    One call of the CRM, three of the till.
    """
    state = connection.state
    kept = state.fact(ROOM)
    if kept is True or state.fact(DESPITE) or _has_come_in(connection):
        return Counter()
    found = connection.crm.limits().get(_STORAGE)
    if found is None:
        return Counter()
    free, stores = found[0], len(connection.around.stores)
    needed = needed_megabytes(connection.till, connection.settings, stores)
    why = None
    if needed > free:
        why = (
            f"The first load needs about {needed:,.0f} MB of Salesforce's data storage, and {free:,.0f} MB "
            "are free: nothing was written. Free some or buy more, load less with sales.since, or let it go "
            "on all the same: `tillbridge backfill --despite-storage`."
        )
    with state.begin() as c:
        state.keep(c, ROOM, True if why is None else {"why": why, "at": state.now()})
    if why is not None:
        raise Halted(why)
    return Counter()


def check_room_of(connection: Connection, stream: str) -> None:
    """Look at the room before a slice that could bring the history in: a stream's first read, or a repair.

    Without a stream it is a repair: whatever the till holds and the CRM does not. What was found lacking
    is told again for an hour without asking anybody. Raises Halted.
    """
    state = connection.state
    if stream and state.cursor(stream) is not None:
        return
    kept = state.fact(ROOM)
    if isinstance(kept, dict) and not state.fact(DESPITE):
        passed = state.now() - kept["at"]
        if 0 <= passed < _LOOK_AGAIN_SECONDS:
            raise Halted(kept["why"])
    check_room(connection)


def _has_come_in(connection: Connection) -> bool:
    """Say whether the history has begun to come in before anybody looked, by a load or by the polls.

    Where the start is marked and nothing was loaded, the polls began behind it.
    """
    state = connection.state
    if state.cursor("backfill products") is not None:
        return True
    return state.fact(_BEGUN) is None and state.cursor(SALES) is not None


def needed_megabytes(till: Till, settings: Settings, stores: int) -> float:
    """Return about how much storage all that the till holds will take. Three calls of the till."""
    since = None
    if settings.since is not None:
        since = datetime(settings.since.year, settings.since.month, settings.since.day, tzinfo=UTC)
    found = Survey(
        stores=max(1, stores),
        registers=1,
        customers=till.count("customers"),
        products=till.count("products"),
        sales=till.count("sales", since),
        sales_a_day=0.0,
        customers_a_day=0.0,
        lines_a_sale=_LINES,
        payments_a_sale=_PAYMENTS,
        model=settings.model,
    )
    return storage(found)[0]

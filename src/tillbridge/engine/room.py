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
from tillbridge.model.errors import Halted
from tillbridge.sync.forecast import Survey, storage

# What a person has said: the load may go on although it does not fit.
DESPITE = "load_despite_storage"
_BEGUN = "backfill_began"

_STORAGE = "DataStorageMB"

# An ordinary sale, before any has been seen.
_LINES = 2.0
_PAYMENTS = 1.1


def check_room(connection: Connection) -> Counter[str]:
    """Look once, before the first page is read. Raises Halted when the load would not fit.

    One call of the CRM, three of the till.
    """
    state = connection.state
    if state.fact(_BEGUN) is not None or state.fact(DESPITE):
        return Counter()
    found = connection.crm.limits().get(_STORAGE)
    if found is None:
        return Counter()
    free, stores = found[0], len(connection.around.stores)
    needed = needed_megabytes(connection.till, connection.settings, stores)
    if needed > free:
        raise Halted(
            f"The first load needs about {needed:,.0f} MB of Salesforce's data storage, and {free:,.0f} MB "
            "are free: nothing was written. Free some or buy more, load less with sales.since, or let it go "
            "on all the same: `tillbridge backfill --despite-storage`."
        )
    return Counter()


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

"""Who and what is sold is read again where nobody has looked for long: a receipt shows them as they are.

While customers and products are polled as often as they should be, this reads
nothing. It makes up for polls that wait for calls, are paused or fail: the till
is asked by id, a hundred in one GET, for what new sales name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tillbridge.engine.connection import Connection
from tillbridge.engine.streams import CUSTOMERS, PRODUCTS
from tillbridge.model.records import Sale
from tillbridge.store.verified import Verified

# Twice as long as each is ever left alone by plan.
STALE_SECONDS: Mapping[str, float] = {CUSTOMERS: 1_200.0, PRODUCTS: 7_200.0}

_KINDS = {CUSTOMERS: "customer", PRODUCTS: "product"}


def stale_of(connection: Connection, stream: str, sales: Collection[Sale]) -> list[str]:
    """Return whom, or what, new sales name and nobody has read for long; notes that it is read now."""
    state, kind = connection.state, _KINDS[stream]
    read_at, before = state.cursor_moved_at(stream), state.now() - STALE_SECONDS[stream]
    if read_at is None or read_at >= before:
        return []
    landed = state.known("sale", [sale.id for sale in sales])
    new = [sale for sale in sales if (known := landed.get(sale.id)) is None or known.crm_id is None]
    named = {sale.customer_id for sale in new} if stream == CUSTOMERS else _products(new)
    verified = Verified(state)
    ids = verified.unread_since(kind, {i for i in named if i}, before)
    with state.begin() as c:
        verified.mark(c, kind, ids)
    return ids


def _products(sales: Collection[Sale]) -> set[str | None]:
    return {line.product_id for sale in sales for line in sale.lines}

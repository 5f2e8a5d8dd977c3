"""Whose sales have gone to somebody else: all that a merge in the till leaves (fact sheet Lightspeed A12).

The poll may bring a moved sale before anybody knows that a merge has moved it,
and after that the CRM shows the new buyer too. So what a sale showed before is
compared with what it shows now, and the former buyer noted until the cross-check
has looked at them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from tillbridge.engine.connection import Connection
from tillbridge.model.records import Sale

_FACT = "former buyers"

# So many sales of a former buyer are evidence enough, and of so many buyers it is kept: the newest.
SALES_MAX = 3
_BUYERS_MAX = 1_000


def moved_sales(connection: Connection, sales: Collection[Sale]) -> dict[str, list[str]]:
    """Return the sales that showed another customer when last kept, by that customer."""
    shown = connection.raw.shown_before("sale", sales)
    changed = {sale.id: sale for sale in sales if sale.customer_id is not None and not shown.get(sale.id)}
    before = connection.raw.sales(changed) if changed else {}
    moved: dict[str, list[str]] = {}
    for sale_id, (was, _) in sorted(before.items()):
        if was.customer_id is not None and was.customer_id != changed[sale_id].customer_id:
            moved.setdefault(was.customer_id, []).append(sale_id)
    return moved


def note(connection: Connection, transaction: sa.Connection, moved: dict[str, list[str]]) -> None:
    """Keep evidence until the cross-check asks for it."""
    if not moved:
        return
    kept: dict[str, list[str]] = connection.state.kept(transaction, _FACT) or {}
    for buyer, sales in moved.items():
        kept[buyer] = [*dict.fromkeys([*sales, *kept.pop(buyer, [])])][:SALES_MAX]
    newest = dict(list(kept.items())[-_BUYERS_MAX:])
    connection.state.keep(transaction, _FACT, newest)


def sales_moved_from(connection: Connection, customers: Sequence[str]) -> dict[str, list[str]]:
    """Return the sales that these customers are known to have lost."""
    kept: dict[str, list[str]] = connection.state.fact(_FACT) or {}
    return {i: kept[i] for i in customers if i in kept}


def forget(connection: Connection, transaction: sa.Connection, customers: Collection[str]) -> None:
    """Forget evidence that has served."""
    kept: dict[str, list[str]] = connection.state.kept(transaction, _FACT) or {}
    if kept.keys() & set(customers):
        left = {i: sales for i, sales in kept.items() if i not in customers}
        connection.state.keep(transaction, _FACT, left)

"""Receipts that somebody else carried while a load had them in hand: they are read once more behind it.

A load stages a page and sends it much later, in one bulk job with thousands of
others. Whatever a poll or a forced run writes of such a receipt meanwhile, the
job writes over with what the till showed before. So who carries receipts beside
a load notes them, and when the load has closed its wave they wait for the next
look at what is to be read again.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from tillbridge.engine.connection import Connection

# Ids of sales, in the connection's facts.
_CARRIED = "receipts carried beside a load"
_PASSED = "receipts that a load has passed"


def is_loading(connection: Connection) -> bool:
    """Say whether a load has receipts in hand."""
    _, staged = connection.spool.current()
    return staged > 0


def note(connection: Connection, transaction: sa.Connection, sales: Collection[str]) -> None:
    """Remember that these were carried while a load has receipts in hand."""
    _add(connection, transaction, _CARRIED, sales)


def close(connection: Connection, transaction: sa.Connection) -> None:
    """Let what was carried beside a wave be read again, now that the wave is through."""
    carried = connection.state.kept(transaction, _CARRIED) or []
    if carried:
        _add(connection, transaction, _PASSED, carried)
        connection.state.keep(transaction, _CARRIED, [])


def to_read(connection: Connection) -> list[str]:
    """Return the sales that are to be read again."""
    return list(connection.state.fact(_PASSED) or [])


def read(connection: Connection, transaction: sa.Connection, sales: Collection[str]) -> None:
    """Forget those that were read again, and stand as the till shows them."""
    if sales:
        left = [i for i in connection.state.kept(transaction, _PASSED) or [] if i not in set(sales)]
        connection.state.keep(transaction, _PASSED, left)


def _add(connection: Connection, transaction: sa.Connection, fact: str, sales: Collection[str]) -> None:
    known = connection.state.kept(transaction, fact) or []
    connection.state.keep(transaction, fact, sorted({*known, *sales}))

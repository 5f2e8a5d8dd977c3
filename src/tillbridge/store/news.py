"""Whose entry in a sealed index of people has changed or gone: what an open reader of it reads again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.writing import write

Side = Literal["till", "crm"]


def note(connection: sa.Connection, side: Side, ids: Collection[str], now: float) -> None:
    """Note in the transaction that changes the index whose entries it changes or deletes."""
    write(
        connection, schema.people_news, [{"side": side, "id": i, "moved_at": now} for i in dict.fromkeys(ids)]
    )

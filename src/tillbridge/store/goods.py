"""What products are called and what lies on the shelves, as the till last showed it: to be found by."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.state import State
from tillbridge.store.writing import write


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """One product; `price` in hundredths, `sought` is what it is found by."""

    till_id: str
    sku: str
    title: str
    category: str | None
    maker: str | None
    price: int | None
    archived: bool
    sought: str


class OnShelf(msgspec.Struct, frozen=True, kw_only=True):
    """What one store holds of a product, in thousandths."""

    product: str
    store: str
    on_hand: int
    reorder_point: int | None


class Goods:
    """Products and stock of one connection."""

    def __init__(self, state: State) -> None:
        self._state = state

    def take_in(self, connection: sa.Connection, articles: Collection[Article]) -> None:
        """Keep products as they were just read."""
        now = self._state.now()
        newest = {each.till_id: {**msgspec.structs.asdict(each), "read_at": now} for each in articles}
        write(connection, schema.article, list(newest.values()))

    def take_stock(self, connection: sa.Connection, levels: Collection[OnShelf]) -> None:
        """Keep stock as it was just read."""
        now = self._state.now()
        newest = {(e.product, e.store): {**msgspec.structs.asdict(e), "read_at": now} for e in levels}
        write(connection, schema.shelf, list(newest.values()))

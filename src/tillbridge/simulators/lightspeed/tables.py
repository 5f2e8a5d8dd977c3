"""Keep the account's rows, and find them fast by id, by sort key and by parent.

Indexes are made when first asked for and kept true from then on, so that an
account nobody sorts by completeTime pays nothing for it. Rows are changed only
through `Table.change`, which is what keeps them true.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.lightspeed.schema import ENTITIES, Entity, Row, check_row
from tillbridge.simulators.lightspeed.switches import Switches

SortKey = tuple[Any, int]
_BEFORE_ALL_TIMES = datetime.min.replace(tzinfo=UTC)


class Table:
    """The rows of one entity."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.key = entity.key
        self.rows: dict[int, Row] = {}
        self.last_id = 0
        self._sorted: dict[str, list[SortKey]] = {}
        self._groups: dict[str, dict[Any, list[int]]] = {}
        self._defaults = {name: f.default for name, f in entity.fields.items()}
        self._kinds = {name: f.kind for name, f in entity.fields.items()}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def get(self, row_id: int) -> Row | None:
        """Return the row or None."""
        return self.rows.get(row_id)

    def add(self, row: Row) -> Row:
        """Store a row that has its id already; fields it does not name get their defaults."""
        check_row(self.entity, row)
        if len(row) < len(self._defaults):
            for name, default in self._defaults.items():
                row.setdefault(name, default)
        row_id = row[self.key]
        if row_id in self.rows:
            raise ValueError(f"{self.entity.name} {row_id} is there already")
        self.rows[row_id] = row
        self.last_id = max(self.last_id, row_id)
        for name, keys in self._sorted.items():
            insort(keys, self.sort_key(row, name))
        for name, groups in self._groups.items():
            groups.setdefault(row.get(name), []).append(row_id)
        return row

    def remove(self, row_id: int) -> Row:
        """Take a row out for good."""
        row = self.rows.pop(row_id)
        for name in self._sorted:
            self._forget_sorted(row, name)
        for name in self._groups:
            self._forget_group(row, name)
        return row

    def change(self, row: Row, **fields: Any) -> None:
        """Set fields of a stored row."""
        row_id = row[self.key]
        moved = {n: v for n, v in fields.items() if n not in row or row[n] != v}
        for name in moved.keys() & self._sorted.keys():
            self._forget_sorted(row, name)
        for name in moved.keys() & self._groups.keys():
            self._forget_group(row, name)
        row.update(fields)
        for name in moved.keys() & self._sorted.keys():
            insort(self._sorted[name], self.sort_key(row, name))
        for name in moved.keys() & self._groups.keys():
            self._groups[name].setdefault(row.get(name), []).append(row_id)

    def sort_key(self, row: Row, name: str) -> SortKey:
        """Return the place of a row in the order by a field, the id breaking ties (A4)."""
        return self.sort_value(name, row.get(name)), row[self.key]

    def sort_value(self, name: str, value: Any) -> Any:
        """Return a comparable value: rows without a time come first, text sorts without case."""
        if self._kinds.get(name, "time") == "time":
            return value or _BEFORE_ALL_TIMES
        if isinstance(value, str):
            return value.casefold()
        return value if value is not None else self.entity.fields[name].default

    def order(self, name: str) -> list[SortKey]:
        """Return all rows' sort keys in order."""
        if name not in self._sorted:
            self._sorted[name] = sorted(self.sort_key(row, name) for row in self.rows.values())
        return self._sorted[name]

    def where(self, name: str, value: Any) -> list[int]:
        """Return the ids of the rows whose field has this value."""
        if name not in self._groups:
            groups: dict[Any, list[int]] = {}
            for row_id, row in self.rows.items():
                groups.setdefault(row.get(name), []).append(row_id)
            self._groups[name] = groups
        return self._groups[name].get(value, [])

    def _forget_sorted(self, row: Row, name: str) -> None:
        keys, key = self._sorted[name], self.sort_key(row, name)
        del keys[bisect_left(keys, key)]

    def _forget_group(self, row: Row, name: str) -> None:
        self._groups[name][row.get(name)].remove(row[self.key])


class World:
    """One Lightspeed account: its tables, its clock and its switches."""

    def __init__(self, account_id: int, clock: SimClock, switches: Switches) -> None:
        self.account_id = account_id
        self.clock = clock
        self.switches = switches
        self.tables = {name: Table(entity) for name, entity in ENTITIES.items()}
        # Notes and custom field values have ids but no table; the history's are smaller.
        self._loose_ids = 1_000_000

    def __getitem__(self, entity: str) -> Table:
        return self.tables[entity]

    def now(self) -> datetime:
        """Return the server's time in whole seconds."""
        return self.clock.today().replace(microsecond=0)

    def next_id(self, entity: str) -> int:
        """Return the next free id of an entity."""
        if entity not in self.tables:
            self._loose_ids += 1
            return self._loose_ids
        table = self.tables[entity]
        table.last_id += 1
        return table.last_id

    def load(self, till: dict[str, list[Row]]) -> None:
        """Take a retailer's tables; children get into their own tables too."""
        for name in ENTITIES:
            table = self.tables[name]
            for row in till.get(name, ()):
                table.add(row)
        for sale in self.tables["Sale"]:
            self.adopt_children(sale)
        for item in self.tables["Item"]:
            for stock in item.get("ItemShops", ()):
                self.tables["ItemShop"].add(stock)

    def add_sale(self, sale: Row) -> Row:
        """Store a sale with its lines and payments."""
        self.tables["Sale"].add(sale)
        self.adopt_children(sale)
        return sale

    def adopt_children(self, sale: Row) -> None:
        """Put a sale's lines and payments into their tables."""
        for line in sale.get("SaleLines", ()):
            self.tables["SaleLine"].add(line)
        for payment in sale.get("SalePayments", ()):
            self.add_payment(payment)

    def add_payment(self, payment: Row) -> None:
        """Store a payment. It sorts by a timeStamp that its body never shows (A4, A8.4)."""
        payment.setdefault("timeStamp", payment.get("createTime"))
        self.tables["SalePayment"].add(payment)

    def rows(self, entity: str, ids: Iterable[int]) -> list[Row]:
        """Return the rows with these ids that exist."""
        rows = self.tables[entity].rows
        return [rows[i] for i in ids if i in rows]

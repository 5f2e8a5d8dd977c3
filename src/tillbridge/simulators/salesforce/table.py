"""The rows of one object: live ones, the Recycle Bin, and the indexes that find them.

A row is a plain dict that holds only what is not null. An index is made the
first time something asks for it and kept up from then on; unique and external
id fields have theirs from the start.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Any

from tillbridge.simulators.salesforce.schema import Field, SObject

Row = dict[str, Any]


class Index:
    """value -> id, or an ordered bag of ids where several rows share the value."""

    __slots__ = ("entries", "field", "fold")

    def __init__(self, field: str, *, fold: bool) -> None:
        self.field = field
        self.fold = fold
        self.entries: dict[Any, str | dict[str, None]] = {}

    def key(self, value: Any) -> Any:
        """Return the value as the index spells it."""
        return value.lower() if self.fold and type(value) is str else value

    def add(self, value: Any, row_id: str) -> None:
        """Enter a row."""
        if self.fold and type(value) is str:
            value = value.lower()
        held = self.entries.get(value)
        if held is None:
            self.entries[value] = row_id
        elif type(held) is str:
            self.entries[value] = {held: None, row_id: None}
        else:
            held[row_id] = None  # type: ignore[index]  # The other arm of the union, told apart by type() for speed.

    def remove(self, value: Any, row_id: str) -> None:
        """Take a row out."""
        value = self.key(value)
        held = self.entries.get(value)
        if held == row_id:
            del self.entries[value]
        elif isinstance(held, dict):
            held.pop(row_id, None)
            if not held:
                del self.entries[value]

    def ids(self, value: Any) -> Iterable[str]:
        """Return the ids of the rows that hold a value."""
        held = self.entries.get(self.key(value))
        if held is None:
            return ()
        return (held,) if isinstance(held, str) else list(held)


class Table:
    """Rows by id, with their indexes."""

    def __init__(self, sobject: SObject) -> None:
        self.sobject = sobject
        self.rows: dict[str, Row] = {}
        self.bin: dict[str, Row] = {}
        self.indexes: dict[str, Index] = {}
        self.numbered = 0
        self._stamps: dict[str, list[str]] = {}
        self._stamps_sorted: list[str] = []
        self._stamped = 0
        for field in sobject.fields.values():
            self.watch(field)

    def watch(self, field: Field) -> None:
        """Keep an index on a field from now on if uniqueness or upserts need one."""
        if field.unique or field.external_id:
            self.index(field)

    def index(self, field: Field) -> Index:
        """Return the index on a field, building it on first use."""
        found = self.indexes.get(field.name)
        if found is None:
            found = self.indexes[field.name] = Index(field.name, fold=folds(field))
            name = field.name
            for row_id, row in self.rows.items():
                value = row.get(name)
                if value is not None:
                    found.add(value, row_id)
        return found

    def put(self, row: Row) -> None:
        """Enter a new live row."""
        row_id = row["Id"]
        self.rows[row_id] = row
        for name, index in self.indexes.items():
            value = row.get(name)
            if value is not None:
                index.add(value, row_id)
        self._note(row["SystemModstamp"], row_id)

    def change(self, row: Row, changes: Row) -> None:
        """Write changed values into a live row; None clears."""
        row_id = row["Id"]
        for name, index in self.indexes.items():
            if name in changes:
                old, new = row.get(name), changes[name]
                if old != new:
                    if old is not None:
                        index.remove(old, row_id)
                    if new is not None:
                        index.add(new, row_id)
        before = row.get("SystemModstamp")
        for name, value in changes.items():
            if value is None:
                row.pop(name, None)
            else:
                row[name] = value
        if row["SystemModstamp"] != before:
            self._note(row["SystemModstamp"], row_id)

    def take(self, row_id: str) -> Row:
        """Remove a live row from the rows and the indexes, and return it."""
        row = self.rows.pop(row_id)
        for name, index in self.indexes.items():
            value = row.get(name)
            if value is not None:
                index.remove(value, row_id)
        return row

    def purge(self, before: str) -> None:
        """Empty the Recycle Bin of rows that were deleted before a moment."""
        for row_id in [row_id for row_id, row in self.bin.items() if row["SystemModstamp"] < before]:
            del self.bin[row_id]

    def since(self, low: str | None, high: str | None) -> Iterator[Row]:
        """Yield live rows whose SystemModstamp lies between two bounds, both inclusive."""
        keys = self._stamps_sorted
        start = bisect_left(keys, low) if low is not None else 0
        for stamp in keys[start:]:
            if high is not None and stamp > high:
                break
            for row_id in dict.fromkeys(self._stamps[stamp]):
                row = self.rows.get(row_id)
                if row is not None and row["SystemModstamp"] == stamp:
                    yield row

    def _note(self, stamp: str, row_id: str) -> None:
        held = self._stamps.get(stamp)
        if held is None:
            held = self._stamps[stamp] = []
            insort(self._stamps_sorted, stamp)
        # A row that was stamped twice in one second is entered once.
        if not held or held[-1] != row_id:
            held.append(row_id)
            self._stamped += 1
            if self._stamped > 2 * len(self.rows) + 10_000:
                self._restamp()

    def _restamp(self) -> None:
        self._stamps = {}
        for row_id, row in self.rows.items():
            self._stamps.setdefault(row["SystemModstamp"], []).append(row_id)
        self._stamps_sorted = sorted(self._stamps)
        self._stamped = len(self.rows)


def folds(field: Field) -> bool:
    """Say whether a field's text is compared without regard to case (fact sheet §8.2)."""
    return not field.case_sensitive and field.type in {
        "string", "email", "phone", "url", "picklist", "combobox", "textarea",
    }  # fmt: skip

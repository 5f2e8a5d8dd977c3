"""Statements that SQLite and PostgreSQL both take: rows written over those that are there, lists of ids."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert

from tillbridge.store.lists import parts as cut

# Either database takes so many bound values in one statement, with room for those beside the list.
_PART = 500


def write(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write whole rows, over those that are there."""
    if rows:
        statement = insert(table)
        own = [column.name for column in table.primary_key]
        changes = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in own}
        connection.execute(statement.on_conflict_do_update(index_elements=own, set_=changes), rows)


def add_new(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows that are not there yet."""
    if rows:
        connection.execute(insert(table).on_conflict_do_nothing(), rows)


def add_up(
    connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], sums: Collection[str]
) -> None:
    """Add figures to the rows that are there, and make those that are not."""
    if rows:
        statement = insert(table)
        own = [column.name for column in table.primary_key]
        changes = {name: table.c[name] + statement.excluded[name] for name in sums}
        connection.execute(statement.on_conflict_do_update(index_elements=own, set_=changes), rows)


def insert(table: sa.Table) -> Insert:
    """Return an insert that may say what becomes of conflicts.

    SQLite took its ON CONFLICT over from PostgreSQL, and SQLAlchemy renders this one for both.
    """
    return Insert(table)


class Many:
    """A statement for rows by the hundred thousand: as text, without SQLAlchemy's work on each row."""

    def __init__(self, statement: Insert, columns: Sequence[str]) -> None:
        self._statement = statement
        self._columns = list(columns)
        self._texts: dict[str, tuple[str, tuple[str, ...]]] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for every row."""
        text, order = self._text(connection.dialect)
        if order:
            connection.exec_driver_sql(text, [tuple(map(row.__getitem__, order)) for row in rows])
        else:
            connection.exec_driver_sql(text, [dict(row) for row in rows])

    def _text(self, dialect: sa.Dialect) -> tuple[str, tuple[str, ...]]:
        """Return it in a database's words, with what its places hold where they have no names."""
        if dialect.name not in self._texts:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
            self._texts[dialect.name] = str(compiled), tuple(getattr(compiled, "positiontup", None) or ())
        return self._texts[dialect.name]


def write_many(table: sa.Table) -> Many:
    """Return the statement that writes whole rows over those that are there."""
    statement = insert(table)
    own = [column.name for column in table.primary_key]
    changes = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in own}
    return Many(statement.on_conflict_do_update(index_elements=own, set_=changes), list(table.c.keys()))


def add_many(table: sa.Table) -> Many:
    """Return the statement that writes the rows that are not there yet."""
    return Many(insert(table).on_conflict_do_nothing(), list(table.c.keys()))


def parts(ids: Collection[Any]) -> Iterator[list[Any]]:
    """Cut a list into pieces that a statement can hold."""
    return cut(ids, _PART)

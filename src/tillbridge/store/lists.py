"""Statements about many things at once, in words that SQLite and PostgreSQL both understand.

A list travels as one value, however long it is: as JSON to SQLite, as an array
to PostgreSQL. So a statement has one text and one plan, and no limit on places.
Blinded keys are bytes, which JSON has no word for: those go in parts.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# SQLite takes 32,766 places in a statement, PostgreSQL 65,535.
_PART = 5_000

Item = TypeVar("Item")


class _List(sa.types.TypeDecorator[Any]):
    """A Python collection as one value of a statement."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, of: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return what the database takes."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(ARRAY(self.of))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        """Pack the items."""
        items = list(value)
        return items if dialect.name == "postgresql" else json.dumps(items)


class _Among(FunctionElement[bool]):
    """A column, and the list that it is to be found in."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002  SQLAlchemy's signature.
        """Return the words as they are: SQLite finds no index behind `(... IN ...) = 1`."""
        return self


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, items = (compiler.process(each, **kw) for each in element.clauses)
    return f"{column} IN (SELECT each.value FROM json_each({items}) AS each)"  # noqa: S608  Rendered by SQLAlchemy.


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, items = (compiler.process(each, **kw) for each in element.clauses)
    return f"{column} = ANY ({items})"


def among(column: sa.ColumnElement[Any], values: Collection[Any] | None = None) -> sa.ColumnElement[bool]:
    """Say that a column is one of these, or of those that `ids` is bound to when the statement runs."""
    numbers = isinstance(column.type, sa.Integer)
    kind = _List(sa.BigInteger() if numbers else sa.Text())
    return _Among(column, sa.bindparam("ids" if values is None else None, values, type_=kind))


def parts(items: Collection[Item], size: int = _PART) -> Iterator[list[Item]]:
    """Cut a collection into parts that a statement has places for."""
    listed = list(items)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]

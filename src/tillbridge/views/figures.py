"""Figures as the tables keep them, brought into values for people: money, quantities, moments, pages."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import sqlalchemy as sa

# A page of a list, and the most that one request may ask for.
PAGE, PAGE_MAX = 50, 500
# A list begins no later than that: no shop has so many.
OFFSET_MAX = 10_000_000

Stores = Collection[str] | None


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list is shown. `total` None: nobody has counted; `more`: there is more behind it."""

    offset: int
    limit: int
    total: int | None
    more: bool


def money(hundredths: int | None) -> Decimal:
    """Return an amount with two places."""
    return Decimal(hundredths or 0).scaleb(-2)


def quantity(thousandths: int | None) -> Decimal:
    """Return a quantity without idle zeros."""
    whole, rest = divmod(thousandths or 0, 1000)
    return Decimal(whole) if not rest else Decimal(thousandths or 0).scaleb(-3).normalize()


def share(part: int, whole: int) -> float:
    """Return a share of a whole; of nothing it is none."""
    return round(part / whole, 4) if whole else 0.0


def moment(epoch: float | None) -> datetime | None:
    """Return a moment as everybody reads it."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def moment_of(epoch: float) -> datetime:
    """Return a moment that is there."""
    return datetime.fromtimestamp(epoch, UTC)


def within(column: sa.ColumnElement[str], stores: Stores) -> list[sa.ColumnElement[bool]]:
    """Limit a question to the stores that somebody may see."""
    if stores is None:
        return []
    # One store has an index in the order of its days, several have not.
    return [column == next(iter(stores))] if len(stores) == 1 else [column.in_(sorted(stores))]

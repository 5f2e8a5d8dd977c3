"""What a read asks for and what a page of answers looks like, whatever the remote."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, Literal, TypeVar

import msgspec

Row = TypeVar("Row")

# What a till can count without reading it.
Countable = Literal["customers", "products", "sales"]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which records of a kind to read. Archived and voided ones always belong to the answer.

    `since` and `until` bound the remote's own change stamp (inclusive, the
    remote's clock) unless `by` is "completed", which bounds when a sale was
    completed. `ids` asks for exactly those (any number; the client splits them).
    `resume` is the `next` of an earlier page of the same query. `newest_first`
    turns the order round: a full read, newest history first. `customer` asks for
    the sales of one customer, and bounds nothing else.
    """

    since: datetime | None = None
    until: datetime | None = None
    by: Literal["changed", "completed"] = "changed"
    ids: tuple[str, ...] | None = None
    resume: str | None = None
    newest_first: bool = False
    customer: str | None = None


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """One page. `next` (None at the end) resumes behind it, also after a restart.

    `high` is the newest change stamp on the page, `server_time` the remote's
    clock when it answered: the only times a cursor may be made of.
    """

    rows: list[Row]
    next: str | None
    high: datetime | None
    server_time: datetime


class SaleChild(msgspec.Struct, frozen=True, kw_only=True):
    """A line or payment, read without its sale: only to learn which sale to look at again."""

    id: str
    sale_id: str | None  # None: it waits outside of any sale, as a layaway does
    changed_at: datetime | None = None


class TillAccount(msgspec.Struct, frozen=True):
    """Which till account we are let into."""

    id: str
    name: str
    currency: str
    registers: int = 1

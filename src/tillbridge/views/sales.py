"""The list of sales: by number, day, store, customer or amount, with where each stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.erasing import aliases_of
from tillbridge.store.lists import among
from tillbridge.views.books import Books, Memory
from tillbridge.views.customers import name_of
from tillbridge.views.figures import PAGE, PAGE_MAX, Slice, Stores, moment_of, money, within

_receipt, _record = schema.receipt, schema.record

# Customers whom a name finds, and whose receipts are then looked for.
_BUYERS_MAX = 200
_AMOUNT_MAX = 1_000_000_000

# An amount with its decimals, in either spelling; thousands may be parted.
_AMOUNT = re.compile(r"-?[\d., ]*\d[.,]\d{2}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

Type = Literal["Sale", "Refund", "Exchange", "Gift Card", "Deposit"]
Status = Literal["completed", "voided", "open", "cancelled"]


class SaleLine(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list. `state` is where its record stands: settled, problem, waiting, on its way ..."""

    id: str
    ticket: str
    day: str
    at: datetime
    store_id: str
    store: str
    status: str
    type: str
    customer_id: str | None
    customer: str | None
    seller: str | None
    total: Decimal
    currency: str
    state: str
    reason: str | None
    crm_id: str | None


class Sales(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the list, newest first.

    `complete` is false while everybody is still being read after a start, so that a name may find more.
    `buyers_max`: more people have such a name than these, and only the receipts of these are listed.
    """

    rows: list[SaleLine]
    slice: Slice
    complete: bool = True
    buyers_max: int | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody looks for. Everything that is given has to hold."""

    query: str = ""  # a number, a day, an amount, or a customer's name
    first: date | None = None
    last: date | None = None
    store: str | None = None
    customer: str | None = None
    least: Decimal | None = None
    most: Decimal | None = None
    type: Type | None = None
    status: Status | None = None


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a name finds: every number that they have, or had before a merge."""

    ids: list[str]
    complete: bool
    is_cut: bool


def sales(
    books: Books, wanted: Wanted | None = None, *, stores: Stores = None, offset: int = 0, limit: int = PAGE
) -> Sales:
    """Return a page of sales."""
    limit = min(limit, PAGE_MAX)
    wanted = wanted or Wanted()
    named = _named(books, wanted.query.strip(), stores)
    complete, buyers_max = (named.complete, _BUYERS_MAX if named.is_cut else None) if named else (True, None)
    where = _where(books, wanted, stores, named)
    if where is None:
        nothing = Slice(offset=offset, limit=limit, total=0, more=False)
        return Sales(rows=[], slice=nothing, complete=complete, buyers_max=buyers_max)
    order = (_receipt.c.day.desc(), _receipt.c.at.desc(), _receipt.c.till_id.desc())
    # Ids first, which stand in the indexes: what is leafed over would be read whole else.
    ids = sa.select(_receipt.c.till_id).where(*where).order_by(*order).offset(offset).limit(limit + 1)
    with books.look() as c:
        found = c.execute(ids).scalars().all()
        shown = sa.select(_receipt).where(among(_receipt.c.till_id, found[:limit])).order_by(*order)
        rows = c.execute(shown).all()
    more = len(found) > limit
    # Beyond the end nothing tells how many there are.
    total = None if more else offset + len(rows) if rows or not offset else _count(books, where)
    return Sales(
        rows=lines_of(books, rows),
        slice=Slice(offset=offset, limit=limit, total=total, more=more),
        complete=complete,
        buyers_max=buyers_max,
    )


def _count(books: Books, where: Sequence[sa.ColumnElement[bool]]) -> int:
    with books.look() as c:
        return c.execute(sa.select(sa.func.count()).select_from(_receipt).where(*where)).scalar_one()


def lines_of(books: Memory, rows: Sequence[sa.Row[Any]]) -> list[SaleLine]:
    """Bring rows of receipts into lines: with names, and with where each record stands."""
    names = books.names()
    ids = [row.till_id for row in rows]
    columns = [_record.c[name] for name in ("till_id", "state", "reason", "crm_id")]
    with books.look() as c:
        asked = sa.select(*columns).where(_record.c.kind == "sale", among(_record.c.till_id, ids))
        standing = {row.till_id: row for row in c.execute(asked)}
    buyers = {
        i: name_of(p) for i, p in books.arrivals.people({r.customer for r in rows if r.customer}).items()
    }
    lines = []
    for row in rows:
        own = standing.get(row.till_id)
        lines.append(
            SaleLine(
                id=row.till_id,
                ticket=row.ticket,
                day=row.day,
                at=moment_of(row.at),
                store_id=row.store,
                store=names.store(row.store),
                status=row.status,
                type=row.type,
                customer_id=row.customer,
                customer=buyers.get(row.customer or ""),
                seller=names.employee(row.seller),
                total=money(row.total),
                currency=names.currency,
                # Read and kept, and not answered for yet: a first load sends it with its wave.
                state=own.state if own else "staged",
                reason=own.reason if own else None,
                crm_id=own.crm_id if own else None,
            )
        )
    return lines


def _where(
    books: Books, wanted: Wanted, stores: Stores, named: _Named | None
) -> list[sa.ColumnElement[bool]] | None:
    """Return what has to hold; None when nothing can."""
    where = within(_receipt.c.store, stores)
    if wanted.store is not None:
        where.append(_receipt.c.store == wanted.store)
    if wanted.first is not None:
        where.append(_receipt.c.day >= wanted.first.isoformat())
    if wanted.last is not None:
        where.append(_receipt.c.day <= wanted.last.isoformat())
    if wanted.customer is not None:
        where.append(among(_receipt.c.customer, aliases_of(books.state, "customer", [wanted.customer])))
    if wanted.least is not None:
        where.append(_receipt.c.total >= _hundredths(max(wanted.least, Decimal(-_AMOUNT_MAX))))
    if wanted.most is not None:
        where.append(_receipt.c.total <= _hundredths(min(wanted.most, Decimal(_AMOUNT_MAX))))
    # As words of the statement: a bound value would keep SQLite from the indexes over what is rare.
    if wanted.type is not None:
        where.append(_receipt.c.type == sa.literal(wanted.type, literal_execute=True))
        where += [_receipt.c.type != sa.literal("Sale", literal_execute=True)] * (wanted.type != "Sale")
    if wanted.status is not None:
        where.append(_receipt.c.status == sa.literal(wanted.status, literal_execute=True))
        if wanted.status != "completed":
            where.append(_receipt.c.status != sa.literal("completed", literal_execute=True))
    if query := wanted.query.strip():
        said = _said(query, named)
        if said is None:
            return None
        where.append(said)
    return where


def _said(query: str, named: _Named | None) -> sa.ColumnElement[bool] | None:
    """Read what somebody typed: a customer's name, or else a day, an amount, a number of either kind."""
    if named is not None:
        return among(_receipt.c.customer, named.ids) if named.ids else None
    if _DAY.fullmatch(query):
        return _receipt.c.day == query
    if _AMOUNT.fullmatch(query) and (amount := amount_in(query)) is not None:
        # What no column holds is the amount of no receipt.
        return _receipt.c.total == _hundredths(amount) if abs(amount) < _AMOUNT_MAX else None
    number = query.lstrip("#")
    return sa.or_(_receipt.c.ticket == number, _receipt.c.till_id == number)


def _named(books: Books, query: str, stores: Stores) -> _Named | None:
    """Look up whose name was typed; None when it is no name."""
    if not query or _DAY.fullmatch(query) or (_AMOUNT.fullmatch(query) and amount_in(query) is not None):
        return None
    if any(ch.isdigit() for ch in query) and " " not in query and "@" not in query:
        return None  # A number of a receipt.
    found = books.roll.search(query, stores=stores, limit=_BUYERS_MAX)
    return _Named(
        ids=sorted(aliases_of(books.state, "customer", filter(None, (till_id for till_id, _ in found.rows)))),
        complete=found.complete,
        is_cut=found.total is None or found.total > len(found.rows),
    )


def amount_in(text: str) -> Decimal | None:
    """Read an amount as people type it, 1.234,50 and 1,234.50 alike; None when it is none."""
    digits, _, places = text.replace(" ", "").replace(",", ".").rpartition(".")
    try:
        return Decimal(f"{digits.replace('.', '')}.{places}")
    except InvalidOperation:
        return None


def _hundredths(amount: Decimal) -> int:
    return int((amount * 100).to_integral_value())

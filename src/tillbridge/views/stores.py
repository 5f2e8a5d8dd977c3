"""Stores: takings, receipts, average basket, refunds, sellers and top products of a store and period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.lists import among
from tillbridge.views.books import Books, Names
from tillbridge.views.figures import Stores, money, quantity, share, within

_tally, _article, _receipt, _line = schema.tally, schema.article, schema.receipt, schema.receipt_line
_SUMS = ("receipts", "refunds", "units", "total", "net", "refunded")
_TOP = 20
_DAYS_MAX = 1_100


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold. `takings` are with tax, `net` without; `refunded` is what went back, with tax."""

    receipts: int
    refunds: int
    units: Decimal
    takings: Decimal
    net: Decimal
    refunded: Decimal
    basket: Decimal  # takings a receipt
    refund_rate: float  # refunded of all that was sold before


class DayFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A day's figures."""

    day: str
    figures: Figures


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A seller, a store or a product with its figures."""

    id: str
    name: str
    figures: Figures
    sku: str | None = None


class StoresPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page of stores: of one, or of all that may be seen."""

    store_id: str | None
    store: str | None
    first: str
    last: str
    currency: str
    total: Figures
    before: Figures  # of as many days before
    days: list[DayFigures]
    stores: list[Ranked]
    sellers: list[Ranked]
    products: list[Ranked]


def stores_page(
    books: Books, first: date, last: date, *, store: str | None = None, stores: Stores = None
) -> StoresPage:
    """Return the figures of a period, both days included."""
    first = max(first, last - timedelta(days=_DAYS_MAX - 1))
    names = books.names()
    seen = _seen(store, stores)
    span = (last - first).days + 1
    with books.look() as c:
        days = _by(c, "store", first, last, seen, _tally.c.period)
        before = _by(
            c, "store", first - timedelta(days=span), first - timedelta(days=1), seen, _tally.c.store
        )
        shops = _by(c, "store", first, last, seen, _tally.c.store)
        sellers = _by(c, "seller", first, last, seen, _tally.c.name)
        products = _top_products(c, first, last, seen)
        called = _called(c, [i for i, _ in products])
    by_day = dict(days)
    zero = (0,) * len(_SUMS)
    everything = [(first + timedelta(days=n)).isoformat() for n in range(span)]
    return StoresPage(
        store_id=store,
        store=names.store(store) if store is not None else None,
        first=first.isoformat(),
        last=last.isoformat(),
        currency=names.currency,
        total=_figures(_sum(sums for _, sums in days)),
        before=_figures(_sum(sums for _, sums in before)),
        days=[DayFigures(day=day, figures=_figures(by_day.get(day, zero))) for day in everything],
        stores=_ranked(shops, {i: names.store(i) for i, _ in shops}),
        sellers=_ranked(sellers, _sellers(names, sellers))[:_TOP],
        products=[
            Ranked(
                id=i,
                name=called[i].title if i in called else f"Product {i}",
                sku=called[i].sku if i in called else None,
                figures=_figures(sums),
            )
            for i, sums in products
        ],
    )


def _seen(store: str | None, stores: Stores) -> Stores:
    if store is None:
        return stores
    return [store] if stores is None or store in stores else []


def _by(
    c: sa.Connection, scope: str, first: date, last: date, stores: Stores, column: sa.ColumnElement[str]
) -> list[tuple[str, tuple[int, ...]]]:
    """Add tallies of a scope up by a column."""
    sums = [sa.func.sum(_tally.c[name]) for name in _SUMS]
    where = [
        _tally.c.scope == scope,
        _tally.c.period >= first.isoformat(),
        _tally.c.period <= last.isoformat(),
        *within(_tally.c.store, stores),
    ]
    statement = sa.select(column, *sums).where(*where).group_by(column)
    return [(row[0], tuple(int(n or 0) for n in row[1:])) for row in c.execute(statement)]


# --- products --------------------------------------------------------------------------------------


def _top_products(
    c: sa.Connection, first: date, last: date, stores: Stores
) -> list[tuple[str, tuple[int, ...]]]:
    """Return what brought most: whole months from their tallies, what is left of others from its lines."""
    months, spans = parts_of(first, last)
    parts = [_of_days(span, stores) for span in spans]
    if months:
        parts.append(_of_months(months, stores))
    found = sa.union_all(*parts).subquery() if len(parts) > 1 else parts[0].subquery()
    sums = [sa.func.sum(found.c[name]).label(name) for name in _SUMS]
    net = sa.func.sum(found.c.net)
    best = sa.select(found.c.name, *sums).group_by(found.c.name).order_by(net.desc(), found.c.name)
    return [(row[0], tuple(int(n or 0) for n in row[1:])) for row in c.execute(best.limit(_TOP))]


def parts_of(first: date, last: date) -> tuple[list[str], list[tuple[date, date]]]:
    """Cut a period into whole months and the spans of days that are left of others."""
    months: list[str] = []
    spans: list[tuple[date, date]] = []
    day = first
    while day <= last:
        following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
        end = min(last, following - timedelta(days=1))
        if day.day == 1 and end == following - timedelta(days=1):
            months.append(day.isoformat()[:7])
        else:
            spans.append((day, end))
        day = following
    return months, spans


def _of_months(months: Sequence[str], stores: Stores) -> sa.Select[Any]:
    place = [_tally.c.store == ""] if stores is None else within(_tally.c.store, stores)
    where = [_tally.c.scope == "product", *place, _tally.c.period.in_(months)]
    return sa.select(_tally.c.name, *(_tally.c[name] for name in _SUMS)).where(*where)


def _of_days(span: tuple[date, date], stores: Stores) -> sa.Select[Any]:
    back = sa.case((sa.and_(_line.c.units < 0, _line.c.total < 0), -_line.c.total), else_=0)
    refund = sa.case((_receipt.c.type == "Refund", 1), else_=0)
    columns = {
        "receipts": sa.literal(1),
        "refunds": refund,
        "units": _line.c.units,
        "total": _line.c.total,
        "net": _line.c.net,
        "refunded": back,
    }
    where = [
        _receipt.c.day >= span[0].isoformat(),
        _receipt.c.day <= span[1].isoformat(),
        _receipt.c.status == "completed",
        _line.c.product.isnot(None),
        *within(_receipt.c.store, stores),
    ]
    joined = _receipt.join(_line, _line.c.sale == _receipt.c.till_id)
    named = [columns[name].label(name) for name in _SUMS]
    return sa.select(_line.c.product.label("name"), *named).select_from(joined).where(*where)


def _called(c: sa.Connection, products: Sequence[str]) -> Mapping[str, Any]:
    asked = sa.select(_article.c.till_id, _article.c.sku, _article.c.title)
    return {row.till_id: row for row in c.execute(asked.where(among(_article.c.till_id, products)))}


# --- figures ---------------------------------------------------------------------------------------


def _sellers(names: Names, rows: Sequence[tuple[str, tuple[int, ...]]]) -> dict[str, str]:
    return {i: names.employee(i) or i for i, _ in rows}


def _ranked(rows: Sequence[tuple[str, tuple[int, ...]]], called: Mapping[str, str]) -> list[Ranked]:
    net = _SUMS.index("net")
    best = sorted((row for row in rows if any(row[1])), key=lambda row: (-row[1][net], row[0]))
    return [Ranked(id=i, name=called[i], figures=_figures(sums)) for i, sums in best]


def _sum(rows: Any) -> tuple[int, ...]:
    totals = [0] * len(_SUMS)
    for sums in rows:
        for at, figure in enumerate(sums):
            totals[at] += figure
    return tuple(totals)


def _figures(sums: Sequence[int]) -> Figures:
    receipts, refunds, units, total, net, refunded = sums
    # What went back is a share of what had been sold before it did.
    return Figures(
        receipts=receipts,
        refunds=refunds,
        units=quantity(units),
        takings=money(total),
        net=money(net),
        refunded=money(refunded),
        basket=money(round(total / receipts) if receipts else 0),
        refund_rate=share(refunded, total + refunded),
    )

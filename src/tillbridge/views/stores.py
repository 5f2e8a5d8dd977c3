"""Stores: takings, receipts, average basket, refunds, sellers and top products of a store and period."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.lists import among
from tillbridge.views.books import Books, Names
from tillbridge.views.figures import Stores, money, quantity, share

_tally, _article = schema.tally, schema.article
_SUMS = ("receipts", "refunds", "units", "total", "net", "refunded")
_TOP = 20
_DAYS_MAX = 1_100

Sums = tuple[int, ...]
Where = list[sa.ColumnElement[bool]]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold. `takings` are with tax, `net` without; `refunded` is what went back, with tax."""

    receipts: int
    refunds: int
    units: Decimal
    takings: Decimal
    net: Decimal
    refunded: Decimal
    basket: Decimal  # what was sold, before refunds, a receipt that sold something
    refund_rate: float | None  # refunded of what was sold; None: something came back, and nothing was sold


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
        places = _places(c, seen)
        days = _by(c, first, last, places, _tally.c.period)
        before = _by(c, first - timedelta(days=span), first - timedelta(days=1), places, _tally.c.store)
        shops = _by(c, first, last, places, _tally.c.store)
        sellers = _sellers_of(c, first, last, places)
        products = _top_products(c, first, last, places, everywhere=seen is None)
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


def _places(c: sa.Connection, seen: Stores) -> Collection[str]:
    """Return the stores to add up, by name also where all are meant: so SQLite finds their days at once."""
    if seen is not None:
        return sorted(seen)
    return c.execute(sa.select(_tally.c.store).where(_tally.c.scope == "store").distinct()).scalars().all()


def _by(
    c: sa.Connection, first: date, last: date, places: Collection[str], column: sa.ColumnElement[str]
) -> list[tuple[str, Sums]]:
    """Add days of stores up by a column."""
    sums = [sa.func.sum(_tally.c[name]) for name in _SUMS]
    where = _days_of("store", (first, last), places)
    return [_row(row) for row in c.execute(sa.select(column, *sums).where(*where).group_by(column))]


def _row(row: Sequence[Any]) -> tuple[str, Sums]:
    return row[0], tuple(int(n or 0) for n in row[1:])


# --- sellers and products --------------------------------------------------------------------------


def _sellers_of(c: sa.Connection, first: date, last: date, places: Collection[str]) -> list[tuple[str, Sums]]:
    return _added_up(c, _cut("seller", "seller month", first, last, places, places))


def _top_products(
    c: sa.Connection, first: date, last: date, places: Collection[str], *, everywhere: bool
) -> list[tuple[str, Sums]]:
    """Return what brought most."""
    months_in = [""] if everywhere else places
    parts = _cut("product day", "product", first, last, places, months_in)
    # First by one figure, then the others of the best alone: there are thousands of products.
    found = sa.union_all(
        *(sa.select(_tally.c.name, _tally.c.net).where(*where) for where in parts)
    ).subquery()
    net = sa.func.sum(found.c.net)
    best = sa.select(found.c.name).group_by(found.c.name).order_by(net.desc(), found.c.name).limit(_TOP)
    order = {name: at for at, name in enumerate(c.execute(best).scalars())}
    sums = _added_up(c, [[*where, among(_tally.c.name, order.keys())] for where in parts])
    return sorted((each for each in sums if any(each[1])), key=lambda each: order[each[0]])


def _cut(
    day: str, month: str, first: date, last: date, places: Collection[str], months_in: Collection[str]
) -> list[Where]:
    """Return of which tallies a period is made up: of whole months, and of the days of what is left."""
    months, spans = parts_of(first, last)
    parts = [_days_of(day, span, places) for span in spans]
    if months:
        parts.append([_tally.c.scope == month, _tally.c.store.in_(months_in), _tally.c.period.in_(months)])
    return parts


def _days_of(scope: str, span: tuple[date, date], places: Collection[str]) -> Where:
    return [
        _tally.c.scope == scope,
        _tally.c.store.in_(places),
        _tally.c.period >= span[0].isoformat(),
        _tally.c.period <= span[1].isoformat(),
    ]


def _added_up(c: sa.Connection, parts: Sequence[Where]) -> list[tuple[str, Sums]]:
    columns = [_tally.c.name, *(_tally.c[name] for name in _SUMS)]
    found = sa.union_all(*(sa.select(*columns).where(*where) for where in parts)).subquery()
    sums = [sa.func.sum(found.c[name]) for name in _SUMS]
    return [_row(row) for row in c.execute(sa.select(found.c.name, *sums).group_by(found.c.name))]


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


def _called(c: sa.Connection, products: Sequence[str]) -> Mapping[str, Any]:
    asked = sa.select(_article.c.till_id, _article.c.sku, _article.c.title)
    return {row.till_id: row for row in c.execute(asked.where(among(_article.c.till_id, products)))}


# --- figures ---------------------------------------------------------------------------------------


def _sellers(names: Names, rows: Sequence[tuple[str, Sums]]) -> dict[str, str]:
    return {i: names.employee(i) or i for i, _ in rows}


def _ranked(rows: Sequence[tuple[str, Sums]], called: Mapping[str, str]) -> list[Ranked]:
    net = _SUMS.index("net")
    best = sorted((row for row in rows if any(row[1])), key=lambda row: (-row[1][net], row[0]))
    return [Ranked(id=i, name=called[i], figures=_figures(sums)) for i, sums in best]


def _sum(rows: Any) -> Sums:
    totals = [0] * len(_SUMS)
    for sums in rows:
        for at, figure in enumerate(sums):
            totals[at] += figure
    return tuple(totals)


def _figures(sums: Sequence[int]) -> Figures:
    receipts, refunds, units, total, net, refunded = sums
    # What went back is a share of what was sold before it did; of a day's sales it may be more than all.
    sold, baskets = total + refunded, receipts - refunds
    return Figures(
        receipts=receipts,
        refunds=refunds,
        units=quantity(units),
        takings=money(total),
        net=money(net),
        refunded=money(refunded),
        basket=money(round(sold / baskets) if baskets else 0),
        refund_rate=share(refunded, sold) if sold > 0 or not refunded else None,
    )

"""Products and stock: found by title or number, where each stands, what each store holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.alerts import INSTANCE
from tillbridge.model.names import fold
from tillbridge.store import schema
from tillbridge.store.lists import among
from tillbridge.views.books import Books
from tillbridge.views.figures import PAGE, PAGE_MAX, Slice, Stores, moment, money, quantity, within

_article, _shelf, _record = schema.article, schema.shelf, schema.record


class OnShelf(msgspec.Struct, frozen=True, kw_only=True):
    """What one store holds of a product."""

    store_id: str
    store: str
    on_hand: Decimal
    reorder_point: Decimal | None
    state: str | None
    verified_at: datetime | None


class ProductLine(msgspec.Struct, frozen=True, kw_only=True):
    """One product of the list. `on_hand` of all stores that may be seen."""

    id: str
    sku: str
    title: str
    category: str | None
    maker: str | None
    price: Decimal | None
    currency: str
    archived: bool
    on_hand: Decimal
    state: str | None
    reason: str | None
    crm_id: str | None
    link: str | None
    verified_at: datetime | None


class Products(msgspec.Struct, frozen=True, kw_only=True):
    """A page of products."""

    rows: list[ProductLine]
    slice: Slice


class ProductPage(msgspec.Struct, frozen=True, kw_only=True):
    """One product with its stock."""

    product: ProductLine
    stock: list[OnShelf]


def products(
    books: Books,
    query: str = "",
    *,
    stores: Stores = None,
    archived: bool = False,
    in_review: bool = False,
    offset: int = 0,
    limit: int = PAGE,
) -> Products:
    """Return a page of products, in the order of their titles. `in_review`: those that wait for a person."""
    limit = min(limit, PAGE_MAX)
    words = [part for word in query.split() for part in (fold(word).split() or [word.lower()])][:8]
    where = [_article.c.sought.contains(word, autoescape=True) for word in words]
    where += [] if archived else [_article.c.archived.is_(False)]
    if in_review:
        mine = (_record.c.kind == "product", _record.c.state == "review")
        where.append(_article.c.till_id.in_(sa.select(_record.c.till_id).where(*mine)))
    statement = sa.select(_article).where(*where).order_by(_article.c.title, _article.c.till_id)
    with books.look() as c:
        rows = c.execute(statement.offset(offset).limit(limit + 1)).all()
        more = len(rows) > limit
        total = None if more else offset + len(rows)
        if offset and not rows:  # Beyond the end nothing tells how many there are.
            total = c.execute(sa.select(sa.func.count()).select_from(_article).where(*where)).scalar_one()
    return Products(
        rows=_lines(books, rows[:limit], stores),
        slice=Slice(offset=offset, limit=limit, total=total, more=more),
    )


def product(books: Books, product_id: str, *, stores: Stores = None) -> ProductPage | None:
    """Return one product; None when the till has never shown it."""
    with books.look() as c:
        row = c.execute(sa.select(_article).where(_article.c.till_id == product_id)).first()
        if row is None:
            return None
        where = [_shelf.c.product == product_id, *within(_shelf.c.store, stores)]
        levels = c.execute(sa.select(_shelf).where(*where).order_by(_shelf.c.store)).all()
        ids = [f"{product_id}-{level.store}" for level in levels]
        asked = sa.select(_record.c.till_id, _record.c.state, _record.c.verified_at)
        standing = {
            each.till_id: each
            for each in c.execute(asked.where(_record.c.kind == "stock", among(_record.c.till_id, ids)))
        }
    names = books.names()
    stock = []
    for level in levels:
        own = standing.get(f"{product_id}-{level.store}")
        point = level.reorder_point
        stock.append(
            OnShelf(
                store_id=level.store,
                store=names.store(level.store),
                on_hand=quantity(level.on_hand),
                reorder_point=None if point is None else quantity(point),
                state=own.state if own else None,
                verified_at=moment(own.verified_at) if own else None,
            )
        )
    return ProductPage(product=_lines(books, [row], stores)[0], stock=stock)


def _lines(books: Books, rows: Sequence[sa.Row[Any]], stores: Stores) -> list[ProductLine]:
    ids = [row.till_id for row in rows]
    columns = [_record.c[name] for name in ("till_id", "state", "reason", "crm_id", "verified_at")]
    with books.look() as c:
        asked = sa.select(*columns).where(_record.c.kind == "product", among(_record.c.till_id, ids))
        standing = {row.till_id: row for row in c.execute(asked)}
        held = sa.select(_shelf.c.product, sa.func.sum(_shelf.c.on_hand)).group_by(_shelf.c.product)
        where = [among(_shelf.c.product, ids), *within(_shelf.c.store, stores)]
        on_hand = {product_id: int(count) for product_id, count in c.execute(held.where(*where))}
    place = (books.state.fact(INSTANCE) or "").rstrip("/")
    currency = books.names().currency
    lines = []
    for row in rows:
        own = standing.get(row.till_id)
        crm_id = own.crm_id if own else None
        lines.append(
            ProductLine(
                id=row.till_id,
                sku=row.sku,
                title=row.title,
                category=row.category,
                maker=row.maker,
                price=None if row.price is None else money(row.price),
                currency=currency,
                archived=row.archived,
                on_hand=quantity(on_hand.get(row.till_id, 0)),
                state=own.state if own else None,
                reason=own.reason if own else None,
                crm_id=crm_id,
                link=f"{place}/{crm_id}" if place and crm_id else None,
                verified_at=moment(own.verified_at) if own else None,
            )
        )
    return lines

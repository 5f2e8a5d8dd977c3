"""Keep what people search of sales, products and stock, in the transaction that keeps the thing itself.

What is made here names nobody: people are found through their sealed index.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import sqlalchemy as sa

from tillbridge.engine.connection import Connection
from tillbridge.model.money import cents
from tillbridge.model.names import fold
from tillbridge.model.records import Product, Sale, Stock
from tillbridge.model.sale import LineFacts, Ref, Surroundings, sale_facts
from tillbridge.store.goods import Article, Goods, OnShelf
from tillbridge.store.receipts import Line, Receipt, Receipts

_HUNDREDTHS, _THOUSANDTHS = Decimal(100), Decimal(1000)


def show_sales(connection: Connection, transaction: sa.Connection, sales: Iterable[Sale]) -> None:
    """Keep a line of each of these sales, as they were just read."""
    around = connection.around
    Receipts(connection.state).take_in(transaction, [receipt_of(sale, around) for sale in sales])


def show_products(connection: Connection, transaction: sa.Connection, products: Iterable[Product]) -> None:
    """Keep what these products are called."""
    Goods(connection.state).take_in(transaction, [_article(product) for product in products])


def show_stock(connection: Connection, transaction: sa.Connection, stock: Iterable[Stock]) -> None:
    """Keep what lies on the shelves."""
    levels = [
        OnShelf(
            product=level.product_id,
            store=level.store_id,
            on_hand=_in(level.on_hand, _THOUSANDTHS),
            reorder_point=None if level.reorder_point is None else _in(level.reorder_point, _THOUSANDTHS),
        )
        for level in stock
    ]
    Goods(connection.state).take_stock(transaction, levels)


def receipt_of(sale: Sale, around: Surroundings) -> Receipt:
    """Bring a sale into a line to be found by, and its goods into figures that add up."""
    facts = sale_facts(sale, around)
    return Receipt(
        till_id=sale.id,
        ticket=sale.ticket,
        store=sale.store_id,
        day=facts.business_date.isoformat(),
        at=facts.completed_at.timestamp(),
        status=str(sale.state),
        type=facts.type,
        channel=facts.channel,
        register=facts.register,
        customer=sale.customer_id,
        seller=_id(facts.salesperson),
        units=_in(facts.units, _THOUSANDTHS),
        # A void keeps the figures that it had: it is looked for by them.
        total=_in(cents(sale.total), _HUNDREDTHS),
        tax=_in(cents(sale.tax1 + sale.tax2), _HUNDREDTHS),
        net=_in(facts.net_sales, _HUNDREDTHS),
        lines=tuple(map(_line, facts.lines)),
    )


def _line(facts: LineFacts) -> Line:
    return Line(
        till_id=facts.id,
        position=facts.position,
        product=_id(facts.product),
        seller=_id(facts.salesperson),
        original=_id(facts.original_line),
        units=_in(facts.quantity, _THOUSANDTHS),
        total=_in(facts.total, _HUNDREDTHS),
        net=_in(facts.net_sales, _HUNDREDTHS),
    )


def _article(product: Product) -> Article:
    numbers = (
        product.id,
        product.system_sku,
        product.custom_sku,
        product.upc,
        product.ean,
        product.maker_sku,
    )
    words = (fold(product.description), fold(product.maker), *(n.lower() for n in numbers if n))
    return Article(
        till_id=product.id,
        sku=product.custom_sku or product.system_sku,
        title=product.description,
        category=product.category,
        maker=product.maker,
        price=None if product.price is None else _in(product.price, _HUNDREDTHS),
        archived=product.archived,
        sought=" ".join(filter(None, words)),
    )


def _id(ref: Ref | None) -> str | None:
    return ref.id if ref else None


def _in(amount: Decimal, parts: Decimal) -> int:
    return int((amount * parts).to_integral_value())

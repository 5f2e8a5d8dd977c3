"""Stores, employees, products, prices and stock: one way, from the till to the CRM.

A product that the CRM has already is adopted, in the order of identifiers that
the configuration names, and what its owners wrote on it is left alone. Several
candidates are a review: never a second product, never a guess.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.directory import Directory
from tillbridge.engine.mapping import mapped
from tillbridge.engine.rows import Row, as_mapped
from tillbridge.engine.showcase import show_products
from tillbridge.engine.writer import Delivery, Writer
from tillbridge.model.acks import Refused
from tillbridge.model.catalog import employee_facts, stock_facts, store_facts
from tillbridge.model.records import Kind, Product, Stock
from tillbridge.model.sale import Ref
from tillbridge.store.state import Known, Settled
from tillbridge.sync.fieldmap import payload_hash

# On an adopted product these belong to those who wrote them.
_OWNERS_FIELDS = frozenset({"Name", "ProductCode", "StockKeepingUnit", "Family", "Description", "IsActive"})


def directory_rows(connection: Connection, directory: Directory) -> list[Row]:
    """Return the rows of all stores and employees."""
    around = connection.around
    rows = []
    for store in around.stores.values():
        facts = store_facts(store, around.store_code(store.id), around.currency)
        rows.append(_row(connection, "store", store.id, facts))
    rows += [_row(connection, "employee", e.id, employee_facts(e)) for e in directory.employees]
    return rows


def _row(connection: Connection, kind: str, till_id: str, facts: msgspec.Struct) -> Row:
    payload, reason = mapped(connection, kind, facts)
    table = connection.maps[kind]
    return Row(
        kind=kind,
        till_id=till_id,
        object=table.object,
        payload=payload,
        key_field=table.key_field,
        reason=reason,
    )


# --- products ----------------------------------------------------------------------------------


class ProductPlan(msgspec.Struct):
    """What products become: rows, and standings of those that a person has to decide."""

    rows: list[Row]
    settled: list[Settled]


def load_products(
    connection: Connection, products: Sequence[Product], *, everything: bool, force: bool = False
) -> Counter[str]:
    """Bring products and their prices across, changed or not if `force`.

    `everything`: look at the CRM's whole catalogue at once.
    """
    plan = plan_products(connection, products, everything=everything)
    with connection.state.begin() as c:
        connection.state.settle(c, plan.settled)
        show_products(connection, c, products)
    writer = Writer(connection)
    counts = writer.deliver(plan.rows, force=force).counts
    counts.update(_load_prices(connection, writer, products, everything=everything))
    return counts


def plan_products(connection: Connection, products: Sequence[Product], *, everything: bool) -> ProductPlan:
    """Decide for each product: adopt, create, update, or review."""
    known = connection.state.known("product", [product.id for product in products])
    new = [p for p in products if p.id not in known or known[p.id].crm_id is None]
    shelf = _Shelf(connection, new, everything=everything) if new else None
    plan = ProductPlan([], [])
    for product in products:
        before = known.get(product.id)
        if before is not None and before.crm_id is not None:
            plan.rows.append(_product_row(connection, product, before.crm_id, before.role, before.reason))
        elif shelf is not None:
            _plan_new(connection, product, shelf, plan)
    return plan


# How people call the numbers by which a product is found.
_CALLED = {
    "key": "key",
    "system_sku": "system SKU",
    "custom_sku": "custom SKU",
    "upc": "UPC",
    "ean": "EAN",
    "maker_sku": "maker SKU",
}


def _plan_new(connection: Connection, product: Product, shelf: _Shelf, plan: ProductPlan) -> None:
    rule, hits = shelf.candidates(product)
    if len(hits) == 1:
        plan.rows.append(_product_row(connection, product, hits[0], "adopted", f"adopted by {rule}"))
        shelf.take(hits[0])
    elif hits:
        ids = ", ".join(hits)
        reason = (
            f"{len(hits)} products in Salesforce have the {_CALLED[rule]} of this one ({ids}): change it on "
            "all but one of them there, then sync this product"
        )
        plan.settled.append(Settled(kind="product", till_id=product.id, state="review", reason=reason))
    else:
        plan.rows.append(_product_row(connection, product, None, None, None))


def _product_row(
    connection: Connection, product: Product, crm_id: str | None, role: str | None, reason: str | None
) -> Row:
    row = _row(connection, "product", product.id, product)
    row.till_stamp = product.changed_at.timestamp() if product.changed_at else None
    if crm_id is not None:
        row.operation, row.crm_id = "update", crm_id
    if role == "adopted":
        row.role, row.reason = role, reason
        row.payload = {name: v for name, v in row.payload.items() if name not in _OWNERS_FIELDS}
    return row


class _Shelf:
    """The CRM's products, found by their numbers."""

    def __init__(self, connection: Connection, products: Sequence[Product], *, everything: bool) -> None:
        self._connection = connection
        self._by_key: dict[str, list[str]] = defaultdict(list)
        self._by_sku: dict[str, list[str]] = defaultdict(list)
        self._taken = {link.crm_id for link in connection.state.all_links("product").values()}
        held = connection.objects[connection.maps["product"].object]
        numbers = (
            None if everything else dict.fromkeys(n for p in products for n in self._numbers(p).values())
        )
        keys = [connection.maps["product"].key_of(p) for p in products]
        for found in connection.questions.products(held, numbers, keys):
            if found.key:
                self._by_key[found.key].append(found.id)
                continue  # It belongs to a product of a till already.
            for number in {_folded(n) for n in found.numbers}:
                self._by_sku[number].append(found.id)

    def candidates(self, product: Product) -> tuple[str, list[str]]:
        """Return the first rule that hits, and whom it hits."""
        key = self._connection.maps["product"].key_of(product)
        if hits := self._by_key.get(key):
            return "key", hits
        for rule, number in self._numbers(product).items():
            if hits := [i for i in self._by_sku.get(_folded(number), ()) if i not in self._taken]:
                return rule, hits
        return "", []

    def take(self, crm_id: str) -> None:
        """Mark a product of the CRM as adopted: nobody else may have it."""
        self._taken.add(crm_id)

    def _numbers(self, product: Product) -> dict[str, str]:
        order = self._connection.settings.adopt
        return {rule: number for rule in order if (number := getattr(product, rule))}


def _folded(number: str) -> str:
    return number.strip().upper()


# --- prices ------------------------------------------------------------------------------------


def _load_prices(
    connection: Connection, writer: Writer, products: Sequence[Product], *, everything: bool
) -> Counter[str]:
    """Write each product's entry of the standard price book: created once, then kept up to date."""
    if "price" not in connection.maps:
        return Counter()
    links = connection.state.links("product", [product.id for product in products])
    priced = [p for p in products if p.id in links]
    known = connection.state.known("price", [product.id for product in priced])
    new = [p for p in priced if p.id not in known]
    book = _standard_book(connection) if new else None
    if new and book is None:
        connection.progress.say(
            "The org has no standard price book that we may see: prices stay in the till."
        )
        return Counter()
    there: dict[str, str] = {}
    if book is not None:
        there = connection.questions.prices(
            book, None if everything else [links[p.id].crm_id for p in new], _currency(connection)
        )
    rows = [_price_row(connection, p, book, known.get(p.id), there.get(links[p.id].crm_id)) for p in priced]
    delivery = writer.deliver(rows)
    _adopt_entries(connection, writer, rows, delivery, book)
    return Counter({f"price {name}": count for name, count in delivery.counts.items()})


def _price_row(
    connection: Connection, product: Product, book: str | None, before: Known | None, entry: str | None
) -> Row:
    payload, _ = mapped(connection, "price", product)
    crm_id = before.crm_id if before is not None else entry
    # The digest is of the price alone, so that an entry we have just created compares equal to its update.
    row = Row(
        kind="price",
        till_id=product.id,
        object="PricebookEntry",
        payload=payload,
        digest=payload_hash(as_mapped(payload)),
    )
    if crm_id is not None:
        row.operation, row.crm_id = "update", crm_id
        payload.pop("CurrencyIsoCode", None)  # fixed once the entry is there
        return row
    # Price book and product are fixed once the entry is there, so only a creation names them.
    row.operation = "create"
    row.payload = {**payload, "Pricebook2Id": book, "Product2Id": Ref(Kind.PRODUCT, product.id)}
    return row


def _currency(connection: Connection) -> str | None:
    fields = connection.objects["PricebookEntry"].fields
    return connection.account.currency if "CurrencyIsoCode" in fields else None


def _standard_book(connection: Connection) -> str | None:
    kept: str | None = connection.state.fact("standard_price_book")
    if kept is None:
        kept = connection.questions.standard_price_book()
        if kept is not None:
            with connection.state.begin() as c:
                connection.state.keep(c, "standard_price_book", kept)
    return kept


def _adopt_entries(
    connection: Connection,
    writer: Writer,
    rows: Sequence[Row],
    delivery: Delivery,
    book: str | None,
) -> None:
    """Read "duplicate" as "already there": find the entry that somebody else made, and keep it up to date."""
    taken = [
        row
        for row in rows
        if isinstance(ack := delivery.acks.get(row.thing), Refused) and ack.code == "DUPLICATE_VALUE"
    ]
    if not taken or book is None:
        return
    found = connection.state.links("product", [row.till_id for row in taken])
    there = connection.questions.prices(book, [link.crm_id for link in found.values()], _currency(connection))
    again = []
    for row in taken:
        if entry := there.get(found[row.till_id].crm_id):
            row.operation, row.crm_id = "update", entry
            row.payload = {n: v for n, v in row.payload.items() if n not in {"Pricebook2Id", "Product2Id"}}
            again.append(row)
    delivery.counts.update(writer.deliver(again).counts)


# --- stock -------------------------------------------------------------------------------------


def stock_rows(connection: Connection, stock: Iterable[Stock]) -> list[Row]:
    """Return the rows of stock levels; those of products that are not in the CRM wait in the till."""
    # A level may have come twice, with its product and by itself: the later reading counts.
    newest = {(level.product_id, level.store_id): level for level in stock}
    levels = [level for level in newest.values() if level.store_id in connection.around.stores]
    linked = connection.state.links("product", {level.product_id for level in levels})
    return [_stock_row(connection, level) for level in levels if level.product_id in linked]


def _stock_row(connection: Connection, level: Stock) -> Row:
    facts = stock_facts(level, connection.around.store_code(level.store_id))
    row = _row(connection, "stock", f"{level.product_id}-{level.store_id}", facts)
    row.till_stamp = level.changed_at.timestamp() if level.changed_at else None
    return row

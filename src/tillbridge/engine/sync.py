"""Carry across what has changed: one slice reads a few pages of every stream, decides, writes, settles.

Poll, force and replay differ only in which records enter. A slice's rows go out
together, so that news of one sale costs one call; the cursors move when every
record of their pages stands somewhere visible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from tillbridge.engine.catalog import directory_rows, load_products, stock_rows
from tillbridge.engine.connection import Connection
from tillbridge.engine.customers import plan_customers
from tillbridge.engine.patches import patch_lookups
from tillbridge.engine.preflight import refresh_directory
from tillbridge.engine.rows import Row
from tillbridge.engine.sales import plan_sales
from tillbridge.engine.streams import CUSTOMERS, PRODUCTS, SALES, STOCK, VOIDS, take
from tillbridge.engine.writer import Delivery, Writer
from tillbridge.model.errors import PermissionMissing
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer, Product, Sale, Stock
from tillbridge.store.notices import keep_pulse
from tillbridge.store.state import State

Seen = TypeVar("Seen", Customer, Sale)

# A refused record is tried again so long after its last attempt.
RETRY_AFTER = timedelta(hours=3)


class Slice(msgspec.Struct):
    """What one slice has read, before anything is decided."""

    customers: dict[str, Customer] = {}
    products: dict[str, Product] = {}
    sales: dict[str, Sale] = {}
    stock: list[Stock] = []
    rows: list[Row] = []
    moves: dict[str, str] = {}
    seen_at: datetime | None = None
    more: bool = False


def sync(connection: Connection) -> Counter[str]:
    """Carry across everything that has changed since the last time; return counts by what became of rows."""
    counts: Counter[str] = Counter()
    while True:
        found = _read(connection)
        counts.update(carry(connection, found))
        if not found.more:
            connection.raw.purge()
            return counts


def force(
    connection: Connection,
    *,
    customers: Sequence[str] = (),
    sales: Sequence[str] = (),
    products: Sequence[str] = (),
) -> Delivery:
    """Carry exactly these across now, changed or not; return what became of each."""
    found = Slice()
    till = connection.till
    if customers:
        _take_customers(found, [c for p in till.customers(Query(ids=tuple(customers))) for c in p.rows])
    if products:
        pages = till.products(Query(ids=tuple(products)))
        found.products.update((product.id, product) for p in pages for product, _ in p.rows)
    if sales:
        read_sales_by_id(connection, found, sales)
        read_parents(connection, found)
    return deliver(connection, found, force=True)


def _read(connection: Connection) -> Slice:
    """Read the next slice of every stream, and whatever its sales refer to and we have never seen."""
    found = Slice()
    till, state = connection.till, connection.state
    customers = take(state, CUSTOMERS, till.customers)
    products = take(state, PRODUCTS, till.products)
    sales = take(state, SALES, till.sales)
    stock = take(state, STOCK, till.stock)
    _take_customers(found, not_refused(state, "customer", customers.rows))
    found.products.update((product.id, product) for product, _ in products.rows)
    found.sales.update((sale.id, sale) for sale in not_refused(state, "sale", sales.rows))
    found.seen_at = sales.server_time
    found.moves = {
        CUSTOMERS: customers.then,
        PRODUCTS: products.then,
        SALES: sales.then,
        STOCK: stock.then,
    }
    found.more = customers.more or products.more or sales.more or stock.more
    _read_voids(connection, found)
    again = {*state.waiting_sales(), *connection.journal.due_sales(state.now() - RETRY_AFTER.total_seconds())}
    read_sales_by_id(connection, found, again - found.sales.keys())
    retried = connection.journal.due("customer", state.now() - RETRY_AFTER.total_seconds())
    waiting = [known.till_id for known in state.in_state("customer", "waiting")]
    _read_customers_by_id(connection, found, {*retried, *waiting} - found.customers.keys())
    read_parents(connection, found)
    found.stock = [*(level for _, levels in products.rows for level in levels), *stock.rows]
    return found


def not_refused(state: State, kind: str, rows: Sequence[Seen]) -> list[Seen]:
    """Leave out what the CRM refused as it is: it goes again when it changes, or when its time has come."""
    known = state.known(kind, [row.id for row in rows])
    return [
        row
        for row in rows
        if (before := known.get(row.id)) is None
        or before.state != "problem"
        or row.changed_at is None
        or before.till_stamp != row.changed_at.timestamp()
    ]


def _take_customers(found: Slice, customers: Collection[Customer]) -> None:
    found.customers.update((customer.id, customer) for customer in customers)


def _read_voids(connection: Connection, found: Slice) -> None:
    """Read again the sales that were voided: a void need not move the sale's own stamp."""
    position = connection.state.cursor(VOIDS)
    try:
        voids = [void for page in connection.till.voids(position) for void in page.rows]
    except PermissionMissing as error:
        # Voids then show only in the sales' own stamps and in the sweeps: worse, but no reason to stop.
        connection.progress.say(str(error))
        return
    if voids:
        found.moves[VOIDS] = max(voids, key=lambda void: int(void.id)).id
        read_sales_by_id(connection, found, {void.sale_id for void in voids} - found.sales.keys())


def read_sales_by_id(connection: Connection, found: Slice, ids: Collection[str]) -> None:
    """Read these sales into a slice."""
    if not ids:
        return
    for page in connection.till.sales(Query(ids=tuple(sorted(ids)))):
        found.sales.update((sale.id, sale) for sale in page.rows)
        found.seen_at = page.server_time


def _read_customers_by_id(connection: Connection, found: Slice, ids: Collection[str]) -> None:
    if ids:
        pages = connection.till.customers(Query(ids=tuple(sorted(ids))))
        _take_customers(found, [customer for page in pages for customer in page.rows])


def read_parents(connection: Connection, found: Slice) -> None:
    """Import on demand what these sales refer to and we have never seen."""
    state, sales = connection.state, found.sales.values()
    customers = {sale.customer_id for sale in sales if sale.customer_id} - found.customers.keys()
    _read_customers_by_id(connection, found, customers - state.known("customer", customers).keys())
    products = {line.product_id for sale in sales for line in sale.lines if line.product_id}
    unseen = products - found.products.keys() - state.known("product", products).keys()
    if unseen:
        pages = connection.till.products(Query(ids=tuple(sorted(unseen))))
        found.products.update((product.id, product) for page in pages for product, _ in page.rows)
    people = {line.employee_id for sale in sales for line in sale.lines} | {s.employee_id for s in sales}
    employees = {i for i in people if i}
    stores = {sale.store_id for sale in sales}
    registers = {sale.register_id for sale in sales if sale.register_id}
    around = connection.around
    if (
        employees - state.known("employee", employees).keys()
        or stores - state.known("store", stores).keys()
        or registers - around.registers.keys()
    ):
        found.rows += directory_rows(connection, refresh_directory(connection))


def carry(connection: Connection, found: Slice) -> Counter[str]:
    """Decide about a slice, write it, move its cursors; return counts by what became of rows."""
    delivery = deliver(connection, found, force=False)
    with connection.state.begin() as c:
        for stream, position in found.moves.items():
            connection.state.move_cursor(c, stream, position)
        keep_pulse(connection.state, c, found.moves, connection.settings.poll_seconds)
    return delivery.counts


def deliver(connection: Connection, found: Slice, *, force: bool) -> Delivery:
    """Decide about a slice and write it; digests decide what goes out, unless `force`."""
    counts: Counter[str] = Counter()
    if found.products:
        # Prices are found by product and book, so products go first, in a call of their own.
        products = list(found.products.values())
        counts.update(load_products(connection, products, everything=False, force=force))
    people = plan_customers(
        connection, list(found.customers.values()), sales=list(found.sales.values()), force=force
    )
    seen_at = found.seen_at or connection.clock.now()
    sales = plan_sales(connection, list(found.sales.values()), history=False, seen_at=seen_at)
    people.begin()
    with connection.state.begin() as c:
        connection.state.settle(c, sales.settled)
        connection.raw.keep(c, "sale", found.sales.values())
        connection.raw.keep(c, "customer", found.customers.values())
    rows = [*found.rows, *people.rows, *sales.rows, *stock_rows(connection, found.stock)]
    delivery = Writer(connection).deliver(rows, extra=people.after, force=force)
    people.finish()
    patched = patch_lookups(connection)
    delivery.counts.update(counts)
    if patched:
        delivery.counts["lookups filled"] += patched
    return delivery

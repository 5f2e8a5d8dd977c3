"""Carry across what has changed: one slice reads a few pages of every stream, decides, writes, settles.

Poll, force and replay differ only in which records enter. A slice's rows go out
together, so that news of one sale costs one call; the cursors move when every
record of their pages stands somewhere visible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from tillbridge.engine.catalog import directory_rows, load_products, stock_rows
from tillbridge.engine.connection import Bar, Connection
from tillbridge.engine.customers import owed_rows, plan_customers
from tillbridge.engine.patches import patch_lookups
from tillbridge.engine.preflight import refresh_directory
from tillbridge.engine.rows import Row
from tillbridge.engine.sales import plan_sales
from tillbridge.engine.streams import CUSTOMERS, PRODUCTS, SALES, STOCK, VOIDS, take
from tillbridge.engine.writer import Delivery, Writer
from tillbridge.model.errors import PermissionMissing
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer, Product, Sale, Stock
from tillbridge.store.journal import Problem
from tillbridge.store.notices import keep_pulse
from tillbridge.store.state import Settled, State

Seen = TypeVar("Seen", Customer, Sale)

# So many problems are tried again in one slice: some ten pages of the till's.
RETRIED_AT_ONCE = 1_000


class Slice(msgspec.Struct):
    """What one slice has read, before anything is decided."""

    customers: dict[str, Customer] = {}
    products: dict[str, Product] = {}
    sales: dict[str, Sale] = {}
    stock: list[Stock] = []
    rows: list[Row] = []
    owed: set[tuple[str, str]] = set()  # refused rows of customers that nothing but their retry sends
    retried: list[int] = []  # problems
    moves: dict[str, str] = {}
    seen_at: datetime | None = None
    more: bool = False


def sync(connection: Connection) -> Counter[str]:
    """Carry across everything that has changed since the last time; return counts by what became of rows."""
    counts: Counter[str] = Counter()
    catching_up: Bar | None = None
    while True:
        found = _read(connection)
        if found.more and catching_up is None:
            catching_up = connection.progress.bar("Sales and customers to catch up with")
        counts.update(carry(connection, found))
        if catching_up is not None:
            catching_up.advance(len(found.sales) + len(found.customers))
        if not found.more:
            if catching_up is not None:
                catching_up.close()
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
    found.stock = [*(level for _, levels in products.rows for level in levels), *stock.rows]
    due = connection.journal.due(RETRIED_AT_ONCE)
    found.more = found.more or len(due) == RETRIED_AT_ONCE
    read_again(connection, found, due)
    read_sales_by_id(connection, found, set(state.waiting_sales()) - found.sales.keys())
    waiting = {known.till_id for known in state.in_state("customer", "waiting")}
    _read_customers_by_id(connection, found, waiting - found.customers.keys())
    read_parents(connection, found)
    return found


def read_again(connection: Connection, found: Slice, problems: Collection[Problem]) -> None:
    """Read the records behind problems into a slice, as the till shows them now."""
    ids: dict[str, set[str]] = {name: set() for name in ("sales", "customers", "products", "staff")}
    for problem in problems:
        ids[_READ_WITH[problem.kind]].add(problem.sale or problem.till_id.partition("-")[0])
    read_sales_by_id(connection, found, ids["sales"] - found.sales.keys())
    _read_customers_by_id(connection, found, ids["customers"] - found.customers.keys())
    if ids["products"]:
        for page in connection.till.products(Query(ids=tuple(sorted(ids["products"])))):
            found.products.update((product.id, product) for product, _ in page.rows)
            found.stock += [level for _, levels in page.rows for level in levels]
    if ids["staff"]:
        found.rows += directory_rows(connection, refresh_directory(connection))
    found.owed |= {(p.kind, p.till_id) for p in problems if p.kind in {"account", "identity"}}
    found.retried += [problem.id for problem in problems]


# With what the record of a refused row is read.
_READ_WITH = {
    **dict.fromkeys(("sale", "line", "payment"), "sales"),
    **dict.fromkeys(("customer", "account", "identity"), "customers"),
    **dict.fromkeys(("product", "price", "stock"), "products"),
    **dict.fromkeys(("store", "employee"), "staff"),
}


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
    strangers = {
        "employee": employees - state.known("employee", employees).keys(),
        "store": stores - state.known("store", stores).keys(),
    }
    if any(strangers.values()) or registers - connection.around.registers.keys() - connection.unlisted:
        _meet(connection, found, strangers, registers)


def _meet(
    connection: Connection, found: Slice, strangers: Mapping[str, Collection[str]], registers: Collection[str]
) -> None:
    """Read the small tables again. Whom they do not list was deleted in the till: not asked for again."""
    directory = refresh_directory(connection)
    found.rows += directory_rows(connection, directory)
    listed = {
        "employee": {employee.id for employee in directory.employees},
        "store": {store.id for store in directory.stores},
    }
    reason = "the till lists it no longer"
    gone = [
        Settled(kind=kind, till_id=i, state="left_out", reason=reason)
        for kind, ids in strangers.items()
        for i in ids
        if i not in listed[kind]
    ]
    connection.unlisted |= set(registers) - connection.around.registers.keys()
    with connection.state.begin() as c:
        connection.state.settle(c, gone)


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
        # A sale that does not enter any more cannot be refused either.
        connection.journal.resolve(c, [(each.kind, each.till_id) for each in sales.settled])
    rows = [*found.rows, *people.rows, *sales.rows, *stock_rows(connection, found.stock)]
    rows += owed_rows(connection, found.customers, found.owed, rows)
    delivery = Writer(connection).deliver(rows, extra=people.after, force=force)
    people.finish()
    patched = patch_lookups(connection)
    with connection.state.begin() as c:
        connection.journal.put_off(c, found.retried)
    delivery.counts.update(counts)
    if patched:
        delivery.counts["lookups filled"] += patched
    return delivery

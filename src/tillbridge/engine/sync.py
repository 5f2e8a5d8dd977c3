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

from tillbridge.engine import beside, buyers, crowds
from tillbridge.engine.arrivals import Arrived, arrive, arrive_on_wish, claim, settle_arrived
from tillbridge.engine.catalog import directory_rows, load_products, stock_rows
from tillbridge.engine.connection import Bar, Connection
from tillbridge.engine.customers import plan_customers
from tillbridge.engine.freshness import News
from tillbridge.engine.guard import close_applied, let_go_of_old_map
from tillbridge.engine.identities import owed_rows
from tillbridge.engine.patches import patch_lookups
from tillbridge.engine.people import MOVED_FACT, refresh_people
from tillbridge.engine.people import read_again as read_again_people
from tillbridge.engine.preflight import refresh_directory
from tillbridge.engine.rows import Row
from tillbridge.engine.sales import plan_sales
from tillbridge.engine.showcase import show_sales, show_stock
from tillbridge.engine.stale import stale_of
from tillbridge.engine.streams import CUSTOMERS, PRODUCTS, SALES, STOCK, VOIDS, take
from tillbridge.engine.writer import Delivery, Writer
from tillbridge.model.errors import PermissionMissing
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer, Product, Sale, Stock
from tillbridge.store.journal import Problem
from tillbridge.store.notices import keep_pulse
from tillbridge.store.state import Settled, State
from tillbridge.sync.fieldmap import key

Seen = TypeVar("Seen", Customer, Sale, Product, Stock)

# In these modes the CRM's people are asked for their news, too.
LISTENS = frozenset({"two_way", "crm_to_till", "fill_blanks"})

# So many customers are read again in one slice because their record in the CRM has moved.
COMPARED_AT_ONCE = 500

# So many problems are tried again in one slice: some ten pages of the till's.
RETRIED_AT_ONCE = 1_000

# What a slice can look at beside the till's streams: refused, waiting and moved records, read once more.
AGAIN = "again"

# Everything that a slice can look at. A service looks at each with its own interval.
PARTS = frozenset({SALES, CUSTOMERS, PRODUCTS, STOCK, VOIDS, AGAIN})


class Slice(msgspec.Struct):
    """What one slice has read, before anything is decided."""

    customers: dict[str, Customer] = {}
    products: dict[str, Product] = {}
    sales: dict[str, Sale] = {}
    stock: list[Stock] = []
    rows: list[Row] = []
    owed: set[tuple[str, str]] = set()  # refused rows of customers that nothing but their retry sends
    retried: list[int] = []  # problems
    arrived: Arrived = msgspec.field(default_factory=Arrived)
    people_read: bool = False  # who changed in the CRM was just asked
    passed: list[str] = []  # sales that were carried beside a load, which is through with them
    moved: list[str] = []  # customers whose receipts are read again, since their person moved
    moves: dict[str, str] = {}
    seen_at: datetime | None = None
    more: bool = False
    again: bool = False  # what waits, was refused or has moved was looked for, too

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing in it to decide about."""
        read = (self.customers, self.products, self.sales, self.stock, self.rows, self.owed, self.retried)
        arrived = (self.arrived.created, self.arrived.look_again, self.arrived.counts, self.arrived.objected)
        return not (self.again or any(read) or any(arrived) or self.moved)


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


def sync_slice(connection: Connection, parts: Collection[str]) -> tuple[Counter[str], bool]:
    """Carry one slice of these parts across; return counts, and whether there is more of them at once."""
    found = _read(connection, parts)
    counts = carry(connection, found)
    if not found.more and AGAIN in parts:
        connection.raw.purge()
    return counts, found.more


def force(
    connection: Connection,
    *,
    customers: Sequence[str] = (),
    sales: Sequence[str] = (),
    products: Sequence[str] = (),
    people: Sequence[str] = (),
) -> Delivery:
    """Carry exactly these across now, changed or not; return what became of each.

    `people` are ids of the CRM: whoever is linked goes as their customers of the till, everybody else is
    brought into the till as if they were marked. Costs one question and one write.
    """
    found = Slice()
    till = connection.till
    if people:
        read_again_people(connection, people)
        found.people_read = True
        linked = connection.state.linked_to(people)
        customers = list(dict.fromkeys([*customers, *(i for ids in linked.values() for i in ids)]))
        for crm_id in people:
            if crm_id not in linked:
                arrive_on_wish(connection, crm_id, found.arrived)
        customers = list(dict.fromkeys([*customers, *found.arrived.look_again]))
        _take_customers(found, [customer for customer, _ in found.arrived.created.values()])
    if customers:
        _take_customers(found, [c for p in till.customers(Query(ids=tuple(customers))) for c in p.rows])
        found.owed |= {("identity", i) for i in customers if connection.state.missing_of("identity", i)}
    if products:
        pages = till.products(Query(ids=tuple(products)))
        found.products.update((product.id, product) for p in pages for product, _ in p.rows)
    if sales:
        read_sales_by_id(connection, found, sales)
        read_parents(connection, found)
    return deliver(connection, found, force=True)


def _read(connection: Connection, parts: Collection[str] = PARTS) -> Slice:
    """Read the next slice of these parts, and whatever its sales refer to and we have never seen."""
    found = Slice(again=AGAIN in parts)
    if CUSTOMERS in parts and connection.settings.mode in LISTENS:
        refresh_people(connection)
        found.people_read = True
        found.arrived = arrive(connection)
    _read_streams(connection, found, parts)
    unlike: list[str] = []
    if AGAIN in parts:
        let_go_of_old_map(connection, COMPARED_AT_ONCE)
        due = connection.journal.due(RETRIED_AT_ONCE)
        found.more = found.more or len(due) == RETRIED_AT_ONCE
        read_again(connection, found, due)
        found.more = read_waiting(connection, found) or found.more
        # While the till goes on showing what is new, nobody could be changed yet who is compared.
        unlike = [] if _is_midway(connection, found) else crowds.to_compare(connection, COMPARED_AT_ONCE)
        found.more = found.more or len(unlike) == COMPARED_AT_ONCE
    wanted = set(unlike) | found.arrived.look_again | connection.put_right
    connection.put_right = set()
    if AGAIN in parts:
        wanted |= {known.till_id for known in connection.state.in_state("customer", "waiting")}
    _read_customers_by_id(connection, found, wanted - found.customers.keys())
    _forget_unshown(connection, set(unlike) - found.customers.keys())
    if found.customers:
        claim(connection, found.customers.values(), found.arrived)
    _take_customers(found, [customer for customer, _ in found.arrived.created.values()])
    if AGAIN in parts:
        _read_receipts_to_send_again(connection, found)
        found.passed = beside.to_read(connection)
        read_sales_by_id(connection, found, set(found.passed) - found.sales.keys())
    _read_stale(connection, found, parts)
    read_parents(connection, found)
    return found


def _read_stale(connection: Connection, found: Slice, parts: Collection[str]) -> None:
    """Read again who and what was just sold, where the polls of them have not come to it for long."""
    sales = found.sales.values()
    if CUSTOMERS not in parts and sales:
        ids = stale_of(connection, CUSTOMERS, sales)
        _read_customers_by_id(connection, found, set(ids) - found.customers.keys())
    if PRODUCTS not in parts and sales:
        ids = stale_of(connection, PRODUCTS, sales)
        _read_things(connection, found, [("product", i) for i in ids if i not in found.products])


def _is_midway(connection: Connection, found: Slice) -> bool:
    return crowds.is_midway(connection, found.moves.get(CUSTOMERS))


def _read_streams(connection: Connection, found: Slice, parts: Collection[str]) -> None:
    """Read the next pages of those of the till's streams that are asked for."""
    till, state = connection.till, connection.state
    if CUSTOMERS in parts:
        customers = take(state, CUSTOMERS, till.customers)
        _take_customers(found, not_refused(state, "customer", customers.rows))
        _moves(found, CUSTOMERS, customers.then, more=customers.more)
    if PRODUCTS in parts:
        products = take(state, PRODUCTS, till.products)
        shown = not_refused(state, "product", [product for product, _ in products.rows])
        found.products.update((product.id, product) for product in shown)
        found.stock += [level for _, levels in products.rows for level in levels]
        _moves(found, PRODUCTS, products.then, more=products.more)
    if SALES in parts:
        sales = take(state, SALES, till.sales)
        found.sales.update((sale.id, sale) for sale in not_refused(state, "sale", sales.rows))
        found.seen_at = sales.server_time
        _moves(found, SALES, sales.then, more=sales.more)
    if STOCK in parts:
        stock = take(state, STOCK, till.stock)
        found.stock += stock.rows
        _moves(found, STOCK, stock.then, more=stock.more)
    if VOIDS in parts:
        _read_voids(connection, found)
    found.stock = not_refused(state, "stock", found.stock)


def _moves(found: Slice, stream: str, then: str, *, more: bool) -> None:
    found.moves[stream] = then
    found.more = found.more or more


def _forget_unshown(connection: Connection, gone: Collection[str]) -> None:
    """Stop comparing customers whom the till does not show any more: they were deleted there for good."""
    if not gone:
        return
    told = "the till does not show this customer any more; the link stands"
    standings = [
        Settled(kind="customer", till_id=i, state="settled", reason=told, digest=b"gone") for i in gone
    ]
    with connection.state.begin() as c:
        connection.state.settle(c, standings, verified=False)


def _read_receipts_to_send_again(connection: Connection, found: Slice) -> None:
    """Read the receipts of people whose record in the CRM lives on as another one: they point there now."""
    moved = connection.state.fact(MOVED_FACT) or []
    if not moved:
        return
    account = connection.account.id
    start = key(account, "sale", "")
    held = connection.questions.sales_of([key(account, "customer", i) for i in moved])
    read_sales_by_id(connection, found, {k.removeprefix(start) for sales in held.values() for k in sales})
    _read_customers_by_id(connection, found, set(moved) - found.customers.keys())
    found.owed |= {("identity", i) for i in moved}
    found.moved = list(moved)


def read_again(connection: Connection, found: Slice, problems: Collection[Problem]) -> None:
    """Read the records behind problems into a slice, as the till shows them now."""
    _read_things(connection, found, [(p.kind, p.sale or p.till_id) for p in problems])
    found.owed |= {(p.kind, p.till_id) for p in problems if p.kind in {"account", "identity"}}
    found.retried += [problem.id for problem in problems]


def read_waiting(connection: Connection, found: Slice) -> bool:
    """Read what landed with a lookup that can be filled by now; return whether there is more of it."""
    state = connection.state
    read_sales_by_id(connection, found, set(state.waiting_sales()) - found.sales.keys())
    things = state.waiting_things(RETRIED_AT_ONCE)
    _read_things(connection, found, things)
    # A contact's way to its account goes with the account's row.
    owed = {("account" if kind == "customer" else kind, i) for kind, i in things}
    found.owed |= {(kind, i) for kind, i in owed if kind in {"account", "identity"} and i in found.customers}
    shown = {*found.owed, *(("stock", f"{s.product_id}-{s.store_id}") for s in found.stock)}
    with state.begin() as c:
        # What the till does not show any more has nothing left to wait for.
        state.wait(c, [thing for thing in things if thing[0] in _FOLLOWED and thing not in shown], [])
    return len(things) == RETRIED_AT_ONCE


# What waits without being part of a sale, and is not asked for again once the till shows it no more.
_FOLLOWED = frozenset({"stock", "identity"})


def send_waiting(connection: Connection, counts: Counter[str]) -> int:
    """Send again what waited for what has come since; return how many receipts there were among it."""
    sales = 0
    while True:
        found = Slice()
        more = read_waiting(connection, found)
        if found.sales or found.customers or found.stock or found.rows:
            sales += len(found.sales)
            counts.update(deliver(connection, found, force=False).counts)
        if not more:
            return sales


def _read_things(connection: Connection, found: Slice, things: Collection[tuple[str, str]]) -> None:
    """Read what these things, given as (kind, id), are made of; rows of a sale go by the sale's id."""
    ids: dict[str, set[str]] = {name: set() for name in ("sales", "customers", "products", "staff")}
    for kind, till_id in things:
        ids[_READ_WITH[kind]].add(till_id.partition("-")[0])
    read_sales_by_id(connection, found, ids["sales"] - found.sales.keys())
    _read_customers_by_id(connection, found, ids["customers"] - found.customers.keys())
    if ids["products"]:
        for page in connection.till.products(Query(ids=tuple(sorted(ids["products"])))):
            found.products.update((product.id, product) for product, _ in page.rows)
            found.stock += [level for _, levels in page.rows for level in levels]
    if ids["staff"]:
        found.rows += directory_rows(connection, refresh_directory(connection))


# With what the record of a refused row is read.
_READ_WITH = {
    **dict.fromkeys(("sale", "line", "payment"), "sales"),
    **dict.fromkeys(("customer", "account", "identity"), "customers"),
    **dict.fromkeys(("product", "price", "stock"), "products"),
    **dict.fromkeys(("store", "employee"), "staff"),
}


def not_refused(state: State, kind: str, rows: Sequence[Seen]) -> list[Seen]:
    """Leave out what the CRM refused as it is: it goes again when it changes, or when its time has come."""
    named = [(f"{row.product_id}-{row.store_id}" if isinstance(row, Stock) else row.id, row) for row in rows]
    known = state.known(kind, [name for name, _ in named])
    return [
        row
        for name, row in named
        if (before := known.get(name)) is None
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
    # A quiet poll has nothing to decide. What crashed before it was done is taken up again by AGAIN.
    counts = Counter[str]() if found.is_empty else deliver(connection, found, force=False).counts
    with connection.state.begin() as c:
        for stream, position in found.moves.items():
            connection.state.move_cursor(c, stream, position)
        keep_pulse(connection.state, c, found.moves, connection.settings.poll_seconds)
        beside.read(connection, c, found.passed)
        if found.moved:
            still = [i for i in connection.state.kept(c, MOVED_FACT) or [] if i not in found.moved]
            connection.state.keep(c, MOVED_FACT, still)
    return counts


def deliver(connection: Connection, found: Slice, *, force: bool) -> Delivery:
    """Decide about a slice and write it; digests decide what goes out, unless `force`."""
    counts: Counter[str] = Counter()
    seen_at = found.seen_at or connection.clock.now()
    news = News(connection, found.sales, found.customers, seen_at)
    if found.products:
        # Prices are found by product and book, so products go first, in a call of their own.
        products = list(found.products.values())
        counts.update(load_products(connection, products, everything=False, force=force))
    people = plan_customers(
        connection,
        list(found.customers.values()),
        sales=list(found.sales.values()),
        arrived={i: crm_id for i, (_, crm_id) in found.arrived.created.items()},
        again=found.arrived.look_again,
        fresh_index=found.people_read,
        force=force,
        more=_is_midway(connection, found),
    )
    sales = plan_sales(connection, list(found.sales.values()), history=False, seen_at=seen_at)
    moved = buyers.moved_sales(connection, found.sales.values())
    people.begin()
    loading = bool(found.sales) and beside.is_loading(connection)
    with connection.state.begin() as c:
        if loading:
            beside.note(connection, c, found.sales)
        connection.state.settle(c, sales.settled)
        buyers.note(connection, c, moved)
        connection.raw.keep(c, "sale", found.sales.values())
        connection.raw.keep(c, "customer", found.customers.values())
        show_sales(connection, c, found.sales.values())
        show_stock(connection, c, found.stock)
        # A sale that does not enter any more cannot be refused either.
        connection.journal.resolve(c, [(each.kind, each.till_id) for each in sales.settled])
    rows = [*found.rows, *people.rows, *sales.rows, *stock_rows(connection, found.stock)]
    rows += owed_rows(connection, found.customers, found.owed, rows)
    writer = Writer(connection)
    news.decided()
    delivery = writer.deliver(rows, extra=news.with_extra(people.after, writer), force=force)
    delivery.counts.update(people.carry_edits())
    people.finish()
    settle_arrived(connection, found.arrived.created)
    delivery.counts.update(found.arrived.counts)
    if people.held:
        delivery.counts["held back"] += len(people.held)
    with connection.state.begin():
        close_applied(connection)
    patched = patch_lookups(connection)
    if found.retried:
        with connection.state.begin() as c:
            connection.journal.put_off(c, found.retried)
    delivery.counts.update(counts)
    if patched:
        delivery.counts["lookups filled"] += patched
    return delivery

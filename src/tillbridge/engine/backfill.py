"""Load everything once, parents first: stores and employees, products, customers, then the history of sales.

Each step leaves a cursor behind, so a second start goes on where the first was
stopped. Sales are read page by page into the spool and carried by bulk jobs, a
wave at a time; history that is loaded says so, and nobody gets a mail for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tillbridge.engine import crowds
from tillbridge.engine.catalog import directory_rows, load_products, stock_rows
from tillbridge.engine.connection import Connection
from tillbridge.engine.customers import load_customers
from tillbridge.engine.people import CROWD_FROM, expect_crowd, read_people
from tillbridge.engine.preflight import refresh_directory
from tillbridge.engine.room import check_room
from tillbridge.engine.sales import plan_sales
from tillbridge.engine.showcase import show_sales, show_stock
from tillbridge.engine.streams import CUSTOMERS, PRODUCTS, SALES, STOCK, VOIDS
from tillbridge.engine.waves import WAVE_SALES_MAX, Wave
from tillbridge.engine.writer import Writer
from tillbridge.model.errors import PermissionMissing
from tillbridge.model.reading import Page, Query
from tillbridge.model.sale import lands

Row = TypeVar("Row")

_DONE = "done"
_ONE_DAY = timedelta(days=1)

# So many records of a kind are decided and written together: some composite calls' worth.
_BATCH = 1_000


def backfill(connection: Connection) -> Counter[str]:
    """Load the whole history, or go on with it; return counts by what became of rows."""
    counts: Counter[str] = Counter()
    for load in STEPS.values():
        counts.update(load(connection))
    return counts


def mark_start(connection: Connection) -> None:
    """Let the load begin at the till's present moment: what is older is history, what comes is the poll's."""
    if connection.state.fact("backfill_began") is None:
        page = next(connection.till.products(Query()), None)
        _mark_start(connection, page.server_time if page else connection.clock.now())


def _mark_start(connection: Connection, server_time: datetime) -> None:
    """Remember the till's time of the very first page: from there on the poll takes over.

    Whatever changes while history is being loaded is seen by the first poll.
    """
    if connection.state.fact("backfill_began") is not None:
        return
    began = server_time.astimezone(UTC).isoformat()
    newest_void = _newest_void(connection)
    with connection.state.begin() as c:
        connection.state.keep(c, "backfill_began", began)
        for stream in (SALES, CUSTOMERS, PRODUCTS, STOCK):
            connection.state.move_cursor(c, stream, began)
        connection.state.move_cursor(c, VOIDS, newest_void)


def _newest_void(connection: Connection) -> str:
    try:
        return next((void.id for page in connection.till.voids(None) for void in page.rows), "0")
    except PermissionMissing as error:
        connection.progress.say(str(error))
        return "0"


def _load_directory(connection: Connection) -> Counter[str]:
    directory = refresh_directory(connection)
    return Writer(connection).deliver(directory_rows(connection, directory)).counts


def _load_products(connection: Connection) -> Counter[str]:
    counts: Counter[str] = Counter()
    for rows in _batches(connection, "backfill products", "Products", connection.till.products):
        products = [product for product, _ in rows]
        counts.update(load_products(connection, products, everything=True))
        levels = [level for _, stock in rows for level in stock]
        with connection.state.begin() as c:
            show_stock(connection, c, levels)
        counts.update(Writer(connection).deliver(stock_rows(connection, levels)).counts)
    return counts


def _load_customers(connection: Connection) -> Counter[str]:
    counts: Counter[str] = Counter()
    if connection.state.cursor("backfill customers") == _DONE:
        return counts
    read_people(connection)
    for customers in _batches(connection, "backfill customers", "Customers", connection.till.customers):
        with connection.state.begin() as c:
            connection.raw.keep_page(c, "customer", customers)
        counts.update(load_customers(connection, customers, more=True))
    counts.update(_load_put_off(connection))
    if counts["people created"] >= CROWD_FROM:
        expect_crowd(connection)
    return counts


def _load_put_off(connection: Connection) -> Counter[str]:
    """Load those who were linked before and have changed, now that it is known how many they are."""
    counts: Counter[str] = Counter()
    everybody = sorted(crowds.put_off(connection))
    for start in range(0, len(everybody), _BATCH):
        pages = connection.till.customers(Query(ids=tuple(everybody[start : start + _BATCH])))
        counts.update(load_customers(connection, [customer for page in pages for customer in page.rows]))
    return counts


def _load_sales(connection: Connection) -> Counter[str]:
    """Stage sales page by page; whenever a wave is full, carry it across."""
    counts: Counter[str] = Counter()
    stream, spool, state = "backfill sales", connection.spool, connection.state
    wave, staged = spool.current()
    if spool.is_loading(wave):
        counts.update(Wave(connection, wave, history=True).load())
        wave, staged = spool.current()
    bar = connection.progress.bar("Sales from the till")
    resume = state.cursor(stream)
    if resume != _DONE:
        for page in connection.till.sales(_history(connection, resume)):
            landing = [sale for sale in page.rows if lands(sale)]
            # Open ones come by the poll once they are completed; cancelled ones never do.
            others = plan_sales(
                connection,
                [sale for sale in page.rows if not lands(sale)],
                history=True,
                seen_at=page.server_time,
            )
            with state.begin() as c:
                if landing:
                    connection.raw.keep_sealed(c, "sale", landing, *spool.stage(c, wave, landing))
                state.settle(c, others.settled)
                show_sales(connection, c, page.rows)
                state.move_cursor(c, stream, page.next or _DONE)
            staged += len(landing)
            bar.advance(len(page.rows))
            if staged >= WAVE_SALES_MAX:
                counts.update(Wave(connection, wave, history=True).load())
                wave, staged = spool.current()
            connection.let_pass()
            connection.give_way()
    bar.close()
    if staged:
        counts.update(Wave(connection, wave, history=True).load())
    return counts


def _history(connection: Connection, resume: str | None) -> Query:
    settings = connection.settings
    since = None
    if settings.since is not None:
        # A day early: the store's day may begin before the UTC day does.
        since = datetime(settings.since.year, settings.since.month, settings.since.day, tzinfo=UTC) - _ONE_DAY
    return Query(since=since, resume=resume, newest_first=settings.newest_first)


def _batches(
    connection: Connection, stream: str, title: str, read: Callable[[Query], Iterator[Page[Row]]]
) -> Iterator[list[Row]]:
    """Read a whole kind in batches, moving its cursor behind each batch that the caller has dealt with."""
    resume = connection.state.cursor(stream)
    if resume == _DONE:
        return
    bar = connection.progress.bar(f"{title} from the till")
    batch: list[Row] = []
    for page in read(Query(resume=resume)):
        _mark_start(connection, page.server_time)
        batch += page.rows
        bar.advance(len(page.rows))
        if len(batch) >= _BATCH or page.next is None:
            yield batch
            with connection.state.begin() as c:
                connection.state.move_cursor(c, stream, page.next or _DONE)
            connection.let_pass()
            connection.give_way()
            batch = []
    bar.close()


# Parents first. Each step can be run again: it goes on behind what is there.
STEPS: Mapping[str, Callable[[Connection], Counter[str]]] = {
    "room": check_room,
    "directory": _load_directory,
    "products": _load_products,
    "customers": _load_customers,
    "sales": _load_sales,
}

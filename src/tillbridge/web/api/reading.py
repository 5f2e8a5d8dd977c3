"""The API's questions: each one a view, limited to what whoever asks may see."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, TypeVar

import msgspec
from fastapi import Query, Request

from tillbridge.views import budget as budgets
from tillbridge.views import certificates as proofs
from tillbridge.views import customers as people
from tillbridge.views import decisions, runs
from tillbridge.views import overview as overviews
from tillbridge.views import person as persons
from tillbridge.views import problems as troubles
from tillbridge.views import products as goods
from tillbridge.views import receipt as receipts
from tillbridge.views import sales as sold
from tillbridge.views import stores as shops
from tillbridge.views.books import Books, NoSuchConnection
from tillbridge.views.figures import PAGE, Stores, moment_of
from tillbridge.views.roll import Filter
from tillbridge.web.api.answers import answers
from tillbridge.web.api.given import Amount, Cause, Day, Id, Limit, Number, Offset, OneDay, OneId, Words
from tillbridge.web.console import console_of, stores_of, visitor_of
from tillbridge.web.errors import NotHere, Unfit

T = TypeVar("T")

_A_MONTH = timedelta(days=30)


class ConnectionLine(msgspec.Struct, frozen=True):
    """One connection."""

    name: str


class StoreLine(msgspec.Struct, frozen=True):
    """One store that may be seen."""

    id: str
    code: str
    name: str


@answers(list[ConnectionLine])
def connections(request: Request) -> list[ConnectionLine]:
    """List the connections that you may see."""
    return [ConnectionLine(name) for name in console_of(request).visible(visitor_of(request))]


@answers(overviews.Overview)
def overview(request: Request, connection: Id) -> overviews.Overview:
    """Say how fresh everything is, what today has brought in both systems, what waits and what runs."""
    books, stores = opened(request, connection)
    return overviews.overview(books, stores=stores, dead_after_seconds=console_of(request).dead_after_seconds)


@answers(list[StoreLine])
def stores(request: Request, connection: Id) -> list[StoreLine]:
    """List the stores."""
    books, seen = opened(request, connection)
    names = books.names()
    return [StoreLine(i, names.code(i), n) for i, n in names.stores.items() if seen is None or i in seen]


@answers(people.Customers)
def customers(
    request: Request,
    connection: Id,
    q: Words = "",
    show: Filter | None = None,
    offset: Offset = 0,
    limit: Limit = PAGE,
) -> people.Customers:
    """Find customers by name, e-mail, phone or an id of either side; without words, who moved last."""
    books, stores = opened(request, connection)
    return people.customers(books, q, show, stores=stores, offset=offset, limit=limit)


@answers(persons.PersonPage)
def person(request: Request, connection: Id, who: Id) -> persons.PersonPage:
    """Show one person: both sides, why they are linked, what they bought."""
    books, stores = opened(request, connection)
    return _there(persons.person(books, who, stores=stores))


@answers(sold.Sales)
def sales(
    request: Request,
    connection: Id,
    q: Words = "",
    first: Day = None,
    last: Day = None,
    store: OneId = None,
    customer: OneId = None,
    least: Amount = None,
    most: Amount = None,
    type: sold.Type | None = None,  # noqa: A002  The parameter's name in the address.
    status: sold.Status | None = None,
    offset: Offset = 0,
    limit: Limit = PAGE,
) -> sold.Sales:
    """Find sales by number, day, amount or customer, newest first."""
    books, stores = opened(request, connection)
    wanted = sold.Wanted(
        query=q,
        first=first,
        last=last,
        store=store,
        customer=customer,
        least=least,
        most=most,
        type=type,
        status=status,
    )
    return sold.sales(books, wanted, stores=stores, offset=offset, limit=limit)


@answers(receipts.ReceiptPage)
def receipt(request: Request, connection: Id, sale: Id) -> receipts.ReceiptPage:
    """Show one receipt: in the till, as it is sent, its stages, what came back of it."""
    books, stores = opened(request, connection)
    return _there(receipts.receipt(books, sale, stores=stores))


@answers(troubles.Problems)
def causes(request: Request, connection: Id, state: troubles.ProblemState = "open") -> troubles.Problems:
    """List what is refused, by cause, with the one fix."""
    books, stores = opened(request, connection)
    return troubles.problems(books, state, stores=stores)


@answers(troubles.ProblemList)
def problems(
    request: Request,
    connection: Id,
    cause: Cause = None,
    state: troubles.ProblemState = "open",
    offset: Offset = 0,
    limit: Limit = PAGE,
) -> troubles.ProblemList:
    """List what is refused, one by one, newest first."""
    books, stores = opened(request, connection)
    return troubles.problem_list(books, cause, state, stores=stores, offset=offset, limit=limit)


@answers(troubles.ProblemPage)
def problem(request: Request, connection: Id, number: Number) -> troubles.ProblemPage:
    """Show one problem with what was sent."""
    books, stores = opened(request, connection)
    return _there(troubles.problem(books, number, stores=stores))


@answers(decisions.Reviews)
def reviews(request: Request, connection: Id, offset: Offset = 0, limit: Limit = PAGE) -> decisions.Reviews:
    """List who waits for a decision, beside whom they may be."""
    books, stores = opened(request, connection)
    return decisions.reviews(books, stores=stores, offset=offset, limit=limit)


@answers(decisions.Conflicts)
def conflicts(
    request: Request, connection: Id, offset: Offset = 0, limit: Limit = PAGE
) -> decisions.Conflicts:
    """List the fields that both sides have moved, and the values that lost lately."""
    books, stores = opened(request, connection)
    return decisions.conflicts(books, stores=stores, offset=offset, limit=limit)


@answers(runs.Runs)
def run_list(
    request: Request,
    connection: Id,
    job: Annotated[str | None, Query(pattern=r"^[a-z-]{1,40}$")] = None,
    offset: Offset = 0,
    limit: Limit = PAGE,
) -> runs.Runs:
    """List the runs, newest first."""
    books, _ = opened(request, connection)
    return runs.runs(books, job, offset=offset, limit=limit)


@answers(runs.RunPage)
def run(request: Request, connection: Id, number: Number) -> runs.RunPage:
    """Show one run and what it changed of customers."""
    books, stores = opened(request, connection)
    return _there(runs.run(books, number, stores=stores))


@answers(runs.Work)
def work(request: Request, connection: Id) -> runs.Work:
    """Say what runs now and what comes next."""
    books, _ = opened(request, connection)
    return runs.work(books, console_of(request).dead_after_seconds)


@answers(list[runs.PlanLine])
def plans(
    request: Request,
    connection: Id,
    state: Annotated[str, Query(pattern=r"^(open|approved|applied|outdated)$")] = "open",
) -> list[runs.PlanLine]:
    """List the plans that wait for a person, or those of another state."""
    books, _ = opened(request, connection)
    return runs.plans(books, state)


@answers(runs.PlanPage)
def plan(request: Request, connection: Id, number: Number) -> runs.PlanPage:
    """Show what a plan would write, before and after."""
    books, _ = opened(request, connection)
    return _there(runs.plan(books, number))


@answers(goods.Products)
def products(
    request: Request,
    connection: Id,
    q: Words = "",
    archived: bool = False,
    in_review: bool = False,
    offset: Offset = 0,
    limit: Limit = PAGE,
) -> goods.Products:
    """Find products by title or number; `in_review`: those that wait for a person."""
    books, stores = opened(request, connection)
    return goods.products(
        books, q, stores=stores, archived=archived, in_review=in_review, offset=offset, limit=limit
    )


@answers(goods.ProductPage)
def product(request: Request, connection: Id, which: Id) -> goods.ProductPage:
    """Show one product with its stock."""
    books, stores = opened(request, connection)
    return _there(goods.product(books, which, stores=stores))


@answers(shops.StoresPage)
def figures(
    request: Request, connection: Id, first: Day = None, last: Day = None, store: OneId = None
) -> shops.StoresPage:
    """Show takings, baskets, refunds, sellers and top products of a period, the last 30 days unless said."""
    books, stores = opened(request, connection)
    if store is not None and store not in (books.names().stores if stores is None else stores):
        raise NotHere
    to = last or moment_of(books.now()).date()
    since = first or to - _A_MONTH
    if since > to:
        raise Unfit("The first day is behind the last one.")
    return shops.stores_page(books, since, to, store=store, stores=stores)


@answers(budgets.BudgetPage)
def budget(request: Request, connection: Id, what_if: Words = "") -> budgets.BudgetPage:
    """Show what is left of the remotes' limits and what running costs; what_if: interval=2m,stores=10."""
    books, _ = opened(request, connection)
    try:
        return budgets.budget(books, what_if)
    except ValueError as error:
        raise Unfit(f"{error}.") from None


@answers(proofs.Calendar)
def certificates(request: Request, connection: Id, first: Day = None, last: Day = None) -> proofs.Calendar:
    """Show which days of which stores are proven, the last 30 unless said."""
    books, stores = opened(request, connection)
    to = last or moment_of(books.now()).date()
    since = first or to - _A_MONTH
    if since > to:
        raise Unfit("The first day is behind the last one.")
    return proofs.certificates(books, since, to, stores=stores)


@answers(proofs.StoreDay)
def store_day(request: Request, connection: Id, store: Id, day: OneDay) -> proofs.StoreDay:
    """Show one day of one store as the newest certificate says: what differs, and why."""
    books, stores = opened(request, connection)
    return _there(proofs.store_day(books, store, day, stores=stores))


@answers(proofs.CertificatePage)
def certificate(request: Request, connection: Id, number: Number) -> proofs.CertificatePage:
    """Show one certificate with what differs."""
    books, stores = opened(request, connection)
    return _there(proofs.certificate(books, number, stores=stores))


def opened(request: Request, connection: str) -> tuple[Books, Stores]:
    """Return a connection's books, and the stores that whoever asks may see of it. Raises NotHere."""
    try:
        books = console_of(request).library.books(connection)
    except NoSuchConnection:
        raise NotHere from None
    return books, stores_of(request, books)


def _there(found: T | None) -> T:
    if found is None:
        raise NotHere
    return found

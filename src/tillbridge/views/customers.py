"""The list of customers: found as somebody types, both sides beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec
import sqlalchemy as sa

from tillbridge.model.answers import CrmPersonRow
from tillbridge.store import schema
from tillbridge.store.arrivals import Arrival
from tillbridge.store.erasing import known_as
from tillbridge.store.lists import among
from tillbridge.sync.match import Person
from tillbridge.sync.reconcile import MAY_PULL
from tillbridge.views.books import Books, Memory
from tillbridge.views.figures import PAGE, PAGE_MAX, Slice, Stores, moment, money
from tillbridge.views.roll import Filter

_record, _receipt = schema.record, schema.receipt


class SideOf(msgspec.Struct, frozen=True, kw_only=True):
    """What one side shows of somebody, as far as a list goes."""

    id: str
    name: str | None
    company: str | None
    email: str | None
    phone: str | None
    object: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody of the CRM can be sent to the till; `why`: why not, or what stands before it."""

    possible: bool
    why: str


class CustomerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list. `id` names the row: the till's number, or the CRM's id of who is only there."""

    id: str
    till: SideOf | None
    crm: SideOf | None
    state: str
    reason: str | None
    moved_at: datetime | None
    entry: Entry | None
    receipts: int  # of the stores that may be seen
    bought_for: Decimal  # with tax; what went back is taken off


class Customers(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the list. `complete` is false while everybody is still being read after a start."""

    rows: list[CustomerLine]
    slice: Slice
    counts: dict[Filter, int]
    complete: bool
    currency: str


def customers(
    books: Books,
    query: str = "",
    wanted: Filter | None = None,
    *,
    stores: Stores = None,
    offset: int = 0,
    limit: int = PAGE,
) -> Customers:
    """Return a page of customers: those whom a query finds, or who moved last."""
    limit = min(limit, PAGE_MAX)
    found = books.roll.search(query, wanted, stores=stores, offset=offset, limit=limit)
    total = found.total
    more = total is None or total > offset + len(found.rows)
    return Customers(
        rows=_lines(books, found.rows, stores),
        slice=Slice(offset=offset, limit=limit, total=total, more=more),
        counts=books.roll.counts(stores),
        complete=found.complete,
        currency=books.names().currency,
    )


def _lines(books: Books, rows: Sequence[tuple[str | None, str | None]], stores: Stores) -> list[CustomerLine]:
    till_ids = [till_id for till_id, _ in rows if till_id is not None]
    till = books.arrivals.people(till_ids)
    crm = books.people.get({crm_id for _, crm_id in rows if crm_id is not None})
    arrivals = books.arrivals.get([crm_id for till_id, crm_id in rows if till_id is None and crm_id])
    columns = [_record.c[name] for name in ("till_id", "crm_id", "state", "reason", "moved_at", "object")]
    with books.look() as c:
        asked = sa.select(*columns).where(_record.c.kind == "customer", among(_record.c.till_id, till_ids))
        standing = {row.till_id: row for row in c.execute(asked)}
    known = {i: standing[i].crm_id if i in standing else None for i in till_ids}
    bought = _bought(books, known, stores)
    lines = []
    for till_id, crm_id in rows:
        own = standing.get(till_id or "")
        arrival = arrivals.get(crm_id or "")
        lines.append(
            CustomerLine(
                id=till_id or crm_id or "",
                till=till_side(till_id, till.get(till_id)) if till_id else None,
                crm=crm_side(crm_id, crm.get(crm_id), own.object if own else None) if crm_id else None,
                state=own.state if own else arrival.state if arrival else "unsynced",
                reason=own.reason if own else arrival.reason if arrival else None,
                moved_at=moment(own.moved_at if own else arrival.moved_at if arrival else None),
                entry=entry_of(books, crm.get(crm_id), arrival) if crm_id and till_id is None else None,
                receipts=bought.get(till_id or "", (0, 0))[0],
                bought_for=money(bought.get(till_id or "", (0, 0))[1]),
            )
        )
    return lines


def records_of_each(books: Memory, known: Mapping[str, str | None]) -> dict[str, set[str]]:
    """Return all till records of customers, given with their CRM ids: linked ones, and ids of merges."""
    linked = books.state.linked_to({crm_id for crm_id in known.values() if crm_id})
    found = {i: {i, *linked.get(crm_id or "", ())} for i, crm_id in known.items()}
    every = known_as(books.state, "customer", set().union(*found.values()))
    return {i: set().union(*(every[each] for each in own)) for i, own in found.items()}


def _bought(books: Memory, known: Mapping[str, str | None], stores: Stores) -> dict[str, tuple[int, int]]:
    """Count the receipts of customers and add them up, over all their records, as their own pages do."""
    records = records_of_each(books, known)
    columns = (_receipt.c.customer, _receipt.c.store)
    sums = sa.select(*columns, sa.func.count(), sa.func.sum(_receipt.c.total)).group_by(*columns)
    # Stores are picked here: asked for them, SQLite goes through all that they have sold.
    where = (among(_receipt.c.customer, set().union(*records.values())), _receipt.c.status == "completed")
    own: dict[str, tuple[int, int]] = {}
    with books.look() as c:
        for customer, store, count, total in c.execute(sums.where(*where)):
            if stores is None or store in stores:
                before = own.get(customer, (0, 0))
                own[customer] = (before[0] + count, before[1] + int(total or 0))
    found = {i: [own[each] for each in ids if each in own] for i, ids in records.items()}
    return {i: (sum(n for n, _ in each), sum(t for _, t in each)) for i, each in found.items()}


_OBJECTS = {"person_account": "Account", "contact": "Contact", "lead": "Lead"}


def entry_of(books: Memory, row: CrmPersonRow | None, arrival: Arrival | None) -> Entry:
    """Say whether somebody whom only the CRM knows can be sent to the till, or why not."""
    mode, ours = books.config.customers.mode, _OBJECTS[books.config.customers.model]
    if mode not in MAY_PULL:
        told = mode.replace("_", " ")
        return Entry(possible=False, why=f"Customers do not flow into Lightspeed here (mode {told}).")
    if row is None or row.deleted or row.converted:
        return Entry(possible=False, why="Salesforce does not show this record any more.")
    if row.object != ours:
        return Entry(possible=False, why=f"Customers here are kept as {ours}, and this is a {row.object}.")
    match arrival.state if arrival else "":
        case "review":
            return Entry(possible=False, why="A person has to say who this is in Lightspeed: see Reviews.")
        case "held":
            return Entry(possible=False, why="It waits for a plan to be approved.")
        case "announced":
            return Entry(possible=False, why="Lightspeed has not answered yet; it is looked up.")
    return Entry(possible=True, why="Only Salesforce knows this person.")


def till_side(till_id: str, person: Person | None) -> SideOf:
    """Bring somebody of the till into a line; whoever is archived there has an id alone."""
    if person is None:
        return SideOf(id=till_id, name=None, company=None, email=None, phone=None)
    return SideOf(
        id=till_id,
        name=name_of(person),
        company=person.company,
        email=next(iter(person.emails), None),
        phone=next(iter(person.phones), None),
    )


def crm_side(crm_id: str, row: CrmPersonRow | None, object_name: str | None = None) -> SideOf:
    """Bring somebody of the CRM into a line."""
    if row is None:
        return SideOf(id=crm_id, name=None, company=None, email=None, phone=None, object=object_name)
    return SideOf(
        id=crm_id,
        name=name_of(row),
        company=row.company,
        email=next(iter(row.emails), None),
        phone=next(iter(row.phones), None),
        object=row.object,
    )


def name_of(person: Person | CrmPersonRow) -> str | None:
    """Return how somebody is called: by their names, or by their company."""
    return " ".join(filter(None, (person.first, person.last))) or person.company

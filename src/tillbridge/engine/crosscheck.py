"""Look for changes that the feed need not tell, each check with its own cadence, cost and cursor.

A sale's stamp may stay where it is when a line or payment comes late, when the
sale is completed into the past, when customers are merged (fact sheet
Lightspeed A9, A12). No check writes by itself: it decides which records are
read again, and `repair` carries them through the one pipeline. Run a poll
before it, so that what the poll tells is not taken for missed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from tillbridge.engine import buyers
from tillbridge.engine.catalog import directory_rows
from tillbridge.engine.connection import Connection
from tillbridge.engine.heirs import hand_over
from tillbridge.engine.mapping import mapped
from tillbridge.engine.people import PEOPLE_CURSOR, refresh_people
from tillbridge.engine.preflight import refresh_directory
from tillbridge.engine.repair import Outcome, nothing, repair
from tillbridge.engine.rows import Row
from tillbridge.engine.streams import SALES, SLICE_PAGES_MAX, parse, take
from tillbridge.engine.sync import Slice, carry, read_sales_by_id, send_waiting
from tillbridge.model.batches import batched
from tillbridge.model.catalog import EmployeeFacts
from tillbridge.model.customer import IdentityFacts
from tillbridge.model.reading import Query, SaleChild
from tillbridge.model.records import Kind, Sale
from tillbridge.model.sale import Ref
from tillbridge.store.people import Verdict
from tillbridge.store.state import Known, Link, Settled
from tillbridge.store.verified import Missed, Verified
from tillbridge.sync.fieldmap import key

FOUND_BY = "cross-check"

# In the official samples a completed sale's children are a second newer than the sale (fact sheet A12).
CHILD_LATER = timedelta(seconds=2)

# So many sales of an archived customer are looked at before all of them are (fact sheet A12: "a few").
_SAMPLE = 3

_DELETED = "deleted in the till"


class Check(NamedTuple):
    """One check, and how often it is worth its calls."""

    name: str
    every: timedelta
    run: Callable[[Connection], Outcome]


def crosscheck(connection: Connection, *, nightly: bool = False) -> dict[str, Outcome]:
    """Run every check, the nightly one if asked; return what each found."""
    # What the night re-reads contains what the day does.
    left_out = "recent sales" if nightly else "older sales"
    return {check.name: run_check(connection, check) for check in CHECKS if check.name != left_out}


def run_check(connection: Connection, check: Check) -> Outcome:
    """Run one check and note when."""
    outcome = check.run(connection)
    outcome.counts["missed by the feed"] += len(outcome.missed)
    with connection.state.begin() as c:
        connection.state.keep(c, f"check {check.name}", connection.state.now())
    return outcome


def due(connection: Connection) -> list[Check]:
    """Return the checks whose time has come."""
    now = connection.state.now()
    return [
        check
        for check in CHECKS
        if (last := connection.state.fact(f"check {check.name}")) is None
        or now - last >= check.every.total_seconds()
    ]


# --- lines and payments that came late -------------------------------------------------------------


def late_lines(connection: Connection) -> Outcome:
    """Re-read the sales that have a line newer than themselves.

    Costs one GET for each 100 lines that changed since the last time, at least
    one, and one for each 100 sales that are read again: none on an account
    whose sales move with their lines.
    """
    state, stream = connection.state, "check lines"
    if state.cursor(stream) is None and not _begin(connection, stream):
        return nothing()
    outcome, more = nothing(), True
    while more:
        taken = take(state, stream, connection.till.lines)
        outcome.add(_reread(connection, _with_newer_lines(connection, taken.rows)))
        _move(connection, stream, taken.then)
        more = taken.more
    return outcome


def _begin(connection: Connection, stream: str) -> bool:
    """Let a check begin some days before where the poll of sales stands; False before there was a poll."""
    since = parse(connection.state.cursor(SALES)).since
    if since is None:
        return False
    began = connection.state.fact("backfill_began")
    start = since - timedelta(days=connection.settings.reread_days)
    _move(
        connection,
        stream,
        max(start, datetime.fromisoformat(began)).isoformat() if began else start.isoformat(),
    )
    return True


def _with_newer_lines(connection: Connection, lines: Sequence[SaleChild]) -> set[str]:
    newest: dict[str, datetime] = {}
    for line in lines:
        if line.sale_id is not None and line.changed_at is not None:
            newest[line.sale_id] = max(line.changed_at, newest.get(line.sale_id, line.changed_at))
    known = connection.state.known("sale", newest)
    return {i for i, at in newest.items() if _is_older(known.get(i), at)}


def _is_older(known: Known | None, child_at: datetime) -> bool:
    if known is None or known.till_stamp is None:
        return True
    return known.till_stamp + CHILD_LATER.total_seconds() < child_at.timestamp()


def late_payments(connection: Connection) -> Outcome:
    """Re-read the sales that have a payment we have never carried.

    Costs one GET for each 100 payments since the last time, at least one, and
    one for each 100 sales that are read again. Payments come by growing ids;
    one that is taken back later keeps its id and is found when its sale is re-read.
    """
    state, stream = connection.state, "check payments"
    position = state.cursor(stream)
    rows: list[SaleChild] = []
    for page in connection.till.payments(position):
        rows += page.rows
        if position is None:
            break  # The first time, the newest hundred will do: older ones are the sweep's.
    known = state.known("payment", [row.id for row in rows])
    outcome = _reread(connection, {row.sale_id for row in rows if row.sale_id and row.id not in known})
    if rows:
        _move(connection, stream, max(rows, key=lambda row: int(row.id)).id)
    return outcome


def _reread(connection: Connection, sales: Collection[str]) -> Outcome:
    again = Slice()
    read_sales_by_id(connection, again, sales)
    return repair(connection, again, FOUND_BY, ask_crm=False) if again.sales else nothing()


# --- sales read again ------------------------------------------------------------------------------


def open_sales(connection: Connection) -> Outcome:
    """Re-read the sales that were open when last seen: one may have been completed into the past.

    Costs one GET for each 100 open sales, of at most 1,000.
    """
    return _reread(connection, [known.till_id for known in connection.state.in_state("sale", "open")])


def recent_sales(connection: Connection) -> Outcome:
    """Re-read the sales completed in the last days (`checks.reread_days`): one GET for each 100."""
    return _completed_since(connection, connection.settings.reread_days, "check recent sales")


def older_sales(connection: Connection) -> Outcome:
    """Re-read the sales completed in the last weeks (`checks.nightly_days`): one GET for each 100.

    Finds what leaves no trace at all: a line that was deleted, a customer
    swapped, a sale that a feed has dropped.
    """
    return _completed_since(connection, connection.settings.nightly_days, "check older sales")


def _completed_since(connection: Connection, days: int, stream: str) -> Outcome:
    """Read a span again; a run that is stopped goes on where it was."""
    since = connection.clock.now() - timedelta(days=days)
    query = Query(since=since, by="completed", resume=connection.state.cursor(stream))
    outcome = nothing()
    for pages in batched(connection.till.sales(query), SLICE_PAGES_MAX):
        again = Slice(
            sales={sale.id: sale for page in pages for sale in page.rows}, seen_at=pages[-1].server_time
        )
        outcome.add(repair(connection, again, FOUND_BY, ask_crm=False))
        _move(connection, stream, pages[-1].next)
        if pages[-1].next is not None:
            connection.give_way()
    return outcome


def _move(connection: Connection, stream: str, position: str | None) -> None:
    with connection.state.begin() as c:
        connection.state.move_cursor(c, stream, position)


# --- merged customers ------------------------------------------------------------------------------


def archived_customers(connection: Connection) -> Outcome:
    """Follow customers who were archived: their receipts may belong to somebody else now.

    Costs one GET for each 100 customers that changed since the last time, at
    least one; for archived ones among them one CRM query a 400, a GET for a few
    of their sales, and, where those have moved, one for each 100 sales of whoever has them.
    """
    state, stream = connection.state, "check customers"
    if state.cursor(stream) is None and not _begin(connection, stream):
        return nothing()
    outcome, more = nothing(), True
    while more:
        taken = take(state, stream, connection.till.customers)
        outcome.add(follow(connection, [c.id for c in taken.rows if c.archived]))
        _move(connection, stream, taken.then)
        more = taken.more
    return outcome


def follow(connection: Connection, customers: Collection[str]) -> Outcome:
    """See whether the sales of these customers, archived or gone, were given to others; if so, move them.

    There is no event and no "merged into" (fact sheet A12): where an old sale
    now names another customer is the only evidence of a merge. Some accounts
    keep the old id on old sales; then everything stays as it is.
    """
    known = connection.state.known("customer", customers)
    linked = [i for i in customers if i in known and known[i].crm_id is not None]
    if not linked or "Customer_Key__c" not in connection.maps["sale"].targets:
        return nothing()
    outcome = nothing()
    held: dict[str, list[str]] = defaultdict(list, buyers.sales_moved_from(connection, linked))
    for old, sales in _sales_held_of(connection, linked).items():
        held[old] = [*dict.fromkeys([*held[old], *sales])]
    for old, new in _heirs(connection, held).items():
        outcome.add(_move_history(connection, old, new))
    return outcome


def _sales_held_of(connection: Connection, customers: Collection[str]) -> dict[str, list[str]]:
    """Return the sales that the CRM holds of these customers, newest first, by the till's ids."""
    account = connection.account.id
    keys = {key(account, Kind.CUSTOMER, i): i for i in customers}
    start = key(account, Kind.SALE, "")
    held = connection.questions.sales_of(keys)
    return {keys[k]: [sale.removeprefix(start) for sale in sales] for k, sales in held.items()}


def _heirs(connection: Connection, held: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Look at a few sales of each customer, and return who has them now."""
    sample = {sale: old for old, sales in held.items() for sale in sales[:_SAMPLE]}
    if not sample:
        return {}
    now: dict[str, Counter[str]] = defaultdict(Counter)
    for page in connection.till.sales(Query(ids=tuple(sorted(sample)))):
        for sale in page.rows:
            if sale.customer_id is not None:
                now[sample[sale.id]][sale.customer_id] += 1
    # One sale may have been given to somebody by hand; a merge moves them all.
    return {old: next(iter(owners)) for old, owners in now.items() if len(owners) == 1 and old not in owners}


def _move_history(connection: Connection, old: str, new: str) -> Outcome:
    """Re-read all sales of whoever has them now, and let the old id resolve to the new one."""
    outcome = nothing()
    for pages in batched(connection.till.sales(Query(customer=new)), SLICE_PAGES_MAX):
        sales: dict[str, Sale] = {sale.id: sale for page in pages for sale in page.rows}
        again = Slice(sales=sales, seen_at=pages[-1].server_time)
        outcome.add(repair(connection, again, FOUND_BY, ask_crm=False))
    heir = connection.state.links("customer", [new]).get(new)
    before = connection.state.links("customer", [old]).get(old)
    left = before if heir is not None and before is not None and before.crm_id != heir.crm_id else None
    known = connection.state.known("customer", [old, new])
    shadows = connection.people.shadows([old])
    with connection.state.begin() as c:
        Verified(connection.state).rename(c, "customer", old, new)
        connection.arrivals.forget(c, [old])
        buyers.forget(connection, c, [old])
        if heir is not None:
            connection.state.settle(c, [_merged(old, new, heir, left)])
            connection.people.decide(c, [_verdict(connection, old, new, heir, left)])
            if left is None and old in known and known[old].role != "second" and known[new].role == "second":
                # The one that is kept speaks for the person from now on, and takes what the CRM has moved.
                connection.state.settle(c, [_promoted(known[new], known[old])])
                connection.state.doubt(c, "customer", [new])
                hand_over(connection, c, shadows.get(old, {}), new)
    if left is not None:
        outcome.counts["duplicates left in Salesforce"] += 1
    if heir is not None:
        outcome.counts.update(carry(connection, Slice(rows=[_merged_identity(connection, old, new)])))
    outcome.counts["merges followed"] += 1
    return outcome


def _verdict(connection: Connection, old: str, new: str, heir: Link, left: Link | None) -> Verdict:
    detail: dict[str, Any] = {
        "crm_id": heir.crm_id,
        "object": heir.object,
        "evidence": f"its receipts belong to customer {new} now",
        "rejected": [],
    }
    if left is not None:
        detail["left_behind"] = {"crm_id": left.crm_id, "object": left.object}
    return Verdict(old, "linked", "merged", detail, connection.state.now())


def _merged(old: str, new: str, heir: Link, left: Link | None) -> Settled:
    reason = f"second till record, merged in the till into customer {new}"
    if left is not None:
        # Nothing is merged or deleted in the CRM by itself.
        reason += (
            f"; {left.object} {left.crm_id} was theirs and is a duplicate of {heir.crm_id} now: merge the "
            "two in Salesforce"
        )
    return Settled(
        kind="customer",
        till_id=old,
        state="settled",
        reason=reason,
        role="second",  # it must not write what belongs to the one that was kept
        crm_id=heir.crm_id,
        object=heir.object,
        crm_parent=heir.crm_parent,
    )


def _promoted(kept: Known, gone: Known) -> Settled:
    return Settled(
        kind="customer",
        till_id=kept.till_id,
        state=kept.state,
        reason=f"linked; customer {gone.till_id} was merged into it in the till",
        role=gone.role or "adopted",
    )


def _merged_identity(connection: Connection, old: str, new: str) -> Row:
    facts = IdentityFacts(
        id=old,
        customer=Ref(Kind.CUSTOMER, new),
        rule="merged",
        evidence=f"its receipts belong to customer {new} now",
        status="Merged",
        merged_into=new,
        primary=False,
    )
    table = connection.maps["identity"]
    payload, reason = mapped(connection, "identity", facts)
    return Row(
        kind="identity",
        till_id=old,
        object=table.object,
        payload=payload,
        key_field=table.key_field,
        reason=reason,
    )


# --- employees -------------------------------------------------------------------------------------


def employees(connection: Connection) -> Outcome:
    """Compare stores and employees with a full listing: an employee who is deleted leaves no trace.

    Costs five GETs: account, shops, registers, categories, employees (one more for each 100 of them).
    """
    directory = refresh_directory(connection)
    shown = {employee.id for employee in directory.employees}
    links = connection.state.all_links("employee")
    known = connection.state.known("employee", links.keys() - shown)
    gone = [each for each in known.values() if each.reason != _DELETED]
    rows = [*directory_rows(connection, directory), *(_inactive(connection, each) for each in gone)]
    outcome = Outcome(carry(connection, Slice(rows=rows)), [])
    outcome.missed += [
        Missed(kind="employee", till_id=each.till_id, found_by=FOUND_BY, what=_DELETED) for each in gone
    ]
    read = {"store": set(connection.around.stores), "employee": shown | {each.till_id for each in gone}}
    with connection.state.begin() as c:
        Verified(connection.state).log(c, outcome.missed)
        for kind, ids in read.items():
            Verified(connection.state).mark(c, kind, ids)
    return outcome


def _inactive(connection: Connection, known: Known) -> Row:
    """Return a row that says that an employee is no longer active, and nothing else."""
    active = EmployeeFacts(id=known.till_id, name="-", first_name=None, last_name=None, active=True)
    before, _ = mapped(connection, "employee", active)
    after, _ = mapped(connection, "employee", msgspec.structs.replace(active, active=False))
    return Row(
        kind="employee",
        till_id=known.till_id,
        object=connection.maps["employee"].object,
        payload={name: value for name, value in after.items() if before[name] != value},
        operation="update",
        crm_id=known.crm_id,
        reason=_DELETED,
    )


# --- reviews ---------------------------------------------------------------------------------------


def reviews(connection: Connection) -> Outcome:
    """Decide again about products and customers in review: an administrator may have cleared the way.

    Products cost one GET and two CRM queries for each 100 in review. Customers cost
    one CRM call for whoever has changed there, and only if somebody has, one GET
    for each 100 in review. Receipts that waited for them are sent again.
    """
    state = connection.state
    again = Slice()
    products = [known.till_id for known in state.in_state("product", "review")]
    if products:
        pages = connection.till.products(Query(ids=tuple(products)))
        again.products.update((product.id, product) for page in pages for product, _ in page.rows)
    customers = [known.till_id for known in state.in_state("customer", "review")]
    people = None
    if customers:
        refresh_people(connection)
        people = state.cursor(PEOPLE_CURSOR)
        if people != state.fact(_REVIEWED):
            for page in connection.till.customers(Query(ids=tuple(customers))):
                again.customers.update((customer.id, customer) for customer in page.rows)
            with state.begin() as c:
                Verified(state).decide_anew(c, "customer", again.customers)
    if not again.products and not again.customers:
        return nothing()
    outcome = Outcome(carry(connection, again), [])
    left = sum(len(state.in_state(kind, "review")) for kind in ("product", "customer"))
    decided = len(products) + len(customers) - left
    if decided > 0:
        outcome.counts["decided anew"] += decided
        send_waiting(connection, outcome.counts)
    if people is not None:
        with state.begin() as c:
            state.keep(c, _REVIEWED, people)
    return outcome


# How far the CRM's people had come when customers in review were last decided about.
_REVIEWED = "reviewed people"


# What is looked for, in this order: the cheap ones first.
CHECKS = (
    Check("lines", timedelta(minutes=15), late_lines),
    Check("payments", timedelta(minutes=15), late_payments),
    Check("archived customers", timedelta(hours=1), archived_customers),
    Check("reviews", timedelta(hours=1), reviews),
    Check("open sales", timedelta(days=1), open_sales),
    Check("employees", timedelta(days=1), employees),
    Check("recent sales", timedelta(days=1), recent_sales),
    Check("older sales", timedelta(days=1), older_sales),
)

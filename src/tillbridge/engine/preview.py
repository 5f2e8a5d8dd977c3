"""Plans that people ask for: what a sync would write of customers, and then exactly that and nothing else.

A preview reads what the next slice of a sync would read, decides with the same
code, and writes to neither side. Applying one reads those very records again
and decides again: who would no longer become what the plan says is passed over
as a whole, so that what is written is what was looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from tillbridge.engine import crowds
from tillbridge.engine.arrivals import Arrived, arrive, index_till_people, settle_arrived
from tillbridge.engine.compare import text_of
from tillbridge.engine.connection import Connection
from tillbridge.engine.customerplan import CustomerPlan
from tillbridge.engine.customers import carry_plan, plan_customers
from tillbridge.engine.guard import close_applied, entries_of, judge
from tillbridge.engine.people import read_again, refresh_people
from tillbridge.engine.rows import LAYERS, Row
from tillbridge.engine.streams import CUSTOMERS, SALES, take
from tillbridge.engine.sync import COMPARED_AT_ONCE, LISTENS, not_refused
from tillbridge.engine.writer import Delivery
from tillbridge.model.acks import Refused, Written
from tillbridge.model.errors import SyncError
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer, Sale
from tillbridge.store.plans import APPLIED, APPROVED, HELD, OPEN, OUTDATED, PREVIEW, Plan, Plans
from tillbridge.sync.plan import PlannedRow, pack
from tillbridge.sync.safety import Entry

# An edit in the till is a GET and a PUT, a create a question and a POST.
TILL_CALLS_EACH = 2

CHANGED = "changed since the plan was made"

# Where somebody stands who is passed over for a reason that people may want to know.
_TOLD = frozenset({"review", "left_out", "waiting", "conflict"})

Key = tuple[str, str]  # (side, till id); somebody who enters the till: ("till", CRM id)


class NoSuchPlan(SyncError):
    """A plan that cannot be carried out: unknown, carried out already, or another one than was looked at."""


class Skip(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of whom nothing would be written, and why. By till id, or by CRM id where there is none."""

    till_id: str | None
    crm_id: str | None
    state: str
    reason: str


class Preview(msgspec.Struct, kw_only=True):
    """What a sync would write; `plan` is None where that is nothing. `holds`: why it would wait first."""

    plan: Plan | None = None
    entries: list[Entry] = []
    skips: list[Skip] = []
    unchanged: int = 0
    sales: int = 0
    crm_calls: int = 0
    till_calls: int = 0
    holds: list[str] = []
    more: bool = False


# --- looking -------------------------------------------------------------------------------------


def preview(connection: Connection, only: Collection[str] = ()) -> Preview:
    """Say what a sync would write of customers, `only` of these where any are named; keep it as a plan."""
    found = Preview()
    customers, sales, arrived = _read(connection, only, found)
    # Whoever is held back is no news to a sync, but is what a person asks about.
    plan = plan_customers(
        connection,
        customers,
        sales=sales,
        again=arrived.look_again | set(only),
        fresh_index=True,
        guarded=False,
    )
    entries = {**_every_entry(plan), **{("till", i): entry for i, entry in arrived.wished.items()}}
    found.entries = list(entries.values())
    objected, _ = judge(connection, plan, entries_of(plan))
    objected += arrived.objected if arrived.wished else []
    found.holds = list(dict.fromkeys(each.text for each in objected))
    found.skips = _skips(connection, plan, customers, entries.keys(), only)
    found.unchanged = len({customer.id for customer in customers} - _touched(plan, found.skips))
    found.crm_calls = _crm_calls(plan.rows, list(arrived.wished.values()))
    found.till_calls = TILL_CALLS_EACH * (len(plan.edits) + len(arrived.wished))
    if entries:
        found.plan = _keep(connection, found.entries)
    return found


def _read(
    connection: Connection, only: Collection[str], found: Preview
) -> tuple[list[Customer], list[Sale], Arrived]:
    """Read what the next slice of a sync would read of customers, moving no cursor of the till's."""
    state, till = connection.state, connection.till
    refresh_people(connection)
    if only:
        customers = _by_id(connection, only)
        return list(customers.values()), [], Arrived()
    arrived = arrive(connection, dry=True) if connection.settings.mode in LISTENS else Arrived()
    taken = take(state, CUSTOMERS, till.customers)
    sales = take(state, SALES, till.sales)
    customers = {customer.id: customer for customer in not_refused(state, "customer", taken.rows)}
    unlike = crowds.to_compare(connection, COMPARED_AT_ONCE)
    buyers = {sale.customer_id for sale in sales.rows if sale.customer_id}
    wanted = {known.till_id for known in state.in_state("customer", "waiting")}
    wanted |= {*unlike, *arrived.look_again, *(buyers - state.known("customer", buyers).keys())}
    customers |= _by_id(connection, wanted - customers.keys())
    index_till_people(connection, customers.values())
    found.sales = len(sales.rows)
    found.more = taken.more or sales.more or len(unlike) == COMPARED_AT_ONCE
    return list(customers.values()), sales.rows, arrived


def _by_id(connection: Connection, ids: Collection[str]) -> dict[str, Customer]:
    if not ids:
        return {}
    pages = connection.till.customers(Query(ids=tuple(sorted(ids))))
    return {customer.id: customer for page in pages for customer in page.rows}


def _every_entry(plan: CustomerPlan) -> dict[Key, Entry]:
    """Return what a plan would change, and whom it would create in the CRM."""
    created = {
        ("crm", row.till_id): Entry(
            action="create_crm",
            till_id=row.till_id,
            object=row.object,
            name=plan.names.get(row.till_id, ""),
            fields={
                name: (None, text)
                for name, value in row.payload.items()
                if (text := text_of(value)) is not None
            },
        )
        for row in plan.rows
        if row.kind == "customer" and row.operation != "update"
    }
    return {**created, **entries_of(plan)}


def _skips(
    connection: Connection,
    plan: CustomerPlan,
    customers: Collection[Customer],
    planned: Collection[Key],
    only: Collection[str],
) -> list[Skip]:
    found: dict[str, Skip] = {}
    busy = {i for _, i in planned}
    held = connection.state.in_state("customer", "held") if not only else []
    for known in held:
        if known.till_id not in busy:
            found[known.till_id] = _skip(known.till_id, known.crm_id, "held", known.reason)
    for each in plan.settled:
        if each.till_id not in busy and each.state in _TOLD:
            found[each.till_id] = _skip(each.till_id, each.crm_id, each.state, each.reason)
    for till_id, refused in plan.unfit.items():
        told = "; ".join(f"{name}: {why}" for name, why in refused.items())
        found[till_id] = _skip(till_id, None, "refused", f"Lightspeed cannot hold it: {told}")
    ids = [customer.id for customer in customers]
    for till_id, known in connection.state.known("customer", ids).items():
        # Nothing of them has moved, but they stand somewhere that people want to know of.
        if till_id not in found and till_id not in busy and known.state in _TOLD | {"problem"}:
            found[till_id] = _skip(till_id, known.crm_id, known.state, known.reason)
    waiting = () if only else connection.arrivals.in_state("held")
    entering = [_arrival_skip(each.crm_id, each.state, each.reason) for each in waiting]
    return [*(found[i] for i in sorted(found, key=lambda i: (len(i), i))), *entering]


def _skip(till_id: str, crm_id: str | None, state: str, reason: str | None) -> Skip:
    return Skip(till_id=till_id, crm_id=crm_id, state=state, reason=reason or state)


def _arrival_skip(crm_id: str, state: str, reason: str | None) -> Skip:
    return Skip(till_id=None, crm_id=crm_id, state=state, reason=reason or state)


def _touched(plan: CustomerPlan, skips: Iterable[Skip]) -> set[str]:
    rows = {row.till_id for row in plan.rows if row.kind == "customer"}
    return rows | plan.edits.keys() | {each.till_id for each in skips if each.till_id}


def _crm_calls(rows: Collection[Row], entering: Collection[Entry]) -> int:
    """Return how many calls carry these rows, as the writer packs them.

    Whoever enters the till is given our key and an identity in the CRM afterwards.
    """
    planned = [
        PlannedRow(
            object=row.object,
            operation=row.operation,
            payload={},
            layer=LAYERS.index(row.kind),
            key=row.crm_id or row.till_id,
            key_field=row.key_field,
        )
        for row in rows
    ]
    layer = LAYERS.index("customer")
    planned += [
        PlannedRow(object=entry.object, operation="update", payload={}, layer=layer, key=entry.crm_id)
        for entry in entering
    ]
    return len(pack(planned))


def _keep(connection: Connection, entries: Collection[Entry]) -> Plan:
    """Keep a plan. It takes the place of an earlier preview, which nobody should apply any more."""
    before = [plan for plan in connection.plans.in_state(OPEN) if plan.why == PREVIEW]
    with connection.state.begin() as c:
        for plan in before:
            connection.plans.move(c, plan.id, OUTDATED)
        number = connection.plans.save(c, entries, PREVIEW)
    kept = connection.plans.get(number)
    assert kept is not None
    return kept


# --- carrying out --------------------------------------------------------------------------------


class Applied(msgspec.Struct, kw_only=True):
    """What became of each entry of a plan: written, refused (and why), or passed over (and why)."""

    written: list[Entry] = []
    refused: list[tuple[Entry, str]] = []
    skipped: list[tuple[Entry, str]] = []
    counts: dict[str, int] = {}


def plan_to(plans: Plans, number: int, seen: str | None, *, why: str) -> Plan:
    """Return a plan that may be carried out. `seen`: the checksum that was looked at. Raises NoSuchPlan."""
    plan = plans.get(number)
    if plan is None:
        raise NoSuchPlan(f"There is no plan {number}: `tillbridge plans` lists those that are open.")
    if plan.state in {APPLIED, APPROVED}:
        word = "carried out" if plan.state == APPLIED else "approved"
        raise NoSuchPlan(f"Plan {number} was {word} already.")
    if plan.state == OUTDATED:
        raise NoSuchPlan(f"Plan {number} is out of date: `tillbridge preview` makes a new one.")
    if why == PREVIEW and plan.why == HELD:
        raise NoSuchPlan(f"Plan {number} was held back: `tillbridge approve {number}` lets it pass.")
    if why == HELD and plan.why == PREVIEW:
        raise NoSuchPlan(f"Plan {number} is a preview: `tillbridge apply {number}` carries it out.")
    if seen is not None and not (len(seen) >= _CHECKSUM_MIN and plan.checksum.startswith(seen.lower())):
        raise NoSuchPlan(
            f"Plan {number} is not what was looked at: its checksum is {plan.checksum[:_CHECKSUM_MIN]}…, "
            f"not {seen}. Look at it again."
        )
    return plan


# So much of a checksum names a plan safely, and is what people are shown.
_CHECKSUM_MIN = 16


def apply(connection: Connection, plan: Plan, by: str) -> Applied:
    """Write exactly what a preview says, as far as it is still so; then it cannot be applied again."""
    wanted = {_key_of(entry): entry for entry in plan.entries}
    refresh_people(connection)
    read_again(connection, sorted({entry.crm_id for entry in plan.entries if entry.crm_id}))
    entering = {
        entry.crm_id: entry for entry in plan.entries if entry.action == "create_till" and entry.crm_id
    }
    arrived = arrive(connection, agreed=entering)
    customers = _by_id(connection, {entry.till_id for entry in plan.entries if entry.till_id})
    done, same = _plan_same(connection, wanted, customers, arrived)
    delivery = carry_plan(connection, done)
    settle_arrived(connection, arrived.created)
    found = Applied(counts={name: n for name, n in (delivery.counts + arrived.counts).items() if n})
    created = {crm_id for _, crm_id in arrived.created.values()}
    for key, entry in wanted.items():
        _tell(connection, found, key, entry, same, created, delivery)
    with connection.state.begin() as c:
        connection.raw.keep(c, "customer", customers.values())
        connection.plans.move(c, plan.id, APPLIED, by)
    close_applied(connection)
    return found


def _key_of(entry: Entry) -> Key:
    side = "till" if entry.action.endswith("till") else "crm"
    return side, entry.till_id or entry.crm_id or ""


def _plan_same(
    connection: Connection,
    wanted: Mapping[Key, Entry],
    customers: Mapping[str, Customer],
    arrived: Arrived,
) -> tuple[CustomerPlan, set[str]]:
    """Plan those customers anew who still become what the plan says; return who they are, too.

    Leaving one out may change what becomes of another (somebody recognised in
    somebody new), so this goes on until nobody has to be left out.
    """
    same = set(customers)
    new = {customer.id: customer for customer, _ in arrived.created.values()}
    while True:
        plan = plan_customers(
            connection,
            [*(customers[i] for i in sorted(same)), *new.values()],
            arrived={i: crm_id for i, (_, crm_id) in arrived.created.items()},
            again=same,
            fresh_index=True,
            guarded=False,
        )
        _keep_owners(plan, wanted)
        now = {key: entry for key, entry in _every_entry(plan).items() if key[1] not in new}
        still = {
            i for i in same if all(now.get((side, i)) == wanted.get((side, i)) for side in ("crm", "till"))
        }
        if still == same:
            return plan, same
        same = still


def _keep_owners(plan: CustomerPlan, wanted: Mapping[Key, Entry]) -> None:
    """Let whoever is created belong to whom the plan says: when it was made, the first seller was read."""
    for row in plan.rows:
        entry = wanted.get(("crm", row.till_id))
        if row.kind == "customer" and entry is not None and entry.action == "create_crm":
            owner = entry.fields.get("OwnerId")
            row.payload |= {"OwnerId": owner[1]} if owner else {}


def _tell(
    connection: Connection,
    found: Applied,
    key: Key,
    entry: Entry,
    same: Collection[str],
    created: Collection[str],
    delivery: Delivery,
) -> None:
    """Sort an entry by what became of it."""
    if entry.action == "create_till":
        arrival = connection.arrivals.get([key[1]]).get(key[1])
        if key[1] in created:
            found.written.append(entry)
        elif arrival is not None and arrival.state == "problem":
            found.refused.append((entry, arrival.reason or arrival.state))
        else:
            found.skipped.append((entry, CHANGED))
        return
    if key[1] not in same:
        found.skipped.append((entry, CHANGED))
        return
    if key[0] == "crm":
        ack = delivery.acks.get(("customer", key[1]))
        if isinstance(ack, Written):
            found.written.append(entry)
        else:
            told = ack.message if isinstance(ack, Refused) else "Salesforce has not taken it"
            found.refused.append((entry, told))
        return
    known = connection.state.known("customer", [key[1]])[key[1]]
    if known.state == "problem":
        found.refused.append((entry, known.reason or known.state))
    elif known.digest is None:
        found.skipped.append((entry, CHANGED))
    else:
        found.written.append(entry)


# --- what was held back --------------------------------------------------------------------------


def carry_approved(connection: Connection, ids: Collection[str]) -> dict[str, Any]:
    """Carry at once whom a person has just let pass, and whoever waits to enter the till."""
    refresh_people(connection)
    arrived = arrive(connection) if connection.settings.mode in LISTENS else Arrived()
    customers = _by_id(connection, {*ids, *arrived.look_again})
    customers |= {customer.id: customer for customer, _ in arrived.created.values()}
    plan = plan_customers(
        connection,
        list(customers.values()),
        arrived={i: crm_id for i, (_, crm_id) in arrived.created.items()},
        again=arrived.look_again,
        fresh_index=True,
    )
    delivery = carry_plan(connection, plan)
    settle_arrived(connection, arrived.created)
    with connection.state.begin() as c:
        connection.raw.keep(c, "customer", customers.values())
    close_applied(connection)
    return {name: n for name, n in (delivery.counts + arrived.counts).items() if n}

"""Stand between plan and write: hold back what looks wrong, or what nobody has ever agreed to.

What is held back is kept as a plan, and its customers stand as held with the
number of it; receipts, creates in the CRM and whatever nobody objects to go
on. Once approved, each entry is written if it still says the same: whoever has
changed since is looked at afresh.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from tillbridge.engine import crowds
from tillbridge.engine.compare import text_of
from tillbridge.engine.connection import Connection
from tillbridge.store.arrivals import WAITING, Arrivals
from tillbridge.store.plans import APPLIED, APPROVED, HELD, OPEN, OUTDATED, Plan, Plans
from tillbridge.store.state import Settled, State
from tillbridge.sync.fieldmap import payload_hash
from tillbridge.sync.safety import ONCE_FOR_ALL, Counts, Entry, Objection, checksum, objections

if TYPE_CHECKING:
    from tillbridge.engine.customerplan import CustomerPlan

_APPROVED = "approved for ever"
_MAP = "approved customer map"

MAP_CHANGED = "map_changed"
CHANGED_SINCE = "changed_since"

# Who lets these pass has looked at a whole: what was counted until then is agreed to.
_FOR_ALL_OF_IT = frozenset({"many_changes", MAP_CHANGED})

_CHANGED_SINCE = Objection(CHANGED_SINCE, "it has changed since it was approved")  # type: ignore[arg-type]

# Plans that were approved and of which something may still have to be written.
_APPROVING = "approved plans under way"


class Held(msgspec.Struct, frozen=True):
    """What the guard holds back: the plan that it stands in, and why."""

    plan: int
    entries: int
    text: str


def guard(connection: Connection, plan: CustomerPlan, *, more: bool = False) -> Held | None:
    """Take out of a plan what a person has to agree to first, and keep it for them; None: nothing.

    `more`: the till has not shown all that is new to us.
    """
    with connection.state.begin():
        return _guard(connection, plan, more=more)


def _guard(connection: Connection, plan: CustomerPlan, *, more: bool) -> Held | None:
    entries = entries_of(plan)
    found, held = judge(connection, plan, entries)
    if connection.approve:
        approve_reasons(connection, [each.reason for each in found])
        found, held = [], {}
    else:
        _count(connection, plan, entries.keys() - held.keys(), more=more)
    if not held:
        return None
    # They wait, and belong to the same large change as whoever comes after them.
    crowds.note(connection, "changed", {i for _, i in held})
    reasons: set[str] = {each.reason for each in found}
    with connection.state.begin() as c:
        plan_id = connection.plans.hold(c, list(held.values()), reasons)
    text = "; and ".join(dict.fromkeys(each.text for each in found))
    plan.hold(held.keys(), f"waits for a person: {text} (plan {plan_id})")
    return Held(plan_id, len(held), text)


def _count(
    connection: Connection, plan: CustomerPlan, free: Collection[tuple[str, str]], *, more: bool
) -> None:
    """Let those change to whom nobody objects, or put them off until it is known how many they are."""
    entries, passed = entries_of(plan), _passed(connection)
    edited = {i for side, i in free if i not in plan.fresh and checksum([entries[side, i]]) not in passed}
    compared = {one.id for one in plan.seen}
    off: set[str] = set()
    if edited and crowds.unseen(connection, compared, _changing(connection, plan, edited), more=more):
        off = crowds.that_come_again(connection, edited)
        plan.put_off(off)
    crowds.keep_put_off(connection, compared, off)
    crowds.note(connection, "changed", edited - off)


def _passed(connection: Connection) -> set[str]:
    """Return the checksums of what a person has let pass."""
    return {checksum([entry]) for plan in connection.plans.in_state(APPROVED) for entry in plan.entries}


def _changing(connection: Connection, plan: CustomerPlan, edited: Collection[str]) -> set[str]:
    """Return who has changed lately, and who would as far as anybody knows."""
    # Who has moved in the CRM comes slice by slice, and counts before.
    to_come = crowds.put_off(connection)
    if connection.moved:
        connection.moved &= crowds.pending(connection)
        to_come |= connection.moved
    to_come -= {one.id for one in plan.seen}
    return {*edited, *crowds.lately(connection, "changed"), *to_come} - plan.fresh


def judge(
    connection: Connection, plan: CustomerPlan, entries: Mapping[tuple[str, str], Entry]
) -> tuple[list[Objection], dict[tuple[str, str], Entry]]:
    """Say what speaks against a plan, and what of it a person has to agree to first. Holds nothing."""
    approved_plans = connection.plans.in_state(APPROVED)
    approved = [entry for each in approved_plans for entry in each.entries]
    passed = _passed(connection)
    open_ones = {key: entry for key, entry in entries.items() if checksum([entry]) not in passed}
    connection.moved -= {entry.till_id for entry in approved if entry.till_id}
    found = _objections(connection, plan, open_ones)
    reasons: set[str] = {each.reason for each in found}
    # A customer waits as a whole: half of a first comparison would look like an edit of the other half.
    whom = {i for (side, i) in open_ones if _concerns(plan, side, i, reasons)}
    changed = {i for _, i in open_ones} & _being_approved(connection, approved_plans)
    if changed:
        whom |= changed
        found.append(_CHANGED_SINCE)
    still = _still_held(connection, {i for _, i in open_ones})
    if still:
        whom |= still.keys()
        found += [] if found else [*still.values()][:1]
    return found, {key: entry for key, entry in entries.items() if key[1] in whom}


def _being_approved(connection: Connection, approved: Collection[Plan]) -> set[str]:
    """Return the customers of whom only what a person was shown may be written now."""
    under_way = set(connection.state.fact(_APPROVING) or ())
    return {
        entry.till_id for plan in approved if plan.id in under_way for entry in plan.entries if entry.till_id
    }


def _still_held(connection: Connection, ids: Collection[str]) -> dict[str, Objection]:
    """Return those of these customers who are held back: whatever brings them here, nobody has agreed yet."""
    known = connection.state.known("customer", ids)
    return {
        entry.till_id: Objection(plan.reasons[0], "it is held back already")  # type: ignore[arg-type]
        for plan in connection.plans.in_state(OPEN)
        if plan.why == HELD
        for entry in plan.entries
        if entry.till_id and entry.till_id in known and known[entry.till_id].state == "held"
    }


def changed_since(said: object, entry: Entry) -> Objection | None:
    """Object to somebody who was approved and would enter otherwise by now. `said`: see `approve`."""
    return None if said == checksum([entry]) else _CHANGED_SINCE


def entries_of(plan: CustomerPlan) -> dict[tuple[str, str], Entry]:
    """Return what a plan would change of linked customers, by (side, till id)."""
    found: dict[tuple[str, str], Entry] = {}
    for row in plan.rows:
        if row.kind != "customer" or row.operation != "update":
            continue
        before = plan.people[row.till_id].fields
        found["crm", row.till_id] = Entry(
            action="update_crm",
            till_id=row.till_id,
            crm_id=row.crm_id,
            object=row.object,
            name=plan.names[row.till_id],
            fields={name: (before.get(name), text_of(value)) for name, value in row.payload.items()},
        )
    for till_id, edit in plan.edits.items():
        found["till", till_id] = Entry(
            action="update_till",
            till_id=till_id,
            crm_id=edit.crm_id,
            object=edit.object,
            name=plan.names[till_id],
            fields={each.field: (each.before, each.after) for each in edit.written},
        )
    return found


def _objections(
    connection: Connection, plan: CustomerPlan, entries: Mapping[tuple[str, str], Entry]
) -> list[Objection]:
    is_mapped_anew = map_changed(connection)
    if not entries:
        return []
    linked = connection.state.count_linked("customer")
    counts = Counts(
        linked=linked,
        changing=len(_changing(connection, plan, {i for _, i in entries})),
        theirs=sum(side == "crm" and i in plan.theirs for side, i in entries),
        till_updates=sum(side == "till" for side, _ in entries),
    )
    found = objections(counts, connection.settings.safety, approved_reasons(connection))
    if is_mapped_anew:
        told = "the field map of customers has changed, so that every one of them may change"
        found.append(Objection(MAP_CHANGED, told))  # type: ignore[arg-type]
    return found


def _concerns(plan: CustomerPlan, side: str, till_id: str, reasons: set[str]) -> bool:
    """Say whether an objection is about this entry."""
    if reasons & {"many_changes", MAP_CHANGED}:
        return True
    if side == "till":
        return "first_till_write" in reasons
    return "first_crm_update" in reasons and till_id in plan.theirs


# --- what was approved -----------------------------------------------------------------------------


def approved_reasons(connection: Connection) -> list[str]:
    """Return what a person has agreed to once and for all."""
    return list(connection.state.fact(_APPROVED) or ())


def approve_reasons(connection: Connection, reasons: Collection[str]) -> None:
    """Never ask again for what is asked only once, and take the field map as it is."""
    once = {*approved_reasons(connection), *(each for each in reasons if each in ONCE_FOR_ALL)}
    with connection.state.begin() as c:
        connection.state.keep(c, _APPROVED, sorted(once))
        if _FOR_ALL_OF_IT & set(reasons):
            crowds.forget(connection.state, c)
        if MAP_CHANGED in reasons:
            connection.state.keep(c, _MAP, _map_digest(connection))


def map_changed(connection: Connection) -> bool:
    """Say whether customers are mapped otherwise than when a person last agreed to it."""
    digest = _map_digest(connection)
    kept = connection.state.fact(_MAP)
    if kept is None:
        with connection.state.begin() as c:
            connection.state.keep(c, _MAP, digest)
        return False
    return bool(kept != digest)


def _map_digest(connection: Connection) -> str:
    table = connection.maps["customer"]
    own = {each.object: dict(each.lines) for each in connection.converted.values() if each.overridden}
    return payload_hash({"object": table.object, **table.lines, **own}).hex()


def approve(connection: Connection, plan_id: int, by: str) -> list[str]:
    """Let a plan that was held back pass; return its customers, who are to be carried now."""
    plan = connection.plans.get(plan_id)
    assert plan is not None
    ids = sorted({entry.till_id for entry in plan.entries if entry.till_id})
    approve_reasons(connection, plan.reasons)
    known = connection.state.known("customer", ids)
    released = [
        Settled(kind="customer", till_id=i, state="settled", reason=None)
        for i in ids
        if i in known and known[i].state == "held"
    ]
    entering = {
        entry.crm_id: entry for entry in plan.entries if entry.action == "create_till" and entry.crm_id
    }
    people = connection.arrivals.get(entering)
    with connection.state.begin() as c:
        under_way = connection.state.kept(c, _APPROVING) or []
        connection.state.keep(c, _APPROVING, sorted({*under_way, plan_id}))
        for crm_id, arrival in people.items():
            if arrival.state == "held":
                # Only as they were shown: by the checksum of their entry.
                passed = {**arrival.detail, "approved": checksum([entering[crm_id]])}
                connection.arrivals.settle(
                    c, msgspec.structs.replace(arrival, state=WAITING, reason=None, detail=passed)
                )
        connection.plans.move(c, plan_id, APPROVED, by)
        connection.state.settle(c, released, verified=False)
        connection.state.doubt(c, "customer", ids)
    return ids


def close_applied(connection: Connection) -> None:
    """Close the plans of which nothing is left to be written, or of which nobody is held back any more."""
    under_way = set(connection.state.fact(_APPROVING) or ())
    still: set[int] = set()
    for plan in connection.plans.in_state(APPROVED):
        ids = {entry.till_id for entry in plan.entries if entry.till_id}
        known = connection.state.known("customer", ids)
        unwritten = [each for each in known.values() if each.crm_id is not None and each.digest is None]
        # Whoever was refused goes on being tried; whoever is held stands in another plan by now.
        still |= {plan.id} if any(each.state not in {"held", "problem"} for each in unwritten) else set()
        if all(each.state == "held" for each in unwritten):
            with connection.state.begin() as c:
                connection.plans.move(c, plan.id, APPLIED)
    if under_way - still:
        with connection.state.begin() as c:
            connection.state.keep(c, _APPROVING, sorted(under_way & still))
    for plan in connection.plans.in_state(OPEN):
        if plan.why == HELD and not _holds_anybody(connection, plan):
            with connection.state.begin() as c:
                connection.plans.move(c, plan.id, OUTDATED)


def let_go_of_old_map(connection: Connection, at_once: int) -> None:
    """Look afresh at whom a field map held back that was taken back since. `at_once`: so many in a slice."""
    for plan in connection.plans.in_state(OPEN):
        if plan.why != HELD or MAP_CHANGED not in plan.reasons or map_changed(connection):
            continue
        ids = {entry.till_id for entry in plan.entries if entry.till_id}
        if len(ids) > at_once:
            # A slice alone would look like little.
            connection.moved |= ids
        drop(connection.state, connection.arrivals, connection.plans, plan)


def _holds_anybody(connection: Connection, plan: Plan) -> bool:
    customers = connection.state.known("customer", {entry.till_id for entry in plan.entries if entry.till_id})
    if any(each.state == "held" for each in customers.values()):
        return True
    people = connection.arrivals.get({entry.crm_id for entry in plan.entries if entry.crm_id})
    return any(each.state == "held" for each in people.values())


def drop(state: State, arrivals: Arrivals, plans: Plans, plan: Plan) -> int:
    """Forget a plan that was held back, and have everybody in it looked at afresh; return how many."""
    ids = {entry.till_id for entry in plan.entries if entry.till_id}
    known = state.known("customer", ids)
    held = [
        Settled(kind="customer", till_id=i, state="settled", reason=None)
        for i, each in known.items()
        if each.state == "held"
    ]
    people = arrivals.get({entry.crm_id for entry in plan.entries if entry.crm_id})
    entering = [each for each in people.values() if each.state == "held"]
    with state.begin() as c:
        crowds.forget(state, c)
        state.settle(c, held, verified=False)
        state.doubt(c, "customer", [each.till_id for each in held])
        for each in entering:
            arrivals.settle(c, msgspec.structs.replace(each, state=WAITING, reason=None))
        plans.move(c, plan.id, OUTDATED)
    return len(held) + len(entering)

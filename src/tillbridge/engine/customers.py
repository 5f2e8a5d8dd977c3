"""Customers: find out who they are, create whom nobody knows, and change only what the till has changed.

Whom the CRM holds is kept in a local index, refreshed by one call before anyone
is created, so that no record costs a call of its own. People in review are
created nowhere; their receipts land unlinked. What a person in the CRM already
says is never overwritten by a first link: only blanks are filled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from tillbridge.engine.compare import (
    Seen,
    seen_of,
)
from tillbridge.engine.connection import Connection
from tillbridge.engine.customerplan import CustomerPlan
from tillbridge.engine.guard import guard
from tillbridge.engine.identities import owed_rows
from tillbridge.engine.linked import plan_updates
from tillbridge.engine.people import refresh_people
from tillbridge.engine.strangers import plan_arrived, plan_new
from tillbridge.engine.writer import Delivery, Writer
from tillbridge.model.records import Customer, Sale
from tillbridge.store.state import Known


def load_customers(
    connection: Connection, customers: Sequence[Customer], *, more: bool = False
) -> Counter[str]:
    """Decide about customers and bring them across. The index of people must have just been read.

    A first load writes nothing to the till: what only the CRM knows of somebody stays there.
    `more`: others are still to be loaded.
    """
    plan = plan_customers(connection, customers, fresh_index=True, more=more, history=True)
    counts = carry_plan(connection, plan).counts
    counts.update(plan.counts)
    return counts


def carry_plan(connection: Connection, plan: CustomerPlan) -> Delivery:
    """Write what is planned of customers, to the CRM and then to the till."""
    plan.begin()
    delivery = Writer(connection).deliver(plan.rows, extra=plan.after)
    delivery.counts.update(plan.carry_edits())
    plan.finish()
    if plan.held:
        delivery.counts["held back"] += len(plan.held)
    return delivery


def plan_customers(
    connection: Connection,
    customers: Sequence[Customer],
    *,
    sales: Collection[Sale] = (),
    arrived: Mapping[str, str] | None = None,
    again: Collection[str] = (),
    fresh_index: bool = False,
    force: bool = False,
    guarded: bool = True,
    more: bool = False,
    history: bool = False,
) -> CustomerPlan:
    """Decide about each customer: link, create, review, leave out, update or nothing.

    `sales` of the same slice tell who sold to a new customer; `arrived` which of them
    were created in the till for whom of the CRM, `again` who is to be looked for again
    although nothing of them has moved. `fresh_index`: the
    index has just been read, so there is no need to look what changed in the CRM.
    Not `guarded`: whoever asks for the plan deals with what a person must agree to.
    `more`: the till has not shown all that is new to us.
    `history`: a first load, which writes nothing to the till.
    """
    plan = CustomerPlan(connection, history=history)
    known = connection.state.known("customer", [customer.id for customer in customers])
    plan.seen = seen = [seen_of(connection, customer) for customer in customers]
    looked_for = {*again, *(arrived or {})}
    linked, new = _in_need(seen, known, looked_for, force=force)
    if (new or linked) and not fresh_index:
        refresh_people(connection)
        # Who was merged there has moved links: what is known of them is read after it.
        known = connection.state.known("customer", [one.id for one in seen])
        linked, new = _in_need(seen, known, looked_for, force=force)
    plan.looked_at = {one.id for one, _ in linked} | {one.id for one in new}
    plan.counts["unchanged"] += len(seen) - len(linked) - len(new)
    new = plan_arrived(connection, plan, new, arrived or {})
    plan_updates(connection, plan, linked)
    plan_new(connection, plan, new, sales)
    _plan_unsent_identities(connection, plan, seen, known)
    if guarded and not force:
        # Whoever forces customers across has said so for exactly these.
        guard(connection, plan, more=more)
    return plan


def _in_need(
    seen: Sequence[Seen], known: Mapping[str, Known], looked_for: Collection[str], *, force: bool
) -> tuple[list[tuple[Seen, Known]], list[Seen]]:
    """Return which customers have to be compared with their person, and which have to find one."""
    linked, new = [], []
    for one in seen:
        before = known.get(one.id)
        if before is None or before.crm_id is None:
            if before is None or force or one.id in looked_for or not _still_nobody(before, one):
                new.append(one)
        elif force or before.digest != one.digest or before.state == "problem":
            linked.append((one, before))
    return linked, new


# Nothing has been decided of whoever stands so that an identity could say.
_UNDECIDED_YET = frozenset({"waiting", "problem"})


def _plan_unsent_identities(
    connection: Connection, plan: CustomerPlan, seen: Sequence[Seen], known: Mapping[str, Known]
) -> None:
    """Send the identities that an earlier run decided on and did not live to send.

    Standings are written down before the rows leave, so the standing alone does not tell.
    """
    decided = {one.id: one.customer for one in seen if one.id in known}
    there = connection.state.known("identity", decided)
    unsent = {("identity", i) for i in decided.keys() - there.keys() if known[i].state not in _UNDECIDED_YET}
    plan.rows += owed_rows(connection, decided, unsent, plan.rows)


def _still_nobody(before: Known, one: Seen) -> bool:
    """Say whether somebody in review, or left out, only comes again with the overlap of a poll.

    Whose record was deleted in the CRM comes back by an edit, which beats a deletion, and not by a touch.
    """
    same = one.stamp is not None and one.stamp == before.till_stamp
    same = same or (before.digest is not None and before.digest == one.digest)
    return same and before.state in {"review", "left_out"}

"""Customers who are linked: send each side what only the other has moved, and attach who was just recognised.

What a person in the CRM already says is never overwritten by a first link: only
blanks are filled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from tillbridge.engine.compare import (
    Compared,
    Seen,
    Shadow,
    as_shown_to,
    compare,
    pending_of,
)
from tillbridge.engine.connection import Connection
from tillbridge.engine.identities import standing_of
from tillbridge.engine.mapping import person_map
from tillbridge.engine.people import UNCONFIRMED
from tillbridge.engine.rows import Mapped, Row
from tillbridge.engine.tillwrites import TillEdit
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.customer import anonymised
from tillbridge.store.changes import Contested
from tillbridge.store.people import Verdict
from tillbridge.store.state import Known, Settled
from tillbridge.store.verified import Verified

if TYPE_CHECKING:
    from tillbridge.engine.customerplan import CustomerPlan


def plan_updates(connection: Connection, plan: CustomerPlan, linked: Sequence[tuple[Seen, Known]]) -> None:
    """Plan what linked customers need."""
    shadows = connection.people.shadows([one.id for one, _ in linked])
    people = connection.people.get([before.crm_id for _, before in linked if before.crm_id])
    contested = connection.changes.contested([one.id for one, _ in linked])
    plan.links = connection.people.verdicts([one.id for one, _ in linked])
    plan.cleared = {i: _as_before(verdict) for i, verdict in plan.links.items() if BEFORE in verdict.detail}
    ours = _created_by_us(connection, people)
    plan.theirs |= {one.id for one, before in linked if before.crm_id not in ours}
    # Whoever was merged into another customer of the till has nothing to say any more.
    merged = Verified(connection.state).aliases("customer", [one.id for one, _ in linked])
    for one, before in linked:
        person = people.get(before.crm_id or "")
        if (
            one.id in merged
            or anonymised(one.customer)
            or person is None
            or not _comparable(connection, person)
        ):
            # Its name tells nothing any more, or what it is linked to is not ours to change: the link stands.
            # There is nothing left to refuse.
            state = "settled" if before.state == "problem" else before.state
            plan.settled.append(
                standing_of(one, before, state, _why_apart(connection, before.reason, person))
            )
            continue
        _plan_update(connection, plan, one, before, person, shadows.get(one.id), contested.get(one.id, {}))


def _plan_update(
    connection: Connection,
    plan: CustomerPlan,
    one: Seen,
    before: Known,
    person: CrmPersonRow,
    shadow: Shadow | None,
    contested: Mapping[str, Contested],
) -> None:
    """Send each side what only the other has moved; what both have moved goes by authority, or waits."""
    one = as_shown_to(connection, one, person.object)
    found = compare(connection, one, before, person, shadow, contested, spares_till=plan.history)
    state, reason = _after(before, found)
    key_field = connection.maps["customer"].key_field
    if person.key is None and key_field and before.role != "second":
        found.push[key_field] = one.payload[key_field]
    if connection.settings.mode == "crm_to_till":
        found.push = {}
    plan.people[one.id], plan.names[one.id] = person, one.facts.name
    plan.contested += found.contested
    # What was decided stands until its write is confirmed: a kill before that must not ask again.
    plan.outlived[one.id] = found.outlived - found.pull.keys() - {each.field for each in found.pushed}
    if found.pull:
        _plan_edit(plan, one, person, found, state, reason)
    unread = pending_of(shadow) if person.changed_at is None else frozenset()
    if not found.push:
        if unread:
            found.crm[UNCONFIRMED] = ",".join(sorted(unread))
        plan.quiet[one.id, "till"], plan.quiet[one.id, "crm"] = found.till, found.crm
        plan.verdicts += [plan.cleared[one.id]] if one.id in plan.cleared else []
        plan.settled.append(standing_of(one, before, state, reason))
        return
    shown = {**person.fields, **found.crm}
    unsettled = {*found.pull, *(each.field for each in found.contested)} - found.crm.keys()
    plan.expect(one.id, found.till, shown, person, unread.union(found.push), unsettled)
    plan.written[one.id] = found.pushed
    plan.rows.append(_update_row(one, person, found.push, state, reason))


def _why_apart(connection: Connection, reason: str | None, person: CrmPersonRow | None) -> str | None:
    """Return why a link stands, and that no values flow along it where its record is of another object."""
    ours = connection.maps["customer"].object
    if person is None or person_map(connection, person.object) is not None or _APART in (reason or ""):
        return reason
    told = f"its object is {person.object}, and the field map writes {ours}: {_APART}"
    return f"{reason}; {told}" if reason else told


_APART = "receipts arrive, values do not flow"


def _created_by_us(connection: Connection, crm_ids: Collection[str]) -> set[str]:
    """Return those of these people whom we created from a customer of the till."""
    linked = connection.state.linked_to(crm_ids)
    known = connection.state.known("customer", {i for ids in linked.values() for i in ids})
    return {crm_id for crm_id, ids in linked.items() if any(known[i].role == "created" for i in ids)}


def _after(before: Known, found: Compared) -> tuple[str, str | None]:
    """Return where a customer stands once what was decided has been confirmed."""
    if found.contested:
        names = ", ".join(each.field for each in found.contested)
        return "conflict", f"both sides changed {names}; each keeps its own until somebody says which counts"
    if before.state in {"conflict", "problem", "held", "review"}:
        return "settled", None
    return before.state, before.reason


def _plan_edit(
    plan: CustomerPlan,
    one: Seen,
    person: CrmPersonRow,
    found: Compared,
    state: str,
    reason: str | None,
) -> None:
    if found.slots.refused:
        plan.unfit[one.id] = found.slots.refused
    written = [each for each in found.pulled if each.field not in found.slots.refused]
    if found.slots.slots and written:
        plan.edits[one.id] = TillEdit(
            one=one,
            crm_id=person.id,
            object=person.object,
            slots=found.slots.slots,
            written=written,
            state=state,
            reason=reason,
        )


# In the verdict of a linked customer whose change a duplicate rule has stopped: what it said before.
BEFORE = "before"


def _as_before(verdict: Verdict) -> Verdict:
    """Return why a customer is linked, without what a duplicate rule has said since."""
    outcome, rule = verdict.detail[BEFORE]
    said = {BEFORE, "reason", "candidates"}
    detail = {name: value for name, value in verdict.detail.items() if name not in said}
    return msgspec.structs.replace(verdict, outcome=outcome, rule=rule, detail=detail)


def _update_row(
    one: Seen, person: CrmPersonRow, push: dict[str, Mapped], state: str, reason: str | None
) -> Row:
    return Row(
        kind="customer",
        till_id=one.id,
        object=person.object,
        payload=push,
        operation="update",
        crm_id=person.id,
        state=state,
        reason=reason,
        till_stamp=one.stamp,
        digest=one.digest,
    )


def _comparable(connection: Connection, person: CrmPersonRow) -> bool:
    """Say whether the field map speaks of this very object, and values may flow at all."""
    if connection.settings.mode == "link_only":
        return False
    return person_map(connection, person.object) is not None and not person.converted


def attach(
    connection: Connection, plan: CustomerPlan, one: Seen, linked: Settled, person: CrmPersonRow
) -> None:
    """Make a link stand, and fill the blanks of whom it leads to."""
    if not _comparable(connection, person):
        reason = _why_apart(connection, linked.reason, person)
        plan.settled.append(
            msgspec.structs.replace(linked, reason=reason, digest=one.digest, till_stamp=one.stamp)
        )
        return
    plan.settled.append(linked)
    plan.fresh.add(one.id)
    before = Known(
        kind="customer",
        till_id=one.id,
        crm_id=person.id,
        object=None,
        crm_parent=None,
        state=linked.state,
        reason=linked.reason,
        digest=None,
        parent=None,
        till_stamp=None,
        history=None,
        role=linked.role,
    )
    _plan_update(connection, plan, one, before, person, None, {})

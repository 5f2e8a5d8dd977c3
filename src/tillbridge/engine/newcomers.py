"""People of the CRM who want into the till, and of whom a person has to say who they are there.

The other direction of `desk.reviews` and `desk.choose`: here the candidates are
customers of the till. Nobody is created twice by it: what a person has said is
written down first, and a create is announced as any other.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from tillbridge.engine.arrivals import BY_DETAIL, SAID_DETAIL, arrive_as_said
from tillbridge.engine.connection import Connection
from tillbridge.engine.desk import Mistaken, read_customers
from tillbridge.engine.people import refresh_people
from tillbridge.engine.strangers import plan_choice
from tillbridge.engine.sync import Slice, deliver, send_waiting
from tillbridge.engine.writer import Writer
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.records import Customer
from tillbridge.store.arrivals import WAITING, Arrival
from tillbridge.sync.reconcile import MAY_PULL

NEW, LEAVE = "new", "leave"

# A person may say something else of whoever stands so.
_OPEN_TO_WORDS = frozenset({"review", "left_out", "problem", WAITING, "held"})


class Newcomer(msgspec.Struct, frozen=True):
    """Somebody of the CRM in review, beside the customers of the till whom they may be."""

    arrival: Arrival
    person: CrmPersonRow | None  # None: the CRM does not show them any more
    candidates: list[Customer]
    linked_to: dict[str, str]  # candidates who are linked already: till id -> CRM id


class Said(msgspec.Struct, frozen=True):
    """What came of what a person said: where the newcomer stands, as which customer, receipts sent again."""

    state: str
    reason: str | None
    till_id: str | None
    attached: int


def newcomers(connection: Connection) -> list[Newcomer]:
    """Return everybody of the CRM of whom a person has to say who they are in the till.

    Costs one CRM call, and one GET for each 100 candidates. Whoever has been linked meanwhile waits no more.
    """
    refresh_people(connection)
    _settle_linked(connection)
    waiting = connection.arrivals.in_state("review")
    ids = {each.crm_id: candidate_ids(each) for each in waiting}
    people = connection.people.get(ids)
    customers = read_customers(connection, sorted({i for each in ids.values() for i in each}))
    links = {i: link.crm_id for i, link in connection.state.links("customer", customers).items()}
    return [
        Newcomer(
            each,
            people.get(each.crm_id),
            [customers[i] for i in ids[each.crm_id] if i in customers],
            {i: links[i] for i in ids[each.crm_id] if i in links},
        )
        for each in waiting
    ]


def _settle_linked(connection: Connection) -> None:
    waiting = {each.crm_id: each for each in connection.arrivals.in_state("review")}
    linked = connection.state.linked_to(waiting)
    with connection.state.begin() as c:
        for crm_id, till_ids in linked.items():
            told = f"customer {till_ids[0]} of the till is linked to this record"
            done = msgspec.structs.replace(waiting[crm_id], state="linked", reason=told)
            connection.arrivals.settle(c, done)


def candidate_ids(arrival: Arrival) -> list[str]:
    """Return the till's customers that somebody may be."""
    return list(dict.fromkeys(each["till_id"] for each in arrival.detail.get("candidates", ())))


def say(connection: Connection, crm_id: str, choice: str, by: str) -> Said:
    """Do with somebody of the CRM what a person said: a number, "new" or "leave". Raises Mistaken."""
    refresh_people(connection)
    arrival = _arrival(connection, crm_id)
    if choice == LEAVE:
        return _leave(connection, arrival, by)
    person = connection.people.get([crm_id]).get(crm_id)
    if person is None or person.converted:
        raise Mistaken(f"Salesforce does not show {crm_id} any more: there is nobody to bring across.")
    if choice == NEW:
        return _create(connection, arrival, by)
    return _link(connection, arrival, person, choice, by)


def _arrival(connection: Connection, crm_id: str) -> Arrival:
    found = connection.arrivals.get([crm_id]).get(crm_id)
    linked = connection.state.linked_to([crm_id]).get(crm_id)
    if linked:
        raise Mistaken(f"Nobody has to decide about {crm_id}: customer {linked[0]} is linked to it.")
    if found is None:
        raise Mistaken(
            f"{crm_id} is not on its way into Lightspeed: mark the record for Lightspeed in Salesforce, "
            "or take it into customers.crm_scope."
        )
    if found.state not in _OPEN_TO_WORDS:
        reason = f" ({found.reason})" if found.reason else ""
        raise Mistaken(f"Nobody has to decide about {crm_id}: it is {found.state}{reason}.")
    return found


def _leave(connection: Connection, arrival: Arrival, by: str) -> Said:
    said = _said(arrival, LEAVE, by)
    gone = msgspec.structs.replace(said, state="left_out", reason=f"left out of Lightspeed by {by}")
    with connection.state.begin() as c:
        connection.arrivals.settle(c, gone)
    return Said(gone.state, gone.reason, None, 0)


def _said(arrival: Arrival, what: str, by: str) -> Arrival:
    detail: dict[str, Any] = {**arrival.detail, SAID_DETAIL: what, BY_DETAIL: by}
    return msgspec.structs.replace(arrival, detail=detail)


def _create(connection: Connection, arrival: Arrival, by: str) -> Said:
    if connection.settings.mode not in MAY_PULL:
        raise Mistaken(f'Nobody enters Lightspeed while customers.mode is "{connection.settings.mode}".')
    waiting = msgspec.structs.replace(_said(arrival, NEW, by), state=WAITING, reason=None)
    with connection.state.begin() as c:
        connection.arrivals.settle(c, waiting)
    found = Slice(arrived=arrive_as_said(connection, arrival.crm_id), people_read=True)
    found.customers.update((i, customer) for i, (customer, _) in found.arrived.created.items())
    deliver(connection, found, force=False)
    now = connection.arrivals.get([arrival.crm_id])[arrival.crm_id]
    return Said(now.state, now.reason, next(iter(found.arrived.created), None), 0)


def _link(connection: Connection, arrival: Arrival, person: CrmPersonRow, till_id: str, by: str) -> Said:
    if not till_id.isdecimal():
        raise Mistaken(f"{till_id} is no customer of Lightspeed: give its number, new, or leave.")
    customer = read_customers(connection, [till_id]).get(till_id)
    if customer is None:
        raise Mistaken(
            f"Lightspeed shows no customer {till_id}: `tillbridge matches review` lists candidates."
        )
    if customer.archived:
        raise Mistaken(f"Customer {till_id} is archived in Lightspeed: restore it, or choose another.")
    other = connection.state.links("customer", [till_id]).get(till_id)
    if other is not None:
        raise Mistaken(
            f"Customer {till_id} is linked to {other.object} {other.crm_id} already, so {arrival.crm_id} is "
            "a duplicate in Salesforce: merge the two there (`tillbridge dedupe scan` finds them); the link "
            "and the receipts follow."
        )
    plan = plan_choice(connection, customer, person, by)
    plan.begin()
    Writer(connection).deliver(plan.rows, extra=plan.after, force=True)
    plan.carry_edits()
    attached = send_waiting(connection, Counter())
    known = connection.state.known("customer", [till_id])[till_id]
    if known.crm_id != arrival.crm_id:
        return Said(known.state, known.reason, till_id, attached)
    told = f"customer {till_id} of the till, said by {by}"
    linked = msgspec.structs.replace(_said(arrival, till_id, by), state="linked", reason=told)
    with connection.state.begin() as c:
        connection.arrivals.settle(c, linked)
    return Said("linked", told, till_id, attached)

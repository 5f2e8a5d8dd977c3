"""Bring people of the CRM into the till: those whom a person marks or the scope takes in, and nobody else.

Whom the till may know already is looked for among its own people first, by the
rules that hold the other way round too; just before a create the till itself is
asked once more. Somebody the till holds unlinked is not created: the customer
there is looked at again, and linked or reviewed as any other.

A create is announced before it leaves. After a lost answer nothing is sent
again before the till has been read from that moment on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.engine import crowds
from tillbridge.engine.compare import Seen, seen_of
from tillbridge.engine.connection import Connection
from tillbridge.engine.guard import approve_reasons, approved_reasons, changed_since
from tillbridge.engine.mapping import ways_of
from tillbridge.engine.people import match_rules
from tillbridge.engine.streams import CUSTOMERS, parse
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.errors import BadRequest, PermissionMissing, Transient
from tillbridge.model.names import like_name
from tillbridge.model.reading import Query
from tillbridge.model.records import Address, Customer
from tillbridge.model.writing import TillSlot, TillValue
from tillbridge.store.arrivals import DONE, DROPPED, WAITING, Arrival, Intent
from tillbridge.sync.fieldmap import key
from tillbridge.sync.match import (
    Candidate,
    Considered,
    Create,
    Decision,
    Link,
    Person,
    Review,
    candidate_of,
    match,
    match_keys,
    person_of,
)
from tillbridge.sync.pullback import Pulled, new_customer
from tillbridge.sync.reconcile import MAY_PULL
from tillbridge.sync.safety import Counts, Entry, Objection, objections, shown

# So many people enter the till in one slice: each costs a question and a create of its own.
ARRIVALS_AT_ONCE = 50

# The till's own clock may be read a little late; and a row is stamped before it shows.
_BEFORE = timedelta(minutes=10)

# In an arrival's detail: what a person has said of it, and who.
SAID_DETAIL, BY_DETAIL = "said", "confirmed_by"

# In an arrival's detail: a person has let it pass as an entry of this checksum.
APPROVED_DETAIL = "approved"


class Arrived(msgspec.Struct):
    """What a look at the arrivals has brought: customers to look at (again), and who was created for whom."""

    look_again: set[str] = set()
    created: dict[str, tuple[Customer, str]] = {}  # till id -> (customer, CRM id)
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    wished: dict[str, Entry] = {}  # CRM id -> who would be created
    objected: list[Objection] = []  # what speaks against creating them


def index_till_people(connection: Connection, customers: Collection[Customer]) -> None:
    """Take customers into the index of the till's people."""
    seen = [seen_of(connection, customer) for customer in customers]
    with connection.state.begin() as c:
        index_seen(connection, c, seen)


def index_seen(connection: Connection, transaction: sa.Connection, seen: Sequence[Seen]) -> None:
    """Take customers into the index of the till's people. Nobody is looked for in a record put away."""
    account = connection.account.id
    people = [
        person_of(one.customer, one.facts, key(account, "customer", one.id))
        for one in seen
        if not one.customer.archived
    ]
    connection.arrivals.index(transaction, [(person, match_keys(person)) for person in people])
    connection.arrivals.forget(transaction, [one.id for one in seen if one.customer.archived])


def arrive(
    connection: Connection, *, dry: bool = False, agreed: Mapping[str, Entry] | None = None
) -> Arrived:
    """Deal with whoever waits to enter the till.

    `dry`: create nobody, and write down nothing but whom the till has shown. `agreed`: deal
    only with these people, by CRM id, and create only whom it would still create as it says there.
    """
    found = Arrived()
    if connection.settings.mode not in MAY_PULL:
        return found
    if not dry:
        for intent in connection.arrivals.open_intents():
            _look_up(connection, intent, found)
    waiting = connection.arrivals.in_state(WAITING, ARRIVALS_AT_ONCE)
    if agreed is not None:
        waiting = [
            each for each in connection.arrivals.get(agreed).values() if each.state in {WAITING, "held"}
        ]
    people = connection.people.get([arrival.crm_id for arrival in waiting])
    # Whoever has been agreed to one by one needs no agreement to all.
    found.objected = _objections(connection, waiting) if agreed is None else []
    for arrival in waiting:
        person = people.get(arrival.crm_id)
        if dry or agreed is not None:
            _wish(connection, arrival, person, found)
            wished = found.wished.get(arrival.crm_id)
            if dry or wished is None or wished != (agreed or {}).get(arrival.crm_id):
                continue
        if person is None or person.converted:
            _stand(connection, arrival, "left_out", "Salesforce does not show this person any more")
        elif connection.state.linked_to([arrival.crm_id]):
            _stand(connection, arrival, "linked", None)
        else:
            _arrive(connection, arrival, person, found)
    return found


def _wish(connection: Connection, arrival: Arrival, person: CrmPersonRow | None, found: Arrived) -> None:
    """See who would be created in the till for this person, or looked at again there."""
    is_ours = person is not None and person.object == connection.maps["customer"].object
    if person is None or not is_ours or person.converted or connection.state.linked_to([person.id]):
        return
    made = _slots_of(connection, person)
    slots = {} if made.refused else made.slots
    decision = _decide(connection, person, found)
    if isinstance(decision, Create) and slots:
        index_till_people(
            connection, connection.till.find_customers(emails=person.emails, phones=person.phones)
        )
        decision = _decide(connection, person, found)
    if isinstance(decision, Create):
        if slots:
            found.wished[arrival.crm_id] = _entry(person, slots)
        return
    candidates = (
        [decision.candidate]
        if isinstance(decision, Link)
        else [each.candidate for each in decision.candidates]
    )
    found.look_again |= {each.id for each in candidates if not each.linked_to}


def _arrive(connection: Connection, arrival: Arrival, person: CrmPersonRow, found: Arrived) -> None:
    if person.object != connection.maps["customer"].object:
        ours = connection.maps["customer"].object
        reason = f"customers of this connection are kept as {ours}, and this is a {person.object}"
        _stand(connection, arrival, "left_out", reason)
        return
    is_said = arrival.detail.get(SAID_DETAIL) == "new"
    decision = Create() if is_said else _decide(connection, person, found)
    if isinstance(decision, Create):
        slots = _slots(connection, arrival, person)
        if slots is None:
            found.counts["refused by the till"] += 1
            return
        if not is_said:
            asked = connection.till.find_customers(emails=person.emails, phones=person.phones)
            index_till_people(connection, asked)
            decision = _decide(connection, person, found) if asked else decision
        if isinstance(decision, Create):
            objected = _objected(connection, arrival, _entry(person, slots), found)
            if objected and not is_said:
                _hold(connection, arrival, person, slots, objected)
                found.counts["held back"] += 1
            else:
                _create(connection, arrival, slots, found)
            return
    _do_not_create(connection, arrival, decision, found)


def _objections(connection: Connection, waiting: Sequence[Arrival]) -> list[Objection]:
    """Say what speaks against creating those who wait: nobody has agreed to it yet, or they are many."""
    if connection.approve:
        approve_reasons(connection, ["first_till_write"])
        return []
    if not waiting:
        return []
    new = {arrival.crm_id for arrival in waiting if not arrival.detail.get(APPROVED_DETAIL)}
    linked, limits = connection.state.count_linked("customer"), connection.settings.safety
    found = objections(Counts(linked=linked, till_creates=len(new)), limits, approved_reasons(connection))
    # A slice brings in a few of them: who waits behind these, and who has come within the hour, counts too.
    share = int(linked * limits.changed_share_max)
    others = connection.arrivals.in_state(WAITING, max(share, limits.changed_from) + len(waiting) + 1)
    many = {each.crm_id for each in others if not each.detail.get(APPROVED_DETAIL)}
    many |= new | crowds.lately(connection, "entered")
    if new and len(many) >= limits.changed_from and len(many) > share:
        told = f"{len(many)} people of Salesforce would enter Lightspeed at once"
        found.append(Objection("many_changes", told))
    return found


def _objected(connection: Connection, arrival: Arrival, entry: Entry, found: Arrived) -> Sequence[Objection]:
    """Say what speaks against creating somebody: whoever was approved enters as shown, or is held again."""
    said = arrival.detail.get(APPROVED_DETAIL)
    if said is None or connection.approve:
        return found.objected
    changed = changed_since(said, entry)
    return [changed] if changed else []


def _hold(
    connection: Connection,
    arrival: Arrival,
    person: CrmPersonRow,
    slots: Mapping[TillSlot, TillValue],
    objected: Sequence[Objection],
) -> None:
    entry = _entry(person, slots)
    with connection.state.begin() as c:
        plan_id = connection.plans.hold(c, [entry], {each.reason for each in objected})
        told = "; and ".join(each.text for each in objected)
        reason = f"waits for a person: {told} (plan {plan_id})"
        connection.arrivals.settle(c, msgspec.structs.replace(arrival, state="held", reason=reason))


def _entry(person: CrmPersonRow, slots: Mapping[TillSlot, TillValue]) -> Entry:
    name = " ".join(filter(None, (person.first, person.last))) or person.company or person.id
    return Entry(
        action="create_till",
        crm_id=person.id,
        object=person.object,
        name=name,
        fields={slot: (None, shown(value)) for slot, value in slots.items()},
    )


def _decide(connection: Connection, person: CrmPersonRow, found: Arrived) -> Decision:
    """Look for this person among the till's people: the rules are those of the other way."""
    seeker = _as_person(connection, person)
    holders = connection.arrivals.holders(match_keys(seeker))
    return match(seeker, [_as_candidate(connection, one, found) for one in holders], match_rules(connection))


def _as_person(connection: Connection, person: CrmPersonRow) -> Person:
    candidate = candidate_of(person, connection.region)
    return Person(**{name: getattr(candidate, name) for name in Person.__dataclass_fields__})


def _as_candidate(connection: Connection, one: Person, found: Arrived) -> Candidate:
    """Return somebody of the till as matching looks at a candidate. `linked_to`: their person in the CRM."""
    known = connection.state.known("customer", [one.id]).get(one.id)
    linked = (known.crm_id,) if known is not None and known.crm_id is not None else ()
    if one.id in found.created:
        linked = (found.created[one.id][1],)
    return Candidate(**{name: getattr(one, name) for name in Person.__dataclass_fields__}, linked_to=linked)


def _slots(
    connection: Connection, arrival: Arrival, person: CrmPersonRow
) -> Mapping[TillSlot, TillValue] | None:
    made = _slots_of(connection, person)
    if made.refused:
        told = "; ".join(f"{name}: {why}" for name, why in made.refused.items())
        _stand(connection, arrival, "problem", f"Lightspeed cannot hold what Salesforce shows: {told}")
        return None
    return made.slots


def _slots_of(connection: Connection, person: CrmPersonRow) -> Pulled:
    zone = connection.zones[0] if connection.zones else None
    return new_customer(person.fields, ways_of(connection), zone=zone, region=connection.region)


def _create(
    connection: Connection, arrival: Arrival, slots: Mapping[TillSlot, TillValue], found: Arrived
) -> None:
    since = _till_time(connection)
    with connection.state.begin() as c:
        intent_id = connection.arrivals.announce(c, arrival.crm_id, arrival.object, _plain(slots), since)
    try:
        customer = connection.till.create_customer(slots)
    except Transient as error:
        if not error.outcome_unknown:
            _conclude(connection, intent_id, DROPPED, None)
            raise
        # The intent stays open: before anything is sent again, the till is read.
        _stand(
            connection, arrival, "announced", "Lightspeed did not answer; it is looked up whether it happened"
        )
        found.counts["outcome unknown"] += 1
        return
    except (BadRequest, PermissionMissing) as error:
        _conclude(connection, intent_id, DROPPED, None)
        _stand(connection, arrival, "problem", str(error))
        found.counts["refused by the till"] += 1
        return
    if not arrival.detail.get(APPROVED_DETAIL) and not connection.approve:
        crowds.note(connection, "entered", [arrival.crm_id])
    _created(connection, arrival.crm_id, customer, found)


def _created(connection: Connection, crm_id: str, customer: Customer, found: Arrived) -> None:
    # The intent stays open until the link stands (see `settle_arrived`): a kill in between finds it again.
    found.created[customer.id] = (customer, crm_id)
    found.counts["created in the till"] += 1
    index_till_people(connection, [customer])


def _look_up(connection: Connection, intent: Intent, found: Arrived) -> None:
    """See whether a create whose answer was lost has happened, and take it up."""
    since = datetime.fromisoformat(intent.till_time) - _BEFORE if intent.till_time else None
    pages = connection.till.customers(Query(since=since))
    seen = [customer for page in pages for customer in page.rows]
    made = [customer for customer in seen if _is_made_of(connection, customer, intent)]
    if len(made) == 1:
        _created(connection, intent.crm_id, made[0], found)
        return
    if doubtful := made or [each for each in seen if _may_be_made_of(connection, each, intent)]:
        _ask_who_it_is(connection, intent, doubtful, found)
        return
    _conclude(connection, intent.id, DROPPED, None)
    before = connection.arrivals.get([intent.crm_id]).get(intent.crm_id)
    with connection.state.begin() as c:
        arrival = Arrival(
            crm_id=intent.crm_id,
            object=intent.object,
            state=WAITING,
            reason=None,
            detail=before.detail if before else {},  # What a person has said of them holds.
        )
        connection.arrivals.settle(c, arrival)


def claim(connection: Connection, customers: Collection[Customer], found: Arrived) -> None:
    """See whether the feed has brought somebody whom an open intent announced: they are taken for those."""
    for intent in connection.arrivals.open_intents():
        if intent.crm_id in {crm_id for _, crm_id in found.created.values()}:
            continue
        made = next((each for each in customers if _is_made_of(connection, each, intent)), None)
        if made is not None:
            found.created[made.id] = (made, intent.crm_id)


def _is_made_of(connection: Connection, customer: Customer, intent: Intent) -> bool:
    """Say whether a customer is what an intent announced: just that, nothing more, and linked to nobody."""
    if _belongs_to_another(connection, customer, intent):
        return False
    slots = intent.slots
    address = customer.address or Address()
    shown = (
        (customer.first_name, customer.last_name, customer.company),
        {email.address.casefold() for email in customer.emails},
        {_digits(phone.number) for phone in customer.phones},
        (address.street, address.city, address.zip),
        customer.birth_midnight is None and customer.birth_date is None,
    )
    announced = (
        (slots.get("first_name"), slots.get("last_name"), slots.get("company")),
        {str(slots[name]).casefold() for name in ("email", "secondary_email") if slots.get(name)},
        {_digits(str(slots[name])) for name in _PHONES if slots.get(name)},
        (str(slots.get("street") or "").split("\n")[0] or None, slots.get("city"), slots.get("zip")),
        slots.get("birth_date") is None,
    )
    return shown == announced


def _may_be_made_of(connection: Connection, customer: Customer, intent: Intent) -> bool:
    """Say whether somebody new of that name may be what an intent announced, and changed since."""
    if _belongs_to_another(connection, customer, intent) or customer.archived:
        return False
    since = datetime.fromisoformat(intent.till_time) - _BEFORE if intent.till_time else None
    if since and customer.created_at and customer.created_at < since:
        return False
    announced = (intent.slots.get("first_name"), intent.slots.get("last_name"))
    return like_name(announced, (customer.first_name, customer.last_name)).degree == "like"


def _belongs_to_another(connection: Connection, customer: Customer, intent: Intent) -> bool:
    known = connection.state.known("customer", [customer.id]).get(customer.id)
    return known is not None and known.crm_id is not None and known.crm_id != intent.crm_id


def _ask_who_it_is(
    connection: Connection, intent: Intent, doubtful: Sequence[Customer], found: Arrived
) -> None:
    """Let a person say whether one of these is whom we announced: a wrong guess would mix two people."""
    _conclude(connection, intent.id, DROPPED, None)
    names = ", ".join(customer.id for customer in doubtful)
    reason = f"Lightspeed gave no answer to the create; a person has to say whether it is customer {names}"
    told = [{"till_id": customer.id} for customer in doubtful]
    arrival = Arrival(
        crm_id=intent.crm_id, object=intent.object, state="review", reason=reason, detail={"candidates": told}
    )
    with connection.state.begin() as c:
        connection.arrivals.settle(c, arrival)
    found.counts["review"] += 1


_PHONES = ("home_phone", "work_phone", "mobile_phone", "pager", "fax")


def _digits(number: str) -> str:
    return "".join(ch for ch in number if ch.isdigit())


def arrive_as_said(connection: Connection, crm_id: str) -> Arrived:
    """Create in the till somebody of whom a person has said that nobody there is them."""
    found = Arrived()
    arrival, person = connection.arrivals.get([crm_id])[crm_id], connection.people.get([crm_id])[crm_id]
    _arrive(connection, arrival, person, found)
    return found


def arrive_on_wish(connection: Connection, crm_id: str, found: Arrived) -> None:
    """Bring in exactly this person, for somebody has asked for it, marked or not."""
    person = connection.people.get([crm_id]).get(crm_id)
    if person is None or connection.settings.mode not in MAY_PULL:
        return
    with connection.state.begin() as c:
        connection.arrivals.want(c, [(crm_id, person.object)])
    _arrive(connection, connection.arrivals.get([crm_id])[crm_id], person, found)


def settle_arrived(connection: Connection, created: Mapping[str, tuple[Customer, str]]) -> None:
    """Close the intents of those whose link stands now."""
    if not created:
        return
    linked = connection.state.links("customer", created)
    before = connection.arrivals.get({crm_id for _, crm_id in created.values()})
    intents = {intent.crm_id: intent for intent in connection.arrivals.open_intents()}
    with connection.state.begin() as c:
        for till_id, (_, crm_id) in created.items():
            if till_id not in linked:
                continue
            if intent := intents.get(crm_id):
                connection.arrivals.conclude(c, intent.id, DONE, till_id)
                connection.arrivals.settle(
                    c,
                    Arrival(
                        crm_id=crm_id,
                        object=intent.object,
                        state="created",
                        reason=f"created in Lightspeed as customer {till_id}",
                        detail=before[crm_id].detail if crm_id in before else {},
                    ),
                )


def _do_not_create(connection: Connection, arrival: Arrival, decision: Decision, found: Arrived) -> None:
    considered = decision.candidates if isinstance(decision, Review) else ()
    candidates: Sequence[Candidate] = (
        [decision.candidate] if isinstance(decision, Link) else [each.candidate for each in considered]
    )
    free = [each.id for each in candidates if not each.linked_to]
    # Whoever of them is linked to nobody is looked at again, now that this person is known: that decides.
    found.look_again |= set(free)
    detail = {
        "candidates": [_told(each) for each in considered] or [{"till_id": each.id} for each in candidates]
    }
    if isinstance(decision, Link) and free:
        reason = f"customer {free[0]} of the till is this person ({decision.evidence})"
        _stand(connection, arrival, "linked", reason, detail)
        return
    if isinstance(decision, Link):
        reason = (
            f"customer {decision.candidate.id} of the till is this person, and is linked to somebody else"
        )
    else:
        assert isinstance(decision, Review)
        reason = f"a person has to decide who this is in the till ({decision.reason})"
    _stand(connection, arrival, "review", reason, detail)
    found.counts["review"] += 1


def _told(each: Considered) -> dict[str, Any]:
    candidate = each.candidate
    name = " ".join(filter(None, (candidate.first, candidate.last))) or candidate.company or ""
    return {
        "till_id": candidate.id,
        "name": name,
        "rule": each.rule,
        "names": each.name.how,
        "what": each.text,
    }


def _stand(
    connection: Connection,
    arrival: Arrival,
    state: str,
    reason: str | None,
    detail: dict[str, Any] | None = None,
) -> None:
    with connection.state.begin() as c:
        connection.arrivals.settle(
            c, msgspec.structs.replace(arrival, state=state, reason=reason, detail=detail or arrival.detail)
        )


def _conclude(connection: Connection, intent_id: int, state: str, till_id: str | None) -> None:
    with connection.state.begin() as c:
        connection.arrivals.conclude(c, intent_id, state, till_id)


def _plain(slots: Mapping[TillSlot, TillValue]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in slots.items()
    }


def _till_time(connection: Connection) -> str | None:
    """Return the newest stamp of the till's that a poll has seen: whatever is created now is newer."""
    since = parse(connection.state.cursor(CUSTOMERS)).since
    return since.isoformat() if since else None

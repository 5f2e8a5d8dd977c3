"""Customers whom nobody knows yet: find out who they are, and create whom the CRM does not hold.

People in review are created nowhere; their receipts land unlinked. A creation is
announced before it leaves, so that a run that was killed is taken up again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from tillbridge.engine.compare import (
    Seen,
    as_texts,
    seen_of,
)
from tillbridge.engine.connection import Connection
from tillbridge.engine.customerplan import CustomerPlan
from tillbridge.engine.directory import FRESH
from tillbridge.engine.identities import (
    CONFIRMED_BY,
    NEW,
    account_row,
    confirmed_by,
    identity_of,
    identity_row,
    nobodys_identity,
    standing_linked,
    status_of,
    told_of,
    verdict_of,
)
from tillbridge.engine.linked import attach
from tillbridge.engine.people import match_rules
from tillbridge.engine.rows import Given, Mapped, Row
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.customer import IdentityFacts, anonymised
from tillbridge.model.records import Customer, Kind, Sale
from tillbridge.model.sale import Ref, salesperson
from tillbridge.store.people import Verdict
from tillbridge.store.state import Link, Settled
from tillbridge.sync import match as matching
from tillbridge.sync.fieldmap import key
from tillbridge.sync.match import Candidate, Person, candidate_of, match_keys


def plan_new(
    connection: Connection, plan: CustomerPlan, new: Sequence[Seen], sales: Collection[Sale]
) -> None:
    """Plan whom each of these is linked to, who is created, and of whom a person has to say it."""
    if not new:
        return
    owners = _owners(connection, [one.id for one in new], sales)
    account = connection.account.id
    persons = {
        one.id: matching.person_of(one.customer, one.facts, key(account, "customer", one.id)) for one in new
    }
    found = connection.people.find({i: match_keys(person) for i, person in persons.items()})
    people = {row.id: row for rows in found.values() for row in rows}
    # A creation is announced before it leaves: who now carries our key was created by a run that was killed.
    verdicts = connection.people.verdicts([one.id for one in new])
    begun = {persons[i].external_ids[0]: i for i, v in verdicts.items() if v.outcome == "created"}
    parted = {i for i, v in verdicts.items() if v.outcome == "review" and PARTED in v.detail}
    _still_parted(connection, plan, [one for one in new if one.id in parted])
    new = [one for one in new if one.id not in parted]
    # Whom a person has called new is not looked for again when the CRM refused them the first time.
    decided = {i: by for i, v in verdicts.items() if v.outcome == "created" and (by := confirmed_by(v))}
    candidates = _candidates(connection, people, begun)
    by_keys = {
        frozenset(match_keys(persons[i])): [candidates[row.id] for row in rows] for i, rows in found.items()
    }
    named = {one.id: one for one in new}
    # Whoever is never created must not stand in the way of a living record of the same person.
    open_ones = [one for one in new if one.id not in decided]
    living = [persons[one.id] for one in open_ones if _never_created(connection, one.customer) is None]
    others = [persons[one.id] for one in open_ones if _never_created(connection, one.customer) is not None]
    rules = match_rules(connection)
    decisions = matching.match_batch(living, lambda keys: by_keys.get(frozenset(keys), []), _become, rules)
    fresh = _by_key(person for person, decision in decisions if isinstance(decision, matching.Create))
    decisions += matching.match_batch(
        others,
        lambda keys: [*by_keys.get(frozenset(keys), []), *(who for k in sorted(keys) for who in fresh[k])],
        _become_nobody,
        rules,
    )
    for till_id, by in decided.items():
        _create(connection, plan, named[till_id], matching.Create(), owners.get(till_id), by)
    for person, decision in decisions:
        one = named[person.id]
        match decision:
            case matching.Link():
                there = people.get(decision.candidate.id)
                if there is not None and begun.get(there.key or "") == one.id:
                    _resume(connection, plan, one, there)
                else:
                    _link(connection, plan, one, _as_begun(decision, verdicts.get(one.id)), there)
            case matching.Review():
                _review(connection, plan, one, decision)
            case matching.Create():
                _create(connection, plan, one, decision, owners.get(one.id))


# In the verdict of a customer in review: whom a person has taken it apart from. No rule decides about it.
PARTED = "parted"


def _still_parted(connection: Connection, plan: CustomerPlan, parted: Sequence[Seen]) -> None:
    """Leave those in review whom a person has parted from somebody, whatever the rules would say."""
    known = connection.state.known("customer", [one.id for one in parted])
    for one in parted:
        reason = known[one.id].reason if one.id in known else None
        plan.settled.append(
            Settled(kind="customer", till_id=one.id, state="review", reason=reason, till_stamp=one.stamp)
        )


def _as_begun(link: matching.Link, verdict: Verdict | None) -> matching.Link:
    """Keep how a run that was killed had recognised a customer in another whom it was just creating.

    What the CRM shows of that one now may be less than what the till knew of both.
    """
    first = str(verdict.detail.get("crm_id", "")) if verdict and verdict.outcome == "linked" else ""
    if verdict is None or not first.startswith(NEW):
        return link
    if first.removeprefix(NEW) not in link.candidate.linked_to:
        return link
    return replace(link, rule=verdict.rule, evidence=verdict.detail["evidence"])  # type: ignore[arg-type]  # as stored


def _candidates(
    connection: Connection, people: Mapping[str, CrmPersonRow], begun: Mapping[str, str]
) -> dict[str, Candidate]:
    linked = connection.state.linked_to(people)
    standings = connection.state.known("customer", {i for ids in linked.values() for i in ids})
    found = {}
    for crm_id, row in people.items():
        to = tuple(linked.get(crm_id, ()))
        ours = any(standings[i].role == "created" for i in to)
        if (creator := begun.get(row.key or "")) is not None:
            to, ours = (creator,), True
        found[crm_id] = candidate_of(row, connection.region, linked_to=to, ours=ours)
    return found


def _become(person: Person) -> Candidate:
    """Say what a created person looks like, so that a second till record of it finds it at once."""
    fields = {name: getattr(person, name) for name in Person.__dataclass_fields__}
    return Candidate(**{**fields, "id": NEW + person.id}, linked_to=(person.id,), ours=True)


def _become_nobody(person: Person) -> Candidate:
    """Say what somebody looks like who is never created: nobody can be matched to them."""
    return Candidate(id=NEW + person.id)


def _by_key(created: Iterable[Person]) -> defaultdict[str, list[Candidate]]:
    """Sort those who are being created by the keys that they may be found by."""
    found: defaultdict[str, list[Candidate]] = defaultdict(list)
    for person in created:
        candidate = _become(person)
        for each in match_keys(candidate):
            found[each].append(candidate)
    return found


def plan_arrived(
    connection: Connection, plan: CustomerPlan, new: Sequence[Seen], arrived: Mapping[str, str]
) -> list[Seen]:
    """Link those who were created in the till for somebody of the CRM; return the others."""
    people = connection.people.get({arrived[one.id] for one in new if one.id in arrived})
    said = connection.arrivals.get(people)
    others = []
    for one in new:
        person = people.get(arrived.get(one.id, ""))
        if person is None:
            others.append(one)
            continue
        plan.counts["linked on arrival"] += 1
        told = "created in Lightspeed from this record"
        detail = {"crm_id": person.id, "object": person.object, "evidence": told, "rejected": []}
        by = said[person.id].detail.get(CONFIRMED_BY) if person.id in said else None
        detail |= {CONFIRMED_BY: by} if by else {}
        plan.verdicts.append(verdict_of(connection, one.id, "linked", "created", detail))
        identity = IdentityFacts(
            id=one.id,
            customer=Ref(Kind.CUSTOMER, one.id),
            rule="created",
            evidence=told,
            confirmed_by=by,
        )
        plan.rows.append(identity_row(connection, identity))
        found = Link(person.id, person.object, person.account)
        linked = standing_linked(one.id, found, "created", second=False)
        attach(connection, plan, one, msgspec.structs.replace(linked, reason=told), person)
    return others


def _link(
    connection: Connection,
    plan: CustomerPlan,
    one: Seen,
    link: matching.Link,
    person: CrmPersonRow | None,
    by: str | None = None,
) -> None:
    """Link a customer to somebody: fill that record's blanks, and write down the identity."""
    plan.counts[f"linked by {link.rule}"] += 1
    detail = {
        "crm_id": link.candidate.id,
        "object": link.candidate.object,
        "evidence": link.evidence,
        "rejected": [told_of(each) for each in link.rejected],
    }
    if by is not None:
        detail[CONFIRMED_BY] = by
    plan.verdicts.append(verdict_of(connection, one.id, "linked", link.rule, detail))
    if person is None:
        # Somebody whom this very batch creates: the second till record waits for the first one's ack.
        first = link.candidate.id.removeprefix(NEW)
        reason = f"the same person as customer {first}, who is being created"
        plan.settled.append(Settled(kind="customer", till_id=one.id, state="waiting", reason=reason))
        plan.followers.append((one, first, link))
        return
    # The link itself is ours to make: nothing is created by it, so it needs no ack.
    found = Link(person.id, person.object, person.account)
    plan.rows.append(identity_row(connection, identity_of(one.id, link, by)))
    if not link.candidate.ours:
        plan.theirs.add(one.id)
    attach(connection, plan, one, standing_linked(one.id, found, link.rule, second=link.second), person)


def _resume(connection: Connection, plan: CustomerPlan, one: Seen, person: CrmPersonRow) -> None:
    """Take up a customer whom an earlier run created and did not live to hear of."""
    plan.counts["people created"] += 1
    found = Link(person.id, person.object, person.account)
    identity = IdentityFacts(id=one.id, customer=Ref(Kind.CUSTOMER, one.id), rule="created")
    plan.rows.append(identity_row(connection, identity))
    linked = msgspec.structs.replace(
        standing_linked(one.id, found, "created"), reason=_created(one), role="created"
    )
    attach(connection, plan, one, linked, person)


def _create(
    connection: Connection,
    plan: CustomerPlan,
    one: Seen,
    decision: matching.Create,
    owner: str | None,
    by: str | None = None,
) -> None:
    if why := _never_created(connection, one.customer):
        plan.settled.append(
            Settled(kind="customer", till_id=one.id, state="left_out", reason=why, till_stamp=one.stamp)
        )
        plan.rows.append(nobodys_identity(connection, one.id, why, status_of(one.customer)))
        return
    plan.counts["people created"] += 1
    plan.names[one.id] = one.facts.name
    detail: dict[str, Any] = {"rejected": [told_of(each) for each in decision.rejected]}
    if by is not None:
        detail[CONFIRMED_BY] = by
    plan.verdicts.append(verdict_of(connection, one.id, "created", None, detail))
    table = connection.maps["customer"]
    given: dict[str, Mapped] = {n: value for n, value in one.payload.items() if value is not None}
    given |= _creation_extras(connection, owner)
    if "account" in connection.maps:
        plan.rows.append(account_row(connection, one.facts))
        given["AccountId"] = Ref("account", one.id)  # type: ignore[arg-type]  # a row of ours, no record
    plan.rows.append(
        Row(
            kind="customer",
            till_id=one.id,
            object=table.object,
            payload=given,
            key_field=table.key_field,
            reason=_created(one),
            role="created",
            till_stamp=one.stamp,
            digest=one.digest,
        )
    )
    identity = IdentityFacts(id=one.id, customer=Ref(Kind.CUSTOMER, one.id), rule="created", confirmed_by=by)
    plan.rows.append(identity_row(connection, identity))
    shown = {**one.texts, **as_texts({n: v.value for n, v in one.payload.items() if isinstance(v, Given)})}
    plan.expect(one.id, one.texts, shown, _as_person(connection, one), one.payload)


def _created(one: Seen) -> str:
    return f"created; {one.reason}" if one.reason else "created"


def _never_created(connection: Connection, customer: Customer) -> str | None:
    if anonymised(customer):
        return "it was anonymised in the till"
    if customer.archived:
        return "it is archived in the till, and nobody in the CRM is this person"
    if connection.settings.mode in {"link_only", "crm_to_till"}:
        return f'nobody is created while customers.mode is "{connection.settings.mode}"'
    return None


def _creation_extras(connection: Connection, owner: str | None) -> dict[str, Mapped]:
    extras: dict[str, Mapped] = {}
    if owner is not None:
        extras["OwnerId"] = owner
    table = connection.maps["customer"]
    types = connection.objects[table.object].record_types
    wanted = connection.settings.record_type or table.record_type
    if wanted is not None and wanted in types:
        extras["RecordTypeId"] = types[wanted]
    return extras


def _as_person(connection: Connection, one: Seen) -> CrmPersonRow:
    """Say how somebody we create will look in the CRM's own people, until they are read again."""
    facts = one.facts
    phones = (facts.mobile_phone, facts.home_phone, facts.work_phone)
    return CrmPersonRow(
        id="",
        object=connection.maps["customer"].object,
        key=key(connection.account.id, "customer", one.id),
        first=facts.first_name,
        last=facts.last_name,
        company=facts.company,
        emails=tuple(filter(None, (facts.email, facts.secondary_email))),
        phones=tuple(phone for phone in phones if phone),
        street=facts.street,
        zip=facts.zip,
        city=facts.city,
        country=facts.country,
        birth_date=facts.birth_date,
    )


def _review(connection: Connection, plan: CustomerPlan, one: Seen, review: matching.Review) -> None:
    plan.counts["review"] += 1
    detail = {"reason": review.reason, "candidates": [told_of(each) for each in review.candidates]}
    plan.verdicts.append(verdict_of(connection, one.id, "review", review.rule, detail))
    plan.rows.append(nobodys_identity(connection, one.id, review.reason, "In Review"))
    reason = f"a person has to decide who this is ({review.reason})"
    plan.settled.append(
        Settled(kind="customer", till_id=one.id, state="review", reason=reason, till_stamp=one.stamp)
    )


def plan_choice(
    connection: Connection, customer: Customer, person: CrmPersonRow | None, by: str
) -> CustomerPlan:
    """Do with a customer in review what a person said: link to somebody, or create; None: it is new."""
    plan = CustomerPlan(connection)
    one = seen_of(connection, customer)
    if person is None:
        _create(connection, plan, one, matching.Create(), None, by)
        return plan
    candidate = _candidates(connection, {person.id: person}, {})[person.id]
    own_key = key(connection.account.id, "customer", one.id)
    second = bool(set(candidate.linked_to) - {one.id}) or person.key not in {None, own_key}
    _link(connection, plan, one, matching.Link(candidate, "person", f"chosen by {by}", second), person, by)
    return plan


def _owners(connection: Connection, new: Collection[str], sales: Collection[Sale]) -> dict[str, str]:
    """Return the CRM user who is to own each new customer: whoever sold to them first, else the store's."""
    buyers = {sale.customer_id: sale for sale in reversed(list(sales)) if sale.customer_id in set(new)}
    if not buyers or connection.settings.owner == "integration":
        return {}
    users = _users(connection)
    account = connection.account.id
    found = {}
    for buyer, sale in buyers.items():
        seller = salesperson(sale)
        own = users.get(key(account, "employee", seller)) if seller else None
        if connection.settings.owner == "store":
            own = None
        if user := own or users.get(key(account, "store", sale.store_id)):
            found[str(buyer)] = user
    return found


def _users(connection: Connection) -> dict[str, str]:
    """Return the users that administrators named for employees and stores; kept for an hour."""
    kept: Any = connection.state.fact("owners")
    now = connection.state.now()
    if kept is not None and 0 <= now - kept["read_at"] < FRESH.total_seconds():
        return dict(kept["users"])
    users = connection.questions.owners()
    with connection.state.begin() as c:
        connection.state.keep(c, "owners", {"read_at": now, "users": users})
    return users

"""Customers: find out who they are, create whom nobody knows, and change only what the till has changed.

Whom the CRM holds is kept in a local index, refreshed by one call before anyone
is created, so that no record costs a call of its own. People in review are
created nowhere; their receipts land unlinked. What a person in the CRM already
says is never overwritten by a first link: only blanks are filled.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.engine.connection import Connection
from tillbridge.engine.directory import FRESH
from tillbridge.engine.mapping import mapped
from tillbridge.engine.rows import Given, Mapped, Row, Standing
from tillbridge.engine.streams import OVERLAP
from tillbridge.engine.writer import Writer
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.customer import CustomerFacts, IdentityFacts, anonymised, customer_facts
from tillbridge.model.records import Customer, Kind, Sale
from tillbridge.model.sale import BuyerStanding, Ref, salesperson
from tillbridge.model.writing import Value
from tillbridge.store.people import Verdict
from tillbridge.store.state import Known, Link, Settled
from tillbridge.sync import match as matching
from tillbridge.sync.fieldmap import key, payload_hash
from tillbridge.sync.match import Candidate, Considered, Person, candidate_of, match_keys
from tillbridge.sync.problems import class_of
from tillbridge.sync.reconcile import (
    Alike,
    Conflict,
    FieldState,
    Pair,
    Push,
    Settle,
    reconcile,
    same,
    same_day,
    same_email,
    same_number,
    same_phone,
    same_text,
)

_OBJECTS = ("Account", "Contact", "Lead")
_CURSOR = "crm people"
_NOBODY_YET = datetime(2000, 1, 1, tzinfo=UTC)  # before any CRM row's stamp

# So many people are taken into the index in one transaction.
_INDEX_AT_ONCE = 2_000


# Whoever stands so is still waited for: by a person, or by somebody's ack.
_UNDECIDED = frozenset({"review", "waiting", "conflict", "problem"})

# Nothing has been decided of whoever stands so that an identity could say.
_UNDECIDED_YET = frozenset({"waiting", "problem"})


class CustomerPlan:
    """What a set of customers becomes. Hand `after` to the writer; call `finish` when it is done."""

    def __init__(self, connection: Connection) -> None:
        self.rows: list[Row] = []
        self.settled: list[Settled] = []
        self.verdicts: list[Verdict] = []
        self.counts: Counter[str] = Counter()
        self.followers: list[tuple[_Seen, str, matching.Link]] = []
        self.quiet: dict[tuple[str, str], Mapping[str, str]] = {}  # shadows that need no ack
        self._connection = connection
        self._shadows: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {}
        self._shown: dict[str, CrmPersonRow] = {}

    def expect(
        self,
        till_id: str,
        till: Mapping[str, str],
        crm: Mapping[str, str],
        person: CrmPersonRow,
        pushed: Collection[str],
    ) -> None:
        """Remember what both sides will show once the CRM has confirmed this customer's row."""
        self._shadows[till_id] = (till, {**crm, _UNCONFIRMED: ",".join(sorted(pushed))})
        self._shown[till_id] = msgspec.structs.replace(person, fields=crm, changed_at=None)

    def begin(self) -> None:
        """Write down what needs no ack: verdicts, standings, shadows of sides that only spell differently."""
        with self._connection.state.begin() as c:
            self._connection.state.settle(c, self.settled)
            self._connection.people.decide(c, self.verdicts)
            self._connection.people.cast(c, self.quiet)
            done = [("customer", each.till_id) for each in self.settled if each.state not in _UNDECIDED]
            self._connection.journal.resolve(c, done)

    def after(self, transaction: sa.Connection, acked: Sequence[tuple[Standing, Ack]]) -> None:
        """Move shadows and the index of people in the transaction that settles their rows."""
        shadows: dict[tuple[str, str], Mapping[str, Any]] = {}
        people: list[tuple[CrmPersonRow, Collection[str]]] = []
        for standing, ack in acked:
            till_id = standing.row.till_id
            if standing.row.kind != "customer" or till_id not in self._shadows:
                continue
            if isinstance(ack, Written):
                shadows[till_id, "till"], shadows[till_id, "crm"] = self._shadows[till_id]
                person = msgspec.structs.replace(self._shown[till_id], id=ack.id)
                people.append((person, match_keys(candidate_of(person, self._connection.region))))
            elif class_of(ack) == "review":
                self._connection.people.decide(transaction, [self._suggested(till_id, ack)])
        self._connection.people.cast(transaction, shadows)
        self._connection.people.index(transaction, people)

    def finish(self) -> None:
        """Link the second till records of people whom this very plan created."""
        connection = self._connection
        links = connection.state.links("customer", {first for _, first, _ in self.followers})
        ready = [(one, links[first], link) for one, first, link in self.followers if first in links]
        if not ready:
            return
        people = connection.people.get([found.crm_id for _, found, _ in ready])
        plan = CustomerPlan(connection)
        for one, found, link in ready:
            plan.rows.append(_identity_row(connection, _identity(one.id, link)))
            _attach(connection, plan, one, _linked(one.id, found, link.rule), people[found.crm_id])
        plan.begin()
        Writer(connection).deliver(plan.rows, extra=plan.after)

    def _suggested(self, till_id: str, ack: Refused) -> Verdict:
        detail = {
            "reason": "a duplicate rule of Salesforce found somebody",
            "candidates": [{"crm_id": crm_id} for crm_id in ack.matches],
        }
        return _verdict(self._connection, till_id, "review", None, detail)


def load_customers(connection: Connection, customers: Sequence[Customer]) -> Counter[str]:
    """Decide about customers and bring them across. The index of people must have just been read."""
    plan = plan_customers(connection, customers, fresh_index=True)
    plan.begin()
    counts = Writer(connection).deliver(plan.rows, extra=plan.after).counts
    plan.finish()
    counts.update(plan.counts)
    return counts


def plan_customers(
    connection: Connection,
    customers: Sequence[Customer],
    *,
    sales: Collection[Sale] = (),
    fresh_index: bool = False,
    force: bool = False,
) -> CustomerPlan:
    """Decide about each customer: link, create, review, leave out, update or nothing.

    `sales` of the same slice tell who sold to a new customer. `fresh_index`: the
    index has just been read, so there is no need to look what changed in the CRM.
    """
    plan = CustomerPlan(connection)
    known = connection.state.known("customer", [customer.id for customer in customers])
    seen = [_seen(connection, customer) for customer in customers]
    linked, new = [], []
    for one in seen:
        before = known.get(one.customer.id)
        if before is None or before.crm_id is None:
            if before is not None and not force and _still_nobody(before, one):
                plan.counts["unchanged"] += 1
            else:
                new.append(one)
        elif force or before.digest != one.digest or before.state == "problem":
            linked.append((one, before))
        else:
            plan.counts["unchanged"] += 1
    if (new or linked) and not fresh_index:
        refresh_people(connection)
    _plan_updates(connection, plan, linked)
    _plan_new(connection, plan, new, sales)
    _plan_unsent_identities(connection, plan, seen, known)
    return plan


def _plan_unsent_identities(
    connection: Connection, plan: CustomerPlan, seen: Sequence[_Seen], known: Mapping[str, Known]
) -> None:
    """Send the identities that an earlier run decided on and did not live to send.

    Standings are written down before the rows leave, so the standing alone does not tell.
    """
    decided = {one.id: one.customer for one in seen if one.id in known}
    there = connection.state.known("identity", decided)
    unsent = {("identity", i) for i in decided.keys() - there.keys() if known[i].state not in _UNDECIDED_YET}
    plan.rows += owed_rows(connection, decided, unsent, plan.rows)


def _still_nobody(before: Known, one: _Seen) -> bool:
    """Say whether somebody in review, or left out, only comes again with the overlap of a poll."""
    same = one.stamp is not None and one.stamp == before.till_stamp
    return same and before.state in {"review", "left_out"}


class _Seen(msgspec.Struct, frozen=True):
    """A customer as the till shows it now, mapped, and the digest by which a change is noticed."""

    customer: Customer
    facts: CustomerFacts
    payload: dict[str, Mapped]
    texts: dict[str, str]
    digest: bytes
    reason: str | None

    @property
    def id(self) -> str:
        return self.customer.id

    @property
    def stamp(self) -> float | None:
        changed = self.customer.changed_at
        return changed.timestamp() if changed else None


def _seen(connection: Connection, customer: Customer) -> _Seen:
    facts = customer_facts(customer, connection.zones, connection.region)
    payload, reason = mapped(connection, "customer", facts, creating=True)
    texts = as_texts(payload)
    # Being archived says something too, although no field of the CRM does.
    digest = payload_hash({**texts, "archived": customer.archived})
    return _Seen(customer, facts, payload, texts, digest, reason)


# --- who is linked already -----------------------------------------------------------------------


def _plan_updates(connection: Connection, plan: CustomerPlan, linked: Sequence[tuple[_Seen, Known]]) -> None:
    shadows = connection.people.shadows([one.id for one, _ in linked])
    people = connection.people.get([before.crm_id for _, before in linked if before.crm_id])
    primary = connection.state.known("customer", [one.id for one, _ in linked])
    for one, before in linked:
        person = people.get(before.crm_id or "")
        if anonymised(one.customer) or person is None or not _writable(connection, person):
            # Its name tells nothing any more, or what it is linked to is not ours to change: the link stands.
            same = primary[one.id]
            state = "settled" if same.state == "problem" else same.state  # There is nothing left to refuse.
            plan.settled.append(_standing(one, same, state, same.reason))
            continue
        _plan_update(connection, plan, one, before, person, shadows.get(one.id))


def _plan_update(
    connection: Connection,
    plan: CustomerPlan,
    one: _Seen,
    before: Known,
    person: CrmPersonRow,
    shadow: dict[str, dict[str, str]] | None,
) -> None:
    """Compare both sides with what each showed when they last agreed; push only what the till has moved."""
    table = connection.maps["customer"]
    ours = connection.crm.org().user_id
    states = _field_states(one, person, shadow, table.key_field, ours)
    if before.role == "second":
        states = {name: state for name, state in states.items() if name not in _PRIMARY_ONLY}
    decisions = reconcile(states, connection.settings.mode, {}, _alike(connection))
    push: dict[str, Mapped] = {}
    till, crm = dict((shadow or {}).get("till", {})), dict((shadow or {}).get("crm", {}))
    crm.pop(_UNCONFIRMED, None)
    conflicts = []
    for name, decision in decisions.items():
        if isinstance(decision, Push) or (isinstance(decision, Conflict) and decision.winner == "till"):
            push[name] = one.payload[name]
            _put(till, name, one.texts.get(name))
            _put(crm, name, one.texts.get(name))
        elif isinstance(decision, Settle):
            _put(till, name, decision.shadow.till)
            _put(crm, name, decision.shadow.crm)
        elif isinstance(decision, Conflict) and decision.winner is None:
            conflicts.append(name)
    state, reason = before.state, before.reason
    if conflicts:
        state, reason = "conflict", f"both sides changed {', '.join(conflicts)}; Salesforce keeps its own"
    elif before.state in {"conflict", "problem"}:
        state, reason = "settled", None
    for name, value in one.payload.items():
        if isinstance(value, Given) and not value.once:
            push[name] = value
            _put(till, name, one.texts.get(name))
            _put(crm, name, _text(value.value))
    if person.key is None and table.key_field and before.role != "second":
        push[table.key_field] = one.payload[table.key_field]
    unread = _pending(shadow) if person.changed_at is None else frozenset()
    if not push:
        if unread:
            crm[_UNCONFIRMED] = ",".join(sorted(unread))
        plan.quiet[one.id, "till"], plan.quiet[one.id, "crm"] = till, crm
        plan.settled.append(_standing(one, before, state, reason))
        return
    plan.expect(one.id, till, {**person.fields, **crm}, person, unread.union(push))
    plan.rows.append(_update_row(one, person, push, state, reason))


def _update_row(
    one: _Seen, person: CrmPersonRow, push: dict[str, Mapped], state: str, reason: str | None
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


def _pending(shadow: dict[str, dict[str, str]] | None) -> frozenset[str]:
    """Return the fields that we have written and not read back since."""
    names = (shadow or {}).get("crm", {}).get(_UNCONFIRMED, "")
    return frozenset(names.split(",")) if names else frozenset()


def _field_states(
    one: _Seen,
    person: CrmPersonRow,
    shadow: dict[str, dict[str, str]] | None,
    key_field: str | None,
    ours: str,
) -> dict[str, FieldState]:
    till, crm = (shadow or {}).get("till", {}), (shadow or {}).get("crm", {})
    # What we wrote is read back when its row has come with a stamp of the CRM since. If somebody else was the
    # last to write it, what it shows is no mere spelling of ours: it may be their edit, and counts as one.
    read_back = person.changed_at is not None and person.changed_by in {None, ours}
    pending = _pending(shadow) if read_back else frozenset()
    states = {}
    for name in one.payload:
        if name == key_field or isinstance(one.payload[name], Given):
            continue
        seen = Pair(one.texts.get(name), person.fields.get(name))
        before = Pair(till.get(name), crm.get(name)) if shadow else None
        states[name] = FieldState(seen, before, confirmed=name not in pending)
    return states


def _alike(connection: Connection) -> dict[str, Alike]:
    by_type: dict[str, Alike] = {
        "email": same_email,
        "phone": same_phone(connection.region),
        "date": same_day,
        "datetime": same_moment,
        "boolean": same,
        "double": same_number,
        "currency": same_number,
        "int": same_number,
    }
    fields = connection.objects[connection.maps["customer"].object].fields
    return {name: by_type.get(facts.type, same_text) for name, facts in fields.items()}


def same_moment(a: Value, b: Value) -> bool:
    """Compare moments as either side writes them."""
    if isinstance(a, str) and isinstance(b, str) and a and b:
        return datetime.fromisoformat(a) == datetime.fromisoformat(b)
    return same(a, b)


def _put(shadow: dict[str, str], name: str, value: Value) -> None:
    if value is None:
        shadow.pop(name, None)
    else:
        shadow[name] = str(value)


def _writable(connection: Connection, person: CrmPersonRow) -> bool:
    """Say whether the field map speaks of this very object, and it is not read-only."""
    if connection.settings.mode in {"link_only", "crm_to_till"}:
        return False
    return person.object == connection.maps["customer"].object and not person.converted


# --- who is new ----------------------------------------------------------------------------------


def _plan_new(
    connection: Connection, plan: CustomerPlan, new: Sequence[_Seen], sales: Collection[Sale]
) -> None:
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
    rules = _rules(connection)
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
                    _link(connection, plan, one, decision, there)
            case matching.Review():
                _review(connection, plan, one, decision)
            case matching.Create():
                _create(connection, plan, one, decision, owners.get(one.id))


def _rules(connection: Connection) -> matching.MatchRules:
    order = [rule for rule in matching.RULES if rule in connection.settings.match]
    order.sort(key=connection.settings.match.index)
    review = frozenset(rule for rule in matching.RULES if rule in connection.settings.review)
    return matching.MatchRules(order=order, review=review)


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
    return Candidate(**{**fields, "id": _FRESH + person.id}, linked_to=(person.id,), ours=True)


def _become_nobody(person: Person) -> Candidate:
    """Say what somebody looks like who is never created: nobody can be matched to them."""
    return Candidate(id=_FRESH + person.id)


def _by_key(created: Iterable[Person]) -> defaultdict[str, list[Candidate]]:
    """Sort those who are being created by the keys that they may be found by."""
    found: defaultdict[str, list[Candidate]] = defaultdict(list)
    for person in created:
        candidate = _become(person)
        for each in match_keys(candidate):
            found[each].append(candidate)
    return found


def _link(
    connection: Connection,
    plan: CustomerPlan,
    one: _Seen,
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
        "rejected": [_told(each) for each in link.rejected],
    }
    if by is not None:
        detail[_CONFIRMED_BY] = by
    plan.verdicts.append(_verdict(connection, one.id, "linked", link.rule, detail))
    if person is None:
        # Somebody whom this very batch creates: the second till record waits for the first one's ack.
        first = link.candidate.id.removeprefix(_FRESH)
        reason = f"the same person as customer {first}, who is being created"
        plan.settled.append(Settled(kind="customer", till_id=one.id, state="waiting", reason=reason))
        plan.followers.append((one, first, link))
        return
    # The link itself is ours to make: nothing is created by it, so it needs no ack.
    found = Link(person.id, person.object, person.account)
    plan.rows.append(_identity_row(connection, _identity(one.id, link, by)))
    _attach(connection, plan, one, _linked(one.id, found, link.rule, second=link.second), person)


def _resume(connection: Connection, plan: CustomerPlan, one: _Seen, person: CrmPersonRow) -> None:
    """Take up a customer whom an earlier run created and did not live to hear of."""
    plan.counts["people created"] += 1
    found = Link(person.id, person.object, person.account)
    identity = IdentityFacts(id=one.id, customer=Ref(Kind.CUSTOMER, one.id), rule="created")
    plan.rows.append(_identity_row(connection, identity))
    linked = msgspec.structs.replace(_linked(one.id, found, "created"), reason=_created(one), role="created")
    _attach(connection, plan, one, linked, person)


def _attach(
    connection: Connection, plan: CustomerPlan, one: _Seen, linked: Settled, person: CrmPersonRow
) -> None:
    """Make a link stand, and fill the blanks of whom it leads to."""
    if not _writable(connection, person):
        plan.settled.append(msgspec.structs.replace(linked, digest=one.digest, till_stamp=one.stamp))
        return
    plan.settled.append(linked)
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
    _plan_update(connection, plan, one, before, person, None)


# What a second till record of a person must not write: it belongs to the first.
_PRIMARY_ONLY = frozenset({"Lightspeed_Customer_ID__c", "Lightspeed_Created_At__c"})
_FRESH = "new:"
_CONFIRMED_BY = "confirmed_by"
_UNCONFIRMED = "~unconfirmed"


def _linked(till_id: str, found: Link, rule: str, *, second: bool = True) -> Settled:
    return Settled(
        kind="customer",
        till_id=till_id,
        state="settled",
        reason=f"{'second till record, ' if second else ''}linked by {rule}",
        role="second" if second else None,
        crm_id=found.crm_id,
        object=found.object,
        crm_parent=found.crm_parent,
    )


def _identity(till_id: str, link: matching.Link, by: str | None = None) -> IdentityFacts:
    return IdentityFacts(
        id=till_id,
        customer=Ref(Kind.CUSTOMER, till_id),
        rule=link.rule,
        evidence=link.evidence,
        confirmed_by=by,
        primary=not link.second,
    )


def _create(
    connection: Connection,
    plan: CustomerPlan,
    one: _Seen,
    decision: matching.Create,
    owner: str | None,
    by: str | None = None,
) -> None:
    if why := _never_created(connection, one.customer):
        plan.settled.append(
            Settled(kind="customer", till_id=one.id, state="left_out", reason=why, till_stamp=one.stamp)
        )
        plan.rows.append(_nobodys_identity(connection, one.id, why, _status_of(one.customer)))
        return
    plan.counts["people created"] += 1
    detail: dict[str, Any] = {"rejected": [_told(each) for each in decision.rejected]}
    if by is not None:
        detail[_CONFIRMED_BY] = by
    plan.verdicts.append(_verdict(connection, one.id, "created", None, detail))
    table = connection.maps["customer"]
    given: dict[str, Mapped] = {n: value for n, value in one.payload.items() if value is not None}
    given |= _creation_extras(connection, owner)
    if "account" in connection.maps:
        plan.rows.append(_account_row(connection, one.facts))
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
    plan.rows.append(_identity_row(connection, identity))
    shown = {**one.texts, **as_texts({n: v.value for n, v in one.payload.items() if isinstance(v, Given)})}
    plan.expect(one.id, one.texts, shown, _as_person(connection, one), one.payload)


def _created(one: _Seen) -> str:
    return f"created; {one.reason}" if one.reason else "created"


def _status_of(customer: Customer) -> str:
    if anonymised(customer):
        return "Erased"
    return "Archived" if customer.archived else "Not Synced"


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


def _account_row(connection: Connection, facts: CustomerFacts) -> Row:
    """Return the account that a contact of ours lives in."""
    table = connection.maps["account"]
    payload, reason = mapped(connection, "account", facts, creating=True)
    given: dict[str, Mapped] = {n: value for n, value in payload.items() if value is not None}
    return Row(
        kind="account",
        till_id=facts.id,
        object=table.object,
        payload=given,
        key_field=table.key_field,
        reason=reason,
    )


def _nobodys_identity(connection: Connection, till_id: str, why: str, status: str) -> Row:
    """Return the identity of a till record that belongs to nobody in the CRM yet, and says why."""
    facts = IdentityFacts(
        id=till_id,
        customer=Ref(Kind.CUSTOMER, till_id),
        rule="none",
        evidence=why,
        status=status,
        primary=False,
    )
    row = _identity_row(connection, facts)
    row.payload = {n: None if isinstance(value, Ref) else value for n, value in row.payload.items()}
    return row


def _identity_row(connection: Connection, facts: IdentityFacts) -> Row:
    table = connection.maps["identity"]
    payload, reason = mapped(connection, "identity", facts)
    return Row(
        kind="identity",
        till_id=facts.id,
        object=table.object,
        payload=payload,
        key_field=table.key_field,
        reason=reason,
    )


def _as_person(connection: Connection, one: _Seen) -> CrmPersonRow:
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


def _review(connection: Connection, plan: CustomerPlan, one: _Seen, review: matching.Review) -> None:
    plan.counts["review"] += 1
    detail = {"reason": review.reason, "candidates": [_told(each) for each in review.candidates]}
    plan.verdicts.append(_verdict(connection, one.id, "review", review.rule, detail))
    plan.rows.append(_nobodys_identity(connection, one.id, review.reason, "In Review"))
    reason = f"a person has to decide who this is ({review.reason})"
    plan.settled.append(
        Settled(kind="customer", till_id=one.id, state="review", reason=reason, till_stamp=one.stamp)
    )


# --- what a person has decided, and what is owed ---------------------------------------------------


def plan_choice(
    connection: Connection, customer: Customer, person: CrmPersonRow | None, by: str
) -> CustomerPlan:
    """Do with a customer in review what a person said: link to somebody, or create; None: it is new."""
    plan = CustomerPlan(connection)
    one = _seen(connection, customer)
    if person is None:
        _create(connection, plan, one, matching.Create(), None, by)
        return plan
    candidate = _candidates(connection, {person.id: person}, {})[person.id]
    own_key = key(connection.account.id, "customer", one.id)
    second = bool(set(candidate.linked_to) - {one.id}) or person.key not in {None, own_key}
    _link(connection, plan, one, matching.Link(candidate, "person", f"chosen by {by}", second), person, by)
    return plan


def confirmed_by(verdict: Verdict) -> str | None:
    """Return which person has decided it; None: a rule has."""
    by: str | None = verdict.detail.get(_CONFIRMED_BY)
    return by


def owed_rows(
    connection: Connection,
    customers: Mapping[str, Customer],
    owed: Collection[tuple[str, str]],
    planned: Collection[Row],
) -> list[Row]:
    """Return the identities and accounts, given as (kind, id), that were refused and nothing else sends."""
    taken = {row.thing for row in planned}
    ids = [i for kind, i in owed if i in customers and (kind, i) not in taken]
    known = connection.state.known("customer", ids)
    verdicts = connection.people.verdicts(ids)
    rows = []
    for kind, till_id in sorted(owed):
        if till_id not in known or (kind, till_id) in taken:
            continue
        if kind == "account":
            rows += _owed_account(connection, customers[till_id], known[till_id])
        else:
            rows.append(_owed_identity(connection, customers[till_id], known[till_id], verdicts.get(till_id)))
    return rows


def _owed_account(connection: Connection, customer: Customer, known: Known) -> list[Row]:
    """Return a contact's account, and the contact's way to it where it landed without."""
    rows = [_account_row(connection, customer_facts(customer, connection.zones, connection.region))]
    if known.crm_id is not None and known.crm_parent is None and known.object == "Contact":
        way: dict[str, Mapped] = {"AccountId": Ref("account", known.till_id)}  # type: ignore[arg-type]
        rows.append(
            Row(
                kind="customer",
                till_id=known.till_id,
                object="Contact",
                payload=way,
                operation="update",
                crm_id=known.crm_id,
                state=known.state,
                reason=known.reason,
            )
        )
    return rows


def _owed_identity(connection: Connection, customer: Customer, known: Known, verdict: Verdict | None) -> Row:
    if known.crm_id is None:
        status = "In Review" if known.state == "review" else _status_of(customer)
        told = (verdict.detail.get("reason") if verdict else None) or known.reason or known.state
        return _nobodys_identity(connection, known.till_id, told, status)
    facts = IdentityFacts(
        id=known.till_id,
        customer=Ref(Kind.CUSTOMER, known.till_id),
        rule=(verdict.rule if verdict else None) or "created",
        evidence=verdict.detail.get("evidence") if verdict else None,
        confirmed_by=confirmed_by(verdict) if verdict else None,
        primary=known.role != "second",
    )
    return _identity_row(connection, facts)


# --- small things --------------------------------------------------------------------------------


def _standing(one: _Seen, before: Known, state: str, reason: str | None) -> Settled:
    return Settled(
        kind="customer",
        till_id=one.id,
        state=state,
        reason=reason,
        crm_id=before.crm_id,
        till_stamp=one.stamp,
        digest=one.digest,
    )


def _verdict(
    connection: Connection, till_id: str, outcome: str, rule: str | None, detail: dict[str, Any]
) -> Verdict:
    return Verdict(till_id, outcome, rule, detail, connection.state.now())


def _told(each: Considered) -> dict[str, str]:
    """Put a candidate that was looked at into words that `explain` and the review list show."""
    candidate = each.candidate
    name = " ".join(filter(None, (candidate.first, candidate.last))) or candidate.company or ""
    return {
        "crm_id": candidate.id,
        "object": candidate.object,
        "name": name,
        "rule": each.rule,
        "names": each.name.how,
        "what": each.text,
    }


def as_texts(payload: Mapping[str, Mapped]) -> dict[str, str]:
    """Write a payload as the CRM's answers are written: text, and nothing for an empty field."""
    return {name: text for name, value in payload.items() if (text := _text(value)) is not None}


def _text(value: Mapped) -> str | None:
    if isinstance(value, Given):
        value = value.mapped
    if value is None or isinstance(value, Ref | BuyerStanding):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):  # datetimes too
        return value.isoformat()
    return str(value)


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
    users = {**connection.questions.users_of("store"), **connection.questions.users_of("employee")}
    with connection.state.begin() as c:
        connection.state.keep(c, "owners", {"read_at": now, "users": users})
    return users


# --- the index of people ---------------------------------------------------------------------------


def read_people(connection: Connection) -> None:
    """Take everybody whom the CRM holds into the index."""
    bar = connection.progress.bar("People in Salesforce")
    newest: datetime | None = None
    for name, more in _objects(connection).items():
        batch: list[CrmPersonRow] = []
        for row in connection.questions.people(connection.objects[name], more):
            batch.append(row)
            newest = max(filter(None, (newest, row.changed_at)), default=None)
            if len(batch) >= _INDEX_AT_ONCE:
                _index(connection, batch, newest)
                bar.advance(len(batch))
                batch = []
        _index(connection, batch, newest)
        bar.advance(len(batch))
    if newest is None:
        # Nobody is there yet: from now on only what changes is asked for.
        with connection.state.begin() as c:
            connection.state.move_cursor(c, _CURSOR, _NOBODY_YET.isoformat())
    bar.close()


def refresh_people(connection: Connection) -> None:
    """Take in who has changed in the CRM since the last look: one call."""
    position = connection.state.cursor(_CURSOR)
    if position is None:
        read_people(connection)
        return
    newest = datetime.fromisoformat(position)
    rows = connection.questions.changed_people(_objects(connection), connection.objects, newest - OVERLAP)
    _index(connection, rows, max((row.changed_at for row in rows if row.changed_at), default=newest))


def _index(connection: Connection, rows: Sequence[CrmPersonRow], newest: datetime | None) -> None:
    keyed = [(row, match_keys(candidate_of(row, connection.region))) for row in rows]
    with connection.state.begin() as c:
        connection.people.index(c, keyed)
        if newest is not None:
            connection.state.move_cursor(c, _CURSOR, newest.astimezone(UTC).isoformat())


def _objects(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Return where people are looked for, whatever the model, and the fields that the map writes there."""
    table = connection.maps["customer"]
    held = {
        name
        for name in _OBJECTS
        if name in connection.objects
        and (name != "Account" or "IsPersonAccount" in connection.objects[name].fields)
    }
    return {name: table.targets if name == table.object else () for name in _OBJECTS if name in held}

"""Customers: find out who they are, create whom nobody knows, and change only what the till has changed.

Whom the CRM holds is kept in a local index, refreshed by one call before anyone
is created, so that no record costs a call of its own. People in review are
created nowhere; their receipts land unlinked. What a person in the CRM already
says is never overwritten by a first link: only blanks are filled.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.engine import compare as comparing
from tillbridge.engine.arrivals import index_seen
from tillbridge.engine.compare import Compared, Seen, Shadow, as_texts, compare, pending_of, seen_of
from tillbridge.engine.connection import Connection
from tillbridge.engine.directory import FRESH
from tillbridge.engine.guard import guard
from tillbridge.engine.mapping import mapped
from tillbridge.engine.people import UNCONFIRMED, match_rules, refresh_people
from tillbridge.engine.rows import Given, Mapped, Row, Standing
from tillbridge.engine.tillwrites import TillEdit, carry_edits, changes_of, refuse
from tillbridge.engine.writer import Delivery, Writer
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.customer import CustomerFacts, IdentityFacts, anonymised, customer_facts
from tillbridge.model.errors import BadRequest
from tillbridge.model.records import Customer, Kind, Sale
from tillbridge.model.sale import Ref, salesperson
from tillbridge.store.changes import Change, Contested
from tillbridge.store.people import Verdict
from tillbridge.store.state import Known, Link, Settled
from tillbridge.store.verified import Verified
from tillbridge.sync import match as matching
from tillbridge.sync.fieldmap import key
from tillbridge.sync.match import Candidate, Considered, Person, candidate_of, match_keys
from tillbridge.sync.problems import class_of

# Whoever stands so is still waited for: by a person, or by somebody's ack.
_UNDECIDED = frozenset({"review", "waiting", "conflict", "problem"})

# Nothing has been decided of whoever stands so that an identity could say.
_UNDECIDED_YET = frozenset({"waiting", "problem"})


class CustomerPlan:
    """What a set of customers becomes. Hand `after` to the writer; call `finish` when it is done."""

    def __init__(self, connection: Connection, *, history: bool = False) -> None:
        self.history = history
        self.seen: Sequence[Seen] = ()
        self.links: Mapping[str, Verdict] = {}  # why those who are linked already are
        self.cleared: dict[str, Verdict] = {}  # the same, of those who stand in review all the same
        self.rows: list[Row] = []
        self.settled: list[Settled] = []
        self.verdicts: list[Verdict] = []
        self.counts: Counter[str] = Counter()
        self.followers: list[tuple[Seen, str, matching.Link]] = []
        self.quiet: dict[tuple[str, str], Mapping[str, str]] = {}  # shadows that need no ack
        self.edits: dict[str, TillEdit] = {}
        self.unfit: dict[str, Mapping[str, str]] = {}  # fields that the till cannot hold, and why
        self.written: dict[str, Sequence[comparing.Written]] = {}  # what the rows change, for the diary
        self.contested: list[Contested] = []
        self.outlived: dict[str, Collection[str]] = {}
        self.theirs: set[str] = set()  # whose person was in the CRM before us
        self.fresh: set[str] = set()  # who is being linked just now
        self.names: dict[str, str] = {}
        self.people: dict[str, CrmPersonRow] = {}
        self.held: dict[str, str] = {}  # what waits for a person, and why
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
        unsettled: Collection[str] = (),
    ) -> None:
        """Remember what both sides will show once the CRM has confirmed this customer's row.

        `unsettled` are fields of which the till has yet to hear, or a person to decide: the CRM's side of
        them is what it was when both last agreed, blank perhaps, and not what the CRM shows now.
        """
        shown, crm = crm, {n: v for n, v in crm.items() if n not in unsettled}
        self._shadows[till_id] = (till, {**crm, UNCONFIRMED: ",".join(sorted(pushed))})
        self._shown[till_id] = msgspec.structs.replace(person, fields=shown, changed_at=None)

    def begin(self) -> None:
        """Write down what needs no ack: verdicts, standings, shadows of sides that only spell differently."""
        connection = self._connection
        with connection.state.begin() as c:
            index_seen(connection, c, self.seen)
            connection.state.settle(c, self.settled)
            connection.people.decide(c, self.verdicts)
            connection.people.cast(c, self.quiet)
            connection.changes.notice(c, self.contested)
            for till_id, fields in self.outlived.items():
                connection.changes.outlive(c, till_id, fields)
            done = [("customer", each.till_id) for each in self.settled if each.state not in _UNDECIDED]
            connection.journal.resolve(c, done)
            held = [
                Settled(kind="customer", till_id=i, state="held", reason=reason)
                for i, reason in self.held.items()
            ]
            connection.state.settle(c, held)
            # Until the till has confirmed, whoever is to be edited there is compared again in every slice.
            connection.state.doubt(c, "customer", {*self.edits, *self.held})
            for till_id, refused in self.unfit.items():
                told = "; ".join(f"{name}: {why}" for name, why in refused.items())
                error = BadRequest(
                    f"Lightspeed cannot hold what Salesforce shows: {told}",
                    code="UNFIT_FOR_TILL",
                    status=0,
                    fields=tuple(refused),
                )
                refuse(connection, till_id, error, {}, c)

    def hold(self, keys: Collection[tuple[str, str]], reason: str) -> None:
        """Take out the updates of these customers, given as (side, till id): they stand as held."""
        crm = {i for side, i in keys if side == "crm"}
        self.rows = [row for row in self.rows if not (_updates(row) and row.till_id in crm)]
        for side, till_id in keys:
            self._shadows.pop(till_id, None)
            if side == "till":
                self.edits.pop(till_id, None)
            else:
                self.written.pop(till_id, None)
        held = sorted({i for _, i in keys})
        self.quiet = {key: shadow for key, shadow in self.quiet.items() if key[0] not in held}
        self.held.update(dict.fromkeys(held, reason))

    def carry_edits(self) -> Counter[str]:
        """Write to the till what the CRM has moved: after the CRM has had its rows."""
        return carry_edits(self._connection, list(self.edits.values()))

    def after(self, transaction: sa.Connection, acked: Sequence[tuple[Standing, Ack]]) -> None:
        """Move shadows and the index of people in the transaction that settles their rows."""
        shadows: dict[tuple[str, str], Mapping[str, Any]] = {}
        people: list[tuple[CrmPersonRow, Collection[str]]] = []
        changes: list[Change] = []
        for standing, ack in acked:
            till_id = standing.row.till_id
            if standing.row.kind != "customer" or till_id not in self._shadows:
                continue
            if isinstance(ack, Written):
                shadows[till_id, "till"], shadows[till_id, "crm"] = self._shadows[till_id]
                person = msgspec.structs.replace(self._shown[till_id], id=ack.id)
                people.append((person, match_keys(candidate_of(person, self._connection.region))))
                written = self.written.get(till_id, ())
                changes += changes_of(till_id, ack.id, person.object, "crm", written)
                self._connection.changes.outlive(transaction, till_id, [each.field for each in written])
                if till_id in self.cleared:
                    self._connection.people.decide(transaction, [self.cleared[till_id]])
            elif class_of(ack) == "review":
                self._connection.people.decide(transaction, [self._suggested(till_id, ack)])
        self._connection.people.cast(transaction, shadows)
        self._connection.people.index(transaction, people)
        self._connection.changes.note(transaction, changes)
        # The ack of a row speaks for the CRM alone.
        self._connection.state.doubt(transaction, "customer", self.edits.keys() & {i for i, _ in shadows})

    def finish(self) -> None:
        """Link the second till records of people whom this very plan created."""
        connection = self._connection
        links = connection.state.links("customer", {first for _, first, _ in self.followers})
        ready = [(one, links[first], link) for one, first, link in self.followers if first in links]
        if not ready:
            return
        people = connection.people.get([found.crm_id for _, found, _ in ready])
        plan = CustomerPlan(connection, history=self.history)
        for one, found, link in ready:
            plan.rows.append(_identity_row(connection, _identity(one.id, link)))
            _attach(connection, plan, one, _linked(one.id, found, link.rule), people[found.crm_id])
        plan.begin()
        Writer(connection).deliver(plan.rows, extra=plan.after)

    def _suggested(self, till_id: str, ack: Refused) -> Verdict:
        connection = self._connection
        named = [{"crm_id": crm_id, "what": "Salesforce's duplicate rule"} for crm_id in ack.matches]
        detail: dict[str, Any] = {
            "reason": "a duplicate rule of Salesforce found somebody",
            "candidates": named,
        }
        if (before := self.links.get(till_id)) is not None:
            # The link stands while a person decides: what made it comes back with the next accepted row.
            before = self.cleared.get(till_id, before)
            detail = {**before.detail, **detail, _BEFORE: [before.outcome, before.rule]}
        return _verdict(connection, till_id, "review", None, detail)


def load_customers(connection: Connection, customers: Sequence[Customer]) -> Counter[str]:
    """Decide about customers and bring them across. The index of people must have just been read.

    A first load writes nothing to the till: what only the CRM knows of somebody stays there.
    """
    plan = plan_customers(connection, customers, fresh_index=True, history=True)
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
    history: bool = False,
) -> CustomerPlan:
    """Decide about each customer: link, create, review, leave out, update or nothing.

    `sales` of the same slice tell who sold to a new customer; `arrived` which of them
    were created in the till for whom of the CRM, `again` who is to be looked for again
    although nothing of them has moved. `fresh_index`: the
    index has just been read, so there is no need to look what changed in the CRM.
    Not `guarded`: whoever asks for the plan deals with what a person must agree to.
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
    plan.counts["unchanged"] += len(seen) - len(linked) - len(new)
    new = _plan_arrived(connection, plan, new, arrived or {})
    _plan_updates(connection, plan, linked)
    _plan_new(connection, plan, new, sales)
    _plan_unsent_identities(connection, plan, seen, known)
    if guarded and not force:
        # Whoever forces customers across has said so for exactly these.
        guard(connection, plan)
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
    """Say whether somebody in review, or left out, only comes again with the overlap of a poll."""
    same = one.stamp is not None and one.stamp == before.till_stamp
    return same and before.state in {"review", "left_out"}


# --- who is linked already -----------------------------------------------------------------------


def _plan_updates(connection: Connection, plan: CustomerPlan, linked: Sequence[tuple[Seen, Known]]) -> None:
    shadows = connection.people.shadows([one.id for one, _ in linked])
    people = connection.people.get([before.crm_id for _, before in linked if before.crm_id])
    contested = connection.changes.contested([one.id for one, _ in linked])
    plan.links = connection.people.verdicts([one.id for one, _ in linked])
    plan.cleared = {i: _as_before(verdict) for i, verdict in plan.links.items() if _BEFORE in verdict.detail}
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
            plan.settled.append(_standing(one, before, state, _why_apart(connection, before, person)))
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
        plan.settled.append(_standing(one, before, state, reason))
        return
    shown = {**person.fields, **found.crm}
    unsettled = {*found.pull, *(each.field for each in found.contested)} - found.crm.keys()
    plan.expect(one.id, found.till, shown, person, unread.union(found.push), unsettled)
    plan.written[one.id] = found.pushed
    plan.rows.append(_update_row(one, person, found.push, state, reason))


def _why_apart(connection: Connection, before: Known, person: CrmPersonRow | None) -> str | None:
    """Return why a link stands, and that no values flow along it where its record is of another object."""
    ours = connection.maps["customer"].object
    if person is None or person.object == ours or _APART in (before.reason or ""):
        return before.reason
    told = f"it is a {person.object} and the field map writes a {ours}: {_APART}"
    return f"{before.reason}; {told}" if before.reason else told


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
_BEFORE = "before"


def _as_before(verdict: Verdict) -> Verdict:
    """Return why a customer is linked, without what a duplicate rule has said since."""
    outcome, rule = verdict.detail[_BEFORE]
    said = {_BEFORE, "reason", "candidates"}
    detail = {name: value for name, value in verdict.detail.items() if name not in said}
    return msgspec.structs.replace(verdict, outcome=outcome, rule=rule, detail=detail)


def _updates(row: Row) -> bool:
    """Say whether a row changes a person who is in the CRM."""
    return row.kind == "customer" and row.operation == "update"


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
    return person.object == connection.maps["customer"].object and not person.converted


# --- who is new ----------------------------------------------------------------------------------


def _plan_new(
    connection: Connection, plan: CustomerPlan, new: Sequence[Seen], sales: Collection[Sale]
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


def _as_begun(link: matching.Link, verdict: Verdict | None) -> matching.Link:
    """Keep how a run that was killed had recognised a customer in another whom it was just creating.

    What the CRM shows of that one now may be less than what the till knew of both.
    """
    first = str(verdict.detail.get("crm_id", "")) if verdict and verdict.outcome == "linked" else ""
    if verdict is None or not first.startswith(_FRESH):
        return link
    if first.removeprefix(_FRESH) not in link.candidate.linked_to:
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


def _plan_arrived(
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
        by = said[person.id].detail.get(_CONFIRMED_BY) if person.id in said else None
        detail |= {_CONFIRMED_BY: by} if by else {}
        plan.verdicts.append(_verdict(connection, one.id, "linked", "created", detail))
        identity = IdentityFacts(
            id=one.id,
            customer=Ref(Kind.CUSTOMER, one.id),
            rule="created",
            evidence=told,
            confirmed_by=by,
        )
        plan.rows.append(_identity_row(connection, identity))
        found = Link(person.id, person.object, person.account)
        linked = _linked(one.id, found, "created", second=False)
        _attach(connection, plan, one, msgspec.structs.replace(linked, reason=told), person)
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
    if not link.candidate.ours:
        plan.theirs.add(one.id)
    _attach(connection, plan, one, _linked(one.id, found, link.rule, second=link.second), person)


def _resume(connection: Connection, plan: CustomerPlan, one: Seen, person: CrmPersonRow) -> None:
    """Take up a customer whom an earlier run created and did not live to hear of."""
    plan.counts["people created"] += 1
    found = Link(person.id, person.object, person.account)
    identity = IdentityFacts(id=one.id, customer=Ref(Kind.CUSTOMER, one.id), rule="created")
    plan.rows.append(_identity_row(connection, identity))
    linked = msgspec.structs.replace(_linked(one.id, found, "created"), reason=_created(one), role="created")
    _attach(connection, plan, one, linked, person)


def _attach(
    connection: Connection, plan: CustomerPlan, one: Seen, linked: Settled, person: CrmPersonRow
) -> None:
    """Make a link stand, and fill the blanks of whom it leads to."""
    if not _comparable(connection, person):
        plan.settled.append(msgspec.structs.replace(linked, digest=one.digest, till_stamp=one.stamp))
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


_FRESH = "new:"
_CONFIRMED_BY = "confirmed_by"


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
    one: Seen,
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
    plan.names[one.id] = one.facts.name
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


def _created(one: Seen) -> str:
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
    one = seen_of(connection, customer)
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


def _standing(one: Seen, before: Known, state: str, reason: str | None) -> Settled:
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

"""The problems desk: what a person decides about refused records, and what comes of it at once.

A replay re-reads the source and goes through the one pipeline, so nothing stale
is written. Whatever is decided releases every record behind it; no step is left
to do but to look at the count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.customers import plan_choice, refresh_people
from tillbridge.engine.sync import Slice, deliver, read_again, read_parents, read_sales_by_id
from tillbridge.engine.writer import Writer
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.errors import SyncError
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer
from tillbridge.model.writing import FieldFacts, ObjectFacts
from tillbridge.store.journal import RESOLVED, Problem
from tillbridge.store.people import Verdict
from tillbridge.sync.remedies import Remedy, typed

# So many problems are replayed together: some ten pages of the till's, and a full write's worth of calls.
REPLAYED_AT_ONCE = 1_000


class Mistaken(SyncError):
    """What a person asked of the desk cannot be done as it was asked."""


class Replayed(msgspec.Struct):
    """What came of a replay: ids of problems that are solved, and of those that are not, by what was said."""

    accepted: list[int] = []
    refused: list[Problem] = []
    counts: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def asked(self) -> int:
        """Return how many problems were replayed."""
        return len(self.accepted) + len(self.refused)


# --- replay --------------------------------------------------------------------------------------


def replay(connection: Connection, ids: Sequence[int]) -> Replayed:
    """Release these problems, read their records again, and carry them across."""
    done = Replayed()
    for start in range(0, len(ids), REPLAYED_AT_ONCE):
        _replay_some(connection, ids[start : start + REPLAYED_AT_ONCE], done)
    _attach(connection, done.counts)
    return done


def release(connection: Connection, ids: Collection[int]) -> None:
    """Have the next run try these problems again."""
    with connection.state.begin() as c:
        connection.journal.release(c, ids)


def _replay_some(connection: Connection, ids: Sequence[int], done: Replayed) -> None:
    journal = connection.journal
    release(connection, ids)
    found = Slice()
    read_again(connection, found, list(journal.problems_by_id(ids).values()))
    read_parents(connection, found)
    done.counts.update(deliver(connection, found, force=False).counts)
    for problem in journal.problems_by_id(ids).values():
        if problem.state == RESOLVED:
            done.accepted.append(problem.id)
        else:
            done.refused.append(problem)


def _attach(connection: Connection, counts: Counter[str]) -> int:
    """Send again the receipts that were waiting for what has just been accepted; return how many."""
    sales = connection.state.waiting_sales()
    for start in range(0, len(sales), REPLAYED_AT_ONCE):
        found = Slice()
        read_sales_by_id(connection, found, sales[start : start + REPLAYED_AT_ONCE])
        counts.update(deliver(connection, found, force=False).counts)
    return len(sales)


# --- decisions about values ----------------------------------------------------------------------


def prepare_edit(connection: Connection, problem: Problem, fields: dict[str, str]) -> None:
    """Set fields of one record by hand, for its next sends. Raises Mistaken for what cannot be set."""
    if problem.state == RESOLVED:
        raise Mistaken(
            f"Problem {problem.id} is resolved: Salesforce has accepted the record, and nothing is left to "
            "edit. Correct the record in the till or in Salesforce."
        )
    held = _described(connection, problem.object)
    for name, text in fields.items():
        _check_value(_field(connection, held, name), text)
    edit = {**connection.journal.edit_of(problem), **{name: text or None for name, text in fields.items()}}
    with connection.state.begin() as c:
        connection.journal.edit(c, problem, edit)
        connection.journal.release(c, [problem.id])


def field_of_cause(example: Problem, named: str | None) -> str:
    """Return which field a fix is about: the one named, or the only one that the refusal names."""
    if named is not None:
        return named
    fields = [name for name in example.fields.split(",") if name]
    if len(fields) == 1:
        return fields[0]
    told = f"Salesforce named {', '.join(fields)}" if fields else "Salesforce named no field"
    raise Mistaken(f"{told} for this cause: say with --field which one is meant.")


def prepare_fix(connection: Connection, remedies: Sequence[Remedy]) -> None:
    """Keep decisions about a cause, once they make sense to the org. Raises Mistaken."""
    held: dict[str, ObjectFacts] = {}
    for remedy in remedies:
        facts = held.setdefault(remedy.object, _described(connection, remedy.object))
        field = _field(connection, facts, remedy.field, may_be_lookup=remedy.action == "leave_out")
        if remedy.action == "replace" and remedy.seen is not None and field.type not in _TEXTS:
            _check_value(field, remedy.seen)
        if remedy.action != "leave_out":
            _check_value(field, remedy.given or "")
        if remedy.action == "default" and not remedy.given:
            raise Mistaken(f"A default for {remedy.field} needs a value.")
    with connection.state.begin() as c:
        connection.journal.remedy(c, remedies)


# A value of these may be anything before it is replaced, also what the org does not take.
_TEXTS = frozenset({"string", "textarea", "picklist", "multipicklist", "email", "phone", "url", "combobox"})


def _described(connection: Connection, name: str) -> ObjectFacts:
    """Return what the org says of an object now: a value may have been added a minute ago."""
    held = connection.crm.describe(name)
    if held is None:
        raise Mistaken(f"The org shows no object {name} any more: run `tillbridge doctor`.")
    return held


def _field(
    connection: Connection, held: ObjectFacts, name: str, *, may_be_lookup: bool = False
) -> FieldFacts:
    field = held.fields.get(name)
    if field is None:
        raise Mistaken(
            f"{held.name} has no field {name} that Tillbridge may see; names are Salesforce's own."
        )
    if name in {table.key_field for table in connection.maps.values() if table.object == held.name}:
        raise Mistaken(f"{name} is the key by which records find each other; it stays as it is.")
    if not (field.createable or field.updateable):
        raise Mistaken(f"Tillbridge may not write {held.name}.{name}: assign its permission set.")
    if field.type == "reference" and not may_be_lookup:
        raise Mistaken(f"{name} is a lookup: its record is found by key, and cannot be set by hand.")
    return field


def _check_value(field: FieldFacts, text: str) -> None:
    try:
        typed(text, field)
    except ValueError as error:
        raise Mistaken(f"{field.name}: {error}") from error


# --- decisions about people ----------------------------------------------------------------------


class Side(msgspec.Struct, frozen=True):
    """A customer in review beside the people it may be."""

    customer: Customer | None  # None: the till does not show it any more
    verdict: Verdict
    candidates: list[CrmPersonRow]


class Chosen(msgspec.Struct, frozen=True):
    """What a choice came to: where the customer stands now, and how many receipts were sent again."""

    state: str
    reason: str | None
    crm_id: str | None
    object: str | None
    attached: int


def reviews(connection: Connection) -> list[Side]:
    """Return everybody whom a person has to decide, both sides as they are now."""
    refresh_people(connection)
    waiting = list(connection.people.reviews())
    customers = _customers(connection, [verdict.till_id for verdict in waiting])
    crm_ids = {verdict.till_id: candidate_ids(connection, verdict) for verdict in waiting}
    people = connection.people.get({i for ids in crm_ids.values() for i in ids})
    return [
        Side(
            customers.get(verdict.till_id),
            verdict,
            [people[i] for i in crm_ids[verdict.till_id] if i in people],
        )
        for verdict in waiting
    ]


def candidate_ids(connection: Connection, verdict: Verdict) -> list[str]:
    """Return a verdict's candidates, also those whom the same run was only creating."""
    named = [each["crm_id"] for each in verdict.detail.get("candidates", ())]
    fresh = [name.removeprefix(_FRESH) for name in named if name.startswith(_FRESH)]
    links = connection.state.links("customer", fresh)
    ids = (links.get(i.removeprefix(_FRESH)) if i.startswith(_FRESH) else i for i in named)
    return list(dict.fromkeys(i if isinstance(i, str) else i.crm_id for i in ids if i is not None))


_FRESH = "new:"


def choose(connection: Connection, till_id: str, choice: str, by: str) -> Chosen:
    """Link a customer in review to a person of the CRM, or create it ("new"); its receipts follow.

    Raises Mistaken.
    """
    known = connection.state.known("customer", [till_id]).get(till_id)
    if known is None:
        raise Mistaken(f"Customer {till_id} has never been seen here.")
    if known.state != "review":
        stands = f"it is {known.state.replace('_', ' ')}{f' ({known.reason})' if known.reason else ''}"
        raise Mistaken(f"Nobody has to decide about customer {till_id}: {stands}.")
    person = None if choice == "new" else _person(connection, choice)
    customer = _customers(connection, [till_id]).get(till_id)
    if customer is None:
        raise Mistaken(f"Lightspeed shows no customer {till_id} any more: there is nobody to link.")
    plan = plan_choice(connection, customer, person, by)
    plan.begin()
    Writer(connection).deliver(plan.rows, extra=plan.after, force=True)
    attached = _attach(connection, Counter())
    now = connection.state.known("customer", [till_id])[till_id]
    return Chosen(now.state, now.reason, now.crm_id, now.object, attached)


def _person(connection: Connection, crm_id: str) -> CrmPersonRow:
    refresh_people(connection)
    found = connection.people.get([crm_id]).get(crm_id) if len(crm_id) == _ID_LETTERS else None
    if found is None:
        raise Mistaken(
            f"Salesforce shows no account, contact or lead {crm_id} to Tillbridge; ids have {_ID_LETTERS} "
            "letters and digits. `tillbridge matches review` lists the candidates."
        )
    if found.converted:
        raise Mistaken(f"Lead {crm_id} was converted: choose the contact or account that it became.")
    return found


_ID_LETTERS = 18


def _customers(connection: Connection, ids: Sequence[str]) -> dict[str, Customer]:
    if not ids:
        return {}
    pages = connection.till.customers(Query(ids=tuple(ids)))
    return {customer.id: customer for page in pages for customer in page.rows}

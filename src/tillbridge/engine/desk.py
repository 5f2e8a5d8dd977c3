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
from tillbridge.engine.people import refresh_people
from tillbridge.engine.preflight import forget_objects
from tillbridge.engine.strangers import PARTED, plan_choice
from tillbridge.engine.sync import Slice, deliver, read_again, read_parents, send_waiting
from tillbridge.engine.writer import Writer
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.errors import SyncError
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer
from tillbridge.model.writing import FieldFacts, ObjectFacts
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.journal import IGNORED, OPEN, RESOLVED, Problem
from tillbridge.store.people import People, Verdict
from tillbridge.sync.match import match_keys
from tillbridge.sync.remedies import Edit, Remedy, typed

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
    send_waiting(connection, done.counts)
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


# --- decisions about values ----------------------------------------------------------------------


def prepare_edit(connection: Connection, problem: Problem, fields: dict[str, str]) -> None:
    """Set fields of one record by hand, until the till shows other values. Raises Mistaken."""
    if problem.state == RESOLVED:
        raise Mistaken(
            f"Problem {problem.id} is resolved: Salesforce has accepted the record, and nothing is left to "
            "edit. Correct the record in the till or in Salesforce."
        )
    held = _described(connection, problem.object)
    for name, text in fields.items():
        field = _field(connection, held, name)
        _check_value(field, text)
        if not text:
            _check_dispensable(held, field)
    before, sent = connection.journal.edit_of(problem), connection.journal.payload_of(problem) or {}
    instead = {name: sent.get(name) for name in fields} if sent else {}
    edit = Edit(
        {**before.fields, **{name: text or None for name, text in fields.items()}},
        {**instead, **before.instead},  # What was sent last may be what was set before.
    )
    with connection.state.begin() as c:
        connection.journal.edit(c, problem, edit)
        connection.journal.release(c, [problem.id])


def remove_edit(connection: Connection, problem: Problem) -> None:
    """Take back what was set by hand for one record, and send what the till shows. Raises Mistaken."""
    if not connection.journal.edit_of(problem).fields:
        raise Mistaken(f"Nothing was set by hand for problem {problem.id}: there is nothing to take back.")
    with connection.state.begin() as c:
        connection.journal.edit(c, problem, Edit())
        connection.journal.release(c, [problem.id])
        connection.state.doubt(c, problem.kind, [problem.till_id])
    found = Slice()
    read_again(connection, found, [problem])
    read_parents(connection, found)
    deliver(connection, found, force=False)


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
        if remedy.action == "default" and not remedy.given:
            raise Mistaken(f"A default for {remedy.field} needs a value.")
        if remedy.action != "leave_out":
            _check_value(field, remedy.given or "")
        if not remedy.given:
            _check_dispensable(facts, field)
    with connection.state.begin() as c:
        connection.journal.remedy(c, remedies)


# A picklist that lacks more values than these is asked to hold what is no list at all.
VALUES_ADDED_MAX = 20

_LACKS_VALUE = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
_LISTS = frozenset({"picklist", "multipicklist"})


def add_values(connection: Connection, example: Problem, field_name: str) -> list[str]:
    """Add to a picklist of the org what it was refused for lacking; return what was added.

    Nothing, when somebody has added it meanwhile. Raises Mistaken for what
    cannot be added, and what the CRM's port raises when we may not.
    """
    if example.code != _LACKS_VALUE:
        raise Mistaken(
            f"This cause is no value that a picklist lacks ({example.code}): a picklist cannot help it."
        )
    field = _field(connection, _described(connection, example.object), field_name)
    if field.type not in _LISTS:
        raise Mistaken(f"{example.object}.{field_name} is no picklist.")
    values = _lacked(connection, example.cause, field)
    if len(values) > VALUES_ADDED_MAX:
        raise Mistaken(
            f"{len(values)} different values are missing in {example.object}.{field_name}, such as "
            f"{', '.join(values[:3])}: that is no list. Lift its restriction in Salesforce, or use --replace."
        )
    if too_long := [value for value in values if 0 < field.length < len(value)]:
        raise Mistaken(f"{field_name} takes {field.length} characters: {too_long[0]} is longer.")
    if values:
        connection.crm.add_picklist_values(example.object, field_name, values)
        forget_objects(connection.state)
        shown = _field(connection, _described(connection, example.object), field_name).values
        if lost := sorted({*field.values, *values} - set(shown)):
            raise Mistaken(
                f"Salesforce took the change, and its picklist {example.object}.{field_name} does not show "
                f"{', '.join(lost)}: look at its values in Setup."
            )
    return values


def _lacked(connection: Connection, cause: str, field: FieldFacts) -> list[str]:
    """Return the values that records of a cause carry and the picklist lacks, the first seen first."""
    found: dict[str, None] = {}
    for problem in connection.journal.problems(cause=cause, states=(*OPEN, IGNORED)):
        sent = (connection.journal.payload_of(problem) or {}).get(field.name)
        # A bulk job keeps no payload; but the refusal ends with the value.
        text = sent if isinstance(sent, str) else problem.message.rpartition(": ")[2]
        parts = text.split(";") if field.type == "multipicklist" else [text]
        found.update(dict.fromkeys(part for part in map(str.strip, parts) if part))
    return [value for value in found if value not in field.values]


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


# A person account has a last name; the describe of Account, which holds companies too, does not say so.
# https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_account.htm
_PERSONS_NAME = ("Account", "LastName")


def _check_dispensable(held: ObjectFacts, field: FieldFacts) -> None:
    """Refuse to do without a field that the org wants of every record: they would be refused all the same."""
    if field.required or (held.name, field.name) == _PERSONS_NAME:
        raise Mistaken(
            f"Salesforce takes no {held.name} without {field.name}: send something else instead of it."
        )


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
    customers = read_customers(connection, [verdict.till_id for verdict in waiting])
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
    """Return a verdict's candidates, also those whom the same run was only creating.

    A duplicate rule need not say whom it found (fact sheet Salesforce 6.3): then whoever shares an
    e-mail, a phone or an address with the customer.
    """
    if not verdict.detail.get("candidates"):
        return look_alikes(connection.people, connection.arrivals, verdict)
    named = [each["crm_id"] for each in verdict.detail.get("candidates", ())]
    fresh = [name.removeprefix(_FRESH) for name in named if name.startswith(_FRESH)]
    links = connection.state.links("customer", fresh)
    ids = (links.get(i.removeprefix(_FRESH)) if i.startswith(_FRESH) else i for i in named)
    return list(dict.fromkeys(i if isinstance(i, str) else i.crm_id for i in ids if i is not None))


def look_alikes(people: People, arrivals: Arrivals, verdict: Verdict) -> list[str]:
    """Return the people of the CRM who share a match key with a customer, but for whom it is linked to."""
    return all_look_alikes(people, arrivals, [verdict]).get(verdict.till_id, [])


def all_look_alikes(people: People, arrivals: Arrivals, verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
    """Return the same of many customers at once; those whom the till shows no more are absent."""
    linked = {verdict.till_id: verdict.detail.get("crm_id") for verdict in verdicts}
    seekers = arrivals.people(linked)
    found = people.find({i: match_keys(seeker) for i, seeker in seekers.items()})
    return {
        i: [row.id for row in rows if row.id != linked[i] and not row.converted] for i, rows in found.items()
    }


_FRESH = "new:"


def choose(
    connection: Connection, till_id: str, choice: str, by: str, *, is_candidate: bool = False
) -> Chosen:
    """Link a customer in review to a person of the CRM, or create it ("new"); its receipts follow.

    `is_candidate`: only somebody whom the customer was shown beside will do. Raises Mistaken.
    """
    known = connection.state.known("customer", [till_id]).get(till_id)
    if known is None:
        raise Mistaken(f"Customer {till_id} has never been seen here.")
    if known.state != "review":
        stands = f"it is {known.state.replace('_', ' ')}{f' ({known.reason})' if known.reason else ''}"
        raise Mistaken(f"Nobody has to decide about customer {till_id}: {stands}.")
    if known.crm_id is not None:
        raise Mistaken(
            f"Customer {till_id} is linked to {known.object} {known.crm_id}, and Salesforce takes that for "
            "the same as another record: merge the two there (`tillbridge dedupe scan` finds them), or "
            "exempt our user from the duplicate rule; what waits is sent again by itself."
        )
    if is_candidate and choice != "new":
        _check_candidate(connection, till_id, choice)
    person = None if choice == "new" else _person(connection, choice)
    customer = read_customers(connection, [till_id]).get(till_id)
    if customer is None:
        raise Mistaken(f"Lightspeed shows no customer {till_id} any more: there is nobody to link.")
    plan = plan_choice(connection, customer, person, by)
    plan.begin()
    Writer(connection).deliver(plan.rows, extra=plan.after, force=True)
    attached = send_waiting(connection, Counter())
    now = connection.state.known("customer", [till_id])[till_id]
    return Chosen(now.state, now.reason, now.crm_id, now.object, attached)


def _check_candidate(connection: Connection, till_id: str, crm_id: str) -> None:
    verdict = connection.people.verdicts([till_id]).get(till_id)
    shown: set[str] = set()
    if verdict is not None:
        rejected = (each["crm_id"] for each in verdict.detail.get("rejected", ()))
        shown = {*candidate_ids(connection, verdict), *rejected, *verdict.detail.get(PARTED, ())}
    if crm_id not in shown:
        raise Mistaken(
            f"{crm_id} is nobody whom customer {till_id} was found to be like. If it is them all the same, "
            'say so: "other" over the API, `tillbridge matches choose` on the command line.'
        )


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


def read_customers(connection: Connection, ids: Sequence[str]) -> dict[str, Customer]:
    """Read these customers from the till as they are now."""
    if not ids:
        return {}
    pages = connection.till.customers(Query(ids=tuple(ids)))
    return {customer.id: customer for page in pages for customer in page.rows}

"""One person: both sides beside each other, where each value came from, why they are linked.

A person is a record of the CRM with all till records that are linked to it, or
one till record that is linked to nobody yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from tillbridge.alerts import INSTANCE
from tillbridge.engine.desk import look_alikes
from tillbridge.engine.directory import dial_region, kept_directory
from tillbridge.engine.identities import confirmed_by
from tillbridge.engine.sync import LISTENS
from tillbridge.model.answers import CrmPersonRow
from tillbridge.store import schema
from tillbridge.store.arrivals import Arrival
from tillbridge.store.changes import Change, Contested
from tillbridge.store.erasing import aliases_of
from tillbridge.store.lists import among
from tillbridge.store.people import Verdict
from tillbridge.store.plans import HELD, OPEN
from tillbridge.store.verified import MERGED_CRM, Verified
from tillbridge.sync.alike import Alike, blank, same_text
from tillbridge.sync.fieldmap import FieldMap
from tillbridge.sync.fieldmap import key as key_of
from tillbridge.sync.match import Person
from tillbridge.sync.reconcile import Mode
from tillbridge.views.books import Memory
from tillbridge.views.customers import Entry, SideOf, crm_side, entry_of, till_side
from tillbridge.views.duplicates import Twin, till_link, twins
from tillbridge.views.figures import Stores, moment, moment_of, money
from tillbridge.views.kinds import (
    Kind,
    comparisons,
    kinds_of_people,
    opt_outs,
    tables_of_people,
    ways_back,
)
from tillbridge.views.problems import ProblemLine, problem_line
from tillbridge.views.sales import SaleLine, lines_of
from tillbridge.views.traits import Traits, beside, traits_of
from tillbridge.wiring import settings_of

_record, _receipt, _bought, _run = schema.record, schema.receipt, schema.bought, schema.run

# In a shadow of the CRM's side: which fields have not been read back yet. It is no field itself.
_NOTE = "~"
_CRM_ID_LETTERS = (15, 18)
# Values that people are shown as what they are: however each side writes one, it reads the same.
_READ_AS_VALUES: frozenset[Kind] = frozenset({"flag", "moment", "day", "amount", "number"})
_RECEIPTS = 25
_HISTORY = 200

# How two values of a field stand to each other: equal, equal in all but their spelling, each as it was
# when we last compared them, on one side only, or moved and not carried yet.
Agreement = Literal["same", "spelling", "kept", "one side", "differ"]


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """A value that we replaced on one side."""

    change: int
    side: str
    before: str | None
    after: str | None
    why: str
    at: datetime
    run: int | None
    undone_by: int | None


class PastChange(msgspec.Struct, frozen=True, kw_only=True):
    """A value that we replaced, and the field that it stood in."""

    field: str
    kind: Kind
    earlier: Earlier


class FieldOf(msgspec.Struct, frozen=True, kw_only=True):
    """One field on both sides. `source`: the side that it came from; `how` in words.

    `agreement`: how both values stand to each other, and in `stands` why two that differ are left alone;
    `agrees` where they are one value to whoever compares them. `authority`: whose value counts when both
    sides have moved it. `moved_from`, `moved_to`: the field in which this value stood before, and the
    one in which its former value stands since.
    """

    field: str
    kind: Kind
    till: str | None
    crm: str | None
    agrees: bool
    agreement: Agreement
    stands: str | None
    source: str | None
    how: str
    at: datetime | None
    run: int | None
    conflict: int | None
    authority: str
    moved_from: str | None
    moved_to: str | None
    earlier: list[Earlier]


class TillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One of a person's till records, and why it is linked."""

    side: SideOf
    role: str | None
    state: str | None
    reason: str | None
    rule: str | None
    evidence: str | None
    confirmed_by: str | None
    decided_at: datetime | None
    left_behind: SideOf | None
    merged_into: str | None
    run: int | None
    link: str


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the CRM whom the customer may be, or was found not to be."""

    side: SideOf
    link: str | None
    why: str | None
    rule: str | None
    turned_down: bool


class ConflictOf(msgspec.Struct, frozen=True, kw_only=True):
    """A field that both sides have moved. `seen`: the mark of the two values, for whoever decides."""

    id: int
    record: str
    field: str
    kind: Kind
    till: str | None
    crm: str | None
    state: str
    winner: str | None
    decided_by: str | None
    noticed_at: datetime
    seen: str


class HeldChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an open plan would write to this person, and waits for somebody to approve."""

    plan: int
    reasons: list[str]
    action: str
    fields: dict[str, tuple[str | None, str | None]]


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has bought, added up; of the stores that may be seen."""

    receipts: int
    total: Decimal
    net: Decimal
    first_day: str | None
    last_day: str | None


class ArrivalOf(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody of the CRM stands on the way into the till."""

    state: str
    reason: str | None
    confirmed_by: str | None
    at: datetime
    candidates: list[ArrivalCandidate]


class ArrivalCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A customer of the till whom somebody of the CRM may be."""

    till_id: str
    name: str | None
    why: str | None


class PersonPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one person.

    `follows_crm`: whether what people edit in the CRM is read; where not, its side is as of
    `crm_changed_at`, or as we wrote it since. `apart`: why no values flow along the link. `shown`: what each
    side last showed of them, the till's first, where no fields were compared.
    """

    id: str
    key: str | None
    name: str
    state: str
    reason: str | None
    crm: SideOf | None
    crm_account: str | None
    link: str | None
    crm_changed_at: datetime | None
    follows_crm: bool
    records: list[TillRecord]
    fields: list[FieldOf]
    apart: str | None
    shown: list[Traits]
    candidates: list[Candidate]
    conflicts: list[ConflictOf]
    held: list[HeldChange]
    problems: list[ProblemLine]
    bought: Bought
    currency: str
    receipts: list[SaleLine]
    history: list[PastChange]
    arrival: ArrivalOf | None
    twins: list[Twin]
    entry: Entry | None
    run: int | None
    moved_at: datetime | None
    till_changed_at: datetime | None
    identity: str | None
    waits_for: list[str]


def person(
    books: Memory,
    text: str,
    *,
    stores: Stores = None,
    read: Mapping[str, Mapping[str, str | None]] | None = None,
) -> PersonPage | None:
    """Return a person by the till's number, our key or the CRM's id; None when nobody is to be seen.

    `read`: what the till shows just now, by customer, for whoever has asked it.
    """
    till_id, crm_id = whom(books, text)
    known = books.state.known("customer", [till_id]).get(till_id) if till_id else None
    crm_id = crm_id or (known.crm_id if known else None)
    row = books.people.get([crm_id]).get(crm_id) if crm_id else None
    arrival = books.arrivals.get([crm_id]).get(crm_id) if crm_id else None
    if known is None and row is None and arrival is None:
        return None
    records = records_of(books, till_id if known else None, crm_id)
    if stores is not None and not _may_see(books, records, stores):
        return None
    verdicts = books.people.verdicts(records)
    shown = books.arrivals.people(records)
    contested = [c for by_field in books.changes.contested(records).values() for c in by_field.values()]
    changes = books.changes.of(records)
    place = (books.state.fact(INSTANCE) or "").rstrip("/")
    first = till_id if known else (records[0] if records else None)
    till_named = till_side(first, shown.get(first)) if first else None
    crm = crm_side(crm_id, row, known.object if known else None) if crm_id else None
    name = (till_named.name if till_named else None) or (crm.name if crm else None)
    standing, tables = _standing(books, first), tables_of_people(books.config)
    kinds = kinds_of_people(tables, books.config)
    fields = _fields(
        books,
        _Sides(
            first,
            shadows_of(books, first, read),
            shadows_of(books, first, None),
            row,
            changes,
            verdicts.get(first or ""),
            contested,
        ),
        kinds,
        tables,
    )
    return PersonPage(
        id=first or crm_id or text,
        key=_key(books, first),
        name=name or f"Customer {first or crm_id}",
        state=known.state if known else (arrival.state if arrival else "unsynced"),
        reason=known.reason if known else (arrival.reason if arrival else None),
        crm=crm,
        crm_account=known.crm_parent if known else None,
        link=f"{place}/{crm_id}" if place and crm_id else None,
        crm_changed_at=row.changed_at if row else None,
        follows_crm=books.config.customers.mode in LISTENS,
        records=_records(books, records, verdicts, shown),
        fields=fields,
        apart=_apart(books, row, tables) if known else None,
        shown=[] if fields else _shown(first, shown.get(first or ""), row),
        # Whom else they may be, may have bought in stores that are not to be seen.
        candidates=_candidates(books, verdicts.get(first or ""), place) if stores is None else [],
        conflicts=[_conflict(c, kinds) for c in contested],
        held=_held(books, {*records, *filter(None, [crm_id])}),
        problems=[problem_line(p) for i in records for p in books.journal.problems_of("customer", i)],
        bought=_bought_of(books, records, stores),
        currency=books.names().currency,
        receipts=_receipts_of(books, records, stores),
        history=[
            PastChange(field=each.field, kind=kinds.get(each.field, "text"), earlier=_earlier(each))
            for each in reversed(changes[-_HISTORY:])
        ],
        arrival=_arrival(arrival, stores) if arrival else None,
        twins=twins(books, records, crm_id) if stores is None else [],
        entry=entry_of(books, row, arrival) if row is not None and not records else None,
        run=standing.run if standing else None,
        moved_at=moment(standing.moved_at) if standing else None,
        till_changed_at=moment(standing.till_stamp) if standing else None,
        identity=_identity(books, first),
        waits_for=_waits_for(books, first),
    )


def _standing(books: Memory, first: str | None) -> sa.Row[Any] | None:
    columns = [_record.c[name] for name in ("run", "moved_at", "till_stamp")]
    with books.look() as c:
        own = (_record.c.kind == "customer", _record.c.till_id == first)
        return c.execute(sa.select(*columns).where(*own)).first()


def _identity(books: Memory, first: str | None) -> str | None:
    found = books.state.known("identity", [first]).get(first) if first else None
    return found.crm_id if found else None


def _waits_for(books: Memory, first: str | None) -> list[str]:
    missing = books.state.missing_of("customer", first) if first else []
    return list(
        dict.fromkeys(f"{m.parent_kind} {m.parent_id} ({m.kind} {m.till_id}.{m.field})" for m in missing)
    )


def _conflict(each: Contested, kinds: Mapping[str, Kind]) -> ConflictOf:
    return ConflictOf(
        id=each.id,
        record=each.till_id,
        field=each.field,
        kind=kinds.get(each.field, "text"),
        till=each.till,
        crm=each.crm,
        state=each.state,
        winner=each.winner,
        decided_by=each.decided_by,
        noticed_at=moment_of(each.noticed_at),
        seen=each.mark,
    )


def _arrival(arrival: Arrival, stores: Stores) -> ArrivalOf:
    return ArrivalOf(
        state=arrival.state,
        reason=arrival.reason,
        confirmed_by=arrival.detail.get("confirmed_by"),
        at=moment_of(arrival.moved_at),
        candidates=[
            ArrivalCandidate(
                till_id=str(each["till_id"]),
                name=each.get("name"),
                why=", ".join(filter(None, (each.get("rule"), each.get("names"), each.get("what")))) or None,
            )
            for each in arrival.detail.get("candidates", ())
            if stores is None
        ],
    )


# --- whom an id means ----------------------------------------------------------------------------


def whom(books: Memory, text: str) -> tuple[str | None, str | None]:
    """Say whom an id means: (till id, CRM id). A CRM record is known by the first till record it has."""
    text = text.strip()
    number = text.removeprefix(_key(books, "") or "\0")
    if number.isdecimal() or len(text) not in _CRM_ID_LETTERS:
        return number, None
    crm_id = long_id(text)
    seen = {crm_id}
    while (now := Verified(books.state).aliases(MERGED_CRM, [crm_id]).get(crm_id)) and now not in seen:
        crm_id = now
        seen.add(now)
    ids = books.state.linked_to([crm_id]).get(crm_id, [])
    known = books.state.known("customer", ids)
    first = sorted(ids, key=lambda i: (known[i].role == "second", len(i), i))
    return (first[0] if first else None), crm_id


def long_id(text: str) -> str:
    """Return a record's id of 18 letters: three more say which of the others are capitals."""
    if len(text) == max(_CRM_ID_LETTERS):
        return text
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    parts = (text[n : n + 5] for n in range(0, 15, 5))
    return text + "".join(letters[sum(1 << n for n, c in enumerate(part) if c.isupper())] for part in parts)


def _key(books: Memory, till_id: str | None) -> str | None:
    return None if till_id is None else key_of(books.config.lightspeed.account_id, "customer", till_id)


def records_of(books: Memory, till_id: str | None, crm_id: str | None) -> list[str]:
    """Return all till records of a person: linked ones, and old ids of merges."""
    linked = books.state.linked_to([crm_id]).get(crm_id, []) if crm_id else []
    ids = aliases_of(books.state, "customer", filter(None, [till_id, *linked]))
    return sorted(ids, key=lambda i: (len(i), i))


def _may_see(books: Memory, records: Collection[str], stores: Collection[str]) -> bool:
    """Say whether somebody has bought in one of these stores."""
    with books.look() as c:
        where = (among(_bought.c.customer, records), _bought.c.store.in_(sorted(stores)))
        return c.execute(sa.select(_bought.c.customer).where(*where).limit(1)).first() is not None


# --- why, and what else ---------------------------------------------------------------------------


def _records(
    books: Memory, records: Sequence[str], verdicts: Mapping[str, Verdict], shown: Mapping[str, Any]
) -> list[TillRecord]:
    known = books.state.known("customer", records)
    merged = Verified(books.state).aliases("customer", records)
    with books.look() as c:
        asked = sa.select(_record.c.till_id, _record.c.run)
        runs = {
            row.till_id: row.run
            for row in c.execute(asked.where(_record.c.kind == "customer", among(_record.c.till_id, records)))
        }
    found = []
    for i in records:
        own, verdict = known.get(i), verdicts.get(i)
        detail: Mapping[str, Any] = verdict.detail if verdict else {}
        found.append(
            TillRecord(
                side=till_side(i, shown.get(i)),
                role=own.role if own else None,
                state=own.state if own else None,
                reason=own.reason if own else None,
                rule=(verdict.rule or verdict.outcome) if verdict else None,
                evidence=detail.get("evidence") or detail.get("reason"),
                confirmed_by=confirmed_by(verdict) if verdict else None,
                decided_at=moment(verdict.made_at) if verdict else None,
                left_behind=_left_behind(detail),
                merged_into=merged.get(i),
                run=runs.get(i),
                link=till_link(books.config.lightspeed.auth_url, i),
            )
        )
    return found


def _left_behind(detail: Mapping[str, Any]) -> SideOf | None:
    left = detail.get("left_behind")
    return crm_side(left["crm_id"], None, left["object"]) if left else None


def _candidates(books: Memory, verdict: Verdict | None, place: str) -> list[Candidate]:
    if verdict is None:
        return []
    listed = [(each, False) for each in verdict.detail.get("candidates", ())]
    listed += [(each, True) for each in verdict.detail.get("rejected", ())]
    named = [(_resolved(books, str(each["crm_id"])), each, down) for each, down in listed]
    if verdict.outcome == "review" and not listed:
        named = [(i, {}, False) for i in look_alikes(books.people, books.arrivals, verdict)]
    people = books.people.get({crm_id for crm_id, _, _ in named if crm_id})
    return [
        Candidate(
            side=crm_side(crm_id, people.get(crm_id), each.get("object")),
            link=f"{place}/{crm_id}" if place else None,
            why=each.get("what") or each.get("why"),
            rule=", ".join(filter(None, (each.get("rule"), each.get("names")))) or None,
            turned_down=down,
        )
        for crm_id, each, down in named
        if crm_id
    ]


def _resolved(books: Memory, crm_id: str) -> str | None:
    """Return a candidate's id, also of somebody whom the same run was only creating."""
    fresh = crm_id.removeprefix("new:")
    if fresh == crm_id:
        return crm_id
    link = books.state.links("customer", [fresh]).get(fresh)
    return link.crm_id if link else None


def _held(books: Memory, ids: set[str]) -> list[HeldChange]:
    return [
        HeldChange(plan=plan.id, reasons=list(plan.reasons), action=entry.action, fields=dict(entry.fields))
        for plan in books.plans.in_state(OPEN)
        if plan.why == HELD
        for entry in plan.entries
        if ids.intersection(filter(None, (entry.till_id, entry.crm_id)))
    ]


def _bought_of(books: Memory, records: Collection[str], stores: Stores) -> Bought:
    where = [among(_receipt.c.customer, records), _receipt.c.status == "completed"]
    where += [] if stores is None else [_receipt.c.store.in_(sorted(stores))]
    sums = sa.select(
        sa.func.count(),
        sa.func.sum(_receipt.c.total),
        sa.func.sum(_receipt.c.net),
        sa.func.min(_receipt.c.day),
        sa.func.max(_receipt.c.day),
    )
    with books.look() as c:
        count, total, net, first, last = c.execute(sums.where(*where)).one()
    return Bought(
        receipts=count, total=money(int(total or 0)), net=money(int(net or 0)), first_day=first, last_day=last
    )


def _receipts_of(books: Memory, records: Collection[str], stores: Stores) -> list[SaleLine]:
    where = [among(_receipt.c.customer, records)]
    where += [] if stores is None else [_receipt.c.store.in_(sorted(stores))]
    statement = sa.select(_receipt).where(*where).order_by(_receipt.c.at.desc()).limit(_RECEIPTS)
    with books.look() as c:
        rows = c.execute(statement).all()
    return lines_of(books, rows)


# --- where values came from -----------------------------------------------------------------------


class _Sides(NamedTuple):
    """What is known of a person's values: both shadows, the CRM's record, and what was changed."""

    first: str | None
    shadows: Mapping[str, Mapping[str, str | None]]
    compared: Mapping[str, Mapping[str, str | None]]  # the shadows as they were when both were last compared
    row: CrmPersonRow | None
    changes: Sequence[Change]
    verdict: Verdict | None
    contested: Sequence[Contested]


def shadows_of(
    books: Memory, first: str | None, read: Mapping[str, Mapping[str, str | None]] | None
) -> Mapping[str, Mapping[str, str | None]]:
    """Return what each side shows of a customer as far as we know; the till's own word before ours."""
    shadows = books.people.shadows([first]).get(first, {}) if first else {}
    return {**shadows, "till": read[first]} if first and read and first in read else shadows


def _fields(
    books: Memory, sides: _Sides, kinds: Mapping[str, Kind], tables: Sequence[FieldMap]
) -> list[FieldOf]:
    till: dict[str, str | None] = dict(sides.shadows.get("till", {}))
    agreed = dict(sides.shadows.get("crm", {}))
    crm: dict[str, str | None] = {n: v for n, v in agreed.items() if n[:1] != _NOTE}
    if sides.row is not None:
        crm.update(sides.row.fields)
    if not till and not crm:
        return []  # They are linked to nobody, as after they were taken apart: there is nothing to compare.
    by_field: dict[str, list[Change]] = {}
    for change in sides.changes:
        by_field.setdefault(change.field, []).append(change)
    contested = {each.field: each.id for each in sides.contested}
    moves = _moves(sides.changes)
    likeness = _Likeness(books, tables, sides.compared)
    key, found = _key(books, sides.first), []
    for name in sorted({*till, *crm, *by_field}):
        own, other, moved = till.get(name), crm.get(name), by_field.get(name, [])
        if (own is None and other is None and not moved) or own == key:
            continue  # Our own key is no value of theirs.
        kind = kinds.get(name, "text")
        source, how, at, run = _origin(sides.verdict, own, other, moved, likeness.alike(name))
        agreement = likeness.of(name, own, other)
        if agreement == "spelling" and kind in _READ_AS_VALUES:
            agreement = "same"
        found.append(
            FieldOf(
                field=name,
                kind=kind,
                till=own,
                crm=other,
                agrees=agreement in {"same", "spelling"},
                agreement=agreement,
                stands=likeness.why(name) if agreement == "kept" else None,
                source=source,
                how=how,
                at=at,
                run=run,
                conflict=contested.get(name),
                authority=books.config.customers.authority.get(name, books.config.customers.other_authority),
                moved_from=next((a for a, b in moves if b == name and a != name), None),
                moved_to=next((b for a, b in moves if a == name and b != name), None),
                earlier=[_earlier(each) for each in reversed(moved)],
            )
        )
    return found


def _apart(books: Memory, row: CrmPersonRow | None, tables: Sequence[FieldMap]) -> str | None:
    """Say why no values flow between somebody of the till and the record that they are linked to."""
    if row is None:
        return None
    if books.config.customers.mode == "link_only":
        return _LEFT["link_only"]
    if row.object in {table.object for table in tables}:
        return None
    return (
        f"Salesforce keeps them as {row.object}, and customers are written as {tables[0].object} here: "
        "receipts arrive, values do not flow."
    )


def _shown(first: str | None, till: Person | None, row: CrmPersonRow | None) -> list[Traits]:
    """Return what each side last showed of somebody whose fields were not compared."""
    own = traits_of(till, first) if till is not None and first else None
    other = traits_of(row, row.id, of=row.object) if row is not None else None
    return [*filter(None, [own]), *beside(own, [*filter(None, [other])])]


class _Likeness:
    """How both sides' values stand to each other, by the comparisons that the sync decides with."""

    def __init__(
        self, books: Memory, tables: Sequence[FieldMap], compared: Mapping[str, Mapping[str, str | None]]
    ) -> None:
        region = dial_region(kept_directory(books.people), settings_of(books.config))
        self._alike: Mapping[str, Alike] = comparisons(tables, books.config, region)
        self._ways = ways_back(tables)
        self._opt_outs = opt_outs(tables) & self._ways
        self._mode = books.config.customers.mode
        self._till, self._crm = compared.get("till", {}), compared.get("crm", {})

    def alike(self, name: str) -> Alike:
        """Return how values of a field are compared."""
        return self._alike.get(name, same_text)

    def of(self, name: str, till: str | None, crm: str | None) -> Agreement:
        """Say how two values stand to each other."""
        alike = self.alike(name)
        if till == crm:
            return "same"
        if alike(till, crm):
            return "spelling"
        if blank(till) or blank(crm):
            return "one side"
        stay = alike(till, self._till.get(name)) and alike(crm, self._crm.get(name))
        return "kept" if stay else "differ"

    def why(self, name: str) -> str:
        """Say why two values that differ are left as they are."""
        if name in self._opt_outs and self._mode in _OPT_OUT:
            return _OPT_OUT[self._mode]
        if name not in self._ways and self._mode in _NO_WAY_BACK:
            return _NO_WAY_BACK[self._mode]
        return _LEFT[self._mode]


# Why values that differ are left alone while nobody edits either.
_LEFT: Mapping[Mode, str] = {
    "two_way": "Neither was edited since they were last compared; the next edit is carried across.",
    "till_to_crm": "The next edit in Lightspeed is carried across; nothing flows back into it here.",
    "crm_to_till": "The next edit in Salesforce is carried across; nothing flows from Lightspeed here.",
    "link_only": "Customers are only linked here: no value flows.",
    "fill_blanks": "Only empty fields are filled here.",
}

# The same of a field that no edit in Salesforce leaves.
_NO_WAY_BACK: Mapping[Mode, str] = {
    "two_way": "This field has no way back into Lightspeed: an edit in Salesforce stays there, and "
    "Lightspeed's next edit is carried across.",
    "crm_to_till": "This field has no way back into Lightspeed, and nothing flows from Lightspeed here.",
}

# The same of a field by which somebody says no.
_OPT_OUT: Mapping[Mode, str] = {
    "two_way": "An opt-out is carried when it is newly said, never when it is taken back.",
    "till_to_crm": "An opt-out newly said in Lightspeed is carried across; one taken back is not, and "
    "nothing flows back into it.",
    "crm_to_till": "An opt-out newly said in Salesforce is carried across; one taken back is not, and "
    "nothing flows from Lightspeed.",
}


def _moves(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return which values went from one field to another, as (from, to): an e-mail from its second slot.

    One run wrote both fields, and what it took out of the one is what it put into the other. Only
    the last change of each field counts: what came after it is another story.
    """
    last = {(each.side, each.field): each for each in changes if each.undone_by is None}
    taken = {
        (each.side, each.run, (each.before or "").casefold()): each.field
        for each in last.values()
        if each.before
    }
    found = []
    for (side, field), each in last.items():
        source = taken.get((side, each.run, each.after.casefold())) if each.after else None
        if source is not None and source != field:
            found.append((source, field))
    return found


def _origin(
    verdict: Verdict | None, till: str | None, crm: str | None, changes: Sequence[Change], alike: Alike
) -> tuple[str | None, str, datetime | None, int | None]:
    """Say which side a value came from, how, when, and by which run of ours."""
    last = next((each for each in reversed(changes) if each.undone_by is None), None)
    if last is not None and alike(last.after, crm if last.side == "crm" else till):
        return "till" if last.side == "crm" else "crm", last.why, moment(last.made_at), last.run
    if last is not None:
        return last.side, "edited there since", None, None
    if till is None or crm is None:
        return ("crm" if till is None else "till"), "only there", None, None
    made = moment(verdict.made_at) if verdict else None
    if verdict is not None and verdict.outcome == "created":
        return "till", "created from it", made, None
    if verdict is not None and verdict.rule == "created":
        return "crm", "created from it", made, None
    return None, "was there when they were linked", made, None


def _earlier(change: Change) -> Earlier:
    return Earlier(
        change=change.id,
        side=change.side,
        before=change.before,
        after=change.after,
        why=change.why,
        at=moment_of(change.made_at),
        run=change.run,
        undone_by=change.undone_by,
    )

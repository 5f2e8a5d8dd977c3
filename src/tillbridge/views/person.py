"""One person: both sides beside each other, where each value came from, why they are linked.

A person is a record of the CRM with all till records that are linked to it, or
one till record that is linked to nobody yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.alerts import INSTANCE
from tillbridge.engine.identities import confirmed_by
from tillbridge.model.answers import CrmPersonRow
from tillbridge.store import schema
from tillbridge.store.changes import Change
from tillbridge.store.erasing import aliases_of
from tillbridge.store.lists import among
from tillbridge.store.people import Verdict
from tillbridge.store.verified import MERGED_CRM, Verified
from tillbridge.sync.fieldmap import key as key_of
from tillbridge.views.books import Books
from tillbridge.views.customers import SideOf, crm_side, till_side
from tillbridge.views.figures import Stores, moment, moment_of, money
from tillbridge.views.problems import ProblemLine, problem_line
from tillbridge.views.sales import SaleLine, lines_of

_record, _receipt, _bought, _run = schema.record, schema.receipt, schema.bought, schema.run

# In a shadow of the CRM's side: which fields have not been read back yet. It is no field itself.
_NOTE = "~"
_CRM_ID_LETTERS = (15, 18)
_RECEIPTS = 25
_HISTORY = 200


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


class FieldOf(msgspec.Struct, frozen=True, kw_only=True):
    """One field on both sides. `source`: the side that it came from; `how` in words."""

    field: str
    till: str | None
    crm: str | None
    agrees: bool
    source: str | None
    how: str
    at: datetime | None
    run: int | None
    conflict: int | None
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
    merged_into: str | None
    run: int | None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the CRM whom the customer may be, or was found not to be."""

    side: SideOf
    link: str | None
    why: str | None
    turned_down: bool


class ConflictOf(msgspec.Struct, frozen=True, kw_only=True):
    """A field that both sides have moved."""

    id: int
    record: str
    field: str
    till: str | None
    crm: str | None
    state: str
    winner: str | None
    decided_by: str | None
    noticed_at: datetime


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


class PersonPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one person."""

    id: str
    key: str | None
    name: str
    state: str
    reason: str | None
    crm: SideOf | None
    crm_account: str | None
    link: str | None
    crm_changed_at: datetime | None
    records: list[TillRecord]
    fields: list[FieldOf]
    candidates: list[Candidate]
    conflicts: list[ConflictOf]
    held: list[HeldChange]
    problems: list[ProblemLine]
    bought: Bought
    receipts: list[SaleLine]
    history: list[Earlier]
    arrival: str | None


def person(books: Books, text: str, *, stores: Stores = None) -> PersonPage | None:
    """Return a person by the till's number, our key or the CRM's id; None when nobody is to be seen."""
    till_id, crm_id = whom(books, text)
    known = books.state.known("customer", [till_id]).get(till_id) if till_id else None
    crm_id = crm_id or (known.crm_id if known else None)
    row = books.people.get([crm_id]).get(crm_id) if crm_id else None
    if known is None and row is None:
        return None
    records = _till_ids(books, till_id, crm_id)
    if stores is not None and not _may_see(books, records, stores):
        return None
    verdicts = books.people.verdicts(records)
    shown = books.arrivals.people(records)
    arrival = books.arrivals.get([crm_id]).get(crm_id) if crm_id else None
    contested = [c for by_field in books.changes.contested(records).values() for c in by_field.values()]
    changes = books.changes.of(records)
    place = (books.state.fact(INSTANCE) or "").rstrip("/")
    first = till_id or (records[0] if records else None)
    till_named = till_side(first, shown.get(first)) if first else None
    crm = crm_side(crm_id, row, known.object if known else None) if crm_id else None
    name = (till_named.name if till_named else None) or (crm.name if crm else None)
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
        records=_records(books, records, verdicts, shown),
        fields=_fields(books, first, records, row, changes, verdicts, {c.field: c.id for c in contested}),
        candidates=_candidates(books, verdicts.get(first or ""), place),
        conflicts=[
            ConflictOf(
                id=c.id,
                record=c.till_id,
                field=c.field,
                till=c.till,
                crm=c.crm,
                state=c.state,
                winner=c.winner,
                decided_by=c.decided_by,
                noticed_at=moment_of(c.noticed_at),
            )
            for c in contested
        ],
        held=_held(books, {*records, *filter(None, [crm_id])}),
        problems=[problem_line(p) for i in records for p in books.journal.problems_of("customer", i)],
        bought=_bought_of(books, records, stores),
        receipts=_receipts_of(books, records, stores),
        history=[_earlier(each) for each in reversed(changes[-_HISTORY:])],
        arrival=arrival.state if arrival else None,
    )


# --- whom an id means ----------------------------------------------------------------------------


def whom(books: Books, text: str) -> tuple[str | None, str | None]:
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


def _key(books: Books, till_id: str | None) -> str | None:
    return None if till_id is None else key_of(books.config.lightspeed.account_id, "customer", till_id)


def _till_ids(books: Books, till_id: str | None, crm_id: str | None) -> list[str]:
    ids = {
        *([till_id] if till_id else ()),
        *books.state.linked_to([crm_id] if crm_id else []).get(crm_id or "", []),
    }
    if ids:
        ids |= aliases_of(books.state, "customer", ids)
    return sorted(ids, key=lambda i: (len(i), i))


def _may_see(books: Books, records: Collection[str], stores: Collection[str]) -> bool:
    """Say whether somebody has bought in one of these stores."""
    with books.look() as c:
        where = (among(_bought.c.customer, records), _bought.c.store.in_(sorted(stores)))
        return c.execute(sa.select(_bought.c.customer).where(*where).limit(1)).first() is not None


# --- why, and what else ---------------------------------------------------------------------------


def _records(
    books: Books, records: Sequence[str], verdicts: Mapping[str, Verdict], shown: Mapping[str, Any]
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
                merged_into=merged.get(i),
                run=runs.get(i),
            )
        )
    return found


def _candidates(books: Books, verdict: Verdict | None, place: str) -> list[Candidate]:
    if verdict is None:
        return []
    listed = [(each, False) for each in verdict.detail.get("candidates", ())]
    listed += [(each, True) for each in verdict.detail.get("rejected", ())]
    named = [(_resolved(books, str(each["crm_id"])), each, down) for each, down in listed]
    if verdict.outcome == "review" and not listed:
        from tillbridge.engine.desk import look_alikes

        named = [(i, {}, False) for i in look_alikes(books.people, books.arrivals, verdict)]
    people = books.people.get({crm_id for crm_id, _, _ in named if crm_id})
    return [
        Candidate(
            side=crm_side(crm_id, people.get(crm_id), each.get("object")),
            link=f"{place}/{crm_id}" if place else None,
            why=each.get("what") or each.get("why"),
            turned_down=down,
        )
        for crm_id, each, down in named
        if crm_id
    ]


def _resolved(books: Books, crm_id: str) -> str | None:
    """Return a candidate's id, also of somebody whom the same run was only creating."""
    fresh = crm_id.removeprefix("new:")
    if fresh == crm_id:
        return crm_id
    link = books.state.links("customer", [fresh]).get(fresh)
    return link.crm_id if link else None


def _held(books: Books, ids: set[str]) -> list[HeldChange]:
    from tillbridge.store.plans import HELD, OPEN

    return [
        HeldChange(plan=plan.id, reasons=list(plan.reasons), action=entry.action, fields=dict(entry.fields))
        for plan in books.plans.in_state(OPEN)
        if plan.why == HELD
        for entry in plan.entries
        if ids.intersection(filter(None, (entry.till_id, entry.crm_id)))
    ]


def _bought_of(books: Books, records: Collection[str], stores: Stores) -> Bought:
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


def _receipts_of(books: Books, records: Collection[str], stores: Stores) -> list[SaleLine]:
    where = [among(_receipt.c.customer, records)]
    where += [] if stores is None else [_receipt.c.store.in_(sorted(stores))]
    statement = sa.select(_receipt).where(*where).order_by(_receipt.c.at.desc()).limit(_RECEIPTS)
    with books.look() as c:
        rows = c.execute(statement).all()
    return lines_of(books, rows)


# --- where values came from -----------------------------------------------------------------------


def _fields(
    books: Books,
    first: str | None,
    records: Sequence[str],
    row: CrmPersonRow | None,
    changes: Sequence[Change],
    verdicts: Mapping[str, Verdict],
    contested: Mapping[str, int],
) -> list[FieldOf]:
    shadows = books.people.shadows(records).get(first or "", {})
    till: dict[str, str | None] = dict(shadows.get("till", {}))
    agreed = dict(shadows.get("crm", {}))
    crm: dict[str, str | None] = {n: v for n, v in shadows.get("crm", {}).items() if n[:1] != _NOTE}
    if row is not None:
        crm.update(row.fields)
    by_field: dict[str, list[Change]] = {}
    for change in changes:
        by_field.setdefault(change.field, []).append(change)
    key, found = _key(books, first), []
    for name in sorted({*till, *crm, *by_field}):
        own, other, moved = till.get(name), crm.get(name), by_field.get(name, [])
        if (own is None and other is None and not moved) or own == key:
            continue  # Our own key is no value of theirs.
        source, how, at, run = _origin(verdicts.get(first or ""), own, other, moved)
        found.append(
            FieldOf(
                field=name,
                till=own,
                crm=other,
                # Each side may spell the same value its own way: what both had agreed on still counts.
                agrees=own == other or (own is not None and other is not None and agreed.get(name) == other),
                source=source,
                how=how,
                at=at,
                run=run,
                conflict=contested.get(name),
                earlier=[_earlier(each) for each in reversed(moved)],
            )
        )
    return found


def _origin(
    verdict: Verdict | None, till: str | None, crm: str | None, changes: Sequence[Change]
) -> tuple[str | None, str, datetime | None, int | None]:
    """Say which side a value came from, how, when, and by which run of ours."""
    last = next((each for each in reversed(changes) if each.undone_by is None), None)
    if last is not None and last.after == (crm if last.side == "crm" else till):
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

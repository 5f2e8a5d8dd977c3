"""What waits for a person about people: customers in review, newcomers from the CRM, fields in conflict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from tillbridge.alerts import INSTANCE
from tillbridge.engine.desk import all_look_alikes
from tillbridge.model.answers import CrmPersonRow
from tillbridge.store import schema
from tillbridge.store.arrivals import Arrival
from tillbridge.store.changes import OPEN, Contested
from tillbridge.store.people import Verdict
from tillbridge.store.state import Link
from tillbridge.sync.match import Person
from tillbridge.views.books import Books
from tillbridge.views.customers import name_of
from tillbridge.views.figures import PAGE, PAGE_MAX, Slice, Stores, moment_of
from tillbridge.views.kinds import Kind, kinds_of_people, tables_of_people
from tillbridge.views.traits import Traits, beside, traits_of

_verdict, _conflict, _bought = schema.verdict, schema.conflict, schema.bought


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """One customer of the till beside the people that it may be."""

    id: str
    rule: str | None
    reason: str | None
    linked_to: str | None
    since: datetime
    till: Traits | None
    candidates: list[Traits]


class Newcomer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the CRM beside the customers of the till that they may be."""

    id: str
    reason: str | None
    since: datetime
    crm: Traits | None
    candidates: list[Traits]


class Reviews(msgspec.Struct, frozen=True, kw_only=True):
    """A page of reviews, the longest waiting first; newcomers come on the first page."""

    rows: list[Review]
    newcomers: list[Newcomer]
    slice: Slice


class ConflictLine(msgspec.Struct, frozen=True, kw_only=True):
    """One field that both sides have moved. `seen`: the mark of the two values, for whoever decides."""

    id: int
    customer: str
    crm_id: str
    name: str
    field: str
    kind: Kind
    till: str | None
    crm: str | None
    since: datetime
    link: str | None
    seen: str


class LostValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value that lost a conflict and can be written back."""

    change: int
    customer: str
    name: str
    field: str
    kind: Kind
    side: str
    lost: str | None
    instead: str | None
    at: datetime
    run: int | None


class Conflicts(msgspec.Struct, frozen=True, kw_only=True):
    """A page of conflicts, and the values that lost lately."""

    rows: list[ConflictLine]
    lost: list[LostValue]
    slice: Slice


def reviews(books: Books, *, stores: Stores = None, offset: int = 0, limit: int = PAGE) -> Reviews:
    """Return who waits for a decision.

    Whoever sees some stores only does not see whom a customer may be: those people may have bought elsewhere.
    """
    limit = min(limit, PAGE_MAX)
    waiting = _verdict.c.outcome == "review"
    statement = sa.select(_verdict.c.till_id).where(waiting)
    if stores is not None:
        seen = sa.select(_bought.c.customer).where(_bought.c.store.in_(sorted(stores)))
        statement = statement.where(_verdict.c.till_id.in_(seen))
    with books.look() as c:
        total = c.execute(sa.select(sa.func.count()).select_from(statement.subquery())).scalar() or 0
        order = statement.order_by(_verdict.c.made_at, _verdict.c.till_id)
        ids = list(c.execute(order.offset(offset).limit(limit)).scalars())
    verdicts = books.people.verdicts(ids)
    shown = [verdicts[i] for i in ids if i in verdicts]
    told = _candidates(books, shown) if stores is None else {each.till_id: {} for each in shown}
    arrivals = books.arrivals.in_state("review", PAGE) if stores is None and not offset else []
    faces = _faces(
        books,
        {*told, *(str(each["till_id"]) for a in arrivals for each in a.detail.get("candidates", ()))},
        {*(i for each in told.values() for i in each), *(a.crm_id for a in arrivals)},
    )
    return Reviews(
        rows=[_review(faces, verdicts[i], why) for i, why in told.items()],
        newcomers=[_newcomer(faces, each) for each in arrivals],
        slice=Slice(offset=offset, limit=limit, total=total, more=offset + len(ids) < total),
    )


def _candidates(books: Books, verdicts: Sequence[Verdict]) -> dict[str, dict[str, str | None]]:
    """Return whom each of these customers may be, and why: as was told, or whoever shares a key with them."""
    told = {v.till_id: {str(c["crm_id"]): c for c in v.detail.get("candidates", ())} for v in verdicts}
    fresh = {i.removeprefix(_NEW) for each in told.values() for i in each if i.startswith(_NEW)}
    links = books.state.links("customer", list(fresh)) if fresh else {}
    found: dict[str, dict[str, str | None]] = {}
    for till_id, each in told.items():
        found[till_id] = {i: c.get("what") for i, c in each.items() if not i.startswith(_NEW)}
        for i, c in each.items():
            if (link := links.get(i.removeprefix(_NEW))) is not None and i.startswith(_NEW) and link.crm_id:
                found[till_id][link.crm_id] = c.get("what")
    alike = all_look_alikes(books.people, books.arrivals, [v for v in verdicts if not found[v.till_id]])
    return {i: why or dict.fromkeys(alike.get(i, ())) for i, why in found.items()}


# Before the number of a customer who is just being created as somebody in the CRM.
_NEW = "new:"


def _review(faces: _Faces, verdict: Verdict, why: Mapping[str, str | None]) -> Review:
    till = faces.of_till(verdict.till_id)
    people = (faces.of_crm(i, what) for i, what in why.items())
    return Review(
        id=verdict.till_id,
        rule=verdict.rule,
        reason=verdict.detail.get("reason"),
        linked_to=verdict.detail.get("crm_id"),
        since=moment_of(verdict.made_at),
        till=till,
        candidates=beside(till, [each for each in people if each is not None]),
    )


def _newcomer(faces: _Faces, arrival: Arrival) -> Newcomer:
    crm = faces.of_crm(arrival.crm_id, None)
    told = arrival.detail.get("candidates", ())
    people = (faces.of_till(str(each["till_id"]), each.get("what")) for each in told)
    return Newcomer(
        id=arrival.crm_id,
        reason=arrival.reason,
        since=moment_of(arrival.moved_at),
        crm=crm,
        candidates=beside(crm, [each for each in people if each is not None]),
    )


@dataclass(frozen=True, slots=True)
class _Faces:
    """What both sides last showed of some people, read at once."""

    till: Mapping[str, Person]
    links: Mapping[str, Link]
    crm: Mapping[str, CrmPersonRow]
    place: str

    def of_till(self, till_id: str, why: str | None = None) -> Traits | None:
        """Return what is compared of somebody of the till."""
        person = self.till.get(till_id)
        if person is None:
            return None
        link = self.links.get(till_id)
        return traits_of(person, till_id, why=why, linked_to=link.crm_id if link else None)

    def of_crm(self, crm_id: str, why: str | None) -> Traits | None:
        """Return what is compared of somebody of the CRM."""
        row = self.crm.get(crm_id)
        if row is None:
            return None
        link = f"{self.place}/{crm_id}" if self.place else None
        return traits_of(row, crm_id, why=why, of=row.object, link=link)


def _faces(books: Books, till_ids: Collection[str], crm_ids: Collection[str]) -> _Faces:
    return _Faces(
        till=books.arrivals.people(till_ids),
        links=books.state.links("customer", list(till_ids)),
        crm=books.people.get(crm_ids),
        place=(books.state.fact(INSTANCE) or "").rstrip("/"),
    )


def conflicts(books: Books, *, stores: Stores = None, offset: int = 0, limit: int = PAGE) -> Conflicts:
    """Return the fields that wait for a person, the oldest first."""
    limit = min(limit, PAGE_MAX)
    where = [_conflict.c.state == OPEN]
    if stores is not None:
        seen = sa.select(_bought.c.customer).where(_bought.c.store.in_(sorted(stores)))
        where.append(_conflict.c.till_id.in_(seen))
    with books.look() as c:
        total = c.execute(sa.select(sa.func.count()).where(*where)).scalar() or 0
        order = sa.select(_conflict.c.id).where(*where).order_by(_conflict.c.id)
        ids = list(c.execute(order.offset(offset).limit(limit)).scalars())
    found = books.changes.conflicts(ids)
    people = books.people.get({each.crm_id for each in found})
    place = (books.state.fact(INSTANCE) or "").rstrip("/")
    lost = books.changes.lost(20) if stores is None and not offset else []
    losers = books.arrivals.people({each.till_id for each in lost})
    kinds = kinds_of_people(tables_of_people(books.config), books.config)
    return Conflicts(
        rows=[
            _conflict_line(
                each,
                name_of(people[each.crm_id]) if each.crm_id in people else None,
                kinds.get(each.field, "text"),
                place,
            )
            for each in found
        ],
        lost=[
            LostValue(
                change=each.id,
                customer=each.till_id,
                name=(name_of(losers[each.till_id]) if each.till_id in losers else None)
                or f"Customer {each.till_id}",
                field=each.field,
                kind=kinds.get(each.field, "text"),
                side=each.side,
                lost=each.before,
                instead=each.after,
                at=moment_of(each.made_at),
                run=each.run,
            )
            for each in lost
        ],
        slice=Slice(offset=offset, limit=limit, total=total, more=offset + len(ids) < total),
    )


def _conflict_line(each: Contested, name: str | None, kind: Kind, place: str) -> ConflictLine:
    return ConflictLine(
        id=each.id,
        customer=each.till_id,
        crm_id=each.crm_id,
        name=name or f"Customer {each.till_id}",
        field=each.field,
        kind=kind,
        till=each.till,
        crm=each.crm,
        since=moment_of(each.noticed_at),
        link=f"{place}/{each.crm_id}" if place else None,
        seen=each.mark,
    )

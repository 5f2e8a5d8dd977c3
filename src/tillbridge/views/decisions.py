"""What waits for a person about people: customers in review, newcomers from the CRM, fields in conflict."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from tillbridge.alerts import INSTANCE
from tillbridge.engine.desk import look_alikes
from tillbridge.store import schema
from tillbridge.store.changes import OPEN, Contested
from tillbridge.store.people import Verdict
from tillbridge.views.books import Books
from tillbridge.views.customers import name_of
from tillbridge.views.figures import PAGE, PAGE_MAX, Slice, Stores, moment_of

_verdict, _conflict, _bought = schema.verdict, schema.conflict, schema.bought


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared of somebody, on either side."""

    id: str
    object: str | None
    link: str | None
    name: str | None
    company: str | None
    emails: list[str]
    phones: list[str]
    street: str | None
    city: str | None
    born: str | None
    why: str | None = None
    linked_to: str | None = None


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
    """One field that both sides have moved."""

    id: int
    customer: str
    crm_id: str
    name: str
    field: str
    till: str | None
    crm: str | None
    since: datetime


class LostValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value that lost a conflict and can be written back."""

    change: int
    customer: str
    field: str
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
    """Return who waits for a decision."""
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
    place = (books.state.fact(INSTANCE) or "").rstrip("/")
    verdicts = books.people.verdicts(ids)
    newcomers = _newcomers(books, place) if stores is None and not offset else []
    return Reviews(
        rows=[_review(books, verdicts[i], place) for i in ids if i in verdicts],
        newcomers=newcomers,
        slice=Slice(offset=offset, limit=limit, total=total, more=offset + len(ids) < total),
    )


def _review(books: Books, verdict: Verdict, place: str) -> Review:
    told = {str(each["crm_id"]): each for each in verdict.detail.get("candidates", ())}
    fresh = {i.removeprefix("new:"): i for i in told if i.startswith("new:")}
    links = books.state.links("customer", list(fresh)) if fresh else {}
    why = {i: each.get("what") for i, each in told.items() if not i.startswith("new:")}
    why |= {link.crm_id: told[fresh[i]].get("what") for i, link in links.items()}
    ids = list(why) or look_alikes(books.people, books.arrivals, verdict)
    people = books.people.get(ids)
    return Review(
        id=verdict.till_id,
        rule=verdict.rule,
        reason=verdict.detail.get("reason"),
        linked_to=verdict.detail.get("crm_id"),
        since=moment_of(verdict.made_at),
        till=_of_till(books, verdict.till_id),
        candidates=[
            each for i in ids if i in people and (each := _of_crm(books, i, place, why.get(i))) is not None
        ],
    )


def _newcomers(books: Books, place: str) -> list[Newcomer]:
    found = []
    for arrival in books.arrivals.in_state("review", PAGE):
        told = {str(each["till_id"]): each for each in arrival.detail.get("candidates", ())}
        found.append(
            Newcomer(
                id=arrival.crm_id,
                reason=arrival.reason,
                since=moment_of(arrival.moved_at),
                crm=_of_crm(books, arrival.crm_id, place, None),
                candidates=[
                    each for i in told if (each := _of_till(books, i, told[i].get("what"))) is not None
                ],
            )
        )
    return found


def _of_till(books: Books, till_id: str, why: str | None = None) -> Traits | None:
    person = books.arrivals.people([till_id]).get(till_id)
    if person is None:
        return None
    link = books.state.links("customer", [till_id]).get(till_id)
    return Traits(
        id=till_id,
        object=None,
        link=None,
        name=" ".join(filter(None, (person.first, person.last))) or None,
        company=person.company,
        emails=list(person.emails),
        phones=list(person.phones),
        street=person.street,
        city=" ".join(filter(None, (person.zip, person.city))) or None,
        born=person.birth_date.isoformat() if person.birth_date else None,
        why=why,
        linked_to=link.crm_id if link else None,
    )


def _of_crm(books: Books, crm_id: str, place: str, why: str | None) -> Traits | None:
    row = books.people.get([crm_id]).get(crm_id)
    if row is None:
        return None
    return Traits(
        id=crm_id,
        object=row.object,
        link=f"{place}/{crm_id}" if place else None,
        name=" ".join(filter(None, (row.first, row.last))) or None,
        company=row.company,
        emails=list(row.emails),
        phones=list(row.phones),
        street=row.street,
        city=" ".join(filter(None, (row.zip, row.city))) or None,
        born=row.birth_date.isoformat() if row.birth_date else None,
        why=why,
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
    found = [each for i in ids if (each := books.changes.conflict(i)) is not None]
    people = books.people.get({each.crm_id for each in found})
    lost = books.changes.lost(20) if stores is None and not offset else []
    return Conflicts(
        rows=[
            _conflict_line(each, name_of(people[each.crm_id]) if each.crm_id in people else None)
            for each in found
        ],
        lost=[
            LostValue(
                change=each.id,
                customer=each.till_id,
                field=each.field,
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


def _conflict_line(each: Contested, name: str | None) -> ConflictLine:
    return ConflictLine(
        id=each.id,
        customer=each.till_id,
        crm_id=each.crm_id,
        name=name or f"Customer {each.till_id}",
        field=each.field,
        till=each.till,
        crm=each.crm,
        since=moment_of(each.noticed_at),
    )

"""Problems by cause, with the one fix of each; and one problem with what was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from tillbridge.model.acks import Refused
from tillbridge.store import schema
from tillbridge.store.journal import GAVE_UP, IGNORED, OPEN, RESOLVED, RETRYING, Cause, Problem
from tillbridge.store.lists import among
from tillbridge.sync.problems import advice_for
from tillbridge.sync.remedies import Remedy
from tillbridge.views.books import Memory
from tillbridge.views.figures import PAGE, PAGE_MAX, Slice, Stores, moment, moment_of
from tillbridge.views.kinds import kinds_by_object

_problem, _receipt, _bought = schema.problem, schema.receipt, schema.bought

ProblemState = Literal["open", "retrying", "gave_up", "ignored", "resolved"]
STATES_OF: dict[ProblemState, tuple[str, ...]] = {
    "open": OPEN,
    "retrying": (RETRYING,),
    "gave_up": (GAVE_UP,),
    "ignored": (IGNORED,),
    "resolved": (RESOLVED,),
}
_EXAMPLES = 5


def named_state(word: str | None) -> ProblemState:
    """Return the state that a word names; none: what is open."""
    return next((each for each in STATES_OF if each == word), "open")


class ProblemLine(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal, as a list shows it."""

    id: int
    kind: str
    till_id: str
    sale: str | None
    object: str
    cause: str
    code: str
    message: str
    fields: list[str]
    state: str
    attempts: int
    first_at: datetime
    last_at: datetime
    next_at: datetime | None
    note: str | None
    assignee: str | None
    advice: str


class RemarkLine(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has said of a problem, or done about it."""

    by: str
    what: str
    text: str | None
    at: datetime


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has decided about a cause: this one, or another one of the same field."""

    cause: str
    field: str
    action: str
    seen: str | None
    given: str | None


class CauseCard(msgspec.Struct, frozen=True, kw_only=True):
    """One cause: how many records it holds up, since when, what would help. `fix` names the tool for it."""

    cause: str
    object: str
    fields: list[str]
    code: str
    message: str
    advice: str
    fix: Literal["replace", "picklist", "leave_out", "permission", "outside"]
    count: int
    states: dict[str, int]
    first_at: datetime
    last_at: datetime
    next_at: datetime | None
    examples: list[ProblemLine]
    decided: list[Decision]
    assignees: list[str]


class SeenValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was sent in a refused field, and in how many records."""

    value: str
    count: int


class CausePage(msgspec.Struct, frozen=True, kw_only=True):
    """One cause: its card, the values behind it, and its records one by one."""

    card: CauseCard | None
    counts: dict[str, int]
    field: str | None
    values: list[SeenValue]
    list: ProblemList


class Problems(msgspec.Struct, frozen=True, kw_only=True):
    """The page of problems."""

    causes: list[CauseCard]
    counts: dict[str, int]


class ProblemList(msgspec.Struct, frozen=True, kw_only=True):
    """Problems one by one."""

    rows: list[ProblemLine]
    slice: Slice


class ProblemPage(msgspec.Struct, frozen=True, kw_only=True):
    """One problem in full. `fixed`: what was sent and cannot be set by hand, keys and lookups."""

    problem: ProblemLine
    sent: dict[str, Any] | None
    edit: dict[str, str | None]
    fixed: list[str]
    link: str | None
    remarks: list[RemarkLine]


def problems(books: Memory, state: ProblemState = "open", *, stores: Stores = None) -> Problems:
    """Return the problems by cause, the commonest first."""
    states = STATES_OF[state]
    if stores is not None:
        return _limited(books, states, stores)
    causes = books.journal.causes(states=states)
    with books.look() as c:
        counted = sa.select(_problem.c.state, sa.func.count()).group_by(_problem.c.state)
        counts = {row[0]: row[1] for row in c.execute(counted)}
    names = [each.example.cause for each in causes]
    examples = _examples(books, names, states)
    cards = []
    for each in causes:
        one = each.example
        # What was decided when the same field was refused for another cause may have led to this one.
        decided = books.journal.remedies_of(one.cause, one.object, _fields(one))
        cards.append(_card(each, examples, decided))
    return Problems(causes=cards, counts=counts)


def _limited(books: Memory, states: Collection[str], stores: Stores) -> Problems:
    """Return the causes as they look to somebody who sees some stores only."""
    seen = _seen(books, books.journal.problems(states=tuple(states), limit=20_000), stores)
    groups: dict[str, list[Problem]] = {}
    counts: dict[str, int] = {}
    for each in seen:
        groups.setdefault(each.cause, []).append(each)
        counts[each.state] = counts.get(each.state, 0) + 1
    cards = []
    for group in groups.values():
        by_state: dict[str, int] = {}
        for each in group:
            by_state[each.state] = by_state.get(each.state, 0) + 1
        cause = Cause(
            states=by_state,
            first_at=min(p.first_at for p in group),
            last_at=max(p.last_at for p in group),
            next_at=min((p.next_at for p in group if p.next_at is not None), default=None),
            example=group[-1],
        )
        # What was decided names values that were refused, maybe in stores that are not to be seen.
        cards.append(_card(cause, {group[0].cause: group[:_EXAMPLES]}, decided=()))
    return Problems(causes=sorted(cards, key=lambda card: -card.count), counts=counts)


def _seen(books: Memory, found: Sequence[Problem], stores: Stores) -> list[Problem]:
    if stores is None:
        return list(found)
    sales = {p.sale or p.till_id for p in found if p.kind in _OF_SALES}
    people = {p.till_id for p in found if p.kind in _OF_PEOPLE}
    with books.look() as c:
        of_sales = sa.select(_receipt.c.till_id).where(
            among(_receipt.c.till_id, sales), _receipt.c.store.in_(stores)
        )
        of_people = sa.select(_bought.c.customer).where(
            among(_bought.c.customer, people), _bought.c.store.in_(stores)
        )
        own_sales, own_people = (
            set(c.execute(of_sales).scalars()),
            set(c.execute(of_people).scalars()),
        )
    return [
        p
        for p in found
        if (p.kind in _OF_SALES and (p.sale or p.till_id) in own_sales)
        or (p.kind in _OF_PEOPLE and p.till_id in own_people)
    ]


_OF_SALES = frozenset({"sale", "line", "payment"})
_OF_PEOPLE = frozenset({"customer", "account", "identity"})


def _examples(books: Memory, causes: Collection[str], states: Collection[str]) -> dict[str, list[Problem]]:
    """Return the newest few problems of each cause."""
    found: dict[str, list[Problem]] = {}
    for cause in causes:
        found[cause] = _select(books, [_problem.c.cause == cause, _problem.c.state.in_(states)], 0, _EXAMPLES)
    return found


def _select(books: Memory, where: Sequence[sa.ColumnElement[bool]], offset: int, limit: int) -> list[Problem]:
    columns = [_problem.c[name] for name in Problem.__struct_fields__]
    statement = sa.select(*columns).where(*where).order_by(_problem.c.id.desc()).offset(offset).limit(limit)
    with books.look() as c:
        return [Problem(*row) for row in c.execute(statement)]


def _card(cause: Cause, examples: dict[str, list[Problem]], decided: Sequence[Remedy]) -> CauseCard:
    example = cause.example
    fields = _fields(example)
    return CauseCard(
        cause=example.cause,
        object=example.object,
        fields=fields,
        code=example.code,
        message=example.message,
        advice=advice(example),
        fix=_fix(example.code, fields),
        count=cause.count,
        states=cause.states,
        first_at=moment_of(cause.first_at),
        last_at=moment_of(cause.last_at),
        next_at=moment(cause.next_at),
        examples=[problem_line(each) for each in examples.get(example.cause, [])],
        decided=[
            Decision(cause=r.cause, field=r.field, action=r.action, seen=r.seen, given=r.given)
            for r in decided
        ],
        assignees=sorted({each.assignee for each in examples.get(example.cause, []) if each.assignee}),
    )


def _fix(
    code: str, fields: Sequence[str]
) -> Literal["replace", "picklist", "leave_out", "permission", "outside"]:
    """Say which tool most often helps; the others stay at hand."""
    if code == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST":
        return "picklist"
    if code.startswith("INSUFFICIENT_ACCESS") or code == "INVALID_FIELD_FOR_INSERT_UPDATE":
        return "permission"
    if not fields:
        return "outside"
    return "leave_out" if code.startswith("INVALID_CROSS_REFERENCE") else "replace"


def problem_list(
    books: Memory,
    cause: str | None = None,
    state: ProblemState = "open",
    *,
    stores: Stores = None,
    offset: int = 0,
    limit: int = PAGE,
) -> ProblemList:
    """Return problems one by one, the newest first."""
    limit = min(limit, PAGE_MAX)
    where: list[sa.ColumnElement[bool]] = [_problem.c.state.in_(STATES_OF[state])]
    where += [] if cause is None else [_problem.c.cause == cause]
    if stores is None:
        found = _select(books, where, offset, limit + 1)
    else:
        found = _seen(books, _select(books, where, 0, 20_000), stores)[offset : offset + limit + 1]
    more = len(found) > limit
    total = None if more else offset + len(found)
    rows = [problem_line(each) for each in found[:limit]]
    return ProblemList(rows=rows, slice=Slice(offset=offset, limit=limit, total=total, more=more))


def cause_page(
    books: Memory,
    cause: str,
    state: ProblemState = "open",
    *,
    stores: Stores = None,
    offset: int = 0,
    limit: int = PAGE,
) -> CausePage:
    """Return one cause with what could be decided about it, and its records in this state."""
    listed = problem_list(books, cause, state, stores=stores, offset=offset, limit=limit)
    shown = next((each for each in problems(books, state, stores=stores).causes if each.cause == cause), None)
    fields = shown.fields if shown else []
    field = fields[0] if len(fields) == 1 else None
    return CausePage(
        card=shown,
        counts=counts_of(books, cause) if stores is None else {},
        field=field,
        values=_values(books, cause, field) if field and stores is None else [],
        list=listed,
    )


def counts_of(books: Memory, cause: str) -> dict[str, int]:
    """Count the records of a cause by state: what drains while somebody looks on."""
    counted = sa.select(_problem.c.state, sa.func.count()).where(_problem.c.cause == cause)
    with books.look() as c:
        return {row[0]: row[1] for row in c.execute(counted.group_by(_problem.c.state))}


# So many records are opened to see which values stand behind a cause, and so many values are shown.
_OPENED_MAX = 500
_VALUES_MAX = 20


def _values(books: Memory, cause: str, field: str) -> list[SeenValue]:
    """Return which values the refused records of a cause carry, the commonest first."""
    counts: Counter[str] = Counter()
    where = [_problem.c.cause == cause, _problem.c.state.in_((*OPEN, IGNORED))]
    for each in _select(books, where, 0, _OPENED_MAX):
        value = (books.journal.payload_of(each) or {}).get(field)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            counts[str(value)] += 1
    return [SeenValue(value=value, count=count) for value, count in counts.most_common(_VALUES_MAX)]


def problem(books: Memory, number: int, *, stores: Stores = None) -> ProblemPage | None:
    """Return one problem with what was sent; None when there is none of that number to be seen."""
    found = books.journal.problems_by_id([number]).get(number)
    if found is None or not _seen(books, [found], stores):
        return None
    page = {"customer": "customers", "sale": "sales", "line": "sales", "payment": "sales"}.get(found.kind)
    return ProblemPage(
        problem=problem_line(found),
        sent=books.journal.payload_of(found),
        edit=dict(books.journal.edit_of(found).fields),
        fixed=sorted(_fixed(books, found.object)),
        link=f"{page}/{found.sale or found.till_id}" if page else None,
        remarks=[
            RemarkLine(by=each.by, what=each.what, text=each.text, at=moment_of(each.made_at))
            for each in books.journal.remarks_of([number])
        ],
    )


# The kind of a record is a record itself, and stands in no field map.
_RECORD_TYPE = "RecordTypeId"


def _fixed(books: Memory, object_name: str) -> set[str]:
    kinds = kinds_by_object(books.config).get(object_name, {})
    return {name for name, kind in kinds.items() if kind in {"id", "reference"}} | {_RECORD_TYPE}


def problem_line(each: Problem) -> ProblemLine:
    """Bring a problem into a line."""
    return ProblemLine(
        id=each.id,
        kind=each.kind,
        till_id=each.till_id,
        sale=each.sale,
        object=each.object,
        cause=each.cause,
        code=each.code,
        message=each.message,
        fields=_fields(each),
        state=each.state,
        attempts=each.attempts,
        first_at=moment_of(each.first_at),
        last_at=moment_of(each.last_at),
        next_at=moment(each.next_at),
        note=each.note,
        assignee=each.assignee,
        advice=advice(each),
    )


def advice(each: Problem) -> str:
    """Return what a person can do about a refusal."""
    return advice_for(Refused(each.code, each.message, tuple(_fields(each))))


def _fields(each: Problem) -> list[str]:
    return [name for name in each.fields.split(",") if name]

"""What happened: runs, problems with the words of whoever refused, and what people decided about them.

A problem is retrying until it is resolved by a later success, given up after so
many attempts, or ignored by a person. What was sent, and what a person set
instead, names people and is sealed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.lists import among
from tillbridge.store.sealing import open_document, seal_document
from tillbridge.store.state import State
from tillbridge.sync.remedies import Decided, Edit, Remedy

_problem = schema.problem
_remark = schema.remark
_remedy = schema.remedy
_run = schema.run


class NewProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal worth keeping: which thing, what the target said, what we had sent."""

    kind: str
    till_id: str
    object: str
    cause: str
    code: str
    message: str
    fields: tuple[str, ...] = ()
    sale: str | None = None
    payload: Mapping[str, Any] | None = None


class Problem(msgspec.Struct, frozen=True):
    """A problem as people see it. Times are epoch seconds of our own clock.

    `state`: retrying, gave_up, ignored or resolved. `next_at` is None where nothing is tried by itself.
    """

    id: int
    kind: str
    till_id: str
    sale: str | None
    object: str
    cause: str
    code: str
    message: str
    fields: str
    state: str
    attempts: int
    first_at: float
    last_at: float
    next_at: float | None
    note: str | None
    assignee: str | None = None


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has said of a problem, or done about it."""

    problem: int
    made_at: float
    by: str
    what: str
    text: str | None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The problems that share a cause: how many in which state, since when, when they are tried next."""

    states: dict[str, int]
    first_at: float
    last_at: float
    next_at: float | None
    example: Problem

    @property
    def count(self) -> int:
        """Return how many there are."""
        return sum(self.states.values())


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How often a refused record is tried again, and after how many attempts no more."""

    every_seconds: float = 3 * 3600.0
    attempts_max: int = 24


class RunRow(msgspec.Struct, frozen=True):
    """One execution of a job."""

    id: int
    job: str
    started_at: float
    ended_at: float | None
    outcome: str | None
    counts: str | None
    till_calls: int
    crm_calls: int


_COLUMNS = [_problem.c[name] for name in Problem.__struct_fields__]

RETRYING, GAVE_UP, IGNORED, RESOLVED = STATES = ("retrying", "gave_up", "ignored", "resolved")
OPEN = (RETRYING, GAVE_UP)  # a person may have to do something

# Records that people of the CRM write too: what was set of them by hand is theirs once it is there.
_SHARED = ("customer", "account")

# The wait before the next attempt varies by so much of itself: nobody needs all of us at one moment.
_JITTER = 0.1


class Journal:
    """Runs and problems of one connection."""

    def __init__(
        self,
        state: State,
        vault: Vault,
        patience: Patience | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._state = state
        self._vault = vault
        self._patience = patience or Patience()
        self._rng = rng or random.Random()
        self._decided: Decided | None = None

    # --- runs --------------------------------------------------------------------------------

    def start(self, job: str) -> int:
        """Open a run; everything settled from now on carries its id."""
        with self._state.begin() as c:
            self._state.run_id = run = self._begin(c, job, self._state.now())
        self._decided = None  # Somebody may have decided something since the last run.
        return run

    def announce(self, job: str, begun: Callable[[int], object]) -> None:
        """Let a run begin with the first thing that is settled in it; `begun` is told its id.

        A service looks each minute, and a row for every look would be written and deleted for nothing.
        """
        started_at = self._state.now()

        def begin(connection: sa.Connection) -> int:
            run = self._begin(connection, job, started_at)
            begun(run)
            return run

        self._state.announce(begin)
        self._decided = None

    def _begin(self, connection: sa.Connection, job: str, started_at: float) -> int:
        made = connection.execute(sa.insert(_run).values(job=job, started_at=started_at)).inserted_primary_key
        assert made is not None
        return int(made[0])

    def end(
        self, run_id: int, outcome: str, counts: Mapping[str, int], till_calls: int, crm_calls: int
    ) -> None:
        """Close a run with what came of it."""
        values = {
            "ended_at": self._state.now(),
            "outcome": outcome,
            "counts": json.dumps(dict(counts)),
            "till_calls": till_calls,
            "crm_calls": crm_calls,
        }
        with self._state.begin() as c:
            c.execute(sa.update(_run).where(_run.c.id == run_id).values(values))

    def drop(self, run_id: int) -> None:
        """Forget a run that nothing came of: a service looks each minute."""
        with self._state.begin() as c:
            c.execute(sa.delete(_run).where(_run.c.id == run_id))

    def last_runs(self, limit: int = 10) -> list[RunRow]:
        """Return the latest runs, newest first."""
        columns = [_run.c[name] for name in RunRow.__struct_fields__]
        with self._state.begin() as c:
            rows = c.execute(sa.select(*columns).order_by(_run.c.id.desc()).limit(limit))
            return [RunRow(*row) for row in rows]

    # --- problems ----------------------------------------------------------------------------

    def refuse(self, connection: sa.Connection, problems: Collection[NewProblem]) -> None:
        """Keep refusals. A thing that is refused again keeps its problem and counts an attempt more."""
        if not problems:
            return
        # What was refused together is tried again together: that costs one call, not one each.
        now, next_at = self._state.now(), self._next_at()
        for problem in problems:
            self._refuse(connection, problem, now, next_at)

    def _next_at(self) -> float:
        return self._state.now() + self._patience.every_seconds * self._rng.uniform(1 - _JITTER, 1 + _JITTER)

    def _refuse(self, connection: sa.Connection, new: NewProblem, now: float, next_at: float) -> None:
        before = connection.execute(
            sa.select(_problem.c.id, _problem.c.cause, _problem.c.state, _problem.c.attempts).where(
                _problem.c.kind == new.kind, _problem.c.till_id == new.till_id, _problem.c.state != RESOLVED
            )
        ).first()
        attempts = 1 if before is None else before.attempts + 1
        state = self._state_after(attempts)
        if before is not None and before.state in {GAVE_UP, IGNORED} and before.cause == new.cause:
            state = before.state  # Only another cause is news.
        words = {
            "cause": new.cause,
            "code": new.code,
            "message": new.message,
            "fields": ",".join(new.fields),
            "payload": self._seal(new),
            "object": new.object,
            "state": state,
            "attempts": attempts,
            "last_at": now,
            "next_at": next_at if state == RETRYING else None,
        }
        if before is not None:
            connection.execute(sa.update(_problem).where(_problem.c.id == before.id).values(words))
            return
        first = {"kind": new.kind, "till_id": new.till_id, "sale": new.sale, "first_at": now}
        connection.execute(sa.insert(_problem).values({**first, **words}))

    def _state_after(self, attempts: int) -> str:
        """Give up after a set number of attempts; whoever is revived is given as many again."""
        return GAVE_UP if attempts % self._patience.attempts_max == 0 else RETRYING

    def resolve(self, connection: sa.Connection, things: Collection[tuple[str, str]]) -> None:
        """Close the problems of things, given as (kind, id), that are accepted or need no more to be."""
        by_kind: dict[str, list[str]] = {}
        for kind, till_id in things:
            by_kind.setdefault(kind, []).append(till_id)
        for kind, ids in by_kind.items():
            done = connection.execute(
                sa.update(_problem)
                .where(_problem.c.kind == kind, _problem.c.state != RESOLVED, among(_problem.c.till_id, ids))
                .values(state=RESOLVED, last_at=self._state.now(), next_at=None)
            )
            if done.rowcount:
                self._decided = None  # From now on what was set holds until the till's value changes.

    def due(self, limit: int = 1_000) -> list[Problem]:
        """Return the problems whose time has come, the longest due first."""
        return self._select(
            [_problem.c.state == RETRYING, _problem.c.next_at <= self._state.now()],
            [_problem.c.next_at, _problem.c.id],
            limit,
        )

    def put_off(self, connection: sa.Connection, ids: Collection[int]) -> None:
        """Count an attempt of problems that were due and had no answer: they come again later."""
        attempts = _problem.c.attempts + 1
        gives_up = attempts % self._patience.attempts_max == 0
        connection.execute(
            sa.update(_problem)
            .where(
                among(_problem.c.id, ids),
                _problem.c.state == RETRYING,
                _problem.c.next_at <= self._state.now(),
            )
            .values(
                attempts=attempts,
                last_at=self._state.now(),
                state=sa.case((gives_up, GAVE_UP), else_=RETRYING),
                next_at=sa.case((gives_up, None), else_=self._next_at()),
            )
        )

    # --- what people see and decide ------------------------------------------------------------

    def open_problems(self, limit: int = 1_000) -> list[Problem]:
        """Return the problems that a person may have to do something about, by cause, oldest first."""
        return self._select([_problem.c.state.in_(OPEN)], [_problem.c.cause, _problem.c.id], limit)

    def count_open(self) -> int:
        """Count the problems that a person may have to do something about."""
        with self._state.begin() as c:
            found = c.execute(sa.select(sa.func.count()).where(_problem.c.state.in_(OPEN))).scalar()
        return found or 0

    def count_by_cause(self) -> dict[str, int]:
        """Count the open problems of each cause."""
        statement = sa.select(_problem.c.cause, sa.func.count()).where(_problem.c.state.in_(OPEN))
        with self._state.begin() as c:
            return {row[0]: row[1] for row in c.execute(statement.group_by(_problem.c.cause))}

    def problems(
        self, *, cause: str | None = None, states: Collection[str] = OPEN, limit: int = 1_000_000
    ) -> list[Problem]:
        """Return the problems in these states, of one cause or of all, by cause, oldest first."""
        where: list[sa.ColumnElement[bool]] = [_problem.c.state.in_(list(states))]
        if cause is not None:
            where.append(_problem.c.cause == cause)
        return self._select(where, [_problem.c.cause, _problem.c.id], limit)

    def problems_by_id(self, ids: Collection[int]) -> dict[int, Problem]:
        """Return these problems; unknown ids are absent."""
        found = self._select([among(_problem.c.id, ids)], [_problem.c.id], len(ids))
        return {problem.id: problem for problem in found}

    def problems_of(self, kind: str, till_id: str) -> list[Problem]:
        """Return every problem that a thing has, or had; for a sale, those of its lines and payments too."""
        own = sa.and_(_problem.c.kind == kind, _problem.c.till_id == till_id)
        return self._select(
            [sa.or_(own, _problem.c.sale == till_id) if kind == "sale" else own], [_problem.c.id], 1_000
        )

    def _select(
        self,
        where: Sequence[sa.ColumnElement[bool]],
        order: Sequence[sa.ColumnElement[Any]],
        limit: int,
    ) -> list[Problem]:
        with self._state.begin() as c:
            rows = c.execute(sa.select(*_COLUMNS).where(*where).order_by(*order).limit(limit))
            return [Problem(*row) for row in rows]

    def causes(self, *, cause: str | None = None, states: Collection[str] = OPEN) -> list[Cause]:
        """Return the problems in these states grouped by cause, the commonest first."""
        where: list[sa.ColumnElement[bool]] = [_problem.c.state.in_(list(states))]
        if cause is not None:
            where.append(_problem.c.cause == cause)
        counts: dict[str, list[Any]] = {}
        with self._state.begin() as c:
            rows = c.execute(
                sa.select(
                    _problem.c.cause,
                    _problem.c.state,
                    sa.func.count().label("count"),
                    sa.func.min(_problem.c.first_at).label("first_at"),
                    sa.func.max(_problem.c.last_at).label("last_at"),
                    sa.func.min(_problem.c.next_at).label("next_at"),
                    sa.func.max(_problem.c.id).label("example"),
                )
                .where(*where)
                .group_by(_problem.c.cause, _problem.c.state)
                .order_by(_problem.c.cause, _problem.c.state)
            )
            for row in rows:
                counts.setdefault(row.cause, []).append(row)
        examples = self.problems_by_id([max(row.example for row in rows) for rows in counts.values()])
        found = [_cause(rows, examples) for rows in counts.values()]
        return sorted(found, key=lambda each: (-each.count, each.example.cause))

    def causes_named(self, name: str) -> list[str]:
        """Return the causes that a person may mean: the whole name, its beginning, or its last part."""
        if not name.strip():
            return []  # An empty name is the beginning of every cause, and nobody means them all.
        with self._state.begin() as c:
            known = list(c.execute(sa.select(_problem.c.cause).distinct()).scalars())
        if name in known:
            return [name]
        return sorted(each for each in known if each.startswith(name) or each.endswith(f":{name}"))

    def payload_of(self, problem: Problem) -> dict[str, Any] | None:
        """Return what was sent of a problem's record; None where it was not kept."""
        with self._state.begin() as c:
            sealed = c.execute(sa.select(_problem.c.payload).where(_problem.c.id == problem.id)).scalar()
        if sealed is None:
            return None
        opened: dict[str, Any] = msgspec.json.decode(self._vault.open(sealed, _place(problem)))
        return opened

    def edit_of(self, problem: Problem) -> Edit:
        """Return the fields that a person has set for a problem's record."""
        with self._state.begin() as c:
            sealed = c.execute(sa.select(_problem.c.edit).where(_problem.c.id == problem.id)).scalar()
        return Edit() if sealed is None else self._opened_edit(sealed, problem.kind, problem.till_id)

    def set_by_hand(self, kind: str, ids: Collection[str]) -> dict[str, dict[str, str | None]]:
        """Return what people have ever set for these things, by id; of a field, the latest word."""
        where = (_problem.c.kind == kind, _problem.c.edit.is_not(None), among(_problem.c.till_id, ids))
        found: dict[str, dict[str, str | None]] = {}
        with self._state.begin() as c:
            rows = c.execute(
                sa.select(_problem.c.till_id, _problem.c.edit).where(*where).order_by(_problem.c.id)
            )
            for till_id, sealed in rows:
                found.setdefault(till_id, {}).update(self._opened_edit(sealed, kind, till_id).fields)
        return found

    def release(self, connection: sa.Connection, ids: Collection[int]) -> None:
        """Have problems tried again now, given up and ignored ones too."""
        connection.execute(
            sa.update(_problem)
            .where(among(_problem.c.id, ids), _problem.c.state != RESOLVED)
            .values(state=RETRYING, next_at=self._state.now())
        )

    def ignore(self, connection: sa.Connection, ids: Collection[int], note: str | None) -> None:
        """Leave problems alone; another cause brings them back, a later success resolves them."""
        connection.execute(
            sa.update(_problem)
            .where(among(_problem.c.id, ids), _problem.c.state != RESOLVED)
            .values(state=IGNORED, next_at=None, note=note)
        )

    def assign(self, connection: sa.Connection, ids: Collection[int], assignee: str | None) -> None:
        """Let somebody see to problems; None: nobody in particular."""
        connection.execute(sa.update(_problem).where(among(_problem.c.id, ids)).values(assignee=assignee))

    def remark(
        self, connection: sa.Connection, ids: Collection[int], by: str, what: str, text: str | None = None
    ) -> None:
        """Keep what somebody has said of problems, or done about them."""
        now = self._state.now()
        rows = [
            {
                "problem": i,
                "made_at": now,
                "by": by,
                "what": what,
                "text": None
                if text is None
                else seal_document(self._vault, {"text": text}, f"remark {i} {now}"),
            }
            for i in ids
        ]
        if rows:
            connection.execute(sa.insert(_remark), rows)

    def remarks_of(self, ids: Collection[int]) -> list[Remark]:
        """Return what was said of these problems and done about them, the oldest first."""
        statement = sa.select(_remark).where(among(_remark.c.problem, ids)).order_by(_remark.c.id)
        with self._state.begin() as c:
            rows = c.execute(statement).all()
        return [
            Remark(problem=row.problem, made_at=row.made_at, by=row.by, what=row.what, text=self._text(row))
            for row in rows
        ]

    def _text(self, row: Any) -> str | None:
        if row.text is None:
            return None
        place = f"remark {row.problem} {row.made_at}"
        return str(open_document(self._vault, row.text, place)["text"])

    def edit(self, connection: sa.Connection, problem: Problem, edit: Edit) -> None:
        """Set fields of a problem's record by hand; none takes back what was set."""
        place = f"edit {problem.kind} {problem.till_id}"
        sealed = self._vault.seal(msgspec.json.encode(edit, enc_hook=str), place) if edit.fields else None
        connection.execute(sa.update(_problem).where(_problem.c.id == problem.id).values(edit=sealed))
        self._decided = None

    def remedy(self, connection: sa.Connection, remedies: Collection[Remedy]) -> None:
        """Keep what a person has decided about a cause. For a field and value, the latest word counts."""
        for remedy in remedies:
            same = [
                _remedy.c[name] == getattr(remedy, name) for name in ("cause", "object", "field", "action")
            ]
            connection.execute(
                sa.delete(_remedy).where(*same, _remedy.c.seen.is_not_distinct_from(remedy.seen))
            )
            values = {**msgspec.structs.asdict(remedy), "made_at": self._state.now()}
            connection.execute(sa.insert(_remedy).values(values))
        self._decided = None

    def remedies_of(self, cause: str, object_name: str = "", fields: Collection[str] = ()) -> list[Remedy]:
        """Return what was decided about a cause; and about these fields of an object, for whatever cause."""
        return [
            r
            for of, some in self.decided().remedies.items()
            for r in some
            if r.cause == cause or (of == object_name and r.field in fields)
        ]

    def take_back(self, connection: sa.Connection, cause: str) -> int:
        """Forget what was decided about a cause; return how many decisions that were."""
        self._decided = None
        return connection.execute(sa.delete(_remedy).where(_remedy.c.cause == cause)).rowcount

    def decided(self) -> Decided:
        """Return everything that people have decided, as known since this run began."""
        if self._decided is None:
            self._decided = self._read_decided()
        return self._decided

    def _read_decided(self) -> Decided:
        columns = [_remedy.c[name] for name in Remedy.__struct_fields__]
        edited = (
            sa.select(_problem.c.kind, _problem.c.till_id, _problem.c.edit, _problem.c.state)
            .where(
                _problem.c.edit.isnot(None),
                sa.or_(_problem.c.state != RESOLVED, _problem.c.kind.not_in(_SHARED)),
            )
            .order_by(_problem.c.id)
        )
        remedies: dict[str, list[Remedy]] = {}
        with self._state.begin() as c:
            rows = c.execute(sa.select(*columns).order_by(_remedy.c.id.desc()))
            for values in rows:
                remedy = Remedy(**dict(zip(Remedy.__struct_fields__, values, strict=True)))
                remedies.setdefault(remedy.object, []).append(remedy)
            edits: dict[tuple[str, str], Edit] = {}
            for kind, i, sealed, state in c.execute(edited):
                edit = self._opened_edit(sealed, kind, i)
                # What waits to be accepted is sent whatever the till shows meanwhile.
                edits[kind, i] = edit if state == RESOLVED else Edit(edit.fields)
        return Decided(remedies, edits)

    def _opened_edit(self, sealed: bytes, kind: str, till_id: str) -> Edit:
        return msgspec.json.decode(self._vault.open(sealed, f"edit {kind} {till_id}"), type=Edit)

    def _seal(self, new: NewProblem) -> bytes | None:
        if not new.payload:
            return None
        return self._vault.seal(msgspec.json.encode(new.payload, enc_hook=str), _place(new))


def _place(problem: NewProblem | Problem) -> str:
    return f"problem {problem.kind} {problem.till_id}"


def _cause(rows: Sequence[Any], examples: Mapping[int, Problem]) -> Cause:
    return Cause(
        states={row.state: row.count for row in rows},
        first_at=min(row.first_at for row in rows),
        last_at=max(row.last_at for row in rows),
        next_at=min((row.next_at for row in rows if row.next_at is not None), default=None),
        example=examples[max(row.example for row in rows)],
    )

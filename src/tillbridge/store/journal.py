"""What happened: runs, and problems with the words of whoever refused."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.state import State

_problem = schema.problem
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
    """A problem as people see it. Times are epoch seconds of our own clock."""

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


class Journal:
    """Runs and problems of one connection."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    # --- runs --------------------------------------------------------------------------------

    def start(self, job: str) -> int:
        """Open a run; everything settled from now on carries its id."""
        with self._state.begin() as c:
            run_id = c.execute(
                sa.insert(_run).values(job=job, started_at=self._state.now())
            ).inserted_primary_key
        assert run_id is not None
        self._state.run_id = int(run_id[0])
        return self._state.run_id

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

    def last_runs(self, limit: int = 10) -> list[RunRow]:
        """Return the latest runs, newest first."""
        columns = [_run.c[name] for name in RunRow.__struct_fields__]
        with self._state.begin() as c:
            rows = c.execute(sa.select(*columns).order_by(_run.c.id.desc()).limit(limit))
            return [RunRow(*row) for row in rows]

    # --- problems ----------------------------------------------------------------------------

    def refuse(self, connection: sa.Connection, problems: Collection[NewProblem]) -> None:
        """Keep refusals. A thing that is refused again keeps its problem and counts an attempt more."""
        now = self._state.now()
        for problem in problems:
            self._refuse(connection, problem, now)

    def _refuse(self, connection: sa.Connection, new: NewProblem, now: float) -> None:
        payload = self._seal(new)
        words = {
            "cause": new.cause,
            "code": new.code,
            "message": new.message,
            "fields": ",".join(new.fields),
            "payload": payload,
            "object": new.object,
            "last_at": now,
        }
        thing = (_problem.c.kind == new.kind, _problem.c.till_id == new.till_id, _problem.c.state == "open")
        again = connection.execute(
            sa.update(_problem).where(*thing).values(attempts=_problem.c.attempts + 1, **words)
        )
        if not again.rowcount:
            first = {"kind": new.kind, "till_id": new.till_id, "sale": new.sale, "first_at": now}
            connection.execute(sa.insert(_problem).values(state="open", attempts=1, **first, **words))

    def resolve(self, connection: sa.Connection, things: Collection[tuple[str, str]]) -> None:
        """Close the open problems of things, given as (kind, id), that the target has accepted."""
        found = connection.execute(
            sa.select(_problem.c.kind, _problem.c.till_id).where(_problem.c.state == "open")
        )
        open_ones = {(row.kind, row.till_id) for row in found}
        for kind, till_id in open_ones & set(things):
            connection.execute(
                sa.update(_problem)
                .where(_problem.c.kind == kind, _problem.c.till_id == till_id, _problem.c.state == "open")
                .values(state="resolved", last_at=self._state.now())
            )

    def open_problems(self, limit: int = 1_000) -> list[Problem]:
        """Return the open problems, grouped by cause, oldest first."""
        with self._state.begin() as c:
            rows = c.execute(
                sa.select(*_COLUMNS)
                .where(_problem.c.state == "open")
                .order_by(_problem.c.cause, _problem.c.id)
                .limit(limit)
            )
            return [Problem(*row) for row in rows]

    def count_open(self) -> int:
        """Count the open problems."""
        with self._state.begin() as c:
            found = c.execute(sa.select(sa.func.count()).where(_problem.c.state == "open")).scalar()
        return found or 0

    def problems_of(self, kind: str, till_id: str) -> list[Problem]:
        """Return every problem that a thing has, or had; for a sale, those of its lines and payments too."""
        own = sa.and_(_problem.c.kind == kind, _problem.c.till_id == till_id)
        where = sa.or_(own, _problem.c.sale == till_id) if kind == "sale" else own
        with self._state.begin() as c:
            return [
                Problem(*row) for row in c.execute(sa.select(*_COLUMNS).where(where).order_by(_problem.c.id))
            ]

    def due_sales(self, before: float) -> list[str]:
        """Return the sales with an open problem, their own or a row's, last tried before a moment."""
        sale = sa.func.coalesce(_problem.c.sale, _problem.c.till_id)
        with self._state.begin() as c:
            rows = c.execute(
                sa.select(sale)
                .distinct()
                .where(
                    _problem.c.state == "open",
                    _problem.c.kind.in_(["sale", "line", "payment"]),
                    _problem.c.last_at < before,
                )
            )
            return [str(row[0]) for row in rows]

    def due(self, kind: str, before: float) -> list[str]:
        """Return the things of a kind with an open problem that was last tried before a moment."""
        with self._state.begin() as c:
            rows = c.execute(
                sa.select(_problem.c.till_id)
                .distinct()
                .where(_problem.c.state == "open", _problem.c.kind == kind, _problem.c.last_at < before)
            )
            return [row.till_id for row in rows]

    def _seal(self, new: NewProblem) -> bytes | None:
        if new.payload is None:
            return None
        return self._vault.seal(
            msgspec.json.encode(new.payload, enc_hook=str), f"problem {new.kind} {new.till_id}"
        )

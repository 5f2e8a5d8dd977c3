"""What we have changed in customers, field by field, and the fields that both sides have moved.

A change keeps what was there before, so that `explain` can tell where a value
came from, a lost value can be restored and a run undone. A conflict stays open
until a person says which side counts, or one side moves again. All of it names
people, so all of it is sealed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.lists import among
from tillbridge.store.sealing import open_document, seal_document
from tillbridge.store.state import State

_change = schema.change
_conflict = schema.conflict

Side = Literal["till", "crm"]

OPEN, DECIDED, OUTLIVED = "open", "decided", "outlived"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One field that we wrote on one side. Values are text as the CRM shows them; None is an empty field.

    `field` is the CRM's name of it on either side. `why`: edit, blank filled,
    conflict, decided, undo, or what else made us write it.
    """

    till_id: str
    crm_id: str
    object: str
    field: str
    side: str
    why: str
    before: str | None
    after: str | None
    id: int = 0
    run: int | None = None
    made_at: float = 0.0
    undone_by: int | None = None


class Contested(msgspec.Struct, frozen=True, kw_only=True):
    """A field that both sides have moved, as each showed it when we noticed."""

    till_id: str
    crm_id: str
    field: str
    till: str | None
    crm: str | None
    id: int = 0
    state: str = OPEN
    winner: str | None = None
    decided_by: str | None = None
    noticed_at: float = 0.0

    @property
    def mark(self) -> str:
        """Return what stands for the two values: whoever decides says by it which ones they saw."""
        values = json.dumps([self.id, self.till, self.crm]).encode()
        return hashlib.sha256(values).hexdigest()[:16]


class Changes:
    """Changes and conflicts of one connection."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    # --- what we wrote -------------------------------------------------------------------------

    def note(self, connection: sa.Connection, changes: Iterable[Change]) -> None:
        """Write down what a target has confirmed, in the transaction that settles it."""
        now, run = self._state.now(), self._state.run_id
        rows = [
            {
                "run": run,
                "made_at": now,
                "till_id": each.till_id,
                "crm_id": each.crm_id,
                "object": each.object,
                "field": each.field,
                "side": each.side,
                "why": each.why,
                "values": seal_document(
                    self._vault,
                    {"before": each.before, "after": each.after},
                    f"change {each.till_id} {each.field}",
                ),
            }
            for each in changes
        ]
        if rows:
            connection.execute(sa.insert(_change), rows)

    def of(self, till_ids: Collection[str]) -> list[Change]:
        """Return what was ever changed in these customers, oldest first."""
        return self._select(among(_change.c.till_id, till_ids))

    def of_run(self, run: int, limit: int | None = None) -> list[Change]:
        """Return what one run changed, in the order in which it did."""
        return self._select(_change.c.run == run, limit)

    def get(self, change_id: int) -> Change | None:
        """Return one change."""
        return next(iter(self._select(_change.c.id == change_id)), None)

    def lost(self, limit: int = 50) -> list[Change]:
        """Return the newest changes by which one side lost a conflict, and that were not taken back."""
        where = sa.and_(_change.c.why == "conflict", _change.c.undone_by.is_(None))
        statement = sa.select(_change).where(where).order_by(_change.c.id.desc()).limit(limit)
        with self._state.begin() as c:
            return [self._read_change(row) for row in c.execute(statement)]

    def undone(self, connection: sa.Connection, ids: Collection[int]) -> None:
        """Mark changes that this run has taken back."""
        connection.execute(
            sa.update(_change).where(among(_change.c.id, ids)).values(undone_by=self._state.run_id)
        )

    def _select(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Change]:
        statement = sa.select(_change).where(where).order_by(_change.c.id).limit(limit)
        with self._state.begin() as c:
            return [self._read_change(row) for row in c.execute(statement)]

    def _read_change(self, row: Any) -> Change:
        values = open_document(self._vault, row.values, f"change {row.till_id} {row.field}")
        return Change(
            id=row.id,
            run=row.run,
            made_at=row.made_at,
            till_id=row.till_id,
            crm_id=row.crm_id,
            object=row.object,
            field=row.field,
            side=row.side,
            why=row.why,
            before=values["before"],
            after=values["after"],
            undone_by=row.undone_by,
        )

    # --- what both sides moved -----------------------------------------------------------------

    def contested(self, till_ids: Collection[str]) -> dict[str, dict[str, Contested]]:
        """Return the conflicts of these customers that count: open ones and decided ones, by field."""
        found: dict[str, dict[str, Contested]] = {}
        if not till_ids:
            return found
        where = sa.and_(_conflict.c.state.in_((OPEN, DECIDED)), among(_conflict.c.till_id, till_ids))
        for each in self._conflicts(where):
            found.setdefault(each.till_id, {})[each.field] = each
        return found

    def open_conflicts(self, limit: int = 1_000) -> list[Contested]:
        """Return the conflicts that wait for a person, oldest first."""
        return self._conflicts(_conflict.c.state == OPEN, limit)

    def conflict(self, conflict_id: int) -> Contested | None:
        """Return one conflict, whatever became of it."""
        return next(iter(self.conflicts([conflict_id])), None)

    def conflicts(self, ids: Collection[int]) -> list[Contested]:
        """Return these conflicts, whatever became of them, oldest first."""
        return self._conflicts(among(_conflict.c.id, ids))

    def notice(self, connection: sa.Connection, contested: Sequence[Contested]) -> None:
        """Keep conflicts. One that is known shows its newest values, and what was said of others is void."""
        for each in contested:
            where = (
                _conflict.c.till_id == each.till_id,
                _conflict.c.field == each.field,
                _conflict.c.state.in_((OPEN, DECIDED)),
            )
            sealed = seal_document(
                self._vault, {"till": each.till, "crm": each.crm}, f"conflict {each.till_id} {each.field}"
            )
            anew = {"state": OPEN, "winner": None, "decided_by": None, "decided_at": None, "values": sealed}
            done = connection.execute(sa.update(_conflict).where(*where).values(anew))
            if not done.rowcount:
                connection.execute(
                    sa.insert(_conflict).values(
                        till_id=each.till_id,
                        crm_id=each.crm_id,
                        field=each.field,
                        state=OPEN,
                        values=sealed,
                        noticed_at=self._state.now(),
                    )
                )

    def decide(self, connection: sa.Connection, conflict_id: int, winner: Side, by: str) -> None:
        """Keep what a person said. It takes effect when both sides still show what they showed."""
        connection.execute(
            sa.update(_conflict)
            .where(_conflict.c.id == conflict_id)
            .values(state=DECIDED, winner=winner, decided_by=by, decided_at=self._state.now())
        )

    def outlive(self, connection: sa.Connection, till_id: str, fields: Collection[str]) -> None:
        """Close conflicts that are none any more."""
        connection.execute(
            sa.update(_conflict)
            .where(
                _conflict.c.till_id == till_id,
                _conflict.c.state.in_((OPEN, DECIDED)),
                among(_conflict.c.field, fields),
            )
            .values(state=OUTLIVED)
        )

    def _conflicts(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Contested]:
        statement = sa.select(_conflict).where(where).order_by(_conflict.c.id).limit(limit)
        with self._state.begin() as c:
            return [self._read_conflict(row) for row in c.execute(statement)]

    def _read_conflict(self, row: Any) -> Contested:
        values = open_document(self._vault, row.values, f"conflict {row.till_id} {row.field}")
        return Contested(
            id=row.id,
            till_id=row.till_id,
            crm_id=row.crm_id,
            field=row.field,
            state=row.state,
            till=values["till"],
            crm=values["crm"],
            winner=row.winner,
            decided_by=row.decided_by,
            noticed_at=row.noticed_at,
        )

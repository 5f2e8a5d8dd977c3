"""What would be written, kept for a person to look at: previews, and what the guard has held back.

A plan is approved as it was shown: by its checksum. Sealed, for it names people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.state import State
from tillbridge.sync.safety import Entry, checksum, packed, unpacked

_plan = schema.plan

OPEN, APPROVED, APPLIED, OUTDATED = "open", "approved", "applied", "outdated"
PREVIEW, HELD = "preview", "held"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One plan. `why`: preview (a person asked), or held (the guard objected: `reasons`)."""

    id: int
    state: str
    why: str
    reasons: tuple[str, ...]
    checksum: str
    entries: list[Entry]
    made_at: float
    decided_by: str | None
    decided_at: float | None
    run: int | None


class Plans:
    """The plans of one connection."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    def save(
        self, connection: sa.Connection, entries: Collection[Entry], why: str, reasons: Iterable[str] = ()
    ) -> int:
        """Keep a plan; return its number."""
        done = connection.execute(
            sa.insert(_plan).values(
                made_at=self._state.now(),
                state=OPEN,
                why=" ".join((why, *sorted(set(reasons)))),
                checksum=checksum(entries),
                body=b"",
                run=self._state.run_id,
            )
        )
        assert done.inserted_primary_key is not None
        plan_id = int(done.inserted_primary_key[0])
        self._replace(connection, plan_id, entries)
        return plan_id

    def hold(self, connection: sa.Connection, entries: Collection[Entry], reasons: Collection[str]) -> int:
        """Hold entries back: add them to the open plan that holds others, or open one; return its number.

        What it held of the same records before is replaced.
        """
        before = next((plan for plan in self._in_state(connection, OPEN) if plan.why == HELD), None)
        if before is None:
            return self.save(connection, entries, HELD, reasons)
        newest = {_record_of(entry): entry for entry in (*before.entries, *entries)}
        every = list(newest.values())
        why = " ".join((HELD, *sorted({*before.reasons, *reasons})))
        connection.execute(
            sa.update(_plan).where(_plan.c.id == before.id).values(why=why, checksum=checksum(every))
        )
        self._replace(connection, before.id, every)
        return before.id

    def _replace(self, connection: sa.Connection, plan_id: int, entries: Collection[Entry]) -> None:
        sealed = self._vault.seal(packed(entries), f"plan {plan_id}")
        connection.execute(sa.update(_plan).where(_plan.c.id == plan_id).values(body=sealed))

    def get(self, plan_id: int) -> Plan | None:
        """Return one plan."""
        with self._state.begin() as c:
            row = c.execute(sa.select(_plan).where(_plan.c.id == plan_id)).first()
            return None if row is None else self._read(row)

    def in_state(self, state: str) -> list[Plan]:
        """Return the plans in a state, oldest first."""
        with self._state.begin() as c:
            return self._in_state(c, state)

    def move(self, connection: sa.Connection, plan_id: int, state: str, by: str | None = None) -> None:
        """Let a plan stand so: approved (by somebody), applied, or outdated."""
        values: dict[str, Any] = {"state": state}
        if by is not None:
            values |= {"decided_by": by, "decided_at": self._state.now()}
        connection.execute(sa.update(_plan).where(_plan.c.id == plan_id).values(values))

    def _in_state(self, connection: sa.Connection, state: str) -> list[Plan]:
        rows = connection.execute(sa.select(_plan).where(_plan.c.state == state).order_by(_plan.c.id))
        return [self._read(row) for row in rows]

    def _read(self, row: Any) -> Plan:
        why, *reasons = row.why.split(" ")
        return Plan(
            id=row.id,
            state=row.state,
            why=why,
            reasons=tuple(reasons),
            checksum=row.checksum,
            entries=unpacked(self._vault.open(row.body, f"plan {row.id}")),
            made_at=row.made_at,
            decided_by=row.decided_by,
            decided_at=row.decided_at,
            run=row.run,
        )


def _record_of(entry: Entry) -> tuple[str, str | None, str | None]:
    return entry.action, entry.till_id, entry.crm_id

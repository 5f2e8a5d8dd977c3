"""Fill in lookups between sales once both ends are in the CRM: a refund and the sale it undoes.

Rows that point at their own object cannot name each other within one bulk job,
and history may be loaded newest first. These lookups never change again, so
they are filled by id alone, without reading the sale again, and leave the
digest of its rows as it is (see engine.resolve).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tillbridge.engine.connection import Connection
from tillbridge.engine.writer import stop_for
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.writing import Slot, Value
from tillbridge.store.journal import NewProblem
from tillbridge.store.state import Missing, Settled
from tillbridge.sync.plan import CALL_SLOTS_MAX, SLOT_ROWS_MAX
from tillbridge.sync.problems import cause_of, class_of

_AT_ONCE = CALL_SLOTS_MAX * SLOT_ROWS_MAX


def patch_lookups(connection: Connection) -> int:
    """Fill every lookup whose answer has come; return how many. A refusal is a problem of the row's own."""
    filled = 0
    last: Missing | None = None
    while todo := _next(connection, last):
        filled += _fill(connection, todo)
        last = todo[-1][0]
    return filled


def _next(connection: Connection, last: Missing | None) -> list[tuple[Missing, str, str, str]]:
    """Return what can be filled next; behind all of it, settle what waits for nothing any more."""
    with connection.state.begin() as c:
        todo = connection.state.fillable(_AT_ONCE, last)
        if not todo:
            connection.state.settle_served(c)
        return todo


def _fill(connection: Connection, todo: list[tuple[Missing, str, str, str]]) -> int:
    groups: dict[str, list[_Patch]] = {}
    for missing, object_name, own_id, parent_id in todo:
        groups.setdefault(object_name, []).append(_Patch(missing, object_name, own_id, parent_id))
    patches = [
        rows[start : start + SLOT_ROWS_MAX]
        for _, rows in sorted(groups.items())
        for start in range(0, len(rows), SLOT_ROWS_MAX)
    ]
    filled = 0
    for start in range(0, len(patches), CALL_SLOTS_MAX):
        some = patches[start : start + CALL_SLOTS_MAX]
        answers = connection.crm.write(
            [Slot("update", part[0].object, [p.row for p in part]) for part in some]
        )
        acked = [
            (patch, ack)
            for part, acks in zip(some, answers, strict=True)
            for patch, ack in zip(part, acks, strict=True)
        ]
        filled += _settle(connection, acked)
    return filled


class _Patch(NamedTuple):
    """One lookup of one row that is there."""

    missing: Missing
    object: str
    own_id: str
    parent_id: str

    @property
    def row(self) -> dict[str, Value]:
        """Return what is sent."""
        return {"Id": self.own_id, self.missing.field: self.parent_id}

    def problem(self, ack: Refused) -> NewProblem:
        """Describe a refusal for the problems desk."""
        return NewProblem(
            kind=self.missing.kind,
            till_id=self.missing.till_id,
            sale=self.missing.sale if self.missing.kind != "sale" else None,
            object=self.object,
            cause=cause_of(self.object, ack),
            code=ack.code,
            message=ack.message,
            fields=ack.fields,
            payload=self.row,
        )

    def standings(self, ack: Refused) -> list[Settled]:
        """Return where the row and its sale stand: its retry sends the whole row again."""
        kind, till_id, sale = self.missing.kind, self.missing.till_id, self.missing.sale
        refused = [Settled(kind=kind, till_id=till_id, state="problem", reason=ack.message)]
        if sale is not None and kind != "sale":
            reason = f"{self.object}: {ack.message}"
            refused.append(Settled(kind="sale", till_id=sale, state="problem", reason=reason))
        return refused


def _settle(connection: Connection, acked: Sequence[tuple[_Patch, Ack]]) -> int:
    """Write down one call's acks. What failed for now goes on waiting for the next run."""
    done = [patch.missing for patch, ack in acked if isinstance(ack, Written)]
    refused = [(patch, ack) for patch, ack in acked if isinstance(ack, Refused)]
    lasting = [(patch, ack) for patch, ack in refused if class_of(ack) not in {"transient", "halted"}]
    with connection.state.begin() as c:
        connection.state.served(c, done)
        connection.journal.refuse(c, [patch.problem(ack) for patch, ack in lasting])
        connection.state.settle(
            c, [s for patch, ack in lasting for s in patch.standings(ack)], verified=False
        )
    for _, ack in refused:
        if class_of(ack) == "halted":
            raise stop_for(ack)
    return len(done)

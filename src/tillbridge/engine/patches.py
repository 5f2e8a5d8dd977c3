"""Fill in lookups between sales once both ends are in the CRM: a refund and the sale it undoes.

Rows that point at their own object cannot name each other within one bulk job,
and history may be loaded newest first. These lookups never change again, so
they are filled by id alone, without reading the sale again, and leave the
digest of its rows as it is (see engine.resolve).
"""

from __future__ import annotations

from tillbridge.engine.connection import Connection
from tillbridge.model.acks import Written
from tillbridge.model.writing import Slot
from tillbridge.store.state import Missing
from tillbridge.sync.plan import CALL_SLOTS_MAX, SLOT_ROWS_MAX

_AT_ONCE = CALL_SLOTS_MAX * SLOT_ROWS_MAX


def patch_lookups(connection: Connection) -> int:
    """Fill every lookup whose answer has come; return how many. Refused ones stay waiting."""
    filled = 0
    while True:
        todo = connection.state.fillable(_AT_ONCE)
        done = _fill(connection, todo) if todo else []
        with connection.state.begin() as c:
            connection.state.served(c, done)
            connection.state.settle_served(c)
        filled += len(done)
        if not done or len(todo) < _AT_ONCE:
            return filled


def _fill(connection: Connection, todo: list[tuple[Missing, str, str, str]]) -> list[Missing]:
    groups: dict[str, list[tuple[Missing, str, str]]] = {}
    for missing, object_name, own_id, parent_id in sorted(todo, key=lambda item: item[1]):
        groups.setdefault(object_name, []).append((missing, own_id, parent_id))
    slots, whats = [], []
    for object_name, rows in groups.items():
        for start in range(0, len(rows), SLOT_ROWS_MAX):
            part = rows[start : start + SLOT_ROWS_MAX]
            slots.append(
                Slot("update", object_name, [{"Id": own, m.field: parent} for m, own, parent in part])
            )
            whats.append([m for m, _, _ in part])
    done: list[Missing] = []
    for start in range(0, len(slots), CALL_SLOTS_MAX):
        answers = connection.crm.write(slots[start : start + CALL_SLOTS_MAX])
        for acks, what in zip(answers, whats[start : start + CALL_SLOTS_MAX], strict=True):
            done += [m for m, ack in zip(what, acks, strict=True) if isinstance(ack, Written)]
    return done

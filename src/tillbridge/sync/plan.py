"""Pack rows into as few calls as the target's limits allow, parents before their children.

Rows come with a layer: everything of a layer may rely on the layers before it.
Slots of a call are carried out in their order, so a parent and its child may
share a call but, being told apart by object, never a slot. Two rows may not
share a slot either when they carry the same key (the target would fail both)
or when one refers to the other (a refund and its original).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from tillbridge.model.writing import KeyRef, Slot, Value

# A collections request takes 200 records, a composite request five of them (fact sheet 2.6, 2.7).
SLOT_ROWS_MAX = 200
CALL_SLOTS_MAX = 5


class PlannedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row to write. `key` is what the target finds it by; `layer` when, parents first."""

    object: str
    operation: Literal["upsert", "update", "create"]
    payload: dict[str, Value]
    layer: int
    key: str | None = None
    key_field: str | None = None


class Call(msgspec.Struct, frozen=True):
    """One request. `rows` holds, slot by slot, where each row stood in what was planned."""

    slots: list[Slot]
    rows: list[list[int]]


Group = tuple[int, str, str, str]  # layer, object, operation, key field


def pack(
    rows: Sequence[PlannedRow], *, slot_rows_max: int = SLOT_ROWS_MAX, call_slots_max: int = CALL_SLOTS_MAX
) -> list[Call]:
    """Return the calls that write the rows, to be made in this order."""
    groups: dict[Group, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        groups[row.layer, row.object, row.operation, row.key_field or ""].append(at)
    slots: list[tuple[Slot, list[int]]] = []
    for group, members in sorted(groups.items(), key=lambda item: (item[0][0], item[1][0])):
        slots += [
            (Slot(group[2], group[1], [rows[at].payload for at in slot], group[3] or None), slot)  # type: ignore[arg-type]  # a Group's operation
            for slot in _slots(rows, members, slot_rows_max)
        ]
    return [
        Call([slot for slot, _ in some], [members for _, members in some])
        for some in _chunks(slots, call_slots_max)
    ]


def _slots(rows: Sequence[PlannedRow], members: list[int], size: int) -> list[list[int]]:
    """Deal rows of one group out: each behind what it refers to, in the first slot with room."""
    before = _predecessors(rows, members)
    if not before:
        return [members[start : start + size] for start in range(0, len(members), size)]
    slots: list[list[int]] = []
    slot_of: dict[int, int] = {}
    first_open = 0
    for at in _referred_first(members, before):
        # In a ring somebody must go first; the target will say what it thinks of that row.
        placed = (slot_of[other] for other in before.get(at, ()) if other in slot_of)
        earliest = max(placed, default=-1) + 1
        number = max(earliest, first_open)
        while number < len(slots) and len(slots[number]) >= size:
            number += 1
        while number >= len(slots):
            slots.append([])
        slots[number].append(at)
        slot_of[at] = number
        while first_open < len(slots) and len(slots[first_open]) >= size:
            first_open += 1
    return slots


def _predecessors(rows: Sequence[PlannedRow], members: list[int]) -> dict[int, list[int]]:
    """Return, for each row that has any, the rows of its group that must be written earlier."""
    newest: dict[str, int] = {}
    before: dict[int, list[int]] = defaultdict(list)
    for at in members:
        key = rows[at].key
        if key is None:
            continue
        if key in newest:
            before[at].append(newest[key])  # The later one wins, so it goes later.
        newest[key] = at
    for at in members:
        for value in rows[at].payload.values():
            if type(value) is KeyRef and (other := newest.get(value.key)) is not None and other != at:
                before[at].append(other)
    return before


def _referred_first(members: list[int], before: dict[int, list[int]]) -> list[int]:
    """Order rows so that each follows its predecessors; a ring of references is broken where it is met."""
    wanted = {other for others in before.values() for other in others}
    ordered: list[int] = []
    state: dict[int, bool] = {}  # False while its predecessors are being placed

    def place(start: int) -> None:
        stack = [start]
        while stack:
            at = stack[-1]
            if state.get(at):
                stack.pop()
                continue
            state[at] = False
            open_ones = [other for other in before.get(at, ()) if other not in state]
            if open_ones:
                stack += open_ones
                continue
            state[at] = True
            ordered.append(at)
            stack.pop()

    for at in sorted(members, key=lambda at: (at not in wanted, at)):
        if at not in state:
            place(at)
    return ordered


def _chunks(slots: list[tuple[Slot, list[int]]], size: int) -> Iterable[list[tuple[Slot, list[int]]]]:
    return (slots[start : start + size] for start in range(0, len(slots), size))

"""What people say of conflicts: which side counts, carried out at once.

A ruling is about the two values that the person saw. Where a side shows
something else by now, nothing is written for it, and the conflict stays, with
the values of now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.customers import carry_plan, plan_customers
from tillbridge.engine.people import read_again, refresh_people
from tillbridge.model.errors import SyncError
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer
from tillbridge.store.changes import DECIDED, OPEN, OUTLIVED, Change, Changes, Contested, Side
from tillbridge.store.people import People

# So many customers are decided and written together.
_AT_ONCE = 500


class NoSuchConflict(SyncError):
    """A conflict that does not wait for anybody."""


class Outdated(SyncError):
    """A side shows something else by now than whoever decided had seen."""


class Conflicting(msgspec.Struct, frozen=True, kw_only=True):
    """An open conflict, and whom it is about."""

    contested: Contested
    name: str


class Ruled(msgspec.Struct, kw_only=True):
    """What became of conflicts: settled, or still there since a side has changed or refused.

    `lost` are the values that were replaced: they are kept, and can be restored.
    """

    settled: list[Contested] = []
    left: list[tuple[Contested, str]] = []
    lost: list[Change] = []


def open_conflicts(changes: Changes, index: People, limit: int) -> list[Conflicting]:
    """Return what waits for a person, with the person's name; the oldest first. No remote is asked."""
    found = changes.open_conflicts(limit)
    people = index.get({each.crm_id for each in found})
    named = {i: " ".join(filter(None, (p.first, p.last))) or p.company or i for i, p in people.items()}
    return [Conflicting(contested=each, name=named.get(each.crm_id, each.crm_id)) for each in found]


def wanted(changes: Changes, conflict_id: int) -> Contested:
    """Return an open conflict. Raises NoSuchConflict."""
    found = changes.conflict(conflict_id)
    if found is None:
        raise NoSuchConflict(
            f"There is no conflict {conflict_id}: `tillbridge conflicts` lists those that are open."
        )
    if found.state != OPEN:
        raise NoSuchConflict(f"Conflict {conflict_id} is {found.state} already: nothing waits for anybody.")
    return found


def check_seen(conflicts: Sequence[Contested], seen: Mapping[int, str]) -> None:
    """Check that whoever decides has seen the values of now. Raises Outdated."""
    for each in conflicts:
        if each.id in seen and seen[each.id] != each.mark:
            raise Outdated(
                f"The {each.field} of customer {each.till_id} has changed since it was shown, so nothing was "
                "decided: look at the values of now and decide again."
            )


def keep(connection: Connection, conflicts: Sequence[Contested], winner: Side, by: str) -> Ruled:
    """Let one side's values count in these conflicts, and carry them at once."""
    ruled = Ruled()
    ids = sorted({each.till_id for each in conflicts})
    newest = max((each.id for each in connection.changes.of(ids)), default=0)
    with connection.state.begin() as c:
        for each in conflicts:
            connection.changes.decide(c, each.id, winner, by)
        connection.state.doubt(c, "customer", ids)
    refresh_people(connection)
    for start in range(0, len(ids), _AT_ONCE):
        _carry(connection, ids[start : start + _AT_ONCE])
    for each in conflicts:
        _tell(connection, each, ruled)
    ruled.lost = [change for change in connection.changes.of(ids) if change.id > newest]
    return ruled


def _carry(connection: Connection, ids: Collection[str]) -> None:
    """Compare and write these customers. Nobody is asked once more: a person has just said it."""
    known = connection.state.known("customer", ids)
    read_again(connection, sorted({each.crm_id for each in known.values() if each.crm_id}))
    pages = connection.till.customers(Query(ids=tuple(ids)))
    customers: list[Customer] = [customer for page in pages for customer in page.rows]
    plan = plan_customers(connection, customers, fresh_index=True, guarded=False)
    carry_plan(connection, plan)
    with connection.state.begin() as c:
        connection.raw.keep(c, "customer", customers)


def _tell(connection: Connection, one: Contested, ruled: Ruled) -> None:
    now = connection.changes.conflict(one.id)
    known = connection.state.known("customer", [one.till_id]).get(one.till_id)
    if known is not None and known.state == "problem":
        ruled.left.append((one, known.reason or "it was refused"))
    elif now is None or now.state == OUTLIVED:
        ruled.settled.append(one)
    elif now.state == DECIDED:
        ruled.left.append((one, "it is not written yet; the next sync tries again"))
    else:
        told = "a side has changed since; `tillbridge conflicts` shows the values of now"
        ruled.left.append((one, told))

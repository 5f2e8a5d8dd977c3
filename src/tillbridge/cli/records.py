"""Look into the state for people: one record with when and by which run, and how many wait for what."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.state import State

_record = schema.record
_waiting = schema.waiting


class Record(msgspec.Struct, frozen=True):
    """Everything the state says of one thing."""

    kind: str
    till_id: str
    crm_id: str | None
    object: str | None
    crm_parent: str | None
    state: str
    reason: str | None
    parent: str | None
    till_stamp: float | None
    history: bool | None
    moved_at: float
    run: int | None


class Cursor(msgspec.Struct, frozen=True):
    """How far one stream has been read."""

    stream: str
    position: str
    moved_at: float


_COLUMNS = [_record.c[name] for name in Record.__struct_fields__]


def read_record(state: State, kind: str, till_id: str) -> Record | None:
    """Return one thing, or None when we never saw it."""
    with state.begin() as c:
        row = c.execute(
            sa.select(*_COLUMNS).where(_record.c.kind == kind, _record.c.till_id == till_id)
        ).one_or_none()
    return None if row is None else Record(*row)


def children_of(state: State, sale: str) -> list[Record]:
    """Return a sale's lines and payments, in the order of their ids."""
    with state.begin() as c:
        rows = c.execute(sa.select(*_COLUMNS).where(_record.c.parent == sale))
        found = [Record(*row) for row in rows]
    return sorted(found, key=lambda r: (r.kind, len(r.till_id), r.till_id))


def in_state(state: State, name: str) -> list[Record]:
    """Return every thing in one unsettled state."""
    with state.begin() as c:
        rows = c.execute(
            sa.select(*_COLUMNS)
            .where(_record.c.state == name)
            .order_by(_record.c.kind, sa.func.length(_record.c.till_id), _record.c.till_id)
        )
        return [Record(*row) for row in rows]


def awaited(state: State) -> list[tuple[str, str, str | None, int]]:
    """Return what sales wait for, as (kind, id, its own state, how many sales), most awaited first."""
    parent = _record.alias()
    count = sa.func.count(sa.distinct(_waiting.c.sale))
    own = sa.and_(parent.c.kind == _waiting.c.parent_kind, parent.c.till_id == _waiting.c.parent_id)
    statement = (
        sa.select(_waiting.c.parent_kind, _waiting.c.parent_id, parent.c.state, count)
        .outerjoin(parent, own)
        .where(_waiting.c.sale.isnot(None), sa.func.coalesce(parent.c.state, "") != "left_out")
        .group_by(_waiting.c.parent_kind, _waiting.c.parent_id, parent.c.state)
        .order_by(count.desc(), _waiting.c.parent_kind, _waiting.c.parent_id)
    )
    with state.begin() as c:
        return [(row[0], row[1], row[2], row[3]) for row in c.execute(statement)]


def cursors(state: State) -> list[Cursor]:
    """Return how far every stream has been read."""
    columns = [schema.cursor.c[name] for name in Cursor.__struct_fields__]
    with state.begin() as c:
        return [Cursor(*row) for row in c.execute(sa.select(*columns).order_by(schema.cursor.c.stream))]


def job_of(state: State, run: int | None) -> str | None:
    """Return which job a run was."""
    if run is None:
        return None
    with state.begin() as c:
        return c.execute(sa.select(schema.run.c.job).where(schema.run.c.id == run)).scalar()

"""What was spent and how late streams were, hour by hour, for the charts of the last day.

The journal drops runs that found nothing, so it cannot tell what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.state import State

HOUR = 3_600
_KEPT_SECONDS = 8 * 86_400
_hour = schema.hour


_late = sa.bindparam("late", type_=sa.Float)
_ADD = (
    sa.update(_hour)
    .where(_hour.c.hour == sa.bindparam("of_hour"), _hour.c.what == sa.bindparam("of_what"))
    .values(
        count=_hour.c.count + sa.bindparam("more"),
        worst=sa.case((_hour.c.worst < _late, _late), else_=_hour.c.worst),
    )
)
_INSERT = sa.insert(_hour).values(
    hour=sa.bindparam("of_hour"),
    what=sa.bindparam("of_what"),
    count=sa.bindparam("more"),
    worst=_late,
)


class Hour(msgspec.Struct, frozen=True):
    """One figure of one hour. `worst` is, of polls, the longest gap before one, in seconds."""

    hour: int
    what: str
    count: int
    worst: float


class Hours:
    """The hours of one connection."""

    def __init__(self, state: State) -> None:
        self._state = state

    def note(self, connection: sa.Connection, counts: Mapping[str, int], worst: float = 0.0) -> None:
        """Add to the figures of this hour."""
        now = int(self._state.now())
        rows = [
            {"of_hour": now - now % HOUR, "of_what": what, "more": count, "late": worst}
            for what, count in counts.items()
            if count
        ]
        if not rows:
            return
        fresh = [row for row in rows if not connection.execute(_ADD, row).rowcount]
        if fresh:
            connection.execute(_INSERT, fresh)
            connection.execute(sa.delete(_hour).where(_hour.c.hour < now - _KEPT_SECONDS))

    def since(self, moment: float) -> list[Hour]:
        """Return all figures from the hour of a moment on, oldest first."""
        columns = [_hour.c[name] for name in Hour.__struct_fields__]
        first = int(moment) - int(moment) % HOUR
        statement = sa.select(*columns).where(_hour.c.hour >= first).order_by(_hour.c.hour, _hour.c.what)
        with self._state.begin() as c:
            return [Hour(*row) for row in c.execute(statement)]


def note_calls(state: State, till: int, crm: int) -> None:
    """Note the calls that a run has spent, whatever came of it."""
    if till or crm:
        with state.begin() as c:
            Hours(state).note(c, {"till calls": till, "crm calls": crm})

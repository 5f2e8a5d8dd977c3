"""How long records took from the till to the CRM: one row each, for some days."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.state import State
from tillbridge.sync.freshness import Landed

# Alerts look back for six hours, people for a week.
KEPT_SECONDS = 8 * 86_400.0

# Whoever lands more than that in a day is well served by the newest.
_READ_MAX = 50_000

_freshness = schema.freshness


def keep(connection: sa.Connection, landed: Sequence[Landed]) -> None:
    """Keep records that were confirmed, in the transaction that settles them."""
    if landed:
        connection.execute(sa.insert(_freshness), [msgspec.structs.asdict(each) for each in landed])
        old = max(each.confirmed_at for each in landed) - KEPT_SECONDS
        connection.execute(sa.delete(_freshness).where(_freshness.c.confirmed_at < old))


def since(state: State, moment: float) -> list[Landed]:
    """Return what was confirmed from a moment on, oldest first."""
    columns = [_freshness.c[name] for name in Landed.__struct_fields__]
    newest = (
        sa.select(*columns)
        .where(_freshness.c.confirmed_at >= moment)
        .order_by(_freshness.c.confirmed_at.desc())
        .limit(_READ_MAX)
    )
    with state.begin() as c:
        rows = [dict(row._mapping) for row in c.execute(newest)]  # noqa: SLF001  SQLAlchemy's public name.
    return [Landed(**row) for row in reversed(rows)]

"""When each thing was last read from the till itself, and what the feed had missed until then.

A record's `verified_at` is our own clock's time; NULL means that the till has
never shown it to us, as after a relink. The table `missed` is a diary: one line
for each change that somebody else than the ordinary feed has found.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.lists import among
from tillbridge.store.state import CONVERTED, State
from tillbridge.store.writing import insert

_record = schema.record
_missed = schema.missed

# On their way in a bulk job: what they show is not confirmed yet, so there is nothing to compare with.
_ON_THE_WAY = "staged"


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """A change that the feed did not tell: who found it, and what was different. `found_at` on our clock."""

    kind: str
    till_id: str
    found_by: str
    what: str
    found_at: float = 0.0
    run: int | None = None


class Age(msgspec.Struct, frozen=True):
    """How old the knowledge of one kind is: how many there are, and since when the oldest is unverified."""

    records: int
    oldest_at: float | None
    never: int


_TURN = (
    sa.select(_record.c.till_id, _record.c.verified_at)
    .where(_record.c.kind == sa.bindparam("kind"), _record.c.state != _ON_THE_WAY)
    .order_by(_record.c.verified_at.asc().nulls_first(), _record.c.till_id)
    .limit(sa.bindparam("count", type_=sa.Integer))
)
_MARK = (
    sa.update(_record)
    .where(_record.c.kind == sa.bindparam("of"), among(_record.c.till_id))
    .values(verified_at=sa.bindparam("now"))
)
_FORGET_STAMP = (
    sa.update(_record)
    .where(_record.c.kind == sa.bindparam("of"), among(_record.c.till_id))
    .values(till_stamp=None)
)
_UNLINK = (
    sa.update(_record)
    .where(_record.c.kind == sa.bindparam("of"), among(_record.c.till_id))
    .values(digest=None, crm_id=None)
)


_PART = (
    sa.update(_record)
    .where(_record.c.kind == sa.bindparam("of"), among(_record.c.till_id))
    .values(digest=None, crm_id=None, crm_parent=None, object=None, role=None, till_stamp=None)
)


# The kind of an alias that leads from a CRM record to the one that it was merged into, or became.
MERGED_CRM = "crm record"


class Verified:
    """Verification ages and the diary of missed changes of one connection."""

    def __init__(self, state: State) -> None:
        self._state = state

    # --- ages ----------------------------------------------------------------------------------

    def oldest(self, kind: str, count: int) -> list[tuple[str, float | None]]:
        """Return (id, verified_at) of the longest-unverified things of a kind; never verified ones first."""
        with self._state.begin() as c:
            return [(row[0], row[1]) for row in c.execute(_TURN, {"kind": kind, "count": count})]

    def unread_since(self, kind: str, ids: Collection[str], moment: float) -> list[str]:
        """Return those of these things that we know and have not read since a moment."""
        if not ids:
            return []
        long_ago = sa.or_(_record.c.verified_at.is_(None), _record.c.verified_at < moment)
        statement = sa.select(_record.c.till_id).where(
            _record.c.kind == kind, among(_record.c.till_id), long_ago
        )
        with self._state.begin() as c:
            return sorted(c.execute(statement, {"ids": ids}).scalars())

    def mark(self, connection: sa.Connection, kind: str, ids: Collection[str]) -> None:
        """Note that the till was asked about these things just now."""
        if ids:
            values = {"of": kind, "ids": ids, "now": self._state.now()}
            connection.execute(_MARK, values)

    def ages(self, kinds: Collection[str]) -> dict[str, Age]:
        """Return how old the knowledge of each kind is; kinds without a record are absent."""
        statement = (
            sa.select(
                _record.c.kind,
                sa.func.count(),
                sa.func.min(_record.c.verified_at),
                sa.func.count() - sa.func.count(_record.c.verified_at),
            )
            .where(_record.c.kind.in_(list(kinds)), _record.c.state != _ON_THE_WAY)
            .group_by(_record.c.kind)
        )
        with self._state.begin() as c:
            return {row[0]: Age(row[1], row[2], row[3]) for row in c.execute(statement)}

    def ids(self, kind: str) -> set[int]:
        """Return every number that the till has shown of a kind, to see which ones are missing between."""
        with self._state.begin() as c:
            found = c.execute(sa.select(_record.c.till_id).where(_record.c.kind == kind)).scalars()
            return {int(i) for i in found if i.isdecimal()}

    # --- what the CRM turned out not to hold -----------------------------------------------------

    def unlink(self, connection: sa.Connection, kind: str, ids: Collection[str]) -> None:
        """Forget where these things are in the CRM: they are gone from there, and are created again."""
        if ids:
            connection.execute(_UNLINK, {"of": kind, "ids": ids})

    def part(self, connection: sa.Connection, kind: str, ids: Collection[str]) -> None:
        """Forget whom these things were linked to, and the Leads that those once were: it was a mistake."""
        connection.execute(_PART, {"of": kind, "ids": ids})
        alias = schema.alias
        connection.execute(sa.delete(alias).where(alias.c.kind == CONVERTED, among(alias.c.old_id, ids)))

    # --- reviews -------------------------------------------------------------------------------

    def decide_anew(self, connection: sa.Connection, kind: str, ids: Collection[str]) -> None:
        """Have things that nobody could decide about decided again, though the till shows them as before."""
        if ids:
            connection.execute(_FORGET_STAMP, {"of": kind, "ids": ids})

    # --- merges --------------------------------------------------------------------------------

    def rename(self, connection: sa.Connection, kind: str, old_id: str, new_id: str) -> None:
        """Let an old id of the till resolve to the one that it went into, for ever."""
        values = {"kind": kind, "old_id": old_id, "new_id": new_id, "made_at": self._state.now()}
        statement = insert(schema.alias).values(values)
        connection.execute(
            statement.on_conflict_do_update(index_elements=["kind", "old_id"], set_={"new_id": new_id})
        )

    def aliases(self, kind: str, ids: Collection[str]) -> dict[str, str]:
        """Return what these old ids went into."""
        if not ids:
            return {}
        alias = schema.alias
        statement = sa.select(alias.c.old_id, alias.c.new_id).where(
            alias.c.kind == kind, among(alias.c.old_id)
        )
        with self._state.begin() as c:
            return {row[0]: row[1] for row in c.execute(statement, {"ids": ids})}

    # --- the diary -----------------------------------------------------------------------------

    def log(self, connection: sa.Connection, missed: Collection[Missed]) -> None:
        """Write down what the feed had missed."""
        now, run = self._state.now(), self._state.run_id
        rows = [{**msgspec.structs.asdict(each), "found_at": now, "run": run} for each in missed]
        if rows:
            connection.execute(sa.insert(_missed), rows)

    def missed(self, limit: int = 1_000) -> list[Missed]:
        """Return the latest entries, newest first."""
        columns = [_missed.c[name] for name in Missed.__struct_fields__]
        statement = sa.select(*columns).order_by(_missed.c.id.desc()).limit(limit)
        with self._state.begin() as c:
            return [
                Missed(
                    kind=row.kind,
                    till_id=row.till_id,
                    found_by=row.found_by,
                    what=row.what,
                    found_at=row.found_at,
                    run=row.run,
                )
                for row in c.execute(statement)
            ]

    def count_missed(self) -> int:
        """Count what the feed has ever missed."""
        with self._state.begin() as c:
            return c.execute(sa.select(sa.func.count()).select_from(_missed)).scalar() or 0

    def last_words(self, kind: str, ids: Collection[str]) -> dict[str, str]:
        """Return what was last written down of each of these things."""
        statement = (
            sa.select(_missed.c.till_id, _missed.c.what)
            .where(_missed.c.kind == kind, among(_missed.c.till_id))
            .order_by(_missed.c.id)
        )
        with self._state.begin() as c:
            return {row[0]: row[1] for row in c.execute(statement, {"ids": ids})}

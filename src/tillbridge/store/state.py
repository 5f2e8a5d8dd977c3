"""Links, digests, states and cursors: what the target confirmed, and nothing that was merely sent.

Callers open a transaction with `State.begin`, make their changes in it and leave
it before the next network call.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.model.clock import Clock
from tillbridge.model.errors import Halted
from tillbridge.store import schema
from tillbridge.store.database import Place, close_database, plain_words, rewrite
from tillbridge.store.lists import among, parts
from tillbridge.store.writing import Many, insert

# The kind of an alias that leads from a till's customer to the Lead they were before its conversion.
CONVERTED = "converted lead"

BOUND_FACTS = ("till_account", "crm_org")
_BOUND_TO = {"till_account": "Lightspeed account", "crm_org": "Salesforce org"}


class Link(msgspec.Struct, frozen=True):
    """Where a thing of the till is in the CRM. `crm_parent` is a linked contact's account."""

    crm_id: str
    object: str
    crm_parent: str | None = None
    lead: str | None = None  # the Lead that has become this contact or account


class Known(msgspec.Struct, frozen=True):
    """What we know of one thing: its link, what the target last confirmed, where it stands and why."""

    kind: str
    till_id: str
    crm_id: str | None
    object: str | None
    crm_parent: str | None
    state: str
    reason: str | None
    digest: bytes | None
    parent: str | None
    till_stamp: float | None
    history: bool | None
    role: str | None = None  # created, adopted, or second: how it came to its CRM record


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A new standing of one thing. None leaves what is known as it is; `reason` is always replaced."""

    kind: str
    till_id: str
    state: str
    reason: str | None = None
    crm_id: str | None = None
    object: str | None = None
    crm_parent: str | None = None
    digest: bytes | None = None
    parent: str | None = None
    till_stamp: float | None = None
    history: bool | None = None
    wave: int | None = None
    role: str | None = None


class Missing(msgspec.Struct, frozen=True):
    """A lookup field of one thing that waits for its parent."""

    kind: str
    till_id: str
    field: str
    parent_kind: str
    parent_id: str
    sale: str | None = None


_record = schema.record
_waiting = schema.waiting
_KNOWN = [_record.c[name] for name in Known.__struct_fields__]


def _upsert() -> Any:
    statement = insert(_record)
    new = statement.excluded
    kept = (
        "crm_id",
        "object",
        "crm_parent",
        "digest",
        "parent",
        "till_stamp",
        "history",
        "verified_at",
        "role",
    )
    changes: dict[str, Any] = {name: sa.func.coalesce(new[name], _record.c[name]) for name in kept}
    changes |= {name: new[name] for name in ("state", "reason", "wave", "moved_at", "run")}
    return statement.on_conflict_do_update(index_elements=["kind", "till_id"], set_=changes)


_UPSERT = Many(_upsert(), [*Settled.__struct_fields__, "moved_at", "run", "verified_at"])


def _write_over(table: sa.Table, own: str) -> Any:
    statement = insert(table)
    changes = {c.name: statement.excluded[c.name] for c in table.columns if c.name != own}
    return statement.on_conflict_do_update(index_elements=[own], set_=changes)


_FACT = sa.select(schema.meta.c.value).where(schema.meta.c.name == sa.bindparam("of"))
_FACTS = sa.select(schema.meta).where(schema.meta.c.name.in_(sa.bindparam("of", expanding=True)))
_KEEP = _write_over(schema.meta, "name")
_POSITION = sa.select(schema.cursor.c.position).where(schema.cursor.c.stream == sa.bindparam("of"))
_MOVED_AT = sa.select(schema.cursor.c.moved_at).where(schema.cursor.c.stream == sa.bindparam("of"))
_MOVE = _write_over(schema.cursor, "stream")

_LINK = (_record.c.till_id, _record.c.crm_id, _record.c.object, _record.c.crm_parent)
_KNOWN_OF_KIND = sa.select(*_KNOWN).where(_record.c.kind == sa.bindparam("kind"), among(_record.c.till_id))
_KNOWN_OF_PARENTS = sa.select(*_KNOWN).where(among(_record.c.parent))
_LINKS_OF_KIND = sa.select(*_LINK).where(
    _record.c.kind == sa.bindparam("kind"), among(_record.c.till_id), _record.c.crm_id.isnot(None)
)
_NEW_IDS = sa.select(schema.alias.c.old_id, schema.alias.c.new_id).where(
    schema.alias.c.kind == sa.bindparam("kind"), among(schema.alias.c.old_id)
)

_SERVED = sa.delete(_waiting).where(
    *(_waiting.c[name] == sa.bindparam(name) for name in ("kind", "till_id", "field"))
)

_DOUBT = (
    sa.update(_record)
    .where(_record.c.kind == sa.bindparam("of"), among(_record.c.till_id))
    .values(digest=None)
)

DELETED = "its record was deleted in Salesforce; it is looked at again when the till changes it"
_STILL_EMPTY = "landed; some lookups are empty until what they point to is in the CRM"
_parent = _record.alias("awaited")
_PARENT_HAS_COME = sa.and_(
    _parent.c.kind == _waiting.c.parent_kind,
    _parent.c.till_id == _waiting.c.parent_id,
    _parent.c.crm_id.isnot(None),
)
_AWAITED = (
    sa.select(_waiting.c.sale, _waiting.c.parent_kind, _waiting.c.parent_id)
    .outerjoin(
        _parent,
        sa.and_(_parent.c.kind == _waiting.c.parent_kind, _parent.c.till_id == _waiting.c.parent_id),
    )
    .where(
        _waiting.c.sale.isnot(None),
        sa.or_(_parent.c.state.is_(None), _parent.c.state != "left_out"),
        # A sale or line may be there and the lookup to it not filled yet (see engine.patches).
        sa.or_(_parent.c.crm_id.is_(None), _waiting.c.parent_kind == "line"),
    )
)


# Whoever has read or written anything has sealed something in one of these.
_SEALED = (schema.token, schema.raw, schema.person, schema.verdict, schema.spool)


class State:
    """The durable state of one connection. One instance a process; threads may share it."""

    def __init__(self, engine: sa.Engine, clock: Clock, place: Place | Path) -> None:
        self._engine = engine
        self._clock = clock
        self._place = place if isinstance(place, Place) else Place(place.parent)
        self._closed = False
        self._own = threading.local()  # each thread's transaction under way
        self._run: int | None = None
        self._announced: Callable[[sa.Connection], int] | None = None
        # Asked at the beginning of every transaction: raises when this process may write no more.
        self.fence: Callable[[sa.Connection], None] | None = None

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Open one short transaction; it commits at the end of the block.

        Within another one of this thread it is a part of that, which commits at its own end.
        """
        if (outer := self._under_way) is not None:
            yield outer
            return
        announced = None
        try:
            with plain_words(self._place), self._engine.begin() as connection:
                if self.fence is not None:
                    self.fence(connection)
                self._own.connection, announced = connection, self._announced
                yield connection
        except BaseException:
            if announced is not None and self._announced is None:
                # The row of the run went back with all the rest.
                self.announce(announced)
            raise
        finally:
            self._own.connection = None

    @property
    def _under_way(self) -> sa.Connection | None:
        return getattr(self._own, "connection", None)

    # --- the run -----------------------------------------------------------------------------

    @property
    def run_id(self) -> int | None:
        """Return the run that everything settled now belongs to; an announced one begins with that."""
        if self._announced is not None:
            with self.begin() as c:
                if (begin := self._announced) is not None:  # Another thread may have been faster.
                    self._run, self._announced = begin(c), None
        return self._run

    @run_id.setter
    def run_id(self, run: int | None) -> None:
        self._run, self._announced = run, None

    @property
    def begun_run(self) -> int | None:
        """Return the run if it has begun: nothing of it stands anywhere before that."""
        return None if self._announced is not None else self._run

    def announce(self, begin: Callable[[sa.Connection], int]) -> None:
        """Have a run begun by `begin` once something is settled in it."""
        self._run, self._announced = None, begin

    def close(self) -> None:
        """Let the database go. Again is harmless."""
        if not self._closed:
            self._closed = True
            close_database(self._engine)

    def rest(self) -> None:
        """Let the file go until the next transaction; what others share is left as it is."""
        if self._place.url is None:
            self._engine.dispose()

    def compact(self) -> None:
        """Write all tables anew: no free page keeps what was deleted."""
        with plain_words(self._place):
            rewrite(self._engine)

    def holds_sealed(self) -> bool:
        """Say whether it holds what only its key can open."""
        with self.begin() as c:
            return any(c.execute(sa.select(sa.literal(1)).select_from(t).limit(1)).first() for t in _SEALED)

    def now(self) -> float:
        """Return our own clock's epoch seconds: for people to read, never compared with a remote's."""
        return self._clock.now().timestamp()

    # --- small facts -------------------------------------------------------------------------

    def fact(self, name: str) -> Any:
        """Return a small fact kept between runs, or None."""
        with self.begin() as c:
            return self.kept(c, name)

    def texts(self, names: Collection[str]) -> dict[str, str]:
        """Return small facts as they are stored; those that were never kept are absent."""
        with self.begin() as c:
            return {row.name: row.value for row in c.execute(_FACTS, {"of": list(names)})}

    def kept(self, connection: sa.Connection, name: str) -> Any:
        """Return a small fact as a transaction under way sees it."""
        text = connection.execute(_FACT, {"of": name}).scalar()
        return None if text is None else json.loads(text)

    def keep(self, connection: sa.Connection, name: str, value: Any) -> None:
        """Keep a small fact."""
        connection.execute(_KEEP, {"name": name, "value": json.dumps(value)})

    def bind(self, *, till_account: str, crm_org: str) -> None:
        """Tie this state to one till account and one org. Raises Halted when it is tied to others."""
        for name, value in (("till_account", till_account), ("crm_org", crm_org)):
            self.check_bound(name, value)
            if self.fact(name) is None:
                with self.begin() as c:
                    self.keep(c, name, value)

    def check_bound(self, name: str, value: str) -> None:
        """Raise Halted when this state is tied to another account or org than `value`."""
        bound = self.fact(name)
        if bound is not None and bound != value:
            raise Halted(
                f"This home directory belongs to {_BOUND_TO[name]} {bound}; the configuration leads to "
                f"{value}. Nothing was written. "
                "Use another home directory for it, or set the configuration back."
            )

    # --- cursors -----------------------------------------------------------------------------

    def cursor(self, stream: str) -> str | None:
        """Return the position of a stream."""
        with self.begin() as c:
            return c.execute(_POSITION, {"of": stream}).scalar()

    def cursor_moved_at(self, stream: str) -> float | None:
        """Return when a stream was last polled, on our clock."""
        with self.begin() as c:
            return c.execute(_MOVED_AT, {"of": stream}).scalar()

    def move_cursor(self, connection: sa.Connection, stream: str, position: str | None) -> None:
        """Move a stream's cursor; None takes it away."""
        if position is None:
            connection.execute(sa.delete(schema.cursor).where(schema.cursor.c.stream == stream))
            return
        connection.execute(_MOVE, {"stream": stream, "position": position, "moved_at": self.now()})

    # --- records -----------------------------------------------------------------------------

    def known(self, kind: str, ids: Collection[str]) -> dict[str, Known]:
        """Return what we know of these things; unknown ids are absent."""
        if not ids:
            return {}
        with self.begin() as c:
            rows = c.execute(_KNOWN_OF_KIND, {"kind": kind, "ids": list(ids)}).all()
            return {(known := Known(*row)).till_id: known for row in rows}

    def moved_at(self, kind: str, ids: Collection[str]) -> dict[str, float]:
        """Return when each of these things last took a new standing, our clock."""
        if not ids:
            return {}
        statement = sa.select(_record.c.till_id, _record.c.moved_at)
        with self.begin() as c:
            rows = c.execute(
                statement.where(_record.c.kind == kind, among(_record.c.till_id)), {"ids": list(ids)}
            )
            return {row.till_id: row.moved_at for row in rows}

    def children(self, sales: Collection[str]) -> dict[tuple[str, str], Known]:
        """Return the lines and payments that we know of these sales, by (kind, id)."""
        if not sales:
            return {}
        with self.begin() as c:
            rows = c.execute(_KNOWN_OF_PARENTS, {"ids": list(sales)}).all()
            return {((known := Known(*row)).kind, known.till_id): known for row in rows}

    def links(self, kind: str, ids: Collection[str]) -> dict[str, Link]:
        """Return where these things are in the CRM, those with a link. Old ids of merges resolve."""
        return self.links_of({kind: ids})[kind]

    def links_of(self, things: Mapping[str, Collection[str]]) -> dict[str, dict[str, Link]]:
        """Return the links of things of several kinds: by kind, by id."""
        if not any(things.values()):
            return {kind: {} for kind in things}
        with self.begin() as c:
            return {kind: self._links_or_new(c, kind, ids) if ids else {} for kind, ids in things.items()}

    def _links_or_new(self, connection: sa.Connection, kind: str, ids: Collection[str]) -> dict[str, Link]:
        found = self._links(connection, kind, ids)
        if kind == "customer":
            leads = connection.execute(_NEW_IDS, {"kind": CONVERTED, "ids": list(found)})
            for till_id, lead in leads:
                found[till_id] = msgspec.structs.replace(found[till_id], lead=lead)
        if lost := [i for i in ids if i not in found]:
            asked = {"kind": kind, "ids": list(lost)}
            renamed = [(old, new) for old, new in connection.execute(_NEW_IDS, asked)]
            new = self._links(connection, kind, [now for _, now in renamed]) if renamed else {}
            found.update((old, new[now]) for old, now in renamed if now in new)
        return found

    def all_links(self, kind: str) -> dict[str, Link]:
        """Return every link of a kind: for stores, employees and products, thousands at most."""
        columns = (_record.c.till_id, _record.c.crm_id, _record.c.object, _record.c.crm_parent)
        with self.begin() as c:
            rows = c.execute(sa.select(*columns).where(_record.c.kind == kind, _record.c.crm_id.isnot(None)))
            return {row.till_id: Link(row.crm_id, row.object, row.crm_parent) for row in rows}

    def _links(self, connection: sa.Connection, kind: str, ids: Collection[str]) -> dict[str, Link]:
        rows = connection.execute(_LINKS_OF_KIND, {"kind": kind, "ids": list(ids)}).all()
        return {till_id: Link(*link) for till_id, *link in rows}

    def linked_to(self, crm_ids: Collection[str]) -> dict[str, list[str]]:
        """Return the till's customers that are linked to these CRM records."""
        found: dict[str, list[str]] = {}
        if not crm_ids:
            return found
        with self.begin() as c:
            for part in parts(crm_ids):
                rows = c.execute(
                    sa.select(_record.c.crm_id, _record.c.till_id).where(
                        _record.c.kind == "customer", _record.c.crm_id.in_(part)
                    )
                )
                for row in rows:
                    found.setdefault(row.crm_id, []).append(row.till_id)
        return found

    def settle(
        self, connection: sa.Connection, standings: Collection[Settled], *, verified: bool = True
    ) -> None:
        """Write new standings of things. `verified`: they rest on what the till has just shown."""
        if not standings:
            return
        now = self.now()
        more = {"moved_at": now, "run": self.run_id, "verified_at": now if verified else None}
        _UPSERT.run(connection, [{**msgspec.structs.asdict(s), **more} for s in standings])

    def repoint(self, connection: sa.Connection, old: str, new: Link | None) -> list[str]:
        """Point every link to a CRM record that is gone to another one, or take the links off.

        What was confirmed of them is forgotten, so that they are compared afresh.
        Returns the till's customers among them.
        """
        whose = connection.execute(
            sa.select(_record.c.till_id).where(_record.c.crm_id == old, _record.c.kind == "customer")
        )
        customers = list(whose.scalars())
        changes: dict[str, Any] = {"crm_id": None, "digest": None, "moved_at": self.now()}
        if new is None:
            state = sa.case((_record.c.kind == "customer", "left_out"), else_="waiting")
            # Their next edit in the till is told by what was confirmed last.
            digest = sa.case((_record.c.kind == "customer", _record.c.digest), else_=sa.null())
            changes |= {"crm_parent": None, "state": state, "reason": DELETED, "digest": digest}
        else:
            changes |= {"crm_id": new.crm_id, "object": new.object}
            if new.crm_parent is not None:
                changes["crm_parent"] = new.crm_parent
            if customers and self._is_taken(connection, new.crm_id):
                # Somebody else's primary record now: this one must not write what belongs to that.
                changes["role"] = sa.case((_record.c.kind == "customer", "second"), else_=_record.c.role)
        connection.execute(sa.update(_record).where(_record.c.crm_id == old).values(changes))
        return customers

    def _is_taken(self, connection: sa.Connection, crm_id: str) -> bool:
        return (
            connection.execute(
                sa.select(_record.c.till_id)
                .where(_record.c.crm_id == crm_id, _record.c.kind == "customer")
                .limit(1)
            ).first()
            is not None
        )

    def doubt(self, connection: sa.Connection, kind: str, ids: Collection[str]) -> None:
        """Forget what was last confirmed of these things, so that they are compared afresh."""
        if ids:
            connection.execute(_DOUBT, {"of": kind, "ids": list(ids)})

    def stamps(self, kind: str, since: float) -> list[float]:
        """Return when the things of a kind were last moved in the till, by its own stamps."""
        statement = sa.select(_record.c.till_stamp).where(
            _record.c.kind == kind, _record.c.till_stamp >= since
        )
        with self.begin() as c:
            return list(c.execute(statement).scalars())

    def to_compare(self, limit: int) -> list[str]:
        """Return the linked customers who have to be compared afresh, and wait for nothing else."""
        statement = (
            sa.select(_record.c.till_id)
            .where(
                _record.c.kind == "customer",
                _record.c.crm_id.isnot(None),
                _record.c.digest.is_(None),
                _record.c.state.in_(("settled", "conflict")),
            )
            .order_by(_record.c.till_id)
            .limit(limit)
        )
        with self.begin() as c:
            return list(c.execute(statement).scalars())

    def count_linked(self, kind: str) -> int:
        """Count the things of a kind that are linked."""
        statement = sa.select(sa.func.count()).where(_record.c.kind == kind, _record.c.crm_id.isnot(None))
        with self.begin() as c:
            return c.execute(statement).scalar() or 0

    def count_states(self) -> dict[str, dict[str, int]]:
        """Count the things of each kind by state."""
        counts: dict[str, dict[str, int]] = {}
        with self.begin() as c:
            rows = c.execute(
                sa.select(_record.c.kind, _record.c.state, sa.func.count()).group_by(
                    _record.c.kind, _record.c.state
                )
            )
            for kind, state, count in rows:
                counts.setdefault(kind, {})[state] = count
        return counts

    def count_first(self, most: int) -> dict[str, dict[str, int]]:
        """Count the things of each kind by state as `count_states` does, but so many of a kind at most."""
        counts: dict[str, dict[str, int]] = {}
        with self.begin() as c:
            next_kind = sa.select(sa.func.min(_record.c.kind))
            kind = c.execute(next_kind).scalar()
            while kind is not None:
                first = sa.select(_record.c.state).where(_record.c.kind == kind).limit(most).subquery()
                states = sa.select(first.c.state, sa.func.count()).group_by(first.c.state)
                counts[kind] = {row.state: row[1] for row in c.execute(states)}
                kind = c.execute(next_kind.where(_record.c.kind > kind)).scalar()
        return counts

    def staged(self, wave: int) -> list[str]:
        """Return the sales of a wave that have landed and are not settled yet."""
        statement = sa.select(_record.c.till_id).where(
            _record.c.wave == wave, _record.c.kind == "sale", _record.c.state == "staged"
        )
        with self.begin() as c:
            return list(c.execute(statement).scalars())

    def refused_in(self, wave: int) -> dict[str, str]:
        """Return the sales of which a wave had a row refused, each with the words of the first."""
        columns = [_record.c[name] for name in ("till_id", "parent", "object", "reason")]
        statement = sa.select(*columns).where(_record.c.wave == wave, _record.c.state == "problem")
        found: dict[str, str] = {}
        with self.begin() as c:
            for row in c.execute(statement.order_by(_record.c.kind, _record.c.till_id)):
                found.setdefault(row.parent or row.till_id, f"{row.object}: {row.reason}")
        return found

    def in_state(self, kind: str, state: str, limit: int = 1_000) -> list[Known]:
        """Return things of a kind in a state, in the order of their ids."""
        with self.begin() as c:
            rows = c.execute(
                sa.select(*_KNOWN)
                .where(_record.c.kind == kind, _record.c.state == state)
                .order_by(_record.c.till_id)
                .limit(limit)
            )
            return [Known(*row) for row in rows]

    # --- waiting -----------------------------------------------------------------------------

    def wait(
        self,
        connection: sa.Connection,
        things: Collection[tuple[str, str]],
        missing: Collection[Missing],
        *,
        sent: bool = True,
    ) -> None:
        """Replace what these things, given as (kind, id), wait for.

        Not `sent`: their lookups to sales and lines may still be empty in the CRM, although what
        they point to has come, so those go on waiting for engine.patches.
        """
        spared = sa.true() if sent else _waiting.c.parent_kind != "line"
        for kind in {kind for kind, _ in things}:
            ids = [i for k, i in things if k == kind]
            for part in parts(ids):
                connection.execute(
                    sa.delete(_waiting).where(_waiting.c.kind == kind, _waiting.c.till_id.in_(part), spared)
                )
        if missing:
            statement = insert(_waiting).on_conflict_do_nothing()
            connection.execute(statement, [msgspec.structs.asdict(m) for m in missing])

    def waiting_sales(self) -> list[str]:
        """Return the sales whose missing parent has come meanwhile: they can be sent again, whole.

        A sale that was refused since comes with its retry.
        """
        whole = _record.alias("whole")
        known = sa.and_(whole.c.kind == "sale", whole.c.till_id == _waiting.c.sale)
        with self.begin() as c:
            rows = c.execute(
                sa.select(_waiting.c.sale)
                .distinct()
                .join(_parent, _PARENT_HAS_COME)
                .outerjoin(whole, known)
                .where(_waiting.c.sale.isnot(None), sa.func.coalesce(whole.c.state, "") != "problem")
            )
            return [row.sale for row in rows]

    def waiting_things(self, limit: int) -> list[tuple[str, str]]:
        """Return what is no part of a sale and can be sent again, as (kind, id): its parent has come."""
        own = _record.alias("own")
        known = sa.and_(own.c.kind == _waiting.c.kind, own.c.till_id == _waiting.c.till_id)
        with self.begin() as c:
            rows = c.execute(
                sa.select(_waiting.c.kind, _waiting.c.till_id)
                .distinct()
                .join(_parent, _PARENT_HAS_COME)
                .outerjoin(own, known)
                .where(_waiting.c.sale.is_(None), sa.func.coalesce(own.c.state, "") != "problem")
                .order_by(_waiting.c.kind, _waiting.c.till_id)
                .limit(limit)
            )
            return [(row.kind, row.till_id) for row in rows]

    def missing_for(self, sales: Collection[str]) -> dict[str, list[str]]:
        """Return, for each of these sales, what it and its lines wait for, as "kind id".

        A customer whom we deliberately leave out is nothing to wait for.
        """
        found: dict[str, dict[str, None]] = {}
        with self.begin() as c:
            for part in parts(sales):
                for row in c.execute(_AWAITED.where(_waiting.c.sale.in_(part))):
                    found.setdefault(row.sale, {})[f"{row.parent_kind} {row.parent_id}"] = None
        return {sale: list(awaited) for sale, awaited in found.items()}

    def settle_served(self, connection: sa.Connection) -> None:
        """Settle the sales that were waiting and wait for nothing any more."""
        still = _AWAITED.with_only_columns(_waiting.c.sale)
        connection.execute(
            sa.update(_record)
            .where(_record.c.kind == "sale", _record.c.state == "waiting", _record.c.till_id.not_in(still))
            .values(state="settled", reason=None, moved_at=self.now())
        )
        # The other way round: a sale of which only a payment was sent again still waits for its customer.
        connection.execute(
            sa.update(_record)
            .where(_record.c.kind == "sale", _record.c.state == "settled", _record.c.till_id.in_(still))
            .values(state="waiting", reason=_STILL_EMPTY, moved_at=self.now())
        )

    def fillable(self, limit: int, after: Missing | None = None) -> list[tuple[Missing, str, str, str]]:
        """Return lookups to a sale or line that came meanwhile: (what, object, own id, parent's id).

        They come in one order, from behind `after` on. Those of a row that was
        refused go with its retry.
        """
        own, line, sale = _record.alias("own"), _record.alias("line"), _record.alias("whole")
        columns = [_waiting.c[name] for name in Missing.__struct_fields__]
        place = [_waiting.c[name] for name in ("kind", "till_id", "field")]
        answer = sa.case((_waiting.c.kind == "sale", sale.c.crm_id), else_=line.c.crm_id)
        statement = (
            sa.select(*columns, own.c.object, own.c.crm_id, answer)
            .join(own, sa.and_(own.c.kind == _waiting.c.kind, own.c.till_id == _waiting.c.till_id))
            .join(line, sa.and_(line.c.kind == "line", line.c.till_id == _waiting.c.parent_id))
            .join(sale, sa.and_(sale.c.kind == "sale", sale.c.till_id == line.c.parent))
            .where(
                _waiting.c.parent_kind == "line",
                own.c.crm_id.isnot(None),
                answer.isnot(None),
                own.c.state != "problem",
            )
            .order_by(*place)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(sa.tuple_(*place) > sa.tuple_(after.kind, after.till_id, after.field))
        with self.begin() as c:
            return [(Missing(*row[:6]), row[6], row[7], row[8]) for row in c.execute(statement)]

    def served(self, connection: sa.Connection, filled: Collection[Missing]) -> None:
        """Forget lookups that wait no more."""
        if filled:
            connection.execute(_SERVED, [msgspec.structs.asdict(missing) for missing in filled])

    def missing_of(self, kind: str, till_id: str) -> list[Missing]:
        """Return what one thing waits for; for a sale, what its lines wait for too."""
        columns = [_waiting.c[name] for name in Missing.__struct_fields__]
        own = sa.and_(_waiting.c.kind == kind, _waiting.c.till_id == till_id)
        where = sa.or_(own, _waiting.c.sale == till_id) if kind == "sale" else own
        with self.begin() as c:
            return [Missing(*row) for row in c.execute(sa.select(*columns).where(where))]

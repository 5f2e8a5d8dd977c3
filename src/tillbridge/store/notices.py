"""What people can be told of, and what each channel has told them already.

There is something to tell of causes that hold open problems, and of streams that
are polled, or no longer. A notice is kept only after its channel took the message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.hours import Hours
from tillbridge.store.journal import GAVE_UP, OPEN
from tillbridge.store.state import State
from tillbridge.store.writing import insert

# A message names so many of a cause's records; the problems desk has all.
EXAMPLES_MAX = 3


class Notice(msgspec.Struct, frozen=True):
    """What one channel was told of one topic, and when. `count`: how many records it was about."""

    topic: str
    state: str
    told_at: float
    count: int


class Pulse(msgspec.Struct, frozen=True):
    """When a stream was last polled with success, and how often it is meant to be."""

    stream: str
    polled_at: float
    interval_seconds: float


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One refused record of a cause. `crm_id` is its own id in the CRM, or its sale's."""

    problem: int
    kind: str
    till_id: str
    sale: str | None = None
    crm_id: str | None = None
    message: str = ""
    payload: Mapping[str, Any] = {}


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The open problems that one cause has made. `gave_up`: those that are no longer tried again, by id."""

    cause: str
    object: str
    code: str
    fields: tuple[str, ...]
    count: int
    first_at: float
    last_at: float
    examples: tuple[Example, ...]
    gave_up: tuple[int, ...] = ()


_problem = schema.problem
_notice = schema.notice
_pulse = schema.pulse
_open = _problem.c.state.in_(OPEN)

_COUNTS = (
    sa.select(
        _problem.c.cause,
        sa.func.count().label("problems"),
        sa.func.min(_problem.c.first_at).label("first_at"),
        sa.func.max(_problem.c.last_at).label("last_at"),
    )
    .where(_open)
    .group_by(_problem.c.cause)
    .order_by(sa.func.min(_problem.c.first_at), _problem.c.cause)
)
_GIVEN_UP = (
    sa.select(_problem.c.cause, _problem.c.id).where(_problem.c.state == GAVE_UP).order_by(_problem.c.id)
)

_newest = (
    sa.select(
        _problem,
        sa.func.row_number()
        .over(partition_by=_problem.c.cause, order_by=(_problem.c.last_at.desc(), _problem.c.id.desc()))
        .label("place"),
    )
    .where(_open)
    .subquery()
)
_own, _sale = schema.record.alias("own"), schema.record.alias("whole")
_EXAMPLES = (
    sa.select(_newest, sa.func.coalesce(_own.c.crm_id, _sale.c.crm_id).label("crm_id"))
    .outerjoin(_own, sa.and_(_own.c.kind == _newest.c.kind, _own.c.till_id == _newest.c.till_id))
    .outerjoin(_sale, sa.and_(_sale.c.kind == "sale", _sale.c.till_id == _newest.c.sale))
    .where(_newest.c.place <= EXAMPLES_MAX)
    .order_by(_newest.c.cause, _newest.c.place)
)


class Notices:
    """What there is to tell in one connection, and what has been told."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    def causes(self) -> list[Cause]:
        """Return every cause with open problems, the oldest first, each with its newest records."""
        with self._state.begin() as c:
            counts = c.execute(_COUNTS).all()
            newest: dict[str, list[Any]] = {}
            for row in c.execute(_EXAMPLES) if counts else ():
                newest.setdefault(row.cause, []).append(row)
            gave_up: dict[str, list[int]] = {}
            for row in c.execute(_GIVEN_UP):
                gave_up.setdefault(row.cause, []).append(row.id)
        found = []
        for row in counts:
            latest = newest[row.cause][0]
            found.append(
                Cause(
                    cause=row.cause,
                    object=latest.object,
                    code=latest.code,
                    fields=tuple(filter(None, latest.fields.split(","))),
                    count=row.problems,
                    first_at=row.first_at,
                    last_at=row.last_at,
                    examples=tuple(self._example(each) for each in newest[row.cause]),
                    gave_up=tuple(gave_up.get(row.cause, ())),
                )
            )
        return found

    def _example(self, row: Any) -> Example:
        payload = {}
        if row.payload is not None:
            # Sealed by the journal, for the place that it names there.
            payload = msgspec.json.decode(
                self._vault.open(row.payload, f"problem {row.kind} {row.till_id}"), type=dict[str, Any]
            )
        return Example(
            problem=row.id,
            kind=row.kind,
            till_id=row.till_id,
            sale=row.sale,
            crm_id=row.crm_id,
            message=row.message,
            payload=payload,
        )

    def pulses(self) -> list[Pulse]:
        """Return every stream that was ever polled."""
        with self._state.begin() as c:
            rows = c.execute(sa.select(_pulse).order_by(_pulse.c.stream))
            return [Pulse(row.stream, row.polled_at, row.interval_seconds) for row in rows]

    # --- told ----------------------------------------------------------------------------------

    def told(self, channel: str) -> dict[str, Notice]:
        """Return what a channel was told, by topic."""
        with self._state.begin() as c:
            columns = [_notice.c[name] for name in Notice.__struct_fields__]
            rows = c.execute(sa.select(*columns).where(_notice.c.channel == channel))
            return {notice.topic: notice for notice in (Notice(*row) for row in rows)}

    def keep(self, channel: str, notices: Iterable[Notice]) -> None:
        """Keep what a channel has taken."""
        rows = [{"channel": channel, **msgspec.structs.asdict(each)} for each in notices]
        if not rows:
            return
        statement = insert(_notice)
        changes = {name: statement.excluded[name] for name in ("state", "told_at", "count")}
        with self._state.begin() as c:
            c.execute(
                statement.on_conflict_do_update(index_elements=["channel", "topic"], set_=changes), rows
            )

    def forget(self, channel: str, topics: Collection[str]) -> None:
        """Forget topics that are over: should they come back, they are news again."""
        if not topics:
            return
        gone = (_notice.c.channel == channel, _notice.c.topic == sa.bindparam("gone"))
        with self._state.begin() as c:
            c.execute(sa.delete(_notice).where(*gone), [{"gone": topic} for topic in topics])


def keep_pulse(
    state: State, connection: sa.Connection, streams: Iterable[str], poll_seconds: Mapping[str, float]
) -> None:
    """Note that streams were polled with success just now; those without an interval are nobody's worry."""
    now = state.now()
    rows = [
        {"stream": stream, "polled_at": now, "interval_seconds": poll_seconds[stream]}
        for stream in streams
        if stream in poll_seconds
    ]
    if not rows:
        return
    before = {row.stream: row.polled_at for row in connection.execute(_POLLED_AT)}
    for row in rows:
        gap = now - before.get(row["stream"], now)
        Hours(state).note(connection, {f"poll {row['stream']}": 1}, max(0.0, gap))
    connection.execute(_KEEP_PULSE, rows)


def _keep_pulse() -> Any:
    statement = insert(_pulse)
    changes = {name: statement.excluded[name] for name in ("polled_at", "interval_seconds")}
    return statement.on_conflict_do_update(index_elements=["stream"], set_=changes)


_POLLED_AT = sa.select(_pulse.c.stream, _pulse.c.polled_at)
_KEEP_PULSE = _keep_pulse()

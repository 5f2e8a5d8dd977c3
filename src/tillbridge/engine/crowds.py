"""Whether an edit is one of very many: what has changed lately, and what is put off until the whole is seen.

A slice alone looks like little, and so does a process alone. So the customers
that were changed within an hour are kept in the state; and while more of them
are still to be looked at than may change unseen, those of this slice who would
change are put off. They are compared again behind all others, when it is known
how many they are.

What a reader would get wrong: who is put off stands where they stood, and is
held back by nobody. Only their digest is gone, so that they come again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Literal

import sqlalchemy as sa

from tillbridge.engine.connection import Connection
from tillbridge.engine.streams import CUSTOMERS, parse
from tillbridge.store.state import State
from tillbridge.sync.safety import Counts, objections

# What is changed within this time belongs together: a mass edit by hand, or by a tool that spares the API.
WINDOW = timedelta(hours=1)

What = Literal["changed", "entered"]

_LATELY = "customers lately "
_PUT_OFF = "customers put off"
_MINUTE = 60


def lately(connection: Connection, what: What) -> set[str]:
    """Return who was changed within the last hour, or would have been, or has entered the till."""
    return {i for ids in _kept(connection, what).values() for i in ids}


def note(connection: Connection, what: What, ids: Collection[str]) -> None:
    """Remember that these are changed now."""
    if not ids:
        return
    kept, minute = _kept(connection, what), str(int(connection.state.now()) // _MINUTE)
    fresh = set(ids)
    # Whoever is changed again and again counts once, and from the last time on.
    kept = {m: left for m, some in kept.items() if (left := [i for i in some if i not in fresh])}
    kept[minute] = sorted({*kept.get(minute, ()), *fresh})
    with connection.state.begin() as c:
        connection.state.keep(c, _LATELY + what, kept)


def forget(state: State, transaction: sa.Connection) -> None:
    """Begin to count anew: a person has looked at it."""
    for what in ("changed", "entered"):
        state.keep(transaction, _LATELY + what, None)


def _kept(connection: Connection, what: What) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = connection.state.fact(_LATELY + what) or {}
    first = (connection.state.now() - WINDOW.total_seconds()) // _MINUTE
    return {minute: ids for minute, ids in kept.items() if int(minute) >= first}


# --- what is put off ------------------------------------------------------------------------------


def to_compare(connection: Connection, limit: int) -> list[str]:
    """Return whom to compare next: those who were put off come last, when all others were looked at."""
    off = set(connection.state.fact(_PUT_OFF) or ())
    if not off:
        return connection.state.to_compare(limit)
    pending = connection.state.to_compare(limit + len(off))
    return sorted(pending, key=lambda i: i in off)[:limit]


def put_off(connection: Connection) -> set[str]:
    """Return who was put off and has not been compared since."""
    off = set(connection.state.fact(_PUT_OFF) or ())
    return off & pending(connection) if off else off


def pending(connection: Connection) -> set[str]:
    """Return who has to be compared."""
    return set(connection.state.to_compare(connection.state.count_linked("customer")))


def unseen(connection: Connection, seen: Collection[str], changing: Collection[str], *, more: bool) -> bool:
    """Say whether too many may yet turn out to change for anybody to be changed now.

    `seen` are those whom this slice compares, `changing` who would change as far as anybody knows;
    `more`: the till has not shown all that is new to us.
    """
    if more:
        return True
    rest = pending(connection) - set(seen)
    counts = Counts(linked=connection.state.count_linked("customer"), changing=len({*changing, *rest}))
    is_large = any(each.reason == "many_changes" for each in objections(counts, connection.settings.safety))
    return is_large and bool(rest - put_off(connection))


def that_come_again(connection: Connection, ids: Collection[str]) -> set[str]:
    """Return those who are compared again by themselves once nothing is confirmed of them."""
    known = connection.state.known("customer", ids)
    return {i for i, each in known.items() if each.state in {"settled", "conflict"}}


def keep_put_off(connection: Connection, compared: Collection[str], now: Collection[str]) -> None:
    """Remember who of the compared is put off now."""
    before = set(connection.state.fact(_PUT_OFF) or ())
    after = (before - set(compared)) | set(now)
    if after != before:
        after = (put_off(connection) - set(compared)) | set(now)
        with connection.state.begin() as c:
            connection.state.keep(c, _PUT_OFF, sorted(after) or None)


def is_midway(connection: Connection, then: str | None = None) -> bool:
    """Say whether the till has more that is new than was read. `then`: where the stream will stand."""
    return parse(then or connection.state.cursor(CUSTOMERS)).resume is not None

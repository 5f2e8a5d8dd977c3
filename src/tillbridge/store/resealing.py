"""Seal everything that a connection's state holds with another key, in one transaction: all of it or nothing.

Hashes and signatures cannot be made anew, since what they were made of is gone:
the keys that they were made with are handed on, sealed with the new key.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from tillbridge.secrets import LASTING, Vault, opens
from tillbridge.store import schema
from tillbridge.store.searching import SEALED
from tillbridge.store.state import State

# So many rows are opened and sealed between two looks at the table.
_BATCH = 500

# The mark of the key that a state is sealed with; in the clear, it tells nothing of the key.
KEY_MARK = "key_mark"

Place = Callable[[Mapping[str, Any]], str]


def _raw_place(row: Mapping[str, Any]) -> str:
    kind, digest = row["kind"], row["digest"]
    return digest.decode() if kind.endswith("page") else f"raw {kind} {row['till_id']} {digest.hex()}"


def _told_by(template: str) -> Place:
    return lambda row: template.format(**row)


# Every sealed column and the place that its row names.
PLACES: tuple[tuple[sa.Table, str, Place], ...] = (
    *((table, column, _told_by(template)) for table, column, template, _ in SEALED),
    (schema.raw, "blob", _raw_place),
    (schema.spool, "blob", _told_by("spool {wave} {page}")),
    (schema.token, "sealed", _told_by("token {name}")),
)


def reseal(state: State, old: Vault, new: Vault) -> Counter[str]:
    """Seal all of a state with the new key; return how many payloads of each table there were.

    `old` hashes as the state does (see `secrets.LASTING`). Raises
    ConfigurationInvalid when something was sealed with neither key; nothing is changed then.
    """
    counts: Counter[str] = Counter()
    with state.begin() as c:
        for table, column, place in PLACES:
            counts[table.name] += _reseal_column(c, table, column, place, old, new)
        counts["facts"] = _reseal_facts(c, old, new)
        lasting = new.seal(old.lasting(), f"fact {LASTING}")
        state.keep(c, LASTING, base64.b64encode(lasting).decode())
        state.keep(c, KEY_MARK, new.mark)
    return counts


def _reseal_column(
    connection: sa.Connection, table: sa.Table, column: str, place: Place, old: Vault, new: Vault
) -> int:
    names = [each.name for each in table.primary_key]
    statement = (
        sa.update(table)
        .where(*(table.c[name] == sa.bindparam(f"own_{name}") for name in names))
        .values({column: sa.bindparam("resealed")})
    )
    count = 0
    for rows in _pages(connection, table, column):
        changes = []
        for row in rows:
            where = place(row)
            plain = old.open(row[column], where)
            changes.append({**{f"own_{n}": row[n] for n in names}, "resealed": new.seal(plain, where)})
        connection.execute(statement, changes)
        count += len(rows)
    return count


def _pages(connection: sa.Connection, table: sa.Table, column: str) -> Iterator[list[dict[str, Any]]]:
    """Read a table in pages by its primary key; whole rows, since a place may name any column."""
    own = list(table.primary_key)
    after: tuple[Any, ...] | None = None
    while True:
        statement = sa.select(table).where(table.c[column].isnot(None)).order_by(*own).limit(_BATCH)
        if after is not None:
            statement = statement.where(sa.tuple_(*own) > sa.tuple_(*map(sa.literal, after)))
        rows = [dict(row) for row in connection.execute(statement).mappings()]
        if not rows:
            return
        yield rows
        after = tuple(rows[-1][each.name] for each in own)


# --- small facts ---------------------------------------------------------------------------------


def _reseal_facts(connection: sa.Connection, old: Vault, new: Vault) -> int:
    """Seal the facts anew that are sealed: whole ones, and what an unfinished erasure looks for."""
    count = 0
    for row in list(connection.execute(sa.select(schema.meta))):
        value = json.loads(row.value)
        if isinstance(value, str):
            changed: Any = _resealed(value, f"fact {row.name}", old, new)
        elif isinstance(value, dict) and isinstance(value.get("sealed"), str):
            inner = _resealed(value["sealed"], row.name, old, new)
            changed = None if inner is None else {**value, "sealed": inner}
        else:
            continue
        if changed is not None:
            own = schema.meta.c.name == row.name
            connection.execute(sa.update(schema.meta).where(own).values(value=json.dumps(changed)))
            count += 1
    return count


def _resealed(text: str, place: str, old: Vault, new: Vault) -> str | None:
    """Seal a fact anew; None for one that was never sealed: nothing else opens by chance."""
    try:
        sealed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not opens(old, sealed, place):
        return None
    return base64.b64encode(new.seal(old.open(sealed, place), place)).decode()

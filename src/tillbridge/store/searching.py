"""Look for a person in everything that a home directory holds: every sealed payload opened, every file read.

This is how an erasure is proven, and how an export finds what we hold. What
cannot be opened is counted, never passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.model.records import Customer, Sale
from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.on_disk import held_by_files
from tillbridge.store.sought import Sought
from tillbridge.store.state import State

_DECODE: dict[str, Callable[[bytes], Any]] = {
    "sale": msgspec.msgpack.Decoder(Sale).decode,
    "customer": msgspec.msgpack.Decoder(Customer).decode,
    "sale page": msgspec.msgpack.Decoder(list[Sale]).decode,
    "customer page": msgspec.msgpack.Decoder(list[Customer]).decode,
}


class Payload(msgspec.Struct, frozen=True):
    """One thing that the state holds, opened. `owners`: ids of whom it is about, as far as the row says."""

    table: str
    row: str
    owners: tuple[str, ...]
    text: str
    at: float | None = None

    @property
    def where(self) -> str:
        """Name the row."""
        return f"{self.table} {self.row}"


class Hit(msgspec.Struct, frozen=True):
    """A place that still holds something of somebody: where, whose row it is, and what ("name", "e-mail")."""

    where: str
    owners: tuple[str, ...]
    what: tuple[str, ...]


class Searched(msgspec.Struct):
    """What a search looked at and what it found."""

    payloads: int = 0
    rows: int = 0
    files: int = 0
    unreadable: list[str] = []
    hits: list[Hit] = []


# Sealed columns whose place is told by the row alone: table, column, place, owners.
SEALED: tuple[tuple[sa.Table, str, str, tuple[str, ...]], ...] = (
    (schema.person, "fields", "person {crm_id}", ("crm_id",)),
    (schema.till_person, "fields", "till person {till_id}", ("till_id",)),
    (schema.verdict, "detail", "verdict {till_id}", ("till_id",)),
    (schema.shadow, "fields", "shadow {till_id} {side}", ("till_id",)),
    (schema.problem, "payload", "problem {kind} {till_id}", ("kind", "till_id")),
    (schema.problem, "edit", "edit {kind} {till_id}", ("kind", "till_id")),
    (schema.remark, "text", "remark {problem} {made_at}", ()),
    (schema.arrival, "detail", "arrival {crm_id}", ("crm_id",)),
    (schema.intent, "body", "intent {crm_id}", ("crm_id", "till_id")),
    (schema.conflict, "values", "conflict {till_id} {field}", ("till_id", "crm_id")),
    (schema.change, "values", "change {till_id} {field}", ("till_id", "crm_id")),
    (schema.plan, "body", "plan {id}", ()),
    (schema.dedupe_cluster, "body", "dedupe {id}", ()),
)
# Sealed columns that hold many records, each looked at by itself; and tokens, which are nobody's data.
_PAGES = {("raw", "blob"), ("spool", "blob"), ("token", "sealed")}
OPENED = frozenset({*((table.name, column) for table, column, _, _ in SEALED), *_PAGES})


def payloads(state: State, vault: Vault, unreadable: list[str]) -> Iterator[Payload]:
    """Open every sealed payload of the state; what does not open is named in `unreadable`."""
    for table, column, place, owners in SEALED:
        for row in _rows(state, table):
            if (blob := row[column]) is None:
                continue
            name = " ".join(str(row[key.name]) for key in table.primary_key)
            try:
                text = vault.open(blob, place.format(**row)).decode("utf-8", "replace")
            except ConfigurationInvalid:
                unreadable.append(f"{table.name} {name}")
                continue
            who = tuple(str(row[owner]) for owner in owners if row[owner] is not None)
            yield Payload(table.name, name, who, text, _at(row))
    yield from _read_pages(state, vault, unreadable)


def _read_pages(state: State, vault: Vault, unreadable: list[str]) -> Iterator[Payload]:
    """Open what was read of the till: a payload for each record of a page."""
    for row in _rows(state, schema.raw):
        kind, till_id, digest = row["kind"], row["till_id"], row["digest"]
        place = digest.decode() if kind.endswith("page") else f"raw {kind} {till_id} {digest.hex()}"
        yield from _page(vault, row, kind, place, f"{kind} {till_id}", unreadable)
    for row in _rows(state, schema.spool):
        place = f"spool {row['wave']} {row['page']}"
        yield from _page(vault, row, "sale page", place, place, unreadable)


def _page(
    vault: Vault, row: Any, kind: str, place: str, name: str, unreadable: list[str]
) -> Iterator[Payload]:
    try:
        held = _DECODE[kind](zlib.decompress(vault.open(row["blob"], place)))
    except ConfigurationInvalid:
        unreadable.append(name)
        return
    for record in held if isinstance(held, list) else [held]:
        customer = record.customer_id if isinstance(record, Sale) else record.id
        label = f"{'sale' if isinstance(record, Sale) else 'customer'} {record.id}"
        text = msgspec.json.encode(record).decode()
        yield Payload("raw", label, (customer,) if customer else (), text, row.get("seen_at"))


def _rows(state: State, table: sa.Table) -> Iterator[Any]:
    """Read a table a thousand rows at a time, in the order of its key: no transaction stays open long."""
    keys = list(table.primary_key)
    after: tuple[Any, ...] | None = None
    while True:
        statement = sa.select(table).order_by(*keys).limit(1_000)
        if after is not None:
            statement = statement.where(sa.tuple_(*keys) > sa.tuple_(*after))
        with state.begin() as c:
            rows = c.execute(statement).mappings().all()
        yield from rows
        if len(rows) < 1_000:
            return
        after = tuple(rows[-1][key.name] for key in keys)


def _at(row: Any) -> float | None:
    return next((row[name] for name in ("made_at", "moved_at", "noticed_at", "last_at") if name in row), None)


def search(state: State, vault: Vault, home: Path, sought: Sought, spared: Collection[str]) -> Searched:
    """Look for somebody in the whole home directory. `spared` names facts that are this erasure's own."""
    done = Searched()
    for payload in payloads(state, vault, done.unreadable):
        done.payloads += 1
        if what := sought.found_in(payload.text):
            done.hits.append(Hit(payload.where, payload.owners, tuple(what)))
    for table in schema.metadata.tables.values():
        for row in _rows(state, table):
            done.rows += 1
            texts = [value for name, value in row.items() if isinstance(value, str) and name not in _IDS]
            if table is schema.meta and row["name"] in spared:
                continue
            if what := sought.found_in("\n".join(texts)):
                name = " ".join(str(row[key.name]) for key in table.primary_key)
                owners = tuple(str(row[own]) for own in ("till_id", "crm_id") if row.get(own))
                done.hits.append(Hit(f"{table.name} {name}", owners, tuple(what)))
    held = held_by_files(sorted(path for path in home.rglob("*") if path.is_file()), sought)
    done.files += len(held)
    for path, found in held.items():
        if found:
            done.hits.append(Hit(f"file {path.relative_to(home)}", (), tuple(found)))
    return done


# Columns that hold ids alone: a number there may look like anybody's phone.
_IDS = frozenset({"till_id", "crm_id", "crm_parent", "sale", "parent", "parent_id", "old_id", "new_id"})


def blot_file(path: Path, sought: Sought) -> int:
    """Blot somebody out of a file of lines, in place; return how many lines changed."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    clean = [sought.blotted(line) for line in lines]
    changed = sum(before != after for before, after in zip(lines, clean, strict=True))
    if changed:
        # In place: whoever has the log open goes on appending to this very file.
        with path.open("r+", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\n".join(clean))
            file.truncate()
    return changed

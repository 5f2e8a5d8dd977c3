"""Clear everything of one person out of the state, and leave no page behind that still holds it.

Rows that are theirs alone go. Rows of others that name them are rewritten: a
verdict in which they were a candidate, a page of sales with a note on their
receipt. What stays is the link from the till's id to the CRM's, so that their
receipts keep their place.

What a reader would get wrong: sealed is not erased, since we hold the key. So
pages of sales are opened, changed and sealed again.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.model.records import Sale
from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.database import overwrite_deleted
from tillbridge.store.dedupe import Clusters
from tillbridge.store.journal import RESOLVED
from tillbridge.store.lists import among
from tillbridge.store.news import note
from tillbridge.store.raw import Raw
from tillbridge.store.sought import Sought
from tillbridge.store.state import State
from tillbridge.sync.safety import Entry, checksum, packed, unpacked

ERASED_REASON = "erased on {day} (erasure {id})"
_GONE = "erased"
_MINE = ("customer", "account", "identity")

_encoder = msgspec.msgpack.Encoder()
_sale = msgspec.msgpack.Decoder(Sale)
_sales = msgspec.msgpack.Decoder(list[Sale])
_record, _verdict, _raw, _spool, _problem = (
    schema.record,
    schema.verdict,
    schema.raw,
    schema.spool,
    schema.problem,
)

# What is kept in plain words. By rule it names nobody, but a remote's message may.
_TEXTS = (
    _record.c.reason,
    _problem.c.message,
    _problem.c.note,
    schema.missed.c.what,
    schema.certificate.c.body,
    schema.arrival.c.reason,
    schema.plan.c.why,
)


def unnoted(sale: Sale) -> Sale:
    """Return a sale without what people wrote on it."""
    lines = tuple(
        line if line.note is None else msgspec.structs.replace(line, note=None) for line in sale.lines
    )
    return msgspec.structs.replace(sale, internal_note=None, printed_note=None, lines=lines)


def has_notes(sale: Sale) -> bool:
    """Say whether people wrote something on a sale."""
    return bool(sale.internal_note or sale.printed_note or any(line.note for line in sale.lines))


class Eraser:
    """Clears one person out of one connection's state. Each step can be run again."""

    def __init__(
        self,
        state: State,
        vault: Vault,
        till_ids: Collection[str],
        crm_ids: Collection[str],
        sought: Sought,
        reason: str,
    ) -> None:
        self._state = state
        self._vault = vault
        self._till_ids = list(till_ids)
        self._crm_ids = list(crm_ids)
        self._sought = sought
        self._reason = reason
        self.counts: Counter[str] = Counter()

    def clear(self, *, keep_links: bool) -> Counter[str]:
        """Clear all tables; return how many rows of each went or changed. `keep_links`: the record stays."""
        self._clear_pages()
        with self._state.begin() as c:
            overwrite_deleted(c)
            self._clear_own(c)
            self._clear_verdicts(c)
            self._clear_problems(c)
            self._clear_texts(c)
            self._close(c, keep_links=keep_links)
        return self.counts

    # --- rows that are theirs ------------------------------------------------------------------

    def _clear_own(self, connection: sa.Connection) -> None:
        by_till = ("verdict", "shadow", "till_person", "till_person_key", "conflict", "change")
        by_crm = ("person", "person_key", "intent", "arrival", "conflict", "change")
        for name in by_till:
            self._delete(connection, name, "till_id", self._till_ids)
        for name in by_crm:
            self._delete(connection, name, "crm_id", self._crm_ids)
        self._delete(connection, "intent", "till_id", self._till_ids)
        note(connection, "till", self._till_ids, self._state.now())
        note(connection, "crm", self._crm_ids, self._state.now())
        self.counts["dedupe_cluster"] += Clusters(self._state, self._vault).erase(
            connection, self._till_ids, self._crm_ids
        )
        self._clear_plans(connection)

    def _clear_plans(self, connection: sa.Connection) -> None:
        """Take their entries out of every plan; a plan of nothing else goes."""
        plan = schema.plan
        for row in connection.execute(sa.select(plan.c.id, plan.c.body)).all():
            entries = unpacked(self._vault.open(row.body, f"plan {row.id}"))
            others = [entry for entry in entries if not self._is_planned(entry)]
            if not others and entries:
                self._delete(connection, "plan", "id", [row.id])
            elif len(others) < len(entries):
                sealed = self._vault.seal(packed(others), f"plan {row.id}")
                changes = {"body": sealed, "checksum": checksum(others)}
                connection.execute(sa.update(plan).where(plan.c.id == row.id).values(changes))
                self.counts["plan"] += 1

    def _is_planned(self, entry: Entry) -> bool:
        return entry.till_id in self._till_ids or entry.crm_id in self._crm_ids

    def _delete(self, connection: sa.Connection, table: str, column: str, ids: Sequence[Any]) -> None:
        held = schema.metadata.tables[table]
        gone = connection.execute(sa.delete(held).where(among(held.c[column], ids))).rowcount
        self.counts[table] += gone

    # --- rows of others that name them -----------------------------------------------------------

    def _clear_verdicts(self, connection: sa.Connection) -> None:
        """Take their names out of other people's verdicts and arrivals, in which they were looked at."""
        for table, own in ((_verdict, "till_id"), (schema.arrival, "crm_id")):
            for row in connection.execute(sa.select(table.c[own], table.c.detail)).all():
                place = f"{table.name} {row[0]}"
                detail = msgspec.json.decode(self._vault.open(row.detail, place))
                cleaned = self._cleaned(detail)
                if cleaned != detail:
                    sealed = self._vault.seal(msgspec.json.encode(cleaned), place)
                    connection.execute(sa.update(table).where(table.c[own] == row[0]).values(detail=sealed))
                    self.counts[table.name] += 1

    def _cleaned(self, value: Any) -> Any:
        """Return a document with the person's own entries bare, and everything else without their data."""
        match value:
            case dict():
                if self._is_them(value):
                    return {
                        k: v if k in {"crm_id", "object", "till_id", "rule"} else _GONE
                        for k, v in value.items()
                    }
                return {k: self._cleaned(v) for k, v in value.items()}
            case list():
                return [self._cleaned(each) for each in value]
            case str():
                return self._sought.blotted(value) if self._sought.found_in(value) else value
        return value

    def _is_them(self, entry: dict[str, Any]) -> bool:
        ids = {*self._crm_ids, *(f"new:{i}" for i in self._till_ids)}
        return entry.get("crm_id") in ids or entry.get("till_id") in self._till_ids

    def _clear_problems(self, connection: sa.Connection) -> None:
        """Close their own problems as erased, and take their data out of those of receipts."""
        own = sa.and_(_problem.c.kind.in_(_MINE), among(_problem.c.till_id, self._till_ids))
        bare = {
            "payload": None,
            "edit": None,
            "note": None,
            "message": _GONE,
            "state": RESOLVED,
            "next_at": None,
        }
        self.counts["problem"] += connection.execute(sa.update(_problem).where(own).values(bare)).rowcount
        self._clear_remarks(connection, sa.select(_problem.c.id).where(own))
        columns = (_problem.c.id, _problem.c.kind, _problem.c.till_id, _problem.c.payload, _problem.c.edit)
        sealed = sa.or_(_problem.c.payload.isnot(None), _problem.c.edit.isnot(None))
        for row in connection.execute(sa.select(*columns).where(sealed)).all():
            places = {
                "payload": f"problem {row.kind} {row.till_id}",
                "edit": f"edit {row.kind} {row.till_id}",
            }
            for name, place in places.items():
                blob = getattr(row, name)
                if blob is not None and self._names_them(self._vault.open(blob, place).decode()):
                    where = _problem.c.id == row.id
                    connection.execute(sa.update(_problem).where(where).values({name: None}))
                    self.counts["problem"] += 1

    def _clear_remarks(self, connection: sa.Connection, own: sa.Select[Any]) -> None:
        """Drop what people wrote of their problems, and of others' where it names them."""
        remark = schema.remark
        gone = set(connection.execute(sa.select(remark.c.id).where(remark.c.problem.in_(own))).scalars())
        for row in connection.execute(sa.select(remark).where(remark.c.text.isnot(None))).all():
            place = f"remark {row.problem} {row.made_at}"
            if self._names_them(self._vault.open(row.text, place).decode()):
                gone.add(row.id)
        self._delete(connection, "remark", "id", sorted(gone))

    def _names_them(self, text: str) -> bool:
        return bool(self._sought.found_in(text)) or any(f'"{i}"' in text for i in self._crm_ids)

    def _clear_texts(self, connection: sa.Connection) -> None:
        """Blot their data out of the plain texts that we keep: reasons, messages, certificates."""
        if not self._sought:
            return
        remedy = schema.remedy
        for row in connection.execute(sa.select(remedy.c.id, remedy.c.seen, remedy.c.given)).all():
            if self._sought.found_in(f"{row.seen}\n{row.given}"):
                self._delete(connection, "remedy", "id", [row.id])
        for column in _TEXTS:
            self._blot_column(connection, column.table, column)

    def _blot_column(self, connection: sa.Connection, table: sa.Table, column: sa.Column[Any]) -> None:
        keys = list(table.primary_key)
        changed = [
            (row[1:], self._sought.blotted(row[0]))
            for row in connection.execute(sa.select(column, *keys).where(column.isnot(None)))
            if self._sought.found_in(row[0])
        ]
        for values, text in changed:
            own = [key == value for key, value in zip(keys, values, strict=True)]
            connection.execute(sa.update(table).where(*own).values({column.name: text}))
        self.counts[table.name] += len(changed)

    # --- what was read of the till -----------------------------------------------------------------

    def _clear_pages(self) -> None:
        """Forget the customer as read, and the notes on their receipts, kept or staged."""
        with self._state.begin() as c:
            Raw(self._state, self._vault, 0).forget(c, "customer", self._till_ids)
        for kind, decoder, page in (("sale", _sale, False), ("sale page", _sales, True)):
            for till_id, digest in self._keys(_raw, _raw.c.till_id, _raw.c.digest, _raw.c.kind == kind):
                place = digest.decode() if page else f"raw sale {till_id} {digest.hex()}"
                own = (_raw.c.kind == kind, _raw.c.till_id == till_id, _raw.c.digest == digest)
                self._reseal(_raw, own, place, decoder.decode)
        for wave, number in self._keys(_spool, _spool.c.wave, _spool.c.page, sa.true()):
            staged = (_spool.c.wave == wave, _spool.c.page == number)
            self._reseal(_spool, staged, f"spool {wave} {number}", _sales.decode)

    def _keys(self, table: sa.Table, *columns: Any) -> list[Any]:
        *names, where = columns
        with self._state.begin() as c:
            return list(c.execute(sa.select(*names).select_from(table).where(where)).all())

    def _reseal(
        self, table: sa.Table, own: Sequence[Any], place: str, decode: Callable[[bytes], Any]
    ) -> None:
        """Take the notes off their sales in one row. One row a transaction: a chain keeps many pages."""
        with self._state.begin() as c:
            blob = c.execute(sa.select(table.c.blob).where(*own)).scalar()
            if blob is None:
                return
            held = decode(zlib.decompress(self._vault.open(blob, place)))
            sales = held if isinstance(held, list) else [held]
            if not any(self._is_noted(sale) for sale in sales):
                return
            clean = [unnoted(sale) if self._is_noted(sale) else sale for sale in sales]
            plain = _encoder.encode(clean if isinstance(held, list) else clean[0])
            c.execute(
                sa.update(table).where(*own).values(blob=self._vault.seal(zlib.compress(plain, 1), place))
            )
            self.counts[table.name] += 1

    def _is_noted(self, sale: Sale) -> bool:
        return sale.customer_id in self._till_ids and has_notes(sale)

    # --- what stays ----------------------------------------------------------------------------------

    def _close(self, connection: sa.Connection, *, keep_links: bool) -> None:
        """Let their records stand as erased: the link for their receipts, and nothing of them."""
        bare: dict[str, Any] = {"state": "left_out", "reason": self._reason, "digest": None, "role": None}
        if not keep_links:
            bare |= {"crm_id": None, "crm_parent": None}
        own = sa.and_(_record.c.kind == "customer", among(_record.c.till_id, self._till_ids))
        connection.execute(sa.update(_record).where(own).values(bare))
        kinds = sa.and_(_record.c.kind.in_(_MINE[1:]), among(_record.c.till_id, self._till_ids))
        settled = {"state": "settled", "reason": self._reason, "digest": None}
        connection.execute(sa.update(_record).where(kinds).values(settled))


def aliases_of(state: State, kind: str, ids: Iterable[str]) -> set[str]:
    """Return these ids, and all that their things went by before merges, or go by since."""
    return set().union(*known_as(state, kind, ids).values())


def known_as(state: State, kind: str, ids: Iterable[str]) -> dict[str, set[str]]:
    """Return all that these things went by before merges, or go by since, by each of their ids."""
    alias = schema.alias
    near: dict[str, set[str]] = {i: {i} for i in ids}
    fresh = set(near)
    with state.begin() as c:
        while fresh:
            either = sa.or_(among(alias.c.old_id, fresh), among(alias.c.new_id, fresh))
            pairs = sa.select(alias.c.old_id, alias.c.new_id).where(alias.c.kind == kind, either)
            fresh = set()
            for pair in c.execute(pairs):
                fresh |= set(pair) - near.keys()
                one = set().union(pair, *(near.get(i, ()) for i in pair))
                near.update(dict.fromkeys(one, one))
    return near


def forget_digests(connection: sa.Connection, kind: str, ids: Collection[str]) -> None:
    """Forget what the CRM confirmed of these things: it shows something else now."""
    connection.execute(
        sa.update(_record).where(_record.c.kind == kind, among(_record.c.till_id, ids)).values(digest=None)
    )


def holds_any(state: State, till_ids: Collection[str], crm_ids: Collection[str]) -> set[str]:
    """Return which of these people the state still holds data of, by their ids."""
    found: set[str] = set()
    asked = [(name, "till_id", till_ids) for name in ("shadow", "verdict", "till_person")]
    asked += [(name, "crm_id", crm_ids) for name in ("person",)]
    with state.begin() as c:
        for name, column, ids in asked:
            own = schema.metadata.tables[name].c[column]
            found.update(c.execute(sa.select(own).where(among(own, ids))).scalars())
        kept = sa.select(_raw.c.till_id).where(_raw.c.kind == "customer", among(_raw.c.till_id, till_ids))
        found.update(c.execute(kept).scalars())
    return found

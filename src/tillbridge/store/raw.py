"""What the till showed of sales and customers, packed and sealed, for as many days as are set.

A poll keeps one row for each content that it meets. A first load keeps whole
pages: a sale's page is packed and sealed already when it is staged, so keeping
it costs a copy and no second packing; the row tells the range of its ids, and
a look-up opens the few pages whose range fits.

What a reader would get wrong: the age counts from when a content became the
newest one, not from when it was last met again.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from tillbridge.model.records import Customer, Sale
from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.lists import parts
from tillbridge.store.state import State
from tillbridge.store.writing import insert

Kind = Literal["sale", "customer"]

_raw = schema.raw
_encoder = msgspec.msgpack.Encoder()
_ROW: dict[str, Any] = {"sale": msgspec.msgpack.Decoder(Sale), "customer": msgspec.msgpack.Decoder(Customer)}
_PAGE: dict[str, Any] = {
    "sale": msgspec.msgpack.Decoder(list[Sale]),
    "customer": msgspec.msgpack.Decoder(list[Customer]),
}
_PAGES = {"sale": "sale page", "customer": "customer page"}

# So many rows are forgotten in one transaction: a first load of long ago must not hold up a poll.
_FORGOTTEN_AT_ONCE = 2_000


class Kept(msgspec.Struct, frozen=True):
    """A record as the till showed it, and since when (our clock)."""

    record: Sale | Customer
    seen_at: float


class Raw:
    """The kept payloads of one connection. `days` 0: nothing is kept."""

    def __init__(self, state: State, vault: Vault, days: int) -> None:
        self._state = state
        self._vault = vault
        self.days = days

    # --- keeping -----------------------------------------------------------------------------

    def keep(self, connection: sa.Connection, kind: Kind, records: Collection[Sale | Customer]) -> None:
        """Keep what a poll has read, unless it is what was kept last."""
        if not self.days or not records:
            return
        now = self._state.now()
        packed = {record.id: _encoder.encode(record) for record in records}
        digests = {i: blake2b(plain, digest_size=16).digest() for i, plain in packed.items()}
        newest, known = self._digests(connection, kind, packed)
        rows = [
            {
                "kind": kind,
                "till_id": i,
                "digest": digest,
                "seen_at": now,
                "blob": self._vault.seal(zlib.compress(packed[i], 1), _place(kind, i, digest)),
            }
            for i, digest in digests.items()
            if newest.get(i) != digest and (i, digest) not in known
        ]
        again = [
            {"i": i, "d": digest}
            for i, digest in digests.items()
            if newest.get(i) != digest and (i, digest) in known
        ]
        if rows:
            connection.execute(sa.insert(_raw), rows)
        if again:
            # It shows again what it showed before: that is the newest content now.
            connection.execute(
                sa.update(_raw)
                .where(
                    _raw.c.kind == kind,
                    _raw.c.till_id == sa.bindparam("i"),
                    _raw.c.digest == sa.bindparam("d"),
                )
                .values(seen_at=now),
                again,
            )

    def _digests(
        self, connection: sa.Connection, kind: Kind, ids: Collection[str]
    ) -> tuple[dict[str, bytes], set[tuple[str, bytes]]]:
        """Return the newest digest of each of these, and all there are."""
        newest: dict[str, bytes] = {}
        known: set[tuple[str, bytes]] = set()
        for part in parts(ids):
            rows = connection.execute(
                sa.select(_raw.c.till_id, _raw.c.digest)
                .where(_raw.c.kind == kind, _raw.c.till_id.in_(part))
                .order_by(_raw.c.seen_at)
            )
            for till_id, digest in rows:
                newest[till_id] = digest
                known.add((till_id, digest))
        return newest, known

    def keep_page(self, connection: sa.Connection, kind: Kind, records: Sequence[Sale | Customer]) -> None:
        """Keep a page of a first load."""
        if self.days and records:
            plain = _encoder.encode(records)
            place = f"raw {kind} {blake2b(plain, digest_size=16).hexdigest()}"
            self.keep_sealed(
                connection, kind, records, self._vault.seal(zlib.compress(plain, 1), place), place
            )

    def keep_sealed(
        self,
        connection: sa.Connection,
        kind: Kind,
        records: Sequence[Sale | Customer],
        blob: bytes,
        place: str,
    ) -> None:
        """Keep a page that is packed and sealed already, for that place."""
        if not self.days or not records:
            return
        ids = sorted((record.id for record in records), key=_rank)
        row = {
            "kind": _PAGES[kind],
            "till_id": f"{ids[0]} {ids[-1]}",
            "digest": place.encode(),
            "seen_at": self._state.now(),
            "blob": blob,
        }
        statement = insert(_raw).values(row)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["kind", "till_id", "digest"],
                set_={name: statement.excluded[name] for name in ("seen_at", "blob")},
            )
        )

    def shown_before(self, kind: Kind, records: Collection[Sale | Customer]) -> dict[str, bool]:
        """Say of each record whether it is what a poll kept of it last; absent: no poll has kept it."""
        if not records:
            return {}
        with self._state.begin() as c:
            newest, _ = self._digests(c, kind, [record.id for record in records])
        return {
            record.id: newest[record.id] == blake2b(_encoder.encode(record), digest_size=16).digest()
            for record in records
            if record.id in newest
        }

    def loaded_as(self, kind: Kind, records: Collection[Sale | Customer]) -> dict[str, bool]:
        """Say of each record whether it is what the last first load kept of it; absent: none has kept it.

        A page that was kept is opened once, however many of its records are asked for.
        """
        wanted = {record.id: record for record in records}
        with self._state.begin() as c:
            pages = sorted(self._pages(c, kind, wanted), key=lambda page: page[1])
        found: dict[str, bool] = {}
        for digest, _, blob in reversed(pages):
            for held in _PAGE[kind].decode(self._open(blob, digest.decode())):
                if held.id in wanted and held.id not in found:
                    found[held.id] = bool(held == wanted[held.id])
        return found

    # --- looking -----------------------------------------------------------------------------

    def sales(self, ids: Collection[str], at: float | None = None) -> dict[str, tuple[Sale, float]]:
        """Return the newest content of these sales, kept until a moment, and since when it held."""
        found: dict[str, tuple[Sale, float]] = {}
        for kept in self._all("sale", ids):
            sale, seen_at = kept.record, kept.seen_at
            assert isinstance(sale, Sale)
            late = at is not None and seen_at > at
            if not late and (sale.id not in found or seen_at >= found[sale.id][1]):
                found[sale.id] = (sale, seen_at)
        return found

    def moments(self, kind: Kind, till_id: str) -> list[float]:
        """Return since when each kept content of a thing held, oldest first."""
        return sorted(kept.seen_at for kept in self._all(kind, [till_id]))

    def _all(self, kind: Kind, ids: Collection[str]) -> Iterator[Kept]:
        with self._state.begin() as c:
            rows = [row for part in parts(ids) for row in c.execute(_rows_of(kind, part))]
            pages = list(self._pages(c, kind, ids))
        for till_id, digest, seen_at, blob in rows:
            yield Kept(_ROW[kind].decode(self._open(blob, _place(kind, till_id, digest))), seen_at)
        wanted = set(ids)
        for digest, seen_at, blob in pages:
            page = _PAGE[kind].decode(self._open(blob, digest.decode()))
            yield from (Kept(record, seen_at) for record in page if record.id in wanted)

    def _pages(
        self, connection: sa.Connection, kind: Kind, ids: Collection[str]
    ) -> Iterator[tuple[bytes, float, bytes]]:
        """Return the pages whose range of ids holds one of these."""
        ranks = sorted(map(_rank, ids))
        spans = connection.execute(
            sa.select(_raw.c.till_id, _raw.c.digest).where(_raw.c.kind == _PAGES[kind])
        ).all()
        for span, digest in spans:
            first, last = map(_rank, span.split(" "))
            nearest = bisect_left(ranks, first)
            if nearest < len(ranks) and ranks[nearest] <= last:
                row = connection.execute(
                    sa.select(_raw.c.seen_at, _raw.c.blob).where(
                        _raw.c.kind == _PAGES[kind], _raw.c.till_id == span, _raw.c.digest == digest
                    )
                ).one()
                yield digest, row.seen_at, row.blob

    def _open(self, blob: bytes, place: str) -> bytes:
        return zlib.decompress(self._vault.open(blob, place))

    # --- forgetting --------------------------------------------------------------------------

    def purge(self) -> int:
        """Forget what is older than is set; return how many rows went. Some remain for the next time."""
        before = self._state.now() - timedelta(days=self.days).total_seconds()
        old = sa.select(_raw.c.kind, _raw.c.till_id, _raw.c.digest).limit(_FORGOTTEN_AT_ONCE)
        if self.days:
            old = old.where(_raw.c.seen_at < before)
        key = sa.tuple_(_raw.c.kind, _raw.c.till_id, _raw.c.digest)
        with self._state.begin() as c:
            return c.execute(sa.delete(_raw).where(key.in_(old))).rowcount

    def forget(self, connection: sa.Connection, kind: Kind, ids: Collection[str]) -> None:
        """Forget these things wholly, wherever they are kept: somebody is to be erased."""
        for part in parts(ids):
            connection.execute(sa.delete(_raw).where(_raw.c.kind == kind, _raw.c.till_id.in_(part)))
        gone = set(ids)
        for digest, _, blob in list(self._pages(connection, kind, ids)):
            place = digest.decode()
            page = _PAGE[kind].decode(self._open(blob, place))
            plain = _encoder.encode([record for record in page if record.id not in gone])
            connection.execute(
                sa.update(_raw)
                .where(_raw.c.kind == _PAGES[kind], _raw.c.digest == digest)
                .values(blob=self._vault.seal(zlib.compress(plain, 1), place))
            )


def _rows_of(kind: str, ids: list[str]) -> sa.Select[Any]:
    columns = (_raw.c.till_id, _raw.c.digest, _raw.c.seen_at, _raw.c.blob)
    return sa.select(*columns).where(_raw.c.kind == kind, _raw.c.till_id.in_(ids))


def _place(kind: str, till_id: str, digest: bytes) -> str:
    return f"raw {kind} {till_id} {digest.hex()}"


def _rank(till_id: str) -> tuple[int, str]:
    """Order ids as numbers where they are numbers."""
    return len(till_id), till_id

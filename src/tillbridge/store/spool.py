"""Sales that wait for a bulk job: stored by us page by page, packed and sealed, until the job is settled.

A wave is what one set of jobs carries. Its pages and the reading cursor move in
one transaction, so a kill loses at most the page in the air.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from tillbridge.model.records import Sale
from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.state import State
from tillbridge.store.writing import insert

_spool = schema.spool
_job = schema.bulk_job
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Sale])


class JobRow(msgspec.Struct, frozen=True):
    """A bulk job of a wave. `state`: opened (rows may be missing), closed (it runs), unsure, settled.

    unsure: closed without knowing whether its rows had arrived.
    """

    wave: int
    part: str
    job_id: str | None
    state: str
    rows: int


class Spool:
    """The staged sales of one connection."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    def current(self) -> tuple[int, int]:
        """Return the wave that is being filled or loaded and how many sales it holds; (1, 0) at first."""
        with self._state.begin() as c:
            row = c.execute(
                sa.select(sa.func.max(_spool.c.wave), sa.func.coalesce(sa.func.sum(_spool.c.sales), 0))
            ).one()
            newest_job = c.execute(sa.select(sa.func.max(_job.c.wave))).scalar() or 0
        return (row[0], row[1]) if row[0] is not None else (newest_job + 1, 0)

    def is_loading(self, wave: int) -> bool:
        """Say whether bulk jobs of this wave have begun: nothing may be staged into it any more."""
        with self._state.begin() as c:
            begun = c.execute(sa.select(sa.func.count()).where(_job.c.wave == wave)).scalar()
        return bool(begun)

    def stage(self, connection: sa.Connection, wave: int, sales: list[Sale]) -> tuple[bytes, str]:
        """Store one page of sales for a wave; return it as it is stored, packed and sealed, and for where."""
        page = connection.execute(
            sa.select(sa.func.coalesce(sa.func.max(_spool.c.page), 0) + 1).where(_spool.c.wave == wave)
        ).scalar()
        assert page is not None
        packed = zlib.compress(_encoder.encode(sales), 1)
        place = f"spool {wave} {page}"
        blob = self._vault.seal(packed, place)
        connection.execute(sa.insert(_spool).values(wave=wave, page=page, sales=len(sales), blob=blob))
        return blob, place

    def pages(self, wave: int) -> Iterator[list[Sale]]:
        """Return the staged sales of a wave, page by page."""
        with self._state.begin() as c:
            numbers = list(
                c.execute(
                    sa.select(_spool.c.page).where(_spool.c.wave == wave).order_by(_spool.c.page)
                ).scalars()
            )
        for page in numbers:
            with self._state.begin() as c:
                blob = c.execute(
                    sa.select(_spool.c.blob).where(_spool.c.wave == wave, _spool.c.page == page)
                ).scalar()
            assert blob is not None
            yield _decoder.decode(zlib.decompress(self._vault.open(blob, f"spool {wave} {page}")))

    def clear(self, connection: sa.Connection, wave: int) -> None:
        """Forget the staged sales of a wave: everything in it stands elsewhere now."""
        connection.execute(sa.delete(_spool).where(_spool.c.wave == wave))

    def job(self, wave: int, part: str) -> JobRow | None:
        """Return the bulk job of a part of a wave."""
        columns = [_job.c[name] for name in JobRow.__struct_fields__]
        with self._state.begin() as c:
            row = c.execute(sa.select(*columns).where(_job.c.wave == wave, _job.c.part == part)).one_or_none()
        return None if row is None else JobRow(*row)

    def note_job(self, connection: sa.Connection, row: JobRow) -> None:
        """Write down how far a bulk job is."""
        statement = insert(_job).values(msgspec.structs.asdict(row))
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["wave", "part"],
                set_={name: statement.excluded[name] for name in ("job_id", "state", "rows")},
            )
        )

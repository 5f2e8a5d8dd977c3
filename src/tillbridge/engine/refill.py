"""Fill in what people search and look at, for a state that was loaded before there were tables for it.

Sales are brought in from what was kept of earlier readings: the raw payloads of
the last days, and a first load that is under way. What is not kept has to be read
again: it counts as never verified, so that the sweep reads it before all else.
Nothing is asked of a remote, and nothing goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import sqlalchemy as sa

from tillbridge.engine.showcase import receipt_of
from tillbridge.model.records import Sale
from tillbridge.model.sale import Surroundings
from tillbridge.store import schema
from tillbridge.store.lists import among, parts
from tillbridge.store.raw import Raw
from tillbridge.store.receipts import Receipts
from tillbridge.store.spool import Spool
from tillbridge.store.state import State

# Set by migration 0006 where something is missing.
DUE = "refill"

# So many sales are looked for at once: a first load's pages are opened once for all of their sales.
_TOGETHER = 2_000
_BATCH = 500

_record, _receipt = schema.record, schema.receipt
_SHOWN = {"sale": schema.receipt, "product": schema.article}


class Refilled(msgspec.Struct, frozen=True):
    """How many receipts were filled in, and how many sales and products the sweep has to read again."""

    receipts: int
    sales: int
    products: int


def is_due(state: State) -> bool:
    """Say whether a state was loaded before there was anything to look at."""
    return bool(state.fact(DUE))


def refill(state: State, raw: Raw, spool: Spool, around: Surroundings | None) -> Refilled:
    """Fill in what is kept, and have the rest read again. Killed midway, it is done anew and comes out alike.

    `around` None: the till's small tables were never read, so nothing can be told of a sale.
    """
    filled = 0
    if around is not None:
        for sales in _kept(state, raw, spool):
            with state.begin() as c:
                Receipts(state).take_in(c, [receipt_of(sale, around) for sale in sales])
            filled += len(sales)
    with state.begin() as c:
        rest = {kind: _have_read_again(c, kind, shown) for kind, shown in _SHOWN.items()}
        state.keep(c, DUE, False)
    return Refilled(filled, rest["sale"], rest["product"])


def _kept(state: State, raw: Raw, spool: Spool) -> Iterator[list[Sale]]:
    for ids in parts(_without_receipt(state), _TOGETHER):
        yield from parts([sale for sale, _ in raw.sales(ids).values()], _BATCH)
    wave, staged = spool.current()
    if staged:
        for page in spool.pages(wave):
            yield from parts(_unknown(state, page), _BATCH)


def _without_receipt(state: State) -> list[str]:
    """Return the sales that nobody can find, in the order in which a load reads: by number."""
    statement = (
        sa.select(_record.c.till_id)
        .outerjoin(_receipt, _receipt.c.till_id == _record.c.till_id)
        .where(_record.c.kind == "sale", _receipt.c.till_id.is_(None))
    )
    with state.begin() as c:
        return sorted(c.execute(statement).scalars(), key=lambda till_id: (len(till_id), till_id))


def _unknown(state: State, sales: Iterable[Sale]) -> list[Sale]:
    """Return those of these sales that have no receipt yet."""
    by_id = {sale.id: sale for sale in sales}
    with state.begin() as c:
        asked = sa.select(_receipt.c.till_id).where(among(_receipt.c.till_id, by_id.keys()))
        there = set(c.execute(asked).scalars())
    return [sale for till_id, sale in by_id.items() if till_id not in there]


def _have_read_again(c: sa.Connection, kind: str, shown: sa.Table) -> int:
    """Let what is missing still count as never verified; return how many records that are."""
    is_there = sa.exists().where(shown.c.till_id == _record.c.till_id)
    statement = sa.update(_record).where(_record.c.kind == kind, ~is_there).values(verified_at=None)
    return c.execute(statement).rowcount

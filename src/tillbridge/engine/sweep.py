"""Re-read the longest-unverified records on both sides, so that nothing stays wrong for longer than a turn.

The feed, the checks and forced runs verify records too, so the sweep reads
whatever they have not: oldest first, never-verified ones before all. It also
asks for the numbers between those it knows, since a sale that the feed never
showed has no record that could grow old.

A page costs one GET for 100 customers, products (with their stock in every
store) or sales, and one CRM call. A page of archived customers whose receipts
the CRM still holds costs one query and a few GETs more (see crosscheck.follow).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.crosscheck import follow
from tillbridge.engine.repair import Outcome, nothing, repair
from tillbridge.engine.sync import Slice
from tillbridge.model.reading import Query
from tillbridge.store.verified import Verified

FOUND_BY = "sweep"

# Stock is read along with its product.
KINDS = ("sale", "customer", "product")

# One GET (fact sheet Lightspeed A5: IN takes at most 100 values).
PAGE = 100

# Numbers that we have never seen: looked for among so many of the newest, one GET a hundred.
GAPS_MAX = 20_000

_DAY_SECONDS = 86_400.0
_FACT = "sweep"


class _Standing(msgspec.Struct):
    """Where the sweep stands: when it last ran, when each kind's gaps were last walked, and how far it is."""

    ran_at: float | None = None
    walked_at: dict[str, float] = {}
    walking: dict[str, int] = {}  # below this number the walk of a kind goes on


def sweep(connection: Connection, *, calls: int | None = None, full: bool = False) -> Outcome:
    """Re-read, repair, and log as missed by the feed what the poll had passed by.

    Without wishes it reads as many pages as are due since the last time, so
    that everything comes round once in `checks.sweep_days`. `calls` bounds the
    till's calls instead; `full` makes a whole turn. Whatever it was to read, it
    stops where only the reserve for others is left. Raises what the ports raise:
    what was read until then is settled, and the next run goes on behind it.
    """
    turn = _Turn(connection)
    outcome = nothing()
    begun, spent_before = connection.state.now(), connection.till.calls
    pages = turn.pages_due(begun) if calls is None and not full else None
    bar = connection.progress.bar("Records read again", turn.records if full else None)
    while True:
        if pages is not None and turn.pages_read >= pages:
            break
        if calls is not None and connection.till.calls - spent_before >= calls:
            break
        outcome.stopped = _nothing_to_spare(connection)
        if outcome.stopped:
            break
        found = turn.page(before=begun)
        if found is None:
            break
        outcome.add(found)
        bar.advance(PAGE)
    bar.close()
    # What a stopped run has left counts as due the next time.
    if pages != 0 and not outcome.stopped:
        turn.note_run(begun)
    outcome.counts["pages read again"] += turn.pages_read
    outcome.counts["missed by the feed"] += len(outcome.missed)
    return outcome


def _nothing_to_spare(connection: Connection) -> str | None:
    """Ask both budgets; return a sentence when others need what is left. Costs no call."""
    usage, share = connection.crm.usage(), connection.settings.reserve_share
    if usage is not None and usage.allowed - usage.used <= usage.allowed * share:
        return (
            f"The sweep stops here: Salesforce has {max(0, usage.allowed - usage.used):,} of "
            f"{usage.allowed:,} API calls of the last 24 hours left, and {share:.0%} of them are kept for "
            "others (checks.reserve_percent). The next sweep goes on."
        )
    if connection.till.crowded():
        return (
            "The sweep stops here: other programs are using Lightspeed's rate limit. The next sweep goes on."
        )
    return None


class _Turn:
    """One run of the sweep: which page is the next, and what it shows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._verified = Verified(connection.state)
        kept: dict[str, Any] = connection.state.fact(_FACT) or {}
        self._standing = msgspec.convert(kept, _Standing)
        self._gaps: dict[str, list[int]] = {}
        self.records = sum(age.records for age in self._verified.ages(KINDS).values())
        self.pages_read = 0

    def pages_due(self, now: float) -> int:
        """Return how many pages keep a turn within its days; the first run counts as a day's worth."""
        counts = [age.records for age in self._verified.ages(KINDS).values()]
        pages = sum(math.ceil(count / PAGE) for count in counts)
        pages += sum(math.ceil(len(self._gaps_of(kind)) / PAGE) for kind in KINDS)
        ran_at = self._standing.ran_at
        elapsed = _DAY_SECONDS if ran_at is None else now - ran_at
        turn_seconds = self._connection.settings.sweep_days * _DAY_SECONDS
        return math.floor(pages * min(1.0, elapsed / turn_seconds)) or (pages if ran_at is None else 0)

    def page(self, *, before: float) -> Outcome | None:
        """Read the page that has waited longest; None when nothing is older than `before`."""
        oldest: tuple[float, str, bool] | None = None
        for kind in KINDS:
            first = self._verified.oldest(kind, 1)
            for waiting_since, is_gap in (
                *(((at or 0.0), False) for _, at in first),
                *([(self._standing.walked_at.get(kind, 0.0), True)] if self._gaps_of(kind) else []),
            ):
                if waiting_since < before and (oldest is None or waiting_since < oldest[0]):
                    oldest = (waiting_since, kind, is_gap)
        if oldest is None:
            return None
        _, kind, is_gap = oldest
        self.pages_read += 1
        return self._walk(kind) if is_gap else self._known(kind)

    def note_run(self, now: float) -> None:
        """Remember when the sweep ran."""
        self._standing.ran_at = now
        self._keep()

    def _keep(self) -> None:
        with self._connection.state.begin() as c:
            self._connection.state.keep(c, _FACT, msgspec.to_builtins(self._standing))

    # --- what we know --------------------------------------------------------------------------

    def _known(self, kind: str) -> Outcome:
        ids = [i for i, _ in self._verified.oldest(kind, PAGE)]
        outcome, again = self._read(kind, ids)
        with self._connection.state.begin() as c:
            # Also those that the till does not show any more: they were asked for.
            self._verified.mark(c, kind, ids)
            if kind == "product":
                stores = self._connection.around.stores
                self._verified.mark(c, "stock", [f"{i}-{store}" for i in ids for store in stores])
        if kind == "customer":
            silent = set(ids) - {i for i, customer in again.customers.items() if not customer.archived}
            outcome.add(follow(self._connection, sorted(silent)))
        return outcome

    def _read(self, kind: str, ids: Sequence[str]) -> tuple[Outcome, Slice]:
        till, query, again = self._connection.till, Query(ids=tuple(ids)), Slice()
        match kind:
            case "sale":
                for sales in till.sales(query):
                    again.sales.update((sale.id, sale) for sale in sales.rows)
                    again.seen_at = sales.server_time
            case "customer":
                for customers in till.customers(query):
                    again.customers.update((customer.id, customer) for customer in customers.rows)
                    again.seen_at = customers.server_time
            case _:
                for products in till.products(query):
                    again.products.update((product.id, product) for product, _ in products.rows)
                    again.stock += [level for _, levels in products.rows for level in levels]
                    again.seen_at = products.server_time
        shown = Slice(customers=dict(again.customers))
        return repair(self._connection, again, FOUND_BY, ask_crm=True), shown

    # --- what we have never seen ----------------------------------------------------------------

    def _gaps_of(self, kind: str) -> list[int]:
        """Return the numbers between those we know, and a page behind the last, newest first."""
        if kind not in self._gaps:
            known = self._verified.ids(kind)
            gaps = [i for i in range(max(known) + PAGE, min(known), -1) if i not in known] if known else []
            below = self._standing.walking.get(kind)
            self._gaps[kind] = [i for i in gaps[:GAPS_MAX] if below is None or i < below]
        return self._gaps[kind]

    def _walk(self, kind: str) -> Outcome:
        gaps = self._gaps_of(kind)
        ids, rest = gaps[:PAGE], gaps[PAGE:]
        outcome, _ = self._read(kind, [str(i) for i in ids])
        self._gaps[kind] = rest
        if rest:
            self._standing.walking[kind] = ids[-1]
        else:
            self._standing.walking.pop(kind, None)
            self._standing.walked_at[kind] = self._connection.state.now()
        self._keep()
        return outcome

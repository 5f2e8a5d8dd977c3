"""Note how long news took: from the till's own stamp until the CRM has confirmed it.

Only news count: a sale that lands for the first time, a customer who shows a
stamp that we had not seen. History, and what is sent again, is as old as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from tillbridge.engine.connection import Connection
from tillbridge.engine.rows import Standing
from tillbridge.engine.sales import HISTORY_AFTER
from tillbridge.engine.writer import Extra, Writer
from tillbridge.model.acks import Ack, Written
from tillbridge.model.records import Customer, Sale
from tillbridge.store import freshness
from tillbridge.sync.freshness import Landed


class News:
    """The news of one slice, on their way."""

    def __init__(
        self,
        connection: Connection,
        sales: Mapping[str, Sale],
        customers: Mapping[str, Customer],
        till_time: datetime,
    ) -> None:
        """Take note of what was just read; `till_time`: what the till's clock showed then."""
        self._connection = connection
        self._seen_at = self._decided_at = connection.state.now()
        self._till_time = till_time
        self._began = {**self._of_sales(sales), **self._of_customers(customers)}

    def _of_sales(self, sales: Mapping[str, Sale]) -> dict[tuple[str, str], float]:
        landed = self._connection.state.known("sale", sales)
        return {
            ("sale", sale.id): self._by_our_clock(sale.completed_at)
            for sale in sales.values()
            if sale.completed_at is not None
            and self._is_news(sale.completed_at)
            and ((before := landed.get(sale.id)) is None or before.crm_id is None)
        }

    def _of_customers(self, customers: Mapping[str, Customer]) -> dict[tuple[str, str], float]:
        known = self._connection.state.known("customer", customers)
        stamps = {i: before.till_stamp for i, before in known.items()}
        return {
            ("customer", customer.id): self._by_our_clock(customer.changed_at)
            for customer in customers.values()
            if customer.changed_at is not None
            and self._is_news(customer.changed_at)
            and stamps.get(customer.id) != customer.changed_at.timestamp()
        }

    def _is_news(self, moment: datetime) -> bool:
        return self._till_time - moment <= HISTORY_AFTER

    def _by_our_clock(self, moment: datetime) -> float:
        """Move a stamp of the till's clock to ours: both showed the moment of reading."""
        return self._seen_at - max(0.0, (self._till_time - moment).total_seconds())

    def decided(self) -> None:
        """Note that it is known by now what is to be written."""
        self._decided_at = self._connection.state.now()

    def with_extra(self, extra: Extra | None, writer: Writer) -> Extra:
        """Return what joins each of a writer's settling transactions: the given, and our own rows."""

        def both(c: sa.Connection, acked: Sequence[tuple[Standing, Ack]]) -> None:
            if extra is not None:
                extra(c, acked)
            self._confirmed(c, acked, writer.sent_at)

        return both

    def _confirmed(self, c: sa.Connection, acked: Sequence[tuple[Standing, Ack]], sent_at: float) -> None:
        now = self._connection.state.now()
        landed = [
            Landed(
                kind=standing.row.kind,
                till_id=standing.row.till_id,
                began_at=self._began.pop(standing.row.thing),
                seen_at=self._seen_at,
                decided_at=self._decided_at,
                sent_at=max(self._decided_at, sent_at),
                confirmed_at=now,
            )
            for standing, ack in acked
            if isinstance(ack, Written) and standing.row.thing in self._began
        ]
        freshness.keep(c, landed)
        self._connection.landed += landed

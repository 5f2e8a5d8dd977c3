"""Lines and payments without their sales, and the sales of one customer: against the simulator."""

import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from tillbridge.connectors.http import Http
from tillbridge.connectors.lightspeed_r import LightspeedR, MemoryTokenStore
from tillbridge.model.reading import Query
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Server
from tillbridge.simulators.lightspeed import build

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


class Waits:
    def __init__(self, clock):
        self._clock = clock

    def now(self):
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def monotonic(self):
        return self._clock.now()

    def sleep(self, seconds):
        self._clock.advance(seconds)


@contextmanager
def shop():
    clock = SimClock(NOW.timestamp(), running=False)
    app = build(None, clock=clock)
    clock.set(NOW.timestamp())
    server, http = Server(app).start(), Http()
    try:
        yield (
            LightspeedR(
                client_id="demo-client",
                client_secret="demo-secret",
                refresh_token="demo-refresh",
                store=MemoryTokenStore(),
                clock=Waits(clock),
                rng=random.Random(1),
                http=http,
                api_url=server.url,
                auth_url=server.url,
                account_id="190001",
            ),
            app.floor,
            clock,
        )
    finally:
        http.close()
        server.close()


def rows(pages):
    return [row for page in pages for row in page.rows]


def item_of(floor):
    prices = {"ItemPrice": [{"amount": "100", "useType": "Default"}]}
    return floor.add("Item", {"description": "Ring", "Prices": prices})["itemID"]


def ring(floor, item, **wishes):
    return floor.ring_one(lines=[(item, 1, None)], **wishes)


def test_lines_name_their_sales_and_come_by_their_own_stamps():
    with shop() as (till, floor, clock):
        item = item_of(floor)
        old = ring(floor, item)
        clock.advance(3_600)
        new = ring(floor, item)
        found = rows(till.lines(Query(since=NOW + timedelta(minutes=30))))
        assert [(str(new["SaleLines"][0]["saleLineID"]), str(new["saleID"]))] == [
            (line.id, line.sale_id) for line in found
        ]
        floor.world.switches.set({"updatetime_moves_on_children": False})
        clock.advance(3_600)
        floor.edit("SaleLine", old["SaleLines"][0]["saleLineID"], {"unitQuantity": "2"})
        found = rows(till.lines(Query(since=NOW + timedelta(minutes=90))))
        assert [(str(old["saleID"]), NOW + timedelta(hours=2))] == [(x.sale_id, x.changed_at) for x in found]


def test_payments_come_newest_first_down_to_the_last_seen():
    with shop() as (till, floor, _):
        item = item_of(floor)
        sales = [ring(floor, item) for _ in range(3)]
        ids = [str(sale["SalePayments"][0]["salePaymentID"]) for sale in sales]
        assert [ids[2], ids[1], ids[0]] == [row.id for row in rows(till.payments(None))]
        newer = rows(till.payments(ids[1]))
        assert [(ids[2], str(sales[2]["saleID"]))] == [(row.id, row.sale_id) for row in newer]
        assert [] == rows(till.payments(ids[2]))


def test_a_customers_sales_are_those_and_no_others():
    with shop() as (till, floor, _):
        item = item_of(floor)
        anna = floor.add("Customer", {"firstName": "Anna", "lastName": "Prins"})["customerID"]
        hers = ring(floor, item, customerID=anna)["saleID"]
        ring(floor, item)
        assert [str(hers)] == [sale.id for sale in rows(till.sales(Query(customer=str(anna))))]

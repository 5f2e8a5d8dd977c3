"""The survey of both accounts: what it asks, what it makes of the answers, what it makes of none."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tillbridge.connectors.lightspeed_r import protocol, wire
from tillbridge.connectors.lightspeed_r.shapes import Unreadable
from tillbridge.engine.connection import Settings, Silent
from tillbridge.engine.survey import hours_a_day, survey
from tillbridge.model.errors import BadRequest
from tillbridge.model.reading import Page, Query, TillAccount
from tillbridge.model.records import SaleState, Store

NOW = datetime(2026, 3, 4, 20, tzinfo=UTC)
BERLIN = Store(id="1", name="Mitte", time_zone="Europe/Berlin")


class Sale(msgspec.Struct):
    completed_at: datetime | None
    lines: tuple[str, ...] = ("a", "b", "c")
    payments: tuple[str, ...] = ("p",)
    state: SaleState = SaleState.COMPLETED


class Clock:
    def now(self):
        return NOW


class Till:
    def __init__(self, counts, sales=()):
        self.counts, self.kept, self.asked = counts, list(sales), []

    def account(self):
        return TillAccount("1", "Shop", "EUR", registers=3)

    def stores(self):
        return [BERLIN, Store(id="2", name="Gone", time_zone="Europe/Berlin", archived=True)]

    def registers(self):
        return ["r"] * 5

    def count(self, kind, since=None):
        self.asked.append((kind, since))
        return self.counts[kind][since is not None]

    def sales(self, query):
        self.asked.append(query)
        kept = [s for s in self.kept if _is_within(s.completed_at, query)]
        yield Page(kept, None, None, NOW)


def _is_within(moment, query):
    return (query.since is None or moment >= query.since) and (query.until is None or moment <= query.until)


class Crm:
    def limits(self):
        return {"DailyApiRequests": (90_000, 105_000), "DataStorageMB": (900, 1_000)}

    def query(self, text):
        if "Lead" in text:
            raise BadRequest("sObject type 'Lead' is not supported", code="INVALID_TYPE", status=400)
        yield [{"expr0": 40}]


def surveyed(till, **settings):
    return survey(Settings(**settings), till, Crm(), Clock(), Silent())


COUNTS = {"customers": (8_000, 280), "products": (5_000, 140), "sales": (100_000, 8_400)}
WEEK = [Sale(NOW.replace(hour=hour) - timedelta(days=day)) for day in range(1, 7) for hour in (9, 12, 17)]


def test_what_it_makes_of_both_accounts():
    found = surveyed(Till(COUNTS, WEEK))

    assert (1, 3) == (found.stores, found.registers)
    assert (100_000, 8_000, 5_000) == (found.sales, found.customers, found.products)
    assert (300, 10, 5) == (found.sales_a_day, found.customers_a_day, found.products_a_day)
    assert (3, 1) == (found.lines_a_sale, found.payments_a_sale)
    assert (10.5, 9) == (found.open_hours, found.selling_hours)
    assert 80 == found.people
    assert (105_000, 15_000, None) == (
        found.crm_calls_allowed,
        found.crm_calls_used,
        found.crm_batches_allowed,
    )
    assert (1_000, 900) == (found.crm_megabytes, found.crm_megabytes_free)


def test_of_a_young_account_only_the_days_that_it_has_lived_count():
    counts = {**COUNTS, "sales": (900, 900)}

    found = surveyed(Till(counts, WEEK))

    # Its first day was six days ago, and counts as a whole one.
    assert found.sales_a_day == pytest.approx(900 / 6.875, rel=0.01)


def test_history_that_stays_in_the_till_is_not_counted():
    till = Till(COUNTS, WEEK)

    surveyed(till, since=datetime(2025, 1, 1, tzinfo=UTC).date())

    assert ("sales", datetime(2025, 1, 1, tzinfo=UTC)) in till.asked


def test_an_empty_account_is_taken_for_an_ordinary_shop():
    found = surveyed(Till({"customers": (0, 0), "products": (0, 0), "sales": (0, 0)}))

    assert (0, 12, 2) == (found.sales_a_day, found.open_hours, found.lines_a_sale)


def test_nobody_is_listened_to_where_the_till_alone_speaks():
    assert not surveyed(Till(COUNTS, WEEK), mode="till_to_crm").listens


def test_hours_are_those_of_the_clock_on_the_wall():
    late = [Sale(datetime(2026, 3, day, 23, 30, tzinfo=UTC)) for day in range(1, 7)]

    # Half past midnight in Berlin: an hour of each day, and what lies around it.
    assert (2.5, 1) == hours_a_day(late, ZoneInfo("Europe/Berlin"))


def test_a_day_on_which_nobody_sold_between_others_is_a_day_of_no_hours():
    """Closed on Sundays: six days of ten hours are 60 in a week."""
    days = (2, 3, 4, 5, 6, 7, 9)
    week = [Sale(datetime(2026, 3, day, hour, tzinfo=UTC)) for day in days for hour in (9, 18)]

    assert 10 * 7 / 8 == hours_a_day(week, ZoneInfo("UTC"))[1]


def test_a_day_that_is_not_over_and_the_one_that_the_sample_begins_in_count_for_no_hours():
    """Seen at eight in the evening: eight days ago only the last sales are in the sample."""
    counts = {**COUNTS, "sales": (1_000, 560)}
    partly = [Sale(NOW - timedelta(days=8) + timedelta(hours=1)), Sale(NOW - timedelta(hours=1))]

    found = surveyed(Till(counts, [*partly, *WEEK]))

    assert 9 == found.selling_hours


def test_of_a_busy_shop_each_day_of_the_week_is_asked_for_its_first_and_last_sales():
    till = Till(COUNTS, WEEK)

    surveyed(till)

    edges = [q for q in till.asked if isinstance(q, Query) and q.until and q.until < NOW]
    assert [(1, False), (1, True), (2, False)] == [
        ((NOW.date() - q.until.date()).days, q.newest_first) for q in edges[:3]
    ]
    assert 14 == len(edges)
    assert {timedelta(days=1)} == {q.until - q.since for q in edges}


# --- counting in the till ------------------------------------------------------------------------


def test_a_count_costs_ten_drips_and_asks_for_nothing_else():
    request = protocol.count_request("190001", protocol.SALES, [("completed", "true")])

    assert 10 == request.cost
    assert {"archived": "true", "completed": "true", "count": "1"} == dict(request.params)
    assert "Account/190001/Sale.json" == request.path


def test_a_count_comes_as_text():
    assert 764 == wire.read_count(b'{"@attributes":{"count":"764"}}')


@pytest.mark.parametrize("body", [b"{}", b'{"@attributes":{"count":"many"}}', b"<html>"])
def test_a_count_that_cannot_be_read_is_no_count(body):
    with pytest.raises(Unreadable, match="count"):
        wire.read_count(body)

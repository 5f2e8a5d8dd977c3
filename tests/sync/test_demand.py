"""What a connection wants of the CRM's day, and how slow a stream gets when there is less."""

import pytest

from tillbridge.sync.demand import ENDLESS, Seen, busiest_day, least_interval, of_late, survey_of, wants
from tillbridge.sync.forecast import Plan
from tillbridge.sync.quota import DAY, HOUR
from tillbridge.sync.schedule import Hours, Wishes, paces

NOW = 1_800_000_000.0
NINE_TO_NINE = Hours("UTC", tuple((day * 1_440 + 540, day * 1_440 + 1_260) for day in range(7)))
PACES = paces(Wishes())


def stamps(*sales_of_days):
    """So many sales of each day, today first."""
    return [NOW - number * DAY - 1 for number, sales in enumerate(sales_of_days) for _ in range(sales)]


def survey(*sales_of_days, **more):
    seen = Seen(stores=3, customers=1_000, products=500, sales=5_000, stamps=stamps(*sales_of_days), **more)
    return survey_of(seen, [NINE_TO_NINE], NOW)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param((), 300, id="nothing is known: a busy shop"),
        pytest.param((2, 5), 300, id="two days are too few to go by"),
        pytest.param((900, 5), 900, id="unless they are busier still"),
        pytest.param((2, 40, 3, 3, 3, 3, 3, 90), 90, id="the busiest day of late"),
    ],
)
def test_what_a_day_may_bring(days, expected):
    assert expected == busiest_day(stamps(*days), NOW)


def test_sales_are_kept_more_than_a_busy_day_takes_and_a_load_takes_the_rest():
    busy = survey(*[100] * 8)

    wanted = wants(busy, Plan(), loading=True)

    assert 100 < wanted["sales"] <= 150
    assert ENDLESS == wanted["backfill"]
    assert "backfill" not in wants(busy, Plan())
    assert wanted["urgent"] > 0


def test_nobody_is_asked_who_has_changed_where_customers_go_one_way():
    assert 0 == wants(survey(listens=False), Plan())["customers"]
    assert 400 < wants(survey(), Plan())["customers"] < 500


@pytest.mark.parametrize(
    ("stream", "calls", "expected"),
    [
        pytest.param("customers", 1_000, 120, id="there is enough"),
        pytest.param("customers", 10, HOUR, id="far too little: at worst once an hour"),
        pytest.param("sales", 1_000, 60, id="sales at their own pace"),
        pytest.param("sales", 0, 600, id="sales at worst every ten minutes"),
        pytest.param("check", 0, 900, id="what costs the CRM nothing is not slowed down"),
    ],
)
def test_how_slow_a_stream_gets(stream, calls, expected):
    assert expected == least_interval(stream, PACES[stream], survey(*[100] * 8), calls)


def test_in_between_a_day_costs_what_there_is():
    seconds = least_interval("customers", PACES["customers"], survey(), 200)

    assert 120 < seconds < HOUR
    assert 12 * HOUR / seconds + 12 * HOUR / max(seconds, 600) == pytest.approx(200, rel=0.01)


def test_who_slows_down_looks_at_the_last_day_only():
    busy = survey(5, *[100] * 8)

    assert 5 == of_late(busy, stamps(5, *[100] * 8), NOW).sales_a_day

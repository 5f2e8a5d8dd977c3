"""How fresh records were, stage by stage, and when so many come late that somebody is told."""

import pytest

from tillbridge.sync.freshness import Landed, Objective, burning, percentile, rate, summary

MINUTE, HOUR = 60.0, 3_600.0
NOW = 1_000_000.0
SALES = Objective(kind="sale", seconds=120.0, share=0.95)


def landed(seconds, ago=0.0, kind="sale"):
    """One record whose way took so long: half of it unseen, the rest until the answer."""
    at = NOW - ago
    seen = at - seconds / 2
    return Landed(
        kind=kind,
        till_id="1",
        began_at=at - seconds,
        seen_at=seen,
        decided_at=seen,
        sent_at=seen,
        confirmed_at=at,
    )


def hour_of(late, of, ago=0.0):
    return [landed(300 if n < late else 60, ago) for n in range(of)]


def test_a_way_is_the_sum_of_its_stages():
    one = landed(100)

    assert 100 == one.seconds == sum(one.stages().values())
    assert {"seen": 50, "decided": 0, "sent": 0, "confirmed": 50} == one.stages()


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        pytest.param(0.5, 5, id="half of ten are no slower than the fifth"),
        pytest.param(0.95, 10, id="the slowest counts where one of ten is more than a twentieth"),
        pytest.param(0.0, 1, id="the fastest"),
    ],
)
def test_percentiles(share, expected):
    assert expected == percentile(list(range(1, 11)), share)


def test_a_summary_is_of_one_kind():
    found = summary([landed(60), landed(60), landed(60), landed(600), landed(9_999, kind="customer")], SALES)

    assert (4, 0.75, 60) == (found.count, found.in_time, found.percentiles["p50"])
    assert 600 == found.percentiles["p99"]
    assert None is summary([landed(60, kind="customer")], SALES)


def test_a_rate_of_one_spends_just_what_may_be_late():
    assert 1.0 == pytest.approx(rate(hour_of(1, 20), SALES, NOW, HOUR))
    assert 0.0 == rate([], SALES, NOW, HOUR)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param([], None, id="nothing landed"),
        pytest.param(hour_of(0, 40), None, id="all in time"),
        pytest.param(hour_of(2, 40), None, id="as many late as may be"),
        pytest.param(hour_of(2, 2), None, id="two late ones of two are chance"),
        pytest.param(hour_of(20, 40), 1.0, id="half of an hour's late: the fast window"),
        pytest.param(
            [*hour_of(40, 80, ago=2 * HOUR), *hour_of(6, 60)], 6.0, id="a seventh of six hours': the slow one"
        ),
        pytest.param(hour_of(20, 20, ago=7 * HOUR), None, id="late ones of long ago"),
        pytest.param(
            [*hour_of(20, 20, ago=50 * MINUTE), *hour_of(0, 20)], None, id="the newest are in time again"
        ),
        pytest.param(hour_of(20, 20, ago=50 * MINUTE), 1.0, id="late, and nothing since"),
        pytest.param([landed(900, kind="customer")] * 20, None, id="late ones of another kind"),
    ],
)
def test_when_somebody_is_told(records, expected):
    found = burning(records, SALES, NOW)

    assert expected == (None if found is None else found.hours)


def test_what_is_told_names_where_the_time_went():
    one = Landed(
        kind="sale",
        till_id="1",
        began_at=NOW - 500,
        seen_at=NOW - 50,
        decided_at=NOW - 49,
        sent_at=NOW - 48,
        confirmed_at=NOW,
    )
    late = [one] * 5

    found = burning(late, SALES, NOW)

    assert ("seen", 5, 5) == (found.stage, found.late, found.of)

"""When each stream is due: open and closed shops, short budgets, news, pauses, missed ticks, odd clocks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillbridge.sync.quota import DAY, HOUR
from tillbridge.sync.schedule import (
    NEWS_SECONDS,
    STREAMS,
    Hours,
    Shops,
    Standing,
    Wishes,
    began,
    calls_with_news,
    failed,
    finished,
    interval,
    learnt,
    next_due,
    open_hours_a_week,
    paces,
    parse_hours,
    pause,
    polls_a_day,
    put_off,
    resume,
    run_now,
    shops_at,
    stretched,
    sweep_pages,
)

PACES = paces(Wishes())
OPEN, CLOSED = Shops(open=True), Shops(open=False)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()  # a Wednesday
ZONE = "Europe/Berlin"


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- how often -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "open_seconds", "closed_seconds"),
    [
        ("sales", 60, 600),
        ("customers", 120, 600),
        ("products", 3_600, 3_600),
        ("stock", 3_600, 3_600),
        ("check", 900, 900),
        ("sweep", 8_640, 8_640),
    ],
)
def test_the_intervals_are_those_of_the_promise(stream, open_seconds, closed_seconds):
    standing = Standing(ran_at=NOW)

    assert open_seconds == interval(PACES[stream], standing, OPEN, NOW)
    assert closed_seconds == interval(PACES[stream], standing, CLOSED, NOW)


@pytest.mark.parametrize(
    ("standing", "shops", "at_least", "expected"),
    [
        pytest.param(Standing(), OPEN, 0, 0, id="a stream that never ran is due at once"),
        pytest.param(Standing(ran_at=NOW), OPEN, 0, 60, id="a minute while a shop is open"),
        pytest.param(Standing(ran_at=NOW - 45), OPEN, 0, 15, id="the rest of the minute"),
        pytest.param(Standing(ran_at=NOW - 9_999), OPEN, 0, 0, id="missed ticks are one tick, now"),
        pytest.param(Standing(ran_at=NOW), CLOSED, 0, 600, id="ten minutes while none is open"),
        pytest.param(
            Standing(ran_at=NOW), Shops(False, NOW + 200), 0, 200, id="an opening shop is not waited out"
        ),
        pytest.param(
            Standing(ran_at=NOW), Shops(False, NOW + 5), 0, 60, id="but a minute lies between two polls"
        ),
        pytest.param(Standing(ran_at=NOW, more=True), OPEN, 0, 0, id="what a slice left is read at once"),
        pytest.param(Standing(ran_at=NOW), OPEN, 200, 200, id="short of calls it is slower"),
        pytest.param(Standing(ran_at=NOW), OPEN, 9_999, 600, id="and ten minutes at worst"),
        pytest.param(
            Standing(ran_at=NOW, news_at=NOW - 60), CLOSED, 0, 60, id="a sale after hours opens the shop"
        ),
        pytest.param(Standing(ran_at=NOW, news_at=NOW - NEWS_SECONDS), CLOSED, 0, 600, id="for half an hour"),
        pytest.param(Standing(ran_at=NOW, failures=1), OPEN, 0, 120, id="after a failure, twice the time"),
        pytest.param(Standing(ran_at=NOW, failures=3), OPEN, 0, 480, id="then eight times"),
        pytest.param(Standing(ran_at=NOW, failures=99), OPEN, 0, 3_600, id="and an hour at most"),
        pytest.param(
            Standing(ran_at=NOW, failures=1, more=True), OPEN, 0, 120, id="also if a slice had left more"
        ),
        pytest.param(Standing(ran_at=NOW - 99, not_before=NOW + 7), OPEN, 0, 7, id="no sooner than allowed"),
        pytest.param(
            Standing(ran_at=NOW - 99, not_before=NOW + 30 * DAY), OPEN, 0, 0, id="a clock was set back"
        ),
        pytest.param(Standing(ran_at=NOW + 30 * DAY), OPEN, 0, 60, id="a start in the future is now"),
        pytest.param(Standing(ran_at=NOW, paused=True), OPEN, 0, None, id="paused is never"),
        pytest.param(run_now(Standing(ran_at=NOW)), OPEN, 0, 0, id="asked for is now"),
        pytest.param(run_now(pause(Standing(ran_at=NOW))), OPEN, 0, 0, id="asked for once, although paused"),
        pytest.param(
            run_now(Standing(ran_at=NOW, not_before=NOW + 9)), OPEN, 0, 9, id="but the remote has its say"
        ),
    ],
)
def test_when_sales_are_due(standing, shops, at_least, expected):
    due = next_due(PACES["sales"], standing, shops, NOW, at_least=at_least)

    assert expected == (None if due is None else due - NOW)


def test_the_life_of_a_stream():
    asked = run_now(pause(Standing(failures=2)))
    running = began(asked, NOW)

    assert Standing(ran_at=NOW, paused=True, failures=2) == running
    assert Standing(ran_at=NOW, paused=True, news_at=NOW + 1) == finished(running, NOW + 1, news=True)
    assert Standing(ran_at=NOW, failures=3, paused=True) == failed(running)
    assert Standing(ran_at=NOW) == resume(running)
    assert NOW + 50 == next_due(PACES["sales"], put_off(began(Standing(), NOW), NOW + 50), OPEN, NOW)


def test_a_wish_for_slow_polls_is_no_slower_while_closed_than_wished():
    slow = paces(Wishes(sales_seconds=1_800))["sales"]

    assert (1_800, 1_800, 1_800) == (slow.open_seconds, slow.closed_seconds, slow.worst_seconds)


def test_polls_of_a_day_with_a_shop_open_for_twelve_hours():
    assert (792, 432, 24, 96, 10) == tuple(
        polls_a_day(PACES[stream], 12) for stream in ("sales", "customers", "stock", "check", "sweep")
    )


def test_news_that_fall_into_one_poll_cost_one_call():
    assert calls_with_news(792, 0) == 0
    assert calls_with_news(0, 10) == 0
    assert calls_with_news(720, 300) == pytest.approx(245, abs=1)
    assert calls_with_news(720, 1e9) == 720


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param(10_000, 60, id="enough"),
        pytest.param(720, 60, id="just enough"),
        pytest.param(360, 120, id="half"),
        pytest.param(1, 600, id="never beyond the worst"),
    ],
)
def test_an_interval_is_stretched_as_far_as_calls_are_short(calls, expected):
    found = stretched(PACES["sales"], calls, lambda seconds: 12 * HOUR / seconds)

    assert found == pytest.approx(expected, rel=1e-6)


# --- when shops are open -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "moment", "expected"),
    [
        (["Mon-Sat 09:00-19:00"], "2026-03-04 08:00", True),  # 09:00 in Berlin
        (["Mon-Sat 09:00-19:00"], "2026-03-04 07:59", False),
        (["Mon-Sat 09:00-19:00"], "2026-03-04 18:00", False),
        (["Mon-Sat 09:00-19:00"], "2026-03-08 12:00", False),
        (["Mon-Sat 09:00-19:00", "sun 11:00 - 17:00"], "2026-03-08 12:00", True),
        (["Fri-Sun 20:00-02:00"], "2026-03-09 00:30", True),  # half past one on Monday
        (["Sat-Mon 10:00-12:00"], "2026-03-09 10:00", True),
        (["Sat-Mon 10:00-12:00"], "2026-03-10 10:00", False),
        ([], "2026-03-10 10:00", False),
    ],
)
def test_opening_hours_as_people_write_them(lines, moment, expected):
    assert expected == parse_hours(lines, ZONE).at(at(moment).timestamp())


@pytest.mark.parametrize("line", ["9-5", "Mon-Foo 09:00-10:00", "Mon 25:00-26:00", "Mon 09:00-09:00", ""])
def test_opening_hours_that_cannot_be_read_are_refused(line):
    with pytest.raises(ValueError, match=r"written as|no such time"):
        parse_hours([line], ZONE)


def test_the_next_change_is_that_of_the_clock_on_the_wall():
    hours = parse_hours(["Mon-Sun 09:00-19:00"], ZONE)

    # Clocks go forward on the night to Sunday, March 29: nine o'clock comes at seven UTC.
    assert at("2026-03-28 08:00").timestamp() == hours.next_change(at("2026-03-28 00:00").timestamp())
    assert at("2026-03-29 07:00").timestamp() == hours.next_change(at("2026-03-28 20:00").timestamp())


def test_shops_whose_hours_nobody_knows_are_open():
    known = parse_hours(["Mon 09:00-10:00"], ZONE)

    assert Shops(open=True) == shops_at([known, None], NOW)
    assert Shops(open=True) == shops_at([], NOW)
    assert not shops_at([known], NOW).open
    assert at("2026-03-09 08:00").timestamp() == shops_at([known], NOW).changes_at


def test_hours_are_learnt_from_sales_by_weekday():
    now = at("2026-03-04 12:00")
    sold = [
        day + timedelta(hours=hour, minutes=20)
        for weeks in range(4)
        for day in [at("2026-03-02 00:00") - timedelta(weeks=weeks, days=number) for number in range(3)]
        for hour in (9, 16)
    ]

    hours = learnt(sold, ZONE, now)

    # Mondays, Sundays and Saturdays from 10:20 to 17:20: half an hour before, an hour behind the full hours.
    monday = (9 * 60 + 30, 19 * 60)
    assert hours is not None
    assert monday == hours.spans[0]
    assert 3 * 9.5 == open_hours_a_week(hours)


def test_one_sale_at_night_opens_no_shop():
    now = at("2026-03-04 12:00")
    mondays = [at("2026-03-02 10:00") - timedelta(weeks=weeks) for weeks in range(4)]

    assert learnt(mondays, "UTC", now) == learnt([*mondays, at("2026-02-23 03:00")], "UTC", now)


def test_a_new_shop_has_not_shown_its_hours_yet():
    now = at("2026-03-04 12:00")

    assert learnt([], "UTC", now) is None
    assert learnt([now - timedelta(days=3)], "UTC", now) is None


# --- sweeps --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pages", "calls", "expected"),
    [
        pytest.param(700, 1_000, 10, id="a tenth of a seventh of 700 pages"),
        pytest.param(701, 1_000, 11, id="rounded up, or the turn would not end"),
        pytest.param(0, 1_000, 0, id="nothing to read"),
        pytest.param(700, 4, 4, id="short of calls it reads what there is"),
        pytest.param(700, 0, 0, id="nothing left"),
        pytest.param(1, float("inf"), 1, id="no limit"),
    ],
)
def test_a_sweep_is_as_large_as_a_turn_needs(pages, calls, expected):
    assert expected == sweep_pages(pages, turn_days=7, sweeps_a_day=10, calls_left=calls)


@given(pages=st.integers(0, 10**6), days=st.integers(1, 60), sweeps=st.floats(0.1, 100))
def test_a_full_turn_fits_its_days(pages, days, sweeps):
    assert sweep_pages(pages, days, sweeps, float("inf")) * days * sweeps >= pages or days * sweeps < 1


# --- what always holds ---------------------------------------------------------------------------

moments = st.floats(NOW - 40 * DAY, NOW + 40 * DAY)
standings = st.builds(
    Standing,
    ran_at=st.none() | moments,
    more=st.booleans(),
    wanted=st.booleans(),
    paused=st.booleans(),
    news_at=st.none() | moments,
    failures=st.integers(0, 2_000),
    not_before=st.none() | moments,
)
all_shops = st.builds(Shops, st.booleans(), st.none() | moments)


@given(standing=standings, shops=all_shops, stream=st.sampled_from(STREAMS), at_least=st.floats(0, 1e6))
def test_a_stream_is_always_due_within_bounds(standing, shops, stream, at_least):
    pace = PACES[stream]

    due = next_due(pace, standing, shops, NOW, at_least=at_least)

    if due is None:
        assert standing.paused
        assert not standing.wanted
    else:
        assert NOW <= due <= NOW + max(pace.worst_seconds, HOUR, 2 * DAY)


@given(standing=standings, shops=all_shops, stream=st.sampled_from(STREAMS), late=st.floats(0, 40 * DAY))
def test_however_late_a_stream_runs_the_next_tick_is_a_whole_interval_away(standing, shops, stream, late):
    pace, now = PACES[stream], NOW + late
    ran = finished(resume(began(standing, now)), now)

    due = next_due(pace, ran, shops, now)

    assert due is not None
    assert pace.open_seconds <= due - now <= pace.closed_seconds


@given(lines=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 22), st.integers(1, 3)), max_size=5))
def test_hours_change_where_they_say(lines):
    spans = tuple((d * 1_440 + h * 60, d * 1_440 + min(h + n, 24) * 60) for d, h, n in lines)
    hours = Hours("America/New_York", spans)

    change = hours.next_change(NOW)

    if change is None:
        assert not spans
    else:
        assert NOW < change <= NOW + 7 * DAY + HOUR

"""Days: a birthday is a local midnight in UTC, a business day is the store's own."""

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillbridge.model.times import birth_date, birth_midnight, business_date, zone


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "zones", "expected"),
    [
        pytest.param(
            "1984-11-03T04:00:00", ["US/Eastern"], date(1984, 11, 3), id="daylight time in New York"
        ),
        pytest.param(
            "1984-12-03T05:00:00", ["US/Eastern"], date(1984, 12, 3), id="standard time in New York"
        ),
        pytest.param(
            "1984-11-02T23:00:00",
            ["Europe/Amsterdam"],
            date(1984, 11, 3),
            id="east of Greenwich: the UTC day is early",
        ),
        pytest.param("1984-07-02T22:00:00", ["Europe/Amsterdam"], date(1984, 7, 3), id="summer in Amsterdam"),
        pytest.param("1984-11-03T00:00:00", ["Europe/London"], date(1984, 11, 3), id="Greenwich in winter"),
        pytest.param("1984-07-02T23:00:00", ["Europe/London"], date(1984, 7, 3), id="Greenwich in summer"),
        pytest.param(
            "2001-01-04T11:00:00",
            ["Pacific/Auckland"],
            date(2001, 1, 5),
            id="Auckland in summer: thirteen hours",
        ),
        pytest.param(
            "2001-07-04T12:00:00",
            ["Pacific/Auckland"],
            date(2001, 7, 5),
            id="Auckland in winter: twelve hours",
        ),
        pytest.param("1990-05-05T10:00:00", ["Pacific/Honolulu"], date(1990, 5, 5), id="Honolulu"),
        pytest.param("1990-05-04T18:30:00", ["Asia/Kolkata"], date(1990, 5, 5), id="half an hour off"),
        pytest.param(
            "1984-11-02T23:00:00",
            ["US/Eastern", "Europe/Amsterdam"],
            date(1984, 11, 3),
            id="the shop whose midnight it is decides",
        ),
        pytest.param(
            "1984-11-03T03:00:00",
            ["US/Eastern"],
            date(1984, 11, 3),
            id="an hour before: the nearest midnight",
        ),
        pytest.param(
            "1984-11-03T07:00:00", ["US/Eastern"], date(1984, 11, 3), id="a till set to the other coast"
        ),
        pytest.param(
            "2018-11-04T03:00:00", ["America/Sao_Paulo"], date(2018, 11, 4), id="a day that has no midnight"
        ),
        pytest.param("1984-11-03T05:00:00", [], date(1984, 11, 3), id="no shops: nearest midnight in UTC"),
    ],
)
def test_birth_date(instant, zones, expected):
    assert expected == birth_date(at(instant), zones)


@pytest.mark.parametrize(
    ("moment", "name", "starts", "expected"),
    [
        pytest.param(
            "2026-03-02T04:30:00", "US/Eastern", time(0), date(2026, 3, 1), id="late evening in New York"
        ),
        pytest.param(
            "2026-03-02T05:00:00", "US/Eastern", time(0), date(2026, 3, 2), id="midnight sharp is the new day"
        ),
        pytest.param("2026-03-01T15:30:00", "Asia/Tokyo", time(0), date(2026, 3, 2), id="Tokyo is ahead"),
        pytest.param(
            "2026-03-02T07:59:59",
            "US/Eastern",
            time(3),
            date(2026, 3, 1),
            id="before the cut-off yesterday goes on",
        ),
        pytest.param(
            "2026-03-02T08:00:00", "US/Eastern", time(3), date(2026, 3, 2), id="at the cut-off the day begins"
        ),
        pytest.param(
            "2026-03-08T06:59:00",
            "US/Eastern",
            time(3),
            date(2026, 3, 7),
            id="the night the clock jumps: still before three",
        ),
        pytest.param(
            "2026-03-08T07:00:00",
            "US/Eastern",
            time(3),
            date(2026, 3, 8),
            id="the night the clock jumps: three by the wall",
        ),
    ],
)
def test_business_date(moment, name, starts, expected):
    assert expected == business_date(at(moment), name, starts)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_named(name):
    with pytest.raises(ValueError, match="there is no time zone"):
        zone(name)


@pytest.mark.parametrize(
    ("day", "zone_name", "expected"),
    [
        pytest.param(date(1984, 11, 3), "US/Eastern", "1984-11-03T05:00:00", id="as the till writes it"),
        pytest.param(date(1984, 7, 3), "Europe/Amsterdam", "1984-07-02T22:00:00", id="east of Greenwich"),
        pytest.param(date(1984, 11, 3), "UTC", "1984-11-03T00:00:00", id="Greenwich"),
        pytest.param(
            date(2010, 10, 17),
            "America/Sao_Paulo",
            "2010-10-17T03:00:00",
            id="the clock went from midnight to one",
        ),
        pytest.param(
            date(2011, 12, 30), "Pacific/Apia", "2011-12-30T09:59:59", id="a day that Samoa never had"
        ),
    ],
)
def test_the_midnight_of_a_birthday(day, zone_name, expected):
    assert at(expected) == birth_midnight(day, zone_name)


@given(
    st.dates(date(1880, 1, 1), date(2040, 12, 31)),
    st.sampled_from(
        (
            "Africa/Cairo",
            "America/Havana",
            "America/New_York",
            "America/Sao_Paulo",
            "Asia/Beirut",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "Europe/Amsterdam",
            "Pacific/Apia",
            "Pacific/Kiritimati",
            "Pacific/Kwajalein",
            "UTC",
        )
    ),
    st.lists(st.sampled_from(("America/Los_Angeles", "Asia/Tokyo", "Europe/London")), max_size=2),
)
def test_a_birthday_there_and_back(day, zone_name, other_zones):
    """Clock changes at midnight, days that were left out, other shops in other zones: it stays the day."""
    assert day == birth_date(birth_midnight(day, zone_name), [zone_name, *other_zones])

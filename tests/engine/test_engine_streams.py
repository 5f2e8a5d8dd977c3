"""Positions of incremental reads: the till's own stamps, an overlap, and a place in mid-listing."""

from datetime import UTC, datetime, timedelta

import pytest

from tillbridge.engine.streams import OVERLAP, Position, dump, parse, take
from tillbridge.model.reading import Page, Query

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Listing:
    """A till that answers with these pages, each (rows, newest stamp); `asked` keeps the questions."""

    def __init__(self, *pages, server_time=NOON + timedelta(hours=1)):
        self._pages = pages
        self._server_time = server_time
        self.asked = []

    def __call__(self, query):
        self.asked.append(query)
        start = int(query.resume or 0)
        for number, (rows, high) in enumerate(self._pages[start:], start + 1):
            following = str(number) if number < len(self._pages) else None
            yield Page(rows, following, high, self._server_time)


def move(home, taken):
    with home.state.begin() as c:
        home.state.move_cursor(c, "sales", taken.then)


def test_the_position_is_the_newest_stamp_of_the_till_and_never_a_clock_of_ours(home):
    taken = take(home.state, "sales", Listing((["a"], NOON - MINUTE), (["b"], NOON)))

    assert (["a", "b"], False) == (taken.rows, taken.more)
    assert Position(since=NOON) == parse(taken.then)


def test_the_next_read_goes_back_by_an_overlap(home):
    move(home, take(home.state, "sales", Listing((["a"], NOON))))
    listing = Listing(([], None))
    taken = take(home.state, "sales", listing)

    assert [Query(since=NOON - OVERLAP)] == listing.asked
    assert Position(since=NOON) == parse(taken.then), "nothing new leaves it where it is"


def test_an_older_page_does_not_move_it_back(home):
    move(home, take(home.state, "sales", Listing((["a"], NOON))))
    taken = take(home.state, "sales", Listing((["a"], NOON - MINUTE)))

    assert Position(since=NOON) == parse(taken.then)


def test_an_empty_till_is_read_from_its_own_time_on(home):
    taken = take(home.state, "sales", Listing(([], None), server_time=NOON))

    assert Position(since=NOON) == parse(taken.then)


def test_a_long_catch_up_stops_in_the_middle_and_goes_on_there(home):
    move(home, take(home.state, "sales", Listing((["old"], NOON - timedelta(days=1)))))
    listing = Listing((["a"], NOON - 2 * MINUTE), (["b"], NOON), (["c"], NOON - MINUTE))
    first = take(home.state, "sales", listing, pages_max=2)
    assert (["a", "b"], True) == (first.rows, first.more)
    move(home, first)

    second = take(home.state, "sales", listing, pages_max=2)
    assert (["c"], False) == (second.rows, second.more)
    since = NOON - timedelta(days=1) - OVERLAP
    assert [Query(since=since), Query(since=since, resume="2")] == listing.asked
    assert Position(since=NOON) == parse(second.then), "the newest of all its pages"


def test_a_row_stamped_in_the_future_is_taken_and_hides_nothing(home):
    """Somebody's register says next year; the till's own time of the answer does not."""
    listing = Listing((["a", "from next year"], NOON + timedelta(days=365)), server_time=NOON)
    taken = take(home.state, "sales", listing)
    assert (["a", "from next year"], Position(since=NOON)) == (taken.rows, parse(taken.then))
    move(home, taken)

    listing = Listing((["b"], NOON + timedelta(days=365)), server_time=NOON + MINUTE)
    taken = take(home.state, "sales", listing)
    assert [Query(since=NOON - OVERLAP)] == listing.asked
    assert Position(since=NOON + MINUTE) == parse(taken.then)


def test_a_long_catch_up_does_not_end_in_the_future_either(home):
    pages = (["a"], NOON + timedelta(days=365)), (["b"], NOON - MINUTE)
    move(home, take(home.state, "sales", Listing(*pages, server_time=NOON), pages_max=1))
    taken = take(home.state, "sales", Listing(*pages, server_time=NOON))
    assert Position(since=NOON) == parse(taken.then)


def test_what_was_stamped_since_a_clock_was_set_back_is_read(home):
    """The till's clock was an hour fast; it is right again now, half an hour after our last look."""
    move(home, take(home.state, "sales", Listing((["a"], NOON), server_time=NOON)))
    home.clock.sleep(30 * 60)
    right = NOON - timedelta(minutes=30)
    listing = Listing((["b"], right), server_time=right)
    taken = take(home.state, "sales", listing)

    looked_at = NOON - timedelta(minutes=60)
    assert [Query(since=NOON - OVERLAP), Query(since=looked_at - OVERLAP)] == listing.asked
    assert (["b"], Position(since=right)) == (taken.rows, parse(taken.then))


def test_a_clock_of_ours_that_was_set_right_does_not_have_everything_read_again(home):
    move(home, take(home.state, "sales", Listing((["a"], NOON), server_time=NOON)))
    home.clock.sleep(20 * 365 * 86_400)
    listing = Listing(([], None), server_time=NOON + MINUTE)
    take(home.state, "sales", listing)
    assert Query(since=NOON + MINUTE - timedelta(days=31) - OVERLAP) == listing.asked[-1]


@pytest.mark.parametrize(
    "position",
    [Position(), Position(since=NOON), Position(NOON, NOON + MINUTE, "next"), Position(None, NOON, "next")],
    ids=str,
)
def test_a_position_comes_back_as_it_was_stored(position):
    assert position == parse(dump(position))


def test_a_stamp_alone_is_stored_as_people_read_it():
    assert "2026-11-20T12:00:00+00:00" == dump(Position(since=NOON))
    assert Position() == parse(None)


@pytest.fixture
def home(desk):
    return desk

"""A load that stands still for whoever is in a hurry, on both databases, and what ends it then."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from tillbridge.model.errors import Fenced, GiveWay
from tillbridge.store.service import open_service, service_url
from tillbridge.turns import Turns


@pytest.fixture
def service(database, tmp_path):
    sqlite = database.startswith("sqlite")
    made = open_service(sa.make_url(database) if sqlite else service_url(Path(tmp_path), database))
    yield made
    made.close()


@pytest.fixture
def turns(service):
    made = Turns(service, "one", 30.0)
    yield made
    made.close()


class InAHurry:
    """Somebody who wants the connection now, and notes when they had it."""

    def __init__(self, turns, heard):
        self.heard, self.done = heard, threading.Event()
        self._thread = threading.Thread(target=self._work, args=(turns,))
        self._thread.start()

    def _work(self, turns):
        with turns.take("shop", None, hurry=True):
            self.heard.append("somebody in a hurry")
        self.done.set()

    def join(self):
        self._thread.join(10)


def until(condition):
    waits = threading.Event()
    for _ in range(1_000):
        if condition():
            return
        waits.wait(0.01)
    raise AssertionError("it never came")


def test_it_goes_on_with_what_it_had_when_they_have_worked(turns):
    heard = []
    with turns.take("shop", None, hurry=False, lends=True) as turn:
        token = turn.token
        heard.append("first page")
        other = InAHurry(turns, heard)
        until(lambda: turn.wanted)
        lent = turn.let_pass()
        heard.append("second page")
        assert not turn.let_pass()
        turn.check()
    other.join()

    assert (True, ["first page", "somebody in a hurry", "second page"]) == (lent, heard)
    assert turn.token > token + 1
    assert turns.held() == []


def test_whoever_says_nothing_of_standing_still_is_ended(turns):
    with turns.take("shop", None, hurry=False) as turn:
        other = InAHurry(turns, [])
        until(lambda: turn.wanted)
        with pytest.raises(GiveWay):
            turn.let_pass()
    other.join()


def test_nobody_in_a_hurry_nothing_lent(turns):
    with turns.take("shop", None, hurry=False, lends=True) as turn:
        token = turn.token
        assert (False, token) == (turn.let_pass(), turn.token)


def test_a_load_that_was_taken_over_while_it_stood_still_ends(service, turns):
    """It slept through its stake: another worker has begun the same load, and is done with a part of it."""
    with turns.take("shop", None, hurry=False, lends=True) as turn:
        other = InAHurry(turns, [])
        until(lambda: turn.wanted)
        with service.begin() as c:
            c.execute(sa.text("UPDATE lease SET until = 0 WHERE name = 'shop load'"))
        assert service.take_lease("shop load", "another", 30, hurry=False) is not None
        with pytest.raises(Fenced, match="has taken over the load of shop"):
            turn.let_pass()
    other.join()

    assert service.take_lease("shop", "another", 30, hurry=False) is not None, "its turn was given back"


def test_a_second_load_does_not_begin_while_the_first_stands_still(turns, service):
    with turns.take("shop", None, hurry=False, lends=True):
        assert service.take_lease("shop load", "another", 30, hurry=False) is None
    assert service.take_lease("shop load", "another", 30, hurry=False) is not None


def test_who_looks_after_leases_meanwhile_takes_a_lent_turn_for_no_lost_one(turns):
    """The keeper has asked for the old token, and is answered when the turn is somebody else's."""
    with turns.take("shop", None, hurry=False, lends=True) as turn:
        turn.lent = True
        turn.token += 1  # Whoever has it now.
        assert turn.renew(30.0)
        turn.lent, turn.token = False, turn.token - 1
        turn.check()


def test_a_service_that_stops_ends_a_load_that_stands_still(turns):
    with turns.take("shop", None, hurry=False, lends=True) as turn:
        turns.end_slices()
        with pytest.raises(GiveWay, match="The service is stopping"):
            turn.let_pass()

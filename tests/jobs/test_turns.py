"""A load that stands still for whoever is in a hurry, on both databases, and what ends it then."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from tillbridge.model.errors import Fenced, GiveWay
from tillbridge.store.service import open_service, service_url
from tillbridge.turns import Pauses, Turns


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


class Ticks:
    """A clock whose waits take no time."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


class InAHurry:
    """Somebody who wants the connection now, and notes when they had it."""

    def __init__(self, turns, heard, who="somebody in a hurry", **how):
        self.heard, self.who, self.done = heard, who, threading.Event()
        self._thread = threading.Thread(target=self._work, args=(turns, how or {"hurry": True}))
        self._thread.start()

    def _work(self, turns, how):
        with turns.take("shop", None, **how):
            self.heard.append(self.who)
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


def test_a_poll_that_waits_for_the_till_lets_a_person_pass(service):
    """It has overtaken others, and goes on whoever else does; a person's wish is not behind its wait."""
    turns = Turns(service, "one", 30.0, overtakes_after=0.0)
    heard, clock = [], Ticks()
    with turns.take("shop", None, hurry=False, overtakes=True) as turn:
        pauses = Pauses(clock)
        pauses.turn = turn
        overtaking = InAHurry(turns, heard, "another poll", hurry=False, overtakes=True)
        until(lambda: turn.wanted)
        pauses.sleep(60)
        waited = clock.monotonic()
        person = InAHurry(turns, heard, "a person")
        until(lambda: turn.person_waits)
        turn.check()
        with pytest.raises(GiveWay, match="A person waits for the turn"):
            pauses.sleep(60)
        heard.append("the poll")
    person.join()
    overtaking.join()
    turns.close()

    assert (60.0, 60.0) == (pytest.approx(waited), pytest.approx(clock.monotonic()))
    assert ["the poll", "a person", "another poll"] == heard


def test_of_two_workers_one_hears_that_a_person_waits_at_the_other(service):
    one, other = Turns(service, "one", 30.0, overtakes_after=0.0), Turns(service, "other", 30.0)
    one.start()
    with one.take("shop", None, hurry=False, overtakes=True) as turn:
        person = InAHurry(other, [])
        until(lambda: turn.person_waits)
    person.join()
    for each in (one, other):
        each.close()

    assert person.done.is_set()


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

"""Due times and job numbers outlive folders and clocks: no id comes twice, no stream sleeps."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from tillbridge.engine.schedule import Heart, dispatch, job_of
from tillbridge.store.service import LIMIT, Ended, Service, open_service, service_url

NOW = 1_790_000_000.0
SALES, LOAD = ("poll", "sales"), ("backfill", "")
WANTED = {SALES: 60.0, ("poll", "customers"): 120.0, LOAD: 0.0}

# The tables as the first release made them.
FIRST_RELEASE = """
CREATE TABLE stream (
    connection TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, every FLOAT NOT NULL, next_due FLOAT,
    gen INTEGER NOT NULL, queued BOOLEAN NOT NULL, dirty BOOLEAN NOT NULL, paused BOOLEAN NOT NULL, why TEXT,
    fails INTEGER NOT NULL, began_at FLOAT, ended_at FLOAT, outcome TEXT, counts TEXT,
    PRIMARY KEY (connection, kind, name)
);
CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY, token INTEGER NOT NULL, holder TEXT, until FLOAT, wanted_until FLOAT
);
CREATE TABLE service_version (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO service_version VALUES (1);
INSERT INTO stream VALUES ('b', 'poll', 'sales', 60, 5, 7, 0, 0, 1, NULL, 0, NULL, NULL, NULL, NULL);
"""


class Queue:
    """Takes every id once, as the job engine does: a second job of the same id never runs."""

    def __init__(self):
        self.ran = []

    def enqueue(self, job, transaction=None):
        if job.id not in self.ran:
            self.ran.append(job.id)


class SetBack:
    """A wall clock that can be set back beside one that never is."""

    def __init__(self, shows):
        self.shows, self.passed = shows, 0.0

    def now(self):
        return datetime.fromtimestamp(self.shows, UTC)

    def monotonic(self):
        self.passed += 10.0
        return self.passed


class Desk:
    """One connection's streams, and a dispatcher whose jobs end at once."""

    def __init__(self, service: Service):
        self.service, self.queue = service, Queue()

    def plan(self, now):
        self.service.plan_streams("b", WANTED, now)

    def stream(self, which=SALES):
        return next(each for each in self.service.streams("b") if (each.kind, each.name) == which)

    def run(self, now, ended=None):
        """Let what is due run and end; return the ids that really ran."""
        before = len(self.queue.ran)
        dispatch(self.service, self.queue, now)
        ran = self.queue.ran[before:]
        for each in self.service.streams():
            if each.queued and job_of(each).id in ran:
                self.service.ended(each, ended or Ended(outcome="done", next_in=each.every), now)
        return ran


@pytest.fixture
def desk(database, tmp_path):
    url = sa.make_url(database) if database.startswith("sqlite") else service_url(tmp_path, database)
    service = open_service(url)
    made = Desk(service)
    made.plan(NOW)
    for number in range(5):
        made.run(NOW + number * 200)
    yield made
    service.close()


BACK = NOW + 2_000


def test_nothing_runs_of_a_connection_whose_folder_is_away(desk):
    desk.service.note_away("b", NOW + 900)

    assert [] == desk.run(BACK)
    assert {"b"} == desk.service.away().keys()


def test_a_connection_that_is_back_goes_on_at_once_behind_its_last_number(desk):
    before = desk.stream().gen
    desk.service.note_away("b", NOW + 810)
    desk.plan(NOW + 819)

    assert f"b/poll/sales/{before + 1}" in desk.run(NOW + 819)
    assert {} == desk.service.away()


def test_a_pause_outlives_the_absence(desk):
    desk.service.pause_streams("b", *SALES, paused=True)
    desk.service.note_away("b", NOW + 900)
    desk.plan(BACK)

    assert desk.stream().paused
    assert ["b/poll/customers/6"] == desk.run(BACK)


def test_a_load_that_was_under_way_goes_on_when_its_connection_is_back(desk):
    desk.service.wish("b", *LOAD, NOW + 810)
    desk.run(NOW + 810, Ended(outcome="gave way", next_in=0.0))
    desk.service.note_away("b", NOW + 811)
    desk.plan(BACK)

    assert "b/backfill/-/2" in desk.run(BACK)


def test_a_connection_that_is_removed_and_added_again_runs_at_once(desk):
    desk.service.forget_streams("b")
    assert [] == desk.service.streams("b")
    desk.plan(BACK)

    ran = desk.run(BACK)
    assert {"b/poll/sales/6", "b/poll/customers/6"} == set(ran)


def test_a_stream_that_was_given_up_for_a_while_runs_at_once_when_it_is_wanted_again(desk):
    desk.service.plan_streams("b", {LOAD: 0.0}, NOW + 900)
    desk.plan(BACK)

    assert "b/poll/sales/6" in desk.run(BACK)


def test_nobody_is_away_of_whom_nothing_is_kept(desk):
    assert not desk.service.note_away("never", NOW)
    assert {} == desk.service.away()


def pulled(desk, now):
    desk.service.pull_back(now)
    return desk.stream().next_due - now


def test_a_clock_that_was_set_back_lets_nobody_sleep_longer_than_was_meant(desk):
    slept = {"due as planned": pulled(desk, NOW + 810)}
    desk.run(NOW + 86_400)
    slept["a clock a day ahead"] = pulled(desk, NOW + 900)

    assert {"due as planned": 50.0, "a clock a day ahead": 60.0} == slept


def test_a_wait_that_is_long_on_purpose_is_left_alone(desk):
    desk.run(NOW + 900, Ended(outcome=LIMIT, next_in=20_000.0))

    assert 20_000.0 == pulled(desk, NOW + 900)


def test_a_due_time_that_was_set_far_ahead_comes_back(desk):
    with desk.service.begin() as c:
        c.execute(sa.text("UPDATE stream SET next_due = next_due + 86400"))

    assert 60.0 == pulled(desk, NOW + 900)


def test_a_dispatcher_that_slept_through_a_clock_set_back_wakes_up(desk):
    clock = SetBack(NOW + 86_400)
    heart = Heart(desk.service, desk.queue, "one", clock, on_trouble=lambda *_: None)
    desk.run(NOW + 86_400)
    heart.dispatch()
    clock.shows = NOW + 900
    heart.dispatch()

    assert NOW + 960 == desk.stream().next_due


def test_why_a_stream_fails_is_told_while_it_is_tried_again(desk):
    desk.run(
        NOW + 900, Ended(outcome="remote down", next_in=5.0, why="Lightspeed does not answer", failed=True)
    )
    dispatch(desk.service, desk.queue, NOW + 910)

    assert (True, "Lightspeed does not answer") == (desk.stream().queued, desk.stream().why)


def test_tables_of_the_first_release_are_brought_up_to_date(tmp_path: Path):
    url = service_url(tmp_path, None)
    older = sa.create_engine(url)
    with older.begin() as c:
        for statement in filter(str.strip, FIRST_RELEASE.split(";")):
            c.execute(sa.text(statement))
    older.dispose()

    service = open_service(url)
    found = service.streams("b")[0]
    service.note_away("b", NOW)
    kept = {"b"} == service.away().keys()
    service.close()

    assert (7, True, None, True) == (found.gen, found.paused, found.waits, kept)

"""Budgets in the shared tables, on both databases: many who spend at once never spend more than there is."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from tillbridge.model.errors import LimitReached
from tillbridge.spending import SharedBooks, Spending, standings
from tillbridge.store.service import open_service, service_url
from tillbridge.sync.quota import Caps
from tillbridge.turns import Turns

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CAPS = Caps(crm_calls_a_day=60)


class Standing:
    """A clock that stands still."""

    def now(self):
        return NOON

    def monotonic(self):
        return 0.0

    def sleep(self, seconds):
        raise AssertionError(f"nobody has to wait {seconds} s here")


@pytest.fixture
def service(database, tmp_path):
    sqlite = database.startswith("sqlite")
    made = open_service(sa.make_url(database) if sqlite else service_url(Path(tmp_path), database))
    yield made
    made.close()


def spending(service, name):
    made = Spending(
        SharedBooks(lambda: service), name, CAPS, Standing(), till="190001/x", patience_seconds=0.0
    )
    made.begin("sales")
    return made


def spend(purse, calls, slice_calls=3):
    """Spend in slices of some calls; return how many went out before the day was over."""
    went = 0
    for number in range(calls):
        try:
            purse.crm.take("00D1")
        except LimitReached:
            break
        went += 1
        if number % slice_calls == slice_calls - 1:
            purse.settle()
            purse.begin("sales")
    purse.settle()
    return went


def test_many_at_once_never_spend_more_than_there_is(service):
    """Four workers of two connections, each of which would spend all of it."""
    went = []

    def work(name):
        went.append(spend(spending(service, name), 60))

    workers = [threading.Thread(target=work, args=(f"shop {n % 2}",)) for n in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    calls = next(each for each in standings(service, NOON.timestamp()) if each.name == "crm 00D1 calls")
    assert calls.spent == sum(went) <= calls.cap == 60
    assert sum(went) > 30  # The rest is kept for the other lanes.


def test_what_a_slice_did_not_spend_goes_back(service):
    purse = spending(service, "shop")
    for _ in range(4):
        purse.crm.take("00D1")  # Leases of one, two and four calls.
    purse.settle()

    calls = next(each for each in standings(service, NOON.timestamp()) if each.name == "crm 00D1 calls")
    assert 4 == calls.spent


def test_who_died_with_a_place_among_the_requests_comes_back_to_it(service):
    """Nobody has settled: after any number of kills the connection finds its own place again."""
    for _ in range(20):
        spending(service, "shop").crm.take("00D1")

    assert 20 <= next(each.spent for each in standings(service, NOON.timestamp()))


def test_others_use_is_told_at_once_and_shared(service):
    one, other = spending(service, "one"), spending(service, "other")
    one.crm.take("00D1")
    one.crm.told(99_000, 100_000)

    with pytest.raises(LimitReached, match="most of them by other apps"):
        other.crm.take("00D1")


def test_a_refusal_holds_everybody_until_it_is_over(service):
    one, other = spending(service, "one"), spending(service, "other")
    one.till.take(2.6)
    one.till.refused(30.0)

    with pytest.raises(LimitReached, match="Lightspeed's rate limit is used up; it goes on at 12:00 UTC"):
        other.till.take(1.0)


def test_a_poll_overtakes_a_load_of_its_own_connection(service):
    """It waits a little, and then the load is asked to let it pass."""
    turns = Turns(service, "one", 30.0, overtakes_after=0.1)
    asked = threading.Event()

    def load():
        with turns.take("shop", None, hurry=False) as turn:
            began.set()
            until = threading.Event()
            while not turn.wanted:
                until.wait(0.01)
            asked.set()

    began = threading.Event()
    worker = threading.Thread(target=load)
    worker.start()
    began.wait(10)
    with turns.take("shop", None, hurry=False, overtakes=True):
        passed = asked.is_set()
    worker.join()
    turns.close()

    assert passed

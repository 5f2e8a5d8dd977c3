"""Verification ages: who comes first, who is left alone, and what the diary keeps."""

from datetime import UTC, datetime

import pytest

from tillbridge.store.database import open_database
from tillbridge.store.state import Settled, State
from tillbridge.store.verified import Missed, Verified


class Clock:
    def __init__(self):
        self.at = 1_000.0

    def now(self):
        return datetime.fromtimestamp(self.at, UTC)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(tmp_path, clock):
    state = State(open_database(tmp_path), clock, tmp_path / "state")
    yield state
    state.close()


def settle(memory, *ids, verified=True, **more):
    fields = {"kind": "sale", "state": "settled", "crm_id": "a00", "digest": b"x", **more}
    with memory.begin() as c:
        memory.settle(c, [Settled(till_id=i, **fields) for i in ids], verified=verified)


def turn(state):
    return [i for i, _ in Verified(state).oldest("sale", 10)]


def test_who_was_never_verified_comes_first_then_the_oldest(state, clock):
    settle(state, "1")
    clock.at += 10
    settle(state, "2")
    settle(state, "3", verified=False)
    assert ["3", "1", "2"] == turn(state)

    clock.at += 10
    with state.begin() as c:
        Verified(state).mark(c, "sale", ["3", "1"])
    assert ["2", "1", "3"] == turn(state)


def test_what_is_settled_without_the_till_keeps_its_age(state, clock):
    settle(state, "1")
    clock.at += 10
    settle(state, "1", verified=False)
    assert [("1", 1_000.0)] == Verified(state).oldest("sale", 1)


def test_what_is_on_its_way_in_a_bulk_job_has_no_turn(state):
    settle(state, "1", state="staged")
    assert [] == turn(state)
    assert {} == Verified(state).ages(["sale"])


def test_ages_tell_how_many_and_since_when(state, clock):
    settle(state, "1", "2")
    clock.at += 10
    settle(state, "3")
    settle(state, "4", verified=False)
    age = Verified(state).ages(["sale", "customer"])["sale"]
    assert (4, 1_000.0, 1) == (age.records, age.oldest_at, age.never)


def test_a_doubted_row_keeps_its_link_and_an_unlinked_one_does_not(state):
    settle(state, "1", "2")
    with state.begin() as c:
        state.doubt(c, "sale", ["1"])
        Verified(state).unlink(c, "sale", ["2"])
    known = state.known("sale", ["1", "2"])
    assert ("a00", None) == (known["1"].crm_id, known["1"].digest)
    assert (None, None) == (known["2"].crm_id, known["2"].digest)


def test_the_diary_keeps_what_was_found_and_tells_the_last_words(state):
    verified = Verified(state)
    first = Missed(kind="sale", till_id="1", found_by="sweep", what="Total__c")
    second = Missed(kind="sale", till_id="1", found_by="cross-check", what="line 2")
    with state.begin() as c:
        verified.log(c, [first])
        verified.log(c, [second])
    assert ["line 2", "Total__c"] == [each.what for each in verified.missed()]
    assert {"1": "line 2"} == verified.last_words("sale", ["1", "9"])
    assert 2 == verified.count_missed()


def test_an_old_id_resolves_to_the_newest_that_it_went_into(state):
    settle(state, "7", kind="customer")
    with state.begin() as c:
        Verified(state).rename(c, "customer", "5", "6")
        Verified(state).rename(c, "customer", "5", "7")
    assert {"5": "7"} == Verified(state).aliases("customer", ["5", "7"])
    assert "a00" == state.links("customer", ["5"])["5"].crm_id


def test_every_number_seen_is_known(state):
    settle(state, "1", "12")
    assert {1, 12} == Verified(state).ids("sale")

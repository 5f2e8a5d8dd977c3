"""Nobody looks into the shared tables for nothing: what tells of changes, who waits for them, who writes."""

import threading
import time

import pytest
import sqlalchemy as sa

from tillbridge.engine.jobs import _Look
from tillbridge.store.service import open_service, service_url

EVERY = {("poll", "sales"): 60.0, ("sweep", ""): 0.0}


@pytest.fixture
def service(tmp_path):
    made = open_service(service_url(tmp_path, None))
    yield made
    made.close()


def test_a_change_is_told_once_to_each_who_asks(service):
    one, another = service.watch(), service.watch()
    assert [True, True] == [one.is_new(), another.is_new()], "nobody knows what was before"
    assert [False, False] == [one.is_new(), another.is_new()]

    service.set("colour", "blue")

    assert [True, False, True] == [one.is_new(), one.is_new(), another.is_new()]
    one.close()
    another.close()


def test_a_question_changes_nothing(service):
    changes = service.watch()
    changes.is_new()

    service.streams()
    service.setting("colour")

    assert not changes.is_new()
    changes.close()


def test_whoever_looks_waits_until_something_has_changed(service):
    look, looked = _Look(service.watch()), threading.Event()
    assert look.wait(0.001) is False, "the first look is for what was there before"
    waiting = threading.Thread(target=lambda: (look.wait(0.01), looked.set()))
    waiting.start()
    assert not looked.wait(0.2)

    service.set("colour", "blue")

    assert looked.wait(5)
    waiting.join()
    look.set()
    assert look.wait(60) is True, "and no more once the engine stops"


def test_the_next_due_time_is_that_of_whoever_may_be_claimed(service):
    service.plan_streams("shop", EVERY, 100.0)
    service.plan_streams("paused", EVERY, 50.0)
    service.plan_streams("stopped", EVERY, 10.0)
    assert 10.0 == service.next_due()

    service.stop("stopped", "on holiday", 0.0)
    service.pause_streams("paused", "poll", None, paused=True)
    assert 100.0 == service.next_due()

    with service.begin() as c:
        service.claim_due(c, 100.0, 10)
    assert service.next_due() is None, "what is queued is due no more"


def test_what_rests_is_known_by_name_and_its_end_by_its_moment(service):
    service.plan_streams("shop", EVERY, 100.0)
    assert (frozenset(), 0.0) == (service.rested("shop").paused, service.rested("shop").resumed_at)

    service.pause_streams("shop", "poll", "sales", paused=True)
    assert frozenset({"sales"}) == service.rested("shop").paused

    service.pause_streams("shop", "poll", "sales", paused=False, now=200.0)
    assert (frozenset(), 200.0) == (service.rested("shop").paused, service.rested("shop").resumed_at)

    service.stop("shop", "on holiday", 300.0)
    service.go_on("shop", 400.0)
    assert 400.0 == service.rested("shop").resumed_at
    assert 0.0 == service.rested("another").resumed_at


def test_many_threads_write_one_after_the_other(service):
    """Left to SQLite they would look again and again, and whoever has no luck waits in vain."""
    waits: list[float] = []

    def write(number):
        for _ in range(10):
            begun = time.monotonic()
            with service.begin() as c:
                c.execute(sa.text("INSERT OR REPLACE INTO setting VALUES (:name, '1')"), {"name": number})
            waits.append(time.monotonic() - begun)

    threads = [threading.Thread(target=write, args=(str(n),)) for n in range(30)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert 300 == len(waits)
    assert max(waits) < 20


def test_a_transaction_that_fails_lets_the_next_one_write(service):
    with pytest.raises(ZeroDivisionError), service.begin() as c:
        c.execute(sa.text("INSERT INTO setting VALUES ('colour', '1')"))
        _ = 1 / 0

    writing = threading.Thread(target=service.set, args=("colour", "blue"))
    writing.start()
    writing.join(5)

    assert "blue" == service.setting("colour")


def test_what_need_not_survive_a_power_cut_is_seen_by_all_at_once(service):
    service.plan_streams("shop", EVERY, 100.0)

    with service.begin(lasting=False) as c:
        (claimed, *_) = service.claim_due(c, 100.0, 10)

    assert claimed.job in {each.job for each in service.streams("shop") if each.queued}
    begun = service.began(claimed, 101.0)
    assert begun is not None
    assert (claimed.job, 101.0) == (begun.job, begun.began_at)

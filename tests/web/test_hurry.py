"""Somebody who presses is told at once what is true: that a remote does not answer, or who has the turn."""

import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest
from web_shop import Shop

from tillbridge.actions import Actions
from tillbridge.engine.jobs import Jobs
from tillbridge.model.errors import Busy, Transient
from tillbridge.setup.customers import not_offered
from tillbridge.store.service import DOWN, Ended
from tillbridge.views.roll import Roll
from tillbridge.views.sides import sides

PATIENCE_SECONDS = 10.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with ExitStack() as stack:
        yield Shop(tmp_path_factory.mktemp("home"), stack)


@pytest.fixture
def served(shop):
    """A connection whose streams the service has planned."""
    now = shop.now()
    shop.service.plan_streams("default", {("poll", "sales"): 60.0, ("sweep", ""): 3_600.0}, now)
    yield shop
    shop.service.forget_streams("default")
    for server in (shop.world.till_server, shop.world.crm_server):
        server.faults.clear()


@pytest.mark.parametrize(
    ("side", "system", "press"),
    [
        pytest.param(
            "till", "Lightspeed", lambda act, _: act.preview("default"), id="a preview without the till"
        ),
        pytest.param(
            "crm", "Salesforce", lambda act, _: act.preview("default"), id="a preview without the CRM"
        ),
        pytest.param(
            "crm",
            "Salesforce",
            lambda act, shop: act.part("default", str(shop.ada), "Kim"),
            id="an unlinking",
        ),
        pytest.param(
            "crm",
            "Salesforce",
            lambda _, shop: not_offered(shop.console.setups, "default"),
            id="a page of the set-up that asks what the org can hold",
        ),
        pytest.param(
            "till",
            "Lightspeed",
            lambda _, shop: shop.console.fields.sheet("default", "customer"),
            id="a page of the set-up that shows real rows",
        ),
    ],
)
def test_a_remote_that_is_down_is_told_within_seconds(served, side, system, press):
    getattr(served.world, f"fail_{side}")("error", status=503, times=1_000)
    begun = served.clock.monotonic()
    with pytest.raises(Transient) as told:
        press(served.console.actions, served)

    assert served.clock.monotonic() - begun < PATIENCE_SECONDS
    assert system in str(told.value)


def test_a_remote_that_stumbles_once_is_asked_again(served):
    served.world.fail_crm("error", status=503, times=1)

    assert served.console.actions.preview("default").unchanged >= 0


@pytest.fixture
def busy(served):
    """Somebody at work with the connection, until the test is over."""
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with served.console.actions.holding.opened("default"):
            entered.set()
            leave.wait(30)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert entered.wait(10)
    yield served
    leave.set()
    holder.join()


def down(shop, why):
    """Let the service have polled a remote that does not answer."""
    with shop.service.begin() as c:
        (poll,) = [each for each in shop.service.claim_due(c, shop.now() + 1, 10) if each.kind == "poll"]
    job = ("default", "poll", "sales", poll.gen)
    shop.service.began(job, shop.now())
    shop.service.ended(job, Ended(outcome=DOWN, next_in=60.0, why=why, failed=True), shop.now())


def test_whoever_does_not_get_the_turn_is_told_who_has_it_and_what_is_down(busy):
    down(busy, "Lightspeed does not answer (connection refused).")
    with pytest.raises(Busy) as told:
        busy.console.actions.preview("default")

    assert "somebody in the console is at it" in str(told.value)
    assert "because a remote does not answer: Lightspeed does not answer" in str(told.value)


def test_another_console_says_that_the_turn_is_elsewhere(busy):
    jobs = Jobs(busy.service)
    other = Actions(busy.folder, busy.service, jobs, busy.clock, {})
    down(busy, "Salesforce does not answer.")
    try:
        with pytest.raises(Busy) as told:
            other.drop("default", 1)
    finally:
        other.close()
        jobs.stop(0)

    assert "another console is at it" in str(told.value)


def test_a_side_that_the_polls_do_not_reach_is_shown_with_the_reason(served):
    down(served, "Salesforce does not answer (connection refused).")
    books = served.library.books("default")

    assert [
        ("Lightspeed", True, None),
        ("Salesforce", False, "Salesforce does not answer (connection refused)."),
    ] == [(each.system, each.connected, each.why) for each in sides(books)]
    assert served.signed_in("viewer").get("/c/default").text.count("does not come through") >= 1


class Reading(Roll):
    """A roll that has not read anybody yet, as right after a start."""

    def refresh(self):
        pass


def test_nothing_is_counted_while_everybody_is_still_being_read(shop):
    books = shop.library.books("default")
    roll = Reading(books.state, books.people, books.arrivals, books.clock)
    ends = shop.console.open_ends(replace(books, name="restarted", roll=roll))

    assert (0, None, None) == (ends["problems"], ends["reviews"], ends["conflicts"])

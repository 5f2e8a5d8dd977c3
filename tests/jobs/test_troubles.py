"""What a service does while something is wrong: who is told, who waits, and what stays in force."""

import socket
import time
from collections import Counter

import pytest
from aiosmtpd.controller import Controller
from served_shop import Shop
from world import World

from tillbridge.engine.backfill import mark_start
from tillbridge.engine.jobs import BACKFILL, LANES, Job
from tillbridge.engine.room import DESPITE
from tillbridge.model.errors import Busy, GiveWay, Transient
from tillbridge.simulators.salesforce import limits
from tillbridge.simulators.salesforce.oauth import revoke_sessions
from tillbridge.turns import Pauses, Turn, Turns
from tillbridge.wiring import open_home

HALTED = "The first load needs about"


class Office:
    """Takes every mail."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  aiosmtpd's name.
        self.mails.append(envelope.content.decode())
        return "250 taken"


@pytest.fixture
def office():
    made = Office()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        made.port = probe.getsockname()[1]
    controller = Controller(made, hostname="127.0.0.1", port=made.port)
    controller.start()
    yield made
    controller.stop()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path).install()
    made.shop("High Street", "Europe/London")
    made.employee("Kim", "Seller")
    yield made
    made.close()


@pytest.fixture
def served(world):
    """Serves the world, from the moment on that the test says."""
    made = []

    def serve():
        made.append(Shop(world))
        return made[-1]

    yield serve
    for each in made:
        each.close()


def to(office):
    return (
        f'[alerts]\nemail_to = ["ops@shop.example"]\nemail_from = "tillbridge@shop.example"\n'
        f'smtp_host = "127.0.0.1"\nsmtp_port = {office.port}\nsmtp_security = "none"'
    )


# --- a login that is refused ---------------------------------------------------------------------


@pytest.mark.parametrize("was_read", [True, False], ids=["after a good time", "from the very first day"])
def test_a_refused_login_is_told_by_mail_without_any_login(world, served, office, was_read):
    world.configure(toml=to(office))
    shop = served()
    if was_read:
        shop.run_due()
    world.fail_crm("status", "/token", status=400, body='{"error":"invalid_client"}', times=None)
    revoke_sessions(world.org)
    shop.workshop.close()
    shop.pass_time(hours=1)

    assert {"done"} == {outcome for name, outcome in shop.outcomes if name == "notify"}
    assert any("Salesforce" in mail for mail in office.mails), "it names who refused"


# --- a history that does not fit -----------------------------------------------------------------


@pytest.fixture
def full(world, monkeypatch):
    """An org without any room, and a till with a history."""
    monkeypatch.setattr(limits, "DATA_STORAGE_MEGABYTES", 0)
    world.ring(world.item(), customer=world.customer("Ana", "Silva"))
    return world


def test_serve_does_not_bring_in_a_history_that_does_not_fit(full, served):
    shop = served()
    shop.pass_time(hours=2)

    polled = shop.stream("sales")
    assert [] == full.all_rows("Sales_Transaction__c")
    assert ("halted", HALTED) == (polled.outcome, polled.why[: len(HALTED)])
    assert shop.workshop._open["default"].parts.crm.calls_by_endpoint["limits"] <= 3


def test_it_comes_in_when_a_person_says_so(full, served):
    shop = served()
    shop.run_due()
    with full.remembered() as state, state.begin() as c:
        state.keep(c, DESPITE, True)
    shop.pass_time(hours=1)

    assert 1 == len(full.all_rows("Sales_Transaction__c"))


def test_behind_a_marked_start_news_come_in_and_the_history_does_not(full, served):
    full.pass_time(minutes=20)
    with full.connected() as connection:
        mark_start(connection)
    shop = served()
    shop.service.wish("default", "backfill", None, shop.now)
    shop.run_due()
    sale = full.ring(full.item())
    shop.pass_time(hours=2)

    assert [f"190001-S{sale}"] == list(full.rows("Sales_Transaction__c"))
    halted = {name: shop.stream(name).outcome for name in ("backfill", "sweep", "certify", "cross-check")}
    assert {"halted"} == set(halted.values()), halted


# --- a remote that is down -----------------------------------------------------------------------


def test_while_a_remote_is_down_only_polls_hang_on_it(world, served):
    shop = served()
    shop.run_due()
    shop.pass_time(hours=1)
    world.fail_till("status", "", status=503, times=None)
    asked, outcomes = Counter(), Counter()
    plain = shop.workshop.work

    def work(job):
        before = sum(shop.spent())
        answer = plain(job)
        outcomes[job.kind, answer["outcome"]] += 1
        asked[job.kind] += sum(shop.spent()) > before
        return answer

    shop.workshop.work = work
    shop.pass_time(hours=2)
    waiting = {kind for kind, (queue, _) in LANES.items() if queue is BACKFILL}

    assert asked["poll"] > 10, "somebody finds out when it is back"
    assert sum(asked[kind] for kind in waiting) <= 2 * len(waiting), asked
    told = shop.stream("sales")
    assert ("remote down", True) == (told.outcome, "Lightspeed" in told.why)
    assert told.next_due - shop.now <= 720
    assert told.fails > 3


def test_when_a_remote_is_back_everything_goes_on_at_once(world, served):
    shop = served()
    shop.run_due()
    world.fail_till("status", "", status=503, times=None)
    shop.pass_time(hours=2)
    world.till_server.faults.clear()
    shop.service.wish("default", "poll", "sales", shop.now)
    shop.run_due()

    assert [] == [s.name or s.kind for s in shop.service.streams() if s.outcome == "remote down"]


class Service:
    """Leases that somebody else holds; counts how often they were asked for."""

    asked = 0

    def take_lease(self, *_, **__):
        self.asked += 1


def test_what_is_put_off_holds_no_place_in_the_queue():
    service = Service()
    turns = Turns(service, "one", 30.0)

    with pytest.raises(Busy), turns.take("a", None, hurry=False):
        pytest.fail("it had a turn")
    assert 1 == service.asked


def test_what_is_put_off_again_and_again_asks_less_often(world, served):
    shop = served()
    shop.run_due()
    waits = []
    token = shop.service.take_lease("default", "another", 1e6, hurry=True)
    for _ in range(4):
        shop.slice("sweep")
        waits.append(round(shop.stream("sweep").next_due - shop.now))
    shop.service.give_back("default", token)

    assert [2, 4, 8, 8] == waits


def test_whose_retries_are_ended_for_others_says_what_the_remote_said(world):
    """The slice's time is over while it waits for a next try: it met a failure all the same."""
    turn = Turn(None, "a", 1, time.monotonic() + 1_000, in_hurry=False)
    turn.began -= 60
    pauses = Pauses(world.clock)
    pauses.turn = turn
    with pytest.raises(GiveWay):
        pauses.sleep(1)
    world.fail_till("status", "", status=503, times=None)
    world.fail_crm("status", "", status=503, times=None)
    parts = open_home(world.home, clock=pauses)
    for ask in (lambda: parts.till.count("sales"), parts.crm.limits):
        with pytest.raises(Transient):
            ask()
    parts.close()


# --- files that cannot be read -------------------------------------------------------------------


def test_a_configuration_that_cannot_be_read_leaves_the_last_good_one_in_force(world, served):
    shop = served()
    shop.run_due()
    config = world.home / "tillbridge.toml"
    before = config.read_text()
    config.write_text(f"oops = = 1\n{before}")
    shop.slice("sales")
    while_broken = shop.stream("sales").outcome
    config.write_text(before)
    shop.slice("sales")

    assert ("done", "done") == (while_broken, shop.stream("sales").outcome)


def test_who_works_beside_a_load_goes_by_the_last_good_one_as_well(world, served):
    """The load stands still and has the connection in hand; what cannot be read must not stop the polls."""
    shop = served()
    shop.run_due()
    in_hand = shop.workshop._open["default"]
    in_hand.door.turn = Turn(None, "default", 1, time.monotonic() + 1_000, in_hurry=False)
    config = world.home / "tillbridge.toml"
    config.write_text(f"oops = = 1\n{config.read_text()}")
    sale = world.ring(world.item())
    shop.slice("sales")
    in_hand.door.turn = None

    assert "done" == shop.stream("sales").outcome
    assert f"190001-S{sale}" in world.rows("Sales_Transaction__c")


def test_of_a_folder_that_is_gone_nothing_is_forgotten_and_it_is_looked_for(world, served):
    shop = served()
    shop.run_due()
    (world.home / "tillbridge.toml").rename(world.home / "elsewhere")
    answer = shop.workshop.work(Job(connection="default", kind="force", gen="x", wanted={"customer": ["1"]}))
    shop.slice("sales")
    gone = shop.stream("sales")
    (world.home / "elsewhere").rename(world.home / "tillbridge.toml")
    shop.slice("sales")

    assert ("gone", True) == (gone.outcome, gone.next_due - shop.now < 10)
    assert "halted" == answer["outcome"]
    assert "done" == shop.stream("sales").outcome

"""Budgets in the service, over both simulators: who goes on and who waits when calls are short."""

from datetime import datetime

import msgspec
import pytest
from served_shop import Shop
from structlog.testing import capture_logs
from world import World

from tillbridge.engine.jobs import Job, why_not
from tillbridge.setup.checks import checks
from tillbridge.spending import Kept, standings
from tillbridge.store import freshness
from tillbridge.store.notices import Notices

OPEN = '[schedule]\nopening_hours = ["Mon-Sun 00:00-24:00"]\n'
OBJECTIVE = 120.0


def make(home):
    world = World(home).install()
    world.shop("High Street", "Europe/London")
    world.employee("Kim", "Seller")
    return world


@pytest.fixture
def world(tmp_path):
    made = make(tmp_path)
    yield made
    made.close()


@pytest.fixture
def shop(world):
    world.configure(toml=OPEN)
    made = Shop(world)
    made.run_due()
    world.pass_time(hours=25)  # What setting up has spent is no part of the day.
    made.run_due()
    yield made
    made.close()


def spent(service, now, lane=None, name="calls"):
    """Return what stands in the books of the CRM's calls: of a lane, or altogether."""
    lanes = ("urgent", "sales", "customers", "catalog", "sweep", "backfill")
    total = 0.0
    for key, row in service.budgets().items():
        if key.startswith("crm") and key.endswith(name):
            for slot in msgspec.json.decode(row, type=Kept).state.spent["day"]:
                for line in slot.spent.values():
                    total += sum(line) if lane is None else line[lanes.index(lane)]
    return total


def called(world):
    return world.org.usage.by_route.total()


def delays(world):
    with world.opened() as parts:
        return [each.seconds for each in freshness.since(parts.state, 0) if each.kind == "sale"]


def test_a_day_at_a_third_of_what_is_wanted_keeps_every_receipt_in_time(shop):
    """Two hours, a sale every four minutes, people asked every minute, sweeps, and a load that waits."""
    world = shop.world
    item = world.item()
    shop.run_due()
    rung = []
    events = [(60 + 240 * n, lambda: rung.append(world.ring(item))) for n in range(29)]
    short = f"{OPEN}customers_seconds = 60\nsweeps_a_day = 200\n[budget]\nsalesforce_calls_a_day = 85\n"
    world.configure(toml=short)
    shop.plan()
    shop.service.wish("default", "backfill", "", shop.now)
    before = called(world)

    shop.pass_time(2, events)

    took = delays(world)
    assert 29 == len(rung) == len(took)
    assert max(took) <= OBJECTIVE
    assert called(world) - before <= 85
    assert spent(shop.service, shop.now) <= 85
    # Whoever is lower has had less, and says until when it waits.
    assert spent(shop.service, shop.now, "sales") >= 29
    assert spent(shop.service, shop.now, "backfill") <= 5
    assert shop.stream("backfill").limited(shop.now)
    assert "limit" == shop.stream("customers").outcome or shop.stream("customers").every < 100
    assert 0 == shop.outcomes["sales", "limit"]
    assert {} == {state: n for state, n in world.states().get("sale", {}).items() if state == "problem"}


def test_what_another_app_uses_is_noticed_and_obeyed_and_its_end_too(shop):
    world = shop.world
    shop.slice("customers")
    world.org.usage.used_by_others = world.org.usage.daily_max - world.org.usage.used() - 1_000
    shop.slice("customers")  # Its answer tells.
    before = called(world)
    for _ in range(5):
        shop.slice("customers")

    paused = shop.stream("customers")
    assert "limit" == paused.outcome
    assert "most of them by other apps" in paused.why
    assert paused.limited(shop.now)
    assert 0 == called(world) - before
    world.org.usage.used_by_others = 0
    world.pass_time(minutes=16)
    shop.run_due()
    assert "done" == shop.stream("customers").outcome


def fill(shop):
    """Let another app use up what is left of the org's day, and the service hear of it."""
    usage = shop.world.org.usage
    usage.used_by_others = usage.daily_max - usage.used() - 1_000
    shop.slice("customers")  # Its answer tells.


def forced(shop, customer, gen="x"):
    """Send a customer as somebody does who waits; return the answer, and its calls by endpoint."""
    crm = shop.workshop._open["default"].parts.crm
    before = crm.calls_by_endpoint.copy()
    job = Job(connection="default", kind="force", gen=gen, wanted={"customer": [str(customer)]})
    return shop.workshop.work(job), dict(crm.calls_by_endpoint - before)


def test_a_forced_customer_goes_as_soon_as_another_app_has_ended(shop):
    """What was told a while ago would let them wait: the org is asked first, and all that waits goes on."""
    world = shop.world
    customer = world.customer("Ana", "Silva")
    fill(shop)
    shop.slice("customers")
    assert shop.stream("customers").limited(shop.now)
    world.org.usage.used_by_others = 0
    world.pass_time(minutes=2)

    answer, calls = forced(shop, customer)

    assert [("sent", str(customer))] == [(each["outcome"], each["id"]) for each in answer["records"]]
    assert 1 == calls["limits"]
    assert not shop.stream("customers").limited(shop.now), "what else has waited is due again"


def test_the_till_is_told_whether_a_person_waits(shop):
    spending = shop.workshop._open["default"].parts.spending
    found = {}
    for lane in ("urgent", "sales"):
        spending.begin(lane)
        found[lane] = spending.till.urgent
    assert {"urgent": True, "sales": False} == found


def test_while_another_app_goes_on_the_org_is_asked_once_a_minute_for_those_who_wait(shop):
    customer = shop.world.customer("Ana", "Silva")
    fill(shop)
    asked = []
    for number in range(6):
        shop.world.pass_time(minutes=0.5)
        answer, calls = forced(shop, customer, gen=f"x{number}")
        asked.append(calls)

    assert "limit" == answer["outcome"]
    assert [{}, {"limits": 1}] * 3 == asked


def test_who_waits_for_calls_is_told_until_when_and_why_and_it_is_no_failure(shop):
    customer = shop.world.customer("Ana", "Silva")
    fill(shop)
    with capture_logs() as lines:
        answer, _ = forced(shop, customer)
    (told,) = [each for each in lines if each["event"] == "slice ended"]

    assert "limit" == answer["outcome"]
    assert 0 < answer["retry_after"] <= 60
    until = datetime.fromisoformat(answer["until"]).timestamp()
    assert until == pytest.approx(shop.now + answer["retry_after"], abs=1)
    assert answer["why"].startswith("Salesforce calls of a day: 104,0")
    assert answer["why"].endswith("it goes on at 16:01 UTC")
    assert f"It waits for API calls: {answer['why']}. Nothing is lost; send it again then." == why_not(answer)
    assert ("limit", answer["why"]) == (told["outcome"], told["why"])
    with shop.world.opened() as parts:
        assert "limit" == parts.journal.last_runs(1)[0].outcome


def test_doctor_goes_by_what_the_org_says_now(shop):
    world = shop.world
    fill(shop)
    world.pass_time(minutes=2)
    while_full = {check.what: check for check in checks(world.home, clock=world.clock)}
    world.org.usage.used_by_others = 0
    world.pass_time(minutes=2)
    afterwards = {check.what: check for check in checks(world.home, clock=world.clock)}

    assert ("fail", "later") == (while_full["limits"].level, while_full["limits"].blame)
    assert "ok" == afterwards["DailyApiRequests"].level


def test_a_raised_limit_works_without_restart(shop):
    world = shop.world
    world.configure(toml=f"{OPEN}[budget]\nsalesforce_calls_a_day = 7\n")
    shop.plan()
    for _ in range(9):
        shop.slice("customers")
    assert shop.stream("customers").limited(shop.now)
    customer = world.customer("Ana", "Silva")
    world.configure(toml=f"{OPEN}[budget]\nsalesforce_calls_a_day = 500\n")

    shop.plan()
    shop.run_due()

    assert "done" == shop.stream("customers").outcome
    assert "settled" == world.standing("customer", customer)


def test_a_forced_customer_goes_when_everybody_else_has_to_wait(shop):
    """Polls have spent all that is theirs; what is kept for people is there."""
    world = shop.world
    world.configure(toml=f"{OPEN}[budget]\nsalesforce_calls_a_day = 40\n")
    shop.plan()
    for _ in range(45):
        shop.slice("customers")
    assert shop.stream("customers").limited(shop.now)
    customer = world.customer("Ana", "Silva")

    answer = shop.workshop.work(
        Job(connection="default", kind="force", gen="x", wanted={"customer": [str(customer)]})
    )

    assert [("sent", str(customer))] == [(each["outcome"], each["id"]) for each in answer["records"]]


def test_a_run_at_the_command_line_draws_on_the_same_budget(shop):
    world = shop.world
    shop.slice("customers")
    before = spent(shop.service, shop.now)

    world.sync()
    made = world.calls[1]

    assert made == spent(shop.service, shop.now) - before > 0


def test_what_is_left_is_shown_by_quota_and_window(shop):
    shop.slice("customers")

    found = {(each.name.split(" ")[0], each.window): each for each in standings(shop.service, shop.now)}

    assert 105_000 * 0.4 == found["crm", "day"].cap
    assert found["crm", "day"].left == found["crm", "day"].cap - found["crm", "day"].spent
    assert 0 < found["till", "bucket"].left <= found["till", "bucket"].cap


def test_a_slice_costs_one_change_of_the_books_for_each_side_it_calls(shop):
    """Most polls make one call: counting it must not cost more than making it."""
    changes = []
    kept = shop.service.change_budget
    books = shop.workshop._books
    books._service = Counting(shop.service, kept, changes)
    shop.slice("sales")

    assert 1 == len(changes)


class Counting:
    """Shared tables that remember which quotas were changed."""

    def __init__(self, service, kept, changes):
        self._kept, self._changes, self.close = kept, changes, service.close

    def change_budget(self, name, change):
        self._changes.append(name)
        return self._kept(name, change)


def test_three_connections_into_one_org_never_exceed_it_together(world):
    """Each has a day of 30 calls in mind; so has the org's budget, which they share."""
    base = world.home
    text = (base / "tillbridge.toml").read_text(encoding="utf-8")
    homes = {}
    for name in ("one", "two", "three"):
        home = base / "connections" / name
        home.mkdir(parents=True)
        (home / "tillbridge.toml").write_text(
            f"{text}\n{OPEN}customers_seconds = 60\n[budget]\nsalesforce_calls_a_day = 30\n", encoding="utf-8"
        )
        homes[name] = home
    (base / "tillbridge.toml").unlink()
    world.pass_time(hours=25)
    shop = Shop(world, homes)
    before = called(world)
    try:
        shop.pass_time(1)
        spent_each = [
            s.outcome for name in homes for s in shop.service.streams(name) if s.name == "customers"
        ]
    finally:
        shop.close()

    assert called(world) - before <= 30
    assert "limit" in spent_each


def test_a_load_goes_slower_while_the_shop_is_open(shop):
    """Forty pages of the till's, at an hour when customers are in the shop and at one when nobody is."""
    took = {}
    for name, busy in (("open", True), ("closed", False)):
        shop.slice("sales")
        shop.world.pass_time(hours=1)
        spending = shop.workshop._open["default"].parts.spending
        spending.begin("backfill", busy=busy)
        begun = shop.now
        for _ in range(40):
            spending.till.take(2.6)
        took[name] = shop.now - begun
        spending.settle()

    assert took["open"] > 1.5 * took["closed"]


def test_whom_a_receipt_names_is_read_again_where_nobody_has_looked_for_long(shop):
    """The poll of customers rests: a new address is there with the next receipt all the same, for one GET."""
    world = shop.world
    customer, item = world.customer("Ana", "Silva", email="old@mail.example"), world.item()
    for name in ("products", "customers"):
        shop.slice(name)
    world.pass_time(minutes=30)
    world.edit_customer(customer, email="new@mail.example")
    world.ring(item, customer=customer)
    with_news = shop.slice("sales")
    world.ring(item, customer=customer)
    again = shop.slice("sales")

    assert "new@mail.example" == world.crm_row(world.known("customer", customer).crm_id)["PersonEmail"]
    assert (2, 1) == (with_news[0], again[0])


def test_a_replay_is_a_job_of_its_own_and_says_what_became_of_the_receipt(shop):
    sale = shop.world.ring(shop.world.item())
    job = Job(connection="default", kind="replay", gen="x", wanted={"sale": [str(sale)]})

    answer = shop.workshop.work(job)

    assert [("sent", str(sale))] == [(each["outcome"], each["id"]) for each in answer["records"]]
    with shop.world.opened() as parts:
        assert "replay" == parts.journal.last_runs(1)[0].job


def test_a_closed_shop_is_no_silent_one(shop):
    """Nobody is told of polls that are ten minutes apart on purpose."""
    shop.world.configure(toml='[schedule]\nopening_hours = ["Sun 03:00-04:00"]\n')
    shop.slice("sales")
    with shop.world.opened() as parts:
        pulses = {each.stream: each.interval_seconds for each in Notices(parts.state, parts.vault).pulses()}

    assert 600 == pulses["sales"]

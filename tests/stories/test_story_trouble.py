"""When things go wrong: nothing lost, nothing twice, and nobody held up by somebody else's trouble."""

import pytest
from world import QUIET, key

from tillbridge.engine.sync import sync
from tillbridge.model.errors import Halted, LimitReached, Transient
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.retailer import Plan
from tillbridge.simulators.salesforce import oauth


@pytest.fixture
def shop(world):
    world.ring_item = world.item("Ring", "100")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    world.pass_time(minutes=30)
    return world


def counts(world):
    """Count every row with a key of ours; a key that stands on two rows would be refused by the org."""
    return {
        name: len(world.all_rows(name))
        for name in (
            "Sales_Transaction__c",
            "Sales_Transaction_Line__c",
            "Sales_Payment__c",
            "Account",
            "Product2",
        )
    }


@pytest.mark.parametrize("kind", ["reset_after", "half_body", "reset_before"])
@pytest.mark.parametrize("door", ["composite", "jobs/ingest"])
def test_a_lost_answer_makes_no_second_row(found, kind, door):
    plan = Plan(seed=2, customers=20, sales=30, crm_share=0.2)
    calm, rough = found(plan=plan), found(plan=plan)
    calm.backfill()
    rough.fail_crm(kind, f"POST .*{door}|PUT .*{door}|PATCH .*{door}", every=2, times=4)
    for _ in range(6):
        try:
            rough.backfill()
            break
        except Transient:
            rough.pass_time(minutes=5)
    rough.crm_server.faults.clear()
    rough.backfill()

    assert counts(calm) == counts(rough)
    assert [] == rough.differences()


@pytest.mark.parametrize("kind", ["reset_after", "half_body"])
def test_a_live_sale_whose_answer_is_lost_lands_once(shop, kind):
    sale = shop.ring(shop.ring_item, customer=shop.anna)
    shop.fail_crm(kind, "POST .*composite")
    shop.sync()

    assert (0, 1) == shop.suffered()
    assert 1 == len(shop.rows("Sales_Transaction__c")) == len(shop.all_rows("Sales_Transaction__c"))
    assert "settled" == shop.standing("sale", sale)
    assert [] == shop.differences()


SHORT_OUTAGES = [
    ("till", {"kind": "status", "status": 503}),
    ("till", {"kind": "status", "status": 429, "body": "{}", "headers": {"Retry-After": "7"}}),
    ("till", {"kind": "status", "status": 502, "body": ""}),
    ("till", {"kind": "half_body"}),
    ("till", {"kind": "reset_before"}),
    ("crm", {"kind": "status", "status": 503}),
    ("crm", {"kind": "status", "status": 502, "body": "<html>Bad Gateway</html>"}),
    ("crm", {"kind": "reset_before"}),
]


def test_a_short_outage_is_sat_out(shop):
    for side, fault in SHORT_OUTAGES:
        sale = shop.ring(shop.ring_item, customer=shop.anna)
        doors = {"till": (shop.fail_till, "/Sale.json"), "crm": (shop.fail_crm, "composite")}
        fail, match = doors[side]
        fail(match=match, times=2, **fault)
        shop.sync()
        assert "settled" == shop.standing("sale", sale), fault

    assert (2 * 5, 2 * 3) == shop.suffered()
    assert [] == shop.differences()


@pytest.mark.parametrize("side", ["till", "crm"])
def test_a_long_outage_ends_the_run_and_the_next_one_goes_on(shop, side):
    sale = shop.ring(shop.ring_item, customer=shop.anna)
    match = "/Sale.json" if side == "till" else "composite"
    (shop.fail_till if side == "till" else shop.fail_crm)("status", match, times=None)
    with pytest.raises(Transient):
        shop.sync()
    assert {} == shop.rows("Sales_Transaction__c")

    shop.till_server.faults.clear()
    shop.crm_server.faults.clear()
    shop.sync()
    assert "settled" == shop.standing("sale", sale)


def test_sessions_that_end_in_the_middle_are_renewed(shop):
    with shop.connected() as connection:
        shop.ring(shop.ring_item)
        sync(connection)
        oauth.revoke_sessions(shop.org)
        shop.pass_time(hours=3)  # the till's token has run out too
        shop.ring(shop.ring_item)
        sync(connection)

    assert 2 == len(shop.rows("Sales_Transaction__c"))


def test_the_tills_tokens_rotate_and_the_newest_pair_is_used(shop):
    for _ in range(3):
        shop.pass_time(hours=2)
        shop.ring(shop.ring_item)
        shop.sync()

    assert 3 == len(shop.rows("Sales_Transaction__c"))
    assert [] == shop.differences()


def test_a_lost_answer_to_a_token_refresh_does_not_lock_us_out(shop):
    shop.pass_time(hours=2)
    shop.fail_till("reset_after", "POST .*oauth/token")
    sale = shop.ring(shop.ring_item)
    for _ in range(3):
        try:
            shop.sync()
            break
        except Transient:
            shop.pass_time(minutes=1)

    assert "settled" == shop.standing("sale", sale)


@pytest.mark.parametrize("calls_left", [2, 6, 13])
def test_a_daily_limit_in_mid_backfill_stops_it_and_the_next_day_it_completes(found, calls_left):
    plan = Plan(seed=2, customers=30, sales=60)
    world = found(plan=plan)
    with world.connected(history=True):
        pass
    world.org.usage.daily_max = world.org.usage.used() + calls_left
    with pytest.raises(LimitReached) as stopped:
        world.backfill()
    assert "Salesforce" in str(stopped.value)

    world.org.usage.daily_max = 100_000
    world.pass_time(hours=25)
    world.backfill()
    assert [] == world.differences()
    assert {} == {kind: n for kind, states in world.states().items() if (n := states.get("problem"))}


def test_a_limit_of_all_calls_is_said_in_one_sentence(shop):
    shop.org.usage.daily_max = 0
    shop.ring(shop.ring_item)
    with pytest.raises(LimitReached) as stopped:
        shop.sync()
    assert 1 == len(str(stopped.value).splitlines())


@pytest.mark.parametrize("how", ["sync", "backfill"])
def test_a_refused_sale_is_a_problem_and_holds_up_nobody(found, how):
    world = found()
    item = world.item("Ring", "100")
    if how == "sync":
        world.backfill()
    world.refuse("Sales_Transaction__c", "Total__c", 540.0, message="too dear for us")
    good, bad, after = world.ring(item), world.ring((item, 5, None)), world.ring(item)
    getattr(world, how)()

    assert {key("sale", good), key("sale", after)} == set(world.rows("Sales_Transaction__c"))
    assert ["settled", "problem", "settled"] == [world.standing("sale", s) for s in (good, bad, after)]
    [problem] = world.problems()
    assert ("sale", str(bad), "Sales_Transaction__c", "Total__c") == (
        problem.kind,
        problem.till_id,
        problem.object,
        problem.fields,
    )
    assert "too dear for us" in problem.message
    world.sync()
    assert [] == [row for row in world.problems() if row.attempts > 1], "not before its time"

    world.org.validations.clear()
    world.pass_time(hours=4)
    world.sync()
    assert [] == world.problems()
    assert "settled" == world.standing("sale", bad)
    assert (1, 1) == (len(world.lines_of(bad)), len(world.payments_of(bad)))
    assert [] == world.differences()


def test_a_refused_line_leaves_the_rest_of_its_sale_in_place(shop):
    other = shop.item("Brooch", "30")
    shop.refuse("Sales_Transaction_Line__c", "Total__c", 32.4, message="no brooches")
    sale = shop.ring(shop.ring_item, other)
    shop.sync()

    assert ["Ring"] == [row["Description__c"] for row in shop.lines_of(sale)]
    assert 1 == len(shop.payments_of(sale))
    assert ("problem", True) == (shop.standing("sale", sale), "no brooches" in shop.why("sale", sale))

    shop.org.validations.clear()
    shop.force(sales=[sale])
    assert ["Ring", "Brooch"] == [row["Description__c"] for row in shop.lines_of(sale)]
    assert ([], "settled") == (shop.problems(), shop.standing("sale", sale))


def test_a_refused_customer_leaves_the_receipt_unlinked_until_it_is_accepted(shop):
    shop.refuse("Account", "LastName", "Lund", message="no Lunds")
    bo = shop.customer("Bo", "Lund", email="bo@lund.example")
    sale = shop.ring(shop.ring_item, customer=bo)
    shop.sync()

    assert ("problem", "waiting") == (shop.standing("customer", bo), shop.standing("sale", sale))
    assert shop.sale_row(sale).get("Account__c") is None

    shop.org.validations.clear()
    shop.pass_time(hours=4)
    shop.sync()
    shop.sync()
    assert ("settled", "settled") == (shop.standing("customer", bo), shop.standing("sale", sale))
    assert shop.row("Account", key("customer", bo))["Id"] == shop.sale_row(sale)["Account__c"]
    assert [] == shop.problems()


def test_a_row_that_somebody_else_is_writing_is_tried_again(shop):
    sale = shop.ring(shop.ring_item, customer=shop.anna)
    shop.sync()
    shop.org.lock_percent = 40.0
    shop.pass_time(minutes=1)
    for _ in range(4):
        shop.ring(shop.ring_item, customer=shop.anna)
    shop.floor.void(sale, "wrong")
    shop.sync()
    shop.org.lock_percent = 0.0
    shop.pass_time(hours=4)
    shop.sync()

    assert [] == shop.problems()
    assert [] == shop.differences()


def test_a_home_that_is_pointed_at_another_org_halts(found):
    world, other = found(), found()
    world.backfill()
    text = (world.home / "tillbridge.toml").read_text()
    other_org = text.replace(world.crm_server.url, other.crm_server.url)
    (world.home / "tillbridge.toml").write_text(other_org)
    other.org.id = other.org.id[:-6] + "999AAA"
    with pytest.raises(Halted, match="Salesforce org"):
        world.sync()


def test_people_whose_creation_was_never_heard_of_are_taken_up_as_what_they_are(shop):
    """The run that created them ends before their answer comes; the next one finds them under our key."""
    ann = shop.customer("Ann", "Visser", email="visser@mail.example")
    twin = shop.customer("Ann", "Visser", email="visser@mail.example", mobile="518-555-0147")
    bob = shop.customer("Bob", "Visser", email="visser@mail.example")
    shop.fail_crm("reset_after", "POST .*composite", times=None)
    with pytest.raises(Transient):
        shop.sync()
    shop.crm_server.faults.clear()
    shop.sync()

    known = shop.all_known("customer", (ann, twin, bob))
    assert known[str(ann)].crm_id == known[str(twin)].crm_id != known[str(bob)].crm_id
    rules = {i: shop.row("Customer_Identity__c", key("customer", i))["Rule__c"] for i in (ann, twin, bob)}
    assert {ann: "created", twin: "email", bob: "created"} == rules
    assert "+15185550147" == shop.crm_row(known[str(ann)].crm_id)["PersonMobilePhone"]
    shop.sync()
    assert QUIET == shop.calls[1]


# --- clocks ---------------------------------------------------------------------------------------------


def test_one_sale_stamped_in_the_future_hides_no_other(shop):
    ahead = shop.ring(shop.ring_item)
    shop.floor.edit("Sale", ahead, {"updatetime": "2027-11-20T15:00:00+00:00"})
    shop.sync()
    assert "settled" == shop.standing("sale", ahead)
    for _ in range(3):
        shop.pass_time(minutes=40)
        sale = shop.ring(shop.ring_item)
        shop.sync()
        assert "settled" == shop.standing("sale", sale)
    shop.pass_time(minutes=10)
    shop.sync()
    assert QUIET == shop.calls[1], "it is read again each time, and written once"


@pytest.mark.parametrize("hours", [1, -1], ids=["set forward, then back", "set back, then forward"])
def test_sales_come_across_whatever_the_tills_clock_is_set_to(shop, hours):
    """Nothing is lost between two of the till's answers, whatever time they say it is."""
    ours = shop.till_app.clock
    shop.till_app.clock = shop.till_app.world.clock = wrong = SimClock(ours.now(), running=False)
    sold = []
    for moved in (0, hours * 3600, 0, -hours * 3600, 0):
        wrong.set(wrong.now() + moved)
        sold.append(shop.ring(shop.ring_item))
        for clock in (ours, wrong):
            clock.advance(20 * 60)
        sold.append(shop.ring(shop.ring_item))
        shop.sync()
    assert {"settled"} == {one.state for one in shop.all_known("sale", sold).values()}
    assert len(sold) == len(shop.rows("Sales_Transaction__c"))

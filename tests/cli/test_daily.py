"""`certify --daily`: each store's day is proven once, after its own end, and people hear when it differs."""

import pytest

from tillbridge.store.days import Days


@pytest.fixture
def shop(found):
    """Two shops, one of them far ahead of the other; the first has rung something up on the 20th."""
    world = found()
    world.ring_id = world.item("Ring", "100")
    world.far = world.shop("Auckland", "Pacific/Auckland")
    world.cli("backfill")
    world.first = world.ring(world.ring_id)
    world.cli("sync")
    return world


def daily(world, *more):
    return world.cli("certify", "--daily", "--json", *more).document


def proven(world):
    with world.remembered() as state:
        return {store: str(day) for store, day in Days(state).proven().items()}


def told(world):
    with world.remembered() as state:
        return [(each.store, each.day, each.reasons) for each in Days(state).disagreeing()]


def test_each_store_is_proven_when_its_own_day_is_over_and_once(shop):
    here, far = sorted(proven_codes(shop))
    shop.wait_until("2026-11-20T20:00:00+00:00")  # past midnight in Auckland, afternoon at the first shop
    daily(shop)
    assert {here: "2026-11-19", far: "2026-11-20"} == proven(shop)
    assert "has its certificate already" in shop.cli("certify", "--daily").said

    shop.wait_until("2026-11-21T09:00:00+00:00")
    ran = shop.cli("certify", "--daily")
    assert (0, True) == (ran.status, "Both systems agree to the cent" in ran.said)
    assert {here: "2026-11-20", far: "2026-11-20"} == proven(shop)


def proven_codes(world):
    daily(world)
    return proven(world)


def test_a_machine_that_was_off_catches_up_with_a_week(shop):
    daily(shop)
    shop.pass_time(days=3)
    assert 3 + 1 == len(daily(shop)["certificates"]), "the shops are a day apart"
    shop.pass_time(days=30)
    assert 7 + 1 == len(daily(shop)["certificates"])


def test_a_day_that_differs_is_remembered_until_it_agrees(shop):
    daily(shop)
    shop.wait_until("2026-11-21T12:00:00+00:00")
    shop.cli("sync")
    shop.edit_in_crm(shop.sale_row(shop.first)["Id"], Total__c=99.0)
    ran = shop.cli("certify", "--daily", "--json")
    assert 1 == ran.status
    [(_, day, reasons)] = told(shop)
    assert ("2026-11-20", {"edited in Salesforce": 1}) == (day, reasons)

    assert 0 == shop.cli("certify", "--day", day, "--repair").status
    assert [] == told(shop)


def test_a_daily_run_may_repair_what_it_finds(shop):
    daily(shop)
    shop.wait_until("2026-11-21T12:00:00+00:00")
    shop.cli("sync")
    shop.edit_in_crm(shop.sale_row(shop.first)["Id"], Total__c=99.0)
    ran = shop.cli("certify", "--daily", "--repair")
    assert (0, [], 108.0) == (ran.status, told(shop), shop.sale_row(shop.first)["Total__c"])


def test_what_holds_the_proof_up_is_remembered_until_it_is_made(shop):
    shop.pass_time(days=2)
    shop.fail_crm("status", "/query", status=403, times=None)
    assert 0 != shop.cli("certify", "--daily").status
    with shop.remembered() as state:
        assert Days(state).held_up() is not None
    shop.crm_server.faults.clear()
    daily(shop)
    with shop.remembered() as state:
        assert Days(state).held_up() is None


def test_daily_goes_with_repair_alone(shop):
    ran = shop.cli("certify", "--daily", "--day", "2026-11-20")
    assert (2, True) == (ran.status, "--daily goes with --repair alone" in ran.said)

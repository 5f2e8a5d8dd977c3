"""`check` and `sweep`: what they print, how they end, what `status` says of them."""

import pytest


@pytest.fixture
def shop(found):
    """A shop where a void moves nothing and cannot be read, long after its sale was polled."""
    silent = {
        "updatetime_moves_on_void": False,
        "employee_rights": "employee:customers employee:register employee:inventory",
    }
    world = found(till=silent)
    item = world.item("Ring", "100")
    assert 0 == world.cli("backfill").status
    world.pass_time(minutes=30)
    world.sale = world.ring(item)
    world.sync()
    world.pass_time(hours=1)
    world.ring(item)
    world.sync()
    world.floor.void(world.sale, "wrong item")
    return world


def test_check_lists_what_it_has_found_and_carries_it_across(shop):
    ran = shop.cli("check")
    assert 0 == ran.status
    assert "1 change that the feed had missed, found and carried across:" in ran.said
    assert f"sale {shop.sale}: " in ran.said
    assert "Voided" == shop.sale_row(shop.sale)["Status__c"]

    again = shop.cli("check", "--nightly")
    assert (0, True) == (again.status, "The feed had missed nothing." in again.said)


def test_sweep_tells_the_same_as_a_document(shop):
    report = shop.cli("sweep", "--full", "--json").document
    assert ["sweep", 0] == [report["job"], report["status"]]
    [missed] = report["missed"]
    assert ("sale", str(shop.sale), "sweep") == (missed["kind"], missed["id"], missed["found_by"])
    assert report["checks"]["sweep"]["pages read again"] >= 3


def test_status_shows_how_old_each_kind_is_and_how_much_the_feed_has_missed(shop):
    shop.cli("sweep", "--full")
    shop.pass_time(hours=5)
    verified = shop.cli("status", "--json").document["verified"]
    assert 1 == verified["missed_by_the_feed"]
    assert {"sale", "product", "stock"} == verified["oldest"].keys()
    said = shop.cli("status").said
    assert "Longest unverified: sales 5 h ago" in said
    assert "The feed has missed 1 change so far." in said


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["sweep", "--calls", "0"], "--calls"),
        (["sweep", "--calls", "3", "--full"], "--calls and --full do not go together"),
        (["check", "--weekly"], "--weekly"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_two(shop, argv, sentence):
    ran = shop.cli(*argv)
    assert (2, True) == (ran.status, sentence in ran.said)


def test_a_till_that_is_down_is_status_75_and_nothing_is_lost(shop):
    shop.fail_till("status", "Sale.json", status=503, times=None)
    ran = shop.cli("sweep", "--full")
    assert (75, True) == (ran.status, "Nothing was lost" in ran.said)

"""The sweep tells what the till changed from what we write otherwise, and leaves to others what they need."""

import pytest

from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import sync
from tillbridge.store.verified import Verified


def swept(world, **wishes):
    with world.connected() as connection:
        sync(connection)
        return sweep(connection, **(wishes or {"full": True}))


def things(outcome):
    return sorted((each.kind, each.till_id) for each in outcome.missed)


@pytest.fixture
def shop(found):
    """A shop whose till keeps still about lines; two sales with a reference were carried across long ago."""
    world = found(till={"updatetime_moves_on_children": False})
    world.ring_item = world.item("Ring", "100")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.early = world.ring(world.ring_item, customer=world.anna)
    world.floor.edit("Sale", world.early, {"referenceNumber": "po-1"})
    world.backfill()
    world.pass_time(minutes=30)
    world.sale = world.ring(world.ring_item, customer=world.anna)
    world.floor.edit("Sale", world.sale, {"referenceNumber": "po-17"})
    world.sync()
    world.pass_time(hours=1)
    # The feed passes by what has happened: an hour goes by, and somebody else is sold something else.
    world.ring(world.item("Pearl", "12"), customer=world.customer("Bo", "Lund", email="bo@lund.example"))
    world.sync()
    return world


def references(world):
    return [world.sale_row(sale)["Reference_Number__c"] for sale in (world.early, world.sale)]


def test_what_the_field_map_writes_otherwise_was_not_missed(shop):
    shop.configure(toml='[map.sale]\nReference_Number__c = "reference | upper"')
    outcome = swept(shop)

    assert ([], 2) == (outcome.missed, outcome.counts["mapped anew"])
    assert ["PO-1", "PO-17"] == references(shop)
    with shop.opened() as parts:
        assert 0 == Verified(parts.state).count_missed()
    shop.pass_time(hours=1)
    assert ([], 0) == ((again := swept(shop)).missed, again.counts["mapped anew"])


def test_a_hidden_change_is_missed_also_when_the_field_map_has_changed(shop):
    shop.configure(toml='[map.sale]\nReference_Number__c = "reference | upper"')
    line = shop.till_row("Sale", shop.sale)["SaleLines"][0]
    shop.till_app.world["SaleLine"].change(line, unitQuantity=2)
    outcome = swept(shop)
    assert ([("sale", str(shop.sale))], 1) == (things(outcome), outcome.counts["mapped anew"])


@pytest.mark.parametrize(
    ("table", "line", "kind"),
    [
        ("customer", "Customer_Type__c = \"'VIP'\"", "Account"),
        ("product", "Description = \"'A thing'\"", "Product2"),
        ("stock", "Reorder_Point__c = \"''\"", "Inventory_Level__c"),
    ],
)
def test_a_new_line_of_the_map_for_other_kinds_is_no_change_of_the_till(shop, table, line, kind):
    shop.configure(toml=f"[map.{table}]\n{line}")
    assert [] == things(swept(shop)), kind


def test_a_hidden_change_of_a_product_is_missed_also_when_another_line_of_the_map_has_changed(shop):
    shop.configure(toml="[map.product]\nDisplayUrl = \"'https://shop.example'\"")
    item = shop.till_row("Item", shop.ring_item)
    item["description"] = "Band"
    assert ("product", str(shop.ring_item)) in things(swept(shop))


# --- budgets ------------------------------------------------------------------------------------------


def test_the_sweep_leaves_the_reserve_of_salesforces_calls_to_others_and_goes_on_later(shop):
    usage = shop.org.usage
    usage.used_by_others = round(usage.daily_max * 0.81)
    shop.ring(shop.ring_item)
    outcome = swept(shop, full=True)
    assert 0 == outcome.counts["pages read again"]
    assert "The sweep stops here: Salesforce has " in outcome.stopped
    assert "20% of them are kept for others" in outcome.stopped

    usage.used_by_others = 0
    outcome = swept(shop, full=True)
    assert (None, True) == (outcome.stopped, outcome.counts["pages read again"] >= 3)


def test_the_reserve_is_a_setting(shop):
    usage = shop.org.usage
    usage.used_by_others = round(usage.daily_max * 0.81)
    shop.ring(shop.ring_item)
    shop.configure(toml="[checks]\nreserve_percent = 10")
    assert swept(shop, full=True).stopped is None


def test_a_sweep_that_was_stopped_is_still_due(shop):
    usage = shop.org.usage
    usage.used_by_others = usage.daily_max
    usage.daily_max += 1_000
    assert swept(shop, calls=None).stopped is not None
    usage.used_by_others = 0
    shop.pass_time(minutes=20)
    assert swept(shop, calls=None).counts["pages read again"] > 0

"""Products, prices and stock: adopted where they are known, created where they are not, never doubled."""

import pytest
from world import QUIET, key


def standard_entries(world, product_id):
    return [
        row
        for row in world.all_rows("PricebookEntry")
        if (row["Product2Id"], row["Pricebook2Id"]) == (product_id, world.org.standard_pricebook)
    ]


def test_a_product_arrives_with_its_price(world):
    item = world.item("Gold ring", "129.50", customSku="GR-1")
    world.backfill()

    row = world.row("Product2", key("item", item))
    assert ("Gold ring", "GR-1") == (row["Name"], row["ProductCode"])
    assert [129.5] == [entry["UnitPrice"] for entry in standard_entries(world, row["Id"])]


@pytest.mark.parametrize(
    ("sku", "number"),
    [
        ("system", "StockKeepingUnit"),
        ("system", "ProductCode"),
        ("GR-1", "ProductCode"),
        ("gr-1 ", "ProductCode"),
    ],
)
def test_a_product_of_the_crm_is_adopted_and_keeps_what_its_owners_wrote(world, sku, number):
    item = world.item("Gold ring", "129.50", customSku="GR-1")
    known = world.till_row("Item", item)["systemSku"] if sku == "system" else sku
    own = world.in_crm("Product2", Name="Our best ring", IsActive=True, **{number: known})
    world.backfill()

    assert [own] == [row["Id"] for row in world.all_rows("Product2")]
    row = world.row("Product2", key("item", item))
    assert (own, "Our best ring") == (row["Id"], row["Name"])
    assert [129.5] == [entry["UnitPrice"] for entry in standard_entries(world, own)]
    world.backfill()
    assert 0 == world.calls[1]


def test_an_adopted_product_keeps_its_owners_words_after_a_refusal(world):
    item = world.item("Gold ring", "129.50", customSku="GR-1", ean="1")
    world.in_crm("Product2", Name="Our best ring", ProductCode="GR-1", IsActive=True)
    world.backfill()

    world.refuse("Product2", "Lightspeed_EAN__c", "2")
    world.pass_time(minutes=1)
    world.floor.edit("Item", item, {"ean": "2"})
    world.sync()
    assert "problem" == world.standing("product", item)
    world.org.validations.clear()
    world.pass_time(hours=4)
    world.sync()

    row = world.row("Product2", key("item", item))
    assert ("Our best ring", "2") == (row["Name"], row["Lightspeed_EAN__c"])
    assert "settled" == world.standing("product", item)


def test_two_products_with_one_number_are_a_persons_choice(world):
    item = world.item("Gold ring", "129.50", customSku="GR-1")
    twins = [world.in_crm("Product2", Name=f"Ring {n}", ProductCode="GR-1", IsActive=True) for n in "AB"]
    world.backfill()

    assert sorted(twins) == sorted(row["Id"] for row in world.all_rows("Product2"))
    assert "review" == world.standing("product", item)
    assert "ProductCode" not in world.known("product", item).reason
    assert all(twin in world.known("product", item).reason for twin in twins)

    sale = world.ring(item)
    world.sync()
    assert ([None], "waiting") == (
        [line.get("Product__c") for line in world.lines_of(sale)],
        world.standing("sale", sale),
    )

    world.edit_in_crm(twins[1], ProductCode="GR-2")
    world.pass_time(minutes=1)
    world.floor.edit("Item", item, {"description": "Gold ring, new"})
    world.sync()
    world.sync()
    assert ([twins[0]], "settled") == (
        [line.get("Product__c") for line in world.lines_of(sale)],
        world.standing("sale", sale),
    )


def test_a_price_that_somebody_else_entered_is_kept_up_to_date(world):
    item = world.item("Gold ring", "129.50", customSku="GR-1")
    own = world.in_crm("Product2", Name="Ring", ProductCode="GR-1", IsActive=True)
    world.in_crm(
        "PricebookEntry",
        Product2Id=own,
        Pricebook2Id=world.org.standard_pricebook,
        UnitPrice=99.0,
        IsActive=True,
    )
    world.backfill()
    assert [129.5] == [entry["UnitPrice"] for entry in standard_entries(world, own)]

    world.pass_time(minutes=30)
    world.floor.edit(
        "Item", item, {"Prices": [{"amount": 140, "useTypeID": 1, "useType": "Default"}]}
    ) if False else None
    world.till_app.world["Item"].change(
        world.till_row("Item", item),
        Prices=[{"amount": 140, "useTypeID": 1, "useType": "Default"}],
        timeStamp=world.clock.now(),
    )
    world.sync()
    assert [140.0] == [entry["UnitPrice"] for entry in standard_entries(world, own)]
    assert 1 == len(standard_entries(world, own))


def test_stock_arrives_per_store_and_follows_what_is_sold(world):
    item = world.item("Gold ring")
    stock = next(s for s in world.till_row("Item", item)["ItemShops"] if s["shopID"] == 1)
    world.till_app.world["ItemShop"].change(stock, qoh=5, sellable=5)
    world.backfill()
    level_key = f"190001-Q{item}-1"
    level = world.row("Inventory_Level__c", level_key)
    assert (5, world.row("Retail_Store__c", key("store", 1))["Id"]) == (
        level["Quantity_On_Hand__c"],
        level["Store__c"],
    )

    world.pass_time(minutes=30)
    world.ring((item, 2, None))
    world.sync()
    assert 3 == world.row("Inventory_Level__c", level_key)["Quantity_On_Hand__c"]
    assert {level_key} == set(world.rows("Inventory_Level__c"))
    world.sync()
    assert QUIET == world.calls[1]


def test_an_archived_product_is_switched_off_not_taken_away(world):
    item = world.item("Gold ring")
    world.backfill()
    world.pass_time(minutes=1)
    world.floor.archive("Item", item)
    world.sync()

    assert not world.row("Product2", key("item", item)).get("IsActive")


def test_a_product_that_is_seen_again_costs_nothing(world):
    item = world.item("Gold ring", "129.50")
    world.backfill()
    world.pass_time(minutes=30)
    world.till_app.world["Item"].change(world.till_row("Item", item), timeStamp=world.clock.now())
    world.sync()

    assert QUIET == world.calls[1]

"""Sales on their way: rung up, refunded, exchanged, voided; each lands whole, once, and linked."""

from datetime import UTC, datetime

import pytest
from world import QUIET, key

AMOUNTS = ("Subtotal__c", "Discount__c", "Tax__c", "Total__c", "Net_Sales__c", "Paid__c")


@pytest.fixture
def shop(world):
    """An open shop: something to sell, somebody who buys, and all of it carried across already."""
    world.ring_item = world.item("Ring", "100")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    world.pass_time(minutes=30)
    return world


def amounts(row):
    return {name: row.get(name) or 0 for name in AMOUNTS}


def test_a_live_sale_lands_with_its_lines_payments_and_people(shop):
    sale = shop.ring(shop.ring_item, (shop.ring_item, 2, "50"), customer=shop.anna)
    shop.sync()

    row = shop.sale_row(sale)
    assert ("Completed", "Sale") == (row["Status__c"], row["Type__c"])
    assert (200.0, 16.0, 216.0) == (row["Net_Sales__c"], row["Tax__c"], row["Total__c"])
    assert shop.row("Account", key("customer", shop.anna))["Id"] == row["Account__c"]
    assert shop.row("Retail_Store__c", key("store", 1))["Id"] == row["Store__c"]
    assert (
        shop.row("Retail_Employee__c", key("employee", 1))["Id"] == row["Cashier__c"] == row["Salesperson__c"]
    )
    product = shop.row("Product2", key("item", shop.ring_item))["Id"]
    assert [(100.0, 1, product), (100.0, 2, product)] == [
        (line["Net_Sales__c"], line["Quantity__c"], line["Product__c"]) for line in shop.lines_of(sale)
    ]
    assert [216.0] == [payment["Amount__c"] for payment in shop.payments_of(sale)]
    assert not row.get("Loaded_As_History__c")
    assert "settled" == shop.standing("sale", sale)
    assert [] == shop.differences()


def test_news_of_one_sale_costs_one_call_and_no_news_none(shop):
    shop.ring(shop.ring_item, customer=shop.anna)
    shop.ring(shop.ring_item)
    shop.sync()
    assert QUIET + 1 == shop.calls[1]

    shop.sync()
    assert QUIET == shop.calls[1]


def test_what_was_sold_live_is_no_history_and_old_news_is(shop):
    live = shop.ring(shop.ring_item)
    old = shop.ring(shop.ring_item, kind="backdated", complete_at=datetime(2026, 10, 1, 12, tzinfo=UTC))
    shop.sync()

    assert [False, True] == [bool(shop.sale_row(s).get("Loaded_As_History__c")) for s in (live, old)]
    assert "2026-10-01" == shop.sale_row(old)["Business_Date__c"]


def test_a_walk_in_creates_nobody(shop):
    people = len(shop.all_rows("Account"))
    sale = shop.ring(shop.ring_item)
    shop.sync()

    assert people == len(shop.all_rows("Account"))
    assert (None, None) == (shop.sale_row(sale).get("Account__c"), shop.sale_row(sale).get("Customer_Key__c"))
    assert "settled" == shop.standing("sale", sale)


@pytest.mark.parametrize("together", [True, False], ids=["in one poll", "the sale came before"])
def test_a_refund_points_at_the_sale_and_line_it_undoes(shop, together):
    sale = shop.ring(shop.ring_item, customer=shop.anna)
    if not together:
        shop.sync()
        shop.pass_time(minutes=20)
    back = shop.floor.refund(sale)["saleID"]
    if not shop.till_row("Sale", back)["completed"]:
        shop.floor.edit("Sale", back, {"completed": "true"})
    shop.sync()

    [line], [original] = shop.lines_of(back), shop.lines_of(sale)
    row = shop.sale_row(back)
    assert ("Refund", -100.0, -108.0) == (row["Type__c"], row["Net_Sales__c"], row["Total__c"])
    assert (-1, original["Id"]) == (line["Quantity__c"], line["Original_Line__c"])
    assert shop.sale_row(sale)["Id"] == row["Original_Transaction__c"]
    assert ["settled", "settled"] == [shop.standing("sale", i) for i in (sale, back)]
    assert [] == shop.differences()
    shop.sync()
    assert QUIET == shop.calls[1]


KINDS = {
    "exchange": "Exchange",
    "partial_refund": "Refund",
    "blind_refund": "Refund",
    "gift_card": "Gift Card",
    "deposit": "Deposit",
    "misc": "Sale",
    "tip": "Sale",
    "two_tenders": "Sale",
    "paid_again": "Sale",
    "discount_all": "Sale",
    "tax_free": "Sale",
    "free": "Sale",
    "change": "Sale",
}


def test_each_kind_of_sale_has_its_place(shop):
    for _ in range(2):
        shop.ring((shop.ring_item, 3, None), shop.ring_item, customer=shop.anna)
    sales = {kind: shop.ring(customer=shop.anna, kind=kind, shopID=1) for kind in KINDS}
    shop.sync()

    assert KINDS == {kind: shop.sale_row(sale)["Type__c"] for kind, sale in sales.items()}
    known = shop.all_known("sale", sales.values())
    assert dict.fromkeys(KINDS, "settled") == {kind: known[str(sale)].state for kind, sale in sales.items()}
    signs = {line["Quantity__c"] > 0 for line in shop.lines_of(sales["exchange"])}
    assert {True, False} == signs, "an exchange takes and gives"
    assert [] == shop.differences()


def test_a_gift_card_is_no_revenue_until_it_is_redeemed(shop):
    card = shop.ring(kind="gift_card", amount="50", shopID=1)
    spent = shop.ring((shop.ring_item, 1, "20"), kind="gift_redeem", shopID=1)
    shop.sync()

    sold, redeemed = shop.sale_row(card), shop.sale_row(spent)
    assert ("Gift Card", 0, 50.0) == (sold["Type__c"], sold["Net_Sales__c"], sold["Gift_Cards_Sold__c"])
    assert ("Sale", 20.0) == (redeemed["Type__c"], redeemed["Net_Sales__c"])
    assert ["Gift Card"] == [payment["Tender_Type__c"] for payment in shop.payments_of(spent)]
    assert [] == shop.differences()


@pytest.mark.parametrize("moves", [True, False], ids=["its stamp moves", "its stamp stays"])
def test_a_void_writes_zero_everywhere_and_keeps_the_former_total(found, moves):
    world = found(till={"updatetime_moves_on_void": moves})
    item = world.item("Ring", "100")
    world.backfill()
    sale = world.ring(item)
    world.sync()
    world.pass_time(hours=2)
    world.floor.void(sale, "wrong item")
    world.sync()

    row = world.sale_row(sale)
    assert ("Voided", 108.0) == (row["Status__c"], row["Voided_Total__c"])
    assert dict.fromkeys(AMOUNTS, 0) == amounts(row)
    assert [0] == [line["Total__c"] for line in world.lines_of(sale)]
    assert [0] == [payment["Amount__c"] for payment in world.payments_of(sale)]
    assert [] == world.differences()
    world.sync()
    assert QUIET == world.calls[1]


def test_a_sale_first_seen_as_voided_looks_like_one_voided_under_our_eyes(found):
    def rows(*, seen_before):
        world = found()
        item = world.item("Ring", "100")
        world.backfill()
        sale = world.ring(item)
        if seen_before:
            world.sync()
        world.floor.void(sale, "wrong item")
        world.sync()
        own = [world.sale_row(sale), *world.lines_of(sale), *world.payments_of(sale)]
        return [
            {
                name: value
                for name, value in row.items()
                if name.endswith("__c") and not str(value).startswith("a0")
            }
            for row in own
        ]

    assert rows(seen_before=True) == rows(seen_before=False)


def test_an_open_sale_waits_in_the_till_until_it_is_completed(shop):
    sale = shop.ring(shop.ring_item, kind="open_paid")
    cancelled = shop.ring(shop.ring_item, kind="cancelled")
    shop.sync()
    assert ("open", "left_out") == (shop.standing("sale", sale), shop.standing("sale", cancelled))
    assert {} == shop.rows("Sales_Transaction__c")

    shop.pass_time(minutes=1)
    shop.floor.edit("Sale", sale, {"completed": True, "completeTime": shop.clock.now().isoformat()})
    shop.sync()
    assert "Completed" == shop.sale_row(sale)["Status__c"]
    assert "settled" == shop.standing("sale", sale)


def test_a_payment_that_is_taken_back_stays_at_zero(shop):
    sale = shop.ring(shop.ring_item)
    shop.sync()
    [payment] = shop.till_row("Sale", sale)["SalePayments"]
    payment["archived"] = True
    shop.pass_time(minutes=1)
    shop.floor.edit("Sale", sale, {"referenceNumber": "settled by bank"})
    shop.sync()

    assert [0] == [row["Amount__c"] for row in shop.payments_of(sale)]
    assert [] == shop.differences()


def test_a_customer_nobody_has_read_yet_is_imported_on_demand(shop):
    stranger = shop.customer("Bo", "Lund", email="bo@lund.example")
    old = datetime(2025, 1, 1, tzinfo=UTC)
    shop.till_app.world["Customer"].change(shop.till_row("Customer", stranger), timeStamp=old)
    sale = shop.ring(shop.ring_item, customer=stranger)
    shop.sync()

    assert shop.row("Account", key("customer", stranger))["Id"] == shop.sale_row(sale)["Account__c"]


def test_a_new_store_employee_and_product_come_along_with_their_first_sale(shop):
    new_shop = shop.shop("Troy", "US/Eastern")
    seller = shop.employee("Piet", "Vos")
    item = shop.item("Brooch", "30")
    sale = shop.ring(item, shopID=new_shop, employeeID=seller)
    shop.sync()

    row = shop.sale_row(sale)
    assert shop.row("Retail_Store__c", key("store", new_shop))["Id"] == row["Store__c"]
    assert shop.row("Retail_Employee__c", key("employee", seller))["Id"] == row["Cashier__c"]
    [line] = shop.lines_of(sale)
    assert shop.row("Product2", key("item", item))["Id"] == line["Product__c"]
    assert "settled" == shop.standing("sale", sale)


def test_the_business_day_is_the_stores_own(world):
    item = world.item()
    shops = {zone: world.shop("Far", zone) for zone in ("Pacific/Auckland", "Pacific/Honolulu", "US/Eastern")}
    world.backfill()
    table = [
        ("US/Eastern", "2026-11-21T04:59:00+00:00", "2026-11-20"),
        ("US/Eastern", "2026-11-21T05:01:00+00:00", "2026-11-21"),
        ("Pacific/Honolulu", "2026-11-21T08:30:00+00:00", "2026-11-20"),
        ("Pacific/Auckland", "2026-11-21T10:30:00+00:00", "2026-11-21"),
        ("Pacific/Auckland", "2026-11-21T11:30:00+00:00", "2026-11-22"),
    ]
    expected = {}
    for zone, moment, day in table:
        world.wait_until(moment)
        expected[world.ring(item, shopID=shops[zone])] = day
    world.sync()

    for sale, day in expected.items():
        rows = [world.sale_row(sale), *world.lines_of(sale), *world.payments_of(sale)]
        assert {day} == {row["Business_Date__c"] for row in rows}
    assert [] == world.differences()


def test_a_shop_may_begin_its_day_later(world):
    item = world.item()
    world.configure(sales="day_starts_at = 04:00:00")
    world.backfill()
    world.wait_until("2026-11-21T07:00:00+00:00")  # two in the morning in Albany
    sale = world.ring(item)
    world.sync()

    assert "2026-11-20" == world.sale_row(sale)["Business_Date__c"]
    assert [] == world.differences()


def test_sales_may_be_reported_in_another_currency(world):
    item = world.item(price="100")
    world.configure(sales='reporting_currency = "EUR"\nrates = { "2026-01-01" = "0.92" }')
    world.backfill()
    sale = world.ring(item)
    world.sync()

    row = world.sale_row(sale)
    assert (100.0, 92.0, 0.92) == (
        row["Net_Sales__c"],
        row["Reporting_Net_Sales__c"],
        row["Reporting_Rate__c"],
    )


def test_a_certificate_names_the_receipt_that_differs(shop):
    sale, same = shop.ring(shop.ring_item), shop.ring(shop.ring_item)
    shop.sync()
    shop.edit_in_crm(shop.sale_row(sale)["Id"], Total__c=1.0)
    certificate = shop.certify()

    assert not certificate.agrees
    assert {key("sale", sale)} == {receipt.key for receipt in certificate.receipts}
    assert key("sale", same) not in {receipt.key for receipt in certificate.receipts}

    shop.force(sales=[sale])
    assert [] == shop.differences()

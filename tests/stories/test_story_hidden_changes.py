"""Changes that the feed never tells, hidden by the simulator's switches: a check or the sweep finds each."""

import sys
from decimal import Decimal

import pytest
from world import World, key

from tillbridge.engine.crosscheck import CHECKS, crosscheck, due, run_check
from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import sync
from tillbridge.model.errors import LimitReached
from tillbridge.simulators.retailer.ringup import ring_up
from tillbridge.store.verified import Verified

# Nothing below moves a sale's stamp, and voids cannot be read.
SILENT = {
    "updatetime_moves_on_children": False,
    "updatetime_moves_on_void": False,
    "updatetime_moves_on_merge": False,
    "employee_rights": "employee:customers employee:register employee:inventory",
}


def check(world: World, name=None, *, nightly=False):
    """Poll, then cross-check: all, or one."""
    with world.connected() as connection:
        sync(connection)
        if name is None:
            outcomes = crosscheck(connection, nightly=nightly)
            return [each for outcome in outcomes.values() for each in outcome.missed]
        return run_check(connection, next(c for c in CHECKS if c.name == name)).missed


def swept(world: World, **wishes):
    """Poll, then sweep."""
    with world.connected() as connection:
        sync(connection)
        return sweep(connection, **wishes)


def things(missed):
    return sorted((each.kind, each.till_id) for each in missed)


def diary(world: World):
    with world.opened() as parts:
        return Verified(parts.state).missed()


def ages(world: World):
    with world.opened() as parts:
        return Verified(parts.state).ages(("sale", "customer", "product", "stock"))


def shop(found, **till):
    """Open a shop whose till keeps still about everything; a sale of an hour ago is settled."""
    world = found(till={**SILENT, **till})
    world.ring_item = world.item("Ring", "100")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    world.pass_time(minutes=30)
    world.sale = world.ring(world.ring_item, (world.ring_item, 2, "50"), customer=world.anna)
    world.sync()
    later(world)
    return world


def later(world):
    """Let the feed pass by what has happened: an hour goes by, and somebody else is sold something."""
    world.pass_time(hours=1)
    world.ring(world.ring_item)
    world.edit_customer(world.customer("Bo", "Lund"), mobile="518-555-0199")
    world.item("Pearl", "12")
    world.sync()


def remove_line(world, sale_id, line_id):
    """Take a line off a completed sale for good, as no API call can and a support case may."""
    sale = world.till_row("Sale", sale_id)
    sale["SaleLines"].remove(world.till_app.world["SaleLine"].remove(line_id))
    ring_up(sale)


def quietly(world, entity, row_id, **fields):
    """Change a row without moving any stamp."""
    world.till_app.world[entity].change(world.till_row(entity, row_id), **fields)


# --- one by one: what hides, and which check finds it ----------------------------------------------


def test_a_line_that_comes_late_is_found_by_its_own_stamp(found):
    world = shop(found)
    line = world.till_row("Sale", world.sale)["SaleLines"][0]["saleLineID"]
    world.floor.edit("SaleLine", line, {"unitQuantity": "3"})
    later(world)

    [missed] = check(world, "lines")
    assert ("sale", str(world.sale), "cross-check") == (missed.kind, missed.till_id, missed.found_by)
    assert f"line {line}: " in missed.what
    assert "Quantity__c" in missed.what
    assert [3, 2] == [row["Quantity__c"] for row in world.lines_of(world.sale)]
    assert [(missed.till_id, missed.what)] == [(each.till_id, each.what) for each in diary(world)]
    assert [] == check(world, "lines")


def test_a_payment_that_comes_late_is_found_by_its_number(found):
    world = shop(found)
    assert [] == check(world, "payments")
    sale = world.till_row("Sale", world.sale)
    [first] = sale["SalePayments"]
    paid = {**first, "salePaymentID": world.till_app.world.next_id("SalePayment"), "amount": Decimal(5)}
    world.till_app.world.add_payment(paid)
    sale["SalePayments"].append(paid)
    later(world)

    assert [("sale", str(world.sale))] == things(check(world, "payments"))
    assert [5.0, 216.0] == sorted(row["Amount__c"] for row in world.payments_of(world.sale))


def test_a_void_that_nobody_may_read_is_found_when_its_sale_is_read_again(found):
    world = shop(found)
    world.floor.void(world.sale, "wrong item")
    later(world)

    [missed] = check(world, "recent sales")
    assert ("sale", str(world.sale)) == (missed.kind, missed.till_id)
    assert "Status__c" in missed.what
    assert "Voided" == world.sale_row(world.sale)["Status__c"]
    assert [] == world.differences()


def test_a_line_deleted_for_good_is_found_when_its_sale_is_read_again(found):
    world = shop(found)
    line = world.till_row("Sale", world.sale)["SaleLines"][1]["saleLineID"]
    remove_line(world, world.sale, line)
    later(world)

    [missed] = check(world, "recent sales")
    assert f"line {line}: " in missed.what
    assert [100.0, 0] == [row["Net_Sales__c"] for row in world.lines_of(world.sale)]


def test_a_customer_swapped_on_a_completed_sale_is_found_when_it_is_read_again(found):
    world = shop(found)
    bea = world.customer("Bea", "Maas", email="bea@maas.example")
    quietly(world, "Sale", world.sale, customerID=bea)
    later(world)

    [missed] = check(world, "recent sales")
    assert "Account__c" in missed.what
    assert world.row("Account", key("customer", bea))["Id"] == world.sale_row(world.sale)["Account__c"]


def test_an_open_sale_completed_into_the_past_is_found(found):
    world = shop(found)
    tab = world.ring(world.ring_item, kind="open_paid")
    world.sync()
    assert "open" == world.standing("sale", tab)
    later(world)
    long_ago = world.clock.now().replace(month=6)
    quietly(world, "Sale", tab, completed=True, completeTime=long_ago, timeStamp=long_ago)
    later(world)

    assert [("sale", str(tab))] == things(check(world, "open sales"))
    assert long_ago.date().isoformat() == world.sale_row(tab)["Business_Date__c"]


def test_a_sale_that_the_feed_dropped_and_its_refund_find_each_other(found):
    world = shop(found)
    world.till_app.world.switches.set({"feed_drop_percent": 100})
    sale = world.ring(world.ring_item, customer=world.anna)
    world.sync()
    quietly(world, "Sale", sale, updatetime=world.clock.now().replace(hour=1))
    world.till_app.world.switches.set({"feed_drop_percent": 0})
    back = world.floor.refund(sale)["saleID"]
    later(world)
    assert world.sale_row(back).get("Original_Transaction__c") is None
    assert None is world.known("sale", sale)

    assert [("sale", str(sale))] == things(check(world, "recent sales"))
    assert world.sale_row(sale)["Id"] == world.sale_row(back)["Original_Transaction__c"]
    assert ["settled", "settled"] == [world.standing("sale", i) for i in (sale, back)]


@pytest.mark.parametrize(
    "rewrites", [True, False], ids=["old sales are re-pointed", "old sales keep the old id"]
)
def test_a_merge_is_followed_as_far_as_the_sales_show_it(found, rewrites):
    world = shop(found, merge_rewrites_sales=rewrites)
    ann = world.customer("Zoe", "Prins", email="zoe@prins.example")
    world.pass_time(minutes=1)
    world.sync()
    hers = world.row("Account", key("customer", world.anna))["Id"]
    kept = world.row("Account", key("customer", ann))["Id"]
    world.floor.merge(keep=ann, lose=world.anna)
    later(world)

    missed = check(world, "archived customers")
    with world.opened() as parts:
        aliases = Verified(parts.state).aliases("customer", [str(world.anna)])
    identity = world.row("Customer_Identity__c", key("customer", world.anna))
    if rewrites:
        assert [("sale", str(world.sale))] == things(missed)
        assert kept == world.sale_row(world.sale)["Account__c"] == world.known("customer", world.anna).crm_id
        assert {str(world.anna): str(ann)} == aliases
        assert ("Merged", kept, key("customer", ann)) == (
            identity["Status__c"],
            identity["Account__c"],
            identity["Merged_Into_Key__c"],
        )
    else:
        assert ([], {}) == (missed, aliases)
        assert hers == world.sale_row(world.sale)["Account__c"] == identity["Account__c"]
    assert [] == check(world, "archived customers")


def test_an_employee_deleted_in_the_till_is_no_longer_active(found):
    world = shop(found)
    piet = world.employee("Piet", "Vos")
    world.ring(world.ring_item, employeeID=piet)
    world.sync()
    assert world.row("Retail_Employee__c", f"190001-E{piet}")["Active__c"]
    world.till_app.world["Employee"].remove(piet)

    assert [("employee", str(piet))] == things(check(world, "employees"))
    row = world.row("Retail_Employee__c", f"190001-E{piet}")
    assert (False, "Piet Vos") == (row["Active__c"], row["Name"])
    assert [] == check(world, "employees")


def test_each_check_has_its_own_cadence(found):
    world = shop(found)
    check(world, nightly=True)
    with world.connected() as connection:
        assert ["recent sales"] == [c.name for c in due(connection)]
    world.pass_time(hours=2)
    with world.connected() as connection:
        names = [c.name for c in due(connection)]
    assert ["lines", "payments", "archived customers", "reviews", "recent sales"] == names


def test_what_the_next_poll_brings_anyway_is_not_called_missed(world):
    item = world.item()
    world.backfill()
    world.pass_time(minutes=30)
    sale = world.ring(item)
    with world.connected() as connection:
        outcomes = crosscheck(connection)
    assert [] == [each for outcome in outcomes.values() for each in outcome.missed]
    assert "settled" == world.standing("sale", sale)


def test_a_quiet_shop_costs_a_check_few_calls_and_no_write(found):
    world = shop(found)
    check(world, nightly=True)
    world.pass_time(days=1)
    world.sync()
    with world.connected() as connection:
        before = connection.till.calls
        crosscheck(connection)
        spent = connection.till.calls - before
    # lines, payments, customers, five small tables, recent sales
    assert (9, 0) == (spent, world.calls[1])


# --- the sweep -------------------------------------------------------------------------------------


def hide_a_hundred(world):
    """Change a hundred things in five hidden ways; return them."""
    ring = world.ring_item
    people = [world.customer(f"Ines{n}", f"Ward{n}", email=f"ines{n}@ward.example") for n in range(50)]
    goods = [world.item(f"Bangle {n}", "40") for n in range(10)]
    world.pass_time(minutes=1)
    sales = [world.ring(ring, (ring, 2, "50"), customer=people[n % 20]) for n in range(60)]
    later(world)
    hidden = set()
    # 1. Sales that the feed never shows.
    world.till_app.world.switches.set({"feed_drop_percent": 50})
    while len(dropped := hidden_sales(world)) < 20:
        for _ in range(20 - len(dropped)):
            world.ring(ring)
        world.sync()
    hidden |= {("sale", str(i)) for i in dropped}
    # 2. Voids that move nothing and cannot be read.
    for sale in sales[:20]:
        world.floor.void(sale, "wrong item")
    # 3. Lines changed, and lines deleted for good.
    for n, sale in enumerate(sales[20:40]):
        line = world.till_row("Sale", sale)["SaleLines"][1]["saleLineID"]
        if n % 2:
            remove_line(world, sale, line)
        else:
            world.floor.edit("SaleLine", line, {"unitPrice": "75"})
    # 4. Sales that went to somebody else, ten of them by merges.
    for n, sale in enumerate(sales[40:60]):
        if n < 10:
            quietly(world, "Sale", sale, customerID=people[20 + n])
    for n in range(10, 20):
        world.floor.merge(keep=people[20 + n], lose=people[n])
    hidden |= {("sale", str(i)) for i in sales}
    # 5. Customers, prices and stock that changed without a stamp.
    for n in range(10):
        quietly(world, "Customer", people[40 + n], lastName=f"Moss{n}")
    for n, item in enumerate(goods):
        row = world.till_row("Item", item)
        if n < 5:
            row["Prices"] = [{"amount": Decimal(45), "useTypeID": 1, "useType": "Default"}]
        else:
            quietly(world, "Item", item, description=f"Bracelet {n}")
    hidden |= {("customer", str(i)) for i in people[40:]} | {("product", str(i)) for i in goods}
    return hidden


def hidden_sales(world):
    ids = list(world.till_app.world["Sale"].rows)
    known = world.all_known("sale", ids)
    return [i for i in ids if str(i) not in known]


def test_a_hundred_hidden_changes_are_found_within_one_turn_of_the_sweep(found, capsys):
    world = shop(found)
    hidden = hide_a_hundred(world)
    assert 100 == len(hidden)
    later(world)
    before = things(diary(world))

    # A turn takes seven days: a run every twelve hours, as many pages as are due.
    for _ in range(15):
        swept(world)
        world.pass_time(hours=12)
    found_now = things(diary(world))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(hidden & set(found_now))} of {len(hidden)} hidden changes found in a turn\n"
        )
    assert [] == before
    assert hidden == set(found_now) & hidden
    assert len(found_now) == len(set(found_now))
    assert [] == world.differences()
    turn = world.clock.now().timestamp() - 7 * 86_400
    assert all(age.oldest_at >= turn and not age.never for age in ages(world).values())

    last = swept(world, full=True)
    assert ([], 0) == (last.missed, last.counts["updated"] + last.counts["created"])


def test_the_sweep_repairs_what_people_changed_or_deleted_in_salesforce(found):
    world = shop(found)
    row = world.sale_row(world.sale)
    [payment], lines = world.payments_of(world.sale), world.lines_of(world.sale)
    other = world.ring(world.ring_item)
    world.sync()
    world.edit_in_crm(row["Id"], Total__c=1, Status__c="Voided")
    world.edit_in_crm(lines[0]["Id"], Quantity__c=9)
    delete(world, payment["Id"])
    delete(world, world.sale_row(other)["Id"])
    later(world)

    missed = {each.till_id: each.what for each in swept(world, full=True).missed}
    assert {str(world.sale), str(other)} == missed.keys()
    assert "Status__c, Total__c in Salesforce" in missed[str(world.sale)]
    assert (
        f"payment {payment['Payment_Key__c'].rpartition('P')[2]} deleted in Salesforce"
        in missed[str(world.sale)]
    )
    assert missed[str(other)].startswith("deleted in Salesforce")
    assert ("Completed", 216.0) == (
        world.sale_row(world.sale)["Status__c"],
        world.sale_row(world.sale)["Total__c"],
    )
    assert [1, 2] == [line["Quantity__c"] for line in world.lines_of(world.sale)]
    assert [] == world.differences()
    assert [] == swept(world, full=True).missed


def delete(world, crm_id):
    table, _ = world.org.row(crm_id)
    result = world.org.write(world.org.staff, table.sobject.name, "delete", {"Id": crm_id})
    assert result.success, result.errors


def test_a_person_deleted_in_salesforce_does_not_come_back_by_itself(found):
    world = shop(found)
    hers = world.row("Account", key("customer", world.anna))["Id"]
    delete(world, hers)

    swept(world, full=True)
    assert "left_out" == world.standing("customer", world.anna)
    assert "deleted in Salesforce" in world.why("customer", world.anna)
    assert key("customer", world.anna) not in world.rows("Account")
    row = world.sale_row(world.sale)
    assert ("settled", None, "Not Synced") == (
        world.standing("sale", world.sale),
        row.get("Account__c"),
        row["Customer_Status__c"],
    )
    assert [] == world.problems()
    assert ("customer", str(world.anna)) not in things(swept(world, full=True).missed)


def test_a_product_deleted_in_salesforce_is_made_again(found):
    world = shop(found)
    delete(world, world.row("Product2", key("item", world.ring_item))["Id"])

    assert ("product", str(world.ring_item)) in things(swept(world, full=True).missed)
    assert "Ring" == world.row("Product2", key("item", world.ring_item))["Name"]
    swept(world, full=True)
    assert [] == swept(world, full=True).missed


def test_a_flow_of_the_org_that_rewrites_a_field_gets_the_last_word(found):
    world = shop(found)
    crm_id = world.sale_row(world.sale)["Id"]
    seen = []
    for _ in range(3):
        world.edit_in_crm(crm_id, Register__c="SHOP FRONT")
        world.pass_time(hours=1)
        seen.append(len(swept(world, full=True).missed))
    assert [1, 0, 0] == seen


def test_the_sweep_keeps_to_the_calls_it_is_given(found):
    world = shop(found)
    world.sync()
    with world.connected() as connection:
        before = connection.till.calls
        sweep(connection, calls=1)
        assert 1 == connection.till.calls - before


def test_a_sweep_that_runs_out_of_calls_goes_on_behind_what_it_has_read(found):
    world = shop(found)
    world.sync()
    world.fail_till("status", "Customer.json", status=429, times=1, headers={"Retry-After": "100000"})
    with world.connected() as connection, pytest.raises(LimitReached):
        sweep(connection, full=True)
    world.pass_time(hours=28)
    assert swept(world, full=True).counts["pages read again"] > 0
    assert all(age.never == 0 for age in ages(world).values())

"""What stands in review is decided again when only Salesforce has changed; until then it costs little."""

import pytest
from world import key

from tillbridge.engine.crosscheck import CHECKS, run_check
from tillbridge.engine.sync import sync


def looked_again(world):
    with world.connected() as connection:
        sync(connection)
        before = connection.till.calls, connection.crm.calls
        counts = run_check(connection, next(c for c in CHECKS if c.name == "reviews")).counts
        world.spent = connection.till.calls - before[0], connection.crm.calls - before[1]
        return counts


@pytest.fixture
def twins(world):
    """Two products of the org bear the number of one of the till's; a receipt with it has landed."""
    world.first, world.second = (
        world.in_crm("Product2", Name=name, StockKeepingUnit="R-1") for name in ("Ring", "Ring again")
    )
    world.ring_item = world.item("Ring", "100", customSku="R-1")
    world.backfill()
    world.sale = world.ring(world.ring_item)
    world.sync()
    assert "review" == world.standing("product", world.ring_item)
    world.pass_time(hours=1)
    world.item("Pearl", "12")
    world.sync()
    world.pass_time(hours=1)
    return world


def test_a_product_is_adopted_when_its_twin_was_deleted_in_salesforce(twins):
    result = twins.org.write(
        twins.org.staff, "Product2", "delete", {"Id": twins.second}, auto_assign=False, allow_duplicates=True
    )
    assert result.success

    assert 1 == looked_again(twins)["decided anew"]
    known = twins.known("product", twins.ring_item)
    assert ("settled", twins.first, "adopted") == (known.state, known.crm_id, known.role)
    assert [twins.first] == [line["Product__c"] for line in twins.lines_of(twins.sale)]


def test_a_product_that_nobody_has_cleared_up_stays_in_review_for_three_calls(twins):
    assert 0 == looked_again(twins)["decided anew"]
    assert ("review", (1, 2)) == (twins.standing("product", twins.ring_item), twins.spent)


@pytest.fixture
def namesakes(world):
    """Somebody of the org has a customer's e-mail address under another name; her receipt has landed."""
    world.otto = world.person("Otto", "Kramer", email="anna@prins.example")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.ring_item = world.item("Ring", "100")
    world.backfill()
    world.sale = world.ring(world.ring_item, customer=world.anna)
    world.sync()
    assert "review" == world.standing("customer", world.anna)
    world.pass_time(hours=1)
    looked_again(world)
    world.pass_time(hours=1)
    return world


def test_a_customer_is_created_when_the_address_was_corrected_in_salesforce(namesakes):
    world = namesakes
    world.edit_in_crm(world.otto, PersonEmail="otto@kramer.example")
    assert 1 == looked_again(world)["decided anew"]
    row = world.row("Account", key("customer", world.anna))
    assert ("settled", row["Id"]) == (
        world.standing("customer", world.anna),
        world.sale_row(world.sale)["Account__c"],
    )


def test_a_customer_is_linked_when_the_name_was_corrected_in_salesforce(namesakes):
    world = namesakes
    world.edit_in_crm(world.otto, FirstName="Anna", LastName="Prins")
    looked_again(world)
    assert world.otto == world.known("customer", world.anna).crm_id


def test_customers_in_review_cost_no_call_of_the_till_while_nobody_changes(namesakes):
    assert 0 == looked_again(namesakes)["decided anew"]
    assert (0, True) == (namesakes.spent[0], namesakes.spent[1] <= 1)
    assert "review" == namesakes.standing("customer", namesakes.anna)

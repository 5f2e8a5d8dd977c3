"""Records that are gone from Salesforce: merged into another one, or deleted."""

import pytest


def own_customer_and_item(world):
    anna, ben, item = world.customer("Anna", "Prins"), world.customer("Ben", "Oduya"), world.item()
    world.backfill()
    return anna, ben, item


@pytest.fixture(params=["person_account", "contact", "lead"])
def any_model(request, found):
    return found(model=request.param)


@pytest.fixture
def merged(any_model):
    """Return a world where the Salesforce record of one customer was merged into another's."""
    world = any_model
    anna, ben, item = own_customer_and_item(world)
    loser, winner = (world.known("customer", each).crm_id for each in (anna, ben))
    world.org.merge(winner, loser)
    return world, anna, winner, item


def test_a_receipt_of_a_person_merged_in_salesforce_lands_with_the_winner(merged):
    world, anna, winner, item = merged

    sale = world.ring(item, customer=anna)
    world.sync()

    field = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}[world.model]
    assert winner == world.sale_row(sale)[field]
    assert "settled" == world.standing("sale", sale)
    assert winner == world.known("customer", anna).crm_id
    assert [] == world.problems()


def test_a_receipt_of_a_person_deleted_in_salesforce_lands_without(any_model):
    world = any_model
    anna, _, item = own_customer_and_item(world)
    gone = world.known("customer", anna).crm_id
    assert world.org.write(world.org.staff, world.person_object, "delete", {"Id": gone}).success

    sale = world.ring(item, customer=anna)
    world.sync()

    row = world.sale_row(sale)
    assert not any(row.get(name) for name in ("Account__c", "Contact__c", "Lead__c"))
    assert ("settled", "Not Synced") == (world.standing("sale", sale), row["Customer_Status__c"])
    assert "deleted in Salesforce" in world.why("customer", anna)
    assert None is world.known("customer", anna).crm_id

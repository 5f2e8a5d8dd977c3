"""Two who were linked by mistake are taken apart: the key, the receipts, what no rule decides any more."""

import pytest
from world import key

from tillbridge.engine.desk import Mistaken, choose
from tillbridge.engine.parting import part

BY = "Ana Admin"


def parted(world, till_id):
    with world.connected() as connection:
        return part(connection, str(till_id), BY)


def chosen(world, till_id, choice):
    with world.connected() as connection:
        return choose(connection, str(till_id), choice, BY)


def identity(world, till_id):
    return world.row("Customer_Identity__c", key("customer", till_id))


@pytest.fixture
def linked(world):
    """Anna of the till is linked to Anna of the org by their e-mail, and has bought twice."""
    world.theirs = world.person("Anna", "Prins", email="anna@prins.example")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.ring_id = world.item("Ring", "100")
    world.sales = [world.ring(world.ring_id, customer=world.anna) for _ in range(2)]
    world.backfill()
    world.pass_time(minutes=20)
    world.sync()
    assert world.theirs == world.known("customer", world.anna).crm_id
    return world


def test_the_key_and_the_receipts_leave_the_person_and_the_customer_waits(linked):
    world = linked
    done = parted(world, world.anna)

    assert (world.theirs, 2, None) == (done.crm_id, done.receipts, done.speaks_now)
    assert ("review", None) == (
        world.standing("customer", world.anna),
        world.known("customer", world.anna).crm_id,
    )
    assert world.crm_row(world.theirs).get("Lightspeed_Customer_Key__c") is None
    assert world.crm_row(world.theirs).get("Lightspeed_Customer_ID__c") is None
    assert [None, None] == [world.sale_row(sale).get("Account__c") for sale in world.sales]
    assert ("In Review", None) == (
        identity(world, world.anna)["Status__c"],
        identity(world, world.anna).get("Account__c"),
    )


def test_no_rule_links_them_again_whatever_is_edited(linked):
    world = linked
    parted(world, world.anna)
    world.pass_time(minutes=5)
    world.edit_customer(world.anna, title="Dr")
    world.edit_in_crm(world.theirs, PersonMobilePhone="518-555-0147")
    world.sync()
    world.force(customers=[world.anna])

    assert ("review", None) == (
        world.standing("customer", world.anna),
        world.known("customer", world.anna).crm_id,
    )
    assert "taken apart" in world.why("customer", world.anna)


def test_a_person_says_that_it_is_somebody_new_and_the_receipts_follow(linked):
    world = linked
    parted(world, world.anna)
    said = chosen(world, world.anna, "new")
    world.pass_time(minutes=20)
    world.sync()

    new = world.row("Account", key("customer", world.anna))["Id"]
    assert ("settled", True) == (said.state, new != world.theirs)
    assert [new, new] == [world.sale_row(sale).get("Account__c") for sale in world.sales]


def test_a_parting_is_taken_back_by_choosing_the_same_person(linked):
    world = linked
    parted(world, world.anna)
    said = chosen(world, world.anna, world.theirs)

    assert ("settled", world.theirs) == (said.state, said.crm_id)
    assert key("customer", world.anna) == world.crm_row(world.theirs)["Lightspeed_Customer_Key__c"]
    assert [world.theirs] * 2 == [world.sale_row(sale).get("Account__c") for sale in world.sales]


def test_another_till_record_of_the_person_speaks_for_them_then(world):
    theirs = world.person("Anna", "Prins", email="anna@prins.example")
    first = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    second = world.customer("Anna", "Prins", email="anna@prins.example")
    world.pass_time(minutes=20)
    world.sync()
    assert ([theirs] * 2, "second") == (
        [world.known("customer", i).crm_id for i in (first, second)],
        world.known("customer", second).role,
    )
    done = parted(world, first)
    world.pass_time(minutes=20)
    world.sync()

    assert str(second) == done.speaks_now
    assert key("customer", second) == world.crm_row(theirs)["Lightspeed_Customer_Key__c"]
    assert ("settled", str(second)) == (
        world.standing("customer", second),
        world.crm_row(theirs)["Lightspeed_Customer_ID__c"],
    )


def test_whoever_is_linked_to_nobody_cannot_be_taken_apart(linked):
    parted(linked, linked.anna)
    with pytest.raises(Mistaken, match="nothing to take apart"):
        parted(linked, linked.anna)
    with pytest.raises(Mistaken, match="never been seen"):
        parted(linked, 999)


def test_what_salesforce_refuses_leaves_the_link_as_it_was(linked):
    world = linked
    world.refuse("Account", "Lightspeed_Customer_Key__c", None, "the key stays")
    with pytest.raises(Mistaken, match="the key stays"):
        parted(world, world.anna)
    assert world.theirs == world.known("customer", world.anna).crm_id

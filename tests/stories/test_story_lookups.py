"""Lookups that landed empty because their parent was refused: they fill by themselves when it comes."""

import pytest
from world import QUIET, key

from tillbridge.engine import desk


def refused_store(found):
    world = found()
    world.brooch = world.item("Brooch", "30")
    world.refuse("Retail_Store__c", "Store_Key__c", key("store", 1), message="not yet")
    world.backfill()
    world.org.validations.clear()
    return world


def refused_customer(found, model):
    world = found(model=model)
    world.backfill()
    world.refuse(world.person_object, "LastName", "Lund", message="no Lunds")
    world.bo = world.customer("Bo", "Lund", email="bo@lund.example")
    world.sync()
    world.org.validations.clear()
    return world


def stock_without_store(world):
    return [row for row in world.all_rows("Inventory_Level__c") if not row.get("Store__c")]


LOOKUP = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}


def person_of_identity(world):
    return world.row("Customer_Identity__c", key("customer", world.bo)).get(LOOKUP[world.model])


def test_stock_finds_its_store_when_the_store_comes(found):
    world = refused_store(found)
    assert stock_without_store(world)
    waiting = world.states()["stock"]
    assert {"waiting": len(world.all_rows("Inventory_Level__c"))} == waiting
    world.pass_time(hours=4)
    world.sync()  # the store's retry
    world.sync()
    assert ([], {"settled"}) == (stock_without_store(world), set(world.states()["stock"]))
    world.sync()
    assert QUIET == world.calls[1]


def test_stock_finds_its_store_when_somebody_retries_the_store(found):
    world = refused_store(found)
    with world.connected() as connection:
        desk.replay(connection, [problem.id for problem in connection.journal.problems()])
    assert [] == stock_without_store(world)


@pytest.mark.parametrize("model", LOOKUP)
def test_an_identity_finds_its_person_when_the_person_comes(found, model):
    world = refused_customer(found, model)
    assert person_of_identity(world) is None
    world.pass_time(hours=4)
    world.sync()
    world.sync()
    linked = world.known("customer", world.bo).crm_id
    assert (linked, "settled") == (person_of_identity(world), world.standing("identity", world.bo))
    assert "Active" == world.row("Customer_Identity__c", key("customer", world.bo))["Status__c"]
    world.sync()
    assert QUIET == world.calls[1]


@pytest.mark.parametrize("way", ["at once", "after the person's own retry"])
def test_an_identity_is_written_when_its_customer_is_carried_by_hand(found, way):
    world = refused_customer(found, "person_account")
    if way == "after the person's own retry":
        world.pass_time(hours=4)
        world.sync()
        assert person_of_identity(world) is None
    world.force(customers=[world.bo])
    assert world.known("customer", world.bo).crm_id == person_of_identity(world)


def test_what_the_till_shows_no_more_is_not_asked_for_for_ever(found):
    world = refused_customer(found, "person_account")
    world.pass_time(hours=4)
    with world.connected() as connection:
        desk.replay(connection, [p.id for p in connection.journal.problems() if p.kind == "customer"])
    world.till_app.world["Customer"].remove(world.bo)
    world.sync()
    with world.remembered() as state:
        assert [] == state.waiting_things(10)


def test_a_row_that_is_refused_when_its_parent_has_come_waits_for_its_retry(found):
    world = refused_store(found)
    levels = len(world.all_rows("Inventory_Level__c"))
    world.refuse("Inventory_Level__c", "Store_Code__c", "1", message="locked for stocktaking")
    world.pass_time(hours=4)
    world.sync()
    world.sync()
    problems = [problem for problem in world.problems() if problem.kind == "stock"]
    assert [1] * levels == [problem.attempts for problem in problems]
    world.sync()
    assert QUIET == world.calls[1], "not sent again with every poll"
    world.org.validations.clear()
    world.pass_time(hours=4)
    world.sync()
    assert ([], []) == (stock_without_store(world), world.problems())

"""A person's record is deleted in Salesforce: the till's edit brings them back, and nothing else does."""

import pytest
from test_story_both_ways import MAIL, in_till, linked, quiet
from world import key

FIELD = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}


@pytest.fixture(params=["person_account", "contact", "lead"])
def gone(found, request):
    """Anna, with a receipt, whose record was deleted in Salesforce a while ago."""
    return deleted(found(model=request.param))


def deleted(world):
    world.anna, world.crm_id = linked(world)
    world.receipt = world.ring(world.item(), customer=world.anna)
    world.sync()
    delete(world)
    world.pass_time(minutes=20)
    world.sync()
    world.pass_time(minutes=20)
    world.sync()
    assert ("left_out", []) == (world.standing("customer", world.anna), people(world))
    return world


def delete(world):
    world.pass_time(seconds=1)
    ids = filter(None, (world.crm_id, world.crm_row(world.crm_id).get("PersonContactId")))
    world.before = [(table, dict(row)) for table, row in map(world.org.row, ids)]
    assert world.org.write(world.org.staff, world.person_object, "delete", {"Id": world.crm_id}).success


def undelete(world):
    """Somebody takes the record out of the recycle bin again."""
    now, gone = world.org.now_text(), world.crm_row(world.crm_id)
    for table, row in world.before:
        table.bin.pop(row["Id"], None)
        # As in the org, what the record has lost in the bin is gone.
        kept = {name: value for name, value in row.items() if name not in gone or gone[name] is not None}
        table.put({**kept, "SystemModstamp": now, "LastModifiedDate": now})


def people(world):
    return [row["Id"] for row in world.all_rows(world.person_object) if row.get("LastName")]


def polls(world):
    for _ in range(2):
        world.sync()
        world.pass_time(minutes=20)


def test_an_edit_in_the_till_beats_the_deletion_and_makes_them_anew(gone):
    world = gone
    world.edit_customer(world.anna, email="new@prins.example")
    polls(world)
    (new,) = people(world)
    assert (new, "settled") == (
        world.known("customer", world.anna).crm_id,
        world.standing("customer", world.anna),
    )
    row = world.crm_row(new)
    assert ("new@prins.example", key("customer", world.anna)) == (
        row[MAIL[world.model]],
        row["Lightspeed_Customer_Key__c"],
    )
    assert new == world.sale_row(world.receipt)[FIELD[world.model]], "their receipts come with them"
    assert not world.problems()
    quiet(world)
    world.edit_in_crm(new, FirstName="Anne")
    world.sync()
    assert "Anne" == in_till(world, world.anna)[0]["firstName"]


def test_an_edit_and_a_deletion_at_the_same_time_is_an_edit(found):
    world = found()
    world.anna, world.crm_id = linked(world)
    world.edit_customer(world.anna, email="new@prins.example")
    delete(world)
    polls(world)
    (new,) = people(world)
    assert ("new@prins.example", new) == (
        world.crm_row(new)["PersonEmail"],
        world.known("customer", world.anna).crm_id,
    )


def test_a_customer_who_is_only_touched_stays_deleted(gone):
    """A sale moves the stamp of whoever bought; that is no edit of them."""
    world = gone
    world.floor.edit("Customer", world.anna, {})
    sale = world.ring(world.item(), customer=world.anna)
    polls(world)
    assert ([], "left_out") == (people(world), world.standing("customer", world.anna))
    assert world.sale_row(sale).get(FIELD[world.model]) is None


def test_somebody_forced_across_is_made_anew(gone):
    world = gone
    world.force(customers=[world.anna])
    (new,) = people(world)
    assert new == world.known("customer", world.anna).crm_id


def test_a_record_that_is_taken_out_of_the_recycle_bin_is_linked_again(gone):
    world = gone
    undelete(world)
    polls(world)
    assert ([world.crm_id], world.crm_id) == (people(world), world.known("customer", world.anna).crm_id)
    assert world.crm_id == world.sale_row(world.receipt)[FIELD[world.model]]
    world.edit_in_crm(world.crm_id, FirstName="Anne")
    polls(world)
    assert "Anne" == in_till(world, world.anna)[0]["firstName"]
    world.edit_customer(world.anna, email="new@prins.example")
    polls(world)
    assert "new@prins.example" == world.crm_row(world.crm_id)[MAIL[world.model]]
    quiet(world)


def test_a_record_that_comes_back_when_the_till_has_made_another_is_followed_by_nobody(gone):
    world = gone
    world.edit_customer(world.anna, email="new@prins.example")
    polls(world)
    (new,) = people(world)
    world.crm_row(world.crm_id)["Lightspeed_Customer_Key__c"] = None  # The key is taken: Salesforce drops it.
    undelete(world)
    polls(world)
    assert new == world.known("customer", world.anna).crm_id
    assert 2 == len(people(world)), "merging them is a person's choice"
    quiet(world)

"""What the random search has found: edits, merges and ends of processes that cross each other."""

import pytest
from world import key

from tillbridge.model.errors import Transient


def people(world, *names):
    """Load customers whom both sides agree on; return their ids in the till and in the CRM."""
    ids = [world.customer(first, last, email=f"{first}@{last}.example".lower()) for first, last in names]
    world.backfill()
    world.pass_time(minutes=20)
    world.sync()
    return ids, [world.row(world.person_object, key("customer", i))["Id"] for i in ids]


@pytest.mark.parametrize("mode", ["till_to_crm", "two_way"])
def test_an_edit_that_crosses_a_merge_in_the_crm_does_not_bring_the_old_link_back(world, mode):
    world.configure(customers=f'mode = "{mode}"\nother_authority = "ask"')
    (_, bea), (anna_crm, bea_crm) = people(world, ("Anna", "Prins"), ("Bea", "Lund"))
    world.org.merge(anna_crm, bea_crm)
    world.edit_customer(bea, email="later@lund.example")
    world.edit_in_crm(anna_crm, PersonEmail="other@prins.example")
    world.sync()
    assert anna_crm == world.known("customer", bea).crm_id
    world.pass_time(minutes=20)
    world.sync()
    assert anna_crm == world.known("customer", bea).crm_id


def emails_in_till(world, till_id):
    contact = world.till_row("Customer", till_id)["Contact"]
    return {each["useType"]: each["address"] for each in contact["Emails"]}


def test_a_lone_secondary_address_is_lost_on_neither_side(world):
    """The till shows it as the e-mail: that it seems to have moved there is no edit."""
    (anna,), (crm_id,) = people(world, ("Anna", "Prins"))
    second = {"Emails": {"ContactEmail": [{"address": "second@prins.example", "useType": "Secondary"}]}}
    world.floor.edit("Customer", anna, {"Contact": second})
    world.edit_in_crm(crm_id, PersonEmail=None)
    for _ in range(3):
        world.sync()
        world.pass_time(minutes=20)
    row = world.crm_row(crm_id)
    assert {"Secondary": "second@prins.example"} == emails_in_till(world, anna)
    assert (None, "second@prins.example") == (row.get("PersonEmail"), row["Lightspeed_Secondary_Email__c"])

    world.edit_in_crm(crm_id, PersonEmail="new@prins.example")
    for _ in range(3):
        world.sync()
        world.pass_time(minutes=20)
    both = {"Primary": "new@prins.example", "Secondary": "second@prins.example"}
    assert both == emails_in_till(world, anna)
    row = world.crm_row(crm_id)
    assert both == {"Primary": row["PersonEmail"], "Secondary": row["Lightspeed_Secondary_Email__c"]}


@pytest.mark.parametrize("side", ["till", "crm"])
def test_one_customer_forced_across_costs_two_calls_of_the_crm_at_most(world, side):
    (anna,), (crm_id,) = people(world, ("Anna", "Prins"))
    world.pass_time(minutes=20)
    if side == "till":
        world.edit_customer(anna, email="new@prins.example")
    else:
        world.edit_in_crm(crm_id, PersonEmail="new@prins.example")
    world.force(customers=[anna])
    assert ({"Primary": "new@prins.example"}, "new@prins.example") == (
        emails_in_till(world, anna),
        world.crm_row(crm_id)["PersonEmail"],
    )
    assert world.calls[1] <= 2, world.calls


def test_a_kill_between_both_writes_loses_no_edit_of_a_field_that_was_blank(world):
    """The CRM has confirmed the till's edit; the till cannot be reached with the CRM's."""
    (anna,), (crm_id,) = people(world, ("Anna", "Prins"))
    world.pass_time(minutes=20)
    world.edit_customer(anna, email="new@prins.example")
    world.edit_in_crm(crm_id, PersonHomePhone="+15185550188")
    world.fail_till("reset_before", "PUT .*/Customer/", times=20)
    with pytest.raises(Transient):
        world.sync()
    world.till_server.faults.clear()
    world.pass_time(minutes=20)
    world.sync()
    phones = world.till_row("Customer", anna)["Contact"]["Phones"]
    assert [{"number": "+15185550188", "useType": "Home"}] == phones

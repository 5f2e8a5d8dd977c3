"""A Lead becomes a contact or a person account: receipts and values go on with whom it became."""

import pytest
from test_story_both_ways import in_till, quiet, written
from test_story_safety import noted_sync, undo
from world import key

from tillbridge.simulators.salesforce.people import convert_lead

MAIL = {"Contact": "Email", "Account": "PersonEmail"}
MOBILE = {"Contact": "MobilePhone", "Account": "PersonMobilePhone"}
TITLE = {"Contact": "Title", "Account": "PersonTitle"}
CITY = {"Contact": "MailingCity", "Account": "PersonMailingCity"}
NO_MAIL = {"Contact": "HasOptedOutOfEmail", "Account": "PersonHasOptedOutOfEmail"}


@pytest.fixture(params=["Contact", "Account"])
def leads(found, request):
    """A world of leads, of whom one is linked. `becomes` is the object that a converted one lives on as."""
    world = found(model="lead", crm={"person_accounts": request.param == "Account"})
    world.becomes = request.param
    world.anna = world.customer(
        "Anna", "Prins", email="anna@prins.example", mobile="518-555-0147", address={"city": "Albany"}
    )
    flags = {"noEmail": False, "noPhone": False, "noMail": False}
    world.floor.edit("Customer", world.anna, {"Contact": flags})
    world.backfill()
    world.pass_time(minutes=20)
    quiet(world)
    world.lead = world.row("Lead", key("customer", world.anna))["Id"]
    return world


def convert(world):
    """Convert the lead; return whom it became."""
    world.pass_time(seconds=1)
    made = convert_lead(world.org, world.lead)
    return made["ConvertedContactId" if world.becomes == "Contact" else "ConvertedAccountId"]


def later(world):
    world.pass_time(minutes=20)


def test_nothing_is_written_over_by_a_conversion_and_only_blanks_are_filled(leads):
    world = leads
    before = in_till(world, world.anna)
    crm_id = convert(world)
    quiet(world)
    row, kind = world.crm_row(crm_id), world.becomes
    assert ("anna@prins.example", "+15185550147", "Albany") == (
        row[MAIL[kind]],
        row[MOBILE[kind]],
        row[CITY[kind]],
    )
    assert (key("customer", world.anna), str(world.anna)) == (
        row["Lightspeed_Customer_Key__c"],
        row["Lightspeed_Customer_ID__c"],
    )
    assert before == in_till(world, world.anna)
    assert (crm_id, "settled") == (
        world.known("customer", world.anna).crm_id,
        world.standing("customer", world.anna),
    )


def test_an_edit_in_the_till_reaches_whom_the_lead_became(leads):
    world = leads
    crm_id = convert(world)
    quiet(world)
    world.edit_customer(world.anna, email="new@prins.example", title="Dr")
    quiet(world)
    row = world.crm_row(crm_id)
    assert ("new@prins.example", "Dr") == (row[MAIL[world.becomes]], row[TITLE[world.becomes]])


def test_an_edit_of_whom_the_lead_became_reaches_the_till(leads):
    world = leads
    crm_id = convert(world)
    quiet(world)
    world.edit_in_crm(crm_id, FirstName="Anne", **{MAIL[world.becomes]: "anne@prins.example"})
    quiet(world)
    row, _, emails, phones = in_till(world, world.anna)
    assert ("Anne", {"Primary": "anne@prins.example"}) == (row["firstName"], emails)
    assert {"Mobile": "518-555-0147"} == phones, "what nobody has edited stays as it was typed"


def test_edits_that_cross_the_conversion_are_edits(leads):
    """Both were made before anybody here knew of the conversion."""
    world = leads
    later(world)
    world.edit_customer(world.anna, email="new@prins.example")
    crm_id = convert(world)
    world.edit_in_crm(crm_id, **{MOBILE[world.becomes]: "+15185550188"})
    quiet(world)
    _, _, emails, phones = in_till(world, world.anna)
    row = world.crm_row(crm_id)
    assert ("new@prins.example", "+15185550188") == (row[MAIL[world.becomes]], row[MOBILE[world.becomes]])
    assert ({"Primary": "new@prins.example"}, {"Mobile": "+15185550188"}) == (emails, phones)


def test_the_same_field_on_both_sides_waits_for_a_person_as_ever(leads):
    world = leads
    crm_id = convert(world)
    quiet(world)
    world.edit_customer(world.anna, email="till@prins.example")
    world.edit_in_crm(crm_id, **{MAIL[world.becomes]: "crm@prins.example"})
    before = written(world)[0], world.crm_row(crm_id)
    world.sync()
    assert before == (written(world)[0], world.crm_row(crm_id))
    assert "conflict" == world.standing("customer", world.anna)


def test_a_no_that_the_conversion_has_dropped_is_said_again(leads):
    world = leads
    world.edit_in_crm(world.lead, HasOptedOutOfEmail=True)
    quiet(world)
    assert in_till(world, world.anna)[1]["noEmail"]
    crm_id = convert(world)
    world.edit_in_crm(crm_id, **{NO_MAIL[world.becomes]: False})
    quiet(world)
    assert in_till(world, world.anna)[1]["noEmail"]
    assert world.crm_row(crm_id)[NO_MAIL[world.becomes]]


def test_what_was_written_after_a_conversion_is_undone_on_both_sides(leads):
    world = leads
    crm_id = convert(world)
    quiet(world)
    world.edit_customer(world.anna, email="wrong@prins.example")
    world.edit_in_crm(crm_id, FirstName="Wrong")
    run = noted_sync(world)
    assert ("Wrong", "wrong@prins.example") == (
        in_till(world, world.anna)[0]["firstName"],
        world.crm_row(crm_id)[MAIL[world.becomes]],
    )
    done = undo(world, run)
    assert ([], 2) == (done.skipped, len(done.done))
    quiet(world)
    assert ("Anna", "anna@prins.example") == (
        in_till(world, world.anna)[0]["firstName"],
        world.crm_row(crm_id)[MAIL[world.becomes]],
    )

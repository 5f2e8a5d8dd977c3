"""Customers both ways: an edit on either side reaches the other, both survive, nothing bounces back."""

import pytest
from world import QUIET, key

from tillbridge.engine.guard import approve
from tillbridge.simulators.salesforce import people as org_people

MAIL = {"person_account": "PersonEmail", "contact": "Email", "lead": "Email"}
MOBILE = {"person_account": "PersonMobilePhone", "contact": "MobilePhone", "lead": "MobilePhone"}
CITY = {"person_account": "PersonMailingCity", "contact": "MailingCity", "lead": "City"}
OPT_OUT = {
    "person_account": "PersonHasOptedOutOfEmail",
    "contact": "HasOptedOutOfEmail",
    "lead": "HasOptedOutOfEmail",
}


@pytest.fixture(params=["person_account", "contact", "lead"])
def any_model(found, request):
    return found(model=request.param)


def linked(world, **fields):
    """Load a customer whom the till and the CRM agree on; return both ids."""
    anna = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147", **fields)
    world.backfill()
    world.pass_time(minutes=20)
    quiet(world)
    return anna, world.row(world.person_object, key("customer", anna))["Id"]


def quiet(world):
    """Let the echoes of our own writes come back; then a poll writes nothing to either side."""
    world.sync()
    world.pass_time(minutes=20)
    writes = written(world)
    counts = world.sync()
    assert QUIET == world.calls[1]
    assert writes == written(world)
    return counts


def written(world):
    till = [str(row.get("timeStamp")) for row in world.till_app.world["Customer"].rows.values()]
    crm = [row["SystemModstamp"] for row in world.all_rows(world.person_object)]
    return till, crm


def in_till(world, till_id):
    row = world.till_row("Customer", till_id)
    contact = row["Contact"]
    emails = {each["useType"]: each["address"] for each in contact["Emails"]}
    phones = {each["useType"]: each["number"] for each in contact["Phones"]}
    return row, contact, emails, phones


def test_an_edit_in_the_crm_reaches_the_till_and_does_not_bounce(any_model):
    world = any_model
    anna, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne", **{MAIL[world.model]: "anne@prins.example"})
    counts = world.sync()

    row, _, emails, phones = in_till(world, anna)
    assert ("Anne", "Prins") == (row["firstName"], row["lastName"])
    assert {"Primary": "anne@prins.example"} == emails
    assert {"Mobile": "518-555-0147"} == phones, "what nobody has edited stays as it was typed"
    assert 1 == counts["updated in the till"]
    quiet(world)
    assert "anne@prins.example" == world.crm_row(crm_id)[MAIL[world.model]]


def test_edits_of_different_fields_on_both_sides_both_survive(any_model):
    world = any_model
    anna, crm_id = linked(world)
    world.edit_customer(anna, email="new@prins.example")
    world.edit_in_crm(crm_id, **{MOBILE[world.model]: "+15185550188"})
    world.sync()

    row, _, emails, phones = in_till(world, anna)
    crm = world.crm_row(crm_id)
    assert "Anna" == row["firstName"]
    assert ({"Primary": "new@prins.example"}, "new@prins.example") == (emails, crm[MAIL[world.model]])
    assert ({"Mobile": "+15185550188"}, "+15185550188") == (phones, crm[MOBILE[world.model]])
    quiet(world)


def test_a_field_that_both_sides_changed_waits_and_the_next_edit_decides(world):
    anna, crm_id = linked(world)
    world.edit_customer(anna, email="till@prins.example")
    world.edit_in_crm(crm_id, PersonEmail="crm@prins.example")
    world.sync()
    assert "conflict" == world.standing("customer", anna)
    assert "PersonEmail" in world.why("customer", anna)
    assert {"Primary": "till@prins.example"} == in_till(world, anna)[2]
    assert "crm@prins.example" == world.crm_row(crm_id)["PersonEmail"]

    world.pass_time(minutes=20)
    world.edit_customer(anna, email="later@prins.example")
    world.sync()
    assert "later@prins.example" == world.crm_row(crm_id)["PersonEmail"]
    assert "settled" == world.standing("customer", anna)
    with world.opened() as parts:
        changes = parts.changes.of([str(anna)])
    assert ("crm@prins.example", "later@prins.example", "conflict") in [
        (each.before, each.after, each.why) for each in changes
    ], "the loser is kept"
    quiet(world)


@pytest.mark.parametrize(
    ("authority", "wins"), [("till", "till@prins.example"), ("crm", "crm@prins.example")]
)
def test_the_authority_of_a_field_decides_and_the_loser_is_kept(world, authority, wins):
    world.configure(customers=f'authority = {{ PersonEmail = "{authority}" }}')
    anna, crm_id = linked(world)
    world.edit_customer(anna, email="till@prins.example")
    world.edit_in_crm(crm_id, PersonEmail="crm@prins.example")
    world.sync()

    assert {"Primary": wins} == in_till(world, anna)[2]
    assert wins == world.crm_row(crm_id)["PersonEmail"]
    with world.opened() as parts:
        lost = {each.before for each in parts.changes.of([str(anna)]) if each.why == "conflict"}
    assert {"till@prins.example", "crm@prins.example"} - {wins} == lost
    quiet(world)


def test_somebody_whom_a_person_marks_enters_the_till_with_their_flags_said(any_model):
    world = any_model
    world.backfill()
    world.pass_time(minutes=1)
    crm_id = world.person(
        "Bea",
        "Lund",
        email="bea@lund.example",
        Send_To_Lightspeed__c=True,
        **{OPT_OUT[world.model]: True},
    )
    prospect = world.person("Carl", "Prospect", email="carl@prospect.example")
    world.sync()

    (bea,) = (r for r in world.till_app.world["Customer"].rows.values() if r["lastName"] == "Lund")
    row, contact, emails, _ = in_till(world, bea["customerID"])
    assert ("Bea", {"Primary": "bea@lund.example"}) == (row["firstName"], emails)
    assert (True, False, False) == (contact["noEmail"], contact["noPhone"], contact["noMail"])
    assert key("customer", bea["customerID"]) == world.crm_row(crm_id)["Lightspeed_Customer_Key__c"]
    assert "settled" == world.standing("customer", bea["customerID"])
    assert world.crm_row(prospect).get("Lightspeed_Customer_Key__c") is None
    assert 1 == len(world.till_app.world["Customer"].rows), "a prospect stays where it is"
    quiet(world)


def test_a_create_whose_answer_is_lost_is_looked_up_and_not_repeated(world):
    world.backfill()
    world.pass_time(minutes=1)
    world.person("Bea", "Lund", Send_To_Lightspeed__c=True)
    world.fail_till("reset_after", "POST .*/Customer.json")
    world.sync()
    assert (1, 0) == world.suffered()
    assert 1 == len(world.till_app.world["Customer"].rows)
    world.sync()
    world.pass_time(minutes=20)
    world.sync()
    (bea,) = world.till_app.world["Customer"].rows.values()
    assert 1 == len(world.all_rows("Account"))
    assert "settled" == world.standing("customer", bea["customerID"])
    quiet(world)


def test_somebody_the_till_knows_already_is_linked_and_not_created(world):
    bea = world.customer("Bea", "Lund", email="bea@lund.example", archived=False)
    world.configure(customers='mode = "link_only"')
    world.backfill()
    world.configure()
    world.pass_time(minutes=1)
    crm_id = world.person("Bea", "Lund", email="bea@lund.example", Send_To_Lightspeed__c=True)
    world.sync()
    world.sync()
    assert [bea] == list(world.till_app.world["Customer"].rows)
    assert crm_id == world.known("customer", bea).crm_id


def test_an_opt_out_that_was_seen_goes_across_and_never_comes_back(world):
    contact = {"noEmail": False, "noPhone": False, "noMail": False}
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.floor.edit("Customer", anna, {"Contact": contact})
    world.backfill()
    world.pass_time(minutes=20)
    quiet(world)
    crm_id = world.row("Account", key("customer", anna))["Id"]
    assert not world.crm_row(crm_id)["PersonHasOptedOutOfEmail"]

    world.edit_in_crm(crm_id, PersonHasOptedOutOfEmail=True)
    world.sync()
    assert in_till(world, anna)[1]["noEmail"]
    world.pass_time(minutes=20)
    world.edit_in_crm(crm_id, PersonHasOptedOutOfEmail=False)
    world.sync()
    assert in_till(world, anna)[1]["noEmail"], "no opt-out turns into an opt-in by us"
    quiet(world)


@pytest.mark.parametrize("mode", ["till_to_crm", "link_only"])
def test_in_one_way_modes_the_till_is_never_written(world, mode):
    world.configure(customers=f'mode = "{mode}"')
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    crm_id = world.person("Anna", "Prins", email="anna@prins.example", Send_To_Lightspeed__c=True)
    world.backfill()
    world.pass_time(minutes=20)
    world.sync()
    world.edit_in_crm(crm_id, FirstName="Anne")
    before = written(world)[0]
    world.sync()
    assert before == written(world)[0]
    assert "Anna" == in_till(world, anna)[0]["firstName"]


def test_the_first_change_in_the_till_waits_until_a_person_agrees(world):
    world.configure(safety="")
    anna, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne")
    counts = world.sync()
    assert ("Anna", 1) == (in_till(world, anna)[0]["firstName"], counts["held back"])
    assert "held" == world.standing("customer", anna)
    with world.connected() as connection:
        (plan,) = connection.plans.in_state("open")
        assert {"FirstName": ("Anna", "Anne")} == plan.entries[0].fields
        approve(connection, plan.id, "the owner")
    world.sync()
    assert "Anne" == in_till(world, anna)[0]["firstName"]
    assert "settled" == world.standing("customer", anna)
    world.pass_time(minutes=20)
    world.edit_in_crm(crm_id, FirstName="Anja")
    world.sync()
    assert "Anja" == in_till(world, anna)[0]["firstName"], "only the first one is asked about"


def test_somebody_of_the_crm_is_sent_across_by_their_id_there(any_model):
    world = any_model
    anna, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne")
    world.force(people=[crm_id])
    assert "Anne" == in_till(world, anna)[0]["firstName"]
    assert world.calls[1] <= 2

    carl = world.person("Carl", "Prospect", email="carl@prospect.example")
    world.force(people=[carl])
    (row,) = (r for r in world.till_app.world["Customer"].rows.values() if r["lastName"] == "Prospect")
    assert carl == world.known("customer", row["customerID"]).crm_id
    assert world.calls[1] <= 2
    world.pass_time(minutes=20)
    quiet(world)


def test_a_stranger_of_the_same_name_is_not_taken_for_whom_we_announced(world):
    world.backfill()
    world.pass_time(minutes=1)
    crm_id = world.person("Bea", "Lund", Send_To_Lightspeed__c=True)
    world.fail_till("reset_before", "POST .*/Customer.json")
    world.sync()
    stranger = world.customer("Bea", "Lund", email="other@lund.example", mobile="518-555-0101")
    world.sync()
    world.sync()
    assert crm_id != world.known("customer", stranger).crm_id
    assert not world.crm_row(crm_id).get("PersonEmail")
    with world.opened() as parts:
        arrival = parts.arrivals.get([crm_id])[crm_id]
    assert ("review", str(stranger)) == (arrival.state, arrival.detail["candidates"][0]["till_id"])


def test_a_merge_into_a_blank_record_clears_nothing_in_the_till(world):
    anna, crm_id = linked(world)
    blank = world.person("Anna", "Prins")
    org_people.merge(world.org, blank, crm_id)
    world.pass_time(minutes=1)
    world.sync()
    _, _, emails, phones = in_till(world, anna)
    assert {"Primary": "anna@prins.example"} == emails
    assert {"Mobile": "518-555-0147"} == phones
    assert "anna@prins.example" == world.crm_row(blank)["PersonEmail"], "its blanks are filled"
    quiet(world)


def test_what_a_second_till_record_was_not_given_does_not_fall_to_its_own_edit(world):
    first = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")
    world.backfill()
    second = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")
    world.pass_time(minutes=20)
    quiet(world)
    crm_id = world.known("customer", first).crm_id
    assert (crm_id, "second") == (
        world.known("customer", second).crm_id,
        world.known("customer", second).role,
    )
    world.edit_in_crm(crm_id, PersonMobilePhone="+15185550188")
    world.sync()
    assert {"Mobile": "+15185550188"} == in_till(world, first)[3]
    world.pass_time(minutes=20)
    world.edit_customer(second, mobile="")
    world.sync()
    world.pass_time(minutes=20)
    world.sync()
    assert "+15185550188" == world.crm_row(crm_id)["PersonMobilePhone"], "an edit beats a deletion"
    assert {"Mobile": "+15185550188"} == in_till(world, first)[3]


def test_an_opt_out_reaches_every_till_record_of_the_person(world):
    flags = {"Contact": {"noEmail": False, "noPhone": False, "noMail": False}}
    first = world.customer("Anna", "Prins", email="anna@prins.example")
    world.floor.edit("Customer", first, flags)
    world.backfill()
    second = world.customer("Anna", "Prins", email="anna@prins.example")
    world.floor.edit("Customer", second, flags)
    world.pass_time(minutes=20)
    quiet(world)
    world.edit_in_crm(world.known("customer", first).crm_id, PersonHasOptedOutOfEmail=True)
    world.sync()
    assert [True, True] == [in_till(world, i)[1]["noEmail"] for i in (first, second)]


def test_an_archived_customer_catches_up_when_it_is_revived(world):
    anna, crm_id = linked(world)
    world.edit_customer(anna, archived=True)
    world.sync()
    world.pass_time(minutes=20)
    world.edit_in_crm(crm_id, FirstName="Anne")
    world.sync()
    assert "Anna" == in_till(world, anna)[0]["firstName"]
    world.pass_time(minutes=20)
    world.edit_customer(anna, archived=False)
    world.sync()
    assert "Anne" == in_till(world, anna)[0]["firstName"]

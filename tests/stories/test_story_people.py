"""People: who is who, who is created, and whose words count when both sides have edited."""

import pytest
from world import QUIET, key

from tillbridge.simulators.lightspeed import customers as till_customers
from tillbridge.simulators.salesforce import people as org_people


def person(world, customer):
    return world.row(world.person_object, key("customer", customer))


def people(world):
    return [row for row in world.all_rows(world.person_object) if row.get("LastName")]


MAIL = {"person_account": "PersonEmail", "contact": "Email", "lead": "Email"}
MOBILE = {"person_account": "PersonMobilePhone", "contact": "MobilePhone", "lead": "MobilePhone"}
CITY = {"person_account": "PersonMailingCity", "contact": "MailingCity", "lead": "City"}


@pytest.fixture(params=["person_account", "contact", "lead"])
def any_model(request, found):
    return found(model=request.param)


# --- who is who -----------------------------------------------------------------------------------


def test_somebody_nobody_knows_is_created_once(any_model):
    world = any_model
    anna = world.customer(
        "Anna",
        "Prins",
        email="anna@prins.example",
        mobile="518-555-0147",
        address={"city": "Albany", "zip": "12207"},
    )
    world.backfill()

    row = person(world, anna)
    assert ("Anna", "Prins", "Albany") == (row["FirstName"], row["LastName"], row[CITY[world.model]])
    assert ("anna@prins.example", "+15185550147") == (row[MAIL[world.model]], row[MOBILE[world.model]])
    assert 1 == len(people(world))
    assert "settled" == world.standing("customer", anna)
    world.sync()
    assert QUIET == world.calls[1]


def test_what_staff_note_and_fill_in_at_the_till_lands_without_configuration(any_model):
    world = any_model
    fields = [
        world.floor.add("CustomField", {"name": name})["customFieldID"] for name in ("VIP", "Ring size")
    ]
    values = [{"customFieldID": i, "value": said} for i, said in zip(fields, ("yes", "52.5"), strict=True)]
    anna = world.customer(
        "Anna",
        "Prins",
        Note={"note": "Rings before she comes."},
        CustomFieldValues={"CustomFieldValue": values},
    )
    world.backfill()

    row = person(world, anna)
    told = (row["Lightspeed_Note__c"], row["Lightspeed_Custom_Fields__c"])
    assert ("Rings before she comes.", "Ring size: 52.5\nVIP: yes") == told
    world.pass_time(minutes=30)
    world.sync()
    assert QUIET == world.calls[1]


def test_somebody_with_the_same_mail_and_a_like_name_is_linked_and_only_blanks_are_filled(any_model):
    world = any_model
    own = world.person("Annie", "Prins", email="ANNA@prins.example")
    anna = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")
    world.backfill()

    row = world.crm_row(own)
    assert 1 == len(people(world))
    assert ("Annie", "+15185550147") == (row["FirstName"], row[MOBILE[world.model]])
    assert key("customer", anna) == row["Lightspeed_Customer_Key__c"]
    assert "linked by email" == world.why("customer", anna)


def test_the_same_mail_with_another_name_is_a_persons_choice(any_model):
    world = any_model
    own = world.person("Otto", "Kramer", email="anna@prins.example")
    anna, item = world.customer("Anna", "Prins", email="anna@prins.example"), world.item()
    world.backfill()
    sale = world.ring(item, customer=anna)
    world.sync()

    assert [own] == [row["Id"] for row in people(world)]
    assert "review" == world.standing("customer", anna)
    row = world.sale_row(sale)
    assert key("customer", anna) == row["Customer_Key__c"]
    assert not any(row.get(name) for name in ("Account__c", "Contact__c", "Lead__c"))
    assert "waiting" == world.standing("sale", sale)
    assert f"customer {anna}" in world.why("sale", sale)
    assert "In Review" == row["Customer_Status__c"]
    identity = world.row("Customer_Identity__c", key("customer", anna))
    assert "In Review" == identity["Status__c"]

    with world.opened() as parts:
        [review] = parts.people.reviews()
    assert [own] == [each["crm_id"] for each in review.detail["candidates"]]
    world.sync()
    assert QUIET == world.calls[1]


def test_a_person_in_review_is_attached_when_somebody_writes_our_key(any_model):
    world = any_model
    own = world.person("Otto", "Kramer", email="anna@prins.example")
    anna, item = world.customer("Anna", "Prins", email="anna@prins.example"), world.item()
    world.backfill()
    sale = world.ring(item, customer=anna)
    world.sync()

    world.edit_in_crm(own, Lightspeed_Customer_Key__c=key("customer", anna))
    world.pass_time(minutes=1)
    world.edit_customer(anna, mobile="518-555-0147")
    world.sync()
    world.sync()

    assert ("settled", own) == (world.standing("customer", anna), world.known("customer", anna).crm_id)
    field = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}[world.model]
    assert own == world.sale_row(sale)[field]
    assert "settled" == world.standing("sale", sale)
    assert "Active" == world.row("Customer_Identity__c", key("customer", anna))["Status__c"]


@pytest.mark.parametrize("together", [True, False], ids=["in one read", "years apart"])
def test_a_second_till_record_of_a_person_creates_nobody(any_model, together):
    world = any_model
    first = world.customer("Anna", "Prins", email="anna@prins.example")
    if not together:
        world.backfill()
        world.pass_time(hours=1)
    second = world.customer("Ann", "Prins", email="anna@prins.example", mobile="518-555-0147")
    (world.backfill if together else world.sync)()

    assert 1 == len(people(world))
    one = person(world, first)
    assert [one["Id"]] * 2 == [world.known("customer", i).crm_id for i in (first, second)]
    identities = world.rows("Customer_Identity__c")
    assert {key("customer", first), key("customer", second)} == set(identities)
    field = f"{world.person_object}__c"
    assert {one["Id"]} == {row[field] for row in identities.values()}
    assert str(first) == one["Lightspeed_Customer_ID__c"]

    item = world.item()
    sale = world.ring(item, customer=second)
    world.sync()
    assert one["Id"] == world.sale_row(sale)[field]


def test_two_people_who_share_a_mailbox_in_the_till_stay_two(world):
    anna = world.customer("Anna", "Prins", email="family@prins.example")
    otto = world.customer("Otto", "Prins", email="family@prins.example")
    world.backfill()

    assert person(world, anna)["Id"] != person(world, otto)["Id"]


def test_somebody_archived_is_never_created_and_an_unknown_one_is_told_so(world):
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.floor.archive("Customer", anna)
    world.backfill()

    assert [] == people(world)
    assert ("left_out", True) == (world.standing("customer", anna), "archived" in world.why("customer", anna))


def test_an_anonymised_customer_overwrites_nothing(any_model):
    world = any_model
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    world.pass_time(minutes=1)
    till_customers.anonymize(world.till_app.world, world.till_row("Customer", anna))
    world.sync()

    row = person(world, anna)
    assert ("Anna", "Prins", "anna@prins.example") == (
        row["FirstName"],
        row["LastName"],
        row[MAIL[world.model]],
    )


def test_a_company_without_a_person_has_a_name(world):
    firm = world.customer(company="Prins & Sons")
    nobody = world.customer()
    world.backfill()

    assert "Prins & Sons" == person(world, firm)["LastName"]
    assert f"Customer {nobody}" == person(world, nobody)["LastName"]


def test_a_contact_lives_in_an_account_of_its_own(found):
    world = found(model="contact")
    anna = world.customer("Anna", "Prins", company="Prins & Sons")
    otto = world.customer("Otto", "Kramer")
    item = world.item()
    world.backfill()
    sale = world.ring(item, customer=anna)
    world.sync()

    accounts = world.rows("Account")
    assert ("Prins & Sons", "Otto Kramer") == tuple(
        accounts[key("customer", i)]["Name"] for i in (anna, otto)
    )
    contact, row = person(world, anna), world.sale_row(sale)
    assert accounts[key("customer", anna)]["Id"] == contact["AccountId"] == row["Account__c"]
    assert contact["Id"] == row["Contact__c"]


def test_a_lead_that_was_converted_keeps_its_receipts_coming(found):
    world = found(model="lead")
    anna, item = world.customer("Anna", "Prins", email="anna@prins.example"), world.item()
    world.backfill()
    lead = person(world, anna)["Id"]
    world.pass_time(minutes=1)
    org_people.convert_lead(world.org, lead)
    world.edit_customer(anna, mobile="518-555-0147")
    sale = world.ring(item, customer=anna)
    world.sync()

    contact = world.org.rows("Lead")[lead]["ConvertedContactId"]
    account = world.org.rows("Lead")[lead]["ConvertedAccountId"]
    row = world.sale_row(sale)
    assert (lead, contact, account) == (row["Lead__c"], row["Contact__c"], row["Account__c"])
    assert "settled" == world.standing("sale", sale)
    assert 0 == len(world.problems())


@pytest.mark.parametrize("rewrites", [True, False], ids=["old sales move", "old sales stay"])
def test_a_merge_in_the_till_loses_no_receipt(found, rewrites):
    world = found(till={"merge_rewrites_sales": rewrites, "updatetime_moves_on_merge": rewrites})
    item = world.item()
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    otto = world.customer("Otto", "Kramer", email="otto@kramer.example")
    world.backfill()
    sale = world.ring(item, customer=otto)
    world.sync()
    world.pass_time(minutes=1)
    world.floor.merge(anna, otto)
    world.sync()

    owner = anna if rewrites else otto
    assert person(world, owner)["Id"] == world.sale_row(sale)["Account__c"]
    assert [] == world.differences()


# --- whose words count ----------------------------------------------------------------------------


def _linked(world):
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")
    world.backfill()
    world.pass_time(hours=1)
    world.anna_id = person(world, world.anna)["Id"]
    return world


@pytest.fixture
def linked(world):
    return _linked(world)


@pytest.fixture
def linked_in_any_model(any_model):
    return _linked(any_model)


def test_an_edit_in_the_till_changes_that_field_and_leaves_an_edit_in_the_crm_alone(linked_in_any_model):
    world = linked_in_any_model
    world.edit_in_crm(world.anna_id, **{MAIL[world.model]: "anna@new.example"})
    world.edit_customer(world.anna, mobile="518-555-0199")
    world.sync()

    row = person(world, world.anna)
    assert ("anna@new.example", "+15185550199") == (row[MAIL[world.model]], row[MOBILE[world.model]])
    assert "settled" == world.standing("customer", world.anna)
    world.sync()
    assert QUIET == world.calls[1]


def test_an_edit_of_one_field_on_both_sides_is_a_conflict_and_overwrites_nothing(linked_in_any_model):
    world = linked_in_any_model
    world.edit_in_crm(world.anna_id, **{MAIL[world.model]: "anna@crm.example"})
    world.edit_customer(world.anna, email="anna@till.example")
    world.sync()

    assert "anna@crm.example" == person(world, world.anna)[MAIL[world.model]]
    assert "conflict" == world.standing("customer", world.anna)
    assert MAIL[world.model] in world.why("customer", world.anna)

    world.pass_time(minutes=1)
    world.edit_customer(world.anna, mobile="518-555-0199")
    world.sync()
    row = person(world, world.anna)
    assert ("anna@crm.example", "+15185550199") == (row[MAIL[world.model]], row[MOBILE[world.model]])


def test_the_same_edit_on_both_sides_is_no_conflict(linked):
    world = linked
    world.edit_in_crm(world.anna_id, **{MOBILE[world.model]: "(518) 555-0199"})
    world.edit_customer(world.anna, mobile="518 555 0199")
    world.sync()

    assert "(518) 555-0199" == person(world, world.anna)[MOBILE[world.model]]
    assert "settled" == world.standing("customer", world.anna)


def test_what_the_till_empties_is_emptied_in_the_crm(linked):
    world = linked
    world.edit_customer(world.anna, title="Dr")
    world.sync()
    world.pass_time(minutes=1)
    world.floor.edit("Customer", world.anna, {"title": ""})
    world.sync()

    title = "PersonTitle" if world.model == "person_account" else "Title"
    assert person(world, world.anna).get(title) is None


def test_a_record_that_was_touched_but_not_changed_costs_nothing(linked):
    world = linked
    row = world.till_row("Customer", world.anna)
    world.till_app.world["Customer"].change(row, timeStamp=world.clock.now())
    world.sync()

    assert QUIET == world.calls[1]


@pytest.mark.parametrize(
    ("mode", "created", "mobile", "name"),
    [
        ("two_way", True, "+15185550147", "Ada"),
        ("till_to_crm", True, "+15185550147", "Ada"),
        ("fill_blanks", True, "+15185550147", "Anna"),
        ("link_only", False, None, "Anna"),
    ],
)
def test_the_mode_says_what_may_be_written(world, mode, created, mobile, name):
    own = world.person("Anna", "Prins", email="anna@prins.example")
    world.configure(customers=f'mode = "{mode}"')
    anna = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")
    bo = world.customer("Bo", "Lund", email="bo@lund.example")
    world.backfill()
    assert mobile == world.crm_row(own).get("PersonMobilePhone")
    assert own == world.known("customer", anna).crm_id
    assert created == (key("customer", bo) in world.rows("Account"))

    world.pass_time(hours=1)
    world.edit_customer(anna, firstName="Ada")
    world.sync()
    assert name == world.crm_row(own)["FirstName"]


def test_a_created_customer_belongs_to_whom_the_store_says(world):
    item = world.item()
    world.backfill()
    store = world.row("Retail_Store__c", key("store", 1))["Id"]
    seller = world.org.add_user("seller@shop.example", "Sally Seller")
    world.edit_in_crm(store, Default_Owner__c=seller.id)
    world.pass_time(minutes=30)
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.ring(item, customer=anna)
    world.sync()

    assert seller.id == person(world, anna)["OwnerId"]
    world.edit_in_crm(store, Default_Owner__c=None)
    world.pass_time(hours=2)
    world.edit_customer(anna, mobile="518-555-0147")
    world.sync()
    assert seller.id == person(world, anna)["OwnerId"]


def test_forcing_a_customer_across_says_what_became_of_it(world):
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    delivery = world.force(customers=[anna])

    assert person(world, anna)["Id"] == delivery.acks["customer", str(anna)].id

"""A person with several till records: which of them speaks for the person, and when another does."""

import pytest
from test_story_both_ways import in_till, quiet

MOBILE = {"person_account": "PersonMobilePhone", "contact": "MobilePhone", "lead": "MobilePhone"}


@pytest.fixture(params=["person_account", "contact", "lead"])
def twice(found, request):
    """Anna, whom the till holds twice and the CRM once."""
    return held_twice(found(model=request.param))


def held_twice(world):
    world.first = enter(world)
    world.backfill()
    world.pass_time(minutes=20)
    world.second = enter(world)
    quiet(world)
    world.crm_id = world.known("customer", world.first).crm_id
    assert ["created", "second"] == roles(world)
    return world


def enter(world):
    return world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")


def roles(world):
    return [world.known("customer", i).role for i in (world.first, world.second)]


def polls(world, count=2):
    for _ in range(count):
        world.sync()
        world.pass_time(minutes=20)


def mobiles(world):
    return [in_till(world, i)[3]["Mobile"] for i in (world.first, world.second)]


def test_when_the_first_is_archived_the_other_is_given_what_the_crm_moves(twice):
    world = twice
    world.edit_in_crm(world.crm_id, FirstName="Anne")
    polls(world)
    assert ["Anne", "Anna"] == [in_till(world, i)[0]["firstName"] for i in (world.first, world.second)]
    world.floor.archive("Customer", world.first)
    polls(world)
    assert "Anne" == in_till(world, world.second)[0]["firstName"], "it catches up"
    world.edit_in_crm(world.crm_id, **{MOBILE[world.model]: "+15185550188"})
    polls(world)
    assert ["518-555-0147", "+15185550188"] == mobiles(world)
    quiet(world)
    row = world.crm_row(world.crm_id)
    assert str(world.second) == row["Lightspeed_Customer_ID__c"]
    assert 1 == sum(r.get("LastName") == "Prins" for r in world.all_rows(world.person_object))
    assert "speaks for the person" in world.why("customer", world.second)
    assert "second till record" in world.why("customer", world.first)


def test_an_edit_of_the_other_reaches_the_crm_as_ever(twice):
    world = twice
    world.floor.archive("Customer", world.first)
    polls(world)
    world.edit_customer(world.second, mobile="518-555-0199")
    polls(world)
    assert "+15185550199" == world.crm_row(world.crm_id)[MOBILE[world.model]]
    quiet(world)


def test_a_record_that_comes_back_from_the_archive_does_not_take_the_word_again(found):
    world = held_twice(found())
    world.floor.archive("Customer", world.first)
    polls(world)
    world.edit_customer(world.first, archived=False)
    polls(world)
    assert "second" == roles(world)[0]
    world.edit_in_crm(world.crm_id, PersonMobilePhone="+15185550188")
    polls(world)
    assert ["518-555-0147", "+15185550188"] == mobiles(world)
    quiet(world)


def test_somebody_who_is_entered_anew_after_the_first_was_archived_speaks(found):
    world = found()
    world.first = enter(world)
    world.backfill()
    world.pass_time(minutes=20)
    world.floor.archive("Customer", world.first)
    quiet(world)
    world.second = enter(world)
    polls(world)
    world.crm_id = world.known("customer", world.first).crm_id
    assert (world.crm_id, "second") == (world.known("customer", world.second).crm_id, roles(world)[0])
    world.edit_in_crm(world.crm_id, PersonMobilePhone="+15185550188")
    polls(world)
    assert ["518-555-0147", "+15185550188"] == mobiles(world)
    quiet(world)


def test_while_all_are_archived_nobody_speaks_and_the_one_revived_does(found):
    world = held_twice(found())
    for each in (world.first, world.second):
        world.floor.archive("Customer", each)
    polls(world)
    world.edit_in_crm(world.crm_id, PersonMobilePhone="+15185550188")
    polls(world)
    assert ["518-555-0147"] * 2 == mobiles(world)
    world.edit_customer(world.second, archived=False)
    polls(world, 3)
    assert ["518-555-0147", "+15185550188"] == mobiles(world)
    quiet(world)

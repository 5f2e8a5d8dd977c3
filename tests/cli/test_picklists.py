"""`problems fix CAUSE --add-picklist-value`: the list takes the value, and everything behind it lands."""

import pytest

SALE = "Sales_Transaction__c"


def listed_field(world, name=SALE, field="Register__c", values=("Counter", "Web"), **more):
    """Let an admin turn a text field into a restricted picklist."""
    held = world.org.tables[name].sobject.fields[field]
    held.type, held.restricted, held.values = "picklist", True, list(values)
    for key, value in more.items():
        setattr(held, key, value)
    world.org.touch()
    return held


@pytest.fixture
def shop(world):
    world.cli("backfill")
    world.register = world.till_row("Register", 1)["name"]
    return world


def refused(world, count=3):
    world.held = listed_field(world)
    world.sales = [world.ring(world.ring_id) for _ in range(count)]
    assert 1 == world.cli("sync").status
    return cause_of(world)


def cause_of(world):
    [cause] = world.cli("problems", "--json").document["causes"]
    assert "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST" == cause["code"]
    return cause["cause"]


def landed(world):
    return {world.sale_row(sale)["Register__c"] for sale in world.sales}


def test_one_command_adds_the_value_and_all_records_of_the_cause_land(shop):
    cause = refused(shop)
    ran = shop.cli("problems", "fix", cause, "--add-picklist-value")

    assert (0, True, True) == (
        ran.status,
        f"Added to the picklist: {shop.register}." in ran.said,
        "3 of 3 accepted." in ran.said,
    )
    assert ["Counter", "Web", shop.register] == shop.held.values, "no value was lost"
    assert {shop.register} == landed(shop)
    assert (0, "No problems.\n") == ((ran := shop.cli("problems")).status, ran.out)


def test_several_values_of_one_cause_are_added_together(shop):
    refused(shop, count=1)
    shop.floor.edit("Register", 1, {"name": "Kiosk"})
    shop.pass_time(hours=2)
    shop.sales.append(shop.ring(shop.ring_id))
    shop.cli("sync")
    shop.cli("doctor")
    ran = shop.cli("problems", "fix", cause_of(shop), "--add-picklist-value", "--json")
    assert ({shop.register, "Kiosk"}, []) == (set(ran.document["added"]), ran.document["refused"])


def test_a_value_that_was_taken_out_of_use_is_revived(shop):
    cause = refused(shop)
    shop.held.inactive = [shop.register]
    assert 0 == shop.cli("problems", "fix", cause, "--add-picklist-value").status
    assert (["Counter", "Web", shop.register], []) == (shop.held.values, shop.held.inactive)


def test_a_value_of_a_global_value_set_is_added_there(shop):
    cause = refused(shop)
    shop.held.value_set = "Registers"
    twin = listed_field(shop, "Retail_Store__c", "Time_Zone__c", value_set="Registers")
    assert 0 == shop.cli("problems", "fix", cause, "--add-picklist-value").status
    assert shop.held.values == twin.values == ["Counter", "Web", shop.register]


def test_a_value_that_somebody_has_added_meanwhile_only_releases(shop):
    cause = refused(shop)
    shop.held.values.append(shop.register)
    shop.org.touch()
    ran = shop.cli("problems", "fix", cause, "--add-picklist-value")
    assert (0, True) == (ran.status, "The picklist has the value already." in ran.said)
    assert {shop.register} == landed(shop)


def test_what_a_bulk_job_was_refused_for_is_added_too(world):
    world.register = world.till_row("Register", 1)["name"]
    world.held = listed_field(world)
    world.sales = [world.first, world.second]
    world.cli("backfill")
    ran = world.cli("problems", "fix", cause_of(world), "--add-picklist-value")
    assert (0, {world.register}) == (ran.status, landed(world))


@pytest.mark.parametrize("denies", ["403", "invalid_type"])
def test_who_may_not_customize_is_told_what_to_click_and_nothing_is_changed(shop, denies):
    cause = refused(shop)
    shop.org.switches |= {"customize_application": False, "tooling_denies": denies}
    ran = shop.cli("problems", "fix", cause, "--add-picklist-value")

    assert (2, "") == (ran.status, ran.out)
    for words in ("Customize Application", "Setup, Object Manager", SALE, "Register__c", shop.register):
        assert words in ran.said
    assert ["Counter", "Web"] == shop.held.values
    shop.held.values.append(shop.register)
    shop.org.touch()
    assert 0 == shop.cli("problems", "retry", "--cause", cause).status, "a person has clicked"


def test_a_standard_field_is_left_to_a_person(shop):
    listed_field(shop, "Account", "Site", values=("Shop",))
    shop.configure('[map.customer]\nSite = "first_name"')
    shop.customer("Anna", "Prins", email="anna@prins.example")
    shop.cli("sync")
    ran = shop.cli("problems", "fix", cause_of(shop), "--add-picklist-value")
    assert ("Salesforce's own field" in ran.said, "Setup, Object Manager, Account" in ran.said) == (
        True,
        True,
    )


def test_a_field_that_is_no_list_at_all_is_not_filled_with_values(shop):
    shop.held = listed_field(shop, "Sales_Transaction__c", "Ticket_Number__c", values=("1",))
    shop.sales = [shop.ring(shop.ring_id) for _ in range(21)]
    shop.cli("sync")
    ran = shop.cli("problems", "fix", cause_of(shop), "--add-picklist-value")
    assert (2, True) == (ran.status, "21 different values are missing" in ran.said)
    assert ["1"] == shop.held.values


def test_another_kind_of_refusal_is_no_matter_for_a_picklist(shop):
    shop.refuse(SALE, "Total__c", 324.0, message="too many at once")
    shop.ring((shop.ring_id, 3, None))
    shop.cli("sync")
    [cause] = shop.cli("problems", "--json").document["causes"]
    ran = shop.cli("problems", "fix", cause["cause"], "--add-picklist-value")
    assert (2, True) == (ran.status, "no value that a picklist lacks" in ran.said)

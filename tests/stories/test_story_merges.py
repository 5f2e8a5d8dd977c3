"""Merges and deletions on either side: history follows, old ids resolve, nobody is created or deleted."""

import pytest
from world import key

from tillbridge.cli.desk import ledger_of
from tillbridge.engine.crosscheck import CHECKS, run_check
from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import sync
from tillbridge.views.person import person

FIELD = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}
MAIL = {"person_account": "PersonEmail", "contact": "Email", "lead": "Email"}


@pytest.fixture(params=["person_account", "contact", "lead"])
def two(request, found):
    """Anna and Ben, both linked, a receipt each, and a quiet while since."""
    return two_people(found(model=request.param))


def two_people(world):
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.ben = world.customer("Ben", "Oduya", email="ben@oduya.example")
    world.item_id = world.item()
    world.backfill()
    world.receipts = [world.ring(world.item_id, customer=each) for each in (world.anna, world.ben)]
    world.sync()
    world.annas, world.bens = (world.known("customer", each).crm_id for each in (world.anna, world.ben))
    later(world)
    world.sync()
    return world


def later(world):
    world.pass_time(minutes=30)


def people(world):
    return sorted(row["Id"] for row in world.all_rows(world.person_object) if row.get("LastName"))


def buyers(world):
    return [world.sale_row(each).get(FIELD[world.model]) for each in world.receipts]


def explained(world, text):
    with world.opened() as parts:
        return person(ledger_of(world.home, {}, parts.state, parts.vault), str(text))


def checked(world):
    with world.connected() as connection:
        sync(connection)
        return run_check(connection, next(c for c in CHECKS if c.name == "archived customers")).counts


def swept(world):
    counts = 0
    for _ in range(3):
        with world.connected() as connection:
            sync(connection)
            counts += sweep(connection, full=True).counts["merges followed"]
    return counts


# --- in the till ------------------------------------------------------------------------------------


@pytest.mark.parametrize("deletes", [False, True], ids=["the loser is archived", "the loser is deleted"])
@pytest.mark.parametrize("model", ["person_account", "contact", "lead"])
def test_a_merge_in_the_till_brings_history_under_the_one_that_stays(found, model, deletes):
    world = two_people(found(model=model, till={"merge_deletes_secondary": deletes}))
    before = people(world)
    world.floor.merge(keep=world.ben, lose=world.anna)
    later(world)
    if deletes:
        assert 1 == swept(world)
    else:
        assert 1 == checked(world)["merges followed"]

    assert before == people(world), "nobody was created, nobody deleted"
    assert [world.bens] * 2 == buyers(world)
    identity = world.row("Customer_Identity__c", key("customer", world.anna))
    assert ("Merged", world.bens) == (identity["Status__c"], identity[FIELD[world.model]])
    assert world.bens == world.known("customer", world.anna).crm_id


def test_an_old_id_of_the_till_resolves_and_the_person_left_behind_is_named(two):
    world = two
    world.floor.merge(keep=world.ben, lose=world.anna)
    later(world)
    counts = checked(world)

    assert 1 == counts["duplicates left in Salesforce"]
    page = explained(world, world.anna)
    (old,) = (each for each in page.records if each.side.id == str(world.anna))
    assert (str(world.ben), world.bens) == (old.merged_into, page.crm.id)
    assert f"{world.annas} was theirs and is a duplicate of {world.bens}" in page.reason
    assert ("merged", world.annas, world.person_object) == (
        old.rule,
        old.left_behind.id,
        old.left_behind.object,
    )
    assert {str(world.anna), str(world.ben)} == {
        each.side.id for each in explained(world, world.bens).records
    }
    assert world.annas in people(world)

    world.org.merge(world.bens, world.annas)
    later(world)
    world.sync()
    assert [world.bens] == people(world)
    assert [world.bens] * 2 == buyers(world)
    assert world.bens == explained(world, world.annas).crm.id


def test_the_record_that_was_merged_away_writes_nothing_and_comes_back_as_nobody(two):
    world = two
    world.floor.merge(keep=world.ben, lose=world.anna)
    later(world)
    checked(world)
    before = people(world)
    kept = world.crm_row(world.bens)[MAIL[world.model]]

    later(world)
    world.edit_customer(world.anna, firstName="Zoe", email="zoe@prins.example")
    world.sync()
    world.force(customers=[world.anna])
    later(world)
    world.sync()
    assert before == people(world)
    assert ("Ben", kept) == (
        world.crm_row(world.bens)["FirstName"],
        world.crm_row(world.bens)[MAIL[world.model]],
    )
    marked = world.person("Anna", "Prins", email="anna@prins.example", Send_To_Lightspeed__c=True)
    world.sync()
    assert marked != world.known("customer", world.anna).crm_id


# --- in Salesforce ----------------------------------------------------------------------------------


def test_a_merge_in_salesforce_is_followed_with_its_receipts_and_old_ids(two):
    world = two
    world.org.merge(world.bens, world.annas)
    later(world)
    world.sync()

    assert [world.bens] == people(world)
    assert [world.bens] * 2 == [world.known("customer", each).crm_id for each in (world.anna, world.ben)]
    assert [world.bens] * 2 == buyers(world)
    identities = world.rows("Customer_Identity__c").values()
    assert {world.bens} == {row[FIELD[world.model]] for row in identities}
    page = explained(world, world.annas)
    assert world.bens == page.crm.id
    assert {str(world.anna), str(world.ben)} == {each.side.id for each in page.records}


def test_the_key_of_the_loser_creates_nobody(two):
    world = two
    world.org.merge(world.bens, world.annas)
    later(world)
    world.sync()
    later(world)
    world.edit_customer(world.anna, mobile="518-555-0147")
    world.sync()
    world.force(customers=[world.anna])
    world.receipts.append(world.ring(world.item_id, customer=world.anna))
    world.sync()

    assert [world.bens] == people(world)
    assert [world.bens] * 3 == buyers(world)
    assert key("customer", world.ben) == world.crm_row(world.bens)["Lightspeed_Customer_Key__c"]


def test_a_merge_into_somebody_we_never_knew_gives_them_the_link(two):
    world = two
    stranger = world.person("Anna", "Prins-Vos")
    world.org.merge(stranger, world.annas)
    later(world)
    world.sync()
    later(world)
    world.edit_customer(world.anna, mobile="518-555-0147")
    world.sync()

    assert stranger == world.known("customer", world.anna).crm_id == buyers(world)[0]
    assert sorted([stranger, world.bens]) == people(world)
    assert key("customer", world.anna) == world.crm_row(stranger)["Lightspeed_Customer_Key__c"]


# --- deletions --------------------------------------------------------------------------------------


def test_a_deletion_in_salesforce_deletes_nothing_in_the_till(two):
    world = two
    rows = len(world.till_app.world["Customer"].rows)
    assert world.org.write(world.org.staff, world.person_object, "delete", {"Id": world.annas}).success
    later(world)
    world.sync()

    row = world.till_row("Customer", world.anna)
    assert (rows, False) == (len(world.till_app.world["Customer"].rows), row["archived"])
    assert ("left_out", None) == (
        world.standing("customer", world.anna),
        world.known("customer", world.anna).crm_id,
    )
    assert [world.bens] == people(world)


def test_a_deletion_in_the_till_deletes_nothing_in_salesforce(two):
    world = two
    before = people(world), buyers(world)
    world.till_app.world["Customer"].remove(world.anna)
    later(world)
    swept(world)

    assert before == (people(world), buyers(world))
    assert world.annas == world.known("customer", world.anna).crm_id

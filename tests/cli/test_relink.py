"""The state file is lost; the links come back from Salesforce, and nothing is made twice."""

import pytest

from tillbridge.engine.desk import choose
from tillbridge.engine.parting import part
from tillbridge.engine.relink import relink
from tillbridge.wiring import open_home


def newest_token(world):
    """The refresh token rotates inside the state file; without it somebody has to authorise us again."""
    parts = open_home(world.home, clock=world.clock)
    try:
        kept = parts.till._tokens._store.load()
    finally:
        parts.close()
    return kept.refresh_token


def lose_the_state(world):
    token = newest_token(world)
    for path in world.home.glob("tillbridge.sqlite*"):
        path.unlink()
    config = world.home / "tillbridge.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("demo-refresh", token), encoding="utf-8")


def links(world):
    """What is linked to what; identities of nobody and prices are found again by the backfill."""
    with world.remembered() as state, state.begin() as c:
        rows = c.exec_driver_sql(
            "SELECT kind, till_id, crm_id, object, crm_parent, parent FROM record "
            "WHERE crm_id IS NOT NULL AND kind NOT IN ('price', 'identity')"
        )
        return {tuple(row) for row in rows}


def everything(world):
    """All rows of the org, but for the stamps of their last writing."""
    stamps = {"SystemModstamp", "LastModifiedDate", "LastModifiedById"}
    return {
        (name, row_id): {field: value for field, value in row.items() if field not in stamps}
        for name, table in world.org.tables.items()
        for row_id, row in table.rows.items()
    }


@pytest.fixture(params=["person_account", "contact", "lead"])
def shop(found, request):
    """People of every fate: known to the CRM, created, a second till record, in review."""
    world = found(model=request.param)
    world.person("Mirte", "Perelaer", email="mirte@mail.example")
    world.in_crm("Product2", Name="Ring of the house", ProductCode="RING-1", IsActive=True)
    ring = world.item("Ring", "100", customSku="RING-1")
    watch = world.item("Watch", "500")
    people = [
        world.customer("Mirte", "Perelaer", email="mirte@mail.example"),
        world.customer("Wout", "Goudsblom", email="wout@mail.example"),
        world.customer("Wout", "Goudsblom", email="wout@mail.example", mobile="+31612345678"),
        world.customer("Joppe", "Tinnegieter", email="mirte@mail.example"),
    ]
    for person in people:
        world.ring(ring, watch, customer=person)
    refunded = world.ring(watch)
    world.floor.refund(refunded)
    assert 0 == world.cli("backfill").status
    world.ring(ring, customer=people[1])
    assert 0 == world.cli("sync").status
    return world


def test_links_come_back_and_nothing_is_made_twice(shop):
    before, rows = links(shop), everything(shop)
    lose_the_state(shop)
    ran = shop.cli("relink")
    assert 0 == ran.status, ran.err
    assert "`tillbridge backfill` now compares everything once" in ran.err
    assert before == links(shop)
    assert 0 == shop.cli("backfill").status
    assert rows == everything(shop)
    assert 0 == shop.cli("certify").status


def test_a_live_sale_stays_live_and_history_history(shop):
    lose_the_state(shop)
    shop.cli("relink")
    known = shop.all_known("sale", range(1, 20))
    assert {True, False} == {each.history for each in known.values()}
    for sale_id, each in known.items():
        assert shop.sale_row(sale_id)["Loaded_As_History__c"] == each.history


def test_an_adopted_product_stays_its_owners(shop):
    """After relink the till still must not write the name that the owners gave it."""
    lose_the_state(shop)
    shop.cli("relink")
    shop.cli("backfill")
    names = {row["Name"] for row in shop.all_rows("Product2")}
    assert "Ring of the house" in names
    assert "Ring" not in names


def test_relinking_what_is_linked_changes_nothing(shop):
    before = links(shop)
    digests = {i: known.digest for i, known in shop.all_known("sale", range(1, 20)).items()}
    assert 0 == shop.cli("relink").status
    assert (before, digests) == (
        links(shop),
        {i: known.digest for i, known in shop.all_known("sale", range(1, 20)).items()},
    )


def test_whoever_was_taken_apart_stays_apart(found):
    """The links are read back from the keys, and the rules would link these two again at once."""
    world = found()
    theirs = world.person("Anna", "Prins", email="anna@prins.example")
    anna = str(world.customer("Anna", "Prins", email="anna@prins.example"))
    world.backfill()
    with world.connected() as connection:
        part(connection, anna, "Ana Admin")
    lose_the_state(world)
    with world.connected(fresh=True) as connection:
        relink(connection)
    world.backfill()
    world.pass_time(minutes=20)
    world.sync()

    assert ("review", None) == (world.standing("customer", anna), world.known("customer", anna).crm_id)
    assert "taken apart" in world.why("customer", anna)
    with world.connected() as connection:
        assert "settled" == choose(connection, anna, theirs, "Ana Admin").state

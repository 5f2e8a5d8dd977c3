"""The same stories with the state in PostgreSQL: nothing of it is in the home, and any machine goes on."""

import shutil
import threading

import pytest
import sqlalchemy as sa
from test_story_both_ways import in_till, linked, quiet
from world import World, key

from tillbridge.cli.desk import Desk, writing_alone
from tillbridge.model.errors import Busy, ConfigurationInvalid, Fenced
from tillbridge.secrets import KEY_FILE
from tillbridge.store.service import open_service, service_url
from tillbridge.wiring import open_home


@pytest.fixture
def world(found, new_database):
    return found(database=new_database)


def test_a_first_load_a_sale_and_its_refund(world):
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    ring = world.item("Ring", "250")
    first = world.ring(ring, customer=anna)
    world.backfill()
    assert [] == world.differences()

    world.pass_time(hours=1)
    sale = world.ring((ring, 2, "250"), customer=anna)
    world.sync()
    world.pass_time(hours=1)
    refund = world.ring((ring, -1, "250"), customer=anna)
    world.sync()

    person = world.row("Account", key("customer", anna))["Id"]
    rows = [world.sale_row(each) for each in (first, sale, refund)]
    assert [person] * 3 == [row["Account__c"] for row in rows]
    assert ["Sale", "Sale", "Refund"] == [row["Type__c"] for row in rows]
    assert {"settled": 3} == world.states()["sale"]
    assert [] == world.differences()
    assert ["key", "tillbridge.toml"] == sorted(path.name for path in world.home.iterdir())


def test_customers_both_ways(world):
    anna, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne", PersonEmail="anne@prins.example")
    world.edit_customer(anna, mobile="518-555-0199")
    world.sync()

    row, _, emails, _ = in_till(world, anna)
    assert ("Anne", {"Primary": "anne@prins.example"}) == (row["firstName"], emails)
    assert "+15185550199" == world.crm_row(crm_id)["PersonMobilePhone"]
    quiet(world)


def test_another_machine_needs_the_configuration_and_the_key_and_goes_on(world, tmp_path):
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    shutil.copy(world.home / "tillbridge.toml", tmp_path)
    with pytest.raises(ConfigurationInvalid, match="copy the file from the machine that has it"):
        open_home(tmp_path, clock=world.clock)
    assert not (tmp_path / KEY_FILE).exists(), "a key of its own would open nothing"

    shutil.copy(world.home / KEY_FILE, tmp_path)
    world.home = tmp_path
    world.pass_time(hours=1)
    sale = world.ring(world.item(), customer=anna)
    world.sync()

    assert world.row("Account", key("customer", anna))["Id"] == world.sale_row(sale)["Account__c"]
    assert {"settled": 1} == world.states()["customer"]


def test_two_machines_never_write_with_a_connection_at_once(world, tmp_path):
    """The second waits, is told who is at work, and gets its turn when the first has ended."""
    shutil.copy(world.home / "tillbridge.toml", tmp_path)
    desk = Desk(screen=None, env={}, clock=world.clock)
    service = open_service(service_url(tmp_path, world.database))
    inside, seen = [], []

    def run(home):
        for _ in range(5):
            with writing_alone(desk, home) as fence, world_state(home, world) as state:
                state.fence = fence
                inside.append(home)
                with state.begin() as c:
                    state.keep(c, "turns", (state.kept(c, "turns") or 0) + 1)
                seen.append(list(inside))
                inside.remove(home)

    two = [threading.Thread(target=run, args=(home,)) for home in (world.home, tmp_path)]
    for thread in two:
        thread.start()
    for thread in two:
        thread.join()
    with world.remembered() as state:
        turns = state.fact("turns")

    assert service.take_lease("default", "a worker", 30, hurry=False) is not None
    service.close()
    assert {1} == {len(each) for each in seen}
    assert 10 == turns


def world_state(home, world):
    return World.remembered(_At(home, world.clock))


class _At:
    def __init__(self, home, clock):
        self.home, self.clock = home, clock


def test_a_run_that_slept_through_its_turn_writes_no_more(world):
    desk = Desk(screen=None, env={}, clock=world.clock)
    service = open_service(service_url(world.home, world.database))
    with writing_alone(desk, world.home) as fence, world.remembered() as state:
        state.fence = fence
        with state.begin() as c:
            state.keep(c, "before", 1)
        with service.begin() as c:  # As if it had been stopped for longer than its lease lasts.
            c.execute(sa.text("UPDATE lease SET until = 0"))
        assert service.take_lease("default", "another worker", 30, hurry=False) is not None
        with pytest.raises(Fenced), state.begin() as c:
            state.keep(c, "after", 1)
    service.close()

    with world.remembered() as state:
        assert (1, None) == (state.fact("before"), state.fact("after"))


def test_a_database_that_is_down_is_one_sentence(world):
    world.database = "postgresql://shop:secret@127.0.0.1:1/shop"
    world.configure()
    with pytest.raises(Busy, match=r"cannot be reached .* Nothing was lost"):
        world.sync()

"""What a worker does with a job, over both simulators: what it costs, when the next one is due, and why."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from served_shop import Shop
from world import World

from tillbridge.engine.jobs import Job
from tillbridge.engine.preflight import forget_objects
from tillbridge.engine.schedule import dispatch
from tillbridge.model.errors import Fenced
from tillbridge.store.schema import record, run
from tillbridge.sync.forecast import CHECK_TILL


@pytest.fixture
def shop(tmp_path) -> Iterator[Shop]:
    world = World(tmp_path).install()
    world.shop("High Street", "Europe/London")
    world.employee("Kim", "Seller")
    made = Shop(world)
    made.run_due()  # A first round, so that everybody has logged in and met the shop.
    world.pass_time(minutes=2)
    made.run_due()  # What the till's rate limit put off: the room for the history was looked at, once.
    yield made
    made.close()
    world.close()


def test_on_postgres_a_receipt_lands_and_a_worker_that_lost_its_turn_writes_no_more(tmp_path, new_database):
    """State and leases are in one database there: the lease is looked at in each transaction of the state."""
    world = World(tmp_path, database=new_database).install()
    world.shop("High Street", "Europe/London")
    shop = Shop(world)
    shop.run_due()
    product, customer = world.item(), world.customer("Ana", "Silva")
    for name in ("products", "customers"):
        shop.slice(name)
    sale = world.ring(product, customer=customer)
    shop.slice("sales")
    with shop.turns.take("default", None, hurry=False) as turn, world.remembered() as state:
        state.fence = turn.fence
        assert "settled" == state.known("sale", [str(sale)])[str(sale)].state
        shop.service.give_back("default", turn.token)
        assert shop.service.take_lease("default", "another", 30, hurry=False) is not None
        with pytest.raises(Fenced):
            state.fact("anything")
    shop.close()
    world.close()


def test_a_poll_of_sales_without_news_asks_the_till_once_and_the_crm_nothing(shop):
    assert (1, 0) == shop.slice("sales")


# Whose turn it is and what is due, the one budget, the facts that a preparation rests on, two cursors, what
# was found, and the calls that it took. Hundreds of connections are polled by one process.
QUIET_TRANSACTIONS_MAX = 15


def runs(shop):
    with shop.world.remembered() as state, state.begin() as c:
        return set(c.execute(sa.select(run.c.id)).scalars())


@pytest.mark.parametrize("name", ["sales", "voids", "products", "stock"])
def test_a_quiet_poll_costs_few_transactions_and_leaves_no_run(shop, name):
    shop.slice(name)
    before = runs(shop)
    begun = []
    listening = (sa.Engine, "begin", begun.append)
    sa.event.listen(*listening)
    shop.service.wish("default", *shop.named(name), shop.now)
    dispatch(shop.service, shop.queue, shop.now)
    begun.clear()
    job = next(each for each in shop.queue.waiting if each.name == name)

    answer = shop.workshop.work(job)

    sa.event.remove(*listening)
    assert "done" == answer["outcome"]
    assert QUIET_TRANSACTIONS_MAX >= len(begun)
    assert before == runs(shop)


def test_a_poll_with_news_leaves_a_run_that_its_records_name(shop):
    product = shop.world.item()
    shop.slice("products")
    before = runs(shop)

    sale = str(shop.world.ring(product))
    shop.slice("sales")

    (made,) = runs(shop) - before
    with shop.world.remembered() as state, state.begin() as c:
        row = c.execute(sa.select(record.c.run).where(record.c.kind == "sale", record.c.till_id == sale))
        assert [made] == list(row.scalars())


def test_what_another_process_learns_of_the_org_holds_from_the_next_slice_on(shop):
    shop.slice("sales")
    with shop.world.remembered() as state:
        forget_objects(state)

    till, crm = shop.slice("sales")
    assert till == 1
    assert crm > 1, "the org is asked again what it shows of each of our objects"
    assert (1, 0) == shop.slice("sales")


def test_a_receipt_costs_one_call_to_the_crm(shop):
    product, customer = shop.world.item(), shop.world.customer("Ana", "Silva")
    shop.slice("products")
    shop.slice("customers")
    shop.world.ring(product, customer=customer)

    till, crm = shop.slice("sales")

    assert 1 == crm
    assert till <= 2


def test_only_the_poll_of_customers_asks_the_crm_who_has_changed(shop):
    spent = {
        name: shop.slice(name) for name in ("sales", "voids", "products", "stock", "replay", "customers")
    }

    assert {"customers": 1} == {name: crm for name, (_, crm) in spent.items() if crm}
    assert (0, 0) == spent["replay"]


def test_late_lines_payments_and_voids_cost_what_is_reckoned(shop):
    """All of them together, every 15 minutes: what `forecast` takes for granted."""
    shop.world.pass_time(minutes=16)
    checked, read = shop.slice("cross-check"), shop.slice("voids")

    assert (CHECK_TILL, 0) == (checked[0] + read[0], checked[1] + read[1])


def test_a_poll_is_noted_with_its_stream(shop):
    shop.world.ring(shop.world.item("Pin", "3"))
    shop.slice("sales")

    with shop.world.opened() as parts:
        assert "poll sales" == parts.journal.last_runs(1)[0].job


def test_quiet_slices_leave_no_runs_behind(shop):
    with shop.world.opened() as parts:
        before = len(parts.journal.last_runs(1_000))
    for name in ("sales", "voids", "stock", "replay"):
        shop.slice(name)

    with shop.world.opened() as parts:
        assert before == len(parts.journal.last_runs(1_000))


def test_missed_ticks_are_one_run(shop):
    shop.world.pass_time(hours=5)

    jobs = shop.run_due()

    assert 1 == len([job for job in jobs if job.startswith("default/poll/sales/")])


def test_a_closed_shop_is_read_less_often(shop):
    """NOW is a Friday, 15:00 UTC."""
    pause = {}
    for name, hours in (("open", "Mon-Sun 00:00-24:00"), ("closed", "Sun 03:00-04:00")):
        shop.world.configure(toml=f'[schedule]\nopening_hours = ["{hours}"]')
        shop.slice("sales")
        pause[name] = shop.stream("sales").next_due - shop.now

    assert {"open": 60, "closed": 600} == {name: round(seconds) for name, seconds in pause.items()}


def test_a_setting_holds_from_the_next_slice_on(shop):
    shop.slice("sales")
    shop.world.configure(toml='[schedule]\nsales_seconds = 240\nopening_hours = ["Mon-Sun 00:00-24:00"]')
    shop.slice("sales")

    assert 240 == round(shop.stream("sales").next_due - shop.now)


def test_a_remote_that_is_down_is_asked_again_later_each_time(shop):
    waits = []
    for _ in range(4):
        shop.world.fail_crm("status", "", times=None)
        shop.slice("customers")
        found = shop.stream("customers")
        waits.append(found.next_due - shop.now)
        assert "remote down" == found.outcome
    shop.world.crm_server.faults.clear()
    shop.slice("customers")

    assert sorted(waits) == waits
    assert [0, "done"] == [shop.stream("customers").fails, shop.stream("customers").outcome]


def test_a_paused_stream_rests_and_a_resumed_one_goes_on(shop):
    shop.service.pause_streams("default", "poll", "sales", paused=True)
    shop.world.pass_time(hours=2)
    rested = shop.run_due()
    shop.service.pause_streams("default", "poll", "sales", paused=False)

    assert [] == [job for job in rested if "/sales/" in job]
    assert 1 == len([job for job in shop.run_due() if "/sales/" in job])


def test_what_comes_while_a_slice_runs_is_looked_at_behind_it(shop):
    shop.service.wish("default", "poll", "sales", shop.now)
    dispatch(shop.service, shop.queue, shop.now)
    shop.service.wish("default", "poll", "sales", shop.now)
    first = next(job for job in shop.queue.waiting if job.name == "sales")
    shop.workshop.work(first)
    shop.queue.waiting = []

    assert 1 == len([job for job in shop.run_due() if "/sales/" in job])


def test_a_job_of_the_past_changes_nothing(shop):
    at = shop.stream("sales")

    answer = shop.workshop.work(Job(connection="default", kind="poll", name="sales", gen=at.gen))

    assert "skipped" == answer["outcome"]
    assert at == shop.stream("sales")


def test_a_run_at_the_command_line_puts_a_slice_off(shop):
    from tillbridge.wiring import alone

    with alone(shop.world.home):
        shop.service.wish("default", "poll", "sales", shop.now)
        dispatch(shop.service, shop.queue, shop.now)
        for job in shop.queue.waiting:
            shop.workshop.work(job)

    found = shop.stream("sales")
    assert ("put off", 2) == (found.outcome, round(found.next_due - shop.now))


def test_a_forced_run_says_what_became_of_each(shop):
    customer = shop.world.customer("Ana", "Silva")

    answer = shop.workshop.work(
        Job(connection="default", kind="force", gen="x", wanted={"customer": [str(customer), "999999"]})
    )

    assert ["sent", "not in the till"] == [each["outcome"] for each in answer["records"]]

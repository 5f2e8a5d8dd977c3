"""A thousand sales, and every third write's answer is lost after the work is done: each is there once."""

from decimal import Decimal

import pytest
from closed import ClosedWorld

from tillbridge.model.errors import Transient
from tillbridge.simulators.httpd import Fault
from tillbridge.simulators.retailer import Plan

SALES = 1_000
RUNS_MAX = 30
WRITES = "POST .*/composite|POST .*/jobs/ingest$|PUT .*/batches|PATCH .*/jobs/ingest/"


@pytest.fixture
def found(tmp_path):
    worlds = []

    def make(sales):
        world = ClosedWorld(tmp_path, plan=Plan(seed=8, shops=3, customers=60, sales=sales, products=30))
        worlds.append(world)
        return world.install()

    yield make
    for world in worlds:
        world.close()


def cut_every_third_write(world):
    """Cut the connection after the work is done; a token's loss is another story (tests/connectors)."""
    fault = Fault("reset_after", WRITES, every=3, times=None)
    world.crm_server.faults.append(fault)
    return fault


def until_done(run):
    """Run again, as the scheduler does, until a run comes through; return how often it was needed."""
    for times in range(1, RUNS_MAX):
        try:
            run()
        except Transient:
            continue
        return times
    raise AssertionError(f"still not done after {RUNS_MAX} runs")


def expected(world):
    """Return the till's own sales that land, and the sum of those that count."""
    sales = [s for s in world.till_app.world["Sale"] if s["completed"] or s["voided"]]
    return len(sales), sum((s["calcTotal"] for s in sales if not s["voided"]), Decimal(0))


def landed(world):
    rows = world.all_rows("Sales_Transaction__c")
    keys = {row["Transaction_Key__c"] for row in rows}
    assert len(rows) == len(keys)
    counting = [row for row in rows if row["Status__c"] == "Completed"]
    return len(rows), sum((Decimal(str(row["Total__c"])) for row in counting), Decimal(0))


def test_by_bulk_jobs(found):
    """History of a thousand sales, beside some that are still open or were cancelled: those never land."""
    world = found(SALES)
    open_or_cancelled = SALES - expected(world)[0]
    rung, stopped_by = world.floor.ring(open_or_cancelled, kind="sale")
    assert (open_or_cancelled, "") == (len(rung), stopped_by)
    fault = cut_every_third_write(world)
    runs = until_done(world.backfill)
    print(f"cut {fault.hits} times, {runs} runs")
    world.crm_server.faults.clear()
    assert fault.hits > 3
    assert SALES == landed(world)[0]
    assert expected(world) == landed(world)
    assert {} == world.repeated_keys()
    assert [] == world.differences()


def test_by_composite_calls(found):
    """A thousand sales of one busy day, fifty between two polls."""
    world = found(0)
    world.backfill()
    fault = cut_every_third_write(world)
    runs = 0
    for _ in range(SALES // 50):
        rung, stopped_by = world.floor.ring(50, kind="sale")
        assert (50, "") == (len(rung), stopped_by)
        world.pass_time(minutes=2)
        runs += until_done(world.sync)
    print(f"cut {fault.hits} times, {runs} runs")
    world.crm_server.faults.clear()
    assert fault.hits > 3
    assert SALES == landed(world)[0]
    assert expected(world) == landed(world)
    assert {} == world.repeated_keys()
    assert [] == world.differences()

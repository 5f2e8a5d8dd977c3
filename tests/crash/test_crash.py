"""Killed at any moment: the next start goes on, and in the end everything is there exactly once."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from world import KEYS, World

from tillbridge.model.errors import Halted
from tillbridge.simulators.httpd import Fault
from tillbridge.simulators.retailer import Plan
from tillbridge.wiring import alone

DRIVER = Path(__file__).with_name("driver.py")
PLAN = Plan(seed=4, customers=60, sales=240)
# Each start is killed at a random call to the next of these, in the order in which a backfill comes by them.
BULK = "jobs/ingest"
DOORS = ("Item.json", "composite", "composite", "Customer.json", "composite", "Sale.json", *[BULK] * 6)

# What says when a row came, not what it is; and numbers that the org deals out by itself.
_CIRCUMSTANCES = {"Id", "CreatedDate", "LastModifiedDate", "SystemModstamp", "ContactId", "PersonContactId"}


@pytest.fixture
def found(tmp_path_factory):
    with ExitStack() as stack:

        def make(**wishes):
            world = World(tmp_path_factory.mktemp("home"), plan=PLAN, **wishes)
            stack.callback(world.close)
            world.install()
            world.sim_clock.run(True)
            return world

        yield make


def start(world, what, **streams):
    arguments = [sys.executable, str(DRIVER), what, str(world.home), world.crm_server.url]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, **streams)


def end(process):
    """Wait for a process; return its exit status and what it complained of."""
    _, complaints = process.communicate(timeout=60)
    return process.returncode, complaints


def calls(world, doors):
    counted = world.till_server.calls + world.crm_server.calls
    return sum(n for call, n in counted.items() if any(door in call for door in doors))


def kill_at(process, world, doors, moment, delay):
    """Kill a process a little after so many calls to doors, whatever it is at; False when it ended before."""
    while calls(world, doors) < moment:
        try:
            process.wait(timeout=0.002)
        except subprocess.TimeoutExpired:
            continue
        return False
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        return True
    return False


def contents(world):
    """Return every row with a key of ours, lookups as keys instead of ids."""
    keyed = {name: world.rows(name) for name in KEYS}
    key_of = {row["Id"]: row_key for rows in keyed.values() for row_key, row in rows.items()}

    def shown(row):
        return {
            name: key_of.get(value, value) if isinstance(value, str) else value
            for name, value in row.items()
            if name not in _CIRCUMSTANCES and not (name == "Name" and str(value).startswith("C-"))
        }

    found = {name: {row_key: shown(row) for row_key, row in rows.items()} for name, rows in keyed.items()}
    prices = [shown(row) for row in world.all_rows("PricebookEntry")]
    found["PricebookEntry"] = {
        str(n): row
        for n, row in enumerate(sorted(prices, key=lambda row: (row["Product2Id"], row["UnitPrice"])))
    }
    found["people"] = {"count": {"n": len(world.all_rows("Account"))}}
    return found


def differing(expected, actual):
    """Return what differs, field by field, so that a failure can be read."""
    found = {}
    for name in expected:
        for row_key in expected[name].keys() | actual[name].keys():
            one, other = expected[name].get(row_key, {}), actual[name].get(row_key, {})
            fields = {
                f: (one.get(f), other.get(f)) for f in one.keys() | other.keys() if one.get(f) != other.get(f)
            }
            if fields:
                found[name, row_key] = fields
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_a_backfill_that_is_killed_ten_times_ends_as_if_nothing_had_happened(found, seed):
    random = Random(seed)
    calm = found()
    calm.backfill()

    kills = 0
    while kills < 10:
        # On a busy machine a load may end before its kill: then another world suffers the rest.
        rough = found()
        kills += kill_a_backfill(rough, random)
        rough.backfill()
        assert {} == differing(contents(calm), contents(rough)), f"seed {seed}"
        assert [] == rough.differences()
        assert {} == {kind: n for kind, states in rough.states().items() if (n := states.get("problem"))}
        rough.sync()
        assert [] == rough.differences()


def test_a_backfill_into_postgres_that_is_killed_goes_on_on_another_machine(
    found, new_database, tmp_path_factory
):
    """Whoever comes next has another home: all but the configuration and the key was in the database."""
    calm = found()
    calm.backfill()
    rough = found(database=new_database)
    random = Random(3)
    kills = 0
    for door in ("Item.json", "composite", "Sale.json", BULK, BULK, BULK):
        process = start(rough, "backfill")
        moment = calls(rough, [door]) + random.randint(1, 3)
        kills += kill_at(process, rough, [door], moment, random.uniform(0, 0.04))
        end(process)
        other = tmp_path_factory.mktemp("machine")
        for name in ("tillbridge.toml", "key"):
            shutil.copy(rough.home / name, other)
        rough.home = other
    rough.backfill()

    assert kills > 2
    assert {} == differing(contents(calm), contents(rough))
    assert [] == rough.differences()
    assert {} == {kind: n for kind, states in rough.states().items() if (n := states.get("problem"))}


def kill_a_backfill(rough, random):
    """Start a backfill again and again, and kill it at each of the doors in turn; return how often."""
    kills = 0
    for number, door in enumerate(DOORS):
        process = start(rough, "backfill")
        # Its own door, or one that comes later: the last kill may have come after this one's work.
        doors = DOORS[number:]
        moment = calls(rough, doors) + random.randint(1, 5 if door == BULK else 2)
        if not kill_at(process, rough, doors, moment, random.uniform(0, 0.04)):
            status, complaints = end(process)
            assert 0 == status, complaints
            continue
        kills += 1
        end(process)
    return kills


@pytest.fixture(params=["sqlite", "postgres"])
def any_database(request):
    return None if request.param == "sqlite" else request.getfixturevalue("new_database")


def test_two_processes_that_refresh_the_token_at_once_do_not_lock_the_account_out(found, any_database):
    world = found(database=any_database)
    with world.connected():
        pass
    world.pass_time(hours=2)
    # Slow enough that the second one asks while the first one's answer is on its way.
    world.till_server.faults.append(Fault("slow", "POST .*oauth/token", seconds=0.3, times=None))
    two = [start(world, "account", stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    assert ["ready\n"] * 2 == [process.stdout.readline() for process in two]
    for process in two:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in two]

    assert ["190001\n"] * 2 == [answer for answer, _ in answers], answers
    world.till_server.faults.clear()
    world.pass_time(hours=2)
    with world.connected(fresh=True) as connection:
        assert "190001" == connection.account.id


def test_a_second_run_on_one_home_is_told_to_wait(found):
    world = found()
    with alone(world.home):
        status, complaints = end(start(world, "backfill"))
    assert (1, True) == (status, "Another run is writing" in complaints)
    with alone(world.home), pytest.raises(Halted), alone(world.home):
        pass

"""A disk that is full or read-only: one sentence, the right status, and every receipt arrives once later."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from world import KEYS, key

from tillbridge.store.database import FILE_NAME

COMMAND = Path(sys.executable).with_name("tillbridge")
# Becomes the command that follows, with a limit on the size of every file that it writes.
LIMITED = """\
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""
SALES = 30


@pytest.fixture
def busy(found):
    """A shop that was loaded, and has had a busy hour since: new people, and sales to them."""
    world = found()
    world.sim_clock.run(True)
    world.ring_id = world.item("Ring", "100")
    world.sold = [world.ring(world.ring_id)]
    world.backfill()
    for number in range(SALES):
        buyer = world.customer(f"Ada{number}", "Holm", email=f"ada{number}@mail.example")
        world.sold.append(world.ring((world.ring_id, number % 5 + 1, None), customer=buyer))
    return world


def run_process(world, command, file_bytes_max=None):
    words = [str(COMMAND), command, "--home", str(world.home)]
    if file_bytes_max is not None:
        words = [sys.executable, "-c", LIMITED, str(file_bytes_max), *words]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def assert_said(status, ran, *words):
    err, returned = ran.stderr if hasattr(ran, "stderr") else ran.err, getattr(ran, "returncode", None)
    assert status == (ran.status if returned is None else returned), err
    assert 1 == len(err.strip().splitlines()), err
    assert [] == [word for word in words if word not in err], err


def assert_every_receipt_is_there_once(world):
    held = [row["Transaction_Key__c"] for row in world.all_rows("Sales_Transaction__c")]
    assert sorted(key("sale", i) for i in world.sold) == sorted(held)
    for name in ("Sales_Transaction_Line__c", "Sales_Payment__c", "Account", "Customer_Identity__c"):
        keys = [row[KEYS[name]] for row in world.all_rows(name) if row.get(KEYS[name])]
        assert len(set(keys)) == len(keys), name
    assert {"settled": len(world.sold)} == world.states()["sale"]
    assert [] == world.differences()


@pytest.mark.parametrize(
    "file_bytes_max",
    [
        pytest.param(40_000, id="before the first sale is sent"),
        pytest.param(250_000, id="after sales were sent, before their answers are written down"),
    ],
)
def test_a_disk_that_takes_no_more_ends_a_sync_and_nothing_is_lost(busy, file_bytes_max):
    ran = run_process(busy, "sync", file_bytes_max)
    assert_said(75, ran, FILE_NAME, "takes no more", "Nothing was lost")
    assert "" == ran.stdout
    again = run_process(busy, "sync")
    assert (0, "") == (again.returncode, again.stderr)
    assert_every_receipt_is_there_once(busy)


def test_a_disk_that_is_full_from_the_start_ends_a_first_load_and_nothing_is_lost(found):
    world = found()
    world.sim_clock.run(True)
    world.sold = [world.ring(world.item("Ring", "100")) for _ in range(3)]
    for path in world.home.glob(f"{FILE_NAME}*"):
        path.unlink()
    assert_said(75, run_process(world, "backfill", 40_000), FILE_NAME, "takes no more", "Nothing was lost")
    assert 0 == world.cli("backfill").status
    assert_every_receipt_is_there_once(world)


@pytest.mark.parametrize("command", ["status", "problems", "certify", "doctor"])
def test_a_disk_without_a_byte_left_is_said_by_whatever_is_run(busy, command):
    ran = run_process(busy, command, 0)
    assert 75 == ran.returncode, ran.stdout + ran.stderr
    told = ran.stdout + ran.stderr
    assert [] == [word for word in (FILE_NAME, "takes no more", "make room") if word not in told], told
    assert 0 == busy.cli("sync").status


@pytest.fixture
def full_disk():
    """Let SQLite itself find so many pages more and then none: what it says of a disk without room."""
    allowed = []

    def limit(connection, _record):
        for pages in allowed:
            (used,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {used + pages}")

    sa.event.listen(sa.Engine, "connect", limit)
    yield allowed
    sa.event.remove(sa.Engine, "connect", limit)


@pytest.mark.parametrize("pages", [0, 4, 8, 16])
def test_a_full_disk_ends_a_sync_and_nothing_is_lost(busy, full_disk, pages):
    full_disk.append(pages)
    ran = busy.cli("sync")
    assert_said(75, ran, FILE_NAME, "is full", "Nothing was lost")
    assert "" == ran.out
    full_disk.clear()
    assert 0 == busy.cli("sync").status
    assert_every_receipt_is_there_once(busy)


def test_a_read_only_state_file_ends_a_sync_before_anything_is_sent(busy):
    """A write version above 2 makes SQLite treat a file as read-only, for root too (file format, 1.3.3)."""
    path = busy.home / FILE_NAME
    raw = path.read_bytes()
    assert not path.with_name(f"{FILE_NAME}-wal").exists()
    path.write_bytes(raw[:18] + b"\x09" + raw[19:])
    assert_said(2, run_process(busy, "sync"), FILE_NAME, "read-only", "make it writable")
    assert 1 == len(busy.all_rows("Sales_Transaction__c"))
    path.write_bytes(path.read_bytes()[:18] + raw[18:19] + path.read_bytes()[19:])
    again = run_process(busy, "sync")
    assert (0, "") == (again.returncode, again.stderr)
    assert_every_receipt_is_there_once(busy)

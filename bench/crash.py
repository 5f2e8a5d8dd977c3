"""A backfill is killed at random moments and started again: the org must end up with the very same rows.

The yardstick is an undisturbed backfill of an equal world. Ids differ between the two, so every row is
compared with its lookups spelt by our keys.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.scene import install, tell
from bench.victim import READY
from tillbridge.engine.certificate import certify
from tillbridge.rehearsal import Rehearsal, World, rehearse
from tillbridge.wiring import open_home

# Everything that a backfill writes, with the field that names a row for ever; a price has none of ours.
_KEYS = {
    "Retail_Store__c": "Store_Key__c",
    "Retail_Employee__c": "Employee_Key__c",
    "Product2": "Lightspeed_Item_Key__c",
    "PricebookEntry": None,
    "Account": "Lightspeed_Customer_Key__c",
    "Contact": "Lightspeed_Customer_Key__c",
    "Customer_Identity__c": "Identity_Key__c",
    "Sales_Transaction__c": "Transaction_Key__c",
    "Sales_Transaction_Line__c": "Line_Key__c",
    "Sales_Payment__c": "Payment_Key__c",
    "Inventory_Level__c": "Inventory_Key__c",
}

# When and as which record the org stored it.
_STAMPS = frozenset({"Id", "CreatedDate", "LastModifiedDate", "SystemModstamp", "LastReferencedDate"})

Rows = Counter[tuple[str, str]]


def measure(*, sales: int, customers: int, kills: int, seed: int = 1) -> dict[str, Any]:
    """Kill so many backfills once each, and one more so many times in a row; compare all with a whole one."""
    world = World(customers=customers, sales=sales, seed=seed)
    moments = random.Random(seed)
    whole, seconds, _ = _story(world, [])
    tell(f"an undisturbed backfill leaves {whole.total():,} rows after {seconds:.1f} s")
    killed = lacking = extra = differences = 0
    for number in range(1, kills + 2):
        rows, hits, wrong = _killed_story(world, moments, seconds, 1 if number <= kills else kills)
        less, more = (whole - rows).total(), (rows - whole).total()
        tell(f"world {number}: killed {hits} times, {less} rows lack, {more} too many, {wrong} differences")
        killed, differences = killed + hits, differences + wrong
        lacking, extra = lacking + less, extra + more
    return {
        "rows": whole.total(),
        "kills": killed,
        "worlds": kills + 1,
        "lacking": lacking,
        "extra": extra,
        "differences": differences,
    }


def _killed_story(world: World, moments: random.Random, seconds: float, kills: int) -> tuple[Rows, int, int]:
    """Tell a story of so many kills; one in which all of them came too late is told again."""
    hits: float = 0
    while not hits:
        # Several kills in a row share the time that one loading takes.
        delays = [moments.uniform(0, seconds * 2 / (kills + 1)) for _ in range(kills)]
        rows, hits, wrong = _story(world, delays)
    return rows, int(hits), wrong


def _story(world: World, delays: list[float]) -> tuple[Rows, float, int]:
    """Load a world, killing each start but the last after its delay.

    Returns the org's rows, how often a kill hit (without any: how long the loading took), and the
    certificate's differences.
    """
    with tempfile.TemporaryDirectory(prefix="tillbridge-bench-") as folder:
        home = Path(folder)
        with rehearse(home, world) as rehearsal:
            install(open_home(home, clock=rehearsal.clock, history=True), rehearsal)
            hits = sum(_killed(rehearsal, delay) for delay in delays)
            seconds = _loaded(rehearsal)
            connection = open_home(home, clock=rehearsal.clock).connect()
            return _rows(rehearsal), hits if delays else seconds, len(certify(connection).differences)


def _start(rehearsal: Rehearsal) -> subprocess.Popen[str]:
    """Start a backfill and return when it begins to load."""
    arguments = [str(rehearsal.home), rehearsal.till.url, rehearsal.crm.url]
    victim = subprocess.Popen(
        [sys.executable, "-m", "bench.victim", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None
    said = victim.stdout.readline().strip()
    if said != READY:
        raise RuntimeError("a backfill did not start again")
    return victim


def _killed(rehearsal: Rehearsal, delay: float) -> bool:
    """Kill a backfill after so many seconds; say whether it was still running."""
    with _start(rehearsal) as victim:
        try:
            victim.wait(delay)
        except subprocess.TimeoutExpired:
            victim.kill()
        return victim.wait() != 0


def _loaded(rehearsal: Rehearsal) -> float:
    """Let a backfill come to its end; return how long it took."""
    with _start(rehearsal) as victim:
        begun = time.monotonic()
        if victim.wait() != 0:
            raise RuntimeError("a backfill did not come to its end")
        return time.monotonic() - begun


def _rows(rehearsal: Rehearsal) -> Rows:
    """Return all rows of the org that a backfill may have written, lookups by key instead of by id."""
    dumps = {name: rehearsal.crm.control("GET", f"dump?type={name}") for name in _KEYS}
    names = {crm_id: ref for ref, crm_id in rehearsal.crm.control("GET", "refs").items()}
    for kind, key in _KEYS.items():
        names.update((row["Id"], f"{kind} {row[key]}") for row in dumps[kind] if key and row.get(key))
    return Counter((kind, _spelt(row, names)) for kind, rows in dumps.items() for row in rows)


def _spelt(row: dict[str, Any], names: dict[str, str]) -> str:
    cells = {
        name: names.get(value, value) if isinstance(value, str) else value for name, value in row.items()
    }
    return repr(sorted((name, value) for name, value in cells.items() if name not in _STAMPS))

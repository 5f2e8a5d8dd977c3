"""Workers are killed while they load: how soon another goes on, and whether anything is lost or there twice.

Real processes over two simulators in real time. On SQLite the one `tillbridge
serve` is killed and started again; on PostgreSQL the one of two `tillbridge
worker` that holds the connection's lease is killed, and the other takes over.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.backlog import database, postgres
from bench.idle import COMMAND
from bench.scene import install, tell
from tillbridge.engine.certificate import certify
from tillbridge.rehearsal import Rehearsal, World, rehearse
from tillbridge.store.service import Service, lease, open_service, service_url
from tillbridge.wiring import open_home

DEAD_AFTER_SECONDS = 2.0
# What is granted beside that.
GRACE_SECONDS = 10.0

_CONNECTION = "default"
_PATIENCE_SECONDS = 600.0
_LOADS_MAX = 20
_NOBODY = "nobody"
_KEYS = {
    "Account": "Lightspeed_Customer_Key__c",
    "Customer_Identity__c": "Identity_Key__c",
    "Inventory_Level__c": "Inventory_Key__c",
    "Product2": "Lightspeed_Item_Key__c",
    "Sales_Transaction__c": "Transaction_Key__c",
    "Sales_Transaction_Line__c": "Line_Key__c",
    "Sales_Payment__c": "Payment_Key__c",
}


def measure(*, on: str, kills: int, sales: int, customers: int, seed: int = 1) -> dict[str, Any]:
    """Kill so many workers in the middle of one load after the other; `on` is "sqlite" or "postgres"."""
    chance = random.Random(seed)
    seconds: list[float] = []
    judged: Counter[str] = Counter()
    loads = 0
    while len(seconds) < kills:
        assert loads < _LOADS_MAX, "loads end before anybody can be killed"
        found, told = _kill_in_one(on, kills - len(seconds), sales, customers, seed + loads, chance)
        seconds += found
        judged.update(told)
        loads += 1
    return {
        "on": on,
        "kills": len(seconds),
        "loads": loads,
        "seconds": seconds,
        "load_average": os.getloadavg()[0],
        **judged,
    }


def _kill_in_one(
    on: str, kills: int, sales: int, customers: int, seed: int, chance: random.Random
) -> tuple[list[float], dict[str, int]]:
    """Kill at most so many in one load; return how long nobody was at it each time, and what came of it."""
    world = World(
        shops=2, customers=customers, sales=sales, seed=seed, now=datetime.now(UTC).replace(microsecond=0)
    )
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="tillbridge-bench-")))
        url = None if on == "sqlite" else database(held.enter_context(postgres()), "kills")
        rehearsal = held.enter_context(rehearse(home, world, more_toml=_toml(url)))
        rehearsal.till.control("POST", "switches", {"bucket": False, "burst": False})
        parts = open_home(home, clock=rehearsal.clock, history=True)
        install(parts, rehearsal)
        parts.close()
        service = open_service(service_url(home, url))
        held.callback(service.close)
        crew = held.enter_context(_crew(home, 1 if url is None else 2))
        _until(lambda: bool(service.streams()), "the streams are planned")
        # Nothing but the load is at work: whoever holds the lease is at it.
        for each in service.streams():
            if each.kind != "backfill":
                service.pause_streams(_CONNECTION, each.kind, each.name, paused=True)
        seconds = _kill(service, crew, chance, kills, alone=url is None)
        _until(lambda: _loaded(service), "the load ends", _PATIENCE_SECONDS)
        return seconds, _judge(rehearsal, home)


def _toml(url: str | None) -> str:
    where = f'database_url = "{url}"\n' if url else ""
    return f"\n[service]\ndead_after_seconds = {DEAD_AFTER_SECONDS}\nport = 0\n{where}"


# --- killing -------------------------------------------------------------------------------------


def _kill(service: Service, crew: Crew, chance: random.Random, kills: int, *, alone: bool) -> list[float]:
    """Kill whoever loads, so often; return how long each time nobody did."""
    seconds: list[float] = []
    size = 1 if alone else 2
    for number in range(kills):
        _until(lambda: len(service.living(DEAD_AFTER_SECONDS)) >= size, "everybody is at work")
        if _loaded(service):
            break
        service.wish(_CONNECTION, "backfill", None, time.time())
        token, holder = _at_work(service, after=-1)
        if holder == _NOBODY:
            break
        time.sleep(chance.uniform(0, 1.5))
        pid = int(holder.rsplit("-", 2)[1])
        crew.kill(pid)
        begun = time.monotonic()
        crew.start()
        token_of_victim = token
        held = _lease(service)
        if held is not None and held[1] == holder:
            token_of_victim = held[0]
        _at_work(service, after=token_of_victim, but=holder)
        seconds.append(time.monotonic() - begun)
        tell(f"kill {number + 1}: {'restarted' if alone else 'taken over'} after {seconds[-1]:.1f} s")
    return seconds


def _lease(service: Service) -> tuple[int, str] | None:
    with service.begin() as c:
        row = c.execute(sa.select(lease.c.token, lease.c.holder).where(lease.c.name == _CONNECTION)).first()
    return None if row is None or row.holder is None else (int(row.token), str(row.holder))


def _at_work(service: Service, *, after: int, but: str = "") -> tuple[int, str]:
    """Wait until somebody holds the connection's lease by a later token, or the load is over."""
    found: list[tuple[int, str]] = []

    def held() -> bool:
        now = _lease(service)
        if now is not None and now[0] > after and now[1] != but:
            found.append(now)
        return bool(found) or _loaded(service)

    _until(held, "somebody is at the load")
    return found[0] if found else (after, _NOBODY)


def _loaded(service: Service) -> bool:
    at = [each for each in service.streams(_CONNECTION) if each.kind == "backfill"]
    return bool(at) and at[0].outcome == "done" and not at[0].queued and at[0].next_due is None


def _until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Crew:
    """The processes that work for one installation."""

    def __init__(self, home: Path, size: int) -> None:
        self._home = home
        self._verb = "serve" if size == 1 else "worker"
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for _ in range(size):
            self.start()

    def start(self) -> None:
        """Start one more."""
        with (self._home / "service.log").open("ab") as log:
            process = subprocess.Popen(
                [*COMMAND, self._verb, "--home", str(self._home), "--port", "0"],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._processes[process.pid] = process

    def kill(self, pid: int) -> None:
        """End one as a power cut would."""
        process = self._processes.pop(pid, None)
        if process is not None:
            process.kill()
            process.wait()

    def end(self) -> None:
        """End all that are left in order."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _crew(home: Path, size: int) -> Iterator[Crew]:
    crew = Crew(home, size)
    try:
        yield crew
    finally:
        crew.end()


# --- judging -------------------------------------------------------------------------------------


def _judge(rehearsal: Rehearsal, home: Path) -> dict[str, int]:
    """Count what is there twice, and what both sides differ in."""
    twice = 0
    for name, key in _KEYS.items():
        rows = rehearsal.crm.control("GET", f"dump?type={name}")
        counted = Counter(row[key] for row in rows if row.get(key))
        twice += sum(count - 1 for count in counted.values())
    parts = open_home(home, clock=rehearsal.clock)
    connection = parts.connect()
    certificate = certify(connection)
    landed = sum(totals.sales for totals in certificate.till.values())
    parts.close()
    log = (home / "service.log").read_text(errors="replace")
    return {
        "twice": twice,
        "differences": len(certificate.differences),
        "receipts": landed,
        "errors": len(re.findall(r"\berror\b.*broken|Traceback", log)),
    }

"""Many connections in one process: what `tillbridge serve` burns, holds, and how late slices begin.

One connection is set up and loaded; the others are copies of it with clients of
their own. Due times are spread as they are in a service that has run for a while.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from bench.idle import ALWAYS_OPEN, serving
from bench.many import client, consumer, org, refresh_token
from bench.scene import deploy, tell, toml_of
from tillbridge import config
from tillbridge.connectors.salesforce.wire import id18
from tillbridge.engine.backfill import backfill
from tillbridge.engine.certificate import certify
from tillbridge.engine.crosscheck import crosscheck
from tillbridge.engine.sync import sync
from tillbridge.installation import CONNECTIONS
from tillbridge.model.clock import SystemClock
from tillbridge.secrets import KEY_FILE, LASTING, vault_in
from tillbridge.store.resealing import reseal
from tillbridge.store.service import FILE_NAME, open_service, service_url, stream
from tillbridge.wiring import open_home, open_state
from tillbridge.work import wanted_streams

# Every connection has been opened and has logged in after so long.
_SETTLING_SECONDS = 150.0

# Kept by the database itself, so that nothing in the service knows that it is watched.
_WATCH = """
CREATE TABLE watched (kind TEXT, name TEXT, due REAL, began REAL);
CREATE TRIGGER watching AFTER UPDATE OF began_at ON stream WHEN new.began_at IS NOT old.began_at
BEGIN INSERT INTO watched VALUES (new.kind, new.name, new.next_due, new.began_at); END;
"""


def measure(*, connections: int, seconds: float, settling: float = _SETTLING_SECONDS) -> dict[str, Any]:
    """Serve so many connections, each polled every minute, and watch for so long."""
    with tempfile.TemporaryDirectory(prefix="tillbridge-bench-") as name, _remotes(connections) as urls:
        folder = Path(name)
        begun = time.monotonic()
        _first(folder / "first", urls)
        for number in range(connections):
            _copy(folder, number, urls)
        _plan(folder, connections)
        tell(f"{connections} connections were made in {time.monotonic() - begun:.0f} s")
        with serving(folder) as service:
            time.sleep(settling)
            cpu, begun, at = service.cpu(), time.monotonic(), time.time()
            time.sleep(seconds)
            took, used = time.monotonic() - begun, service.cpu() - cpu
            delays, slices = _delays(folder, at)
            return {
                "connections": connections,
                "share": used / took,
                "cpu": used,
                "seconds": took,
                "megabytes": service.megabytes(),
                "slices": slices,
                "polls": len(delays),
                "delays": delays,
                "outcomes": _outcomes(folder),
            }


@contextmanager
def _remotes(connections: int) -> Iterator[tuple[str, str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.many", str(connections)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        till, crm = process.stdout.readline().split()
        yield till, crm
    finally:
        process.terminate()
        process.wait()


def _toml(urls: tuple[str, str], **own: str) -> str:
    return toml_of(*urls, more=f"[schedule]\n{ALWAYS_OPEN}", **own)


def _first(home: Path, urls: tuple[str, str]) -> None:
    """Set the connection up that all others are copies of."""
    home.mkdir()
    (home / config.FILE_NAME).write_text(_toml(urls), encoding="utf-8")
    parts = open_home(home, history=True)
    deploy(parts, SystemClock())
    connection = parts.connect(fresh=True)
    backfill(connection)
    sync(connection)
    crosscheck(connection, nightly=True)
    certify(connection)
    parts.close()
    _fold(home)


def _fold(home: Path) -> None:
    """Write everything into the one file that is copied."""
    with sqlite3.connect(home / "tillbridge.sqlite") as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()


def _copy(folder: Path, number: int, urls: tuple[str, str]) -> None:
    """Make one more connection of the first; what is sealed is bound to the connection's name."""
    first, home = folder / "first", folder / CONNECTIONS / f"shop{number:03}"
    shutil.copytree(first, home, ignore=shutil.ignore_patterns("*.lock", FILE_NAME + "*", "*-wal", "*-shm"))
    text = _toml(urls, client=client(number), token=refresh_token(number), consumer=consumer(number))
    (home / config.FILE_NAME).write_text(text, encoding="utf-8")
    state = open_state(home)
    with state.begin() as c:
        state.keep(c, "crm_org", id18(org(number)))
    old = vault_in(first / KEY_FILE, first).inherit_kept(state.fact(LASTING))
    reseal(state, old, vault_in(home / KEY_FILE, home))
    state.close()


def _plan(folder: Path, connections: int) -> None:
    """Spread the due times: each stream somewhere within its interval."""
    chance, now = Random(1), time.time()
    wanted = wanted_streams(config.load(folder / CONNECTIONS / "shop000"))
    service = open_service(service_url(folder, None))
    for number in range(connections):
        service.plan_streams(f"shop{number:03}", wanted, now)
    with service.begin() as c:
        for row in c.execute(sa.select(stream)).all():
            mine = (
                stream.c.connection == row.connection,
                stream.c.kind == row.kind,
                stream.c.name == row.name,
            )
            due = now + chance.uniform(0, row.every) if row.every else None
            c.execute(sa.update(stream).where(*mine).values(next_due=due))
    service.close()
    with sqlite3.connect(folder / FILE_NAME) as file:
        file.executescript(_WATCH)
    file.close()


def _delays(folder: Path, since: float) -> tuple[list[float], int]:
    """Return how late the polls of sales began, and how many slices of any kind there were."""
    with sqlite3.connect(folder / FILE_NAME) as file:
        rows = file.execute("SELECT name, due, began FROM watched WHERE began >= ?", (since,)).fetchall()
    file.close()
    return sorted(max(0.0, began - due) for name, due, began in rows if name == "sales"), len(rows)


def _outcomes(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / FILE_NAME) as file:
        rows = file.execute("SELECT outcome, count(*) FROM stream GROUP BY outcome").fetchall()
    file.close()
    return {str(outcome): count for outcome, count in rows}

"""What `tillbridge serve` burns while nothing happens: CPU of its process, and its calls to Salesforce."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.scene import install, tell
from tillbridge.rehearsal import Rehearsal, World, rehearse
from tillbridge.wiring import open_home

COMMAND = (sys.executable, "-c", "from tillbridge.cli import main; main()")

# Login, first reads of every stream and a first sweep are over after so long.
_SETTLING_SECONDS = 90.0

# The configurations of hundreds of connections are read before it says where it is.
_START_SECONDS_MAX = 180.0

ALWAYS_OPEN = 'opening_hours = ["Mon-Sun 00:00-24:00"]'


def measure(*, seconds: float, customers: int = 50, sales: int = 0) -> dict[str, Any]:
    """Serve a shop that is open and sells nothing."""
    world = World(shops=1, customers=customers, sales=sales, now=datetime.now(UTC).replace(microsecond=0))
    with tempfile.TemporaryDirectory(prefix="tillbridge-bench-") as folder:
        home = Path(folder)
        with rehearse(home, world, more_toml=f"\n[schedule]\n{ALWAYS_OPEN}\n") as rehearsal:
            parts = open_home(home, clock=rehearsal.clock, history=True)
            install(parts, rehearsal)
            parts.close()
            with serving(home) as service:
                time.sleep(_SETTLING_SECONDS)
                return _watch(rehearsal, service, seconds)


def _watch(rehearsal: Rehearsal, service: Process, seconds: float) -> dict[str, Any]:
    cpu, begun = service.cpu(), time.monotonic()
    before = routes(rehearsal)
    time.sleep(seconds)
    took = time.monotonic() - begun
    used = service.cpu() - cpu
    after = routes(rehearsal)
    asked = {
        route: count - before.get(route, 0) for route, count in after.items() if count > before.get(route, 0)
    }
    tell(f"{used:.2f} s of CPU in {took:.0f} s")
    return {
        "share": used / took,
        "cpu": used,
        "seconds": took,
        "routes": asked,
        "megabytes": service.megabytes(),
    }


def routes(rehearsal: Rehearsal) -> dict[str, int]:
    """Return how often each of the CRM's routes was called."""
    found: dict[str, int] = rehearsal.crm.control("GET", "usage")["by_route"]
    return found


@dataclass(slots=True)
class Process:
    """A process of ours, watched from outside."""

    process: subprocess.Popen[str]
    url: str

    @property
    def pid(self) -> int:
        """Return its id."""
        return self.process.pid

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used, all its threads together."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        """Return the most memory that it has held, in units of 1,000,000 bytes."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024 / 1e6


@contextmanager
def serving(
    home: Path, verb: Sequence[str] = ("serve",), env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run the service of a home; it is ended in order afterwards."""
    log = home / "service.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*COMMAND, *verb, "--home", str(home), "--port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **(env or {})},
            text=True,
        )
    try:
        until = time.monotonic() + _START_SECONDS_MAX
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield Process(process, found[0])
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=20)

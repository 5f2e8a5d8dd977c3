"""A rehearsal that is ready to begin: simulators up, package installed, connection made.

Runs in a process of its own for each measurement, so that CPU and peak memory are those of one job alone.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tillbridge.connectors.salesforce import metadata
from tillbridge.engine.connection import Connection
from tillbridge.model.clock import Clock
from tillbridge.rehearsal import Rehearsal, World, rehearse
from tillbridge.wiring import Parts, open_home

_DEPLOY_POLL_SECONDS = 2.0
PERMISSION_SET = "Tillbridge_Integration"

# Every world has the org's own thank-you mail switched on, and assignment rules for Leads: history must
# pass both by.
_AUTOMATION = {"thank_you_flow": True, "lead_assignment_rule": True}


@dataclass(slots=True)
class Scene:
    """One rehearsal with its connection."""

    rehearsal: Rehearsal
    parts: Parts
    connection: Connection

    def meter(self) -> Meter:
        """Begin to count what something costs us."""
        return Meter(self)

    def till_rows(self) -> dict[str, int]:
        """Return how many rows the till holds of each entity."""
        return {name: int(count) for name, count in self.rehearsal.till.control("GET", "rows").items()}

    def limited(self) -> int:
        """Return how many 429s the till has given."""
        return int(self.rehearsal.till.control("GET", "usage")["limited"]["total"])

    def automation(self) -> dict[str, int]:
        """Return how many mails and tasks the org has sent by itself."""
        counted: dict[str, int] = self.rehearsal.crm.control("GET", "automation")
        return counted


class Meter:
    """Counts calls and our own CPU from its making on."""

    def __init__(self, scene: Scene) -> None:
        self._parts = scene.parts
        self._till, self._crm = scene.parts.till.calls, scene.parts.crm.calls
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def read(self) -> dict[str, float]:
        """Return the calls and the seconds since."""
        return {
            "till_calls": self._parts.till.calls - self._till,
            "crm_calls": self._parts.crm.calls - self._crm,
            "cpu": time.process_time() - self._cpu,
            "wall": time.monotonic() - self._wall,
        }


@contextmanager
def scene(world: World, *, history: bool = True) -> Iterator[Scene]:
    """Make a world and connect to it; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tillbridge-bench-") as folder:
        home = Path(folder)
        begun = time.monotonic()
        with rehearse(home, world) as rehearsal:
            rehearsal.crm.control("POST", "switches", _AUTOMATION)
            tell(f"a world of {world.sales:,} sales was made up in {time.monotonic() - begun:.0f} s")
            parts = open_home(home, clock=rehearsal.clock, history=history)
            install(parts, rehearsal)
            yield Scene(rehearsal, parts, parts.connect(fresh=True))


def install(parts: Parts, rehearsal: Rehearsal) -> None:
    """Deploy the Salesforce package and take the permission set."""
    deploy(parts, rehearsal.clock)


def deploy(parts: Parts, clock: Clock) -> None:
    """Do so by a clock of one's own."""
    account = parts.crm.describe("Account")
    persons = account is not None and "IsPersonAccount" in account.fields
    package = metadata.build_zip(metadata.package_folder(), person_accounts=persons)
    deployment = parts.crm.deploy(package, check_only=False)
    while not (status := parts.crm.deploy_status(deployment)).done:
        clock.sleep(_DEPLOY_POLL_SECONDS)
    assert status.success, status.failures
    parts.crm.assign_permission_set(PERMISSION_SET)


def toml_of(
    till: str,
    crm: str,
    *,
    client: str = "demo-client",
    token: str = "demo-refresh",
    consumer: str = "demo-consumer",
    more: str = "",
) -> str:
    """Return the configuration of a home whose two sides are simulators at these addresses."""
    return f"""\
[lightspeed]
account_id = "190001"
client_id = "{client}"
client_secret = "demo-secret"
refresh_token = "{token}"
api_url = "{till}"
auth_url = "{till}"

[salesforce]
login_url = "{crm}"
auth = "client_credentials"
client_id = "{consumer}"
client_secret = "demo-consumer-secret"

[safety]
first_till_write = "allow"
first_crm_update = "allow"

{more}
"""


def peak_megabytes() -> float:
    """Return the most memory that this process has held, in units of 1,000,000 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def tell(text: str, **facts: Any) -> None:
    """Say on stderr how far we are."""
    print(f"    {text}", *(f"{name} {value}" for name, value in facts.items()), file=sys.stderr, flush=True)

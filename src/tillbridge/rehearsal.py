"""A rehearsal: both simulators in processes of their own, and a home directory that leads to them.

The demo, the bench and the stories in the tests run here, in simulated time:
the clock of this module jumps, and takes both simulators' clocks along, so that
nobody ever sleeps out a leaky bucket.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# A big world takes a while to be made up.
_READY_SECONDS_MAX = 300.0

# Where a rehearsal leaves word of its clock, for whoever looks into its home, and how often: a load jumps
# hundreds of times a second.
AHEAD_FILE = "demo.json"
_KEEP_SECONDS = 0.5

# A jump of the clock shorter than this is saved up: most waits are fractions of a second.
_JUMP_SECONDS_MIN = 0.05


class Switchboard:
    """The switchboard of a running simulator, which is no part of the vendor's API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Call it: `path` is below /control/."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/control/{path}", data, method=method)  # noqa: S310  Loopback.
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  Loopback.
            return json.loads(answer.read() or b"null")


class Simulator(Switchboard):
    """One simulator process of our own."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        super().__init__("")
        module = f"tillbridge.simulators.{name}"
        self.name = name
        self._process = subprocess.Popen(  # noqa: S603  Our own module, with our own arguments.
            [sys.executable, "-m", module, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we end them ourselves.
        )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until it answers. Raises RuntimeError when it ends instead."""
        assert self._process.stdout is not None
        begun = time.monotonic()
        for line in self._process.stdout:
            if line.startswith("ready "):
                self.url = line.split()[1].strip()
                return
            if time.monotonic() - begun > _READY_SECONDS_MAX:
                break
        self.stop()
        raise RuntimeError(f"the {self.name} simulator did not start")

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(timeout=10)
        if self._process.stdout is not None:
            self._process.stdout.close()


class JumpingClock:
    """A clock that jumps over every wait and takes the simulators' clocks along.

    `kept_in`: the home whose file says how far ahead of the machine's clock it is (`ahead_seconds`).
    """

    def __init__(
        self, start: datetime, simulators: Sequence[Switchboard], kept_in: Path | None = None
    ) -> None:
        self._start = start
        self._kept_in = kept_in
        self._kept_at = float("-inf")
        self._keeping = threading.Lock()
        self._begun = time.monotonic()
        self._jumped = 0.0
        self._owed = 0.0
        self._simulators = simulators
        self._keep()

    def now(self) -> datetime:
        """Return the simulated moment."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return simulated seconds since the start."""
        return time.monotonic() - self._begun + self._jumped

    def sleep(self, seconds: float) -> None:
        """Jump ahead."""
        if seconds <= 0:
            return
        self._jumped += seconds
        self._owed += seconds
        if self._owed >= _JUMP_SECONDS_MIN:
            for simulator in self._simulators:
                simulator.control("POST", "clock", {"advance": self._owed})
            self._owed = 0.0
            self._keep()

    def _keep(self) -> None:
        """Leave word of how far ahead it is, for those who look into the home meanwhile."""
        if self._kept_in is None:
            return
        with self._keeping:
            if time.monotonic() - self._kept_at < _KEEP_SECONDS:
                return
            self._kept_at = time.monotonic()
            ahead = self.now().timestamp() - time.time()
            part = self._kept_in / f"{AHEAD_FILE}.part"
            part.write_text(json.dumps({"ahead_seconds": round(ahead, 3)}), encoding="utf-8")
            part.replace(self._kept_in / AHEAD_FILE)


def ahead_seconds(home: Path) -> float:
    """Return how far ahead of the machine's clock the rehearsal of a home is, or was at its end."""
    return float(json.loads((home / AHEAD_FILE).read_text(encoding="utf-8"))["ahead_seconds"])


@dataclass(frozen=True, slots=True)
class World:
    """How big the made-up retailer is."""

    shops: int = 3
    customers: int = 2_000
    sales: int = 5_000
    seed: int = 1
    model: str = "person_account"
    now: datetime = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@dataclass(slots=True)
class Rehearsal:
    """Two running simulators, a clock, and a home directory that is configured for them."""

    home: Path
    till: Simulator
    crm: Simulator
    clock: JumpingClock
    world: World
    extra: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def rehearse(home: Path, world: World = World(), *, more_toml: str = "") -> Iterator[Rehearsal]:
    """Start both simulators and configure a home directory; stop them at the end."""
    home.mkdir(parents=True, exist_ok=True)
    public = _make_keys(home)
    sizes = ["--seed", world.seed, "--customers", world.customers, "--sales", world.sales]
    common = [str(a) for a in (*sizes, "--shops", world.shops, "--now", world.now.isoformat())]
    till = Simulator("lightspeed", common)
    crm = Simulator("salesforce", [*common, "--model", world.model, "--public-key", str(public)])
    try:
        till.wait_ready()
        crm.wait_ready()
        clock = JumpingClock(world.now, [till, crm], home)
        for simulator in (till, crm):
            simulator.control("POST", "clock", {"set": clock.now().isoformat()})
        (home / "tillbridge.toml").write_text(_toml(till.url, crm.url, world) + more_toml, encoding="utf-8")
        yield Rehearsal(home, till, crm, clock, world)
    finally:
        till.stop()
        crm.stop()


def _make_keys(home: Path) -> Path:
    """Make the key pair that the integration user signs in with."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private, public = home / "salesforce.key", home / "salesforce.pub"
    if not private.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private.touch(0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    return public


def _toml(till_url: str, crm_url: str, world: World) -> str:
    return f"""\
[lightspeed]
series = "R"
account_id = "190001"
client_id = "demo-client"
client_secret = "demo-secret"
refresh_token = "demo-refresh"
api_url = "{till_url}"
auth_url = "{till_url}"

[salesforce]
login_url = "{crm_url}"
auth = "jwt"
client_id = "demo-consumer"
username = "integration@demo.example"
private_key_file = "salesforce.key"

[customers]
model = "{world.model}"

# A rehearsal's owner has looked at what is changed in people who were there before.
[safety]
first_till_write = "allow"
first_crm_update = "allow"
"""

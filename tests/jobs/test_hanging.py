"""Six connections whose remotes never answer, and a seventh that is served by the same process.

A call that hangs holds its place until it is given up after minutes. What is promised to the seventh is
that its receipts arrive, and that people who ask are served, all that time.
"""

import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from job_plant import until
from world import World

from tillbridge.simulators.httpd import Fault
from tillbridge.store.service import open_service, service_url

COMMAND = [sys.executable, "-c", "from tillbridge.cli import main; main()"]
HANGING = tuple(f"hanging{number}" for number in range(6))
WELL = "well"

# Sales are read every two seconds here, so that ten are far more than a receipt takes when nothing hangs.
EVERY_SECONDS = 2
PROMISED_SECONDS = 10.0


class Seven:
    """Seven shops, one of them well, and the service of them all."""

    def __init__(self, folder):
        self.folder = folder
        self.answered = threading.Event()
        self.well = self.shop(WELL, f"[schedule]\nsales_seconds = {EVERY_SECONDS}").install()
        self.well.wait_until(datetime.now(UTC).isoformat())
        self.well.sim_clock.run(True)
        self.well.shop("High Street", "Europe/London")
        self.well.employee("Kim", "Seller")
        self.item = self.well.item()
        self.silent = self.shop(HANGING[0])
        text = (folder / "connections" / HANGING[0] / "tillbridge.toml").read_text("utf-8")
        for number, name in enumerate(HANGING, 2):
            home = folder / "connections" / name
            home.mkdir(exist_ok=True)
            # A till account of its own, so that what one draws is nobody else's.
            (home / "tillbridge.toml").write_text(text.replace("190001", str(190_000 + number)), "utf-8")
        for server in (self.silent.till_server, self.silent.crm_server):
            server.sleep = lambda _seconds: self.answered.wait(600)
            server.faults.append(Fault("slow", "", times=None))
        self.service = open_service(service_url(folder, None))
        with (folder / "log").open("wb") as file:
            self.process = subprocess.Popen(self.command("serve", "--port", "0"), stdout=file, stderr=file)

    def shop(self, name, toml=""):
        home = self.folder / "connections" / name
        home.mkdir(parents=True)
        return World(home, toml=toml)

    def command(self, *words):
        return [*COMMAND, *words, "--home", str(self.folder)]

    def hanging(self):
        """Return the connections that are in the middle of a poll, and were never through with one."""
        streams = [s for s in self.service.streams() if s.kind == "poll" and s.connection != WELL]
        through = {s.connection for s in streams if s.outcome == "done"}
        return {s.connection for s in streams if s.queued and s.began_at} - through

    def arrives(self):
        """Ring up a sale in the seventh; return after how many seconds it is in the CRM."""
        sale = self.well.ring(self.item)
        key = f"190001-S{sale}"
        return until(lambda: key in self.well.rows("Sales_Transaction__c"), "the receipt is there")[1]

    def close(self):
        self.answered.set()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.service.close()
        self.well.close()
        self.silent.close()


@pytest.fixture
def seven(tmp_path):
    made = Seven(tmp_path)
    yield made
    made.close()


def test_six_connections_that_never_get_an_answer_keep_no_seventh_from_its_promise(seven):
    until(lambda: seven.hanging() == set(HANGING), "all six are in a call that hangs")
    seven.arrives()  # The first brings stores and products along.
    for name in HANGING:  # Whatever can hang of them is to hang: every kind of work is due at once.
        seven.service.wish(name, None, None, time.time())
    took = [seven.arrives() for _ in range(4)]
    customer = seven.well.customer("Ana", "Silva", email="ana@mail.example")
    begun = time.monotonic()
    words = seven.command("sync", "--customer", str(customer), "--connection", WELL)
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    forced = time.monotonic() - begun

    assert set(HANGING) == seven.hanging(), "they have hung all the time"
    assert max(took) < PROMISED_SECONDS, took
    assert (0, True) == (ran.returncode, forced < PROMISED_SECONDS), (ran.stderr, forced)
    assert f"190001-C{customer}" in seven.well.rows("Account")
    seven.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    assert 0 == seven.process.wait(timeout=15)
    assert time.monotonic() - begun < PROMISED_SECONDS
    print(f"arrived in {', '.join(f'{each:.1f}' for each in took)} s, forced in {forced:.1f} s")

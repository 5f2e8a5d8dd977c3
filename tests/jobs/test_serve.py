"""`tillbridge serve` as people run it: a process over two simulators, asked, forced, paused and ended."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from job_plant import until
from world import World

from tillbridge.simulators.httpd import Fault

COMMAND = [sys.executable, "-c", "from tillbridge.cli import main; main()"]
# Ten seconds from the signal are promised; what a busy machine takes to end a process is no part of ours.
CLEARLY_IN_TIME = 9.0
EVENTS = {"service started", "service stopping", "service stopped", "slice ended"}


class Served:
    """A home that a service works with."""

    def __init__(self, world):
        self.world = world
        self.home = world.home
        self.log = (self.home / "tillbridge.log").open("ab")
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--home", str(self.home), "--port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self.env(),
            text=True,
        )
        told = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", told)
        assert found, told
        self.url = found[0]

    def env(self):
        return {key: value for key, value in os.environ.items() if key != "TILLBRIDGE_LOG"}

    def run(self, *words, status=0):
        done = subprocess.run(
            [*COMMAND, *words, "--home", str(self.home)],
            capture_output=True,
            text=True,
            env=self.env(),
            check=False,
        )
        assert status == done.returncode, done.stderr
        return done.stdout

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def stream(self, name):
        document = json.loads(self.run("jobs", "--json"))
        return next(s for s in document["streams"] if name in {s["stream"], s["kind"]})

    def entries(self):
        text = (self.home / "tillbridge.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.log.close()
        self.world.close()


def open_for_business(folder):
    """A service over a small shop that has polled its sales once."""
    world = World(folder, toml="[schedule]\nsales_seconds = 2")
    world.wait_until(datetime.now(UTC).isoformat())
    world.sim_clock.run(True)
    world.shop("High Street", "Europe/London")
    world.employee("Kim", "Seller")
    world.install()
    made = Served(world)
    until(lambda: made.stream("sales")["last_outcome"] == "done", "a first poll")
    return made


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = open_for_business(tmp_path_factory.mktemp("home"))
    yield made
    made.end()


@pytest.fixture
def ending(tmp_path):
    """A service of its own, since nothing is served behind its end."""
    made = open_for_business(tmp_path)
    yield made
    made.end()


def test_it_is_well_and_ready_and_tells_its_figures(served):
    status, text = served.get("/metrics")

    assert [(200, "ok\n"), (200, "ok\n")] == [served.get("/healthz"), served.get("/readyz")]
    assert 200 == status
    assert 'tillbridge_slices_total{connection="default",kind="poll",outcome="done"}' in text
    assert 'tillbridge_workers{state="alive"} 1.0' in text
    assert 404 == served.get("/anything")[0]


def test_a_receipt_gets_across_by_itself(served):
    product, customer = served.world.item(), served.world.customer("Ana", "Silva", email="ana@example.com")
    sale = served.world.ring(product, customer=customer)

    until(lambda: f"190001-S{sale}" in served.world.rows("Sales_Transaction__c"), "the receipt is there")


def test_a_forced_customer_goes_through_the_service(served):
    customer = served.world.customer("Bo", "Lind", email="bo@example.com")
    begun = time.monotonic()

    told = served.run("sync", "--customer", str(customer))

    assert f"customer {customer}" in told
    assert "sent" in told
    assert f"190001-C{customer}" in served.world.rows("Account")
    assert time.monotonic() - begun < 10
    assert any("/force/" in entry.get("job", "") for entry in served.entries())


def test_what_was_not_found_is_said_as_without_a_service(served):
    assert "not in the till" in served.run("sync", "--sale", "99999999", status=1)


def test_a_stream_and_a_connection_can_be_paused_and_resumed(served):
    served.run("pause", "sales")
    paused = served.stream("sales")["state"]
    served.run("resume", "sales")
    served.run("pause", "--why", "stock-taking")
    stopped = {s["state"] for s in json.loads(served.run("jobs", "--json"))["streams"]}
    served.run("resume")

    assert ("paused", {"paused"}) == (paused, stopped)
    assert "paused" != served.stream("sales")["state"]


def test_run_now_brings_a_stream_forward(served):
    before, _ = until(lambda: served.stream("stock")["last_ended_at"], "its first run has ended")

    served.run("run-now", "stock")

    until(lambda: served.stream("stock")["last_ended_at"] > before, "it ran")


def test_a_stream_that_is_none_is_named(served):
    assert "" == served.run("pause", "nothing-such", status=2)


def test_no_second_service_runs_with_one_home(served):
    assert "" == served.run("serve", status=75)


def test_several_processes_need_postgresql(served):
    assert "" == served.run("worker", status=2)
    assert "" == served.run("serve", "--no-worker", status=2)


def test_it_ends_in_order_within_ten_seconds_and_its_log_names_nobody(ending):
    customer = ending.world.customer("Ana", "Silva", email="ana@example.com")
    ending.run("sync", "--customer", str(customer))
    ending.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    ending.process.wait(timeout=15)

    entries = ending.entries()
    assert time.monotonic() - begun < CLEARLY_IN_TIME
    assert 0 == ending.process.returncode
    assert entries[-1]["event"] == "service stopped"
    assert {"default"} == {e["connection"] for e in entries if e["event"] == "slice ended"}
    assert [] == [e for e in entries if e["level"] == "error"]
    assert not re.search(r"(?i)silva|example\.com", json.dumps(entries))


@pytest.mark.parametrize("side", ["till", "crm"])
def test_it_ends_in_time_although_a_remote_hangs(ending, side):
    """A call that never ends is left as it is: nothing was lost by it."""
    world, answered = ending.world, threading.Event()
    server = world.till_server if side == "till" else world.crm_server
    server.sleep = lambda _seconds: answered.wait(60)
    server.faults.append(Fault("slow", "", times=None))
    ending.run("run-now")
    until(lambda: any(world.suffered()), "a call hangs")
    ending.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    status = ending.process.wait(timeout=15)
    took = time.monotonic() - begun
    answered.set()

    assert (0, True) == (status, took < CLEARLY_IN_TIME), took
    assert ("service stopped", ["default"]) == tuple(map(ending.entries()[-1].get, ("event", "hanging")))
    print(f"ended {took:.1f} s after the signal")

"""A worker that was paused in the middle of a write and wakes up when another has taken its place.

Real processes of `tillbridge worker` over both simulators, with everything in a real PostgreSQL.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from job_plant import DEAD_AFTER, GRACE, until
from world import World

from tillbridge.store.service import open_service, service_url

COMMAND = [sys.executable, "-c", "from tillbridge.cli import main; main()"]


class Shop:
    """A small shop that workers carry to the CRM, and the way to stop time for one of them."""

    def __init__(self, home, database):
        self.world = World(home, database=database, toml="[schedule]\nsales_seconds = 2")
        config = home / "tillbridge.toml"
        text = config.read_text("utf-8")
        config.write_text(
            text.replace("dead_after_seconds = 1", f"dead_after_seconds = {DEAD_AFTER}"), "utf-8"
        )
        self.world.wait_until(datetime.now(UTC).isoformat())
        self.world.sim_clock.run(True)
        self.world.shop("High Street", "Europe/London")
        self.world.employee("Kim", "Seller")
        self.world.install()
        self.home = home
        self.service = open_service(service_url(home, database))
        self.state = sa.create_engine(self.service.url)
        self.workers = []
        # An answer of the CRM's that is held back is given when this is set.
        self.answered = threading.Event()
        self.world.crm_server.sleep = lambda _seconds: self.answered.wait(90)

    def worker(self):
        with (self.home / f"worker{len(self.workers)}.log").open("wb") as log:
            env = {**os.environ, "TILLBRIDGE_LOG": "stderr"}
            words = [*COMMAND, "worker", "--home", str(self.home), "--port", "0"]
            process = subprocess.Popen(words, stdout=log, stderr=log, env=env)
        self.workers.append(process)
        return process

    def said(self, process):
        """Return the events that a worker has logged."""
        text = (self.home / f"worker{self.workers.index(process)}.log").read_text("utf-8")
        return [json.loads(line)["event"] for line in text.splitlines() if line.startswith("{")]

    def only_sales(self):
        """Let everything rest but the poll of sales."""
        for each in self.service.streams():
            if each.name != "sales":
                self.service.pause_streams("default", each.kind, each.name, paused=True)

    def standing(self, sale):
        """Return the row of a sale as it is kept: what became of it, when, and in which run."""
        with self.state.connect() as c:
            row = c.execute(
                sa.text("SELECT * FROM c_default.record WHERE kind = 'sale' AND till_id = :id"), {"id": sale}
            ).first()
        return None if row is None else dict(row._mapping)

    def is_settled(self, sale):
        return (self.standing(sale) or {}).get("state") == "settled"

    def close(self):
        self.answered.set()
        for process in self.workers:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.state.dispose()
        self.service.close()
        self.world.close()


@pytest.fixture
def shop(tmp_path, new_database):
    made = Shop(tmp_path, new_database)
    yield made
    made.close()


def test_a_worker_that_wakes_up_behind_its_successor_writes_nothing_any_more(shop):
    """The CRM has taken its receipt; before it could note that, it was stopped, and replaced."""
    world = shop.world
    sleeper = shop.worker()
    item, customer = world.item(), world.customer("Ana", "Silva", email="ana@mail.example")
    first = str(world.ring(item, customer=customer))
    until(lambda: shop.is_settled(first), "everybody whom it names is in the CRM")
    shop.only_sales()
    until(lambda: all(not s.queued for s in shop.service.streams() if s.paused), "the others rest")
    world.fail_crm("slow", "POST .*/composite")
    sale = str(world.ring(item, customer=customer))
    until(lambda: world.suffered()[1], "the CRM has its write, and keeps the answer back")
    sleeper.send_signal(signal.SIGSTOP)
    shop.worker()

    _, seconds = until(lambda: shop.is_settled(sale), "another has carried it")
    shop.service.pause_streams("default", "poll", "sales", paused=True)
    carried = shop.standing(sale)
    shop.answered.set()
    sleeper.send_signal(signal.SIGCONT)
    until(lambda: "slice fenced" in shop.said(sleeper), "the sleeper was told")

    assert carried == shop.standing(sale)
    assert seconds < DEAD_AFTER + GRACE + 5  # The other one had to start, too.
    assert {f"190001-S{i}" for i in (first, sale)} == {
        row["Transaction_Key__c"] for row in world.all_rows("Sales_Transaction__c")
    }
    assert 2 == len(world.all_rows("Sales_Transaction__c"))
    assert "service in trouble" not in shop.said(sleeper)

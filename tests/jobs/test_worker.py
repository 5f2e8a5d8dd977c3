"""`tillbridge worker` as people run it, over a real PostgreSQL: with no connection, with no database."""

import json
import os
import signal
import subprocess
import sys

import pytest
import sqlalchemy as sa
from job_plant import until

from tillbridge.installation import DATABASE_URL

COMMAND = [sys.executable, "-c", "from tillbridge.cli import main; main()"]


class Worker:
    """A worker process in a folder of its own, and the database that it works with."""

    def __init__(self, folder, database, postgres):
        self.log = folder / "log"
        self.database = sa.make_url(database).database
        self.admin = sa.create_engine(
            postgres.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        env = {**os.environ, "TILLBRIDGE_LOG": "stderr", DATABASE_URL: database}
        words = [*COMMAND, "worker", "--home", str(folder / "shops"), "--port", "0"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=env)

    def said(self):
        return self.log.read_text("utf-8")

    def entries(self, event):
        lines = (json.loads(line) for line in self.said().splitlines() if line.startswith("{"))
        return [each for each in lines if each["event"] == event]

    def cut_off(self):
        """Let nobody into the database, and throw out who is in."""
        with self.admin.connect() as c:
            c.execute(sa.text(f"ALTER DATABASE {self.database} ALLOW_CONNECTIONS false"))
            thrown_out = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            c.execute(sa.text(thrown_out), {"name": self.database})

    def let_in(self):
        with self.admin.connect() as c:
            c.execute(sa.text(f"ALTER DATABASE {self.database} ALLOW_CONNECTIONS true"))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.admin.dispose()


@pytest.fixture
def worker(tmp_path, new_database, postgres):
    made = Worker(tmp_path, new_database, postgres)
    until(lambda: "Ctrl-C ends it" in made.said(), "it is there")
    yield made
    made.close()


def test_where_no_connection_is_set_up_yet_it_waits_for_one(worker):
    assert "No connection yet: it works from when somebody adds one" in worker.said()
    assert 0 == worker.end()


def test_while_the_database_is_away_it_says_so_once_in_each_place_and_when_it_is_over(worker):
    worker.cut_off()
    until(lambda: len(worker.entries("service in trouble")) >= 2, "two of its threads have noticed")
    worker.let_in()
    until(lambda: len(worker.entries("trouble over")) >= 2, "they notice that it is back")

    met = [entry["where"] for entry in worker.entries("service in trouble")]
    over = {entry["where"]: entry["times"] for entry in worker.entries("trouble over")}
    assert sorted(set(met)) == sorted(met)
    assert over["dispatcher"] > 1, "it was met more often than it was said"

"""A service with several connections: one that cannot be read stops no other, and one may go meanwhile."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from installed import Installation
from job_plant import until

COMMAND = [sys.executable, "-c", "from tillbridge.cli import main; main()"]


@pytest.fixture
def shops(tmp_path):
    """Two shops that are served, beside a connection that nobody has filled in yet."""
    made = Installation(tmp_path / "shops", "north", "south")
    made.sim_clock.set(datetime.now(UTC).timestamp())
    made.sim_clock.run(True)
    made.clock = None
    made.cli("connection", "add", "middle")
    with (tmp_path / "log").open("wb") as log:
        env = {key: value for key, value in os.environ.items() if key != "TILLBRIDGE_LOG"}
        words = [*COMMAND, "serve", "--home", str(made.folder), "--port", "0"]
        process = subprocess.Popen(words, stdout=log, stderr=log, env=env)
    made.process = process
    until(lambda: "Serving" in (tmp_path / "log").read_text("utf-8"), "the service is there")
    yield made
    process.terminate()
    process.wait()
    made.close()


def polled(made, name):
    """Say whether a connection's sales were read, and nothing of it is at work."""
    streams = made.cli("jobs", "--json", "--connection", name).document["streams"]
    return any(
        s["connection"] == name and s["stream"] == "sales" and s["last_outcome"] == "done" for s in streams
    )


def connections_of(made):
    document = made.cli("jobs", "--json", "--connection", "south").document
    return {each["connection"] for each in document["streams"]}


def open_files(process):
    found = set()
    for each in Path(f"/proc/{process.pid}/fd").iterdir():
        if each.is_symlink():
            found.add(str(each.readlink()))
    return found


def test_one_goes_while_the_others_work(shops):
    until(lambda: polled(shops, "north") and polled(shops, "south"), "both were read", 25.0)
    home = shops.folder / "connections" / "north"
    ran = shops.cli("connection", "remove", "north", "--yes")
    assert 0 == ran.status, ran.said
    assert not home.exists()

    until(lambda: "north" not in connections_of(shops), "its streams are forgotten")
    until(lambda: not any(str(home) in name for name in open_files(shops.process)), "its files are let go")
    shops.cli("run-now", "sales", "--connection", "south")
    until(lambda: polled(shops, "south"), "the other goes on")
    assert shops.process.poll() is None

    entries = [json.loads(line) for line in (shops.folder / "tillbridge.log").read_text("utf-8").splitlines()]
    troubles = [e for e in entries if e["event"] == "service in trouble"]
    assert ["connection middle"] == [e["where"] for e in troubles], "said once"
    assert {"north", "south"} >= {e["connection"] for e in entries if e["event"] == "slice ended"}

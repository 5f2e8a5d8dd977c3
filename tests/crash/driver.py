"""A process that loads a home's whole history, or reads one thing from the till: made to be killed.

python driver.py backfill|account HOME CONTROL_URL
"""

import json
import os
import sys
import urllib.request
from datetime import datetime
from pathlib import Path

from tillbridge.cli.desk import Desk, open_parts
from tillbridge.cli.screen import Screen
from tillbridge.engine.backfill import backfill
from tillbridge.engine.connection import Silent
from tillbridge.rehearsal import JumpingClock
from tillbridge.wiring import open_home


class Remote:
    """The switchboard of the world's one clock."""

    def __init__(self, url):
        self.url = url

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/control/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


def main(what, home, url):
    remote = Remote(url)
    clock = JumpingClock(datetime.fromisoformat(remote.control("GET", "clock")["now"]), [remote])
    if what == "account":
        parts = open_home(Path(home), clock=clock)
        print("ready", flush=True)
        sys.stdin.readline()
        print(parts.till.account().id)
        return
    desk = Desk(Screen(sys.stdout, sys.stderr), os.environ, clock)
    with open_parts(desk, Path(home), Silent(), history=True) as parts:
        backfill(parts.connect())


main(*sys.argv[1:])

"""An installation with workers that can be killed, and how a test waits for them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from tillbridge.engine.jobs import Jobs
from tillbridge.engine.schedule import dispatch
from tillbridge.model.errors import SyncError
from tillbridge.store.service import open_service, service_url

DRIVER = Path(__file__).parent / "driver.py"
DEAD_AFTER = 2.0
# What the issue grants beside the dead-after time.
GRACE = 10.0


def until(condition, what, seconds=90.0):
    """Wait for something that other processes do; return what it was, and how long it took."""
    begun = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - begun < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02)  # A look at other processes, not a wait for time to pass.
    return found, time.monotonic() - begun


class Plant:
    """One installation: its shared tables, its workers, and the books that they keep."""

    def __init__(self, url, folder):
        self.url = url
        self.books = folder / "books"
        self.books.touch()
        self.service = open_service(
            sa.make_url(url) if url.startswith("sqlite") else service_url(folder, url)
        )
        self.jobs = Jobs(self.service)
        self.workers = []

    def worker(self):
        process = subprocess.Popen(
            [sys.executable, str(DRIVER), self.url, str(DEAD_AFTER), str(self.books)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.workers.append(process)
        assert process.stdout.readline().startswith("ready"), "the worker did not start"
        return process

    def put_to_sleep(self, process):
        """Stop a worker where it holds no lock of the file: one that slept on that would stop everybody."""

        def asleep():
            process.send_signal(signal.SIGSTOP)
            try:
                with self.service.begin() as c:
                    c.execute(sa.text("UPDATE stream SET gen = gen"))
            except (SyncError, sa.exc.OperationalError):
                process.send_signal(signal.SIGCONT)
                return False
            return True

        until(asleep, "it sleeps, and others can write")

    def stream(self, connection, kind, name, every=0.0):
        with self.service.begin() as c:
            c.execute(
                sa.text(
                    "INSERT INTO stream (connection, kind, name, every, gen, queued, dirty, paused, fails)"
                    " VALUES (:c, :k, :n, :e, 0, :f, :f, :f, 0)"
                ),
                {"c": connection, "k": kind, "n": name, "e": every, "f": False},
            )

    def wish(self, connection, kind, name):
        assert self.service.wish(connection, kind, name, time.time())

    def dispatch(self, now=None):
        return dispatch(self.service, self.jobs, time.time() if now is None else now)

    def lines(self, *starts):
        found = [line.split() for line in self.books.read_text().splitlines()]
        return [line for line in found if line[: len(starts)] == list(starts)]

    def went(self, *starts):
        return lambda: self.lines(*starts)

    def go(self):
        Path(f"{self.books}.go").touch()

    def close(self):
        for process in self.workers:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            process.stdout.close()
        self.jobs.stop(0)
        self.service.close()

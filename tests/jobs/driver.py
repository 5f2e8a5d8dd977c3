"""A worker process made to be killed: the real queue, heart and turns, with work that only keeps books.

python driver.py DATABASE_URL DEAD_AFTER BOOKS [BURN]

Every slice writes a line when it begins and when it ends: "begin ID PID", "end ID PID". A slice named
"slow" lasts until the file BOOKS.go exists; one named "page N" moves a counter, fenced by its lease.
"""

import os
import signal
import sys
import threading
import time
import uuid
from pathlib import Path

import sqlalchemy as sa

from tillbridge.engine.jobs import BACKFILL, SYNC, URGENT, Jobs, Queue
from tillbridge.engine.schedule import Heart
from tillbridge.model.clock import SystemClock
from tillbridge.model.errors import Busy, Fenced, GiveWay
from tillbridge.store.service import Ended, open_service, service_url
from tillbridge.turns import Turns

LOOK = 0.05
LIMIT_SECONDS = 60


class Books:
    """Lines in a file, each written whole: what many processes can share without a lock."""

    def __init__(self, path):
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *words):
        os.write(self._handle, (" ".join(map(str, words)) + "\n").encode())


class Toy:
    """Work that takes its turn as real work does, and says when."""

    def __init__(self, service, turns, books, go):
        self.service, self.turns, self.books, self.go = service, turns, books, go

    def work(self, job):
        if job.kind == "force":
            with self.turns.take(job.connection, None, hurry=True):
                self.books.write("forced", job.id, time.time())
            return {"outcome": "done", "records": [], "run": None}
        at = (job.connection, job.kind, job.name, int(job.gen))
        if not self.service.began(at, time.time()):
            return {"outcome": "skipped"}
        try:
            with self.turns.take(job.connection, None, hurry=False) as turn:
                more = self.slice(job, turn)
        except (Busy, GiveWay) as error:
            self.books.write("passed", job.id, os.getpid(), type(error).__name__)
            self.service.ended(at, Ended(outcome="put off", next_in=0.2), time.time())
            return {"outcome": "put off"}
        except Fenced:
            self.books.write("fenced", job.id, os.getpid())
            return {"outcome": "fenced"}
        self.service.ended(at, Ended(outcome="done", next_in=0.0 if more else None), time.time())
        return {"outcome": "done"}

    def slice(self, job, turn):
        self.books.write("begin", job.id, os.getpid(), time.time())
        if job.name == "slow":
            until = time.monotonic() + LIMIT_SECONDS
            while not self.go.exists() and time.monotonic() < until:
                turn.check()
                threading.Event().wait(LOOK)
        if job.name.startswith("load"):
            more = self.page(job, turn)
        else:
            more = False
            threading.Event().wait(0.02)
        turn.check()
        self.books.write("end", job.id, os.getpid(), time.time())
        return more

    def page(self, job, turn):
        """Turn one page: the counter moves only while the lease is ours, in one transaction."""
        name, last = f"at {job.connection}", int(job.name.removeprefix("load"))
        at = self.service.setting(name) or 0
        threading.Event().wait(0.02)
        with self.service.begin() as c:
            turn.fence(c)
            known = c.execute(sa.text("SELECT value FROM setting WHERE name = :n"), {"n": name}).scalar()
            assert (known or "0") == str(at), "somebody else has turned this page"
            c.execute(sa.text("DELETE FROM setting WHERE name = :n"), {"n": name})
            c.execute(sa.text("INSERT INTO setting VALUES (:n, :v)"), {"n": name, "v": str(at + 1)})
        self.books.write("page", job.connection, at)
        return at + 1 < last


def main(url, dead_after, path):
    service = open_service(
        service_url(Path(), None if url.startswith("sqlite") else url)
        if not url.startswith("sqlite")
        else sa.make_url(url)
    )
    jobs, books, go = Jobs(service), Books(path), Path(path + ".go")
    name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    turns = Turns(service, name, float(dead_after))
    trouble = lambda where, error: books.write("trouble", where, repr(error))  # noqa: E731
    heart = Heart(
        service, jobs, name, SystemClock(), dead_after=float(dead_after), tick=0.1, on_trouble=trouble
    )
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    toy = Toy(service, turns, books, go)
    service.beat(name, float("inf"))
    turns.start()
    quick = [Queue(queue.name, queue.at_once, 0.1) for queue in (URGENT, SYNC, BACKFILL)]
    jobs.start(name, toy.work, quick)
    heart.first_beat(alone=False)
    heart.start()
    print("ready", name, flush=True)
    ending.wait()
    heart.stop()
    turns.end_slices()
    jobs.stop(5)
    turns.close()
    service.leave(name)
    service.close()


main(*sys.argv[1:])

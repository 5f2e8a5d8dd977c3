"""A world with a service beside it whose jobs are worked off one after the other, in simulated time."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from tillbridge import config
from tillbridge.engine.schedule import dispatch
from tillbridge.store.service import open_service, service_url, stream
from tillbridge.turns import Turns
from tillbridge.work import Workshop, wanted_streams


class Inline:
    """A queue whose jobs are worked off by whoever asks: slices one after the other, in this thread."""

    def __init__(self):
        self.waiting = []

    def enqueue(self, job, transaction=None):
        self.waiting.append(job)


class Shop:
    """A world with a service beside it."""

    def __init__(self, world, homes=None, watcher=None):
        self.world = world
        self.homes = homes or {"default": world.home}
        self.service = open_service(service_url(world.home, world.database))
        self.turns = Turns(self.service, "one", 30.0)
        self.workshop = Workshop(world.home, self.service, self.turns, world.clock, watcher=watcher)
        self.queue = Inline()
        self.outcomes = Counter()
        self.plan()

    @property
    def now(self):
        return self.world.clock.now().timestamp()

    def plan(self):
        """Let the due times follow the configurations, as `serve` does when one has changed."""
        for name, home in self.homes.items():
            self.service.plan_streams(name, wanted_streams(config.load(home)), self.now)
            self.service.resume_limited(name, self.now)

    def stream(self, name, connection="default"):
        return next(s for s in self.service.streams(connection) if (s.name or s.kind) == name)

    def run_due(self):
        """Work off everything that is due, until nothing is; return the ids of the jobs."""
        done = []
        while dispatch(self.service, self.queue, self.now):
            jobs, self.queue.waiting = self.queue.waiting, []
            for job in jobs:
                answer = self.workshop.work(job)
                self.outcomes[job.name or job.kind, answer["outcome"]] += 1
                done.append(job.id)
        return done

    def pass_time(self, hours, events=()):
        """Let hours pass from due time to due time; `events` are (seconds from now, what happens)."""
        begun = self.now
        until = begun + hours * 3_600
        coming = sorted(((begun + after, what) for after, what in events), key=lambda event: event[0])
        while self.now < until:
            while coming and coming[0][0] <= self.now:
                coming.pop(0)[1]()
            self.run_due()
            due = [s.next_due for s in self.service.streams() if s.next_due is not None]
            step = min([*due, *(at for at, _ in coming[:1]), until])
            self.world.sim_clock.set(max(step, self.now + 1.0))
        self.run_due()

    def slice(self, name):
        """Do one slice of a stream; return the calls it has cost: till, CRM."""
        self.service.wish("default", *self.named(name), self.now)
        before = self.spent()
        with self.service.begin() as c:
            c.execute(sa.update(stream).where(~stream.c.dirty).values(next_due=None))
        self.run_due()
        return tuple(after - then for after, then in zip(self.spent(), before, strict=True))

    def named(self, name):
        found = self.stream(name)
        return found.kind, found.name

    def spent(self):
        opened = self.workshop._open.get("default")
        return (0, 0) if opened is None else (opened.parts.till.calls, opened.parts.crm.calls)

    def close(self):
        self.workshop.close()
        self.turns.close()
        self.service.close()

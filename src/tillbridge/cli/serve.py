"""The service: `serve`, `worker`, and what people tell it: pause, resume, run-now, jobs.

One process is a dispatcher, a heartbeat and a set of threads that work off the
queue; on PostgreSQL any number of them share the work. It ends within ten seconds
of the signal: slices that are under way end, or are left at their next call, and
whatever hangs then is left as it is.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk
from tillbridge.cli.status import moment
from tillbridge.model.errors import Busy, ConfigurationInvalid, Halted, SyncError

if TYPE_CHECKING:
    from tillbridge.cli.console import Open
    from tillbridge.config import Service as Settings
    from tillbridge.engine.jobs import Jobs
    from tillbridge.metrics import Watched
    from tillbridge.store.service import Service, Stream
    from tillbridge.web.serving import Served

# A slice may end by itself for so long, and is left at its next call then; the promise is ten seconds from
# the signal, so well before that the process is gone, whatever hangs.
_SLICES_SECONDS = 2.0
_DRAIN_SECONDS = 3
_GONE_SECONDS = 6.5

# A worker that has not beaten or dispatched for so long is not well.
_UNWELL_SECONDS = 60.0

# Configuration files that came, changed or went are noticed so soon.
_LOOK_SECONDS = 5.0

# So long the command line waits for a forced run of the service.
_FORCED_SECONDS = 90.0


@contextmanager
def open_shared(folder: Path, env: Mapping[str, str]) -> Iterator[tuple[Service, Jobs, Settings]]:
    """Open what an installation's workers share."""
    from tillbridge.engine.jobs import Jobs
    from tillbridge.installation import service_settings
    from tillbridge.store.service import open_service, service_url

    settings = service_settings(folder, env)
    secret = settings.database_url
    service = open_service(service_url(folder, secret.get_secret_value() if secret else None))
    jobs = Jobs(service)
    try:
        yield service, jobs, settings
    finally:
        jobs.stop(0)
        service.close()


def run_serve(desk: Desk, folder: Path, *, works: bool, port: int | None) -> int:
    """Serve an installation until told to end. Without `works` others do the jobs."""
    from tillbridge.installation import embedded

    with open_shared(folder, desk.env) as (service, jobs, settings), ExitStack() as held:
        if service.is_sqlite:
            if not works:
                reason = "without PostgreSQL nobody else can do the jobs: leave --no-worker out"
                raise ConfigurationInvalid([("service.database_url", reason)])
            held.enter_context(embedded(folder))
        return _Process(desk, folder, service, jobs, settings, works=works, port=port, shows=True).run()


def run_beside(desk: Desk, folder: Path, act: Callable[[Service], None]) -> int:
    """Serve an installation while something else is done again and again: the demo's shop, until Ctrl-C."""
    from tillbridge.installation import embedded

    with open_shared(folder, desk.env) as (service, jobs, settings), embedded(folder):
        port = settings.port if _is_free(settings.host, settings.port) else 0
        process = _Process(desk, folder, service, jobs, settings, works=True, port=port, shows=True)
        return process.run(lambda: act(service))


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def run_worker(desk: Desk, folder: Path, *, port: int | None) -> int:
    """Work off the queue beside other processes."""
    with open_shared(folder, desk.env) as (service, jobs, settings):
        if service.is_sqlite:
            reason = (
                "several processes need PostgreSQL: postgresql://user:password@host/database; on one machine "
                "`tillbridge serve` does it all"
            )
            raise ConfigurationInvalid([("service.database_url", reason)])
        return _Process(desk, folder, service, jobs, settings, works=True, port=port, shows=False).run()


class _Process:
    """One serving process from its start to its end."""

    def __init__(
        self,
        desk: Desk,
        folder: Path,
        service: Service,
        jobs: Jobs,
        settings: Settings,
        *,
        works: bool,
        port: int | None,
        shows: bool,
    ) -> None:
        from tillbridge.cli.console import open_console, watchers_of
        from tillbridge.engine.jobs import LIBRARY
        from tillbridge.engine.repeats import Repeats
        from tillbridge.engine.schedule import Heart
        from tillbridge.logs import adopt, logger
        from tillbridge.metrics import Meters, Watched
        from tillbridge.planning import Planner
        from tillbridge.turns import Turns
        from tillbridge.work import Workshop

        self._desk, self._folder, self._service, self._jobs = desk, folder, service, jobs
        self._works = works
        self._dead_after = settings.dead_after_seconds
        self._log = logger()
        self._repeats = Repeats()
        adopt(LIBRARY)
        # This very start: whoever shared an id with another process would take its jobs away.
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._meters = Meters(service, jobs, lambda: desk.clock.now().timestamp(), self._dead_after)
        self._turns = Turns(service, self._name, self._dead_after)
        self._shop = Workshop(folder, service, self._turns, desk.clock, desk.env, self._meters)
        self._heart = Heart(
            service,
            jobs,
            self._name,
            desk.clock,
            dead_after=self._dead_after,
            on_trouble=self._trouble,
            on_well=self._well,
        )
        listens = settings.port if port is None else port
        self._console: Open | None = None
        self._watched: Served | Watched
        if shows:
            self._console = open_console(
                folder, service, jobs, desk, settings, self._meters, healthy=self._unwell, ready=self._unready
            )
            self._watched = self._console.listen(settings.host, listens)
        else:
            self._watched = Watched(
                settings.host,
                listens,
                self._meters,
                healthy=self._unwell,
                ready=self._unready,
                may_watch=watchers_of(folder, service, desk),
            )
        self._ending = threading.Event()
        self._may_vanish = True
        self._told_at = 0.0  # when it was told to end, on the monotonic clock
        self._last = threading.Timer(_GONE_SECONDS, _vanish)
        self._last.daemon = True
        self._planner = Planner(
            folder,
            service,
            desk.clock,
            desk.env,
            on_gone=self._shop.forget,
            on_trouble=self._trouble,
            on_well=self._well,
        )

    def run(self, beside: Callable[[], None] | None = None) -> int:
        """Work until a signal comes. `beside`: what is done meanwhile, again and again."""
        # What is done beside it ends behind us, with what it has started; nothing hangs for long without it.
        self._may_vanish = beside is None
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {each: signal.signal(each, self._told_to_end) for each in numbers}
        try:
            self._start()
            self._tell(is_demo=beside is not None)
            with suppress(KeyboardInterrupt):
                while not self._ending.is_set():
                    self._go_on(beside)
            return self._end()
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _told_to_end(self, *_: object) -> None:
        """Begin to end. Counted from here on, since what the main thread is at may hang itself."""
        if not self._told_at:
            self._told_at = time.monotonic()
            if self._may_vanish:
                self._last.start()
        self._ending.set()

    def _start(self) -> None:
        self._planner.plan()
        self._watched.start()
        if self._works:
            # The first beat stands before the first job: whoever finds a job of ours finds us alive.
            self._service.beat(self._name, float("inf"))
            self._turns.start()
            self._jobs.start(self._name, self._shop.work)
            self._heart.first_beat(alone=self._service.is_sqlite)
            self._heart.start()
        self._log.info("service started", worker=self._name, port=self._watched.port, works=self._works)

    def _go_on(self, beside: Callable[[], None] | None) -> None:
        if beside is not None:
            beside()
        elif self._ending.wait(_LOOK_SECONDS):
            return
        self._planner.follow()

    def _tell(self, *, is_demo: bool) -> None:
        """Say where it is, and how the first one gets in."""
        note = self._desk.screen.note
        serving = f"Serving {words.several(self._planner.planned, 'connection')}"
        if self._console is None:
            if not self._planner.planned:
                serving = "No connection yet: it works from when somebody adds one"
            note(f"{serving}; http://127.0.0.1:{self._watched.port}/healthz answers. Ctrl-C ends it.")
            return
        serving = serving if self._planner.planned else "No connection yet: the set-up begins in the console"
        note(f"{serving}; the console is at {self._console.address}. Ctrl-C ends it.")
        if is_demo:
            note(f"This link signs you in, once:  {self._console.demo_link()}")
            return
        if (link := self._console.first_link()) is not None:
            note("Nobody can sign in yet. This link makes the first administrator, once, within a day:")
            note(f"  {link}")

    def _end(self) -> int:
        """Take nothing new, let slices end, leave."""
        self._told_to_end()
        self._log.info("service stopping", worker=self._name, at_work=len(self._turns.held()))
        self._heart.stop()
        closing = threading.Thread(target=self._close_doors, name="closing", daemon=True)
        closing.start()
        patience = threading.Timer(_SLICES_SECONDS, self._turns.end_slices)
        patience.daemon = True
        patience.start()
        self._jobs.stop(_DRAIN_SECONDS)
        patience.cancel()
        self._leave()
        if self._turns.held() and self._may_vanish:
            self._tell_end()
            _vanish()
        closing.join()
        self._turns.close()
        self._shop.close()
        self._last.cancel()
        self._tell_end()
        return words.DONE

    def _leave(self) -> None:
        """Leave the list of workers; where that cannot be written, silence says it to the others."""
        try:
            if self._works:
                self._service.leave(self._name)
        except (SyncError, OSError) as error:
            self._trouble("leaving", error)

    def _tell_end(self) -> None:
        seconds = round(time.monotonic() - self._told_at, 2)
        self._log.info("service stopped", worker=self._name, seconds=seconds, hanging=self._turns.held())

    def _close_doors(self) -> None:
        """Answer no more."""
        self._watched.close()
        if self._console is not None:
            self._console.close()

    def _trouble(self, where: str, error: BaseException) -> None:
        """Log what went wrong: what lasts once a minute, with how often it was met."""
        told = str(error) if isinstance(error, SyncError) else type(error).__name__
        if (times := self._repeats.met(where, told)) is not None:
            self._log.error("service in trouble", worker=self._name, where=where, error=told, times=times)

    def _well(self, where: str) -> None:
        if (over := self._repeats.over(where)) is not None:
            lasted = round(over.seconds, 1)
            self._log.info(
                "trouble over", worker=self._name, where=where, times=over.times, lasted_seconds=lasted
            )

    def _unwell(self) -> str | None:
        if not self._works or not self._heart.dispatched_at:
            return None
        now = self._desk.clock.monotonic()
        for what, at in (("heartbeat", self._heart.beaten_at), ("dispatcher", self._heart.dispatched_at)):
            if now - at > _UNWELL_SECONDS:
                return f"the {what} has stood still for {now - at:.0f} s"
        return None

    def _unready(self) -> str | None:
        if self._ending.is_set():
            return "stopping"
        try:
            alive = self._service.living(self._dead_after)
        except (SyncError, OSError) as error:
            return str(error)
        if not self._works and not alive:
            return "no worker is alive: start `tillbridge worker`"
        return self._planner.wrong or self._unwell()


def _vanish() -> None:
    """End the process although something hangs: every slice can be killed anywhere."""
    sys.stderr.write("A call would not end; left as it was. Nothing was lost.\n")
    sys.stderr.flush()
    os._exit(words.DONE)


# --- what people tell it -------------------------------------------------------------------------


def run_pause(desk: Desk, home: Path, stream: str | None, *, why: str) -> int:
    """Let a connection, or one of its streams, rest until it is resumed."""
    return _switch(desk, home, stream, paused=True, why=why)


def run_resume(desk: Desk, home: Path, stream: str | None) -> int:
    """Let it go on."""
    return _switch(desk, home, stream, paused=False, why="")


def _switch(desk: Desk, home: Path, stream: str | None, *, paused: bool, why: str) -> int:
    from tillbridge.draft import check_live
    from tillbridge.installation import installation_of

    folder, name = installation_of(home)
    verb = "paused" if paused else "resumed"
    if stream is None and not paused:
        check_live(home, name)  # Letting it go on is the last step of its set-up.
    with open_shared(folder, desk.env) as (service, _jobs, _settings):
        now = desk.clock.now().timestamp()
        if stream is None:
            if paused:
                service.stop(name, why, now)
            elif not service.go_on(name, now):
                resting = [told_name(each) for each in service.streams(name) if each.paused]
                desk.screen.note(f"{name} was not paused.{_one_by_one(resting)}")
                return words.DONE
        else:
            kind, part = named(stream)
            if not service.pause_streams(name, kind, part, paused=paused, why=why, now=now):
                raise _no_such(service, name, stream)
    desk.screen.result.print(f"{name}{f': {stream}' if stream else ''} {verb}.")
    return words.DONE


def _one_by_one(resting: Sequence[str]) -> str:
    """Say which streams stay paused although their connection is not."""
    if not resting:
        return ""
    return f" Of its streams {', '.join(resting)} are: `tillbridge resume {resting[0]}` lets one go on."


def run_now(desk: Desk, home: Path, stream: str | None) -> int:
    """Let a stream, or all that have an interval, be due at once."""
    from tillbridge.engine.schedule import bring_forward
    from tillbridge.installation import installation_of

    folder, name = installation_of(home)
    with open_shared(folder, desk.env) as (service, _jobs, settings):
        kind, part = named(stream) if stream else (None, None)
        found = bring_forward(service, name, kind, part, desk.clock.now().timestamp())
        if not found:
            raise _no_such(service, name, stream or "")
        served = bool(service.living(settings.dead_after_seconds))
    desk.screen.result.print(f"{name}: {words.several(found, 'stream')} due now.")
    if not served:
        works = "serve" if service.is_sqlite else "worker"
        desk.screen.note(f"No worker is at work at the moment; `tillbridge {works}` starts one.")
    return words.DONE


def named(stream: str) -> tuple[str, str | None]:
    """Read a stream as people write it: `sales` is `poll sales`, `sweep` a whole kind."""
    from tillbridge.work import wanted_kinds

    kind, _, name = stream.replace("/", " ").partition(" ")
    if kind in wanted_kinds():
        return kind, name or None
    return "poll", stream


def _no_such(service: Service, connection: str, stream: str) -> SyncError:
    known = sorted(told_name(each) for each in service.streams(connection))
    if not known:
        return Halted(f"{connection} has never been served: start `tillbridge serve` first.")
    return ConfigurationInvalid([(stream, f"is no stream of {connection}; it has {', '.join(known)}")])


def told_name(stream: Stream) -> str:
    """Return how people name a stream."""
    return stream.name or stream.kind


def show_jobs(desk: Desk, folder: Path, connection: str | None, *, as_json: bool) -> int:
    """Show what runs now, what waits, and what is due next, of one connection or of all."""
    with open_shared(folder, desk.env) as (service, jobs, settings):
        streams, stopped = service.streams(connection), service.stopped()
        listed = jobs.jobs(connection=connection) if streams else []
        alive = service.living(settings.dead_after_seconds)
    now = desk.clock.now().timestamp()
    if as_json:
        desk.screen.document(_document(streams, listed, stopped, alive, now))
        return words.DONE
    _table(desk, streams, stopped, now)
    running = [job for job in listed if job.state == "running"]
    waiting = len(listed) - len(running)
    desk.screen.result.print(
        f"{words.several(len(alive), 'worker')}; {words.several(len(running), 'job')} at work, "
        f"{words.number(waiting)} waiting."
    )
    return words.DONE


def _document(
    streams: Sequence[Stream],
    listed: Sequence[Any],
    stopped: Mapping[str, Any],
    alive: Sequence[Any],
    now: float,
) -> dict[str, Any]:
    return {
        "streams": [
            {
                "connection": s.connection,
                "kind": s.kind,
                "stream": s.name or None,
                "every_seconds": s.every,
                "state": _state(s, stopped, now),
                "resumes_at": moment(s.next_due) if s.limited(now) else None,
                "due_in_seconds": None if s.next_due is None else round(max(0.0, s.next_due - now), 1),
                "why": s.why,
                "failures": s.fails,
                "last_outcome": s.outcome,
                "last_ended_at": s.ended_at,
            }
            for s in streams
        ],
        "jobs": [{"id": j.id, "state": j.state, "lane": j.queue, "worker": j.worker} for j in listed],
        "paused": {scope: why for scope, (why, _) in stopped.items()},
        "workers": [worker.id for worker in alive],
    }


def _state(stream: Stream, stopped: Mapping[str, Any], now: float) -> str:
    if stream.paused or stream.connection in stopped or stream.limited(now):
        return "paused"
    if stream.queued:
        return "at work" if (stream.began_at or 0) > (stream.ended_at or 0) else "queued"
    return "waits" if stream.next_due is not None else "on request"


def _table(desk: Desk, streams: Sequence[Stream], stopped: Mapping[str, Any], now: float) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("Connection", "Stream", "State", "Next", "Last", "Why"):
        table.add_column(title)
    for each in streams:
        due = "" if each.next_due is None or each.queued else f"in {max(0, round(each.next_due - now))} s"
        state = _state(each, stopped, now)
        if each.limited(now) and not each.paused:
            due = f"{(moment(each.next_due) or '')[:16].replace('T', ' ')} UTC"
        table.add_row(
            each.connection,
            told_name(each),
            state,
            due if state == "waits" or each.limited(now) else "",
            each.outcome or "",
            words.plain(each.why or ""),
        )
    desk.screen.result.print(table)


# --- forced runs through the service -------------------------------------------------------------


def forced_by_service(
    desk: Desk, home: Path, wanted: Mapping[str, Sequence[str]], kind: str = "force"
) -> dict[str, Any] | None:
    """Let the service carry exactly these across now; None when nobody serves this home.

    Raises what kept it from doing so.
    """
    from tillbridge.draft import check_live
    from tillbridge.engine.jobs import Job, JobFailed, check_done
    from tillbridge.installation import installation_of, is_served, service_settings
    from tillbridge.store.service import FILE_NAME

    folder, name = installation_of(home)
    check_live(home, name)
    secret = service_settings(folder, desk.env).database_url
    if secret is None and not ((folder / FILE_NAME).exists() and is_served(folder)):
        return None
    with open_shared(folder, desk.env) as (service, jobs, settings):
        if not service.living(settings.dead_after_seconds):
            return None
        ids = {kind: list(each) for kind, each in wanted.items() if each}
        job = Job(connection=name, kind=kind, gen=uuid.uuid4().hex[:12], wanted=ids)
        jobs.enqueue(job)
        until = time.monotonic() + _FORCED_SECONDS
        while True:
            try:
                answer = jobs.result(job.id)
            except JobFailed as error:
                raise Halted(f"The service could not do it ({error}); its log says why.") from error
            if answer is not None:
                check_done(answer)
                return dict(answer)
            if time.monotonic() > until:
                raise Busy("The service has not come to it yet; it stays queued. `tillbridge jobs` shows it.")
            time.sleep(0.1)

"""Hands a connection to somebody who presses a button: whose turn it is, and how both sides are reached.

A turn is taken in a hurry: a poll that is at work gives way. Whoever does not
get it, or meets a remote that does not answer, is told so within seconds.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tillbridge import draft, installation
from tillbridge.alerts import INSTANCE, addresses
from tillbridge.connectors.http import Http
from tillbridge.doings import doing
from tillbridge.engine.connection import Connection
from tillbridge.hurry import HastyClock, HastyHttp, NoAnswer
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Busy, SyncError, Transient, outcome_of
from tillbridge.store.hours import note_calls
from tillbridge.store.service import DOWN, Service
from tillbridge.turns import Turn, Turns
from tillbridge.wiring import Parts, open_home

# While a remote does not answer, a turn is not worth waiting for as long: whoever has it will be long.
_DOWN_SECONDS = 2.5


class Unknown(SyncError):
    """Something that was named is not there."""


class _Doing(NamedTuple):
    """What somebody is at in this console, since when, and their way to the remotes."""

    job: str
    began: float
    http: HastyHttp


class Holding:
    """The connections of one installation, for what people do with them."""

    def __init__(
        self,
        folder: Path,
        service: Service,
        clock: Clock,
        env: Mapping[str, str],
        *,
        dead_after_seconds: float,
    ) -> None:
        self._folder, self._service, self._clock, self._env = folder, service, clock, env
        self._turns = Turns(service, f"console-{uuid.uuid4().hex[:12]}", dead_after_seconds)
        self._doing: dict[str, _Doing] = {}
        self._starting = threading.Lock()
        self._started = False

    def close(self) -> None:
        """Keep no turns any more."""
        self._turns.close()

    @contextmanager
    def connected(self, name: str, job: str) -> Iterator[Connection]:
        """Hold a connection's turn, connected to both sides, for what set-up does."""
        with self.at_work(name, job, writes=False) as (_, connection, _counts):
            yield connection

    @contextmanager
    def looking(self, home: Path) -> Iterator[Parts]:
        """Open a connection to look at both sides while somebody waits, beside whatever else is done.

        Raises Transient within seconds, with the side's name, where one does not answer.
        """
        http = HastyHttp(Http())
        parts = open_home(home, clock=HastyClock(self._clock, http), env=self._env, http=http)
        try:
            yield parts
        except (Transient, NoAnswer) as error:
            raise _named(error, parts, http) from error
        finally:
            parts.close()

    def home(self, name: str) -> Path:
        """Return a connection's home. Raises Unknown."""
        home = installation.connections(self._folder).get(name)
        if home is None:
            raise Unknown(f"There is no connection {name}.")
        return home

    @contextmanager
    def opened(self, name: str, job: str = "") -> Iterator[Parts]:
        """Hold a connection's turn with its parts open; nothing is asked of a remote yet."""
        home = self.home(name)
        with self._starting:
            if not self._started:
                self._turns.start()
                self._started = True
        locked = home if self._service.is_sqlite else None
        with self._turn(name, locked) as turn:
            http = HastyHttp(Http())
            parts = open_home(home, clock=HastyClock(self._clock, http), env=self._env, http=http)
            parts.state.fence = turn.fence
            self._doing[name] = _Doing(job, time.monotonic(), http)
            try:
                yield parts
            finally:
                self._doing.pop(name, None)
                parts.state.fence = None
                parts.close()

    @contextmanager
    def _turn(self, name: str, locked: Path | None) -> Iterator[Turn]:
        """Take a connection's turn; whoever does not get it is told who has it, and why that takes long."""
        down = self._down(name)
        with ExitStack() as held:
            try:
                waits = _DOWN_SECONDS if down else None
                turn = held.enter_context(self._turns.take(name, locked, hurry=True, waits_seconds=waits))
            except Busy as error:
                raise Busy(self._who(name, down)) from error
            yield turn

    def _down(self, name: str) -> str:
        """Return why a remote does not answer, as the polls have found; nothing when it does."""
        polls = (each for each in self._service.streams(name) if each.kind == "poll" and not each.paused)
        return next((each.why or "" for each in polls if each.outcome == DOWN and each.fails), "")

    def _who(self, name: str, down: str) -> str:
        """Say who has a connection's turn."""
        ours = self._doing.get(name)
        at_work = [
            doing(each.name or each.kind).title.lower()
            for each in self._service.streams(name)
            if each.queued and (each.began_at or 0.0) > (each.ended_at or 0.0)
        ]
        if ours is not None:
            began = f" (for {time.monotonic() - ours.began:.0f} s)"
            who = f"somebody in the console is at it{began}: {doing(ours.job or 'decision').title.lower()}"
        elif at_work:
            who = f"the service is at it: {', '.join(at_work)}"
        else:
            who = "somebody at the command line or another console is at it"
        slow = f" It takes long because a remote does not answer: {down}" if down else ""
        return f"{name} is busy, {who}. Nothing was changed; try again in a moment.{slow}"

    @contextmanager
    def at_work(
        self, name: str, job: str, *, writes: bool = True
    ) -> Iterator[tuple[Parts, Connection, Counter[str]]]:
        """Hold a connection's turn, connected to both sides, and note the run with what came of it.

        `writes`: it may write to a side, and is refused before the connection goes live. Such a run
        is kept whatever came of it, for somebody is told its number.
        """
        if writes:
            draft.check_live(self.home(name), name)
        with self.opened(name, job) as parts:
            run = parts.journal.start(job)
            counts: Counter[str] = Counter()
            outcome = "broken"
            try:
                yield parts, parts.connect(), counts
                outcome = "done"
            except (Transient, NoAnswer) as error:
                outcome = outcome_of(error)
                raise _named(error, parts, self._doing[name].http) from error
            except BaseException as error:
                outcome = outcome_of(error)
                raise
            finally:
                spent = parts.till.calls, parts.crm.calls
                if outcome == "done" and not writes and not any(counts.values()):
                    parts.journal.drop(run)
                else:
                    parts.journal.end(run, outcome, counts, *spent)
                note_calls(parts.state, *spent)


def _named(error: Transient | NoAnswer, parts: Parts, http: HastyHttp) -> SyncError:
    """Say which of both sides it was that did not answer: who looks on knows no hosts."""
    places = addresses(parts.config, parts.state.fact(INSTANCE))
    told = str(error)
    met = [side for side, urls in places.items() if http.place in {urlsplit(url).netloc for url in urls}]
    if len(met) != 1 or met[0] in told:
        return error
    if isinstance(error, NoAnswer):
        return Transient(f"{met[0]} does not answer just now. Nothing was lost.")
    return Transient(
        f"{met[0]} does not answer just now: {told}",
        retry_after_seconds=error.retry_after_seconds,
        outcome_unknown=error.outcome_unknown,
    )

"""Whose turn it is to write with a connection, and how somebody in a hurry gets theirs.

One slice at a time works with a connection, whatever its kind: a poll, a forced
run and a load would else decide on what the other has just changed. The lease
says so among workers, its growing token fences one that slept through its end,
and the home's own lock says so to whoever works at the command line.

A slice asks `check` before every call to a remote. It is always safe to end it
there: that is what every crash does, and each slice can be run again.

A load that was ended so would prepare its whole wave again each time. So it
lends its turn where nothing that it remembers is a decision (`let_pass`): it
stands still, whoever is in a hurry works, and it goes on. What it keeps
meanwhile is a stake, a lease of its own that is never lent: if another worker
has taken that, the load was taken over, and ends.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from tillbridge.connectors.http import Http, Relay
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Busy, Fenced, GiveWay
from tillbridge.store.service import Service
from tillbridge.wiring import alone

# An ordinary job is put off at once where another is at work; one in a hurry waits in its place. What
# carries receipts waits, too, and begins to hurry after a while: a load of its own connection lets it pass.
_WAIT_SECONDS = 3.0
_HURRY_SECONDS = 30.0
_OVERTAKES_SECONDS = 10.0
_LOOK_SECONDS = 0.05

# Who has lent a turn waits so long to have it back, and ends its slice then.
_LENT_SECONDS = 60.0

# What the stake of a slice that lends is called, behind its connection's name.
_STAKE = "load"

# The keeper looks at every lease so often: whether somebody in a hurry waits for it, and whether it runs out.
_KEEPER_SECONDS = 0.5

# A long slice lets others have a turn after so long where it can be left; a wait is ended after so long.
_SLICE_SECONDS = 10.0
_SLICE_SECONDS_MAX = 30.0

_PIECE_SECONDS = 0.1


class Turn:
    """One slice's right to write with a connection. `check` raises when it is over."""

    def __init__(
        self,
        service: Service,
        name: str,
        token: int,
        valid_until: float,
        *,
        in_hurry: bool,
        for_person: bool = False,
    ) -> None:
        self.name = name
        self.token = token
        self.in_hurry = in_hurry
        self.for_person = for_person
        self.began = time.monotonic()
        self.valid_until = valid_until
        self.lost = False
        self.wanted = False
        self.person_waits = False
        self.ending = False  # the process is to end, and has waited long enough
        self.stopped: str | None = None
        self.lent = False  # to others, for now
        self.lend: Callable[[], None] | None = None  # of a slice that says where it can stand still
        self._service = service
        self._last_seconds = valid_until - self.began

    def let_pass(self) -> bool:
        """Let whoever is in a hurry work first; say whether somebody did. Raises as `check` does.

        Called where nothing that the slice remembers is a decision about what others may change.
        """
        lent = self.wanted and not (self.lost or self.ending or self.stopped) and self.lend is not None
        if lent:
            assert self.lend is not None
            self.lend()
        self.check()
        return lent

    def check(self) -> None:
        """Let the slice go on, or end it. Raises Fenced, GiveWay."""
        if self.lost or (time.monotonic() > self.valid_until and not self.renew(self._last_seconds)):
            self.lost = True
            raise Fenced(f"Another worker has taken over the connection {self.name}. Nothing was lost.")
        if self.ending:
            raise GiveWay("The service is stopping. Nothing was lost; it goes on at the next start.")
        if self.stopped is not None:
            raise GiveWay(self.stopped)
        if self.wanted and not self.in_hurry:
            raise GiveWay("Somebody in a hurry has the turn; this goes on behind it.")

    def may_wait(self) -> None:
        """End a slice that would wait while a person does. Raises what `check` raises.

        A poll that has overtaken others goes on, whoever else hurries, or it would never end; but what
        it waits for, as for the till's rate limit, a person need not wait for.
        """
        self.check()
        if self.person_waits and not self.for_person:
            raise GiveWay("A person waits for the turn; this goes on behind them.")

    def may_go_on(self) -> None:
        """End a long slice where it can be left, so that others have a turn. Raises GiveWay, Fenced."""
        self.may_wait()
        if time.monotonic() - self.began > _SLICE_SECONDS:
            raise GiveWay("The others of this connection have a turn; this goes on behind them.")

    def fence(self, connection: sa.Connection) -> None:
        """Let no transaction through once another worker has the lease. Raises Fenced."""
        if self.lost:
            raise Fenced(f"Another worker has taken over the connection {self.name}. Nothing was lost.")
        if connection.dialect.name == "postgresql":
            # State and leases are in one database there: nobody can take the lease before we commit.
            if self._service.check_lease(connection, self.name, self.token):
                return
            self.lost = True
            raise Fenced(f"Another worker has taken over the connection {self.name}. Nothing was lost.")

    def renew(self, seconds: float) -> bool:
        """Hold the lease for longer; False when it is lost."""
        self._last_seconds = seconds
        before, token = time.monotonic(), self.token
        ours, wanted = self._service.keep_lease(self.name, token, seconds)
        if self.lent or self.token != token:
            return True  # It was lent while we asked: what was answered is of a turn that is over.
        if ours:
            self.valid_until = before + seconds
            self.wanted = self.wanted or wanted
        else:
            self.lost = True
        return ours


class Turns:
    """All turns of one worker, and the thread that keeps them."""

    def __init__(
        self,
        service: Service,
        worker: str,
        lease_seconds: float,
        *,
        overtakes_after: float = _WAIT_SECONDS,
    ) -> None:
        self._service = service
        self._overtakes_after = overtakes_after
        self._worker = worker
        self._seconds = lease_seconds
        self._held: dict[str, Turn] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._stopping = threading.Event()  # nobody waits for a turn any more
        self._keeper = threading.Thread(target=self._keep, name="leases", daemon=True)
        self.trouble: BaseException | None = None

    def start(self) -> None:
        """Start keeping."""
        self._keeper.start()

    @contextmanager
    def take(
        self,
        name: str,
        home: Path | None,
        *,
        hurry: bool,
        overtakes: bool = False,
        lends: bool = False,
        waits_seconds: float | None = None,
    ) -> Iterator[Turn]:
        """Wait for a connection's turn and hold it. Raises Busy when it takes too long.

        `overtakes`: does not hurry, and yet is not put off by what can wait.
        `lends`: can stand still while others work (see `Turn.let_pass`).
        `waits_seconds`: who hurries waits so long at most.
        `home`: where the lock of those at the command line is; None for a connection whose state is in
        no file, which the lease alone guards.
        """
        begun = time.monotonic()
        # What can wait does so in the due table: a place in the queue is for those who work.
        in_hurry = _HURRY_SECONDS if waits_seconds is None else waits_seconds
        waits = in_hurry if hurry else _OVERTAKES_SECONDS if overtakes else 0.0
        patience = begun + waits
        hurries_at = begun if hurry else begun + self._overtakes_after if overtakes else math.inf
        with ExitStack() as held:
            stake = None
            if lends:
                stake = self._wait(f"{name} {_STAKE}", patience, math.inf)
                held.callback(self._give_back, stake)
            turn = self._wait(name, patience, hurries_at, person=hurry)
            held.callback(self._give_back, turn)
            lock = held.enter_context(self._locked(home, patience))
            if stake is not None:
                turn.lend = partial(self._lend, turn, stake, lock, home)
            yield turn

    def _give_back(self, turn: Turn) -> None:
        with self._lock:
            if self._held.get(turn.name) is turn:
                del self._held[turn.name]
        if not turn.lost:
            self._service.give_back(turn.name, turn.token)

    def _wait(self, name: str, patience: float, hurries_at: float, *, person: bool = False) -> Turn:
        while True:
            hurry = time.monotonic() >= hurries_at
            for_person = person and hurry
            before = time.monotonic()
            token = self._service.take_lease(
                name, self._worker, self._seconds, hurry=hurry, for_person=for_person
            )
            if token is not None:
                until = before + self._seconds
                turn = Turn(self._service, name, token, until, in_hurry=hurry, for_person=for_person)
                with self._lock:
                    self._held[name] = turn
                return turn
            if hurry:
                # Behind the wish: who lends would else have the turn back before us.
                self._tell(name, for_person=for_person)
            if time.monotonic() > patience or self._stopping.wait(_LOOK_SECONDS):
                raise Busy(f"Another job of the connection {name} is at work.")

    def _tell(self, name: str, *, for_person: bool) -> None:
        """Let a slice of this very process know at once that somebody in a hurry waits."""
        with self._lock:
            if (turn := self._held.get(name)) is not None:
                turn.wanted = True
                turn.person_waits = turn.person_waits or for_person

    def _locked(self, home: Path | None, patience: float) -> ExitStack:
        stack = ExitStack()
        while home is not None:
            try:
                stack.enter_context(alone(home))
            except Busy:
                if time.monotonic() > patience or self._stopping.wait(_LOOK_SECONDS):
                    raise
            else:
                break
        return stack

    def end_slices(self) -> None:
        """End every slice at its next call: the process has no more time."""
        self._stopping.set()
        with self._lock:
            for turn in self._held.values():
                turn.ending = True

    def stop_one(self, name: str, why: str) -> None:
        """End the slice of a connection that was told to stand still."""
        with self._lock:
            if name in self._held:
                self._held[name].stopped = why

    def _lend(self, turn: Turn, stake: Turn, lock: ExitStack, home: Path | None) -> None:
        """Stand still while others work. Raises GiveWay when that takes long, Fenced if we were replaced."""
        turn.lent = True
        lock.close()
        self._give_back(turn)
        patience = time.monotonic() + _LENT_SECONDS
        try:
            again = self._wait(turn.name, patience, math.inf)
            with self._lock:
                turn.token, turn.valid_until = again.token, again.valid_until
                turn.wanted, turn.person_waits = again.wanted, again.person_waits
                turn.lent, turn.ending = False, self._stopping.is_set()
                self._held[turn.name] = turn
            lock.push(self._locked(home, patience))
        except Busy as error:
            raise GiveWay("Others of this connection are at work; this goes on behind them.") from error
        if not stake.renew(self._seconds):
            raise Fenced(f"Another worker has taken over the load of {turn.name}. Nothing was lost.")

    def held(self) -> list[str]:
        """Return the connections that this worker is at."""
        with self._lock:
            return sorted(self._held)

    def close(self) -> None:
        """Stop keeping."""
        self._stopping.set()
        self._ending.set()
        if self._keeper.is_alive():
            self._keeper.join(timeout=2)

    def _keep(self) -> None:
        while not self._ending.wait(_KEEPER_SECONDS):
            with self._lock:
                turns = list(self._held.values())
            if not turns:
                continue
            try:
                self._look_after(turns)
            except Exception as error:  # noqa: BLE001  A lease that cannot be kept ends its slice by itself.
                self.trouble = error

    def _look_after(self, turns: list[Turn]) -> None:
        stopped = self._service.stopped()
        wanted = self._service.wanted_leases()
        for turn in turns:
            if turn.name in stopped:
                turn.stopped = f"{turn.name} is paused: {stopped[turn.name][0]}."
            turn.wanted = turn.wanted or turn.name in wanted
            turn.person_waits = turn.person_waits or wanted.get(turn.name, False)
            if turn.valid_until - time.monotonic() < self._seconds * 2 / 3:
                turn.renew(self._seconds)


class Door(Relay):
    """The way out of one connection: it asks whose turn it is before every call."""

    def __init__(self, shared: Http) -> None:
        super().__init__(shared)
        self.turn: Turn | None = None

    def before(self, url: str, timeout_total: float | None) -> float | None:
        """Let a request out if it is still our turn. Raises what `Turn.check` raises."""
        if self.turn is not None:
            self.turn.check()
        return super().before(url, timeout_total)


class Pauses:
    """A clock whose waits end when the turn does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.turn: Turn | None = None

    def now(self) -> datetime:
        """Return the aware UTC moment."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Return the clock's monotonic seconds."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait in pieces, and look up between them."""
        turn = self.turn
        if turn is None:
            self._clock.sleep(seconds)
            return
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            turn.may_wait()
            if not turn.in_hurry and time.monotonic() - turn.began > _SLICE_SECONDS_MAX:
                raise GiveWay("The others of this connection have a turn; this goes on behind them.")
            self._clock.sleep(min(left, _PIECE_SECONDS))

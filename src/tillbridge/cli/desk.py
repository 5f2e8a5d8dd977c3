"""What every command is handed: where to write, which clock, which home directory, and how a run is noted.

Time and streams arrive as arguments, so that the tests and the demo can hand in
their own.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tillbridge.cli import words
from tillbridge.cli.screen import Screen
from tillbridge.model.clock import AheadClock, Clock, SystemClock
from tillbridge.model.errors import ConfigurationInvalid, SyncError, outcome_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tillbridge.config import Config
    from tillbridge.engine.connection import Progress
    from tillbridge.secrets import Vault
    from tillbridge.store.arrivals import Arrivals
    from tillbridge.store.changes import Changes
    from tillbridge.store.journal import Journal
    from tillbridge.store.people import People
    from tillbridge.store.plans import Plan, Plans
    from tillbridge.store.state import State
    from tillbridge.sync.quota import Lane
    from tillbridge.views.books import Names
    from tillbridge.wiring import Parts

CONFIG_FILE = "tillbridge.toml"
_USAGE = "crm_usage"

# What a demo leaves in its home (`rehearsal.AHEAD_FILE`, which costs much to import).
_DEMO_FILE = "demo.json"

# What runs spend their calls as that nobody waits for.
_LANES: Mapping[str, Lane] = {
    "sync": "sales",
    "check": "sweep",
    "certify": "sweep",
    "sweep": "sweep",
    "backfill": "backfill",
    "relink": "backfill",
}


@dataclass(slots=True)
class Desk:
    """One command's surroundings. `pause` is how the demo waits for people to read."""

    screen: Screen
    env: Mapping[str, str]
    clock: Clock = field(default_factory=SystemClock)
    pause: Callable[[float], None] = time.sleep
    home: Path | None = None  # the one in use, for whoever writes down a crash
    connection: str | None = None  # of several in an installation, the one that was named

    def find_home(self, option: Path | None) -> Path:
        """Return the home directory that this command works in. Raises ConfigurationInvalid."""
        folder = self.find_installation(option)
        named = self.connection or self.env.get("TILLBRIDGE_CONNECTION")
        self.home = _chosen(folder, named, "--connection" if self.connection else "TILLBRIDGE_CONNECTION")
        return self.home

    def keep_time_of(self, home: Path) -> None:
        """Go by the clock of a demo's home, which runs ahead of this machine's; elsewhere nothing changes."""
        if isinstance(self.clock, SystemClock) and (home / _DEMO_FILE).exists():
            from tillbridge.rehearsal import ahead_seconds

            self.clock = AheadClock(ahead_seconds(home))

    @property
    def names_connection(self) -> bool:
        """Say whether a connection was named, on the command line or in the environment."""
        return bool(self.connection or self.env.get("TILLBRIDGE_CONNECTION"))

    def find_installation(self, option: Path | None) -> Path:
        """Return the folder that holds one connection, or several. Raises ConfigurationInvalid."""
        self.home = _folder(option, self.env)
        return self.home

    def installation_to_be(self, option: Path | None) -> Path:
        """Return the installation that a connection is added to; it need not be there yet."""
        if option is not None or self.env.get("TILLBRIDGE_HOME"):
            return self.new_home(option)
        self.home = Path.cwd() if _is_installed(Path.cwd()) else Path.home() / ".tillbridge"
        return self.home

    def served_folder(self, option: Path | None) -> Path:
        """Return the installation to serve; an empty folder becomes one, for the console to set up.

        Raises ConfigurationInvalid for a folder that holds something else.
        """
        from tillbridge.installation import is_empty

        named = option or (Path(self.env["TILLBRIDGE_HOME"]) if self.env.get("TILLBRIDGE_HOME") else None)
        own = Path.home() / ".tillbridge"
        places = [named.expanduser()] if named else [Path.cwd(), own]
        if any(_is_installed(place) for place in places):
            return self.find_installation(option)
        self.home = next((place for place in places if is_empty(place)), None)
        if self.home is None:
            return self.find_installation(option)  # Says what is missing.
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.home

    def new_home(self, option: Path | None) -> Path:
        """Return the directory that `init` is to make."""
        named = option or (Path(self.env["TILLBRIDGE_HOME"]) if self.env.get("TILLBRIDGE_HOME") else None)
        self.home = (named or Path.home() / ".tillbridge").expanduser()
        return self.home


def _folder(option: Path | None, env: Mapping[str, str]) -> Path:
    if option is not None:
        return _installed(option.expanduser(), "--home")
    if named := env.get("TILLBRIDGE_HOME"):
        return _installed(Path(named).expanduser(), "TILLBRIDGE_HOME")
    own = Path.home() / ".tillbridge"
    for candidate in (Path.cwd(), own):
        if _is_installed(candidate):
            return candidate
    reason = (
        f"neither this directory nor {own} holds {CONFIG_FILE}; name the home directory with --home or "
        "TILLBRIDGE_HOME, or make one with `tillbridge init`"
    )
    raise ConfigurationInvalid([("--home", reason)])


def _installed(folder: Path, where: str) -> Path:
    if not _is_installed(folder):
        raise ConfigurationInvalid(
            [(where, f"{folder} holds no {CONFIG_FILE}; `tillbridge init --home {folder}` makes one")]
        )
    return folder


def _is_installed(folder: Path) -> bool:
    from tillbridge.installation import CONNECTIONS

    return (folder / CONFIG_FILE).is_file() or (folder / CONNECTIONS).is_dir()


def _chosen(folder: Path, name: str | None, where: str) -> Path:
    """Return the home of the connection that is meant: the one that was named, or the only one."""
    from tillbridge import installation

    if name is None and not (folder / installation.CONNECTIONS).is_dir():
        return folder  # A plain home, also one whose configuration nobody can read yet.
    found = installation.connections(folder)
    if name is None:
        if len(found) == 1:
            return next(iter(found.values()))
        if not found:
            reason = f"{folder} holds no connection yet; `tillbridge connection add NAME` makes one"
            raise ConfigurationInvalid([("--home", reason)])
        reason = f"{folder} holds several connections: name one of {', '.join(found)}"
        raise ConfigurationInvalid([("--connection", reason)])
    if name not in found:
        offered = ", ".join(found) or "none"
        raise ConfigurationInvalid([(where, f"{folder} has no connection {name}; it has: {offered}")])
    return found[name]


@contextmanager
def writing_alone(desk: Desk, home: Path) -> Iterator[Callable[[Connection], None] | None]:
    """Let nobody else write with a connection as long as the block lasts. Raises Busy.

    In files: by the home's lock. On PostgreSQL, where others may work on other machines: by the lease that
    workers take too; a run that was stopped for longer than a lease lasts may write no more, as the
    fence that is returned says in every transaction.
    """
    from tillbridge.installation import installation_of, service_settings
    from tillbridge.store.service import open_service
    from tillbridge.turns import Turns
    from tillbridge.wiring import alone, place_of

    place = place_of(home, desk.env)
    if place.url is None:
        with alone(home):
            yield None
        return
    settings = service_settings(installation_of(home)[0], desk.env)
    service = open_service(place.url, pooled=False)
    turns = Turns(service, f"command line {socket.gethostname()} {os.getpid()}", settings.dead_after_seconds)
    try:
        turns.start()
        with turns.take(place.connection, None, hurry=True) as turn:
            yield turn.fence
    finally:
        turns.close()
        service.close()


@contextmanager
def open_parts(desk: Desk, home: Path, progress: Progress, *, history: bool) -> Iterator[Parts]:
    """Open a home directory for a run that writes: nobody else may, as long as the block lasts."""
    from tillbridge.wiring import open_home

    with writing_alone(desk, home) as fence:
        parts = open_home(home, clock=desk.clock, progress=progress, history=history, env=desk.env)
        parts.state.fence = fence
        try:
            yield parts
        finally:
            parts.close()


@contextmanager
def open_books(desk: Desk, home: Path) -> Iterator[tuple[State, Journal, People]]:
    """Open what a home directory remembers, to look into it; no remote is asked."""
    from tillbridge.store.journal import Journal
    from tillbridge.store.people import People
    from tillbridge.wiring import open_state, vault_for

    state = open_state(home, desk.clock, desk.env)
    try:
        vault = vault_for(home, state, desk.env)
        yield state, Journal(state, vault), People(state, vault)
    finally:
        state.close()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that a home directory remembers of people and records, as views.books.Memory has it."""

    home: Path
    env: Mapping[str, str]
    state: State
    vault: Vault
    journal: Journal
    people: People
    arrivals: Arrivals
    changes: Changes
    plans: Plans

    @property
    def config(self) -> Config:
        """Return the settings, read when they are asked for: not every look needs them right."""
        from tillbridge import config

        return config.load(self.home, self.env)

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Open one reading transaction."""
        with self.state.begin() as c:
            yield c

    def names(self) -> Names:
        """Return what stores and employees are called."""
        from tillbridge.views.books import read_names

        return read_names(self.config, self.people)[0]


@contextmanager
def open_ledger(desk: Desk, home: Path) -> Iterator[Ledger]:
    """Open all books of a home directory, to look into them; no remote is asked."""
    from tillbridge.wiring import open_state, vault_for

    state = open_state(home, desk.clock, desk.env)
    try:
        yield ledger_of(home, desk.env, state, vault_for(home, state, desk.env))
    finally:
        state.close()


def ledger_of(home: Path, env: Mapping[str, str], state: State, vault: Vault) -> Ledger:
    """Return the books over a state that is open."""
    from tillbridge.store.arrivals import Arrivals
    from tillbridge.store.changes import Changes
    from tillbridge.store.journal import Journal
    from tillbridge.store.people import People
    from tillbridge.store.plans import Plans

    return Ledger(
        home,
        env,
        state,
        vault,
        Journal(state, vault),
        People(state, vault),
        Arrivals(state, vault),
        Changes(state, vault),
        Plans(state, vault),
    )


@contextmanager
def noted(parts: Parts, job: str, *, lane: Lane | None = None, writes: bool = True) -> Iterator[Counter[str]]:
    """Write a run down: what it counted, how it ended, the calls it spent.

    `writes`: it may write to a side, and is refused before the connection goes live.
    What a person waits for spends its calls as urgent; what runs by itself, or long, has its own `lane`.
    """
    from tillbridge.draft import check_live
    from tillbridge.installation import installation_of
    from tillbridge.logs import logger
    from tillbridge.store.hours import note_calls

    name = installation_of(parts.holdings.home)[1]
    if writes:
        check_live(parts.holdings.home, name)
    log = logger().bind(connection=name)
    run = parts.journal.start(job)
    till, crm = parts.till.calls, parts.crm.calls
    counts: Counter[str] = Counter()
    outcome = "broken"
    log.info("run started", run=run, job=job)
    parts.spending.begin(lane or _LANES.get(job, "urgent"))
    try:
        yield counts
        outcome = "done"
    except BaseException as error:
        outcome = _outcome(error)
        if isinstance(error, SyncError):
            _note_stop(parts, run, error)
        raise
    finally:
        parts.spending.settle()
        spent = parts.till.calls - till, parts.crm.calls - crm
        parts.journal.end(run, outcome, counts, *spent)
        note_calls(parts.state, *spent)
        _keep_usage(parts)
        calls = {"till": spent[0], "crm": spent[1]}
        log.info("run ended", run=run, job=job, outcome=outcome, calls=calls, counts=dict(counts))
        if outcome != "stopped":
            _tell_people(parts)


def _note_stop(parts: Parts, run: int, error: SyncError) -> None:
    """Remember why a run stopped, for its alerts. A disk that is full has said so already."""
    from tillbridge import alerts

    with suppress(SyncError):
        alerts.note_stop(parts, run, str(error))


def _tell_people(parts: Parts) -> None:
    """Send what people are to hear of. An alert that fails is no reason for a run to fail."""
    from tillbridge import alerts
    from tillbridge.logs import logger

    try:
        told = alerts.tell(parts, parts.clock.now())
    except (SyncError, OSError) as error:
        told = alerts.Told(failed=(str(error),))
    if told.sent or told.failed:
        logger().info("people told", sent=told.sent, failed=len(told.failed))
    if told.failed:
        reasons = "; ".join(sentence.rstrip(".") for sentence in told.failed)
        parts.progress.say(
            f"An alert could not be sent, and is sent again at the end of the next run: {reasons}."
        )


def _outcome(error: BaseException) -> str:
    return "stopped" if isinstance(error, KeyboardInterrupt) else outcome_of(error)


def _keep_usage(parts: Parts) -> None:
    usage = parts.crm.usage()
    if usage is not None:
        seen = {"used": usage.used, "allowed": usage.allowed, "seen_at": parts.state.now()}
        with parts.state.begin() as c:
            parts.state.keep(c, _USAGE, seen)


def open_ends(parts: Parts) -> dict[str, int]:
    """Count what needs a person. People and products in review are ordinary and need no hurry."""
    states = parts.state.count_states()
    return {
        "problems": parts.journal.count_open(),
        "conflicts": sum(by_state.get("conflict", 0) for by_state in states.values()),
        "plans": len(held_plans(parts.plans)),
    }


def held_plans(plans: Plans) -> list[Plan]:
    """Return the plans that were held back and wait for a person."""
    from tillbridge.store.plans import HELD, OPEN

    return [plan for plan in plans.in_state(OPEN) if plan.why == HELD]


def tell_held(desk: Desk, plans: Sequence[Plan]) -> None:
    """Say what was held back, and how it is let pass."""
    for plan in plans:
        whom = words.several(len({entry.till_id or entry.crm_id for entry in plan.entries}), "customer")
        desk.screen.note(
            f"Changes of {whom} were held back: look at them with `tillbridge plans show {plan.id}`, "
            f"let them pass with `tillbridge approve {plan.id}`."
        )


def who_asks(desk: Desk) -> str:
    """Name whoever gives a command, for the books."""
    names = map(desk.env.get, ("SUDO_USER", "USER", "LOGNAME"))
    return next(filter(None, names), "somebody at the command line")


def agrees(desk: Desk, question: str) -> bool:
    """Ask whoever gives a command: only a typed yes goes on. Without anybody to ask, nothing does."""
    desk.screen.note(f"{question} Type yes to go on; --yes asks nothing.")
    return sys.stdin.readline().strip().lower() == "yes"


def status_of(ends: Mapping[str, int]) -> int:
    """Return the exit status of a run that went through."""
    return words.NEEDS_PERSON if any(ends.values()) else words.DONE

"""One connection's books, open to be looked into beside a sync: no reader holds up a writer."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
import sqlalchemy as sa

from tillbridge import config as configuration
from tillbridge.config import Config
from tillbridge.engine.directory import kept_directory, surroundings
from tillbridge.engine.jobs import Jobs
from tillbridge.installation import connections
from tillbridge.model.clock import Clock
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.model.sale import Surroundings
from tillbridge.secrets import Vault
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.certificates import Certificates
from tillbridge.store.changes import Changes
from tillbridge.store.database import open_reader as open_for_looking
from tillbridge.store.database import plain_words
from tillbridge.store.days import Days
from tillbridge.store.hours import Hours
from tillbridge.store.journal import Journal
from tillbridge.store.notices import Notices
from tillbridge.store.people import People
from tillbridge.store.plans import Plans
from tillbridge.store.raw import Raw
from tillbridge.store.service import Service
from tillbridge.store.state import State
from tillbridge.views.roll import Roll
from tillbridge.wiring import fill_in, open_state, place_of, settings_of, vault_for

# The small tables are read again after so long: a shop is renamed seldom, and nobody waits for it.
_NAMES_SECONDS = 30.0


class Memory(Protocol):
    """What is told of one person or problem, as the console and the command line both have it open."""

    @property
    def config(self) -> Config:
        """Return the settings."""

    @property
    def state(self) -> State:
        """Return the state."""

    @property
    def vault(self) -> Vault:
        """Return what opens what is sealed."""

    @property
    def people(self) -> People:
        """Return the CRM's people, verdicts and shadows."""

    @property
    def arrivals(self) -> Arrivals:
        """Return the till's people, and who is on the way to them."""

    @property
    def changes(self) -> Changes:
        """Return what was changed."""

    @property
    def plans(self) -> Plans:
        """Return the plans."""

    @property
    def journal(self) -> Journal:
        """Return runs and problems."""

    def look(self) -> AbstractContextManager[sa.Connection]:
        """Open one reading transaction."""

    def names(self) -> Names:
        """Return what stores and employees are called."""


class NoSuchConnection(LookupError):
    """A connection that is not in this installation, or no longer."""


class Looking(State):
    """A state that is only looked into: its transactions see one moment and take no lock."""

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Open one reading transaction."""
        with plain_words(self._place), self._engine.connect() as connection:
            yield connection
            connection.rollback()


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What stores and employees are called, the account's currency and zones; empty before the first sync."""

    stores: Mapping[str, str] = {}  # till id -> name
    codes: Mapping[str, str] = {}  # till id -> the code that reports use
    zones: Mapping[str, str] = {}
    employees: Mapping[str, str] = {}
    currency: str = ""

    def store(self, store_id: str) -> str:
        """Return a store's name."""
        return self.stores.get(store_id, f"Store {store_id}")

    def code(self, store_id: str) -> str:
        """Return a store's code."""
        return self.codes.get(store_id, store_id)

    def employee(self, employee_id: str | None) -> str | None:
        """Return an employee's name."""
        if employee_id is None:
            return None
        return self.employees.get(employee_id, f"Employee {employee_id}")

    def ids(self, codes: Collection[str] | None) -> frozenset[str] | None:
        """Return the till's ids of stores by their codes; None: all."""
        if codes is None:
            return None
        return frozenset(i for i, code in self.codes.items() if code in codes)


def read_names(config: Config, people: People) -> tuple[Names, Surroundings | None]:
    """Return what stores and employees are called, and what a sale's facts depend on, as last read."""
    directory = kept_directory(people)
    if directory is None:
        return Names(), None
    around = surroundings(directory, settings_of(config))
    names = Names(
        stores={store.id: store.name for store in around.stores.values()},
        codes={store.id: around.store_code(store.id) for store in around.stores.values()},
        zones={store.id: store.time_zone for store in around.stores.values()},
        employees={
            e.id: " ".join(filter(None, (e.first_name, e.last_name))) or f"Employee {e.id}"
            for e in directory.employees
        },
        currency=around.currency,
    )
    return names, around


@dataclass(slots=True)
class Books:
    """Everything that a connection remembers, opened to be shown."""

    name: str
    home: Path
    config: Config
    state: Looking
    vault: Vault
    clock: Clock
    service: Service
    jobs: Jobs
    roll: Roll
    people: People
    arrivals: Arrivals
    changes: Changes
    plans: Plans
    raw: Raw
    certificates: Certificates
    days: Days
    hours: Hours
    notices: Notices
    _names: tuple[float, Names, Surroundings | None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def journal(self) -> Journal:
        """Return the journal; a new one each time, for it remembers what people had decided when it began."""
        return Journal(self.state, self.vault)

    def now(self) -> float:
        """Return the present moment, epoch seconds."""
        return self.clock.now().timestamp()

    def names(self) -> Names:
        """Return what stores and employees are called."""
        return self._directory()[1]

    def around(self) -> Surroundings | None:
        """Return what a sale's facts depend on; None before the first sync."""
        return self._directory()[2]

    def _directory(self) -> tuple[float, Names, Surroundings | None]:
        now = self.clock.monotonic()
        with self._lock:
            if self._names is None or now - self._names[0] > _NAMES_SECONDS or not self._names[1].stores:
                self._names = (now, *self._read_names())
            return self._names

    def _read_names(self) -> tuple[Names, Surroundings | None]:
        return read_names(self.config, self.people)

    @contextmanager
    def look(self) -> Iterator[sa.Connection]:
        """Open one reading transaction."""
        with self.state.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let the database go."""
        self.roll.stop()
        self.state.close()


class Library:
    """The books of an installation's connections, each opened once, and again when its settings change."""

    def __init__(
        self,
        folder: Path,
        service: Service,
        jobs: Jobs,
        clock: Clock,
        env: Mapping[str, str],
        *,
        in_background: bool = False,
    ) -> None:
        self._folder, self._service, self._jobs = folder, service, jobs
        self._clock, self._env = clock, env
        self._in_background = in_background
        self._open: dict[str, tuple[int, Books]] = {}
        self._lock = threading.Lock()

    def books(self, name: str) -> Books:
        """Return a connection's books. Raises NoSuchConnection, ConfigurationInvalid."""
        home = connections(self._folder).get(name)
        if home is None:
            raise NoSuchConnection(name)
        changed_at = (home / configuration.FILE_NAME).stat().st_mtime_ns
        with self._lock:
            kept = self._open.get(name)
            if kept is not None and kept[0] == changed_at:
                return kept[1]
            opened = self._opened(name, home)
            if kept is not None:
                kept[1].close()
            self._open[name] = (changed_at, opened)
            return opened

    def _opened(self, name: str, home: Path) -> Books:
        try:
            config = configuration.load(home, self._env)
        except ConfigurationInvalid as error:
            raise configuration.located(home, error) from error
        state, vault = open_reader(home, self._clock, self._env, config)
        people, arrivals = People(state, vault), Arrivals(state, vault)
        roll = Roll(state, people, arrivals, self._clock)
        if self._in_background:
            roll.start()
        return Books(
            name=name,
            home=home,
            config=config,
            state=state,
            vault=vault,
            clock=self._clock,
            service=self._service,
            jobs=self._jobs,
            roll=roll,
            people=people,
            arrivals=arrivals,
            changes=Changes(state, vault),
            plans=Plans(state, vault),
            raw=Raw(state, vault, config.keep.raw_days),
            certificates=Certificates(state),
            days=Days(state),
            hours=Hours(state),
            notices=Notices(state, vault),
        )

    def forget(self, name: str) -> None:
        """Close the books of a connection that is there no more."""
        with self._lock:
            kept = self._open.pop(name, None)
        if kept is not None:
            kept[1].close()

    def close(self) -> None:
        """Close all books."""
        with self._lock:
            opened, self._open = [books for _, books in self._open.values()], {}
        for books in opened:
            books.close()


def open_reader(home: Path, clock: Clock, env: Mapping[str, str], config: Config) -> tuple[Looking, Vault]:
    """Open a home's state to look into it, brought up to date before."""
    place = place_of(home, env)
    state = open_state(home, clock, env)
    try:
        vault = vault_for(home, state, env)
        fill_in(config, state, vault)
    finally:
        state.close()
    return Looking(open_for_looking(place), clock, place), vault

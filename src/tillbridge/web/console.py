"""What every page is handed: the installation, who may see what, and how a page is rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fastapi import Request

from tillbridge import installation
from tillbridge.actions import Actions
from tillbridge.engine.jobs import Jobs
from tillbridge.model.clock import Clock
from tillbridge.model.errors import BadRequest, SyncError
from tillbridge.settings import Refusal
from tillbridge.setup.errands import Errands
from tillbridge.setup.fields import Fields
from tillbridge.setup.setups import Setups
from tillbridge.store.access import Access
from tillbridge.store.plans import HELD, OPEN
from tillbridge.store.service import Service
from tillbridge.views.books import Books, Library, NoSuchConnection
from tillbridge.views.sides import SideNow, sides
from tillbridge.views.trials import Trials
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.live import Streams
from tillbridge.web.security.addresses import refusal
from tillbridge.web.security.oidc import Identity
from tillbridge.web.security.roles import Visitor
from tillbridge.web.security.rules import Rules
from tillbridge.web.security.sessions import Sessions
from tillbridge.web.security.watchers import Watchers

T = TypeVar("T")

# The side bar's badges may be so old: every page shows them.
_ENDS_SECONDS = 5.0

# Why something was refused, as the audit log keeps it.
_WHY_MAX = 300


@dataclass(slots=True)
class Deed:
    """Something that is being done: by whom, and what came of it, for its line in the audit log.

    `is_private`: a refusal may repeat what somebody typed into a field, so it is not kept.
    """

    by: str
    is_private: bool = False
    came: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Console:
    """One console over one installation. `healthy` and `ready` return what is wrong, or None."""

    folder: Path
    service: Service
    jobs: Jobs
    clock: Clock
    env: Mapping[str, str]
    access: Access
    library: Library
    healthy: Callable[[], str | None]
    ready: Callable[[], str | None]
    metrics: Callable[[], tuple[str, bytes]]
    dead_after_seconds: float = 30.0
    sessions: Sessions = field(init=False)
    rules: Rules = field(init=False)
    identity: Identity = field(init=False)
    watchers: Watchers = field(init=False)
    actions: Actions = field(init=False)
    setups: Setups = field(init=False)
    fields: Fields = field(init=False)
    streams: Streams = field(default_factory=Streams)
    trials: Trials = field(default_factory=Trials)
    errands: Errands = field(default_factory=Errands)
    _ends: dict[str, tuple[float, dict[str, int | None]]] = field(default_factory=dict)
    _sides: dict[str, tuple[float, list[SideNow]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.access)
        self.rules = Rules(self.folder, self.env)
        self.identity = Identity(self.now)
        self.watchers = Watchers(self.rules, self.access, self.now)
        self.actions = Actions(
            self.folder,
            self.service,
            self.jobs,
            self.clock,
            self.env,
            dead_after_seconds=self.dead_after_seconds,
        )
        self.setups = Setups(self.folder, self.service, self.actions, self.clock, self.env)
        self.fields = Fields(self.setups)

    def now(self) -> float:
        """Return the present moment."""
        return self.clock.now().timestamp()

    def connections(self) -> dict[str, Path]:
        """Return the homes of all connections by name."""
        return installation.connections(self.folder)

    def visible(self, visitor: Visitor) -> dict[str, Path]:
        """Return the homes of the connections that somebody may see."""
        return {name: home for name, home in self.connections().items() if visitor.sees(name)}

    def refusal(self) -> Refusal:
        """Return what says why an address may not be named, as the installation's rules have it."""
        return (lambda _address: None) if self.rules().own_network else refusal

    def open_ends(self, books: Books) -> dict[str, int | None]:
        """Count what waits for somebody, for the side bar; counted anew after some seconds.

        None: not counted yet, for everybody is still being read.
        """
        return self._lately(self._ends, books, _open_ends)

    def sides(self, books: Books) -> list[SideNow]:
        """Say whether both sides are connected, for the side bar; looked up anew after some seconds."""
        return self._lately(self._sides, books, sides)

    def _lately(self, known: dict[str, tuple[float, T]], books: Books, look: Callable[[Books], T]) -> T:
        kept, moment = known.get(books.name), self.clock.monotonic()
        if kept is None or moment - kept[0] > _ENDS_SECONDS:
            kept = known[books.name] = (moment, look(books))
        return kept[1]

    def note(self, visitor: Visitor, what: str, subject: str = "", **detail: object) -> None:
        """Write down what somebody did: ids only, never a name, an address or a secret."""
        self.access.note(visitor.audit_name, what, subject, self.now(), detail)

    @contextmanager
    def noting(self, visitor: Visitor, what: str, subject: str = "", **detail: object) -> Iterator[Deed]:
        """Write down what somebody does once it is done, or that it was refused and why."""
        deed = Deed(visitor.audit_name)
        try:
            yield deed
        except BaseException as error:
            why = "what was typed would not do" if deed.is_private else _refusal(error)
            self.note(visitor, what, subject, **detail, **deed.came, refused=why)
            raise
        self.note(visitor, what, subject, **detail, **deed.came)


def _open_ends(books: Books) -> dict[str, int | None]:
    books.roll.refresh()
    # Looked at before they are counted: what is read in between makes them more, never wrongly all.
    complete, people = books.roll.complete, books.roll.counts()
    return {
        "problems": books.journal.count_open(),
        "reviews": people["review"] if complete else None,
        "conflicts": people["conflict"] if complete else None,
        "plans": sum(plan.why == HELD for plan in books.plans.in_state(OPEN)),
    }


def _refusal(error: BaseException) -> str:
    """Return why something was not done. A remote's own words may hold names: its code stands for them."""
    match error:
        case BadRequest(code=code):
            return f"the other side refused it ({code})"
        case SyncError() | Unfit():
            return str(error)[:_WHY_MAX]
        case NotHere():
            return "there is no such thing"
    return "it broke off; the log says why"


def console_of(request: Request) -> Console:
    """Return the console that a request is for."""
    console: Console = request.app.state.console
    return console


def actions_of(request: Request) -> Actions:
    """Return what people do with connections."""
    return console_of(request).actions


def books_of(request: Request) -> Books:
    """Return the books of the connection that a page is about."""
    try:
        return console_of(request).library.books(request.path_params["connection"])
    except NoSuchConnection:
        raise NotHere from None


def stores_of(request: Request, books: Books) -> frozenset[str] | None:
    """Return the till's ids of the stores that whoever asks may see; None: all."""
    return books.names().ids(visitor_of(request).stores(books.name))


def visitor_of(request: Request) -> Visitor:
    """Return who asks; the route's door has found out."""
    visitor: Visitor = request.state.visitor
    return visitor

"""One till account joined to one CRM org: everything a run needs, in one value."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Protocol

from tillbridge.engine.ports import Crm, Questions, Till
from tillbridge.model.clock import Clock
from tillbridge.model.reading import TillAccount
from tillbridge.model.sale import Surroundings
from tillbridge.model.writing import ObjectFacts
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.changes import Changes
from tillbridge.store.journal import Journal
from tillbridge.store.people import People
from tillbridge.store.plans import Plans
from tillbridge.store.raw import Raw
from tillbridge.store.spool import Spool
from tillbridge.store.state import State
from tillbridge.sync.alike import Alike
from tillbridge.sync.fieldmap import CustomerModel, FieldMap
from tillbridge.sync.freshness import Landed
from tillbridge.sync.pullback import Way
from tillbridge.sync.reconcile import Authority, Mode
from tillbridge.sync.safety import DEFAULT_LIMITS, Limits


class Bar(Protocol):
    """One progress bar."""

    def advance(self, count: int = 1) -> None:
        """Move on."""

    def close(self) -> None:
        """End it: finished, or given up."""


class Progress(Protocol):
    """Where a run tells people how far it is."""

    def bar(self, title: str, total: int | None = None) -> Bar:
        """Begin a bar; without a total it counts."""

    def say(self, text: str) -> None:
        """Tell one thing."""


class _SilentBar:
    def advance(self, count: int = 1) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


class Silent:
    """Tells nobody anything."""

    def bar(self, title: str, total: int | None = None) -> Bar:  # noqa: ARG002  The protocol names them.
        """Begin a bar that nobody sees."""
        return _SilentBar()

    def say(self, text: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Who of the CRM may enter the till: marked by a check box, or of these record types and fields."""

    mark: str | None = "Send_To_Lightspeed__c"
    record_types: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person has set, as far as the engine cares."""

    model: CustomerModel = "person_account"
    match: tuple[str, ...] = ("external_id", "email", "phone", "address")
    review: tuple[str, ...] = ()
    mode: Mode = "two_way"
    owner: str = "seller"
    authority: Mapping[str, Authority] = field(default_factory=dict)
    other_authority: Authority = "newest"
    scope: Scope = field(default_factory=Scope)
    safety: Limits = DEFAULT_LIMITS
    phone_region: str | None = None
    record_type: str | None = None
    since: date | None = None
    stores: frozenset[str] = frozenset()
    registers: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    day_starts_at: time = time(0)
    reporting_currency: str | None = None
    rates: Mapping[date, Decimal] = field(default_factory=dict)
    newest_first: bool = False
    store_codes: Mapping[str, str] = field(default_factory=dict)
    time_zones: Mapping[str, str] = field(default_factory=dict)
    adopt: tuple[str, ...] = ("system_sku", "custom_sku", "upc", "ean", "maker_sku")
    reread_days: int = 7
    nightly_days: int = 35
    sweep_days: int = 7
    reserve_share: float = 0.2  # of the CRM's calls: what work that can wait leaves to others
    poll_seconds: Mapping[str, float] = field(default_factory=dict)  # how often each stream is to be read


def _go_on() -> None:
    """Let nobody pass."""


@dataclass(slots=True)
class Connection:
    """A prepared connection. `engine.preflight.prepare` makes one."""

    settings: Settings
    till: Till
    crm: Crm
    questions: Questions
    state: State
    journal: Journal
    people: People
    spool: Spool
    raw: Raw
    changes: Changes
    arrivals: Arrivals
    plans: Plans
    clock: Clock
    rng: random.Random
    maps: Mapping[str, FieldMap]
    account: TillAccount
    objects: Mapping[str, ObjectFacts]
    around: Surroundings
    progress: Progress
    converted: Mapping[str, FieldMap] = field(default_factory=dict)  # by object: whom a Lead may become
    approve: bool = False  # a person has said beforehand that nothing is to be held back
    moved: set[str] = field(default_factory=set)  # those whose record this run has seen changed in the CRM
    put_right: set[str] = field(default_factory=set)  # held, and the CRM shows again what both agreed on
    ways: dict[str, Mapping[str, Way]] = field(default_factory=dict)  # engine.mapping.ways_of, by object
    # By object, and by where people dial.
    alikes: dict[tuple[str, str | None], Mapping[str, Alike]] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)  # registers that sales name and the till does not list
    region: str | None = None  # where people dial without a country code
    landed: list[Landed] = field(default_factory=list)  # news that the CRM has confirmed
    # Called where long work can be left and gone on with: raises when others are to have a turn.
    give_way: Callable[[], None] = _go_on
    # Called where long work can stand still: whoever is in a hurry works, and it goes on with what it has.
    let_pass: Callable[[], None] = _go_on

    @property
    def zones(self) -> tuple[str, ...]:
        """Return the shops' time zones, each once."""
        return tuple(dict.fromkeys(store.time_zone for store in self.around.stores.values()))

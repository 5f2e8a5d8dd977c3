"""One till account joined to one CRM org: everything a run needs, in one value."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Protocol

from tillbridge.engine.ports import Crm, Questions, Till
from tillbridge.model.clock import Clock
from tillbridge.model.reading import TillAccount
from tillbridge.model.sale import Surroundings
from tillbridge.model.writing import ObjectFacts
from tillbridge.store.journal import Journal
from tillbridge.store.people import People
from tillbridge.store.raw import Raw
from tillbridge.store.spool import Spool
from tillbridge.store.state import State
from tillbridge.sync.fieldmap import CustomerModel, FieldMap
from tillbridge.sync.reconcile import Mode


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
class Settings:
    """What a person has set, as far as the engine cares."""

    model: CustomerModel = "person_account"
    match: tuple[str, ...] = ("external_id", "email", "phone", "address")
    review: tuple[str, ...] = ()
    mode: Mode = "two_way"
    owner: str = "seller"
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
    poll_seconds: Mapping[str, float] = field(default_factory=dict)  # how often each stream is to be read


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
    clock: Clock
    rng: random.Random
    maps: Mapping[str, FieldMap]
    account: TillAccount
    objects: Mapping[str, ObjectFacts]
    around: Surroundings
    progress: Progress
    unlisted: set[str] = field(default_factory=set)  # registers that sales name and the till does not list
    region: str | None = None  # where people dial without a country code

    @property
    def zones(self) -> tuple[str, ...]:
        """Return the shops' time zones, each once."""
        return tuple(dict.fromkeys(store.time_zone for store in self.around.stores.values()))

"""The small tables of a till account: stores, registers, employees, categories.

They change rarely, so they are kept between runs and read again after an hour,
or when a sale names somebody unknown.
"""

from __future__ import annotations

import zoneinfo
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from tillbridge.engine.connection import Settings
from tillbridge.engine.ports import Till
from tillbridge.model.clock import Clock
from tillbridge.model.reading import TillAccount
from tillbridge.model.records import Employee, Register, Store
from tillbridge.model.sale import RateTable, Surroundings
from tillbridge.store.people import People
from tillbridge.store.state import State

FRESH = timedelta(hours=1)
FACT = "directory"


class Directory(msgspec.Struct, frozen=True):
    """The small tables as last read, and when (our clock)."""

    read_at: float
    account: TillAccount
    stores: list[Store]
    registers: list[Register]
    employees: list[Employee]
    categories: dict[str, str]

    def is_fresh(self, clock: Clock) -> bool:
        """Say whether it need not be read again."""
        return 0 <= clock.now().timestamp() - self.read_at < FRESH.total_seconds()


def read_directory(till: Till, state: State, people: People, clock: Clock) -> Directory:
    """Read the small tables from the till and keep them, sealed: they name employees."""
    account = till.account()
    directory = Directory(
        read_at=clock.now().timestamp(),
        account=account,
        stores=till.stores(),
        registers=till.registers(),
        employees=till.employees(),
        categories=till.categories(),
    )
    with state.begin() as c:
        people.keep(c, FACT, msgspec.to_builtins(directory))
    return directory


def kept_directory(people: People) -> Directory | None:
    """Return the small tables as last read; None before the first time."""
    kept: Any = people.fact(FACT)
    return None if kept is None else msgspec.convert(kept, Directory)


def surroundings(directory: Directory, settings: Settings) -> Surroundings:
    """Put together what a sale's facts depend on."""
    currency = directory.account.currency
    rates = None
    if settings.reporting_currency:
        rates = RateTable(settings.reporting_currency, {currency: settings.rates})
    return Surroundings(
        currency=currency,
        stores={store.id: _zoned(store, settings) for store in directory.stores},
        registers={register.id: register.name for register in directory.registers},
        categories=directory.categories,
        store_codes=settings.store_codes,
        day_starts_at=settings.day_starts_at,
        rates=rates,
    )


def _zoned(store: Store, settings: Settings) -> Store:
    zone = settings.time_zones.get(store.id)
    return msgspec.structs.replace(store, time_zone=zone) if zone else store


def dial_region(directory: Directory | None, settings: Settings) -> str | None:
    """Return where people dial who name no country: as it is set, or where most stores are."""
    stores = surroundings(directory, settings).stores if directory else {}
    return settings.phone_region or home_region(stores)


def home_region(stores: Mapping[str, Store]) -> str | None:
    """Guess in which country most stores are, by their time zones: where a number without a country dials."""
    countries = _countries_of_zones()
    found = Counter(c for store in stores.values() if (c := countries.get(store.time_zone)))
    return found.most_common(1)[0][0] if found else None


@cache  # The machine's zones do not change while we run.
def _countries_of_zones() -> Mapping[str, str]:
    table = {}
    text = files("tzdata.zoneinfo").joinpath("zone.tab").read_text("utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            table[zone] = country
    # Old names that tills still use are in no table; their first word tells.
    for zone in zoneinfo.available_timezones():
        if zone.startswith("US/"):
            table[zone] = "US"
        elif zone.startswith("Canada/"):
            table[zone] = "CA"
    return table

"""Which field map and settings were in force when: kept by fingerprint, so that "then" can be made again.

A map is data, so its text is enough; functions of a person's own are code, and
stand for what they are today.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

from tillbridge.engine.connection import Connection, Settings
from tillbridge.engine.directory import kept_directory, surroundings
from tillbridge.store.state import State
from tillbridge.sync.fieldmap import compile_maps

# The entries of the log, oldest first: since when (our clock), and the fingerprint of what was in force.
LOG_FACT = "maps"
_ENTRIES_MAX = 200


class Rules(msgspec.Struct, frozen=True):
    """All that decides what a sale becomes, beside the sale: the tables, and the settings they depend on."""

    tables: dict[str, dict[str, str]]
    store_codes: dict[str, str]
    time_zones: dict[str, str]
    day_starts_at: time
    reporting_currency: str | None
    rates: dict[str, Decimal]  # by day, as ISO text


def rules_of(connection: Connection) -> Rules:
    """Return what is in force now."""
    settings = connection.settings
    return Rules(
        tables={name: dict(table.lines) for name, table in connection.maps.items()},
        store_codes=dict(settings.store_codes),
        time_zones=dict(settings.time_zones),
        day_starts_at=settings.day_starts_at,
        reporting_currency=settings.reporting_currency,
        rates={day.isoformat(): rate for day, rate in settings.rates.items()},
    )


def fingerprint(rules: Rules) -> str:
    """Return a short name for rules: equal rules have equal names."""
    return blake2b(_encoder.encode(rules), digest_size=8).hexdigest()


_encoder = msgspec.json.Encoder(order="deterministic")


def note_rules(connection: Connection) -> None:
    """Write down what is in force, when it is not what was in force before."""
    rules = rules_of(connection)
    name, log, state = fingerprint(rules), _log(connection.state), connection.state
    if log and log[-1][1] == name:
        return
    with state.begin() as c:
        state.keep(c, _fact(name), msgspec.to_builtins(rules))
        state.keep(c, LOG_FACT, [*log, (state.now(), name)][-_ENTRIES_MAX:])


def name_at(state: State, moment: float) -> str | None:
    """Return the fingerprint of what was in force at a moment; None when that is not known any more."""
    found = None
    for since, name in _log(state):
        if since > moment:
            break
        found = name
    return found


def fields_moved(connection: Connection, kind: str, moment: float | None) -> frozenset[str] | None:
    """Return the fields of a kind that are mapped otherwise than at a moment; None when nobody knows.

    Settings that the map's functions look at count for every field.
    """
    name = None if moment is None else name_at(connection.state, moment)
    kept = None if name is None else connection.state.fact(_fact(name))
    if kept is None:
        return None
    then, now = msgspec.convert(kept, Rules), rules_of(connection)
    before, after = then.tables.get(kind, {}), now.tables.get(kind, {})
    if msgspec.structs.replace(then, tables={}) != msgspec.structs.replace(now, tables={}):
        return frozenset(before) | frozenset(after)
    return frozenset(f for f in before.keys() | after.keys() if before.get(f) != after.get(f))


def connection_at(
    connection: Connection, moment: float, functions: Mapping[str, Callable[..., Any]]
) -> Connection | None:
    """Return a connection that maps as it did at a moment; None when that is not known any more."""
    name = name_at(connection.state, moment)
    kept = None if name is None else connection.state.fact(_fact(name))
    if kept is None:
        return None
    return _with_rules(connection, msgspec.convert(kept, Rules), functions)


def _with_rules(
    connection: Connection, rules: Rules, functions: Mapping[str, Callable[..., Any]]
) -> Connection:
    # Lines that today's tables have and theirs had not are taken out by being laid over with nothing.
    over = {
        name: {**dict.fromkeys(table.lines, ""), **rules.tables.get(name, {})}
        for name, table in connection.maps.items()
    }
    maps = compile_maps(
        over, account=connection.account.id, model=connection.settings.model, functions=functions
    )
    settings = _settings(connection.settings, rules)
    directory = kept_directory(connection.people)
    assert directory is not None
    return replace(
        connection,
        maps={table.name: table for table in maps.all()},
        settings=settings,
        around=surroundings(directory, settings),
    )


def _settings(settings: Settings, rules: Rules) -> Settings:
    return replace(
        settings,
        store_codes=rules.store_codes,
        time_zones=rules.time_zones,
        day_starts_at=rules.day_starts_at,
        reporting_currency=rules.reporting_currency,
        rates={date.fromisoformat(day): rate for day, rate in rules.rates.items()},
    )


def _log(state: State) -> list[tuple[float, str]]:
    return [(since, name) for since, name in state.fact(LOG_FACT) or ()]


def _fact(name: str) -> str:
    return f"map {name}"

"""Say which stores and registers take part, and since when: only the account's, and at least one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from tillbridge.engine.directory import Directory, kept_directory, read_directory
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.setup import steps
from tillbridge.setup.setups import Setups

# Before the first day no such till was sold, and behind the last one nobody reads this.
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)

# More stores and registers than any account has.
_TICKED_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which take part, by their ids in the till. `since`: the first day; None: all history."""

    stores: frozenset[str]
    registers: frozenset[str]
    since: date | None = None


def directory(setups: Setups, name: str) -> Directory:
    """Return the account's stores and registers, read again when what is kept is old."""
    with setups.looking(name) as parts:
        kept = kept_directory(parts.people)
        if kept is not None and kept.is_fresh(parts.clock):
            return kept
        return read_directory(parts.till, parts.state, parts.people, parts.clock)


def chosen(setups: Setups, name: str, known: Directory) -> Chosen:
    """Return which take part as it is written; nothing is written of all."""
    written = setups.settings(name).get("sales", {})
    stores = frozenset(str(each) for each in written.get("stores", ()))
    registers = frozenset(str(each) for each in written.get("registers", ()))
    since = written.get("since")
    return Chosen(
        stores or frozenset(each.id for each in known.stores),
        registers or frozenset(each.id for each in known.registers),
        date.fromisoformat(str(since)) if since else None,
    )


def day(text: str) -> date | None:
    """Read a day as a page sends it; None: that is none."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def save(setups: Setups, name: str, known: Directory, wished: Chosen, by: str) -> None:
    """Keep which stores and registers take part, and since when. Raises ConfigurationInvalid."""
    stores = frozenset(each.id for each in known.stores)
    beneath = frozenset(each.id for each in known.registers if each.store_id in wished.stores)
    mistakes = list(_mistakes(wished, known, stores, beneath))
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    every_store, every_register = wished.stores == stores, beneath <= wished.registers
    before = setups.settings(name).get("sales", {})
    setups.set(
        name,
        {
            ("sales", "stores"): None if every_store else sorted(wished.stores),
            ("sales", "registers"): None if every_register else sorted(wished.registers & beneath),
            ("sales", "since"): wished.since,
        },
    )
    told = "all stores" if every_store else f"{len(wished.stores)} of {len(stores)} stores"
    told += "" if every_register else f", {len(wished.registers & beneath)} of {len(beneath)} registers"
    told += f", since {wished.since}" if wished.since else ""
    changed = setups.settings(name).get("sales", {}) != before
    setups.done(name, steps.STORES, by, told, changed=changed)


def _mistakes(
    wished: Chosen, known: Directory, stores: Collection[str], beneath: Collection[str]
) -> list[tuple[str, str]]:
    found = []
    registers = {each.id for each in known.registers}
    if not wished.stores:
        found.append(("store", "Tick at least one store."))
    elif (
        len(wished.stores | wished.registers) > _TICKED_MAX
        or not wished.stores <= set(stores)
        or not wished.registers <= registers
    ):
        found.append(("store", "One of these is no store or register of the account."))
    elif beneath and not wished.registers & set(beneath):
        found.append(("store", "Tick at least one register of the stores that take part."))
    if wished.since is not None and not FIRST_DAY <= wished.since <= LAST_DAY:
        found.append(("since", f"Enter a day from {FIRST_DAY.year} to {LAST_DAY.year}."))
    return found

"""Map facts to the fields of one CRM object, made to fit what this org says of them."""

from __future__ import annotations

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.rows import Mapped
from tillbridge.sync.fit import fit

# Records that carry money of their own; their details inherit the currency.
_MONEYED = frozenset({"sale", "price"})
_CURRENCY = "CurrencyIsoCode"

# What a person should know of; that a standard field is not there is the org's choice.
_TOLD = frozenset({"cut", "dropped", "moved"})


def mapped(
    connection: Connection, kind: str, facts: msgspec.Struct, *, creating: bool = False
) -> tuple[dict[str, Mapped], str | None]:
    """Return the payload of a thing and what had to be done to make it fit, in words."""
    table = connection.maps[kind]
    payload, notes = fit(table(facts), connection.objects[table.object], creating=creating)
    if kind in _MONEYED and _CURRENCY in connection.objects[table.object].fields:
        # An org with several currencies wants to know which one these amounts are in.
        payload[_CURRENCY] = connection.account.currency
    told = [f"{note.field}: {note.text}" for note in notes if note.what in _TOLD]
    return payload, "; ".join(told) or None

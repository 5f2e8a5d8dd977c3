"""From records to rows: what we would have the CRM hold of each thing, lookups still by the till's ids.

A row is one record of one CRM object. A sale becomes a header, its lines and its
payments; a customer in the contact model becomes an account and a contact. The
field map says which fields; this file says which rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from tillbridge.model.sale import BuyerStanding, Ref
from tillbridge.model.writing import Value

# The order in which rows must reach the CRM: parents before their children.
LAYERS = (
    "store",
    "employee",
    "product",
    "price",
    "account",
    "customer",
    "identity",
    "sale",
    "line",
    "payment",
    "stock",
)


class Given(msgspec.Struct, frozen=True):
    """A value that a person has set instead of `mapped`, by whose digest the row goes on being known.

    `once`: only for a record that is not in the CRM yet; one that is there keeps
    what it holds. `extra`: no line of the map speaks of this field.
    """

    value: Value
    mapped: Value | BuyerStanding = None
    once: bool = False
    extra: bool = False


# A field of a row that is not ready to be sent: a value, or what the engine has yet to look up.
Mapped = Value | Ref | BuyerStanding | Given


def as_mapped(payload: Mapping[str, Mapped]) -> dict[str, Mapped]:
    """Return a payload as the map alone makes it, without what a person has set."""
    return {
        name: value.mapped if isinstance(value, Given) else value
        for name, value in payload.items()
        if not (isinstance(value, Given) and value.extra)
    }


class Row(msgspec.Struct, kw_only=True):
    """One record of one CRM object, as we would have it.

    `payload` holds values and `Ref`s. `sale` is the parent of a line or payment.
    An update goes by `crm_id`, everything else by the key that `payload` holds in `key_field`.
    """

    kind: str
    till_id: str
    object: str
    payload: dict[str, Mapped]
    key_field: str | None = None
    operation: Literal["upsert", "update", "create"] = "upsert"
    crm_id: str | None = None
    sale: str | None = None
    state: str = "settled"  # the standing that an ack gives it
    reason: str | None = None
    role: str | None = None  # how it comes to its CRM record: created, adopted, second; None: as before
    till_stamp: float | None = None
    history: bool | None = None
    digest: bytes | None = None  # None: of the payload itself

    @property
    def thing(self) -> tuple[str, str]:
        """Name the thing: (kind, till id)."""
        return self.kind, self.till_id


class Standing(msgspec.Struct, kw_only=True):
    """A row made ready to send: values only, the digest of it, and what its lookups wait for."""

    row: Row
    payload: dict[str, Value]
    digest: bytes
    missing: list[tuple[str, Ref]]  # (field, what is not there yet)
    lost: bool = False  # its master is not in the CRM: it cannot be sent at all

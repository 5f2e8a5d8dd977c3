"""What a CRM answers to the engine's questions, in nobody's wire form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

import msgspec


class CrmProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product of the CRM: its own numbers, and our key where it is joined to a till already."""

    id: str
    key: str | None
    numbers: tuple[str, ...]


class CrmPersonRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person, or a company that buys, as the CRM shows it.

    `key` is our key where it is joined to a till already; `account` a contact's
    account, and that of the contact which a converted Lead has become. `fields` are
    those that the field map writes, as text; empty ones are absent.
    Somebody `deleted` may have been merged into somebody else; a converted Lead lives
    on as its contact, or its person account.
    """

    id: str
    object: str
    key: str | None = None
    account: str | None = None
    converted: bool = False
    became: str | None = None  # the record that a merged or converted one lives on as
    became_object: str | None = None
    deleted: bool = False
    wanted: bool = False  # a person has marked it for the till, or customers.crm_scope takes it in
    changed_at: datetime | None = None
    changed_by: str | None = None  # the CRM user who wrote it last
    first: str | None = None
    last: str | None = None
    company: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    street: str | None = None
    zip: str | None = None
    city: str | None = None
    country: str | None = None
    birth_date: date | None = None
    fields: Mapping[str, str] = {}


class CrmStamp(msgspec.Struct, frozen=True, kw_only=True):
    """That a person of the CRM changed, when and by whom, and nothing of what they show."""

    id: str
    object: str
    changed_at: datetime
    changed_by: str | None = None


class CrmSaleSum(msgspec.Struct, frozen=True, kw_only=True):
    """The sales of one store, day, currency, type and status. Money in the till's currency."""

    store: str
    day: date
    currency: str
    type: str
    status: str
    count: int
    total: Decimal
    tax: Decimal
    discount: Decimal
    net: Decimal


class CrmTenderSum(msgspec.Struct, frozen=True, kw_only=True):
    """The payments of one store, day, currency and tender."""

    store: str
    day: date
    currency: str
    tender: str
    count: int
    amount: Decimal


class CrmTotals(msgspec.Struct, frozen=True):
    """What the CRM holds, added up by itself."""

    sales: list[CrmSaleSum]
    tenders: list[CrmTenderSum]


class KeyedRow(msgspec.Struct, frozen=True):
    """A row of the CRM that carries a key of ours, with the fields asked for as text."""

    id: str
    key: str
    fields: Mapping[str, str | None]


class HeldAsk(msgspec.Struct, frozen=True):
    """A question for given rows of one object: those whose `key_field` is one of `keys`."""

    name: str
    key_field: str
    keys: tuple[str, ...]
    fields: tuple[str, ...] = ()

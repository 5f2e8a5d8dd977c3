"""The canonical form of one thing of a kind. A record that exists has been parsed and is well formed.

Ids are the till's own ids as text. Money, quantities and rates are Decimal in
the till account's currency, never cents. Times are aware and UTC. None means
"the till says nothing"; an empty text never occurs, it is None. Immutable.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

import msgspec


class Kind(StrEnum):
    """What a record can be."""

    STORE = "store"
    EMPLOYEE = "employee"
    PRODUCT = "product"
    STOCK = "stock"
    CUSTOMER = "customer"
    SALE = "sale"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records."""


class Store(Record, frozen=True, kw_only=True):
    """A shop. `time_zone` is an IANA name (legacy ones such as US/Eastern included)."""

    id: str
    name: str
    time_zone: str
    tax_inclusive: bool = False
    archived: bool = False


class Register(Record, frozen=True, kw_only=True):
    """A till desk within a store."""

    id: str
    name: str
    store_id: str


class Employee(Record, frozen=True, kw_only=True):
    """Somebody who sells or rings up."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    active: bool = True


class Product(Record, frozen=True, kw_only=True):
    """Something that can be sold."""

    id: str
    system_sku: str
    custom_sku: str | None = None
    upc: str | None = None
    ean: str | None = None
    maker_sku: str | None = None
    description: str
    category: str | None = None  # full path, e.g. Rings/Gold
    maker: str | None = None
    price: Decimal | None = None
    list_price: Decimal | None = None  # maker's suggested price
    cost: Decimal | None = None
    kind: str = "default"  # default, non_inventory, box, assembly
    archived: bool = False
    created_at: datetime | None = None
    changed_at: datetime | None = None


class Stock(Record, frozen=True, kw_only=True):
    """What one store holds of one product."""

    product_id: str
    store_id: str
    on_hand: Decimal
    sellable: Decimal | None = None
    reorder_point: Decimal | None = None
    reorder_level: Decimal | None = None
    changed_at: datetime | None = None


class Email(msgspec.Struct, frozen=True):
    """An e-mail address as the till spells it."""

    use: Literal["primary", "secondary"]
    address: str


class Phone(msgspec.Struct, frozen=True):
    """A phone number as the till spells it."""

    use: Literal["home", "work", "mobile", "pager", "fax"]
    number: str


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A postal address. `state_code` and `country_code` where the till knows them."""

    street: str | None = None
    street2: str | None = None
    city: str | None = None
    state: str | None = None
    state_code: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None


class Customer(Record, frozen=True, kw_only=True):
    """A person or company that buys. The opt-out flags are opt-outs: false proves no consent."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    title: str | None = None
    type: str | None = None  # the name of the customer type
    birth_midnight: datetime | None = None  # local midnight in UTC; see model.times.birth_date
    birth_date: date | None = None
    emails: tuple[Email, ...] = ()
    phones: tuple[Phone, ...] = ()
    address: Address | None = None
    no_email: bool = False
    no_phone: bool = False
    no_mail: bool = False
    custom: dict[str, str] = {}  # custom field name -> value
    tags: tuple[str, ...] = ()
    note: str | None = None
    archived: bool = False
    created_at: datetime | None = None
    changed_at: datetime | None = None

    def email(self, use: str = "primary") -> str | None:
        """Return the address in that slot; asked for the primary, any address will do."""
        found = next((e.address for e in self.emails if e.use == use), None)
        return found or (self.emails[0].address if use == "primary" and self.emails else None)

    def phone(self, use: str) -> str | None:
        """Return the number in that slot."""
        return next((p.number for p in self.phones if p.use == use), None)


class SaleState(StrEnum):
    """Where a sale stands in the till. Only completed and voided ones enter the CRM."""

    OPEN = "open"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    VOIDED = "voided"


class SaleLine(Record, frozen=True, kw_only=True):
    """One line. Quantity is negative for goods coming back; amounts are the till's, unrounded.

    `subtotal` is before discount, `discount` is what came off (line and
    transaction discount together), `total` is net of discount and with tax.
    """

    id: str
    product_id: str | None = None  # None: a miscellaneous line
    employee_id: str | None = None  # who sold it
    original_line_id: str | None = None
    quantity: Decimal
    unit_price: Decimal
    subtotal: Decimal
    discount: Decimal
    tax1: Decimal
    tax2: Decimal
    total: Decimal
    sku: str | None = None
    description: str | None = None
    category_id: str | None = None
    note: str | None = None
    gift_card: bool = False  # loads a gift card: money held, no revenue
    created_at: datetime | None = None
    changed_at: datetime | None = None


class Payment(Record, frozen=True, kw_only=True):
    """One tender of a sale. `amount` includes the tip and is negative when money goes back."""

    id: str
    amount: Decimal
    tip: Decimal
    tender: str
    tender_type: str  # cash, card, gift_card, credit_account, ecom, adjustment, other
    paid_at: datetime | None = None
    archived: bool = False  # taken back: counts nowhere
    credit_account_id: str | None = None


class Sale(Record, frozen=True, kw_only=True):
    """The till's document. `total` is with tax and negative for a refund.

    total = subtotal - discount + tax1 + tax2 for tax-exclusive stores. `due` is
    the total adjusted for gift-card and credit movements.
    """

    id: str
    ticket: str
    state: SaleState
    store_id: str
    register_id: str | None = None
    employee_id: str | None = None  # who rang it up
    customer_id: str | None = None  # None: a walk-in
    tax_inclusive: bool = False
    subtotal: Decimal
    discount: Decimal
    tax1: Decimal
    tax2: Decimal
    total: Decimal
    due: Decimal
    paid: Decimal
    tips: Decimal
    change: Decimal
    reference: str | None = None
    reference_source: str | None = None
    internal_note: str | None = None
    printed_note: str | None = None
    created_at: datetime
    completed_at: datetime | None = None
    changed_at: datetime
    lines: tuple[SaleLine, ...] = ()
    payments: tuple[Payment, ...] = ()


class SaleVoid(Record, frozen=True, kw_only=True):
    """The till's note that a sale was voided."""

    id: str
    sale_id: str
    reason: str | None = None
    created_at: datetime | None = None

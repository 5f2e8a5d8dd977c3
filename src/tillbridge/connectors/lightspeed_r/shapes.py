"""The forms of Lightspeed's JSON, and how a body is read into them.

Every scalar is a string; one row is an object, several are an array, none is a
missing key or "" (fact sheet, JSON conventions). The structs name the
documented spelling and are read at full speed; a body that does not fit them
(real numbers, other upper and lower case) is put right and read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")


class Unreadable(Exception):
    """The body is not the JSON of this resource. The text names the place, never the value."""


class NotJson(Unreadable):
    """The body is no answer at all: an error page, or half a body."""


def vendor_name(name: str) -> str:
    """Spell our field name their way: sale_id is saleID, calc_tax1 is calcTax1."""
    head, *rest = name.split("_")
    return head + "".join("ID" if part == "id" else part[:1].upper() + part[1:] for part in rest)


class Wire(msgspec.Struct, rename=vendor_name):
    """Base of their forms. A field without a default is one whose absence means we misread."""


# A plural wrapper holding "", one object or an array under the singular name.
Many: TypeAlias = T | list[T] | str | None


class WireItem(Wire):
    """An Item, from its own endpoint or within a line."""

    item_id: str
    system_sku: str | None = None
    custom_sku: str | None = None
    upc: str | None = None
    ean: str | None = None
    manufacturer_sku: str | None = None
    description: str | None = None
    item_type: str | None = None
    default_cost: str | None = None
    archived: str | None = None
    create_time: str | None = None
    time_stamp: str | None = None
    category_id: str | None = None
    category: WireCategory | str | None = msgspec.field(name="Category", default=None)
    manufacturer: WireManufacturer | str | None = msgspec.field(name="Manufacturer", default=None)
    item_shops: WireItemShops | str | None = msgspec.field(name="ItemShops", default=None)
    prices: WirePrices | str | None = msgspec.field(name="Prices", default=None)


class WireCategory(Wire):
    """A Category: a node in the tree of categories."""

    category_id: str | None = None
    name: str | None = None
    full_path_name: str | None = None


class WireManufacturer(Wire):
    """A Manufacturer."""

    name: str | None = None


class WireItemShop(Wire):
    """An ItemShop: what a shop holds of an item; shop "0" is the sum of all shops."""

    item_id: str
    shop_id: str
    qoh: str | None = None
    sellable: str | None = None
    reorder_point: str | None = None
    reorder_level: str | None = None
    time_stamp: str | None = None


class WireItemShops(Wire):
    """The wrapper ItemShops."""

    rows: Many[WireItemShop] = msgspec.field(name="ItemShop", default=None)


class WirePrice(Wire):
    """An ItemPrice."""

    amount: str | None = None
    use_type: str | None = None


class WirePrices(Wire):
    """The wrapper Prices."""

    rows: Many[WirePrice] = msgspec.field(name="ItemPrice", default=None)


class WireNote(Wire):
    """A Note, wherever it hangs."""

    note: str | None = None


class WireSaleAccount(Wire):
    """A SaleAccount: which payment moves which card or credit account, and on which line."""

    sale_line_id: str | None = None
    sale_payment_id: str | None = None
    credit_account_id: str | None = None


class WireSaleAccounts(Wire):
    """The wrapper SaleAccounts."""

    rows: Many[WireSaleAccount] = msgspec.field(name="SaleAccount", default=None)


class WireLine(Wire):
    """A SaleLine."""

    sale_line_id: str
    unit_quantity: str
    create_time: str | None = None
    time_stamp: str | None = None
    unit_price: str | None = None
    calc_line_discount: str | None = None
    calc_transaction_discount: str | None = None
    calc_total: str | None = None
    calc_subtotal: str | None = None
    calc_tax1: str | None = None
    calc_tax2: str | None = None
    employee_id: str | None = None
    item_id: str | None = None
    parent_sale_line_id: str | None = None
    item: WireItem | str | None = msgspec.field(name="Item", default=None)
    note: WireNote | str | None = msgspec.field(name="Note", default=None)
    sale_accounts: WireSaleAccounts | str | None = msgspec.field(name="SaleAccounts", default=None)


class WireLines(Wire):
    """The wrapper SaleLines."""

    rows: Many[WireLine] = msgspec.field(name="SaleLine", default=None)


class WirePaymentType(Wire):
    """A PaymentType. Its ids differ by account; its `type` does not."""

    name: str | None = None
    type: str | None = None


class WirePayment(Wire):
    """A SalePayment."""

    sale_payment_id: str
    amount: str
    tip_amount: str | None = None
    create_time: str | None = None
    archived: str | None = None
    payment_type_id: str | None = None
    credit_account_id: str | None = None
    payment_type: WirePaymentType | str | None = msgspec.field(name="PaymentType", default=None)


class WirePayments(Wire):
    """The wrapper SalePayments."""

    rows: Many[WirePayment] = msgspec.field(name="SalePayment", default=None)


class WireSaleNotes(Wire):
    """The wrapper SaleNotes."""

    internal: WireNote | str | None = msgspec.field(name="InternalNote", default=None)
    printed: WireNote | str | None = msgspec.field(name="PrintedNote", default=None)


class WireSale(Wire):
    """A Sale. The endpoint page spells updatetime, the tutorials updateTime."""

    sale_id: str
    completed: str
    voided: str
    archived: str
    shop_id: str
    time_stamp: str | None = None
    create_time: str | None = None
    updatetime: str | None = None
    update_time: str | None = None
    complete_time: str | None = None
    is_tax_inclusive: str | None = None
    ticket_number: str | None = None
    reference_number: str | None = None
    reference_number_source: str | None = None
    change: str | None = None
    calc_discount: str | None = None
    calc_total: str | None = None
    calc_subtotal: str | None = None
    calc_tax1: str | None = None
    calc_tax2: str | None = None
    calc_payments: str | None = None
    calc_tips: str | None = None
    total: str | None = None
    total_due: str | None = None
    customer_id: str | None = None
    employee_id: str | None = None
    register_id: str | None = None
    sale_lines: WireLines | str | None = msgspec.field(name="SaleLines", default=None)
    sale_payments: WirePayments | str | None = msgspec.field(name="SalePayments", default=None)
    sale_notes: WireSaleNotes | str | None = msgspec.field(name="SaleNotes", default=None)


class WireLineAlone(Wire):
    """A SaleLine read without its sale."""

    sale_line_id: str
    sale_id: str | None = None
    time_stamp: str | None = None


class WirePaymentAlone(Wire):
    """A SalePayment read without its sale; its body carries no timeStamp."""

    sale_payment_id: str
    sale_id: str | None = None
    create_time: str | None = None


class WireVoid(Wire):
    """A SaleVoid."""

    sale_void_id: str
    sale_id: str
    reason: str | None = None
    create_time: str | None = None


class WireAddress(Wire):
    """A ContactAddress."""

    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    state: str | None = None
    state_code: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None


class WireAddresses(Wire):
    """The wrapper Addresses."""

    rows: Many[WireAddress] = msgspec.field(name="ContactAddress", default=None)


class WirePhone(Wire):
    """A ContactPhone."""

    number: str | None = None
    use_type: str | None = None


class WirePhones(Wire):
    """The wrapper Phones."""

    rows: Many[WirePhone] = msgspec.field(name="ContactPhone", default=None)


class WireEmail(Wire):
    """A ContactEmail."""

    address: str | None = None
    use_type: str | None = None


class WireEmails(Wire):
    """The wrapper Emails."""

    rows: Many[WireEmail] = msgspec.field(name="ContactEmail", default=None)


class WireContact(Wire):
    """A Contact: how to reach somebody."""

    no_email: str | None = None
    no_phone: str | None = None
    no_mail: str | None = None
    addresses: WireAddresses | str | None = msgspec.field(name="Addresses", default=None)
    phones: WirePhones | str | None = msgspec.field(name="Phones", default=None)
    emails: WireEmails | str | None = msgspec.field(name="Emails", default=None)


class WireNamed(Wire):
    """Anything of which only the name matters here."""

    name: str | None = None


class WireCustomValue(Wire):
    """A CustomFieldValue. `value` is a text, or an object or several for choices."""

    custom_field_id: str | None = None
    name: str | None = None
    value: Any = None
    deleted: str | None = None


class WireCustomValues(Wire):
    """The wrapper CustomFieldValues."""

    rows: Many[WireCustomValue] = msgspec.field(name="CustomFieldValue", default=None)


class WireCustomer(Wire):
    """A Customer."""

    customer_id: str
    first_name: str | None = None
    last_name: str | None = None
    dob: str | None = None
    title: str | None = None
    company: str | None = None
    archived: str | None = None
    create_time: str | None = None
    time_stamp: str | None = None
    contact: WireContact | str | None = msgspec.field(name="Contact", default=None)
    customer_type: WireNamed | str | None = msgspec.field(name="CustomerType", default=None)
    note: WireNote | str | None = msgspec.field(name="Note", default=None)
    custom_values: WireCustomValues | str | None = msgspec.field(name="CustomFieldValues", default=None)
    # The shape of non-empty tags is nowhere documented; `_tags` reads every likely one.
    tags: Any = msgspec.field(name="Tags", default=None)


class WireTaxCategory(Wire):
    """A TaxCategory: whether the shop shows prices with tax."""

    is_tax_inclusive: str | None = None


class WireShop(Wire):
    """A Shop."""

    shop_id: str
    name: str | None = None
    time_zone: str | None = None
    archived: str | None = None
    tax_category: WireTaxCategory | str | None = msgspec.field(name="TaxCategory", default=None)


class WireRegister(Wire):
    """A Register."""

    register_id: str
    shop_id: str
    name: str | None = None


class WireEmployee(Wire):
    """An Employee."""

    employee_id: str
    first_name: str | None = None
    last_name: str | None = None
    lock_out: str | None = None
    archived: str | None = None


class WireAccountRow(Wire):
    """An account in the list of accounts."""

    account_id: str


class WireCurrency(Wire):
    """A currency of an account."""

    code: str | None = None


class WireAccount(Wire):
    """One account read by its id: flat, not wrapped (fact sheet, discovering the account)."""

    name: str
    default_currency: WireCurrency | str | None = None


class WirePaging(Wire):
    """The @attributes of a list. `next` is "" on the last page."""

    next: str | None = None


class Reader(Generic[T]):
    """Reads the pages of one resource into its structs."""

    def __init__(self, resource: str, row: type[T]) -> None:
        page = msgspec.defstruct(
            f"{resource}Page",
            [
                ("paging", WirePaging | str | None, msgspec.field(name="@attributes", default=None)),
                ("rows", row | list[row] | str | None, msgspec.field(name=resource, default=None)),  # type: ignore[valid-type]
            ],
        )
        self._decoder = msgspec.json.Decoder(page)
        self._page = page

    def read(self, body: bytes) -> tuple[list[T], str | None]:
        """Return the rows of a page and the address of the next one."""
        page = decoded(body, self._decoder, self._page)
        if page.paging is None and page.rows is None:
            # An empty list still has its @attributes; this may be an error under status 200.
            raise NotJson("the answer is no list")
        paging = page.paging if isinstance(page.paging, WirePaging) else WirePaging()
        return many(page.rows), paging.next or None


def decoded(body: bytes, decoder: msgspec.json.Decoder[Any], shape: Any) -> Any:
    """Read a body; one that is not spelt as documented is put right first."""
    try:
        return decoder.decode(body)
    except (msgspec.ValidationError, UnicodeDecodeError):
        pass  # Not as documented, but perhaps only spelt differently: below.
    except msgspec.DecodeError:
        raise NotJson("the answer is no JSON") from None
    try:
        # A broken letter in somebody's name must not hold up a hundred rows.
        found = _LOOSE.decode(body.decode("utf-8", "replace"))
    except msgspec.DecodeError:
        raise NotJson("the answer is no JSON") from None
    if not isinstance(found, dict):
        # "null" or "[]": every answer of theirs is an object, so this is not theirs, or an error under 200.
        raise NotJson("the answer is no object")
    try:
        return msgspec.convert(_put_right(found), shape)
    except msgspec.ValidationError as error:
        raise Unreadable(str(error)) from None


_LOOSE = msgspec.json.Decoder(float_hook=Decimal)


def _put_right(value: Any) -> Any:
    """Spell keys as documented and scalars as texts, all the way down."""
    match value:
        case dict():
            return {_spelling(key): _put_right(inner) for key, inner in value.items()}
        case []:
            return None  # An empty container, as PHP sometimes spells it.
        case list():
            return [_put_right(inner) for inner in value]
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case _:
            return value


def _spelling(key: str) -> str:
    """Return the documented spelling of a key; note and Note are both documented, so an exact one stays."""
    return key if key in _DOCUMENTED else _SPELLINGS.get(key.lower(), key)


def _all_structs(base: type[Wire]) -> Iterable[type[Wire]]:
    for found in base.__subclasses__():
        yield found
        yield from _all_structs(found)


def many(rows: Many[T]) -> list[T]:
    """Return 0, 1 or many rows as a list."""
    if rows is None or isinstance(rows, str):
        return []
    return rows if isinstance(rows, list) else [rows]


_DOCUMENTED = frozenset(name for struct in _all_structs(Wire) for name in struct.__struct_encode_fields__)
_SPELLINGS = {name.lower(): name for name in sorted(_DOCUMENTED)} | {"salesaccounts": "SaleAccounts"}

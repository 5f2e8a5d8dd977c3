"""Turn Lightspeed's rows into records. Everything odd about their meaning ends here.

"0" is no reference, "false" is a non-empty string, money is a decimal text, a
void takes completed back, a gift card sold is a line worth nothing. How the
JSON itself looks is in `shapes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from html import unescape
from typing import Any, Generic, TypeVar

import msgspec

from tillbridge.connectors.lightspeed_r.shapes import (
    Reader,
    Unreadable,
    WireAccount,
    WireAccountRow,
    WireAddresses,
    WireCategory,
    WireContact,
    WireCurrency,
    WireCustomer,
    WireCustomValues,
    WireEmails,
    WireEmployee,
    WireItem,
    WireItemShop,
    WireItemShops,
    WireLine,
    WireLineAlone,
    WireLines,
    WireManufacturer,
    WireNamed,
    WireNote,
    WirePayment,
    WirePaymentAlone,
    WirePayments,
    WirePaymentType,
    WirePhones,
    WirePrices,
    WireRegister,
    WireSale,
    WireSaleAccounts,
    WireSaleNotes,
    WireShop,
    WireTaxCategory,
    WireVoid,
    decoded,
    many,
)
from tillbridge.model.reading import SaleChild
from tillbridge.model.records import (
    Address,
    Customer,
    Email,
    Employee,
    Payment,
    Phone,
    Product,
    Register,
    Sale,
    SaleLine,
    SaleState,
    SaleVoid,
    Stock,
    Store,
)

T = TypeVar("T")
R = TypeVar("R")

ZERO = Decimal(0)

# More than any sum of money has; a number written 1E+999999 would fill the memory.
DIGITS_MAX = 24

TENDER_TYPES = {
    "cash": "cash",
    "credit card": "card",
    "gift card": "gift_card",
    "credit account": "credit_account",
    "ecom": "ecom",
    "adjustment": "adjustment",
    "user defined": "other",
}

# https://developers.lightspeedhq.com/retail/endpoints/Customer/: one slot for each use.
PHONE_USES = {"home": "home", "work": "work", "mobile": "mobile", "pager": "pager", "fax": "fax"}


class Listing(msgspec.Struct, Generic[R], frozen=True):
    """One page as read: its records, the newest change stamp, and the address of the next page."""

    rows: list[R]
    high: datetime | None
    next: str | None


def text(value: str | None) -> str | None:
    """Return a text that says something, or None. A few bodies carry HTML entities."""
    if not value:
        return None
    if "&" in value:
        value = _ENTITY.sub(lambda found: unescape(found[0]), value)
    return value.strip() or None


_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|#\d{1,6}|#x[0-9a-fA-F]{1,5});")


def reference(value: str | None) -> str | None:
    """Return an id, or None: a foreign key of "0" points nowhere."""
    return value if value and value != "0" else None


def flag(value: str | None) -> bool:
    """Read a boolean; "false" is a non-empty string."""
    return value is not None and value.lower() in {"true", "1"}


def number(value: str | None) -> Decimal | None:
    """Read an exact number; scientific notation occurs for huge ones."""
    if not value:
        return None
    if value == "0":
        return ZERO
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise Unreadable("a number in the answer cannot be read") from None
    if not found:
        return ZERO  # "-0" and "0.00" say the same.
    return found if value.lower() == value.upper() else _plain(found)


def _plain(found: Decimal) -> Decimal:
    """Write out scientific notation: 1E+3 and 1000 are equal, but only one of them prints as money."""
    if not found.is_finite() or abs(found.adjusted()) > DIGITS_MAX:
        raise Unreadable("a number in the answer cannot be read")
    return Decimal(f"{found:f}")


def amount(value: str | None) -> Decimal:
    """Read a sum of money or a quantity of which nothing said means none."""
    return number(value) or ZERO


def moment(value: str | None) -> datetime | None:
    """Read a time as aware UTC. "0000-00-00..." and "" are no times."""
    if not value or value.startswith("0000"):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise Unreadable("a time in the answer cannot be read") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _note(note: WireNote | str | None) -> str | None:
    return text(note.note) if isinstance(note, WireNote) else None


def sale_state(*, completed: bool, voided: bool, archived: bool) -> SaleState:
    """Tell where a sale stands. A void sets completed back to false, so it is asked first."""
    if voided:
        return SaleState.VOIDED
    if completed:
        return SaleState.COMPLETED
    return SaleState.CANCELLED if archived else SaleState.OPEN


def _sale(wire: WireSale) -> Sale:
    state = sale_state(completed=flag(wire.completed), voided=flag(wire.voided), archived=flag(wire.archived))
    stamp = moment(wire.time_stamp)
    created = moment(wire.create_time) or stamp
    changed = moment(wire.updatetime or wire.update_time) or stamp or created
    if created is None or changed is None:
        raise Unreadable("a sale carries no time at all")
    completed = moment(wire.complete_time)
    if completed is None and state in {SaleState.COMPLETED, SaleState.VOIDED}:
        # completeTime is younger than the API; timeStamp is documented as frozen at completion.
        completed = stamp or created
    lines = many(wire.sale_lines.rows) if isinstance(wire.sale_lines, WireLines) else []
    payments = many(wire.sale_payments.rows) if isinstance(wire.sale_payments, WirePayments) else []
    notes = wire.sale_notes if isinstance(wire.sale_notes, WireSaleNotes) else WireSaleNotes()
    read_payments = tuple(_payment(payment) for payment in payments)
    loading = gift_card_lines(lines, read_payments, voided=state is SaleState.VOIDED)
    total = amount(wire.total or wire.calc_total)
    due = number(wire.total_due)
    return Sale(
        id=wire.sale_id,
        ticket=text(wire.ticket_number) or f"22{wire.sale_id:0>10}",
        state=state,
        store_id=wire.shop_id,
        register_id=reference(wire.register_id),
        employee_id=reference(wire.employee_id),
        customer_id=reference(wire.customer_id),
        tax_inclusive=flag(wire.is_tax_inclusive),
        subtotal=amount(wire.calc_subtotal),
        discount=amount(wire.calc_discount),
        tax1=amount(wire.calc_tax1),
        tax2=amount(wire.calc_tax2),
        total=total,
        due=total if due is None else due,
        paid=amount(wire.calc_payments),
        tips=amount(wire.calc_tips),
        change=amount(wire.change),
        reference=text(wire.reference_number),
        reference_source=text(wire.reference_number_source),
        internal_note=_note(notes.internal),
        printed_note=_note(notes.printed),
        created_at=created,
        completed_at=completed,
        changed_at=changed,
        lines=tuple(_line(line, loads_card=line.sale_line_id in loading) for line in lines),
        payments=read_payments,
    )


def _line(wire: WireLine, *, loads_card: bool) -> SaleLine:
    item = wire.item if isinstance(wire.item, WireItem) else None
    note = _note(wire.note)
    return SaleLine(
        id=wire.sale_line_id,
        product_id=reference(wire.item_id),
        employee_id=reference(wire.employee_id),
        original_line_id=reference(wire.parent_sale_line_id),
        quantity=amount(wire.unit_quantity),
        unit_price=amount(wire.unit_price),
        subtotal=amount(wire.calc_subtotal),
        discount=amount(wire.calc_line_discount) + amount(wire.calc_transaction_discount),
        tax1=amount(wire.calc_tax1),
        tax2=amount(wire.calc_tax2),
        total=amount(wire.calc_total),
        sku=text(item.system_sku) if item else None,
        # A miscellaneous line is described by its note alone.
        description=(text(item.description) if item else None) or note,
        category_id=reference(item.category_id) if item else None,
        note=note,
        gift_card=loads_card,
        created_at=moment(wire.create_time),
        changed_at=moment(wire.time_stamp),
    )


def _payment(wire: WirePayment) -> Payment:
    kind = wire.payment_type if isinstance(wire.payment_type, WirePaymentType) else WirePaymentType()
    return Payment(
        id=wire.sale_payment_id,
        amount=amount(wire.amount),
        tip=amount(wire.tip_amount),
        tender=text(kind.name) or f"Payment type {wire.payment_type_id or '0'}",
        tender_type=TENDER_TYPES.get((kind.type or "").strip().lower(), "other"),
        paid_at=moment(wire.create_time),
        archived=flag(wire.archived),
        credit_account_id=reference(wire.credit_account_id),
    )


def gift_card_lines(lines: list[WireLine], payments: tuple[Payment, ...], *, voided: bool) -> set[str]:
    """Name the lines that load a gift card.

    A card is sold as a miscellaneous line at price 0 while a gift-card payment of
    minus its value and the customer's tender of plus its value balance each
    other (fact sheet, sale semantics; the note that once marked the line is gone
    since 2023-08). Goods may be on the same sale. Money given back onto a card,
    for returned goods, is such a payment too, but has no line of its own. A void
    archives the payments; before the void they counted.
    """
    loads = [
        payment
        for payment in payments
        if payment.tender_type == "gift_card" and payment.amount < 0 and (voided or not payment.archived)
    ]
    if not loads:
        return set()
    bare = [line for line in lines if _is_bare(line)]
    # Where the sale itself says which line moves which card, that decides.
    accounts = {payment.credit_account_id for payment in loads} - {None}
    named = {line.sale_line_id for line in bare if accounts & _cards_moved_by(line)}
    # Otherwise as many bare lines as cards were loaded, those that speak of a gift first; all are worth 0.
    bare.sort(
        key=lambda line: (
            "gift" not in (_note(line.note) or "").lower(),
            len(line.sale_line_id),
            line.sale_line_id,
        )
    )
    return named or {line.sale_line_id for line in bare[: len(loads)]}


def _is_bare(line: WireLine) -> bool:
    """Tell whether a line sells no product and costs nothing."""
    return (
        reference(line.item_id) is None
        and reference(line.parent_sale_line_id) is None
        and amount(line.unit_quantity) > 0
        and amount(line.unit_price) == 0
        and amount(line.calc_total) == 0
    )


def _cards_moved_by(line: WireLine) -> set[str | None]:
    accounts = line.sale_accounts
    rows = many(accounts.rows) if isinstance(accounts, WireSaleAccounts) else []
    return {reference(row.credit_account_id) for row in rows} - {None}


def _void(wire: WireVoid) -> SaleVoid:
    return SaleVoid(
        id=wire.sale_void_id,
        sale_id=wire.sale_id,
        reason=text(wire.reason),
        created_at=moment(wire.create_time),
    )


def _line_alone(wire: WireLineAlone) -> SaleChild:
    return SaleChild(
        id=wire.sale_line_id, sale_id=reference(wire.sale_id), changed_at=moment(wire.time_stamp)
    )


def _payment_alone(wire: WirePaymentAlone) -> SaleChild:
    return SaleChild(
        id=wire.sale_payment_id, sale_id=reference(wire.sale_id), changed_at=moment(wire.create_time)
    )


def _customer(wire: WireCustomer) -> Customer:
    contact = wire.contact if isinstance(wire.contact, WireContact) else WireContact()
    kind = wire.customer_type
    first, last = text(wire.first_name), text(wire.last_name)
    return Customer(
        id=wire.customer_id,
        first_name=first,
        last_name=last,
        company=text(wire.company),
        title=text(wire.title),
        type=text(kind.name) if isinstance(kind, WireNamed) else None,
        birth_midnight=moment(wire.dob),
        emails=_emails(contact),
        phones=_phones(contact),
        address=_address(contact),
        no_email=flag(contact.no_email),
        no_phone=flag(contact.no_phone),
        no_mail=flag(contact.no_mail),
        custom=_custom(wire.custom_values),
        tags=_tags(wire.tags),
        note=_note(wire.note),
        archived=flag(wire.archived),
        created_at=moment(wire.create_time),
        changed_at=moment(wire.time_stamp),
    )


def _emails(contact: WireContact) -> tuple[Email, ...]:
    rows = many(contact.emails.rows) if isinstance(contact.emails, WireEmails) else []
    found = (
        Email("secondary" if (row.use_type or "").lower() == "secondary" else "primary", address)
        for row in rows
        if (address := text(row.address))
    )
    return tuple(sorted(found, key=lambda email: email.use))


def _phones(contact: WireContact) -> tuple[Phone, ...]:
    rows = many(contact.phones.rows) if isinstance(contact.phones, WirePhones) else []
    found = (
        Phone(PHONE_USES[use], digits)  # type: ignore[arg-type]  # the keys are the values
        for row in rows
        if (digits := text(row.number)) and (use := (row.use_type or "").lower()) in PHONE_USES
    )
    return tuple(sorted(found, key=lambda phone: list(PHONE_USES).index(phone.use)))


def _address(contact: WireContact) -> Address | None:
    """Return the first address that says anything: an all-empty one stands for none."""
    rows = many(contact.addresses.rows) if isinstance(contact.addresses, WireAddresses) else []
    for row in rows:
        found = Address(
            street=text(row.address1),
            street2=text(row.address2),
            city=text(row.city),
            state=text(row.state),
            state_code=text(row.state_code),
            zip=text(row.zip),
            country=text(row.country),
            country_code=text(row.country_code),
        )
        if found != Address():
            return found
    return None


def _custom(values: WireCustomValues | str | None) -> dict[str, str]:
    rows = many(values.rows) if isinstance(values, WireCustomValues) else []
    read = ((text(row.name), _custom_value(row.value)) for row in rows if not flag(row.deleted))
    return {name: value for name, value in read if name and value}


def _custom_value(value: Any) -> str | None:
    """Read a value: a text, a chosen entry with its name, or several of them."""
    match value:
        case str():
            return text(value)
        case dict():
            inner = value.get("name") or value.get("value") or next(iter(value.values()), None)
            return _custom_value(inner)
        case list():
            return "; ".join(read for entry in value if (read := _custom_value(entry))) or None
        case None | bool():
            return None if value is None else str(value).lower()
        case _:
            return str(value)


def _tags(value: Any) -> tuple[str, ...]:
    """Read the tags: names, or objects with a name, one or many, under any wrapper."""
    match value:
        case dict():
            inner = next((value[key] for key in ("tag", "Tag", "name") if key in value), None)
            return _tags(inner)
        case list():
            return tuple(dict.fromkeys(name for entry in value for name in _tags(entry)))
        case str():
            name = text(value)
            return (name,) if name else ()
        case _:
            return ()


def _product(wire: WireItem) -> tuple[Product, tuple[Stock, ...]]:
    prices = many(wire.prices.rows) if isinstance(wire.prices, WirePrices) else []
    by_use = {(price.use_type or "").lower(): number(price.amount) for price in prices}
    sku = text(wire.system_sku) or f"21{wire.item_id:0>10}"
    product = Product(
        id=wire.item_id,
        system_sku=sku,
        custom_sku=text(wire.custom_sku),
        upc=text(wire.upc),
        ean=text(wire.ean),
        maker_sku=text(wire.manufacturer_sku),
        description=text(wire.description) or sku,
        category=_path(wire.category),
        maker=text(wire.manufacturer.name) if isinstance(wire.manufacturer, WireManufacturer) else None,
        price=by_use.get("default"),
        list_price=by_use.get("msrp"),
        cost=number(wire.default_cost),
        kind=text(wire.item_type) or "default",
        archived=flag(wire.archived),
        created_at=moment(wire.create_time),
        changed_at=moment(wire.time_stamp),
    )
    shops = many(wire.item_shops.rows) if isinstance(wire.item_shops, WireItemShops) else []
    return product, tuple(_stock(shop) for shop in shops if reference(shop.shop_id))


def _path(category: WireCategory | str | None) -> str | None:
    if not isinstance(category, WireCategory):
        return None
    return text(category.full_path_name) or text(category.name)


def _stock(wire: WireItemShop) -> Stock:
    return Stock(
        product_id=wire.item_id,
        store_id=wire.shop_id,
        on_hand=amount(wire.qoh),
        sellable=number(wire.sellable),
        reorder_point=number(wire.reorder_point),
        reorder_level=number(wire.reorder_level),
        changed_at=moment(wire.time_stamp),
    )


def _store(wire: WireShop) -> Store:
    tax = wire.tax_category
    return Store(
        id=wire.shop_id,
        name=text(wire.name) or f"Shop {wire.shop_id}",
        time_zone=text(wire.time_zone) or "UTC",
        tax_inclusive=isinstance(tax, WireTaxCategory) and flag(tax.is_tax_inclusive),
        archived=flag(wire.archived),
    )


def _register(wire: WireRegister) -> Register:
    return Register(
        id=wire.register_id, name=text(wire.name) or f"Register {wire.register_id}", store_id=wire.shop_id
    )


def _category_path(wire: WireCategory) -> tuple[str, str]:
    category_id = wire.category_id or ""
    return category_id, text(wire.full_path_name) or text(wire.name) or f"Category {category_id}"


def _employee(wire: WireEmployee) -> Employee:
    return Employee(
        id=wire.employee_id,
        first_name=text(wire.first_name),
        last_name=text(wire.last_name),
        active=not flag(wire.archived) and not flag(wire.lock_out),
    )


_SALES = Reader("Sale", WireSale)
_VOIDS = Reader("SaleVoid", WireVoid)
_LINES = Reader("SaleLine", WireLineAlone)
_PAYMENTS = Reader("SalePayment", WirePaymentAlone)
_CUSTOMERS = Reader("Customer", WireCustomer)
_ITEMS = Reader("Item", WireItem)
_ITEM_SHOPS = Reader("ItemShop", WireItemShop)
_SHOPS = Reader("Shop", WireShop)
_REGISTERS = Reader("Register", WireRegister)
_EMPLOYEES = Reader("Employee", WireEmployee)
_CATEGORIES = Reader("Category", WireCategory)
_ACCOUNTS = Reader("Account", WireAccountRow)
_ACCOUNT = msgspec.json.Decoder(WireAccount)


def _listing(
    reader: Reader[T], body: bytes, convert: Callable[[T], R], stamp: Callable[[T], str | None]
) -> Listing[R]:
    rows, following = reader.read(body)
    stamps = [found for row in rows if (found := moment(stamp(row)))]
    return Listing([convert(row) for row in rows], max(stamps, default=None), following)


def read_sales(body: bytes) -> Listing[Sale]:
    """Read a page of sales; the stamp is updatetime."""
    return _listing(_SALES, body, _sale, lambda row: row.updatetime or row.update_time or row.time_stamp)


def read_sales_by_time_stamp(body: bytes) -> Listing[Sale]:
    """Read a page of sales; the stamp is timeStamp, for accounts that refuse updatetime."""
    return _listing(_SALES, body, _sale, lambda row: row.time_stamp)


def read_voids(body: bytes) -> Listing[SaleVoid]:
    """Read a page of void notes."""
    return _listing(_VOIDS, body, _void, lambda row: row.create_time)


def read_lines(body: bytes) -> Listing[SaleChild]:
    """Read a page of lines without their sales."""
    return _listing(_LINES, body, _line_alone, lambda row: row.time_stamp)


def read_payments(body: bytes) -> Listing[SaleChild]:
    """Read a page of payments without their sales."""
    return _listing(_PAYMENTS, body, _payment_alone, lambda row: row.create_time)


def read_customers(body: bytes) -> Listing[Customer]:
    """Read a page of customers."""
    return _listing(_CUSTOMERS, body, _customer, lambda row: row.time_stamp)


class Written(msgspec.Struct, frozen=True):
    """One customer as an answer to it shows it: a write's echo need not hold the contact.

    `field_ids` are those of custom fields that hold a value.
    """

    customer: Customer
    has_contact: bool
    field_ids: tuple[str, ...]


def read_customer(body: bytes) -> Written:
    """Read one customer from an answer to it alone."""
    rows, _ = _CUSTOMERS.read(body)
    if len(rows) != 1:
        raise Unreadable(f"one customer was expected, not {len(rows)}")
    values = rows[0].custom_values
    held = many(values.rows) if isinstance(values, WireCustomValues) else []
    ids = tuple(row.custom_field_id for row in held if row.custom_field_id and not flag(row.deleted))
    return Written(_customer(rows[0]), isinstance(rows[0].contact, WireContact), ids)


def with_echo(customer: Customer, echo: Customer) -> Customer:
    """Return a customer as a write's echo shows it; what an echo leaves out is as it was read before."""
    return msgspec.structs.replace(
        customer,
        first_name=echo.first_name,
        last_name=echo.last_name,
        company=echo.company,
        title=echo.title,
        birth_midnight=echo.birth_midnight,
        emails=echo.emails,
        phones=echo.phones,
        address=echo.address,
        no_email=echo.no_email,
        no_phone=echo.no_phone,
        no_mail=echo.no_mail,
        archived=echo.archived,
        changed_at=echo.changed_at,
    )


def read_products(body: bytes) -> Listing[tuple[Product, tuple[Stock, ...]]]:
    """Read a page of items, each with its stock in the shops."""
    return _listing(_ITEMS, body, _product, lambda row: row.time_stamp)


def read_stock(body: bytes) -> Listing[Stock]:
    """Read a page of stock rows. The all-shops totals are left out, but their stamps count."""
    rows, following = _ITEM_SHOPS.read(body)
    stamps = [found for row in rows if (found := moment(row.time_stamp))]
    kept = [_stock(row) for row in rows if reference(row.shop_id)]
    return Listing(kept, max(stamps, default=None), following)


def read_stores(body: bytes) -> Listing[Store]:
    """Read a page of shops."""
    return _listing(_SHOPS, body, _store, lambda _: None)


def read_registers(body: bytes) -> Listing[Register]:
    """Read a page of registers."""
    return _listing(_REGISTERS, body, _register, lambda _: None)


def read_categories(body: bytes) -> Listing[tuple[str, str]]:
    """Read a page of categories: id and full path."""
    return _listing(_CATEGORIES, body, _category_path, lambda _: None)


def read_employees(body: bytes) -> Listing[Employee]:
    """Read a page of employees."""
    return _listing(_EMPLOYEES, body, _employee, lambda _: None)


def read_account_ids(body: bytes) -> list[str]:
    """Read the ids of the accounts that the token belongs to: one, in practice."""
    return [row.account_id for row in _ACCOUNTS.read(body)[0]]


class AccountFacts(msgspec.Struct, frozen=True):
    """What an account says of itself."""

    name: str | None
    currency: str


class _Counted(msgspec.Struct):
    count: str | int


class _Count(msgspec.Struct):
    attributes: _Counted = msgspec.field(name="@attributes")


def read_count(body: bytes) -> int:
    """Read how many rows there are; it comes as text (fact sheet A4)."""
    try:
        return int(msgspec.json.decode(body, type=_Count).attributes.count)
    except (msgspec.ValidationError, ValueError):
        raise Unreadable("a count in the answer cannot be read") from None


def read_account(body: bytes) -> AccountFacts:
    """Read one account."""
    wire: WireAccount = decoded(body, _ACCOUNT, WireAccount)
    currency = wire.default_currency
    code = text(currency.code) if isinstance(currency, WireCurrency) else None
    if code is None:
        raise Unreadable("the account names no currency")
    return AccountFacts(text(wire.name), code)

"""What a sale means: its type, its revenue, its business day, its channel, who sold it.

Facts are derived from the till's document alone, as flat attributes that the
field map reads. What a reader would get wrong: the type is told by lines and
payments, never by the sign of the total (an exchange may be negative, a gift
card sold totals zero); revenue is the total without tax whatever the shop's
tax mode; and a void keeps its rows but writes 0 to every number on them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

import msgspec

from tillbridge.model.money import ZERO, cents, distribute
from tillbridge.model.records import Kind, Payment, Sale, SaleLine, SaleState, SaleVoid, Store
from tillbridge.model.times import MIDNIGHT, business_date

SaleType = Literal["Sale", "Refund", "Exchange", "Gift Card", "Deposit"]
RefKind = Literal[
    Kind.STORE, Kind.EMPLOYEE, Kind.PRODUCT, Kind.STOCK, Kind.CUSTOMER, Kind.SALE, "line", "sale_of_line"
]

ECOM_REGISTER = "eCom"  # The till's own name for its web shop's register (fact sheet A10).
NIL = cents(ZERO)
ONE = Decimal(1)


class Ref(msgspec.Struct, frozen=True):
    """Another record, by the till's id. The engine turns it into a CRM id, a key, or nothing yet.

    "line" is a sale line; "sale_of_line" the sale that holds the line of that id.
    """

    kind: RefKind
    id: str


class BuyerStanding(msgspec.Struct, frozen=True):
    """How the buyer stands in the CRM, in a word. The engine knows; None: a walk-in."""

    customer_id: str | None


class RateTable:
    """What one unit of a currency was worth in the reporting currency, day by day."""

    def __init__(self, reporting_currency: str, rates: Mapping[str, Mapping[date, Decimal]]) -> None:
        self.reporting_currency = reporting_currency
        self._days = {currency: sorted(by_day) for currency, by_day in rates.items()}
        self._rates = {
            currency: [by_day[day] for day in sorted(by_day)] for currency, by_day in rates.items()
        }

    def rate(self, currency: str, day: date) -> Decimal | None:
        """Return the rate that held on that day: the newest set on or before it; None before the first."""
        if currency == self.reporting_currency:
            return ONE
        at = bisect_right(self._days.get(currency, []), day)
        return self._rates[currency][at - 1] if at else None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a sale's facts depend on beside the sale: settings, and the small tables of the account."""

    currency: str
    stores: Mapping[str, Store]
    registers: Mapping[str, str] = {}  # register id -> name
    categories: Mapping[str, str] = {}  # category id -> full path
    store_codes: Mapping[str, str] = {}  # store id -> code; a store without one is called by its id
    day_starts_at: time = MIDNIGHT
    rates: RateTable | None = None  # None: reports are in the account's own currency

    def store_code(self, store_id: str) -> str:
        """Return the code that reports and sharing rules know the store by."""
        return self.store_codes.get(store_id, store_id)


class LineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One line, in cents that add up to its sale."""

    id: str
    sale: Ref
    type: Literal["Product", "Miscellaneous", "Gift Card"]
    product: Ref | None
    salesperson: Ref | None
    original_line: Ref | None
    customer: Ref | None
    store: Ref
    sku: str | None
    description: str | None
    category: str | None
    quantity: Decimal
    unit_price: Decimal
    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    total: Decimal
    net_sales: Decimal
    gift_card: bool
    note: str | None
    store_code: str
    business_date: date
    currency: str
    position: int


class PaymentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One tender."""

    id: str
    sale: Ref
    tender: str
    tender_type: str
    amount: Decimal
    tip: Decimal
    paid_at: datetime | None
    store_code: str
    business_date: date
    currency: str


class SaleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The document, with its lines and its payments."""

    id: str
    ticket: str
    status: Literal["Completed", "Voided"]
    type: SaleType
    completed_at: datetime
    business_date: date
    currency: str
    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    tax1: Decimal
    tax2: Decimal
    tax_inclusive: bool
    total: Decimal
    net_sales: Decimal
    reporting_currency: str
    reporting_net_sales: Decimal | None
    reporting_rate: Decimal | None
    paid: Decimal
    due: Decimal
    tips: Decimal
    change: Decimal
    voided_total: Decimal | None
    voided_at: datetime | None
    void_reason: str | None
    gift_cards_sold: Decimal  # money held for whoever holds the card
    deposits: Decimal  # money put on the customer's credit account
    units: Decimal
    register: str | None
    channel: str
    store_code: str
    store: Ref
    cashier: Ref | None
    salesperson: Ref | None
    customer: Ref | None
    customer_status: BuyerStanding
    original_sale: Ref | None
    internal_note: str | None
    printed_note: str | None
    notes: str | None
    reference: str | None
    reference_source: str | None
    history: bool
    lines: tuple[LineFacts, ...]
    payments: tuple[PaymentFacts, ...]


def lands(sale: Sale) -> bool:
    """Say whether the sale belongs in the CRM: open and cancelled ones do not."""
    return sale.state is SaleState.COMPLETED or sale.state is SaleState.VOIDED


def sale_facts(
    sale: Sale,
    around: Surroundings,
    *,
    history: bool = False,
    void: SaleVoid | None = None,
    alone: bool = False,
) -> SaleFacts:
    """Derive everything the field map may read of a sale that lands; `void` is the till's note, if known.

    `alone` leaves its lines and payments out, for whoever asks for them apart or not at all.
    """
    voided = sale.state is SaleState.VOIDED
    day = _day(sale, around)
    tax1, tax2 = cents(sale.tax1), cents(sale.tax2)
    net = NIL if voided else net_sales(sale)
    rate = around.rates.rate(around.currency, day) if around.rates else ONE
    register = around.registers.get(sale.register_id) if sale.register_id else None
    live = _nil if voided else cents
    originals = (line.original_line_id for line in sale.lines if line.original_line_id)
    return SaleFacts(
        id=sale.id,
        ticket=sale.ticket,
        status="Voided" if voided else "Completed",
        type=sale_type(sale),
        completed_at=_completed_at(sale),
        business_date=day,
        currency=around.currency,
        subtotal=live(sale.subtotal),
        discount=live(sale.discount),
        tax=live(tax1 + tax2),
        tax1=live(tax1),
        tax2=live(tax2),
        tax_inclusive=sale.tax_inclusive,
        total=live(sale.total),
        net_sales=net,
        reporting_currency=around.rates.reporting_currency if around.rates else around.currency,
        reporting_net_sales=None if rate is None else cents(net * rate),
        reporting_rate=rate,
        paid=live(sale.paid),
        due=live(sale.due),
        tips=live(sale.tips),
        change=live(sale.change),
        voided_total=cents(sale.total) if voided else None,
        voided_at=void.created_at if void else None,
        void_reason=void.reason if void else None,
        gift_cards_sold=NIL if voided else cents(_put_on(sale, "gift_card") + _cards_priced(sale)),
        deposits=NIL if voided else cents(_put_on(sale, "credit_account")),
        units=ZERO if voided else sum((line.quantity for line in sale.lines), ZERO),
        register=register,
        channel=channel(sale, register),
        store_code=around.store_code(sale.store_id),
        store=Ref(Kind.STORE, sale.store_id),
        cashier=_ref(Kind.EMPLOYEE, sale.employee_id),
        salesperson=_ref(Kind.EMPLOYEE, salesperson(sale)),
        customer=_ref(Kind.CUSTOMER, sale.customer_id),
        customer_status=BuyerStanding(sale.customer_id),
        original_sale=_ref("sale_of_line", next(originals, None)),
        internal_note=sale.internal_note,
        printed_note=sale.printed_note,
        notes="\n".join(filter(None, (sale.printed_note, sale.internal_note))) or None,
        reference=sale.reference,
        reference_source=sale.reference_source,
        history=history,
        lines=() if alone else line_facts(sale, around),
        payments=() if alone else payment_facts(sale, around),
    )


def sale_type(sale: Sale) -> SaleType:
    """Tell what was done, from lines and payments.

    Goods decide first: a gift card sold together with goods is a sale. Where
    no goods moved, the stored value that moved decides.
    """
    goods = [line for line in sale.lines if _is_goods(line)]
    back = any(line.quantity < 0 for line in goods)
    out = any(line.quantity > 0 for line in goods)
    if back:
        return "Exchange" if out else "Refund"
    if out:
        return "Sale"
    # Voiding archives a sale's payments; they still tell what kind of sale it was.
    tenders = {p.tender_type for p in sale.payments if not p.archived or sale.state is SaleState.VOIDED}
    if "gift_card" in tenders or any(line.gift_card for line in sale.lines):
        return "Gift Card"
    return "Deposit" if "credit_account" in tenders else "Sale"


def net_sales(sale: Sale) -> Decimal:
    """Return the revenue: the total without its tax and without gift cards loaded, in either tax mode."""
    net = sale.total - sale.tax1 - sale.tax2
    for line in sale.lines:
        if line.gift_card:
            net -= line.total - line.tax1 - line.tax2
    return cents(net)


def salesperson(sale: Sale) -> str | None:
    """Return who sold most of it, by value; without sellers on the lines, who rang it up."""
    sold: dict[str, Decimal] = {}
    for line in sale.lines:
        if line.employee_id:
            sold[line.employee_id] = sold.get(line.employee_id, ZERO) + abs(line.total)
    return max(sold, key=sold.__getitem__) if sold else sale.employee_id


def channel(sale: Sale, register: str | None) -> str:
    """Return where it was bought: the source that the till names, the web shop, or the store."""
    if sale.reference_source:
        return sale.reference_source
    return ECOM_REGISTER if register == ECOM_REGISTER else "Store"


def _put_on(sale: Sale, tender_type: str) -> Decimal:
    """Sum what was loaded: the till books it as a negative payment of that tender (fact sheet A9)."""
    return -sum(
        (p.amount for p in sale.payments if p.tender_type == tender_type and p.amount < 0 and not p.archived),
        ZERO,
    )


def _cards_priced(sale: Sale) -> Decimal:
    # This till sells gift cards at no price; others put the money on the line.
    return sum((line.total for line in sale.lines if line.gift_card), ZERO)


def _nil(_: Decimal) -> Decimal:
    """Return what a void leaves of an amount."""
    return NIL


def _is_goods(line: SaleLine) -> bool:
    # Loads of cards and deposits come with a miscellaneous line of no price (fact sheet A9).
    return not line.gift_card and (line.product_id is not None or bool(line.subtotal))


def _completed_at(sale: Sale) -> datetime:
    # A voided sale that never told when it was completed stands on the day it was begun.
    return sale.completed_at or sale.created_at


def _day(sale: Sale, around: Surroundings) -> date:
    store = around.stores.get(sale.store_id)
    # A store we have not read yet: its sale waits for it anyway, and comes again with the right day.
    return business_date(_completed_at(sale), store.time_zone if store else "UTC", around.day_starts_at)


def _ref(kind: RefKind, record_id: str | None) -> Ref | None:
    return Ref(kind, record_id) if record_id else None


def line_facts(sale: Sale, around: Surroundings) -> tuple[LineFacts, ...]:
    """Derive a sale's lines, in cents that add up to it."""
    lines = sale.lines
    if not lines:
        return ()
    voided = sale.state is SaleState.VOIDED
    day = _day(sale, around)
    amounts: Sequence[tuple[Decimal, ...]]
    if voided:
        amounts = [(NIL,) * 5] * len(lines)
    else:
        amounts = list(
            zip(
                *(
                    _shares(sale.subtotal, [line.subtotal for line in lines]),
                    _shares(sale.discount, [line.discount for line in lines]),
                    _shares(sale.tax1 + sale.tax2, [line.tax1 + line.tax2 for line in lines]),
                    _shares(sale.total, [line.total for line in lines]),
                    distribute(
                        net_sales(sale), [ZERO if x.gift_card else x.total - x.tax1 - x.tax2 for x in lines]
                    ),
                ),
                strict=True,
            )
        )
    store_code = around.store_code(sale.store_id)
    whole, store, customer = (
        Ref(Kind.SALE, sale.id),
        Ref(Kind.STORE, sale.store_id),
        _ref(Kind.CUSTOMER, sale.customer_id),
    )
    return tuple(
        LineFacts(
            id=line.id,
            sale=whole,
            type="Gift Card" if line.gift_card else "Product" if line.product_id else "Miscellaneous",
            product=_ref(Kind.PRODUCT, line.product_id),
            salesperson=_ref(Kind.EMPLOYEE, line.employee_id or sale.employee_id),
            original_line=_ref("line", line.original_line_id),
            customer=customer,
            store=store,
            sku=line.sku,
            description=_description(line),
            category=around.categories.get(line.category_id) if line.category_id else None,
            quantity=ZERO if voided else line.quantity,
            unit_price=NIL if voided else cents(line.unit_price),
            subtotal=subtotal,
            discount=discount,
            tax=tax,
            total=total,
            net_sales=net_share,
            gift_card=line.gift_card,
            note=line.note,
            store_code=store_code,
            business_date=day,
            currency=around.currency,
            position=position,
        )
        for position, (line, (subtotal, discount, tax, total, net_share)) in enumerate(
            zip(lines, amounts, strict=True), 1
        )
    )


def _shares(total: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """Make the lines add up where they mean to; a total that tells something else leaves them as they are."""
    if abs(total - sum(weights)) < len(weights):
        return distribute(total, weights)
    return [cents(weight) for weight in weights]


def _description(line: SaleLine) -> str | None:
    # A miscellaneous line has no product: what the cashier noted is all there is.
    return line.description or line.note or (None if line.product_id else "Miscellaneous")


def payment_facts(sale: Sale, around: Surroundings) -> tuple[PaymentFacts, ...]:
    """Derive a sale's payments."""
    voided = sale.state is SaleState.VOIDED
    day = _day(sale, around)
    # A void archives the payments and we keep their rows at 0, so that a sale voided under our eyes and one
    # that was voided before we came look the same.
    store_code = around.store_code(sale.store_id)
    whole = Ref(Kind.SALE, sale.id)
    return tuple(
        PaymentFacts(
            id=payment.id,
            sale=whole,
            tender=payment.tender,
            tender_type=payment.tender_type,
            amount=NIL if voided else cents(payment.amount),
            tip=NIL if voided else cents(payment.tip),
            paid_at=payment.paid_at,
            store_code=store_code,
            business_date=day,
            currency=around.currency,
        )
        for payment in _landing(sale.payments, voided=voided)
    )


def _landing(payments: tuple[Payment, ...], *, voided: bool) -> tuple[Payment, ...]:
    return payments if voided else tuple(payment for payment in payments if not payment.archived)

"""What a sale means: type, revenue, day, channel, seller, and lines that add up to it."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from tillbridge.model.records import Kind, Payment, Sale, SaleLine, SaleState, SaleVoid, Store
from tillbridge.model.sale import RateTable, Ref, Surroundings, lands, sale_facts, sale_type

D = Decimal

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
AROUND = Surroundings(
    currency="USD",
    stores={"1": Store(id="1", name="Albany", time_zone="US/Eastern")},
    registers={"2": "Front", "3": "eCom"},
    categories={"4": "Rings/Gold"},
)


def line(quantity="1", total="0", tax="0", **more):
    net = D(total) - D(tax)
    given = {
        "id": "11",
        "product_id": "88",
        "quantity": D(quantity),
        "unit_price": abs(net),
        "subtotal": net,
        "discount": D(0),
        "tax1": D(tax),
        "tax2": D(0),
        "total": D(total),
    }
    return SaleLine(**given | more)


def pay(amount, tender_type="cash", **more):
    return Payment(
        **{
            "id": "21",
            "amount": D(amount),
            "tip": D(0),
            "tender": tender_type.title(),
            "tender_type": tender_type,
        }
        | more
    )


def sale(*lines, payments=(), state=SaleState.COMPLETED, **more):
    tax = sum((each.tax1 for each in lines), D(0))
    total = sum((each.total for each in lines), D(0))
    given = {
        "id": "7731",
        "ticket": "220000007731",
        "state": state,
        "store_id": "1",
        "subtotal": sum((each.subtotal for each in lines), D(0)),
        "discount": D(0),
        "tax1": tax,
        "tax2": D(0),
        "total": total,
        "due": total,
        "paid": total,
        "tips": D(0),
        "change": D(0),
        "created_at": NOON,
        "completed_at": NOON,
        "changed_at": NOON,
        "lines": lines,
        "payments": tuple(payments),
    }
    return Sale(**given | more)


def bare(**more):
    """The line of no price that a gift card or a deposit comes with."""
    return line("1", "0", product_id=None, **more)


SOLD, BACK = line("1", "108", "8"), line("-1", "-108", "-8", id="12", original_line_id="9")
CARD_SOLD = [pay("-100", "gift_card"), pay("100", id="22")]
CREDIT_PAID_IN = [pay("-50", "credit_account"), pay("50", id="22")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(sale(SOLD), "Sale", id="goods out"),
        pytest.param(sale(BACK), "Refund", id="goods back, linked"),
        pytest.param(sale(line("-1", "-20")), "Refund", id="goods back, blind"),
        pytest.param(sale(line("-0.5", "-54", "-4", original_line_id="9")), "Refund", id="part of it back"),
        pytest.param(sale(line("1", "150"), BACK), "Exchange", id="exchange, customer pays"),
        pytest.param(
            sale(line("1", "108", "8"), BACK), "Exchange", id="even exchange: the total says nothing"
        ),
        pytest.param(sale(line("1", "50"), BACK), "Exchange", id="exchange, customer gets money"),
        pytest.param(
            sale(line("1", "-5"), line("1", "30", id="12")), "Sale", id="a rebate line is no return"
        ),
        pytest.param(sale(line("1", "0")), "Sale", id="a gift of the house"),
        pytest.param(sale(bare(gift_card=True), payments=CARD_SOLD), "Gift Card", id="gift card sold"),
        pytest.param(
            sale(bare(), payments=CARD_SOLD), "Gift Card", id="gift card sold, told by its payments"
        ),
        pytest.param(sale(payments=CARD_SOLD), "Gift Card", id="gift card sold, no line at all"),
        pytest.param(sale(SOLD, payments=[pay("108", "gift_card")]), "Sale", id="gift card redeemed"),
        pytest.param(sale(BACK, payments=[pay("-108", "gift_card")]), "Refund", id="refund onto a gift card"),
        pytest.param(sale(bare(), payments=CREDIT_PAID_IN), "Deposit", id="store credit paid in"),
        pytest.param(
            sale(SOLD, payments=[pay("108", "credit_account")]),
            "Sale",
            id="layaway picked up, paid from the deposit",
        ),
        pytest.param(
            sale(SOLD, bare(id="12", gift_card=True), payments=[*CARD_SOLD, pay("108", id="23")]),
            "Sale",
            id="goods and a gift card",
        ),
        pytest.param(
            sale(line("1", "15", product_id=None, note="Repair")), "Sale", id="a miscellaneous line"
        ),
        pytest.param(sale(), "Sale", id="nothing on it"),
        pytest.param(
            sale(bare(), payments=[pay("-50", "credit_account", archived=True), pay("50", id="22")]),
            "Sale",
            id="a deposit taken back",
        ),
        pytest.param(
            sale(bare(), payments=[pay("-100", "gift_card", archived=True)], state=SaleState.VOIDED),
            "Gift Card",
            id="a void archives payments, the type stays",
        ),
    ],
)
def test_the_type_is_told_by_lines_and_payments(given, expected):
    assert expected == sale_type(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(sale(SOLD), "100.00", id="without tax"),
        pytest.param(sale(BACK), "-100.00", id="a refund takes it back"),
        pytest.param(sale(line("1", "50"), BACK), "-50.00", id="an exchange nets"),
        pytest.param(
            sale(line("1", "121", "21"), tax_inclusive=True, subtotal=D(121)),
            "100.00",
            id="tax inside the price",
        ),
        pytest.param(sale(bare(gift_card=True), payments=CARD_SOLD), "0.00", id="a gift card is money held"),
        pytest.param(
            sale(SOLD, line("1", "100", id="12", product_id=None, gift_card=True)),
            "100.00",
            id="a gift card with a price on its line",
        ),
        pytest.param(sale(bare(), payments=CREDIT_PAID_IN), "0.00", id="a deposit is money held"),
        pytest.param(
            sale(SOLD, payments=[pay("108", "gift_card")], due=D(0)),
            "100.00",
            id="redeeming is revenue, whatever is due",
        ),
        pytest.param(sale(SOLD, state=SaleState.VOIDED), "0.00", id="a void is none"),
    ],
)
def test_net_sales(given, expected):
    facts = sale_facts(given, AROUND)

    assert expected == str(facts.net_sales)
    assert facts.net_sales == sum((each.net_sales for each in facts.lines), D(0))


def test_rounded_lines_add_up_to_the_sale():
    """Line amounts are unrounded; three times a third of a cent is a cent."""
    thirds = [
        line("1", "10.0033333", "0.7133333", id=str(number), discount=D("0.3333333"), subtotal=D("9.6233333"))
        for number in range(3)
    ]
    facts = sale_facts(
        sale(*thirds, total=D("30.01"), tax1=D("2.14"), discount=D("1.00"), subtotal=D("28.87")), AROUND
    )

    assert facts.total == sum(each.total for each in facts.lines)
    assert facts.tax == sum(each.tax for each in facts.lines)
    assert facts.discount == sum(each.discount for each in facts.lines)
    assert facts.subtotal == sum(each.subtotal for each in facts.lines)
    assert facts.net_sales == sum(each.net_sales for each in facts.lines) == D("27.87")


def test_a_void_keeps_its_rows_and_writes_nothing_on_them():
    voided = sale(
        SOLD,
        payments=[pay("108", archived=True, tip=D(3))],
        state=SaleState.VOIDED,
        paid=D(0),
        tips=D(3),
        change=D(2),
        discount=D(1),
    )
    facts = sale_facts(
        voided, AROUND, void=SaleVoid(id="9", sale_id="7731", reason="wrong customer", created_at=NOON)
    )

    amounts = (
        "subtotal",
        "discount",
        "tax",
        "tax1",
        "tax2",
        "total",
        "net_sales",
        "reporting_net_sales",
        "paid",
        "due",
        "tips",
        "change",
    )
    assert {getattr(facts, name) for name in (*amounts, "units", "gift_cards_sold", "deposits")} == {D(0)}
    assert facts.voided_total == D(108)
    assert (facts.status, facts.void_reason, facts.voided_at) == ("Voided", "wrong customer", NOON)
    assert [
        (each.quantity, each.unit_price, each.discount, each.tax, each.total) for each in facts.lines
    ] == [(0, 0, 0, 0, 0)]
    assert [(each.amount, each.tip) for each in facts.payments] == [(0, 0)]


def test_live_sync_and_backfill_agree_on_a_void():
    """Payments that voiding archived still have their rows."""
    seen_live = sale_facts(sale(SOLD, payments=[pay("108")]), AROUND)
    seen_voided = sale_facts(sale(SOLD, payments=[pay("108", archived=True)], state=SaleState.VOIDED), AROUND)

    assert [each.id for each in seen_live.payments] == [each.id for each in seen_voided.payments]


def test_payments_taken_back_are_left_out():
    facts = sale_facts(sale(SOLD, payments=[pay("108", id="1", archived=True), pay("108", id="2")]), AROUND)

    assert ["2"] == [each.id for each in facts.payments]


def test_money_held_is_told_apart():
    cards = sale_facts(sale(bare(gift_card=True), payments=CARD_SOLD), AROUND)
    deposit = sale_facts(sale(bare(), payments=CREDIT_PAID_IN), AROUND)

    assert (D(100), D(0)) == (cards.gift_cards_sold, cards.deposits)
    assert (D(0), D(50)) == (deposit.gift_cards_sold, deposit.deposits)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, "Store", id="the counter"),
        pytest.param({"register_id": "2"}, "Store", id="a register of the store"),
        pytest.param({"register_id": "3"}, "eCom", id="the web shop's register"),
        pytest.param(
            {"register_id": "3", "reference_source": "Shopify"},
            "Shopify",
            id="the source that the till names",
        ),
    ],
)
def test_channel(given, expected):
    assert expected == sale_facts(sale(SOLD, **given), AROUND).channel


@pytest.mark.parametrize(
    ("sellers", "expected"),
    [
        pytest.param([None, None], "3", id="no seller: who rang it up"),
        pytest.param(["5", None], "5", id="one seller"),
        pytest.param(["5", "6"], "6", id="who sold most of it"),
    ],
)
def test_salesperson(sellers, expected):
    lines = [
        line("1", str(total), id=str(total), employee_id=seller)
        for total, seller in zip((10, 90), sellers, strict=True)
    ]

    assert Ref(Kind.EMPLOYEE, expected) == sale_facts(sale(*lines, employee_id="3"), AROUND).salesperson


def test_lookups_are_left_to_the_engine():
    facts = sale_facts(sale(BACK, customer_id="501", employee_id="3"), AROUND)

    assert facts.customer == Ref(Kind.CUSTOMER, "501")
    assert facts.original_sale == Ref("sale_of_line", "9")
    assert facts.lines[0].original_line == Ref("line", "9")
    assert facts.lines[0].product == Ref(Kind.PRODUCT, "88")
    assert sale_facts(sale(SOLD), AROUND).customer is None


@pytest.mark.parametrize(
    ("given", "type_", "text"),
    [
        pytest.param(
            {"description": "Ring", "note": "size 52"}, "Product", "Ring", id="a product by its description"
        ),
        pytest.param(
            {"product_id": None, "note": "Regrip"},
            "Miscellaneous",
            "Regrip",
            id="a miscellaneous line by its note",
        ),
        pytest.param(
            {"product_id": None}, "Miscellaneous", "Miscellaneous", id="a miscellaneous line without a note"
        ),
        pytest.param(
            {"product_id": None, "gift_card": True, "note": "Card"}, "Gift Card", "Card", id="a gift card"
        ),
    ],
)
def test_what_a_line_is_called(given, type_, text):
    found = sale_facts(sale(line("1", "5", category_id="4", **given)), AROUND).lines[0]

    assert (type_, text, "Rings/Gold") == (found.type, found.description, found.category)


def test_the_business_day_is_the_stores():
    late = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)  # half past two at night in New York
    by_midnight = sale_facts(sale(SOLD, completed_at=late), AROUND)
    by_cut_off = sale_facts(
        sale(SOLD, completed_at=late),
        Surroundings(currency="USD", stores=AROUND.stores, day_starts_at=time(3)),
    )

    assert (date(2026, 3, 2), date(2026, 3, 1)) == (by_midnight.business_date, by_cut_off.business_date)
    assert {by_cut_off.business_date} == {each.business_date for each in by_cut_off.lines}


@pytest.mark.parametrize(
    ("rates", "net", "rate"),
    [
        pytest.param(None, "100.00", "1", id="no reporting currency: the account's own"),
        pytest.param(RateTable("USD", {}), "100.00", "1", id="the same currency"),
        pytest.param(
            RateTable("EUR", {"USD": {date(2026, 1, 1): D("0.9"), date(2026, 3, 2): D("0.92")}}),
            "92.00",
            "0.92",
            id="the day's rate",
        ),
        pytest.param(
            RateTable("EUR", {"USD": {date(2026, 1, 1): D("0.9")}}),
            "90.00",
            "0.9",
            id="the newest rate before it",
        ),
        pytest.param(
            RateTable("EUR", {"USD": {date(2027, 1, 1): D("0.9")}}),
            "None",
            "None",
            id="no rate yet: empty, not guessed",
        ),
    ],
)
def test_reporting_currency(rates, net, rate):
    facts = sale_facts(sale(SOLD), Surroundings(currency="USD", stores=AROUND.stores, rates=rates))

    assert (net, rate) == (str(facts.reporting_net_sales), str(facts.reporting_rate))


def test_store_codes_may_be_configured():
    named = Surroundings(currency="USD", stores=AROUND.stores, store_codes={"1": "ALB"})

    assert sale_facts(sale(SOLD), AROUND).store_code == "1"
    assert (
        sale_facts(sale(SOLD), named).store_code == sale_facts(sale(SOLD), named).lines[0].store_code == "ALB"
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (SaleState.OPEN, False),
        (SaleState.CANCELLED, False),
        (SaleState.COMPLETED, True),
        (SaleState.VOIDED, True),
    ],
)
def test_open_and_cancelled_sales_do_not_land(state, expected):
    assert expected == lands(sale(SOLD, state=state))

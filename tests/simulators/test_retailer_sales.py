"""What every sale of the generated retailer obeys, and that each kind is there (fact sheet A8, A9, A12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tillbridge.simulators.retailer import KINDS, Plan, Retailer, build, ring_up, void
from tillbridge.simulators.retailer.blanks import blank_line, blank_payment, blank_sale
from tillbridge.simulators.retailer.ringup import CARD, CASH, CREDIT_ACCOUNT, GIFT_CARD, cents, stock_moves

Row = dict[str, Any]
PLAN = Plan(customers=400, sales=900)


@pytest.fixture(scope="module")
def world() -> Retailer:
    return build(PLAN)


def lines_of(sale: Row) -> list[Row]:
    return sale["SaleLines"]


def d(text: str) -> Decimal:
    return Decimal(text)


def slip(lines: list[Row], payments: list[Row], **fields: Any) -> Row:
    sale = blank_sale(7731, PLAN.end) | fields
    sale["SaleLines"] = [blank_line(n, PLAN.end) | line for n, line in enumerate(lines, 1)]
    sale["SalePayments"] = [blank_payment(n, PLAN.end) | payment for n, payment in enumerate(payments, 1)]
    return ring_up(sale)


# ---- the arithmetic ----


def test_the_documented_sample_comes_out_to_the_digit() -> None:
    rates = {"tax1Rate": d("0.08"), "discountPercent": d("0.1")}
    sale = slip(
        [
            {"unitQuantity": d("2"), "unitPrice": d("38"), "avgCost": d("18"), "fifoCost": d("18"), **rates},
            {"unitQuantity": d("1"), "unitPrice": d("30"), "avgCost": d("15"), "fifoCost": d("14"), **rates},
        ],
        [{"amount": d("103.03")}],
    )
    expected = {
        "ticketNumber": "220000007731",
        "displayableSubtotal": d("95.4"),
        "calcDiscount": d("10.6"),
        "calcTotal": d("103.03"),
        "calcSubtotal": d("106"),
        "calcTaxable": d("95.4"),
        "calcNonTaxable": d("0"),
        "calcAvgCost": d("51"),
        "calcFIFOCost": d("50"),
        "calcTax1": d("7.63"),
        "calcTax2": d("0"),
        "calcPayments": d("103.03"),
        "total": d("103.03"),
        "totalDue": d("103.03"),
        "displayableTotal": d("103.03"),
        "balance": d("0"),
        "taxTotal": d("7.63"),
    }
    assert expected == {name: sale[name] for name in expected}
    first = lines_of(sale)[0]
    expected_line = {
        "displayableSubtotal": d("68.4"),
        "calcLineDiscount": d("7.6"),
        "calcTransactionDiscount": d("0"),
        "calcTotal": d("73.872"),
        "calcSubtotal": d("76"),
        "calcTax1": d("5.472"),
    }
    assert expected_line == {name: first[name] for name in expected_line}


@pytest.mark.parametrize(
    ("payments", "total_due", "displayable_total"),
    [
        pytest.param([(CASH, "50")], "50", "50", id="paid in cash"),
        pytest.param([(GIFT_CARD, "50")], "0", "50", id="paid by gift card: nothing due, the total is real"),
        pytest.param(
            [(GIFT_CARD, "-100"), (CASH, "150")],
            "150",
            "150",
            id="a gift card of 100 loaded beside the goods",
        ),
        pytest.param([(CREDIT_ACCOUNT, "20"), (CARD, "30")], "30", "50", id="store credit pays a part"),
        pytest.param([(CREDIT_ACCOUNT, "-40"), (CARD, "90")], "90", "50", id="a deposit beside the goods"),
    ],
)
def test_total_due_leaves_out_what_was_stored(
    payments: list[tuple[int, str]], total_due: str, displayable_total: str
) -> None:
    rows = [{"paymentTypeID": type_id, "amount": d(amount)} for type_id, amount in payments]
    sale = slip([{"unitPrice": d("50")}], rows)
    assert (d("50"), d(total_due), d(displayable_total), d("0")) == (
        sale["total"],
        sale["totalDue"],
        sale["displayableTotal"],
        sale["balance"],
    )


def test_a_tax_inclusive_shop_takes_what_the_shelf_says() -> None:
    sale = slip([{"unitPrice": d("100"), "tax1Rate": d("0.21")}], [], isTaxInclusive=True)
    assert (d("100"), d("82.64"), d("17.36")) == (sale["total"], sale["calcSubtotal"], sale["calcTax1"])


def test_a_tip_is_in_the_amount_and_outside_the_balance() -> None:
    sale = slip([{"unitPrice": d("50")}], [{"amount": d("55"), "tipAmount": d("5")}])
    assert (d("50"), d("5"), d("0")) == (sale["calcPayments"], sale["calcTips"], sale["balance"])


@pytest.mark.parametrize(
    ("quantity", "amount", "expected"),
    [
        pytest.param("1", "5", "45", id="an amount off a line"),
        pytest.param("-1", "5", "-45", id="is given back with the line"),
    ],
)
def test_a_discount_amount_follows_the_sign_of_the_line(quantity: str, amount: str, expected: str) -> None:
    line = {"unitQuantity": d(quantity), "unitPrice": d("50"), "discountAmount": d(amount)}
    assert d(expected) == slip([line], [])["total"]


PRICES = st.decimals(min_value=0, max_value=20_000, places=2)
RATES = st.sampled_from([d("0"), d("0.08"), d("0.08875"), d("0.21"), d("0.1")])
LINES = st.builds(
    lambda quantity, price, rate1, rate2, percent, amount, taxed: {
        "unitQuantity": d(str(quantity)),
        "unitPrice": price,
        "tax1Rate": rate1,
        "tax2Rate": rate2,
        "discountPercent": percent,
        "discountAmount": amount,
        "tax": taxed,
    },
    st.integers(-9, 9),
    PRICES,
    RATES,
    RATES,
    st.sampled_from([d("0"), d("0.1"), d("0.15"), d("1")]),
    st.sampled_from([d("0"), d("3.33")]),
    st.booleans(),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(LINES, max_size=6), st.booleans(), st.sampled_from([d("0"), d("0.125")]))
def test_the_documented_sum_holds_for_any_slip(lines: list[Row], inclusive: bool, percent: Decimal) -> None:
    sale = slip(lines, [], isTaxInclusive=inclusive, discountPercent=percent)
    assert_adds_up(sale)
    if inclusive:
        assert sale["total"] == cents(sum((line["displayableSubtotal"] for line in lines_of(sale)), d("0")))
    before = repr(sale)
    assert before == repr(ring_up(sale)), "ringing up twice changes nothing"


def assert_adds_up(sale: Row) -> None:
    parts = sale["calcSubtotal"] - sale["calcDiscount"] + sale["calcTax1"] + sale["calcTax2"]
    assert sale["total"] == parts, sale["saleID"]
    assert sale["calcTotal"] == sale["total"]
    assert sale["taxTotal"] == sale["calcTax1"] + sale["calcTax2"]
    assert sale["balance"] == sale["total"] - sale["calcPayments"]
    for line in lines_of(sale):
        off = line["calcLineDiscount"] + line["calcTransactionDiscount"]
        assert line["calcTotal"] == line["calcSubtotal"] - off + line["calcTax1"] + line["calcTax2"]
    # Rounded lines may differ from the sale by a cent for each amount that was rounded.
    assert abs(sum((line["calcTotal"] for line in lines_of(sale)), d("0")) - sale["total"]) <= d("0.02")


# ---- every sale ----


def test_every_sale_adds_up(world: Retailer) -> None:
    for sale in world.till["Sale"]:
        assert_adds_up(sale)


def test_payments_balance_every_completed_sale(world: Retailer) -> None:
    completed = [sale for sale in world.till["Sale"] if sale["completed"]]
    assert len(completed) > 800
    for sale in completed:
        paid = sum((p["amount"] - p["tipAmount"] for p in sale["SalePayments"] if not p["archived"]), d("0"))
        assert (d("0"), sale["total"]) == (sale["balance"], paid)


def test_ids_are_unique_and_everything_refers_to_something(world: Retailer) -> None:
    till = world.till
    for sales_key, rows in {
        "saleID": till["Sale"],
        "saleLineID": [*(line for s in till["Sale"] for line in lines_of(s)), *till["SaleLine"]],
        "salePaymentID": [payment for s in till["Sale"] for payment in s["SalePayments"]],
        "customerID": till["Customer"],
        "creditAccountID": till["CreditAccount"],
    }.items():
        assert len(rows) == len({row[sales_key] for row in rows}), sales_key
    known = {
        name: {row[key] for row in till[name]}
        for name, key in {
            "Shop": "shopID",
            "Register": "registerID",
            "Employee": "employeeID",
            "Customer": "customerID",
            "Item": "itemID",
            "PaymentType": "paymentTypeID",
            "CreditAccount": "creditAccountID",
            "Discount": "discountID",
        }.items()
    }
    for sale in till["Sale"]:
        assert sale["shopID"] in known["Shop"]
        assert sale["registerID"] in known["Register"]
        assert sale["employeeID"] in known["Employee"]
        assert sale["customerID"] in known["Customer"] | {0}
        for line in lines_of(sale):
            assert (sale["saleID"], True) == (line["saleID"], line["itemID"] in known["Item"] | {0})
            assert line["discountID"] in known["Discount"] | {0}
        for payment in sale["SalePayments"]:
            assert (sale["saleID"], True) == (
                payment["saleID"],
                payment["paymentTypeID"] in known["PaymentType"],
            )
            stored = payment["paymentTypeID"] in {CREDIT_ACCOUNT, GIFT_CARD}
            assert stored == (payment["creditAccountID"] in known["CreditAccount"])


def test_stamps_keep_their_order(world: Retailer) -> None:
    """timeStamp = completeTime once completed; updatetime and children up to a second newer (A12)."""
    second = timedelta(seconds=1)
    for sale in world.till["Sale"]:
        assert sale["createTime"] <= sale["updatetime"] <= PLAN.end
        moments = [sale[name] for name in ("createTime", "updatetime", "timeStamp")]
        assert all(at.microsecond == 0 and at.utcoffset() == timedelta(0) for at in moments)
        if sale["completed"]:
            assert sale["timeStamp"] == sale["completeTime"] <= sale["updatetime"]
        elif not sale["voided"]:
            assert (None, sale["createTime"]) == (sale["completeTime"], sale["timeStamp"])
        for child in (*lines_of(sale), *sale["SalePayments"]):
            assert child["createTime"] <= sale["updatetime"]
            assert child.get("timeStamp", sale["updatetime"]) <= max(
                sale["updatetime"], sale["timeStamp"] + second
            )


def test_ticket_numbers_are_padded_to_twelve(world: Retailer) -> None:
    assert {f"22{sale['saleID']:010d}" for sale in world.till["Sale"]} == {
        s["ticketNumber"] for s in world.till["Sale"]
    }


def test_no_line_is_given_back_more_often_than_it_was_sold(world: Retailer) -> None:
    sold = {line["saleLineID"]: line for sale in world.till["Sale"] for line in lines_of(sale)}
    returned: Counter[int] = Counter()
    for line in sold.values():
        if line["parentSaleLineID"]:
            assert line["unitQuantity"] < 0
            returned[line["parentSaleLineID"]] += int(-line["unitQuantity"])
    assert returned
    for line_id, pieces in returned.items():
        assert pieces <= sold[line_id]["unitQuantity"]


def test_a_full_refund_gives_back_what_was_paid_for_the_goods(world: Retailer) -> None:
    by_line = {line["saleLineID"]: sale for sale in world.till["Sale"] for line in lines_of(sale)}
    found = 0
    for sale in world.till["Sale"]:
        parents = [by_line[line["parentSaleLineID"]] for line in lines_of(sale) if line["parentSaleLineID"]]
        if not parents or len(parents) != len(lines_of(sale)):
            continue
        original = parents[0]
        pieces = sum(line["unitQuantity"] for line in lines_of(sale))
        if pieces == -sum(line["unitQuantity"] for line in lines_of(original)):
            found += 1
            assert original["completeTime"] <= sale["completeTime"]
            assert -original["total"] == sale["total"]
            assert original["customerID"] == sale["customerID"]
    assert found > 5


def test_credit_balances_are_what_the_payments_moved(world: Retailer) -> None:
    """Negative is what the store owes (A8.8)."""
    moved: Counter[int] = Counter()
    for sale in world.till["Sale"]:
        for payment in sale["SalePayments"]:
            if payment["creditAccountID"]:
                moved[payment["creditAccountID"]] += payment["amount"]
    balances = {row["creditAccountID"]: row["balance"] for row in world.till["CreditAccount"]}
    assert balances == {account: moved[account] for account in balances}
    assert all(balance <= 0 for balance in balances.values())
    owners = {
        row["customerID"]: row["creditAccountID"] for row in world.till["Customer"] if row["creditAccountID"]
    }
    accounts = {r["customerID"]: r["creditAccountID"] for r in world.till["CreditAccount"] if r["customerID"]}
    assert accounts == owners


# ---- every kind ----


def signs(sale: Row) -> set[bool]:
    return {line["unitQuantity"] > 0 for line in lines_of(sale)}


def types(sale: Row) -> list[int]:
    return [payment["paymentTypeID"] for payment in sale["SalePayments"]]


def has_line(**fields: Any) -> Callable[[Row], bool]:
    return lambda s: any(all(line[name] == value for name, value in fields.items()) for line in lines_of(s))


SHAPES: dict[str, Callable[[Row], bool]] = {
    "an ordinary sale": lambda s: s["completed"] and s["total"] > 0,
    "a discount on a line": lambda s: any(line["calcLineDiscount"] for line in lines_of(s)),
    "a discount on the transaction": lambda s: any(line["calcTransactionDiscount"] for line in lines_of(s)),
    "a gift of the house": lambda s: (
        s["completed"] and has_line(discountPercent=d("1"))(s) and not s["total"]
    ),
    "a linked refund": lambda s: signs(s) == {False} and all(x["parentSaleLineID"] for x in lines_of(s)),
    "a blind refund": lambda s: s["total"] < 0 and has_line(parentSaleLineID=0)(s) and signs(s) == {False},
    "an exchange": lambda s: signs(s) == {True, False},
    "a gift card sold": lambda s: GIFT_CARD in types(s) and s["totalDue"] > s["total"],
    "a gift card redeemed": lambda s: GIFT_CARD in types(s) and s["totalDue"] < s["total"],
    "a deposit": lambda s: CREDIT_ACCOUNT in types(s) and not lines_of(s) and len(types(s)) == 2,
    "store credit used": lambda s: any(
        p["paymentTypeID"] == CREDIT_ACCOUNT and p["amount"] > 0 for p in s["SalePayments"]
    ),
    "a layaway picked up": lambda s: any(x["customerID"] == s["customerID"] != 0 for x in lines_of(s)),
    "a miscellaneous line with a note": lambda s: any(
        not x["itemID"] and x["Note"] and x["unitPrice"] for x in lines_of(s)
    ),
    "a tax-free line": has_line(tax=False),
    "a tip": lambda s: s["calcTips"] > 0,
    "two tenders": lambda s: sorted(types(s)) == [CASH, CARD],
    "a payment taken back before completion": lambda s: (
        s["completed"] and [True, False] == [p["archived"] for p in s["SalePayments"]]
    ),
    "change given": lambda s: s["change"] > 0,
    "a web sale": lambda s: s["referenceNumberSource"] == "ecom",
    "a back-dated completion": lambda s: bool(s["completeTime"]) and s["completeTime"] < s["createTime"],
    "a voided sale": lambda s: s["voided"],
    "an open sale with items": lambda s: not s["completed"] and not s["voided"] and s["balance"] > 0,
    "an open sale without lines": lambda s: not s["completed"] and not lines_of(s) and not types(s),
    "an open sale that is paid for": lambda s: not s["completed"] and not s["voided"] and bool(types(s)),
    "a cancelled sale": lambda s: s["archived"] and not s["completed"],
    "a walk-in": lambda s: s["customerID"] == 0 and s["completed"],
    "a seller who is not the cashier": lambda s: any(x["employeeID"] != s["employeeID"] for x in lines_of(s)),
    "a refund line older than its sale": lambda s: any(
        x["unitQuantity"] < 0 and x["createTime"] < s["createTime"] for x in lines_of(s)
    ),
    "an archived payment": lambda s: any(p["archived"] for p in s["SalePayments"]),
    "a tax-inclusive sale": lambda s: s["isTaxInclusive"],
    "a printed note": lambda s: bool(s["SaleNotes"].get("PrintedNote")),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_world_has(world: Retailer, shape: str) -> None:
    assert any(SHAPES[shape](sale) for sale in world.till["Sale"])


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_small_world_has_every_kind_too(seed: int) -> None:
    small = build(Plan(seed=seed, customers=60, sales=140))
    rare = {"a printed note", "a refund line older than its sale", "a tax-inclusive sale"}
    missing = [
        name for name, shape in SHAPES.items() if name not in rare and not any(map(shape, small.till["Sale"]))
    ]
    assert [] == missing


@pytest.mark.parametrize("sales", [0, 1, 5, len(KINDS)])
def test_a_tiny_world_stands(sales: int) -> None:
    assert sales == len(build(Plan(shops=1, customers=3, sales=sales)).till["Sale"])
    assert sales == len(build(Plan(shops=9, customers=0, sales=sales, years=0.01)).till["Sale"])


def test_a_gift_card_is_sold_as_documented(world: Retailer) -> None:
    sold = next(s for s in world.till["Sale"] if SHAPES["a gift card sold"](s) and len(lines_of(s)) == 1)
    (line,) = lines_of(sold)
    assert (d("0"), 0, "Gift card") == (line["unitPrice"], line["itemID"], line["Note"])
    load, tender = sold["SalePayments"]
    assert load["amount"] == -tender["amount"] < 0
    assert tender["amount"] == sold["totalDue"] == sold["displayableTotal"]
    card = next(r for r in world.till["CreditAccount"] if r["creditAccountID"] == load["creditAccountID"])
    assert (True, 0, 16) == (card["giftCard"], card["customerID"], len(card["code"]))


def test_a_void_goes_back_to_not_completed_and_leaves_a_row(world: Retailer) -> None:
    voided = [sale for sale in world.till["Sale"] if sale["voided"]]
    assert {row["saleID"] for row in world.till["SaleVoid"]} == {sale["saleID"] for sale in voided}
    for sale in voided:
        assert (False, False, d("0")) == (sale["completed"], sale["archived"], sale["calcPayments"])
        assert sale["balance"] == sale["total"] != 0
        assert sale["timeStamp"] == sale["completeTime"] <= sale["updatetime"]


def test_whether_a_void_moves_updatetime_is_a_switch() -> None:
    later = PLAN.end + timedelta(hours=1)
    for moves, expected in ((True, later), (False, PLAN.end)):
        sale = slip([{"unitPrice": d("50")}], [{"amount": d("50")}], completed=True)
        void(sale, later, void_id=1, employee_id=1, reason="", moves_updatetime=moves)
        assert expected == sale["updatetime"]


def test_layaways_not_rung_up_stand_on_no_sale(world: Retailer) -> None:
    aside = world.till["SaleLine"]
    assert aside
    for line in aside:
        assert 0 == line["saleID"] != line["customerID"]
        assert line["isLayaway"] or line["isSpecialOrder"]
        assert line["calcTotal"] > 0


def test_ordinary_lines_name_no_customer(world: Retailer) -> None:
    plain = [
        x for s in world.till["Sale"] for x in lines_of(s) if not (x["isLayaway"] or x["isSpecialOrder"])
    ]
    assert {0} == {line["customerID"] for line in plain}


def test_stock_moves_name_goods_only() -> None:
    sale = slip([{"itemID": 7, "shopID": 2, "unitQuantity": d("3")}, {"unitPrice": d("5")}], [])
    assert [(7, 2, d("-3"))] == stock_moves(sale)


def test_shares_are_believable(world: Retailer) -> None:
    sales = [sale for sale in world.till["Sale"] if sale["completed"]]
    walk_ins = sum(not sale["customerID"] for sale in sales) / len(sales)
    refunds = sum(sale["total"] < 0 for sale in sales) / len(sales)
    assert 0.15 < walk_ins < 0.35
    assert 0.02 < refunds < 0.12


def test_some_sales_are_rung_up_past_the_shops_midnight(world: Retailer) -> None:
    """The UTC day, the shop's day and the business day with a cut-off are three different things."""
    zones = {row["shopID"]: ZoneInfo(row["timeZone"]) for row in world.till["Shop"]}
    local = [
        (sale["completeTime"], sale["completeTime"].astimezone(zones[sale["shopID"]]))
        for sale in world.till["Sale"]
        if sale["completed"]
    ]
    assert any(at.hour < 3 for _, at in local)
    assert any(utc.date() < at.date() for utc, at in local)

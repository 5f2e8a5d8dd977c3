"""The certificate: figures per store, day and currency, and the receipts behind a difference."""

from datetime import date
from decimal import Decimal

import pytest

from tillbridge.sync.certify import (
    Cell,
    Difference,
    Receipt,
    ReceiptDifference,
    Totals,
    add_up,
    compare,
    explain,
)

D = Decimal
MONDAY = Cell("1", date(2026, 3, 2), "USD")
TUESDAY = Cell("1", date(2026, 3, 3), "USD")
SALE = Totals(
    sales=1, total=D("108.00"), tax=D("8.00"), net_sales=D("100.00"), payments={"Cash": D("108.00")}
)
REFUND = Totals(
    sales=1,
    total=D("-54.00"),
    tax=D("-4.00"),
    net_sales=D("-50.00"),
    refunds=D("-54.00"),
    payments={"Card": D("-54.00")},
)
VOID = Totals(sales=1, voided=1)


def test_figures_add_up_by_cell():
    cells = add_up([(MONDAY, SALE), (TUESDAY, SALE), (MONDAY, REFUND), (MONDAY, VOID)])

    assert {
        MONDAY: Totals(
            sales=3,
            voided=1,
            total=D("54.00"),
            tax=D("4.00"),
            net_sales=D("50.00"),
            refunds=D("-54.00"),
            payments={"Cash": D("108.00"), "Card": D("-54.00")},
        ),
        TUESDAY: SALE,
    } == cells


@pytest.mark.parametrize(
    ("till", "crm", "expected"),
    [
        pytest.param({}, {}, [], id="nothing sold"),
        pytest.param({MONDAY: SALE}, {MONDAY: SALE}, [], id="both agree"),
        pytest.param(
            {MONDAY: Totals(payments={"Cash": D("1.0")})},
            {MONDAY: Totals(payments={"Cash": D("1.00"), "Card": D(0)})},
            [],
            id="decimals and tenders of nothing are no difference",
        ),
        pytest.param(
            {MONDAY: VOID},
            {},
            [Difference(MONDAY, "sales", 1, 0), Difference(MONDAY, "voided", 1, 0)],
            id="a day is missing",
        ),
        pytest.param(
            {MONDAY: Totals(payments={"Cash": D(5)})},
            {MONDAY: Totals(payments={"Card": D(5)})},
            [
                Difference(MONDAY, "payments: Card", D(0), D(5)),
                Difference(MONDAY, "payments: Cash", D(5), D(0)),
            ],
            id="the tender differs",
        ),
        pytest.param(
            {},
            {TUESDAY: Totals(tax=D("0.01"))},
            [Difference(TUESDAY, "tax", D(0), D("0.01"))],
            id="a cent too many in the CRM",
        ),
    ],
)
def test_compare(till, crm, expected):
    assert expected == compare(till, crm)


def test_the_receipts_behind_a_difference():
    till = [
        Receipt("S1", MONDAY, SALE),
        Receipt("S2", MONDAY, SALE),
        Receipt("S3", MONDAY, SALE),
        Receipt("S4", MONDAY, SALE),
    ]
    crm = [
        Receipt("S2", MONDAY, VOID),
        Receipt("S3", TUESDAY, SALE),
        Receipt("S4", MONDAY, SALE),
        Receipt("S9", TUESDAY, SALE),
    ]

    assert [
        ReceiptDifference("S1", MONDAY, "missing in CRM"),
        ReceiptDifference(
            "S2", MONDAY, "amounts differ", ("voided", "total", "tax", "net_sales", "payments: Cash")
        ),
        ReceiptDifference("S3", MONDAY, "another day or store"),
        ReceiptDifference("S9", TUESDAY, "extra in CRM"),
    ] == explain(till, crm)

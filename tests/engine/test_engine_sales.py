"""Which sales take part, which rows they become, and what stays when the till takes something away."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from engine_desk import NOON, line, payment, sale

from tillbridge.engine.sales import HISTORY_AFTER, plan_sales
from tillbridge.model.records import SaleState

KEYS = {"sale": "Transaction_Key__c", "line": "Line_Key__c", "payment": "Payment_Key__c"}


def plan(desk, *sales, history=False, seen_at=NOON):
    return plan_sales(desk.connection, sales, history=history, seen_at=seen_at)


def rows(planned, kind):
    return {row.till_id: row.payload for row in planned.rows if row.kind == kind}


def test_a_sale_becomes_a_header_its_lines_and_its_payments(desk):
    planned = plan(desk, sale(1, lines=[line(11), line(12)], payments=[payment(101, "20")]))

    assert ["sale", "line", "line", "payment"] == [row.kind for row in planned.rows]
    assert [None, "1", "1", "1"] == [row.sale for row in planned.rows]
    assert "190001-S1" == rows(planned, "sale")["1"]["Transaction_Key__c"]


@pytest.mark.parametrize(
    ("settings", "wish", "state", "words"),
    [
        ({}, {"state": SaleState.OPEN, "completed_at": None}, "open", "not completed"),
        ({}, {"state": SaleState.CANCELLED, "completed_at": None}, "left_out", "cancelled"),
        ({"stores": frozenset({"2"})}, {}, "left_out", "sales.stores"),
        ({"registers": frozenset({"2"})}, {}, "left_out", "sales.registers"),
        ({"channels": frozenset({"eCom"})}, {}, "left_out", "sales.channels"),
        ({"since": date(2026, 11, 21)}, {}, "left_out", "sales.since"),
    ],
    ids=["open", "cancelled", "another store", "another register", "another channel", "too old"],
)
def test_a_sale_that_stays_in_the_till_stands_there_with_its_reason(desks, settings, wish, state, words):
    desk = desks(**settings)
    planned = plan(desk, sale(1, lines=[line(11)], **wish))

    [standing] = planned.settled
    assert ([], state, True) == (planned.rows, standing.state, words in standing.reason)


def test_a_sale_that_is_in_the_crm_already_is_kept_up_to_date_whatever_takes_part(desks):
    desk = desks(stores=frozenset({"2"}))
    desk.stand("sale", "1", crm_id="a01", object="Sales_Transaction__c")

    assert ["sale", "line"] == [row.kind for row in plan(desk, sale(1, lines=[line(11)])).rows]


@pytest.mark.parametrize(
    ("historic_load", "age", "known", "expected"),
    [
        (True, timedelta(0), None, True),
        (False, timedelta(0), None, False),
        (False, HISTORY_AFTER + timedelta(hours=1), None, True),
        (False, timedelta(0), True, True),
        (True, timedelta(0), False, False),
    ],
    ids=["loaded as history", "news", "met late", "was history and stays it", "was news and stays it"],
)
def test_history_says_so_and_never_changes_its_mind(desk, historic_load, age, known, expected):
    if known is not None:
        desk.stand("sale", "1", crm_id="a01", history=known)
    planned = plan(desk, sale(1), history=historic_load, seen_at=NOON + age)

    assert expected == rows(planned, "sale")["1"]["Loaded_As_History__c"] == planned.rows[0].history


def test_a_line_that_is_gone_from_the_till_stays_at_zero(desk):
    desk.stand("sale", "1", crm_id="a01")
    for gone in ("11", "12"):
        desk.stand("line", gone, crm_id=f"l{gone}", parent="1")
    lines = rows(plan(desk, sale(1, lines=[line(11)])), "line")

    assert [Decimal(10), Decimal(0)] == [lines[i]["Total__c"] for i in ("11", "12")]
    assert Decimal(0) == lines["12"]["Quantity__c"]


@pytest.mark.parametrize(
    "payments",
    [[payment(101)], [payment(101), payment(102, archived=True)]],
    ids=["not shown any more", "shown as taken back"],
)
def test_a_payment_that_was_taken_back_stays_at_zero(desk, payments):
    desk.stand("sale", "1", crm_id="a01")
    for known in ("101", "102"):
        desk.stand("payment", known, crm_id=f"p{known}", parent="1")
    found = rows(plan(desk, sale(1, lines=[line(11)], payments=payments)), "payment")

    assert {"101": Decimal(10), "102": Decimal(0)} == {i: row["Amount__c"] for i, row in found.items()}


def test_a_payment_that_never_landed_does_not_come_back_as_nothing(desk):
    found = plan(desk, sale(1, lines=[line(11)], payments=[payment(101), payment(102, archived=True)]))

    assert ["101"] == list(rows(found, "payment"))


def test_a_void_writes_zero_and_keeps_what_it_was(desk):
    voided = sale(
        1, lines=[line(11, "25")], payments=[payment(101, "25", archived=True)], state=SaleState.VOIDED
    )
    planned = plan(desk, voided)

    header = rows(planned, "sale")["1"]
    assert ("Voided", Decimal(0), Decimal(25)) == (
        header["Status__c"],
        header["Total__c"],
        header["Voided_Total__c"],
    )
    assert (
        Decimal(0) == rows(planned, "line")["11"]["Total__c"] == rows(planned, "payment")["101"]["Amount__c"]
    )


def test_the_business_day_is_the_stores(desk):
    late = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
    planned = plan(desk, sale(1, lines=[line(11)], completed_at=late))

    assert {date(2026, 11, 20)} == {row.payload["Business_Date__c"] for row in planned.rows}

"""The certificate: figures per store, day and currency, and the receipts behind a difference."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tillbridge.model.writing import FieldFacts
from tillbridge.sync.certify import (
    Cell,
    Difference,
    Evidence,
    FieldDifference,
    Receipt,
    ReceiptDifference,
    Totals,
    add_up,
    alike,
    compare,
    content_hash,
    explain,
    plain,
    reason_of,
    unlike,
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


def test_receipts_are_alike_in_figures_and_place():
    mine = Receipt("S1", MONDAY, SALE)
    assert alike(mine, Receipt("S1", MONDAY, SALE))
    assert not alike(mine, Receipt("S1", TUESDAY, SALE))
    assert not alike(mine, Receipt("S1", MONDAY, VOID))


# --- content -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "ours", "theirs"),
    [
        pytest.param({"type": "boolean"}, None, "false", id="a checkbox is never empty"),
        pytest.param({"type": "boolean"}, True, "true", id="a ticked checkbox"),
        pytest.param({"type": "string"}, None, None, id="an empty text"),
        pytest.param({"type": "string"}, " Ring ", "Ring", id="texts are trimmed"),
        pytest.param({"type": "textarea"}, "a\nb", "a\r\nb", id="line ends"),
        pytest.param({"type": "currency", "precision": 18, "scale": 2}, D("1.50"), "1.5", id="money"),
        pytest.param({"type": "currency", "precision": 18, "scale": 2}, D(0), "0.0", id="no money"),
        pytest.param({"type": "double", "precision": 18, "scale": 3}, D("1.0004"), "1.0", id="a scale"),
        pytest.param({"type": "double", "precision": 18, "scale": 0}, 1_000, "1000.0", id="thousands"),
        pytest.param({"type": "int"}, 3, "3", id="a whole number"),
        pytest.param({"type": "date"}, date(2026, 3, 2), "2026-03-02", id="a day"),
        pytest.param(
            {"type": "datetime"},
            datetime(2026, 3, 2, 14, 0, 0, 999, timezone(timedelta(hours=2))),
            "2026-03-02T12:00:00.000+0000",
            id="a moment, in another zone and without its fraction",
        ),
        pytest.param(
            {"type": "reference"}, "a0B000000000001AAA", "a0B000000000001", id="an id without checksum"
        ),
    ],
)
def test_both_sides_spell_a_value_alike(facts, ours, theirs):
    field = FieldFacts(name="X__c", **facts)
    assert plain(ours, field) == plain(theirs, field)


@pytest.mark.parametrize(
    ("facts", "ours", "theirs"),
    [
        pytest.param({"type": "string"}, "Ring", "ring", id="case"),
        pytest.param({"type": "currency", "precision": 18, "scale": 2}, None, "0", id="empty is not zero"),
        pytest.param({"type": "currency", "precision": 18, "scale": 2}, D("0.01"), "0.02", id="a cent"),
        pytest.param(
            {"type": "datetime"}, datetime(2026, 3, 2, tzinfo=UTC), "2026-03-02T00:00:01Z", id="a second"
        ),
    ],
)
def test_what_differs_is_spelled_differently(facts, ours, theirs):
    field = FieldFacts(name="X__c", **facts)
    assert plain(ours, field) != plain(theirs, field)


def test_a_receipts_hash_is_that_of_its_rows_in_any_order():
    first, second = content_hash("L1", {"a": "1", "b": "2"}), content_hash("L2", {"a": "1"})
    assert first == content_hash("L1", {"b": "2", "a": "1"})
    assert 1 == len({first + second, second + first})
    assert 4 == len({first, second, content_hash("L1", {"a": "2", "b": "1"}), content_hash("L1", {"a": "1"})})


def test_rows_are_compared_field_by_field():
    types = {"a": "string", "b": "currency"}
    assert [FieldDifference("L1", "b", "currency", "2", "3")] == unlike(
        "L1", {"a": "x", "b": "2"}, {"a": "x", "b": "3"}, types
    )
    assert [FieldDifference("L1", "", "row", "", None)] == unlike("L1", {"a": "x"}, None, types)
    assert [FieldDifference("L1", "", "row", None, "")] == unlike("L1", None, {"a": "x"}, types)


# --- why -----------------------------------------------------------------------------------------


def field(name="Notes__c", type_="string", till="a", crm="b", row="S1"):
    return FieldDifference(row, name, type_, till, crm)


CENT = field("Tax__c", "currency", "8", "8.01")
EURO = field("Tax__c", "currency", "8", "9")
DAY = field("Business_Date__c", "date", "2026-03-02", "2026-03-01")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({"in_till": False}, "extra", id="the till does not know it"),
        pytest.param(
            {"left_out": "its store does not take part", "problem": "x"}, "left out", id="out of scope"
        ),
        pytest.param(
            {"problem": "bad value", "voided_in_till": True}, "refused", id="the CRM refuses what is new"
        ),
        pytest.param({"in_crm": False}, "late", id="never seen"),
        pytest.param({"in_crm": False, "seen_before": True}, "late", id="seen, and not sent yet"),
        pytest.param({"in_crm": False, "gone": True}, "deleted in Salesforce", id="it was there once"),
        pytest.param(
            {"in_crm": False, "gone": True, "problem": "x"}, "refused", id="gone, and refused since"
        ),
        pytest.param({"voided_in_till": True, "sent_same": False}, "void", id="voided since"),
        pytest.param(
            {"voided_in_till": True, "sent_same": True, "by_others": True},
            "edited in Salesforce",
            id="its void was sent, and undone there",
        ),
        pytest.param({"gone": True, "sent_same": True}, "deleted in Salesforce", id="a line is gone"),
        pytest.param({"sent_same": False, "changed": True}, "late", id="changed since"),
        pytest.param(
            {"sent_same": False, "changed": True, "fields": (CENT,)}, "late", id="changed by a cent"
        ),
        pytest.param({"sent_same": True, "changed": True}, "edited in Salesforce", id="only its stamp moved"),
        pytest.param({"sent_same": False, "changed": False}, "mapping", id="we would write it differently"),
        pytest.param({"sent_same": False, "map_moved": False}, "late", id="silently changed, nothing kept"),
        pytest.param({"sent_same": False, "map_moved": True}, "mapping", id="another map, nothing kept"),
        pytest.param({"sent_same": None, "map_moved": True}, "mapping", id="no digest, another map"),
        pytest.param({"sent_same": None}, "edited in Salesforce", id="no digest, the same map"),
        pytest.param({"sent_same": True}, "edited in Salesforce", id="we would send what we sent"),
        pytest.param({"sent_same": True, "fields": (CENT,)}, "rounding", id="a cent"),
        pytest.param({"sent_same": True, "fields": (EURO,)}, "edited in Salesforce", id="more than a cent"),
        pytest.param(
            {"sent_same": True, "fields": (CENT, field())}, "edited in Salesforce", id="a cent and more"
        ),
        pytest.param(
            {"sent_same": True, "lines": 2, "fields": (field("Tax__c", "currency", "8", "8.02"),)},
            "rounding",
            id="a cent a line",
        ),
        pytest.param({"sent_same": True, "fields": (DAY,)}, "time zone", id="the day before"),
        pytest.param(
            {"sent_same": False, "changed": False, "fields": (DAY,)}, "time zone", id="a zone set right"
        ),
        pytest.param(
            {"sent_same": True, "fields": (field("Business_Date__c", "date", "2026-03-02", "2026-02-02"),)},
            "edited in Salesforce",
            id="another month is no time zone",
        ),
        pytest.param(
            {"sent_same": False, "changed": False, "fields": (field("Account__c"),)},
            "lookup",
            id="decided since",
        ),
        pytest.param({"sent_same": True, "by_hand": True}, "edited", id="a person has set it"),
        pytest.param({"problem": "refused", "by_hand": True}, "refused", id="set, and refused again"),
    ],
)
def test_why_a_receipt_differs(facts, expected):
    known = {
        "in_till": True,
        "in_crm": True,
        "fields": (field(),),
        "lookups": frozenset({"Account__c"}),
        **facts,
    }
    reason, note = reason_of(Evidence(**known))
    assert (expected, True) == (reason, bool(note))

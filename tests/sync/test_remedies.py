"""Values that people type, and what stands for a value once somebody has decided."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tillbridge.model.writing import FieldFacts
from tillbridge.sync.remedies import Decided, Edit, Remedy, replaced, typed


def field(kind, **more):
    return FieldFacts(name="F__c", type=kind, **more)


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("Ring", field("string", length=4), "Ring"),
        ("", field("string"), None),
        ("true", field("boolean"), True),
        ("FALSE", field("boolean"), False),
        ("12", field("int"), 12),
        ("12.50", field("currency"), Decimal("12.50")),
        ("2026-11-30", field("date"), date(2026, 11, 30)),
        ("2026-11-30T17:05:00Z", field("datetime"), datetime(2026, 11, 30, 17, 5, tzinfo=UTC)),
        ("2026-11-30T17:05:00", field("datetime"), datetime(2026, 11, 30, 17, 5, tzinfo=UTC)),
        ("Sale", field("picklist", restricted=True, values=("Sale",)), "Sale"),
        ("New", field("picklist", values=("Sale",)), "New"),
    ],
)
def test_what_a_person_types_is_read_by_the_fields_type(text, facts, expected):
    assert expected == typed(text, facts)


@pytest.mark.parametrize(
    ("text", "facts", "sentence"),
    [
        ("Rings", field("string", length=4), "F__c takes 4 characters, not 5"),
        ("yes", field("boolean"), "true or false is expected, not yes"),
        ("1.5", field("int"), "a whole number is expected, not 1.5"),
        ("NaN", field("double"), "a number is expected, not NaN"),
        ("today", field("date"), "a date such as 2026-11-30 is expected, not today"),
        ("now", field("datetime"), "a time such as 2026-11-30T17:05:00Z is expected, not now"),
        ("X", field("picklist", restricted=True, values=("A", "B")), "the picklist F__c has no value X"),
    ],
)
def test_what_does_not_suit_the_field_is_said_in_words(text, facts, sentence):
    with pytest.raises(ValueError, match=sentence):
        typed(text, facts)


def remedy(**more):
    return Remedy(**{"cause": "c", "object": "O", "field": "F__c", "action": "replace", **more})


@pytest.mark.parametrize(
    ("value", "expected"),
    [("Cash", "CASH"), ("cash", "cash"), (None, None), ("Gone", None), (Decimal("1.50"), Decimal("1.50"))],
)
def test_only_the_very_value_is_replaced(value, expected):
    remedies = [remedy(seen="Cash", given="CASH"), remedy(seen="Gone", given=None)]
    assert expected == replaced(value, field("string"), remedies)


def test_numbers_are_compared_as_numbers():
    assert Decimal(2) == replaced(Decimal("1.50"), field("double"), [remedy(seen="1.5", given="2")])


def test_a_field_is_left_out_for_its_cause_alone():
    decided = Decided(
        {"O": [remedy(action="leave_out"), remedy(action="leave_out", cause="d", field="G__c")]}
    )
    assert [{"F__c"}, {"G__c"}, set()] == [decided.left_out(cause) for cause in "cde"]


def test_the_fields_that_decisions_add_are_known_beforehand():
    decided = Decided({"O": [remedy(action="default", given="x")]}, {("sale", "7"): Edit({"G__c": "y"})})
    assert [{"F__c", "G__c"}, {"G__c"}, {"F__c"}] == [
        decided.fields_of(kind, name) for kind, name in [("sale", "O"), ("sale", "P"), ("line", "O")]
    ]


@pytest.mark.parametrize(
    ("kept", "mapped", "holds"),
    [
        ("1", "1", True),
        ("1", "2", False),
        ("324.0", Decimal(324), True),
        ("325", Decimal(324), False),
        (None, Decimal(0), False),
        (None, "", True),
        ("", None, True),
        ("2026-11-20", date(2026, 11, 20), True),
        ("2026-11-20", date(2026, 11, 21), False),
        (True, True, True),
        (False, True, False),
    ],
)
def test_what_was_set_by_hand_holds_until_the_till_makes_something_else_of_the_field(kept, mapped, holds):
    assert holds == Edit({"Name": "A"}, {"Name": kept}).holds("Name", mapped)
    assert Edit({"Name": "A"}).holds("Name", mapped), "nobody knows what it was instead of"

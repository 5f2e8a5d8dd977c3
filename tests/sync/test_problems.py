"""Refusals: what to do with the row, which ones share a cause, and what a person can change."""

import pytest

from tillbridge.model.acks import Refused
from tillbridge.sync.problems import MEANINGS, advice_for, cause_of, class_of


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", "problem"),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Rings need a size.", "problem"),
        ("STRING_TOO_LONG", "Name: data value too large: Wolfe… (max length=80)", "problem"),
        ("INVALID_EMAIL_ADDRESS", "Email: invalid email address: none", "problem"),
        (
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Type__c: bad value for restricted picklist field: X",
            "problem",
        ),
        ("INVALID_FIELD", "No such column 'Foo__c' on sobject of type Bar__c", "problem"),
        (
            "INVALID_FIELD",
            "Foreign key external ID: 190001-s7 not found for field Transaction_Key__c in entity Sale__c",
            "waiting",
        ),
        (
            "DUPLICATE_VALUE",
            "duplicate value found: Key__c duplicates value on record with id: a01000000000001",
            "problem",
        ),
        ("DUPLICATE_VALUE", "Duplicate external id specified: 190001-S7", "transient"),
        ("DUPLICATES_DETECTED", "Use one of these records?", "review"),
        ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", "waiting"),
        ("ENTITY_IS_DELETED", "entity is deleted", "waiting"),
        ("STANDARD_PRICE_NOT_DEFINED", "No standard price defined for this product", "waiting"),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", "problem"),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Guard: execution of BeforeInsert", "problem"),
        (
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "Guard: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access",
            "transient",
        ),
        ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", "transient"),
        ("UNKNOWN_EXCEPTION", "An unexpected error occurred.", "transient"),
        ("SERVER_UNAVAILABLE", "Server Unavailable", "transient"),
        ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", "halted"),
        ("API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner", "halted"),
        ("SOMETHING_NEW", "what is this", "problem"),
    ],
)
def test_what_to_do_with_the_row(code, message, expected):
    assert expected == class_of(Refused(code, message))


SAME_CAUSE = [
    ("ids", "DUPLICATE_VALUE", "on record with id: {}", "a01xx0000000001AAA", "a01xx0000000077BBB"),
    ("our keys", "INVALID_FIELD", "Foreign key external ID: {} not found for K__c", "1-s7", "190001-s99"),
    ("bad e-mails", "INVALID_EMAIL_ADDRESS", "Email: invalid email address: {}", "none", "ask@"),
    ("list values", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "T__c: bad value for field: {}", "A", "B c"),
    ("numbers", "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Total {} is above 10", "12.50", "7,300.00"),
    ("addresses", "FIELD_CUSTOM_VALIDATION_EXCEPTION", "{} is blocked", "m@example.com", "o@example.org"),
    ("long texts", "STRING_TOO_LONG", "Name: data value too large: {} (max length=80)", "Wolfe", "A b c"),
]


@pytest.mark.parametrize(
    ("code", "message", "one", "other"), [pytest.param(*rest, id=text) for text, *rest in SAME_CAUSE]
)
def test_values_do_not_make_another_cause(code, message, one, other):
    a, b = (Refused(code, message.format(value), ("F__c",)) for value in (one, other))

    assert cause_of("Sale__c", a) == cause_of("Sale__c", b)


@pytest.mark.parametrize(
    ("object_name", "ack"),
    [
        pytest.param(
            "Line__c",
            Refused("STRING_TOO_LONG", "Name: data value too large: x", ("Name",)),
            id="another object",
        ),
        pytest.param(
            "Sale__c",
            Refused("STRING_TOO_LONG", "Name: data value too large: x", ("City",)),
            id="another field",
        ),
        pytest.param(
            "Sale__c",
            Refused("INVALID_FIELD", "No such column 'A__c' on sobject of type B", ("Name",)),
            id="another code",
        ),
        pytest.param(
            "Sale__c",
            Refused("STRING_TOO_LONG", "City: data value too large: x", ("Name",)),
            id="another message",
        ),
    ],
)
def test_what_makes_another_cause(object_name, ack):
    known = Refused("STRING_TOO_LONG", "Name: data value too large: x", ("Name",))

    assert cause_of("Sale__c", known) != cause_of(object_name, ack)


def test_missing_columns_are_told_apart():
    assert cause_of("S", Refused("INVALID_FIELD", "No such column 'A__c'")) != cause_of(
        "S", Refused("INVALID_FIELD", "No such column 'B__c'")
    )


def test_a_cause_tells_no_values():
    cause = cause_of(
        "Account", Refused("INVALID_EMAIL_ADDRESS", "Email: invalid email address: maren@example", ("Email",))
    )

    assert cause.startswith("INVALID_EMAIL_ADDRESS:Account:Email:")
    assert "maren" not in cause


@pytest.mark.parametrize("code", [*sorted(MEANINGS), "SOMETHING_NEW"])
def test_every_code_has_one_line_of_advice(code):
    advice = advice_for(Refused(code, ""))

    assert advice.endswith(".")
    assert "\n" not in advice


def test_the_handle_at_the_end_of_a_cause_is_its_own():
    """`problems fix` takes the last part alone, and one trouble may hit four objects in the same words."""
    said = Refused("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")
    names = ("Account", "Sales_Transaction__c", "Sales_Transaction_Line__c", "Sales_Payment__c")
    handles = {cause_of(name, said).rpartition(":")[2] for name in names}
    handles |= {cause_of("Account", Refused(said.code, said.message, ("Name",))).rpartition(":")[2]}
    assert len(names) + 1 == len(handles)

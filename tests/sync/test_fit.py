"""Fitting a payload to the org: degrade the field, never lose the record."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tillbridge.model.sale import Ref
from tillbridge.model.writing import FieldFacts, KeyRef, ObjectFacts
from tillbridge.sync.fit import fit


def org(*fields, **named):
    facts = [*fields, *(FieldFacts(name=name, type=kind) for name, kind in named.items())]
    return ObjectFacts(
        name="X", label="X", createable=True, updateable=True, fields={each.name: each for each in facts}
    )


NAME = FieldFacts(name="Name", type="string", length=5)
EMAIL = FieldFacts(name="Email", type="email", length=80)
AMOUNT = FieldFacts(name="Amount", type="currency", precision=18, scale=2)
RATE = FieldFacts(name="Rate", type="double", precision=18, scale=12)
COUNT = FieldFacts(name="Count", type="int", precision=9)
KIND = FieldFacts(name="Kind", type="picklist", restricted=True, values=("Sale", "Refund"), length=255)
OPEN = FieldFacts(name="Open", type="picklist", values=("Sale",), length=255)
DAY = FieldFacts(name="Day", type="date")
LOOKUP = FieldFacts(name="Store__c", type="reference", length=18)


@pytest.mark.parametrize(
    ("field", "given", "expected", "what"),
    [
        pytest.param(NAME, "Maren", "Maren", None, id="it fits"),
        pytest.param(NAME, "Maren Oduya", "Maren", "cut", id="too long: cut, and noted"),
        pytest.param(NAME, None, None, None, id="emptied on purpose"),
        pytest.param(EMAIL, "maren@example.com", "maren@example.com", None, id="an e-mail"),
        pytest.param(EMAIL, "ask her", None, "dropped", id="no e-mail: the customer arrives without"),
        pytest.param(AMOUNT, Decimal("10.005"), Decimal("10.01"), "rounded", id="rounded half up"),
        pytest.param(AMOUNT, Decimal("10.500"), Decimal("10.50"), None, id="zeros are no loss"),
        pytest.param(RATE, Decimal("1E+20"), Decimal("1E+20"), None, id="large numbers of many decimals"),
        pytest.param(COUNT, Decimal("2.0"), 2, None, id="a whole number"),
        pytest.param(KIND, "Sale", "Sale", None, id="a value of the list"),
        pytest.param(
            KIND, "Gift", "Gift", "refused value", id="an unknown value stays, so that its refusal is seen"
        ),
        pytest.param(OPEN, "Gift", "Gift", None, id="an open list takes anything"),
        pytest.param(
            DAY, datetime(2026, 3, 2, 17, tzinfo=UTC), date(2026, 3, 2), None, id="a moment where a day goes"
        ),
        pytest.param(LOOKUP, Ref("line", "1"), Ref("line", "1"), None, id="a lookup passes"),
        pytest.param(
            LOOKUP,
            KeyRef("Store__r", "K__c", "1"),
            KeyRef("Store__r", "K__c", "1"),
            None,
            id="a lookup by key passes",
        ),
    ],
)
def test_one_field(field, given, expected, what):
    payload, notes = fit({field.name: given}, org(field))

    assert {field.name: expected} == payload
    assert ([what] if what else []) == [note.what for note in notes]


def test_a_field_the_org_does_not_show_is_left_out_and_noted():
    payload, notes = fit({"Id": "a01", "Name": "Maren", "Ring__c": "52"}, org(NAME))

    assert {"Id": "a01", "Name": "Maren"} == payload
    assert [("Ring__c", "unknown field")] == [(note.field, note.what) for note in notes]


def test_notes_tell_no_values():
    _, notes = fit({"Name": "Maren Oduya", "Email": "maren@"}, org(NAME, EMAIL))

    assert not [note for note in notes if "Maren" in note.text or "maren" in note.text]


def test_required_fields_are_asked_for_when_creating():
    must = FieldFacts(name="LastName", type="string", length=80, required=True)

    assert [] == fit({"Name": "x"}, org(NAME, must))[1]
    assert ["LastName"] == [note.field for note in fit({"Name": "x"}, org(NAME, must), creating=True)[1]]


TEXTS = org(Street="textarea", City="string", State="string", Country="string")
LISTS = org(
    FieldFacts(name="StateCode", type="picklist", values=("NY", "NSW")),
    FieldFacts(name="CountryCode", type="picklist", values=("US", "AU", "NL")),
    Street="textarea",
    State="string",
    Country="string",
)


@pytest.mark.parametrize(
    ("facts", "given", "expected", "moved"),
    [
        pytest.param(
            TEXTS,
            {"State": "New York", "StateCode": "NY", "Country": "United States", "CountryCode": "US"},
            {"State": "New York", "Country": "United States"},
            False,
            id="an org of free text: codes are no matter",
        ),
        pytest.param(
            LISTS,
            {"State": "New York", "StateCode": "NY", "Country": "United States", "CountryCode": "US"},
            {"StateCode": "NY", "CountryCode": "US"},
            False,
            id="an org of lists: codes only",
        ),
        pytest.param(
            LISTS,
            {"State": None, "StateCode": None, "Country": "Nederland", "CountryCode": None},
            {"StateCode": None, "CountryCode": "NL"},
            False,
            id="the code of a country by its name",
        ),
        pytest.param(
            LISTS,
            {"State": "New South Wales", "StateCode": None, "Country": "Australia", "CountryCode": None},
            {"StateCode": "NSW", "CountryCode": "AU"},
            False,
            id="the code of a state by its name",
        ),
        pytest.param(
            LISTS,
            {
                "Street": "Kerkstraat 1",
                "State": "Utrecht",
                "StateCode": None,
                "Country": "Nederland",
                "CountryCode": "NL",
            },
            {"Street": "Kerkstraat 1\nUtrecht", "StateCode": None, "CountryCode": "NL"},
            True,
            id="a state that the list lacks moves to the street",
        ),
        pytest.param(
            LISTS,
            {"State": "Somewhere", "StateCode": "NY", "Country": "Atlantis", "CountryCode": None},
            {"Street": "Somewhere, Atlantis", "StateCode": None, "CountryCode": None},
            True,
            id="a state needs its country",
        ),
    ],
)
def test_states_and_countries(facts, given, expected, moved):
    payload, notes = fit(given, facts)

    assert expected == payload
    assert (["moved"] if moved else []) == [note.what for note in notes]

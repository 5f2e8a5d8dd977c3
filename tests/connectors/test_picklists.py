"""What goes back into a picklist's definition: all that was read, and the new values."""

import pytest

from tillbridge.connectors.salesforce.picklists import field_id, place_of, shared_name, with_values
from tillbridge.model.errors import Transient


def value(name, active=None):
    return {"valueName": name, "label": name, "default": False, "isActive": active, "color": "#fff"}


def definition(*values, shared=None):
    own = None if shared else {"sorted": True, "value": list(values)}
    value_set = {"restricted": True, "valueSetDefinition": own, "valueSetName": shared}
    return {"FullName": "A__c.B__c", "Metadata": {"label": "B", "type": "Picklist", "valueSet": value_set}}


def shown(body):
    return body["Metadata"]["valueSet"]["valueSetDefinition"]["value"]


def test_new_values_stand_behind_those_that_were_there_and_nothing_else_changes():
    held = definition(value("Cash"), value("Card"))
    body = with_values(held, ["Twint", "Cash"])
    assert ["Cash", "Card", "Twint"] == [each["valueName"] for each in shown(body)]
    assert [value("Cash"), value("Card")] == shown(body)[:2]
    assert ("A__c.B__c", "B", True) == (
        body["FullName"],
        body["Metadata"]["label"],
        body["Metadata"]["valueSet"]["restricted"],
    )
    assert 2 == len(shown(held)), "what was read is left as it was"


def test_an_inactive_value_is_revived_and_an_active_one_asks_for_nothing():
    assert [True] == [
        each["isActive"] for each in shown(with_values(definition(value("Cash", active=False)), ["Cash"]))
    ]
    assert with_values(definition(value("Cash"), value("Card", active=True)), ["Cash", "Card"]) is None


def test_a_global_value_set_keeps_its_values_elsewhere():
    assert ("Tenders", None) == (
        shared_name(definition(shared="Tenders")),
        shared_name(definition(value("A"))),
    )
    held = {"FullName": "Tenders", "Metadata": {"customValue": [value("Cash")], "masterLabel": "Tenders"}}
    names = [each["valueName"] for each in with_values(held, ["Twint"])["Metadata"]["customValue"]]
    assert ["Cash", "Twint"] == names


@pytest.mark.parametrize(
    "held",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"FullName": "A__c.B__c", "Metadata": None}, id="hidden"),
        pytest.param(definition(), id="no value at all"),
        pytest.param({"FullName": "A__c.B__c", "Metadata": {"label": "B", "valueSet": None}}, id="no list"),
    ],
)
def test_what_was_not_read_whole_is_never_put_back(held):
    with pytest.raises(Transient):
        with_values(held, ["Twint"])


@pytest.mark.parametrize(
    ("durable", "expected"),
    [("01I000000000001.00N000000000002", "00N000000000002"), ("Account.Industry", None), (None, None)],
)
def test_a_fields_id_is_the_last_part_of_its_durable_id(durable, expected):
    records = [{"DurableId": durable}] if durable else []
    assert expected == field_id({"records": records})


def test_a_person_accounts_custom_field_is_defined_on_contact():
    assert ("Contact", "Size__c") == place_of("Account", "Size__pc")
    assert ("Account", "Size__c") == place_of("Account", "Size__c")

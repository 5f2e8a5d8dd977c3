"""The tooling door of the simulated org: a picklist's definition is read, and put back whole."""

import pytest
from salesforce_org import Shop


@pytest.fixture
def shop():
    return Shop()


def definition(shop, name="Sale__c", field="Status__c"):
    text = (
        "SELECT DurableId FROM FieldDefinition WHERE "
        f"EntityDefinition.QualifiedApiName = '{name}' AND QualifiedApiName = '{field}'"
    )
    status, answer, _ = shop.rest("GET", f"/tooling/query?q={text.replace(' ', '+')}")
    assert 200 == status
    [row] = answer["records"]
    path = f"/tooling/sobjects/CustomField/{row['DurableId'].rpartition('.')[2]}"
    return path, *shop.rest("GET", path)[:2]


def names(held):
    values = held["Metadata"]["valueSet"]["valueSetDefinition"]["value"]
    return {value["valueName"]: value["isActive"] for value in values}


def test_a_definition_tells_its_values_and_a_patch_replaces_them_all(shop):
    path, status, held = definition(shop)
    assert (200, "Sale__c.Status__c", {"Completed": None, "Voided": None}) == (
        status,
        held["FullName"],
        names(held),
    )
    values = held["Metadata"]["valueSet"]["valueSetDefinition"]["value"]
    values[1] = {"valueName": "Open", "label": "Open", "default": False}
    body = {"FullName": held["FullName"], "Metadata": held["Metadata"]}
    assert 204 == shop.rest("PATCH", path, body)[0]

    assert {"Completed": None, "Open": None, "Voided": False} == names(definition(shop)[2])
    assert [] == shop.code("Sale__c", Sale_Key__c="S1", Status__c="Open")
    refused = shop.code("Sale__c", Sale_Key__c="S2", Status__c="Voided")
    assert ["INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"] == refused, "what a patch leaves out is inactive"


@pytest.mark.parametrize(
    ("denies", "status", "code"),
    [("403", 403, "INSUFFICIENT_ACCESS_OR_READONLY"), ("invalid_type", 400, "INVALID_TYPE")],
)
def test_who_may_not_customize_is_refused_in_either_way(denies, status, code):
    shop = Shop(customize_application=False, tooling_denies=denies)
    _, found, answer = definition(shop)
    assert (status, code) == (found, answer[0]["errorCode"])


def test_a_value_cannot_be_there_twice_whatever_its_case(shop):
    path, _, held = definition(shop)
    values = held["Metadata"]["valueSet"]["valueSetDefinition"]["value"]
    values.append({"valueName": "voided", "label": "voided"})
    status, answer, _ = shop.rest("PATCH", path, {"FullName": "x", "Metadata": held["Metadata"]})
    assert (400, "DUPLICATE_VALUE") == (status, answer[0]["errorCode"])

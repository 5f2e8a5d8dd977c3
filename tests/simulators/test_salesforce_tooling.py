"""The tooling door of the simulated org: a picklist's definition is read, and put back whole."""

from urllib.parse import quote_plus

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


# --- what the org does by itself -----------------------------------------------------------------


def listed(shop, text, tooling=False):
    path = f"{'/tooling' if tooling else ''}/query?q={quote_plus(text)}"
    status, answer, _ = shop.rest("GET", path)
    return status, answer


FLOWS = "SELECT ApiName, TriggerObjectOrEventId FROM FlowDefinitionView WHERE IsActive = true"
TRIGGERS = "SELECT Name, TableEnumOrId FROM ApexTrigger WHERE Status = 'Active'"
RULES = "SELECT ValidationName, EntityDefinition.QualifiedApiName FROM ValidationRule WHERE Active = true"


def test_a_custom_object_is_named_by_an_id_that_its_definition_tells():
    shop = Shop(automations=[{"kind": "flow", "name": "Points", "object": "Sale__c"}])
    _, answer = listed(shop, FLOWS)
    where = "QualifiedApiName IN ('Sale__c', 'Account')"
    _, entities = listed(shop, f"SELECT QualifiedApiName, DurableId FROM EntityDefinition WHERE {where}")
    ids = {row["QualifiedApiName"]: row["DurableId"] for row in entities["records"]}
    assert ids["Sale__c"] == answer["records"][0]["TriggerObjectOrEventId"]
    assert ("Account", "01I", 15) == (ids["Account"], ids["Sale__c"][:3], len(ids["Sale__c"]))


def test_a_flow_with_a_draft_above_the_version_that_runs_is_not_active_and_has_an_active_version():
    entries = [{"kind": "flow", "name": name, "object": "Account"} for name in ("Runs", "Rests", "Edited")]
    entries[1]["active"], entries[2]["draft"] = False, True
    text = "SELECT ApiName, IsActive, ActiveVersionId FROM FlowDefinitionView"
    _, answer = listed(Shop(automations=entries), text)
    shown = {r["ApiName"]: (r["IsActive"], bool(r["ActiveVersionId"])) for r in answer["records"]}
    assert {"Runs": (True, True), "Rests": (False, False), "Edited": (False, True)} == shown


@pytest.mark.parametrize(
    ("text", "tooling"), [(FLOWS, False), (TRIGGERS, True), (RULES, True)], ids=["flows", "triggers", "rules"]
)
def test_who_may_not_view_setup_is_told_that_there_is_no_such_thing(text, tooling):
    status, answer = listed(Shop(view_setup=False), text, tooling)
    assert (400, "INVALID_TYPE") == (status, answer[0]["errorCode"])


def test_a_column_of_a_parent_comes_inside_of_it():
    shop = Shop(automations=[{"kind": "validation", "name": "Strict", "object": "Account"}])
    _, answer = listed(shop, RULES, tooling=True)
    assert "Account" == answer["records"][0]["EntityDefinition"]["QualifiedApiName"]


def test_an_unknown_column_is_refused():
    shop = Shop(automations=[{"kind": "trigger", "name": "T", "object": "Account"}])
    status, answer = listed(shop, "SELECT Nonsense FROM ApexTrigger", tooling=True)
    assert (400, "INVALID_FIELD") == (status, answer[0]["errorCode"])

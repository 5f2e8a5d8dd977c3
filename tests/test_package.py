"""What the Salesforce package promises: names, keys, help, rights. Read from the source as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tillbridge.connectors.salesforce import metadata
from tillbridge.sync.presets import preset_names, preset_table

SOURCE = metadata.package_folder() / metadata.SOURCE_ROOT
FILES = sorted(SOURCE.rglob("*.xml"))
NS = {"m": metadata.NAMESPACE}

# Every name here is relied on by reports, tests and other people's tools: renaming one breaks them.
PROMISED = {
    "Retail_Store__c": "Store_Key__c Store_Code__c Time_Zone__c Default_Owner__c",
    "Retail_Employee__c": "Employee_Key__c Active__c User__c",
    "Inventory_Level__c": (
        "Inventory_Key__c Product__c Store__c Quantity_On_Hand__c Sellable__c Reorder_Point__c"
    ),
    "Customer_Identity__c": "Identity_Key__c Account__c Contact__c Lead__c Rule__c Evidence__c Status__c",
    "Sales_Transaction__c": (
        "Transaction_Key__c Ticket_Number__c Status__c Type__c Completed_At__c Business_Date__c "
        "Currency_Code__c Subtotal__c Discount__c Tax__c Tax_1__c Tax_2__c Tax_Inclusive__c Total__c "
        "Net_Sales__c Reporting_Net_Sales__c Reporting_Rate__c Paid__c Voided_Total__c Register__c "
        "Channel__c Store__c Store_Code__c Cashier__c Salesperson__c Account__c Contact__c Lead__c "
        "Original_Transaction__c Loaded_As_History__c Notes__c"
    ),
    "Sales_Transaction_Line__c": (
        "Line_Key__c Sales_Transaction__c Product__c SKU__c Description__c Category__c Quantity__c "
        "Unit_Price__c Discount__c Tax__c Total__c Net_Sales__c Salesperson__c Original_Line__c "
        "Business_Date__c Store_Code__c Account__c"
    ),
    "Sales_Payment__c": (
        "Payment_Key__c Sales_Transaction__c Tender__c Tender_Type__c Amount__c Tip__c Paid_At__c"
    ),
    "Product2": "Lightspeed_Item_Key__c",
    "Account": (
        "Lightspeed_Customer_Key__c Lightspeed_Customer_ID__c Lightspeed_Created_At__c Customer_Type__c"
    ),
    "Contact": (
        "Lightspeed_Customer_Key__c Lightspeed_Customer_ID__c Lightspeed_Created_At__c Customer_Type__c"
    ),
    "Lead": (
        "Lightspeed_Customer_Key__c Lightspeed_Customer_ID__c Lightspeed_Created_At__c Customer_Type__c"
    ),
}
KEYS = {
    "Retail_Store__c": "Store_Key__c",
    "Retail_Employee__c": "Employee_Key__c",
    "Inventory_Level__c": "Inventory_Key__c",
    "Customer_Identity__c": "Identity_Key__c",
    "Sales_Transaction__c": "Transaction_Key__c",
    "Sales_Transaction_Line__c": "Line_Key__c",
    "Sales_Payment__c": "Payment_Key__c",
    "Product2": "Lightspeed_Item_Key__c",
    "Account": "Lightspeed_Customer_Key__c",
    "Contact": "Lightspeed_Customer_Key__c",
    "Lead": "Lightspeed_Customer_Key__c",
}
OUR_OBJECTS = sorted(name for name in KEYS if name.endswith("__c"))
SHARING = {
    "Retail_Store__c": ("Read", "Private"),
    "Retail_Employee__c": ("Read", "Private"),
    "Inventory_Level__c": ("Read", "Private"),
    "Customer_Identity__c": ("Private", "Private"),
    "Sales_Transaction__c": ("Private", "Private"),
    "Sales_Transaction_Line__c": ("ControlledByParent", "ControlledByParent"),
    "Sales_Payment__c": ("ControlledByParent", "ControlledByParent"),
}
PICKLISTS = {
    ("Sales_Transaction__c", "Status__c"): (True, ["Completed", "Voided"]),
    ("Sales_Transaction__c", "Type__c"): (True, ["Sale", "Refund", "Exchange", "Gift Card", "Deposit"]),
}
# Salesforce's own fields that our layouts and rights may name; whatever ends in __c must be ours.
STANDARD = {
    "*": "Name OwnerId CreatedById LastModifiedById",
    "Account": "Phone Fax Website BillingAddress ShippingAddress Description",
    "PersonAccount": (
        "Phone Description BillingAddress PersonEmail PersonMobilePhone PersonHomePhone PersonBirthdate "
        "PersonTitle PersonHasOptedOutOfEmail PersonDoNotCall PersonMailingAddress"
    ),
    "Contact": (
        "AccountId Email Phone HomePhone MobilePhone Fax Birthdate Title MailingAddress Description "
        "HasOptedOutOfEmail DoNotCall"
    ),
    "Lead": (
        "Company Status Email Phone MobilePhone Fax Title Website Address Description HasOptedOutOfEmail "
        "DoNotCall LeadSource"
    ),
    "Product2": "Description Family IsActive ProductCode StockKeepingUnit",
}
LIST_WORDS = {"NAME": "Name"}  # what list views and related lists call a record's name


def read(path: Path) -> ET.Element:
    return ET.parse(path).getroot()


def text(element: ET.Element, path: str) -> str:
    return element.findtext("/".join(f"m:{part}" for part in path.split("/")), "", NS)


def texts(element: ET.Element, path: str) -> list[str]:
    found = element.findall(".//" + "/".join(f"m:{part}" for part in path.split("/")), NS)
    return [e.text or "" for e in found]


FIELDS = {
    (path.parts[-3], path.name.removesuffix(".field-meta.xml")): read(path)
    for path in sorted(SOURCE.glob("objects/*/fields/*"))
}
PERMISSION_SETS = {
    path.name.removesuffix(".permissionset-meta.xml"): read(path) for path in SOURCE.glob("permissionsets/*")
}
LAYOUTS = {
    path.name.removesuffix(".layout-meta.xml"): read(path) for path in sorted(SOURCE.glob("layouts/*"))
}


def known_fields(object_name: str) -> set[str]:
    owner = "Account" if object_name == "PersonAccount" else object_name
    ours = {name for holder, name in FIELDS if holder == owner}
    return ours | set(STANDARD["*"].split()) | set(STANDARD.get(object_name, "").split())


def grantable() -> set[str]:
    """Fields whose rights a permission set may name: neither required nor a master-detail."""
    return {
        f"{holder}.{name}"
        for (holder, name), field in FIELDS.items()
        if text(field, "type") != "MasterDetail" and text(field, "required") != "true"
    }


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_every_file_is_metadata_and_says_no_name_but_its_own(path):
    root = read(path)

    assert root.tag.startswith(f"{{{metadata.NAMESPACE}}}")
    if own := text(root, "fullName"):
        assert path.name.split(".", 1)[0] == own


@pytest.mark.parametrize("object_name", PROMISED, ids=str)
def test_promised_names_are_there(object_name):
    assert set() == set(PROMISED[object_name].split()) - known_fields(object_name)


@pytest.mark.parametrize("field", FIELDS, ids=".".join)
def test_every_field_explains_itself(field):
    element = FIELDS[field]

    assert 0 < len(text(element, "label")) <= 40
    assert 0 < len(text(element, "description")) <= 255
    assert 0 < len(text(element, "inlineHelpText")) <= 255


@pytest.mark.parametrize("object_name", KEYS, ids=str)
def test_keys_are_unique_external_ids_that_tell_upper_from_lower_case(object_name):
    field = FIELDS[object_name, KEYS[object_name]]

    facts = [text(field, p) for p in ("type", "length", "externalId", "unique", "caseSensitive", "required")]
    assert ["Text", "80", "true", "true", "true", "false"] == facts


def test_nothing_but_a_key_is_unique():
    unique = {field for field, element in FIELDS.items() if text(element, "unique") == "true"}

    assert set(KEYS.items()) == unique


@pytest.mark.parametrize("field", PICKLISTS, ids=".".join)
def test_restricted_values(field):
    element = FIELDS[field]

    restricted = text(element, "valueSet/restricted") == "true"
    assert PICKLISTS[field] == (restricted, texts(element, "value/fullName"))


def test_tender_types_are_open():
    tender_type = FIELDS["Sales_Payment__c", "Tender_Type__c"]

    assert "false" == text(tender_type, "valueSet/restricted")


def test_lookups_are_cleared_with_their_target_and_masters_may_be_repeated():
    links = {f: e for f, e in FIELDS.items() if e.find("m:referenceTo", NS) is not None}
    masters = [e for e in links.values() if text(e, "type") == "MasterDetail"]

    assert 2 == len(masters)
    assert {"true"} == {text(e, "reparentableMasterDetail") for e in masters}
    assert {"SetNull"} == {text(e, "deleteConstraint") for e in links.values() if e not in masters}


def test_child_relationships_are_named_once_at_each_parent():
    names = [
        (text(e, "referenceTo"), text(e, "relationshipName"))
        for e in FIELDS.values()
        if e.find("m:referenceTo", NS) is not None
    ]

    assert sorted(set(names)) == sorted(names)


def test_amounts_are_numbers_that_no_org_converts():
    assert [] == [f for f, e in FIELDS.items() if text(e, "type") == "Currency"]


def test_receipts_carry_one_long_text():
    long = [f for f, e in FIELDS.items() if text(e, "type") == "LongTextArea"]

    assert [("Sales_Transaction__c", "Notes__c")] == [f for f in long if f[0].startswith("Sales_")]


@pytest.mark.parametrize("name", OUR_OBJECTS)
def test_who_sees_an_object(name):
    element = read(SOURCE / "objects" / name / f"{name}.object-meta.xml")

    assert SHARING[name] == (text(element, "sharingModel"), text(element, "externalSharingModel"))
    assert {"true"} == {text(element, p) for p in ("enableBulkApi", "enableSharing", "enableStreamingApi")}
    assert text(element, "description")


@pytest.mark.parametrize("name", OUR_OBJECTS)
def test_every_object_has_tab_layout_and_lists(name):
    label = text(read(SOURCE / "objects" / name / f"{name}.object-meta.xml"), "label")

    assert (SOURCE / "tabs" / f"{name}.tab-meta.xml").is_file()
    assert f"{name}-{label} Layout" in LAYOUTS
    assert (SOURCE / "objects" / name / "listViews" / "All.listView-meta.xml").is_file()


@pytest.mark.parametrize("path", sorted(SOURCE.glob("objects/*/listViews/*")), ids=lambda p: p.name)
def test_lists_name_fields_that_exist(path):
    columns = texts(read(path), "columns") + texts(read(path), "filters/field")

    assert set() == {LIST_WORDS.get(c, c) for c in columns} - known_fields(path.parts[-3])


@pytest.mark.parametrize("path", sorted(SOURCE.glob("objects/*/compactLayouts/*")), ids=lambda p: p.name)
def test_compact_layouts_name_fields_that_exist(path):
    fields = texts(read(path), "fields")

    assert set() == set(fields) - known_fields(path.parts[-3])
    assert len(fields) <= 10  # the platform's limit


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_name_fields_that_exist_and_each_once(name):
    fields = texts(LAYOUTS[name], "layoutItems/field")

    assert set() == set(fields) - known_fields(name.split("-", 1)[0])
    assert sorted(set(fields)) == sorted(fields)


@pytest.mark.parametrize("name", LAYOUTS)
def test_related_lists_are_real_lookups_to_the_layouts_object(name):
    owner = name.split("-", 1)[0].replace("PersonAccount", "Account")
    for related in LAYOUTS[name].findall("m:relatedLists", NS):
        child, _, lookup = text(related, "relatedList").partition(".")
        if not lookup:
            assert "RelatedContactList" == child  # Salesforce's own
            continue
        assert owner == text(FIELDS[child, lookup], "referenceTo")
        columns = [*texts(related, "fields"), *texts(related, "sortField")]
        assert set() == {LIST_WORDS.get(c, c) for c in columns} - known_fields(child)
        assert len(columns) <= 11


@pytest.mark.parametrize("owner", ["Account", "PersonAccount", "Contact", "Lead"])
def test_purchase_history_is_on_the_customers_page(owner):
    lookup = owner.replace("PersonAccount", "Account")

    first = texts(LAYOUTS[f"{owner}-Tillbridge Customer Layout"], "relatedLists/relatedList")[0]
    assert f"Sales_Transaction__c.{lookup}__c" == first


def test_the_permission_sets_are_three():
    assert {"Tillbridge_Integration", "Tillbridge_Reader", "Tillbridge_Administrator"} == set(PERMISSION_SETS)


@pytest.mark.parametrize("name", PERMISSION_SETS)
def test_rights_cover_every_field_and_name_none_that_would_be_refused(name):
    named = texts(PERMISSION_SETS[name], "fieldPermissions/field")
    expected = {
        f for f in grantable() if name != "Tillbridge_Reader" or not f.startswith("Customer_Identity__c")
    }
    standard = {f for f in named if not f.endswith("__c")}

    assert expected == set(named) - standard
    assert sorted(set(named)) == sorted(named)
    assert all(f.split(".")[1] in STANDARD[f.split(".")[0]].split() for f in standard)


@pytest.mark.parametrize("name", preset_names())
def test_shipped_field_maps_fill_fields_of_the_package(name):
    table = preset_table(name)
    filled = {field for field in [*table["fields"], table.get("key_field", "")] if field.endswith("__c")}

    assert set() == filled - {field for holder, field in FIELDS if holder == table["object"]}


# What the org never guards by field: required ones, and objects whose rights are their parent's.
UNGUARDED = {
    "Account": "Name FirstName LastName",
    "Contact": "FirstName LastName",
    "Lead": "FirstName LastName Company",
    "Product2": "Name",
    "PricebookEntry": "UnitPrice IsActive",
}
ADDRESS_PARTS = re.compile(r"(Street|City|State|StateCode|PostalCode|Country|CountryCode)$")


def guarded_as(object_name: str, field: str) -> str:
    """How field-level security calls a field: addresses are guarded whole, person fields on Contact."""
    field = ADDRESS_PARTS.sub("Address", field)
    if object_name == "Account" and field.startswith("Person"):
        return f"Contact.{field.removeprefix('Person')}"
    return f"{object_name}.{field}"


@pytest.mark.parametrize("name", preset_names())
def test_the_integration_user_may_fill_what_shipped_field_maps_fill(name):
    table = preset_table(name)
    editable = {
        text(e, "field")
        for e in PERMISSION_SETS["Tillbridge_Integration"].findall("m:fieldPermissions", NS)
        if text(e, "editable") == "true"
    }
    masters = {f"{o}.{f}" for (o, f), e in FIELDS.items() if text(e, "type") == "MasterDetail"}
    unguarded = set(UNGUARDED.get(table["object"], "Name").split())

    filled = {guarded_as(table["object"], f) for f in table["fields"] if f not in unguarded}
    assert set() == filled - editable - masters


def rights(set_name: str, object_name: str) -> set[str]:
    for entry in PERMISSION_SETS[set_name].findall("m:objectPermissions", NS):
        if text(entry, "object") == object_name:
            return {e.tag.split("}")[1] for e in entry if e.text == "true"}
    return set()


@pytest.mark.parametrize("name", [*OUR_OBJECTS, "Account", "Contact", "Lead"])
def test_the_integration_user_may_do_everything_with_what_it_writes(name):
    everything = {
        "allowCreate",
        "allowDelete",
        "allowEdit",
        "allowRead",
        "modifyAllRecords",
        "viewAllRecords",
    }

    assert everything == rights("Tillbridge_Integration", name)


def test_the_integration_user_may_write_products_and_prices():
    assert {"allowCreate", "allowEdit", "allowRead", "viewAllRecords"} == rights(
        "Tillbridge_Integration", "Product2"
    )
    assert {"allowEdit", "allowRead"} == rights("Tillbridge_Integration", "Pricebook2")


def test_only_the_integration_user_holds_the_bypass():
    holders = {
        n for n, e in PERMISSION_SETS.items() if "Tillbridge_Bypass" in texts(e, "customPermissions/name")
    }

    assert {"Tillbridge_Integration"} == holders


def test_readers_see_all_receipts_and_change_nothing():
    reader = PERMISSION_SETS["Tillbridge_Reader"]

    assert {"allowRead", "viewAllRecords"} == rights("Tillbridge_Reader", "Sales_Transaction__c")
    assert {"false"} == set(texts(reader, "fieldPermissions/editable"))


def test_administrators_change_only_what_people_own():
    admin = PERMISSION_SETS["Tillbridge_Administrator"]
    editable = {
        text(e, "field") for e in admin.findall("m:fieldPermissions", NS) if text(e, "editable") == "true"
    }

    assert {
        "Retail_Store__c.Default_Owner__c",
        "Retail_Employee__c.User__c",
        "Account.Send_To_Lightspeed__c",
        "Contact.Send_To_Lightspeed__c",
        "Lead.Send_To_Lightspeed__c",
    } == editable


def test_no_component_needs_apex():
    folders = {p.name for p in SOURCE.iterdir()}

    assert set() == folders & {"classes", "triggers", "aura", "lwc", "pages", "components"}


def test_fields_on_standard_objects_keep_clear_of_the_orgs_own():
    ours = {name for holder, name in FIELDS if not holder.endswith("__c")}
    agreed = {"Customer_Type__c", "Send_To_Lightspeed__c"}

    assert [] == [n for n in sorted(ours - agreed) if not re.match("Lightspeed_", n)]

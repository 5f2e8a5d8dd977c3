"""What single objects do beyond types and keys: names, price books, persons, leads, the org's own flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tillbridge.simulators.salesforce import duplicates, people, places
from tillbridge.simulators.salesforce.columns import Columns
from tillbridge.simulators.salesforce.schema import Field, SObject
from tillbridge.simulators.salesforce.table import Row, Table
from tillbridge.simulators.salesforce.values import Refused

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

BYPASS = "Tillbridge_Bypass"
_CUSTOMER_LOOKUPS = ("Account__c", "Contact__c", "Lead__c")


def before_save(org: Org, columns: Columns, values: Row, row: Row | None) -> None:
    """Derive and refuse what an object's own rules say, before required fields are looked at."""
    if values.get("RecordTypeId") or values.get("OwnerId"):
        _check_set_up(org, columns, values)
    match columns.sobject.name:
        case "Account":
            people.before_account(org, columns, values, row)
        case "Contact":
            people.before_contact(org, columns, values, row)
            _derive_name(values, row)
        case "Lead":
            if row is not None and row.get("IsConverted"):
                raise Refused("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", [])
            _derive_name(values, row)
        case "PricebookEntry":
            _price(org, values, row)
        case "OpportunityLineItem":
            _line_item(org, values, row)
        case "Opportunity":
            _stage(values)
        case "CampaignMember" if row is None:
            _member(values)
    if org.switches["state_country_picklists"]:
        places.check(columns, values, row)


def still_missing(columns: Columns, values: Row, missing: list[str]) -> list[str]:
    """Return the required fields that are really missing: a person account needs no Name of its own."""
    if columns.sobject.name == "Account" and values.get("IsPersonAccount"):
        return [name for name in missing if name != "Name"]
    if columns.sobject.name == "Lead" and columns.org.switches["person_accounts"]:
        return [name for name in missing if name != "Company"]
    return missing


def before_insert(org: Org, columns: Columns, values: Row, *, allow_duplicates: bool) -> None:
    """Look for duplicates, the last thing before a row is entered."""
    if org.switches["duplicate_rules"]:
        duplicates.check(org, columns, values, allow=allow_duplicates)


def before_update(org: Org, columns: Columns, row: Row, changes: Row, *, allow_duplicates: bool) -> None:
    """Look for duplicates also when a row is changed: off unless an admin says so."""
    if org.switches["duplicate_rules"] and org.switches["duplicate_rules_on_edit"]:
        duplicates.check(org, columns, {**row, **changes}, allow=allow_duplicates)


def after_insert(org: Org, columns: Columns, row: Row, auto_assign: bool) -> None:
    """Do what follows an insert: the person's contact, permission assignments, the org's own flows."""
    match columns.sobject.name:
        case "Account" if row.get("IsPersonAccount"):
            people.add_person_contact(org, row)
        case "PermissionSetAssignment":
            _assign(org, row, held=True)
        case "Sales_Transaction__c" if org.switches["thank_you_flow"]:
            _thank(org, columns, row)
        case "Lead" if auto_assign and org.switches["lead_assignment_rule"]:
            if not org.has_custom_permission(columns.user, BYPASS):
                org.automation["tasks"] += 1


def after_update(org: Org, columns: Columns, row: Row, changes: Row) -> None:
    """Carry a person account's change over to its contact."""
    if columns.sobject.name == "Account" and row.get("IsPersonAccount"):
        people.change_person_contact(org, row, changes)


def before_delete(org: Org, columns: Columns, row: Row) -> None:
    """Refuse to delete what the platform keeps."""
    if columns.sobject.name == "Pricebook2" and row.get("IsStandard"):
        raise Refused("DELETE_FAILED", "You cannot delete the standard price book.", [])
    if columns.sobject.name == "Contact" and row.get("IsPersonAccount"):
        raise Refused("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
    del org


def after_delete(org: Org, table: Table, row_id: str, _user_id: str, *, hard: bool) -> None:
    """Take back what a deleted assignment gave."""
    if table.sobject.name == "PermissionSetAssignment" and not hard and row_id in table.bin:
        _assign(org, table.bin[row_id], held=False)


def cascades(parent: SObject, child: SObject, field: Field) -> bool:
    """Say whether a standard lookup takes its children along (fact sheet §7.4)."""
    if parent.name == "Account":
        return child.name in {"Contact", "Opportunity"} and field.name == "AccountId"
    return (parent.name, child.name) in {("Product2", "PricebookEntry"), ("Pricebook2", "PricebookEntry")}


def _check_set_up(org: Org, columns: Columns, values: Row) -> None:
    """Refuse a record type of another object, and an owner who has left."""
    record_type = org.rows("RecordType").get(values.get("RecordTypeId") or "")
    if record_type is not None and record_type["SobjectType"] != columns.sobject.name:
        raise Refused(
            "INVALID_CROSS_REFERENCE_KEY",
            "Record Type ID: this ID value isn't valid for the user",
            ["RecordTypeId"],
        )
    owner = org.users.get(values.get("OwnerId") or "")
    if owner is not None and not owner.active:
        raise Refused("INACTIVE_OWNER_OR_USER", "operation performed with inactive user", ["OwnerId"])


def _derive_name(values: Row, row: Row | None) -> None:
    if "FirstName" in values or "LastName" in values:
        name = people.full_name({**(row or {}), **values})
        values["Name"] = name or None


def _price(org: Org, values: Row, row: Row | None) -> None:
    """Refuse a price without a standard price, and a second one for book and product (fact sheet §7.2)."""
    merged = {**(row or {}), **values}
    if merged.get("UseStandardPrice") and "UnitPrice" in values:
        raise Refused(
            "FIELD_INTEGRITY_EXCEPTION",
            "UnitPrice: cannot be set when UseStandardPrice is true",
            ["UnitPrice"],
        )
    if row is not None:
        return
    book, product = values.get("Pricebook2Id"), values.get("Product2Id")
    if book is None or product is None:
        return
    product_row = org.rows("Product2")[product]
    values["Name"], values["ProductCode"] = product_row.get("Name"), product_row.get("ProductCode")
    table, currency = org.tables["PricebookEntry"], values.get("CurrencyIsoCode")
    field = table.sobject.fields["Product2Id"]
    others = [table.rows[i] for i in table.index(field).ids(product)]
    others = [entry for entry in others if entry.get("CurrencyIsoCode") == currency]
    if any(entry["Pricebook2Id"] == book for entry in others):
        message = "This price definition already exists in this price book"
        raise Refused("DUPLICATE_VALUE", message, ["Pricebook2Id", "Product2Id"])
    if book != org.standard_pricebook and not any(
        e["Pricebook2Id"] == org.standard_pricebook and e.get("IsActive") for e in others
    ):
        message = "Before creating a custom price, create a standard price."
        raise Refused("STANDARD_PRICE_NOT_DEFINED", message, [])


def _line_item(org: Org, values: Row, row: Row | None) -> None:
    if values.get("UnitPrice") is not None and values.get("TotalPrice") is not None:
        text = "TotalPrice (The TotalPrice and UnitPrice fields can't both be specified)"
        message = f"field integrity exception: {text}"
        raise Refused("FIELD_INTEGRITY_EXCEPTION", message, ["TotalPrice"])
    merged = {**(row or {}), **values}
    if merged.get("Quantity") == 0:
        raise Refused("FIELD_INTEGRITY_EXCEPTION", "Quantity: quantity must be nonzero", ["Quantity"])
    if row is None and not (values.get("PricebookEntryId") or values.get("Product2Id")):
        raise Refused(
            "REQUIRED_FIELD_MISSING", "Required fields are missing: [PricebookEntryId]", ["PricebookEntryId"]
        )
    entry_id = values.get("PricebookEntryId")
    if row is None and entry_id:
        values["Product2Id"] = org.rows("PricebookEntry")[entry_id].get("Product2Id")
    quantity, unit, total = merged.get("Quantity"), merged.get("UnitPrice"), values.get("TotalPrice")
    if total is not None and quantity:
        values["UnitPrice"] = round(total / quantity, 2)
    elif unit is not None and quantity is not None:
        values["TotalPrice"] = round(unit * quantity, 2)


def _stage(values: Row) -> None:
    if stage := values.get("StageName"):
        values["IsWon"] = stage == "Closed Won"
        values["IsClosed"] = str(stage).startswith("Closed")


def _member(values: Row) -> None:
    if (values.get("LeadId") is None) == (values.get("ContactId") is None):
        raise Refused(
            "REQUIRED_FIELD_MISSING", "Required fields are missing: [LeadId or ContactId]", ["LeadId"]
        )


def _assign(org: Org, row: Row, *, held: bool) -> None:
    user = org.users.get(row["AssigneeId"])
    name = next((p.name for p in org.permission_sets.values() if p.id == row["PermissionSetId"]), None)
    if user is None or name is None:
        return
    (user.permission_sets.add if held else user.permission_sets.discard)(name)
    org.touch()


def _thank(org: Org, columns: Columns, row: Row) -> None:
    """Send the org's own mail for a new live transaction of a known customer, unless the flag says bypass."""
    if row.get("Loaded_As_History__c") or not any(row.get(name) for name in _CUSTOMER_LOOKUPS):
        return
    if not org.has_custom_permission(columns.user, BYPASS):
        org.automation["mails"] += 1

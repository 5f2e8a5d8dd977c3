"""Persons: the two faces of a person account, merged rows, converted leads (fact sheet §7.1, §7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tillbridge.simulators.salesforce import writing
from tillbridge.simulators.salesforce.columns import Columns, unwriteable
from tillbridge.simulators.salesforce.table import Row, Table
from tillbridge.simulators.salesforce.values import Refused

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

_NAME_PARTS = ("FirstName", "MiddleName", "LastName", "Suffix")


def full_name(row: Row) -> str:
    """Return the derived name of a person; the salutation is not part of it."""
    return " ".join(str(row[part]) for part in _NAME_PARTS if row.get(part))


def record_type_id(org: Org, developer_name: str) -> str | None:
    """Return the id of a record type of Account."""
    rows = org.rows("RecordType").values()
    return next((row["Id"] for row in rows if row["DeveloperName"] == developer_name), None)


def before_account(org: Org, columns: Columns, values: Row, row: Row | None) -> None:
    """Settle whether an account is a person, and refuse what the other kind has."""
    if not org.switches["person_accounts"]:
        return
    if row is None:
        _choose_kind(org, values)
    elif (chosen := values.get("RecordTypeId")) is not None:
        _refuse_conversion(org, row, chosen)
    person = bool(row.get("IsPersonAccount")) if row is not None else bool(values.get("IsPersonAccount"))
    if not person:
        names = [
            name
            for name in values
            if columns.sobject.fields[name].person_of and values[name] not in {None, False}
        ]
        if names:
            raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", unwriteable(names), names)
        return
    if values.get("Name") is not None:
        raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", unwriteable(["Name"]), ["Name"])
    if values.get("ParentId") is not None:
        raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", unwriteable(["ParentId"]), ["ParentId"])
    merged = values if row is None else {**row, **values}
    if merged.get("LastName") is None:
        raise Refused("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", ["LastName"])
    values.pop("Name", None)
    if any(part in values for part in _NAME_PARTS):
        values["Name"] = full_name(merged)


def _refuse_conversion(org: Org, row: Row, record_type: str) -> None:
    # The platform converts under conditions (fact sheet §7.1); nobody of ours does, so it is refused here.
    if bool(org.rows("RecordType")[record_type].get("IsPersonType")) != bool(row.get("IsPersonAccount")):
        raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["RecordTypeId"])


def _choose_kind(org: Org, values: Row) -> None:
    if (chosen := values.get("RecordTypeId")) is not None:
        values["IsPersonAccount"] = bool(org.rows("RecordType")[chosen].get("IsPersonType"))
        return
    # Without a record type a last name makes it a person (fact sheet §7.1).
    values["IsPersonAccount"] = values.get("LastName") is not None
    values["RecordTypeId"] = record_type_id(
        org, "PersonAccount" if values["IsPersonAccount"] else "Business_Account"
    )


def before_contact(org: Org, columns: Columns, values: Row, row: Row | None) -> None:
    """Refuse a person account's contact, written through the account only, and contacts of persons."""
    if row is not None and row.get("IsPersonAccount"):
        names = sorted(values)
        raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", unwriteable(names), names)
    account_id = values.get("AccountId")
    if account_id and org.rows("Account")[account_id].get("IsPersonAccount"):
        raise Refused(
            "FIELD_INTEGRITY_EXCEPTION", "Account ID: a person account cannot have contacts", ["AccountId"]
        )
    del columns


def add_person_contact(org: Org, account: Row) -> None:
    """Create the hidden contact of a new person account."""
    contact: Row = {
        "Id": org.new_id("003"),
        **{name: account[name] for name in _SHARED if name in account},
        "AccountId": account["Id"],
        "IsPersonAccount": True,
        "Name": account["Name"],
    }
    for shown, name in _shown(org):
        if shown in account:
            contact[name] = account[shown]
    writing.put(org, org.tables["Contact"], contact)
    # The account was entered in this very statement: the back reference needs no stamp of its own.
    account["PersonContactId"] = contact["Id"]
    index = org.tables["Account"].indexes.get("PersonContactId")
    if index is not None:
        index.add(contact["Id"], account["Id"])


_SHARED = (
    "OwnerId",
    "CreatedDate",
    "CreatedById",
    "LastModifiedDate",
    "LastModifiedById",
    "SystemModstamp",
    "CurrencyIsoCode",
)


def change_person_contact(org: Org, account: Row, changes: Row) -> None:
    """Carry a change of a person account over to its contact."""
    table = org.tables["Contact"]
    contact = table.rows[account["PersonContactId"]]
    carried = {name: changes[shown] for shown, name in _shown(org) if shown in changes}
    stamps = {
        name: account[name] for name in ("LastModifiedDate", "LastModifiedById", "SystemModstamp", "Name")
    }
    writing.change(org, table, contact, {**carried, **stamps})


def _shown(org: Org) -> list[tuple[str, str]]:
    """Return (name on Account, name on Contact) of the fields a person account shows."""
    key = ("person fields",)
    if key not in org.derived:
        fields = org.schema["Account"].fields.values()
        org.derived[key] = [(f.name, f.person_of) for f in fields if f.person_of and f.type != "address"]
    found: list[tuple[str, str]] = org.derived[key]
    return found


def merge(org: Org, winner_id: str, loser_id: str) -> None:
    """Merge: the loser goes to the bin with MasterRecordId, its children move, the winner keeps its own."""
    found, lost = org.row(winner_id), org.row(loser_id)
    if found is None or lost is None or found[0] is not lost[0] or found[1] is lost[1]:
        raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    table, winner = found
    loser = lost[1]
    if loser["Id"] not in table.rows or winner["Id"] not in table.rows:
        raise Refused("ENTITY_IS_DELETED", "entity is deleted")
    if table.sobject.name == "Account" and bool(winner.get("IsPersonAccount")) != bool(
        loser.get("IsPersonAccount")
    ):
        raise Refused("INVALID_OPERATION", "A person account can only be merged with a person account.")
    if loser.get("IsPersonAccount") and table.sobject.name == "Account":
        _merge_rows(org, org.tables["Contact"], winner["PersonContactId"], loser["PersonContactId"])
    _merge_rows(org, table, winner["Id"], loser["Id"])


def _merge_rows(org: Org, table: Table, winner_id: str, loser_id: str) -> None:
    now, user_id = org.now_text(), org.staff.id
    stamps = {"LastModifiedDate": now, "LastModifiedById": user_id, "SystemModstamp": now}
    for child, field in writing.children_of(org, table.sobject):
        for child_id in list(child.index(field).ids(loser_id)):
            if child_id in child.rows and not (
                field.name == "AccountId" and child.rows[child_id].get("IsPersonAccount")
            ):
                writing.change(org, child, child.rows[child_id], {field.name: winner_id, **stamps})
    writing.bury(org, table, loser_id, user_id, MasterRecordId=winner_id)
    writing.change(org, table, table.rows[winner_id], stamps)


def convert_lead(
    org: Org, lead_id: str, *, account_id: str | None = None, opportunity: bool = False
) -> dict[str, Any]:
    """Convert a lead as SOAP's convertLead does: account, contact, then the lead becomes read-only."""
    found = org.row(lead_id)
    if found is None or found[1].get("IsConverted") or found[1].get("IsDeleted"):
        raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    table, lead = found
    account_id, contact_id = _people_of(org, lead, account_id)
    made = {"ConvertedAccountId": account_id, "ConvertedContactId": contact_id}
    if opportunity:
        deal = {
            "Name": lead.get("Company") or lead["Name"],
            "StageName": "Prospecting",
            "AccountId": account_id,
        }
        made["ConvertedOpportunityId"] = _made(org, "Opportunity", {**deal, "CloseDate": org.now_text()[:10]})
    now = org.now_text()
    stamps = {"LastModifiedDate": now, "LastModifiedById": org.staff.id, "SystemModstamp": now}
    done = {"IsConverted": True, "ConvertedDate": now[:10], "Status": "Closed - Converted"}
    writing.change(org, table, lead, {**made, **done, **stamps})
    return made


def _people_of(org: Org, lead: Row, account_id: str | None) -> tuple[str, str]:
    person = {name: lead[name] for name in ("FirstName", "LastName", "Salutation") if lead.get(name)}
    parts = ("Street", "City", "State", "PostalCode", "Country")
    if org.switches["person_accounts"] and account_id is None and lead.get("Company") in {None, lead["Name"]}:
        shown = {"Email": "PersonEmail", "MobilePhone": "PersonMobilePhone", "Phone": "Phone"}
        more = {there: lead[here] for here, there in shown.items() if lead.get(here)}
        place = {f"PersonMailing{part}": lead[part] for part in parts if lead.get(part)}
        made = _made(
            org, "Account", {**person, **more, **place, "RecordTypeId": record_type_id(org, "PersonAccount")}
        )
        return made, org.rows("Account")[made]["PersonContactId"]
    account_id = account_id or _made(org, "Account", {"Name": lead.get("Company") or lead["Name"]})
    more = {name: lead[name] for name in ("Email", "Phone", "MobilePhone", "Title") if lead.get(name)}
    place = {f"Mailing{part}": lead[part] for part in parts if lead.get(part)}
    return account_id, _made(org, "Contact", {**person, **more, **place, "AccountId": account_id})


def _made(org: Org, object_name: str, fields: Row) -> str:
    result = org.write(org.staff, object_name, "insert", fields, allow_duplicates=True)
    if not result.success:
        error = result.errors[0]
        raise Refused(error.code, error.message, error.fields)
    return result.id

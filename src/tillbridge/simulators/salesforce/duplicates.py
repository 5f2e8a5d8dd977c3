"""The standard duplicate rules, when the org has them on (fact sheet §6.3).

The real matching engine is fuzzy; this one takes a person for the same if the
last name is equal, the first names do not contradict each other, and e-mail,
phone or street agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tillbridge.simulators.salesforce.columns import Columns
from tillbridge.simulators.salesforce.table import Row
from tillbridge.simulators.salesforce.values import Refused

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

_MESSAGE = "Use one of these records?"
_PERSON_EVIDENCE = (
    ("Email", "PersonEmail"),
    ("Phone", "Phone"),
    ("MobilePhone", "PersonMobilePhone"),
    ("MailingStreet", "PersonMailingStreet"),
    ("Street", "Street"),
)


def check(org: Org, columns: Columns, values: Row, *, allow: bool) -> None:
    """Refuse a row that looks like one there is, unless the rule just alerts and the caller saves anyway."""
    name = columns.sobject.name
    action = org.switches["duplicate_rules"].get(name)
    if action is None or (action == "alert" and allow):
        return
    person = name != "Account" or bool(values.get("IsPersonAccount"))
    matches = _persons_like(org, columns, values) if person else _accounts_like(columns, values)
    if matches:
        rule = "PersonAccount" if name == "Account" and person else name
        outcome = _result(name, rule, matches, alert=action == "alert")
        raise Refused("DUPLICATES_DETECTED", _MESSAGE, [], duplicateResult=outcome)


def _persons_like(org: Org, columns: Columns, values: Row) -> list[str]:
    last = values.get("LastName")
    if last is None:
        return []
    table = columns.table
    ids = table.index(columns.sobject.fields["LastName"]).ids(last)
    del org
    own = values.get("Id")  # A row that is changed is no duplicate of itself.
    return [row_id for row_id in ids if row_id != own and _same_person(table.rows[row_id], values)]


def _same_person(known: Row, new: Row) -> bool:
    ours, theirs = str(known.get("FirstName") or "").lower(), str(new.get("FirstName") or "").lower()
    if ours and theirs and ours != theirs and not (ours[0] == theirs[0] and 1 in {len(ours), len(theirs)}):
        return False
    return any(_equal(known.get(name), new.get(name)) for names in _PERSON_EVIDENCE for name in names)


def _accounts_like(columns: Columns, values: Row) -> list[str]:
    table = columns.table
    ids = table.index(columns.sobject.fields["Name"]).ids(values["Name"])
    evidence = ("Phone", "Website", "BillingStreet", "BillingPostalCode")
    own = values.get("Id")
    return [
        i
        for i in ids
        if i != own and any(_equal(table.rows[i].get(name), values.get(name)) for name in evidence)
    ]


def _equal(left: Any, right: Any) -> bool:
    return left is not None and right is not None and str(left).strip().lower() == str(right).strip().lower()


def _result(entity: str, rule: str, ids: list[str], *, alert: bool) -> dict[str, Any]:
    records = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {
                "attributes": {"type": entity, "url": f"/services/data/v67.0/sobjects/{entity}/{row_id}"},
                "Id": row_id,
            },
        }
        for row_id in ids
    ]
    match = {
        "entityType": entity,
        "errors": [],
        "matchEngine": "FuzzyMatchEngine",
        "matchRecords": records,
        "rule": f"Standard_{rule}_Match_Rule_v1_1",
        "size": len(records),
        "success": True,
    }
    return {
        "allowSave": alert,
        "duplicateRule": f"Standard_{rule}_Duplicate_Rule",
        "duplicateRuleEntityType": entity,
        "errorMessage": _MESSAGE,
        "matchResults": [match],
    }

"""What an org does by itself when rows come: flows, triggers, validation and duplicate rules, as listed.

Flows and duplicate rules are read by the ordinary query resource, triggers and validation rules by the
tooling one; EntityDefinition leads from an object's name to the id that some of them name it by (fact sheet
8.4). What a user without View Setup is told is inferred, as is how a trigger names a custom object: switches
`view_setup`, `trigger_objects` ("name", "id"). A flow of the switch `automations` may have a `draft` above
the version that runs: then it is not "active", and has an active version.
https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_flowdefinitionview.htm
https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_validationrule.htm
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.values import Refused
from tillbridge.simulators.salesforce.wire import Context, Reply

_QUERY = re.compile(
    r"\s*SELECT\s+(?P<columns>[\w.,\s]+?)\s+FROM\s+(?P<source>\w+)(?:\s+WHERE\s+(?P<where>.+))?\Z",
    re.IGNORECASE | re.DOTALL,
)
_TERM = re.compile(
    r"\s*(?P<column>[\w.]+)\s*(?:=\s*(?:'(?P<text>[^']*)'|(?P<truth>true|false))|IN\s*\((?P<texts>[^)]*)\))\s*",
    re.IGNORECASE,
)
_BY_QUERY = {"FlowDefinitionView", "DuplicateRule", "EntityDefinition"}
_BY_TOOLING = {"ApexTrigger", "ValidationRule"}


def query(context: Context, text: str, *, tooling: bool) -> Reply | None:
    """Answer a query of one of these; None when it is about something else."""
    found = _QUERY.match(text)
    if found is None or found["source"] not in (_BY_TOOLING if tooling else _BY_QUERY):
        return None
    source, org = found["source"], context.org
    if source != "EntityDefinition" and not org.switches["view_setup"]:
        raise Refused("INVALID_TYPE", f"sObject type '{source}' is not supported.")
    terms = _terms(found["where"] or "")
    columns = [name.strip() for name in found["columns"].split(",")]
    rows = [row for row in _ROWS[source](org) if all(row.get(name) in wanted for name, wanted in terms)]
    for name in columns:
        if rows and name not in rows[0]:
            raise Refused("INVALID_FIELD", f"No such column '{name}' on entity '{source}'.")
    records = [{"attributes": {"type": source}, **_nested(columns, row)} for row in rows]
    return Reply(200, {"size": len(records), "totalSize": len(records), "done": True, "records": records})


def _terms(where: str) -> list[tuple[str, list[Any]]]:
    terms: list[tuple[str, list[Any]]] = []
    for part in re.split(r"\sAND\s", where, flags=re.IGNORECASE) if where else []:
        term = _TERM.fullmatch(part)
        if term is None:
            raise Refused("MALFORMED_QUERY", f"unexpected token: {part.strip()}")
        if term["texts"] is not None:
            terms.append((term["column"], re.findall(r"'([^']*)'", term["texts"])))
        elif term["truth"] is not None:
            terms.append((term["column"], [term["truth"].lower() == "true"]))
        else:
            terms.append((term["column"], [term["text"]]))
    return terms


def _nested(columns: list[str], row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns asked for; one of a parent comes inside of it, as the API has it."""
    shown: dict[str, Any] = {}
    for name in columns:
        parent, _, own = name.rpartition(".")
        if parent:
            shown.setdefault(parent, {"attributes": {"type": parent}})[own] = row[name]
        else:
            shown[name] = row[name]
    return shown


# --- rows ----------------------------------------------------------------------------------------


def _of_kind(org: Org, kind: str) -> Iterator[dict[str, Any]]:
    for each in org.switches["automations"]:
        if each["kind"] == kind:
            yield each


def _durable_id(org: Org, name: str) -> str:
    """Return how set-up names an object: a standard one by its name, a custom one by an id of its own."""
    sobject = org.find(name)
    if sobject is None or not sobject.custom:
        return name
    held: dict[str, str] = org.extras.setdefault("tooling_ids", {})
    if (key := f"01I {sobject.name}") not in held:
        held[key] = org.new_id("01I")
    return held[key][:15]


def _flows(org: Org) -> Iterator[dict[str, Any]]:
    if org.switches["thank_you_flow"]:
        yield _flow(org, "Thank_You", "Sales_Transaction__c", "RecordAfterSave")
    for each in _of_kind(org, "flow"):
        when, active = each.get("when", "RecordAfterSave"), each.get("active", True)
        yield _flow(org, each["name"], each["object"], when, active, each.get("draft", False))


def _flow(
    org: Org, name: str, object_name: str, when: str, active: bool = True, draft: bool = False
) -> dict[str, Any]:
    sobject = org.find(object_name)
    versions: dict[str, str] = org.extras.setdefault("flow_versions", {})
    if name not in versions:
        versions[name] = org.new_id("301")
    return {
        "ApiName": name,
        "Label": name.replace("_", " "),
        "ActiveVersionId": versions[name] if active else None,
        "IsActive": active and not draft,
        "ProcessType": "AutoLaunchedFlow",
        "TriggerType": when,
        "TriggerObjectOrEventId": _durable_id(org, object_name),
        "TriggerObjectOrEventLabel": sobject.label if sobject is not None else object_name,
    }


def _duplicate_rules(org: Org) -> Iterator[dict[str, Any]]:
    for name in org.switches["duplicate_rules"]:
        rule = f"Standard_{name}_Duplicate_Rule"
        label = rule.replace("_", " ")
        yield {"DeveloperName": rule, "MasterLabel": label, "SobjectType": name, "IsActive": True}


def _entities(org: Org) -> Iterator[dict[str, Any]]:
    for sobject in org.schema.values():
        yield {"QualifiedApiName": sobject.name, "DurableId": _durable_id(org, sobject.name)}


def _triggers(org: Org) -> Iterator[dict[str, Any]]:
    for each in _of_kind(org, "trigger"):
        by_id = org.switches["trigger_objects"] == "id"
        named = _durable_id(org, each["object"]) if by_id else each["object"]
        status = "Active" if each.get("active", True) else "Inactive"
        yield {"Name": each["name"], "TableEnumOrId": named, "Status": status}


def _validation_rules(org: Org) -> Iterator[dict[str, Any]]:
    for each in _of_kind(org, "validation"):
        yield {
            "ValidationName": each["name"],
            "Active": each.get("active", True),
            "EntityDefinition.QualifiedApiName": each["object"],
        }


_ROWS = {
    "FlowDefinitionView": _flows,
    "DuplicateRule": _duplicate_rules,
    "EntityDefinition": _entities,
    "ApexTrigger": _triggers,
    "ValidationRule": _validation_rules,
}

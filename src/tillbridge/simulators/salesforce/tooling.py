"""The Tooling API's door to picklists: find a custom field, read its definition, put it back changed.

Public facts: a query of FieldDefinition tells a field's DurableId, whose last part is the id of its
CustomField; `Metadata` of CustomField and GlobalValueSet is read and patched whole, and a value that a patch
leaves out becomes inactive. Fact sheet section 8 has only the deploy door; what this one answers to a user
without Customize Application is inferred, so `tooling_denies` says which way: "403" or "invalid_type".
https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_customfield.htm
https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_globalvalueset.htm
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tillbridge.simulators.salesforce import automation
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import Field, SObject, User
from tillbridge.simulators.salesforce.values import Refused
from tillbridge.simulators.salesforce.wire import Context, Reply, not_allowed, not_found

_QUERY = re.compile(
    r"\s*SELECT\s+(?P<columns>[\w.,\s]+?)\s+FROM\s+(?P<source>\w+)\s+WHERE\s+(?P<where>.+)\Z",
    re.IGNORECASE | re.DOTALL,
)
_EQUALS = re.compile(r"\s*([\w.]+)\s*=\s*'((?:[^'\\]|\\.)*)'\s*")
_SOURCES = {"FieldDefinition", "GlobalValueSet"}
_PICKLISTS = {"picklist": "Picklist", "multipicklist": "MultiselectPicklist"}
_LABEL_CHARS_MAX = 255


def handle(context: Context, method: str, parts: list[str], query: dict[str, str], body: Any) -> Reply:
    """Answer what lies below /tooling."""
    match parts:
        case ["query"]:
            listed = automation.query(context, query.get("q", ""), tooling=True)
            return listed if listed is not None else _query(context, query.get("q", ""))
        case ["sobjects", ("CustomField" | "GlobalValueSet") as kind, record_id]:
            if method not in {"GET", "PATCH"}:
                return not_allowed(method, "GET,PATCH")
            _check_rights(context.org, context.user, kind)
            held = _fields_of(context.org, kind, record_id)
            if not held:
                return not_found()
            if method == "GET":
                return Reply(200, _shown(context, kind, record_id, held))
            return _patch(context.org, kind, held, body)
    return not_found()


def _check_rights(org: Org, user: User, kind: str) -> None:
    """Refuse users without Customize Application: an administrator has it, a minimal API user need not."""
    held = {p for s in org.permission_sets_of(user) for p in s.user_permissions}
    if user.sees_everything or held & {"CustomizeApplication", "ModifyAllData"}:
        return
    if user.all_standard and org.switches["customize_application"]:
        return
    if org.switches["tooling_denies"] == "invalid_type":
        raise Refused("INVALID_TYPE", f"sObject type '{kind}' is not supported.")
    raise Refused(
        "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights: Customize Application is needed"
    )


# --- queries -----------------------------------------------------------------------------------------


def _query(context: Context, text: str) -> Reply:
    found = _QUERY.match(text)
    source = found["source"] if found else ""
    if found is None or source not in _SOURCES:
        raise Refused("MALFORMED_QUERY", f"the simulator answers queries of {', '.join(sorted(_SOURCES))}")
    where: dict[str, str] = {}
    for part in re.split(r"\sAND\s", found["where"], flags=re.IGNORECASE):
        equals = _EQUALS.fullmatch(part)
        if equals is None:
            raise Refused("MALFORMED_QUERY", f"unexpected token: {part.strip()}")
        where[equals[1]] = re.sub(r"\\(.)", r"\1", equals[2])
    columns = [name.strip() for name in found["columns"].split(",")]
    rows = _definitions(context, where) if source == "FieldDefinition" else _value_sets(context, where)
    records = [
        {"attributes": {"type": source}, **{name: row[name] for name in columns if name in row}}
        for row in rows
    ]
    return Reply(200, {"size": len(records), "totalSize": len(records), "done": True, "records": records})


def _definitions(context: Context, where: dict[str, str]) -> Iterable[dict[str, Any]]:
    """Yield the field that is asked for, if the user may see it: that takes no rights of set-up."""
    org = context.org
    sobject = org.find(where.get("EntityDefinition.QualifiedApiName", ""))
    field = sobject.find(where.get("QualifiedApiName", "")) if sobject is not None else None
    if sobject is None or field is None or field.name not in org.visible_fields(context.user, sobject):
        return
    place = _id(org, "01I", sobject.name)[:15] if sobject.custom else sobject.name
    own = _id(org, "00N", f"{sobject.name}.{field.name}")[:15] if field.custom else field.name
    yield {"DurableId": f"{place}.{own}", "QualifiedApiName": field.name}


def _value_sets(context: Context, where: dict[str, str]) -> Iterable[dict[str, Any]]:
    _check_rights(context.org, context.user, "GlobalValueSet")
    name = where.get("DeveloperName", "")
    if any(field.value_set == name for _, field in _custom_picklists(context.org)):
        yield {"Id": _id(context.org, "0Nt", name), "DeveloperName": name}


def _id(org: Org, prefix: str, name: str) -> str:
    held: dict[str, str] = org.extras.setdefault("tooling_ids", {})
    if (key := f"{prefix} {name}") not in held:
        held[key] = org.new_id(prefix)
    return held[key]


def _custom_picklists(org: Org) -> Iterable[tuple[SObject, Field]]:
    for sobject in org.schema.values():
        for field in sobject.fields.values():
            if field.custom and field.type in _PICKLISTS and not field.person_of:
                yield sobject, field


# --- definitions -------------------------------------------------------------------------------------


def _fields_of(org: Org, kind: str, record_id: str) -> list[tuple[SObject, Field]]:
    """Return the fields that a definition speaks of: one, or all that share a set of values."""
    return [
        (sobject, field)
        for sobject, field in _custom_picklists(org)
        if record_id[:15]
        == (
            _id(org, "00N", f"{sobject.name}.{field.name}")
            if kind == "CustomField"
            else _id(org, "0Nt", field.value_set)
        )[:15]
    ]


def _shown(context: Context, kind: str, record_id: str, held: list[tuple[SObject, Field]]) -> dict[str, Any]:
    sobject, field = held[0]
    values = [
        *(_value(value, field, active=None) for value in field.values),
        *(_value(value, field, active=False) for value in field.inactive),
    ]
    url = {"type": kind, "url": f"{context.base}/tooling/sobjects/{kind}/{record_id}"}
    if kind == "GlobalValueSet":
        shared = {"customValue": values, "description": None, "masterLabel": field.value_set, "sorted": False}
        return {"attributes": url, "Id": record_id, "FullName": field.value_set, "Metadata": shared}
    own = {"sorted": False, "value": values}
    metadata: dict[str, Any] = {
        "description": field.description or None,
        "externalId": False,
        "inlineHelpText": field.help_text or None,
        "label": field.label or field.name,
        "required": field.required,
        "trackHistory": None,
        "type": _PICKLISTS[field.type],
        "unique": None,
        "valueSet": {
            "controllingField": None,
            "restricted": field.restricted,
            "valueSetDefinition": None if field.value_set else own,
            "valueSetName": field.value_set or None,
            "valueSettings": [],
        },
    }
    name = f"{sobject.name}.{field.name}"
    return {"attributes": url, "Id": record_id, "FullName": name, "Metadata": metadata}


def _value(value: str, field: Field, *, active: bool | None) -> dict[str, Any]:
    return {
        "color": None,
        "default": field.default == value,
        "description": None,
        "isActive": active,
        "label": value,
        "urls": None,
        "valueName": value,
    }


def _patch(org: Org, kind: str, held: list[tuple[SObject, Field]], body: Any) -> Reply:
    metadata = body.get("Metadata") if isinstance(body, dict) else None
    if not isinstance(metadata, dict):
        raise Refused("JSON_PARSER_ERROR", "Metadata is missing")
    if kind == "GlobalValueSet":
        values = metadata.get("customValue")
    else:
        field = held[0][1]
        value_set = metadata.get("valueSet") or {}
        definition = value_set.get("valueSetDefinition")
        if metadata.get("type") != _PICKLISTS[field.type] or (definition is None) == (not field.value_set):
            raise Refused("FIELD_INTEGRITY_EXCEPTION", "Cannot change the kind of a picklist like this")
        field.restricted = bool(value_set.get("restricted"))
        values = definition.get("value") if definition is not None else None
    if values is not None:
        active, inactive = _read(values)
        for _, field in held:
            gone = [v for v in [*field.values, *field.inactive] if v not in {*active, *inactive}]
            field.values, field.inactive = list(active), [*inactive, *gone]
    org.touch()
    return Reply(204)


def _read(values: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the active and the inactive values of a definition. Raises Refused."""
    names = [str(value.get("valueName") or "") for value in values]
    folded = [name.lower() for name in names]
    for name, value in zip(names, values, strict=True):
        if not name or not value.get("label"):
            raise Refused("REQUIRED_FIELD_MISSING", "Required fields are missing: [valueName, label]")
        if folded.count(name.lower()) > 1:
            raise Refused("DUPLICATE_VALUE", f"duplicate value found: {name} occurs twice in the value set")
        if len(str(value["label"])) > _LABEL_CHARS_MAX:
            raise Refused("STRING_TOO_LONG", f"Value too long: maximum length is:{_LABEL_CHARS_MAX}")
    active = [n for n, v in zip(names, values, strict=True) if v.get("isActive") is not False]
    return active, [n for n in names if n not in active]

"""Decides how a value gets into a picklist of the org: which definition holds it, and how that is changed.

A custom field's values stand in its own definition or in a global value set
that several fields share. Either is read whole, the value is added, and the
whole is put back: what a definition leaves out becomes inactive, so nothing is
written that was not read just before. A standard field's values are another
thing, and are left to a person.
https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_customfield.htm
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote_plus

from tillbridge.connectors.salesforce.protocol import data_path, kind_of, unreadable
from tillbridge.model.errors import BadRequest, NotFound, PermissionMissing, SyncError

FIELD = "CustomField"
VALUE_SET = "GlobalValueSet"

_FIELD_QUERY = (
    "SELECT DurableId FROM FieldDefinition "
    "WHERE EntityDefinition.QualifiedApiName = '{object}' AND QualifiedApiName = '{field}'"
)
_VALUE_SET_QUERY = "SELECT Id FROM GlobalValueSet WHERE DeveloperName = '{name}'"

# Since API 57.0 the metadata names a global value set with this ending; its DeveloperName has none.
_VALUE_SET_SUFFIX = "__gvs"

# A person account shows a contact's custom fields under this ending; they are defined on Contact.
_PERSON_SUFFIX, _CUSTOM_SUFFIX = "__pc", "__c"

# How an org says that this door is not open to a user: by status, or as if the thing did not exist.
_HIDDEN_KINDS = {"INVALIDTYPE", "INVALIDFIELD", "INSUFFICIENTACCESS", "INSUFFICIENTACCESSORREADONLY"}


def query_path(version: str, text: str) -> str:
    """Return the path that runs a query about definitions."""
    return f"{data_path(version, 'tooling', 'query')}?q={quote_plus(text)}"


def definition_path(version: str, kind: str, record_id: str) -> str:
    """Return the path of one definition."""
    return data_path(version, "tooling", "sobjects", kind, record_id)


def place_of(object_name: str, field: str) -> tuple[str, str]:
    """Return the object and the name that a field is defined under."""
    if object_name == "Account" and field.endswith(_PERSON_SUFFIX):
        return "Contact", field.removesuffix(_PERSON_SUFFIX) + _CUSTOM_SUFFIX
    return object_name, field


def is_custom(field: str) -> bool:
    """Say whether a field is the org's own, not one that every org has."""
    return field.endswith(_CUSTOM_SUFFIX)


def field_query(object_name: str, field: str) -> str:
    """Return the query for a field's id. Names come from the org's own description: they hold no quotes."""
    return _FIELD_QUERY.format(object=object_name, field=field)


def field_id(answer: Any) -> str | None:
    """Return the id of a custom field's definition; None when the org does not show it."""
    found = records(answer)
    durable = str(found[0].get("DurableId") or "") if found else ""
    own = durable.rpartition(".")[2]
    return own if own.startswith("00N") else None


def value_set_query(name: str) -> str:
    """Return the query for a global value set's id."""
    return _VALUE_SET_QUERY.format(name=name.removesuffix(_VALUE_SET_SUFFIX).replace("'", "\\'"))


def value_set_id(answer: Any) -> str | None:
    """Return the id of a global value set; None when the org does not show it."""
    found = records(answer)
    return str(found[0]["Id"]) if found and found[0].get("Id") else None


def shared_name(definition: Any) -> str | None:
    """Return the global value set that a field takes its values from; None when it has its own."""
    value_set = _metadata(definition).get("valueSet")
    if not isinstance(value_set, Mapping):
        raise unreadable("a picklist's definition")
    name = value_set.get("valueSetName")
    return str(name) if name else None


def with_values(definition: Any, values: Collection[str]) -> dict[str, Any] | None:
    """Return the body that adds these values to a definition, inactive ones revived; None: all are there."""
    metadata = copy.deepcopy(dict(_metadata(definition)))
    held = _held(metadata)
    before = copy.deepcopy(held)
    by_name = {each.get("valueName"): each for each in held}
    for value in values:
        if value not in by_name:
            held.append({"valueName": value, "label": value, "default": False, "isActive": True})
        elif by_name[value].get("isActive") is False:
            by_name[value]["isActive"] = True
    return None if held == before else {"FullName": definition["FullName"], "Metadata": metadata}


def by_hand(object_name: str, field: str, values: Collection[str], why: str) -> str:
    """Say what a person is to click instead."""
    return (
        f"{why}. In Salesforce, open Setup, Object Manager, {object_name}, Fields & Relationships, {field}, "
        f"and add under Values: {', '.join(values)}. Then `tillbridge problems retry --cause CAUSE` sends "
        "everything behind it"
    )


def refused(error: SyncError, object_name: str, field: str, values: Collection[str]) -> SyncError:
    """Turn what the org says to somebody who may not, or may not like this, into what to do instead."""
    hidden = isinstance(error, BadRequest) and kind_of(error.code) in _HIDDEN_KINDS
    if isinstance(error, PermissionMissing | NotFound) or hidden:
        why = "Tillbridge's user may not change picklists: it does not hold Customize Application"
        return PermissionMissing(by_hand(object_name, field, values, why))
    if isinstance(error, BadRequest):
        why = f"Salesforce did not take the value ({error})"
        return BadRequest(
            by_hand(object_name, field, values, why), code=error.code, status=error.status, fields=(field,)
        )
    return error


def records(answer: Any) -> list[Mapping[str, Any]]:
    """Return the rows of a query of definitions. Raises ProtocolError when there are none to be read."""
    records = answer.get("records") if isinstance(answer, Mapping) else None
    if not isinstance(records, list):
        raise unreadable("a query of definitions")
    return records


def _metadata(definition: Any) -> Mapping[str, Any]:
    metadata = definition.get("Metadata") if isinstance(definition, Mapping) else None
    if not isinstance(metadata, Mapping) or not definition.get("FullName"):
        raise unreadable("a picklist's definition")
    return metadata


def _held(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the list of values inside a definition of either kind, to be changed in place."""
    held = metadata.get("customValue")
    if held is None:
        own = (metadata.get("valueSet") or {}).get("valueSetDefinition") or {}
        held = own.get("value")
    if not isinstance(held, list) or not held:
        # A definition without a value cannot be told from one that was not read whole.
        raise unreadable("a picklist's definition")
    return held

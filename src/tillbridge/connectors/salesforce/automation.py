"""Decides how an org is asked for what it does by itself when our rows come: flows, triggers, rules.

Flows and duplicate rules are listed by the ordinary query, triggers and
validation rules by the tooling one. Some name an object by its name, some by an
id of set-up; both are understood. Whoever may not view set-up is told that no
such thing exists: then nothing is known, which is not the same as nothing.
A flow's IsActive speaks of its newest version only: one with a draft on top runs
all the same (fact sheet Salesforce 8.4).
https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_flowdefinitionview.htm
https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_duplicaterule.htm
https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_apextrigger.htm
https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_validationrule.htm
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tillbridge.connectors.salesforce.protocol import kind_of
from tillbridge.model.errors import BadRequest, NotFound, PermissionMissing, SyncError
from tillbridge.model.writing import Automation, AutomationKind

# Ids of custom objects in set-up begin so; a standard object is named by its name.
_OBJECT_ID_PREFIX = "01I"
_ID_CHARS = 15

# How an org says that this door is not open to a user.
_HIDDEN_KINDS = {"INVALIDTYPE", "INVALIDFIELD", "INSUFFICIENTACCESS", "INSUFFICIENTACCESSORREADONLY"}

ENTITIES = "SELECT QualifiedApiName, DurableId FROM EntityDefinition WHERE QualifiedApiName IN ({names})"


@dataclass(frozen=True, slots=True)
class Listing:
    """Where one kind is listed, and which columns tell its name, its object, and when it runs.

    `alive`: it runs if any of these columns says so; none: the query asks for nothing else.
    """

    kind: AutomationKind
    text: str
    tooling: bool
    name: str
    object: str
    when: str | None = None
    alive: tuple[str, ...] = ()


LISTINGS = (
    Listing(
        "flow",
        "SELECT ApiName, TriggerObjectOrEventId, TriggerType, ActiveVersionId, IsActive "
        "FROM FlowDefinitionView WHERE TriggerType IN ('RecordBeforeSave', 'RecordAfterSave')",
        tooling=False,
        name="ApiName",
        object="TriggerObjectOrEventId",
        when="TriggerType",
        alive=("ActiveVersionId", "IsActive"),
    ),
    Listing(
        "trigger",
        "SELECT Name, TableEnumOrId FROM ApexTrigger WHERE Status = 'Active'",
        tooling=True,
        name="Name",
        object="TableEnumOrId",
    ),
    Listing(
        "validation rule",
        "SELECT ValidationName, EntityDefinition.QualifiedApiName FROM ValidationRule WHERE Active = true",
        tooling=True,
        name="ValidationName",
        object="EntityDefinition.QualifiedApiName",
    ),
    Listing(
        "duplicate rule",
        "SELECT MasterLabel, SobjectType FROM DuplicateRule WHERE IsActive = true",
        tooling=False,
        name="MasterLabel",
        object="SobjectType",
    ),
)


def is_hidden(error: SyncError) -> bool:
    """Say whether an org refuses because our user may not look there."""
    hidden = isinstance(error, BadRequest) and kind_of(error.code) in _HIDDEN_KINDS
    return hidden or isinstance(error, PermissionMissing | NotFound)


def names_by_id(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of objects by how set-up may name them: by name, or by id in 15 characters."""
    found: dict[str, str] = {}
    for row in rows:
        name = str(row["QualifiedApiName"])
        found[name] = name
        if durable := row.get("DurableId"):
            found[_short(str(durable))] = name
    return found


def of_objects(
    listing: Listing, rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]
) -> list[Automation]:
    """Return what a listing shows that runs on these objects."""
    found = []
    for row in rows:
        if listing.alive and not any(row.get(column) for column in listing.alive):
            continue
        named = _value(row, listing.object)
        if (object_name := names.get(_short(named))) is not None:
            when = _value(row, listing.when) if listing.when else ""
            found.append(Automation(listing.kind, _value(row, listing.name), object_name, when))
    return found


def quoted(names: Collection[str]) -> str:
    """Return object names for a query. They come from our own maps and hold no quotes."""
    return ", ".join(f"'{name}'" for name in sorted(names))


def _short(text: str) -> str:
    return text[:_ID_CHARS] if text.startswith(_OBJECT_ID_PREFIX) else text


def _value(row: Mapping[str, Any], path: str) -> str:
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)

"""Describe objects and fields to one user; what the user may not see is not there (fact sheet §2.3)."""

from __future__ import annotations

from typing import Any

from tillbridge.simulators.salesforce.schema import Field, SObject
from tillbridge.simulators.salesforce.wire import Context

_SOAP = {
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "id": "tns:ID",
    "reference": "tns:ID",
    "address": "urn:address",
}
_MASTER_RECORD_TYPE = "012000000000000AAA"


def describe_global(context: Context) -> dict[str, Any]:
    """List the objects a user may read."""
    visible = [s for s in context.org.schema.values() if context.org.rights(context.user, s)]
    return {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": [summary(context, s) for s in visible]}


def summary(context: Context, sobject: SObject) -> dict[str, Any]:
    """Describe an object without its fields."""
    can, urls = context.org.rights(context.user, sobject), f"{context.base}/sobjects/{sobject.name}"
    return {
        "name": sobject.name,
        "label": sobject.label or sobject.name,
        "labelPlural": sobject.label_plural or sobject.label or sobject.name,
        "keyPrefix": sobject.prefix,
        "custom": sobject.custom,
        "createable": sobject.createable and "create" in can,
        "updateable": sobject.updateable and "edit" in can,
        "deletable": sobject.deletable and "delete" in can,
        "undeletable": sobject.deletable,
        "queryable": sobject.queryable and "read" in can,
        "retrieveable": "read" in can,
        "replicateable": True,
        "searchable": True,
        "layoutable": True,
        "triggerable": True,
        "mergeable": sobject.name in {"Account", "Contact", "Lead", "Case"},
        "customSetting": False,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "urls": {"sobject": urls, "describe": f"{urls}/describe", "rowTemplate": f"{urls}/{{ID}}"},
    }


def describe(context: Context, sobject: SObject) -> dict[str, Any]:
    """Describe an object with the fields the user sees."""
    visible = context.org.visible_fields(context.user, sobject)
    editable = context.org.editable_fields(context.user, sobject)
    fields = [
        _field(f, sobject, editable=f.name in editable) for f in sobject.fields.values() if f.name in visible
    ]
    return {
        **summary(context, sobject),
        "fields": fields,
        "childRelationships": _children(context, sobject),
        "recordTypeInfos": _record_types(context, sobject),
        "supportedScopes": [{"label": "All", "name": "everything"}],
    }


def _field(field: Field, sobject: SObject, *, editable: bool) -> dict[str, Any]:
    number = field.type in {"double", "currency", "percent"}
    required = field.required or (field.master_detail and field.createable)
    text = field.type in {
        "string",
        "textarea",
        "email",
        "phone",
        "url",
        "picklist",
        "multipicklist",
        "id",
        "reference",
    }
    return {
        "name": field.name,
        "label": field.label or field.name,
        "type": field.type,
        "length": field.length if text else 0,
        "byteLength": field.length * 3 if text else 0,
        "precision": field.precision or (18 if number else 0),
        "scale": field.scale,
        "digits": field.precision if field.type == "int" else 0,
        "nillable": not required
        and field.type != "boolean"
        and not (field.always_visible and field.name != "Name"),
        "createable": field.createable and editable and not field.calculated,
        "updateable": field.updateable
        and editable
        and not field.calculated
        and (field.reparentable or not field.master_detail),
        "calculated": field.calculated,
        "autoNumber": field.auto_number,
        "externalId": field.external_id,
        "idLookup": field.id_lookup or field.external_id,
        "unique": field.unique,
        "caseSensitive": field.case_sensitive,
        "custom": field.custom,
        "defaultedOnCreate": field.defaulted or field.default is not None or field.type == "boolean",
        "defaultValue": field.default,
        "restrictedPicklist": field.restricted,
        "picklistValues": [_picklist_value(field, value) for value in field.values],
        "referenceTo": field.reference_to,
        "relationshipName": field.relationship or None,
        "relationshipOrder": 0 if field.master_detail else None,
        "polymorphicForeignKey": len(field.reference_to) > 1,
        "compoundFieldName": field.compound or None,
        "nameField": field.name == "Name" or (field.auto_number and "Name" not in sobject.fields),
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "permissionable": not (field.always_visible or field.required or field.master_detail),
        "filterable": field.type != "address" and not (field.type == "textarea" and field.length > 255),
        "sortable": field.type != "address" and not (field.type == "textarea" and field.length > 255),
        "groupable": field.type
        in {"string", "picklist", "reference", "id", "boolean", "date", "int", "email", "phone"},
        "aggregatable": field.type not in {"boolean", "address", "textarea"},
        "inlineHelpText": field.help_text or None,
        "cascadeDelete": field.master_detail,
        "deprecatedAndHidden": False,
        "calculatedFormula": field.formula or None,
    }


def _picklist_value(field: Field, value: str) -> dict[str, Any]:
    return {
        "active": True,
        "defaultValue": field.default == value,
        "label": value,
        "validFor": None,
        "value": value,
    }


def _children(context: Context, sobject: SObject) -> list[dict[str, Any]]:
    found = []
    for child in context.org.schema.values():
        if not context.org.rights(context.user, child):
            continue
        visible = context.org.visible_fields(context.user, child)
        for field in child.fields.values():
            if sobject.name in field.reference_to and field.name in visible and not field.person_of:
                name = field.child_relationship
                shown = f"{name.removesuffix('__r')}__r" if name and field.custom else name
                found.append(
                    {
                        "childSObject": child.name,
                        "field": field.name,
                        "relationshipName": shown or None,
                        "cascadeDelete": field.master_detail,
                        "restrictedDelete": field.delete_constraint == "Restrict",
                        "deprecatedAndHidden": False,
                    }
                )
    return found


def _record_types(context: Context, sobject: SObject) -> list[dict[str, Any]]:
    rows = [row for row in context.org.rows("RecordType").values() if row["SobjectType"] == sobject.name]
    infos = [
        {
            "recordTypeId": row["Id"],
            "developerName": row["DeveloperName"],
            "name": row["Name"],
            "active": True,
            "available": True,
            "master": False,
            "defaultRecordTypeMapping": row["DeveloperName"] == "Business_Account",
        }
        for row in rows
    ]
    master = {
        "recordTypeId": _MASTER_RECORD_TYPE,
        "developerName": "Master",
        "name": "Master",
        "active": True,
    }
    return [*infos, {**master, "available": True, "master": True, "defaultRecordTypeMapping": not infos}]

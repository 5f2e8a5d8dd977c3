"""Objects from metadata, and the order in which a package's objects and fields come about.

What a single field must say is in `deploy_fields`. Fact sheet sections 8.1 and 8.2;
https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/customobject.htm
"""

from __future__ import annotations

from tillbridge.simulators.salesforce.deploy_fields import (
    DESCRIPTION_CHARS_MAX,
    LABEL_CHARS_MAX,
    check_length,
    deploy_field,
    display_format,
    is_formula,
    is_plain,
    is_relation,
    is_summary,
    well_named,
)
from tillbridge.simulators.salesforce.deploy_view import Success, View
from tillbridge.simulators.salesforce.deploy_xml import Node
from tillbridge.simulators.salesforce.deploy_zip import Bundle, Component
from tillbridge.simulators.salesforce.schema import SObject

FIELDS_MAX = 500
EXTERNAL_IDS_MAX = 25
MASTERS_MAX = 2
RELATIONSHIPS_MAX = 40
SUMMARIES_MAX = 25
SHARING = {"Private", "Read", "ReadWrite", "ReadWriteTransfer", "FullAccess", "ControlledByParent"}
_MASTER_FIELD = "MasterDetail relationship field"


def deploy(view: View, bundle: Bundle) -> None:
    """Lay every object file over the view: objects, then fields in the order they lean on one another."""
    for component in bundle.components:
        if component.kind == "GlobalValueSet":
            view.keep(component)
    files = [c for c in bundle.components if c.kind == "CustomObject"]
    sound = [component for component in files if _object(view, bundle, component)]
    for wave in (is_plain, is_relation, is_formula, is_summary):
        for component in sound:
            for node in component.node.all("fields"):
                if wave(node):
                    deploy_field(view, bundle, component, node)
    for component in sound:
        _check_sharing(view, component)
        _check_allowances(view, component)


def _object(view: View, bundle: Bundle, component: Component) -> bool:
    """Draft the object itself; False if its parts have nothing to stand on."""
    node, name = component.node, component.name
    known = view.org.find(name)
    if not bundle.named("CustomObject", name):
        if known is None:
            view.fail(component, f"Entity of type 'CustomObject' named '{name}' cannot be found")
            return False
        view.draft(known)
        return True
    if not name.endswith("__c"):
        if known is None:
            view.fail(component, f"Entity of type 'CustomObject' named '{name}' cannot be found")
            return False
        view.draft(known)
        view.successes.append(Success("CustomObject", name, component.file, created=False))
        return True
    before = len(view.problems)
    _check_object(view, component, known)
    if len(view.problems) > before:
        return False
    draft = view.draft(
        known or SObject(name, node.get("label"), "", custom=True, name_autonumber=_auto_named(node))
    )
    if node.one("label") is not None:
        draft.label, draft.label_plural = node.get("label"), node.get("pluralLabel")
        draft.sharing, draft.name_autonumber = node.get("sharingModel"), _auto_named(node)
        draft.fields["Name"].label = node.one("nameField").get("label")  # type: ignore[union-attr]  # Checked above.
    view.successes.append(Success("CustomObject", name, component.file, created=known is None))
    return True


def _auto_named(node: Node) -> bool:
    name_field = node.one("nameField")
    return name_field is not None and name_field.get("type") == "AutoNumber"


def _check_object(view: View, component: Component, known: SObject | None) -> None:
    node, name = component.node, component.name
    if not well_named(name):
        view.fail(
            component,
            f"The object name {name} is not valid: letters, digits and single underscores, at most 40",
        )
    if known is not None and node.one("label") is None:
        return  # A file that only brings parts to an object that is there.
    if not node.get("label"):
        view.fail(component, "Must specify a non-empty label for the CustomObject")
    if not node.get("pluralLabel"):
        view.fail(component, "Must specify a non-empty pluralLabel for the CustomObject")
    for tag in ("label", "pluralLabel"):
        check_length(view, component, node, tag, LABEL_CHARS_MAX, "CustomObject", name)
    check_length(view, component, node, "description", DESCRIPTION_CHARS_MAX, "CustomObject", name)
    name_field = node.one("nameField")
    if name_field is None or name_field.get("type") not in {"Text", "AutoNumber"}:
        view.fail(component, "Must specify a nameField of type Text or AutoNumber")
    elif not name_field.get("label"):
        view.fail(component, "Must specify a non-empty label for the nameField", at=name_field)
    elif name_field.get("type") == "AutoNumber" and not display_format(name_field):
        view.fail(
            component, "Must specify 'displayFormat' with a number for an AutoNumber nameField", at=name_field
        )
    if node.get("deploymentStatus") not in {"Deployed", "InDevelopment"}:
        view.fail(
            component, "Must specify a deploymentStatus for the CustomObject: Deployed or InDevelopment"
        )
    if node.get("sharingModel") not in SHARING:
        view.fail(component, "Must specify a sharingModel for the CustomObject", at=node.one("sharingModel"))
    trio = {node.get(f"enable{what}", "false") for what in ("BulkApi", "Sharing", "StreamingApi")}
    if len(trio) > 1:
        view.fail(
            component, "enableBulkApi, enableSharing and enableStreamingApi must all have the same value"
        )


def _check_sharing(view: View, component: Component) -> None:
    draft = view.find(component.name)
    if draft is None or not draft.custom:
        return
    detail = any(f.master_detail for f in draft.fields.values())
    if detail and draft.sharing != "ControlledByParent":
        text = f"Cannot set sharingModel to {draft.sharing} on a CustomObject with a {_MASTER_FIELD}"
        view.fail(component, text, at=component.node.one("sharingModel"))
    elif not detail and draft.sharing == "ControlledByParent":
        text = f"Cannot set sharingModel to ControlledByParent on a CustomObject without a {_MASTER_FIELD}"
        view.fail(component, text, at=component.node.one("sharingModel"))


def _check_allowances(view: View, component: Component) -> None:
    draft = view.find(component.name)
    if draft is None:
        return
    custom = [f for f in draft.fields.values() if f.custom]
    allowances: list[tuple[str, int, int]] = [
        (
            "custom fields",
            sum(1 for _ in custom),
            int(view.org.switches.get("fields_per_object", FIELDS_MAX)),
        ),
        ("external ids", sum(f.external_id for f in custom), EXTERNAL_IDS_MAX),
        ("master-detail relationships", sum(f.master_detail for f in custom), MASTERS_MAX),
        ("relationships", sum(f.type == "reference" for f in custom), RELATIONSHIPS_MAX),
        ("roll-up summaries", sum(f.summary is not None for f in custom), SUMMARIES_MAX),
    ]
    for what, count, top in allowances:
        if count > top:
            view.fail(component, f"Maximum number of {what} on {component.name} exceeded: {count} of {top}")

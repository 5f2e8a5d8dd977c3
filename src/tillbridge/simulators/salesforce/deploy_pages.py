"""What people look at: list views, layouts, pages, reports. Kept, once every field they show is there.

The simulator has no screens, so a component is checked for what it refers to and
then only remembered. Fact sheet sections 8.1 and 8.3;
https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_layouts.htm
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tillbridge.simulators.salesforce.deploy_view import View
from tillbridge.simulators.salesforce.deploy_xml import Node
from tillbridge.simulators.salesforce.deploy_zip import Bundle, Component, parts_of
from tillbridge.simulators.salesforce.schema import SObject

# Fields a page of a standard object cannot do without, beside required custom ones.
LAYOUT_REQUIRED = {
    "Account": ["Name"],
    "Contact": ["Name"],
    "Lead": ["Name", "Company", "Status"],
    "Opportunity": ["Name", "StageName", "CloseDate"],
    "Product2": ["Name"],
}
REPORT_FORMATS = {"Tabular", "Summary", "Matrix", "MultiBlock", "Joined"}
NOT_EVALUATED = {"ValidationRule"}

Check = Callable[[View, Component], None]


def deploy(view: View, bundle: Bundle) -> None:
    """Check and keep everything that shows fields."""
    for component in bundle.components:
        if component.kind == "CustomObject" and component.name in view.drafts:
            _object_parts(view, bundle, component)
    for kind, check in _CHECKS.items():
        for component in bundle.components:
            if component.kind == kind:
                before = len(view.problems)
                check(view, component)
                if len(view.problems) == before:
                    view.keep(component)


# --- inside an object file ---------------------------------------------------------------------------


def _object_parts(view: View, bundle: Bundle, component: Component) -> None:
    for node in component.node.all("searchLayouts"):
        for item in node.children:
            if item.text.endswith("__c") and view.field(component.name, item.text) is None:
                view.fail(component, _no_field(component.name, item.text), at=item)
    for kind, full_name, node in parts_of(component):
        asked = bundle.named("CustomObject", component.name) or bundle.named(kind, full_name)
        if kind == "CustomField" or not asked:
            continue
        before = len(view.problems)
        _part(view, component, kind, full_name, node)
        if len(view.problems) > before:
            continue
        if kind in NOT_EVALUATED:
            view.warn(component, f"{kind} is kept but not evaluated here", kind=kind, name=full_name)
        kept = Component(kind, full_name, component.file, node)
        view.keep(kept)
        if kind == "RecordType":
            label, active = node.get("label"), node.flag("active")
            view.record_types.append((component.name, node.get("fullName"), label, active))


def _part(view: View, component: Component, kind: str, full_name: str, node: Node) -> None:
    def wrong(text: str, at: Node) -> None:
        view.fail(component, text, kind=kind, name=full_name, at=at)

    if not node.get("fullName"):
        wrong("Required field is missing: fullName", node)
    if kind in {"ListView", "CompactLayout", "RecordType"} and not node.get("label"):
        wrong("Required field is missing: label", node)
    named = {"ListView": ["columns"], "CompactLayout": ["fields"]}.get(kind, [])
    for item in (child for tag in named for child in node.all(tag)):
        # A list view has words of its own for standard fields (NAME, CREATED_DATE): not checked.
        custom = item.text.endswith("__c")
        if (custom or kind == "CompactLayout") and view.field(component.name, item.text) is None:
            known = "Could not resolve list view column: " if kind == "ListView" else ""
            wrong(f"{known}{item.text}" if known else _no_field(component.name, item.text), item)
    if kind == "ListView":
        _list_view(view, component, node, wrong)


def _list_view(view: View, component: Component, node: Node, wrong: Callable[[str, Node], None]) -> None:
    if node.get("filterScope") not in {"Everything", "Mine", "Queue", "Delegated", "MyTerritory", "Team"}:
        wrong("Required field is missing: filterScope", node)
    for item in node.all("filters"):
        field = item.get("field")
        if field.endswith("__c") and view.field(component.name, field) is None:
            wrong(f"Could not resolve list view column: {field}", item)


# --- layouts and pages -------------------------------------------------------------------------------


def _layout(view: View, component: Component) -> None:
    object_name, dash, _ = component.name.partition("-")
    sobject = view.page_object(object_name)
    if not dash or sobject is None:
        view.fail(component, f"Parent entity failed to deploy: no CustomObject named {object_name} found")
        return
    shown = set()
    for item in (n for n in component.node.walk() if n.tag == "layoutItems"):
        if name := item.get("field"):
            if view.field(sobject.name, name) is None:
                view.fail(component, _no_field(object_name, name), at=item)
            elif name in shown:
                view.fail(component, f"Duplicate layout field: {name}", at=item)
            shown.add(name)
    for required in sorted(_required(sobject) - shown):
        view.fail(component, f"Layout must contain an item for required layout field: {required}")
    for item in component.node.all("relatedLists"):
        _related_list(view, component, sobject, item)


def _required(sobject: SObject) -> set[str]:
    fields = {f.name for f in sobject.fields.values() if f.custom and (f.required or f.master_detail)}
    if sobject.custom:
        return fields | (set() if sobject.name_autonumber else {"Name"})
    return fields | set(LAYOUT_REQUIRED.get(sobject.name, []))


def _related_list(view: View, component: Component, sobject: SObject, item: Node) -> None:
    named = item.get("relatedList")
    child, dot, lookup = named.partition(".")
    if not dot:
        return  # A standard list (RelatedContactList): a word of its own.
    link = view.field(child, lookup)
    # A person account shows the lists of the contact inside it as well.
    parents = {sobject.name} | ({"Contact"} if component.name.startswith("PersonAccount-") else set())
    if link is None or not parents & set(link.reference_to):
        view.fail(component, f"In field: relatedList - no CustomField named {named} found", at=item)
        return
    for column in item.all("fields"):
        if column.text.endswith("__c") and view.field(child, column.text) is None:
            view.fail(component, _no_field(child, column.text), at=column)
    sort = item.get("sortField")
    if sort.endswith("__c") and view.field(child, sort) is None:
        view.fail(component, _no_field(child, sort), at=item)


def _flexipage(view: View, component: Component) -> None:
    node = component.node
    if not node.get("masterLabel") or not node.get("type"):
        view.fail(component, "Required field is missing: masterLabel and type")
    object_name = node.get("sobjectType")
    if object_name and view.find(object_name) is None:
        view.fail(
            component,
            f"In field: sobjectType - no CustomObject named {object_name} found",
            at=node.one("sobjectType"),
        )
        return
    for item in node.walk():
        found = re.fullmatch(r"Record\.(\w+)", item.text) if item.tag == "fieldItem" else None
        if found and view.field(object_name, found[1]) is None:
            view.fail(component, _no_field(object_name, found[1]), at=item)
        if item.tag == "componentInstanceProperties" and item.get("name") == "relatedListApiName":
            _related_name(view, component, object_name, item)


def _related_name(view: View, component: Component, object_name: str, item: Node) -> None:
    name = item.get("value")
    if name.endswith("__r") and _child(view, object_name, name) is None:
        view.fail(component, f"The related list {name} does not exist on {object_name}", at=item)


def _child(view: View, parent: str, relationship: str) -> SObject | None:
    """Return the object whose lookup gives a parent this list of children."""
    for sobject in {**view.org.schema, **view.drafts}.values():
        for field in sobject.fields.values():
            if parent in field.reference_to and field.child_relationship == relationship:
                return sobject
    return None


# --- reports -----------------------------------------------------------------------------------------


def _report_type(view: View, component: Component) -> None:
    node = component.node
    base = view.find(node.get("baseObject"))
    if base is None:
        view.fail(
            component,
            f"In field: baseObject - no CustomObject named {node.get('baseObject')} found",
            at=node.one("baseObject"),
        )
        return
    for tag in ("label", "category"):
        if not node.get(tag):
            view.fail(component, f"Required field is missing: {tag}")
    for item in (n for n in node.walk() if n.tag == "columns"):
        sobject = _table(view, base, item.get("table"))
        name = item.get("field")
        if sobject is None:
            view.fail(component, f"Invalid table {item.get('table')} in report type", at=item)
        elif "." not in name and view.field(sobject.name, name) is None:
            view.fail(component, _no_field(sobject.name, name), at=item)


def _table(view: View, base: SObject, table: str) -> SObject | None:
    first, *relationships = table.split(".")
    sobject: SObject | None = base if first == base.name else None
    for relationship in relationships:
        sobject = _child(view, sobject.name, relationship) if sobject is not None else None
    return sobject


def _report(view: View, component: Component) -> None:
    node = component.node
    if "/" not in component.name:
        if not node.get("name"):
            view.fail(component, "Required field is missing: name")
        return
    folder = component.name.partition("/")[0]
    if not (view.has("Report", folder) or folder == "unfiled$public"):
        view.fail(component, f"Cannot find folder:{folder}")
    if node.get("format") not in REPORT_FORMATS:
        view.fail(
            component,
            f"'{node.get('format')}' is not a valid value for the enum 'ReportFormat'",
            at=node.one("format"),
        )
    report_type = node.get("reportType")
    if not _report_type_exists(view, report_type):
        view.fail(component, f"Invalid report type: {report_type}", at=node.one("reportType"))
    for item in node.walk():
        if found := re.fullmatch(r"(\w+)[.$](\w+__c)", item.text):
            sobject = view.find(found[1])
            if sobject is not None and sobject.find(found[2]) is None:
                view.fail(component, f"Invalid field name: {item.text}", at=item)


def _report_type_exists(view: View, name: str) -> bool:
    if found := re.match(r"Custom(?:Entity|EntityCustomEntity)\$(\w+)", name):
        return all(view.find(part) is not None for part in re.split(r"[$@]", found[1]))
    if name.endswith("__c"):
        return view.has("ReportType", name.removesuffix("__c"))
    return bool(name)


def _dashboard(view: View, component: Component) -> None:
    node = component.node
    if "/" not in component.name:
        if not node.get("name"):
            view.fail(component, "Required field is missing: name")
        return
    folder = component.name.partition("/")[0]
    if not view.has("Dashboard", folder):
        view.fail(component, f"Cannot find folder:{folder}")
    for item in node.walk():
        if item.tag == "report" and not view.has("Report", item.text):
            view.fail(component, f"In field: report - no Report named {item.text} found", at=item)


def _sharing_rules(view: View, component: Component) -> None:
    sobject = view.find(component.name)
    if sobject is None:
        view.fail(component, f"Entity of type 'CustomObject' named '{component.name}' cannot be found")
        return
    for item in (n for n in component.node.walk() if n.tag == "criteriaItems"):
        if sobject.find(item.get("field")) is None:
            view.fail(component, _no_field(sobject.name, item.get("field")), at=item)


def _quick_action(view: View, component: Component) -> None:
    object_name = component.name.partition(".")[0] if "." in component.name else ""
    if object_name and view.find(object_name) is None:
        view.fail(component, f"Entity of type 'CustomObject' named '{object_name}' cannot be found")


def _anything(_view: View, _component: Component) -> None:
    """Nothing it could refer to is simulated."""


def _no_field(object_name: str, name: str) -> str:
    return f"In field: field - no CustomField named {object_name}.{name} found"


# In the order in which each may refer to those before it; folders come before what lies in them, by name.
_CHECKS: dict[str, Check] = {
    "CustomLabels": _anything,
    "QuickAction": _quick_action,
    "Layout": _layout,
    "FlexiPage": _flexipage,
    "ReportType": _report_type,
    "Report": _report,
    "Dashboard": _dashboard,
    "SharingRules": _sharing_rules,
    "Group": _anything,
    "Queue": _anything,
    "PermissionSetGroup": _anything,
}

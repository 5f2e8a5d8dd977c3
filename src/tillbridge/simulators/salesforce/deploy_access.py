"""Who may do what: permission sets, and the custom permissions, tabs and apps they speak of.

A permission set names rights; what it does not name is not granted, and a new
version of it replaces the old one whole. Fact sheet section 8.2;
https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_permissionset.htm
"""

from __future__ import annotations

from tillbridge.simulators.salesforce.deploy_view import Success, View
from tillbridge.simulators.salesforce.deploy_xml import Node
from tillbridge.simulators.salesforce.deploy_zip import Bundle, Component
from tillbridge.simulators.salesforce.schema import PermissionSet

LABEL_CHARS_MAX = 80
# metadata element -> our right; in the order in which each needs those before it.
RIGHTS = {
    "allowRead": "read",
    "allowCreate": "create",
    "allowEdit": "edit",
    "allowDelete": "delete",
    "viewAllRecords": "viewAll",
    "modifyAllRecords": "modifyAll",
}
NEEDS = {
    "create": {"read"},
    "edit": {"read"},
    "delete": {"read", "edit"},
    "viewAll": {"read"},
    "modifyAll": {"read", "edit", "delete", "viewAll"},
}
TAB_SETTINGS = {"Available", "None", "Visible"}


def deploy(view: View, bundle: Bundle) -> None:
    """Lay custom permissions, tabs and apps over the view, then the permission sets that name them."""
    for kind, check in (
        ("CustomPermission", _custom_permission),
        ("CustomTab", _tab),
        ("CustomApplication", _app),
    ):
        for component in bundle.components:
            if component.kind == kind:
                _unless_wrong(view, component, check)
    for component in bundle.components:
        if component.kind == "PermissionSet":
            _permission_set(view, component)


def _unless_wrong(view: View, component: Component, check: object) -> None:
    assert callable(check)
    before = len(view.problems)
    check(view, component)
    if len(view.problems) == before:
        view.keep(component)


def _custom_permission(view: View, component: Component) -> None:
    if not component.node.get("label"):
        view.fail(component, "Required field is missing: label")


def _tab(view: View, component: Component) -> None:
    node, name = component.node, component.name
    if node.flag("customObject"):
        if view.find(name) is None:
            view.fail(component, f"In field: customObject - no CustomObject named {name} found")
        if not node.get("motif"):
            view.fail(component, "Required field is missing: motif")
    elif not any(node.get(tag) for tag in ("url", "page", "flexiPage", "lwcComponent", "auraComponent")):
        view.fail(component, "A tab must specify customObject, flexiPage, page or url")


def _app(view: View, component: Component) -> None:
    for tab in component.node.all("tabs"):
        if not _tab_exists(view, tab.text):
            view.fail(component, f"In field: tabs - no CustomTab named {tab.text} found", at=tab)


def _tab_exists(view: View, name: str) -> bool:
    return name.startswith("standard-") or view.has("CustomTab", name)


def _permission_set(view: View, component: Component) -> None:
    node, name = component.node, component.name
    before = len(view.problems)
    made = PermissionSet(name, node.get("label"))
    if not made.label:
        view.fail(component, "Required field is missing: label")
    if len(made.label) > LABEL_CHARS_MAX:
        view.fail(
            component,
            f"Value too long for field: Label maximum length is:{LABEL_CHARS_MAX}",
            at=node.one("label"),
        )
    for item in node.all("objectPermissions"):
        _object_permission(view, component, made, item)
    _check_masters(view, component, made)
    for item in node.all("fieldPermissions"):
        _field_permission(view, component, made, item)
    for item in node.all("customPermissions"):
        _custom_grant(view, component, made, item)
    for item in node.all("tabSettings"):
        _tab_setting(view, component, made, item)
    for item in node.all("userPermissions"):
        if item.flag("enabled"):
            made.user_permissions.add(item.get("name"))
    for item in node.all("recordTypeVisibilities"):
        if item.flag("visible"):
            made.record_types.add(item.get("recordType"))
    for item in node.all("applicationVisibilities"):
        app = item.get("application")
        if not app.startswith("standard__") and not view.has("CustomApplication", app):
            view.fail(component, f"In field: application - no CustomApplication named {app} found", at=item)
    if len(view.problems) == before:
        created = name not in view.org.permission_sets
        view.permission_sets[name] = made
        view.successes.append(Success("PermissionSet", name, component.file, created))


def _object_permission(view: View, component: Component, made: PermissionSet, item: Node) -> None:
    sobject = view.find(item.get("object"))
    if sobject is None:
        view.fail(component, f"In field: field - no CustomObject named {item.get('object')} found", at=item)
        return
    rights = {right for tag, right in RIGHTS.items() if item.flag(tag)}
    for right in rights:
        for needed in sorted(NEEDS.get(right, set()) - rights):
            text = f"Permission {_word(right)} {{0}} depends on permission(s): {_word(needed)} {{0}}"
            view.fail(component, text.format(sobject.name), at=item)
    made.objects[sobject.name] = rights


def _word(right: str) -> str:
    return {"viewAll": "ViewAllRecords", "modifyAll": "ModifyAllRecords"}.get(right, right.capitalize())


def _check_masters(view: View, component: Component, made: PermissionSet) -> None:
    """Refuse rights on a detail without the right to read its master."""
    for name, rights in made.objects.items():
        sobject = view.find(name)
        assert sobject is not None  # Noted above, under the name of an object that exists.
        for field in sobject.fields.values():
            master = field.reference_to[0] if field.master_detail and sobject.custom else ""
            if rights and master and "read" not in made.objects.get(master, set()):
                text = f"Permission Read {name} depends on permission(s): Read {master}"
                view.fail(component, text)


def _field_permission(view: View, component: Component, made: PermissionSet, item: Node) -> None:
    full_name = item.get("field")
    object_name, _, name = full_name.partition(".")
    field = view.field(object_name, name)
    sobject = view.find(object_name)
    if field is None or sobject is None:
        view.fail(component, f"In field: field - no CustomField named {full_name} found", at=item)
        return
    if field.always_visible or field.required or field.master_detail or field.name == "Name":
        view.fail(component, f"You cannot deploy to a required field: {full_name}", at=item)
        return
    readable, editable = item.flag("readable"), item.flag("editable")
    if editable and not readable:
        view.fail(component, f"Field {full_name} cannot be editable without being readable", at=item)
        return
    key = f"{sobject.name}.{field.name}"
    if key in made.fields:
        view.fail(component, f"Duplicate field permission: {full_name}", at=item)
    # What nobody can write stays read-only, whatever the permission set says.
    made.fields[key] = (readable, editable and (field.createable or field.updateable))


def _custom_grant(view: View, component: Component, made: PermissionSet, item: Node) -> None:
    name = item.get("name")
    if not view.has("CustomPermission", name):
        view.fail(component, f"In field: customPermission - no CustomPermission named {name} found", at=item)
    elif item.flag("enabled"):
        made.custom_permissions.add(name)


def _tab_setting(view: View, component: Component, made: PermissionSet, item: Node) -> None:
    name, visibility = item.get("tab"), item.get("visibility")
    if not _tab_exists(view, name):
        view.fail(component, f"In field: tab - no CustomTab named {name} found", at=item)
    elif visibility not in TAB_SETTINGS:
        view.fail(
            component,
            f"'{visibility}' is not a valid value for the enum 'PermissionSetTabVisibility'",
            at=item,
        )
    else:
        made.tabs[name] = visibility

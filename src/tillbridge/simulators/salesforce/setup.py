"""The setup objects that SOQL can read: permission sets and what they grant, as the org has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tillbridge.simulators.salesforce.schema import PermissionSet

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

_OBJECT_FLAGS = {
    "PermissionsRead": "read",
    "PermissionsCreate": "create",
    "PermissionsEdit": "edit",
    "PermissionsDelete": "delete",
    "PermissionsViewAllRecords": "viewAll",
    "PermissionsModifyAllRecords": "modifyAll",
}


def keep_current(org: Org) -> None:
    """Make rows for permission sets that came by deployment, and their grants."""
    table = org.tables["PermissionSet"]
    for held in org.permission_sets.values():
        if not held.id:
            held.id = org.new_id("0PS")
        if held.id not in table.rows:
            org.furnish(
                "PermissionSet", Id=held.id, Name=held.name, Label=held.label or held.name, IsCustom=True
            )
    _grants(org)


def _grants(org: Org) -> None:
    for name in ("ObjectPermissions", "FieldPermissions"):
        table = org.tables[name]
        for row_id in list(table.rows):
            table.take(row_id)
    for held in org.permission_sets.values():
        _grant_objects(org, held)
        for field, (readable, editable) in held.fields.items():
            kind = field.partition(".")[0]
            org.furnish(
                "FieldPermissions", ParentId=held.id, SobjectType=kind, Field=field,
                PermissionsRead=readable, PermissionsEdit=editable,
            )  # fmt: skip


def _grant_objects(org: Org, held: PermissionSet) -> None:
    for kind, rights in held.objects.items():
        flags = {flag: right in rights for flag, right in _OBJECT_FLAGS.items()}
        org.furnish("ObjectPermissions", ParentId=held.id, SobjectType=kind, **flags)

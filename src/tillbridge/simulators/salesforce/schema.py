"""What an org knows of its objects: fields, types, rules, and who may see what.

Standard objects are there from the start; the metadata deploy adds custom ones.
A field that a user has no field-level security for does not exist for that user.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Field:
    """One field. `type` uses describe's words: string, textarea, email, phone, url, boolean, int, double,
    currency, percent, date, datetime, picklist, multipicklist, id, reference, address, ...
    """  # noqa: D205

    name: str
    type: str
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False  # createable, not nillable, not defaulted
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    id_lookup: bool = False
    createable: bool = True
    updateable: bool = True
    calculated: bool = False
    restricted: bool = False  # a restricted picklist
    values: list[str] = field(default_factory=list)
    inactive: list[str] = field(default_factory=list)  # values that were taken out of use
    value_set: str = ""  # the global value set that `values` come from
    default: Any = None
    reference_to: list[str] = field(default_factory=list)
    relationship: str = ""  # Store__r, Account
    child_relationship: str = ""
    master_detail: bool = False
    reparentable: bool = True
    delete_constraint: str = "SetNull"
    custom: bool = False
    description: str = ""
    help_text: str = ""
    always_visible: bool = (
        False  # required and master-detail fields, Id, system fields: no field-level security
    )
    formula: str = ""
    summary: dict[str, Any] | None = None  # roll-up summary, as deployed
    defaulted: bool = False  # the org fills it in on create
    auto_number: bool = False
    compound: str = ""  # the compound field this is a component of: BillingAddress, Name
    person_of: str = ""  # on Account: the Contact field this one shows for person accounts


@dataclass(slots=True)
class SObject:
    """One object. `fields` is keyed by name as declared; look up with `find` (names are case-insensitive)."""

    name: str
    label: str
    prefix: str  # three characters of the record id
    fields: dict[str, Field] = field(default_factory=dict)
    label_plural: str = ""
    custom: bool = False
    sharing: str = "ReadWrite"
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    queryable: bool = True
    name_autonumber: bool = False
    owned: bool = True  # has an OwnerId; a detail of a master has none

    def find(self, name: str) -> Field | None:
        """Find a field by name, whatever the case."""
        if found := self.fields.get(name):
            return found
        low = name.lower()
        return next((f for n, f in self.fields.items() if n.lower() == low), None)


@dataclass(slots=True)
class PermissionSet:
    """Object and field rights that assigned users add up."""

    name: str
    label: str = ""
    id: str = ""
    objects: dict[str, set[str]] = field(
        default_factory=dict
    )  # object -> {create, read, edit, delete, viewAll, modifyAll}
    fields: dict[str, tuple[bool, bool]] = field(default_factory=dict)  # "Obj.Field" -> (readable, editable)
    custom_permissions: set[str] = field(default_factory=set)
    record_types: set[str] = field(default_factory=set)
    user_permissions: set[str] = field(default_factory=set)
    tabs: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class User:
    """Someone, or something, that logs in."""

    id: str
    username: str
    name: str
    profile: str = "System Administrator"
    active: bool = True
    permission_sets: set[str] = field(default_factory=set)
    all_standard: bool = True  # sees all standard objects and fields, as an administrator does
    email: str = ""
    sees_everything: bool = False  # the platform itself: control calls act as one of these


@dataclass(slots=True)
class RowError:
    """Why one row was refused. On the wire: statusCode in collections, errorCode elsewhere."""

    code: str
    message: str
    fields: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)  # duplicateResult


@dataclass(slots=True)
class RowResult:
    """What became of one row. `created` is meaningful for upsert; `matches` holds ids for a 300 answer."""

    id: str = ""
    created: bool = False
    errors: list[RowError] = field(default_factory=list)
    matches: list[str] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """A row with no error was written."""
        return not self.errors and not self.matches

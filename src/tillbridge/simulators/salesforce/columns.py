"""What each name in a row means to one user: which field, how its value is read, and who may write it.

Worked out once for a user and an object, then looked up for every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tillbridge.simulators.salesforce.ids import well_formed, with_checksum
from tillbridge.simulators.salesforce.schema import Field, SObject, User
from tillbridge.simulators.salesforce.table import Index, Table
from tillbridge.simulators.salesforce.values import Reader, Refused, reader

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org


@dataclass(slots=True, frozen=True)
class Column:
    """One name a client sends. `read` is None for names that are no data (attributes, Id)."""

    name: str
    field: Field | None
    read: Reader | None
    createable: bool = True
    updateable: bool = True
    by_external_id: bool = False


class Columns:
    """The names of one object as one user may send them, and what every write of it checks."""

    def __init__(self, org: Org, user: User, sobject: SObject) -> None:
        self.org, self.user, self.sobject = org, user, sobject
        self.table: Table = org.tables[sobject.name]
        self.rights = org.rights(user, sobject)
        self._visible = org.visible_fields(user, sobject)
        self._editable = org.editable_fields(user, sobject)
        fields = sobject.fields.values()
        self.required = [
            f.name for f in fields if (f.required or f.master_detail) and f.createable and f.default is None
        ]
        self.unique: list[tuple[str, Index]] = [(f.name, self.table.index(f)) for f in fields if f.unique]
        self.defaults = {
            f.name: f.default
            for f in fields
            if f.default is not None and f.type != "id" and f.name != "IsDeleted"
        }
        self.masters = [f for f in fields if f.master_detail]
        self.lookups = [
            f.name for f in fields if f.type == "reference" and f.name not in {"OwnerId", "RecordTypeId"}
        ]
        self.updates_any_row = (
            user.sees_everything
            or sobject.sharing in {"ReadWrite", "ReadWriteTransfer"}
            or "modifyAll" in self.rights
        )
        self.known: dict[str, Column] = {
            "attributes": Column("attributes", None, None),
            "Id": Column("Id", None, None),
        }

    def resolve(self, name: str) -> Column:
        """Return what a name means; refuses names that do not exist for this user."""
        column = self._relation(name) if "." in name or self._field(name) is None else self._plain(name)
        self.known[name] = column
        return column

    def _field(self, name: str) -> Field | None:
        field = self.sobject.find(name)
        return field if field is not None and field.name in self._visible else None

    def _plain(self, name: str) -> Column:
        field = self._field(name)
        assert field is not None
        if field.name == "Id":
            return self.known["Id"]
        may_edit = field.name in self._editable
        # A detail that may not be moved keeps its first master (fact sheet §2.8).
        movable = field.reparentable or not field.master_detail
        return Column(
            field.name,
            field,
            self._reader(field),
            createable=field.createable and may_edit and not field.calculated,
            updateable=field.updateable and may_edit and not field.calculated and movable,
        )

    def _relation(self, name: str) -> Column:
        relationship, _, external = name.partition(".")
        low = relationship.lower()
        fields = [
            f
            for f in self.sobject.fields.values()
            if f.relationship.lower() == low and f.name in self._visible
        ]
        if not fields:
            message = f"No such column '{name}' on sobject of type {self.sobject.name}"
            raise Refused("INVALID_FIELD", message, bulk=f"Field name not found : {name}")
        base = self._plain(fields[0].name)
        read = self._external_reader(fields[0], external)
        return Column(base.name, base.field, read, base.createable, base.updateable, by_external_id=True)

    def _reader(self, field: Field) -> Reader:
        if field.type == "reference":
            return self._id_reader(field)
        if field.type in {"address", "location"}:
            return _compound_reader(field)
        return reader(field, email_lowercase=bool(self.org.switches["email_lowercase"]))

    def _id_reader(self, field: Field) -> Reader:
        tables = [self.org.tables[name] for name in field.reference_to if name in self.org.tables]
        first, name = (tables[0].rows if tables else {}), field.name
        prefixes = {table.sobject.prefix for table in tables}

        def read(raw: Any) -> str | None:
            if type(raw) is str and (parent := first.get(raw)) is not None:
                return parent["Id"]  # type: ignore[no-any-return]  # Shares the parent's own text.
            text = raw.strip() if isinstance(raw, str) else str(raw)
            if not text:
                return None
            if not well_formed(text):
                raise Refused("MALFORMED_ID", f"{name}: id value of incorrect type: {text}", [name])
            known = with_checksum(text[:15])
            for table in tables:
                if (parent := table.rows.get(known)) is not None:
                    return parent["Id"]  # type: ignore[no-any-return]
            if known[:3] not in prefixes:
                raise Refused(
                    "FIELD_INTEGRITY_EXCEPTION", f"{name}: id value of incorrect type: {text}", [name]
                )
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [])

        return read

    def _external_reader(self, field: Field, external: str) -> Reader:
        """Read `Store__r: {"Store_Key__c": "S1"}`, or the bare value after a dotted name (§2.8)."""
        lookups: dict[str, Reader] = {}

        def read(raw: Any) -> str | None:
            if external:
                column, value, target = external, raw, field.reference_to[0]
            else:
                if not isinstance(raw, dict):
                    # A parent by external id is an object; clearing goes through the lookup itself.
                    raise Refused(
                        "INVALID_FIELD", f"Cannot reference a foreign key field {field.relationship}."
                    )
                attributes = raw.get("attributes") or {}
                target = attributes.get("type") or field.reference_to[0]
                pairs = [(k, v) for k, v in raw.items() if k != "attributes"]
                if len(pairs) != 1:
                    raise Refused(
                        "INVALID_FIELD", f"Cannot reference a foreign key field {field.relationship}."
                    )
                column, value = pairs[0]
            key = f"{target}.{column}"
            find = lookups.get(key)
            if find is None:
                find = lookups[key] = self._finder(field, target, column)
            return find(value)  # type: ignore[no-any-return]

        return read

    def _finder(self, field: Field, target: str, column: str) -> Reader:
        parent = self.org.find(target)
        found = parent.find(column) if parent else None
        if parent is None or found is None or found.name not in self.org.visible_fields(self.user, parent):
            raise Refused("INVALID_FIELD", f"No such column '{column}' on sobject of type {target}")
        if not (found.external_id or found.id_lookup):
            raise Refused("INVALID_FIELD", f"Cannot reference a foreign key field {field.relationship}.")
        table, index = self.org.tables[parent.name], self.org.tables[parent.name].index(found)

        def find(value: Any) -> str | None:
            if type(value) is float and value.is_integer():
                value = str(int(value)) if found.type == "string" else value
            ids = list(index.ids(value.strip() if type(value) is str else value))
            if len(ids) == 1:
                return table.rows[ids[0]]["Id"]  # type: ignore[no-any-return]
            what = f"field {found.name} in entity {parent.name}"
            if ids:
                raise Refused(
                    "INVALID_FIELD",
                    f"More than one record found for foreign key external ID: {value} of {what}",
                )
            raise Refused("INVALID_FIELD", f"Foreign key external ID: {value} not found for {what}")

        return find


def _compound_reader(field: Field) -> Reader:
    def read(_raw: Any) -> None:
        raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", unwriteable([field.name]), [field.name])

    return read


def unwriteable(names: list[str]) -> str:
    """Word the refusal of fields a user may not write."""
    return (
        f"Unable to create/update fields: {', '.join(names)}. Please check the security settings of this "
        "field and verify that it is read/write for your profile or permission set."
    )

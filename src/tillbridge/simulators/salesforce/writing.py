"""Write one row under every rule of the org: rights, types, lengths, keys, parents, duplicates, locks.

One function for all doors. A row that is refused leaves nothing behind; a
caller that needs all-or-none opens a transaction around its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tillbridge.simulators.salesforce import rules
from tillbridge.simulators.salesforce.columns import Columns, unwriteable
from tillbridge.simulators.salesforce.ids import well_formed, with_checksum
from tillbridge.simulators.salesforce.schema import Field, RowError, RowResult, SObject, User
from tillbridge.simulators.salesforce.table import Row, Table
from tillbridge.simulators.salesforce.values import Refused

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org


@dataclass(frozen=True, slots=True)
class Options:
    """How a row came in."""

    ext_field: str | None = None
    source: str = "rest"
    auto_assign: bool = True
    allow_duplicates: bool = False


def write(
    org: Org, user: User, sobject_name: str, op: str, fields: dict[str, Any], options: Options
) -> RowResult:
    """Write one row; what is wrong with it comes back in the result."""
    try:
        columns = columns_of(org, user, sobject_name)
        if op == "insert":
            result = _insert(org, columns, fields, options)
        elif op == "update":
            result = _update(org, columns, _row_of(columns.table, fields.get("Id")), fields, options)
        elif op == "upsert":
            result = _upsert(org, columns, fields, options)
        else:
            result = _delete(org, columns, fields, hard=op == "hardDelete")
    except Refused as refused:
        return RowResult(errors=[_error(refused.error, options)])
    if not user.sees_everything:  # What the org's own people do is no use of the API.
        org.usage.rows_written[columns.sobject.name] += 1
    return result


def columns_of(org: Org, user: User, sobject_name: str) -> Columns:
    """Return what a user may send for an object; refuses objects that do not exist for the user."""
    key = ("columns", user.id, sobject_name)
    found: Columns | None = org.derived.get(key)
    if found is None:
        org.refresh_setup()
        sobject = org.find(sobject_name)
        if sobject is None or not org.rights(user, sobject):
            raise Refused("INVALID_TYPE", f"sObject type '{sobject_name}' is not supported.")
        found = org.derived[key] = Columns(org, user, sobject)
    return found


@contextmanager
def transaction(org: Org) -> Iterator[Transaction]:
    """Open a transaction: what was written inside is undone if `rollback` is called."""
    outer, org.undo = org.undo, []
    current = Transaction(org)
    try:
        yield current
    finally:
        done, org.undo = org.undo, outer
        if outer is not None:
            outer.extend(done)


class Transaction:
    """The writes since it was opened."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._automation = dict(org.automation)
        self._written = org.usage.rows_written.copy()

    def rollback(self) -> None:
        """Put every row back as it was."""
        log = self._org.undo
        assert log is not None
        for table, row_id, before in reversed(log):
            if row_id in table.rows:
                table.take(row_id)
            if before is not None:
                table.bin.pop(row_id, None)
                table.put(before)
        log.clear()
        self._org.automation.update(self._automation)
        self._org.usage.rows_written = self._written


# -- the three ways to touch a row; everything that writes goes through them ---


def put(org: Org, table: Table, row: Row) -> None:
    """Enter a new row."""
    table.put(row)
    if org.undo is not None:
        org.undo.append((table, row["Id"], None))


def change(org: Org, table: Table, row: Row, changes: Row) -> None:
    """Change a live row."""
    if org.undo is not None:
        org.undo.append((table, row["Id"], dict(row)))
    table.change(row, changes)


def bury(org: Org, table: Table, row_id: str, user_id: str, *, hard: bool = False, **more: Any) -> None:
    """Move a row to the Recycle Bin, or past it."""
    row = table.rows[row_id]
    if org.undo is not None:
        org.undo.append((table, row_id, dict(row)))
    table.take(row_id)
    if not hard:
        now = max(org.now_text(), row["SystemModstamp"])
        row.update(IsDeleted=True, SystemModstamp=now, LastModifiedDate=now, LastModifiedById=user_id, **more)
        table.bin[row_id] = row


# -- operations ------------------------------------------------------------------


def _insert(org: Org, columns: Columns, fields: dict[str, Any], options: Options) -> RowResult:
    if "create" not in columns.rights:
        raise Refused(
            "INSUFFICIENT_ACCESS_OR_READONLY", f"insufficient access rights on object: {columns.sobject.name}"
        )
    if fields.get("Id"):
        raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ["Id"])
    values = _read(columns, fields, inserting=True)
    sobject, table = columns.sobject, columns.table
    for name, default in columns.defaults.items():
        if values.get(name) is None:
            values[name] = default
    rules.before_save(org, columns, values, None)
    _require(columns, values, values)
    _check(org, columns, values, None, options)
    rules.before_insert(org, columns, values, allow_duplicates=options.allow_duplicates)
    now, user_id = org.now_text(), columns.user.id
    row: Row = {
        "Id": org.mint.new(sobject.prefix),
        "CreatedDate": now,
        "CreatedById": user_id,
        "LastModifiedDate": now,
        "LastModifiedById": user_id,
        "SystemModstamp": now,
    }
    if sobject.owned:
        row["OwnerId"] = user_id
    for name, value in values.items():
        if value is not None:
            row[name] = value
    if sobject.name_autonumber:
        table.numbered += 1
        row["Name"] = f"{sobject.label[:1].upper() or 'N'}-{table.numbered:07d}"
    elif sobject.custom and "Name" not in row:
        row["Name"] = row["Id"]  # What the platform does when nobody gave a name.
    put(org, table, row)
    rules.after_insert(org, columns, row, options.auto_assign)
    return RowResult(row["Id"], created=True)


def _update(org: Org, columns: Columns, row: Row, fields: dict[str, Any], options: Options) -> RowResult:
    if "edit" not in columns.rights:
        raise Refused(
            "INSUFFICIENT_ACCESS_OR_READONLY", f"insufficient access rights on object: {columns.sobject.name}"
        )
    if not columns.updates_any_row and not org.sees_row(columns.user, columns.table, row):
        raise Refused("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
    changes = _read(columns, fields, inserting=False, row=row, upserting=options.ext_field is not None)
    for name, default in columns.defaults.items():
        if default is False and name in changes and changes[name] is None:
            changes[name] = False  # A checkbox is never null.
    rules.before_save(org, columns, changes, row)
    _require(columns, changes, None)
    _check(org, columns, changes, row, options)
    rules.before_update(org, columns, row, changes, allow_duplicates=options.allow_duplicates)
    now = max(org.now_text(), row["SystemModstamp"])
    stamps = {"LastModifiedDate": now, "LastModifiedById": columns.user.id, "SystemModstamp": now}
    change(org, columns.table, row, {**changes, **stamps})
    rules.after_update(org, columns, row, changes)
    return RowResult(row["Id"])


def _upsert(org: Org, columns: Columns, fields: dict[str, Any], options: Options) -> RowResult:
    sobject, name = columns.sobject, options.ext_field or "Id"
    field = sobject.find(name)
    if (
        field is None
        or field.name not in org.visible_fields(columns.user, sobject)
        or not (field.external_id or field.id_lookup)
    ):
        wanted = f"an External ID, Salesforce Id, or indexed field for {sobject.name}"
        message = f"Field name provided, {name} does not match {wanted}"
        raise Refused("INVALID_FIELD", message)
    if field.name == "Id":
        if not fields.get("Id"):
            return _insert(org, columns, {k: v for k, v in fields.items() if k != "Id"}, options)
        return _update(org, columns, _row_of(columns.table, fields["Id"]), fields, options)
    column = columns.known.get(field.name) or columns.resolve(field.name)
    raw = next((v for k, v in fields.items() if k.lower() == field.name.lower()), None)
    value = None if raw is None or column.read is None else column.read(raw)
    if value is None:
        raise Refused("MISSING_ARGUMENT", f"{field.name} not specified", [])
    ids = list(columns.table.index(field).ids(value))
    if len(ids) > 1:
        message = f"{field.name}: more than one record found for external id field: [{', '.join(ids)}]"
        return RowResult(errors=[RowError("DUPLICATE_EXTERNAL_ID", message, [field.name])], matches=ids)
    if ids:
        return _update(org, columns, columns.table.rows[ids[0]], fields, options)
    return _insert(org, columns, fields, options)


def _delete(org: Org, columns: Columns, fields: dict[str, Any], *, hard: bool) -> RowResult:
    row = _row_of(columns.table, fields.get("Id"))
    if "delete" not in columns.rights or not (
        columns.updates_any_row or org.sees_row(columns.user, columns.table, row)
    ):
        raise Refused("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
    _lock_check(org, columns, row, {})
    rules.before_delete(org, columns, row)
    delete_row(org, columns.table, row["Id"], columns.user.id, hard=hard)
    return RowResult(row["Id"])


def delete_row(org: Org, table: Table, row_id: str, user_id: str, *, hard: bool = False) -> None:
    """Delete a row with what hangs below it: details go too, lookups are emptied (fact sheet §7.4)."""
    for child, field in children_of(org, table.sobject):
        ids = list(child.index(field).ids(row_id))
        if ids and field.delete_constraint == "Restrict":
            raise Refused(
                "DELETE_FAILED",
                f"Your attempt to delete {row_id} could not be completed: it is referenced.",
                [],
            )
        cascades = (
            field.master_detail
            or field.delete_constraint == "Cascade"
            or rules.cascades(table.sobject, child.sobject, field)
        )
        for child_id in ids:
            if child_id in child.rows and cascades:
                delete_row(org, child, child_id, user_id, hard=hard)
            elif child_id in child.rows:
                change(org, child, child.rows[child_id], {field.name: None})
    if row_id in table.rows:
        bury(org, table, row_id, user_id, hard=hard)
        rules.after_delete(org, table, row_id, user_id, hard=hard)


def children_of(org: Org, sobject: SObject) -> list[tuple[Table, Field]]:
    """Return the lookups that point at an object."""
    key = ("children", sobject.name)
    if key not in org.derived:
        org.derived[key] = [
            (org.tables[other.name], field)
            for other in org.schema.values()
            for field in other.fields.values()
            if field.type == "reference" and sobject.name in field.reference_to and not field.person_of
        ]
    found: list[tuple[Table, Field]] = org.derived[key]
    return found


# -- checks ------------------------------------------------------------------------


def _row_of(table: Table, raw: Any) -> Row:
    if not raw:
        raise Refused("MISSING_ARGUMENT", "Id not specified in an update call", ["Id"])
    row = table.rows.get(raw)
    if row is not None:
        return row
    if not isinstance(raw, str) or not well_formed(raw):
        raise Refused("MALFORMED_ID", f"malformed id {raw}", ["Id"])
    known = with_checksum(raw[:15])
    row = table.rows.get(known)
    if row is None:
        if known in table.bin:
            raise Refused("ENTITY_IS_DELETED", "entity is deleted", [])
        raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["Id"])
    return row


def _read(
    columns: Columns,
    fields: dict[str, Any],
    *,
    inserting: bool,
    row: Row | None = None,
    upserting: bool = False,
) -> dict[str, Any]:
    """Read what was sent into stored values; refuses names, rights and types."""
    values: dict[str, Any] = {}
    known = columns.known
    refused: list[str] = []
    for name, raw in fields.items():
        column = known.get(name) or columns.resolve(name)
        read = column.read
        if read is None:
            continue
        if column.name in values:
            _refuse_twice(column.name, column.field, values, by_external_id=column.by_external_id)
        value = None if raw is None else read(raw)
        if not (column.createable if inserting else column.updateable):
            # Repeating the master a detail has is no move; the switch plays the org that refuses it anyway.
            repeats = row is not None and upserting and row.get(column.name) == value
            if not repeats or columns.org.switches["detail_upsert_refuses_master"]:
                refused.append(column.name)
            continue
        values[column.name] = value
    if refused:
        raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", unwriteable(refused), refused)
    return values


def _refuse_twice(name: str, field: Field | None, _values: Row, *, by_external_id: bool) -> None:
    if field is not None and field.relationship and (by_external_id or field.type == "reference"):
        message = (
            f"Cannot specify both an external ID reference {field.relationship} and a salesforce id, {name}"
        )
        raise Refused("INVALID_FIELD", message, [])


def _require(columns: Columns, changes: Row, whole: Row | None) -> None:
    if whole is not None:
        missing = [name for name in columns.required if whole.get(name) is None]
    else:
        missing = [name for name in columns.required if name in changes and changes[name] is None]
    missing = rules.still_missing(columns, changes, missing) if missing else missing
    if missing:
        raise Refused(
            "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing
        )


def _check(org: Org, columns: Columns, values: Row, row: Row | None, options: Options) -> None:
    own = row["Id"] if row is not None else None
    for name, index in columns.unique:
        value = values.get(name)
        if value is not None:
            held = index.entries.get(value.lower() if index.fold and type(value) is str else value)
            if held is not None and held != own:
                holder = held if isinstance(held, str) else next(iter(held))
                message = f"duplicate value found: {name} duplicates value on record with id: {holder}"
                raise Refused("DUPLICATE_VALUE", message, [])
    if org.validations:
        _validate(org, columns, values)
    if org.locked or org.lock_percent:
        _lock_check(org, columns, row, values)
    if (
        row is None
        and org.switches["storage_rows_max"] is not None
        and org.row_count >= org.switches["storage_rows_max"]
    ):
        raise Refused("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", [])
    del options


def _validate(org: Org, columns: Columns, values: Row) -> None:
    for rule in org.validations:
        if (
            rule["type"] == columns.sobject.name
            and rule["field"] in values
            and values[rule["field"]] == rule["bad"]
            and rule.get("times") != 0
        ):
            if rule.get("times"):
                rule["times"] -= 1
            raise Refused(
                rule.get("code", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
                rule["message"],
                [rule["field"]] if rule.get("on_field") else [],
            )


def _lock_check(org: Org, columns: Columns, row: Row | None, values: Row) -> None:
    """Refuse a row whose own lock, or a parent's, is held by somebody else (fact sheet §6.2)."""
    wanted = [values[name] for name in columns.lookups if values.get(name)]
    if row is not None:
        wanted += [row["Id"], *(row[name] for name in columns.lookups if row.get(name))]
    held = next((row_id for row_id in wanted if row_id in org.locked), None)
    if held is None and org.lock_percent and org.rng.random() * 100 < org.lock_percent:
        held = wanted[0] if wanted else ""
    if held is not None:
        message = f"unable to obtain exclusive access to this record or 1 records: {held}"
        raise Refused("UNABLE_TO_LOCK_ROW", message, [])


def _error(error: RowError, options: Options) -> RowError:
    bulk = error.extra.pop("bulk", None)
    field = error.extra.pop("bulk_field", None)
    if bulk is not None and options.source == "bulk":
        if error.code == "JSON_PARSER_ERROR":
            return RowError("INVALID_TYPE_ON_FIELD_IN_RECORD", bulk, [field] if field else [])
        return RowError("INVALID_FIELD", bulk, [])
    return error

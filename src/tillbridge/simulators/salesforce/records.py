"""Single rows: create, read, change, delete, upsert by key, and what changed since (fact sheet §2.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from tillbridge.simulators.salesforce import describe, soql_names
from tillbridge.simulators.salesforce.ids import well_formed, with_checksum
from tillbridge.simulators.salesforce.schema import Field, RowResult, SObject
from tillbridge.simulators.salesforce.table import Row, Table
from tillbridge.simulators.salesforce.values import STAMP_FORMAT, Refused, parse_moment, stamp
from tillbridge.simulators.salesforce.wire import Context, Reply, error_json, not_found, refusal, status_of

UPSERT_BODY_SINCE = 46.0  # before that an updating upsert answered 204 without a body
DELETED_DAYS_MAX, UPDATED_DAYS_MAX = 15, 30
UPDATED_IDS_MAX = 600_000


def create(context: Context, sobject: SObject, body: Any) -> Reply:
    """Answer POST /sobjects/X."""
    result = context.write(sobject.name, "insert", _fields(body))
    if not result.success:
        return _refused(context, result)
    location = f"{context.base}/sobjects/{sobject.name}/{result.id}"
    return Reply(201, {"id": result.id, "success": True, "errors": []}, {"Location": location})


def retrieve(context: Context, sobject: SObject, row_id: str, names: list[str]) -> Reply:
    """Answer GET /sobjects/X/{id}."""
    table, row = _found(context, sobject, row_id)
    return _shown(context, table, row, names)


def update(context: Context, sobject: SObject, row_id: str, body: Any) -> Reply:
    """Answer PATCH /sobjects/X/{id}; never an upsert."""
    _, row = _found(context, sobject, row_id)
    fields = _fields(body)
    if "Id" in fields:
        raise Refused("INVALID_FIELD", "The Id field should not be specified in the sobject data.", ["Id"])
    _unless_modified(context, row)
    result = context.write(sobject.name, "update", {**fields, "Id": row["Id"]})
    return Reply(204) if result.success else _refused(context, result)


def delete(context: Context, sobject: SObject, row_id: str) -> Reply:
    """Answer DELETE /sobjects/X/{id}."""
    _, row = _found(context, sobject, row_id)
    result = context.write(sobject.name, "delete", {"Id": row["Id"]})
    return Reply(204) if result.success else _refused(context, result)


def upsert(
    context: Context, sobject: SObject, ext_field: str, value: str, body: Any, *, update_only: bool
) -> Reply:
    """Answer PATCH /sobjects/X/Ext__c/{value}: 201, 200, 300, or 204 in old versions."""
    fields = _fields(body)
    if ext_field.lower() == "id":
        return update(context, sobject, value, fields)
    field = _key(context, sobject, ext_field)
    given = {name.lower() for name in fields}
    if "id" in given or field.name.lower() in given:
        text = (
            "The Id field should not be specified in the sobject data."
            if "id" in given
            else f"The {field.name} field should not be specified in the sobject data."
        )
        raise Refused("INVALID_FIELD", text, ["Id" if "id" in given else field.name])
    if update_only and not list(context.org.tables[sobject.name].index(field).ids(value)):
        return not_found()
    result = context.write(sobject.name, "upsert", {field.name: value, **fields}, field.name)
    if result.matches:
        return _multiple(context, sobject, result.matches)
    if not result.success:
        return _refused(context, result)
    if not result.created and float(context.version) < UPSERT_BODY_SINCE:
        return Reply(204)
    shown = {"id": result.id, "success": True, "errors": [], "created": result.created}
    location = f"{context.base}/sobjects/{sobject.name}/{result.id}"
    return Reply(201, shown, {"Location": location}) if result.created else Reply(200, shown)


def retrieve_by_key(
    context: Context, sobject: SObject, ext_field: str, value: str, names: list[str]
) -> Reply:
    """Answer GET /sobjects/X/Ext__c/{value}."""
    if ext_field.lower() == "id":
        return retrieve(context, sobject, value, names)
    ids = _ids_by_key(context, sobject, ext_field, value)
    if len(ids) > 1:
        return _multiple(context, sobject, ids)
    return retrieve(context, sobject, ids[0], names) if ids else not_found()


def delete_by_key(context: Context, sobject: SObject, ext_field: str, value: str) -> Reply:
    """Answer DELETE /sobjects/X/Ext__c/{value}."""
    ids = _ids_by_key(context, sobject, ext_field, value)
    if len(ids) > 1:
        return _multiple(context, sobject, ids)
    return delete(context, sobject, ids[0]) if ids else not_found()


def described(context: Context, sobject: SObject) -> Reply:
    """Answer GET /sobjects/X/describe; 304 if nothing changed since the caller's copy."""
    changed = datetime.fromtimestamp(int(context.org.schema_changed), UTC)
    since = context.headers.get("if-modified-since")
    if since and parsedate_to_datetime(since) >= changed:
        return Reply(304)
    headers = {"Last-Modified": format_datetime(changed, usegmt=True)}
    return Reply(200, describe.describe(context, sobject), headers)


def replicated(context: Context, sobject: SObject, what: str, query: dict[str, str]) -> Reply:
    """Answer GET /sobjects/X/updated and /deleted (fact sheet §5.4)."""
    start, end = _window(context, query, UPDATED_DAYS_MAX if what == "updated" else DELETED_DAYS_MAX)
    table, covered = context.org.tables[sobject.name], min(end, stamp(context.org.clock.now()))
    if what == "updated":
        ids = [row["Id"] for row in table.since(start, end) if row["SystemModstamp"] < end]
        if len(ids) > UPDATED_IDS_MAX:
            raise Refused("EXCEEDED_ID_LIMIT", "Too many ids")
        return Reply(200, {"ids": ids, "latestDateCovered": covered})
    gone = [row for row in table.bin.values() if start <= row["SystemModstamp"] < end]
    earliest = stamp(context.org.clock.now() - 86_400 * DELETED_DAYS_MAX)
    deleted = [{"id": row["Id"], "deletedDate": row["SystemModstamp"]} for row in gone]
    return Reply(
        200, {"deletedRecords": deleted, "earliestDateAvailable": earliest, "latestDateCovered": covered}
    )


def _window(context: Context, query: dict[str, str], days_max: int) -> tuple[str, str]:
    bounds = [parse_moment(query.get(name, "").replace(" ", "+")) for name in ("start", "end")]
    if bounds[0] is None or bounds[1] is None:
        raise Refused("INVALID_REPLICATION_DATE", "start and end must be ISO 8601 date times")
    # Seconds are ignored in both.
    start, end = (f"{bound[:17]}00.000+0000" for bound in bounds if bound)
    if start >= end:
        raise Refused("INVALID_REPLICATION_DATE", "startDate before endDate expected")
    oldest = stamp(
        (datetime.fromtimestamp(context.org.clock.now(), UTC) - timedelta(days=days_max)).timestamp()
    )
    if start < oldest:
        raise Refused("INVALID_REPLICATION_DATE", f"startDate cannot be more than {days_max} days ago")
    return start, end


def _fields(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        message = (
            "The HTTP entity body is required, but this request has no entity body."
            if body is None
            else "Unexpected entity"
        )
        raise Refused("JSON_PARSER_ERROR", message)
    return body


def _found(context: Context, sobject: SObject, row_id: str) -> tuple[Table, Row]:
    table = context.org.tables[sobject.name]
    known = with_checksum(row_id[:15]) if well_formed(row_id) else ""
    if known in table.bin:
        raise Refused("ENTITY_IS_DELETED", "entity is deleted", [])
    row = table.rows.get(known)
    if row is None or not context.org.sees_row(context.user, table, row):
        raise Refused("NOT_FOUND", "The requested resource does not exist")
    return table, row


def _shown(context: Context, table: Table, row: Row, names: list[str]) -> Reply:
    org, sobject = context.org, table.sobject
    visible = org.visible_fields(context.user, sobject)
    since = context.headers.get("if-modified-since")
    if since and datetime.strptime(row["LastModifiedDate"], STAMP_FORMAT).replace(
        tzinfo=UTC
    ) <= parsedate_to_datetime(since):
        return Reply(304)
    if names:
        fields = [sobject.find(name) for name in names]
        for name, field in zip(names, fields, strict=True):
            if field is None or field.name not in visible:
                raise Refused("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}")
    else:
        fields = [field for field in sobject.fields.values() if field.name in visible]
    attributes = {"type": sobject.name, "url": f"{context.base}/sobjects/{sobject.name}/{row['Id']}"}
    values = {field.name: soql_names.value_of(org, sobject, field)(row) for field in fields if field}
    return Reply(200, {"attributes": attributes, **values, "Id": row["Id"]})


def _unless_modified(context: Context, row: Row) -> None:
    since = context.headers.get("if-unmodified-since")
    if since and datetime.strptime(row["LastModifiedDate"], STAMP_FORMAT).replace(
        tzinfo=UTC
    ) > parsedate_to_datetime(since):
        raise Refused("PRECONDITION_FAILED", "The record was modified since")


def _key(context: Context, sobject: SObject, name: str) -> Field:
    field = sobject.find(name)
    if (
        field is None
        or not context.org.sees(context.user, sobject, field)
        or not (field.external_id or field.id_lookup)
    ):
        message = "Provided external ID field does not exist or is not accessible: " + name
        raise Refused("NOT_FOUND", message)
    return field


def _ids_by_key(context: Context, sobject: SObject, name: str, value: str) -> list[str]:
    return list(context.org.tables[sobject.name].index(_key(context, sobject, name)).ids(value))


def _multiple(context: Context, sobject: SObject, ids: list[str]) -> Reply:
    return Reply(300, [f"{context.base}/sobjects/{sobject.name}/{row_id}" for row_id in ids])


def _refused(context: Context, result: RowResult) -> Reply:
    if len(result.errors) == 1:
        return refusal(context.org, result.errors[0])
    return Reply(
        status_of(context.org, result.errors[0].code), [error_json(error) for error in result.errors]
    )

"""sObject Collections: up to 200 rows in one call, each with its own fate (fact sheet §2.6)."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

from tillbridge.simulators.salesforce import soql_names, writing
from tillbridge.simulators.salesforce.ids import well_formed, with_checksum
from tillbridge.simulators.salesforce.schema import Field, RowError, RowResult, SObject
from tillbridge.simulators.salesforce.values import Refused
from tillbridge.simulators.salesforce.wire import Context, Reply, row_error_json

ROWS_MAX = 200
CHUNKS_MAX = 10
RETRIEVED_MAX = 2_000
_ROLLED_BACK = RowError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)


def write(
    context: Context, op: str, body: Any, *, object_name: str = "", ext_field: str | None = None
) -> Reply:
    """Answer POST, PATCH and the upsert PATCH of /composite/sobjects."""
    records = _records(body)
    types = [_type_of(record, object_name) for record in records]
    chunks = sum(1 for _ in groupby(types))
    if chunks > CHUNKS_MAX:
        advice = "Please rearrange the data to reduce chunking."
        raise Refused("LIMIT_EXCEEDED", f"Cannot have more than 10 chunks in a single operation. {advice}")
    twins = _twins(context, op, records, types, ext_field)
    with writing.transaction(context.org) as transaction:
        results = [
            RowResult(errors=[twins[i]]) if i in twins else context.write(kind, op, record, ext_field)
            for i, (record, kind) in enumerate(zip(records, types, strict=True))
        ]
        _fail_on_bad_column(context, results, transaction)
        if body.get("allOrNone") and not all(result.success for result in results):
            transaction.rollback()
            results = [RowResult(errors=[_ROLLED_BACK]) if r.success else r for r in results]
    named = bool(context.org.switches["collections_name_duplicates"])
    return Reply(200, [_shown(result, upsert=op == "upsert", named=named) for result in results])


def delete(context: Context, ids: str, *, all_or_none: bool) -> Reply:
    """Answer DELETE /composite/sobjects?ids=."""
    wanted = [row_id.strip() for row_id in ids.split(",") if row_id.strip()]
    _bound(len(wanted), ROWS_MAX)
    with writing.transaction(context.org) as transaction:
        results = [_delete(context, row_id) for row_id in wanted]
        if all_or_none and not all(result.success for result in results):
            transaction.rollback()
            results = [RowResult(errors=[_ROLLED_BACK]) if r.success else r for r in results]
    return Reply(200, [_shown(result, upsert=False, named=False) for result in results])


def retrieve(context: Context, sobject: SObject, ids: list[str], names: list[str]) -> Reply:
    """Answer GET and POST /composite/sobjects/X: one element for each id, null for what is not seen."""
    _bound(len(ids), RETRIEVED_MAX)
    org, table = context.org, context.org.tables[sobject.name]
    fields = [_visible(context, sobject, name) for name in names]
    readers = [(field.name, soql_names.value_of(org, sobject, field)) for field in fields]
    if "Id" not in dict(readers):
        readers.insert(0, ("Id", lambda row: row["Id"]))
    shown: list[dict[str, Any] | None] = []
    for row_id in ids:
        row = table.rows.get(with_checksum(row_id[:15])) if well_formed(row_id) else None
        if row is None or not org.sees_row(context.user, table, row):
            shown.append(None)
            continue
        attributes = {"type": sobject.name, "url": f"{context.base}/sobjects/{sobject.name}/{row['Id']}"}
        shown.append({"attributes": attributes, **{name: read(row) for name, read in readers}})
    return Reply(200, shown)


def _visible(context: Context, sobject: SObject, name: str) -> Field:
    field = sobject.find(name.strip())
    if field is None or not context.org.sees(context.user, sobject, field):
        raise Refused("INVALID_FIELD", f"No such column '{name}' on entity '{sobject.name}'.")
    return field


def _records(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict) or not isinstance(body.get("records"), list):
        raise Refused("INVALID_INPUT", "The request body must have a list of records")
    records: list[dict[str, Any]] = body["records"]
    _bound(len(records), ROWS_MAX)
    if not all(isinstance(record, dict) for record in records):
        raise Refused(
            "JSON_PARSER_ERROR", "Cannot deserialize instance of complexvalue at [line:1, column:2]"
        )
    return records


def _bound(count: int, most: int) -> None:
    if count > most:
        raise Refused(
            "EXCEEDED_ID_LIMIT",
            f"record limit reached. cannot submit more than {most} records in this request",
        )
    if count == 0:
        raise Refused("INVALID_INPUT", "The request must have at least one record")


def _type_of(record: dict[str, Any], object_name: str) -> str:
    kind = str((record.get("attributes") or {}).get("type") or "")
    if not kind or (object_name and kind.lower() != object_name.lower()):
        raise Refused("INVALID_INPUT", "Each record must have attributes with the type of the object")
    return object_name or kind


def _twins(
    context: Context, op: str, records: list[dict[str, Any]], types: list[str], ext_field: str | None
) -> dict[int, RowError]:
    """Find rows of one request that name the same key; all of them fail."""
    if op == "insert":
        return {}
    name = ext_field if op == "upsert" and ext_field else "Id"
    sobject = context.org.find(types[0])
    field = sobject.find(name) if sobject else None
    folds = field is not None and not field.case_sensitive
    keys = [str(record.get(name) or "") for record in records]
    keys = [key.lower() if folds and name != "Id" else key for key in keys]
    often = {key for key, count in Counter(keys).items() if key and count > 1}
    code, text = (
        "DUPLICATE_VALUE",
        "duplicate id in list" if name == "Id" else "Duplicate external id specified",
    )
    return {
        i: RowError(code, f"{text}: {records[i][name]}", [name]) for i, key in enumerate(keys) if key in often
    }


def _delete(context: Context, row_id: str) -> RowResult:
    table = context.org.by_prefix.get(row_id[:3])
    if not well_formed(row_id):
        return RowResult(errors=[RowError("MALFORMED_ID", f"malformed id {row_id}")])
    if table is None:
        return RowResult(errors=[RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")])
    return context.write(table.sobject.name, "delete", {"Id": row_id})


def _fail_on_bad_column(context: Context, results: list[RowResult], transaction: writing.Transaction) -> None:
    if not context.org.switches["bad_column_fails_request"]:
        return
    for result in results:
        for error in result.errors:
            if error.message.startswith("No such column"):
                transaction.rollback()
                raise Refused(error.code, error.message)


def _shown(result: RowResult, *, upsert: bool, named: bool) -> dict[str, Any]:
    if not result.success:
        errors = [row_error_json(error) | (error.extra if named else {}) for error in result.errors]
        return {"success": False, "errors": errors}
    shown: dict[str, Any] = {"id": result.id, "success": True, "errors": []}
    return {**shown, "created": result.created} if upsert else shown

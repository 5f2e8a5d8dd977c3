"""Enter rows as the org's own people once did: parents first, refs resolved, no duplicate rule in the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tillbridge.simulators.salesforce import people
from tillbridge.simulators.salesforce.table import Row
from tillbridge.simulators.salesforce.values import Refused, parse_moment, stamp

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

_AUDIT = ("CreatedDate", "LastModifiedDate", "SystemModstamp")


def load(org: Org, rows: Iterable[Any]) -> dict[str, str]:
    """Write rows of the shape (ref, type, fields) in the order given; returns ref -> id."""
    made: dict[str, str] = {}
    for entry in rows:
        ref, kind, fields = _parts(entry)
        values = {name: _value(org, made, value) for name, value in fields.items() if name not in _AUDIT}
        past = {name: value for name, value in values.items() if _is_past(org, kind, name)}
        plain = {name: value for name, value in values.items() if name not in past}
        if kind == "PricebookEntry":
            plain.setdefault("Pricebook2Id", org.standard_pricebook)
        result = org.write(org.staff, kind, "insert", plain, auto_assign=False, allow_duplicates=True)
        if not result.success:
            error = result.errors[0]
            raise Refused(error.code, f"{ref} ({kind}): {error.message}", error.fields)
        made[ref] = org.refs[ref] = result.id
        org.tables[kind].change(org.rows(kind)[result.id], past)
        _date_back(org, kind, result.id, fields)
    return made


def _is_past(org: Org, kind: str, name: str) -> bool:
    """Say whether only the org's own history could have set this: a converted Lead, say."""
    field = org.schema[kind].find(name)
    return field is not None and field.name.startswith(("IsConverted", "Converted"))


def _parts(entry: Any) -> tuple[str, str, Mapping[str, Any]]:
    if isinstance(entry, Mapping):
        return entry["ref"], entry["type"], entry["fields"]
    return entry.ref, entry.type, entry.fields


def _value(org: Org, made: dict[str, str], value: Any) -> Any:
    match value:
        case {"ref": ref}:
            return made[ref] if ref in made else org.refs[ref]
        case {"record_type": name}:
            return people.record_type_id(org, name)
        case {"pricebook": _} | {"standard_pricebook": _}:
            return org.standard_pricebook
        case Decimal():
            return float(value)
        case datetime():
            return stamp(value.timestamp())
        case date():
            return value.isoformat()
    return value


def _date_back(org: Org, kind: str, row_id: str, fields: Mapping[str, Any]) -> None:
    """Give a loaded row the age it says it has: the org was in use before we came."""
    audit: Row = {}
    for name in _AUDIT:
        value = fields.get(name)
        if value is not None:
            text = stamp(value.timestamp()) if isinstance(value, datetime) else parse_moment(str(value))
            audit[name] = text
    if audit:
        created = audit.get("CreatedDate")
        modified = audit.get("LastModifiedDate") or created
        wanted = {
            "CreatedDate": created,
            "LastModifiedDate": modified,
            "SystemModstamp": audit.get("SystemModstamp") or modified,
        }
        org.tables[kind].change(org.rows(kind)[row_id], {k: v for k, v in wanted.items() if v is not None})

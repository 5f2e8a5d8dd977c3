"""Resolve the names of a query for one user: objects, fields, parents; and read their values out of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tillbridge.simulators.salesforce.schema import Field, SObject, User
from tillbridge.simulators.salesforce.soql_syntax import Call, Path, Query, problem
from tillbridge.simulators.salesforce.table import Row, Table
from tillbridge.simulators.salesforce.values import Refused

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

Getter = Callable[[Row], Any]
RELATIONSHIP_LEVELS_MAX = 5
_ADVICE = (
    "If you are attempting to use a custom {what}, be sure to append the '__c' after the {custom} name. "
    "Please reference your WSDL or the describe call for the appropriate names."
)
_ADDRESS = ("Street", "City", "State", "StateCode", "PostalCode", "Country", "CountryCode")


@dataclass(slots=True)
class Resolved:
    """A path that exists: the lookups on the way, the field at the end, and how to read it."""

    hops: list[tuple[Field, SObject]]
    field: Field
    read: Getter

    @property
    def names(self) -> list[str]:
        """Return the path in the org's own spelling."""
        return [*(hop[0].relationship for hop in self.hops), self.field.name]


class Scope:
    """The object that a query reads, as one user sees it."""

    def __init__(self, org: Org, user: User, query: Query, sobject: SObject | None = None) -> None:
        self.org, self.user, self.query = org, user, query
        found = sobject or org.find(query.source)
        if found is None or not org.can(user, found, "read"):
            message = f"sObject type '{query.source}' is not supported. " + _ADVICE.format(
                what="object", custom="entity"
            )
            raise problem(query.text, query.source_at, "INVALID_TYPE", message)
        self.sobject = found
        self.table: Table = org.tables[found.name]

    def resolve(self, path: Path) -> Resolved:
        """Resolve a path; refuses fields that do not exist for the user."""
        names = list(path.names)
        if len(names) > 1 and names[0].lower() in {
            self.query.alias.lower(),
            self.sobject.name.lower(),
            self.query.source.lower(),
        }:
            names = names[1:]
        if len(names) - 1 > RELATIONSHIP_LEVELS_MAX:
            message = (
                f"Relationship {'.'.join(names)} exceeds the maximum of {RELATIONSHIP_LEVELS_MAX} levels"
            )
            raise problem(self.query.text, path.at, "MALFORMED_QUERY", message)
        sobject, hops = self.sobject, []
        for name in names[:-1]:
            lookup = self._lookup(sobject, name)
            parent = self.org.find(lookup.reference_to[0]) if lookup and lookup.reference_to else None
            if lookup is None or parent is None or not self.org.can(self.user, parent, "read"):
                message = f"Didn't understand relationship '{name}' in field path. " + _ADVICE.format(
                    what="relationship", custom="relationship"
                ).replace("'__c'", "'__r'")
                raise problem(self.query.text, path.at, "INVALID_FIELD", message)
            hops.append((lookup, parent))
            sobject = parent
        field = sobject.find(names[-1])
        if field is None or field.name not in self.org.visible_fields(self.user, sobject):
            message = f"No such column '{names[-1]}' on entity '{sobject.name}'. " + _ADVICE.format(
                what="field", custom="custom field"
            )
            raise problem(self.query.text, path.at, "INVALID_FIELD", message)
        return Resolved(hops, field, self._reader(hops, field, sobject))

    def _lookup(self, sobject: SObject, relationship: str) -> Field | None:
        low = relationship.lower()
        visible = self.org.visible_fields(self.user, sobject)
        return next(
            (f for f in sobject.fields.values() if f.relationship.lower() == low and f.name in visible), None
        )

    def _reader(self, hops: list[tuple[Field, SObject]], field: Field, sobject: SObject) -> Getter:
        read = value_of(self.org, sobject, field)
        for lookup, parent in reversed(hops):
            read = _through(lookup.name, _rows_of(self.org, lookup, parent), read)
        return read

    def unsupported(self, call: Call) -> Refused:
        """Refuse a function where it has no place."""
        return problem(self.query.text, call.at, "MALFORMED_QUERY", f"unexpected token: '{call.name}'")


def _rows_of(org: Org, lookup: Field, parent: SObject) -> dict[str, Row]:
    if len(lookup.reference_to) == 1:
        return org.tables[parent.name].rows
    return _Anywhere(org)  # Owner, Who and What point at several objects.


class _Anywhere(dict[str, Row]):
    """Finds a row of any object by its id."""

    def __init__(self, org: Org) -> None:
        super().__init__()
        self._org = org

    def get(self, row_id: str, default: Any = None) -> Any:
        found = self._org.row(row_id)
        return found[1] if found else default


def _through(lookup: str, parents: dict[str, Row], read: Getter) -> Getter:
    def get(row: Row) -> Any:
        parent = parents.get(row.get(lookup))  # type: ignore[arg-type]  # None is simply not among the keys.
        return None if parent is None else read(parent)

    return get


def value_of(org: Org, sobject: SObject, field: Field) -> Getter:
    """Return the function that reads a field out of a row, as the API shows it."""
    name = field.name
    if field.type == "boolean":
        return lambda row: row.get(name, False)
    if field.type == "address":
        return _address_of(name[: -len("Address")], sobject)
    if field.summary:
        return _summary_of(org, field)
    return lambda row: row.get(name)


def _address_of(prefix: str, sobject: SObject) -> Getter:
    parts = [
        (part[0].lower() + part[1:], f"{prefix}{part}")
        for part in _ADDRESS
        if f"{prefix}{part}" in sobject.fields
    ]

    def get(row: Row) -> dict[str, Any] | None:
        values = {shown: row.get(name) for shown, name in parts}
        if not any(values.values()):
            return None
        return {**values, "geocodeAccuracy": None, "latitude": None, "longitude": None}

    return get


def _summary_of(org: Org, field: Field) -> Getter:
    """Work out a roll-up when it is read: operation, foreignKey (Child.Lookup), field (Child.Field)."""
    summary = field.summary or {}
    child, _, lookup = str(summary.get("foreignKey") or summary.get("summaryForeignKey") or "").partition(".")
    summed = str(summary.get("field") or summary.get("summarizedField") or "").rpartition(".")[2]
    operation = str(summary.get("operation") or summary.get("summaryOperation") or "count").lower()

    def get(row: Row) -> Any:
        table = org.tables[child]
        rows = [table.rows[i] for i in table.index(table.sobject.fields[lookup]).ids(row["Id"])]
        if operation == "count":
            return len(rows)
        values = [value for r in rows if (value := r.get(summed)) is not None]
        if operation == "sum":
            return round(sum(values), field.scale or 2)
        return (min(values) if operation == "min" else max(values)) if values else None

    return get

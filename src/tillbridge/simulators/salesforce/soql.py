"""Run SOQL: rows or aggregates, for one user, as the REST API shows them (fact sheet §2.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from tillbridge.simulators.salesforce import soql_aggregate
from tillbridge.simulators.salesforce.schema import Field, SObject, User
from tillbridge.simulators.salesforce.soql_names import Getter, Scope, value_of
from tillbridge.simulators.salesforce.soql_syntax import Call, Order, Path, Query, parse, problem
from tillbridge.simulators.salesforce.soql_where import Where
from tillbridge.simulators.salesforce.table import Row, Table
from tillbridge.simulators.salesforce.values import Refused, stamp

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

OFFSET_MAX = 2_000
RECYCLE_BIN_SECONDS = 15 * 86_400
SUBQUERIES_MAX = 20
FIELDS_LIMIT_MAX = 200
Render = Callable[[Row], dict[str, Any]]


class Result:
    """What a query found. Rows are shown when a page is asked for, as the org holds them then."""

    def __init__(
        self, total: int, rows: list[Any], show: Render, columns: list[str], *, counted: bool = False
    ) -> None:
        self.total = total
        self.columns = columns
        self.counted = counted  # SELECT COUNT(): the answer is `total`, there are no records
        self._rows = rows
        self._show = show

    @property
    def size(self) -> int:
        """Return how many records there are to show."""
        return len(self._rows)

    def records(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return records as the API shows them."""
        return [self._show(row) for row in self._rows[start:stop]]


def check(org: Org, user: User, text: str) -> str:
    """Refuse what would not run, without running it; returns the name of the object."""
    query = parse(text)
    scope = Scope(org, user, query)
    _Run(org, user, scope, "67.0", all_rows=False).prepare(query)
    return scope.sobject.name


def source(text: str) -> str:
    """Return the name of the object a statement reads."""
    return parse(text).source


def run(org: Org, user: User, text: str, *, all_rows: bool = False, version: str = "67.0") -> Result:
    """Run a statement. Raises `Refused` with what the API would say."""
    query = parse(text)
    org.refresh_setup()
    scope = Scope(org, user, query)
    return _Run(org, user, scope, version, all_rows=all_rows).answer(query)


class _Run:
    def __init__(self, org: Org, user: User, scope: Scope, version: str, *, all_rows: bool) -> None:
        self.org, self.user, self.scope, self.version = org, user, scope, version
        self.all_rows = all_rows

    def prepare(self, query: Query) -> None:
        """Resolve every name in the query."""
        if not soql_aggregate.aggregates(query):
            _Projection(self, query)
        if query.where is not None:
            Where(self.scope, lambda _: set()).predicate(query.where)
        for order in query.order:
            if isinstance(order.by, Path):
                self.scope.resolve(order.by)

    def answer(self, query: Query) -> Result:
        if query.offset > OFFSET_MAX:
            raise problem(
                query.text,
                len(query.text),
                "NUMBER_OUTSIDE_VALID_RANGE",
                f"Maximum SOQL offset allowed is {OFFSET_MAX}",
            )
        if soql_aggregate.aggregates(query):
            return self._aggregate(query)
        projection = _Projection(self, query)
        rows = self._window(query, self._ordered(query, self.rows(query)))
        return Result(len(rows), rows, projection.show, projection.columns)

    def _aggregate(self, query: Query) -> Result:
        if (
            len(query.items) == 1
            and isinstance(query.items[0], Call)
            and query.items[0].path is None
            and not query.group
        ):
            if query.order:
                raise problem(
                    query.text, query.items[0].at, "MALFORMED_QUERY", "ORDER BY is not allowed with COUNT()"
                )
            found = self._window(query, self.rows(query))
            return Result(len(found), [], _as_is, [], counted=True)
        records, columns = soql_aggregate.run(self.scope, query, self.rows(query))
        return Result(len(records), records, _as_is, columns)

    # -- rows --

    def rows(self, query: Query) -> list[Row]:
        """Return the rows that pass the conditions and that the user may see."""
        table = self.scope.table
        if self.all_rows and table.bin:
            table.purge(stamp(self.org.clock.now() - RECYCLE_BIN_SECONDS))
        if query.where is None:
            found = list(table.rows.values())
            binned = list(table.bin.values()) if self.all_rows else []
        else:
            where = Where(self.scope, self._column)
            passes = where.predicate(query.where)
            candidates = where.candidates(query.where)
            found = [
                row for row in (table.rows.values() if candidates is None else candidates) if passes(row)
            ]
            binned = [row for row in table.bin.values() if passes(row)] if self.all_rows else []
        found += binned
        if not self.org.sees_all_rows(self.user, self.scope.sobject):
            found = [row for row in found if self.org.sees_row(self.user, table, row)]
        if self.org.switches["unordered_shuffled"] and not query.order:
            self.org.rng.shuffle(found)
        return found

    def _column(self, query: Query) -> set[Any]:
        """Return the values of a semi-join's only column."""
        scope = Scope(self.org, self.user, query)
        if len(query.items) != 1 or not isinstance(query.items[0], Path):
            raise problem(query.text, query.source_at, "MALFORMED_QUERY", "a semi join selects one field")
        read = scope.resolve(query.items[0]).read
        inner = _Run(self.org, self.user, scope, self.version, all_rows=self.all_rows)
        return {value for row in inner.rows(query) if (value := read(row)) is not None}

    def _ordered(self, query: Query, rows: list[Row]) -> list[Row]:
        for order in reversed(query.order):
            rows = _sorted(rows, self._order_key(order), order)
        return rows

    def _order_key(self, order: Order) -> Getter:
        if isinstance(order.by, Call):
            raise self.scope.unsupported(order.by)
        resolved = self.scope.resolve(order.by)
        if resolved.field.type in {"string", "textarea", "email", "phone", "picklist", "url"}:
            read = resolved.read
            return lambda row: None if (v := read(row)) is None else str(v).lower()
        return resolved.read

    @staticmethod
    def _window(query: Query, rows: list[Row]) -> list[Row]:
        if query.offset or query.limit is not None:
            stop = None if query.limit is None else query.offset + query.limit
            return list(islice(rows, query.offset, stop))
        return rows


def _as_is(record: dict[str, Any]) -> dict[str, Any]:
    return record


def _sorted(rows: Iterable[Row], key: Getter, order: Order) -> list[Row]:
    """Sort by one term, stable; nulls stand first unless the query says last."""
    rows = list(rows)
    nulls = [row for row in rows if key(row) is None]
    others = sorted((row for row in rows if key(row) is not None), key=key, reverse=order.descending)
    return others + nulls if order.nulls_last else nulls + others


class _Projection:
    """How the selected fields of a row are shown: attributes first, parents nested."""

    def __init__(self, run: _Run, query: Query) -> None:
        self._run, self._query = run, query
        self.columns: list[str] = []
        self._url = f"/services/data/v{run.version}/sobjects"
        self._tree = _Branch(run.scope.sobject)
        seen: set[str] = set()
        for item in self._items(query):
            if isinstance(item, Query):
                self._add_subquery(item)
                continue
            if isinstance(item, Call):
                raise run.scope.unsupported(item)
            resolved = run.scope.resolve(item)
            dotted = ".".join(resolved.names)
            if dotted in seen:
                raise problem(
                    query.text, item.at, "MALFORMED_QUERY", f"duplicate field selected: {resolved.field.name}"
                )
            seen.add(dotted)
            self.columns.append(dotted)
            self._tree.add(resolved.hops, resolved.field, run.org)
        self.show = self._tree.renderer(self._url, run.org)

    def _items(self, query: Query) -> list[Path | Call | Query]:
        found: list[Path | Call | Query] = []
        for item in query.items:
            if isinstance(item, Call) and item.name == "FIELDS":
                found += self._all_fields(item)
            else:
                found.append(item)
        return found

    def _all_fields(self, call: Call) -> list[Path | Call | Query]:
        which = call.path.names[0].upper() if call.path else ""
        if which != "STANDARD" and (self._query.limit is None or self._query.limit > FIELDS_LIMIT_MAX):
            message = "The SOQL FIELDS function must have a LIMIT of at most 200"
            raise problem(self._query.text, call.at, "MALFORMED_QUERY", message)
        sobject = self._run.scope.sobject
        visible = self._run.org.visible_fields(self._run.user, sobject)
        fields = [f for f in sobject.fields.values() if f.name in visible]
        if which in {"STANDARD", "CUSTOM"}:
            fields = [f for f in fields if f.custom is (which == "CUSTOM")]
        return [Path((f.name,), call.at) for f in fields]

    def _add_subquery(self, query: Query) -> None:
        run = self._run
        table, field = _child(run.org, run.scope.sobject, query)
        scope = Scope(run.org, run.user, query, table.sobject)
        inner = _Run(run.org, run.user, scope, run.version, all_rows=run.all_rows)
        projection = _Projection(inner, query)
        where = Where(scope, inner._column).predicate(query.where) if query.where is not None else None  # noqa: SLF001  Same class.
        index = table.index(field)

        def children(row: Row) -> dict[str, Any] | None:
            rows = [table.rows[i] for i in index.ids(row["Id"])]
            if where is not None:
                rows = [child for child in rows if where(child)]
            rows = inner._window(query, inner._ordered(query, rows))  # noqa: SLF001
            if not rows:
                return None
            return {
                "totalSize": len(rows),
                "done": True,
                "records": [projection.show(child) for child in rows],
            }

        self.columns.append(query.source)
        self._tree.leaves.append((query.source, children))


def _child(org: Org, parent: SObject, query: Query) -> tuple[Table, Field]:
    low = query.source.lower()
    for sobject in org.schema.values():
        for field in sobject.fields.values():
            if parent.name in field.reference_to and field.child_relationship and not field.person_of:
                name = (
                    f"{field.child_relationship.removesuffix('__r')}__r"
                    if field.custom
                    else field.child_relationship
                )
                if name.lower() == low:
                    return org.tables[sobject.name], field
    message = f"Didn't understand relationship '{query.source}' in FROM part of query call."
    raise problem(query.text, query.source_at, "INVALID_TYPE", message)


class _Branch:
    """One object in the tree of what is selected: its own fields, then its parents."""

    def __init__(self, sobject: SObject) -> None:
        self.sobject = sobject
        self.leaves: list[tuple[str, Getter]] = []
        self.parents: dict[str, tuple[Field, _Branch]] = {}

    def add(self, hops: list[tuple[Field, SObject]], field: Field, org: Org) -> None:
        """Add a field; one behind parents is read from the parent's own row."""
        if not hops:
            self.leaves.append((field.name, value_of(org, self.sobject, field)))
            return
        lookup, parent = hops[0]
        if lookup.relationship not in self.parents:
            self.parents[lookup.relationship] = lookup, _Branch(parent)
        self.parents[lookup.relationship][1].add(hops[1:], field, org)

    def renderer(self, url: str, org: Org) -> Render:
        """Return the function that shows a row of this object."""
        name, base, leaves = self.sobject.name, f"{url}/{self.sobject.name}/", self.leaves
        parents = [
            (relation, lookup.name, branch.renderer(url, org))
            for relation, (lookup, branch) in self.parents.items()
        ]

        def show(row: Row) -> dict[str, Any]:
            record: dict[str, Any] = {"attributes": {"type": name, "url": base + row["Id"]}}
            for key, read in leaves:
                record[key] = read(row)
            for relation, lookup, show_parent in parents:
                parent_id = row.get(lookup)
                found = org.row(parent_id) if parent_id else None
                record[relation] = show_parent(found[1]) if found else None
            return record

        return show


__all__ = ["Refused", "Result", "check", "run", "source"]

"""Cut one page out of a list: sort, keyset cursor, limit, next and previous.

Source: fact sheet A4. A cursor is base64 of a JSON array: the last row's sort
value and its id, or the id alone. Rows are walked along the sort index; a filter
that an index answers better is tried first.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.filters import RANGE_OPERATORS, Condition, Query
from tillbridge.simulators.lightspeed.schema import ENTITIES, Row
from tillbridge.simulators.lightspeed.switches import Switches
from tillbridge.simulators.lightspeed.tables import SortKey, Table
from tillbridge.simulators.lightspeed.wire import read_time

PAGE_ROWS_MAX = 100


@dataclass(frozen=True, slots=True)
class Window:
    """Which page is asked for. `cursor` is the row after (or, `back`, before) which it lies."""

    sort: str
    descending: bool
    limit: int
    cursor: SortKey | None
    back: bool

    @property
    def sort_text(self) -> str:
        """The `sort` parameter."""
        return ("-" if self.descending else "") + self.sort


@dataclass(frozen=True, slots=True)
class Page:
    """The rows, and whether there is more on either side."""

    rows: list[Row]
    more_after: bool
    more_before: bool


def read_window(table: Table, params: dict[str, str], switches: Switches) -> Window:
    """Read sort, limit and cursor. Raises Refused (400)."""
    sort = params.get("sort") or table.key
    descending, sort = sort.startswith("-"), sort.removeprefix("-")
    sort = "updatetime" if sort == "updateTime" else sort
    allowed = ENTITIES[table.entity.name].sorts
    if sort not in allowed:
        raise Refused(400, f"Cannot sort on {sort}. Allowed fields: {', '.join(sorted(allowed))}.")
    if "offset" in params:
        raise Refused(400, "offset is not supported in V3. Use the after and before cursors.")
    if "after" in params and "before" in params:
        raise Refused(400, "after and before exclude each other.")
    back = "before" in params
    cursor = params.get("before") or params.get("after")
    return Window(
        sort,
        descending,
        _limit(params.get("limit"), switches),
        _open(table, sort, cursor) if cursor else None,
        back,
    )


def _limit(wish: str | None, switches: Switches) -> int:
    if wish is None:
        return PAGE_ROWS_MAX
    if not wish.isdigit():
        raise Refused(400, "limit must be a number from 0 to 100.")
    if int(wish) > PAGE_ROWS_MAX and switches.limit_over_100 == "refuse":
        raise Refused(400, "limit must be a number from 0 to 100.")
    return min(int(wish), PAGE_ROWS_MAX)


def cursor_of(table: Table, row: Row, sort: str) -> str:
    """Return the cursor that points at a row."""
    value = row.get(sort)
    values = [row[table.key]] if sort == table.key else [_plain(value), row[table.key]]
    return b64encode(json.dumps(values, separators=(",", ":")).encode()).decode()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _open(table: Table, sort: str, cursor: str) -> SortKey:
    try:
        values = json.loads(b64decode(cursor, validate=True))
        if sort == table.key:
            [row_id] = values
            return row_id, int(row_id)
        value, row_id = values
        is_time = table.entity.fields[sort].kind == "time" if sort in table.entity.fields else True
        return table.sort_value(sort, read_time(value) if is_time and value else value), int(row_id)
    except (ValueError, TypeError, binascii.Error) as error:
        raise Refused(400, "The cursor does not belong to this query.") from error


def cut(table: Table, query: Query, window: Window) -> Page:
    """Return the page."""
    keys = _walk(table, query, window)
    rows = table.rows
    passing = (row for key in keys if query.passes(row := rows[key[1]]))
    found = list(islice(passing, window.limit + 1))
    more = len(found) > window.limit
    found = found[: window.limit]
    if window.back:
        found.reverse()
        return Page(found, more_after=True, more_before=more)
    return Page(found, more_after=more, more_before=window.cursor is not None)


def total(table: Table, query: Query) -> int:
    """Count all rows that pass."""
    ids = _candidates(table, query)
    rows = table.rows.values() if ids is None else (table.rows[i] for i in ids)
    return sum(map(query.passes, rows))


def _walk(table: Table, query: Query, window: Window) -> Iterator[SortKey]:
    """Go through sort keys from the cursor on, in the direction asked for."""
    order = table.order(window.sort)
    low, high = _bounds(order, table, window.sort, query)
    ids = _candidates(table, query, besides=window.sort)
    if ids is not None and len(ids) * 4 < high - low:
        order = sorted(table.sort_key(table.rows[i], window.sort) for i in ids)
        low, high = 0, len(order)
    falling = window.descending != window.back
    if window.cursor is not None:
        if falling:
            high = min(high, bisect_left(order, window.cursor))
        else:
            low = max(low, bisect_right(order, window.cursor))
    places: Iterable[int] = range(high - 1, low - 1, -1) if falling else range(low, high)
    return (order[place] for place in places)


def _bounds(order: list[SortKey], table: Table, name: str, query: Query) -> tuple[int, int]:
    """Narrow the order by the conditions on its own field."""
    low, high = 0, len(order)
    for condition in query.conditions:
        if condition.name == name and condition.operator in RANGE_OPERATORS:
            first, last = _range(condition)
            if first is not None:
                low = max(low, bisect_left(order, (table.sort_value(name, first),)))
            if last is not None:
                high = min(high, bisect_right(order, (table.sort_value(name, last), float("inf"))))
    return low, max(low, high)


def _range(condition: Condition) -> tuple[Any, Any]:
    # Strict operators are widened here; the row test is what excludes the ends.
    match condition.operator:
        case ">" | ">=":
            return condition.values[0], None
        case "<" | "<=":
            return None, condition.values[0]
    return condition.values[0], condition.values[1]


def _candidates(table: Table, query: Query, besides: str = "") -> list[int] | None:
    """Return the ids that an index finds, or None when only a walk will do."""
    best: list[int] | None = None
    for condition in query.conditions:
        if condition.name == besides and condition.operator in RANGE_OPERATORS:
            continue
        ids = _indexed(table, condition)
        if ids is not None and (best is None or len(ids) < len(best)):
            best = ids
    return best


def _indexed(table: Table, condition: Condition) -> list[int] | None:
    name, operator = condition.name, condition.operator
    if operator in {"=", "IN"} and name.endswith("ID") and name in table.entity.fields:
        if name == table.key:
            return [i for i in dict.fromkeys(condition.values) if i in table.rows]
        return [i for value in dict.fromkeys(condition.values) for i in table.where(name, value)]
    if operator in RANGE_OPERATORS and name in table.entity.sorts:
        order = table.order(name)
        low, high = _bounds(order, table, name, Query((condition,), (), "true"))
        return [key[1] for key in order[low:high]]
    return None


def links(
    url: str, params: list[tuple[str, str]], table: Table, window: Window, page: Page, switches: Switches
) -> tuple[str, str]:
    """Return the absolute next and previous URLs; the defaults of sort and limit are written out."""
    kept = [
        (name, value)
        for name, value in params
        if name not in {"sort", "limit", "after", "before"}
        and not (name == "load_relations" and switches.drop_relations_from_next)
    ]
    kept += [("sort", window.sort_text), ("limit", str(window.limit))]

    def link(direction: str, row: Row) -> str:
        query = urlencode([*kept, (direction, cursor_of(table, row, window.sort))], quote_via=quote)
        return f"{url}?{query}"

    following = link("after", page.rows[-1]) if page.rows and page.more_after else ""
    previous = link("before", page.rows[0]) if page.rows and page.more_before else ""
    return following, previous

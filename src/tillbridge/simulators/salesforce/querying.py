"""The query resources: pages of unforeseeable size, and cursors that live two days (fact sheet §2.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tillbridge.simulators.salesforce import automation, soql
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.values import Refused
from tillbridge.simulators.salesforce.wire import Context, Reply

CURSOR_SECONDS = 2 * 86_400
PAGE_ROWS_MAX, PAGE_ROWS_MIN = 2_000, 200
# Wide rows come in small pages: two or more long-text custom fields make it 200.
LONG_TEXT_FIELDS = 2
_LOCATOR = re.compile(r"(\w{18})-(\d+)\Z")


@dataclass(slots=True)
class Cursor:
    """The rest of an answer."""

    result: soql.Result
    page: int
    born: float
    user_id: str


def query(context: Context, text: str | None, *, all_rows: bool) -> Reply:
    """Answer GET /query and /queryAll."""
    if not text:
        raise Refused("MALFORMED_QUERY", "SOQL query must be specified in the q parameter.")
    if (listed := automation.query(context, text, tooling=False)) is not None:
        return listed
    result = soql.run(context.org, context.user, text, all_rows=all_rows, version=context.version)
    if result.counted:
        return Reply(200, {"totalSize": result.total, "done": True, "records": []})
    if result.size <= PAGE_ROWS_MIN:
        return _page(context, result, "", 0, result.size)
    cursor = Cursor(result, _page_size(context, text), context.org.clock.now(), context.user.id)
    cursor_id = context.org.new_id("01g")
    _cursors(context.org)[cursor_id] = cursor
    return _page(context, result, cursor_id, 0, _step(context, cursor))


def next_page(context: Context, locator: str) -> Reply:
    """Answer GET /query/{locator}."""
    match = _LOCATOR.match(locator)
    cursor = _cursors(context.org).get(match[1]) if match else None
    if match is None or cursor is None or cursor.user_id != context.user.id:
        raise Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
    if context.org.clock.now() - cursor.born > CURSOR_SECONDS:
        del _cursors(context.org)[match[1]]
        raise Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(context, cursor.result, match[1], int(match[2]), _step(context, cursor))


def _cursors(org: Org) -> dict[str, Cursor]:
    held: dict[str, Cursor] = org.extras.setdefault("cursors", {})
    return held


def _page(context: Context, result: soql.Result, cursor_id: str, start: int, size: int) -> Reply:
    stop = start + size
    answer: dict[str, Any] = {"totalSize": result.total, "done": stop >= result.size}
    if stop < result.size:
        answer["nextRecordsUrl"] = f"{context.base}/query/{cursor_id}-{stop}"
    answer["records"] = result.records(start, stop)
    return Reply(200, answer)


def _page_size(context: Context, text: str) -> int:
    wish = re.search(r"batchSize\s*=\s*(\d+)", context.headers.get("sforce-query-options", ""))
    size = int(wish[1]) if wish else int(context.org.switches["page_size"])
    sobject = context.org.find(soql.source(text))
    selected = text.lower().partition(" from ")[0]
    long_texts = [
        f for f in (sobject.fields.values() if sobject else ())
        if f.custom and f.type == "textarea" and f.length > 255 and f.name.lower() in selected
    ]  # fmt: skip
    size = min(size, PAGE_ROWS_MIN) if len(long_texts) >= LONG_TEXT_FIELDS else size
    # The settable range is 200 to 2,000; the switch may go below, to make a test small.
    return min(size, PAGE_ROWS_MAX) if not wish else max(PAGE_ROWS_MIN, min(size, PAGE_ROWS_MAX))


def _step(context: Context, cursor: Cursor) -> int:
    if context.org.switches["page_size_random"]:
        return context.org.rng.randint(max(1, cursor.page // 4), cursor.page)
    return cursor.page

"""Read what a client writes: scalars by type, collections in either wrapper, unknown names.

Source: fact sheet A1 (absent = unchanged, empty or null = cleared), A7.1 (real JSON
numbers are taken) and A10 (both wrappers of a collection are taken).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.schema import ENTITIES, Field, Row
from tillbridge.simulators.lightspeed.switches import Switches
from tillbridge.simulators.lightspeed.wire import read_flag, read_value


def record_of(body: Any, entity: str) -> Row:
    """Return the written record; it may stand inside its own name."""
    if isinstance(body, dict) and set(body) == {entity} and isinstance(body[entity], dict):
        body = body[entity]
    if not isinstance(body, dict):
        raise Refused(400, f"A {entity} must be a JSON object.")
    return body


def scalars(
    entity: str,
    body: Row,
    switches: Switches,
    *,
    read_only: Iterable[str] = (),
    children: Iterable[str] = (),
    more: Iterable[Field] = (),
) -> Row:
    """Return the scalar fields of a body with Python values; read-only ones are passed over."""
    known = {**ENTITIES[entity].fields, **{f.name: f for f in more}}
    passed_over, nested = set(read_only), set(children)
    values: Row = {}
    for name, value in body.items():
        if name in nested or name in passed_over:
            continue
        if name not in known:
            if switches.unknown_fields == "refuse":
                raise Refused(400, f"{name} is not a field of {entity}.")
            continue
        try:
            values[name] = read_value(known[name].kind, value)
        except ValueError as error:
            raise Refused(400, f"{name}: {error}.") from error
    return values


def collection(body: Row, wrapper: str, item: str) -> list[Row] | None:
    """Return the written rows of a collection; None when it is absent, empty when it is cleared.

    Taken: `{"Item": {…}}`, `{"Item": […]}`, `[{"Item": {…}}]` and a plain list of rows.
    """
    if wrapper not in body:
        return None
    value = body[wrapper]
    if value in ("", None):
        return []
    if isinstance(value, dict):
        value = value.get(item, [])
        value = [value] if isinstance(value, dict) else value or []
    if not isinstance(value, list):
        raise Refused(400, f"{wrapper} must hold {item} records.")
    rows = [v[item] if isinstance(v, dict) and set(v) == {item} else v for v in value]
    if not all(isinstance(row, dict) for row in rows):
        raise Refused(400, f"{wrapper} must hold {item} records.")
    return rows


def flag(body: Row, name: str, default: bool) -> bool:
    """Return a written boolean."""
    try:
        return read_flag(body[name]) if name in body else default
    except ValueError as error:
        raise Refused(400, f"{name}: {error}.") from error


def number(body: Row, name: str) -> int:
    """Return a written id, 0 when absent."""
    try:
        return int(str(body.get(name) or 0))
    except ValueError as error:
        raise Refused(400, f"{name} must be a number.") from error

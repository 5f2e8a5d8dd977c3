"""Write rows as the vendor's JSON: fields, relations that were asked for, closing fields.

Source: fact sheet A7 and A8.1 (key order). Views are compiled once per spelling
of `updatetime`, which is a switch.
"""

from __future__ import annotations

from tillbridge.simulators.lightspeed.relations import PRICES, Branch, Tree
from tillbridge.simulators.lightspeed.schema import ENTITIES, Row, View
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.lightspeed.wire import Writer, collapsed, compiled, text, wrapped

_COMPILED: dict[tuple[int, str], tuple[Writer, Writer]] = {}


def _writers(view: View, spelling: str) -> tuple[Writer, Writer]:
    # Views are module constants, so their identity is a safe and quick key.
    key = (id(view), spelling)
    if key not in _COMPILED:
        _COMPILED[key] = compiled(view, {"updatetime": spelling})
    return _COMPILED[key]


def record(world: World, entity: str, row: Row, tree: Tree) -> str:
    """Write one row of a resource."""
    if entity == "Item":
        tree = {**tree, "Prices": Branch(PRICES, {})}
    return _body(world, ENTITIES[entity].view, row, tree)


def _body(world: World, view: View, row: Row, tree: Tree) -> str:
    head, tail = _writers(view, world.switches.updatetime_key_spelling)
    out: list[str] = []
    head(row, out)
    for name, branch in tree.items():
        shown = _related(world, row, branch)
        if shown is not None:
            out.append(f'"{name}":{shown}')
    tail(row, out)
    return "{" + ",".join(out) + "}"


def _related(world: World, row: Row, branch: Branch) -> str | None:
    relation = branch.relation
    found = relation.find(world, row)
    shown = relation.shown
    if isinstance(shown, View):
        parts = [_body(world, shown, target, branch.below) for target in found]
    else:
        parts = [shown(target) for target in found]
    if not relation.many:
        return parts[0] if parts else None
    if not parts and world.switches.empty_collections == "absent" and not relation.blank_when_empty:
        return None
    return wrapped(relation.item, parts)


def listing(world: World, entity: str, rows: list[Row], tree: Tree, following: str, previous: str) -> bytes:
    """Write a page: one row is an object, no rows leave the key out (A4)."""
    parts = [f'"@attributes":{{"next":{text(following)},"previous":{text(previous)}}}']
    inside = collapsed([record(world, entity, row, tree) for row in rows])
    if inside is not None:
        parts.append(f'"{entity}":{inside}')
    return ("{" + ",".join(parts) + "}").encode()


def single(entity: str, body: str) -> bytes:
    """Write the answer to a request for one record."""
    return f'{{"@attributes":{{"count":"1"}},"{entity}":{body}}}'.encode()


def count(rows: int) -> bytes:
    """Write the answer to `count=1`."""
    return f'{{"@attributes":{{"count":"{rows}"}}}}'.encode()

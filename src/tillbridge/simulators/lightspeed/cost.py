"""Price a request in drips, from the request alone, before anything is loaded.

Source: fact sheet A3, the rules of 17 March 2026.
"""

from __future__ import annotations

from typing import Any

from tillbridge.simulators.lightspeed.filters import RANGE_OPERATORS, or_operands
from tillbridge.simulators.lightspeed.relations import Tree
from tillbridge.simulators.lightspeed.schema import words

COUNT_COST = 10.0
# method and resource → base price; everything else costs 1.
BASE_COSTS: dict[tuple[str, str], float] = {
    **{(method, entity): 2.0 for method in ("POST", "PUT", "DELETE") for entity in ("Sale", "SaleLine")},
    **{(method, "Category"): 10.0 for method in ("POST", "PUT", "DELETE")},
    ("POST", "Sale/refund"): 10.0,
    ("POST", "Sale/EmailReceipt"): 5.0,
}
SALE_COMPLETION_COST = 3.0
TO_ONE_COST = 0.1
TO_MANY_COST = 0.2
NESTED_ENTITY_COST = 0.5
# Plural wrappers are no entities themselves (A7.3).
_WRAPPERS = words(
    "SaleLines SalePayments SaleNotes Addresses Phones Emails Websites CustomFieldValues Tags Prices "
    "ItemShops"
)


def request_cost(
    method: str, resource: str, params: list[tuple[str, str]], tree: Tree, *, listing: bool, body: Any = None
) -> float:
    """Return the price. `resource` is the entity, or `Sale/refund` for an action."""
    known = dict(params)
    if known.get("count") == "1":
        return COUNT_COST
    cost = BASE_COSTS.get((method, resource), 1.0)
    if (
        resource == "Sale"
        and isinstance(body, dict)
        and str(body.get("completed", "")).lower() in {"true", "1"}
    ):
        cost += SALE_COMPLETION_COST
    cost += relations_cost(tree, listing=listing)
    cost += sum(or_cost(value) for name, value in params if name == "or")
    if method in {"POST", "PUT"}:
        cost += NESTED_ENTITY_COST * nested_entities(body)
    return round(cost, 4)


def relations_cost(tree: Tree, *, listing: bool, under_many: bool = False) -> float:
    """Price the relations: doubled once when the query is a list or the relation lies under a collection."""
    cost = 0.0
    for branch in tree.values():
        each = TO_MANY_COST if branch.relation.many else TO_ONE_COST
        cost += each * (2 if listing or under_many else 1)
        cost += relations_cost(branch.below, listing=listing, under_many=under_many or branch.relation.many)
    return cost


def or_cost(raw: str) -> float:
    """Price one `or` group."""
    operands = or_operands(raw)
    if len({name for name, _, _ in operands}) == 1:
        return 0.0
    entities: dict[str, int] = {}
    for name, _, _ in operands:
        entity = name.rpartition(".")[0]
        entities[entity] = entities.get(entity, 0) + 1
    ranges = sum(operator in RANGE_OPERATORS for _, operator, _ in operands)
    if len(entities) == 1 and ranges <= 1:
        return float(len(operands))
    return float(sum(10 + operands_of - 1 for operands_of in entities.values()))


def nested_entities(body: Any) -> int:
    """Count the entities inside a written record."""
    if isinstance(body, list):
        return sum(map(nested_entities, body))
    if not isinstance(body, dict):
        return 0
    return sum(_counted(name, value) for name, value in body.items())


def _counted(name: str, value: Any) -> int:
    if isinstance(value, list):
        return sum(_counted(name, each) for each in value)
    if not isinstance(value, dict):
        return 0
    return nested_entities(value) + (name not in _WRAPPERS)

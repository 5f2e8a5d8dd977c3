"""Lead each write to the rule that carries it out, and echo the record with what the vendor adds.

Source: fact sheet A7.11: a Sale echoes with its customer, shop, tax category,
lines and payments, a Customer with its contact, an Item with its stock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tillbridge.simulators.lightspeed import catalog, customers, sales
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.relations import (
    RELATIONS,
    Branch,
    Relation,
    Tree,
    ask,
    contact_body,
    one,
)
from tillbridge.simulators.lightspeed.render import record, single
from tillbridge.simulators.lightspeed.routes import Route
from tillbridge.simulators.lightspeed.schema import ENTITIES, Row
from tillbridge.simulators.lightspeed.tables import World

Create = Callable[[World, Any], Row]
Update = Callable[[World, Row, Any], Row]
End = Callable[[World, Row], Row]

_CREATE: dict[str, Create] = {
    "Sale": sales.create,
    "Customer": customers.create,
    "Item": catalog.create_item,
    "CustomerType": lambda world, body: catalog.create_named(world, "CustomerType", body),
    "Category": lambda world, body: catalog.create_named(world, "Category", body),
}
_UPDATE: dict[str, Update] = {
    "Sale": sales.update,
    "SaleLine": sales.update_line,
    "Customer": customers.update,
    "Item": catalog.update_item,
    "ItemShop": catalog.update_stock,
    "Register": catalog.update_register,
    "CustomerType": lambda world, row, body: catalog.update_named(world, "CustomerType", row, body),
    "Category": lambda world, row, body: catalog.update_named(world, "Category", row, body),
}
_END: dict[str, End] = {
    "Sale": sales.cancel,
    "SaleLine": sales.delete_line,
    "Customer": customers.archive,
    "Item": catalog.archive_item,
    "CustomerType": lambda world, row: catalog.remove_named(world, "CustomerType", row),
    "Category": lambda world, row: catalog.remove_named(world, "Category", row),
}
_ECHO: dict[str, Tree] = {
    "Sale": ask("Sale", '["Customer","TaxCategory","SaleLines","SalePayments.PaymentType","SaleNotes"]')
    | {"Shop": Branch(Relation("Shop", "", one("Shop", "shopID"), ENTITIES["Shop"].view), {})},
    "Customer": {
        "Contact": Branch(
            Relation(
                "Contact",
                "",
                RELATIONS["Customer"]["Contact"].find,
                lambda contact: contact_body(contact, echo=True),
            ),
            {},
        )
    },
    "Item": ask("Item", '["ItemShops"]'),
}
_PARENT_ECHO: Tree = {"Sale": Branch(Relation("Sale", "", one("Sale", "saleID"), ENTITIES["Sale"].view), {})}


def write(world: World, route: Route, method: str, body: Any, tree: Tree) -> bytes:
    """Carry out a POST, PUT or DELETE and return the echo."""
    row = _carry_out(world, route, method, body)
    echo = dict(_ECHO.get(route.entity, {}))
    if route.entity == "SaleLine" and method == "DELETE":
        echo |= _PARENT_ECHO
    for name, branch in tree.items():
        echo.setdefault(name, branch)
    if route.entity == "Customer" and world.switches.customer_echo_bare:
        echo = {}
    return single(route.entity, record(world, route.entity, row, echo))


def _carry_out(world: World, route: Route, method: str, body: Any) -> Row:
    if route.action == "refund":
        assert route.row_id is not None
        return sales.refund(world, route.row_id, body)
    if method == "POST" and not route.action:
        if route.entity == "SaleLine":
            return sales.create_line(world, body, route.parent_id)
        return _CREATE[route.entity](world, body)
    row = _existing(world, route)
    match method, route.action:
        case "PUT", _:
            return _UPDATE[route.entity](world, row, body)
        case "DELETE", "Anonymize":
            return customers.anonymize(world, row)
        case "DELETE", _:
            return _END[route.entity](world, row)
    return row  # An e-mailed receipt leaves the sale as it is.


def _existing(world: World, route: Route) -> Row:
    row = world[route.entity].get(route.row_id or 0)
    if row is None or (route.parent_id is not None and row["saleID"] != route.parent_id):
        raise Refused(404, f"Object of type '{route.entity}' not found with primary ID '{route.row_id}'.")
    return row

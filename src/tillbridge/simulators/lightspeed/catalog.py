"""What happens when a client writes an item, a stock level, a category, a customer type or a register.

Source: fact sheet A8.6, A8.1 (customer types), A11 (recorded refusals), A12 (what
a DELETE does). Only what a connector could want is written here; other resources
answer 405.
"""

from __future__ import annotations

from typing import Any

from tillbridge.simulators.lightspeed.bodies import collection, flag, record_of, scalars
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.schema import Row
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.lightspeed.wire import read_decimal

SKU_PREFIX, SKU_DIGITS = "21", 12
PRICE_USES = {"Default": 1, "MSRP": 2, "Online": 3}
_ITEM_READ_ONLY = ("itemID", "systemSku", "createTime", "timeStamp", "avgCost")
_ITEM_CHILDREN = ("Prices", "ItemShops", "Note", "Category", "Manufacturer", "TaxClass", "CustomFieldValues")


def create_item(world: World, body: Any) -> Row:
    """Add an item, with an empty stock in every shop."""
    body = record_of(body, "Item")
    values = scalars("Item", body, world.switches, read_only=_ITEM_READ_ONLY, children=_ITEM_CHILDREN)
    if not values.get("description"):
        raise Refused(400, "Item not created. An Item must have a description.")
    now, item_id = world.now(), world.next_id("Item")
    row: Row = {
        "itemID": item_id,
        "systemSku": SKU_PREFIX + str(item_id).zfill(SKU_DIGITS - len(SKU_PREFIX)),
        "itemType": "default",
        "discountable": True,
        "tax": True,
        "taxClassID": 1,
        **values,
        "createTime": now,
        "timeStamp": now,
        "Prices": _prices(body, []),
    }
    row["ItemShops"] = [
        {"itemShopID": world.next_id("ItemShop"), "timeStamp": now, "itemID": item_id, "shopID": shop_id}
        for shop_id in (*world["Shop"].rows, 0)
    ]
    for stock in row["ItemShops"]:
        world["ItemShop"].add(stock)
    return world["Item"].add(row)


def update_item(world: World, row: Row, body: Any) -> Row:
    """Change an item; `archived=false` revives it."""
    body = record_of(body, "Item")
    values = scalars("Item", body, world.switches, read_only=_ITEM_READ_ONLY, children=_ITEM_CHILDREN)
    if values.get("description") == "":
        raise Refused(400, "Item not updated. An Item must have a description.")
    prices = _prices(body, row.get("Prices") or [])
    world["Item"].change(row, **values, Prices=prices, timeStamp=world.now())
    return row


def archive_item(world: World, row: Row) -> Row:
    """DELETE archives and empties the stock for good."""
    now = world.now()
    world["Item"].change(row, archived=True, timeStamp=now)
    for stock in row.get("ItemShops") or ():
        world["ItemShop"].change(stock, qoh=0, sellable=0, timeStamp=now)
    return row


def update_stock(world: World, row: Row, body: Any) -> Row:
    """Set reorder point and level, which is all the vendor lets be written."""
    values = scalars("ItemShop", record_of(body, "ItemShop"), world.switches)
    refused = values.keys() - {"reorderPoint", "reorderLevel", "itemShopID", "itemID", "shopID"}
    if refused:
        raise Refused(
            400, f"ItemShop: only reorderPoint and reorderLevel can be written, not {min(refused)}."
        )
    kept = {name: values[name] for name in ("reorderPoint", "reorderLevel") if name in values}
    world["ItemShop"].change(row, **kept, timeStamp=world.now())
    return row


def _prices(body: Row, held: list[Row]) -> list[Row]:
    written = collection(body, "Prices", "ItemPrice")
    prices = {p["useType"]: p for p in held}
    for price in written or ():
        use = str(price.get("useType") or "Default")
        if use not in PRICE_USES and use not in prices:
            raise Refused(400, f"useType {use} is no price level.")
        try:
            amount = read_decimal(price.get("amount") or 0)
        except ValueError as error:
            raise Refused(400, f"amount: {error}.") from error
        prices[use] = {
            "useTypeID": PRICE_USES.get(use, 0),
            **prices.get(use, {}),
            "amount": amount,
            "useType": use,
        }
    keys = ("amount", "useTypeID", "useType")
    return [{key: price[key] for key in keys} for price in prices.values()]


# ---- customer types, categories, registers ----


def create_named(world: World, entity: str, body: Any) -> Row:
    """Add a customer type or a category; names are unique among their kind."""
    values = _named(world, entity, record_of(body, entity), None)
    if not values.get("name"):
        raise Refused(400, "name cannot be blank.")
    key = world[entity].key
    row = world[entity].add({**values, key: world.next_id(entity), **_stamps(world, entity, new=True)})
    if entity == "Category":
        number_tree(world)
    return row


def update_named(world: World, entity: str, row: Row, body: Any) -> Row:
    """Rename or move one."""
    values = _named(world, entity, record_of(body, entity), row)
    world[entity].change(row, **values, **_stamps(world, entity, new=False))
    if entity == "Category":
        number_tree(world)
    return row


def remove_named(world: World, entity: str, row: Row) -> Row:
    """DELETE removes for good; a category with sub-categories stays."""
    row_id = row[world[entity].key]
    if entity == "Category" and world["Category"].where("parentID", row_id):
        raise Refused(400, "A Category with sub-categories cannot be deleted.")
    world[entity].remove(row_id)
    if entity == "Category":
        number_tree(world)
    return row


def update_register(world: World, row: Row, body: Any) -> Row:
    """Rename a register or open and close it."""
    body = record_of(body, "Register")
    values = scalars("Register", body, world.switches, read_only=("registerID", "shopID"))
    if flag(body, "open", row.get("open", False)) and not row.get("open"):
        values["openTime"] = world.now()
    world["Register"].change(row, **values)
    return row


def number_tree(world: World) -> None:
    """Give the categories their places in the nested set: inserting one shifts the others (A8.6)."""
    children: dict[int, list[Row]] = {}
    for row in sorted(world["Category"], key=lambda r: r["categoryID"]):
        children.setdefault(row.get("parentID", 0), []).append(row)
    counter = 0

    def visit(row: Row, depth: int, path: str) -> None:
        nonlocal counter
        counter += 1
        left, path = counter, f"{path}/{row['name']}".lstrip("/")
        for child in children.get(row["categoryID"], ()):
            visit(child, depth + 1, path)
        counter += 1
        world["Category"].change(row, leftNode=left, rightNode=counter, nodeDepth=depth, fullPathName=path)

    for root in children.get(0, ()):
        visit(root, 0, "")


def _named(world: World, entity: str, body: Row, row: Row | None) -> Row:
    read_only = (
        world[entity].key,
        "createTime",
        "timeStamp",
        "nodeDepth",
        "fullPathName",
        "leftNode",
        "rightNode",
    )
    values = scalars(entity, body, world.switches, read_only=read_only)
    name = values.get("name")
    if name is not None and not name:
        raise Refused(400, "name cannot be blank.")
    if (
        any(other is not row and other.get("name") == name for other in world[entity])
        and entity == "CustomerType"
    ):
        raise Refused(400, f"A {entity} named '{name}' already exists.")
    if values.get("parentID") and world["Category"].get(values["parentID"]) is None:
        raise Refused(400, f"There is no Category {values['parentID']}.")
    return values


def _stamps(world: World, entity: str, *, new: bool) -> Row:
    if entity != "Category":
        return {}
    now = world.now()
    return {"timeStamp": now, **({"createTime": now} if new else {})}

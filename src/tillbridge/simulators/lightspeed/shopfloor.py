"""What people do at the tills and in the back office, where no API call is made.

Sales are rung up by the retailer's own shopkeeper; voids, merges, back-dating and
edits happen as staff do them (fact sheet A9, A12). The control API drives this.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

from tillbridge.simulators.lightspeed import catalog, customers, sales
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.schema import ENTITIES, Row, words
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.lightspeed.wire import read_value
from tillbridge.simulators.retailer import Shopkeeper, ringup
from tillbridge.simulators.retailer.history import SHARES

# Filled from the secondary where the primary is blank; conflicts keep the primary (A12).
_MERGED_FIELDS = words(
    "firstName lastName dob title company companyRegistrationNumber vatNumber customerTypeID creditAccountID "
    "Tags Note"
)
_CREATORS: dict[str, Callable[[World, Row], Row]] = {
    "Customer": customers.create,
    "Item": catalog.create_item,
}
_ENDERS: dict[str, Callable[[World, Row], Row]] = {
    "Customer": customers.archive,
    "Sale": sales.cancel,
    "Item": catalog.archive_item,
}


class ShopFloor:
    """The staff of all shops."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._keeper: Shopkeeper | None = None
        self._seed: int | str = 0
        self._known = (0, 0)
        self._chance = Random()

    # ---- ringing up ----

    def ring(
        self, count: int, *, seed: int | str | None = None, at: datetime | None = None, **wishes: Any
    ) -> tuple[list[int], str]:
        """Ring up live sales; return their ids, and why there are fewer than asked for, if there are.

        Without a kind, they are as mixed as the history is. Raises LookupError when not even one is possible.
        """
        keeper = self._shopkeeper(seed)
        sale_ids: list[int] = []
        for _ in range(count):
            wish = wishes if wishes.get("kind") else {**wishes, **self._draw(keeper, wishes.get("shopID"))}
            try:
                sale_ids.append(self.ring_one(seed=seed, at=at, **wish)["saleID"])
            except LookupError as nothing_left:
                if not sale_ids:
                    raise
                return sale_ids, str(nothing_left)
        return sale_ids, ""

    def _draw(self, keeper: Shopkeeper, shop_id: int | None) -> Row:
        """Draw a shop and a kind of sale that it can ring up now."""
        shop_id = shop_id or self._chance.choice(list(self.world["Shop"].rows))
        kind = self._chance.choices([*SHARES, "sale"], [*SHARES.values(), 1000 - sum(SHARES.values())])[0]
        return {"shopID": shop_id, "kind": kind if keeper.can(kind, shop_id) else "sale"}

    def ring_one(self, *, seed: int | str | None = None, at: datetime | None = None, **wishes: Any) -> Row:
        """Ring up one sale as wished; see `Shopkeeper.sale` for the wishes."""
        keeper = self._shopkeeper(seed)
        sale = keeper.sale(at or self.world.now(), **wishes)
        for effect in keeper.take_effects():
            self._apply(effect.table, effect.row_id, effect.fields)
        self.world.add_sale(sale)
        if sale["completed"]:
            sales.after_completion(self.world, sale)
        return sale

    def _shopkeeper(self, seed: int | str | None) -> Shopkeeper:
        """Keep one shopkeeper, who remembers; another seed, or new goods and people, need a new one."""
        known = (len(self.world["Item"]), len(self.world["Customer"]))
        wanted = self._seed if seed is None else seed
        if self._keeper is None or wanted != self._seed or known != self._known:
            self._keeper = Shopkeeper(self.world.tables, wanted, self.world.next_id)
            self._seed, self._known = wanted, known
            self._chance = Random(f"{wanted}/shopfloor")
        return self._keeper

    def _apply(self, table: str, row_id: int, fields: Row | None) -> None:
        rows = self.world[table]
        if fields is None:
            rows.remove(row_id)
        elif (row := rows.get(row_id)) is not None:
            rows.change(row, **fields)
        else:
            rows.add(fields)

    # ---- afterwards ----

    def void(self, sale_id: int, reason: str, at: datetime | None = None) -> Row:
        """Void a completed sale: `completed` goes back to false, stock returns, a SaleVoid row appears."""
        world, sale = self.world, self._sale(sale_id)
        if not sale["completed"] or sale["voided"]:
            raise Refused(400, "Only a completed sale can be voided.")
        at = at or world.now()
        for item_id, shop_id, change in ringup.stock_moves(sale):
            self._restock(item_id, shop_id, -int(change))
        row = ringup.void(
            sale,
            at,
            void_id=world.next_id("SaleVoid"),
            employee_id=sale["employeeID"],
            reason=reason,
            moves_updatetime=False,  # The table moves it, so that its indexes hold.
        )
        if world.switches.updatetime_moves_on_void:
            world["Sale"].change(sale, updatetime=at)
        return world["SaleVoid"].add(row)

    def refund(self, sale_id: int, lines: list[Row] | None = None) -> Row:
        """Give a sale back through the refund rule, paid out in the tender it came by."""
        original = self._sale(sale_id)
        first = next((p for p in original["SalePayments"] if not p["archived"]), None)
        wish: Row = {
            "SalePayments": {"SalePayment": {"paymentTypeID": first["paymentTypeID"] if first else 1}}
        }
        if lines is not None:
            wish["SaleLines"] = {"SaleLine": lines}
        return sales.refund(self.world, sale_id, wish)

    def backdate(self, sale_id: int, complete_time: datetime) -> Row:
        """Move the completion of a sale into the past, as the back office may."""
        sale = self._sale(sale_id)
        if not sale["completed"]:
            raise Refused(400, "Only a completed sale can be back-dated.")
        return sales.update(self.world, sale, {"completeTime": complete_time.isoformat()})

    def delete_line(self, line_id: int) -> Row:
        """Take a line off an open sale for good."""
        line = self.world["SaleLine"].get(line_id)
        if line is None:
            raise Refused(404, f"There is no SaleLine {line_id}.")
        return sales.delete_line(self.world, line)

    def archive(self, entity: str, row_id: int) -> Row:
        """Put a record away."""
        row = self._row(entity, row_id)
        if entity in _ENDERS:
            return _ENDERS[entity](self.world, row)
        if "archived" not in ENTITIES[entity].fields:
            raise Refused(400, f"A {entity} cannot be archived.")
        self.world[entity].change(row, archived=True, **self._stamp(entity))
        return row

    def merge(self, keep: int, lose: int) -> Row:
        """Merge two customers: blanks of the kept one are filled, the other goes, without a word."""
        world = self.world
        kept, lost = self._row("Customer", keep), self._row("Customer", lose)
        if keep == lose:
            raise Refused(400, "A customer cannot be merged with itself.")
        filled = {name: lost[name] for name in _MERGED_FIELDS if not kept.get(name) and lost.get(name)}
        contact = _merged_contact(kept.get("Contact") or {}, lost.get("Contact") or {})
        now = world.now()
        world["Customer"].change(kept, **filled, Contact={**contact, "timeStamp": now}, timeStamp=now)
        if world.switches.merge_rewrites_sales:
            self._repoint_sales(lose, keep)
        if world.switches.merge_deletes_secondary:
            world["Customer"].remove(lose)
        else:
            world["Customer"].change(lost, archived=True, timeStamp=now)
        return kept

    def edit(self, entity: str, row_id: int, fields: Row) -> Row:
        """Change fields as staff would; nested customer parts are written by the API's rules."""
        row = self._row(entity, row_id)
        if entity == "Customer":
            return customers.update(self.world, row, fields)
        known = ENTITIES[entity].fields
        unknown = fields.keys() - known.keys()
        if unknown:
            raise Refused(400, f"{entity} has no field {', '.join(sorted(unknown))}.")
        values = {name: read_value(known[name].kind, value) for name, value in fields.items()}
        self.world[entity].change(row, **{**self._stamp(entity, row), **values})
        if entity == "SaleLine" and row["saleID"]:
            sales.child_changed(self.world, self._sale(row["saleID"]))
        return row

    def add(self, entity: str, fields: Row) -> Row:
        """Add a record: customers and items by the API's rules, others field by field."""
        if entity in _CREATORS:
            return _CREATORS[entity](self.world, fields)
        table, known = self.world[entity], ENTITIES[entity].fields
        nested = {name: value for name, value in fields.items() if name not in known}
        values = {
            name: read_value(known[name].kind, value) for name, value in fields.items() if name in known
        }
        row = {**self._stamp(entity), **nested, **values}
        if entity == "Sale":
            row |= {"SaleLines": [], "SalePayments": [], "SaleNotes": {}}
        row[table.key] = row.get(table.key) or self.world.next_id(entity)
        return table.add(row)

    # ---- inside ----

    def _sale(self, sale_id: int) -> Row:
        return self._row("Sale", sale_id)

    def _row(self, entity: str, row_id: int) -> Row:
        row = self.world[entity].get(row_id)
        if row is None:
            raise Refused(404, f"There is no {entity} {row_id}.")
        return row

    def _stamp(self, entity: str, row: Row | None = None) -> Row:
        """Move the stamps an entity has. A completed sale's timeStamp is frozen (A12)."""
        now, known = self.world.now(), ENTITIES[entity].fields
        stamps: Row = {name: now for name in ("timeStamp", "updatetime") if name in known}
        if entity == "Sale" and row is not None and row["completed"]:
            del stamps["timeStamp"]
        if row is None and "createTime" in known:
            stamps["createTime"] = now
        return stamps

    def _restock(self, item_id: int, shop_id: int, pieces: int) -> None:
        item = self.world["Item"].get(item_id) or {}
        for stock in item.get("ItemShops") or ():
            if stock["shopID"] in {0, shop_id} and item.get("itemType") != "non_inventory":
                qoh = stock.get("qoh", 0) + pieces
                self.world["ItemShop"].change(
                    stock, qoh=qoh, sellable=max(0, qoh), timeStamp=self.world.now()
                )

    def _repoint_sales(self, lose: int, keep: int) -> None:
        world = self.world
        moved = {"updatetime": world.now()} if world.switches.updatetime_moves_on_merge else {}
        for sale in world.rows("Sale", list(world["Sale"].where("customerID", lose))):
            world["Sale"].change(sale, customerID=keep, **moved)
        for line in world.rows("SaleLine", list(world["SaleLine"].where("customerID", lose))):
            world["SaleLine"].change(line, customerID=keep)


def _merged_contact(kept: Row, lost: Row) -> Row:
    contact = {**lost, **kept}
    for name in ("Phones", "Emails"):
        taken = {row["useType"] for row in kept.get(name) or ()}
        contact[name] = [
            *(kept.get(name) or ()),
            *(r for r in lost.get(name) or () if r["useType"] not in taken),
        ]
    contact["Addresses"] = kept.get("Addresses") or lost.get("Addresses") or []
    return contact

"""What happens when a client writes a sale or one of its lines.

Source: fact sheet A8.2, A8.3, A9 and A10. The arithmetic is the retailer's own
(`retailer.ringup`). A completed sale keeps its lines and money for ever; its
customer, notes and completion time may still change.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from tillbridge.simulators.lightspeed.bodies import collection, flag, number, record_of, scalars
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.schema import Field, Row, words
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.retailer.blanks import blank_line, blank_payment, blank_sale
from tillbridge.simulators.retailer.ringup import ring_up, stock_moves

ZERO = Decimal(0)
_SALE_CHILDREN = ("SaleLines", "SalePayments", "SaleNotes", "Customer", "Shop", "TaxCategory", "Discount")
_LINE_CHILDREN = ("Note", "Item", "Discount", "TaxClass", "TaxCategory", "requireFullReservation")
# A client may write these; the rest is computed or the server's.
_SALE_WRITABLE = words(
    "completed completeTime customerID employeeID registerID shopID referenceNumber "
    "referenceNumberSource archived  receiptPreference enablePromotions discountPercent discountID "
    "tipEmployeeID tipEnabled quoteID shipToID  taxCategoryID "
)
# And of a completed sale only these (A9: completed sales can later change).
_SALE_WRITABLE_LATER = words(
    "completed completeTime customerID referenceNumber referenceNumberSource receiptPreference shipToID "
)
_LINE_WRITABLE = words(
    "unitQuantity unitPrice discountAmount discountPercent tax isLayaway isSpecialOrder isWorkorder "
    "taxClassID  customerID discountID employeeID itemID parentSaleLineID shopID saleID "
)
_LOOKUPS = {"customerID": "Customer", "employeeID": "Employee", "registerID": "Register", "shopID": "Shop"}
_DETACHING = ("isLayaway", "isSpecialOrder")


# ---- sales ----


def create(world: World, body: Any) -> Row:
    """Ring up a sale, open unless `completed` is sent."""
    body = record_of(body, "Sale")
    values = _sale_values(world, body)
    for name in ("employeeID", "registerID", "shopID"):
        if not values.get(name):
            raise Refused(400, f"Sale not created. {name} is required.")
    shop = world["Shop"].rows[values["shopID"]]
    trial = blank_sale(world.next_id("Sale"), world.now())
    trial |= {
        "taxCategoryID": shop.get("taxCategoryID", 0),
        **values,
        "completed": False,
        "completeTime": None,
    }
    _tax_from_category(world, trial)
    _write_children(world, trial, body)
    if values.get("completed"):
        _complete(world, trial, values.get("completeTime"))
    return _commit(world, trial)


def update(world: World, sale: Row, body: Any) -> Row:
    """Change a sale; nested lines without an id are appended, siblings stay (A10)."""
    body = record_of(body, "Sale")
    values = _sale_values(world, body)
    if sale["voided"]:
        raise Refused(400, "A voided sale cannot be changed.")
    if sale["completed"]:
        return _update_completed(world, sale, body, values)
    completes = values.pop("completed", False)
    complete_time = values.pop("completeTime", None)
    if complete_time and not completes:
        raise Refused(400, "An open sale has no completeTime.")
    now = world.now()
    # A PUT of the sale itself moves its timeStamp while it is open (A12).
    trial = {**sale, **values, "timeStamp": now, "updatetime": now}
    trial["SaleLines"] = [dict(line) for line in sale["SaleLines"]]
    trial["SalePayments"] = [dict(payment) for payment in sale["SalePayments"]]
    if "shopID" in values or "taxCategoryID" in values:
        _tax_from_category(world, trial)
    _write_children(world, trial, body)
    if completes:
        _complete(world, trial, complete_time)
    return _commit(world, trial)


def _write_children(world: World, trial: Row, body: Row) -> None:
    _write_lines(world, trial, body)
    _write_payments(world, trial, body)
    _write_notes(trial, body)
    ring_up(trial)


def _commit(world: World, trial: Row) -> Row:
    """Store what was tried on a copy: a refused write leaves no trace."""
    for table, children in ((world["SaleLine"], "SaleLines"), (world["SalePayment"], "SalePayments")):
        rows = []
        for child in trial[children]:
            stored = table.get(child[table.key])
            if stored is not None:
                table.change(stored, **child)
            elif children == "SaleLines":
                stored = table.add(child)
            else:
                world.add_payment(child)
                stored = child
            rows.append(stored)
        trial[children] = rows
    sale = world["Sale"].get(trial["saleID"])
    completes = trial["completed"] and not (sale and sale["completed"])
    if sale is None:
        sale = world["Sale"].add(trial)
    else:
        world["Sale"].change(sale, **trial)
    if completes:
        after_completion(world, sale)
    return sale


def _update_completed(world: World, sale: Row, body: Row, values: Row) -> Row:
    changed = {n for n, v in values.items() if v != sale.get(n)} - _SALE_WRITABLE_LATER
    if changed or values.get("completed") is False or {"SaleLines", "SalePayments"} & body.keys():
        raise Refused(400, "A completed sale cannot be changed.")
    if "completeTime" in values:
        # The timeStamp of a completed sale is its completion time, wherever that moves (A12).
        values["completeTime"] = values["timeStamp"] = _not_in_future(world, values["completeTime"])
    _write_notes(sale, body)
    world["Sale"].change(sale, **values, updatetime=world.now())
    return sale


def cancel(world: World, sale: Row) -> Row:
    """DELETE cancels an open sale; a completed one cannot be archived."""
    if sale["completed"] or sale["voided"]:
        raise Refused(400, "A completed sale cannot be archived.")
    now = world.now()
    world["Sale"].change(sale, archived=True, timeStamp=now, updatetime=now)
    return sale


def refund(world: World, number_: int, body: Any) -> Row:
    """Give back a sale, all of it or some lines. Found by saleID or by ticket number."""
    original = find_sale(world, number_)
    body = record_of(body or {}, "Sale")
    if not original["completed"] or original["voided"]:
        raise Refused(400, "Only a completed sale can be refunded.")
    lines = collection(body, "SaleLines", "SaleLine")
    if lines is None:
        lines = [
            {"parentSaleLineID": line["saleLineID"], "unitQuantity": -left}
            for line in original["SaleLines"]
            if (left := line["unitQuantity"] - returned_so_far(world, line["saleLineID"])) > 0
        ]
        if not lines:
            raise Refused(400, "Nothing is left to refund.")
    payments = collection(body, "SalePayments", "SalePayment") or []
    wish: Row = {
        name: body.get(name) or original[name] for name in ("employeeID", "registerID", "shopID")
    } | {"customerID": original["customerID"], "SaleLines": {"SaleLine": lines}}
    if len(payments) == 1 and "amount" not in payments[0]:
        trial = blank_sale(0, world.now()) | {"isTaxInclusive": original["isTaxInclusive"]}
        trial["SaleLines"] = [_line(world, original, {**line, "saleLineID": 0}, trial=True) for line in lines]
        payments = [{**payments[0], "amount": ring_up(trial)["total"]}]
    wish["SalePayments"] = {"SalePayment": payments}
    wish["completed"] = flag(body, "completed", True)
    return create(world, wish)


def find_sale(world: World, number_: int) -> Row:
    """Return a sale by its id or by its ticket number."""
    sale = world["Sale"].get(number_)
    if sale is None and len(str(number_)) == 12:
        sale = world["Sale"].get(int(str(number_)[2:]))
    if sale is None:
        raise Refused(404, f"Object of type 'Sale' not found with primary ID '{number_}'.")
    return sale


def returned_so_far(world: World, line_id: int) -> Decimal:
    """Return how many pieces of a line came back in sales that count."""
    returns = world.rows("SaleLine", world["SaleLine"].where("parentSaleLineID", line_id))
    counted = (
        line["unitQuantity"]
        for line in returns
        if (sale := world["Sale"].get(line["saleID"])) and not sale["voided"] and not sale["archived"]
    )
    return -sum(counted, ZERO)


def after_completion(world: World, sale: Row) -> None:
    """Move the stock and note who rang up last; Item.timeStamp does not move (A8.6, A8.7)."""
    now = world.now()
    for item_id, shop_id, change in stock_moves(sale):
        item = world["Item"].get(item_id)
        for stock in (item or {}).get("ItemShops") or ():
            if (
                stock["shopID"] in {0, shop_id}
                and item is not None
                and item.get("itemType") != "non_inventory"
            ):
                qoh = stock.get("qoh", 0) + int(change)
                world["ItemShop"].change(stock, qoh=qoh, sellable=max(0, qoh), timeStamp=now)
    if employee := world["Employee"].get(sale["employeeID"]):
        world["Employee"].change(
            employee,
            timeStamp=now,
            lastSaleID=sale["saleID"],
            lastShopID=sale["shopID"],
            lastRegisterID=sale["registerID"],
        )


def _complete(world: World, trial: Row, complete_time: datetime | None) -> None:
    """Close a sale. Cash over the total becomes change; anything else unbalanced is refused."""
    owed = trial["balance"]
    cash = next((p for p in trial["SalePayments"] if _is_cash(world, p) and p["amount"] > 0), None)
    if owed < 0 < trial["total"] and cash is not None and cash["amount"] >= -owed:
        cash["amount"] += owed
        trial["change"] = -owed
        ring_up(trial)
    if trial["balance"] != 0:
        raise Refused(400, "Sale not completed. The payments do not balance the total.")
    at = _not_in_future(world, complete_time) if complete_time else world.now()
    trial |= {"completed": True, "completeTime": at, "timeStamp": at, "updatetime": world.now()}


def _is_cash(world: World, payment: Row) -> bool:
    payment_type = world["PaymentType"].get(payment["paymentTypeID"]) or {}
    return bool(payment_type.get("type") == "cash")


def _not_in_future(world: World, at: datetime | None) -> datetime:
    if at is None or at > world.now():
        raise Refused(400, "completeTime cannot be in the future.")
    return at


def _sale_values(world: World, body: Row) -> Row:
    values = scalars(
        "Sale", body, world.switches, children=_SALE_CHILDREN, more=(Field("updateTime", "time"),)
    )
    values = {name: value for name, value in values.items() if name in _SALE_WRITABLE}
    _check_lookups(world, values)
    return values


def _check_lookups(world: World, values: Row) -> None:
    for name, entity in _LOOKUPS.items():
        if values.get(name) and world[entity].get(values[name]) is None:
            raise Refused(400, f"{name}: there is no {entity} {values[name]}.")


def _tax_from_category(world: World, sale: Row) -> None:
    category = world["TaxCategory"].get(sale["taxCategoryID"]) or {}
    sale["isTaxInclusive"] = category.get("isTaxInclusive", False)
    sale["tax1Rate"], sale["tax2Rate"] = category.get("tax1Rate", ZERO), category.get("tax2Rate", ZERO)


# ---- what is inside a sale ----


def _write_lines(world: World, trial: Row, body: Row) -> None:
    """Append lines, change the sale's own, or attach those that wait outside a sale."""
    for written in collection(body, "SaleLines", "SaleLine") or ():
        line_id = number(written, "saleLineID")
        held = (
            next((line for line in trial["SaleLines"] if line["saleLineID"] == line_id), None)
            if line_id
            else None
        )
        if held is not None:
            held |= _line_after(world, held, written)
        elif line_id:
            waiting = _waiting_line(world, trial, line_id)
            trial["SaleLines"].append({**waiting, "saleID": trial["saleID"]})
        else:
            trial["SaleLines"].append(_line(world, trial, written))


def _waiting_line(world: World, sale: Row, line_id: int) -> Row:
    line = world["SaleLine"].get(line_id)
    if line is None or line["saleID"]:
        raise Refused(400, f"There is no SaleLine {line_id} waiting to be attached.")
    if line["customerID"] != sale["customerID"]:
        raise Refused(400, "The SaleLine belongs to another customer.")
    return line


def _line(world: World, sale: Row, written: Row, *, trial: bool = False) -> Row:
    """Make a line: what is not sent comes from the item, the original line and the sale."""
    line = blank_line(0 if trial else world.next_id("SaleLine"), world.now())
    line |= {
        "saleID": sale["saleID"],
        "shopID": sale["shopID"],
        "employeeID": sale["employeeID"],
        "tax1Rate": sale["tax1Rate"],
        "tax2Rate": sale["tax2Rate"],
        "taxCategoryID": sale["taxCategoryID"],
    }
    values = _line_values(world, written)
    if parent_id := values.get("parentSaleLineID", 0):
        _give_back(world, line, parent_id, values.get("unitQuantity", ZERO))
    elif item := world["Item"].get(values.get("itemID", 0)):
        prices = {p["useType"]: p["amount"] for p in item.get("Prices") or ()}
        cost = item.get("defaultCost", ZERO)
        line |= {"unitPrice": prices.get("Default", ZERO), "avgCost": cost, "fifoCost": cost}
        line |= {"tax": item.get("tax", True), "taxClassID": item.get("taxClassID", 1)}
    return _with(world, line, values, written)


def _give_back(world: World, line: Row, parent_id: int, quantity: Decimal) -> None:
    parent = world["SaleLine"].get(parent_id)
    if parent is None:
        raise Refused(400, f"There is no SaleLine {parent_id}.")
    if quantity >= 0:
        raise Refused(400, "A refunded line needs a negative unitQuantity.")
    if -quantity > parent["unitQuantity"] - returned_so_far(world, parent_id):
        raise Refused(400, f"SaleLine {parent_id}: more is given back than was bought.")
    line |= {
        name: parent[name]
        for name in (
            "itemID", "unitPrice", "discountPercent", "discountID", "avgCost", "fifoCost", "tax", "tax1Rate",
            "tax2Rate", "taxClassID",
        )
    }  # fmt: skip
    if parent["discountAmount"]:
        line["discountAmount"] = parent["discountAmount"] * -quantity / parent["unitQuantity"]


def _with(world: World, line: Row, values: Row, written: Row) -> Row:
    discount = world["Discount"].get(values.get("discountID", 0))
    if discount is not None:
        line |= {name: discount.get(name, ZERO) for name in ("discountAmount", "discountPercent")}
    if values.get("discountAmount") and values.get("discountPercent"):
        raise Refused(400, "Only one of discountAmount and discountPercent can be used.")
    line |= values
    if "Note" in written:
        note = written["Note"]
        line["Note"] = str((note.get("note") if isinstance(note, dict) else note) or "")
        line["noteID"] = (line["noteID"] or line["saleLineID"]) if line["Note"] else 0
    return line


def _line_values(world: World, written: Row) -> Row:
    values = scalars("SaleLine", written, world.switches, children=_LINE_CHILDREN)
    values = {name: value for name, value in values.items() if name in _LINE_WRITABLE}
    _check_lookups(world, values)
    if values.get("itemID") and world["Item"].get(values["itemID"]) is None:
        raise Refused(400, f"There is no Item {values['itemID']}.")
    return values


def _line_after(world: World, line: Row, written: Row) -> Row:
    values = _line_values(world, written)
    values.pop("saleID", None)
    return {**_with(world, dict(line), values, written), "timeStamp": world.now()}


def _write_payments(world: World, sale: Row, body: Row) -> None:
    for written in collection(body, "SalePayments", "SalePayment") or ():
        if number(written, "salePaymentID"):
            continue  # An existing payment cannot be changed; sending it back is harmless.
        values = scalars("SalePayment", written, world.switches, children=("PaymentType", "SaleAccounts"))
        payment_type = world["PaymentType"].get(values.get("paymentTypeID", 0))
        if payment_type is None:
            raise Refused(400, "A SalePayment needs an existing paymentTypeID.")
        if payment_type.get("requireCustomer") and not sale["customerID"]:
            raise Refused(400, f"Payment type {payment_type['name']} needs a customer.")
        payment = blank_payment(world.next_id("SalePayment"), world.now())
        payment |= {name: sale[name] for name in ("saleID", "registerID", "employeeID")}
        writable = (
            "amount",
            "tipAmount",
            "paymentTypeID",
            "creditAccountID",
            "remoteReference",
            "employeeID",
        )
        payment |= {name: values[name] for name in writable if name in values}
        if "amount" not in values:
            payment["amount"] = ring_up(sale)["balance"]
        sale["SalePayments"].append(payment)


def _write_notes(sale: Row, body: Row) -> None:
    """SaleNotes are upserted without an id (A10)."""
    notes = body.get("SaleNotes")
    if not isinstance(notes, dict):
        return
    kept = dict(sale.get("SaleNotes") or {})
    for name in ("InternalNote", "PrintedNote"):
        if name in notes:
            note = notes[name]
            kept[name] = str((note.get("note") if isinstance(note, dict) else note) or "")
    sale["SaleNotes"] = {name: text for name, text in kept.items() if text}


# ---- lines on their own ----


def create_line(world: World, body: Any, parent_id: int | None) -> Row:
    """Add a line to an open sale, or a layaway or special order that belongs to a customer only."""
    body = record_of(body, "SaleLine")
    sale_id = parent_id or number(body, "saleID")
    if sale_id:
        sale = _open_sale(world, sale_id)
        line = _line(world, sale, body)
        line["saleID"] = sale_id
        sale["SaleLines"].append(line)
        world["SaleLine"].add(line)
        child_changed(world, sale)
        return line
    if not number(body, "customerID") or not any(flag(body, name, False) for name in _DETACHING):
        raise Refused(
            400, "SaleLine not created. It needs a saleID, or a customerID and isLayaway or isSpecialOrder."
        )
    shop_id = number(body, "shopID") or min(world["Shop"].rows)
    stand_in = blank_sale(0, world.now()) | {
        "shopID": shop_id,
        "taxCategoryID": world["Shop"].rows[shop_id]["taxCategoryID"],
    }
    _tax_from_category(world, stand_in)
    line = _line(world, stand_in, body)
    stand_in["SaleLines"] = [line]
    ring_up(stand_in)
    return world["SaleLine"].add(line)


def update_line(world: World, line: Row, body: Any) -> Row:
    """Change a line. Making it a layaway detaches it; giving it a saleID attaches it (A8.3)."""
    body = record_of(body, "SaleLine")
    values = _line_values(world, body)
    table, target = world["SaleLine"], values.get("saleID", 0)
    if line["saleID"]:
        sale = _open_sale(world, line["saleID"])
        after = _line_after(world, line, body)
        if any(after[name] and not line[name] for name in _DETACHING):
            if not sale["customerID"]:
                raise Refused(400, "A layaway needs a customer on the sale.")
            sale["SaleLines"].remove(line)
            after |= {"saleID": 0, "customerID": sale["customerID"]}
        table.change(line, **after)
        child_changed(world, sale)
    elif target:
        sale = _open_sale(world, target)
        _waiting_line(world, sale, line["saleLineID"])
        table.change(line, **_line_after(world, line, body), saleID=target)
        sale["SaleLines"].append(line)
        child_changed(world, sale)
    else:
        table.change(line, **_line_after(world, line, body))
    return line


def delete_line(world: World, line: Row) -> Row:
    """Remove a line for good, without a tombstone; completed and cancelled sales keep theirs."""
    sale = _open_sale(world, line["saleID"]) if line["saleID"] else None
    world["SaleLine"].remove(line["saleLineID"])
    if sale is not None:
        sale["SaleLines"].remove(line)
        child_changed(world, sale)
    return line


def child_changed(world: World, sale: Row) -> None:
    """Recompute a sale whose line or payment moved. Its timeStamp stays (A12); updatetime is a switch."""
    ring_up(sale)
    if world.switches.updatetime_moves_on_children:
        world["Sale"].change(sale, updatetime=world.now())


def _open_sale(world: World, sale_id: int) -> Row:
    sale = world["Sale"].get(sale_id)
    if sale is None:
        raise Refused(400, f"There is no Sale {sale_id}.")
    if sale["completed"] or sale["archived"] or sale["voided"]:
        raise Refused(400, "Lines of a completed or cancelled sale cannot be changed.")
    return sale

"""Say which relations each resource has, where their rows come from, and what `load_relations` asks for.

Source: fact sheet A5 (table of relations), A7.10 and A8 (how nested records look).
A relation that exists in the vendor's table but has no rows in this world is
known and empty, so that asking for it is priced and accepted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tillbridge.simulators.lightspeed import schema
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.schema import ENTITIES, Row, View
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.lightspeed.wire import loose

Found = list[Row]
Find = Callable[[World, Row], Found]


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation. `item` names the inner key of a to-many collection; "" means to-one.

    `shown` renders the found rows: a `View`, or a function for shapes of their own.
    """

    name: str
    item: str
    find: Find
    shown: View | Callable[[Row], str]
    below: dict[str, Relation] = field(default_factory=dict)
    blank_when_empty: bool = False

    @property
    def many(self) -> bool:
        """Whether it is a collection."""
        return bool(self.item)


Tree = dict[str, "Branch"]


@dataclass(frozen=True, slots=True)
class Branch:
    """A relation to load and what to load below it."""

    relation: Relation
    below: Tree


# ---- where rows come from ----


def one(entity: str, foreign_key: str) -> Find:
    """Find the row that a foreign key names; "0" is none (A7.5)."""

    def find(world: World, row: Row) -> Found:
        target = world[entity].get(row.get(foreign_key) or 0)
        return [target] if target is not None else []

    return find


def children(entity: str, foreign_key: str, own_key: str) -> Find:
    """Find the rows that point here."""

    def find(world: World, row: Row) -> Found:
        return world.rows(entity, world[entity].where(foreign_key, row[own_key]))

    return find


def held(name: str) -> Find:
    """Find rows kept inside their parent."""

    def find(_world: World, row: Row) -> Found:
        value = row.get(name)
        if not value:
            return []
        return value if isinstance(value, list) else [value]

    return find


def nothing(_world: World, _row: Row) -> Found:
    """Find no rows: the kind of thing does not exist in this world."""
    return []


# ---- shapes of their own ----


def sale_notes(sale: Row) -> str:
    """Render the internal and the printed note, which have ids but no endpoint (A8.2)."""
    notes = sale.get("SaleNotes") or {}
    shown = {
        name: {"noteID": 2 * sale["saleID"] + place, "note": notes[name]}
        for place, name in enumerate(("InternalNote", "PrintedNote"))
        if notes.get(name)
    }
    return loose(shown)


def _has_notes(_world: World, sale: Row) -> Found:
    return [sale] if any((sale.get("SaleNotes") or {}).values()) else []


_COLLECTIONS = {
    "Addresses": "ContactAddress",
    "Phones": "ContactPhone",
    "Emails": "ContactEmail",
    "Websites": "ContactWebsite",
}
_BLANK_ADDRESS = dict.fromkeys(
    ("address1", "address2", "city", "state", "stateCode", "zip", "country", "countryCode"), ""
)


def contact_body(contact: Row, *, echo: bool = False) -> str:
    """Render a contact. An empty address echoes as one of empty strings, else as "" (A7.12)."""
    shown: Row = {}
    if "contactID" in contact:
        shown["contactID"] = contact["contactID"]
    shown["custom"] = contact.get("custom", "")
    for flag in ("noEmail", "noPhone", "noMail"):
        shown[flag] = contact.get(flag, False)
    for name, item in _COLLECTIONS.items():
        parts = list(contact.get(name) or ())
        if name == "Addresses" and not parts and echo:
            parts = [_BLANK_ADDRESS]
        shown[name] = {item: parts[0] if len(parts) == 1 else parts} if parts else ""
    shown["timeStamp"] = contact.get("timeStamp")
    return loose(shown)


def _contact(_world: World, row: Row) -> Found:
    contact = row.get("Contact")
    return [{**contact, "timeStamp": contact.get("timeStamp") or row.get("timeStamp")}] if contact else []


def _contact_in_sale(world: World, customer: Row) -> Found:
    return [{"contactID": contact_id(customer), **c} for c in _contact(world, customer)]


def contact_id(customer: Row) -> int:
    """Return the id of a customer's contact; contacts have no endpoint (A10)."""
    return int(customer.get("contactID") or 400 + customer["customerID"])


def _customer_in_sale(world: World, sale: Row) -> Found:
    return [{"contactID": contact_id(c), **c} for c in one("Customer", "customerID")(world, sale)]


def credit_shown(world: World, account: Row) -> Row:
    """Return a credit account with its balance in the sign the switch asks for (A8.8)."""
    return account if world.switches.credit_is_negative else {**account, "balance": -account["balance"]}


def _credit_account(world: World, customer: Row) -> Found:
    return [credit_shown(world, a) for a in one("CreditAccount", "creditAccountID")(world, customer)]


def _field_values(world: World, row: Row) -> Found:
    values = []
    for value in row.get("CustomFieldValues") or ():
        known = world["CustomField"].get(value["customFieldID"]) or {}
        values.append(
            {
                "customFieldValueID": value.get("customFieldValueID", 0),
                "customFieldID": value["customFieldID"],
                "name": value.get("name", known.get("name", "")),
                "type": value.get("type", known.get("type", "string")),
                "value": value.get("value", ""),
                "deleted": value.get("deleted", False),
                "timeStamp": value.get("timeStamp") or row.get("timeStamp"),
            }
        )
    return values


def _note(_world: World, row: Row) -> Found:
    note = row.get("Note")
    if not note:
        return []
    if isinstance(note, str):
        note = {"note": note, "isPublic": False}
    shown = {"noteID": row["noteID"]} if row.get("noteID") else {}
    return [{**shown, **note, "timeStamp": note.get("timeStamp") or row.get("timeStamp")}]


def _tags(_world: World, row: Row) -> Found:
    return list(row.get("Tags") or ())


# ---- the table of relations (A5) ----


def _one(name: str, entity: str, foreign_key: str, *below: Relation) -> Relation:
    return Relation(name, "", one(entity, foreign_key), ENTITIES[entity].view, _tree(below))


def _empty(name: str, item: str = "") -> Relation:
    return Relation(name, item, nothing, loose)


def _tree(relations: tuple[Relation, ...]) -> dict[str, Relation]:
    return {relation.name: relation for relation in relations}


_TAX_CLASS = _one("TaxClass", "TaxClass", "taxClassID")
_DISCOUNT = _one("Discount", "Discount", "discountID")
_TAX_CATEGORY = _one(
    "TaxCategory",
    "TaxCategory",
    "taxCategoryID",
    Relation(
        "TaxCategoryClasses",
        "TaxCategoryClass",
        held("TaxCategoryClasses"),
        schema.TAX_CATEGORY_CLASS,
        _tree((_TAX_CLASS,)),
    ),
)
_PAYMENT_BELOW = (
    _one("PaymentType", "PaymentType", "paymentTypeID"),
    Relation("CCCharge", "", held("CCCharge"), loose),
    Relation("SaleAccounts", "SaleAccount", held("SaleAccounts"), loose),
    _empty("Signatures", "Signature"),
    _empty("ProcessingFees", "ProcessingFee"),
)
_LINE_BELOW = (
    _DISCOUNT,
    _TAX_CLASS,
    _TAX_CATEGORY,
    Relation("Note", "", _note, loose),
    _one("Item", "Item", "itemID"),
    _empty("InventorySales", "InventorySale"),
)
_CONTACT = Relation("Contact", "", _contact, contact_body)
_VALUE = Relation("value", "", nothing, loose)
_CUSTOM_FIELD_VALUES = Relation(
    "CustomFieldValues", "CustomFieldValue", _field_values, loose, _tree((_VALUE,))
)
_NOTE = Relation("Note", "", _note, loose)

RELATIONS: dict[str, dict[str, Relation]] = {
    "Sale": _tree(
        (
            Relation(
                "Customer",
                "",
                _customer_in_sale,
                schema.CUSTOMER_IN_SALE,
                _tree((Relation("Contact", "", _contact_in_sale, contact_body),)),
            ),
            _DISCOUNT,
            _TAX_CATEGORY,
            _empty("Quote"),
            Relation("ShipTo", "", nothing, loose, _tree((_empty("Contact"),))),
            Relation("SaleLines", "SaleLine", held("SaleLines"), schema.SALE_LINE, _tree(_LINE_BELOW)),
            Relation(
                "SalePayments",
                "SalePayment",
                held("SalePayments"),
                schema.SALE_PAYMENT,
                _tree(_PAYMENT_BELOW),
            ),
            Relation("SaleNotes", "", _has_notes, sale_notes),
        )
    ),
    "SaleLine": _tree(_LINE_BELOW),
    "SalePayment": _tree(_PAYMENT_BELOW),
    "Customer": _tree(
        (
            _CONTACT,
            _one("CustomerType", "CustomerType", "customerTypeID"),
            _DISCOUNT,
            Relation("CreditAccount", "", _credit_account, schema.CREDIT_ACCOUNT_IN_CUSTOMER),
            _NOTE,
            _one("TaxCategory", "TaxCategory", "taxCategoryID"),
            Relation("Tags", "tag", _tags, loose, blank_when_empty=True),
            _CUSTOM_FIELD_VALUES,
        )
    ),
    "CustomerType": _tree((_DISCOUNT, _TAX_CATEGORY)),
    "CreditAccount": _tree((_empty("Contact"), _empty("WithdrawalPayments", "SalePayment"))),
    "Item": _tree(
        (
            _one("Category", "Category", "categoryID"),
            _TAX_CLASS,
            Relation("ItemAttributes", "", nothing, loose, _tree((_empty("ItemAttributeSet"),))),
            _one("Manufacturer", "Manufacturer", "manufacturerID"),
            _NOTE,
            _empty("Images", "Image"),
            Relation("ItemShops", "ItemShop", held("ItemShops"), schema.ITEM_SHOP),
            _empty("ItemVendorNums", "ItemVendorNum"),
            _empty("ItemComponents", "ItemComponent"),
            _empty("ItemECommerce"),
            Relation("TagRelations", "TagRelation", nothing, loose, _tree((_empty("Tag"),))),
            _CUSTOM_FIELD_VALUES,
            _empty("ItemPrices", "ItemPrice"),
        )
    ),
    "Shop": _tree(
        (
            _CONTACT,
            _empty("ReceiptSetup"),
            _one("TaxCategory", "TaxCategory", "taxCategoryID"),
            _empty("ShelfLocations", "ShelfLocation"),
            Relation(
                "Registers", "Register", children("Register", "shopID", "shopID"), ENTITIES["Register"].view
            ),
            _empty("CCGateway"),
            _empty("PriceLevel"),
        )
    ),
    "Employee": _tree(
        (
            _empty("Contact"),
            Relation("EmployeeRole", "", nothing, loose, _tree((_empty("EmployeeRights", "EmployeeRight"),))),
            _empty("EmployeeRights", "EmployeeRight"),
        )
    ),
    "TaxCategory": _TAX_CATEGORY.below,
    "Category": _tree((_one("Parent", "Category", "parentID"),)),
    "Workorder": _tree(
        (_one("Customer", "Customer", "customerID"), _one("Employee", "Employee", "employeeID"))
    ),
}

# `Prices` comes with every item, asked for or not (A8.6).
PRICES = Relation("Prices", "ItemPrice", held("Prices"), loose)


def ask(entity: str, wish: str) -> Tree:
    """Read a `load_relations` parameter. Raises Refused for anything the resource does not have."""
    known = RELATIONS.get(entity, {})
    if not wish:
        return {}
    if wish == "all":
        # `all` never includes custom field values (A5).
        return _all({n: r for n, r in known.items() if n != "CustomFieldValues"})
    try:
        names = json.loads(wish)
    except ValueError as error:
        raise Refused(400, "load_relations must be a JSON array or all.") from error
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(400, "load_relations must be a JSON array of names.")
    wanted: dict[str, Any] = {}
    for name in names:
        place, level = wanted, known
        for part in name.split("."):
            if part not in level:
                raise Refused(400, f"{name} is not a relation of {entity}.")
            place, level = place.setdefault(part, {}), level[part].below
    return _branches(known, wanted)


def _branches(known: dict[str, Relation], wanted: dict[str, Any]) -> Tree:
    return {
        name: Branch(relation, _branches(relation.below, wanted[name]))
        for name, relation in known.items()
        if name in wanted
    }


def _all(known: dict[str, Relation]) -> Tree:
    return {name: Branch(relation, _all(relation.below)) for name, relation in known.items()}

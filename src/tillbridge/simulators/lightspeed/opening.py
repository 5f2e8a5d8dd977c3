"""Open an account: with a retailer's history, or empty with one shop and one register."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tillbridge.simulators import retailer
from tillbridge.simulators.lightspeed.schema import Row
from tillbridge.simulators.lightspeed.tables import World

_PAYMENT_TYPES = (
    # The reserved types of a new account: id, name, type, requires a customer (A8.4).
    (1, "Cash", "cash", False),
    (2, "Check", "user defined", False),
    (3, "Credit Card", "credit card", False),
    (4, "Credit Account", "credit account", True),
    (5, "Gift Card", "gift card", False),
)


def stock_up(world: World, plan: retailer.Plan | None) -> None:
    """Fill an account's tables. The generator's lists keep only what a shopkeeper needs."""
    if plan is None:
        world.load(_bare(world.now()))
        return
    world.load(retailer.build(plan).till)


def _bare(opened: datetime) -> dict[str, list[Row]]:
    return {
        "Shop": [
            {
                "shopID": 1,
                "name": "Albany",
                "timeZone": "US/Eastern",
                "timeStamp": opened,
                "contactID": 2,
                "taxCategoryID": 1,
                "labelTitle": "Shop Name",
            }
        ],
        "Register": [{"registerID": 1, "name": "Front", "open": True, "openTime": opened, "shopID": 1}],
        "Employee": [
            {
                "employeeID": 1,
                "firstName": "Ilse",
                "lastName": "Barrow",
                "timeStamp": opened,
                "contactID": 5,
                "employeeRoleID": 1,
                "lastShopID": 1,
            }
        ],
        "TaxCategory": [
            {"taxCategoryID": 1, "tax1Name": "Sales Tax", "tax1Rate": Decimal("0.08"), "timeStamp": opened}
        ],
        "TaxClass": [
            {"taxClassID": 1, "name": "Item", "timeStamp": opened},
            {"taxClassID": 2, "name": "Labor", "timeStamp": opened},
        ],
        "PaymentType": [
            {
                "paymentTypeID": type_id,
                "name": name,
                "requireCustomer": requires,
                "internalReserved": True,
                "type": kind,
            }
            for type_id, name, kind, requires in _PAYMENT_TYPES
        ],
    }

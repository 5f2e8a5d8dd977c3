"""The chain's shops, tills, staff, taxes, discounts and payment types.

Shops stand in several zones, west and east of Greenwich, since a business day is the shop's own day. One
account has one currency, so a shop abroad sells in it too; the European shops are tax-inclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from tillbridge.simulators.retailer import names, ringup
from tillbridge.simulators.retailer.plan import Plan, Row, Tables

ZERO = ringup.ZERO
SALES_TAX_CLASS, LABOR_TAX_CLASS = 1, 2
ECOM_REGISTER_NAME = "eCom"  # A register of exactly this name cannot load gift cards (fact sheet A10).
ROLE_OWNER, ROLE_SELLER = 1, 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shop stands, and its taxes. `zone` is spelt as the vendor spells it: legacy names occur."""

    name: str
    zone: str
    tax1: tuple[str, str]
    tax2: tuple[str, str] = ("", "0")
    tax_inclusive: bool = False


PLACES = (
    Place("Fifth Avenue", "US/Eastern", ("NY State", "0.04"), ("NYC", "0.04875")),
    Place("Amsterdam", "Europe/Amsterdam", ("BTW", "0.21"), tax_inclusive=True),
    Place("Tokyo Aoyama", "Asia/Tokyo", ("Consumption tax", "0.1")),
    Place("Pasadena", "America/Los_Angeles", ("Sales Tax", "0.1025")),
    Place("Sydney Strand", "Australia/Sydney", ("GST", "0.1"), tax_inclusive=True),
    Place("Albany", "US/Eastern", ("Sales Tax", "0.08")),
    Place("Antwerp", "Europe/Brussels", ("BTW", "0.21"), tax_inclusive=True),
)

DISCOUNTS = (
    # id, name, amount, percent, requires a customer, source (0 price rule, 1 loyalty, 2 discount rule)
    (1, "Friends & family 15%", "0", "0.15", False, 2),
    (2, "Employee 40%", "0", "0.4", False, 2),
    (3, "Club member 10%", "0", "0.1", True, 1),
    (4, "25 off", "25", "0", False, 2),
    (5, "Bridal set 5%", "0", "0.05", False, 0),
    (6, "Gift of the house", "0", "1", True, 2),
    (7, "Spring 2019 (ended)", "0", "0.2", False, 2),
)
PAYMENT_TYPES = (
    (ringup.CASH, "Cash", "cash", True, False, 0),
    (ringup.CHECK, "Check", "user defined", False, False, ringup.CASH),
    (ringup.CARD, "Credit Card", "credit card", True, False, 0),
    (ringup.CREDIT_ACCOUNT, "Credit Account", "credit account", True, True, 0),
    (ringup.GIFT_CARD, "Gift Card", "gift card", True, False, 0),
    (ringup.ECOM, "eCom", "ecom", True, False, 0),
    (7, "Bank transfer", "user defined", False, True, 0),
    (8, "Old voucher", "user defined", False, False, 0),
)
CUSTOMER_TYPES = ((1, "Retail", 0), (2, "Club member", 3), (3, "Trade", 1), (4, "Staff", 2))
CUSTOM_FIELDS = (
    (1, "string", "Ring size", "", 0),
    (2, "date", "Anniversary", "", 0),
    (3, "boolean", "Pierced ears", "", 0),
    (4, "text", "Wish list", "", 0),
    (5, "single_choice", "Preferred metal", "", 0),
    (6, "float", "Wrist", "cm", 1),
    (7, "integer", "Visits before 2020", "", 0),
)


def open_shops(plan: Plan, rng: Random) -> Tables:
    """Make everything that is there before the first customer comes in."""
    opened = plan.end.replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(
        days=round(365 * plan.years) + 400
    )
    shops: list[Row] = []
    registers: list[Row] = []
    taxes: list[Row] = []
    for number in range(plan.shops):
        shop_id, place = number + 1, PLACES[number % len(PLACES)]
        shops.append(_shop(shop_id, place, opened, branch=number // len(PLACES)))
        taxes.append(_tax_category(shop_id, place, opened))
        registers += _registers(shop_id, len(registers), plan.end)
    return {
        "Shop": shops,
        "Register": registers,
        "Employee": _employees(plan, rng, opened),
        "TaxCategory": taxes,
        "TaxClass": [
            {"taxClassID": SALES_TAX_CLASS, "name": "Item", "timeStamp": opened},
            {"taxClassID": LABOR_TAX_CLASS, "name": "Labor", "timeStamp": opened},
        ],
        "CustomerType": [
            {"customerTypeID": type_id, "name": name, "taxCategoryID": 0, "discountID": discount}
            for type_id, name, discount in CUSTOMER_TYPES
        ],
        "CustomField": [
            {
                "customFieldID": field_id,
                "type": kind,
                "name": name,
                "uom": uom,
                "decimalPrecision": precision,
                "archived": name.startswith("Visits"),
                "default": "",
                "timeStamp": opened,
            }
            for field_id, kind, name, uom, precision in CUSTOM_FIELDS
        ],
        "PaymentType": [
            {
                "paymentTypeID": type_id,
                "name": name,
                "requireCustomer": needs_customer,
                "archived": name.startswith("Old"),
                "internalReserved": reserved,
                "type": kind,
                "refundAsPaymentTypeID": refund_as,
            }
            for type_id, name, kind, reserved, needs_customer, refund_as in PAYMENT_TYPES
        ],
        "Discount": [
            {
                "discountID": discount_id,
                "name": name,
                "discountAmount": Decimal(amount),
                "discountPercent": Decimal(percent),
                "requireCustomer": needs_customer,
                "archived": "ended" in name,
                "sourceID": source,
                "createTime": opened,
                "timeStamp": opened,
            }
            for discount_id, name, amount, percent, needs_customer, source in DISCOUNTS
        ],
    }


def _shop(shop_id: int, place: Place, opened: datetime, *, branch: int) -> Row:
    return {
        "shopID": shop_id,
        "name": place.name if not branch else f"{place.name} {branch + 1}",
        "serviceRate": Decimal(60),
        "timeZone": place.zone,
        "taxLabor": False,
        "labelTitle": "Shop Name",
        "labelMsrp": False,
        "archived": False,
        "timeStamp": opened,
        "companyRegistrationNumber": "",
        "vatNumber": "",
        "zebraBrowserPrint": False,
        "contactID": 1 + shop_id,
        "taxCategoryID": shop_id,
        "receiptSetupID": 1,
        "ccGatewayID": 1,
        "gatewayConfigID": 1,
        "priceLevelID": 1,
    }


def _tax_category(shop_id: int, place: Place, opened: datetime) -> Row:
    return {
        "taxCategoryID": shop_id,
        "isTaxInclusive": place.tax_inclusive,
        "tax1Name": place.tax1[0],
        "tax2Name": place.tax2[0],
        "tax1Rate": Decimal(place.tax1[1]),
        "tax2Rate": Decimal(place.tax2[1]),
        "timeStamp": opened,
        "TaxCategoryClasses": [
            {
                "taxCategoryClassID": shop_id,
                "tax1Rate": ZERO,
                "tax2Rate": ZERO,
                "timeStamp": opened,
                "taxCategoryID": shop_id,
                "taxClassID": LABOR_TAX_CLASS,
            }
        ],
    }


def _registers(shop_id: int, used: int, end: datetime) -> list[Row]:
    labels = ["Front", "Back office", ECOM_REGISTER_NAME] if shop_id == 1 else ["Front", "Vault room"]
    return [
        {
            "registerID": used + number,
            "name": label,
            "open": number == 1,
            "openTime": end - timedelta(hours=6),
            "archived": False,
            "tipEnabled": number == 1,
            "openEmployeeID": 0,
            "shopID": shop_id,
            "ccTerminalID": 0,
        }
        for number, label in enumerate(labels, 1)
    ]


def _employees(plan: Plan, rng: Random, opened: datetime) -> list[Row]:
    """Hire an owner who roams, and four sellers a shop, one of whom has left."""
    staff = [_employee(1, "Ilse", "Barrow", opened, shop_id=0)]
    for shop_id in range(1, plan.shops + 1):
        country = names.TOWNS[PLACES[(shop_id - 1) % len(PLACES)].zone][0].country_code
        for number in range(4):
            first = names.first_name(rng, country, female=rng.random() < 0.6)
            row = _employee(len(staff) + 1, first, names.last_name(rng, country), opened, shop_id=shop_id)
            if number == 3:
                row["archived"] = row["lockOut"] = True
            staff.append(row)
    return staff


def _employee(employee_id: int, first: str, last: str, opened: datetime, *, shop_id: int) -> Row:
    return {
        "employeeID": employee_id,
        "firstName": first,
        "lastName": last,
        "lockOut": False,
        "archived": False,
        "timeStamp": opened,
        "contactID": 1000 + employee_id,
        "clockInEmployeeHoursID": 0,
        "employeeRoleID": ROLE_SELLER if shop_id else ROLE_OWNER,
        "limitToShopID": shop_id,
        "lastShopID": shop_id,
        "lastSaleID": 0,
        "lastRegisterID": 0,
    }

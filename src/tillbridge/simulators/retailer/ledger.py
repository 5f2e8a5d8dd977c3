"""What a shopkeeper knows by heart, read once from the till's tables: desks, regulars, credit, what was sold.

A row may lack a field that has its default. The rows themselves stay the till's: they are looked at again
when used, so that a customer archived or a sale voided meanwhile is seen. Balances and returned pieces are
counted here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random

from tillbridge.simulators.retailer.plan import Row
from tillbridge.simulators.retailer.ringup import ZERO
from tillbridge.simulators.retailer.shops import ECOM_REGISTER_NAME, LABOR_TAX_CLASS

RECENT_SALES_MAX = 400  # how far back a shop's refunds reach
CUSTOMER_TRIES_MAX = 6

TillTables = Mapping[str, Iterable[Row]]


@dataclass(slots=True)
class Shop:
    """One shop at work: its taxes, tills, staff, regulars, latest sales, and what lies aside."""

    shop_id: int
    tax_category_id: int
    tax_inclusive: bool
    tax1: Decimal
    tax2: Decimal
    labor_tax: tuple[Decimal, Decimal]
    registers: list[int] = field(default_factory=list)
    ecom_register: int = 0
    sellers: list[int] = field(default_factory=list)
    customers: list[Row] = field(default_factory=list)
    since: list[datetime] = field(default_factory=list)  # each customer's createTime, ascending
    recent: deque[Row] = field(default_factory=lambda: deque(maxlen=RECENT_SALES_MAX))
    aside: list[Row] = field(default_factory=list)  # layaway and special-order lines that are on no sale

    def regular(self, rng: Random, at: datetime) -> int:
        """Draw a customer who was known by then and not archived yet; 0 if none was found."""
        known = bisect_right(self.since, at)
        for _ in range(CUSTOMER_TRIES_MAX if known else 0):
            row = self.customers[int(known * rng.random() ** 1.6)]  # Early customers come more often.
            if not row.get("archived") or at < row["timeStamp"]:
                customer_id: int = row["customerID"]
                return customer_id
        return 0

    def laid_aside(self) -> list[Row]:
        """Return the lines still waiting: a client may have put one on a sale meanwhile."""
        self.aside = [line for line in self.aside if not line["saleID"]]
        return self.aside


class Ledger:
    """Everything but the slips being written."""

    def __init__(self, tables: TillTables, home_shop: Mapping[int, int] | None) -> None:
        self.shops = _read_shops(tables)
        self.shop_ids = list(self.shops)
        self.items = {row["itemID"]: row for row in tables["Item"]}
        self.shelf = [row for row in self.items.values() if not row.get("archived")]
        self.discounts = {row["discountID"]: row for row in tables["Discount"]}
        self.balances: dict[int, Decimal] = {}  # creditAccountID -> balance; negative: the store owes
        self.cards: list[int] = []
        self.accounts: dict[int, int] = {}  # customerID -> creditAccountID
        self.returned: dict[int, Decimal] = {}  # saleLineID -> pieces given back
        self._read_credit(tables)
        self._read_sales(tables)
        self._place_customers(tables, home_shop)

    def returnable(self, sale: Row) -> list[Row]:
        """Return the lines of a sale that are not given back entirely."""
        return [line for line in sale["SaleLines"] if line["itemID"] and self.pieces_left(line) > 0]

    def pieces_left(self, line: Row) -> Decimal:
        """Count the pieces of a line that may still come back; none of a line that is itself a return."""
        quantity: Decimal = line["unitQuantity"]
        return quantity - self.returned.get(line["saleLineID"], ZERO)

    def filled_cards(self) -> list[int]:
        """Return the gift cards with something on them."""
        return [card for card in self.cards if self.balances[card] < 0]

    def customers_with_credit(self) -> list[int]:
        """Return the customers whom the store owes something."""
        return [customer for customer, account in self.accounts.items() if self.balances[account] < 0]

    def _read_credit(self, tables: TillTables) -> None:
        for row in tables.get("CreditAccount", ()):
            self.balances[row["creditAccountID"]] = row.get("balance", ZERO)
            if row.get("archived"):
                continue
            if row.get("giftCard"):
                self.cards.append(row["creditAccountID"])
            elif row.get("customerID"):
                self.accounts[row["customerID"]] = row["creditAccountID"]

    def _read_sales(self, tables: TillTables) -> None:
        for sale in tables.get("Sale", ()):
            if not sale.get("completed"):
                continue
            for line in sale["SaleLines"]:
                if parent := line["parentSaleLineID"]:
                    self.returned[parent] = self.returned.get(parent, ZERO) - line["unitQuantity"]
            if sale["shopID"] in self.shops:
                self.shops[sale["shopID"]].recent.append(sale)
        for line in tables.get("SaleLine", ()):
            if not line["saleID"] and line["customerID"] and line["shopID"] in self.shops:
                self.shops[line["shopID"]].aside.append(line)

    def _place_customers(self, tables: TillTables, home_shop: Mapping[int, int] | None) -> None:
        """Give each customer a home: where they are said to shop, else where they bought last, else any."""
        if home_shop is None:
            home_shop = {sale["customerID"]: sale["shopID"] for sale in tables.get("Sale", ())}
        for row in sorted(tables.get("Customer", ()), key=lambda row: row["createTime"]):
            anywhere = self.shop_ids[row["customerID"] % len(self.shop_ids)]
            shop = self.shops.get(home_shop.get(row["customerID"], anywhere)) or self.shops[anywhere]
            shop.customers.append(row)
            shop.since.append(row["createTime"])


def _read_shops(tables: TillTables) -> dict[int, Shop]:
    taxes = {row["taxCategoryID"]: row for row in tables["TaxCategory"]}
    shops: dict[int, Shop] = {}
    for row in tables["Shop"]:
        if not row.get("archived"):
            tax = taxes[row["taxCategoryID"]]
            shops[row["shopID"]] = Shop(
                row["shopID"],
                row["taxCategoryID"],
                tax.get("isTaxInclusive", False),
                tax.get("tax1Rate", ZERO),
                tax.get("tax2Rate", ZERO),
                _labor_tax(tax),
            )
    for row in tables["Register"]:
        if row["shopID"] in shops and not row.get("archived"):
            if row["name"] == ECOM_REGISTER_NAME:
                shops[row["shopID"]].ecom_register = row["registerID"]
            else:
                shops[row["shopID"]].registers.append(row["registerID"])
    for row in tables["Employee"]:
        for shop in shops.values():
            if not row.get("archived") and row.get("limitToShopID", 0) in {0, shop.shop_id}:
                shop.sellers.append(row["employeeID"])
    return shops


def _labor_tax(tax: Row) -> tuple[Decimal, Decimal]:
    """Labour may be taxed otherwise than goods."""
    for its in tax.get("TaxCategoryClasses", ()):
        if its["taxClassID"] == LABOR_TAX_CLASS:
            return its["tax1Rate"], its["tax2Rate"]
    return tax.get("tax1Rate", ZERO), tax.get("tax2Rate", ZERO)

"""Build the whole retailer from its plan: people and goods first, then the CRM, then the years of trading.

Each part draws from a seed of its own, so that leaving out the sales changes nobody's name.
"""

from __future__ import annotations

from random import Random

from tillbridge.simulators.retailer import crm, history, people
from tillbridge.simulators.retailer.plan import Plan, Retailer, Tables, Truth
from tillbridge.simulators.retailer.products import stock_shelves
from tillbridge.simulators.retailer.shops import open_shops

TRADED_TABLES = ("CreditAccount", "Sale", "SaleLine", "SaleVoid")


def build(plan: Plan, *, with_sales: bool = True) -> Retailer:
    """Make the retailer.

    Without sales everything but `TRADED_TABLES` is the same, save what trading leaves on employees and
    customers: a last sale, a credit account, a later stamp.
    """
    seed = str(plan.seed)
    till: Tables = {name: [] for name in TRADED_TABLES}
    till.update(open_shops(plan, Random(f"{seed}/shops")))
    zones = {row["shopID"]: row["timeZone"] for row in till["Shop"]}
    till.update(stock_shelves(plan, Random(f"{seed}/products"), list(zones)))
    town, entries = people.settle(Random(f"{seed}/people"), plan, zones)
    rows, merged = people.customer_rows(Random(f"{seed}/customers"), plan, zones, entries)
    till["Customer"] = rows
    person_of_customer = {row["customerID"]: e.person.number for row, e in zip(rows, entries, strict=True)}
    office = crm.furnish(Random(f"{seed}/crm"), plan, town, entries, till)
    if with_sales:
        home = {row["customerID"]: e.person.shop_id for row, e in zip(rows, entries, strict=True)}
        history.trade(plan, seed, till, home)
        if plan.merge_moves_sales:
            _follow_merges(till, merged)
    truth = Truth(
        person_of_customer=person_of_customer,
        person_of_crm=office.person_of,
        look_alikes=frozenset(office.look_alikes),
        spelling_of_crm=office.spelling_of,
        merged_into=merged,
        without_evidence=frozenset(office.without_evidence),
        product_of_crm=office.product_of,
        ambiguous_products=frozenset(office.ambiguous_products),
    )
    return Retailer(plan, till, office.rows, truth)


def _follow_merges(till: Tables, merged: dict[int, int]) -> None:
    """Rewrite the customerID of old sales, as the joined history suggests: inferred (fact sheet A12)."""
    named = [*till["Sale"], *till["SaleLine"]]
    named += [line for sale in till["Sale"] for line in sale["SaleLines"] if line["customerID"]]
    for row in named:
        row["customerID"] = merged.get(row["customerID"], row["customerID"])

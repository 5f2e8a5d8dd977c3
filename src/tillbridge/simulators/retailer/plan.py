"""What a retailer is made from, and what is handed out: the plan, the two sides, and the truth about both.

Till rows are dicts with the vendor's field names and Python values (whole ids, `Decimal` money, aware UTC
datetimes or None); the server stringifies them and collapses the lists. CRM rows carry JSON-ready values.
The truth is for measuring only: no simulator may serve it to a client under test.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Row = dict[str, Any]
Tables = dict[str, list[Row]]
CrmModel = Literal["person_account", "contact", "lead"]

PRODUCTS_MIN, PRODUCTS_MAX, SALES_PER_PRODUCT = 120, 3000, 20


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a world, from which seed, and what its CRM looks like. Equal plans give equal worlds."""

    seed: int = 1
    shops: int = 3
    customers: int = 2000  # till records, duplicates and archived ones included
    sales: int = 5000
    end: datetime = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # "now" of the world
    years: float = 2.0
    crm_model: CrmModel = "person_account"
    crm_share: float = 0.35  # of the till's people who are in the CRM already
    account_id: int = 190001
    products: int = 0  # 0: as many as `sales` suggest
    # Share of the CRM's known people who have nothing but a name in common with the till, so that nobody
    # could tell. Zero keeps "nobody is created twice" a fair demand; `Truth.without_evidence` names them.
    crm_without_evidence: float = 0.0
    # Whether old sales were rewritten to the surviving customer of a merge: unconfirmed (fact sheet A12).
    merge_moves_sales: bool = True

    def __post_init__(self) -> None:
        if self.shops < 1 or self.customers < 0 or self.sales < 0 or self.years <= 0:
            raise ValueError("a plan needs a shop, a stretch of time, and no negative counts")
        if self.end.tzinfo is None:
            raise ValueError("the end of a plan is an aware UTC datetime")

    @property
    def product_count(self) -> int:
        """How many items the till knows."""
        return self.products or max(PRODUCTS_MIN, min(PRODUCTS_MAX, self.sales // SALES_PER_PRODUCT))


@dataclass(frozen=True, slots=True)
class CrmRow:
    """One record the org holds before we come.

    A lookup to another row is `{"ref": "..."}`, a record type `{"record_type": "PersonAccount"}`, the
    standard price book `{"pricebook": "standard"}`. Rows stand after the rows they refer to.
    """

    ref: str
    type: str  # Account, Contact, Lead, Product2, PricebookEntry
    fields: Row


@dataclass(frozen=True, slots=True)
class Truth:
    """Who is who. A person is a number; two records with one number are one human being (or one company)."""

    person_of_customer: dict[int, int]
    person_of_crm: dict[str, int]  # look-alikes included, with the number of the other person they are
    look_alikes: frozenset[str]  # CRM people who are nobody in the till, but look like somebody there
    spelling_of_crm: dict[str, str]  # how the CRM spells a known person: same, nickname, typo, married, ...
    merged_into: dict[int, int]  # archived customer -> the customer it was merged into
    without_evidence: frozenset[str]  # CRM people nobody could recognise (see Plan.crm_without_evidence)
    product_of_crm: dict[str, int]  # Product2 ref -> itemID
    ambiguous_products: frozenset[str]  # Product2 refs whose SKU stands on two products


@dataclass(frozen=True, slots=True)
class Retailer:
    """A jewellers' chain: what its till holds, what its CRM held before, and the truth about both."""

    plan: Plan
    till: Tables
    crm: list[CrmRow]
    truth: Truth

"""Whether both systems agree: totals per store, business day and currency, and what explains a difference.

Both sides are brought into one shape and compared; nothing here knows where
they came from. The till's side must be re-read, never taken from our memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from tillbridge.model.money import ZERO
from tillbridge.model.sale import SaleFacts


class Cell(msgspec.Struct, frozen=True, order=True):
    """What a certificate speaks of: one store, one business day, one currency."""

    store_code: str
    business_date: date
    currency: str


class Totals(msgspec.Struct, frozen=True):
    """What was sold in a cell. Voided sales count and carry nothing; `refunds` are the totals of refunds."""

    sales: int = 0
    voided: int = 0
    total: Decimal = ZERO
    tax: Decimal = ZERO
    discount: Decimal = ZERO
    net_sales: Decimal = ZERO
    refunds: Decimal = ZERO
    payments: Mapping[str, Decimal] = {}  # tender -> amount

    def __add__(self, other: Totals) -> Totals:
        payments = dict(self.payments)
        for tender, amount in other.payments.items():
            payments[tender] = payments.get(tender, ZERO) + amount
        return Totals(
            self.sales + other.sales,
            self.voided + other.voided,
            self.total + other.total,
            self.tax + other.tax,
            self.discount + other.discount,
            self.net_sales + other.net_sales,
            self.refunds + other.refunds,
            payments,
        )


class Difference(msgspec.Struct, frozen=True):
    """One figure of one cell that differs. `measure` is a field of Totals, or "payments: Cash"."""

    cell: Cell
    measure: str
    till: Decimal | int
    crm: Decimal | int


class Receipt(msgspec.Struct, frozen=True):
    """One sale as either side shows it, in the figures that a certificate adds up."""

    key: str
    cell: Cell
    totals: Totals


class ReceiptDifference(msgspec.Struct, frozen=True):
    """One receipt that explains a difference. `measures` are those that differ."""

    key: str
    cell: Cell
    what: Literal["missing in CRM", "extra in CRM", "amounts differ", "another day or store"]
    measures: tuple[str, ...] = ()


MEASURES = ("sales", "voided", "total", "tax", "discount", "net_sales", "refunds")
NOTHING = Totals()


def receipt_of(facts: SaleFacts, key: str) -> Receipt:
    """Bring a sale of the till into shape."""
    voided = facts.status == "Voided"
    payments: dict[str, Decimal] = {}
    for payment in facts.payments:
        payments[payment.tender] = payments.get(payment.tender, ZERO) + payment.amount
    return Receipt(
        key,
        Cell(facts.store_code, facts.business_date, facts.currency),
        Totals(
            sales=1,
            voided=int(voided),
            total=facts.total,
            tax=facts.tax,
            discount=facts.discount,
            net_sales=facts.net_sales,
            refunds=facts.total if facts.type == "Refund" else ZERO,
            payments=payments,
        ),
    )


def add_up(receipts: Iterable[tuple[Cell, Totals]]) -> dict[Cell, Totals]:
    """Add figures up by cell."""
    cells: dict[Cell, Totals] = {}
    for cell, totals in receipts:
        cells[cell] = cells[cell] + totals if cell in cells else totals
    return cells


def compare(till: Mapping[Cell, Totals], crm: Mapping[Cell, Totals]) -> list[Difference]:
    """Return every figure that differs, in the order of stores and days. None: both systems agree."""
    differences: list[Difference] = []
    for cell in sorted(till.keys() | crm.keys()):
        ours, theirs = till.get(cell, NOTHING), crm.get(cell, NOTHING)
        differences += [
            Difference(cell, measure, mine, yours) for measure, mine, yours in _unequal(ours, theirs)
        ]
    return differences


def explain(till: Iterable[Receipt], crm: Iterable[Receipt]) -> list[ReceiptDifference]:
    """Return the receipts behind differences: missing, extra, or with other amounts."""
    ours = {receipt.key: receipt for receipt in till}
    theirs = {receipt.key: receipt for receipt in crm}
    found: list[ReceiptDifference] = []
    for key in sorted(ours.keys() | theirs.keys()):
        mine, yours = ours.get(key), theirs.get(key)
        if yours is None and mine is not None:
            found.append(ReceiptDifference(key, mine.cell, "missing in CRM"))
        elif mine is None and yours is not None:
            found.append(ReceiptDifference(key, yours.cell, "extra in CRM"))
        elif mine is not None and yours is not None:
            measures = tuple(measure for measure, _, _ in _unequal(mine.totals, yours.totals))
            if measures:
                found.append(ReceiptDifference(key, mine.cell, "amounts differ", measures))
            elif mine.cell != yours.cell:
                found.append(ReceiptDifference(key, mine.cell, "another day or store"))
    return found


def _unequal(ours: Totals, theirs: Totals) -> list[tuple[str, Decimal | int, Decimal | int]]:
    found: list[tuple[str, Decimal | int, Decimal | int]] = [
        (measure, getattr(ours, measure), getattr(theirs, measure))
        for measure in MEASURES
        if getattr(ours, measure) != getattr(theirs, measure)
    ]
    for tender in sorted(ours.payments.keys() | theirs.payments.keys()):
        mine, yours = ours.payments.get(tender, ZERO), theirs.payments.get(tender, ZERO)
        if mine != yours:
            found.append((f"payments: {tender}", mine, yours))
    return found

"""Whether both systems agree: totals per store, day and currency, content, and why a receipt differs.

Both sides are brought into one shape and compared; nothing here knows where
they came from. The till's side must be re-read, never taken from our memory.

What a reader would get wrong: a reason is no guess at what somebody did. It is
told by three questions: does the till still say what it said when we sent it,
would we still send what we sent, and does the CRM still hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from hashlib import blake2b
from typing import Literal

import msgspec

from tillbridge.model.money import ZERO
from tillbridge.model.sale import SaleFacts
from tillbridge.model.writing import FieldFacts, Value


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


What = Literal["missing in CRM", "extra in CRM", "amounts differ", "another day or store", "content differs"]
Reason = Literal[
    "late",
    "void",
    "mapping",
    "refused",
    "rounding",
    "time zone",
    "deleted in Salesforce",
    "edited in Salesforce",
    "edited",
    "lookup",
    "left out",
    "extra",
]


class ReceiptDifference(msgspec.Struct, frozen=True):
    """One receipt that explains a difference. `measures` are those that differ.

    `fields` are those of its rows, by name only: a certificate names nobody.
    """

    key: str
    cell: Cell
    what: What
    measures: tuple[str, ...] = ()
    reason: Reason | None = None
    note: str = ""
    fields: tuple[str, ...] = ()
    missed: bool = False  # the till's feed had passed it by


MEASURES = ("sales", "voided", "total", "tax", "discount", "net_sales", "refunds")
NOTHING = Totals()


def receipt_of(
    facts: SaleFacts,
    key: str,
    *,
    store_code: str | None = None,
    payments: Iterable[tuple[str, Decimal]] | None = None,
) -> Receipt:
    """Bring a sale of the till into shape.

    `store_code` and `payments`, by tender, are what the CRM is told they are called; None: the till's names.
    """
    voided = facts.status == "Voided"
    paid: dict[str, Decimal] = {}
    named = payments if payments is not None else ((p.tender, p.amount) for p in facts.payments)
    for tender, amount in named:
        paid[tender] = paid.get(tender, ZERO) + amount
    return Receipt(
        key,
        Cell(facts.store_code if store_code is None else store_code, facts.business_date, facts.currency),
        Totals(
            sales=1,
            voided=int(voided),
            total=facts.total,
            tax=facts.tax,
            discount=facts.discount,
            net_sales=facts.net_sales,
            refunds=facts.total if facts.type == "Refund" else ZERO,
            payments=paid,
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


def alike(mine: Receipt, yours: Receipt) -> bool:
    """Say whether both sides show the same figures of one receipt, in the same place."""
    return mine.cell == yours.cell and not _unequal(mine.totals, yours.totals)


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


# --- content -------------------------------------------------------------------------------------

_NUMBERS = frozenset({"double", "currency", "percent", "int", "long"})
_POINTERS = frozenset({"reference", "id"})


def plain(value: Value, field: FieldFacts) -> str:
    """Spell a value of either side in the one way that its field's type has; "" is an empty field.

    Python values come from the map, text from the CRM, which adds zeros, trims
    texts, shows no milliseconds and knows no empty checkbox.
    """
    if field.type == "boolean":
        return "true" if value in {True, "true"} else "false"
    if value is None or value == "":
        return ""
    if field.type in _NUMBERS:
        number = Decimal(str(value))
        if field.precision or field.type == "int":
            number = number.quantize(Decimal(1).scaleb(-field.scale), ROUND_HALF_UP)
        return f"{number.normalize():f}" if number else "0"
    if field.type == "datetime":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if field.type == "date":
        return (value.isoformat() if isinstance(value, date) else str(value))[:10]
    if field.type in _POINTERS:
        return str(value)[:15]  # The last three of eighteen are a checksum.
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\r\n", "\n").strip()


def content_hash(key: str, fields: Mapping[str, str]) -> int:
    """Return a number for one row's content; a receipt's is the sum of its rows', in any order."""
    told = msgspec.json.encode([key, sorted(fields.items())])
    return int.from_bytes(blake2b(told, digest_size=16).digest())


class FieldDifference(msgspec.Struct, frozen=True):
    """One field of one row of a receipt. None: that side has no such row."""

    row: str  # our key of the row
    name: str
    type: str  # of the field
    till: str | None
    crm: str | None


def unlike(
    row: str, till: Mapping[str, str] | None, crm: Mapping[str, str] | None, types: Mapping[str, str]
) -> list[FieldDifference]:
    """Compare one row field by field; a row that one side does not have is one difference."""
    if till is None or crm is None:
        there = "" if till is not None else None, "" if crm is not None else None
        return [] if till is crm is None else [FieldDifference(row, "", "row", *there)]
    return [
        FieldDifference(row, name, types[name], till[name], crm.get(name, ""))
        for name in till
        if till[name] != crm.get(name, "")
    ]


# --- why -----------------------------------------------------------------------------------------

# What each line of a receipt may add to an amount by being rounded by itself.
_CENT = Decimal("0.01")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a receipt that differs. None: nobody knows.

    `sent_same`: what we would send now is what the CRM last confirmed. `changed`:
    the till says something else than when we sent it. `gone`: the CRM confirmed
    it, or a row of it, and holds it no more. `by_hand`: it holds what a person set
    on the problems desk, and nothing else differs.
    """

    in_till: bool
    in_crm: bool
    left_out: str | None = None  # why it does not take part
    problem: str | None = None  # what the CRM refused
    voided_in_till: bool = False
    voided_in_crm: bool = False
    seen_before: bool = False  # we have settled it once
    feed_passed: bool = False  # the feed is further than its change stamp
    sent_same: bool | None = None
    changed: bool | None = None
    gone: bool = False
    map_moved: bool | None = None  # the field map is another one than when we sent it
    by_hand: bool = False
    by_others: bool = False  # somebody else wrote to it last
    lookups: frozenset[str] = frozenset()  # fields that hold what another record decides
    lines: int = 0
    fields: tuple[FieldDifference, ...] = ()


def reason_of(known: Evidence) -> tuple[Reason, str]:
    """Return why a receipt differs, and a sentence for people. The first that fits, surest first."""
    if not known.in_till:
        return "extra", "the till knows no such sale; look at it in Salesforce, nothing is deleted"
    if known.left_out is not None:
        return "left out", f"Salesforce holds it, and {known.left_out}"
    if known.problem is not None:
        return "refused", known.problem
    if not known.in_crm:
        return _missing(known)
    if known.by_hand:
        return "edited", "a person has set it by hand on the problems desk, to have Salesforce accept it"
    if known.voided_in_till and not known.voided_in_crm and known.sent_same is not True:
        return "void", "it was voided in the till, and Salesforce does not know yet"
    if known.gone:
        return "deleted in Salesforce", "rows that Salesforce had confirmed are gone"
    if known.sent_same is not True and known.changed:
        told = "the feed did not tell of it" if known.feed_passed else "the next sync carries it"
        return "late", f"the till changed it after our last look; {told}"
    return _same_in_till(known)


def _missing(known: Evidence) -> tuple[Reason, str]:
    if known.gone:
        return "deleted in Salesforce", "Salesforce had confirmed it, and it is gone"
    if known.seen_before:
        return "late", "it is on its way, or was not ready when we looked last"
    if known.feed_passed:
        return "late", "it was completed before our last look, and the feed did not tell of it"
    return "late", "it was completed after our last look; the next sync carries it"


def _same_in_till(known: Evidence) -> tuple[Reason, str]:
    """Tell why a receipt differs that the till has not changed since we sent it."""
    names = {field.name for field in known.fields}
    if _days_only(known.fields):
        return "time zone", "it stands on a neighbouring business day"
    if _cents_only(known):
        by = " (somebody else wrote to it last)" if known.by_others else ""
        return "rounding", f"amounts differ by no more than a cent a line{by}"
    if known.sent_same is False and names and names <= known.lookups:
        return "lookup", "whom or what it belongs to was decided after it was sent; the next sync carries it"
    if known.sent_same is False and known.changed is None and known.map_moved is False:
        # Nothing is kept to compare with; but the map is the same, so it was the till.
        return "late", "the till changed it after our last look, without moving its stamp"
    if known.sent_same is False or (known.sent_same is None and known.map_moved and not known.by_others):
        return "mapping", "the field map or settings would write it differently than when it was sent"
    by = "somebody" if known.by_others else "a flow, or a program that uses our login,"
    return "edited in Salesforce", f"{by} has changed what we had written"


def _days_only(fields: Iterable[FieldDifference]) -> bool:
    found = list(fields)
    return bool(found) and all(
        field.type == "date"
        and field.till
        and field.crm
        and abs((date.fromisoformat(field.till) - date.fromisoformat(field.crm)).days) == 1
        for field in found
    )


def _cents_only(known: Evidence) -> bool:
    most = _CENT * max(1, known.lines)
    return bool(known.fields) and all(
        field.type in _NUMBERS
        and field.till
        and field.crm
        and abs(Decimal(field.till) - Decimal(field.crm)) <= most
        for field in known.fields
    )

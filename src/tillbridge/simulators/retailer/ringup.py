"""The arithmetic of a sale: every calculated field, from lines, discounts, taxes and payments.

The one place where a total is made (fact sheet A8.2, A8.3, A9), for generated history, for live sales and for
sales that a client writes. `total = calcSubtotal - calcDiscount + calcTax1 + calcTax2` holds to the cent in
every shop. In a tax-inclusive shop `unitPrice` is the shelf price with tax; `calcSubtotal`, `calcDiscount`
and the line's parts are net of tax, and `total` is the sum of what the shelf prices promised. [inferred]
Line amounts stay unrounded; a sale's are rounded half up, so the rounded lines need not add up to the sale.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from tillbridge.simulators.retailer.plan import Row

ZERO, ONE = Decimal(0), Decimal(1)
CENT = Decimal("0.01")
LINE_STEP = Decimal("0.0000001")  # Line amounts were seen with seven decimals (fact sheet A7.6).

# This retailer's reserved payment types. A client must go by `type`, since the ids are per account.
CASH, CHECK, CARD, CREDIT_ACCOUNT, GIFT_CARD, ECOM = 1, 2, 3, 4, 5, 6

# Equal amounts share one object: a large world holds each price thousands of times.
SHARED_AMOUNTS_MAX = 300_000
_shared: dict[Decimal, Decimal] = {}


def cents(amount: Decimal) -> Decimal:
    """Round to the cent, half up."""
    return share(amount.quantize(CENT, ROUND_HALF_UP))


def share(amount: Decimal) -> Decimal:
    """Return the one object that stands for this amount."""
    known = _shared.get(amount)
    if known is None:
        known = amount
        if len(_shared) < SHARED_AMOUNTS_MAX:
            _shared[amount] = amount
    return known


def ring_up(sale: Row) -> Row:
    """Recompute every calculated field of a sale and its lines, in place; doing it twice changes nothing.

    Read: each line's quantity, price, discount, `tax` and rates; the sale's `discountPercent` (a discount on
    the whole transaction) and `isTaxInclusive`; each payment's amount, tip, type and `archived`.
    Left alone: `change`.
    """
    inclusive, percent = sale["isTaxInclusive"], sale["discountPercent"]
    subtotal = discount = tax1 = tax2 = gross = taxable = untaxed = average = fifo = shown = ZERO
    for line in sale["SaleLines"]:
        ring_up_line(line, tax_inclusive=inclusive, sale_discount_percent=percent)
        off = line["calcLineDiscount"] + line["calcTransactionDiscount"]
        net = line["calcSubtotal"] - off
        subtotal += line["calcSubtotal"]
        discount += off
        tax1 += line["calcTax1"]
        tax2 += line["calcTax2"]
        gross += line["calcTotal"]
        shown += line["displayableSubtotal"]
        average += line["unitQuantity"] * line["avgCost"]
        fifo += line["unitQuantity"] * line["fifoCost"]
        if line["tax"]:
            taxable += net
        else:
            untaxed += net
    discount, tax1, tax2 = cents(discount), cents(tax1), cents(tax2)
    if inclusive:
        # The customer pays the shelf prices; the odd cent of rounding falls on the subtotal.
        total = cents(gross)
        subtotal = share(total + discount - tax1 - tax2)
    else:
        subtotal = cents(subtotal)
        total = share(subtotal - discount + tax1 + tax2)
    sale["calcSubtotal"], sale["calcDiscount"] = subtotal, discount
    sale["calcTax1"], sale["calcTax2"], sale["taxTotal"] = tax1, tax2, share(tax1 + tax2)
    sale["calcTaxable"], sale["calcNonTaxable"] = cents(taxable), cents(untaxed)
    sale["calcAvgCost"], sale["calcFIFOCost"] = cents(average), cents(fifo)
    sale["displayableSubtotal"] = cents(shown)
    sale["total"] = sale["calcTotal"] = total
    settle(sale)
    return sale


def ring_up_line(line: Row, *, tax_inclusive: bool, sale_discount_percent: Decimal = ZERO) -> None:
    """Recompute one line, unrounded. Only one of `discountPercent` and `discountAmount` counts.

    `discountAmount` is for the whole line and positive; a returned line gives it back. [inferred]
    """
    gross = line["unitQuantity"] * line["unitPrice"]
    off = _line_discount(line, gross)
    off_sale = (gross - off) * sale_discount_percent if sale_discount_percent else ZERO
    paid = gross - off - off_sale if off or off_sale else gross
    rate1, rate2 = (line["tax1Rate"], line["tax2Rate"]) if line["tax"] else (ZERO, ZERO)
    line["displayableSubtotal"] = share(paid)
    line["displayableUnitPrice"] = line["unitPrice"]
    if tax_inclusive and (rate1 or rate2):
        factor = ONE + rate1 + rate2
        gross, off, off_sale = (
            (amount / factor).quantize(LINE_STEP) if amount else ZERO for amount in (gross, off, off_sale)
        )
        tax2 = (paid * rate2 / factor).quantize(LINE_STEP) if rate2 else ZERO
        tax1, total = paid - (gross - off - off_sale) - tax2, paid
    else:
        tax1 = paid * rate1 if rate1 else ZERO
        tax2 = paid * rate2 if rate2 else ZERO
        total = paid + tax1 + tax2
    line["calcSubtotal"], line["calcTotal"] = share(gross), share(total)
    line["calcLineDiscount"], line["calcTransactionDiscount"] = share(off), share(off_sale)
    line["calcTax1"], line["calcTax2"] = share(tax1), share(tax2)


def settle(sale: Row) -> None:
    """Hold the payments against the total: all that changes when only a payment came.

    Tips are inside `amount` and outside `calcPayments` and the balance. [inferred]

    totalDue leaves out what gift cards and credit accounts moved; displayableTotal adds gift-card loads.
    """
    total: Decimal = sale["total"]
    paid = tips = stored = loaded = ZERO
    for payment in sale["SalePayments"]:
        if payment["archived"]:
            continue
        amount = payment["amount"]
        paid += amount - payment["tipAmount"]
        tips += payment["tipAmount"]
        if payment["paymentTypeID"] in {CREDIT_ACCOUNT, GIFT_CARD}:
            stored += amount
            if payment["paymentTypeID"] == GIFT_CARD and amount < 0:
                loaded -= amount
    sale["calcPayments"], sale["calcTips"] = share(paid), share(tips)
    sale["balance"] = share(total - paid)
    sale["totalDue"] = share(total - stored)
    sale["displayableTotal"] = share(total + loaded)


def void(
    sale: Row, at: datetime, *, void_id: int, employee_id: int, reason: str, moves_updatetime: bool = True
) -> Row:
    """Void a completed sale in place and return its SaleVoid row.

    `completed` goes back to false, balance = total, calcPayments = 0 (fact sheet A9); `timeStamp` stays
    frozen. Payments become archived, which takes them out of the sum. [inferred] Whether `updatetime` moves
    is unknown (A12), hence the switch.
    """
    sale["completed"], sale["voided"] = False, True
    for payment in sale["SalePayments"]:
        payment["archived"] = True
    if moves_updatetime:
        sale["updatetime"] = at
    ring_up(sale)
    return {
        "saleVoidID": void_id,
        "createTime": at,
        "reason": reason,
        "saleID": sale["saleID"],
        "employeeID": employee_id,
        "shopID": sale["shopID"],
    }


def stock_moves(sale: Row) -> list[tuple[int, int, Decimal]]:
    """Return (itemID, shopID, change of quantity on hand) for each stocked line of a completed sale."""
    return [
        (line["itemID"], line["shopID"], -line["unitQuantity"])
        for line in sale["SaleLines"]
        if line["itemID"]
    ]


def _line_discount(line: Row, gross: Decimal) -> Decimal:
    percent: Decimal = line["discountPercent"]
    amount: Decimal = line["discountAmount"]
    if percent:
        return gross * percent
    if amount:
        return amount if gross >= 0 else -amount
    return ZERO

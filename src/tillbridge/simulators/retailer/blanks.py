"""Empty slips: a sale, a line, a payment, with every documented field at its default (fact sheet A8.2-A8.4).

Dicts are copied from one template, so that keys and the usual zeros are shared among a million rows. A line
has fewer than 42 keys on purpose: the next one would double the memory of every line.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tillbridge.simulators.retailer.plan import Row
from tillbridge.simulators.retailer.ringup import ZERO

TICKET_PREFIX, TICKET_DIGITS = "22", 12
_ONE_QUANTITY = Decimal(1)

_SALE: Row = {
    "saleID": 0,
    "timeStamp": None,
    "discountPercent": ZERO,
    "completed": False,
    "archived": False,
    "voided": False,
    "enablePromotions": True,
    "isTaxInclusive": False,
    "createTime": None,
    "updatetime": None,
    "completeTime": None,
    "referenceNumber": "",
    "referenceNumberSource": "",
    "tax1Rate": ZERO,
    "tax2Rate": ZERO,
    "change": ZERO,
    "tipEnabled": False,
    "receiptPreference": "printed",
    "displayableSubtotal": ZERO,
    "ticketNumber": "",
    "calcDiscount": ZERO,
    "calcTotal": ZERO,
    "calcSubtotal": ZERO,
    "calcTaxable": ZERO,
    "calcNonTaxable": ZERO,
    "calcAvgCost": ZERO,
    "calcFIFOCost": ZERO,
    "calcTax1": ZERO,
    "calcTax2": ZERO,
    "calcPayments": ZERO,
    "calcTips": ZERO,
    "calcItemFees": ZERO,
    "total": ZERO,
    "totalDue": ZERO,
    "displayableTotal": ZERO,
    "balance": ZERO,
    "customerID": 0,
    "discountID": 0,
    "employeeID": 0,
    "tipEmployeeID": 0,
    "quoteID": 0,
    "registerID": 0,
    "shipToID": 0,
    "shopID": 0,
    "taxCategoryID": 0,
    "SaleLines": (),
    "SalePayments": (),
    "SaleNotes": {},
    "taxTotal": ZERO,
}

_LINE: Row = {
    "saleLineID": 0,
    "createTime": None,
    "timeStamp": None,
    "unitQuantity": _ONE_QUANTITY,
    "unitPrice": ZERO,
    "normalUnitPrice": ZERO,
    "discountAmount": ZERO,
    "discountPercent": ZERO,
    "avgCost": ZERO,
    "fifoCost": ZERO,
    "tax": True,
    "tax1Rate": ZERO,
    "tax2Rate": ZERO,
    "isLayaway": False,
    "isWorkorder": False,
    "isSpecialOrder": False,
    "displayableSubtotal": ZERO,
    "displayableUnitPrice": ZERO,
    "lineType": "",
    "calcLineDiscount": ZERO,
    "calcTransactionDiscount": ZERO,
    "calcTotal": ZERO,
    "calcSubtotal": ZERO,
    "calcTax1": ZERO,
    "calcTax2": ZERO,
    "taxClassID": 1,
    "customerID": 0,
    "discountID": 0,
    "employeeID": 0,
    "itemID": 0,
    "noteID": 0,
    "parentSaleLineID": 0,
    "shopID": 0,
    "taxCategoryID": 0,
    "saleID": 0,
    "itemFeeID": 0,
    "Note": "",
}

_PAYMENT: Row = {
    "salePaymentID": 0,
    "amount": ZERO,
    "tipAmount": ZERO,
    "createTime": None,
    "archived": False,
    "remoteReference": "",
    "paymentID": "",
    "saleID": 0,
    "paymentTypeID": 1,
    "ccChargeID": 0,
    "refPaymentID": 0,
    "registerID": 0,
    "employeeID": 0,
    "creditAccountID": 0,
}


def blank_sale(sale_id: int, at: datetime) -> Row:
    """Return an open sale, as it appears the moment a cashier opens it."""
    sale = _SALE.copy()
    sale["saleID"], sale["ticketNumber"] = sale_id, ticket_number(sale_id)
    sale["createTime"] = sale["timeStamp"] = sale["updatetime"] = at
    sale["SaleLines"], sale["SalePayments"] = [], []
    return sale


def blank_line(line_id: int, at: datetime) -> Row:
    """Return a miscellaneous line of one piece at no price."""
    line = _LINE.copy()
    line["saleLineID"], line["createTime"], line["timeStamp"] = line_id, at, at
    return line


def blank_payment(payment_id: int, at: datetime) -> Row:
    """Return a cash payment of nothing."""
    payment = _PAYMENT.copy()
    payment["salePaymentID"], payment["createTime"] = payment_id, at
    return payment


def ticket_number(sale_id: int) -> str:
    """Return the number on the printed slip: "22" and the zero-padded saleID."""
    return TICKET_PREFIX + str(sale_id).zfill(TICKET_DIGITS - len(TICKET_PREFIX))

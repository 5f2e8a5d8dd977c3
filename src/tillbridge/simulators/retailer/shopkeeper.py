"""Ring up sales of every kind the till knows: the hands that made the history serve while the shop is open.

A `Shopkeeper` reads the till's tables and never writes them. It returns each new Sale with its children, rung
up; whatever else changed with it (a gift card's balance, a layaway taken home, a void's row) waits in
`take_effects`, to be applied before the sale is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tillbridge.simulators.retailer import ringup
from tillbridge.simulators.retailer.blanks import blank_line, blank_payment, blank_sale
from tillbridge.simulators.retailer.ledger import Ledger, Shop, TillTables
from tillbridge.simulators.retailer.plan import Row
from tillbridge.simulators.retailer.ringup import CENT, ONE, ZERO
from tillbridge.simulators.retailer.shops import LABOR_TAX_CLASS

WALK_IN_SHARE, OTHER_SHOP_SHARE, OTHER_SELLER_SHARE = 0.25, 0.05, 0.12
DEFAULT_USE_TYPE = 1  # of a price; MSRP and the like follow
LINE_DISCOUNTS = (1, 2, 3, 4, 5)
_SECONDS = tuple(timedelta(seconds=n) for n in range(1200))
_QUANTITIES = tuple(Decimal(n) for n in range(10))
_NOTES_INTERNAL = (
    "fit booked",
    "call when engraved",
    "gift, no price on slip",
    'said "no bag"',
    "<i>VIP</i> & friend",
)
_NOTES_PRINTED = ("Thank you", "Happy birthday!", "See you at the fitting", "Gefeliciteerd 🎉")
_MISC_NOTES = (
    "Regrip",
    "Clasp repair",
    "Old gold bought in",
    "Battery & reseal",
    'Custom engraving: "à toi"',
)
_VOID_REASONS = ("rang on wrong customer", "wrong item", "card terminal failed", "test", "")

KINDS = (
    "sale",
    "discount",  # on a line
    "discount_all",  # on the whole transaction
    "free",  # a gift of the house: total 0
    "refund",  # all lines of an earlier sale
    "partial_refund",
    "blind_refund",  # nobody knows which sale
    "exchange",
    "gift_card",  # sold
    "gift_redeem",
    "deposit",  # onto the customer's store credit
    "credit_use",
    "layaway",  # a deposit, and a line that is on no sale yet
    "layaway_pickup",
    "special_order",
    "misc",  # a line without an item, with a note
    "tax_free",
    "tip",
    "two_tenders",
    "paid_again",  # the first payment was taken back before completion: archived, not in any sum
    "change",  # cash handed over is more than the total
    "ecom",
    "backdated",
    "void",
    "open",  # items on the counter, nobody has paid
    "open_empty",
    "open_paid",  # paid for, but not completed: the documentation says it cannot be
    "cancelled",
)
_NEED_CUSTOMER = frozenset({"deposit", "layaway", "special_order"})


@dataclass(frozen=True, slots=True)
class Effect:
    """A row beside the sale that is new, changed, or gone (`fields` None: the line moved into the sale)."""

    table: str
    row_id: int
    fields: Row | None


@dataclass(slots=True)
class _Wish:
    kind: str
    shop: Shop
    employee_id: int
    register_id: int
    customer_id: int
    at: datetime
    lines: list[tuple[int, int, Decimal | None]] | None
    original: Row | None
    amount: Decimal | None
    complete_at: datetime | None
    voided_at: datetime | None


class Shopkeeper:
    """Rings up sales. All chance comes from its own seed, all ids from `next_id(table name)`.

    `home_shop` says where a customer usually shops; left out, it is where they bought last.
    """

    def __init__(
        self,
        till_tables: TillTables,
        seed: int | str,
        next_id: Callable[[str], int],
        *,
        home_shop: Mapping[int, int] | None = None,
    ) -> None:
        self._rng = Random(f"{seed}/shopkeeper")
        self._next_id = next_id
        self._effects: list[Effect] = []
        self._ledger = Ledger(till_tables, home_shop)

    def sale(self, at: datetime, **wishes: Any) -> Row:
        """Ring up a new sale, completed at `at` unless its kind says otherwise.

        Wishes, each optional: kind (see KINDS), shopID, registerID, employeeID, customerID (0: a walk-in),
        lines [(itemID, quantity, price or None)], original (the Sale to give back), amount (of a gift card or
        deposit), complete_at (a back-dated completeTime), voided_at.
        LookupError: nothing is there to refund, redeem or pick up.
        """
        wish = self._read(at.replace(microsecond=0), wishes)
        sale: Row = getattr(self, f"_{wish.kind}")(wish)
        return sale

    def can(self, kind: str, shop_id: int) -> bool:
        """Tell whether there is something to refund, redeem, use or pick up in a shop."""
        ledger, shop = self._ledger, self._ledger.shops[shop_id]
        match kind:
            case "refund" | "partial_refund" | "exchange":
                return bool(shop.recent)
            case "gift_redeem":
                return bool(ledger.filled_cards())
            case "credit_use":
                return bool(ledger.customers_with_credit())
            case "layaway_pickup":
                return bool(shop.laid_aside())
            case "ecom":
                return bool(shop.ecom_register)
            case _:
                return kind not in _NEED_CUSTOMER or bool(shop.customers)

    def take_effects(self) -> list[Effect]:
        """Hand over what changed beside the sales since last asked, in order."""
        effects, self._effects = self._effects, []
        return effects

    def _read(self, at: datetime, wishes: dict[str, Any]) -> _Wish:
        unknown = wishes.keys() - _WISHES
        if unknown:
            raise TypeError(f"unknown wish: {', '.join(sorted(unknown))}")
        kind = wishes.get("kind") or "sale"
        if kind not in KINDS:
            raise ValueError(f"no such kind of sale: {kind}")
        original = wishes.get("original")
        shop_id = (
            wishes.get("shopID")
            or (original["shopID"] if original else 0)
            or self._rng.choice(self._ledger.shop_ids)
        )
        shop = self._ledger.shops[shop_id]
        customer_id = wishes.get("customerID")
        return _Wish(
            kind=kind,
            shop=shop,
            employee_id=wishes.get("employeeID") or self._rng.choice(shop.sellers),
            register_id=wishes.get("registerID") or self._rng.choice(shop.registers),
            customer_id=self._customer(shop, at, kind) if customer_id is None else customer_id,
            at=at,
            lines=wishes.get("lines"),
            original=original,
            amount=None if wishes.get("amount") is None else Decimal(wishes["amount"]),
            complete_at=wishes.get("complete_at"),
            voided_at=wishes.get("voided_at"),
        )

    def _customer(self, shop: Shop, at: datetime, kind: str) -> int:
        """Draw a regular of the shop who was known by then; 0 is a walk-in."""
        rng = self._rng
        needed = kind in _NEED_CUSTOMER
        if not needed and rng.random() < WALK_IN_SHARE:
            return 0
        if rng.random() < OTHER_SHOP_SHARE:
            shop = self._ledger.shops[rng.choice(self._ledger.shop_ids)]
        customer_id = shop.regular(rng, at)
        if needed and not customer_id:
            raise LookupError("no customer is known here yet")
        return customer_id

    def _sale(self, wish: _Wish) -> Row:
        return self._complete(self._counter(wish), wish)

    def _discount(self, wish: _Wish) -> Row:
        sale = self._counter(wish)
        for line in sale["SaleLines"]:
            self._discount_line(line, wish, self._ledger.discounts[self._rng.choice(LINE_DISCOUNTS)])
        return self._complete(sale, wish)

    def _discount_all(self, wish: _Wish) -> Row:
        sale = self._counter(wish)
        sale["discountPercent"] = self._rng.choice((Decimal("0.05"), Decimal("0.1"), Decimal("0.125")))
        return self._complete(sale, wish)

    def _free(self, wish: _Wish) -> Row:
        sale = self._counter(wish)
        for line in sale["SaleLines"]:
            line["discountPercent"], line["discountID"] = ONE, 6
        return self._complete(sale, wish)

    def _refund(self, wish: _Wish) -> Row:
        return self._give_back(wish, whole=True)

    def _partial_refund(self, wish: _Wish) -> Row:
        return self._give_back(wish, whole=False)

    def _blind_refund(self, wish: _Wish) -> Row:
        sale = self._open_slip(wish)
        line = self._line(wish, sale, self._pick_item(), -ONE, None)
        sale["SaleLines"].append(line)
        return self._complete(sale, wish)

    def _exchange(self, wish: _Wish) -> Row:
        original, returnable = self._to_give_back(wish)
        returned = self._rng.choice(returnable)
        wish.customer_id = original["customerID"]
        sale = self._open_slip(wish)
        sale["SaleLines"].append(self._returned_line(wish, sale, original, returned, ONE))
        self._put_items(sale, wish, self._rng.choice((1, 1, 2)))
        return self._complete(sale, wish)

    def _gift_card(self, wish: _Wish) -> Row:
        """Total 0, one misc. line with a note, -100 onto the card and +100 by a tender (fact sheet A9)."""
        rng = self._rng
        amount = wish.amount or Decimal(rng.choice((25, 50, 50, 100, 100, 250)))
        sale = self._counter(wish) if wish.lines or rng.random() < 0.2 else self._open_slip(wish)
        line = self._line(wish, sale, None, ONE, ZERO)
        line["noteID"], line["Note"] = self._next_id("Note"), "Gift card"
        sale["SaleLines"].append(line)
        ringup.ring_up(sale)
        card = self._new_card(amount, wish.at)
        self._pay(sale, wish, ringup.GIFT_CARD, -amount, account=card)
        self._pay(sale, wish, self._tender(), sale["total"] + amount)
        return self._close(sale, wish)

    def _gift_redeem(self, wish: _Wish) -> Row:
        cards = self._ledger.filled_cards()
        if not cards:
            raise LookupError("no gift card has anything left")
        return self._spend_credit(wish, ringup.GIFT_CARD, self._rng.choice(cards))

    def _credit_use(self, wish: _Wish) -> Row:
        owed = self._ledger.customers_with_credit()
        if not owed:
            raise LookupError("nobody has store credit left")
        if wish.customer_id not in owed:
            wish.customer_id = self._rng.choice(owed)
        return self._spend_credit(wish, ringup.CREDIT_ACCOUNT, self._ledger.accounts[wish.customer_id])

    def _deposit(self, wish: _Wish) -> Row:
        """Two payments, +tender and -credit account, and no line (fact sheet A9)."""
        amount = wish.amount or Decimal(self._rng.randrange(2, 40) * 10)
        sale = self._open_slip(wish)
        ringup.ring_up(sale)
        self._pay(
            sale, wish, ringup.CREDIT_ACCOUNT, -amount, account=self._account(wish.customer_id, wish.at)
        )
        self._pay(sale, wish, self._tender(), amount)
        return self._close(sale, wish)

    def _layaway(self, wish: _Wish) -> Row:
        self._set_aside(wish, "isLayaway")
        return self._deposit(wish)

    def _special_order(self, wish: _Wish) -> Row:
        self._set_aside(wish, "isSpecialOrder")
        return self._deposit(wish)

    def _layaway_pickup(self, wish: _Wish) -> Row:
        """Take the line home: same saleLineID, older createTime, and it still names its customer."""
        aside = wish.shop.laid_aside()
        if not aside:
            raise LookupError("nothing was set aside in this shop")
        line = aside.pop(self._rng.randrange(len(aside))).copy()
        self._effects.append(Effect("SaleLine", line["saleLineID"], None))
        wish.customer_id = line["customerID"]
        sale = self._open_slip(wish)
        line["saleID"] = sale["saleID"]
        sale["SaleLines"].append(line)
        account = self._ledger.accounts.get(wish.customer_id, 0)
        if account and self._ledger.balances[account] < 0:
            return self._pay_with_credit(sale, wish, ringup.CREDIT_ACCOUNT, account)
        return self._complete(sale, wish)

    def _misc(self, wish: _Wish) -> Row:
        rng = self._rng
        sale = self._counter(wish) if rng.random() < 0.5 else self._open_slip(wish)
        line = self._line(wish, sale, None, ONE, Decimal(rng.randrange(5, 120)))
        line["noteID"], line["Note"] = self._next_id("Note"), rng.choice(_MISC_NOTES)
        sale["SaleLines"].append(line)
        return self._complete(sale, wish)

    def _tax_free(self, wish: _Wish) -> Row:
        sale = self._counter(wish)
        for line in sale["SaleLines"]:
            line["tax"] = False
        return self._complete(sale, wish)

    def _tip(self, wish: _Wish) -> Row:
        sale = self._counter(wish)
        ringup.ring_up(sale)
        tip = Decimal(self._rng.choice((2, 5, 10)))
        sale["tipEnabled"] = True
        self._pay(sale, wish, ringup.CARD, sale["total"] + tip, tip=tip)
        return self._close(sale, wish)

    def _two_tenders(self, wish: _Wish) -> Row:
        sale = self._counter(wish)
        ringup.ring_up(sale)
        cash = (sale["total"] * Decimal("0.3")).quantize(ONE)
        self._pay(sale, wish, ringup.CASH, cash)
        self._pay(sale, wish, ringup.CARD, sale["total"] - cash)
        return self._close(sale, wish)

    def _paid_again(self, wish: _Wish) -> Row:
        sale = self._counter(wish)
        ringup.ring_up(sale)
        self._pay(sale, wish, ringup.CARD, sale["total"])["archived"] = True
        self._pay(sale, wish, ringup.CASH, sale["total"])
        return self._close(sale, wish)

    def _change(self, wish: _Wish) -> Row:
        """Store the payment at the sale's total, the rest in `change` (fact sheet A9)."""
        sale = self._counter(wish)
        ringup.ring_up(sale)
        handed = (sale["total"] / 50).quantize(ONE, "ROUND_CEILING") * 50
        self._pay(sale, wish, ringup.CASH, sale["total"])
        sale["change"] = handed - sale["total"]
        return self._close(sale, wish)

    def _ecom(self, wish: _Wish) -> Row:
        if not wish.shop.ecom_register:
            raise LookupError("this shop sells nothing on the web")
        wish.register_id = wish.shop.ecom_register
        sale = self._counter(wish)
        sale["referenceNumber"] = f"WEB-{sale['saleID']:06d}"
        sale["referenceNumberSource"] = "ecom"
        sale["receiptPreference"] = "email"
        ringup.ring_up(sale)
        self._pay(sale, wish, ringup.ECOM, sale["total"])
        return self._close(sale, wish)

    def _backdated(self, wish: _Wish) -> Row:
        """Rung up now, completed in the past: timeStamp follows completeTime, updatetime does not (A12)."""
        wish.complete_at = wish.complete_at or wish.at - timedelta(minutes=self._rng.randrange(60, 4320))
        return self._sale(wish)

    def _void(self, wish: _Wish) -> Row:
        sale = self._complete(self._counter(wish), wish)
        if wish.shop.recent and wish.shop.recent[-1] is sale:
            wish.shop.recent.pop()
        void_id = self._next_id("SaleVoid")
        row = ringup.void(
            sale,
            wish.voided_at or sale["updatetime"],
            void_id=void_id,
            employee_id=self._rng.choice(wish.shop.sellers),
            reason=self._rng.choice(_VOID_REASONS),
        )
        self._effects.append(Effect("SaleVoid", void_id, row))
        return sale

    def _open(self, wish: _Wish) -> Row:
        sale = ringup.ring_up(self._counter(wish))
        sale["updatetime"] = wish.at
        return sale

    def _open_empty(self, wish: _Wish) -> Row:
        return ringup.ring_up(self._open_slip(wish))

    def _open_paid(self, wish: _Wish) -> Row:
        """Half of the recorded open sales carry payments, some without any line (fact sheet A9)."""
        sale = ringup.ring_up(self._counter(wish) if self._rng.random() < 0.5 else self._open_slip(wish))
        self._pay(sale, wish, self._tender(), sale["total"] or Decimal("39.98"))
        ringup.settle(sale)
        sale["updatetime"] = wish.at
        return sale

    def _cancelled(self, wish: _Wish) -> Row:
        sale = ringup.ring_up(self._counter(wish))
        sale["archived"], sale["updatetime"] = True, wish.at
        return sale

    def _open_slip(self, wish: _Wish) -> Row:
        """Open a slip with nothing on it, a little before it will be completed."""
        rng, shop = self._rng, wish.shop
        sale = blank_sale(self._next_id("Sale"), wish.at - _SECONDS[20 + int(rng.random() * 580)])
        sale["isTaxInclusive"] = shop.tax_inclusive
        sale["tax1Rate"], sale["tax2Rate"] = shop.tax1, shop.tax2
        sale["shopID"], sale["registerID"], sale["taxCategoryID"] = (
            shop.shop_id,
            wish.register_id,
            shop.tax_category_id,
        )
        sale["employeeID"] = sale["tipEmployeeID"] = wish.employee_id
        sale["customerID"] = wish.customer_id
        if wish.customer_id and rng.random() < 0.4:
            sale["receiptPreference"] = "email"
        if rng.random() < 0.03:
            sale["SaleNotes"] = {
                "InternalNote": rng.choice(_NOTES_INTERNAL),
                "PrintedNote": rng.choice(("", *_NOTES_PRINTED)),
            }
        return sale

    def _counter(self, wish: _Wish) -> Row:
        """Open a sale and put on it the items wished for, or what people buy."""
        sale = self._open_slip(wish)
        if wish.lines is not None:
            for item_id, quantity, price in wish.lines:
                item = self._ledger.items[item_id] if item_id else None
                line = self._line(
                    wish, sale, item, Decimal(quantity), None if price is None else Decimal(price)
                )
                if item is None:
                    line["noteID"], line["Note"] = self._next_id("Note"), "Miscellaneous"
                sale["SaleLines"].append(line)
            return sale
        draw = self._rng.random()
        self._put_items(sale, wish, 1 if draw < 0.66 else 2 if draw < 0.87 else 3 if draw < 0.96 else 5)
        return sale

    def _put_items(self, sale: Row, wish: _Wish, count: int) -> None:
        rng = self._rng
        seller = rng.choice(wish.shop.sellers) if rng.random() < OTHER_SELLER_SHARE else wish.employee_id
        for number in range(count):
            quantity = ONE if rng.random() < 0.93 else _QUANTITIES[rng.randrange(2, 6)]
            line = self._line(wish, sale, self._pick_item(), quantity, None)
            # A colleague may have served for one piece of several.
            line["employeeID"] = seller if number == 0 or rng.random() < 0.9 else wish.employee_id
            sale["SaleLines"].append(line)

    def _pick_item(self) -> Row:
        """Draw an item: a few sell often, most seldom."""
        if not self._ledger.shelf:
            raise LookupError("there is nothing on the shelf")
        return self._ledger.shelf[int(len(self._ledger.shelf) * self._rng.random() ** 2)]

    def _line(
        self, wish: _Wish, sale: Row, item: Row | None, quantity: Decimal, price: Decimal | None
    ) -> Row:
        shop, created = wish.shop, sale["createTime"]
        line = blank_line(
            self._next_id("SaleLine"), min(created + _SECONDS[int(self._rng.random() * 90)], wish.at)
        )
        line["unitQuantity"] = quantity
        line["saleID"], line["shopID"], line["employeeID"] = sale["saleID"], shop.shop_id, wish.employee_id
        line["taxCategoryID"] = shop.tax_category_id
        line["tax1Rate"], line["tax2Rate"] = shop.tax1, shop.tax2
        if item is None:
            line["unitPrice"] = price or ZERO
            return line
        line["itemID"], line["taxClassID"] = item["itemID"], item.get("taxClassID", 1)
        line["tax"] = item.get("tax", True)
        line["unitPrice"] = _shelf_price(item) if price is None else price
        line["avgCost"] = line["fifoCost"] = item.get("avgCost", ZERO)
        if line["taxClassID"] == LABOR_TAX_CLASS:
            line["tax1Rate"], line["tax2Rate"] = shop.labor_tax
        return line

    def _discount_line(self, line: Row, wish: _Wish, discount: Row) -> None:
        if discount["requireCustomer"] and not wish.customer_id:
            return
        line["discountID"] = discount["discountID"]
        line["discountPercent"] = discount["discountPercent"]
        price = line["unitPrice"] * abs(line["unitQuantity"])
        line["discountAmount"] = min(discount["discountAmount"], price)

    def _give_back(self, wish: _Wish, *, whole: bool) -> Row:
        """Ring up negative quantities, each line pointing at the line it gives back (fact sheet A9)."""
        original, returnable = self._to_give_back(wish)
        wish.customer_id = original["customerID"]
        sale = self._open_slip(wish)
        for line in returnable if whole else [self._rng.choice(returnable)]:
            left = self._ledger.pieces_left(line)
            pieces = left if whole or line["discountAmount"] else ONE
            sale["SaleLines"].append(self._returned_line(wish, sale, original, line, pieces))
        ringup.ring_up(sale)
        if sale["total"]:
            self._pay_back(sale, wish, original)
        return self._close(sale, wish)

    def _pay_back(self, sale: Row, wish: _Wish, original: Row) -> None:
        """Mostly to the card it came from; sometimes in cash or as store credit."""
        if wish.customer_id and self._rng.random() < 0.12:
            account = self._account(wish.customer_id, wish.at)
            self._pay(sale, wish, ringup.CREDIT_ACCOUNT, sale["total"], account=account)
            return
        first = next((payment for payment in original["SalePayments"] if not payment["archived"]), None)
        if first and first["paymentTypeID"] in {ringup.CARD, ringup.ECOM}:
            payment = self._pay(sale, wish, first["paymentTypeID"], sale["total"])
            payment["refPaymentID"] = first["salePaymentID"]
            return
        self._pay(sale, wish, ringup.CASH, sale["total"])

    def _returned_line(self, wish: _Wish, sale: Row, original: Row, line: Row, pieces: Decimal) -> Row:
        """Give back at the price paid: a discount on the whole original becomes one on the line."""
        back = self._line(wish, sale, self._ledger.items.get(line["itemID"]), -pieces, line["unitPrice"])
        if line["unitQuantity"] != pieces and line["discountAmount"]:
            share = line["discountAmount"] * pieces / line["unitQuantity"]
            back["discountAmount"] = share.quantize(CENT)
        else:
            back["discountAmount"] = line["discountAmount"]
        kept = (ONE - line["discountPercent"]) * (ONE - original["discountPercent"])
        back["discountPercent"] = ONE - kept
        back["discountID"] = line["discountID"]
        back["tax"], back["tax1Rate"], back["tax2Rate"] = line["tax"], line["tax1Rate"], line["tax2Rate"]
        back["avgCost"], back["fifoCost"] = line["avgCost"], line["fifoCost"]
        back["parentSaleLineID"] = line["saleLineID"]
        back["noteID"], back["Note"] = (self._next_id("Note"), line["Note"]) if line["noteID"] else (0, "")
        if self._rng.random() < 0.25:  # A recorded refund line is hours older than its sale (A6).
            back["createTime"] -= timedelta(minutes=self._rng.randrange(60, 400))
        self._ledger.returned[line["saleLineID"]] = (
            self._ledger.returned.get(line["saleLineID"], ZERO) + pieces
        )
        return back

    def _to_give_back(self, wish: _Wish) -> tuple[Row, list[Row]]:
        """Find the sale wished for, or a recent one, with its lines that are not given back yet."""
        recent = wish.shop.recent
        for sale in [wish.original] if wish.original else self._rng.choices(recent, k=40) if recent else []:
            if sale["completed"] and (lines := self._ledger.returnable(sale)):
                return sale, lines
        raise LookupError("no such sale has anything left to give back")

    def _complete(self, sale: Row, wish: _Wish) -> Row:
        """Pay in one tender and close."""
        ringup.ring_up(sale)
        if sale["total"]:
            self._pay(sale, wish, self._tender(), sale["total"])
        return self._close(sale, wish)

    def _close(self, sale: Row, wish: _Wish) -> Row:
        """Complete: timeStamp freezes at completeTime; updatetime and children may be a second newer."""
        ringup.settle(sale)
        assert not sale["balance"], f"sale {sale['saleID']} does not balance"
        completed = sale["completeTime"] = sale["timeStamp"] = wish.complete_at or wish.at
        late = wish.at + _SECONDS[1] if self._rng.random() < 0.4 else wish.at
        sale["completed"], sale["updatetime"] = True, late
        for line in sale["SaleLines"]:
            line["timeStamp"] = late
        for payment in sale["SalePayments"]:
            payment["createTime"] = late
        if completed == wish.at:
            wish.shop.recent.append(sale)
        return sale

    def _pay(
        self, sale: Row, wish: _Wish, type_id: int, amount: Decimal, *, account: int = 0, tip: Decimal = ZERO
    ) -> Row:
        payment = blank_payment(self._next_id("SalePayment"), wish.at)
        payment["amount"], payment["tipAmount"] = ringup.share(amount), tip
        payment["saleID"], payment["registerID"], payment["employeeID"] = (
            sale["saleID"],
            wish.register_id,
            wish.employee_id,
        )
        payment["paymentTypeID"], payment["creditAccountID"] = type_id, account
        sale["SalePayments"].append(payment)
        if account:
            self._ledger.balances[account] = self._ledger.balances.get(account, ZERO) + amount
            self._effects.append(
                Effect(
                    "CreditAccount",
                    account,
                    {"balance": self._ledger.balances[account], "timeStamp": wish.at},
                )
            )
        return payment

    def _tender(self) -> int:
        draw = self._rng.random()
        if draw < 0.62:
            return ringup.CARD
        return ringup.CASH if draw < 0.96 else ringup.CHECK

    def _spend_credit(self, wish: _Wish, type_id: int, account: int) -> Row:
        return self._pay_with_credit(self._counter(wish), wish, type_id, account)

    def _pay_with_credit(self, sale: Row, wish: _Wish, type_id: int, account: int) -> Row:
        """Pay what the card or account still holds (a negative balance), the rest by a tender."""
        ringup.ring_up(sale)
        spent = min(sale["total"], -self._ledger.balances[account])
        if spent > 0:
            self._pay(sale, wish, type_id, spent, account=account)
        if sale["total"] - max(spent, ZERO):
            self._pay(sale, wish, self._tender(), sale["total"] - max(spent, ZERO))
        return self._close(sale, wish)

    def _new_card(self, amount: Decimal, at: datetime) -> int:
        card = self._next_id("CreditAccount")
        self._ledger.cards.append(card)
        code = f"{self._rng.randrange(10**16):016d}"
        self._effects.append(
            Effect("CreditAccount", card, _account_row(card, f"Gift card {code[-4:]}", 0, at, code))
        )
        self._ledger.balances[card] = ZERO
        assert amount > 0
        return card

    def _account(self, customer_id: int, at: datetime) -> int:
        """Return the customer's store credit account, opened when first needed."""
        if customer_id in self._ledger.accounts:
            return self._ledger.accounts[customer_id]
        if not customer_id:
            raise LookupError("store credit needs a customer")
        account = self._ledger.accounts[customer_id] = self._next_id("CreditAccount")
        self._ledger.balances[account] = ZERO
        name = f"Customer {customer_id}"
        self._effects.append(Effect("CreditAccount", account, _account_row(account, name, customer_id, at)))
        self._effects.append(Effect("Customer", customer_id, {"creditAccountID": account, "timeStamp": at}))
        return account

    def _set_aside(self, wish: _Wish, flag: str) -> None:
        """Put a line on no sale, with its customer (fact sheet A8.3). It lives in SaleLine only."""
        if not wish.customer_id:
            raise LookupError("a layaway needs a customer")
        slip = {"createTime": wish.at - _SECONDS[120], "saleID": 0}
        line = self._line(wish, slip, self._pick_item(), ONE, None)
        line["customerID"], line[flag], line["timeStamp"] = wish.customer_id, True, wish.at
        ringup.ring_up_line(line, tax_inclusive=wish.shop.tax_inclusive)
        wish.shop.aside.append(line)
        self._effects.append(Effect("SaleLine", line["saleLineID"], line))


_WISHES = frozenset(
    (
        "kind",
        "shopID",
        "registerID",
        "employeeID",
        "customerID",
        "lines",
        "original",
        "amount",
        "complete_at",
        "voided_at",
    )
)


def _shelf_price(item: Row) -> Decimal:
    """Return the default price; an item nobody priced is given away."""
    prices = {row["useTypeID"]: row["amount"] for row in item.get("Prices", ())}
    price: Decimal = prices.get(DEFAULT_USE_TYPE, ZERO)
    return price


def _account_row(account: int, name: str, customer_id: int, at: datetime, code: str = "") -> Row:
    return {
        "creditAccountID": account,
        "name": name,
        "code": code,
        "creditLimit": ZERO,
        "description": "",
        "giftCard": bool(code),
        "archived": False,
        "timeStamp": at,
        "customerID": customer_id,
        "balance": ZERO,
    }

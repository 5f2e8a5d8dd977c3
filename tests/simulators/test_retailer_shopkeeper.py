"""The shopkeeper while the shop is open: wishes, effects beside the sale, and what cannot be done."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tillbridge.simulators.retailer import KINDS, Plan, Retailer, Shopkeeper, build

Row = dict[str, Any]
PLAN = Plan(customers=120, sales=260)
NOW = PLAN.end + timedelta(minutes=3)
KEYS = {
    "CreditAccount": "creditAccountID",
    "SaleLine": "saleLineID",
    "SaleVoid": "saleVoidID",
    "Customer": "customerID",
}


@pytest.fixture
def world() -> Retailer:
    return build(PLAN)


class Ids:
    """Hands out ids above everything that is there."""

    def __init__(self) -> None:
        self._last: defaultdict[str, int] = defaultdict(lambda: 1_000_000)

    def __call__(self, table: str) -> int:
        self._last[table] += 1
        return self._last[table]


def open_shop(world: Retailer, seed: int = 1) -> Shopkeeper:
    return Shopkeeper(world.till, seed, Ids())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_rung_up_live(world: Retailer, kind: str) -> None:
    keeper = open_shop(world)
    for needed in ("sale", "gift_card", "deposit", "layaway"):  # What others redeem, use or pick up.
        keeper.sale(NOW, kind=needed, shopID=1)
    assert keeper.can(kind, 1)
    sale = keeper.sale(NOW, kind=kind, shopID=1)
    assert 1 == sale["shopID"]
    assert sale["total"] == sale["calcSubtotal"] - sale["calcDiscount"] + sale["calcTax1"] + sale["calcTax2"]
    settled = kind not in {"void", "open", "open_empty", "open_paid", "cancelled"}
    assert settled == sale["completed"]
    if settled:
        assert not sale["balance"]


def test_one_seed_rings_up_one_day(world: Retailer) -> None:
    one, other = open_shop(world, 5), open_shop(world, 5)
    assert [one.sale(NOW) for _ in range(30)] == [other.sale(NOW) for _ in range(30)]
    assert open_shop(world, 6).sale(NOW) != open_shop(world, 5).sale(NOW)


def test_wishes_are_granted(world: Retailer) -> None:
    item = next(row for row in world.till["Item"] if not row["archived"])
    customer = world.till["Customer"][0]["customerID"]
    sale = open_shop(world).sale(
        NOW,
        shopID=2,
        customerID=customer,
        employeeID=1,
        registerID=4,
        lines=[(item["itemID"], 2, "12.50"), (item["itemID"], 1, None), (0, 1, 7)],
    )
    assert (2, customer, 1, 4) == tuple(sale[n] for n in ("shopID", "customerID", "employeeID", "registerID"))
    prices = [(line["itemID"], line["unitQuantity"], line["unitPrice"]) for line in sale["SaleLines"]]
    shelf = item["Prices"][0]["amount"]
    assert [(item["itemID"], 2, Decimal("12.50")), (item["itemID"], 1, shelf), (0, 1, 7)] == prices


def test_a_walk_in_is_customer_zero(world: Retailer) -> None:
    assert 0 == open_shop(world).sale(NOW, customerID=0)["customerID"]


def test_a_wished_refund_gives_back_that_sale_once(world: Retailer) -> None:
    keeper = open_shop(world)
    original = keeper.sale(NOW, kind="discount_all", customerID=5)
    refund = keeper.sale(NOW, kind="refund", original=original)
    assert (-original["total"], 5, original["shopID"]) == (
        refund["total"],
        refund["customerID"],
        refund["shopID"],
    )
    parents = [line["parentSaleLineID"] for line in refund["SaleLines"]]
    assert [line["saleLineID"] for line in original["SaleLines"]] == parents
    with pytest.raises(LookupError, match="give back"):
        keeper.sale(NOW, kind="refund", original=original)


def test_a_new_shopkeeper_remembers_what_was_given_back(world: Retailer) -> None:
    """Somebody else at the same till, the next morning."""
    keeper = open_shop(world)
    original = keeper.sale(NOW)
    world.till["Sale"] += [original, keeper.sale(NOW, kind="refund", original=original)]
    with pytest.raises(LookupError, match="give back"):
        open_shop(world, 2).sale(NOW, kind="partial_refund", original=original)


def test_the_tables_are_never_written(world: Retailer) -> None:
    before = repr(world.till)
    keeper = open_shop(world)
    for kind in KINDS:
        if keeper.can(kind, 1):
            keeper.sale(NOW, kind=kind, shopID=1)
    assert before == repr(world.till)


def test_a_gift_card_of_fifty_leaves_fifty_owed(world: Retailer) -> None:
    keeper = open_shop(world)
    keeper.sale(NOW, kind="gift_card", amount=50)
    rows: Row = {}
    for effect in keeper.take_effects():
        assert "CreditAccount" == effect.table
        rows.setdefault(effect.row_id, {}).update(effect.fields or {})
    (card,) = rows.values()
    assert (True, Decimal(-50), 0) == (card["giftCard"], card["balance"], card["customerID"])
    assert [] == keeper.take_effects()


def test_a_layaway_leaves_its_line_aside_and_takes_it_home_later(world: Retailer) -> None:
    for line in world.till["SaleLine"]:
        line["saleID"] = 1  # Whatever lay aside was put on a sale by somebody else meanwhile.
    keeper = open_shop(world)
    deposit = keeper.sale(NOW, kind="layaway", shopID=1)
    laid = next(effect for effect in keeper.take_effects() if effect.table == "SaleLine")
    assert laid.fields is not None
    assert (0, deposit["customerID"], True) == tuple(
        laid.fields[name] for name in ("saleID", "customerID", "isLayaway")
    )
    home = keeper.sale(NOW + timedelta(days=3), kind="layaway_pickup", shopID=1)
    gone = next(effect for effect in keeper.take_effects() if effect.table == "SaleLine")
    assert (laid.row_id, None) == (gone.row_id, gone.fields)
    assert [laid.row_id] == [line["saleLineID"] for line in home["SaleLines"]]
    assert deposit["customerID"] == home["customerID"]
    with pytest.raises(LookupError, match="set aside"):
        keeper.sale(NOW, kind="layaway_pickup", shopID=1)


def test_a_void_comes_with_its_row(world: Retailer) -> None:
    keeper = open_shop(world)
    sale = keeper.sale(NOW, kind="void", voided_at=NOW + timedelta(hours=2))
    (effect,) = keeper.take_effects()
    assert ("SaleVoid", sale["saleID"]) == (effect.table, (effect.fields or {})["saleID"])
    assert NOW + timedelta(hours=2) == sale["updatetime"]


def test_a_backdated_sale_is_completed_in_the_past_and_updated_now(world: Retailer) -> None:
    past = NOW - timedelta(days=2)
    sale = open_shop(world).sale(NOW, kind="backdated", complete_at=past)
    assert (past, past) == (sale["completeTime"], sale["timeStamp"])
    assert sale["updatetime"] >= NOW


def test_archived_customers_stay_away(world: Retailer) -> None:
    for row in world.till["Customer"]:
        row["archived"] = row["customerID"] != 7
    keeper = open_shop(world)
    assert {keeper.sale(NOW)["customerID"] for _ in range(60)} <= {0, 7}


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        pytest.param({"colour": "red"}, TypeError, id="a wish nobody knows"),
        pytest.param({"kind": "barter"}, ValueError, id="a kind nobody knows"),
        pytest.param({"kind": "deposit", "customerID": 0}, LookupError, id="store credit for a walk-in"),
        pytest.param({"kind": "layaway", "customerID": 0}, LookupError, id="a layaway for a walk-in"),
        pytest.param(
            {"kind": "ecom", "shopID": 2}, LookupError, id="a web sale in a shop without a web till"
        ),
    ],
)
def test_what_cannot_be_done_is_said(world: Retailer, wishes: Row, error: type[Exception]) -> None:
    with pytest.raises(error):
        open_shop(world).sale(NOW, **wishes)


def test_a_new_account_with_one_bare_shop_can_trade() -> None:
    """Rows may lack whatever has its default: an account that was opened this morning."""
    till: dict[str, list[Row]] = {
        "Shop": [{"shopID": 1, "taxCategoryID": 1}],
        "Register": [{"registerID": 1, "name": "Front", "shopID": 1}],
        "Employee": [{"employeeID": 1}],
        "TaxCategory": [{"taxCategoryID": 1, "tax1Rate": Decimal("0.08")}],
        "Item": [{"itemID": 4, "description": "Ring"}],
        "Discount": [],
    }
    sale = Shopkeeper(till, 1, Ids()).sale(NOW, lines=[(4, 1, "100")])
    assert (Decimal(108), 1, 1) == (sale["total"], sale["registerID"], sale["employeeID"])
    with pytest.raises(LookupError, match="shelf"):
        Shopkeeper({**till, "Item": []}, 1, Ids()).sale(NOW)

"""What happens at the tills of the Lightspeed simulator, and its control API (fact sheet A9, A12, A13)."""

from __future__ import annotations

from collections import Counter as Tally
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from lightspeed_counter import busy_account, empty_account

EPOCH = ">=,2000-01-01T00:00:00Z"


@pytest.fixture
def till():
    counter = busy_account(sales=150, customers=120)
    counter.clock.advance(3600)
    return counter


def sale_of(till, sale_id, relations="[]"):
    return till.get(f"Sale/{sale_id}", load_relations=relations)["Sale"]


def ring(till, **wishes):
    return till.control("POST", "ring-one", wishes)["saleID"]


# ---- ringing up ----


def test_live_sales_are_the_newest_in_the_feed(till):
    made = till.control("POST", "ring", {"count": 5, "kind": "sale", "seed": 3})["saleIDs"]
    newest = till.rows("Sale", sort="-updatetime", limit="5")
    assert sorted(made) == sorted(int(row["saleID"]) for row in newest)
    assert {"true"} == {row["completed"] for row in newest}


def test_equal_seeds_ring_up_equal_sales():
    def totals() -> list[str]:
        till = busy_account(sales=60, customers=60)
        made = till.control("POST", "ring", {"count": 8, "seed": 5})["saleIDs"]
        return [sale_of(till, sale_id)["total"] for sale_id in made]

    assert totals() == totals()


def test_without_a_kind_sales_are_mixed(till):
    made = till.control("POST", "ring", {"count": 120, "seed": 3})["saleIDs"]
    assert sorted(set(made)) == made
    sales = [sale_of(till, sale_id) for sale_id in made]
    assert {"true", "false"} == {sale["completed"] for sale in sales}
    assert any(sale["total"].startswith("-") for sale in sales), "refunds are among them"


def test_ringing_stops_where_nothing_is_left_to_ring_up():
    till = empty_account(switches={"burst": False})
    till.control("POST", "add", {"entity": "Item", "fields": {"description": "Ring"}})
    sale_id = ring(till, lines=[[1, 1, "100"]], customerID=0)
    answer = till.control("POST", "ring", {"count": 3, "kind": "refund"})
    assert [sale_id + 1] == answer["saleIDs"]
    assert answer["stopped_by"]


def test_wishes_are_granted(till):
    item = till.rows("Item")[0]
    sale_id = ring(
        till, customerID=5, shopID=1, lines=[[int(item["itemID"]), 2, "10.5"]], at="2026-11-20T12:00:00Z"
    )
    sale = sale_of(till, sale_id, '["SaleLines"]')
    line = sale["SaleLines"]["SaleLine"]
    assert ("5", "1", "21") == (sale["customerID"], sale["shopID"], sale["calcSubtotal"])
    assert (item["itemID"], "2") == (line["itemID"], line["unitQuantity"])
    assert "2026-11-20T12:00:00+00:00" == sale["completeTime"]


def test_a_live_sale_moves_stock_and_the_cashier(till):
    item = next(row for row in till.rows("Item") if row["itemType"] == "default")
    stock = {"itemID": item["itemID"], "shopID": "1"}
    before = int(till.rows("ItemShop", **stock)[0]["qoh"])
    ring(till, shopID=1, lines=[[int(item["itemID"]), 3, None]])
    assert before - 3 == int(till.rows("ItemShop", **stock)[0]["qoh"])


def test_a9_a_gift_card_sold_and_redeemed(till):
    sold = sale_of(till, ring(till, kind="gift_card", amount=5000, shopID=1), '["SaleLines","SalePayments"]')
    assert ("0", "5000") == (sold["total"], sold["displayableTotal"])
    assert {"-5000", "5000"} == {payment["amount"] for payment in sold["SalePayments"]["SalePayment"]}
    assert "0" == sold["SaleLines"]["SaleLine"]["itemID"]
    item = int(till.rows("Item")[0]["itemID"])
    spent = sale_of(till, ring(till, kind="gift_redeem", shopID=1, lines=[[item, 1, "1"]]))
    assert "0" == spent["totalDue"]
    assert "0" != spent["total"]


def test_a9_open_sales_may_be_empty_or_paid(till):
    empty = sale_of(till, ring(till, kind="open_empty"), '["SaleLines"]')
    paid = sale_of(till, ring(till, kind="open_paid"))
    assert ("false", False) == (empty["completed"], "SaleLines" in empty)
    assert "false" == paid["completed"]
    assert "0" != paid["calcPayments"]


def test_an_empty_account_rings_up_what_was_added():
    till = empty_account(switches={"burst": False})
    item = till.control("POST", "add", {"entity": "Item", "fields": {"description": "Ring"}})
    sale_id = ring(till, lines=[[item["itemID"], 1, "100"]], customerID=0)
    assert "108" == sale_of(till, sale_id)["total"]


# ---- voids ----


@pytest.mark.parametrize("moves", [True, False])
def test_a9_a_void_flips_completed_and_leaves_a_row(till, moves):
    till.switch(updatetime_moves_on_void=moves)
    sale_id = ring(till, kind="sale")
    before = sale_of(till, sale_id)
    till.clock.advance(60)
    till.control("POST", "void", {"saleID": sale_id, "reason": "wrong item"})
    after = sale_of(till, sale_id, '["SalePayments"]')
    assert ("false", "true", "false") == (after["completed"], after["voided"], after["archived"])
    assert (before["total"], before["total"], "0") == (
        after["total"],
        after["balance"],
        after["calcPayments"],
    )
    assert before["timeStamp"] == after["timeStamp"]
    assert moves == (before["updatetime"] < after["updatetime"])
    assert "true" == after["SalePayments"]["SalePayment"]["archived"]
    newest = till.rows("SaleVoid", sort="-saleVoidID", limit="1")[0]
    assert (str(sale_id), "wrong item") == (newest["saleID"], newest["reason"])
    assert 400 == till.control_answer("POST", "void", {"saleID": sale_id, "reason": "again"})[0]


def test_a9_a_void_gives_the_stock_back(till):
    item = next(row for row in till.rows("Item") if row["itemType"] == "default")
    stock = {"itemID": item["itemID"], "shopID": "1"}
    before = till.rows("ItemShop", **stock)[0]["qoh"]
    sale_id = ring(till, shopID=1, lines=[[int(item["itemID"]), 2, None]])
    till.control("POST", "void", {"saleID": sale_id, "reason": ""})
    assert before == till.rows("ItemShop", **stock)[0]["qoh"]


def test_a_refund_by_the_control_api_is_linked(till):
    sale_id = ring(till, kind="sale")
    back = till.control("POST", "refund", {"saleID": sale_id})["saleID"]
    sale = sale_of(till, back)
    assert sale_of(till, sale_id)["total"] == sale["total"].removeprefix("-")
    assert "true" == sale["completed"]


# ---- time ----


def test_a12_a_back_dated_sale_falls_behind_a_time_stamp_feed_but_not_behind_updatetime(till):
    sale_id = ring(till, kind="sale")
    till.clock.advance(60)
    till.control("POST", "backdate", {"saleID": sale_id, "completeTime": "2026-11-01T10:00:00Z"})
    recent = {"archived": "true", "limit": "1"}
    assert str(sale_id) == till.rows("Sale", sort="-updatetime", **recent)[0]["saleID"]
    assert str(sale_id) != till.rows("Sale", sort="-timeStamp", **recent)[0]["saleID"]


def test_a12_an_edit_moves_updatetime_and_leaves_the_frozen_time_stamp(till):
    sale_id = ring(till, kind="sale")
    before = sale_of(till, sale_id)
    till.clock.advance(60)
    till.control("POST", "edit", {"entity": "Sale", "id": sale_id, "fields": {"customerID": 7}})
    after = sale_of(till, sale_id)
    assert ("7", before["timeStamp"]) == (after["customerID"], after["timeStamp"])
    assert before["updatetime"] < after["updatetime"]


def test_a13_children_may_be_a_second_newer(till):
    made = till.control("POST", "ring", {"count": 20, "kind": "sale"})["saleIDs"]
    sales = [sale_of(till, sale_id) for sale_id in made]
    assert {0, 1} == {seconds(sale["updatetime"]) - seconds(sale["timeStamp"]) for sale in sales}


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


# ---- people ----


def two_customers(till):
    contact = {"Phones": {"ContactPhone": {"number": "1", "useType": "Mobile"}}}
    keep = till.write("POST", "Customer", {"firstName": "Maren", "Contact": contact})
    contact = {
        "Phones": {"ContactPhone": [{"number": "2", "useType": "Mobile"}, {"number": "3", "useType": "Home"}]}
    }
    lose = till.write("POST", "Customer", {"firstName": "Marne", "company": "Oduya", "Contact": contact})
    return int(keep["customerID"]), int(lose["customerID"])


@pytest.mark.parametrize(
    ("rewrites", "moves"),
    [
        pytest.param(True, False, id="sales are re-pointed silently"),
        pytest.param(True, True, id="sales are re-pointed and move"),
        pytest.param(False, False, id="sales keep the losing customer"),
    ],
)
def test_a12_a_merge_fills_blanks_archives_the_other_and_gives_no_event(till, rewrites, moves):
    till.switch(merge_rewrites_sales=rewrites, updatetime_moves_on_merge=moves)
    keep, lose = two_customers(till)
    sale_id = ring(till, kind="sale", customerID=lose)
    before = sale_of(till, sale_id)
    till.clock.advance(60)
    till.control("POST", "merge", {"keep": keep, "lose": lose})
    kept = till.get(f"Customer/{keep}", load_relations='["Contact"]')["Customer"]
    assert ("Maren", "Oduya") == (kept["firstName"], kept["company"])
    phones = {p["useType"]: p["number"] for p in kept["Contact"]["Phones"]["ContactPhone"]}
    assert {"Mobile": "1", "Home": "3"} == phones
    assert "true" == till.get(f"Customer/{lose}")["Customer"]["archived"]
    after = sale_of(till, sale_id)
    assert str(keep if rewrites else lose) == after["customerID"]
    assert moves == (before["updatetime"] < after["updatetime"])
    assert [after] == till.rows("Sale", customerID=after["customerID"])


@pytest.mark.parametrize("rewrites", [True, False], ids=["sales are re-pointed", "sales name nobody"])
def test_a12_or_a_merge_deletes_the_other_as_the_older_article_says(till, rewrites):
    till.switch(merge_deletes_secondary=True, merge_rewrites_sales=rewrites)
    keep, lose = two_customers(till)
    sale_id = ring(till, kind="sale", customerID=lose)
    till.control("POST", "merge", {"keep": keep, "lose": lose})
    assert 404 == till.call("GET", f"Customer/{lose}").status
    assert [] == till.rows("Customer", customerID=lose, archived="true")
    sale = till.get(f"Sale/{sale_id}", load_relations='["Customer"]')["Sale"]
    assert (str(keep if rewrites else lose), rewrites) == (sale["customerID"], "Customer" in sale)


def test_archive_and_add_reach_every_kind(till):
    till.control("POST", "archive", {"entity": "Item", "id": 1})
    assert "true" == till.get("Item/1")["Item"]["archived"]
    added = till.control(
        "POST", "add", {"entity": "Shop", "fields": {"name": "Utrecht", "timeZone": "Europe/Amsterdam"}}
    )
    assert "Utrecht" == till.get(f"Shop/{added['shopID']}")["Shop"]["name"]


def test_a_line_can_be_taken_off_an_open_sale(till):
    sale_id = ring(till, kind="open")
    [line, *_] = till.control("GET", f"dump?entity=Sale&id={sale_id}")[0]["SaleLines"]
    till.control("POST", "delete-line", {"saleLineID": line["saleLineID"]})
    assert 404 == till.call("GET", f"SaleLine/{line['saleLineID']}").status


# ---- the control API itself ----


def test_totals_count_completed_sales_by_the_shops_own_day(till):
    sale_id = ring(till, kind="sale")
    till.control("POST", "void", {"saleID": sale_id, "reason": "test"})
    zones = {shop["shopID"]: ZoneInfo(shop["timeZone"]) for shop in till.rows("Shop", archived="true")}
    counts: Tally[tuple[str, str]] = Tally()
    sums: Tally[tuple[str, str]] = Tally()
    for sale in till.all_rows("Sale", completed="true", voided="false", archived="true"):
        local = datetime.fromisoformat(sale["completeTime"]).astimezone(zones[sale["shopID"]])
        key = (sale["shopID"], local.date().isoformat())
        counts[key] += 1
        sums[key] += Decimal(sale["total"])
    told = till.control("GET", "totals")
    assert dict(counts) == {(str(row["shopID"]), row["day"]): row["count"] for row in told}
    assert dict(sums) == {(str(row["shopID"]), row["day"]): Decimal(row["total"]) for row in told}
    assert all(Decimal(r["net"]) + Decimal(r["tax"]) == Decimal(r["total"]) for r in told)


@pytest.mark.parametrize(
    ("method", "name", "body", "status"),
    [
        pytest.param("POST", "switches", {"no_such": True}, 400, id="unknown switch"),
        pytest.param("POST", "switches", {"bucket": "off"}, 400, id="switch of another type"),
        pytest.param("POST", "ring-one", {"kind": "no such kind"}, 400, id="unknown kind"),
        pytest.param("POST", "ring-one", {"colour": "red"}, 400, id="unknown wish"),
        pytest.param("POST", "void", {"saleID": 999_999, "reason": ""}, 404, id="unknown sale"),
        pytest.param("POST", "void", {}, 400, id="nothing named"),
        pytest.param("GET", "dump?entity=Nonsense", None, 400, id="unknown entity"),
        pytest.param("GET", "nonsense", None, 404, id="unknown path"),
        pytest.param(
            "POST", "backdate", {"saleID": 1, "completeTime": "2036-01-01T00:00:00Z"}, 400, id="the future"
        ),
    ],
)
def test_what_cannot_be_done_is_said(till, method, name, body, status):
    told, answer = till.control_answer(method, name, body)
    assert status == told
    assert answer["error"]


def test_switches_are_read_and_set(till):
    before = till.control("GET", "switches")
    after = till.control("POST", "switches", {"limit_over_100": "clamp"})
    assert {**before, "limit_over_100": "clamp"} == after

"""Lists of the Lightspeed simulator: pages, cursors, filters, relations (fact sheet A4, A5)."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from lightspeed_counter import Counter, busy_account, empty_account, many, refusal

REL = '["SaleLines"]'


@pytest.fixture(scope="module")
def till():
    return busy_account()


@pytest.fixture
def own():
    """An account that a test may change."""
    return busy_account(sales=120, customers=80)


def ids(till: Counter, entity: str = "Sale", **params: str) -> list[int]:
    key = entity[0].lower() + entity[1:] + "ID"
    return [int(row[key]) for row in till.all_rows(entity, **params)]


def raw(till: Counter, entity: str = "Sale") -> list[dict]:
    return till.control("GET", f"dump?entity={entity}")


# ---- A4: pages ----


def test_a4_a_page_has_a_hundred_rows_by_id(till):
    page = till.rows("Sale", archived="true")
    assert list(range(1, 101)) == [int(row["saleID"]) for row in page]


def test_a4_following_next_reads_every_row_once(till):
    assert sorted(row["saleID"] for row in raw(till)) == ids(till, archived="true")


@pytest.mark.parametrize(
    "sort", ["saleID", "-saleID", "timeStamp", "-timeStamp", "updatetime", "-updatetime", "completeTime"]
)
def test_a4_every_sort_reads_every_row_once_in_order(till, sort):
    rows = till.all_rows("Sale", archived="true", sort=sort, limit="37")
    name = sort.removeprefix("-")
    keys = [(row.get(name, ""), int(row["saleID"])) if name != "saleID" else int(row[name]) for row in rows]
    assert sorted(keys, reverse=sort.startswith("-")) == keys
    assert len(raw(till)) == len(keys)


def test_a4_next_is_absolute_and_repeats_the_query_with_its_defaults(till):
    page = till.get("Sale", archived="true", load_relations=REL, updatetime=">=,2025-01-01T00:00:00+00:00")
    following = urlsplit(page["@attributes"]["next"])
    query = parse_qs(following.query)
    assert "http://127.0.0.1:8001/API/V3/Account/190001/Sale.json" == following._replace(query="").geturl()
    assert {
        "archived": ["true"],
        "load_relations": [REL],
        "updatetime": [">=,2025-01-01T00:00:00+00:00"],
        "sort": ["saleID"],
        "limit": ["100"],
    } == {name: values for name, values in query.items() if name != "after"}


def test_a4_load_relations_can_be_missing_from_next(own):
    own.switch(drop_relations_from_next=True)
    following = own.get("Sale", load_relations=REL, archived="true")["@attributes"]["next"]
    assert "load_relations" not in parse_qs(urlsplit(following).query)


@pytest.mark.parametrize(
    ("sort", "shape"),
    [("saleID", [int]), ("-timeStamp", [str, int]), ("updatetime", [str, int])],
)
def test_a4_a_cursor_is_base64_of_the_last_sort_values(till, sort, shape):
    page = till.get("Sale", sort=sort)
    after = parse_qs(urlsplit(page["@attributes"]["next"]).query)["after"][0]
    values = json.loads(base64.b64decode(after))
    assert shape == [type(value) for value in values]
    last = page["Sale"][-1]
    assert int(last["saleID"]) == values[-1]
    assert last[sort.removeprefix("-")] == str(values[0])


def test_a4_previous_leads_back(till):
    first = till.get("Sale", sort="updatetime", limit="50")
    second = json.loads(till.call_url("GET", first["@attributes"]["next"]).body)
    back = json.loads(till.call_url("GET", second["@attributes"]["previous"]).body)
    assert "" == first["@attributes"]["previous"]
    assert first["Sale"] == back["Sale"]


def test_a4_the_last_page_has_no_next(till):
    assert "" == till.get("Shop")["@attributes"]["next"]


def test_a4_an_edited_row_moves_to_the_end_of_a_feed_and_is_seen_again(own):
    page = own.get("Sale", sort="updatetime", archived="true")
    first = int(page["Sale"][0]["saleID"])
    own.clock.advance(60)
    own.control("POST", "edit", {"entity": "Sale", "id": first, "fields": {"referenceNumber": "x"}})
    rest = json.loads(own.call_url("GET", page["@attributes"]["next"]).body)
    assert first == int(many(rest, "Sale")[-1]["saleID"])


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        pytest.param(
            {"sort": "total"}, "Allowed fields: completeTime, saleID, timeStamp, updatetime", id="other sort"
        ),
        pytest.param({"offset": "100"}, "offset is not supported", id="offset"),
        pytest.param({"limit": "101"}, "0 to 100", id="limit over 100"),
        pytest.param({"limit": "all"}, "0 to 100", id="limit no number"),
        pytest.param({"after": "%%%"}, "cursor", id="crafted cursor"),
        pytest.param({"after": "WzEwMF0=", "sort": "timeStamp"}, "cursor", id="cursor of another sort"),
        pytest.param({"after": "WzEwMF0=", "before": "WzEwMF0="}, "exclude", id="both cursors"),
        pytest.param({"count": "1", "limit": "10"}, "count cannot be combined", id="count with limit"),
        pytest.param({"count": "1", "sort": "saleID"}, "count cannot be combined", id="count with sort"),
        pytest.param({"load_relations": '["Employee"]'}, "not a relation of Sale", id="unknown relation"),
        pytest.param({"load_relations": "SaleLines"}, "JSON array", id="relations not JSON"),
        pytest.param({"colour": "red"}, "not a field of Sale", id="unknown filter"),
        pytest.param(
            {"updatetime": ">=,2026-03-01T00:00:00 00:00"},
            "not a time value",
            id="a plus sign that became a space",
        ),
        pytest.param(
            {"saleID": "IN," + ",".join(map(str, range(101)))}, "at most 100", id="IN with 101 values"
        ),
        pytest.param({"updatetime": ">=,"}, "needs a value", id="a range without a value"),
        pytest.param({"archived": "maybe"}, "archived must be", id="archived"),
        pytest.param(
            {"SaleLines.itemID": "3"}, "load the relation", id="filter on a relation that is not loaded"
        ),
    ],
)
def test_a4_a5_a_list_is_refused(till, params, sentence):
    status, message = refusal(till.call("GET", "Sale", params))
    assert 400 == status
    assert sentence in message


def test_a4_a_limit_over_100_may_be_clamped(own):
    own.switch(limit_over_100="clamp")
    assert 100 == len(own.rows("Sale", limit="250", archived="true"))


def test_a4_count_has_no_records(till):
    assert {"@attributes": {"count": str(len(raw(till)))}} == till.get("Sale", count="1", archived="true")


def test_a4_an_empty_list_has_no_key_and_one_row_is_an_object(till):
    assert {"@attributes": {"next": "", "previous": ""}} == till.get("Tag")
    assert dict is type(till.get("Shop", shopID="1")["Shop"])


@pytest.mark.parametrize(
    ("entity", "sorts"),
    [
        ("SaleLine", "saleLineID timeStamp saleID"),
        ("SalePayment", "salePaymentID timeStamp saleID"),
        ("SaleVoid", "saleVoidID saleID"),
        ("Customer", "customerID timeStamp firstName lastName"),
        ("CreditAccount", "creditAccountID timeStamp customerID"),
        ("Item", "itemID timeStamp description"),
        ("ItemShop", "itemShopID timeStamp"),
        ("Category", "categoryID timeStamp leftNode rightNode"),
        ("Manufacturer", "manufacturerID timeStamp name"),
        ("Employee", "employeeID timeStamp"),
        ("TaxCategory", "taxCategoryID timeStamp"),
        ("Discount", "discountID timeStamp"),
        ("Tag", "tagID name"),
        ("Serialized", "serializedID timeStamp serial"),
        ("Workorder", "workorderID timeStamp"),
        ("Shop", "shopID"),
        ("Register", "registerID"),
        ("PaymentType", "paymentTypeID"),
        ("CustomerType", "customerTypeID"),
    ],
)
def test_a4_a_resource_sorts_by(till, entity, sorts):
    assert {200} == {till.call("GET", entity, {"sort": sort}).status for sort in sorts.split()}
    assert 400 == till.call("GET", entity, {"sort": "archived"}).status


# ---- A5: filters ----


def kept(till: Counter, test) -> list[int]:
    return sorted(row["saleID"] for row in raw(till) if test(row))


FEB = "2026-02-01T00:00:00+00:00"
MAY = "2026-05-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("params", "test"),
    [
        pytest.param(
            {"completed": "true", "voided": "false"},
            lambda s: s["completed"] and not s["voided"],
            id="equals",
        ),
        pytest.param({"shopID": "=,2"}, lambda s: s["shopID"] == 2, id="="),
        pytest.param({"shopID": "!=,2"}, lambda s: s["shopID"] != 2, id="!="),
        pytest.param({"saleID": "IN,3,5,7"}, lambda s: s["saleID"] in {3, 5, 7}, id="IN"),
        pytest.param({"saleID": "IN,[3,5,7]"}, lambda s: s["saleID"] in {3, 5, 7}, id="IN with brackets"),
        pytest.param({"total": ">,1000"}, lambda s: float(s["total"]) > 1000, id=">"),
        pytest.param({"total": "<=,0"}, lambda s: float(s["total"]) <= 0, id="<="),
        pytest.param({"updatetime": f">=,{FEB}"}, lambda s: s["updatetime"] >= FEB, id=">= on a time"),
        pytest.param(
            {"updateTime": f"<,{FEB}"}, lambda s: s["updatetime"] < FEB, id="< in the other spelling"
        ),
        pytest.param(
            {"completeTime": f"><,{FEB},{MAY}"},
            lambda s: FEB <= (s["completeTime"] or "") <= MAY,
            id="between",
        ),
        pytest.param(
            {"updatetime": ">=,2026-01-31T19:00:00-0500"}, lambda s: s["updatetime"] >= FEB, id="an offset"
        ),
        pytest.param(
            {"updatetime": ">=,2026-02-01T00:00:00-00:00"}, lambda s: s["updatetime"] >= FEB, id="-00:00"
        ),
        pytest.param({"updatetime": ">=,2026-02-01T00:00:00Z"}, lambda s: s["updatetime"] >= FEB, id="Z"),
        pytest.param(
            {"ticketNumber": "~,%0000012"}, lambda s: s["ticketNumber"].endswith("0000012"), id="like"
        ),
        pytest.param({"ticketNumber": "!~,22%"}, lambda s: False, id="not like"),
        pytest.param(
            {"or": "shopID=1|total=>,2000"}, lambda s: s["shopID"] == 1 or float(s["total"]) > 2000, id="or"
        ),
        pytest.param(
            {"or": "shopID%3D1|shopID%3D3"}, lambda s: s["shopID"] in {1, 3}, id="or, encoded twice"
        ),
        pytest.param(
            {"customerID": "0", "shopID": "1"}, lambda s: not s["customerID"] and s["shopID"] == 1, id="two"
        ),
        pytest.param(
            {"load_relations": REL, "SaleLines.itemID": "0"},
            lambda s: any(not line["itemID"] for line in s["SaleLines"]),
            id="on a loaded relation",
        ),
    ],
)
def test_a5_a_filter_keeps(till, params, test):
    assert kept(till, test) == sorted(ids(till, archived="true", **params))


@pytest.mark.parametrize("sort", ["saleID", "-updatetime", "completeTime"])
def test_a5_a_filter_and_a_sort_agree(till, sort):
    expected = kept(till, lambda s: FEB <= s["updatetime"] < MAY and s["shopID"] == 2)
    found = till.all_rows(
        "Sale", archived="true", sort=sort, limit="7", shopID="2", updatetime=f"><,{FEB},2026-04-30T23:59:59Z"
    )
    assert expected == sorted(int(row["saleID"]) for row in found)


@pytest.mark.parametrize(
    ("archived", "test"),
    [
        (None, lambda c: not c["archived"]),
        ("false", lambda c: not c["archived"]),
        ("true", lambda c: True),
        ("only", lambda c: c["archived"]),
    ],
)
def test_a5_archived_is_hidden_unless_asked_for(till, archived, test):
    params = {"archived": archived} if archived else {}
    expected = [row["customerID"] for row in raw(till, "Customer") if test(row)]
    assert expected == ids(till, "Customer", **params)
    assert any(row["archived"] for row in raw(till, "Customer"))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"Contact.email": "maren@example.com"}, ["Maren"]),
        ({"Contact.email": "~,%@EXAMPLE.com"}, ["Maren", "Ilse"]),
        ({"Contact.email": "!~,"}, ["Maren", "Ilse"]),
        ({"Contact.mobile": "518 555 0142"}, ["Maren"]),
        ({"Contact.phoneHome": "518 555 0142"}, []),
        ({"Contact.phoneWork": "518 555 0199"}, ["Ilse"]),
        ({"or": "Contact.email=ilse@example.com|Contact.mobile=518 555 0142"}, ["Maren", "Ilse"]),
        ({"firstName": "maren"}, ["Maren"]),
    ],
)
def test_a5_contact_aliases_filter_customers_when_contact_is_loaded(params, expected):
    till = empty_account(switches={"burst": False})
    for name, phone, use in (("Maren", "518 555 0142", "Mobile"), ("Ilse", "518 555 0199", "Work")):
        contact = {
            "Emails": {"ContactEmail": {"address": f"{name.lower()}@example.com", "useType": "Primary"}},
            "Phones": {"ContactPhone": {"number": phone, "useType": use}},
        }
        till.write("POST", "Customer", {"firstName": name, "Contact": contact})
    till.write("POST", "Customer", {"firstName": "Nobody"})
    assert expected == [c["firstName"] for c in till.rows("Customer", load_relations='["Contact"]', **params)]
    if "or" not in params and "firstName" not in params:
        assert 400 == till.call("GET", "Customer", params).status


def test_a5_like_without_a_wildcard_is_a_switch(own):
    found = {}
    for position in ("equal", "prefix"):
        own.switch(like_without_wildcard=position)
        found[position] = len(own.rows("Sale", ticketNumber="~,22000000000", archived="true"))
    assert {"equal": 0, "prefix": 9} == found


def test_a5_credit_accounts_take_only_equals_and_hide_gift_cards(till):
    assert 400 == till.call("GET", "CreditAccount", {"balance": "<,0"}).status
    assert {"false"} == {row["giftCard"] for row in till.rows("CreditAccount")}
    assert {"true"} == {row["giftCard"] for row in till.rows("CreditAccount", giftCard="true")}


def test_a5_item_code_finds_upc_ean_and_id(till):
    item = next(row for row in raw(till, "Item") if row["upc"] and not row["archived"])
    assert [str(item["itemID"])] == [row["itemID"] for row in till.rows("Item", itemCode=item["upc"])]
    assert 400 == till.call("GET", "Item", {"itemCode": "~,1%"}).status


@pytest.mark.parametrize(
    ("entity", "relations"),
    [
        ("Sale", "SaleLines SaleLines.Discount SaleLines.TaxClass SaleLines.Note SaleLines.Item"),
        ("Sale", "SaleLines.InventorySales SaleNotes SalePayments SalePayments.PaymentType"),
        (
            "Sale",
            "SalePayments.CCCharge SalePayments.SaleAccounts SalePayments.Signatures ShipTo ShipTo.Contact",
        ),
        ("Sale", "Customer Customer.Contact Discount TaxCategory TaxCategory.TaxCategoryClasses Quote"),
        ("SaleLine", "Discount TaxClass TaxCategory Note Item InventorySales"),
        ("SalePayment", "PaymentType CCCharge SaleAccounts Signatures ProcessingFees"),
        ("Customer", "Contact CustomerType Discount Note TaxCategory CreditAccount Tags CustomFieldValues"),
        ("Customer", "CustomFieldValues.value"),
        ("CustomerType", "Discount TaxCategory TaxCategory.TaxCategoryClasses"),
        ("CreditAccount", "Contact WithdrawalPayments"),
        ("Item", "Category TaxClass ItemAttributes ItemAttributes.ItemAttributeSet Manufacturer Note Images"),
        ("Item", "ItemShops ItemVendorNums ItemComponents ItemECommerce TagRelations TagRelations.Tag"),
        ("Item", "CustomFieldValues ItemPrices"),
        ("Shop", "Contact ReceiptSetup TaxCategory ShelfLocations Registers CCGateway PriceLevel"),
        ("Employee", "Contact EmployeeRole EmployeeRole.EmployeeRights EmployeeRights"),
        ("TaxCategory", "TaxCategoryClasses TaxCategoryClasses.TaxClass"),
        ("Category", "Parent"),
    ],
)
def test_a5_a_resource_has_these_relations(till, entity, relations):
    for name in relations.split():
        assert 200 == till.call("GET", entity, {"load_relations": json.dumps([name]), "limit": "3"}).status, (
            name
        )


def test_a5_nothing_is_loaded_that_was_not_asked_for(till):
    assert {"SaleLines", "SalePayments", "Customer", "SaleNotes"}.isdisjoint(till.get("Sale/1")["Sale"])


def test_a5_all_never_includes_custom_field_values(till):
    owner = next(row for row in raw(till, "Customer") if row["CustomFieldValues"])
    customer = till.get(f"Customer/{owner['customerID']}", load_relations="all")["Customer"]
    assert "Contact" in customer
    assert "CustomFieldValues" not in customer


def test_a5_all_can_run_out_of_memory(own):
    own.switch(all_relations_fail=True)
    assert 500 == own.call("GET", "Sale", {"load_relations": "all"}).status


def test_a12_a_feed_may_lose_changes(own):
    own.switch(feed_drop_percent=30)
    everything = ids(own, archived="true")
    feed = ids(own, archived="true", updatetime=">=,2000-01-01T00:00:00Z", sort="updatetime")
    assert set(feed) < set(everything)
    assert feed == ids(own, archived="true", updatetime=">=,2000-01-01T00:00:00Z", sort="updatetime")


def test_the_sub_endpoint_lists_the_lines_of_one_sale(till):
    sale = next(row for row in raw(till) if len(row["SaleLines"]) > 1)
    rows = till.rows(f"Sale/{sale['saleID']}/SaleLine")
    assert [line["saleLineID"] for line in sale["SaleLines"]] == [int(row["saleLineID"]) for row in rows]


def test_filters_must_be_encoded_to_survive(till):
    query = urlencode({"updatetime": f">=,{FEB}", "archived": "true", "count": "1"})
    assert ">=" not in query
    counted = json.loads(till.call_url("GET", f"/API/V3/Account/190001/Sale.json?{query}").body)
    assert str(len(kept(till, lambda s: s["updatetime"] >= FEB))) == counted["@attributes"]["count"]

"""How the Lightspeed simulator spells its answers, fact by fact (fact sheet A1, A6, A7, A8, A11)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lightspeed_counter import busy_account, empty_account, many

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
SALE_RELATIONS = '["Customer.Contact","SaleLines.Item","SalePayments.PaymentType","SaleNotes","TaxCategory"]'
CUSTOMER_RELATIONS = '["Contact","CustomerType","Note","CreditAccount","Tags","CustomFieldValues"]'


@pytest.fixture(scope="module")
def till():
    return busy_account()


@pytest.fixture
def own():
    return empty_account(switches={"burst": False})


def scalars(value: Any) -> set[type]:
    if isinstance(value, dict):
        return {t for v in value.values() for t in scalars(v)}
    if isinstance(value, list):
        return {t for v in value for t in scalars(v)}
    return {type(value)}


# ---- A1: paths, formats ----


def test_a1_the_account_is_listed_wrapped_and_read_flat(till):
    listed = json.loads(till.call_url("GET", "/API/V3/Account.json").body)
    flat = json.loads(till.call_url("GET", "/API/V3/Account/190001.json").body)
    assert "190001" == listed["Account"]["accountID"]
    assert {"systemCustomerID": "190001"} == flat["@attributes"]
    assert "Account" not in flat
    assert "USD" == flat["defaultCurrency"]["code"]


@pytest.mark.parametrize("path", ["/API/V3/Session.json", "/API/Session.json"])
def test_a1_the_session_tells_who_granted_with_a_local_time(till, path):
    session = json.loads(till.call_url("GET", path).body)
    assert ("1", "190001") == (session["employeeID"], session["systemCustomerID"])
    assert session["Employee"]["checkedInAt"].endswith("-05:00")


def test_a1_slashes_are_escaped_and_text_is_ascii(own):
    own.write("POST", "Customer", {"firstName": "Zoë", "lastName": "</script>"})
    body = own.call("GET", "Customer").body
    assert b'"firstName":"Zo\\u00eb","lastName":"<\\/script>"' in body
    assert "</script>" == json.loads(body)["Customer"]["lastName"]


def test_a1_pretty_print_changes_the_spacing_only(till):
    pretty = till.call("GET", "Shop", {"pretty_print": "1"}).body
    assert b'\n  "Shop"' in pretty
    assert b"US\\/Eastern" in pretty
    assert till.get("Shop") == json.loads(pretty)


@pytest.mark.parametrize(
    ("path", "accept", "expected"),
    [
        (".json", "application/json", 200),
        (".json", "*/*", 200),
        ("", "application/json", 200),
        (".json", "application/xml", 406),
        ("", "*/*", 406),
    ],
)
def test_a1_accept_beats_the_suffix_and_xml_is_not_spoken_here(till, path, accept, expected):
    assert expected == till.call_url("GET", f"/API/V3/Account/190001/Shop{path}", accept=accept).status


@pytest.mark.parametrize(
    ("method", "resource", "expected"),
    [
        ("GET", "Nonsense", 404),
        ("GET", "Sale/999999", 404),
        ("POST", "Shop", 405),
        ("DELETE", "Register/1", 405),
        ("PUT", "Sale", 405),
        ("POST", "SalePayment", 405),
        ("GET", "Sale/1/refund", 405),
    ],
)
def test_a1_a_path_or_verb_that_does_not_exist(till, method, resource, expected):
    assert expected == till.call(method, resource).status


def test_a1_older_versions_and_other_accounts_are_not_served(till):
    assert 404 == till.call_url("GET", "/API/Account/190001/Sale.json").status
    assert 404 == till.call_url("GET", "/API/V3/Account/1/Sale.json").status


# ---- A6, A7: values ----


@pytest.mark.parametrize(
    ("resource", "relations"),
    [
        ("Sale", SALE_RELATIONS),
        ("Customer", CUSTOMER_RELATIONS),
        ("Item", '["ItemShops","Category","Manufacturer"]'),
    ],
)
def test_a7_1_every_scalar_is_a_string(till, resource, relations):
    assert {str} == scalars(till.get(resource, load_relations=relations, archived="true"))


def test_a6_times_are_utc_in_whole_seconds(till):
    for sale in till.rows("Sale", archived="true"):
        times = [
            sale[name] for name in ("createTime", "timeStamp", "updatetime", "completeTime") if name in sale
        ]
        assert all(TIME.fullmatch(time) for time in times)


def test_a6_dob_is_the_shops_midnight_in_utc_and_absent_when_unknown(till):
    customers = till.all_rows("Customer", archived="true")
    hours = {c["dob"][11:13] for c in customers if "dob" in c}
    assert any("dob" not in c for c in customers)
    assert {"04", "05"} & hours, "west of Greenwich"
    assert {"15", "22", "23"} & hours, "east of Greenwich: the day before in UTC"


def test_a7_2_a_child_collection_is_an_object_an_array_or_missing(till):
    shapes = {
        type(sale.get("SaleLines", {}).get("SaleLine")).__name__
        for sale in till.all_rows("Sale", archived="true", load_relations='["SaleLines"]')
    }
    assert {"dict", "list", "NoneType"} == shapes


def test_a7_2_or_blank_by_switch():
    till = busy_account(sales=120, customers=80)
    till.switch(empty_collections="blank")
    sales = till.all_rows("Sale", archived="true", load_relations='["SaleLines"]')
    assert "" in [sale["SaleLines"] for sale in sales if isinstance(sale["SaleLines"], str)]
    assert all("SaleLines" in sale for sale in sales)


def test_a7_4_empty_containers_are_the_empty_string(own):
    own.write("POST", "Customer", {"firstName": "Ann"})
    customer = own.get("Customer", load_relations='["Contact","Tags"]')["Customer"]
    assert ("", "", "", "", "") == (
        customer["Tags"],
        *(customer["Contact"][name] for name in ("Addresses", "Phones", "Emails", "Websites")),
    )


def test_a7_4_a_relation_without_a_target_is_absent(till):
    walk_in = next(s for s in till.all_rows("Sale", load_relations='["Customer"]') if s["customerID"] == "0")
    assert "Customer" not in walk_in


def test_a7_6_decimals_have_no_trailing_zeros(till):
    amounts = {
        line[name]
        for sale in till.all_rows("Sale", load_relations='["SaleLines"]')
        for line in many(sale.get("SaleLines", {}), "SaleLine")
        for name in ("unitPrice", "calcTotal", "calcTax1", "discountPercent")
    }
    assert all(re.fullmatch(r"-?\d+(\.\d*[1-9])?", amount) for amount in amounts)
    assert any(len(amount.partition(".")[2]) > 2 for amount in amounts), "lines are unrounded"


@pytest.mark.parametrize("spelling", ["updatetime", "updateTime"])
def test_a7_8_updatetime_has_two_spellings(own, spelling):
    own.switch(updatetime_key_spelling=spelling)
    sale = own.write("POST", "Sale", {"employeeID": 1, "registerID": 1, "shopID": 1})
    assert [spelling] == [name for name in sale if name.lower() == "updatetime"]


def test_a7_10_a_customer_looks_different_inside_a_sale(till):
    sale = next(s for s in till.all_rows("Sale", load_relations='["Customer.Contact"]') if "Customer" in s)
    inside = sale["Customer"]
    outside = till.get(f"Customer/{inside['customerID']}", load_relations='["Contact"]')["Customer"]
    assert {"contactID", "noteID", "employeeID"} <= inside.keys()
    assert {"contactID", "noteID", "employeeID"}.isdisjoint(outside)
    assert inside["Contact"]["contactID"] == inside["contactID"]
    assert "contactID" not in outside["Contact"]


def test_a7_12_an_empty_address_echoes_as_one_of_empty_strings(own):
    echo = own.write("POST", "Customer", {"firstName": "Ann"})
    [address] = [echo["Contact"]["Addresses"]["ContactAddress"]]
    assert {""} == set(address.values())


def test_a7_14_error_bodies_are_json_in_text_html(till):
    response = till.call("GET", "Employee/999999")
    assert "text/html; charset=UTF-8" == response.headers["Content-Type"]
    assert {
        "httpCode": "404",
        "httpMessage": "Not Found",
        "message": "Object of type 'Employee' not found with primary ID '999999'.",
        "errorClass": "Exception",
    } == json.loads(response.body)


def test_a11_some_400s_only_mean_try_again_later(own):
    own.switch(random_try_again_every=3)
    answers = [own.call("GET", "Shop") for _ in range(6)]
    assert [200, 200, 400] * 2 == [answer.status for answer in answers]
    assert "try again later" in json.loads(answers[2].body)["message"]


# ---- A8: records ----


def keys(row: dict[str, Any]) -> list[str]:
    return list(row)


def test_a8_1_a_customer_has_its_fields_relations_and_stamps_in_this_order(own):
    own.control("POST", "add", {"entity": "CustomField", "fields": {"type": "string", "name": "Ring size"}})
    own.control("POST", "add", {"entity": "CustomerType", "fields": {"name": "Club"}})
    body = {
        "firstName": "Maren",
        "dob": "1984-11-03T05:00:00+00:00",
        "customerTypeID": 1,
        "CreditAccount": {"name": "Maren"},
        "Note": {"note": "left-handed"},
        "Tags": {"tag": ["vip", "league"]},
        "CustomFieldValues": {"CustomFieldValue": {"customFieldID": 1, "value": "52"}},
    }
    own.write("POST", "Customer", body)
    row = own.get("Customer", load_relations=CUSTOMER_RELATIONS)["Customer"]
    expected = (
        "firstName lastName dob title company companyRegistrationNumber vatNumber "
        "creditAccountID customerTypeID discountID taxCategoryID "
        "Contact CustomerType CreditAccount Note Tags CustomFieldValues "
        "customerID createTime timeStamp archived"
    )
    assert expected.split() == keys(row)
    assert {"tag": ["vip", "league"]} == row["Tags"]
    assert "Ring size" == row["CustomFieldValues"]["CustomFieldValue"]["name"]
    assert {"creditAccountID", "balance", "creditLimit", "timeStamp"} == row["CreditAccount"].keys()
    assert {"email", "phone", "gender"}.isdisjoint(row)


def test_a8_1_custom_fields_are_listed_below_customer(till):
    rows = till.rows("Customer/CustomField")
    assert {"customFieldID", "type", "name", "uom", "decimalPrecision", "archived", "default"} == rows[
        0
    ].keys()
    assert rows[0] == till.get("Customer/CustomField/1")["CustomField"]


def test_a8_2_a_sale_has_these_fields(till):
    sale = till.get("Sale/1", load_relations=SALE_RELATIONS)["Sale"]
    assert keys(sale)[:2] == ["saleID", "timeStamp"]
    assert keys(sale)[-1] == "taxTotal"
    assert "22" + f"{1:010}" == sale["ticketNumber"]
    expected = (
        "discountPercent completed archived voided enablePromotions isTaxInclusive createTime updatetime "
        "completeTime referenceNumber tax1Rate tax2Rate change displayableSubtotal calcDiscount calcTotal "
        "calcSubtotal calcTaxable calcNonTaxable calcTax1 calcTax2 calcPayments calcTips total totalDue "
        "displayableTotal balance customerID employeeID registerID shopID taxCategoryID"
    )
    assert set(expected.split()) <= sale.keys()


def test_a8_2_an_open_sale_has_no_complete_time(own):
    sale = own.write("POST", "Sale", {"employeeID": 1, "registerID": 1, "shopID": 1})
    assert "completeTime" not in sale


def test_a8_4_a_payment_shows_no_time_stamp_but_sorts_by_it(till):
    rows = till.rows("SalePayment", sort="-timeStamp")
    assert {"timeStamp"}.isdisjoint(rows[0])
    assert sorted((row["createTime"] for row in rows), reverse=True) == [row["createTime"] for row in rows]


def test_a8_5_a_void_has_these_fields_and_no_time_to_sort_by(till):
    [row, *_] = till.rows("SaleVoid")
    assert ["saleVoidID", "createTime", "reason", "saleID", "employeeID", "shopID"] == keys(row)
    assert 400 == till.call("GET", "SaleVoid", {"sort": "createTime"}).status


def test_a8_6_an_item_always_has_its_prices(till):
    item = till.rows("Item")[0]
    assert {"amount", "useTypeID", "useType"} == item["Prices"]["ItemPrice"][0].keys()
    assert "ItemShops" not in item
    assert item["systemSku"].startswith("21")


def test_a8_6_stock_of_shop_0_is_the_sum_of_the_shops(till):
    for item in till.rows("Item", load_relations='["ItemShops"]'):
        stock = {row["shopID"]: int(row["qoh"]) for row in item["ItemShops"]["ItemShop"]}
        assert stock.pop("0") == sum(stock.values())


def test_a8_8_gift_card_codes_are_masked_without_the_scope(till):
    codes = {row["code"] for row in till.rows("CreditAccount", giftCard="true")}
    assert not any("*" in code for code in codes)
    till.switch(employee_rights="employee:customers")
    masked = {row["code"] for row in till.rows("CreditAccount", giftCard="true")}
    till.switch(employee_rights="employee:all")
    assert {"*" * 10 + code[-4:] for code in codes} == masked


@pytest.mark.parametrize(("negative", "sign"), [(True, -1), (False, 1)])
def test_a8_8_the_sign_of_a_credit_is_a_switch(negative, sign):
    till = busy_account(sales=60, customers=60)
    till.switch(credit_is_negative=negative)
    till.control("POST", "ring-one", {"kind": "gift_card", "amount": 100})
    card = till.rows("CreditAccount", giftCard="true", sort="-creditAccountID")[0]
    assert str(100 * sign) == card["balance"]


def test_a8_10_the_display_template_loads_everything_by_itself(till):
    sale = till.get("DisplayTemplate/Sale/1")["Sale"]
    assert {"Employee", "Register", "Shop", "SaleLines", "SalePayments"} <= sale.keys()


@pytest.mark.parametrize("resource", ["Serialized", "Workorder", "Tag"])
def test_a8_this_retailer_has_none_of(till, resource):
    assert {"@attributes": {"next": "", "previous": ""}} == till.get(resource)

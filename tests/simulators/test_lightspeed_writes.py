"""What the Lightspeed simulator does with writes, fact by fact (fact sheet A8.1, A8.3, A9, A10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from lightspeed_counter import NOW, Counter, empty_account, many, refusal

MOBILE = {"number": "518 555 0142", "useType": "Mobile"}
HOME = {"number": "518 555 0111", "useType": "Home"}
PRIMARY = {"address": "maren@example.com", "useType": "Primary"}
ADDRESS = {"address1": "14 Pinehurst Ln", "city": "Albany", "state": "New York", "zip": "12203"}
STAFF = {"employeeID": 1, "registerID": 1, "shopID": 1}


@pytest.fixture
def till():
    """A shop that sells a glove for 38 and a ring for 100."""
    counter = empty_account(switches={"bucket": False, "burst": False})
    for name, price in (("Glove, L", 38), ("Ring", 100)):
        counter.write("POST", "Item", {"description": name, "Prices": {"ItemPrice": {"amount": price}}})
    counter.clock.advance(60)
    return counter


def maren(till: Counter, **more: Any) -> dict[str, Any]:
    contact = {
        "noEmail": False,
        "Phones": {"ContactPhone": [MOBILE, HOME]},
        "Emails": {"ContactEmail": [PRIMARY]},
        "Addresses": {"ContactAddress": ADDRESS},
    }
    return till.write(
        "POST", "Customer", {"firstName": "Maren", "lastName": "Oduya", "Contact": contact, **more}
    )


def contact(till: Counter, customer: dict[str, Any]) -> dict[str, Any]:
    return till.get(f"Customer/{customer['customerID']}", load_relations='["Contact"]')["Customer"]["Contact"]


def phones(till: Counter, customer: dict[str, Any]) -> dict[str, str]:
    held = contact(till, customer)["Phones"] or {}
    return {row["useType"]: row["number"] for row in many(held, "ContactPhone")} if held else {}


# ---- customers ----


def test_a10_whoever_is_created_without_saying_so_has_opted_out(till):
    echo = till.write("POST", "Customer", {"firstName": "Ann"})
    flags = {name: echo["Contact"][name] for name in ("noEmail", "noPhone", "noMail")}
    assert {"noEmail": "true", "noPhone": "true", "noMail": "true"} == flags
    assert "false" == maren(till)["Contact"]["noEmail"]


def test_a10_two_customers_may_share_everything(till):
    assert maren(till)["customerID"] != maren(till)["customerID"]


def test_a1_what_is_absent_stays_and_what_is_empty_is_cleared(till):
    customer = maren(till, company="Oduya Design", title="Owner", dob="1984-11-03T05:00:00+00:00")
    echo = till.write("PUT", f"Customer/{customer['customerID']}", {"company": "", "title": None, "dob": ""})
    assert ("Maren", "", "") == (echo["firstName"], echo["company"], echo["title"])
    assert "dob" not in echo
    assert {"Mobile": MOBILE["number"], "Home": HOME["number"]} == phones(till, customer)


def test_a12_a_contact_edit_moves_the_customers_time_stamp(till):
    customer = maren(till)
    till.clock.advance(60)
    till.write(
        "PUT", f"Customer/{customer['customerID']}", {"Contact": {"Emails": {"ContactEmail": PRIMARY}}}
    )
    after = till.get(f"Customer/{customer['customerID']}")["Customer"]
    assert customer["timeStamp"] < after["timeStamp"]
    assert customer["createTime"] == after["createTime"]


@pytest.mark.parametrize(
    ("replace", "sent", "expected"),
    [
        pytest.param(
            False,
            {"ContactPhone": {"number": "1", "useType": "Mobile"}},
            {"Mobile": "1", "Home": HOME["number"]},
            id="a slot is upserted",
        ),
        pytest.param(
            False,
            {"ContactPhone": [{"number": "", "useType": "Home"}]},
            {"Mobile": MOBILE["number"]},
            id="an empty number clears its slot",
        ),
        pytest.param(False, "", {}, id="an empty collection clears all"),
        pytest.param(
            True,
            {"ContactPhone": {"number": "1", "useType": "Work"}},
            {"Work": "1"},
            id="or the others are lost",
        ),
    ],
)
def test_a10_a_partial_contact(till, replace, sent, expected):
    till.switch(contact_replace=replace)
    customer = maren(till)
    till.write("PUT", f"Customer/{customer['customerID']}", {"Contact": {"Phones": sent}})
    assert expected == phones(till, customer)
    assert PRIMARY == contact(till, customer)["Emails"]["ContactEmail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a7_11_an_echo_may_show_the_customer_alone(till, method):
    customer = maren(till)
    till.switch(customer_echo_bare=True)
    path = "Customer" if method == "POST" else f"Customer/{customer['customerID']}"
    echo = till.write(method, path, {"lastName": "Oduya"}, load_relations='["Contact","Note"]')
    assert ("Oduya", []) == (echo["lastName"], [name for name in echo if name[0].isupper()])


def test_a10_an_unknown_use_type_is_refused(till):
    body = {"firstName": "A", "Contact": {"Phones": {"ContactPhone": {"number": "1", "useType": "Boat"}}}}
    assert 400 == till.call("POST", "Customer", body=body).status


def test_a8_1_custom_fields_are_set_and_removed_one_by_one(till):
    for name in ("Ring size", "Member no"):
        till.control("POST", "add", {"entity": "CustomField", "fields": {"type": "string", "name": name}})
    customer = maren(till)
    path = f"Customer/{customer['customerID']}"

    def put(*values: dict[str, Any]) -> dict[str, str]:
        body = {"CustomFieldValues": {"CustomFieldValue": list(values)}}
        echo = till.write("PUT", path, body, load_relations='["CustomFieldValues"]')
        return {v["name"]: v["value"] for v in many(echo.get("CustomFieldValues") or {}, "CustomFieldValue")}

    assert {"Ring size": "52"} == put({"customFieldID": 1, "value": "52"})
    assert {"Ring size": "52", "Member no": "A-1"} == put({"customFieldID": 2, "value": "A-1"})
    assert {"Member no": "A-1"} == put({"customFieldID": 1, "deleted": True})
    body = {"CustomFieldValues": {"CustomFieldValue": {"customFieldID": 1, "value": "x" * 65}}}
    assert 400 == till.call("PUT", path, body=body).status


def test_a8_8_a_credit_account_is_opened_and_archived_with_its_customer(till):
    customer = maren(till)
    echo = till.write(
        "PUT", f"Customer/{customer['customerID']}", {"CreditAccount": {"name": "Maren", "creditLimit": 0}}
    )
    account = f"CreditAccount/{echo['creditAccountID']}"
    assert customer["customerID"] == till.get(account)["CreditAccount"]["customerID"]
    till.write("DELETE", f"Customer/{customer['customerID']}")
    assert "true" == till.get(account)["CreditAccount"]["archived"]


def test_a10_delete_archives_and_put_revives(till):
    customer = maren(till)
    path = f"Customer/{customer['customerID']}"
    till.clock.advance(5)
    gone = till.write("DELETE", path)
    assert "true" == gone["archived"]
    assert customer["timeStamp"] < gone["timeStamp"]
    assert [] == till.rows("Customer")
    assert "false" == till.write("PUT", path, {"archived": False})["archived"]


def test_a10_anonymize_clears_the_person_and_keeps_notes_and_custom_fields(till):
    till.control("POST", "add", {"entity": "CustomField", "fields": {"type": "string", "name": "Ring size"}})
    customer = maren(
        till, Note={"note": "left-handed"}, CustomFieldValues=[{"customFieldID": 1, "value": "52"}]
    )
    path = f"Customer/{customer['customerID']}"
    till.write("DELETE", f"{path}/Anonymize")
    after = till.get(path, load_relations='["Contact","Note","CustomFieldValues"]')["Customer"]
    assert ("Customer", customer["customerID"], "true") == (
        after["firstName"],
        after["lastName"],
        after["archived"],
    )
    assert ("", "", "") == tuple(after["Contact"][name] for name in ("Phones", "Emails", "Addresses"))
    assert "left-handed" == after["Note"]["note"]
    assert "52" == after["CustomFieldValues"]["CustomFieldValue"]["value"]


@pytest.mark.parametrize(("position", "expected"), [("ignore", 200), ("refuse", 400)])
def test_unknown_fields_are_ignored_or_refused_by_switch(till, position, expected):
    till.switch(unknown_fields=position)
    assert expected == till.call("POST", "Customer", body={"firstName": "Ann", "colour": "red"}).status


# ---- customer types, categories, items ----


def test_a12_a_customer_type_is_deleted_for_good_and_named_once(till):
    made = till.write("POST", "CustomerType", {"name": "Club"})
    assert "already exists" in refusal(till.call("POST", "CustomerType", body={"name": "Club"}))[1]
    assert (400, "name cannot be blank.") == refusal(till.call("POST", "CustomerType", body={"name": ""}))
    till.write("DELETE", f"CustomerType/{made['customerTypeID']}")
    assert 404 == till.call("GET", f"CustomerType/{made['customerTypeID']}").status


def test_a8_6_categories_are_a_nested_set(till):
    rings = till.write("POST", "Category", {"name": "Rings"})
    gold = till.write("POST", "Category", {"name": "Gold", "parentID": rings["categoryID"]})
    places = {row["fullPathName"]: (row["leftNode"], row["rightNode"]) for row in till.rows("Category")}
    assert {"Rings": ("1", "4"), "Rings/Gold": ("2", "3")} == places
    assert 400 == till.call("DELETE", f"Category/{rings['categoryID']}").status
    till.write("DELETE", f"Category/{gold['categoryID']}")
    assert [("1", "2")] == [(row["leftNode"], row["rightNode"]) for row in till.rows("Category")]


def test_a11_an_item_needs_a_description(till):
    assert (400, "Item not created. An Item must have a description.") == refusal(
        till.call("POST", "Item", body={})
    )


def test_a8_6_an_item_is_archived_with_empty_stock_and_unarchived_without(till):
    till.control("POST", "edit", {"entity": "ItemShop", "id": 1, "fields": {"qoh": 4}})
    till.write("DELETE", "Item/1")
    assert ["Ring"] == [row["description"] for row in till.rows("Item")]
    item = till.write("PUT", "Item/1", {"archived": "false"})
    assert ("false", {"0"}) == (item["archived"], {row["qoh"] for row in item["ItemShops"]["ItemShop"]})


def test_a8_6_only_reorder_levels_of_stock_can_be_written(till):
    echo = till.write("PUT", "ItemShop/1", {"reorderPoint": 4, "reorderLevel": 20})
    assert ("4", "20") == (echo["reorderPoint"], echo["reorderLevel"])
    assert 400 == till.call("PUT", "ItemShop/1", body={"qoh": 9}).status


# ---- sales ----


def sell(till: Counter, *lines: dict[str, Any], pay: Any = None, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {**STAFF, "SaleLines": {"SaleLine": list(lines)}, **more}
    if pay is not None:
        body |= {"SalePayments": {"SalePayment": {"paymentTypeID": 1, "amount": pay}}, "completed": True}
    return till.write("POST", "Sale", body)


def test_a9_total_is_subtotal_less_discount_plus_tax(till):
    sale = sell(
        till,
        {"itemID": 1, "unitQuantity": 2, "discountPercent": "0.1"},
        {"unitPrice": 30, "Note": {"note": "Regrip"}},
    )
    expected = {"calcSubtotal": "106", "calcDiscount": "7.6", "calcTax1": "7.87", "total": "106.27"}
    assert expected == {name: sale[name] for name in expected}
    assert "106.27" == sale["balance"]


def test_a7_11_a_sale_echoes_with_its_surroundings(till):
    customer = maren(till)
    sale = sell(till, {"itemID": 1}, pay="41.04", customerID=customer["customerID"])
    assert {"Customer", "Shop", "TaxCategory", "SaleLines", "SalePayments"} <= sale.keys()
    assert "Cash" == sale["SalePayments"]["SalePayment"]["PaymentType"]["name"]


@pytest.mark.parametrize(
    "wrapped",
    [
        pytest.param({"SaleLine": [{"itemID": 1}, {"itemID": 2}]}, id="an object of an array"),
        pytest.param([{"SaleLine": {"itemID": 1}}, {"SaleLine": {"itemID": 2}}], id="an array of objects"),
    ],
)
def test_a10_both_wrappers_of_lines_are_accepted(till, wrapped):
    sale = till.write("POST", "Sale", {**STAFF, "SaleLines": wrapped})
    assert ["1", "2"] == [line["itemID"] for line in sale["SaleLines"]["SaleLine"]]


def test_a9_completing_needs_balance(till):
    body = {**STAFF, "completed": True, "SaleLines": {"SaleLine": {"itemID": 1}}}
    status, message = refusal(till.call("POST", "Sale", body=body))
    assert 400 == status
    assert "balance" in message
    assert [] == till.rows("Sale", archived="true"), "a refused sale leaves no trace"
    assert [] == till.rows("SaleLine")


def test_a9_cash_over_the_total_becomes_change(till):
    sale = sell(till, {"itemID": 1}, pay=50)
    assert ("41.04", "8.96") == (sale["SalePayments"]["SalePayment"]["amount"], sale["change"])


def test_a9_a_completed_sale_moves_stock_but_not_the_item(till):
    before = till.get("Item/1")["Item"]
    till.clock.advance(5)
    sell(till, {"itemID": 1, "unitQuantity": 3}, pay="123.12")
    after = till.get("Item/1", load_relations='["ItemShops"]')["Item"]
    assert before["timeStamp"] == after["timeStamp"]
    assert {"-3"} == {row["qoh"] for row in after["ItemShops"]["ItemShop"]}
    assert {True} == {row["timeStamp"] > after["timeStamp"] for row in after["ItemShops"]["ItemShop"]}
    assert "1" == till.get("Employee/1")["Employee"]["lastSaleID"]


def test_a10_a_put_appends_lines_and_changes_those_with_an_id(till):
    sale = sell(till, {"itemID": 1})
    line_id = sale["SaleLines"]["SaleLine"]["saleLineID"]
    body = {"SaleLines": {"SaleLine": [{"saleLineID": line_id, "unitQuantity": 5}, {"itemID": 2}]}}
    after = till.write("PUT", f"Sale/{sale['saleID']}", body)
    assert [("1", "5"), ("2", "1")] == [
        (x["itemID"], x["unitQuantity"]) for x in after["SaleLines"]["SaleLine"]
    ]
    assert "290" == after["calcSubtotal"]


def test_a10_a_refused_put_changes_nothing(till):
    sale = sell(till, {"itemID": 1})
    body = {"referenceNumber": "x", "SaleLines": {"SaleLine": [{"itemID": 2}, {"itemID": 99}]}}
    assert 400 == till.call("PUT", f"Sale/{sale['saleID']}", body=body).status
    after = till.get(f"Sale/{sale['saleID']}", load_relations='["SaleLines"]')["Sale"]
    assert ("", "1") == (after["referenceNumber"], after["SaleLines"]["SaleLine"]["itemID"])


def test_a10_sale_notes_are_upserted_without_an_id(till):
    sale = sell(till, {"itemID": 1})
    till.write("PUT", f"Sale/{sale['saleID']}", {"SaleNotes": {"InternalNote": {"note": "fit booked"}}})
    after = till.write("PUT", f"Sale/{sale['saleID']}", {"SaleNotes": {"PrintedNote": {"note": "Thank you"}}})
    assert ("fit booked", "Thank you") == tuple(
        after["SaleNotes"][n]["note"] for n in ("InternalNote", "PrintedNote")
    )


def test_a12_a_put_moves_the_time_stamp_of_an_open_sale_but_not_of_a_completed_one(till):
    opened, done = sell(till, {"itemID": 1}), sell(till, {"itemID": 1}, pay="41.04")
    till.clock.advance(60)
    moved = till.write("PUT", f"Sale/{opened['saleID']}", {"referenceNumber": "a"})
    frozen = till.write("PUT", f"Sale/{done['saleID']}", {"referenceNumber": "a"})
    assert opened["timeStamp"] < moved["timeStamp"]
    assert done["timeStamp"] == frozen["timeStamp"] < frozen["updatetime"]


def test_a9_a_completed_sale_may_change_its_customer_but_not_its_lines(till):
    customer = maren(till)
    done = sell(till, {"itemID": 1}, pay="41.04")
    path = f"Sale/{done['saleID']}"
    assert (
        customer["customerID"]
        == till.write("PUT", path, {"customerID": customer["customerID"]})["customerID"]
    )
    assert 400 == till.call("PUT", path, body={"SaleLines": {"SaleLine": {"itemID": 2}}}).status
    assert 400 == till.call("PUT", path, body={"completed": False}).status


def test_a12_back_dating_takes_the_time_stamp_along_and_never_goes_forward(till):
    done = sell(till, {"itemID": 1}, pay="41.04")
    path = f"Sale/{done['saleID']}"
    past = "2026-11-01T10:00:00+00:00"
    after = till.write("PUT", path, {"completeTime": past})
    assert (past, past) == (after["completeTime"], after["timeStamp"])
    assert past < after["updatetime"]
    future = (NOW + timedelta(days=1)).isoformat()
    assert "future" in refusal(till.call("PUT", path, body={"completeTime": future}))[1]


def test_a9_delete_cancels_an_open_sale_only(till):
    opened, done = sell(till, {"itemID": 1}), sell(till, {"itemID": 1}, pay="41.04")
    assert "true" == till.write("DELETE", f"Sale/{opened['saleID']}")["archived"]
    assert 400 == till.call("DELETE", f"Sale/{done['saleID']}").status
    assert [done["saleID"]] == [row["saleID"] for row in till.rows("Sale")]


# ---- refunds ----


def test_a9_a_refund_is_a_new_sale_linked_by_its_lines(till):
    customer = maren(till)
    done = sell(till, {"itemID": 1, "unitQuantity": 2}, pay="82.08", customerID=customer["customerID"])
    back = till.write(
        "POST",
        f"Sale/{done['saleID']}/refund",
        {**STAFF, "SalePayments": {"SalePayment": {"paymentTypeID": 1}}},
    )
    line, payment = back["SaleLines"]["SaleLine"], back["SalePayments"]["SalePayment"]
    assert done["saleID"] != back["saleID"]
    assert ("-2", done["SaleLines"]["SaleLine"]["saleLineID"]) == (
        line["unitQuantity"],
        line["parentSaleLineID"],
    )
    assert ("-82.08", "-82.08", "true") == (back["total"], payment["amount"], back["completed"])
    assert customer["customerID"] == back["customerID"]


def test_a9_a_refund_is_found_by_ticket_number_and_may_be_partial_and_open(till):
    done = sell(till, {"itemID": 1, "unitQuantity": 2}, pay="82.08")
    line = {"parentSaleLineID": done["SaleLines"]["SaleLine"]["saleLineID"], "unitQuantity": -1}
    body = {**STAFF, "SaleLines": {"SaleLine": line}, "completed": False}
    back = till.write("POST", f"Sale/{done['ticketNumber']}/refund", body)
    assert ("-41.04", "false", "-41.04") == (back["total"], back["completed"], back["balance"])


def test_a9_no_more_is_given_back_than_was_bought(till):
    done = sell(till, {"itemID": 1, "unitQuantity": 2}, pay="82.08")
    cash = {**STAFF, "SalePayments": {"SalePayment": {"paymentTypeID": 1}}}
    till.write("POST", f"Sale/{done['saleID']}/refund", cash)
    assert 400 == till.call("POST", f"Sale/{done['saleID']}/refund", body=cash).status


# ---- lines on their own ----


def test_a8_3_a_layaway_lives_on_no_sale_and_comes_home(till):
    customer = maren(till)
    line = till.write(
        "POST", "SaleLine", {"itemID": 2, "customerID": customer["customerID"], "isLayaway": True}
    )
    assert ("0", customer["customerID"]) == (line["saleID"], line["customerID"])
    body = {**STAFF, "SaleLines": {"SaleLine": {"saleLineID": line["saleLineID"]}}}
    assert 400 == till.call("POST", "Sale", body=body).status, "the customer must match"
    sale = till.write("POST", "Sale", {**body, "customerID": customer["customerID"]})
    assert line["saleLineID"] == sale["SaleLines"]["SaleLine"]["saleLineID"]
    assert sale["saleID"] == till.get(f"SaleLine/{line['saleLineID']}")["SaleLine"]["saleID"]


def test_a8_3_a_line_needs_a_sale_or_a_customer_to_wait_for(till):
    assert 400 == till.call("POST", "SaleLine", body={"itemID": 1}).status


def test_a8_3_making_a_line_a_layaway_takes_it_off_its_sale(till):
    customer = maren(till)
    sale = sell(till, {"itemID": 1}, {"itemID": 2}, customerID=customer["customerID"])
    first = sale["SaleLines"]["SaleLine"][0]["saleLineID"]
    line = till.write("PUT", f"SaleLine/{first}", {"isLayaway": True})
    assert ("0", customer["customerID"]) == (line["saleID"], line["customerID"])
    after = till.get(f"Sale/{sale['saleID']}", load_relations='["SaleLines"]')["Sale"]
    assert ("100", "2") == (after["calcSubtotal"], after["SaleLines"]["SaleLine"]["itemID"])


def test_a8_3_a_deleted_line_is_gone_and_echoes_its_sale(till):
    sale = sell(till, {"itemID": 1}, {"itemID": 2})
    first = sale["SaleLines"]["SaleLine"][0]["saleLineID"]
    echo = till.write("DELETE", f"Sale/{sale['saleID']}/SaleLine/{first}")
    assert (sale["saleID"], "100") == (echo["Sale"]["saleID"], echo["Sale"]["calcSubtotal"])
    assert 404 == till.call("GET", f"SaleLine/{first}").status


def test_a8_3_a_completed_sale_keeps_its_lines(till):
    sale = sell(till, {"itemID": 1}, pay="41.04")
    assert 400 == till.call("DELETE", f"SaleLine/{sale['SaleLines']['SaleLine']['saleLineID']}").status


@pytest.mark.parametrize("moves", [True, False])
def test_a12_whether_updatetime_moves_with_a_line_is_a_switch_and_the_time_stamp_never_does(till, moves):
    till.switch(updatetime_moves_on_children=moves)
    sale = sell(till, {"itemID": 1})
    till.clock.advance(60)
    till.write("POST", f"Sale/{sale['saleID']}/SaleLine", {"itemID": 2})
    after = till.get(f"Sale/{sale['saleID']}")["Sale"]
    assert sale["timeStamp"] == after["timeStamp"]
    assert moves == (sale["updatetime"] < after["updatetime"])
    assert "138" == after["calcSubtotal"]

"""Lightspeed's JSON becomes records: every oddity of it, one sentence each. All data is invented."""

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tillbridge.connectors.lightspeed_r import wire
from tillbridge.connectors.lightspeed_r.shapes import NotJson, Unreadable
from tillbridge.model.customer import anonymised
from tillbridge.model.records import Address, Email, Payment, Phone, SaleState

LINE = {
    "saleLineID": "20411",
    "createTime": "2026-03-02T17:58:52+00:00",
    "timeStamp": "2026-03-02T18:04:10+00:00",
    "unitQuantity": "2",
    "unitPrice": "38",
    "calcLineDiscount": "7.6",
    "calcTransactionDiscount": "0.25",
    "calcTotal": "73.872",
    "calcSubtotal": "76",
    "calcTax1": "5.472",
    "calcTax2": "0",
    "customerID": "0",
    "employeeID": "4",
    "itemID": "88",
    "parentSaleLineID": "0",
    "saleID": "7731",
    "Item": {
        "itemID": "88",
        "systemSku": "210000000088",
        "customSku": "GLV-L",
        "description": "Glove, L",
        "categoryID": "4",
    },
}
MISC = {
    "saleLineID": "20412",
    "unitQuantity": "1",
    "unitPrice": "30",
    "calcTotal": "29.16",
    "calcSubtotal": "30",
    "itemID": "0",
    "employeeID": "0",
    "parentSaleLineID": "0",
    "Note": {"noteID": "61", "note": "Regrip", "isPublic": "true"},
}
PAYMENT = {
    "salePaymentID": "8102",
    "amount": "103.03",
    "tipAmount": "2",
    "createTime": "2026-03-02T18:04:10+00:00",
    "archived": "false",
    "paymentTypeID": "1",
    "creditAccountID": "0",
    "PaymentType": {"paymentTypeID": "1", "name": "Cash", "type": "cash"},
}
SALE = {
    "saleID": "7731",
    "timeStamp": "2026-03-02T18:04:09+00:00",
    "completed": "true",
    "archived": "false",
    "voided": "false",
    "isTaxInclusive": "false",
    "createTime": "2026-03-02T17:58:40+00:00",
    "updatetime": "2026-03-02T18:04:12+00:00",
    "completeTime": "2026-03-02T18:04:09+00:00",
    "referenceNumber": "",
    "change": "0",
    "ticketNumber": "220000007731",
    "calcDiscount": "10.6",
    "calcTotal": "103.03",
    "calcSubtotal": "106",
    "calcTax1": "7.63",
    "calcTax2": "0",
    "calcPayments": "103.03",
    "calcTips": "2",
    "total": "103.03",
    "totalDue": "103.03",
    "customerID": "501",
    "employeeID": "3",
    "registerID": "2",
    "shopID": "1",
    "SaleLines": {"SaleLine": [LINE, MISC]},
    "SalePayments": {"SalePayment": PAYMENT},
    "SaleNotes": {
        "InternalNote": {"noteID": "70", "note": "fit booked"},
        "PrintedNote": {"note": "Thank you"},
    },
}
CUSTOMER = {
    "customerID": "501",
    "firstName": "Maren",
    "lastName": "Oduya",
    "dob": "1984-11-03T05:00:00+00:00",
    "title": "",
    "company": "Oduya Design",
    "archived": "false",
    "createTime": "2025-06-01T13:22:10+00:00",
    "timeStamp": "2026-02-11T16:20:31+00:00",
    "Contact": {
        "noEmail": "false",
        "noPhone": "true",
        "noMail": "true",
        "Addresses": {
            "ContactAddress": {
                "address1": "14 Pinehurst Ln",
                "address2": "",
                "city": "Albany",
                "zip": "12203",
            }
        },
        "Phones": {
            "ContactPhone": [
                {"number": "518 555 0142", "useType": "Mobile"},
                {"number": "518 555 0111", "useType": "Home"},
                {"number": "", "useType": "Work"},
            ]
        },
        "Emails": {"ContactEmail": {"address": "maren@example.com", "useType": "Primary"}},
        "Websites": "",
    },
    "CustomerType": {"customerTypeID": "2", "name": "Club member"},
    "Note": {"note": "prefers left-handed clubs"},
    "Tags": {"tag": ["vip", "league"]},
    "CustomFieldValues": {
        "CustomFieldValue": {"customFieldID": "6", "name": "Member no", "value": "A-1009", "deleted": "false"}
    },
}


def body(name, *rows, following=""):
    page = {"@attributes": {"next": following, "previous": ""}}
    if rows:
        page[name] = rows[0] if len(rows) == 1 else list(rows)
    # Their encoder escapes slashes.
    return json.dumps(page).replace("/", "\\/").encode()


def changed(row, **changes):
    found = copy.deepcopy(row) | changes
    return {key: value for key, value in found.items() if value is not ...}


def sale(**changes):
    return wire.read_sales(body("Sale", changed(SALE, **changes))).rows[0]


def customer(**changes):
    return wire.read_customers(body("Customer", changed(CUSTOMER, **changes))).rows[0]


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_whole_sale():
    read = sale()
    assert ("7731", "220000007731", SaleState.COMPLETED) == (read.id, read.ticket, read.state)
    assert ("1", "2", "3", "501") == (read.store_id, read.register_id, read.employee_id, read.customer_id)
    assert Decimal("103.03") == read.total == read.subtotal - read.discount + read.tax1 + read.tax2
    assert (moment("2026-03-02T17:58:40"), moment("2026-03-02T18:04:09"), moment("2026-03-02T18:04:12")) == (
        read.created_at,
        read.completed_at,
        read.changed_at,
    )
    assert ("fit booked", "Thank you", None) == (read.internal_note, read.printed_note, read.reference)
    product, misc = read.lines
    assert ("88", "4", "210000000088", "Glove, L", "4") == (
        product.product_id,
        product.employee_id,
        product.sku,
        product.description,
        product.category_id,
    )
    assert (Decimal("7.85"), Decimal("73.872")) == (product.discount, product.total)
    assert (None, None, None, "Regrip", "Regrip") == (
        misc.product_id,
        misc.employee_id,
        misc.sku,
        misc.description,
        misc.note,
    )
    paid = Payment(
        id="8102",
        amount=Decimal("103.03"),
        tip=Decimal(2),
        tender="Cash",
        tender_type="cash",
        paid_at=moment("2026-03-02T18:04:10"),
    )
    assert (paid,) == read.payments


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], [], id="no rows: the key is missing"),
        pytest.param([SALE], ["7731"], id="one row: an object"),
        pytest.param([SALE, changed(SALE, saleID="7732")], ["7731", "7732"], id="several rows: an array"),
    ],
)
def test_none_one_or_many_rows(rows, expected):
    assert expected == [row.id for row in wire.read_sales(body("Sale", *rows)).rows]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(..., 0, id="missing"),
        pytest.param("", 0, id="an empty string"),
        pytest.param(None, 0, id="null"),
        pytest.param([], 0, id="an empty array"),
        pytest.param({"SaleLine": ""}, 0, id="an empty string inside"),
        pytest.param({"SaleLine": LINE}, 1, id="one object"),
        pytest.param({"SaleLine": [LINE]}, 1, id="an array of one"),
        pytest.param({"SaleLine": [LINE, MISC]}, 2, id="an array"),
    ],
)
def test_none_one_or_many_children(lines, expected):
    assert expected == len(sale(SaleLines=lines).lines)


@pytest.mark.parametrize("empty", [..., "", None], ids=["missing", "an empty string", "null"])
def test_empty_containers(empty):
    read = sale(SalePayments=empty, SaleNotes=empty)
    assert ((), None, None) == (read.payments, read.internal_note, read.printed_note)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(("false", "false", "false"), SaleState.OPEN, id="open"),
        pytest.param(("true", "false", "false"), SaleState.COMPLETED, id="completed"),
        pytest.param(
            ("true", "false", "true"), SaleState.COMPLETED, id="completed, and archived however that came"
        ),
        pytest.param(
            ("false", "false", "true"), SaleState.CANCELLED, id="archived without completion: cancelled"
        ),
        pytest.param(("false", "true", "false"), SaleState.VOIDED, id="voided sets completed back to false"),
        pytest.param(("true", "true", "false"), SaleState.VOIDED, id="voided beats completed"),
        pytest.param(("false", "true", "true"), SaleState.VOIDED, id="voided beats archived"),
    ],
)
def test_sale_states(flags, expected):
    completed, voided, archived = flags
    assert expected is sale(completed=completed, voided=voided, archived=archived).state


@pytest.mark.parametrize(
    ("changes", "changed_at", "completed_at"),
    [
        pytest.param({}, "2026-03-02T18:04:12", "2026-03-02T18:04:09", id="as documented"),
        pytest.param(
            {"updatetime": ..., "updateTime": "2026-03-02T18:05:00+00:00"},
            "2026-03-02T18:05:00",
            "2026-03-02T18:04:09",
            id="the tutorials' spelling",
        ),
        pytest.param(
            {"updatetime": ..., "UpdateTime": "2026-03-02T18:05:00+00:00", "total": 103.03},
            "2026-03-02T18:05:00",
            "2026-03-02T18:04:09",
            id="nobody's spelling",
        ),
        pytest.param({"updatetime": ...}, "2026-03-02T18:04:09", "2026-03-02T18:04:09", id="no update time"),
        pytest.param(
            {"completeTime": ""}, "2026-03-02T18:04:12", "2026-03-02T18:04:09", id="frozen at completion"
        ),
        pytest.param(
            {"completed": "false", "completeTime": ...},
            "2026-03-02T18:04:12",
            None,
            id="an open sale is not complete",
        ),
        pytest.param(
            {"updatetime": "2026-03-02T13:04:12-0500"},
            "2026-03-02T18:04:12",
            "2026-03-02T18:04:09",
            id="an offset",
        ),
        pytest.param(
            {"updatetime": "2026-03-02T18:04:12Z"}, "2026-03-02T18:04:12", "2026-03-02T18:04:09", id="Zulu"
        ),
    ],
)
def test_the_times_of_a_sale(changes, changed_at, completed_at):
    read = sale(**changes)
    assert (moment(changed_at), completed_at and moment(completed_at)) == (read.changed_at, read.completed_at)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("11.4860025", "11.4860025", id="seven decimals stay"),
        pytest.param("-80", "-80", id="negative"),
        pytest.param("", "0", id="nothing said"),
        pytest.param("-0", "0", id="minus nothing"),
        pytest.param("1.5E+3", "1500", id="scientific"),
        pytest.param("1E-4", "0.0001", id="scientific and small"),
        pytest.param(73.872, "73.872", id="a real number, exactly"),
        pytest.param(0.1, "0.1", id="a real number that no float holds"),
        pytest.param(38, "38", id="an integer"),
    ],
)
def test_amounts_are_exact(value, expected):
    assert expected == str(sale(total=value, calcTotal=...).total)


@pytest.mark.parametrize("value", ["abc", "NaN", "Infinity", "1E+99999999", "1,000"])
def test_an_amount_that_is_none_is_refused_without_being_shown(value):
    with pytest.raises(Unreadable) as caught:
        sale(total=value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"<html>Bad Gateway</html>", id="an error page"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="an empty list"),
        pytest.param(b'"ok"', id="a word"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(body("Sale", SALE)[:-40], id="half an answer"),
        pytest.param(b"<?xml version='1.0'?><Sales/>", id="XML"),
        pytest.param(b'{"httpCode":"500","message":"no"}', id="an error under status 200"),
    ],
)
def test_what_is_no_list_is_never_taken_for_an_empty_one(damaged):
    with pytest.raises(NotJson):
        wire.read_sales(damaged)


def test_a_sale_without_its_id_is_not_read():
    with pytest.raises(Unreadable):
        sale(saleID=...)


def test_a_broken_letter_holds_nothing_up():
    assert (
        "Fjord\ufffd"
        == wire.read_stores(b'{"@attributes":{},"Shop":{"shopID":"1","name":"Fjord\xe9"}}').rows[0].name
    )


def test_unknown_keys_are_ignored():
    assert "7731" == sale(MetaData={"x": [1, 2]}, tippableAmount="3").id


def test_real_numbers_and_booleans_read_the_same():
    strict = {"total": "103.03", "completed": "true", "shopID": "1", "customerID": "501"}
    loose = {"total": 103.03, "completed": True, "shopID": 1, "customerID": 501}
    assert sale(**strict) == sale(**loose)


@pytest.mark.parametrize("value", ["0", "", ..., None])
def test_a_reference_of_zero_points_nowhere(value):
    read = sale(customerID=value, registerID=value, employeeID=value)
    assert (None, None, None) == (read.customer_id, read.register_id, read.employee_id)


def test_a_missing_ticket_number_is_made_as_the_till_makes_it():
    assert "220000007731" == sale(ticketNumber=...).ticket


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cash", "cash"),
        ("credit card", "card"),
        ("gift card", "gift_card"),
        ("credit account", "credit_account"),
        ("ecom", "ecom"),
        ("adjustment", "adjustment"),
        ("user defined", "other"),
        ("Credit Card", "card"),
        ("barter", "other"),
    ],
)
def test_tenders_are_known_by_their_type(kind, expected):
    payment = changed(PAYMENT, PaymentType={"name": "Something", "type": kind})
    assert expected == sale(SalePayments={"SalePayment": [payment]}).payments[0].tender_type


def test_a_payment_without_its_type_is_still_a_payment():
    read = sale(
        SalePayments={"SalePayment": changed(PAYMENT, PaymentType=..., paymentTypeID="9", archived="true")}
    )
    assert ("Payment type 9", "other", True) == (
        read.payments[0].tender,
        read.payments[0].tender_type,
        read.payments[0].archived,
    )


# --- gift cards


def bare(number, note="", **changes):
    return changed(
        MISC,
        saleLineID=str(number),
        unitPrice="0",
        calcTotal="0",
        calcSubtotal="0",
        Note={"note": note},
        **changes,
    )


def pay(number, amount, kind, *, archived="false", account="0"):
    return changed(
        PAYMENT,
        salePaymentID=str(number),
        amount=str(amount),
        archived=archived,
        creditAccountID=account,
        PaymentType={"name": kind, "type": kind},
    )


def linked(account):
    return {"SaleAccount": {"creditAccountID": account}}


@pytest.mark.parametrize(
    ("lines", "payments", "voided", "expected"),
    [
        pytest.param(
            [bare(1)], [pay(1, -100, "gift card"), pay(2, 100, "cash")], "false", ["1"], id="a card is sold"
        ),
        pytest.param(
            [LINE, bare(1)],
            [pay(1, -100, "gift card"), pay(2, 173.87, "credit card")],
            "false",
            ["1"],
            id="a card and goods",
        ),
        pytest.param([LINE], [pay(1, 73.87, "gift card")], "false", [], id="a card is redeemed"),
        pytest.param(
            [LINE, bare(1)],
            [pay(1, 73.87, "gift card")],
            "false",
            [],
            id="redeemed, with a line that costs nothing",
        ),
        pytest.param(
            [changed(LINE, unitQuantity="-1", parentSaleLineID="7", calcTotal="-38")],
            [pay(1, -38, "gift card")],
            "false",
            [],
            id="goods come back, the money goes onto a card",
        ),
        pytest.param(
            [bare(1), bare(2)],
            [pay(1, -50, "gift card"), pay(2, -50, "gift card"), pay(3, 100, "cash")],
            "false",
            ["1", "2"],
            id="two cards",
        ),
        pytest.param(
            [bare(1, "engraving, free"), bare(2, "Gift card")],
            [pay(1, -50, "gift card"), pay(2, 50, "cash")],
            "false",
            ["2"],
            id="the line that says so",
        ),
        pytest.param(
            [bare(1, SaleAccounts=linked("9")), bare(2, "gift wrap", SaleAccounts="")],
            [pay(1, -50, "gift card", account="9"), pay(2, 50, "cash")],
            "false",
            ["1"],
            id="the line that the sale links to the card",
        ),
        pytest.param(
            [bare(1)],
            [pay(1, -100, "gift card", archived="true"), pay(2, 100, "cash", archived="true")],
            "true",
            ["1"],
            id="a sold card, voided",
        ),
        pytest.param(
            [bare(1)],
            [pay(1, -100, "gift card", archived="true"), pay(2, 100, "cash", archived="true")],
            "false",
            [],
            id="a load that was taken back before completion",
        ),
        pytest.param(
            [bare(1)],
            [pay(1, -40, "credit account"), pay(2, 40, "cash")],
            "false",
            [],
            id="a deposit on a credit account is no gift card",
        ),
        pytest.param([bare(1)], [], "false", [], id="a free miscellaneous line"),
    ],
)
def test_which_lines_load_a_gift_card(lines, payments, voided, expected):
    read = sale(SaleLines={"SaleLine": lines}, SalePayments={"SalePayment": payments}, voided=voided)
    assert expected == [line.id for line in read.lines if line.gift_card]


# --- customers


def test_a_whole_customer():
    read = customer()
    assert ("Maren", "Oduya", "Oduya Design", None, "Club member") == (
        read.first_name,
        read.last_name,
        read.company,
        read.title,
        read.type,
    )
    assert moment("1984-11-03T05:00:00") == read.birth_midnight
    assert read.birth_date is None
    assert (Email("primary", "maren@example.com"),) == read.emails
    assert (Phone("home", "518 555 0111"), Phone("mobile", "518 555 0142")) == read.phones
    assert Address(street="14 Pinehurst Ln", city="Albany", zip="12203") == read.address
    assert (False, True, True) == (read.no_email, read.no_phone, read.no_mail)
    assert ({"Member no": "A-1009"}, ("vip", "league")) == (read.custom, read.tags)
    assert "prefers left-handed clubs" == read.note


@pytest.mark.parametrize(
    "contact",
    [
        pytest.param(..., id="no contact"),
        pytest.param("", id="an empty one"),
        pytest.param({"Addresses": "", "Phones": "", "Emails": ""}, id="empty containers"),
        pytest.param(
            {"Addresses": {"ContactAddress": {"address1": "", "city": "", "stateCode": ""}}},
            id="an address of blanks",
        ),
    ],
)
def test_a_customer_who_says_nothing(contact):
    read = customer(Contact=contact)
    assert (None, (), ()) == (read.address, read.phones, read.emails)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        pytest.param("", (), id="none"),
        pytest.param({"tag": "vip"}, ("vip",), id="one"),
        pytest.param({"tag": ["vip", "league"]}, ("vip", "league"), id="several"),
        pytest.param({"Tag": {"tagID": "3", "name": "vip"}}, ("vip",), id="an object"),
        pytest.param({"Tag": [{"tagID": "3", "name": "vip"}, {"name": "new"}]}, ("vip", "new"), id="objects"),
    ],
)
def test_tags_of_any_shape(tags, expected):
    assert expected == customer(Tags=tags).tags


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"name": "Size", "value": "54"}, {"Size": "54"}, id="a text"),
        pytest.param({"name": "Size", "value": 54}, {"Size": "54"}, id="a number"),
        pytest.param(
            {"name": "Size", "value": {"name": "Large", "customFieldChoiceID": "3"}},
            {"Size": "Large"},
            id="a choice",
        ),
        pytest.param(
            {"name": "Size", "value": [{"name": "S"}, {"name": "M"}]}, {"Size": "S; M"}, id="several choices"
        ),
        pytest.param({"name": "Size", "value": ""}, {}, id="empty"),
        pytest.param({"name": "Size", "value": "54", "deleted": "true"}, {}, id="deleted"),
    ],
)
def test_custom_fields(value, expected):
    assert expected == customer(CustomFieldValues={"CustomFieldValue": value}).custom


@pytest.mark.parametrize("last", ["[501]", "501"])
def test_an_anonymised_customer_is_told_as_such(last):
    read = customer(firstName="Customer", lastName=last, archived="true")
    assert anonymised(read)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("Fairway &amp; Sons", "Fairway & Sons", id="an entity"),
        pytest.param("O&#39;Hara", "O'Hara", id="a numbered entity"),
        pytest.param("R&D; copy", "R&D; copy", id="an ampersand of their own"),
        pytest.param("  Oduya ", "Oduya", id="blanks around"),
        pytest.param(" ", None, id="nothing but a blank"),
        pytest.param('say "hi" \\ / bye', 'say "hi" \\ / bye', id="quotes and slashes"),
    ],
)
def test_texts(value, expected):
    assert expected == customer(company=value).company


# --- catalog and places


def test_an_item_with_its_stock():
    row = {
        "itemID": "88",
        "systemSku": "210000000088",
        "description": "Glove, L",
        "customSku": "GLV-L",
        "upc": "",
        "defaultCost": "18",
        "itemType": "default",
        "archived": "false",
        "timeStamp": "2026-01-20T09:12:00+00:00",
        "Category": {"name": "Gloves", "fullPathName": "Apparel/Gloves"},
        "Manufacturer": {"name": "Halden"},
        "Prices": {
            "ItemPrice": [{"amount": "38", "useType": "Default"}, {"amount": "42", "useType": "MSRP"}]
        },
        "ItemShops": {
            "ItemShop": [
                {"itemID": "88", "shopID": "1", "qoh": "14", "sellable": "13", "reorderPoint": "4"},
                {"itemID": "88", "shopID": "0", "qoh": "14", "sellable": "14"},
            ]
        },
    }
    ((product, stock),) = wire.read_products(body("Item", row)).rows
    assert ("GLV-L", None, "Apparel/Gloves", "Halden") == (
        product.custom_sku,
        product.upc,
        product.category,
        product.maker,
    )
    assert (Decimal(38), Decimal(42), Decimal(18)) == (product.price, product.list_price, product.cost)
    assert [("1", Decimal(14), Decimal(13))] == [(s.store_id, s.on_hand, s.sellable) for s in stock]


def test_the_all_shops_total_is_no_stock_but_its_stamp_counts():
    rows = [
        {"itemID": "88", "shopID": "0", "qoh": "14", "timeStamp": "2026-01-20T09:12:02+00:00"},
        {"itemID": "88", "shopID": "2", "qoh": "-3", "timeStamp": "2026-01-20T09:12:00+00:00"},
    ]
    listing = wire.read_stock(body("ItemShop", *rows))
    assert [("2", Decimal(-3))] == [(row.store_id, row.on_hand) for row in listing.rows]
    assert moment("2026-01-20T09:12:02") == listing.high


def test_places_and_people():
    shop = {
        "shopID": "1",
        "name": "Albany",
        "timeZone": "US/Eastern",
        "TaxCategory": {"isTaxInclusive": "true"},
    }
    (store,) = wire.read_stores(body("Shop", shop)).rows
    assert ("US/Eastern", True) == (store.time_zone, store.tax_inclusive)
    (register,) = wire.read_registers(
        body("Register", {"registerID": "2", "shopID": "1", "name": "Front"})
    ).rows
    assert ("2", "1") == (register.id, register.store_id)
    rows = [
        {"employeeID": "3", "lockOut": "true"},
        {"employeeID": "4", "archived": "true"},
        {"employeeID": "5"},
    ]
    assert [False, False, True] == [row.active for row in wire.read_employees(body("Employee", *rows)).rows]


def test_categories_are_known_by_their_path():
    rows = [{"categoryID": "4", "name": "Gloves", "fullPathName": "Apparel/Gloves"}]
    assert [("4", "Apparel/Gloves")] == wire.read_categories(body("Category", *rows)).rows


def test_accounts():
    assert ["190001"] == wire.read_account_ids(
        b'{"@attributes":{"count":"1"},"Account":{"accountID":"190001","name":"F"}}'
    )
    flat = b'{"@attributes":{"systemCustomerID":"190001"},"name":"F","defaultCurrency":{"code":"USD"}}'
    assert wire.AccountFacts("F", "USD") == wire.read_account(flat)


def test_the_stamp_of_a_page_is_its_newest():
    rows = [
        SALE,
        changed(SALE, updatetime="2026-03-02T18:04:11+00:00", timeStamp="2026-03-05T00:00:00+00:00"),
    ]
    assert moment("2026-03-02T18:04:12") == wire.read_sales(body("Sale", *rows)).high
    assert moment("2026-03-05T00:00:00") == wire.read_sales_by_time_stamp(body("Sale", *rows)).high
    assert wire.read_sales(body("Sale")).high is None

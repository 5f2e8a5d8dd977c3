"""What is sent of a customer, and what its slots say: no I/O."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tillbridge.connectors.lightspeed_r import writing
from tillbridge.model.records import Address, Customer, Email, Phone
from tillbridge.model.writing import TILL_SLOTS

BORN = datetime(1984, 11, 3, 5, tzinfo=UTC)
MAREN = Customer(
    id="501",
    first_name="Maren",
    last_name="Oduya",
    company="Oduya Design",
    birth_midnight=BORN,
    emails=(Email("primary", "maren@example.com"), Email("secondary", "m@example.org")),
    phones=(Phone("home", "518 555 0111"), Phone("mobile", "518 555 0142")),
    address=Address(
        street="14 Pinehurst Ln",
        street2="Unit 2",
        city="Albany",
        state="New York",
        state_code="NY",
        zip="12203",
    ),
    no_phone=True,
)
EMAILS = [
    {"address": "maren@example.com", "useType": "Primary"},
    {"address": "m@example.org", "useType": "Secondary"},
]
HOME = {"number": "518 555 0111", "useType": "Home"}
MOBILE = {"number": "518 555 0142", "useType": "Mobile"}
PLACE = {
    "address1": "14 Pinehurst Ln",
    "address2": "Unit 2",
    "city": "Albany",
    "state": "New York",
    "stateCode": "NY",
    "zip": "12203",
    "country": "",
    "countryCode": "",
}


def contact(**parts):
    reached = {
        "Emails": {"ContactEmail": EMAILS},
        "Phones": {"ContactPhone": [HOME, MOBILE]},
        "Addresses": {"ContactAddress": PLACE},
    }
    return {"Contact": reached | parts}


def test_every_slot_is_read():
    shown = writing.slots_of(MAREN)
    assert list(TILL_SLOTS) == list(shown)
    assert {
        "first_name": "Maren",
        "last_name": "Oduya",
        "company": "Oduya Design",
        "email": "maren@example.com",
        "secondary_email": "m@example.org",
        "home_phone": "518 555 0111",
        "mobile_phone": "518 555 0142",
        "birth_date": BORN,
        "street": "14 Pinehurst Ln\nUnit 2",
        "city": "Albany",
        "state": "New York",
        "state_code": "NY",
        "zip": "12203",
        "no_email": False,
        "no_phone": True,
        "no_mail": False,
    } == {name: value for name, value in shown.items() if value is not None}


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        pytest.param({"company": "New"}, {"company": "New"}, id="of the customer itself, only what differs"),
        pytest.param({"company": None}, {"company": ""}, id="an empty text clears"),
        pytest.param({"birth_date": None}, {"dob": ""}, id="a birthday is cleared too"),
        pytest.param(
            {"birth_date": BORN + timedelta(days=1)},
            {"dob": "1984-11-04T05:00:00+00:00"},
            id="a birthday is an instant",
        ),
        pytest.param({"no_mail": True}, {"Contact": {"noMail": True}}, id="a flag travels alone"),
        pytest.param(
            {"no_phone": True, "company": "Oduya Design"}, {}, id="what is there already is not sent"
        ),
        pytest.param(
            {"work_phone": "1"},
            contact(Phones={"ContactPhone": [HOME, {"number": "1", "useType": "Work"}, MOBILE]}),
            id="a new number takes all other numbers, e-mails and the address along",
        ),
        pytest.param(
            {"home_phone": None},
            contact(Phones={"ContactPhone": [{"number": "", "useType": "Home"}, MOBILE]}),
            id="an emptied slot is sent empty",
        ),
        pytest.param(
            {"email": "new@example.com"},
            contact(
                Emails={"ContactEmail": [{"address": "new@example.com", "useType": "Primary"}, EMAILS[1]]}
            ),
            id="an e-mail",
        ),
        pytest.param(
            {"zip": "12204"}, contact(Addresses={"ContactAddress": PLACE | {"zip": "12204"}}), id="a zip code"
        ),
        pytest.param(
            {"street": "1 Elm St"},
            contact(Addresses={"ContactAddress": PLACE | {"address1": "1 Elm St", "address2": ""}}),
            id="a street of one line empties the second",
        ),
        pytest.param(
            {"street": "1 Elm St\nFloor 2\nDoor 3"},
            contact(
                Addresses={"ContactAddress": PLACE | {"address1": "1 Elm St", "address2": "Floor 2, Door 3"}}
            ),
            id="a third line joins the second",
        ),
        pytest.param(
            {"state": "Ohio"},
            contact(Addresses={"ContactAddress": PLACE | {"state": "Ohio", "stateCode": ""}}),
            id="another state drops the code of the old one",
        ),
        pytest.param(
            {"state": "NEW YORK"},
            contact(Addresses={"ContactAddress": PLACE | {"state": "NEW YORK"}}),
            id="the same state spelt otherwise keeps it",
        ),
        pytest.param(
            {"state": "Ohio", "state_code": "OH"},
            contact(Addresses={"ContactAddress": PLACE | {"state": "Ohio", "stateCode": "OH"}}),
            id="a state with its code",
        ),
    ],
)
def test_a_change(slots, expected):
    assert expected == writing.changed_body(MAREN, writing.as_kept(slots))


def test_the_last_number_and_an_address_are_emptied():
    base = Customer(id="1", phones=(Phone("home", "1"),), address=Address(city="Albany"))
    body = writing.changed_body(base, writing.as_kept({"home_phone": None, "city": None}))
    assert {
        "Phones": {"ContactPhone": [{"number": "", "useType": "Home"}]},
        "Addresses": {"ContactAddress": dict.fromkeys(PLACE, "")},
    } == body["Contact"]


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        pytest.param(
            {"last_name": "Oduya"},
            {"lastName": "Oduya", "Contact": {"noEmail": False, "noPhone": False, "noMail": False}},
            id="opt-outs are named, or the till would take everybody for opted out",
        ),
        pytest.param(
            {"last_name": "Oduya", "company": None, "no_email": True},
            {"lastName": "Oduya", "Contact": {"noEmail": True, "noPhone": False, "noMail": False}},
            id="an opt-out stays one, what is empty is not sent",
        ),
        pytest.param(
            {"email": "m@example.com", "mobile_phone": "1", "city": "Albany"},
            {
                "Contact": {
                    "noEmail": False,
                    "noPhone": False,
                    "noMail": False,
                    "Emails": {"ContactEmail": [{"address": "m@example.com", "useType": "Primary"}]},
                    "Phones": {"ContactPhone": [{"number": "1", "useType": "Mobile"}]},
                    "Addresses": {"ContactAddress": dict.fromkeys(PLACE, "") | {"city": "Albany"}},
                }
            },
            id="how to reach them",
        ),
    ],
)
def test_a_new_customer(slots, expected):
    assert expected == writing.new_body(writing.as_kept(slots))


@pytest.mark.parametrize(
    ("slot", "value", "expected"),
    [
        pytest.param("city", "  Albany ", "Albany", id="trimmed"),
        pytest.param("city", " ", None, id="blank is empty"),
        pytest.param("company", "Oduya &amp; Sons", "Oduya & Sons", id="an entity is what it stands for"),
        pytest.param("street", "\n1 Elm St \r\n\nFloor 2", "1 Elm St\nFloor 2", id="lines of a street"),
        pytest.param("street", " \n ", None, id="no street"),
        pytest.param("no_mail", None, False, id="a flag is never empty"),
        pytest.param(
            "birth_date",
            datetime(1984, 11, 3, 6, 0, 0, 7, tzinfo=timezone(timedelta(hours=1))),
            BORN,
            id="an instant in UTC and whole seconds",
        ),
    ],
)
def test_a_wanted_value_is_compared_as_it_will_be_read(slot, value, expected):
    assert {slot: expected} == writing.as_kept({slot: value})


def test_a_slot_that_there_is_none_of_is_our_mistake():
    with pytest.raises(ValueError, match="nickname"):
        writing.as_kept({"nickname": "Mo"})


@pytest.mark.parametrize(
    ("now", "slots", "expected"),
    [
        pytest.param({}, {"company": "New"}, False, id="as we knew it"),
        pytest.param({"company": "Other"}, {"company": "New"}, True, id="somebody changed that slot"),
        pytest.param({"company": "New"}, {"company": "New"}, False, id="it shows already what it shall show"),
        pytest.param({"company": "Other"}, {"title": "Dr"}, False, id="somebody changed another slot"),
        pytest.param({"archived": True}, {"title": "Dr"}, True, id="it has been archived since"),
    ],
)
def test_moved(now, slots, expected):
    shown = Customer(**{name: getattr(MAREN, name) for name in MAREN.__struct_fields__} | now)
    assert expected == writing.moved(MAREN, shown, slots)


FILTERS = ["Contact.phoneHome", "Contact.phoneWork", "Contact.mobile", "Contact.pager", "Contact.fax"]


def test_an_email_and_a_number_are_one_question():
    [request] = writing.search_requests("7", ["a+x@example.com"], ["+1 (518) 1|2"])
    operands = ["Contact.email=a%2Bx@example.com", *(f"{name}=%2B1 (518) 1%7C2" for name in FILTERS)]
    assert ("|".join(operands), "true", '["Contact"]') == (
        request.get("or"),
        request.get("archived"),
        request.get("load_relations"),
    )
    assert "or=Contact.email%3Da%252Bx%40example.com%7CContact" in request.url("https://x")
    assert 1.2 + 6 == request.cost


def test_many_are_asked_for_field_by_field_which_is_cheaper():
    email, *phones = writing.search_requests("7", ["a@example.com", "b@example.com"], ["1", "2"])
    assert "Contact.email=a@example.com|Contact.email=b@example.com" == email.get("or")
    assert [f"{name}=1|{name}=2" for name in FILTERS] == [request.get("or") for request in phones]
    assert {1.2} == {request.cost for request in (email, *phones)}


def test_blank_ones_and_too_many_are_no_question():
    assert [] == writing.search_requests("7", [" "], [])
    asked = writing.search_requests("7", [f"{n}@example.com" for n in range(41)], [])
    assert [20, 20, 1] == [request.get("or").count("=") for request in asked]


def test_what_a_write_costs_is_told_before_it_is_sent():
    body = writing.changed_body(MAREN, writing.as_kept({"work_phone": "1"}))
    request = writing.change_request("7", "501", body)
    # A contact, three numbers, two e-mails, an address.
    assert ("PUT", "Account/7/Customer/501.json", 1 + 7 * 0.5) == (request.method, request.path, request.cost)
    assert body == json.loads(request.body)
    assert "PUT Customer" == request.label


def test_an_id_that_is_no_number_goes_into_no_address():
    with pytest.raises(ValueError, match="number"):
        writing.archive_request("7", "1/Anonymize")

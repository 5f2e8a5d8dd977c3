"""What a customer record means."""

from datetime import UTC, date, datetime

import pytest

from tillbridge.model.customer import anonymised, customer_facts, nameless
from tillbridge.model.records import Address, Customer, Email, Phone


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"first_name": "Maren", "last_name": "Oduya"}, ("Maren", "Oduya", "Maren Oduya"), id="both names"
        ),
        pytest.param({"first_name": "Maren"}, (None, "Maren", "Maren"), id="a last name must exist"),
        pytest.param({"last_name": "Oduya"}, (None, "Oduya", "Oduya"), id="no first name"),
        pytest.param(
            {"company": "Kestrel BV"}, (None, "Kestrel BV", "Kestrel BV"), id="a company that buys as itself"
        ),
        pytest.param({}, (None, "Customer 501", "Customer 501"), id="nothing at all"),
    ],
)
def test_somebody_is_always_called_something(given, expected):
    facts = customer_facts(Customer(id="501", **given), ["US/Eastern"], "US")

    assert expected == (facts.first_name, facts.last_name, facts.name)


def test_everything_the_till_knows():
    facts = customer_facts(
        Customer(
            id="501",
            first_name="Maren",
            last_name="Oduya",
            company="Oduya Design",
            type="Club member",
            birth_midnight=datetime(1984, 11, 2, 23, tzinfo=UTC),
            emails=(Email("primary", " maren@example.com "), Email("secondary", "m@example.org")),
            phones=(
                Phone("mobile", "06 5512 3456"),
                Phone("home", "ask  husband"),
                Phone("work", "+1 518 555 0142"),
            ),
            address=Address(
                street="Kerkstraat 1",
                street2="hs",
                city="Utrecht",
                zip="3511 AB",
                country="Netherlands",
                country_code="NL",
            ),
        ),
        ["US/Eastern", "Europe/Amsterdam"],
        "US",
    )

    assert facts.birth_date == date(1984, 11, 3)
    assert (facts.email, facts.secondary_email) == ("maren@example.com", "m@example.org")
    assert facts.mobile_phone == "+31655123456"  # dialled where the address is
    assert facts.work_phone == "+15185550142"
    assert facts.home_phone == "ask husband"  # kept as typed: it may help a person
    assert facts.street == "Kerkstraat 1\nhs"
    assert facts.company_or_name == "Oduya Design"


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"VIP": "true", "Ring size": "52.5"}, "Ring size: 52.5\nVIP: true", id="sorted by name"),
        pytest.param({"Likes": "silver,\n  gold"}, "Likes: silver, gold", id="one line each"),
    ],
)
def test_the_tills_own_fields_are_told_in_lines(custom, expected):
    facts = customer_facts(Customer(id="501", custom=custom), ["US/Eastern"], "US")

    assert expected == facts.custom_text


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("Customer", "[501]", True),
        ("Customer", "501", True),
        ("Customer", "Oduya", False),
        ("Maren", "[501]", False),
    ],
)
def test_what_the_tills_erasure_left_is_no_name(first, last, expected):
    customer = Customer(id="501", first_name=first, last_name=last)

    assert expected == anonymised(customer) == nameless(customer)

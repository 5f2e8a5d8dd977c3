"""Numbers and addresses in one spelling."""

import pytest

from tillbridge.model.countries import country_code
from tillbridge.model.emails import fold_email, well_formed
from tillbridge.model.phones import e164


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("518 555 0142", "US", "+15185550142"),
        ("(518) 555-0142", "US", "+15185550142"),
        ("1-518-555-0142", "US", "+15185550142"),
        ("518.555.0142 x204", "US", "+15185550142"),
        ("+31 (0)6 5512 3456", "US", "+31655123456"),
        ("06-55123456", "NL", "+31655123456"),
        ("0031655123456", "NL", "+31655123456"),
        ("+61 491 570 156", None, "+61491570156"),
        ("518 555 0142", None, None),
        ("n/a", "US", None),
        ("12", "US", None),
        ("", "US", None),
    ],
)
def test_e164(number, region, expected):
    assert expected == e164(number, region)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (" Maren@Example.COM ", "maren@example.com"),
        ("two words@example.com", "twowords@example.com"),
        ("first.last@example.com", "first.last@example.com"),
        ("none", None),
        (None, None),
    ],
)
def test_fold_email(address, expected):
    assert expected == fold_email(address)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("maren@example.com", True),
        ("maren+ring@mail.example.co.uk", True),
        ("maren@example", False),
        ("maren@", False),
        ("@example.com", False),
        ("two words@example.com", False),
        ("zoë@example.com", False),
        ("none", False),
    ],
)
def test_well_formed(address, expected):
    assert expected == well_formed(address)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Netherlands", "NL"),
        (" nederland ", "NL"),
        ("us", "US"),
        ("United States", "US"),
        ("U.S.A.", "US"),
        ("Atlantis", None),
    ],
)
def test_country_code(name, expected):
    assert expected == country_code(name)

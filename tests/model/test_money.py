"""Cents: half up, and shares that always add up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillbridge.model.money import cents, distribute

D = Decimal


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0.005", "0.01"),
        ("0.004999", "0.00"),
        ("-0.005", "-0.01"),
        ("11.4860025", "11.49"),
        ("80", "80.00"),
        ("2.675", "2.68"),
    ],
)
def test_cents_round_half_away_from_zero(amount, expected):
    assert expected == str(cents(D(amount)))


def test_cents_are_never_minus_zero():
    assert str(cents(D("-0.001"))) == "0.00"


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        pytest.param("103.03", ["73.872", "29.16"], ["73.87", "29.16"], id="rounding each adds up already"),
        pytest.param(
            "30.01", ["10.004", "10.004", "10.002"], ["10.01", "10.00", "10.00"], id="a cent is missing"
        ),
        pytest.param("1.00", ["0.335", "0.665"], ["0.34", "0.66"], id="a cent too many"),
        pytest.param("-1.00", ["-0.335", "-0.665"], ["-0.34", "-0.66"], id="a refund"),
        pytest.param("0.00", ["10.005", "-10.004"], ["10.00", "-10.00"], id="an exchange of equal goods"),
        pytest.param("10.00", ["0", "9.999"], ["0.00", "10.00"], id="a line of nothing stays nothing"),
        pytest.param("0.00", ["0", "0"], ["0.00", "0.00"], id="nothing at all"),
        pytest.param("1.00", ["0", "0", "0"], ["0.34", "0.33", "0.33"], id="no shares to go by: evenly"),
        pytest.param(
            "50.00", ["100", "100"], ["25.00", "25.00"], id="a large difference is spread in proportion"
        ),
    ],
)
def test_distribute(total, weights, expected):
    assert [D(text) for text in expected] == distribute(D(total), [D(weight) for weight in weights])


def test_distribute_to_nobody():
    assert distribute(D(5), []) == []


amounts = st.decimals(min_value=-10_000, max_value=10_000, places=7)


@given(
    total=st.decimals(min_value=-10_000, max_value=10_000, places=2),
    weights=st.lists(amounts, min_size=1, max_size=12),
)
def test_shares_always_add_up(total, weights):
    shares = distribute(total, weights)

    assert sum(shares) == total
    assert all(share == share.quantize(D("0.01")) for share in shares)


@given(weights=st.lists(amounts, min_size=1, max_size=12))
def test_a_share_is_never_a_whole_cent_off(weights):
    shares = distribute(cents(sum(weights)), weights)

    assert all(abs(share - weight) <= D("0.015") for share, weight in zip(shares, weights, strict=True))

"""The Lightspeed simulator's limits and prices, fact by fact (fact sheet A3)."""

from __future__ import annotations

import json

import pytest
from lightspeed_counter import Counter, busy_account, empty_account

WORKED_EXAMPLE = json.dumps(
    ["SaleLines", "SalePayments", "SalePayments.PaymentType", "Customer", "Customer.Contact"]
)


@pytest.fixture
def till():
    counter = empty_account()
    counter.log_in()
    return counter


def cost(till: Counter, method: str, resource: str, params: dict | None = None, body: object = None) -> str:
    return till.call(method, resource, params, body).headers["X-LS-Api-Request-Cost"]


def level(till: Counter) -> str:
    return till.call("GET", "Shop").headers["X-LS-Api-Bucket-Level"]


# ---- the bucket ----


@pytest.mark.parametrize(
    ("registers", "size", "drip", "burst"),
    [(1, 90, "1", 20), (2, 100, "1.5", 22), (3, 110, "2", 24)],
)
def test_a3_the_bucket_grows_with_the_subscription(registers, size, drip, burst):
    headers = empty_account(registers=registers).call("GET", "Shop").headers
    assert (f"1/{size}", drip) == (headers["X-LS-Api-Bucket-Level"], headers["X-LS-Api-Drip-Rate"])
    assert f"1/{burst}" == headers["X-LS-API-Burst-Level"]


def test_a3_every_answer_carries_the_headers(till):
    headers = till.call("GET", "Shop").headers
    assert {
        "X-LS-Acct-Id": "190001",
        "X-LS-Oauth-Client-Id": "30417",
        "X-LS-Api-Bucket-Level": "1/90",
        "X-LS-API-Burst-Level": "1/20",
        "X-LS-Api-Drip-Rate": "1",
        "X-LS-Api-Request-Cost": "1",
    } == {name: value for name, value in headers.items() if name.startswith("X-LS")}
    assert "Retry-After" not in headers


def test_a3_the_level_drips_on_the_simulators_clock(till):
    for _ in range(5):
        till.call("GET", "Shop")
    till.clock.advance(2.5)
    assert "3.5/90" == level(till)


def test_a3_the_first_overflow_is_served_and_the_next_is_not(till):
    till.switch(burst=False)
    for _ in range(8):
        till.call("GET", "Sale", {"count": "1"})
    for _ in range(9):
        till.call("GET", "Shop")
    overflow = till.call("GET", "Sale", {"count": "1"})
    assert (200, "99/90") == (overflow.status, overflow.headers["X-LS-Api-Bucket-Level"])
    refused = till.call("GET", "Shop")
    assert (429, "api-leaky-bucket", "10") == (
        refused.status,
        refused.headers["X-LS-API-RateLimit-Type"],
        refused.headers["Retry-After"],
    )
    till.clock.advance(int(refused.headers["Retry-After"]))
    assert 200 == till.call("GET", "Shop").status


def test_a3_a_refused_request_costs_nothing_and_is_told_in_the_envelope(till):
    till.switch(burst=False)
    for _ in range(9):
        till.call("GET", "Sale", {"count": "1"})
    refused = till.call("GET", "Shop")
    assert "90/90" == refused.headers["X-LS-Api-Bucket-Level"]
    assert "429" == json.loads(refused.body)["httpCode"]


def test_a3_the_burst_window_is_one_second(till):
    statuses = [till.call("GET", "Shop").status for _ in range(21)]
    refused = till.call("GET", "Shop")
    assert [200] * 20 + [429] == statuses
    assert ("api-burst-limiter", "1") == (
        refused.headers["X-LS-API-RateLimit-Type"],
        refused.headers["Retry-After"],
    )
    assert "burst rate limit exceeded" in json.loads(refused.body)["message"]
    till.clock.advance(1)
    assert 200 == till.call("GET", "Shop").status


def test_a3_a_request_without_a_token_is_not_counted(till):
    till.token, token = "nonsense", till.token
    till.call("GET", "Shop")
    till.token = token
    assert "1/90" == level(till)


def test_a3_gift_cards_are_looked_up_once_a_second(till):
    lookup = {"giftCard": "true", "code": "12345678"}
    assert [200, 429] == [till.call("GET", "CreditAccount", lookup).status for _ in range(2)]
    till.clock.advance(1)
    assert 200 == till.call("GET", "CreditAccount", lookup).status


def test_a3_the_control_api_tells_who_spent_what(till):
    till.call("GET", "Shop")
    till.call("GET", "Sale", {"load_relations": '["SaleLines"]'})
    usage = till.control("GET", "usage")
    assert {"GET Shop": 1.0, "GET Sale": 1.4} == usage["drips"]["by_resource"]
    assert (2, 2.4, 2.4) == (usage["requests"]["total"], usage["drips"]["total"], usage["bucket"]["level"])


# ---- prices ----


@pytest.mark.parametrize(
    ("resource", "params", "expected"),
    [
        pytest.param("Shop", {}, "1", id="any request"),
        pytest.param("Sale", {"count": "1"}, "10", id="count=1"),
        pytest.param(
            "Sale", {"load_relations": '["Customer"]'}, "1.2", id="a to-one relation of a list, doubled"
        ),
        pytest.param(
            "Sale", {"load_relations": '["SaleLines"]'}, "1.4", id="a to-many relation of a list, doubled"
        ),
        pytest.param(
            "Sale",
            {"load_relations": WORKED_EXAMPLE},
            "2.4",
            id="the worked example",
        ),
        pytest.param("Category", {"load_relations": "all"}, "1.2", id="all is the sum of all"),
        pytest.param("Customer", {"or": "firstName=Ann|firstName=Bea"}, "1", id="or on one field"),
        pytest.param("Customer", {"or": "firstName=Ann|lastName=Bea|company=C"}, "4", id="or on one entity"),
        pytest.param(
            "Customer",
            {"or": "Contact.email=a|Contact.mobile=b|firstName=c", "load_relations": '["Contact"]'},
            "22.2",
            id="or on two entities: 10 each, 1 for the extra operand, 0.2 for the relation",
        ),
    ],
)
def test_a3_a_list_costs(till, resource, params, expected):
    assert expected == cost(till, "GET", resource, params)


@pytest.mark.parametrize(
    ("relations", "expected"),
    [
        ('["Customer"]', "1.1"),
        ('["SaleLines"]', "1.2"),
        ('["SaleLines.Item"]', "1.4"),
        ('["Customer.Contact"]', "1.2"),
    ],
)
def test_a3_a_single_record_costs(relations, expected):
    till = busy_account(sales=60, customers=60)
    assert expected == cost(till, "GET", "Sale/1", {"load_relations": relations})


@pytest.mark.parametrize(
    ("method", "resource", "body", "expected"),
    [
        pytest.param("POST", "Customer", {"firstName": "Ann"}, "1", id="a customer"),
        pytest.param(
            "POST",
            "Customer",
            {"firstName": "Ann", "Contact": {"Phones": {"ContactPhone": [{"number": "1"}, {"number": "2"}]}}},
            "2.5",
            id="half a drip for the contact and each phone",
        ),
        pytest.param("POST", "Sale", {"employeeID": 1}, "2", id="a sale"),
        pytest.param("POST", "Sale", {"completed": True}, "5", id="a completed sale"),
        pytest.param("PUT", "SaleLine/1", {"unitQuantity": 2}, "2", id="a sale line"),
        pytest.param("DELETE", "Sale/1/SaleLine/1", None, "2", id="a line of a sale"),
        pytest.param("POST", "Sale/1/refund", {}, "10", id="a refund"),
        pytest.param("POST", "Category", {"name": "Rings"}, "10", id="a category"),
    ],
)
def test_a3_a_write_costs(till, method, resource, body, expected):
    assert expected == cost(till, method, resource, body=body)


def test_a3_nonsense_costs_a_drip_too(till):
    till.call("GET", "Nonsense")
    assert "2/90" == level(till)

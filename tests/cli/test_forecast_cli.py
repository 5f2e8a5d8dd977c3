"""`forecast` against both simulators: it only looks, says what it saw, refuses what it cannot read."""

import pytest


@pytest.fixture(scope="module")
def world(synced):
    return synced


def test_it_predicts_from_what_both_accounts_show(world):
    ran = world.cli("forecast", "--json")

    assert 0 == ran.status, ran.said
    survey = ran.document["survey"]
    assert (2, "person_account") == (survey["sales"], survey["model"])
    assert survey["crm_calls_allowed"] == 105_000
    assert survey["crm_megabytes_free"] > 10_000
    found = ran.document["forecast"]
    assert {"sales", "customers", "catalog", "sweep"} == set(found["calls_a_day"])
    assert 400 < found["salesforce_calls_a_day"] < 1_000
    assert [limit["name"] for limit in found["limits"]] == [
        "crm calls",
        "till rate",
        "crm storage",
        "bulk batches",
    ]


def test_it_writes_nothing_and_spends_little(world):
    ran = world.cli("forecast", "--json")

    assert ran.document["spent"]["salesforce_calls"] <= 6
    assert ran.document["spent"]["lightspeed_calls"] <= 20


def test_it_says_so_in_sentences(world):
    ran = world.cli("forecast")

    assert "API calls a day" in ran.said
    assert "The first load takes about" in ran.said
    assert "Salesforce storage:" in ran.said
    assert "enough for years." in ran.said


def test_it_answers_what_if(world):
    ran = world.cli("forecast", "--what-if", "interval=2m,stores=10", "--json")

    asked = ran.document["what_if"]
    assert 10 == asked["survey"]["stores"]
    assert asked["forecast"]["lightspeed_calls_a_day"] < ran.document["forecast"]["lightspeed_calls_a_day"]


def test_it_refuses_a_wish_that_it_cannot_read_before_it_asks_anybody(world):
    ran = world.cli("forecast", "--what-if", "intervall=2m")

    assert 2 == ran.status
    assert "'intervall=2m' is no wish; there are" in ran.said

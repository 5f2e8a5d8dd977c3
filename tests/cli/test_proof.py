"""`certify` and `replay` on the command line: what they say, and with which status they leave."""

import pytest


@pytest.fixture
def spoilt(world):
    """Both systems agree but for one note."""
    world.cli("backfill")
    world.edit_in_crm(world.sale_row(world.first)["Id"], Notes__c="for [red]Bo[/red]")
    world.day = world.sale_row(world.first)["Business_Date__c"]
    return world


def test_content_is_compared_of_a_day_and_where_it_is_asked_for(spoilt):
    assert 0 == spoilt.cli("certify").status
    assert 0 == spoilt.cli("certify", "--since", spoilt.day).status
    for asked in (["--content"], ["--since", spoilt.day, "--content"], ["--day", spoilt.day]):
        ran = spoilt.cli("certify", *asked)
        assert 1 == ran.status
        assert "edited in Salesforce" in ran.said
        assert "Notes__c" in ran.said


def test_repair_sends_again_and_certifies_again(spoilt):
    ran = spoilt.cli("certify", "--content", "--repair", "--json")
    document = ran.document
    assert (0, True, []) == (ran.status, document["agrees"], document["receipts"])
    [before] = document["repaired"]["before"]["receipts"]
    assert (f"190001-S{spoilt.first}", "edited in Salesforce") == (before["key"], before["reason"])
    assert document["repaired"]["rows"]
    assert "agree to the cent" in spoilt.cli("certify", "--content", "--repair").said


def test_certificates_are_listed_and_shown_as_they_were_made(spoilt):
    assert "No certificate" in spoilt.cli("certify", "--list").said
    made = spoilt.cli("certify", "--content", "--json").document
    spoilt.cli("certify", "--content", "--repair")

    listed = spoilt.cli("certify", "--list", "--json").document["certificates"]
    assert [0, 1, 1] == [each["differences"] for each in listed]
    shown = spoilt.cli("certify", "--show", made["id"], "--json")
    assert (1, made["cells"], made["receipts"]) == (
        shown.status,
        shown.document["cells"],
        shown.document["receipts"],
    )
    assert "edited in Salesforce" in spoilt.cli("certify", "--show", made["id"]).said
    assert 0 == spoilt.cli("certify", "--list").status

    unknown = spoilt.cli("certify", "--show", 99)
    assert 1 == unknown.status
    assert "There is no certificate 99" in unknown.err


@pytest.mark.parametrize(
    "argv", [["--list", "--repair"], ["--show", "1", "--list"], ["--show", "1", "--content"]]
)
def test_looking_goes_with_nothing_else(world, argv):
    ran = world.cli("certify", *argv)
    assert (2, True) == (ran.status, "only look" in ran.err)


def test_a_dry_run_of_what_is_kept_needs_no_till(spoilt):
    """Looking at what a receipt was may be wanted just when the login to the till is gone."""
    spoilt.pass_time(hours=30)
    spoilt.fail_till("status", status=401, times=None)
    ran = spoilt.cli("replay", "sale", spoilt.first, "--dry-run")
    spoilt.till_server.faults.clear()
    assert (0, "") == (ran.status, ran.err)


def test_a_dry_run_shows_the_difference_and_writes_nothing(spoilt):
    ran = spoilt.cli("replay", "sale", spoilt.first, "--dry-run")
    assert 0 == ran.status
    assert "for [red]Bo[/red]" in ran.out
    assert "1 field of" in ran.said
    document = spoilt.cli("replay", "sale", spoilt.first, "--dry-run", "--mapping", "then", "--json").document
    assert (1, True, "then") == (document["differences"], document["same_map"], document["mapping"])
    assert "for [red]Bo[/red]" == spoilt.sale_row(spoilt.first)["Notes__c"]
    assert "just that" in spoilt.cli("replay", "sale", spoilt.second, "--dry-run").said


def test_replay_sends_what_the_till_has_now(spoilt):
    ran = spoilt.cli("replay", "sale", spoilt.first, "--json")
    assert (0, "sent") == (ran.status, ran.document["records"][0]["outcome"])
    assert not spoilt.sale_row(spoilt.first).get("Notes__c")


def test_a_receipt_that_is_not_kept_is_status_1(spoilt):
    ran = spoilt.cli("replay", "sale", 999, "--dry-run")
    assert (1, True) == (ran.status, "Nothing is kept of sale 999" in ran.err)
    ran = spoilt.cli("replay", "sale", spoilt.first, "--dry-run", "--at", "2020-01-01")
    assert (1, True) == (ran.status, "from before" in ran.err)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["customer", "1"], "KIND is sale"),
        (["sale", "x"], "own number"),
        (["sale", "1", "--mapping", "old", "--dry-run"], "now or then"),
        (["sale", "1", "--mapping", "then"], "add --dry-run"),
        (["sale", "1", "--at", "2026-01-01"], "add --dry-run"),
    ],
)
def test_wrong_use_of_replay_is_told(world, argv, words):
    ran = world.cli("replay", *argv)
    assert (2, True) == (ran.status, words in ran.err)

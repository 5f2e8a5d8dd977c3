"""`doctor` looks at what an org does by itself, at rights and room; a load that does not fit is halted."""

import shutil
from typing import NamedTuple

import pytest

from tillbridge.simulators.salesforce import limits


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def checks(world):
    ran = world.cli("doctor", "--json")
    return {c["what"]: c for c in ran.document["checks"]}, ran


def sold(world, count=3):
    ring = world.item("Ring", "100")
    for _ in range(count):
        world.ring(ring)
    return world


AUTOMATIONS = [
    {"kind": "flow", "name": "Points", "object": "Sales_Transaction__c", "when": "RecordAfterSave"},
    {"kind": "flow", "name": "Old_One", "object": "Sales_Transaction__c", "active": False},
    {"kind": "flow", "name": "Being_Edited", "object": "Account", "draft": True},
    {"kind": "flow", "name": "Elsewhere", "object": "Opportunity"},
    {"kind": "flow", "name": "Nightly", "object": "Account", "when": "Scheduled"},
    {"kind": "trigger", "name": "SaleTrigger", "object": "Sales_Transaction__c"},
    {"kind": "trigger", "name": "ContactTrigger", "object": "Contact"},
    {"kind": "trigger", "name": "CaseTrigger", "object": "Case"},
    {"kind": "validation", "name": "Phone_Required", "object": "Account"},
    {"kind": "validation", "name": "Off", "object": "Account", "active": False},
]
ACTING = {
    "flow Points",
    "flow Being_Edited",
    "trigger SaleTrigger",
    "trigger ContactTrigger",
    "validation rule Phone_Required",
    "duplicate rule Standard Account Duplicate Rule",
}


@pytest.mark.parametrize("by", ["name", "id"])
def test_whatever_acts_on_our_rows_is_listed_and_nothing_else(found, by):
    rules = {"duplicate_rules": {"Account": "block"}, "trigger_objects": by}
    world = found(crm={"automations": AUTOMATIONS, **rules})
    told, ran = checks(world)
    kinds = ("flow ", "trigger ", "validation rule ", "duplicate rule ")
    assert {what for what in told if what.startswith(kinds)} == ACTING
    assert ({"warn"}, 0) == ({told[what]["level"] for what in ACTING}, ran.status)
    assert "Loaded_As_History__c" in told["flow Points"]["advice"]
    assert "RecordAfterSave" in told["flow Points"]["text"]


def test_the_orgs_own_mail_is_named_before_history_sends_it(found):
    told, _ = checks(found(crm={"thank_you_flow": True}))
    assert "history" in told["flow Thank_You"]["text"]


@pytest.mark.parametrize(
    "switches",
    [{"view_setup": False}, {"view_setup": False, "tooling_denies": "invalid_type"}],
    ids=["no such type", "in either way"],
)
def test_what_our_user_may_not_see_is_not_taken_for_nothing(found, switches):
    told, ran = checks(found(crm={"automations": AUTOMATIONS, **switches}))
    assert ("warn", 0) == (told["flows and rules"]["level"], ran.status)
    assert "may not see the org's flows, triggers, validation rules, duplicate rules" in ran.said


def test_an_org_without_any_says_so(world):
    told, _ = checks(world)
    assert "ok" == told["flows and rules"]["level"]


# --- rights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "mode", "level"),
    [
        ("employee:all", "two_way", "ok"),
        ("employee:customers employee:register_read employee:inventory_read employee:admin_void_sale",
         "two_way", "ok"),
        ("employee:customers_read employee:register_read employee:inventory_read employee:admin_void_sale",
         "two_way", "fail"),
        ("employee:customers_read employee:register_read employee:inventory_read employee:admin_void_sale",
         "till_to_crm", "ok"),
    ],
    ids=["everything", "just enough", "reading only, though it is to write", "reading only, as wished"],
)  # fmt: skip
def test_what_the_token_may_not_is_said_before_the_first_write(found, scopes, mode, level):
    world = found()
    world.configure(customers=f'mode = "{mode}"')
    grants = world.till_app.grants
    for token in [*grants.refresh_tokens.values(), *grants.access_tokens.values()]:
        token.grant.scopes = frozenset(scopes.split())
    (world.home / "tillbridge.sqlite").unlink()  # The next token is a new one.
    told, _ = checks(world)
    assert level == told["scopes"]["level"], told["scopes"]


# --- room ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free_megabytes", "level"),
    [(50, "fail"), (500, "warn"), (50_000, "ok")],
    ids=["full", "scarce", "enough"],
)
def test_the_disk_is_looked_at(world, monkeypatch, free_megabytes, level):
    free = free_megabytes * 1_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(free, 0, free))
    told, ran = checks(world)
    assert (level, 75 if level == "fail" else 0) == (told["disk"]["level"], ran.status)


@pytest.fixture
def small(found, monkeypatch):
    """An org that has no room for three sales."""
    world = sold(found())
    monkeypatch.setattr(limits, "DATA_STORAGE_MEGABYTES", 0)
    return world


def test_a_first_load_that_does_not_fit_is_halted_before_it_writes(small):
    told, ran = checks(small)
    assert ("fail", 2) == (told["first load"]["level"], ran.status)
    before = small.org.usage.rows_written.total()
    ran = small.cli("backfill")
    assert (2, True) == (ran.status, "0 MB are free: nothing was written" in ran.said)
    assert before == small.org.usage.rows_written.total()


def test_it_goes_on_when_a_person_says_so_and_when_it_was_begun(small):
    assert 0 == small.cli("backfill", "--despite-storage").status
    assert 3 == len(small.all_rows("Sales_Transaction__c"))
    assert 0 == small.cli("backfill", "--again").status
    told, _ = checks(small)
    assert "first load" not in told


def test_one_that_fits_says_how_much_it_needs(world):
    told, _ = checks(world)
    assert "ok" == told["first load"]["level"]
    assert "10,240 MB are free" in told["first load"]["text"]

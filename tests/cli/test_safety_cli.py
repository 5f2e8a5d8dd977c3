"""`preview`, `apply`, `approve`, `plans`, `undo` and `conflicts` as people use them."""

import io
import json

import pytest

MAIL = "mirte@mail.example"


@pytest.fixture
def loaded(world):
    """The shop after its backfill: both sides agree on its one customer; changes are asked about."""
    world.cli("backfill")
    world.pass_time(minutes=20)
    world.cli("sync")
    world.pass_time(minutes=20)
    world.crm_id = world.known("customer", world.buyer).crm_id
    world.configure(safety="")
    return world


@pytest.fixture
def typed(monkeypatch):
    """Somebody at the keyboard."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def held(loaded):
    """One change in Salesforce, held back before it is written to the till for the first time."""
    loaded.edit_in_crm(loaded.crm_id, FirstName="Mira")
    loaded.ran = loaded.cli("sync", "--json")
    return loaded


@pytest.fixture
def conflicting(loaded):
    loaded.configure()
    loaded.edit_customer(loaded.buyer, email="till@mail.example")
    loaded.edit_in_crm(loaded.crm_id, PersonEmail="crm@mail.example")
    loaded.cli("sync")
    return loaded


def first_name(world):
    return world.till_row("Customer", world.buyer)["firstName"]


def mails(world):
    contact = world.till_row("Customer", world.buyer)["Contact"]
    return contact["Emails"][0]["address"], world.crm_row(world.crm_id)["PersonEmail"]


# --- preview and apply -----------------------------------------------------------------------------


def test_a_preview_says_what_would_be_written_and_apply_writes_it(loaded):
    loaded.edit_in_crm(loaded.crm_id, FirstName="Mira")
    seen = loaded.cli("preview")
    assert 0 == seen.status
    assert "change in Lightspeed: customer" in seen.said
    assert "FirstName: Mirte → Mira" in seen.said
    assert "A sync would ask a person first" in seen.said
    assert "at most. A sync" in seen.said
    assert "Mirte" == first_name(loaded)

    found = loaded.cli("preview", "--json").document
    assert {"FirstName": {"before": "Mirte", "after": "Mira"}} == found["updates"][0]["fields"]
    assert (0, 2) == (found["salesforce_calls"], found["lightspeed_calls"])
    done = loaded.cli("apply", found["plan"], "--checksum", found["checksum"], "--json")
    assert (0, 1, []) == (done.status, len(done.document["written"]), done.document["skipped"])
    assert "Mira" == first_name(loaded)
    again = loaded.cli("apply", found["plan"])
    assert (2, f"Plan {found['plan']} was carried out already.") == (again.status, again.said)


def test_whoever_changed_since_the_preview_is_told(loaded):
    loaded.edit_in_crm(loaded.crm_id, FirstName="Mira")
    plan = loaded.cli("preview", "--customer", loaded.buyer, "--json").document["plan"]
    loaded.edit_in_crm(loaded.crm_id, FirstName="Moira")
    ran = loaded.cli("apply", plan)
    assert (1, True) == (ran.status, "changed since the plan was made" in ran.said)
    assert "Mirte" == first_name(loaded)


def test_nothing_to_write_is_no_plan(loaded):
    ran = loaded.cli("preview")
    assert (0, True) == (ran.status, "Nothing of customers would be written." in ran.said)
    assert loaded.cli("preview", "--json").document["plan"] is None


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        pytest.param(["apply", "99"], "There is no plan 99", id="an unknown plan"),
        pytest.param(["approve", "99", "--yes"], "There is no plan 99", id="an unknown plan to approve"),
        pytest.param(["plans", "show", "99"], "There is no open plan 99", id="an unknown plan to show"),
        pytest.param(["plans", "drop", "99"], "There is no plan 99", id="an unknown plan to drop"),
        pytest.param(["approve", "all"], "PLAN is a plan's number, or emptied, not all.", id="no number"),
        pytest.param(["approve", "1", "--json"], "--json cannot ask back: add --yes.", id="nobody to ask"),
        pytest.param(
            ["approve", "emptied", "--checksum", "ab"], "--checksum goes with a plan's number.", id="no plan"
        ),
        pytest.param(["preview", "--customer", "Bo"], "--customer takes Lightspeed's own", id="a name"),
        pytest.param(["undo", "99", "--yes"], "Run 99 has changed no customer", id="an unknown run"),
        pytest.param(["undo", "1", "--json"], "--json cannot ask back: add --yes.", id="undo as json"),
        pytest.param(["conflicts", "keep", "99", "till"], "There is no conflict 99", id="unknown conflict"),
        pytest.param(["conflicts", "keep", "1", "us"], "till or crm is expected, not us.", id="a third side"),
        pytest.param(["conflicts", "keep-all", "crm", "--json"], "add --yes", id="keep-all as json"),
        pytest.param(["conflicts", "restore", "99"], "There is no change 99", id="an unknown change"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_status_2(synced, argv, sentence):
    ran = synced.cli(*argv)
    assert (2, True) == (ran.status, sentence in ran.said), ran.said


# --- what is held back -----------------------------------------------------------------------------


def test_a_sync_that_holds_something_back_names_the_plan_and_ends_with_1(held):
    ran = held.ran
    assert (1, 1) == (ran.status, ran.document["open"]["plans"])
    assert "`tillbridge approve 1`" in ran.err
    status = held.cli("status", "--json")
    assert (1, 1) == (status.status, status.document["counts"]["customer"]["held"])
    assert [(1, ["first_till_write"], 1)] == [
        (plan["id"], plan["reasons"], plan["customers"]) for plan in status.document["plans"]
    ]
    assert "1 plan held back for a person" in held.cli("status").said
    assert "FirstName: Mirte → Mira" in held.cli("plans", "show", 1).said
    assert "held back (first till write)" in held.cli("plans").said
    assert [1] == [plan["id"] for plan in held.cli("plans", "--json").document["plans"]]
    assert (2, True) == ((ran := held.cli("apply", 1)).status, "`tillbridge approve 1`" in ran.said)


def test_only_a_typed_yes_approves(held, typed):
    for text in ("", "no\n"):
        typed(text)
        ran = held.cli("approve", 1)
        assert (2, True) == (ran.status, "Nothing was approved" in ran.said)
    assert "Mirte" == first_name(held)

    typed("yes\n")
    ran = held.cli("approve", 1)
    assert (0, True) == (ran.status, "Plan 1 is approved and carried out: 1 updated in the till" in ran.said)
    assert "Mira" == first_name(held)
    assert (2, True) == ((again := held.cli("approve", 1, "--yes")).status, "already" in again.said)
    assert 0 == held.cli("status").status


def test_an_approval_may_name_the_checksum(held):
    checksum = held.cli("plans", "--json").document["plans"][0]["checksum"]
    wrong = held.cli("approve", 1, "--yes", "--checksum", "0" * 64)
    assert (2, True) == (wrong.status, "is not what was looked at" in wrong.said)
    right = held.cli("approve", 1, "--yes", "--json", "--checksum", checksum)
    assert (0, {"updated in the till": 1}) == (right.status, right.document["counts"])


def test_a_plan_may_be_dropped_and_comes_back_if_nothing_was_put_right(held):
    ran = held.cli("plans", "drop", 1)
    assert (0, True) == (ran.status, "1 customer will be looked at afresh" in ran.said)
    assert "No plan waits" in held.cli("plans").said
    assert (1, True) == ((again := held.cli("sync")).status, "`tillbridge approve 2`" in again.said)


@pytest.mark.parametrize("job", ["sync", "check", "sweep", "backfill"])
def test_a_run_may_be_told_to_ask_nothing(held, job):
    ran = held.cli(job, "--approve")
    assert 0 == ran.status, ran.said
    assert "Mira" == first_name(held)


def test_deletions_that_empty_salesforce_are_approved_by_name(loaded, typed):
    more = [loaded.customer(f"Bo{n}", "Lund", email=f"bo{n}@lund.example") for n in range(11)]
    loaded.cli("sync", "--approve")
    loaded.pass_time(minutes=1)
    for i in more:
        crm_id = loaded.known("customer", i).crm_id
        loaded.org.write(loaded.org.staff, "Account", "delete", {"Id": crm_id})
    ran = loaded.cli("sync")
    assert (2, True) == (ran.status, "tillbridge approve emptied" in ran.said)
    typed("")
    assert 2 == loaded.cli("approve", "emptied").status
    ran = loaded.cli("approve", "emptied", "--yes")
    assert (0, True) == (ran.status, "The links of 11 linked customers are taken off" in ran.said)
    assert 0 == loaded.cli("sync").status
    assert "nothing to approve" in loaded.cli("approve", "emptied", "--yes").said


# --- undo ------------------------------------------------------------------------------------------


def test_a_run_is_undone_after_a_typed_yes(loaded, typed):
    loaded.configure()
    loaded.edit_in_crm(loaded.crm_id, FirstName="Mira")
    run = loaded.cli("sync", "--json").document["run"]
    dry = loaded.cli("undo", run, "--dry-run")
    assert (0, True) == (dry.status, "FirstName in Lightspeed: Mira → Mirte" in dry.said)
    typed("no\n")
    assert (2, "Mira") == (loaded.cli("undo", run).status, first_name(loaded))
    typed("yes\n")
    ran = loaded.cli("undo", run)
    assert (0, True) == (ran.status, "1 field was written back, 0 left as they are." in ran.said)
    assert "Mirte" == first_name(loaded)
    again = loaded.cli("undo", run, "--yes")
    assert (2, True) == (again.status, "taken back already" in again.said)
    assert (0, "Mirte") == (loaded.cli("sync").status, first_name(loaded))


def test_whom_a_run_created_is_named(loaded):
    loaded.pass_time(minutes=1)
    bo = loaded.customer("Bo", "Lund")
    run = loaded.cli("sync", "--json").document["run"]
    ran = loaded.cli("undo", run, "--yes", "--json")
    assert (0, [str(bo)], []) == (
        ran.status,
        ran.document["created_in_salesforce"],
        ran.document["restored"],
    )
    assert f"1 customer that it created in Salesforce stay ({bo})" in loaded.cli("undo", run, "--yes").said


# --- conflicts -------------------------------------------------------------------------------------


def test_a_conflict_is_listed_decided_and_its_loser_restored(conflicting):
    world = conflicting
    listed = world.cli("conflicts")
    assert (1, True) == (listed.status, "Mirte Perelaer" in listed.said)
    [one] = world.cli("conflicts", "--json").document["conflicts"]
    assert ("PersonEmail", "till@mail.example", "crm@mail.example") == (
        one["field"],
        one["lightspeed"],
        one["salesforce"],
    )
    ran = world.cli("conflicts", "keep", one["id"], "crm")
    assert (0, True) == (ran.status, "1 conflict settled: Salesforce's value counts." in ran.said)
    assert ("crm@mail.example",) * 2 == mails(world)
    assert (0, True) == ((none := world.cli("conflicts")).status, "No conflict waits" in none.said)
    again = world.cli("conflicts", "keep", one["id"], "till")
    assert (2, True) == (again.status, "nothing waits for anybody" in again.said)

    [lost] = world.cli("conflicts", "--lost", "--json").document["lost"]
    assert ("till@mail.example", "Lightspeed") == (lost["lost"], lost["side"])
    ran = world.cli("conflicts", "restore", lost["change"])
    assert (0, ("till@mail.example",) * 2) == (ran.status, mails(world))
    assert "No value has lost a conflict" in world.cli("conflicts", "--lost").said


def test_all_conflicts_are_decided_after_a_typed_yes(conflicting, typed):
    typed("")
    assert 2 == conflicting.cli("conflicts", "keep-all", "till").status
    assert ("till@mail.example", "crm@mail.example") == mails(conflicting)
    ran = conflicting.cli("conflicts", "keep-all", "till", "--yes", "--json")
    assert (0, 1) == (ran.status, len(ran.document["settled"]))
    assert ("till@mail.example",) * 2 == mails(conflicting)
    assert (
        [] == json.loads(conflicting.cli("conflicts", "keep-all", "till", "--yes", "--json").out)["settled"]
    )

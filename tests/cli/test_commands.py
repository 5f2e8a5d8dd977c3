"""What the commands do, print, and leave with, over both simulators."""

import json
import os
import stat

import pytest

from tillbridge.cli.app import app, run

# --- init ----------------------------------------------------------------------------------------


def test_init_makes_a_home_directory_and_says_what_comes_next(cli, tmp_path):
    home = tmp_path / "shop"
    ran = cli("init", "--home", home, "--account-id", "190001", "--model", "contact")
    assert (0, "") == (ran.status, ran.err)
    text = (home / "tillbridge.toml").read_text(encoding="utf-8")
    assert 'account_id = "190001"' in text
    assert 'model = "contact"' in text
    assert {"tillbridge.toml", "key", "tillbridge.sqlite"} <= {path.name for path in home.iterdir()}
    for step in ("schema deploy", "doctor", "backfill"):
        assert f"tillbridge {step}" in ran.out


def test_init_keeps_secrets_from_other_users(cli, tmp_path):
    cli("init", "--home", tmp_path / "shop")
    for name in ("key", "tillbridge.toml"):
        assert 0o600 == stat.S_IMODE((tmp_path / "shop" / name).stat().st_mode)


def test_init_overwrites_nothing(cli, tmp_path):
    cli("init", "--home", tmp_path)
    (tmp_path / "tillbridge.toml").write_text("# mine", encoding="utf-8")
    key = (tmp_path / "key").read_bytes()
    ran = cli("init", "--home", tmp_path, "--account-id", "7")
    assert 0 == ran.status
    assert "was left as it is" in ran.out
    assert ("# mine", key) == (
        (tmp_path / "tillbridge.toml").read_text(encoding="utf-8"),
        (tmp_path / "key").read_bytes(),
    )


def test_init_makes_no_key_file_where_the_environment_holds_one(cli, tmp_path):
    key = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
    assert 0 == cli("init", "--home", tmp_path, env={"TILLBRIDGE_KEY": key}).status
    assert not (tmp_path / "key").exists()


def test_init_takes_no_value_that_would_break_the_file(cli, tmp_path):
    ran = cli("init", "--home", tmp_path, "--username", 'a"b')
    assert (2, False) == (ran.status, (tmp_path / "tillbridge.toml").exists())
    assert "--username: " in ran.err


# --- where the home is -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["--home", "TILLBRIDGE_HOME", "this directory", "~/.tillbridge"])
def test_the_home_is_found(cli, tmp_path, monkeypatch, how):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    home = elsewhere / ".tillbridge" if how == "~/.tillbridge" else tmp_path / "home"
    cli("init", "--home", home)
    monkeypatch.setenv("HOME", str(elsewhere))
    monkeypatch.chdir(home if how == "this directory" else elsewhere)
    argv = ["--home", home] if how == "--home" else []
    env = {"TILLBRIDGE_HOME": str(home)} if how == "TILLBRIDGE_HOME" else {}
    ran = cli("status", *argv, "--json", env=env)
    assert (0, str(home)) == (ran.status, ran.document["home"])


# --- schema deploy -------------------------------------------------------------------------------


def test_the_package_is_tried_installed_and_installed_again(found):
    world = found(installed=False)
    tried = world.cli("schema", "deploy", "--check-only")
    assert 0 == tried.status
    assert "Nothing was changed" in tried.out
    assert "Sales_Transaction__c" not in world.org.tables
    first, second = (world.cli("schema", "deploy", "--json") for _ in range(2))
    assert (0, 0) == (first.status, second.status)
    assert [True, False] == [r.document["newly_assigned"] for r in (first, second)]
    assert "Sales_Transaction__c" in world.org.tables
    assert 0 == world.cli("sync").status


@pytest.mark.parametrize("option", [[], ["--check-only"]], ids=["install", "check"])
def test_nothing_is_installed_into_an_org_that_this_home_does_not_belong_to(found, option):
    world, other = found(), found(installed=False)
    assert 0 == world.cli("sync").status
    config = world.home / "tillbridge.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(world.crm_server.url, other.crm_server.url), encoding="utf-8")
    other.org.id = other.org.id[:-6] + "999AAA"
    ran = world.cli("schema", "deploy", *option)

    assert 2 == ran.status
    assert f"belongs to Salesforce org {world.org.id}" in ran.said
    assert "Sales_Transaction__c" not in other.org.tables


# --- doctor --------------------------------------------------------------------------------------


def levels(ran):
    return {(c["area"], c["what"]): c["level"] for c in ran.document["checks"]}


def test_a_healthy_installation_is_well(world):
    ran = world.cli("doctor", "--json")
    assert (0, {"ok"}) == (ran.status, set(levels(ran).values()))
    assert {"key", "configuration", "state", "login", "resources", "clock", "permission set"} <= {
        what for _, what in levels(ran)
    }
    assert "All is well" in world.cli("doctor").out


def test_doctor_goes_on_behind_the_first_failure(world):
    """A till that lets us in nowhere is no reason not to look at the CRM."""
    text = (world.home / "tillbridge.toml").read_text(encoding="utf-8")
    (world.home / "tillbridge.toml").write_text(text.replace('"demo-secret"', '"nope"'), encoding="utf-8")
    ran = world.cli("doctor", "--json")
    assert 2 == ran.status
    assert ("fail", "ok") == (levels(ran)["Lightspeed", "login"], levels(ran)["Salesforce", "login"])


def test_doctor_folds_the_many_fields_of_a_missing_package(found):
    world = found(installed=False)
    assert "more objects and fields; --json lists all" in world.cli("doctor").said
    assert 20 < sum(level == "fail" for level in levels(world.cli("doctor", "--json")).values())


TROUBLES = [
    ("a void nobody may read", ("Lightspeed", "voids"), "fail"),
    ("few API calls left", ("Salesforce", "DailyApiRequests"), "warn"),
    ("no API calls left", ("Salesforce", "limits"), "fail"),
    ("no permission set", ("Salesforce", "permission set"), "fail"),
    ("a clock that is off", ("Lightspeed", "clock"), "warn"),
    ("an API version that is not offered", ("Salesforce", "API version"), "fail"),
    ("person accounts that the org does not have", ("Salesforce", "customer model"), "fail"),
]


@pytest.mark.parametrize(("what", "check", "level"), TROUBLES, ids=[t[0] for t in TROUBLES])
def test_doctor_finds(found, what, check, level):
    world = found(model="contact" if "person accounts" in what else "person_account")
    clock = world.clock
    config = world.home / "tillbridge.toml"
    match what:
        case "a void nobody may read":
            world.fail_till("status", match="SaleVoid", status=403, body='{"message": "no"}', times=None)
        case "few API calls left":
            world.org.usage.used_by_others = int(world.org.usage.daily_max * 0.9)
        case "no API calls left":
            world.org.usage.used_by_others = world.org.usage.daily_max
        case "no permission set":
            [assignment] = world.all_rows("PermissionSetAssignment")
            world.org.write(world.org.staff, "PermissionSetAssignment", "delete", {"Id": assignment["Id"]})
        case "a clock that is off":
            clock = Skewed(world.clock)
        case "an API version that is not offered":
            text = config.read_text(encoding="utf-8")
            new = text.replace('login_url = "', 'api_version = "99.0"\nlogin_url = "')
            config.write_text(new, encoding="utf-8")
        case _:
            text = config.read_text(encoding="utf-8")
            config.write_text(text.replace('"contact"', '"person_account"'), encoding="utf-8")
    ran = world.cli("doctor", "--json", clock=clock)
    assert level == levels(ran)[check], ran.out
    assert (0 if level == "warn" else 75 if "no API calls" in what else 2) == ran.status


class Skewed:
    """A machine whose clock is ten minutes slow."""

    def __init__(self, clock):
        self._clock = clock
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep

    def now(self):
        from datetime import timedelta

        return self._clock.now() - timedelta(minutes=10)


# --- backfill and sync ---------------------------------------------------------------------------


def test_a_backfill_reports_what_became_of_everything(synced):
    report = synced.loaded.document
    assert (0, "backfill", 1, 1) == (
        synced.loaded.status,
        report["job"],
        report["run"],
        report["counts"]["people created"],
    )
    assert report["lightspeed_calls"] > 0
    assert report["salesforce_calls"] > 0


def test_a_second_backfill_does_nothing_unless_asked_to_compare_all(synced):
    assert "loaded before" in synced.cli("backfill").err
    assert {"unchanged"} == set(synced.cli("backfill", "--again", "--json").document["counts"]) - {
        "price unchanged"
    }


def test_a_sync_without_news_asks_the_org_one_question(world):
    world.cli("backfill")
    world.cli("sync")
    ran = world.cli("sync", "--json")
    assert (0, 1) == (ran.status, ran.document["salesforce_calls"]), "who has changed there"
    assert set(ran.document["counts"]) <= {"unchanged", "price unchanged"}


def test_with_json_stdout_holds_one_document_and_nothing_else(world):
    ran = world.cli("backfill", "--json")
    assert "backfill" == json.loads(ran.out)["job"]
    assert "Products from the till: started" in ran.err


def test_newest_first_asks_the_till_for_the_newest_sales_first(world):
    assert 0 == world.cli("backfill", "--newest-first").status
    listings = [path for path in world.till_server.calls if path.endswith("Sale.json")]
    assert listings
    assert {"settled"} == set(world.states()["sale"])


def test_a_refused_row_leaves_with_status_1_and_says_where_to_look(world):
    world.refuse("Sales_Transaction__c", "Ticket_Number__c", world.till_row("Sale", 1)["ticketNumber"])
    ran = world.cli("backfill")
    assert 1 == ran.status
    assert "1 problem needs a person: `tillbridge status` says what to do." in ran.out


FORMS = [
    ["--sale", "1", "2"],
    ["--sale", "1", "--sale", "2"],
    ["--sale=1,2"],
    ["--sale", "1,2", "--json"],
    ["--sale", "2", "1", "1"],
]


@pytest.mark.parametrize("argv", FORMS, ids=" ".join)
def test_ids_may_be_written_as_people_write_lists(synced, argv):
    ran = synced.cli("sync", *argv, *([] if "--json" in argv else ["--json"]))
    assert (0, {("1", "sent"), ("2", "sent")}) == (
        ran.status,
        {(r["id"], r["outcome"]) for r in ran.document["records"]},
    )


def test_forcing_says_what_happened_to_each(found):
    world = found()
    world.buyer = world.customer("Mirte", "Perelaer", email="mirte@mail.example")
    ring = world.item("Ring", "100")
    sold, open_one = world.ring(ring, customer=world.buyer), world.ring(ring, kind="open")
    bad = world.ring(ring)
    world.refuse("Sales_Transaction__c", "Ticket_Number__c", world.till_row("Sale", bad)["ticketNumber"])
    wanted = ["--customer", world.buyer, "--sale", sold, open_one, bad, 999_999, "--product", ring, 888]
    ran = world.cli("sync", *wanted, "--json")
    assert {
        ("customer", str(world.buyer)): "sent",
        ("sale", str(sold)): "sent",
        ("sale", str(open_one)): "open",
        ("sale", str(bad)): "refused",
        ("sale", "999999"): "not in the till",
        ("product", str(ring)): "sent",
        ("product", "888"): "not in the till",
    } == {(r["kind"], r["id"]): r["outcome"] for r in ran.document["records"]}
    assert 1 == ran.status
    by_id = {(r["kind"], r["id"]): r for r in ran.document["records"]}
    assert world.sale_row(sold)["Id"] == by_id["sale", str(sold)]["crm_id"]
    assert "not in this shop" in by_id["sale", str(bad)]["why"]


def test_forcing_shows_a_table(synced):
    ran = synced.cli("sync", "--customer", synced.buyer, "--sale", synced.first, "999")
    assert f"customer {synced.buyer} unchanged Account" in ran.said
    assert f"sale {synced.first} sent Sales_Transaction__c" in ran.said
    assert "sale 999 not in the till" in ran.said


# --- certify -------------------------------------------------------------------------------------


def test_two_systems_that_agree_are_certified(synced):
    ran = synced.cli("certify", "--json")
    document = ran.document
    assert (0, True, []) == (ran.status, document["agrees"], document["differences"])
    assert 2 == sum(cell["till"]["sales"] for cell in document["cells"])
    assert [cell["till"] for cell in document["cells"]] == [cell["crm"] for cell in document["cells"]]
    assert "Both systems agree to the cent: 2 receipts" in synced.cli("certify").said


def test_a_day_may_be_certified_by_itself(synced):
    day = synced.cli("certify", "--json").document["last"]
    assert [day] == [c["day"] for c in synced.cli("certify", "--day", day, "--json").document["cells"]]
    later = synced.cli("certify", "--since", "2030-01-01")
    assert 0 == later.status
    assert "nothing to compare" in later.out


def test_a_receipt_that_is_missing_is_named(world):
    world.cli("backfill")
    row = world.sale_row(world.first)
    world.org.write(world.org.staff, "Sales_Transaction__c", "delete", {"Id": row["Id"]})
    ran = world.cli("certify")
    assert 1 == ran.status
    assert f"190001-S{world.first}" in ran.out
    assert "missing in CRM" in ran.out
    assert "≠" in ran.out
    assert 1 == len(world.cli("certify", "--json").document["receipts"])


# --- status --------------------------------------------------------------------------------------


def test_status_before_anything_has_run(found):
    ran = found(installed=False).cli("status")
    assert 0 == ran.status
    assert "has not met its two systems yet" in ran.out


def test_status_shows_bindings_counts_runs_and_usage(world):
    world.cli("backfill")
    report = world.cli("status", "--json").document
    assert ("190001", {"settled": 2}) == (report["lightspeed_account"], report["counts"]["sale"])
    assert [("backfill", "done")] == [(run["job"], run["outcome"]) for run in report["runs"]]
    assert report["salesforce_usage"]["used"] > 0
    assert "sales" in [stream["stream"] for stream in report["streams"]]
    assert "✓ No open problems" in world.cli("status").out


def test_status_shows_every_refused_row_with_its_cause_and_advice(world):
    ticket = world.till_row("Sale", 1)["ticketNumber"]
    world.refuse("Sales_Transaction__c", "Ticket_Number__c", ticket, "Tickets like that are forbidden")
    world.cli("backfill")
    ran = world.cli("status", "--json")
    [problem] = ran.document["problems"]
    assert 1 == ran.status
    assert {"kind": "sale", "id": "1", "key": "190001-S1", "sale": None} == problem["record"]
    assert ("Sales_Transaction__c", "FIELD_CUSTOM_VALIDATION_EXCEPTION") == (
        problem["object"],
        problem["code"],
    )
    assert "Tickets like that are forbidden" == problem["message"]
    assert problem["cause"]
    assert "Tillbridge_Bypass" in problem["advice"]
    shown = world.cli("status").said
    assert "1 record refused, 1 cause" in shown
    assert "Tillbridge_Bypass" in shown


def test_status_shows_people_in_review_by_ids_only(found):
    world = found()
    there = world.person("Mirte", "Perelaer", email="mirte@mail.example")
    customer = world.customer("Wout", "Goudsblom", email="mirte@mail.example")
    ring = world.item("Ring", "100")
    world.ring(ring, customer=customer)
    ran = world.cli("backfill")
    assert 0 == ran.status, "people in review alone are ordinary"
    report = world.cli("status", "--json").document
    [review] = report["review"]["customers"]
    assert (str(customer), [there]) == (review["id"], review["candidates"])
    assert [{"for": "customer", "id": str(customer), "its_state": "review", "sales": 1}] == report["waiting"]
    for said in (world.cli("status").said, json.dumps(report)):
        assert "Goudsblom" not in said
        assert "Perelaer" not in said


# --- explain -------------------------------------------------------------------------------------


def test_explain_tells_everything_about_a_sale(synced):
    report = synced.cli("explain", "sale", synced.first, "--json").document
    assert ("settled", synced.sale_row(synced.first)["Id"], "Sales_Transaction__c") == (
        report["state"],
        report["crm_id"],
        report["object"],
    )
    assert {"line", "payment"} == {child["kind"] for child in report["children"]}
    assert report["run"] is not None
    said = synced.cli("explain", "sale", synced.first).said
    assert "settled: Salesforce has confirmed it" in said
    assert "Lines and payments" in said


def test_explain_names_the_candidates_of_a_customer_in_review(found):
    world = found()
    there = world.person("Mirte", "Perelaer", email="mirte@mail.example")
    customer = world.customer("Wout", "Goudsblom", email="mirte@mail.example")
    sale = world.ring(world.item("Ring", "100"), customer=customer)
    world.cli("backfill")
    ran = world.cli("explain", "customer", customer)
    assert 0 == ran.status
    assert f"Account {there} Mirte Perelaer" in ran.said
    assert "in review: a person has to decide" in ran.said
    assert f"customer {customer}" in world.cli("explain", "sale", sale).said


def test_explain_shows_a_problem_with_its_advice(world):
    world.refuse("Sales_Transaction__c", "Ticket_Number__c", world.till_row("Sale", 1)["ticketNumber"])
    world.cli("backfill")
    said = world.cli("explain", "sale", "1").said
    assert "refused by Salesforce" in said
    assert "Tillbridge_Bypass" in said


KINDS = ["store", "employee", "product", "customer", "line", "payment"]


@pytest.mark.parametrize("kind", KINDS)
def test_explain_knows_every_kind(synced, kind):
    report = synced.cli("explain", kind, "1", "--json").document
    assert (True, "settled") == (report["known"], report["state"])


def test_explain_says_when_it_has_never_seen_something(synced):
    ran = synced.cli("explain", "sale", "999999")
    assert 1 == ran.status
    assert "sale 999999 has never been seen here" in ran.out


# --- the command itself --------------------------------------------------------------------------


def test_version(capsys):
    assert 0 == run(["--version"])
    assert capsys.readouterr().out.startswith("tillbridge ")


def test_help_names_every_command(capsys):
    assert 0 == run(["--help"])
    out = capsys.readouterr().out
    for name in app.registered_commands:
        assert f"\n  {name.name or name.callback.__name__} " in out
    for name in ("schema", "simulate"):
        assert f"\n  {name} " in out


def test_help_loads_nothing_heavy():
    """It answers at once: none of what a run needs is imported for it."""
    import subprocess
    import sys

    script = (
        "import sys; from tillbridge.cli.app import run; run(['--help']); "
        "print(sorted({'sqlalchemy', 'pydantic', 'httpx2', 'structlog', 'rich'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert "[]" == found.stdout.splitlines()[-1]


@pytest.mark.parametrize("system", ["lightspeed", "salesforce"])
def test_a_simulator_gets_its_own_options(system, capsys):
    with pytest.raises(SystemExit) as ended:
        run(["simulate", system, "--help"])
    assert 0 == ended.value.code
    assert f"tillbridge simulate {system}" in capsys.readouterr().out

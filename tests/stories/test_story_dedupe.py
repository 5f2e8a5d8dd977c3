"""The clean-up, end to end: scan, export, a person's decisions, import, apply, and a quiet sync after it."""

import csv
import io
import json

import pytest

from tillbridge.cli.app import run

ANNA = {"email": "anna.prins@mail.example", "mobile": "+31612345678"}


def cli(world, *argv):
    """Run one command line against a world; return status, the document on stdout, and stderr."""
    out, err = io.StringIO(), io.StringIO()
    words = [*map(str, argv), "--json", "--home", str(world.home)]
    status = run(words, out=out, err=err, env={"USER": "mirte"}, clock=world.clock)
    return status, json.loads(out.getvalue()), err.getvalue()


def rows_of(file):
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))))


def write(file, rows, delimiter=","):
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    file.write_text(out.getvalue(), encoding="utf-8")


def decide(world, decision):
    """Export, let a person fill in the decisions, import."""
    file = world.home / "decide.csv"
    assert 0 == cli(world, "dedupe", "export", file)[0]
    rows = [{**row, "decision": decision(row)} for row in rows_of(file)]
    write(file, rows)
    return cli(world, "dedupe", "import", file)


def written(world):
    """Return what was ever written to the CRM, and when the till's customers last changed."""
    world.pass_time(minutes=5)
    customers = world.till_app.world["Customer"].rows.values()
    return dict(world.org.usage.rows_written), [row["timeStamp"] for row in customers]


def living(world, last_name):
    return [row["Id"] for row in world.all_rows(world.person_object) if row.get("LastName") == last_name]


@pytest.fixture(params=["person_account", "contact", "lead"])
def any_model(request, found):
    return found(model=request.param)


def two_annas(world):
    """A customer who was linked to one record of hers in the CRM; a second one was entered by hand."""
    customer, item = world.customer("Anna", "Prins", **ANNA), world.item()
    sale = world.ring(item, customer=customer)
    world.backfill()
    double = world.person("Anna", "Prins", Phone="+31201234567", **ANNA)
    world.sync()
    return customer, sale, double


def test_two_records_of_salesforce_become_one_and_receipts_follow(any_model):
    world = any_model
    customer, sale, double = two_annas(world)
    kept = world.known("customer", customer).crm_id
    field = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}[world.model]

    status, found, _ = cli(world, "dedupe", "scan")
    assert (0, 1, 1) == (status, found["clusters"], found["sure"])
    assert (0, 1) == (status, decide(world, lambda row: "merge")[1]["merge"])
    status, would, told = cli(world, "dedupe", "apply")
    assert (1, [double]) == (status, [each["loser"] for each in would["would_merge"]])
    assert "add --yes" in told, "without a yes it only says what it would do"
    assert double in world.org.tables[world.person_object].rows

    status, done, _ = cli(world, "dedupe", "apply", "--yes")

    assert (0, [double], []) == (status, [each["loser"] for each in done["merged"]], done["refused"])
    assert kept == world.crm_row(double)["MasterRecordId"]
    assert kept == world.sale_row(sale)[field]
    assert "+31201234567" == world.crm_row(kept)["Phone"], "what only the loser had is kept"
    assert kept == world.known("customer", customer).crm_id

    before = written(world)[0]
    world.sync()
    assert before == written(world)[0], "the next sync has nothing to say to the CRM"
    assert ["+31201234567"] == [
        phone["number"]
        for phone in world.till_row("Customer", customer)["Contact"]["Phones"]
        if phone["useType"] == "Work"
    ], "and the till has learnt what the survivor has won"
    before = written(world)
    world.sync()
    assert before == written(world), "then all is quiet"
    late = world.ring(world.item("Chain"), customer=customer)
    world.sync()
    assert kept == world.sale_row(late)[field]
    assert [kept] == living(world, "Prins")
    assert [] == world.problems()


def test_the_linked_one_survives_and_a_second_identity_follows(found):
    """Two till records, each with a record of its own in the CRM: both links lead to the survivor."""
    world = found()
    one = world.customer("Ben", "Oduya", email="ben@mail.example")
    item = world.item()
    first = world.ring(item, customer=one)
    world.backfill()
    other = world.customer("Benjamin", "Oduya", mobile="+31698765432")
    second = world.ring(item, customer=other)
    world.sync()
    ids = [world.known("customer", each).crm_id for each in (one, other)]
    world.edit_in_crm(ids[1], PersonEmail="ben@mail.example")

    cli(world, "dedupe", "scan")
    decide(world, lambda row: "merge" if row["side"] == "crm" else "")
    status, done, _ = cli(world, "dedupe", "apply", "--approve")

    assert (0, 1) == (status, len(done["merged"]))
    winner = done["merged"][0]["survivor"]
    assert {winner} == {world.known("customer", each).crm_id for each in (one, other)}
    assert {winner} == {world.sale_row(sale)["Account__c"] for sale in (first, second)}
    assert [] == world.problems()


def test_duplicates_of_the_till_become_work_that_ticks_itself_off(found):
    world = found()
    one, other = world.customer("Anna", "Prins", **ANNA), world.customer("Anna", "Prins", **ANNA)
    world.backfill()

    assert 1 == cli(world, "dedupe", "scan")[1]["clusters"]
    decide(world, lambda row: "merge")
    status, done, _ = cli(world, "dedupe", "apply", "--approve", "--worklist", world.home / "work.csv")

    assert (1, [str(other)]) == (status, [each["loser"] for each in done["by_hand"]])
    assert f"id={other}" in done["by_hand"][0]["link"]
    assert [str(other)] == [row["merge"] for row in rows_of(world.home / "work.csv")]

    assert {"by_hand": 1} == cli(world, "dedupe", "scan")[1]["states"], "it is not proposed again"
    world.edit_customer(other, archived=True)
    again = cli(world, "dedupe", "scan")[1]
    assert (1, {"done": 1}) == (again["done_by_hand"], again["states"])
    assert [] == cli(world, "dedupe", "show", "--by-hand")[1]["by_hand"]
    assert one != other


def test_whoever_is_kept_apart_is_not_proposed_again(found):
    world = found()
    world.customer("Anna", "Prins", **ANNA)
    world.customer("Anna", "Prins", **ANNA)

    assert 1 == cli(world, "dedupe", "scan")[1]["states"]["open"]
    decide(world, lambda row: "keep apart")

    assert {"apart": 1} == cli(world, "dedupe", "scan")[1]["states"]


def test_a_record_that_was_changed_since_the_scan_is_left_for_another_look(found):
    world = found()
    _, _, double = two_annas(world)
    cli(world, "dedupe", "scan")
    decide(world, lambda row: "merge")
    world.edit_in_crm(double, LastName="Pietersen")

    status, done, _ = cli(world, "dedupe", "apply", "--approve")

    assert (1, []) == (status, done["merged"])
    assert "changed since the scan" in done["refused"][0]["why"]
    assert double in world.org.tables["Account"].rows


def test_a_merge_whose_answer_was_lost_is_only_noted_the_next_time(found):
    world = found()
    _, _, double = two_annas(world)
    cli(world, "dedupe", "scan")
    decide(world, lambda row: "merge")
    world.fail_crm("drop-after", "/services/Soap/")

    status, told, _ = cli(world, "dedupe", "apply", "--approve")
    assert 75 == status, told

    status, done, _ = cli(world, "dedupe", "apply", "--approve")
    assert (0, [double]) == (status, [each["loser"] for each in done["merged"]])
    assert 1 == world.org.usage.by_route["POST /services/Soap/u merge"]


def test_one_mistake_in_the_table_keeps_all_of_it_out(found):
    world = found()
    two_annas(world)
    cli(world, "dedupe", "scan")
    file = world.home / "decide.csv"
    cli(world, "dedupe", "export", file)
    rows = [{**row, "decision": "merge"} for row in rows_of(file)]
    rows[1]["decision"] = "marry"
    write(file, rows)

    status, told, err = cli(world, "dedupe", "import", file)

    assert (2, 0, [3]) == (status, told["taken"], [each["line"] for each in told["mistakes"]])
    assert 'the decision is "marry"' in err
    assert {"open": 1} == cli(world, "dedupe", "scan")[1]["states"]


def said(world, *argv):
    out, err = io.StringIO(), io.StringIO()
    status = run([*map(str, argv), "--home", str(world.home)], out=out, err=err, env={}, clock=world.clock)
    return status, " ".join(out.getvalue().split())


def test_what_people_read(found):
    world = found()
    one, other = world.customer("Anna", "Prins", **ANNA), world.customer("Anna", "Prins", **ANNA)
    world.backfill()

    assert "1 cluster to decide about" in said(world, "dedupe", "scan")[1]
    shown = said(world, "dedupe", "show")[1]
    assert "sure by" in shown
    assert f"till {one}" in shown
    assert "name: Anna Prins" in shown
    decide(world, lambda row: "merge")
    status, told = said(world, "dedupe", "apply", "--dry-run")
    assert (0, True) == (status, "0 records would be merged in Salesforce" in told)
    status, told = said(world, "dedupe", "apply")
    assert (1, True) == (status, f"merge customer {other} (Anna Prins) into {one}" in told)
    assert f"id={other}" in said(world, "dedupe", "show", "--by-hand")[1]
    assert 2 == said(world, "dedupe", "show", "nowhere")[0]


def exported(world, *options):
    file = world.home / "look.csv"
    cli(world, "dedupe", "export", file, *options)
    return rows_of(file)


def test_a_cluster_that_was_changed_is_shown_as_it_is_now_and_decided_again(found):
    world = found()
    _, _, double = two_annas(world)
    cli(world, "dedupe", "scan")
    decide(world, lambda row: "merge")
    world.edit_in_crm(double, Phone="+31207654321")
    assert "scan again" in cli(world, "dedupe", "apply", "--approve")[1]["refused"][0]["why"]

    scanned = cli(world, "dedupe", "scan")[1]

    assert (1, {"open": 1}) == (scanned["changed"], scanned["states"])
    assert "not stand any more" not in said(world, "dedupe", "scan")[1], "it is told once"
    (row,) = [row for row in exported(world) if row["id"] == double]
    assert ("", True) == (row["decision"], "+31207654321" in row["phones"])
    assert "changed since you decided" in row["why"], "and a second scan does not take it off"
    assert "changed since you decided" in said(world, "dedupe", "show")[1]
    assert 0 == len(cli(world, "dedupe", "apply", "--approve")[1].get("merged", []))

    decide(world, lambda row: "merge")
    world.edit_in_crm(double, Phone="+31203334444")
    assert "1 decision does not stand any more" in said(world, "dedupe", "scan")[1]
    decide(world, lambda row: "merge")
    assert not any("changed since" in row["why"] for row in exported(world))
    status, done, _ = cli(world, "dedupe", "apply", "--approve")
    assert (0, [double], []) == (status, [each["loser"] for each in done["merged"]], done["refused"])


def test_a_scan_in_which_nobody_changed_leaves_the_decision(found):
    world = found()
    _, _, double = two_annas(world)
    cli(world, "dedupe", "scan")
    decide(world, lambda row: "merge")

    scanned = cli(world, "dedupe", "scan")[1]

    assert (0, {"decided": 1}) == (scanned["changed"], scanned["states"])
    assert [double] == [each["loser"] for each in cli(world, "dedupe", "apply", "--approve")[1]["merged"]]


def test_work_by_hand_is_asked_about_again_when_who_is_to_go_was_changed(found):
    world = found()
    world.customer("Anna", "Prins", **ANNA)
    other = world.customer("Anna", "Prins", **ANNA)
    world.backfill()
    cli(world, "dedupe", "scan")
    decide(world, lambda row: "merge")
    cli(world, "dedupe", "apply", "--approve")
    world.edit_customer(other, lastName="Prinsen")

    scanned = cli(world, "dedupe", "scan")[1]

    assert (1, {"open": 1}) == (scanned["changed"], scanned["states"])
    assert ["Prins", "Prinsen"] == sorted(r["last_name"] for r in exported(world) if r["side"] == "till")


def test_the_rest_of_a_merge_stands_although_merging_has_changed_the_survivor(found):
    """The CRM's part is merged and its survivor has won a number; the till's part waits for people."""
    world = found()
    one = world.customer("Anna", "Prins", **ANNA)
    world.backfill()
    world.person("Anna", "Prins", Phone="+31201234567", **ANNA)
    world.customer("Anna", "Prins", **ANNA)
    world.sync()
    cli(world, "dedupe", "scan")
    decide(world, lambda row: "merge")
    done = cli(world, "dedupe", "apply", "--approve")[1]
    assert (1, 1) == (len(done["merged"]), len(done["by_hand"]))
    assert "+31201234567" == world.crm_row(world.known("customer", one).crm_id)["Phone"]

    scanned = cli(world, "dedupe", "scan")[1]

    assert (0, {"by_hand": 1}) == (scanned["changed"], scanned["states"])


def test_who_is_kept_apart_stays_so_when_the_others_are_changed(found):
    world = found()
    ids = [world.customer("Anna", "Prins", **ANNA) for _ in range(3)]
    cli(world, "dedupe", "scan")
    decide(world, lambda row: "keep apart" if row["id"] == str(ids[2]) else "merge")
    world.edit_customer(ids[1], firstName="Annie")

    for _ in range(2):
        cli(world, "dedupe", "scan")
        assert {str(i) for i in ids[:2]} == {row["id"] for row in exported(world)}
        assert {"open": 1, "apart": 1} == cli(world, "dedupe", "scan")[1]["states"]


@pytest.mark.parametrize(
    ("word", "options"),
    [pytest.param("merge", (), id="to merge"), pytest.param("keep apart", ("--all",), id="kept apart")],
)
def test_an_empty_decision_takes_a_decision_back(found, word, options):
    world = found()
    two_annas(world)
    cli(world, "dedupe", "scan")
    decide(world, lambda row: word)
    file = world.home / "back.csv"
    cli(world, "dedupe", "export", file, *options)
    write(file, [{**row, "decision": ""} for row in rows_of(file)])

    status, told, _ = cli(world, "dedupe", "import", file)

    assert (0, 0, 1) == (status, told["taken"], told["cleared"])
    assert {"open": 1} == cli(world, "dedupe", "scan")[1]["states"]
    assert [""] == list({row["decision"] for row in exported(world)})

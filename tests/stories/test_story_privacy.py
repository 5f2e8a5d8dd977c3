"""Privacy: a person is handed what is held of them, or erased on both sides and here, for good."""

import json
import shutil
from typing import get_args

import pytest
from world import key

from tillbridge.engine.disclosure import disclose
from tillbridge.engine.privacy import Office, Rules, erase
from tillbridge.engine.replay_of_erasures import replay
from tillbridge.engine.subject import Unknown
from tillbridge.model.errors import Halted, Transient
from tillbridge.store.database import FILE_NAME
from tillbridge.store.plans import Plans
from tillbridge.store.sought import sought
from tillbridge.store.tombstones import FILE_NAME as WITNESS
from tillbridge.sync.safety import Action, Entry, checksum

ACTIONS = get_args(Action)

ANNA = sought(
    names=[("Anna", "Prins")], emails=["anna@prins.example"], phones=["518-555-0147", "+15185550147"]
)
MAIL = {"person_account": "PersonEmail", "contact": "Email", "lead": "Email"}
LOOKUP = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}


def enter(world):
    """A customer with everything that a person can have, two receipts, and a neighbour."""
    fields = world.floor.add("CustomField", {"name": "Ring size"})["customFieldID"]
    world.anna = world.customer(
        "Anna",
        "Prins",
        email="anna@prins.example",
        mobile="518-555-0147",
        address={"address1": "12 Elm Street", "city": "Albany", "zip": "12207"},
        Note="Anna Prins rings before she comes.",
        CustomFieldValues={"CustomFieldValue": [{"customFieldID": fields, "value": "52.5"}]},
    )
    world.otto = world.customer("Otto", "Kramer", email="otto@kramer.example")
    world.ring_id = world.item()
    world.sale = world.ring(world.ring_id, customer=world.anna)
    write_on(world, world.sale, "For Anna Prins, 518-555-0147")
    world.other_sale = world.ring(world.ring_id, customer=world.otto)
    world.backfill()
    world.pass_time(minutes=30)
    return world


def write_on(world, sale, text):
    """Staff write a note on a receipt."""
    world.till_row("Sale", sale)["SaleNotes"] = {"InternalNote": text}


@pytest.fixture(params=["person_account", "contact", "lead"])
def any_model(request, found):
    return enter(found(model=request.param))


@pytest.fixture
def known(found):
    return enter(found())


def office(parts, **rules):
    return Office(parts.connect(), parts.holdings, parts.tombstones, Rules(**rules))


def erased(world, person, **rules):
    with world.opened() as parts:
        return erase(office(parts, **rules), str(person))


def replayed(world):
    with world.opened() as parts:
        return replay(office(parts))


def everything_held(world, sought_for=ANNA):
    """Search every file and every sealed payload of the home directory."""
    with world.opened() as parts:
        found = parts.holdings.search(sought_for)
    assert found.payloads
    assert not found.unreadable
    return [(hit.where, hit.what) for hit in found.hits]


def in_crm(world):
    """Everything that the org shows, as one text."""
    return json.dumps([world.all_rows(name) for name in world.org.tables], default=str)


def test_nothing_of_an_erased_person_is_left_anywhere(any_model):
    world = any_model
    assert everything_held(world)
    report = erased(world, world.anna)

    assert report["finished"], report["remains"]
    assert [] == everything_held(world)
    assert [] == ANNA.found_in(in_crm(world))
    till = world.till_row("Customer", world.anna)
    assert ("Customer", True, "") == (till["firstName"], till["archived"], till["Note"]["note"])
    assert not any(till["Contact"][name] for name in ("Emails", "Phones", "Addresses"))
    assert not any(each.get("value") for each in till["CustomFieldValues"])
    assert [] == ANNA.found_in(json.dumps(report))


def test_neighbours_and_amounts_stay(any_model):
    world = any_model
    before = world.sale_row(world.sale)["Total__c"]
    erased(world, world.anna)

    otto = world.row(world.person_object, key("customer", world.otto))
    assert ("Otto", "otto@kramer.example") == (otto["FirstName"], otto[MAIL[world.model]])
    row = world.sale_row(world.sale)
    assert (before, None) == (row["Total__c"], row.get("Notes__c"))
    anna = world.row(world.person_object, key("customer", world.anna))
    assert ("Erased", f"Customer {world.anna}") == (anna["FirstName"], anna["LastName"])
    assert anna["Id"] == row[LOOKUP[world.model]]
    identity = world.row("Customer_Identity__c", key("customer", world.anna))
    assert ("Erased", "erased", None) == tuple(
        identity.get(name) for name in ("Status__c", "Rule__c", "Evidence__c")
    )


def whole_load(world):
    """Load everything once more, as a first time."""
    with world.remembered() as state, state.begin() as c:
        for kind in ("products", "customers", "sales"):
            state.move_cursor(c, f"backfill {kind}", None)
    world.backfill()


def test_a_full_resync_and_backfill_bring_nothing_back(any_model):
    world = any_model
    erased(world, world.anna)
    world.pass_time(hours=1)
    world.sync()
    world.force(customers=[world.anna], sales=[world.sale])
    whole_load(world)
    world.pass_time(hours=1)
    world.sync()

    assert [] == everything_held(world)
    assert [] == ANNA.found_in(in_crm(world))
    assert 2 == len([row for row in world.all_rows(world.person_object) if row.get("LastName")])
    assert not world.sale_row(world.sale).get("Notes__c")
    assert ("left_out", True) == (
        world.standing("customer", world.anna),
        world.why("customer", world.anna).startswith("erased on 2026-11-20"),
    )


def test_receipts_of_somebody_erased_go_on_landing_without_a_name(known):
    world = known
    erased(world, world.anna)
    sale = world.ring(world.ring_id, customer=world.anna)
    write_on(world, sale, "Anna Prins again")
    world.pass_time(minutes=30)
    world.sync()

    row = world.sale_row(sale)
    person = world.row("Account", key("customer", world.anna))["Id"]
    assert (person, None) == (row["Account__c"], row.get("Notes__c"))
    assert [] == everything_held(world)
    assert [] == world.differences()


def test_one_id_leads_to_all_of_a_person(known):
    world = known
    second = world.customer("Ann", "Prins", email="anna@prins.example", mobile="518-555-0199")
    world.sync()
    crm_id = world.known("customer", second).crm_id
    assert crm_id == world.known("customer", world.anna).crm_id

    for person in (second, key("customer", world.anna), crm_id, crm_id[:15]):
        with world.opened() as parts:
            told = disclose(parts.connect(), parts.holdings, str(person))["person"]
        assert {
            "till_ids": [str(world.anna), str(second)],
            "crm": [{"object": "Account", "id": crm_id}],
        } == told
    report = erased(world, crm_id[:15])

    assert report["finished"], report["remains"]
    both = ANNA | sought(names=[("Ann", "Prins")], phones=["518-555-0199"])
    assert [] == everything_held(world, both)
    assert [] == both.found_in(in_crm(world))


def test_an_export_holds_both_sides_and_what_we_keep_and_nobody_else(any_model):
    world = any_model
    with world.opened() as parts:
        document = json.loads(json.dumps(disclose(parts.connect(), parts.holdings, str(world.anna))))

    [customer] = document["till"]["customers"]
    assert ("Anna Prins rings before she comes.", {"Ring size": "52.5"}) == (
        customer["note"],
        customer["custom"],
    )
    record = next(each for each in document["crm"]["records"] if each["object"] == world.person_object)
    assert "anna@prins.example" == record[MAIL[world.model]]
    [receipt] = document["crm"]["receipts"]
    assert (key("sale", world.sale), 1) == (receipt["Transaction_Key__c"], len(receipt["lines"]))
    assert [str(world.sale)] == [sale["id"] for sale in document["till"]["receipts"]]
    assert {"raw", "shadow", "person", "verdict"} <= document["kept_here"]["payloads"].keys()
    assert [key("customer", world.anna)] == [row["Identity_Key__c"] for row in document["crm"]["identities"]]
    assert "Kramer" not in json.dumps(document)


def test_an_id_that_leads_to_nobody_is_said(known):
    with known.opened() as parts, pytest.raises(Unknown, match="leads to nobody"):
        erase(office(parts), "99999")
    with known.opened() as parts, pytest.raises(Unknown, match="no id of a customer"):
        erase(office(parts), "Anna")


# --- backups -------------------------------------------------------------------------------------


@pytest.fixture
def restored(known, tmp_path):
    """A home that was put back to before the erasure; the witness beside the state as the test says."""

    def put_back(*, witness):
        copy = tmp_path / "backup"
        copy.mkdir()
        for name in (FILE_NAME, "key", "tillbridge.toml"):
            shutil.copy(known.home / name, copy / name)
        report = erased(known, known.anna)
        assert report["finished"], report["remains"]
        for path in known.home.glob(f"{FILE_NAME}*"):
            path.unlink()
        shutil.copy(copy / FILE_NAME, known.home / FILE_NAME)
        if not witness:
            (known.home / WITNESS).unlink()
        return known

    return put_back


def test_a_restored_state_is_cleared_when_the_next_run_begins(restored):
    world = restored(witness=True)
    world.pass_time(minutes=30)
    world.sync()

    assert [] == everything_held(world)


def test_a_restored_home_is_cleared_when_a_run_meets_the_person(restored):
    world = restored(witness=False)
    world.pass_time(minutes=30)
    world.sync()

    assert [] == everything_held(world)
    whole_load(world)
    assert [] == everything_held(world)
    assert [] == ANNA.found_in(in_crm(world))


def test_a_replay_learns_of_erasures_from_the_org(restored):
    world = restored(witness=False)
    done = replayed(world)

    assert (1, [f"crm-{world.anna}"]) == (done.known, done.learnt)
    assert [] == everything_held(world)
    assert ([], []) == (replayed(world).learnt, replayed(world).again)


def test_a_replay_erases_again_what_a_side_has_brought_back(known):
    world = known
    erased(world, world.anna)
    world.edit_customer(world.anna, email="anna@prins.example", firstName="Anna", lastName="Prins")
    person = world.row("Account", key("customer", world.anna))["Id"]
    world.edit_in_crm(person, FirstName="Anna", LastName="Prins", PersonEmail="anna@prins.example")
    world.pass_time(minutes=30)
    world.sync()
    assert [] == everything_held(world)

    done = replayed(world)
    assert [True] == [report["finished"] for report in done.again]
    assert "Customer" == world.till_row("Customer", world.anna)["firstName"]
    assert [] == ANNA.found_in(in_crm(world))
    assert [] == replayed(world).again


# --- what the rules say --------------------------------------------------------------------------


def test_a_deleted_person_leaves_their_receipts_behind(any_model):
    world = any_model
    person = world.row(world.person_object, key("customer", world.anna))["Id"]
    report = erased(world, world.anna, crm="delete")
    world.pass_time(minutes=30)
    write_on(world, world.sale, "Anna Prins")
    world.force(sales=[world.sale], customers=[world.anna])

    assert report["finished"], report["remains"]
    assert person not in {row["Id"] for row in world.all_rows(world.person_object)}
    assert not world.sale_row(world.sale).get(LOOKUP[world.model])
    assert [] == everything_held(world)
    assert [] == ANNA.found_in(in_crm(world))


def test_a_side_that_is_kept_is_not_touched_and_enters_nothing(known):
    world = known
    report = erased(world, world.anna, till="keep", crm="keep")
    world.pass_time(minutes=30)
    world.edit_customer(world.anna, mobile="518-555-0188")
    world.sync()
    whole_load(world)

    assert report["finished"], report["remains"]
    assert "Anna" == world.till_row("Customer", world.anna)["firstName"]
    assert "Anna" == world.row("Account", key("customer", world.anna))["FirstName"]
    assert "+15185550147" == world.row("Account", key("customer", world.anna))["PersonMobilePhone"]
    assert [] == everything_held(world)
    assert {'privacy.till is "keep"', 'privacy.crm is "keep"'} <= {each["why"] for each in report["remains"]}


def test_an_archived_customer_keeps_the_name_and_loses_notes(known):
    report = erased(known, known.anna, till="archive")

    till = known.till_row("Customer", known.anna)
    assert report["finished"], report["remains"]
    assert ("Anna", True, "") == (till["firstName"], till["archived"], till["Note"]["note"])


# --- who comes back ------------------------------------------------------------------------------


def test_somebody_who_comes_back_with_a_new_record_is_a_new_person(known):
    world = known
    erased(world, world.anna)
    world.pass_time(hours=1)
    again = world.customer("Anna", "Prins", email="anna@prins.example")
    world.pass_time(minutes=30)
    world.sync()

    assert "settled" == world.standing("customer", again)
    assert "Anna" == world.row("Account", key("customer", again))["FirstName"]


def test_an_old_record_with_the_same_mail_that_nobody_is_linked_to_stays_out(found):
    world = found()
    enter(world)
    world.person("Maria", "Prins", email="anna@prins.example")
    old = world.customer("Mario", "Prins", email="anna@prins.example")
    report = erased(world, world.anna)
    world.pass_time(minutes=30)
    world.sync()

    assert "left_out" == world.standing("customer", old)
    assert ("Lightspeed", f"customer {old}") in {(each["where"], each["what"]) for each in report["remains"]}


def test_a_spouse_with_the_same_phone_who_is_linked_stays(found):
    world = found()
    spouse = world.customer("Jan", "Visser", mobile="518-555-0147")
    enter(world)
    assert "settled" == world.standing("customer", spouse)
    erased(world, world.anna)
    world.pass_time(minutes=30)
    world.edit_customer(spouse, address={"city": "Troy"})
    world.sync()

    assert "Troy" == world.row("Account", key("customer", spouse))["PersonMailingCity"]


def test_somebody_of_the_crm_who_was_erased_never_enters_the_till(found):
    world = enter(found())
    both = [world.person(first, "Vos", email=f"{first}@vos.example") for first in ("Ida", "Uwe")]
    report = erased(world, both[0], crm="keep")
    for person in both:
        world.edit_in_crm(person, Send_To_Lightspeed__c=True)
    world.pass_time(minutes=30)
    world.sync()

    assert report["finished"], report["remains"]
    names = {row["firstName"] for row in world.till_app.world["Customer"].rows.values()}
    assert ("Uwe" in names, "Ida" in names) == (True, False)
    assert [] == everything_held(world, sought(names=[("Ida", "Vos")], emails=["Ida@vos.example"]))


# --- what goes wrong -----------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone."""


STEPS = ("witness", "till", "crm people", "crm identities", "crm receipts", "state", "files", "reported")


@pytest.mark.parametrize("step", STEPS)
def test_an_erasure_that_was_killed_goes_on(known, step):
    world = known
    seen = []

    with world.opened() as parts:
        tombstones = parts.tombstones
        keep = tombstones.keep

        def kept_then_killed(connection, case):
            keep(connection, case)
            seen.append(case.done[-1] if case.done else "")
            if seen[-1] == step:
                raise Killed

        tombstones.keep = kept_then_killed
        with pytest.raises(Killed):
            erase(office(parts), str(world.anna))
    assert step == seen[-1]
    world.pass_time(hours=1)
    world.sync()
    report = erased(world, world.anna)

    assert report["finished"], report["remains"]
    assert [] == everything_held(world)
    assert [] == ANNA.found_in(in_crm(world))


def test_an_erasure_whose_till_goes_down_goes_on(known):
    world = known
    world.fail_till("status", "Anonymize", status=503, times=None)
    with pytest.raises(Transient):
        erased(world, world.anna)
    world.till_server.faults.clear()
    world.pass_time(hours=1)
    report = erased(world, world.anna)

    assert report["finished"], report["remains"]
    assert [] == everything_held(world)
    assert [] == ANNA.found_in(in_crm(world))


def test_lost_answers_of_the_crm_are_asked_for_again(known):
    world = known
    world.fail_crm("reset_after", "composite", every=2, times=4)
    report = erased(world, world.anna)

    assert (True, (0, 4)) == (report["finished"], world.suffered())
    assert [] == ANNA.found_in(in_crm(world))


def test_a_refused_record_stays_open_and_is_tried_again(known):
    world = known
    person = world.row("Account", key("customer", world.anna))["Id"]
    world.refuse("Account", "FirstName", "Erased")
    report = erased(world, world.anna)

    assert not report["finished"]
    [stays] = [each for each in report["remains"] if each["open"]]
    assert ("Salesforce", f"Account {person}") == (stays["where"], stays["what"])
    assert "Customer" == world.till_row("Customer", world.anna)["firstName"]

    world.org.validations.clear()
    again = erased(world, world.anna)
    assert again["finished"], again["remains"]
    assert report["id"] == again["id"]
    assert [] == ANNA.found_in(in_crm(world))
    assert [] == everything_held(world)


def test_somebody_in_review_is_closed_as_erased(found):
    world = found()
    own = world.person("Otto", "Kramer", email="anna@prins.example")
    enter(world)
    assert "review" == world.standing("customer", world.anna)
    report = erased(world, world.anna)

    assert report["finished"], report["remains"]
    assert "left_out" == world.standing("customer", world.anna)
    assert "Otto" == world.crm_row(own)["FirstName"]
    with world.opened() as parts:
        assert [] == list(parts.people.reviews())


def test_their_open_problems_are_resolved(found):
    world = found()
    world.refuse("Account", "LastName", "Prins", message="no Anna Prins, please")
    enter(world)
    assert [str(world.anna)] == [problem.till_id for problem in world.problems()]
    report = erased(world, world.anna)

    assert report["finished"], report["remains"]
    assert [] == world.problems()
    assert [] == everything_held(world)


def test_plans_lose_their_entries_and_nobody_elses(known):
    def entry(till_id, name):
        fields = {"FirstName": (None, name)}
        return Entry(action=ACTIONS[0], till_id=str(till_id), object="Account", name=name, fields=fields)

    with known.opened() as parts, parts.state.begin() as c:
        plans = Plans(parts.state, parts.vault)
        mixed = plans.save(c, [entry(known.anna, "Anna Prins"), entry(known.otto, "Otto Kramer")], "preview")
        own = plans.save(c, [entry(known.anna, "Anna Prins")], "preview")
    report = erased(known, known.anna)

    assert report["finished"], report["remains"]
    with known.opened() as parts:
        plans = Plans(parts.state, parts.vault)
        assert ["Otto Kramer"] == [each.name for each in plans.get(mixed).entries]
        assert checksum(plans.get(mixed).entries) == plans.get(mixed).checksum
        assert plans.get(own) is None


def test_logs_are_cleared_too(known):
    log = known.home / "tillbridge.log"
    log.write_text('{"event": "said anna@prins.example"}\n{"event": "kept"}\n')
    erased(known, known.anna)

    assert '{"event": "said …"}\n{"event": "kept"}\n' == log.read_text()


def test_a_witness_that_was_changed_stops_the_run(known):
    erased(known, known.anna)
    path = known.home / WITNESS
    path.write_text(path.read_text().replace("erased_at", "erased_on") + "\n\n")

    with pytest.raises(Halted, match="changed since"):
        known.sync()

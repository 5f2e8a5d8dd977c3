"""Safety: what looks wrong waits for a person, what was shown is written, and it can be taken back."""

import pytest
from test_story_both_ways import MAIL, in_till, linked, quiet, written
from world import key

from tillbridge.engine.backfill import backfill
from tillbridge.engine.customers import plan_customers
from tillbridge.engine.guard import approve, approve_reasons, drop
from tillbridge.engine.people import approve_emptied, gone_people, refresh_people
from tillbridge.engine.preview import NoSuchPlan, apply, carry_approved, plan_to, preview
from tillbridge.engine.rulings import NoSuchConflict, keep, open_conflicts, wanted
from tillbridge.engine.sync import sync
from tillbridge.engine.undo import Undone, creations, of_change, of_run, take_back
from tillbridge.model.errors import Halted
from tillbridge.model.reading import Query
from tillbridge.store.plans import APPLIED, OPEN, PREVIEW


def look(world, *only):
    with world.connected() as connection:
        return preview(connection, [str(i) for i in only])


def carry_out(world, plan):
    with world.connected() as connection:
        return apply(connection, plan_to(connection.plans, plan.id, plan.checksum, why=PREVIEW), "the owner")


def let_pass(world, number):
    with world.connected() as connection:
        return carry_approved(connection, approve(connection, number, "the owner"))


def held_plans(world):
    with world.opened() as parts:
        return parts.plans.in_state(OPEN)


def noted_sync(world, job="sync"):
    """Run a sync that is written down; return the number of the run."""
    with world.opened() as parts:
        run = parts.journal.start(job)
        sync(parts.connect())
        return run


def undo(world, run, **more):
    with world.connected() as connection:
        connection.journal.start("undo")
        return take_back(connection, of_run(connection, run), creations(connection, run), **more)


def shop_full(world, count=12):
    """Load customers whom both sides agree on; return their ids, in the till and in the CRM."""
    people = [
        world.customer(f"Anna{n}", "Prins", email=f"anna{n}@prins.example", mobile=f"518-555-01{n:02}")
        for n in range(count)
    ]
    world.backfill()
    world.pass_time(minutes=20)
    quiet(world)
    rows = world.rows(world.person_object)
    return people, [rows[key("customer", i)]["Id"] for i in people]


# --- large and odd changes ---------------------------------------------------------------------------


def test_emptying_everybody_in_the_till_writes_nothing_until_a_person_agrees(world):
    world.configure(safety="")
    people, _ = shop_full(world)
    for till_id in people:
        world.floor.edit("Customer", till_id, {"Contact": {"Emails": {"ContactEmail": []}, "Phones": []}})
        world.floor.edit("Customer", till_id, {"title": "x", "firstName": ""})
    before = written(world)
    counts = world.sync()
    assert before == written(world)
    assert (len(people), 0) == (counts["held back"], counts["updated"])
    world.pass_time(minutes=20)
    world.sync()
    assert before == written(world), "asking once more changes nothing"

    (plan,) = held_plans(world)
    assert {"many_changes"} == set(plan.reasons)
    let_pass(world, plan.id)
    assert before[1] != written(world)[1]
    assert {"settled": len(people)} == world.states()["customer"]
    assert [] == held_plans(world)
    quiet(world)


def test_emptying_everybody_in_the_crm_writes_nothing_until_a_person_agrees(world):
    world.configure(safety="")
    people, crm = shop_full(world)
    for crm_id in crm:
        world.edit_in_crm(crm_id, PersonEmail=None, PersonMobilePhone=None)
    before = written(world)[0]
    counts = world.sync()
    assert (before, len(people)) == (written(world)[0], counts["held back"])
    (plan,) = held_plans(world)
    let_pass(world, plan.id)
    assert [({}, {})] * len(people) == [in_till(world, i)[2:] for i in people]
    quiet(world)


def test_a_part_of_a_large_change_is_judged_by_the_whole_of_it(world):
    world.configure(safety="")
    people, crm = shop_full(world)
    for crm_id in crm:
        world.edit_in_crm(crm_id, PersonEmail=None)
    with world.connected() as connection:
        refresh_people(connection)
        approve_reasons(connection, ["first_till_write"])
        pages = connection.till.customers(Query(ids=(str(people[0]),)))
        plan = plan_customers(connection, [each for p in pages for each in p.rows], fresh_index=True)
    assert [str(people[0])] == list(plan.held)
    assert "12 of 12 customers" in plan.held[str(people[0])]


def test_deleting_everybody_in_the_crm_stops_everything_until_it_is_approved(world):
    world.configure(safety="")
    people, crm = shop_full(world)
    for crm_id in crm:
        world.org.write(world.org.staff, "Account", "delete", {"Id": crm_id})
    before = written(world)[0]
    for _ in range(2):
        with pytest.raises(Halted, match="approve emptied"):
            world.sync()
    with world.connected() as connection:
        count, newest = gone_people(connection)
        approve_emptied(connection, newest)
    assert (len(people), before) == (count, written(world)[0])
    world.sync()
    assert before == written(world)[0], "no deletion cascades"
    assert [None] * len(people) == [world.known("customer", i).crm_id for i in people]


def test_a_mapping_change_that_touches_everybody_writes_nothing_until_a_person_agrees(world):
    world.configure(safety="")
    people, crm = shop_full(world, count=4)
    world.configure(safety="", toml='[map.customer]\nPersonTitle = "last_name"\n')
    before = written(world)
    with world.opened(history=True) as parts, parts.state.begin() as c:
        parts.state.move_cursor(c, "backfill customers", None)
    counts = world.backfill()
    assert (before, len(people)) == (written(world), counts["held back"])
    (plan,) = held_plans(world)
    assert "map_changed" in plan.reasons
    let_pass(world, plan.id)
    assert ["Prins"] * len(people) == [world.crm_row(i)["PersonTitle"] for i in crm]
    quiet(world)


def test_a_field_that_the_map_takes_up_is_read_before_it_is_written(world):
    """What the CRM has said in it all along is no blank to be filled."""
    world.configure(safety="", toml='[map.customer]\nPersonTitle = ""\n')
    people, crm = shop_full(world, count=2)
    for till_id, crm_id in zip(people, crm, strict=True):
        world.edit_customer(till_id, title="Dr")
        world.edit_in_crm(crm_id, PersonTitle="Prof")
    world.pass_time(minutes=40)
    world.sync()
    world.configure(safety="")
    world.edit_customer(people[0], firstName="Anne")
    world.sync()
    (plan,) = held_plans(world)
    assert [{"FirstName": ("Anna0", "Anne")}] == [each.fields for each in plan.entries]
    let_pass(world, plan.id)
    assert ["Prof", "Prof"] == [world.crm_row(i)["PersonTitle"] for i in crm]
    assert ["Dr", "Dr"] == [in_till(world, i)[0]["title"] for i in people]


def test_what_was_put_right_is_let_go_without_writing(world):
    world.configure(safety="")
    anna, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne")
    world.sync()
    (plan,) = held_plans(world)
    world.edit_in_crm(crm_id, FirstName="Anna")
    before = written(world)
    with world.opened() as parts:
        assert 1 == drop(parts.state, parts.arrivals, parts.plans, plan)
    world.sync()
    assert ("settled", before, []) == (world.standing("customer", anna), written(world), held_plans(world))


def test_a_script_may_agree_beforehand(world):
    world.configure(safety="")
    people, crm = shop_full(world)
    for crm_id in crm:
        world.edit_in_crm(crm_id, FirstName="Otto")
    with world.connected() as connection:
        connection.approve = True
        sync(connection)
    assert {"Otto"} == {in_till(world, i)[0]["firstName"] for i in people}
    assert [] == held_plans(world)


def test_whoever_changes_while_they_are_held_is_held_again_as_they_are_now(world):
    world.configure(safety="")
    people, crm = shop_full(world)
    for crm_id in crm:
        world.edit_in_crm(crm_id, FirstName="Otto")
    world.sync()
    (plan,) = held_plans(world)
    world.edit_in_crm(crm[0], FirstName="Oskar")
    let_pass(world, plan.id)
    assert ["Anna0", *["Otto"] * 11] == [in_till(world, i)[0]["firstName"] for i in people]
    quiet(world)
    (again,) = held_plans(world)
    assert [("Anna0", "Oskar")] == [each.fields["FirstName"] for each in again.entries]
    assert "changed_since" in again.reasons
    let_pass(world, again.id)
    assert ("Oskar", []) == (in_till(world, people[0])[0]["firstName"], held_plans(world))
    quiet(world)


def test_what_is_asked_once_is_approved_for_later_and_not_for_what_nobody_was_shown(world):
    world.configure(safety="")
    people, crm = shop_full(world, count=2)
    marked = world.person("Bea", "Lind", email="bea@lind.example", Send_To_Lightspeed__c=True)
    world.edit_in_crm(crm[0], FirstName="Otto")
    world.sync()
    (plan,) = held_plans(world)
    world.edit_in_crm(crm[0], FirstName="Oskar")
    world.edit_in_crm(marked, PersonEmail="later@lind.example")
    let_pass(world, plan.id)
    assert ("Anna0", []) == (in_till(world, people[0])[0]["firstName"], _mails_of(world, "Lind"))
    quiet(world)
    assert ("Anna0", []) == (in_till(world, people[0])[0]["firstName"], _mails_of(world, "Lind"))

    (again,) = held_plans(world)
    shown = {each.action: each.fields for each in again.entries}
    assert ("Anna0", "Oskar") == shown["update_till"]["FirstName"]
    assert (None, "later@lind.example") == shown["create_till"]["email"]
    let_pass(world, again.id)
    assert "Oskar" == in_till(world, people[0])[0]["firstName"]
    assert (["later@lind.example"], []) == (_mails_of(world, "Lind"), held_plans(world))

    world.edit_in_crm(crm[1], FirstName="Olga")
    world.sync()
    assert ("Olga", []) == (in_till(world, people[1])[0]["firstName"], held_plans(world))
    quiet(world)


def _mails_of(world, last_name):
    rows = world.till_app.world["Customer"].rows.values()
    return [in_till(world, r["customerID"])[2]["Primary"] for r in rows if r["lastName"] == last_name]


def test_a_plan_closes_by_itself_once_the_field_map_is_the_approved_one_again(world):
    world.configure(safety="")
    people, crm = shop_full(world, count=2)
    world.configure(safety="", toml='[map.customer]\nPersonTitle = "last_name"\n')
    world.edit_customer(people[0], title="Dr")
    world.sync()
    assert ["map_changed" in plan.reasons for plan in held_plans(world)] == [True]
    world.configure(safety="")
    world.sync()
    assert ([], {"settled": 2}) == (held_plans(world), world.states()["customer"])
    assert ["Dr", None] == [world.crm_row(i).get("PersonTitle") for i in crm]
    quiet(world)


def test_a_plan_closes_by_itself_once_the_crm_was_put_right(world):
    world.configure(safety="")
    anna, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne")
    world.sync()
    assert 1 == len(held_plans(world))
    before = written(world)[0]
    world.pass_time(minutes=1)
    world.edit_in_crm(crm_id, FirstName="Anna")
    world.sync()
    assert ("settled", before, []) == (world.standing("customer", anna), written(world)[0], held_plans(world))
    quiet(world)


# --- preview and apply -----------------------------------------------------------------------------


def test_a_preview_shows_everything_and_writes_nothing(world):
    world.configure(safety="")
    anna, crm_id = linked(world)
    world.configure(safety="")
    world.edit_in_crm(crm_id, PersonMobilePhone="+15185550188")
    world.edit_customer(anna, email="new@prins.example")
    bo = world.customer("Bo", "Lund", email="bo@lund.example")
    review = world.customer("Otto", "Kramer", email="carla@mail.example")
    world.person("Carla", "Mendes", email="carla@mail.example")
    bea = world.person("Bea", "Lind", email="bea@lind.example", Send_To_Lightspeed__c=True)
    world.ring(world.item(), customer=bo)
    before, standings = written(world), world.states()
    found = look(world)

    assert (before, standings) == (written(world), world.states())
    entries = {(each.action, each.till_id or each.crm_id): each for each in found.entries}
    assert {
        ("create_crm", str(bo)),
        ("create_till", bea),
        ("update_crm", str(anna)),
        ("update_till", str(anna)),
    } == set(entries)
    pushed = entries["update_crm", str(anna)].fields
    assert ("anna@prins.example", "new@prins.example") == pushed["PersonEmail"]
    assert ("518-555-0147", "+15185550188") == _spoken(entries["update_till", str(anna)])
    assert (None, "bo@lund.example") == entries["create_crm", str(bo)].fields["PersonEmail"]
    assert [(str(review), "review")] == [(each.till_id, each.state) for each in found.skips]
    assert (1, 1, 4, False) == (found.sales, found.crm_calls, found.till_calls, found.more)
    assert any("first time that we write there" in each for each in found.holds)
    assert found.plan is not None


def _spoken(entry):
    before, after = entry.fields["PersonMobilePhone"]
    return ("518-555-0147" if before == "+15185550147" else before, after)


def test_a_plan_is_applied_exactly_once_and_is_quiet_afterwards(any_person):
    world = any_person
    world.configure(safety="")
    anna, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne")
    bo = world.customer("Bo", "Lund", email="bo@lund.example")
    world.person("Bea", "Lind", email="bea@lind.example", Send_To_Lightspeed__c=True)
    plan = look(world).plan
    done = carry_out(world, plan)

    assert sorted(each.action for each in plan.entries) == sorted(each.action for each in done.written)
    assert ([], []) == (done.refused, done.skipped)
    assert "Anne" == in_till(world, anna)[0]["firstName"]
    assert key("customer", bo) in world.rows(world.person_object)
    (bea,) = (r for r in world.till_app.world["Customer"].rows.values() if r["lastName"] == "Lind")
    assert "settled" == world.standing("customer", bea["customerID"])
    with pytest.raises(NoSuchPlan, match="carried out already"):
        carry_out(world, plan)
    quiet(world)


@pytest.fixture(params=["person_account", "contact", "lead"])
def any_person(found, request):
    return found(model=request.param)


def test_whoever_changed_since_the_plan_is_passed_over_and_told(world):
    people, crm = shop_full(world, count=3)
    for crm_id in crm:
        world.edit_in_crm(crm_id, FirstName="Otto")
    plan = look(world).plan
    world.edit_in_crm(crm[0], FirstName="Oskar")
    world.edit_customer(people[1], email="later@prins.example")
    done = carry_out(world, plan)

    assert [str(people[2])] == [each.till_id for each in done.written]
    told = "changed since the plan was made"
    assert {(str(i), told) for i in people[:2]} == {(each.till_id, why) for each, why in done.skipped}
    assert ["Anna0", "Anna1", "Otto"] == [in_till(world, i)[0]["firstName"] for i in people]
    assert APPLIED == _state_of(world, plan.id)
    quiet(world)
    assert ["Oskar", "Otto", "Otto"] == [in_till(world, i)[0]["firstName"] for i in people]


def _state_of(world, number):
    with world.opened() as parts:
        return parts.plans.get(number).state


def test_only_one_preview_is_good_at_a_time_and_a_wrong_checksum_is_none(world):
    _, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne")
    first, second = look(world).plan, look(world).plan
    with pytest.raises(NoSuchPlan, match="out of date"):
        carry_out(world, first)
    with world.opened() as parts:
        with pytest.raises(NoSuchPlan, match="not what was looked at"):
            plan_to(parts.plans, second.id, "0" * 64, why=PREVIEW)
        with pytest.raises(NoSuchPlan, match="There is no plan 99"):
            plan_to(parts.plans, 99, None, why=PREVIEW)


def test_a_preview_of_one_customer_looks_at_that_one(world):
    people, crm = shop_full(world, count=2)
    for crm_id in crm:
        world.edit_in_crm(crm_id, FirstName="Otto")
    found = look(world, people[1])
    assert [str(people[1])] == [each.till_id for each in found.entries]
    carry_out(world, found.plan)
    assert ["Anna0", "Otto"] == [in_till(world, i)[0]["firstName"] for i in people]


def test_applying_what_was_held_closes_the_held_plan(world):
    world.configure(safety="")
    anna, crm_id = linked(world)
    world.edit_in_crm(crm_id, FirstName="Anne")
    world.sync()
    carry_out(world, look(world, anna).plan)
    assert ("settled", []) == (world.standing("customer", anna), held_plans(world))
    quiet(world)


# --- undo ------------------------------------------------------------------------------------------


def test_a_run_is_undone_on_both_sides_and_stays_undone(any_person):
    world = any_person
    anna, crm_id = linked(world)
    world.edit_customer(anna, email="wrong@prins.example")
    world.edit_in_crm(crm_id, FirstName="Wrong")
    run = noted_sync(world)
    assert ("Wrong", "wrong@prins.example") == _shown(world, anna, crm_id)

    done = undo(world, run)
    assert ([], 2) == (done.skipped, len(done.done))
    assert ("Anna", "anna@prins.example") == _shown(world, anna, crm_id)
    assert {"Primary": "wrong@prins.example"} == in_till(world, anna)[2], "the till's own edit stays"
    quiet(world)
    assert ("Anna", "anna@prins.example") == _shown(world, anna, crm_id)
    with world.opened() as parts:
        assert {"undo"} == {each.why for each in parts.changes.of([str(anna)]) if each.undone_by is None}
    assert [] == undo(world, run).done, "once is enough"

    world.edit_customer(anna, email="right@prins.example")
    world.sync()
    assert "right@prins.example" == world.crm_row(crm_id)[MAIL[world.model]], (
        "the next edit goes across as ever"
    )
    quiet(world)


def _shown(world, till_id, crm_id):
    """Return the first name that the till shows, and the mail that the CRM shows."""
    return in_till(world, till_id)[0]["firstName"], world.crm_row(crm_id)[MAIL[world.model]]


def test_what_was_changed_since_is_not_undone(world):
    anna, crm_id = linked(world)
    world.edit_customer(anna, email="wrong@prins.example", mobile="518-555-0199")
    run = noted_sync(world)
    world.pass_time(minutes=20)
    world.edit_in_crm(crm_id, PersonEmail="mine@prins.example")
    done = undo(world, run)

    assert ["PersonMobilePhone"] == [each.field for each in done.done]
    assert [("PersonEmail", "changed since: it shows mine@prins.example")] == [
        (each.field, why) for each, why in done.skipped
    ]
    assert "mine@prins.example" == world.crm_row(crm_id)["PersonEmail"]
    world.sync()
    assert {"Primary": "mine@prins.example"} == in_till(world, anna)[2], "their edit goes on its way"
    quiet(world)


def test_an_edit_that_no_poll_has_seen_survives_an_undo(world):
    anna, crm_id = linked(world)
    world.edit_customer(anna, email="wrong@prins.example")
    world.edit_in_crm(crm_id, FirstName="Wrong")
    run = noted_sync(world)
    world.pass_time(minutes=1)
    world.edit_customer(anna, title="Dr")
    undo(world, run)
    world.sync()
    assert "Dr" == world.crm_row(crm_id)["PersonTitle"]
    quiet(world)


def test_what_an_undo_empties_in_the_crm_is_taken_from_none_of_a_persons_till_records(world):
    own = world.person("Anna", "Prins", email="anna@prins.example")
    people = [world.customer("Anna", "Prins", email="anna@prins.example") for _ in range(2)]
    world.backfill()
    for person, mobile in zip(people, ("518-555-0147", "518-555-0148"), strict=True):
        world.edit_customer(person, email="anna@prins.example", mobile=mobile)
    run = noted_sync(world)
    undo(world, run)
    quiet(world)

    assert world.crm_row(own).get("PersonMobilePhone") is None
    assert ["518-555-0147", "518-555-0148"] == [in_till(world, i)[3]["Mobile"] for i in people]


def test_blanks_that_a_first_link_filled_are_emptied_again_and_not_filled_again(world):
    own = world.person("Anna", "Prins", email="anna@prins.example")
    anna = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")
    with world.opened(history=True) as parts:
        run = parts.journal.start("backfill")
        backfill(parts.connect())
    assert "+15185550147" == world.crm_row(own)["PersonMobilePhone"]
    undo(world, run)
    assert world.crm_row(own).get("PersonMobilePhone") is None
    quiet(world)
    assert world.crm_row(own).get("PersonMobilePhone") is None
    assert own == world.known("customer", anna).crm_id


def test_creates_are_named_and_stay(world):
    world.backfill()
    world.pass_time(minutes=1)
    bo = world.customer("Bo", "Lund")
    world.person("Bea", "Lind", Send_To_Lightspeed__c=True)
    run = noted_sync(world)
    (bea,) = (r for r in world.till_app.world["Customer"].rows.values() if r["lastName"] == "Lind")
    done = undo(world, run)
    assert ([str(bo)], [str(bea["customerID"])]) == (done.created_in_crm, done.created_in_till)
    assert key("customer", bo) in world.rows("Account")


def test_a_dry_run_only_tells(world):
    anna, _ = linked(world)
    world.edit_customer(anna, email="wrong@prins.example")
    run = noted_sync(world)
    before = written(world)
    done = undo(world, run, dry=True)
    assert (["PersonEmail"], before) == ([each.field for each in done.done], written(world))


# --- conflicts -------------------------------------------------------------------------------------


@pytest.fixture
def conflicting(world):
    world.anna, world.anna_id = linked(world)
    world.edit_customer(world.anna, email="till@prins.example")
    world.edit_in_crm(world.anna_id, PersonEmail="crm@prins.example")
    world.sync()
    return world


def rule(world, winner):
    with world.connected() as connection:
        found = open_conflicts(connection.changes, connection.people, 10)
        return keep(connection, [each.contested for each in found], winner, "the owner")


def mails(world):
    return in_till(world, world.anna)[2]["Primary"], world.crm_row(world.anna_id).get("PersonEmail")


@pytest.mark.parametrize(("winner", "loser"), [("till", "crm"), ("crm", "till")])
def test_what_a_person_says_of_a_conflict_is_carried_and_the_loser_can_be_restored(
    conflicting, winner, loser
):
    world = conflicting
    world.configure(safety="")
    with world.connected() as connection:
        (each,) = open_conflicts(connection.changes, connection.people, 10)
    assert ("Anna Prins", "PersonEmail", "till@prins.example", "crm@prins.example") == (
        each.name,
        each.contested.field,
        each.contested.till,
        each.contested.crm,
    )
    ruled = rule(world, winner)
    assert ([], 1) == (ruled.left, len(ruled.settled))
    assert (f"{winner}@prins.example",) * 2 == mails(world)
    assert "settled" == world.standing("customer", world.anna)
    (lost,) = ruled.lost
    assert f"{loser}@prins.example" == lost.before
    quiet(world)

    with world.connected() as connection:
        connection.journal.start("restore")
        back = take_back(connection, of_change(connection, lost.id), Undone(), why="restored")
        assert [lost.id] != [each.id for each in connection.changes.lost()]
    assert ([], 2) == (back.skipped, len(back.done))
    assert (f"{loser}@prins.example",) * 2 == mails(world)
    quiet(world)
    assert (f"{loser}@prins.example",) * 2 == mails(world)


def test_a_ruling_is_about_the_values_that_were_seen(conflicting):
    world = conflicting
    world.pass_time(minutes=1)
    with world.connected() as connection:
        (each,) = open_conflicts(connection.changes, connection.people, 10)
    world.edit_customer(world.anna, email="later-till@prins.example")
    world.edit_in_crm(world.anna_id, PersonEmail="later-crm@prins.example")
    with world.connected() as connection:
        ruled = keep(connection, [each.contested], "till", "the owner")
    assert [(each.contested.id, True)] == [(one.id, "changed since" in why) for one, why in ruled.left]
    assert ("later-till@prins.example", "later-crm@prins.example") == mails(world)
    with world.connected() as connection:
        (now,) = open_conflicts(connection.changes, connection.people, 10)
    assert ("later-till@prins.example", "later-crm@prins.example") == (now.contested.till, now.contested.crm)
    assert not rule(world, "crm").left
    assert ("later-crm@prins.example",) * 2 == mails(world)
    quiet(world)


@pytest.mark.parametrize("winner", ["till", "crm"])
@pytest.mark.parametrize(
    ("side", "mail"),
    [
        pytest.param("crm", "later@prins.example", id="another value in the CRM"),
        pytest.param("till", "later@prins.example", id="another value in the till"),
        pytest.param("crm", None, id="emptied in the CRM"),
        pytest.param("crm", "anna@prins.example", id="taken back in the CRM"),
    ],
)
def test_a_ruling_writes_nothing_when_one_side_has_moved_on(conflicting, winner, side, mail):
    world = conflicting
    world.pass_time(minutes=1)
    with world.connected() as connection:
        (each,) = open_conflicts(connection.changes, connection.people, 10)
    if side == "crm":
        world.edit_in_crm(world.anna_id, PersonEmail=mail)
    else:
        world.edit_customer(world.anna, email=mail)
    before, now = written(world), mails(world)
    with world.connected() as connection:
        ruled = keep(connection, [each.contested], winner, "the owner")
        (left,) = open_conflicts(connection.changes, connection.people, 10)
    assert ([], [each.contested.id], []) == (ruled.settled, [one.id for one, _ in ruled.left], ruled.lost)
    assert (each.contested.id, *now) == (left.contested.id, left.contested.till, left.contested.crm)
    assert (before, "conflict") == (written(world), world.standing("customer", world.anna))


def test_a_conflict_that_waits_for_nobody_cannot_be_decided(conflicting):
    world = conflicting
    (settled,) = rule(world, "till").settled
    with world.opened() as parts:
        with pytest.raises(NoSuchConflict, match="nothing waits"):
            wanted(parts.changes, settled.id)
        with pytest.raises(NoSuchConflict, match="There is no conflict 99"):
            wanted(parts.changes, 99)


def test_an_opt_out_is_never_taken_back_by_an_undo(world):
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.floor.edit("Customer", anna, {"Contact": {"noEmail": False, "noPhone": False, "noMail": False}})
    world.backfill()
    world.pass_time(minutes=20)
    quiet(world)
    crm_id = world.row("Account", key("customer", anna))["Id"]
    world.edit_in_crm(crm_id, PersonHasOptedOutOfEmail=True)
    run = noted_sync(world)
    done = undo(world, run)
    assert ([], True) == (done.done, "opted out" in done.skipped[0][1])
    assert in_till(world, anna)[1]["noEmail"]

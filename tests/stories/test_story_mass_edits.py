"""Edits of very many customers at once: nothing is written before the whole is seen, however it is cut up."""

import pytest
from test_story_both_ways import linked, written
from test_story_safety import held_plans, let_pass, shop_full
from world import key

from tillbridge.engine.people import refresh_people
from tillbridge.engine.streams import SLICE_PAGES_MAX
from tillbridge.engine.sync import COMPARED_AT_ONCE, sync, sync_slice

# More customers than one slice reads: ten pages of a hundred.
CROWD = 100 * SLICE_PAGES_MAX + 60

# So that one full slice of them looks like little, and all of them like too much.
NEARLY_ALL = "changed_share_max = 0.97"


@pytest.fixture
def crowd(found):
    """A shop of more customers than a slice reads, all of them agreed on."""
    world = found()
    world.configure(safety=NEARLY_ALL)
    world.people = [world.customer(f"Anna{n}", f"Prins{n}") for n in range(CROWD)]
    world.backfill()
    world.pass_time(minutes=20)
    world.sync()
    world.pass_time(minutes=20)
    rows = world.rows("Account")
    world.theirs = [rows[key("customer", i)]["Id"] for i in world.people]
    return world


def titles_in_crm(world):
    return sum(bool(world.crm_row(i).get("PersonTitle")) for i in world.theirs)


def titles_in_till(world):
    return sum(bool(world.till_row("Customer", i).get("title")) for i in world.people)


def test_a_mass_edit_in_the_till_is_judged_as_a_whole_and_not_slice_by_slice(crowd):
    world = crowd
    for till_id in world.people:
        world.edit_customer(till_id, title="Dr")
    before = written(world)[1]
    world.sync()
    assert before == written(world)[1]
    world.pass_time(minutes=20)
    world.sync()
    assert before == written(world)[1], "asking once more changes nothing"
    (plan,) = held_plans(world)
    assert ({"many_changes"}, CROWD) == (set(plan.reasons), len(plan.entries))
    let_pass(world, plan.id)
    assert (CROWD, []) == (titles_in_crm(world), held_plans(world))


def test_a_mass_edit_in_the_till_is_judged_as_a_whole_across_processes(crowd):
    """Each slice may be a job of another worker's."""
    world = crowd
    for till_id in world.people:
        world.edit_customer(till_id, title="Dr")
    before, more, slices = written(world)[1], True, 0
    while more:
        with world.connected() as connection:
            _, more = sync_slice(connection, {("customers", "again")[slices % 2]})
        more, slices = more or slices < 5, slices + 1
    assert (before, CROWD) == (written(world)[1], len(held_plans(world)[0].entries))


def test_many_edits_that_are_not_too_many_are_written_once_all_are_seen(crowd):
    world = crowd
    for till_id in world.people[60:]:
        world.edit_customer(till_id, title="Dr")
    for till_id in world.people[:60]:
        world.edit_customer(till_id, note="nothing that the field map knows")
    world.sync()
    assert (CROWD - 60, []) == (titles_in_crm(world), held_plans(world))
    assert {"settled": CROWD} == world.states()["customer"]
    world.pass_time(minutes=20)
    before = written(world)
    world.sync()
    assert before == written(world)


def test_a_mass_edit_in_the_crm_that_a_kill_has_cut_off_is_still_judged_as_a_whole(crowd):
    """What was seen of it in a process that has ended is written down."""
    world = crowd
    world.configure(safety='first_till_write = "allow"\nchanged_share_max = 0.6')
    for crm_id in world.theirs[: COMPARED_AT_ONCE + 200]:
        table, _ = world.org.row(crm_id)
        world.org.write(world.org.staff, table.sobject.name, "update", {"PersonTitle": "Dr", "Id": crm_id})
    world.pass_time(seconds=1)
    with world.connected() as connection:
        refresh_people(connection)
    world.pass_time(minutes=40)  # What the CRM shows as new now is less than was seen before.
    before = written(world)[0]
    with world.connected() as connection:
        sync(connection)
    assert before == written(world)[0]
    assert COMPARED_AT_ONCE + 200 == len(held_plans(world)[0].entries)


# --- drop by drop --------------------------------------------------------------------------------------


def edit(world, people, **fields):
    for till_id in people:
        world.edit_customer(till_id, **fields)


def titles(world, crm):
    return [world.crm_row(i).get("PersonTitle") for i in crm]


def test_a_mass_edit_that_comes_in_drops_is_held_from_where_it_is_too_much(world):
    world.configure(safety="")
    people, crm = shop_full(world)
    edit(world, people[:6], title="Dr")
    world.sync()
    world.pass_time(minutes=20)
    edit(world, people[6:], title="Dr")
    world.sync()
    assert [*["Dr"] * 6, *[None] * 6] == titles(world, crm)
    (plan,) = held_plans(world)
    assert ["many_changes"] == list(plan.reasons)
    let_pass(world, plan.id)
    assert ["Dr"] * 12 == titles(world, crm)
    world.pass_time(minutes=1)
    edit(world, people[:1], title="Prof")
    world.sync()
    assert ("Prof", []) == (titles(world, crm)[0], held_plans(world)), "the count begins anew"


def test_the_edits_of_a_day_are_no_mass_edit(world):
    world.configure(safety="")
    people, crm = shop_full(world)
    for some in (people[:6], people[6:]):
        edit(world, some, title="Dr")
        world.sync()
        world.pass_time(minutes=70)
    assert (["Dr"] * 12, []) == (titles(world, crm), held_plans(world))


def test_somebody_whose_edits_come_again_and_again_counts_once(world):
    world.configure(safety="")
    people, crm = shop_full(world)
    for n in range(4):
        edit(world, people[:4], title=f"Dr{n}")
        world.sync()
        world.pass_time(minutes=12)
    assert (["Dr3"] * 4, []) == (titles(world, crm)[:4], held_plans(world))


def test_links_that_fill_blanks_are_no_mass_edit(world):
    """Whoever is linked for the first time was asked about once (`first_crm_update`), and is no edit."""
    world.configure(safety='first_crm_update = "allow"')
    _, crm_id = linked(world)
    for n in range(12):
        world.person(f"Bea{n}", "Lund", email=f"bea{n}@lund.example")
    new = [world.customer(f"Bea{n}", "Lund", email=f"bea{n}@lund.example", title="Dr") for n in range(12)]
    world.sync()
    assert 12 == sum(row.get("PersonTitle") == "Dr" for row in world.all_rows("Account"))
    world.pass_time(minutes=5)
    edit(world, new[:1], title="Prof")
    world.sync()
    assert ([], "settled") == (held_plans(world), world.standing("customer", new[0]))
    assert "Prof" in {row.get("PersonTitle") for row in world.all_rows("Account")}
    assert crm_id == world.known("customer", 1).crm_id


def test_people_who_enter_the_till_are_counted_over_the_hour_too(world):
    world.configure(safety='first_till_write = "allow"\nchanged_from = 4')
    world.backfill()
    for some in (range(3), range(3, 6)):
        world.pass_time(minutes=5)
        for n in some:
            world.person(f"Bea{n}", "Lund", email=f"bea{n}@lund.example", Send_To_Lightspeed__c=True)
        world.sync()
    assert 3 == len(world.till_app.world["Customer"].rows)
    (plan,) = held_plans(world)
    assert (["many_changes"], 3) == (list(plan.reasons), len(plan.entries))
    let_pass(world, plan.id)
    assert 6 == len(world.till_app.world["Customer"].rows)

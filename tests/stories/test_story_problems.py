"""The problems desk: what is refused stands in one place by cause, and one fix drains its group."""

import pytest
from world import QUIET, World, key

from tillbridge.engine import desk
from tillbridge.engine.sweep import sweep
from tillbridge.store.journal import STATES
from tillbridge.sync.remedies import Remedy


@pytest.fixture
def shop(world):
    world.ring_item = world.item("Ring", "100")
    world.backfill()
    world.pass_time(minutes=30)
    return world


def fix(world, cause, **remedy):
    with world.connected() as connection:
        example = connection.journal.causes(cause=cause, states=STATES)[0].example
        desk.prepare_fix(connection, [Remedy(cause=cause, object=example.object, **remedy)])
        ids = [problem.id for problem in connection.journal.problems(cause=cause)]
        return desk.replay(connection, ids)


def edit(world, problem, **fields):
    with world.connected() as connection:
        desk.prepare_edit(connection, problem, fields)
        return desk.replay(connection, [problem.id])


def retry(world, *problems):
    with world.connected() as connection:
        return desk.replay(connection, [problem.id for problem in problems])


def causes(world):
    with world.opened() as parts:
        return parts.journal.causes()


# --- many at once -----------------------------------------------------------------------------------


def test_hundreds_of_failures_of_three_causes_are_three_groups_and_one_fix_drains_its_group(shop):
    shop.refuse("Sales_Transaction__c", "Register__c", "Main 1", message="this register is not known here")
    shop.refuse("Sales_Transaction__c", "Total__c", 324.0, message="three of a kind need a signature")
    shop.refuse("Account", "LastName", "Lund", message="no Lunds")
    shop.org.validations[0]["bad"] = shop.till_row("Register", 1)["name"]
    first_rule, second_rule, third_rule = shop.org.validations
    shop.org.validations[:] = [first_rule]
    by_register = [shop.ring(shop.ring_item) for _ in range(250)]
    shop.sync()
    shop.org.validations[:] = [second_rule, third_rule]
    by_total = [shop.ring((shop.ring_item, 3, None)) for _ in range(150)]
    people = [shop.customer(f"Bo{n}", "Lund", email=f"bo{n}@lund.example") for n in range(100)]
    bought = [shop.ring(shop.ring_item, customer=person) for person in people[:20]]
    shop.pass_time(minutes=10)
    shop.sync()
    shop.org.validations[:] = [first_rule, second_rule, third_rule]

    groups = {each.example.message: each for each in causes(shop)}
    assert {
        "this register is not known here": 250,
        "three of a kind need a signature": 150,
        "no Lunds": 100,
    } == {message: each.count for message, each in groups.items()}

    done = fix(
        shop,
        groups["this register is not known here"].example.cause,
        field="Register__c",
        action="replace",
        seen=first_rule["bad"],
        given="Counter",
    )
    assert (250, []) == (len(done.accepted), done.refused)
    assert {"settled"} == {one.state for one in shop.all_known("sale", by_register).values()}
    assert {"Counter"} == {shop.sale_row(sale)["Register__c"] for sale in by_register}
    assert [150, 100] == [each.count for each in causes(shop)]

    shop.org.validations[:] = [second_rule]
    names = retry(shop, *[p for p in shop.problems() if p.kind == "customer"])
    assert (100, []) == (len(names.accepted), names.refused)
    assert {"settled"} == {one.state for one in shop.all_known("sale", bought).values()}, "no other step"
    assert all(shop.sale_row(sale)["Account__c"] for sale in bought)

    shop.org.validations.clear()
    shop.pass_time(hours=4)
    shop.sync()
    assert {"settled"} == {one.state for one in shop.all_known("sale", by_total).values()}
    assert [] == shop.problems()
    assert [] == shop.differences()


def test_a_fix_is_for_later_records_too(shop):
    name = shop.till_row("Register", 1)["name"]
    shop.refuse("Sales_Transaction__c", "Register__c", name, message="unknown register")
    shop.ring(shop.ring_item)
    shop.sync()
    cause = causes(shop)[0].example.cause
    fix(shop, cause, field="Register__c", action="replace", seen=name, given="Counter")

    later = shop.ring(shop.ring_item)
    shop.pass_time(minutes=1)
    shop.sync()
    assert ("settled", "Counter") == (shop.standing("sale", later), shop.sale_row(later)["Register__c"])
    shop.pass_time(hours=1)
    shop.sync()
    assert QUIET == shop.calls[1]


@pytest.mark.parametrize(
    "remedy",
    [
        {"action": "leave_out"},
        {"action": "replace", "seen": "Nov\u00e1k", "given": None},
    ],
    ids=["left out", "emptied"],
)
def test_nobody_can_do_without_a_field_that_salesforce_wants_of_every_record(world, remedy):
    world.refuse("Account", "LastName", "Nov\u00e1k", "no such family")
    world.customer("Dora", "Nov\u00e1k", email="dora@novak.example")
    world.backfill()
    with pytest.raises(desk.Mistaken, match="Salesforce takes no Account without LastName"):
        fix(world, causes(world)[0].example.cause, field="LastName", **remedy)
    with pytest.raises(desk.Mistaken, match="Salesforce takes no Account without LastName"):
        edit(world, causes(world)[0].example, LastName="")


def test_a_field_is_left_out_of_what_is_refused_for_it_and_of_nothing_else(shop):
    name = shop.till_row("Register", 1)["name"]
    shop.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many")
    shop.org.validations[0] |= {"on_field": False}
    bad, good = shop.ring((shop.ring_item, 3, None)), shop.ring(shop.ring_item)
    shop.sync()
    cause = causes(shop)[0].example.cause
    done = fix(shop, cause, field="Total__c", action="leave_out")

    assert (1, []) == (len(done.accepted), done.refused)
    assert (None, 108.0) == (shop.sale_row(bad).get("Total__c"), shop.sale_row(good)["Total__c"])
    assert name == shop.sale_row(bad)["Register__c"]
    again = shop.ring((shop.ring_item, 3, None))
    shop.pass_time(minutes=1)
    shop.sync()
    assert ("settled", []) == (shop.standing("sale", again), shop.problems())
    shop.pass_time(hours=1)
    shop.sync()
    assert QUIET == shop.calls[1], "what was left out is no difference"


# --- defaults ---------------------------------------------------------------------------------------


def test_a_default_fills_a_field_that_the_map_does_not_know_but_never_what_somebody_wrote(shop):
    field = shop.org.tables["Account"].sobject.fields["Site"]
    field.required = True
    shop.org.touch()
    anna = shop.customer("Anna", "Prins", email="anna@prins.example")
    shop.sync()
    [problem] = shop.problems()
    assert ("REQUIRED_FIELD_MISSING", "Site") == (problem.code, problem.fields)

    done = fix(shop, problem.cause, field="Site", action="default", given="Shop")
    assert [problem.id] == done.accepted
    row = shop.row("Account", key("customer", anna))
    assert "Shop" == row["Site"]

    shop.edit_in_crm(row["Id"], Site="Head office")
    shop.pass_time(minutes=5)
    shop.edit_customer(anna, mobile="518-555-0147")
    shop.sync()
    row = shop.row("Account", key("customer", anna))
    assert ("Head office", "+15185550147") == (row["Site"], row["PersonMobilePhone"])


def test_a_default_reaches_what_bulk_jobs_load_and_is_no_difference_later(found):
    world = found(toml='[map.sale]\nRegister__c = ""')
    world.org.tables["Sales_Transaction__c"].sobject.fields["Register__c"].required = True
    world.org.touch()
    item = world.item("Ring", "100")
    first = world.ring(item)
    world.backfill()
    [problem] = world.problems()
    assert ("REQUIRED_FIELD_MISSING", "Register__c") == (problem.code, problem.fields)
    assert 1 == len(fix(world, problem.cause, field="Register__c", action="default", given="Any").accepted)

    second = world.ring(item)
    with world.remembered() as state, state.begin() as c:
        for kind in ("products", "customers", "sales"):
            state.move_cursor(c, f"backfill {kind}", None)
    world.backfill()
    assert ["Any", "Any"] == [world.sale_row(sale)["Register__c"] for sale in (first, second)]
    assert [] == world.problems()

    world.edit_in_crm(world.sale_row(first)["Id"], Register__c="The left one")
    world.sync()
    world.force(sales=[first])
    assert "The left one" == world.sale_row(first)["Register__c"], "a default never overwrites"


# --- by hand ----------------------------------------------------------------------------------------


def test_a_record_is_edited_for_one_passage_and_known_by_what_the_till_shows(shop):
    shop.refuse("Account", "LastName", "Lund", message="no Lunds")
    bo = shop.customer("Bo", "Lund", email="bo@lund.example")
    sale = shop.ring(shop.ring_item, customer=bo)
    shop.sync()
    [problem] = shop.problems()

    done = edit(shop, problem, LastName="Lunde")
    assert [problem.id] == done.accepted
    row = shop.row("Account", key("customer", bo))
    assert ("Lunde", row["Id"]) == (row["LastName"], shop.sale_row(sale)["Account__c"])
    for _ in range(2):
        shop.pass_time(minutes=5)
        shop.sync()
        assert QUIET == shop.calls[1]
    shop.edit_customer(bo, mobile="518-555-0147")
    shop.sync()
    row = shop.row("Account", key("customer", bo))
    assert ("Lunde", "+15185550147") == (row["LastName"], row["PersonMobilePhone"])
    assert [] == shop.problems()


def swept(world):
    with world.connected() as connection:
        return sweep(connection, full=True)


def edited_sale(shop):
    """A sale whose store's code was refused, and set by hand."""
    shop.refuse("Sales_Transaction__c", "Store_Code__c", "1", message="closed")
    sale = shop.ring(shop.ring_item)
    shop.sync()
    [problem] = shop.problems()
    assert [problem.id] == edit(shop, problem, Store_Code__c="9").accepted
    return sale, problem


def test_what_was_set_by_hand_stays_whatever_sends_the_record_again(shop):
    sale, _ = edited_sale(shop)
    for send in (swept, swept, lambda world: world.force(sales=[sale]), World.sync):
        shop.pass_time(days=8)
        send(shop)
        assert ("9", []) == (shop.sale_row(sale)["Store_Code__c"], shop.problems())
    shop.till_row("Sale", sale)["referenceNumber"] = "PO 7"
    swept(shop)
    row = shop.sale_row(sale)
    assert ("9", "PO 7", []) == (row["Store_Code__c"], row["Reference_Number__c"], shop.problems())
    assert [] == shop.differences()


def test_what_was_set_by_hand_gives_way_when_the_till_itself_says_something_else(shop):
    shop.refuse("Sales_Transaction__c", "Reference_Number__c", "PO 1", message="no such order")
    sale = shop.ring(shop.ring_item)
    shop.floor.edit("Sale", sale, {"referenceNumber": "PO 1"})
    shop.sync()
    [problem] = shop.problems()
    edit(shop, problem, Reference_Number__c="PO 2")
    swept(shop)
    assert "PO 2" == shop.sale_row(sale)["Reference_Number__c"]
    shop.floor.edit("Sale", sale, {"referenceNumber": "PO 3"})
    shop.pass_time(minutes=5)
    shop.sync()
    assert ("PO 3", []) == (shop.sale_row(sale)["Reference_Number__c"], shop.problems())


def test_what_was_set_by_hand_is_taken_back_by_hand(shop):
    sale, problem = edited_sale(shop)
    shop.org.validations.clear()
    with shop.connected() as connection:
        desk.remove_edit(connection, problem)
    assert ("1", "settled") == (shop.sale_row(sale)["Store_Code__c"], shop.standing("sale", sale))
    with shop.connected() as connection, pytest.raises(desk.Mistaken, match="Nothing was set by hand"):
        desk.remove_edit(connection, problem)


def test_an_edit_that_does_not_help_stays_until_one_does(shop):
    shop.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many")
    sale = shop.ring((shop.ring_item, 3, None))
    shop.sync()
    [problem] = shop.problems()
    assert [] == edit(shop, problem, Channel__c="Web").accepted
    shop.org.validations[0]["bad"] = 5.0

    shop.pass_time(hours=4)
    shop.sync()
    assert ([], "Web") == (shop.problems(), shop.sale_row(sale)["Channel__c"])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"Colour__c": "red"}, "has no field Colour__c"),
        ({"Total__c": "a lot"}, "a number is expected"),
        ({"Business_Date__c": "tomorrow"}, "a date such as"),
        ({"Status__c": "Gone"}, "the picklist Status__c has no value Gone; it has Completed, Voided"),
        ({"Transaction_Key__c": "1"}, "is the key"),
        ({"Store__c": "1"}, "is a lookup"),
    ],
)
def test_what_cannot_be_set_is_said_before_anything_is_sent(shop, fields, sentence):
    shop.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many")
    shop.ring((shop.ring_item, 3, None))
    shop.sync()
    [problem] = shop.problems()
    with pytest.raises(desk.Mistaken, match=sentence):
        edit(shop, problem, **fields)


# --- states -----------------------------------------------------------------------------------------


def test_a_refused_record_is_given_up_after_so_many_attempts_and_revived_by_hand(shop):
    shop.configure("[retry]\nevery_hours = 1\ngive_up_after = 3")
    shop.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many")
    sale = shop.ring((shop.ring_item, 3, None))
    found = []
    for _ in range(4):
        shop.sync()
        [problem] = shop.problems()
        found.append((problem.state, problem.attempts))
        shop.pass_time(hours=1.2)
    assert [("retrying", 1), ("retrying", 2), ("gave_up", 3), ("gave_up", 3)] == found

    shop.org.validations.clear()
    shop.sync()
    assert QUIET == shop.calls[1], "nobody asks any more"
    assert 1 == len(retry(shop, problem).accepted)
    assert "settled" == shop.standing("sale", sale)


def test_what_the_till_no_longer_shows_is_put_off_like_a_refusal(shop):
    shop.refuse("Account", "LastName", "Lund", message="no Lunds")
    bo = shop.customer("Bo", "Lund", email="bo@lund.example")
    shop.sync()
    shop.till_app.world["Customer"].remove(bo)
    shop.pass_time(hours=4)
    shop.sync()
    [problem] = shop.problems()
    assert (2, "retrying") == (problem.attempts, problem.state)


def test_a_sale_that_is_voided_before_it_could_land_is_no_problem_any_more(shop):
    shop.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many")
    sale = shop.ring((shop.ring_item, 3, None))
    shop.sync()
    assert 1 == len(shop.problems())
    shop.pass_time(minutes=5)
    shop.floor.void(sale, "wrong")
    shop.sync()
    assert ([], "settled") == (shop.problems(), shop.standing("sale", sale))


def test_an_identity_that_was_refused_comes_with_its_retry(shop):
    shop.refuse("Customer_Identity__c", "Rule__c", "created", message="not yet")
    anna = shop.customer("Anna", "Prins", email="anna@prins.example")
    shop.sync()
    assert ["identity"] == [problem.kind for problem in shop.problems()]
    shop.org.validations.clear()
    shop.pass_time(hours=4)
    shop.sync()
    assert [] == shop.problems()
    assert "created" == shop.row("Customer_Identity__c", key("customer", anna))["Rule__c"]


def test_the_account_of_a_contact_comes_with_its_retry_and_the_contact_finds_it(found):
    world = found(model="contact")
    world.backfill()
    world.refuse("Account", "Name", "Anna Prins", message="not yet")
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.sync()
    assert ["account"] == [problem.kind for problem in world.problems()]
    world.org.validations.clear()
    world.pass_time(hours=4)
    world.sync()
    account = world.row("Account", key("customer", anna))["Id"]
    assert ([], account) == (world.problems(), world.row("Contact", key("customer", anna))["AccountId"])
    assert account == world.known("customer", anna).crm_parent


@pytest.mark.parametrize(
    ("name", "field", "bad", "kind"),
    [
        ("Product2", "Name", "Brooch", "product"),
        ("Inventory_Level__c", "Store_Code__c", "1", "stock"),
        ("Retail_Employee__c", "Name", "Bo Lund", "employee"),
    ],
)
def test_whatever_is_refused_comes_with_its_retry(shop, name, field, bad, kind):
    shop.refuse(name, field, bad, message="not yet")
    brooch = shop.item("Brooch", "30")
    stock = next(s for s in shop.till_row("Item", brooch)["ItemShops"] if s["shopID"] == 1)
    shop.till_app.world["ItemShop"].change(stock, qoh=5, sellable=5, timeStamp=shop.clock.now())
    bo = shop.employee("Bo", "Lund")
    shop.ring(shop.ring_item, employeeID=bo)
    shop.sync()
    assert {kind} == {problem.kind for problem in shop.problems()}

    shop.org.validations.clear()
    shop.pass_time(hours=4)
    shop.sync()
    shop.sync()
    assert [] == shop.problems()


# --- people -----------------------------------------------------------------------------------------


@pytest.fixture(params=["person_account", "contact", "lead"])
def in_review(request, found):
    world = found(model=request.param)
    world.own = world.person("Otto", "Kramer", email="anna@prins.example")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")
    world.item_id = world.item()
    world.backfill()
    world.sold = world.ring(world.item_id, customer=world.anna)
    world.sync()
    return world


LOOKUP = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}
PHONE = {"person_account": "PersonMobilePhone", "contact": "MobilePhone", "lead": "MobilePhone"}


def choose(world, choice):
    with world.connected() as connection:
        return desk.choose(connection, str(world.anna), choice, "mirte")


def confirmed(world):
    with world.opened() as parts:
        verdict = parts.people.verdicts([str(world.anna)])[str(world.anna)]
        return verdict.outcome, verdict.rule, verdict.detail["confirmed_by"]


def test_a_person_says_who_a_customer_is_and_the_receipts_follow(in_review):
    world = in_review
    chosen = choose(world, world.own)

    assert ("settled", world.own, 1) == (chosen.state, chosen.crm_id, chosen.attached)
    assert ("linked", "person", "mirte") == confirmed(world)
    row = world.crm_row(world.own)
    assert ("Otto", "+15185550147") == (row["FirstName"], row[PHONE[world.model]])
    assert world.own == world.sale_row(world.sold)[LOOKUP[world.model]]
    assert ("Linked", "settled") == (
        world.sale_row(world.sold)["Customer_Status__c"],
        world.standing("sale", world.sold),
    )
    identity = world.row("Customer_Identity__c", key("customer", world.anna))
    told = (identity["Status__c"], identity["Rule__c"], identity["Confirmed_By__c"])
    assert ("Active", "person", "mirte") == told
    world.pass_time(minutes=30)
    world.sync()
    assert QUIET == world.calls[1]


def test_a_person_says_that_a_customer_is_new(in_review):
    world = in_review
    chosen = choose(world, "new")

    assert "settled" == chosen.state
    assert world.own != chosen.crm_id
    assert ("created", None, "mirte") == confirmed(world)
    assert "mirte" == world.row("Customer_Identity__c", key("customer", world.anna))["Confirmed_By__c"]
    assert chosen.crm_id == world.sale_row(world.sold)[LOOKUP[world.model]]


def test_who_was_called_new_is_not_looked_for_again_when_the_first_try_is_refused(in_review):
    world = in_review
    world.refuse(world.person_object, "LastName", "Prins", message="not yet")
    assert "problem" == choose(world, "new").state
    world.org.validations.clear()
    world.pass_time(hours=4)
    world.sync()

    assert ("settled", []) == (world.standing("customer", world.anna), world.problems())
    assert world.own != world.known("customer", world.anna).crm_id


def test_the_review_shows_both_sides(in_review):
    with in_review.connected() as connection:
        [side] = desk.reviews(connection)
    assert ("Prins", "Kramer") == (side.customer.last_name, side.candidates[0].last)


def test_nobody_is_decided_about_twice(in_review):
    choose(in_review, "new")
    with pytest.raises(desk.Mistaken, match="Nobody has to decide about customer"):
        choose(in_review, in_review.own)


def test_a_choice_that_salesforce_does_not_know_is_refused(in_review):
    with pytest.raises(desk.Mistaken, match="shows no account, contact or lead"):
        choose(in_review, "001000000000009AAA")

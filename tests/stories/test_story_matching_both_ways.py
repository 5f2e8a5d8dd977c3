"""Matching both ways: who waits for a person on either side, what people say of it, and rules tried out."""

import pytest
from world import key

from tillbridge.cli.desk import ledger_of
from tillbridge.config import load
from tillbridge.engine.desk import Mistaken, choose, reviews
from tillbridge.engine.newcomers import newcomers, say
from tillbridge.engine.whatif import Books, what_if
from tillbridge.sync.match import MatchRules
from tillbridge.views.person import person
from tillbridge.wiring import settings_of

MAIL = {"person_account": "PersonEmail", "contact": "Email", "lead": "Email"}
OBJECTS = ("Account", "Contact", "Lead")
MOBILE = {"person_account": "PersonMobilePhone", "contact": "MobilePhone", "lead": "MobilePhone"}


@pytest.fixture(params=["person_account", "contact", "lead"])
def any_model(found, request):
    return found(model=request.param)


def in_the_till(world):
    return sorted(str(i) for i in world.till_app.world["Customer"].rows)


def arrival(world, crm_id):
    with world.opened() as parts:
        return parts.arrivals.get([crm_id])[crm_id]


def verdict(world, till_id):
    with world.opened() as parts:
        return parts.people.verdicts([str(till_id)])[str(till_id)]


def explained(world, text):
    with world.opened() as parts:
        return person(ledger_of(world.home, {}, parts.state, parts.vault), str(text))


# --- from the CRM into the till --------------------------------------------------------------------


@pytest.fixture
def unsure(any_model):
    """Somebody who is marked has the e-mail of a customer with another name, who is linked to nobody."""
    world = any_model
    world.configure(customers='mode = "link_only"')
    world.otto = world.customer("Otto", "Kramer", email="family@prins.example")
    world.item_id = world.item()
    world.backfill()
    world.sale = world.ring(world.item_id, customer=world.otto)
    world.configure()
    world.pass_time(minutes=1)
    world.bea = world.person("Bea", "Prins", email="family@prins.example", Send_To_Lightspeed__c=True)
    world.sync()
    assert "review" == arrival(world, world.bea).state
    assert [str(world.otto)] == in_the_till(world)
    return world


def test_both_sides_of_a_newcomer_are_shown_side_by_side(unsure):
    world = unsure
    with world.connected() as connection:
        (one,) = newcomers(connection)
        calls = connection.till.calls
    assert (world.bea, "Bea") == (one.arrival.crm_id, one.person.first)
    assert [("Otto", {})] == [(each.first_name, one.linked_to) for each in one.candidates]
    assert 1 >= calls


def test_a_newcomer_who_is_that_customer_is_linked_and_receipts_follow(unsure):
    world = unsure
    with world.connected() as connection:
        said = say(connection, world.bea, str(world.otto), "mirte")

    assert ("linked", str(world.otto)) == (said.state, said.till_id)
    assert world.bea == world.known("customer", world.otto).crm_id
    assert ("person", "mirte") == (
        verdict(world, world.otto).rule,
        verdict(world, world.otto).detail["confirmed_by"],
    )
    assert "mirte" == arrival(world, world.bea).detail["confirmed_by"]
    field = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}[world.model]
    assert world.bea == world.sale_row(world.sale)[field]
    assert [str(world.otto)] == in_the_till(world)
    with world.connected() as connection, pytest.raises(Mistaken, match="is linked to it"):
        say(connection, world.bea, "new", "mirte")


def test_a_newcomer_whom_nobody_there_is_enters_the_till_once(unsure):
    world = unsure
    with world.connected() as connection:
        said = say(connection, world.bea, "new", "mirte")

    assert "created" == said.state
    new = said.till_id
    assert sorted([str(world.otto), new]) == in_the_till(world)
    assert world.bea == world.known("customer", new).crm_id
    assert "mirte" == verdict(world, new).detail["confirmed_by"]
    assert "mirte" == world.row("Customer_Identity__c", key("customer", new))["Confirmed_By__c"]
    world.sync()
    world.pass_time(minutes=20)
    world.sync()
    assert sorted([str(world.otto), new]) == in_the_till(world)


def test_what_a_person_said_holds_when_the_tills_answer_was_lost(unsure):
    world = unsure
    world.fail_till("reset_after", "POST .*/Customer.json")
    with world.connected() as connection:
        said = say(connection, world.bea, "new", "mirte")
    assert "announced" == said.state
    for _ in range(3):
        world.sync()
        world.pass_time(minutes=20)
    new = next(i for i in in_the_till(world) if i != str(world.otto))
    assert 2 == len(in_the_till(world))
    assert world.bea == world.known("customer", new).crm_id
    assert "mirte" == verdict(world, new).detail["confirmed_by"]


def test_a_newcomer_who_is_left_out_stays_out_and_may_still_be_let_in(unsure):
    world = unsure
    with world.connected() as connection:
        assert "left_out" == say(connection, world.bea, "leave", "mirte").state
        assert [] == newcomers(connection)
    world.pass_time(minutes=20)
    world.edit_in_crm(world.bea, FirstName="Beatrix")
    world.sync()
    assert [str(world.otto)] == in_the_till(world)
    with world.connected() as connection:
        assert "created" == say(connection, world.bea, "new", "mirte").state


def test_somebody_whose_customer_is_linked_to_another_record_is_a_duplicate_in_the_crm(world):
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    world.pass_time(minutes=1)
    twin = world.person("Anna", "Prins", email="anna@prins.example", Send_To_Lightspeed__c=True)
    world.sync()

    own = world.known("customer", anna).crm_id
    assert ("review", 1) == (arrival(world, twin).state, len(in_the_till(world)))
    with world.connected() as connection:
        (one,) = newcomers(connection)
        assert {str(anna): own} == one.linked_to
        with pytest.raises(Mistaken, match=f"linked to Account {own} already.*merge the two"):
            say(connection, twin, str(anna), "mirte")
    world.org.merge(own, twin)
    world.sync()
    with world.connected() as connection:
        assert [] == newcomers(connection)
    assert "left_out" == arrival(world, twin).state
    assert [str(anna)] == in_the_till(world)


# --- duplicate rules of the org ---------------------------------------------------------------------


@pytest.fixture
def guarded(found):
    """An org with a duplicate rule; the match rules are off, so that only it notices."""

    def make(model, **switches):
        world = found(model=model, crm={"duplicate_rules": dict.fromkeys(OBJECTS, "block")})
        world.org.switches.update(switches)
        world.configure(customers='match = ["external_id"]')
        return world

    return make


@pytest.mark.parametrize("model", ["person_account", "contact", "lead"])
@pytest.mark.parametrize("names_it", [True, False], ids=["who is named", "whom nobody names"])
def test_a_create_that_a_duplicate_rule_stops_waits_with_the_record_it_found(guarded, model, names_it):
    world = guarded(model, collections_name_duplicates=names_it)
    own = world.person("Anna", "Prins", email="anna@prins.example")
    anna, bo = world.customer("Anna", "Prins", email="anna@prins.example"), world.customer("Bo", "Lund")
    item = world.item()
    sale = world.ring(item, customer=anna)
    world.backfill()

    assert ("review", "settled") == (world.standing("customer", anna), world.standing("customer", bo))
    with world.connected() as connection:
        (side,) = reviews(connection)
    assert [("Anna", own)] == [(each.first, each.id) for each in side.candidates]
    (shown,) = explained(world, anna).candidates
    assert ("Anna Prins", own) == (shown.side.name, shown.side.id)
    assert ("Salesforce's duplicate rule" if names_it else None) == shown.why
    assert shown.link.endswith(own)

    with world.connected() as connection:
        chosen = choose(connection, str(anna), own, "mirte")
    assert ("settled", own) == (chosen.state, world.known("customer", anna).crm_id)
    field = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}[model]
    assert own == world.sale_row(sale)[field]


@pytest.mark.parametrize("many", [1, 30], ids=["in a composite call", "in bulk"])
def test_a_change_that_a_duplicate_rule_stops_waits_and_the_link_stands(guarded, many):
    world = guarded("person_account", duplicate_rules_on_edit=True)
    own = world.person("Anna", "Prins", email="anna@prins.example")
    annas = [world.customer("Anne", "Prins", email=f"anne{n}@prins.example") for n in range(many)]
    world.backfill()
    ids = {i: world.known("customer", i).crm_id for i in annas}
    world.pass_time(minutes=20)
    world.sync()
    world.pass_time(minutes=1)
    for each in annas:
        world.edit_customer(each, firstName="Anna", email="anna@prins.example")
    world.sync()

    first = annas[0]
    assert {"review"} == {world.standing("customer", i) for i in annas}
    assert ids == {i: world.known("customer", i).crm_id for i in annas}
    with world.connected() as connection:
        sides = reviews(connection)
    suggested = {side.verdict.till_id: {each.id for each in side.candidates} for side in sides}
    assert {str(i) for i in annas} == suggested.keys()
    assert all(own in ids_of for ids_of in suggested.values())
    with world.connected() as connection, pytest.raises(Mistaken, match="merge the two there"):
        choose(connection, str(first), own, "mirte")

    world.org.switches["duplicate_rules_on_edit"] = False
    world.pass_time(minutes=1)
    for each in annas:
        world.edit_customer(each, title="Dr")
    world.sync()
    assert {"settled"} == {world.standing("customer", i) for i in annas}
    assert ("created", "Anna") == (verdict(world, first).outcome, world.crm_row(ids[first])["FirstName"])
    with world.connected() as connection:
        assert [] == reviews(connection)


# --- rules tried out --------------------------------------------------------------------------------


def tried(world, **rules):
    with world.opened() as parts:
        books = Books(parts.state, parts.people, parts.arrivals, settings_of(load(world.home, {})))
        spent = parts.till.calls, parts.crm.calls
        found = what_if(books, MatchRules(**rules), limit=None)
        assert spent == (parts.till.calls, parts.crm.calls) == (0, 0)
        return found


@pytest.mark.parametrize("mode", ["two_way", "till_to_crm"])
def test_rules_are_tried_on_what_both_sides_have_shown(world, mode):
    world.configure(customers=f'mode = "{mode}"')
    by_mail = world.person("Anna", "Prins", email="anna@prins.example")
    by_phone = world.person("Bo", "Lund", mobile="518-555-0147")
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    bo = world.customer("Bo", "Lund", mobile="518-555-0147")
    carl = world.customer("Carl", "Nys", email="carl@nys.example")
    world.backfill()

    same = tried(world)
    assert (3, 0, {"email": 1, "phone": 1}) == (same.customers, same.counts.total(), dict(same.now.links))
    fewer = tried(world, order=("external_id", "email"))
    assert [("lost", str(bo), by_phone, "created", by_phone)] == [
        (each.kind, each.till_id, each.before.linked_to, each.after.outcome, each.crm_id)
        for each in fewer.pairs
    ], "the link stands, although a first load would not find it any more"
    unsure = tried(world, review=frozenset({"email"}))
    assert [("lost", str(anna)), ("to_review", str(anna))] == [(e.kind, e.till_id) for e in unsure.pairs]
    assert {by_mail: "Anna Prins"} == unsure.pairs[0].others
    assert {"linked": 2, "created": 1} == {n: same.then.outcomes[n] for n in ("linked", "created")}
    assert str(carl) not in {each.till_id for each in unsure.pairs}


def test_pairs_are_gained_where_somebody_was_created_apart_or_stands_in_review(world):
    world.configure(customers='match = ["external_id", "email"]\nreview = ["email"]')
    there = world.person("Bo", "Lund", mobile="518-555-0147")
    own = world.person("Anna", "Prins", email="anna@prins.example")
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    bo = world.customer("Bo", "Lund", mobile="518-555-0147")
    world.backfill()

    found = tried(world)
    gained = {
        each.till_id: (each.after.linked_to, each.stands) for each in found.pairs if each.kind == "gained"
    }
    assert {str(anna): (own, "review"), str(bo): (there, "settled")} == gained
    assert there != world.known("customer", bo).crm_id


def test_what_a_person_has_decided_is_no_matter_of_rules(world):
    world.person("Otto", "Prins", email="anna@prins.example")
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    with world.connected() as connection:
        choose(connection, str(anna), "new", "mirte")

    found = tried(world, order=("external_id",))
    assert (1, 0) == (found.decided, found.counts.total())


# --- explained --------------------------------------------------------------------------------------


def test_explain_tells_where_every_value_came_from_and_what_it_was_before(any_model):
    world = any_model
    anna = world.customer("Anna", "Prins", email="anna@prins.example", mobile="518-555-0147")
    world.backfill()
    crm_id = world.known("customer", anna).crm_id
    for step in ({"firstName": "Anne"}, {"firstName": "Anja"}):
        world.pass_time(minutes=20)
        world.edit_customer(anna, **step)
        world.sync()
    world.pass_time(minutes=20)
    world.edit_in_crm(crm_id, **{MAIL[world.model]: "anja@prins.example"})
    world.sync()

    for name in (anna, key("customer", anna), crm_id, crm_id[:15]):
        page = explained(world, name)
        assert (str(anna), crm_id) == (page.id, page.crm.id)
    fields = {each.field: each for each in page.fields}
    first, mail = fields["FirstName"], fields[MAIL[world.model]]
    assert ("Anja", "Anja", "till", "edit") == (first.till, first.crm, first.source, first.how)
    assert ["Anne", "Anna"] == [each.before for each in first.earlier]
    assert ("anja@prins.example", "crm") == (mail.till, mail.source)
    assert [("till", "anna@prins.example")] == [(each.side, each.before) for each in mail.earlier]
    phone = fields[MOBILE[world.model]]
    assert ("till", "created from it", []) == (phone.source, phone.how, phone.earlier)
    assert phone.at is not None


def test_explain_tells_of_a_conflict_and_of_what_is_held_back(world):
    world.configure(safety="")
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    crm_id = world.known("customer", anna).crm_id
    world.pass_time(minutes=20)
    world.sync()
    world.edit_customer(anna, email="till@prins.example")
    world.edit_in_crm(crm_id, PersonEmail="crm@prins.example")
    world.sync()
    (conflict,) = explained(world, anna).conflicts
    assert ("PersonEmail", "till@prins.example", "crm@prins.example", "open") == tuple(
        getattr(conflict, name) for name in ("field", "till", "crm", "state")
    )

    world.pass_time(minutes=1)
    world.edit_in_crm(crm_id, FirstName="Anne")
    world.sync()
    (held,) = explained(world, crm_id).held
    assert ("Anna", "Anne") == held.fields["FirstName"]


def test_explain_tells_of_somebody_who_is_not_linked(unsure):
    world = unsure
    page = explained(world, world.bea)
    assert "review" == page.arrival.state
    assert [("Otto Kramer", str(world.otto))] == [
        (each.name, each.till_id) for each in page.arrival.candidates
    ]
    assert "Bea Prins" == page.name
    assert explained(world, "001000000000000AAA") is None

"""What the views tell of people and problems beyond the ordinary: moved values, doubles, causes, remarks."""

import pytest

from tillbridge.engine.parting import part
from tillbridge.engine.people import read_again
from tillbridge.sync.remedies import Remedy
from tillbridge.views.customers import customers
from tillbridge.views.decisions import reviews
from tillbridge.views.duplicates import duplicates
from tillbridge.views.person import person
from tillbridge.views.problems import cause_page, problem, problems

SECOND = "Lightspeed_Secondary_Email__c"


@pytest.fixture(scope="module")
def people(opened):
    """Eva's mail moves from the second slot to the first; Hanna is in the CRM twice; a family is refused."""
    world = opened()
    world.eva_till = str(world.customer("Eva", "Berg", email="old@berg.example"))
    mails = [("old@berg.example", "Primary"), ("new@berg.example", "Secondary")]
    mail = [{"address": address, "useType": use} for address, use in mails]
    world.floor.edit("Customer", int(world.eva_till), {"Contact": {"Emails": {"ContactEmail": mail}}})
    world.hanna, world.other = (world.person("Hanna", "Holm", email="hanna@holm.example") for _ in range(2))
    world.refuse("Account", "LastName", "Novák", "no such family")
    world.refused = [
        str(world.customer(name, "Novák", email=f"{name}@n.example")) for name in ("Dora", "Dirk")
    ]
    world.pim = world.person("Pim", "Vos", email="pim@vos.example", mobile="06 1234 5678")
    world.pia = str(world.customer("Pia", "Bos", email="pim@vos.example", mobile="+31612345678"))
    world.gus_till = str(world.customer("Gus", "Dahl", email="gus@dahl.example"))
    world.backfill()
    world.pass_time(minutes=20)
    world.sync()
    world.pass_time(minutes=20)
    world.sync()
    world.eva, world.gus = (world.known("customer", each).crm_id for each in (world.eva_till, world.gus_till))
    world.edit_in_crm(world.eva, PersonEmail="new@berg.example", **{SECOND: None})
    world.sync()
    world.books = opened.look_into(world)
    return world


def test_a_value_that_moved_between_fields_says_from_where_and_whereto(people):
    fields = {each.field: each for each in person(people.books, people.eva_till).fields}

    assert ("new@berg.example", "new@berg.example") == (fields["PersonEmail"].till, fields["PersonEmail"].crm)
    assert (SECOND, None) == (fields["PersonEmail"].moved_from, fields["PersonEmail"].moved_to)
    assert "PersonEmail" == fields[SECOND].moved_to
    assert "crm" == fields["PersonEmail"].source


def test_a_field_says_whose_value_counts(people):
    authorities = {each.authority for each in person(people.books, people.eva_till).fields}

    assert {"newest"} == authorities


def test_somebody_who_is_there_twice_is_shown_with_what_to_do(people):
    (twin,) = person(people.books, people.hanna).twins

    assert ("crm", people.other, ["the e-mail"]) == (twin.system, twin.side.id, twin.shares)
    assert twin.todo.startswith(f"In Salesforce: merge this Account into {people.hanna}")
    assert [] == person(people.books, people.eva_till).twins


def test_whoever_the_crm_alone_knows_can_be_sent_to_the_till(people):
    rows = {row.id: row.entry for row in customers(people.books).rows}

    assert (True, None) == (rows[people.hanna].possible, rows[people.eva_till])


def test_a_candidate_says_in_what_both_agree(people):
    (review,) = [each for each in reviews(people.books).rows if each.id == people.pia]
    (pim,) = review.candidates

    assert (people.pim, ["emails", "phones"], ["name"]) == (pim.id, pim.same, pim.differs)


def test_a_cause_tells_which_values_stand_behind_it(people):
    (card,) = problems(people.books).causes
    page = cause_page(people.books, card.cause)

    assert ("LastName", [("Novák", 2)]) == (page.field, [(v.value, v.count) for v in page.values])
    assert (sorted(people.refused), 2) == (sorted(each.till_id for each in page.list.rows), card.count)
    assert {"retrying": 2} == page.counts


def test_nobody_was_looked_for_yet_so_no_cluster_is_shown(people):
    assert ([], {}) == (duplicates(people.books).rows, duplicates(people.books).counts)


def test_a_remark_is_sealed_and_told_with_who_wrote_it(people):
    with people.opened() as parts:
        number = parts.journal.open_problems()[0].id
        with parts.state.begin() as c:
            parts.journal.remark(c, [number], "Kim", "note", "Dora's own spelling")
            parts.journal.assign(c, [number], "Kim")
    told = problem(people.books, number)

    assert ("Kim", [("Kim", "note", "Dora's own spelling")]) == (
        told.problem.assignee,
        [(each.by, each.what, each.text) for each in told.remarks],
    )
    assert b"own spelling" not in (people.home / "tillbridge.sqlite").read_bytes()


def test_whoever_was_taken_apart_may_be_chosen_again(people):
    with people.connected() as connection:
        part(connection, people.gus_till, "Kim")
    (review,) = [each for each in reviews(people.books).rows if each.id == people.gus_till]

    assert people.gus in [each.id for each in review.candidates]
    assert "Kim took this customer apart" in review.reason


# --- who is linked, and no values flow ----------------------------------------------------------------


def test_whose_record_is_of_another_object_is_shown_on_both_sides_with_the_reason(opened):
    world = opened()
    lead = world.in_crm("Lead", FirstName="Lea", LastName="Lund", Company="Lund", Email="lea@lund.example")
    lea = str(world.customer("Lea", "Lund", email="Lea@lund.example", mobile="06 1234 5678"))
    world.backfill()
    page = person(opened.look_into(world), lea)
    own, other = page.shown

    assert ([], lead) == (page.fields, page.crm.id)
    assert page.apart.startswith("Salesforce keeps them as Lead, and customers are written as Account here")
    assert (
        "linked by email; its object is Lead, and the field map writes Account: "
        "receipts arrive, values do not flow"
    ) == page.reason
    assert (["Lea@lund.example"], ["lea@lund.example"]) == (own.emails, other.emails)
    assert ({"name", "emails"}, []) == (set(other.same), other.differs)


def test_who_is_linked_to_nobody_is_shown_as_the_till_has_them(people):
    (own,) = person(people.books, people.pia).shown

    assert ("Pia Bos", ["+31612345678"], None) == (own.name, own.phones, own.object)


# --- how two values stand to each other ----------------------------------------------------------

NO_MAIL = "Lightspeed_No_Mail__c"


@pytest.fixture(scope="module")
def pair(opened):
    """Salesforce knew Ida before: it spells her number its own way and gives her another title."""
    world = opened()
    world.ida = str(
        world.customer("Ida", "Moss", email="ida@moss.example", mobile="+31612345678", title="Mrs")
    )
    world.person("Ida", "Moss", email="Ida@Moss.example", mobile="+31 6 1234 5678", PersonTitle="Dr")
    world.backfill()
    world.pass_time(minutes=20)
    world.sync()
    world.books = opened.look_into(world)
    return world


def test_a_moment_that_each_side_writes_its_own_way_agrees_and_was_edited_by_nobody(pair):
    fields = {each.field: each for each in person(pair.books, pair.ida).fields}
    created = fields["Lightspeed_Created_At__c"]

    assert created.till != created.crm
    assert ("same", "till", "blank filled") == (created.agreement, created.source, created.how)


@pytest.mark.parametrize(
    ("field", "agreement", "agrees"),
    [
        pytest.param("LastName", "same", True, id="equal letter by letter"),
        pytest.param("PersonMobilePhone", "spelling", True, id="the same number with blanks in it"),
        pytest.param("PersonTitle", "kept", False, id="two values that nobody has edited since"),
        pytest.param(NO_MAIL, "kept", False, id="an opt-out that only the till's interface made up"),
    ],
)
def test_a_field_says_how_both_values_stand_to_each_other(pair, field, agreement, agrees):
    (found,) = [each for each in person(pair.books, pair.ida).fields if each.field == field]

    assert (agreement, agrees) == (found.agreement, found.agrees)


def test_values_that_are_left_alone_say_why(pair):
    told = {each.field: each.stands for each in person(pair.books, pair.ida).fields if each.stands}

    assert told["PersonTitle"].startswith("Neither was edited since they were last compared")
    assert told[NO_MAIL].startswith("An opt-out is carried when it is newly said")


def test_a_value_that_moved_in_salesforce_does_not_agree_until_it_is_carried(pair):
    crm_id = pair.known("customer", pair.ida).crm_id
    pair.edit_in_crm(crm_id, PersonTitle="Prof")
    with pair.connected() as connection:
        read_again(connection, [crm_id])
    (found,) = [each for each in person(pair.books, pair.ida).fields if each.field == "PersonTitle"]
    pair.edit_in_crm(crm_id, PersonTitle="Dr")
    with pair.connected() as connection:
        read_again(connection, [crm_id])

    assert ("Mrs", "Prof", "differ", None) == (found.till, found.crm, found.agreement, found.stands)


def test_a_field_says_what_kind_of_value_it_holds(pair):
    kinds = {each.field: each.kind for each in person(pair.books, pair.ida).fields}

    assert ("flag", "moment", "id", "text") == (
        kinds[NO_MAIL],
        kinds["Lightspeed_Created_At__c"],
        kinds["Lightspeed_Customer_ID__c"],
        kinds["LastName"],
    )


@pytest.mark.parametrize(
    ("mode", "note", "opt_out"),
    [
        (
            "two_way",
            (
                "This field has no way back into Lightspeed: an edit in Salesforce stays there, and "
                "Lightspeed's next edit is carried across."
            ),
            "An opt-out is carried when it is newly said, never when it is taken back.",
        ),
        (
            "crm_to_till",
            "This field has no way back into Lightspeed, and nothing flows from Lightspeed here.",
            (
                "An opt-out newly said in Salesforce is carried across; one taken back is not, and "
                "nothing flows from Lightspeed."
            ),
        ),
    ],
)
def test_what_was_edited_since_is_not_said_to_be_untouched(opened, mode, note, opt_out):
    """A note has no way back and an opt-out goes one way: both sides differ though Salesforce has moved."""
    world = opened()
    world.configure(customers=f'mode = "{mode}"')
    crm_id = world.person(
        "Ida", "Moss", email="ida@moss.example", **{NO_MAIL: False, "Lightspeed_Note__c": "Calls on Monday"}
    )
    ida = str(world.customer("Ida", "Moss", email="ida@moss.example", title="Mrs"))
    world.floor.edit("Customer", int(ida), {"Note": {"note": "Likes gold"}})
    for edit in ({}, {NO_MAIL: True, "Lightspeed_Note__c": "Calls on Friday"}, {NO_MAIL: False}):
        world.edit_in_crm(crm_id, **edit)
        world.backfill() if not edit else world.sync()
        world.pass_time(minutes=20)
        world.sync()
    told = {each.field: each for each in person(opened.look_into(world), ida).fields}

    assert ("Likes gold", "Calls on Friday", note) == (
        told["Lightspeed_Note__c"].till,
        told["Lightspeed_Note__c"].crm,
        told["Lightspeed_Note__c"].stands,
    )
    assert ("true", "false", opt_out) == (told[NO_MAIL].till, told[NO_MAIL].crm, told[NO_MAIL].stands)


@pytest.mark.parametrize(
    ("mode", "follows"),
    [("two_way", True), ("fill_blanks", True), ("till_to_crm", False), ("link_only", False)],
)
def test_a_page_says_whether_edits_in_salesforce_are_followed(opened, mode, follows):
    world = opened()
    world.configure(customers=f'mode = "{mode}"')
    world.person("Ida", "Moss", email="ida@moss.example")
    ida = str(world.customer("Ida", "Moss", email="ida@moss.example"))
    world.backfill()

    assert follows is person(opened.look_into(world), ida).follows_crm


# --- what is decided about, and by whom -----------------------------------------------------------


def test_what_was_decided_about_a_field_is_shown_wherever_the_field_is_refused(opened):
    world = opened()
    world.refuse("Account", "LastName", "Nov\u00e1k", "no such family")
    world.customer("Dora", "Nov\u00e1k", email="dora@mail.example")
    world.backfill()
    with world.opened() as parts:
        decided = Remedy(cause="another", object="Account", field="LastName", action="default", given="X")
        with parts.state.begin() as c:
            parts.journal.remedy(c, [decided])
    (card,) = problems(opened.look_into(world)).causes

    assert [("another", "LastName", "default")] == [(d.cause, d.field, d.action) for d in card.decided]


def test_keys_and_lookups_of_what_was_sent_cannot_be_set_by_hand(people):
    with people.opened() as parts:
        number = next(p.id for p in parts.journal.open_problems() if p.kind == "customer")
    page = problem(people.books, number)

    assert {"Lightspeed_Customer_Key__c", "RecordTypeId"} <= set(page.fixed)
    assert "LastName" not in page.fixed


# --- somebody who sees one store -----------------------------------------------------------------


def test_whoever_sees_one_store_is_not_told_which_values_were_decided_about(opened):
    """A decision names values that were refused, and nobody knows of which store they were."""
    world = opened()
    south = world.shop("Southgate", "Europe/Amsterdam")
    world.refuse("Account", "LastName", "Novák", "no such family")
    dora = world.customer("Dora", "Novák", email="dora@mail.example")
    world.ring(world.item("Ring", "100"), customer=dora, shopID=south)
    world.backfill()
    with world.opened() as parts:
        cause = parts.journal.open_problems()[0].cause
        decided = Remedy(
            cause=cause, object="Account", field="LastName", action="replace", seen="Zebedee", given="Smith"
        )
        with parts.state.begin() as c:
            parts.journal.remedy(c, [decided])
    books = opened.look_into(world)
    pages = {stores: cause_page(books, cause, stores=stores) for stores in (None, frozenset({str(south)}))}

    assert [("Zebedee", 1), (None, 1)] == [
        (next((each.seen for each in page.card.decided), None), page.card.count) for page in pages.values()
    ]

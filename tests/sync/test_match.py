"""Who is who: link, ask a person, or create."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.customer import customer_facts
from tillbridge.model.records import Address, Customer, Email, Phone
from tillbridge.sync.match import (
    Candidate,
    Create,
    Link,
    MatchRules,
    Person,
    Review,
    candidate_of,
    match,
    match_batch,
    match_keys,
    person_of,
    phones_of,
)

MAREN = Person(
    id="501",
    first="Maren",
    last="Oduya",
    emails=("maren@example.com",),
    phones=("+15185550142",),
    street="14 Pinehurst Ln",
    zip="12203",
    external_ids=("190001-C501",),
)
BORN = date(1984, 11, 3)


def known(name="Maren Oduya", record="003A", **more):
    first, _, last = name.partition(" ")
    return Candidate(id=record, first=first or None, last=last or None, **more)


BY_EMAIL = {"emails": ("Maren@Example.com",)}
BY_PHONE = {"phones": ("+15185550142",)}
BY_DOOR = {"street": "14 pinehurst lane\nApt 4B", "zip": "12203-1122"}


@pytest.mark.parametrize(
    ("candidates", "rule", "evidence"),
    [
        pytest.param(
            [known("Somebody Else", external_ids=("190001-C501",))],
            "external_id",
            "external id",
            id="our key",
        ),
        pytest.param([known(**BY_EMAIL)], "email", "e-mail; same name", id="e-mail, letter case aside"),
        pytest.param(
            [known("M. Oduya", **BY_EMAIL)], "email", "e-mail; first initial, same family name", id="initial"
        ),
        pytest.param(
            [known("Oduya Maren", **BY_EMAIL)], "email", "e-mail; first and last name swapped", id="swapped"
        ),
        pytest.param([known(**BY_PHONE)], "phone", "phone; same name", id="phone"),
        pytest.param([known(**BY_DOOR)], "address", "address; same name", id="address, spelt otherwise"),
        pytest.param(
            [known("Peter Oduya", "003P", **BY_EMAIL), known(record="003M", **BY_EMAIL)],
            "email",
            "e-mail; same name",
            id="her husband uses the same e-mail",
        ),
        pytest.param(
            [known(record="003P", **BY_PHONE), known(record="003E", **BY_EMAIL)],
            "email",
            "e-mail; same name",
            id="the stronger rule decides",
        ),
        pytest.param(
            [known("Peter Oduya", "003P", **BY_EMAIL), known(record="003M", **BY_PHONE)],
            "phone",
            "phone; same name",
            id="somebody else's e-mail, her own phone",
        ),
    ],
)
def test_one_candidate_is_linked(candidates, rule, evidence):
    decision = match(MAREN, candidates)

    assert isinstance(decision, Link)
    assert (rule, evidence) == (decision.rule, decision.evidence)


@pytest.mark.parametrize(
    ("candidates", "reason"),
    [
        pytest.param(
            [known(**BY_EMAIL), known(record="003B", **BY_EMAIL)], "e-mail: several fit", id="two that fit"
        ),
        pytest.param(
            [known("Peter Kim", **BY_EMAIL)],
            "e-mail: same e-mail, another name",
            id="same e-mail, unlike name",
        ),
        pytest.param(
            [known("Maren Kim", **BY_EMAIL)],
            "e-mail: the names are near, but not alike",
            id="married, perhaps",
        ),
        pytest.param(
            [known("Marne Oduya", **BY_PHONE)],
            "phone: the names are near, but not alike",
            id="a slip in the first name",
        ),
        pytest.param(
            [known(external_ids=("190001-C501",)), known(record="003B", external_ids=("190001-C501",))],
            "several records carry this external id",
            id="a key that two records carry",
        ),
        pytest.param(
            [known(birth_date=date(1950, 1, 1), **BY_EMAIL)],
            "e-mail: same e-mail and name, but birth dates differ",
            id="same e-mail and name, another birthday",
        ),
        pytest.param(
            [known(linked_to=("12",), **BY_DOOR)],
            "address: another customer of the till is linked to it",
            id="an address is too little for a second till record",
        ),
    ],
)
def test_a_person_has_to_choose(candidates, reason):
    decision = match(replace(MAREN, birth_date=BORN), candidates)

    assert isinstance(decision, Review)
    assert reason == decision.reason
    assert {each.candidate.id for each in decision.candidates} == {each.id for each in candidates}


@pytest.mark.parametrize(
    ("candidates", "rejected"),
    [
        pytest.param([], [], id="nobody at all"),
        pytest.param([known(emails=("other@example.com",))], [], id="a namesake with nothing in common"),
        pytest.param([known("Peter Kim", **BY_PHONE)], ["another name"], id="the next owner of her number"),
        pytest.param([known("Peter Oduya", **BY_DOOR)], ["another name"], id="somebody behind the same door"),
        pytest.param(
            [known(birth_date=date(1950, 1, 1), **BY_PHONE)],
            ["birth dates differ"],
            id="her aunt of the same name",
        ),
        pytest.param(
            [known(converted=True, object="Lead", **BY_EMAIL)],
            ["this Lead was converted"],
            id="a converted Lead",
        ),
        pytest.param(
            [known("Peter Kim", linked_to=("12",), ours=True, **BY_EMAIL)],
            ["another customer of the till with another name"],
            id="a family that the till itself tells apart",
        ),
    ],
)
def test_nobody_is_linked_or_asked_about(candidates, rejected):
    decision = match(replace(MAREN, birth_date=BORN), candidates)

    assert isinstance(decision, Create)
    assert rejected == [each.text for each in decision.rejected]


def test_maria_and_mario_share_an_email():
    """One family, one mailbox, two people."""
    maria = replace(MAREN, first="Maria", last="Rossi")

    assert isinstance(match(maria, [known("Mario Rossi", **BY_EMAIL)]), Review)
    assert isinstance(match(maria, [known("Mario Rossi", **BY_PHONE)]), Review)


def test_explain_can_show_who_was_turned_down():
    decision = match(MAREN, [known("Peter Oduya", "003P", **BY_EMAIL), known(record="003M", **BY_EMAIL)])

    assert [("003P", "same e-mail, another name")] == [
        (each.candidate.id, each.text) for each in decision.rejected
    ]


def test_rules_may_be_off_reordered_or_only_suggest():
    by_both = [known(record="003E", **BY_EMAIL), known(record="003P", **BY_PHONE)]

    assert "003P" == match(MAREN, by_both, MatchRules(order=("phone", "email"))).candidate.id
    assert isinstance(match(MAREN, by_both, MatchRules(order=("address",))), Create)
    assert isinstance(match(MAREN, by_both[:1], MatchRules(review=frozenset({"email"}))), Review)


def test_a_second_till_record_of_somebody_gets_one_more_identity():
    first = match(MAREN, [known(**BY_EMAIL)])
    second = match(MAREN, [known(linked_to=("12",), **BY_EMAIL)])

    assert (False, True) == (first.second, second.second)


@pytest.mark.parametrize(
    ("mine", "expected"),
    [
        pytest.param({"company": "Kestrel Events B.V."}, Link, id="a company that buys as itself"),
        pytest.param({"company": "Another"}, Review, id="another company at the same e-mail"),
        pytest.param({}, Review, id="no name at all: an e-mail is not enough"),
    ],
)
def test_records_without_a_persons_name(mine, expected):
    nobody = Person(id="7", emails=("office@example.com",), **mine)
    kestrel = known(" Kestrel Events BV", emails=("office@example.com",))

    assert isinstance(match(nobody, [kestrel]), expected)


def test_candidates_in_any_order_give_the_same_decision():
    candidates = [
        known("Peter Kim", "003C", **BY_EMAIL),
        known("Maren Kim", "003B", **BY_EMAIL),
        known("Jo Kim", "003A", **BY_EMAIL),
    ]

    assert match(MAREN, candidates) == match(MAREN, candidates[::-1])


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        pytest.param(
            MAREN,
            {"x:190001-C501", "e:maren@example.com", "p:+15185550142", "a:12203|14|pineh"},
            id="everything",
        ),
        pytest.param(
            Person("1", emails=("noemail@example.com", "none", "n/a", "@example.com")),
            set(),
            id="nobody's mailboxes",
        ),
        pytest.param(Person("1", phones=("+10000000000",)), set(), id="a number made by leaning on a key"),
        pytest.param(Person("1", street="Kerkstraat", zip="3511 AB"), set(), id="no house number"),
        pytest.param(
            Person("1", street="Kerkstraat 1 hs", zip="3511 ab"),
            {"a:3511ab|1|kerks"},
            id="a post code with a blank",
        ),
        pytest.param(
            Person("1", street="Kerkstraat 1", city="Utrecht"),
            {"a:utrecht|1|kerks"},
            id="a town instead of a post code",
        ),
    ],
)
def test_match_keys(person, expected):
    assert expected == match_keys(person)


def test_a_mailbox_that_many_share_says_nothing():
    desk = [known(f"Guest{number} Desk{number}", f"003{number:02}", **BY_EMAIL) for number in range(20)]

    decision = match(MAREN, desk)

    assert isinstance(decision, Create)
    assert {"too many people share this to tell"} == {each.text for each in decision.rejected}


def created(person):
    return Candidate(
        id=f"new-{person.id}",
        first=person.first,
        last=person.last,
        emails=person.emails,
        phones=person.phones,
        linked_to=(person.id,),
        ours=True,
    )


def batch(people, candidates=()):
    def look_up(keys):
        return [each for each in candidates if keys & match_keys(each)]

    return {person.id: decision for person, decision in match_batch(people, look_up, created)}


BETH = Person(id="9", first="Elizabeth", last="Visser", emails=("beth@example.com",))
BETH_AGAIN = Person(id="10", first="Beth", last="Visser", emails=("Beth@example.com",))
HER_HUSBAND = Person(id="11", first="Tom", last="Visser", emails=("beth@example.com",))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_two_new_till_records_of_one_person_make_one_person(order):
    people = [(BETH, BETH_AGAIN, HER_HUSBAND)[at] for at in order]
    decided = batch(people)

    assert isinstance(decided["9"], Create)
    assert ("new-9", True) == (decided["10"].candidate.id, decided["10"].second)
    assert isinstance(decided["11"], Create)


def test_the_second_till_record_of_somebody_in_the_crm_is_a_second_identity():
    decided = batch([BETH, BETH_AGAIN], [known("Elizabeth Visser", emails=("beth@example.com",))])

    assert [("003A", False), ("003A", True)] == [
        (decided[each].candidate.id, decided[each].second) for each in ("9", "10")
    ]


def test_a_till_customer_is_read_for_matching():
    customer = Customer(
        id="501",
        first_name="Maren",
        last_name="Oduya",
        birth_midnight=datetime(1984, 11, 3, 4, tzinfo=UTC),
        emails=(Email("primary", "maren@example.com"),),
        phones=(Phone("mobile", "518 555 0142"), Phone("home", "ask husband")),
        address=Address(street="14 Pinehurst Ln", zip="12203"),
    )

    assert replace(MAREN, birth_date=BORN) == person_of(
        customer, customer_facts(customer, ["US/Eastern"], "US"), "190001-C501"
    )


def test_an_anonymised_customer_has_no_name():
    customer = Customer(id="501", first_name="Customer", last_name="[501]")
    person = person_of(customer, customer_facts(customer, [], "US"), "190001-C501")

    assert (None, None) == (person.first, person.last)


def test_a_person_of_the_crm_is_read_as_a_candidate():
    row = CrmPersonRow(
        id="003A",
        object="Contact",
        key="190001-C7",
        first="Sanne",
        last="Visser",
        emails=("sanne@example.com",),
        phones=("06 5512 3456",),
        street="Kerkstraat 1",
        country="Netherlands",
        birth_date=BORN,
    )

    assert Candidate(
        id="003A",
        first="Sanne",
        last="Visser",
        emails=("sanne@example.com",),
        phones=("+31655123456",),  # dialled where she lives
        street="Kerkstraat 1",
        birth_date=BORN,
        external_ids=("190001-C7",),
        object="Contact",
    ) == candidate_of(row, "US")


def test_phones_of_a_record_are_told_once():
    assert ("+15185550142",) == phones_of(["518 555 0142", "(518) 555-0142", None, "n/a"], "US")

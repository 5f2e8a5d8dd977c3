"""Which records are one person, how sure that is, who survives, and with which values."""

import itertools
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tillbridge.model.answers import CrmPersonRow
from tillbridge.sync.dedupe import TRAITS, Finder, Member, merged_fields, propose, slots_of

MAIL, OTHER_MAIL = ("anna@mail.example",), ("prins@post.example",)
PHONE, OTHER_PHONE = ("+31612345678",), ("+31687654321",)


def till(number, first="Anna", last="Prins", **more):
    return Member(side="till", object="Customer", id=str(number), first=first, last=last,
                  keys=(f"1-C{number}",), **more)  # fmt: skip


def crm(number, first="Anna", last="Prins", object_name="Contact", **more):
    return Member(side="crm", object=object_name, id=f"003{number}", first=first, last=last, **more)


def clusters(*members, apart=()):
    finder = Finder()
    for member in members:
        finder.add(member)
    return finder.clusters(apart)


def shape(found):
    return [(each.tier, [member.ref for member in each.members], list(each.unsure)) for each in found]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param(
            [till(1, emails=MAIL), till(2, emails=MAIL)],
            [("email", ["till 1", "till 2"], [])],
            id="two of the till with one e-mail and one name",
        ),
        pytest.param(
            [till(1, emails=MAIL), till(2, "Ben", "Oduya", emails=MAIL)],
            [],
            id="an e-mail alone joins nobody: the staff keep two people apart",
        ),
        pytest.param(
            [crm(1, emails=MAIL), crm(2, "Ben", "Oduya", emails=MAIL)],
            [("look", ["crm 0031", "crm 0032"], ["crm 0031", "crm 0032"])],
            id="in the CRM the same e-mail with another name is for a look",
        ),
        pytest.param(
            [till(1, "Maria", phones=PHONE), till(2, "Mario", phones=PHONE)],
            [("look", ["till 1", "till 2"], ["till 1", "till 2"])],
            id="names that are near but not alike are for a look",
        ),
        pytest.param(
            [till(1, emails=MAIL), till(2, emails=MAIL, phones=PHONE), till(3, phones=PHONE)],
            [("phone", ["till 1", "till 2", "till 3"], [])],
            id="evidence goes from one to the next, and the weakest of it counts",
        ),
        pytest.param(
            [
                till(1, emails=MAIL, born="1980-01-01"),
                till(2, emails=MAIL, phones=PHONE),
                till(3, phones=PHONE, born="1990-01-01"),
            ],
            [("look", ["till 1", "till 2", "till 3"], [])],
            id="birth dates that differ within a cluster are for a look",
        ),
        pytest.param(
            [till(1, emails=MAIL, born="1980-01-01"), till(2, emails=MAIL, born="1990-01-01")],
            [("look", ["till 1", "till 2"], ["till 1", "till 2"])],
            id="one e-mail and name with two birth dates are never sure",
        ),
        pytest.param(
            [till(1, emails=MAIL), crm(1, emails=MAIL)],
            [],
            id="one on each side is a link and no duplicate",
        ),
        pytest.param(
            [till(1), till(2, "A."), crm(1, keys=("1-C1", "1-C2"), linked=True)],
            [("linked", ["till 1", "till 2", "crm 0031"], [])],
            id="two of the till that are linked to one record of the CRM",
        ),
        pytest.param(
            [till(number, phones=PHONE) for number in range(13)],
            [],
            id="a phone that many share says nothing",
        ),
        pytest.param(
            [crm(1, account="0011", phones=PHONE), Member(side="crm", object="Account", id="0011",
             company="Anna Prins", phones=PHONE)],
            [],
            id="a contact and its own account are no duplicates",
        ),
        pytest.param(
            [crm(1, street="Kade 7", zip="1011 AB", city="Amsterdam"),
             crm(2, street="Kade 7", zip="1011AB", city="Amsterdam")],
            [("look", ["crm 0031", "crm 0032"], [])],
            id="a name and an address alone are for a look",
        ),
    ],
)  # fmt: skip
def test_clusters(members, expected):
    assert expected == shape(clusters(*members))


def test_somebody_near_joins_one_core_to_be_looked_at_and_never_two():
    ben = {"first": "Ben", "last": "Oduya"}
    members = [
        *(crm(n, emails=MAIL) for n in (1, 2)),
        *(crm(n, phones=PHONE, **ben) for n in (3, 4)),
        crm(5, "Cleo", "Vos", emails=MAIL),
    ]

    found = {tuple(m.ref for m in each.members): each.unsure for each in clusters(*members)}

    assert {
        ("crm 0031", "crm 0032", "crm 0035"): ("crm 0035",),
        ("crm 0033", "crm 0034"): (),
    } == found


def test_the_order_of_reading_changes_nothing():
    members = [
        till(1, emails=MAIL), till(2, emails=MAIL), till(3, "Anne", emails=MAIL),
        crm(1, emails=MAIL), crm(2, "Ann", phones=PHONE), crm(3, phones=PHONE),
    ]  # fmt: skip
    expected = clusters(*members)
    shuffled = list(members)
    for seed in range(20):
        random.Random(seed).shuffle(shuffled)
        assert expected == clusters(*shuffled)
    assert expected


def test_a_pair_that_was_kept_apart_is_not_joined_again():
    pair = [till(1, emails=MAIL), till(2, emails=MAIL)]

    assert [] == clusters(*pair, apart={frozenset({"till 1", "till 2"})})


@pytest.mark.parametrize(
    ("members", "survivor"),
    [
        pytest.param([crm(1), crm(2, linked=True)], "crm 0032", id="the linked one"),
        pytest.param([crm(1), crm(2, phones=PHONE)], "crm 0032", id="the most complete one"),
        pytest.param([crm(2), crm(1)], "crm 0031", id="the oldest id"),
        pytest.param(
            [crm(1, object_name="Lead", linked=True), crm(2)], "crm 0032", id="a contact before a lead"
        ),
    ],
)
def test_who_survives(members, survivor):
    named = [
        Member(**{f: getattr(m, f) for f in Member.__struct_fields__} | {"emails": MAIL}) for m in members
    ]

    assert survivor == clusters(*named)[0].survivors["crm"]


@pytest.mark.parametrize(
    ("trait", "one", "other", "expected"),
    [
        pytest.param("name", {"first": "A."}, {"first": "Anna"}, "Anna Prins", id="the longest name"),
        pytest.param(
            "email", {"emails": ("anna@", ), "changed": 9.0}, {"emails": MAIL}, MAIL[0],
            id="a well formed e-mail before a newer one",
        ),
        pytest.param(
            "email", {"emails": MAIL, "changed": 1.0}, {"emails": OTHER_MAIL, "changed": 2.0}, OTHER_MAIL[0],
            id="of two good e-mails the newer one",
        ),
        pytest.param(
            "phone", {"phones": ("shop 12",), "changed": 9.0}, {"phones": PHONE}, PHONE[0],
            id="a whole number before a newer one",
        ),
        pytest.param(
            "address",
            {"street": "Kade 7", "changed": 9.0},
            {"street": "Gracht 1", "city": "Amsterdam"},
            "Gracht 1, Amsterdam",
            id="the most complete address",
        ),
        pytest.param(
            "phone", {"phones": PHONE, "changed": 1.0}, {"phones": OTHER_PHONE, "changed": 1.0}, PHONE[0],
            id="else the till's",
        ),
    ],
)  # fmt: skip
def test_what_the_survivor_should_hold(trait, one, other, expected):
    members = [till(1, **one), crm(1, **other)]
    for order in itertools.permutations(members):
        assert expected == propose(order, {"till 1"})[trait].value


def test_the_manual_says_which_value_wins():
    manual = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    rows = [f"| {trait.replace('_', ' ')} | {', then '.join(order)} |" for trait, order in TRAITS.items()]

    assert [] == [row for row in rows if row not in manual]


SLOTS = {
    "FirstName": "first_name", "LastName": "last_name", "Email": "email", "Phone": "work_phone",
    "MailingStreet": "street", "MailingCity": "city", "HasOptedOutOfEmail": "no_email",
}  # fmt: skip


def row(number, day=1, **fields):
    changed = datetime(2026, 1, day, tzinfo=UTC)
    return CrmPersonRow(id=f"003{number}", object="Contact", changed_at=changed, fields=fields)


@pytest.mark.parametrize(
    ("master", "loser", "expected"),
    [
        pytest.param(row(1, Email="a@b.example"), row(2), {}, id="nothing is given that is there"),
        pytest.param(row(1), row(2, Phone="+311"), {"Phone": "+311"}, id="a blank is filled"),
        pytest.param(
            row(1, MailingStreet="Kade 7"),
            row(2, MailingStreet="Gracht 1", MailingCity="Amsterdam"),
            {"MailingStreet": "Gracht 1", "MailingCity": "Amsterdam"},
            id="an address goes whole",
        ),
        pytest.param(
            row(1, day=1, MailingCity="Zwolle"),
            row(2, day=2, MailingStreet="Kade 7"),
            {"MailingStreet": "Kade 7", "MailingCity": None},
            id="also where that empties a part of the old one",
        ),
        pytest.param(
            row(1, HasOptedOutOfEmail="false"),
            row(2, HasOptedOutOfEmail="true"),
            {"HasOptedOutOfEmail": "true"},
            id="opted out stays opted out",
        ),
        pytest.param(
            row(1, HasOptedOutOfEmail="true"), row(2, day=9, HasOptedOutOfEmail="false"), {},
            id="and never turns into an opt-in",
        ),
    ],
)  # fmt: skip
def test_what_the_master_of_a_merge_is_given(master, loser, expected):
    assert expected == merged_fields(master, [loser], SLOTS)


def test_only_what_is_of_the_person_is_merged_by_us():
    lines = {
        "Email": "email | lower",
        "Key__c": "id",
        "Name__c": "company, last_name | first",
        "X__c": "'Till'",
    }

    assert {"Email": "email", "Name__c": "company"} == slots_of(lines)

"""Match rules tried out: who fares otherwise, batch by batch as in one go."""

import pytest

from tillbridge.sync.match import Candidate, MatchRules, Person, match_keys
from tillbridge.sync.whatif import Around, Fate, Trial, differences

ANNA = Person("1", "Anna", "Prins", emails=("anna@prins.example",), phones=("+15185550147",))
ANN = Person("2", "Ann", "Prins", emails=("anna@prins.example",))
OTTO = Person("3", "Otto", "Kramer", emails=("anna@prins.example",))
BO = Person("4", "Bo", "Lund", phones=("+15185550100",))
PEOPLE = [ANNA, ANN, OTTO, BO]
BO_THERE = Candidate("003BO", "Bo", "Lund", phones=("+15185550100",))

ALL = MatchRules()
NO_PHONE = MatchRules(order=("external_id", "email"))
MAIL_SUGGESTS = MatchRules(review=frozenset({"email"}))


def around(people, crm):
    by_key, neighbours = {}, {}
    for each in crm:
        for key in match_keys(each):
            by_key.setdefault(key, []).append(each)
    for each in people:
        for key in match_keys(each):
            neighbours.setdefault(key, []).append(each)
    return Around(by_key, neighbours)


def fates(rules, crm=(), size=10, **begun):
    trial, found = Trial(rules, **begun), {}
    for start in range(0, len(PEOPLE), size):
        found.update(trial.decide(PEOPLE[start : start + size], around(PEOPLE, crm)))
    return found


def told(found):
    return {i: (fate.outcome, *fate.to) for i, fate in found.items()}


@pytest.mark.parametrize("size", [1, 2, 10])
def test_whoever_was_created_before_is_found_whatever_the_batches(size):
    assert {
        "1": ("created",),
        "2": ("linked", "new:1"),
        "3": ("created",),  # the staff themselves keep two people under one address
        "4": ("linked", "003BO"),
    } == told(fates(ALL, [BO_THERE], size))


@pytest.mark.parametrize("size", [1, 10])
def test_a_second_link_counts_as_second_whatever_the_batches(size):
    found = fates(ALL, [Candidate("003ANNA", "Anna", "Prins", emails=("anna@prins.example",))], size)
    assert [False, True] == [found[i].second for i in ("1", "2")]


def test_nobody_is_found_in_whoever_is_not_created():
    assert {"1": ("nobody",), "2": ("nobody",), "3": ("nobody",), "4": ("nobody",)} == told(
        fates(ALL, creates=False)
    )


def test_what_people_decided_stands():
    trial = Trial(ALL, linked={"003BO": ["9"]}, created={"1"})
    found = trial.decide([ANN, BO], around(PEOPLE, [BO_THERE]))
    assert {"2": ("linked", "new:1"), "4": ("linked", "003BO")} == told(found)
    assert found["4"].second


# Bo is known by phone, and Ann by e-mail.
CRM = [BO_THERE, Candidate("003ANN", "Ann", "Prins", emails=("anna@prins.example",))]

DIFFERENCES = [
    pytest.param(ALL, ALL, [], id="the same rules change nothing"),
    pytest.param(ALL, NO_PHONE, [("lost", "4")], id="a rule that goes loses its pairs"),
    pytest.param(NO_PHONE, ALL, [("gained", "4")], id="a rule that comes gains pairs"),
    pytest.param(
        ALL, MAIL_SUGGESTS, [("lost", "2"), ("to_review", "2")], id="a rule that only suggests asks a person"
    ),
    pytest.param(
        MAIL_SUGGESTS, ALL, [("gained", "2"), ("from_review", "2")], id="a rule that links again asks nobody"
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), DIFFERENCES)
def test_differences(before, after, expected):
    was, becomes = (Trial(rules).decide([ANN, BO], around([ANN, BO], CRM)) for rules in (before, after))
    assert expected == [(each.kind, each.till_id) for each in differences(was, becomes)]


def test_a_pair_that_goes_to_another_is_lost_and_gained():
    was, becomes = Fate("linked", ("003A",), "email"), Fate("linked", ("003B",), "phone")
    assert ["lost", "gained"] == [each.kind for each in differences({"1": was}, {"1": becomes})]

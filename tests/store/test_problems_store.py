"""Problems in the store: when they are tried again, when no more, and what people decided."""

import random

import pytest

from tillbridge.store.journal import STATES, Journal, NewProblem, Patience
from tillbridge.sync.remedies import Edit, Remedy

HOUR = 3600.0


@pytest.fixture
def journal(home):
    return Journal(home.state, home.vault, Patience(every_seconds=HOUR, attempts_max=3), random.Random(1))


def refusal(till_id="7", kind="sale", **more):
    words = {"object": "Sale", "cause": "A:Sale::1", "code": "A", "message": "no", "fields": ("Name",)}
    return NewProblem(kind=kind, till_id=till_id, **{**words, **more})


def refuse(home, journal, *problems):
    with home.state.begin() as c:
        journal.refuse(c, problems)


def do(home, verb, *args):
    with home.state.begin() as c:
        return verb(c, *args)


def only(journal):
    [problem] = journal.problems(states=STATES)
    return problem


def test_the_next_attempt_is_some_time_away_and_the_same_for_what_was_refused_together(home, journal):
    refuse(home, journal, refusal("7"), refusal("8"), refusal("9"))
    waits = {problem.next_at - problem.last_at for problem in journal.open_problems()}
    assert 1 == len(waits)
    assert all(0.9 * HOUR <= wait <= 1.1 * HOUR for wait in waits)
    assert [] == journal.due()

    home.clock.sleep(1.1 * HOUR)
    assert ["7", "8", "9"] == [problem.till_id for problem in journal.due()]
    assert ["7"] == [problem.till_id for problem in journal.due(limit=1)]


def test_after_so_many_attempts_it_is_given_up_and_revived_with_as_many_again(home, journal):
    states = []
    for attempt in range(7):
        if attempt == 4:
            do(home, journal.release, [only(journal).id])
        refuse(home, journal, refusal())
        states.append(only(journal).state)
    assert ["retrying", "retrying", "gave_up", "gave_up", "retrying", "gave_up", "gave_up"] == states
    assert (None, 7) == (only(journal).next_at, only(journal).attempts)
    assert 1 == journal.count_open()


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        pytest.param("A:Sale::1", "ignored", id="the same"),
        pytest.param("B:Sale::2", "retrying", id="another"),
    ],
)
def test_what_is_ignored_comes_back_with_another_cause_alone(home, journal, cause, expected):
    refuse(home, journal, refusal())
    do(home, journal.ignore, [only(journal).id], "staff know")
    assert (0, [], "staff know") == (journal.count_open(), journal.due(), only(journal).note)
    refuse(home, journal, refusal(cause=cause))
    assert expected == only(journal).state


@pytest.mark.parametrize("state", ["retrying", "gave_up", "ignored"])
def test_a_later_success_resolves_whatever_its_state(home, journal, state):
    refuse(home, journal, refusal())
    if state == "ignored":
        do(home, journal.ignore, [only(journal).id], None)
    elif state == "gave_up":
        refuse(home, journal, refusal())
        refuse(home, journal, refusal())
    assert state == only(journal).state
    do(home, journal.resolve, [("sale", "7")])
    assert ("resolved", None) == (only(journal).state, only(journal).next_at)


def test_what_was_due_and_had_no_answer_counts_as_tried(home, journal):
    refuse(home, journal, refusal("7"), refusal("8"))
    home.clock.sleep(2 * HOUR)
    refuse(home, journal, refusal("8"))
    do(home, journal.put_off, [problem.id for problem in journal.open_problems()])
    assert {"7": 2, "8": 2} == {problem.till_id: problem.attempts for problem in journal.open_problems()}
    assert [] == journal.due()


def test_causes_are_counted_by_state_the_commonest_first(home, journal):
    refuse(home, journal, refusal("1", cause="B:Sale::2"), refusal("2"), refusal("3"), refusal("4"))
    do(home, journal.ignore, [journal.problems()[0].id], None)
    found = [(c.example.cause, c.states) for c in journal.causes(states=("retrying", "ignored"))]
    assert [("A:Sale::1", {"ignored": 1, "retrying": 2}), ("B:Sale::2", {"retrying": 1})] == found
    assert [2, 1] == [c.count for c in journal.causes()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A:Sale::1", ["A:Sale::1"]),
        ("1", ["A:Sale::1"]),
        ("A", ["A:Sale::1", "A:Sale::12"]),
        ("Z", []),
        ("", []),
        (" ", []),
    ],
)
def test_a_cause_goes_by_its_beginning_and_by_its_last_part(home, journal, name, expected):
    refuse(home, journal, refusal("1"), refusal("2", cause="A:Sale::12"))
    assert expected == journal.causes_named(name)


def test_what_was_sent_and_what_a_person_set_are_sealed_and_come_back(home, journal):
    refuse(home, journal, refusal(payload={"LastName": "Perelaer"}))
    problem = only(journal)
    do(home, journal.edit, problem, Edit({"LastName": "Verelaer", "Title": None}))
    assert ({"LastName": "Perelaer"}, {"LastName": "Verelaer", "Title": None}) == (
        journal.payload_of(problem),
        journal.edit_of(problem).fields,
    )
    assert {("sale", "7"): Edit({"LastName": "Verelaer", "Title": None})} == journal.decided().edits
    kept = home.content()
    assert (False, False) == (b"Perelaer" in kept, b"Verelaer" in kept)


@pytest.mark.parametrize(
    ("kind", "still"),
    [
        pytest.param("sale", True, id="what is ours alone keeps it"),
        pytest.param("customer", False, id="what people of the CRM write too is theirs then"),
    ],
)
def test_an_edit_outlives_the_problem_where_nobody_else_writes(home, journal, kind, still):
    refuse(home, journal, refusal(kind=kind))
    edit = Edit({"Name": "A"}, {"Name": "B"})
    do(home, journal.edit, only(journal), edit)
    assert {(kind, "7"): Edit({"Name": "A"})} == journal.decided().edits, "sent whatever the till shows"
    do(home, journal.resolve, [(kind, "7")])
    assert ({(kind, "7"): edit} if still else {}) == journal.decided().edits


def test_an_edit_that_is_taken_back_is_gone(home, journal):
    refuse(home, journal, refusal())
    do(home, journal.edit, only(journal), Edit({"Name": "A"}))
    do(home, journal.edit, only(journal), Edit())
    assert ({}, Edit()) == (journal.decided().edits, journal.edit_of(only(journal)))


def test_the_latest_word_about_a_value_counts_and_can_be_taken_back(home, journal):
    decided = {"cause": "A:Sale::1", "object": "Sale", "field": "Name", "action": "replace"}
    one, two = (Remedy(**decided, seen="x", given=given) for given in ("a", "b"))
    other = Remedy(**decided, seen="y", given="c")
    for remedy in (one, other, two):
        do(home, journal.remedy, [remedy])
    assert [two, other] == journal.remedies_of("A:Sale::1")
    assert [two, other] == Journal(home.state, home.vault).remedies_of("A:Sale::1")
    assert (2, []) == (do(home, journal.take_back, "A:Sale::1"), journal.remedies_of("A:Sale::1"))

"""`problems` and `matches`: what a person sees and says, and the exit statuses that scripts rely on."""

import pytest

from tillbridge.store.access import Access
from tillbridge.store.service import open_service, service_url


@pytest.fixture
def refused(world):
    """One sale of three rings and one person are refused."""
    world.cli("backfill")
    world.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many at once")
    world.refuse("Account", "LastName", "Lund", message="no Lunds")
    world.bo = world.customer("Bo", "Lund", email="bo@lund.example")
    world.bad = world.ring((world.ring_id, 3, None))
    assert 1 == world.cli("sync").status
    return world


def listed(world, *more):
    return world.cli("problems", "--json", *more).document


def number(world, kind):
    return next(p["id"] for p in listed(world)["problems"] if p["kind"] == kind)


def test_problems_are_listed_by_cause_with_what_to_do(refused):
    ran = refused.cli("problems")
    assert 1 == ran.status
    for words in (
        "2 problems, 2 causes",
        "too many at once.",
        "no Lunds.",
        "→",
        "next try in 3 hours",
        "cause ",
    ):
        assert words in ran.said
    assert "Bo Lund" not in ran.said

    [one] = [c for c in listed(refused)["causes"] if c["message"] == "too many at once"]
    assert (1, ["Total__c"], {"retrying": 1}) == (one["count"], one["fields"], one["states"])
    assert [str(refused.bad)] == [p["till_id"] for p in listed(refused, "--cause", one["cause"])["problems"]]
    assert [] == listed(refused, "--state", "gave_up")["problems"]


def test_a_shop_without_problems_says_so(synced):
    ran = synced.cli("problems")
    assert (0, "No problems.\n") == (ran.status, ran.out)


def test_one_problem_is_told_in_full_and_names_receipt_or_person(refused):
    sale = refused.cli("problems", "show", number(refused, "sale"))
    for words in ("ticket ", "Total__c", "324", "too many at once", "attempts 1", "tried again"):
        assert words in sale.said
    person = refused.cli("problems", "show", number(refused, "customer"))
    assert "Bo Lund" in person.said
    document = refused.cli("problems", "show", number(refused, "customer"), "--json").document
    assert "Lund" == document["sent"]["LastName"]
    assert "Lund" not in "".join(path.read_text() for path in refused.home.glob("*.log*"))


def test_one_problem_is_told_also_when_the_till_is_away(refused):
    refused.fail_till("status", "/Sale.json", status=404, times=None)
    ran = refused.cli("problems", "show", number(refused, "sale"))
    assert (0, True) == (ran.status, "could not be asked" in ran.said)


def test_a_retry_that_helps_and_one_that_does_not(refused):
    ran = refused.cli("problems", "retry", "--all")
    assert (1, True) == (ran.status, "0 of 2 accepted." in ran.said)
    refused.org.validations.clear()
    ran = refused.cli("problems", "retry", number(refused, "sale"))
    assert (0, "1 of 1 accepted.\n") == (ran.status, ran.out)
    assert 0 == refused.cli("problems", "retry", "--all").status
    assert [] == listed(refused)["problems"]


def test_a_fix_replays_its_group_and_can_be_undone(refused):
    cause = next(c["cause"] for c in listed(refused)["causes"] if c["object"] == "Account")
    ran = refused.cli("problems", "fix", cause.rpartition(":")[2], "--replace", "Lund=Lunde")
    assert (0, "1 of 1 accepted.\n") == (ran.status, ran.out)
    assert ["Lunde"] == [
        r["LastName"] for r in refused.all_rows("Account") if r["LastName"].startswith("Lund")
    ]
    assert 0 == refused.cli("problems", "fix", cause, "--undo").status
    assert 2 == refused.cli("problems", "fix", cause, "--undo").status


def test_a_fix_may_leave_the_sending_to_the_next_run(refused):
    cause = next(c["cause"] for c in listed(refused)["causes"] if c["object"] == "Account")
    ran = refused.cli("problems", "fix", cause, "--replace", "Lund=Lunde", "--later")
    assert (0, True) == (ran.status, "the next run sends them again" in ran.said)
    refused.cli("sync")
    assert "Lunde" in {row["LastName"] for row in refused.all_rows("Account")}


def test_an_edit_is_sent_at_once(refused):
    problem = number(refused, "customer")
    assert "1 of 1 accepted.\n" == refused.cli("problems", "edit", problem, "LastName=Lunde").out
    again = refused.cli("problems", "edit", problem, "LastName=Lundin")
    assert (2, True) == (again.status, f"Problem {problem} is resolved" in again.said)


def test_a_problem_is_noted_and_given_to_somebody(refused):
    problem = number(refused, "sale")
    service = open_service(service_url(refused.home, None))
    Access(service).add("Kim Clerk", "operator", 0.0)
    service.close()
    assert 2 == refused.cli("problems", "assign", problem, "--to", "Nobody").status
    assert (
        "1 problem given to Kim Clerk.\n"
        == refused.cli("problems", "assign", problem, "--to", "kim clerk").out
    )
    assert 0 == refused.cli("problems", "note", problem, "--text", "asked the shop").status
    report = refused.cli("problems", "show", problem, "--json").document
    assert ("Kim Clerk", [("assigned", "Kim Clerk"), ("note", "asked the shop")]) == (
        report["assignee"],
        [(each["what"], each["text"]) for each in report["remarks"]],
    )
    assert "asked the shop" in refused.cli("problems", "show", problem).said
    assert 0 == refused.cli("problems", "assign", problem).status
    assert refused.cli("problems", "show", problem, "--json").document["assignee"] is None


def test_what_is_ignored_is_open_no_more(refused):
    for kind in ("sale", "customer"):
        assert 0 == refused.cli("problems", "ignore", number(refused, kind), "--note", "known").status
    assert (0, "No problems.\n") == ((ran := refused.cli("problems")).status, ran.out)
    assert {"known"} == {p["note"] for p in listed(refused, "--state", "ignored")["problems"]}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "999"), "There is no problem 999"),
        (("retry", "999"), "There is no problem 999"),
        (("ignore", "999", "998"), "There are no problems 999, 998"),
        (("edit", "999", "A=b"), "There is no problem 999"),
        (("edit", "1", "Colour__c=red"), "has no field Colour__c"),
        (("edit", "1", "red"), "FIELD=VALUE is expected, not red"),
        (("fix", "nothing", "--leave-out"), "No problem has the cause nothing"),
        (("fix", "FIELD", "--leave-out"), "write more of the one you mean"),
        (("fix", "FIELD"), "Say one of --replace"),
        (("fix", "FIELD", "--leave-out", "--default", "x"), "Say one of --replace"),
        (("fix", "FIELD", "--replace", "x"), "--replace takes VALUE=OTHER, not x"),
        (("retry",), "Say which"),
        (("retry", "--cause", "nothing"), "No problem has the cause nothing"),
        (("--state", "open"), "--state is one of"),
        (("--cause", "nothing"), "No problem has the cause nothing"),
    ],
)
def test_wrong_words_end_with_one_sentence(refused, words, sentence):
    ran = refused.cli("problems", *words)
    assert (2, "") == (ran.status, ran.out)
    assert sentence in ran.said


def test_what_receipts_wait_for_is_no_problem(refused):
    refused.ring(refused.ring_id, customer=refused.bo)
    refused.cli("sync")
    ran = refused.cli("problems", "--waiting")
    assert (0, True) == (ran.status, f"1 receipt without customer {refused.bo}" in ran.said)
    assert [("customer", str(refused.bo))] == [
        (each["for"], each["id"])
        for each in refused.cli("problems", "--waiting", "--json").document["waiting"]
    ]


def test_a_person_decides_who_somebody_is(world):
    own = world.person("Otto", "Kramer", email="anna@prins.example")
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.ring(world.ring_id, customer=anna)
    world.cli("backfill")
    ran = world.cli("matches", "review")
    for words in (f"Customer {anna}", "Anna Prins", "Otto Kramer", own):
        assert words in ran.said
    assert [own] == [
        c["crm_id"] for c in world.cli("matches", "review", "--json").document["reviews"][0]["candidates"]
    ]

    assert 2 == world.cli("matches", "choose", anna, "001").status
    assert 2 == world.cli("matches", "choose", 999, own).status
    ran = world.cli("matches", "choose", anna, own, env={"USER": "mirte"})
    assert (0, f"Customer {anna} is Account {own} now; 1 receipt sent again.\n") == (ran.status, ran.out)
    assert 2 == world.cli("matches", "choose", anna, "new").status
    assert "Nobody has to be decided about.\n" == world.cli("matches", "review").out

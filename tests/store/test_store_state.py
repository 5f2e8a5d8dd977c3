"""What is known of every thing: links, standings, cursors, and who waits for whom."""

import pytest

from tillbridge.model.errors import Halted
from tillbridge.store.journal import NewProblem
from tillbridge.store.state import Link, Missing, Settled


def test_an_unknown_thing_is_absent(home):
    assert {} == home.state.known("sale", ["1"])


def test_a_new_standing_leaves_alone_what_it_does_not_name(home):
    home.stand("sale", "7", "staged", crm_id="a01", object="Sale", digest=b"d", till_stamp=1.0, history=True)
    home.stand("sale", "7", "waiting", reason="for a customer")
    home.stand("sale", "7", "settled")

    known = home.known("sale", "7")
    assert ("a01", "Sale", b"d", 1.0, True) == (
        known.crm_id,
        known.object,
        known.digest,
        known.till_stamp,
        known.history,
    )
    assert ("settled", None) == (known.state, known.reason), "state and reason are always the newest"


def test_one_batch_may_name_a_thing_twice_and_the_later_wins(home):
    home.settle(
        Settled(kind="sale", till_id="7", state="staged", crm_id="a01"),
        Settled(kind="sale", till_id="7", state="settled"),
    )

    assert ("settled", "a01") == (home.known("sale", "7").state, home.known("sale", "7").crm_id)


def test_kinds_do_not_mix(home):
    home.stand("sale", "7", crm_id="a01")
    home.stand("line", "7", crm_id="b01", parent="7")

    assert ("a01", "b01") == (home.known("sale", "7").crm_id, home.known("line", "7").crm_id)
    assert {("line", "7")} == set(home.state.children(["7"]))


def test_many_ids_are_asked_for_at_once(home):
    home.settle(
        *(Settled(kind="sale", till_id=str(i), state="settled", crm_id=f"a{i}") for i in range(12_000))
    )

    assert 12_000 == len(home.state.known("sale", [str(i) for i in range(20_000)]))
    assert 12_000 == len(home.state.links("sale", [str(i) for i in range(20_000)]))


def test_a_link_is_there_only_with_an_id(home):
    home.stand("customer", "1", "review")
    home.stand("customer", "2", crm_id="003", object="Contact", crm_parent="001")

    assert {"2": Link("003", "Contact", "001")} == home.state.links("customer", ["1", "2"])
    assert {"003": ["2"]} == home.state.linked_to(["003", "004"])


def test_states_are_counted_by_kind(home):
    home.stand("sale", "1")
    home.stand("sale", "2", "waiting")
    home.stand("sale", "3", "waiting")
    home.stand("customer", "1")

    assert {"sale": {"settled": 1, "waiting": 2}, "customer": {"settled": 1}} == home.state.count_states()
    assert home.state.count_states() == home.state.count_first(3)
    assert {"sale": 2, "customer": 1} == {k: sum(v.values()) for k, v in home.state.count_first(2).items()}
    assert ["2", "3"] == [known.till_id for known in home.state.in_state("sale", "waiting")]


def test_a_cursor_moves_and_can_be_taken_away(home):
    for position in ("a", "b", None):
        with home.state.begin() as c:
            home.state.move_cursor(c, "sales", position)
        assert position == home.state.cursor("sales")


def test_a_transaction_that_fails_leaves_no_trace(home):
    def half_done():
        with home.state.begin() as c:
            home.state.move_cursor(c, "sales", "a")
            home.state.settle(c, [Settled(kind="sale", till_id="1", state="settled")])
            raise RuntimeError("the light went out")

    with pytest.raises(RuntimeError, match="the light went out"):
        half_done()
    assert (None, None) == (home.state.cursor("sales"), home.known("sale", "1"))


def test_facts_are_kept_between_runs(home):
    with home.state.begin() as c:
        home.state.keep(c, "owners", {"read_at": 1.5, "users": {"a": "b"}})
    opened = home.again()

    assert {"read_at": 1.5, "users": {"a": "b"}} == opened.state.fact("owners")
    assert None is opened.state.fact("nothing")
    opened.close()


@pytest.mark.parametrize(
    ("account", "org", "words"),
    [("190002", "00D1", "Lightspeed account 190001"), ("190001", "00D2", "Salesforce org 00D1")],
    ids=["another till", "another org"],
)
def test_a_state_belongs_to_one_account_and_one_org(home, account, org, words):
    home.state.bind(till_account="190001", crm_org="00D1")
    home.state.bind(till_account="190001", crm_org="00D1")
    with pytest.raises(Halted, match=words):
        home.state.bind(till_account=account, crm_org=org)


def test_a_look_at_the_binding_binds_nothing(home):
    home.state.check_bound("crm_org", "00D1")
    home.state.check_bound("crm_org", "00D2")
    home.state.bind(till_account="190001", crm_org="00D1")
    home.state.check_bound("crm_org", "00D1")
    with pytest.raises(Halted, match="belongs to Salesforce org 00D1; the configuration leads to 00D2"):
        home.state.check_bound("crm_org", "00D2")


# --- waiting --------------------------------------------------------------------------------------


def wait(home, *missing):
    with home.state.begin() as c:
        home.state.wait(c, [(m.kind, m.till_id) for m in missing], missing)


FOR_ANNA = Missing("sale", "7", "Account__c", "customer", "1", sale="7")


def test_a_sale_is_sent_again_when_its_parent_has_come(home):
    home.stand("sale", "7", "waiting", crm_id="a07")
    wait(home, FOR_ANNA)
    assert [] == home.state.waiting_sales()
    assert {"7": ["customer 1"]} == home.state.missing_for(["7"])

    home.stand("customer", "1", "review")
    assert [] == home.state.waiting_sales()

    home.stand("customer", "1", crm_id="003")
    assert ["7"] == home.state.waiting_sales()


def test_what_a_thing_waits_for_is_replaced_not_added(home):
    wait(home, FOR_ANNA)
    with home.state.begin() as c:
        home.state.wait(c, [("sale", "7")], [])

    assert {} == home.state.missing_for(["7"])


def test_a_customer_who_is_left_out_is_nothing_to_wait_for(home):
    home.stand("sale", "7", "waiting", crm_id="a07")
    wait(home, FOR_ANNA)
    home.stand("customer", "1", "left_out")
    assert {} == home.state.missing_for(["7"])

    with home.state.begin() as c:
        home.state.settle_served(c)
    assert "settled" == home.known("sale", "7").state


def test_a_lookup_to_a_line_is_filled_once_both_ends_are_there(home):
    original = Missing("line", "21", "Original_Line__c", "line", "11", sale="2")
    whole = Missing("sale", "2", "Original_Transaction__c", "line", "11", sale="2")
    home.stand("sale", "2", "waiting", crm_id="a02", object="Sale")
    home.stand("line", "21", crm_id="l21", object="Line", parent="2")
    wait(home, original, whole)
    assert [] == home.state.fillable(10)

    home.stand("sale", "1", crm_id="a01", object="Sale")
    home.stand("line", "11", crm_id="l11", object="Line", parent="1")
    todo = home.state.fillable(10)
    assert {(original, "Line", "l21", "l11"), (whole, "Sale", "a02", "a01")} == set(todo)

    with home.state.begin() as c:
        home.state.served(c, [original])
        home.state.settle_served(c)
    assert "waiting" == home.known("sale", "2").state
    with home.state.begin() as c:
        home.state.served(c, [whole])
        home.state.settle_served(c)
    assert "settled" == home.known("sale", "2").state


def test_a_settled_sale_is_not_touched_by_the_ones_that_were_served(home):
    home.stand("sale", "1", "problem", reason="refused")
    with home.state.begin() as c:
        home.state.settle_served(c)

    assert ("problem", "refused") == (home.known("sale", "1").state, home.known("sale", "1").reason)


# --- problems and runs ----------------------------------------------------------------------------


def refusal(kind="sale", till_id="7", **more):
    words = {"object": "Sale", "cause": "c", "code": "TOO_LONG", "message": "too long", "fields": ("Name",)}
    return NewProblem(kind=kind, till_id=till_id, **{**words, **more})


def refuse(home, *problems):
    with home.state.begin() as c:
        home.journal.refuse(c, problems)


def test_a_refusal_is_kept_and_counts_its_attempts(home):
    refuse(home, refusal(payload={"Name": "Anna"}))
    home.clock.sleep(60)
    refuse(home, refusal(message="still too long"))

    [problem] = home.journal.open_problems()
    assert ("still too long", 2, 60.0) == (
        problem.message,
        problem.attempts,
        problem.last_at - problem.first_at,
    )
    assert 1 == home.journal.count_open()


def test_a_later_success_resolves_the_problem_and_a_new_one_is_a_new_one(home):
    refuse(home, refusal(), refusal(till_id="8"))
    with home.state.begin() as c:
        home.journal.resolve(c, [("sale", "7"), ("line", "8")])
    assert ["8"] == [problem.till_id for problem in home.journal.open_problems()]

    refuse(home, refusal())
    assert ["resolved", "retrying"] == [problem.state for problem in home.journal.problems_of("sale", "7")]


def test_a_sale_has_the_problems_of_its_lines_and_is_due_for_them(home):
    refuse(home, refusal("line", "21", sale="7"), refusal("customer", "1"))

    assert ["21"] == [problem.till_id for problem in home.journal.problems_of("sale", "7")]
    assert [] == home.journal.due()
    home.clock.sleep(24 * 3600)
    assert {("line", "21", "7"), ("customer", "1", None)} == {
        (p.kind, p.till_id, p.sale) for p in home.journal.due()
    }


def test_a_transaction_within_another_is_a_part_of_it(home):
    with pytest.raises(ZeroDivisionError), home.state.begin():
        home.stand("sale", "7", crm_id="a01")
        assert "a01" == home.known("sale", "7").crm_id, "it is seen at once by whoever is within"
        _ = 1 / 0

    assert {} == home.state.known("sale", ["7"]), "and goes back with all of it"


def test_an_announced_run_begins_with_what_is_first_settled_in_it(home):
    begun = []
    home.journal.announce("poll", begun.append)
    assert ([], None, []) == (home.journal.last_runs(), home.state.begun_run, begun)

    home.clock.sleep(5)
    home.stand("sale", "7")

    (run,) = home.journal.last_runs()
    assert ("poll", home.state.begun_run) == (run.job, run.id)
    assert 5.0 == home.clock.now().timestamp() - run.started_at, "it has begun when it was announced"
    home.stand("sale", "8")
    assert [run.id] == begun, "all of a slice is one run"


def test_a_run_whose_beginning_went_back_begins_again(home):
    home.journal.announce("poll", str)
    with pytest.raises(ZeroDivisionError), home.state.begin():
        home.stand("sale", "7")
        _ = 1 / 0
    assert (None, []) == (home.state.begun_run, home.journal.last_runs())

    home.stand("sale", "8")

    assert [home.state.begun_run] == [run.id for run in home.journal.last_runs()]


def test_problems_of_one_cause_stand_together(home):
    refuse(
        home,
        refusal(till_id="1", cause="b"),
        refusal(till_id="2", cause="a"),
        refusal(till_id="3", cause="b"),
    )

    assert ["2", "1", "3"] == [problem.till_id for problem in home.journal.open_problems()]


def test_a_run_is_written_down_from_beginning_to_end(home):
    run = home.journal.start("sync")
    home.clock.sleep(5)
    home.journal.end(run, "done", {"created": 2}, 3, 1)
    home.journal.start("backfill")

    unfinished, done = home.journal.last_runs()
    assert ("backfill", None) == (unfinished.job, unfinished.outcome)
    assert ("sync", "done", 5.0, 3, 1) == (
        done.job,
        done.outcome,
        done.ended_at - done.started_at,
        done.till_calls,
        done.crm_calls,
    )

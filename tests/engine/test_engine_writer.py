"""The writer: each row is settled by its own ack, and nobody is held up by somebody else's trouble."""

import pytest
from engine_desk import by_key, customer_row, line_row, refuse_once, sale_row

from tillbridge.engine.writer import ROUNDS, Writer
from tillbridge.model.acks import Refused
from tillbridge.model.errors import Transient
from tillbridge.model.sale import Ref

LOCKED = Refused("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
TOO_DEAR = Refused("FIELD_CUSTOM_VALIDATION_EXCEPTION", "too dear", ("Total__c",))


def deliver(desk, *rows, **more):
    return Writer(desk.connection).deliver(rows, **more)


def standings(desk, kind, *ids):
    return {i: desk.known(kind, i).state for i in ids}


def test_a_row_is_settled_by_its_own_ack_only(desk):
    desk.crm.script = lambda _name, row: TOO_DEAR if row["Transaction_Key__c"].endswith("S2") else None
    delivery = deliver(desk, sale_row(1), sale_row(2), sale_row(3))

    assert {"1": "settled", "2": "problem", "3": "settled"} == standings(desk, "sale", "1", "2", "3")
    assert (None, None) == (desk.known("sale", "2").crm_id, desk.known("sale", "2").digest)
    assert (2, 1) == (delivery.counts["created"], delivery.counts["refused"])
    assert delivery.refused(("sale", "2"))
    [problem] = desk.journal.open_problems()
    assert ("2", "too dear", "Total__c") == (problem.till_id, problem.message, problem.fields)


def test_what_was_confirmed_costs_nothing_the_next_time(desk):
    deliver(desk, sale_row(1), line_row(11, 1))
    counts = deliver(desk, sale_row(1), line_row(11, 1)).counts

    assert (1, 2) == (desk.crm.calls, counts["unchanged"])


def test_what_was_refused_is_sent_again_and_its_success_resolves_the_problem(desk):
    desk.crm.script = refuse_once(lambda _name, _row: True, TOO_DEAR)
    deliver(desk, sale_row(1))
    assert 1 == desk.journal.count_open()

    deliver(desk, sale_row(1))
    assert (0, "settled") == (desk.journal.count_open(), desk.known("sale", "1").state)


def test_forced_rows_are_sent_though_nothing_changed(desk):
    deliver(desk, sale_row(1))
    deliver(desk, sale_row(1), force=True)

    assert 2 == desk.crm.calls


def test_a_parent_of_the_same_request_is_named_by_its_key_and_later_by_its_id(desk):
    deliver(desk, customer_row(1), sale_row(1, Account__c=Ref("customer", "1")))
    [first] = desk.crm.rows("Sales_Transaction__c")
    assert by_key("Account__r", "Lightspeed_Customer_Key__c", "C", 1) == first["Account__c"]
    assert 1 == desk.crm.calls, "both travel together"

    deliver(desk, sale_row(1, Account__c=Ref("customer", "1")))
    assert 1 == desk.crm.calls, "naming it by its id is no change"
    deliver(desk, sale_row(1, Account__c=Ref("customer", "1"), Notes__c="x"))
    assert desk.known("customer", "1").crm_id == desk.crm.rows("Sales_Transaction__c")[-1]["Account__c"]


def test_a_refused_parent_leaves_the_lookup_empty_and_the_sale_waiting(desk):
    def script(name, row):
        if name == "Account":
            return TOO_DEAR
        if row.get("Account__c") is not None:
            return Refused("INVALID_FIELD", "Foreign key external ID: 190001-C1 not found for field", ())
        return None

    desk.crm.script = script
    deliver(desk, customer_row(1), sale_row(1, Account__c=Ref("customer", "1")))

    assert None is desk.crm.rows("Sales_Transaction__c")[-1]["Account__c"]
    known = desk.known("sale", "1")
    assert ("waiting", True) == (known.state, "customer 1" in known.reason)
    assert "problem" == desk.known("customer", "1").state
    assert ["1"] == [problem.till_id for problem in desk.journal.open_problems()]

    desk.stand("customer", "1", crm_id="001", object="Account")
    assert ["1"] == desk.state.waiting_sales()


def test_a_line_whose_header_was_refused_stays_behind_with_it(desk):
    desk.crm.script = lambda name, _row: (
        TOO_DEAR
        if name == "Sales_Transaction__c"
        else Refused("INVALID_FIELD", "Foreign key external ID: 190001-S1 not found for field", ())
    )
    delivery = deliver(desk, sale_row(1), line_row(11, 1))

    assert ("problem", None) == (desk.known("sale", "1").state, desk.known("line", "11"))
    assert 1 == delivery.counts["held"]
    assert ["sale"] == [problem.kind for problem in desk.journal.open_problems()]


def test_a_refused_line_marks_its_sale(desk):
    desk.crm.script = lambda name, row: TOO_DEAR if row.get("Line_Key__c", "").endswith("L12") else None
    deliver(desk, sale_row(1), line_row(11, 1), line_row(12, 1))

    assert {"11": "settled", "12": "problem"} == standings(desk, "line", "11", "12")
    known = desk.known("sale", "1")
    assert ("problem", True) == (known.state, "too dear" in known.reason)


def test_a_locked_row_is_tried_again_after_a_while(desk):
    before = desk.clock.now()
    desk.crm.script = refuse_once(lambda _name, row: row.get("Transaction_Key__c", "").endswith("S2"), LOCKED)
    deliver(desk, sale_row(1), sale_row(2))

    assert {"1": "settled", "2": "settled"} == standings(desk, "sale", "1", "2")
    assert [2, 1] == [len(rows) for call in desk.crm.sent for _, _, rows in call], "only that row again"
    assert desk.clock.now() > before
    assert 0 == desk.journal.count_open()


def test_a_row_that_stays_locked_is_a_problem_in_the_end(desk):
    desk.crm.script = lambda _name, _row: LOCKED
    deliver(desk, sale_row(1))

    assert (len(ROUNDS), "problem") == (desk.crm.calls, desk.known("sale", "1").state)


def test_more_rows_than_fit_go_in_several_calls_parents_first(desk):
    rows = [line_row(1000 + n, n) for n in range(1, 450)] + [sale_row(n) for n in range(1, 450)]
    deliver(desk, *rows)

    assert [5, 1] == [len(call) for call in desk.crm.sent]
    assert [200, 200, 49] * 2 == [len(sent) for call in desk.crm.sent for _, _, sent in call]
    objects = [name for call in desk.crm.sent for _, name, _ in call]
    assert ["Sales_Transaction__c"] * 3 + ["Sales_Transaction_Line__c"] * 3 == objects
    assert {"settled": 449} == desk.state.count_states()["sale"]


def test_a_refund_and_its_original_share_a_call_but_no_slot(desk):
    original = sale_row(1)
    refund = sale_row(2, Original_Transaction__c=Ref("sale_of_line", "11"))
    deliver(desk, refund, original, line_row(11, 1), line_row(21, 2))

    slots = [
        [row["Transaction_Key__c"][-2:] for row in rows]
        for call in desk.crm.sent
        for _, n, rows in call
        if n == "Sales_Transaction__c"
    ]
    assert [["S1"], ["S2"]] == slots
    assert "settled" == desk.known("sale", "2").state


def test_the_settling_transaction_may_carry_more(desk):
    seen = []
    deliver(desk, sale_row(1), extra=lambda _c, acked: seen.extend(s.row.thing for s, _ in acked))

    assert [("sale", "1")] == seen


def test_a_call_without_an_answer_settles_nothing_of_it(desk):
    def broken(_name, row):
        if row.get("Line_Key__c", "").endswith("L1400"):
            raise Transient("the line went dead")

    desk.crm.script = broken
    rows = [*(sale_row(n) for n in range(1, 450)), *(line_row(1000 + n, n) for n in range(1, 450))]
    with pytest.raises(Transient):
        deliver(desk, *rows)
    assert {} == desk.state.count_states()

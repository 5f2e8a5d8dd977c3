"""Lookups between sales that are filled in later: a refusal is a problem with its cause, seen once."""

import pytest
from engine_desk import line_row, refuse_once, sale_row

from tillbridge.engine.patches import patch_lookups
from tillbridge.engine.writer import Writer
from tillbridge.model.acks import Refused
from tillbridge.model.errors import Busy
from tillbridge.model.sale import Ref
from tillbridge.store.state import Missing

FINANCE = Refused("FIELD_CUSTOM_VALIDATION_EXCEPTION", "lines are locked by finance")
LOCKED = Refused("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
FULL = Refused("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded")


def refund_row(number, sale, original):
    return line_row(number, sale, Original_Line__c=Ref("line", str(original)))


def send(desk, *rows):
    return Writer(desk.connection).deliver(rows)


@pytest.fixture
def refunds(desk):
    """Three refunds whose originals have come after them."""
    for n in (1, 2, 3):
        send(desk, sale_row(n), refund_row(10 + n, n, 20 + n))
    send(desk, *(row for n in (4, 5, 6) for row in (sale_row(n), line_row(17 + n, n))))
    desk.crm.sent.clear()
    return desk


def is_patch(row):
    return set(row) == {"Id", "Original_Line__c"}


def refuse_line(desk, number, ack):
    own = desk.known("line", str(number)).crm_id
    desk.crm.script = lambda _name, row: ack if is_patch(row) and row["Id"] == own else None


def test_what_is_accepted_is_filled(refunds):
    assert (3, 1) == (patch_lookups(refunds.connection), refunds.crm.calls)
    assert {"settled"} == {refunds.known("sale", n).state for n in ("1", "2", "3")}


def test_a_refused_lookup_is_a_problem_of_its_line_and_holds_up_no_other(refunds):
    refuse_line(refunds, 12, FINANCE)
    assert 2 == patch_lookups(refunds.connection)
    [problem] = refunds.journal.open_problems()
    assert ("line", "12", "2", "lines are locked by finance") == (
        problem.kind,
        problem.till_id,
        problem.sale,
        problem.message,
    )
    assert {"Original_Line__c", "Id"} == set(refunds.journal.payload_of(problem))
    states = {n: refunds.known("sale", n).state for n in ("1", "2", "3")}
    assert {"1": "settled", "2": "problem", "3": "settled"} == states
    assert "Sales_Transaction_Line__c: lines are locked by finance" == refunds.known("sale", "2").reason


def test_a_refused_lookup_is_not_sent_again_before_its_time(refunds):
    refuse_line(refunds, 12, FINANCE)
    patch_lookups(refunds.connection)
    refunds.crm.sent.clear()
    assert (0, 0) == (patch_lookups(refunds.connection), refunds.crm.calls)


def test_the_retry_sends_the_whole_line_and_its_success_settles_the_sale(refunds):
    refuse_line(refunds, 12, FINANCE)
    patch_lookups(refunds.connection)
    refunds.crm.script = lambda _name, _row: None
    send(refunds, sale_row(2), refund_row(12, 2, 22))
    assert (
        refunds.known("line", "22").crm_id
        == refunds.crm.rows("Sales_Transaction_Line__c")[-1]["Original_Line__c"]
    )
    assert (0, "settled") == (refunds.journal.count_open(), refunds.known("sale", "2").state)
    assert 0 == patch_lookups(refunds.connection)


def test_what_was_locked_for_now_is_filled_by_the_next_run(refunds):
    refunds.crm.script = refuse_once(lambda _name, row: is_patch(row), LOCKED)
    assert 2 == patch_lookups(refunds.connection)
    assert 0 == refunds.journal.count_open()
    assert 1 == patch_lookups(refunds.connection)


def test_a_full_org_stops_the_run_and_what_was_filled_stays_filled(refunds):
    refuse_line(refunds, 12, FULL)
    with pytest.raises(Busy):
        patch_lookups(refunds.connection)
    refunds.crm.script = lambda _name, _row: None
    assert 1 == patch_lookups(refunds.connection)


def test_lookups_are_taken_in_one_order_so_that_the_first_ones_do_not_hide_the_rest(refunds):
    state, found, last = refunds.state, [], None
    for _ in range(4):
        some = state.fillable(1, last)
        if some:
            last = some[0][0]
            found.append(last.till_id)
    assert ["11", "12", "13"] == found
    assert Missing("line", "13", "Original_Line__c", "line", "23", "3") == last

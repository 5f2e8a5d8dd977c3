"""Bulk jobs of the first load: an upload that nobody answers, and what is kept of a row that is refused."""

from decimal import Decimal

import pytest
from world import key

from tillbridge.model.errors import Busy, Halted, LimitReached, Transient
from tillbridge.secrets import open_vault
from tillbridge.store.journal import Journal

UPLOAD = "PUT .*/batches"


@pytest.fixture
def shop(found):
    """A shop with three sales that are not loaded yet."""
    world = found()
    world.item_id = world.item("Ring", "100")
    world.buyer = world.customer("Mirte", "Perelaer", email="mirte@mail.example")
    world.sold = [world.ring((world.item_id, n, None), customer=world.buyer) for n in (1, 2, 3)]
    return world


def assert_all_is_there_once(shop):
    assert {key("sale", i) for i in shop.sold} == set(shop.rows("Sales_Transaction__c"))
    assert len(shop.sold) == len(shop.all_rows("Sales_Transaction__c"))
    assert [1, 1, 1] == [len(shop.lines_of(i)) for i in shop.sold]
    assert {"settled": len(shop.sold)} == shop.states()["sale"]
    assert [] == shop.differences()


def jobs(shop):
    """Count the jobs that were opened."""
    return shop.crm_server.calls["POST /services/data/v67.0/jobs/ingest"]


@pytest.mark.parametrize("part", [1, 2, 3], ids=["headers", "lines", "payments"])
@pytest.mark.parametrize("kind", ["reset_after", "half_body", "hang_after"])
def test_an_upload_that_arrived_unanswered_is_not_made_again(shop, part, kind):
    shop.crm_server.sleep = lambda _seconds: None
    shop.fail_crm(kind, UPLOAD, every=part)
    shop.backfill()
    assert 3 == jobs(shop)
    assert_all_is_there_once(shop)


@pytest.mark.parametrize("fate", ["complete", "failed", "refused"])
@pytest.mark.parametrize("kind", ["reset_before", "status"])
def test_an_upload_that_never_arrived_is_made_into_another_job(shop, fate, kind):
    """Nobody says what closing an empty job leads to: it may end well, fail, or be refused."""
    shop.org.switches["bulk_empty_job"] = fate
    shop.fail_crm(kind, UPLOAD)
    shop.backfill()
    assert 4 == jobs(shop)
    assert_all_is_there_once(shop)


def test_uploads_that_never_arrive_end_the_run_and_the_next_one_goes_on(shop):
    shop.fail_crm("reset_before", UPLOAD, times=None)
    with pytest.raises(Transient, match=r"left 3 rows of bulk job .* alone, three times over"):
        shop.backfill()
    assert 3 == jobs(shop)
    shop.crm_server.faults.clear()
    shop.backfill()
    assert_all_is_there_once(shop)


def test_a_job_whose_creation_was_not_answered_stays_open_and_harms_nothing(shop):
    shop.fail_crm("reset_after", "POST .*/jobs/ingest$")
    shop.backfill()
    assert 4 == jobs(shop)
    assert_all_is_there_once(shop)


# --- what is kept of a refusal -----------------------------------------------------------------------


def sent(shop):
    """Return what was sent of each refused record, as `problems show` tells it."""
    with shop.remembered() as state:
        journal = Journal(state, open_vault(shop.home))
        return {(p.kind, p.till_id): journal.payload_of(p) for p in journal.open_problems()}


def test_a_refused_row_of_a_bulk_job_keeps_what_was_sent_as_one_of_a_call_does(shop):
    """The platform repeats what was sent in its answer, numbers written otherwise."""
    shop.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many at once")
    shop.refuse("Sales_Payment__c", "Amount__c", 216.0, message="no such sum")
    shop.backfill()
    by_bulk = sent(shop)
    assert {"sale", "payment"} == {kind for kind, _ in by_bulk}
    header = by_bulk["sale", str(shop.sold[2])]
    assert (key("sale", shop.sold[2]), Decimal(324)) == (
        header["Transaction_Key__c"],
        Decimal(header["Total__c"]),
    )

    shop.pass_time(hours=4)
    shop.sync()
    by_call = sent(shop)
    assert by_bulk.keys() == by_call.keys()
    for thing, payload in by_call.items():
        assert _plain(payload) == {**_plain(by_bulk[thing]), **_history(payload)}


def _plain(payload):
    """Write a payload without empty fields, and numbers without their trailing zeros."""
    found = {}
    for name, value in payload.items():
        if value is None:
            continue
        try:
            found[name] = Decimal(value).normalize() if isinstance(value, str) else value
        except ArithmeticError:
            found[name] = value
    return found


def _history(payload):
    """Return the one field that tells a first load from a later one."""
    return {name: value for name, value in payload.items() if name == "Loaded_As_History__c"}


def test_what_was_sent_is_sealed(shop):
    shop.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many at once")
    shop.backfill()
    assert 1 == len(sent(shop))
    stored = b"".join(path.read_bytes() for path in shop.home.glob("tillbridge.sqlite*"))
    assert b"too many at once" in stored
    assert key("sale", shop.sold[2]).encode() not in stored


# --- rows that say that nothing more will be taken ---------------------------------------------------


PARTS_OF_A_SALE = {
    "headers": ("Sales_Transaction__c", "Total__c", 216.0),
    "lines": ("Sales_Transaction_Line__c", "Quantity__c", 2.0),
    "payments": ("Sales_Payment__c", "Amount__c", 216.0),
}


@pytest.mark.parametrize("part", PARTS_OF_A_SALE)
@pytest.mark.parametrize(
    ("code", "stops"),
    [("STORAGE_LIMIT_EXCEEDED", Busy), ("REQUEST_LIMIT_EXCEEDED", LimitReached)],
)
def test_a_row_for_which_there_is_no_room_stops_the_run_and_the_next_one_sends_it(shop, part, code, stops):
    name, field, value = PARTS_OF_A_SALE[part]
    shop.refuse(name, field, value, message="no more", code=code)
    with pytest.raises(stops):
        shop.backfill()
    written = len(shop.all_rows(name))
    assert 2 == written
    begun = jobs(shop)
    with pytest.raises(stops):
        shop.backfill()
    assert (begun + 1, []) == (jobs(shop), shop.problems()), "one job more, with that row alone"

    shop.org.validations.clear()
    shop.backfill()
    assert [] == shop.problems()
    assert_all_is_there_once(shop)


@pytest.mark.parametrize("part", PARTS_OF_A_SALE)
def test_a_session_that_ends_while_a_job_runs_costs_another_job_and_no_more(shop, part):
    name, field, value = PARTS_OF_A_SALE[part]
    shop.refuse(name, field, value, message="Session expired", code="INVALID_SESSION_ID", times=1)
    shop.backfill()
    assert ([], 4) == (shop.problems(), jobs(shop))
    assert_all_is_there_once(shop)


def test_sessions_that_end_in_every_job_stop_the_run_and_the_next_one_goes_on(shop):
    shop.refuse("Sales_Transaction__c", "Total__c", 216.0, message="expired", code="INVALID_SESSION_ID")
    with pytest.raises(Halted, match="INVALID_SESSION_ID"):
        shop.backfill()
    assert 3 == jobs(shop)
    shop.org.validations.clear()
    shop.backfill()
    assert_all_is_there_once(shop)


# --- stopped between a refusal and the end of the wave -----------------------------------------------


@pytest.mark.parametrize("part", ["lines", "payments"])
def test_a_wave_that_was_stopped_after_a_refusal_still_knows_of_it(shop, part):
    name, field, value = PARTS_OF_A_SALE[part]
    shop.refuse(name, field, value, message="locked by finance")
    # The last job's answer is lost for good: the process ends before the wave does.
    later = ("Sales_Payment__c", "Amount__c", 324.0)
    shop.refuse(*later, message="full", code="STORAGE_LIMIT_EXCEEDED")
    with pytest.raises(Busy):
        shop.backfill()
    shop.org.validations.pop()
    shop.backfill()
    known = shop.known("sale", shop.sold[1])
    assert ("problem", f"{name}: locked by finance") == (known.state, known.reason)
    assert 1 == len(shop.problems())

    shop.org.validations.clear()
    shop.pass_time(hours=4)
    shop.sync()
    assert [] == shop.problems()
    assert_all_is_there_once(shop)

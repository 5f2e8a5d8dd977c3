"""The certificate over both systems: every receipt that differs is named with its reason, and no other."""

from datetime import date, timedelta

import pytest
from world import NOW, key

from tillbridge.engine import desk
from tillbridge.engine.certificate import certify, daily, document, repair
from tillbridge.engine.desk import prepare_edit
from tillbridge.engine.desk import replay as desk_replay
from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import sync
from tillbridge.store.certificates import Certificates
from tillbridge.sync.remedies import Remedy

TODAY = date(2026, 11, 20)


@pytest.fixture
def shop(world):
    """An open shop that has carried everything across."""
    world.ring_item = world.item("Ring", "100")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.backfill()
    world.pass_time(minutes=30)
    return world


def reasons(certificate):
    return {receipt.key: receipt.reason for receipt in certificate.receipts}


def certified(world, first=None, last=None, **wishes):
    with world.connected() as connection:
        return certify(connection, first, last, **wishes)


def today(world):
    with world.connected() as connection:
        return daily(connection, TODAY)


def mended(world, certificate):
    with world.connected() as connection:
        return repair(connection, certificate)


def delete(world, row_id, op="delete"):
    table, _ = world.org.row(row_id)
    result = world.org.write(
        world.org.staff, table.sobject.name, op, {"Id": row_id}, auto_assign=False, allow_duplicates=True
    )
    assert result.success, result.errors


def corrupt_in_seven_ways(world):
    """Ring up ten receipts, then spoil seven of them; return sale id to reason."""
    late, void, mapping, refused, rounding, zone, deleted, *_ = [
        world.ring(world.ring_item, (world.ring_item, 2, "30"), customer=world.anna) for _ in range(10)
    ]
    world.floor.edit("Sale", mapping, {"referenceNumber": "po-17"})
    world.floor.edit("Sale", refused, {"referenceNumber": "BAD"})
    world.refuse("Sales_Transaction__c", "Reference_Number__c", "BAD")
    world.sync()
    world.pass_time(minutes=20)

    world.floor.edit("Sale", late, {"referenceNumber": "LATER"})
    world.floor.void(void, "wrong item")
    world.configure(toml='[map.sale]\nReference_Number__c = "reference | upper"')
    line = world.lines_of(rounding)[0]
    world.edit_in_crm(line["Id"], Tax__c=line["Tax__c"] + 0.01)
    world.edit_in_crm(world.sale_row(zone)["Id"], Business_Date__c="2026-11-19")
    delete(world, world.sale_row(deleted)["Id"])
    return {
        late: "late",
        void: "void",
        mapping: "mapping",
        refused: "refused",
        rounding: "rounding",
        zone: "time zone",
        deleted: "deleted in Salesforce",
    }


def test_seven_receipts_spoilt_in_seven_ways_are_named_with_seven_reasons_and_no_other_is(shop):
    expected = {key("sale", sale): reason for sale, reason in corrupt_in_seven_ways(shop).items()}

    certificate = today(shop)

    assert expected == reasons(certificate)
    assert not certificate.agrees
    assert expected == reasons(certified(shop, content=True))


def test_a_long_range_finds_what_sums_show_and_content_what_they_do_not(shop):
    sums, content = shop.ring(shop.ring_item), shop.ring(shop.ring_item)
    shop.sync()
    shop.edit_in_crm(shop.sale_row(content)["Id"], Notes__c="ring for Bo")
    since = TODAY - timedelta(days=300)
    assert {} == reasons(certified(shop, since))
    assert {key("sale", content): "edited in Salesforce"} == reasons(certified(shop, since, content=True))

    shop.edit_in_crm(shop.sale_row(sums)["Id"], Total__c=1.0)
    assert {key("sale", sums), key("sale", content)} == set(reasons(certified(shop, since)))


@pytest.mark.parametrize(
    ("name", "changes", "fields"),
    [
        pytest.param("header", {"Cashier__c": None}, {"Cashier__c"}, id="the cashier"),
        pytest.param("header", {"Account__c": None}, {"Account__c"}, id="the customer"),
        pytest.param("line", {"SKU__c": "other"}, {"L1 SKU__c"}, id="an article number"),
        pytest.param(
            "line",
            {"Quantity__c": 3, "Description__c": "x"},
            {"L1 Quantity__c", "L1 Description__c"},
            id="a line",
        ),
        pytest.param("payment", {"Tip__c": 5}, {"P1 Tip__c"}, id="a tip"),
    ],
)
def test_content_that_no_sum_shows_is_compared(shop, name, changes, fields):
    sale = shop.ring(shop.ring_item, customer=shop.anna)
    shop.sync()
    rows = {
        "header": shop.sale_row(sale),
        "line": shop.lines_of(sale)[0],
        "payment": shop.payments_of(sale)[0],
    }
    assert today(shop).agrees
    shop.edit_in_crm(rows[name]["Id"], **changes)

    [found] = today(shop).receipts
    assert ("content differs", "edited in Salesforce") == (found.what, found.reason)
    letters = {rows["line"]["Line_Key__c"]: "L1", rows["payment"]["Payment_Key__c"]: "P1"}
    named = set()
    for field in found.fields:
        row, _, rest = field.rpartition(" ")
        named.add(f"{letters[row]} {rest}" if row else rest)
    assert fields == named


def test_repair_sends_again_what_differs_and_leaves_what_only_salesforce_has(shop):
    spoilt = corrupt_in_seven_ways(shop)
    refused = key("sale", next(sale for sale, why in spoilt.items() if why == "refused"))
    stranger = key("sale", 999_999)
    shop.in_crm(
        "Sales_Transaction__c",
        Transaction_Key__c=stranger,
        Name="1",
        Business_Date__c=TODAY.isoformat(),
        Store_Code__c="1",
        Currency_Code__c="USD",
        Total__c=1.0,
        Status__c="Completed",
        Type__c="Sale",
    )
    before = today(shop)
    assert "extra" == reasons(before)[stranger]

    mended(shop, before)
    assert {refused: "refused", stranger: "extra"} == reasons(today(shop))

    shop.org.validations.clear()
    mended(shop, today(shop))
    assert {stranger: "extra"} == reasons(today(shop))
    assert stranger in shop.rows("Sales_Transaction__c")


@pytest.mark.parametrize("op", ["delete", "hardDelete"])
@pytest.mark.parametrize("what", ["header", "line", "payment"])
def test_rows_deleted_in_salesforce_are_told_and_come_back_once(shop, what, op):
    sale = shop.ring(shop.ring_item)
    shop.sync()
    row = {
        "header": shop.sale_row,
        "line": lambda i: shop.lines_of(i)[0],
        "payment": lambda i: shop.payments_of(i)[0],
    }
    delete(shop, row[what](sale)["Id"], op)

    certificate = today(shop)
    assert {key("sale", sale): "deleted in Salesforce"} == reasons(certificate)
    mended(shop, certificate)
    assert today(shop).agrees
    assert (1, 1) == (len(shop.lines_of(sale)), len(shop.payments_of(sale)))


def test_a_receipt_not_read_yet_is_late_and_one_that_the_feed_hid_says_so(shop):
    new = shop.ring(shop.ring_item)
    [found] = today(shop).receipts
    assert (key("sale", new), "missing in CRM", "late") == (found.key, found.what, found.reason)
    assert "next sync" in found.note

    hidden = shop.ring(shop.ring_item)
    old = NOW - timedelta(days=30)
    shop.till_app.world["Sale"].change(shop.till_row("Sale", hidden), updatetime=old, timeStamp=old)
    shop.sync()
    [found] = today(shop).receipts
    assert (key("sale", hidden), "late") == (found.key, found.reason)
    assert "the feed did not tell" in found.note


@pytest.mark.parametrize("kept", [True, False], ids=["with the kept payload", "without one"])
def test_a_change_that_moved_no_stamp_is_late_not_mapping(shop, kept):
    if not kept:
        shop.configure(toml="[keep]\nraw_days = 0")
        shop.sync()
    sale = shop.ring(shop.ring_item)
    shop.sync()
    shop.pass_time(minutes=5)
    shop.till_row("Sale", sale)["referenceNumber"] = "silent"

    assert {key("sale", sale): "late"} == reasons(today(shop))


def test_a_receipt_of_a_store_that_takes_no_part_any_more_is_left_out(shop):
    sale = shop.ring(shop.ring_item)
    shop.sync()
    shop.configure(sales='stores = ["99"]')

    assert {key("sale", sale): "left out"} == reasons(today(shop))


def test_a_store_code_set_later_is_a_matter_of_mapping(shop):
    sale = shop.ring(shop.ring_item)
    shop.sync()
    shop.configure(sales='store_codes = { "1" = "NYC" }')

    certificate = today(shop)
    assert {key("sale", sale): "mapping"} == reasons(certificate)
    mended(shop, certificate)
    assert today(shop).agrees


def test_certificates_are_kept_and_name_nobody(shop):
    sale = shop.ring(shop.ring_item, customer=shop.anna)
    shop.sync()
    first = today(shop)
    shop.edit_in_crm(shop.sale_row(sale)["Id"], Notes__c="for Anna Prins")
    second = today(shop)

    with shop.opened() as parts:
        kept = Certificates(parts.state)
        assert [(second.id, 1), (first.id, 0)] == [(made.id, made.differences) for made in kept.newest()]
        body = kept.body(second.id)
        assert kept.body(999) is None
    assert ["Notes__c"] == body["receipts"][0]["fields"]
    assert document(second)["receipts"][0]["reason"] == body["receipts"][0]["reason"]
    assert "Prins" not in str(body)


def test_a_day_costs_few_calls(shop):
    for _ in range(30):
        shop.ring(shop.ring_item, customer=shop.anna)
    shop.sync()

    assert today(shop).agrees
    assert shop.calls[1] <= 6


# --- set by hand --------------------------------------------------------------------------------------


def refused_then_set(world, **fields):
    """Have a sale refused for its total of 324, and let a person set fields of it on the desk."""
    world.refuse("Sales_Transaction__c", "Total__c", 324.0, message="too many at once")
    sale = world.ring((world.ring_item, 3, None), customer=world.anna)
    world.sync()
    [problem] = world.problems()
    if "Total__c" not in fields:
        world.org.validations.clear()
    with world.connected() as connection:
        prepare_edit(connection, problem, fields)
        assert [problem.id] == desk_replay(connection, [problem.id]).accepted
    world.pass_time(hours=1)
    return sale


def swept(world):
    with world.connected() as connection:
        sync(connection)
        return sweep(connection, full=True)


def test_what_a_person_has_set_by_hand_is_no_difference_and_no_sweep_undoes_it(shop):
    sale = refused_then_set(shop, Channel__c="Fair", Notes__c="Signed")
    assert today(shop).agrees

    assert [] == swept(shop).missed
    row = shop.sale_row(sale)
    assert ("Fair", "Signed") == (row["Channel__c"], row["Notes__c"])
    assert today(shop).agrees


def test_an_amount_set_by_hand_differs_for_that_reason_and_is_not_repaired_away(shop):
    sale = refused_then_set(shop, Total__c="323")
    [found] = today(shop).receipts
    assert (key("sale", sale), "edited", ("Total__c",)) == (found.key, found.reason, found.fields)

    mended(shop, today(shop))
    assert (323.0, []) == (shop.sale_row(sale)["Total__c"], shop.problems())
    swept(shop)
    assert (323.0, []) == (shop.sale_row(sale)["Total__c"], shop.problems())


def test_what_is_changed_again_after_it_was_set_by_hand_is_a_difference(shop):
    sale = refused_then_set(shop, Channel__c="Fair")
    shop.edit_in_crm(shop.sale_row(sale)["Id"], Channel__c="Market")
    assert {key("sale", sale): "edited in Salesforce"} == reasons(today(shop))


# --- names that a map, a remedy or a person's hand gives --------------------------------------------------


def test_a_tender_that_the_map_renames_is_no_difference(found):
    world = found(toml="[map.payment]\nTender__c = \"tender | choose:'Cash=Bargeld'\"")
    world.ring(world.item("Ring", "100"))
    world.backfill()
    assert {"Bargeld"} == {row["Tender__c"] for row in world.all_rows("Sales_Payment__c")}
    for content in (False, True):
        with world.connected() as connection:
            certificate = certify(connection, content=content)
        assert ([], []) == (certificate.differences, certificate.receipts)
    [totals] = certificate.till.values()
    assert {"Bargeld"} == set(totals.payments)


@pytest.mark.parametrize("content", [False, True])
def test_a_store_and_a_tender_that_a_remedy_replaces_are_no_difference(found, content):
    world = found()
    item = world.item("Ring", "100")
    world.backfill()
    world.refuse("Sales_Transaction__c", "Store_Code__c", "1", message="closed")
    world.refuse("Sales_Payment__c", "Tender__c", "Cash", message="not taken")
    world.ring(item)
    for field, seen, given in (("Store_Code__c", "1", "77"), ("Tender__c", "Cash", "Other")):
        world.sync()
        with world.connected() as connection:
            example = next(p for p in connection.journal.problems() if p.fields == field)
            remedy = Remedy(
                cause=example.cause,
                object=example.object,
                field=field,
                action="replace",
                seen=seen,
                given=given,
            )
            desk.prepare_fix(connection, [remedy])
            desk.replay(connection, [example.id])
    assert [] == world.problems()
    day = world.clock.now().date()
    with world.connected() as connection:
        whole = certify(connection, content=content)
        of_store = certify(connection, day, day, content=content, stores=["1"])
    for certificate in (whole, of_store):
        assert ([], []) == (certificate.differences, certificate.receipts)
        assert {"77": 1, "1": 0} == {cell.store_code: t.sales for cell, t in certificate.till.items()}


def test_a_receipt_behind_a_renamed_tender_that_really_differs_is_found(found):
    world = found(toml="[map.payment]\nTender__c = \"tender | choose:'Cash=Bargeld'\"")
    sale = world.ring(world.item("Ring", "100"))
    world.backfill()
    world.edit_in_crm(world.payments_of(sale)[0]["Id"], Tender__c="Cash")
    with world.connected() as connection:
        [receipt] = certify(connection).receipts
    assert {"payments: Bargeld", "payments: Cash"} == set(receipt.measures)

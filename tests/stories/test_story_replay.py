"""Replay: the receipt as it was read, mapped as now or as then, beside what Salesforce holds."""

from datetime import UTC, timedelta

import pytest
from world import key

from tillbridge.engine.replay import NothingKept, preview, replay


@pytest.fixture
def shop(world):
    world.ring_item = world.item("Ring", "100")
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.old = world.ring(world.ring_item, customer=world.anna)
    world.backfill()
    world.pass_time(minutes=30)
    return world


def looked_at(world, sale, **wishes):
    with world.connected() as connection:
        return preview(connection, str(sale), **wishes)


def differing(found):
    return {(field.field, field.would_send, field.holds) for field in found.differences}


@pytest.mark.parametrize("came", ["history", "live"])
def test_what_was_sent_is_what_would_be_sent(shop, came):
    sale = shop.old if came == "history" else shop.ring(shop.ring_item, customer=shop.anna)
    shop.sync()
    found = looked_at(shop, sale)

    assert (key("sale", sale), True, set()) == (found.key, found.in_crm, differing(found))
    rows = {field.row for field in found.fields}
    assert {"S", "L", "P"} == {row.split("-")[1][0] for row in rows}


def test_an_edit_in_salesforce_and_a_missing_row_show_field_by_field(shop):
    shop.edit_in_crm(shop.sale_row(shop.old)["Id"], Notes__c="mine")
    [payment] = shop.payments_of(shop.old)
    shop.org.write(shop.org.staff, "Sales_Payment__c", "delete", {"Id": payment["Id"]})
    found = looked_at(shop, shop.old)

    assert ("Notes__c", "", "mine") in differing(found)
    assert {None} == {field.holds for field in found.differences if field.object == "Sales_Payment__c"}


def test_the_map_of_then_shows_what_was_sent_and_the_map_of_now_what_would_be(shop):
    sale = shop.ring(shop.ring_item)
    shop.floor.edit("Sale", sale, {"referenceNumber": "po-17"})
    shop.sync()
    shop.pass_time(minutes=5)
    shop.configure(toml='[map.sale]\nReference_Number__c = "reference | upper"\nNotes__c = ""')

    then, now = looked_at(shop, sale, mapping="then"), looked_at(shop, sale)
    assert (set(), False) == (differing(then), then.same_map)
    assert {("Reference_Number__c", "PO-17", "po-17")} == differing(now)
    assert "Notes__c" in {field.field for field in then.fields} - {field.field for field in now.fields}


def test_settings_of_then_count_too(shop):
    shop.configure(sales='store_codes = { "1" = "NYC" }\nday_starts_at = 04:00:00')
    assert set() == differing(looked_at(shop, shop.old, mapping="then"))
    assert ("Store_Code__c", "NYC", "1") in differing(looked_at(shop, shop.old))


def test_a_moment_of_the_past_shows_the_receipt_as_it_was(shop):
    sale = shop.ring(shop.ring_item)
    shop.sync()
    before = shop.clock.now()
    shop.pass_time(hours=2)
    shop.floor.edit("Sale", sale, {"referenceNumber": "later"})
    shop.sync()

    assert {("Reference_Number__c", "", "later")} == differing(looked_at(shop, sale, at=before))
    assert set() == differing(looked_at(shop, sale))
    with pytest.raises(NothingKept, match="from before"):
        looked_at(shop, sale, at=before - timedelta(days=1))


def test_what_came_back_to_an_earlier_content_is_the_newest_again(shop):
    sale = shop.ring(shop.ring_item)
    row = shop.till_row("Sale", sale)
    for text in ("a", "b", "a"):
        row["referenceNumber"] = text
        shop.pass_time(minutes=1)
        shop.force(sales=[sale])
    row["referenceNumber"] = "c"

    assert set() == differing(looked_at(shop, sale))
    assert "a" == shop.sale_row(sale)["Reference_Number__c"]


def test_replay_reads_the_till_again(shop):
    sale = shop.ring(shop.ring_item)
    shop.sync()
    shop.till_row("Sale", sale)["referenceNumber"] = "silent"
    shop.edit_in_crm(shop.sale_row(sale)["Id"], Notes__c="mine")
    with shop.connected() as connection:
        delivery = replay(connection, str(sale))

    assert 0 == delivery.counts["refused"]
    row = shop.sale_row(sale)
    assert ("silent", None) == (row["Reference_Number__c"], row.get("Notes__c"))


@pytest.mark.parametrize(
    ("toml", "days", "words"),
    [
        pytest.param("[keep]\nraw_days = 0", 0, "raw_days is 0", id="nothing is kept"),
        pytest.param(
            "[keep]\nraw_days = 5", 6, "never read, or more than 5 days ago", id="it is too long ago"
        ),
    ],
)
def test_what_is_not_kept_is_not_guessed(shop, toml, days, words):
    shop.ring(shop.ring_item)
    shop.sync()  # From here on, the poll does not meet the old one again.
    shop.configure(toml=toml)
    shop.pass_time(days=days)
    shop.sync()
    with pytest.raises(NothingKept, match=words):
        looked_at(shop, shop.old)


def test_a_receipt_never_read_is_not_known(shop):
    with pytest.raises(NothingKept, match="never read"):
        looked_at(shop, 999)


def test_kept_payloads_cannot_be_read_in_the_file(shop):
    shop.floor.edit("Sale", shop.old, {"referenceNumber": "po-for-anna"})
    shop.sync()
    data = b"".join(path.read_bytes() for path in shop.home.glob("tillbridge.sqlite*"))

    assert b"po-for-anna" not in data
    with shop.opened() as parts:
        [(kept, seen_at)] = parts.raw.sales([str(shop.old)]).values()
        assert ("po-for-anna", True) == (
            kept.reference,
            seen_at <= shop.clock.now().astimezone(UTC).timestamp(),
        )


def test_whoever_is_forgotten_is_forgotten_in_pages_too(shop):
    with shop.opened() as parts:
        with parts.state.begin() as c:
            parts.raw.forget(c, "customer", [str(shop.anna)])
            parts.raw.forget(c, "sale", [str(shop.old)])
        assert [] == parts.raw.moments("customer", str(shop.anna))
        assert {} == parts.raw.sales([str(shop.old)])


def test_what_is_read_again_unchanged_is_kept_once(shop):
    sale = shop.ring(shop.ring_item)
    for _ in range(3):
        shop.sync()
        shop.pass_time(minutes=1)
    with shop.opened() as parts:
        assert 1 == len(parts.raw.moments("sale", str(sale)))

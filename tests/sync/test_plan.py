"""Packing: few calls, parents first, no key twice in a slot."""

import random
from itertools import pairwise

import pytest

from tillbridge.model.writing import KeyRef
from tillbridge.sync.plan import CALL_SLOTS_MAX, SLOT_ROWS_MAX, PlannedRow, pack

LAYERS = {"Account": 0, "Customer_Identity__c": 1, "Sale__c": 2, "Line__c": 3, "Payment__c": 4}


def row(object_name, key, *, operation="upsert", **payload):
    return PlannedRow(
        object=object_name,
        operation=operation,
        payload={"Key__c": key, **payload},
        layer=LAYERS[object_name],
        key=key,
        key_field="Key__c" if operation == "upsert" else None,
    )


def sale_after(key, original):
    return row("Sale__c", key, Original__c=KeyRef("Original__r", "Key__c", original))


def many(object_name, count):
    return [row(object_name, f"{object_name}-{number}") for number in range(count)]


def order_of(calls):
    """Where each row went: key -> (call, slot)."""
    return {
        payload["Key__c"]: (number, place)
        for number, call in enumerate(calls)
        for place, slot in enumerate(call.slots)
        for payload in slot.rows
    }


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({}, 0, id="nothing to write: no call"),
        pytest.param({"Sale__c": 1, "Line__c": 3, "Payment__c": 1}, 1, id="one receipt"),
        pytest.param(
            {"Account": 200, "Customer_Identity__c": 200, "Sale__c": 200, "Line__c": 200, "Payment__c": 200},
            1,
            id="a full call",
        ),
        pytest.param({"Sale__c": 201}, 1, id="two slots"),
        pytest.param({"Sale__c": 1001}, 2, id="six slots"),
        pytest.param(
            {
                "Account": 100,
                "Customer_Identity__c": 100,
                "Sale__c": 1000,
                "Line__c": 2500,
                "Payment__c": 1100,
            },
            6,
            id="a thousand sales",
        ),
    ],
)
def test_how_many_calls(counts, expected):
    rows = [each for object_name, count in counts.items() for each in many(object_name, count)]
    random.Random(1).shuffle(rows)

    calls = pack(rows)

    assert expected == len(calls)
    assert all(len(call.slots) <= CALL_SLOTS_MAX for call in calls)
    assert all(len(slot.rows) <= SLOT_ROWS_MAX for call in calls for slot in call.slots)


def test_every_row_is_packed_once_and_can_be_found_again():
    rows = many("Sale__c", 450) + many("Account", 30)
    random.Random(2).shuffle(rows)

    calls = pack(rows)

    assert sorted(range(480)) == sorted(at for call in calls for slot in call.rows for at in slot)
    assert all(
        rows[at].payload is payload
        for call in calls
        for slot, members in zip(call.slots, call.rows, strict=True)
        for at, payload in zip(members, slot.rows, strict=True)
    )


def test_parents_go_before_children():
    rows = many("Payment__c", 300) + many("Line__c", 700) + many("Sale__c", 250) + many("Account", 250)
    places = order_of(pack(rows))

    latest = {
        layer: max(at for key, at in places.items() if LAYERS[key.rsplit("-", 1)[0]] == layer)
        for layer in (0, 2, 3, 4)
    }
    earliest = {
        layer: min(at for key, at in places.items() if LAYERS[key.rsplit("-", 1)[0]] == layer)
        for layer in (0, 2, 3, 4)
    }
    assert all(latest[before] < earliest[after] for before, after in pairwise((0, 2, 3, 4)))


def test_operations_travel_apart():
    (call,) = pack([row("Account", "a"), row("Account", "b", operation="update"), row("Account", "c")])

    assert [("upsert", "Key__c", 2), ("update", None, 1)] == [
        (slot.operation, slot.key_field, len(slot.rows)) for slot in call.slots
    ]


def test_a_refund_goes_after_its_original():
    places = order_of(pack([sale_after("refund", "original"), row("Sale__c", "original")]))

    assert places["original"] < places["refund"]


def test_a_refund_of_an_older_sale_needs_no_slot_of_its_own():
    (call,) = pack([sale_after("refund", "long ago"), row("Sale__c", "other")])

    assert 1 == len(call.slots)


def test_refunds_fill_the_room_that_is_left():
    """Two hundred and fifty sales and five refunds of them: two slots, not three."""
    rows = many("Sale__c", 250) + [sale_after(f"refund-{number}", f"Sale__c-{number}") for number in range(5)]

    (call,) = pack(rows)

    assert 2 == len(call.slots)
    places = order_of([call])
    assert all(places[f"Sale__c-{number}"] < places[f"refund-{number}"] for number in range(5))


def test_a_chain_of_refunds_keeps_its_order():
    rows = [sale_after("c", "b"), sale_after("b", "a"), row("Sale__c", "a"), *many("Sale__c", 3)]
    places = order_of(pack(rows))

    assert places["a"] < places["b"] < places["c"]


def test_a_ring_of_references_is_still_packed():
    places = order_of(pack([sale_after("a", "b"), sale_after("b", "a")]))

    assert {"a", "b"} == set(places)


def test_the_same_key_twice_goes_twice_and_the_later_wins():
    """One slot with both would fail both."""
    calls = pack([row("Sale__c", "a", Total__c=1), row("Sale__c", "b"), row("Sale__c", "a", Total__c=2)])

    assert [[1, None], [2]] == [
        [payload.get("Total__c") for payload in slot.rows] for call in calls for slot in call.slots
    ]


def test_limits_are_arguments():
    calls = pack(many("Sale__c", 10), slot_rows_max=2, call_slots_max=2)

    assert [[2, 2], [2, 2], [2]] == [[len(slot.rows) for slot in call.slots] for call in calls]

"""A load of history that stands still wherever it can, while others work with the same connection."""

import pytest
from world import key

from tillbridge.engine.backfill import backfill

SALES = 210  # some pages of the till's


def make(found):
    world = found()
    ring = world.item("Ring", "250")
    anna = world.customer("Anna", "Prins", email="anna@prins.example")
    bruno = world.customer("Bruno", "Kok", email="bruno@kok.example")
    sales = [world.ring(ring, customer=(anna, bruno, 0)[n % 3]) for n in range(SALES)]
    return world, anna, sales


def load(world, happens):
    """Load everything; `happens` is told how often the load has stood still by then."""
    stood = []

    def let_pass():
        stood.append(len(stood) + 1)
        happens(stood[-1])

    with world.connected(history=True) as connection:
        connection.let_pass = let_pass
        backfill(connection)
    return len(stood)


def test_it_stands_still_at_every_page_part_and_batch(found):
    world, _, _ = make(found)

    # Three pages read, and for each of three parts: its pages and their end, its rest, and its acks.
    assert load(world, lambda _: None) > 3 + 3 * (3 + 1 + 1)
    assert [] == world.differences()


@pytest.mark.parametrize("every", [2, 7])
def test_who_works_meanwhile_is_not_undone_and_nothing_is_there_twice(found, every):
    """A person changes, is forced, a receipt of the wave is forced, and a poll runs: again and again."""
    world, anna, sales = make(found)

    def happens(number):
        if number % every == 0:
            world.pass_time(seconds=30)
            world.edit_customer(anna, mobile=f"518-555-{number:04}")
            world.force(customers=[anna])
            world.force(sales=[sales[number % SALES]])
            if number % 2:
                sales.append(world.ring(customer=anna))
                world.sync()

    stood = load(world, happens)
    world.pass_time(minutes=5)
    world.sync()

    last = stood - stood % every
    person = world.row("Account", key("customer", anna))
    assert f"+1518555{last:04}" == person["PersonMobilePhone"]
    assert {"settled": len(sales)} == world.states()["sale"]
    assert len(sales) == len(world.all_rows("Sales_Transaction__c"))
    assert 2 == len([row for row in world.all_rows("Account") if row["LastName"] in {"Prins", "Kok"}])
    assert [] == world.problems()
    assert [] == world.differences()


@pytest.mark.parametrize("at", range(1, 40, 3))
def test_a_receipt_that_changes_while_the_load_has_it_in_hand_stays_as_it_is_now(found, at):
    """The load's job writes over what a poll has written since; the receipt is read once more behind it."""
    world, _, sales = make(found)
    ring = world.item("Ring", "300")

    def happens(number):
        if number == at:
            world.pass_time(seconds=30)
            world.floor.void(sales[5], "wrong item")
            world.sync()
            for _ in range(2):  # No poll looks back so far.
                world.pass_time(hours=6)
                world.ring(ring)
                world.sync()

    assert at <= load(world, happens)
    world.sync()

    assert "Voided" == world.row("Sales_Transaction__c", key("sale", sales[5]))["Status__c"]
    assert [] == world.differences()

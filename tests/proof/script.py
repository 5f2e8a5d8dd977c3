"""The scripted stories that are stopped everywhere: a week's worth of what a shop does, and people both ways.

A scene is something that happens, at a fixed time, and a run that carries it
across. The run may be stopped and begun again as often as one likes; what
happened does not happen again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from closed import ClosedWorld
from world import NOW

from tillbridge.engine.crosscheck import crosscheck
from tillbridge.simulators.retailer import Plan

PLAN = Plan(seed=3, shops=2, customers=12, sales=25, products=8)


class Scene(NamedTuple):
    """What happens, and the run that must carry it across."""

    name: str
    happens: Callable[[ClosedWorld], Any]
    run: Callable[[ClosedWorld], Any]


def _nothing(_world: ClosedWorld) -> None:
    pass


def _first_sale(world):
    """A new customer buys something new, and something known."""
    ring = world.item("Signet ring", "250", customSku="SIG-1")
    anna = world.customer("Anna", "Lind", email="anna.lind@example.com", mobile="+1 415 555 0134")
    world.ring(ring, _known_item(world), customer=anna)


def _refund(world):
    world.floor.refund(_newest_sale(world))


def _void(world):
    world.floor.void(world.ring(_known_item(world)), "rang on wrong customer")


def _edits(world):
    world.edit_customer(_newest(world, "Customer"), lastName="Lindgren", mobile="+1 415 555 0178")
    identity = world.crm_row(world.known("customer", _newest(world, "Customer")).crm_id)
    world.edit_in_crm(identity["Id"], PersonTitle="Architect")


def _goods(world):
    item = _known_item(world)
    world.floor.edit("Item", item, {"description": "Signet ring, engraved"})
    stock = next(s for s in world.till_row("Item", item)["ItemShops"] if s["shopID"])
    world.till_app.world["ItemShop"].change(stock, qoh=17, sellable=17, timeStamp=world.till_app.world.now())


def _merge(world):
    doublet = world.customer("Anna", "Lindgren", email="a.lindgren@example.com")
    world.ring(_known_item(world), customer=doublet)
    world.floor.merge(_newest(world, "Customer", -2), doublet)


def _late_line(world):
    """A sale is changed after it was carried across, by the back office."""
    sale = world.till_row("Sale", _newest_sale(world))
    world.floor.backdate(sale["saleID"], sale["completeTime"] - timedelta(days=2))


def _two_customers(world):
    for first, last in (("Carl", "Prins"), ("Anna", "Lind")):
        world.customer(first, last, email=f"{first}@{last}.example".lower(), mobile="+1 415 555 0134")


def _edit_for_the_till(world):
    """The CRM edits somebody whom the shop entered, in a name, a number and the address."""
    crm_id = world.known("customer", _newest(world, "Customer")).crm_id
    place = {
        "PersonMailingCity": "Reno",
        "PersonMailingState": "Nevada",
        "PersonMailingCountry": "United States",
    }
    world.edit_in_crm(crm_id, FirstName="Annika", PersonMobilePhone="+1 415 555 0190", **place)


def _marked(world):
    """The CRM wants somebody to be known in the shop."""
    wishes = {"Send_To_Lightspeed__c": True, "PersonHasOptedOutOfEmail": True}
    world.person("Bea", "Lund", email="bea@lund.example", mobile="+1 415 555 0191", **wishes)


def _both_edit(world):
    """Both sides edit the same field of the newest customer; each edits another one, too."""
    till_id = _newest(world, "Customer")
    world.edit_customer(till_id, email="bea.till@lund.example", title="Baker")
    crm_id = world.known("customer", till_id).crm_id
    world.edit_in_crm(crm_id, PersonEmail="bea.crm@lund.example", PersonHomePhone="+1 415 555 0192")


def _decision(world):
    """A person decides every conflict for the CRM."""
    with world.connected() as connection:
        (conflict,) = connection.changes.open_conflicts()
        with connection.state.begin() as c:
            connection.changes.decide(c, conflict.id, "crm", "the owner")
            connection.state.doubt(c, "customer", [conflict.till_id])


def _merge_in_crm(world):
    """The CRM merges two people who are linked, while the shop edits the one who goes."""
    kept, lost = (_newest(world, "Customer", at) for at in (-2, -1))  # Annika and Bea.
    world.pass_time(seconds=1)
    world.org.merge(*(world.known("customer", till_id).crm_id for till_id in (kept, lost)))
    world.edit_customer(lost, company="Lund Bakery")


def _known_item(world):
    return next(iter(world.till_app.world["Item"]))["itemID"]


def _newest(world, entity, at=-1):
    return sorted(world.till_app.world[entity].rows)[at]


def _newest_sale(world):
    sales = world.till_app.world["Sale"]
    return max(i for i, sale in sales.rows.items() if sale["completed"] and sale["calcTotal"] > 0)


def _crosscheck(world):
    with world.connected() as connection:
        crosscheck(connection, nightly=True)


_SHOP = (
    Scene("first load", _nothing, ClosedWorld.backfill),
    Scene("live sale with a new customer and a new product", _first_sale, ClosedWorld.sync),
    Scene("refund", _refund, ClosedWorld.sync),
    Scene("sale and void", _void, ClosedWorld.sync),
    Scene("customer edited on both sides", _edits, ClosedWorld.sync),
    Scene("product and stock", _goods, ClosedWorld.sync),
    Scene("merge at the till", _merge, ClosedWorld.sync),
    Scene("completed into the past", _late_line, ClosedWorld.sync),
    Scene("night", _nothing, _crosscheck),
)

_PEOPLE = (
    Scene("first load of two", _two_customers, ClosedWorld.backfill),
    Scene("edit in the CRM", _edit_for_the_till, ClosedWorld.sync),
    Scene("somebody marked in the CRM", _marked, ClosedWorld.sync),
    Scene("both edit one field", _both_edit, ClosedWorld.sync),
    Scene("a person decides", _decision, ClosedWorld.sync),
    Scene("merge in the CRM", _merge_in_crm, ClosedWorld.sync),
    # What Bea's record said of Annika goes on to hers.
    Scene("the poll after it", _nothing, ClosedWorld.sync),
)


class Story(NamedTuple):
    """A world to begin with, and what happens in it."""

    plan: Plan | None
    scenes: tuple[Scene, ...]


STORIES = {"shop": Story(PLAN, _SHOP), "people": Story(None, _PEOPLE)}

# More than the hour for which a token of the till is good: every scene begins with a refresh.
BETWEEN = timedelta(hours=2)


def play(world: ClosedWorld, scenes: Sequence[Scene], first: int = 0, *, happened: bool = False) -> None:
    """Play from a scene on. `happened`: that first scene has begun, so only its run is left."""
    for number, scene in enumerate(scenes[first:], first):
        if number > first or not happened:
            raise_curtain(world, scenes, number)
        scene.run(world)


def raise_curtain(world: ClosedWorld, scenes: Sequence[Scene], number: int) -> None:
    """Let a scene happen, at its own time however long the runs before it took."""
    world.sim_clock.set((NOW + number * BETWEEN).timestamp())
    scenes[number].happens(world)

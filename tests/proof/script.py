"""The scripted story that is stopped everywhere: a first load, then a week's worth of what a shop does.

A scene is something that happens, at a fixed time, and a run that carries it
across. The run may be stopped and begun again as often as one likes; what
happened does not happen again.
"""

from __future__ import annotations

from collections.abc import Callable
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


STORY = (
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

# More than the hour for which a token of the till is good: every scene begins with a refresh.
BETWEEN = timedelta(hours=2)


def play(world: ClosedWorld, first: int = 0, *, happened: bool = False) -> None:
    """Play from a scene on. `happened`: that first scene has begun, so only its run is left."""
    for number, scene in enumerate(STORY[first:], first):
        if number > first or not happened:
            raise_curtain(world, number)
        scene.run(world)


def raise_curtain(world: ClosedWorld, number: int) -> None:
    """Let a scene happen, at its own time however long the runs before it took."""
    world.sim_clock.set((NOW + number * BETWEEN).timestamp())
    STORY[number].happens(world)

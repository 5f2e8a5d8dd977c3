"""A shop that is open: what a long catch-up, a poll with news and a poll without cost in Salesforce calls."""

from __future__ import annotations

from typing import Any

from bench.scene import Scene, scene, tell
from tillbridge.engine.backfill import backfill
from tillbridge.engine.certificate import certify
from tillbridge.engine.sync import sync
from tillbridge.rehearsal import World
from tillbridge.wiring import open_home

CATCH_UP_SALES = 1_000
_MINUTE = 60.0
_HOUR = 3_600.0


def measure(*, sales: int, customers: int, polls: int) -> dict[str, Any]:
    """Load a history, let the shop sell, and count what each synchronisation costs."""
    with scene(World(customers=customers, sales=sales)) as loaded:
        backfill(loaded.connection)
        tell(f"{sales:,} sales are loaded, the shop opens")
        here = _opened(loaded)
        idle_before = _poll(here, 0)
        catch_up = _poll(here, CATCH_UP_SALES)
        tell(f"{CATCH_UP_SALES:,} sales caught up with {catch_up:.0f} calls")
        idle_after = _poll(here, 0)
        here.rehearsal.clock.sleep(_HOUR)
        news = [_poll(here, 1 + number % 3) for number in range(polls)]
        idle = [_poll(here, 0) for _ in range(polls)]
        certificate = certify(here.connection)
        return {
            "catch_up_sales": CATCH_UP_SALES,
            "catch_up": catch_up,
            "news": news,
            "idle": [idle_before, idle_after, *idle],
            "limited": here.limited(),
            "differences": len(certificate.differences),
        }


def _opened(loaded: Scene) -> Scene:
    """Connect again as `tillbridge sync` does: what is written from now on is news."""
    rehearsal = loaded.rehearsal
    parts = open_home(rehearsal.home, clock=rehearsal.clock)
    return Scene(rehearsal, parts, parts.connect())


def _poll(here: Scene, sales: int) -> float:
    """Let a minute pass, ring up so many sales, synchronise; return the Salesforce calls of that."""
    here.rehearsal.clock.sleep(_MINUTE)
    if sales:
        rung = here.rehearsal.till.control("POST", "ring", {"count": sales})["saleIDs"]
        assert len(rung) == sales
    meter = here.meter()
    sync(here.connection)
    return meter.read()["crm_calls"]

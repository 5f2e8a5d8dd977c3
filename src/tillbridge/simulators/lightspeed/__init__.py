"""A Lightspeed Retail R-Series account (API V3) that can be rehearsed against.

`build` makes the application; `tillbridge.simulators.httpd.Server` puts it on a
port. State and rules (tables, filters, paging, writes, shopfloor, grants, limits)
know no HTTP; `app`, `oauth` and `control` are the faces. What is simulated, fact
by fact, is stated in tests/simulators/test_lightspeed*.py.
"""

from __future__ import annotations

import gc
from typing import Any

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.lightspeed.app import LightspeedApp
from tillbridge.simulators.lightspeed.grants import Grants
from tillbridge.simulators.lightspeed.limits import Meter
from tillbridge.simulators.lightspeed.opening import stock_up
from tillbridge.simulators.lightspeed.switches import Switches
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.retailer import Plan

__all__ = ["LightspeedApp", "build"]


def build(
    plan: Plan | None,
    *,
    clock: SimClock,
    switches: dict[str, Any] | None = None,
    client_id: str = "demo-client",
    client_secret: str = "demo-secret",  # noqa: S107  It opens an invented shop.
    refresh_token: str = "demo-refresh",  # noqa: S107  As above.
    account_id: int = 190001,
    registers: int | None = None,
) -> LightspeedApp:
    """Open an account with the plan's history, or an empty one with one shop and one register.

    `registers` is the subscription's limit, which sizes the bucket (fact sheet A3);
    without it, the registers that exist.
    """
    set_switches = Switches.of(switches)
    world = World(account_id, clock, set_switches)
    # Millions of rows are born and none dies: collecting meanwhile only costs time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        stock_up(world, plan)
    finally:
        if collecting:
            gc.enable()
    open_registers = [r for r in world["Register"] if not r.get("archived")]
    grants = Grants(
        clock,
        set_switches,
        account_id=account_id,
        client_id=client_id,
        client_secret=client_secret,
        refresh_token=refresh_token,
        employee_id=next(iter(world["Employee"]))["employeeID"],
    )
    return LightspeedApp(world, grants, Meter(account_id, registers or len(open_registers)))

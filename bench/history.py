"""A whole history is loaded: calls, 429s, our own CPU, our peak memory, and whether both sides agree."""

from __future__ import annotations

from math import ceil
from typing import Any

from bench.scene import Scene, peak_megabytes, scene, tell
from tillbridge.engine.backfill import STEPS
from tillbridge.engine.certificate import certify
from tillbridge.rehearsal import World

# The till's largest page. https://developers.lightspeedhq.com/retail/introduction/pagination/
_PAGE_ROWS = 100

# What a backfill reads, each of it once. The account itself is one answer more.
_READ = ("Shop", "Register", "Employee", "Category", "Item", "Customer", "Sale")


def measure(*, sales: int, customers: int, model: str = "person_account", seed: int = 1) -> dict[str, Any]:
    """Load the world step by step, each step metered by itself, then certify it."""
    with scene(World(customers=customers, sales=sales, model=model, seed=seed)) as here:
        steps = {}
        for name, load in STEPS.items():
            meter = here.meter()
            load(here.connection)
            steps[name] = meter.read()
            tell(
                f"{name} in {steps[name]['wall']:.0f} s, {steps[name]['cpu']:.1f} s of it our CPU, "
                f"{peak_megabytes():.0f} MB at most"
            )
        rows, limited, automation = here.till_rows(), here.limited(), here.automation()
        certificate = certify(here.connection)
        tell(f"certified {len(certificate.till):,} store days, {len(certificate.differences)} differences")
        return {
            "sales": rows["Sale"],
            "landed": _landed(here),
            "steps": steps,
            "sale_pages": ceil(rows["Sale"] / _PAGE_ROWS),
            "all_pages": 1 + sum(max(1, ceil(rows[name] / _PAGE_ROWS)) for name in _READ),
            "limited": limited,
            "automation": automation,
            "cells": len(certificate.till),
            "differences": len(certificate.differences),
            "problems": _problems(here),
            "peak": peak_megabytes(),
        }


def _landed(here: Scene) -> int:
    """Return how many sales the org holds, as the org counts them."""
    return int(here.rehearsal.crm.control("GET", "rows").get("Sales_Transaction__c", 0))


def _problems(here: Scene) -> int:
    return sum(states.get("problem", 0) for states in here.parts.state.count_states().values())

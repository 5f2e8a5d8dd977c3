"""The check-up as a step: done in the background, kept, and which step puts right what is wrong."""

from __future__ import annotations

from typing import Any

import msgspec

from tillbridge.draft import Done
from tillbridge.model.errors import Halted
from tillbridge.setup import steps
from tillbridge.setup.checks import Check, checks
from tillbridge.setup.errands import Errand, Work
from tillbridge.setup.setups import Setups

# Which step puts right what a check found, by its area and what was looked at.
_FIXES = (
    ("Lightspeed", "", steps.LIGHTSPEED),
    ("Salesforce", "login", steps.SALESFORCE),
    ("Salesforce", "org", steps.SALESFORCE),
    ("Salesforce", "permission set", steps.PACKAGE),
    ("Salesforce", "customer model", steps.CUSTOMERS),
    ("Salesforce", "first load", steps.STORES),
    ("Salesforce", "map.", steps.PACKAGE),
)


def look(setups: Setups, name: str, by: str) -> Work:
    """Return the errand that looks at both sides, and says whether the step is done."""

    def work(errand: Errand) -> None:
        before = _connected(setups, name)
        found = list(checks(setups.home(name), clock=setups.clock, env=setups.env, progress=errand))
        if _connected(setups, name) != before:
            raise Halted("A side was connected anew meanwhile: check both sides again.")
        told = {"at": setups.now(), "checks": [msgspec.to_builtins(each) for each in found]}
        setups.keep(name, steps.CHECK, told)
        failed, warned = (sum(each.level == level for each in found) for level in ("fail", "warn"))
        errand.came.update(checks=len(found), failed=failed)
        if failed:
            setups.undone(name, steps.CHECK)
        else:
            setups.done(name, steps.CHECK, by, f"{warned} to look at" if warned else "all is well")

    return work


def _connected(setups: Setups, name: str) -> list[Done | None]:
    """Return when and by whom both sides were connected."""
    return [setups.kept(name).done.get(each) for each in (steps.LIGHTSPEED, steps.SALESFORCE)]


def found(setups: Setups, name: str) -> tuple[float | None, list[Check]]:
    """Return when it was looked at last, and what was found."""
    kept: Any = setups.found(name, steps.CHECK)
    return (kept["at"], msgspec.convert(kept["checks"], list[Check])) if kept else (None, [])


def fix(check: Check) -> str:
    """Return the step that puts right what a check found; "" when none does."""
    return next(
        (step for area, what, step in _FIXES if check.area == area and check.what.startswith(what)), ""
    )

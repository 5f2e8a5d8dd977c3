"""The first load, looked at before it begins: how much there is, and what becomes of the latest customers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from tillbridge.actions import Actions
from tillbridge.engine.preview import NoSuchPlan
from tillbridge.model.errors import Busy, Halted
from tillbridge.model.reading import Countable, Query
from tillbridge.setup import steps
from tillbridge.setup.errands import Errand, Work
from tillbridge.setup.setups import Setups

# So many of the latest customers are shown field by field; the load itself reads everybody.
_EXAMPLES = 25

FOUND = "load"

_COUNTED: tuple[Countable, ...] = ("customers", "products", "sales")


def errand_of(setups: Setups, actions: Actions, name: str) -> Work:
    """Return the errand that looks at what the first load would bring."""
    return lambda errand: look(setups, actions, name, errand)


def look(setups: Setups, actions: Actions, name: str, errand: Errand) -> None:
    """Count what there is, and keep a plan for the latest customers. Writes to neither side."""
    # Counting is dear to the till's rate limit: the forecast has done it, if it was made.
    foreseen = setups.found(name, steps.FORECAST) or {}
    counts: dict[str, int] = dict(foreseen.get("counts", {}))
    with setups.parts(name) as parts:
        if not counts:
            bar = errand.bar("Counting", len(_COUNTED))
            for each in _COUNTED:
                counts[each] = parts.till.count(each)
                bar.advance()
            bar.close()
        page = next(parts.till.customers(Query(newest_first=True)), None)
        latest = [customer.id for customer in page.rows[:_EXAMPLES]] if page else []
    bar = errand.bar("Comparing the latest customers with Salesforce")
    found = actions.preview(name, latest) if latest else None
    bar.close()
    forget(setups, actions, name)
    kept: dict[str, Any] = {"counts": counts, "examples": len(latest), "plan": found.plan if found else None}
    if found is not None:
        kept |= {
            "entries": found.entries,
            "skips": found.skips,
            "unchanged": found.unchanged,
            "holds": found.holds,
        }
    setups.keep(name, FOUND, kept)


def approve(setups: Setups, actions: Actions, name: str, by: str) -> None:
    """Agree to the load that was looked at. Raises Halted when nobody has looked, Busy while one looks."""
    if steps.LOAD in setups.errands.under_way(name):
        # Its example plan would outlive what is approved now.
        raise Busy(
            "What the first load would bring is being looked at again; approve it when that has ended."
        )
    if not setups.found(name, FOUND):
        raise Halted("Look at what the first load would bring before you approve it.")
    counts = setups.found(name, FOUND).get("counts", {})
    told = ", ".join(f"{count:,} {each}" for each, count in counts.items())
    forget(setups, actions, name)
    setups.done(name, steps.LOAD, by, told)


def forget(setups: Setups, actions: Actions, name: str) -> None:
    """Drop the plan of an earlier look: nobody is to carry out what only was an example."""
    kept = setups.found(name, FOUND)
    if not kept or kept.get("plan") is None:
        return
    with suppress(NoSuchPlan):  # It was dropped already, or has become outdated by itself.
        actions.drop(name, kept["plan"])
    setups.keep(name, FOUND, {**kept, "plan": None})

"""Which steps a set-up has, what each needs, and which of them have to be looked at again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

LIGHTSPEED, SALESFORCE, PACKAGE, CHECK = "lightspeed", "salesforce", "package", "check"
CUSTOMERS, STORES, FIELDS, FORECAST, LOAD, LIVE = (
    "customers",
    "stores",
    "fields",
    "forecast",
    "load",
    "live",
)

_SIDES = (LIGHTSPEED, SALESFORCE)


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `outdates`: what has to be looked at again once this one is done anew."""

    name: str
    title: str
    needs: tuple[str, ...] = ()
    outdates: tuple[str, ...] = ()


STEPS: tuple[Step, ...] = (
    Step(LIGHTSPEED, "Connect Lightspeed", outdates=(CHECK, FORECAST, LOAD)),
    Step(SALESFORCE, "Connect Salesforce", outdates=(PACKAGE, CHECK, FORECAST, LOAD)),
    Step(PACKAGE, "Install the package", needs=_SIDES, outdates=(CHECK,)),
    Step(CHECK, "Check both sides", needs=_SIDES),
    Step(CUSTOMERS, "Customers", needs=_SIDES, outdates=(CHECK, LOAD)),
    Step(STORES, "Stores and registers", needs=_SIDES, outdates=(FORECAST, LOAD)),
    Step(FIELDS, "Fields", needs=(*_SIDES, PACKAGE), outdates=(LOAD,)),
    Step(FORECAST, "Forecast", needs=_SIDES),
    Step(LOAD, "First load", needs=(*_SIDES, PACKAGE, CHECK)),
    Step(LIVE, "Go live", needs=(*_SIDES, PACKAGE, CHECK, LOAD)),
)
BY_NAME: Mapping[str, Step] = {step.name: step for step in STEPS}

State = Literal["done", "next", "open", "closed"]


def states(done: Collection[str]) -> dict[str, State]:
    """Return how each step stands: done, the next one to do, open to be done, or not before others."""
    found: dict[str, State] = {}
    for step in STEPS:
        if step.name in done:
            found[step.name] = "done"
        elif missing(step.name, done):
            found[step.name] = "closed"
        else:
            found[step.name] = "open" if "next" in found.values() else "next"
    return found


def missing(name: str, done: Collection[str]) -> list[Step]:
    """Return the steps that have to be done before this one."""
    return [BY_NAME[each] for each in BY_NAME[name].needs if each not in done]


def following(name: str) -> str:
    """Return the step behind one; the last one is followed by itself."""
    names = [step.name for step in STEPS]
    return names[min(names.index(name) + 1, len(names) - 1)]

"""The forecast as a step of a set-up: surveyed in the background, kept in words and figures."""

from __future__ import annotations

from typing import Any

import msgspec

from tillbridge.engine.survey import survey
from tillbridge.setup import outlook, steps
from tillbridge.setup.errands import Errand, Work
from tillbridge.setup.setups import Setups
from tillbridge.sync.forecast import Forecast, Survey, forecast
from tillbridge.wiring import plan_of


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """What one lane spends in a day: calls of the till, and of the CRM."""

    lane: str
    till: int
    crm: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One limit in a sentence. `bad`: it does not hold."""

    text: str
    bad: bool


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What running costs, how long the first load takes, and what fills up."""

    counts: dict[str, int]
    seen: list[str]
    lanes: list[Lane]
    till: int
    crm: int
    load: str
    storage: str
    a_year: str
    limits: list[Told]


def foresee(setups: Setups, name: str, by: str) -> Work:
    """Return the errand that surveys both accounts and predicts."""

    def work(errand: Errand) -> None:
        with setups.parts(name, errand) as parts:
            plan, hours = plan_of(parts.config), parts.config.schedule.opening_hours
            seen = survey(parts.settings, parts.till, parts.crm, parts.clock, errand, hours)
        told = forecast(seen, plan)
        kept = _shown(told, seen, list(outlook.seen(seen, plan)))
        setups.keep(name, steps.FORECAST, msgspec.to_builtins(kept))
        setups.done(name, steps.FORECAST, by, f"first load about {kept.load}")

    return work


def found(setups: Setups, name: str) -> Foreseen | None:
    """Return what was foreseen last."""
    kept: Any = setups.found(name, steps.FORECAST)
    return msgspec.convert(kept, Foreseen) if kept else None


def _shown(told: Forecast, looked: Survey, seen: list[str]) -> Foreseen:
    return Foreseen(
        counts={"customers": looked.customers, "products": looked.products, "sales": looked.sales},
        seen=seen,
        lanes=[
            Lane(lane=lane, till=round(till), crm=round(crm)) for lane, (till, crm) in told.by_lane().items()
        ],
        till=round(told.till),
        crm=round(told.crm),
        load=outlook.hours_told(told.load.hours),
        storage=outlook.megabytes_told(told.megabytes_first),
        a_year=outlook.megabytes_told(told.megabytes_a_year),
        limits=[
            Told(text=outlook.limit_told(limit), bad=limit.in_days is not None and limit.in_days <= 0)
            for limit in told.limits
        ],
    )

"""`forecast`: what running will cost, how long the first load takes, what fills up and what runs out.

It looks at both accounts and writes nothing. It is a question: its exit status
is 0 whatever it predicts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tillbridge.cli import words
from tillbridge.cli.desk import Desk
from tillbridge.model.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from tillbridge.sync.forecast import Forecast, Limit, Plan, Survey

_HELD = {
    "till": "Lightspeed's rate limit sets the pace",
    "crm": "Salesforce's bulk jobs set the pace",
    "calls": "Salesforce's calls of a day set the pace",
}
_LIMITS = {
    "crm calls": ("Salesforce calls a day", "raise [budget], slow [schedule] down, or buy calls"),
    "till rate": ("Lightspeed's rate limit", "slow [schedule] down, or stretch checks.sweep_days"),
    "crm storage": ("Salesforce storage", "free some, buy more, or set sales.since"),
    "bulk batches": ("Salesforce bulk batches", "load in parts, with sales.since"),
}
_A_DAY = 24.0
_YEAR_DAYS = 365.0
_MONTH_DAYS = 30.0


def show_forecast(desk: Desk, home: Path, text: str | None, *, as_json: bool) -> int:
    """Survey, predict, and print."""
    from tillbridge.engine.survey import survey
    from tillbridge.sync.forecast import forecast, what_if
    from tillbridge.wiring import open_home, plan_of

    with desk.screen.progress() as progress:
        parts = open_home(home, clock=desk.clock, progress=progress, env=desk.env)
        try:
            plan = plan_of(parts.config)
            if text:
                _check(text)
            hours = parts.config.schedule.opening_hours
            found = survey(parts.settings, parts.till, parts.crm, parts.clock, progress, hours)
            spent = {"lightspeed_calls": parts.till.calls, "salesforce_calls": parts.crm.calls}
        finally:
            parts.close()
    now = forecast(found, plan)
    then_found, then_plan = what_if(found, plan, text) if text else (found, plan)
    then = forecast(then_found, then_plan)
    if as_json:
        document = {"survey": msgspec.to_builtins(found), "forecast": _document(now), "spent": spent}
        if text:
            document["what_if"] = {
                "asked": text,
                "survey": msgspec.to_builtins(then_found),
                "forecast": _document(then),
            }
        desk.screen.document(document)
        return words.DONE
    result = desk.screen.result
    for line in _seen(then_found, then_plan):
        result.print(line, soft_wrap=True)
    _show_day(result, then, now if text else None)
    for line in _told(then):
        result.print(line, soft_wrap=True)
    return words.DONE


def _check(text: str) -> None:
    """Refuse what cannot be read before a call is spent on it."""
    from tillbridge.sync.forecast import Plan, Survey, what_if

    anybody = Survey(
        stores=1, registers=1, customers=1, products=1, sales=1, sales_a_day=1, customers_a_day=1
    )
    try:
        what_if(anybody, Plan(), text)
    except ValueError as error:
        raise ConfigurationInvalid([("--what-if", str(error))]) from None


def _document(found: Forecast) -> dict[str, Any]:
    return {
        "calls_a_day": {
            lane: {"lightspeed": round(till, 1), "salesforce": round(crm, 1)}
            for lane, (till, crm) in found.by_lane().items()
        },
        "lightspeed_calls_a_day": round(found.till, 1),
        "salesforce_calls_a_day": round(found.crm, 1),
        "lightspeed_drips_a_day": round(found.drips, 1),
        "salesforce_calls_given": {lane: round(calls, 1) for lane, calls in found.given.items()},
        "things": [
            {
                "lane": line.lane,
                "what": line.what,
                "lightspeed": round(line.till, 1),
                "salesforce": round(line.crm, 1),
            }
            for line in found.lines
        ],
        "first_load": msgspec.to_builtins(found.load),
        "storage_megabytes": {
            "first_load": round(found.megabytes_first, 1),
            "a_year": round(found.megabytes_a_year, 1),
        },
        "limits": [msgspec.to_builtins(limit) for limit in found.limits],
    }


# --- on a screen ---------------------------------------------------------------------------------


def _seen(found: Survey, plan: Plan) -> Iterator[str]:
    yield (
        f"{words.several(found.stores, 'store')} with {words.several(found.registers, 'register')}, open "
        f"{found.open_hours:.0f} hours a day; {words.number(found.customers)} customers, "
        f"{words.number(found.products)} products, {words.number(found.sales)} sales, "
        f"{found.sales_a_day:,.0f} more a day with {found.lines_a_sale:.1f} lines and "
        f"{found.payments_a_sale:.1f} payments each."
    )
    yield (
        f"Sales are read every {plan.wishes.sales_seconds:.0f} s while a shop is open, everything again "
        f"within {plan.sweep_days:g} days."
    )


def _show_day(result: Console, then: Forecast, before: Forecast | None) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column("API calls a day")
    for title in ("Lightspeed", "Salesforce") + ("as it is now", "") * (before is not None):
        table.add_column(title, justify="right")
    lanes = before.by_lane() if before else {}
    for lane, calls in then.by_lane().items():
        table.add_row(lane, *_figures(calls), *(_figures(lanes.get(lane, (0, 0))) if before else ()))
    total = _figures((then.till, then.crm))
    table.add_row("together", *total, *(_figures((before.till, before.crm)) if before else ()))
    result.print()
    result.print(table)
    result.print()


def _figures(calls: tuple[float, float]) -> tuple[str, str]:
    return f"{calls[0]:,.0f}", f"{calls[1]:,.0f}"


def _told(found: Forecast) -> Iterator[str]:
    load = found.load
    yield (
        f"The first load takes about {_hours(load.hours)} with {load.till:,.0f} Lightspeed calls and "
        f"{load.crm:,.0f} Salesforce calls, beside live synchronisation: {_HELD[load.held_by]}."
    )
    yield (
        f"Salesforce storage: {_megabytes(found.megabytes_first)} for the first load, then "
        f"{_megabytes(found.megabytes_a_year)} a year."
    )
    yield from map(_limit, found.limits)
    slipping = [
        f"{lane} gets {given:,.0f} of {wanted:,.0f}"
        for lane, wanted in found.wants().items()
        if wanted and (given := found.given.get(lane, 0.0)) < wanted
    ]
    if slipping:
        yield f"With so few Salesforce calls {'; '.join(slipping)}: those streams become slower, none stops."


def _limit(limit: Limit) -> str:
    title, advice = _LIMITS[limit.name]
    size = _megabytes if limit.name == "crm storage" else "{:,.0f}".format
    of = f"{size(limit.wanted)} of {size(limit.there)}"
    if limit.in_days is None:
        return f"{title}: {of}, enough for years."
    if limit.in_days <= 0:
        return f"{title}: {of}, not enough: {advice}."
    return f"{title}: {of}; full in about {_days(limit.in_days)}: {advice}."


def _hours(hours: float) -> str:
    if hours < 1:
        return f"{max(1.0, hours * 60):.0f} minutes"
    return f"{hours:.0f} hours" if hours < 2 * _A_DAY else f"{hours / _A_DAY:.1f} days"


def _days(days: float) -> str:
    if days < 2 * _MONTH_DAYS:
        return f"{days:.0f} days"
    return f"{days / _MONTH_DAYS:.0f} months" if days < _YEAR_DAYS else f"{days / _YEAR_DAYS:.1f} years"


def _megabytes(megabytes: float) -> str:
    return f"{megabytes:,.0f} MB" if megabytes < 10_000 else f"{megabytes / 1024:,.1f} GB"

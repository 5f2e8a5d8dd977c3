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
    from rich.console import Console

    from tillbridge.sync.forecast import Forecast


def show_forecast(desk: Desk, home: Path, text: str | None, *, as_json: bool) -> int:
    """Survey, predict, and print."""
    from tillbridge.engine.survey import survey
    from tillbridge.setup.outlook import seen, told
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
    for line in seen(then_found, then_plan):
        result.print(line, soft_wrap=True)
    _show_day(result, then, now if text else None)
    for line in told(then):
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

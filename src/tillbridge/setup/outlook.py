"""A forecast in sentences: what a day costs, how long the first load takes, what fills up.

The command line prints them, the console's set-up shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def seen(found: Survey, plan: Plan) -> Iterator[str]:
    """Say how large both accounts are, and how often they are read."""
    yield (
        f"{_several(found.stores, 'store')} with {_several(found.registers, 'register')}, open "
        f"{found.open_hours:.0f} hours a day; {_number(found.customers)} customers, "
        f"{_number(found.products)} products, {_number(found.sales)} sales, "
        f"{found.sales_a_day:,.0f} more a day with {found.lines_a_sale:.1f} lines and "
        f"{found.payments_a_sale:.1f} payments each."
    )
    yield (
        f"Sales are read every {plan.wishes.sales_seconds:.0f} s while a shop is open, everything again "
        f"within {plan.sweep_days:g} days."
    )


def told(found: Forecast) -> Iterator[str]:
    """Say what is to come."""
    load = found.load
    yield (
        f"The first load takes about {hours_told(load.hours)} with {load.till:,.0f} Lightspeed calls and "
        f"{load.crm:,.0f} Salesforce calls, beside live synchronisation: {_HELD[load.held_by]}."
    )
    yield (
        f"Salesforce storage: {megabytes_told(found.megabytes_first)} for the first load, then "
        f"{megabytes_told(found.megabytes_a_year)} a year."
    )
    yield from (limit_told(limit) for limit in found.limits)
    slipping = [
        f"{lane} gets {given:,.0f} of {wanted:,.0f}"
        for lane, wanted in found.wants().items()
        if wanted and (given := found.given.get(lane, 0.0)) < wanted
    ]
    if slipping:
        yield f"With so few Salesforce calls {'; '.join(slipping)}: those streams become slower, none stops."


def limit_told(limit: Limit) -> str:
    """Say whether a limit holds, and for how long."""
    title, advice = _LIMITS[limit.name]
    size = megabytes_told if limit.name == "crm storage" else "{:,.0f}".format
    of = f"{size(limit.wanted)} of {size(limit.there)}"
    if limit.in_days is None:
        return f"{title}: {of}, enough for years."
    if limit.in_days <= 0:
        return f"{title}: {of}, not enough: {advice}."
    return f"{title}: {of}; full in about {_days(limit.in_days)}: {advice}."


def hours_told(hours: float) -> str:
    """Write a span of time."""
    if hours < 1:
        return f"{max(1.0, hours * 60):.0f} minutes"
    return f"{hours:.0f} hours" if hours < 2 * _A_DAY else f"{hours / _A_DAY:.1f} days"


def _days(days: float) -> str:
    if days < 2 * _MONTH_DAYS:
        return f"{days:.0f} days"
    return f"{days / _MONTH_DAYS:.0f} months" if days < _YEAR_DAYS else f"{days / _YEAR_DAYS:.1f} years"


def megabytes_told(megabytes: float) -> str:
    """Write a size."""
    return f"{megabytes:,.0f} MB" if megabytes < 10_000 else f"{megabytes / 1024:,.1f} GB"


def _number(count: float) -> str:
    return f"{count:,.0f}"


def _several(count: int, one: str) -> str:
    return f"{_number(count)} {one if count == 1 else one + 's'}"

"""What a day costs: a retailer's shops open and close once, in simulated time, and every call is counted.

Beside what was spent stands what `forecast` said before that day: it looks at
both accounts as it would before go-live.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bench.scene import tell
from bench.town import BEGINS, DAY, HOUR, Retailer, Serving, Spent, Town, served
from tillbridge import config
from tillbridge.sync.forecast import forecast
from tillbridge.wiring import plan_of

# Asked of a receipt: in the CRM within so many seconds.
OBJECTIVE_SECONDS = 120.0

# What follows the first load is over after these hours of the night.
_SETTLING_HOURS = 3.0

_HOURS = '[schedule]\nopening_hours = ["Mon-Sun 09:00-21:00"]\n'

RETAILERS = {
    each.name: each
    for each in (
        # The one of the promise: its hours are configured, the others' are learnt.
        Retailer("three", 3, 300, 9, 21, customers=3_000, products=600, days=14, toml=_HOURS),
        Retailer("small", 1, 40, 10, 18, customers=600, products=200, days=28),
        Retailer("busy", 10, 1_200, 9, 20, customers=4_000, products=1_000, days=8),
    )
}


def measure(*, retailer: str, sales_a_day: int | None = None, days: int | None = None) -> dict[str, Any]:
    """Predict a day, let it pass, count."""
    wished = RETAILERS[retailer]
    shop = Retailer(
        **{
            **{name: getattr(wished, name) for name in wished.__slots__},
            **({"sales_a_day": sales_a_day} if sales_a_day else {}),
            **({"days": days} if days else {}),
        }
    )
    with served(shop) as (town, serving):
        predicted = forecast(town.survey(), plan_of(config.load(town.home)))
        midnight = (BEGINS + timedelta(days=shop.days)).timestamp()
        settled = serving.run(midnight + _SETTLING_HOURS * HOUR)
        tell(f"{shop.name}: the first night has cost {settled.till} and {settled.crm} calls")
        spent = _day(town, serving, midnight + _SETTLING_HOURS * HOUR)
    in_time = sum(delay <= OBJECTIVE_SECONDS for delay in spent.delays)
    return {
        "retailer": shop.name,
        "shops": shop.shops,
        "sales": shop.sales_a_day,
        "till": spent.till,
        "crm": spent.crm,
        "limited": spent.limited,
        "refused": spent.refused,
        "in_time": in_time / max(1, len(spent.delays) + spent.missing),
        "missing": spent.missing,
        "delays": sorted(spent.delays),
        "outcomes": dict(spent.outcomes),
        "by_job": {name: list(counts) for name, counts in sorted(spent.by_job.items())},
        "predicted": {"till": predicted.till, "crm": predicted.crm},
        "lines": [(line.lane, line.what, line.till, line.crm) for line in predicted.lines],
    }


def _day(town: Town, serving: Serving, begins: float) -> Spent:
    """Let 24 hours pass from a moment of the night on: one opening, one closing, one night."""
    midnight = begins - begins % DAY
    today = [event for event in town.day_of_sales(midnight) if event[0] >= begins]
    return serving.run(begins + DAY, today)

"""What we promise, held against what was measured: one row a figure, asked, measured, met or short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Measured = dict[str, Any]

# What the Singer pair that people use today needs: one call a sale, and two for each to find its parents.
SINGER_CALLS_PER_1000 = 3_001

TIMES = "\N{MULTIPLICATION SIGN}"
NOT_ASKED = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `met` is None where nothing was asked, or the world was too small to tell."""

    what: str
    asked: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """Say how it went."""
        return {True: "met", False: "SHORT", None: ""}[self.met]


# Salesforce calls a thousand sales, from so many sales on.
CALLS_PER_1000 = {20_000: 3.0, 50_000: 2.0}
TILL_CALLS_SHARE_MAX = 1.05
CATCH_UP_CALLS_MAX = 8
SALES_PER_CPU_SECOND_MIN = 1_000
MEMORY_GROWTH_MAX = 1.2
MEMORY_MEGABYTES_MAX = 250
MEMORY_SALES = (10_000, 100_000)
KILLS = 10
CLEAN_UP_CUSTOMERS = 200_000
CLEAN_UP_SECONDS_MAX = 60
CLEAN_UP_MEGABYTES_MAX = 1_000
CLEAN_UP_PRECISION_MIN = 0.999
CLEAN_UP_RECALL_MIN = 0.73

DAY_CRM_CALLS_MAX = 1_200
DAY_TILL_CALLS_MAX = 2_200
IN_TIME_SHARE_MIN = 0.95
FORECAST_OFF_MAX = 0.10
TAKEN_OVER_SECONDS_MAX = 12.0  # two until a worker counts as dead in the bench, and ten
FLEET_CONNECTIONS = 500
FLEET_CORE_SHARE_MAX = 0.5
FLEET_MEGABYTES_MAX = 400
FLEET_DELAY_SECONDS_MAX = 5.0
TWO_WORKERS_MIN = 1.6
FORCED_SECONDS_MAX = 3.0
IDLE_CORE_SHARE_MAX = 0.02


def of_histories(worlds: list[Measured]) -> list[Figure]:
    """Return the figures of loaded histories, the smallest first."""
    figures = [figure for world in worlds for figure in _of_history(world)]
    return [*figures, *_of_memory(worlds[0], worlds[-1])]


def _of_history(world: Measured) -> list[Figure]:
    loading = world["steps"]["sales"]
    title = f"history of {world['sales']:,} sales"
    per_1000 = loading["crm_calls"] / world["landed"] * 1_000
    asked = next(
        (most for size, most in sorted(CALLS_PER_1000.items(), reverse=True) if world["sales"] >= size), None
    )
    sale_share = loading["till_calls"] / world["sale_pages"]
    calls = sum(step["till_calls"] for step in world["steps"].values())
    cpu = sum(step["cpu"] for step in world["steps"].values())
    return [
        Figure(
            f"{title}: Salesforce calls per 1,000 sales",
            _too_small(f"≤ {asked:g}" if asked else None, min(CALLS_PER_1000)),
            f"{per_1000:.2f} (the Singer pair: {SINGER_CALLS_PER_1000:,})",
            None if asked is None else per_1000 <= asked,
        ),
        _at_most(
            f"{title}: Lightspeed calls for sales, of the page minimum",
            sale_share,
            TILL_CALLS_SHARE_MAX,
            TIMES,
        ),
        _at_most(
            f"{title}: Lightspeed calls for all, of the page minimum",
            calls / world["all_pages"],
            TILL_CALLS_SHARE_MAX,
            TIMES,
        ),
        _none(f"{title}: 429s", world["limited"]),
        _none(f"{title}: differences in {world['cells']:,} certified store days", world["differences"]),
        _none(f"{title}: problems", world["problems"]),
        _none(f"{title}: mails and tasks sent by the org", sum(world["automation"].values())),
        _at_least(
            f"{title}: sales per second of our CPU, sales alone",
            world["sales"] / loading["cpu"],
            SALES_PER_CPU_SECOND_MIN,
        ),
        Figure(
            f"{title}: the same with people, products and stock",
            NOT_ASKED,
            f"{world['sales'] / cpu:,.0f}",
            None,
        ),
    ]


def _of_memory(small: Measured, large: Measured) -> list[Figure]:
    """Compare the peaks of the smallest and the largest world; certifying is part of both."""
    growth = large["peak"] / small["peak"]
    tells = small["sales"] >= MEMORY_SALES[0] and large["sales"] >= MEMORY_SALES[1]
    title = f"peak memory at {large['sales']:,} sales"
    size = MEMORY_SALES[1]
    return [
        Figure(
            f"{title}, of that at {small['sales']:,} ({small['peak']:.0f} MB)",
            _too_small(f"≤ {MEMORY_GROWTH_MAX:g} {TIMES}" if tells else None, size),
            f"{growth:.2f} {TIMES}",
            growth <= MEMORY_GROWTH_MAX if tells else None,
        ),
        Figure(
            title,
            _too_small(f"< {MEMORY_MEGABYTES_MAX} MB" if tells else None, size),
            f"{large['peak']:.0f} MB",
            large["peak"] < MEMORY_MEGABYTES_MAX if tells else None,
        ),
    ]


def of_a_live_shop(shop: Measured) -> list[Figure]:
    """Return the figures of synchronising as things happen."""
    news = sorted(shop["news"])
    usual = news[len(news) // 2]
    return [
        _at_most(
            f"catch-up of {shop['catch_up_sales']:,} sales: Salesforce calls",
            shop["catch_up"],
            CATCH_UP_CALLS_MAX,
        ),
        Figure(
            f"a live poll with news: Salesforce calls ({len(news)} polls)",
            "1",
            f"{usual:.0f}, with somebody new to look up {news[-1]:.0f}"
            if news[-1] > usual
            else f"{usual:.0f}",
            usual <= 1,
        ),
        _none(f"a poll without news: Salesforce calls ({len(shop['idle'])} polls)", sum(shop["idle"])),
        _none("live shop: 429s", shop["limited"]),
        _none("live shop: differences afterwards", shop["differences"]),
    ]


def of_people(found: Measured, model: str) -> list[Figure]:
    """Return the figures of people whom the CRM knew."""
    title = f"{model}, {found['known']:,} till customers whose person the CRM knew"
    return [
        _none(f"{title}: created again", found["again"]),
        _none(f"{title}: linked to somebody else (of all links)", found["wrong"]),
        Figure(
            f"{title}: linked by itself",
            NOT_ASKED,
            f"{found['linked'] / found['known']:.1%}, the rest in review",
            None,
        ),
        _none(f"{model}: mails and tasks sent by the org", sum(found["automation"].values())),
    ]


def of_a_clean_up(found: Measured) -> list[Figure]:
    """Return the figures of a scan for duplicates: what looks sure must be right, bar one pair in 1,000."""
    title = f"clean-up: {found['customers']:,} customers and {found['people']:,} people of the CRM"
    is_whole = found["customers"] >= CLEAN_UP_CUSTOMERS
    asked = f"< {CLEAN_UP_SECONDS_MAX}"
    seconds = f"{found['cpu']:.1f} s of CPU, {found['seconds']:.1f} s of the clock"
    sure = [(tier, n) for tier, n in found["tiers"].items() if tier != "look"]
    seen = found["found_sure"] + found["found_look"]
    return [
        Figure(
            f"{title}: keys, clusters, evidence",
            f"{asked} s" if is_whole else f"needs {CLEAN_UP_CUSTOMERS:,} customers",
            seconds,
            found["cpu"] < CLEAN_UP_SECONDS_MAX if is_whole else None,
        ),
        Figure(
            "clean-up: memory of the process",
            f"< {CLEAN_UP_MEGABYTES_MAX} MB",
            f"{found['megabytes']:.0f} MB",
            found["megabytes"] < CLEAN_UP_MEGABYTES_MAX,
        ),
        *(
            Figure(
                f"clean-up: precision of pairs that look sure by {tier}",
                "≥ 0.999",
                f"{n['right'] / (n['right'] + n['wrong']):.5f} of {n['right'] + n['wrong']:,}",
                n["right"] / (n["right"] + n["wrong"]) >= CLEAN_UP_PRECISION_MIN,
            )
            for tier, n in sure
        ),
        Figure(
            "clean-up: recall of the till's own duplicates",
            "≥ 0.73",
            f"{seen / found['true_pairs']:.3f}, of these {found['found_sure'] / seen:.1%} sure",
            seen / found["true_pairs"] >= CLEAN_UP_RECALL_MIN,
        ),
    ]


def of_crashes(crashes: Measured) -> list[Figure]:
    """Return the figures of backfills that were killed."""
    title = f"kill -9 at {crashes['kills']} random moments of {crashes['worlds']} backfills"
    return [
        _none(f"{title}: of {crashes['rows']:,} rows lost or changed", crashes["lacking"]),
        _none(f"{title}: rows too many", crashes["extra"]),
        _none(f"{title}: differences", crashes["differences"]),
    ]


def of_mistakes(shop: Measured) -> list[Figure]:
    """Return how the command line ends when something is wrong."""
    return [
        *(
            Figure(
                f"{name}: ends with exit status, and what to do in a sentence",
                f"{end['asked']}",
                f"{end['status']}, {end['sentences']} "
                + ("sentence" if end["sentences"] == 1 else "sentences"),
                end["status"] == end["asked"] and end["calm"],
            )
            for name, end in shop["ends"].items()
        ),
        _none("all put right again: exit status of the load", shop["loaded"]),
        _none("all put right again: exit status of certify", shop["certified"]),
    ]


def of_a_day(day: Measured) -> list[Figure]:
    """Return the figures of 24 simulated hours; only the retailer of three stores was promised calls."""
    title = f"24 hours of {day['shops']} stores and {day['sales']:,} sales"
    asked = day["retailer"] == "three" and day["sales"] == 300
    return [
        _day_calls(f"{title}: Salesforce calls", day["crm"], DAY_CRM_CALLS_MAX if asked else None),
        _day_calls(f"{title}: Lightspeed calls", day["till"], DAY_TILL_CALLS_MAX if asked else None),
        _none(f"{title}: 429s", day["limited"]),
        _none(f"{title}: 403s for want of calls", day["refused"]),
        Figure(
            f"{title}: receipts in Salesforce within 2 minutes",
            f"≥ {IN_TIME_SHARE_MIN:.0%}",
            f"{day['in_time']:.1%}, half of them within {_middle(day['delays'], 0.5):.0f} s",
            day["in_time"] >= IN_TIME_SHARE_MIN,
        ),
        *(
            _forecast(
                f"{title}: forecast of {name} calls, of those measured", day["predicted"][side], day[side]
            )
            for side, name in (("till", "Lightspeed"), ("crm", "Salesforce"))
        ),
    ]


def _day_calls(what: str, calls: int, most: int | None) -> Figure:
    if most is None:
        return Figure(what, NOT_ASKED, f"{calls:,}", None)
    return Figure(what, f"≤ {most:,}", f"{calls:,}", calls <= most)


def _forecast(what: str, predicted: float, measured: float) -> Figure:
    off = predicted / measured
    shown = f"{predicted:,.0f} / {measured:,.0f} = {off:.2f}"
    return Figure(what, f"± {FORECAST_OFF_MAX:.0%}", shown, abs(off - 1) <= FORECAST_OFF_MAX)


def of_kills(found: Measured) -> list[Figure]:
    """Return the figures of workers that were killed in the middle of a load."""
    where = "SQLite, restarted" if found["on"] == "sqlite" else "PostgreSQL, two workers"
    title = f"kill -9 of {found['kills']} workers while they load ({where})"
    return [
        Figure(
            f"{title}: somebody goes on, seconds of the clock",
            f"≤ {TAKEN_OVER_SECONDS_MAX:g}",
            f"{max(found['seconds']):.1f} at most, {_middle(sorted(found['seconds']), 0.5):.1f} mostly, "
            f"with a load average of {found['load_average']:.1f}",
            max(found["seconds"]) <= TAKEN_OVER_SECONDS_MAX,
        ),
        _none(f"{title}: rows there twice", found["twice"]),
        _none(f"{title}: differences in {found['receipts']:,} receipts", found["differences"]),
    ]


def of_a_fleet(fleet: Measured) -> list[Figure]:
    """Return the figures of many connections in one process."""
    title = f"{fleet['connections']} connections polled every minute by one process"
    whole = fleet["connections"] >= FLEET_CONNECTIONS
    late = _middle(fleet["delays"], 0.95)
    small = f"needs {FLEET_CONNECTIONS} connections"
    return [
        Figure(
            f"{title}: share of a core ({fleet['slices']:,} slices in {fleet['seconds']:.0f} s)",
            f"< {FLEET_CORE_SHARE_MAX:.0%}" if whole else small,
            f"{fleet['share']:.1%}",
            fleet["share"] < FLEET_CORE_SHARE_MAX if whole else None,
        ),
        Figure(
            f"{title}: memory",
            f"< {FLEET_MEGABYTES_MAX} MB" if whole else small,
            f"{fleet['megabytes']:.0f} MB",
            fleet["megabytes"] < FLEET_MEGABYTES_MAX if whole else None,
        ),
        Figure(
            f"{title}: start delay, 95th of 100",
            f"< {FLEET_DELAY_SECONDS_MAX:g} s" if whole else small,
            f"{late:.1f} s",
            late < FLEET_DELAY_SECONDS_MAX if whole else None,
        ),
    ]


def of_a_backlog(found: Measured) -> list[Figure]:
    """Return how much faster two workers are than one where calls take their time."""
    return [
        Figure(
            f"a backlog of {found['jobs']} jobs of {found['calls']} calls of 200 ms: two workers",
            f"≥ {TWO_WORKERS_MIN:g} {TIMES} as fast as one",
            f"{found['ratio']:.2f} {TIMES} ({found['one']:.1f} s, {found['two']:.1f} s)",
            found["ratio"] >= TWO_WORKERS_MIN,
        )
    ]


def of_wishes(found: Measured) -> list[Figure]:
    """Return how soon forced customers are through while a load runs."""
    title = f"{found['wishes']} forced customers while {found['sales']:,} sales are loaded"
    late = _middle(sorted(found["took"]), 0.95)
    return [
        Figure(
            f"{title}: seconds of the clock, 95th of 100",
            f"< {FORCED_SECONDS_MAX:g}",
            f"{late:.1f}, half of them within {_middle(sorted(found['took']), 0.5):.1f}, "
            f"with a load average of {found['load_average']:.1f}",
            late < FORCED_SECONDS_MAX,
        ),
        _none(f"{title}: begun when the load had ended", found["ended_early"]),
    ]


def of_idling(found: Measured) -> list[Figure]:
    """Return what a service burns while nothing happens."""
    polls = {route: count for route, count in found["routes"].items() if "query" not in route}
    return [
        Figure(
            f"idle service: share of a core ({found['cpu']:.1f} s of CPU in {found['seconds']:.0f} s)",
            f"< {IDLE_CORE_SHARE_MAX:.0%}",
            f"{found['share']:.2%}",
            found["share"] < IDLE_CORE_SHARE_MAX,
        ),
        _none("idle service: Salesforce calls other than who has changed there", sum(polls.values())),
    ]


def _middle(values: list[float], share: float) -> float:
    """Return the value below which that share of sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def _too_small(asked: str | None, size: int) -> str:
    return asked or f"needs {size:,} sales"


def _at_most(what: str, measured: float, most: float, unit: str = "") -> Figure:
    end = f" {unit}" if unit else ""
    shown = f"{measured:.3f}" if unit else f"{measured:g}"
    return Figure(what, f"≤ {most:g}{end}", f"{shown}{end}", measured <= most)


def _at_least(what: str, measured: float, least: float) -> Figure:
    return Figure(what, f"≥ {least:,}", f"{measured:,.0f}", measured >= least)


def _none(what: str, measured: float) -> Figure:
    return Figure(what, "0", f"{measured:g}", measured == 0)

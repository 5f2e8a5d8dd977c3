"""`python -m bench` measures everything at full size, `python -m bench --quick` in little worlds.

Prints one table, at full size also into `bench/results.md`, and ends with 1 when a figure is short.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import promises
from bench.promises import Figure

RESULTS = Path(__file__).with_name("results.md")

MODELS = ("person_account", "contact", "lead")

# A world of so many sales has so many customers.
SALES_PER_CUSTOMER = 2.5


def main() -> int:
    """Measure, print, write down, judge."""
    asked = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    asked.add_argument("--quick", action="store_true", help="little worlds, a minute or so")
    asked.add_argument("--only", choices=sorted(PARTS), action="append", help="this part; may be repeated")
    given = asked.parse_args()
    begun = time.monotonic()
    figures: list[Figure] = []
    notes: list[str] = []
    for name, part in PARTS.items():
        if not given.only or name in given.only:
            found, note = part(given.quick)
            figures += found
            notes += note
    seconds = time.monotonic() - begun
    print(table(figures), *notes, f"\nmeasured in {seconds:.0f} s on {machine()}", sep="\n")
    if not given.quick and not given.only:
        RESULTS.write_text(document(figures, notes, seconds), encoding="utf-8")
    return int(any(figure.met is False for figure in figures))


# --- the parts -----------------------------------------------------------------------------------

Part = tuple[list[Figure], list[str]]


def _histories(quick: bool) -> Part:
    sizes = (1_000, 4_000) if quick else (10_000, 20_000, 50_000, 100_000)
    worlds = [probe("history", sales=size, customers=int(size / SALES_PER_CUSTOMER)) for size in sizes]
    walls = (
        f"{world['sales']:,} sales were loaded in "
        f"{sum(step['wall'] for step in world['steps'].values()):.0f} s of the wall clock, "
        f"simulators included"
        for world in worlds
    )
    return promises.of_histories(worlds), list(walls)


def _live(quick: bool) -> Part:
    sales = 1_000 if quick else 5_000
    shop = probe("live", sales=sales, customers=int(sales / SALES_PER_CUSTOMER), polls=10 if quick else 60)
    return promises.of_a_live_shop(shop), []


def _people(quick: bool) -> Part:
    figures: list[Figure] = []
    for model in MODELS:
        found = probe("people", sales=100, customers=500 if quick else 4_000, model=model)
        figures += promises.of_people(found, model)
    return figures, []


def _tiers(quick: bool) -> Part:
    """Run the bench of the match rules; its own tables follow ours."""
    size = ["--customers", "500" if quick else "4000", "--seeds", "1" if quick else "3"]
    told("match rules against the generator's truth")
    ran = subprocess.run(
        [sys.executable, "-m", "bench.matching", *size], stdout=subprocess.PIPE, text=True, check=False
    )
    right = Figure(
        "match rules: nobody created again, nobody taken for somebody else",
        "holds",
        "holds" if ran.returncode == 0 else "does not hold",
        ran.returncode == 0,
    )
    return [right], ["\nPrecision and recall for each match rule\n", *_indented(ran.stdout)]


def _dedupe(quick: bool) -> Part:
    found = probe("dedupe", customers=10_000 if quick else 200_000)
    tiers = (
        f"{tier}: {n['right']:,} pairs right, {n['wrong']:,} wrong" for tier, n in found["tiers"].items()
    )
    return promises.of_a_clean_up(found), ["\nDuplicates, by tier\n", *(f"  {line}" for line in tiers)]


def _crashes(quick: bool) -> Part:
    kills = 3 if quick else promises.KILLS
    sales = 400 if quick else 1_500
    return promises.of_crashes(probe("crash", sales=sales, customers=sales // 2, kills=kills)), []


def _mistakes(quick: bool) -> Part:
    sales = 100 if quick else 1_000
    return promises.of_mistakes(probe("mistakes", sales=sales, customers=sales // 2)), []


def _days(quick: bool) -> Part:
    size = {"sales_a_day": 30, "days": 8} if quick else {}
    figures: list[Figure] = []
    for retailer in ("three",) if quick else ("three", "small", "busy"):
        figures += promises.of_a_day(probe("day", retailer=retailer, **size))
    return figures, []


def _kills(quick: bool) -> Part:
    figures: list[Figure] = []
    for on in ("sqlite", "postgres"):
        found = probe(
            "kills", on=on, kills=2 if quick else 20, sales=1_500 if quick else 12_000, customers=600
        )
        figures += promises.of_kills(found)
    return figures, []


def _fleets(quick: bool) -> Part:
    size = (
        {"connections": 40, "seconds": 60, "settling": 75} if quick else {"connections": 500, "seconds": 180}
    )
    return promises.of_a_fleet(probe("fleet", **size)), []


def _backlogs(quick: bool) -> Part:
    return promises.of_a_backlog(probe("backlog", connections=100 if quick else 300, calls=5)), []


def _wishes(quick: bool) -> Part:
    sales = 5_000 if quick else 100_000
    found = probe("forced", sales=sales, customers=1_000, wishes=8 if quick else 40)
    return promises.of_wishes(found), []


def _idle(quick: bool) -> Part:
    return promises.of_idling(probe("idle", seconds=60 if quick else 300)), []


PARTS: dict[str, Callable[[bool], Part]] = {
    "history": _histories,
    "live": _live,
    "people": _people,
    "matching": _tiers,
    "dedupe": _dedupe,
    "crash": _crashes,
    "mistakes": _mistakes,
    "day": _days,
    "kills": _kills,
    "fleet": _fleets,
    "backlog": _backlogs,
    "forced": _wishes,
    "idle": _idle,
}


def probe(measurement: str, **arguments: Any) -> dict[str, Any]:
    """Measure one thing in a fresh process, so that CPU and memory are of it alone."""
    told(f"{measurement}: " + ", ".join(f"{name} {value}" for name, value in arguments.items()))
    begun = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "bench.probe", measurement, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told(f"    took {time.monotonic() - begun:.0f} s")
    measured: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return measured


# --- what is shown -------------------------------------------------------------------------------


def table(figures: list[Figure]) -> str:
    """Lay the figures out for a terminal."""
    rows = [("what", "asked", "measured", ""), *_cells(figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(["", lines[0].rstrip(), "-" * len(lines[0]), *(line.rstrip() for line in lines[1:])])


def document(figures: list[Figure], notes: list[str], seconds: float) -> str:
    """Write the figures down for the repository."""
    rows = "\n".join("| " + " | ".join(cells) + " |" for cells in _cells(figures))
    said = "\n".join(notes)
    return f"""\
# What was measured

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, in {seconds / 60:.0f} minutes, on {machine()},
against the shipped simulators in simulated time. Counts and ratios hold anywhere; seconds and CPU
depend on the machine.

| what | asked | measured | |
|---|---|---|---|
{rows}

```text
{said.strip()}
```
"""


def machine() -> str:
    """Say what it was measured on."""
    return f"Python {platform.python_version()} with {os.cpu_count()} cores"


def told(text: str) -> None:
    """Say on stderr how far we are."""
    print(text, file=sys.stderr, flush=True)


def _cells(figures: list[Figure]) -> list[tuple[str, str, str, str]]:
    return [(figure.what, figure.asked, figure.measured, figure.verdict) for figure in figures]


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.splitlines()]


if __name__ == "__main__":
    sys.exit(main())

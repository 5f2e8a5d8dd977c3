"""`make soak`: a shop of three stores for 24 hours of its own time, while everything that can fail does.

The feed hides 5 % of changed sales; 2 % of all requests to either side suffer
each kind of fault. The service polls every minute, as its schedule says, checks
when a check is due and sweeps what is left. At the end the faults stop, one
night's checks and one whole turn of the sweep run, and both sides must agree to
the last field. Ends with 1 if they do not, or if anything was written that had
not changed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from bench.scene import Scene, scene, tell
from tillbridge.engine.backfill import backfill
from tillbridge.engine.certificate import certify
from tillbridge.engine.connection import Connection
from tillbridge.engine.crosscheck import crosscheck, due, run_check
from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import sync
from tillbridge.model.errors import LimitReached, SyncError, Transient
from tillbridge.rehearsal import World

DROP_PERCENT = 5
# Each strikes one request in fifty.
EVERY = 50
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "half_body"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "2"}, "body": "Rate Limit Exceeded"},
    {"kind": "slow", "seconds": 0.2},
)
# A hang lasts as long as our patience, in real time: rarer, or a soak would be nothing else.
HANG: dict[str, Any] = {"kind": "hang", "seconds": 1.0, "every": 500}
LOCKED_PERCENT = 2

OPENS, CLOSES = 9, 18
_MINUTE = 60.0
_REST = timedelta(hours=4).total_seconds()


def main() -> int:
    """Let a day pass, and judge."""
    asked = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    asked.add_argument("--hours", type=int, default=24, help="simulated hours")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--sales", type=int, default=600, help="sales of the history")
    given = asked.parse_args()
    with scene(World(shops=3, customers=300, sales=given.sales, seed=given.seed)) as here:
        backfill(here.connection)
        day = _Day(here, Random(given.seed))
        day.begin_trouble()
        for minute in range(given.hours * 60):
            day.minute()
            if minute % 60 == 59:
                tell(f"hour {minute // 60 + 1}: " + ", ".join(f"{n} {name}" for name, n in day.told.items()))
        struck = day.end_trouble()
        wrong = day.settle()
    lines = [f"{n:>8,}  {name}" for name, n in sorted({**day.told, **struck}.items())]
    print(f"\n{given.hours} simulated hours, seed {given.seed}", *lines, sep="\n")
    print("both sides agree" if not wrong else f"they do not agree: {wrong}")
    return int(bool(wrong))


class _Day:
    """One day of a shop and of the service beside it."""

    def __init__(self, here: Scene, random: Random) -> None:
        self._here = here
        self._random = random
        self._sold: list[int] = []
        self.told: Counter[str] = Counter()

    # --- trouble ----------------------------------------------------------------------------------

    def begin_trouble(self) -> None:
        """From now on the feed hides sales, and requests fail on both sides."""
        till, crm = self._here.rehearsal.till, self._here.rehearsal.crm
        till.control("POST", "switches", {"feed_drop_percent": DROP_PERCENT})
        for simulator in (till, crm):
            for fault in (*({**f, "every": EVERY} for f in FAULTS), HANG):
                simulator.control("POST", "faults", {**fault, "times": None})
        crm.control("POST", "lock", {"percent": LOCKED_PERCENT})

    def end_trouble(self) -> dict[str, int]:
        """Stop it all; return how often each fault has struck."""
        struck: Counter[str] = Counter()
        for simulator in (self._here.rehearsal.till, self._here.rehearsal.crm):
            for fault in simulator.control("GET", "faults"):
                struck[f"faults: {fault['kind']}, {simulator.name}"] += int(fault["hits"])
            simulator.control("DELETE", "faults")
        self._here.rehearsal.crm.control("POST", "lock", {"percent": 0})
        return dict(struck)

    # --- a minute ---------------------------------------------------------------------------------

    def minute(self) -> None:
        """Let a minute pass: the shop does something, or nothing; the service polls and checks."""
        self._here.rehearsal.clock.sleep(_MINUTE)
        if OPENS <= self._here.rehearsal.clock.now().hour < CLOSES:
            self._shop()
        self._run("polls", sync)
        for check in due(self._here.connection):
            found = self._run(f"checks: {check.name}", partial(run_check, check=check))
            self.told["found by checks"] += len(found.missed) if found else 0
        swept = self._run("sweeps", sweep)
        self.told["found by sweeps"] += len(swept.missed) if swept else 0

    def _shop(self) -> None:
        """Do what a minute at three stores brings, one in three of them busy."""
        draw = self._random.random()
        till = self._here.rehearsal.till
        if draw < 0.34:
            rung = till.control("POST", "ring", {"count": self._random.randint(1, 3)})["saleIDs"]
            self._sold += rung
            self.told["sales"] += len(rung)
        elif draw < 0.36 and self._sold:
            self._after_a_sale("void")
        elif draw < 0.38 and self._sold:
            self._after_a_sale("refund")
        elif draw < 0.41:
            self._edit_somebody()

    def _after_a_sale(self, what: str) -> None:
        sale = self._sold.pop(self._random.randrange(len(self._sold)))
        row = self._here.rehearsal.till.control("GET", f"dump?entity=Sale&id={sale}")[0]
        if row["completed"] and not row["voided"] and float(row["calcTotal"]) > 0:
            self._here.rehearsal.till.control("POST", what, {"saleID": sale})
            self.told[f"{what}s"] += 1

    def _edit_somebody(self) -> None:
        till = self._here.rehearsal.till
        rows = till.control("GET", "dump?entity=Customer")
        row = self._random.choice([row for row in rows if not row["archived"]])
        fields = {"lastName": f"Married{self._random.randint(1, 999)}"}
        till.control("POST", "edit", {"entity": "Customer", "id": row["customerID"], "fields": fields})
        self.told["edits of customers"] += 1

    def _run(self, name: str, run: Callable[[Connection], Any]) -> Any:
        """Run as the schedule does: what passes is tried again a minute later, all else ends the soak."""
        self.told[name] += 1
        try:
            return run(self._here.connection)
        except (Transient, LimitReached) as error:
            self.told[f"broken off: {type(error).__name__}"] += 1
            return None

    # --- the end ----------------------------------------------------------------------------------

    def settle(self) -> str:
        """Let a quiet night pass; return what is wrong then."""
        connection, clock = self._here.connection, self._here.rehearsal.clock
        try:
            clock.sleep(_REST)
            sync(connection)
            found = [*crosscheck(connection, nightly=True).values(), sweep(connection, full=True)]
            self.told["found in the last night"] = sum(len(each.missed) for each in found)
            clock.sleep(_REST)
            sync(connection)
            clock.sleep(_REST)
            again = sync(connection)
            certificate = certify(connection, content=True)
        except SyncError as error:
            return f"{type(error).__name__}: {error}"
        keys = Counter(row["Transaction_Key__c"] for row in self._transactions())
        self.told["transactions"] = keys.total()
        wrong = {
            "figures": certificate.differences,
            "receipts": certificate.receipts,
            "keys twice": [key for key, n in keys.items() if n > 1],
            "written again": {name: again[name] for name in ("created", "updated") if again[name]},
            "problems": [problem.message for problem in connection.journal.open_problems()],
        }
        return "; ".join(f"{what}: {value}" for what, value in wrong.items() if value)

    def _transactions(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._here.rehearsal.crm.control("GET", "dump?type=Sales_Transaction__c")
        return rows


if __name__ == "__main__":
    sys.exit(main())

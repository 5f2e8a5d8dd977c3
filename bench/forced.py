"""Somebody in a hurry: how long a forced customer takes while the history of sales is being loaded.

A real `tillbridge serve` over two simulators in real time. Most wishes come while
the load goes as fast as the machine can, without the till's rate limit: then it is
always at its heaviest, preparing and settling waves of 20,000 sales. The last ones
come at the pace that the till allows, when it mostly reads.
"""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.idle import routes, serving
from bench.scene import install, tell
from tillbridge.engine.jobs import Job, Jobs
from tillbridge.rehearsal import Rehearsal, World, rehearse
from tillbridge.store.service import Service, open_service, service_url
from tillbridge.wiring import open_home

_CONNECTION = "default"
_PATIENCE_SECONDS = 60.0
_LOADING_SECONDS_MAX = 300.0

# A wish is made so often: between two of them the load goes on.
_PAUSE_SECONDS = 2.0

# One wish in so many is made at the till's own pace.
_PACED_SHARE = 4


def measure(*, sales: int, customers: int, wishes: int) -> dict[str, Any]:
    """Force so many customers, one after the other, while a load of so many sales runs."""
    world = World(customers=customers, sales=sales, now=datetime.now(UTC).replace(microsecond=0))
    with tempfile.TemporaryDirectory(prefix="tillbridge-bench-") as folder:
        home = Path(folder)
        with rehearse(home, world) as rehearsal:
            parts = open_home(home, clock=rehearsal.clock, history=True)
            install(parts, rehearsal)
            parts.close()
            _pace(rehearsal, on=False)
            with serving(home) as process:
                service = open_service(service_url(home, None))
                try:
                    _wait_loading(service, rehearsal)
                    cpu, begun = process.cpu(), time.monotonic()
                    told = _force(service, rehearsal, wishes)
                    share = (process.cpu() - cpu) / (time.monotonic() - begun)
                    waves = _rows_of_sales(rehearsal)
                finally:
                    service.close()
    return {
        "sales": sales,
        "wishes": wishes,
        "share": share,
        "loaded": waves,
        "load_average": os.getloadavg()[0],
        **told,
    }


def _pace(rehearsal: Rehearsal, *, on: bool) -> None:
    """Let the till hold whoever calls to its rate, or not."""
    rehearsal.till.control("POST", "switches", {"bucket": on, "burst": on})


def _wait_loading(service: Service, rehearsal: Rehearsal) -> None:
    """Let the load begin, and come as far as the sales."""
    until = time.monotonic() + _LOADING_SECONDS_MAX
    while not any(each.kind == "backfill" for each in service.streams()):
        assert time.monotonic() < until
        time.sleep(0.5)
    service.wish(_CONNECTION, "backfill", None, time.time())
    while not any("ingest" in route for route in routes(rehearsal)):
        assert time.monotonic() < until, "the load has not come to its first wave"
        time.sleep(0.2)
    tell("the load has come to its first wave of sales")


def _rows_of_sales(rehearsal: Rehearsal) -> int:
    held = rehearsal.crm.control("GET", "usage")["rows_written"]
    return int(held.get("Sales_Transaction__c", 0))


def _force(service: Service, rehearsal: Rehearsal, wishes: int) -> dict[str, Any]:
    jobs = Jobs(service)
    rows = rehearsal.till.control("GET", "dump?entity=Customer")
    ids = [str(row["customerID"]) for row in rows if not row["archived"]]
    took: list[float] = []
    outcomes: dict[str, int] = {}
    ended_early = 0
    for number in range(wishes):
        if number == wishes - wishes // _PACED_SHARE:
            _pace(rehearsal, on=True)
        ended_early += not _is_loading(service)
        job = Job(
            connection=_CONNECTION,
            kind="force",
            gen=uuid.uuid4().hex[:12],
            wanted={"customer": [ids[number * 7 % len(ids)]]},
        )
        begun = time.monotonic()
        jobs.enqueue(job)
        while (answer := jobs.result(job.id)) is None:
            assert time.monotonic() - begun < _PATIENCE_SECONDS, "a wish was not heard"
            time.sleep(0.02)
        took.append(time.monotonic() - begun)
        outcome = str(answer["outcome"])
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        time.sleep(_PAUSE_SECONDS)
    jobs.stop(0)
    return {"took": took, "outcomes": outcomes, "ended_early": ended_early}


def _is_loading(service: Service) -> bool:
    return any(each.kind == "backfill" and each.queued for each in service.streams(_CONNECTION)) or any(
        each.kind == "backfill" and each.next_due is not None for each in service.streams(_CONNECTION)
    )

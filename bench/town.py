"""A retailer with the service beside it, in time that stands still until somebody lets it pass.

Both simulators run in this process, on real ports. Due times come from the real
dispatcher, slices are done by the real workshop, and only the queue between them
is a list: so a day takes a minute, costs what it costs, and is the same each time.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
import structlog

from bench.scene import deploy, tell, toml_of
from tillbridge import config
from tillbridge.engine.backfill import backfill
from tillbridge.engine.certificate import certify
from tillbridge.engine.jobs import LANES, Job
from tillbridge.engine.schedule import dispatch
from tillbridge.engine.survey import survey
from tillbridge.simulators import lightspeed, salesforce
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Server
from tillbridge.simulators.retailer import Plan
from tillbridge.store.service import open_service, service_url
from tillbridge.sync.forecast import Survey
from tillbridge.turns import Turns
from tillbridge.wiring import Parts, open_home
from tillbridge.work import Workshop, wanted_streams

HOUR = 3_600.0
DAY = 24 * HOUR
CONNECTION = "default"

# The first night of the history. London keeps UTC in November, so hours can be read as they are.
BEGINS = datetime(2026, 11, 1, tzinfo=UTC)
ZONE = "Europe/London"

# One sale in so many is made to somebody whom the till has never seen; one product in so many sales changes.
_SALES_PER_NEWCOMER = 12
_SALES_PER_CHANGED_PRODUCT = 30


@dataclass(frozen=True, slots=True)
class Retailer:
    """How large a retailer is, and when its shops are open."""

    name: str
    shops: int
    sales_a_day: int
    opens: int
    closes: int
    customers: int
    products: int
    days: int  # of history
    seed: int = 1
    toml: str = ""


class SteppedClock:
    """The simulators' clock as ours: whoever waits moves it."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Return the simulated moment."""
        return self._clock.today()

    def monotonic(self) -> float:
        """Return simulated seconds."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Jump ahead."""
        self._clock.advance(max(0.0, seconds))


class _Waiting:
    """A queue whose jobs wait until they are asked for, the most urgent first."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def enqueue(self, job: Job, transaction: sa.Connection | None = None) -> None:
        """Take a job."""
        del transaction
        self.jobs.append(job)

    def take(self) -> list[Job]:
        """Hand all of them out."""
        taken, self.jobs = sorted(self.jobs, key=lambda job: LANES[job.kind][1]), []
        return taken


Event = tuple[float, Callable[[], None]]


@dataclass(slots=True)
class Spent:
    """What a stretch of time has cost, by what it was spent on."""

    till: int = 0
    crm: int = 0
    by_job: dict[str, tuple[int, int, int]] = field(
        default_factory=dict
    )  # slices, calls to the till, the CRM
    outcomes: Counter[str] = field(default_factory=Counter)
    limited: int = 0  # 429s
    refused: int = 0  # 403s for want of calls
    delays: list[float] = field(default_factory=list)  # of receipts, from the till to the CRM
    missing: int = 0  # receipts that never came


class Town:
    """One retailer: till, CRM, home, and a service that is stepped from due time to due time."""

    def __init__(self, home: Path, retailer: Retailer) -> None:
        self.home, self.retailer = home, retailer
        self._random = Random(retailer.seed)
        self.sim_clock = SimClock(BEGINS.timestamp(), running=False)
        self.clock = SteppedClock(self.sim_clock)
        plan = Plan(
            seed=retailer.seed,
            shops=retailer.shops,
            customers=retailer.customers,
            products=retailer.products,
            sales=0,
            end=BEGINS,
        )
        self.till = lightspeed.build(plan, clock=self.sim_clock)
        self.crm = salesforce.build(plan, clock=self.sim_clock)
        for shop in self.till.world["Shop"]:
            self.till.world["Shop"].change(shop, timeZone=ZONE)
        self.sim_clock.set(BEGINS.timestamp())
        self._servers = [Server(self.till).start(), Server(self.crm).start()]
        self._rung: dict[str, float] = {}
        self._newcomers = 0
        till, crm = (server.url for server in self._servers)
        (home / config.FILE_NAME).write_text(toml_of(till, crm, more=retailer.toml), encoding="utf-8")

    def close(self) -> None:
        """Stop both simulators."""
        for server in self._servers:
            server.close()

    @property
    def now(self) -> float:
        """Return the moment."""
        return self.sim_clock.now()

    # --- the shop ------------------------------------------------------------------------------

    def day_of_sales(self, midnight: float) -> list[Event]:
        """Return what happens in the shops on one day, in order of time."""
        shop, chance = self.retailer, self._random
        opened = (shop.closes - shop.opens) * HOUR
        moments = sorted(
            midnight + shop.opens * HOUR + chance.uniform(0, opened) for _ in range(shop.sales_a_day)
        )
        events: list[Event] = []
        for number, at in enumerate(moments):
            if number % _SALES_PER_CHANGED_PRODUCT == 1:
                events.append((at, self._change_product))
            stranger = number % _SALES_PER_NEWCOMER == 1
            events.append((at, self._sell_to_stranger if stranger else self._sell))
        return events

    def _sell(self, **wishes: Any) -> None:
        sales, _ = self.till.floor.ring(1, **wishes)
        for sale in sales:
            if self.till.world["Sale"].rows[sale]["completed"]:
                self._rung[str(sale)] = self.now

    def _sell_to_stranger(self) -> None:
        self._newcomers += 1
        name = f"Stranger{self._newcomers}"
        contact = {"Emails": {"ContactEmail": [{"address": f"{name}@example.com", "useType": "Primary"}]}}
        fields = {"firstName": "Kim", "lastName": name, "Contact": contact}
        row = self.till.floor.add("Customer", fields)
        self._sell(kind="sale", customerID=row["customerID"])

    def _change_product(self) -> None:
        item = self._random.choice(list(self.till.world["Item"].rows))
        self.till.floor.edit("Item", item, {"description": f"Ring {self._random.randint(1, 10**6)}"})

    def live_history(self) -> None:
        """Let all days of the history pass without a service."""
        for number in range(self.retailer.days):
            for at, happens in self.day_of_sales(BEGINS.timestamp() + number * DAY):
                self.sim_clock.set(at)
                happens()
        self.sim_clock.set((BEGINS + timedelta(days=self.retailer.days)).timestamp())
        self._rung.clear()

    # --- the first load ------------------------------------------------------------------------

    def install(self) -> None:
        """Deploy the package, load the history, prove it."""
        with self._opened(history=True) as parts:
            deploy(parts, self.clock)
            connection = parts.connect(fresh=True)
            backfill(connection)
            proven = certify(connection)
            assert not proven.differences, proven.differences[:3]

    def survey(self) -> Survey:
        """Look at both accounts as `forecast` does."""
        with self._opened() as parts:
            hours = parts.config.schedule.opening_hours
            return survey(parts.settings, parts.till, parts.crm, self.clock, parts.progress, hours)

    @contextmanager
    def _opened(self, *, history: bool = False) -> Iterator[Parts]:
        parts = open_home(self.home, clock=self.clock, seed=self.retailer.seed, history=history)
        try:
            yield parts
        finally:
            parts.close()

    # --- what came across ----------------------------------------------------------------------

    def arrived(self) -> dict[str, float]:
        """Return when the CRM has received each sale that was rung up while the service ran."""
        rows = self.crm.org.tables["Sales_Transaction__c"].rows.values()
        found = {row["Transaction_Key__c"].partition("-S")[2]: row["CreatedDate"] for row in rows}
        return {sale: _moment(found[sale]) for sale in self._rung if sale in found}

    def delays(self) -> tuple[list[float], int]:
        """Return the seconds from the till to the CRM, and how many sales have not arrived at all."""
        arrived = self.arrived()
        return [max(0.0, arrived[sale] - self._rung[sale]) for sale in arrived], len(self._rung) - len(
            arrived
        )


def _moment(stamp: str | datetime) -> float:
    return (stamp if isinstance(stamp, datetime) else datetime.fromisoformat(stamp)).timestamp()


class Serving:
    """The service of a town: dispatcher and workshop, stepped by whoever holds it."""

    def __init__(self, town: Town) -> None:
        self._town = town
        # A line for each slice with news would drown what is measured.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        self.service = open_service(service_url(town.home, None))
        self._turns = Turns(self.service, "bench", 30.0)
        self._workshop = Workshop(town.home, self.service, self._turns, town.clock)
        self._queue = _Waiting()
        self.spent = Spent()
        self.service.plan_streams(CONNECTION, wanted_streams(config.load(town.home)), town.now)

    def close(self) -> None:
        """Let everything go."""
        self._workshop.close()
        self._turns.close()
        self.service.close()

    def run(self, until: float, events: Sequence[Event] = ()) -> Spent:
        """Let time pass until a moment, with what happens in the shops meanwhile; return what it cost."""
        town, coming = self._town, deque(events)
        self.spent = Spent()
        before = self._counted()
        while True:
            while coming and coming[0][0] <= town.now:
                coming.popleft()[1]()
            self._work_off()
            step = min(self._next_due(), coming[0][0] if coming else until, until)
            if step >= until:
                break
            # What is due now and could not begin is tried again a second later, as a dispatcher would.
            town.sim_clock.set(max(step, town.now) if step > town.now else town.now + 1.0)
        town.sim_clock.set(max(until, town.now))
        after = self._counted()
        self.spent.till, self.spent.crm, self.spent.limited, self.spent.refused = (
            b - a for a, b in zip(before, after, strict=True)
        )
        self.spent.delays, self.spent.missing = town.delays()
        return self.spent

    def _work_off(self) -> None:
        """Do everything that is due, and what that makes due at once."""
        while dispatch(self.service, self._queue, self._town.now):
            for job in self._queue.take():
                self._do(job)

    def _do(self, job: Job) -> None:
        before = self._counted()
        answer = self._workshop.work(job)
        after = self._counted()
        name = job.name or job.kind
        slices, till, crm = self.spent.by_job.get(name, (0, 0, 0))
        self.spent.by_job[name] = (slices + 1, till + after[0] - before[0], crm + after[1] - before[1])
        self.spent.outcomes[str(answer["outcome"])] += 1

    def _next_due(self) -> float:
        return min(
            (s.next_due for s in self.service.streams() if s.next_due is not None), default=float("inf")
        )

    def _counted(self) -> tuple[int, int, int, int]:
        """Return the calls that both simulators have seen, and how many they have turned away."""
        till, crm = self._town.till.meter.usage, self._town.crm.org.usage
        limited = till.limited.total()
        return till.requests.total() + limited, crm.by_route.total(), limited, crm.refused


@contextmanager
def served(retailer: Retailer) -> Iterator[tuple[Town, Serving]]:
    """Make a retailer whose history is loaded, and its service; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tillbridge-bench-") as folder:
        town = Town(Path(folder), retailer)
        try:
            town.live_history()
            tell(f"{retailer.name}: a history of {len(town.till.world['Sale']):,} sales")
            town.install()
            serving = Serving(town)
            try:
                yield town, serving
            finally:
                serving.close()
        finally:
            town.close()

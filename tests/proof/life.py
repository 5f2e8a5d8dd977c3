"""What can happen to a shop and to us, as a script that a random search can write: names and small numbers.

A number chooses among what is there at that moment (the n-th customer, the n-th
sale), so that every script can be played and every shorter one too. `Life` plays
it with one client that stays open as a service would, and `settle` waits until
everything is quiet and says what is wrong then.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal

from closed import ClosedWorld
from world import JumpClock, key

from tillbridge.engine.backfill import backfill
from tillbridge.engine.certificate import certify
from tillbridge.engine.crosscheck import crosscheck
from tillbridge.engine.sweep import sweep
from tillbridge.engine.sync import sync
from tillbridge.model.errors import LimitReached, Transient
from tillbridge.simulators.httpd import Fault
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.retailer.shopkeeper import KINDS
from tillbridge.simulators.salesforce import oauth

# What ends a run for now; the next one goes on. Any other error is a person's work, and a failure here.
PASSING = (Transient, LimitReached)

FAULTS = {
    "reset before": {"kind": "reset_before"},
    "reset after": {"kind": "reset_after"},
    "half body": {"kind": "half_body"},
    "hang": {"kind": "hang"},
    "hang after": {"kind": "hang_after"},
    "error page": {"kind": "status", "status": 503},
    "gateway": {"kind": "status", "status": 502},
    "too many": {
        "kind": "status",
        "status": 429,
        "headers": {"Retry-After": "2"},
        "body": "Rate Limit Exceeded",
    },
}

# As unsure facts of the till go (fact sheet Lightspeed A12); each world draws its own.
SWITCHES = (
    "updatetime_moves_on_children",
    "updatetime_moves_on_void",
    "updatetime_moves_on_merge",
    "merge_rewrites_sales",
)

_SKEWS = (0, 45, -45, 7_200, -7_200)


class Skewed(JumpClock):
    """Our own clock, which may be wrong."""

    skew = timedelta()

    def now(self):
        return super().now() + self.skew


class Life:
    """One world and the one client that serves it."""

    def __init__(self, world: ClosedWorld) -> None:
        self.world = world
        self.world.clock = Skewed(world.sim_clock)
        self.till = world.till_app.world
        self._open = ExitStack()
        self._connection = None
        self.struck = 0  # how often a fault has struck
        self.errors: list[str] = []  # of runs that were broken off
        self.kills = 0

    def rehearse(self) -> None:
        """End a life in which nothing happened: it must be right."""
        assert not (wrong := self.settle()), wrong

    def begin(self, rules: str) -> None:
        """Say by which rules customers are kept in step."""

    def play(self, script) -> None:
        """Let it all happen, in order."""
        for name, *numbers in script:
            self.world.sim_clock.advance(30)
            getattr(self, f"do_{name}")(*numbers)

    # --- our own runs -----------------------------------------------------------------------------

    def do_sync(self):
        self._run(sync)

    def do_backfill(self):
        self._run(backfill)

    def do_crosscheck(self):
        self._run(crosscheck)

    def do_restart(self):
        self._open.close()
        self._connection = None

    def _run(self, run):
        try:
            return run(self.connection())
        except PASSING as error:
            self.errors.append(f"{run.__name__}: {error}")
            return None

    def connection(self):
        if self._connection is None:
            # As if all of it were news: what a first load leaves out of mails is shown elsewhere.
            self._connection = self._open.enter_context(self.world.connected(history=True))
        return self._connection

    # --- what the shop does -----------------------------------------------------------------------

    def do_ring(self, kind, customer, item):
        wishes = {"kind": KINDS[kind % len(KINDS)]}
        if customer % 3:
            wishes["customerID"] = self._customer(customer)
        try:
            self.world.floor.ring_one(**wishes, shopID=self._nth("Shop", item))
        except LookupError:
            self.world.ring(self._item(item), customer=wishes.get("customerID", 0))

    def do_refund(self, sale):
        if sales := self._sales():
            self._try(self.world.floor.refund, sales[sale % len(sales)])

    def do_void(self, sale):
        if sales := self._sales():
            self._try(self.world.floor.void, sales[sale % len(sales)], "wrong item")

    def do_backdate(self, sale, days):
        if sales := self._sales():
            row = self.till["Sale"].rows[sales[sale % len(sales)]]
            moment = row["completeTime"] - timedelta(days=1 + days % 9)
            self._try(self.world.floor.backdate, row["saleID"], moment)

    def do_new_customer(self, number):
        self.world.customer("Nina", f"Nielsen{number}", email=f"nina{number}@example.com")

    def do_edit_customer(self, customer, number):
        self._try(self.world.edit_customer, self._customer(customer), lastName=f"Newname{number}")

    def do_archive(self, customer):
        self._try(self.world.floor.archive, "Customer", self._customer(customer))

    def do_merge(self, keep, lose):
        self._try(self.world.floor.merge, self._customer(keep), self._customer(lose))

    def do_product(self, item, number):
        self.world.floor.edit("Item", self._item(item), {"description": f"Brooch {number}"})

    def do_stock(self, item, pieces):
        rows = [s for s in self.till["Item"].rows[self._item(item)]["ItemShops"] if s["shopID"]]
        for stock in rows[:1]:
            self.till["ItemShop"].change(stock, qoh=pieces, sellable=pieces, timeStamp=self.till.now())

    def _try(self, act, *arguments, **fields):
        try:
            act(*arguments, **fields)
        except Refused:
            """The till refuses what cannot be done, such as voiding twice."""

    # --- what people do in the CRM ------------------------------------------------------------------

    def do_edit_in_crm(self, person, number):
        people = sorted(self.world.rows(self.world.person_object).values(), key=lambda row: row["Id"])
        if not people:
            return
        field = ("PersonTitle", "Description", "PersonMobilePhone")[number % 3]
        locked, self.world.org.lock_percent = self.world.org.lock_percent, 0  # People press Save again.
        self.world.edit_in_crm(
            people[person % len(people)]["Id"], **{field: f"+1 415 555 01{number % 90 + 10}"}
        )
        self.world.org.lock_percent = locked

    # --- what goes wrong ----------------------------------------------------------------------------

    def do_fault(self, side, kind, every, times):
        faults = (self.world.till_server, self.world.crm_server)[side % 2].faults
        wish = list(FAULTS.values())[kind % len(FAULTS)]
        faults.append(Fault(**wish, every=1 + every % 4, times=1 + times % 16))

    def do_revoke(self):
        oauth.revoke_sessions(self.world.org)

    def do_lock(self, percent):
        self.world.org.lock_percent = percent % 60

    def do_bulk_fails(self, rows):
        self.world.org.switches["bulk_fail_after_rows"] = rows

    def do_skew(self, which):
        self.world.clock.skew = timedelta(seconds=_SKEWS[which % len(_SKEWS)])

    def do_wait(self, minutes):
        self.world.sim_clock.advance(60 * minutes)

    # --- the end --------------------------------------------------------------------------------------

    def settle(self) -> str:
        """End all trouble, let two syncs and the checks run, and say what is wrong then."""
        self._calm()
        connection = self.connection()
        backfill(connection)
        sync(connection)
        self.do_wait(4 * 60)
        crosscheck(connection, nightly=True)
        sweep(connection, full=True)
        sync(connection)
        before = self.world.stamps()
        self.do_wait(4 * 60)
        sync(connection)
        after = self.world.stamps()
        certificate = certify(connection, content=True)
        found = {
            "uncertified": [*certificate.differences, *certificate.receipts],
            "keys twice": self.world.repeated_keys(),
            "lost": self._lost(),
            "written again": [i for i in before.keys() | after.keys() if before.get(i) != after.get(i)],
            "problems": [(p.kind, p.till_id, p.message) for p in connection.journal.open_problems()],
        }
        self._open.close()
        return "; ".join(f"{what}: {value}" for what, value in found.items() if value)

    def _calm(self):
        for server in (self.world.till_server, self.world.crm_server):
            self.struck += sum(fault.hits for fault in server.faults)
            server.faults.clear()
        self.world.org.lock_percent = 0
        self.world.org.switches.pop("bulk_fail_after_rows", None)
        self.world.clock.skew = timedelta()
        self.do_wait(4 * 60)

    def _lost(self):
        """Return completed sales that are not in the CRM with the till's own total."""
        held = self.world.rows("Sales_Transaction__c")
        found = []
        for sale in self.till["Sale"]:
            if sale["completed"] and not sale["voided"]:
                row = held.get(key("sale", sale["saleID"]))
                if row is None or Decimal(str(row["Total__c"])) != sale["calcTotal"]:
                    found.append((sale["saleID"], sale["calcTotal"], row and row["Total__c"]))
        return found

    # --- choosing -------------------------------------------------------------------------------------

    def _nth(self, entity, number):
        ids = sorted(self.till[entity].rows)
        return ids[number % len(ids)]

    def _customer(self, number):
        return self._nth("Customer", number)

    def _item(self, number):
        return self._nth("Item", number)

    def _sales(self):
        return [i for i, s in self.till["Sale"].rows.items() if s["completed"] and s["calcTotal"] > 0]

"""A small world for stories: both simulators on real ports in this process, one clock, a home directory.

Every run opens the home anew, as a process of its own would. The clock stands
still until somebody waits or `pass_time` is called, so nothing here sleeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from tillbridge.connectors.salesforce import metadata
from tillbridge.engine.backfill import backfill
from tillbridge.engine.certificate import certify
from tillbridge.engine.sync import force, sync
from tillbridge.secrets import open_vault
from tillbridge.simulators import lightspeed, salesforce
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Fault, Server
from tillbridge.store.journal import Journal
from tillbridge.store.state import State
from tillbridge.wiring import open_home, open_state

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
ACCOUNT = "190001"
KEYS = {
    "Account": "Lightspeed_Customer_Key__c",
    "Contact": "Lightspeed_Customer_Key__c",
    "Lead": "Lightspeed_Customer_Key__c",
    "Product2": "Lightspeed_Item_Key__c",
    "Retail_Store__c": "Store_Key__c",
    "Retail_Employee__c": "Employee_Key__c",
    "Customer_Identity__c": "Identity_Key__c",
    "Sales_Transaction__c": "Transaction_Key__c",
    "Sales_Transaction_Line__c": "Line_Key__c",
    "Sales_Payment__c": "Payment_Key__c",
    "Inventory_Level__c": "Inventory_Key__c",
}
LETTERS = {"store": "H", "employee": "E", "item": "I", "customer": "C", "sale": "S", "line": "L"}


# What a poll without news spends in the CRM: the question who has changed there.
QUIET = 1

# What most stories take as said: a person has agreed to changes. Those about asking say otherwise.
ALLOWED = 'first_till_write = "allow"\nfirst_crm_update = "allow"\nchanged_from = 1000'


def key(kind: str, till_id: object) -> str:
    return f"{ACCOUNT}-{LETTERS[kind]}{till_id}"


@cache
def package(persons: bool) -> bytes:
    return metadata.build_zip(metadata.package_folder(), person_accounts=persons)


class JumpClock:
    """Whoever waits moves the simulators' clock."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.today()

    def monotonic(self) -> float:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        self._clock.advance(max(0.0, seconds))


class World:
    """Till, CRM and home. `calls` holds what the last run spent: till, CRM."""

    def __init__(
        self,
        home,
        *,
        plan=None,
        model="person_account",
        toml="",
        till=None,
        crm=None,
        database=None,
        clock=None,
    ):
        self.home = home
        self.database = database  # the address of one, or nothing: a file in the home
        self.model = model
        self.sim_clock = clock or SimClock(NOW.timestamp(), running=False)
        self.clock = JumpClock(self.sim_clock)
        self.till_app = lightspeed.build(plan, clock=self.sim_clock, switches=till)
        wishes = {"person_accounts": model == "person_account", **(crm or {})}
        self.crm_app = salesforce.build(plan, clock=self.sim_clock, switches=wishes)
        self.has_persons = wishes["person_accounts"]
        self.sim_clock.set(NOW.timestamp())
        self.org = self.crm_app.org
        self.floor = self.till_app.floor
        self.till_server = self.serve(self.till_app)
        self.crm_server = self.serve(self.crm_app)
        self.calls = (0, 0)
        self.configure(toml)

    def serve(self, app):
        """Put a simulator on a port."""
        return Server(app).start()

    def way(self):
        """Return the way to both simulators; None is the network."""
        return

    def close(self):
        self.till_server.close()
        self.crm_server.close()

    # --- configuration and runs ---------------------------------------------------------------

    def configure(self, toml="", customers="", sales="", safety=ALLOWED):
        # Whoever comes after a killed run waits until its lease has run out.
        url = f'database_url = "{self.database}"\ndead_after_seconds = 1'
        service = f"[service]\n{url}" if self.database else ""
        (self.home / "tillbridge.toml").write_text(
            f"""\
[lightspeed]
account_id = "{ACCOUNT}"
client_id = "demo-client"
client_secret = "demo-secret"
refresh_token = "demo-refresh"
api_url = "{self.till_server.url}"
auth_url = "{self.till_server.url}"

[salesforce]
login_url = "{self.crm_server.url}"
auth = "client_credentials"
client_id = "demo-consumer"
client_secret = "demo-consumer-secret"

[customers]
model = "{self.model}"
{customers}

[sales]
{sales}

[safety]
{safety}

{service}

{toml}
""",
            encoding="utf-8",
        )

    @contextmanager
    def opened(self, *, history=False) -> Iterator[Any]:
        parts = open_home(self.home, clock=self.clock, seed=1, history=history, http=self.way())
        try:
            yield parts
        finally:
            self.calls = (parts.till.calls, parts.crm.calls)
            parts.till.close()
            parts.state.close()

    @contextmanager
    def connected(self, *, history=False, fresh=False) -> Iterator[Any]:
        with self.opened(history=history) as parts:
            yield parts.connect(fresh=fresh)

    def install(self):
        with self.opened() as parts:
            job = parts.crm.deploy(package(self.has_persons), check_only=False)
            while not (status := parts.crm.deploy_status(job)).done:
                self.pass_time(seconds=5)
            assert status.success, status.failures
            parts.crm.assign_permission_set("Tillbridge_Integration")
        return self

    def backfill(self):
        with self.connected(history=True) as connection:
            return backfill(connection)

    def sync(self):
        with self.connected() as connection:
            return sync(connection)

    def force(self, **ids):
        with self.connected() as connection:
            return force(connection, **{kind: [str(i) for i in wanted] for kind, wanted in ids.items()})

    def certify(self):
        with self.connected() as connection:
            return certify(connection)

    def differences(self):
        return self.certify().differences

    def pass_time(self, **delta):
        self.sim_clock.advance(timedelta(**delta).total_seconds())

    def wait_until(self, moment):
        """Let time pass until a moment, given as ISO text."""
        self.sim_clock.set(datetime.fromisoformat(moment).timestamp())

    # --- what we remember ---------------------------------------------------------------------

    @contextmanager
    def remembered(self) -> Iterator[State]:
        state = open_state(self.home, self.clock)
        try:
            yield state
        finally:
            state.close()

    def all_known(self, kind, till_ids):
        with self.remembered() as state:
            return state.known(kind, [str(i) for i in till_ids])

    def known(self, kind, till_id):
        return self.all_known(kind, [till_id]).get(str(till_id))

    def standing(self, kind, till_id):
        known = self.known(kind, till_id)
        return None if known is None else known.state

    def why(self, kind, till_id):
        return self.known(kind, till_id).reason

    def states(self):
        with self.remembered() as state:
            return state.count_states()

    def problems(self):
        with self.remembered() as state:
            return Journal(state, open_vault(self.home)).open_problems()

    # --- the till's staff -----------------------------------------------------------------------

    def shop(self, name, zone, **fields):
        shop = self.floor.add(
            "Shop", {"name": name, "timeZone": zone, "taxCategoryID": 1, "contactID": 0, **fields}
        )
        self.floor.add("Register", {"name": f"{name} 1", "open": True, "shopID": shop["shopID"]})
        return shop["shopID"]

    def employee(self, first, last):
        return self.floor.add("Employee", {"firstName": first, "lastName": last})["employeeID"]

    def item(self, description="Ring", price="100", **fields):
        prices = {"ItemPrice": [{"amount": price, "useType": "Default"}]}
        return self.floor.add("Item", {"description": description, "Prices": prices, **fields})["itemID"]

    def customer(self, first="", last="", *, email="", mobile="", **fields):
        """Enter a customer; more than names, mail and mobile goes into `fields` as the till names it."""
        contact = contact_of(email=email, mobile=mobile, address=fields.pop("address", None))
        names = {"firstName": first, "lastName": last}
        return self.floor.add("Customer", {**names, "Contact": contact, **fields})["customerID"]

    def edit_customer(self, customer_id, *, email=None, mobile=None, address=None, **fields):
        contact = contact_of(email=email, mobile=mobile, address=address)
        changes = {**fields, **({"Contact": contact} if contact else {})}
        self.floor.edit("Customer", customer_id, changes)

    def ring(self, *lines, customer=0, **wishes):
        """Ring up a sale; each line is an item's id or (id, quantity, price)."""
        items = [line if isinstance(line, tuple) else (line, 1, None) for line in lines]
        given = {"lines": items} if items else {}
        return self.floor.ring_one(customerID=customer, **given, **wishes)["saleID"]

    def till_row(self, entity, row_id):
        return self.till_app.world[entity].rows[row_id]

    # --- the CRM's people -----------------------------------------------------------------------

    def rows(self, name):
        """Return an object's rows by our key; rows without one are left out."""
        field = KEYS[name]
        table = self.org.tables.get(name)
        return {row[field]: row for row in table.rows.values() if row.get(field)} if table else {}

    def all_rows(self, name):
        return list(self.org.tables[name].rows.values())

    def row(self, name, row_key):
        return self.rows(name)[row_key]

    def sale_row(self, sale_id):
        return self.row("Sales_Transaction__c", key("sale", sale_id))

    def lines_of(self, sale_id):
        return self._details("Sales_Transaction_Line__c", sale_id)

    def payments_of(self, sale_id):
        return self._details("Sales_Payment__c", sale_id)

    def _details(self, name, sale_id):
        parent = self.sale_row(sale_id)["Id"]
        return [row for _, row in sorted(self.rows(name).items()) if row["Sales_Transaction__c"] == parent]

    def in_crm(self, name, **fields):
        """Somebody of the org enters a record."""
        result = self.org.write(
            self.org.staff, name, "insert", fields, auto_assign=False, allow_duplicates=True
        )
        assert result.success, result.errors
        return result.id

    def person(self, first, last, **fields):
        """Somebody of the org enters a person, in the model's object."""
        if self.model == "person_account":
            named = {
                "PersonEmail": fields.pop("email", None),
                "PersonMobilePhone": fields.pop("mobile", None),
            }
            return self.in_crm("Account", FirstName=first, LastName=last, **_some(named), **fields)
        named = {"Email": fields.pop("email", None), "MobilePhone": fields.pop("mobile", None)}
        more = {"Company": f"{first} {last}"} if self.model == "lead" else {}
        return self.in_crm(
            self.person_object, FirstName=first, LastName=last, **more, **_some(named), **fields
        )

    @property
    def person_object(self):
        return {"person_account": "Account", "contact": "Contact", "lead": "Lead"}[self.model]

    def edit_in_crm(self, crm_id, **fields):
        self.pass_time(seconds=1)
        table, _ = self.org.row(crm_id)
        result = self.org.write(
            self.org.staff,
            table.sobject.name,
            "update",
            {**fields, "Id": crm_id},
            auto_assign=False,
            allow_duplicates=True,
        )
        assert result.success, result.errors

    def crm_row(self, crm_id):
        return self.org.row(crm_id)[1]

    # --- what goes wrong ------------------------------------------------------------------------

    def fail_till(self, kind, match="", **more):
        self.till_server.faults.append(Fault(kind, match, **more))

    def fail_crm(self, kind, match="", **more):
        self.crm_server.faults.append(Fault(kind, match, **more))

    def suffered(self):
        """Count how often each side's faults have struck."""
        return tuple(sum(f.hits for f in server.faults) for server in (self.till_server, self.crm_server))

    def refuse(self, name, field, bad, message="not in this shop", **more):
        """Let an admin write a validation rule."""
        self.org.validations.append(
            {"type": name, "field": field, "bad": bad, "message": message, "on_field": True, **more}
        )


def contact_of(*, email=None, mobile=None, address=None):
    contact = {}
    if email:
        contact["Emails"] = {"ContactEmail": [{"address": email, "useType": "Primary"}]}
    if mobile:
        contact["Phones"] = {"ContactPhone": [{"number": mobile, "useType": "Mobile"}]}
    if address:
        contact["Addresses"] = {"ContactAddress": [address]}
    return contact


def _some(fields):
    return {name: value for name, value in fields.items() if value}

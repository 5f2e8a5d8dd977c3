"""A real client against the whole simulated org over HTTP: simple-salesforce creates, queries and upserts.

Bulk has its own file. simple-salesforce speaks https whatever the instance URL says (fact sheet trap 28), so
an adapter sends what it asks for to the simulator's plain port.
"""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from salesforce_org import furnish
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Server
from tillbridge.simulators.retailer import Plan
from tillbridge.simulators.salesforce import build, oauth

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Plain(HTTPAdapter):
    """Sends https requests to a plain port."""

    def send(self, request, **more):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **more)


class World:
    """An org on a port, and a client that is logged in."""

    def __init__(self):
        self.app = build(None, clock=SimClock(NOON.timestamp(), running=False), switches={"page_size": 250})
        self.org = self.app.org
        self.user = furnish(self.org)
        self.server = Server(self.app).start()
        session = requests.Session()
        session.mount("https://127.0.0.1", Plain())
        token = oauth.login(self.org, self.user.username)
        instance = urlsplit(self.server.url).netloc
        self.sf = Salesforce(instance=instance, session_id=token, version="67.0", session=session)
        self.session = session

    def close(self):
        self.session.close()
        self.server.close()


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


def test_it_creates_reads_changes_and_deletes(world):
    made = world.sf.Account.create({"Name": "Acme", "BillingCity": "Utrecht"})
    assert made["success"]
    assert 204 == world.sf.Account.update(made["id"], {"Name": "Acme Inc"})
    row = world.sf.Account.get(made["id"])
    assert ("Acme Inc", "Utrecht") == (row["Name"], row["BillingAddress"]["city"])
    assert 204 == world.sf.Account.delete(made["id"])
    with pytest.raises(SalesforceResourceNotFound):
        world.sf.Account.get(made["id"])


def test_it_reads_what_was_refused(world):
    with pytest.raises(SalesforceMalformedRequest) as refused:
        world.sf.Contact.create({"FirstName": "Ann"})
    assert "REQUIRED_FIELD_MISSING" == refused.value.content[0]["errorCode"]


def test_it_queries_page_after_page(world):
    for i in range(600):
        world.org.write(world.user, "Sale__c", "insert", {"Sale_Key__c": f"{i:03d}"})
    first = world.sf.query("SELECT Id, Sale_Key__c FROM Sale__c ORDER BY Sale_Key__c")
    assert (600, False, 250) == (first["totalSize"], first["done"], len(first["records"]))
    more = world.sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert "250" == more["records"][0]["Sale_Key__c"]
    rows = world.sf.query_all_iter("SELECT Sale_Key__c FROM Sale__c ORDER BY Sale_Key__c")
    assert [f"{i:03d}" for i in range(600)] == [row["Sale_Key__c"] for row in rows]
    assert {"api_usage"} <= {name.replace("-", "_") for name in world.sf.api_usage}


def test_it_counts_and_adds_up(world):
    for total in (0.1, 0.2):
        world.org.write(world.user, "Sale__c", "insert", {"Total__c": total})
    assert 2 == world.sf.query("SELECT COUNT() FROM Sale__c")["totalSize"]
    assert 0.3 == world.sf.query("SELECT SUM(Total__c) s FROM Sale__c")["records"][0]["s"]


def test_it_upserts_by_key(world):
    assert 201 == world.sf.Store__c.upsert("Store_Key__c/S1", {"Name": "One"})
    assert 200 == world.sf.Store__c.upsert("Store_Key__c/S1", {"Name": "Two"})
    row = world.sf.Store__c.get_by_custom_id("Store_Key__c", "S1")
    assert "Two" == row["Name"]


def test_it_meets_a_key_that_several_hold(world):
    for _ in range(2):
        world.sf.Store__c.create({"Loose_Key__c": "L"})
    with pytest.raises(SalesforceMoreThanOneRecord):
        world.sf.Store__c.upsert("Loose_Key__c/L", {"Name": "x"})


def test_it_writes_collections(world):
    records = [{"attributes": {"type": "Store__c"}, "Store_Key__c": f"S{i}"} for i in range(200)]
    path = "composite/sobjects/Store__c/Store_Key__c"
    answer = world.sf.restful(path, method="PATCH", json={"allOrNone": False, "records": records})
    assert 200 == sum(row["created"] for row in answer)


def test_it_sends_composites(world):
    base = "/services/data/v67.0/sobjects"
    parts = [
        {
            "method": "POST",
            "url": f"{base}/Account",
            "referenceId": "a",
            "body": {"Name": "A"},
        },
        {
            "method": "POST",
            "url": f"{base}/Contact",
            "referenceId": "c",
            "body": {"LastName": "Lee", "AccountId": "@{a.id}"},
        },
    ]
    answer = world.sf.restful("composite", method="POST", json={"compositeRequest": parts})
    assert [201, 201] == [part["httpStatusCode"] for part in answer["compositeResponse"]]


def test_it_describes_and_reads_limits(world):
    fields = {field["name"]: field for field in world.sf.Sale__c.describe()["fields"]}
    assert fields["Sale_Key__c"]["externalId"]
    assert "Secret__c" not in fields
    assert 105_000 == world.sf.limits()["DailyApiRequests"]["Max"]


def test_it_notices_a_session_that_ended(world):
    oauth.revoke_sessions(world.org)
    with pytest.raises(SalesforceExpiredSession):
        world.sf.query("SELECT Id FROM Account")


@pytest.mark.parametrize("model", ["person_account", "contact", "lead"])
def test_an_org_is_built_with_what_a_retailer_s_crm_held(model):
    plan = Plan(customers=120, sales=50, crm_model=model)
    org = build(plan, clock=SimClock(plan.end.timestamp(), running=False)).org
    counts = {
        name: len(org.rows(name)) for name in ("Account", "Contact", "Lead", "Product2", "PricebookEntry")
    }
    assert min(counts.values()) > 0
    persons = [row for row in org.rows("Account").values() if row.get("IsPersonAccount")]
    assert (model == "person_account") == bool(persons)
    assert set(org.refs.values()) >= set(org.rows("Product2"))
    assert (0, 0) == (org.automation["mails"], org.automation["tasks"])

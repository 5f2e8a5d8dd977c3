"""A real client against the simulator's doors: simple-salesforce signs in and moves rows by Bulk API 2.0.

simple-salesforce speaks https only (fact sheet trap 28), so an adapter sends whatever it asks for to the
simulator's plain port.
"""

import csv
import io
import time
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from salesforce_doors import meta, package, zipped
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceOperationError
from simple_salesforce.login import SalesforceLogin

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Response, Server
from tillbridge.simulators.salesforce import bulk, deploy, oauth
from tillbridge.simulators.salesforce.org import Org

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
STORE = """
<label>Store</label><pluralLabel>Stores</pluralLabel><sharingModel>ReadWrite</sharingModel>
<deploymentStatus>Deployed</deploymentStatus><nameField><label>Name</label><type>Text</type></nameField>
<fields><fullName>Store_Key__c</fullName><label>Key</label><type>Text</type><length>40</length>
<externalId>true</externalId><unique>true</unique><caseSensitive>true</caseSensitive></fields>
"""


class Doors:
    """The two doors of the org and nothing else."""

    def __init__(self):
        # The client signs its assertion with the machine's time.
        self.clock = SimClock(time.time())
        self.org = Org(self.clock)
        content = zipped(
            {
                "package.xml": package(CustomObject=["*"]),
                "objects/Store__c.object": meta("CustomObject", STORE),
            }
        )
        assert [] == deploy.install(self.org, content)
        self.org.add_user("sync@shop.example", "Sync User", sees_everything=True)
        oauth.register(self.org, oauth.Client("3MVG9app", "s3cret", PUBLIC, run_as="sync@shop.example"))

    def handle(self, request):
        if answer := oauth.handle(self.org, request):
            return answer
        user = oauth.authenticate(self.org, request)
        return user if isinstance(user, Response) else bulk.handle(self.org, user, request)

    def control(self, request):
        return Response(404)


class ToLoopback(HTTPAdapter):
    """Sends https requests, whatever their host, to a plain-http port."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def send(self, request, **more):
        parts = urlsplit(request.url)
        request.url = self.url + parts.path + (f"?{parts.query}" if parts.query else "")
        return super().send(request, **more)


@pytest.fixture
def doors():
    return Doors()


@pytest.fixture
def session(doors):
    server = Server(doors).start()
    with requests.Session() as made:
        made.mount("https://", ToLoopback(server.url))
        yield made
    server.close()


@pytest.fixture
def sf(doors, session):
    token = oauth.login(doors.org, "sync@shop.example")
    return Salesforce(
        instance_url="https://shop.my.salesforce.com", session_id=token, session=session, version="67.0"
    )


def stores(doors):
    return {row["Store_Key__c"]: row["Name"] for row in doors.org.rows("Store__c").values()}


# --- §1.2 ---


def test_it_signs_in_by_jwt(session):
    token, instance = SalesforceLogin(
        username="sync@shop.example", consumer_key="3MVG9app", privatekey=PRIVATE, session=session
    )
    assert ("!" in token, "127.0.0.1") == (True, instance.partition(":")[0])


def test_it_signs_in_by_client_credentials(session):
    token, _ = SalesforceLogin(
        consumer_key="3MVG9app", consumer_secret="s3cret", domain="shop.my", session=session
    )
    assert "!" in token


def test_it_understands_a_refusal(session):
    refused = pytest.raises(SalesforceAuthenticationFailed, match="user hasn't approved this consumer")
    with pytest.warns(UserWarning, match="authorize this"), refused:
        SalesforceLogin(
            username="nobody@shop.example", consumer_key="3MVG9app", privatekey=PRIVATE, session=session
        )


# --- §3 ---


def test_it_upserts_updates_and_deletes(doors, sf):
    records = [{"Store_Key__c": f"H{i}", "Name": f"Shop {i}"} for i in range(3)]
    told = sf.bulk2.Store__c.upsert(records=records, external_id_field="Store_Key__c", wait=0)
    assert [(3, 0, 3)] == [
        (t["numberRecordsProcessed"], t["numberRecordsFailed"], t["numberRecordsTotal"]) for t in told
    ]
    ids = {row["Store_Key__c"]: row["Id"] for row in doors.org.rows("Store__c").values()}
    sf.bulk2.Store__c.update(records=[{"Id": ids["H0"], "Name": "Harbour"}], wait=0)
    sf.bulk2.Store__c.delete(records=[{"Id": ids["H2"]}], wait=0)
    assert {"H0": "Harbour", "H1": "Shop 1"} == stores(doors)


def test_it_reads_what_became_of_each_row(doors, sf):
    records = [{"Store_Key__c": "H1", "Name": "One"}, {"Store_Key__c": "x" * 41, "Name": "Two"}]
    (told,) = sf.bulk2.Store__c.insert(records=records, wait=0)
    found = sf.bulk2.Store__c.get_all_ingest_records(told["job_id"])
    assert ["H1"] == [row["Store_Key__c"] for row in found["successfulRecords"]]
    assert found["failedRecords"][0]["sf__Error"].startswith("STRING_TOO_LONG:")
    assert [] == found["unprocessedRecords"]


def test_it_reports_a_failed_job(sf):
    with pytest.raises(SalesforceOperationError, match="Field name not found : Gone__c"):
        sf.bulk2.Store__c.insert(records=[{"Gone__c": "x"}], wait=0)


def test_it_pages_through_a_query(doors, sf):
    sf.bulk2.Store__c.insert(records=[{"Store_Key__c": f"H{i}", "Name": "Shop"} for i in range(5)], wait=0)
    pages = list(sf.bulk2.Store__c.query("SELECT Store_Key__c FROM Store__c", max_records=2, wait=0))
    found = {row["Store_Key__c"] for page in pages for row in csv.DictReader(io.StringIO(page))}
    assert (3, {f"H{i}" for i in range(5)}) == (len(pages), found)

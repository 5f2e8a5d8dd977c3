"""Our client against the simulated org, over real HTTP, with what goes wrong on the way."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from threading import Lock

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tillbridge.connectors.http import Http
from tillbridge.connectors.salesforce import Credentials, SalesforceClient, metadata
from tillbridge.connectors.salesforce.retry import RetryPolicy
from tillbridge.model.acks import Refused, Written
from tillbridge.model.errors import (
    BadRequest,
    CredentialsRefused,
    LimitReached,
    PermissionMissing,
    Transient,
)
from tillbridge.model.writing import KeyRef, Slot
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Fault, Server
from tillbridge.simulators.salesforce import build, oauth

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
PACKAGE = metadata.build_zip(metadata.package_folder(), person_accounts=True)
SECRET = {
    "grant": "client_credentials",
    "client_id": "demo-consumer",
    "client_secret": "demo-consumer-secret",
}


class World:
    """A simulated org with its server, and a client whose waiting moves the org's clock."""

    def __init__(self, **switches):
        self.clock = SimClock(NOON.timestamp(), running=False)
        self.app = build(
            None,
            clock=self.clock,
            switches={"person_accounts": True, **switches},
            public_key_pem=PUBLIC.decode(),
        )
        self.org = self.app.org
        self.server = Server(self.app).start()
        self.http = Http()
        self.crm = self.client()

    def client(self, **settings):
        more = {
            name: settings.pop(name)
            for name in list(settings)
            if name in {"history", "retry", "allow_duplicates", "token_store"}
        }
        credentials = Credentials(**{**SECRET, "login_url": self.server.url, **settings})
        return SalesforceClient(self.http, credentials, clock=self, rng=Random(1), **more)

    def now(self):
        return self.clock.today()

    def monotonic(self):
        return self.clock.now()

    def sleep(self, seconds):
        self.clock.advance(seconds)

    def fault(self, kind, match, **more):
        self.server.faults.append(Fault(kind, match, **more))

    def install(self):
        self.until_deployed(self.crm.deploy(PACKAGE, check_only=False))
        self.crm.assign_permission_set("Tillbridge_Integration")

    def until_deployed(self, deployment):
        while not (status := self.crm.deploy_status(deployment)).done:
            self.clock.advance(5)
        return status

    def until_done(self, job_id):
        while (job := self.crm.bulk_status(job_id)).state in {"open", "working"}:
            self.clock.advance(5)
        return job

    def load(self, rows, columns=("Transaction_Key__c", "Total__c")):
        job_id = self.crm.bulk_open("Sales_Transaction__c", "upsert", "Transaction_Key__c")
        self.crm.bulk_upload(job_id, columns, rows)
        self.crm.bulk_close(job_id)
        return self.until_done(job_id)

    def close(self):
        self.http.close()
        self.server.close()


@pytest.fixture
def bare():
    made = World()
    yield made
    made.close()


@pytest.fixture
def world(bare):
    bare.install()
    return bare


def sales(*numbers, **more):
    rows = [{"Transaction_Key__c": f"1-S{n}", "Total__c": Decimal("12.50"), **more} for n in numbers]
    return Slot("upsert", "Sales_Transaction__c", rows, "Transaction_Key__c")


STORE = Slot("upsert", "Retail_Store__c", [{"Store_Key__c": "1-H1", "Name": "Main"}], "Store_Key__c")


def count(world, name="Sales_Transaction__c"):
    return len(world.org.tables[name].rows)


# -- logging in -----------------------------------------------------------------


def test_each_grant_logs_in_to_the_same_org(bare):
    refresh = oauth.grant(bare.org, "demo-consumer", "integration@demo.example")
    clients = [
        bare.crm,
        bare.client(grant="jwt", username="integration@demo.example", private_key=PRIVATE.decode()),
        bare.client(grant="refresh_token", refresh_token=refresh),
    ]

    assert {bare.org.id} == {crm.org().id for crm in clients}
    assert {"68.0"} == {crm.versions()[-1] for crm in clients}


class SharedStore:
    """A token store that two processes share; `lock` really holds the other one off."""

    def __init__(self):
        self.token = None
        self._lock = Lock()

    def load(self):
        return self.token

    def save(self, refresh_token):
        self.token = refresh_token

    def lock(self):
        return self._lock


def test_two_processes_that_rotate_one_refresh_token_never_lock_each_other_out(bare):
    oauth.state(bare.org).clients["demo-consumer"].rotation = True
    refresh = oauth.grant(bare.org, "demo-consumer", "integration@demo.example")
    store = SharedStore()
    clients = [bare.client(grant="refresh_token", refresh_token=refresh, token_store=store) for _ in range(4)]

    for _ in range(5):
        oauth.revoke_sessions(bare.org)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda crm: crm.limits(), clients))

    assert store.token not in {None, refresh}
    assert [5] * 4 == [crm.logins for crm in clients]


def test_a_wrong_secret_is_refused_with_a_cure(bare):
    with pytest.raises(CredentialsRefused, match="client_secret"):
        bare.client(client_secret="wrong").org()


def test_an_unknown_user_is_refused(bare):
    with pytest.raises(CredentialsRefused):
        bare.client(grant="jwt", username="nobody@demo.example", private_key=PRIVATE.decode()).org()


def test_a_clock_that_is_wrong_does_not_lock_us_out(bare):
    class Slow:
        now = staticmethod(lambda: datetime(2026, 11, 21, 11, 30, tzinfo=UTC))
        monotonic = staticmethod(lambda: 0.0)
        sleep = bare.sleep

    credentials = Credentials(
        "jwt",
        bare.server.url,
        "demo-consumer",
        username="integration@demo.example",
        private_key=PRIVATE.decode(),
    )

    assert bare.org.id == SalesforceClient(bare.http, credentials, clock=Slow()).org().id


def test_sessions_that_end_while_threads_work_cost_one_login(world):
    world.crm.write([sales(1)])
    logins = world.crm.logins
    oauth.revoke_sessions(world.org)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: world.crm.write([sales(n)]), range(2, 18)))

    assert 17 == count(world)
    assert logins + 1 == world.crm.logins


# -- set-up ------------------------------------------------------------------------


def test_the_package_is_tried_and_installed(bare):
    tried = bare.until_deployed(bare.crm.deploy(PACKAGE, check_only=True))
    assert tried.success
    assert bare.crm.describe("Sales_Transaction__c") is None

    done = bare.until_deployed(bare.crm.deploy(PACKAGE, check_only=False))
    assert done.success
    assert bare.crm.assign_permission_set("Tillbridge_Integration")
    assert not bare.crm.assign_permission_set("Tillbridge_Integration")

    facts = bare.crm.describe("Sales_Transaction__c")
    assert facts.fields["Transaction_Key__c"].external_id
    assert facts.fields["Transaction_Key__c"].unique
    assert facts.fields["Transaction_Key__c"].case_sensitive
    assert "Store__r" == facts.fields["Store__c"].relationship
    assert "IsPersonAccount" in bare.crm.describe("Account").fields


def test_without_its_permission_set_the_package_is_invisible(bare):
    bare.until_deployed(bare.crm.deploy(PACKAGE, check_only=False))

    with pytest.raises(BadRequest, match="schema deploy"):
        list(bare.crm.query("SELECT Id FROM Sales_Transaction__c"))


# -- writing ------------------------------------------------------------------------


def test_parents_and_children_land_in_one_call(world):
    before = world.crm.calls
    line = {
        "Line_Key__c": "1-L1",
        "Quantity__c": Decimal(1),
        "Sales_Transaction__c": KeyRef("Sales_Transaction__r", "Transaction_Key__c", "1-S1"),
    }
    store = KeyRef("Store__r", "Store_Key__c", "1-H1")

    acks = world.crm.write(
        [
            STORE,
            sales(1, Store__c=store, Completed_At__c=NOON, Business_Date__c=date(2026, 11, 21)),
            Slot("upsert", "Sales_Transaction_Line__c", [line], "Line_Key__c"),
        ]
    )

    assert [[True], [True], [True]] == [[ack.created for ack in slot] for slot in acks]
    assert before + 1 == world.crm.calls
    [[row]] = world.crm.query(
        "SELECT Total__c, Store__r.Name, Business_Date__c, Completed_At__c FROM Sales_Transaction__c"
    )
    assert {
        "Total__c": Decimal("12.50"),
        "Store__r.Name": "Main",
        "Business_Date__c": "2026-11-21",
        "Completed_At__c": "2026-11-21T12:00:00.000+0000",
    } == row


def test_single_rows_ride_along_beyond_five_slots(world):
    slots = [STORE, *[sales(*range(10 * n, 10 * n + 10)) for n in range(5)]]
    before = world.crm.calls

    acks = world.crm.write(slots)

    assert before + 1 == world.crm.calls
    assert [1, 10, 10, 10, 10, 10] == [len(slot) for slot in acks]
    assert all(isinstance(ack, Written) and ack.created for slot in acks for ack in slot)
    assert [Written(acks[0][0].id, False)] == world.crm.write(slots)[0]


def test_a_refused_row_holds_up_no_other(world):
    missing = KeyRef("Store__r", "Store_Key__c", "1-H404")
    slot = sales(1, 2, 3)
    slot.rows[1]["Store__c"] = missing

    first, second, third = world.crm.write([slot])[0]

    assert "INVALID_FIELD" == second.code
    assert "1-H404" in second.message
    assert isinstance(first, Written)
    assert isinstance(third, Written)


def test_one_key_twice_is_refused_row_by_row(world):
    acks = world.crm.write([sales(1, 1, 2)])[0]

    assert [Refused, Refused, Written] == [type(ack) for ack in acks]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        pytest.param("reset_before", {}, id="the connection dies before"),
        pytest.param("reset_after", {}, id="the answer is lost"),
        pytest.param("half_body", {}, id="half the answer is lost"),
        pytest.param("status", {"status": 503}, id="a page says 503"),
        pytest.param("status", {"status": 429, "headers": {"Retry-After": "5"}}, id="a gateway says 429"),
    ],
)
def test_whatever_happens_to_a_write_its_rows_are_there_once(world, kind, more):
    world.fault(kind, "/composite", times=2, **more)

    acks = world.crm.write([sales(*range(200)), sales(*range(200, 400))])

    assert 400 == count(world)
    assert 400 == len({ack.id for slot in acks for ack in slot})


def test_a_lost_answer_to_a_plain_create_makes_no_second_row(world):
    world.fault("reset_after", "/composite")

    with pytest.raises(Transient) as found:
        world.crm.write([Slot("create", "Product2", [{"Name": "Ring"}])])

    assert found.value.outcome_unknown
    assert 1 == count(world, "Product2")


def test_history_calls_no_automation(bare):
    bare.org.switches.update(lead_assignment_rule=True)
    lead = Slot("create", "Lead", [{"LastName": "Quill", "Company": "Quill Ltd"}])

    bare.client(history=True).write([lead])
    assert 0 == bare.org.automation["tasks"]

    bare.crm.write([lead])
    assert 1 == bare.org.automation["tasks"]


def test_a_duplicate_rule_refuses_and_names_whom_it_means(bare):
    bare.org.switches.update(duplicate_rules={"Contact": "alert"})
    person = Slot(
        "create", "Contact", [{"FirstName": "Ada", "LastName": "Quill", "Email": "ada.quill@example.com"}]
    )
    others = [Slot("create", "Product2", [{"Name": f"Ring {n}"}]) for n in range(5)]
    [[first]] = bare.crm.write([person])

    [[together]] = bare.crm.write([person])
    [alone] = bare.crm.write([person, *others])[0]
    [[allowed]] = bare.client(allow_duplicates=True).write([person])

    assert "DUPLICATES_DETECTED" == together.code == alone.code
    # Only a row that travels alone is documented to name them.
    assert (first.id,) == alone.matches
    assert isinstance(allowed, Written)


# -- reading ------------------------------------------------------------------------


def test_a_long_query_survives_what_happens_on_its_way(world):
    assert 0 == world.load({"Transaction_Key__c": f"1-S{n}"} for n in range(5_000)).failed
    oauth.revoke_sessions(world.org)
    world.fault("half_body", "/query")
    world.fault("status", "/query/", status=503)
    world.fault("reset_before", "/query/")

    pages = list(world.crm.query("SELECT Transaction_Key__c FROM Sales_Transaction__c"))

    assert {f"1-S{n}" for n in range(5_000)} == {row["Transaction_Key__c"] for page in pages for row in page}
    assert 5_000 == sum(map(len, pages))


def test_pages_may_have_any_size(world):
    world.load({"Transaction_Key__c": f"1-S{n}"} for n in range(2_500))
    world.org.switches.update(page_size_random=True, unordered_shuffled=True)

    rows = [
        row["Transaction_Key__c"]
        for page in world.crm.query("SELECT Transaction_Key__c FROM Sales_Transaction__c")
        for row in page
    ]

    assert 2_500 == len(rows) == len(set(rows))


def test_texts_and_signs_survive_an_address(world):
    name = "O'Brien & Söhne + 100% #1"
    world.crm.write(
        [Slot("upsert", "Retail_Store__c", [{"Store_Key__c": "1-H1", "Name": name}], "Store_Key__c")]
    )

    [[row]] = world.crm.query(
        "SELECT Name FROM Retail_Store__c WHERE Name = 'O\\'Brien & Söhne + 100% #1' "
        "AND CreatedDate >= 2026-11-21T01:00:00+01:00"
    )

    assert {"Name": name} == row


def test_an_unknown_field_is_named_and_the_query_is_not(world):
    with pytest.raises(BadRequest) as found:
        list(world.crm.query("SELECT Nothing__c FROM Account WHERE Name = 'Ana Example'"))

    assert "INVALID_FIELD" == found.value.code
    assert ("Nothing__c",) == found.value.fields
    assert "Ana Example" not in str(found.value)


@pytest.mark.parametrize("status", [400, 404])
def test_a_dead_locator_is_a_bad_request(world, status):
    world.load({"Transaction_Key__c": f"1-S{n}"} for n in range(2_100))
    world.org.switches.update(invalid_locator_status=status)
    pages = world.crm.query("SELECT Id FROM Sales_Transaction__c")
    next(pages)
    world.clock.advance(3 * 86_400)

    with pytest.raises(BadRequest) as found:
        next(pages)

    assert "INVALID_QUERY_LOCATOR" == found.value.code


def test_the_longest_query_we_allow_arrives(world):
    text = "SELECT Id FROM Sales_Transaction__c WHERE Transaction_Key__c IN ("
    keys = ",".join(f"'1-S{n}'" for n in range(1, 1_300))
    while True:
        try:
            pages = world.crm.query(f"{text}{keys})")
        except ValueError:
            keys = keys.rsplit(",", 1)[0]
            continue
        assert [[]] == list(pages)
        break


def test_a_bulk_query_reads_all(world):
    world.load({"Transaction_Key__c": f"1-S{n}", "Total__c": Decimal("1.50")} for n in range(4_500))
    world.fault("half_body", "/results")

    chunks = list(
        world.crm.bulk_query(
            "SELECT Transaction_Key__c, Total__c, Ticket_Number__c FROM Sales_Transaction__c"
        )
    )

    rows = [row for chunk in chunks for row in chunk]
    assert 4_500 == len({row["Transaction_Key__c"] for row in rows}) == len(rows)
    assert {"1.5"} == {row["Total__c"] for row in rows}
    assert {""} == {row["Ticket_Number__c"] for row in rows}


# -- bulk jobs -------------------------------------------------------------------------


def test_a_job_tells_what_became_of_every_row(world):
    world.crm.write([STORE])
    columns = ("Transaction_Key__c", "Total__c", "Store__r.Store_Key__c", "Notes__c")

    def rows():
        for n in range(1_000):
            store = "1-H1" if n % 10 else "1-H404"
            yield {
                "Transaction_Key__c": f"1-S{n}",
                "Total__c": Decimal("9.99"),
                "Store__c": KeyRef("Store__r", "Store_Key__c", store),
                "Notes__c": 'two\nlines, "quoted"',
            }

    job = world.load(rows(), columns)
    acks = {ack.key: ack for ack in world.crm.bulk_results(job, "Transaction_Key__c")}

    assert ("complete", 1_000, 100) == (job.state, job.processed, job.failed)
    assert 1_000 == len(acks)
    assert {f"1-S{n}" for n in range(0, 1_000, 10)} == {key for key, ack in acks.items() if ack.code}
    assert "INVALID_FIELD" == acks["1-S0"].code
    assert acks["1-S1"].created
    assert acks["1-S1"].id in world.org.tables["Sales_Transaction__c"].rows


def test_nothing_given_empties_a_field_and_not_named_leaves_it(world):
    columns = ("Transaction_Key__c", "Total__c", "Ticket_Number__c")
    world.load([{"Transaction_Key__c": "1-S1", "Total__c": Decimal(5), "Ticket_Number__c": "T1"}], columns)

    world.load([{"Transaction_Key__c": "1-S1", "Ticket_Number__c": None}], columns)

    [[row]] = world.crm.query("SELECT Total__c, Ticket_Number__c FROM Sales_Transaction__c")
    assert {"Total__c": Decimal(5), "Ticket_Number__c": None} == row


def test_a_session_that_ends_between_the_steps_of_a_job_is_renewed(world):
    rows = [{"Transaction_Key__c": f"1-S{n}"} for n in range(300)]
    job_id = world.crm.bulk_open("Sales_Transaction__c", "upsert", "Transaction_Key__c")
    oauth.revoke_sessions(world.org)
    world.crm.bulk_upload(job_id, ["Transaction_Key__c"], rows)
    oauth.revoke_sessions(world.org)
    world.crm.bulk_close(job_id)
    oauth.revoke_sessions(world.org)
    job = world.until_done(job_id)
    oauth.revoke_sessions(world.org)

    assert 300 == len(list(world.crm.bulk_results(job, "Transaction_Key__c")))


@pytest.mark.parametrize("kind", ["reset_after", "half_body", "reset_before", "status"])
@pytest.mark.parametrize(
    "match", ["POST .*/jobs/ingest", "PATCH .*/jobs/ingest", "GET .*/jobs/ingest", "Results"]
)
def test_each_step_of_a_job_may_lose_its_answer(world, kind, match):
    world.fault(kind, match)

    job = world.load({"Transaction_Key__c": f"1-S{n}"} for n in range(300))

    assert 300 == len(list(world.crm.bulk_results(job, "Transaction_Key__c")))
    assert 300 == count(world)


def test_a_lost_answer_to_an_upload_is_cured_by_another_job(world):
    rows = [{"Transaction_Key__c": f"1-S{n}"} for n in range(300)]
    world.fault("reset_after", "/batches")
    job_id = world.crm.bulk_open("Sales_Transaction__c", "upsert", "Transaction_Key__c")

    with pytest.raises(Transient):
        world.crm.bulk_upload(job_id, ["Transaction_Key__c"], rows)
    world.crm.bulk_abort(job_id)
    world.crm.bulk_abort(job_id)

    assert "aborted" == world.crm.bulk_status(job_id).state
    assert 0 == world.load(rows).failed
    assert 300 == count(world)


def test_an_aborted_job_names_its_rows_as_never_looked_at(world):
    job_id = world.crm.bulk_open("Sales_Transaction__c", "upsert", "Transaction_Key__c")
    world.crm.bulk_upload(
        job_id, ["Transaction_Key__c"], [{"Transaction_Key__c": f"1-S{n}"} for n in range(9)]
    )
    world.crm.bulk_abort(job_id)

    acks = list(world.crm.bulk_results(world.crm.bulk_status(job_id), "Transaction_Key__c"))

    assert all(ack.unprocessed for ack in acks)


def test_a_field_that_the_org_does_not_know_fails_the_job_with_its_name(world):
    job = world.load(
        [{"Transaction_Key__c": "1-S1", "Nothing__c": "x"}], ("Transaction_Key__c", "Nothing__c")
    )

    assert "failed" == job.state
    assert "Nothing__c" in job.message


def test_a_job_that_nobody_knows_is_none(world):
    assert world.crm.bulk_status("750000000000001AAA") is None


# -- limits ------------------------------------------------------------------------------


def test_the_days_limit_parks_and_is_not_hammered(world):
    world.org.usage.used_by_others = 200_000
    before = world.crm.calls

    with pytest.raises(LimitReached) as found:
        world.crm.write([sales(1)])

    assert "salesforce day" == found.value.quota
    assert before + 1 == world.crm.calls


def test_too_many_long_requests_are_waited_for(world):
    world.org.switches.update(concurrent_limit=True)
    start = world.clock.now()

    with pytest.raises(Transient):
        world.client(retry=RetryPolicy(attempts_max=3)).describe("Account")

    assert start < world.clock.now()


def test_an_edition_without_api_says_what_to_do(world):
    world.org.switches.update(api_disabled=True)

    with pytest.raises(PermissionMissing, match="API Enabled"):
        world.crm.describe("Account")


def test_usage_is_known_from_the_header(world):
    assert world.crm.usage().used == world.org.usage.used()
    assert world.crm.limits()["DailyApiRequests"][1] == world.crm.usage().allowed


def test_calls_are_counted_as_the_org_counts_them(world):
    list(world.crm.query("SELECT Id FROM Account"))
    world.crm.describe("Nothing__c")
    world.fault("reset_before", "/composite")
    world.crm.write([sales(1)])

    assert world.org.usage.used() + 1 == world.crm.calls == world.crm.calls_by_endpoint.total()


def test_a_retired_version_says_so(bare):
    credentials = Credentials(**SECRET, login_url=bare.server.url)

    with pytest.raises(BadRequest, match="api_version") as found:
        SalesforceClient(bare.http, credentials, api_version="25.0", clock=bare).describe("Account")

    assert 410 == found.value.status


def test_an_unreachable_org_is_named():
    http = Http()
    credentials = Credentials(**SECRET, login_url="http://127.0.0.1:9")
    world = World()
    try:
        with pytest.raises(Transient, match=r"127\.0\.0\.1"):
            SalesforceClient(http, credentials, clock=world).org()
    finally:
        http.close()
        world.close()

"""The package against the simulated org's deploy resource, over HTTP: it goes in, twice, or says why not."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from tillbridge.connectors.salesforce import metadata
from tillbridge.connectors.salesforce.metadata import DeployStatus
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Request, Response, Server
from tillbridge.simulators.salesforce import deploy
from tillbridge.simulators.salesforce.org import Org

POLLS_MAX = 10


class DeployDoor:
    """The simulated org's deploy resource alone, its system user already logged in."""

    def __init__(self, *, person_accounts: bool) -> None:
        self.clock = SimClock(1_760_000_000.0, running=False)
        self.org = Org(self.clock, switches={"person_accounts": person_accounts})

    def handle(self, request: Request) -> Response:
        return deploy.handle(self.org, self.org.system, request)

    def control(self, request: Request) -> Response:
        return Response(404)


@pytest.fixture
def org_with():
    servers = []

    def start(*, person_accounts: bool) -> tuple[Org, str]:
        door = DeployDoor(person_accounts=person_accounts)
        servers.append(Server(door).start())
        return door.org, servers[-1].url

    yield start
    for server in servers:
        server.close()


def call(url: str, method: str, path: str, body: bytes = b"", content_type: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request(method, path, body, {"Content-Type": content_type} if content_type else {})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def install(url: str, package: bytes, *, check_only: bool = False) -> DeployStatus:
    body, content_type = metadata.build_deploy_request(package, check_only=check_only)
    code, answer = call(url, "POST", metadata.deploy_path(), body, content_type)
    assert 201 == code
    status = metadata.parse_deploy_status(answer)
    for _ in range(POLLS_MAX):
        code, answer = call(url, "GET", metadata.deploy_status_path(status.id))
        assert 200 == code
        status = metadata.parse_deploy_status(answer)
        if status.done:
            return status
    pytest.fail(f"still {status.status} after {POLLS_MAX} polls")


@pytest.mark.parametrize("person_accounts", [True, False], ids=["with person accounts", "without"])
def test_package_installs(org_with, person_accounts):
    org, url = org_with(person_accounts=person_accounts)
    package = metadata.build_zip(metadata.package_folder(), person_accounts=person_accounts)

    status = install(url, package)

    assert ((), ()) == (status.failures, status.warnings)
    assert ("Succeeded", True, 0) == (status.status, status.success, status.errors)
    assert status.total == status.deployed > 150
    key = org.find("Sales_Transaction__c").find("Transaction_Key__c")
    assert (True, True, True, 80) == (key.unique, key.external_id, key.case_sensitive, key.length)
    assert {"Tillbridge_Integration", "Tillbridge_Reader", "Tillbridge_Administrator"} <= set(
        org.permission_sets
    )


def test_installing_again_is_no_error(org_with):
    _, url = org_with(person_accounts=True)
    package = metadata.build_zip(metadata.package_folder(), person_accounts=True)
    first = install(url, package)

    again = install(url, package)

    assert ("Succeeded", first.total) == (again.status, again.deployed)


def test_check_only_changes_nothing(org_with):
    org, url = org_with(person_accounts=True)

    status = install(
        url, metadata.build_zip(metadata.package_folder(), person_accounts=True), check_only=True
    )

    assert (True, True) == (status.success, status.check_only)
    assert None is org.find("Sales_Transaction__c")


def test_an_orgs_own_field_of_another_type_is_named(org_with):
    org, url = org_with(person_accounts=True)
    package = metadata.build_zip(metadata.package_folder(), person_accounts=True)
    install(url, package)
    org.find("Account").find("Customer_Type__c").type = "boolean"

    status = install(url, package)

    assert ("Failed", False) == (status.status, status.success)
    refused = [f for f in status.failures if f.full_name == "Account.Customer_Type__c"]
    assert ["objects/Account.object"] == [f.file for f in refused]
    assert all(f.problem and f.line > 0 for f in refused)

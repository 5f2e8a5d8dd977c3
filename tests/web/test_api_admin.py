"""Whatever the OpenAPI allows an administrator's program to send: nothing of it breaks the service."""

from contextlib import ExitStack

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from job_plant import until
from test_api import Office

from tillbridge.web.api.openapi import document
from tillbridge.web.security.roles import Role
from tillbridge.web.table import ROUTES

ASKED = [(route.method, route.path) for route in ROUTES if route.is_api and route.role == Role.ADMIN]
# What stands in an address, so that something is there to be asked about.
THERE = {"connection": "default", "name": "default", "section": "budget", "table": "customer"}


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with ExitStack() as stack:
        made = Office(tmp_path_factory.mktemp("office"), stack)
        stack.callback(until_quiet, made)
        yield made


def until_quiet(office):
    """Wait for what was begun in the background: it works in the folder that goes away."""
    setups = office.app.state.console.setups
    until(lambda: not setups.errands.under_way("default"), "all errands have ended")


@pytest.fixture(scope="module")
def schema(office):
    found = schemathesis.openapi.from_dict(document(office.app))
    found.app = office.app
    return found


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_whatever_the_openapi_allows_makes_no_server_error(office, schema, method, path):
    headers = {"authorization": office.client("admin", "admin").headers["authorization"]}

    @given(case=schema[path][method].as_strategy())
    @settings(
        max_examples=5,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        case.path_parameters.update({name: THERE[name] for name in case.path_parameters if name in THERE})
        answer = case.call(headers=headers, base_url="http://localhost")
        # 503: what it does needs somebody else who is at work just now.
        assert answer.status_code < 500 or answer.status_code == 503, answer.text

    ask()

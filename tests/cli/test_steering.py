"""What people tell the service: pause, resume, run-now, jobs; and where it finds its database."""

import pytest

from tillbridge.config import Service
from tillbridge.installation import service_settings
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.store.service import open_service, service_url


@pytest.fixture
def planned(world):
    """A home whose service has planned two streams and has ended again."""
    service = open_service(service_url(world.home, None))
    service.plan_streams("default", {("poll", "sales"): 60.0, ("poll", "stock"): 3_600.0}, 0.0)
    yield world
    service.close()


def streams(world):
    return {each["stream"]: each for each in world.cli("jobs", "--json").document["streams"]}


def test_why_a_stream_is_paused_is_shown_until_it_goes_on(planned):
    planned.cli("pause", "sales", "--why", "till is being moved")
    paused = streams(planned)["sales"]
    planned.cli("resume", "sales")
    resumed = streams(planned)["sales"]

    assert ("paused", "till is being moved") == (paused["state"], paused["why"])
    assert ("waits", None) == (resumed["state"], resumed["why"])


def test_a_paused_stream_is_not_said_to_be_due(planned):
    planned.cli("pause", "sales")
    ran = planned.cli("run-now", "sales")

    assert (True, False) == ("sales of default is paused: resume it first" in ran.said, "due now" in ran.said)
    assert 0 != ran.status


def test_of_a_connection_the_streams_that_rest_stay_so(planned):
    planned.cli("pause", "sales")

    assert "1 stream due now" in planned.cli("run-now").said


def test_a_paused_connection_is_not_said_to_be_due(planned):
    planned.cli("pause")

    assert "default is paused: resume it first" in planned.cli("run-now").said


def test_resuming_a_connection_names_the_streams_that_rest(planned):
    planned.cli("pause", "sales")

    said = planned.cli("resume").said

    assert "default was not paused. Of its streams sales are: `tillbridge resume sales`" in said


def test_without_a_worker_it_is_said_how_one_starts(planned):
    assert "No worker is at work at the moment; `tillbridge serve` starts one." in planned.cli("run-now").said


# --- where its database is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("postgresql://u:p@host:port/base", "must be an address", id="a port that is no number"),
        pytest.param("mysql://u:p@host/base", "must be an address", id="another database"),
        pytest.param("nonsense", "must be an address", id="no address at all"),
        pytest.param("postgresql://shop:p@ss/w:rd@host/base", "%40", id="signs in the password"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_showing_it(tmp_path, url, told):
    with pytest.raises(ConfigurationInvalid) as caught:
        service_url(tmp_path, url)

    assert (True, False) == (told in str(caught.value), "w:rd" in str(caught.value))


@pytest.mark.parametrize(
    ("toml", "env", "host"),
    [
        pytest.param("", {}, Service().host, id="by default this machine alone"),
        pytest.param("", {"TILLBRIDGE_HOST": "0.0.0.0"}, "0.0.0.0", id="a container is reached from outside"),
        pytest.param(
            'host = "::1"', {"TILLBRIDGE_HOST": "0.0.0.0"}, "::1", id="the file is the stronger one"
        ),
    ],
)
def test_where_it_listens(tmp_path, toml, env, host):
    (tmp_path / "tillbridge.toml").write_text(f"[service]\n{toml}\n")

    assert host == service_settings(tmp_path, env).host

"""What deploy/ offers is read as its programs read it, and held against the command line that it starts."""

import configparser
import re
import shlex
from pathlib import Path

import pytest
import sqlalchemy as sa
import typer
import yaml

from tillbridge.cli.app import app
from tillbridge.config import Service

DEPLOY = Path(__file__).parents[1] / "deploy"
COMMANDS = typer.main.get_command(app).commands

# A service that is asked to end is gone within ten seconds; whoever asks must wait for longer.
ENDS_WITHIN_SECONDS = 10


def is_a_command(words):
    """Say whether a command line names a command of ours and options that it has."""
    command = COMMANDS[words[0]]
    options = {option for parameter in command.params for option in parameter.opts}
    return {word for word in words[1:] if word.startswith("--")} <= options


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def kubernetes(kind):
    """Return what the example holds of a kind, by name."""
    found = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def unit():
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str
    read.read_string((DEPLOY / "tillbridge.service").read_text())
    return read


@pytest.mark.parametrize("name", ["serve", "worker"])
def test_compose_starts_commands_that_exist_and_gives_them_time_to_end(name):
    service = compose()["services"][name]

    assert is_a_command(service["command"])
    assert int(service["stop_grace_period"].removesuffix("s")) > ENDS_WITHIN_SECONDS
    assert f":{Service().port}/readyz" in " ".join(service["healthcheck"]["test"])
    assert {"TILLBRIDGE_DATABASE_URL", "TILLBRIDGE_KEY"} <= service["environment"].keys()
    assert "service_healthy" == service["depends_on"]["database"]["condition"]


def test_compose_holds_no_secret():
    text = (DEPLOY / "compose.yaml").read_text()

    assert [] == re.findall(r"(?:PASSWORD|KEY): (?!\$\{)\S+", text)


def test_the_unit_starts_a_command_that_exists_and_gives_it_time_to_end():
    service = unit()["Service"]
    words = shlex.split(service["ExecStart"])

    assert ("tillbridge", True) == (Path(words[0]).name, is_a_command(words[1:]))
    assert int(service["TimeoutStopSec"]) > ENDS_WITHIN_SECONDS
    assert "/var/lib/" + service["StateDirectory"] == words[-1]
    assert ("SIGTERM", "always") == (service["KillSignal"], service["Restart"])


def test_compose_lets_the_console_be_reached_from_this_machine_and_no_other():
    service = compose()["services"]["serve"]

    assert [f"127.0.0.1:{Service().port}:{Service().port}"] == service["ports"]
    assert [name for volume in service["volumes"] for name in volume.split(":")[:1]] == ["installation"]


def test_a_password_may_hold_any_sign_since_it_stands_in_no_address():
    environment = compose()["services"]["worker"]["environment"]
    secret = kubernetes("Secret")["tillbridge"]["stringData"]

    for held in (environment, secret):
        assert None is sa.make_url(held["TILLBRIDGE_DATABASE_URL"]).password
        assert "PGPASSWORD" in held


@pytest.mark.parametrize(
    ("part", "ready"),
    [
        pytest.param("serve", "/healthz", id="the console stays reachable while no worker lives"),
        pytest.param("worker", "/readyz", id="a worker that is not ready is no worker"),
    ],
)
def test_kubernetes_starts_what_can_be_watched_and_has_time_to_end(part, ready):
    deployment = kubernetes("Deployment")[f"tillbridge-{part}"]["spec"]
    pod = deployment["template"]["spec"]
    container = pod["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert is_a_command(container["args"])
    assert pod["terminationGracePeriodSeconds"] > ENDS_WITHIN_SECONDS
    assert {"watched": Service().port} == ports
    assert {ready: "watched", "/healthz": "watched"} == {
        container[probe]["httpGet"]["path"]: container[probe]["httpGet"]["port"]
        for probe in ("readinessProbe", "livenessProbe")
    }
    assert (
        deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    )


def test_kubernetes_leads_to_the_console_and_gives_all_parts_one_folder():
    service = kubernetes("Service")["tillbridge"]["spec"]
    serve = kubernetes("Deployment")["tillbridge-serve"]["spec"]["template"]
    folders = {
        volume["persistentVolumeClaim"]["claimName"]
        for each in kubernetes("Deployment").values()
        for volume in each["spec"]["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }

    assert service["selector"].items() <= serve["metadata"]["labels"].items()
    assert folders == kubernetes("PersistentVolumeClaim").keys()


def test_the_image_starts_what_is_installed():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    entry = next(line for line in lines if line.startswith("ENTRYPOINT"))
    command = next(line for line in lines if line.startswith("CMD"))

    assert ["tillbridge"] == yaml.safe_load(entry.removeprefix("ENTRYPOINT "))
    assert is_a_command(yaml.safe_load(command.removeprefix("CMD ")))

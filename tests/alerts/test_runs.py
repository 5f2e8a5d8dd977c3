"""Alerts of whole commands: at the end of a run, and `alerts test`."""

import io
import json
from contextlib import ExitStack

import pytest
from world import World

from tillbridge.cli.app import run
from tillbridge.store.notices import Notices


def cli(home, *argv, clock=None):
    out, err = io.StringIO(), io.StringIO()
    status = run([*argv, "--home", str(home)], out=out, err=err, env={}, clock=clock)
    return status, out.getvalue(), " ".join(err.getvalue().split())


def mail_to(port):
    return f"""
[alerts]
email_to = ["ops@shop.example"]
email_from = "tillbridge@shop.example"
smtp_host = "127.0.0.1"
smtp_port = {port}
smtp_security = "none"
"""


# Only sales are to fall silent here.
CUSTOMERS = "[schedule]\ncustomers_seconds = 600\n"


@pytest.fixture
def found(tmp_path_factory):
    with ExitStack() as stack:

        def make(port):
            world = World(tmp_path_factory.mktemp("home"), toml=mail_to(port) + CUSTOMERS)
            stack.callback(world.close)
            return world.install()

        yield make


def pulses(world):
    with world.opened() as parts:
        return {
            p.stream: (p.polled_at, p.interval_seconds) for p in Notices(parts.state, parts.vault).pulses()
        }


def test_a_run_that_meets_a_new_cause_mails_it(found, office):
    world = found(office.port)
    item = world.item()
    world.sync()
    world.refuse("Sales_Transaction__c", "Type__c", "Sale", "Rings need a size.")
    sales = [world.ring(item) for _ in range(3)]

    status, _, err = cli(world.home, "sync", clock=world.clock)

    assert 1 == status
    assert "alert" not in err
    assert ["Tillbridge: 3 sales refused (FIELD_CUSTOM_VALIDATION_EXCEPTION)"] == office.subjects
    assert "Salesforce said: Rings need a size." in office.texts()[0]
    assert f"(sale {max(sales, key=int)})" in office.texts()[0]


def test_an_alert_that_fails_does_not_fail_the_run(found, closed_port):
    world = found(closed_port)
    item = world.item()
    world.sync()
    world.refuse("Sales_Transaction__c", "Type__c", "Sale")
    world.ring(item)

    status, _, err = cli(world.home, "sync", clock=world.clock)

    assert 1 == status
    assert (
        "An alert could not be sent, and is sent again at the end of the next run: the mail server "
        f"127.0.0.1:{closed_port} could not be reached (Connection refused): check alerts.smtp_host and "
        "alerts.smtp_port." in err
    )


def test_a_till_that_stays_silent_is_mailed_once_and_so_is_its_return(found, office):
    world = found(office.port)
    assert 0 == cli(world.home, "sync", clock=world.clock)[0]
    world.pass_time(seconds=200)
    world.fail_till("status", status=503, times=None)
    for _ in range(2):
        assert 75 == cli(world.home, "sync", clock=world.clock)[0]
    world.till_server.faults.clear()
    assert 0 == cli(world.home, "sync", clock=world.clock)[0]

    assert 2 == len(office.mails)
    assert "Tillbridge: no news of sales from Lightspeed" == office.subjects[0]
    assert "What stood in the way: Lightspeed answered 503 to " in office.texts()[0]
    assert "Tillbridge: sales is read again" == office.subjects[1]


def test_a_salesforce_that_is_down_for_hours_is_one_mail_that_says_so(found, office):
    """The streams are read at different paces, and notice it one after the other."""
    world = found(office.port)
    item = world.item()
    assert 0 == cli(world.home, "sync", clock=world.clock)[0]
    world.fail_crm("status", status=503, times=None)
    for minutes in (5, 40, 4 * 60, 10 * 60):
        world.pass_time(minutes=minutes)
        world.ring(item)
        assert 75 == cli(world.home, "sync", clock=world.clock)[0]
    world.crm_server.faults.clear()
    assert 0 == cli(world.home, "sync", clock=world.clock)[0]

    silent, back = office.subjects
    assert "Tillbridge: nothing reaches Salesforce (sales)" == silent
    assert "What stood in the way: Salesforce could not be served for now (HTTP 503)" in office.texts()[0]
    assert "Tillbridge: sales is read again" == back


def test_a_poll_leaves_its_pulse(found, office):
    world = found(office.port)
    world.sync()

    now = world.clock.now().timestamp()
    assert {
        "sales": (now, 60.0),
        "customers": (now, 600.0),
        "products": (now, 3_600.0),
        "stock": (now, 3_600.0),
    } == pulses(world)


# --- alerts test ---------------------------------------------------------------------------------


def test_a_test_message_over_every_channel(home, office, webhook):
    home.configure(mail_to(office.port).replace("[alerts]\n", f'slack_webhook_url = "{webhook.url}"\n'))

    status, out, err = cli(home.folder, "alerts", "test", clock=home.clock)

    assert (0, "") == (status, err)
    assert "e-mail to ops@shop.example: the test message was taken." in out
    assert "Slack: the test message was taken." in out
    assert 1 == len(office.mails) == len(webhook.posts)


def test_a_channel_that_does_not_work_ends_with_a_sentence(home, closed_port):
    home.configure(mail_to(closed_port).replace("[alerts]\n", ""))

    status, out, err = cli(home.folder, "alerts", "test", clock=home.clock)

    assert (2, "") == (status, out)
    assert err == (
        f"the mail server 127.0.0.1:{closed_port} could not be reached (Connection refused): "
        "check alerts.smtp_host and alerts.smtp_port."
    )


def test_a_test_without_a_channel(home):
    home.configure("")

    status, _, err = cli(home.folder, "alerts", "test")

    assert 2 == status
    assert "alerts: nobody is named; set email_to, slack_webhook_url or apprise_urls" in err


def test_a_test_as_a_document(home, office):
    home.configure(mail_to(office.port).replace("[alerts]\n", ""))

    status, out, _ = cli(home.folder, "alerts", "test", "--json", clock=home.clock)

    assert 0 == status
    assert {"channels": [{"channel": "e-mail to ops@shop.example", "mistake": None}]} == json.loads(out)

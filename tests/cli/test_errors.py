"""Whatever is wrong ends with one clear sentence that says what to do, the right status, and no trace."""

import base64
import os
import signal
import sqlite3
import stat
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tillbridge.cli.words import tell
from tillbridge.model.clock import SystemClock
from tillbridge.model.errors import LimitReached, Transient
from tillbridge.simulators.httpd import Fault
from tillbridge.wiring import alone

CLOSED_PORT = "http://127.0.0.1:9"


def put(world, old, new):
    path = world.home / "tillbridge.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def wrong_key(world):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (world.home / "other.key").write_bytes(pem)
    by_jwt(world)


def by_jwt(world):
    put(
        world,
        'client_secret = "demo-consumer-secret"',
        'username = "integration@demo.example"\nprivate_key_file = "other.key"',
    )
    put(world, 'auth = "client_credentials"', 'auth = "jwt"')


def without_permission_set(world):
    user = next(iter(world.org.users.values()))
    user.permission_sets.clear()
    world.org.touch()


def hidden_field(world):
    user = next(iter(world.org.users.values()))
    world.org.field_overrides[user.id, "Sales_Transaction__c.Register__c"] = (False, False)
    world.org.touch()


def spent_day(world):
    world.org.usage.used_by_others = world.org.usage.daily_max


def too_fast_for_an_hour(world):
    world.till_server.faults.append(
        Fault("status", match="/API/", status=429, headers={"Retry-After": "3600"}, times=None)
    )


def another_org(world):
    with world.remembered() as state, state.begin() as c:
        state.keep(c, "crm_org", "00D000000000000AAA")


def read_only_file(world):
    """A write version above 2 makes SQLite treat a file as read-only, for root too (file format, 1.3.3)."""
    with world.remembered():
        pass
    raw = bytearray((world.home / "tillbridge.sqlite").read_bytes())
    raw[18] = 9
    (world.home / "tillbridge.sqlite").write_bytes(raw)


def newer_schema(world):
    with world.remembered():
        pass
    connection = sqlite3.connect(world.home / "tillbridge.sqlite")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()


# What is wrong, how it comes about, the status, and what the sentence must say.
TABLE = [
    (
        "wrong Lightspeed client secret",
        lambda w: put(w, '"demo-secret"', '"nope"'),
        2,
        ["Lightspeed", "client"],
    ),
    (
        "wrong Lightspeed refresh token",
        lambda w: put(w, '"demo-refresh"', '"nope"'),
        2,
        ["Lightspeed", "refresh token"],
    ),
    (
        "another Lightspeed account than the token's",
        lambda w: put(w, '"190001"', '"190002"'),
        2,
        ["account 190001", "190002", "account_id"],
    ),
    (
        "wrong Salesforce consumer secret",
        lambda w: put(w, '"demo-consumer-secret"', '"nope"'),
        2,
        ["Salesforce", "client_secret"],
    ),
    ("wrong Salesforce key", wrong_key, 2, ["Salesforce", "certificate"]),
    ("no Salesforce key file", by_jwt, 2, ["salesforce.private_key_file: ", "other.key", "cannot be read"]),
    (
        "Lightspeed cannot be reached",
        lambda w: put(w, f'api_url = "{w.till_server.url}"', f'api_url = "{CLOSED_PORT}"'),
        75,
        ["could not be reached", "Nothing was lost", "api_url"],
    ),
    (
        "Salesforce cannot be reached",
        lambda w: put(w, f'login_url = "{w.crm_server.url}"', f'login_url = "{CLOSED_PORT}"'),
        75,
        ["could not be reached", "Nothing was lost", "login_url"],
    ),
    (
        "the permission set is missing",
        without_permission_set,
        2,
        ["map.store: ", "tillbridge schema deploy", "Tillbridge_Integration"],
    ),
    ("a field is hidden from us", hidden_field, 2, ["map.sale.Register__c: ", "tillbridge schema deploy"]),
    (
        "an unknown mapping function",
        lambda w: w.configure('[map.sale]\nRegister__c = "register | shout"'),
        2,
        ["map.sale.Register__c: ", "shout"],
    ),
    (
        "malformed TOML",
        lambda w: (w.home / "tillbridge.toml").write_text("[lightspeed\n", encoding="utf-8"),
        2,
        ["tillbridge.toml: ", "not valid TOML", "line 1"],
    ),
    (
        "an unknown setting",
        lambda w: put(w, "[sales]", '[sales]\nstors = ["1"]'),
        2,
        ["sales.stors: ", "did you mean stores?"],
    ),
    (
        "an environment variable that is not set",
        lambda w: put(w, '"demo-secret"', '{ env = "TILL_SECRET_OF_THIS_TEST" }'),
        2,
        ["lightspeed.client_secret: ", "TILL_SECRET_OF_THIS_TEST"],
    ),
    (
        "plain http to another machine",
        lambda w: put(w, f'login_url = "{w.crm_server.url}"', 'login_url = "http://org.example"'),
        2,
        ["salesforce.login_url: ", "https"],
    ),
    (
        "the org's API is disabled",
        lambda w: w.org.switches.update(api_disabled=True),
        2,
        ["API is not enabled", "API Enabled"],
    ),
    (
        "the org's API calls of the day are used up",
        spent_day,
        75,
        ["used up its API calls", "Nothing was lost"],
    ),
    (
        "Lightspeed's limit is used up",
        too_fast_for_an_hour,
        75,
        ["rate limit is used up", "Nothing was lost"],
    ),
    ("the home belongs to another org", another_org, 2, ["belongs to Salesforce org 00D", "another home"]),
    ("the state file is read-only", read_only_file, 2, ["tillbridge.sqlite: ", "read-only"]),
    ("the state file is of a newer version", newer_schema, 2, ["newer Tillbridge", "Install"]),
    (
        "the state file is something else",
        lambda w: (w.home / "tillbridge.sqlite").write_bytes(b"no database at all" * 100),
        2,
        ["tillbridge.sqlite: ", "not a Tillbridge state file"],
    ),
    (
        "the key may be read by others",
        lambda w: ((w.home / "key").touch(), (w.home / "key").chmod(0o644)),
        2,
        ["key: ", "chmod 600"],
    ),
]


def ids(table):
    return [row[0] for row in table]


def assert_is_calm(ran):
    """One sentence a mistake, no trace, nothing on stdout."""
    assert "Traceback" not in ran.err
    assert "Error(" not in ran.err
    assert "" == ran.out
    for line in ran.err.splitlines():
        assert 20 < len(line) < 420, line


@pytest.mark.parametrize(("_what", "break_it", "status", "words"), TABLE, ids=ids(TABLE))
def test_it_ends_with_a_sentence_and_a_status(found, _what, break_it, status, words):
    world = found()
    break_it(world)
    ran = world.cli("sync")
    assert status == ran.status, ran.err
    for word in words:
        assert word in ran.said
    assert_is_calm(ran)


def test_an_org_without_the_package_names_what_is_missing(found):
    ran = found(installed=False).cli("backfill")
    assert 2 == ran.status
    assert "map.sale: the org shows no object Sales_Transaction__c" in ran.err
    assert_is_calm(ran)


def test_several_mistakes_stand_on_a_line_each(found):
    world = found(installed=False)
    put(world, 'client_id = "demo-client"\n', "")
    put(world, 'model = "person_account"', 'model = "household"')
    ran = world.cli("sync")
    assert 2 == ran.status
    assert {"lightspeed.client_id", "customers.model"} == {
        line.partition(":")[0] for line in ran.err.splitlines()
    }


def test_another_run_that_holds_the_lock_is_waited_for(world):
    with alone(world.home):
        ran = world.cli("sync")
    assert (75, "") == (ran.status, ran.out)
    assert "Another run" in ran.err
    assert 0 == world.cli("sync").status


def test_another_key_does_not_open_the_state(world):
    world.cli("sync")
    ran = world.cli("sync", env={"TILLBRIDGE_KEY": base64.b64encode(b"k" * 32).decode()})
    assert 2 == ran.status
    assert "TILLBRIDGE_KEY: does not open what is stored" in ran.err
    assert_is_calm(ran)


def test_a_day_without_calls_loses_nothing(world):
    """The backfill stops in the middle, and goes on when the window opens."""
    world.configure(toml="[budget]\nsalesforce_percent = 100")
    world.org.usage.daily_max = world.org.usage.used() + 18
    stopped = world.cli("backfill")
    assert 75 == stopped.status, stopped.said
    assert "Nothing was lost: run the same command again" in stopped.err
    world.org.usage.daily_max = 100_000
    world.pass_time(hours=1)
    assert 0 == world.cli("backfill").status
    assert 0 == world.cli("certify").status


class Interrupted(SystemClock):
    def sleep(self, seconds):
        raise KeyboardInterrupt


class Terminated(SystemClock):
    def sleep(self, seconds):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("clock", [Interrupted(), Terminated()], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_command_says_that_nothing_was_lost(found, clock):
    world = found(installed=False)
    ran = world.cli("schema", "deploy", clock=clock)
    assert 130 == ran.status
    assert "Stopped. Nothing was lost: run the same command again to go on." in ran.err
    with alone(world.home):
        pass  # The lock was let go.


class Broken(SystemClock):
    def monotonic(self):
        raise RuntimeError("Mirte Perelaer, mirte@mail.example")


def test_a_bug_of_ours_is_one_sentence_and_a_trace_without_anyones_data(world):
    ran = world.cli("sync", clock=Broken())
    assert (70, "") == (ran.status, ran.out)
    assert 1 == len(ran.err.splitlines())
    assert "Please report it" in ran.err
    assert "Perelaer" not in ran.err
    trace = (world.home / "tillbridge-crash.txt").read_text(encoding="utf-8")
    assert "RuntimeError" in trace
    assert "test_errors.py" in trace
    assert "Perelaer" not in trace
    assert "mirte" not in trace


def test_a_trace_without_a_home_lies_where_nobody_can_wait_for_it(cli, tmp_path, monkeypatch):
    """The usual name is taken by somebody's link, which must lead nowhere."""
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    shared.mkdir()
    victim.write_text("mine", encoding="utf-8")
    (shared / "tillbridge-crash.txt").symlink_to(victim)
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    monkeypatch.setattr(Path, "cwd", _stumble)
    monkeypatch.setattr(Path, "home", _stumble)
    ran = cli("status")

    assert (70, "mine") == (ran.status, victim.read_text(encoding="utf-8"))
    trace = next(file for file in shared.iterdir() if not file.is_symlink())
    assert str(trace) in ran.said.replace(" ", "")
    assert 0o600 == stat.S_IMODE(trace.stat().st_mode)
    assert "RuntimeError" in trace.read_text(encoding="utf-8")


def _stumble():
    raise RuntimeError("nowhere")


def test_a_trace_in_a_home_goes_through_no_link(world, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (world.home / "tillbridge-crash.txt").symlink_to(victim)
    ran = world.cli("sync", clock=Broken())

    assert (70, "mine") == (ran.status, victim.read_text(encoding="utf-8"))
    assert "could not be written" in ran.err


USAGE = [
    (["frobnicate"], "No such command"),
    (["status", "--frob"], "No such option"),
    (["sync", "--sale"], "--sale wants at least one id"),
    (["sync", "--sale", "12a"], "Lightspeed's own numbers"),
    (["explain", "till", "3"], "KIND is one of"),
    (["explain", "sale"], "Missing argument"),
    (["certify", "--day", "yesterday"], "--day"),
    (["certify", "--day", "2026-01-01", "--since", "2026-01-01"], "do not go together"),
    (["demo", "--model", "household"], "--model is one of"),
    (["schema", "drop"], "No such command"),
]


@pytest.mark.parametrize(("argv", "said"), USAGE, ids=[" ".join(argv) for argv, _ in USAGE])
def test_wrong_usage_is_told_in_a_sentence(cli, argv, said):
    ran = cli(*argv)
    assert (2, "") == (ran.status, ran.out)
    assert said in ran.err
    assert "--help` shows what it takes." in ran.err


def test_without_a_home_it_says_how_to_name_one(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    ran = cli("status")
    assert 2 == ran.status
    assert "--home: neither this directory nor" in ran.err
    assert "tillbridge init" in ran.err


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, "later"), (20, "in 20 seconds"), (900, "in 15 minutes"), (86_400, "in 24 hours")],
)
def test_it_says_when_to_come_back(seconds, expected):
    error = LimitReached("The quota is used up", quota="x", resume_after_seconds=seconds)
    assert (f"The quota is used up. Nothing was lost: run the same command again {expected}.",) == tell(
        error
    ).lines


def test_a_full_disk_may_be_tried_again():
    told = tell(OSError(28, "No space left on device", "/home/shop/tillbridge.toml"))
    assert 75 == told.status
    assert ("/home/shop/tillbridge.toml: the disk is full; make room and run the same command again.",) == (
        told.lines
    )


def test_a_remote_that_is_down_may_be_tried_again():
    assert 75 == tell(Transient("Salesforce could not be served for now (HTTP 503)")).status

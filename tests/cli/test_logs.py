"""The log carries ids and counts; whatever names somebody is blotted out."""

import json
import logging
import stat

import pytest

from tillbridge import logs

SAMPLES = [
    ("who", "mirte@mail.example wrote", "… wrote"),
    ("where", "call +31 6 12 34 56 78 now", "call … now"),
    ("sent", "Bearer 00Dx!AQ4", "…"),
    ("sent", "assertion eyJhbGciOi.eyJpc3Mi.c2ln", "assertion …"),
    ("sent", "session 00D5g000000abcd!AQEAQFake.abc is dead", "session … is dead"),
    ("said", "password=hunter2, then", "password=…, then"),
    ("said", 'refused: {"access_token": "ya29", "ok": 1}', 'refused: {"access_token": "…", "ok": 1}'),
    ("said", "client_secret: s3cr3t", "client_secret: …"),
    ("said", "GET /x?token=abc&page=2", "GET /x?token=…&page=2"),
    ("said", "key 9f86d081884c7d659a2feaa0c55ad015 leaked", "key … leaked"),
    ("said", "got dGhpcyBpcyBhIHNlY3JldCB0aGF0IGlzIGxvbmc0Mg== here", "got … here"),
    (
        "said",
        "Sales_Transaction_Line__c: a05Wt000000002jIAA",
        "Sales_Transaction_Line__c: a05Wt000000002jIAA",
    ),
    ("said", "your password is wrong", "your password is wrong"),
    ("email", "x", "…"),
    ("last_name", "Perelaer", "…"),
    ("refresh_token", "abc", "…"),
    ("body", "{}", "…"),
    ("record", "sale 4711", "sale 4711"),
    ("org", "00D000000000000AAA", "00D000000000000AAA"),
    ("count", 3, 3),
    ("nested", {"phone": "123", "rows": 2}, {"phone": "…", "rows": 2}),
    ("many", ["a@b.example", "sale 1"], ["…", "sale 1"]),
    ("thing", object(), "…"),
]


@pytest.mark.parametrize(("name", "value", "expected"), SAMPLES)
def test_redaction(name, value, expected):
    assert {name: expected} == logs.redact(None, "info", {name: value})


def test_a_run_leaves_two_lines_for_this_user_only(world):
    world.cli("sync")
    path = world.home / "tillbridge.log"
    started, ended = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert ("run started", "sync", 1) == (started["event"], started["job"], started["run"])
    assert ("run ended", "done") == (ended["event"], ended["outcome"])
    assert {"till", "crm"} == set(ended["calls"])
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_the_log_names_nobody(world):
    world.cli("backfill")
    text = (world.home / "tillbridge.log").read_text(encoding="utf-8")
    for word in ("Mirte", "Perelaer", "mail.example", "demo-refresh", "demo-secret"):
        assert word not in text


def test_the_log_may_go_to_stderr(world, capfd):
    world.cli("sync", env={"TILLBRIDGE_LOG": "stderr"})
    assert "run ended" in capfd.readouterr().err
    assert not (world.home / "tillbridge.log").exists()


def test_what_a_library_would_print_is_one_line_without_its_trace(world, capfd):
    logs.configure(world.home, {})
    logs.adopt("some-library")
    try:
        int("mirte@mail.example")
    except ValueError:
        logging.getLogger("some-library").exception("lost mirte@mail.example\nand more")

    *_, line = (json.loads(each) for each in (world.home / logs.FILE_NAME).read_text("utf-8").splitlines())
    told = (line["library"], line["said"], line["error"])
    assert ("some-library", "lost …", "ValueError") == told
    assert ("", "") == tuple(capfd.readouterr())

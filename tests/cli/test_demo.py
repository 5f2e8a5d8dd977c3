"""The demo, small: it shows everything, proves it, and leaves with 0."""

import re

import pytest

from tillbridge.rehearsal import ahead_seconds


def test_the_demo_proves_that_both_systems_agree(cli):
    ran = cli("demo", "--customers", "40", "--sales", "60", "--shops", "2", "--json")
    assert 0 == ran.status, ran.err
    summary = ran.document
    assert (0, 0, 0, 0) == (
        summary["differences"],
        summary["refused"],
        summary["history_automations"],
        summary["lightspeed_429s"],
    )
    assert {"customers", "sales", "lines", "payments", "seconds", "peak_memory_mb"} <= set(summary)
    assert summary["live_sales"] >= 12
    assert summary["lightspeed_calls"] > 0
    assert summary["salesforce_calls"] > 0


def test_the_demo_tells_its_story(cli):
    ran = cli("demo", "--customers", "40", "--sales", "60", "--shops", "2", "--model", "contact")
    assert 0 == ran.status, ran.err
    for said in (
        "Open for business",
        "brought back, refunded",
        "voided",
        "a new customer",
        "Salesforce sales",
        "Both systems agree to the cent",
        "tillbridge demo --keep",
    ):
        assert said in ran.out
    assert "✗" not in ran.out


def test_kept_running_it_sells_until_somebody_stops_it(cli, tmp_path):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) > 12:
            raise KeyboardInterrupt

    home = tmp_path / "demo"
    argv = ["demo", "--customers", "40", "--sales", "60", "--shops", "2"]
    ran = cli(*argv, "--keep", "--home", home, pause=pause)
    assert 0 == ran.status, ran.err
    assert f"tillbridge status --home {home}" in ran.said
    assert "Closed." in ran.out
    assert cli("status", "--home", home, "--json").document["counts"]["sale"]
    seen = re.search(r"Sales were last read (\d+) (s|min) ago", cli("status", "--home", home).out)
    assert seen, "it is looked at by the demo's own clock"
    assert ahead_seconds(home) != pytest.approx(0, abs=60)


def test_a_home_that_is_in_use_is_left_alone(cli, tmp_path):
    (tmp_path / "tillbridge.toml").write_text("# mine", encoding="utf-8")
    ran = cli("demo", "--home", tmp_path)
    assert 2 == ran.status
    assert "--home: " in ran.err
    assert "# mine" == (tmp_path / "tillbridge.toml").read_text(encoding="utf-8")

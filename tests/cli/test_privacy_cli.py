"""`export customer`, `erase customer`, `erase replay` and `erase verify` as people use them."""

import io
import json

import pytest

from tillbridge.wiring import alone


@pytest.fixture
def loaded(world):
    world.cli("backfill")
    return world


@pytest.fixture
def typed(monkeypatch):
    """Somebody at the keyboard."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def erase(world, *more):
    return world.cli("erase", "customer", world.buyer, "--yes", *more)


def report_of(world):
    [path] = world.home.glob("erasure-*.json")
    return path


def test_an_export_is_one_file_for_its_owners_eyes(loaded, tmp_path):
    out = tmp_path / "mirte.json"
    ran = loaded.cli("export", "customer", loaded.buyer, "--out", out)

    assert (0, 0o600) == (ran.status, out.stat().st_mode & 0o777)
    assert f"{out} holds everything of customer {loaded.buyer}" in ran.said
    document = json.loads(out.read_text())
    assert "Mirte" == document["till"]["customers"][0]["first_name"]
    assert "Mirte" not in ran.said
    again = loaded.cli("export", "customer", loaded.buyer, "--out", out)
    assert (2, True) == (again.status, "is there already" in again.said)


def test_an_erasure_says_what_it_did_and_what_remains(loaded):
    ran = erase(loaded)

    assert 0 == ran.status, ran.said
    assert f"Customer {loaded.buyer} is erased" in ran.said
    assert "What remains: - both sides, receipts:" in ran.said
    assert "Customer" == loaded.till_row("Customer", loaded.buyer)["firstName"]
    assert "Mirte" not in report_of(loaded).read_text()


def test_nothing_is_erased_unless_the_id_is_typed(loaded, typed):
    for text in ("", "yes\n"):
        typed(text)
        ran = loaded.cli("erase", "customer", loaded.buyer)
        assert (2, True) == (ran.status, "Nothing was erased." in ran.said)
    assert "Mirte" == loaded.till_row("Customer", loaded.buyer)["firstName"]

    typed(f"{loaded.buyer}\n")
    ran = loaded.cli("erase", "customer", loaded.buyer)
    assert (0, True) == (ran.status, "This cannot be taken back" in ran.said)
    assert "Customer" == loaded.till_row("Customer", loaded.buyer)["firstName"]


def test_json_cannot_ask_back(loaded):
    ran = loaded.cli("erase", "customer", loaded.buyer, "--json")

    assert (2, True) == (ran.status, "add --yes" in ran.said)


def test_a_report_is_known_again_until_it_is_changed(loaded):
    report = erase(loaded, "--json").document
    path = report_of(loaded)

    assert report == json.loads(path.read_text())
    ran = loaded.cli("erase", "verify", path)
    assert (0, True) == (ran.status, "is unchanged; its tombstones stand" in ran.said)
    path.write_text(json.dumps({**report, "finished": False}))
    ran = loaded.cli("erase", "verify", path)
    assert (1, True) == (ran.status, "was changed" in ran.said)
    path.write_text("{}")
    assert 2 == loaded.cli("erase", "verify", path).status


def test_an_export_that_lies_in_the_home_is_told(loaded):
    out = loaded.home / "mirte.json"
    loaded.cli("export", "customer", loaded.buyer, "--out", out)
    ran = erase(loaded)

    assert (1, True) == (ran.status, "! this home, file mirte.json" in ran.said)
    out.unlink()
    assert 0 == erase(loaded).status


def test_it_waits_for_no_other_run(loaded):
    with alone(loaded.home):
        ran = erase(loaded)

    assert (75, True) == (ran.status, "Another run is writing" in ran.said)
    assert "Mirte" == loaded.till_row("Customer", loaded.buyer)["firstName"]


def test_a_replay_of_nothing_changes_nothing(loaded):
    erase(loaded)
    ran = loaded.cli("erase", "replay")

    assert (0, "1 erasure known.") == (ran.status, ran.out.strip())


def test_nobody_is_said_in_a_sentence(loaded):
    ran = loaded.cli("erase", "customer", "99999", "--yes")

    assert (2, True) == (ran.status, "99999 leads to nobody" in ran.said)


def test_the_rules_come_from_the_configuration(loaded):
    loaded.configure('[privacy]\ntill = "keep"\ncrm = "keep"')
    ran = erase(loaded)

    assert (0, True) == (ran.status, 'privacy.till is "keep"' in ran.said)
    assert "Mirte" == loaded.till_row("Customer", loaded.buyer)["firstName"]

"""Another key for everything that is sealed: all of it, whole or not at all, wherever it is stopped."""

import base64
import io
import json
import os
import sqlite3
import sys
from contextlib import closing
from itertools import islice

import pytest
import sqlalchemy as sa
from installed import Installation

from tillbridge import config
from tillbridge.cli.keys import changes_of_key
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.secrets import Vault, open_vault
from tillbridge.store import schema
from tillbridge.store.resealing import PLACES
from tillbridge.store.searching import payloads
from tillbridge.wiring import alone, open_state, vault_for


def key_text(letter):
    return base64.b64encode(letter * 32).decode()


OLD, NEW = key_text(b"o"), key_text(b"n")
BY_VARIABLE = {"TILLBRIDGE_KEY": OLD, "TILLBRIDGE_NEW_KEY": NEW}

# Hashes: what they were made of is gone, so no key can make them anew (see secrets.LASTING).
HASHES = {("record", "digest"), ("person_key", "key"), ("till_person_key", "key"), ("tombstone", "hash"),
          ("raw", "digest")}  # fmt: skip


@pytest.fixture
def shop(found):
    """A shop whose state holds something sealed of many kinds."""
    return _with_something_sealed(found())


def _with_something_sealed(world):
    world.customer("Mirte", "Perelaer", email="mirte@mail.example")
    world.person("Anna", "Prins", email="anna@mail.example")
    world.ring(world.item("Ring", "100"))
    return world


def held(world, env):
    """Open everything that the state holds; what does not open is counted."""
    state = open_state(world.home, world.clock)
    unreadable = []
    try:
        vault = vault_for(world.home, state, env)
        return len(list(payloads(state, vault, unreadable))), unreadable
    finally:
        state.close()


def sealed_by(world, vault):
    """Count what a key opens in the file itself, whatever the state says of its key."""
    state = open_state(world.home, world.clock)
    try:
        with state.begin() as c:
            found = 0
            for table, column, place in PLACES:
                for row in c.execute(sa.select(table)).mappings():
                    found += row[column] is not None and opens(vault, row[column], place(row))
        return found
    finally:
        state.close()


def opens(vault, sealed, place):
    try:
        vault.open(sealed, place)
    except ConfigurationInvalid:
        return False
    return True


# --- all of it -----------------------------------------------------------------------------------


def test_every_column_of_bytes_is_sealed_anew_or_is_a_hash():
    """Whoever adds a sealed column adds it to `store.resealing.PLACES`, through `searching.SEALED`."""
    columns = {
        (table.name, column.name)
        for table in schema.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    assert columns - HASHES == {(table.name, column) for table, column, _ in PLACES}


@pytest.mark.parametrize("env", [{}, BY_VARIABLE], ids=["a key file", "a variable"])
def test_everything_opens_with_the_new_key_and_nothing_with_the_old(shop, env):
    before = {key: value for key, value in env.items() if key == "TILLBRIDGE_KEY"}
    shop.cli("backfill", env=before)
    old = open_vault(shop.home, before)
    count, unreadable = held(shop, before)
    assert (True, []) == (count > 3, unreadable)

    ran = shop.cli("key", "rotate", "--json", env=env)
    assert 0 == ran.status, ran.said
    after = {"TILLBRIDGE_KEY": NEW} if env else {}
    assert (count, []) == held(shop, after)
    assert 0 == sealed_by(shop, old)
    assert sealed_by(shop, open_vault(shop.home, after)) >= count
    assert 0 == shop.cli("sync", env=after).status, "tokens open, too"


@pytest.fixture
def shop_on_postgres(found, new_database):
    """The same shop with its state in PostgreSQL."""
    return _with_something_sealed(found(database=new_database))


def test_a_state_in_postgresql_is_sealed_anew_too(shop_on_postgres):
    shop = shop_on_postgres
    shop.cli("backfill")
    old, (count, unreadable) = open_vault(shop.home, {}), held(shop, {})
    assert (True, []) == (count > 3, unreadable)

    ran = shop.cli("key", "rotate", "--json")

    assert 0 == ran.status, ran.said
    assert (count, []) == held(shop, {})
    assert 0 == sealed_by(shop, old)
    assert sealed_by(shop, open_vault(shop.home, {})) >= count
    assert 0 == shop.cli("sync").status, "tokens open, too"


@pytest.mark.parametrize("steps", [2, 4])
def test_on_postgresql_whoever_is_stopped_runs_it_again(shop_on_postgres, steps):
    shop = shop_on_postgres
    shop.cli("backfill")
    old, (count, _) = open_vault(shop.home, {}), held(shop, {})
    change = changes_of_key({}, shop.home)
    assert steps == len(list(islice(change, steps)))
    change.close()

    assert 0 == shop.cli("key", "rotate").status
    assert ((count, []), 0) == (held(shop, {}), sealed_by(shop, old))


def test_people_are_still_found_by_their_hashes(shop):
    shop.cli("backfill")
    shop.cli("key", "rotate")
    shop.cli("key", "rotate")
    shop.customer("Anna", "Prins", email="anna@mail.example")
    shop.cli("sync")
    assert 2 == len(shop.all_rows("Account")), "Anna of the till is Anna of Salesforce"


def test_no_free_page_keeps_what_the_old_key_opens(shop):
    shop.cli("backfill")
    with closing(sqlite3.connect(shop.home / "tillbridge.sqlite")) as state:
        blobs = [row[0] for row in state.execute("SELECT sealed FROM token")]
    shop.cli("key", "rotate")
    everything = b"".join(path.read_bytes() for path in shop.home.glob("tillbridge.sqlite*"))
    assert [False] * len(blobs) == [blob in everything for blob in blobs]


def test_the_old_key_no_longer_fits(shop):
    env = {"TILLBRIDGE_KEY": OLD}
    shop.cli("backfill", env=env)
    shop.cli("key", "rotate", env=BY_VARIABLE)
    ran = shop.cli("sync", env=env)
    assert (2, True) == (ran.status, "does not open what is stored" in ran.said)


# --- stopped anywhere ----------------------------------------------------------------------------


class Stopped(Exception):
    """The process is gone."""


def steps_of(env):
    return 7 if "TILLBRIDGE_KEY" not in env else 6


@pytest.mark.parametrize(
    ("env", "steps"),
    [pytest.param(env, n, id=f"{name}, after step {n}")
     for name, env in (("a key file", {}), ("a variable", BY_VARIABLE)) for n in range(1, steps_of(env) + 1)],
)  # fmt: skip
def test_whoever_is_stopped_runs_it_again(shop, env, steps):
    before = {key: value for key, value in env.items() if key == "TILLBRIDGE_KEY"}
    shop.cli("secrets", "set", "something", "--env", "IT", env={**before, "IT": "a secret"})
    shop.cli("backfill", env=before)
    old, (count, _) = open_vault(shop.home, before), held(shop, before)
    change = changes_of_key(env, shop.home)
    assert steps == len(list(islice(change, steps)))
    change.close()

    ran = shop.cli("key", "rotate", env=env)
    assert 0 == ran.status, ran.said
    after = {"TILLBRIDGE_KEY": NEW} if env else {}
    assert ((count, []), 0) == (held(shop, after), sealed_by(shop, old))
    looked_up = config.SecretLookup(shop.home, after)
    assert "a secret" == looked_up("something")
    assert set() == {path.name for path in shop.home.iterdir()} & {"key.next", "key.changing", ".key.next"}


def test_the_steps_are_as_many_as_are_tried(shop):
    assert steps_of({}) == len(list(changes_of_key({}, shop.home)))


def test_a_state_is_sealed_anew_as_a_whole_or_not_at_all(shop, monkeypatch):
    shop.cli("backfill")
    count, _ = held(shop, {})
    sealing = Vault.seal
    left = [3]

    def seal(vault, plain, place):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return sealing(vault, plain, place)

    monkeypatch.setattr(Vault, "seal", seal)
    with pytest.raises(Stopped):
        list(changes_of_key({}, shop.home))
    monkeypatch.undo()
    ran = shop.cli("sync")
    assert (2, True) == (ran.status, "`tillbridge key rotate` ends it" in ran.said)
    assert 0 == shop.cli("key", "rotate").status
    assert (count, []) == held(shop, {})


def test_a_change_to_one_key_is_not_ended_with_another(shop):
    shop.cli("backfill", env={"TILLBRIDGE_KEY": OLD})
    change = changes_of_key(BY_VARIABLE, shop.home)
    next(change), next(change)
    change.close()
    ran = shop.cli("key", "rotate", env={**BY_VARIABLE, "TILLBRIDGE_NEW_KEY": key_text(b"x")})
    assert (2, True) == (ran.status, "was begun here and not ended" in ran.said)


# --- who may not ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"TILLBRIDGE_KEY": OLD}, "TILLBRIDGE_NEW_KEY: is not set"),
        ({"TILLBRIDGE_KEY": OLD, "TILLBRIDGE_NEW_KEY": OLD}, "is the same key"),
        ({"TILLBRIDGE_KEY": OLD, "TILLBRIDGE_NEW_KEY": "short"}, "must hold 32 bytes in base64"),
    ],
    ids=["no new one", "the same", "no key"],
)
def test_what_is_no_new_key(shop, env, words):
    ran = shop.cli("key", "rotate", env=env)
    assert (2, True) == (ran.status, words in ran.said)


def test_a_run_that_writes_holds_it_off(shop):
    with alone(shop.home):
        ran = shop.cli("key", "rotate")
    assert (75, True) == (ran.status, "cannot be changed while somebody works with it" in ran.said)


@pytest.fixture
def shops(tmp_path):
    made = Installation(tmp_path / "shops", "north", "south")
    yield made
    made.close()


def test_each_connection_has_a_key_of_its_own(shops):
    marks = lambda: {n: open_vault(shops.folder / "connections" / n, {}).mark for n in shops.worlds}  # noqa: E731
    for name in shops.worlds:
        shops.cli("backfill", "--connection", name)
    before = marks()
    assert 0 == shops.cli("key", "rotate", "--connection", "north").status
    changed = {name for name, mark in marks().items() if mark != before[name]}
    assert {"north"} == changed


def test_a_key_in_a_variable_is_changed_for_all_and_goes_on_where_it_was_stopped(shops):
    for name in shops.worlds:
        (shops.folder / "connections" / name / "tillbridge.sqlite").unlink()
        shops.cli("backfill", "--connection", name, env={"TILLBRIDGE_KEY": OLD})
    ran = shops.cli("key", "rotate", "--connection", "north", env=BY_VARIABLE)
    assert (2, True) == (ran.status, "all connections share TILLBRIDGE_KEY" in ran.said)
    list(changes_of_key(BY_VARIABLE, shops.folder / "connections" / "north"))
    assert 0 == shops.cli("key", "rotate", env=BY_VARIABLE).status
    for name, world in shops.worlds.items():
        assert [] == held(world, {"TILLBRIDGE_KEY": NEW})[1]
        assert 0 == shops.cli("sync", "--connection", name, env={"TILLBRIDGE_KEY": NEW}).status


# --- secrets -------------------------------------------------------------------------------------


def test_a_secret_is_read_from_standard_input_and_shown_to_nobody(shop, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("demo-consumer-secret\n"))
    ran = shop.cli("secrets", "set", "crm_secret")
    assert (0, False) == (ran.status, "demo-consumer-secret" in ran.said)
    listed = shop.cli("secrets", "list", "--json")
    assert (["crm_secret"], False) == (listed.document["secrets"], "demo-consumer-secret" in listed.said)
    assert b"demo-consumer-secret" not in (shop.home / "secrets.json").read_bytes()
    assert 0o600 == (shop.home / "secrets.json").stat().st_mode & 0o777

    toml = shop.home / "tillbridge.toml"
    toml.write_text(
        toml.read_text("utf-8").replace('"demo-consumer-secret"', '{ secret = "crm_secret" }'),
        encoding="utf-8",
    )
    assert 0 == shop.cli("connection", "test", "default").status


def test_a_service_notices_a_new_secret(shop):
    toml = shop.home / "tillbridge.toml"
    os.utime(toml, (1, 1))
    shop.cli("secrets", "set", "crm_secret", "--env", "IT", env={"IT": "x"})
    assert toml.stat().st_mtime > 1


@pytest.mark.parametrize(
    ("words", "env", "sentence"),
    [
        (("set", "a", "--env", "IT"), {}, "that environment variable is not set"),
        (("set", "a", "--env", "IT"), {"IT": " "}, "is empty"),
        (("set", "no name!", "--env", "IT"), {"IT": "x"}, "is no name"),
        (("remove", "a"), {}, "no secret of that name"),
    ],
    ids=["variable not set", "empty", "bad name", "unknown"],
)
def test_what_cannot_be_sealed(shop, words, env, sentence):
    ran = shop.cli("secrets", *words, env=env)
    assert (2, True) == (ran.status, sentence in ran.said)


def test_a_secret_that_is_not_sealed_yet_is_asked_for(shop):
    toml = shop.home / "tillbridge.toml"
    toml.write_text(
        toml.read_text("utf-8").replace('"demo-secret"', '{ secret = "till_secret" }'), encoding="utf-8"
    )
    ran = shop.cli("sync")
    assert (2, True) == (ran.status, "lightspeed.client_secret: nothing is sealed as till_secret" in ran.said)


def test_a_secret_is_moved_nowhere_else(shop):
    """Sealed values are bound to their names: one put in another's place does not open."""
    shop.cli("secrets", "set", "one", "--env", "IT", env={"IT": "x"})
    path = shop.home / "secrets.json"
    path.write_text(json.dumps({"two": json.loads(path.read_text())["one"]}), encoding="utf-8")
    with pytest.raises(ConfigurationInvalid, match="another key"):
        config.SecretLookup(shop.home, {})("two")

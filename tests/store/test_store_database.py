"""The state file: its schema is the sum of its migrations, and a broken disk is said in words."""

import os
import stat
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from store_home import Home

from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.errors import ConfigurationInvalid, Halted, SyncError
from tillbridge.secrets import KEY_FILE, Vault, open_vault
from tillbridge.store import database, schema
from tillbridge.store.database import FILE_NAME, HEAD, open_database
from tillbridge.store.people import Verdict


def plain_engine(place):
    """Open a state as an administrator does: without anything of ours."""
    if place.url is None:
        return sa.create_engine(f"sqlite:///{place.file}")
    return sa.create_engine(place.url, connect_args={"options": f'-csearch_path="{place.schema}"'})


@contextmanager
def looked_into(place):
    engine = plain_engine(place)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_the_migrations_make_exactly_the_tables_of_the_schema(home):
    with looked_into(home.place) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), schema.metadata)

    assert [] == differences


def upgraded(place, revision):
    """Make a state as an older version left it."""
    config = Config()
    config.set_main_option("script_location", str(database.Path(database.__file__).parent / "migrations"))
    engine = plain_engine(place)
    with engine.begin() as connection:
        if place.url is not None:
            connection.execute(sa.schema.CreateSchema(place.schema))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(
            sa.text(
                "INSERT INTO record (kind, till_id, crm_id, state, digest, history, moved_at)"
                " VALUES ('sale', '7', 'a0X7', 'settled', :digest, :yes, 1.5)"
            ),
            {"digest": b"d" * 16, "yes": True},
        )
        connection.execute(
            sa.text(
                "INSERT INTO problem (kind, till_id, object, cause, code, message, fields, state, attempts,"
                " first_at, last_at) VALUES ('sale', '8', 'Sale', 'c', 'C', 'm', '', :state, 1, 1.0, 2.0)"
            ),
            {"state": "open" if revision == "0001" else "retrying"},
        )
    engine.dispose()


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
def test_a_state_of_an_older_version_is_brought_up_to_date_and_keeps_what_it_knows(place, revision):
    upgraded(place, revision)
    home = Home(place)
    known, problems = home.known("sale", "7"), home.journal.open_problems()
    with looked_into(place) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), schema.metadata)
    home.close()

    assert ("a0X7", b"d" * 16, True) == (known.crm_id, known.digest, known.history)
    assert [("8", "retrying")] == [(each.till_id, each.state) for each in problems]
    assert [] == differences


def test_an_upgrade_that_fails_changes_nothing(schema_home):
    """What PostgreSQL can and SQLite cannot: the whole upgrade is one transaction."""
    with schema_home.state.begin() as c:
        c.execute(sa.text("UPDATE alembic_version SET version_num = '0003'"))  # Its tables are there already.
    with pytest.raises(sa.exc.ProgrammingError, match="already exists"):
        open_database(schema_home.place)

    with looked_into(schema_home.place) as connection:
        assert "0003" == MigrationContext.configure(connection).get_current_revision()


def test_head_names_the_newest_migration(home):
    config = Config()
    config.set_main_option("script_location", str(database.Path(database.__file__).parent / "migrations"))

    assert [HEAD] == ScriptDirectory.from_config(config).get_heads()
    with looked_into(home.place) as connection:
        assert HEAD == MigrationContext.configure(connection).get_current_revision()


def test_what_is_written_survives_a_power_cut_and_readers_do_not_wait(file_home):
    with file_home.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous")
        }

    assert {"journal_mode": "wal", "synchronous": 2} == pragmas


def test_a_state_of_a_newer_version_halts(home):
    with home.state.begin() as c:
        c.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    home.close()
    with pytest.raises(Halted, match="newer Tillbridge"):
        open_database(home.place)


def test_a_file_that_is_no_state_is_said_so(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"these are my holiday notes, all of them, in one place" * 40)
    with pytest.raises(ConfigurationInvalid, match="not a Tillbridge state file"):
        open_database(tmp_path)


def test_a_folder_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(SyncError) as error:
        open_database(tmp_path / "nowhere")
    assert "nowhere" in str(error.value)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_new_state_is_readable_by_its_owner_alone_whatever_the_mask(tmp_path, mask):
    before = os.umask(mask)
    try:
        made = Home(tmp_path)
        made.stand("sale", "1")
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob(f"{FILE_NAME}*")}
    made.close()

    assert {FILE_NAME: 0o600, f"{FILE_NAME}-wal": 0o600, f"{FILE_NAME}-shm": 0o600} == modes


def test_a_state_that_is_there_keeps_the_mode_that_its_owner_gave_it(file_home):
    file = file_home.path / FILE_NAME
    file.chmod(0o640)
    file_home.again().close()

    assert 0o640 == stat.S_IMODE(file.stat().st_mode)


# --- sealing --------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    first = open_vault(tmp_path, {})
    mode = stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode)

    assert 0o600 == mode
    assert b"x" == open_vault(tmp_path, {}).open(first.seal(b"x", "here"), "here")


def test_a_key_that_others_may_read_is_refused(tmp_path):
    open_vault(tmp_path, {})
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(ConfigurationInvalid, match="chmod 600"):
        open_vault(tmp_path, {})


def test_a_key_that_is_missing_is_never_replaced_by_another_one(file_home):
    """A new key would open nothing of what is there, and hide that the old one is what is needed."""
    home = file_home
    with home.state.begin() as c:
        home.people.decide(c, [Verdict("1", "review", None, {"candidates": []}, 0.0)])
    key = home.path / KEY_FILE
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(ConfigurationInvalid, match=r"key: is missing, .* put the file back") as caught:
        open_vault(home.path, {})
    assert (str(key), False) == (caught.value.mistakes[0][0], key.exists())
    open_vault(home.path, {"TILLBRIDGE_KEY": kept.decode().strip()})


def test_a_state_in_which_nothing_was_sealed_yet_gets_a_key(home):
    (home.path / KEY_FILE).unlink()
    open_vault(home.path, {})
    assert (home.path / KEY_FILE).exists()


def test_a_key_that_is_another_one_is_named_by_where_it_is(home, tmp_path):
    sealed = home.vault.seal(b"Anna", "here")
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConfigurationInvalid, match=f"{other / KEY_FILE}: does not open"):
        open_vault(other, {}).open(sealed, "here")


@pytest.mark.parametrize("text", ["short", "bm90IDMyIGJ5dGVz", "!" * 44])
def test_a_key_of_another_size_is_refused(tmp_path, text):
    with pytest.raises(ConfigurationInvalid, match="32 bytes in base64"):
        open_vault(tmp_path, {"TILLBRIDGE_KEY": text})


def test_what_is_sealed_opens_in_its_own_place_only():
    vault, other = Vault(b"1" * 32), Vault(b"2" * 32)
    sealed = vault.seal(b"Anna", "person 1")

    assert b"Anna" == vault.open(sealed, "person 1")
    assert b"Anna" not in sealed
    assert sealed != vault.seal(b"Anna", "person 1")
    for opener, place in ((vault, "person 2"), (other, "person 1")):
        with pytest.raises(ConfigurationInvalid, match="another key"):
            opener.open(sealed, place)


def test_blinded_keys_meet_and_tell_nothing():
    vault, other = Vault(b"1" * 32), Vault(b"2" * 32)

    assert vault.blind("e:anna@prins.example") == vault.blind("e:anna@prins.example")
    assert vault.blind("e:anna@prins.example") != other.blind("e:anna@prins.example")
    assert b"anna" not in vault.blind("e:anna@prins.example")


def test_nothing_in_the_database_names_a_person(home):
    anna = CrmPersonRow(
        id="001", object="Account", first="Anna", last="Prinsheim", emails=("anna@prins.example",)
    )
    with home.state.begin() as c:
        home.people.index(c, [(anna, ["e:anna@prins.example"])])
        home.people.decide(
            c, [Verdict("1", "review", None, {"candidates": [{"name": "Anna Prinsheim"}]}, 0.0)]
        )
        home.people.cast(c, {("1", "till"): {"LastName": "Prinsheim"}})
    content = home.content()

    assert [] == [word for word in (b"Prinsheim", b"anna@prins.example") if word in content]
    opened = home.again()
    assert "Anna" == opened.people.find({"x": ["e:anna@prins.example"]})["x"][0].first
    opened.close()


def test_two_sealed_rows_that_are_swapped_do_not_open(home):
    with home.state.begin() as c:
        home.people.cast(c, {("1", "till"): {"LastName": "Prins"}, ("2", "till"): {"LastName": "Kramer"}})
        blobs = dict(c.execute(sa.select(schema.shadow.c.till_id, schema.shadow.c.fields)).all())
        for till_id, other in (("1", "2"), ("2", "1")):
            c.execute(
                sa.update(schema.shadow).where(schema.shadow.c.till_id == till_id).values(fields=blobs[other])
            )
    with pytest.raises(ConfigurationInvalid, match="another key"):
        home.people.shadows(["1"])

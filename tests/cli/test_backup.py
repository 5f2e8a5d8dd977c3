"""`backup`, `restore` and `upgrade`: in one file, at any time; into an empty folder; never over anything."""

import io
import json
import sqlite3
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from installed import Installation

from tillbridge.installation import embedded
from tillbridge.store import database
from tillbridge.store.database import HEAD
from tillbridge.wiring import open_state

KEY = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="


def names(file):
    with tarfile.open(file) as tar:
        return set(tar.getnames())


def manifest(file):
    with tarfile.open(file) as tar:
        return json.load(tar.extractfile("backup.json"))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "kept" / "backup.tar"


@pytest.fixture(autouse=True)
def folder(file):
    file.parent.mkdir()


@pytest.fixture
def restored(cli, tmp_path, file):
    def restore(**more):
        return cli("restore", file, "--home", tmp_path / "again", **more)

    return restore


# --- backup --------------------------------------------------------------------------------------


def test_everything_but_the_key_is_in_it(synced, file):
    ran = synced.cli("backup", file)
    assert (0, True) == (ran.status, "The key is NOT in it" in ran.said)
    assert {"backup.json", "tillbridge.toml", "tillbridge.sqlite", "service.sqlite"} == names(file)
    assert 0o600 == file.stat().st_mode & 0o777
    assert [file] == list(file.parent.iterdir()), "no draft is left"


def test_with_the_key_it_says_what_that_means(synced, file):
    (synced.home / "salesforce.key").write_text("-----BEGIN PRIVATE KEY-----", encoding="utf-8")
    config = synced.home / "tillbridge.toml"
    before = config.read_text("utf-8")
    config.write_text(
        before.replace("[salesforce]", '[salesforce]\nprivate_key_file = "salesforce.key"'), encoding="utf-8"
    )
    ran = synced.cli("backup", file, "--with-key")
    config.write_text(before, encoding="utf-8")
    assert (0, True) == (ran.status, "whoever has the file can read everything" in ran.said)
    assert {"key", "salesforce.key"} <= names(file)


def test_nothing_is_overwritten(synced, file):
    file.write_text("precious")
    ran = synced.cli("backup", file)
    assert (2, "precious") == (ran.status, file.read_text())


def test_several_connections_are_in_one_file(tmp_path, file):
    made = Installation(tmp_path / "shops", "north", "south")
    (made.folder / "tillbridge.toml").write_text("[service]\nport = 9000\n", encoding="utf-8")
    for name in made.worlds:
        made.cli("backfill", "--connection", name)
    made.cli("pause", "--connection", "south")
    document = made.cli("backup", file, "--json").document
    made.close()
    assert ["north", "south"] == document["connections"]
    inside = {f"connections/{name}/tillbridge.sqlite" for name in ("north", "south")}
    assert inside | {"tillbridge.toml", "service.sqlite"} <= names(file)


def test_a_copy_is_one_moment_although_somebody_writes(synced, file):
    """Two facts are always written together: no copy holds one without the other."""
    ending = threading.Event()

    def write():
        state = open_state(synced.home)
        number = 0
        while not ending.is_set():
            number += 1
            with state.begin() as c:
                state.keep(c, "one hand", number)
                state.keep(c, "other hand", number)
        state.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = []
        for number in range(5):
            ran = synced.cli("backup", file.with_name(f"{number}.tar"))
            assert 0 == ran.status, ran.said
            seen.append(hands(file.with_name(f"{number}.tar"), file.parent))
    finally:
        ending.set()
        writer.join()
    assert all(one == other for one, other in seen)
    assert len(set(seen)) > 1, "somebody did write"


def hands(file, folder):
    place = folder / f"{file.stem}.sqlite"
    with tarfile.open(file) as tar:
        place.write_bytes(tar.extractfile("tillbridge.sqlite").read())
    with closing(sqlite3.connect(place)) as state:
        found = dict(state.execute("SELECT name, value FROM meta WHERE name LIKE '% hand'").fetchall())
    return found.get("one hand"), found.get("other hand")


def test_a_state_in_postgresql_is_told_how(world, file):
    config = world.home / "tillbridge.toml"
    config.write_text(
        config.read_text("utf-8") + '\n[service]\ndatabase_url = "postgresql://me:pw@127.0.0.1:1/x"\n',
        encoding="utf-8",
    )
    ran = world.cli("backup", file)
    assert (2, True, False) == (ran.status, "pg_dump --format=custom" in ran.said, "pw@" in ran.said)


# --- restore -------------------------------------------------------------------------------------


def test_a_restored_folder_is_as_it_was(synced, file, restored, tmp_path):
    synced.cli("backup", file, "--with-key")
    ran = restored()
    assert 0 == ran.status, ran.said
    again = tmp_path / "again"
    assert (synced.home / "tillbridge.toml").read_bytes() == (again / "tillbridge.toml").read_bytes()
    assert 0o600 == (again / "key").stat().st_mode & 0o777
    before, after = (counts(home) for home in (synced.home, again))
    assert before == after


def counts(home):
    state = open_state(home)
    try:
        return state.count_states()
    finally:
        state.close()


@pytest.mark.parametrize(
    "sentence",
    [
        "Make sure that the old copy never runs again",
        "Put the key of default back",
        "its refresh token is used once",
        "tillbridge erase replay",
        "tillbridge sync",
    ],
)
def test_it_says_what_to_do_before_it_may_run(synced, file, restored, sentence):
    synced.cli("backup", file)
    assert sentence in restored().said


def test_another_key_than_the_one_it_was_made_with_is_noticed(world, file, restored):
    (world.home / "tillbridge.sqlite").unlink()
    world.cli("sync", env={"TILLBRIDGE_KEY": KEY})
    world.cli("backup", file, env={"TILLBRIDGE_KEY": KEY})
    other = KEY.replace("a2tr", "b2tr")
    assert "another one" in restored(env={"TILLBRIDGE_KEY": other}).said


def test_the_same_key_needs_no_word(world, file, restored):
    (world.home / "tillbridge.sqlite").unlink()
    world.cli("sync", env={"TILLBRIDGE_KEY": KEY})
    world.cli("backup", file, env={"TILLBRIDGE_KEY": KEY})
    assert "key that it was backed up with" not in restored(env={"TILLBRIDGE_KEY": KEY}).said


def test_a_folder_with_anything_in_it_is_left_alone(synced, file, restored, tmp_path):
    synced.cli("backup", file)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "mine").write_text("precious")
    ran = restored()
    assert (2, ["mine"]) == (ran.status, [path.name for path in (tmp_path / "again").iterdir()])


def rewritten(file, change):
    """Write a backup anew with some of its files changed."""
    with tarfile.open(file) as tar:
        held = [(entry.name, tar.extractfile(entry).read()) for entry in tar]
    with tarfile.open(file, "w") as tar:
        for name, content in change(held):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def flip(held):
    return [(name, content.replace(b"account_id", b"account_iD")) for name, content in held]


def lose(held):
    return [each for each in held if each[0] != "tillbridge.sqlite"]


def climb(held):
    text = held[0][1].replace(b'"path": "tillbridge.toml"', b'"path": "../outside.toml"')
    return [
        ("backup.json", text),
        *((n.replace("tillbridge.toml", "../outside.toml"), c) for n, c in held[1:]),
    ]


def newer(held):
    text = held[0][1].replace(f'"schema": "{HEAD}"'.encode(), b'"schema": "9999"')
    return [("backup.json", text), *held[1:]]


DAMAGES = [
    ("a byte was changed", flip, "was changed since"),
    ("a file is missing", lose, "tillbridge.sqlite is missing"),
    ("it would write elsewhere", climb, "it would write to ../outside.toml"),
    ("it was made by a newer version", newer, "made by a newer Tillbridge"),
    ("the manifest is gone", lambda held: held[1:], "backup.json does not come first"),
]


@pytest.mark.parametrize(("change", "sentence"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_what_is_not_whole_is_not_restored(synced, file, restored, tmp_path, change, sentence):
    synced.cli("backup", file)
    rewritten(file, change)
    ran = restored()
    assert (2, True) == (ran.status, sentence in ran.said), ran.said
    assert (False, False) == ((tmp_path / "again").exists(), (tmp_path / "outside.toml").exists())


def test_a_file_of_something_else_is_no_backup(file, restored):
    file.write_bytes(b"hello" * 1000)
    ran = restored()
    assert (2, True) == (ran.status, "is no whole backup of Tillbridge" in ran.said)


def test_a_backup_that_is_cut_off_is_not_restored(synced, file, restored, tmp_path):
    synced.cli("backup", file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert (2, False) == (restored().status, (tmp_path / "again").exists())


# --- upgrade -------------------------------------------------------------------------------------


def make_older(world, revision="0003"):
    """Begin a state as the version before would have, with a link in it."""
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    path = world.home / "tillbridge.sqlite"
    path.unlink()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        values = "('sale', '9', '001000000000009AAA', 'settled', 1.0)"
        connection.execute(
            sa.text(f"INSERT INTO record (kind, till_id, crm_id, state, moved_at) VALUES {values}")
        )
    engine.dispose()


def test_an_older_state_is_upgraded_with_a_copy_beside_it(world):
    make_older(world)
    ran = world.cli("upgrade", "--json")
    [told] = ran.document["connections"]
    copy = world.home / "tillbridge.sqlite.0003"
    assert (0, ("0003", HEAD, str(copy))) == (ran.status, (told["from"], told["to"], told["backup"]))
    with closing(sqlite3.connect(copy)) as old:
        assert ("0003",) == old.execute("SELECT version_num FROM alembic_version").fetchone()
    assert "001000000000009AAA" == world.known("sale", "9").crm_id
    assert "nothing to do" in world.cli("upgrade").said


def test_any_command_upgrades_an_older_state(world):
    make_older(world)
    assert 0 == world.cli("status").status
    assert "nothing to do" in world.cli("upgrade").said


@pytest.mark.parametrize("word", ["sync", "upgrade", "status"])
def test_a_newer_state_is_refused_in_a_sentence(world, word):
    with closing(sqlite3.connect(world.home / "tillbridge.sqlite")) as state, state:
        state.execute("UPDATE alembic_version SET version_num = '9999'")
    ran = world.cli(word)
    assert (2, True) == (ran.status, "was written by a newer Tillbridge (schema 9999)" in ran.said)
    assert not list(world.home.glob("tillbridge.sqlite.9999"))


def test_a_service_that_runs_is_stopped_first(world):
    with embedded(world.home):
        ran = world.cli("upgrade")
    assert (75, True) == (ran.status, "Stop the service first" in ran.said)

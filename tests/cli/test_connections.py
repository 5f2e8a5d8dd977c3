"""Several connections in one installation: chosen by name, added, looked at, tested and erased."""

import io
import json
import sys

import pytest
import sqlalchemy as sa
from installed import Installation

from tillbridge import draft
from tillbridge.secrets import SealedSecrets, open_vault
from tillbridge.store.access import Access
from tillbridge.store.service import Ended, open_service, service_url
from tillbridge.wiring import alone


@pytest.fixture
def empty(tmp_path):
    """A folder in which nothing is yet."""
    made = Installation(tmp_path / "shops")
    yield made
    made.close()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two shops that were loaded; tests only look."""
    made = Installation(tmp_path_factory.mktemp("shops"), "north", "south")
    north, south = made.worlds.values()
    north.customer("Noor", "Noordhoek", email="noor@mail.example")
    south.customer("Suzan", "Zuidema", email="suzan@mail.example")
    for name, world in made.worlds.items():
        world.ring(world.item("Ring", "100"))
        assert 0 == made.cli("backfill", "--connection", name).status
    yield made
    made.close()


@pytest.fixture
def shops(tmp_path):
    """Two shops that tests may change."""
    made = Installation(tmp_path / "shops", "north", "south")
    yield made
    made.close()


# --- choosing ------------------------------------------------------------------------------------


def test_several_and_none_named_lists_them(two):
    ran = two.cli("status")
    assert (2, True) == (ran.status, "several connections: name one of north, south" in ran.said)


def test_a_link_leads_to_the_console_that_runs(two):
    service = open_service(service_url(two.folder, None))
    access = Access(service)
    access.serves_at("http://127.0.0.1:8778")
    running = two.cli("users", "link")
    access.serves_at(None)
    service.close()

    assert running.out.startswith("http://127.0.0.1:8778/enter/"), running.said
    assert two.cli("users", "link").out.startswith("http://127.0.0.1:8642/enter/")


def test_an_unknown_name_lists_those_that_there_are(two):
    ran = two.cli("status", "--connection", "west")
    assert (2, True) == (ran.status, "has no connection west; it has: north, south" in ran.said)


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (("--connection", "south"), {}),
        ((), {"TILLBRIDGE_CONNECTION": "south"}),
        (("--connection", "south"), {"TILLBRIDGE_CONNECTION": "north"}),
    ],
    ids=["by option", "by variable", "the option wins"],
)
def test_a_connection_is_named(two, words, env):
    document = two.cli("status", "--json", *words, env=env).document
    assert str(two.folder / "connections" / "south") == document["home"]


def test_the_only_connection_needs_no_name(tmp_path):
    made = Installation(tmp_path, "north")
    document = made.cli("status", "--json").document
    made.close()
    assert str(tmp_path / "connections" / "north") == document["home"]


def test_a_plain_home_is_its_own_connection(world):
    ran = world.cli("status", "--connection", "default", "--json")
    assert str(world.home) == ran.document["home"]


# --- add -----------------------------------------------------------------------------------------


def add(made, *words, env=None, name="north"):
    return made.cli("connection", "add", name, *words, env=env)


def test_secrets_are_sealed_and_stand_nowhere_else(empty):
    env = {"LIGHTSPEED_CLIENT_SECRET": "the-client-secret", "LIGHTSPEED_REFRESH_TOKEN": "the-refresh-token"}
    ran = add(empty, "--account-id", "190001", "--auth", "client_credentials", "--json", env=env)
    home = empty.folder / "connections" / "north"
    assert ["salesforce_client_secret"] == ran.document["missing"]
    assert "the-client-secret" == SealedSecrets(home, open_vault(home, {})).get("lightspeed_client_secret")
    everything = b"".join(path.read_bytes() for path in home.iterdir()) + ran.said.encode()
    assert (False, False) == (b"the-client-secret" in everything, b"the-refresh-token" in everything)
    assert 0o700 == home.stat().st_mode & 0o777


def test_secrets_come_from_a_file_that_only_its_owner_reads(empty, tmp_path):
    file = tmp_path / "given.toml"
    file.write_text('lightspeed_client_secret = "from-the-file"\n', encoding="utf-8")
    file.chmod(0o644)
    assert "may be read by others" in add(empty, "--secrets-file", file).said
    file.chmod(0o600)
    ran = add(empty, "--secrets-file", file, "--json")
    assert ["lightspeed_client_secret"] == ran.document["sealed"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('password = "s3cret"', "is none of lightspeed_client_secret"),
        ("lightspeed_client_secret = 5", "must be a text"),
        ("lightspeed_client_secret: s3cret", "is not valid TOML"),
    ],
    ids=["an unknown name", "no text", "another format"],
)
def test_a_file_that_cannot_be_right_says_so_without_its_secrets(empty, tmp_path, text, words):
    file = tmp_path / "given.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    ran = add(empty, "--secrets-file", file)
    assert (2, True, False) == (ran.status, words in ran.said, "s3cret" in ran.said)
    assert not (empty.folder / "connections" / "north").exists()


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("North Pole", (), "a name begins with a small letter"),
        ("../north", (), "a name begins with a small letter"),
        ("default", (), "is the name of the folder's own connection"),
        ("north", ("--auth", "magic"), "is one of jwt, client_credentials, refresh_token"),
        ("north", ("--model", "friend"), "is one of person_account, contact, lead"),
    ],
    ids=["spaces", "another folder", "default", "unknown login", "unknown model"],
)
def test_what_cannot_be_added(empty, name, words, sentence):
    ran = add(empty, *words, name=name)
    assert (2, True) == (ran.status, sentence in ran.said)


def test_a_name_that_is_taken(two):
    assert "there is a connection of that name" in add(two).said


def test_the_steps_that_are_left_are_told(empty):
    ran = add(empty)
    assert "tillbridge secrets set lightspeed_client_secret --connection north" in ran.said
    again = empty.cli("connection", "test", "north")
    assert (2, True) == (again.status, "tillbridge secrets set lightspeed_client_secret" in again.said)


# --- list ----------------------------------------------------------------------------------------


def test_the_list_shows_state_and_last_sync(two):
    ran = two.cli("connection", "list", "--json")
    told = [(c["connection"], c["state"], c["problems"], c["error"]) for c in ran.document["connections"]]
    assert [("north", "active", 0, None), ("south", "active", 0, None)] == told
    assert all(c["last_sync"].startswith("2026-11-20") for c in ran.document["connections"])


def test_one_that_cannot_be_read_does_not_hide_the_others(shops):
    (shops.folder / "connections" / "north" / "tillbridge.sqlite").write_bytes(b"no database at all")
    ran = shops.cli("connection", "list", "--json")
    errors = {c["connection"]: bool(c["error"]) for c in ran.document["connections"]}
    assert (1, {"north": True, "south": False}) == (ran.status, errors)


def test_one_whose_configuration_cannot_be_read_says_so(shops):
    file = shops.folder / "connections" / "north" / "tillbridge.toml"
    file.write_text(file.read_text() + "\noops = = 1\n")

    ran = shops.cli("connection", "list", "--json")

    found = {c["connection"]: c["error"] for c in ran.document["connections"]}
    assert (1, True, None) == (ran.status, "is not valid TOML" in found["north"], found["south"])


def test_one_that_never_got_in_was_never_synced(shops):
    file = shops.folder / "connections" / "north" / "tillbridge.toml"
    file.write_text(file.read_text().replace("demo-refresh", "another-token"))
    shops.cli("sync", "--connection", "north")

    found = {c["connection"]: c for c in shops.cli("connection", "list", "--json").document["connections"]}

    assert (None, "new") == (found["north"]["last_sync"], found["north"]["state"])


def test_what_the_service_fails_at_is_shown(shops):
    shops.cli("pause", "sales", "--connection", "north")  # The service's tables are there.
    service = open_service(service_url(shops.folder, None))
    service.plan_streams("north", {("poll", "sales"): 60.0}, 0.0)
    with service.begin() as c:
        (sales,) = service.claim_due(c, 1.0, 9)
    why = "Salesforce refused the login: invalid client credentials."
    service.ended(sales, Ended(outcome="halted", next_in=60.0, why=why, failed=True), 2.0)
    service.close()

    ran = shops.cli("connection", "list")

    assert (1, True) == (ran.status, "Salesforce refused the login" in ran.said)


def test_a_paused_one_is_shown_as_paused(shops):
    shops.cli("pause", "--connection", "south", "--why", "stocktaking")
    found = {c["connection"]: c for c in shops.cli("connection", "list", "--json").document["connections"]}
    assert ("new", "paused") == (found["north"]["state"], found["south"]["state"])
    assert "stocktaking" == found["south"]["why"]


# --- test ----------------------------------------------------------------------------------------


def test_both_sides_let_us_in_and_nothing_is_written(two):
    rows = two.worlds["north"].org.usage.rows_written.total()
    ran = two.cli("connection", "test", "north")
    assert (0, True, True) == (ran.status, "✓ Lightspeed: let into account 190001" in ran.said,
                               "✓ Salesforce: let into org" in ran.said)  # fmt: skip
    assert rows == two.worlds["north"].org.usage.rows_written.total()


@pytest.mark.parametrize(
    ("right", "wrong", "fails"),
    [
        ("demo-refresh", "another-token", ["Lightspeed"]),
        ("demo-consumer-secret", "another-secret", ["Salesforce"]),
    ],
    ids=["the till refuses", "the CRM refuses"],
)
def test_the_side_that_refuses_is_named_and_the_other_is_looked_at(shops, right, wrong, fails):
    config = shops.folder / "connections" / "south" / "tillbridge.toml"
    config.write_text(config.read_text("utf-8").replace(f'"{right}"', f'"{wrong}"'), encoding="utf-8")
    (config.parent / "tillbridge.sqlite").unlink()
    ran = shops.cli("connection", "test", "south", "--json")
    assert 2 == ran.status
    assert fails == [side["side"] for side in ran.document["sides"] if not side["ok"]]
    assert wrong not in ran.said


# --- remove --------------------------------------------------------------------------------------


def test_a_removed_connection_leaves_nothing_and_the_other_goes_on(shops):
    for name in ("north", "south"):
        shops.cli("backfill", "--connection", name)
    ran = shops.cli("connection", "remove", "north", "--yes")
    assert (0, True) == (ran.status, "keeps all that came from Lightspeed account 190001" in ran.said)
    assert ["south"] == [path.name for path in (shops.folder / "connections").iterdir()]
    assert 0 == shops.cli("sync", "--connection", "south").status


@pytest.mark.parametrize("is_live", [True, False], ids=["a connection", "a set-up"])
def test_nobodys_rights_outlive_it(shops, is_live):
    name = "north" if is_live else "west"
    if not is_live:
        home = shops.folder / "connections" / "west"
        home.mkdir()
        with draft.changing(home) as kept:
            kept.begun_at = 1.0
    service = open_service(service_url(shops.folder, None))
    access = Access(service)
    for who, limits in (("Ana", {name: ["1"], "south": ["2"]}), ("Ben", {name: ["1"]}), ("Cem", None)):
        access.add(who, "viewer", 0.0, limits=limits)
    for token, scopes in (("here", [name]), ("both", [name, "south"]), ("there", ["south"]), ("all", [])):
        access.make_token(1, token, ["read", *(f"on:{each}" for each in scopes)], 0.0, None)
    shops.cli("connection", "remove", name, "--yes")
    limits = {person.name: person.limits for person in access.people()}
    tokens = {token.name: set(token.scopes) for token in access.tokens()}
    service.close()

    assert {"Ana": {"south": ["2"]}, "Ben": {}, "Cem": None} == limits
    assert {"both": {"read", "on:south"}, "there": {"read", "on:south"}, "all": {"read"}} == tokens


def test_a_set_up_that_never_went_live_is_dropped_and_no_other(shops):
    home = shops.folder / "connections" / "west"
    home.mkdir()
    SealedSecrets(home, open_vault(home, {})).set("lightspeed_client_secret", "typed already")
    with draft.changing(home) as kept:
        kept.begun_at = 1.0
    backup = shops.cli("connection", "remove", "west", "--yes", "--keep-backup", shops.folder / "west.tar")
    ran = shops.cli("connection", "remove", "west", "--yes")

    assert (2, True) == (backup.status, "nothing to keep of it yet" in backup.said)
    assert (0, "The set-up of west is dropped.") == (ran.status, ran.out.strip())
    assert ["north", "south"] == sorted(path.name for path in home.parent.iterdir())
    assert 2 == shops.cli("connection", "remove", "west", "--yes").status


def test_it_asks_first(shops, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    ran = shops.cli("connection", "remove", "north")
    assert (1, True) == (ran.status, "Nothing was erased" in ran.said)
    assert (shops.folder / "connections" / "north" / "tillbridge.toml").exists()


def test_a_backup_is_kept_first_with_its_key(shops, tmp_path):
    shops.cli("backfill", "--connection", "north")
    file = tmp_path / "north.tar"
    assert 0 == shops.cli("connection", "remove", "north", "--yes", "--keep-backup", file).status
    again = tmp_path / "again"
    made = Installation(again)
    restored = made.cli("restore", file, "--json")
    assert (0, ["north"]) == (restored.status, restored.document["connections"])
    assert 0 == made.cli("status", "--connection", "north").status


def test_a_file_that_is_in_the_way_of_the_backup_stops_all(shops, tmp_path):
    file = tmp_path / "north.tar"
    file.write_text("precious")
    ran = shops.cli("connection", "remove", "north", "--yes", "--keep-backup", file)
    assert (2, True) == (ran.status, "not overwritten" in ran.said)
    assert (shops.folder / "connections" / "north" / "tillbridge.toml").exists()


def test_one_that_is_being_worked_with_stays(shops, monkeypatch):
    monkeypatch.setattr("tillbridge.cli.connections._WAIT_SECONDS", 0.0)
    shops.cli("pause", "sales", "--connection", "north")  # The service's tables are there.
    with alone(shops.folder / "connections" / "north"):
        ran = shops.cli("connection", "remove", "north", "--yes")
    assert (75, True) == (ran.status, "still being worked with" in ran.said)
    found = shops.cli("connection", "list", "--json").document["connections"]
    assert ["new", "new"] == [c["state"] for c in found], "it is not left paused"


def test_the_folders_own_connection_goes_and_its_service_stays(world):
    config = world.home / "tillbridge.toml"
    config.write_text(config.read_text("utf-8") + "\n[service]\nport = 9000\n", encoding="utf-8")
    world.cli("backfill")
    assert 0 == world.cli("connection", "remove", "default", "--yes").status
    assert "[service]\nport = 9000\n" == config.read_text("utf-8").lstrip()
    left = {path.name for path in world.home.iterdir()}
    assert set() == left & {"key", "tillbridge.sqlite", "tillbridge.log", "secrets.json"}


def test_the_installations_sign_in_stays_with_its_secret(world):
    config = world.home / "tillbridge.toml"
    kept = (
        '[console.oidc]\nissuer = "https://login.example.com"\nclient_id = "shop"\n'
        'client_secret = { secret = "console.oidc.client_secret" }\nroles = { office = "operator" }\n'
    )
    config.write_text(f"{config.read_text('utf-8')}\n{kept}", encoding="utf-8")
    sealed = SealedSecrets(world.home, open_vault(world.home, {}))
    sealed.set("console.oidc.client_secret", "of the console")
    sealed.set("alerts.slack_webhook_url", "https://hooks.example.com/1")

    ran = world.cli("connection", "remove", "default", "--yes")

    assert 0 == ran.status, ran.said
    assert kept == config.read_text("utf-8").lstrip()
    assert ["console.oidc.client_secret"] == sealed.names()
    assert "of the console" == SealedSecrets(world.home, open_vault(world.home, {})).get(
        "console.oidc.client_secret"
    )


def test_nothing_is_written_before_its_set_up_is_over(shops):
    with draft.changing(shops.folder / "connections" / "north") as kept:
        kept.begun_at = 1.0

    for words in (("sync",), ("backfill",), ("resume",), ("sync", "--customer", "1")):
        ran = shops.cli(*words, "--connection", "north")
        assert (True, True) == (ran.status != 0, "north is still being set up" in ran.said), words
    assert 0 == shops.cli("preview", "--connection", "north").status


def test_a_removed_connection_in_postgresql_leaves_no_schema(found, new_database):
    world = found(database=new_database)
    world.cli("backfill")
    before = schemas(new_database)
    ran = world.cli("connection", "remove", "default", "--yes")
    assert 0 == ran.status, ran.said
    assert ({"c_default"}, 0) == (before - schemas(new_database), len(schemas(new_database) - before))
    assert not (world.home / "key").exists()


def test_a_set_up_that_is_dropped_in_postgresql_leaves_no_schema(found, new_database):
    world = found(database=new_database)
    world.cli("backfill")
    before = schemas(new_database)
    with draft.changing(world.home) as kept:
        kept.begun_at = 1.0
    ran = world.cli("connection", "remove", "default", "--yes")
    assert (0, True) == (ran.status, "The set-up of default is dropped." in ran.said), ran.said
    assert {"c_default"} == before - schemas(new_database)
    text = (world.home / "tillbridge.toml").read_text("utf-8")
    assert (True, False) == ("database_url" in text, "lightspeed" in text)


def schemas(url):
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as c:
        found = set(c.execute(sa.text("SELECT nspname FROM pg_namespace")).scalars())
    engine.dispose()
    return {name for name in found if not name.startswith("pg_")}


# --- nothing of one is visible to another ---------------------------------------------------------


def test_no_output_of_one_shows_the_other(two):
    for mine, other in (("north", "Suzan"), ("south", "Noor")):
        said = "".join(
            two.cli(*words, "--connection", mine).said
            for words in (("status", "--json"), ("explain", "customer", "1"), ("problems",), ("plans",))
        )
        assert other not in said


def test_each_state_is_bound_to_its_own_org(two):
    orgs = [two.cli("status", "--json", "--connection", n).document["salesforce_org"] for n in two.worlds]
    assert [world.org.id[:15] for world in two.worlds.values()] == [org[:15] for org in orgs]


def test_each_log_names_its_own_connection_and_no_other(two):
    for name in two.worlds:
        lines = (two.folder / "connections" / name / "tillbridge.log").read_text("utf-8").splitlines()
        runs = [entry for line in lines if (entry := json.loads(line))["event"].startswith("run ")]
        assert {name} == {entry["connection"] for entry in runs}


def test_what_is_sealed_for_one_does_not_open_for_the_other_although_they_share_a_key(two):
    env = {"TILLBRIDGE_KEY": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="}
    north, south = (open_vault(two.folder / "connections" / name, env) for name in ("north", "south"))
    sealed = north.seal(b"token", "token lightspeed")
    assert b"token" == north.open(sealed, "token lightspeed")
    with pytest.raises(Exception, match="another key"):
        south.open(sealed, "token lightspeed")
    assert north.blind("e:anna@mail.example") != south.blind("e:anna@mail.example")


def test_a_state_that_is_put_into_the_others_home_does_not_open(shops):
    env = {"TILLBRIDGE_KEY": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="}
    for name in shops.worlds:
        (shops.folder / "connections" / name / "tillbridge.sqlite").unlink()
        shops.cli("backfill", "--connection", name, env=env)
    north, south = (shops.folder / "connections" / name / "tillbridge.sqlite" for name in shops.worlds)
    south.write_bytes(north.read_bytes())
    ran = shops.cli("sync", "--connection", "south", env=env)
    assert 2 == ran.status, ran.said

"""A state in a database: apart from others, never written by two at once, and what fails is said in words."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from store_home import Home

from tillbridge.model.errors import Busy, ConfigurationInvalid
from tillbridge.store import database, schema
from tillbridge.store.database import Place, drop_schema, held, is_there, open_database, open_reader
from tillbridge.store.state import Settled


def test_all_text_is_compared_by_its_bytes(schema_home):
    """The server's language would order and compare it otherwise than SQLite, and than Python does."""
    with schema_home.state.begin() as c:
        rows = c.execute(
            sa.text(
                "SELECT table_name, column_name, collation_name FROM information_schema.columns"
                " WHERE table_schema = :schema AND data_type = 'text'"
            ),
            {"schema": schema_home.place.schema},
        ).all()

    assert len(rows) > 100
    assert [] == [row for row in rows if row.collation_name != "C"]


@pytest.mark.parametrize("ids", [["B", "a", "_", "10", "9", "é", "Z", ""]])
def test_both_databases_order_ids_alike(home, ids):
    home.settle(*(Settled(kind="sale", till_id=i, state="waiting") for i in ids))

    assert sorted(ids) == [known.till_id for known in home.state.in_state("sale", "waiting")]


def test_what_no_database_has_a_place_for_is_left_out_of_a_text(schema_home):
    schema_home.settle(Settled(kind="sale", till_id="7", state="problem", reason="nothing\0here"))

    assert "nothinghere" == schema_home.known("sale", "7").reason


def test_two_connections_of_a_database_see_nothing_of_each_other(schema_home, tmp_path, state_url, new_name):
    other = Home(Place(tmp_path, state_url, f"{new_name}x"))
    schema_home.stand("sale", "7")
    with other.state.begin() as c:
        other.state.keep(c, "only here", 1)
    seen = (other.known("sale", "7"), schema_home.state.fact("only here"), other.state.fact("only here"))
    other.close()

    assert (None, None, 1) == seen


def test_a_place_is_told_by_whether_its_state_was_made(place):
    before = is_there(place)
    Home(place).close()

    assert (False, True) == (before, is_there(place))


def test_a_schema_that_is_dropped_takes_nothing_of_others_with_it(schema_home, tmp_path, state_url, new_name):
    other = Home(Place(tmp_path, state_url, f"{new_name}x"))
    other.stand("sale", "7")
    schema_home.close()
    dropped = [drop_schema(schema_home.place) for _ in range(2)]
    known = other.known("sale", "7")
    other.close()

    assert [True, False] == dropped
    assert (False, "settled") == (is_there(schema_home.place), known.state)


def test_what_looks_first_and_writes_then_is_alone_meanwhile(home):
    """Twice two hundred times one more: nobody counts from what another is about to write."""

    def count():
        for _ in range(200):
            with home.state.begin() as c:
                home.state.keep(c, "count", (home.state.kept(c, "count") or 0) + 1)

    two = [threading.Thread(target=count) for _ in range(2)]
    for thread in two:
        thread.start()
    for thread in two:
        thread.join()

    assert 400 == home.state.fact("count")


def test_a_reader_sees_one_moment_and_waits_for_nobody(home):
    home.stand("sale", "7")
    reader = open_reader(home.place)
    count = sa.select(sa.func.count()).select_from(schema.record)
    with reader.connect() as looking:
        before = looking.execute(count).scalar()
        with home.state.begin() as c:
            home.state.settle(c, [Settled(kind="sale", till_id="8", state="settled")])
            during = looking.execute(count).scalar()
        after = looking.execute(count).scalar()
        with pytest.raises(sa.exc.DBAPIError):
            looking.execute(sa.delete(schema.record))
    database.close_database(reader)

    assert (1, 1, 1) == (before, during, after)


def test_what_is_erased_is_in_no_file_of_the_tables(schema_home, state_url):
    """The server's log is another matter, as docs/operating.md says."""
    for number in range(20):
        reason = f"refused: anna@prins.example, the {number}th time"
        schema_home.settle(Settled(kind="sale", till_id=str(number), state="problem", reason=reason))
    place = schema_home.place
    admin = sa.create_engine(state_url, isolation_level="AUTOCOMMIT")

    def in_files():
        with admin.connect() as c:
            c.execute(sa.text("CHECKPOINT"))
            number = c.execute(sa.text("SELECT oid FROM pg_database WHERE datname = 'states'")).scalar()
        folder = Path(state_url.query["host"]) / "base" / str(number)
        return any(b"anna@prins" in file.read_bytes() for file in folder.iterdir())

    with schema_home.state.begin() as c:
        c.execute(sa.delete(schema.record))
    before = in_files()
    schema_home.state.compact()
    after = in_files()
    admin.dispose()

    assert (True, False) == (before, after), place.schema


# --- locks that all machines respect -------------------------------------------------------------


HOLDER = """
import sys
from pathlib import Path
import sqlalchemy as sa
from tillbridge.store.database import Place, held
with held(Place(Path(), sa.make_url(sys.argv[1]), sys.argv[2]), "token"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(place):
    url = place.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, place.connection],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "held\n" == process.stdout.readline()
    return process


def test_a_lock_is_freed_when_its_holder_is_killed(schema_home):
    process = holder(schema_home.place)
    got = threading.Event()

    def wait():
        with held(schema_home.place, "token"):
            got.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    with held(schema_home.place, "another name"):
        taken = got.is_set()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    waiter.join(timeout=30)

    assert (False, True) == (taken, got.is_set())


# --- what can fail -------------------------------------------------------------------------------


FAILURES = [
    pytest.param(
        lambda url: sa.make_url("postgresql+psycopg://shop:secret@127.0.0.1:1/states"),
        Busy,
        r"postgresql://shop:\*\*\*@127\.0\.0\.1:1/states cannot be reached",
        id="the server is down",
    ),
    pytest.param(
        lambda url: url.update_query_dict({"host": "/nowhere"}),
        Busy,
        "cannot be reached",
        id="its socket is gone",
    ),
    pytest.param(
        lambda url: url.set(database="nothing_here"),
        ConfigurationInvalid,
        r'service\.database_url: .*"nothing_here" does not exist',
        id="the database is not there",
    ),
    pytest.param(
        lambda url: url.set(username="nobody_known"),
        ConfigurationInvalid,
        r'service\.database_url: .*"nobody_known" does not exist',
        id="the user is not there",
    ),
    pytest.param(
        lambda url: url.set(username="guest"),
        ConfigurationInvalid,
        "grant CREATE on the database",
        id="the user may make no schema",
    ),
]


@pytest.fixture(scope="module")
def guest(state_url):
    """Let the server know a user who may do nothing."""
    admin = sa.create_engine(state_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(sa.text("CREATE ROLE guest LOGIN"))
    admin.dispose()
    return state_url


@pytest.mark.parametrize(("changed", "error", "words"), FAILURES)
def test_a_database_that_cannot_be_opened_is_one_sentence(guest, tmp_path, new_name, changed, error, words):
    with pytest.raises(error, match=words) as caught:
        open_database(Place(tmp_path, changed(guest), new_name))

    told = str(caught.value)
    assert ("\n" in told, "secret" in told) == (False, False)


def test_a_user_who_was_given_a_schema_needs_no_right_to_make_one(guest, tmp_path, new_name):
    place = Place(tmp_path, guest.set(username="guest"), new_name)
    admin = sa.create_engine(guest, isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(sa.text(f'CREATE SCHEMA "{place.schema}" AUTHORIZATION guest'))
    admin.dispose()
    home = Home(place)
    home.stand("sale", "7")
    home.state.compact()
    known = home.known("sale", "7")
    home.close()

    assert "settled" == known.state


def test_a_server_that_goes_down_in_the_middle_is_one_sentence(schema_home, state_url):
    admin = sa.create_engine(state_url, isolation_level="AUTOCOMMIT")
    end = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'states'"
        " AND pid <> pg_backend_pid()"
    )
    with pytest.raises(Busy, match="Nothing was lost"), schema_home.state.begin() as c:
        schema_home.state.settle(c, [Settled(kind="sale", till_id="7", state="settled")])
        with admin.connect() as ender:
            ender.execute(end)
        schema_home.state.settle(c, [Settled(kind="sale", till_id="8", state="settled")])
    admin.dispose()

    assert None is schema_home.known("sale", "7"), "and the next transaction is on a new line"


def test_a_read_only_server_is_named_as_such(schema_home, state_url):
    with pytest.raises(ConfigurationInvalid, match="is read-only"), schema_home.state.begin() as c:
        c.execute(sa.text("SET TRANSACTION READ ONLY"))
        schema_home.state.keep(c, "any", 1)


def test_a_mistake_of_ours_stays_one(schema_home):
    with pytest.raises(sa.exc.ProgrammingError), schema_home.state.begin() as c:
        c.execute(sa.text("SELECT nothing FROM nowhere"))

"""A state from before the console had tables: what was kept is filled in, the rest is read again."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from tillbridge.store import database, schema
from tillbridge.store.database import HEAD


@pytest.fixture
def world(found):
    made = found()
    ring, chain = made.item("Gold ring", "100"), made.item("Chain", "80")
    ada = made.customer("Ada", "Vermeulen", email="ada@mail.example")
    made.ring(ring, customer=ada)
    made.ring(chain)
    made.backfill()
    made.pass_time(minutes=5)
    made.ring(ring, chain, customer=ada)
    made.sync()
    return made


def shown(world):
    """Everything that the console looks up, but for when it was noted."""
    tables = [schema.receipt, schema.receipt_line, schema.bought, schema.tally]
    noted = {"read_at", "noted_at"}
    with closing(sqlite3.connect(world.home / "tillbridge.sqlite")) as state:
        names = {t.name: [c.name for c in t.columns if c.name not in noted] for t in tables}
        return {
            name: sorted(state.execute(f"SELECT {', '.join(columns)} FROM {name}"), key=str)
            for name, columns in names.items()
        }


def make_older(world):
    """Carry all that the version before the console had tables for into a state of that version."""
    path, newer = world.home / "tillbridge.sqlite", world.home / "newer.sqlite"
    path.rename(newer)
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    engine.dispose()
    with closing(sqlite3.connect(path)) as state, state:
        state.execute("ATTACH ? AS newer", [str(newer)])
        for (table,) in state.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            if table != "alembic_version":
                names = ", ".join(f'"{row[1]}"' for row in state.execute(f"PRAGMA main.table_info({table})"))
                state.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")
    newer.unlink()


def forget_kept(world):
    with closing(sqlite3.connect(world.home / "tillbridge.sqlite")) as state, state:
        state.execute("DELETE FROM raw")


def test_what_was_kept_is_filled_in_by_an_upgrade(world):
    before = shown(world)
    make_older(world)

    ran = world.cli("upgrade", "--json")

    [told] = ran.document["connections"]
    assert ("0003", HEAD) == (told["from"], told["to"])
    assert {"receipts": 3, "sales": 0, "products": 2} == told["filled"]
    assert before == shown(world)
    assert world.cli("upgrade", "--json").document["connections"][0]["filled"] is None


def test_any_run_fills_it_in_and_goes_on(world):
    before = shown(world)
    make_older(world)

    assert 0 == world.cli("sync").status
    assert before == shown(world)


def test_what_was_not_kept_is_read_again_before_all_else(world):
    before = shown(world)
    forget_kept(world)
    make_older(world)

    ran = world.cli("upgrade")
    assert "3 more and 2 products come with the next sweeps" in ran.said
    world.cli("sweep", "--full")

    assert before == shown(world)
    with sa.create_engine(f"sqlite:///{world.home / 'tillbridge.sqlite'}").connect() as c:
        assert {"Gold ring", "Chain"} == set(c.execute(sa.select(schema.article.c.title)).scalars())

"""New connections of one process that are opened for the first time at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.database import HEAD, close_database, open_database

TOGETHER = 8


def test_each_gets_its_own_tables_whoever_is_opened_beside_it(tmp_path):
    """What makes tables knows one state at a time, and would make one's in another's."""
    start = threading.Barrier(TOGETHER)

    def opened(number):
        home = tmp_path / str(number)
        home.mkdir()
        start.wait(10)
        engine = open_database(home)
        try:
            with engine.connect() as connection:
                version = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
                return version, set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
        finally:
            close_database(engine)

    with ThreadPoolExecutor(TOGETHER) as pool:
        found = list(pool.map(opened, range(TOGETHER)))

    assert [(HEAD, set(schema.metadata.tables))] * TOGETHER == found

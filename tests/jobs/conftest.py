"""Both databases that a service can stand on."""

import shutil
import uuid

import pytest
import sqlalchemy as sa
from job_plant import Plant


def _make_tables(url, folder):
    """Let a first worker make all tables, once: every test then begins with a copy of them."""
    plant = Plant(url, folder)
    plant.worker().terminate()
    plant.workers[0].wait()
    plant.close()


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    _make_tables(f"sqlite:///{folder / 'service.sqlite'}", folder)
    return folder / "service.sqlite"


@pytest.fixture(scope="session")
def empty_database(postgres, tmp_path_factory):
    admin = sa.create_engine(postgres.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(sa.text("CREATE DATABASE nothing_yet"))
    url = postgres.set(database="nothing_yet").render_as_string(hide_password=False)
    _make_tables(url, tmp_path_factory.mktemp("empty"))
    yield admin, "nothing_yet"
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """The address of a database in which nothing has happened yet."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_file"), tmp_path / "service.sqlite")
        yield f"sqlite:///{tmp_path / 'service.sqlite'}"
        return
    admin, template = request.getfixturevalue("empty_database")
    name = f"t{uuid.uuid4().hex[:12]}"
    with admin.connect() as c:
        c.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    server = request.getfixturevalue("postgres")
    yield server.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as c:
        c.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def plant(database, tmp_path):
    made = Plant(database, tmp_path)
    yield made
    made.close()

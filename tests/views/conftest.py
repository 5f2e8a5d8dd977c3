"""Worlds whose books are open to be looked into, as the console has them."""

import uuid
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from world import World

from tillbridge.engine.jobs import Jobs
from tillbridge.store.hours import note_calls
from tillbridge.store.service import open_service, service_url
from tillbridge.views.books import Library


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Make a world that the tests of a file share; `world.books` are its books."""
    with ExitStack() as stack:

        def make(**wishes):
            world = World(tmp_path_factory.mktemp("home"), **wishes)
            stack.callback(world.close)
            return world.install()

        make.look_into = lambda world: look_into(world, stack)
        yield make


def look_into(world, stack):
    """Open a world's books."""
    service = open_service(service_url(world.home, world.database))
    jobs = Jobs(service)
    library = Library(world.home, service, jobs, world.clock, {})
    for close in (service.close, lambda: jobs.stop(0), library.close):
        stack.callback(close)
    world.service, world.library = service, library
    return library.books("default")


@pytest.fixture(scope="module")
def database_of_views(postgres):
    """The address of a PostgreSQL database that the tests of a file share."""
    name = f"v{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(postgres.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(sa.text(f"CREATE DATABASE {name}"))
    yield postgres.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as c:
        c.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shop(opened, request):
    """A chain of two shops with customers on both sides, after its first load and a day of selling.

    Ada bought in both shops, Bruno in the second alone; Carla is in the CRM alone; Dora was refused.
    """
    database = request.getfixturevalue("database_of_views") if request.param == "postgres" else None
    world = opened(database=database)
    world.south = str(world.shop("Southgate", "Europe/Amsterdam"))
    world.ring_id = str(world.item("Gold ring", "100", customSku="RING-1"))
    world.chain_id = str(world.item("Silver chain", "40", customSku="CHAIN-7"))
    world.ada = str(world.customer("Ada", "Vermeulen", email="ada@mail.example", mobile="06 1234 5678"))
    world.bruno = str(world.customer("Bruno", "O'Neill <b>", email="bruno@mail.example"))
    world.dora = str(world.customer("Dora", "Novák", email="dora@mail.example"))
    world.carla = world.person("Carla", "Quist", email="carla@mail.example")
    world.refuse("Account", "LastName", "Novák", "no such family")
    world.first = str(world.ring(int(world.ring_id), customer=int(world.ada)))
    world.backfill()
    world.pass_time(minutes=5)
    world.second = str(
        world.ring((int(world.chain_id), 2, None), customer=int(world.ada), shopID=int(world.south))
    )
    world.third = str(world.ring(int(world.chain_id), customer=int(world.bruno), shopID=int(world.south)))
    world.fourth = str(world.ring(int(world.ring_id)))
    world.pass_time(minutes=5)
    world.sync()
    with world.remembered() as state:
        note_calls(state, 7, 5)
    world.books = opened.look_into(world)
    world.shops = list(world.books.names().stores)
    return world

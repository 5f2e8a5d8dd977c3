"""One command line against a small world: run it in this process, look at status, stdout and stderr."""

import io
import json
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from world import World

from tillbridge.cli.app import run


@dataclass
class Ran:
    status: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def said(self):
        """Everything, on one line: sentences may be wrapped in tables."""
        return " ".join((self.out + " " + self.err).split())


def run_cli(*argv, clock=None, env=None, pause=lambda _seconds: None):
    out, err = io.StringIO(), io.StringIO()
    status = run([str(word) for word in argv], out=out, err=err, env=env or {}, clock=clock, pause=pause)
    return Ran(status, out.getvalue(), err.getvalue())


@pytest.fixture
def cli():
    return run_cli


def _open(folders, stack):
    def make(*, installed=True, **wishes):
        world = World(folders.mktemp("home"), **wishes)
        stack.callback(world.close)
        world.cli = lambda *argv, **more: run_cli(
            *argv, "--home", world.home, **{"clock": world.clock, **more}
        )
        return world.install() if installed else world

    return make


@pytest.fixture
def found(tmp_path_factory):
    with ExitStack() as stack:
        yield _open(tmp_path_factory, stack)


@pytest.fixture
def world(found):
    """A shop with one customer and two sales, its package installed."""
    return sold(found())


def sold(world):
    world.buyer = world.customer("Mirte", "Perelaer", email="mirte@mail.example")
    world.ring_id = world.item("Ring", "100")
    world.first = world.ring(world.ring_id, customer=world.buyer)
    world.second = world.ring(world.ring_id)
    return world


@pytest.fixture(scope="module")
def synced(tmp_path_factory):
    """The same shop, after its backfill, for tests that only look."""
    with ExitStack() as stack:
        world = sold(_open(tmp_path_factory, stack)())
        world.loaded = world.cli("backfill", "--json")
        yield world

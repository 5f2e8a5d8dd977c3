"""Worlds for the stories; each one is closed when its story ends."""

from contextlib import ExitStack

import pytest
from world import World


def _founder(folders, stack):
    def make(*, installed=True, **wishes):
        world = World(folders.mktemp("home"), **wishes)
        stack.callback(world.close)
        return world.install() if installed else world

    return make


@pytest.fixture
def found(tmp_path_factory):
    """Make a world: a small one with one shop, unless a plan says more. The package is installed."""
    with ExitStack() as stack:
        yield _founder(tmp_path_factory, stack)


@pytest.fixture(scope="module")
def found_for_all(tmp_path_factory):
    """Make a world that the tests of a file share, because they only look at it."""
    with ExitStack() as stack:
        yield _founder(tmp_path_factory, stack)


@pytest.fixture
def world(found):
    return found()

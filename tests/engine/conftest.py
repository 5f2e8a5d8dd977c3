"""A desk for each test of the engine."""

from contextlib import ExitStack

import pytest
from engine_desk import Desk


@pytest.fixture
def desks(tmp_path_factory):
    with ExitStack() as stack:

        def make(**settings):
            desk = Desk(tmp_path_factory.mktemp("home"), **settings)
            stack.callback(desk.close)
            return desk

        yield make


@pytest.fixture
def desk(desks):
    return desks()

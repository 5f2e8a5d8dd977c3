"""One home for each test of the store, with its state in a file and again in a database."""

import pytest
from store_home import Home

from tillbridge.store.database import Place


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path, new_name):
    """Where a state is to be that is not there yet."""
    if request.param == "sqlite":
        return Place(tmp_path)
    return Place(tmp_path, request.getfixturevalue("state_url"), new_name)


@pytest.fixture
def home(place):
    opened = Home(place)
    yield opened
    opened.close()


@pytest.fixture
def file_home(tmp_path):
    opened = Home(Place(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def schema_home(tmp_path, state_url, new_name):
    opened = Home(Place(tmp_path, state_url, new_name))
    yield opened
    opened.close()

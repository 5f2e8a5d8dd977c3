"""One home for each test of the store."""

import pytest
from store_home import Home


@pytest.fixture
def home(tmp_path):
    opened = Home(tmp_path)
    yield opened
    opened.close()

"""A console over an installation without remotes, asked in process."""

import pytest
from web_console import Plant


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path)
    yield made
    made.close()

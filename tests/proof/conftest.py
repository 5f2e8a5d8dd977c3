"""The nursery that a module asks for."""

import pytest
from nurseries import Nursery


@pytest.fixture(scope="module")
def nursery(request, tmp_path_factory):
    """Return the nursery of the state that a module names in `STATE`."""
    found = Nursery(tmp_path_factory.mktemp("nursery"), request.module.STATE)
    yield found
    found.close()

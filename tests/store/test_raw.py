"""What is kept of the payloads of both ways in: of each poll, and of the pages of a first load."""

import pytest
from store_home import Home

from tillbridge.model.records import Customer
from tillbridge.store.raw import Raw


class CountingVault:
    """A vault that counts what it is made to open."""

    def __init__(self, vault):
        self._vault, self.opened = vault, 0

    def seal(self, *args):
        return self._vault.seal(*args)

    def open(self, *args):
        self.opened += 1
        return self._vault.open(*args)


@pytest.fixture
def kept(tmp_path):
    """Three pages of ten customers each, as a first load has kept them."""
    home = Home(tmp_path)
    home.counting = CountingVault(home.vault)
    home.raw = Raw(home.state, home.counting, days=30)
    for first in (1, 11, 21):
        with home.state.begin() as c:
            home.raw.keep_page(c, "customer", [customer(i) for i in range(first, first + 10)])
        home.clock.sleep(1)
    yield home
    home.close()


def customer(number, name="Ada"):
    return Customer(id=str(number), first_name=name)


def test_what_the_load_kept_is_told_apart_from_what_has_changed_and_what_it_never_saw(kept):
    asked = [customer(3), customer(12, "Eva"), customer(31)]

    assert {"3": True, "12": False} == kept.raw.loaded_as("customer", asked)


def test_a_page_is_opened_once_for_all_of_its_records(kept):
    kept.raw.loaded_as("customer", [customer(i) for i in range(1, 16)])

    assert 2 == kept.counting.opened


def test_the_last_load_counts(kept):
    with kept.state.begin() as c:
        kept.raw.keep_page(c, "customer", [customer(3, "Eva"), customer(4)])

    assert {"3": False, "4": True} == kept.raw.loaded_as("customer", [customer(3), customer(4)])

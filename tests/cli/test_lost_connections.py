"""Connections that something has happened to: a folder deleted by hand, a file that cannot be read."""

import shutil

import pytest
from installed import Installation

from tillbridge.planning import Planner
from tillbridge.store.service import open_service, service_url


class Shops(Installation):
    """Two shops that a service has planned."""

    def __init__(self, folder):
        super().__init__(folder, "north", "south")
        self.service = open_service(service_url(folder, None))
        self.troubles = []
        self.planner = Planner(
            folder,
            self.service,
            self.clock,
            {},
            on_gone=lambda _: None,
            on_trouble=lambda _, error: self.troubles.append(str(error)),
        )
        self.planner.plan()

    @property
    def north(self):
        return self.folder / "connections" / "north"

    def listed(self):
        found = self.cli("connection", "list", "--json").document["connections"]
        return {each["connection"]: each for each in found}

    def doctor(self, name):
        checks = self.cli("doctor", "--json", "--connection", name).document["checks"]
        return {each["what"]: each for each in checks}

    def close(self):
        self.service.close()
        super().close()


@pytest.fixture
def shops(tmp_path):
    made = Shops(tmp_path / "shops")
    yield made
    made.close()


# --- a folder that was deleted by hand -----------------------------------------------------------


@pytest.mark.parametrize("noticed", [True, False], ids=["a service has noticed", "nobody has looked since"])
def test_whose_folder_is_gone_is_listed_with_what_to_do(shops, noticed):
    shutil.rmtree(shops.north)
    if noticed:
        shops.planner.follow()
    listed = shops.listed()
    doctor = shops.cli("doctor", "--connection", "south")

    assert ("gone", None) == (listed["north"]["state"], listed["south"]["error"])
    assert f"{shops.north / 'tillbridge.toml'} is not there any more" in listed["north"]["error"]
    assert "`tillbridge connection remove north` forgets it" in listed["north"]["error"]
    assert 1 == shops.cli("connection", "list").status
    assert "! others north" in doctor.said
    assert 0 == doctor.status, "it is another connection that was asked about"


def test_remove_forgets_it_and_a_service_goes_on_with_the_others(shops):
    shutil.rmtree(shops.north)
    shops.planner.follow()
    ran = shops.cli("connection", "remove", "north", "--yes", "--json")
    shops.planner.follow()

    assert {"connection": "north", "erased": [], "forgotten": True} == ran.document
    assert {"south"} == shops.service.known() == shops.listed().keys()
    assert (None, []) == (shops.planner.wrong, shops.troubles)


def test_there_is_nothing_to_keep_of_it(shops, tmp_path):
    shutil.rmtree(shops.north)
    ran = shops.cli("connection", "remove", "north", "--yes", "--keep-backup", tmp_path / "kept")

    assert (2, True) == (ran.status, "the folder of north is gone" in ran.said)
    assert {"north", "south"} == shops.service.known()


def test_a_folder_that_is_put_back_is_a_connection_again(shops):
    shops.north.rename(shops.folder / "elsewhere")
    shops.planner.follow()
    (shops.folder / "elsewhere").rename(shops.north)
    shops.planner.follow()

    assert ("new", None) == (shops.listed()["north"]["state"], shops.listed()["north"]["error"])


# --- a configuration that cannot be read ---------------------------------------------------------

MISTAKES = {
    "no TOML": (lambda text: f"oops = = 1\n{text}", "is not valid TOML: Invalid value (at line 1, column 8)"),
    "a setting misspelt": (
        lambda text: text.replace("account_id", "acount_id"),
        "lightspeed.account_id is missing; lightspeed.acount_id is not a setting; did you mean account_id?",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_whose_configuration_is_broken_is_named_with_its_file_and_the_others_go_on(shops, mistake):
    config = shops.north / "tillbridge.toml"
    breaks, expected = MISTAKES[mistake]
    config.write_text(breaks(config.read_text()))
    shops.planner.follow()
    listed = shops.listed()

    assert f"{config}: {expected}" == listed["north"]["error"]
    assert listed["south"]["error"] is None
    assert [f"{config}: {expected}"] == shops.troubles
    assert None is shops.planner.wrong
    others = shops.doctor("south")["north"]
    assert ("others", "warn", f"{config}: {expected}") == (others["area"], others["level"], others["text"])
    assert any(str(config) in f"{name} {each['advice']}" for name, each in shops.doctor("north").items())

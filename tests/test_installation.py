"""Where a connection is found in an installation's folder, and which have lost their folder."""

import pytest

from tillbridge.installation import connections, gone, home_of
from tillbridge.model.errors import ConfigurationInvalid

PLAIN = "[lightspeed]\nseries = 'R'\n"


@pytest.fixture
def folder(tmp_path):
    """A plain home in which two more connections live, and a folder that is none."""
    (tmp_path / "tillbridge.toml").write_text(PLAIN)
    for name in ("north", "south"):
        (tmp_path / "connections" / name).mkdir(parents=True)
        (tmp_path / "connections" / name / "tillbridge.toml").write_text(PLAIN)
    (tmp_path / "connections" / "empty").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "tillbridge.toml").write_text(PLAIN)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("north", "connections/north", id="one of several"),
        pytest.param("default", ".", id="the folder's own"),
        pytest.param("west", None, id="one that there is not"),
        pytest.param("empty", None, id="a folder without a configuration"),
        pytest.param("../elsewhere", None, id="a name that leads out of the installation"),
        pytest.param("", None, id="no name"),
        pytest.param(".", None, id="the folder of all of them"),
    ],
)
def test_a_connection_is_found_by_its_name_alone(folder, name, expected):
    found = home_of(folder, name)

    assert (None if expected is None else (folder / expected).resolve()) == (found and found.resolve())


def test_it_finds_what_a_look_at_all_finds(folder):
    assert connections(folder) == {name: home_of(folder, name) for name in ("default", "north", "south")}


def test_it_looks_at_no_others_file(folder):
    (folder / "tillbridge.toml").write_text("oops = = 1")
    (folder / "connections" / "south" / "tillbridge.toml").write_text("oops = = 1")

    assert folder / "connections" / "north" == home_of(folder, "north")
    with pytest.raises(ConfigurationInvalid, match="cannot be read"):
        home_of(folder, "default")


def test_a_folder_that_only_serves_has_no_connection_of_its_own(folder):
    (folder / "tillbridge.toml").write_text("[service]\nport = 8642\n")

    assert None is home_of(folder, "default")


def test_who_is_known_and_has_no_folder_is_gone(folder):
    known = ["default", "north", "west", "empty", "../elsewhere"]

    assert {name: folder / "connections" / name for name in ("empty", "west")} == gone(folder, known)

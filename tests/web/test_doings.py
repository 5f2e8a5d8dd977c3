"""What is done has a name for people, the same on every page and in the guide."""

import re
from pathlib import Path

import pytest

from tillbridge.doings import DOINGS, doing
from tillbridge.kinds import KINDS
from tillbridge.web.pages.runs import _JOBS

GUIDE = Path(__file__).parents[2] / "docs" / "user-guide.md"
ROW = re.compile(r"^\| (.+?) \| `(.+?)` \| (.+?) \|$", re.MULTILINE)


def test_the_guide_tells_of_every_stream_what_the_pages_tell():
    told = {name: (title, does) for title, name, does in ROW.findall(GUIDE.read_text("utf-8"))}

    assert told.keys() >= KINDS.keys() - {"poll"} | {
        "sales",
        "customers",
        "products",
        "stock",
        "voids",
        "notify",
    }
    assert told == {name: tuple(DOINGS[name]) for name in told}


@pytest.mark.parametrize("name", [*KINDS, *_JOBS])
def test_whatever_runs_has_a_name(name):
    assert name in DOINGS


@pytest.mark.parametrize(
    ("name", "title"),
    [
        pytest.param("poll sales", "Sales", id="a run of one stream"),
        pytest.param("mend-all", "Mend all", id="one without a name of its own"),
    ],
)
def test_a_name_is_found_for_every_run(name, title):
    assert title == doing(name).title

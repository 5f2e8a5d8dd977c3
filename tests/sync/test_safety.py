"""The guard: numbers that look like an accident, and those that do not."""

import pytest

from tillbridge.sync.safety import Planned, objections


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        pytest.param(
            Planned("customer", creates=50_000), 0, id="creating into an empty org is how it begins"
        ),
        pytest.param(Planned("customer", known=2000, seen=None), 0, id="an incomplete reading says nothing"),
        pytest.param(Planned("customer", known=2000, seen=900), 1, id="more than half is gone"),
        pytest.param(Planned("customer", known=2000, seen=0), 1, id="the side is empty"),
        pytest.param(Planned("customer", known=2000, seen=1000), 0, id="half is left"),
        pytest.param(Planned("customer", known=12, seen=2), 0, id="small shops may close out"),
        pytest.param(Planned("customer", updates_of_theirs=41, theirs=50), 0, id="few updates"),
        pytest.param(
            Planned("customer", updates_of_theirs=400, theirs=1000),
            1,
            id="many updates of people's own records",
        ),
        pytest.param(Planned("customer", updates_of_theirs=300, theirs=1000), 0, id="just below"),
        pytest.param(Planned("customer", known=100, seen=1, updates_of_theirs=90, theirs=100), 2, id="both"),
    ],
)
def test_objections(planned, expected):
    assert expected == len(objections(planned))


def test_an_objection_says_the_numbers_and_the_way_out():
    (text,) = objections(Planned("customer", known=2000, seen=3))

    assert text.startswith("only 3 of 2000 customer records are left: check that this is the right account")

"""States and their letters."""

import pytest

from tillbridge.model.states import state_code, state_codes, state_name


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        pytest.param("new  york", "US", "NY", id="a name, however it is written"),
        pytest.param("ny", "US", "NY", id="the letters themselves"),
        pytest.param("Western Australia", "AU", "WA", id="the same letters elsewhere"),
        pytest.param("Qu\u00e9bec", "CA", "QC", id="in its own language"),
        pytest.param("New York", "CA", None, id="not of this country"),
        pytest.param("Bavaria", "DE", None, id="a country without letters"),
        pytest.param("New York", None, None, id="no country"),
    ],
)
def test_the_letters_of_a_state(text, country, expected):
    assert expected == state_code(text, country)


def test_letters_and_names_belong_to_one_another():
    assert "Washington" == state_name("wa", "US")
    assert "Western Australia" == state_name("WA", "AU")
    assert state_name("WA", None) is None
    assert {("US", "WA"), ("AU", "WA")} == state_codes("WA")

"""What is no edit: one value in two spellings."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tillbridge.sync.alike import (
    comparison,
    same,
    same_country,
    same_day,
    same_email,
    same_flag,
    same_moment,
    same_number,
    same_phone,
    same_state,
    same_text,
    same_zip,
)


@pytest.mark.parametrize(
    ("alike", "a", "b", "expected"),
    [
        pytest.param(
            same_phone("US"), "(518) 555-0142", "+15185550142", True, id="a phone in another spelling"
        ),
        pytest.param(same_phone("US"), "ask husband", "Ask Husband", True, id="no phone at all, letter case"),
        pytest.param(same_phone("US"), "518 555 0142", "518 555 0143", False, id="another phone"),
        pytest.param(same_phone("US"), "", None, True, id="no phone on either side"),
        pytest.param(
            same_email, "Maren@Example.com ", "maren@example.com", True, id="an e-mail's letter case"
        ),
        pytest.param(same_email, "maren@example.com", "maren@example.org", False, id="another e-mail"),
        pytest.param(
            same_text, "14  Pinehurst Ln\r\nApt 2", "14 Pinehurst Ln\nApt 2", True, id="blanks and line ends"
        ),
        pytest.param(same_text, "Maren", "maren", False, id="a text's letter case is an edit"),
        pytest.param(same_day, date(1984, 11, 3), "1984-11-03", True, id="a day and its text"),
        pytest.param(
            same_day, datetime(1984, 11, 3, tzinfo=UTC), date(1984, 11, 3), True, id="a moment and its day"
        ),
        pytest.param(same_day, date(1984, 11, 3), None, False, id="a day and none"),
        pytest.param(same_number, Decimal("1.50"), "1.5", True, id="numbers and their texts"),
        pytest.param(same_number, Decimal(2), Decimal("2.0"), True, id="two is two"),
        pytest.param(same_text, "Jose\u0301", "Jos\u00e9", True, id="two ways to write an accent"),
        pytest.param(same_zip, "1011 ab", "1011AB", True, id="a postal code's blanks and case"),
        pytest.param(same_zip, "12203", "12203-1234", False, id="a postal code with more digits"),
        pytest.param(same_state, "new york", "NY", True, id="a state and its letters"),
        pytest.param(same_state, "Western Australia", "WA", True, id="another country's letters"),
        pytest.param(
            same_state, "Western Australia", "Washington", False, id="two states of the same letters"
        ),
        pytest.param(same_state, "Bavaria", "bavaria ", True, id="a state without letters"),
        pytest.param(same_state, "NY", None, False, id="a state and none"),
        pytest.param(same_country, "Nederland", "NL", True, id="a country and its letters"),
        pytest.param(same_country, "Nederland", "The Netherlands", True, id="a country in two languages"),
        pytest.param(same_country, "Netherlands", "Belgium", False, id="two countries"),
        pytest.param(same_country, "Atlantis", "ATLANTIS", True, id="a country that nobody knows"),
        pytest.param(
            same_moment, "2026-03-02T18:00:00+01:00", "2026-03-02T17:00:00+00:00", True, id="one instant"
        ),
        pytest.param(same_moment, "2026-03-02T18:00:00+00:00", None, False, id="an instant and none"),
        pytest.param(same_moment, "soon", "soon ", True, id="no instant at all"),
        pytest.param(same_flag, "true", True, True, id="yes, written out"),
        pytest.param(same_flag, "false", None, False, id="no is an answer to a question"),
        pytest.param(same_flag, None, "", True, id="nobody has answered"),
        pytest.param(same, False, None, False, id="no is an answer"),
        pytest.param(same, "  ", None, True, id="blank is blank"),
    ],
)
def test_what_is_no_edit(alike, a, b, expected):
    assert expected == alike(a, b)


@pytest.mark.parametrize(
    ("kind", "slot", "a", "b"),
    [
        pytest.param("string", "mobile_phone", "518 555 0142", "+15185550142", id="a phone in a text field"),
        pytest.param("phone", None, "518 555 0142", "+15185550142", id="a phone that the till cannot hold"),
        pytest.param("string", "secondary_email", "A@example.com", "a@EXAMPLE.com", id="an e-mail"),
        pytest.param("email", None, "A@example.com", "a@EXAMPLE.com", id="an e-mail of the CRM alone"),
        pytest.param("datetime", "birth_date", "1984-11-03T22:00:00+00:00", "1984-11-03", id="a birthday"),
        pytest.param("picklist", "state_code", "ny", "New York", id="a state"),
        pytest.param("picklist", "country", "USA", "US", id="a country"),
        pytest.param("boolean", "no_mail", True, "true", id="an opt-out"),
        pytest.param("double", None, "1.50", Decimal("1.5"), id="a number"),
        pytest.param("textarea", "street", "1 Hill\r\n", "1 Hill", id="any other text"),
    ],
)
def test_a_field_is_compared_as_what_it_is(kind, slot, a, b):
    alike = comparison(kind, slot, "US")

    assert alike(a, b)
    assert not alike(a, "9 others")

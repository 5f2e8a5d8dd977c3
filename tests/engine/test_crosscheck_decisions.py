"""When a difference is one, when a change was missed, and when a line is newer than its sale."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tillbridge.engine.crosscheck import _is_older
from tillbridge.engine.repair import _Feed, _sentence, same_value
from tillbridge.model.writing import FieldFacts
from tillbridge.store.state import Known

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ONE = timedelta(minutes=1)


def field(kind, scale=0):
    return FieldFacts(name="X__c", type=kind, scale=scale)


def known(stamp):
    at = stamp.timestamp() if stamp else None
    return Known("sale", "1", "a00", "S", None, "settled", None, b"x", None, at, None)


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "same"),
    [
        pytest.param(Decimal("216.00"), "216.0", "currency", True, id="an amount is its value"),
        pytest.param(Decimal("0.0"), "0.0", "double", True, id="zero is zero"),
        pytest.param(Decimal("1.00"), "1.01", "currency", False, id="a cent is a difference"),
        pytest.param(Decimal(0), None, "currency", False, id="an emptied amount is a difference"),
        pytest.param(None, None, "string", True, id="nothing is nothing"),
        pytest.param("", None, "string", True, id="an empty text is nothing"),
        pytest.param(False, None, "boolean", True, id="a checkbox that was never set is false"),
        pytest.param(True, "false", "boolean", False, id="a checkbox that was cleared"),
        pytest.param("a\r\nb ", "a\nb", "textarea", True, id="line ends and blanks are spelling"),
        pytest.param("Front", "FRONT", "string", False, id="case is a difference in our own fields"),
        pytest.param("001000000000001AAA", "001000000000001", "reference", True, id="15 or 18 characters"),
        pytest.param("001000000000001AAA", None, "reference", False, id="an emptied lookup"),
        pytest.param(date(2026, 3, 2), "2026-03-02", "date", True, id="a day"),
        pytest.param(NOON, "2026-03-02T12:00:00.000+0000", "datetime", True, id="a moment"),
        pytest.param(NOON, "2026-03-02T12:00:01.000+0000", "datetime", False, id="a second later"),
    ],
)
def test_the_crm_holds_what_we_sent_in_its_own_spelling(ours, theirs, kind, same):
    assert same == same_value(ours, theirs, field(kind, scale=2))


@pytest.mark.parametrize(
    ("feed", "stamp", "before", "passed"),
    [
        pytest.param(_Feed(NOON, None), NOON - ONE, None, True, id="the cursor is beyond it"),
        pytest.param(_Feed(NOON, None), NOON + ONE, None, False, id="the next poll brings it"),
        pytest.param(_Feed(NOON, None), NOON + ONE, NOON + ONE, True, id="its stamp did not move"),
        pytest.param(
            _Feed(NOON, NOON + 20 * ONE), NOON + ONE, NOON, True, id="a poll since has not shown it"
        ),
        pytest.param(
            _Feed(NOON, NOON + 2 * ONE), NOON + ONE, NOON, False, id="a poll since may have been early"
        ),
        pytest.param(_Feed(None, None), NOON, None, False, id="nothing was ever polled"),
        pytest.param(_Feed(NOON, None), None, None, True, id="it carries no stamp at all"),
    ],
)
def test_missed_is_what_no_poll_would_bring_any_more(feed, stamp, before, passed):
    assert passed == feed.passed(stamp, known(before) if before else None)


@pytest.mark.parametrize(
    ("sale", "line", "older"),
    [
        pytest.param(NOON, NOON, False, id="of the same second"),
        pytest.param(NOON, NOON + timedelta(seconds=1), False, id="a second newer, as children are"),
        pytest.param(NOON, NOON + timedelta(seconds=3), True, id="newer than a completion explains"),
        pytest.param(None, NOON, True, id="of a sale whose stamp we do not know"),
    ],
)
def test_a_sale_is_read_again_when_a_line_is_newer(sale, line, older):
    assert older == _is_older(known(sale), line)


def test_a_sale_that_nobody_has_seen_is_read_too():
    assert _is_older(None, NOON)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["never carried across", "line 1 never carried across"], "never carried across"),
        (["Total__c", "line 1: Quantity__c"], "Total__c; line 1: Quantity__c"),
        ([f"line {n}" for n in range(12)], "; ".join(f"line {n}" for n in range(10)) + "; and 2 more"),
    ],
)
def test_the_diary_is_short(words, told):
    assert told == _sentence(words)

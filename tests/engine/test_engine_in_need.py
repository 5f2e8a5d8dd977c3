"""Which of the customers that a poll reads have to be looked at: the others are left as they are, unasked."""

from datetime import UTC, datetime

import pytest

from tillbridge.engine.compare import Seen, digest_of
from tillbridge.engine.customers import _in_need
from tillbridge.model.records import Customer
from tillbridge.store.state import Known

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 20, 13, tzinfo=UTC)
TEXTS = {"LastName": "Silva"}
OTHERS = {"LastName": "Souza"}


def seen(texts=TEXTS, at=AT):
    customer = Customer(id="7", last_name="Silva", changed_at=at)
    return Seen(customer, None, {}, dict(texts), digest_of(texts, archived=False), None)


def known(state="settled", *, crm_id="001A", texts=TEXTS, at=AT):
    digest = None if texts is None else digest_of(texts, archived=False)
    return Known(
        kind="customer",
        till_id="7",
        crm_id=crm_id,
        object="Account",
        crm_parent=None,
        state=state,
        reason=None,
        digest=digest,
        parent=None,
        till_stamp=None if at is None else at.timestamp(),
        history=None,
    )


NOT, COMPARED, LOOKED_FOR = (0, 0), (1, 0), (0, 1)
CASES = {
    "linked, and read again as they were": (seen(), known(), NOT),
    "linked, and touched without a change": (seen(at=LATER), known(), NOT),
    "linked, and somebody has edited them": (seen(OTHERS), known(), COMPARED),
    "linked, and the CRM has moved": (seen(), known(texts=None), COMPARED),
    "linked, and refused the last time": (seen(), known("problem"), COMPARED),
    "never seen": (seen(), None, LOOKED_FOR),
    "seen, and not linked yet": (seen(), known("waiting", crm_id=None), LOOKED_FOR),
    "in review, and only read again with the overlap": (seen(), known("review", crm_id=None), NOT),
    "in review, and touched without a change": (seen(at=LATER), known("review", crm_id=None), NOT),
    "in review, and edited": (seen(OTHERS, at=LATER), known("review", crm_id=None), LOOKED_FOR),
    "left out, and only read again": (seen(), known("left_out", crm_id=None), NOT),
    "left out, and edited": (seen(OTHERS, at=LATER), known("left_out", crm_id=None), LOOKED_FOR),
    "refused before they were linked": (seen(), known("problem", crm_id=None), LOOKED_FOR),
}


@pytest.mark.parametrize("case", CASES)
def test_who_is_unchanged_is_passed_over(case):
    one, before, expected = CASES[case]

    linked, new = _in_need([one], {} if before is None else {"7": before}, (), force=False)

    assert expected == (len(linked), len(new))


@pytest.mark.parametrize("case", CASES)
def test_whoever_is_forced_is_looked_at_whatever_has_moved(case):
    one, before, _ = CASES[case]

    linked, new = _in_need([one], {} if before is None else {"7": before}, (), force=True)

    assert 1 == len(linked) + len(new)


def test_who_is_looked_for_again_is_though_nothing_of_them_has_moved():
    before = {"7": known("review", crm_id=None)}

    assert LOOKED_FOR == tuple(map(len, _in_need([seen()], before, {"7"}, force=False)))

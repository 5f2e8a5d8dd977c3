"""The decision table: who moved, which way values may flow, who decides conflicts."""

from itertools import product

import pytest

from tillbridge.sync.alike import same, same_phone
from tillbridge.sync.reconcile import (
    MAY_PULL,
    MAY_PUSH,
    Conflict,
    FieldState,
    Keep,
    Pair,
    Pull,
    Push,
    Settle,
    reconcile,
    reconcile_field,
)

MODES = ("two_way", "till_to_crm", "crm_to_till", "link_only", "fill_blanks")
AUTHORITIES = ("till", "crm", "newest", "ask")

# What was agreed, then what each side shows now.
AGREED = Pair("ana", "ana")
NOTHING_MOVED = Pair("ana", "ana")
TILL_MOVED = Pair("anna", "ana")
CRM_MOVED = Pair("ana", "anne")
MOVED_ALIKE = Pair("anna", "anna")
MOVED_APART = Pair("anna", "anne")
TILL_CLEARED = Pair(None, "ana")
CRM_CLEARED = Pair("ana", None)

PUSH_ANNA, PULL_ANNE = Push("anna", "ana"), Pull("anne", "ana")
TILL_WINS, CRM_WINS, ASK = (
    Conflict("till", "anna", "anne"),
    Conflict("crm", "anne", "anna"),
    Conflict(None, "anna", "anne"),
)
NEITHER = Settle(MOVED_APART)

# mode -> decision, the same for every authority: nobody disagrees.
UNDISPUTED = {
    "nothing moved": (NOTHING_MOVED, dict.fromkeys(MODES, Keep())),
    "only the till moved": (
        TILL_MOVED,
        {
            "two_way": PUSH_ANNA,
            "till_to_crm": PUSH_ANNA,
            "crm_to_till": Settle(TILL_MOVED),
            "link_only": Settle(TILL_MOVED),
            "fill_blanks": Settle(TILL_MOVED),
        },
    ),
    "only the CRM moved": (
        CRM_MOVED,
        {
            "two_way": PULL_ANNE,
            "till_to_crm": Settle(CRM_MOVED),
            "crm_to_till": PULL_ANNE,
            "link_only": Settle(CRM_MOVED),
            "fill_blanks": Settle(CRM_MOVED),
        },
    ),
    "both made the same edit": (MOVED_ALIKE, dict.fromkeys(MODES, Settle(MOVED_ALIKE))),
    "the till cleared it": (
        TILL_CLEARED,
        {
            "two_way": Push(None, "ana"),
            "till_to_crm": Push(None, "ana"),
            "crm_to_till": Settle(TILL_CLEARED),
            "link_only": Settle(TILL_CLEARED),
            "fill_blanks": Settle(TILL_CLEARED),
        },
    ),
    "the CRM cleared it": (
        CRM_CLEARED,
        {
            "two_way": Pull(None, "ana"),
            "till_to_crm": Settle(CRM_CLEARED),
            "crm_to_till": Pull(None, "ana"),
            "link_only": Settle(CRM_CLEARED),
            "fill_blanks": Settle(CRM_CLEARED),
        },
    ),
}

# mode -> authority -> decision, both moved apart and nobody knows who was last.
DISPUTED = {
    "two_way": {"till": TILL_WINS, "crm": CRM_WINS, "newest": ASK, "ask": ASK},
    "till_to_crm": {"till": TILL_WINS, "crm": NEITHER, "newest": TILL_WINS, "ask": ASK},
    "crm_to_till": {"till": NEITHER, "crm": CRM_WINS, "newest": CRM_WINS, "ask": ASK},
    "link_only": dict.fromkeys(AUTHORITIES, NEITHER),
    "fill_blanks": dict.fromkeys(AUTHORITIES, NEITHER),
}

# Two records just linked. mode -> authority -> decision where both say something else.
FIRST_APART = DISPUTED | {
    mode: DISPUTED[mode] | {"newest": NEITHER} for mode in ("two_way", "till_to_crm", "crm_to_till")
}


@pytest.mark.parametrize(
    ("seen", "mode", "authority", "expected"),
    [
        pytest.param(seen, mode, authority, table[mode], id=f"{text}, {mode}, {authority}")
        for text, (seen, table) in UNDISPUTED.items()
        for mode in MODES
        for authority in AUTHORITIES
    ],
)
def test_undisputed(seen, mode, authority, expected):
    assert expected == reconcile_field(FieldState(seen, AGREED), mode, authority, same)


@pytest.mark.parametrize(
    ("mode", "authority", "expected"),
    [
        pytest.param(
            mode, authority, DISPUTED[mode][authority], id=f"moved apart, {mode}, {authority} decides"
        )
        for mode, authority in product(MODES, AUTHORITIES)
    ],
)
def test_disputed(mode, authority, expected):
    assert expected == reconcile_field(FieldState(MOVED_APART, AGREED), mode, authority, same)


@pytest.mark.parametrize(
    ("mode", "authority", "expected"),
    [
        pytest.param(
            mode, authority, FIRST_APART[mode][authority], id=f"just linked and unlike, {mode}, {authority}"
        )
        for mode, authority in product(MODES, AUTHORITIES)
    ],
)
def test_just_linked_and_unlike(mode, authority, expected):
    assert expected == reconcile_field(FieldState(MOVED_APART, None), mode, authority, same)


@pytest.mark.parametrize("authority", AUTHORITIES)
@pytest.mark.parametrize("mode", MODES)
def test_just_linked_fills_blanks_where_values_may_flow(mode, authority):
    crm_blank, till_blank = Pair("ana", None), Pair("", "ana")
    pushes, pulls = mode in MAY_PUSH or mode == "fill_blanks", mode in MAY_PULL or mode == "fill_blanks"

    assert (Push("ana", None) if pushes else Settle(crm_blank)) == reconcile_field(
        FieldState(crm_blank, None), mode, authority, same
    )
    assert (Pull("ana", "") if pulls else Settle(till_blank)) == reconcile_field(
        FieldState(till_blank, None), mode, authority, same
    )
    assert Settle(AGREED) == reconcile_field(FieldState(AGREED, None), mode, authority, same)


@pytest.mark.parametrize(
    ("last", "expected"),
    [("till", TILL_WINS), ("crm", CRM_WINS), (None, ASK)],
    ids=["the till", "the CRM", "unknown: ask"],
)
def test_the_edit_noticed_last_wins(last, expected):
    """By our own count of observations: two clocks are never compared."""
    state = FieldState(MOVED_APART, AGREED, noticed_last=last)

    assert expected == reconcile_field(state, "two_way", "newest", same)


@pytest.mark.parametrize("mode", MODES)
def test_our_own_write_coming_back_is_no_edit(mode):
    assert Keep() == reconcile_field(
        FieldState(Pair("ana", "Ana B."), Pair("ana", "Ana B.")), mode, "newest", same
    )


def test_a_respelling_that_no_comparison_knows_is_learnt_at_the_first_reading():
    """We wrote "MAREN" and the org's own automation made it "Maren"."""
    seen = Pair("MAREN", "Maren")
    written = Pair("MAREN", "MAREN")

    assert Settle(seen) == reconcile_field(
        FieldState(seen, written, confirmed=False), "two_way", "newest", same
    )
    assert Keep() == reconcile_field(FieldState(seen, seen), "two_way", "newest", same)


def test_an_edit_in_the_till_is_pushed_though_the_last_write_is_unconfirmed():
    state = FieldState(Pair("anna", "ANA"), AGREED, confirmed=False)

    assert Push("anna", "ANA") == reconcile_field(state, "two_way", "newest", same)


def test_fields_are_decided_one_by_one():
    """The till corrected the phone while somebody in the CRM corrected the name: both edits live."""
    fields = {
        "LastName": FieldState(Pair("Oduja", "Oduya"), Pair("Oduja", "Oduja")),
        "Phone": FieldState(Pair("518 555 0143", "+15185550142"), Pair("518 555 0142", "+15185550142")),
        "City": FieldState(Pair("Albany", "Albany"), Pair("Albany", "Albany")),
    }

    assert {
        "LastName": Pull("Oduya", "Oduja"),
        "Phone": Push("518 555 0143", "+15185550142"),
        "City": Keep(),
    } == reconcile(fields, "two_way", {}, {"Phone": same_phone("US")})

"""What holds for any values: quiet after one round, nothing lost, no opt-out taken back, no echo."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillbridge.sync.alike import comparison
from tillbridge.sync.reconcile import (
    Conflict,
    FieldState,
    Keep,
    Pair,
    Pull,
    Push,
    Settle,
    opted_out,
    reconcile_field,
)

MODES = st.sampled_from(("two_way", "till_to_crm", "crm_to_till", "link_only", "fill_blanks"))
AUTHORITIES = st.sampled_from(("till", "crm", "newest", "ask"))

# A field's comparison, and values of which some are one value in two spellings.
KINDS = {
    "text": (comparison("string", None, None), ("Ana", "Ana ", "Anna", "ana", " ", "", None)),
    "phone": (
        comparison("phone", "work_phone", "US"),
        ("+15185550142", "(518) 555-0142", "518 555 0143", "ask", None),
    ),
    "email": (comparison("email", "email", None), ("a@example.com", "A@Example.com", "b@example.com", None)),
    "country": (comparison("string", "country", None), ("NL", "Nederland", "Netherlands", "Belgium", None)),
    "day": (comparison("date", "birth_date", None), ("1984-11-03", "1984-11-04", None)),
    "flag": (comparison("boolean", "no_email", None), ("true", "false", None)),
}


@st.composite
def fields(draw, kinds=tuple(KINDS)):
    """Draw a field in any state: a shadow and what the sides show, of which either may have moved."""
    alike, values = KINDS[draw(st.sampled_from(kinds))]
    value = st.sampled_from(values)
    agreed = Pair(draw(value), draw(value))
    seen = Pair(draw(st.just(agreed.till) | value), draw(st.just(agreed.crm) | value))
    shadow = draw(st.sampled_from((agreed, None)))
    last = draw(st.sampled_from(("till", "crm", None)))
    return FieldState(seen, shadow, draw(st.booleans()), last), alike


def carried_out(state, decision):
    """Do what was decided on both sides, and remember what they show then."""
    seen = state.seen
    match decision:
        case Keep():
            return replace(state, confirmed=True)
        case Settle(shadow):
            return FieldState(seen, shadow)
        case Push(value, _) | Conflict("till", value, _):
            return FieldState(Pair(seen.till, value), Pair(seen.till, value), confirmed=False)
        case Pull(value, _) | Conflict("crm", value, _):
            return FieldState(Pair(value, seen.crm), Pair(value, seen.crm))
        case Conflict(None, _, _):
            return state


@given(fields(), MODES, AUTHORITIES, st.booleans())
def test_a_second_look_writes_nothing(field, mode, authority, opt_out):
    state, alike = field
    first = reconcile_field(state, mode, authority, alike, opt_out=opt_out)
    second = reconcile_field(carried_out(state, first), mode, authority, alike, opt_out=opt_out)

    if isinstance(first, Conflict) and first.winner is None:
        assert first == second
    else:
        assert isinstance(second, Keep | Settle)


@given(fields(), MODES, AUTHORITIES, st.booleans())
def test_a_third_look_has_nothing_to_remember_either(field, mode, authority, opt_out):
    state, alike = field
    for _ in range(2):
        state = carried_out(state, reconcile_field(state, mode, authority, alike, opt_out=opt_out))
    third = reconcile_field(state, mode, authority, alike, opt_out=opt_out)

    assert isinstance(third, Keep) or (isinstance(third, Conflict) and third.winner is None)


@given(fields(), MODES, AUTHORITIES, st.booleans())
def test_whatever_is_replaced_is_handed_back(field, mode, authority, opt_out):
    state, alike = field
    decision = reconcile_field(state, mode, authority, alike, opt_out=opt_out)
    after = carried_out(state, decision).seen
    replaced = [
        before
        for before, now in ((state.seen.till, after.till), (state.seen.crm, after.crm))
        if before != now
    ]

    assert replaced == ([decision.loser] if replaced else [])


@given(fields(kinds=("flag",)), MODES, AUTHORITIES)
def test_an_opt_out_is_never_taken_back(field, mode, authority):
    state, alike = field
    after = carried_out(state, reconcile_field(state, mode, authority, alike, opt_out=True)).seen

    assert opted_out(after.till) or not opted_out(state.seen.till)
    assert opted_out(after.crm) or not opted_out(state.seen.crm)


@given(fields(kinds=("flag",)), MODES, AUTHORITIES)
def test_an_opt_out_is_carried_only_where_it_was_seen_to_be_said(field, mode, authority):
    state, alike = field
    decision = reconcile_field(state, mode, authority, alike, opt_out=True)
    if not isinstance(decision, Push | Pull):
        return
    before, now = (
        (state.shadow.till, state.seen.till)
        if isinstance(decision, Push)
        else (state.shadow.crm, state.seen.crm)
    )

    assert (False, True) == (opted_out(before), opted_out(now))


@given(fields(), MODES, AUTHORITIES)
def test_what_both_show_alike_is_never_written(field, mode, authority):
    state, alike = field
    decision = reconcile_field(state, mode, authority, alike)

    assert isinstance(decision, Keep | Settle) or not alike(state.seen.till, state.seen.crm)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_respelling_is_no_edit(kind, data):
    """Either side spells what it showed in another way: nothing is written for it."""
    alike, values = KINDS[kind]
    before = Pair(data.draw(st.sampled_from(values)), data.draw(st.sampled_from(values)))
    seen = Pair(
        data.draw(st.sampled_from([value for value in values if alike(value, before.till)])),
        data.draw(st.sampled_from([value for value in values if alike(value, before.crm)])),
    )

    assert Keep() == reconcile_field(
        FieldState(seen, before), data.draw(MODES), data.draw(AUTHORITIES), alike
    )

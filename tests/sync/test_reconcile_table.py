"""Every state that one field can be in, against the rules as sentences.

The first sentence that fits a state says what must happen. All states are
enumerated, every state needs its sentence and every sentence its state. What is
written here knows words only (moved, cleared, …); what is tested knows values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest

from tillbridge.sync.reconcile import (
    Conflict,
    FieldState,
    Keep,
    Pair,
    Pull,
    Push,
    Settle,
    reconcile,
    reconcile_field,
    same_text,
)

MODES = ("two_way", "till_to_crm", "crm_to_till", "link_only", "fill_blanks")
AUTHORITIES = ("till", "crm", "newest", "ask")
LAST = ("till", "crm", None)

TO_CRM, TO_TILL = {"two_way", "till_to_crm"}, {"two_way", "crm_to_till"}


@dataclass(frozen=True)
class Case:
    """One state of one field, in words."""

    till: str
    crm: str
    new: bool  # no shadow: the link is new
    alike: bool  # both sides show the same now
    confirmed: bool
    last: str | None
    authority: str
    mode: str

    @property
    def till_edit(self):
        return self.till in {"moved", "came", "cleared"}

    @property
    def crm_edit(self):
        return self.confirmed and self.crm in {"moved", "came", "cleared"}

    @property
    def crm_blank(self):
        return self.crm in {"absent", "cleared"}

    @property
    def till_blank(self):
        return self.till in {"absent", "cleared"}


def when_allowed(decision: str, modes: set[str]) -> Callable[[Case], str]:
    return lambda case: decision if case.mode in modes else "settle"


def always(decision: str) -> Callable[[Case], str]:
    return lambda _: decision


def both(case: Case) -> bool:
    return case.till_edit and case.crm_edit


RULES: dict[str, tuple[Callable[[Case], bool], Callable[[Case], str]]] = {
    "a new link, both show the same or nothing: that is noted": (
        lambda c: c.new and c.alike,
        always("settle"),
    ),
    "a new link, the CRM's side is blank: it is filled where values may go to the CRM": (
        lambda c: c.new and c.crm_blank,
        when_allowed("push", TO_CRM | {"fill_blanks"}),
    ),
    "a new link, the till's side is blank: it is filled where values may go to the till": (
        lambda c: c.new and c.till_blank,
        when_allowed("pull", TO_TILL | {"fill_blanks"}),
    ),
    "a new link, both differ, and nothing may be overwritten: each keeps its own": (
        lambda c: c.new and c.mode in {"link_only", "fill_blanks"},
        always("settle"),
    ),
    "a new link, both differ, the newest edit counts: there was none, each keeps its own": (
        lambda c: c.new and c.authority == "newest",
        always("settle"),
    ),
    "a new link, both differ: the till is the authority": (
        lambda c: c.new and c.authority == "till",
        when_allowed("till wins", TO_CRM),
    ),
    "a new link, both differ: the CRM is the authority": (
        lambda c: c.new and c.authority == "crm",
        when_allowed("crm wins", TO_TILL),
    ),
    "a new link, both differ: a person is asked": (lambda c: c.new, always("ask")),
    "nobody moved": (lambda c: c.confirmed and not c.till_edit and not c.crm_edit, always("keep")),
    "our own write is read back: the first reading is the spelling": (
        lambda c: not c.till_edit and not c.confirmed,
        always("settle"),
    ),
    "both show the same now, whoever moved": (lambda c: c.alike, always("settle")),
    "only the till moved, the CRM's side is blank": (
        lambda c: c.till_edit and not c.crm_edit and c.crm_blank,
        when_allowed("push", TO_CRM | {"fill_blanks"}),
    ),
    "only the till moved or was cleared": (
        lambda c: c.till_edit and not c.crm_edit,
        when_allowed("push", TO_CRM),
    ),
    "only the CRM moved, the till's side is blank": (
        lambda c: c.crm_edit and not c.till_edit and c.till_blank,
        when_allowed("pull", TO_TILL | {"fill_blanks"}),
    ),
    "only the CRM moved or was cleared": (
        lambda c: c.crm_edit and not c.till_edit,
        when_allowed("pull", TO_TILL),
    ),
    "both moved, nothing is to flow": (lambda c: both(c) and c.mode == "link_only", always("settle")),
    "both moved, only blanks are filled, the CRM was cleared": (
        lambda c: both(c) and c.mode == "fill_blanks" and c.crm_blank,
        always("push"),
    ),
    "both moved, only blanks are filled, the till was cleared": (
        lambda c: both(c) and c.mode == "fill_blanks" and c.till_blank,
        always("pull"),
    ),
    "both moved, only blanks are filled, none is": (
        lambda c: both(c) and c.mode == "fill_blanks",
        always("settle"),
    ),
    "the till was edited and the CRM cleared: the edit wins, whatever the authority": (
        lambda c: both(c) and c.crm_blank,
        when_allowed("till wins", TO_CRM),
    ),
    "the CRM was edited and the till cleared: the edit wins, whatever the authority": (
        lambda c: both(c) and c.till_blank,
        when_allowed("crm wins", TO_TILL),
    ),
    "both moved apart, the till is the authority": (
        lambda c: both(c) and c.authority == "till",
        when_allowed("till wins", TO_CRM),
    ),
    "both moved apart, the CRM is the authority": (
        lambda c: both(c) and c.authority == "crm",
        when_allowed("crm wins", TO_TILL),
    ),
    "both moved apart, a person is to be asked": (
        lambda c: both(c) and c.authority == "ask",
        always("ask"),
    ),
    "both moved apart on a one-way road: the newest edit is the side's whose edits count": (
        lambda c: both(c) and c.mode in {"till_to_crm", "crm_to_till"},
        lambda c: "till wins" if c.mode == "till_to_crm" else "crm wins",
    ),
    "both moved apart, the newest edit was seen in the till": (
        lambda c: both(c) and c.last == "till",
        always("till wins"),
    ),
    "both moved apart, the newest edit was seen in the CRM": (
        lambda c: both(c) and c.last == "crm",
        always("crm wins"),
    ),
    "both moved apart, nobody knows who was last: a person is asked": (both, always("ask")),
}

# How a side is in that state: what it showed when both agreed, and what it shows.
TILL = {
    "absent": (None, None),
    "same": ("ana", "ana"),
    "moved": ("ana", "anna"),
    "came": (None, "anna"),
    "cleared": ("ana", " "),
}
CRM = {
    "absent": ("", None),
    "same": ("ana", "ana"),
    "moved": ("ana", "anne"),
    "moved as the till did": ("ana", "anna"),
    "came": (None, "anne"),
    "came as the till's did": (None, "anna"),
    "cleared": ("ana", None),
}
NEW_TILL = {"absent": None, "there": "ana"}
NEW_CRM = {"absent": None, "the same": " ana ", "something else": "anne"}

STATES = [
    (till, crm, Pair(TILL[till][1], CRM[crm][1]), Pair(TILL[till][0], CRM[crm][0]))
    for till, crm in product(TILL, CRM)
] + [(till, crm, Pair(NEW_TILL[till], NEW_CRM[crm]), None) for till, crm in product(NEW_TILL, NEW_CRM)]


def cases(till, crm, seen, shadow):
    alike = (seen.till or "").strip() == (seen.crm or "").strip()
    for confirmed, last, authority, mode in product((True, False), LAST, AUTHORITIES, MODES):
        word = crm.split(" ")[0]
        yield Case(till, word, shadow is None, alike, confirmed, last, authority, mode)


def rule_of(case):
    return next((sentence for sentence, (fits, _) in RULES.items() if fits(case)), None)


def said(decision, seen):
    """Put a decision into a word; what is written and what is replaced must be what the sides show."""
    match decision:
        case Keep():
            return "keep"
        case Settle(shadow):
            return "settle" if shadow == seen else f"settle {shadow}"
        case Push(value, loser):
            return "push" if (value, loser) == (seen.till, seen.crm) else f"push {value} over {loser}"
        case Pull(value, loser):
            return "pull" if (value, loser) == (seen.crm, seen.till) else f"pull {value} over {loser}"
        case Conflict("crm", value, loser):
            return "crm wins" if (value, loser) == (seen.crm, seen.till) else f"crm wins {value}, {loser}"
        case Conflict(winner, value, loser):
            word = "ask" if winner is None else "till wins"
            return word if (value, loser) == (seen.till, seen.crm) else f"{word} {value}, {loser}"


@pytest.mark.parametrize(
    ("till", "crm", "seen", "shadow"),
    [
        pytest.param(*state, id=f"{'agreed' if state[3] else 'new'}: till {state[0]}, CRM {state[1]}")
        for state in STATES
    ],
)
def test_every_state_follows_its_sentence(till, crm, seen, shadow):
    """Confirmed or not, either side seen last, by each authority, in each mode: 120 of each."""
    wrong = []
    for case in cases(till, crm, seen, shadow):
        state = FieldState(seen, shadow, case.confirmed, case.last)
        rule = rule_of(case)
        decided = said(reconcile_field(state, case.mode, case.authority, same_text), seen)
        if rule is None or RULES[rule][1](case) != decided:
            wrong.append((rule, case, decided))

    assert [] == wrong


def test_every_sentence_has_its_state():
    used = {rule_of(case) for state in STATES for case in cases(*state)}

    assert set(RULES) == used


# --- opt-outs ------------------------------------------------------------------------------------

# What a side said when both agreed, and what it says now.
ANSWERS = {
    "no": ("true", "true"),
    "nothing": ("false", "false"),
    "unseen": (None, None),
    "said no": ("false", "true"),
    "said no at last": (None, "true"),
    "took it back": ("true", "false"),
    "is not shown any more": ("true", None),
}
SAYS_NO = {"no", "said no", "said no at last"}
NEWLY = {"said no", "said no at last"}
MOVED = NEWLY | {"took it back", "is not shown any more"}


def opt_out_rule(till, crm, confirmed, mode):
    """Say what must happen, by the sentences of the table in the module's first lines."""
    if till in NEWLY and crm not in SAYS_NO and mode in TO_CRM:
        return "push"
    if crm in NEWLY and till not in SAYS_NO and mode in TO_TILL:
        return "pull"
    return "keep" if confirmed and not {till, crm} & MOVED else "settle"


@pytest.mark.parametrize("crm", ANSWERS)
@pytest.mark.parametrize("till", ANSWERS)
def test_a_no_that_was_seen_to_be_said_is_all_that_flows(till, crm):
    seen, shadow = Pair(ANSWERS[till][1], ANSWERS[crm][1]), Pair(ANSWERS[till][0], ANSWERS[crm][0])
    wrong = []
    for confirmed, last, authority, mode in product((True, False), LAST, AUTHORITIES, MODES):
        state = FieldState(seen, shadow, confirmed, last)
        decided = said(reconcile_field(state, mode, authority, same_text, opt_out=True), seen)
        if opt_out_rule(till, crm, confirmed, mode) != decided:
            wrong.append((confirmed, last, authority, mode, decided))

    assert [] == wrong


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("till", "crm"), list(product(("true", "false", None), repeat=2)))
def test_at_first_sight_no_opt_out_is_carried_and_none_is_taken_back(till, crm, mode):
    """The till's interface opts out whom it creates: a no that stood there before us proves nothing."""
    seen = Pair(till, crm)

    assert {Settle(seen)} == {
        reconcile_field(FieldState(seen, None, confirmed, last), mode, authority, same_text, opt_out=True)
        for confirmed, last, authority in product((True, False), LAST, AUTHORITIES)
    }


# --- fields without a way back ---------------------------------------------------------------------


@pytest.mark.parametrize(("till", "crm", "seen", "shadow"), STATES)
def test_a_field_without_a_way_back_is_never_written_to_the_till(till, crm, seen, shadow):
    for case in cases(till, crm, seen, shadow):
        state = FieldState(seen, shadow, case.confirmed, case.last)
        plain = said(reconcile_field(state, case.mode, case.authority, same_text), seen)
        decided = reconcile({"Note": state}, case.mode, {"Note": case.authority}, {}, one_way={"Note"})

        assert {"pull": "settle", "crm wins": "settle"}.get(plain, plain) == said(decided["Note"], seen)

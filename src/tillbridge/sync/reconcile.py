"""Decide what one field of a linked pair needs: nothing, a push, a pull, or a person.

The shadow is what each side showed when both last agreed, kept per side. A side
has moved when it differs from its own shadow; comparing the two sides alone
cannot tell who moved, and comparing their clocks tells lies. From that follow
the two rules that keep a sync quiet: our own write coming back equals the
shadow, so it is no edit; and a value that a side merely spells its own way
(see `alike`) has not moved.

                        till stays          till moved
    CRM stays           keep                push
    CRM moved           pull                same edit: settle · else: conflict

The mode says which way values may flow at all; what flows against it is noted
(settle) and left alone. The authority decides conflicts, and nothing else, and
not all of them: where one side edited and the other only cleared, the edit wins.

Opt-outs are not values but words of a person, and have a table of their own. A
no counts where it was seen to be said (the till's interface makes one up for
whom it creates), and then nobody's authority speaks against it. What was taken
back on one side is never taken back on the other by us.

                        said no since       took it back     said nothing new
    the other says no   settle              settle           keep
    the other does not  push or pull        settle           keep

No I/O and no clock: equal inputs give equal decisions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from tillbridge.model.writing import Value
from tillbridge.sync.alike import Alike, blank, same_text

Mode = Literal["two_way", "till_to_crm", "crm_to_till", "link_only", "fill_blanks"]
Authority = Literal["till", "crm", "newest", "ask"]
Side = Literal["till", "crm"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One field on both sides."""

    till: Value
    crm: Value


@dataclass(frozen=True, slots=True)
class FieldState:
    """All we know of one field of one linked pair.

    `shadow` is None before both sides ever agreed: the link is new. `confirmed`
    is false when we have written the CRM and not read it back since.
    `noticed_last` is the side whose move we saw later, by our own count of
    observations, if both moved and we know.
    """

    seen: Pair
    shadow: Pair | None
    confirmed: bool = True
    noticed_last: Side | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing moved. The shadow stands."""


@dataclass(frozen=True, slots=True)
class Settle:
    """Write nothing, and remember what both sides show as their new shadow."""

    shadow: Pair


@dataclass(frozen=True, slots=True)
class Push:
    """Write the till's value to the CRM. `loser` is what it replaces."""

    value: Value
    loser: Value


@dataclass(frozen=True, slots=True)
class Pull:
    """Write the CRM's value to the till. `loser` is what it replaces."""

    value: Value
    loser: Value


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides moved apart. `winner` is None when a person must say; then nothing is written.

    The loser is kept, so that it can be restored.
    """

    winner: Side | None
    value: Value
    loser: Value


Decision = Keep | Settle | Push | Pull | Conflict

MAY_PUSH: frozenset[Mode] = frozenset({"two_way", "till_to_crm"})
MAY_PULL: frozenset[Mode] = frozenset({"two_way", "crm_to_till"})


def reconcile(
    fields: Mapping[str, FieldState],
    mode: Mode,
    authority: Mapping[str, Authority],
    alike: Mapping[str, Alike],
    *,
    otherwise: Authority = "newest",
    opt_outs: Collection[str] = (),
    one_way: Collection[str] = (),
) -> dict[str, Decision]:
    """Decide every field of one pair; one without an entry is compared as text and decided by `otherwise`.

    `opt_outs` are the fields by which somebody says no; `one_way` those that
    have no way back to the till, whatever the mode: an edit of theirs in the
    CRM is noted and stays there.
    """
    decisions = {}
    for name, state in fields.items():
        whose, how = authority.get(name, otherwise), alike.get(name, same_text)
        decision = reconcile_field(state, mode, whose, how, opt_out=name in opt_outs)
        decisions[name] = _without_way_back(state, decision) if name in one_way else decision
    return decisions


def reconcile_field(
    state: FieldState, mode: Mode, authority: Authority, alike: Alike, *, opt_out: bool = False
) -> Decision:
    """Decide one field."""
    if opt_out:
        return _opt_out(state, mode)
    seen = state.seen
    if state.shadow is None:
        return _first_contact(state, mode, authority, alike)
    till_moved = not alike(seen.till, state.shadow.till)
    # What we wrote may come back respelt in ways that no comparison knows: the first reading is the spelling.
    crm_moved = state.confirmed and not alike(seen.crm, state.shadow.crm)
    if not till_moved and not crm_moved:
        return Keep() if state.confirmed else Settle(seen)
    if alike(seen.till, seen.crm):
        return Settle(seen)  # The same edit on both sides, or one that the other side shows already.
    if till_moved and crm_moved:
        return _both_moved(state, mode, authority)
    return _flow_to_crm(seen, mode) if till_moved else _flow_to_till(seen, mode)


def _without_way_back(state: FieldState, decision: Decision) -> Decision:
    if isinstance(decision, Pull) or (isinstance(decision, Conflict) and decision.winner == "crm"):
        return Settle(state.seen)
    return decision


def _opt_out(state: FieldState, mode: Mode) -> Decision:
    """Carry a no that was seen to be said, and nothing else."""
    seen, shadow = state.seen, state.shadow
    if shadow is None:
        return Settle(seen)
    till_said_no, crm_said_no = (
        opted_out(now) and not opted_out(before)
        for now, before in ((seen.till, shadow.till), (seen.crm, shadow.crm))
    )
    if till_said_no and not opted_out(seen.crm) and mode in MAY_PUSH:
        return Push(seen.till, seen.crm)
    if crm_said_no and not opted_out(seen.till) and mode in MAY_PULL:
        return Pull(seen.crm, seen.till)
    stays = opted_out(seen.till) == opted_out(shadow.till) and opted_out(seen.crm) == opted_out(shadow.crm)
    return Keep() if stays and state.confirmed else Settle(seen)


def opted_out(value: Value) -> bool:
    """Say whether somebody said no by it, however the side writes that. Nothing said is no no."""
    return value is True or (isinstance(value, str) and value.strip().casefold() == "true")


def _first_contact(state: FieldState, mode: Mode, authority: Authority, alike: Alike) -> Decision:
    """Two records that were just linked: nobody has edited anything yet, so only blanks are filled.

    Where both say something else, the authority decides, as in a conflict; a
    field whose newest edit counts has none, and each side keeps its own.
    """
    seen = state.seen
    if alike(seen.till, seen.crm):
        return Settle(seen)
    if blank(seen.crm):
        return Push(seen.till, seen.crm) if mode in MAY_PUSH or mode == "fill_blanks" else Settle(seen)
    if blank(seen.till):
        return Pull(seen.crm, seen.till) if mode in MAY_PULL or mode == "fill_blanks" else Settle(seen)
    if authority == "newest":
        return Settle(seen)
    return _both_moved(state, mode, authority)


def _flow_to_crm(seen: Pair, mode: Mode) -> Decision:
    if mode in MAY_PUSH or (mode == "fill_blanks" and blank(seen.crm)):
        return Push(seen.till, seen.crm)
    return Settle(seen)


def _flow_to_till(seen: Pair, mode: Mode) -> Decision:
    if mode in MAY_PULL or (mode == "fill_blanks" and blank(seen.till)):
        return Pull(seen.crm, seen.till)
    return Settle(seen)


def _both_moved(state: FieldState, mode: Mode, authority: Authority) -> Decision:
    seen = state.seen
    if mode == "link_only":
        return Settle(seen)
    if mode == "fill_blanks":
        if blank(seen.crm):
            return Push(seen.till, seen.crm)
        return Pull(seen.crm, seen.till) if blank(seen.till) else Settle(seen)
    winner = _winner(state, mode, authority)
    if winner == "till":
        return Conflict("till", seen.till, seen.crm) if mode in MAY_PUSH else Settle(seen)
    if winner == "crm":
        return Conflict("crm", seen.crm, seen.till) if mode in MAY_PULL else Settle(seen)
    return Conflict(None, seen.till, seen.crm)


def _winner(state: FieldState, mode: Mode, authority: Authority) -> Side | None:
    if blank(state.seen.till) or blank(state.seen.crm):
        return "till" if blank(state.seen.crm) else "crm"  # An edit beats a deletion, whoever made it.
    if authority in {"till", "crm"}:
        return "till" if authority == "till" else "crm"
    if authority == "ask":
        return None
    # The newest edit: on a one-way road only one side's edits count at all.
    if mode == "till_to_crm":
        return "till"
    return "crm" if mode == "crm_to_till" else state.noticed_last

"""Decide what one field of a linked pair needs: nothing, a push, a pull, or a person.

The shadow is what each side showed when both last agreed, kept per side. A side
has moved when it differs from its own shadow; comparing the two sides alone
cannot tell who moved, and comparing their clocks tells lies. From that follow
the two rules that keep a sync quiet: our own write coming back equals the
shadow, so it is no edit; and a value that a side merely spells its own way
(phones, blanks, case) has not moved.

                        till stays          till moved
    CRM stays           keep                push
    CRM moved           pull                same edit: settle · else: conflict

The mode says which way values may flow at all; what flows against it is noted
(settle) and left alone. The authority decides conflicts, and nothing else. No
I/O and no clock: equal inputs give equal decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from tillbridge.model.emails import fold_email
from tillbridge.model.phones import e164
from tillbridge.model.writing import Value

Mode = Literal["two_way", "till_to_crm", "crm_to_till", "link_only", "fill_blanks"]
Authority = Literal["till", "crm", "newest", "ask"]
Side = Literal["till", "crm"]
Alike = Callable[[Value, Value], bool]


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
) -> dict[str, Decision]:
    """Decide every field of one pair; one without an entry is compared as text and decided by `otherwise`."""
    return {
        name: reconcile_field(state, mode, authority.get(name, otherwise), alike.get(name, same_text))
        for name, state in fields.items()
    }


def reconcile_field(state: FieldState, mode: Mode, authority: Authority, alike: Alike) -> Decision:
    """Decide one field."""
    seen = state.seen
    if state.shadow is None:
        return _first_contact(state, mode, authority, alike)
    till_moved = not alike(seen.till, state.shadow.till)
    # What we wrote may come back respelt in ways that no comparison knows: the first reading is the spelling.
    crm_moved = state.confirmed and not alike(seen.crm, state.shadow.crm)
    match till_moved, crm_moved:
        case False, False:
            return Keep() if state.confirmed else Settle(seen)
        case True, False:
            return _flow_to_crm(seen, mode)
        case False, True:
            return _flow_to_till(seen, mode)
        case _:
            return Settle(seen) if alike(seen.till, seen.crm) else _both_moved(state, mode, authority)


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
    if authority in {"till", "crm"}:
        return "till" if authority == "till" else "crm"
    if authority == "ask":
        return None
    # The newest edit: on a one-way road only one side's edits count at all.
    if mode == "till_to_crm":
        return "till"
    return "crm" if mode == "crm_to_till" else state.noticed_last


def blank(value: Value) -> bool:
    """Say whether there is nothing to read. False is an answer, and so is zero."""
    return value is None or (isinstance(value, str) and not value.strip())


def same(a: Value, b: Value) -> bool:
    """Compare exactly; blank is blank, however it is written."""
    return a == b or (blank(a) and blank(b))


def same_text(a: Value, b: Value) -> bool:
    """Compare with needless blanks and line ends aside."""
    if isinstance(a, str) and isinstance(b, str):
        return a.split() == b.split()
    return same(a, b)


def same_email(a: Value, b: Value) -> bool:
    """Compare addresses as mail systems do: letter case does not count."""
    if isinstance(a, str) and isinstance(b, str):
        return (fold_email(a) or a.split()) == (fold_email(b) or b.split())
    return same(a, b)


def same_day(a: Value, b: Value) -> bool:
    """Compare days; a moment is its own UTC day, a text its first ten characters."""
    return _day(a) == _day(b) if not (blank(a) or blank(b)) else same(a, b)


def same_number(a: Value, b: Value) -> bool:
    """Compare numbers: 1.50 is 1.5, and text of it too."""
    if blank(a) or blank(b):
        return same(a, b)
    return _number(a) == _number(b)


def same_phone(region: str | None) -> Alike:
    """Return a comparison of phone numbers as dialled in `region`."""

    def alike(a: Value, b: Value) -> bool:
        if isinstance(a, str) and isinstance(b, str) and not (blank(a) or blank(b)):
            return (e164(a, region) or _digits(a)) == (e164(b, region) or _digits(b))
        return same(a, b)

    return alike


def _day(value: Value) -> object:
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)[:10]


def _number(value: Value) -> object:
    if isinstance(value, str):
        text = value.strip()
        return Decimal(text) if text.replace(".", "", 1).lstrip("-").isdigit() else text
    return value


def _digits(text: str) -> str:
    return "".join(ch for ch in text if ch.isalnum()).casefold()

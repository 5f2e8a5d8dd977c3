"""Guard between plan and write: a plan may look like news, or like something that broke.

Small predicates over counts; each objection says the numbers. Nothing here
knows how often it was asked before: what a person has approved once and for
all is handed in. Creating in a CRM that holds none of our records is how every
connection begins, and no reason to halt.

A plan is a set of entries. Its checksum is over what they say and not over
their order, so that what is applied is what was looked at, or nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Literal, get_args

import msgspec

from tillbridge.model.writing import KeyRef, Value

Action = Literal["create_crm", "update_crm", "create_till", "update_till"]
Reason = Literal["first_till_write", "first_crm_update", "many_changes", "emptied_till", "emptied_crm"]
REASONS: tuple[Reason, ...] = get_args(Reason)

# What is approved once and never asked again; every other approval is good for its plan only.
ONCE_FOR_ALL: frozenset[Reason] = frozenset({"first_till_write", "first_crm_update"})

# One linked customer that is gone is a deletion. From two on, a side that shows none of them is empty.
_NONE_LEFT_FROM = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a plan waits for a person; the settings of [safety]."""

    ask_first_till_write: bool = True
    ask_first_crm_update: bool = True
    changed_share_max: float = 0.05
    changed_from: int = 10
    left_share_min: float = 0.5


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Presence:
    """How many of the linked customers a side had shown, and how many a complete reading shows now.

    `shown` is None where nothing was read to the end: absence from a page says nothing.
    """

    known: int = 0
    shown: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What a plan would do, in people.

    `changing` are linked customers that would change on either side, each
    counted once. `theirs` are the updates of people who were in the CRM before
    us. Whoever is created in the CRM is not counted: that never halts.
    """

    linked: int = 0
    changing: int = 0
    theirs: int = 0
    till_creates: int = 0
    till_updates: int = 0
    till: Presence = Presence()
    crm: Presence = Presence()


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a plan should not be carried out unseen: a half sentence with its numbers."""

    reason: Reason
    text: str


def objections(
    counts: Counts, limits: Limits = DEFAULT_LIMITS, approved: Collection[str] = ()
) -> list[Objection]:
    """Return what speaks against the plan; nothing when it may be carried out.

    `approved` are the reasons that a person has let pass: those of
    ONCE_FOR_ALL ever, the others for this very plan.
    """
    found = (
        _first_till_write(counts, limits),
        _first_crm_update(counts, limits),
        _many_changes(counts, limits),
        _emptied("emptied_till", "Lightspeed", counts.till, limits),
        _emptied("emptied_crm", "Salesforce", counts.crm, limits),
    )
    return [each for each in found if each is not None and each.reason not in approved]


def halt_text(found: Collection[Objection], plan: int) -> str:
    """Say in one sentence why nothing was written, and the way out."""
    return (
        f"Nothing was written, since {'; and '.join(each.text for each in found)}: "
        f"look at plan {plan}, and let it pass with `tillbridge approve {plan}`."
    )


def _first_till_write(counts: Counts, limits: Limits) -> Objection | None:
    creates, updates = counts.till_creates, counts.till_updates
    if not limits.ask_first_till_write or not creates + updates:
        return None
    told = " and ".join(
        filter(
            None,
            (
                f"create {_people(creates)}" if creates else "",
                f"change {_people(updates)}" if updates else "",
            ),
        )
    )
    return Objection("first_till_write", f"it would {told} in Lightspeed, the first time that we write there")


def _first_crm_update(counts: Counts, limits: Limits) -> Objection | None:
    if not limits.ask_first_crm_update or not counts.theirs:
        return None
    who = f"{_people(counts.theirs)} who {'was' if counts.theirs == 1 else 'were'} in Salesforce before us"
    return Objection("first_crm_update", f"it would change {who}, for the first time")


def _many_changes(counts: Counts, limits: Limits) -> Objection | None:
    if counts.changing < limits.changed_from or counts.changing <= counts.linked * limits.changed_share_max:
        return None
    share = f"{counts.changing / counts.linked:.1%}" if counts.linked else "all"
    return Objection(
        "many_changes",
        f"it would change {counts.changing:,} of {_people(counts.linked)} that are linked "
        f"({share}, more than {limits.changed_share_max:.1%}) within an hour",
    )


def _emptied(
    reason: Literal["emptied_till", "emptied_crm"], side: str, presence: Presence, limits: Limits
) -> Objection | None:
    known, shown = presence.known, presence.shown
    if shown is None or shown >= known * limits.left_share_min:
        return None
    if known < (limits.changed_from if shown else _NONE_LEFT_FROM):
        return None
    return Objection(
        reason,
        f"{side} shows only {shown:,} of {_people(known)} that it showed before "
        "(is it the right account, and may we still see everybody?)",
    )


def _people(count: int) -> str:
    return f"{count:,} customer{'' if count == 1 else 's'}"


# --- what a plan says ----------------------------------------------------------------------------


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One record that would be written. `fields`: what each shows, and what it would show; None is blank."""

    action: Action
    till_id: str | None = None
    crm_id: str | None = None
    object: str
    name: str  # for people
    fields: dict[str, tuple[str | None, str | None]]


_ENTRY = msgspec.json.Encoder(order="deterministic")
_ENTRIES = msgspec.json.Decoder(list[Entry])


def shown(value: Value) -> str | None:
    """Write a value as people see it in a plan: text, and None for nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):  # datetimes too
        return value.isoformat()
    return value.key if isinstance(value, KeyRef) else str(value)


def packed(entries: Iterable[Entry]) -> bytes:
    """Write a plan as canonical JSON: equal plans are equal bytes, in whatever order they were made."""
    return b"[" + b",\n".join(sorted(_ENTRY.encode(entry) for entry in entries)) + b"]"


def unpacked(body: bytes) -> list[Entry]:
    """Read a packed plan again. Raises msgspec.DecodeError where it is none."""
    return _ENTRIES.decode(body)


def checksum(entries: Iterable[Entry]) -> str:
    """Return the SHA-256 of what the entries say, in hexadecimal digits."""
    return sha256(packed(entries)).hexdigest()

"""Guard between plan and write: a plan may look like news, or like something that broke.

Small predicates over counts. Each says why it objects, with the numbers and
the way out; an empty answer lets the plan pass. Creating into an org that holds
none of our records is how every connection begins, and no reason to halt.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a plan looks wrong. Small numbers never do: three of five customers may well move."""

    # A side that shows less than half of what it showed is filtered, restored, or somebody else's.
    emptied_share: float = 0.5
    emptied_from: int = 20
    # Records that people had before we came: nobody edits a third of their customers between two runs.
    updated_share: float = 0.3
    updated_from: int = 50


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Planned:
    """What a plan would do to one kind, in numbers.

    `known` records of this kind had been seen on the reading side, `seen` were
    there in a complete reading now (None: the reading was not complete, so it
    says nothing). `updates_of_theirs` would change records that people already
    had, of `theirs` that we are linked to.
    """

    kind: str
    known: int = 0
    seen: int | None = None
    updates_of_theirs: int = 0
    theirs: int = 0
    creates: int = 0


def objections(planned: Planned, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """Return why the plan should not be carried out unseen; nothing when it may."""
    return [text for text in (emptied(planned, limits), too_many_updates(planned, limits)) if text]


def emptied(planned: Planned, limits: Limits = DEFAULT_LIMITS) -> str | None:
    """Object to a side that lost most of what it showed."""
    if planned.seen is None or planned.known < limits.emptied_from:
        return None
    if planned.seen >= planned.known * limits.emptied_share:
        return None
    return (
        f"only {planned.seen} of {planned.known} {planned.kind} records are left: "
        "check that this is the right account and that nobody narrowed our access"
    )


def too_many_updates(planned: Planned, limits: Limits = DEFAULT_LIMITS) -> str | None:
    """Object to changing many records that people had before we came."""
    if planned.updates_of_theirs < limits.updated_from:
        return None
    if planned.updates_of_theirs <= planned.theirs * limits.updated_share:
        return None
    return (
        f"{planned.updates_of_theirs} of {planned.theirs} {planned.kind} records that were there before us "
        "would change: look at the plan and approve it, or set the mode to fill_blanks"
    )

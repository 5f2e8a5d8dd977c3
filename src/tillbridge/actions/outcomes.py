"""What comes of what people do, as pages show it and the JSON API sends it."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["customer", "sale", "product", "person"]
Side = Literal["till", "crm"]


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record that somebody sent."""

    kind: str
    id: str
    outcome: str
    why: str | None
    object: str | None
    crm_id: str | None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of records that somebody sent."""

    run: int | None
    records: list[Fate]


class StillRefused(msgspec.Struct, frozen=True, kw_only=True):
    """A cause that refuses after a retry what it refused before."""

    cause: str
    state: str
    count: int
    message: str
    problem: int


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of trying problems again. `asked` 0 and `released`: the next run sends them."""

    run: int | None
    released: int
    asked: int
    accepted: int
    refused: list[StillRefused]
    added: list[str]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What a choice about a person came to."""

    id: str
    state: str
    reason: str | None
    object: str | None
    crm_id: str | None
    receipts: int


class TakenApart(msgspec.Struct, frozen=True, kw_only=True):
    """What came of taking a customer and a person apart."""

    id: str
    object: str
    crm_id: str
    receipts: int
    speaks_now: str | None


class ChosenNew(msgspec.Struct, frozen=True, kw_only=True):
    """What choices about several customers came to; `left`: who was not decided, and why."""

    chosen: list[Chosen]
    left: dict[str, str]


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of merging decided duplicates in the CRM."""

    merged: list[str]
    refused: list[str]
    by_hand: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a search for duplicates came to."""

    till: int
    crm: int
    clusters: int
    sure: int


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """Something of an erased person that stays, and why. `open`: a person has to do something about it."""

    where: str
    what: str
    why: str
    open: bool


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What came of erasing a person."""

    id: str
    finished: bool
    till_ids: list[str]
    crm_ids: list[str]
    remains: list[Remains]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of conflicts that somebody ruled on."""

    settled: list[int]
    left: dict[int, str]


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a plan."""

    plan: int
    run: int | None
    counts: dict[str, int]
    refused: list[str]
    skipped: list[str]
    held: list[int]


class Previewed(msgspec.Struct, frozen=True, kw_only=True):
    """What would be written, kept as a plan."""

    plan: int | None
    checksum: str | None
    entries: int
    skips: int
    unchanged: int
    crm_calls: int
    till_calls: int
    holds: list[str]
    more: bool


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """One value that was taken back, or was not, and why."""

    customer: str
    field: str
    side: str
    to: str | None
    why_not: str | None


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """What an undo has taken back, or would."""

    dry: bool
    run: int | None
    values: list[Back]
    created_in_crm: list[str]
    created_in_till: list[str]


class FieldDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a receipt: what would be sent and what the CRM holds."""

    row: str
    object: str
    field: str
    would_send: str | None
    holds: str | None
    differs: bool


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What sending a receipt once more would change."""

    sale: str
    key: str
    left_out: str | None
    in_crm: bool
    fields: list[FieldDifference]

"""The target's own word on one row of a batch: written, or refused and why. Never a bool."""

from __future__ import annotations

import msgspec


class Written(msgspec.Struct, frozen=True):
    """The row is in the target under `id`. `created` is None where the target does not say."""

    id: str
    created: bool | None = None


class Refused(msgspec.Struct, frozen=True):
    """The row was refused: the remote's `code` and `message`, the fields it named, ids it offered.

    `matches` holds the target's ids of records it thinks are the same (duplicate
    rules) or that share a key (several hits).
    """

    code: str
    message: str
    fields: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()


Ack = Written | Refused

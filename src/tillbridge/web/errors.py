"""What keeps a page from being shown, other than who asks."""

from __future__ import annotations


class NotHere(Exception):
    """There is nothing at this address, or no longer."""


class Unfit(Exception):
    """What was sent cannot be done as it is. `why` is for the person to read."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

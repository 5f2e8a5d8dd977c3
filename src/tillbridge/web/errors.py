"""What keeps a page from being shown, other than who asks."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response


class NotHere(Exception):
    """There is nothing at this address, or no longer."""


class Unfit(Exception):
    """What was sent cannot be done as it is. `why` is for the person to read, `mistakes` for a program."""

    def __init__(self, why: str, mistakes: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(why)
        self.why, self.mistakes = why, mistakes


class Answered(Exception):
    """Another page is shown instead of the one that was asked for."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer

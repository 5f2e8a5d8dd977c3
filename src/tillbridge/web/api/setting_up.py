"""The API's question about set-ups: which there are, and how far each is. They are done in the console."""

from __future__ import annotations

import msgspec
from fastapi import Request

from tillbridge.setup.steps import BY_NAME
from tillbridge.web.api.answers import answers
from tillbridge.web.console import console_of


class SetUpStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step: done, the next one to do, open to be done, or closed until others are done."""

    name: str
    title: str
    state: str
    note: str


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """One connection's set-up."""

    name: str
    is_live: bool
    steps: list[SetUpStep]


@answers(list[SetUp])
def set_ups(request: Request) -> list[SetUp]:
    """List the connections' set-ups, and how far each is."""
    return [
        SetUp(
            name=each.name,
            is_live=each.is_live,
            steps=[
                SetUpStep(
                    name=step,
                    title=BY_NAME[step].title,
                    state=state,
                    note=each.done[step].note if step in each.done else "",
                )
                for step, state in each.states.items()
            ],
        )
        for each in console_of(request).setups.all()
    ]

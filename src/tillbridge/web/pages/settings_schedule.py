"""The schedule: how often each stream is read, when shops are open, what rests, and what is due next."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.views.runs import Work, work
from tillbridge.web.console import books_of, console_of, visitor_of
from tillbridge.web.pages import settings as shared
from tillbridge.web.pages.runs import steered
from tillbridge.web.pages.settings import Given
from tillbridge.web.rendering import done, is_part, page

_TEMPLATE = "settings_schedule.html"
_SAID = {"pause": "paused", "resume": "resumed", "run-now": "queued"}


def show(request: Request) -> Response:
    """Show the schedule; its own script asks for the streams alone."""
    if is_part(request):
        return page(request, "settings_streams.html", work=_work(request))
    return shared.show(request, "schedule", _TEMPLATE, work=_work(request))


def save(request: Request, form: Given) -> Response:
    """Let other intervals and hours hold from the next look on."""
    return shared.save(request, "schedule", form, _TEMPLATE, work=_work(request))


def steer(
    request: Request,
    verb: Annotated[str, Form(max_length=20)],
    stream: Annotated[str, Form(max_length=80)] = "",
) -> Response:
    """Let the connection, or one of its streams, rest, go on, or be due at once."""
    connection = request.path_params["connection"]
    steered(request, verb, stream)
    console_of(request).note(visitor_of(request), _SAID[verb], connection, stream=stream)
    return done(f"/c/{connection}/settings/schedule", _SAID[verb])


def _work(request: Request) -> Work:
    return work(books_of(request), console_of(request).dead_after_seconds)

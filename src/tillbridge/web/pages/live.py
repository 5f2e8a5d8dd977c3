"""What a connection does, told as it happens: a stream of events for whoever looks on."""

from __future__ import annotations

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from tillbridge.web.console import books_of, console_of, visitor_of
from tillbridge.web.live import Events, as_event, follow

_EVENTS = "text/event-stream"
_ID_MAX = 16


async def events(request: Request) -> Response:
    """Tell what moves as it moves. Whoever does not ask for a stream is told once how things stand."""
    console, visitor = console_of(request), visitor_of(request)
    streams = console.streams

    async def look() -> tuple[str, bytes]:
        # The books are opened anew when the connection's settings change.
        newest = await run_in_threadpool(books_of, request)
        return await run_in_threadpool(streams.look, newest, console.dead_after_seconds)

    async def may_go_on() -> bool:
        """Say whether whoever looks on is still signed in, with the same rights."""
        now = await run_in_threadpool(console.sessions.visitor, request, console.now())
        return now.session == visitor.session and now.may(visitor.role) and not now.is_limited

    if _EVENTS not in request.headers.get("accept", ""):
        return Response(as_event(*await look()), media_type=_EVENTS)
    await run_in_threadpool(books_of, request)  # Nothing to follow is said before a stream begins.
    if not streams.enter(visitor.session):
        return PlainTextResponse("Enough pages look on already.\n", 429, {"retry-after": "30"})
    last = request.headers.get("last-event-id", "")[:_ID_MAX]
    return Events(streams, visitor.session, follow(streams, look, may_go_on, last))

"""The overview of a connection: is all fresh, do both systems agree, what needs somebody, what runs."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from tillbridge.views.overview import overview
from tillbridge.web.console import books_of, console_of, stores_of, visitor_of
from tillbridge.web.pages import setup
from tillbridge.web.rendering import go, is_part, page
from tillbridge.web.security.roles import Role


def begin(request: Request, connection: str = "") -> Response:
    """Lead to the overview of a connection."""
    visible = console_of(request).visible(visitor_of(request))
    if connection in visible:
        return go(f"/c/{connection}")
    if visitor_of(request).may(Role.ADMIN) and setup.waits(console_of(request)):
        return go("/set-up")
    if visible:
        return go(f"/c/{next(iter(visible))}")
    return page(request, "nothing_yet.html")


def show(request: Request) -> Response:
    """Show how a connection does: freshness, takings on both sides, budgets, problems, what runs."""
    console, books = console_of(request), books_of(request)
    seen = overview(books, stores=stores_of(request, books), dead_after_seconds=console.dead_after_seconds)
    template = "overview_live.html" if is_part(request) else "overview.html"
    return page(request, template, seen=seen, paused=books.name in console.service.stopped())

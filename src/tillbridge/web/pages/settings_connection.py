"""The settings' first page: what is connected, where its secrets are kept, and whether it works right now."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from tillbridge.setup.checks import Check, checks
from tillbridge.views.settings import ends
from tillbridge.web.console import books_of, console_of, visitor_of
from tillbridge.web.rendering import page


def show(request: Request) -> Response:
    """Show what is connected."""
    return _page(request)


def test(request: Request) -> Response:
    """Look at everything that a run needs, on both sides, now. Nothing is changed."""
    console, books = console_of(request), books_of(request)
    found = list(checks(books.home, clock=console.clock, env=console.env))
    failed = sum(each.level == "fail" for each in found)
    console.note(visitor_of(request), "connection tested", books.name, checks=len(found), failed=failed)
    return _page(request, found=found)


def _page(request: Request, found: list[Check] | None = None) -> Response:
    books = books_of(request)
    return page(
        request, "settings_connection.html", part="connection", books=books, ends=ends(books), found=found
    )

"""The audit log: who did what, newest first, and whether it is whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from tillbridge.store.access import Broken
from tillbridge.web.api.given import NUMBER_MAX
from tillbridge.web.console import console_of
from tillbridge.web.rendering import page, visitor_of

_LINES = 50


def show(request: Request, before: Annotated[int | None, Query(ge=1, le=NUMBER_MAX)] = None) -> Response:
    """Show the newest lines, or those before one."""
    return _page(request, before=before)


def verify(request: Request) -> Response:
    """Walk the whole chain and say whether it holds."""
    console = console_of(request)
    count, newest, broken = console.access.verify()
    console.note(visitor_of(request), "audit verified", "", lines=count, holds=broken is None)
    return _page(request, checked=(count, newest, broken))


def _page(
    request: Request,
    *,
    before: int | None = None,
    checked: tuple[int, str, Broken | None] | None = None,
) -> Response:
    entries = console_of(request).access.entries(limit=_LINES + 1, before=before)
    more = len(entries) > _LINES
    return page(
        request,
        "audit.html",
        entries=entries[:_LINES],
        older=entries[_LINES - 1].number if more else None,
        newest=before is None,
        checked=checked,
        part="audit",
    )

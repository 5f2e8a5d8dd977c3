"""What watchers ask: is the process well, is it ready, and its figures."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from tillbridge.metrics import REFUSED
from tillbridge.model.errors import SyncError
from tillbridge.web.console import console_of, visitor_of
from tillbridge.web.security.roles import Role
from tillbridge.web.security.sessions import address_of


def healthy(request: Request) -> Response:
    """Say whether the process beats and dispatches."""
    return _told(console_of(request).healthy())


def ready(request: Request) -> Response:
    """Say whether the database answers as well."""
    return _told(console_of(request).ready())


def metrics(request: Request) -> Response:
    """Give the figures, as Prometheus reads them, to whoever may have them."""
    console, headers = console_of(request), request.headers
    asks = (address_of(request), headers.get("host", ""), headers.get("authorization", ""))
    if not console.watchers.may(*asks) and not visitor_of(request).may(Role.ADMIN):
        return PlainTextResponse(f"{REFUSED}\n", 401, {"www-authenticate": "Bearer"})
    try:
        kind, body = console.metrics()
    except SyncError as error:  # The database does not answer; a scraper reads no page of ours.
        return _told(str(error))
    return Response(body, media_type=kind)


def _told(wrong: str | None) -> Response:
    return PlainTextResponse(f"{wrong or 'ok'}\n", 200 if wrong is None else 503)

"""What watchers ask: is the process well, is it ready, and its figures."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from tillbridge.web.console import console_of


def healthy(request: Request) -> Response:
    """Say whether the process beats and dispatches."""
    return _told(console_of(request).healthy())


def ready(request: Request) -> Response:
    """Say whether the database answers as well."""
    return _told(console_of(request).ready())


def metrics(request: Request) -> Response:
    """Give the figures, as Prometheus reads them."""
    kind, body = console_of(request).metrics()
    return Response(body, media_type=kind)


def _told(wrong: str | None) -> Response:
    return PlainTextResponse(f"{wrong or 'ok'}\n", 200 if wrong is None else 503)

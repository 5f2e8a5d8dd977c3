"""Authorities: which way values flow, and who wins where both sides have moved one field."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from tillbridge.settings import WINNERS
from tillbridge.views.settings import contested
from tillbridge.web.console import books_of
from tillbridge.web.pages import settings as shared
from tillbridge.web.pages.settings import Given

_TEMPLATE = "settings_authorities.html"


def show(request: Request) -> Response:
    """Show who wins, field by field."""
    books = books_of(request)
    return shared.show(
        request, "authorities", _TEMPLATE, books=books, fields=contested(books), winners=WINNERS
    )


def save(request: Request, form: Given) -> Response:
    """Let others win from the next slice on."""
    return shared.save(
        request, "authorities", form, _TEMPLATE, fields=contested(books_of(request)), winners=WINNERS
    )

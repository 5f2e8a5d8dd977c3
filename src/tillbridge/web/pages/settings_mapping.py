"""The field map as it is in force, held against what the org shows. The set-up's editor changes it."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from tillbridge.views.settings import mapping
from tillbridge.web.console import books_of
from tillbridge.web.rendering import page


def show(request: Request, table: str = "customer") -> Response:
    """Show the map, one table at a time."""
    found = mapping(books_of(request))
    chosen = next((each for each in found.tables if each.name == table), found.tables[0])
    return page(request, "settings_mapping.html", part="mapping", found=found, chosen=chosen)

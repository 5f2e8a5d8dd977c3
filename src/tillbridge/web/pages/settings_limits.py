"""Limits: how many API calls are ours, and what waits for a person."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from tillbridge.web.pages import settings as shared
from tillbridge.web.pages.settings import Given

_TEMPLATE = "settings_limits.html"


def show_budget(request: Request) -> Response:
    """Show how much of the remotes' limits is ours."""
    return shared.show(request, "budget", _TEMPLATE)


def save_budget(request: Request, form: Given) -> Response:
    """Let other limits hold from the next call on."""
    return shared.save(request, "budget", form, _TEMPLATE)


def show_safety(request: Request) -> Response:
    """Show what waits for a person, and what is tried again."""
    return shared.show(request, "safety", _TEMPLATE)


def save_safety(request: Request, form: Given) -> Response:
    """Let other limits hold from the next slice on."""
    return shared.save(request, "safety", form, _TEMPLATE)

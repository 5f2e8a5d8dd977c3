"""Budget and forecast: what is left of the remotes' quotas, what running costs, and what if."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from tillbridge.model.errors import SyncError
from tillbridge.views.budget import BudgetPage, budget
from tillbridge.web.console import books_of
from tillbridge.web.rendering import page

_TEXT_MAX = 200


def show(request: Request, what: str = "") -> Response:
    """Show the windows of each quota, the forecast, and beside it what somebody tries out."""
    books = books_of(request)
    what = what.strip()[:_TEXT_MAX]
    found: BudgetPage
    why = ""
    try:
        found = budget(books, what)
    except (ValueError, SyncError) as error:
        if not what:
            raise
        found, why = budget(books), str(error)
    return page(request, "budget.html", 422 if why else 200, found=found, what=what, why=why)

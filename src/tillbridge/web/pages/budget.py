"""Budget and forecast: what is left of the remotes' quotas, what running costs, and what if."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fastapi import Request
from starlette.responses import Response

from tillbridge.model.errors import SyncError
from tillbridge.views.budget import Lever, budget
from tillbridge.web.console import books_of
from tillbridge.web.rendering import is_part, page

_TEXT_MAX = 200


def show(request: Request, what: str = "") -> Response:
    """Show the windows of each quota, the forecast, and beside it what somebody tries out."""
    books = books_of(request)
    what = what.strip()[:_TEXT_MAX]
    found = budget(books)
    given = _moved(found.levers, request.query_params)
    wishes = [_wish(lever, given[lever.name]) for lever in found.levers if lever.name in given]
    text = ",".join([*wishes, *([what] if what else [])])
    why = ""
    if text:
        try:
            found = budget(books, text)
        except (ValueError, SyncError) as error:
            why = f"{error}."
    return page(
        request,
        "budget_forecast.html" if is_part(request) else "budget.html",
        422 if why else 200,
        found=found,
        given=given,
        what=what,
        why=why,
    )


def _moved(levers: list[Lever], asked: Mapping[str, str]) -> dict[str, float]:
    """Return where somebody has moved levers to, within their ends; what is no figure moves nothing."""
    moved = {}
    for lever in levers:
        try:
            value = float(asked.get(lever.name, ""))
        except ValueError:
            continue
        # A slider cannot stand between its steps: as near as it can get to where it stood is where it stood.
        if math.isfinite(value) and abs(value - lever.now) >= lever.step:
            moved[lever.name] = min(max(value, lever.least), lever.most)
    return moved


def _wish(lever: Lever, value: float) -> str:
    """Write a lever's place down as `forecast --what-if` reads it."""
    return f"{lever.name}={value:g}{lever.unit}"

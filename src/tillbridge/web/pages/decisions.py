"""Reviews and conflicts: what only a person can decide, both sides beside each other."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.views.decisions import conflicts, reviews
from tillbridge.web.console import actions_of, books_of, console_of, visitor_of
from tillbridge.web.pages.listing import begins, pages
from tillbridge.web.rendering import done, page


def show_reviews(request: Request, start: int = 0) -> Response:
    """Show customers beside the people whom they may be, the longest waiting first."""
    books = books_of(request)
    found = reviews(books, offset=begins(start))
    path = f"/c/{books.name}/reviews"
    return page(request, "reviews.html", found=found, pager=pages(path, {}, found.slice, len(found.rows)))


def choose(
    request: Request,
    who: Annotated[str, Form()],
    choice: Annotated[str, Form()],
    side: Annotated[Literal["till", "crm"], Form()] = "till",
) -> Response:
    """Say who somebody is: one of the candidates, or somebody new."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    act = actions_of(request)
    console_of(request).note(visitor, "match chosen", connection, who=who[:40], choice=choice[:40])
    (act.choose if side == "till" else act.choose_newcomer)(connection, who, choice, visitor.audit_name)
    return done(f"/c/{connection}/reviews", "decided")


def show_conflicts(request: Request, start: int = 0) -> Response:
    """Show the fields that both sides have moved, the oldest first."""
    books = books_of(request)
    found = conflicts(books, offset=begins(start))
    path = f"/c/{books.name}/conflicts"
    return page(request, "conflicts.html", found=found, pager=pages(path, {}, found.slice, len(found.rows)))


def keep(
    request: Request, number: Annotated[int, Form()], winner: Annotated[Literal["till", "crm"], Form()]
) -> Response:
    """Say which side counts, and carry it to the other one."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    console_of(request).note(visitor, "conflict decided", connection, conflict=number, winner=winner)
    actions_of(request).keep(connection, [number], winner, visitor.audit_name)
    return done(f"/c/{connection}/conflicts", "decided")

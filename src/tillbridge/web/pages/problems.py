"""Problems: a card for each cause with the one fix that helps, and a way to try all of it again."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.store.journal import GAVE_UP, RETRYING, Journal
from tillbridge.views.problems import ProblemState, problem, problem_list, problems
from tillbridge.web.console import books_of, console_of, stores_of, visitor_of
from tillbridge.web.errors import NotHere
from tillbridge.web.pages.listing import begins, pages
from tillbridge.web.rendering import done, page
from tillbridge.wiring import open_state

_STATES: tuple[ProblemState, ...] = get_args(ProblemState)


def show(request: Request, state: str = "open") -> Response:
    """Show the causes, the commonest first."""
    books = books_of(request)
    chosen = _state(state)
    found = problems(books, chosen, stores=stores_of(request, books))
    return page(request, "problems.html", found=found, state=chosen, states=_STATES)


def show_cause(request: Request, cause: str = "", state: str = "open", start: int = 0) -> Response:
    """Show the records that one cause holds up."""
    books = books_of(request)
    chosen = _state(state)
    found = problem_list(books, cause or None, chosen, stores=stores_of(request, books), offset=begins(start))
    path = f"/c/{books.name}/problems/of"
    shown = pages(path, {"cause": cause, "state": chosen}, found.slice, len(found.rows))
    return page(
        request, "problems_of.html", found=found, cause=cause, state=chosen, states=_STATES, pager=shown
    )


def show_one(request: Request, number: int) -> Response:
    """Show one problem with what was sent."""
    books = books_of(request)
    found = problem(books, number, stores=stores_of(request, books))
    if found is None:
        raise NotHere
    return page(request, "problem.html", found=found)


def retry(
    request: Request, cause: Annotated[str, Form()] = "", number: Annotated[int, Form()] = 0
) -> Response:
    """Let one problem, or all of a cause, be tried again now."""
    console, books = console_of(request), books_of(request)
    state = open_state(books.home, console.clock)
    journal = Journal(state, books.vault)
    if number:
        ids = list(journal.problems_by_id([number]))
    else:
        ids = [each.id for each in journal.problems(cause=cause, states=(RETRYING, GAVE_UP))]
    try:
        if not ids:
            raise NotHere
        with state.begin() as c:
            journal.release(c, ids)
    finally:
        state.close()
    console.service.wish(books.name, "replay", None, console.now())
    console.note(visitor_of(request), "problems retried", books.name, problems=ids[:50], count=len(ids))
    return done(f"/c/{books.name}/problems", "retried")


def _state(word: str) -> ProblemState:
    return next((each for each in _STATES if each == word), "open")

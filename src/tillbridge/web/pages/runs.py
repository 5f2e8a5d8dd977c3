"""Runs: what runs now and next, what ran, and plans that wait for somebody to approve."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.views.runs import plan, plans, run, runs, work
from tillbridge.web.console import actions_of, books_of, console_of, visitor_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages.listing import begins, pages
from tillbridge.web.rendering import done, is_part, page


def show(request: Request, start: int = 0) -> Response:
    """Show what runs, what waits for approval, and what ran."""
    console, books = console_of(request), books_of(request)
    found = runs(books, offset=begins(start))
    return page(
        request,
        "runs_live.html" if is_part(request) else "runs.html",
        found=found,
        work=work(books, console.dead_after_seconds),
        plans=plans(books),
        pager=pages(f"/c/{books.name}/runs", {}, found.slice, len(found.rows)),
    )


def show_one(request: Request, number: int) -> Response:
    """Show one run and what it changed of customers."""
    found = run(books_of(request), number)
    if found is None:
        raise NotHere
    return page(request, "run.html", found=found)


def undo(request: Request, number: int) -> Response:
    """Take back what a run changed of customers, where nobody has changed it since."""
    connection = request.path_params["connection"]
    console_of(request).note(visitor_of(request), "run undone", connection, run=number)
    actions_of(request).undo(connection, number, dry=False)
    return done(f"/c/{connection}/runs/{number}", "undone")


def show_plan(request: Request, number: int) -> Response:
    """Show what a plan would write, field by field."""
    found = plan(books_of(request), number)
    if found is None:
        raise NotHere
    return page(request, "plan.html", found=found)


def approve(request: Request, number: int, checksum: Annotated[str, Form()] = "") -> Response:
    """Let a plan pass that was held back, as it was looked at."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    console_of(request).note(visitor, "plan approved", connection, plan=number)
    actions_of(request).approve(connection, number, checksum, visitor.audit_name)
    return done(f"/c/{connection}/runs", "approved")


def drop(request: Request, number: int) -> Response:
    """Forget a plan. What it would have written is looked at anew by the next run."""
    connection = request.path_params["connection"]
    console_of(request).note(visitor_of(request), "plan dropped", connection, plan=number)
    actions_of(request).drop(connection, number)
    return done(f"/c/{connection}/runs", "dropped")


def steer(request: Request, verb: Annotated[str, Form()], stream: Annotated[str, Form()] = "") -> Response:
    """Let the connection, or one of its streams, rest, go on, or be due at once."""
    connection = request.path_params["connection"]
    act, named = actions_of(request), stream or None
    console_of(request).note(visitor_of(request), verb[:20], connection, stream=stream[:40])
    match verb:
        case "pause":
            act.pause(connection, named, "paused in the console")
        case "resume":
            act.resume(connection, named)
        case "run-now":
            act.run_now(connection, named)
        case _:
            raise Unfit("A stream is paused, resumed or run now.")
    said = {"pause": "paused", "resume": "resumed", "run-now": "queued"}
    return done(f"/c/{connection}/runs", said[verb])

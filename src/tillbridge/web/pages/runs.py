"""Runs: what runs now and next, what ran, and plans that wait for somebody to approve."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.actions.outcomes import Carried, Previewed, TakenBack
from tillbridge.model.errors import SyncError
from tillbridge.views.kinds import kinds_of_people, tables_of_people
from tillbridge.views.runs import plan, plans, run, runs, work
from tillbridge.web.api.answers import status_of
from tillbridge.web.api.given import Number
from tillbridge.web.console import actions_of, books_of, console_of, visitor_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages.listing import begins, pages
from tillbridge.web.rendering import done, is_part, page

# A page without scripts loads itself again so often, where somebody has asked it to.
_WATCH_SECONDS = "10"

_JOB_MAX = 40


def show(request: Request, start: int = 0, job: str = "", watch: str = "") -> Response:
    """Show what runs and how far it is, what waits for approval, and what ran."""
    console, books = console_of(request), books_of(request)
    found = runs(books, job[:_JOB_MAX] or None, offset=begins(start))
    return page(
        request,
        "runs_live.html" if is_part(request) else "runs.html",
        headers={"refresh": _WATCH_SECONDS} if watch == _WATCH_SECONDS else {},
        found=found,
        work=work(books, console.dead_after_seconds),
        plans=plans(books),
        job=job,
        jobs=_JOBS,
        watch=watch == _WATCH_SECONDS,
        pager=pages(f"/c/{books.name}/runs", {"job": job}, found.slice, len(found.rows)),
    )


# What the history can be narrowed to: what the service does, and what people do.
_JOBS = (
    *("poll", "cross-check", "certify", "sweep", "backfill", "sync", "replay", "retry", "fix", "edit"),
    *("choose", "conflicts", "preview", "apply", "approve", "undo", "restore"),
)


def show_one(request: Request, number: Number) -> Response:
    """Show one run and what it changed of customers."""
    return _run(request, number)


def undo(request: Request, number: Number, dry: Annotated[str, Form()] = "") -> Response:
    """Take back what a run changed of customers, where nobody has changed it since; or say what would be."""
    connection, is_dry = request.path_params["connection"], bool(dry)
    if run(books_of(request), number) is None:
        raise NotHere
    visitor, noting = visitor_of(request), console_of(request).noting
    try:
        with nullcontext() if is_dry else noting(visitor, "run undone", connection, run=number):
            back = actions_of(request).undo(connection, number, dry=is_dry)
    except SyncError as error:
        return _run(request, number, status=status_of(error)[0], why=str(error))
    return _run(request, number, back=back)


def _run(
    request: Request, number: Number, *, status: int = 200, back: TakenBack | None = None, why: str = ""
) -> Response:
    books = books_of(request)
    found = run(books, number)
    if found is None:
        raise NotHere
    kinds = kinds_of_people(tables_of_people(books.config), books.config)
    return page(request, "run.html", status, found=found, back=back, why=why, kinds=kinds)


def show_plan(request: Request, number: Number) -> Response:
    """Show what a plan would write, field by field."""
    return _plan(request, number)


def preview(request: Request) -> Response:
    """Look at what the next sync would write of customers, and keep it as a plan that can be applied."""
    connection = request.path_params["connection"]
    books_of(request)
    found = actions_of(request).preview(connection)
    if found.plan is None:
        return done(f"/c/{connection}/runs", "nothing-new")
    return _plan(request, found.plan, previewed=found)


def apply(request: Request, number: Number, checksum: Annotated[str, Form()] = "") -> Response:
    """Write exactly what a preview says, as far as it is still so."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    with console_of(request).noting(visitor, "plan applied", connection, plan=number) as deed:
        carried = actions_of(request).apply(connection, number, checksum, deed.by)
    return _plan(request, number, carried=carried)


def approve(request: Request, number: Number, checksum: Annotated[str, Form()] = "") -> Response:
    """Let a plan pass that was held back, as it was looked at."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    with console_of(request).noting(visitor, "plan approved", connection, plan=number) as deed:
        carried = actions_of(request).approve(connection, number, checksum, deed.by)
    return _plan(request, number, carried=carried)


def _plan(
    request: Request, number: Number, *, previewed: Previewed | None = None, carried: Carried | None = None
) -> Response:
    books = books_of(request)
    found = plan(books, number)
    if found is None:
        raise NotHere
    wrote = carried is not None and carried.run is not None and run(books, carried.run) is not None
    return page(request, "plan.html", found=found, previewed=previewed, carried=carried, wrote=wrote)


def drop(request: Request, number: Number) -> Response:
    """Forget a plan. What it would have written is looked at anew by the next run."""
    connection = request.path_params["connection"]
    with console_of(request).noting(visitor_of(request), "plan dropped", connection, plan=number):
        actions_of(request).drop(connection, number)
    return done(f"/c/{connection}/runs", "dropped")


def steer(request: Request, verb: Annotated[str, Form()], stream: Annotated[str, Form()] = "") -> Response:
    """Let the connection, or one of its streams, rest, go on, or be due at once."""
    connection = request.path_params["connection"]
    with console_of(request).noting(visitor_of(request), verb[:20], connection, stream=stream[:40]):
        steered(request, verb, stream)
    said = {"pause": "paused", "resume": "resumed", "run-now": "queued"}
    return done(f"/c/{connection}/runs", said[verb])


def steered(request: Request, verb: str, stream: str) -> None:
    """Do what a page asks of the connection, or with `stream` of one of its streams. Raises Unfit."""
    connection, act, named = request.path_params["connection"], actions_of(request), stream or None
    match verb:
        case "pause":
            act.pause(connection, named, "paused in the console")
        case "resume":
            act.resume(connection, named)
        case "run-now":
            act.run_now(connection, named)
        case _:
            raise Unfit("A stream is paused, resumed or run now.")

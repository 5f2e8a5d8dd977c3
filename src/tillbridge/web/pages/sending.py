"""One record sent across by the button of its page, which then says what came of it."""

from __future__ import annotations

import re
import uuid
from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import Response

from tillbridge.actions.outcomes import Kind
from tillbridge.engine.jobs import Job, JobFailed, why_not
from tillbridge.model.errors import SyncError
from tillbridge.web.api.answers import status_of
from tillbridge.web.console import actions_of, books_of, console_of, visitor_of
from tillbridge.web.errors import NotHere
from tillbridge.web.rendering import go, is_part, page

_TILL_ID = re.compile(r"\d{1,20}")
_RUN = re.compile(r"[0-9a-f]{12}")

# Where the page of a record is, and what people call it.
_PLACES: dict[str, tuple[Kind, str]] = {"sales": ("sale", "receipt"), "products": ("product", "product")}


def send_sale(request: Request, sale: str) -> Response:
    """Read a receipt again and send it, changed or not."""
    return _send(request, "sales", sale)


def send_product(request: Request, number: str) -> Response:
    """Read a product with its stock again and send it, changed or not."""
    return _send(request, "products", number)


def came(request: Request, place: str, number: str, run: str) -> Response:
    """Say what became of a record that was sent."""
    if place not in _PLACES or not _TILL_ID.fullmatch(number) or not _RUN.fullmatch(run):
        raise NotHere
    job = Job(connection=request.path_params["connection"], kind="force", gen=run)
    try:
        answer = console_of(request).jobs.result(job.id)
    except JobFailed as error:
        return _told(
            request, place, number, failed=f"The service could not do it ({error}); its log says why."
        )
    if answer is not None and answer.get("outcome") != "done":
        return _told(request, place, number, failed=why_not(answer))
    return _told(request, place, number, run=run, answer=answer)


def _send(request: Request, place: str, number: str) -> Response:
    console, connection = console_of(request), request.path_params["connection"]
    kind, called = _PLACES[place]
    if not _TILL_ID.fullmatch(number):
        raise NotHere
    books_of(request)
    if not console.service.living(console.dead_after_seconds):
        return _send_ourselves(request, place, number, kind)
    job = Job(connection=connection, kind="force", gen=uuid.uuid4().hex[:12], wanted={kind: [number]})
    console.jobs.enqueue(job)
    console.note(visitor_of(request), f"{called} sent", connection, ids=[number])
    if not is_part(request):
        return go(f"/c/{connection}/sent/{place}/{number}/{job.gen}")
    return _told(request, place, number, run=str(job.gen))


def _send_ourselves(request: Request, place: str, number: str, kind: Kind) -> Response:
    """Send it in a turn of the console's own: no service works here just now."""
    connection, noting = request.path_params["connection"], console_of(request).noting
    try:
        with noting(visitor_of(request), f"{_PLACES[place][1]} sent", connection, ids=[number]):
            answer = actions_of(request).send(connection, kind, [number])
    except SyncError as error:
        return _told(request, place, number, failed=str(error), status=status_of(error)[0])
    return _told(request, place, number, answer=msgspec.to_builtins(answer))


def _told(
    request: Request,
    place: str,
    number: str,
    *,
    run: str = "",
    answer: dict[str, Any] | None = None,
    failed: str = "",
    status: int = 200,
) -> Response:
    connection = request.path_params["connection"]
    return page(
        request,
        "sent_one.html" if is_part(request) else "sent_one_page.html",
        status,
        path=f"/c/{connection}/sent/{place}/{number}/{run}",
        back=f"/c/{connection}/{place}/{number}",
        called=_PLACES[place][1],
        answer=answer,
        failed=failed,
    )

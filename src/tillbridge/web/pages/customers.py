"""Customers: found as somebody types, ticked, and sent across with one button; and one person in full."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, get_args

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.engine.jobs import Job, JobFailed
from tillbridge.views.customers import customers
from tillbridge.views.person import person
from tillbridge.views.roll import Filter
from tillbridge.web.console import books_of, console_of, stores_of, visitor_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages.listing import begins, pages
from tillbridge.web.rendering import go, is_part, page

_QUERY_MAX = 200

# One forced run: more than a person ticks on a page.
_TICKED_MAX = 200

_TILL_ID = re.compile(r"\d{1,20}")
_RUN = re.compile(r"[0-9a-f]{12}")
_FILTERS: tuple[Filter, ...] = get_args(Filter)


def show(request: Request, q: str = "", show: str = "", start: int = 0) -> Response:
    """Show customers: those whom a query finds, or who moved last."""
    books = books_of(request)
    wanted = next((each for each in _FILTERS if each == show), None)
    found = customers(books, q[:_QUERY_MAX], wanted, stores=stores_of(request, books), offset=begins(start))
    path = f"/c/{books.name}/customers"
    return page(
        request,
        "customers_list.html" if is_part(request) else "customers.html",
        found=found,
        q=q,
        show=wanted or "",
        filters=_FILTERS,
        pager=pages(path, {"q": q, "show": wanted}, found.slice, len(found.rows)),
    )


def show_person(request: Request, who: str) -> Response:
    """Show one person: both sides, why they are linked, what they bought."""
    books = books_of(request)
    found = person(books, who, stores=stores_of(request, books))
    if found is None:
        raise NotHere
    return page(request, "person.html", person=found)


def send(request: Request, who: Annotated[list[str] | None, Form()] = None) -> Response:
    """Send the ticked customers across now. The page then asks what became of each."""
    console, connection = console_of(request), request.path_params["connection"]
    ids = list(dict.fromkeys(who or []))
    if not ids:
        raise Unfit("Nobody is ticked.")
    if len(ids) > _TICKED_MAX:
        raise Unfit(f"At most {_TICKED_MAX} customers are sent at once.")
    if not all(_TILL_ID.fullmatch(each) for each in ids):
        raise Unfit("Only customers whom the till knows can be sent to Salesforce.")
    books_of(request)
    job = Job(connection=connection, kind="force", gen=uuid.uuid4().hex[:12], wanted={"customer": ids})
    console.jobs.enqueue(job)
    console.note(visitor_of(request), "customers sent", connection, customers=ids)
    path = f"/c/{connection}/customers/sent/{job.gen}"
    if not is_part(request):
        return go(path)
    return page(request, "customers_sent.html", path=path, ids=ids, answer=None, failed="", begun=True)


def sent(request: Request, run: str) -> Response:
    """Show what became of customers who were sent."""
    console, connection = console_of(request), request.path_params["connection"]
    if not _RUN.fullmatch(run):
        raise NotHere
    job = Job(connection=connection, kind="force", gen=run)
    failed, answer = "", None
    try:
        answer = console.jobs.result(job.id)
    except JobFailed as error:
        failed = f"The service could not do it ({error}); its log says why."
    if answer is not None and answer.get("outcome") != "done":
        failed = str(answer.get("why") or "It was not done.")
    return page(
        request,
        "customers_sent.html" if is_part(request) else "customers_sent_page.html",
        path=f"/c/{connection}/customers/sent/{run}",
        ids=[],
        answer=answer,
        failed=failed,
        begun=False,
    )

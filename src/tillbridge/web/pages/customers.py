"""Customers: found as somebody types, ticked, and sent across with one button; what became of each."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, get_args

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.engine.jobs import Job, JobFailed, why_not
from tillbridge.views.customers import customers
from tillbridge.views.roll import Filter
from tillbridge.views.sides import reading
from tillbridge.web.console import books_of, console_of, stores_of, visitor_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages.listing import begins, pages
from tillbridge.web.rendering import go, is_part, page

_QUERY_MAX = 200

# One forced run: a full write's worth.
_TICKED_MAX = 200

# All that a search has found go in so many runs at most, which may overtake each other.
_RUNS_MAX = 10
FOUND_MAX = _TICKED_MAX * _RUNS_MAX

_TILL_ID = re.compile(r"\d{1,20}")
_CRM_ID = re.compile(r"[A-Za-z0-9]{18}")
_RUN = re.compile(r"([0-9a-f]{12})(?:-([1-9]|10))?")
_FILTERS: tuple[Filter, ...] = get_args(Filter)


def show(request: Request, q: str = "", show: str = "", start: int = 0) -> Response:
    """Show customers: those whom a query finds, or who moved last."""
    books = books_of(request)
    wanted = _filter(show)
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
        found_max=FOUND_MAX,
        read=reading(books, "customers"),
    )


def _filter(word: str) -> Filter | None:
    return next((each for each in _FILTERS if each == word), None)


# --- sending -------------------------------------------------------------------------------------


def send(
    request: Request,
    who: Annotated[list[str] | None, Form()] = None,
    everybody: Annotated[str, Form()] = "",
    q: Annotated[str, Form()] = "",
    show: Annotated[str, Form()] = "",
) -> Response:
    """Send the ticked customers across now, or all whom the search found; the page then asks about each."""
    ids = list(dict.fromkeys(who or []))
    if not all(_TILL_ID.fullmatch(each) for each in ids):
        raise Unfit("Only customers whom the till knows can be sent to Salesforce.")
    ids = _found(request, q, show) if everybody else ids
    if not ids:
        raise Unfit("Nobody is ticked.")
    if len(ids) > (FOUND_MAX if everybody else _TICKED_MAX):
        raise Unfit(f"At most {_TICKED_MAX} customers are sent at once.")
    return _queue(request, "customer", ids)


def _found(request: Request, q: str, show: str) -> list[str]:
    """Return all customers of the till whom a search finds, as the list has shown them."""
    books = books_of(request)
    found = books.roll.search(
        q[:_QUERY_MAX], _filter(show), stores=stores_of(request, books), limit=FOUND_MAX + 1
    )
    ids = [till_id for till_id, _ in found.rows if till_id is not None]
    if len(found.rows) > FOUND_MAX:
        raise Unfit(f"More than {FOUND_MAX:,} are found: narrow the search, or let the service send them.")
    return ids


def enter(request: Request, person: Annotated[list[str] | None, Form()] = None) -> Response:
    """Send people whom only Salesforce knows to the till now, as if they were marked there."""
    ids = list(dict.fromkeys(person or []))
    if not ids or len(ids) > _TICKED_MAX or not all(_CRM_ID.fullmatch(each) for each in ids):
        raise Unfit("Name people of Salesforce by their ids of 18 letters and digits.")
    return _queue(request, "person", ids)


def _queue(request: Request, kind: str, ids: Sequence[str]) -> Response:
    console, connection = console_of(request), request.path_params["connection"]
    books_of(request)
    runs = [ids[start : start + _TICKED_MAX] for start in range(0, len(ids), _TICKED_MAX)]
    name = f"{uuid.uuid4().hex[:12]}{f'-{len(runs)}' if len(runs) > 1 else ''}"
    for gen, some in zip(_gens(name), runs, strict=True):
        console.jobs.enqueue(Job(connection=connection, kind="force", gen=gen, wanted={kind: list(some)}))
    what = "customers sent" if kind == "customer" else "people sent to the till"
    console.note(visitor_of(request), what, connection, ids=list(ids[:_TICKED_MAX]), count=len(ids))
    path = f"/c/{connection}/customers/sent/{name}"
    if not is_part(request):
        return go(path)
    shown = list(ids) if len(runs) == 1 else []
    return page(request, "customers_sent.html", path=path, queued=shown, sent=_Sent(total=len(ids)))


def _gens(name: str) -> list[str]:
    """Return the jobs that a sending is made of."""
    found = _RUN.fullmatch(name)
    if found is None:
        raise NotHere
    if found[2] is None:
        return [found[1]]
    return [f"{found[1]}-{number}" for number in range(1, int(found[2]) + 1)]


class _Sent:
    """How far a sending is: what became of each, what went wrong, whether it is all over."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.records: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.left = 1
        self.runs = 1

    @property
    def is_over(self) -> bool:
        """Say whether nothing more is to come."""
        return self.left == 0


def sent(request: Request, run: str) -> Response:
    """Show what became of those who were sent."""
    console, connection = console_of(request), request.path_params["connection"]
    gens = _gens(run)
    found = _Sent()
    found.left = found.runs = len(gens)
    for gen in gens:
        job = Job(connection=connection, kind="force", gen=gen)
        try:
            answer = console.jobs.result(job.id)
        except JobFailed as error:
            found.failed.append(f"The service could not do it ({error}); its log says why.")
            found.left -= 1
            continue
        if answer is None:
            continue
        found.left -= 1
        if answer.get("outcome") != "done":
            found.failed.append(why_not(answer))
        found.records += answer.get("records", [])
    return page(
        request,
        "customers_sent.html" if is_part(request) else "customers_sent_page.html",
        path=f"/c/{connection}/customers/sent/{run}",
        queued=[],
        sent=found,
    )

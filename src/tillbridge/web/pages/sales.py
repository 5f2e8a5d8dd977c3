"""Sales: found by number, day, store, customer or amount; and one receipt with where it is."""

from __future__ import annotations

from datetime import date
from typing import get_args

from fastapi import Request
from starlette.responses import Response

from tillbridge.views.receipt import receipt
from tillbridge.views.sales import Status, Type, Wanted, sales
from tillbridge.web.console import books_of, stores_of
from tillbridge.web.errors import NotHere
from tillbridge.web.pages.listing import begins, pages
from tillbridge.web.rendering import is_part, page

_QUERY_MAX = 200
_TYPES: tuple[Type, ...] = get_args(Type)
_STATUSES: tuple[Status, ...] = get_args(Status)


def show(
    request: Request,
    q: str = "",
    store: str = "",
    first: str = "",
    last: str = "",
    type: str = "",  # noqa: A002  The name in the address.
    status: str = "",
    start: int = 0,
) -> Response:
    """Show sales, the newest first."""
    books = books_of(request)
    stores = stores_of(request, books)
    names = books.names()
    wanted = Wanted(
        query=q[:_QUERY_MAX],
        first=_day(first),
        last=_day(last),
        store=store or None,
        type=next((each for each in _TYPES if each == type), None),
        status=next((each for each in _STATUSES if each == status), None),
    )
    found = sales(books, wanted, stores=stores, offset=begins(start))
    asked = {"q": q, "store": store, "first": first, "last": last, "type": type, "status": status}
    return page(
        request,
        "sales_list.html" if is_part(request) else "sales.html",
        found=found,
        asked=asked,
        stores={i: name for i, name in names.stores.items() if stores is None or i in stores},
        types=_TYPES,
        statuses=_STATUSES,
        pager=pages(f"/c/{books.name}/sales", asked, found.slice, len(found.rows)),
    )


def show_receipt(request: Request, sale: str) -> Response:
    """Show one receipt: as the till shows it, as it was sent, and each step of its way."""
    books = books_of(request)
    found = receipt(books, sale, stores=stores_of(request, books))
    if found is None:
        raise NotHere
    return page(request, "receipt.html", receipt=found)


def _day(text: str) -> date | None:
    """Read a day; what is none filters nothing."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None

"""Sales: found by number, day, store, customer or amount; one receipt on both sides, and where it is."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from fastapi import Request
from starlette.responses import Response

from tillbridge.actions.outcomes import Replayed
from tillbridge.model.errors import SyncError
from tillbridge.views.kinds import kinds_by_object
from tillbridge.views.receipt import receipt
from tillbridge.views.sales import Status, Type, Wanted, amount_in, sales
from tillbridge.web.api.answers import status_of
from tillbridge.web.console import actions_of, books_of, stores_of
from tillbridge.web.errors import NotHere
from tillbridge.web.pages.listing import begins, day_in, pages
from tillbridge.web.rendering import is_part, page

_QUERY_MAX = 200
_AMOUNT_MAX = 15
_TYPES: tuple[Type, ...] = get_args(Type)
_STATUSES: tuple[Status, ...] = get_args(Status)


def show(
    request: Request,
    q: str = "",
    store: str = "",
    first: str = "",
    last: str = "",
    least: str = "",
    most: str = "",
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
        first=day_in(first),
        last=day_in(last),
        store=store or None,
        least=_amount(least),
        most=_amount(most),
        type=next((each for each in _TYPES if each == type), None),
        status=next((each for each in _STATUSES if each == status), None),
    )
    found = sales(books, wanted, stores=stores, offset=begins(start))
    asked = {
        "q": q,
        "store": store,
        "first": first,
        "last": last,
        "least": least,
        "most": most,
        "type": type,
        "status": status,
    }
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
    return _shown(request, sale)


def compare(request: Request, sale: str) -> Response:
    """Ask Salesforce what it holds of a receipt, and show what sending it again would change."""
    books = books_of(request)
    if receipt(books, sale, stores=stores_of(request, books)) is None:
        raise NotHere
    found, why, status = None, "", 200
    try:
        found = actions_of(request).preview_receipt(books.name, sale)
    except SyncError as error:
        why, (status, _) = str(error), status_of(error)
    if is_part(request):
        kinds = kinds_by_object(books.config)
        return page(
            request, "receipt_difference.html", status, difference=found, why=why, sale=sale, kinds=kinds
        )
    return _shown(request, sale, status, found, why)


def _shown(
    request: Request, sale: str, status: int = 200, difference: Replayed | None = None, why: str = ""
) -> Response:
    books = books_of(request)
    found = receipt(books, sale, stores=stores_of(request, books))
    if found is None:
        raise NotHere
    return page(
        request,
        "receipt.html",
        status,
        receipt=found,
        difference=difference,
        why=why,
        sale=sale,
        kinds=kinds_by_object(books.config),
    )


def _amount(text: str) -> Decimal | None:
    """Read an amount; what is none filters nothing."""
    text = text.strip()[:_AMOUNT_MAX]
    return amount_in(text if "." in text or "," in text else f"{text}.00") if text else None

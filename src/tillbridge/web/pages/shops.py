"""What the shops sell and hold: stores with their figures, products with their stock, certificates by day."""

from __future__ import annotations

from datetime import date, timedelta

from fastapi import Request
from starlette.responses import Response

from tillbridge.views.certificates import certificate, certificates, store_day
from tillbridge.views.products import product, products
from tillbridge.views.sales import Wanted, sales
from tillbridge.views.stores import stores_page
from tillbridge.web.api.given import Number
from tillbridge.web.console import books_of, console_of, stores_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages.listing import begins, day_in, pages
from tillbridge.web.rendering import is_part, page

_QUERY_MAX = 200
_PERIODS = {"7": 7, "30": 30, "90": 90, "365": 365}
_CALENDAR_DAYS = 28
_SPAN_DAYS_MAX = 1_095
_RECEIPTS_OF_DAY = 100


def show_stores(
    request: Request, store: str = "", days: str = "30", first: str = "", last: str = ""
) -> Response:
    """Show takings, baskets, refunds, sellers and top products of a period."""
    books = books_of(request)
    seen = stores_of(request, books)
    names = {i: n for i, n in books.names().stores.items() if seen is None or i in seen}
    if store and store not in names:
        raise NotHere
    span = _PERIODS.get(days, 30)
    to = day_in(last) or _today(request)
    since = day_in(first) or to - timedelta(days=span - 1)
    if since > to:
        raise Unfit("The first day is behind the last one.")
    if since < to - timedelta(days=_SPAN_DAYS_MAX):
        raise Unfit("Three years are shown at most.")
    found = stores_page(books, since, to, store=store or None, stores=seen)
    return page(
        request,
        "stores.html",
        found=found,
        names=names,
        store=store,
        days="" if first or last else str(span),
        period=f"first={since}&last={to}" if first or last else f"days={span}",
        periods=_PERIODS,
        today=_today(request).isoformat(),
    )


def show_products(request: Request, q: str = "", show: str = "", start: int = 0) -> Response:
    """Show products and their stock."""
    books, in_review = books_of(request), show == "review"
    seen = stores_of(request, books)
    found = products(books, q[:_QUERY_MAX], stores=seen, in_review=in_review, offset=begins(start))
    return page(
        request,
        "products_list.html" if is_part(request) else "products.html",
        found=found,
        q=q,
        show="review" if in_review else "",
        pager=pages(
            f"/c/{books.name}/products",
            {"q": q, "show": show if in_review else ""},
            found.slice,
            len(found.rows),
        ),
    )


def show_product(request: Request, number: str) -> Response:
    """Show one product and what each store holds of it."""
    books = books_of(request)
    found = product(books, number, stores=stores_of(request, books))
    if found is None:
        raise NotHere
    return page(request, "product.html", found=found)


def show_certificates(request: Request, last: str = "") -> Response:
    """Show which days of which stores are proven, four weeks at a time."""
    books = books_of(request)
    to = day_in(last) or _today(request)
    first = to - timedelta(days=_CALENDAR_DAYS - 1)
    found = certificates(books, first, to, stores=stores_of(request, books))
    earlier, later = first - timedelta(days=1), to + timedelta(days=_CALENDAR_DAYS)
    return page(
        request,
        "certificates.html",
        found=found,
        earlier=earlier.isoformat(),
        later=later.isoformat() if later <= _today(request) + timedelta(days=_CALENDAR_DAYS - 1) else "",
    )


def show_certificate(request: Request, number: Number) -> Response:
    """Show one certificate: what agrees, and what differs and why."""
    books = books_of(request)
    found = certificate(books, number, stores=stores_of(request, books))
    if found is None:
        raise NotHere
    return page(request, "certificate.html", found=found)


def show_day(request: Request, store: str, day: str) -> Response:
    """Show one day of one store: both systems' figures, what differs and why, and its receipts."""
    books = books_of(request)
    seen = stores_of(request, books)
    on = day_in(day)
    found = store_day(books, store, on, stores=seen) if on else None
    if found is None:
        raise NotHere
    rung = sales(books, Wanted(first=on, last=on, store=store), stores=seen, limit=_RECEIPTS_OF_DAY)
    return page(request, "store_day.html", found=found, sales=rung)


def _today(request: Request) -> date:
    # A store east of us may have begun its next day.
    return (console_of(request).clock.now() + timedelta(hours=14)).date()

"""Reviews and conflicts: what only a person can decide, both sides beside each other, one key press each."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.model.errors import SyncError
from tillbridge.views.customers import name_of
from tillbridge.views.decisions import conflicts, reviews
from tillbridge.views.duplicates import duplicates
from tillbridge.web.api.answers import status_of
from tillbridge.web.api.given import NUMBER_MAX
from tillbridge.web.console import actions_of, books_of, console_of, visitor_of
from tillbridge.web.errors import Unfit
from tillbridge.web.pages.listing import begins, marks_in, pages
from tillbridge.web.rendering import done, go, is_part, page
from tillbridge.web.searching import search, search_of

# Each of them is read again on both sides, and created in one go.
_NEW_MAX = 50
_KEPT_MAX = 500


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
    does = act.choose if side == "till" else act.choose_newcomer
    noting = console_of(request).noting
    try:
        with noting(visitor, "match chosen", connection, who=who[:40], choice=choice[:40]) as deed:
            came = does(connection, who, choice, deed.by)
    except SyncError as error:
        if not is_part(request):
            raise
        return page(request, "decided.html", why=str(error), who=who, came=None, name=None)
    if is_part(request):
        return page(request, "decided.html", why="", who=who, came=came, name=_called(request, who, side))
    return done(f"/c/{connection}/reviews", "decided")


def _called(request: Request, who: str, side: str) -> str | None:
    """Return what somebody is called where they come from."""
    books = books_of(request)
    shown = books.arrivals.people([who]) if side == "till" else books.people.get([who])
    return name_of(shown[who]) if who in shown else None


def choose_new(request: Request, who: Annotated[list[str] | None, Form()] = None) -> Response:
    """Say of the ticked customers that they are none of the people they were shown beside."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    ids = list(dict.fromkeys(who or []))
    if not ids or len(ids) > _NEW_MAX or not all(each.isdecimal() for each in ids):
        raise Unfit(f"Tick between 1 and {_NEW_MAX} customers.")
    noting = console_of(request).noting
    with noting(visitor, "matches chosen", connection, customers=ids, choice="new") as deed:
        came = actions_of(request).choose_new(connection, ids, deed.by)
        deed.came["left"] = sorted(came.left)
    return page(request, "decided_many.html", came=came, back="reviews", title="Somebody new")


def show_conflicts(request: Request, start: int = 0) -> Response:
    """Show the fields that both sides have moved, the oldest first."""
    books = books_of(request)
    found = conflicts(books, offset=begins(start))
    path = f"/c/{books.name}/conflicts"
    return page(request, "conflicts.html", found=found, pager=pages(path, {}, found.slice, len(found.rows)))


def keep(
    request: Request,
    number: Annotated[list[int], Form()],
    winner: Annotated[Literal["till", "crm"], Form()],
    seen: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Say which side counts, of one field or of the ticked ones, and carry it to the other one.

    `seen`: the marks of the values that the page has shown, each behind its conflict's number.
    """
    connection, visitor = request.path_params["connection"], visitor_of(request)
    ids = list(dict.fromkeys(number))
    if len(ids) > _KEPT_MAX:
        raise Unfit(f"At most {_KEPT_MAX} conflicts are decided at once.")
    noting, some = console_of(request).noting, {"conflicts": ids[:50], "count": len(ids)}
    try:
        with noting(visitor, "conflict decided", connection, winner=winner, **some) as deed:
            came = actions_of(request).keep(connection, ids, winner, deed.by, marks_in(seen or (), ids))
            deed.came["left"] = sorted(came.left)[:50]
    except SyncError as error:
        if not is_part(request):
            raise
        return page(request, "kept.html", status_of(error)[0], why=str(error), winner=winner, came=None)
    if is_part(request):
        return page(request, "kept.html", why="; ".join(came.left.values()), winner=winner, came=came)
    return done(f"/c/{connection}/conflicts", "decided" if not came.left else "not-all")


def restore(request: Request, change: Annotated[int, Form(ge=1, le=NUMBER_MAX)]) -> Response:
    """Write a value that lost a conflict back to both sides."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    with console_of(request).noting(visitor, "value restored", connection, change=change):
        actions_of(request).restore(connection, change)
    return done(f"/c/{connection}/conflicts", "restored")


# --- duplicates ----------------------------------------------------------------------------------


def show_duplicates(request: Request, start: int = 0) -> Response:
    """Show who is probably there twice, and what a person does about it in which system."""
    books = books_of(request)
    errand, here = search_of(request, books.name), f"/c/{books.name}/duplicates"
    if is_part(request):
        if errand is None or not errand.runs:
            return Response(headers={"hx-refresh": "true"})
        return page(request, "setup_errand.html", errand=errand, here=here)
    found = duplicates(books, offset=begins(start))
    pager = pages(here, {}, found.slice, len(found.rows))
    return page(request, "duplicates.html", found=found, pager=pager, errand=errand, here=here)


def decide_duplicates(
    request: Request,
    cluster: Annotated[str, Form()],
    word: Annotated[Literal["merge", "apart", "check"], Form()],
) -> Response:
    """Say whether records are one person, or look whether somebody has merged them meanwhile."""
    connection, visitor, act = request.path_params["connection"], visitor_of(request), actions_of(request)
    noting = console_of(request).noting
    with noting(visitor, "duplicates decided", connection, cluster=cluster[:80], word=word) as deed:
        if word != "check":
            act.decide_duplicates(connection, cluster, word, deed.by)
            return done(f"/c/{connection}/duplicates", "saved")
        is_done = act.check_duplicates(connection, cluster)
    return done(f"/c/{connection}/duplicates", "merged" if is_done else "not-merged")


def look_for_duplicates(request: Request) -> Response:
    """Compare everybody whom both sides have shown, and keep who is probably there twice."""
    connection = request.path_params["connection"]
    books_of(request)
    path = f"/c/{connection}/duplicates"
    return done(path, "looked") if search(request, connection).state == "done" else go(path)


def merge_duplicates(request: Request) -> Response:
    """Merge in Salesforce what people have decided, as far as Salesforce can."""
    connection = request.path_params["connection"]
    with console_of(request).noting(visitor_of(request), "duplicates merged", connection):
        came = actions_of(request).merge_duplicates(connection)
    return page(request, "duplicates_merged.html", came=came)

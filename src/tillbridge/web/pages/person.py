"""One person: both sides beside each other, and what somebody may do with them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.model.errors import SyncError
from tillbridge.views.books import Books
from tillbridge.views.person import PersonPage, person
from tillbridge.web.console import actions_of, books_of, console_of, stores_of, visitor_of
from tillbridge.web.errors import NotHere
from tillbridge.web.pages.listing import marks_in
from tillbridge.web.rendering import done, go, is_part, page


def show(request: Request, who: str) -> Response:
    """Show one person: both sides, why they are linked, what they bought, what can be done."""
    return page(request, "person.html", person=_person(request, books_of(request), who))


def _person(request: Request, books: Books, who: str) -> PersonPage:
    found = person(books, who, stores=stores_of(request, books))
    if found is None:
        raise NotHere
    return found


# --- taking apart --------------------------------------------------------------------------------


def ask_to_part(request: Request, who: str) -> Response:
    """Say what follows when a customer and a person are taken apart, and ask whether it is meant."""
    found = _person(request, books_of(request), who)
    if found.crm is None or not found.records:
        raise NotHere
    return page(request, "person_unlink.html", person=found, why="")


def part(request: Request, who: str, record: Annotated[str, Form()] = "") -> Response:
    """Take a customer of the till and a person of Salesforce apart."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    found = _person(request, books_of(request), who)
    if record not in {each.side.id for each in found.records}:
        raise NotHere
    try:
        with console_of(request).noting(visitor, "customer unlinked", connection, customer=record) as deed:
            actions_of(request).part(connection, record, deed.by)
    except SyncError as error:
        return page(request, "person_unlink.html", 409, person=found, why=str(error))
    return done(f"/c/{connection}/customers/{record}", "unlinked")


# --- erasing -------------------------------------------------------------------------------------


def ask_to_erase(request: Request, who: str) -> Response:
    """Say what an erasure does, and ask for the person's name."""
    return _erasing(request, _person(request, books_of(request), who))


def erase(request: Request, who: str, name: Annotated[str, Form()] = "") -> Response:
    """Erase a person on both sides and here, once their name was typed as it stands there."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    found = _person(request, books_of(request), who)
    if " ".join(name.split()) != " ".join(found.name.split()):
        return _erasing(request, found, 422, "That is not the name as it stands above. Nothing was erased.")
    # Ids alone: the audit log is kept when the person is gone.
    ids = [each.side.id for each in found.records]
    noting, crm_id = console_of(request).noting, found.crm.id if found.crm else None
    try:
        with noting(visitor, "person erased", connection, customers=ids, crm=crm_id):
            erased = actions_of(request).erase(connection, found.id)
    except SyncError as error:
        return _erasing(request, found, 409, str(error))
    return page(request, "person_erased.html", erased=erased)


def _erasing(request: Request, found: PersonPage, status: int = 200, why: str = "") -> Response:
    rules = books_of(request).config.privacy
    return page(request, "person_erase.html", status, person=found, rules=rules, why=why)


# --- values --------------------------------------------------------------------------------------


def restore(request: Request, who: str, change: Annotated[int, Form()]) -> Response:
    """Write a value that we replaced back to both sides."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    found = _person(request, books_of(request), who)
    if change not in {each.earlier.change for each in found.history}:
        raise NotHere
    with console_of(request).noting(visitor, "value restored", connection, change=change):
        actions_of(request).restore(connection, change)
    return done(f"/c/{connection}/customers/{found.id}", "restored")


def keep(
    request: Request,
    who: str,
    number: Annotated[int, Form()],
    winner: Annotated[Literal["till", "crm"], Form()],
    seen: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Say of a person's field which side counts, and carry it to the other one."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    found = _person(request, books_of(request), who)
    if number not in {each.id for each in found.conflicts}:
        raise NotHere
    noting = console_of(request).noting
    with noting(visitor, "conflict decided", connection, conflict=number, winner=winner) as deed:
        came = actions_of(request).keep(connection, [number], winner, deed.by, marks_in(seen or (), [number]))
        deed.came["left"] = sorted(came.left)
    path = f"/c/{connection}/customers/{found.id}"
    return go(path) if is_part(request) else done(path, "decided")

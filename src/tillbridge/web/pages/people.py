"""Users of the console: who may sign in, as what, and which stores they see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.store.access import Person
from tillbridge.views.books import NoSuchConnection
from tillbridge.web.api.given import Number
from tillbridge.web.console import Console, console_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages.entrance import PASSWORD
from tillbridge.web.rendering import done, page, visitor_of
from tillbridge.web.security.roles import ROLES
from tillbridge.web.security.sessions import FIRST_LINK_SECONDS

_NAME_MAX = 80
_CODES_SHOWN = 20
_WORDS = tuple(role.word for role in ROLES)


def show(request: Request) -> Response:
    """Show everybody."""
    return _page(request)


def add(
    request: Request,
    name: Annotated[str, Form()] = "",
    role: Annotated[str, Form()] = "viewer",
    limits: Annotated[str, Form()] = "",
) -> Response:
    """Add somebody, and show the link by which they choose their password."""
    console = console_of(request)
    name = " ".join(name.split())
    if not name or len(name) > _NAME_MAX:
        raise Unfit(f"A name has between 1 and {_NAME_MAX} characters.")
    if role not in _WORDS:
        raise Unfit("A user is a viewer, an operator or an administrator.")
    person = console.access.add(name, role, console.now(), limits=_limits(request, limits, role))
    if person is None:
        return _page(request, 422, why=f"There is somebody called {name} already.")
    console.note(visitor_of(request), "user added", str(person.id), role=role, limits=person.limits)
    return _invite(request, person)


def change(
    request: Request,
    number: Number,
    role: Annotated[str, Form()] = "viewer",
    limits: Annotated[str, Form()] = "",
    active: Annotated[str, Form()] = "",
) -> Response:
    """Let somebody be what they are now. All their browsers have to sign in again."""
    console, person = console_of(request), person_of(request, number)
    if role not in _WORDS:
        raise Unfit("A user is a viewer, an operator or an administrator.")
    allowed = _limits(request, limits, role)
    if not console.access.change(person.id, role=role, limits=allowed, active=bool(active)):
        return _page(request, 422, why="Somebody must be left who can let others in.")
    console.note(
        visitor_of(request), "user changed", str(person.id), role=role, limits=allowed, active=bool(active)
    )
    return done("/settings/people", "person-changed")


def make_link(request: Request, number: Number) -> Response:
    """Make a link by which somebody chooses a new password."""
    person = person_of(request, number)
    if not person.active:
        raise Unfit("Whoever may not sign in needs no link; let them in first.")
    console_of(request).note(visitor_of(request), "link made", str(person.id))
    return _invite(request, person)


def _invite(request: Request, person: Person) -> Response:
    return page(request, "invite.html", person=person, address=link_for(request, person))


def link_for(request: Request, person: Person) -> str:
    """Make a link by which somebody chooses a password, once, within a day."""
    console = console_of(request)
    secret = console.access.make_link(PASSWORD, person.id, console.now() + FIRST_LINK_SECONDS)
    return f"{str(request.app.state.address or request.base_url).rstrip('/')}/enter/{secret}"


def person_of(request: Request, number: int) -> Person:
    """Return somebody by number."""
    found = console_of(request).access.person(number)
    if found is None:
        raise NotHere
    return found


def _limits(request: Request, text: str, role: str) -> dict[str, list[str]] | None:
    """Read which stores somebody is to see: a line each, `store` or `connection/store`; empty: all."""
    if not text.strip():
        return None
    if role != "viewer":
        raise Unfit("Only a viewer can be limited to some stores: the others act on the whole connection.")
    lines = [line.strip() for line in text.replace(",", "\n").split("\n") if line.strip()]
    found = stores_named(lines, console_of(request).connections())
    check_stores(console_of(request), found)
    return found


def stores_named(lines: Iterable[str], known: Collection[str]) -> dict[str, list[str]]:
    """Read stores as `code`, of the first connection, or `connection/code`."""
    found: dict[str, list[str]] = {}
    for line in lines:
        connection, _, store = line.rpartition("/")
        connection = connection or next(iter(known), "")
        if connection not in known:
            raise Unfit(f"There is no connection called {connection}.")
        if not store:
            raise Unfit(f"Which store of {connection}? Name its code behind the slash.")
        found.setdefault(connection, []).append(store)
    return found


def check_stores(console: Console, limits: Mapping[str, Sequence[str]]) -> None:
    """Refuse codes that no store has, where the stores are known: whoever is limited to them sees nothing."""
    if not any(limits.values()):
        raise Unfit(
            "Name at least one store by its code, or leave the field empty: then they see all stores."
        )
    for connection, codes in limits.items():
        try:
            names = console.library.books(connection).names()
        except NoSuchConnection:
            continue  # It is still being set up.
        strange = [code for code in codes if code not in names.codes.values()]
        if names.codes and strange:
            known = sorted((code, names.store(i)) for i, code in names.codes.items())
            told = ", ".join(f"{code} ({name})" for code, name in known[:_CODES_SHOWN])
            raise Unfit(
                f"No store of {connection} has the code {strange[0][:40] or '(empty)'}. There are: {told}."
            )


def _page(request: Request, status: int = 200, *, why: str = "") -> Response:
    console = console_of(request)
    return page(
        request,
        "people.html",
        status,
        people=console.access.people(),
        roles=_WORDS,
        why=why,
        part="people",
        several=len(console.connections()) > 1,
    )

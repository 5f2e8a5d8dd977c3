"""Coming in and going out: the sign-in page, and what one-time links open.

A link is used up by the button behind it, never by looking at it: mail programs
look at every link that they carry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.store.access import Link, Person
from tillbridge.web.console import console_of
from tillbridge.web.errors import NotHere
from tillbridge.web.rendering import go, page, visitor_of
from tillbridge.web.security import passwords
from tillbridge.web.security.paths import inside
from tillbridge.web.security.sessions import TooOften, address_of

# What a link is good for.
FIRST = "first"  # makes the first administrator
PASSWORD = "password"  # noqa: S105  Lets somebody choose one; it is none.
SIGN_IN = "sign-in"  # signs somebody in as they are: the demo's

_NAME_MAX = 80


def show(request: Request, next: str = "/") -> Response:  # noqa: A002  The name in the address.
    """Show the sign-in form."""
    if visitor_of(request).session:
        return go(inside(next))
    return _sign_in_page(request, inside(next))


def sign_in(
    request: Request,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002  As above.
) -> Response:
    """Let somebody in who knows a name and its password."""
    console = console_of(request)
    found = console.sessions.check(name[:_NAME_MAX], password, address_of(request), console.now())
    if isinstance(found, TooOften):
        minutes = max(1, math.ceil(found.seconds / 60))
        why = f"That went wrong too often. Try again in {minutes} min, or ask an administrator for a link."
        headers = {"retry-after": str(math.ceil(found.seconds))}
        return _sign_in_page(request, inside(next), 429, headers, name=name[:_NAME_MAX], why=why)
    if found is None:
        console.access.note("nobody", "sign-in failed", "", console.now(), {"from": address_of(request)})
        why = "No such name and password. Mind capitals in the password."
        return _sign_in_page(request, inside(next), 401, name=name[:_NAME_MAX], why=why)
    return _let_in(request, found, inside(next), "password")


def _sign_in_page(
    request: Request,
    then: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    name: str = "",
    why: str = "",
) -> Response:
    oidc = console_of(request).rules().oidc
    provider = oidc.name if oidc else ""
    return page(request, "login.html", status, headers, next=then, name=name, why=why, provider=provider)


def sign_out(request: Request) -> Response:
    """End this browser's session."""
    console = console_of(request)
    answer = go("/login")
    console.sessions.sign_out(request, answer)
    console.note(visitor_of(request), "signed out")
    return answer


def show_link(request: Request, secret: str) -> Response:
    """Show what a one-time link opens."""
    link = _link(request, secret)
    return _form(request, link)


def use_link(
    request: Request,
    secret: str,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    """Use a link up: make the first administrator, choose a password, or come in."""
    console = console_of(request)
    link = _link(request, secret)
    person = _person(request, link)
    name = person.name if person else " ".join(name.split())
    if link.purpose != SIGN_IN:
        why = passwords.weakness(password, name)
        if not name or len(name) > _NAME_MAX:
            why = f"A name has between 1 and {_NAME_MAX} characters."
        elif password != again:
            why = "The two passwords differ."
        if why is None and person is None and console.access.named(name):
            why = "That name is taken."
        if why:
            return _form(request, link, 422, name=name, why=why)
    kept = passwords.hash_password(password) if link.purpose != SIGN_IN else ""
    if console.access.use_link(secret, console.now()) is None:
        raise NotHere
    if person is None:
        person = console.access.add(name, "admin", console.now(), password=kept)
        if person is None:
            raise NotHere
    elif kept:
        console.access.set_password(person.id, kept)
    return _let_in(request, person, "/", f"{link.purpose} link")


def _link(request: Request, secret: str) -> Link:
    console = console_of(request)
    link = console.access.link(secret, console.now())
    # A first administrator is needed once; a link that was not used until then is void.
    if link is None or (link.purpose == FIRST and console.access.has_admin()):
        raise NotHere
    return link


def _person(request: Request, link: Link) -> Person | None:
    if link.person is None:
        return None
    found = console_of(request).access.person(link.person)
    if found is None or not found.active:
        raise NotHere
    return found


def _form(request: Request, link: Link, status: int = 200, *, name: str = "", why: str = "") -> Response:
    person = _person(request, link)
    return page(
        request,
        "enter.html",
        status,
        purpose=link.purpose,
        name=person.name if person else name,
        why=why,
        length_min=passwords.LENGTH_MIN,
        connected=bool(console_of(request).connections()),
    )


def _let_in(request: Request, person: Person, path: str, by: str) -> Response:
    console = console_of(request)
    answer = go(path)
    console.sessions.sign_in(request, answer, person, console.now())
    console.access.note(person.name, "signed in", "", console.now(), {"by": by, "from": address_of(request)})
    return answer

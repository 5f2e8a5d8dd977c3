"""One's own account: the password, and where one is signed in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.store.access import Person
from tillbridge.web.console import console_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages.tokens import scopes_of
from tillbridge.web.rendering import done, page, visitor_of
from tillbridge.web.security import passwords
from tillbridge.web.security.sessions import PROVIDER_TOKEN_DAYS, TooOften, address_of


def show(request: Request) -> Response:
    """Show one's own account."""
    return _page(request)


def change_password(
    request: Request,
    present: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    """Change one's own password. All browsers are signed out, and this one in again."""
    console, person = console_of(request), _self(request)
    if person.subject and not person.has_password:
        # It would outlive their account at the provider.
        raise Unfit("You sign in with your identity provider: there is no password of yours here.")
    if person.has_password:
        found = console.sessions.check(person.name, present, address_of(request), console.now())
        if isinstance(found, TooOften):
            return _page(request, 429, why="That went wrong too often. Try again in a quarter of an hour.")
        if found is None:
            return _page(request, 422, why="The present password is another one.")
    why = passwords.weakness(password, person.name)
    if password != again:
        why = "The two new passwords differ."
    if why:
        return _page(request, 422, why=why)
    console.access.set_password(person.id, passwords.hash_password(password))
    answer = done("/account", "password")
    console.sessions.sign_in(request, answer, person, console.now())
    console.note(visitor_of(request), "password changed")
    return answer


def end_session(request: Request, session: Annotated[str, Form()] = "") -> Response:
    """Sign one browser out, or all but this one."""
    console, person, visitor = console_of(request), _self(request), visitor_of(request)
    if not session:
        console.access.end_sessions(person.id, but=visitor.session)
        console.note(visitor, "other sessions ended")
        return done("/account", "sessions-ended")
    if session not in {each.hash for each in console.access.sessions(person.id)}:
        raise NotHere
    console.access.end_session(session)
    console.note(visitor, "session ended")
    return done("/account", "session-ended")


def _self(request: Request) -> Person:
    person = visitor_of(request).person
    assert person is not None
    return person


def _page(request: Request, status: int = 200, *, why: str = "") -> Response:
    console, person = console_of(request), _self(request)
    visitor = visitor_of(request)
    return page(
        request,
        "account.html",
        status,
        person=person,
        sessions=console.access.sessions(person.id),
        tokens=console.access.tokens(person.id),
        scopes=scopes_of(visitor),
        why=why,
        length_min=passwords.LENGTH_MIN,
        token_days=PROVIDER_TOKEN_DAYS,
    )

"""API tokens: whoever makes one can do no more with it than by themselves; its secret is shown once."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.store.access import ON
from tillbridge.web.api.given import NUMBER_MAX
from tillbridge.web.console import console_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.rendering import done, page, visitor_of
from tillbridge.web.security.roles import METRICS, SCOPES, Visitor

_DAYS = (30, 90, 365)
_NAME_MAX = 80
_TOKENS_MAX = 20  # of one person: whoever needs more has lost sight of them


def make(
    request: Request,
    name: Annotated[str, Form()] = "",
    scope: Annotated[str, Form()] = "read",
    days: Annotated[int, Form()] = 90,
    connection: Annotated[str, Form()] = "",
) -> Response:
    """Make a token and show its secret, this once."""
    console, visitor = console_of(request), visitor_of(request)
    assert visitor.person is not None
    name = " ".join(name.split())
    if not name or len(name) > _NAME_MAX:
        raise Unfit(f"A token needs a name of at most {_NAME_MAX} characters, so that you know it again.")
    if scope not in scopes_of(visitor) or (connection and not visitor.sees(connection)):
        raise Unfit("A token can do no more than you.")
    if days not in _DAYS:
        raise Unfit("A token runs out after 30, 90 or 365 days.")
    if len(console.access.tokens(visitor.person.id)) >= _TOKENS_MAX:
        raise Unfit(f"You have {_TOKENS_MAX} tokens; end one first.")
    now = console.now()
    scopes = [scope, f"{ON}{connection}"] if connection and scope != METRICS else [scope]
    secret = console.access.make_token(visitor.person.id, name, scopes, now, now + days * 86_400)
    console.note(visitor, "token made", name, scopes=scopes, days=days)
    return page(request, "token.html", name=name, secret=secret, scope=scope, days=days)


def scopes_of(visitor: Visitor) -> list[str]:
    """Return what somebody's tokens may carry. The figures are of all stores."""
    return [
        scope
        for scope, role in SCOPES.items()
        if visitor.may(role) and not (scope == METRICS and visitor.is_limited)
    ]


def end_own(request: Request, number: Annotated[int, Form(ge=1, le=NUMBER_MAX)]) -> Response:
    """End one of one's own tokens."""
    visitor = visitor_of(request)
    assert visitor.person is not None
    _end(request, number, visitor.person.id)
    return done("/account", "token-ended")


def show_all(request: Request) -> Response:
    """Show everybody's tokens."""
    console = console_of(request)
    owners = {person.id: person.name for person in console.access.people()}
    return page(request, "tokens.html", tokens=console.access.tokens(), owners=owners, part="tokens")


def end_any(request: Request, number: Annotated[int, Form(ge=1, le=NUMBER_MAX)]) -> Response:
    """End anybody's token."""
    _end(request, number, None)
    return done("/settings/tokens", "token-ended")


def _end(request: Request, number: int, person: int | None) -> None:
    console = console_of(request)
    if not console.access.end_token(number, person):
        raise NotHere
    console.note(visitor_of(request), "token ended", str(number))

"""The door of one route: who asks, whether the route's role lets them in, and whether they mean it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from tillbridge.web.security.roles import NOBODY, Role, Visitor
from tillbridge.web.security.sessions import is_csrf_right

if TYPE_CHECKING:
    from tillbridge.web.table import Route

_SAFE = frozenset({"GET", "HEAD"})


class NotSignedIn(Exception):
    """Nobody known asks for what only somebody known may see."""


class Refused(Exception):
    """Somebody asks for what they may not. `why` is for them to read."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def door_of(route: Route) -> Callable[[Request], Awaitable[None]]:
    """Return the check that stands before a route."""

    async def door(request: Request) -> None:
        visitor = await run_in_threadpool(_identify, request)
        if visitor.token and not route.takes_tokens:
            visitor = NOBODY  # A token is for programs: pages are for people.
        request.state.visitor = visitor
        if route.role > Role.ANONYMOUS:
            _let_in(route, visitor)
        if connection := request.path_params.get("connection"):
            _let_into(visitor, connection)
        if route.method not in _SAFE and visitor.session:
            await _check_meant(request, visitor)

    return door


def _identify(request: Request) -> Visitor:
    console = request.app.state.console
    found: Visitor = console.sessions.visitor(request, console.now())
    return found


def _let_in(route: Route, visitor: Visitor) -> None:
    if visitor.role == Role.ANONYMOUS:
        raise NotSignedIn
    if not visitor.may(route.role):
        raise Refused(f"This needs the role {route.role.word}; yours is {visitor.role.word}.")
    if visitor.connections is not None and route.role > Role.VIEWER and "{connection}" not in route.path:
        raise Refused("This token is for some connections, and this is about all of them.")
    if visitor.is_limited and not route.limited:
        raise Refused("This shows all stores, and you are to see some of them.")


def _let_into(visitor: Visitor, connection: str) -> None:
    if visitor.role == Role.ANONYMOUS:
        raise NotSignedIn
    if not visitor.sees(connection):
        raise Refused("This is a connection that you are not to see.")


async def _check_meant(request: Request, visitor: Visitor) -> None:
    """Refuse what a page that is not ours has made this browser send."""
    given = request.headers.get("x-csrf-token", "")
    if not given and not request.headers.get("content-type", "").startswith("application/json"):
        value = (await request.form()).get("csrf")
        given = value if isinstance(value, str) else ""
    if not is_csrf_right(visitor, given):
        raise Refused("This page was opened in another session. Load it again and repeat what you did.")

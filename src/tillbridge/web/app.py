"""The console as one ASGI application: the table's routes behind their doors, the guard in front of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tillbridge import __version__
from tillbridge.model.errors import SyncError
from tillbridge.web import rendering
from tillbridge.web.api.answers import problem, status_of
from tillbridge.web.console import Console
from tillbridge.web.errors import Answered, NotHere, Unfit
from tillbridge.web.security.door import NotSignedIn, Refused, door_of
from tillbridge.web.security.guard import Guard
from tillbridge.web.security.paths import inside
from tillbridge.web.table import ROUTES


def create_app(console: Console, *, address: str = "") -> FastAPI:
    """Return the console of an installation. `address`: its own, as people type it, if it has one."""
    app = FastAPI(
        title="Tillbridge",
        version=__version__,
        summary="Everything that the console's pages show and do, for programs.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.console = console
    app.state.address = address
    for route in ROUTES:
        app.add_api_route(
            route.path,
            route.does,
            methods=[route.method],
            name=f"{route.method} {route.path}",
            dependencies=[Depends(door_of(route))],
            include_in_schema=route.is_api,
            response_class=JSONResponse if route.is_api else HTMLResponse,
        )
    _answer_errors(app)
    app.add_middleware(Guard, address=address)
    return app


def _answer_errors(app: FastAPI) -> None:
    answers: dict[type[Exception], Callable[[Request, Any], Response]] = {
        NotSignedIn: _ask_to_sign_in,
        Refused: lambda request, error: _tell(request, 403, "Not for you", error.why),
        NotHere: lambda request, _: _tell(request, 404, "Nothing here", _NOTHING),
        Unfit: _unfit,
        Answered: lambda _, error: error.answer,
        RequestValidationError: _unread,
        HTTPException: _plain,
        SyncError: _in_trouble,
    }
    for kind, answer in answers.items():
        app.add_exception_handler(kind, answer)


_NOTHING = "There is nothing at this address, or no longer."


def _ask_to_sign_in(request: Request, _: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        why = "Sign in, or send a token."
        return problem(401, "Not signed in", why, {"www-authenticate": "Bearer"})
    if rendering.is_part(request):
        # A page's script would put the sign-in into the page, and a part of a page cannot be what comes
        # behind the sign-in: the browser itself has to go there.
        return Response(status_code=401, headers={"hx-redirect": "/login"})
    target = "/login"
    if request.method == "GET":
        asked = f"{request.url.path}{f'?{request.url.query}' if request.url.query else ''}"
        if (wanted := inside(asked)) != "/":
            target = f"/login?next={quote(wanted, safe='/')}"
    return RedirectResponse(target, 303)


def _unread(request: Request, error: RequestValidationError) -> Response:
    mistakes = [
        {"field": ".".join(str(part) for part in each["loc"][1:]), "error": str(each["msg"])}
        for each in error.errors()
    ]
    if request.url.path.startswith("/api/"):
        why = "; ".join(f"{each['field']}: {each['error']}" for each in mistakes[:5])
        return problem(422, "That will not do", f"{why}.", mistakes=mistakes)
    named = "; ".join(f"{each['field']}: {each['error']}" for each in mistakes[:5])
    return _tell(request, 422, "That will not do", f"Something is missing or cannot be read ({named}).")


def _unfit(request: Request, error: Unfit) -> Response:
    title = "That will not do"
    if request.url.path.startswith("/api/"):
        mistakes = [{"field": field, "error": text} for field, text in error.mistakes]
        return problem(422, title, error.why, mistakes=mistakes)
    return _tell(request, 422, title, error.why)


def _plain(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:
        return _tell(request, 404, "Nothing here", _NOTHING)
    title = {405: "Not like this"}.get(error.status_code, "That did not work")
    return _tell(request, error.status_code, title, str(error.detail), error.headers)


def _in_trouble(request: Request, error: SyncError) -> Response:
    status, headers = status_of(error)
    return _tell(request, status, "That did not work", str(error), headers)


def _tell(request: Request, status: int, title: str, why: str, headers: Any = None) -> Response:
    if request.url.path.startswith("/api/"):
        return problem(status, title, why, headers)
    return rendering.page(request, "error.html", status, headers, title=title, why=why)

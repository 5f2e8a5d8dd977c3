"""The API's own description: FastAPI knows what it takes, the views know what it answers."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import JSONResponse, Response

from tillbridge.web.api.answers import Problem

_ERRORS = {
    "401": "Nobody known asks: sign in, or send a token.",
    "403": "This is not for you.",
    "404": "There is nothing at this address, or no longer.",
    "409": "It was understood, and cannot be done as things stand.",
    "413": "This is more than the console takes at once.",
    "422": "That cannot be read, or cannot be done as it is.",
    "503": "Not now: somebody else is at it, or a remote takes no more. Ask again.",
}
_REF = "#/components/schemas/{name}"


def show(request: Request) -> Response:
    """Describe the API."""
    return JSONResponse(document(request.app))


def document(app: Any) -> dict[str, Any]:
    """Return the OpenAPI document of an application's API."""
    kept = getattr(app.state, "openapi", None)
    if kept is None:
        kept = app.state.openapi = _described(app)
    described: dict[str, Any] = kept
    return described


def _described(app: Any) -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()
    kinds = {(route.path, method): kind for route, method, kind in _answering(app)}
    schemas, components = msgspec.json.schema_components([*kinds.values(), Problem], ref_template=_REF)
    shown = dict(zip(kinds, schemas, strict=False))
    error = {"application/problem+json": {"schema": schemas[-1]}}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            operation["responses"] = {
                "200": {
                    "description": "What was asked for.",
                    "content": {"application/json": {"schema": shown.get((path, method.upper()), {})}},
                },
                **{status: {"description": why, "content": error} for status, why in _ERRORS.items()},
            }
            operation["security"] = [{"token": []}]
    held = found.setdefault("components", {})
    held["schemas"] = {**held.get("schemas", {}), **components}
    held["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def _answering(app: Any) -> list[tuple[Any, str, Any]]:
    return [
        (route, method, kind)
        for route in app.routes
        for method in getattr(route, "methods", None) or ()
        if (kind := getattr(getattr(route, "endpoint", None), "answers", None)) is not None
    ]

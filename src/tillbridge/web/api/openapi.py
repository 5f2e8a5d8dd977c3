"""The API's own description: FastAPI knows what it takes, the views know what it answers."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import JSONResponse, Response

from tillbridge.web.api.answers import Problem
from tillbridge.web.api.examples import UNTOLD, example_of

ERRORS = {
    "401": "Nobody known asks: sign in, or send a token.",
    "403": "This is not for you.",
    "404": "There is nothing at this address, or no longer.",
    "409": "It was understood, and cannot be done as things stand.",
    "413": "This is more than the console takes at once.",
    "422": "That cannot be read, or cannot be done as it is.",
    "503": "Not now: somebody else is at it, or a remote takes no more. Ask again.",
}
_TITLES = {
    "401": "Not signed in",
    "403": "Not for you",
    "404": "Nothing here",
    "409": "That did not work",
    "413": "Too large",
    "422": "That will not do",
    "503": "That did not work",
}
_OF_CHANGES = ("409", "413")
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
    does = {(route.path, method): (route.endpoint, kind) for route, method, kind in _answering(app)}
    kinds = [kind for _, kind in does.values()]
    schemas, components = msgspec.json.schema_components([*kinds, Problem], ref_template=_REF)
    shown = dict(zip(does, schemas, strict=False))
    held = found.setdefault("components", {})
    held["schemas"] = {**held.get("schemas", {}), **components}
    held["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    roles = _roles()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            key = (path, method.upper())
            endpoint = does[key][0] if key in does else show
            operation.update(_named(path, endpoint, roles[key]))
            answer = shown.get(key, {"type": "object"})
            operation["responses"] = _responses(answer, schemas[-1], held["schemas"], changes=key[1] != "GET")
            operation["security"] = [{"token": []}]
            for body in operation.get("requestBody", {}).get("content", {}).values():
                body["example"] = example_of(body["schema"], held["schemas"])
            for parameter in operation.get("parameters", ()):
                told = example_of(parameter["schema"], held["schemas"], parameter["name"])
                if told != UNTOLD:
                    parameter["example"] = told
    found["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    return _shortly_named(found)


def _shortly_named(found: dict[str, Any]) -> dict[str, Any]:
    """Name values of one name in two modules by their modules' last words, not by their whole paths."""
    text = msgspec.json.encode(found).decode()
    for name in found["components"]["schemas"]:
        if "." in name:
            short = "".join(part[:1].upper() + part[1:] for part in name.split(".")[-2:])
            text = text.replace(f'schemas/{name}"', f'schemas/{short}"').replace(f'"{name}":', f'"{short}":')
    renamed: dict[str, Any] = msgspec.json.decode(text)
    return renamed


_TAGS = {
    "installation": "What there is, and this description.",
    "overview": "How things stand.",
    "customers": "People on both sides, who they are, and whose value counts.",
    "sales": "Receipts, where each one is, and what was sold.",
    "products": "Goods and stock.",
    "problems": "What was refused, by cause.",
    "runs": "What runs, has run, and waits to be approved.",
    "certificates": "The proof, day by day.",
    "settings": "What administrators set, for one connection.",
    "set-ups": "From nothing to a connection that is live, step by step.",
    "access": "Users, how they sign in, tokens and the audit log.",
}
_TAG_OF = {
    "stores": "sales",
    "figures": "sales",
    "causes": "problems",
    "reviews": "customers",
    "newcomers": "customers",
    "conflicts": "customers",
    "changes": "customers",
    "budget": "overview",
    "days": "certificates",
    **dict.fromkeys(("field-map", "authorities", "what-if", "check", "alerts"), "settings"),
    **dict.fromkeys(("users", "sign-in", "tokens", "audit"), "access"),
    **dict.fromkeys(("work", "plans", "pause", "resume", "run-now"), "runs"),
}
_WHO = {
    "VIEWER": "Viewers and all above them; a token with the scope `read`.",
    "OPERATOR": "Operators and admins; a token with the scope `write`.",
    "ADMIN": "Admins; a token with the scope `admin`.",
}


def _named(path: str, endpoint: Any, role: tuple[str, bool]) -> dict[str, Any]:
    """Say what an operation is called, what it does and for whom it is."""
    first, _, rest = " ".join((inspect.getdoc(endpoint) or "").split()).partition(". ")
    part = path.removeprefix("/api/v1/").removeprefix("c/{connection}/").partition("/")[0]
    name, limited = role
    seen = " Whoever sees some stores only is shown those alone." if limited else ""
    tag = _TAG_OF.get(part, part)
    return {
        "operationId": "openapi" if endpoint is show else endpoint.__name__,
        "summary": first.rstrip("."),
        "description": f"{f'{rest} ' if rest else ''}{_WHO[name]}{seen}",
        "tags": [tag if tag in _TAGS else "installation"],
    }


def _responses(answer: Any, error: Any, components: Any, *, changes: bool) -> dict[str, Any]:
    body = {"schema": answer, "example": example_of(answer, components)}
    told = {"200": {"description": "What was asked for.", "content": {"application/json": body}}}
    for status, why in ERRORS.items():
        if changes or status not in _OF_CHANGES:
            shown = {"type": "about:blank", "title": _TITLES[status], "status": int(status), "detail": why}
            content = {"schema": error, "example": {**shown, "mistakes": []}}
            told[status] = {"description": why, "content": {"application/problem+json": content}}
    return told


def _roles() -> dict[tuple[str, str], tuple[str, bool]]:
    # Here, for the table names this module.
    from tillbridge.web.table import ROUTES

    return {(route.path, route.method): (route.role.name, route.limited) for route in ROUTES if route.is_api}


def _answering(app: Any) -> list[tuple[Any, str, Any]]:
    return [
        (route, method, kind)
        for route in app.routes
        for method in getattr(route, "methods", None) or ()
        if (kind := getattr(getattr(route, "endpoint", None), "answers", None)) is not None
    ]

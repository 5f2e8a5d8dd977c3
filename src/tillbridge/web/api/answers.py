"""How the API answers: a view's value as JSON, an error as one sentence in problem+json (RFC 9457)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec

import msgspec
from starlette.responses import Response

from tillbridge.actions.holding import Unknown
from tillbridge.engine.desk import Mistaken
from tillbridge.model.errors import Busy, LimitReached, SyncError, Transient

P = ParamSpec("P")

_PROBLEM = "application/problem+json"

# Whoever asks later may be served: the remote, or another person, stands in the way for now.
_LATER_SECONDS = 5


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, in one sentence."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    mistakes: list[dict[str, str]] = []


def answers(kind: Any) -> Callable[[Callable[P, Any]], Callable[P, Response]]:
    """Let a function's value be the answer; `kind` is what OpenAPI says of it."""

    def around(does: Callable[P, Any]) -> Callable[P, Response]:
        @wraps(does)
        def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
            value = does(*args, **kwargs)
            return Response(msgspec.json.encode(value), media_type="application/json")

        # FastAPI reads what a route takes from its signature, and would make a model of what it returns.
        taken = inspect.signature(does, eval_str=True).replace(return_annotation=Response)
        marked: Any = answer
        del marked.__wrapped__
        marked.__signature__ = taken
        marked.answers = kind  # Read by web.api.openapi.
        return answer

    return around


def problem(
    status: int,
    title: str,
    why: str,
    headers: Mapping[str, str] | None = None,
    mistakes: list[dict[str, str]] | None = None,
) -> Response:
    """Return an error as programs read it."""
    body = Problem(title=title, status=status, detail=why, mistakes=mistakes or [])
    return Response(msgspec.json.encode(body), status, dict(headers or {}), media_type=_PROBLEM)


def status_of(error: SyncError) -> tuple[int, dict[str, str]]:
    """Return by which status an error of the engine is answered, and when to ask again."""
    match error:
        case Unknown():
            return 404, {}
        case Mistaken():
            return 422, {}
        case LimitReached(resume_after_seconds=seconds) if seconds is not None:
            return 503, {"retry-after": str(round(seconds))}
        case Transient(retry_after_seconds=seconds) if seconds is not None:
            return 503, {"retry-after": str(round(seconds))}
        case Busy() | LimitReached() | Transient():
            return 503, {"retry-after": str(_LATER_SECONDS)}
    # It was understood, and is not done as things stand: a plan is out of date, a setting is missing.
    return 409, {}

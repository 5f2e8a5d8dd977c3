"""What the vendor answers when it refuses.

Source: fact sheet A2 (401), A3 (429) and A11. Error bodies are JSON with a string
`httpCode`, but travel as text/html.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from tillbridge.simulators.httpd import Response

ERROR_TYPE = "text/html; charset=UTF-8"


class Refused(Exception):
    """The request is refused with `status` and a sentence."""

    def __init__(self, status: int, message: str, error_class: str = "Exception", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_class = error_class
        self.headers = headers


class TokenRefused(Exception):
    """The access token is not good; `hint` says why."""

    def __init__(self, hint: str) -> None:
        super().__init__(hint)
        self.hint = hint


def escaped(value: Any) -> bytes:
    r"""Encode as PHP does: ASCII only, slashes as `\/`."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


def refusal(refused: Refused) -> Response:
    """Return the documented envelope."""
    body = {
        "httpCode": str(refused.status),
        "httpMessage": HTTPStatus(refused.status).phrase,
        "message": refused.message,
        "errorClass": refused.error_class,
    }
    headers = {name.replace("_", "-"): value for name, value in refused.headers.items()}
    return Response(refused.status, escaped(body), {"Content-Type": ERROR_TYPE, **headers})


def unauthorized(hint: str, *, legacy: bool) -> Response:
    """Return a 401 in the present or in the old shape (A2); clients must take both."""
    if not legacy:
        body = {
            "error": "access_denied",
            "error_description": "The resource owner or authorization server denied the request.",
            "hint": hint,
        }
        return Response(401, escaped(body), {"Content-Type": "application/json"})
    old = Refused(
        401,
        "Invalid username/password or API key.",
        "BadAuthenticationRequestError",
        WWW_Authenticate='Basic realm="MerchantOS API"',
    )
    return refusal(old)

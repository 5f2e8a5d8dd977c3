"""What holds for every request and every answer, before anybody looks at what it is about.

A request must be meant for us (Host), small (body), and made by our own pages
where it changes something or is no plain visit (Fetch Metadata, or Origin from
browsers without it). Every answer forbids what no page of ours needs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The longest form is a field map with all its lines; the only upload is a private key.
BODY_BYTES_MAX = 1_048_576

_TOO_LARGE = "This is more than the console takes at once."

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

# Watchers ask by whatever name the machine has in their network.
_FOR_WATCHERS = frozenset({"/healthz", "/readyz", "/metrics"})

# Nothing inline and nothing from elsewhere. `data:` images: the style sheet draws ticks and chevrons with
# them; a picture runs no script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # `no-referrer` would take the Origin off our own forms as well.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

# Two years, as browsers' own lists ask for.
_TRANSPORT = "max-age=63072000"


class TooLarge(Exception):
    """A body grew beyond its bound while it was read."""


class _Body:
    """A body as it is read, up to its bound."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = BODY_BYTES_MAX

    @property
    def is_too_large(self) -> bool:
        return self._left < 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise TooLarge
        return message


class Guard:
    """The first thing that a request meets. `address`: the console's own, as people type it."""

    def __init__(self, app: ASGIApp, address: str = "") -> None:
        self._app = app
        self._address = urlsplit(address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        is_secure = scope.get("scheme") == "https" or self._address.scheme == "https"
        scope.setdefault("state", {})["is_secure"] = is_secure
        body = _Body(receive)
        leave = _with_headers(send, body, is_secure=is_secure)
        refused = self._refusal(scope, headers)
        if refused is not None:
            status, why = refused
            await PlainTextResponse(f"{why}\n", status)(scope, receive, leave)
            return
        try:
            await self._app(scope, body.receive, leave)
        except TooLarge:
            await PlainTextResponse(f"{_TOO_LARGE}\n", 413)(scope, receive, leave)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if scope["path"] not in _FOR_WATCHERS and not self._is_ours(headers.get("host", "")):
            return 421, "The console does not go by this name; service.url says by which one it does."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return 413, _TOO_LARGE
        if not _is_from_us(scope["method"], headers):
            return 403, "Another site asked for this, so it was not done."
        return None

    def _is_ours(self, host: str) -> bool:
        """Say whether a request was meant for us: a name of somebody else may lead here (DNS rebinding)."""
        name = urlsplit(f"//{host}").hostname or ""
        if name in {"localhost", self._address.hostname}:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _is_from_us(method: str, headers: Headers) -> bool:
    """Say whether our own page asks, or a person who follows a link (https://www.w3.org/TR/fetch-metadata)."""
    site = headers.get("sec-fetch-site")
    if site is None:
        origin = headers.get("origin")
        return method in _SAFE or origin is None or urlsplit(origin).netloc == headers.get("host")
    if site in {"same-origin", "none"}:
        return True
    visits = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return method in {"GET", "HEAD"} and visits


def _with_headers(send: Send, body: _Body, *, is_secure: bool) -> Send:
    async def leave(message: Message) -> None:
        if message["type"] == "http.response.start":
            if body.is_too_large:
                message["status"] = 413  # Whoever read it took our stop for a broken form.
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            # Pages show people; only what carries its own content's hash in its address may be kept.
            headers.setdefault("cache-control", "no-store")
            if is_secure:
                headers["strict-transport-security"] = _TRANSPORT
        await send(message)

    return leave

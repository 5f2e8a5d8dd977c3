"""Speak OAuth over HTTP: the present server, the old one, their bodies and their errors.

Source: fact sheet A2. Consent is given at once: whoever opens the authorize page
is sent back with a code.
"""

from __future__ import annotations

import json
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.lightspeed.errors import TokenRefused, escaped, unauthorized
from tillbridge.simulators.lightspeed.grants import AccessToken, Grants, OAuthRefused, jwks

AUTHORIZE_PATHS = frozenset({"/auth/oauth/authorize", "/oauth/authorize.php"})
OLD_TOKEN_PATH = "/oauth/access_token.php"  # noqa: S105  A path, no secret.


def answers(path: str) -> bool:
    """Say whether a path belongs to the authorisation server."""
    return path.startswith(("/auth/oauth/", "/oauth/")) or path == "/.well-known/jwks"


def handle(request: Request, grants: Grants) -> Response:
    """Answer a request to the authorisation server."""
    try:
        return _route(request, grants)
    except OAuthRefused as refused:
        return _error(refused, old=request.path == OLD_TOKEN_PATH)


def _route(request: Request, grants: Grants) -> Response:
    match request.path:
        case path if path in AUTHORIZE_PATHS:
            return _authorize(request, grants)
        case "/auth/oauth/token":
            return _json(_token(_posted(request), grants))
        case "/oauth/access_token.php":
            return _json(_old_token(_posted(request), grants))
        case "/auth/oauth/revoke":
            body = _posted(request)
            grants.check_client(_need(body, "client_id"), body.get("client_secret"))
            grants.revoke(_need(body, "refresh_token"))
            return _json({})
        case "/auth/oauth/introspect":
            return _introspect(request, grants)
        case "/.well-known/jwks":
            return _json(jwks())
    return Response(404, b"Not Found", {"Content-Type": "text/html; charset=UTF-8"})


def bearer(request: Request) -> str:
    """Return the token of the Authorization header. Raises TokenRefused."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() not in {"bearer", "oauth"} or not token:
        raise TokenRefused('Missing "Authorization" header')
    return token.strip()


def _authorize(request: Request, grants: Grants) -> Response:
    query = dict(request.query)
    if query.get("response_type") != "code":
        raise OAuthRefused(
            400, "unsupported_response_type", "The response type is not supported.", _hint("response_type")
        )
    if query.get("client_id") != grants.client_id:
        raise OAuthRefused(401, "invalid_client", "Client authentication failed")
    scopes = frozenset(query.get("scope", "").replace("+", " ").split())
    method = query.get("code_challenge_method", "plain")
    if method not in {"S256", "plain"}:
        raise OAuthRefused(400, "invalid_request", _MISSING, _hint("code_challenge_method"))
    code = grants.authorize(scopes, query.get("code_challenge", ""), method)
    # No redirect_uri is needed, the registered one is used. [inferred for the parameter]
    target = query.get("redirect_uri") or grants.switches.redirect_uri
    back = {"code": code} | ({"state": query["state"]} if "state" in query else {})
    glue = "&" if "?" in target else "?"
    return Response(302, b"", {"Location": f"{target}{glue}{urlencode(back)}"})


def _token(body: dict[str, str], grants: Grants) -> dict[str, Any]:
    grant_type = _need(body, "grant_type")
    client_id = _need(body, "client_id")
    if "scope" in body:
        # One client saw it rejected. [code]
        raise OAuthRefused(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed")
    match grant_type:
        case "authorization_code":
            code, verifier = _need(body, "code"), body.get("code_verifier", "")
            grants.check_client(client_id, body.get("client_secret"), public=bool(verifier))
            access, refresh = grants.exchange_code(code, verifier)
        case "refresh_token":
            used = _need(body, "refresh_token")
            grants.check_client(client_id, body.get("client_secret"))
            access, refresh = grants.refresh(used)
        case _:
            raise OAuthRefused(
                400,
                "unsupported_grant_type",
                "The authorization grant type is not supported by the authorization server.",
                "Check that all required parameters have been provided",
            )
    return {**_answer(access, grants, "Bearer"), "refresh_token": refresh.text}


def _old_token(body: dict[str, str], grants: Grants) -> dict[str, Any]:
    """Answer as the deprecated server: an opaque token, the granted scope in the answer, no rotation."""
    grants.check_client(_need(body, "client_id"), body.get("client_secret"))
    if _need(body, "grant_type") == "authorization_code":
        access, refresh = grants.exchange_code(_need(body, "code"), body.get("code_verifier", ""))
        return {
            **_answer(access, grants, "bearer"),
            "scope": _scope(access, grants),
            "refresh_token": refresh.text,
        }
    access = grants.refresh_the_old_way(_need(body, "refresh_token"))
    return {**_answer(access, grants, "bearer"), "scope": _scope(access, grants)}


def _answer(access: AccessToken, grants: Grants, token_type: str) -> dict[str, Any]:
    return {"token_type": token_type, "expires_in": grants.switches.expires_in, "access_token": access.text}


def _scope(access: AccessToken, grants: Grants) -> str:
    return " ".join([*sorted(access.grant.scopes), f"systemuserid:{grants.user_id}"])


def _introspect(request: Request, grants: Grants) -> Response:
    try:
        token = grants.look_up(bearer(request))
    except TokenRefused as refused:
        return unauthorized(refused.hint, legacy=False)
    return _json({"active": True, **token.claims})


# ---- bodies ----

_MISSING = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter "
    "more than once, or is otherwise malformed."
)


def _posted(request: Request) -> dict[str, str]:
    if request.method != "POST":
        raise OAuthRefused(405, "invalid_request", "The request method must be POST.")
    kind = request.headers.get("content-type", "")
    try:
        if kind.startswith("multipart/form-data"):
            return _multipart(kind, request.body)
        if kind.startswith("application/json"):
            body = json.loads(request.body or b"{}")
            return {str(name): str(value) for name, value in body.items()} if isinstance(body, dict) else {}
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    except ValueError as error:
        raise OAuthRefused(400, "invalid_request", _MISSING) from error


def _multipart(kind: str, body: bytes) -> dict[str, str]:
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.get_payload() if message.is_multipart() else ():
        name = part.get_param("name", header="Content-Disposition")  # type: ignore[union-attr]
        content = part.get_payload(decode=True)  # type: ignore[union-attr]
        if name:
            fields[str(name)] = content.decode() if isinstance(content, bytes) else ""
    return fields


def _need(body: dict[str, str], name: str) -> str:
    if not body.get(name):
        raise OAuthRefused(400, "invalid_request", _MISSING, _hint(name))
    return body[name]


def _hint(name: str) -> str:
    return f"Check the `{name}` parameter"


def _json(value: Any) -> Response:
    return Response(
        200, escaped(value), {"Content-Type": "application/json; charset=UTF-8", "Cache-Control": "no-store"}
    )


def _error(refused: OAuthRefused, *, old: bool) -> Response:
    body = {"error": refused.error, "error_description": refused.description}
    if not old:
        if refused.hint:
            body["hint"] = refused.hint
        body["message"] = refused.description
    headers = {name.replace("_", "-"): value for name, value in refused.headers.items()}
    return Response(refused.status, escaped(body), {"Content-Type": "application/json", **headers})

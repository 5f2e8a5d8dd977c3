"""The org's front door: tokens, their life, and who is behind one.

Covers the fact sheet's part 1 (authentication). A token is opaque and has no
`expires_in`: its life slides with use, so a client learns of its end by a 401
only. Failures are objects with `error` and `error_description`; they are not the
arrays of the data calls.
https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_endpoints.htm
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import jwt

from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.salesforce.oauth_state import (
    Client,
    Code,
    Refused,
    count_login,
    end_family,
    find_client,
    find_user,
    grant,
    identity_url,
    login,
    new_grant,
    new_refresh_token,
    open_session,
    plain,
    register,
    revoke_sessions,
    same_id,
    session_of,
    session_seconds,
    state,
    user_by_id,
)
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import User

GRANT_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
__all__ = ["Client", "authenticate", "control", "grant", "handle", "login", "register", "revoke_sessions"]
# The documented audiences; Experience sites are not simulated.
AUDIENCES = {"https://login.salesforce.com", "https://test.salesforce.com"}
# "at most 3 minutes ahead", plus one second for claims that were rounded up.
JWT_AHEAD_SECONDS_MAX = 181
CODE_SECONDS = 600


def control(org: Org, request: Request) -> Response | None:
    """Answer /control/oauth/*: what an admin would click in Setup."""
    wish = request.json() if request.body else {}
    match request.method, request.path:
        case "POST", "/control/oauth/clients":
            if wish.get("approved") is not None:
                wish["approved"] = set(wish["approved"])
            return Response.of({"key": register(org, Client(**wish)).key}, 201)
        case "POST", "/control/oauth/grants":
            return Response.of({"refresh_token": grant(org, wish["client"], wish["username"])}, 201)
        case "POST", "/control/oauth/expire":
            return Response.of({"expired": revoke_sessions(org)})
        case "POST", "/control/oauth/lock":
            state(org).locked = set(wish["usernames"])
            return Response.of({})
    return None


def handle(org: Org, request: Request) -> Response | None:
    """Answer /services/oauth2/* and /id/*; None for any other path."""
    path = request.path.rstrip("/")
    if path.startswith("/id/"):
        return _identity(org, request, path)
    if not path.startswith("/services/oauth2/"):
        return None
    try:
        match request.method, path.removeprefix("/services/oauth2/"):
            case "POST", "token":
                return _token(org, request)
            case "GET" | "POST", "authorize":
                return _authorize(org, request)
            case "GET" | "POST", "revoke":
                return _revoke(org, _form(request).get("token", ""))
            case "POST", "introspect":
                return _introspect(org, request)
            case "GET" | "POST", "userinfo":
                return _userinfo(org, request)
    except Refused as no:
        return no.answer()
    return plain({"error": "unsupported_method"}, 405)


def authenticate(org: Org, request: Request) -> User | Response:
    """Find who asks, and keep the session alive; or the 401 of a session that is not."""
    session = session_of(org, request)
    if session is None:
        return _unauthorized("Session expired or invalid")
    user = org.users.get(session.user_id) or user_by_id(org, session.user_id)
    if user is None or not user.active:
        return _unauthorized("Session expired or invalid")
    if not {"api", "full", "web"} & set(session.scope.split()):
        return _unauthorized("This session is not valid for use with the REST API")
    # Activity extends a session: the life slides.
    session.expires_at = org.clock.now() + session_seconds(org)
    return user


# --- the token endpoint -------------------------------------------------------------------------------


def _token(org: Org, request: Request) -> Response:
    form = _form(request)
    match form.get("grant_type", ""):
        case "":
            raise Refused("invalid_request", "missing required parameter: grant_type")
        case grant_type if grant_type == GRANT_JWT:
            return _by_jwt(org, request, form)
        case "client_credentials":
            return _by_client_credentials(org, request, form)
        case "refresh_token":
            return _by_refresh_token(org, request, form)
        case "authorization_code":
            return _by_code(org, request, form)
        case "password":
            # Off by default in new orgs; sent wrong credentials read the same.
            raise Refused("invalid_grant", "authentication failure")
    raise Refused("unsupported_grant_type", "grant type not supported")


def _by_jwt(org: Org, request: Request, form: dict[str, str]) -> Response:
    assertion = form.get("assertion", "")
    if not assertion:
        raise Refused("invalid_request", "missing required parameter: assertion")
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as wrong:
        raise Refused("invalid_grant", "invalid assertion") from wrong
    client = find_client(org, str(claims.get("iss", "")))
    try:
        jwt.decode_complete(
            assertion,
            client.public_key,
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False, "verify_nbf": False},
        )
    except (jwt.PyJWTError, ValueError) as wrong:
        raise Refused("invalid_grant", "invalid assertion") from wrong
    _check_audience(org, request, claims.get("aud"))
    _check_expiry(org, claims.get("exp"))
    user = org.user_named(str(claims.get("sub", "")))
    if user is None or (client.approved is not None and user.username not in client.approved):
        raise Refused("invalid_grant", "user hasn't approved this consumer")
    return _answer(org, request, client, user, _without_refresh(client.scopes))


def _check_audience(org: Org, request: Request, audience: Any) -> None:
    allowed = set(AUDIENCES)
    # The documented audience is the login host; many orgs take their own My Domain too [inferred].
    if org.switches.get("jwt_own_origin", True):
        allowed.add(request.origin)
    given = audience if isinstance(audience, list) else [audience]
    if not any(str(one).rstrip("/") in allowed for one in given):
        raise Refused("invalid_grant", "audience is invalid")


def _check_expiry(org: Org, claim: Any) -> None:
    # A string of digits is taken, as real clients send one; milliseconds are far in the future.
    try:
        left = float(claim) - org.clock.now()
    except (TypeError, ValueError) as wrong:
        raise Refused("invalid_grant", "invalid assertion") from wrong
    if not 0 < left <= org.switches.get("jwt_ahead_seconds", JWT_AHEAD_SECONDS_MAX):
        raise Refused("invalid_grant", "expired authorization code")


def _by_client_credentials(org: Org, request: Request, form: dict[str, str]) -> Response:
    if org.switches.get("client_credentials_refused", False):
        raise Refused("invalid_grant", "request not supported on this domain")
    client = _authenticated_client(org, request, form, secret_required=True)
    if not client.run_as:
        raise Refused("invalid_grant", "no client credentials user enabled")
    return _answer(org, request, client, find_user(org, client.run_as), _without_refresh(client.scopes))


def _by_refresh_token(org: Org, request: Request, form: dict[str, str]) -> Response:
    token = form.get("refresh_token", "")
    if not token:
        raise Refused("invalid_request", "missing required parameter: refresh_token")
    client = _authenticated_client(org, request, form, secret_required=False)
    memory = state(org)
    held = next((g for g in memory.grants.values() if token == g.token or token in g.spent), None)
    if held is None or held.client_key != client.key:
        raise Refused("invalid_grant", "expired access/refresh token")
    if token in held.spent:
        end_family(org, held.family)
        raise Refused("invalid_grant", "expired access/refresh token")
    user = user_by_id(org, held.user_id)
    if user is None:
        raise Refused("invalid_grant", "authentication failure")
    extra = {}
    if client.rotation or org.switches.get("refresh_token_rotation", False):
        held.spent.add(held.token)
        held.token = new_refresh_token()
        extra = {"refresh_token": held.token}
    return _answer(org, request, client, user, held.scope, held.family, extra)


def _by_code(org: Org, request: Request, form: dict[str, str]) -> Response:
    client = _authenticated_client(org, request, form, secret_required=False)
    code = state(org).codes.get(form.get("code", ""))
    if code is None or code.client_key != client.key:
        raise Refused("invalid_grant", "invalid authorization code")
    if code.used or code.expires_at <= org.clock.now():
        raise Refused("invalid_grant", "expired authorization code")
    if code.redirect_uri != form.get("redirect_uri", ""):
        raise Refused("redirect_uri_mismatch", "redirect_uri must match configuration")
    if code.challenge and code.challenge != _challenge(form.get("code_verifier", "")):
        raise Refused("invalid_grant", "invalid code verifier")
    code.used = True
    user = user_by_id(org, code.user_id)
    if user is None:
        raise Refused("invalid_grant", "authentication failure")
    if not {"refresh_token", "offline_access"} & set(code.scope.split()):
        return _answer(org, request, client, user, code.scope)
    made = new_grant(org, client, user, code.scope)
    return _answer(org, request, client, user, code.scope, made.family, {"refresh_token": made.token})


def _authorize(org: Org, request: Request) -> Response:
    """Consent at once, as a signed-in user would; the user is `login_hint` or the app's own."""
    form = dict(request.query) | _form(request)
    client = find_client(org, form.get("client_id", ""))
    redirect_uri = form.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris:
        raise Refused("redirect_uri_mismatch", "redirect_uri must match configuration")
    if form.get("response_type") != "code":
        return _back(redirect_uri, form, error="unsupported_response_type")
    challenge = form.get("code_challenge", "")
    if client.pkce_required and not challenge:
        return _back(
            redirect_uri, form, error="invalid_request", error_description="missing required code challenge"
        )
    if org.switches.get("authorize_denied", False):
        return _back(
            redirect_uri, form, error="access_denied", error_description="end-user denied authorization"
        )
    username = form.get("login_hint") or client.run_as
    user = find_user(org, username) if username else next(iter(org.users.values()))
    code = "aPrx" + secrets.token_urlsafe(48)
    expires_at = org.clock.now() + org.switches.get("code_seconds", CODE_SECONDS)
    scope = form.get("scope") or client.scopes
    state(org).codes[code] = Code(client.key, user.id, redirect_uri, scope, challenge, expires_at)
    return _back(redirect_uri, form, code=code)


def _back(redirect_uri: str, form: dict[str, str], **answer: str) -> Response:
    if "state" in form:
        answer["state"] = form["state"]
    joint = "&" if urlsplit(redirect_uri).query else "?"
    return Response(302, b"", {"Location": redirect_uri + joint + urlencode(answer)})


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _answer(
    org: Org,
    request: Request,
    client: Client,
    user: User,
    scope: str,
    family: str = "",
    extra: dict[str, str] | None = None,
) -> Response:
    if user.username in state(org).locked:
        raise Refused("invalid_grant", "user is locked")
    if not user.active:
        raise Refused("invalid_grant", "authentication failure")
    count_login(org, user)
    session = open_session(org, client.key, user, scope, family)
    issued_at = str(int(session.issued_at * 1000))
    identity = identity_url(org, user)
    signature = hmac.new(client.secret.encode(), (identity + issued_at).encode(), hashlib.sha256).digest()
    body = {
        "access_token": session.token,
        "signature": base64.b64encode(signature).decode(),
        "scope": scope,
        "instance_url": org.switches.get("instance_url") or request.origin,
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued_at,
    }
    return plain(body | (extra or {}))


def _without_refresh(scopes: str) -> str:
    # JWT and client credentials mint anew; they never hand out a refresh token.
    return " ".join(s for s in scopes.split() if s not in {"refresh_token", "offline_access"})


# --- the other endpoints ------------------------------------------------------------------------------


def _revoke(org: Org, token: str) -> Response:
    memory = state(org)
    if memory.sessions.pop(token, None):
        return Response(200, b"")
    held = next((g for g in memory.grants.values() if token == g.token or token in g.spent), None)
    if held is None:
        raise Refused("unsupported_token_type", "this token type is not supported")
    end_family(org, held.family)
    return Response(200, b"")


def _introspect(org: Org, request: Request) -> Response:
    form = _form(request)
    client = _authenticated_client(org, request, form, secret_required=True)
    token = form.get("token", "")
    session = state(org).sessions.get(token)
    if session and session.expires_at > org.clock.now():
        user = user_by_id(org, session.user_id)
        body = {
            "active": True,
            "scope": session.scope,
            "client_id": session.client_key,
            "username": user.username if user else "",
            "sub": identity_url(org, user) if user else "",
            "token_type": "access_token",
            "exp": int(session.expires_at),
            "iat": int(session.issued_at),
            "nbf": int(session.issued_at),
        }
        return plain(body)
    held = next((g for g in state(org).grants.values() if g.token == token), None)
    if held and held.client_key == client.key:
        return plain(
            {"active": True, "scope": held.scope, "client_id": held.client_key, "token_type": "refresh_token"}
        )
    return plain({"active": False})


def _userinfo(org: Org, request: Request) -> Response:
    session = session_of(org, request)
    user = user_by_id(org, session.user_id) if session else None
    if user is None:
        bearer = request.headers.get("authorization", "")
        return Response(
            403, b"Bad_OAuth_Token" if bearer else b"Missing_OAuth_Token", {"Content-Type": "text/html"}
        )
    identity = identity_url(org, user)
    body = {
        "sub": identity,
        "user_id": user.id,
        "organization_id": org.id,
        "preferred_username": user.username,
        "nickname": user.username.partition("@")[0],
        "name": user.name,
        "email": user.email,
        "active": user.active,
        "user_type": "STANDARD",
        "urls": _urls(request),
    }
    return plain(body)


def _identity(org: Org, request: Request, path: str) -> Response:
    session = session_of(org, request)
    parts = path.split("/")
    user = user_by_id(org, parts[3]) if len(parts) == 4 and same_id(parts[2], org.id) else None
    if session is None or user is None or session.user_id != user.id:
        return Response(403, b"Bad_OAuth_Token", {"Content-Type": "text/html"})
    body = {
        "id": identity_url(org, user),
        "asserted_user": True,
        "user_id": user.id,
        "organization_id": org.id,
        "username": user.username,
        "nick_name": user.username.partition("@")[0],
        "display_name": user.name,
        "email": user.email,
        "active": user.active,
        "user_type": "STANDARD",
        "urls": _urls(request),
        "is_app_installed": True,
    }
    return plain(body)


def _urls(request: Request) -> dict[str, str]:
    data = f"{request.origin}/services/data/v{{version}}/"
    return {
        "rest": data,
        "sobjects": f"{data}sobjects/",
        "query": f"{data}query/",
        "custom_domain": request.origin,
    }


# --- who is who ---------------------------------------------------------------------------------------


def _authenticated_client(
    org: Org, request: Request, form: dict[str, str], *, secret_required: bool
) -> Client:
    key, secret = form.get("client_id", ""), form.get("client_secret")
    scheme, _, packed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            key, _, given = base64.b64decode(packed, validate=True).decode().partition(":")
        except ValueError as wrong:
            raise Refused("invalid_client", "invalid client credentials") from wrong
        key, secret = unquote_plus(key), unquote_plus(given)
    if not key:
        raise Refused("invalid_request", "missing required parameter: client_id")
    client = find_client(org, key)
    # A web-server app may be registered without "require secret"; a wrong one is never taken.
    if (secret is None and secret_required) or (
        secret is not None and not hmac.compare_digest(secret, client.secret)
    ):
        raise Refused("invalid_client", "invalid client credentials")
    return client


def _unauthorized(message: str) -> Response:
    return Response.of(
        [{"message": message, "errorCode": "INVALID_SESSION_ID"}], 401, **{"WWW-Authenticate": "Token"}
    )


def _form(request: Request) -> dict[str, str]:
    if request.method == "GET":
        return dict(request.query)
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)) or dict(
        request.query
    )

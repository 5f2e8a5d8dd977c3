"""What the org remembers about apps, consents and tokens; the endpoints over it are in `oauth`.

A session's life slides with use. A grant is one user's consent to one app: with
rotation its refresh token changes at each use, and using a spent one ends it.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import User

SESSION_SECONDS = 7_200
LOGINS_AN_HOUR_MAX = 3_600
# The sixth living grant of one user and app silently kills the first.
GRANTS_MAX = 5


@dataclass(slots=True)
class Client:
    """One external client app as the admin set it up. `approved` holds usernames; None approves everyone."""

    key: str
    secret: str = ""
    public_key: str = ""  # PEM: a certificate's public key, for the JWT flow
    run_as: str = ""  # username, for the client credentials flow
    approved: set[str] | None = None
    redirect_uris: list[str] = field(default_factory=list)
    scopes: str = "api refresh_token offline_access openid id"
    rotation: bool = False
    pkce_required: bool = True


@dataclass(slots=True)
class Session:
    """One access token's life."""

    token: str
    user_id: str
    client_key: str
    scope: str
    issued_at: float
    expires_at: float
    family: str = ""


@dataclass(slots=True)
class Grant:
    """A user's standing consent: one refresh token that lives, and with rotation many that died."""

    family: str
    user_id: str
    client_key: str
    scope: str
    token: str
    spent: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Code:
    """An authorization code: short-lived, for one use."""

    client_key: str
    user_id: str
    redirect_uri: str
    scope: str
    challenge: str
    expires_at: float
    used: bool = False


@dataclass(slots=True)
class OAuth:
    """Everything the org remembers about apps and tokens."""

    clients: dict[str, Client] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)  # by family, oldest first
    codes: dict[str, Code] = field(default_factory=dict)
    logins: dict[str, deque[float]] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)  # usernames


class Refused(Exception):
    """The token endpoint says no: `error` and `error_description`, status 400."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error, description)
        self.error, self.description = error, description

    def answer(self) -> Response:
        """Word it as the wire does; the description may be missing."""
        body = {"error": self.error} | ({"error_description": self.description} if self.description else {})
        return plain(body, 400)


def state(org: Org) -> OAuth:
    """Return the org's OAuth memory, made at first use."""
    found = org.extras.get("oauth")
    if not isinstance(found, OAuth):
        found = org.extras["oauth"] = OAuth()
    return found


def register(org: Org, client: Client) -> Client:
    """Set up an app, or change one of the same key."""
    state(org).clients[client.key] = client
    return client


def grant(org: Org, client_key: str, username: str) -> str:
    """Let a user consent to an app outside the browser; return the refresh token."""
    return new_grant(org, find_client(org, client_key), find_user(org, username)).token


def login(org: Org, username: str, client_key: str = "") -> str:
    """Give a test an access token without any flow."""
    return open_session(org, client_key, find_user(org, username), "api").token


def revoke_sessions(org: Org) -> int:
    """End every session now, as an admin or a policy does; return how many there were."""
    sessions = state(org).sessions
    count = len(sessions)
    sessions.clear()
    return count


def count_login(org: Org, user: User) -> None:
    """Count a login; refuses the 3,601st of an hour."""
    now = org.clock.now()
    logins = state(org).logins.setdefault(user.id, deque())
    while logins and logins[0] <= now - 3_600:
        logins.popleft()
    if len(logins) >= org.switches.get("logins_an_hour", LOGINS_AN_HOUR_MAX):
        raise Refused("rate_limit_exceeded", "login rate exceeded")
    logins.append(now)


def open_session(org: Org, client_key: str, user: User, scope: str, family: str = "") -> Session:
    """Open a session and forget the dead ones."""
    now = org.clock.now()
    sessions = state(org).sessions
    for stale in [t for t, s in sessions.items() if s.expires_at <= now]:
        del sessions[stale]
    token = f"{org.id[:15]}!AQ{secrets.token_urlsafe(69).replace('-', '.')}"
    session = Session(token, user.id, client_key, scope, now, now + session_seconds(org), family)
    sessions[token] = session
    return session


def new_grant(org: Org, client: Client, user: User, scope: str = "") -> Grant:
    """Note a consent; the oldest of too many ends silently."""
    memory = state(org)
    mine = [g for g in memory.grants.values() if (g.user_id, g.client_key) == (user.id, client.key)]
    for old in mine[: max(0, len(mine) - GRANTS_MAX + 1)]:
        end_family(org, old.family)
    made = Grant(secrets.token_hex(8), user.id, client.key, scope or client.scopes, new_refresh_token())
    memory.grants[made.family] = made
    return made


def new_refresh_token() -> str:
    """Return a fresh refresh token."""
    return "5Aep861" + secrets.token_urlsafe(60)


def end_family(org: Org, family: str) -> None:
    """End a grant and every session it led to."""
    memory = state(org)
    memory.grants.pop(family, None)
    memory.sessions = {t: s for t, s in memory.sessions.items() if s.family != family}


def session_seconds(org: Org) -> float:
    """Return how long an idle session lives."""
    return float(org.switches.get("session_seconds", SESSION_SECONDS))


def find_client(org: Org, key: str) -> Client:
    """Find an app by its consumer key."""
    client = state(org).clients.get(key)
    if client is None:
        raise Refused("invalid_client_id", "client identifier invalid")
    return client


def find_user(org: Org, username: str) -> User:
    """Find a user by user name."""
    user = org.user_named(username)
    if user is None:
        raise Refused("invalid_grant", "authentication failure")
    return user


def user_by_id(org: Org, user_id: str) -> User | None:
    """Find a user by id, 15 or 18 characters."""
    return next((u for u in org.users.values() if same_id(u.id, user_id)), None)


def same_id(one: str, other: str) -> bool:
    """Say whether two ids, of either length, are one."""
    return one[:15] == other[:15]


def identity_url(org: Org, user: User) -> str:
    """Return the identity URL that names org and user."""
    # The login host, not the org's own: a name to compare, whatever host the token came from.
    return f"{org.switches.get('identity_origin', 'https://login.salesforce.com')}/id/{org.id}/{user.id}"


def session_of(org: Org, request: Request) -> Session | None:
    """Find the living session of a request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    session = state(org).sessions.get(token.strip()) if scheme.lower() in {"bearer", "oauth"} else None
    return session if session and session.expires_at > org.clock.now() else None


def plain(body: dict[str, Any], status: int = 200) -> Response:
    """Answer with JSON that nobody may cache."""
    return Response.of(body, status, **{"Cache-Control": "no-cache,no-store", "Pragma": "no-cache"})

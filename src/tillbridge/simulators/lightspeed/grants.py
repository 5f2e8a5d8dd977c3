"""Hold who may enter: authorisation codes, refresh tokens that rotate, access tokens that die.

Source: fact sheet A2. A used refresh token is revoked only when the new access
token is first used; until then the same refresh may be tried again, five times a
minute. Refreshing kills the previous access token at once. No HTTP here.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.lightspeed.errors import TokenRefused
from tillbridge.simulators.lightspeed.schema import words
from tillbridge.simulators.lightspeed.switches import Switches

CODE_SECONDS = 60
REFRESH_SECONDS = 30 * 86_400
REFRESHES_PER_MINUTE = 5
KEY_ID = "RT_OAUTH2_2024_07_08"
ISSUER = "https://cloud.lightspeedapp.com"
SCOPES = frozenset(
    f"employee:{name}"
    for name in words(
        "all admin admin_employees admin_inventory admin_purchases admin_shops admin_void_sale categories "
        "customers customers_read customers_view_gift_card_numbers inventory inventory_counts "
        "inventory_counts_reconcile inventory_read manufacturers product_cost product_edit purchase_orders "
        "register register_layaway register_read register_refund reports special_orders tags transfers "
        "vendors vendor_returns workbench"
    )
)


class OAuthRefused(Exception):
    """An OAuth error with its status, its code and what is missing."""

    def __init__(self, status: int, error: str, description: str, hint: str = "", **headers: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description
        self.hint = hint
        self.headers = headers


@dataclass(slots=True)
class Grant:
    """What one employee allowed one client: the connection."""

    scopes: frozenset[str]
    employee_id: int
    revoked: bool = False
    attempts: deque[float] = field(default_factory=deque)
    access: AccessToken | None = None


@dataclass(slots=True, eq=False)
class RefreshToken:
    """One refresh token; `parent` is the one it replaced, revoked when its pair is first used."""

    text: str
    grant: Grant
    issued_at: float
    parent: RefreshToken | None = None
    revoked: bool = False
    children: list[RefreshToken] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class AccessToken:
    """One access token and the refresh token that its first use revokes."""

    text: str
    grant: Grant
    expires_at: float
    claims: dict[str, Any]
    paid_with: RefreshToken | None
    partner: RefreshToken | None
    revoked: bool = False
    used: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """One authorisation code, with its PKCE challenge."""

    scopes: frozenset[str]
    expires_at: float
    challenge: str
    method: str


@lru_cache(maxsize=1)
def signing_key() -> rsa.RSAPrivateKey:
    """Make the server's key, once a process."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def jwks() -> dict[str, Any]:
    """Return the public key as the vendor publishes it."""
    numbers = signing_key().public_key().public_numbers()
    return {
        "keys": [
            {
                "kty": "RSA",
                "use": "sig",
                "alg": "RS256",
                "kid": KEY_ID,
                "n": _base64url(numbers.n.to_bytes(256)),
                "e": _base64url(numbers.e.to_bytes(3)),
            }
        ]
    }


class Grants:
    """All grants of one client to one account."""

    def __init__(
        self,
        clock: SimClock,
        switches: Switches,
        *,
        account_id: int,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        employee_id: int,
    ) -> None:
        self.clock = clock
        self.switches = switches
        self.account_id = account_id
        self.client_id = client_id
        self.client_secret = client_secret
        self.employee_id = employee_id
        self.user_id = 55_000 + employee_id
        self.codes: dict[str, Code] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        grant = Grant(frozenset({"employee:all"}), employee_id)
        self.refresh_tokens[refresh_token] = RefreshToken(refresh_token, grant, clock.now())

    # ---- asking for tokens ----

    def authorize(self, scopes: frozenset[str], challenge: str = "", method: str = "plain") -> str:
        """Return a code that lives a minute. Raises OAuthRefused for scopes that do not exist."""
        if not scopes or scopes - SCOPES:
            raise OAuthRefused(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed")
        code = "def502" + secrets.token_hex(32)
        self.codes[code] = Code(scopes, self.clock.now() + CODE_SECONDS, challenge, method)
        return code

    def exchange_code(self, text: str, verifier: str) -> tuple[AccessToken, RefreshToken]:
        """Trade a code, once, for the first pair."""
        code = self.codes.pop(text, None)
        if code is None or code.expires_at < self.clock.now():
            raise _invalid_grant(
                "Authorization code has expired" if code else "Cannot decrypt the authorization code"
            )
        if code.challenge and not _proves(code, verifier):
            raise _invalid_grant("Failed to verify `code_verifier`.")
        grant = Grant(code.scopes, self.employee_id)
        return self._pair(grant, None)

    def refresh(self, text: str) -> tuple[AccessToken, RefreshToken]:
        """Trade a refresh token for a new pair; both rotate."""
        token = self._live(text)
        self._throttle(token.grant)
        if self.switches.retried_refresh_revokes_sibling:
            for child in token.children:
                child.revoked = True
        return self._pair(token.grant, token)

    def refresh_the_old_way(self, text: str) -> AccessToken:
        """Refresh as the deprecated server: an opaque access token, the refresh token stays as it is."""
        token = self._live(text)
        self._throttle(token.grant)
        token.issued_at = self.clock.now()
        return self._access(token.grant, secrets.token_hex(20), {}, None, None)

    def revoke(self, text: str) -> None:
        """End the whole grant behind a refresh token."""
        self._live(text).grant.revoked = True

    def check_client(self, client_id: str, client_secret: str | None, *, public: bool = False) -> None:
        """Raise OAuthRefused unless this is our client. PKCE clients may come without a secret."""
        secret_ok = client_secret == self.client_secret or (public and not client_secret)
        if client_id != self.client_id or not secret_ok:
            raise OAuthRefused(401, "invalid_client", "Client authentication failed")

    # ---- using them ----

    def admit(self, text: str) -> AccessToken:
        """Return the token for an API request. Raises TokenRefused. The first use seals the rotation."""
        token = self.look_up(text)
        if not token.used:
            token.used = True
            self._seal(token)
        return token

    def look_up(self, text: str) -> AccessToken:
        """Return a live token without using it."""
        token = self.access_tokens.get(text)
        if token is None or token.expires_at <= self.clock.now():
            raise TokenRefused("Access token could not be verified")
        if token.revoked or token.grant.revoked or self.switches.employee_locked:
            raise TokenRefused("Access token has been revoked")
        return token

    def rights(self, token: AccessToken) -> frozenset[str]:
        """Return what a token may do now: its scopes within the employee's present rights."""
        granted = {scope.removeprefix("employee:") for scope in token.grant.scopes}
        present = {scope.removeprefix("employee:") for scope in self.switches.employee_rights.split()}
        if "all" in present:
            return frozenset(granted)
        return frozenset(present if "all" in granted else granted & present)

    # ---- inside ----

    def _seal(self, token: AccessToken) -> None:
        """Revoke the refresh token that paid for this one, those before it, and the pairs nobody used."""
        ancestor = token.paid_with
        while ancestor is not None:
            ancestor.revoked = True
            ancestor = ancestor.parent
        for sibling in token.paid_with.children if token.paid_with else ():
            sibling.revoked = sibling is not token.partner

    def _live(self, text: str) -> RefreshToken:
        token = self.refresh_tokens.get(text)
        if token is None:
            raise _invalid_grant("Cannot decrypt the refresh token")
        if token.issued_at + REFRESH_SECONDS < self.clock.now():
            raise _invalid_grant("Token has expired")
        if token.revoked or token.grant.revoked or self.switches.employee_locked:
            raise _invalid_grant("Token has been revoked")
        return token

    def _throttle(self, grant: Grant) -> None:
        now = self.clock.now()
        while grant.attempts and grant.attempts[0] <= now - 60:
            grant.attempts.popleft()
        if len(grant.attempts) >= REFRESHES_PER_MINUTE:
            wait = str(ceil(grant.attempts[0] + 60 - now))
            raise OAuthRefused(429, "too_many_requests", "Too many refresh attempts.", Retry_After=wait)
        grant.attempts.append(now)

    def _pair(self, grant: Grant, paid_with: RefreshToken | None) -> tuple[AccessToken, RefreshToken]:
        refresh = RefreshToken("def502" + secrets.token_hex(160), grant, self.clock.now(), paid_with)
        self.refresh_tokens[refresh.text] = refresh
        if paid_with is not None:
            paid_with.children.append(refresh)
        claims = self._claims(grant)
        text = jwt.encode(claims, signing_key(), algorithm="RS256", headers={"kid": KEY_ID})
        return self._access(grant, text, claims, paid_with, refresh), refresh

    def _access(
        self,
        grant: Grant,
        text: str,
        claims: dict[str, Any],
        paid_with: RefreshToken | None,
        partner: RefreshToken | None,
    ) -> AccessToken:
        if grant.access is not None:
            grant.access.revoked = True
        expires_at = self.clock.now() + self.switches.expires_in
        grant.access = AccessToken(text, grant, expires_at, claims, paid_with, partner)
        self.access_tokens[text] = grant.access
        return grant.access

    def _claims(self, grant: Grant) -> dict[str, Any]:
        now = float(self.clock.now())
        named = {"acct": str(self.account_id)} if self.switches.token_names_account else {}
        return {
            "jti": secrets.token_hex(40),
            "iss": ISSUER,
            "aud": self.client_id,
            "sub": str(self.user_id),
            **named,
            "scope": " ".join(sorted(grant.scopes)),
            "iat": now,
            "nbf": now,
            "exp": now + self.switches.expires_in,
        }


def _proves(code: Code, verifier: str) -> bool:
    if code.method == "S256":
        return _base64url(hashlib.sha256(verifier.encode()).digest()) == code.challenge
    return verifier == code.challenge


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _invalid_grant(hint: str) -> OAuthRefused:
    description = (
        "The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh "
        "token is invalid, expired, revoked, does not match the redirection URI used in the authorization "
        "request, or was issued to another client."
    )
    return OAuthRefused(400, "invalid_grant", description, hint)

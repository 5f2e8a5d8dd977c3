"""Sign-in by an identity provider: OpenID Connect, the authorization code flow with PKCE, state and nonce.

What is believed, and why: the provider's own description, when it calls itself
as the configuration does; keys from where that description says; an ID token
that one of these keys has signed by a method that we name, for us, now, and for
this very attempt. Anything else is refused with one sentence.

https://openid.net/specs/openid-connect-core-1_0.html (3.1.3.7 lists the checks),
https://openid.net/specs/openid-connect-discovery-1_0.html,
https://datatracker.ietf.org/doc/html/rfc9700 (what may go wrong)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt
import msgspec
from jwt.exceptions import InvalidTokenError, PyJWKError

from tillbridge.config import Oidc
from tillbridge.connectors.http import Http, HttpAnswer
from tillbridge.model.errors import SyncError
from tillbridge.model.hosts import is_loopback
from tillbridge.store.access import Flow
from tillbridge.web.security.addresses import refusal

# Signatures that anybody can check and only the provider can make. None of them is "none" or a shared secret.
METHODS = ("RS256", "ES256")

# Their keys: https://datatracker.ietf.org/doc/html/rfc7518#section-6.1
_KINDS = frozenset({"RSA", "EC"})

# So long somebody may take at the provider.
FLOW_SECONDS = 600.0

# Clocks differ; a token is good for minutes.
_LEEWAY_SECONDS = 120.0

_ANSWER_SECONDS = 10.0
_ANSWER_BYTES_MAX = 512 * 1024
_KEPT_SECONDS = 3_600.0
# A provider that does not answer is not asked again at once: the door is open to anybody.
_FAILED_SECONDS = 10.0
# Keys are read again for a key that is unknown, at most so often.
_KEYS_SECONDS = 60.0

# Codes of errors: https://datatracker.ietf.org/doc/html/rfc6749#section-4.1.2.1
_CODE = re.compile(r"[a-z_]{1,60}")


class SignInRefused(SyncError):
    """Nobody is let in. `str(error)` is for whoever tried."""


class Provider(msgspec.Struct, frozen=True):
    """What a provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False
    scopes_supported: tuple[str, ...] | None = None
    claims_supported: tuple[str, ...] | None = None
    code_challenge_methods_supported: tuple[str, ...] | None = None


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator is told of a provider that was tried. Null: it does not say."""

    issuer: str
    signs_in_at: str
    keys: int  # that sign by a method that we take
    takes_secret_by: list[str]
    knows_pkce: bool | None
    lacks_scopes: list[str] | None
    names_claim: bool | None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Who somebody is, as the provider vouches for it."""

    subject: str
    name: str
    email: str | None
    is_email_verified: bool
    groups: tuple[str, ...]


def new_flow(then: str) -> Flow:
    """Begin an attempt that ends at a path of ours."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Flow(state, nonce, verifier, then)


class Identity:
    """The provider as this process knows it. `now` is the console's clock."""

    def __init__(self, now: Callable[[], float], http: Http | None = None) -> None:
        self._now = now
        self._http = http or Http(total_seconds=_ANSWER_SECONDS, body_bytes_max=_ANSWER_BYTES_MAX)
        self._lock = threading.Lock()
        self._provider: tuple[str, float, Provider] | None = None
        self._failed: tuple[str, float, str] | None = None
        self._keys: tuple[str, float, dict[str, Any]] | None = None

    # --- there -----------------------------------------------------------------------------------

    def address(self, settings: Oidc, flow: Flow, back: str) -> str:
        """Return where a browser is sent to. Raises SignInRefused when the provider cannot be used."""
        provider = self.provider(settings)
        challenge = hashlib.sha256(flow.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": back,
            "scope": " ".join(settings.scopes),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        joined = "&" if urlsplit(provider.authorization_endpoint).query else "?"
        return f"{provider.authorization_endpoint}{joined}{urlencode(query)}"

    # --- and back --------------------------------------------------------------------------------

    def claims(self, settings: Oidc, flow: Flow, answer: Mapping[str, str], back: str) -> Claims:
        """Return who has come back. Raises SignInRefused."""
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise SignInRefused("This sign-in was begun elsewhere, or too long ago. Try again.")
        provider = self.provider(settings)
        told = answer.get("iss")
        # RFC 9207: another provider's answer must not be taken for this one's.
        if told is None and provider.authorization_response_iss_parameter_supported:
            raise SignInRefused("The identity provider did not say who it is, so nobody was let in.")
        if told is not None and told != settings.issuer:
            raise SignInRefused("Another identity provider answered than the one that was asked.")
        if error := answer.get("error"):
            word = error if _CODE.fullmatch(error) else "an error"
            raise SignInRefused(f"The identity provider did not let you in ({word}).")
        if not (code := answer.get("code")):
            raise SignInRefused("The identity provider sent no code. Try again.")
        token = self._exchanged(settings, provider, flow, code, back)
        return _read(self._verified(settings, provider, token, flow), settings)

    def _exchanged(self, settings: Oidc, provider: Provider, flow: Flow, code: str, back: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": flow.verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        secret = settings.client_secret.get_secret_value() if settings.client_secret else None
        if secret is not None and "client_secret_basic" in provider.token_endpoint_auth_methods_supported:
            # Both are form-encoded before they are joined: RFC 6749, section 2.3.1.
            pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = settings.client_id
            if secret is not None:
                form["client_secret"] = secret
        reply = self._asked("POST", provider.token_endpoint, headers, urlencode(form).encode())
        document = _document(reply)
        if reply.status != 200:
            found = document.get("error")
            word = found if isinstance(found, str) and _CODE.fullmatch(found) else str(reply.status)
            raise SignInRefused(f"The identity provider refused the code ({word}). Try again.")
        token = document.get("id_token")
        if not isinstance(token, str):
            raise SignInRefused("The identity provider sent no ID token.")
        return token

    # --- the ID token ----------------------------------------------------------------------------

    def _verified(self, settings: Oidc, provider: Provider, token: str, flow: Flow) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            method = header.get("alg")
            if method not in METHODS:
                raise SignInRefused(f"The ID token is not signed by {' or '.join(METHODS)}.")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(provider, header.get("kid"), method),
                algorithms=[method],
                audience=settings.client_id,
                issuer=settings.issuer,
                # Times are compared with the console's own clock, below.
                options={
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except InvalidTokenError as error:
            raise SignInRefused(f"The ID token does not hold: {_sentence(error)}") from error
        self._check_times(claims)
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), flow.nonce.encode()):
            raise SignInRefused("The ID token was made for another sign-in.")
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != settings.client_id:
            raise SignInRefused("The ID token was made for another program as well.")
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._now()
        times = {name: claims.get(name, 0) for name in ("exp", "iat", "nbf")}
        if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in times.values()):
            raise SignInRefused("The ID token's times cannot be read.")
        if now > times["exp"] + _LEEWAY_SECONDS:
            raise SignInRefused("The ID token has run out. Is this machine's clock right?")
        if now < max(times["iat"], times["nbf"]) - _LEEWAY_SECONDS:
            raise SignInRefused("The ID token is not good yet. Is this machine's clock right?")

    def _key(self, provider: Provider, kid: object, method: str) -> Any:
        found = self._find_key(provider, kid, method, fresh=False)
        found = found or self._find_key(provider, kid, method, fresh=True)
        if found is None:
            raise SignInRefused("The ID token is signed by a key that the provider does not show.")
        return found

    def _find_key(self, provider: Provider, kid: object, method: str, *, fresh: bool) -> Any:
        fits = []
        for each in self._key_set(provider, fresh=fresh).get("keys", ()):
            if not isinstance(each, dict) or each.get("use", "sig") != "sig":
                continue
            if kid is not None and each.get("kid") != kid:
                continue
            if each.get("alg", method) != method:
                continue
            try:
                fits.append(jwt.PyJWK(each, method))
            except (InvalidTokenError, PyJWKError, ValueError, TypeError):
                continue  # Keys of other kinds stand in the same list.
        return fits[0] if len(fits) == 1 else None

    def _key_set(self, provider: Provider, *, fresh: bool) -> dict[str, Any]:
        with self._lock:
            now, kept = self._now(), self._keys
            age_max = _KEYS_SECONDS if fresh else _KEPT_SECONDS
            if kept is not None and kept[0] == provider.jwks_uri and now - kept[1] < age_max:
                return kept[2]
            reply = self._asked("GET", provider.jwks_uri)
            if reply.status != 200:
                raise SignInRefused(f"The identity provider does not show its keys ({reply.status}).")
            self._keys = (provider.jwks_uri, now, _document(reply))
            return self._keys[2]

    # --- who it is -------------------------------------------------------------------------------

    def provider(self, settings: Oidc, *, fresh: bool = False) -> Provider:
        """Return what the provider says of itself. Raises SignInRefused."""
        issuer = settings.issuer
        with self._lock:
            now, kept, failed = self._now(), self._provider, self._failed
            if not fresh and kept and kept[0] == issuer and now - kept[1] < _KEPT_SECONDS:
                return kept[2]
            if not fresh and failed and failed[0] == issuer and now - failed[1] < _FAILED_SECONDS:
                raise SignInRefused(failed[2])
            try:
                found = self._discovered(issuer)
            except SignInRefused as error:
                self._failed = (issuer, now, str(error))
                raise
            self._provider = (issuer, now, found)
            return found

    def describe(self, issuer: str, scopes: Collection[str], claim: str) -> Described:
        """Ask a provider what it is, whether or not it is set. Raises SignInRefused."""
        found = self._discovered(issuer)
        reply = self._asked("GET", found.jwks_uri)
        if reply.status != 200:
            raise SignInRefused(f"The identity provider does not show its keys ({reply.status}).")
        held = _document(reply).get("keys")
        keys = [each for each in held if isinstance(each, dict)] if isinstance(held, list) else []
        pkce, known, named = (
            found.code_challenge_methods_supported,
            found.scopes_supported,
            found.claims_supported,
        )
        return Described(
            issuer=found.issuer,
            signs_in_at=urlsplit(found.authorization_endpoint).hostname or "",
            keys=sum(each.get("kty") in _KINDS for each in keys),
            takes_secret_by=list(found.token_endpoint_auth_methods_supported),
            knows_pkce=None if pkce is None else "S256" in pkce,
            lacks_scopes=None if known is None else [each for each in scopes if each not in known],
            names_claim=None if named is None else claim.partition(".")[0] in named,
        )

    def _discovered(self, issuer: str) -> Provider:
        reply = self._asked("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if reply.status != 200:
            raise SignInRefused(f"The identity provider does not describe itself ({reply.status}).")
        try:
            found = msgspec.convert(_document(reply), Provider)
        except msgspec.ValidationError as error:
            raise SignInRefused("The identity provider describes itself incompletely.") from error
        if found.issuer != issuer:
            raise SignInRefused("The identity provider goes by another name than console.oidc.issuer.")
        for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            _check_address(address, issuer)
        return found

    def _asked(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> HttpAnswer:
        try:
            return self._http.request(method, url, headers=headers, content=content)
        except SyncError as error:
            why = "The identity provider does not answer. Try again, or use a password."
            raise SignInRefused(why) from error


def _check_address(address: str, issuer: str) -> None:
    """Refuse an address by which the provider would lead us, or people, where it has no business."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    outer = urlsplit(issuer).hostname or ""
    is_safe = host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
    if not is_safe or parts.username or parts.fragment:
        raise SignInRefused("The identity provider names an address that is not https.")
    if host != outer and refusal(host) and not refusal(outer):
        raise SignInRefused("The identity provider names an address inside our own network.")


def _document(reply: HttpAnswer) -> dict[str, Any]:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SignInRefused("The identity provider's answer cannot be read.")
    return found


def _sentence(error: Exception) -> str:
    """Return what PyJWT says; it names claims, never their values."""
    words = str(error).strip().rstrip(".") or type(error).__name__
    return f"{words[:1].lower()}{words[1:120]}."


def _read(claims: Mapping[str, Any], settings: Oidc) -> Claims:
    email = claims.get("email")
    named = [claims.get(each) for each in ("name", "preferred_username", "email", "sub")]
    return Claims(
        subject=f"{settings.issuer} {claims['sub']}",
        name=next(each for each in map(_shown, named) if each),
        email=email if isinstance(email, str) and "@" in email else None,
        # Some send it as a word. Anything else, also a list or an object, vouches for nothing.
        is_email_verified=claims.get("email_verified") in (True, "true"),
        groups=_groups(claims, settings.claim),
    )


def _shown(value: object) -> str:
    """Return a name that can be shown on one line, or nothing."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(each if each.isprintable() else " " for each in value).split())[:80]


def _groups(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Read the claim of groups; `realm_access.roles` is looked for inside, as Keycloak has it."""
    found: Any = claims.get(name)
    if found is None:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return (found,)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()

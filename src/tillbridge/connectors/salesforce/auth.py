"""Decide how we log in: three OAuth grants, what their answers mean, and who may log in at a time.

A token names no end of its life, so it is used until it is refused (401), then
renewed once by whoever held the refused one; others take the new one. The
answer also says where data calls go: that may change and is read every time.
Fact sheet, part 1.  https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_flows.htm
"""

from __future__ import annotations

import re
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from urllib.parse import urlencode, urlsplit

import jwt
import msgspec

from tillbridge.connectors.http import Http, HttpAnswer
from tillbridge.connectors.salesforce import wire
from tillbridge.connectors.salesforce.protocol import PARK_SECONDS, failure, is_page_of_others, remote_errors
from tillbridge.connectors.salesforce.retry import Attempts
from tillbridge.model.clock import Clock
from tillbridge.model.errors import (
    ConfigurationInvalid,
    CredentialsRefused,
    LimitReached,
    SyncError,
    Transient,
)
from tillbridge.model.hosts import is_loopback
from tillbridge.model.writing import CrmOrg

PRODUCTION_AUDIENCE = "https://login.salesforce.com"
SANDBOX_AUDIENCE = "https://test.salesforce.com"
# An assertion may end at most three minutes after Salesforce's own "now"; ten seconds are for clocks apart.
ASSERTION_SECONDS = 170
# Salesforce's shared login hosts know no org, so they cannot serve the client credentials grant.
SHARED_LOGIN_HOSTS = {"login.salesforce.com", "test.salesforce.com"}
TOKEN_SECONDS_MAX = 30.0

_GRANT_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_IDENTITY = re.compile(r"/([A-Za-z0-9]{15,18})/([A-Za-z0-9]{15,18})/?$")


class TokenStore(Protocol):
    """Where a rotating refresh token survives us. Salesforce kills the old one as it hands out a new one.

    One store belongs to one configured login: refresh token, client id and login host.
    """

    def load(self) -> str | None:
        """Return the heir of the configured refresh token; None when it has none. Never another login's."""

    def save(self, refresh_token: str) -> None:
        """Keep it durably; on return it survives a power cut."""

    def lock(self) -> AbstractContextManager[object]:
        """Hold off every other process that would use the same refresh token."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we say we are. `login_url` is an origin; `audience` overrides the one that an assertion names."""

    grant: Literal["jwt", "client_credentials", "refresh_token"]
    login_url: str
    client_id: str
    client_secret: str | None = None
    username: str | None = None
    private_key: str | None = None  # PEM
    refresh_token: str | None = None
    audience: str | None = None

    def __repr__(self) -> str:
        """Name nothing secret: a repr may end up in a log."""
        return f"Credentials(grant={self.grant!r}, login_url={self.login_url!r})"


@dataclass(frozen=True, slots=True)
class Token:
    """A session: the secret, where its calls go, and whose it is. `refresh_token` only if a new one came."""

    access: str
    org: CrmOrg
    refresh_token: str | None = None

    def __repr__(self) -> str:
        """Name nothing secret."""
        return f"Token(org={self.org!r})"


class Session:
    """The one session that all threads share. Logging in happens under a lock, once per refused token."""

    def __init__(
        self,
        http: Http,
        credentials: Credentials,
        *,
        clock: Clock,
        attempts: Attempts,
        store: TokenStore | None = None,
    ) -> None:
        check(credentials)
        self.logins = 0
        self._http = http
        self._credentials = credentials
        self._clock = clock
        self._attempts = attempts
        self._store = store
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._rotated: str | None = None

    def token(self, *, refused: Token | None = None) -> Token:
        """Return the session, logging in where there is none or where the one at hand is `refused`."""
        with self._lock:
            if self._token is None or self._token is refused:
                self._token = self._log_in()
            return self._token

    def _log_in(self) -> Token:
        if self._credentials.grant != "refresh_token":
            return self._granted(None)
        with self._store.lock() if self._store else nullcontext():
            stored = self._store.load() if self._store else self._rotated
            token = self._granted(stored or self._credentials.refresh_token)
            if token.refresh_token:
                # Before the session's first use: the old refresh token is dead already.
                self._rotated = token.refresh_token
                if self._store:
                    self._store.save(token.refresh_token)
            return token

    def _granted(self, refresh_token: str | None) -> Token:
        answer = self._ask(refresh_token, self._clock.now())
        jwt_grant = self._credentials.grant == "jwt"
        if jwt_grant and skewed(answer) and answer.date is not None:
            # Our clock and theirs are apart: believe theirs, once.
            answer = self._ask(refresh_token, answer.date)
        for other in other_audiences(self._credentials) if jwt_grant and misdirected(answer) else ():
            answer = self._ask(refresh_token, self._clock.now(), audience=other)
            if answer.status == 200:
                self._credentials = replace(self._credentials, audience=other)
                break
        token = read_token(answer, self._credentials)
        if token.refresh_token == refresh_token:
            return Token(token.access, token.org)
        return token

    def _ask(self, refresh_token: str | None, now: datetime, audience: str | None = None) -> HttpAnswer:
        credentials = replace(self._credentials, audience=audience) if audience else self._credentials
        form = urlencode(token_form(credentials, now, refresh_token)).encode()
        return self._attempts.run(lambda: self._post(form), replayable=True)

    def _post(self, form: bytes) -> HttpAnswer:
        self.logins += 1
        answer = self._http.request(
            "POST",
            f"{self._credentials.login_url.rstrip('/')}/services/oauth2/token",
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            content=form,
            timeout_total=TOKEN_SECONDS_MAX,
        )
        # An edge's page says nothing of our credentials; OAuth's own refusals are read by `read_token`.
        if answer.status >= 500 or answer.status in {420, 429}:
            raise failure(answer)
        return answer


def check(credentials: Credentials) -> None:
    """Refuse credentials that cannot work, all mistakes at once, before anything is sent."""
    wanted = {
        "jwt": ("client_id", "username", "private_key"),
        "client_credentials": ("client_id", "client_secret"),
        "refresh_token": ("client_id", "refresh_token"),
    }[credentials.grant]
    mistakes = [
        (
            f"salesforce.{'private_key_file' if name == 'private_key' else name}",
            f'auth = "{credentials.grant}" needs it',
        )
        for name in wanted
        if not getattr(credentials, name)
    ]
    mistake = origin_mistake(credentials.login_url)
    host = urlsplit(credentials.login_url).hostname or ""
    if mistake:
        mistakes.append(("salesforce.login_url", mistake))
    elif credentials.grant == "client_credentials" and host in SHARED_LOGIN_HOSTS:
        mistakes.append(
            (
                "salesforce.login_url",
                f"{host} refuses client credentials: use the org's My Domain, https://….my.salesforce.com",
            )
        )
    if mistakes:
        raise ConfigurationInvalid(mistakes)


def origin_mistake(url: str) -> str | None:
    """Say what is wrong with an origin that secrets shall be sent to; None when nothing is."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host:
        return "must look like https://host"
    if parts.scheme == "http" and not is_loopback(host):
        return f"http://{host} would send secrets in the clear: use https://{host}"
    if parts.path.strip("/") or parts.query or parts.username is not None:
        return "must be an origin: scheme and host, nothing behind"
    if host.endswith(".lightning.force.com"):
        return f"{host} is for browsers: use the org's My Domain, https://….my.salesforce.com"
    return None


def audience(credentials: Credentials) -> str:
    """Name whom an assertion is for. The documented values are the shared login hosts, never My Domain."""
    if credentials.audience:
        return credentials.audience
    host = (urlsplit(credentials.login_url).hostname or "").lower()
    sandbox = host.startswith("test.") or "sandbox" in host
    return SANDBOX_AUDIENCE if sandbox else PRODUCTION_AUDIENCE


def assertion(credentials: Credentials, now: datetime) -> str:
    """Sign the statement that we act for `username`; `exp` is integer seconds."""
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.username,
        "aud": audience(credentials),
        "exp": int((now + timedelta(seconds=ASSERTION_SECONDS)).astimezone(UTC).timestamp()),
    }
    try:
        return jwt.encode(claims, credentials.private_key or "", algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        # The library's text may quote the key.
        raise ConfigurationInvalid(
            [("salesforce.private_key_file", "is no RSA private key in PEM form without a pass phrase")]
        ) from None


def token_form(credentials: Credentials, now: datetime, refresh_token: str | None) -> dict[str, str]:
    """Spell the form of the token request."""
    if credentials.grant == "jwt":
        return {"grant_type": _GRANT_JWT, "assertion": assertion(credentials, now)}
    form = {"grant_type": credentials.grant, "client_id": credentials.client_id}
    if credentials.grant == "refresh_token" and refresh_token:
        form["refresh_token"] = refresh_token
    if credentials.client_secret:
        form["client_secret"] = credentials.client_secret
    return form


def skewed(answer: HttpAnswer) -> bool:
    """Tell whether an assertion was refused for its time, which Salesforce words as if it were a code."""
    return _said(answer, "expired authorization code")


def misdirected(answer: HttpAnswer) -> bool:
    """Tell whether an assertion was refused for the audience it names."""
    return _said(answer, "audience")


def _said(answer: HttpAnswer, text: str) -> bool:
    return 400 <= answer.status < 500 and any(text in e.message.lower() for e in remote_errors(answer))


def other_audiences(credentials: Credentials) -> list[str]:
    """Name what else a host may want to read in an assertion; nothing where a person has decided it.

    A sandbox need not show in its address, and some hosts take only their own.
    """
    if credentials.audience:
        return []
    known = (PRODUCTION_AUDIENCE, SANDBOX_AUDIENCE, credentials.login_url.rstrip("/"))
    return [name for name in dict.fromkeys(known) if name != audience(credentials)]


class _TokenAnswer(msgspec.Struct):
    access_token: str
    instance_url: str
    id: str = ""
    refresh_token: str | None = None


def read_token(answer: HttpAnswer, credentials: Credentials) -> Token:
    """Read a token answer, or raise why there is none."""
    if answer.status != 200:
        raise refusal(answer, credentials)
    try:
        found = msgspec.json.decode(answer.body, type=_TokenAnswer)
    except msgspec.DecodeError:
        raise _no_salesforce(answer, credentials) from None
    instance = found.instance_url.rstrip("/")
    mistake = origin_mistake(instance)
    if mistake:
        raise CredentialsRefused(f"Salesforce sends data calls to an address we may not call: {mistake}")
    identity = _IDENTITY.search(found.id)
    if identity is None:
        raise CredentialsRefused(
            "Salesforce did not say which org and user we are: add the OAuth scope id (or openid) to the app"
        )
    org = CrmOrg(wire.id18(identity[1]), wire.id18(identity[2]), instance)
    return Token(found.access_token, org, found.refresh_token)


# Part of the description -> what to do. Texts as collected in the fact sheet, part 1.1.
_CURE_BY_TEXT = {
    "hasn't approved this consumer": (
        "an admin must pre-authorise the user for the app: set its policy to 'Admin approved users are "
        "pre-authorized' and assign the permission set or profile"
    ),
    "expired access/refresh token": (
        "the refresh token was revoked or has expired: authorise the app again and configure the new "
        "salesforce.refresh_token"
    ),
    "audience is invalid": (
        "set salesforce.audience to https://login.salesforce.com, or to https://test.salesforce.com "
        "for a sandbox"
    ),
    "expired authorization code": (
        "this machine's clock and Salesforce's are more than three minutes apart: set the clock"
    ),
    "user is locked": "an admin must unlock or unfreeze the user",
    "inactive user": "an admin must activate the user",
    "no client credentials user": (
        "the app names no run-as user for the client credentials flow: set one in its policies"
    ),
    "not supported on this domain": "set salesforce.login_url to the org's My Domain",
}
# The error -> what to do, where its description says no more.
_CURE_BY_CODE = {
    "invalid_client_id": (
        "salesforce.client_id is no consumer key of an app that this org knows (a new app takes ten minutes)"
    ),
    "invalid_client": ("salesforce.client_id or client_secret is wrong, or the app does not allow this flow"),
    "unsupported_grant_type": "enable this flow in the app, and set salesforce.login_url to My Domain",
    "inactive_org": "the org is locked, closed or suspended: ask Salesforce",
    "inactive_user": "an admin must activate the user",
    "invalid_app_access": "assign the permission set that the app's policy names to the user",
    "invalid_grant": (
        "check salesforce.username, the certificate uploaded to the app, and that login_url is the right org"
    ),
}
_CURE = "check the app's settings and salesforce.* in the configuration"


def refusal(answer: HttpAnswer, credentials: Credentials) -> SyncError:
    """Word why a login was refused, with its cure."""
    errors = remote_errors(answer)
    found = failure(answer)
    if isinstance(found, Transient | LimitReached) and not is_page_of_others(answer):
        return found
    if not errors:
        return _no_salesforce(answer, credentials)
    first = errors[0]
    text = first.message.lower()
    if "login rate exceeded" in text:
        return LimitReached(
            "Salesforce accepts no more logins of this user within the hour",
            quota="salesforce logins",
            resume_after_seconds=answer.retry_after_seconds or PARK_SECONDS,
        )
    cures = [cure for part, cure in _CURE_BY_TEXT.items() if part in text]
    cure = cures[0] if cures else _CURE_BY_CODE.get(first.code.lower(), _CURE)
    return CredentialsRefused(f"Salesforce refused the login ({first.code}: {first.message}): {cure}")


def _no_salesforce(answer: HttpAnswer, credentials: Credentials) -> CredentialsRefused:
    return CredentialsRefused(
        f"{urlsplit(credentials.login_url).hostname} did not answer a login as Salesforce does "
        f"(HTTP {answer.status}): check salesforce.login_url"
    )

"""Sessions: how a browser says who it is, for how long, and how often somebody may try.

The cookie holds a random secret, of which we keep the hash: a session can be
ended from anywhere, and a copy of the database signs nobody in. A session gets a
new secret whenever somebody signs in or their rights change.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from tillbridge.store.access import Access, Person, folded
from tillbridge.web.security import passwords
from tillbridge.web.security.roles import NOBODY, SCOPES, Role, Visitor, role_named

# Nobody looks for so long: whoever sits down at the screen next must sign in.
IDLE_SECONDS = 12 * 3_600.0
# However busy it is, a session ends.
LAST_SECONDS = 7 * 86_400.0
# Writing down every page that is looked at would cost more than the page.
_NOTED_SECONDS = 60.0

# Failures that count, and how many are too many: one person from one place (they mistype), one person from
# everywhere and one place for everybody (somebody guesses).
WINDOW_SECONDS = 900.0
_TOGETHER_MAX = 5
_PERSON_MAX = 30
_PLACE_MAX = 20

FIRST_LINK_SECONDS = 86_400.0

# Whoever is shut out at the identity provider is seen there no more: their tokens rest so long after they
# last came from it.
PROVIDER_TOKEN_DAYS = 7


@dataclass(frozen=True, slots=True)
class TooOften:
    """Somebody tried too often, and may again after so many seconds."""

    seconds: float


class Sessions:
    """Signs in and out, and knows who is at the door."""

    def __init__(self, access: Access) -> None:
        self._access = access

    # --- at the door ---------------------------------------------------------------------------

    def visitor(self, request: Request, now: float) -> Visitor:
        """Return who asks."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._program(secret.strip(), now)
        kept = request.cookies.get(cookie_name(request))
        return self._browser(kept, now) if kept else NOBODY

    def _browser(self, secret: str, now: float) -> Visitor:
        found = self._access.session(secret)
        if found is None:
            return NOBODY
        session, person = found
        if not person.active or now > session.until or now > session.seen_at + IDLE_SECONDS:
            self._access.end_session(session.hash)
            return NOBODY
        if now > session.seen_at + _NOTED_SECONDS:
            self._access.seen(session.hash, now)
        return Visitor(
            role=role_named(person.role),
            name=person.name,
            person=person,
            session=session.hash,
            csrf=_csrf(secret),
        )

    def _program(self, secret: str, now: float) -> Visitor:
        found = self._access.token(secret, now)
        if found is None or not found[1].active or _is_overdue(found[1], now):
            return NOBODY
        token, person = found
        if now > (token.seen_at or 0) + _NOTED_SECONDS:
            self._access.token_seen(token.id, now)
        widest = max((SCOPES[scope] for scope in token.scopes if scope in SCOPES), default=Role.ANONYMOUS)
        return Visitor(
            role=min(role_named(person.role), widest),
            name=person.name,
            person=person,
            token=token.name,
            scopes=token.scopes,
        )

    # --- signing in ----------------------------------------------------------------------------

    def check(self, name: str, password: str, address: str, now: float) -> Person | TooOften | None:
        """Return who has this name and password; None when nobody has."""
        keys = _keys(name, address)
        for key, fails_max in keys.items():
            fails, seconds = self._access.fails(key, now, WINDOW_SECONDS)
            if fails >= fails_max:
                return TooOften(seconds)
        # Counted before the password is looked at: a hundred tries at once are a hundred tries.
        for key, fails_max in keys.items():
            if self._access.failed(key, now, WINDOW_SECONDS) > fails_max:
                return TooOften(WINDOW_SECONDS)
        found = self._access.named(name)
        person, kept = found or (None, None)
        if not passwords.is_right(password, kept) or person is None or not person.active:
            return None
        assert kept is not None
        self._forgive(name, address)
        if passwords.is_outdated(kept):
            self._access.set_password(person.id, passwords.hash_password(password), rehashed=True)
        return person

    def _forgive(self, name: str, address: str) -> None:
        """Forget what this name has failed at. The place's failures stay, but for the one counted just now.

        Else whoever has an account could guess at others' for ever.
        """
        together, person, place = _keys(name, address)
        self._access.forgive(together)
        self._access.forgive(person)
        self._access.uncount(place)

    def sign_in(
        self,
        request: Request,
        response: Response,
        person: Person,
        now: float,
        *,
        last_seconds: float = LAST_SECONDS,
    ) -> None:
        """Begin a session of its own secret, and end the one that this browser had."""
        self._end_present(request)
        agent = request.headers.get("user-agent", "")
        secret = self._access.sign_in(
            person.id, now, now + last_seconds, agent=agent, address=address_of(request)
        )
        response.set_cookie(
            cookie_name(request),
            secret,
            max_age=int(last_seconds),
            path="/",
            secure=request.state.is_secure,
            httponly=True,
            # Lax, since the way back from the till's and the CRM's consent pages begins on their sites.
            samesite="lax",
        )

    def sign_out(self, request: Request, response: Response) -> None:
        """End this browser's session."""
        self._end_present(request)
        response.delete_cookie(
            cookie_name(request), path="/", secure=request.state.is_secure, httponly=True, samesite="lax"
        )

    def _end_present(self, request: Request) -> None:
        kept = request.cookies.get(cookie_name(request))
        if kept and (found := self._access.session(kept)):
            self._access.end_session(found[0].hash)


def is_csrf_right(visitor: Visitor, given: str) -> bool:
    """Say whether a form belongs to the session that sends it."""
    return bool(visitor.csrf) and hmac.compare_digest(visitor.csrf.encode(), given.encode())


def cookie_name(request: Request) -> str:
    """Return the cookie's name. With `__Host-` no other host or path can plant one (RFC 6265bis, 4.1.3.2)."""
    return "__Host-tillbridge" if request.state.is_secure else "tillbridge"


def address_of(request: Request) -> str:
    """Return where a request comes from."""
    return request.client.host if request.client else ""


def _is_overdue(person: Person, now: float) -> bool:
    """Say whether nobody has vouched for somebody lately who signs in by the identity provider alone."""
    if person.subject is None or person.has_password:
        return False
    return now > (person.seen_at or 0) + PROVIDER_TOKEN_DAYS * 86_400


def _csrf(secret: str) -> str:
    return hashlib.sha256(f"csrf {secret}".encode()).hexdigest()


def _keys(name: str, address: str) -> dict[str, int]:
    """Return what failures are counted by, and how many are too many."""
    # Hashed, since people type their password where the name belongs.
    who = hashlib.sha256(folded(name).encode()).hexdigest()[:32]
    return {f"{who} {address}": _TOGETHER_MAX, who: _PERSON_MAX, f"@{address}": _PLACE_MAX}

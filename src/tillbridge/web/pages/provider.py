"""Sign-in with an identity provider: there, back, and who that makes somebody here."""

from __future__ import annotations

import math
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from tillbridge.config import Oidc
from tillbridge.model.hosts import is_loopback
from tillbridge.store.access import Person
from tillbridge.web.console import console_of, visitor_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages import people
from tillbridge.web.rendering import go, page
from tillbridge.web.security.oidc import FLOW_SECONDS, Claims, Provider, SignInRefused, new_flow
from tillbridge.web.security.paths import inside
from tillbridge.web.security.roles import Role, role_named
from tillbridge.web.security.sessions import PROVIDER_TOKEN_DAYS, address_of

_BY = "identity provider"

# Whoever is shut out at the provider is out here as well after so long.
_LAST_SECONDS = 86_400.0


def begin(request: Request, next: str = "/") -> Response:  # noqa: A002  The name in the address.
    """Send somebody to the provider."""
    console, settings = console_of(request), _settings(request)
    flow = new_flow(inside(next))
    try:
        address = console.identity.address(settings, flow, _back(request))
    except SignInRefused as error:
        return _refused(request, str(error), flow.next)
    secret = console.access.begin_flow(flow, console.now(), console.now() + FLOW_SECONDS)
    answer = RedirectResponse(address, 303)
    answer.set_cookie(
        _cookie(request),
        secret,
        max_age=math.ceil(FLOW_SECONDS),
        path="/",
        secure=request.state.is_secure,
        httponly=True,
        samesite="lax",  # The way back begins on the provider's site.
    )
    return answer


def back(request: Request) -> Response:
    """Let somebody in who comes back from the provider."""
    console, settings = console_of(request), _settings(request)
    secret = request.cookies.get(_cookie(request), "")
    # One that is missing, or took too long, has a state that nobody can answer with.
    flow = (console.access.end_flow(secret, console.now()) if secret else None) or new_flow("/")
    try:
        claims = console.identity.claims(settings, flow, dict(request.query_params), _back(request))
        person = _person(request, settings, claims)
    except SignInRefused as error:
        console.access.note(
            "nobody", "sign-in failed", "", console.now(), {"by": _BY, "from": address_of(request)}
        )
        return _refused(request, str(error), flow.next)
    answer = go(flow.next)
    console.sessions.sign_in(request, answer, person, console.now(), last_seconds=_LAST_SECONDS)
    answer.delete_cookie(_cookie(request), path="/", secure=request.state.is_secure, httponly=True)
    detail = {"by": _BY, "from": address_of(request)}
    console.access.note(person.name, "signed in", str(person.id), console.now(), detail)
    return answer


def show(request: Request) -> Response:
    """Show by whom people may sign in."""
    return _page(request)


def check(request: Request) -> Response:
    """Ask the provider what it says of itself."""
    console, settings = console_of(request), _settings(request)
    try:
        found, why = console.identity.provider(settings, fresh=True), ""
        _back(request)
    except SignInRefused as error:
        found, why = None, str(error)
    console.note(visitor_of(request), "identity provider checked", "", works=not why)
    return _page(request, found=None if why else found, why=why, is_checked=True)


def _page(
    request: Request, *, found: Provider | None = None, why: str = "", is_checked: bool = False
) -> Response:
    rules = console_of(request).rules()
    try:
        address = _back(request)
    except SignInRefused:
        address = ""
    return page(
        request,
        "settings_sign_in.html",
        part="sign-in",
        oidc=rules.oidc,
        back=address,
        found=found,
        why=why,
        is_checked=is_checked,
        metrics_from=rules.metrics_from,
        token_days=PROVIDER_TOKEN_DAYS,
    )


# --- who somebody is here ------------------------------------------------------------------------


def role_of(settings: Oidc, claims: Claims) -> str:
    """Return the role that somebody's groups make. Raises SignInRefused with what to tell them."""
    if settings.email_domains:
        domain = (claims.email or "").rpartition("@")[2].lower()
        if domain not in settings.email_domains:
            raise SignInRefused("Your e-mail address is not of a domain that may sign in here.")
        if not claims.is_email_verified:
            raise SignInRefused("Your identity provider does not vouch for your e-mail address.")
    mapped = [role_named(settings.roles[each]) for each in claims.groups if each in settings.roles]
    word = max(mapped).word if mapped else settings.default_role
    if word is None:
        raise SignInRefused("You are in no group that may sign in here. Ask an administrator.")
    return word


def stores_of(settings: Oidc, claims: Claims, known: Collection[str]) -> dict[str, list[str]] | None:
    """Return the stores that a viewer's groups open; None: all. Raises SignInRefused."""
    named = [each for group in claims.groups for each in settings.stores.get(group, ())]
    if not named:
        raise SignInRefused("You are in no group that names the stores you may see. Ask an administrator.")
    if "*" in named:
        return None
    try:
        return people.stores_named(sorted(set(named)), known)
    except Unfit as error:
        raise SignInRefused(f"The stores of your groups cannot be read: {error.why}") from error


def _person(request: Request, settings: Oidc, claims: Claims) -> Person:
    console = console_of(request)
    person = console.access.subject(claims.subject)
    if person is not None and not person.active:
        raise SignInRefused("An administrator has shut you out.")
    try:
        role = role_of(settings, claims)
        is_told = bool(settings.stores) and role == Role.VIEWER.word
        limits = stores_of(settings, claims, console.connections()) if is_told else None
    except SignInRefused:
        if person is not None:
            console.access.end_sessions(person.id)
            for token in console.access.tokens(person.id):
                console.access.end_token(token.id)
        raise
    if person is None:
        return _added(request, claims, role, limits)
    if person.role == role and (not is_told or person.limits == limits):
        return person
    # The last administrator stays one: somebody must be left who can let others in.
    if console.access.change(person.id, role=role, limits=limits, active=True, keeps_limits=not is_told):
        now = console.access.person(person.id) or person
        detail = {"role": [person.role, role], "limits": now.limits}
        console.access.note(_BY, "user changed", str(person.id), console.now(), detail)
        return now
    return person


def _added(request: Request, claims: Claims, role: str, limits: dict[str, list[str]] | None) -> Person:
    """Add somebody on their first visit. A name that is taken is somebody else's: theirs gets a number."""
    console = console_of(request)
    names = [claims.name, *([claims.email[:80]] if claims.email and claims.is_email_verified else [])]
    for name in (*names, *(f"{claims.name[:70]} ({n})" for n in range(2, 100))):
        person = console.access.add(name, role, console.now(), subject=claims.subject, limits=limits)
        if person is not None:
            detail = {"role": role, "limits": limits}
            console.access.note(_BY, "user added", str(person.id), console.now(), detail)
            return person
    raise SignInRefused("There are too many people of your name here. Ask an administrator.")


# --- addresses -----------------------------------------------------------------------------------


def _settings(request: Request) -> Oidc:
    found = console_of(request).rules().oidc
    if found is None:
        raise NotHere
    return found


def _back(request: Request) -> str:
    """Return where the provider sends people back to."""
    base = str(request.app.state.address or request.base_url).rstrip("/")
    parts = urlsplit(base)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise SignInRefused(
            "Sign-in with an identity provider needs https: an administrator has to set service.url to the "
            "console's own https address."
        )
    return f"{base}/login/oidc/back"


def _cookie(request: Request) -> str:
    return "__Host-tillbridge-oidc" if request.state.is_secure else "tillbridge-oidc"


def _refused(request: Request, why: str, then: str) -> Response:
    settings = _settings(request)
    return page(request, "login.html", 403, next=then, name="", why=why, provider=settings.name)

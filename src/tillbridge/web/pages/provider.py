"""Sign-in with an identity provider: there, back, and who that makes somebody here."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from tillbridge import sign_in
from tillbridge.config import Oidc
from tillbridge.config import issuer as issuer_address
from tillbridge.model.errors import ConfigurationInvalid, Halted, SyncError
from tillbridge.model.hosts import is_loopback
from tillbridge.sign_in import SignIn, Wished
from tillbridge.store.access import Person
from tillbridge.web.console import Console, console_of, visitor_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages import people
from tillbridge.web.pages.settings import Given
from tillbridge.web.rendering import done, go, page
from tillbridge.web.security.oidc import FLOW_SECONDS, Claims, Described, SignInRefused, new_flow
from tillbridge.web.security.paths import inside
from tillbridge.web.security.roles import ROLES, Role, role_named
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


# --- settings ------------------------------------------------------------------------------------


def show(request: Request) -> Response:
    """Show by whom people may sign in."""
    return _page(request)


def save(request: Request, form: Given) -> Response:
    """Let people sign in otherwise; it holds at once."""
    wished, mistakes = _read({**_held(shown(request)), **{name: _first(form, name) for name in form}})
    if wished is not None:
        try:
            set_up(request, wished, _first(form, "seen"))
        except ConfigurationInvalid as error:
            mistakes = told_of(error)
        except SyncError as error:
            return _page(request, 409, why=str(error), typed=form)
        else:
            return done("/settings/sign-in", "settings")
    return _page(request, 422, why="Nothing is saved yet: see below.", typed=form, mistakes=mistakes)


def turn_off(request: Request, form: Given) -> Response:
    """Let people sign in by passwords alone."""
    try:
        turned_off(request, _first(form, "seen"))
    except SyncError as error:
        return _page(request, 409, why=str(error))
    return done("/settings/sign-in", "settings")


def check(request: Request, form: Given) -> Response:
    """Ask the provider that was typed, or the one that is set, what it says of itself."""
    now = shown(request)
    issuer, claim = (_first(form, each) for each in ("issuer", "claim"))
    scopes = _first(form, "scopes").split() or now.scopes
    try:
        found = tried(request, issuer or now.issuer, scopes, claim or now.claim)
    except SyncError as error:
        return _page(request, why=str(error), typed=form, is_checked=True)
    return _page(request, typed=form, found=found, is_checked=True)


def shown(request: Request) -> SignIn:
    """Return how sign-in is set."""
    console = console_of(request)
    return sign_in.shown(console.folder, console.rules())


def set_up(request: Request, wished: Wished, seen: str) -> None:
    """Set it, and write down who did. Raises ConfigurationInvalid, Halted."""
    console = console_of(request)
    with console.noting(visitor_of(request), "sign-in changed") as deed:
        _check_stores(console, wished)
        deed.came["changed"] = sign_in.change(
            console.folder, console.env, wished, seen=seen, refusal=console.refusal()
        )


def turned_off(request: Request, seen: str) -> bool:
    """Let people sign in by passwords alone, and write down who did. Raises Halted.

    Whoever has no password is signed out, and their tokens end with the provider that vouched for them.
    """
    console = console_of(request)
    with console.noting(visitor_of(request), "sign-in turned off") as deed:
        admins = (each for each in console.access.people() if each.role == "admin" and each.active)
        if not any(each.has_password for each in admins):
            raise Halted(
                "No administrator has a password, so nobody could let others in any more. Under Users, add "
                "an administrator who has one."
            )
        is_moved = sign_in.turn_off(console.folder, console.env, seen=seen)
        if is_moved:
            deed.came["ended"] = console.access.end_all_of_the_provider()
        return is_moved


def tried(request: Request, issuer: str, scopes: Collection[str], claim: str) -> Described:
    """Ask a provider what it says of itself, and write down who did. Raises SignInRefused."""
    console = console_of(request)
    with console.noting(visitor_of(request), "identity provider checked") as deed:
        deed.came["works"] = False
        try:
            issuer_address(issuer[: sign_in.TEXT_MAX])
        except ValueError as error:
            raise SignInRefused(f"The issuer {error}.") from error
        known = console.rules().oidc
        if (known is None or issuer != known.issuer) and (why := console.refusal()(issuer)):
            raise SignInRefused(f"The issuer {why}.")
        found = console.identity.describe(issuer, scopes, claim)
        _back(request)
        deed.came["works"] = True
    return found


def told_of(error: ConfigurationInvalid) -> dict[str, str]:
    """Return mistakes by their fields, as sentences; what is about the whole stands at the roles."""
    found: dict[str, str] = {}
    for path, text in error.mistakes:
        field = path.removeprefix("console.oidc").lstrip(".").partition(".")[0]
        told = f"{text[:1].upper()}{text[1:].rstrip('.')}."
        is_shown = field in SignIn.__struct_fields__ or field == sign_in.SECRET
        found.setdefault(field if is_shown else "roles", told)
    return found


def _check_stores(console: Console, wished: Wished) -> None:
    """Refuse stores that there are not: whoever is limited to them would see nothing."""
    for group, codes in wished.stores.items():
        if "*" in codes:
            continue
        try:
            people.check_stores(console, people.stores_named(codes, console.connections()))
        except Unfit as error:
            raise ConfigurationInvalid([("stores", f"{group}: {error.why}")]) from error


def _first(form: Given, name: str) -> str:
    return next(iter(form.get(name, ())), "").strip()


def _held(now: SignIn) -> dict[str, str]:
    """Return what is set as a form has it."""
    return {
        "name": now.name,
        "issuer": now.issuer,
        "client_id": now.client_id,
        "claim": now.claim,
        "default_role": now.default_role or "",
        "scopes": " ".join(now.scopes),
        "roles": "\n".join(f"{group} = {role}" for group, role in now.roles.items()),
        "stores": "\n".join(f"{group} = {', '.join(codes)}" for group, codes in now.stores.items()),
        "email_domains": ", ".join(now.email_domains),
    }


def _read(given: Mapping[str, str]) -> tuple[Wished | None, dict[str, str]]:
    """Read a form; None, and what is wrong, when it cannot be read."""
    mistakes: dict[str, str] = {}
    pairs: dict[str, dict[str, str]] = {"roles": {}, "stores": {}}
    for field, example in (("roles", "office = operator"), ("stores", "harbour = 1, 2")):
        for line in filter(None, map(str.strip, given[field].splitlines())):
            group, _, value = (part.strip() for part in line.rpartition("="))
            if not group or not value:
                mistakes[field] = f"One line each, with = between, such as: {example}."
            pairs[field][group] = value
    if mistakes:
        return None, mistakes
    secret = given.get(sign_in.SECRET, "")
    wished = Wished(
        issuer=given["issuer"],
        client_id=given["client_id"],
        client_secret=secret or ("" if f"{sign_in.SECRET}.drop" in given else None),
        name=given["name"],
        claim=given["claim"],
        scopes=given["scopes"].split(),
        roles=pairs["roles"],
        default_role=given["default_role"] or None,
        stores={group: codes.replace(",", " ").split() for group, codes in pairs["stores"].items()},
        email_domains=given["email_domains"].replace(",", " ").split(),
    )
    return wished, {}


def _page(
    request: Request,
    status: int = 200,
    *,
    why: str = "",
    typed: Given | None = None,
    mistakes: Mapping[str, str] | None = None,
    found: Described | None = None,
    is_checked: bool = False,
) -> Response:
    rules, now = console_of(request).rules(), shown(request)
    try:
        address = _back(request)
    except SignInRefused:
        address = ""
    held = {**_held(now), **{name: _first(typed or {}, name) for name in typed or ()}}
    return page(
        request,
        "settings_sign_in.html",
        status,
        part="sign-in",
        now_set=now,
        held=held,
        mistakes=mistakes or {},
        roles=[role.word for role in ROLES],
        back=address,
        found=found,
        why=why,
        is_checked=is_checked,
        # A secret is never sent back, so that who typed one has to type it again.
        has_typed_secret=bool(_first(typed or {}, sign_in.SECRET)),
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

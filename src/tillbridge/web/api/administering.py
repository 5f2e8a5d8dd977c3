"""The API of administrators: settings, tests of what is connected, users, tokens and the audit log."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import Path, Query, Request

from tillbridge import settings
from tillbridge.alerts import Tried
from tillbridge.config import MATCH_RULES
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.setup.checks import Check, checks
from tillbridge.sign_in import SignIn, Wished
from tillbridge.store.access import Entry, Person, Token
from tillbridge.views import settings as views
from tillbridge.views.trials import Trial
from tillbridge.web.api.answers import answers
from tillbridge.web.api.doing import Did
from tillbridge.web.api.given import (
    Id,
    Limit,
    NewUser,
    Number,
    Pressed,
    ProviderGiven,
    SettingsGiven,
    SignInGiven,
    UserGiven,
)
from tillbridge.web.api.reading import opened
from tillbridge.web.console import console_of, visitor_of
from tillbridge.web.errors import Unfit
from tillbridge.web.pages import people, provider
from tillbridge.web.pages.settings import change
from tillbridge.web.pages.settings_alerts import sent
from tillbridge.web.security.oidc import Described
from tillbridge.web.security.roles import role_named

Section = Annotated[
    Literal["schedule", "alerts", "matching", "authorities", "safety", "budget"],
    Path(description="Which settings."),
]
Rules = Annotated[
    str, Query(max_length=100, pattern=r"^[a-z_,]*$", description="Rules in their order, with commas.")
]

# A program waits longer than a page does; then it asks again.
_PATIENCE_SECONDS = 20.0


# --- a connection's settings ---------------------------------------------------------------------


@answers(settings.Section)
def section(request: Request, connection: Id, section: Section) -> settings.Section:
    """Show settings as they are. Secrets are never shown: only whether there is one."""
    console = console_of(request)
    return settings.section(opened(request, connection)[0].home, console.env, section)


@answers(settings.Changed)
def change_section(
    request: Request, connection: Id, section: Section, body: SettingsGiven
) -> settings.Changed:
    """Change settings. What is not named stays, null is the default; nothing is changed by halves."""
    books, _ = opened(request, connection)
    try:
        return change(request, books, section, body.settings, body.seen)
    except ConfigurationInvalid as error:
        raise Unfit("; ".join(f"{path}: {text}" for path, text in error.mistakes) + ".") from error


@answers(views.FieldMapping)
def field_map(request: Request, connection: Id) -> views.FieldMapping:
    """Show the field map, held against what the org has last shown."""
    return views.mapping(opened(request, connection)[0])


@answers(list[views.Contested])
def contested(request: Request, connection: Id) -> list[views.Contested]:
    """List the fields that both sides may move, and who wins in a conflict."""
    return views.contested(opened(request, connection)[0])


@answers(Trial)
def try_rules(request: Request, connection: Id, match: Rules, review: Rules = "") -> Trial:
    """Say what other match rules would make of everybody known. Nothing is written; ask again until done."""
    books, _ = opened(request, connection)
    order, suggests = ([name for name in text.split(",") if name] for text in (match, review))
    if strange := [name for name in (*order, *suggests) if name not in MATCH_RULES]:
        raise Unfit(f"{strange[0]} is no rule; there are {', '.join(MATCH_RULES)}.")
    order = list(dict.fromkeys(order))
    if "external_id" in suggests or not set(suggests) <= set(order):
        raise Unfit("Only e-mail, phone and address may merely suggest, and only where they are on.")
    return console_of(request).trials.ask(books, order, suggests, _PATIENCE_SECONDS)


@answers(list[Check])
def check_connection(
    request: Request,
    connection: Id,
    body: Pressed,  # noqa: ARG001  It asks both sides, so it has to be meant.
) -> list[Check]:
    """Look at everything that a run needs, on both sides, now."""
    console, books = console_of(request), opened(request, connection)[0]
    found = list(checks(books.home, clock=console.clock, env=console.env))
    failed = sum(each.level == "fail" for each in found)
    console.note(visitor_of(request), "connection tested", connection, checks=len(found), failed=failed)
    return found


@answers(list[Tried])
def test_alerts(
    request: Request,
    connection: Id,  # noqa: ARG001  `sent` reads it from the address.
    body: Pressed,  # noqa: ARG001  It writes to people, so it has to be meant.
) -> list[Tried]:
    """Send one test message to everybody who is told, and say of each whether it was taken."""
    return sent(request)


# --- users ---------------------------------------------------------------------------------------


class Invited(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and the link by which they choose a password: once, within a day."""

    user: Person
    link: str


@answers(list[Person])
def users(request: Request) -> list[Person]:
    """List everybody, also those who are shut out."""
    return console_of(request).access.people()


@answers(Invited)
def add_user(request: Request, body: NewUser) -> Invited:
    """Let somebody in."""
    console = console_of(request)
    _check_limits(request, body)
    person = console.access.add(body.name, body.role, console.now(), limits=body.limits)
    if person is None:
        raise Unfit(f"There is somebody called {body.name} already.")
    console.note(visitor_of(request), "user added", str(person.id), role=body.role, limits=body.limits)
    return Invited(user=person, link=people.link_for(request, person))


@answers(Person)
def change_user(request: Request, number: Number, body: UserGiven) -> Person:
    """Let somebody be what they are now. All their browsers have to sign in again."""
    console, person = console_of(request), people.person_of(request, number)
    _check_limits(request, body)
    if not console.access.change(person.id, role=body.role, limits=body.limits, active=body.active):
        raise Unfit("Somebody must be left who can let others in.")
    console.note(
        visitor_of(request),
        "user changed",
        str(person.id),
        role=body.role,
        limits=body.limits,
        active=body.active,
    )
    return people.person_of(request, number)


@answers(Invited)
def link_user(
    request: Request,
    number: Number,
    body: Pressed,  # noqa: ARG001  Older links end, so it has to be meant.
) -> Invited:
    """Make a link by which somebody chooses a new password."""
    person = people.person_of(request, number)
    if not person.active:
        raise Unfit("Whoever may not sign in needs no link; let them in first.")
    console_of(request).note(visitor_of(request), "link made", str(person.id))
    return Invited(user=person, link=people.link_for(request, person))


def _check_limits(request: Request, body: UserGiven) -> None:
    if body.limits is None:
        return
    if role_named(body.role).word != "viewer":
        raise Unfit("Only a viewer can be limited to some stores: the others act on the whole connection.")
    if strange := [name for name in body.limits if name not in console_of(request).connections()]:
        raise Unfit(f"There is no connection called {strange[0]}.")
    people.check_stores(console_of(request), body.limits)


# --- sign-in -------------------------------------------------------------------------------------


@answers(SignIn)
def sign_in_settings(request: Request) -> SignIn:
    """Show how people may sign in by an identity provider. Its secret is never shown."""
    return provider.shown(request)


@answers(SignIn)
def set_sign_in(request: Request, body: SignInGiven) -> SignIn:
    """Let people sign in by an identity provider. It holds at once, and passwords work beside it."""
    wished = Wished(**body.model_dump(exclude={"seen"}))
    try:
        provider.set_up(request, wished, body.seen)
    except ConfigurationInvalid as error:
        told = [(field, text) for field, text in provider.told_of(error).items()]
        why = "; ".join(f"{field}: {text.rstrip('.')}" for field, text in told)
        raise Unfit(f"{why}.", told) from error
    return provider.shown(request)


@answers(Did)
def turn_sign_in_off(request: Request) -> Did:
    """Let people sign in by passwords alone."""
    return Did(count=int(provider.turned_off(request, "")))


@answers(Described)
def try_provider(request: Request, body: ProviderGiven) -> Described:
    """Ask an identity provider what it says of itself; nobody signs in and nothing is set."""
    now = provider.shown(request)
    return provider.tried(request, body.issuer or now.issuer, now.scopes, now.claim)


# --- tokens and the audit log --------------------------------------------------------------------


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of the audit log, newest first. `older`: what to ask for as `before` next."""

    entries: list[Entry]
    older: int | None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the audit log is whole. `broken_at`: the first line that does not hold."""

    lines: int
    newest: str
    broken_at: int | None
    why: str | None


@answers(list[Token])
def tokens(request: Request) -> list[Token]:
    """List everybody's tokens: never their secrets."""
    return console_of(request).access.tokens()


@answers(Did)
def end_token(request: Request, number: Number) -> Did:
    """Let a token be good for nothing any more."""
    console = console_of(request)
    ended = console.access.end_token(number)
    if ended:
        console.note(visitor_of(request), "token ended", str(number))
    return Did(count=int(ended))


@answers(AuditPage)
def audit(
    request: Request,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Limit = 100,
) -> AuditPage:
    """Show who did what, newest first."""
    entries = console_of(request).access.entries(limit=limit + 1, before=before)
    shown = entries[:limit]
    return AuditPage(entries=shown, older=shown[-1].number if len(entries) > limit else None)


@answers(Verified)
def verify_audit(
    request: Request,
    body: Pressed,  # noqa: ARG001  It is written down, so it has to be meant.
) -> Verified:
    """Walk the whole chain and say whether it holds."""
    console = console_of(request)
    count, newest, broken = console.access.verify()
    console.note(visitor_of(request), "audit verified", "", lines=count, holds=broken is None)
    return Verified(
        lines=count,
        newest=newest,
        broken_at=broken.number if broken else None,
        why=broken.why if broken else None,
    )

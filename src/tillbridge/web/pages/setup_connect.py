"""The wizard's first two steps: both sides are connected, by consent in a browser or by what is entered here.

Nothing that is secret comes back to a browser: a form says that something is
stored, and an empty field leaves it so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import File, Form, Request, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from tillbridge import installation
from tillbridge.connectors.lightspeed_r.authorize import NamedAccount
from tillbridge.draft import Consent
from tillbridge.model.errors import ConfigurationInvalid, SyncError
from tillbridge.model.writing import CrmOrg
from tillbridge.setup import consent, crm, steps, till
from tillbridge.web.console import visitor_of
from tillbridge.web.errors import NotHere
from tillbridge.web.pages import setup
from tillbridge.web.rendering import done, go

_CODE_MAX = 4_000
# Of an id that will not do, the audit log keeps so much.
_ACCOUNT_SHOWN = 40
_KEY_BYTES_MAX = 20_000


# --- Lightspeed ----------------------------------------------------------------------------------


def show_till(request: Request, name: str) -> Response:
    """Show how the till is connected."""
    return _till_page(request, name)


def ask_till(
    request: Request,
    name: str,
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
    access: Annotated[str, Form()] = "write",
    api_url: Annotated[str, Form()] = "",
    auth_url: Annotated[str, Form()] = "",
) -> Response:
    """Keep what was entered, and lead to where Lightspeed asks for consent."""
    setup.standing_of(request, name)
    said = till.Answers(
        client_id=client_id.strip(),
        client_secret=client_secret.strip(),
        writes=access != "read",
        api_url=api_url,
        auth_url=auth_url,
    )
    try:
        till_asked(request, name, said)
    except ConfigurationInvalid as error:
        entered = {"client_id": client_id, "writes": said.writes, "api_url": api_url, "auth_url": auth_url}
        return _till_page(request, name, 422, entered=entered, mistakes=setup.mistakes_in(error))
    return go(setup.address(name, steps.LIGHTSPEED))


def till_asked(request: Request, name: str, said: till.Answers) -> str:
    """Keep what was said, and return where somebody allows it. Raises ConfigurationInvalid."""
    with setup.noting(request, name, "consent asked for", side=steps.LIGHTSPEED):
        return till.ask(setup.setups_of(request), name, said, _session(request))


def choose_account(request: Request, name: str, account: Annotated[str, Form()] = "") -> Response:
    """Take one of the accounts that the consent is good for."""
    setup.standing_of(request, name)
    try:
        account_chosen(request, name, account)
    except ConfigurationInvalid as error:
        return _till_page(request, name, 422, mistakes=setup.mistakes_in(error))
    return setup.finish(name, steps.LIGHTSPEED)


def account_chosen(request: Request, name: str, account: str) -> None:
    """Take one of the accounts that the consent is good for. Raises ConfigurationInvalid."""
    with setup.noting(request, name, "till connected", account=account[:_ACCOUNT_SHOWN]) as deed:
        till.choose(setup.setups_of(request), name, account, deed.by)


def _till_page(
    request: Request,
    name: str,
    status: int = 200,
    *,
    entered: dict[str, Any] | None = None,
    mistakes: dict[str, str] | None = None,
    why: str = "",
) -> Response:
    setup.standing_of(request, name)
    setups = setup.setups_of(request)
    said = till.shown(setups, name)
    return setup.step_page(
        request,
        name,
        steps.LIGHTSPEED,
        "setup_lightspeed.html",
        status,
        shown={**asdict(said), **(entered or {})},
        mistakes=mistakes or {},
        why=why,
        has_secret=said.has_secret,
        simulators=setups.allows_simulators(),
        consent=waiting(request, name, steps.LIGHTSPEED),
        accounts=said.accounts if len(said.accounts) > 1 else [],
        account=said.account,
        back=callback(request, steps.LIGHTSPEED),
    )


def till_answered(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    """Take the answer that Lightspeed sends somebody back with."""

    def take(name: str) -> Response:
        if len(till_taken(request, name, state, code)) != 1:
            return go(setup.address(name, steps.LIGHTSPEED))
        return setup.finish(name, steps.LIGHTSPEED)

    return _answered(request, state, code, error, take, _till_page, "Lightspeed")


def till_taken(request: Request, name: str, state: str, code: str) -> list[NamedAccount]:
    """Trade an answer for the accounts that it is good for; a single one is chosen. Raises SyncError."""
    setups = setup.setups_of(request)
    with setup.noting(request, name, "consent answered", side=steps.LIGHTSPEED) as deed:
        found = till.answer(setups, name, state=state, code=code[:_CODE_MAX], sessions=_sessions(request))
        deed.came["accounts"] = len(found)
    if len(found) == 1:
        account_chosen(request, name, found[0].id)
    return found


# --- Salesforce ----------------------------------------------------------------------------------


def show_crm(request: Request, name: str, auth: str = "") -> Response:
    """Show how the org is connected."""
    return _crm_page(request, name, entered={"auth": auth} if auth in crm.AUTHS else None)


async def ask_crm(
    request: Request,
    name: str,
    auth: Annotated[str, Form()] = "",
    login: Annotated[str, Form()] = "",
    domain: Annotated[str, Form()] = "",
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
    username: Annotated[str, Form()] = "",
    private_key: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Log in with what was entered, or lead to where Salesforce asks for consent."""
    pem = await private_key.read(_KEY_BYTES_MAX + 1) if private_key is not None else b""
    said = crm.Answers(
        auth=auth,
        login=login,
        domain=domain.strip(),
        client_id=client_id.strip(),
        client_secret=client_secret.strip(),
        username=username.strip(),
        private_key=pem.decode("ascii", "replace").strip(),
    )
    return await run_in_threadpool(_connect_crm, request, name, said)


def _connect_crm(request: Request, name: str, said: crm.Answers) -> Response:
    setup.standing_of(request, name)
    entered = {
        "auth": said.auth,
        "login": said.login,
        "domain": said.domain,
        "client_id": said.client_id,
        "username": said.username,
    }
    try:
        if said.auth == "refresh_token":
            crm_asked(request, name, said)
            return go(setup.address(name, steps.SALESFORCE))
        logged_in(request, name, said)
    except ConfigurationInvalid as error:
        return _crm_page(request, name, 422, entered=entered, mistakes=setup.mistakes_in(error))
    except SyncError as error:
        return _crm_page(request, name, 422, entered=entered, why=_sentence(str(error)))
    return setup.finish(name, steps.SALESFORCE)


def crm_asked(request: Request, name: str, said: crm.Answers) -> str:
    """Keep what was said, and return where somebody allows it. Raises ConfigurationInvalid."""
    with setup.noting(request, name, "consent asked for", side=steps.SALESFORCE):
        back = callback(request, steps.SALESFORCE)
        return crm.ask(setup.setups_of(request), name, said, _session(request), back)


def logged_in(request: Request, name: str, said: crm.Answers) -> CrmOrg:
    """Log in without a browser, and keep how. Raises SyncError."""
    with setup.noting(request, name, "org connected", by=said.auth[:_ACCOUNT_SHOWN]) as deed:
        org = crm.log_in(setup.setups_of(request), name, said, deed.by)
        deed.came["org"] = org.id
    return org


def make_key(request: Request, name: str) -> Response:
    """Make a key pair: the key is sealed, its certificate is there to be downloaded."""
    setup.standing_of(request, name)
    key_made(request, name)
    return done(f"{setup.address(name, steps.SALESFORCE)}?auth=jwt", "key-made")


def key_made(request: Request, name: str) -> None:
    """Make a key pair, and write down who did."""
    with setup.noting(request, name, "key made"):
        crm.make_key(setup.setups_of(request), name)


def certificate(request: Request, name: str) -> Response:
    """Hand out the certificate of the key that was made here: it is public."""
    setup.standing_of(request, name)
    found = setup.setups_of(request).found(name, "certificate")
    if not found:
        raise NotHere
    headers = {"content-disposition": f'attachment; filename="tillbridge-{name}.crt"'}
    return PlainTextResponse(found, media_type="application/x-pem-file", headers=headers)


def _crm_page(
    request: Request,
    name: str,
    status: int = 200,
    *,
    entered: dict[str, Any] | None = None,
    mistakes: dict[str, str] | None = None,
    why: str = "",
) -> Response:
    setup.standing_of(request, name)
    said = crm.shown(setup.setups_of(request), name)
    return setup.step_page(
        request,
        name,
        steps.SALESFORCE,
        "setup_salesforce.html",
        status,
        shown={**asdict(said), **(entered or {})},
        mistakes=mistakes or {},
        why=why,
        has_secret=said.has_secret,
        has_key=said.has_key,
        has_certificate=bool(said.certificate),
        consent=waiting(request, name, steps.SALESFORCE),
        back=callback(request, steps.SALESFORCE),
    )


def crm_answered(
    request: Request, state: str = "", code: str = "", error: str = "", error_description: str = ""
) -> Response:
    """Take the answer that Salesforce sends somebody back with."""

    def take(name: str) -> Response:
        crm_taken(request, name, state, code)
        return setup.finish(name, steps.SALESFORCE)

    return _answered(request, state, code, error or error_description, take, _crm_page, "Salesforce")


def crm_taken(request: Request, name: str, state: str, code: str) -> CrmOrg:
    """Trade an answer, and keep how to come back. Raises SyncError."""
    setups = setup.setups_of(request)
    with setup.noting(request, name, "org connected", by="consent") as deed:
        org = crm.answer(
            setups, name, state=state, code=code[:_CODE_MAX], sessions=_sessions(request), by=deed.by
        )
        deed.came["org"] = org.id
    return org


# --- what both share -----------------------------------------------------------------------------


def callback(request: Request, side: str) -> str:
    """Return the address that the other side sends somebody back to: the console's own."""
    setups = setup.setups_of(request)
    own = installation.service_settings(setups.folder, setups.env).url.rstrip("/")
    return f"{own or str(request.base_url).rstrip('/')}/connected/{side}"


def _answered(
    request: Request,
    state: str,
    code: str,
    error: str,
    take: Callable[[str], Response],
    shows: Callable[..., Response],
    side: str,
) -> Response:
    """Look at an answer; what is wrong with it is said on the step that asked."""
    name = consent.connection_in(state)
    if not setup.setups_of(request).is_known(name):
        raise NotHere  # No set-up of ours has asked for that.
    if error or not code:
        why = f"{side} sent you back without leave: nothing was allowed there. Ask again when you are ready."
        return shows(request, name, 422, why=why)
    try:
        return take(name)
    except ConfigurationInvalid as mistaken:
        return shows(request, name, 422, why=" ".join(setup.mistakes_in(mistaken).values()))
    except SyncError as refused:
        return shows(request, name, 422, why=_sentence(str(refused)))


def _session(request: Request) -> str:
    """Return what a question is bound to: the browser that asks, or the person whose program does."""
    return _sessions(request)[0]


def _sessions(request: Request) -> tuple[str, ...]:
    """Return what whoever brings an answer may have asked as."""
    visitor = visitor_of(request)
    as_person = (consent.of_person(visitor.person.id),) if visitor.person else ()
    return (visitor.session, *as_person) if visitor.session else as_person


def waiting(request: Request, name: str, side: str) -> Consent | None:
    """Return the consent that whoever asks has asked for and that was not answered yet."""
    setups = setup.setups_of(request)
    found = setups.kept(name).consents.get(side)
    if found is None or found.session not in _sessions(request) or setups.now() > found.until:
        return None
    return found


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def till_pasted(request: Request, name: str, address: Annotated[str, Form()] = "") -> Response:
    """Take the answer from an address that somebody was sent to and whose page did not open."""
    setup.standing_of(request, name)
    query = _query_of(address.strip()[:_CODE_MAX])
    state, code = query.get("state", ""), query.get("code", "")
    if consent.connection_in(state) != name or not code:
        text = "That address holds no answer: copy all of it, from https:// to its end."
        return _till_page(request, name, 422, mistakes={"address": text})
    return till_answered(request, state=state, code=code, error=query.get("error", ""))


def _query_of(address: str) -> dict[str, str]:
    """Return what an address asks; nothing, where it is none."""
    try:
        return dict(parse_qsl(urlsplit(address).query))
    except ValueError:
        return {}

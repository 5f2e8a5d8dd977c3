"""The wizard's first two steps: both sides are connected, by consent in a browser or by what is entered here.

Nothing that is secret comes back to a browser: a form says that something is
stored, and an empty field leaves it so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import File, Form, Request, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from tillbridge import installation
from tillbridge.connectors.lightspeed_r.client import API_URL, AUTH_URL
from tillbridge.model.errors import ConfigurationInvalid, SyncError
from tillbridge.setup import consent, crm, steps, till
from tillbridge.setup.draft import Consent
from tillbridge.setup.setups import aside
from tillbridge.web.console import visitor_of
from tillbridge.web.errors import NotHere
from tillbridge.web.pages import setup
from tillbridge.web.rendering import done, go

_CODE_MAX = 4_000
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
        till.ask(setup.setups_of(request), name, said, _session(request))
    except ConfigurationInvalid as error:
        entered = {"client_id": client_id, "writes": said.writes, "api_url": api_url, "auth_url": auth_url}
        return _till_page(request, name, 422, entered=entered, mistakes=setup.mistakes_in(error))
    setup.note(request, name, "consent asked for", side=steps.LIGHTSPEED)
    return go(setup.address(name, steps.LIGHTSPEED))


def choose_account(request: Request, name: str, account: Annotated[str, Form()] = "") -> Response:
    """Take one of the accounts that the consent is good for."""
    setup.standing_of(request, name)
    try:
        till.choose(setup.setups_of(request), name, account, setup.who(request))
    except ConfigurationInvalid as error:
        return _till_page(request, name, 422, mistakes=setup.mistakes_in(error))
    setup.note(request, name, "till connected", account=account)
    return setup.finish(name, steps.LIGHTSPEED)


def _till_page(
    request: Request,
    name: str,
    status: int = 200,
    *,
    entered: dict[str, Any] | None = None,
    mistakes: dict[str, str] | None = None,
    why: str = "",
) -> Response:
    setups = setup.setups_of(request)
    kept = setups.kept(name) if setups.is_known(name) else None
    written = setups.settings(name).get("lightspeed", {}) if kept else {}
    found = kept.found if kept else {}
    shown = {
        "client_id": _text(written.get("client_id")),
        "writes": True,
        "api_url": _text(written.get("api_url")) or API_URL,
        "auth_url": _text(written.get("auth_url")) or AUTH_URL,
        **found.get("till", {}),
        **(entered or {}),
    }
    accounts = found.get("accounts") or []
    return setup.step_page(
        request,
        name,
        steps.LIGHTSPEED,
        "setup_lightspeed.html",
        status,
        shown=shown,
        mistakes=mistakes or {},
        why=why,
        has_secret=bool(kept and setups.sealed(name) & {till.SECRET, aside(till.SECRET)}),
        simulators=setups.allows_simulators(),
        consent=_waiting(request, name, steps.LIGHTSPEED),
        accounts=accounts if len(accounts) > 1 else [],
        account=_text(written.get("account_id")),
        back=callback(request, steps.LIGHTSPEED),
    )


def till_answered(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    """Take the answer that Lightspeed sends somebody back with."""

    def take(name: str) -> Response:
        setups = setup.setups_of(request)
        found = till.answer(setups, name, state=state, code=code[:_CODE_MAX], session=_session(request))
        if len(found) != 1:
            return go(setup.address(name, steps.LIGHTSPEED))
        till.choose(setups, name, found[0].id, setup.who(request))
        setup.note(request, name, "till connected", account=found[0].id)
        return setup.finish(name, steps.LIGHTSPEED)

    return _answered(request, state, code, error, take, _till_page, "Lightspeed")


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
    setups = setup.setups_of(request)
    entered = {
        "auth": said.auth,
        "login": said.login,
        "domain": said.domain,
        "client_id": said.client_id,
        "username": said.username,
    }
    try:
        if said.auth == "refresh_token":
            crm.ask(setups, name, said, _session(request), callback(request, steps.SALESFORCE))
            setup.note(request, name, "consent asked for", side=steps.SALESFORCE)
            return go(setup.address(name, steps.SALESFORCE))
        org = crm.log_in(setups, name, said, setup.who(request))
    except ConfigurationInvalid as error:
        return _crm_page(request, name, 422, entered=entered, mistakes=setup.mistakes_in(error))
    except SyncError as error:
        return _crm_page(request, name, 422, entered=entered, why=_sentence(str(error)))
    setup.note(request, name, "org connected", org=org.id, by=said.auth)
    return setup.finish(name, steps.SALESFORCE)


def make_key(request: Request, name: str) -> Response:
    """Make a key pair: the key is sealed, its certificate is there to be downloaded."""
    setup.standing_of(request, name)
    crm.make_key(setup.setups_of(request), name)
    setup.note(request, name, "key made")
    return done(f"{setup.address(name, steps.SALESFORCE)}?auth=jwt", "key-made")


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
    setups = setup.setups_of(request)
    setup.standing_of(request, name)
    written = setups.settings(name).get("salesforce", {})
    found = setups.kept(name).found
    login_url = _text(written.get("login_url"))
    shown = {
        "auth": written.get("auth", "jwt" if written else "refresh_token"),
        "login": _login_of(login_url),
        "domain": login_url if _login_of(login_url) == "own" else "",
        "client_id": _text(written.get("client_id")),
        "username": _text(written.get("username")),
        **found.get("crm", {}),
        **(entered or {}),
    }
    sealed = setups.sealed(name)
    return setup.step_page(
        request,
        name,
        steps.SALESFORCE,
        "setup_salesforce.html",
        status,
        shown=shown,
        mistakes=mistakes or {},
        why=why,
        has_secret=bool(sealed & {crm.SECRET, aside(crm.SECRET)}),
        has_key=bool(sealed & {crm.KEY, aside(crm.KEY)}),
        has_certificate=bool(found.get("certificate")),
        consent=_waiting(request, name, steps.SALESFORCE),
        back=callback(request, steps.SALESFORCE),
    )


def _login_of(login_url: str) -> str:
    if not login_url:
        return "production"
    return next((name for name, url in crm.LOGINS.items() if url == login_url), "own")


def crm_answered(
    request: Request, state: str = "", code: str = "", error: str = "", error_description: str = ""
) -> Response:
    """Take the answer that Salesforce sends somebody back with."""

    def take(name: str) -> Response:
        org = crm.answer(
            setup.setups_of(request),
            name,
            state=state,
            code=code[:_CODE_MAX],
            session=_session(request),
            by=setup.who(request),
        )
        setup.note(request, name, "org connected", org=org.id, by="consent")
        return setup.finish(name, steps.SALESFORCE)

    return _answered(request, state, code, error or error_description, take, _crm_page, "Salesforce")


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
    session = visitor_of(request).session
    if not session:
        raise NotHere  # A token of a program has no browser that could come back.
    return session


def _waiting(request: Request, name: str, side: str) -> Consent | None:
    """Return the consent that this browser has asked for and that was not answered yet."""
    setups = setup.setups_of(request)
    found = setups.kept(name).consents.get(side)
    if found is None or found.session != visitor_of(request).session or setups.now() > found.until:
        return None
    return found


def _text(written: object) -> str:
    """Show a setting as it is written; one that names a variable is not shown here."""
    return str(written) if isinstance(written, str | int) else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def till_pasted(request: Request, name: str, address: Annotated[str, Form()] = "") -> Response:
    """Take the answer from an address that somebody was sent to and whose page did not open."""
    setup.standing_of(request, name)
    query = dict(parse_qsl(urlsplit(address.strip()[:_CODE_MAX]).query))
    state, code = query.get("state", ""), query.get("code", "")
    if consent.connection_in(state) != name or not code:
        text = "That address holds no answer: copy all of it, from https:// to its end."
        return _till_page(request, name, 422, mistakes={"address": text})
    return till_answered(request, state=state, code=code, error=query.get("error", ""))

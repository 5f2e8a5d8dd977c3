"""Connect the till account: ask for consent, trade its answer, and keep which account it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from tillbridge.connectors.http import Http
from tillbridge.connectors.lightspeed_r import authorize
from tillbridge.connectors.lightspeed_r.authorize import NamedAccount
from tillbridge.connectors.lightspeed_r.client import API_URL, AUTH_URL
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.model.hosts import is_lightspeed, is_loopback
from tillbridge.setup import consent, steps
from tillbridge.setup.setups import Setups, as_text, aside

SECRET, TOKEN = "lightspeed_client_secret", "lightspeed_refresh_token"

# Longer than any that the vendor gives out.
_TEXT_MAX = 500


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person has said. An empty secret: the one that is sealed already."""

    client_id: str
    client_secret: str
    writes: bool
    api_url: str = ""
    auth_url: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What was said so far, and what it came to. Secrets are not told: only whether there is one."""

    client_id: str
    writes: bool
    api_url: str
    auth_url: str
    has_secret: bool
    account: str
    accounts: tuple[NamedAccount, ...]


def shown(setups: Setups, name: str) -> Shown:
    """Return how the till is connected, or is about to be."""
    written, found = setups.settings(name).get("lightspeed", {}), setups.kept(name).found
    said = found.get("till", {})
    return Shown(
        client_id=said.get("client_id") or as_text(written.get("client_id")),
        writes=said.get("writes", True),
        api_url=said.get("api_url") or as_text(written.get("api_url")) or API_URL,
        auth_url=said.get("auth_url") or as_text(written.get("auth_url")) or AUTH_URL,
        has_secret=bool(setups.sealed(name) & {SECRET, aside(SECRET)}),
        account=as_text(written.get("account_id")),
        accounts=tuple(NamedAccount(**each) for each in found.get("accounts") or ()),
    )


def ask(setups: Setups, name: str, said: Answers, session: str) -> str:
    """Keep what was said, and return where the person allows it. Raises ConfigurationInvalid."""
    secret = said.client_secret or _known_secret(setups, name, said.client_id)
    api_url, auth_url = _checked(setups, said, secret)
    # What an earlier consent was good for belongs to the client that was asked for then.
    setups.keep(name, "accounts", None)
    setups.forget_secrets(name, aside(TOKEN))
    setups.seal(name, {aside(SECRET): secret})
    setups.keep(
        name,
        "till",
        {"client_id": said.client_id, "writes": said.writes, "api_url": api_url, "auth_url": auth_url},
    )
    scopes = authorize.SCOPES_TO_WRITE if said.writes else authorize.SCOPES_TO_READ
    return consent.ask(
        setups.home(name),
        setups.vault(name),
        connection=name,
        side=steps.LIGHTSPEED,
        session=session,
        redirect_uri="",
        now=setups.now(),
        url_of=lambda state, challenge: authorize.consent_url(
            auth_url, client_id=said.client_id, scopes=scopes, state=state, challenge=challenge
        ),
    )


def _known_secret(setups: Setups, name: str, client_id: str) -> str:
    return setups.secret_of(name, SECRET, client_id, table="lightspeed", found="till") or ""


def _checked(setups: Setups, said: Answers, secret: str) -> tuple[str, str]:
    mistakes = []
    if not said.client_id or len(said.client_id) > _TEXT_MAX or not said.client_id.isprintable():
        mistakes.append(("client_id", "Enter the client id that Lightspeed shows for your API client."))
    if not secret:
        mistakes.append(("client_secret", "Enter the client secret that belongs to the client id."))
    if len(said.client_secret) > _TEXT_MAX:
        mistakes.append(("client_secret", "That is longer than any client secret."))
    allowed = setups.allows_simulators()
    origins = []
    for field, given, own in (("api_url", said.api_url, API_URL), ("auth_url", said.auth_url, AUTH_URL)):
        origin = given.strip().rstrip("/") or own
        if not is_till_address(origin, simulators=allowed):
            mistakes.append(
                (field, f"{origin} is none of Lightspeed's own hosts (https://….lightspeedapp.com).")
            )
        origins.append(origin)
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    return origins[0], origins[1]


def is_till_address(origin: str, *, simulators: bool) -> bool:
    """Say whether the set-up may call there: Lightspeed's own hosts, and simulators where that is allowed."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        return False
    if simulators and is_loopback(host) and parts.scheme in {"http", "https"}:
        return True
    return parts.scheme == "https" and is_lightspeed(host) and port in {None, 443}


def answer(
    setups: Setups, name: str, *, state: str, code: str, sessions: Collection[str]
) -> list[NamedAccount]:
    """Trade the answer to a consent; return the accounts that it is good for.

    Raises NotAsked, CredentialsRefused, Transient.
    """
    home, vault = setups.home(name), setups.vault(name)
    asked = consent.take(home, vault, side=steps.LIGHTSPEED, state=state, sessions=sessions, now=setups.now())
    said = setups.found(name, "till")
    with Http() as http:
        granted = authorize.exchange(
            http,
            said["auth_url"],
            client_id=said["client_id"],
            client_secret=setups.unsealed(name, aside(SECRET)) or "",
            code=code,
            verifier=asked.verifier,
        )
        # Sealed before it is used, and put aside: it may be another account's.
        setups.seal(name, {aside(TOKEN): granted.refresh_token})
        found = authorize.accounts(http, said["api_url"], granted.access_token)
    setups.keep(name, "accounts", [{"id": each.id, "name": each.name} for each in found])
    return found


def choose(setups: Setups, name: str, account: str, by: str) -> None:
    """Take one of the accounts that the consent is good for. Raises ConfigurationInvalid."""
    offered = {each["id"]: each["name"] for each in setups.found(name, "accounts") or ()}
    if not offered:
        text = "Allow it in Lightspeed first: no account is offered before its answer has come."
        raise ConfigurationInvalid([("account", text)])
    if account not in offered:
        raise ConfigurationInvalid([("account", "Choose one of the accounts that are listed.")])
    _check_same(setups, name, account)
    said = setups.found(name, "till")
    simulated = {"api_url": said["api_url"], "auth_url": said["auth_url"]} != {
        "api_url": API_URL,
        "auth_url": AUTH_URL,
    }
    setups.promote(name, SECRET, TOKEN)
    setups.set(
        name,
        {
            ("lightspeed", "account_id"): account,
            ("lightspeed", "client_id"): said["client_id"],
            ("lightspeed", "client_secret"): {"secret": SECRET},
            ("lightspeed", "refresh_token"): {"secret": TOKEN},
            ("lightspeed", "api_url"): said["api_url"] if simulated else None,
            ("lightspeed", "auth_url"): said["auth_url"] if simulated else None,
        },
    )
    setups.done(name, steps.LIGHTSPEED, by, f"{offered[account] or 'Account'} ({account})")


def _check_same(setups: Setups, name: str, account: str) -> None:
    """Refuse another account than the one whose customers and receipts this connection remembers."""
    bound = setups.bound(name, "till_account")
    if bound not in {None, account}:
        text = (
            f"This connection belongs to Lightspeed account {bound}; set up another connection for {account}."
        )
        raise ConfigurationInvalid([("account", text)])

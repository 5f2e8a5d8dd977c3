"""Connect the org: by consent in a browser, by signed statements (JWT), or by client credentials."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tillbridge.connectors.http import Http
from tillbridge.connectors.salesforce import authorize
from tillbridge.connectors.salesforce.auth import Credentials
from tillbridge.connectors.salesforce.client import SalesforceClient
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.model.hosts import is_loopback, is_salesforce_login
from tillbridge.model.writing import CrmOrg
from tillbridge.setup import consent, steps
from tillbridge.setup.setups import Setups, as_text, aside

Auth = Literal["refresh_token", "jwt", "client_credentials"]
AUTHS: tuple[Auth, ...] = ("refresh_token", "jwt", "client_credentials")

SECRET, TOKEN, KEY = "salesforce_client_secret", "salesforce_refresh_token", "salesforce_private_key"

LOGINS = {"production": "https://login.salesforce.com", "sandbox": "https://test.salesforce.com"}

_TEXT_MAX = 500
_KEY_MAX = 20_000
# Salesforce takes certificates of 4,096 bits at most, and tells an admin before one ends.
_KEY_BITS = 2_048
_CERTIFICATE_LASTS = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person has said. Empty secrets: those that are sealed already."""

    auth: str
    login: str  # production, sandbox, or own
    domain: str  # the org's My Domain
    client_id: str
    client_secret: str = ""
    username: str = ""
    private_key: str = ""  # PEM


@dataclass(frozen=True, slots=True)
class Shown:
    """What was said so far. Secrets are not told: only whether there are any."""

    auth: str
    login: str
    domain: str
    client_id: str
    username: str
    has_secret: bool
    has_key: bool
    certificate: str  # of the key that was made here, in PEM; "": none was


def shown(setups: Setups, name: str) -> Shown:
    """Return how the org is connected, or is about to be."""
    written, found = setups.settings(name).get("salesforce", {}), setups.kept(name).found
    login_url = as_text(written.get("login_url"))
    said = {
        "auth": written.get("auth", "jwt" if written else "refresh_token"),
        "login": _login_of(login_url),
        "domain": login_url if _login_of(login_url) == "own" else "",
        "client_id": as_text(written.get("client_id")),
        "username": as_text(written.get("username")),
        **found.get("crm", {}),
    }
    sealed = setups.sealed(name)
    return Shown(
        **{each: said[each] for each in ("auth", "login", "domain", "client_id", "username")},
        has_secret=bool(sealed & {SECRET, aside(SECRET)}),
        has_key=bool(sealed & {KEY, aside(KEY)}),
        certificate=found.get("certificate") or "",
    )


def _login_of(login_url: str) -> str:
    if not login_url:
        return "production"
    return next((name for name, url in LOGINS.items() if url == login_url), "own")


# --- what was said -------------------------------------------------------------------------------


def _checked(setups: Setups, name: str, said: Answers) -> tuple[Auth, str]:
    """Return how and where to log in. Raises ConfigurationInvalid with every mistake."""
    mistakes: list[tuple[str, str]] = []
    auth = next((each for each in AUTHS if each == said.auth), None)
    if auth is None:
        mistakes.append(("auth", "Choose how Tillbridge logs in."))
    login_url = LOGINS.get(said.login, "")
    if not login_url:
        try:
            login_url = login_origin(said.domain, simulators=setups.allows_simulators())
        except ValueError as error:
            mistakes.append(("domain", str(error)))
    elif auth == "client_credentials":
        text = "Client credentials work at the org's own address only: choose My Domain and enter it."
        mistakes.append(("domain", text))
    if not said.client_id or len(said.client_id) > _TEXT_MAX or not said.client_id.isprintable():
        mistakes.append(("client_id", "Enter the consumer key of your External Client App."))
    mistakes += _missing(setups, name, said)
    if mistakes or auth is None:
        raise ConfigurationInvalid(mistakes)
    return auth, login_url


def _known_secret(setups: Setups, name: str, client_id: str) -> str | None:
    return setups.secret_of(name, SECRET, client_id, table="salesforce", found="crm")


def _missing(setups: Setups, name: str, said: Answers) -> list[tuple[str, str]]:
    mistakes = []
    sealed = setups.sealed(name)
    if len(said.client_secret) > _TEXT_MAX:
        mistakes.append(("client_secret", "That is longer than any consumer secret."))
    has_secret = bool(said.client_secret or _known_secret(setups, name, said.client_id))
    if said.auth == "client_credentials" and not has_secret:
        mistakes.append(("client_secret", "Enter the consumer secret of the app."))
    if said.auth == "jwt":
        if not said.username or len(said.username) > _TEXT_MAX or not said.username.isprintable():
            mistakes.append(("username", "Enter the user name of the integration user."))
        if said.private_key and (text := _key_mistake(said.private_key)):
            mistakes.append(("private_key", text))
        elif not said.private_key and not sealed & {KEY, aside(KEY)}:
            mistakes.append(("private_key", "Upload the private key, or let one be made here."))
    return mistakes


def login_origin(text: str, *, simulators: bool) -> str:
    """Read a login address as people paste it. Raises ValueError with a sentence."""
    text = text.strip()
    if not text:
        raise ValueError("Enter the org's My Domain, such as https://example.my.salesforce.com.")
    address = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise ValueError("That is no address; it looks like https://example.my.salesforce.com.") from None
    if parts.username is not None or not host.isascii():
        raise ValueError("That is no address; it looks like https://example.my.salesforce.com.")
    if simulators and is_loopback(host) and parts.scheme in {"http", "https"}:
        return f"{parts.scheme}://{parts.netloc}"
    if host.endswith((".lightning.force.com", ".my.salesforce-setup.com")):
        raise ValueError(
            f"{host} is for browsers; the My Domain ends with .my.salesforce.com (Setup, My Domain shows it)."
        )
    if parts.scheme != "https" or port not in {None, 443} or not is_salesforce_login(host):
        raise ValueError(
            f"{host or text} is no login address of Salesforce; it ends with .my.salesforce.com."
        )
    return f"https://{host}"


def _key_mistake(pem: str) -> str | None:
    if len(pem) > _KEY_MAX:
        return "That is larger than any private key."
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return "That is no private key in PEM without a pass phrase."
    return None if isinstance(key, rsa.RSAPrivateKey) else "That is no RSA key, which Salesforce asks for."


# --- a key made here -----------------------------------------------------------------------------


def make_key(setups: Setups, name: str) -> None:
    """Make a key pair: the key is sealed and never shown, its certificate is there to be downloaded."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = _certificate(key, f"Tillbridge {name}", setups.clock.now())
    # Aside: what runs signs with the key whose certificate the org has.
    setups.seal(name, {aside(KEY): pem.decode()})
    setups.keep(name, "certificate", certificate)


def _certificate(key: rsa.RSAPrivateKey, common_name: str, now: datetime) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day early: Salesforce's clock need not be ours.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _CERTIFICATE_LASTS)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


# --- logging in ----------------------------------------------------------------------------------


def ask(setups: Setups, name: str, said: Answers, session: str, redirect_uri: str) -> str:
    """Keep what was said, and return where the person allows it. Raises ConfigurationInvalid."""
    _, login_url = _checked(setups, name, said)
    secret = said.client_secret or _known_secret(setups, name, said.client_id)
    _put_aside(setups, name, secret)
    setups.keep(name, "crm", _kept(said, login_url))
    return consent.ask(
        setups.home(name),
        setups.vault(name),
        connection=name,
        side=steps.SALESFORCE,
        session=session,
        redirect_uri=redirect_uri,
        now=setups.now(),
        url_of=lambda state, challenge: authorize.consent_url(
            login_url, client_id=said.client_id, redirect_uri=redirect_uri, state=state, challenge=challenge
        ),
    )


def answer(setups: Setups, name: str, *, state: str, code: str, sessions: Collection[str], by: str) -> CrmOrg:
    """Trade the answer to a consent, and keep how to come back. Raises NotAsked, CredentialsRefused, ..."""
    asked = consent.take(
        setups.home(name),
        setups.vault(name),
        side=steps.SALESFORCE,
        state=state,
        sessions=sessions,
        now=setups.now(),
    )
    said = setups.found(name, "crm")
    with Http() as http:
        token = authorize.exchange(
            http,
            said["login_url"],
            client_id=said["client_id"],
            client_secret=setups.unsealed(name, aside(SECRET)),
            redirect_uri=asked.redirect_uri,
            code=code,
            verifier=asked.verifier,
        )
    _check_same(setups, name, token.org)
    setups.seal(name, {TOKEN: token.refresh_token or ""})
    has_secret = aside(SECRET) in setups.sealed(name)
    setups.promote(name, SECRET)
    _connected(setups, name, "refresh_token", said, token.org, by, has_secret=has_secret)
    return token.org


def log_in(setups: Setups, name: str, said: Answers, by: str) -> CrmOrg:
    """Log in without a browser, and keep how once that has worked.

    Raises ConfigurationInvalid, CredentialsRefused, Transient, LimitReached.
    """
    auth, login_url = _checked(setups, name, said)
    kept = _kept(said, login_url)
    secret = said.client_secret or _known_secret(setups, name, said.client_id)
    made = setups.unsealed(name, aside(KEY)) or setups.unsealed(name, KEY)
    key = (said.private_key or made) if auth == "jwt" else None
    setups.keep(name, "crm", kept)
    credentials = Credentials(
        grant=auth,
        login_url=login_url,
        client_id=said.client_id,
        client_secret=secret if auth == "client_credentials" else None,
        username=said.username or None,
        private_key=key,
    )
    with Http() as http:
        org = SalesforceClient(http, credentials, clock=setups.clock).org()
    _check_same(setups, name, org)
    if auth == "jwt":
        setups.seal(name, {KEY: key or ""})
        setups.forget_secrets(name, aside(KEY))
    else:
        setups.seal(name, {SECRET: secret or ""})
    _connected(setups, name, auth, kept, org, by, has_secret=auth == "client_credentials")
    return org


def _put_aside(setups: Setups, name: str, secret: str | None) -> None:
    """Keep the secret of the app that is asked for until it has let us in; an app may need none."""
    if secret:
        setups.seal(name, {aside(SECRET): secret})
    else:
        setups.forget_secrets(name, aside(SECRET))


def _kept(said: Answers, login_url: str) -> dict[str, Any]:
    return {
        "auth": said.auth,
        "login": said.login,
        "domain": said.domain,
        "login_url": login_url,
        "client_id": said.client_id,
        "username": said.username,
    }


def _connected(
    setups: Setups,
    name: str,
    auth: Auth,
    said: dict[str, Any],
    org: CrmOrg,
    by: str,
    *,
    has_secret: bool,
) -> None:
    secret = {"secret": SECRET} if has_secret else None
    setups.set(
        name,
        {
            ("salesforce", "login_url"): said["login_url"],
            ("salesforce", "auth"): auth,
            ("salesforce", "client_id"): said["client_id"],
            ("salesforce", "client_secret"): secret,
            ("salesforce", "username"): said["username"] if auth == "jwt" else None,
            ("salesforce", "private_key"): {"secret": KEY} if auth == "jwt" else None,
            ("salesforce", "private_key_file"): None,
            ("salesforce", "refresh_token"): {"secret": TOKEN} if auth == "refresh_token" else None,
        },
    )
    setups.done(name, steps.SALESFORCE, by, f"org {org.id} at {urlsplit(org.instance_url).hostname}")


def _check_same(setups: Setups, name: str, org: CrmOrg) -> None:
    """Refuse another org than the one whose records this connection remembers."""
    bound = setups.bound(name, "crm_org")
    if bound not in {None, org.id}:
        text = f"This connection belongs to org {bound}; set up another connection for {org.id}."
        raise ConfigurationInvalid([("domain", text)])

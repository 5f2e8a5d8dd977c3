"""What people may set: `tillbridge.toml`, read once and checked whole, every mistake with its path.

Any value may be `{env = "NAME"}`, or `{secret = "NAME"}` for one that
`tillbridge secrets set NAME` has sealed. Plain http is accepted for loopback only.
What a setting means is written beside it; the reference page is made from here.
"""

from __future__ import annotations

import difflib
import importlib.util
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.model.hosts import is_loopback
from tillbridge.secrets import SecretLookup

FILE_NAME = "tillbridge.toml"
MatchRule = Literal["external_id", "email", "phone", "address"]
MATCH_RULES: tuple[MatchRule, ...] = ("external_id", "email", "phone", "address")


def _origin(text: str) -> str:
    """Accept scheme and host, no path; https, or http on this very machine."""
    parts = urlsplit(text.rstrip("/"))
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must be an origin such as https://example.com")
    if parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError("must be an origin without a path, such as https://example.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is accepted for this machine only (127.0.0.1, localhost); use https")
    return text.rstrip("/")


def _text(value: object) -> object:
    """Accept bare numbers where an id is meant."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# Beyond these a number is a slip of the hand: nobody waits longer, or counts further.
_COUNT_MAX = 1_000_000_000
_MONTH_SECONDS, _YEAR_HOURS, _CENTURY_DAYS = 2_678_400, 8_784, 36_525

Count = Annotated[int, Field(ge=1, le=_COUNT_MAX)]
Pause = Annotated[float, Field(ge=1, le=_MONTH_SECONDS)]
Span = Annotated[float, Field(gt=0, le=_MONTH_SECONDS)]
Hours = Annotated[float, Field(gt=0, le=_YEAR_HOURS)]
Days = Annotated[int, Field(ge=1, le=_CENTURY_DAYS)]

Origin = Annotated[str, AfterValidator(_origin)]
Id = Annotated[str, BeforeValidator(_text), Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lightspeed(_Table):
    """The till account."""

    series: Literal["R"] = "R"  # Lightspeed Retail R-Series
    account_id: Id  # the number of the till account; every key begins with it
    client_id: Id  # of the API client that you registered with Lightspeed
    client_secret: SecretStr  # of the same client
    # From the first authorisation. It rotates: the newest one is kept in the state file, and this one is
    # read again when you change it.
    refresh_token: SecretStr
    # Only to reach a simulator.
    api_url: Origin = "https://api.lightspeedapp.com"
    # Only to reach a simulator.
    auth_url: Origin = "https://cloud.lightspeedapp.com"


class Salesforce(_Table):
    """The CRM org. Data calls go to the instance that the token names."""

    # Where tokens come from: https://test.salesforce.com for a sandbox, a My Domain for client_credentials.
    login_url: Origin = "https://login.salesforce.com"
    audience: str | None = None  # of the JWT, where the login host does not tell
    auth: Literal["jwt", "client_credentials", "refresh_token"] = "jwt"  # how we log in
    client_id: Id  # the app's consumer key
    client_secret: SecretStr | None = None  # the app's consumer secret; client_credentials needs it
    username: str | None = None  # the integration user's; jwt needs it
    private_key_file: Path | None = None  # PEM, beside this file or absolute; jwt needs it,
    private_key: SecretStr | None = None  # or the PEM itself, sealed: {secret = "salesforce_private_key"}
    # For auth = "refresh_token"; a rotated one is kept in the state file.
    refresh_token: SecretStr | None = None
    api_version: Annotated[str, Field(pattern=r"^\d{2,3}\.0$")] = "67.0"  # of Salesforce's API

    @model_validator(mode="after")
    def _complete(self) -> Salesforce:
        key = "private_key_file" if self.private_key is None else "private_key"
        needs = {
            "jwt": ("username", key),
            "client_credentials": ("client_secret",),
            "refresh_token": ("refresh_token",),
        }[self.auth]
        if missing := [name for name in needs if getattr(self, name) is None]:
            raise ValueError(f'auth = "{self.auth}" also needs {" and ".join(missing)}')
        return self


class CrmScope(_Table):
    """Who of the CRM may enter the till. Whoever is linked already is kept in step in any case."""

    # The check box by which a person sends somebody to the till; the package brings it. Empty: nobody does.
    mark: str | None = "Send_To_Lightspeed__c"
    # Beside those: everybody of these record types (developer names)
    record_types: tuple[str, ...] = ()
    # whose fields say so: {"Rating" = ["Hot", "Warm"]}. Both given: both must fit.
    where: dict[str, tuple[str, ...]] = {}


class Customers(_Table):
    """How people are found, created and kept."""

    model: Literal["person_account", "contact", "lead"] = "person_account"  # what a new customer becomes
    match: tuple[MatchRule, ...] = MATCH_RULES  # the rules that are on, tried in this order
    # Rules that suggest, but never link by themselves.
    review: tuple[Literal["email", "phone", "address"], ...] = ()
    # Which way values may flow; fill_blanks: once linked, nothing is overwritten.
    mode: Literal["two_way", "till_to_crm", "crm_to_till", "link_only", "fill_blanks"] = "two_way"
    # Who owns a customer that a live sale brings: the seller's user, else the store's default owner, else our
    # own user. Whom a first load creates belongs to our own user: nobody has just sold to them.
    owner: Literal["seller", "store", "integration"] = "seller"
    # Whose value counts when both sides have moved one field, by the field's name in Salesforce. newest: the
    # side that we saw move last; when we saw both at once, as with ask, a person says.
    authority: dict[str, Literal["till", "crm", "newest", "ask"]] = {}
    other_authority: Literal["till", "crm", "newest", "ask"] = "newest"  # of all other fields
    crm_scope: CrmScope = CrmScope()  # who of the CRM may enter the till
    # Where a phone number without a country dials; default: the country of most shops' time zones.
    phone_region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    record_type: str | None = None  # of created customers, its developer name; default: the map's


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"there is no time zone named {text!r}") from error
    return text


class Sales(_Table):
    """Which sales take part, and how their day and money are counted."""

    since: date | None = None  # leave older sales in the till; empty: all history
    stores: tuple[Id, ...] = ()  # shop ids; empty: all
    registers: tuple[Id, ...] = ()  # register ids; empty: all
    channels: tuple[str, ...] = ()  # such as "Store" or "eCom"; empty: all
    day_starts_at: time = time(0, 0)  # 04:00:00: a sale at 02:00 belongs to the day before
    # Fills Reporting_Net_Sales__c; default: the till's own currency.
    reporting_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    # {"2026-01-01" = "0.92"}: from that day on, one unit of the till's currency is worth this much.
    rates: dict[date, Decimal] = {}
    newest_first: bool = False  # load the newest history first
    store_codes: dict[str, str] = {}  # shop id = Store_Code__c; default: the shop's id
    # Shop id = zone, where the till's own is wrong.
    time_zones: dict[str, Annotated[str, AfterValidator(_zone)]] = {}

    @model_validator(mode="after")
    def _rates(self) -> Sales:
        if self.rates and not self.reporting_currency:
            raise ValueError("rates need a reporting_currency")
        if any(rate <= 0 for rate in self.rates.values()):
            raise ValueError("rates must be positive")
        return self


class Products(_Table):
    """How existing products are adopted."""

    # By which number a product of the CRM is the till's, tried in this order.
    adopt: tuple[Literal["system_sku", "custom_sku", "upc", "ean", "maker_sku"], ...] = (
        "system_sku",
        "custom_sku",
        "upc",
        "ean",
        "maker_sku",
    )


class Keep(_Table):
    """What stays on this machine, and for how long."""

    # What the till showed of each sale and customer, packed and sealed, so that `replay` can show it again;
    # about half a kilobyte each. 0: nothing is kept.
    raw_days: Annotated[int, Field(ge=0, le=_CENTURY_DAYS)] = 90


_DAY = "([Mm]on|[Tt]ue|[Ww]ed|[Tt]hu|[Ff]ri|[Ss]at|[Ss]un)"
_TIME = r"([01]?\d|2[0-4]):[0-5]\d"


def _opening_hours(text: str) -> str:
    found = re.fullmatch(rf"{_DAY}(-{_DAY})? ({_TIME})-({_TIME})", text)
    if found is None or found[4] == found[6]:
        raise ValueError('must look like "Mon-Sat 09:00-19:00"')
    return text


OpeningHours = Annotated[str, AfterValidator(_opening_hours)]


class Budget(_Table):
    """How much of the remotes' API limits is ours. What is changed here counts at once, without a restart."""

    # Of Salesforce's calls and bulk batches of 24 hours we use this share at most, in percent;
    salesforce_percent: Annotated[float, Field(gt=0, le=100)] = 40
    # and whatever other apps use, the last so many percent of the org's calls are left alone.
    salesforce_left_percent: Annotated[float, Field(ge=0, lt=100)] = 5
    salesforce_calls_a_day: Count | None = None  # an absolute cap beside that
    salesforce_calls_a_month: Count | None = None  # of any 30 days
    salesforce_bulk_batches_a_day: Count | None = None  # the same for bulk batches
    # Requests to Salesforce under way at the same time; one place is kept for what is urgent.
    salesforce_at_once: Annotated[int, Field(ge=1, le=25)] = 5
    # Lightspeed's own rate limit is obeyed in any case, as its answers tell it. These are caps beside it.
    lightspeed_calls_a_second: Count | None = None
    lightspeed_calls_a_minute: Count | None = None  # of any minute
    lightspeed_calls_an_hour: Count | None = None  # of any hour
    lightspeed_calls_a_day: Count | None = None  # of any 24 hours
    lightspeed_calls_a_month: Count | None = None  # of any 30 days
    # Where several connections draw on one limit, they share it by these weights.
    weight: Annotated[float, Field(gt=0, le=100)] = 1


class Schedule(_Table):
    """How often each stream is to be read. After three times that without success, people are told."""

    sales_seconds: Pause = 60  # set it to how often your own scheduler runs a sync
    customers_seconds: Pause = 120  # the same for customers
    products_seconds: Pause = 3_600  # the same for products and prices
    stock_seconds: Pause = 3_600  # the same for stock
    # Sales and customers while no shop is open, and sales at worst when API calls are short.
    closed_seconds: Pause = 600
    check_seconds: Annotated[float, Field(ge=60, le=_MONTH_SECONDS)] = (
        900  # late lines, late payments and voids
    )
    # The longest-unread records are read again so often a day, a part of `checks.sweep_days` each time.
    sweeps_a_day: Annotated[float, Field(gt=0, le=1_440)] = 10
    # Such as ["Mon-Sat 09:00-19:00", "Sun 11:00-17:00"], in each shop's own time zone; empty: learnt from
    # when the last weeks' sales were rung up.
    opening_hours: tuple[OpeningHours, ...] = ()

    @property
    def streams(self) -> dict[str, float]:
        """Return the seconds between two polls of each stream."""
        return {
            "sales": self.sales_seconds,
            "customers": self.customers_seconds,
            "products": self.products_seconds,
            "stock": self.stock_seconds,
        }


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("must be a bare e-mail address such as shop@example.com")
    return text


def _webhook(secret: SecretStr) -> SecretStr:
    """Accept an address that a message may be posted to. It is a secret: no mistake repeats it."""
    text = secret.get_secret_value()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("is no valid address") from None
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds characters that an address may not hold")
    if parts.scheme not in {"https", "http"} or not host or parts.username:
        raise ValueError("must be an address such as https://hooks.slack.com/services/…")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("plain http is accepted for this machine only (127.0.0.1, localhost); use https")
    return secret


def _apprise(secret: SecretStr) -> SecretStr:
    if "://" not in secret.get_secret_value():
        raise ValueError("must be an address as Apprise writes them, such as ntfy://topic")
    return secret


# Bare and plain: it goes into a mail's envelope as it is.
_ADDRESS = re.compile(r"[!#-'*+\-./0-9=?A-Z^-~]+@[A-Za-z0-9.\[\]:-]+")

MailAddress = Annotated[str, AfterValidator(_address)]
SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Alerts(_Table):
    """Who hears of problems: e-mail, Slack, or anything that Apprise reaches. Without any, nobody does."""

    email_to: tuple[MailAddress, ...] = ()  # each address gets a mail of its own
    email_from: MailAddress | None = None  # the sender that your mail server lets us use
    smtp_host: str | None = None  # your mail server
    # Default: 587 for starttls, 465 for tls, 25 for none.
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    smtp_user: str | None = None  # empty: the server asks for no login
    smtp_password: SecretStr | None = None  # of that user; often an "app password"
    # How the connection is kept secret; none: for a mail server on this very machine only.
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    slack_webhook_url: SecretStr | None = None  # an incoming webhook; whoever knows it may post
    # Further addresses, as Apprise writes them; needs `pip install tillbridge[apprise]`.
    apprise_urls: tuple[Annotated[SecretStr, AfterValidator(_apprise)], ...] = ()
    # Causes that are still open are told again in one digest, at most so often.
    digest_hours: Hours = 6
    console_url: Origin | None = None  # where links in alerts lead; default: the record in Salesforce

    @field_validator("slack_webhook_url")
    @classmethod
    def _checked_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else _webhook(value)

    @model_validator(mode="after")
    def _complete(self) -> Alerts:
        if self.email_to and (missing := [n for n in ("email_from", "smtp_host") if not getattr(self, n)]):
            raise ValueError(f"email_to also needs {' and '.join(missing)}")
        if bool(self.smtp_user) != (self.smtp_password is not None):
            raise ValueError("smtp_user and smtp_password go together")
        if self.smtp_security == "none" and self.smtp_host and not is_loopback(self.smtp_host):
            raise ValueError(
                'smtp_security = "none" is accepted for this machine only (127.0.0.1, localhost); '
                'use "starttls" or "tls"'
            )
        return self

    @property
    def port(self) -> int:
        """Return the mail server's port."""
        return self.smtp_port or SMTP_PORTS[self.smtp_security]


class Service(_Table):
    """The service that runs unattended: `tillbridge serve`."""

    # Empty: everything stays in files beside this one, on one machine. postgresql://user:password@host/database:
    # any number of machines may work (`tillbridge worker`).
    database_url: SecretStr | None = None
    # A worker that was silent for so long is dead, and others take over what it was at.
    dead_after_seconds: Pause = 30
    # Where the console, /healthz, /readyz and /metrics answer; for other machines: "0.0.0.0".
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8642
    # Lets the console's set-up lead to simulators on this machine, for a rehearsal. Otherwise it talks to
    # Lightspeed's and Salesforce's own hosts only.
    simulators: bool = False
    # The console's own address as people type it, e.g. https://tillbridge.example.com behind a proxy that
    # speaks TLS. Needed where it is reached by a name other than localhost.
    url: str = ""


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError('must be an address or a network such as "10.0.0.0/8"') from None
    return text


def _domain(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", text.lower()):
        raise ValueError("must be a domain such as example.com")
    return text.lower()


def issuer(text: str) -> str:
    """Accept what an identity provider calls itself: https, or http on this very machine; a path is fine."""
    parts = urlsplit(text)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username:
        raise ValueError("must be an address such as https://login.example.com")
    if parts.query or parts.fragment:
        raise ValueError("must be an address without a query, such as https://login.example.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is accepted for this machine only (127.0.0.1, localhost); use https")
    return text


class Oidc(_Table):
    """Sign-in to the console by an identity provider (OpenID Connect). Passwords work beside it."""

    issuer: Annotated[str, AfterValidator(issuer)]  # what the provider calls itself, to the letter
    client_id: (
        Id  # of the client that you registered there; its redirect address: <service.url>/login/oidc/back
    )
    client_secret: SecretStr | None = None  # of the same client; a public client has none
    name: str = "your company account"  # what the button says: Sign in with ...
    scopes: tuple[str, ...] = ("openid", "profile", "email")  # what we ask for
    claim: str = "groups"  # the claim that names somebody's groups or roles
    # Which of them make what: {"till-admins" = "admin", "shop-floor" = "viewer"}. The widest one counts.
    roles: dict[str, Literal["viewer", "operator", "admin"]] = {}
    # Who is in none of them: a role, or empty to refuse them.
    default_role: Literal["viewer", "operator", "admin"] | None = None
    # Which stores a viewer sees by group, as codes or connection/code: {"harbour" = ["2"], "head" = ["*"]};
    # "*" is all. A viewer in none of them is refused. Empty: what is set under Users, and all at first.
    stores: dict[str, Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]] = {}
    email_domains: tuple[Annotated[str, AfterValidator(_domain)], ...] = ()  # empty: any

    @model_validator(mode="after")
    def _lets_somebody_in(self) -> Oidc:
        if not self.roles and self.default_role is None:
            raise ValueError("roles or default_role must say who may come in")
        if "openid" not in self.scopes:
            raise ValueError('scopes must hold "openid"')
        return self


class Console(_Table):
    """Who may look in. What is changed here counts at once, without a restart."""

    oidc: Oidc | None = None  # sign-in by an identity provider; empty: by passwords alone
    # Who may read /metrics without a token: addresses and networks. To anybody else a token with the scope
    # metrics opens it.
    metrics_from: tuple[Annotated[str, AfterValidator(_network)], ...] = ("127.0.0.0/8", "::1/128")
    # Whether administrators may set addresses of this machine and its own network in the console, such as a
    # mail server at 10.0.0.5. They are always accepted in this file.
    own_network: bool = False


class Freshness(_Table):
    """How soon news of the till are to be in Salesforce. People are told when too many come later."""

    # So many of a hundred are to come within the seconds below.
    percent: Annotated[float, Field(gt=0, lt=100)] = 95
    # A receipt: from its completion in the till until Salesforce has confirmed it.
    receipts_seconds: Span = 120
    # A customer: from a change in the till. While shops are closed, nobody looks for longer.
    customers_seconds: Span = 900


class Retry(_Table):
    """What becomes of records that Salesforce refuses."""

    every_hours: Hours = 3  # a refused record is tried again so often, give or take
    # After so many attempts it is left alone until a person says otherwise, or the record changes.
    give_up_after: Annotated[int, Field(ge=1, le=10_000)] = 24


class Checks(_Table):
    """How often what the feed may have missed is looked at again."""

    reread_days: Days = 7  # `check` re-reads the sales completed in so many days
    nightly_days: Days = 35  # `check --nightly` re-reads so many
    sweep_days: Days = 7  # every record is read again within so many days
    # `sweep` stops when no more than this share of Salesforce's calls of 24 hours is left, in percent.
    reserve_percent: Annotated[int, Field(ge=0, le=100)] = 20


class Safety(_Table):
    """Which changes of customers wait until a person has looked at them. Receipts never wait for it."""

    # The very first change of a customer in the till, and of somebody who was in Salesforce before us.
    first_till_write: Literal["ask", "allow"] = "ask"
    first_crm_update: Literal["ask", "allow"] = "ask"
    # More than this share of the linked customers changing at once,
    changed_share_max: Annotated[float, Field(gt=0, le=1)] = 0.05
    changed_from: Count = 10  # but never so few
    # A side that shows less than this share of the linked customers it showed has been emptied.
    left_share_min: Annotated[float, Field(ge=0, lt=1)] = 0.5


class Privacy(_Table):
    """What `erase customer` does with a person on each side. Our own state is cleared in any case."""

    # archive: notes and custom fields are emptied, the name stays; keep: nothing is touched there.
    till: Literal["anonymise", "archive", "keep"] = "anonymise"
    # delete: into the recycle bin; their receipts then lead to nobody. keep: nothing is touched there.
    crm: Literal["anonymise", "delete", "keep"] = "anonymise"


class Config(_Table):
    """The whole file."""

    lightspeed: Lightspeed
    salesforce: Salesforce
    customers: Customers = Customers()
    sales: Sales = Sales()
    products: Products = Products()
    checks: Checks = Checks()
    safety: Safety = Safety()
    retry: Retry = Retry()
    schedule: Schedule = Schedule()
    budget: Budget = Budget()
    freshness: Freshness = Freshness()
    keep: Keep = Keep()
    privacy: Privacy = Privacy()
    service: Service = Service()
    console: Console = Console()
    alerts: Alerts = Alerts()
    # Lines laid over the shipped field map, as [map.sale] and so on.
    map: dict[str, dict[str, str | bool]] = {}
    functions_file: Path | None = None  # a Python file whose public functions the map may name

    home: Path = Field(default=Path(), exclude=True)


def load(home: Path, env: Mapping[str, str] = os.environ) -> Config:
    """Read and check a home directory's configuration. Raises ConfigurationInvalid with every mistake."""
    path = home / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationInvalid(
            [(str(path), "there is no such file; `tillbridge init` writes one")]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid([(str(path), f"cannot be read: {error}")]) from error
    return parse(text, home, env)


def located(home: Path, error: ConfigurationInvalid) -> ConfigurationInvalid:
    """Return a home's mistakes as one sentence that begins with its file: where there are several homes.

    What stands in no configuration, such as a key in the environment, stays as it is.
    """
    path = str(home / FILE_NAME)
    if not all(where == path or _SETTING.fullmatch(where) for where, _ in error.mistakes):
        return error
    told = [text if where == path else f"{where} {text}" for where, text in error.mistakes]
    return ConfigurationInvalid([(path, "; ".join(told))])


# How a mistake names the setting that it is about.
_SETTING = re.compile(r"[a-z][a-z_]*([.\[].*)?")


def parse(text: str, home: Path, env: Mapping[str, str] = os.environ) -> Config:
    """Check a text that is, or is to be, a home's configuration. Raises ConfigurationInvalid."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid([(str(home / FILE_NAME), f"is not valid TOML: {error}")]) from error
    mistakes: list[tuple[str, str]] = []
    filled = _fill(raw, _Sources(env, SecretLookup(home, env)), "", mistakes)
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    try:
        config = Config.model_validate({**filled, "home": home})
    except ValidationError as error:
        raise ConfigurationInvalid([_mistake(dict(e)) for e in error.errors(include_url=False)]) from None
    return config.model_copy(
        update={
            "salesforce": config.salesforce.model_copy(
                update={"private_key_file": _beside(home, config.salesforce.private_key_file)}
            ),
            "functions_file": _beside(home, config.functions_file),
        }
    )


def files_of(home: Path) -> dict[str, Path]:
    """Return the files that a configuration names, by setting, whether or not it is complete."""
    try:
        raw = tomllib.loads((home / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    crm = raw.get("salesforce")
    named = {
        "salesforce.private_key_file": crm.get("private_key_file") if isinstance(crm, dict) else None,
        "functions_file": raw.get("functions_file"),
    }
    return {name: home / path for name, path in named.items() if isinstance(path, str)}


def load_service(folder: Path, env: Mapping[str, str] = os.environ) -> Service:
    """Read [service] alone: an installation of several connections may set little else in its folder."""
    return _load_table(folder, "service", Service, env)


def load_console(folder: Path, env: Mapping[str, str] = os.environ) -> Console:
    """Read [console] alone. Raises ConfigurationInvalid."""
    return _load_table(folder, "console", Console, env)


T = TypeVar("T", bound=_Table)


def parse_shared(text: str, folder: Path, env: Mapping[str, str] = os.environ) -> None:
    """Check what an installation without a connection of its own may say. Raises ConfigurationInvalid."""
    _read_table(text, folder, "service", Service, env)
    _read_table(text, folder, "console", Console, env)


def _load_table(folder: Path, name: str, table: type[T], env: Mapping[str, str]) -> T:
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return table()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid([(str(path), f"cannot be read: {error}")]) from error
    return _read_table(text, folder, name, table, env)


def _read_table(text: str, folder: Path, name: str, table: type[T], env: Mapping[str, str]) -> T:
    try:
        raw = tomllib.loads(text).get(name, {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid([(str(folder / FILE_NAME), f"is not valid TOML: {error}")]) from error
    mistakes: list[tuple[str, str]] = []
    filled = _fill(raw, _Sources(env, SecretLookup(folder, env)), name, mistakes)
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    try:
        return table.model_validate(filled)
    except ValidationError as error:
        found = [_mistake({**e, "loc": (name, *e["loc"])}) for e in error.errors(include_url=False)]
        raise ConfigurationInvalid(found) from None


def _beside(home: Path, path: Path | None) -> Path | None:
    return path if path is None or path.is_absolute() else home / path


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where values come from that are not written down."""

    env: Mapping[str, str]
    secret: SecretLookup


def _fill(value: Any, sources: _Sources, path: str, mistakes: list[tuple[str, str]]) -> Any:
    """Replace {env = "NAME"} by the variable's value and {secret = "NAME"} by what is sealed, everywhere."""
    if isinstance(value, dict):
        if set(value) == {"env"} and isinstance(value["env"], str):
            if (found := sources.env.get(value["env"])) is None:
                mistakes.append((path, f"the environment variable {value['env']} is not set"))
            return found
        if set(value) == {"secret"} and isinstance(value["secret"], str):
            return _unsealed(value["secret"], sources, path, mistakes)
        return {
            key: _fill(item, sources, f"{path}.{key}".lstrip("."), mistakes) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_fill(item, sources, f"{path}[{n}]", mistakes) for n, item in enumerate(value)]
    if isinstance(value, datetime):
        return value.date()
    return value


def _unsealed(name: str, sources: _Sources, path: str, mistakes: list[tuple[str, str]]) -> str | None:
    try:
        found = sources.secret(name)
    except ConfigurationInvalid as error:
        mistakes += [each for each in error.mistakes if each not in mistakes]
        return None
    if found is None:
        mistakes.append((path, f"nothing is sealed as {name}: `tillbridge secrets set {name}` asks for it"))
    return found


def _mistake(error: dict[str, Any]) -> tuple[str, str]:
    location = [str(part) for part in error["loc"]]
    text = str(error["msg"]).removeprefix("Value error, ")
    match error["type"]:
        case "missing":
            text = "is missing"
        case "extra_forbidden":
            known = _known(location[:-1])
            near = difflib.get_close_matches(location[-1], known, 1)
            text = f"is not a setting{f'; did you mean {near[0]}?' if near else ''}"
        case "literal_error":
            text = f"must be {error['ctx']['expected']}, not {error['input']!r}"
        case _:
            text = text[:1].lower() + text[1:]
    return ".".join(location), text


def _known(location: list[str]) -> list[str]:
    table: Any = Config
    for name in location:
        field = getattr(table, "model_fields", {}).get(name)
        if field is None:
            return []
        table = field.annotation
    return list(getattr(table, "model_fields", {}))


def functions(config: Config) -> dict[str, Callable[..., Any]]:
    """Load the mapping functions that the configuration names. Raises ConfigurationInvalid."""
    if config.functions_file is None:
        return {}
    path = config.functions_file
    spec = importlib.util.spec_from_file_location("tillbridge_own_functions", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigurationInvalid([("functions_file", f"{path} is not a Python file")])
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigurationInvalid([("functions_file", f"{path} does not load: {error}")]) from error
    return {name: f for name, f in vars(module).items() if callable(f) and not name.startswith("_")}


TEMPLATE = """\
# Tillbridge: which till joins which CRM. Values may be {{ env = "NAME" }} or {{ secret = "NAME" }}.

[lightspeed]
series = "R"
account_id = "{account_id}"
client_id = "{ls_client_id}"
client_secret = {{ env = "LIGHTSPEED_CLIENT_SECRET" }}
refresh_token = {{ env = "LIGHTSPEED_REFRESH_TOKEN" }}

[salesforce]
login_url = "https://login.salesforce.com"   # your My Domain for client_credentials
auth = "jwt"                                 # or "client_credentials", "refresh_token"
client_id = "{sf_client_id}"
username = "integration@example.com"
private_key_file = "salesforce.key"

[customers]
model = "person_account"                     # or "contact", "lead"
# match = ["external_id", "email", "phone", "address"]   # tried in this order
# mode = "two_way"                           # fill_blanks: once linked, nothing is overwritten
# owner = "seller"                           # owner of a created customer

[sales]
# since = 2024-01-01                         # leave older sales in the till
# stores = ["1"]                             # a staged roll-out: only these shops, registers, channels
# day_starts_at = 04:00:00                   # a sale at 02:00 belongs to the day before
# reporting_currency = "EUR"
# rates = {{ "2026-01-01" = "0.92" }}

# [alerts]                                   # who hears of problems; `tillbridge alerts test` tries it out
# email_to = ["shop@example.com"]
# email_from = "tillbridge@example.com"
# smtp_host = "smtp.example.com"
# smtp_user = "tillbridge@example.com"
# smtp_password = {{ env = "SMTP_PASSWORD" }}
# slack_webhook_url = {{ env = "SLACK_WEBHOOK_URL" }}

# [map.sale]                                 # one line a field: CRM field = "source | function"
# My_Field__c = "reference | upper"
"""

"""What administrators may set without touching a file: each setting, how it shows, and how it changes.

The configuration stays the one place where settings are kept and checked
(`config`); `rewriting` puts them there. A secret goes the other way only: it is
sealed, the file names it, and nothing here gives it back.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, SecretStr

from tillbridge import alerts, rewriting
from tillbridge import config as configuration
from tillbridge.config import FILE_NAME, Config
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.secrets import SealedSecrets, open_vault

Kind = Literal["number", "text", "lines", "choice", "secret", "secrets", "rules", "table"]
Source = Literal["default", "file", "env", "sealed"]

# Why a host may not be named, or None (see web.security.addresses).
Refusal = Callable[[str], str | None]

# As people type it; how large it may be, its bounds say.
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,12})?")
_PLACE = re.compile(r"[0-9]{1,4}")
_VALUES_MAX = 200
_LENGTH_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `private`: the audit log does not repeat it. `reaches`: a host that we then call."""

    path: str
    title: str
    kind: Kind = "number"
    unit: str = ""
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    private: bool = False
    reaches: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the path as the file has it."""
        return tuple(self.path.split("."))

    @property
    def is_secret(self) -> bool:
        """Say whether it is never shown."""
        return self.kind in {"secret", "secrets"}

    @property
    def bounds(self) -> Bounds:
        """Return what a number may be."""
        return bounds(self.path)

    @property
    def longest(self) -> int:
        """Return how long a line may be."""
        return _LENGTH_MAX


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together on a page."""

    title: str
    words: str
    settings: tuple[Setting, ...]


def _seconds(path: str, title: str, hint: str = "") -> Setting:
    return Setting(path, title, unit="seconds", hint=hint)


def _choice(path: str, title: str, choices: Mapping[str, str], hint: str = "") -> Setting:
    return Setting(path, title, "choice", hint=hint, choices=tuple(choices.items()))


WINNERS = {
    "till": "Lightspeed",
    "crm": "Salesforce",
    "newest": "the side that moved last",
    "ask": "a person decides",
}
_WAITS = {"ask": "wait until somebody has looked", "allow": "go through"}

SECTIONS: Mapping[str, tuple[Group, ...]] = {
    "schedule": (
        Group(
            "How often each stream is read",
            "While a shop is open. Fewer calls when API calls are short; then this is stretched by itself.",
            (
                _seconds("schedule.sales_seconds", "Sales"),
                _seconds("schedule.customers_seconds", "Customers"),
                _seconds("schedule.products_seconds", "Products and prices"),
                _seconds("schedule.stock_seconds", "Stock"),
                _seconds("schedule.check_seconds", "Late lines, payments and voids"),
                _seconds("schedule.closed_seconds", "Sales and customers while no shop is open"),
                Setting(
                    "schedule.sweeps_a_day",
                    "Sweeps",
                    unit="a day",
                    hint="What was not read for longest is read again so often a day.",
                ),
            ),
        ),
        Group(
            "Opening hours",
            "In each shop's own time zone. Without any, they are learnt from when sales were rung up.",
            (
                Setting(
                    "schedule.opening_hours", "One line each", "lines", hint="Such as Mon-Sat 09:00-19:00"
                ),
            ),
        ),
    ),
    "alerts": (
        Group(
            "E-mail",
            "Each address gets a mail of its own.",
            (
                Setting("alerts.email_to", "To, one address a line", "lines", private=True),
                Setting("alerts.email_from", "From", "text", private=True),
                Setting("alerts.smtp_host", "Mail server", "text", reaches=True),
                Setting("alerts.smtp_port", "Port", hint="Empty: 587 for STARTTLS, 465 for TLS"),
                _choice(
                    "alerts.smtp_security",
                    "Kept secret by",
                    {"starttls": "STARTTLS", "tls": "TLS", "none": "nothing (this machine only)"},
                ),
                Setting("alerts.smtp_user", "User", "text", hint="Empty: no login", private=True),
                Setting("alerts.smtp_password", "Password", "secret"),
            ),
        ),
        Group(
            "Slack and others",
            "Whoever knows such an address may post to it: they are sealed and never shown again.",
            (
                Setting("alerts.slack_webhook_url", "Slack webhook", "secret", reaches=True),
                Setting(
                    "alerts.apprise_urls",
                    "Apprise addresses",
                    "secrets",
                    hint="Such as ntfy://topic, teams://… or telegram://…",
                    reaches=True,
                ),
            ),
        ),
        Group(
            "When people are told",
            "A cause that is still open is told again in one digest.",
            (
                Setting("alerts.digest_hours", "Digest at most every", unit="hours"),
                Setting(
                    "alerts.console_url",
                    "Links lead to",
                    "text",
                    hint="The console's address; empty: the record in Salesforce",
                ),
                _seconds("freshness.receipts_seconds", "A receipt is late after"),
                _seconds("freshness.customers_seconds", "A customer is late after"),
                Setting("freshness.percent", "In time are to be", unit="of a hundred"),
            ),
        ),
    ),
    "matching": (
        Group(
            "Match rules",
            "Tried in this order.",
            (
                Setting("customers.match", "Rules that are on", "rules"),
                Setting("customers.review", "Rules that only suggest", "rules"),
            ),
        ),
    ),
    "authorities": (
        Group(
            "Which way values flow",
            "Once somebody is linked.",
            (
                _choice(
                    "customers.mode",
                    "Direction",
                    {
                        "two_way": "both ways",
                        "till_to_crm": "from Lightspeed to Salesforce only",
                        "crm_to_till": "from Salesforce to Lightspeed only",
                        "link_only": "nowhere: people are linked and nothing is written",
                        "fill_blanks": "only into empty fields",
                    },
                ),
            ),
        ),
        Group(
            "Who wins",
            "When both sides have moved one field since they last agreed.",
            (
                _choice("customers.other_authority", "All other fields", WINNERS),
                Setting("customers.authority", "By field", "table", choices=tuple(WINNERS.items())),
            ),
        ),
    ),
    "safety": (
        Group(
            "What waits for a person",
            "Changes of customers only: receipts never wait for it.",
            (
                _choice(
                    "safety.first_till_write", "The first change of a customer in Lightspeed is to", _WAITS
                ),
                _choice(
                    "safety.first_crm_update", "The first change of somebody in Salesforce is to", _WAITS
                ),
                Setting(
                    "safety.changed_share_max",
                    "Held when more than this share changes at once",
                    hint="0.05: five of a hundred",
                ),
                Setting("safety.changed_from", "But never so few", unit="customers"),
                Setting(
                    "safety.left_share_min",
                    "A side that shows less than this share was emptied",
                    hint="0.5: half of the linked customers",
                ),
            ),
        ),
        Group(
            "Refused records",
            "What Salesforce does not take is tried again.",
            (
                Setting("retry.every_hours", "Every", unit="hours"),
                Setting("retry.give_up_after", "Left alone after", unit="attempts"),
            ),
        ),
    ),
    "budget": (
        Group(
            "Salesforce",
            "How much of the org's limits is ours. Empty: no cap of our own.",
            (
                Setting("budget.salesforce_percent", "Of the calls of 24 hours at most", unit="percent"),
                Setting("budget.salesforce_left_percent", "Left alone for others", unit="percent"),
                Setting("budget.salesforce_calls_a_day", "Calls a day"),
                Setting("budget.salesforce_calls_a_month", "Calls a month"),
                Setting("budget.salesforce_bulk_batches_a_day", "Bulk batches a day"),
                Setting("budget.salesforce_at_once", "Requests at the same time"),
            ),
        ),
        Group(
            "Lightspeed",
            "Its own rate limit is obeyed in any case. Empty: no cap of our own.",
            (
                Setting("budget.lightspeed_calls_a_second", "Calls a second"),
                Setting("budget.lightspeed_calls_a_minute", "Calls a minute"),
                Setting("budget.lightspeed_calls_an_hour", "Calls an hour"),
                Setting("budget.lightspeed_calls_a_day", "Calls a day"),
                Setting("budget.lightspeed_calls_a_month", "Calls a month"),
            ),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number may be, as the configuration says. `above`: the least itself is too little."""

    least: float
    most: float
    above: bool = False
    below: bool = False
    is_whole: bool = False

    def refuses(self, value: float) -> bool:
        """Say whether a number is beyond them. No number is too large to be compared."""
        too_little = value <= self.least if self.above else value < self.least
        too_much = value >= self.most if self.below else value > self.most
        return too_little or too_much or (self.is_whole and value != int(value))  # Infinite ones are beyond.

    def __str__(self) -> str:
        """Say what a number must be."""
        least, most = f"{plain(self.least):,}", f"{plain(self.most):,}"
        if self.above or self.below:
            words = f"{'more than' if self.above else 'at least'} {least}"
            words += f" and {'less than' if self.below else 'at most'} {most}"
        else:
            words = f"between {least} and {most}"
        return f"must be {'a whole number ' if self.is_whole else ''}{words}"


@cache
def bounds(path: str) -> Bounds:
    """Return the bounds of a number among the settings."""
    table, name = path.split(".")
    model: Any = Config.model_fields[table].annotation
    said = model.model_json_schema()["properties"][name]
    said = next((each for each in said.get("anyOf", ()) if each["type"] != "null"), said)
    return Bounds(
        least=said.get("minimum", said.get("exclusiveMinimum")),
        most=said.get("maximum", said.get("exclusiveMaximum")),
        above="exclusiveMinimum" in said,
        below="exclusiveMaximum" in said,
        is_whole=said["type"] == "integer",
    )


def settings_of(section: str) -> dict[str, Setting]:
    """Return a section's settings by their paths."""
    return {each.path: each for group in SECTIONS[section] for each in group.settings}


# --- as it is ------------------------------------------------------------------------------------


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as it is. `value`: None for what is not set, and for every secret."""

    path: str
    title: str
    kind: str
    value: Any
    default: Any
    is_set: bool
    source: str
    named: str | None = None  # the variable, or what it is sealed as
    count: int = 0  # how many secrets there are


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A section as it is. `seen`: what a change of it has to name, so that nobody undoes another's."""

    name: str
    seen: str
    settings: list[Shown]

    def by_path(self) -> dict[str, Shown]:
        """Return the settings by their paths."""
        return {each.path: each for each in self.settings}


def section(home: Path, env: Mapping[str, str], name: str) -> Section:
    """Return a section of a connection's settings. Raises ConfigurationInvalid."""
    document, seen = rewriting.read(home)
    config = configuration.load(home, env)
    shown = [_shown(each, document, config) for each in settings_of(name).values()]
    return Section(name=name, seen=seen, settings=shown)


def _shown(setting: Setting, document: Mapping[str, Any], config: Config) -> Shown:
    raw = rewriting.found(document, setting.parts)
    value, default = _value(config, setting.parts), _default(setting.parts)
    source, named = source_of(raw)
    hidden = setting.is_secret
    return Shown(
        path=setting.path,
        title=setting.title,
        kind=setting.kind,
        value=None if hidden else plain(value),
        default=None if hidden else plain(default),
        is_set=bool(value) if hidden else raw is not None,
        source=source,
        named=named,
        count=len(value) if setting.kind == "secrets" else int(hidden and bool(value)),
    )


def source_of(raw: Any) -> tuple[Source, str | None]:
    """Say where a value comes from, by what stands in the file."""
    if raw is None:
        return "default", None
    if isinstance(raw, Mapping) and set(raw) == {"env"}:
        return "env", str(raw["env"])
    if isinstance(raw, Mapping) and set(raw) == {"secret"}:
        return "sealed", str(raw["secret"])
    return "file", None


def _value(config: BaseModel, path: Sequence[str]) -> Any:
    at: Any = config
    for name in path:
        at = getattr(at, name)
    return at


def _default(path: Sequence[str]) -> Any:
    table = Config.model_fields[path[0]].get_default(call_default_factory=True)
    return _value(table, path[1:])


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, SecretStr):
        raise TypeError("a secret is never shown")
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    if isinstance(value, float) and value == math.floor(value):
        return int(value)
    return value


# --- changed -------------------------------------------------------------------------------------


# The password goes to nobody but the server that it was entered for.
_MAIL_SERVER, _PASSWORD = "alerts.smtp_host", "alerts.smtp_password"


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What was changed: each setting before and after, as far as that may be told."""

    changed: dict[str, list[Any]]


def change(
    home: Path,
    env: Mapping[str, str],
    name: str,
    wished: Mapping[str, Any],
    *,
    seen: str = "",
    refusal: Refusal = lambda _host: None,
) -> Changed:
    """Change settings of a section; None is the default, and what is not named stays.

    Raises ConfigurationInvalid with every mistake, and Halted; nothing is changed then.
    """
    known = settings_of(name)
    mistakes = [(path, "is no setting of this section") for path in wished if path not in known]
    for path, value in wished.items():
        if path in known and (why := _mistake(known[path], value, refusal)):
            mistakes.append((path, why))
    document, _ = rewriting.read(home)
    if (host := wished.get(_MAIL_SERVER)) is not None and _PASSWORD not in wished:
        kept, before = (rewriting.found(document, path.split(".")) for path in (_PASSWORD, _MAIL_SERVER))
        if kept is not None and host != before:
            mistakes.append((_PASSWORD, "belongs to the mail server that it was entered for: enter it again"))
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    with sealing(home, env) as seal:
        changes = {
            known[path].parts: _as_written(known[path], value, document, seal)
            for path, value in wished.items()
            if not _is_so(known[path], value, document)
        }
        written = rewriting.write(home, changes, env, seen=seen)
        if seal.done:
            # A service opens a connection anew when its configuration is newer.
            os.utime(home / FILE_NAME)
    told = {path: _told(known[path], *moved) for path, moved in written.changed.items()}
    return Changed(changed=told | {path: ["hidden", "changed"] for path in seal.paths})


def _is_so(setting: Setting, value: Any, document: Mapping[str, Any]) -> bool:
    """Say whether a default is wished where the file says nothing: a page sends all that it shows."""
    if setting.is_secret or rewriting.found(document, setting.parts) is not None:
        return False
    return bool(plain(_default(setting.parts)) == value)


def try_alerts(home: Path, env: Mapping[str, str], now: datetime) -> list[alerts.Tried]:
    """Send one test message to everybody who is told; say of each whether it was taken. None: nobody is."""
    return alerts.try_out(configuration.load(home, env).alerts, now)


def _told(setting: Setting, before: Any, after: Any) -> list[Any]:
    if setting.private or setting.is_secret:
        return [None if each is None else "hidden" for each in (before, after)]
    return [plain(before), plain(after)]


def _mistake(setting: Setting, value: Any, refusal: Refusal) -> str | None:
    if value is None:
        return None
    if (why := _misfit(setting, value)) is not None:
        return why
    if setting.reaches:
        hosts = value if isinstance(value, list) else [value]
        return next((why for each in hosts if isinstance(each, str) and (why := refusal(each))), None)
    return None


def _misfit(setting: Setting, value: Any) -> str | None:
    """Return why a value is not of the setting's kind. What it may say, the configuration checks."""
    match setting.kind:
        case "number":
            # No number but NaN differs from itself.
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:  # noqa: PLR0124
                return "must be a number"
            allowed = bounds(setting.path)
            return str(allowed) if allowed.refuses(value) else None
        case "text" | "choice" | "secret":
            return None if _is_line(value) else "must be one line of text"
        case "lines" | "rules":
            fits = isinstance(value, list) and len(value) <= _VALUES_MAX and all(map(_is_line, value))
            return None if fits else "must be a list of texts"
        case "secrets":
            return None if isinstance(value, list) and all(map(_is_kept_or_new, value)) else "must be a list"
        case "table":
            fits = isinstance(value, dict) and len(value) <= _VALUES_MAX
            fits = fits and all(_is_line(each) for pair in value.items() for each in pair)
            return None if fits else "must name a value for each field"


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LENGTH_MAX and value.isprintable()


def _is_kept_or_new(value: Any) -> bool:
    return _is_line(value) if isinstance(value, str) else isinstance(value, int) and 0 <= value < _VALUES_MAX


def _as_written(setting: Setting, value: Any, document: Mapping[str, Any], seal: Seal) -> Any:
    """Return what the file is to say; secrets are sealed on the way."""
    raw = rewriting.found(document, setting.parts)
    match setting.kind:
        case "secret" if value is not None:
            return seal.keep(setting.path, setting.path, value)
        case "secrets" if value is not None:
            kept = raw if isinstance(raw, list) else []
            return _secrets(setting, kept, value, seal) or None
        case "table" | "lines" if not value:
            return {} if setting.kind == "table" and raw is not None else None
    return value


def _secrets(setting: Setting, kept: Sequence[Any], wished: Sequence[Any], seal: Seal) -> list[Any]:
    named = {each["secret"] for each in kept if isinstance(each, Mapping) and "secret" in each}
    written: list[Any] = []
    for each in wished:
        if isinstance(each, int):
            if each < len(kept):
                written.append(kept[each])
            continue
        number = next(n for n in range(1, 10_000) if f"{setting.path}.{n}" not in named)
        named.add(name := f"{setting.path}.{number}")
        written.append(seal.keep(setting.path, name, each))
    return written


class Seal:
    """Seals secrets, and takes that back when the settings are refused."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self._home, self._env = home, env
        self._sealed: SealedSecrets | None = None
        self._before: dict[str, str | None] = {}
        self.paths: set[str] = set()

    @property
    def done(self) -> bool:
        """Say whether anything was sealed."""
        return bool(self._before)

    def keep(self, path: str, name: str, value: str) -> dict[str, str]:
        """Seal a secret and return how the file names it."""
        if self._sealed is None:
            self._sealed = SealedSecrets(self._home, open_vault(self._home, self._env))
        self._before.setdefault(name, self._sealed.get(name))
        self._sealed.set(name, value)
        self.paths.add(path)
        return {"secret": name}

    def take_back(self) -> None:
        """Let everything be sealed as it was."""
        for name, value in self._before.items():
            assert self._sealed is not None
            if value is None:
                self._sealed.remove(name)
            else:
                self._sealed.set(name, value)


@contextmanager
def sealing(home: Path, env: Mapping[str, str]) -> Iterator[Seal]:
    """Let secrets be sealed; they are as they were when what names them is refused."""
    seal = Seal(home, env)
    try:
        yield seal
    except BaseException:
        seal.take_back()
        raise


# --- from a form ---------------------------------------------------------------------------------


def from_form(name: str, form: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Read a page's form of a section: what it does not name stays, what it leaves empty is the default.

    A secret that is left empty stays, unless a tick takes it away.
    """
    wished: dict[str, Any] = {}
    for path, setting in settings_of(name).items():
        given = [each.strip() for each in form.get(path, ())]
        match setting.kind:
            case "secret":
                if f"{path}.drop" in form:
                    wished[path] = None
                elif given and given[0]:
                    wished[path] = given[0]
            case "secrets":
                if f"{path}.shown" in form:
                    kept = [int(each) for each in form.get(f"{path}.keep", ()) if _PLACE.fullmatch(each)]
                    wished[path] = [*kept, *(line for each in given for line in _lines(each))]
            case "table":
                if f"{path}.shown" in form:
                    begins = f"{path}:"
                    wished[path] = {
                        field.removeprefix(begins): values[0]
                        for field, values in form.items()
                        if field.startswith(begins) and values[0]
                    }
            case "lines":
                if given:
                    wished[path] = _lines(given[0])
            case "number":
                if given:
                    wished[path] = _number(given[0])
            case _:
                if given:
                    wished[path] = given[0] or None
    return wished


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _number(text: str) -> float | int | str | None:
    """Read a number; what is none stays as it is typed, to be refused."""
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        return text
    if "." not in text:
        return int(text)
    value = float(text)
    return int(value) if value == math.floor(value) else value

"""Sign-in by an identity provider, as administrators set it in the console: what is set, and how it changes.

It is [console.oidc] of the installation's own file, beside the connection that
the folder may hold as well. The client's secret is sealed and never told.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tillbridge import config as configuration
from tillbridge import rewriting
from tillbridge.config import FILE_NAME, Console, Oidc
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.secrets import SealedSecrets, open_vault, replace_file
from tillbridge.settings import Refusal, plain, sealing, source_of

TABLE = ("console", "oidc")
SECRET = "client_secret"  # noqa: S105  The setting's name.
# What it is sealed as when it was entered in the console.
SEALED_AS = "console.oidc.client_secret"

# Longer than any that a provider gives out; more groups than a page can show.
TEXT_MAX = 500
GROUPS_MAX = 500

_HEADER = "# Tillbridge: what holds for the whole installation. Connections are in the folder beside this.\n"
_FIELDS = (
    *("name", "issuer", "client_id", "claim", "scopes", "roles"),
    *("default_role", "stores", "email_domains"),
)


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """How people may sign in beside their passwords. `fixed`: settings that the environment brings.

    `seen`: what a change has to name, so that nobody undoes another's.
    """

    is_on: bool
    name: str
    issuer: str
    client_id: str
    has_secret: bool
    claim: str
    scopes: list[str]
    roles: dict[str, str]
    default_role: str | None
    stores: dict[str, list[str]]
    email_domains: list[str]
    fixed: list[str]
    seen: str


class Wished(msgspec.Struct, frozen=True, kw_only=True):
    """What sign-in is to be. `client_secret`: None keeps the one that there is, "" takes it away."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    name: str
    claim: str
    scopes: Sequence[str]
    roles: Mapping[str, str]
    default_role: str | None = None
    stores: Mapping[str, Sequence[str]] = {}
    email_domains: Sequence[str] = ()


def shown(folder: Path, console: Console) -> SignIn:
    """Return how it is set: in force, as `console` has it, and where the file says so."""
    raw, seen = _table(folder)
    told = console.oidc
    values = {name: plain(_value(told, name)) for name in _FIELDS}
    fixed = [name for name in (*_FIELDS, SECRET) if _is_fixed(raw, name)]
    has_secret = told is not None and told.client_secret is not None
    return SignIn(is_on=told is not None, has_secret=has_secret, fixed=fixed, seen=seen, **values)


def change(
    folder: Path, env: Mapping[str, str], wished: Wished, *, seen: str, refusal: Refusal
) -> dict[str, list[Any]]:
    """Set it; return what has changed, each before and after. Raises ConfigurationInvalid, Halted."""
    raw, _ = _table(folder)
    if mistakes := list(_mistakes(wished, raw, refusal)):
        raise ConfigurationInvalid(mistakes)
    path = folder / FILE_NAME
    if not path.exists():
        replace_file(path, _HEADER)
    wishes = {name: _written(getattr(wished, name)) for name in _FIELDS}
    changes: dict[tuple[str, ...], Any] = {
        (*TABLE, name): value
        for name, value in wishes.items()
        if (name in raw or value != _written(_value(None, name))) and not _is_fixed(raw, name)
    }
    with sealing(folder, env) as seal:
        if wished.client_secret:
            changes[*TABLE, SECRET] = seal.keep(".".join((*TABLE, SECRET)), SEALED_AS, wished.client_secret)
        elif wished.client_secret == "":
            changes[*TABLE, SECRET] = None
        moved = rewriting.write(folder, changes, env, seen=seen, check=_check).changed
    if seal.done:
        # Who reads the file looks at its age: a secret alone does not change a word of it.
        os.utime(path)
    told = {
        name: ["hidden" if name.endswith(SECRET) else plain(each) for each in pair]
        for name, pair in moved.items()
    }
    return told | {name: ["hidden", "changed"] for name in seal.paths}


def turn_off(folder: Path, env: Mapping[str, str], *, seen: str) -> bool:
    """Let people sign in by passwords alone; False when it was so already. Raises Halted."""
    raw, _ = _table(folder)
    if not raw:
        return False
    rewriting.remove(folder, [TABLE], seen=seen)
    if raw.get(SECRET) == {"secret": SEALED_AS}:
        SealedSecrets(folder, open_vault(folder, env)).remove(SEALED_AS)
    return True


def _table(folder: Path) -> tuple[Mapping[str, Any], str]:
    if not (folder / FILE_NAME).exists():
        return {}, ""
    document, seen = rewriting.read(folder)
    return rewriting.found(document, TABLE) or {}, seen


def _is_fixed(raw: Mapping[str, Any], name: str) -> bool:
    """Say whether the environment brings it: then it is changed there."""
    return source_of(raw.get(name))[0] == "env"


def _value(oidc: Oidc | None, name: str) -> Any:
    if oidc is not None:
        return getattr(oidc, name)
    field = Oidc.model_fields[name]
    return "" if field.is_required() else field.get_default(call_default_factory=True)


def _written(value: Any) -> Any:
    """Return a value as the file has it; None: nothing is to be said."""
    told = plain(value)
    return None if told in ("", [], None) else told


def _check(text: str, folder: Path, env: Mapping[str, str]) -> None:
    """Read a text as whoever serves the folder does: with its own connection, if it holds one."""
    if "lightspeed" in rewriting.parsed(text):
        configuration.parse(text, folder, env)
    else:
        configuration.parse_shared(text, folder, env)


def _mistakes(wished: Wished, raw: Mapping[str, Any], refusal: Refusal) -> list[tuple[str, str]]:
    needed = ("issuer", "client_id", "name", "claim")
    found = [(name, "is missing") for name in needed if not getattr(wished, name)]
    codes = [each for held in wished.stores.values() for each in held]
    lists = [*wished.scopes, *wished.email_domains, *codes]
    if max(len(wished.roles), len(wished.stores), len(lists)) > GROUPS_MAX:
        found.append(("roles", f"holds more than {GROUPS_MAX} groups"))
    texts = {name: [getattr(wished, name)] for name in needed}
    texts |= {SECRET: [wished.client_secret or ""], "roles": list(wished.roles)}
    texts |= {"stores": [*wished.stores, *codes], "scopes": list(wished.scopes)}
    found += [
        (name, f"holds what is no line of {TEXT_MAX} characters at most")
        for name, held in texts.items()
        if any(len(each) > TEXT_MAX or not each.isprintable() for each in held)
    ]
    if wished.client_secret is None and raw.get(SECRET) is not None and _goes_elsewhere(wished, raw):
        text = (
            "belongs to the issuer and the client id that it was entered for: enter it again, or take it away"
        )
        found.append((SECRET, text))
    # Whoever owns the machine may write any address into the file; it is not refused when it stays.
    if wished.issuer != raw.get("issuer") and (why := refusal(wished.issuer)):
        found.append(("issuer", why))
    return found


def _goes_elsewhere(wished: Wished, raw: Mapping[str, Any]) -> bool:
    """Say whether the secret that is kept would go to another provider, or speak for another client."""
    return any(
        getattr(wished, name) != raw.get(name) and not _is_fixed(raw, name)
        for name in ("issuer", "client_id")
    )

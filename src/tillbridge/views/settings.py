"""What the settings' pages show beside the settings: the field map, who wins per field, what is connected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tillbridge import config as configuration
from tillbridge import rewriting
from tillbridge.alerts import INSTANCE
from tillbridge.config import Config
from tillbridge.engine.preflight import mistakes_of, objects_as_kept
from tillbridge.model.writing import ObjectFacts
from tillbridge.settings import source_of
from tillbridge.sync.fieldmap import FieldMap, compile_maps
from tillbridge.sync.pullback import writable
from tillbridge.views.books import Books

# --- the field map -------------------------------------------------------------------------------


class MapLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the map. `own`: the configuration says so, not the preset. `both_ways`: edits go back."""

    field: str
    label: str
    type: str
    source: str
    own: bool
    both_ways: bool
    mistake: str | None


class MapTable(msgspec.Struct, frozen=True, kw_only=True):
    """One table of the map. `known`: the org has shown its object."""

    name: str
    object: str
    label: str
    known: bool
    lines: list[MapLine]
    mistakes: list[str]  # of the table as a whole


class FieldMapping(msgspec.Struct, frozen=True, kw_only=True):
    """The whole map."""

    model: str
    tables: list[MapTable]
    mistakes: int
    own: int


def tables_of(config: Config) -> list[FieldMap]:
    """Return the field map of a configuration."""
    maps = compile_maps(
        config.map,
        account=config.lightspeed.account_id,
        model=config.customers.model,
        functions=configuration.functions(config),
    )
    return maps.all()


def mapping(books: Books) -> FieldMapping:
    """Return the field map, held against what the org has last shown."""
    objects = objects_as_kept(books.state)
    tables = tables_of(books.config)
    mistakes = mistakes_of({table.name: table for table in tables}, objects) if objects else []
    shown = [_table(table, objects, dict(mistakes)) for table in tables]
    return FieldMapping(
        model=books.config.customers.model,
        tables=shown,
        mistakes=len(mistakes),
        own=sum(line.own for table in shown for line in table.lines),
    )


def _table(table: FieldMap, objects: Mapping[str, ObjectFacts], mistakes: Mapping[str, str]) -> MapTable:
    held = objects.get(table.object)
    fields = held.fields if held else {}
    ways = writable(table, held) if held and table.name in _PEOPLE else {}
    lines = [
        MapLine(
            field=target,
            label=in_words(target),
            type=fields[target].type if target in fields else "",
            source=table.lines[target],
            own=target in table.overridden,
            both_ways=target in ways,
            mistake=mistakes.get(f"map.{table.name}.{target}"),
        )
        for target in table.targets
    ]
    whole = mistakes.get(f"map.{table.name}")
    return MapTable(
        name=table.name,
        object=table.object,
        label=held.label if held else table.object,
        known=held is not None,
        lines=lines,
        mistakes=[whole] if whole else [],
    )


def in_words(field: str) -> str:
    """Return a field's name as people read it: MailingPostalCode is Mailing Postal Code."""
    plain = field.removesuffix("__c").removesuffix("__pc").replace("_", " ")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", plain)


# --- who wins ------------------------------------------------------------------------------------

_PEOPLE = frozenset({"customer", "contact", "person_account"})


class Contested(msgspec.Struct, frozen=True, kw_only=True):
    """One field that flows both ways. `wins` None: as all other fields."""

    field: str
    label: str
    slot: str
    wins: str | None


def contested(books: Books) -> list[Contested]:
    """Return the fields of customers that both sides may move, and those that a setting names besides."""
    objects, authority = objects_as_kept(books.state), books.config.customers.authority
    found: dict[str, Contested] = {}
    for table in tables_of(books.config):
        held = objects.get(table.object)
        if table.name not in _PEOPLE or held is None:
            continue
        for name, way in writable(table, held).items():
            found.setdefault(
                name,
                Contested(
                    field=name,
                    label=in_words(name),
                    slot=way.slot.replace("_", " "),
                    wins=authority.get(name),
                ),
            )
    for name, wins in authority.items():
        found.setdefault(name, Contested(field=name, label=in_words(name), slot="", wins=wins))
    return list(found.values())


# --- what is connected ---------------------------------------------------------------------------


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """One secret, by where it is kept: never by what it says."""

    path: str
    title: str
    kept: str  # env, sealed, file or missing
    named: str | None


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection joins."""

    account: str
    currency: str
    stores: int
    till_client: str
    till_host: str
    login_host: str
    instance: str | None
    org: str | None
    auth: str
    user: str | None
    crm_client: str
    api_version: str
    model: str
    secrets: list[Secret]
    has_plain_secret: bool


_SECRETS = (
    ("lightspeed.client_secret", "Lightspeed client secret"),
    ("lightspeed.refresh_token", "Lightspeed refresh token (the first one)"),
    ("salesforce.client_secret", "Salesforce consumer secret"),
    ("salesforce.refresh_token", "Salesforce refresh token (the first one)"),
    ("salesforce.private_key", "Salesforce private key"),
    ("salesforce.private_key_file", "Salesforce private key, in a file"),
    ("alerts.smtp_password", "Password of the mail server"),
    ("alerts.slack_webhook_url", "Slack webhook"),
)


def ends(books: Books) -> Ends:
    """Return what a connection joins, and where its secrets are kept."""
    document, _ = rewriting.read(books.home)
    till, crm, names = books.config.lightspeed, books.config.salesforce, books.names()
    secrets = list(_secrets(document))
    return Ends(
        account=till.account_id,
        currency=names.currency,
        stores=len(names.stores),
        till_client=ending(till.client_id),
        till_host=till.api_url,
        login_host=crm.login_url,
        instance=books.state.fact(INSTANCE),
        org=books.state.fact("crm_org"),
        auth=crm.auth,
        user=crm.username,
        crm_client=ending(crm.client_id),
        api_version=crm.api_version,
        model=books.config.customers.model,
        secrets=secrets,
        has_plain_secret=any(
            each.kept == "file" and each.path != "salesforce.private_key_file" for each in secrets
        ),
    )


def _secrets(document: Mapping[str, Any]) -> Iterable[Secret]:
    for path, title in _SECRETS:
        raw = rewriting.found(document, path.split("."))
        if raw is not None:
            kept, named = source_of(raw)
            yield Secret(path=path, title=title, kept=kept, named=named)


def ending(text: str) -> str:
    """Return the last letters of an id: enough to know it again."""
    return f"…{text[-4:]}" if len(text) > 8 else "…"

"""The API of set-ups: every step of the wizard for programs, from an empty folder to what is live.

It does what the pages do, by the same functions. What takes a while is begun by
a POST and looked at by a GET of the same address until it has ended. Secrets go
in and never come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Literal

import msgspec
from fastapi import Request

from tillbridge.draft import Consent
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.setup import checkup, crm, customers, forecasting, load, steps, stores, till
from tillbridge.setup.checks import Check
from tillbridge.setup.fields import Sheet
from tillbridge.setup.forecasting import Foreseen
from tillbridge.setup.setups import Setups, Standing
from tillbridge.setup.steps import BY_NAME
from tillbridge.setup.stores import Chosen
from tillbridge.web.api.answers import answers
from tillbridge.web.api.doing import Did
from tillbridge.web.api.given import Pressed
from tillbridge.web.api.given_setup import (
    AccountGiven,
    ConsentGiven,
    CustomersGiven,
    LightspeedGiven,
    LinesGiven,
    MapTable,
    NewSetUp,
    SalesforceGiven,
    SetUpName,
    StoresGiven,
)
from tillbridge.web.console import console_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages import setup, setup_connect, setup_fields, setup_live, setup_steps

# --- which there are -----------------------------------------------------------------------------


class SetUpStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step: done, the next one to do, open to be done, or closed until others are done."""

    name: str
    title: str
    state: str
    note: str


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """One connection's set-up. `next`: the step to do next."""

    name: str
    is_live: bool
    next: str
    steps: list[SetUpStep]


@answers(list[SetUp])
def set_ups(request: Request) -> list[SetUp]:
    """List the connections' set-ups, and how far each is."""
    return [_told(each) for each in console_of(request).setups.all()]


@answers(SetUp)
def set_up(request: Request, name: SetUpName) -> SetUp:
    """Say how far one set-up is."""
    return _told(setup.standing_of(request, name))


@answers(SetUp)
def begin_set_up(request: Request, body: NewSetUp) -> SetUp:
    """Begin to set up a connection."""
    with _fitting(), setup.noting(request, body.name, "set-up begun"):
        console_of(request).setups.begin(body.name)
    return _told(setup.standing_of(request, body.name))


@answers(Did)
def drop_set_up(request: Request, name: SetUpName) -> Did:
    """Forget a set-up that never went live, with its secrets. Neither system is changed."""
    setup.standing_of(request, name)
    setup.dropped(request, name)
    return Did(count=1)


def _told(standing: Standing) -> SetUp:
    return SetUp(
        name=standing.name,
        is_live=standing.is_live,
        next=standing.next,
        steps=[
            SetUpStep(
                name=step,
                title=BY_NAME[step].title,
                state=state,
                note=standing.done[step].note if step in standing.done else "",
            )
            for step, state in standing.states.items()
        ],
    )


def _open(request: Request, name: str, step: str) -> Setups:
    """Return the set-ups, when nothing has to be done before this step. Raises NotHere, Halted."""
    setup.standing_of(request, name)
    setups = console_of(request).setups
    setups.check_open(name, step)
    return setups


@contextmanager
def _fitting() -> Iterator[None]:
    """Let what will not do be said in one sentence, and field by field."""
    try:
        yield
    except ConfigurationInvalid as error:
        told = "; ".join(f"{field}: {text.rstrip('.')}" for field, text in error.mistakes)
        raise Unfit(f"{told}.", error.mistakes) from error


# --- both sides ----------------------------------------------------------------------------------


class ConsentAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody allows it, where that sends their browser, and until when (epoch seconds)."""

    address: str
    redirect: str
    until: float


class TillAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a consent is good for."""

    id: str
    name: str


class LightspeedSide(msgspec.Struct, frozen=True, kw_only=True):
    """How the till is connected. `account`: the one that is; `accounts`: those to choose from."""

    client_id: str
    writes: bool
    api_url: str
    auth_url: str
    has_secret: bool
    account: str | None
    accounts: list[TillAccount]
    waits_for: ConsentAsked | None


class SalesforceSide(msgspec.Struct, frozen=True, kw_only=True):
    """How the org is connected. `org`: what it is, once it is."""

    auth: str
    login: str
    domain: str
    client_id: str
    username: str
    has_secret: bool
    has_key: bool
    org: str | None
    waits_for: ConsentAsked | None


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate of a key that was made here, in PEM. The key itself is sealed."""

    certificate: str


@answers(LightspeedSide)
def lightspeed_side(request: Request, name: SetUpName) -> LightspeedSide:
    """Say how the till is connected, or is about to be."""
    return _till(request, name)


@answers(ConsentAsked)
def ask_lightspeed(request: Request, name: SetUpName, body: LightspeedGiven) -> ConsentAsked:
    """Begin to connect the till: say where somebody who may sign in to Lightspeed allows it.

    Its answer goes to `redirect`: open the address in a browser in which the token's owner is signed in
    here, or take state and code out of what it comes back with, and post them.
    """
    setup.standing_of(request, name)
    said = till.Answers(
        client_id=body.client_id.strip(),
        client_secret=body.client_secret.strip(),
        writes=body.access == "write",
        api_url=body.api_url,
        auth_url=body.auth_url,
    )
    with _fitting():
        setup_connect.till_asked(request, name, said)
    return _asked(request, name, steps.LIGHTSPEED)


@answers(LightspeedSide)
def answer_lightspeed(request: Request, name: SetUpName, body: ConsentGiven) -> LightspeedSide:
    """Bring the answer to a consent. A single account is taken; of several one has to be chosen."""
    setup.standing_of(request, name)
    with _fitting():
        setup_connect.till_taken(request, name, body.state, body.code)
    return _till(request, name)


@answers(LightspeedSide)
def choose_account(request: Request, name: SetUpName, body: AccountGiven) -> LightspeedSide:
    """Choose one of the accounts that the consent is good for."""
    setup.standing_of(request, name)
    with _fitting():
        setup_connect.account_chosen(request, name, body.account)
    return _till(request, name)


@answers(SalesforceSide)
def salesforce_side(request: Request, name: SetUpName) -> SalesforceSide:
    """Say how the org is connected, or is about to be."""
    return _org(request, name)


@answers(SalesforceSide)
def connect_salesforce(request: Request, name: SetUpName, body: SalesforceGiven) -> SalesforceSide:
    """Log in to the org and keep how; with refresh_token `waits_for` says where somebody allows it."""
    setup.standing_of(request, name)
    said = crm.Answers(
        auth=body.auth,
        login=body.login,
        domain=body.domain.strip(),
        client_id=body.client_id.strip(),
        client_secret=body.client_secret.strip(),
        username=body.username.strip(),
        private_key=body.private_key.strip(),
    )
    with _fitting():
        if body.auth == "refresh_token":
            setup_connect.crm_asked(request, name, said)
        else:
            setup_connect.logged_in(request, name, said)
    return _org(request, name)


@answers(SalesforceSide)
def answer_salesforce(request: Request, name: SetUpName, body: ConsentGiven) -> SalesforceSide:
    """Bring the answer to a consent: the org is connected with it."""
    setup.standing_of(request, name)
    with _fitting():
        setup_connect.crm_taken(request, name, body.state, body.code)
    return _org(request, name)


@answers(KeyMade)
def make_salesforce_key(
    request: Request,
    name: SetUpName,
    body: Pressed,  # noqa: ARG001  A key takes another's place, so it has to be meant.
) -> KeyMade:
    """Make a key pair for jwt; the key is sealed, its certificate is to be uploaded to the app."""
    setup.standing_of(request, name)
    setup_connect.key_made(request, name)
    return KeyMade(certificate=crm.shown(console_of(request).setups, name).certificate)


@answers(KeyMade)
def salesforce_certificate(request: Request, name: SetUpName) -> KeyMade:
    """Show the certificate of the key that was made here."""
    setup.standing_of(request, name)
    if not (found := crm.shown(console_of(request).setups, name).certificate):
        raise NotHere
    return KeyMade(certificate=found)


def _till(request: Request, name: str) -> LightspeedSide:
    setup.standing_of(request, name)
    said = till.shown(console_of(request).setups, name)
    return LightspeedSide(
        client_id=said.client_id,
        writes=said.writes,
        api_url=said.api_url,
        auth_url=said.auth_url,
        has_secret=said.has_secret,
        account=said.account or None,
        accounts=[TillAccount(id=each.id, name=each.name) for each in said.accounts],
        waits_for=_waiting(request, name, steps.LIGHTSPEED),
    )


def _org(request: Request, name: str) -> SalesforceSide:
    standing = setup.standing_of(request, name)
    said = asdict(crm.shown(console_of(request).setups, name))
    said.pop("certificate")
    done = standing.done.get(steps.SALESFORCE)
    return SalesforceSide(
        **said, org=done.note if done else None, waits_for=_waiting(request, name, steps.SALESFORCE)
    )


def _asked(request: Request, name: str, side: str) -> ConsentAsked:
    found = _waiting(request, name, side)
    if found is None:
        raise Unfit("Somebody else has asked for that meanwhile. Begin again.")
    return found


def _waiting(request: Request, name: str, side: str) -> ConsentAsked | None:
    found: Consent | None = setup_connect.waiting(request, name, side)
    if found is None:
        return None
    return ConsentAsked(
        address=found.url,
        redirect=found.redirect_uri or setup_connect.callback(request, side),
        until=found.until,
    )


# --- what takes a while --------------------------------------------------------------------------


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One bar. `total` null: it only counts."""

    title: str
    count: int
    total: int | None


class UnderWay(msgspec.Struct, frozen=True, kw_only=True):
    """What was begun last and how far it is. A restart of the service forgets it: begin it again."""

    state: Literal["running", "done", "failed"]
    why: str
    bars: list[Progress]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One component that the org has refused."""

    where: str
    what: str
    why: str


class PackageState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the package is installed. `is_installed` null: nobody has tried."""

    under_way: UnderWay | None
    is_installed: bool | None
    components: int
    why: str
    refusals: list[Refusal]


class CheckedUp(msgspec.Struct, frozen=True, kw_only=True):
    """One check, and the step that puts right what is wrong."""

    check: Check
    fixed_by: str | None


class CheckUp(msgspec.Struct, frozen=True, kw_only=True):
    """What was found last. `at` null: nobody has looked."""

    under_way: UnderWay | None
    at: float | None
    checks: list[CheckedUp]


class ForecastState(msgspec.Struct, frozen=True, kw_only=True):
    """What was foreseen last."""

    under_way: UnderWay | None
    found: Foreseen | None


class LoadState(msgspec.Struct, frozen=True, kw_only=True):
    """What the first load would bring. `plan`: of the newest customers, at /c/{connection}/plans/{number}."""

    under_way: UnderWay | None
    is_approved: bool
    counts: dict[str, int]
    examples: int
    plan: int | None
    entries: int
    unchanged: int
    skips: int
    holds: list[str]


@answers(PackageState)
def package_state(request: Request, name: SetUpName) -> PackageState:
    """Say whether the package is installed, or how far that is."""
    return _package(request, name)


@answers(PackageState)
def install_package(
    request: Request,
    name: SetUpName,
    body: Pressed,  # noqa: ARG001  It changes the org, so it has to be meant.
) -> PackageState:
    """Begin to install the package into the org, and to assign its permission set."""
    _open(request, name, steps.PACKAGE)
    setup_steps.install_it(request, name)
    return _package(request, name)


@answers(CheckUp)
def check_up(request: Request, name: SetUpName) -> CheckUp:
    """Show the checklist, or how far looking is."""
    return _checked(request, name)


@answers(CheckUp)
def look_at_both(
    request: Request,
    name: SetUpName,
    body: Pressed,  # noqa: ARG001  It asks both sides, so it has to be meant.
) -> CheckUp:
    """Begin to look at both sides: logins, rights, fields, limits, clocks. Nothing is changed."""
    _open(request, name, steps.CHECK)
    setup_steps.look_at_both(request, name)
    return _checked(request, name)


@answers(ForecastState)
def forecast_state(request: Request, name: SetUpName) -> ForecastState:
    """Show what running will cost, or how far the survey is."""
    return _foreseen(request, name)


@answers(ForecastState)
def foresee(
    request: Request,
    name: SetUpName,
    body: Pressed,  # noqa: ARG001  It asks both sides, so it has to be meant.
) -> ForecastState:
    """Begin to survey both accounts and predict. Nothing is written."""
    _open(request, name, steps.FORECAST)
    setup_steps.foresee_it(request, name)
    return _foreseen(request, name)


@answers(LoadState)
def load_state(request: Request, name: SetUpName) -> LoadState:
    """Show what the first load would bring, or how far looking is."""
    return _load(request, name)


@answers(LoadState)
def look_at_load(
    request: Request,
    name: SetUpName,
    body: Pressed,  # noqa: ARG001  It asks both sides, so it has to be meant.
) -> LoadState:
    """Begin to look at what the first load would bring. Nothing is written."""
    _open(request, name, steps.LOAD)
    setup_live.look_ahead(request, name)
    return _load(request, name)


@answers(LoadState)
def approve_load(
    request: Request,
    name: SetUpName,
    body: Pressed,  # noqa: ARG001  It is agreed to, so it has to be meant.
) -> LoadState:
    """Agree to the first load that was looked at; it begins when the connection goes live."""
    _open(request, name, steps.LOAD)
    setup_live.approved(request, name)
    return _load(request, name)


@answers(SetUp)
def go_live(
    request: Request,
    name: SetUpName,
    body: Pressed,  # noqa: ARG001  From here on things are carried, so it has to be meant.
) -> SetUp:
    """Let the connection begin: polls at once, and the history beside them."""
    _open(request, name, steps.LIVE)
    setup_live.went_live(request, name)
    return _told(setup.standing_of(request, name))


def _under_way(request: Request, name: str, step: str) -> UnderWay | None:
    setup.standing_of(request, name)
    found = setup.errand_of(request, name, step)
    if found is None:
        return None
    # A thread adds to it meanwhile.
    bars = [Progress(title=each.title, count=each.count, total=each.total) for each in list(found.stages)]
    return UnderWay(state=found.state, why=found.why, bars=bars)


def _package(request: Request, name: str) -> PackageState:
    under_way = _under_way(request, name, steps.PACKAGE)
    found = console_of(request).setups.found(name, steps.PACKAGE) or {}
    return PackageState(
        under_way=under_way,
        is_installed=found.get("success"),
        components=found.get("total", 0),
        why=found.get("why", ""),
        refusals=[Refusal(**each) for each in found.get("failures", ())],
    )


def _checked(request: Request, name: str) -> CheckUp:
    under_way = _under_way(request, name, steps.CHECK)
    at, found = checkup.found(console_of(request).setups, name)
    checks = [
        CheckedUp(check=each, fixed_by=(checkup.fix(each) or None) if each.level == "fail" else None)
        for each in found
    ]
    return CheckUp(under_way=under_way, at=at, checks=checks)


def _foreseen(request: Request, name: str) -> ForecastState:
    under_way = _under_way(request, name, steps.FORECAST)
    return ForecastState(under_way=under_way, found=forecasting.found(console_of(request).setups, name))


def _load(request: Request, name: str) -> LoadState:
    under_way = _under_way(request, name, steps.LOAD)
    standing = setup.standing_of(request, name)
    found = console_of(request).setups.found(name, load.FOUND) or {}
    return LoadState(
        under_way=under_way,
        is_approved=steps.LOAD in standing.done,
        counts=found.get("counts", {}),
        examples=found.get("examples", 0),
        plan=found.get("plan"),
        entries=found.get("entries", 0),
        unchanged=found.get("unchanged", 0),
        skips=found.get("skips", 0),
        holds=found.get("holds", []),
    )


# --- what is chosen ------------------------------------------------------------------------------


class ModelOffered(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer may become. `why_not`: why this org cannot have it."""

    name: str
    title: str
    words: str
    why_not: str | None


class ModeOffered(msgspec.Struct, frozen=True, kw_only=True):
    """Which way values may flow."""

    name: str
    title: str
    words: str


class CustomerChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What customers become, and what there is to choose from."""

    model: str
    mode: str
    models: list[ModelOffered]
    modes: list[ModeOffered]


class RegisterTicked(msgspec.Struct, frozen=True, kw_only=True):
    """A register, and whether it takes part."""

    id: str
    name: str
    takes_part: bool


class StoreTicked(msgspec.Struct, frozen=True, kw_only=True):
    """A store with its registers, and whether it takes part."""

    id: str
    name: str
    time_zone: str
    takes_part: bool
    registers: list[RegisterTicked]


class StoreChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which stores take part. `since`: the first day of their sales; null: all history."""

    stores: list[StoreTicked]
    since: str | None


@answers(CustomerChoice)
def customer_choice(request: Request, name: SetUpName) -> CustomerChoice:
    """Say what a customer of the till becomes, and what it may become in this org."""
    return _customers(request, name)


@answers(CustomerChoice)
def choose_customers(request: Request, name: SetUpName, body: CustomersGiven) -> CustomerChoice:
    """Choose what a customer becomes, and which way values flow."""
    _open(request, name, steps.CUSTOMERS)
    with _fitting():
        setup_steps.customers_saved(request, name, body.model, body.mode)
    return _customers(request, name)


@answers(StoreChoice)
def store_choice(request: Request, name: SetUpName) -> StoreChoice:
    """List the till's stores and registers, and which of them take part."""
    return _stores(request, name)


@answers(StoreChoice)
def choose_stores(request: Request, name: SetUpName, body: StoresGiven) -> StoreChoice:
    """Choose which stores and registers take part, and since when. All stores: later ones too."""
    _open(request, name, steps.STORES)
    with _fitting():
        wished = Chosen(frozenset(body.stores), frozenset(body.registers), body.since)
        setup_steps.stores_saved(request, name, wished)
    return _stores(request, name)


def _customers(request: Request, name: str) -> CustomerChoice:
    setups = _open(request, name, steps.CUSTOMERS)
    not_offered = customers.not_offered(setups, name)
    model, mode = customers.chosen(setups, name)
    return CustomerChoice(
        model=model,
        mode=mode,
        models=[
            ModelOffered(name=each, title=title, words=words, why_not=not_offered.get(each))
            for each, (title, words) in customers.MODELS.items()
        ],
        modes=[
            ModeOffered(name=each, title=title, words=words)
            for each, (title, words) in customers.MODES.items()
        ],
    )


def _stores(request: Request, name: str) -> StoreChoice:
    setups = _open(request, name, steps.STORES)
    known = stores.directory(setups, name)
    on = stores.chosen(setups, name, known)
    return StoreChoice(
        stores=[
            StoreTicked(
                id=each.id,
                name=each.name,
                time_zone=each.time_zone,
                takes_part=each.id in on.stores,
                registers=[
                    RegisterTicked(id=desk.id, name=desk.name, takes_part=desk.id in on.registers)
                    for desk in known.registers
                    if desk.store_id == each.id
                ],
            )
            for each in known.stores
        ],
        since=on.since.isoformat() if on.since else None,
    )


# --- the field map -------------------------------------------------------------------------------


class MapCell(msgspec.Struct, frozen=True, kw_only=True):
    """One line tried on one record: what would be written, and what stands there."""

    writes: str | None
    there: str | None


class MapLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `preset`: what is shipped; null: added by a person. `type` "": the org has no such field."""

    target: str
    line: str
    preset: str | None
    type: str
    is_key: bool
    is_own: bool
    mistake: str
    warning: str
    cells: list[MapCell]


class MapMistake(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a line, or with the table ("")."""

    target: str
    why: str


class MapSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the map on real rows: `samples` are the records that its cells are about, in order.

    `free`: fields of the org that no line writes; `sources`: what a line may read.
    """

    table: str
    title: str
    object: str
    is_saved: bool
    lines: list[MapLine]
    mistakes: list[MapMistake]
    samples: list[str]
    free: list[str]
    sources: list[str]
    functions: dict[str, str]


class MapTables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of the map by name, and what they are called."""

    tables: dict[str, str]


@answers(MapTables)
def map_tables(request: Request, name: SetUpName) -> MapTables:
    """List the tables that this connection writes by."""
    _open(request, name, steps.FIELDS)
    return MapTables(tables=setup_fields.fields_of(request).tables(name))


@answers(MapSheet)
def map_table(request: Request, name: SetUpName, table: MapTable) -> MapSheet:
    """Show a table of the map, tried on real rows of both sides."""
    _open(request, name, steps.FIELDS)
    setup_fields.known(request, name, table)
    return _sheet(setup_fields.fields_of(request).sheet(name, table), is_saved=True)


@answers(MapSheet)
def try_map_table(request: Request, name: SetUpName, table: MapTable, body: LinesGiven) -> MapSheet:
    """Try lines on real rows. Nothing is kept or written."""
    _open(request, name, steps.FIELDS)
    setup_fields.known(request, name, table)
    sheet = setup_fields.fields_of(request).sheet(name, table, _lines(body))
    return _sheet(sheet, is_saved=False)


@answers(MapSheet)
def save_map_table(request: Request, name: SetUpName, table: MapTable, body: LinesGiven) -> MapSheet:
    """Keep a table's lines, unless something is wrong with any."""
    _open(request, name, steps.FIELDS)
    sheet = setup_fields.kept(request, name, table, _lines(body))
    if sheet.mistakes:
        told = "; ".join(f"{target or table}: {text.rstrip('.')}" for target, text in sheet.mistakes[:5])
        raise Unfit(f"{told}.", sheet.mistakes)
    return _sheet(sheet, is_saved=True)


@answers(SetUp)
def keep_map(
    request: Request,
    name: SetUpName,
    body: Pressed,  # noqa: ARG001  It is agreed to, so it has to be meant.
) -> SetUp:
    """Go on with the map as it is."""
    _open(request, name, steps.FIELDS)
    setup_fields.finished(request, name)
    return _told(setup.standing_of(request, name))


def _lines(body: LinesGiven) -> dict[str, str]:
    return {field: line.strip() for field, line in body.lines.items() if line.strip()}


def _sheet(sheet: Sheet, *, is_saved: bool) -> MapSheet:
    return MapSheet(
        table=sheet.table,
        title=sheet.title,
        object=sheet.object,
        is_saved=is_saved,
        lines=[
            MapLine(
                target=each.target,
                line=each.text,
                preset=each.preset,
                type=each.type,
                is_key=each.is_key,
                is_own=each.is_own,
                mistake=each.mistake,
                warning=each.warning,
                cells=[MapCell(writes=cell.writes, there=cell.there) for cell in each.cells],
            )
            for each in sheet.lines
        ],
        mistakes=[MapMistake(target=target, why=why) for target, why in sheet.mistakes],
        samples=[each.title for each in sheet.samples],
        free=[each.name for each in sheet.free],
        sources=list(sheet.sources),
        functions=dict(sheet.functions),
    )

"""Put the parts together: configuration, state, both connectors, the engine's connection. One function."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tillbridge import config as configuration
from tillbridge.alerts import INSTANCE
from tillbridge.config import Config
from tillbridge.connectors.http import Http
from tillbridge.connectors.lightspeed_r.client import LightspeedR
from tillbridge.connectors.lightspeed_r.tokens import FileLock, StoredTokens
from tillbridge.connectors.salesforce.auth import Credentials
from tillbridge.connectors.salesforce.client import SalesforceClient
from tillbridge.connectors.salesforce.questions import Questions
from tillbridge.engine.connection import Connection, Progress, Scope, Settings, Silent
from tillbridge.engine.directory import kept_directory, surroundings
from tillbridge.engine.preflight import prepare
from tillbridge.engine.prepared import Before, Kept, remember
from tillbridge.engine.refill import Refilled, is_due, refill
from tillbridge.engine.replay_of_erasures import guard
from tillbridge.installation import installation_of, service_settings
from tillbridge.model.clock import Clock, SystemClock
from tillbridge.model.errors import Busy, ConfigurationInvalid, SyncError
from tillbridge.secrets import KEY_FILE, KEY_VARIABLE, LASTING, Vault, open_vault
from tillbridge.spending import PATIENCE_SECONDS, Books, SharedBooks, Spending, account_name
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.changes import Changes
from tillbridge.store.database import Place, held, open_database
from tillbridge.store.holdings import Holdings
from tillbridge.store.journal import Journal, Patience
from tillbridge.store.people import People
from tillbridge.store.plans import Plans
from tillbridge.store.raw import Raw
from tillbridge.store.service import FILE_NAME as SERVICE_FILE
from tillbridge.store.service import Rested, Service, open_service, service_url
from tillbridge.store.spool import Spool
from tillbridge.store.state import State
from tillbridge.store.tokens import Lock, TokenDrawer, drawer_name
from tillbridge.store.tombstones import Tombstones
from tillbridge.sync.fieldmap import FieldMap, compile_maps
from tillbridge.sync.forecast import Plan
from tillbridge.sync.quota import Caps
from tillbridge.sync.safety import Limits
from tillbridge.sync.schedule import Wishes


class TillTokens:
    """The till's pair of tokens, as its keeper wants it kept."""

    def __init__(self, drawer: TokenDrawer) -> None:
        self._drawer = drawer

    def lock(self) -> AbstractContextManager[None]:
        """Hold every other process off."""
        return self._drawer.lock()

    def load(self) -> StoredTokens | None:
        """Return the newest pair."""
        kept = self._drawer.load()
        return None if kept is None else msgspec.json.decode(kept, type=StoredTokens)

    def save(self, tokens: StoredTokens) -> None:
        """Keep a pair, before its first use."""
        self._drawer.save(msgspec.json.encode(tokens))


class CrmToken:
    """The CRM's rotating refresh token, as its session wants it kept."""

    def __init__(self, drawer: TokenDrawer) -> None:
        self._drawer = drawer

    def lock(self) -> AbstractContextManager[None]:
        """Hold every other process off."""
        return self._drawer.lock()

    def load(self) -> str | None:
        """Return the newest one."""
        kept = self._drawer.load()
        return None if kept is None else kept.decode()

    def save(self, refresh_token: str) -> None:
        """Keep one, before its first use."""
        self._drawer.save(refresh_token.encode())


@dataclass(slots=True)
class Parts:
    """Everything of one home directory, before anything is asked of a remote."""

    config: Config
    settings: Settings
    till: LightspeedR
    crm: SalesforceClient
    state: State
    vault: Vault
    journal: Journal
    people: People
    spool: Spool
    raw: Raw
    changes: Changes
    arrivals: Arrivals
    plans: Plans
    clock: Clock
    rng: random.Random
    maps: dict[str, FieldMap]
    progress: Progress
    tombstones: Tombstones
    holdings: Holdings
    spending: Spending
    rested: Callable[[], Rested]  # what people let rest of it, as the service knows
    before: Before | None = None  # the last preparation

    def close(self) -> None:
        """Hang up, and let the state file go."""
        self.spending.close()
        self.till.close()  # Both clients call over the same wire.
        self.state.close()

    def connect(self, *, fresh: bool = False, as_kept: bool = False) -> Connection:
        """Check both sides and make the engine's connection of it (see engine.preflight for the wishes)."""
        kept = Kept(self.state)
        connection = None
        if self.before is not None and not fresh:
            connection = self.before.again(kept, self._org(), self.clock, as_kept=as_kept)
        if connection is None:
            connection = self._prepare(fresh=fresh, as_kept=as_kept)
            self._keep_instance(self.crm.org().instance_url)
            is_settled = Kept(self.state).mark == kept.mark  # What it rests on was there before it.
            self.before = remember(connection, kept, self._org()) if is_settled else None
        guard(connection, self.tombstones, self.holdings)
        return connection

    def _org(self) -> tuple[str, str]:
        org = self.crm.org()
        return org.id, org.instance_url

    def _prepare(self, *, fresh: bool, as_kept: bool) -> Connection:
        return prepare(
            settings=self.settings,
            till=self.till,
            crm=self.crm,
            questions=Questions(self.crm, self.settings.scope),
            state=self.state,
            journal=self.journal,
            people=self.people,
            spool=self.spool,
            raw=self.raw,
            changes=self.changes,
            arrivals=self.arrivals,
            plans=self.plans,
            clock=self.clock,
            rng=self.rng,
            maps=self.maps,
            progress=self.progress,
            account=self.config.lightspeed.account_id,
            fresh=fresh,
            as_kept=as_kept,
        )

    def _keep_instance(self, url: str) -> None:
        """Keep the org's own address, so that alerts can link into it also when nobody can log in."""
        if self.state.fact(INSTANCE) != url:
            with self.state.begin() as c:
                self.state.keep(c, INSTANCE, url)


def open_home(
    home: Path,
    *,
    clock: Clock | None = None,
    progress: Progress | None = None,
    history: bool = False,
    seed: int | None = None,
    env: Mapping[str, str] = os.environ,
    http: Http | None = None,
    books: Books | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    service: Service | None = None,
    config: Config | None = None,
) -> Parts:
    """Open a home directory: its configuration, state and clients. `history`: what is written is no news.

    `http` is the way to both remotes; without one, the network. `books` are where calls are counted;
    without any, those of the installation. A call waits for its turn for `patience_seconds` at most.
    `service`: the installation's shared tables, where they are open already. `config`: what holds instead
    of what its file says now.
    """
    clock = clock or SystemClock()
    rng = random.Random(seed)
    config = config or configuration.load(home, env)
    functions = configuration.functions(config)
    account = config.lightspeed.account_id
    maps = compile_maps(config.map, account=account, model=config.customers.model, functions=functions)
    place = place_of(home, env, service)
    if place.url is None:
        open_vault(home, env)  # Without its key a state is not even opened.
    state = open_state(home, clock, env, service)
    try:
        vault = vault_for(home, state, env, service)
        fill_in(config, state, vault)
    except SyncError:
        state.close()
        raise
    http = http or Http()
    spending = Spending(
        books or _books_of(home, env),
        installation_of(home)[1],
        caps_of(config),
        clock,
        till=account_name(account, config.lightspeed.client_id),
        weight=config.budget.weight,
        patience_seconds=patience_seconds,
    )
    return Parts(
        config=config,
        settings=settings_of(config),
        till=_till(config, place, state, vault, clock, rng, http, spending),
        crm=_crm(config, place, state, vault, clock, rng, http, spending, history=history),
        state=state,
        vault=vault,
        journal=Journal(state, vault, patience_of(config), rng),
        people=People(state, vault),
        spool=Spool(state, vault),
        raw=Raw(state, vault, config.keep.raw_days),
        changes=Changes(state, vault),
        arrivals=Arrivals(state, vault),
        plans=Plans(state, vault),
        clock=clock,
        rng=rng,
        maps={table.name: table for table in maps.all()},
        progress=progress or Silent(),
        tombstones=Tombstones(state, vault, home),
        holdings=Holdings(state, vault, home),
        spending=spending,
        rested=lambda: _rested(home, env, service),
    )


def _rested(home: Path, env: Mapping[str, str], service: Service | None) -> Rested:
    """Return what people let rest of a home's connection."""
    folder, name = installation_of(home)
    if service is not None:
        return service.rested(name)
    if service_settings(folder, env).database_url is None and not (folder / SERVICE_FILE).exists():
        return Rested()  # It was never served.
    opened = _service_of(home, env)
    try:
        return opened.rested(name)
    finally:
        opened.close()


def _books_of(home: Path, env: Mapping[str, str]) -> Books:
    """Return the books of the installation that a home belongs to, opened when the first call is made."""
    return SharedBooks(lambda: _service_of(home, env), own=True)


def _service_of(home: Path, env: Mapping[str, str]) -> Service:
    folder = installation_of(home)[0]
    url = service_settings(folder, env).database_url
    return open_service(service_url(folder, url.get_secret_value() if url else None), pooled=False)


def place_of(home: Path, env: Mapping[str, str] = os.environ, service: Service | None = None) -> Place:
    """Return where the state of a home's connection is: beside it, or in its installation's database.

    `service`: the installation's shared tables where they are open: its file is not read again.
    """
    folder, name = installation_of(home)
    if service is not None:
        return Place(home, connection=name) if service.is_sqlite else Place(home, service.url, name)
    secret = service_settings(folder, env).database_url
    if secret is None:
        return Place(home, connection=name)
    return Place(home, service_url(folder, secret.get_secret_value()), name)


def open_state(
    home: Path,
    clock: Clock | None = None,
    env: Mapping[str, str] = os.environ,
    service: Service | None = None,
) -> State:
    """Open the state of a home's connection."""
    place = place_of(home, env, service)
    return State(open_database(place), clock or SystemClock(), place)


def fill_in(config: Config, state: State, vault: Vault) -> Refilled | None:
    """Fill in what people look at where a state is older than the tables for it; None: nothing is missing."""
    if not is_due(state):
        return None
    directory = kept_directory(People(state, vault))
    around = surroundings(directory, settings_of(config)) if directory else None
    return refill(state, Raw(state, vault, config.keep.raw_days), Spool(state, vault), around)


def _lock_of(place: Place, remote: str) -> Lock:
    """Return the lock under which one process at a time replaces a remote's token, on all machines."""
    if place.url is None:
        return FileLock(place.home / f"{remote}.lock").hold
    return lambda: held(place, f"{remote} token")


def vault_for(
    home: Path, state: State, env: Mapping[str, str] = os.environ, service: Service | None = None
) -> Vault:
    """Open the vault of a home whose state is open: its hashes outlive a change of the key.

    Raises ConfigurationInvalid when the key that sealed the state is on another machine only.
    """
    place = place_of(home, env, service)
    is_missing = not env.get(KEY_VARIABLE) and not (home / KEY_FILE).exists()
    if place.url is not None and is_missing and state.holds_sealed():
        text = (
            f"is missing, and {place} was sealed with a key: copy the file from the machine that has it, "
            f"or set {KEY_VARIABLE}"
        )
        raise ConfigurationInvalid([(str(home / KEY_FILE), text)])
    return open_vault(home, env).inherit_kept(state.fact(LASTING))


def patience_of(config: Config) -> Patience:
    """Return how often refused records are tried again."""
    retry = config.retry
    return Patience(every_seconds=retry.every_hours * 3_600, attempts_max=retry.give_up_after)


def settings_of(config: Config) -> Settings:
    """Return what the engine needs of a configuration."""
    customers, sales = config.customers, config.sales
    return Settings(
        model=customers.model,
        match=customers.match,
        review=customers.review,
        mode=customers.mode,
        owner=customers.owner,
        authority=customers.authority,
        other_authority=customers.other_authority,
        scope=Scope(
            mark=customers.crm_scope.mark,
            record_types=customers.crm_scope.record_types,
            where=customers.crm_scope.where,
        ),
        phone_region=customers.phone_region,
        record_type=customers.record_type,
        safety=safety_of(config),
        since=sales.since,
        stores=frozenset(sales.stores),
        registers=frozenset(sales.registers),
        channels=frozenset(sales.channels),
        day_starts_at=sales.day_starts_at,
        reporting_currency=sales.reporting_currency,
        rates=sales.rates,
        newest_first=sales.newest_first,
        store_codes=sales.store_codes,
        time_zones=sales.time_zones,
        adopt=config.products.adopt,
        reread_days=config.checks.reread_days,
        nightly_days=config.checks.nightly_days,
        sweep_days=config.checks.sweep_days,
        reserve_share=config.checks.reserve_percent / 100,
        poll_seconds=config.schedule.streams,
    )


def plan_of(config: Config) -> Plan:
    """Return what the schedule and the budget need of a configuration: what costs calls, and how many."""
    checks = config.checks
    return Plan(
        wishes=wishes_of(config),
        caps=caps_of(config),
        reread_days=checks.reread_days,
        nightly_days=checks.nightly_days,
        sweep_days=checks.sweep_days,
    )


def wishes_of(config: Config) -> Wishes:
    """Return how often each stream is to be read."""
    schedule = config.schedule
    return Wishes(
        sales_seconds=schedule.sales_seconds,
        customers_seconds=schedule.customers_seconds,
        products_seconds=schedule.products_seconds,
        stock_seconds=schedule.stock_seconds,
        closed_seconds=schedule.closed_seconds,
        check_seconds=schedule.check_seconds,
        sweeps_a_day=schedule.sweeps_a_day,
    )


def caps_of(config: Config) -> Caps:
    """Return how much of the remotes' limits is ours."""
    budget = config.budget
    return Caps(
        crm_share=budget.salesforce_percent / 100,
        crm_spare=budget.salesforce_left_percent / 100,
        crm_calls_a_day=budget.salesforce_calls_a_day,
        crm_calls_a_month=budget.salesforce_calls_a_month,
        crm_bulk_batches_a_day=budget.salesforce_bulk_batches_a_day,
        crm_at_once=budget.salesforce_at_once,
        till_calls_a_second=budget.lightspeed_calls_a_second,
        till_calls_a_minute=budget.lightspeed_calls_a_minute,
        till_calls_an_hour=budget.lightspeed_calls_an_hour,
        till_calls_a_day=budget.lightspeed_calls_a_day,
        till_calls_a_month=budget.lightspeed_calls_a_month,
    )


def safety_of(config: Config) -> Limits:
    """Return from where on changes of customers wait for a person."""
    safety = config.safety
    return Limits(
        ask_first_till_write=safety.first_till_write == "ask",
        ask_first_crm_update=safety.first_crm_update == "ask",
        changed_share_max=safety.changed_share_max,
        changed_from=safety.changed_from,
        left_share_min=safety.left_share_min,
    )


def _till(
    config: Config,
    place: Place,
    state: State,
    vault: Vault,
    clock: Clock,
    rng: random.Random,
    http: Http,
    spending: Spending,
) -> LightspeedR:
    till = config.lightspeed
    refresh_token = till.refresh_token.get_secret_value()
    name = drawer_name("lightspeed", till.client_id, refresh_token)
    drawer = TokenDrawer(state, vault, name, _lock_of(place, "lightspeed"))
    return LightspeedR(
        client_id=till.client_id,
        client_secret=till.client_secret.get_secret_value(),
        refresh_token=refresh_token,
        store=TillTokens(drawer),
        clock=clock,
        rng=rng,
        http=http,
        account_id=till.account_id,
        api_url=till.api_url,
        auth_url=till.auth_url,
        quota=spending.till,
    )


def _crm(
    config: Config,
    place: Place,
    state: State,
    vault: Vault,
    clock: Clock,
    rng: random.Random,
    http: Http,
    spending: Spending,
    *,
    history: bool,
) -> SalesforceClient:
    crm = config.salesforce
    refresh_token = crm.refresh_token.get_secret_value() if crm.refresh_token else None
    name = drawer_name("salesforce", crm.login_url.rstrip("/"), crm.client_id, refresh_token or "")
    drawer = TokenDrawer(state, vault, name, _lock_of(place, "salesforce"))
    credentials = Credentials(
        grant=crm.auth,
        login_url=crm.login_url,
        client_id=crm.client_id,
        client_secret=crm.client_secret.get_secret_value() if crm.client_secret else None,
        username=crm.username,
        private_key=_private_key(config),
        refresh_token=refresh_token,
        audience=crm.audience,
    )
    client = SalesforceClient(
        http,
        credentials,
        api_version=crm.api_version,
        clock=clock,
        rng=rng,
        token_store=CrmToken(drawer),
        history=history,
        quota=spending.crm,
    )
    spending.crm.asks(client.look)
    return client


def _private_key(config: Config) -> str | None:
    path, held = config.salesforce.private_key_file, config.salesforce.private_key
    if config.salesforce.auth != "jwt":
        return None
    if held is not None:
        return held.get_secret_value()
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationInvalid([("salesforce.private_key_file", reason)]) from error


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the home directory's write lock: two runs at once would do everything twice."""
    import fcntl

    handle = os.open(home / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(f"Another run is writing with {home}. Wait until it ends.") from None
    else:
        yield
    finally:
        os.close(handle)

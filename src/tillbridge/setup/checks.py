"""Look at everything that a run needs, one line each, and say what to do about what is wrong.

It goes on as far as it can: a till that does not let us in is no reason not to
look at the CRM. It changes nothing on either side. `tillbridge doctor` prints
it, the console's set-up shows it as a checklist.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from tillbridge.config import FILE_NAME, located
from tillbridge.connectors.http import Http
from tillbridge.connectors.lightspeed_r.protocol import WRITE_SCOPE
from tillbridge.engine.connection import Progress, Silent
from tillbridge.engine.preflight import mistakes_of
from tillbridge.engine.room import needed_megabytes
from tillbridge.engine.sync import LISTENS
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Busy, ConfigurationInvalid, LimitReached, SyncError, Transient
from tillbridge.model.reading import Query
from tillbridge.secrets import KEY_FILE, open_vault
from tillbridge.setup.package import PERMISSION_SET
from tillbridge.wiring import open_home

if TYPE_CHECKING:
    from tillbridge.model.writing import AutomationKind, ObjectFacts
    from tillbridge.wiring import Parts

Level = Literal["ok", "warn", "fail"]

# Who can help against a failure: a person has to change something, or it passes.
Blame = Literal["", "wrong", "later"]

# How an error is worded, for a terminal or for a page.
Tell = Callable[[SyncError], str]

# A clock that is further off than this fails JWT logins, and makes our own times unreadable.
SKEW_SECONDS_MAX = 120.0

# Below these shares of the day a warning is due.
_CALLS_LEFT_MIN = 0.2
_STORAGE_LEFT_MIN = 0.1

# A year of an ordinary shop takes some hundred megabytes; a bulk load wants about as much for its files.
_DISK_MEGABYTES_WANTED = 1_000
_DISK_MEGABYTES_MIN = 100

# https://developers.lightspeedhq.com/retail/authentication/scopes/
_ALL_SCOPES = "employee:all"

# A live poll every minute and a nightly sweep spend some 2,000 calls a day.
_CALLS_WANTED = 2_000

_LIMITS = {
    "DailyApiRequests": ("API calls", _CALLS_LEFT_MIN, "runs pause until the window opens"),
    "DailyBulkApiBatches": ("bulk batches", _CALLS_LEFT_MIN, "a backfill pauses until the window opens"),
    "DataStorageMB": ("MB of data storage", _STORAGE_LEFT_MIN, "free some, or buy more, before a backfill"),
}


class Check(msgspec.Struct, frozen=True):
    """One thing looked at. `blame`: who can help against a failure."""

    area: str
    what: str
    level: Level
    text: str
    advice: str | None = None
    blame: Blame = ""


def checks(
    home: Path,
    *,
    clock: Clock,
    env: Mapping[str, str] = os.environ,
    progress: Progress | None = None,
    tell: Tell = str,
) -> Iterator[Check]:
    """Look at a home's connection. Yields each check as it is made."""
    yield from _key(home, env, tell)
    progress = progress or Silent()
    try:
        parts = open_home(home, clock=clock, progress=progress, env=env)
    except ConfigurationInvalid as error:
        where = f"It stands in {home / FILE_NAME}."
        for path, text in error.mistakes:
            in_file = located(home, error) is not error and path != str(home / FILE_NAME)
            yield Check("home", path, "fail", text, where if in_file else None, "wrong")
        return
    yield Check("home", "configuration", "ok", f"{home / 'tillbridge.toml'} is complete")
    bar = progress.bar("Looking at Lightspeed and Salesforce")
    try:
        yield from _bound(parts)
        yield from _disk(home)
        yield from _till(parts, bar.advance, tell)
        yield from _crm(parts, bar.advance, tell)
        yield from _clocks(parts)
    finally:
        bar.close()
        parts.close()


def number(count: float) -> str:
    """Write a count with its thousands apart."""
    return f"{count:,.0f}"


def _failed(area: str, what: str, error: SyncError, tell: Tell) -> Check:
    passes = isinstance(error, Transient | LimitReached | Busy)
    return Check(area, what, "fail", tell(error), blame="later" if passes else "wrong")


def _key(home: Path, env: Mapping[str, str], tell: Tell) -> Iterator[Check]:
    if env.get("TILLBRIDGE_KEY"):
        where = "TILLBRIDGE_KEY"
    elif (home / KEY_FILE).exists():
        where = f"{home / KEY_FILE}, readable by this user only"
    else:
        where = f"{home / KEY_FILE} is made with the first run"
    try:
        if (home / KEY_FILE).exists() or env.get("TILLBRIDGE_KEY"):
            open_vault(home, env)
    except ConfigurationInvalid as error:
        yield _failed("home", "key", error, tell)
        return
    yield Check("home", "key", "ok", where)


def _bound(parts: Parts) -> Iterator[Check]:
    account = parts.state.fact("till_account")
    org = parts.state.fact("crm_org")
    if account is None:
        yield Check("home", "state", "ok", "not bound to an account and org yet; the first run binds it")
        return
    wanted = parts.config.lightspeed.account_id
    if account != wanted:
        text = f"it belongs to Lightspeed account {account}, but account {wanted} is configured"
        yield Check("home", "state", "fail", text, "Use another home directory, or set it back.", "wrong")
        return
    yield Check("home", "state", "ok", f"bound to Lightspeed account {account} and Salesforce org {org}")


def _disk(home: Path) -> Iterator[Check]:
    """See whether the state may grow: a full disk stops every run."""
    free = shutil.disk_usage(home).free / 1_000_000
    text = f"{number(free)} MB are free beside the state"
    if free < _DISK_MEGABYTES_MIN:
        advice = "Make room: the state cannot be written any more soon."
        yield Check("home", "disk", "fail", text, advice, "later")
    elif free < _DISK_MEGABYTES_WANTED:
        yield Check("home", "disk", "warn", text, "Make room before a backfill.")
    else:
        yield Check("home", "disk", "ok", text)


# --- the till ------------------------------------------------------------------------------------


def _till(parts: Parts, tick: Callable[[], None], tell: Tell) -> Iterator[Check]:
    till = parts.till
    try:
        account = till.account()
    except SyncError as error:
        yield _failed("Lightspeed", "login", error, tell)
        return
    name = f"{account.name} ({account.id}), {account.currency}"
    yield Check("Lightspeed", "login", "ok", f"let into {name}")
    tick()
    every = Query()
    resources: dict[str, Callable[[], object]] = {
        "shops": till.stores,
        "registers": till.registers,
        "employees": till.employees,
        "categories": till.categories,
        "customers": lambda: next(till.customers(every), None),
        "products": lambda: next(till.products(every), None),
        "stock": lambda: next(till.stock(every), None),
        "sales": lambda: next(till.sales(every), None),
        "voids": lambda: next(till.voids(None), None),
    }
    unreadable = []
    for what, read in resources.items():
        try:
            read()
        except SyncError as error:
            unreadable.append(_failed("Lightspeed", what, error, tell))
        tick()
    yield from unreadable
    readable = [what for what in resources if what not in {check.what for check in unreadable}]
    yield Check("Lightspeed", "resources", "ok", f"readable: {', '.join(readable)}")
    yield _scopes(parts)


def _scopes(parts: Parts) -> Check:
    """See whether the token lets us do what the configuration wants; what cannot be read was said above."""
    held = parts.till.scopes()
    if held is None:
        return Check(
            "Lightspeed", "scopes", "ok", "the token does not name any; what it may is seen by trying"
        )
    if parts.settings.mode in LISTENS and not held & {WRITE_SCOPE, _ALL_SCOPES}:
        return Check(
            "Lightspeed",
            "scopes",
            "fail",
            f'customers.mode is "{parts.settings.mode}", but the token may not write customers: it lacks '
            f"{WRITE_SCOPE}",
            f"Authorise again with {WRITE_SCOPE}, or set customers.mode to till_to_crm.",
            "wrong",
        )
    return Check("Lightspeed", "scopes", "ok", f"the token holds {', '.join(sorted(held))}")


# --- the CRM -------------------------------------------------------------------------------------


def _crm(parts: Parts, tick: Callable[[], None], tell: Tell) -> Iterator[Check]:
    crm = parts.crm
    try:
        org = crm.org()
    except SyncError as error:
        yield _failed("Salesforce", "login", error, tell)
        return
    yield Check("Salesforce", "login", "ok", f"let into org {org.id} at {org.instance_url}")
    bound = parts.state.fact("crm_org")
    if bound is not None and bound != org.id:
        text = f"this home directory belongs to org {bound}, but the configuration leads to {org.id}"
        yield Check("Salesforce", "org", "fail", text, "Use another home directory, or set it back.", "wrong")
    for what, look in (
        ("API version", _version),
        ("limits", _limits),
        ("objects and fields", _objects),
        ("permission set", _permission_set),
        ("flows and rules", _automations),
        ("first load", _first_load),
    ):
        try:
            yield from look(parts)
        except SyncError as error:
            yield _failed("Salesforce", what, error, tell)
        tick()


def _version(parts: Parts) -> Iterator[Check]:
    wanted, offered = parts.config.salesforce.api_version, parts.crm.versions()
    if wanted in offered:
        yield Check("Salesforce", "API version", "ok", f"{wanted} is offered")
        return
    newest = offered[-1] if offered else "none"
    text = f"{wanted} is not offered; the newest is {newest}"
    yield Check(
        "Salesforce",
        "API version",
        "fail",
        text,
        f'Set salesforce.api_version = "{newest}" in tillbridge.toml.',
        "wrong",
    )


def _limits(parts: Parts) -> Iterator[Check]:
    limits = parts.crm.limits()
    for name, (what, share, consequence) in _LIMITS.items():
        if name not in limits:
            continue
        left, allowed = limits[name]
        text = f"{number(left)} of {number(allowed)} {what} left"
        scarce = left < share * allowed or (name == "DailyApiRequests" and left < _CALLS_WANTED)
        if left <= 0:
            advice = f"Nothing is left: {consequence}."
            yield Check("Salesforce", name, "fail", text, advice, "later")
        elif scarce:
            yield Check("Salesforce", name, "warn", text, f"It is getting scarce: {consequence}.")
        else:
            yield Check("Salesforce", name, "ok", text)


def _objects(parts: Parts) -> Iterator[Check]:
    names = sorted({table.object for table in parts.maps.values()} | {"Account"})
    objects: dict[str, ObjectFacts] = {}
    for name in names:
        found = parts.crm.describe(name)
        if found is not None:
            objects[name] = found
    mistakes = mistakes_of(parts.maps, objects)
    for path, text in mistakes:
        yield Check("Salesforce", path, "fail", text, blame="wrong")
    if not mistakes:
        yield Check("Salesforce", "objects and fields", "ok", "all that the field map writes may be written")
    yield _model(parts, objects.get("Account"))


def _model(parts: Parts, account: ObjectFacts | None) -> Check:
    persons = account is not None and "IsPersonAccount" in account.fields
    model = parts.config.customers.model
    what = "customer model"
    if model == "person_account" and not persons:
        return Check(
            "Salesforce",
            what,
            "fail",
            'customers.model is "person_account", but the org has no person accounts',
            'Switch person accounts on in the org, or set customers.model to "contact" or "lead".',
            "wrong",
        )
    if model == "contact" and persons:
        text = 'customers.model is "contact", though the org has person accounts'
        return Check("Salesforce", what, "warn", text, 'Consider "person_account": one record a person.')
    return Check("Salesforce", what, "ok", f"{model} suits the org")


def _permission_set(parts: Parts) -> Iterator[Check]:
    if parts.crm.has_permission_set(PERMISSION_SET):
        yield Check("Salesforce", "permission set", "ok", f"{PERMISSION_SET} is assigned to our user")
        return
    text = f"{PERMISSION_SET} is not assigned to our user"
    advice = "Run `tillbridge schema deploy`, which installs and assigns it."
    yield Check("Salesforce", "permission set", "fail", text, advice, "wrong")


# --- what the org does by itself -----------------------------------------------------------------

_PERSON_OBJECTS = {"Account": "Contact"}  # a person account is a contact, too

_OF_HISTORY = "and a first load saves thousands of rows of history"
_LEAVE_OUT = (
    "Let it leave rows alone whose Loaded_As_History__c is set, or users who hold Tillbridge_Bypass; or "
    "switch it off during the first load."
)
_EFFECTS: dict[AutomationKind, tuple[str, str]] = {
    "flow": (f"runs when a row of {{object}} is saved ({{when}}), {_OF_HISTORY}", _LEAVE_OUT),
    "trigger": (f"runs when a row of {{object}} is saved, {_OF_HISTORY}", _LEAVE_OUT),
    "validation rule": (
        "may refuse rows of {object}",
        "See whether what comes from the till can satisfy it, or exempt users who hold Tillbridge_Bypass.",
    ),
    "duplicate rule": (
        "may hold back people in {object}: they wait for a person then",
        "Let it alert instead of block, or exempt our user from it.",
    ),
}


def _automations(parts: Parts) -> Iterator[Check]:
    """List what would run, or refuse, when our rows come."""
    names = {table.object for table in parts.maps.values()}
    if parts.config.customers.model == "person_account":
        names |= {more for name, more in _PERSON_OBJECTS.items() if name in names}
    found, hidden = parts.crm.automations(names)
    for each in found:
        effect, advice = _EFFECTS[each.kind]
        text = effect.format(object=each.object, when=each.when)
        yield Check("Salesforce", f"{each.kind} {each.name}", "warn", text, advice)
    if hidden:
        kinds = ", ".join(f"{kind}s" for kind in hidden)
        text = f"our user may not see the org's {kinds}, so nobody knows which of them act on our rows"
        advice = "Give the user View Setup and Customize Application for this check, or look in Setup."
        yield Check("Salesforce", "flows and rules", "warn", text, advice)
    if not found and not hidden:
        text = "nothing of the org's own acts on the objects that we write"
        yield Check("Salesforce", "flows and rules", "ok", text)


def _first_load(parts: Parts) -> Iterator[Check]:
    """See whether the first load fits, as long as it has not begun."""
    if parts.state.fact("backfill_began") is not None:
        return
    storage = parts.crm.limits().get("DataStorageMB")
    if storage is None:
        return
    needed = needed_megabytes(parts.till, parts.settings, len(parts.till.stores()))
    text = f"needs about {number(needed)} MB of storage, {number(storage[0])} MB are free"
    if needed > storage[0]:
        advice = "Free some, buy more, or set sales.since: `tillbridge backfill` halts before it writes."
        yield Check("Salesforce", "first load", "fail", text, advice, "wrong")
    else:
        yield Check("Salesforce", "first load", "ok", text)


# --- clocks --------------------------------------------------------------------------------------


def _clocks(parts: Parts) -> Iterator[Check]:
    """Compare our clock with both servers' Date headers; asking for an unknown page tells the time too."""
    urls = {
        "Lightspeed": parts.config.lightspeed.api_url,
        "Salesforce": parts.config.salesforce.login_url,
    }
    with Http() as http:
        for area, url in urls.items():
            try:
                there = http.request("GET", f"{url}/", timeout_total=20.0).date
            except SyncError:
                continue  # The login above has told that nobody answers there.
            if there is not None:
                yield _clock(area, parts.clock.now(), there)


def _clock(area: str, ours: datetime, theirs: datetime) -> Check:
    skew = (ours - theirs).total_seconds()
    if abs(skew) <= SKEW_SECONDS_MAX:
        return Check(area, "clock", "ok", f"within {max(1, abs(round(skew)))} s of ours")
    way = "ahead of" if skew > 0 else "behind"
    text = f"this machine's clock is {abs(skew):,.0f} s {way} {area}'s"
    return Check(area, "clock", "warn", text, "Set the clock by NTP: logins by JWT fail when it is off.")

"""`doctor`: look at everything a run needs, one line each, and say what to do about what is wrong.

It goes on as far as it can: a till that does not let us in is no reason not to
look at the CRM. It changes nothing on either side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from tillbridge.cli import words
from tillbridge.cli.desk import Desk
from tillbridge.model.errors import ConfigurationInvalid, SyncError

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.engine.connection import Progress
    from tillbridge.model.writing import ObjectFacts
    from tillbridge.wiring import Parts

Level = Literal["ok", "warn", "fail"]

# A clock that is further off than this fails JWT logins, and makes our own times unreadable.
SKEW_SECONDS_MAX = 120.0

# Below these shares of the day a warning is due.
_CALLS_LEFT_MIN = 0.2
_STORAGE_LEFT_MIN = 0.1

# A live poll every minute and a nightly sweep spend some 2,000 calls a day.
_CALLS_WANTED = 2_000

_LIMITS = {
    "DailyApiRequests": ("API calls", _CALLS_LEFT_MIN, "runs pause until the window opens"),
    "DailyBulkApiBatches": ("bulk batches", _CALLS_LEFT_MIN, "a backfill pauses until the window opens"),
    "DataStorageMB": ("MB of data storage", _STORAGE_LEFT_MIN, "free some, or buy more, before a backfill"),
}


class Check(msgspec.Struct, frozen=True):
    """One thing looked at. `status` is what a failure makes of the exit status."""

    area: str
    what: str
    level: Level
    text: str
    advice: str | None = None
    status: int = words.DONE


def examine(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Look at everything, print it, and return the exit status."""
    with desk.screen.progress() as progress:
        checks = list(_checks(desk, home, progress))
    if as_json:
        desk.screen.document({"home": str(home), "checks": [msgspec.to_builtins(c) for c in checks]})
    else:
        _show(desk.screen.result, checks)
    statuses = {check.status for check in checks}
    return next((s for s in (words.WRONG, words.TRY_LATER) if s in statuses), words.DONE)


def _checks(desk: Desk, home: Path, progress: Progress) -> Iterator[Check]:
    from tillbridge.wiring import open_home

    yield from _key(desk, home)
    try:
        parts = open_home(home, clock=desk.clock, progress=progress, env=desk.env)
    except ConfigurationInvalid as error:
        for path, text in error.mistakes:
            yield Check("home", path, "fail", text, status=words.WRONG)
        return
    yield Check("home", "configuration", "ok", f"{home / 'tillbridge.toml'} is complete")
    bar = progress.bar("Looking at Lightspeed and Salesforce")
    try:
        yield from _bound(parts)
        yield from _till(parts, bar.advance)
        yield from _crm(parts, bar.advance)
        yield from _clocks(parts)
    finally:
        bar.close()
        parts.close()


def _failed(area: str, what: str, error: SyncError) -> Check:
    told = words.tell(error)
    return Check(area, what, "fail", " ".join(told.lines), status=told.status)


def _key(desk: Desk, home: Path) -> Iterator[Check]:
    from tillbridge.secrets import KEY_FILE, open_vault

    if desk.env.get("TILLBRIDGE_KEY"):
        where = "TILLBRIDGE_KEY"
    elif (home / KEY_FILE).exists():
        where = f"{home / KEY_FILE}, readable by this user only"
    else:
        where = f"{home / KEY_FILE} is made with the first run"
    try:
        if (home / KEY_FILE).exists() or desk.env.get("TILLBRIDGE_KEY"):
            open_vault(home, desk.env)
    except ConfigurationInvalid as error:
        yield _failed("home", "key", error)
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
        yield Check("home", "state", "fail", text, "Use another home directory, or set it back.", words.WRONG)
        return
    yield Check("home", "state", "ok", f"bound to Lightspeed account {account} and Salesforce org {org}")


# --- the till ------------------------------------------------------------------------------------


def _till(parts: Parts, tick: Callable[[], None]) -> Iterator[Check]:
    from tillbridge.model.reading import Query

    till = parts.till
    try:
        account = till.account()
    except SyncError as error:
        yield _failed("Lightspeed", "login", error)
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
            unreadable.append(_failed("Lightspeed", what, error))
        tick()
    yield from unreadable
    readable = [what for what in resources if what not in {check.what for check in unreadable}]
    yield Check("Lightspeed", "resources", "ok", f"readable: {', '.join(readable)}")


# --- the CRM -------------------------------------------------------------------------------------


def _crm(parts: Parts, tick: Callable[[], None]) -> Iterator[Check]:
    crm = parts.crm
    try:
        org = crm.org()
    except SyncError as error:
        yield _failed("Salesforce", "login", error)
        return
    yield Check("Salesforce", "login", "ok", f"let into org {org.id} at {org.instance_url}")
    bound = parts.state.fact("crm_org")
    if bound is not None and bound != org.id:
        text = f"this home directory belongs to org {bound}, but the configuration leads to {org.id}"
        yield Check(
            "Salesforce", "org", "fail", text, "Use another home directory, or set it back.", words.WRONG
        )
    for what, look in (
        ("API version", _version),
        ("limits", _limits),
        ("objects and fields", _objects),
        ("permission set", _permission_set),
    ):
        try:
            yield from look(parts)
        except SyncError as error:
            yield _failed("Salesforce", what, error)
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
        words.WRONG,
    )


def _limits(parts: Parts) -> Iterator[Check]:
    limits = parts.crm.limits()
    for name, (what, share, consequence) in _LIMITS.items():
        if name not in limits:
            continue
        left, allowed = limits[name]
        text = f"{words.number(left)} of {words.number(allowed)} {what} left"
        scarce = left < share * allowed or (name == "DailyApiRequests" and left < _CALLS_WANTED)
        if left <= 0:
            advice = f"Nothing is left: {consequence}."
            yield Check("Salesforce", name, "fail", text, advice, words.TRY_LATER)
        elif scarce:
            yield Check("Salesforce", name, "warn", text, f"It is getting scarce: {consequence}.")
        else:
            yield Check("Salesforce", name, "ok", text)


def _objects(parts: Parts) -> Iterator[Check]:
    from tillbridge.engine.preflight import mistakes_of

    names = sorted({table.object for table in parts.maps.values()} | {"Account"})
    objects: dict[str, ObjectFacts] = {}
    for name in names:
        found = parts.crm.describe(name)
        if found is not None:
            objects[name] = found
    mistakes = mistakes_of(parts.maps, objects)
    for path, text in mistakes:
        yield Check("Salesforce", path, "fail", text, status=words.WRONG)
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
            words.WRONG,
        )
    if model == "contact" and persons:
        text = 'customers.model is "contact", though the org has person accounts'
        return Check("Salesforce", what, "warn", text, 'Consider "person_account": one record a person.')
    return Check("Salesforce", what, "ok", f"{model} suits the org")


def _permission_set(parts: Parts) -> Iterator[Check]:
    from tillbridge.cli.setup import PERMISSION_SET

    if parts.crm.has_permission_set(PERMISSION_SET):
        yield Check("Salesforce", "permission set", "ok", f"{PERMISSION_SET} is assigned to our user")
        return
    text = f"{PERMISSION_SET} is not assigned to our user"
    advice = "Run `tillbridge schema deploy`, which installs and assigns it."
    yield Check("Salesforce", "permission set", "fail", text, advice, words.WRONG)


# --- clocks --------------------------------------------------------------------------------------


def _clocks(parts: Parts) -> Iterator[Check]:
    """Compare our clock with both servers' Date headers; asking for an unknown page tells the time too."""
    from tillbridge.connectors.http import Http

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


# --- showing -------------------------------------------------------------------------------------

# A schema that is not installed misses hundreds of fields; the first few tell it all, the document the rest.
_ALIKE_SHOWN = 4

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def _show(result: Console, checks: list[Check]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for width in (1, None, None):
        table.add_column(width=width, no_wrap=width is None)
    table.add_column(overflow="fold")
    area = ""
    for check in _folded(checks):
        mark, style = _MARKS[check.level]
        text = Text(words.plain(check.text), "" if check.level == "ok" else style)
        if check.advice:
            text.append(f"\n→ {check.advice}", "cyan")
        table.add_row(
            Text(mark, style), Text(check.area if check.area != area else "", "bold"), check.what, text
        )
        area = check.area
    result.print(table)
    result.print()
    bad = sum(check.level == "fail" for check in checks)
    warned = sum(check.level == "warn" for check in checks)
    if bad:
        result.print(f"{words.several(bad, 'thing')} to put right before a run can work.", style="red")
    elif warned:
        result.print(f"Runs can work; {words.several(warned, 'thing')} to look at.", style="yellow")
    else:
        result.print("All is well: `tillbridge backfill` may begin.", style="green")


def _folded(checks: list[Check]) -> Iterator[Check]:
    """Show the first few of the fields that are missing, and count the rest."""
    missing = [check for check in checks if check.level == "fail" and check.what.startswith("map.")]
    hidden = missing[_ALIKE_SHOWN:] if len(missing) > _ALIKE_SHOWN + 1 else []
    for check in checks:
        if check not in hidden:
            yield check
        elif check is hidden[0]:
            text = f"and {words.number(len(hidden))} more objects and fields; --json lists all"
            yield Check(check.area, "", "fail", text)

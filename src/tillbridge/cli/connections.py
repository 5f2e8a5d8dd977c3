"""`connection add|list|test|remove`: several tills and orgs in one installation, each in a home of its own.

What a person types as a secret goes into the sealed file of that home at once;
it never stands on a command line, in a configuration or in what is printed.
"""

from __future__ import annotations

import sys
import time
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import CONFIG_FILE, Desk, Ledger, agrees, held_plans, open_ledger
from tillbridge.cli.setup import Answers, check_answers, filled, write_once
from tillbridge.model.errors import Busy, ConfigurationInvalid, SyncError

if TYPE_CHECKING:
    from tillbridge.wiring import Parts

# A slice of the service ends well within this; longer, and somebody should look.
_WAIT_SECONDS = 60.0
_LOOK_SECONDS = 0.2

# The secrets of each way to log in: name in the sealed file, the variable that may bring it.
_TILL = ("lightspeed_client_secret", "lightspeed_refresh_token")
_CRM = {
    "jwt": ("salesforce_private_key",),
    "client_credentials": ("salesforce_client_secret",),
    "refresh_token": ("salesforce_refresh_token",),
}
_CRM_LINES = {
    "jwt": 'private_key = { secret = "salesforce_private_key" }',
    "client_credentials": 'client_secret = { secret = "salesforce_client_secret" }',
    "refresh_token": 'refresh_token = { secret = "salesforce_refresh_token" }',
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person has said of a new connection."""

    answers: Answers
    auth: str = "jwt"
    secrets_file: Path | None = None
    private_key_file: Path | None = None


# --- add -----------------------------------------------------------------------------------------


def add(desk: Desk, folder: Path, name: str, wishes: Wishes, *, as_json: bool) -> int:
    """Make the home of another connection."""
    from tillbridge import installation
    from tillbridge.secrets import SealedSecrets, open_vault
    from tillbridge.wiring import open_state

    home = folder / installation.CONNECTIONS / name
    _check(folder, name, wishes)
    given, missing = _gathered(desk, wishes)
    for each in (folder, home.parent, home):
        each.mkdir(mode=0o700, parents=each == folder, exist_ok=True)
    sealed = SealedSecrets(home, open_vault(home, desk.env))
    for secret, value in given.items():
        sealed.set(secret, value)
    open_state(home, desk.clock, desk.env).close()
    # Last: a folder without a configuration is no connection yet.
    write_once(home / CONFIG_FILE, _configuration(wishes))
    if as_json:
        desk.screen.document(
            {"connection": name, "home": str(home), "sealed": sorted(given), "missing": missing}
        )
        return words.DONE
    out = desk.screen.result
    out.print(f"Made {home}", soft_wrap=True, markup=False)
    for line in _next_steps(home, name, missing):
        out.print(line, soft_wrap=True, markup=False)
    return words.DONE


def _check(folder: Path, name: str, wishes: Wishes) -> None:
    from tillbridge import installation

    mistakes: list[tuple[str, str]] = []
    if not installation.is_name(name):
        text = "a name begins with a small letter or digit and holds 40 of a-z, 0-9, - and _ at most"
        mistakes.append((name, text))
    elif name == installation.DEFAULT:
        text = "is the name of the folder's own connection, which `tillbridge init` makes; choose another"
        mistakes.append((name, text))
    elif (folder / installation.CONNECTIONS / name / CONFIG_FILE).exists():
        mistakes.append((name, f"there is a connection of that name in {folder} already"))
    if wishes.auth not in _CRM:
        mistakes.append(("--auth", f"is one of {', '.join(_CRM)}, not {wishes.auth}"))
    if wishes.private_key_file is not None and wishes.auth != "jwt":
        mistakes.append(("--private-key-file", "is for --auth jwt"))
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    check_answers(wishes.answers)


def _gathered(desk: Desk, wishes: Wishes) -> tuple[dict[str, str], list[str]]:
    """Return the secrets that were given, and the names of those that were not."""
    wanted = (*_TILL, *_CRM[wishes.auth])
    given = _filed(wishes.secrets_file, wanted) if wishes.secrets_file is not None else {}
    if wishes.private_key_file is not None:
        given["salesforce_private_key"] = _private_key(wishes.private_key_file)
    for name in wanted:
        if name not in given and (value := desk.env.get(name.upper())):
            given[name] = value
    if sys.stdin.isatty():
        given.update(
            _asked(name for name in wanted if name not in given and name != "salesforce_private_key")
        )
    return given, [name for name in wanted if name not in given]


def _filed(path: Path, wanted: tuple[str, ...]) -> dict[str, str]:
    where = str(path)
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationInvalid([(where, "may be read by others; run chmod 600 on it")])
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        # The parser's own words would repeat what it could not read.
        raise ConfigurationInvalid([(where, 'is not valid TOML: a line is NAME = "value"')]) from None
    mistakes = [
        (f"{where}: {name}", f"is none of {', '.join(wanted)}") for name in found if name not in wanted
    ]
    mistakes += [(f"{where}: {name}", "must be a text") for name in found if not isinstance(found[name], str)]
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    return found


def _private_key(path: Path) -> str:
    text = path.read_text(encoding="ascii", errors="replace")
    if "PRIVATE KEY" not in text:
        raise ConfigurationInvalid([("--private-key-file", f"{path} holds no private key in PEM")])
    return text


def _asked(names: Iterator[str]) -> dict[str, str]:
    import getpass

    typed = {name: getpass.getpass(f"{name} (not shown; empty: later): ", sys.stderr) for name in names}
    return {name: value for name, value in typed.items() if value}


def _configuration(wishes: Wishes) -> str:
    text = filled(wishes.answers)
    for name in _TILL:
        text = text.replace(f'{{ env = "{name.upper()}" }}', f'{{ secret = "{name}" }}')
    text = text.replace('auth = "jwt" ', f'auth = "{wishes.auth}" ')
    return text.replace('private_key_file = "salesforce.key"', _CRM_LINES[wishes.auth])


def _next_steps(home: Path, name: str, missing: list[str]) -> list[str]:
    steps = [f"tillbridge secrets set {each} --connection {name}" for each in missing]
    steps += [
        f"see to what is not filled in yet in {home / CONFIG_FILE}",
        f"tillbridge connection test {name}",
        f"tillbridge schema deploy --connection {name}",
        f"tillbridge backfill --connection {name}; a service that runs takes it in by itself",
    ]
    return ["", "Next:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]


# Where the latest so many runs failed, the connection shows as never synced.
_LOOKED_BACK = 50


# --- list ----------------------------------------------------------------------------------------


def show_all(desk: Desk, folder: Path, *, as_json: bool) -> int:
    """Show every connection, and how each is; one that cannot be read is no reason to hide the others."""
    from tillbridge import installation

    stopped, troubles, known = _served(desk, folder)
    found = [
        _standing(desk, name, home, stopped.get(name), troubles.get(name))
        for name, home in installation.connections(folder).items()
    ]
    found += [_lost(name, home) for name, home in installation.gone(folder, known).items()]
    if as_json:
        desk.screen.document({"installation": str(folder), "connections": found})
    else:
        _table(desk, found)
    return words.NEEDS_PERSON if any(each["needs_person"] or each["error"] for each in found) else words.DONE


def _served(
    desk: Desk, folder: Path
) -> tuple[Mapping[str, tuple[str, float]], Mapping[str, str], Collection[str]]:
    """Return which connections are paused, what the service fails at in others, and all that it knows.

    Nobody who only looks makes the service's tables.
    """
    if not _is_served_ever(desk, folder):
        return {}, {}, ()
    from tillbridge.cli.serve import open_shared

    with open_shared(folder, desk.env) as (service, _, _):
        failing = (each for each in service.streams() if each.fails and each.why)
        return service.stopped(), {each.connection: each.why or "" for each in failing}, service.known()


def lost_text(name: str, home: Path) -> str:
    """Say that a connection's folder is gone, and what can be done about it."""
    return (
        f"{home / CONFIG_FILE} is not there any more, and the service still keeps its place: put the folder "
        f"back, or `tillbridge connection remove {name}` forgets it"
    )


def _lost(name: str, home: Path) -> dict[str, Any]:
    """Return how a connection stands whose folder was deleted by hand."""
    return {**_unknown(name, home), "state": "gone", "error": lost_text(name, home)}


def _unknown(name: str, home: Path) -> dict[str, Any]:
    return {
        "connection": name,
        "home": str(home),
        "state": "active",
        "why": None,
        "lightspeed_account": None,
        "salesforce_org": None,
        "last_sync": None,
        "problems": 0,
        "plans": 0,
        "needs_person": False,
        "error": None,
    }


def _is_served_ever(desk: Desk, folder: Path) -> bool:
    from tillbridge.installation import service_settings
    from tillbridge.store.service import FILE_NAME

    return (folder / FILE_NAME).exists() or service_settings(folder, desk.env).database_url is not None


def _standing(
    desk: Desk, name: str, home: Path, paused: tuple[str, float] | None, trouble: str | None
) -> dict[str, Any]:
    from tillbridge import config
    from tillbridge.cli.status import moment

    standing = {
        **_unknown(name, home),
        "state": "paused" if paused else "active",
        "why": paused[0] if paused else None,
        "error": trouble,
    }
    try:
        config.load(home, desk.env)
        with open_ledger(desk, home) as ledger:
            synced = _last_sync(desk, home, ledger)
            standing["lightspeed_account"] = ledger.state.fact("till_account")
            standing["salesforce_org"] = ledger.state.fact("crm_org")
            standing["last_sync"] = None if synced is None else moment(synced)
            standing["problems"] = ledger.journal.count_open()
            standing["plans"] = len(held_plans(ledger.plans))
    except ConfigurationInvalid as error:
        standing["error"] = " ".join(words.tell(config.located(home, error)).lines)
    except (SyncError, OSError) as error:
        standing["error"] = " ".join(words.tell(error).lines)
    standing["needs_person"] = bool(standing["problems"] or standing["plans"])
    if standing["state"] == "active" and standing["last_sync"] is None and standing["error"] is None:
        standing["state"] = "new"
    return standing


def _last_sync(desk: Desk, home: Path, ledger: Ledger) -> float | None:
    """Return when a stream was last read, or a run ended well: a quiet poll leaves no run behind."""
    from tillbridge.store.notices import Notices
    from tillbridge.wiring import vault_for

    pulses = Notices(ledger.state, vault_for(home, ledger.state, desk.env)).pulses()
    runs = ledger.journal.last_runs(_LOOKED_BACK)
    ended = [run.ended_at for run in runs if run.ended_at is not None and run.outcome == "done"]
    return max([*(pulse.polled_at for pulse in pulses), *ended], default=None)


def _table(desk: Desk, found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    if not found:
        desk.screen.note("There is no connection here; `tillbridge connection add NAME` makes one.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("Connection", "State", "Lightspeed", "Salesforce", "Last sync", "Problems", "Note"):
        table.add_column(title, overflow="fold")
    for each in found:
        table.add_row(
            each["connection"],
            each["state"],
            each["lightspeed_account"] or "",
            each["salesforce_org"] or "",
            each["last_sync"] or "never",
            words.number(each["problems"] + each["plans"]),
            words.plain(each["error"] or each["why"] or ""),
        )
    desk.screen.result.print(table)


# --- test ----------------------------------------------------------------------------------------


def test(desk: Desk, folder: Path, name: str, *, as_json: bool) -> int:
    """Log in to both sides, read one thing of each, and say in a sentence what does not work."""
    from tillbridge.wiring import open_home

    sides: list[dict[str, Any]] = []
    statuses = [words.DONE]
    try:
        parts = open_home(_home_of(folder, name), clock=desk.clock, env=desk.env)
    except ConfigurationInvalid as error:
        told = words.tell(error)
        sides = [{"side": "configuration", "ok": False, "text": line} for line in told.lines]
        statuses.append(told.status)
    else:
        try:
            for side, look in (("Lightspeed", _look_at_till), ("Salesforce", _look_at_crm)):
                ok, text, status = _looked(parts, look)
                sides.append({"side": side, "ok": ok, "text": text})
                statuses.append(status)
        finally:
            parts.close()
    if as_json:
        works = all(each["ok"] for each in sides)
        desk.screen.document({"connection": name, "works": works, "sides": sides})
    else:
        for each in sides:
            mark = "✓" if each["ok"] else "✗"
            desk.screen.result.print(f"{mark} {each['side']}: {each['text']}", soft_wrap=True, markup=False)
    return next((status for status in (words.WRONG, words.TRY_LATER) if status in statuses), words.DONE)


def _home_of(folder: Path, name: str) -> Path:
    from tillbridge import installation

    found = installation.connections(folder)
    if name not in found:
        offered = ", ".join(found) or "none"
        raise ConfigurationInvalid([(name, f"{folder} has no connection of that name; it has: {offered}")])
    return found[name]


def _looked(parts: Parts, look: Callable[[Parts], str]) -> tuple[bool, str, int]:
    try:
        return True, look(parts), words.DONE
    except SyncError as error:
        told = words.tell(error)
        return False, words.plain(" ".join(told.lines)), told.status


def _look_at_till(parts: Parts) -> str:
    account = parts.till.account()
    parts.state.check_bound("till_account", account.id)
    return f"let into account {account.id}."


def _look_at_crm(parts: Parts) -> str:
    org = parts.crm.org()
    parts.state.check_bound("crm_org", org.id)
    version = parts.config.salesforce.api_version
    if version not in parts.crm.versions():
        raise ConfigurationInvalid([("salesforce.api_version", f"{version} is not offered by the org")])
    parts.crm.limits()  # Logging in alone does not show that the API may be used.
    return f"let into org {org.id} at {org.instance_url}."


# What the console's set-up leaves beside a configuration; a backup does without it.
_OF_THE_SET_UP = ("settings.lock", "setup.lock", "setup.json")


# --- remove --------------------------------------------------------------------------------------


def remove(
    desk: Desk, folder: Path, name: str, keep_backup: Path | None, *, agreed: bool, as_json: bool
) -> int:
    """Erase a connection here; both systems keep what they hold."""
    from tillbridge.cli.backup import write_backup

    if _is_unfinished(folder, name):
        return _drop(desk, folder, name, keep_backup, agreed=agreed, as_json=as_json)
    if name in all_gone(desk, folder):
        return _forget_gone(desk, folder, name, keep_backup, agreed=agreed, as_json=as_json)
    home = _home_of(folder, name)
    if keep_backup is not None and keep_backup.exists():
        raise ConfigurationInvalid([(str(keep_backup), "is there already, and is not overwritten")])
    question = (
        f"Erase the connection {name}: its configuration, secrets, links and history in {home}? "
        "It cannot be undone; nothing changes in Lightspeed or Salesforce."
    )
    if not agreed and not agrees(desk, question):
        desk.screen.note("Nothing was erased.")
        return words.NEEDS_PERSON
    with _left_alone(desk, folder, name, home):
        if keep_backup is not None:
            write_backup(desk, folder, {name: home}, keep_backup, with_key=True, with_service=False)
        account, org = _bound_to(desk, home)
        erased = [*_erase_schema(desk, home), *_erase(desk, home, whole=home != folder)]
    _forget(desk, folder, name)
    stays = _what_stays(account, org)
    if as_json:
        desk.screen.document(
            {
                "connection": name,
                "erased": erased,
                "backup": str(keep_backup) if keep_backup else None,
                "stays_in_salesforce": stays,
            }
        )
        return words.DONE
    desk.screen.result.print(f"{name} is erased.", markup=False)
    if keep_backup is not None:
        desk.screen.note(f"{keep_backup} holds it all, with its key: keep it where nobody else reads it.")
    for line in stays:
        desk.screen.note(line)
    return words.DONE


def _is_unfinished(folder: Path, name: str) -> bool:
    from tillbridge.setup.dropping import is_unfinished

    return is_unfinished(folder, name)


def _drop(
    desk: Desk, folder: Path, name: str, keep_backup: Path | None, *, agreed: bool, as_json: bool
) -> int:
    """Forget a set-up that never went live; what belongs to the installation stays."""
    from tillbridge.cli.serve import open_shared
    from tillbridge.setup.dropping import drop

    if keep_backup is not None:
        text = f"{name} is still being set up: there is nothing to keep of it yet"
        raise ConfigurationInvalid([("--keep-backup", text)])
    question = (
        f"Drop the set-up of {name}, with its secrets? It cannot be undone; nothing changes in Lightspeed or "
        "Salesforce."
    )
    if not agreed and not agrees(desk, question):
        desk.screen.note("Nothing was dropped.")
        return words.NEEDS_PERSON
    with open_shared(folder, desk.env) as (service, _, _):
        drop(folder, name, service, desk.clock, desk.env)
    if as_json:
        desk.screen.document({"connection": name, "dropped": True})
    else:
        desk.screen.result.print(f"The set-up of {name} is dropped.", markup=False)
    return words.DONE


def all_gone(desk: Desk, folder: Path) -> Mapping[str, Path]:
    """Return the homes of connections that the service knows, and whose folders are gone."""
    from tillbridge import installation

    return installation.gone(folder, _served(desk, folder)[2])


def _forget_gone(
    desk: Desk, folder: Path, name: str, keep_backup: Path | None, *, agreed: bool, as_json: bool
) -> int:
    """Forget what the installation still keeps of a connection whose folder is gone."""
    if keep_backup is not None:
        text = f"the folder of {name} is gone: there is nothing to keep of it"
        raise ConfigurationInvalid([("--keep-backup", text)])
    home = all_gone(desk, folder)[name]
    question = (
        f"Forget {name}, whose folder {home} is gone: its due times, and its history if it is in the "
        "database? It cannot be undone; nothing changes in Lightspeed or Salesforce."
    )
    if not agreed and not agrees(desk, question):
        desk.screen.note("Nothing was forgotten.")
        return words.NEEDS_PERSON
    erased = _erase_schema(desk, home)
    _forget(desk, folder, name)
    if as_json:
        desk.screen.document({"connection": name, "erased": erased, "forgotten": True})
    else:
        desk.screen.result.print(f"{name} is forgotten.", markup=False)
    return words.DONE


@contextmanager
def _left_alone(desk: Desk, folder: Path, name: str, home: Path) -> Iterator[None]:
    """Pause a connection and wait until nobody works with it. Raises Busy, and lets it go on, otherwise."""
    from tillbridge.cli.serve import open_shared

    with ExitStack() as held:
        service = None
        if _is_served_ever(desk, folder):
            service, _, _ = held.enter_context(open_shared(folder, desk.env))
            was_paused = name in service.stopped()
            service.stop(name, "it is being removed", desk.clock.now().timestamp())
        try:
            _wait(held, home, service, name)
            yield
        except BaseException:
            if service is not None and not was_paused:
                service.go_on(name)
            raise


def _wait(held: ExitStack, home: Path, service: Any, name: str) -> None:
    from tillbridge.wiring import alone

    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            if service is not None and not service.is_sqlite:
                held.callback(service.give_back, name, _lease(service, name))
            held.enter_context(alone(home))
        except Busy as error:
            if time.monotonic() > until:
                text = f"{name} is still being worked with ({error}); it goes on. Try again later."
                raise Busy(text) from error
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _lease(service: Any, name: str) -> int:
    token: int | None = service.take_lease(name, "connection remove", 2 * _WAIT_SECONDS, hurry=True)
    if token is None:
        raise Busy(f"A worker is at work with {name}")
    return token


def _bound_to(desk: Desk, home: Path) -> tuple[str | None, str | None]:
    from tillbridge.wiring import open_state

    try:
        state = open_state(home, desk.clock, desk.env)
    except SyncError:
        return None, None  # A state that cannot be read is erased all the same.
    try:
        return state.fact("till_account"), state.fact("crm_org")
    finally:
        state.close()


def _erase_schema(desk: Desk, home: Path) -> list[str]:
    """Erase the state where it is in a database."""
    from tillbridge.store.database import drop_schema
    from tillbridge.wiring import place_of

    place = place_of(home, desk.env)
    return [str(place)] if drop_schema(place) else []


def _erase(desk: Desk, home: Path, *, whole: bool) -> list[str]:
    """Erase what is kept of a connection: first its secrets, without which the rest cannot be read."""
    from tillbridge.cli.backup import OF_A_HOME
    from tillbridge.setup.dropping import erase_file, erase_folder, leave_the_installation, soon

    if whole:
        return erase_folder(home)
    stays = leave_the_installation(home, desk.env)
    of_it = (*OF_A_HOME, *_OF_THE_SET_UP)
    files = [path for each in of_it if each not in stays and (path := home / each).exists()]
    for path in sorted(files, key=soon):
        erase_file(path)
    return [path.name for path in files]


def _forget(desk: Desk, folder: Path, name: str) -> None:
    """Take a connection out of what the installation's workers and people share."""
    from tillbridge.cli.serve import open_shared
    from tillbridge.setup.dropping import forget

    if not _is_served_ever(desk, folder):
        return
    with open_shared(folder, desk.env) as (service, _, _):
        forget(service, name)


def _what_stays(account: str | None, org: str | None) -> list[str]:
    if account is None:
        return ["It had never written anything to Salesforce."]
    holds = (
        f"Salesforce org {org} keeps all that came from Lightspeed account {account}: customers, receipts, "
        f"products, stores, stock and their keys, which begin with {account}-, and Tillbridge's objects and "
        "permission sets."
    )
    todo = (
        "Delete them there if nobody needs them, and take the app's access away in both systems: "
        "the tokens that were kept here are gone, but not revoked."
    )
    return [holds, todo]

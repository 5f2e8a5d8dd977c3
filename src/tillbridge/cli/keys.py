"""`secrets` and `key rotate`: what is kept sealed beside a configuration, and another key for all of it.

A change of the key goes step by step, each of them whole or not at all, and the
old key stays until the last: whoever is stopped anywhere runs the command again.
Between the first step and the last no other command works with the connection.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tillbridge.cli import words
from tillbridge.cli.desk import CONFIG_FILE, Desk
from tillbridge.model.errors import Busy, ConfigurationInvalid
from tillbridge.secrets import (
    CHANGING_FILE,
    KEY_FILE,
    KEY_VARIABLE,
    LASTING,
    NEXT_KEY_FILE,
    SealedSecrets,
    Vault,
    make_key,
    open_vault,
    replace_file,
    sync_folder,
    vault_in,
    vault_of,
)

NEW_KEY_VARIABLE = "TILLBRIDGE_NEW_KEY"

# --- secrets -------------------------------------------------------------------------------------


def set_secret(desk: Desk, home: Path, name: str, variable: str | None, *, as_json: bool) -> int:
    """Seal a secret that comes from a variable, from standard input, or from whoever types it."""
    value = _value(desk, name, variable)
    sealed = SealedSecrets(home, open_vault(home, desk.env))
    sealed.set(name, value)
    _touch(home)
    if as_json:
        desk.screen.document({"home": str(home), "sealed": name})
        return words.DONE
    desk.screen.result.print(f'Sealed. In {CONFIG_FILE}, name it as {{ secret = "{name}" }}.', markup=False)
    return words.DONE


def _value(desk: Desk, name: str, variable: str | None) -> str:
    if variable is not None:
        value = desk.env.get(variable)
        if value is None:
            raise ConfigurationInvalid([(f"--env {variable}", "that environment variable is not set")])
        where = f"--env {variable}"
    elif sys.stdin.isatty():
        import getpass

        value, where = getpass.getpass(f"{name} (not shown): ", sys.stderr), "what was typed"
    else:
        value, where = sys.stdin.read(), "standard input"
    # A PEM keeps its lines; a password loses the line end that echo and editors put behind it.
    value = value if value.count("\n") > 1 else value.rstrip("\r\n")
    if not value.strip():
        raise ConfigurationInvalid([(where, "is empty")])
    return value


def list_secrets(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Show the names of what is sealed, and nothing else."""
    names = SealedSecrets(home, open_vault(home, desk.env)).names()
    if as_json:
        desk.screen.document({"home": str(home), "secrets": names})
        return words.DONE
    for name in names:
        desk.screen.result.print(name, markup=False)
    if not names:
        desk.screen.note("Nothing is sealed here; `tillbridge secrets set NAME` does it.")
    return words.DONE


def remove_secret(desk: Desk, home: Path, name: str, *, as_json: bool) -> int:
    """Forget a secret."""
    if not SealedSecrets(home, open_vault(home, desk.env)).remove(name):
        raise ConfigurationInvalid([(name, "no secret of that name is sealed here")])
    _touch(home)
    if as_json:
        desk.screen.document({"home": str(home), "removed": name})
    else:
        desk.screen.result.print("Removed.")
    return words.DONE


def _touch(home: Path) -> None:
    """Let a service notice: it opens a connection anew when its configuration is newer."""
    if (home / CONFIG_FILE).exists():
        os.utime(home / CONFIG_FILE)


# --- another key ---------------------------------------------------------------------------------


def rotate(desk: Desk, folder: Path, home: Path | None, *, as_json: bool) -> int:
    """Give one connection, or all of an installation, another key."""
    from tillbridge import installation

    homes = installation.connections(folder)
    chosen = {name: path for name, path in homes.items() if home is None or path == home}
    if not chosen:
        raise ConfigurationInvalid([("--home", f"{folder} holds no connection")])
    by_variable = bool(desk.env.get(KEY_VARIABLE))
    if by_variable and len(chosen) < len(homes):
        reason = f"all connections share {KEY_VARIABLE}: leave --connection out, and all get the new key"
        raise ConfigurationInvalid([("--connection", reason)])
    told: list[dict[str, Any]] = []
    with ExitStack() as held:
        _nobody_works(desk, folder, chosen, held)
        for name, path in chosen.items():
            counts: Counter[str] = Counter()
            for step in changes_of_key(desk.env, path):
                counts.update(step.sealed)
            told.append({"connection": name, "sealed": dict(counts)})
    if as_json:
        desk.screen.document({"key": KEY_VARIABLE if by_variable else KEY_FILE, "connections": told})
        return words.DONE
    for each in told:
        many = words.number(sum(each["sealed"].values()))
        desk.screen.result.print(
            f"{each['connection']}: {many} things sealed with the new key.", markup=False
        )
    _tell_next(desk, by_variable=by_variable)
    return words.DONE


def _tell_next(desk: Desk, *, by_variable: bool) -> None:
    if by_variable:
        desk.screen.note(
            f"From now on {KEY_VARIABLE} has to hold the new key: set it to what {NEW_KEY_VARIABLE} holds, "
            f"and take {NEW_KEY_VARIABLE} away."
        )
    desk.screen.note("Put the new key where you keep the old one; backups made before need the old one.")


def _nobody_works(desk: Desk, folder: Path, homes: Mapping[str, Path], held: ExitStack) -> None:
    """Hold everybody off who might seal something with the old key meanwhile. Raises Busy."""
    from tillbridge.installation import embedded, service_settings
    from tillbridge.wiring import alone

    try:
        settings = service_settings(folder, desk.env)
        if settings.database_url is None:
            held.enter_context(embedded(folder))
        else:
            _no_worker_lives(desk, folder)
        for home in homes.values():
            held.enter_context(alone(home))
    except Busy as error:
        text = f"The key cannot be changed while somebody works with it: stop the service first ({error})."
        raise Busy(text) from error


def _no_worker_lives(desk: Desk, folder: Path) -> None:
    from tillbridge.cli.serve import open_shared

    with open_shared(folder, desk.env) as (service, _, settings):
        if alive := service.living(settings.dead_after_seconds):
            raise Busy(f"{words.several(len(alive), 'worker')} at work")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a change that stands on the disk."""

    name: str
    sealed: Mapping[str, int]


def changes_of_key(env: Mapping[str, str], home: Path) -> Iterator[Step]:
    """Change a home's key, step by step; from the beginning again after it was stopped anywhere."""
    found = _keys_in_variables(env, home) if env.get(KEY_VARIABLE) else _keys_in_files(env, home)
    if found is None:
        # All was done but to say so.
        (home / CHANGING_FILE).unlink(missing_ok=True)
        sync_folder(home)
        yield Step("told", {})
        return
    old, new = found
    yield Step("new key", {})
    replace_file(home / CHANGING_FILE, json.dumps({"from": old.mark, "to": new.mark}) + "\n")
    yield Step("announced", {})
    yield from _resealed_state(home, old, new)
    yield Step("secrets", {"secrets": SealedSecrets(home, old).reseal(new)})
    if not env.get(KEY_VARIABLE):
        (home / NEXT_KEY_FILE).replace(home / KEY_FILE)
        sync_folder(home)
        yield Step("key replaced", {})
    (home / CHANGING_FILE).unlink(missing_ok=True)
    sync_folder(home)
    yield Step("told", {})


def _resealed_state(home: Path, old: Vault, new: Vault) -> Iterator[Step]:
    from tillbridge.store.resealing import KEY_MARK, reseal
    from tillbridge.wiring import open_state

    state = open_state(home)
    try:
        counts: Counter[str] = Counter()
        if state.fact(KEY_MARK) != new.mark:
            counts = reseal(state, old.inherit_kept(state.fact(LASTING)), new)
        yield Step("state", counts)
        state.compact()  # No free page keeps what the old key opens.
    finally:
        state.close()
    yield Step("compacted", {})


def _keys_in_files(env: Mapping[str, str], home: Path) -> tuple[Vault, Vault] | None:
    """Return the vaults of the old and the new key file; None when the new one is in its place already."""
    current, coming = home / KEY_FILE, home / NEXT_KEY_FILE
    if not current.exists():
        open_vault(home, env)  # Says what is missing, or makes the first key.
    old = vault_in(current, home)
    if not coming.exists():
        if _announced(home).get("to") == old.mark:
            return None
        draft = home / f".{NEXT_KEY_FILE}"
        draft.unlink(missing_ok=True)
        make_key(draft)
        draft.replace(coming)
        sync_folder(home)
    return old, vault_in(coming, home)


def _keys_in_variables(env: Mapping[str, str], home: Path) -> tuple[Vault, Vault] | None:
    old = vault_of(env[KEY_VARIABLE], KEY_VARIABLE, home)
    text = env.get(NEW_KEY_VARIABLE)
    if not text:
        reason = (
            f"is not set: the key is in {KEY_VARIABLE}, so the new one has to come in {NEW_KEY_VARIABLE}, "
            "e.g. from `openssl rand -base64 32`"
        )
        raise ConfigurationInvalid([(NEW_KEY_VARIABLE, reason)])
    new = vault_of(text, NEW_KEY_VARIABLE, home)
    if new.mark == old.mark:
        raise ConfigurationInvalid([(NEW_KEY_VARIABLE, f"is the same key as {KEY_VARIABLE}")])
    announced = _announced(home)
    if announced and announced != {"from": old.mark, "to": new.mark}:
        reason = (
            f"a change to another key was begun here and not ended: {KEY_VARIABLE} has to hold the key "
            f"before it, and {NEW_KEY_VARIABLE} the one that it was changed to"
        )
        raise ConfigurationInvalid([(str(home / CHANGING_FILE), reason)])
    return old, new


def _announced(home: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((home / CHANGING_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found

"""Forget a set-up that never went live: its draft, its secrets, and the connection that stood still.

Nothing is changed in either system, and nothing of a connection that is live is
touched: that is erased by `tillbridge connection remove` alone. What belongs to
the installation, such as [service] and [console] with its secrets, stays.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tillbridge import draft, installation, rewriting
from tillbridge.config import FILE_NAME
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Busy, Halted
from tillbridge.secrets import SealedSecrets, open_vault
from tillbridge.store.access import Access
from tillbridge.store.database import FILE_NAME as STATE
from tillbridge.store.database import drop_schema
from tillbridge.store.service import Service
from tillbridge.wiring import alone, place_of

_SEALED = ("key", "key.next", "key.changing", "secrets.json")

# The key first: without it nothing sealed beside it can be read any more.
_FIRST = ("key", "key.next", "secrets.json", FILE_NAME)

# What a connection leaves in a folder that is an installation as well.
_OF_A_SET_UP = (
    *(STATE, f"{STATE}-wal", f"{STATE}-shm", "run.lock", "lightspeed.lock", "salesforce.lock"),
    *("setup.lock", draft.FILE_NAME),
)
_OF_THE_INSTALLATION = frozenset({"service", "console"})
_SECRETS_OF_THE_INSTALLATION = ("service.", "console.")

# A worker is not at work with a connection that stands still; a person's turn is over in seconds.
_LEASE_SECONDS = 60.0


def is_unfinished(folder: Path, name: str) -> bool:
    """Say whether a set-up of that name was begun and never went live."""
    kept = draft.read(installation.place_for(folder, name)) if installation.is_name(name) else None
    return kept is not None and kept.is_unfinished


def drop(folder: Path, name: str, service: Service, clock: Clock, env: Mapping[str, str]) -> None:
    """Forget a set-up. Raises Halted when it is live, Busy while somebody works with it."""
    if not is_unfinished(folder, name):
        raise Halted(
            f"{name} is live: a connection that runs is erased at the command line only, by "
            f"`tillbridge connection remove {name}`."
        )
    home = installation.place_for(folder, name)
    with _left_alone(name, home, service, clock):
        drop_schema(place_of(home, env, service))
        if home == folder:
            _forget_within(folder, env)
        else:
            erase_folder(home)
    forget(service, name)


def forget(service: Service, name: str) -> None:
    """Take a connection that is gone out of what the installation's workers and people share."""
    service.forget_streams(name)
    Access(service).forget(name)
    service.go_on(name)


@contextmanager
def _left_alone(name: str, home: Path, service: Service, clock: Clock) -> Iterator[None]:
    """Keep everybody out meanwhile; whoever asks next finds it gone."""
    with alone(home):
        if service.is_sqlite:
            yield
            return
        token = service.take_lease(name, f"set-up dropped {clock.now():%H:%M}", _LEASE_SECONDS, hurry=True)
        if token is None:
            raise Busy(f"Somebody is at work with {name}. Try again in a minute.")
        try:
            yield
        finally:
            service.give_back(name, token)


def _forget_within(folder: Path, env: Mapping[str, str]) -> None:
    """Take a set-up out of the installation's own folder, and leave the rest of it."""
    leave_the_installation(folder, env)
    for each in _OF_A_SET_UP:
        erase_file(folder / each)


def leave_the_installation(folder: Path, env: Mapping[str, str]) -> frozenset[str]:
    """Take a connection's settings and secrets out of the installation's own folder.

    Return the files that are the installation's own now: its settings, and its secrets with their key.
    """
    tables: dict[str, object] = rewriting.read(folder)[0] if (folder / FILE_NAME).exists() else {}
    stays = {name: held for name, held in tables.items() if name in _OF_THE_INSTALLATION}
    # First: it is refused where the file is written too freely, and nothing is lost then.
    if gone := tables.keys() - stays.keys():
        rewriting.remove(folder, [(each,) for each in gone])
    used = set(_sealed_as(stays))
    sealed = SealedSecrets(folder, open_vault(folder, env))
    for each in sealed.names():
        if each not in used and not each.startswith(_SECRETS_OF_THE_INSTALLATION):
            sealed.remove(each)
    return frozenset({*((FILE_NAME,) if stays else ()), *(_SEALED if sealed.names() else ())})


def _sealed_as(held: object) -> Iterator[str]:
    """Return under which names the secrets of some settings are sealed."""
    if isinstance(held, Mapping):
        if set(held) == {"secret"}:
            yield str(held["secret"])
        held = list(held.values())
    if isinstance(held, list):
        for each in held:
            yield from _sealed_as(each)


def erase_folder(home: Path) -> list[str]:
    """Erase a connection's folder with all in it; return what was there."""
    erased = [path.name for path in sorted(home.iterdir(), key=soon)]
    for each in erased:
        erase_file(home / each)
    home.rmdir()
    return erased


def soon(path: Path) -> tuple[int, str]:
    """Return by what files are sorted to be erased. The draft last: what was broken off is dropped again."""
    if path.name == draft.FILE_NAME:
        return len(_FIRST) + 1, path.name
    return (_FIRST.index(path.name) if path.name in _FIRST else len(_FIRST), path.name)


def erase_file(path: Path) -> None:
    """Erase a file, if it is there, written over before: on most disks its old blocks hold nothing then."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return
    if path.is_file() and not path.is_symlink():
        _blank(path)
    path.unlink(missing_ok=True)


def _blank(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(0, size, 1_048_576):
            file.write(bytes(min(1_048_576, size - file.tell())))
        file.flush()
        os.fsync(file.fileno())

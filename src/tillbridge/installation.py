"""An installation is a folder: which connections it holds, and what its service is set to.

A plain home (it holds tillbridge.toml) is an installation with one connection,
"default". More of them are homes of their own in `connections/<name>/`. The
folder's tillbridge.toml may hold nothing but [service] and [console].
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from tillbridge import config as configuration
from tillbridge.config import Service
from tillbridge.model.errors import Busy, ConfigurationInvalid

DEFAULT = "default"
CONNECTIONS = "connections"
DATABASE_URL = "TILLBRIDGE_DATABASE_URL"
HOST = "TILLBRIDGE_HOST"  # for containers, which are reached from outside only

_LOCK = "service.lock"

# What a service leaves in a folder where no connection is set up yet.
_BEGUN = (_LOCK, "service.sqlite", "setup.json")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def is_name(name: str) -> bool:
    """Say whether a connection may be called so."""
    return _NAME.fullmatch(name) is not None


def connections(folder: Path) -> dict[str, Path]:
    """Return the homes of an installation's connections by name."""
    found: dict[str, Path] = {}
    if _has(folder, "lightspeed"):
        found[DEFAULT] = folder
    inside = folder / CONNECTIONS
    if inside.is_dir():
        for home in sorted(inside.iterdir()):
            if _NAME.fullmatch(home.name) and (home / configuration.FILE_NAME).is_file():
                found[home.name] = home
    return found


def home_of(folder: Path, name: str) -> Path | None:
    """Return one connection's home; None when there is no such connection. Looks at no other's."""
    inside = folder / CONNECTIONS / name
    if is_name(name) and (inside / configuration.FILE_NAME).is_file():
        return inside
    return folder if name == DEFAULT and _has(folder, "lightspeed") else None


def place_for(folder: Path, name: str) -> Path:
    """Return where a connection of that name lives, or would."""
    return folder if name == DEFAULT else folder / CONNECTIONS / name


def gone(folder: Path, known: Iterable[str]) -> dict[str, Path]:
    """Return the homes that were there once, by name: of connections that are known, and have no folder."""
    found = connections(folder)
    missing = sorted(name for name in known if name not in found and (is_name(name) or name == DEFAULT))
    return {name: place_for(folder, name) for name in missing}


def is_empty(folder: Path) -> bool:
    """Say whether an installation may begin here: nothing is there yet but what a set-up has begun."""
    if not folder.exists():
        return True
    return folder.is_dir() and (any((folder / name).exists() for name in _BEGUN) or not any(folder.iterdir()))


def installation_of(home: Path) -> tuple[Path, str]:
    """Return the installation that a home belongs to, and the connection's name in it."""
    if home.parent.name == CONNECTIONS and _NAME.fullmatch(home.name):
        return home.parent.parent, home.name
    return home, DEFAULT


def service_settings(folder: Path, env: Mapping[str, str] = os.environ) -> Service:
    """Return what an installation's service is set to. Raises ConfigurationInvalid."""
    settings = configuration.load_service(folder, env)
    given: dict[str, object] = {}
    if settings.database_url is None and env.get(DATABASE_URL):
        given["database_url"] = SecretStr(env[DATABASE_URL])
    if "host" not in settings.model_fields_set and env.get(HOST):
        given["host"] = env[HOST]
    return settings.model_copy(update=given)


def _has(folder: Path, table: str) -> bool:
    path = folder / configuration.FILE_NAME
    try:
        return table in tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationInvalid([(str(path), f"cannot be read: {error}")]) from error


@contextmanager
def embedded(folder: Path) -> Iterator[None]:
    """Hold an installation that lives in files for one service. Raises Busy when another one runs."""
    import fcntl

    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(
            f"Another `tillbridge serve` runs with {folder}. Several at once need PostgreSQL "
            "(service.database_url)."
        ) from None
    else:
        yield
    finally:
        os.close(handle)


def is_served(folder: Path) -> bool:
    """Say whether a service holds an installation that lives in files."""
    try:
        with embedded(folder):
            return False
    except Busy:
        return True

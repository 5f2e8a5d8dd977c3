"""`backup` and `restore`: an installation in one file, taken while it works, and put into an empty folder.

Databases are copied by SQLite's own backup, so each copy is one moment of it.
Connections and the service's tables are copied one after another: truth is in
each connection's own state, and what the service is to do next follows from it.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from tillbridge import __version__
from tillbridge.cli import words
from tillbridge.cli.desk import CONFIG_FILE, Desk
from tillbridge.model.errors import ConfigurationInvalid, Halted, SyncError

MANIFEST = "backup.json"
_FORMAT = 1

_STATE = "tillbridge.sqlite"
_SERVICE = "service.sqlite"
_KEY = "key"
_SECRETS = "secrets.json"

# What belongs to a connection in its home. Logs and locks are not worth keeping.
OF_A_HOME = (
    *(_KEY, "key.next", "key.changing", _SECRETS, CONFIG_FILE, "salesforce.key"),
    *(_STATE, f"{_STATE}-wal", f"{_STATE}-shm", "erased.jsonl"),
    *("run.lock", "lightspeed.lock", "salesforce.lock", "tillbridge.log", "tillbridge.log.1"),
    "tillbridge-crash.txt",
)

# A copied file is read and hashed in pieces of this size.
_PIECE_BYTES = 1_048_576


class Packed(msgspec.Struct, frozen=True):
    """One file of a backup."""

    path: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds and was made by. `keys`: the marks of the keys that open it, by connection."""

    format: int
    version: str
    made_at: str
    schema: str
    connections: list[str]
    with_key: bool
    keys: dict[str, str]
    files: list[Packed]


# --- backup --------------------------------------------------------------------------------------


def make_backup(desk: Desk, folder: Path, file: Path, *, with_key: bool, as_json: bool) -> int:
    """Write a backup of everything in an installation."""
    from tillbridge import installation

    homes = installation.connections(folder)
    manifest = write_backup(desk, folder, homes, file, with_key=with_key, with_service=True)
    size = file.stat().st_size
    if as_json:
        desk.screen.document({"file": str(file), "bytes": size, **msgspec.to_builtins(manifest)})
        return words.DONE
    held = words.several(len(manifest.connections), "connection")
    desk.screen.result.print(
        f"{file}: {held}, {words.number(size / 1_000_000)} MB.", soft_wrap=True, markup=False
    )
    for line in _about_key(homes, manifest, desk.env):
        desk.screen.note(line)
    return words.DONE


def _about_key(homes: Mapping[str, Path], manifest: Manifest, env: Mapping[str, str]) -> Iterator[str]:
    if manifest.with_key:
        yield "The keys are in it: whoever has the file can read everything. Keep it as you keep a key."
        return
    if env.get("TILLBRIDGE_KEY"):
        where = "the variable TILLBRIDGE_KEY"
    else:
        where = ", ".join(str(home / _KEY) for home in homes.values())
    yield (
        f"The key is NOT in it, and without the key nobody can use it: keep {where} somewhere else, safely. "
        "Private keys of logins (salesforce.key) are not in it either."
    )


def write_backup(
    desk: Desk,
    folder: Path,
    homes: Mapping[str, Path],
    file: Path,
    *,
    with_key: bool,
    with_service: bool,
) -> Manifest:
    """Write these connections into one new file. Raises ConfigurationInvalid when it is there already."""
    if file.exists():
        raise ConfigurationInvalid([(str(file), "is there already, and is not overwritten")])
    if not homes:
        raise ConfigurationInvalid([(str(folder), "there is no connection here, and nothing to back up")])
    _refuse_postgresql(desk, folder)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=file.resolve().parent) as name:
        copy = Path(name) / "copy"
        copy.mkdir(mode=0o700)
        if with_service:
            _copy_shared(folder, copy, homes)
        for home in homes.values():
            _copy_home(home, copy / home.relative_to(folder), with_key=with_key)
        manifest = _manifest(desk, homes, copy, with_key=with_key)
        draft = Path(name) / "backup.tar"
        _pack(copy, manifest, draft, desk.clock.now())
        _give_name(draft, file)
    return manifest


def _refuse_postgresql(desk: Desk, folder: Path) -> None:
    """Say how to back up what is not in files."""
    from tillbridge.installation import service_settings

    secret = service_settings(folder, desk.env).database_url
    if secret is not None:
        reason = (
            "the state is in PostgreSQL, which has its own way, also while the service runs: "
            'pg_dump --format=custom --file=tillbridge.dump "$TILLBRIDGE_DATABASE_URL", with '
            f"service.database_url in that variable; and copy {folder} with its configuration and keys. "
            "pg_restore puts it back"
        )
        raise ConfigurationInvalid([("service.database_url", reason)])


def _copy_shared(folder: Path, copy: Path, homes: Mapping[str, Path]) -> None:
    if (folder / _SERVICE).exists():
        copy_database(folder / _SERVICE, copy / _SERVICE)
    if folder not in homes.values() and (folder / CONFIG_FILE).exists():
        shutil.copyfile(folder / CONFIG_FILE, copy / CONFIG_FILE)


def _copy_home(home: Path, copy: Path, *, with_key: bool) -> None:
    copy.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (home / _STATE).exists():
        copy_database(home / _STATE, copy / _STATE)
    # Behind the state: an erasure stands in this file before it stands in the state.
    for path in [home / "erased.jsonl", *sorted(home.glob("erasure-*.json"))]:
        if path.is_file():
            shutil.copyfile(path, copy / path.name)
    for path in _beside(home, with_key=with_key):
        place = copy / path.relative_to(home)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _beside(home: Path, *, with_key: bool) -> Iterator[Path]:
    """Yield the files that a configuration cannot do without, and the keys if they are wanted."""
    from tillbridge import config

    for name in (CONFIG_FILE, _SECRETS, *((_KEY,) if with_key else ())):
        if (home / name).is_file():
            yield home / name
    named = config.files_of(home)
    for setting, path in named.items():
        is_key = setting == "salesforce.private_key_file"
        if path.is_file() and path.is_relative_to(home) and (with_key or not is_key):
            yield path


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, whoever writes to it. Raises Halted when it is not sound."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as there,
            closing(sqlite3.connect(target)) as here,
        ):
            # All pages in one go: a copy that let writers in between would begin again and again.
            there.backup(here, pages=-1)
            here.execute("PRAGMA journal_mode=DELETE")
            found = here.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise Halted(f"{source} could not be copied: {error}. Nothing was changed.") from error
    if found != "ok":
        raise Halted(f"{source} is damaged ({found}). Restore it from an earlier backup.")


def _manifest(desk: Desk, homes: Mapping[str, Path], copy: Path, *, with_key: bool) -> Manifest:
    from tillbridge.store.database import HEAD

    files = [path for path in sorted(copy.rglob("*")) if path.is_file()]
    return Manifest(
        format=_FORMAT,
        version=__version__,
        made_at=desk.clock.now().isoformat(),
        schema=HEAD,
        connections=list(homes),
        with_key=with_key,
        keys={name: mark for name, home in homes.items() if (mark := _mark(desk, home))},
        files=[Packed(str(path.relative_to(copy)), path.stat().st_size, _hash(path)) for path in files],
    )


def _mark(desk: Desk, home: Path) -> str | None:
    """Name the key of a home; a home that cannot be opened has none, and is backed up all the same."""
    from tillbridge.secrets import KEY_FILE, open_vault

    if not desk.env.get("TILLBRIDGE_KEY") and not (home / KEY_FILE).exists():
        return None
    return open_vault(home, desk.env).mark


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pack(copy: Path, manifest: Manifest, draft: Path, now: datetime) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w") as tar:
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        _pack_one(tar, MANIFEST, io.BytesIO(text), len(text), now)
        for each in manifest.files:
            with (copy / each.path).open("rb") as file:
                _pack_one(tar, each.path, file, each.bytes, now)
        out.flush()
        os.fsync(out.fileno())


def _pack_one(tar: tarfile.TarFile, name: str, file: Any, size: int, now: datetime) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(now.timestamp())
    tar.addfile(entry, file)


def _give_name(draft: Path, file: Path) -> None:
    """Give a finished file its name; another of that name is left alone."""
    from tillbridge.secrets import sync_folder

    try:
        os.link(draft, file)
    except FileExistsError:
        raise ConfigurationInvalid([(str(file), "is there already, and is not overwritten")]) from None
    except OSError:
        draft.replace(file)  # A file system without links.
    sync_folder(file.resolve().parent)


# --- restore -------------------------------------------------------------------------------------


def restore_backup(desk: Desk, file: Path, home: Path, *, as_json: bool) -> int:
    """Check a backup, put it into an empty folder, and say what to do next."""
    if home.exists() and any(home.iterdir()):
        reason = f"{home} is not empty, and nothing is overwritten: name an empty folder with --home"
        raise ConfigurationInvalid([("--home", reason)])
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=home.resolve().parent) as name:
        copy = Path(name) / "copy"
        copy.mkdir(mode=0o700)
        manifest = _unpack(file, copy)
        _check_schema(manifest)
        _check_databases(copy)
        if home.exists():
            home.rmdir()
        copy.replace(home)
    steps = list(_steps(desk, home, manifest))
    if as_json:
        document = {"home": str(home), "made_at": manifest.made_at, "connections": manifest.connections}
        desk.screen.document({**document, "with_key": manifest.with_key, "next": steps})
        return words.DONE
    desk.screen.result.print(f"{home} is as it was at {manifest.made_at}.", soft_wrap=True, markup=False)
    desk.screen.result.print("\nBefore it may run:")
    for number, step in enumerate(steps, 1):
        desk.screen.result.print(f"  {number}. {step}", soft_wrap=True, markup=False)
    return words.DONE


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, why: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        [(str(file), f"is no whole backup of Tillbridge: {why}. Nothing was written")]
    )


def _unpack(file: Path, copy: Path) -> Manifest:
    """Unpack what the manifest names, and only that; every file is what it was when it was packed."""
    with _opened(file) as tar:
        manifest = _read_manifest(file, tar)
        for each in manifest.files:
            _unpack_one(file, tar, each, copy)
    return manifest


def _read_manifest(file: Path, tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    held = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    if held is None:
        raise _damaged(file, f"{MANIFEST} does not come first in it")
    try:
        return msgspec.json.decode(held.read(_PIECE_BYTES), type=Manifest)
    except msgspec.MsgspecError as error:
        raise _damaged(file, f"{MANIFEST} cannot be read ({error})") from error


def _unpack_one(file: Path, tar: tarfile.TarFile, packed: Packed, copy: Path) -> None:
    path = PurePosixPath(packed.path)
    if path.is_absolute() or ".." in path.parts:
        raise _damaged(file, f"it would write to {packed.path}")
    try:
        held = tar.extractfile(packed.path)
    except KeyError:
        held = None
    if held is None:
        raise _damaged(file, f"{packed.path} is missing")
    place = copy / path
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with held, os.fdopen(descriptor, "wb") as out:
        shutil.copyfileobj(held, out, _PIECE_BYTES)
        out.flush()
        os.fsync(out.fileno())
    if _hash(place) != packed.sha256:
        raise _damaged(file, f"{packed.path} was changed since")


def _check_schema(manifest: Manifest) -> None:
    from tillbridge.store.database import HEAD

    if manifest.format > _FORMAT or manifest.schema > HEAD:
        raise Halted(
            f"The backup was made by a newer Tillbridge ({manifest.version}). Install that version, and "
            "restore it then. Nothing was written."
        )


def _check_databases(copy: Path) -> None:
    for path in sorted(copy.rglob("*.sqlite")):
        try:
            with closing(sqlite3.connect(path)) as database:
                found = database.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            raise Halted(f"{path.name} in the backup is damaged ({found}). Nothing was written.")


def _steps(desk: Desk, home: Path, manifest: Manifest) -> Iterator[str]:
    """Say what has to be done by hand before the restored copy may run."""
    yield "Make sure that the old copy never runs again: two at a time would write everything twice."
    yield from _steps_of_keys(desk, home, manifest)
    yield (
        "Sign in to Lightspeed anew if it ran since the backup: its refresh token is used once, so that the "
        "one in the backup is void as soon as a newer one was fetched. Authorise in a browser as "
        "docs/connecting.md says, and put the new refresh token into tillbridge.toml (or `tillbridge secrets "
        "set lightspeed_refresh_token`); the same for Salesforce, if it logs in by refresh token."
    )
    for name in manifest.connections:
        option = f" --connection {name}" if len(manifest.connections) > 1 else ""
        yield f"tillbridge doctor{option} --home {home}"
        yield (
            f"tillbridge erase replay{option} --home {home}: whoever was erased since the backup is "
            "cleared from it again; it reads the erasures from Salesforce, too"
        )
        yield (
            f"tillbridge sync{option} --home {home}: what happened since is read again and written by key; "
            "nothing comes twice"
        )


def _steps_of_keys(desk: Desk, home: Path, manifest: Manifest) -> Iterator[str]:
    from tillbridge import config, installation
    from tillbridge.secrets import KEY_VARIABLE, open_vault

    homes = installation.connections(home)
    for name, place in homes.items():
        wanted = manifest.keys.get(name)
        if wanted is None:
            continue
        if desk.env.get(KEY_VARIABLE) or (place / _KEY).exists():
            try:
                if open_vault(place, desk.env).mark == wanted:
                    continue
            except SyncError as error:
                yield " ".join(words.tell(error).lines)
                continue
            yield f"Give {name} the key that it was backed up with: the one that is there now is another one."
        else:
            yield (
                f"Put the key of {name} back: into {place / _KEY} (chmod 600), or into {KEY_VARIABLE}, "
                "wherever it was."
            )
    for place in homes.values():
        for setting, path in config.files_of(place).items():
            if not path.exists():
                yield f"Put {path} back, which {setting} names."

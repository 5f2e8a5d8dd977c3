"""`upgrade`: bring every connection's state up to this version's schema, a copy of the old one beside it.

Any command does the same when it first opens an older state, but without a
copy. A state of a newer version is refused by all of them.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tillbridge.cli import words
from tillbridge.cli.backup import copy_database
from tillbridge.cli.desk import Desk
from tillbridge.model.errors import Busy, Halted


def upgrade_all(desk: Desk, folder: Path, *, as_json: bool) -> int:
    """Upgrade all connections of an installation, one after another."""
    from tillbridge import installation
    from tillbridge.wiring import alone

    homes = installation.connections(folder)
    in_files = installation.service_settings(folder, desk.env).database_url is None
    told: list[dict[str, Any]] = []
    with ExitStack() as held:
        if in_files:
            try:
                held.enter_context(installation.embedded(folder))
            except Busy as error:
                raise Busy(f"Stop the service first, and start it again afterwards ({error}).") from error
        for name, home in homes.items():
            held.enter_context(alone(home))
            told.append({"connection": name, **upgrade_one(desk, home, in_files=in_files)})
    if as_json:
        desk.screen.document({"installation": str(folder), "connections": told})
        return words.DONE
    for each in told:
        desk.screen.result.print(_sentence(each), soft_wrap=True, markup=False)
    if not in_files:
        desk.screen.note(
            "The state is in PostgreSQL: take a copy before an upgrade with "
            'pg_dump --format=custom --file=tillbridge.dump "$TILLBRIDGE_DATABASE_URL".'
        )
    return words.DONE


def _sentence(told: dict[str, Any]) -> str:
    name, before, after = told["connection"], told["from"], told["to"]
    if before is None:
        return f"{name}: a new state with schema {after}."
    said = f"{name}: schema {after} already; nothing to do."
    if before != after:
        said = f"{name}: upgraded from schema {before} to {after}; {told['backup']} holds the old state."
    return said if told["filled"] is None else f"{said} {_filled(**told['filled'])}"


def _filled(receipts: int, sales: int, products: int) -> str:
    """Say what the console can show at once, and when it shows the rest."""
    if not sales and not products:
        return f"The console shows all {receipts:,} earlier receipts."
    return (
        f"The console shows {receipts:,} earlier receipts; {sales:,} more and {products:,} products come "
        "with the next sweeps, or at once with `tillbridge sweep --full`."
    )


def upgrade_one(desk: Desk, home: Path, *, in_files: bool) -> dict[str, Any]:
    """Upgrade one connection; return from which schema to which, and where the copy is."""
    import msgspec

    from tillbridge import config as configuration
    from tillbridge.store.database import FILE_NAME, HEAD
    from tillbridge.wiring import fill_in, open_state, vault_for

    path = home / FILE_NAME
    before = schema_of(path) if in_files else None
    copy = None
    if before is not None and before != HEAD:
        if before > HEAD:
            raise Halted(
                f"{path} was written by a newer Tillbridge (schema {before}). Install that version again."
            )
        copy = home / f"{FILE_NAME}.{before}"
        if not copy.exists():
            draft = home / f".{copy.name}.new"
            draft.unlink(missing_ok=True)
            copy_database(path, draft)
            draft.replace(copy)
    config = configuration.load(home, desk.env)
    state = open_state(home, desk.clock, desk.env)
    try:
        filled = fill_in(config, state, vault_for(home, state, desk.env))
    finally:
        state.close()
    return {
        "from": before,
        "to": HEAD,
        "backup": str(copy) if copy else None,
        "filled": None if filled is None else msgspec.structs.asdict(filled),
    }


def schema_of(path: Path) -> str | None:
    """Return the schema of a state file; None when it has none yet."""
    if not path.exists() or not path.stat().st_size:
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as state:
            row = state.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise Halted(f"{path} cannot be read: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise Halted(f"{path} is not a Tillbridge state file: {error}.") from error
    return None if row is None else str(row[0])

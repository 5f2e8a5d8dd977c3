"""Commands that keep an installation well: secrets, the key, backups, a newer schema.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tillbridge.cli.root import (
    HomeOption,
    JsonOption,
    app,
    at_home,
    at_installation,
    desk_for,
    key,
    secrets,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Such as salesforce_client_secret.")]


@secrets.command("set", short_help="Seal a password or token.")
def secrets_set(
    context: typer.Context,
    name: NameArgument,
    home: HomeOption = None,
    env: Annotated[
        str | None, typer.Option("--env", metavar="VARIABLE", help="Take it from this variable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Seal a password or token, for tillbridge.toml to name as { secret = "NAME" }.

    It is asked for, or read from standard input; it never stands on a command line.
    """
    from tillbridge.cli.keys import set_secret

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(set_secret(desk, found, name, env, as_json=as_json))


@secrets.command("list", short_help="Show the names of what is sealed.")
def secrets_list(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the names of what is sealed; the values are shown to nobody."""
    from tillbridge.cli.keys import list_secrets

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(list_secrets(desk, found, as_json=as_json))


@secrets.command("remove", short_help="Forget one.")
def secrets_remove(
    context: typer.Context, name: NameArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Forget a password or token."""
    from tillbridge.cli.keys import remove_secret

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(remove_secret(desk, found, name, as_json=as_json))


@key.command("rotate", short_help="Seal everything with a new key.")
def key_rotate(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Make a new key and seal everything with it, of all connections or of --connection NAME.

    Where the key is in TILLBRIDGE_KEY, the new one comes in TILLBRIDGE_NEW_KEY. The service has to stand
    still. Stopped anywhere, it is ended by running it again.
    """
    from tillbridge.cli.keys import rotate

    desk, folder = at_installation(context, home, as_json=as_json)
    chosen = desk.find_home(home) if desk.names_connection else None
    raise typer.Exit(rotate(desk, folder, chosen, as_json=as_json))


@app.command(short_help="Write a backup of everything, also while the service runs.")
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not be there yet.")],
    home: HomeOption = None,
    with_key: Annotated[
        bool,
        typer.Option("--with-key", help="The keys too: whoever has the file can then read everything in it."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write configuration, state of all connections and the service's tables into one file, at any time."""
    from tillbridge.cli.backup import make_backup

    desk, folder = at_installation(context, home, as_json=as_json)
    raise typer.Exit(make_backup(desk, folder, file, with_key=with_key, as_json=as_json))


@app.command(short_help="Put a backup into an empty folder.")
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `tillbridge backup` wrote.")],
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            metavar="DIR",
            help="The folder to make; it must be empty or not there. Default: TILLBRIDGE_HOME, or "
            "~/.tillbridge.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a backup, put it into an empty folder, and say what to do before it may run."""
    from tillbridge.cli.backup import restore_backup

    desk = desk_for(context, as_json=as_json)
    raise typer.Exit(restore_backup(desk, file, desk.new_home(home), as_json=as_json))


@app.command(short_help="Bring the state up to this version, with a backup beside it.")
def upgrade(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Bring the state of all connections up to this version's schema; a copy of each stays beside it."""
    from tillbridge.cli.upgrade import upgrade_all

    desk, folder = at_installation(context, home, as_json=as_json)
    raise typer.Exit(upgrade_all(desk, folder, as_json=as_json))

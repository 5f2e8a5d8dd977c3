"""Commands for several connections in one installation.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, YesOption, at_installation, connection, desk_for

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Small letters, digits, dashes and underscores.")
]


@connection.command("add", short_help="Make another connection.")
def connection_add(
    context: typer.Context,
    name: NameArgument,
    home: HomeOption = None,
    account_id: Annotated[str, typer.Option(help="The Lightspeed account's number.")] = "",
    lightspeed_client_id: Annotated[str, typer.Option(help="The Lightspeed API client's id.")] = "",
    salesforce_client_id: Annotated[str, typer.Option(help="The Salesforce app's consumer key.")] = "",
    username: Annotated[str, typer.Option(help="The Salesforce integration user's name.")] = "",
    login_url: Annotated[str, typer.Option(help="Where Salesforce logs us in.")] = "",
    model: Annotated[
        str, typer.Option(help="What a new customer becomes: person_account, contact or lead.")
    ] = "",
    auth: Annotated[
        str, typer.Option(help="How we log in to Salesforce: jwt, client_credentials or refresh_token.")
    ] = "jwt",
    secrets_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A TOML file of secrets by name, readable by its owner only. Others come from LIGHTSPEED_"
            "CLIENT_SECRET and the like, or are asked for.",
        ),
    ] = None,
    private_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The PEM of the JWT login; its text is sealed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a home of its own in connections/NAME: configuration, key, sealed secrets, state."""
    from tillbridge.cli.connections import Wishes, add
    from tillbridge.cli.setup import Answers

    desk = desk_for(context, as_json=as_json)
    answers = Answers(account_id, lightspeed_client_id, salesforce_client_id, username, login_url, model)
    wishes = Wishes(answers, auth, secrets_file, private_key_file)
    raise typer.Exit(add(desk, desk.installation_to_be(home), name, wishes, as_json=as_json))


@connection.command("list", short_help="Show all connections, and how each is.")
def connection_list(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show every connection: paused or not, when it last synced, what needs a person."""
    from tillbridge.cli.connections import show_all

    desk, folder = at_installation(context, home, as_json=as_json)
    raise typer.Exit(show_all(desk, folder, as_json=as_json))


@connection.command("test", short_help="See whether both sides let it in.")
def connection_test(
    context: typer.Context, name: NameArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Log in to both sides and read one thing of each; nothing is written. `doctor` looks closer."""
    from tillbridge.cli.connections import test

    desk, folder = at_installation(context, home, as_json=as_json)
    raise typer.Exit(test(desk, folder, name, as_json=as_json))


@connection.command("remove", short_help="Erase a connection: its secrets, its state, its key.")
def connection_remove(
    context: typer.Context,
    name: NameArgument,
    home: HomeOption = None,
    keep_backup: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a backup of it there first, with its key."),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let the service leave a connection alone, then erase all that is kept of it here.

    Nothing is changed in Lightspeed or Salesforce.
    """
    from tillbridge.cli.connections import remove

    desk, folder = at_installation(context, home, as_json=as_json)
    raise typer.Exit(remove(desk, folder, name, keep_backup, agreed=yes, as_json=as_json))

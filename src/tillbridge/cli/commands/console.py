"""Commands for the console: who may sign in, and the audit log.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, app, at_installation

users = typer.Typer(
    invoke_without_command=True, rich_markup_mode=None, help="Who may sign in to the console."
)
audit = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help="Who did what in the console.")
app.add_typer(users, name="users")
app.add_typer(audit, name="audit")


@users.callback()
def list_users(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List who may sign in, as what, and when they were last here."""
    if context.invoked_subcommand is not None:
        return
    from tillbridge.cli.users import show_users

    desk, found = at_installation(context, home, as_json=as_json)
    raise typer.Exit(show_users(desk, found, as_json=as_json))


@users.command("link", short_help="Make a link by which somebody chooses a password.")
def make_link(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(help="Whose. Without a name: the first administrator's.", show_default=False),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Make a one-time link: for somebody who forgot their password or is locked out, or for the first one."""
    from tillbridge.cli.users import run_link

    desk, found = at_installation(context, home)
    raise typer.Exit(run_link(desk, found, name))


@audit.callback()
def show_audit(
    context: typer.Context,
    home: HomeOption = None,
    lines: Annotated[int, typer.Option(min=1, max=10_000, help="How many lines.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the newest lines of the audit log."""
    if context.invoked_subcommand is not None:
        return
    from tillbridge.cli.users import show_log

    desk, found = at_installation(context, home, as_json=as_json)
    raise typer.Exit(show_log(desk, found, lines=lines, as_json=as_json))


@audit.command("verify", short_help="Check that no line was changed, taken out or slipped in.")
def verify(
    context: typer.Context,
    home: HomeOption = None,
    newest: Annotated[
        str | None,
        typer.Option("--newest", metavar="HASH", help="A newest hash that was written down before."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the chain of hashes. With a hash from an earlier check, lines cut off at the end show as well.

    Exit status 1: the chain is broken, and the first line that does not hold is named.
    """
    from tillbridge.cli.users import run_verify

    desk, found = at_installation(context, home, as_json=as_json)
    raise typer.Exit(run_verify(desk, found, newest, as_json=as_json))

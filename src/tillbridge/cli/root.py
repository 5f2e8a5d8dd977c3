"""The root of the command tree: its groups, the options that many commands share, and the way to a home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tillbridge.cli.desk import Desk

app = typer.Typer(
    name="tillbridge",
    help="Joins a shop's tills to its CRM: Lightspeed Retail and Salesforce, nothing lost, nothing twice.",
    epilog="Exit status: 0 done; 1 done, but something needs a person; 2 wrong usage or configuration; "
    "75 out of budget or remote down, try later.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Plain help is calmer, and there at once.
    context_settings={"help_option_names": ["-h", "--help"]},
)
schema = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Tillbridge's objects and fields in the Salesforce org."
)
simulate = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Run a simulated system on this machine."
)
app.add_typer(schema, name="schema")
alerts = typer.Typer(no_args_is_help=True, help="Messages to people about what needs them.")
app.add_typer(simulate, name="simulate")
app.add_typer(alerts, name="alerts")
problems = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
    help="What Salesforce refuses, and what to do about it.",
)
matches = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Customers whom a person has to decide."
)
app.add_typer(problems, name="problems")
app.add_typer(matches, name="matches")
export = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Hand people what is held of them.")
erase = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Erase people, and prove it.")
app.add_typer(export, name="export")
app.add_typer(erase, name="erase")
dedupe = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The one-time clean-up of duplicates on both sides."
)
app.add_typer(dedupe, name="dedupe")
plans = typer.Typer(
    invoke_without_command=True, rich_markup_mode=None, help="Changes of customers that wait for a person."
)
conflicts = typer.Typer(
    invoke_without_command=True, rich_markup_mode=None, help="Fields that both sides have changed."
)
app.add_typer(plans, name="plans")
app.add_typer(conflicts, name="conflicts")
connection = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Several tills and orgs in one installation."
)
secrets = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Passwords and tokens, kept sealed.")
key = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The key that everything is sealed with.")
app.add_typer(connection, name="connection")
app.add_typer(secrets, name="secrets")
app.add_typer(key, name="key")

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="The home directory, which holds tillbridge.toml and the state. Default: TILLBRIDGE_HOME, "
        "this directory, or ~/.tillbridge.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, the rest on stderr.")]
ApproveOption = Annotated[
    bool, typer.Option("--approve", help="Hold nothing back for a person to look at; for scripts.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask back.")]

# These make an installation, or are about the whole of one.
_OF_ALL = {
    *("tillbridge init", "tillbridge serve", "tillbridge worker", "tillbridge demo"),
    *("tillbridge backup", "tillbridge restore", "tillbridge upgrade"),
    *("tillbridge connection add", "tillbridge connection list"),
    *("tillbridge connection test", "tillbridge connection remove"),
}


def tree() -> Any:
    """Return the command tree; every command that works with one home takes --connection beside --home."""
    root = typer.main.get_command(app)
    _offer_connection(root, "tillbridge", _connection_option())
    return root


def _offer_connection(command: Any, name: str, option: Any) -> None:
    places = [number for number, each in enumerate(command.params) if each.name == "home"]
    if places and name not in _OF_ALL:
        command.params.insert(places[0] + 1, option)
    for below, each in getattr(command, "commands", {}).items():
        _offer_connection(each, f"{name} {below}", option)


def _choose(context: typer.Context, name: str | None) -> None:
    """Remember the connection that was named; it is looked for when the home is."""
    if name:
        context.obj.connection = name


def _connection_option() -> Any:
    """Return the option as the parser knows it, to be handed to many commands."""
    holder = typer.Typer(add_completion=False)

    @holder.command()
    def _holds(
        connection: Annotated[
            str | None,
            typer.Option(
                "--connection",
                metavar="NAME",
                callback=_choose,
                expose_value=False,
                help="Which connection of the installation; needed where it has several. Default: "
                "TILLBRIDGE_CONNECTION.",
                show_default=False,
            ),
        ] = None,
    ) -> None:
        """Hold the option."""

    return typer.main.get_command(holder).params[0]


def desk_for(context: typer.Context, *, as_json: bool = False) -> Desk:
    """Return what a command works with when it needs no home."""
    from tillbridge import logs

    desk: Desk = context.obj
    logs.configure(None, desk.env)
    desk.screen.only_json(as_json)
    return desk


def at_home(context: typer.Context, home: Path | None, *, as_json: bool = False) -> tuple[Desk, Path]:
    """Return what a command works with, and the home it works on.

    Raises:
        ConfigurationError: there is no home where one is expected.

    """
    from tillbridge import logs

    desk = desk_for(context, as_json=as_json)
    found = desk.find_home(home)
    desk.keep_time_of(found)
    logs.configure(found, desk.env)
    return desk, found


def at_served(context: typer.Context, home: Path | None) -> tuple[Desk, Path]:
    """Return what a service works with; an empty folder becomes an installation.

    Raises:
        ConfigurationError: the folder holds something that is none.

    """
    from tillbridge import logs

    desk = desk_for(context)
    folder = desk.served_folder(home)
    logs.configure(folder, desk.env)
    return desk, folder


def at_installation(context: typer.Context, home: Path | None, *, as_json: bool = False) -> tuple[Desk, Path]:
    """Return what a command works with that is about an installation and all of its connections.

    Raises:
        ConfigurationError: there is no installation where one is expected.

    """
    from tillbridge import logs

    desk = desk_for(context, as_json=as_json)
    folder = desk.find_installation(home)
    desk.keep_time_of(folder)
    logs.configure(folder, desk.env)
    return desk, folder

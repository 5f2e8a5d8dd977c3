"""Commands that set up: a home, the package, the check-up.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, app, at_home, desk_for, schema


@app.command(short_help="Make a home directory: configuration, key, state.")
def init(
    context: typer.Context,
    home: HomeOption = None,
    account_id: Annotated[str, typer.Option(help="The Lightspeed account's number.")] = "",
    lightspeed_client_id: Annotated[str, typer.Option(help="The Lightspeed API client's id.")] = "",
    salesforce_client_id: Annotated[str, typer.Option(help="The Salesforce app's consumer key.")] = "",
    username: Annotated[str, typer.Option(help="The Salesforce integration user's name.")] = "",
    login_url: Annotated[str, typer.Option(help="Where Salesforce logs us in.")] = "",
    model: Annotated[
        str, typer.Option(help="What a new customer becomes: person_account, contact or lead.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a home directory: a configuration to fill in, a key, the state file. Overwrites nothing."""
    from tillbridge.cli.setup import Answers, make_home

    desk = desk_for(context, as_json=as_json)
    answers = Answers(account_id, lightspeed_client_id, salesforce_client_id, username, login_url, model)
    raise typer.Exit(make_home(desk, desk.new_home(home), answers, as_json=as_json))


@schema.command("deploy", short_help="Install the package, and assign its permission set.")
def schema_deploy(
    context: typer.Context,
    home: HomeOption = None,
    check_only: Annotated[bool, typer.Option("--check-only", help="Try it out; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Install Tillbridge's package into the org and assign its permission set. Can be run again."""
    from tillbridge.cli.setup import deploy

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(deploy(desk, found, check_only=check_only, as_json=as_json))


@app.command(short_help="Check both sides, and say what to put right.")
def doctor(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check configuration, logins, rights, fields, limits and clocks, and say what to do."""
    from tillbridge.cli.doctor import examine

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(examine(desk, found, as_json=as_json))

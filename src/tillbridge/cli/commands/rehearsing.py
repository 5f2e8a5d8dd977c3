"""Commands that need no real account: the demo and the simulators.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, app, desk_for, simulate


@app.command(short_help="See it all against two simulated systems.")
def demo(
    context: typer.Context,
    home: HomeOption = None,
    customers: Annotated[int, typer.Option(min=10, help="Customers of the made-up jeweller.")] = 2_000,
    sales: Annotated[int, typer.Option(min=10, help="Sales of the last two years.")] = 5_000,
    shops: Annotated[int, typer.Option(min=1, max=20, help="Shops.")] = 3,
    seed: Annotated[int, typer.Option(help="Another seed, another jeweller.")] = 1,
    model: Annotated[
        str, typer.Option(help="What a new customer becomes: person_account, contact or lead.")
    ] = "person_account",
    keep: Annotated[bool, typer.Option("--keep", help="Go on selling and syncing until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the whole thing against two simulated systems: load history, open for business, prove it."""
    from tillbridge.cli.demo import MODELS, run_demo
    from tillbridge.rehearsal import World

    if model not in MODELS:
        raise typer.BadParameter(f"--model is one of {', '.join(MODELS)}, not {model}.")
    desk = desk_for(context, as_json=as_json)
    world = World(shops=shops, customers=customers, sales=sales, seed=seed, model=model)
    raise typer.Exit(run_demo(desk, home, world, keep=keep, as_json=as_json))


# Everything behind the name belongs to the simulator, its --help too.
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@simulate.command("lightspeed", context_settings=_PASSED_ON, add_help_option=False)
def simulate_lightspeed(context: typer.Context) -> None:
    """Run a simulated Lightspeed R-Series account; --help shows its options."""
    from tillbridge.simulators.lightspeed.__main__ import main

    raise typer.Exit(main(context.args))


@simulate.command("salesforce", context_settings=_PASSED_ON, add_help_option=False)
def simulate_salesforce(context: typer.Context) -> None:
    """Run a simulated Salesforce org; --help shows its options."""
    from tillbridge.simulators.salesforce.__main__ import main

    raise typer.Exit(main(context.args))

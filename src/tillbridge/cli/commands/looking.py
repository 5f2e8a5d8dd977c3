"""Commands that only look: where everything stands, and everything about one record.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, app, at_home


@app.command(short_help="Show where everything stands.")
def status(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show where everything stands: counts, problems with advice, who waits for whom, the last runs."""
    from tillbridge.cli.status import show_status

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(show_status(desk, found, as_json=as_json))


@app.command(short_help="Tell everything about one record.")
def explain(
    context: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="store, employee, product, stock, customer, sale, line or payment."
        ),
    ],
    till_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The till's own number; stock: PRODUCT-STORE; customer: also our key or a Salesforce id.",
        ),
    ],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Of a customer: read both sides before, one call each.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everything about one record: where it stands and why, its CRM id, what it waits for.

    Of a customer also all till records of the person, and per field both sides' values, where each came
    from, when, by which run, and earlier values.
    """
    from tillbridge.cli.explain import KINDS, show_record

    if kind not in KINDS:
        raise typer.BadParameter(f"KIND is one of {', '.join(KINDS)}, not {kind}.")
    if fresh and kind != "customer":
        raise typer.BadParameter("--fresh is for customers.")
    desk, found = at_home(context, home, as_json=as_json)
    if kind == "customer":
        from tillbridge.cli.person import show_person

        raise typer.Exit(show_person(desk, found, till_id, fresh=fresh, as_json=as_json))
    raise typer.Exit(show_record(desk, found, kind, till_id, as_json=as_json))

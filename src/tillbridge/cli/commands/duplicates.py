"""Commands of the one-time clean-up.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, at_home, dedupe


@dedupe.command("scan", short_help="Look for duplicates on both sides; change nothing.")
def dedupe_scan(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Read all customers of both sides, and find who is there twice, with evidence and a proposal.

    Writes to neither side. What was decided before stays; what was merged by hand since is ticked off.
    """
    from tillbridge.cli.dedupe import run_scan

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_scan(desk, found, as_json=as_json))


@dedupe.command("show", short_help="Show clusters of duplicates, or what is left to merge by hand.")
def dedupe_show(
    context: typer.Context,
    cluster: Annotated[str | None, typer.Argument(metavar="[CLUSTER]", help="Only this one.")] = None,
    by_hand: Annotated[
        bool, typer.Option("--by-hand", help="What people have to merge in Lightspeed or Salesforce.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who is probably one person, by which evidence, and what the survivor would hold."""
    from tillbridge.cli.dedupe import show

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(show(desk, found, cluster, by_hand=by_hand, as_json=as_json))


@dedupe.command("export", short_help="Write the clusters into a table for people to decide.")
def dedupe_export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="It is overwritten, and names people.")],
    everything: Annotated[bool, typer.Option("--all", help="Those that are done, too.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one line a record: who it is, why it is in its cluster, what is proposed, what is decided."""
    from tillbridge.cli.dedupe import export

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(export(desk, found, file, everything=everything, as_json=as_json))


@dedupe.command("import", short_help="Take in the decisions from such a table.")
def dedupe_import(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The table, saved as CSV, UTF-8.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in what people have decided: every line, or with a mistake anywhere none, each told by its line.

    Merges nothing yet. Exit status 2: nothing was taken.
    """
    from tillbridge.cli.dedupe import import_decisions

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(import_decisions(desk, found, file, as_json=as_json))


@dedupe.command("apply", short_help="Merge what was decided; list what people merge by hand.")
def dedupe_apply(
    context: typer.Context,
    approve: Annotated[
        bool, typer.Option("--yes", "--approve", help="Do not ask back; for scripts.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")] = False,
    worklist: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write the list of work into this file.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merge in Salesforce what people have decided; receipts and history move to the survivor.

    A merge cannot be undone, so it asks first. Lightspeed merges only in its own pages: its duplicates
    become a list of work with links. Exit status 1: something was refused, or waits for people.
    """
    from tillbridge.cli.dedupe import run_apply

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(
        run_apply(desk, found, approve=approve, dry_run=dry_run, worklist=worklist, as_json=as_json)
    )

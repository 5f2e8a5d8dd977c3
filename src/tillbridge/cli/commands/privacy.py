"""Commands for people's rights: what is held of them, and its erasure.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, at_home, erase, export

PersonId = Annotated[
    str, typer.Argument(metavar="ID", help="The till's number, our key, or an id in Salesforce.")
]


@export.command("customer", short_help="Write everything that is held of a person into one file.")
def export_customer(
    context: typer.Context,
    person: PersonId,
    home: HomeOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; default: customer-ID.json, here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write what both sides and Tillbridge hold of a person into one JSON file, for its owner's eyes.

    All till records of the person belong to it, whichever of their ids is named.
    """
    from tillbridge.cli.privacy import export_customer as run_export

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_export(desk, found, person, out, as_json=as_json))


@erase.command("customer", short_help="Erase a person on both sides and here.")
def erase_customer(
    context: typer.Context,
    person: PersonId,
    home: HomeOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the report goes; default: into the home directory."),
    ] = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask back.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase a person on both sides and here, keep the amounts of their receipts, and prove it.

    It can be run again after any interruption and goes on where it was. Exit status 1: something was
    refused, or still holds the person's data; the report says what, and what to do.
    """
    from tillbridge.cli.privacy import erase_customer as run_erase

    if as_json and not is_sure:
        raise typer.BadParameter("--json cannot ask back: add --yes.")
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_erase(desk, found, person, out=out, is_sure=is_sure, as_json=as_json))


@erase.command("replay", short_help="Erase again whom a restored backup has brought back.")
def erase_replay(
    context: typer.Context,
    home: HomeOption = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Also the erasures of a saved erased.jsonl."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read who was erased from the home directory and from Salesforce; erase again what has come back.

    Run it after a backup was restored, of this home, of Salesforce or of the till. It also finishes
    erasures that were interrupted.
    """
    from tillbridge.cli.privacy import replay_erasures

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(replay_erasures(desk, found, file, as_json=as_json))


@erase.command("verify", short_help="Check the signature of a report.")
def erase_verify(
    context: typer.Context,
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A report that `erase customer` wrote.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a report was written here and is unchanged, and whether its tombstones stand."""
    from tillbridge.cli.privacy import verify_report

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(verify_report(desk, found, report, as_json=as_json))

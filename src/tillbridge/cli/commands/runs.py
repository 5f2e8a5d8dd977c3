"""Commands that carry across and prove it: loads, syncs, checks, sweeps, certificates, replays.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from tillbridge.cli.root import ApproveOption, HomeOption, JsonOption, app, at_home


@app.command(short_help="Load the whole history, or go on with it.")
def backfill(
    context: typer.Context,
    home: HomeOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Compare everything once more, from the start.")
    ] = False,
    newest_first: Annotated[
        bool, typer.Option("--newest-first", help="Load the newest history first.")
    ] = False,
    despite_storage: Annotated[
        bool,
        typer.Option("--despite-storage", help="Load although Salesforce's free storage looks too small."),
    ] = False,
    approve: ApproveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Load the whole history, or go on where the last backfill was stopped.

    The first one is halted before it writes when it would not fit into Salesforce's free storage.
    """
    from tillbridge.cli.runs import Load, run_backfill

    desk, found = at_home(context, home, as_json=as_json)
    load = Load(again=again, newest_first=newest_first, despite_storage=despite_storage, approve=approve)
    raise typer.Exit(run_backfill(desk, found, load, as_json=as_json))


@app.command(short_help="Carry across what has changed, or exactly these.")
def sync(
    context: typer.Context,
    home: HomeOption = None,
    customer: Annotated[
        list[str] | None,
        typer.Option(metavar="ID…", help="Only these customers; a person's id in Salesforce will do."),
    ] = None,
    sale: Annotated[list[str] | None, typer.Option(metavar="ID…", help="Only these sales.")] = None,
    product: Annotated[list[str] | None, typer.Option(metavar="ID…", help="Only these products.")] = None,
    approve: ApproveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Carry across what has changed; with ids, exactly those, and say what happened to each."""
    from tillbridge.cli.person import is_crm_id
    from tillbridge.cli.runs import run_forced, run_sync

    wanted = {"customer": customer or [], "product": product or [], "sale": sale or []}
    for kind, ids in wanted.items():
        numbers = [i for i in ids if not (kind == "customer" and is_crm_id(i))]
        if wrong := [i for i in numbers if not i.isdecimal()]:
            raise typer.BadParameter(f"--{kind} takes Lightspeed's own numbers, not {', '.join(wrong)}.")
    desk, found = at_home(context, home, as_json=as_json)
    if any(wanted.values()):
        raise typer.Exit(run_forced(desk, found, wanted, as_json=as_json))
    raise typer.Exit(run_sync(desk, found, approve=approve, as_json=as_json))


@app.command(short_help="Prove that both systems agree.")
def certify(
    context: typer.Context,
    home: HomeOption = None,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="Only this business day.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="From this business day on.")
    ] = None,
    daily: Annotated[
        bool,
        typer.Option("--daily", help="Every business day that is over and not yet proven: for a daily job."),
    ] = False,
    content: Annotated[
        bool, typer.Option("--content", help="Compare every field, not only sums. A single day always does.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Send again what differs, and compare once more.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Show the certificates that are kept.")] = False,
    shown: Annotated[
        int | None, typer.Option("--show", metavar="NUMBER", help="Show one of them as it was made.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that both systems agree, per store, business day and currency; name what differs, and why.

    The result is kept. Exit status 1: differences remain. --repair deletes nothing: receipts that only
    Salesforce has are listed.
    """
    from tillbridge.cli.proof import Asked, list_certificates, run_certify, run_daily, show_certificate

    if daily and (day or since or content or listed or shown is not None):
        raise typer.BadParameter("--daily goes with --repair alone.")
    if day is not None and since is not None:
        raise typer.BadParameter("--day and --since do not go together.")
    if (listed or shown is not None) and (
        day or since or content or repair or (listed and shown is not None)
    ):
        raise typer.BadParameter("--list and --show only look; they go with no other option.")
    desk, found = at_home(context, home, as_json=as_json)
    if listed:
        raise typer.Exit(list_certificates(desk, found, as_json=as_json))
    if shown is not None:
        raise typer.Exit(show_certificate(desk, found, shown, as_json=as_json))
    if daily:
        raise typer.Exit(run_daily(desk, found, mend=repair, as_json=as_json))
    asked = Asked(_date(day or since), _date(day), content or None, repair)
    raise typer.Exit(run_certify(desk, found, asked, as_json=as_json))


@app.command(short_help="Look for changes that the till did not tell.")
def check(
    context: typer.Context,
    home: HomeOption = None,
    nightly: Annotated[
        bool, typer.Option("--nightly", help="Re-read the sales of the last weeks (checks.nightly_days) too.")
    ] = False,
    approve: ApproveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Poll, then cross-check what the poll cannot see: late lines and payments, merges, deleted employees.

    Re-reads the sales of the last days (checks.reread_days). What was missed is carried across, and listed.
    """
    from tillbridge.cli.checks import run_check

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_check(desk, found, nightly=nightly, approve=approve, as_json=as_json))


@app.command(short_help="Re-read what was not verified for longest.")
def sweep(
    context: typer.Context,
    home: HomeOption = None,
    calls: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Spend about so many Lightspeed calls.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Re-read everything once.")] = False,
    approve: ApproveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Poll, then re-read the longest-unverified records on both sides, repair, and list what was missed.

    Without an option it reads what keeps a turn within checks.sweep_days.
    """
    from tillbridge.cli.checks import run_sweep

    if full and calls is not None:
        raise typer.BadParameter("--calls and --full do not go together.")
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_sweep(desk, found, calls=calls, full=full, approve=approve, as_json=as_json))


@app.command(short_help="Predict API calls, hours of the first load, and storage.")
def forecast(
    context: typer.Context,
    home: HomeOption = None,
    what_if: Annotated[
        str | None,
        typer.Option(
            "--what-if",
            metavar="TEXT",
            help='Other figures to try, such as "interval=2m,stores=10": a wrong name lists them all.',
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at both accounts, read-only, and predict what running costs and which limit would be hit when.

    Some twenty calls of Lightspeed's and six of Salesforce's. Nothing is written, and nothing needs to be
    installed or loaded yet.
    """
    from tillbridge.cli.forecast import show_forecast

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(show_forecast(desk, found, what_if, as_json=as_json))


@app.command(short_help="Look at a receipt as it was read, or send it again.")
def replay(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="sale.")],
    till_id: Annotated[str, typer.Argument(metavar="ID", help="The till's own number.")],
    home: HomeOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be sent beside what Salesforce holds.")
    ] = False,
    mapping: Annotated[
        str, typer.Option(help="With --dry-run: the field map of now, or of then, when it was last sent.")
    ] = "now",
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"],
            metavar="TIME",
            help="With --dry-run: the receipt as the till showed it then (UTC).",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a receipt as the till showed it, beside what Salesforce holds; or read it again and send it.

    Without --dry-run the till is read again, so that nothing stale is written. With it the exit status is 0
    whether or not something differs: it is a question. 1: nothing is kept of that receipt.
    """
    from tillbridge.cli.replay import look, send

    if kind != "sale":
        raise typer.BadParameter(f"KIND is sale, not {kind}.")
    if not till_id.isdecimal():
        raise typer.BadParameter(f"ID is Lightspeed's own number, not {till_id}.")
    if mapping not in {"now", "then"}:
        raise typer.BadParameter(f"--mapping is now or then, not {mapping}.")
    if not dry_run and (mapping == "then" or at is not None):
        raise typer.BadParameter(
            "--mapping then and --at only look: add --dry-run. What is sent is always read again."
        )
    desk, found = at_home(context, home, as_json=as_json)
    if not dry_run:
        raise typer.Exit(send(desk, found, till_id, as_json=as_json))
    moment = at.replace(tzinfo=UTC) if at else None
    raise typer.Exit(look(desk, found, till_id, mapping, moment, as_json=as_json))


def _date(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


@app.command(short_help="Rebuild lost links from Salesforce.")
def relink(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Rebuild the links from Salesforce after the state file was lost.

    Lightspeed's newest refresh token was lost with it: authorise Tillbridge there again first, and put the
    new token into tillbridge.toml. Then run relink, and after it backfill, which compares everything once.
    """
    from tillbridge.cli.runs import run_relink

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_relink(desk, found, as_json=as_json))

"""Commands for what is held before it is written, and what can be taken back.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tillbridge.cli.root import HomeOption, JsonOption, YesOption, app, at_home, conflicts, plans

PlanNumber = Annotated[int, typer.Argument(metavar="PLAN", help="The plan's number.")]
ChecksumOption = Annotated[
    str | None, typer.Option(metavar="HEX", help="Only if it is still the plan with this checksum.")
]


@app.command(short_help="Show what a sync would write of customers.")
def preview(
    context: typer.Context,
    home: HomeOption = None,
    customer: Annotated[list[str] | None, typer.Option(metavar="ID…", help="Only these customers.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a sync would write of customers, field by field, and keep it as a plan.

    Writes to neither side. `tillbridge apply` writes exactly that.
    """
    from tillbridge.cli.plans import show_preview

    if wrong := [i for i in customer or [] if not i.isdecimal()]:
        raise typer.BadParameter(f"--customer takes Lightspeed's own numbers, not {', '.join(wrong)}.")
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(show_preview(desk, found, customer or [], as_json=as_json))


@app.command(short_help="Write exactly what a preview has shown.")
def apply(
    context: typer.Context,
    plan: PlanNumber,
    home: HomeOption = None,
    checksum: ChecksumOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write exactly what a preview has shown; whoever has changed since is passed over, and listed.

    Exit status 1: something was passed over or refused. 2: there is no such plan, or it was applied already.
    """
    from tillbridge.cli.plans import run_apply

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_apply(desk, found, plan, checksum, as_json=as_json))


@app.command(short_help="Let pass what was held back.")
def approve(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(metavar="PLAN|emptied", help="A plan's number; or emptied.")],
    home: HomeOption = None,
    is_sure: YesOption = False,
    checksum: ChecksumOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let pass what was held back for a person, and carry it at once; `plans` lists what that is.

    emptied: accept that linked people were deleted in Salesforce, so that their links are taken off.
    """
    from tillbridge.cli.plans import approve_emptied, run_approve

    if plan != "emptied" and not plan.isdecimal():
        raise typer.BadParameter(f"PLAN is a plan's number, or emptied, not {plan}.")
    if plan == "emptied" and checksum is not None:
        raise typer.BadParameter("--checksum goes with a plan's number.")
    _check_asks(is_sure=is_sure, as_json=as_json)
    desk, found = at_home(context, home, as_json=as_json)
    if plan == "emptied":
        raise typer.Exit(approve_emptied(desk, found, is_sure=is_sure, as_json=as_json))
    raise typer.Exit(run_approve(desk, found, int(plan), checksum, is_sure=is_sure, as_json=as_json))


def _check_asks(*, is_sure: bool, as_json: bool) -> None:
    if as_json and not is_sure:
        raise typer.BadParameter("--json cannot ask back: add --yes.")


@plans.callback()
def plans_list(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the plans that are open: what was held back, and the last preview."""
    from tillbridge.cli.plans import list_plans

    if context.invoked_subcommand is not None:
        return
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(list_plans(desk, found, as_json=as_json))


@plans.command("show", short_help="Show a plan, field by field.")
def plans_show(
    context: typer.Context, plan: PlanNumber, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show an open plan: whom it would create or change on which side, each field before and after."""
    from tillbridge.cli.plans import show_plan

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(show_plan(desk, found, plan, as_json=as_json))


@plans.command("drop", short_help="Forget a plan, and look afresh.")
def plans_drop(
    context: typer.Context, plan: PlanNumber, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Forget a plan. The next sync looks afresh at who was held back: for when the data was put right."""
    from tillbridge.cli.plans import run_drop

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_drop(desk, found, plan, as_json=as_json))


@app.command(short_help="Take back what a run wrote of customers.")
def undo(
    context: typer.Context,
    run: Annotated[int, typer.Argument(metavar="RUN", help="The run's number, as `status` shows it.")],
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")] = False,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Restore what a run changed in customers, on either side, where a field still shows what it wrote.

    The sides then differ on purpose, until somebody changes one of them. Whom the run created stays.
    Exit status 1: something was left as it is, and is listed.
    """
    from tillbridge.cli.undo import run_undo

    if not dry_run:
        _check_asks(is_sure=is_sure, as_json=as_json)
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_undo(desk, found, run, dry=dry_run, is_sure=is_sure, as_json=as_json))


WinnerArgument = Annotated[str, typer.Argument(metavar="till|crm", help="Whose value counts.")]


@conflicts.callback()
def conflicts_list(
    context: typer.Context,
    home: HomeOption = None,
    lost: Annotated[bool, typer.Option("--lost", help="The values that gave way lately, instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the fields that both sides have changed: each keeps its own until somebody says which counts.

    Exit status 1: some are open.
    """
    from tillbridge.cli.conflicts import show_conflicts

    if context.invoked_subcommand is not None:
        return
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(show_conflicts(desk, found, lost=lost, as_json=as_json))


@conflicts.command("keep", short_help="Say which side's value counts.")
def conflicts_keep(
    context: typer.Context,
    conflict: Annotated[int, typer.Argument(metavar="ID", help="The conflict's number.")],
    winner: WinnerArgument,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which side's value counts, and write it to the other; the value that gives way is kept."""
    from tillbridge.cli.conflicts import run_keep

    side = _side(winner)
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_keep(desk, found, conflict, side, as_json=as_json))


@conflicts.command("keep-all", short_help="Say it of all open conflicts at once.")
def conflicts_keep_all(
    context: typer.Context,
    winner: WinnerArgument,
    home: HomeOption = None,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let one side's values count in every open conflict."""
    from tillbridge.cli.conflicts import run_keep_all

    side = _side(winner)
    _check_asks(is_sure=is_sure, as_json=as_json)
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_keep_all(desk, found, side, is_sure=is_sure, as_json=as_json))


@conflicts.command("restore", short_help="Write a value that gave way back to both sides.")
def conflicts_restore(
    context: typer.Context,
    change: Annotated[int, typer.Argument(metavar="CHANGE", help="The change's number: `conflicts --lost`.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the value that a change replaced back to both sides."""
    from tillbridge.cli.undo import run_restore

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_restore(desk, found, change, as_json=as_json))


def _side(winner: str) -> Literal["till", "crm"]:
    if winner == "till":
        return "till"
    if winner == "crm":
        return "crm"
    raise typer.BadParameter(f"till or crm is expected, not {winner}.")

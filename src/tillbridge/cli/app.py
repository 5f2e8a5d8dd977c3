"""The commands and their options, and the one place where an error becomes a sentence and a status.

Commands import what they need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal, NoReturn, TextIO

import typer

from tillbridge import __version__
from tillbridge.cli import words
from tillbridge.cli.desk import Desk
from tillbridge.cli.screen import Screen
from tillbridge.model.clock import Clock, SystemClock
from tillbridge.model.errors import SyncError

_CRASH_FILE = "tillbridge-crash.txt"

# `--sale 1 2 3` reads naturally; the parser wants the option before each value.
_LISTED = ("--customer", "--sale", "--product")
_LISTING = ("sync", "preview")

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


def run(
    argv: Sequence[str],
    *,
    out: TextIO | None = None,
    err: TextIO | None = None,
    env: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
    pause: Callable[[float], None] | None = None,
) -> int:
    """Run one command line and return its exit status. Tests hand in streams, a clock and a way to wait."""
    screen = Screen(out or sys.stdout, err or sys.stderr)
    desk = Desk(screen, env, clock or SystemClock())
    if pause is not None:
        desk.pause = pause
    try:
        with _ended_politely():
            status = _run(argv, desk)
    except KeyboardInterrupt:
        status = words.INTERRUPTED
    if status == words.INTERRUPTED:
        screen.note("Stopped. Nothing was lost: run the same command again to go on.")
    return status


def _run(argv: Sequence[str], desk: Desk) -> int:
    command = typer.main.get_command(app)
    try:
        status = command.main(_spread(argv), prog_name="tillbridge", standalone_mode=False, obj=desk)
    except typer.TyperException as error:
        _show_usage(error, desk)
        return words.WRONG
    except (SyncError, OSError) as error:
        told = words.tell(error)
        for line in told.lines:
            desk.screen.note(line)
        if "--json" in argv:
            # Whoever reads stdout gets one document, whatever happened.
            desk.screen.document({"error": list(told.lines), "status": told.status})
        return told.status
    except Exception as error:  # noqa: BLE001  Whatever is left is a bug of ours, and nobody wants its trace.
        desk.screen.note(_crashed(error, desk))
        return words.BROKEN
    return status if isinstance(status, int) else words.DONE


def _show_usage(error: Any, desk: Desk) -> None:
    """Say what is wrong with the command line, on one line."""
    path = error.ctx.command_path if getattr(error, "ctx", None) else "tillbridge"
    desk.screen.note(words.sentence(error.format_message()))
    desk.screen.note(f"`{path} --help` shows what it takes.")


class _ended_politely:  # noqa: N801  It reads as a statement.
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does, so that children and locks are let go."""

    def __enter__(self) -> None:
        self._before: dict[int, Any] = {}
        try:
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._before[number] = signal.signal(number, _interrupt)
        except ValueError:
            self._before = {}  # Not the main thread: its owner deals with signals.

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _crashed(error: Exception, desk: Desk) -> str:
    """Keep the trace of a bug where a person finds it: places only, since messages may name people."""
    import traceback

    trace = error
    lines = [f"Tillbridge {__version__}, Python {sys.version.split()[0]}, {datetime.now(UTC).isoformat()}"]
    while trace is not None:
        lines.append(f"{type(trace).__module__}.{type(trace).__qualname__}")
        lines += [f"  {f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace.__traceback__)]
        trace = trace.__cause__ or trace.__context__  # type: ignore[assignment]
    try:
        place = _keep_trace(desk.home, "\n".join(lines) + "\n")
    except OSError as problem:
        kept = f"where it happened could not be written ({problem})"
    else:
        kept = f"{place} says where it happened, without anyone's data"
    return (
        f"Tillbridge made a mistake ({type(error).__name__}) and stopped; nothing was lost. "
        f"Please report it: {kept}."
    )


def _keep_trace(home: Path | None, text: str) -> Path:
    """Write a trace for its owner's eyes, through nobody's link.

    Without a home it goes where everybody may write: under a name that nobody can lie in wait at.
    """
    if home is None:
        import tempfile

        stem, suffix = _CRASH_FILE.rsplit(".", 1)
        descriptor, name = tempfile.mkstemp(prefix=f"{stem}-", suffix=f".{suffix}")
        place = Path(name)
    else:
        place = home / _CRASH_FILE
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return place


def _spread(argv: Sequence[str]) -> list[str]:
    """Write a listed option before each value: `--sale 1 2,3` becomes `--sale 1 --sale 2 --sale 3`."""
    if not argv or argv[0] not in _LISTING:
        return list(argv)
    spread: list[str] = []
    option, bare = "", False
    for word in [*argv, ""]:
        name, _, value = word.partition("=")
        if option and name not in _LISTED and word and not word.startswith("-"):
            spread += _each(option, word)
            bare = False
            continue
        if bare:
            raise typer.BadParameter(f"{option} wants at least one id behind it.")
        option = name if name in _LISTED else ""
        bare = bool(option) and not value
        spread += _each(option, value) if option else [word] * bool(word)
    return spread


def _each(option: str, values: str) -> list[str]:
    return [part for value in values.split(",") if value.strip() for part in (option, value.strip())]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tillbridge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Hold the options of all commands."""


def _desk(context: typer.Context, *, as_json: bool = False) -> Desk:
    from tillbridge import logs

    desk: Desk = context.obj
    logs.configure(None, desk.env)
    desk.screen.only_json(as_json)
    return desk


def _at_home(context: typer.Context, home: Path | None, *, as_json: bool = False) -> tuple[Desk, Path]:
    from tillbridge import logs

    desk = _desk(context, as_json=as_json)
    found = desk.find_home(home)
    logs.configure(found, desk.env)
    return desk, found


# --- setting up ----------------------------------------------------------------------------------


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

    desk = _desk(context, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(deploy(desk, found, check_only=check_only, as_json=as_json))


@app.command(short_help="Check both sides, and say what to put right.")
def doctor(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check configuration, logins, rights, fields, limits and clocks, and say what to do."""
    from tillbridge.cli.doctor import examine

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(examine(desk, found, as_json=as_json))


# --- runs ----------------------------------------------------------------------------------------


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
    approve: ApproveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Load the whole history, or go on where the last backfill was stopped."""
    from tillbridge.cli.runs import run_backfill

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(
        run_backfill(desk, found, again=again, newest_first=newest_first, approve=approve, as_json=as_json)
    )


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
    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(run_relink(desk, found, as_json=as_json))


# --- changes of customers: before and after ----------------------------------------------------------

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
    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(list_plans(desk, found, as_json=as_json))


@plans.command("show", short_help="Show a plan, field by field.")
def plans_show(
    context: typer.Context, plan: PlanNumber, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show an open plan: whom it would create or change on which side, each field before and after."""
    from tillbridge.cli.plans import show_plan

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(show_plan(desk, found, plan, as_json=as_json))


@plans.command("drop", short_help="Forget a plan, and look afresh.")
def plans_drop(
    context: typer.Context, plan: PlanNumber, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Forget a plan. The next sync looks afresh at who was held back: for when the data was put right."""
    from tillbridge.cli.plans import run_drop

    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(run_restore(desk, found, change, as_json=as_json))


def _side(winner: str) -> Literal["till", "crm"]:
    if winner == "till":
        return "till"
    if winner == "crm":
        return "crm"
    raise typer.BadParameter(f"till or crm is expected, not {winner}.")


# --- the service ---------------------------------------------------------------------------------

PortOption = Annotated[
    int | None,
    typer.Option(
        min=0, max=65_535, help="Where /healthz, /readyz and /metrics answer; default: service.port."
    ),
]
StreamArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[STREAM]",
        help="sales, customers, products, stock, voids, replay, cross-check, sweep, certify, notify or "
        "backfill. Default: the whole connection.",
    ),
]


@app.command(short_help="Run the service: sync unattended until told to end.")
def serve(
    context: typer.Context,
    home: HomeOption = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Leave the jobs to `tillbridge worker` (PostgreSQL only).")
    ] = False,
    port: PortOption = None,
) -> None:
    """Sync unattended: polls, checks, sweeps and proofs, each with its own interval, until told to end.

    On one machine this is all there is to start. SIGTERM or Ctrl-C ends it within ten seconds; nothing
    is lost.
    """
    from tillbridge.cli.serve import run_serve

    desk, found = _at_home(context, home)
    raise typer.Exit(run_serve(desk, found, works=not no_worker, port=port))


@app.command(short_help="Work beside other machines (PostgreSQL).")
def worker(context: typer.Context, home: HomeOption = None, port: PortOption = None) -> None:
    """Work off the same queue as other machines do; any number of them may run (service.database_url)."""
    from tillbridge.cli.serve import run_worker

    desk, found = _at_home(context, home)
    raise typer.Exit(run_worker(desk, found, port=port))


@app.command(short_help="Let the service leave a connection or a stream alone.")
def pause(
    context: typer.Context,
    stream: StreamArgument = None,
    home: HomeOption = None,
    why: Annotated[str, typer.Option(help="Why, for whoever looks later.")] = "paused by hand",
) -> None:
    """Let a connection, or one of its streams, rest until `tillbridge resume`. Forced runs go on working."""
    from tillbridge.cli.serve import run_pause

    desk, found = _at_home(context, home)
    raise typer.Exit(run_pause(desk, found, stream, why=why))


@app.command(short_help="Let it go on.")
def resume(context: typer.Context, stream: StreamArgument = None, home: HomeOption = None) -> None:
    """Let a connection or stream go on that was paused. What came meanwhile is caught up in one run."""
    from tillbridge.cli.serve import run_resume

    desk, found = _at_home(context, home)
    raise typer.Exit(run_resume(desk, found, stream))


@app.command("run-now", short_help="Let a stream be due at once.")
def run_at_once(context: typer.Context, stream: StreamArgument = None, home: HomeOption = None) -> None:
    """Let a stream be due at once instead of at its time; without one, all that have an interval."""
    from tillbridge.cli.serve import run_now

    desk, found = _at_home(context, home)
    raise typer.Exit(run_now(desk, found, stream))


@app.command(short_help="Show what the service does now and next.")
def jobs(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show every stream: what runs now, what waits, what is due next, and why anything stands still."""
    from tillbridge.cli.serve import show_jobs

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(show_jobs(desk, found, as_json=as_json))


# --- duplicates ----------------------------------------------------------------------------------


@dedupe.command("scan", short_help="Look for duplicates on both sides; change nothing.")
def dedupe_scan(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Read all customers of both sides, and find who is there twice, with evidence and a proposal.

    Writes to neither side. What was decided before stays; what was merged by hand since is ticked off.
    """
    from tillbridge.cli.dedupe import run_scan

    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(
        run_apply(desk, found, approve=approve, dry_run=dry_run, worklist=worklist, as_json=as_json)
    )


# --- looking -------------------------------------------------------------------------------------


@app.command(short_help="Show where everything stands.")
def status(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show where everything stands: counts, problems with advice, who waits for whom, the last runs."""
    from tillbridge.cli.status import show_status

    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
    if kind == "customer":
        from tillbridge.cli.person import show_person

        raise typer.Exit(show_person(desk, found, till_id, fresh=fresh, as_json=as_json))
    raise typer.Exit(show_record(desk, found, kind, till_id, as_json=as_json))


# --- the problems desk ---------------------------------------------------------------------------

ProblemIds = Annotated[list[int], typer.Argument(metavar="ID...", help="Numbers of problems.")]
LaterOption = Annotated[bool, typer.Option("--later", help="Leave the sending to the next run.")]
PROBLEM_STATES = ("retrying", "gave_up", "ignored", "resolved")


@problems.callback()
def problems_list(
    context: typer.Context,
    home: HomeOption = None,
    cause: Annotated[str | None, typer.Option(metavar="CAUSE", help="Only this cause.")] = None,
    state: Annotated[
        str | None, typer.Option(help=f"Only one state: {', '.join(PROBLEM_STATES)}. Default: what is open.")
    ] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="What receipts wait for instead: it fills in by itself.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what Salesforce refuses, by cause: how many, what it said, what to change, when it is tried next.

    Fixing a cause once releases everything behind it: see `problems fix`.
    """
    from tillbridge.cli.problems import show_problems, show_waiting

    if context.invoked_subcommand is not None:
        return
    if state not in {None, *PROBLEM_STATES}:
        raise typer.BadParameter(f"--state is one of {', '.join(PROBLEM_STATES)}, not {state}.")
    desk, found = _at_home(context, home, as_json=as_json)
    if waiting:
        raise typer.Exit(show_waiting(desk, found, as_json=as_json))
    raise typer.Exit(show_problems(desk, found, cause=cause, state=state, as_json=as_json))


@problems.command("show", short_help="Tell everything about one problem.")
def problems_show(
    context: typer.Context,
    problem: Annotated[int, typer.Argument(metavar="ID", help="The problem's number.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everything about one problem: whose it is, what was sent and answered, when it is tried again."""
    from tillbridge.cli.problems import show_problem

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(show_problem(desk, found, problem, as_json=as_json))


@problems.command("retry", short_help="Try problems again now.")
def problems_retry(
    context: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID...]", help="Numbers of problems.")] = None,
    home: HomeOption = None,
    cause: Annotated[str | None, typer.Option(metavar="CAUSE", help="All of this cause.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read the records from the till again and send them now; those given up on too."""
    from tillbridge.cli.problems import run_retry

    if [bool(ids), cause is not None, everything].count(True) != 1:
        raise typer.BadParameter("Say which: numbers of problems, --cause CAUSE, or --all.")
    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(run_retry(desk, found, ids or [], cause=cause, everything=everything, as_json=as_json))


@problems.command("ignore", short_help="Leave problems alone from now on.")
def problems_ignore(
    context: typer.Context,
    ids: ProblemIds,
    home: HomeOption = None,
    note: Annotated[str | None, typer.Option(help="Why, for whoever looks later.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Leave problems alone. A later success resolves them; another cause brings them back."""
    from tillbridge.cli.problems import run_ignore

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(run_ignore(desk, found, ids, note=note, as_json=as_json))


@problems.command("edit", short_help="Set fields of one record by hand, and send it.")
def problems_edit(
    context: typer.Context,
    problem: Annotated[int, typer.Argument(metavar="ID", help="The problem's number.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE...", help="Salesforce's fields; no value empties one."),
    ] = None,
    home: HomeOption = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take back all that was set; the till's values are sent.")
    ] = False,
    later: LaterOption = False,
    as_json: JsonOption = False,
) -> None:
    """Set fields of one record by hand, until the till shows other values; the rest is read from the till."""
    from tillbridge.cli.problems import run_edit

    if remove == bool(fields):
        raise typer.BadParameter("Give FIELD=VALUE, or --remove: one of both.")
    if wrong := [pair for pair in fields or () if not pair.partition("=")[1]]:
        raise typer.BadParameter(f"FIELD=VALUE is expected, not {wrong[0]}.")
    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(
        run_edit(desk, found, problem, fields or [], remove=remove, later=later, as_json=as_json)
    )


@problems.command("fix", short_help="Decide about a cause once, for every record of it.")
def problems_fix(
    context: typer.Context,
    cause: Annotated[
        str, typer.Argument(metavar="CAUSE", help="As `problems` shows it; its last part will do.")
    ],
    home: HomeOption = None,
    replace: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE=OTHER", help="Send OTHER wherever VALUE would be sent. Can be repeated."),
    ] = None,
    default: Annotated[
        str | None, typer.Option(metavar="VALUE", help="Send VALUE where the till has none.")
    ] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Send what is refused for this cause without the field.")
    ] = False,
    add_value: Annotated[
        bool,
        typer.Option("--add-picklist-value", help="Add the refused value to Salesforce's picklist."),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Forget what was decided about this cause.")] = False,
    field: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Which field; default: the one that Salesforce named.")
    ] = None,
    later: LaterOption = False,
    as_json: JsonOption = False,
) -> None:
    """Decide about a cause once: every record of it is sent again, and later ones go the same way."""
    from tillbridge.cli.problems import Wish, run_fix

    wish = Wish(tuple(replace or ()), default, leave_out, undo, field, add_value)
    if mistake := wish.check():
        raise typer.BadParameter(mistake)
    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(run_fix(desk, found, cause, wish, later=later, as_json=as_json))


@matches.command("review", short_help="List whom a person has to decide.")
def matches_review(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List whom a person has to decide, side by side with whom they may be on the other side.

    Both ways: customers of the till, and people of Salesforce on their way into Lightspeed.
    """
    from tillbridge.cli.matches import show_reviews

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(show_reviews(desk, found, as_json=as_json))


@matches.command("choose", short_help="Say who a customer is.")
def matches_choose(
    context: typer.Context,
    who: Annotated[
        str,
        typer.Argument(
            metavar="CUSTOMER|ID", help="The till's number of a customer, or a Salesforce id on its way in."
        ),
    ],
    choice: Annotated[
        str,
        typer.Argument(
            metavar="ID|CUSTOMER|new|leave",
            help="Whom of the other side it is; new: nobody; leave: a Salesforce id stays out of the till.",
        ),
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who somebody is on the other side, or that nobody there is; receipts follow by themselves.

    A customer of the till is linked to the person chosen, or created in Salesforce. Somebody of Salesforce
    is linked to the customer chosen, created in Lightspeed, or left out.
    """
    from tillbridge.cli.matches import choose_match, choose_newcomer

    if who.isdecimal():
        desk, found = _at_home(context, home, as_json=as_json)
        raise typer.Exit(choose_match(desk, found, who, choice, as_json=as_json))
    if len(who) != _CRM_ID_LETTERS or not who.isalnum():
        raise typer.BadParameter(
            f"CUSTOMER is Lightspeed's own number, or ID one of Salesforce with {_CRM_ID_LETTERS} letters, "
            f"not {who}."
        )
    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(choose_newcomer(desk, found, who, choice, as_json=as_json))


_CRM_ID_LETTERS = 18


@matches.command("what-if", short_help="Try other match rules; change nothing.")
def matches_what_if(
    context: typer.Context,
    rules: Annotated[
        str | None,
        typer.Argument(
            metavar="[RULES]", help="As in customers.match: email,phone. external_id stays as it is."
        ),
    ] = None,
    match: Annotated[str | None, typer.Option(metavar="RULES", help="The same, as an option.")] = None,
    review: Annotated[
        str | None,
        typer.Option(metavar="RULES", help='Rules that only suggest, as in customers.review; "" for none.'),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every difference.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which pairs other match rules would gain and lose, before tillbridge.toml is changed.

    Tried on the people whom both sides have shown so far: no call is spent, and nothing is written.
    """
    from tillbridge.cli.whatif import show_what_if

    if rules is not None and match is not None:
        raise typer.BadParameter("Name the rules once: as RULES or with --match.")
    if rules is None and match is None and review is None:
        raise typer.BadParameter("Name the rules to try: as RULES, with --review, or both.")
    desk, found = _at_home(context, home, as_json=as_json)
    named = rules if rules is not None else match
    raise typer.Exit(show_what_if(desk, found, named, review, everything=everything, as_json=as_json))


# --- privacy -------------------------------------------------------------------------------------

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

    desk, found = _at_home(context, home, as_json=as_json)
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
    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
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

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(verify_report(desk, found, report, as_json=as_json))


@alerts.command("test")
def alerts_test(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Send one test message over every configured channel, and say which did not take it."""
    from tillbridge.cli.alerts import run_test

    desk, found = _at_home(context, home, as_json=as_json)
    raise typer.Exit(run_test(desk, found, as_json=as_json))


# --- rehearsing ----------------------------------------------------------------------------------


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
    desk = _desk(context, as_json=as_json)
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

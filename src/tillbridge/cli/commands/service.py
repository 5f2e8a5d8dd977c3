"""Commands for the service: run it, pause it, see its jobs.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, app, at_home, at_installation, at_served

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

    On one machine this is all there is to start: in an empty folder the console begins with setting up.
    SIGTERM or Ctrl-C ends it within ten seconds; nothing is lost.
    """
    from tillbridge.cli.serve import run_serve

    desk, found = at_served(context, home)
    raise typer.Exit(run_serve(desk, found, works=not no_worker, port=port))


@app.command(short_help="Work beside other machines (PostgreSQL).")
def worker(context: typer.Context, home: HomeOption = None, port: PortOption = None) -> None:
    """Work off the same queue as other machines do; any number of them may run (service.database_url).

    Where no connection is set up yet it waits until somebody adds one.
    """
    from tillbridge.cli.serve import run_worker

    desk, found = at_served(context, home)
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

    desk, found = at_home(context, home)
    raise typer.Exit(run_pause(desk, found, stream, why=why))


@app.command(short_help="Let it go on.")
def resume(context: typer.Context, stream: StreamArgument = None, home: HomeOption = None) -> None:
    """Let a connection or stream go on that was paused. What came meanwhile is caught up in one run."""
    from tillbridge.cli.serve import run_resume

    desk, found = at_home(context, home)
    raise typer.Exit(run_resume(desk, found, stream))


@app.command("run-now", short_help="Let a stream be due at once.")
def run_at_once(context: typer.Context, stream: StreamArgument = None, home: HomeOption = None) -> None:
    """Let a stream be due at once instead of at its time; without one, all that have an interval."""
    from tillbridge.cli.serve import run_now

    desk, found = at_home(context, home)
    raise typer.Exit(run_now(desk, found, stream))


@app.command(short_help="Show what the service does now and next.")
def jobs(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show every stream: what runs now, what waits, what is due next, and why anything stands still.

    In a folder of several connections: of all, or of the one that --connection names.
    """
    from tillbridge.cli.serve import show_jobs
    from tillbridge.installation import installation_of

    desk, found = at_installation(context, home, as_json=as_json)
    connection = installation_of(desk.find_home(home))[1] if desk.names_connection else None
    raise typer.Exit(show_jobs(desk, found, connection, as_json=as_json))

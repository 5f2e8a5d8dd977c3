"""One command line from its words to its exit status: the one place where an error becomes a sentence."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn, TextIO

import typer

from tillbridge import __version__
from tillbridge.cli import words
from tillbridge.cli.desk import Desk
from tillbridge.cli.root import app, tree
from tillbridge.cli.screen import Screen
from tillbridge.model.clock import Clock, SystemClock
from tillbridge.model.errors import SyncError

# To import a group is to register its commands; `--help` lists them in this order.
# ruff: isort: off
from tillbridge.cli.commands import set_up  # noqa: F401
from tillbridge.cli.commands import runs  # noqa: F401
from tillbridge.cli.commands import looking  # noqa: F401
from tillbridge.cli.commands import plans  # noqa: F401
from tillbridge.cli.commands import problems  # noqa: F401
from tillbridge.cli.commands import duplicates  # noqa: F401
from tillbridge.cli.commands import privacy  # noqa: F401
from tillbridge.cli.commands import service  # noqa: F401
from tillbridge.cli.commands import console  # noqa: F401
from tillbridge.cli.commands import connections  # noqa: F401
from tillbridge.cli.commands import upkeep  # noqa: F401
from tillbridge.cli.commands import rehearsing  # noqa: F401
# ruff: isort: on

_CRASH_FILE = "tillbridge-crash.txt"

# `--sale 1 2 3` reads naturally; the parser wants the option before each value.
_LISTED = ("--customer", "--sale", "--product")
_LISTING = ("sync", "preview")


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
    command = tree()
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

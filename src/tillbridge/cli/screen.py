"""Where the command line writes: results to stdout, everything else to stderr, progress by who looks on.

A terminal gets bars; anything else gets plain lines, at most one every two
seconds for each bar. With --json stdout holds one document and nothing else.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from tillbridge.cli.words import number, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from tillbridge.engine.connection import Bar, Progress

# Where no terminal says how wide it is, tables get this much room.
_COLUMNS = 130

# A plain bar speaks so often at most.
_LINE_EVERY_SECONDS = 2.0


class Screen:
    """The two streams of one command. `tick` is real time: progress is for people."""

    def __init__(self, out: TextIO, err: TextIO, tick: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._err = err
        self._tick = tick
        self._json = False

    def only_json(self, wanted: bool) -> None:
        """Keep stdout for one document."""
        self._json = wanted

    @property
    def result(self) -> Console:
        """Where people read results: stdout, or stderr when stdout belongs to a document."""
        return _console(self._err if self._json else self._out)

    def note(self, text: str) -> None:
        """Tell something on stderr."""
        _console(self._err).print(plain(text), soft_wrap=True)

    def document(self, value: Any) -> None:
        """Write the one JSON document."""
        text = json.dumps(value, default=_jsonable, ensure_ascii=False, indent=2)
        self._out.write(text + "\n")
        self._out.flush()

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show progress while the block runs."""
        if not _console(self._err).is_terminal:
            yield PlainProgress(self._line, self._tick)
            return
        with _bars(_console(self._err)) as bars:
            yield RichProgress(bars, self._tick)

    def _line(self, text: str) -> None:
        self._err.write(plain(text) + "\n")
        self._err.flush()


def _console(file: TextIO) -> Console:
    from rich.console import Console

    # No markup: what remotes say may hold brackets.
    console = Console(file=file, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _COLUMNS
    return console


def _jsonable(value: object) -> object:
    match value:
        case Decimal():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return dict(value)
        case set() | frozenset() | tuple():
            return list(value)
    raise TypeError(f"{type(value).__name__} is no part of a report")


# --- plain lines ---------------------------------------------------------------------------------


class PlainProgress:
    """Progress for logs and pipes."""

    def __init__(self, write: Callable[[str], None], tick: Callable[[], float]) -> None:
        self._write = write
        self._tick = tick

    def bar(self, title: str, total: int | None = None) -> Bar:
        """Begin a bar."""
        return _PlainBar(title, total, self._write, self._tick)

    def say(self, text: str) -> None:
        """Tell one thing."""
        self._write(text)


class _PlainBar:
    def __init__(
        self, title: str, total: int | None, write: Callable[[str], None], tick: Callable[[], float]
    ) -> None:
        self._title = title
        self._of = f" of {number(total)}" if total else ""
        self._done = 0
        self._write = write
        self._tick = tick
        self._begun = self._spoke = tick()
        self._closed = False
        write(f"{title}: started")

    def advance(self, count: int = 1) -> None:
        """Move on, and say so now and then."""
        self._done += count
        now = self._tick()
        if now - self._spoke >= _LINE_EVERY_SECONDS:
            self._spoke = now
            self._write(f"{self._title}: {number(self._done)}{self._of}")

    def close(self) -> None:
        """Say how it ended."""
        if not self._closed:
            self._closed = True
            seconds = self._tick() - self._begun
            count = f"{number(self._done)}{self._of}, " if self._done else ""
            self._write(f"{self._title}: done ({count}{seconds:.1f} s)")


# --- bars ----------------------------------------------------------------------------------------


class RichProgress:
    """Progress for a terminal. Titles, bars, counts and times stand below each other."""

    def __init__(self, bars: Bars, tick: Callable[[], float]) -> None:
        self._bars = bars
        self._tick = tick

    def bar(self, title: str, total: int | None = None) -> Bar:
        """Begin a bar."""
        task = self._bars.add_task(title, total=total, count="", state="")
        return _RichBar(self._bars, task, total, self._tick)

    def say(self, text: str) -> None:
        """Tell one thing above the bars."""
        self._bars.console.print(f"  {plain(text)}", soft_wrap=True)


class _RichBar:
    def __init__(self, bars: Bars, task: TaskID, total: int | None, tick: Callable[[], float]) -> None:
        self._bars = bars
        self._task = task
        self._total = total
        self._done = 0
        self._closed = False
        self._lock = threading.Lock()
        self._tick = tick

    def advance(self, count: int = 1) -> None:
        """Move on."""
        with self._lock:
            self._done += count
        shown = number(self._done) if self._done else ""
        if self._total:
            shown = f"{number(self._done)}/{number(self._total)}"
        self._bars.update(self._task, completed=self._done, count=shown)

    def close(self) -> None:
        """Leave the bar behind, full."""
        if self._closed:
            return
        self._closed = True
        count = number(self._done) if self._done else ""
        self._bars.update(
            self._task, total=max(self._done, 1), completed=max(self._done, 1), count=count, state="done"
        )
        self._bars.stop_task(self._task)


def _bars(console: Console) -> Bars:
    from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Mark(ProgressColumn):
        """A spinner while it runs, a tick behind it."""

        def __init__(self) -> None:
            super().__init__()
            self._spinner = SpinnerColumn("dots", style="cyan")

        def render(self, task: Task) -> Any:
            return Text("✓", style="green") if task.fields["state"] else self._spinner.render(task)

    class Seconds(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.elapsed or 0:.1f} s".rjust(8), style="dim")

    return Bars(
        TextColumn(" "),
        Mark(),
        TextColumn("{task.description:<42}", markup=False),
        BarColumn(24, style="grey30", complete_style="cyan", finished_style="green", pulse_style="cyan"),
        TextColumn("{task.fields[count]:>12}", markup=False),
        Seconds(),
        console=console,
        refresh_per_second=12,
    )

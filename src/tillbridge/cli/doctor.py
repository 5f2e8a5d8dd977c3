"""`doctor`: print what setup.checks finds, and say with which status to leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tillbridge.cli import words
from tillbridge.cli.desk import Desk

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.setup.checks import Check

_STATUSES = {"": words.DONE, "wrong": words.WRONG, "later": words.TRY_LATER}


def examine(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Look at everything, print it, and return the exit status."""
    from tillbridge.setup.checks import checks

    with desk.screen.progress() as progress:
        found = list(
            checks(
                home,
                clock=desk.clock,
                env=desk.env,
                progress=progress,
                tell=lambda error: " ".join(words.tell(error).lines),
            )
        )
        found += _others(desk, home)
    if as_json:
        desk.screen.document({"home": str(home), "checks": [_document(each) for each in found]})
    else:
        _show(desk.screen.result, found)
    statuses = {_STATUSES[check.blame] for check in found}
    return next((s for s in (words.WRONG, words.TRY_LATER) if s in statuses), words.DONE)


def _others(desk: Desk, home: Path) -> Iterator[Check]:
    """Look at the installation's other connections: whether one has lost its folder, or cannot be read."""
    from tillbridge import config, installation
    from tillbridge.cli.connections import all_gone, lost_text
    from tillbridge.model.errors import ConfigurationInvalid
    from tillbridge.setup.checks import Check

    folder, own = installation.installation_of(home)
    for name, other in installation.connections(folder).items():
        if name == own:
            continue
        try:
            config.load(other, desk.env)
        except ConfigurationInvalid as error:
            yield Check("others", name, "warn", str(config.located(other, error)))
    for name, other in all_gone(desk, folder).items():
        yield Check("others", name, "warn", lost_text(name, other))


def _document(check: Check) -> dict[str, Any]:
    fields = msgspec.to_builtins(check)
    return {**{name: fields[name] for name in fields if name != "blame"}, "status": _STATUSES[check.blame]}


# --- showing -------------------------------------------------------------------------------------

# A schema that is not installed misses hundreds of fields; the first few tell it all, the document the rest.
_ALIKE_SHOWN = 4

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def _show(result: Console, checks: list[Check]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for width in (1, None, None):
        table.add_column(width=width, no_wrap=width is None)
    table.add_column(overflow="fold")
    area = ""
    for check in _folded(checks):
        mark, style = _MARKS[check.level]
        text = Text(words.plain(check.text), "" if check.level == "ok" else style)
        if check.advice:
            text.append(f"\n→ {check.advice}", "cyan")
        table.add_row(
            Text(mark, style), Text(check.area if check.area != area else "", "bold"), check.what, text
        )
        area = check.area
    result.print(table)
    result.print()
    bad = sum(check.level == "fail" for check in checks)
    warned = sum(check.level == "warn" for check in checks)
    if bad:
        result.print(f"{words.several(bad, 'thing')} to put right before a run can work.", style="red")
    elif warned:
        result.print(f"Runs can work; {words.several(warned, 'thing')} to look at.", style="yellow")
    else:
        result.print("All is well: `tillbridge backfill` may begin.", style="green")


def _folded(checks: list[Check]) -> Iterator[Check]:
    """Show the first few of the fields that are missing, and count the rest."""
    from tillbridge.setup.checks import Check

    missing = [check for check in checks if check.level == "fail" and check.what.startswith("map.")]
    hidden = missing[_ALIKE_SHOWN:] if len(missing) > _ALIKE_SHOWN + 1 else []
    for check in checks:
        if check not in hidden:
            yield check
        elif check is hidden[0]:
            text = f"and {words.number(len(hidden))} more objects and fields; --json lists all"
            yield Check(check.area, "", "fail", text)

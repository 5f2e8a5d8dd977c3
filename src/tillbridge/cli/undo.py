"""`undo` and `conflicts restore`: what was written of customers is taken back, field by field.

Names stay out of it; the values are shown, since whoever takes something back
has to see what.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, agrees, noted, open_parts

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.engine.undo import Back, Undone

_SHOWN = 20
_SIDES = {"crm": "Salesforce", "till": "Lightspeed"}


def run_undo(desk: Desk, home: Path, run: int, *, dry: bool, is_sure: bool, as_json: bool) -> int:
    """Take back what a run changed in customers, as far as it still shows."""
    from tillbridge.engine.undo import NothingToUndo, creations, of_run, take_back

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        connection = parts.connect()
        backs, found = of_run(connection, run), creations(connection, run)
        if not backs and not found.created_in_crm and not found.created_in_till:
            raise NothingToUndo(
                f"Run {run} has changed no customer, or all of it is taken back already; `tillbridge status` "
                "lists the last runs."
            )
        if not dry and not is_sure:
            _show(desk.screen.result, take_back(connection, backs, creations(connection, run), dry=True))
            if not agrees(desk, f"Undo what run {run} wrote, as listed above."):
                desk.screen.note("Nothing was undone.")
                return words.WRONG
        if dry:
            take_back(connection, backs, found, dry=True)
        else:
            with noted(parts, "undo") as counts:
                take_back(connection, backs, found)
                counts.update({"undone": len(found.done), "left": len(found.skipped)})
        report = _document(found, run=run, dry_run=dry)
    return _told(desk, report, found, as_json=as_json)


def run_restore(desk: Desk, home: Path, change: int, *, as_json: bool) -> int:
    """Write the value that a change replaced back to both sides."""
    from tillbridge.engine.undo import RESTORED, Undone, of_change, take_back

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        connection = parts.connect()
        backs = of_change(connection, change)
        with noted(parts, "restore") as counts:
            found = take_back(connection, backs, Undone(), why=RESTORED)
            counts.update({"undone": len(found.done), "left": len(found.skipped)})
        report = _document(found, change=change)
    return _told(desk, report, found, as_json=as_json)


def _document(found: Undone, **named: Any) -> dict[str, Any]:
    return {
        **named,
        "restored": [_back(back) for back in found.done],
        "left": [{**_back(back), "reason": why} for back, why in found.skipped],
        "created_in_salesforce": found.created_in_crm,
        "created_in_lightspeed": found.created_in_till,
        "status": words.NEEDS_PERSON if found.skipped else words.DONE,
    }


def _back(back: Back) -> dict[str, Any]:
    return {
        "id": back.till_id,
        "crm_id": back.crm_id,
        "side": _SIDES[back.side],
        "field": back.field,
        "from": back.now,
        "to": back.value,
    }


def _told(desk: Desk, report: dict[str, Any], found: Undone, *, as_json: bool) -> int:
    if as_json:
        desk.screen.document(report)
    else:
        _show(desk.screen.result, found)
        verb = "would be" if report.get("dry_run") else "were" if len(found.done) != 1 else "was"
        desk.screen.result.print(
            f"{words.several(len(found.done), 'field')} {verb} written back, "
            f"{words.number(len(found.skipped))} left as they are.",
            soft_wrap=True,
        )
    status: int = report["status"]
    return status


def _show(result: Console, found: Undone) -> None:
    for back in found.done[:_SHOWN]:
        told = f"{_where(back)}: {back.now or '(empty)'} → {back.value or '(empty)'}"
        result.print(words.plain(f"  {told}"), soft_wrap=True)
    _more(result, len(found.done))
    for back, why in found.skipped[:_SHOWN]:
        result.print(words.plain(f"  not {_where(back)}: {why}"), soft_wrap=True)
    _more(result, len(found.skipped))
    _created(result, found.created_in_crm, "Salesforce", "delete or merge them there")
    _created(result, found.created_in_till, "Lightspeed", "archive or merge them there")


def _where(back: Back) -> str:
    return f"customer {back.till_id}, {back.field} in {_SIDES[back.side]}"


def _created(result: Console, ids: Sequence[str], side: str, advice: str) -> None:
    """Say whom an undo leaves, and what a person can do about them."""
    if ids:
        result.print(
            f"{words.several(len(ids), 'customer')} that it created in {side} stay "
            f"({words.joined(ids, 10)}): {advice}, and their links follow.",
            soft_wrap=True,
        )


def _more(result: Console, count: int) -> None:
    if count > _SHOWN:
        result.print(f"  and {words.number(count - _SHOWN)} more; --json lists all.", style="dim")

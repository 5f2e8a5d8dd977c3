"""`conflicts`: fields that both sides have changed, and what a person says of them.

Names and values are shown, since whoever decides has to see what; they go to the
screen alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, agrees, noted, open_ledger, open_parts, who_asks
from tillbridge.cli.status import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tillbridge.engine.rulings import Conflicting, Ruled
    from tillbridge.store.changes import Change, Contested, Side
    from tillbridge.wiring import Parts

_SHOWN = 50
_SIDES = {"crm": "Salesforce", "till": "Lightspeed"}

# So many are kept-all in one go: more are a sign that an authority should be set instead.
_LISTED_MAX = 10_000


def show_conflicts(desk: Desk, home: Path, *, lost: bool, as_json: bool) -> int:
    """List what waits for a person, or the values that lost a conflict lately."""
    from tillbridge.engine.rulings import open_conflicts

    if lost:
        return _show_lost(desk, home, as_json=as_json)
    with open_ledger(desk, home) as ledger:
        found = open_conflicts(ledger.changes, ledger.people, _LISTED_MAX)
    status = words.NEEDS_PERSON if found else words.DONE
    if as_json:
        desk.screen.document({"conflicts": [_conflict(each) for each in found], "status": status})
        return status
    result = desk.screen.result
    if not found:
        result.print("No conflict waits for anybody.")
        return status
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for title in ("Conflict", "Customer", "Field", "Lightspeed", "Salesforce", "Since (UTC)"):
        table.add_column(title, overflow="fold")
    for each in found[:_SHOWN]:
        one = each.contested
        since = str(moment(one.noticed_at))[:16].replace("T", " ")
        cells = (str(one.id), f"{one.till_id} {each.name}", one.field, one.till or "-", one.crm or "-", since)
        table.add_row(*map(words.plain, cells))
    result.print(table)
    if len(found) > _SHOWN:
        result.print(f"and {words.number(len(found) - _SHOWN)} more; --json lists all.", style="dim")
    result.print("→ `tillbridge conflicts keep ID till` or `… keep ID crm`; `keep-all` for all of them.")
    return status


def _conflict(each: Conflicting) -> dict[str, Any]:
    return {**_contested(each.contested), "name": each.name}


def _contested(one: Contested) -> dict[str, Any]:
    return {
        "id": one.id,
        "customer": one.till_id,
        "crm_id": one.crm_id,
        "field": one.field,
        "lightspeed": one.till,
        "salesforce": one.crm,
        "since": moment(one.noticed_at),
    }


def _show_lost(desk: Desk, home: Path, *, as_json: bool) -> int:
    with open_ledger(desk, home) as ledger:
        found = ledger.changes.lost(_SHOWN)
    if as_json:
        desk.screen.document({"lost": [_lost(each) for each in found]})
        return words.DONE
    for each in found:
        desk.screen.result.print(words.plain(_lost_line(each)), soft_wrap=True)
    if not found:
        desk.screen.result.print("No value has lost a conflict, or all of them were restored.")
    return words.DONE


def _lost(each: Change) -> dict[str, Any]:
    return {
        "change": each.id,
        "customer": each.till_id,
        "field": each.field,
        "side": _SIDES[each.side],
        "lost": each.before,
        "instead": each.after,
        "at": moment(each.made_at),
        "run": each.run,
    }


def _lost_line(each: Change) -> str:
    return (
        f"  customer {each.till_id}, {each.field}: {_SIDES[each.side]}'s {each.before or '(empty)'} gave way "
        f"to {each.after or '(empty)'}; `tillbridge conflicts restore {each.id}` writes it back"
    )


def run_keep(desk: Desk, home: Path, conflict: int, winner: Side, *, as_json: bool) -> int:
    """Say which side counts in one conflict, and carry it."""
    from tillbridge.engine.rulings import wanted

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        one = wanted(parts.changes, conflict)
        ruled = _keep(desk, parts, [one], winner)
    return _told(desk, ruled, winner, as_json=as_json)


def run_keep_all(desk: Desk, home: Path, winner: Side, *, is_sure: bool, as_json: bool) -> int:
    """Say which side counts in every open conflict, and carry them."""
    from tillbridge.engine.rulings import Ruled

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        found = parts.changes.open_conflicts(_LISTED_MAX)
        if found and not is_sure:
            loser, count = (
                _SIDES["crm" if winner == "till" else "till"],
                words.several(len(found), "conflict"),
            )
            question = f"{_SIDES[winner]}'s value would replace {loser}'s in {count}."
            if not agrees(desk, question):
                desk.screen.note("Nothing was decided, and nothing was written.")
                return words.WRONG
        ruled = _keep(desk, parts, found, winner) if found else Ruled()
    return _told(desk, ruled, winner, as_json=as_json)


def _keep(desk: Desk, parts: Parts, found: Sequence[Contested], winner: Side) -> Ruled:
    from tillbridge.engine.rulings import keep

    with noted(parts, "conflicts") as counts:
        ruled = keep(parts.connect(), found, winner, who_asks(desk))
        counts.update({"settled": len(ruled.settled), "left": len(ruled.left)})
    return ruled


def _told(desk: Desk, ruled: Ruled, winner: Side, *, as_json: bool) -> int:
    status = words.NEEDS_PERSON if ruled.left else words.DONE
    if as_json:
        desk.screen.document(
            {
                "winner": _SIDES[winner],
                "settled": [_contested(each) for each in ruled.settled],
                "left": [{**_contested(each), "reason": why} for each, why in ruled.left],
                "lost": [_lost(each) for each in ruled.lost],
                "status": status,
            }
        )
        return status
    result = desk.screen.result
    count = words.several(len(ruled.settled), "conflict")
    told = f"{_SIDES[winner]}'s value counts" if ruled.settled or not ruled.left else "nothing was written"
    result.print(f"{count} settled: {told}.", soft_wrap=True)
    for change in ruled.lost[:_SHOWN]:
        result.print(words.plain(_lost_line(change)), soft_wrap=True)
    for one, why in ruled.left[:_SHOWN]:
        result.print(words.plain(f"  conflict {one.id}, customer {one.till_id}, {one.field}: {why}"))
    return status

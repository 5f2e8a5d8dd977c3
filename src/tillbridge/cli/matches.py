"""`matches`: customers whom a person has to decide, beside the people that they may be.

Names are shown, since whoever decides has to see whom; they go to the screen alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, noted, open_parts

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.engine.desk import Side
    from tillbridge.model.answers import CrmPersonRow
    from tillbridge.model.records import Customer

_SHOWN = 20
_ROWS = ("name", "company", "email", "phone", "street", "city", "born")


def show_reviews(desk: Desk, home: Path, *, as_json: bool) -> int:
    """List everybody whom a person has to decide, with the candidates side by side."""
    from tillbridge.engine.desk import reviews

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        found = [_side(side) for side in reviews(parts.connect())]
    if as_json:
        desk.screen.document({"reviews": found})
        return words.DONE
    result = desk.screen.result
    if not found:
        result.print("Nobody has to be decided about.")
    for each in found[:_SHOWN]:
        _show(result, each)
    if len(found) > _SHOWN:
        result.print(f"and {words.number(len(found) - _SHOWN)} more; --json lists all.", style="dim")
    return words.DONE


def choose_match(desk: Desk, home: Path, till_id: str, choice: str, *, as_json: bool) -> int:
    """Link a customer to the person chosen, or create it; its receipts follow."""
    from tillbridge.engine.desk import choose

    by = next(
        filter(None, map(desk.env.get, ("SUDO_USER", "USER", "LOGNAME"))), "somebody at the command line"
    )
    with (
        desk.screen.progress() as progress,
        open_parts(desk, home, progress, history=False) as parts,
        noted(parts, "choose"),
    ):
        chosen = choose(parts.connect(), till_id, choice, by)
    is_done = chosen.state == "settled"
    report = {
        "id": till_id,
        "state": chosen.state,
        "reason": chosen.reason,
        "object": chosen.object,
        "crm_id": chosen.crm_id,
        "receipts": chosen.attached,
        "confirmed_by": by,
    }
    if as_json:
        desk.screen.document(report)
    else:
        where = " ".join(filter(None, (chosen.object, chosen.crm_id)))
        told = f"is {where} now" if is_done else f"is {chosen.state.replace('_', ' ')}: {chosen.reason}"
        receipts = f"; {words.several(chosen.attached, 'receipt')} sent again" if chosen.attached else ""
        desk.screen.result.print(words.plain(f"Customer {till_id} {told}{receipts}."), soft_wrap=True)
    return words.DONE if is_done else words.NEEDS_PERSON


def _side(side: Side) -> dict[str, Any]:
    verdict = side.verdict
    told = {each["crm_id"]: each for each in verdict.detail.get("candidates", ())}
    return {
        "id": verdict.till_id,
        "rule": verdict.rule,
        "reason": verdict.detail.get("reason"),
        "till": _of_till(side.customer) if side.customer else None,
        "candidates": [
            {
                "crm_id": person.id,
                "object": person.object,
                "why": (told.get(person.id) or {}).get("what"),
                **_of_crm(person),
            }
            for person in side.candidates
        ],
    }


def _of_till(customer: Customer) -> dict[str, str | None]:
    address = customer.address
    return {
        "name": _words(customer.first_name, customer.last_name),
        "company": customer.company,
        "email": _list(email.address for email in customer.emails),
        "phone": _list(phone.number for phone in customer.phones),
        "street": _words(address.street, address.street2) if address else None,
        "city": _words(address.zip, address.city) if address else None,
        "born": customer.birth_date.isoformat() if customer.birth_date else None,
    }


def _of_crm(person: CrmPersonRow) -> dict[str, str | None]:
    return {
        "name": _words(person.first, person.last),
        "company": person.company,
        "email": _list(person.emails),
        "phone": _list(person.phones),
        "street": person.street,
        "city": _words(person.zip, person.city),
        "born": person.birth_date.isoformat() if person.birth_date else None,
    }


def _words(*parts: str | None) -> str | None:
    return " ".join(part for part in parts if part) or None


def _list(parts: Any) -> str | None:
    return ", ".join(part for part in parts if part) or None


def _show(result: Console, review: Mapping[str, Any]) -> None:
    from rich.table import Table

    result.print()
    result.print(words.plain(f"Customer {review['id']}: {review['reason']}"), style="bold", soft_wrap=True)
    candidates = review["candidates"]
    table = Table(box=None, padding=(0, 3, 0, 2))
    table.add_column()
    table.add_column("in the till", overflow="fold")
    for person in candidates:
        table.add_column(f"{person['object']} {person['crm_id']}", overflow="fold")
    till = review["till"] or {}
    for name in _ROWS:
        cells = [till.get(name), *(person[name] for person in candidates)]
        if any(cells):
            table.add_row(name, *(words.plain(cell or "-") for cell in cells))
    result.print(table)
    result.print(
        f"  → `tillbridge matches choose {review['id']} ID`, or `… {review['id']} new`", style="cyan"
    )

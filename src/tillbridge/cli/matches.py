"""`matches`: customers whom a person has to decide, beside the people that they may be.

Names are shown, since whoever decides has to see whom; they go to the screen alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, agrees, noted, open_parts

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.engine.desk import Side
    from tillbridge.engine.newcomers import Newcomer
    from tillbridge.model.answers import CrmPersonRow
    from tillbridge.model.records import Customer

_SHOWN = 20
_ROWS = ("name", "company", "email", "phone", "street", "city", "born")


def show_reviews(desk: Desk, home: Path, *, as_json: bool) -> int:
    """List everybody whom a person has to decide, with the candidates side by side."""
    from tillbridge.alerts import INSTANCE
    from tillbridge.engine.desk import reviews
    from tillbridge.engine.newcomers import newcomers

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        connection = parts.connect()
        place = str(parts.state.fact(INSTANCE) or "").rstrip("/")
        found = [_side(side, place) for side in reviews(connection)]
        arriving = [_newcomer(each, place) for each in newcomers(connection)]
    if as_json:
        desk.screen.document({"reviews": found, "arriving": arriving})
        return words.DONE
    result = desk.screen.result
    if not found and not arriving:
        result.print("Nobody has to be decided about.")
    for listed in (found, arriving):
        for each in listed[:_SHOWN]:
            _show(result, each)
        if len(listed) > _SHOWN:
            result.print(f"and {words.number(len(listed) - _SHOWN)} more; --json lists all.", style="dim")
    return words.DONE


def choose_match(desk: Desk, home: Path, till_id: str, choice: str, *, as_json: bool) -> int:
    """Link a customer to the person chosen, or create it; its receipts follow."""
    from tillbridge.engine.desk import choose

    by = _who(desk)
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


def unlink(desk: Desk, home: Path, till_id: str, *, is_sure: bool, as_json: bool) -> int:
    """Take a customer and a person apart who were linked by mistake."""
    from tillbridge.engine.parting import part

    by = _who(desk)
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        known = parts.state.known("customer", [till_id]).get(till_id)
        linked = f"{known.object} {known.crm_id}" if known and known.crm_id else None
        question = f"Customer {till_id} is taken apart from {linked}; receipts go, and a person decides."
        if linked and not is_sure and not agrees(desk, question):
            desk.screen.note("Nothing was taken apart.")
            return words.WRONG
        with noted(parts, "unlink") as counts:
            done = part(parts.connect(), till_id, by)
            counts["taken apart"] += 1
    report = {
        "id": till_id,
        "object": done.object,
        "crm_id": done.crm_id,
        "receipts": done.receipts,
        "speaks_now": done.speaks_now,
    }
    if as_json:
        desk.screen.document(report)
    else:
        told = (
            f"Customer {till_id} is linked to nobody now; {words.several(done.receipts, 'receipt')} sent "
            f"again. `tillbridge matches choose {till_id} ID|new` says who it is."
        )
        desk.screen.result.print(words.plain(told), soft_wrap=True)
    return words.NEEDS_PERSON


def choose_newcomer(desk: Desk, home: Path, crm_id: str, choice: str, *, as_json: bool) -> int:
    """Say who somebody of the CRM is in the till: a customer, nobody ("new"), or not to enter ("leave")."""
    from tillbridge.engine.newcomers import say

    by = _who(desk)
    with (
        desk.screen.progress() as progress,
        open_parts(desk, home, progress, history=False) as parts,
        noted(parts, "choose"),
    ):
        said = say(parts.connect(), crm_id, choice, by)
    is_done = said.state in {"linked", "created", "left_out"}
    report = {
        "crm_id": crm_id,
        "state": said.state,
        "reason": said.reason,
        "id": said.till_id,
        "receipts": said.attached,
        "confirmed_by": by,
    }
    if as_json:
        desk.screen.document(report)
    else:
        told = f"{said.state.replace('_', ' ')}{f' ({said.reason})' if said.reason else ''}"
        receipts = f"; {words.several(said.attached, 'receipt')} sent again" if said.attached else ""
        desk.screen.result.print(words.plain(f"{crm_id} is {told}{receipts}."), soft_wrap=True)
    return words.DONE if is_done else words.NEEDS_PERSON


def _who(desk: Desk) -> str:
    names = map(desk.env.get, ("SUDO_USER", "USER", "LOGNAME"))
    return next(filter(None, names), "somebody at the command line")


def _side(side: Side, place: str) -> dict[str, Any]:
    verdict = side.verdict
    told = {each["crm_id"]: each for each in verdict.detail.get("candidates", ())}
    return {
        "id": verdict.till_id,
        "rule": verdict.rule,
        "reason": verdict.detail.get("reason"),
        "linked_to": verdict.detail.get("crm_id"),
        "till": _of_till(side.customer) if side.customer else None,
        "candidates": [
            {
                "crm_id": person.id,
                "object": person.object,
                "link": f"{place}/{person.id}" if place else None,
                "why": (told.get(person.id) or {}).get("what"),
                **_of_crm(person),
            }
            for person in side.candidates
        ],
    }


def _newcomer(newcomer: Newcomer, place: str) -> dict[str, Any]:
    arrival, person = newcomer.arrival, newcomer.person
    told = {each["till_id"]: each for each in arrival.detail.get("candidates", ())}
    return {
        "crm_id": arrival.crm_id,
        "object": arrival.object,
        "link": f"{place}/{arrival.crm_id}" if place else None,
        "reason": arrival.reason,
        "crm": _of_crm(person) if person else None,
        "candidates": [
            {
                "id": customer.id,
                "linked_to": newcomer.linked_to.get(customer.id),
                "why": (told.get(customer.id) or {}).get("what"),
                **_of_till(customer),
            }
            for customer in newcomer.candidates
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
    """Show one whom a person has to decide, beside whom they may be on the other side."""
    from rich.table import Table

    own, other = (review["till"], "in the till") if "till" in review else (review["crm"], "in Salesforce")
    who = f"Customer {review['id']}" if "till" in review else f"{review['object']} {review['crm_id']}"
    result.print()
    result.print(words.plain(f"{who}: {review['reason']}"), style="bold", soft_wrap=True)
    candidates = review["candidates"]
    table = Table(box=None, padding=(0, 3, 0, 2))
    table.add_column()
    table.add_column(other, overflow="fold")
    for each in candidates:
        table.add_column(_heading(each), overflow="fold")
    for name in _ROWS:
        cells = [(own or {}).get(name), *(each[name] for each in candidates)]
        if any(cells):
            table.add_row(name, *(words.plain(cell or "-") for cell in cells))
    result.print(table)
    result.print(f"  → {_ways_out(review)}", style="cyan", soft_wrap=True)


def _heading(candidate: Mapping[str, Any]) -> str:
    if "crm_id" in candidate:
        return f"{candidate['object']} {candidate['crm_id']}"
    linked = f", linked to {candidate['linked_to']}" if candidate["linked_to"] else ""
    return f"customer {candidate['id']}{linked}"


def _ways_out(review: Mapping[str, Any]) -> str:
    if "till" not in review:
        own = review["crm_id"]
        if any(each["linked_to"] for each in review["candidates"]):
            return (
                f"merge the two in Salesforce; or `tillbridge matches choose {own} new`, or `… {own} leave`"
            )
        return f"`tillbridge matches choose {own} CUSTOMER`, or `… {own} new`, or `… {own} leave`"
    if review["linked_to"]:
        return f"it is linked to {review['linked_to']}: merge the two in Salesforce, what waits is sent again"
    return f"`tillbridge matches choose {review['id']} ID`, or `… {review['id']} new`"

"""`preview`, `apply`, `approve` and `plans`: what would be written of customers, shown before it is.

Names and values are shown, since whoever agrees has to see to what; they go to
the screen alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, agrees, held_plans, noted, open_ledger, open_parts, tell_held, who_asks
from tillbridge.cli.status import moment

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.engine.connection import Connection
    from tillbridge.engine.preview import Applied, Preview
    from tillbridge.store.plans import Plan
    from tillbridge.sync.safety import Entry

# What a screen holds of a long list; the document holds all.
_SHOWN = 20

_ACTIONS: Mapping[str, str] = {
    "create_crm": "create in Salesforce",
    "update_crm": "change in Salesforce",
    "create_till": "create in Lightspeed",
    "update_till": "change in Lightspeed",
}


# --- preview -------------------------------------------------------------------------------------


def show_preview(desk: Desk, home: Path, only: Sequence[str], *, as_json: bool) -> int:
    """Show what a sync would write of customers, and keep it as a plan. Writes to neither side."""
    from tillbridge.engine.preview import preview

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        found = preview(parts.connect(), tuple(dict.fromkeys(only)))
    if as_json:
        desk.screen.document(_preview_document(found))
    else:
        _show_preview(desk.screen.result, found)
    return words.DONE


def _preview_document(found: Preview) -> dict[str, Any]:
    return {
        "plan": found.plan.id if found.plan else None,
        "checksum": found.plan.checksum if found.plan else None,
        **_by_action(found.entries),
        "skips": msgspec.to_builtins(found.skips),
        "unchanged": found.unchanged,
        "sales": found.sales,
        "salesforce_calls": found.crm_calls,
        "lightspeed_calls": found.till_calls,
        "would_be_held": found.holds,
        "more": found.more,
        "status": words.DONE,
    }


def _by_action(entries: Iterable[Entry]) -> dict[str, Any]:
    listed = [_entry(entry) for entry in entries]
    return {
        "creates": [each for each in listed if each["action"].startswith("create")],
        "updates": [each for each in listed if each["action"].startswith("update")],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "action": entry.action,
        "id": entry.till_id,
        "crm_id": entry.crm_id,
        "object": entry.object,
        "name": entry.name,
        "fields": {name: {"before": old, "after": new} for name, (old, new) in entry.fields.items()},
    }


def _show_preview(result: Console, found: Preview) -> None:
    _show_entries(result, found.entries)
    for each in found.skips[:_SHOWN]:
        who = f"customer {each.till_id}" if each.till_id else f"Salesforce's {each.crm_id}"
        result.print(
            words.plain(f"  not {who} ({each.state.replace('_', ' ')}): {each.reason}"), soft_wrap=True
        )
    _more(result, len(found.skips))
    told = [f"{words.several(found.unchanged, 'customer')} unchanged"]
    told += [f"{words.several(found.sales, 'sale')} to look at"] * bool(found.sales)
    result.print(f"{', '.join(told)}.", soft_wrap=True)
    if found.more:
        result.print("There is more than one slice to read: this shows the first.", soft_wrap=True)
    if found.plan is None:
        result.print("Nothing of customers would be written.")
        return
    result.print(
        f"It would spend {words.several(found.crm_calls, 'Salesforce call')} and "
        f"{words.several(found.till_calls, 'Lightspeed call')} at most.",
        soft_wrap=True,
    )
    if found.holds:
        result.print(
            words.plain(f"A sync would ask a person first: {'; and '.join(found.holds)}."), soft_wrap=True
        )
    result.print(
        f"Nothing was written. This is plan {found.plan.id}: `tillbridge apply {found.plan.id} --checksum "
        f"{found.plan.checksum[:16]}` writes exactly that.",
        soft_wrap=True,
    )


def _show_entries(result: Console, entries: Sequence[Entry], limit: int = _SHOWN) -> None:
    for entry in entries[:limit]:
        who = f"customer {entry.till_id}" if entry.till_id else f"{entry.object} {entry.crm_id}"
        result.print(
            words.plain(f"  {_ACTIONS[entry.action]}: {who}, {entry.name}"), style="bold", soft_wrap=True
        )
        for name, (old, new) in sorted(entry.fields.items()):
            if entry.action.startswith("create"):
                result.print(words.plain(f"      {name}: {_shown(new)}"), soft_wrap=True)
            else:
                result.print(words.plain(f"      {name}: {_shown(old)} → {_shown(new)}"), soft_wrap=True)
    _more(result, len(entries), limit)


def _shown(text: str | None) -> str:
    return "(empty)" if text is None else text.replace("\n", " / ")


def _more(result: Console, count: int, limit: int = _SHOWN) -> None:
    if count > limit:
        result.print(f"  and {words.number(count - limit)} more; --json lists all.", style="dim")


def _summary(entries: Iterable[Entry]) -> str:
    counts = Counter[str](entry.action for entry in entries)
    told = [f"{text} {words.number(counts[action])}" for action, text in _ACTIONS.items() if counts[action]]
    return ", ".join(told) or "nothing"


# --- apply ---------------------------------------------------------------------------------------


def run_apply(desk: Desk, home: Path, number: int, checksum: str | None, *, as_json: bool) -> int:
    """Write exactly what a preview says, as far as it is still so."""
    from tillbridge.engine.preview import apply, plan_to
    from tillbridge.store.plans import PREVIEW

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        plan_to(parts.plans, number, checksum, why=PREVIEW)  # Before anything is asked of a remote.
        with noted(parts, "apply") as counts:
            connection = parts.connect()
            done = apply(connection, plan_to(connection.plans, number, checksum, why=PREVIEW), who_asks(desk))
            counts.update(done.counts)
        status = words.NEEDS_PERSON if done.refused or done.skipped else words.DONE
        report = _applied_document(number, parts.state.run_id, done, status)
    if as_json:
        desk.screen.document(report)
    else:
        _show_applied(desk.screen.result, number, done)
    return status


def _applied_document(number: int, run: int | None, done: Applied, status: int) -> dict[str, Any]:
    return {
        "plan": number,
        "run": run,
        "written": [_entry(entry) for entry in done.written],
        "refused": [{**_entry(entry), "reason": why} for entry, why in done.refused],
        "skipped": [{**_entry(entry), "reason": why} for entry, why in done.skipped],
        "counts": done.counts,
        "status": status,
    }


def _show_applied(result: Console, number: int, done: Applied) -> None:
    result.print(f"Plan {number} is carried out: {_summary(done.written)}.", soft_wrap=True)
    for word, some in (("refused", done.refused), ("skipped", done.skipped)):
        for entry, why in some[:_SHOWN]:
            who = f"customer {entry.till_id}" if entry.till_id else f"{entry.object} {entry.crm_id}"
            told = f"  {word}: {_ACTIONS[entry.action]}, {who}, {entry.name}: {why}"
            result.print(words.plain(told), soft_wrap=True)
        _more(result, len(some))


# --- approve -------------------------------------------------------------------------------------


def run_approve(
    desk: Desk, home: Path, number: int, checksum: str | None, *, is_sure: bool, as_json: bool
) -> int:
    """Let a plan that was held back pass, and carry it at once."""
    from tillbridge.engine.guard import approve
    from tillbridge.engine.preview import carry_approved, plan_to
    from tillbridge.store.plans import HELD

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        plan = plan_to(parts.plans, number, checksum, why=HELD)
        if not is_sure:
            _show_entries(desk.screen.result, plan.entries)
            question = f"Plan {number} would {_summary(plan.entries)}: {words.joined(plan.reasons, 5)}."
            if not agrees(desk, question.replace("_", " ")):
                desk.screen.note("Nothing was approved, and nothing was written.")
                return words.WRONG
        with noted(parts, "approve") as counts:
            connection = parts.connect()
            ids = approve(connection, number, who_asks(desk))
            counts.update(carry_approved(connection, ids))
        report = {
            "plan": number,
            "run": parts.state.run_id,
            "customers": len(ids),
            "counts": dict(counts),
            "held": [each.id for each in held_plans(parts.plans)],
        }
        left = held_plans(parts.plans)
    status = words.NEEDS_PERSON if left or counts.get("refused") or counts.get("refused by the till") else 0
    if as_json:
        desk.screen.document({**report, "status": status})
    else:
        told = ", ".join(f"{words.number(n)} {name}" for name, n in counts.items() if n) or "nothing to write"
        desk.screen.result.print(f"Plan {number} is approved and carried out: {told}.", soft_wrap=True)
        tell_held(desk, left)
    return status


def approve_emptied(desk: Desk, home: Path, *, is_sure: bool, as_json: bool) -> int:
    """Accept that people were deleted in Salesforce: their links are taken off."""
    from tillbridge.engine import people

    with (
        desk.screen.progress() as progress,
        open_parts(desk, home, progress, history=False) as parts,
        noted(parts, "approve"),
    ):
        connection = parts.connect()
        count, newest = people.gone_people(connection)
        lost = words.several(count, "linked customer")
        question = (
            f"{lost} were deleted in Salesforce: their links are taken off, and they stay as they are in "
            "Lightspeed."
        )
        is_agreed = bool(newest and count) and (is_sure or agrees(desk, question))
        if newest and is_agreed:
            people.approve_emptied(connection, newest)
    if as_json:
        desk.screen.document({"unlinked": count if is_agreed else 0, "status": words.DONE})
    elif not count:
        told = "Nobody who is linked was deleted in Salesforce since the last look: nothing to approve."
        desk.screen.result.print(told, soft_wrap=True)
    elif is_agreed:
        desk.screen.result.print(f"The links of {lost} are taken off.", soft_wrap=True)
    else:
        desk.screen.note("Nothing was approved, and nothing was written.")
        return words.WRONG
    return words.DONE


def approve_all(connection: Connection, by: str) -> Mapping[str, int]:
    """Let everything pass that was held back before, and whatever this run would hold back: --approve."""
    from tillbridge.engine.guard import approve
    from tillbridge.engine.preview import carry_approved

    connection.approve = True
    ids = [i for plan in held_plans(connection.plans) for i in approve(connection, plan.id, by)]
    return carry_approved(connection, ids) if ids else {}


# --- plans ---------------------------------------------------------------------------------------


def list_plans(desk: Desk, home: Path, *, as_json: bool) -> int:
    """List the plans that wait for a person."""
    plans = _open_plans(desk, home)
    if as_json:
        desk.screen.document({"plans": [_plan_document(plan) for plan in plans]})
        return words.DONE
    result = desk.screen.result
    if not plans:
        result.print("No plan waits for anybody.")
    for plan in plans:
        how = "apply" if plan.why == "preview" else "approve"
        why = "a preview" if plan.why == "preview" else f"held back ({', '.join(plan.reasons)})"
        since = str(moment(plan.made_at))[:16].replace("T", " ")
        result.print(
            words.plain(
                f"Plan {plan.id}, {why.replace('_', ' ')}, {since} UTC: {_summary(plan.entries)}. "
                f"`tillbridge {how} {plan.id} --checksum {plan.checksum[:16]}`"
            ),
            soft_wrap=True,
        )
    return words.DONE


def _open_plans(desk: Desk, home: Path) -> list[Plan]:
    from tillbridge.store.plans import OPEN

    with open_ledger(desk, home) as ledger:
        return ledger.plans.in_state(OPEN)


def _plan_document(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "why": plan.why,
        "reasons": list(plan.reasons),
        "state": plan.state,
        "made_at": moment(plan.made_at),
        "checksum": plan.checksum,
        **_by_action(plan.entries),
    }


def show_plan(desk: Desk, home: Path, number: int, *, as_json: bool) -> int:
    """Show one open plan entry by entry."""
    from tillbridge.engine.preview import NoSuchPlan

    plan = next((each for each in _open_plans(desk, home) if each.id == number), None)
    if plan is None:
        raise NoSuchPlan(f"There is no open plan {number}: `tillbridge plans` lists those that are.")
    if as_json:
        desk.screen.document(_plan_document(plan))
        return words.DONE
    _show_entries(desk.screen.result, plan.entries, limit=_SHOWN * 5)
    desk.screen.result.print(f"Plan {number} would {_summary(plan.entries)}.", soft_wrap=True)
    desk.screen.result.print(f"Its checksum is {plan.checksum}.", soft_wrap=True)
    return words.DONE


def run_drop(desk: Desk, home: Path, number: int, *, as_json: bool) -> int:
    """Forget a plan; who was held back by it is looked at afresh by the next sync."""
    from tillbridge.engine.guard import drop
    from tillbridge.engine.preview import plan_to

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        plan = plan_to(parts.plans, number, None, why="")
        count = drop(parts.state, parts.arrivals, parts.plans, plan)
    if as_json:
        desk.screen.document({"plan": number, "released": count, "status": words.DONE})
    else:
        again = f"; {words.several(count, 'customer')} will be looked at afresh" if count else ""
        desk.screen.result.print(f"Plan {number} is dropped{again}. Nothing was written.", soft_wrap=True)
    return words.DONE

"""`explain`: everything our own state knows of one record, in words. It asks no remote.

People have a page of their own (see cli.person).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, open_books
from tillbridge.cli.status import advice, key_of, moment

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.cli.records import Record
    from tillbridge.store.journal import Journal
    from tillbridge.store.state import State

KINDS = ("store", "employee", "product", "stock", "customer", "sale", "line", "payment")

STATE_WORDS = {
    "settled": "settled: Salesforce has confirmed it",
    "waiting": "waiting: it landed, and a lookup is still empty",
    "review": "in review: a person has to decide",
    "conflict": "conflict: both sides have changed it",
    "problem": "refused by Salesforce",
    "staged": "on its way",
    "open": "not completed in the till yet",
    "left_out": "left out on purpose",
}


def show_record(desk: Desk, home: Path, kind: str, till_id: str, *, as_json: bool) -> int:
    """Show one record."""
    with open_books(desk, home) as (state, journal, _people):
        report = gather(state, journal, kind, till_id)
    if as_json:
        desk.screen.document(report)
    elif not report["known"]:
        desk.screen.result.print(unknown_words(kind, till_id, report["merged_into"]), soft_wrap=True)
    else:
        show_report(desk.screen.result, report)
    return words.DONE if report["known"] else words.NEEDS_PERSON


def unknown_words(kind: str, till_id: str, merged_into: str | None) -> str:
    """Say that nothing is known of a record, and what to do about it."""
    if merged_into:
        return f"{kind} {till_id} was merged into {kind} {merged_into}: see `explain {kind} {merged_into}`."
    forced = f"; `tillbridge sync --{kind} {till_id}` looks into the till"
    return f"{kind} {till_id} has never been seen here{forced if kind in _FORCED else ''}."


_FORCED = frozenset({"customer", "sale", "product"})


# --- gathering -----------------------------------------------------------------------------------


def gather(state: State, journal: Journal, kind: str, till_id: str) -> dict[str, Any]:
    """Put together everything about one record."""
    from tillbridge.cli.records import children_of, read_record

    account = state.fact("till_account")
    record = read_record(state, kind, till_id)
    report: dict[str, Any] = {
        "kind": kind,
        "id": till_id,
        "known": record is not None,
        "key": key_of(account, kind, till_id),
        "merged_into": _alias(state, kind, till_id),
    }
    problems = [
        {
            "record": f"{p.kind} {p.till_id}",
            "object": p.object,
            "fields": [name for name in p.fields.split(",") if name],
            "code": p.code,
            "message": p.message,
            "advice": advice(p),
            "state": p.state,
            "attempts": p.attempts,
            "first_at": moment(p.first_at),
            "last_at": moment(p.last_at),
        }
        for p in journal.problems_of(kind, till_id)
    ]
    report["problems"] = problems
    if record is None:
        return report
    report |= _standing(state, record)
    report["waits_for"] = [
        {"record": f"{m.kind} {m.till_id}", "field": m.field, "for": f"{m.parent_kind} {m.parent_id}"}
        for m in state.missing_of(kind, till_id)
    ]
    if kind == "sale":
        report["children"] = [_child(each) for each in children_of(state, till_id)]
    return report


def _standing(state: State, record: Record) -> dict[str, Any]:
    from tillbridge.cli.records import job_of

    return {
        "state": record.state,
        "reason": record.reason,
        "object": record.object,
        "crm_id": record.crm_id,
        "crm_account": record.crm_parent,
        "sale": record.parent,
        "history": record.history,
        "changed_in_till_at": moment(record.till_stamp),
        "moved_at": moment(record.moved_at),
        "run": record.run,
        "job": job_of(state, record.run),
    }


def _alias(state: State, kind: str, till_id: str) -> str | None:
    import sqlalchemy as sa

    from tillbridge.store.schema import alias

    with state.begin() as c:
        return c.execute(
            sa.select(alias.c.new_id).where(alias.c.kind == kind, alias.c.old_id == till_id)
        ).scalar()


def _child(record: Record) -> dict[str, Any]:
    return {
        "kind": record.kind,
        "id": record.till_id,
        "state": record.state,
        "reason": record.reason,
        "crm_id": record.crm_id,
    }


# --- showing -------------------------------------------------------------------------------------


def show_report(result: Console, report: Mapping[str, Any]) -> None:
    """Show what `gather` has put together."""
    from rich.table import Table
    from rich.text import Text

    result.print(f"{report['kind']} {report['id']}", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in _facts(report):
        if value:
            table.add_row(name, Text(words.plain(value)))
    result.print(table)
    _show_children(result, report.get("children", ()))
    _show_problems(result, report["problems"])


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    run = f", run {report['run']} ({report['job']})" if report["run"] is not None else ""
    waits = ", ".join(dict.fromkeys(f"{w['for']} ({w['record']}.{w['field']})" for w in report["waits_for"]))
    return [
        ("state", STATE_WORDS.get(report["state"], report["state"])),
        ("why", report["reason"]),
        ("Salesforce", " ".join(filter(None, (report["object"], report["crm_id"])))),
        ("its account", report["crm_account"]),
        ("key", report["key"]),
        ("belongs to", f"sale {report['sale']}" if report["sale"] else None),
        ("came as", {True: "history", False: "live business"}.get(report["history"])),
        ("waits for", waits),
        ("changed in till", _utc(report["changed_in_till_at"])),
        ("stands so since", f"{_utc(report['moved_at'])}{run}"),
    ]


def _utc(text: str | None) -> str | None:
    return f"{text[:19].replace('T', ' ')} UTC" if text else None


def _show_children(result: Console, children: Sequence[Mapping[str, Any]]) -> None:
    if not children:
        return
    result.print()
    result.print("Lines and payments", style="bold")
    for each in children:
        reason = f" ({each['reason']})" if each["reason"] else ""
        text = f"  {each['kind']} {each['id']}: {each['state']}{reason} {each['crm_id'] or ''}"
        result.print(words.plain(text).rstrip(), soft_wrap=True)


def _show_problems(result: Console, problems: Sequence[Mapping[str, Any]]) -> None:
    for problem in problems:
        result.print()
        solved = "solved" if problem["state"] == "resolved" else f"tried {problem['attempts']} times"
        fields = f".{', '.join(problem['fields'])}" if problem["fields"] else ""
        result.print(
            f"Problem of {problem['record']} ({solved}), {problem['object']}{fields}: "
            f"{words.plain(problem['message'])} ({problem['code']})",
            style="dim" if problem["state"] == "resolved" else "red",
            soft_wrap=True,
        )
        if problem["state"] != "resolved":
            result.print(f"  → {problem['advice']}", style="cyan", soft_wrap=True)

"""The commands that write: backfill, sync, forced sync, relink. They open, note the run, and report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, noted, open_ends, open_parts, status_of

if TYPE_CHECKING:
    from tillbridge.cli.records import Record
    from tillbridge.engine.connection import Connection
    from tillbridge.engine.writer import Delivery
    from tillbridge.wiring import Parts

_KINDS = ("products", "customers", "sales")
_WEB = {"refused": "red", "waiting": "yellow", "review": "yellow", "conflict": "yellow", "problem": "red"}


def run_backfill(desk: Desk, home: Path, *, again: bool, newest_first: bool, as_json: bool) -> int:
    """Load the history, or go on with it."""
    from tillbridge.engine.backfill import backfill

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=True) as parts:
        if newest_first:
            parts.settings = dataclasses.replace(parts.settings, newest_first=True)
        if again:
            _forget_progress(parts)
        elif _is_loaded(parts):
            progress.say("The history has been loaded before; `tillbridge backfill --again` compares it all.")
        # Going on with a load spends no calls on looking at an org that was looked at when it began.
        resuming = parts.state.fact("backfill_began") is not None and not again and not _is_loaded(parts)
        report = _report(desk, parts, "backfill", backfill, fresh=not resuming)
    return _tell(desk, report, as_json=as_json)


def _is_loaded(parts: Parts) -> bool:
    wave, staged = parts.spool.current()
    read = all(parts.state.cursor(f"backfill {kind}") == "done" for kind in _KINDS)
    return read and not staged and not parts.spool.is_loading(wave)


def _forget_progress(parts: Parts) -> None:
    with parts.state.begin() as c:
        for kind in _KINDS:
            parts.state.move_cursor(c, f"backfill {kind}", None)


def run_sync(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Carry across what has changed."""
    from tillbridge.engine.sync import sync

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        report = _report(desk, parts, "sync", sync, fresh=False)
        unfinished = parts.state.fact("backfill_began") is not None and not _is_loaded(parts)
    if unfinished:
        desk.screen.note("The history is not loaded to its end: run `tillbridge backfill` to go on with it.")
    return _tell(desk, report, as_json=as_json)


def run_relink(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Rebuild the links from Salesforce."""
    from tillbridge.engine.relink import relink

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=True) as parts:
        report = _report(desk, parts, "relink", relink, fresh=True)
    status = _tell(desk, report, as_json=as_json)
    desk.screen.note(
        "The links are back. `tillbridge backfill` now compares everything once; it makes nothing twice."
    )
    return status


def _report(
    desk: Desk,
    parts: Parts,
    job: str,
    work: Callable[[Connection], Mapping[str, int]],
    *,
    fresh: bool,
) -> dict[str, Any]:
    """Do the work of a run and put into a document what came of it."""
    begun = desk.clock.monotonic()
    with noted(parts, job) as counts:
        counts.update(work(parts.connect(fresh=fresh)))
    ends = open_ends(parts)
    return {
        "job": job,
        "run": parts.state.run_id,
        "counts": {name: count for name, count in counts.items() if count},
        "lightspeed_calls": parts.till.calls,
        "salesforce_calls": parts.crm.calls,
        "seconds": round(desk.clock.monotonic() - begun, 1),
        "open": ends,
        "status": status_of(ends),
    }


def _tell(desk: Desk, report: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        desk.screen.document(report)
    else:
        for line in told(report):
            desk.screen.result.print(line, soft_wrap=True)
    status: int = report["status"]
    return status


def told(report: Mapping[str, Any]) -> list[str]:
    """Put a run's report into lines."""
    counts: Mapping[str, int] = report["counts"]
    rows = words.counted(counts)
    if report["job"] == "relink":
        rows = ", ".join(f"{words.number(n)} {kind}" for kind, n in counts.items()) or "nothing found"
    lines = [f"{report['job'].capitalize()}: {rows}."]
    if people := words.people(counts):
        lines.append(f"People: {people}.")
    lines.append(
        f"Spent {words.several(report['lightspeed_calls'], 'Lightspeed call')} and "
        f"{words.several(report['salesforce_calls'], 'Salesforce call')} in {report['seconds']:.1f} s."
    )
    if ends := {name: n for name, n in report["open"].items() if n}:
        open_words = " and ".join(words.several(n, name.removesuffix("s"), name) for name, n in ends.items())
        verb = "needs" if sum(ends.values()) == 1 else "need"
        lines.append(f"{open_words} {verb} a person: `tillbridge status` says what to do.")
    return lines


# --- exactly these -------------------------------------------------------------------------------


def run_forced(desk: Desk, home: Path, wanted: Mapping[str, Sequence[str]], *, as_json: bool) -> int:
    """Carry exactly these across now, and say what happened to each."""
    from tillbridge.engine.sync import force

    ids = {kind: list(dict.fromkeys(each)) for kind, each in wanted.items()}
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        with noted(parts, "sync") as counts:
            connection = parts.connect()
            delivery = force(
                connection, customers=ids["customer"], sales=ids["sale"], products=ids["product"]
            )
            counts.update(delivery.counts)
        results = [_fate(parts, delivery, kind, i) for kind, each in ids.items() for i in each]
    if as_json:
        desk.screen.document({"job": "sync", "run": parts.state.run_id, "records": results})
    else:
        _show_fates(desk, results)
    return words.NEEDS_PERSON if any(r["outcome"] in _NEEDS_PERSON for r in results) else words.DONE


_NEEDS_PERSON = frozenset({"refused", "conflict", "not in the till"})


def _fate(parts: Parts, delivery: Delivery, kind: str, till_id: str) -> dict[str, Any]:
    """Say what became of one record that was asked for by its id."""
    from tillbridge.cli.records import read_record

    record = read_record(parts.state, kind, till_id)
    outcome, why = _outcome(parts, delivery, record, (kind, till_id))
    return {
        "kind": kind,
        "id": till_id,
        "outcome": outcome,
        "why": why,
        "object": record.object if record else None,
        "crm_id": record.crm_id if record else None,
    }


def _outcome(
    parts: Parts, delivery: Delivery, record: Record | None, thing: tuple[str, str]
) -> tuple[str, str | None]:
    from tillbridge.model.acks import Refused, Written

    ack = delivery.acks.get(thing)
    if isinstance(ack, Refused):
        return "refused", ack.message
    if record is None:
        return "not in the till", f"Lightspeed shows no {thing[0]} {thing[1]} to this account"
    if record.run != parts.state.run_id and ack is None:
        return "unchanged", "the till shows nothing of it that was not carried across before"
    match record.state:
        case "problem":
            return "refused", record.reason
        case "settled" if isinstance(ack, Written) or thing[0] == "product":
            return "sent", None  # Products have a call of their own, whose acks stay there.
        case "settled":
            return "unchanged", None
    return record.state.replace("_", " "), record.reason


def _show_fates(desk: Desk, results: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for result in results:
        outcome = result["outcome"]
        style = _WEB.get(outcome, "green" if outcome in {"sent", "unchanged"} else "yellow")
        where = " ".join(filter(None, (result["object"], result["crm_id"])))
        table.add_row(
            f"{result['kind']} {result['id']}",
            Text(outcome, style),
            where,
            words.plain(result["why"] or ""),
        )
    desk.screen.result.print(table)

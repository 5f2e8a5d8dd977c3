"""The commands that write: backfill, sync, forced sync, relink. They open, note the run, and report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import (
    Desk,
    held_plans,
    noted,
    open_ends,
    open_parts,
    status_of,
    tell_held,
    who_asks,
)
from tillbridge.cli.person import is_crm_id
from tillbridge.cli.plans import approve_all

if TYPE_CHECKING:
    from tillbridge.engine.connection import Connection
    from tillbridge.wiring import Parts

_KINDS = ("products", "customers", "sales")
_WEB = {"refused": "red", "waiting": "yellow", "review": "yellow", "conflict": "yellow", "problem": "red"}


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """How a history is to be loaded."""

    again: bool = False
    newest_first: bool = False
    despite_storage: bool = False
    approve: bool = False


def run_backfill(desk: Desk, home: Path, load: Load, *, as_json: bool) -> int:
    """Load the history, or go on with it."""
    from tillbridge.engine.backfill import backfill

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=True) as parts:
        if load.newest_first:
            parts.settings = dataclasses.replace(parts.settings, newest_first=True)
        if load.despite_storage:
            _let_it_load(parts)
        if load.again:
            _forget_progress(parts)
        elif _is_loaded(parts):
            progress.say("The history has been loaded before; `tillbridge backfill --again` compares it all.")
        # Going on with a load spends no calls on looking at an org that was looked at when it began.
        resuming = parts.state.fact("backfill_began") is not None and not load.again and not _is_loaded(parts)
        report = _report(desk, parts, "backfill", backfill, fresh=not resuming, approve=load.approve)
        left = held_plans(parts.plans)
    tell_held(desk, left)
    return _tell(desk, report, as_json=as_json)


def _let_it_load(parts: Parts) -> None:
    from tillbridge.engine.room import DESPITE

    with parts.state.begin() as c:
        parts.state.keep(c, DESPITE, True)


def _is_loaded(parts: Parts) -> bool:
    wave, staged = parts.spool.current()
    read = all(parts.state.cursor(f"backfill {kind}") == "done" for kind in _KINDS)
    return read and not staged and not parts.spool.is_loading(wave)


def _forget_progress(parts: Parts) -> None:
    from tillbridge.engine.room import ROOM

    with parts.state.begin() as c:
        if parts.state.cursor("backfill products") is not None:
            parts.state.keep(c, ROOM, True)  # What is there takes no more room for being compared.
        for kind in _KINDS:
            parts.state.move_cursor(c, f"backfill {kind}", None)


def run_sync(desk: Desk, home: Path, *, approve: bool, as_json: bool) -> int:
    """Carry across what has changed."""
    from tillbridge.engine.sync import sync

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        report = _report(desk, parts, "sync", sync, fresh=False, approve=approve)
        left = held_plans(parts.plans)
        unfinished = parts.state.fact("backfill_began") is not None and not _is_loaded(parts)
    if unfinished:
        desk.screen.note("The history is not loaded to its end: run `tillbridge backfill` to go on with it.")
    tell_held(desk, left)
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
    approve: bool = False,
) -> dict[str, Any]:
    """Do the work of a run and put into a document what came of it."""
    begun = desk.clock.monotonic()
    with noted(parts, job) as counts:
        connection = parts.connect(fresh=fresh)
        if approve:
            counts.update(approve_all(connection, who_asks(desk)))
        counts.update(work(connection))
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


def run_forced(
    desk: Desk, home: Path, wanted: Mapping[str, Sequence[str]], *, as_json: bool, kind: str = "force"
) -> int:
    """Carry exactly these across now, and say what happened to each. `kind`: of the service's job."""
    from tillbridge.cli.serve import forced_by_service
    from tillbridge.engine.fates import fate
    from tillbridge.engine.sync import force
    from tillbridge.views.person import long_id

    ids = {kind: list(dict.fromkeys(each)) for kind, each in wanted.items()}
    people = [long_id(i) for i in ids["customer"] if is_crm_id(i)]
    ids["customer"] = [i for i in ids["customer"] if not is_crm_id(i)]
    if people:
        return _force_people(desk, home, ids, people, as_json=as_json)
    if (answer := forced_by_service(desk, home, ids, kind)) is not None:
        return _tell_fates(desk, answer["records"], answer["run"], as_json=as_json)
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        with noted(parts, "sync", lane="urgent") as counts:
            connection = parts.connect()
            delivery = force(
                connection, customers=ids["customer"], sales=ids["sale"], products=ids["product"]
            )
            counts.update(delivery.counts)
        results = [fate(parts.state, delivery, kind, i) for kind, each in ids.items() for i in each]
    return _tell_fates(desk, results, parts.state.run_id, as_json=as_json)


def _force_people(
    desk: Desk, home: Path, ids: dict[str, list[str]], people: Sequence[str], *, as_json: bool
) -> int:
    """Carry people of Salesforce across: linked ones as their customers, others into the till."""
    from tillbridge.engine.fates import fate
    from tillbridge.engine.sync import force

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        with noted(parts, "sync", lane="urgent") as counts:
            connection = parts.connect()
            delivery = force(
                connection,
                customers=ids["customer"],
                sales=ids["sale"],
                products=ids["product"],
                people=people,
            )
            counts.update(delivery.counts)
        linked = parts.state.linked_to(people)
        ids["customer"] += [i for each in linked.values() for i in each if i not in ids["customer"]]
        results = [fate(parts.state, delivery, kind, i) for kind, each in ids.items() for i in each]
        results += [_fate_of_person(parts, i) for i in people if i not in linked]
    return _tell_fates(desk, results, parts.state.run_id, as_json=as_json)


def _fate_of_person(parts: Parts, crm_id: str) -> dict[str, Any]:
    """Tell what became of somebody of Salesforce who is linked to no customer."""
    arrival = parts.arrivals.get([crm_id]).get(crm_id)
    unknown = "Salesforce shows no such person, or customers do not flow into the till in this mode"
    return {
        "kind": "customer",
        "id": crm_id,
        "outcome": "not in the till",
        "object": arrival.object if arrival else None,
        "crm_id": crm_id,
        "why": arrival.reason if arrival else unknown,
    }


def _tell_fates(desk: Desk, results: Sequence[Mapping[str, Any]], run: int | None, *, as_json: bool) -> int:
    if as_json:
        desk.screen.document({"job": "sync", "run": run, "records": results})
    else:
        _show_fates(desk, results)
    return words.NEEDS_PERSON if any(r["outcome"] in _NEEDS_PERSON for r in results) else words.DONE


_NEEDS_PERSON = frozenset({"refused", "conflict", "not in the till"})


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

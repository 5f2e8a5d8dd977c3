"""`check` and `sweep`: look for what the feed did not tell, repair it, and say what it was.

Both poll first, so that what the poll tells is not taken for missed. What was
found is repaired already: it needs nobody, and does not change the exit status.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from tillbridge.cli.plans import approve_all

# The engine's word for what was written otherwise although the till shows it as before.
MAPPED_ANEW = "mapped anew"

if TYPE_CHECKING:
    from collections.abc import Callable

    from tillbridge.engine.connection import Connection
    from tillbridge.engine.repair import Outcome
    from tillbridge.store.verified import Missed

# What a screen holds of a long list; the document holds all.
_SHOWN = 20


def run_check(desk: Desk, home: Path, *, nightly: bool, approve: bool, as_json: bool) -> int:
    """Run the cross-checks."""
    from tillbridge.engine.crosscheck import crosscheck

    return _run(
        desk,
        home,
        "check",
        lambda connection: crosscheck(connection, nightly=nightly),
        approve=approve,
        as_json=as_json,
    )


def run_sweep(desk: Desk, home: Path, *, calls: int | None, full: bool, approve: bool, as_json: bool) -> int:
    """Run the sweep."""
    from tillbridge.engine.sweep import sweep

    return _run(
        desk,
        home,
        "sweep",
        lambda connection: {"sweep": sweep(connection, calls=calls, full=full)},
        approve=approve,
        as_json=as_json,
    )


def _run(
    desk: Desk,
    home: Path,
    job: str,
    look: Callable[[Connection], Mapping[str, Outcome]],
    *,
    approve: bool,
    as_json: bool,
) -> int:
    from tillbridge.engine.sync import sync

    begun = desk.clock.monotonic()
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        with noted(parts, job) as counts:
            connection = parts.connect()
            if approve:
                counts.update(approve_all(connection, who_asks(desk)))
            polled = sync(connection)
            counts.update(polled)
            outcomes = look(connection)
            for outcome in outcomes.values():
                counts.update(outcome.counts)
        ends, left = open_ends(parts), held_plans(parts.plans)
        report = {
            "job": job,
            "run": parts.state.run_id,
            "polled": _told(polled),
            "checks": {name: _told(outcome.counts) for name, outcome in outcomes.items()},
            "stopped": next((o.stopped for o in outcomes.values() if o.stopped), None),
            "missed": [_entry(each) for outcome in outcomes.values() for each in outcome.missed],
            "lightspeed_calls": parts.till.calls,
            "salesforce_calls": parts.crm.calls,
            "seconds": round(desk.clock.monotonic() - begun, 1),
            "open": ends,
            "status": status_of(ends),
        }
    tell_held(desk, left)
    if as_json:
        desk.screen.document(report)
    else:
        for line in told(report):
            desk.screen.result.print(line, soft_wrap=True)
    return status_of(ends)


def _told(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _entry(missed: Missed) -> dict[str, str]:
    return {
        "kind": missed.kind,
        "id": missed.till_id,
        "found_by": missed.found_by,
        "what": missed.what,
    }


def told(report: Mapping[str, Any]) -> Iterable[str]:
    """Put a report into lines."""
    missed: Sequence[Mapping[str, str]] = report["missed"]
    if missed:
        count = words.several(len(missed), "change")
        yield f"{count} that the feed had missed, found and carried across:"
    else:
        yield "The feed had missed nothing."
    for each in missed[:_SHOWN]:
        yield f"  {each['kind']} {each['id']}: {each['what']}"
    if len(missed) > _SHOWN:
        yield f"  and {words.number(len(missed) - _SHOWN)} more; --json lists all."
    anew = sum(counts.get(MAPPED_ANEW, 0) for counts in report["checks"].values())
    if anew:
        verb = "is" if anew == 1 else "are"
        yield (
            f"{words.several(anew, 'record')} {verb} written otherwise than before by the field map, the "
            "settings or new links: carried across, and nothing that the feed had missed."
        )
    if report["stopped"]:
        yield report["stopped"]
    if (pages := report["checks"].get("sweep", {}).get("pages read again")) is not None:
        yield f"{words.several(pages, 'page')} of at most 100 records read again."
    yield (
        f"Spent {words.several(report['lightspeed_calls'], 'Lightspeed call')} and "
        f"{words.several(report['salesforce_calls'], 'Salesforce call')} in {report['seconds']:.1f} s."
    )
    if ends := {name: n for name, n in report["open"].items() if n}:
        open_words = " and ".join(words.several(n, name.removesuffix("s"), name) for name, n in ends.items())
        verb = "needs" if sum(ends.values()) == 1 else "need"
        yield f"{open_words} {verb} a person: `tillbridge status` says what to do."

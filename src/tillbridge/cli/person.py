"""`explain customer`: who a person is on both sides, why we think so, and where every value came from.

It prints what the console's page of a person reads, from our own state: it asks
no remote and may run beside a sync; `--fresh` reads both sides before. Like all
of `explain`, it names people: whoever decides about a customer has to see whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, open_ledger, open_parts
from tillbridge.cli.explain import STATE_WORDS, unknown_words

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.cli.desk import Ledger
    from tillbridge.views.person import (
        ArrivalOf,
        Candidate,
        ConflictOf,
        Earlier,
        FieldOf,
        PersonPage,
        TillRecord,
    )
    from tillbridge.views.problems import ProblemLine

# The key of an object's ids, as Salesforce forms them.
_CRM_ID_LETTERS = (15, 18)

_SIDES = {"till": "Lightspeed", "crm": "Salesforce"}
_SHOWN = 3  # so many earlier values of a field fit on a screen; the document holds all


def is_crm_id(text: str) -> bool:
    """Say whether a text may be a record's id in Salesforce: 15 letters and digits, or 18."""
    return len(text) in _CRM_ID_LETTERS and text.isalnum() and not text.isdecimal()


def show_person(desk: Desk, home: Path, text: str, *, fresh: bool, as_json: bool) -> int:
    """Show one person. `text`: the till's number, our key, or an id in Salesforce."""
    import msgspec

    from tillbridge.views.person import person, whom

    read = _read_both_sides(desk, home, text) if fresh else None
    with open_ledger(desk, home) as ledger:
        page = person(ledger, text, read=read)
        jobs = _jobs(ledger, page) if page else {}
        till_id, crm_id = whom(ledger, text)
        merged_into = _alias(ledger, till_id)
    if page is None:
        return _show_unknown(desk, text, till_id, crm_id, merged_into, as_json=as_json)
    if as_json:
        own = page.crm.id if page.crm else None
        told = {"asked": text, "known": True, "read_now": fresh, "crm_id": own}
        desk.screen.document({**told, **msgspec.to_builtins(page, str_keys=True)})
    else:
        _show(desk.screen.result, page, jobs)
    return words.DONE


def _show_unknown(
    desk: Desk, text: str, till_id: str | None, crm_id: str | None, merged_into: str | None, *, as_json: bool
) -> int:
    if as_json:
        told = {"asked": text, "known": False, "id": till_id, "crm_id": crm_id, "merged_into": merged_into}
        desk.screen.document(told)
    elif crm_id is not None:
        said = f"Salesforce has shown us no person {crm_id} yet; a sync reads whoever has changed."
        desk.screen.result.print(words.plain(said), soft_wrap=True)
    else:
        said = unknown_words("customer", till_id or text, merged_into)
        desk.screen.result.print(words.plain(said), soft_wrap=True)
    return words.NEEDS_PERSON


def _alias(ledger: Ledger, till_id: str | None) -> str | None:
    from tillbridge.store.verified import Verified

    return Verified(ledger.state).aliases("customer", [till_id]).get(till_id) if till_id else None


def _jobs(ledger: Ledger, page: PersonPage) -> dict[int, str]:
    """Return which jobs the runs were that have to do with a person."""
    from tillbridge.cli.records import job_of

    runs = {page.run, *(each.run for each in page.fields), *(each.run for each in page.records)}
    runs |= {earlier.run for each in page.fields for earlier in each.earlier}
    return {run: job for run in runs if run is not None and (job := job_of(ledger.state, run))}


def _read_both_sides(desk: Desk, home: Path, text: str) -> dict[str, Mapping[str, str | None]]:
    """Read a person on both sides: one call each. The CRM's answer goes into the index."""
    from tillbridge.engine.compare import as_shown_to, seen_of
    from tillbridge.engine.people import read_again
    from tillbridge.model.reading import Query
    from tillbridge.views.person import records_of, whom

    with open_ledger(desk, home) as ledger:
        till_id, crm_id = whom(ledger, text)
        link = ledger.state.links("customer", [till_id]).get(till_id) if till_id else None
        own = crm_id or (link.crm_id if link else None)
        ids = records_of(ledger, till_id, own) if till_id else []
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        connection = parts.connect()
        if own:
            read_again(connection, [own])
        pages = connection.till.customers(Query(ids=tuple(ids))) if ids else ()
        seen = [seen_of(connection, customer) for page in pages for customer in page.rows]
        person = connection.people.get([own]).get(own) if own else None
        shown = [as_shown_to(connection, one, person.object) for one in seen] if person else seen
        return {one.id: dict(one.texts) for one in shown}


# --- showing -------------------------------------------------------------------------------------


def _show(result: Console, page: PersonPage, jobs: Mapping[int, str]) -> None:
    if page.records:
        _show_linked(result, page, jobs)
    else:
        _show_unlinked(result, page)
    _show_arrival(result, page.arrival)
    _show_records(result, page.records)
    _show_fields(result, page.fields, jobs)
    _show_conflicts(result, page.conflicts)
    for each in page.twins:
        name = each.side.name or each.side.id
        said = f"Probably there twice: {name} ({_SIDES[each.system]} {each.side.id}) shares "
        result.print()
        result.print(words.plain(f"{said}{' and '.join(each.shares)}. {each.todo}"), soft_wrap=True)
    for plan in page.held:
        result.print()
        result.print(f"Held back in plan {plan.plan} ({', '.join(plan.reasons)}):", style="bold")
        for name, (before, after) in plan.fields.items():
            told = f"  {name}: {before or 'empty'} → {after or 'empty'}"
            result.print(words.plain(told), soft_wrap=True)
        result.print(f"  → `tillbridge approve {plan.plan}`", style="cyan")


def _show_linked(result: Console, page: PersonPage, jobs: Mapping[int, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    result.print(f"customer {page.id}", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in _facts(page, jobs):
        if value:
            table.add_row(name, Text(words.plain(value)))
    result.print(table)
    _show_people(result, "Candidates", [each for each in page.candidates if not each.turned_down])
    _show_people(result, "Turned down", [each for each in page.candidates if each.turned_down])
    _show_problems(result, page.problems)


def _facts(page: PersonPage, jobs: Mapping[int, str]) -> Iterable[tuple[str, str | None]]:
    own = next((each for each in page.records if each.side.id == page.id), None)
    yield "state", STATE_WORDS.get(page.state, page.state.replace("_", " "))
    yield "why", page.reason
    if page.crm:
        yield "Salesforce", " ".join(filter(None, (page.crm.object, page.crm.id)))
    yield "its account", page.crm_account
    yield "key", page.key
    yield "rule", own.rule if own else None
    yield "evidence", own.evidence if own else None
    yield "identity", page.identity
    yield "waits for", ", ".join(page.waits_for)
    yield "changed in till", _utc(page.till_changed_at)
    yield "stands so since", ", ".join(filter(None, (_utc(page.moved_at), _run(page.run, jobs))))


def _show_people(result: Console, title: str, people: Sequence[Candidate]) -> None:
    if not people:
        return
    result.print()
    result.print(title, style="bold")
    for each in people:
        told = ", ".join(filter(None, (each.rule, each.why)))
        name = " ".join(filter(None, (each.side.object, each.side.id, each.side.name)))
        result.print(words.plain(f"  {name}{': ' if told else ''}{told}"), soft_wrap=True)


def _show_problems(result: Console, problems: Sequence[ProblemLine]) -> None:
    for problem in problems:
        result.print()
        solved = "solved" if problem.state == "resolved" else f"tried {problem.attempts} times"
        fields = f".{', '.join(problem.fields)}" if problem.fields else ""
        result.print(
            f"Problem of {problem.kind} {problem.till_id} ({solved}), {problem.object}{fields}: "
            f"{words.plain(problem.message)} ({problem.code})",
            style="dim" if problem.state == "resolved" else "red",
            soft_wrap=True,
        )
        if problem.state != "resolved":
            result.print(f"  → {problem.advice}", style="cyan", soft_wrap=True)


def _show_conflicts(result: Console, conflicts: Sequence[ConflictOf]) -> None:
    for each in conflicts:
        told = f"decided for {_SIDES[each.winner]}" if each.winner else "open"
        result.print()
        result.print(
            words.plain(
                f"Conflict {each.id} ({told}): {each.field} is {each.till!r} in Lightspeed and "
                f"{each.crm!r} in Salesforce"
            ),
            style="red",
            soft_wrap=True,
        )


def _show_unlinked(result: Console, page: PersonPage) -> None:
    crm = page.crm
    named = (crm.object or "person", crm.id, crm.name) if crm else ("person", page.id, page.name)
    result.print(words.plain(" ".join(filter(None, named))), style="bold", soft_wrap=True)
    result.print("  No customer of the till is linked to this record.")
    if page.arrival is None:
        result.print("  Nobody has marked it for Lightspeed, and customers.crm_scope does not take it in.")


def _show_arrival(result: Console, arrival: ArrivalOf | None) -> None:
    if arrival is None:
        return
    result.print()
    result.print("On the way into Lightspeed", style="bold")
    by = f", said by {arrival.confirmed_by}" if arrival.confirmed_by else ""
    reason = f" ({arrival.reason})" if arrival.reason else ""
    stands = f"  {arrival.state.replace('_', ' ')}{reason}{by}, since {_utc(arrival.at)}"
    result.print(words.plain(stands), soft_wrap=True)
    for each in arrival.candidates:
        name = f"customer {each.till_id} {each.name or ''}".rstrip()
        told = f": {each.why}" if each.why else ""
        result.print(words.plain(f"  {name}{told}"), soft_wrap=True)


def _show_records(result: Console, records: Sequence[TillRecord]) -> None:
    if not records:
        return
    result.print()
    result.print("Records in Lightspeed", style="bold")
    for each in records:
        told = [
            f"merged into {each.merged_into}" if each.merged_into else None,
            "second record" if each.role == "second" else None,
            each.rule,
            each.evidence,
            f"said by {each.confirmed_by}" if each.confirmed_by else None,
            f"left behind: {each.left_behind.object} {each.left_behind.id}" if each.left_behind else None,
            _utc(each.decided_at),
        ]
        state = (each.state or "not carried across").replace("_", " ")
        line = "; ".join(filter(None, (state, *told)))
        result.print(words.plain(f"  customer {each.side.id}: {line}"), soft_wrap=True)


def _show_fields(result: Console, fields: Sequence[FieldOf], jobs: Mapping[int, str]) -> None:
    from rich.table import Table

    if not fields:
        return
    result.print()
    table = Table(box=None, padding=(0, 2, 0, 2))
    for title in ("field", "in Lightspeed", "in Salesforce", "came from"):
        table.add_column(title, overflow="fold")
    for each in fields:
        cells = (each.till or "-", each.crm or "-", _source(each, jobs))
        table.add_row(each.field, *map(words.plain, cells))
        for earlier in each.earlier[:_SHOWN]:
            told = f"{earlier.why}, {_SIDES[earlier.side]}, {_when(earlier, jobs)}"
            before = f"before: {earlier.before or 'empty'}"
            shown = (before, "-") if earlier.side == "till" else ("-", before)
            table.add_row("", *map(words.plain, shown), words.plain(told), style="dim")
    result.print(table)


def _source(field: FieldOf, jobs: Mapping[int, str]) -> str:
    parts = (
        _SIDES.get(field.source or "", ""),
        field.how,
        f"moved here from {field.moved_from}" if field.moved_from else None,
        f"what was here moved to {field.moved_to}" if field.moved_to else None,
        _utc(field.at),
        _run(field.run, jobs),
    )
    return ", ".join(filter(None, parts))


def _when(entry: Earlier, jobs: Mapping[int, str]) -> str:
    return ", ".join(filter(None, (_utc(entry.at), _run(entry.run, jobs))))


def _run(run: int | None, jobs: Mapping[int, str]) -> str | None:
    return None if run is None else f"run {run} ({jobs.get(run, 'forgotten')})"


def _utc(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else None

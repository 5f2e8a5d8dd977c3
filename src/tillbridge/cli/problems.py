"""`problems`: what Salesforce refuses, by cause, and what a person can do about it in one step.

Names of people appear in `show` alone, read from the till as it is asked.
Lists are our own state's and ask no remote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, ledger_of, noted, open_books, open_ledger, open_parts, who_asks
from tillbridge.cli.status import key_of
from tillbridge.model.errors import ConfigurationInvalid, SyncError

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.engine.connection import Connection
    from tillbridge.engine.desk import Replayed
    from tillbridge.store.journal import Journal, Problem
    from tillbridge.store.state import State
    from tillbridge.views.problems import CauseCard, ProblemPage
    from tillbridge.wiring import Parts

_SHOWN = 20
_STATE_WORDS = {"retrying": "tried again", "gave_up": "given up", "ignored": "ignored", "resolved": "solved"}
_OF_SALES = frozenset({"sale", "line", "payment"})
_OF_PEOPLE = frozenset({"customer", "account", "identity"})


def wrong(text: str) -> SyncError:
    """Return the error that ends a command with exit status 2 and this one sentence."""
    return ConfigurationInvalid([("", text)])


# --- the list ------------------------------------------------------------------------------------


def show_problems(desk: Desk, home: Path, *, cause: str | None, state: str | None, as_json: bool) -> int:
    """List problems by cause."""
    import msgspec

    from tillbridge.store.journal import OPEN
    from tillbridge.views.problems import STATES_OF, named_state, problem_line, problems

    chosen = named_state(state)
    with open_ledger(desk, home) as ledger:
        named = None if cause is None else cause_named(ledger.journal, cause)
        causes = [c for c in problems(ledger, chosen).causes if named in {None, c.cause}]
        listed = ledger.journal.problems(cause=named, states=STATES_OF[chosen]) if as_json else []
        lines = [problem_line(each) for each in listed]
    waits = any(each.states.keys() & set(OPEN) for each in causes)
    status = words.NEEDS_PERSON if waits else words.DONE
    if as_json:
        told = {"causes": causes, "problems": lines, "status": status}
        desk.screen.document(msgspec.to_builtins(told, str_keys=True))
    else:
        _list(desk.screen.result, causes, desk.clock.now())
    return status


def show_waiting(desk: Desk, home: Path, *, as_json: bool) -> int:
    """List what receipts wait for: no problem, it fills in by itself."""
    from tillbridge.cli.records import awaited

    with open_books(desk, home) as (state, _journal, _people):
        found = [
            {"for": kind, "id": till_id, "its_state": own, "sales": count}
            for kind, till_id, own, count in awaited(state)
        ]
    if as_json:
        desk.screen.document({"waiting": found})
        return words.DONE
    result = desk.screen.result
    if not found:
        result.print("No receipt waits for anything.")
    for each in found[:_SHOWN]:
        own = str(each["its_state"] or "not seen yet").replace("_", " ")
        count = words.several(int(str(each["sales"])), "receipt")
        result.print(f"{count} without {each['for']} {each['id']} ({own})", soft_wrap=True)
    if len(found) > _SHOWN:
        result.print(f"and {words.number(len(found) - _SHOWN)} more; --json lists all.", style="dim")
    return words.DONE


def cause_named(journal: Journal, name: str) -> str:
    """Return the one cause that a person means. Exit status 2 for none and for several."""
    found = journal.causes_named(name)
    if not found:
        raise wrong(f"No problem has the cause {name}; `tillbridge problems` lists the causes.")
    if len(found) > 1:
        raise wrong(f"{name} may be any of {words.joined(found, 5)}: write more of the one you mean.")
    return found[0]


def short(cause: str) -> str:
    """Return the last part of a cause, which is enough to name it."""
    return cause.rpartition(":")[2]


def _list(result: Console, causes: Sequence[CauseCard], now: datetime) -> None:
    if not causes:
        result.print("No problems.")
        return
    total = sum(cause.count for cause in causes)
    result.print(f"{words.several(total, 'problem')}, {words.several(len(causes), 'cause')}", style="bold")
    for cause in causes[:_SHOWN]:
        where = ".".join([cause.object, *([", ".join(cause.fields)] if cause.fields else [])])
        result.print()
        result.print(f"{words.number(cause.count)} times {where}: {cause.code}", style="bold", soft_wrap=True)
        result.print(words.plain(f"  {words.sentence(cause.message)}"), soft_wrap=True)
        result.print(f"  → {cause.advice}", style="cyan", soft_wrap=True)
        result.print(f"  {_how_it_stands(cause, now)}", style="dim", soft_wrap=True)
    if len(causes) > _SHOWN:
        result.print(f"and {words.number(len(causes) - _SHOWN)} more causes; --json lists all.", style="dim")


def _how_it_stands(cause: CauseCard, now: datetime) -> str:
    states = ", ".join(f"{words.number(n)} {_STATE_WORDS[name]}" for name, n in cause.states.items())
    example = cause.examples[0]
    of = f" of sale {example.sale}" if example.sale else ""
    parts = [
        f"cause {short(cause.cause)}",
        states,
        *([f"next try {_when(cause.next_at, now)}"] if cause.next_at else []),
        f"e.g. problem {example.id}: {example.kind} {example.till_id}{of}",
    ]
    return " · ".join(parts)


def _when(at: datetime, now: datetime) -> str:
    minutes = (at - now).total_seconds() / 60
    if minutes <= 1:
        return "with the next run"
    return f"in {minutes:.0f} minutes" if minutes < 120 else f"in {minutes / 60:.0f} hours"


# --- one problem ---------------------------------------------------------------------------------


def show_problem(desk: Desk, home: Path, problem_id: int, *, as_json: bool) -> int:
    """Show one problem: whose it is, what was sent, what was answered, when it is tried again."""
    import msgspec

    from tillbridge.views.problems import problem as problem_page
    from tillbridge.wiring import open_home

    parts = open_home(home, clock=desk.clock, env=desk.env)
    try:
        named = problems_named(parts.journal, [problem_id])[0]
        page = problem_page(ledger_of(home, desk.env, parts.state, parts.vault), problem_id)
        key = key_of(parts.state.fact("till_account"), named.kind, named.till_id)
        whose, not_asked = _whose(parts, named)
    finally:
        parts.close()
    assert page is not None
    more = {"key": key, "whose": whose, "till_not_asked": not_asked}
    if as_json:
        line = msgspec.to_builtins(page.problem)
        told = {"sent": page.sent, "edit": page.edit or None, "remarks": page.remarks}
        desk.screen.document({**line, **more, **msgspec.to_builtins(told, str_keys=True)})
    else:
        _show(desk.screen.result, page, more, desk.clock.now())
    return words.DONE


def problems_named(journal: Journal, ids: Sequence[int]) -> list[Problem]:
    """Return the problems of these numbers. Exit status 2 for a number that none has."""
    found = journal.problems_by_id(ids)
    if missing := [str(i) for i in ids if i not in found]:
        named = (
            f"is no problem {missing[0]}"
            if len(missing) == 1
            else f"are no problems {words.joined(missing, 5)}"
        )
        raise wrong(f"There {named}; `tillbridge problems` lists them.")
    return [found[i] for i in dict.fromkeys(ids)]


def _whose(parts: Parts, problem: Problem) -> tuple[dict[str, Any], str | None]:
    """Name the receipt or person, as the till shows it now; nothing of it is kept or logged."""
    from tillbridge.model.reading import Query

    till_id = problem.sale or problem.till_id
    try:
        if problem.kind in _OF_SALES:
            for page in parts.till.sales(Query(ids=(till_id,))):
                for sale in page.rows:
                    done = sale.completed_at or sale.created_at
                    return {
                        "sale": sale.id,
                        "ticket": sale.ticket,
                        "at": done,
                        "customer": sale.customer_id,
                    }, None
        if problem.kind in _OF_PEOPLE:
            for found in parts.till.customers(Query(ids=(till_id,))):
                for person in found.rows:
                    name = " ".join(filter(None, (person.first_name, person.last_name)))
                    return {"customer": person.id, "name": name or person.company}, None
    except SyncError as error:
        return {}, str(error)
    return {}, None


def _show(result: Console, page: ProblemPage, more: Mapping[str, Any], now: datetime) -> None:
    from rich.table import Table
    from rich.text import Text

    result.print(f"Problem {page.problem.id}", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in _facts(page, more, now):
        if value:
            table.add_row(name, Text(words.plain(value)))
    result.print(table)
    result.print(f"  → {page.problem.advice}", style="cyan", soft_wrap=True)
    result.print()
    if page.sent is None:
        result.print("What was sent is not kept.", style="dim")
    else:
        result.print("Sent", style="bold")
        sent = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
        for name, value in page.sent.items():
            shown = "(empty)" if value is None else words.plain(value)
            mark = "← " if name in page.problem.fields else ""
            sent.add_row(name, Text(shown), mark)
        result.print(sent)
    for each in page.remarks:
        told = f": {each.text}" if each.text else ""
        result.print(words.plain(f"  {_utc(each.at)} {each.by}, {each.what}{told}"), soft_wrap=True)


def _facts(page: ProblemPage, more: Mapping[str, Any], now: datetime) -> Iterable[tuple[str, str | None]]:
    line, whose = page.problem, more["whose"]
    yield "record", f"{line.kind} {line.till_id}" + (f" of sale {line.sale}" if line.sale else "")
    yield "key", more["key"]
    if "ticket" in whose:
        yield "receipt", f"ticket {whose['ticket']}, {whose['at']:%Y-%m-%d %H:%M} UTC"
        yield "customer", whose["customer"]
    yield "person", whose.get("name")
    if more["till_not_asked"]:
        yield "in the till", f"could not be asked: {more['till_not_asked']}"
    yield "object", line.object
    yield "fields", ", ".join(line.fields)
    yield "answer", f"{line.code}: {line.message}"
    yield "cause", line.cause
    yield "state", _STATE_WORDS[line.state]
    yield "with", line.assignee
    yield "note", line.note
    yield "attempts", str(line.attempts)
    yield "first", _utc(line.first_at)
    yield "last", _utc(line.last_at)
    if line.next_at:
        yield "next", f"{_utc(line.next_at)}, {_when(line.next_at, now)}"
    if page.edit:
        yield "set by hand", ", ".join(f"{name} = {value}" for name, value in page.edit.items())


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# --- doing something about it ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What to do about a cause: one of these, and about which field."""

    replace: tuple[str, ...] = ()
    default: str | None = None
    leave_out: bool = False
    undo: bool = False
    field: str | None = None
    add_value: bool = False  # to the picklist that lacks it

    def check(self) -> str | None:
        """Say what is wrong with the wish; None when nothing is."""
        kinds = [bool(self.replace), self.default is not None, self.leave_out, self.undo, self.add_value]
        if sum(kinds) != 1:
            return (
                "Say one of --replace VALUE=OTHER, --default VALUE, --leave-out, --add-picklist-value and "
                "--undo."
            )
        if bad := [pair for pair in self.replace if "=" not in pair]:
            return f"--replace takes VALUE=OTHER, not {bad[0]}."
        return None


def run_retry(
    desk: Desk, home: Path, ids: Sequence[int], *, cause: str | None, everything: bool, as_json: bool
) -> int:
    """Try problems again now."""
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        journal = parts.journal
        if ids:
            chosen = _unsolved(journal, ids, "retry")
        else:
            named = None if everything or cause is None else cause_named(journal, cause)
            chosen = journal.problems(cause=named)
        done = _replayed(parts, "retry", lambda _: [problem.id for problem in chosen])
    return _tell(desk, done, as_json=as_json)


def run_ignore(desk: Desk, home: Path, ids: Sequence[int], *, note: str | None, as_json: bool) -> int:
    """Leave problems alone from now on."""
    from tillbridge.cli.desk import writing_alone

    with writing_alone(desk, home), open_books(desk, home) as (state, journal, _people):
        chosen = [problem.id for problem in _unsolved(journal, ids, "ignore")]
        with state.begin() as c:
            journal.ignore(c, chosen, note)
            journal.remark(c, chosen, who_asks(desk), "ignored", note)
    if as_json:
        desk.screen.document({"ignored": chosen, "note": note})
    else:
        count = words.several(len(chosen), "problem")
        desk.screen.result.print(
            f"Ignored: {count}. A later success resolves what is ignored, another cause brings it back.",
            soft_wrap=True,
        )
    return words.DONE


def run_note(desk: Desk, home: Path, ids: Sequence[int], *, text: str, as_json: bool) -> int:
    """Write a note on problems."""
    with open_books(desk, home) as (state, journal, _people):
        chosen = [problem.id for problem in problems_named(journal, ids)]
        with state.begin() as c:
            journal.remark(c, chosen, who_asks(desk), "note", text)
    if as_json:
        desk.screen.document({"noted": chosen})
    else:
        desk.screen.result.print(f"Noted on {words.several(len(chosen), 'problem')}.")
    return words.DONE


def run_assign(desk: Desk, home: Path, ids: Sequence[int], *, user: str | None, as_json: bool) -> int:
    """Let a user of the console see to problems; None: nobody in particular."""
    from tillbridge.cli.users import user_named

    name = None if user is None else user_named(desk, home, user)
    with open_books(desk, home) as (state, journal, _people):
        chosen = [problem.id for problem in problems_named(journal, ids)]
        with state.begin() as c:
            journal.assign(c, chosen, name)
            journal.remark(c, chosen, who_asks(desk), "assigned", name)
    if as_json:
        desk.screen.document({"assigned": chosen, "to": name})
    else:
        count = words.several(len(chosen), "problem")
        told = f"{count} given to {name}." if name else f"{count} with nobody in particular now."
        desk.screen.result.print(words.plain(told), soft_wrap=True)
    return words.DONE


def run_edit(
    desk: Desk,
    home: Path,
    problem_id: int,
    pairs: Sequence[str],
    *,
    remove: bool,
    later: bool,
    as_json: bool,
) -> int:
    """Set fields of one record by hand, or take back what was set, and send it again."""
    from tillbridge.engine.desk import prepare_edit, remove_edit

    fields = dict(pair.split("=", 1) for pair in pairs)
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        problem = problems_named(parts.journal, [problem_id])[0]

        def decide(connection: Connection) -> list[int]:
            if remove:
                remove_edit(connection, problem)
            else:
                prepare_edit(connection, problem, fields)
            return [problem.id]

        done = _replayed(parts, "edit", decide, later=later)
    return _tell(desk, done, as_json=as_json)


def run_fix(desk: Desk, home: Path, cause: str, wish: Wish, *, later: bool, as_json: bool) -> int:
    """Decide about a cause, now and later, and send everything behind it again."""
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        named = cause_named(parts.journal, cause)
        if wish.undo:
            return _undo(desk, parts.state, parts.journal, named, as_json=as_json)
        added: list[str] = []
        decide = partial(_add_values, added=added) if wish.add_value else _decide
        done = _replayed(parts, "fix", lambda c: decide(c, named, wish), later=later)
    return _tell(desk, done, as_json=as_json, added=added if wish.add_value else None)


def _add_values(connection: Connection, cause: str, wish: Wish, *, added: list[str]) -> list[int]:
    from tillbridge.engine.desk import add_values, field_of_cause
    from tillbridge.store.journal import STATES

    example = connection.journal.causes(cause=cause, states=STATES)[0].example
    added += add_values(connection, example, field_of_cause(example, wish.field))
    return [problem.id for problem in connection.journal.problems(cause=cause)]


def _undo(desk: Desk, state: State, journal: Journal, cause: str, *, as_json: bool) -> int:
    with state.begin() as c:
        count = journal.take_back(c, cause)
    if not count:
        raise wrong(f"Nothing has been decided about {cause}: there is nothing to undo.")
    if as_json:
        desk.screen.document({"cause": cause, "undone": count})
    else:
        desk.screen.result.print("Undone: records are sent as the field map says again, as they change.")
    return words.DONE


def _decide(connection: Connection, cause: str, wish: Wish) -> list[int]:
    from tillbridge.engine.desk import field_of_cause, prepare_fix
    from tillbridge.store.journal import STATES
    from tillbridge.sync.remedies import Remedy

    example = connection.journal.causes(cause=cause, states=STATES)[0].example
    field = field_of_cause(example, wish.field)
    action: Literal["replace", "default", "leave_out"] = "leave_out"
    if wish.replace or wish.default is not None:
        action = "replace" if wish.replace else "default"
    values: list[tuple[str | None, str | None]] = [(None, wish.default)]
    if wish.replace:
        pairs = [pair.split("=", 1) for pair in wish.replace]
        values = [(seen, given or None) for seen, given in pairs]
    prepare_fix(
        connection,
        [
            Remedy(cause=cause, object=example.object, field=field, action=action, seen=seen, given=given)
            for seen, given in values
        ],
    )
    return [problem.id for problem in connection.journal.problems(cause=cause)]


def _unsolved(journal: Journal, ids: Sequence[int], verb: str) -> list[Problem]:
    found = problems_named(journal, ids)
    if done := [str(problem.id) for problem in found if problem.state == "resolved"]:
        raise wrong(f"Problem {words.joined(done, 5)} is resolved: there is nothing left to {verb}.")
    return found


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of a decision; `replayed` is None where it was put off."""

    released: int
    replayed: Replayed | None
    run: int | None


def _replayed(
    parts: Parts, job: str, decide: Callable[[Connection], Sequence[int]], *, later: bool = False
) -> _Done:
    from tillbridge.engine.desk import release, replay

    with noted(parts, job) as counts:
        connection = parts.connect()
        ids = decide(connection)
        if later:
            release(connection, ids)
            return _Done(len(ids), None, parts.state.run_id)
        done = replay(connection, ids)
        counts.update(done.counts)
    return _Done(len(ids), done, parts.state.run_id)


def _tell(desk: Desk, done: _Done, *, as_json: bool, added: Sequence[str] | None = None) -> int:
    replayed = done.replayed
    report: dict[str, Any] = {"run": done.run, "released": done.released}
    if added is not None:
        report["added"] = list(added)
    if replayed is not None:
        left = Counter((p.cause, p.state) for p in replayed.refused)
        report |= {
            "accepted": len(replayed.accepted),
            "asked": replayed.asked,
            "refused": [_left(replayed.refused, cause, state, n) for (cause, state), n in left.most_common()],
            "counts": {name: count for name, count in replayed.counts.items() if count},
        }
    if as_json:
        desk.screen.document(report)
    else:
        for line in _lines(report):
            desk.screen.result.print(words.plain(line), soft_wrap=True)
    return words.NEEDS_PERSON if report.get("refused") else words.DONE


def _left(refused: Sequence[Problem], cause: str, state: str, count: int) -> dict[str, Any]:
    example = next(p for p in refused if (p.cause, p.state) == (cause, state))
    return {"cause": cause, "state": state, "count": count, "message": example.message, "problem": example.id}


def _lines(report: Mapping[str, Any]) -> Iterable[str]:
    if "added" in report:
        names = words.joined(report["added"], _SHOWN)
        yield f"Added to the picklist: {names}." if names else "The picklist has the value already."
    if "accepted" not in report:
        yield f"Released: {words.several(report['released'], 'record')}; the next run sends them again."
        return
    if not report["asked"]:
        yield "There was nothing to send again."
        return
    yield f"{words.number(report['accepted'])} of {words.number(report['asked'])} accepted."
    for left in report["refused"]:
        yield (
            f"  {words.number(left['count'])} still refused (cause {short(left['cause'])}, e.g. problem "
            f"{left['problem']}): {words.sentence(left['message'])}"
        )
    if "added" in report and report["refused"]:
        yield (
            "If it is the same value: a record type may not offer it. In Setup, open the object's record "
            "types, edit the field, and move the value to the selected ones."
        )

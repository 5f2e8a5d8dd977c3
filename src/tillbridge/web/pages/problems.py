"""Problems: a card for each cause with the one fix that helps, and its records one by one.

What somebody decides about a cause is kept at once; the service sends the
records behind it, and the page counts down while somebody looks on.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args
from urllib.parse import urlencode

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.model.errors import SyncError
from tillbridge.store.journal import GAVE_UP, RETRYING
from tillbridge.views.problems import ProblemState, cause_page, counts_of, problem, problems
from tillbridge.web.console import actions_of, books_of, console_of, stores_of, visitor_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages.listing import begins, pages
from tillbridge.web.rendering import done, page
from tillbridge.wiring import open_state

_STATES: tuple[ProblemState, ...] = get_args(ProblemState)
_TICKED_MAX = 1_000
_NOTE_MAX = 2_000
_VALUES_MAX = 50

# A page looks so often whether the records of a cause have drained, and then leaves it to the reader.
_LOOKS_MAX = 120


def show(request: Request, state: str = "open") -> Response:
    """Show the causes, the commonest first."""
    books = books_of(request)
    chosen = _state(state)
    found = problems(books, chosen, stores=stores_of(request, books))
    return page(request, "problems.html", found=found, state=chosen, states=_STATES)


def show_cause(
    request: Request, cause: str = "", state: str = "open", start: int = 0, drain: int = 0
) -> Response:
    """Show one cause: what can be decided about it, and the records that it holds up."""
    books = books_of(request)
    chosen = _state(state)
    found = cause_page(books, cause, chosen, stores=stores_of(request, books), offset=begins(start))
    if not found.card and not found.counts:
        raise NotHere
    path = f"/c/{books.name}/problems/of"
    shown = pages(path, {"cause": cause, "state": chosen}, found.list.slice, len(found.list.rows))
    users = [each.name for each in console_of(request).access.people() if each.active]
    return page(
        request,
        "problems_of.html",
        found=found,
        cause=cause,
        state=chosen,
        states=_STATES,
        pager=shown,
        users=users if not visitor_of(request).is_limited else [],
        drain=drain,
        looks=0,
        left=_open_of(found.counts),
    )


def left(request: Request, cause: str = "", of: int = 0, looks: int = 0) -> Response:
    """Say how many records of a cause are left, for a page that looks on."""
    counts = counts_of(books_of(request), cause)
    return page(
        request,
        "problems_left.html",
        cause=cause,
        drain=of,
        counts=counts,
        left=_open_of(counts),
        looks=looks + 1 if looks < _LOOKS_MAX else 0,
    )


def _open_of(counts: dict[str, int]) -> int:
    return counts.get(RETRYING, 0) + counts.get(GAVE_UP, 0)


def show_one(request: Request, number: int) -> Response:
    """Show one problem with what was sent, and a form to send something else."""
    return _one(request, number)


def _one(
    request: Request, number: int, status: int = 200, why: str = "", typed: dict[str, str] | None = None
) -> Response:
    books = books_of(request)
    found = problem(books, number, stores=stores_of(request, books))
    if found is None:
        raise NotHere
    limited = visitor_of(request).is_limited
    users = [] if limited else [each.name for each in console_of(request).access.people() if each.active]
    # What was refused for being absent was not sent, and is what is to be set.
    lines = {**dict.fromkeys(found.problem.fields), **(found.sent or {})}
    lines = {name: value for name, value in lines.items() if name not in found.fixed}
    return page(
        request, "problem.html", status, found=found, why=why, typed=typed or {}, users=users, lines=lines
    )


# --- deciding ------------------------------------------------------------------------------------


def retry(
    request: Request, cause: Annotated[str, Form()] = "", number: Annotated[int, Form()] = 0
) -> Response:
    """Let one problem, or all of a cause, be tried again now."""
    books = books_of(request)
    if number:
        chosen = list(books.journal.problems_by_id([number]))
    else:
        found = books.journal.problems(cause=cause, states=(RETRYING, GAVE_UP))
        chosen = [each.id for each in found] if cause else []
    if not chosen:
        raise NotHere
    _release(request, chosen)
    if cause:
        return done(_drain_path(books.name, cause, len(chosen)), "retried")
    return done(f"/c/{books.name}/problems/{number}", "retried")


def _release(request: Request, ids: list[int]) -> None:
    console, books = console_of(request), books_of(request)
    state = open_state(books.home, console.clock)
    try:
        with state.begin() as c:
            books.journal.release(c, ids)
            books.journal.remark(c, ids, visitor_of(request).audit_name, "retried")
    finally:
        state.close()
    console.service.wish(books.name, "replay", None, console.now())
    console.note(visitor_of(request), "problems retried", books.name, problems=ids[:50], count=len(ids))


def fix(
    request: Request,
    cause: Annotated[str, Form()],
    action: Annotated[Literal["replace", "default", "leave_out", "add_picklist_value", "undo"], Form()],
    field: Annotated[str, Form()] = "",
    seen: Annotated[list[str] | None, Form()] = None,
    given: Annotated[list[str] | None, Form()] = None,
    default: Annotated[str, Form()] = "",
) -> Response:
    """Decide about a cause once, for every record of it; the service sends them again."""
    connection, act = request.path_params["connection"], actions_of(request)
    books = books_of(request)
    before = _open_of(counts_of(books, cause))
    note = {"cause": cause[:200], "action": action, "field": field}
    try:
        with console_of(request).noting(visitor_of(request), "cause fixed", connection, **note) as deed:
            deed.is_private = True
            match action:
                case "undo":
                    act.undo_fix(connection, cause)
                    return done(_path(connection, cause), "saved")
                case "add_picklist_value":
                    act.add_values(connection, cause, field or None, later=True)
                case _:
                    act.fix(
                        connection,
                        cause,
                        action,
                        field=field or None,
                        values=_pairs(seen or [], given or []) if action == "replace" else None,
                        default=default,
                        later=True,
                    )
    except SyncError as error:
        raise Unfit(str(error)) from error
    return done(_drain_path(connection, cause, before), "fixed")


def _pairs(seen: list[str], given: list[str]) -> dict[str, str | None]:
    """Return what is to be sent instead of which value; lines that were left as they are decide nothing."""
    if len(seen) != len(given) or len(seen) > _VALUES_MAX:
        raise Unfit("Each value needs what is to be sent instead of it.")
    return {old: new for old, new in zip(seen, given, strict=True) if old != new}


def edit(
    request: Request,
    number: int,
    name: Annotated[list[str] | None, Form()] = None,
    value: Annotated[list[str] | None, Form()] = None,
    undo: Annotated[str, Form()] = "",
) -> Response:
    """Set fields of one record by hand and send it again at once."""
    connection, visitor = request.path_params["connection"], visitor_of(request)
    names, values = name or [], value or []
    if len(names) != len(values):
        raise Unfit("Each field needs a value.")
    found = problem(books_of(request), number)
    if found is None:
        raise NotHere
    before = {**(found.sent or {}), **found.edit}
    # A browser ends lines in two letters.
    typed = {n: v.replace("\r\n", "\n") for n, v in zip(names, values, strict=True)}
    changed = {n: v for n, v in typed.items() if v != _shown(before.get(n))}
    if not changed and not undo:
        return _one(request, number, 422, "Nothing was changed: type what is to be sent instead.", typed)
    fields = {} if undo else changed
    noting = console_of(request).noting
    try:
        with noting(visitor, "problem edited", connection, id=number, fields=sorted(fields)) as deed:
            deed.is_private = True
            came = actions_of(request).edit(connection, number, fields, deed.by)
    except SyncError as error:
        return _one(request, number, 409, str(error), typed)
    if came.refused:
        return _one(request, number, 422, f"It was refused again: {came.refused[0].message}", typed)
    return done(f"/c/{connection}/problems/{number}", "accepted")


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def bulk(
    request: Request,
    verb: Annotated[Literal["retry", "ignore", "assign", "note"], Form()],
    number: Annotated[list[int] | None, Form()] = None,
    text: Annotated[str, Form()] = "",
    assignee: Annotated[str, Form()] = "",
    cause: Annotated[str, Form()] = "",
) -> Response:
    """Do something about the ticked problems: try again, ignore, give to somebody, say something."""
    connection, visitor, act = request.path_params["connection"], visitor_of(request), actions_of(request)
    ids = list(dict.fromkeys(number or []))
    if not ids:
        raise Unfit("No problem is ticked.")
    if len(ids) > _TICKED_MAX or len(text) > _NOTE_MAX:
        raise Unfit(f"At most {_TICKED_MAX:,} problems at once, with a note of {_NOTE_MAX:,} characters.")
    noting = console_of(request).noting
    back = f"/c/{connection}/problems/{ids[0]}" if not cause else _path(connection, cause)
    match verb:
        case "retry":
            if not books_of(request).journal.problems_by_id(ids):
                raise NotHere
            _release(request, ids)
            return done(_drain_path(connection, cause, len(ids)) if cause else back, "retried")
        case "ignore":
            if not text.strip():
                raise Unfit("Say why they are ignored: whoever looks later will want to know.")
            with noting(visitor, "problems ignored", connection, ids=ids[:50], count=len(ids)) as deed:
                act.ignore(connection, ids, text.strip(), deed.by)
            return done(back, "ignored")
        case "assign":
            name = _user(request, assignee)
            some = ids[:50]
            with noting(visitor, "problems assigned", connection, ids=some, count=len(ids), to=name) as deed:
                act.assign(connection, ids, name, deed.by)
            return done(back, "saved")
        case "note":
            if not text.strip():
                raise Unfit("The note is empty.")
            with noting(visitor, "problems noted", connection, ids=ids[:50], count=len(ids)) as deed:
                act.remark(connection, ids, text.strip(), deed.by)
            return done(back, "saved")


def _user(request: Request, name: str) -> str | None:
    """Return the name of a user who is to see to something, as it is written; None: nobody."""
    if not name.strip():
        return None
    found = console_of(request).access.named(name)
    if found is None or not found[0].active:
        raise Unfit(f"There is no user called {name[:80]}.")
    return found[0].name


def _path(connection: str, cause: str) -> str:
    return f"/c/{connection}/problems/of?{urlencode({'cause': cause})}"


def _drain_path(connection: str, cause: str, count: int) -> str:
    return f"{_path(connection, cause)}&drain={count}"


def _state(word: str) -> ProblemState:
    return next((each for each in _STATES if each == word), "open")

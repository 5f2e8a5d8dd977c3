"""The wizard's field map: each table with its lines, tried on real rows of both sides as somebody types."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.model.errors import SyncError
from tillbridge.setup import steps
from tillbridge.setup.fields import LINES_MAX, Fields, Sheet
from tillbridge.web.console import console_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.pages import setup
from tillbridge.web.rendering import done, is_part, page

_TEXT_MAX = 500


def show(request: Request, name: str, table: str = "customer") -> Response:
    """Show a table of the map beside real rows."""
    setup.check_open(request, name, steps.FIELDS)
    return _page(request, name, table)


def save(
    request: Request,
    name: str,
    table: Annotated[str, Form()] = "customer",
    do: Annotated[str, Form()] = "preview",
    target: Annotated[list[str] | None, Form()] = None,
    line: Annotated[list[str] | None, Form()] = None,
    new_target: Annotated[str, Form()] = "",
    new_line: Annotated[str, Form()] = "",
) -> Response:
    """Try lines on real rows, or keep them when nothing is wrong with any."""
    setup.check_open(request, name, steps.FIELDS)
    targets, texts = target or [], line or []
    if len(targets) != len(texts) or len(targets) > LINES_MAX:
        raise Unfit("This form was changed on its way. Open the page again.")
    lines = {
        each[:_TEXT_MAX]: text.strip()[: _TEXT_MAX + 1] for each, text in zip(targets, texts, strict=True)
    }
    lines = {each: text for each, text in lines.items() if text}
    if new_target.strip() and new_line.strip():
        lines[new_target.strip()[:_TEXT_MAX]] = new_line.strip()[: _TEXT_MAX + 1]
    if do == "save" and not is_part(request):
        if not kept(request, name, table, lines).mistakes:
            return done(f"{setup.address(name, steps.FIELDS)}?table={table}", "saved")
        return _page(request, name, table, 422, lines=lines)
    return _page(request, name, table, lines=lines)


def finish(request: Request, name: str) -> Response:
    """Go on with the map as it is."""
    setup.check_open(request, name, steps.FIELDS)
    finished(request, name)
    return setup.finish(name, steps.FIELDS)


def finished(request: Request, name: str) -> None:
    """Note that the map is right as it is, and who said so."""
    with setup.noting(request, name, "field map kept as it is") as deed:
        fields_of(request).finish(name, deed.by)


def kept(request: Request, name: str, table: str, lines: dict[str, str]) -> Sheet:
    """Keep a table unless something is wrong with it, and write down what came of it. Raises NotHere."""
    known(request, name, table)
    with setup.noting(request, name, "field map changed", table=table) as deed:
        sheet = fields_of(request).keep(name, table, lines, deed.by)
        if sheet.mistakes:
            deed.came["refused"] = f"{len(sheet.mistakes)} lines would not do"
    return sheet


def fields_of(request: Request) -> Fields:
    """Return the map editor."""
    return console_of(request).fields


def known(request: Request, name: str, table: str) -> None:
    """Raise NotHere when this connection writes no such table."""
    if table not in fields_of(request).tables(name):
        raise NotHere


def _page(
    request: Request, name: str, table: str, status: int = 200, *, lines: dict[str, str] | None = None
) -> Response:
    setup.standing_of(request, name)
    fields = fields_of(request)
    tables = fields.tables(name)
    if table not in tables:
        raise NotHere
    try:
        sheet = fields.sheet(name, table, lines)
    except SyncError as error:
        return setup.step_page(
            request,
            name,
            steps.FIELDS,
            "setup_fields.html",
            503,
            sheet=None,
            tables=tables,
            table=table,
            why=str(error),
        )
    if is_part(request):
        here = setup.address(name, steps.FIELDS)
        return page(request, "setup_sheet.html", sheet=sheet, here=here, table=table)
    return setup.step_page(
        request,
        name,
        steps.FIELDS,
        "setup_fields.html",
        status,
        sheet=sheet,
        tables=tables,
        table=table,
        unsaved=lines is not None,
    )

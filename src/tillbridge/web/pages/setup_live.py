"""The wizard's end: the first load, looked at and approved, and the moment from which on all is live."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from tillbridge import config as configuration
from tillbridge.model.errors import SyncError
from tillbridge.setup import load, steps
from tillbridge.views.runs import plan
from tillbridge.views.sales import sales
from tillbridge.web.console import console_of
from tillbridge.web.pages import setup
from tillbridge.web.rendering import go, is_part, page
from tillbridge.work import wanted_streams

# So many of a kind are counted while a first load is watched; of a long history it would take seconds.
_COUNTED_MAX = 10_001


def show_load(request: Request, name: str) -> Response:
    """Show what the first load would bring, or how far looking is."""
    setup.check_open(request, name, steps.LOAD)
    if (part := setup.progress(request, name, steps.LOAD)) is not None:
        return part
    found = setup.setups_of(request).found(name, load.FOUND)
    console = console_of(request)
    shown = plan(console.library.books(name), found["plan"]) if found and found.get("plan") else None
    return setup.step_page(
        request,
        name,
        steps.LOAD,
        "setup_load.html",
        errand=setup.errand_of(request, name, steps.LOAD),
        found=found,
        shown=shown,
    )


def look(request: Request, name: str) -> Response:
    """Look at what the first load would bring."""
    setup.check_open(request, name, steps.LOAD)
    look_ahead(request, name)
    return go(setup.address(name, steps.LOAD))


def look_ahead(request: Request, name: str) -> None:
    """Begin to look at what the first load would bring."""
    work = load.errand_of(setup.setups_of(request), console_of(request).actions, name)
    setup.begun(request, name, steps.LOAD, "first load looked at", work)


def approve(request: Request, name: str) -> Response:
    """Agree to the first load."""
    setup.check_open(request, name, steps.LOAD)
    setups = setup.setups_of(request)
    if not setups.found(name, load.FOUND):
        return go(setup.address(name, steps.LOAD))
    approved(request, name)
    return setup.finish(name, steps.LOAD)


def approved(request: Request, name: str) -> None:
    """Agree to the first load, and write down who did."""
    with setup.noting(request, name, "first load approved") as deed:
        load.approve(setup.setups_of(request), console_of(request).actions, name, deed.by)


def show_live(request: Request, name: str) -> Response:
    """Show what is about to begin; and once it has, what has come across so far."""
    setup.check_open(request, name, steps.LIVE)
    console, standing = console_of(request), setup.standing_of(request, name)
    if not standing.is_live:
        return setup.step_page(request, name, steps.LIVE, "setup_live.html", arrived=None)
    books = console.library.books(name)
    found = sales(books)
    there = [row for row in found.rows if row.crm_id]
    arrived = {
        "first": there[0] if there else None,
        "counts": books.state.count_first(_COUNTED_MAX),
        "counted_max": _COUNTED_MAX,
        "streams": [each for each in console.service.streams(name) if each.kind == "backfill"],
    }
    if is_part(request):
        return page(
            request, "setup_arrived.html", arrived=arrived, here=setup.address(name, steps.LIVE), name=name
        )
    return setup.step_page(request, name, steps.LIVE, "setup_live.html", arrived=arrived)


def go_live(request: Request, name: str) -> Response:
    """Let the connection begin."""
    setup.check_open(request, name, steps.LIVE)
    try:
        went_live(request, name)
    except SyncError as error:
        return setup.step_page(
            request, name, steps.LIVE, "setup_live.html", 503, arrived=None, why=str(error)
        )
    return go(setup.address(name, steps.LIVE))


def went_live(request: Request, name: str) -> None:
    """Let the connection begin, and write down who did."""
    setups = setup.setups_of(request)
    with setup.noting(request, name, "went live") as deed:
        wanted = wanted_streams(configuration.load(setups.home(name), setups.env))
        setups.go_live(name, deed.by, wanted)

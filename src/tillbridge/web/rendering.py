"""How a page is made of a template: everything escaped, nothing undefined, and the frame around it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tillbridge.doings import doing
from tillbridge.model.errors import SyncError
from tillbridge.views.books import Books
from tillbridge.web import assets, words
from tillbridge.web.console import books_of, console_of, visitor_of
from tillbridge.web.differences import differing
from tillbridge.web.errors import NotHere
from tillbridge.web.navigation import entries_for
from tillbridge.web.security.roles import NOBODY
from tillbridge.web.values import beside, shown


@cache
def templates() -> jinja2.Environment:
    """Return the templates of all pages."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        # Everything, whatever a file is called: names and notes of customers are hostile.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        number=words.number,
        money=words.money,
        percent=words.percent,
        seconds=words.seconds,
        clock=words.clock,
        day=words.day,
        on_day=lambda at: words.day(words.moment(at)),
        initials=words.initials,
        machine=_machine,
        state=words.state,
        plain=words.plain,
        differing=differing,
        doing=doing,
        shown=shown,
        beside=beside,
    )
    environment.globals.update(icon=assets.icon, asset=_asset, script=_script, style=_style)
    return environment


def _machine(value: Any) -> str:
    """Write a moment for the page's script."""
    at = words.moment(value)
    return "" if at is None else at.isoformat()


def _asset(name: str) -> str:
    return assets.address(name)


def _script(name: str, *, defer: bool = True) -> Markup:
    return Markup('<script src="{}" integrity="{}"{}></script>').format(
        assets.address(name), assets.assets()[name].integrity, Markup(" defer") if defer else ""
    )


def _style(name: str) -> Markup:
    return Markup('<link rel="stylesheet" href="{}" integrity="{}">').format(
        assets.address(name), assets.assets()[name].integrity
    )


def page(
    request: Request,
    template: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """Render a page, or a part of one."""
    console = console_of(request)
    visitor = getattr(request.state, "visitor", NOBODY)
    connections = console.visible(visitor)
    asked = request.path_params.get("connection")
    # A page that says there is nothing leads to what there is.
    connection = asked if asked in connections else next(iter(connections), "")
    now = console.now()
    frame: dict[str, Any] = {
        "request_path": request.url.path,
        "visitor": visitor,
        "csrf": visitor.csrf,
        "connection": connection,
        "connections": list(connections),
        "navigation": entries_for(visitor, connection, request.url.path),
        "ago": lambda at: words.ago(at, now),
        "now": now,
        "said": SAID.get(request.query_params.get("said", "")),
        "home": f"/c/{connection}" if connection else "/",
    }
    if asked in connections and (books := _books(request)) is not None:
        frame["sides"] = console.sides(books)
        if not visitor.is_limited:
            frame["open_ends"] = console.open_ends(books)
    text = templates().get_template(template).render({**frame, **values})
    return HTMLResponse(text, status, headers=dict(headers or {}))


def _books(request: Request) -> Books | None:
    """Return a connection's books; None as long as it has none: its page says why, in this very frame."""
    try:
        return books_of(request)
    except (NotHere, SyncError):
        return None


def is_part(request: Request) -> bool:
    """Say whether a page's own script asks for a part of it, rather than a person for all of it."""
    return request.headers.get("hx-request") == "true"


def go(path: str) -> Response:
    """Send somebody on, after something was done."""
    return RedirectResponse(path, 303)


def done(path: str, said: str) -> Response:
    """Send somebody on, and tell them there what was done: one of the sentences below."""
    assert said in SAID, said
    return go(f"{path}{'&' if '?' in path else '?'}said={said}")


# What a page may say of what was done before it. A fixed list: nobody can make us say anything else.
SAID = {
    "password": "Your password is changed, and all other browsers are signed out.",
    "session-ended": "That browser is signed out.",
    "sessions-ended": "All other browsers are signed out.",
    "person-changed": "Saved. Whoever it is has to sign in again.",
    "token-ended": "That token is good for nothing any more.",
    "queued": "It is on its way.",
    "saved": "Saved.",
    "looked": "Everybody was compared: who is probably there twice stands here.",
    "step-done": "Done. Here is the next step.",
    "key-made": "The key is made and sealed. Download its certificate, and upload that to the app.",
    "settings": "Saved. It holds from the next look on, a few seconds from now.",
    "paused": "Paused.",
    "resumed": "It goes on.",
    "undone": "What could be taken back is taken back.",
    "approved": "The plan is carried out.",
    "nothing-new": "Nothing would be written now. Problems, reviews and conflicts wait for somebody.",
    "dropped": "The plan is dropped.",
    "decided": "Decided, and carried across.",
    "not-all": "Some of them could not be carried across; they stand here with their values of now.",
    "restored": "The former value is back on both sides.",
    "unlinked": "Taken apart. Somebody says under Reviews who this customer is.",
    "fixed": "Decided. The records behind it are sent again now.",
    "ignored": "They are left alone from now on.",
    "accepted": "Salesforce has accepted it.",
    "merged": "Done: both systems show one record.",
    "not-merged": "Not yet: both records are still there.",
    "retried": "It is tried again now.",
    "set-up-dropped": "That set-up is dropped, with its secrets.",
}


__all__ = ["books_of", "console_of", "done", "go", "is_part", "page", "visitor_of"]

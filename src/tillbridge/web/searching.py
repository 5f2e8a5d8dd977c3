"""The search for duplicates as people ask for it: begun, waited for a moment, and then watched.

Among two hundred thousand people it takes half a minute; no request waits that long.
"""

from __future__ import annotations

import time

from fastapi import Request

from tillbridge.setup.errands import Errand
from tillbridge.web.console import actions_of, console_of, visitor_of

# A small shop's search is over before anybody looks up.
_PATIENCE_SECONDS = 1.5
_LOOK_SECONDS = 0.05

_WHAT = "search for duplicates"


def search_of(request: Request, connection: str) -> Errand | None:
    """Return the search that is under way, or how the last one ended."""
    return console_of(request).errands.of(connection, _WHAT)


def search(request: Request, connection: str) -> Errand:
    """Begin a search, unless one is under way, and return how far it is after a moment."""
    console, visitor, act = console_of(request), visitor_of(request), actions_of(request)

    def look(errand: Errand) -> None:
        with console.noting(visitor, "duplicates looked for", connection) as deed:
            found = act.look_for_duplicates(connection, errand)
            errand.came = {
                "till": found.till,
                "crm": found.crm,
                "clusters": found.clusters,
                "sure": found.sure,
            }
            deed.came.update(errand.came)

    errand = console.errands.start(connection, _WHAT, look)
    until = time.monotonic() + _PATIENCE_SECONDS
    while errand.runs and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return errand

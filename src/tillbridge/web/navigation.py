"""What the side bar shows to whom: an entry stands where its route lets the visitor in."""

from __future__ import annotations

from dataclasses import dataclass

from tillbridge.web.security.roles import Visitor


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the side bar. `counts`: which of the open ends its badge shows."""

    title: str
    icon: str
    path: str
    counts: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as one visitor sees it on one page."""

    title: str
    icon: str
    address: str
    is_here: bool
    counts: str


ENTRIES = (
    Entry("Overview", "activity", "/c/{connection}"),
    Entry("Customers", "users", "/c/{connection}/customers"),
    Entry("Sales", "receipt", "/c/{connection}/sales"),
    Entry("Problems", "alert-triangle", "/c/{connection}/problems", counts="problems"),
    Entry("Reviews", "user-question", "/c/{connection}/reviews", counts="reviews"),
    Entry("Conflicts", "git-merge", "/c/{connection}/conflicts", counts="conflicts"),
    Entry("Runs", "refresh", "/c/{connection}/runs", counts="plans"),
    Entry("Products & stock", "packages", "/c/{connection}/products"),
    Entry("Stores", "building-store", "/c/{connection}/stores"),
    Entry("Budget & forecast", "gauge", "/c/{connection}/budget"),
    Entry("Certificates", "certificate", "/c/{connection}/certificates"),
    Entry("Set-up", "wand", "/set-up"),
    Entry("Settings", "settings", "/settings"),
)


def entries_for(visitor: Visitor, connection: str, here: str) -> list[Shown]:
    """Return the entries that a visitor may follow."""
    # The table of routes knows the pages, and every page knows its frame: one of them has to look late.
    from tillbridge.web.table import ROUTES

    if not visitor.role:
        return []
    open_to = {
        route.path
        for route in ROUTES
        if route.method == "GET" and visitor.may(route.role) and (route.limited or not visitor.is_limited)
    }
    return [
        Shown(
            title=each.title,
            icon=each.icon,
            address=(address := each.path.replace("{connection}", connection)),
            is_here=here == address
            or (each.title != "Overview" and here.startswith(f"{address}/"))
            or (each.path == "/settings" and here.startswith(f"/c/{connection}/settings")),
            counts=each.counts,
        )
        for each in ENTRIES
        if each.path in open_to and (connection or "{connection}" not in each.path)
    ]

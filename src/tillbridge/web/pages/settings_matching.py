"""Match rules: which are on, in which order, and what others would make of everybody known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.responses import Response

from tillbridge.config import MATCH_RULES
from tillbridge.views.trials import Trial
from tillbridge.web.console import books_of, console_of
from tillbridge.web.pages import settings as shared
from tillbridge.web.pages.settings import Given, Trouble
from tillbridge.web.rendering import done, is_part

# A page waits so long for a trial before it says how far it is; small shops are through by then.
_PATIENCE_SECONDS = 2.0

TITLES = {
    "external_id": "A number of the other side",
    "email": "E-mail and a like name",
    "phone": "Phone and a like name",
    "address": "Address and a like name",
}


def show(request: Request) -> Response:
    """Show the rules, and beside them what those of the address would change."""
    return _page(request, request.query_params)


def save(request: Request, form: Given) -> Response:
    """Let other rules be in force from the next slice on. Links that exist stay."""
    first = {name: values[0] for name, values in form.items() if values}
    rules, suggests = _wished(first)
    wished: dict[str, Any] = {"customers.match": rules, "customers.review": suggests or None}
    try:
        shared.tried(request, "matching", wished, form)
    except Trouble as trouble:
        why = " ".join([trouble.why, *trouble.mistakes.values()])
        return _page(request, first, trouble.status, why=why)
    return done(f"/c/{request.path_params['connection']}/settings/matching", "settings")


def _wished(given: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Read rules by the places that somebody gave them; without a place a rule is off."""
    placed = [
        (int(place), n, rule)
        for n, rule in enumerate(MATCH_RULES)
        if (place := given.get(f"place.{rule}", "")).isdecimal() and len(place) < 3
    ]
    order: list[str] = [rule for _, _, rule in sorted(placed)]
    return order, [rule for rule in order if rule != "external_id" and given.get(f"suggests.{rule}")]


def _page(request: Request, given: Mapping[str, str], status: int = 200, *, why: str = "") -> Response:
    books = books_of(request)
    in_force = books.config.customers
    is_asked = any(name.startswith("place.") for name in given)
    rules, suggests = _wished(given) if is_asked else (list(in_force.match), list(in_force.review))
    differs = (rules, sorted(suggests)) != (list(in_force.match), sorted(in_force.review))
    trial: Trial | None = None
    if is_asked and not why:
        trial = console_of(request).trials.ask(books, rules, suggests, _PATIENCE_SECONDS)
    return shared.show(
        request,
        "matching",
        "settings_matching_trial.html" if is_part(request) else "settings_matching.html",
        status,
        books=books,
        rules=rules,
        suggests=suggests,
        names=MATCH_RULES,
        titles=TITLES,
        differs=differs,
        trial=trial,
        again=f"?{request.url.query}",
        why=why,
    )

"""Alerts: who hears of problems and how, from where on a record is late, and a test message to everybody."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from tillbridge.alerts import Tried, has_channels
from tillbridge.settings import try_alerts
from tillbridge.web.console import books_of, console_of, visitor_of
from tillbridge.web.errors import Unfit
from tillbridge.web.pages import settings as shared
from tillbridge.web.pages.settings import Given

_TEMPLATE = "settings_alerts.html"


def show(request: Request) -> Response:
    """Show who is told."""
    return _page(request)


def save(request: Request, form: Given) -> Response:
    """Let others be told from the next slice on."""
    return shared.save(request, "alerts", form, _TEMPLATE, tested=None, channels=_channels(request))


def test(request: Request) -> Response:
    """Send a test message to everybody, and say of each whether it was taken."""
    return _page(request, sent(request))


def sent(request: Request) -> list[Tried]:
    """Send the test messages and write down that somebody did."""
    console, books = console_of(request), books_of(request)
    tested = try_alerts(books.home, console.env, console.clock.now())
    if not tested:
        raise Unfit(
            "Nobody is named yet: save an e-mail address, a Slack webhook or an Apprise address first."
        )
    failed = sum(each.mistake is not None for each in tested)
    console.note(visitor_of(request), "alerts tested", books.name, channels=len(tested), failed=failed)
    return tested


def _page(request: Request, tested: list[Tried] | None = None) -> Response:
    return shared.show(request, "alerts", _TEMPLATE, tested=tested, channels=_channels(request))


def _channels(request: Request) -> bool:
    return has_channels(books_of(request).config.alerts)

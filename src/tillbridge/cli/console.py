"""Open the console of an installation and say how people get in: for `serve`, the demo, and `users`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tillbridge.cli.desk import Desk
from tillbridge.store.access import Access
from tillbridge.views.books import Library
from tillbridge.web.app import create_app
from tillbridge.web.console import Console
from tillbridge.web.pages.entrance import FIRST, SIGN_IN
from tillbridge.web.security.rules import Rules
from tillbridge.web.security.sessions import FIRST_LINK_SECONDS
from tillbridge.web.security.watchers import Watchers
from tillbridge.web.serving import Served

if TYPE_CHECKING:
    from tillbridge.config import Service as Settings
    from tillbridge.engine.jobs import Jobs
    from tillbridge.metrics import Meters
    from tillbridge.store.service import Service

_DEMO_USER = "demo"


class Open:
    """A console, from its opening to its end."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self._console = console
        self._settings = settings
        self.address = ""

    def listen(self, host: str, port: int) -> Served:
        """Return its server, which still has to be started."""
        url = self._settings.url.rstrip("/")
        served = Served(create_app(self._console, address=url), host, port)
        # Whoever listens on all addresses is reached on this machine's own.
        name = "127.0.0.1" if host in {"", "0.0.0.0", "::"} else host  # noqa: S104  Compared, not bound.
        shown = f"[{name}]" if ":" in name else name
        self.address = url or f"http://{shown}:{served.port}"
        self._console.access.serves_at(self.address)
        return served

    def first_link(self) -> str | None:
        """Return the link that makes the first administrator; None where somebody can let others in."""
        if self._console.access.has_admin():
            return None
        return self._link(FIRST, None)

    def demo_link(self) -> str:
        """Return a link that signs whoever follows it in as the demo's administrator."""
        access = self._console.access
        found = access.named(_DEMO_USER)
        person = found[0] if found else access.add(_DEMO_USER, "admin", self._console.now())
        assert person is not None
        return self._link(SIGN_IN, person.id)

    def _link(self, purpose: str, person: int | None) -> str:
        secret = self._console.access.make_link(purpose, person, self._console.now() + FIRST_LINK_SECONDS)
        return f"{self.address}/enter/{secret}"

    def close(self) -> None:
        """Let the connections' books go."""
        self._console.access.serves_at(None)
        self._console.library.close()


def open_console(
    folder: Path,
    service: Service,
    jobs: Jobs,
    desk: Desk,
    settings: Settings,
    meters: Meters,
    *,
    healthy: Callable[[], str | None],
    ready: Callable[[], str | None],
) -> Open:
    """Open the console of an installation."""
    console = Console(
        folder=folder,
        service=service,
        jobs=jobs,
        clock=desk.clock,
        env=desk.env,
        access=Access(service),
        library=Library(folder, service, jobs, desk.clock, desk.env, in_background=True),
        healthy=healthy,
        ready=ready,
        metrics=lambda: (CONTENT_TYPE_LATEST, generate_latest(meters.registry)),
        dead_after_seconds=settings.dead_after_seconds,
    )
    return Open(console, settings)


def watchers_of(folder: Path, service: Service, desk: Desk) -> Callable[[str, str, str], bool]:
    """Return who may read a worker's figures, which has no console: the same as may read a console's."""
    rules = Rules(folder, desk.env)
    return Watchers(rules, Access(service), lambda: desk.clock.now().timestamp()).may

"""`users` and `audit`: the console's people and its audit log, from the command line of the machine itself.

Whoever may run commands here owns the installation, so a link is made without a
password: the way back in when everybody is locked out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, who_asks
from tillbridge.model.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from tillbridge.config import Service as Settings
    from tillbridge.store.access import Access

# As long as the links that the console makes.
_LINK_SECONDS = 86_400.0


@contextmanager
def _access(desk: Desk, home: Path) -> Iterator[tuple[Access, Settings]]:
    from tillbridge.installation import installation_of, service_settings
    from tillbridge.store.access import Access
    from tillbridge.store.service import open_service, service_url

    folder, _ = installation_of(home)
    settings = service_settings(folder, desk.env)
    secret = settings.database_url
    service = open_service(service_url(folder, secret.get_secret_value() if secret else None))
    try:
        yield Access(service), settings
    finally:
        service.close()


def user_named(desk: Desk, home: Path, name: str) -> str:
    """Return a user's name as it is written. Exit status 2 for one who is not there or may not sign in."""
    with _access(desk, home) as (access, _):
        found = access.named(name)
    if found is None or not found[0].active:
        raise ConfigurationInvalid([("--to", f"there is no user {name}; `tillbridge users` lists them")])
    return found[0].name


def show_users(desk: Desk, home: Path, *, as_json: bool) -> int:
    """List who may sign in."""
    from rich.table import Table

    with _access(desk, home) as (access, _):
        people = access.people()
    if as_json:
        desk.screen.document(
            [
                {
                    "name": p.name,
                    "role": p.role,
                    "stores": p.limits,
                    "active": p.active,
                    "seen": _when(p.seen_at),
                }
                for p in people
            ]
        )
        return words.DONE
    if not people:
        desk.screen.note("Nobody yet: `tillbridge users link` makes a link for the first administrator.")
        return words.DONE
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("Name", "Role", "Stores", "Sign-in", "Last here"):
        table.add_column(title)
    for p in people:
        stores = "all" if p.limits is None else ", ".join(s for each in p.limits.values() for s in each)
        has = "password" if p.has_password else "identity provider" if p.subject else "no password yet"
        may = has if p.active else "shut out"
        table.add_row(words.plain(p.name), p.role, words.plain(stores), may, _when(p.seen_at) or "never")
    desk.screen.result.print(table)
    return words.DONE


def run_link(desk: Desk, home: Path, name: str | None) -> int:
    """Make a one-time link and print it."""
    now = desk.clock.now().timestamp()
    with _access(desk, home) as (access, settings):
        if name is None:
            if access.has_admin():
                reason = "somebody can let others in already; name whose password is to be chosen anew"
                raise ConfigurationInvalid([("NAME", reason)])
            purpose, person = "first", None
        else:
            found = access.named(name)
            if found is None or not found[0].active:
                raise ConfigurationInvalid([("NAME", f"nobody called {name} may sign in")])
            purpose, person = "password", found[0].id
        secret = access.make_link(purpose, person, now + _LINK_SECONDS)
        access.note(f"{who_asks(desk)} at the command line", "link made", str(person or ""), now)
        running = access.address()
    address = settings.url.rstrip("/") or running or f"http://127.0.0.1:{settings.port}"
    desk.screen.result.print(f"{address}/enter/{secret}", soft_wrap=True)
    desk.screen.note("It works once, within a day. The console must be running (`tillbridge serve`).")
    return words.DONE


def show_log(desk: Desk, home: Path, *, lines: int, as_json: bool) -> int:
    """Show the newest lines."""
    import msgspec

    with _access(desk, home) as (access, _):
        entries = access.entries(limit=lines)
    if as_json:
        desk.screen.document([msgspec.to_builtins(each) for each in entries])
        return words.DONE
    for each in reversed(entries):
        detail = ", ".join(f"{name} {value}" for name, value in each.detail.items())
        line = f"{each.number:>6}  {_when(each.at)}  {each.who}: {each.what} {each.subject}  {detail}"
        desk.screen.result.print(words.plain(line.rstrip()), soft_wrap=True, markup=False)
    if not entries:
        desk.screen.note("Nothing was done in the console yet.")
    return words.DONE


def run_verify(desk: Desk, home: Path, newest: str | None, *, as_json: bool) -> int:
    """Check the chain."""
    with _access(desk, home) as (access, _):
        count, last, broken = access.verify(newest)
    status = words.DONE if broken is None else words.NEEDS_PERSON
    if as_json:
        wrong = None if broken is None else {"line": broken.number, "why": broken.why}
        desk.screen.document({"lines": count, "newest": last, "broken": wrong})
        return status
    if broken is not None:
        desk.screen.note(f"Line {broken.number} {broken.why}; the {words.number(count)} before it hold.")
        return status
    desk.screen.result.print(f"All {words.several(count, 'line')} hold. Newest hash: {last}", soft_wrap=True)
    return status


def _when(epoch: float | None) -> str | None:
    return None if epoch is None else f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%S} UTC"

"""One console, with users of every role, and browsers that keep their cookies."""

import re
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from fastapi.testclient import TestClient

from tillbridge.engine.jobs import Jobs
from tillbridge.store.access import Access
from tillbridge.store.service import open_service, service_url
from tillbridge.views.books import Library
from tillbridge.web.app import create_app
from tillbridge.web.console import Console
from tillbridge.web.security import passwords

PASSWORD = "correct horse battery"

CONFIG = """\
[lightspeed]
account_id = "190001"
client_id = "id"
client_secret = "secret"
refresh_token = "token"

[salesforce]
login_url = "https://login.example"
auth = "client_credentials"
client_id = "id"
client_secret = "secret"
"""


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)

    def now(self):
        return self.at

    def monotonic(self):
        return self.at.timestamp()

    def sleep(self, seconds):
        self.at += timedelta(seconds=seconds)


class Plant:
    """An installation with one connection, and its console."""

    def __init__(self, folder, address="", *, config=CONFIG, clock=None):
        self.folder = folder
        (folder / "tillbridge.toml").write_text(config)
        self.clock, self.env = clock or Hands(), {}
        self.service = open_service(service_url(folder, None))
        self.access = Access(self.service)
        self.wrong = None
        jobs = Jobs(self.service)
        self.library = Library(folder, self.service, jobs, self.clock, self.env)
        self.console = Console(
            folder=folder,
            service=self.service,
            jobs=jobs,
            clock=self.clock,
            env=self.env,
            access=self.access,
            library=self.library,
            healthy=lambda: self.wrong,
            ready=lambda: self.wrong,
            metrics=lambda: ("text/plain", b"figures\n"),
        )
        self.app = create_app(self.console, address=address)
        self._hash = None

    def close(self):
        self.library.close()
        self.service.close()

    def begin_again(self):
        """Be as new for the next test, with nobody in it: to build a console takes longer than to ask it."""
        (self.folder / "tillbridge.toml").write_text(CONFIG)
        self.env.clear()
        with self.service.begin() as c:
            for table in ("person", "session", "link", "token", "attempt", "audit", "flow"):
                c.execute(sa.text(f"DELETE FROM console_{table}"))

    def now(self):
        return self.clock.now().timestamp()

    def person(self, name, role, limits=None):
        self._hash = self._hash or passwords.hash_password(PASSWORD)
        return self.access.add(name, role, self.now(), password=self._hash, limits=limits)

    def browser(self, base="http://localhost", **more):
        asks_from = ("127.0.0.1", 50_000)
        return Browser(self.app, **{"base_url": base, "follow_redirects": False, "client": asks_from, **more})

    def signed_in(self, role, limits=None):
        """A browser of somebody with a role, signed in without the cost of a password."""
        name = f"{role}{'' if limits is None else ' of some stores'}"
        return self.signed_in_as((self.access.named(name) or [None])[0] or self.person(name, role, limits))

    def signed_in_as(self, person):
        now = self.now()
        secret = self.access.sign_in(person.id, now, now + 86_400, agent="test", address="")
        browser = self.browser()
        browser.cookies.set("tillbridge", secret, domain="localhost.local")
        return browser


class Browser(TestClient):
    """A browser as far as its requests go."""

    @property
    def csrf(self):
        return re.search(r'<meta name="csrf" content="([^"]+)"', self.get("/account").text)[1]

    def press(self, path, **fields):
        """Post a form as a page of ours would."""
        return self.post(path, data={"csrf": self.csrf, **fields}, headers={"sec-fetch-site": "same-origin"})

"""How long whoever looks on waits for a remote that does not answer: seconds, where a sync waits for minutes.

Only what fails is hurried. A remote that answers is waited for as ever, also
where it asks for a pause, or what somebody has begun would end halfway.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from tillbridge.connectors.http import Http, Relay
from tillbridge.model.clock import Clock
from tillbridge.model.errors import GiveWay

# A host that has not answered yet is given so long: its first answer is a token or a short list.
FIRST_SECONDS_MAX = 10.0

# Waits between tries while a remote fails, all together.
RETRY_SECONDS_MAX = 3.0

_SERVER_ERROR = 500


class HastyHttp(Relay):
    """A way to the remotes that knows whether the last call failed."""

    def __init__(self, shared: Http) -> None:
        super().__init__(shared)
        self._answered: set[str | None] = set()
        self.fails = False
        self.place = ""  # the host and port that was called last

    def before(self, url: str, timeout_total: float | None) -> float | None:
        """Give the first request to a host less time than those behind it."""
        parts = urlsplit(url)
        self.place = parts.netloc
        if parts.hostname in self._answered:
            return timeout_total
        return min(timeout_total or FIRST_SECONDS_MAX, FIRST_SECONDS_MAX)

    def answered(self, url: str, status: int) -> None:
        """Note whether the remote itself is in trouble."""
        self._answered.add(urlsplit(url).hostname)
        self.fails = status >= _SERVER_ERROR

    def broke(self) -> None:
        """Note that it did not answer, or not to the end."""
        self.fails = True

    def close(self) -> None:
        """Hang up: it is nobody else's."""
        self._shared.close()


class NoAnswer(GiveWay):
    """A remote has failed for as long as somebody waits for it."""


class HastyClock:
    """A clock on which waits for a remote that fails are short; what was met then is raised."""

    def __init__(self, clock: Clock, http: HastyHttp) -> None:
        self._clock, self._http = clock, http
        self._waited = 0.0

    def now(self) -> datetime:
        """Return the aware UTC moment."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Return the clock's monotonic seconds."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; raise NoAnswer where a remote that fails has been waited for long enough."""
        if not self._http.fails:
            self._waited = 0.0
        elif self._waited + seconds > RETRY_SECONDS_MAX:
            raise NoAnswer("The other side does not answer just now. Nothing was lost.")
        else:
            self._waited += seconds
        self._clock.sleep(seconds)

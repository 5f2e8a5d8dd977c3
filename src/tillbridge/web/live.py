"""What a browser is told while it looks on: how many streams of events there may be, and what ends one.

An event says that something has moved, and what is under way; the page then asks
for its part anew, as whoever is signed in. So a stream tells nobody more than the
page does, and a browser that gets none asks every few seconds instead.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tillbridge.engine.underway import Step
from tillbridge.views.books import Books
from tillbridge.views.runs import Lane, work

# A browser keeps at most six connections to one address (HTTP/1.1), and needs some for its pages.
OF_SESSION_MAX = 4

# The server answers 200 requests at once; most of them are to be left for pages.
OF_ALL_MAX = 60

# So often an open stream is asked whether the service ends: the whole process has ten seconds.
_TICK_SECONDS = 0.25
_AGAIN_MILLISECONDS = 3_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an open stream looks, proves that it lives, and asks whether it still may."""

    look_seconds: float = 1.0
    beat_seconds: float = 15.0  # Proxies take what says nothing for dead; most wait for a minute.
    check_seconds: float = 5.0
    last_seconds: float = 3_600.0  # A browser then begins again by itself; nothing is open for ever.


class StreamNow(msgspec.Struct, frozen=True):
    """Where one stream stands."""

    title: str
    state: str
    outcome: str | None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says: what is at work and how far, what waits, and the newest run."""

    streams: list[StreamNow]
    steps: list[Step]
    lanes: list[Lane]
    paused: str | None
    newest_run: int
    ended_at: float


class Streams:
    """The streams of events that are open, by session."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()
        self._seen: dict[str, tuple[float, str, bytes]] = {}
        self.is_ending = False

    def enter(self, session: str) -> bool:
        """Take a place for a session; False when it has enough of them, or all have."""
        with self._lock:
            is_full = self._open[session] >= OF_SESSION_MAX or self._open.total() >= OF_ALL_MAX
            if is_full or self.is_ending:
                return False
            self._open[session] += 1
            return True

    def leave(self, session: str) -> None:
        """Give a place back."""
        with self._lock:
            self._open[session] -= 1
            self._open += Counter()  # Forgets sessions that have none left.

    @property
    def count(self) -> int:
        """Return how many streams are open."""
        with self._lock:
            return self._open.total()

    def end(self) -> None:
        """Let every stream end, and begin none."""
        self.is_ending = True

    def look(self, books: Books, dead_after_seconds: float) -> tuple[str, bytes]:
        """Return the present event of a connection: its id and what it says. Looked at once for everybody."""
        moment = time.monotonic()
        with self._lock:
            kept = self._seen.get(books.name)
        if kept is not None and moment - kept[0] < self.pace.look_seconds / 2:
            return kept[1:]
        said = msgspec.json.encode(_moment(books, dead_after_seconds))
        event = hashlib.sha256(said).hexdigest()[:16]
        with self._lock:
            self._seen[books.name] = (moment, event, said)
        return event, said


def _moment(books: Books, dead_after_seconds: float) -> Moment:
    found = work(books, dead_after_seconds)
    newest = books.journal.last_runs(1)
    return Moment(
        streams=[StreamNow(each.title, each.state, each.outcome) for each in found.streams],
        steps=found.steps,
        lanes=found.lanes,
        paused=found.paused,
        newest_run=newest[0].id if newest else 0,
        ended_at=max((each.ended_at.timestamp() for each in found.streams if each.ended_at), default=0.0),
    )


class Events(StreamingResponse):
    """One open stream; its place is given back however it ends."""

    def __init__(self, streams: Streams, session: str, told: AsyncIterator[bytes]) -> None:
        super().__init__(told, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._streams, self._session = streams, session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the browser leaves or the stream ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._session)


async def follow(
    streams: Streams,
    look: Callable[[], Awaitable[tuple[str, bytes]]],
    may_go_on: Callable[[], Awaitable[bool]],
    last: str,
    tick: Callable[[], float] = time.monotonic,
) -> AsyncIterator[bytes]:
    """Yield an event whenever something has moved since `last`, and a beat when nothing has for long."""
    pace = streams.pace
    begun = said_at = checked_at = tick()
    looked_at = begun - pace.look_seconds
    yield f"retry: {_AGAIN_MILLISECONDS}\n\n".encode()
    while not streams.is_ending and tick() - begun < pace.last_seconds:
        now = tick()
        if now - checked_at >= pace.check_seconds:
            checked_at = now
            if not await may_go_on():
                return
        if now - looked_at >= pace.look_seconds:
            looked_at = now
            event, said = await look()
            if event != last:
                last, said_at = event, now
                yield as_event(event, said)
        if now - said_at >= pace.beat_seconds:
            said_at = now
            yield b": still here\n\n"
        await asyncio.sleep(_TICK_SECONDS)


def as_event(event: str, said: bytes) -> bytes:
    """Write one event down (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return b"id: " + event.encode() + b"\nevent: work\ndata: " + said + b"\n\n"

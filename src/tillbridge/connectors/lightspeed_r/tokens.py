"""Keep the pair of tokens alive although every refresh replaces both, for all processes together.

The order is what matters: under a lock, look whether somebody else refreshed
already; if not, refresh; store the new pair durably; only then use it. Since
2026-01-15 the server revokes the old refresh token only when the new access
token is first used, so after a lost answer the old one may be tried again (at
most five times a minute). https://developers.lightspeedhq.com/retail/authentication/refresh-token/
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from tillbridge.connectors.lightspeed_r.protocol import GrantDenied, Granted, TooFast, TryAgain
from tillbridge.model.clock import Clock
from tillbridge.model.errors import CredentialsRefused, GiveWay, LimitReached, Transient

# Not to be caught by the seconds between looking and arriving; a dead token costs only one more request.
EXPIRY_MARGIN_SECONDS = 5.0

# Whatever they say: a token that seems dead at birth would be refreshed with every request.
LIFETIME_SECONDS_MIN = 30.0

# Five a minute are allowed for one connection; a second process may need some of them.
REFRESH_ATTEMPTS = 3
REFRESH_PAUSE_SECONDS = 15.0

# A longer ban is not slept out under the lock.
REFRESH_WAIT_SECONDS_MAX = 60.0


class StoredTokens(msgspec.Struct, frozen=True, kw_only=True):
    """A pair as it is kept. `configured_fingerprint` tells which configured token it descends from."""

    access_token: str
    refresh_token: str
    expires_at: float  # epoch seconds
    configured_fingerprint: str

    def __repr__(self) -> str:
        return f"StoredTokens(expires_at={self.expires_at}, secrets hidden)"


class TokenStore(Protocol):
    """Where the pair lives. One store belongs to one configured token of one client."""

    def lock(self) -> AbstractContextManager[None]:
        """Hold everybody else, in this and in other processes, off the pair. Freed when the holder dies."""

    def load(self) -> StoredTokens | None:
        """Return the newest stored pair."""

    def save(self, tokens: StoredTokens) -> None:
        """Replace the pair; it is on the disk when this returns."""


class MemoryTokenStore:
    """A store for tests and rehearsals: nothing outlives the process."""

    def __init__(self, tokens: StoredTokens | None = None) -> None:
        self.tokens = tokens
        self.saves = 0
        self._lock = threading.Lock()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold other threads off."""
        with self._lock:
            yield

    def load(self) -> StoredTokens | None:
        """Return the pair."""
        return self.tokens

    def save(self, tokens: StoredTokens) -> None:
        """Replace the pair."""
        self.tokens = tokens
        self.saves += 1


class FileLock:
    """A lock on a file: across threads and processes, freed by the kernel when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock and hold it."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def fingerprint(refresh_token: str) -> str:
    """Return a one-way mark of a configured token: enough to see that it was changed."""
    return hashlib.sha256(b"tillbridge lightspeed refresh token\0" + refresh_token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Pair:
    access_token: str
    expires_at: float


Exchange = Callable[[str], Granted | GrantDenied | TooFast | TryAgain]


class TokenKeeper:
    """Hands out an access token that should work, refreshing as rarely as can be.

    `exchange` sends one refresh token to the server and sorts the answer; it raises
    Transient when none came.
    """

    def __init__(
        self, *, configured: str, store: TokenStore, exchange: Exchange, clock: Clock, rng: random.Random
    ) -> None:
        self._configured = configured
        self._fingerprint = fingerprint(configured)
        self._store = store
        self._exchange = exchange
        self._clock = clock
        self._rng = rng
        self._mutex = threading.Lock()
        self._pair: _Pair | None = None
        self._refreshes = 0
        self._denied: tuple[str, str] | None = None  # refresh token, sentence

    def access_token(self) -> str:
        """Return a token that is good for now as far as we know."""
        with self._mutex:
            if self._pair is None or self._expired(self._pair.expires_at):
                self._pair = self._renewed(dead=None)
            return self._pair.access_token

    def replace(self, dead: str) -> tuple[str, bool]:
        """Return another token than `dead`, which the server refused, and whether it is fresh from there."""
        with self._mutex:
            before = self._refreshes
            if self._pair is None or self._pair.access_token == dead:
                self._pair = self._renewed(dead=dead)
            return self._pair.access_token, self._refreshes > before

    def _expired(self, expires_at: float) -> bool:
        return self._clock.now().timestamp() >= expires_at - EXPIRY_MARGIN_SECONDS

    def _renewed(self, dead: str | None) -> _Pair:
        with self._store.lock():
            stored = self._store.load()
            if stored is not None and stored.configured_fingerprint != self._fingerprint:
                stored = None  # A person has configured another token since: that one counts.
            if stored is not None and stored.access_token != dead and not self._expired(stored.expires_at):
                return _Pair(stored.access_token, stored.expires_at)
            granted = self._refreshed(stored.refresh_token if stored else self._configured)
            lifetime = max(granted.expires_in_seconds, LIFETIME_SECONDS_MIN)
            expires_at = self._clock.now().timestamp() + lifetime
            # Before its first use: used and then lost, it would lock us out for good.
            self._store.save(
                StoredTokens(
                    access_token=granted.access_token,
                    refresh_token=granted.refresh_token,
                    expires_at=expires_at,
                    configured_fingerprint=self._fingerprint,
                )
            )
            return _Pair(granted.access_token, expires_at)

    def _refreshed(self, refresh_token: str) -> Granted:
        """Get a new pair, repeating lost and failed attempts a few times, slowly."""
        if self._denied is not None and self._denied[0] == refresh_token:
            # Asking again with what was denied gets the client blocked, not the token accepted.
            raise CredentialsRefused(self._denied[1])
        failure = Transient("Lightspeed's token server did not answer")
        for attempt in range(REFRESH_ATTEMPTS):
            if attempt:
                try:
                    self._clock.sleep(REFRESH_PAUSE_SECONDS + self._rng.uniform(0, 2))
                except GiveWay:
                    break  # Others have the turn; what this met is no less true for it.
            try:
                outcome = self._exchange(refresh_token)
            except Transient as error:
                failure = error
                continue
            match outcome:
                case Granted():
                    self._refreshes += 1
                    return outcome
                case GrantDenied(code=code, sentence=sentence):
                    advice = _ADVICE.get(code, "Check client id, client secret and refresh token.")
                    self._denied = (refresh_token, f"{sentence}. {advice}")
                    raise CredentialsRefused(self._denied[1])
                case TryAgain(sentence=sentence, retry_after_seconds=wait):
                    failure = Transient(sentence, retry_after_seconds=wait)
                case TooFast(retry_after_seconds=wait):
                    self._sit_out(wait)
                    failure = Transient(
                        "Lightspeed limits how often tokens are refreshed", retry_after_seconds=wait
                    )
        raise failure

    def _sit_out(self, wait: float | None) -> None:
        """Wait out what exceeds the pause that follows anyway; give a long ban back to the caller."""
        if wait is None:
            return
        if wait > REFRESH_WAIT_SECONDS_MAX:
            raise LimitReached(
                "Lightspeed limits how often tokens are refreshed",
                quota="lightspeed token refreshes",
                resume_after_seconds=wait,
            )
        self._clock.sleep(max(0.0, wait - REFRESH_PAUSE_SECONDS))


_ADVICE = {
    "invalid_grant": (
        "The refresh token is no longer accepted: authorise Tillbridge in Lightspeed again "
        "and put the new refresh token into the configuration."
    ),
    "invalid_client": "Check client id and client secret of the Lightspeed API client.",
    "invalid_scope": "Authorise Tillbridge again with the scopes it needs.",
}

"""The halves of a consent that must meet: the state and the verifier, made, kept and taken once.

The state names the connection and holds 256 random bits, of which a hash is
kept. It is bound to the browser session that asked, ends with its time, and is
gone with the first answer that knows it, right or not. RFC 7636, RFC 9700.
What a program asks for with somebody's token is bound to that person instead:
their program may bring the answer, or their browser, and nobody else's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tillbridge import draft
from tillbridge.draft import Consent, Draft
from tillbridge.model.errors import SyncError
from tillbridge.secrets import Vault

# Somebody may have to find their password first; a page left open over lunch asks again.
CONSENT_SECONDS = 900.0


class NotAsked(SyncError):
    """An answer to a consent that nobody here has asked for, or not like this."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the answer to a consent is to be traded with."""

    verifier: str
    redirect_uri: str


def ask(
    home: Path,
    vault: Vault,
    *,
    connection: str,
    side: str,
    session: str,
    redirect_uri: str,
    now: float,
    url_of: Callable[[str, str], str],
) -> str:
    """Begin to ask, and return where the person goes. An earlier question of that side is void."""
    state = f"{connection}.{secrets.token_urlsafe(32)}"
    verifier = secrets.token_urlsafe(64)
    url = url_of(state, challenge(verifier))
    sealed = base64.b64encode(vault.seal(verifier.encode(), _place(side))).decode()
    with draft.changing(home) as kept:
        kept.consents[side] = Consent(
            mark=_mark(state),
            session=session,
            verifier=sealed,
            until=now + CONSENT_SECONDS,
            url=url,
            redirect_uri=redirect_uri,
        )
    return url


def take(home: Path, vault: Vault, *, side: str, state: str, sessions: Collection[str], now: float) -> Asked:
    """Return what an answer is to be traded with, once. Raises NotAsked.

    `sessions`: what whoever brings the answer may have asked as.
    """
    # A made-up answer writes nothing, least of all where nobody has begun a set-up.
    _asked(draft.read(home), side, state)
    with draft.changing(home) as kept:
        consent = _asked(kept, side, state)
        del kept.consents[side]
    if not any(each and hmac.compare_digest(consent.session.encode(), each.encode()) for each in sessions):
        raise NotAsked("Another browser has asked for that. Begin again in this one.")
    if now > consent.until:
        raise NotAsked("That took longer than a quarter of an hour. Begin again.")
    verifier = vault.open(base64.b64decode(consent.verifier), _place(side)).decode()
    return Asked(verifier, consent.redirect_uri)


def _asked(kept: Draft | None, side: str, state: str) -> Consent:
    """Return the consent that an answer belongs to. Raises NotAsked."""
    consent = kept.consents.get(side) if kept is not None else None
    if consent is None:
        raise NotAsked("That answer was used already, or nobody asked for it. Begin again.")
    # A made-up answer must not take the question away from whoever asked.
    if not hmac.compare_digest(consent.mark, _mark(state)):
        raise NotAsked("That answer belongs to another question. Begin again.")
    return consent


def of_person(number: int) -> str:
    """Return the session as which a person's programs ask."""
    return f"person {number}"


def connection_in(state: str) -> str:
    """Return the connection that a state names; nothing is proven by that."""
    return state.partition(".")[0]


def challenge(verifier: str) -> str:
    """Return what proves a verifier later (S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _mark(state: str) -> str:
    return hashlib.sha256(f"consent {state}".encode()).hexdigest()


def _place(side: str) -> str:
    return f"consent {side}"

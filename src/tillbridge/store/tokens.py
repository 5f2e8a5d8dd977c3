"""Tokens that rotate, sealed. What `save` has taken is on the disk before the token is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import sqlalchemy as sa

from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.state import State
from tillbridge.store.writing import insert

_token = schema.token
Lock = Callable[[], AbstractContextManager[None]]


def drawer_name(remote: str, *login: str) -> str:
    """Name the drawer of one configured login, one-way: another never opens it, the same finds it again.

    What rotates descends from what is configured. Under one name for all, a new
    token would lose to the old one's heir, and the heir would be sent to a host it is not for.
    """
    mark = json.dumps([remote, *login]).encode()
    return f"{remote} {hashlib.sha256(b'tillbridge configured login' + mark).hexdigest()}"


class TokenDrawer:
    """One sealed text by name, and the lock that every process takes before it replaces it."""

    def __init__(self, state: State, vault: Vault, name: str, lock: Lock) -> None:
        self._state = state
        self._vault = vault
        self._name = name
        self._lock = lock

    def lock(self) -> AbstractContextManager[None]:
        """Hold every other process off. Freed when the holder dies."""
        return self._lock()

    def load(self) -> bytes | None:
        """Return what was last saved."""
        with self._state.begin() as c:
            sealed = c.execute(sa.select(_token.c.sealed).where(_token.c.name == self._name)).scalar()
        return None if sealed is None else self._vault.open(sealed, f"token {self._name}")

    def save(self, value: bytes) -> None:
        """Replace it; it survives a power cut when this returns."""
        sealed = self._vault.seal(value, f"token {self._name}")
        values = {"name": self._name, "sealed": sealed, "stored_at": self._state.now()}
        statement = insert(_token).values(values)
        with self._state.begin() as c:
            c.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))

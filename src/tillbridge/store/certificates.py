"""The certificates as they were made: one row each, its body a JSON document that names no people."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.state import State

_certificate = schema.certificate


class Made(msgspec.Struct, frozen=True):
    """One certificate, without its body. `differences` counts figures and receipts that differ."""

    id: int
    made_at: float
    first: str | None
    last: str | None
    differences: int


class Certificates:
    """The proofs of one connection."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, first: date | None, last: date | None, differences: int, body: dict[str, Any]) -> int:
        """Keep a certificate and return its number."""
        values = {
            "made_at": self._state.now(),
            "first": first.isoformat() if first else None,
            "last": last.isoformat() if last else None,
            "differences": differences,
            "body": msgspec.json.encode(body).decode(),
        }
        with self._state.begin() as c:
            made = c.execute(sa.insert(_certificate).values(values)).inserted_primary_key
        assert made is not None
        return int(made[0])

    def newest(self, limit: int = 30) -> list[Made]:
        """Return the latest certificates, newest first."""
        columns = [_certificate.c[name] for name in Made.__struct_fields__]
        with self._state.begin() as c:
            rows = c.execute(sa.select(*columns).order_by(_certificate.c.id.desc()).limit(limit))
            return [Made(*row) for row in rows]

    def body(self, number: int) -> dict[str, Any] | None:
        """Return what one certificate says; None when there is no such number."""
        with self._state.begin() as c:
            row = c.execute(
                sa.select(_certificate.c.made_at, _certificate.c.body).where(_certificate.c.id == number)
            ).one_or_none()
        return None if row is None else {**json.loads(row.body), "id": number, "made_at": row.made_at}

"""People: who the CRM holds (for matching), why a customer is linked, and both sides' shadows.

Everything here names people, so everything is sealed; lookups go by blinded keys.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.model.answers import CrmPersonRow
from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.lists import parts
from tillbridge.store.news import note
from tillbridge.store.sealing import open_document, seal_document
from tillbridge.store.state import State
from tillbridge.store.writing import insert

_person = schema.person
_key = schema.person_key
_verdict = schema.verdict
_shadow = schema.shadow
_PART = 500
_person_decoder = msgspec.json.Decoder(CrmPersonRow)


def _upsert(table: sa.Table) -> sa.Executable:
    """Write whole rows, over those that are there."""
    statement = insert(table)
    own = [column.name for column in table.primary_key]
    changes = {name: statement.excluded[name] for name in table.c.keys() if name not in own}  # noqa: SIM118  Names.
    return statement.on_conflict_do_update(index_elements=own, set_=changes)


_TAKE_IN = _upsert(_person)
_DROP_KEYS = sa.delete(_key).where(_key.c.crm_id == sa.bindparam("whose"))
_ADD_KEYS = insert(_key).on_conflict_do_nothing()
_DECIDE = _upsert(_verdict)
_CAST = _upsert(_shadow)


class Verdict(msgspec.Struct, frozen=True):
    """What was decided of one till customer. `detail`: evidence, candidates, who was turned down and why."""

    till_id: str
    outcome: str
    rule: str | None
    detail: dict[str, Any]
    made_at: float


class People:
    """Matching index, verdicts and shadows of one connection."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    # --- small facts that name people ----------------------------------------------------------

    def fact(self, name: str) -> Any:
        """Return a sealed fact kept between runs, or None."""
        kept = self._state.fact(name)
        if not isinstance(kept, str):
            return None
        return msgspec.json.decode(self._vault.open(b64decode(kept), f"fact {name}"))

    def keep(self, connection: sa.Connection, name: str, value: Any) -> None:
        """Keep a small fact that names people: sealed, unlike those of the state."""
        sealed = self._vault.seal(msgspec.json.encode(value), f"fact {name}")
        self._state.keep(connection, name, b64encode(sealed).decode())

    # --- who the CRM holds -------------------------------------------------------------------

    def index(
        self, connection: sa.Connection, people: Iterable[tuple[CrmPersonRow, Collection[str]]]
    ) -> None:
        """Take in what the CRM shows of people, each with the keys they may be found by."""
        newest = {person.id: (person, keys) for person, keys in people}
        if not newest:
            return
        rows = [
            {"crm_id": i, "object": person.object, "fields": self._sealed_person(person)}
            for i, (person, _) in newest.items()
        ]
        keyed = [{"key": self._vault.blind(k), "crm_id": i} for i, (_, keys) in newest.items() for k in keys]
        connection.execute(_TAKE_IN, rows)
        note(connection, "crm", newest, self._state.now())
        connection.execute(_DROP_KEYS, [{"whose": i} for i in newest])
        if keyed:
            connection.execute(_ADD_KEYS, keyed)

    def _sealed_person(self, person: CrmPersonRow) -> bytes:
        return self._vault.seal(msgspec.json.encode(person), f"person {person.id}")

    def forget(self, connection: sa.Connection, crm_ids: Collection[str]) -> None:
        """Take people out of the index: the CRM no longer holds them."""
        ids = list(crm_ids)
        connection.execute(sa.delete(_person).where(_person.c.crm_id.in_(ids)))
        connection.execute(sa.delete(_key).where(_key.c.crm_id.in_(ids)))
        note(connection, "crm", ids, self._state.now())

    def find(self, keys: Mapping[str, Collection[str]]) -> dict[str, list[CrmPersonRow]]:
        """Look people up: for each asker, everybody who shares one of its keys."""
        blinded = {k: self._vault.blind(k) for ks in keys.values() for k in ks}
        holders: dict[bytes, list[str]] = {}
        with self._state.begin() as c:
            for part in parts(set(blinded.values())):
                for key, crm_id in c.execute(
                    sa.select(_key.c.key, _key.c.crm_id).where(_key.c.key.in_(part))
                ):
                    holders.setdefault(key, []).append(crm_id)
        people = self.get({i for ids in holders.values() for i in ids})
        found: dict[str, list[CrmPersonRow]] = {}
        for asker, own in keys.items():
            ids = dict.fromkeys(i for k in own for i in holders.get(blinded[k], ()))
            found[asker] = [people[i] for i in sorted(ids)]
        return found

    def everybody(self, size: int) -> Iterator[list[CrmPersonRow]]:
        """Return everybody whom the CRM holds, so many at a time."""
        last = ""
        while True:
            statement = sa.select(_person.c.crm_id, _person.c.fields).where(_person.c.crm_id > last)
            with self._state.begin() as c:
                rows = c.execute(statement.order_by(_person.c.crm_id).limit(size)).all()
            if not rows:
                return
            yield [_person_decoder.decode(self._vault.open(r.fields, f"person {r.crm_id}")) for r in rows]
            last = rows[-1].crm_id

    def get(self, crm_ids: Collection[str]) -> dict[str, CrmPersonRow]:
        """Return what the CRM last showed of these people."""
        found: dict[str, CrmPersonRow] = {}
        if not crm_ids:
            return found
        with self._state.begin() as c:
            for part in parts(crm_ids):
                for row in c.execute(sa.select(_person).where(_person.c.crm_id.in_(part))):
                    opened = self._vault.open(row.fields, f"person {row.crm_id}")
                    found[row.crm_id] = _person_decoder.decode(opened)
        return found

    # --- why -----------------------------------------------------------------------------------

    def decide(self, connection: sa.Connection, verdicts: Collection[Verdict]) -> None:
        """Keep why customers are linked, created or in review."""
        rows = [
            {
                "till_id": verdict.till_id,
                "outcome": verdict.outcome,
                "rule": verdict.rule,
                "detail": seal_document(self._vault, verdict.detail, f"verdict {verdict.till_id}"),
                "made_at": verdict.made_at,
                "run": self._state.run_id,
            }
            for verdict in verdicts
        ]
        if rows:
            connection.execute(_DECIDE, rows)

    def verdicts(self, till_ids: Collection[str]) -> dict[str, Verdict]:
        """Return why these customers stand where they stand."""
        found: dict[str, Verdict] = {}
        if not till_ids:
            return found
        with self._state.begin() as c:
            for row in c.execute(sa.select(_verdict).where(_verdict.c.till_id.in_(list(till_ids)))):
                detail = open_document(self._vault, row.detail, f"verdict {row.till_id}")
                found[row.till_id] = Verdict(row.till_id, row.outcome, row.rule, detail, row.made_at)
        return found

    def all_verdicts(self) -> Iterator[Verdict]:
        """Return why every customer stands where it stands, in the order of their ids as text."""
        last = ""
        while True:
            statement = sa.select(_verdict.c.till_id).where(_verdict.c.till_id > last)
            with self._state.begin() as c:
                ids = list(c.execute(statement.order_by(_verdict.c.till_id).limit(_PART)).scalars())
            if not ids:
                return
            yield from self.verdicts(ids).values()
            last = ids[-1]

    def created_in(self, run: int, limit: int | None = None) -> list[str]:
        """Return the customers whom one run decided to create in the CRM, all of them or some."""
        where = (_verdict.c.outcome == "created", _verdict.c.run == run)
        statement = sa.select(_verdict.c.till_id).where(*where).limit(limit)
        with self._state.begin() as c:
            return sorted(c.execute(statement).scalars(), key=lambda i: (len(i), i))

    def reviews(self) -> Iterator[Verdict]:
        """Return the customers that a person has to decide, in the order of their ids."""
        with self._state.begin() as c:
            ids = list(
                c.execute(sa.select(_verdict.c.till_id).where(_verdict.c.outcome == "review")).scalars()
            )
        for part in parts(sorted(ids), _PART):
            yield from self.verdicts(part).values()

    # --- shadows -------------------------------------------------------------------------------

    def shadows(self, till_ids: Collection[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """Return what each side showed when both last agreed: till id -> side -> fields."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        if not till_ids:
            return found
        with self._state.begin() as c:
            for part in parts(till_ids):
                for row in c.execute(sa.select(_shadow).where(_shadow.c.till_id.in_(part))):
                    fields = open_document(self._vault, row.fields, f"shadow {row.till_id} {row.side}")
                    found.setdefault(row.till_id, {})[row.side] = fields
        return found

    def cast(self, connection: sa.Connection, shadows: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Move shadows, keyed by (till id, side). Only after the target's ack."""
        now = self._state.now()
        rows = [
            {
                "till_id": i,
                "side": side,
                "fields": seal_document(self._vault, fields, f"shadow {i} {side}"),
                "moved_at": now,
            }
            for (i, side), fields in shadows.items()
        ]
        if rows:
            connection.execute(_CAST, rows)

    def forget_shadows(self, connection: sa.Connection, till_ids: Collection[str]) -> None:
        """Forget what both sides agreed on: these are linked to another record now."""
        ids = list(till_ids)
        connection.execute(sa.delete(_shadow).where(_shadow.c.till_id.in_(ids)))

    def amend(
        self,
        connection: sa.Connection,
        till_id: str,
        *,
        till: Mapping[str, str | None],
        crm: Mapping[str, str | None],
    ) -> None:
        """Move some fields of both shadows of one customer; None empties one."""
        for side, changes in (("till", till), ("crm", crm)):
            row = connection.execute(
                sa.select(_shadow.c.fields).where(_shadow.c.till_id == till_id, _shadow.c.side == side)
            ).first()
            if row is None:
                continue  # They have never agreed on the whole record: then some fields alone are no shadow.
            fields = open_document(self._vault, row.fields, f"shadow {till_id} {side}")
            fields.update(changes)
            self.cast(connection, {(till_id, side): {n: v for n, v in fields.items() if v is not None}})

"""Whom of the CRM the till is to know: who waits, what was announced, and whom the till holds already.

The till has no key of ours that would make a second create harmless. So a
create is announced here, durably, before it leaves (an intent); after a lost
answer the till is asked before anything is tried again. Names people: sealed,
and found by blinded keys only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.lists import among, parts
from tillbridge.store.news import note
from tillbridge.store.sealing import open_document, seal_document
from tillbridge.store.state import State
from tillbridge.store.writing import add_many, insert, write_many
from tillbridge.sync.match import Person

_arrival = schema.arrival
_intent = schema.intent
_person = schema.till_person
_key = schema.till_person_key
_record = schema.record

WAITING = "waiting"  # wanted, and not looked at yet
OPEN, DONE, DROPPED = "open", "done", "dropped"


_TAKE_IN = write_many(_person)
_ADD_KEYS = add_many(_key)
_person_decoder = msgspec.json.Decoder(Person)


_DROP_PEOPLE = sa.delete(_person).where(among(_person.c.till_id))
_DROP_KEYS = sa.delete(_key).where(among(_key.c.till_id))


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the CRM on the way into the till, and where they stand."""

    crm_id: str
    object: str
    state: str  # waiting, review, held, problem, created, linked, left_out
    reason: str | None
    detail: dict[str, Any]
    moved_at: float = 0.0


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A create in the till that was announced: its slots as JSON has them, and the till's clock before it."""

    id: int
    crm_id: str
    object: str
    slots: dict[str, Any]
    till_time: str | None
    made_at: float


class Arrivals:
    """People on their way into the till, of one connection."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    # --- who is on the way -----------------------------------------------------------------------

    def want(self, connection: sa.Connection, people: Iterable[tuple[str, str]]) -> None:
        """Let people, given as (CRM id, object), wait to be looked at, unless they stand somewhere."""
        rows = [
            {
                "crm_id": crm_id,
                "object": object_name,
                "state": WAITING,
                "detail": seal_document(self._vault, {}, f"arrival {crm_id}"),
                "moved_at": self._state.now(),
                "run": self._state.run_id,
            }
            for crm_id, object_name in people
        ]
        if rows:
            statement = insert(_arrival).on_conflict_do_nothing()
            connection.execute(statement, rows)

    def settle(self, connection: sa.Connection, arrival: Arrival) -> None:
        """Write where somebody stands now."""
        values = {
            "crm_id": arrival.crm_id,
            "object": arrival.object,
            "state": arrival.state,
            "reason": arrival.reason,
            "detail": seal_document(self._vault, arrival.detail, f"arrival {arrival.crm_id}"),
            "moved_at": self._state.now(),
            "run": self._state.run_id,
        }
        statement = insert(_arrival).values(values)
        changes = {name: value for name, value in values.items() if name != "crm_id"}
        connection.execute(statement.on_conflict_do_update(index_elements=["crm_id"], set_=changes))

    def in_state(self, state: str, limit: int = 1_000) -> list[Arrival]:
        """Return who stands so, the longest waiting first."""
        statement = (
            sa.select(_arrival)
            .where(_arrival.c.state == state)
            .order_by(_arrival.c.moved_at, _arrival.c.crm_id)
            .limit(limit)
        )
        with self._state.begin() as c:
            return [self._read(row) for row in c.execute(statement)]

    def get(self, crm_ids: Collection[str]) -> dict[str, Arrival]:
        """Return where these people stand."""
        found: dict[str, Arrival] = {}
        if not crm_ids:
            return found
        with self._state.begin() as c:
            for part in parts(crm_ids):
                for row in c.execute(sa.select(_arrival).where(_arrival.c.crm_id.in_(part))):
                    found[row.crm_id] = self._read(row)
        return found

    def _read(self, row: Any) -> Arrival:
        return Arrival(
            crm_id=row.crm_id,
            object=row.object,
            state=row.state,
            reason=row.reason,
            detail=open_document(self._vault, row.detail, f"arrival {row.crm_id}"),
            moved_at=row.moved_at,
        )

    # --- what was announced ------------------------------------------------------------------------

    def announce(
        self,
        connection: sa.Connection,
        crm_id: str,
        object_name: str,
        slots: Mapping[str, Any],
        till_time: str | None,
    ) -> int:
        """Write down a create before it leaves; return the intent's number."""
        body = {"slots": dict(slots), "till_time": till_time}
        done = connection.execute(
            sa.insert(_intent).values(
                crm_id=crm_id,
                object=object_name,
                state=OPEN,
                body=seal_document(self._vault, body, f"intent {crm_id}"),
                made_at=self._state.now(),
                run=self._state.run_id,
            )
        )
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])

    def conclude(
        self, connection: sa.Connection, intent_id: int, state: str, till_id: str | None = None
    ) -> None:
        """Write down what became of an intent: done, with whom it created, or dropped."""
        connection.execute(
            sa.update(_intent).where(_intent.c.id == intent_id).values(state=state, till_id=till_id)
        )

    def open_intents(self) -> list[Intent]:
        """Return the creates whose outcome is not known, oldest first."""
        with self._state.begin() as c:
            rows = c.execute(sa.select(_intent).where(_intent.c.state == OPEN).order_by(_intent.c.id)).all()
        found = []
        for row in rows:
            body = open_document(self._vault, row.body, f"intent {row.crm_id}")
            found.append(
                Intent(
                    id=row.id,
                    crm_id=row.crm_id,
                    object=row.object,
                    slots=body["slots"],
                    till_time=body["till_time"],
                    made_at=row.made_at,
                )
            )
        return found

    def created_in(self, run: int) -> list[str]:
        """Return the customers whom one run created in the till."""
        statement = sa.select(_intent.c.till_id).where(_intent.c.state == DONE, _intent.c.run == run)
        with self._state.begin() as c:
            return sorted(filter(None, c.execute(statement).scalars()), key=lambda i: (len(i), i))

    # --- whom the till holds ------------------------------------------------------------------------

    def index(self, connection: sa.Connection, people: Iterable[tuple[Person, Collection[str]]]) -> None:
        """Take in the till's people, each with the keys they may be found by."""
        newest = {person.id: (person, keys) for person, keys in people}
        if not newest:
            return
        rows = [
            {"till_id": i, "fields": self._vault.seal(msgspec.json.encode(person), f"till person {i}")}
            for i, (person, _) in newest.items()
        ]
        keyed = [{"key": self._vault.blind(k), "till_id": i} for i, (_, keys) in newest.items() for k in keys]
        _TAKE_IN.run(connection, rows)
        note(connection, "till", newest, self._state.now())
        connection.execute(_DROP_KEYS, {"ids": list(newest)})
        if keyed:
            _ADD_KEYS.run(connection, keyed)

    def forget(self, connection: sa.Connection, till_ids: Collection[str]) -> None:
        """Take customers out of the index: nobody of the CRM is to be found in them any more."""
        if till_ids:
            connection.execute(_DROP_PEOPLE, {"ids": list(till_ids)})
            note(connection, "till", till_ids, self._state.now())
            connection.execute(_DROP_KEYS, {"ids": list(till_ids)})

    def everybody(self, size: int) -> Iterator[list[Person]]:
        """Return all the till's people, the oldest id first, so many at a time."""
        order = (sa.func.length(_person.c.till_id), _person.c.till_id)
        last: tuple[int, str] = (0, "")
        while True:
            statement = sa.select(_person).where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, last)))
            with self._state.begin() as c:
                people = [self._read_person(row) for row in c.execute(statement.order_by(*order).limit(size))]
            if not people:
                return
            yield people
            last = (len(people[-1].id), people[-1].id)

    def each_person(self, size: int) -> Iterator[list[Person]]:
        """Return all the till's people in no order that means anything, so many at a time: the fast way."""
        last = ""
        while True:
            statement = sa.select(_person).where(_person.c.till_id > last)
            with self._state.begin() as c:
                rows = c.execute(statement.order_by(_person.c.till_id).limit(size)).all()
            if not rows:
                return
            yield [self._read_person(row) for row in rows]
            last = rows[-1].till_id

    def sharing(self, keys: Collection[str]) -> dict[str, list[Person]]:
        """Return the till's people who hold each of these keys."""
        plain = {self._vault.blind(k): k for k in keys}
        held: dict[str, list[str]] = {}
        with self._state.begin() as c:
            for part in parts(plain):
                for key, till_id in c.execute(
                    sa.select(_key.c.key, _key.c.till_id).where(_key.c.key.in_(part))
                ):
                    held.setdefault(plain[key], []).append(till_id)
        people = self.people({i for ids in held.values() for i in ids})
        return {key: [people[i] for i in sorted(ids) if i in people] for key, ids in held.items()}

    def count_people(self) -> int:
        """Count the till's people in the index."""
        with self._state.begin() as c:
            return c.execute(sa.select(sa.func.count()).select_from(_person)).scalar() or 0

    def holders(self, keys: Collection[str]) -> list[Person]:
        """Return the till's people who share one of these keys, in the order of their ids."""
        blinded = [self._vault.blind(k) for k in keys]
        ids: set[str] = set()
        with self._state.begin() as c:
            for part in parts(blinded):
                ids.update(c.execute(sa.select(_key.c.till_id).where(_key.c.key.in_(part))).scalars())
        return [person for _, person in sorted(self.people(ids).items())]

    def people(self, till_ids: Collection[str]) -> dict[str, Person]:
        """Return what the till last showed of these people, as matching looks at it."""
        found: dict[str, Person] = {}
        with self._state.begin() as c:
            for part in parts(till_ids):
                for row in c.execute(sa.select(_person).where(_person.c.till_id.in_(part))):
                    found[row.till_id] = self._read_person(row)
        return found

    def _read_person(self, row: Any) -> Person:
        return _person_decoder.decode(self._vault.open(row.fields, f"till person {row.till_id}"))

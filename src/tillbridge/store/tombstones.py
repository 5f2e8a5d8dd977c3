"""Who was erased: salted hashes of what they could be known by, and how far each erasure has come.

A till id or CRM id is blocked for ever. An e-mail or phone blocks only records
that are as old as the erasure: whoever comes back later, with a new record, is a
new person who has given a new consent. The salt is the vault's key.

What a reader would get wrong: the table is not the only witness, since a backup
of it may be older than the erasure. Every erasure also stands in a signed file
beside the state, and in the CRM's identities.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from tillbridge.model.errors import Halted
from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.state import State
from tillbridge.store.writing import insert

FILE_NAME = "erased.jsonl"

What = Literal["till id", "crm id", "e-mail", "phone"]
_BY_LETTER: dict[str, What] = {"e": "e-mail", "p": "phone"}

_tombstone = schema.tombstone
_meta = schema.meta
_CASE = "erasure "


class Stone(msgspec.Struct, frozen=True):
    """What a hash stands for, of which erasure, and when that was (our clock)."""

    what: str
    erasure: str
    made_at: float


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure as its witness outside of the state tells it: ids and hashes, nobody's data."""

    id: str
    erased_at: float
    till_ids: tuple[str, ...] = ()
    crm: tuple[tuple[str, str], ...] = ()  # object, id
    marks: Mapping[str, tuple[str, ...]] = {}  # what -> hashes


class Case(msgspec.Struct, kw_only=True):
    """An erasure on its way, so that a kill at any step resumes there.

    `sealed` is what the home is searched for at the end; it goes when the report is written.
    """

    id: str
    erased_at: float
    till_ids: list[str]
    crm: list[tuple[str, str]]
    marks: dict[str, list[str]] = {}
    alike: list[dict[str, Any]] = []  # other records that may be the same person, by id
    done: list[str] = []
    steps: dict[str, Any] = {}  # what each step did, by ids and counts
    sealed: str | None = None

    @property
    def is_finished(self) -> bool:
        """Say whether its report was written."""
        return "reported" in self.done

    @property
    def place(self) -> str:
        """Name the place that `sealed` is sealed for."""
        return f"{_CASE}{self.id}"


class Tombstones:
    """The erased people of one connection. Keeps all hashes in memory: some dozen bytes a person."""

    def __init__(self, state: State, vault: Vault, home: Path) -> None:
        self._state = state
        self._vault = vault
        self._file = home / FILE_NAME
        self._stones: dict[bytes, Stone] | None = None

    # --- asking --------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Say whether nobody was ever erased."""
        return not self._all()

    def of_till(self, till_id: str) -> Stone | None:
        """Return the tombstone of a till's customer."""
        return self._all().get(self._hash("till id", till_id)) if self._all() else None

    def of_crm(self, crm_id: str) -> Stone | None:
        """Return the tombstone of a CRM record."""
        return self._all().get(self._hash("crm id", crm_id)) if self._all() else None

    def of_keys(self, match_keys: Iterable[str]) -> Stone | None:
        """Return the tombstone of one of these match keys: an e-mail's or phone's; others do not count."""
        if not self._all():
            return None
        found = (self._all().get(self._hash(what, value)) for what, value in _addresses(match_keys))
        return next(filter(None, found), None)

    def _all(self) -> dict[bytes, Stone]:
        if self._stones is None:
            with self._state.begin() as c:
                rows = c.execute(sa.select(_tombstone)).all()
            self._stones = {row.hash: Stone(row.what, row.erasure, row.made_at) for row in rows}
        return self._stones

    def _hash(self, what: str, value: str) -> bytes:
        return self._vault.blind(f"tombstone {what} {value}")

    # --- laying --------------------------------------------------------------------------------

    def mark(
        self,
        erasure_id: str,
        erased_at: float,
        till_ids: Iterable[str],
        crm: Iterable[tuple[str, str]],
        match_keys: Iterable[str] = (),
    ) -> Erasure:
        """Put an erasure together: hashes of ids, and of the e-mails and phones among the match keys."""
        tills, records = tuple(till_ids), tuple(crm)
        marks: dict[str, list[str]] = {}
        named = [*(("till id", i) for i in tills), *(("crm id", i) for _, i in records)]
        for what, value in [*named, *_addresses(match_keys)]:
            marks.setdefault(what, []).append(self._hash(what, value).hex())
        return Erasure(
            id=erasure_id,
            erased_at=erased_at,
            till_ids=tills,
            crm=records,
            marks={what: tuple(sorted(hashes)) for what, hashes in marks.items()},
        )

    def lay(self, connection: sa.Connection, erasure: Erasure) -> None:
        """Lay the tombstones of an erasure. Again is harmless."""
        rows = [
            {"hash": bytes.fromhex(each), "what": what, "erasure": erasure.id, "made_at": erasure.erased_at}
            for what, hashes in erasure.marks.items()
            for each in hashes
        ]
        if rows:
            # An older stone of the same address gives way: records between the two count as erased.
            statement = insert(_tombstone)
            changes = {name: statement.excluded[name] for name in ("erasure", "made_at")}
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["hash"],
                    set_=changes,
                    where=_tombstone.c.made_at <= statement.excluded.made_at,
                ),
                rows,
            )
        self._stones = None

    def is_laid(self, erasure: Erasure) -> bool:
        """Say whether all of an erasure's tombstones are in the state."""
        known = self._all()
        return all(bytes.fromhex(h) in known for hashes in erasure.marks.values() for h in hashes)

    # --- the witness beside the state ------------------------------------------------------------

    def witness(self, erasure: Erasure) -> None:
        """Write an erasure into the file beside the state, signed; it is on the disk when this returns."""
        if any(known == erasure for known in self.witnessed()):
            return
        body = msgspec.json.encode(erasure, order="sorted").decode()
        line = json.dumps({"erasure": body, "signature": self._vault.sign(body.encode())})
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def witnessed(self, file: Path | None = None) -> list[Erasure]:
        """Read the erasures of the file beside the state, or of another one. Raises Halted for a changed one.

        A line that a power cut has cut short is no erasure: it is announced again.
        """
        path = file or self._file
        if not path.is_file():
            return []
        found = []
        lines = path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                told = json.loads(line)
                body, signature = str(told["erasure"]), str(told["signature"])
            except (ValueError, KeyError, TypeError) as error:
                if number >= len(lines) - 1:
                    continue
                raise _unreadable(path, number) from error
            if not self._vault.is_signed(body.encode(), signature):
                raise _unreadable(path, number)
            found.append(msgspec.json.decode(body, type=Erasure))
        return found

    # --- how far an erasure is -------------------------------------------------------------------

    def case(self, erasure_id: str) -> Case | None:
        """Return an erasure that was begun."""
        kept = self._state.fact(f"{_CASE}{erasure_id}")
        return None if kept is None else msgspec.convert(kept, Case)

    def cases(self) -> list[Case]:
        """Return every erasure that was begun here, finished or not."""
        statement = sa.select(_meta.c.value).where(_meta.c.name.startswith(_CASE, autoescape=True))
        with self._state.begin() as c:
            values = list(c.execute(statement.order_by(_meta.c.name)).scalars())
        return [msgspec.json.decode(value, type=Case) for value in values]

    def keep(self, connection: sa.Connection, case: Case) -> None:
        """Write down how far an erasure is."""
        self._state.keep(connection, f"{_CASE}{case.id}", msgspec.to_builtins(case))


def _addresses(match_keys: Iterable[str]) -> list[tuple[What, str]]:
    """Take the e-mails and phones out of match keys: "e:anna@prins.example", "p:+15185550147"."""
    split = (each.partition(":") for each in sorted(set(match_keys)))
    return [(_BY_LETTER[letter], value) for letter, _, value in split if letter in _BY_LETTER]


def _unreadable(path: Path, number: int) -> Halted:
    return Halted(
        f"Line {number} of {path} was not written with this home's key, or was changed since. Nothing was "
        "written. Put the file back as it was, or move it away and run `tillbridge erase replay`: it reads "
        "the erasures from Salesforce."
    )

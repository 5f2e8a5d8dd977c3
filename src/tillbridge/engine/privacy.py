"""Erase a person: till first, then the CRM, then everything that we hold; prove it, and leave tombstones.

Tombstones are laid before anything else, so that no run in between brings the
person back. Each step is written down when it is done; killed anywhere, the
same command goes on there. A step that a side refuses stays open and is told;
the others go on.

What a reader would get wrong: Lightspeed's own erasure keeps notes and custom
fields, and archives. So these are emptied first, while the record can still be
written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Literal

import msgspec

from tillbridge.engine import privacy_crm, proof_of_erasure
from tillbridge.engine.connection import Connection
from tillbridge.engine.erased import bare_till, is_bare
from tillbridge.engine.privacy_crm import Left, Receipts
from tillbridge.engine.subject import Subject, find, kept_of, read, recognised_by
from tillbridge.model.errors import BadRequest
from tillbridge.model.records import Customer
from tillbridge.store.database import overwrite_deleted
from tillbridge.store.erasing import forget_digests
from tillbridge.store.holdings import Holdings
from tillbridge.store.sought import Sought
from tillbridge.store.tombstones import Case, Erasure, Tombstones

TillRule = Literal["anonymise", "archive", "keep"]
CrmRule = Literal["anonymise", "delete", "keep"]


class Rules(msgspec.Struct, frozen=True):
    """What an erasure does on each side."""

    till: TillRule = "anonymise"
    crm: CrmRule = "anonymise"


@dataclass(slots=True)
class Office:
    """What an erasure needs beside the connection."""

    connection: Connection
    holdings: Holdings
    tombstones: Tombstones
    rules: Rules = field(default_factory=Rules)


@dataclass(slots=True)
class Work:
    """One erasure under way."""

    office: Office
    case: Case
    subject: Subject
    sought: Sought
    left: list[Left] = field(default_factory=list)

    @property
    def connection(self) -> Connection:
        """Return the connection."""
        return self.office.connection


def erase(office: Office, text: str) -> dict[str, Any]:
    """Erase whom an id means, or go on with it; return the signed report."""
    work = _taken_up(office, text) or begin(office, find(office.connection, text))
    return go_on(work)


def whom(office: Office, text: str) -> Subject:
    """Say who would be erased, before anything is written."""
    work = _taken_up(office, text)
    return work.subject if work is not None else find(office.connection, text)


def _taken_up(office: Office, text: str) -> Work | None:
    """Take up an erasure of this person that was begun and not finished."""
    asked = text.strip().rpartition("-C")[2]
    for case in office.tombstones.cases():
        if not case.is_finished and asked in {*case.till_ids, *(i for _, i in case.crm)}:
            return resumed(office, case)
    return None


def resumed(office: Office, case: Case) -> Work:
    """Put an erasure together again from what was written down of it."""
    subject = Subject(till_ids=list(case.till_ids), crm={i: name for name, i in case.crm})
    read(office.connection, subject)
    sought = Sought()
    if case.sealed is not None:
        sought = office.holdings.opened(case.sealed, case.place)
    return Work(office, case, subject, sought)


def begin(office: Office, subject: Subject) -> Work:
    """Announce an erasure: tombstones, and what is to be looked for at the end."""
    connection = office.connection
    sought, keys = recognised_by(connection, subject)
    sought |= kept_of(connection, office.holdings, subject)
    now = connection.clock.now()
    case = Case(
        id=f"{now.astimezone(UTC):%Y%m%d}-{subject.name}",
        erased_at=now.timestamp(),
        till_ids=list(subject.till_ids),
        crm=[(name, i) for i, name in sorted(subject.crm.items())],
        alike=msgspec.to_builtins(proof_of_erasure.look_alikes(connection, subject)),
    )
    erasure = office.tombstones.mark(case.id, case.erased_at, case.till_ids, case.crm, keys)
    case.marks = {what: list(hashes) for what, hashes in erasure.marks.items()}
    case.sealed = office.holdings.sealed(sought, case.place)
    with connection.state.begin() as c:
        office.tombstones.lay(c, erasure)
        office.tombstones.keep(c, case)
    return Work(office, case, subject, sought)


def go_on(work: Work) -> dict[str, Any]:
    """Do every step that is not done; return the signed report."""
    case, state = work.case, work.connection.state
    for name, step in _STEPS.items():
        if name in case.done:
            continue
        before = len(work.left)
        told = step(work)
        if any(each.open for each in work.left[before:]):
            continue  # The same command tries again what was refused.
        case.done.append(name)
        case.steps[name] = told
        with state.begin() as c:
            work.office.tombstones.keep(c, case)
    report = proof_of_erasure.report(work)
    if report["finished"]:
        case.done.append("reported")
        case.sealed = None
        with state.begin() as c:
            overwrite_deleted(c)
            work.office.tombstones.keep(c, case)
        state.compact()
    return report


# --- the steps -------------------------------------------------------------------------------------


def erasure_of(case: Case) -> Erasure:
    """Return the witness of an erasure."""
    return Erasure(
        id=case.id,
        erased_at=case.erased_at,
        till_ids=tuple(case.till_ids),
        crm=tuple(case.crm),
        marks={what: tuple(hashes) for what, hashes in case.marks.items()},
    )


def _witness(work: Work) -> dict[str, Any]:
    erasure = erasure_of(work.case)
    work.office.tombstones.witness(erasure)
    return {"tombstones": sum(map(len, erasure.marks.values()))}


def _clear_till(work: Work) -> dict[str, Any]:
    rule = work.office.rules.till
    done: list[str] = []
    if rule == "keep":
        return {"rule": rule, "customers": done}
    for till_id, customer in sorted(work.subject.customers.items()):
        if is_bare(customer) and rule == "anonymise":
            done.append(till_id)
            continue
        try:
            _end_customer(work, customer)
        except BadRequest as error:
            why = f"Lightspeed refused it: {error.code}; put that right and run the same command again"
            work.left.append(Left("Lightspeed", f"customer {till_id}", why, open=True))
        else:
            done.append(till_id)
    return {"rule": rule, "customers": done}


def _end_customer(work: Work, customer: Customer) -> None:
    till = bare_till(work.connection)
    # Lightspeed's own erasure keeps these (fact sheet A10).
    till.clear_customer(customer.id)
    if work.office.rules.till == "anonymise":
        till.anonymise_customer(customer.id)
    else:
        till.archive_customer(customer.id)


def _clear_people(work: Work) -> dict[str, Any]:
    rule = work.office.rules.crm
    if rule == "keep":
        return {"rule": rule, "records": []}
    done, left = privacy_crm.clear_people(work.connection, work.subject, rule)
    work.left += left
    return {"rule": rule, "records": done}


def _clear_identities(work: Work) -> dict[str, Any]:
    done, left = privacy_crm.clear_identities(work.connection, work.subject)
    work.left += left
    return {"identities": done}


def _clear_receipts(work: Work) -> dict[str, Any]:
    found = privacy_crm.receipts(work.connection, work.subject)
    _forget_receipts(work, found)
    told: dict[str, Any] = {"receipts": len(found.keys), "emptied": []}
    if work.office.rules.crm != "keep":
        told["emptied"], left = privacy_crm.clear_receipts(work.connection, found)
        work.left += left
    return told


def _forget_receipts(work: Work, found: Receipts) -> None:
    state = work.connection.state
    with state.begin() as c:
        for part, ids in found.things.items():
            forget_digests(c, part, ids)


def _clear_state(work: Work) -> dict[str, Any]:
    keep_links = work.office.rules.crm != "delete"
    counts = work.office.holdings.clear(erasure_of(work.case), work.sought, keep_links=keep_links)
    return {"rows": {name: count for name, count in sorted(counts.items()) if count}}


def _clear_files(work: Work) -> dict[str, Any]:
    lines = work.office.holdings.blot_logs(work.sought)
    work.connection.state.compact()
    return {"log lines": lines}


# In this order: the till first, since its notes can only be emptied before its own erasure.
_STEPS: Mapping[str, Callable[[Work], dict[str, Any]]] = {
    "witness": _witness,
    "till": _clear_till,
    "crm people": _clear_people,
    "crm identities": _clear_identities,
    "crm receipts": _clear_receipts,
    "state": _clear_state,
    "files": _clear_files,
}

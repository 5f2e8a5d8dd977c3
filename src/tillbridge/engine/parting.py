"""Take a customer of the till and a person of the CRM apart who were linked by mistake.

The CRM goes first: our key leaves the person, or goes to another till record
that is theirs. Then the link goes, and the customer's receipts are sent again,
with nobody on them. Nothing is deleted, and values that flowed stay where they
are: which of them belong to whom only a person can tell.

What a reader would get wrong: no rule decides about whoever was parted. They
wait in review until a person says who they are; the former person is among the
candidates, so that a parting can be taken back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tillbridge.engine.compare import PRIMARY_ONLY
from tillbridge.engine.connection import Connection
from tillbridge.engine.desk import Mistaken
from tillbridge.engine.heirs import hand_over
from tillbridge.engine.identities import CONFIRMED_BY, nobodys_identity, verdict_of
from tillbridge.engine.people import read_again
from tillbridge.engine.rows import Row
from tillbridge.engine.strangers import PARTED
from tillbridge.engine.sync import Slice, deliver, read_parents, read_sales_by_id
from tillbridge.engine.writer import Writer
from tillbridge.model.acks import Refused
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.writing import Slot, Value
from tillbridge.store.changes import DECIDED, OPEN
from tillbridge.store.people import Verdict
from tillbridge.store.state import Known, Settled
from tillbridge.store.verified import Verified
from tillbridge.sync.fieldmap import key
from tillbridge.sync.match import candidate_of, match_keys


class Parted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: whom the customer was linked to, and how many receipts were sent again."""

    id: str
    object: str
    crm_id: str
    receipts: int
    speaks_now: str | None  # the till record that the person's own key leads to now


def part(connection: Connection, till_id: str, by: str) -> Parted:
    """Take the link off a customer; they wait in review. Raises Mistaken."""
    known = connection.state.known("customer", [till_id]).get(till_id)
    if known is None:
        raise Mistaken(f"Customer {till_id} has never been seen here.")
    if known.crm_id is None:
        raise Mistaken(f"Customer {till_id} is linked to nobody: there is nothing to take apart.")
    read_again(connection, [known.crm_id])
    person = connection.people.get([known.crm_id]).get(known.crm_id)
    others = _others(connection, known)
    heir = others[0] if others and known.role != "second" else None
    if person is not None:
        _give_key_away(connection, till_id, person, heir)
    account = connection.account.id
    held = connection.questions.sales_of([key(account, "customer", till_id)])
    start = key(account, "sale", "")
    sales = [name.removeprefix(start) for names in held.values() for name in names]
    _take_off(connection, known, person, heir, by)
    told = told_of(known.object or "", known.crm_id, by)
    rows: list[Row] = [nobodys_identity(connection, till_id, told, "In Review")]
    Writer(connection).deliver(rows, force=True)
    _send_again(connection, sales)
    return Parted(
        id=till_id,
        object=known.object or "",
        crm_id=known.crm_id,
        receipts=len(sales),
        speaks_now=heir.till_id if heir else None,
    )


# What an identity says of a parting: a state that was lost learns it again from there.
_TOLD = re.compile(r"taken apart from (Account|Contact|Lead) ([A-Za-z0-9]{18}) by (.+)", re.DOTALL)


def told_of(object_name: str, crm_id: str, by: str) -> str:
    """Say of a customer from whom it was taken apart, and by whom."""
    return f"taken apart from {object_name} {crm_id} by {by}"


def parted_before(connection: Connection, till_id: str, evidence: str) -> tuple[Settled, Verdict] | None:
    """Read a parting back from what an identity says; None: it tells of none."""
    found = _TOLD.match(evidence)
    if found is None:
        return None
    object_name, crm_id, by = found.groups()
    detail = _detail(object_name, crm_id, None, by.strip())
    told = f"{evidence.strip()}{_SAYS}"
    return _waiting(till_id, told), verdict_of(connection, till_id, "review", None, detail)


def _waiting(till_id: str, told: str) -> Settled:
    return Settled(kind="customer", till_id=till_id, state="review", reason=told)


_SAYS = ": a person has to say who this is"


def _others(connection: Connection, known: Known) -> list[Known]:
    """Return the person's other till records, the one that is to speak for them first."""
    ids = connection.state.linked_to([known.crm_id or ""]).get(known.crm_id or "", [])
    merged = Verified(connection.state).aliases("customer", ids)
    left = [i for i in ids if i != known.till_id and i not in merged]
    standings = connection.state.known("customer", left)
    return sorted(
        standings.values(), key=lambda each: (each.role == "second", len(each.till_id), each.till_id)
    )


def _give_key_away(connection: Connection, till_id: str, person: CrmPersonRow, heir: Known | None) -> None:
    """Let our key on the person's record lead to another till record of theirs, or to none."""
    account = connection.account.id
    table = connection.maps["customer"]
    if person.key != key(account, "customer", till_id) or table.key_field is None:
        return
    new = key(account, "customer", heir.till_id) if heir else None
    row: dict[str, Value] = {"Id": person.id, table.key_field: new}
    if heir is None:
        fields = connection.objects[person.object].fields
        row.update(dict.fromkeys(sorted(n for n in PRIMARY_ONLY if n in fields and fields[n].updateable)))
    [[ack]] = connection.crm.write([Slot("update", person.object, [row])])
    if isinstance(ack, Refused):
        raise Mistaken(
            f"Salesforce refused to take our key off {person.object} {person.id} ({ack.message}): nothing "
            "was taken apart."
        )
    shown = msgspec.structs.replace(
        person, key=new, fields={n: v for n, v in person.fields.items() if n not in row}, changed_at=None
    )
    with connection.state.begin() as c:
        connection.people.index(c, [(shown, match_keys(candidate_of(shown, connection.region)))])


def _take_off(
    connection: Connection, known: Known, person: CrmPersonRow | None, heir: Known | None, by: str
) -> None:
    state, verified, till_id = connection.state, Verified(connection.state), known.till_id
    told = told_of(known.object or "", known.crm_id or "", by) + _SAYS
    detail = _detail(known.object or "", known.crm_id or "", person, by)
    shadow: Mapping[str, Any] = connection.people.shadows([till_id]).get(till_id, {})
    contested = connection.changes.contested([till_id]).get(till_id, {})
    with state.begin() as c:
        if heir is not None:
            reason = f"linked; it speaks for the person since customer {till_id} was taken apart from them"
            role = known.role or "adopted"
            crowned = Settled(
                kind="customer", till_id=heir.till_id, state=heir.state, reason=reason, role=role
            )
            state.settle(c, [crowned], verified=False)
            state.doubt(c, "customer", [heir.till_id])
            hand_over(connection, c, shadow, heir.till_id)
        verified.part(c, "customer", [till_id])
        state.settle(c, [_waiting(till_id, told)], verified=False)
        connection.people.decide(c, [verdict_of(connection, till_id, "review", None, detail)])
        connection.people.forget_shadows(c, [till_id])
        open_fields = [name for name, each in contested.items() if each.state in {OPEN, DECIDED}]
        connection.changes.outlive(c, till_id, open_fields)
        connection.journal.resolve(c, [("customer", till_id)])


def _detail(object_name: str, crm_id: str, person: CrmPersonRow | None, by: str) -> dict[str, Any]:
    name = " ".join(filter(None, (person.first, person.last))) or person.company if person else None
    former = {
        "crm_id": crm_id,
        "object": object_name,
        "name": name or "",
        "rule": "",
        "names": "",
        "what": f"linked until {by} took them apart",
    }
    return {
        "reason": f"{by} took this customer apart from {object_name} {crm_id}",
        "candidates": [former],
        PARTED: [crm_id],
        CONFIRMED_BY: by,
    }


def _send_again(connection: Connection, sales: Sequence[str]) -> None:
    if sales:
        found = Slice()
        read_sales_by_id(connection, found, sales)
        read_parents(connection, found)
        deliver(connection, found, force=True)

"""The identities of customers: one row in the CRM for each till record, and why it is linked, in words.

Links survive the loss of our state by them. Somebody in review, or left out, has
one too: it belongs to nobody yet, and says why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tillbridge.engine.compare import (
    Seen,
)
from tillbridge.engine.connection import Connection
from tillbridge.engine.mapping import mapped
from tillbridge.engine.rows import Mapped, Row
from tillbridge.model.customer import CustomerFacts, IdentityFacts, anonymised, customer_facts
from tillbridge.model.records import Customer, Kind
from tillbridge.model.sale import Ref
from tillbridge.store.people import Verdict
from tillbridge.store.state import Known, Link, Settled
from tillbridge.sync import match as matching
from tillbridge.sync.match import Considered

# A candidate whom this very plan creates is named by the customer of the till.
NEW = "new:"

CONFIRMED_BY = "confirmed_by"


def confirmed_by(verdict: Verdict) -> str | None:
    """Return which person has decided it; None: a rule has."""
    by: str | None = verdict.detail.get(CONFIRMED_BY)
    return by


def verdict_of(
    connection: Connection, till_id: str, outcome: str, rule: str | None, detail: dict[str, Any]
) -> Verdict:
    """Say what is decided of a customer now."""
    return Verdict(till_id, outcome, rule, detail, connection.state.now())


def told_of(each: Considered) -> dict[str, str]:
    """Put a candidate that was looked at into words that `explain` and the review list show."""
    candidate = each.candidate
    name = " ".join(filter(None, (candidate.first, candidate.last))) or candidate.company or ""
    return {
        "crm_id": candidate.id,
        "object": candidate.object,
        "name": name,
        "rule": each.rule,
        "names": each.name.how,
        "what": each.text,
    }


def standing_linked(till_id: str, found: Link, rule: str, *, second: bool = True) -> Settled:
    """Say how a customer stands who was just linked."""
    return Settled(
        kind="customer",
        till_id=till_id,
        state="settled",
        reason=f"{'second till record, ' if second else ''}linked by {rule}",
        role="second" if second else None,
        crm_id=found.crm_id,
        object=found.object,
        crm_parent=found.crm_parent,
    )


def standing_of(one: Seen, before: Known, state: str, reason: str | None) -> Settled:
    """Say how a linked customer stands whom nothing is written of."""
    return Settled(
        kind="customer",
        till_id=one.id,
        state=state,
        reason=reason,
        crm_id=before.crm_id,
        till_stamp=one.stamp,
        digest=one.digest,
    )


def identity_of(till_id: str, link: matching.Link, by: str | None = None) -> IdentityFacts:
    """Say whose a till record is, and by which rule."""
    return IdentityFacts(
        id=till_id,
        customer=Ref(Kind.CUSTOMER, till_id),
        rule=link.rule,
        evidence=link.evidence,
        confirmed_by=by,
        primary=not link.second,
    )


def identity_row(connection: Connection, facts: IdentityFacts) -> Row:
    """Return the row that says whose a till record is."""
    table = connection.maps["identity"]
    payload, reason = mapped(connection, "identity", facts)
    return Row(
        kind="identity",
        till_id=facts.id,
        object=table.object,
        payload=payload,
        key_field=table.key_field,
        reason=reason,
    )


def nobodys_identity(connection: Connection, till_id: str, why: str, status: str) -> Row:
    """Return the identity of a till record that belongs to nobody in the CRM yet, and says why."""
    facts = IdentityFacts(
        id=till_id,
        customer=Ref(Kind.CUSTOMER, till_id),
        rule="none",
        evidence=why,
        status=status,
        primary=False,
    )
    row = identity_row(connection, facts)
    row.payload = {n: None if isinstance(value, Ref) else value for n, value in row.payload.items()}
    return row


def status_of(customer: Customer) -> str:
    """Name the status of a till record that is linked to nobody."""
    if anonymised(customer):
        return "Erased"
    return "Archived" if customer.archived else "Not Synced"


def account_row(connection: Connection, facts: CustomerFacts) -> Row:
    """Return the account that a contact of ours lives in."""
    table = connection.maps["account"]
    payload, reason = mapped(connection, "account", facts, creating=True)
    given: dict[str, Mapped] = {n: value for n, value in payload.items() if value is not None}
    return Row(
        kind="account",
        till_id=facts.id,
        object=table.object,
        payload=given,
        key_field=table.key_field,
        reason=reason,
    )


def owed_rows(
    connection: Connection,
    customers: Mapping[str, Customer],
    owed: Collection[tuple[str, str]],
    planned: Collection[Row],
) -> list[Row]:
    """Return the identities and accounts, given as (kind, id), that were refused and nothing else sends."""
    taken = {row.thing for row in planned}
    ids = [i for kind, i in owed if i in customers and (kind, i) not in taken]
    known = connection.state.known("customer", ids)
    verdicts = connection.people.verdicts(ids)
    rows = []
    for kind, till_id in sorted(owed):
        if till_id not in known or (kind, till_id) in taken:
            continue
        if kind == "account":
            rows += _owed_account(connection, customers[till_id], known[till_id])
        else:
            rows.append(_owed_identity(connection, customers[till_id], known[till_id], verdicts.get(till_id)))
    return rows


def _owed_account(connection: Connection, customer: Customer, known: Known) -> list[Row]:
    """Return a contact's account, and the contact's way to it where it landed without."""
    rows = [account_row(connection, customer_facts(customer, connection.zones, connection.region))]
    if known.crm_id is not None and known.crm_parent is None and known.object == "Contact":
        way: dict[str, Mapped] = {"AccountId": Ref("account", known.till_id)}  # type: ignore[arg-type]
        rows.append(
            Row(
                kind="customer",
                till_id=known.till_id,
                object="Contact",
                payload=way,
                operation="update",
                crm_id=known.crm_id,
                state=known.state,
                reason=known.reason,
            )
        )
    return rows


def _owed_identity(connection: Connection, customer: Customer, known: Known, verdict: Verdict | None) -> Row:
    if known.crm_id is None:
        status = "In Review" if known.state == "review" else status_of(customer)
        told = (verdict.detail.get("reason") if verdict else None) or known.reason or known.state
        return nobodys_identity(connection, known.till_id, told, status)
    facts = IdentityFacts(
        id=known.till_id,
        customer=Ref(Kind.CUSTOMER, known.till_id),
        rule=(verdict.rule if verdict else None) or "created",
        evidence=verdict.detail.get("evidence") if verdict else None,
        confirmed_by=confirmed_by(verdict) if verdict else None,
        primary=known.role != "second",
    )
    return identity_row(connection, facts)

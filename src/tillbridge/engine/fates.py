"""Say what became of single records that a person asked for by their ids."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tillbridge.engine.writer import Delivery
from tillbridge.model.acks import Refused, Written
from tillbridge.store import schema
from tillbridge.store.state import State

_record = schema.record
_COLUMNS = [_record.c[name] for name in ("state", "reason", "object", "crm_id", "run")]


def fate(state: State, delivery: Delivery, kind: str, till_id: str) -> dict[str, Any]:
    """Return one record's outcome, why, and where it is in the CRM. A "person" goes by the CRM's id."""
    if kind == "person":
        return _fate_of_person(state, delivery, till_id)
    with state.begin() as c:
        row = c.execute(
            sa.select(*_COLUMNS).where(_record.c.kind == kind, _record.c.till_id == till_id)
        ).one_or_none()
    outcome, why = _outcome(state, delivery, row, (kind, till_id))
    return {
        "kind": kind,
        "id": till_id,
        "outcome": outcome,
        "why": why,
        "object": row.object if row else None,
        "crm_id": row.crm_id if row else None,
    }


def _fate_of_person(state: State, delivery: Delivery, crm_id: str) -> dict[str, Any]:
    """Say what became of somebody of the CRM: the till's customer whom they are, or where they stand."""
    if linked := state.linked_to([crm_id]).get(crm_id):
        first = min(linked, key=lambda i: (len(i), i))
        return {**fate(state, delivery, "customer", first), "kind": "person", "id": crm_id}
    arrival = schema.arrival
    with state.begin() as c:
        row = c.execute(
            sa.select(arrival.c.state, arrival.c.reason, arrival.c.object).where(arrival.c.crm_id == crm_id)
        ).one_or_none()
    told = "Salesforce shows no such person to Tillbridge, or customers do not flow into Lightspeed"
    return {
        "kind": "person",
        "id": crm_id,
        "outcome": row.state.replace("_", " ") if row else "not sent",
        "why": row.reason if row else told,
        "object": row.object if row else None,
        "crm_id": crm_id,
    }


def _outcome(state: State, delivery: Delivery, row: Any, thing: tuple[str, str]) -> tuple[str, str | None]:
    ack = delivery.acks.get(thing)
    if isinstance(ack, Refused):
        return "refused", ack.message
    if row is None:
        return "not in the till", f"Lightspeed shows no {thing[0]} {thing[1]} to this account"
    if row.run != state.run_id and ack is None and row.state == "settled":
        return "unchanged", "the till shows nothing of it that was not carried across before"
    match row.state:
        case "problem":
            return "refused", row.reason
        case "settled" if isinstance(ack, Written) or thing[0] == "product":
            return "sent", None  # Products have a call of their own, whose acks stay there.
        case "settled":
            return "unchanged", None
    return row.state.replace("_", " "), row.reason

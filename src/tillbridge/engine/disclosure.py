"""Everything that both sides and we hold of one person, as one document for them to have.

Read afresh from both sides and past every filter of ours; what we keep is
opened. Whoever is handed it sees what each part is and since when we have it.

What a reader would get wrong: the document goes to the person, so nobody else
may be in it. People whom they were compared with are there by id alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.erased import bare_till
from tillbridge.engine.privacy_crm import all_fields, sale_rows
from tillbridge.engine.subject import Subject, find
from tillbridge.model.reading import Query
from tillbridge.store.holdings import Holdings
from tillbridge.store.searching import Payload
from tillbridge.store.state import Known

_KINDS = ("customer", "account", "identity")


def disclose(connection: Connection, holdings: Holdings, text: str) -> dict[str, Any]:
    """Return everything that is held of whom an id means. Raises Unknown."""
    subject = find(connection, text)
    receipts = _crm_receipts(connection, subject)
    return {
        "asked": text,
        "made_at": connection.clock.now().isoformat(),
        "person": {
            "till_ids": subject.till_ids,
            "crm": [{"object": name, "id": i} for i, name in sorted(subject.crm.items())],
        },
        "till": {
            "account": connection.account.id,
            "customers": [msgspec.to_builtins(each) for _, each in sorted(subject.customers.items())],
            "receipts": _till_receipts(connection, subject),
        },
        "crm": {
            "org": connection.crm.org().id,
            "records": [
                {"object": subject.crm[i], **_filled(row)} for i, row in sorted(subject.rows.items())
            ],
            "identities": [_filled(row) for _, row in sorted(subject.identities.items())],
            "receipts": receipts,
        },
        "kept_here": _kept(connection, holdings, subject),
    }


def _till_receipts(connection: Connection, subject: Subject) -> list[Any]:
    queries = (Query(customer=till_id) for till_id in subject.till_ids)
    pages = (page for query in queries for page in bare_till(connection).sales(query))
    return [msgspec.to_builtins(sale) for page in pages for sale in page.rows]


def _crm_receipts(connection: Connection, subject: Subject) -> list[dict[str, Any]]:
    """Return the person's receipts in the CRM, each with its lines and payments."""
    key_field = connection.maps["sale"].key_field
    assert key_field is not None
    headers = sale_rows(connection, subject, all_fields(connection, "sale"))
    found: dict[str, dict[str, Any]] = {
        row[key_field] or "": {**_filled(row), "lines": [], "payments": []} for row in headers
    }
    path = f"Sales_Transaction__r.{key_field}"
    for part in ("line", "payment"):
        fields = all_fields(connection, part)
        table = connection.maps[part].object
        rows = connection.questions.rows_or_remains(table, path, list(found), fields) if found else ()
        for row in rows:
            if row.get("IsDeleted") != "true":
                found[row.get(path) or ""][f"{part}s"].append(_filled(row))
    return [found[own] for own in sorted(found)]


def _filled(row: Any) -> dict[str, str]:
    return {name: value for name, value in row.items() if value is not None}


def _kept(connection: Connection, holdings: Holdings, subject: Subject) -> dict[str, Any]:
    """Return what our own state holds: standings, and every payload about the person or naming them."""
    state = connection.state
    mine = {*subject.till_ids, *subject.crm}
    sales = {sale["id"] for sale in _till_receipts(connection, subject)}
    unreadable: list[str] = []
    kept: dict[str, list[Any]] = {}
    for payload in holdings.payloads(unreadable):
        if mine.intersection(payload.owners):
            kept.setdefault(payload.table, []).append(_told(payload, mine))
        elif _names(payload, mine):
            kept.setdefault(payload.table, []).append(
                {"row": payload.row, "since": payload.at, "names": "them"}
            )
    problems = [
        p for kind in _KINDS for i in subject.till_ids for p in connection.journal.problems_of(kind, i)
    ]
    problems += [p for sale in sorted(sales) for p in connection.journal.problems_of("sale", sale)]
    return {
        "records": [
            _standing(known)
            for kind in _KINDS
            for _, known in sorted(state.known(kind, subject.till_ids).items())
        ],
        "problems": [msgspec.to_builtins(problem) for problem in problems],
        "payloads": kept,
        "not_opened": unreadable,
    }


def _names(payload: Payload, mine: set[str]) -> bool:
    """Say whether somebody else's payload names the person: as a candidate, in a plan, in a cluster."""
    return payload.table in {"verdict", "arrival", "plan", "dedupe_cluster"} and any(
        f'"{i}"' in payload.text for i in mine
    )


def _told(payload: Payload, mine: set[str]) -> dict[str, Any]:
    value = _without_others(msgspec.json.decode(payload.text), mine)
    return {"row": payload.row, "since": payload.at, "value": value}


def _without_others(value: Any, mine: set[str]) -> Any:
    """Leave of other people, whom the person was compared with, nothing but their ids."""
    match value:
        case dict() if "crm_id" in value and "name" in value and value["crm_id"] not in mine:
            return {name: each for name, each in value.items() if name in {"crm_id", "object", "rule"}}
        case dict():
            return {name: _without_others(each, mine) for name, each in value.items()}
        case list():
            return [_without_others(each, mine) for each in value]
    return value


def _standing(known: Known) -> dict[str, Any]:
    told = msgspec.to_builtins(known)
    told.pop("digest")
    return {name: value for name, value in told.items() if value is not None}

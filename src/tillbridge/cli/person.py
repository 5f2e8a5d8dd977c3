"""`explain customer`: who a person is on both sides, why we think so, and where every value came from.

It is told from our own state, so it asks no remote and may run beside a sync;
`--fresh` reads both sides before. Like all of `explain`, it names people:
whoever decides about a customer has to see whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, Ledger, open_ledger, open_parts
from tillbridge.cli.explain import gather, show_report, unknown_words
from tillbridge.cli.status import moment

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.model.answers import CrmPersonRow
    from tillbridge.store.changes import Change

# The key of an object's ids, as Salesforce forms them.
_CRM_ID_LETTERS = (15, 18)

# In a shadow of the CRM's side: which fields have not been read back yet. It is no field itself.
_NOTE = "~"

_SIDES = {"till": "Lightspeed", "crm": "Salesforce"}
_SHOWN = 3  # so many earlier values of a field fit on a screen; the document holds all


def show_person(desk: Desk, home: Path, text: str, *, fresh: bool, as_json: bool) -> int:
    """Show one person. `text`: the till's number, our key, or an id in Salesforce."""
    read = _read_both_sides(desk, home, text) if fresh else {}
    with open_ledger(desk, home) as ledger:
        report = gather_person(ledger, text, read)
    if as_json:
        desk.screen.document(report)
    elif not report["known"]:
        desk.screen.result.print(words.plain(_unknown(report)), soft_wrap=True)
    else:
        _show(desk.screen.result, report)
    return words.DONE if report["known"] else words.NEEDS_PERSON


def _unknown(report: Mapping[str, Any]) -> str:
    if report["asked_crm"]:
        return f"Salesforce has shown us no person {report['id']} yet; a sync reads whoever has changed."
    return unknown_words("customer", report["id"], report["merged_into"])


# --- whom an id means ----------------------------------------------------------------------------


def resolve(ledger: Ledger, text: str) -> tuple[str | None, str | None]:
    """Say whom an id means: (till id, CRM id). A CRM record is known by the first till record it has."""
    from tillbridge.cli.status import key_of
    from tillbridge.store.verified import MERGED_CRM, Verified

    text = text.strip()
    prefix = key_of(ledger.state.fact("till_account"), "customer", "") or "\0"
    number = text.removeprefix(prefix)
    if number.isdecimal() or len(text) not in _CRM_ID_LETTERS:
        return number, None
    crm_id = long_id(text)
    seen = {crm_id}
    while (now := Verified(ledger.state).aliases(MERGED_CRM, [crm_id]).get(crm_id)) and now not in seen:
        crm_id = now
        seen.add(now)
    ids = ledger.state.linked_to([crm_id]).get(crm_id, [])
    known = ledger.state.known("customer", ids)
    first = sorted(ids, key=lambda i: (known[i].role == "second", len(i), i))
    return (first[0] if first else None), crm_id


def is_crm_id(text: str) -> bool:
    """Say whether a text may be a record's id in Salesforce: 15 letters and digits, or 18."""
    return len(text) in _CRM_ID_LETTERS and text.isalnum() and not text.isdecimal()


def long_id(text: str) -> str:
    """Return the id of 18 letters, by which records are known here."""
    return text if len(text) == max(_CRM_ID_LETTERS) else _long_id(text)


def _long_id(short: str) -> str:
    """Add the three letters that say which of the others are capitals."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    parts = (short[n : n + 5] for n in range(0, 15, 5))
    return short + "".join(letters[sum(1 << n for n, c in enumerate(part) if c.isupper())] for part in parts)


# --- gathering -----------------------------------------------------------------------------------


def gather_person(
    ledger: Ledger, text: str, read: Mapping[str, Mapping[str, str | None]] | None = None
) -> dict[str, Any]:
    """Put together everything about one person. `read`: what the till shows just now, by customer."""
    till_id, crm_id = resolve(ledger, text)
    report = gather(ledger.state, ledger.journal, ledger.people, "customer", till_id or text)
    report["asked"] = text
    report["asked_crm"] = crm_id
    own = report.get("crm_id") or crm_id
    records = _till_ids(ledger, report["id"], own) if report["known"] else []
    report["till_records"] = [_till_record(ledger, each) for each in records]
    report["confirmed_by"] = next(
        (each["confirmed_by"] for each in report["till_records"] if each["id"] == report["id"]), None
    )
    person = ledger.people.get([own]).get(own) if own else None
    report["person"] = _of_crm(person) if person else None
    report["arrival"] = _arrival(ledger, own)
    report["conflicts"] = _conflicts(ledger, records)
    report["held"] = _held(ledger, {*records, *filter(None, [own])})
    for each in records:
        if each != report["id"]:
            report["problems"] += gather(ledger.state, ledger.journal, ledger.people, "customer", each)[
                "problems"
            ]
    report["fields"] = _fields(ledger, report, records, person, read or {})
    report["read_now"] = bool(read)
    if not report["known"] and (report["arrival"] or report["person"]):
        report["known"] = True
    if report.get("outcome") == "review" and not report["candidates"]:
        report["candidates"] = _look_alikes(ledger, report["id"])
    _name_candidates(ledger, [*report.get("candidates", ()), *report.get("turned_down", ())])
    return report


def _till_ids(ledger: Ledger, till_id: str, crm_id: str | None) -> list[str]:
    """Return all till records of the person: linked ones, and old ids of merges."""
    from tillbridge.store.erasing import aliases_of

    ids = {till_id, *(ledger.state.linked_to([crm_id]).get(crm_id, []) if crm_id else ())}
    ids |= aliases_of(ledger.state, "customer", ids)
    return sorted(ids, key=lambda i: (len(i), i))


def _till_record(ledger: Ledger, till_id: str) -> dict[str, Any]:
    from tillbridge.cli.records import job_of, read_record
    from tillbridge.engine.identities import confirmed_by
    from tillbridge.store.verified import Verified

    record = read_record(ledger.state, "customer", till_id)
    verdict = ledger.people.verdicts([till_id]).get(till_id)
    detail: Mapping[str, Any] = verdict.detail if verdict else {}
    known = ledger.state.known("customer", [till_id]).get(till_id)
    return {
        "id": till_id,
        "role": known.role if known else None,
        "state": record.state if record else None,
        "reason": record.reason if record else None,
        "crm_id": record.crm_id if record else None,
        "rule": (verdict.rule or verdict.outcome) if verdict else None,
        "evidence": detail.get("evidence") or detail.get("reason"),
        "confirmed_by": confirmed_by(verdict) if verdict else None,
        "decided_at": moment(verdict.made_at) if verdict else None,
        "left_behind": detail.get("left_behind"),
        "merged_into": Verified(ledger.state).aliases("customer", [till_id]).get(till_id),
        "run": record.run if record else None,
        "job": job_of(ledger.state, record.run) if record else None,
    }


def _of_crm(person: CrmPersonRow) -> dict[str, Any]:
    return {
        "crm_id": person.id,
        "object": person.object,
        "name": " ".join(filter(None, (person.first, person.last))) or person.company,
        "key": person.key,
        "changed_at": person.changed_at.isoformat() if person.changed_at else None,
        "wanted": person.wanted,
        "converted": person.converted,
    }


def _arrival(ledger: Ledger, crm_id: str | None) -> dict[str, Any] | None:
    """Say where somebody of the CRM stands on the way into the till."""
    found = ledger.arrivals.get([crm_id]).get(crm_id) if crm_id else None
    if found is None:
        return None
    return {
        "state": found.state,
        "reason": found.reason,
        "candidates": list(found.detail.get("candidates", ())),
        "confirmed_by": found.detail.get("confirmed_by"),
        "moved_at": moment(found.moved_at),
    }


def _conflicts(ledger: Ledger, till_ids: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": each.id,
            "record": each.till_id,
            "field": each.field,
            "till": each.till,
            "crm": each.crm,
            "state": each.state,
            "winner": each.winner,
            "decided_by": each.decided_by,
            "noticed_at": moment(each.noticed_at),
        }
        for by_field in ledger.changes.contested(till_ids).values()
        for each in by_field.values()
    ]


def _held(ledger: Ledger, ids: set[str]) -> list[dict[str, Any]]:
    """Return what an open plan of the guard's would write, and waits for somebody to approve."""
    from tillbridge.store.plans import HELD, OPEN

    return [
        {
            "plan": plan.id,
            "reasons": list(plan.reasons),
            "action": entry.action,
            "made_at": moment(plan.made_at),
            "fields": {name: {"before": b, "after": a} for name, (b, a) in entry.fields.items()},
        }
        for plan in ledger.plans.in_state(OPEN)
        if plan.why == HELD
        for entry in plan.entries
        if ids.intersection(filter(None, (entry.till_id, entry.crm_id)))
    ]


def _look_alikes(ledger: Ledger, till_id: str) -> list[dict[str, Any]]:
    from tillbridge.engine.desk import look_alikes

    verdict = ledger.people.verdicts([till_id])[till_id]
    return [{"crm_id": crm_id} for crm_id in look_alikes(ledger.people, ledger.arrivals, verdict)]


def _name_candidates(ledger: Ledger, candidates: Iterable[dict[str, Any]]) -> None:
    """Add names and links to candidates of whom only an id is kept: Salesforce has named them."""
    from tillbridge.alerts import INSTANCE

    listed = list(candidates)
    people = ledger.people.get([each["crm_id"] for each in listed if each["crm_id"]])
    place = (ledger.state.fact(INSTANCE) or "").rstrip("/")
    for each in listed:
        if (person := people.get(each["crm_id"])) is not None:
            each.setdefault("object", person.object)
            each["name"] = each.get("name") or _of_crm(person)["name"]
        each["link"] = f"{place}/{each['crm_id']}" if place and each["crm_id"] else None


# --- where values came from ----------------------------------------------------------------------


def _fields(
    ledger: Ledger,
    report: Mapping[str, Any],
    records: Sequence[str],
    person: CrmPersonRow | None,
    read: Mapping[str, Mapping[str, str | None]],
) -> list[dict[str, Any]]:
    """Return both sides' values of each field, and where each came from."""
    shadows = ledger.people.shadows(records).get(report["id"], {}) if records else {}
    till = dict(read.get(report["id"]) or shadows.get("till", {}))
    crm: dict[str, str | None] = {n: v for n, v in shadows.get("crm", {}).items() if n[:1] != _NOTE}
    if person is not None:
        crm.update(person.fields)
    changes: dict[str, list[Change]] = {}
    for change in ledger.changes.of(records):
        changes.setdefault(change.field, []).append(change)
    names = sorted({*till, *crm, *changes})
    return [
        {
            "field": name,
            "till": till.get(name),
            "crm": crm.get(name),
            **_origin(ledger, report, till.get(name), crm.get(name), changes.get(name, [])),
            "earlier": [_earlier(ledger, each) for each in reversed(changes.get(name, []))],
        }
        for name in names
        if till.get(name) is not None or crm.get(name) is not None or name in changes
    ]


def _origin(
    ledger: Ledger, report: Mapping[str, Any], till: str | None, crm: str | None, changes: Sequence[Change]
) -> dict[str, Any]:
    """Say which side a value came from, how, when, and by which run of ours."""
    last = next((each for each in reversed(changes) if each.undone_by is None), None)
    if last is not None and last.after == (crm if last.side == "crm" else till):
        return _came("till" if last.side == "crm" else "crm", last.why, last.made_at, last.run, ledger)
    if last is not None:
        moved = "crm" if last.side == "crm" else "till"
        return _came(moved, "edited there since", None, None, ledger)
    if till is None or crm is None:
        return _came("crm" if till is None else "till", "only there", None, None, ledger)
    made = report.get("decided_at")
    if report.get("outcome") == "created":
        return {**_came("till", "created from it", None, report["run"], ledger), "at": made}
    if report.get("rule") == "created":
        return {**_came("crm", "created from it", None, report["run"], ledger), "at": made}
    return {**_came(None, "was there when they were linked", None, None, ledger), "at": made}


def _came(side: str | None, how: str, at: float | None, run: int | None, ledger: Ledger) -> dict[str, Any]:
    from tillbridge.cli.records import job_of

    return {"from": side, "how": how, "at": moment(at), "run": run, "job": job_of(ledger.state, run)}


def _earlier(ledger: Ledger, change: Change) -> dict[str, Any]:
    from tillbridge.cli.records import job_of

    return {
        "side": change.side,
        "before": change.before,
        "after": change.after,
        "why": change.why,
        "at": moment(change.made_at),
        "run": change.run,
        "job": job_of(ledger.state, change.run),
        "undone_by": change.undone_by,
    }


def _read_both_sides(desk: Desk, home: Path, text: str) -> dict[str, Mapping[str, str | None]]:
    """Read a person on both sides: one call each. The CRM's answer goes into the index."""
    from tillbridge.engine.compare import as_shown_to, seen_of
    from tillbridge.engine.people import read_again
    from tillbridge.model.reading import Query

    with open_ledger(desk, home) as ledger:
        till_id, crm_id = resolve(ledger, text)
        link = ledger.state.links("customer", [till_id]).get(till_id) if till_id else None
        own = crm_id or (link.crm_id if link else None)
        ids = _till_ids(ledger, till_id, own) if till_id else []
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        connection = parts.connect()
        if own:
            read_again(connection, [own])
        pages = connection.till.customers(Query(ids=tuple(ids))) if ids else ()
        seen = [seen_of(connection, customer) for page in pages for customer in page.rows]
        person = connection.people.get([own]).get(own) if own else None
        shown = [as_shown_to(connection, one, person.object) for one in seen] if person else seen
        return {one.id: dict(one.texts) for one in shown}


# --- showing -------------------------------------------------------------------------------------


def _show(result: Console, report: Mapping[str, Any]) -> None:
    if report.get("state") is not None:
        show_report(result, report)
    else:
        _show_unlinked(result, report)
    _show_arrival(result, report["arrival"])
    _show_records(result, report["till_records"])
    _show_fields(result, report["fields"])
    for each in report["conflicts"]:
        told = f"decided for {_SIDES[each['winner']]}" if each["winner"] else "open"
        result.print()
        result.print(
            words.plain(
                f"Conflict {each['id']} ({told}): {each['field']} is {each['till']!r} in Lightspeed and "
                f"{each['crm']!r} in Salesforce"
            ),
            style="red",
            soft_wrap=True,
        )
    for each in report["held"]:
        result.print()
        result.print(f"Held back in plan {each['plan']} ({', '.join(each['reasons'])}):", style="bold")
        for name, value in each["fields"].items():
            told = f"  {name}: {value['before'] or 'empty'} → {value['after'] or 'empty'}"
            result.print(words.plain(told), soft_wrap=True)
        result.print(f"  → `tillbridge approve {each['plan']}`", style="cyan")


def _show_unlinked(result: Console, report: Mapping[str, Any]) -> None:
    person = report["person"] or {"object": "person", "crm_id": report["asked_crm"], "name": None}
    result.print(
        words.plain(" ".join(filter(None, (person["object"], person["crm_id"], person["name"])))),
        style="bold",
        soft_wrap=True,
    )
    result.print("  No customer of the till is linked to this record.")
    if report["arrival"] is None:
        result.print("  Nobody has marked it for Lightspeed, and customers.crm_scope does not take it in.")


def _show_arrival(result: Console, arrival: Mapping[str, Any] | None) -> None:
    if arrival is None:
        return
    result.print()
    result.print("On the way into Lightspeed", style="bold")
    by = f", said by {arrival['confirmed_by']}" if arrival["confirmed_by"] else ""
    reason = f" ({arrival['reason']})" if arrival["reason"] else ""
    stands = f"  {arrival['state'].replace('_', ' ')}{reason}{by}, since {_utc(arrival['moved_at'])}"
    result.print(words.plain(stands), soft_wrap=True)
    for each in arrival["candidates"]:
        told = ", ".join(filter(None, (each.get("rule"), each.get("names"), each.get("what"))))
        name = f"customer {each['till_id']} {each.get('name') or ''}".rstrip()
        result.print(words.plain(f"  {name}{': ' if told else ''}{told}"), soft_wrap=True)


def _show_records(result: Console, records: Sequence[Mapping[str, Any]]) -> None:
    if not records:
        return
    result.print()
    result.print("Records in Lightspeed", style="bold")
    for each in records:
        told = [
            f"merged into {each['merged_into']}" if each["merged_into"] else None,
            "second record" if each["role"] == "second" else None,
            each["rule"],
            each["evidence"],
            f"said by {each['confirmed_by']}" if each["confirmed_by"] else None,
            f"left behind: {each['left_behind']['object']} {each['left_behind']['crm_id']}"
            if each["left_behind"]
            else None,
            _utc(each["decided_at"]),
        ]
        state = (each["state"] or "not carried across").replace("_", " ")
        line = "; ".join(filter(None, (state, *told)))
        result.print(words.plain(f"  customer {each['id']}: {line}"), soft_wrap=True)


def _show_fields(result: Console, fields: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    if not fields:
        return
    result.print()
    table = Table(box=None, padding=(0, 2, 0, 2))
    for title in ("field", "in Lightspeed", "in Salesforce", "came from"):
        table.add_column(title, overflow="fold")
    for each in fields:
        table.add_row(
            each["field"],
            words.plain(each["till"] or "-"),
            words.plain(each["crm"] or "-"),
            words.plain(_source(each)),
        )
        for earlier in each["earlier"][:_SHOWN]:
            told = f"{earlier['why']}, {_SIDES[earlier['side']]}, {_by(earlier)}"
            before = f"before: {earlier['before'] or 'empty'}"
            cells = (before, "-") if earlier["side"] == "till" else ("-", before)
            table.add_row("", *map(words.plain, cells), words.plain(told), style="dim")
    result.print(table)


def _source(field: Mapping[str, Any]) -> str:
    side = _SIDES.get(field["from"] or "", "")
    return ", ".join(filter(None, (side, field["how"], _by(field))))


def _by(entry: Mapping[str, Any]) -> str:
    run = f"run {entry['run']} ({entry['job']})" if entry["run"] is not None else None
    return ", ".join(filter(None, (_utc(entry["at"]), run)))


def _utc(text: str | None) -> str | None:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if text else None

"""Why a receipt differs: read once more from both sides, then judged by what we know of it.

Our memory is asked only here, and never for what is right: it knows why
something was left out, refused, or changed by somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from tillbridge.engine import mapbook
from tillbridge.engine.connection import Connection
from tillbridge.engine.content import Held, Wanted, held_of, wanted
from tillbridge.engine.figures import FIELDS, PAID, Looks, as_receipt, shown_by_crm
from tillbridge.engine.sales import stamp, why_left_out
from tillbridge.engine.streams import SALES, parse
from tillbridge.model.reading import Query
from tillbridge.model.records import Sale, SaleState
from tillbridge.model.sale import sale_facts
from tillbridge.store.state import Known
from tillbridge.sync.certify import (
    Evidence,
    FieldDifference,
    ReceiptDifference,
    explain,
    plain,
    reason_of,
    unlike,
)
from tillbridge.sync.remedies import read

# So many differing receipts are read again at once.
EXPLAINED_AT_ONCE = 400


class _Known(msgspec.Struct):
    """All that is known of some receipts that differ, on either side and by us, by sale id or key."""

    sales: dict[str, Sale]
    wanted: dict[str, list[Wanted]]
    held: dict[str, list[Held]]
    memory: dict[tuple[str, str], Known]
    kept: dict[str, tuple[Sale, float]]
    moved_at: dict[str, float]
    feed: datetime | None
    rules: str
    us: str


def explain_all(connection: Connection, looks: Looks, keys: Sequence[str]) -> Iterator[ReceiptDifference]:
    """Read these receipts once more and say why each differs; those that do not any more are left out."""
    for start in range(0, len(keys), EXPLAINED_AT_ONCE):
        some = keys[start : start + EXPLAINED_AT_ONCE]
        known = _look_again(connection, looks, some)
        for key in some:
            found = _judged(connection, looks, key, known)
            if found is not None:
                yield found


def _look_again(connection: Connection, looks: Looks, keys: Sequence[str]) -> _Known:
    state, prefix = connection.state, looks["sale"].starts
    # A key that a person has made up leads to no number of the till.
    ids = [till_id for key in keys if (till_id := key.removeprefix(prefix)).isdecimal()]
    held = held_of(connection, looks, keys, {"sale": FIELDS, "payment": PAID})
    query = Query(ids=tuple(ids))
    sales = {sale.id: sale for page in connection.till.sales(query) for sale in page.rows} if ids else {}
    memory = {("sale", i): known for i, known in state.known("sale", ids).items()} | state.children(ids)
    return _Known(
        sales=sales,
        wanted=wanted(connection, list(sales.values()), looks),
        held=held,
        memory=memory,
        kept=connection.raw.sales(ids),
        moved_at=state.moved_at("sale", ids),
        feed=parse(state.cursor(SALES)).since,
        rules=mapbook.fingerprint(mapbook.rules_of(connection)),
        us=connection.crm.org().user_id,
    )


def _judged(connection: Connection, looks: Looks, key: str, known: _Known) -> ReceiptDifference | None:
    till_id = key.removeprefix(looks["sale"].starts)
    sale = known.sales.get(till_id)
    left_out = why_left_out(connection, sale) if sale is not None else None
    rows = known.held.get(key, [])
    live = {row.key: row for row in rows if not row.deleted}
    header = live.get(key)
    mine = as_receipt(connection, sale_facts(sale, connection.around)) if sale and left_out is None else None
    yours = shown_by_crm(header, [row for row in live.values() if row.part == "payment"]) if header else None
    want = known.wanted.get(till_id, [])
    every = _unlike(looks, want, live) if mine and yours else []
    found = explain([mine] if mine else [], [yours] if yours else [])
    by_hand = _by_hand(connection, looks, want) if yours and (every or found) else {}
    fields = [f for f in every if f.crm is None or f.crm != by_hand.get((f.row, f.name))]
    if not found and (not fields or mine is None):
        return None
    shown = found[0] if found else ReceiptDifference(key, mine.cell, "content differs")  # type: ignore[union-attr]  # there is none only when fields differ
    before = [known.memory.get((row.part, row.till_id)) for row in want]
    remains = {row.key for row in rows if row.deleted}
    lookups = frozenset(name for row in want for name in row.lookups)
    own = known.memory.get(("sale", till_id))
    evidence = Evidence(
        in_till=sale is not None,
        in_crm=header is not None,
        left_out=left_out[1] if left_out else None,
        problem=_problem(connection, till_id),
        voided_in_till=sale is not None and sale.state is SaleState.VOIDED,
        voided_in_crm=header is not None and header.raw["Status__c"] == "Voided",
        seen_before=own is not None,
        feed_passed=bool(sale and known.feed and sale.changed_at <= known.feed),
        sent_same=_sent_same(want, before),
        changed=_changed(sale, own, known.kept.get(till_id)) if sale else None,
        gone=any(
            row.key not in live and (row.key in remains or (at is not None and at.crm_id is not None))
            for row, at in zip(want, before, strict=True)
        ),
        map_moved=_map_moved(connection, known, till_id),
        by_hand=bool(by_hand) and not fields,
        by_others=any(_by_others(live.get(field.row), known.us) for field in fields),
        lookups=lookups,
        lines=len(sale.lines) if sale else 0,
        fields=tuple(fields),
    )
    reason, note = reason_of(evidence)
    told = (
        fields
        or every
        or [FieldDifference(row, name, "", None, value) for (row, name), value in by_hand.items()]
    )
    names = tuple(_name(field, key) for field in told)
    missed = reason == "late" and evidence.feed_passed
    return msgspec.structs.replace(shown, reason=reason, note=note, fields=names, missed=missed)


def _unlike(looks: Looks, want: Sequence[Wanted], live: Mapping[str, Held]) -> list[FieldDifference]:
    """Compare the rows of one receipt field by field."""
    types = {part: {name: f.type for name, f in shape.fields.items()} for part, shape in looks.items()}
    found = []
    for row in want:
        there = live.get(row.key)
        found += unlike(row.key, row.fields, there.fields if there else None, types[row.part])
    expected = {row.key for row in want}
    for held in live.values():
        # A row that the till has given up stays at 0, and may be unknown to us since.
        if held.key not in expected and not _at_zero(held, types[held.part]):
            found += unlike(held.key, None, held.fields, types[held.part])
    return found


def _by_hand(connection: Connection, looks: Looks, want: Sequence[Wanted]) -> dict[tuple[str, str], str]:
    """Return what people have set for the rows of a receipt, spelled alike, by row and field."""
    found: dict[tuple[str, str], str] = {}
    for part, shape in looks.items():
        rows = {row.till_id: row for row in want if row.part == part}
        for till_id, fields in connection.journal.set_by_hand(part, rows).items():
            for name in sorted(fields.keys() & shape.fields.keys()):
                facts = shape.fields[name]
                value = plain(read(fields[name], facts), facts)
                if value == rows[till_id].fields[name]:  # Else the till has said something else since.
                    found[rows[till_id].key, name] = value
    return found


def _at_zero(row: Held, types: Mapping[str, str]) -> bool:
    return all(value in {"", "0"} for name, value in row.fields.items() if types[name] == "currency")


def _sent_same(want: Sequence[Wanted], before: Sequence[Known | None]) -> bool | None:
    """Say whether we would send what the CRM last confirmed; None where no digest tells."""
    same: list[bool | None] = []
    for row, known in zip(want, before, strict=True):
        if known is None or known.crm_id is None:
            same.append(False)
        else:
            same.append(None if known.digest is None else known.digest == row.digest)
    if False in same:
        return False
    return None if None in same or not same else True


def _changed(sale: Sale, own: Known | None, kept: tuple[Sale, float] | None) -> bool | None:
    """Say whether the till shows something else than when we sent it; None where nothing tells."""
    if own is not None and own.till_stamp is not None and stamp(sale) > own.till_stamp:
        return True
    if kept is None:
        return None
    # The stamp itself may move without anything else.
    return kept[0] != msgspec.structs.replace(sale, changed_at=kept[0].changed_at)


def _map_moved(connection: Connection, known: _Known, till_id: str) -> bool | None:
    moved_at = known.moved_at.get(till_id)
    then = None if moved_at is None else mapbook.name_at(connection.state, moved_at)
    return None if then is None else then != known.rules


def _problem(connection: Connection, till_id: str) -> str | None:
    """Return what the CRM refused of a sale, if it still does."""
    for problem in connection.journal.problems_of("sale", till_id):
        if problem.state != "resolved":
            return f"Salesforce refused its {problem.kind}: {problem.message}"
    return None


def _by_others(row: Held | None, us: str) -> bool:
    return row is not None and row.writer is not None and row.writer[:15] != us[:15]


def _name(field: FieldDifference, key: str) -> str:
    name = field.name or ("the whole row" if field.crm is None else "a row that the till does not have")
    return name if field.row == key else f"{field.row} {name}"

"""Take back what we have written of customers: a whole run's changes, or one of them.

Only a field that still shows what we wrote is taken back; whoever has changed it
since has the last word. Afterwards both sides differ on purpose. So the shadow
of each side becomes what that side shows: nobody has moved, and the next sync
pushes nothing back.

A create is not taken back: what hangs on a record by then is not ours to judge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tillbridge.engine.compare import (
    Seen,
    alikes,
    as_shown_to,
    as_texts,
    digest_of,
    pending_of,
    seen_of,
)
from tillbridge.engine.connection import Connection
from tillbridge.engine.mapping import person_map, ways_of
from tillbridge.engine.people import UNCONFIRMED, read_again
from tillbridge.engine.rows import Row, Standing
from tillbridge.engine.writer import Writer
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.customer import anonymised, region_of
from tillbridge.model.errors import BadRequest, PermissionMissing, SyncError
from tillbridge.model.reading import Query
from tillbridge.model.writing import Value
from tillbridge.store.changes import Change, Side
from tillbridge.store.state import Known, Settled
from tillbridge.sync.match import candidate_of, match_keys
from tillbridge.sync.pullback import pulled
from tillbridge.sync.reconcile import MAY_PULL, opted_out
from tillbridge.sync.remedies import typed

CHANGED = "changed since"
UNDO, RESTORED = "undo", "restored"

# In these modes we write nothing to the people of the CRM.
_CRM_IS_CLOSED = frozenset({"crm_to_till", "link_only"})


class NothingToUndo(SyncError):
    """There is nothing that could be taken back, or no such thing."""


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """A field of one customer on one side that is to show `value` again. `now` is what we left there.

    `changes` are those that are taken back by it. `always`: whatever the field shows by now.
    """

    till_id: str
    crm_id: str
    side: Side
    field: str
    now: str | None
    value: str | None
    changes: tuple[int, ...] = ()
    always: bool = False


class Undone(msgspec.Struct, kw_only=True):
    """What came of taking back: done, and passed over with why. `created`: customers who stay, by side."""

    done: list[Back] = []
    skipped: list[tuple[Back, str]] = []
    created_in_crm: list[str] = []
    created_in_till: list[str] = []


class _Pair(msgspec.Struct):
    """One linked customer as both sides show it now."""

    one: Seen
    known: Known
    person: CrmPersonRow
    pending: frozenset[str]  # written to the CRM, and not read back since
    twins: Mapping[str, frozenset[str]]  # the person's other till records: the same of each


# --- what is to be taken back --------------------------------------------------------------------


def of_run(connection: Connection, run: int) -> list[Back]:
    """Return what takes a run's changes back. A field that it changed twice goes back to the first value."""
    changes = [each for each in connection.changes.of_run(run) if each.undone_by is None]
    chains: dict[tuple[str, str, str], list[Change]] = defaultdict(list)
    for each in changes:
        chains[each.till_id, each.side, each.field].append(each)
    return [
        Back(
            till_id=chain[0].till_id,
            crm_id=chain[-1].crm_id,
            side="till" if chain[0].side == "till" else "crm",
            field=chain[0].field,
            now=chain[-1].after,
            value=chain[0].before,
            changes=tuple(each.id for each in chain),
        )
        for chain in chains.values()
    ]


def of_change(connection: Connection, change_id: int) -> list[Back]:
    """Return what writes the value that a change replaced back to both sides. Raises NothingToUndo."""
    change = connection.changes.get(change_id)
    if change is None:
        raise NothingToUndo(
            f"There is no change {change_id}: `tillbridge conflicts --lost` and "
            "`tillbridge explain customer ID` name those that are kept."
        )
    sides: tuple[Side, ...] = ("crm", "till")
    return [
        Back(
            till_id=change.till_id,
            crm_id=change.crm_id,
            side=side,
            field=change.field,
            now=change.after,
            value=change.before,
            changes=(change.id,) if side == change.side else (),
            always=True,
        )
        for side in sides
    ]


def creations(connection: Connection, run: int) -> Undone:
    """Say whom a run has created, who stay."""
    in_till = connection.arrivals.created_in(run)
    in_crm = [i for i in connection.people.created_in(run) if i not in set(in_till)]
    return Undone(created_in_crm=in_crm, created_in_till=in_till)


# --- taking back ---------------------------------------------------------------------------------


def take_back(
    connection: Connection, backs: Sequence[Back], found: Undone, *, why: str = UNDO, dry: bool = False
) -> Undone:
    """Write fields back, each side by its ordinary writer, the CRM first. `dry`: only say what would be."""
    read_again(connection, sorted({back.crm_id for back in backs}))
    pairs = _pairs(connection, backs)
    todo: dict[Side, dict[str, list[Back]]] = {"crm": defaultdict(list), "till": defaultdict(list)}
    for back in backs:
        reason = _objection(connection, back, pairs.get(back.till_id))
        if reason is None:
            todo[back.side][back.till_id].append(back)
        else:
            found.skipped.append((back, reason))
    if dry:
        found.done = [back for side in todo.values() for some in side.values() for back in some]
        return found
    _write_crm(connection, todo["crm"], pairs, found, why)
    if todo["crm"] and todo["till"]:
        pairs = _pairs(connection, backs)  # With the shadows and standings that the first half has moved.
    for till_id, some in todo["till"].items():
        _write_till(connection, pairs[till_id], some, found, why)
    return found


def _pairs(connection: Connection, backs: Iterable[Back]) -> dict[str, _Pair]:
    ids = sorted({back.till_id for back in backs})
    known = connection.state.known("customer", ids)
    people = connection.people.get([each.crm_id for each in known.values() if each.crm_id])
    linked = connection.state.linked_to({each.crm_id for each in known.values() if each.crm_id})
    shadows = connection.people.shadows({*ids, *(i for some in linked.values() for i in some)})
    pages = connection.till.customers(Query(ids=tuple(ids))) if ids else ()
    shown = {customer.id: customer for page in pages for customer in page.rows}
    pairs = {}
    for i, each in known.items():
        if i in shown and (person := people.get(each.crm_id or "")) is not None:
            one = as_shown_to(connection, seen_of(connection, shown[i]), person.object)
            twins = {other: pending_of(shadows.get(other)) for other in linked[person.id] if other != i}
            pairs[i] = _Pair(one, each, person, pending_of(shadows.get(i)), twins)
    return pairs


def _objection(connection: Connection, back: Back, pair: _Pair | None) -> str | None:
    """Say why a field is not taken back; None: it is."""
    mode = connection.settings.mode
    if pair is None or pair.known.crm_id != back.crm_id:
        return "the customer is no longer linked to this record"
    if anonymised(pair.one.customer):
        return "the customer was erased in Lightspeed"
    if back.side == "till" and mode not in MAY_PULL and mode != "fill_blanks":
        return f'nothing is written to Lightspeed while customers.mode is "{mode}"'
    if back.side == "crm" and mode in _CRM_IS_CLOSED:
        return f'nothing is written to people in Salesforce while customers.mode is "{mode}"'
    if person_map(connection, pair.person.object) is None:
        return f"the field map does not speak of a {pair.person.object}"
    shows, ways = _shows(pair, back.side, back.field), ways_of(connection, pair.person.object)
    region = region_of(pair.one.customer, connection.region)
    alike = alikes(connection, pair.person.object, region).get(back.field)
    if alike is None:
        return f"{pair.person.object} has no field {back.field} any more"
    if (way := ways.get(back.field)) and way.opt_out and opted_out(shows) and not opted_out(back.value):
        return "somebody has opted out by it, and only a person takes that back, on that side"
    if back.always or alike(shows, back.now):
        return None
    return f"{CHANGED}: it shows {shows or 'nothing'}"


def _shows(pair: _Pair, side: Side, field: str) -> str | None:
    return pair.one.texts.get(field) if side == "till" else pair.person.fields.get(field)


# --- the CRM -------------------------------------------------------------------------------------


def _write_crm(
    connection: Connection,
    todo: Mapping[str, Sequence[Back]],
    pairs: Mapping[str, _Pair],
    found: Undone,
    why: str,
) -> None:
    rows = []
    for till_id, backs in todo.items():
        pair = pairs[till_id]
        if payload := _payload(connection, pair, backs, found):
            rows.append(
                Row(
                    kind="customer",
                    till_id=till_id,
                    object=pair.person.object,
                    payload=dict(payload),
                    operation="update",
                    crm_id=pair.person.id,
                    state=pair.known.state,
                    reason=pair.known.reason,
                    # What the till shows may hold an edit that no poll has seen: that must go on differing.
                    digest=pair.known.digest or pair.one.digest,
                )
            )
    planned = {row.till_id: [back for back in todo[row.till_id] if back.field in row.payload] for row in rows}
    # A digest that news of the CRM has taken away stays away: they are to be compared all the same.
    doubted = {row.till_id for row in rows if pairs[row.till_id].known.digest is None}

    def after(c: sa.Connection, acked: Sequence[tuple[Standing, Ack]]) -> None:
        for standing, ack in acked:
            till_id = standing.row.till_id
            if isinstance(ack, Written):
                _settle_crm(connection, c, pairs[till_id], planned[till_id], why)
        connection.state.doubt(c, "customer", doubted)

    delivery = Writer(connection).deliver(rows, extra=after, force=True)
    for till_id, backs in planned.items():
        ack = delivery.acks.get(("customer", till_id))
        if isinstance(ack, Written):
            found.done += backs
        else:
            told = ack.message if isinstance(ack, Refused) else "it has not taken it"
            found.skipped += [(back, f"Salesforce: {told}") for back in backs]


def _payload(connection: Connection, pair: _Pair, backs: Sequence[Back], found: Undone) -> dict[str, Value]:
    fields = connection.objects[pair.person.object].fields
    payload: dict[str, Value] = {}
    for back in backs:
        try:
            payload[back.field] = typed(back.value or "", fields[back.field])
        except ValueError as error:
            found.skipped.append((back, f"Salesforce would not take it: {error}"))
    return payload


def _settle_crm(
    connection: Connection, transaction: sa.Connection, pair: _Pair, backs: Sequence[Back], why: str
) -> None:
    """Let both shadows be what each side shows: nobody has moved, whoever differs from whom."""
    till_id = pair.one.id
    person, crm, pending = pair.person, dict[str, str | None](), pair.pending
    if person.changed_at is not None:
        # What we wrote before was read back just now. If nobody else has written since, it is our spelling.
        if person.changed_by in {None, connection.crm.org().user_id}:
            crm |= {name: person.fields.get(name) for name in pending}
        pending = frozenset()
    crm |= {back.field: back.value for back in backs}
    crm[UNCONFIRMED] = ",".join(sorted(pending.union(back.field for back in backs)))
    connection.people.amend(
        transaction, till_id, till={back.field: pair.one.texts.get(back.field) for back in backs}, crm=crm
    )
    for twin, waits in pair.twins.items():
        # Their other records in the till have not moved either: else this would reach them as an edit.
        told = {back.field: back.value for back in backs}
        told[UNCONFIRMED] = ",".join(sorted(waits.union(told)))
        connection.people.amend(transaction, twin, till={}, crm=told)
    fields = {**person.fields, **as_texts({back.field: back.value for back in backs})}
    for back in backs:
        if back.value is None:
            fields.pop(back.field, None)
    person = msgspec.structs.replace(person, fields=fields, changed_at=None)
    connection.people.index(transaction, [(person, match_keys(candidate_of(person, connection.region)))])
    _note(connection, transaction, pair, backs, why)


# --- the till ------------------------------------------------------------------------------------


def _write_till(connection: Connection, pair: _Pair, backs: Sequence[Back], found: Undone, why: str) -> None:
    ways = ways_of(connection, pair.person.object)
    zone = connection.zones[0] if connection.zones else None
    slots = pulled(
        {back.field: back.value for back in backs},
        ways,
        pair.one.customer,
        pair.person.fields,
        zone=zone,
        region=connection.region,
    )
    found.skipped += [
        (back, f"Lightspeed would not take it: {slots.refused[back.field]}")
        for back in backs
        if back.field in slots.refused
    ]
    taken = [back for back in backs if back.field not in slots.refused]
    if not slots.slots or not taken:
        return
    try:
        after = connection.till.change_customer(pair.one.customer, slots.slots)
    except (BadRequest, PermissionMissing) as error:
        found.skipped += [(back, str(error)) for back in taken]
        return
    if after is None:
        found.skipped += [(back, CHANGED) for back in taken]
        return
    moved = {name for name, way in ways.items() if way.slot in slots.slots} | {back.field for back in taken}
    shown = as_shown_to(connection, seen_of(connection, after), pair.person.object).texts
    expected = {name: text for name, text in pair.one.texts.items() if name not in moved}
    expected |= {name: shown[name] for name in moved if name in shown}
    standing = Settled(
        kind="customer",
        till_id=pair.one.id,
        state=pair.known.state,
        reason=pair.known.reason,
        # Of what we expect, as in `tillwrites`, unless the till has shown an edit that no poll has seen.
        digest=digest_of(expected, archived=pair.one.customer.archived)
        if pair.known.digest == pair.one.digest and pair.person.object == connection.maps["customer"].object
        else None,
    )
    with connection.state.begin() as c:
        connection.people.amend(
            c,
            pair.one.id,
            till={name: shown.get(name) for name in moved},
            crm={name: pair.person.fields.get(name) for name in moved},
        )
        connection.state.settle(c, [standing], verified=False)
        connection.raw.keep(c, "customer", [after])
        _note(connection, c, pair, taken, why)
    found.done += taken


def _note(
    connection: Connection, transaction: sa.Connection, pair: _Pair, backs: Collection[Back], why: str
) -> None:
    """Write into the diary what was written, and that the changes before it are taken back."""
    connection.changes.note(
        transaction,
        [
            Change(
                till_id=back.till_id,
                crm_id=back.crm_id,
                object=pair.person.object,
                field=back.field,
                side=back.side,
                why=why,
                before=_shows(pair, back.side, back.field),
                after=back.value,
            )
            for back in backs
        ],
    )
    connection.changes.undone(transaction, [i for back in backs for i in back.changes])

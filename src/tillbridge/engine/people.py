"""The people whom the CRM holds: read once, kept in a local index, and followed when they change there.

No record costs a call of its own: one question a poll brings whoever changed,
was deleted, merged away or converted. A merge or conversion is followed with
its links; a deletion takes the link off and deletes nothing in the till.

What a reader would get wrong: taking a change in moves the cursor at once, and
nothing is lost by it. Whoever is linked and shows something else than their
shadow loses the digest in the same transaction, so that they are compared until
that has been settled; and whoever is wanted in the till waits in a table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa

from tillbridge.engine.connection import Connection, Settings
from tillbridge.engine.mapping import person_map, ways_of
from tillbridge.engine.streams import OVERLAP
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.errors import Halted
from tillbridge.store.arrivals import Arrival
from tillbridge.store.state import CONVERTED, DELETED, Link, Settled
from tillbridge.store.verified import MERGED_CRM, Verified
from tillbridge.sync.alike import blank
from tillbridge.sync.fieldmap import key
from tillbridge.sync.match import RULES, MatchRules, candidate_of, match_keys
from tillbridge.sync.reconcile import opted_out

_OBJECTS = ("Account", "Contact", "Lead")
PEOPLE_CURSOR = _CURSOR = "crm people"
_NOBODY_YET = datetime(2000, 1, 1, tzinfo=UTC)  # before any CRM row's stamp

# So many people are taken into the index in one transaction.
_INDEX_AT_ONCE = 2_000

# From so many changed people on, stamps are asked for first: a page of whole rows holds 200.
CROWD_FROM = 200
_CROWD = "crm people crowd"

# The fields that everybody in the index was asked for, by object.
_ASKED = "crm people fields"

# In a shadow of the CRM's side: the fields that we have written and not read back since, comma-separated.
UNCONFIRMED = "~unconfirmed"

# The till's customers whose person lives on as another record, while their receipts do not point there yet.
MOVED_FACT = "receipts to send again"

# Approved by a person: the newest stamp of the deletions that they have seen.
EMPTIED_FACT = "approved emptied crm"


def read_people(connection: Connection) -> None:
    """Take everybody whom the CRM holds into the index."""
    bar = connection.progress.bar("People in Salesforce")
    newest: datetime | None = None
    for name, more in _objects(connection).items():
        batch: list[CrmPersonRow] = []
        for row in connection.questions.people(connection.objects[name], more):
            batch.append(row)
            newest = max(filter(None, (newest, row.changed_at)), default=None)
            if len(batch) >= _INDEX_AT_ONCE:
                take_in(connection, batch, newest)
                bar.advance(len(batch))
                batch = []
        take_in(connection, batch, newest)
        bar.advance(len(batch))
    with connection.state.begin() as c:
        connection.state.keep(c, _ASKED, _asked(connection))
        if newest is None:
            # Nobody is there yet: from now on only what changes is asked for.
            connection.state.move_cursor(c, _CURSOR, _NOBODY_YET.isoformat())
    bar.close()


def refresh_people(connection: Connection) -> None:
    """Take in who has changed in the CRM since the last look: one call."""
    state = connection.state
    with state.begin() as c:
        position, is_crowd = state.cursor(_CURSOR), state.kept(c, _CROWD)
        is_asked_for = state.kept(c, _ASKED) == _asked(connection)
    if position is None or not is_asked_for:
        # Of a field that was never asked for, a blank would be no more than our own ignorance.
        read_people(connection)
        return
    newest = datetime.fromisoformat(position)
    if is_crowd:
        _refresh_by_stamps(connection, newest)
        return
    rows = connection.questions.changed_people(_objects(connection), connection.objects, newest - OVERLAP)
    _check_emptied(connection, rows)
    # Whoever is shown just as before, stamp and all, was taken in then: the overlap shows them again.
    before = connection.people.get([row.id for row in rows])
    news = [row for row in rows if before.get(row.id) != row]
    take_in(connection, news, max((row.changed_at for row in rows if row.changed_at), default=newest))
    if len(rows) >= CROWD_FROM:
        expect_crowd(connection)


def expect_crowd(connection: Connection) -> None:
    """Ask for stamps before whole rows, until few have changed: we have just written many people."""
    with connection.state.begin() as c:
        connection.state.keep(c, _CROWD, True)


def _refresh_by_stamps(connection: Connection, newest: datetime) -> None:
    """Ask who has changed, and read whole only those whom the index does not show so.

    Whom we have just written is read once, too: until then nobody can tell their spelling from an edit.
    """
    objects = _objects(connection)
    stamps = connection.questions.people_stamps(list(objects), connection.objects, newest - OVERLAP)
    held = connection.people.get([stamp.id for stamp in stamps])
    unread = [
        stamp.id for stamp in stamps if stamp.id not in held or held[stamp.id].changed_at != stamp.changed_at
    ]
    rows = connection.questions.people_by_id(objects, connection.objects, unread) if unread else []
    _check_emptied(connection, rows)
    take_in(connection, rows, max((stamp.changed_at for stamp in stamps), default=newest))
    if len(stamps) < CROWD_FROM:
        with connection.state.begin() as c:
            connection.state.keep(c, _CROWD, None)


def take_in(connection: Connection, rows: Sequence[CrmPersonRow], newest: datetime | None) -> None:
    """Take in what the CRM shows of people, and note what of it has yet to be dealt with."""
    living = [row for row in rows if not _is_gone(row)]
    keyed = [(row, match_keys(candidate_of(row, connection.region))) for row in living]
    linked = connection.state.linked_to([row.id for row in rows])
    moved, confirmed = _moved(connection, living, linked) if linked else (set(), {})
    standings = connection.state.known("customer", {i for ids in linked.values() for i in ids})
    connection.moved |= {i for i in moved if i in standings and standings[i].state != "held"}
    connection.put_right |= {i for i, each in standings.items() if each.state == "held" and i not in moved}
    arrivals = connection.arrivals.get([row.id for row in rows if _is_gone(row)])
    heirs = {row.id: row for row in living}
    agreed = _agreed_before(connection, rows, heirs, linked)
    back = _come_back(connection, living, linked)
    with connection.state.begin() as c:
        for row in rows:
            if _is_gone(row):
                _follow(connection, c, row, arrivals.get(row.id))
        # A Lead's values went with it: what was agreed on goes too, so that the next edit is one.
        connection.people.cast(c, agreed)
        connection.state.settle(c, back, verified=False)
        connection.people.index(c, keyed)
        connection.state.doubt(c, "customer", moved)
        connection.people.cast(c, confirmed)
        wanted = [(row.id, row.object) for row in living if row.wanted and row.id not in linked]
        connection.arrivals.want(c, wanted)
        if newest is not None:
            connection.state.move_cursor(c, _CURSOR, newest.astimezone(UTC).isoformat())


def _asked(connection: Connection) -> dict[str, list[str]]:
    return {name: sorted(fields) for name, fields in _objects(connection).items()}


def _is_gone(row: CrmPersonRow) -> bool:
    """Say whether a record is nobody to link to any more: deleted, merged away, converted and found again."""
    return row.deleted or (row.converted and row.became is not None)


def _follow(
    connection: Connection, transaction: sa.Connection, row: CrmPersonRow, arrival: Arrival | None
) -> None:
    """Let the links of a record that is gone lead to what it became, or to nowhere."""
    new = None
    if row.became:
        parent = row.account if row.became_object == "Contact" and row.object == "Lead" else None
        new = Link(row.became, row.became_object or row.object, parent)
    customers = connection.state.repoint(transaction, row.id, new)
    connection.people.forget(transaction, [row.id])
    # Nobody has agreed on anything with the record they are linked to now: its blanks are no deletions.
    connection.people.forget_shadows(transaction, customers)
    if row.converted:
        # The Lead stays, and receipts go on naming it beside whom it became.
        for till_id in customers:
            Verified(connection.state).rename(transaction, CONVERTED, till_id, row.id)
    if new is not None:
        # Whoever knows the old id is led to the record that lives on.
        Verified(connection.state).rename(transaction, MERGED_CRM, row.id, new.crm_id)
    _stop_arrival(connection, transaction, arrival, new)
    if new is not None and customers:
        waiting = connection.state.kept(transaction, MOVED_FACT) or []
        connection.state.keep(transaction, MOVED_FACT, sorted({*waiting, *customers}))


def _come_back(
    connection: Connection, living: Sequence[CrmPersonRow], linked: Mapping[str, Collection[str]]
) -> list[Settled]:
    """Let those be looked for again whose record had been deleted, and is shown once more."""
    start = key(connection.account.id, "customer", "")
    keys = {row.key for row in living if row.key and row.key.startswith(start) and row.id not in linked}
    known = connection.state.known("customer", {each.removeprefix(start) for each in keys})
    return [
        Settled(kind="customer", till_id=i, state="waiting", reason="its record is back in Salesforce")
        for i, each in known.items()
        if each.crm_id is None and each.reason == DELETED
    ]


def _agreed_before(
    connection: Connection,
    rows: Sequence[CrmPersonRow],
    heirs: Mapping[str, CrmPersonRow],
    linked: Mapping[str, Collection[str]],
) -> dict[tuple[str, str], Mapping[str, str]]:
    """Return what was agreed on with Leads, as it is said of those whom they became just now."""
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for row in rows:
        heir = heirs.get(row.became or "") if row.converted else None
        if heir is None or person_map(connection, heir.object) is None or heir.id in linked:
            continue
        for till_id, shadow in connection.people.shadows(linked.get(row.id, ())).items():
            till, crm = _said_of(connection, row.object, heir, shadow)
            found[till_id, "till"], found[till_id, "crm"] = till, crm
    return found


def _said_of(
    connection: Connection, was: str, heir: CrmPersonRow, shadow: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Say what was agreed on with a record of one object by the fields of another.

    What the conversion has not taken along was never agreed on: it is filled as any blank, and a no is
    said again.
    """
    slots = {way.slot: name for name, way in ways_of(connection, was).items()}
    till: dict[str, str] = {}
    crm: dict[str, str] = {}
    for name, way in ways_of(connection, heir.object).items():
        old = slots.get(way.slot)
        shown, theirs = heir.fields.get(name), shadow.get("crm", {}).get(old or "")
        lost = opted_out(theirs) and not opted_out(shown) if way.opt_out else blank(shown)
        if old is None or lost:
            continue
        for side, values in (("till", till), ("crm", crm)):
            if (value := shadow.get(side, {}).get(old)) is not None:
                values[name] = value
    return till, crm


def _stop_arrival(
    connection: Connection, transaction: sa.Connection, arrival: Arrival | None, new: Link | None
) -> None:
    """Let somebody who is gone from the CRM wait for nothing; whoever they became stands for themselves."""
    if arrival is None or arrival.state in {"created", "linked", "left_out"}:
        return
    told = "deleted in Salesforce" if new is None else f"lives on in Salesforce as {new.object} {new.crm_id}"
    gone = msgspec.structs.replace(arrival, state="left_out", reason=told)
    connection.arrivals.settle(transaction, gone)


def _moved(
    connection: Connection, rows: Sequence[CrmPersonRow], linked: Mapping[str, Collection[str]]
) -> tuple[set[str], dict[tuple[str, str], Mapping[str, str]]]:
    """Return the till's customers whose record in the CRM shows something else than when both last agreed.

    And the shadows of those who show, for the first time since, what we have written ourselves.
    """
    ours = connection.crm.org().user_id
    shadows = connection.people.shadows([i for ids in linked.values() for i in ids])
    moved: set[str] = set()
    confirmed: dict[tuple[str, str], Mapping[str, str]] = {}
    for row in rows:
        table = person_map(connection, row.object)
        if table is None:
            continue
        for till_id in linked.get(row.id, ()):
            shown = dict(shadows.get(till_id, {}).get("crm", {}))
            pending = set(filter(None, shown.pop(UNCONFIRMED, "").split(",")))
            differs = {n for n in shown.keys() | row.fields.keys() if shown.get(n) != row.fields.get(n)}
            differs -= {table.key_field}
            # What we wrote ourselves may come back respelt: that is the first reading of it, and no edit.
            if differs - pending or (differs and row.changed_by not in {None, ours}):
                moved.add(till_id)
            elif pending:
                confirmed[till_id, "crm"] = {n: v for n, v in row.fields.items() if n != table.key_field}
    return moved, confirmed


def _check_emptied(connection: Connection, rows: Sequence[CrmPersonRow]) -> None:
    """Refuse to follow deletions that empty the CRM of the people we are linked to."""
    gone = [row for row in rows if row.deleted and row.became is None]
    if not gone:
        return
    approved = connection.state.fact(EMPTIED_FACT)
    fresh = [
        row
        for row in gone
        if approved is None or row.changed_at is None or row.changed_at.isoformat() > approved
    ]
    lost = connection.state.linked_to([row.id for row in fresh])
    limits, total = connection.settings.safety, connection.state.count_linked("customer")
    if len(lost) < limits.changed_from or total - len(lost) >= total * limits.left_share_min:
        return
    raise Halted(
        f"{len(lost)} of the {total} people in Salesforce who are linked to customers were deleted there at "
        "once. Nothing was written, and their links stand. Restore them from Salesforce's recycle bin; "
        "or, if it was meant, run `tillbridge approve emptied`."
    )


def gone_people(connection: Connection) -> tuple[int, str | None]:
    """Say how many of the customers that are linked were deleted in the CRM, and the stamp of the newest."""
    position = connection.state.cursor(_CURSOR)
    since = datetime.fromisoformat(position) if position else _NOBODY_YET
    rows = connection.questions.changed_people(_objects(connection), connection.objects, since - OVERLAP)
    gone = [row for row in rows if row.deleted and row.became is None]
    newest = max((row.changed_at for row in gone if row.changed_at), default=None)
    lost = connection.state.linked_to([row.id for row in gone])
    return sum(map(len, lost.values())), newest.isoformat() if newest else None


def approve_emptied(connection: Connection, newest: str) -> None:
    """Accept the deletions in the CRM up to a moment: links to whoever is gone are taken off now."""
    with connection.state.begin() as c:
        connection.state.keep(c, EMPTIED_FACT, newest)
    refresh_people(connection)


def read_again(connection: Connection, crm_ids: Collection[str]) -> None:
    """Take in these very people as they are now: one call for 200."""
    ids = list(crm_ids)
    rows = connection.questions.people_by_id(_objects(connection), connection.objects, ids) if ids else []
    take_in(connection, rows, None)


def match_rules(connection: Connection) -> MatchRules:
    """Return the rules that are on, in their order."""
    return rules_of(connection.settings)


def rules_of(settings: Settings) -> MatchRules:
    """Return the rules that settings turn on, in their order."""
    order = [rule for rule in RULES if rule in settings.match]
    order.sort(key=settings.match.index)
    review = frozenset(rule for rule in RULES if rule in settings.review)
    return MatchRules(order=order, review=review)


def _objects(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Return where people are looked for, whatever the model, and the fields that the map writes there."""
    held = {
        name
        for name in _OBJECTS
        if name in connection.objects
        and (name != "Account" or "IsPersonAccount" in connection.objects[name].fields)
    }
    maps = {name: person_map(connection, name) for name in _OBJECTS if name in held}
    return {name: table.targets if table else () for name, table in maps.items()}

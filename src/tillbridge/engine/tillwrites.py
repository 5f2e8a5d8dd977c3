"""Write to the till: edits of linked customers that the CRM has made, and nothing that is not asked for.

An edit is written after the CRM has had its own rows of the slice, and settled
by what the till shows when it is read back. Whoever is to be edited has lost
the digest before (see `CustomerPlan.begin`): until an edit is settled, the
customer is compared again in every slice, so that a kill loses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tillbridge.engine.compare import Seen, Written, as_shown_to, digest_of, put, seen_of
from tillbridge.engine.connection import Connection
from tillbridge.engine.mapping import ways_of
from tillbridge.model.acks import Refused
from tillbridge.model.errors import BadRequest, PermissionMissing
from tillbridge.model.records import Customer
from tillbridge.model.writing import TillSlot, TillValue
from tillbridge.store.changes import Change
from tillbridge.store.journal import NewProblem
from tillbridge.store.state import Settled
from tillbridge.sync.problems import cause_of
from tillbridge.sync.pullback import EMAILS

# As what a till's customer is named among problems, beside the objects of the CRM.
TILL_OBJECT = "Lightspeed customer"


class TillEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What the CRM has moved of one customer, as the till takes it.

    `written` are the same edits by the CRM's fields. `state` and `reason` are
    the standing of the customer once the till has confirmed.
    """

    one: Seen
    crm_id: str
    object: str
    slots: Mapping[TillSlot, TillValue]
    written: Sequence[Written]
    state: str
    reason: str | None


def carry_edits(connection: Connection, edits: Sequence[TillEdit]) -> Counter[str]:
    """Write edits to the till one by one; return counts. Raises Transient when the till cannot be reached.

    Costs a GET and a PUT each. One that the till has moved meanwhile is left for the next slice.
    """
    counts: Counter[str] = Counter()
    for edit in edits:
        try:
            after = connection.till.change_customer(edit.one.customer, edit.slots)
        except (BadRequest, PermissionMissing) as error:
            refuse(connection, edit.one.id, error, {name: str(v) for name, v in edit.slots.items()})
            counts["refused by the till"] += 1
            continue
        if after is None:
            counts["moved meanwhile"] += 1
            continue
        _settle(connection, edit, after)
        counts["updated in the till"] += 1
    return counts


def _settle(connection: Connection, edit: TillEdit, after: Customer) -> None:
    shown = as_shown_to(connection, seen_of(connection, after), edit.object).texts
    expected = {**edit.one.texts}
    till, crm = {}, {}
    for each in edit.written:
        till[each.field], crm[each.field] = shown.get(each.field), each.after
        if shown.get(each.field) is None:
            expected.pop(each.field, None)
        else:
            expected[each.field] = shown[each.field]
    for name in _shown_otherwise(connection, edit):
        till[name] = shown.get(name)
        put(expected, name, shown.get(name))
    is_ours = edit.object == connection.maps["customer"].object
    standing = Settled(
        kind="customer",
        till_id=edit.one.id,
        state=edit.state,
        reason=edit.reason,
        # Not of what was read back: an edit that somebody has made meanwhile must differ from it.
        # Of whom a Lead became no such digest can be made: they are compared once more.
        digest=digest_of(expected, archived=edit.one.customer.archived) if is_ours else None,
    )
    with connection.state.begin() as c:
        connection.people.amend(c, edit.one.id, till=till, crm=crm)
        connection.changes.note(c, changes_of(edit.one.id, edit.crm_id, edit.object, "till", edit.written))
        connection.changes.outlive(c, edit.one.id, [each.field for each in edit.written])
        connection.state.settle(c, [standing], verified=False)
        connection.journal.resolve(c, [("customer", edit.one.id)])
        connection.raw.keep(c, "customer", [after])


def _shown_otherwise(connection: Connection, edit: TillEdit) -> set[str]:
    """Return the fields that may show something else by an edit of another: that is no move of theirs.

    A till that holds nothing but a secondary address shows it as the e-mail.
    """
    emails = {name for name, way in ways_of(connection, edit.object).items() if way.slot in EMAILS}
    written = {each.field for each in edit.written}
    return emails - written if emails & written else set()


def changes_of(
    till_id: str, crm_id: str, object_name: str, side: str, written: Sequence[Written]
) -> list[Change]:
    """Return what was written of one customer on one side, for the diary of changes."""
    return [
        Change(
            till_id=till_id,
            crm_id=crm_id,
            object=object_name,
            field=each.field,
            side=side,
            why=each.why,
            before=each.before,
            after=each.after,
        )
        for each in written
    ]


def refuse(
    connection: Connection,
    till_id: str,
    error: BadRequest | PermissionMissing,
    sent: Mapping[str, str],
    transaction: sa.Connection | None = None,
) -> None:
    """Write down that the till, or our own check for it, has refused a customer."""
    code = error.code if isinstance(error, BadRequest) else "PERMISSION_MISSING"
    fields = error.fields if isinstance(error, BadRequest) else ()
    ack = Refused(code, str(error), fields)
    problem = NewProblem(
        kind="customer",
        till_id=till_id,
        object=TILL_OBJECT,
        cause=cause_of(TILL_OBJECT, ack),
        code=code,
        message=str(error),
        fields=fields,
        payload=dict(sent),
    )
    standing = Settled(kind="customer", till_id=till_id, state="problem", reason=str(error))

    def write(c: sa.Connection) -> None:
        connection.journal.refuse(c, [problem])
        connection.state.settle(c, [standing], verified=False)

    if transaction is not None:
        write(transaction)
        return
    with connection.state.begin() as c:
        write(c)

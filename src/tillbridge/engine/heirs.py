"""Which of a person's till records speaks for them: the first one, until it is archived and another lives.

A person may have several till records. The first is given what the CRM moves,
and names the person there; a second one is given a no, and no more. Staff who
archive the first have decided for the other, without a merge that would tell.

What a reader would get wrong: a record that comes back from the archive does not
take the word again. Whoever speaks for a person does so until they are put away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from tillbridge.engine.compare import PRIMARY_ONLY, Seen, Shadow
from tillbridge.engine.connection import Connection
from tillbridge.model.reading import Query
from tillbridge.store.state import Known, Settled
from tillbridge.store.verified import Verified


def pass_on(connection: Connection, seen: Collection[Seen]) -> list[str]:
    """Let living records of these people speak for them where the first is archived; return which do now."""
    shown = {one.id: one for one in seen}
    known = connection.state.known("customer", shown)
    people = {
        each.crm_id
        for i, each in known.items()
        if each.crm_id is not None and shown[i].customer.archived == (each.role != "second")
    }
    if not people:
        return []
    records = {crm_id: ids for crm_id, ids in connection.state.linked_to(people).items() if len(ids) > 1}
    everyone = {i for ids in records.values() for i in ids}
    standings = connection.state.known("customer", everyone)
    firsts = {i for i in everyone if standings[i].role != "second"}
    living = _living(connection, everyone, firsts, shown)
    heirs = []
    for ids in records.values():
        spoke = [standings[i] for i in ids if i in firsts]
        able = sorted((i for i in ids if i in living and i not in firsts), key=lambda i: (len(i), i))
        if able and not any(each.till_id in living for each in spoke):
            _crown(connection, standings[able[0]], spoke)
            heirs.append(able[0])
    return heirs


def _living(
    connection: Connection, everyone: Collection[str], firsts: Collection[str], shown: Mapping[str, Seen]
) -> set[str]:
    """Return which of these the till shows and has not put away; it is asked for those who speak."""
    living = set(connection.arrivals.people(everyone))
    if unsure := sorted(set(firsts) - living - shown.keys()):
        pages = connection.till.customers(Query(ids=tuple(unsure)))
        living |= {customer.id for page in pages for customer in page.rows if not customer.archived}
    for i in shown.keys() & set(everyone):
        (living.discard if shown[i].customer.archived else living.add)(i)
    return living - Verified(connection.state).aliases("customer", everyone).keys()


def _crown(connection: Connection, heir: Known, before: Collection[Known]) -> None:
    told = ", ".join(each.till_id for each in before) or "the first one"
    role = next((each.role for each in before if each.role), "adopted")
    standings = [
        Settled(
            kind="customer",
            till_id=heir.till_id,
            state=heir.state,
            reason=f"linked; it speaks for the person since customer {told} was archived",
            role=role,
        )
    ]
    standings += [
        Settled(
            kind="customer",
            till_id=each.till_id,
            state=each.state,
            reason=f"second till record, archived; customer {heir.till_id} speaks for the person",
            role="second",
        )
        for each in before
    ]
    shadows = connection.people.shadows([each.till_id for each in before])
    with connection.state.begin() as c:
        connection.state.settle(c, standings, verified=False)
        # What the CRM has moved, and a second record was not given, is given now.
        connection.state.doubt(c, "customer", [heir.till_id])
        for shadow in shadows.values():
            hand_over(connection, c, shadow, heir.till_id)


def hand_over(connection: Connection, transaction: sa.Connection, shadow: Shadow, new: str) -> None:
    """Let whoever speaks now write what only the one who speaks may: it is theirs, and no conflict.

    `shadow` is of the record that spoke before.
    """
    till, crm = ({name: shadow.get(side, {}).get(name) for name in PRIMARY_ONLY} for side in ("till", "crm"))
    connection.people.amend(transaction, new, till=till, crm=crm)

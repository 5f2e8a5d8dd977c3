"""Find out what became of CRM records that a write says are gone: merged into another one, or deleted.

A merge is followed: every link to the loser points to the winner from then on.
A deletion is not: the link is taken off, lookups to it land empty, and a person
sees why. Nothing is created in place of a deleted person by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from tillbridge.engine.connection import Connection
from tillbridge.engine.resolve import Resolver
from tillbridge.engine.rows import Row, Standing
from tillbridge.model.acks import Refused
from tillbridge.model.sale import Ref
from tillbridge.store.state import Link

# A write that names a record which is not there any more (fact sheet Salesforce 6.2, 7.4).
GONE = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"})


def follow_lost(
    connection: Connection, resolver: Resolver, refused: Collection[tuple[Standing, Refused]]
) -> None:
    """Look up the records that these refused rows lean on, and put right the links to those that are gone."""
    suspects: dict[str, set[str]] = defaultdict(set)
    for standing, ack in refused:
        for link in _leans_on(standing.row, ack, resolver):
            suspects[link.object].add(link.crm_id)
    fates = {
        old: (object_name, new)
        for object_name, ids in suspects.items()
        for old, new in connection.questions.fates(object_name, ids).items()
    }
    if not fates:
        return
    with connection.state.begin() as c:
        for old, (object_name, new) in fates.items():
            moved = connection.state.repoint(c, old, Link(new, object_name) if new else None)
            connection.people.forget_shadows(c, moved)
        connection.people.forget(c, [old for old, (_, new) in fates.items() if new is None])
    resolver.repoint({old: new for old, (_, new) in fates.items()})
    for standing, _ in refused:
        if standing.row.crm_id in fates and (new := fates[standing.row.crm_id][1]) is not None:
            standing.row.crm_id = new


def _leans_on(row: Row, ack: Refused, resolver: Resolver) -> list[Link]:
    """Return the links that a row was written by: its own, and those of lookups that the refusal may mean."""
    links = [resolver.link(*row.thing)]
    links += [
        resolver.link_of(value)
        for name, value in row.payload.items()
        if isinstance(value, Ref) and (not ack.fields or name in ack.fields)
    ]
    return [link for link in links if link is not None]

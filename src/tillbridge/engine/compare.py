"""Compare a linked customer with its record in the CRM: what goes there, what comes back, what is contested.

The fields are the CRM's. The till's side of one is what the field map makes of
the customer; on the way back `sync.pullback` turns the CRM's value into a slot
of the till. Decisions are `sync.reconcile`'s, and this file hands it what it
needs: both shadows, whether our last write was read back, who moved last.

What a reader would get wrong: the shadows returned here are what both sides
will show once every write is confirmed that the CRM is sent. What is written to
the till moves its shadow by an ack of its own (see `tillwrites`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.mapping import mapped, person_map, ways_of
from tillbridge.engine.people import UNCONFIRMED
from tillbridge.engine.rows import Given, Mapped
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.customer import CustomerFacts, customer_facts, region_of
from tillbridge.model.records import Customer
from tillbridge.model.sale import BuyerStanding, Ref
from tillbridge.model.writing import Value
from tillbridge.store.changes import DECIDED, Contested
from tillbridge.store.state import Known
from tillbridge.sync.alike import Alike, blank, comparison
from tillbridge.sync.fieldmap import payload_hash
from tillbridge.sync.pullback import Pulled, Way, pulled
from tillbridge.sync.reconcile import (
    Authority,
    Conflict,
    Decision,
    FieldState,
    Keep,
    Pair,
    Pull,
    Push,
    Settle,
    Side,
    reconcile,
)

# What a second till record of a person must not write: it belongs to the first.
PRIMARY_ONLY = frozenset({"Lightspeed_Customer_ID__c", "Lightspeed_Created_At__c"})

Shadow = Mapping[str, Mapping[str, str]]


class Seen(msgspec.Struct, frozen=True):
    """A customer as the till shows it now, mapped, and the digest by which a change is noticed."""

    customer: Customer
    facts: CustomerFacts
    payload: dict[str, Mapped]
    texts: dict[str, str]
    digest: bytes
    reason: str | None

    @property
    def id(self) -> str:
        """Return the till's id."""
        return self.customer.id

    @property
    def stamp(self) -> float | None:
        """Return the till's own change stamp, epoch seconds."""
        changed = self.customer.changed_at
        return changed.timestamp() if changed else None


class Written(msgspec.Struct, frozen=True):
    """A field that is written on one side, and what that side showed before."""

    field: str
    before: str | None
    after: str | None
    why: str


class Compared(msgspec.Struct):
    """What a customer and its record in the CRM need. Shadows: see the top of this file."""

    push: dict[str, Mapped] = {}
    pushed: list[Written] = []
    pull: dict[str, str | None] = {}
    pulled: list[Written] = []
    slots: Pulled = msgspec.field(default_factory=Pulled)
    till: dict[str, str] = {}
    crm: dict[str, str] = {}
    contested: list[Contested] = []
    outlived: set[str] = set()


def seen_of(connection: Connection, customer: Customer) -> Seen:
    """Map a customer."""
    facts = customer_facts(customer, connection.zones, connection.region)
    payload, reason = mapped(connection, "customer", facts, creating=True)
    texts = as_texts(payload)
    return Seen(customer, facts, payload, texts, digest_of(texts, archived=customer.archived), reason)


def as_shown_to(connection: Connection, one: Seen, object_name: str) -> Seen:
    """Map a customer for whom a Lead became; the digest stays that of the connection's own table."""
    table = connection.converted.get(object_name)
    if table is None or object_name == connection.maps["customer"].object:
        return one
    payload, reason = mapped(connection, "customer", one.facts, creating=True, table=table)
    return msgspec.structs.replace(one, payload=payload, texts=as_texts(payload), reason=reason)


def digest_of(texts: Mapping[str, str], *, archived: bool) -> bytes:
    """Return the digest by which a change of a customer is noticed: being archived says something too."""
    return payload_hash({**texts, "archived": archived})


def compare(
    connection: Connection,
    one: Seen,
    before: Known,
    person: CrmPersonRow,
    shadow: Shadow | None,
    contested: Mapping[str, Contested],
    *,
    spares_till: bool = False,
) -> Compared:
    """Compare both sides with what each showed when they last agreed. `one`: as shown to the person's object.

    `spares_till`: what would go to the till is noted and stays in the CRM.
    """
    ways = ways_of(connection, person.object)
    states = _states(connection, one, before, person, shadow, contested)
    decisions = reconcile(
        states,
        connection.settings.mode,
        {**connection.settings.authority, **_decided(one, person, contested)},
        alikes(connection, person.object, region_of(one.customer, connection.region)),
        otherwise=connection.settings.other_authority,
        opt_outs={name for name, way in ways.items() if way.opt_out},
        one_way=states.keys() - (() if spares_till else ways.keys()),
    )
    decisions = {
        name: _still_open(one, person, contested.get(name), each) for name, each in decisions.items()
    }
    found = Compared()
    found.till, found.crm = dict((shadow or {}).get("till", {})), dict((shadow or {}).get("crm", {}))
    found.crm.pop(UNCONFIRMED, None)
    ungiven: set[str] = set()
    for name, decision in decisions.items():
        match decision:
            case Push(loser=loser):
                _push(found, one, name, text_of(loser), _why(loser, decision))
            case Conflict(winner="till", loser=loser):
                _push(found, one, name, text_of(loser), _why(loser, decision))
            case Pull() | Conflict(winner="crm") if not _takes(one, before, ways.get(name)):
                # What it has not been given stays unsettled: an edit of its own must not win over it.
                ungiven.add(name)
            case Pull(value=value, loser=loser) | Conflict(winner="crm", value=value, loser=loser):
                found.pull[name] = text_of(value)
                found.pulled.append(Written(name, text_of(loser), text_of(value), _why(loser, decision)))
            case Settle(shadow=now):
                put(found.till, name, now.till)
                put(found.crm, name, now.crm)
            case Conflict():
                found.contested.append(
                    Contested(
                        till_id=one.id,
                        crm_id=person.id,
                        field=name,
                        till=one.texts.get(name),
                        crm=person.fields.get(name),
                    )
                )
            case Keep():
                pass
    _add_given(found, one)
    # What a person has said about an unsettled field goes on counting, or they would be asked for ever.
    found.outlived = contested.keys() - {each.field for each in found.contested} - ungiven
    if found.pull:
        zone = connection.zones[0] if connection.zones else None
        found.slots = pulled(
            found.pull, ways, one.customer, person.fields, zone=zone, region=connection.region
        )
    return found


def _takes(one: Seen, before: Known, way: Way | None) -> bool:
    """Say whether a till record takes the CRM's value: a second one of a person takes a no, and no more."""
    if one.customer.archived:
        return False
    return before.role != "second" or (way is not None and way.opt_out)


def _push(found: Compared, one: Seen, name: str, loser: str | None, why: str) -> None:
    found.push[name] = one.payload[name]
    found.pushed.append(Written(name, loser, one.texts.get(name), why))
    put(found.till, name, one.texts.get(name))
    put(found.crm, name, one.texts.get(name))


def _add_given(found: Compared, one: Seen) -> None:
    """Add what a person has set on the problems desk."""
    for name, value in one.payload.items():
        if isinstance(value, Given) and not value.once:
            found.push[name] = value
            put(found.till, name, one.texts.get(name))
            put(found.crm, name, text_of(value.value))


def _why(loser: Value, decision: Push | Pull | Conflict) -> str:
    if isinstance(decision, Conflict):
        return "conflict"
    return "blank filled" if blank(loser) else "edit"


def pending_of(shadow: Shadow | None) -> frozenset[str]:
    """Return the fields that we have written to the CRM and not read back since."""
    names = (shadow or {}).get("crm", {}).get(UNCONFIRMED, "")
    return frozenset(names.split(",")) if names else frozenset()


def _states(
    connection: Connection,
    one: Seen,
    before: Known,
    person: CrmPersonRow,
    shadow: Shadow | None,
    contested: Mapping[str, Contested],
) -> dict[str, FieldState]:
    table = person_map(connection, person.object)
    key_field = table.key_field if table else None
    till, crm = (shadow or {}).get("till", {}), (shadow or {}).get("crm", {})
    # What we wrote is read back when its row has come with a stamp of the CRM since. If somebody else was the
    # last to write it, what it shows is no mere spelling of ours: it may be their edit, and counts as one.
    read_back = person.changed_at is not None and person.changed_by in {None, connection.crm.org().user_id}
    pending = pending_of(shadow) if read_back else frozenset()
    states = {}
    for name, value in one.payload.items():
        if name == key_field or isinstance(value, Given):
            continue
        if before.role == "second" and name in PRIMARY_ONLY:
            continue
        seen = Pair(one.texts.get(name), person.fields.get(name))
        agreed = Pair(till.get(name), crm.get(name)) if shadow else None
        last = _moved_last(seen, contested.get(name))
        states[name] = FieldState(seen, agreed, confirmed=name not in pending, noticed_last=last)
    return states


def _moved_last(seen: Pair, contested: Contested | None) -> Side | None:
    """Return which side has moved since we noticed that both had; None: neither, or both again."""
    if contested is None:
        return None
    till, crm = seen.till != contested.till, seen.crm != contested.crm
    if till == crm:
        return None
    return "till" if till else "crm"


def _decided(one: Seen, person: CrmPersonRow, contested: Mapping[str, Contested]) -> dict[str, Authority]:
    """Return what a person has said of conflicts; "ask" where a side shows something else by now."""
    said: dict[str, Authority] = {}
    for name, each in contested.items():
        if each.state == DECIDED:
            said[name] = "ask" if _outdated(one, person, each) else "till" if each.winner == "till" else "crm"
    return said


def _outdated(one: Seen, person: CrmPersonRow, said: Contested) -> bool:
    """Say whether a side shows something else than the person saw who has said which counts."""
    return (said.till, said.crm) != (one.texts.get(said.field), person.fields.get(said.field))


def _still_open(one: Seen, person: CrmPersonRow, contested: Contested | None, decision: Decision) -> Decision:
    """Write nothing of what a person has spoken about by values of before: it is theirs to say again."""
    if contested is None or contested.state != DECIDED or not _outdated(one, person, contested):
        return decision
    if isinstance(decision, Keep | Settle):
        return decision
    return Conflict(None, one.texts.get(contested.field), person.fields.get(contested.field))


def alikes(connection: Connection, object_name: str, region: str | None) -> Mapping[str, Alike]:
    """Return how the values of each field of an object are compared."""
    where = object_name, region
    if where not in connection.alikes:
        ways, fields = ways_of(connection, object_name), connection.objects[object_name].fields
        connection.alikes[where] = {
            name: comparison(facts.type, ways[name].slot if name in ways else None, region)
            for name, facts in fields.items()
        }
    return connection.alikes[where]


def put(shadow: dict[str, str], name: str, value: Value) -> None:
    """Write one field of a shadow; an empty one is absent."""
    if value is None:
        shadow.pop(name, None)
    else:
        shadow[name] = str(value)


def as_texts(payload: Mapping[str, Any]) -> dict[str, str]:
    """Write a payload as the CRM's answers are written: text, and nothing for an empty field."""
    return {name: text for name, value in payload.items() if (text := text_of(value)) is not None}


def text_of(value: Mapped) -> str | None:
    """Write a value as the CRM's answers are written."""
    if isinstance(value, Given):
        value = value.mapped
    if value is None or isinstance(value, Ref | BuyerStanding):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):  # datetimes too
        return value.isoformat()
    return str(value)

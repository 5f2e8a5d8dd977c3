"""Rebuild the links from the keys in Salesforce, after the state file was lost.

Every record we ever wrote carries our key, so ids, objects and parents can be
read back, stream by stream, a few thousand at a time. What cannot be read back
is what the CRM last confirmed: digests stay empty, and the next backfill
compares everything once. It finds all by key and makes nothing twice.

What a reader would get wrong: three facts decide what that backfill may write.
A product that we did not create belongs to whoever did, a second till record of
a person must not write what belongs to the first, and whom a person has taken
apart no rule may link again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from tillbridge.engine.connection import Connection
from tillbridge.engine.parting import parted_before
from tillbridge.model.answers import KeyedRow
from tillbridge.model.batches import batched
from tillbridge.store.state import Settled
from tillbridge.sync.fieldmap import KEY_LETTERS

# So many links are written in one transaction.
_AT_ONCE = 5_000

# The lookups of an identity, and the objects that they lead to.
_PEOPLE = {"Account__c": "Account", "Contact__c": "Contact", "Lead__c": "Lead"}
_KEY = "Lightspeed_Customer_Key__c"
_EVIDENCE = "Evidence__c"
_CREATED = "created"

Read = Callable[[KeyedRow, str], Settled | None]


def relink(connection: Connection) -> Counter[str]:
    """Read every link back from the org; return how many of each kind."""
    counts: Counter[str] = Counter()
    for kind in ("store", "employee"):
        counts[f"{kind}s"] = _relink(connection, kind, [], partial(_plain, connection, kind))
    counts["products"] = _relink(connection, "product", ["CreatedById"], partial(_product, connection))
    counts["stock levels"] = _relink(connection, "stock", [], partial(_plain, connection, "stock"))
    counts.update(_people(connection))
    counts["sales"] = _relink(connection, "sale", ["Loaded_As_History__c"], partial(_sale, connection))
    for kind in ("line", "payment"):
        counts[f"{kind}s"] = _relink(connection, kind, [_PARENT_KEY], partial(_child, connection, kind))
    return counts


_PARENT_KEY = "Sales_Transaction__r.Transaction_Key__c"


def _relink(connection: Connection, kind: str, more: list[str], read: Read) -> int:
    """Bring one map's rows back."""
    table = connection.maps[kind]
    assert table.key_field is not None
    bar = connection.progress.bar(f"{_TITLES[kind]} in Salesforce")
    rows = connection.questions.keyed(table.object, table.key_field, connection.account.id, more)
    found = _settle(connection, _read(connection, kind, rows, read), bar.advance)
    bar.close()
    return found


_TITLES = {
    "store": "Stores",
    "employee": "Employees",
    "product": "Products",
    "stock": "Stock levels",
    "sale": "Sales",
    "line": "Sale lines",
    "payment": "Payments",
}


def _read(connection: Connection, kind: str, rows: Iterable[KeyedRow], read: Read) -> Iterator[Settled]:
    prefix = _prefix(connection, kind)
    for row in rows:
        # "190001-C…" and "190001-I…" share an object's key field nowhere, but a key of somebody else's may.
        if row.key.startswith(prefix):
            settled = read(row, row.key.removeprefix(prefix))
            if settled is not None:
                yield settled


def _settle(
    connection: Connection, links: Iterable[Settled], tick: Callable[[int], None] = lambda _: None
) -> int:
    """Write links down in batches; one that is known already keeps what is known of it."""
    count = 0
    for batch in batched(links, _AT_ONCE):
        known = connection.state.known(batch[0].kind, [link.till_id for link in batch])
        new = [s for s in batch if s.till_id not in known or known[s.till_id].crm_id != s.crm_id]
        with connection.state.begin() as c:
            connection.state.settle(c, new, verified=False)
        count += len(batch)
        tick(len(batch))
    return count


def _prefix(connection: Connection, kind: str) -> str:
    return f"{connection.account.id}-{KEY_LETTERS[kind]}"


# --- how each kind is read -----------------------------------------------------------------------


def _plain(connection: Connection, kind: str, row: KeyedRow, till_id: str) -> Settled:
    return Settled(
        kind=kind,
        till_id=till_id,
        state="settled",
        reason="relinked",
        crm_id=row.id,
        object=connection.maps[kind].object,
    )


def _product(connection: Connection, row: KeyedRow, till_id: str) -> Settled:
    ours = row.fields["CreatedById"] == connection.crm.org().user_id
    return Settled(
        kind="product",
        till_id=till_id,
        state="settled",
        # The catalogue leaves alone what the owners of an adopted product wrote.
        reason="relinked" if ours else "adopted by key, relinked",
        role=None if ours else "adopted",
        crm_id=row.id,
        object=connection.maps["product"].object,
    )


def _sale(connection: Connection, row: KeyedRow, till_id: str) -> Settled:
    return Settled(
        kind="sale",
        till_id=till_id,
        state="settled",
        reason="relinked",
        crm_id=row.id,
        object=connection.maps["sale"].object,
        history=row.fields["Loaded_As_History__c"] == "true",
    )


def _child(connection: Connection, kind: str, row: KeyedRow, till_id: str) -> Settled | None:
    parent = row.fields[_PARENT_KEY]
    if parent is None:
        return None  # A detail whose master belongs to nobody of ours: the backfill settles it by key.
    return Settled(
        kind=kind,
        till_id=till_id,
        state="settled",
        reason="relinked",
        crm_id=row.id,
        object=connection.maps[kind].object,
        parent=parent.removeprefix(_prefix(connection, "sale")),
    )


# --- people --------------------------------------------------------------------------------------


def _people(connection: Connection) -> Counter[str]:
    """Bring identities back, and from them the links of customers; then the accounts of our contacts."""
    table = connection.maps["identity"]
    assert table.key_field is not None
    keys = _keys(connection)
    held = connection.objects[table.object].fields
    more = [name for name in (*_PEOPLE, _EVIDENCE) if name in held]
    bar = connection.progress.bar("Customer identities in Salesforce")
    rows = connection.questions.keyed(
        table.object, table.key_field, connection.account.id, [*more, "Rule__c"]
    )
    prefix = _prefix(connection, "customer")
    customers = identities = 0
    for batch in batched(rows, _AT_ONCE):
        ours = [(row, row.key.removeprefix(prefix)) for row in batch if row.key.startswith(prefix)]
        links = [link for row, till_id in ours if (link := _customer(row, till_id, keys)) is not None]
        linked = {link.till_id for link in links}
        # Nobody's identities (people in review, records left out) are found by key when they are decided.
        settled = [_plain(connection, "identity", row, till_id) for row, till_id in ours if till_id in linked]
        identities += _settle(connection, settled)
        customers += _settle(connection, links)
        _keep_apart(connection, [(row, till_id) for row, till_id in ours if till_id not in linked])
        bar.advance(len(batch))
    bar.close()
    if "account" in connection.maps:
        _accounts(connection)
    return Counter({"customers": customers, "identities": identities})


def _keep_apart(connection: Connection, nobodys: Iterable[tuple[KeyedRow, str]]) -> None:
    """Bring back whom a person has taken apart: no rule links them again, and a person says who they are."""
    found = [
        each
        for row, till_id in nobodys
        if (each := parted_before(connection, till_id, row.fields.get(_EVIDENCE) or "")) is not None
    ]
    known = connection.state.known("customer", [settled.till_id for settled, _ in found])
    new = [(settled, verdict) for settled, verdict in found if settled.till_id not in known]
    with connection.state.begin() as c:
        connection.state.settle(c, [settled for settled, _ in new], verified=False)
        connection.people.decide(c, [verdict for _, verdict in new])


def _keys(connection: Connection) -> Mapping[str, str]:
    """Return whose key each person of the org carries, by the person's id."""
    keys: dict[str, str] = {}
    for name in _PEOPLE.values():
        held = connection.objects.get(name)
        if held is not None and _KEY in held.fields:
            rows = connection.questions.keyed(name, _KEY, connection.account.id)
            keys.update((row.id, row.key) for row in rows)
    return keys


def _customer(row: KeyedRow, till_id: str, keys: Mapping[str, str]) -> Settled | None:
    """Say whom an identity links a customer to; None: to nobody yet."""
    named = {name: crm_id for field, name in _PEOPLE.items() if (crm_id := row.fields.get(field))}
    # An account beside a contact is that contact's own; a lead that became somebody names them too.
    name = next((name for name in ("Lead", "Contact", "Account") if name in named), None)
    if name is None:
        return None
    rule = row.fields.get("Rule__c") or ""
    how = "created, relinked" if rule == _CREATED else f"linked by {rule}, relinked" if rule else "relinked"
    second = keys.get(named[name], row.key) != row.key
    if second:
        how = f"second till record, {how}"
    return Settled(
        kind="customer",
        till_id=till_id,
        state="settled",
        reason=how,
        role="second" if second else "created" if rule == _CREATED else None,
        crm_id=named[name],
        object=name,
        crm_parent=named.get("Account") if name == "Contact" else None,
    )


def _accounts(connection: Connection) -> None:
    """Bring back the accounts that our contacts live in."""
    table = connection.maps["account"]
    assert table.key_field is not None
    bar = connection.progress.bar("Accounts of customers in Salesforce")
    rows = connection.questions.keyed(table.object, table.key_field, connection.account.id)
    prefix = _prefix(connection, "customer")
    ours = (
        _plain(connection, "account", row, row.key.removeprefix(prefix))
        for row in rows
        if row.key.startswith(prefix)
    )
    _settle(connection, ours, bar.advance)
    bar.close()

"""Turn a row's lookups into CRM ids, and make the digest of exactly what would be sent.

A linked parent is referenced by its id; one that is created in the same request
by its key; one that is not there yet leaves the lookup empty and is waited for.
Only a missing master holds its detail back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import cast

import msgspec

from tillbridge.engine.rows import Given, Row, Standing
from tillbridge.model.records import Kind
from tillbridge.model.sale import BuyerStanding, Ref
from tillbridge.model.writing import KeyRef, Value
from tillbridge.store.state import Link, State
from tillbridge.sync.fieldmap import FieldMap, RefFacts, key, payload_hash

# Which link answers a reference: its kind in our records.
_KIND_OF = {"sale_of_line": "line"}

# These never point elsewhere once the till has said so: their digest is the till's id, so that
# filling them in later (see engine.patches) leaves the digest of the row as it was.
_FIXED = frozenset({"line", "sale_of_line"})

# The part of a customer link that each CRM object answers for.
_PARTS = {"Account": "account", "Contact": "contact", "Lead": "lead"}

# What the CRM shows of a sale whose customer is not linked, by the customer's state.
_STANDINGS = {"review": "In Review", "left_out": "Not Synced"}

# Standard lookups that rows fill without a line of the field map.
_STANDARD = {
    "AccountId": RefFacts("Account", "Lightspeed_Customer_Key__c"),  # the account created with a contact
    "Product2Id": RefFacts("Product2", "Lightspeed_Item_Key__c"),
}


class Resolver:
    """Resolves rows against a connection's links. Keep one a batch: it remembers what it looked up."""

    def __init__(self, state: State, maps: Mapping[str, FieldMap], account: str) -> None:
        self._state = state
        self._maps = maps
        self._account = account
        self._links: dict[tuple[str, str], Link | None] = {}
        self._sales_of_lines: dict[str, str] = {}
        self._states: dict[str, str] = {}  # of customers without a link

    def look_up(self, rows: Iterable[Row], *, own: bool = True) -> None:
        """Fetch the links of everything that these rows refer to, and their own where they are asked for."""
        wanted: dict[str, set[str]] = {}
        for row in rows:
            if own and row.thing not in self._links:
                wanted.setdefault(row.kind, set()).add(row.till_id)
            if row.kind == "line" and row.sale:
                self._sales_of_lines[row.till_id] = row.sale
            for value in row.payload.values():
                if type(value) is Ref:
                    kind = _KIND_OF.get(value.kind, value.kind)
                    if (kind, value.id) not in self._links:
                        wanted.setdefault(kind, set()).add(value.id)
        for kind, found in self._state.links_of(wanted).items():
            self._links.update(((kind, i), found.get(i)) for i in wanted[kind])
        self._look_up_sales(wanted.get("line", set()))
        strangers = [i for i in wanted.get("customer", ()) if self._links["customer", i] is None]
        self._states.update((i, k.state) for i, k in self._state.known("customer", strangers).items())

    def _look_up_sales(self, lines: Collection[str]) -> None:
        unknown = [i for i in lines if i not in self._sales_of_lines]
        parents = {i: k.parent for i, k in self._state.known("line", unknown).items() if k.parent}
        self._sales_of_lines.update(parents)
        unseen = {sale for sale in parents.values() if ("sale", sale) not in self._links}
        found = self._state.links("sale", unseen)
        self._links.update((("sale", i), found.get(i)) for i in unseen)

    def learn(self, thing: tuple[str, str], link: Link) -> None:
        """Take in a link that an ack has just made."""
        self._links[thing] = link

    def link(self, kind: str, till_id: str) -> Link | None:
        """Return the link of a thing that was looked up or learnt."""
        return self._links.get((kind, till_id))

    def resolve(self, row: Row, fresh: Mapping[tuple[str, str], str] | None = None) -> Standing:
        """Make a row ready. `fresh` names things created earlier in the same request, with their object."""
        refs = self._maps[row.kind].refs if row.kind in self._maps else {}
        answers: dict[str, Value] = {}
        told: dict[str, Value] = {}
        given: dict[str, Given] = {}
        missing: list[tuple[str, Ref]] = []
        lost = False
        for field, value in row.payload.items():
            if type(value) is Ref:
                found, answers[field] = self._answer(value, refs.get(field) or _STANDARD[field], fresh or {})
                if value.kind in _FIXED:
                    told[field] = f"@{value.kind}:{value.id}"
                if not found:
                    missing.append((field, value))
                    lost = lost or value.kind == Kind.SALE  # only details refer to a sale itself
            elif type(value) is BuyerStanding:
                answers[field] = self._buyer(value, fresh or {})
            elif type(value) is Given:
                given[field] = value
        payload = cast("dict[str, Value]", {**row.payload, **answers})
        plain = {**payload, **told} if told else payload
        if given:
            payload, plain = self._with_given(row, payload, plain, given, fresh or {})
        digest = row.digest or payload_hash(plain)
        return Standing(row=row, payload=payload, digest=digest, missing=missing, lost=lost)

    def _with_given(
        self,
        row: Row,
        payload: Mapping[str, Value],
        plain: Mapping[str, Value],
        given: Mapping[str, Given],
        fresh: Mapping[tuple[str, str], str],
    ) -> tuple[dict[str, Value], dict[str, Value]]:
        """Put in what a person has set, and say what the digest is made of: what the map says."""
        is_there = row.operation == "update" or self.link(*row.thing) is not None
        sent, hashed = dict(payload), dict(plain)
        for field, value in given.items():
            del sent[field], hashed[field]
            if not (value.once and is_there):
                sent[field] = value.value
            if not value.extra:
                mapped = value.mapped
                hashed[field] = self._buyer(mapped, fresh) if isinstance(mapped, BuyerStanding) else mapped
        return sent, hashed

    def _buyer(self, standing: BuyerStanding, fresh: Mapping[tuple[str, str], str]) -> str:
        """Say in a word why a sale has its customer, or has none."""
        if standing.customer_id is None:
            return "Walk-In"
        thing = (Kind.CUSTOMER.value, standing.customer_id)
        if self._links.get(thing) is not None or thing in fresh:
            return "Linked"
        return _STANDINGS.get(self._states.get(standing.customer_id, ""), "Waiting")

    def _answer(self, ref: Ref, spec: RefFacts, fresh: Mapping[tuple[str, str], str]) -> tuple[bool, Value]:
        """Return whether the parent is known at all, and what to put into the lookup."""
        link = self.link_of(ref)
        if link is not None:
            return True, _part_of(link, spec.part)
        kind, record_id = ref.kind, ref.id
        if kind == "sale_of_line":
            kind, record_id = Kind.SALE, self._sales_of_lines.get(record_id, "")
        made = fresh.get((kind, record_id))
        if made is None:
            return False, None
        answers = spec.part in {None, _PARTS.get(made)} or (spec.part == "account" and made == "Contact")
        if not answers:
            return True, None
        # The account that lives with a contact carries the customer's own key.
        named = Kind.CUSTOMER if kind == "account" else kind
        return True, KeyRef(spec.relationship, spec.key_field, key(self._account, named, record_id))

    def repoint(self, fates: Mapping[str, str | None]) -> None:
        """Take in what became of CRM records that are gone: merged into another one, or deleted."""
        for thing, link in self._links.items():
            if link is not None and link.crm_id in fates:
                new = fates[link.crm_id]
                self._links[thing] = msgspec.structs.replace(link, crm_id=new) if new is not None else None
                if new is None and thing[0] == Kind.CUSTOMER:
                    self._states[thing[1]] = "left_out"

    def link_of(self, ref: Ref) -> Link | None:
        """Return the link of what a reference points to."""
        if ref.kind == "sale_of_line":
            sale = self._sales_of_lines.get(ref.id)
            return self._links.get(("sale", sale)) if sale else None
        return self._links.get((ref.kind, ref.id))


def _part_of(link: Link, part: str | None) -> str | None:
    """Pick what a lookup wants of a customer: the account, the contact or the lead."""
    if part is None or _PARTS.get(link.object) == part:
        return link.crm_id
    if part == "lead":
        return link.lead
    return link.crm_parent if part == "account" else None

"""The two doors as they are once somebody was erased: nothing of them comes through but an id.

Whatever reads the till or the CRM's people reads through these, so a poll, a
backfill, a sweep or a look at one record meets the same: a customer as the
till's own erasure leaves one, a person of the CRM without any fields, a receipt
without what staff wrote on it. The ordinary rules for such records do the rest.

What a reader would get wrong: an e-mail or phone of somebody erased blocks only
who is nobody's link, and is as old as the erasure. A spouse with the same phone
who is linked stays, and a record made later is a new person.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, cast

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.ports import Questions, Till
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.customer import anonymised, customer_facts
from tillbridge.model.reading import Page, Query
from tillbridge.model.records import Customer, Sale
from tillbridge.model.writing import ObjectFacts
from tillbridge.store.erasing import has_notes, unnoted
from tillbridge.store.tombstones import Tombstones
from tillbridge.sync.match import match_keys, person_of

Met = Callable[[list[Customer]], None]


class LivingTill:
    """A till, as far as it holds people who were not erased. Everything else passes as it is."""

    def __init__(self, bare: Till, connection: Connection, tombstones: Tombstones, met: Met) -> None:
        self.bare = bare
        self._connection = connection
        self._tombstones = tombstones
        self._met = met

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)

    def customers(self, query: Query) -> Iterator[Page[Customer]]:
        """Read customers page by page, those who were erased as the till's own erasure leaves one."""
        for page in self.bare.customers(query):
            if blanked := [customer for customer in page.rows if anonymised(customer)]:
                self._met(blanked)
            rows = page.rows if self._tombstones.is_empty else self._living(page.rows)
            yield msgspec.structs.replace(page, rows=rows)

    def find_customers(self, *, emails: Collection[str], phones: Collection[str]) -> list[Customer]:
        """Ask the till who holds an e-mail or phone; nobody who was erased."""
        found = self.bare.find_customers(emails=emails, phones=phones)
        return [customer for customer in found if self._tombstones.of_till(customer.id) is None]

    def sales(self, query: Query) -> Iterator[Page[Sale]]:
        """Read sales, those of erased people without what was written on them."""
        for page in self.bare.sales(query):
            if not self._tombstones.is_empty:
                rows = [unnoted(sale) if self._is_bared(sale) else sale for sale in page.rows]
                yield msgspec.structs.replace(page, rows=rows)
            else:
                yield page

    def _is_bared(self, sale: Sale) -> bool:
        return (
            sale.customer_id is not None
            and self._tombstones.of_till(sale.customer_id) is not None
            and has_notes(sale)
        )

    def _living(self, customers: Iterable[Customer]) -> list[Customer]:
        return [blank_customer(each) if self._is_erased(each) else each for each in customers]

    def _is_erased(self, customer: Customer) -> bool:
        if self._tombstones.of_till(customer.id) is not None:
            return True
        stone = self._tombstones.of_keys(keys_of(self._connection, customer))
        if stone is None or not _is_as_old(customer, stone.made_at):
            return False
        known = self._connection.state.known("customer", [customer.id]).get(customer.id)
        return known is None or known.crm_id is None


class LivingQuestions:
    """Questions to a CRM whose erased people have no fields. Everything else passes as it is."""

    def __init__(self, bare: Questions, tombstones: Tombstones) -> None:
        self.bare = bare
        self._tombstones = tombstones

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)

    def people(self, facts: ObjectFacts, more: Collection[str]) -> Iterator[CrmPersonRow]:
        """Read all people of one object."""
        return map(self._living, self.bare.people(facts, more))

    def changed_people(
        self, objects: Mapping[str, Collection[str]], facts: Mapping[str, ObjectFacts], since: datetime
    ) -> list[CrmPersonRow]:
        """Read the people who changed since."""
        return [self._living(row) for row in self.bare.changed_people(objects, facts, since)]

    def people_by_id(
        self, objects: Mapping[str, Collection[str]], facts: Mapping[str, ObjectFacts], ids: Collection[str]
    ) -> list[CrmPersonRow]:
        """Read these people."""
        return [self._living(row) for row in self.bare.people_by_id(objects, facts, ids)]

    def _living(self, row: CrmPersonRow) -> CrmPersonRow:
        return row if self._tombstones.of_crm(row.id) is None else blank_person(row)


def put_up(connection: Connection, tombstones: Tombstones, met: Met) -> None:
    """Put both doors of a connection up."""
    # They pass on by name whatever they do not change, which a type checker cannot see.
    connection.till = cast("Till", LivingTill(connection.till, connection, tombstones, met))
    connection.questions = cast("Questions", LivingQuestions(connection.questions, tombstones))


def bare_till(connection: Connection) -> Till:
    """Return the till as it is: for whoever erases, proves it, or hands people what is held of them."""
    return connection.till.bare if isinstance(connection.till, LivingTill) else connection.till


def keys_of(connection: Connection, customer: Customer) -> set[str]:
    """Return what a customer of the till can be matched by."""
    facts = customer_facts(customer, connection.zones, connection.region)
    return match_keys(person_of(customer, facts, f"till {customer.id}"))


def is_bare(customer: Customer) -> bool:
    """Say whether the till shows nothing of a person any more."""
    shown = (
        customer.emails,
        customer.phones,
        customer.note,
        customer.custom,
        customer.tags,
        customer.company,
    )
    return anonymised(customer) and not any(shown)


def blank_customer(customer: Customer) -> Customer:
    """Return a customer as the till's own erasure leaves one."""
    return Customer(
        id=customer.id,
        first_name="Customer",
        last_name=customer.id,
        no_email=True,
        no_phone=True,
        no_mail=True,
        archived=True,
        created_at=customer.created_at,
        changed_at=customer.changed_at,
    )


def blank_person(row: CrmPersonRow) -> CrmPersonRow:
    """Return a person of the CRM without anything that tells who it is; nobody sends them to the till."""
    return CrmPersonRow(
        id=row.id,
        object=row.object,
        key=row.key,
        account=row.account,
        converted=row.converted,
        became=row.became,
        became_object=row.became_object,
        deleted=row.deleted,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )


def _is_as_old(customer: Customer, erased_at: float) -> bool:
    """Say whether a record was there when the erasure was. One that does not tell counts as old."""
    return customer.created_at is None or customer.created_at.timestamp() <= erased_at

"""Who a person is on both sides: all till records and CRM records that one id leads to.

Links, old ids of merges and the CRM's own identities are followed until nothing
new turns up. A company's account beside a contact is no record of the person,
unless we made it from the very same customer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.erased import bare_till, keys_of
from tillbridge.model.answers import HeldAsk
from tillbridge.model.customer import anonymised, customer_facts
from tillbridge.model.errors import SyncError
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer
from tillbridge.model.writing import FieldFacts
from tillbridge.store.erasing import aliases_of
from tillbridge.store.holdings import Holdings
from tillbridge.store.sought import Sought, sought
from tillbridge.sync.fieldmap import KEY_LETTERS, key
from tillbridge.sync.match import Person, match_keys, phones_of

# How ids of the CRM begin, by the object they are of.
_BEGINS = {"001": "Account", "003": "Contact", "00Q": "Lead"}
_CRM_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_LOOKUPS = {"Account__c": "Account", "Contact__c": "Contact", "Lead__c": "Lead"}
CUSTOMER_KEY = "Lightspeed_Customer_Key__c"

# Some orgs keep a second address in a field of plain text.
_MAILBOX = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")

# What stands where a first name stood.
ERASED_NAME = "Erased"


class Unknown(SyncError):
    """An id that leads to nobody."""


class Subject(msgspec.Struct):
    """One person: till ids, CRM records (id -> object), and what either side shows of them now."""

    till_ids: list[str] = []
    crm: dict[str, str] = {}
    customers: dict[str, Customer] = {}
    rows: dict[str, Mapping[str, str | None]] = {}  # CRM records, all readable fields, by id
    identities: dict[str, Mapping[str, str | None]] = {}  # by key

    @property
    def name(self) -> str:
        """Return the id that the person goes by."""
        return self.till_ids[0] if self.till_ids else next(iter(self.crm))


def find(connection: Connection, text: str) -> Subject:
    """Find whom an id means: the till's number, our key, or an id of the CRM. Raises Unknown."""
    subject = Subject()
    asked_till, asked_crm = _read(connection, text.strip())
    tills, records = set(asked_till), dict(asked_crm)
    while True:
        before = (len(tills), len(records))
        records.update(_linked(connection, tills))
        tills.update(i for ids in connection.state.linked_to(list(records)).values() for i in ids)
        tills.update(aliases_of(connection.state, "customer", tills))
        _follow_identities(connection, subject, tills, records)
        if before == (len(tills), len(records)):
            break
    subject.till_ids = sorted(tills, key=lambda i: (len(i), i))
    subject.crm = records
    read(connection, subject)
    known = connection.state.known("customer", subject.till_ids)
    if not (subject.rows or subject.customers or known or subject.identities):
        raise Unknown(
            f"{text} leads to nobody: neither Lightspeed nor Salesforce shows such a customer, and nothing "
            "is kept of one. Give the customer's number in Lightspeed, our key, or the id in Salesforce."
        )
    subject.crm = {i: name for i, name in records.items() if i in subject.rows}
    return subject


def read(connection: Connection, subject: Subject) -> None:
    """Read what both sides show of the person now, as it is."""
    pages = bare_till(connection).customers(Query(ids=tuple(subject.till_ids))) if subject.till_ids else ()
    subject.customers = {customer.id: customer for page in pages for customer in page.rows}
    subject.rows = read_rows(connection, subject.crm)


def read_rows(connection: Connection, records: Mapping[str, str]) -> dict[str, Mapping[str, str | None]]:
    """Read CRM records with every field that we may read."""
    asks = []
    for name in sorted(set(records.values())):
        ids = tuple(sorted(i for i, of in records.items() if of == name))
        asks += [HeldAsk(name, "Id", ids, fields) for fields in _parts(connection, name)]
    found: dict[str, dict[str, str | None]] = {}
    for answer in connection.questions.held(asks) if asks else []:
        for record_id, row in answer.items():
            found.setdefault(record_id, {}).update(row)
    return dict(found)


def readable(connection: Connection, name: str) -> Mapping[str, FieldFacts]:
    """Return the fields of an object that a query may name."""
    held = connection.objects.get(name) or connection.crm.describe(name)
    fields = held.fields if held is not None else {}
    return {n: facts for n, facts in fields.items() if facts.type not in _UNASKED}


# Compound fields repeat their parts; files are not asked for in a list.
_UNASKED = frozenset({"address", "location", "base64", "complexvalue"})

# So many fields go into one question: its address may only be so long (fact sheet: URI limits).
_FIELDS_AT_ONCE = 150


def _parts(connection: Connection, name: str) -> list[tuple[str, ...]]:
    names = list(readable(connection, name))
    return [tuple(names[n : n + _FIELDS_AT_ONCE]) for n in range(0, len(names), _FIELDS_AT_ONCE)]


def _read(connection: Connection, text: str) -> tuple[list[str], dict[str, str]]:
    """Say what an id is: of the till, or of the CRM."""
    prefix = f"{connection.account.id}-{KEY_LETTERS['customer']}"
    number = text.removeprefix(prefix)
    if number.isdecimal():
        return [number], {}
    name = _BEGINS.get(text[:3])
    if name is not None and _CRM_ID.fullmatch(text) and name in connection.objects:
        [rows] = connection.questions.held([HeldAsk(name, "Id", (text,))])
        # A short id means the same record as the long one; the answer has the long one.
        return [], dict.fromkeys(rows or [text], name)
    raise Unknown(
        f"{text} is no id of a customer: give the customer's number in Lightspeed (501), our key "
        f"({prefix}501), or the id of an Account, Contact or Lead in Salesforce."
    )


def _linked(connection: Connection, tills: Collection[str]) -> dict[str, str]:
    """Return the CRM records that these till ids are linked to, and the accounts we made for contacts."""
    found = {link.crm_id: link.object for link in connection.state.links("customer", tills).values()}
    accounts = connection.state.links("account", tills).values()
    return found | {link.crm_id: "Account" for link in accounts}


def _follow_identities(
    connection: Connection, subject: Subject, tills: set[str], records: dict[str, str]
) -> None:
    """Take in what the CRM's own identities say of these till ids and records."""
    table = connection.maps["identity"]
    assert table.key_field is not None
    held = connection.objects[table.object].fields
    lookups = [name for name in _LOOKUPS if name in held]
    fields = list(readable(connection, table.object))
    account = connection.account.id
    asks = [(table.key_field, [key(account, "customer", i) for i in tills])]
    asks += [(name, [i for i, of in records.items() if of == _LOOKUPS[name]]) for name in lookups]
    prefix = f"{account}-{KEY_LETTERS['customer']}"
    for field, values in asks:
        rows = connection.questions.rows_or_remains(table.object, field, values, fields) if values else ()
        for row in rows:
            own = row.get(table.key_field)
            if row.get("IsDeleted") == "true" or not own or not own.startswith(prefix):
                continue
            subject.identities[own] = row
            tills.add(own.removeprefix(prefix))
            records.update(_people_of(row, lookups))


def _people_of(row: Mapping[str, str | None], lookups: Collection[str]) -> dict[str, str]:
    named = {_LOOKUPS[name]: crm_id for name in lookups if (crm_id := row.get(name))}
    if "Contact" in named:
        named.pop("Account", None)  # A contact's account may be a company's; our own is linked by itself.
    return {crm_id: name for name, crm_id in named.items()}


# --- what they can be recognised by ------------------------------------------------------------------


def recognised_by(connection: Connection, subject: Subject) -> tuple[Sought, set[str]]:
    """Return what to look for of a person, and the match keys of their e-mails and phones."""
    living = [each for each in subject.customers.values() if not anonymised(each)]
    found, keys = Sought(), set[str]()
    for customer in living:
        found |= _of_customer(connection, customer)
        keys |= keys_of(connection, customer)
    for record_id, row in subject.rows.items():
        names, emails, phones = _of_row(connection, subject.crm[record_id], row)
        found |= sought(names=names, emails=emails, phones=phones)
        numbers = phones_of(phones, connection.region)
        keys |= match_keys(Person(id=record_id, emails=tuple(emails), phones=numbers))
    return found, keys


def keys_shared(connection: Connection, subject: Subject) -> dict[str, str]:
    """Return the CRM's people who share an e-mail or phone with a person, themselves too: id to object."""
    _, keys = recognised_by(connection, subject)
    found = connection.people.find({"": {each for each in keys if each[:2] in {"e:", "p:"}}})
    return {row.id: row.object for row in found.get("", [])}


def kept_of(connection: Connection, holdings: Holdings, subject: Subject) -> Sought:
    """Return what our own state can recognise a person by: former e-mails and phones too."""
    mine = {*subject.till_ids, *subject.crm}
    found = Sought()
    for payload in holdings.payloads([]):
        if not mine.intersection(payload.owners):
            continue
        if payload.row.startswith("customer ") and payload.table == "raw":
            customer = msgspec.json.decode(payload.text, type=Customer)
            found |= Sought() if anonymised(customer) else _of_customer(connection, customer)
        elif payload.table in {"person", "till_person"}:
            told = msgspec.json.decode(payload.text, type=_Told)
            found |= sought(names=[(told.first, told.last)], emails=told.emails, phones=told.phones)
    return found


class _Told(msgspec.Struct):
    """What an index of people says of somebody, whichever side it is of."""

    first: str | None = None
    last: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()


def _of_customer(connection: Connection, customer: Customer) -> Sought:
    facts = customer_facts(customer, connection.zones, connection.region)
    numbers = (facts.home_phone, facts.work_phone, facts.mobile_phone, facts.pager, facts.fax)
    return sought(
        names=[(customer.first_name, customer.last_name)],
        emails=[email.address for email in customer.emails],
        phones=[*(phone.number for phone in customer.phones), *numbers],
    )


def _of_row(
    connection: Connection, name: str, row: Mapping[str, str | None]
) -> tuple[list[tuple[str | None, ...]], list[str], list[str]]:
    """Return names, e-mails and phones of a CRM record, by what the CRM says its fields are."""
    emails, phones = [], []
    for field, facts in readable(connection, name).items():
        value = row.get(field) or ""
        if facts.type == "phone" and value:
            phones.append(value)
        elif facts.type == "email" or _MAILBOX.fullmatch(value):
            emails += [value] * bool(value)
    is_erased = row.get("FirstName") == ERASED_NAME
    return [] if is_erased else [(row.get("FirstName"), row.get("LastName"))], emails, phones

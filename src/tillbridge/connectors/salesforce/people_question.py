"""The question for an org's people, for each object that holds people, and how to read its rows."""

# ruff: noqa: S608  The literals in these queries are ours, or quoted by `soql`.

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import NamedTuple, Protocol

from tillbridge.connectors.salesforce.soql import moment_literal, quoted_list, row_id
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.writing import ObjectFacts

_RECORD_TYPE = "RecordType.DeveloperName"
# Through the relationship: the account that a Lead became, and whether it is a person.
_PERSON_BECOME = "ConvertedAccount.IsPersonAccount"
_BOOKKEEPING = (
    "SystemModstamp",
    "LastModifiedById",
    "IsPersonAccount",
    "AccountId",
    "IsDeleted",
    "MasterRecordId",
    "IsConverted",
    "ConvertedContactId",
    "ConvertedAccountId",
)

_CUSTOMER_KEY = "Lightspeed_Customer_Key__c"


class Scope(Protocol):
    """Who may enter the till: marked by a check box, or of these record types and with these values.

    A `where` field is one of the object, whose value must be one of those named; True and
    False are spelt true and false. Of record types and fields both given, both must fit.
    """

    @property
    def mark(self) -> str | None:
        """Return the name of the check box."""

    @property
    def record_types(self) -> Collection[str]:
        """Return developer names of record types."""

    @property
    def where(self) -> Mapping[str, Collection[str]]:
        """Return field -> values."""


class _Names(NamedTuple):
    """Where one object keeps what tells people apart."""

    first: str = "FirstName"
    last: str = "LastName"
    company: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    street: str = ""
    zip: str = ""
    city: str = ""
    country: str = ""
    born: str | None = None

    def all(self) -> list[str]:
        """Return every field named."""
        single = (
            self.first,
            self.last,
            self.company,
            self.street,
            self.zip,
            self.city,
            self.country,
            self.born,
        )
        return [name for name in (*single, *self.emails, *self.phones) if name]


PEOPLE = {
    "Account": _Names(
        emails=("PersonEmail",),
        phones=("PersonMobilePhone", "PersonHomePhone", "PersonOtherPhone", "Phone"),
        street="PersonMailingStreet",
        zip="PersonMailingPostalCode",
        city="PersonMailingCity",
        country="PersonMailingCountry",
        born="PersonBirthdate",
    ),
    "Contact": _Names(
        emails=("Email",),
        phones=("MobilePhone", "HomePhone", "OtherPhone", "Phone"),
        street="MailingStreet",
        zip="MailingPostalCode",
        city="MailingCity",
        country="MailingCountry",
        born="Birthdate",
    ),
    "Lead": _Names(
        company="Company",
        emails=("Email",),
        phones=("MobilePhone", "Phone"),
        street="Street",
        zip="PostalCode",
        city="City",
        country="Country",
    ),
}


class PeopleQuestion:
    """One object's people: the query for them, and how to read its rows."""

    def __init__(
        self,
        facts: ObjectFacts,
        more: Collection[str],
        scope: Scope | None = None,
        *,
        accounts: ObjectFacts | None = None,
    ) -> None:
        self.name = facts.name
        self._facts = facts
        self._more = [name for name in more if name in facts.fields]
        self._scope = scope
        bookkeeping = [*_BOOKKEEPING, _CUSTOMER_KEY, *PEOPLE[facts.name].all(), *self._scope_fields()]
        held = [name for name in bookkeeping if name in facts.fields]
        self._names = list(dict.fromkeys(["Id", *held, *self._more, *self._parents(accounts)]))

    def text(self, since: datetime | None) -> str:
        """Return the query: all there are, or those that changed since."""
        where = self._only_people()
        if since is not None:
            where.append(f"SystemModstamp >= {moment_literal(since)}")
        elif self._facts.name == "Lead" and "IsConverted" in self._facts.fields:
            where.append("IsConverted = false")
        text = f"SELECT {', '.join(self._names)} FROM {self._facts.name}"
        return f"{text} WHERE {' AND '.join(where)}" if where else text

    def stamps_text(self, since: datetime) -> str:
        """Return the query for who changed since, without what they show."""
        where = [*self._only_people(), f"SystemModstamp >= {moment_literal(since)}"]
        named = f"SELECT Id, SystemModstamp, LastModifiedById FROM {self._facts.name}"
        return f"{named} WHERE {' AND '.join(where)}"

    def text_by_id(self, ids: Collection[str]) -> str:
        """Return the query for given people."""
        where = [*self._only_people(), f"Id IN ({quoted_list(ids)})"]
        return f"SELECT {', '.join(self._names)} FROM {self._facts.name} WHERE {' AND '.join(where)}"

    def read(self, row: Mapping[str, str | None]) -> CrmPersonRow:
        """Read one row of the answer."""
        names = PEOPLE[self._facts.name]
        born, stamp = row.get(names.born) if names.born else None, row.get("SystemModstamp")
        became, became_object = _became(self._facts.name, row)
        return CrmPersonRow(
            id=row_id(row),
            object=self._facts.name,
            key=row.get(_CUSTOMER_KEY),
            account=row.get("AccountId") or (row.get("ConvertedAccountId") if became else None),
            converted=row.get("IsConverted") == "true",
            became=became,
            became_object=became_object,
            deleted=row.get("IsDeleted") == "true",
            wanted=self._wants(row),
            changed_at=datetime.fromisoformat(stamp) if stamp else None,
            changed_by=row.get("LastModifiedById"),
            first=row.get(names.first),
            last=row.get(names.last),
            company=row.get(names.company) if names.company else None,
            emails=tuple(value for name in names.emails if (value := row.get(name))),
            phones=tuple(value for name in names.phones if (value := row.get(name))),
            street=row.get(names.street),
            zip=row.get(names.zip),
            city=row.get(names.city),
            country=row.get(names.country),
            birth_date=date.fromisoformat(born[:10]) if born else None,
            fields={name: value for name in self._more if (value := row.get(name)) is not None},
        )

    def _parents(self, accounts: ObjectFacts | None) -> list[str]:
        """Return what is asked of records that these point to: only what this org has."""
        names = []
        if self._scope and self._scope.record_types and "RecordTypeId" in self._facts.fields:
            names.append(_RECORD_TYPE)
        if "ConvertedAccountId" in self._facts.fields and accounts and "IsPersonAccount" in accounts.fields:
            names.append(_PERSON_BECOME)
        return names

    def _only_people(self) -> list[str]:
        if "IsPersonAccount" not in self._facts.fields:
            return []
        return [f"IsPersonAccount = {'true' if self._facts.name == 'Account' else 'false'}"]

    def _scope_fields(self) -> list[str]:
        if self._scope is None:
            return []
        return [*([self._scope.mark] if self._scope.mark else []), *self._scope.where]

    def _wants(self, row: Mapping[str, str | None]) -> bool:
        """Say whether somebody may enter the till: a person's mark, or what the scope takes in."""
        scope = self._scope
        if scope is None or row.get("IsDeleted") == "true" or row.get("IsConverted") == "true":
            return False
        if scope.mark is not None and row.get(scope.mark) == "true":
            return True
        if not scope.record_types and not scope.where:
            return False
        of_type = not scope.record_types or _any_of(row.get(_RECORD_TYPE), scope.record_types)
        return of_type and all(self._is(row, name, values) for name, values in scope.where.items())

    def _is(self, row: Mapping[str, str | None], name: str, values: Collection[str]) -> bool:
        """Say whether a field holds one of these values; of a multi-select picklist, among others."""
        if name not in self._facts.fields:
            return False
        value = row.get(name)
        if value is not None and self._facts.fields[name].type == "multipicklist":
            return any(_any_of(one, values) for one in value.split(";"))
        return _any_of(value, values)


def _any_of(value: str | None, values: Collection[str]) -> bool:
    return value is not None and value.casefold() in {one.casefold() for one in values}


def _became(name: str, row: Mapping[str, str | None]) -> tuple[str | None, str | None]:
    """Return the record, and its object, that somebody lives on as.

    The loser of a merge names its winner, which is of the same object. A converted Lead
    names its contact and that one's account: whoever became a person account is told as
    the account, by which people are known there; everybody else as the contact.
    """
    if row.get("IsDeleted") == "true":
        winner = row.get("MasterRecordId")
        return winner, name if winner else None
    if row.get("IsConverted") != "true":
        return None, None
    if row.get(_PERSON_BECOME) == "true":
        return row.get("ConvertedAccountId"), "Account"
    contact = row.get("ConvertedContactId")
    return contact, "Contact" if contact else None

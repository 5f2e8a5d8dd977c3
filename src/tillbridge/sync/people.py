"""Read a person's row of the CRM as a match candidate: which fields to ask for, and what they mean.

Standard fields only, since every org has them. A phone without a plus is read
as dialled in the person's own country, where the row tells one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from tillbridge.model.countries import country_code
from tillbridge.sync.match import Candidate, phones_of

PeopleObject = Literal["Account", "Contact", "Lead"]
KEY_FIELD = "Lightspeed_Customer_Key__c"


@dataclass(frozen=True, slots=True)
class PeopleFields:
    """Where an object keeps what matching looks at. `only` narrows a query to persons that may be linked."""

    emails: tuple[str, ...]
    phones: tuple[str, ...]
    street: str
    city: str
    zip: str
    country: str
    birth_date: str | None
    company: str | None
    only: str

    def names(self) -> tuple[str, ...]:
        """Return every field to select, the key among them."""
        rest = (self.street, self.city, self.zip, self.country, self.birth_date, self.company)
        return ("Id", "FirstName", "LastName", KEY_FIELD, *self.emails, *self.phones, *filter(None, rest))


PEOPLE_FIELDS: dict[PeopleObject, PeopleFields] = {
    "Account": PeopleFields(
        emails=("PersonEmail",),
        phones=("PersonMobilePhone", "PersonHomePhone", "PersonOtherPhone", "Phone"),
        street="PersonMailingStreet",
        city="PersonMailingCity",
        zip="PersonMailingPostalCode",
        country="PersonMailingCountry",
        birth_date="PersonBirthdate",
        company=None,
        only="IsPersonAccount = true",
    ),
    "Contact": PeopleFields(
        emails=("Email",),
        phones=("MobilePhone", "HomePhone", "OtherPhone", "Phone"),
        street="MailingStreet",
        city="MailingCity",
        zip="MailingPostalCode",
        country="MailingCountry",
        birth_date="Birthdate",
        company=None,
        only="IsPersonAccount = false",
    ),
    "Lead": PeopleFields(
        emails=("Email",),
        phones=("MobilePhone", "Phone"),
        street="Street",
        city="City",
        zip="PostalCode",
        country="Country",
        birth_date=None,
        company="Company",
        only="IsConverted = false",
    ),
}


def candidate_of(
    object_name: PeopleObject,
    row: Mapping[str, object],
    region: str | None,
    *,
    linked_to: tuple[str, ...] = (),
    ours: bool = False,
) -> Candidate:
    """Read one row of a query, or the same as texts of a bulk query, as a candidate."""
    fields = PEOPLE_FIELDS[object_name]

    def text(name: str | None) -> str | None:
        value = row.get(name) if name else None
        return str(value).strip() or None if value is not None else None

    country = text(fields.country)
    born = text(fields.birth_date)
    key = text(KEY_FIELD)
    return Candidate(
        id=str(row["Id"]),
        first=text("FirstName"),
        last=text("LastName"),
        company=text(fields.company),
        emails=tuple(found for name in fields.emails if (found := text(name))),
        phones=phones_of(
            [text(name) for name in fields.phones], (country_code(country) if country else None) or region
        ),
        street=text(fields.street),
        zip=text(fields.zip),
        city=text(fields.city),
        birth_date=date.fromisoformat(born[:10]) if born else None,
        external_ids=(key,) if key else (),
        object=object_name,
        converted=str(row.get("IsConverted", "")).lower() == "true",
        linked_to=linked_to,
        ours=ours,
    )

"""What a customer record means: the names, numbers and address that the field map reads.

Flat attributes. What a reader would get wrong: somebody without any name is
called by the company, else "Customer <id>", so that a last name always exists;
and an anonymised customer (the till's own erasure leaves "Customer [id]") is no
name at all and must overwrite nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from tillbridge.model.phones import REGIONS, e164
from tillbridge.model.records import Address, Customer, Email
from tillbridge.model.sale import Ref
from tillbridge.model.times import birth_date

_NO_ADDRESS = Address()


class CustomerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One till customer. Phones are E.164 where they can be; otherwise as somebody typed them."""

    id: str
    first_name: str | None
    last_name: str  # never empty
    name: str  # both, or the company
    company: str | None
    company_or_name: str  # where a company must be given: a Lead, an Account of a contact
    title: str | None
    type: str | None
    email: str | None
    secondary_email: str | None
    home_phone: str | None
    work_phone: str | None
    mobile_phone: str | None
    pager: str | None
    fax: str | None
    birth_date: date | None
    street: str | None  # both lines
    city: str | None
    state: str | None
    state_code: str | None
    zip: str | None
    country: str | None
    country_code: str | None
    no_email: bool
    no_phone: bool
    no_mail: bool
    custom: Mapping[str, str]
    custom_text: str | None  # all of them, one line each: "name: value"
    tags: tuple[str, ...]
    note: str | None
    archived: bool
    created_at: datetime | None
    changed_at: datetime | None


class IdentityFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One till record of a person, and how we know whose it is."""

    id: str  # of the till's customer
    customer: Ref  # whom it belongs to
    rule: str
    evidence: str | None = None
    confirmed_by: str | None = None  # the person who decided; None: a rule has
    status: str = "Active"  # or Merged
    merged_into: str | None = None  # the till customer that it went into
    primary: bool = True  # the customer record in the CRM carries this key


def customer_facts(customer: Customer, zones: Sequence[str], region: str | None) -> CustomerFacts:
    """Derive what the field map may read. `zones` are the shops', `region` is dialled without a plus."""
    first, last = display_names(customer)
    address = customer.address or _NO_ADDRESS
    name = f"{first} {last}" if first else last
    phones = {phone.use: _phone(phone.number, region_of(customer, region)) for phone in customer.phones}
    return CustomerFacts(
        id=customer.id,
        first_name=first,
        last_name=last,
        name=name,
        company=customer.company,
        company_or_name=customer.company or name,
        title=customer.title,
        type=customer.type,
        email=_email(customer.email("primary")),
        secondary_email=_email(customer.email("secondary")) if _has_two(customer.emails) else None,
        home_phone=phones.get("home"),
        work_phone=phones.get("work"),
        mobile_phone=phones.get("mobile"),
        pager=phones.get("pager"),
        fax=phones.get("fax"),
        birth_date=born(customer, zones),
        street="\n".join(filter(None, (address.street, address.street2))) or None,
        city=address.city,
        state=address.state or address.state_code,
        state_code=address.state_code,
        zip=address.zip,
        country=address.country or address.country_code,
        country_code=address.country_code,
        no_email=customer.no_email,
        no_phone=customer.no_phone,
        no_mail=customer.no_mail,
        custom=customer.custom,
        custom_text=_lines(customer.custom),
        tags=customer.tags,
        note=customer.note,
        archived=customer.archived,
        created_at=customer.created_at,
        changed_at=customer.changed_at,
    )


def display_names(customer: Customer) -> tuple[str | None, str]:
    """Return first and last name, the last one never empty."""
    if customer.last_name:
        return customer.first_name, customer.last_name
    return None, customer.first_name or customer.company or f"Customer {customer.id}"


def nameless(customer: Customer) -> bool:
    """Say whether the till knows no name of a person: such a record is no evidence of who somebody is."""
    return not (customer.first_name or customer.last_name) or anonymised(customer)


def anonymised(customer: Customer) -> bool:
    """Say whether the till's own erasure went over it: it leaves "Customer", "[id]" (fact sheet A10)."""
    return customer.first_name == "Customer" and (customer.last_name or "").strip("[]") in {customer.id, "id"}


def born(customer: Customer, zones: Sequence[str]) -> date | None:
    """Return the birthday, from the till's date or from its midnight."""
    if customer.birth_date or not customer.birth_midnight:
        return customer.birth_date
    return birth_date(customer.birth_midnight, zones)


def region_of(customer: Customer, default: str | None) -> str | None:
    """Return where this person dials: the country of the address, else the default."""
    code = customer.address.country_code if customer.address else None
    return code.upper() if code and code.upper() in REGIONS else default


def _phone(number: str, region: str | None) -> str | None:
    return e164(number, region) or " ".join(number.split()) or None


def _lines(custom: Mapping[str, str]) -> str | None:
    """Put the till's own fields into words, in an order that does not change from one reading to the next."""
    return "\n".join(f"{name}: {' '.join(value.split())}" for name, value in sorted(custom.items())) or None


def _email(address: str | None) -> str | None:
    return (address or "").strip() or None


def _has_two(emails: Sequence[Email]) -> bool:
    return any(email.use == "primary" for email in emails)

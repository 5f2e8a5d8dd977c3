"""What a customer's slots say, and the bodies that change them. No I/O.

The one thing a reader would get wrong: what a PUT with a part of a Contact does
to the other phones and e-mails is documented nowhere (fact sheet A10). So
whoever changes one part of a contact sends all of its phones, e-mails and its
address, each by its use, and an emptied one as an empty text: the outcome is
the same whether the remote puts them into their slots or replaces them all. A
customer has no key of ours there; nothing keeps two with one e-mail apart.
https://developers.lightspeedhq.com/retail/endpoints/Customer/
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from tillbridge.connectors.lightspeed_r.protocol import CUSTOMERS, PAGE_ROWS_MAX, Relation, Request, drips
from tillbridge.connectors.lightspeed_r.wire import text
from tillbridge.model.records import Address, Customer
from tillbridge.model.writing import TILL_SLOTS, TillSlot, TillValue

# The rules of 17 March 2026: each entity inside a written body.  …/introduction/ratelimits/
NESTED_DRIPS = 0.5

# Keeps an address far below what a server in front may take.
VALUES_MAX = 20

# Slot -> useType, in the order they are sent.
_PHONES: dict[TillSlot, str] = {
    "home_phone": "Home",
    "work_phone": "Work",
    "mobile_phone": "Mobile",
    "pager": "Pager",
    "fax": "Fax",
}
_EMAILS: dict[TillSlot, str] = {"email": "Primary", "secondary_email": "Secondary"}
_ADDRESS: dict[TillSlot, str] = {
    "city": "city",
    "state": "state",
    "state_code": "stateCode",
    "zip": "zip",
    "country": "country",
    "country_code": "countryCode",
}
_FLAGS: dict[TillSlot, str] = {"no_email": "noEmail", "no_phone": "noPhone", "no_mail": "noMail"}
_SELF: dict[TillSlot, str] = {
    "first_name": "firstName",
    "last_name": "lastName",
    "title": "title",
    "company": "company",
    "birth_date": "dob",
}
# A code beside the name of another place would be a contradiction: who names one, empties the other.
_PARTNERS: dict[TillSlot, TillSlot] = {
    "state": "state_code",
    "state_code": "state",
    "country": "country_code",
    "country_code": "country",
}
_REACHED_BY = frozenset(("street", *_PHONES, *_EMAILS, *_ADDRESS))

# By these names a contact's numbers are asked for; they occur in no answer (fact sheet A5).
_PHONE_FILTERS = ("Contact.phoneHome", "Contact.phoneWork", "Contact.mobile", "Contact.pager", "Contact.fax")
_EMAIL_FILTER = "Contact.email"

Slots = dict[TillSlot, TillValue]


def slots_of(customer: Customer) -> Slots:
    """Return what a customer shows in every slot; an empty one is None, a flag is never empty."""
    address = customer.address or Address()
    street = "\n".join(line for line in (address.street, address.street2) if line)
    emails = {email.use: email.address for email in reversed(customer.emails)}
    return {
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "title": customer.title,
        "company": customer.company,
        "email": emails.get("primary"),
        "secondary_email": emails.get("secondary"),
        "home_phone": customer.phone("home"),
        "work_phone": customer.phone("work"),
        "mobile_phone": customer.phone("mobile"),
        "pager": customer.phone("pager"),
        "fax": customer.phone("fax"),
        "birth_date": customer.birth_midnight,
        "street": street or None,
        "city": address.city,
        "state": address.state,
        "state_code": address.state_code,
        "zip": address.zip,
        "country": address.country,
        "country_code": address.country_code,
        "no_email": customer.no_email,
        "no_phone": customer.no_phone,
        "no_mail": customer.no_mail,
    }


def as_kept(slots: Mapping[TillSlot, TillValue]) -> Slots:
    """Return wanted values as they will be read back: trimmed, a street in two lines, no blank texts."""
    if unknown := set(slots) - set(TILL_SLOTS):
        raise ValueError(f"a till's customer has no {', '.join(sorted(unknown))}")
    return {name: _as_kept(name, value) for name, value in slots.items()}


def _as_kept(name: TillSlot, value: TillValue) -> TillValue:
    if name in _FLAGS:
        return bool(value)
    if name == "birth_date":
        return value.astimezone(UTC).replace(microsecond=0) if isinstance(value, datetime) else None
    if not isinstance(value, str):
        return None
    if name == "street":
        return "\n".join(line for line in _lines(value) if line) or None
    return text(value)


def _lines(street: str) -> tuple[str, str]:
    """Divide a street into the two lines that there are; more lines share the second."""
    first, *more = [line.strip() for line in street.splitlines() if line.strip()] or [""]
    return first, ", ".join(more)


def moved(base: Customer, now: Customer, wanted: Slots) -> bool:
    """Say whether a slot to be written shows neither what we knew nor already what it shall show."""
    knew, shows = slots_of(base), slots_of(now)
    gone = now.archived and not base.archived
    return gone or any(shows[name] not in {knew[name], value} for name, value in wanted.items())


def differing(customer: Customer, wanted: Slots) -> tuple[TillSlot, ...]:
    """Return the slots that do not show what was wanted."""
    shows = slots_of(customer)
    return tuple(name for name, value in wanted.items() if shows[name] != value)


# --- bodies


def new_body(wanted: Slots) -> dict[str, Any]:
    """Word a new customer. Who says nothing of opt-outs has opted out of everything (fact sheet A8.1)."""
    flags: Slots = {name: wanted.get(name) or False for name in _FLAGS}
    given: Slots = {name: value for name, value in wanted.items() if value is not None}
    return _body({}, {**given, **flags})


def changed_body(now: Customer, wanted: Slots) -> dict[str, Any]:
    """Word a change: of the customer itself only what differs, of the contact all that belongs together."""
    shows = slots_of(now)
    changes: Slots = {name: wanted[name] for name in differing(now, wanted)}
    for name, partner in _PARTNERS.items():
        if name in changes and partner not in wanted and _elsewhere(shows[name], changes[name]):
            changes[partner] = None
    return _body(shows, changes)


def _elsewhere(before: TillValue, after: TillValue) -> bool:
    return str(before or "").casefold() != str(after or "").casefold()


def _body(shows: Slots, changes: Slots) -> dict[str, Any]:
    """Word `changes` to somebody who shows `shows` (nothing, if new)."""
    body: dict[str, Any] = {field: _sent(changes[name]) for name, field in _SELF.items() if name in changes}
    contact: dict[str, Any] = {field: changes[name] for name, field in _FLAGS.items() if name in changes}
    if changes.keys() & _REACHED_BY:
        after = {**shows, **changes}
        if rows := _numbered(_EMAILS, "address", after, changes):
            contact["Emails"] = {"ContactEmail": rows}
        if rows := _numbered(_PHONES, "number", after, changes):
            contact["Phones"] = {"ContactPhone": rows}
        if any(after.get(name) for name in ("street", *_ADDRESS)) or changes.keys() & {"street", *_ADDRESS}:
            contact["Addresses"] = {"ContactAddress": _address(after)}
    if contact:
        body["Contact"] = contact
    return body


def _numbered(uses: Mapping[TillSlot, str], field: str, after: Slots, changes: Slots) -> list[dict[str, Any]]:
    """Return the rows of a collection: all that say something, and those that are emptied now."""
    return [
        {field: _sent(after.get(name)), "useType": use}
        for name, use in uses.items()
        if after.get(name) or name in changes
    ]


def _address(after: Slots) -> dict[str, Any]:
    first, second = _lines(str(after.get("street") or ""))
    rest = {field: _sent(after.get(name)) for name, field in _ADDRESS.items()}
    return {"address1": first, "address2": second, **rest}


def _sent(value: TillValue) -> str:
    """Spell a value; an empty text clears (fact sheet A1)."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(microsecond=0).isoformat()
    return "" if value is None else str(value)


def nested(body: Mapping[str, Any]) -> int:
    """Count the entities inside a body: what they cost is charged before anything is done."""
    count = 0
    for value in body.values():
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            if isinstance(row, dict):
                # A plural wrapper is no entity itself: what it wraps is.
                count += nested(row) + (0 if set(row) & _WRAPPED else 1)
    return count


_WRAPPED = frozenset({"ContactEmail", "ContactPhone", "ContactAddress", "CustomFieldValue"})


# --- requests


def one_request(account_id: str, customer_id: str) -> Request:
    """Ask for one customer with all that its record holds, archived or not."""
    names = [relation.name for relation in CUSTOMERS.relations]
    params = (("load_relations", msgspec.json.encode(names).decode()),)
    return Request(_path(account_id, customer_id), params, 1 + drips(CUSTOMERS.relations, on_list=False))


def create_request(account_id: str, body: Mapping[str, Any]) -> Request:
    """Create a customer; the answer holds all that its record does."""
    names = [relation.name for relation in CUSTOMERS.relations]
    params = (("load_relations", msgspec.json.encode(names).decode()),)
    cost = 1 + drips(CUSTOMERS.relations, on_list=False) + NESTED_DRIPS * nested(body)
    path = f"Account/{account_id}/{CUSTOMERS.name}.json"
    return Request(path, params, round(cost, 3), "POST", msgspec.json.encode(body))


def change_request(account_id: str, customer_id: str, body: Mapping[str, Any]) -> Request:
    """Change a customer; the answer is the customer and its contact, without the dearer relations."""
    cost = round(1 + NESTED_DRIPS * nested(body), 3)
    return Request(_path(account_id, customer_id), (), cost, "PUT", msgspec.json.encode(body))


def archive_request(account_id: str, customer_id: str) -> Request:
    """Archive a customer."""
    return Request(_path(account_id, customer_id), method="DELETE")


def anonymise_request(account_id: str, customer_id: str) -> Request:
    """Let the till forget who a customer is."""
    path = f"Account/{account_id}/{CUSTOMERS.name}/{customer_id}/Anonymize.json"
    return Request(path, method="DELETE")


def _path(account_id: str, customer_id: str) -> str:
    if not customer_id.isdecimal():
        raise ValueError("a customer's id in Lightspeed is a number")
    return f"Account/{account_id}/{CUSTOMERS.name}/{customer_id}.json"


def search_requests(account_id: str, emails: Collection[str], phones: Collection[str]) -> list[Request]:
    """Ask who holds one of these e-mails or numbers: all at once, or field by field if that costs less.

    Operands of one field are free, of several fields of one entity a drip each.
    """
    asked = [(_EMAIL_FILTER, emails), *((name, phones) for name in _PHONE_FILTERS)]
    wanted = [(name, sorted({value for value in values if value.strip()})) for name, values in asked]
    by_field = [
        _search_request(account_id, [(name, value) for value in part])
        for name, values in wanted
        for part in _parts(values)
    ]
    operands = [(name, value) for name, values in wanted for value in values]
    if not operands or len(operands) > VALUES_MAX:
        return by_field
    together = _search_request(account_id, operands)
    return [together] if together.cost <= sum(request.cost for request in by_field) else by_field


def _search_request(account_id: str, operands: list[tuple[str, str]]) -> Request:
    params = (
        ("archived", "true"),
        ("or", "|".join(f"{name}={_operand(value)}" for name, value in operands)),
        ("sort", CUSTOMERS.id_field),
        ("limit", str(PAGE_ROWS_MAX)),
        # A filter on a relation needs it loaded; nothing else is, since hardly ever anybody is found.
        ("load_relations", '["Contact"]'),
    )
    cost = 1 + drips((Relation("Contact"),), on_list=True)
    if len({name for name, _ in operands}) > 1:
        cost += len(operands)
    return Request(f"Account/{account_id}/{CUSTOMERS.name}.json", params, round(cost, 3))


def _operand(value: str) -> str:
    """Encode a value within `or`, which is encoded once more as a whole (fact sheet A5).

    Only what must be: were it decoded but once, an ordinary e-mail would still be found.
    """
    return quote(value, safe="@ ()/")


def _parts(values: list[str]) -> list[list[str]]:
    return [values[start : start + VALUES_MAX] for start in range(0, len(values), VALUES_MAX)]


# --- erasure


def clearing_body(field_ids: Collection[str], *, note: bool, tags: bool) -> dict[str, Any]:
    """Word the emptying of what an anonymised customer would keep."""
    body: dict[str, Any] = {}
    if note:
        body["Note"] = {"note": ""}
    if field_ids:
        rows = [{"customFieldID": field_id, "value": "", "deleted": True} for field_id in field_ids]
        body["CustomFieldValues"] = {"CustomFieldValue": rows}
    if tags:
        body["Tags"] = ""
    return body

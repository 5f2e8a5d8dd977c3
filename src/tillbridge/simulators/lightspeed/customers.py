"""What happens when a client writes a customer: contact slots, custom fields, credit account, end of life.

Source: fact sheet A8.1, A8.8 and A10. Nothing keeps two customers with one e-mail
apart. Whoever is created without saying otherwise has opted out of everything.
"""

from __future__ import annotations

from typing import Any

from tillbridge.simulators.lightspeed.bodies import collection, flag, number, record_of, scalars
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.schema import Row
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.lightspeed.wire import read_decimal

PHONE_USES = ("Home", "Work", "Mobile", "Pager", "Fax")
EMAIL_USES = ("Primary", "Secondary")
ADDRESS_PARTS = ("address1", "address2", "city", "state", "stateCode", "zip", "country", "countryCode")
STRING_VALUE_MAX = 64  # characters in a custom field of type string
TEXT_VALUE_MAX = 4096
_CHILDREN = (
    "Contact",
    "CreditAccount",
    "Note",
    "Tags",
    "CustomFieldValues",
    "CustomerType",
    "Discount",
    "TaxCategory",
)
_READ_ONLY = ("customerID", "createTime", "timeStamp", "creditAccountID")
_LOOKUPS = {"customerTypeID": "CustomerType", "discountID": "Discount", "taxCategoryID": "TaxCategory"}


def create(world: World, body: Any) -> Row:
    """Add a customer."""
    body = record_of(body, "Customer")
    now = world.now()
    row: Row = {
        "customerID": world.next_id("Customer"),
        "createTime": now,
        "archived": False,
        "Contact": {
            "custom": "",
            "noEmail": True,
            "noPhone": True,
            "noMail": True,
            "Addresses": [],
            "Phones": [],
            "Emails": [],
            "Websites": [],
        },
        "CustomFieldValues": [],
        "Tags": [],
        "Note": "",
    }
    row |= _changes(world, row, body)
    return world["Customer"].add(row)


def update(world: World, row: Row, body: Any) -> Row:
    """Change a customer: what is absent stays, what is empty is cleared."""
    changes = _changes(world, row, record_of(body, "Customer"))
    world["Customer"].change(row, **changes)
    return row


def archive(world: World, row: Row) -> Row:
    """DELETE archives the customer and its credit account; the timeStamp moves (A12)."""
    now = world.now()
    world["Customer"].change(row, archived=True, timeStamp=now)
    if account := world["CreditAccount"].get(row.get("creditAccountID", 0)):
        world["CreditAccount"].change(account, archived=True, timeStamp=now)
    return row


def anonymize(world: World, row: Row) -> Row:
    """Forget the person, keep notes and custom fields, archive."""
    blank = dict.fromkeys(("title", "company", "companyRegistrationNumber", "vatNumber"), "")
    contact: Row = {name: [] for name in ("Addresses", "Phones", "Emails", "Websites")}
    contact |= {"custom": "", "noEmail": True, "noPhone": True, "noMail": True, "timeStamp": world.now()}
    name = {"firstName": "Customer", "lastName": str(row["customerID"])}
    world["Customer"].change(row, **blank, **name, dob=None, Contact=contact, Tags=[])
    return archive(world, row)


# ---- the parts of a customer ----


def _changes(world: World, row: Row, body: Row) -> Row:
    switches = world.switches
    changes = scalars("Customer", body, switches, read_only=_READ_ONLY, children=_CHILDREN)
    for name, entity in _LOOKUPS.items():
        if changes.get(name) and world[entity].get(changes[name]) is None:
            raise Refused(400, f"{name}: there is no {entity} {changes[name]}.")
    if isinstance(body.get("Contact"), dict):
        changes["Contact"] = contact_after(world, row.get("Contact") or {}, body["Contact"])
    if "Note" in body:
        changes["Note"] = _note(body["Note"], world)
    if "Tags" in body:
        changes["Tags"] = _tags(body["Tags"])
    values = collection(body, "CustomFieldValues", "CustomFieldValue")
    if values is not None:
        changes["CustomFieldValues"] = _field_values(world, row, values)
    if isinstance(body.get("CreditAccount"), dict):
        changes["creditAccountID"] = _credit_account(world, row, body["CreditAccount"])
    return {**changes, "timeStamp": world.now()}


def contact_after(world: World, contact: Row, body: Row) -> Row:
    """Return a contact after a write: slots are matched by useType, the others stay (inferred).

    The switch `contact_replace` drops the other slots of a collection that was sent.
    """
    after = dict(contact)
    for name in ("noEmail", "noPhone", "noMail"):
        after[name] = flag(body, name, contact.get(name, True))
    if "custom" in body:
        after["custom"] = str(body["custom"] or "")
    replace = world.switches.contact_replace
    phones = collection(body, "Phones", "ContactPhone")
    if phones is not None:
        after["Phones"] = _slots(contact.get("Phones"), phones, "number", PHONE_USES, replace=replace)
    emails = collection(body, "Emails", "ContactEmail")
    if emails is not None:
        after["Emails"] = _slots(contact.get("Emails"), emails, "address", EMAIL_USES, replace=replace)
    addresses = collection(body, "Addresses", "ContactAddress")
    if addresses is not None:
        after["Addresses"] = _addresses(contact.get("Addresses"), addresses, replace=replace)
    websites = collection(body, "Websites", "ContactWebsite")
    if websites is not None:
        after["Websites"] = [{"url": str(w["url"])} for w in websites if w.get("url")]
    after["timeStamp"] = world.now()
    return after


def _slots(
    held: list[Row] | None, written: list[Row], value: str, uses: tuple[str, ...], *, replace: bool
) -> list[Row]:
    """Put values into their slots, one each; an empty value, or an empty list, clears."""
    slots = {} if replace or not written else {row["useType"]: row[value] for row in held or ()}
    for row in written:
        use = str(row.get("useType") or uses[0])
        if use not in uses:
            raise Refused(400, f"useType {use} must be one of {', '.join(uses)}.")
        slots[use] = str(row.get(value) or "")
    return [{value: slots[use], "useType": use} for use in uses if slots.get(use)]


def _addresses(held: list[Row] | None, written: list[Row], *, replace: bool) -> list[Row]:
    """Change the one address; parts that are absent stay."""
    if not written:
        return []
    before = {} if replace or not held else held[0]
    after = {part: str(written[0].get(part, before.get(part, "")) or "") for part in ADDRESS_PARTS}
    return [after] if any(after.values()) else []


def _note(value: Any, world: World) -> Any:
    if not value:
        return ""
    if not isinstance(value, dict):
        return str(value)
    return {
        "note": str(value.get("note") or ""),
        "isPublic": flag(value, "isPublic", False),
        "timeStamp": world.now(),
    }


def _tags(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value.get("tag", [])
    if not value:
        return []
    return [str(tag) for tag in (value if isinstance(value, list) else [value])]


def _field_values(world: World, row: Row, written: list[Row]) -> list[Row]:
    """Set or, by `deleted`, remove values of custom fields; the others stay."""
    held = {v["customFieldID"]: v for v in row.get("CustomFieldValues") or ()}
    for value in written:
        field_id = number(value, "customFieldID")
        known = world["CustomField"].get(field_id)
        if known is None:
            raise Refused(400, f"There is no CustomField {field_id}.")
        if flag(value, "deleted", False):
            held.pop(field_id, None)
            continue
        text = str(value.get("value") if value.get("value") is not None else "")
        longest = {"string": STRING_VALUE_MAX, "text": TEXT_VALUE_MAX}.get(known.get("type", "string"))
        if longest is not None and len(text) > longest:
            raise Refused(400, f"{known['name']} takes at most {longest} characters.")
        before = held.get(field_id) or {"customFieldValueID": world.next_id("CustomFieldValue")}
        held[field_id] = {**before, "customFieldID": field_id, "value": text, "timeStamp": world.now()}
    return list(held.values())


def _credit_account(world: World, row: Row, body: Row) -> int:
    """Open the customer's credit account, or change its name and limit; 0 is unlimited."""
    try:
        limit = read_decimal(body.get("creditLimit") or 0)
    except ValueError as error:
        raise Refused(400, f"creditLimit: {error}.") from error
    fields = {"creditLimit": limit, "timeStamp": world.now()}
    if body.get("name"):
        fields["name"] = str(body["name"])
    account = world["CreditAccount"].get(row.get("creditAccountID", 0))
    if account is not None:
        world["CreditAccount"].change(account, **fields)
    else:
        account = world["CreditAccount"].add(
            {"creditAccountID": world.next_id("CreditAccount"), "customerID": row["customerID"], **fields}
        )
    return int(account["creditAccountID"])

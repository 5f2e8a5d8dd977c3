"""What an erasure does in the CRM: the person's record, their identities, the notes on their receipts.

The record stays as "Erased", "Customer 501", since receipts look up to it. All
that the field map or the CRM itself keeps of a person is emptied; opt-outs are
set, for nobody may write to whoever was erased. Amounts are not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from tillbridge.engine.connection import Connection
from tillbridge.engine.subject import CUSTOMER_KEY, ERASED_NAME, Subject, readable
from tillbridge.model.acks import Refused
from tillbridge.model.customer import IdentityFacts
from tillbridge.model.records import Kind
from tillbridge.model.sale import Ref
from tillbridge.model.writing import FieldFacts, Slot, Value
from tillbridge.sync.fieldmap import FieldMap, key

ERASED_RULE = "erased"
_ROWS_AT_ONCE = 200

# Standard fields that tell who somebody is, beside those of the field map. Person accounts carry most of a
# contact's under a prefix of their own.
_ADDRESS = ("Street", "City", "State", "StateCode", "PostalCode", "Country", "CountryCode")
_PHONES = ("MobilePhone", "HomePhone", "OtherPhone", "AssistantPhone")
_OF_CONTACT = (
    *("Title", "Email", "Birthdate", "Department", "AssistantName", *_PHONES),
    *(f"{kind}{part}" for kind in ("Mailing", "Other") for part in _ADDRESS),
)
_NAMES = ("Salutation", "FirstName", "MiddleName", "LastName", "Suffix")
_ANYBODY = ("Name", "Phone", "Fax", "Description", "Website", "Company")
_OF_ACCOUNT = tuple(f"{kind}{part}" for kind in ("Billing", "Shipping") for part in _ADDRESS)
_PERSONAL: Mapping[str, tuple[str, ...]] = {
    "Account": (*_NAMES, *_ANYBODY, *_OF_ACCOUNT, *(f"Person{name}" for name in _OF_CONTACT)),
    "Contact": (*_NAMES, *_ANYBODY, *_OF_CONTACT),
    "Lead": (*_NAMES, *_ANYBODY, *_ADDRESS, "Title", "Email", "MobilePhone"),
}
# These say nothing of who it is, and receipts or our own keys rest on them.
_KEPT = frozenset(
    {CUSTOMER_KEY, "Lightspeed_Customer_ID__c", "Lightspeed_Created_At__c", "LeadSource", "Customer_Type__c"}
)
# What a receipt's texts are made of, by the names that the field map reads them by.
_WRITTEN = {"sale": ("internal_note", "printed_note", "notes"), "line": ("note",)}


class Left(msgspec.Struct, frozen=True):
    """Something that stays, and why. `open`: a person has to do something about it."""

    where: str
    what: str
    why: str
    open: bool = False


class Receipts(msgspec.Struct):
    """The person's receipts in the CRM: ids of rows that carry texts, and the keys of all."""

    keys: list[str] = []
    noted: dict[str, list[str]] = {}  # part -> ids in the CRM
    things: dict[str, list[str]] = {}  # part -> ids in the till


# --- the person ------------------------------------------------------------------------------------


def clear_people(connection: Connection, subject: Subject, rule: str) -> tuple[list[str], list[Left]]:
    """Anonymise or delete the person's records; return which, and what was refused."""
    if rule == "delete":
        return _delete_people(connection, subject)
    slots = []
    for name in sorted(set(subject.crm.values())):
        rows = [blank_row(connection, subject, i) for i, of in sorted(subject.crm.items()) if of == name]
        slots += [Slot("update", name, part) for part in _parts(rows)]
    return _written(connection, slots)


def _delete_people(connection: Connection, subject: Subject) -> tuple[list[str], list[Left]]:
    done, left = [], []
    # A person's account goes last: a contact that lives in it would go with it, unseen.
    for crm_id, name in sorted(subject.crm.items(), key=lambda each: (each[1] == "Account", each[0])):
        refused = connection.crm.delete(name, crm_id)
        if refused is None:
            done.append(crm_id)
        else:
            left.append(_refusal(name, crm_id, refused))
    return done, left


def blank_row(connection: Connection, subject: Subject, crm_id: str) -> dict[str, Value]:
    """Return the row that leaves nothing of a person in their record."""
    name, shown = subject.crm[crm_id], subject.rows.get(crm_id, {})
    fields = connection.objects[name].fields
    label = f"Customer {subject.name}" if subject.till_ids else "Customer"
    is_person = name != "Account" or shown.get("IsPersonAccount") == "true"
    row: dict[str, Value] = {"Id": crm_id}
    for field in personal_fields(connection, name):
        facts = fields[field]
        if facts.type == "boolean":
            row[field] = True  # Of those, the map writes opt-outs alone.
        elif field == "LastName" and is_person:
            row[field] = label
        elif field == "FirstName" and is_person:
            row[field] = ERASED_NAME
        elif field in {"Name", "Company"} and facts.required and not (is_person and name == "Account"):
            row[field] = f"{ERASED_NAME} {label}"
        elif field in {"Name", *_NAMES} and name == "Account" and not is_person:
            continue  # A company's account has no such parts of a name.
        elif field != "Name":
            row[field] = ERASED_NAME if facts.required else None
    return row


def personal_fields(connection: Connection, name: str) -> Iterator[str]:
    """Return the fields of an object that tell who somebody is, as far as we may write them."""
    mapped = [t for table in _tables(connection, name) for t in table.targets]
    fields = connection.objects[name].fields
    for field in dict.fromkeys((*mapped, *_PERSONAL.get(name, ()))):
        if (
            field in fields
            and fields[field].updateable
            and field not in _KEPT
            and not _is_lookup(fields[field])
        ):
            yield field


def still_shown(connection: Connection, subject: Subject) -> dict[str, list[str]]:
    """Return which personal fields of the person's records still hold something of them."""
    shown: dict[str, list[str]] = {}
    for crm_id, row in subject.rows.items():
        blank = blank_row(connection, subject, crm_id)
        names = [n for n, value in blank.items() if n != "Id" and row.get(n) != _as_text(value)]
        fields = connection.objects[subject.crm[crm_id]].fields
        # An org may turn an opt-out back; that tells nothing of the person.
        if held := [n for n in names if row.get(n) and fields[n].type != "boolean"]:
            shown[crm_id] = held
    return shown


def _as_text(value: Value) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _tables(connection: Connection, name: str) -> Iterator[FieldMap]:
    for kind in ("customer", "account"):
        table = connection.maps.get(kind)
        if table is not None and table.object == name:
            yield table


def _is_lookup(facts: FieldFacts) -> bool:
    return facts.type in {"reference", "id"}


# --- identities ------------------------------------------------------------------------------------


def clear_identities(connection: Connection, subject: Subject) -> tuple[list[str], list[Left]]:
    """Let every identity of the person say "Erased" and nothing more: the org is the witness of it."""
    table = connection.maps["identity"]
    assert table.key_field is not None
    rows = []
    for till_id in subject.till_ids:
        facts = IdentityFacts(
            id=till_id, customer=Ref(Kind.CUSTOMER, till_id), rule=ERASED_RULE, status="Erased"
        )
        held = connection.objects[table.object].fields
        # Its lookups stay as they are: receipts are found by them.
        row = {n: v for n, v in table(facts).items() if not isinstance(v, Ref) and n in held}
        rows.append(row)
    slots = [Slot("upsert", table.object, part, table.key_field) for part in _parts(rows)]
    return _written(connection, slots, table.key_field)


def erased_in_crm(connection: Connection) -> dict[str, Mapping[str, str | None]]:
    """Read whom the org's identities call erased by us: till id to the identity's lookups."""
    table = connection.maps["identity"]
    assert table.key_field is not None
    held = connection.objects[table.object].fields
    more = [n for n in ("Rule__c", "Status__c", "Account__c", "Contact__c", "Lead__c") if n in held]
    prefix = key(connection.account.id, "customer", "")
    rows = connection.questions.keyed(table.object, table.key_field, connection.account.id, more)
    return {
        row.key.removeprefix(prefix): row.fields
        for row in rows
        if row.key.startswith(prefix) and is_erased(row.fields)
    }


def is_erased(identity: Mapping[str, str | None]) -> bool:
    """Say whether an identity is the witness of an erasure of ours."""
    return identity.get("Rule__c") == ERASED_RULE and identity.get("Status__c") == "Erased"


# --- receipts --------------------------------------------------------------------------------------


def receipts(connection: Connection, subject: Subject) -> Receipts:
    """Find the person's receipts, and which of their rows carry texts that people wrote."""
    found = Receipts()
    table = connection.maps["sale"]
    assert table.key_field is not None
    for row in sale_rows(connection, subject, written_fields(connection, "sale")):
        found.keys.append(row[table.key_field] or "")
        _note(found, connection, "sale", row)
    line = connection.maps["line"]
    assert line.key_field is not None
    texts = written_fields(connection, "line")
    if texts and found.keys:
        path = f"Sales_Transaction__r.{table.key_field}"
        rows = connection.questions.rows_or_remains(line.object, path, found.keys, [line.key_field, *texts])
        for row in rows:
            if row.get("IsDeleted") != "true":
                _note(found, connection, "line", row)
    return found


def sale_rows(
    connection: Connection, subject: Subject, fields: Collection[str]
) -> list[Mapping[str, str | None]]:
    """Read the person's receipts, by our key of the customer and by the record that they look up to."""
    table = connection.maps["sale"]
    assert table.key_field is not None
    held = connection.objects[table.object].fields
    keys = [key(connection.account.id, "customer", i) for i in subject.till_ids]
    asks = [("Customer_Key__c", keys)] if "Customer_Key__c" in held else []
    asks += [(f"{name}__c", [i for i, of in subject.crm.items() if of == name]) for name in _PERSONAL]
    rows: dict[str, Mapping[str, str | None]] = {}
    for field, values in asks:
        if not values or field not in held:
            continue
        names = [table.key_field, *fields]
        for row in connection.questions.rows_or_remains(table.object, field, values, names):
            if row.get("IsDeleted") != "true" and row.get(table.key_field):
                rows[row["Id"] or ""] = row
    return list(rows.values())


def written_fields(connection: Connection, part: str) -> list[str]:
    """Return the fields of a receipt's part that carry what people wrote, as the field map fills them."""
    table = connection.maps[part]
    held = connection.objects[table.object].fields
    texts = _WRITTEN[part]
    return [
        name
        for name, line in table.lines.items()
        if name in held and any(source.strip() in texts for source in line.partition("|")[0].split(","))
    ]


def clear_receipts(connection: Connection, found: Receipts) -> tuple[list[str], list[Left]]:
    """Empty what people wrote on the person's receipts; amounts stay."""
    slots = []
    for part, ids in found.noted.items():
        texts = written_fields(connection, part)
        rows: list[dict[str, Value]] = [{"Id": i, **dict.fromkeys(texts)} for i in ids]
        slots += [Slot("update", connection.maps[part].object, some) for some in _parts(rows)]
    return _written(connection, slots)


def _note(found: Receipts, connection: Connection, part: str, row: Mapping[str, str | None]) -> None:
    if any(row.get(name) for name in written_fields(connection, part)):
        table = connection.maps[part]
        assert table.key_field is not None
        found.noted.setdefault(part, []).append(row["Id"] or "")
        own = row.get(table.key_field) or ""
        found.things.setdefault(part, []).append(own.removeprefix(key(connection.account.id, part, "")))


# --- how -------------------------------------------------------------------------------------------


def _written(
    connection: Connection, slots: Sequence[Slot], key_field: str = "Id"
) -> tuple[list[str], list[Left]]:
    """Write slots a call at a time; return the rows that were written, and those that were refused."""
    done, left = [], []
    for slot in slots:
        [acks] = connection.crm.write([slot])
        for row, ack in zip(slot.rows, acks, strict=True):
            name = str(row[key_field])
            if isinstance(ack, Refused):
                left.append(_refusal(slot.object, name, ack))
            else:
                done.append(name)
    return done, left


def _refusal(name: str, record: str, refused: Refused) -> Left:
    fields = f" ({', '.join(refused.fields)})" if refused.fields else ""
    # Only the code: the message may repeat a value.
    return Left(
        "Salesforce",
        f"{name} {record}",
        f"Salesforce refused it: {refused.code}{fields}; put that right and run the same command again",
        open=True,
    )


def _parts(rows: Iterable[dict[str, Value]]) -> Iterator[list[dict[str, Value]]]:
    items = list(rows)
    for start in range(0, len(items), _ROWS_AT_ONCE):
        yield items[start : start + _ROWS_AT_ONCE]


def all_fields(connection: Connection, part: str) -> list[str]:
    """Return every field of a receipt's part that we may read."""
    return list(readable(connection, connection.maps[part].object))

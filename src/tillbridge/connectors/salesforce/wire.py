"""Decide how values are spelt for Salesforce and what its answers mean: JSON and CSV cells ⇄ Python values.

Money never passes through a float: Decimals travel as exact JSON numbers, and
numbers that come back are int or Decimal. Times and dates that come back stay
text, since only the caller knows a field's type.
No I/O. What a status or an error means is decided in `protocol`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tillbridge.model.writing import FieldFacts, KeyRef, ObjectFacts, Value

# "#N/A" in a CSV cell empties the field; an empty cell leaves it as it is (fact sheet, CSV rules).
CSV_NULL = "#N/A"

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
# The 3-character suffix of an 18-character id says which of its letters are capitals.
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SELECT = re.compile(r"^\s*SELECT\s+(.*?)\s+FROM\s", re.IGNORECASE | re.DOTALL)
_BRACKETS = re.compile(r"\([^()]*\)")
_PARENT_FIELD = re.compile(r"^[A-Za-z]\w*(?:\.[A-Za-z]\w*)+$")


def encode(value: object) -> bytes:
    """Spell a tree of wire values as JSON; Decimals become numbers, digit for digit."""
    return _ENCODER.encode(value)


def decode(body: bytes) -> Any:
    """Parse JSON; numbers with a point become Decimal. Raises msgspec.DecodeError (a ValueError)."""
    return _DECODER.decode(body)


def record(object_name: str, row: Mapping[str, Value], *, without: str | None = None) -> dict[str, object]:
    """Spell one row as a JSON record; `without` names a field that the address already says."""
    found: dict[str, object] = {"attributes": {"type": object_name}}
    for name, value in row.items():
        if isinstance(value, KeyRef):
            # A lookup by key goes under the relationship, and never beside the lookup field itself.
            # https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm
            found[value.relationship] = {value.field: value.key}
        elif name != without:
            found[name] = json_value(value)
    return found


def json_value(value: Value) -> object:
    """Spell one value for JSON."""
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def timestamp(moment: datetime) -> str:
    """Spell an aware moment as YYYY-MM-DDTHH:MM:SS.mmmZ, which REST, Bulk and SOQL all read."""
    if moment.tzinfo is None:
        raise ValueError("a time without zone cannot be sent")
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def csv_cell(value: object) -> str:
    """Spell one value as a CSV cell; None and "" empty the field."""
    spell = _CELLS.get(type(value))
    if spell is None:
        raise TypeError(f"a {type(value).__name__} cannot be a CSV cell")
    return spell(value)


def _text_cell(text: str) -> str:
    # A text that happens to read like the null mark would empty the field instead.
    if not text or text == CSV_NULL:
        return f"{text} " if text else CSV_NULL
    return _plain(text) if "\0" in text or "\r" in text else text


_CELLS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: CSV_NULL,
    str: _text_cell,
    bool: lambda value: "true" if value else "false",
    Decimal: "{:f}".format,
    datetime: timestamp,
    date: date.isoformat,
    int: str,
}


def _plain(text: str) -> str:
    """Drop what a CSV cell cannot hold: NUL, and line ends other than the one the job declares."""
    return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def csv_rows(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Iterator[list[str]]:
    """Lay rows out under `columns`. A field a row does not name stays an empty cell: unchanged.

    A KeyRef goes under "Relationship.Field". Raises ValueError for a field
    without a column: leaving it out would lose data silently.
    """
    places = {name: place for place, name in enumerate(columns)}
    blank = [""] * len(columns)
    for row in rows:
        cells = blank.copy()
        for name, value in row.items():
            if (spell := _CELLS.get(type(value))) is not None:
                column, cell = name, spell(value)
            elif isinstance(value, KeyRef):
                column, cell = f"{value.relationship}.{value.field}", value.key
            else:
                column, cell = name, csv_cell(value)
            place = places.get(column)
            if place is None:
                raise ValueError(f"the job has no column {column}")
            cells[place] = cell
        yield cells


def flatten(rows: Iterable[Mapping[str, Any]], parent_fields: Sequence[str] = ()) -> list[dict[str, object]]:
    """Turn query records into flat dicts; a parent's field is keyed "Parent__r.Field".

    `parent_fields` are the dotted names of the query: where there is no parent,
    the answer says null once for the parent, and each of them reads None.
    """
    parents = {
        name.rsplit(".", depth)[0] for name in parent_fields for depth in range(1, name.count(".") + 1)
    }
    found = []
    for row in rows:
        flat: dict[str, object] = {}
        _flatten_into(flat, "", row, parents)
        for name in parent_fields:
            flat.setdefault(name, None)
        found.append(flat)
    return found


def _flatten_into(flat: dict[str, object], prefix: str, row: Mapping[str, Any], parents: set[str]) -> None:
    for name, value in row.items():
        if name == "attributes":
            continue
        if not isinstance(value, dict):
            flat[prefix + name] = value
        elif "records" in value:
            flat[prefix + name] = flatten(value["records"] or ())
        elif "attributes" in value or prefix + name in parents:
            _flatten_into(flat, f"{prefix}{name}.", value, parents)
        else:
            flat[prefix + name] = value  # A compound value: an address, a location.


def parent_fields(text: str) -> tuple[str, ...]:
    """Name the dotted fields that a query selects, sub-queries and functions left out."""
    # Brackets first: a sub-query has a FROM of its own. Twice, for a function within one.
    bare = _BRACKETS.sub("", _BRACKETS.sub("", text))
    match = _SELECT.match(bare)
    if match is None:
        return ()
    return tuple(name for part in match[1].split(",") if _PARENT_FIELD.match(name := part.strip()))


def object_facts(answer: Mapping[str, Any]) -> ObjectFacts:
    """Read a describe answer. What it leaves out is taken as allowed, except creating and updating."""
    fields = (field_facts(field) for field in answer.get("fields") or ())
    return ObjectFacts(
        name=answer["name"],
        label=answer.get("label") or answer["name"],
        createable=bool(answer.get("createable", False)),
        updateable=bool(answer.get("updateable", False)),
        fields={field.name: field for field in fields},
        record_types={
            info.get("developerName") or info["name"]: info["recordTypeId"]
            for info in answer.get("recordTypeInfos") or ()
            # "Master" stands for having no record type; it is none to choose.
            if info.get("available", True) and not info.get("master", False)
        },
    )


def field_facts(field: Mapping[str, Any]) -> FieldFacts:
    """Read what describe says of one field."""
    createable = bool(field.get("createable", False))
    return FieldFacts(
        name=field["name"],
        type=field.get("type") or "string",
        length=field.get("length") or 0,
        precision=field.get("precision") or 0,
        scale=field.get("scale") or 0,
        # Describe has no word for "required"; this is the documented way to tell (fact sheet, describe).
        required=createable and not field.get("nillable", True) and not field.get("defaultedOnCreate", False),
        createable=createable,
        updateable=bool(field.get("updateable", False)),
        unique=bool(field.get("unique", False)),
        external_id=bool(field.get("externalId", False)),
        case_sensitive=bool(field.get("caseSensitive", False)),
        restricted=bool(field.get("restrictedPicklist", False)),
        values=tuple(v["value"] for v in field.get("picklistValues") or () if v.get("active", True)),
        references=tuple(field.get("referenceTo") or ()),
        relationship=field.get("relationshipName") or None,
    )


def id18(id_: str) -> str:
    """Return the 18-character form of an id; one that has it already, or is no id, comes back as it is."""
    if len(id_) != 15:
        return id_
    chunks = (id_[start : start + 5] for start in (0, 5, 10))
    return id_ + "".join(
        _CHECK[sum(1 << i for i, c in enumerate(chunk) if "A" <= c <= "Z")] for chunk in chunks
    )

"""What a person has decided about the values of refused records, and how a value that they type is read.

`replace` and `default` change what is mapped, for every record of the object;
`leave_out` applies to a record that was refused for the very cause, and to no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeVar

import msgspec

from tillbridge.model.writing import FieldFacts, Value

Action = Literal["replace", "default", "leave_out"]
Moment = TypeVar("Moment", date, datetime)


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. `seen` is what to replace, `given` what is written instead; None empties the field."""

    cause: str
    object: str
    field: str
    action: Action
    seen: str | None = None
    given: str | None = None


class Edit(msgspec.Struct, frozen=True):
    """Fields of one record that a person has set; None empties one.

    `instead`: what the till made of a field when it was set. Once it makes
    something else of it, what was set is over. A field not named here stays set.
    """

    fields: dict[str, str | None] = {}
    instead: dict[str, Any] = {}

    def holds(self, name: str, mapped: Any) -> bool:
        """Say whether what was set of a field stands against what the till makes of it now."""
        return name not in self.instead or _is_same(mapped, self.instead[name])


def _is_same(value: Any, kept: Any) -> bool:
    """Compare a value with one kept as JSON; numbers and empty texts have several spellings."""
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        try:
            return Decimal(str(kept)) == value
        except InvalidOperation:
            return False
    return (kept or None) == (msgspec.to_builtins(value, enc_hook=str) or None)


class Decided(msgspec.Struct, frozen=True):
    """Everything that people have decided: remedies by object, and the fields set for single records."""

    remedies: dict[str, list[Remedy]] = {}
    edits: dict[tuple[str, str], Edit] = {}

    def left_out(self, cause: str) -> set[str]:
        """Return which fields a record is to be sent without once it was refused for this cause."""
        every = (remedy for some in self.remedies.values() for remedy in some)
        return {r.field for r in every if r.action == "leave_out" and r.cause == cause}

    def fields_of(self, kind: str, object_name: str) -> set[str]:
        """Return every field that a decision may add to a record of this kind."""
        defaults = {r.field for r in self.remedies.get(object_name, ()) if r.action == "default"}
        return defaults.union(*(edit.fields for (of, _), edit in self.edits.items() if of == kind))


def replaced(value: Any, field: FieldFacts | None, remedies: Iterable[Remedy]) -> Any:
    """Return what stands for a mapped value; a value that nobody spoke of stands for itself."""
    for remedy in remedies:
        if remedy.action == "replace" and value is not None and value == read(remedy.seen, field):
            return read(remedy.given, field)
    return value


def read(text: str | None, field: FieldFacts | None) -> Value:
    """Read a kept value. Should the field have changed its type since, the org is to say so, not we."""
    if text is None or field is None:
        return text
    try:
        return typed(text, field)
    except ValueError:
        return text


def typed(text: str, field: FieldFacts) -> Value:
    """Read what a person typed as a value of this field; "" empties it. Raises ValueError in plain words."""
    if text == "":
        return None
    match field.type:
        case "boolean":
            return _boolean(text)
        case "int":
            return _number(text, whole=True)
        case "double" | "currency" | "percent":
            return _number(text, whole=False)
        case "date":
            return _read(text, date.fromisoformat, "a date such as 2026-11-30")
        case "datetime":
            found = _read(text, datetime.fromisoformat, "a time such as 2026-11-30T17:05:00Z")
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    if field.restricted and field.values and text not in field.values:
        raise ValueError(f"the picklist {field.name} has no value {text}; it has {', '.join(field.values)}")
    if 0 < field.length < len(text):
        raise ValueError(f"{field.name} takes {field.length} characters, not {len(text)}")
    return text


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"true or false is expected, not {text}")
    return text.lower() == "true"


def _number(text: str, *, whole: bool) -> Decimal | int:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"a number is expected, not {text}") from None
    if not found.is_finite() or (whole and found != found.to_integral_value()):
        raise ValueError(f"a {'whole ' if whole else ''}number is expected, not {text}")
    return int(found) if whole else found


def _read(text: str, parse: Callable[[str], Moment], example: str) -> Moment:
    try:
        return parse(text)
    except ValueError:
        raise ValueError(f"{example} is expected, not {text}") from None

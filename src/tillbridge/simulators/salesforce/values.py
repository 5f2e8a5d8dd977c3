"""Turn what a client sent for a field into what the org stores, or say why not.

Stored forms: text trimmed, numbers as float (int for integer fields) rounded to
the field's scale, dates as YYYY-MM-DD, moments as UTC text that sorts by time.
Error texts follow fact sheet §6.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from tillbridge.simulators.salesforce.schema import Field, RowError

Reader = Callable[[Any], Any]

TEXT_TYPES = frozenset(
    {
        "string",
        "textarea",
        "email",
        "phone",
        "url",
        "picklist",
        "multipicklist",
        "combobox",
        "encryptedstring",
    }
)
NUMBER_TYPES = frozenset({"double", "currency", "percent"})
STAMP_FORMAT = "%Y-%m-%dT%H:%M:%S.000+0000"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
# Salesforce checks the shape, not the mailbox; long or unicode local parts fail (fact sheet §7.1).
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}\Z"
)


class Refused(Exception):
    """The org does not take a value or a row; `error` is what the client reads."""

    def __init__(self, code: str, message: str, fields: list[str] | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.error = RowError(code, message, fields or [], extra)


def wrong_type(wanted: str, raw: Any, name: str) -> Refused:
    """Return the refusal for a value of the wrong JSON type; the bulk door words it differently."""
    token = {str: "VALUE_STRING", bool: "VALUE_TRUE" if raw else "VALUE_FALSE", dict: "START_OBJECT"}.get(
        type(raw), "START_ARRAY" if isinstance(raw, list) else "VALUE_NUMBER"
    )
    text = "" if isinstance(raw, dict | list) else f" value {raw}"
    return Refused(
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {wanted} from {token}{text} or request may be missing a required "
        "field at [line:1, column:2]",
        bulk=f"{name}: value not of required type: {raw}",
        bulk_field=name,
    )


def reader(field: Field, *, email_lowercase: bool) -> Reader:
    """Return the function that reads a non-null value for a field (references are read by the org)."""
    match field.type:
        case "boolean":
            return _boolean(field)
        case "int":
            return _integer(field)
        case "double" | "currency" | "percent":
            return _number(field)
        case "date":
            return _date(field)
        case "datetime":
            return _datetime(field)
        case "email":
            return _email(field, lowercase=email_lowercase)
        case "picklist" | "multipicklist" if field.restricted:
            return _picklist(field)
        case _:
            return _text(field)


def stamp(epoch: float) -> str:
    """Write a moment the way the API does; whole seconds."""
    return datetime.fromtimestamp(int(epoch), UTC).strftime(STAMP_FORMAT)


def _as_text(raw: Any, name: str) -> str:
    if isinstance(raw, bool | dict | list):
        raise wrong_type("string", raw, name)
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    return str(raw)


def _text(field: Field) -> Reader:
    length, name = field.length or 0, field.name

    def read(raw: Any) -> str | None:
        text = raw.strip() if type(raw) is str else _as_text(raw, name)
        if length and len(text) > length:
            raise Refused(
                "STRING_TOO_LONG", f"{name}: data value too large: {text} (max length={length})", [name]
            )
        return text or None

    return read


def _email(field: Field, *, lowercase: bool) -> Reader:
    read_text, name = _text(field), field.name

    def read(raw: Any) -> str | None:
        text: str | None = read_text(raw)
        if text is None:
            return None
        if not _EMAIL.match(text):
            raise Refused("INVALID_EMAIL_ADDRESS", f"{name}: invalid email address: {text}", [name])
        return text.lower() if lowercase else text

    return read


def _picklist(field: Field) -> Reader:
    read_text, name = _text(field), field.name
    values = {value: value for value in field.values}
    many = field.type == "multipicklist"

    def read(raw: Any) -> str | None:
        if type(raw) is str and (known := values.get(raw)):
            return known
        text: str | None = read_text(raw)
        for part in (text or "").split(";") if many else [text] if text else []:
            if part not in values:
                message = f"{name}: bad value for restricted picklist field: {part}"
                raise Refused("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, [name])
        return text

    return read


def _boolean(field: Field) -> Reader:
    name = field.name

    def read(raw: Any) -> bool:
        if raw is True or raw is False:
            return bool(raw)
        text = str(raw).strip().lower()
        if text in {"true", "1"}:
            return True
        if text in {"false", "0"}:
            return False
        raise wrong_type("boolean", raw, name)

    return read


def _integer(field: Field) -> Reader:
    name, digits = field.name, field.precision or 10

    def read(raw: Any) -> int | None:
        if type(raw) is str and not raw.strip():
            return None
        if isinstance(raw, bool | dict | list):
            raise wrong_type("int", raw, name)
        try:
            number = Decimal(str(raw).strip())
        except InvalidOperation:
            raise wrong_type("int", raw, name) from None
        if not number.is_finite() or number != int(number):
            raise wrong_type("int", raw, name)
        if abs(number) >= 10**digits:
            raise _out_of_range(name, raw)
        return int(number)

    return read


def _out_of_range(name: str, raw: Any) -> Refused:
    return Refused(
        "NUMBER_OUTSIDE_VALID_RANGE", f"{name}: value outside of valid range on numeric field: {raw}", [name]
    )


def _number(field: Field) -> Reader:
    name, scale = field.name, field.scale
    bound = float(10 ** ((field.precision or 18) - scale))
    step = Decimal(1).scaleb(-scale)

    def read(raw: Any) -> float | None:
        kind = type(raw)
        if kind is float or kind is int:
            number = float(raw)
        elif kind is bool or kind is dict or kind is list:
            raise wrong_type("double", raw, name)
        else:
            text = str(raw).strip()
            if not text:
                return None
            try:
                number = float(text)
            except ValueError:
                raise wrong_type("double", raw, name) from None
        if not -bound < number < bound:
            raise _out_of_range(name, raw)
        rounded = round(number, scale)
        if rounded != number:
            return float(Decimal(str(raw).strip()).quantize(step, ROUND_HALF_UP))
        return number

    return read


def _date(field: Field) -> Reader:
    name = field.name
    seen: dict[str, str] = {}  # The same day arrives thousands of times: parse it once, share the text.

    def read(raw: Any) -> str | None:
        if type(raw) is str:
            if known := seen.get(raw):
                return known
            text = raw.strip()
            if not text:
                return None
            try:
                if _DATE.match(text) and date.fromisoformat(text).year >= 1700:
                    return seen.setdefault(raw, text)
            except ValueError:
                pass  # Falls to the refusal below: the 31st of February has the right shape.
        elif isinstance(raw, date) and not isinstance(raw, datetime):
            return raw.isoformat()
        raise wrong_type("date", raw, name)

    return read


def parse_moment(text: str) -> str | None:
    """Return the stored form of an ISO moment with an offset, or None if it is not one."""
    if len(text) < 16 or text[10] != "T":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    if text[-1] == "Z" and len(text) >= 20:
        return text[:19] + ".000+0000"
    return moment.astimezone(UTC).strftime(STAMP_FORMAT)


def _datetime(field: Field) -> Reader:
    name = field.name

    def read(raw: Any) -> str | None:
        if type(raw) is str:
            text = raw.strip()
            if not text:
                return None
            if stored := parse_moment(text):
                return stored
        elif isinstance(raw, datetime) and raw.tzinfo is not None:
            return raw.astimezone(UTC).strftime(STAMP_FORMAT)
        raise wrong_type("datetime", raw, name)

    return read

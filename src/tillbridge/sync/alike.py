"""Say when two spellings are one value: what a side merely writes its own way is no edit.

A comparison is as forgiving as its field and no more. Letter case counts in a
name, since correcting it is an edit, and does not count in an e-mail address.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from tillbridge.model.countries import country_code
from tillbridge.model.emails import fold_email
from tillbridge.model.phones import e164
from tillbridge.model.states import state_codes
from tillbridge.model.writing import TillSlot, Value

Alike = Callable[[Value, Value], bool]


def comparison(kind: str, slot: TillSlot | None, region: str | None) -> Alike:
    """Return how values of a CRM field are compared: as what they are in the till, else by the field's type.

    `slot` is where the field belongs in the till (None: nowhere), `region` where
    the person's numbers are dialled.
    """
    if slot in _PHONES or (slot is None and kind == "phone"):
        return same_phone(region)
    if slot in _BY_SLOT:
        return _BY_SLOT[slot]
    return _BY_KIND.get(kind, same_text)


def blank(value: Value) -> bool:
    """Say whether there is nothing to read. False is an answer, and so is zero."""
    return value is None or (isinstance(value, str) and not value.strip())


def same(a: Value, b: Value) -> bool:
    """Compare exactly; blank is blank, however it is written."""
    return a == b or (blank(a) and blank(b))


def same_text(a: Value, b: Value) -> bool:
    """Compare with needless blanks, line ends and the two ways to write an accent aside."""
    if isinstance(a, str) and isinstance(b, str):
        return _words(a) == _words(b)
    return same(a, b)


def same_flag(a: Value, b: Value) -> bool:
    """Compare yes and no; nothing said is neither."""
    return _flag(a) == _flag(b)


def same_email(a: Value, b: Value) -> bool:
    """Compare addresses as mail systems do: letter case does not count."""
    if isinstance(a, str) and isinstance(b, str):
        return (fold_email(a) or a.split()) == (fold_email(b) or b.split())
    return same(a, b)


def same_day(a: Value, b: Value) -> bool:
    """Compare days; a moment is its own UTC day, a text its first ten characters."""
    return _day(a) == _day(b) if not (blank(a) or blank(b)) else same(a, b)


def same_moment(a: Value, b: Value) -> bool:
    """Compare moments as either side writes them: the zone does not count, the instant does."""
    if blank(a) or blank(b):
        return same(a, b)
    return _moment(a) == _moment(b)


def same_number(a: Value, b: Value) -> bool:
    """Compare numbers: 1.50 is 1.5, and text of it too."""
    if blank(a) or blank(b):
        return same(a, b)
    return _number(a) == _number(b)


def same_zip(a: Value, b: Value) -> bool:
    """Compare postal codes: neither blanks nor letter case count."""
    if isinstance(a, str) and isinstance(b, str):
        return "".join(a.split()).casefold() == "".join(b.split()).casefold()
    return same(a, b)


def same_country(a: Value, b: Value) -> bool:
    """Compare countries: a name is its two letters."""
    if isinstance(a, str) and isinstance(b, str):
        return (country_code(a) or _folded(a)) == (country_code(b) or _folded(b))
    return same(a, b)


def same_state(a: Value, b: Value) -> bool:
    """Compare states: a name is its letters, in any one country that knows both."""
    if isinstance(a, str) and isinstance(b, str):
        return _folded(a) == _folded(b) or bool(state_codes(a) & state_codes(b))
    return same(a, b)


def same_phone(region: str | None) -> Alike:
    """Return a comparison of phone numbers as dialled in `region`."""

    def alike(a: Value, b: Value) -> bool:
        if isinstance(a, str) and isinstance(b, str) and not (blank(a) or blank(b)):
            return (e164(a, region) or _digits(a)) == (e164(b, region) or _digits(b))
        return same(a, b)

    return alike


_PHONES: frozenset[TillSlot | None] = frozenset({"home_phone", "work_phone", "mobile_phone", "pager", "fax"})
_BY_SLOT: dict[TillSlot | None, Alike] = {
    "email": same_email,
    "secondary_email": same_email,
    "birth_date": same_day,
    "state": same_state,
    "state_code": same_state,
    "country": same_country,
    "country_code": same_country,
    "zip": same_zip,
    "no_email": same_flag,
    "no_phone": same_flag,
    "no_mail": same_flag,
}
_BY_KIND: dict[str, Alike] = {
    "email": same_email,
    "date": same_day,
    "datetime": same_moment,
    "boolean": same_flag,
    "double": same_number,
    "currency": same_number,
    "int": same_number,
}


def _words(text: str) -> list[str]:
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).split()


def _folded(text: str) -> str:
    return " ".join(_words(text)).casefold()


def _flag(value: Value) -> bool | str | None:
    if blank(value):
        return None
    text = str(value).strip().casefold()
    return {"true": True, "false": False}.get(text, text)


def _day(value: Value) -> object:
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value).strip()[:10]


def _moment(value: Value) -> object:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            return value.strip()
    return value


def _number(value: Value) -> object:
    if isinstance(value, str):
        text = value.strip()
        return Decimal(text) if text.replace(".", "", 1).lstrip("-").isdigit() else text
    return value


def _digits(text: str) -> str:
    return "".join(ch for ch in text if ch.isalnum()).casefold()

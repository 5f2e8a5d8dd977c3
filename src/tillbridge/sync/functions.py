"""The named functions of a field map: pure, one value in, one value out.

`make(argument)` returns the function; None runs past all of them except those
that exist to see it (`default`, `first`, `join`, `not`, `bool`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from tillbridge.model.countries import country_code
from tillbridge.model.emails import fold_email
from tillbridge.model.money import cents
from tillbridge.model.phones import e164
from tillbridge.model.records import Kind
from tillbridge.model.sale import Ref

Step = Callable[[Any], Any]

_TRUE = frozenset({"true", "yes", "y", "1", "on", "ja", "oui", "si", "sí"})
_WHOLE = Decimal(1)
_KINDS = frozenset(kind.value for kind in Kind)
REF_KINDS = (*sorted(_KINDS), "line", "sale_of_line")


@dataclass(frozen=True, slots=True)
class Function:
    """One named function of the field map."""

    make: Callable[[str | None], Step]
    help: str
    argument: Literal["none", "optional", "required"] = "none"
    sees_none: bool = False


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) or None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _money(value: Any) -> Decimal | None:
    number = _decimal(value)
    return None if number is None else cents(number)


def _in_cents(value: Any) -> int | None:
    number = _decimal(value)
    return None if number is None else int(cents(number) * 100)


def _integer(value: Any) -> int | None:
    number = _decimal(value)
    return None if number is None else int(cents(number, _WHOLE))


def _date(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        return None


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().casefold() in _TRUE
    return bool(value)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _given(item: Any) -> bool:
    return item is not None and item != ""


def _first(value: Any) -> Any:
    return next((item for item in _listed(value) if _given(item)), None)


def _join(argument: str | None) -> Step:
    between = " " if argument is None else argument

    def join(value: Any) -> str | None:
        return between.join(str(item) for item in _listed(value) if _given(item)) or None

    return join


def _truncate(argument: str | None) -> Step:
    length = int(argument or "")
    if length < 1:
        raise ValueError("at least one character must remain")
    return lambda value: str(value)[:length].rstrip() or None


def _default(argument: str | None) -> Step:
    return lambda value: argument if value is None or value == "" else value


def _part(argument: str | None) -> Step:
    return lambda value: str(value).split(argument or "/")[0].strip() or None


def _e164(argument: str | None) -> Step:
    return lambda value: e164(str(value), argument) or str(value).strip() or None


def _ref(argument: str | None) -> Step:
    if argument not in REF_KINDS:
        raise ValueError(f"what is referred to is one of {', '.join(REF_KINDS)}")
    kind: Any = Kind(argument) if argument in _KINDS else argument
    return lambda value: Ref(kind, str(value))


def _choose(argument: str | None) -> Step:
    pairs = [pair.partition("=") for pair in (argument or "").split(",")]
    if any(not equals for _, equals, _ in pairs):
        raise ValueError("choices are written from=to, separated by commas")
    table = {before.strip(): after.strip() or None for before, _, after in pairs}
    return lambda value: table.get(str(value), value)


def _plain(step: Step) -> Callable[[str | None], Step]:
    return lambda _: step


FUNCTIONS: dict[str, Function] = {
    "text": Function(_plain(_text), "as text"),
    "lower": Function(_plain(lambda v: str(v).lower()), "in small letters"),
    "upper": Function(_plain(lambda v: str(v).upper()), "in capitals"),
    "strip": Function(_plain(lambda v: " ".join(str(v).split()) or None), "without needless blanks"),
    "money": Function(_plain(_money), "rounded half up to cents"),
    "cents": Function(_plain(_in_cents), "as a whole number of cents"),
    "number": Function(_plain(_decimal), "as a number; nothing when it is none"),
    "integer": Function(_plain(_integer), "as a whole number"),
    "date": Function(_plain(_date), "as a date"),
    "bool": Function(_plain(_bool), "as yes or no", sees_none=True),
    "not": Function(_plain(lambda v: not _bool(v)), "the opposite of yes or no", sees_none=True),
    "first": Function(_plain(_first), "the first that is not empty", sees_none=True),
    "join": Function(
        _join, "all that are not empty, the argument (a blank) between", "optional", sees_none=True
    ),
    "truncate": Function(_truncate, "at most so many characters", "required"),
    "default": Function(_default, "the argument where there is nothing", "required", sees_none=True),
    "part": Function(_part, "what stands before the first separator (a slash)", "optional"),
    "choose": Function(_choose, "other words for some values: from=to,from=to", "required"),
    "e164": Function(_e164, "a phone number as +…, read as dialled in the argument's country", "optional"),
    "email": Function(_plain(lambda v: fold_email(str(v))), "an e-mail address folded for comparing"),
    "country_code": Function(_plain(lambda v: country_code(str(v))), "the two letters of a country"),
    "ref": Function(_ref, "the record of that kind with this id", "required"),
}

# Those that only spell a value in another way: what comes out of them may go back to where it came from.
RESPELLING = frozenset({"text", "lower", "upper", "strip", "date", "bool", "e164", "email", "country_code"})

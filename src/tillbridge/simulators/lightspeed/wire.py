r"""Turn Python values into the vendor's JSON text and back.

Source: fact sheet A6 and A7. Every scalar is a string, decimals have no trailing
zeros, times are UTC with `+00:00`, `/` is written `\/`, a collection of one is an
object, an empty container is "". Text is built by hand: a page of 100 sales has
seventeen thousand values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from tillbridge.simulators.lightspeed.schema import Field, Kind, Row, View

Encoder = Callable[[Any], str]


def text(value: str) -> str:
    """Quote a string."""
    return encode_basestring_ascii(value).replace("/", "\\/")


@lru_cache(maxsize=100_000)
def plain(value: Decimal) -> str:
    """Write a decimal without exponent and trailing zeros: "80", "38.5"."""
    shown = format(value, "f")
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return "0" if shown in {"-0", ""} else shown


def _money(value: Decimal) -> str:
    return f'"{plain(value)}"'


def _integer(value: int) -> str:
    return f'"{value}"'


def _flag(value: bool) -> str:
    return '"true"' if value else '"false"'


def _time(value: datetime) -> str:
    return f'"{value.isoformat()}"'


ENCODERS: dict[Kind, Encoder] = {"int": _integer, "money": _money, "bool": _flag, "time": _time, "text": text}


def scalar(value: Any) -> str:
    """Encode a value by its Python type."""
    match value:
        case bool():
            return _flag(value)
        case int():
            return _integer(value)
        case Decimal():
            return _money(value)
        case datetime():
            return _time(value)
        case None:
            return '""'
    return text(str(value))


def loose(value: Any) -> str:
    """Encode a small tree of dicts, lists and scalars."""
    match value:
        case dict():
            return "{" + ",".join(f'"{k}":{loose(v)}' for k, v in value.items() if v is not None) + "}"
        case list():
            return "[" + ",".join(map(loose, value)) + "]"
    return scalar(value)


def collapsed(parts: list[str]) -> str | None:
    """Return none, one or many encoded values as nothing, the value, or an array (A7.2)."""
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else "[" + ",".join(parts) + "]"


def wrapped(item: str, parts: list[str]) -> str:
    """Return a collection in its two-level naming, "" when empty (A7.3, A7.4)."""
    inside = collapsed(parts)
    return '""' if inside is None else f'{{"{item}":{inside}}}'


Writer = Callable[[Row, list[str]], None]


def writer(fields: Iterable[Field], respell: dict[str, str]) -> Writer:
    """Compile a function that appends a row's fields to a list of `"name":value` texts."""
    plan = [(f'"{respell.get(f.name, f.name)}":', f.name, ENCODERS[f.kind], f.default) for f in fields]

    def write(row: Row, out: list[str]) -> None:
        get = row.get
        for label, name, encode, default in plan:
            value = get(name)
            if value is None:
                value = default
                if value is None:
                    continue
            out.append(label + encode(value))

    return write


def compiled(view: View, respell: dict[str, str]) -> tuple[Writer, Writer]:
    """Compile the head and the tail of a view."""
    return writer(view.head, respell), writer(view.tail, respell)


# ---- reading what a client sends ----


def read_value(kind: Kind, value: Any) -> Any:
    """Parse a written or filtered value. Raises ValueError. Blank and null clear the field (A1)."""
    if value is None or value == "":
        return {"int": 0, "money": Decimal(0), "bool": False, "time": None, "text": ""}[kind]
    match kind:
        case "int":
            return int(str(value))
        case "money":
            return read_decimal(value)
        case "bool":
            return read_flag(value)
        case "time":
            return read_time(str(value))
    if isinstance(value, dict | list):
        raise ValueError("a text is expected")  # noqa: TRY004  One kind of error for all bad values.
    return str(value)


def read_decimal(value: Any) -> Decimal:
    """Parse a number in JSON or in a string."""
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"{value} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{value} is not a number")
    return number


def read_flag(value: Any) -> bool:
    """Parse true/false as a JSON boolean, a string or 0/1."""
    answer = {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())
    if answer is None:
        raise ValueError(f"{value} is neither true nor false")
    return answer


def read_time(value: str) -> datetime:
    """Parse a time; the offset is optional, `+00:00`, `Z` and `-0400` are all taken (A6)."""
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    try:
        return parsed.astimezone(UTC).replace(microsecond=0)
    except OverflowError as error:
        raise ValueError(f"{value} is out of range") from error

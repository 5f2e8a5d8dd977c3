"""Pieces of SOQL, and the values in its answers.

Every literal that goes into a query goes through here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal


def as_text(row: Mapping[str, object]) -> dict[str, str | None]:
    """Make a query's row look like a bulk query's: text, or None."""
    return {name: text_of(value) for name, value in row.items()}


def text_of(value: object) -> str | None:
    """Return a value as a bulk query shows it: text, or None."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def as_str(value: object) -> str:
    """Return a value as text, nothing as the empty text."""
    return "" if value is None else str(value)


def row_id(row: Mapping[str, str | None]) -> str:
    """Return a row's id."""
    return row["Id"] or ""


def as_decimal(value: object) -> Decimal:
    """Return a number exactly; nothing is 0."""
    return Decimal(str(value)) if value is not None else Decimal(0)


def moment_literal(moment: datetime) -> str:
    """Return a moment as a literal, to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def escaped(text: str) -> str:
    """Return a text as it stands between the quotes of a literal."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def quoted_list(values: Collection[str]) -> str:
    """Return texts as quoted literals with commas between."""
    return ",".join(f"'{escaped(value)}'" for value in values)


def like_pattern(text: str) -> str:
    """Escape a text for a LIKE literal."""
    return escaped(text).replace("%", "\\%").replace("_", "\\_")
